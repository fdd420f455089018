"""Reading all contexts once: how well each explains the question, and the rows of those worth decoding.

Contexts are read in chunks of a bounded number of tokens; of each chunk only the best rows stay. So memory grows with
``keep``, not with the number of contexts, which costs time alone. The questions of a run share the reading of contexts:
attention is causal, what stands before a question does not know it.
"""

# R rows, N contexts, V vocabulary

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ironwok.nbce.core import posterior
from ironwok.nbce.engine import Engine
from ironwok.nbce.rows import Rows, stack
from ironwok.nbce.settings import Settings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question that has been read behind every context.

    rows: the empty context, then those that are decoded. kept: their numbers among all contexts, from 0, in the order
    of the rows. lift: r_k = log p(question | S_k) − log p(question) of all contexts, nats, float64 [N].
    log_p: of the answer's first token, float32 [R, V].
    """

    rows: Rows
    kept: tuple[int, ...]
    lift: Tensor
    log_p: Tensor

    @property
    def posterior(self) -> Tensor:
        """p(S_k | question), float64 [N]."""
        return posterior(self.lift)

    @property
    def kept_lift(self) -> Tensor:
        return self.lift[list(self.kept)]

    def only(self, contexts: Sequence[int]) -> Prepared:
        """The same with fewer rows; ``contexts`` are numbers that were kept."""
        places = [self.kept.index(number) for number in contexts]
        rows = [0, *(place + 1 for place in places)]
        return Prepared(self.rows.select(rows), tuple(contexts), self.lift, self.log_p[rows])

    def without(self, context: int) -> Prepared:
        """As if this context had not been there."""
        rest = self.only([number for number in self.kept if number != context])
        keep = [number for number in range(len(self.lift)) if number != context]
        renumbered = tuple(number - (number > context) for number in rest.kept)
        return Prepared(rest.rows, renumbered, self.lift[keep], rest.log_p)


# A chunk of so many tokens keeps the processor busy; a fuller one is not worth padding short rows for.
_ENOUGH_TOKENS = 512
_PADDED = 0.8  # a row shorter than this share of the chunk's longest opens the next chunk then


def chunks(lengths: Sequence[int], *, chunk_tokens: int) -> Iterator[list[int]]:
    """Numbers of rows to read together, the longest first: at most ``chunk_tokens`` with padding, at least one row.

    Rows of one chunk are of similar length: padding costs as much as text.
    """
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    chunk: list[int] = []
    for number in order:
        if chunk:
            longest = lengths[chunk[0]]
            full = (len(chunk) + 1) * longest > chunk_tokens
            uneven = len(chunk) * longest >= _ENOUGH_TOKENS and lengths[number] < _PADDED * longest
            if full or uneven:
                yield chunk
                chunk = []
        chunk.append(number)
    if chunk:
        yield chunk


def prefill(
    engine: Engine,
    head: Sequence[int],
    contexts: Sequence[Sequence[int]],
    questions: Sequence[Sequence[int]],
    settings: Settings,
    *,
    chunk_tokens: int,
    on_read: Callable[[int], None] = lambda count: None,
) -> list[Prepared]:
    """Read every context once and every question behind each of them.

    head: the row of the empty context before the question; contexts: rows up to the question, token ids.
    on_read: told how many more contexts were read.
    """
    empty, empty_next = engine.read([head])
    first = [_asked(engine, empty, empty_next, question) for question in questions]
    lifts = [torch.zeros(len(contexts), dtype=torch.float64) for _ in questions]
    best: list[list[_Row]] = [[] for _ in questions]
    for numbers in chunks([len(row) for row in contexts], chunk_tokens=chunk_tokens):
        rows, following = engine.read([contexts[number] for number in numbers])
        for which, question in enumerate(questions):
            asked = _asked(engine, rows, following, question)
            lift = asked.log_likelihood - first[which].log_likelihood
            lifts[which][numbers] = lift
            best[which] = _best(best[which], asked, numbers, lift, settings.keep)
        on_read(len(numbers))
    return [_finish(first[which], best[which], lifts[which], settings) for which in range(len(questions))]


@dataclass(frozen=True, slots=True)
class _Asked:
    """rows behind the question; log_p of what comes next [R, V]; log_likelihood of the question, float64 [R]."""

    rows: Rows
    log_p: Tensor
    log_likelihood: Tensor


@dataclass(frozen=True, slots=True)
class _Row:
    """A context that is kept so far: its place in what was read with it."""

    context: int
    lift: float
    asked: _Asked
    place: int


def _asked(engine: Engine, rows: Rows, following: Tensor, question: Sequence[int]) -> _Asked:
    return _Asked(*engine.score(rows, following, question))


def _best(held: list[_Row], asked: _Asked, numbers: list[int], lift: Tensor, keep: int | None) -> list[_Row]:
    """The rows that stay, those of greatest lift; what is dropped frees its memory."""
    new = [_Row(number, float(lift[place]), asked, place) for place, number in enumerate(numbers)]
    ranked = sorted([*held, *new], key=lambda row: (-row.lift, row.context))[:keep]
    chosen = [row for row in ranked if row.asked is asked]
    if keep is None or not chosen or len(chosen) == len(numbers):
        return ranked
    places = [row.place for row in chosen]
    small = _Asked(asked.rows.select(places), asked.log_p[places], asked.log_likelihood[places])
    moved = {row.place: place for place, row in enumerate(chosen)}
    return [_Row(row.context, row.lift, small, moved[row.place]) if row.asked is asked else row for row in ranked]


def _finish(first: _Asked, best: list[_Row], lift: Tensor, settings: Settings) -> Prepared:
    probability = posterior(lift)
    likely = [row for row in best if probability[row.context] >= settings.negligible] or best[:1]
    likely.sort(key=lambda row: row.context)
    by_part: dict[int, list[_Row]] = {}
    for row in likely:
        by_part.setdefault(id(row.asked), []).append(row)
    ordered = [row for rows in by_part.values() for row in rows]
    parts = [rows[0].asked.rows.select([row.place for row in rows]) for rows in by_part.values()]
    rows = stack([first.rows, *parts])
    log_p = torch.cat([first.log_p, *(row.asked.log_p[row.place][None] for row in ordered)])
    # back into the order of the contexts, so that ties fall to the first of them
    order = sorted(range(len(ordered)), key=lambda place: ordered[place].context)
    index = [0, *(place + 1 for place in order)]
    kept = tuple(ordered[place].context for place in order)
    if index != list(range(len(index))):
        rows, log_p = rows.select(index), log_p[index]
    return Prepared(rows, kept, lift, log_p)
