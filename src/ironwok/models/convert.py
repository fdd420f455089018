"""Released RoFormerV2 checkpoints in other people's names, turned into ours.

Two kinds are known, each with token, segment and layer weights alone (no pooler, no next-sentence head):

- bert4keras: a TensorFlow checkpoint ``bert_model.ckpt.*``, ``bert_config.json`` and ``vocab.txt`` in a folder,
  kernels stored [in, out] under names such as ``bert/encoder/layer_0/attention/self/query/kernel``;
- the PyTorch port on the hub (``junnyu/roformer_v2_chinese_char_small`` and others): a ``roformer`` configuration with
  ``norm_type`` "rms_norm", weights [out, in] such as ``roformer.encoder.layer.0.attention.self.query.weight``.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.utils.hub import cached_file

from ironwok.errors import CheckpointError, OutputError
from ironwok.models.bundled import bundled_names
from ironwok.models.configuration import RoFormerV2Config
from ironwok.models.tensor_bundle import TensorBundle

# of the port: derived from sizes (positions), never trained (pooler), or held a second time (decoder, checked)
_NOT_NEEDED = re.compile(r"(roformer\.pooler\.|.*embed_positions\.|.*position_ids$)")
_DECODER = "cls.predictions.decoder.weight"
_WORDS = "roformer.embeddings.word_embeddings.weight"
_LAYER = re.compile(r"roformer\.encoder\.layer\.(\d+)\.(.+)\.weight")
_PARTS = {
    "attention.output.dense": "attention.branch.output",
    "intermediate.dense": "feed_forward.branch.up",
    "output.dense": "feed_forward.branch.down",
}
_PROJECTIONS = tuple(f"attention.self.{part}" for part in ("query", "key", "value"))
_CONFIG_FILES = ("bert_config.json", "config.json")
_PYTORCH_FILES = ("model.safetensors", "pytorch_model.bin")


def is_port(config: PreTrainedConfig) -> bool:
    """Whether the configuration is that of the PyTorch port of RoFormerV2 (not of the first RoFormer)."""
    return config.model_type == "roformer" and getattr(config, "norm_type", None) == "rms_norm"


def tensorflow_prefix(folder: str | os.PathLike[str]) -> Path | None:
    """The prefix of the one TensorFlow checkpoint in a folder, or None. Raises CheckpointError for several."""
    found = sorted(Path(folder).glob("*.index"))
    if len(found) > 1:
        raise CheckpointError(f"{folder} holds {len(found)} TensorFlow checkpoints: {', '.join(p.name for p in found)}")
    return found[0].with_suffix("") if found else None


def read_tensorflow(prefix: Path) -> tuple[RoFormerV2Config, dict[str, Tensor]]:
    """Configuration and weights, in our names, of a bert4keras checkpoint. Raises CheckpointError."""
    for name in _CONFIG_FILES:
        path = prefix.parent / name
        if path.is_file():
            config = convert_config(_read_json(path))
            break
    else:
        raise CheckpointError(f"{prefix.parent} has weights but neither {' nor '.join(_CONFIG_FILES)}")
    bundle = TensorBundle(prefix)
    state = {}
    for name in bundle.names():
        if name.startswith(("bert/", "cls/")):  # the rest belongs to optimizers
            tensor = torch.from_numpy(bundle.read(name).copy())
            state[_port_name(name)] = tensor.T.contiguous() if name.endswith("/kernel") else tensor
    return config, convert_state_dict(state, config)


def read_port(source: str, config: PreTrainedConfig) -> tuple[RoFormerV2Config, dict[str, Tensor]]:
    """Configuration and weights, in our names, of a PyTorch port in a folder or on the hub. Raises CheckpointError."""
    ours = convert_config(config.to_dict())
    for name in _PYTORCH_FILES:
        path = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
        if path is not None:
            return ours, convert_state_dict(read_weights(path), ours)
    raise CheckpointError(f"{source} has a configuration but neither {' nor '.join(_PYTORCH_FILES)}")


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` or ``.bin`` file. Raises CheckpointError for damaged ones."""
    import pickle

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if os.fspath(path).endswith(".safetensors"):
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or holds no weights: {first_line(error)}") from error


def convert_config(record: Mapping[str, Any]) -> RoFormerV2Config:
    """Our configuration from a released one, ``bert_config.json`` or the port's ``config.json``.

    Raises CheckpointError for what RoFormerV2 does not have: biases, another norm, narrower embeddings, turned values.
    """
    try:
        sizes = {
            key: int(record[key])
            for key in (
                "vocab_size",
                "hidden_size",
                "num_hidden_layers",
                "num_attention_heads",
                "intermediate_size",
            )
        }
    except KeyError as error:
        raise CheckpointError(f"the configuration has no {error}: it is not that of a RoFormerV2") from error
    foreign = {
        "embedding_size": (record.get("embedding_size") or sizes["hidden_size"]) != sizes["hidden_size"],
        "use_bias": bool(record.get("use_bias", False)),
        "norm_type": record.get("norm_type", "rms_norm") != "rms_norm",
        "rotary_value": bool(record.get("rotary_value", False)),
        "is_decoder": bool(record.get("is_decoder", False)),
    }
    for key, is_foreign in foreign.items():
        if is_foreign:
            raise CheckpointError(
                f"{key} is {record[key]!r}, which RoFormerV2 does not have; "
                "a RoFormer of the first version loads with transformers' own RoFormer classes"
            )
    return RoFormerV2Config(
        **sizes,  # pyright: ignore[reportArgumentType]  # the keys above, not just any
        hidden_act=record.get("hidden_act", "relu"),
        hidden_dropout_prob=record.get("hidden_dropout_prob", 0.1),
        attention_probs_dropout_prob=record.get("attention_probs_dropout_prob", 0.1),
        max_position_embeddings=int(record.get("max_position_embeddings", 512)),
        type_vocab_size=int(record.get("type_vocab_size", 2)),
        norm_eps=float(record.get("layer_norm_eps", 1e-12)),
    )


def convert_state_dict(state: Mapping[str, Tensor], config: RoFormerV2Config) -> dict[str, Tensor]:
    """The port's weights in our names, for `RoFormerV2ForMaskedLM` and the others (no pooler, no next-sentence head).

    Raises CheckpointError for encoder weights that RoFormerV2 does not have, or that are missing.
    """
    ours: dict[str, Tensor] = {}
    projections: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer = _LAYER.fullmatch(name)
        if layer and layer[2] in _PARTS:
            ours[f"roformer.encoder.blocks.{layer[1]}.{_PARTS[layer[2]]}.weight"] = tensor
        elif layer and layer[2] in _PROJECTIONS:
            projections[name] = tensor
        elif re.fullmatch(r"roformer\.embeddings\.(word|token_type)_embeddings\.weight", name):
            ours[name] = tensor
        elif name.startswith("roformer.") and not _NOT_NEEDED.match(name):
            raise CheckpointError(f"the checkpoint has {name}, which RoFormerV2 does not have")
    for layer in range(config.num_hidden_layers):
        names = [f"roformer.encoder.layer.{layer}.{part}.weight" for part in _PROJECTIONS]
        if missing := [name for name in names if name not in projections]:
            raise CheckpointError(f"the checkpoint lacks {', '.join(missing)}")
        fused = torch.cat([projections.pop(name) for name in names])
        ours[f"roformer.encoder.blocks.{layer}.attention.branch.query_key_value.weight"] = fused
    if projections:
        raise CheckpointError(
            f"the checkpoint has more layers than the {config.num_hidden_layers} of its configuration: "
            f"{min(projections)}"
        )
    if _DECODER in state and not torch.equal(state[_DECODER], ours.get(_WORDS, torch.empty(0))):
        raise CheckpointError(f"{_DECODER} differs from {_WORDS}: RoFormerV2 shares them")
    return ours


def convert(source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> Path:
    """Write a released checkpoint as a folder of ours: config.json, model.safetensors and, if it has one, a tokenizer.

    source: a folder (bert4keras or port), the prefix of a TensorFlow checkpoint, or the hub id of a port.
    destination: a folder, made if needed; files of the same names are replaced, once all are written.
    Returns the destination. Raises CheckpointError and ModelNotFoundError, OutputError for what cannot be written.
    """
    from transformers import BertTokenizer

    from ironwok.models.heads import RoFormerV2ForMaskedLM
    from ironwok.models.loading import quiet, read_released

    folder = Path(destination)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder for the converted model")
    if os.fspath(source) in bundled_names():
        raise CheckpointError(f"{source} is a model of ours already: there is nothing to convert")
    with quiet():
        released = read_released(os.fspath(source))
        if released is None:
            raise CheckpointError(f"{source} is no released RoFormerV2: neither a bert4keras checkpoint nor the port")
        config, state = released
        model, info = RoFormerV2ForMaskedLM.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
            None, config=config, state_dict=state, output_loading_info=True
        )
        if info["missing_keys"]:
            raise CheckpointError(f"{source} lacks {', '.join(sorted(info['missing_keys']))}")
        vocabulary = _vocabulary(os.fspath(source))
        tokenizer = None
        if vocabulary is not None:
            limit = config.max_position_embeddings
            tokenizer = BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=limit)
        with _written_whole(folder) as building:
            model.save_pretrained(building)
            if tokenizer is not None:
                tokenizer.save_pretrained(building)
    return folder


@contextmanager
def _written_whole(folder: Path) -> Iterator[Path]:
    """A folder to write to, whose files move to ``folder`` when all is well. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".converting-") as building:
            yield Path(building)
            for file in Path(building).iterdir():
                file.replace(folder / file.name)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{folder}: the converted model cannot be written ({first_line(error)})") from error


def _vocabulary(source: str) -> str | None:
    path = Path(source)
    if not path.is_dir() and path.parent.joinpath("vocab.txt").is_file():
        return str(path.parent / "vocab.txt")
    return cached_file(
        source, "vocab.txt", _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
    )


def _port_name(name: str) -> str:
    """The port's name of a bert4keras variable."""
    name = re.sub(r"layer_(\d+)", r"layer/\1", name.replace("bert/", "roformer/", 1))
    return name.removesuffix("/kernel").replace("/", ".") + ".weight"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no readable JSON: {first_line(error)}") from error
    if not isinstance(record, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return record


def first_line(error: BaseException) -> str:
    """The first line of an error's text: some of them go on for pages."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
