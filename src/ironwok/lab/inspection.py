"""The probes on a model of one's own: how deep it really is, and what ranks its attention has, on one's own text."""

# B rows, L tokens, V vocabulary

from __future__ import annotations

import inspect as signatures
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ironwok.errors import CheckpointError, DataError, MissingHeadError
from ironwok.files import json_line, replace_file, writing
from ironwok.lab.depth import DepthProfile, EffectiveDepth, depth_profile, effective_depth, gradient_norms
from ironwok.lab.figures import Line, Panel, draw_panels
from ironwok.lab.layers import LayerStack, find_layers
from ironwok.lab.ranks import RankProfile, attention_matrices, rank_profile

Objective = Literal["masked", "causal", "none"]
_SHORTEST = 8


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the probes say of a model on a text.

    stack: where the blocks are, such as "bert.encoder.layer". objective: which loss the effective depth is of;
    "none" where the model has no language-model head, and then ``effective`` and ``gradients`` are None.
    ranks: one profile for each layer; empty where the model keeps its attention to itself.
    """

    model: str
    stack: str
    rows: int
    tokens: int
    objective: Objective
    depth: DepthProfile
    effective: EffectiveDepth | None
    gradients: tuple[float, ...] | None
    ranks: tuple[RankProfile, ...]

    def to_dict(self) -> dict[str, Any]:
        from dataclasses import asdict

        return asdict(self)


def inspect_model(
    name_or_path: str, text: str, *, length: int = 128, rows: int = 8, mask_rate: float = 0.15, seed: int = 0
) -> Inspection:
    """Load a bundled, local or hub model with its tokenizer and probe it.

    text: at least a few rows of it; what is left over after ``rows`` rows is not read. length: tokens of a row, special
    ones included. mask_rate, seed: of the masked tokens for models that predict them.
    Raises ModelNotFoundError, CheckpointError, DataError for too short a text, ModelError for a model without blocks.
    """
    model, tokenizer, objective, name = load_for_inspection(name_or_path)
    longest = getattr(model.config, "max_position_embeddings", None) or length
    ids_BL = token_rows(tokenizer, text, length=min(length, longest), rows=rows)
    return inspect_loaded(
        model,
        ids_BL,
        name=name,
        objective=objective,
        mask_token=tokenizer.mask_token_id,
        special=tokenizer.all_special_ids,
        mask_rate=mask_rate,
        seed=seed,
    )


def inspect_loaded(
    model: nn.Module,
    ids_BL: Tensor,
    *,
    name: str,
    objective: Objective,
    mask_token: int | None = None,
    special: Sequence[int] = (),
    mask_rate: float = 0.15,
    seed: int = 0,
) -> Inspection:
    """Probe a model that is loaded, in evaluation mode. ids: int64 [B, L], rows without padding."""
    stack = find_layers(model)[0]
    inputs_BL, labels_BL = _question(ids_BL, objective, mask_token, special, mask_rate, seed)

    def run(**more: Any) -> Any:
        return _call(model, inputs_BL, **more)

    def loss() -> Tensor:
        logits = _logits(run())
        asked = labels_BL >= 0
        if objective == "causal":
            return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels_BL[:, 1:].flatten())
        return F.cross_entropy(logits[asked].float(), labels_BL[asked])

    measured = objective != "none"
    return Inspection(
        model=name,
        stack=stack.name,
        rows=len(ids_BL),
        tokens=ids_BL.shape[1],
        objective=objective,
        depth=depth_profile(stack, run),
        effective=effective_depth(stack, loss) if measured else None,
        gradients=gradient_norms(stack, loss) if measured else None,
        ranks=_ranks(model, stack, run),
    )


def _ranks(model: nn.Module, stack: LayerStack, run: Callable[..., Any]) -> tuple[RankProfile, ...]:
    matrices = attention_matrices(model, lambda: run(output_attentions=True))
    return tuple(rank_profile(matrix.float()) for matrix in matrices[: len(stack)])


def _question(
    ids_BL: Tensor, objective: Objective, mask_token: int | None, special: Sequence[int], rate: float, seed: int
) -> tuple[Tensor, Tensor]:
    """(inputs, labels), labels -1 where nothing is asked."""
    if objective != "masked":
        return ids_BL, ids_BL
    assert mask_token is not None
    random = np.random.default_rng(seed)
    may = ~torch.isin(ids_BL, torch.tensor(list(special), dtype=ids_BL.dtype))
    draw = torch.from_numpy(random.random(tuple(ids_BL.shape)))
    chosen = may & (draw < rate)
    # each row is asked something
    chosen[torch.arange(len(ids_BL)), draw.masked_fill(~may, 2.0).argmin(dim=1)] = True
    return ids_BL.masked_fill(chosen, mask_token), ids_BL.masked_fill(~chosen, -1)


def _call(model: nn.Module, ids_BL: Tensor, **more: Any) -> Any:
    """Run a model with the arguments that it knows; of encoder and decoder, the encoder."""
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        model = model.get_encoder()  # pyright: ignore[reportCallIssue]
    known = signatures.signature(model.forward).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    wanted = {"attention_mask": torch.ones_like(ids_BL), "use_cache": False, **more}
    ours = "attention_mask" in known and "output_attentions" not in known and not open_ended
    return model(ids_BL, **{key: value for key, value in wanted.items() if key in known or (open_ended and not ours)})


def _logits(output: Any) -> Tensor:
    for name in ("logits", "prediction_logits"):
        value = getattr(output, name, None)
        if value is not None:
            return value
    raise MissingHeadError(f"a {type(output).__name__} holds no logits over the vocabulary")


def load_for_inspection(name_or_path: str) -> tuple[nn.Module, Any, Objective, str]:
    """(model, tokenizer, objective, name), attention written out so that its matrices can be had."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    from ironwok.models.bundled import resolve_model
    from ironwok.models.loading import load_model, quiet, read_config, read_released
    from ironwok.zero_shot.loading import tokenizer_of

    source = resolve_model(name_or_path)
    released = read_released(source)
    config = released[0] if released is not None else read_config(source)
    kind = type(config)
    objective: Objective = "none"
    try:
        with quiet():
            if kind in AutoModelForMaskedLM._model_mapping and not getattr(config, "is_decoder", False):
                try:
                    model, objective = load_model(source, head="mlm"), "masked"
                except MissingHeadError:
                    model = load_model(source, head="base")
            elif kind in AutoModelForCausalLM._model_mapping:
                model, objective = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32), "causal"
            else:
                model = load_model(source, head="base")
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{name_or_path}: cannot be loaded ({str(error).strip().splitlines()[0]})") from error
    tokenizer = tokenizer_of(source)
    if objective == "masked" and tokenizer.mask_token_id is None:
        objective = "none"
    if hasattr(model, "set_attn_implementation") and getattr(model, "_supports_attention_backend", True):
        model.set_attn_implementation("eager")
    return model.eval(), tokenizer, objective, str(name_or_path)


def token_rows(tokenizer: Any, text: str, *, length: int, rows: int) -> Tensor:
    """int64 [B, L]: the text in rows of ``length`` tokens, each with the special tokens that the model expects.

    Raises DataError where the text is shorter than one row of 8 tokens.
    """
    whole = tokenizer("a")["input_ids"]
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    begin = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    before, after = whole[:begin], whole[begin + len(bare) :]
    room = length - len(before) - len(after)
    # a token has 20 characters at most on average in any text that is one
    ids = tokenizer(text[: 20 * room * rows], add_special_tokens=False, verbose=False)["input_ids"]
    room = min(room, len(ids))
    if room < _SHORTEST:
        raise DataError(
            f"the text has {len(ids)} tokens, and a row of {length} has room for {room}: the probes need "
            f"{_SHORTEST} at least"
        )
    count = min(rows, len(ids) // room)
    return torch.tensor([[*before, *ids[row * room : (row + 1) * room], *after] for row in range(count)])


def write_inspection(found: Inspection, folder: Path) -> list[Path]:
    """Write ``inspection.json``, ``depth.png`` and, where there are ranks, ``ranks.png``."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "inspection.json"]
    replace_file(written[0], json_line(found.to_dict()))
    name = found.model

    def panel(title: str, label: str, values: Sequence[float], *, log: bool = False) -> Panel:
        return Panel(title, "block", label, [Line(name, range(len(values)), [values])], log_y=log)

    panels = [
        panel("growth of the stream", "mean square of x_t", found.depth.square_norms, log=True),
        panel("consecutive inputs", "cosine", found.depth.cosines),
    ]
    if found.effective is not None:
        panels.append(panel("a block dropped", "loss added (nats)", found.effective.dropped))
        panels.append(panel("a block and the next swapped", "loss added (nats)", found.effective.swapped))
    draw_panels(folder / "depth.png", panels, names=[name])
    written.append(folder / "depth.png")
    if found.ranks:
        draw_panels(folder / "ranks.png", _rank_panels(found, name), names=[name])
        written.append(folder / "ranks.png")
    return written


def _rank_panels(found: Inspection, name: str) -> list[Panel]:
    layers = range(len(found.ranks))

    def heads(pick: Callable[[RankProfile], Sequence[float]]) -> list[Line]:
        # a row for each head, so that the band goes from the lowest head to the highest
        rows = list(zip(*(pick(profile) for profile in found.ranks), strict=True))
        return [Line(name, layers, rows)]

    return [
        Panel("effective rank / n, by head", "layer", "share", heads(lambda profile: profile.effective)),
        Panel("numerical rank / n, by head", "layer", "share", heads(lambda profile: profile.numerical)),
        Panel("log |det| / n, by head", "layer", "nats", heads(lambda profile: profile.log_determinants)),
    ]
