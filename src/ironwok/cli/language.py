"""English or Chinese: which one the user reads, and `t` to say something in it.

The language is settled before any command is built. Command modules start with ``from __future__ import annotations``,
so the ``t(...)`` inside their ``Annotated[...]`` options is evaluated when the command is built, not when the module
is imported, and always in the language then in force.
"""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping
from typing import Literal, cast, get_args

from ironwok.errors import InputError

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_current: Language = "en"


def t(*, en: str, zh: str) -> str:
    """The text in the language in force."""
    return zh if _current == "zh" else en


def current_language() -> Language:
    return _current


def use_language(language: str) -> Language:
    """Put a language in force. Raises InputError for one that nobody translated."""
    global _current
    if language not in LANGUAGES:
        raise InputError(f"language {language!r} is not one of {', '.join(LANGUAGES)}")
    _current = cast(Language, language)
    return _current


def language_of_environment(environment: Mapping[str, str] | None = None) -> Language:
    """Language of the first of LC_ALL, LC_MESSAGES, LANG that is set (POSIX order), else of the system's locale."""
    environment = os.environ if environment is None else environment
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(variable):
            return _language_of(value)
    # Windows sets none of the three
    return _language_of(locale.getlocale()[0] or "")


def _language_of(name: str) -> Language:
    return "zh" if name.lower().startswith(("zh", "chinese")) else "en"
