"""The next-sentence model as an ONNX file, for onnxruntime: exported, checked, and used only where it is faster.

::

    prepare(model) -> cache/onnx/KEY.onnx   the graph, batch and length open, checked against torch
                   -> cache/onnx/KEY.json   how long both took, by number of threads
    faster(model)  -> OnnxNextSentence, where that says so, else None

KEY is a digest of weights and configuration: other weights are another file. Needs `pip install 'ironwok[onnx]'`.
"""

# B batch, L tokens

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import NextSentencePredictorOutput

from ironwok.errors import CheckpointError, MissingExtraError, ModelError
from ironwok.files import cache_folder, replace_file

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
TOLERANCE = 1e-4  # of logits in float32, which are of the order of 1
MARGIN = 1.05  # times as fast, before it is worth another runtime
_OPSET = 20
_VERSION = 1  # of the graph
_SHAPE = (16, 48)  # rows and tokens of what is timed, about what a zero-shot batch has
_ROUNDS = 7


class OnnxNextSentence:
    """Stands in for a next-sentence model: the same inputs as tensors, logits [B, 2] as a tensor.

    path: of an exported file. threads: of onnxruntime, those of torch if None. Raises MissingExtraError without
    onnxruntime, CheckpointError for a file that it cannot load.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common class for what can be wrong with a file
            raise CheckpointError(f"{path}: onnxruntime cannot load it ({error})") from error

    def __call__(self, **inputs: Tensor) -> NextSentencePredictorOutput:
        ids = inputs["input_ids"]
        absent = {"attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
        arrays = {name: inputs.get(name, absent.get(name, ids)) for name in INPUTS}
        given = {name: np.ascontiguousarray(array.long().numpy()) for name, array in arrays.items()}
        (logits,) = self._session.run(None, given)
        return NextSentencePredictorOutput(logits=torch.from_numpy(logits))


class _Logits(nn.Module):
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        output = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids, return_dict=True
        )
        logits = getattr(output, "seq_relationship_logits", None)
        return output.logits if logits is None else logits


def export_next_sentence(model: PreTrainedModel, path: Path) -> float:
    """Write a next-sentence model to an ONNX file, batch and length open; weights inside, in float32.

    Returns the greatest difference from torch over rows of several shapes, padded ones among them. Raises
    MissingExtraError without onnx, onnxscript and onnxruntime, ModelError for a model of another number format, one
    that cannot be exported, or one whose file differs by more than TOLERANCE; then no file is left.
    """
    _require("onnx", "onnxscript", "onnxruntime")
    if model.dtype != torch.float32 or model.device.type != "cpu":
        raise ModelError(f"the model is {model.dtype} on {model.device}: only float32 on the processor is exported")
    wrapped = _Logits(model).eval()
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with _silence():
            program = torch.onnx.export(
                wrapped,
                tuple(random_inputs(model, 3, 20, seed=0).values()),
                dynamo=True,
                input_names=list(INPUTS),
                output_names=["logits"],
                dynamic_shapes=(free, free, free),
                opset_version=_OPSET,
                verbose=False,
            )
    except Exception as error:  # whatever the exporter meets
        raise ModelError(f"{type(model).__name__} cannot be exported to ONNX: {str(error).splitlines()[0]}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        fresh = Path(folder) / "model.onnx"
        with _silence():
            program.save(fresh, external_data=False)  # pyright: ignore[reportOptionalMemberAccess]
        difference = greatest_difference(wrapped, OnnxNextSentence(fresh))
        if not difference <= TOLERANCE:
            raise ModelError(f"the exported model differs from torch by {difference:.2g}, more than {TOLERANCE:.0e}")
        os.replace(fresh, path)
    return difference


def greatest_difference(wrapped: nn.Module, exported: OnnxNextSentence) -> float:
    """Of the logits of both, over batches of one row and of many, of few tokens and of many."""
    differences = []
    for seed, (rows, tokens) in enumerate(((1, 4), (5, 33), (2, 128), (16, 48))):
        inputs = random_inputs(wrapped.model, rows, tokens, seed=seed + 1)  # pyright: ignore[reportArgumentType]
        with torch.inference_mode():
            wanted = wrapped(**inputs)
        given = exported(**inputs).logits
        differences.append(float((wanted - given).abs().max()) if given is not None else float("inf"))
    return max(differences)


def random_inputs(model: PreTrainedModel, rows: int, tokens: int, *, seed: int) -> dict[str, Tensor]:
    """INPUTS in their order, integers [B, L]: random token ids in two segments, the last row padded by a quarter."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, model.config.vocab_size, (rows, tokens), generator=generator)
    mask, segments = torch.ones_like(ids), torch.zeros_like(ids)
    segments[:, tokens // 2 :] = 1
    mask[-1, tokens - tokens // 4 :] = 0
    return dict(zip(INPUTS, (ids, mask, segments), strict=True))


@dataclass(frozen=True, slots=True)
class Timing:
    """Median seconds of one batch, and how many times as fast onnxruntime is, as the median within a round."""

    torch: float
    onnx: float
    ratio: float


def compare_speed(model: PreTrainedModel, exported: OnnxNextSentence, *, rounds: int = _ROUNDS) -> Timing:
    """Time both on the same batch, in turns, so that a machine that slows down slows both."""
    ways = {"torch": _Logits(model).eval(), "onnx": exported}
    seconds = time_in_turns(ways, random_inputs(model, *_SHAPE, seed=0), rounds=rounds)
    medians = {name: statistics.median(own) for name, own in seconds.items()}
    return Timing(**medians, ratio=median_ratio(seconds["torch"], seconds["onnx"]))


def time_in_turns(
    ways: Mapping[str, Callable[..., object]],
    inputs: Mapping[str, Tensor],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each round, for each of several ways to run a model; before the first they run twice unmeasured."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-2, rounds):
        for name, way in ways.items():
            began = clock()
            with torch.inference_mode():
                way(**inputs)
            if number >= 0:
                seconds[name].append(clock() - began)
    return seconds


def median_ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """How many times as long ``one`` took as ``other``, as the median within a round."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True, slots=True)
class Prepared:
    """An exported model in the cache: its file, its difference from torch (0 if it was there), both timed."""

    path: Path
    difference: float
    timing: Timing
    threads: int

    @property
    def used(self) -> bool:
        return self.timing.ratio >= MARGIN


def prepare(model: PreTrainedModel, *, cache: Path | None = None) -> Prepared:
    """Export a next-sentence model into the cache, unless it is there, and time it for torch's number of threads.

    What was measured before for this number of threads is measured anew. Raises as `export_next_sentence`.
    """
    _require("onnx", "onnxscript", "onnxruntime")
    path, threads = _place(model, cache), torch.get_num_threads()
    difference = 0.0 if path.is_file() else export_next_sentence(model, path)
    timing = compare_speed(model, OnnxNextSentence(path))
    verdict = {**_read_verdict(path), str(threads): {"torch": timing.torch, "onnx": timing.onnx, "ratio": timing.ratio}}
    replace_file(path.with_suffix(".json"), json.dumps(verdict, indent=1).encode())
    return Prepared(path, difference, timing, threads)


def faster(model: PreTrainedModel, *, cache: Path | None = None) -> OnnxNextSentence | None:
    """The exported model, where `prepare` found it faster with as many threads as torch has now; None elsewhere.

    Costs a digest of the weights where something is in the cache, next to nothing where not. $IRONWOK_ONNX=0 says no.
    """
    folder = (cache or cache_folder()) / "onnx"
    if os.environ.get("IRONWOK_ONNX") == "0" or not folder.is_dir() or not importlib.util.find_spec("onnxruntime"):
        return None
    if model.dtype != torch.float32 or model.device.type != "cpu":
        return None
    path = _place(model, cache)
    known = _read_verdict(path).get(str(torch.get_num_threads()))
    if known is None or not path.is_file() or known["ratio"] < MARGIN:
        return None
    return OnnxNextSentence(path)


def _place(model: PreTrainedModel, cache: Path | None) -> Path:
    return (cache or cache_folder()) / "onnx" / f"{_key(model)}.onnx"


def _key(model: PreTrainedModel) -> str:
    digest = hashlib.blake2b(digest_size=16)
    facts = [_VERSION, type(model).__name__, torch.__version__, model.config.to_diff_dict()]
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy().data)
    return digest.hexdigest()


def _read_verdict(path: Path) -> Mapping[str, Any]:
    try:
        verdict = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return verdict if isinstance(verdict, dict) else {}


def _runtime() -> Any:
    _require("onnxruntime")
    import onnxruntime

    return onnxruntime


def _require(*packages: str) -> None:
    if any(importlib.util.find_spec(package) is None for package in packages):
        raise MissingExtraError("onnx", feature="a model in ONNX")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter talks on every channel that there is."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
