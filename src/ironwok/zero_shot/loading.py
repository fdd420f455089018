"""A model with the head that a scorer needs, and its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ironwok.errors import CheckpointError, InputError, MissingHeadError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = ("float32", "bfloat16", "float16", "auto")

# What Linux calls a processor's instructions for bfloat16, on x86 and on ARM. Without them it is slower than float32.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_PROCESSOR = Path("/proc/cpuinfo")


def load_encoder(
    model: str, *, head: Literal["nsp", "mlm"], device: str | None, dtype: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder by bundled name, folder or hub id.

    Raises what ``ironwok.models.load_model`` raises, CheckpointError for a tokenizer that cannot be read, InputError
    for a device or number format that is not there.
    """
    from ironwok.models import load_model, resolve_model

    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    return load_model(model, head=head, device=where, dtype=precision), tokenizer_of(resolve_model(model))


def load_inference_model(
    model: str, *, device: str | None, dtype: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a sequence classifier. Raises MissingHeadError where the checkpoint has no weights for its head."""
    from transformers import AutoModelForSequenceClassification

    from ironwok.models import resolve_model
    from ironwok.models.loading import quiet, read_config

    source, where = resolve_model(model), pick_device(device)
    precision = pick_dtype(dtype, where)
    read_config(source)
    try:
        with quiet():
            encoder, report = AutoModelForSequenceClassification.from_pretrained(
                source, dtype=precision, output_loading_info=True
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{model} cannot be loaded as a sequence classifier: {error}") from error
    absent = sorted(report["missing_keys"])
    if absent:
        raise MissingHeadError(
            f"{model} has no classification head (it lacks {', '.join(absent[:3])}): scorer='nli' needs a model "
            f"trained on natural language inference, scorer='nsp' or 'pet' any pretrained encoder"
        )
    return encoder.to(where).eval(), tokenizer_of(source)


def tokenizer_of(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id; a folder with nothing but a ``vocab.txt`` gets the one of BERT."""
    from transformers import AutoTokenizer, BertTokenizer

    from ironwok.text.tokenizer import load_tokenizer

    folder = Path(source)
    try:
        if not folder.is_dir():
            return AutoTokenizer.from_pretrained(source)
        if (folder / "tokenizer.json").exists():
            return load_tokenizer(folder)
        if (folder / "vocab.txt").exists():
            return BertTokenizer.from_pretrained(folder)
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{source} has no tokenizer that can be read: {error}") from error


def pick_device(device: str | None) -> torch.device:
    """The device by name; for None a GPU where there is one."""
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device is {device!r}; it is 'cpu', 'cuda', 'cuda:1', ...") from error
    if picked.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device is {device!r}, but torch sees no GPU here: leave it out or pass device='cpu'")
    return picked


def pick_dtype(dtype: str | None, device: torch.device) -> torch.dtype:
    """The number format by name, float32 for None; "auto" is bfloat16 where the device computes in it, else float32."""
    import torch

    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; it is one of {', '.join(DTYPES)}")
    if dtype == "auto":
        dtype = "bfloat16" if _computes_in_bfloat16(device) else "float32"
    return getattr(torch, dtype or "float32")


def _computes_in_bfloat16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu" or not _PROCESSOR.is_file():
        return False
    return not _BFLOAT16_FLAGS.isdisjoint(_PROCESSOR.read_text(encoding="utf-8").split())
