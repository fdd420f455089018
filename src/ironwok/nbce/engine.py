"""A causal language model that reads rows of tokens and can be asked how likely the next ones are."""

# R rows, L positions, V vocabulary

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache

from ironwok.errors import ModelError
from ironwok.nbce.rows import Rows, from_cache

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Attention that needs nothing but keys and values: everything that left padding and dropped rows leave intact.
_LAYER_TYPES = {"full_attention", "sliding_attention"}
_TOGETHER = 16  # continuations of one row that are read at once


class Engine:
    """Reads left-padded rows with a cache, at the positions that each row has by itself.

    model: a causal LM in evaluation mode. used: token ids that stand for text; others, with which vocabularies are
    filled up to a round number, are never predicted.
    Raises ModelError for a model whose memory is not keys and values (recurrent layers): it would remember padding.
    """

    def __init__(self, model: PreTrainedModel, *, used: Iterable[int] | None = None) -> None:
        config = model.config.get_text_config(decoder=True)
        kinds = set(getattr(config, "layer_types", None) or ()) - _LAYER_TYPES
        if kinds or getattr(model, "_is_stateful", False):
            named = ", ".join(sorted(kinds)) or type(model).__name__
            raise ModelError(
                f"{config.model_type} has layers of the kind {named}: many contexts at once need a model "
                "whose layers are full_attention or sliding_attention"
            )
        if getattr(model.config, "is_encoder_decoder", False):
            raise ModelError(
                f"{type(model).__name__} reads with an encoder: many contexts need a causal language model"
            )
        self.model = model
        parameters = inspect.signature(model.forward).parameters
        self._can_keep = "logits_to_keep" in parameters
        self.takes_positions = "position_ids" in parameters
        head = model.get_output_embeddings()
        if head is None:
            raise ModelError(f"{type(model).__name__} has no head that predicts tokens: it is no language model")
        size = head.weight.shape[0]
        embeddings: Any = model.get_input_embeddings()
        read = embeddings.weight.shape[0]
        if used is not None and (largest := max(used := list(used), default=0)) >= read:
            raise ModelError(
                f"the tokenizer has ids up to {largest}, the model knows {read}: they do not belong together, or the "
                "model's embeddings were not resized after tokens were added"
            )
        self._unused = torch.ones(size, dtype=torch.bool)
        self._unused[torch.tensor([i for i in (range(size) if used is None else used) if i < size])] = False
        self._any_unused = bool(self._unused.any())
        self._unused = self._unused.to(model.device)
        self.limit: int | None = getattr(config, "max_position_embeddings", None)
        """Tokens that a row may have in all; None where the model names no bound."""

    @property
    def device(self) -> torch.device:
        return self.model.device

    def read(self, rows: Sequence[Sequence[int]]) -> tuple[Rows, Tensor]:
        """Read rows from their beginning.

        rows: token ids, at least one each, of any lengths. Returns what was read, and log p of the token that comes
        next, float32 [R, V].
        """
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        for number, row in enumerate(rows):
            ids[number, longest - len(row) :] = torch.tensor(row, dtype=torch.long)
            mask[number, longest - len(row) :] = True
        # padding takes position 0; nothing looks at it
        positions = (mask.long().cumsum(dim=1) - 1).clamp(min=0)
        read, logits = self._forward(ids, mask, positions, DynamicCache(), last=1)
        return read, self._log_p(logits[:, -1])

    def extend(self, rows: Rows, ids: Sequence[int]) -> tuple[Rows, Tensor]:
        """Let every row read the same tokens on; ``rows`` stays usable.

        Returns the longer rows, and log p of the token that comes next, float32 [R, V].
        """
        longer, logits = self._extend(rows, ids, last=1)
        return longer, self._log_p(logits[:, -1])

    def score(self, rows: Rows, following: Tensor, ids: Sequence[int]) -> tuple[Rows, Tensor, Tensor]:
        """The same, and how likely each row holds the tokens to be.

        following: log p of the first of them, float [R, V], as `read` returns it. The third value is the sum of their
        log-likelihoods in nats, float64 [R], on the CPU.
        """
        longer, logits = self._extend(rows, ids, last=len(ids))
        likelihood = torch.zeros(len(rows), dtype=torch.float64)
        log_p = following
        # token by token: log p of all of them at once would be the largest tensor of all
        for place, token in enumerate(ids):
            likelihood += log_p[:, token].double().cpu()
            log_p = self._log_p(logits[:, place])
        return longer, log_p, likelihood

    def score_each(
        self, rows: Rows, following: Tensor, sequences: Sequence[Sequence[int]], *, ends: Collection[int] = ()
    ) -> list[tuple[Tensor, Tensor]]:
        """How likely one row holds each of several continuations to be, token by token.

        rows: one row; following: log p of what comes next, float [1, V]. sequences: token ids, at least one each.
        Returns for each sequence log p of its tokens given those before, and log of the probability that one of
        ``ends`` comes behind each of them (−inf where none was named), both float64 [tokens], on the CPU.
        """
        found = []
        stops = torch.tensor(sorted(ends), dtype=torch.long, device=self.device)
        for first in range(0, len(sequences), _TOGETHER):
            some = sequences[first : first + _TOGETHER]
            longest = max(map(len, some))
            # padding stands behind the tokens, which do not see what comes
            ids = torch.tensor([[*one, *([0] * (longest - len(one)))] for one in some], dtype=torch.long)
            many = rows.select([0] * len(some))
            positions = many.positions[:, None] + torch.arange(longest, device=many.positions.device)
            mask = torch.cat([many.mask, many.mask.new_ones(len(some), longest)], dim=1)
            _, logits = self._forward(ids, mask, positions, many.cache(), last=longest)
            for place, one in enumerate(some):
                log_p = self._log_p(logits[place, : len(one)])
                before = torch.cat([following, log_p[:-1]])
                tokens = torch.tensor([list(one)], device=self.device).T
                ended = log_p[:, stops].double().logsumexp(-1) if len(stops) else log_p[:, 0].double() * 0 - torch.inf
                found.append((before.gather(1, tokens)[:, 0].double().cpu(), ended.cpu()))
        return found

    def _extend(self, rows: Rows, ids: Sequence[int], *, last: int) -> tuple[Rows, Tensor]:
        tokens = torch.tensor([list(ids)], dtype=torch.long).expand(len(rows), -1)
        positions = rows.positions[:, None] + torch.arange(len(ids), device=rows.positions.device)
        mask = torch.cat([rows.mask, rows.mask.new_ones(len(rows), len(ids))], dim=1)
        return self._forward(tokens, mask, positions, rows.cache(), last=last)

    @torch.inference_mode()
    def _forward(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache, *, last: int
    ) -> tuple[Rows, Tensor]:
        """Returns the rows, and the logits after their last tokens, [R, last, V]."""
        device = self.device
        arguments: dict[str, object] = {"logits_to_keep": last} if self._can_keep else {}
        if self.takes_positions:  # models with relative biases (ALiBi) go by the mask
            arguments["position_ids"] = positions.to(device)
        out = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device, torch.long),
            past_key_values=cache,
            use_cache=True,
            **arguments,
        )
        return from_cache(cache, mask.to(device), positions[:, -1].to(device) + 1), out.logits[:, -last:]

    def _log_p(self, logits: Tensor) -> Tensor:
        """float32 [R, V]. Raises ModelError for NaN and infinity."""
        logits = logits.float()
        if self._any_unused:
            logits = logits.masked_fill(self._unused, -torch.inf)
        log_p = torch.log_softmax(logits, dim=-1)
        broken = torch.isnan(log_p).any(dim=-1)  # also of infinite logits
        if bool(broken.any()):
            raise ModelError(
                f"the model returned NaN or infinity for {int(broken.sum())} of {len(broken)} rows: its weights are "
                f"damaged, or {self.model.dtype} is too narrow for it (dtype='float32' is wider)"
            )
        return log_p
