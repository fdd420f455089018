"""A model with the head that a scorer needs, and its tokenizer."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Literal

from ironwok.errors import CheckpointError, MissingHeadError, ModelNotFoundError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ironwok.models.onnx import OnnxNextSentence

# what holds a vocabulary; a tokenizer_config.json alone holds none
_VOCABULARIES = ("tokenizer.*", "vocab*", "*.model", "*.codes", "*vocab.json")


def load_encoder(
    model: str, *, head: Literal["nsp", "mlm"], device: str | None, dtype: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder by bundled name, folder or hub id.

    Raises what ``ironwok.models.load_model`` raises, CheckpointError for a tokenizer that cannot be read, InputError
    for a device or number format that is not there.
    """
    from ironwok.models import load_model, resolve_model
    from ironwok.models.devices import pick_device, pick_dtype

    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    return load_model(model, head=head, device=where, dtype=precision), tokenizer_of(resolve_model(model))


def exported_encoder(encoder: PreTrainedModel) -> OnnxNextSentence | None:
    """The same model for onnxruntime, where it was exported and found faster on this machine; None elsewhere."""
    from ironwok.models.onnx import faster

    return faster(encoder)


def load_inference_model(
    model: str, *, device: str | None, dtype: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a sequence classifier. Raises MissingHeadError where the checkpoint has no weights for its head."""
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification

    from ironwok.models import resolve_model
    from ironwok.models.convert import first_line
    from ironwok.models.devices import pick_device, pick_dtype
    from ironwok.models.loading import quiet, read_config

    source, where = resolve_model(model), pick_device(device)
    precision = pick_dtype(dtype, where)
    read_config(source)
    try:
        with quiet():
            encoder, report = AutoModelForSequenceClassification.from_pretrained(
                source, dtype=precision, output_loading_info=True
            )
    except (OSError, RuntimeError, ValueError, SafetensorError, UnpicklingError) as error:
        message = f"{model} cannot be loaded as a sequence classifier: {first_line(error)}"
        raise CheckpointError(message) from error
    absent = sorted(report["missing_keys"])
    if absent:
        raise MissingHeadError(
            f"{model} has no classification head (it lacks {', '.join(absent[:3])}): scorer='nli' "
            f"(--scorer nli) needs a model trained on natural language inference, 'nsp' or 'pet' any pretrained encoder"
        )
    return encoder.to(where).eval(), tokenizer_of(source)


def tokenizer_of(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id; a folder with nothing but a ``vocab.txt`` gets the one of BERT."""
    from transformers import AutoTokenizer, BertTokenizer

    from ironwok.models.bundled import model_hint
    from ironwok.models.convert import first_line
    from ironwok.models.hub import check_hub
    from ironwok.models.loading import quiet
    from ironwok.text.tokenizer import load_tokenizer

    folder = Path(source)
    if not folder.is_dir():
        check_hub(source)
    if folder.is_dir() and not any(any(folder.glob(pattern)) for pattern in _VOCABULARIES):
        # transformers would make up an empty tokenizer for some families, and go on
        raise CheckpointError(f"{source} has no tokenizer: put the tokenizer.json (or vocab.txt) of the model into it")
    try:
        with quiet():
            if not folder.is_dir():
                return AutoTokenizer.from_pretrained(source)
            if (folder / "tokenizer.json").exists():
                return load_tokenizer(folder)
            if (folder / "vocab.txt").exists():
                return BertTokenizer.from_pretrained(folder)
            return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, ImportError) as error:
        if not folder.is_dir() and isinstance(error, OSError):
            raise ModelNotFoundError(
                f"{source!r} is neither bundled nor a folder, and the hub does not give it: {first_line(error)} "
                f"({model_hint(source)})"
            ) from error
        raise CheckpointError(f"{source} has no tokenizer that can be read: {first_line(error)}") from error
