"""The answer, token by token: every row reads the same token, and each token knows the context it came from."""

# R rows, V vocabulary

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ironwok.nbce.core import combine, context_of, sample
from ironwok.nbce.engine import Engine
from ironwok.nbce.prefill import Prepared
from ironwok.nbce.rows import Rows
from ironwok.nbce.settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BROKEN = "\ufffd"  # what bytes of an unfinished character decode to


@dataclass(frozen=True, slots=True)
class Step:
    """One token. context: number of the context it came from, from 0, or None. entropy: of that context's truncated
    distribution, nats. log_p: of the token in that context, before truncation.
    """

    token: int
    context: int | None
    entropy: float
    log_p: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """An answer. steps: without the token that ended it. ends: for each step, the length of the text with it.

    finished: it ended by itself or at a stop string, not for want of room.
    """

    text: str
    steps: tuple[Step, ...]
    ends: tuple[int, ...]
    finished: bool


class Chooser(Protocol):
    """Picks the next token from log p of all rows, float [R, V]."""

    def __call__(self, log_p: Tensor) -> Step: ...


class NBCEChooser:
    """The choice over many contexts; remembers which context it followed last."""

    def __init__(self, prepared: Prepared, settings: Settings) -> None:
        self.kept, self.lift, self.settings = prepared.kept, prepared.kept_lift, settings
        self._previous = 0
        self._generator = torch.Generator().manual_seed(settings.seed)

    def __call__(self, log_p: Tensor) -> Step:
        settings = self.settings
        combined = combine(
            log_p,
            pooling=settings.pooling,
            beta=settings.beta,
            eta=settings.eta,
            top_p=settings.top_p,
            top_k=settings.top_k,
            lift=self.lift,
            route=settings.route,
            previous=self._previous,
        )
        token = sample(
            combined.scores,
            temperature=settings.temperature,
            top_p=settings.sample_top_p,
            generator=self._generator,
        )
        row = context_of(combined, token)
        self._previous = row
        return Step(token, self.kept[row - 1], float(combined.entropy[row]), float(log_p[row, token]))


def steps_of(
    engine: Engine, rows: Rows, log_p: Tensor, choose: Chooser, *, end: Collection[int], max_tokens: int
) -> Iterator[Step]:
    """Tokens until one of ``end``, which is the last that comes, or until there are ``max_tokens``.

    rows: read up to here; log_p: of what comes next, [R, V].
    """
    for number in range(max_tokens):
        step = choose(log_p)
        yield step
        if step.token in end or number + 1 == max_tokens:
            return
        rows, log_p = engine.extend(rows, [step.token])


def write(
    steps: Iterator[Step],
    tokenizer: PreTrainedTokenizerBase,
    *,
    end: Collection[int],
    stop: tuple[str, ...] = (),
    on_text: Callable[[str], None] = lambda piece: None,
) -> Decoded:
    """Turn tokens into text as they come.

    on_text: told every further piece of the text as soon as it is certain: not half a character, and nothing that may
    yet be the beginning of a stop string.
    """
    taken: list[Step] = []
    ends: list[int] = []
    text, told, finished = "", 0, False
    for step in steps:
        if step.token in end:
            finished = True
            break
        taken.append(step)
        text = str(tokenizer.decode([one.token for one in taken], skip_special_tokens=True))
        found = [place for place in (text.find(one) for one in stop) if place >= 0]
        if found:
            text, finished = text[: min(found)], True
            ends.append(len(text))
            break
        certain = _certain(text, stop)
        ends.append(max(certain, told) if text.endswith(_BROKEN) else len(text))
        if certain > told:
            on_text(text[told:certain])
            told = certain
    if len(text) > told:
        on_text(text[told:])
    ends = [min(one, len(text)) for one in ends]
    if ends:
        ends[-1] = len(text)
    return Decoded(text, tuple(taken), tuple(ends), finished)


def _certain(text: str, stop: tuple[str, ...]) -> int:
    """How much of the text no later token can change."""
    length = len(text.rstrip(_BROKEN)) if text.endswith(_BROKEN) else len(text)
    for one in stop:
        for size in range(min(len(one) - 1, length), 0, -1):
            if text[:length].endswith(one[:size]):
                length -= size
                break
    return length
