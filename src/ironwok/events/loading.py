"""A trained extraction model with its tokenizer and its classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok.errors import CheckpointError, ModelNotFoundError
from ironwok.events.classes import TaskClasses

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ironwok.models import GPLinkerConfig, GPLinkerModel


def read_extraction_config(model: str | os.PathLike[str]) -> GPLinkerConfig:
    """Raises ModelNotFoundError, and CheckpointError for a model that is not for extraction."""
    from ironwok.models import GPLinkerConfig, resolve_model
    from ironwok.models.loading import read_config

    source = resolve_model(model)
    if Path(source).is_dir() and not (Path(source) / "config.json").exists():
        raise ModelNotFoundError(f"{source} holds no model: a model is a folder with config.json and model.safetensors")
    config = read_config(source)
    if not isinstance(config, GPLinkerConfig):
        raise CheckpointError(
            f"{os.fspath(model)} is a {config.model_type!r} model, which finds no events, entities or relations: "
            f"train one on it with `ironwok train events --model {os.fspath(model)} …`"
        )
    return config


def read_task(model: str | os.PathLike[str]) -> str:
    """What a model finds: "events", "entities" or "relations". Raises as `read_extraction_config` does."""
    return read_extraction_config(model).task


def load_extraction_model(
    model: str | os.PathLike[str], *, device: str | None = None, dtype: str | None = None
) -> tuple[GPLinkerModel, PreTrainedTokenizerBase, TaskClasses]:
    """A model in evaluation mode, its tokenizer, and what its numbers mean.

    Raises ModelNotFoundError and CheckpointError, InputError for a device or number format that is not there.
    """
    from safetensors import SafetensorError
    from transformers import AutoTokenizer

    from ironwok.models import GPLinkerModel, resolve_model
    from ironwok.models.devices import pick_device, pick_dtype
    from ironwok.models.loading import quiet
    from ironwok.text.tokenizer import load_tokenizer

    config = read_extraction_config(model)
    source, where = resolve_model(model), pick_device(device)
    classes = TaskClasses.from_config(config, place=os.fspath(model))
    try:
        with quiet():
            loaded: Any = GPLinkerModel.from_pretrained(
                source, dtype=pick_dtype(dtype, where), output_loading_info=True
            )
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(f"the weights of {source} cannot be loaded: {error}") from error
    network, info = loaded
    wrong = sorted(info["missing_keys"]) + sorted(info["unexpected_keys"])
    if wrong:
        raise CheckpointError(f"the weights of {source} are not those of its config.json, for one {wrong[0]}")
    try:
        tokenizer = load_tokenizer(source) if Path(source).is_dir() else AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{source} has no tokenizer that can be read: {error}") from error
    return network.to(where).eval(), tokenizer, classes
