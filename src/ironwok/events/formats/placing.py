"""Where an annotated piece of text stands. Pure functions over strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ironwok.events.formats.drafts import Mention
from ironwok.results import Span


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a mention stands.

    span: None where it stands nowhere, or where nobody can tell which of several places is meant.
    choices: the starts between which the caller may choose, for a mention without any offset; else empty.
    kind, message: a problem to report (see `problems.OUTCOMES`), or None.
    """

    span: Span | None
    choices: tuple[int, ...] = ()
    kind: str | None = None
    message: str = ""


def place(text: str, mention: Mention) -> Placed:
    """Find a mention in its text.

    Offsets that agree with the words are taken as they are. Where they disagree, the words decide: offsets counted in
    UTF-16 units or UTF-8 bytes are recognised, then a single occurrence is unambiguous. Anything else is not guessed.
    """
    if mention.text is None:
        return _by_offsets(text, mention)
    words = mention.text
    if mention.start is not None and text.startswith(words, mention.start):
        return Placed(_span(text, mention.start, len(words)))
    if words not in text and words.strip() and words.strip() in text:
        words = words.strip()
        offset = len(mention.text) - len(mention.text.lstrip())
        if mention.start is not None and text.startswith(words, mention.start + offset):
            return Placed(_span(text, mention.start + offset, len(words)))
    found = occurrences(text, words)
    if not found:
        return Placed(None, kind="not in the text", message=f"{mention} does not stand in the text")
    if mention.start is None:
        return Placed(_span(text, found[0], len(words))) if len(found) == 1 else Placed(None, choices=found)
    if (start := _other_units(text, words, mention.start)) is None and len(found) == 1:
        start = found[0]
    if start is None:
        message = f"{mention} stands elsewhere, at {_listed(found)}, and none of these places is meant for certain"
        return Placed(None, kind="ambiguous place", message=message)
    return Placed(_span(text, start, len(words)), kind="offset repaired", message=f"{mention} stands at {start}")


def occurrences(text: str, words: str) -> tuple[int, ...]:
    """Every start of some words in a text, overlapping ones too."""
    found = []
    start = text.find(words) if words else -1
    while start >= 0:
        found.append(start)
        start = text.find(words, start + 1)
    return tuple(found)


def nearest(choices: Sequence[int], anchors: Sequence[Span]) -> int:
    """The choice nearest to the middle of the anchors, the first one where there are no anchors or two are as near."""
    if not anchors:
        return choices[0]
    middles = sorted(span.start for span in anchors)
    middle = middles[len(middles) // 2]
    return min(choices, key=lambda start: (abs(start - middle), start))


def _by_offsets(text: str, mention: Mention) -> Placed:
    start, end = mention.start, mention.end
    assert start is not None, "Mention has checked it"
    assert end is not None, "Mention has checked it"
    if not start < end <= len(text):
        message = f"[{start}, {end}) is no range of this text of {len(text)} characters"
        return Placed(None, kind="not in the text", message=message)
    return Placed(Span(start, end, text[start:end]))


def _other_units(text: str, words: str, offset: int) -> int | None:
    """The character at an offset that was counted in UTF-16 units (JavaScript) or UTF-8 bytes, if the words agree."""
    if text.isascii():
        return None
    for codec, width in (("utf-16-le", 2), ("utf-8", 1)):
        start = len(text.encode(codec, "surrogatepass")[: offset * width].decode(codec, "ignore"))
        if text.startswith(words, start):
            return start
    return None


def _span(text: str, start: int, length: int) -> Span:
    return Span(start, start + length, text[start : start + length])


def _listed(starts: Sequence[int]) -> str:
    return ", ".join(map(str, starts[:5])) + (" …" if len(starts) > 5 else "")
