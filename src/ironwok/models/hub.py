"""Whether the hub has a model, found out at once."""

from __future__ import annotations

import importlib
from pathlib import Path

from ironwok.errors import ModelNotFoundError
from ironwok.models.bundled import model_hint

_TIMEOUT = 10.0  # seconds
_REFUSED = (401, 403, 404)


def check_hub(name: str) -> None:
    """Ask the hub once for a model that is neither a folder nor in the cache.

    ``transformers`` asks again and again, half a minute for each file, where there is no connection.
    Raises ModelNotFoundError.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    if Path(name).is_dir() or constants.HF_HUB_OFFLINE:
        return
    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
        get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=_TIMEOUT)
    except (OSError, ValueError, *_transport_errors()) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        found = "has no such model, or keeps it private" if status in _REFUSED else f"cannot be asked ({reason})"
        raise ModelNotFoundError(
            f"{name!r} is neither bundled nor a folder nor in the cache, and the hub {found}; {model_hint(name)}"
        ) from error


def _transport_errors() -> tuple[type[Exception], ...]:
    """What the HTTP library of huggingface_hub raises without a connection; which library depends on the version."""
    from huggingface_hub import get_session

    library = importlib.import_module(type(get_session()).__module__.partition(".")[0])
    return (library.HTTPError,)
