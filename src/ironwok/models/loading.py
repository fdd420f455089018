"""Loading any model by bundled name, folder or hub id, with the head that a task needs."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForNextSentencePrediction,
    AutoModelForPreTraining,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from ironwok.errors import CheckpointError, InputError, MissingHeadError, ModelNotFoundError
from ironwok.models.bundled import DEFAULT_MODEL, model_hint, resolve_model
from ironwok.models.configuration import RoFormerV2Config
from ironwok.models.convert import first_line, is_port, read_port, read_tensorflow, tensorflow_prefix
from ironwok.models.hub import check_hub

Head = Literal["base", "mlm", "nsp", "pretraining"]

_AUTO = {
    "base": AutoModel,
    "mlm": AutoModelForMaskedLM,
    "nsp": AutoModelForNextSentencePrediction,
    "pretraining": AutoModelForPreTraining,
}
_HEAD_NAMES = {"base": "no head", "mlm": "a masked-LM head", "nsp": "a next-sentence head"}
# parts of the names of weights that belong to the next-sentence head, in every model family that has one
_NEXT_SENTENCE = ("seq_relationship", "pooler")


def load_model(
    name_or_path: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    head: Head,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> PreTrainedModel:
    """A model in evaluation mode, with weights from its checkpoint for everything that ``head`` needs.

    name_or_path: a bundled name, a folder (of ``transformers``, or a released RoFormerV2 checkpoint of bert4keras or
        its PyTorch port) or a hub id.
    head: "nsp" and "mlm" one head, "pretraining" both (where the family has both), "base" none: hidden states.
    device: where to put it, the CPU if None. dtype: float32 if None.

    Raises ModelNotFoundError where nothing of that name exists, CheckpointError for a damaged or foreign checkpoint,
    and MissingHeadError where the model family has no such head or the checkpoint no weights for it: ``transformers``
    would fill them with random numbers and go on.
    """
    if head not in _AUTO:
        raise InputError(f"head {head!r} is none of {', '.join(_AUTO)}")
    source = resolve_model(name_or_path)
    with quiet():
        model, info = _load(source, head, dtype or torch.float32)
    _check_encoder(model, info, source)
    for part in ("mlm", "nsp") if head == "pretraining" else (head,):
        if part == "nsp" and head == "pretraining" and not _may_have(model, "nsp"):
            continue  # families that were pre-trained on masked words alone
        if not has_head(model, info, part):
            raise MissingHeadError(
                f"{source} has no weights for {_HEAD_NAMES[part]}; "
                f"take a model that was trained with one, such as {DEFAULT_MODEL!r}"
            )
    return model.to(device or "cpu").eval()  # pyright: ignore[reportArgumentType]


def has_head(model: PreTrainedModel, loading_info: Mapping[str, Any], head: str) -> bool:
    """Whether the checkpoint held all weights of ``head`` ("nsp", "mlm" or "base", which is always there).

    loading_info: what ``from_pretrained(..., output_loading_info=True)`` returns beside the model.
    """
    if head == "base":
        return True
    missing = [name for name in loading_info["missing_keys"] if not _in_encoder(model, name)]
    if head == "nsp":
        return _may_have(model, "nsp") and not any(_is_next_sentence(name) for name in missing)
    return _may_have(model, "mlm") and all(_is_next_sentence(name) for name in missing)


def _may_have(model: PreTrainedModel, head: str) -> bool:
    if head == "mlm":
        return model.get_output_embeddings() is not None
    return any("seq_relationship" in name for name, _ in model.named_parameters())


def _is_next_sentence(name: str) -> bool:
    return any(part in name for part in _NEXT_SENTENCE)


def _in_encoder(model: PreTrainedModel, name: str) -> bool:
    """Whether a weight belongs to the encoder proper: in it, and not to the pooler, which only a head looks at."""
    has_prefix = name.startswith(model.base_model_prefix + ".")
    return (has_prefix or model.base_model is model) and "pooler" not in name


def _check_encoder(model: PreTrainedModel, info: Mapping[str, Any], source: str) -> None:
    missing = sorted(name for name in info["missing_keys"] if _in_encoder(model, name))
    if missing:
        raise CheckpointError(
            f"{source} lacks {len(missing)} weights of a {type(model).__name__}, the first is {missing[0]}: "
            "it is damaged, or of another architecture than its config.json says"
        )


def _load(source: str, head: Head, dtype: torch.dtype) -> tuple[PreTrainedModel, dict[str, Any]]:
    released = read_released(source)
    auto = _AUTO[head]
    if released is not None:
        config, state = released
        arguments: dict[str, Any] = {"config": config, "state_dict": state}
        where, model_class = None, auto._model_mapping[type(config)]
    else:
        config = read_config(source)
        if type(config) not in auto._model_mapping:
            raise MissingHeadError(
                f"{source} is a {config.model_type!r} model, and that family has not {_HEAD_NAMES.get(head, head)}"
            )
        arguments, where, model_class = {"config": config}, source, auto
    try:
        return model_class.from_pretrained(where, dtype=dtype, output_loading_info=True, **arguments)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(f"the weights of {source} cannot be loaded: {first_line(error)}") from error


def read_released(source: str) -> tuple[RoFormerV2Config, dict[str, Tensor]] | None:
    """Configuration and weights of a released RoFormerV2, in our names; None for all other models.

    source: a folder, a hub id, or the prefix of a TensorFlow checkpoint.
    """
    path = Path(source)
    prefix = tensorflow_prefix(path) if path.is_dir() else path if Path(f"{source}.index").is_file() else None
    if prefix is not None:
        return read_tensorflow(prefix)
    config = read_config(source)
    return read_port(source, config) if is_port(config) else None


def read_config(source: str) -> PreTrainedConfig:
    """The configuration of a folder or hub id. Raises CheckpointError and ModelNotFoundError."""
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise CheckpointError(f"{source} has no config.json: name a folder with config.json, weights and a tokenizer")
    check_hub(source)
    try:
        with quiet():
            return AutoConfig.from_pretrained(source)
    except OSError as error:
        if Path(source).is_dir():
            raise CheckpointError(f"{source} has no readable config.json: {first_line(error)}") from error
        raise ModelNotFoundError(
            f"{source!r} is neither bundled nor a folder, and the hub does not give it: {first_line(error)} "
            f"({model_hint(source)})"
        ) from error
    except ValueError as error:
        raise CheckpointError(f"the config.json of {source} is not usable: {first_line(error)}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and load reports from ``transformers`` and the hub: what they tell, we check and raise."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub = getLogger("huggingface_hub")
    hub_level = hub.level
    hub.setLevel(ERROR)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        hub.setLevel(hub_level)
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
