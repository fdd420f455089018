"""Chunks of texts through the reader, scores into results."""

# N texts, C candidates

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ironwok.errors import InputError
from ironwok.results import Classification, Span
from ironwok.zero_shot import mapping
from ironwok.zero_shot.encoding import Progress
from ironwok.zero_shot.labels import LabelSet
from ironwok.zero_shot.pairs import check_text
from ironwok.zero_shot.question import Question
from ironwok.zero_shot.reader import Reader
from ironwok.zero_shot.shortlist import Shortlist
from ironwok.zero_shot.tree import descend

# Readings that are put together for one round of buckets: enough to fill batches of like length, few enough that
# results appear while a long run goes on.
_PAIRS_PER_CHUNK = 4096
_TEXTS_PER_CHUNK = 1024

# The same for answers that are given out as they come: a second or two of work on a CPU, the first sooner still.
_PAIRS_PER_ROUND = 2048
_TEXTS_PER_ROUND = (8, 64)


@dataclass(frozen=True, slots=True)
class Chunk:
    texts: list[str]
    label_sets: list[LabelSet]
    windows: list[list[Span]]

    def __len__(self) -> int:
        return len(self.texts)


def chunks_of(
    texts: Iterator[str], question: Question, reader: Reader, cut: Shortlist | None, *, soon: bool = False
) -> Iterator[Chunk]:
    """The texts in portions.

    soon: small portions that grow, so that answers need not wait for many texts; a portion ends where ``texts`` has a
    method ``pauses`` and that says that the next text is yet to come.
    """
    first = 0
    pairs, most, largest = _PAIRS_PER_CHUNK, _TEXTS_PER_CHUNK, _TEXTS_PER_CHUNK
    pauses: Callable[[], bool] | None = None
    if soon:
        pairs, (most, largest) = _PAIRS_PER_ROUND, _TEXTS_PER_ROUND
        pauses = getattr(texts, "pauses", None)
    while True:
        chunk = _next_chunk(texts, first, question, reader, cut, most=most, most_pairs=pairs, pauses=pauses)
        if not chunk.texts:
            break
        yield chunk
        first += len(chunk)
        most = min(2 * most, largest)
    if question.per_text is not None and first < len(question.per_text):
        raise InputError(f"there are labels for {len(question.per_text)} texts, but only {first} texts")


def _next_chunk(
    texts: Iterator[str],
    first: int,
    question: Question,
    reader: Reader,
    cut: Shortlist | None,
    *,
    most: int,
    most_pairs: int,
    pauses: Callable[[], bool] | None,
) -> Chunk:
    """As many texts as make a round of readings, one at least."""
    chunk = Chunk([], [], [])
    pairs = 0
    while pairs < most_pairs and len(chunk) < most:
        if chunk.texts and pauses is not None and pauses():
            break
        fresh = list(islice(texts, 1))
        if not fresh:
            break
        number = first + len(chunk)
        text, label_set = check_text(fresh[0], number), question.label_set(number)
        words = label_set.all_words()
        (spans,) = reader.windows([text], [words], first=number)
        chunk.texts.append(text)
        chunk.label_sets.append(label_set)
        chunk.windows.append(spans)
        pairs += len(spans) * reader.pairs_per_label() * (len(words) if cut is None else min(len(words), cut.size))
    return chunk


def against_candidates(reader: Reader, chunk: Chunk, question: Question, cut: Shortlist | None) -> list[Classification]:
    label_sets = chunk.label_sets if cut is None else _cut_labels(chunk, question, cut)
    reached = descend(
        reader,
        chunk.texts,
        chunk.windows,
        label_sets,
        multi_label=question.multi_label,
        reduction=question.windows,
        beam=question.beam,
    )
    results = []
    for text, spans, leaves in zip(chunk.texts, chunk.windows, reached, strict=True):
        scores_C = np.exp(np.array([leaf.log_probability for leaf in leaves]))
        if not question.multi_label:
            # rounding, and what a beam left behind
            scores_C = scores_C / scores_C.sum()
        names = [leaf.node.path for leaf in leaves]
        winner = leaves[int(scores_C.argmax())]
        results.append(_result(text, names, scores_C, question.threshold, _evidence(text, spans, winner.window)))
    return results


def _cut_labels(chunk: Chunk, question: Question, cut: Shortlist) -> list[LabelSet]:
    """The label set of each text with only its shortlisted labels."""
    if question.labels is not None:
        rows = cut.choose(chunk.windows, question.labels.words)
    else:
        rows = [cut.choose([own], s.words)[0] for own, s in zip(chunk.windows, chunk.label_sets, strict=True)]
    return [label_set.keep(row) for label_set, row in zip(chunk.label_sets, rows, strict=True)]


def against_samples(
    reader: Reader, chunks: Sequence[Chunk], question: Question, prior: Sequence[float] | None, advance: Progress
) -> list[Classification]:
    assert question.labels is not None
    names = question.labels.names
    mapping.check_prior(prior, len(names))
    rows: list[np.ndarray] = []
    loudest: list[np.ndarray] = []
    for chunk in chunks:
        for table in reader.tables(chunk.texts, chunk.windows, [question.labels.words] * len(chunk)):
            scores_C, windows_C = mapping.combine_windows(table, question.windows)
            rows.append(scores_C)
            loudest.append(windows_C)
        advance(len(chunk))
    if not rows:
        return []
    scores_NC = mapping.samples_contrast_table(np.stack(rows), prior=prior)
    texts = [text for chunk in chunks for text in chunk.texts]
    spans = [own for chunk in chunks for own in chunk.windows]
    return [
        _result(text, names, row, question.threshold, _evidence(text, own, int(windows_C[row.argmax()])))
        for text, own, row, windows_C in zip(texts, spans, scores_NC, loudest, strict=True)
    ]


def _result(
    text: str, names: Sequence[str], scores_C: np.ndarray, threshold: float | None, evidence: Span | None
) -> Classification:
    labels, scores = mapping.ranked(names, scores_C)
    return Classification(text, labels, scores, abstained=mapping.abstains(scores[0], threshold), evidence=evidence)


def _evidence(text: str, spans: Sequence[Span], window: int) -> Span | None:
    """The window that decided; None where the text was read whole."""
    span = spans[window]
    return None if len(span.text) == len(text) else span
