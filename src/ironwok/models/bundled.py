"""The weights that come with the package, by name."""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path

from ironwok.errors import ModelNotFoundError

DEFAULT_MODEL = "ironwok-small"
# so much alike, the hub need not be asked whether it is another model (ratio of difflib)
_MISTYPED = 0.8
_CONFIG = "config.json"
WEIGHTS = Path(__file__).parent / "weights"

# what the hub allows as "name" or "owner/name"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def bundled_names() -> tuple[str, ...]:
    """Names of the models inside the package, sorted; each has a configuration, weights and a tokenizer."""
    return tuple(sorted(path.parent.name for path in WEIGHTS.glob("*/tokenizer.json")))


def resolve_model(name_or_path: str | os.PathLike[str] = DEFAULT_MODEL) -> str:
    """Where to load a model from: the folder of a bundled name, or an existing folder or a hub id as it stands.

    The folder of a run that trained a model leads to that model.

    Raises ModelNotFoundError for what can be none of them, such as a path at which there is no folder.
    """
    name = os.fspath(name_or_path)
    if name in bundled_names():
        return str(WEIGHTS / name)
    path = Path(name).expanduser()
    if name and path.is_dir():  # an empty name would be the current folder
        run = not (path / _CONFIG).is_file() and (path / "model" / _CONFIG).is_file()
        return str(path / "model" if run else path)
    if name and path.exists():
        raise ModelNotFoundError(f"{name!r} is a file; a model is a folder with config.json and model.safetensors")
    if "/" not in name and (close := difflib.get_close_matches(name, bundled_names(), n=1, cutoff=_MISTYPED)):
        raise ModelNotFoundError(f"there is no model and no folder {name!r}: did you mean {close[0]!r}?")
    if not _HUB_ID.fullmatch(name):
        raise ModelNotFoundError(f"there is no folder {name!r}; {model_hint(name)}")
    return name


def is_extractor(model: str | os.PathLike[str]) -> bool:
    """Whether this is a model that finds events, entities or relations, by its configuration, without loading it."""
    try:
        config = json.loads((Path(resolve_model(model)) / _CONFIG).read_text(encoding="utf-8"))
    except (ModelNotFoundError, OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "gplinker"


def model_hint(name: str) -> str:
    """What else a caller could have meant, as the end of an error message."""
    names = bundled_names()
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    inside = f"a bundled model ({', '.join(names)}), " if names else ""
    return f"pass {inside}a folder with config.json and weights, or a hub id such as 'google-bert/bert-base-chinese'"
