"""Looking closer: the contexts that routing kept are read again, a few sentences at a time.

A small model reads a sentence better than a page, and a source of two sentences says more than one of twenty. The cost
is that of reading the kept contexts once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ironwok.nbce.contexts import Part
from ironwok.nbce.engine import Engine
from ironwok.nbce.prefill import Prepared, prefill
from ironwok.nbce.prompts import Layout, Prompter
from ironwok.nbce.settings import Settings
from ironwok.results import Span
from ironwok.text.sentences import iter_sentences
from ironwok.text.tokenizer import encode_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Closer:
    """What was read the second time.

    prepared: its contexts are the closer parts; parts: these; parents: for each, the number of the part it is of.
    """

    prepared: Prepared
    parts: tuple[Part, ...]
    parents: tuple[int, ...]


def sentence_windows(part: Part, tokenizer: PreTrainedTokenizerBase, *, sentences: int) -> list[Part]:
    """Every run of so many sentences of a part, each one sentence further on; the part itself if it has no more."""
    found = list(iter_sentences(part.span.text))
    if len(found) <= sentences:
        return [part]
    windows = []
    for first, last in zip(found, found[sentences - 1 :], strict=False):
        text = part.span.text[first.start : last.end]
        ((token_ids, _),) = encode_texts(tokenizer, [text])
        start = part.span.start + first.start
        windows.append(Part(part.context, Span(start, start + len(text), text), tuple(token_ids)))
    return windows


def look_closer(
    engine: Engine,
    prompter: Prompter,
    prepared: Prepared,
    parts: Sequence[Part],
    question: Sequence[int],
    layout: Layout,
    settings: Settings,
    *,
    chunk_tokens: int,
    ordered: bool = False,
) -> Closer | None:
    """Read the kept parts again, ``settings.closer`` sentences at a time; None where that would be the same parts.

    prepared: of ``parts`` and ``question``. ordered: say before every stretch which part of all it is from.
    """
    windows: list[Part] = []
    parents: list[int] = []
    for number in prepared.kept:
        inside = sentence_windows(parts[number], prompter.tokenizer, sentences=settings.closer)
        windows += inside
        parents += [number] * len(inside)
    if len(windows) == len(prepared.kept):
        return None
    rows = [
        prompter.context(window.token_ids, layout, place=(parent + 1, len(parts)) if ordered else None)
        for window, parent in zip(windows, parents, strict=True)
    ]
    (near,) = prefill(engine, prompter.head(), rows, [question], settings, chunk_tokens=chunk_tokens)
    return Closer(near, tuple(windows), tuple(parents))
