"""What a single character is, as far as splitting and joining text needs to know."""

from __future__ import annotations

import re
import unicodedata

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Scripts that put no space between words, with their punctuation and the full-width forms.
UNSPACED = HAN + "\u2e80-\u2fdf\u3000-\u303f\u3040-\u30ff\u31f0-\u31ff\ufe30-\ufe4f\uff01-\uffef"

_HAN = re.compile(f"[{HAN}]")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")

# A cut in front of one of these would tear a visible character apart.
_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3" + "".join(map(chr, range(0x1F3FB, 0x1F400))))
_LONGEST_CLUSTER = 32


def has_han(text: str) -> bool:
    """Whether a Chinese character occurs."""
    return _HAN.search(text) is not None


def has_hangul(text: str) -> bool:
    """Whether a Korean letter or syllable occurs."""
    return _HANGUL.search(text) is not None


def is_unspaced(character: str) -> bool:
    """Whether this character belongs to writing without spaces between words: Chinese, kana, full-width forms."""
    return _UNSPACED.match(character) is not None


def continues_cluster(character: str) -> bool:
    """Whether a character hangs on the one before it: combining marks, emoji modifiers, joiners."""
    return character in _JOINERS or unicodedata.category(character) in ("Mn", "Me", "Mc")


def cut_near(text: str, position: int) -> int:
    """The last place at or before ``position`` where cutting tears no visible character apart.

    Looks back over at most 32 characters: a longer pile of marks is cut through, so that hostile text stays cheap.
    """
    for cut in range(position, max(position - _LONGEST_CLUSTER, 0), -1):
        if cut >= len(text):
            return len(text)
        between_crlf = text[cut - 1] == "\r" and text[cut] == "\n"
        if not (between_crlf or text[cut - 1] == "\u200d" or continues_cluster(text[cut])):
            return cut
    return position


def without_surrogates(text: str) -> tuple[str, int]:
    """A copy of the same length with U+FFFD for every lone surrogate, and how many there were."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return _SURROGATE.subn("\ufffd", text)
    return text, 0


_SURROGATE = re.compile("[\ud800-\udfff]")
