"""Examples as rows of token ids: one for a pair, one for each choice, one for each window of what is long."""

# E examples, R rows

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import TextTooLongError
from ironwok.students.tuned.examples import ChoiceExample, Example, PairExample, ReadingExample, TextExample
from ironwok.text.windows import windows_for
from ironwok.zero_shot.encoding import SMALLEST_ROOM, PairEncoder

Row = tuple[list[int], int]  # token ids, and where the second segment begins


@dataclass(frozen=True, slots=True)
class PassageWindow:
    """What of a row is passage. first: its first token's place in the row. offsets: of its tokens, in the passage."""

    first: int
    offsets: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Encoded:
    """rows: of all examples. owners: which example each row belongs to, ascending, int64 [R].

    windows: for reading, one a row. long: how many examples do not fit into one row, or lost a part of it.
    """

    rows: list[Row] = field(default_factory=list)
    owners: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    windows: list[PassageWindow] = field(default_factory=list)
    long: int = 0

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(ids) for ids, _ in self.rows], dtype=np.int64)


def encode(
    examples: Sequence[Example],
    encoder: PairEncoder,
    *,
    most_windows: int | None = None,
    on_example: Callable[[int], None] = lambda done: None,
) -> Encoded:
    """Rows of at most ``encoder.max_tokens``.

    A long text is read in windows, of which ``most_windows`` are taken at most; a long passage of a reading question in
    windows that overlap by a third. Of a pair the longer side loses its end, of a multiple choice the passage.
    Raises TextTooLongError for a question that leaves no room for its passage.
    """
    encoded = Encoded()
    owners: list[int] = []
    for number, example in enumerate(examples):
        before = len(encoded.rows)
        match example:
            case TextExample():
                _add_text(example, encoder, encoded, most_windows)
            case PairExample():
                _add_pair(example, encoder, encoded)
            case ChoiceExample():
                _add_choices(example, encoder, encoded)
            case ReadingExample():
                _add_windows(example, encoder, encoded)
        owners += [number] * (len(encoded.rows) - before)
        on_example(number + 1)
    encoded.owners = np.array(owners, dtype=np.int64)
    return encoded


def _add_text(example: TextExample, encoder: PairEncoder, encoded: Encoded, most: int | None) -> None:
    room = encoder.max_tokens - encoder.layout.single_specials
    spans = encoder.windows(example.text, room=room)
    encoded.long += len(spans) > 1
    # a window of characters may hold a token more than the one of tokens that it was cut by
    encoded.rows += [encoder.single(ids[:room]) for ids in encoder.ids([span.text for span in spans[:most]])]


def _add_pair(example: PairExample, encoder: PairEncoder, encoded: Encoded) -> None:
    first, second = encoder.ids([example.first, example.second])
    room = encoder.max_tokens - encoder.layout.pair_specials
    over = len(first) + len(second) - room
    if over > 0:
        encoded.long += 1
        shorter = min(len(first), len(second), room // 2)
        first, second = (
            (first[:shorter], second[: room - shorter])
            if len(first) <= len(second)
            else (first[: room - shorter], second[:shorter])
        )
    encoded.rows.append(encoder.pair(first, second))


def _add_choices(example: ChoiceExample, encoder: PairEncoder, encoded: Encoded) -> None:
    # as in the second stage of pre-training: the question with one answer reads on to the passage, or does not
    passage, *asked = encoder.ids([example.passage, *(f"{example.question}{choice}" for choice in example.choices)])
    room = encoder.max_tokens - encoder.layout.pair_specials
    encoded.long += any(len(passage) + len(ids) > room for ids in asked)
    for ids in asked:
        kept = ids[-room:]  # the answer stands at the end
        encoded.rows.append(encoder.pair(kept, passage[: room - len(kept)]))


def _add_windows(example: ReadingExample, encoder: PairEncoder, encoded: Encoded) -> None:
    (question,) = encoder.ids([example.question])
    room = encoder.max_tokens - encoder.layout.pair_specials - len(question)
    if room < SMALLEST_ROOM:
        raise TextTooLongError(
            f"the question {example.question:.40}… has {len(question)} tokens and leaves {max(room, 0)} of "
            f"{encoder.max_tokens} to the passage, at least {SMALLEST_ROOM} are needed: shorten it, or raise max_tokens"
        )
    windows = windows_for(example.context, encoder.tokenizer, max_tokens=room, overlap=room // 3)
    encoded.long += len(windows) > 1
    for window in windows:
        row = encoder.pair(question, window.token_ids)
        encoded.rows.append(row)
        encoded.windows.append(PassageWindow(row[1], window.offsets))
