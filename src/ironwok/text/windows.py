"""Token windows of texts that are longer than a model takes, and the way between tokens and characters.

Outside, spans are half-open and count characters of the user's text; inside, they are inclusive pairs of token
positions. The conversion is here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ironwok.errors import InputError
from ironwok.results import Span
from ironwok.text.characters import cut_near, is_unspaced
from ironwok.text.sentences import iter_sentences
from ironwok.text.tokenizer import encode_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

Offsets: TypeAlias = Sequence[tuple[int, int]]

_CLAUSE_MARKS = frozenset("，、；：,;:")
_BLOCK = 20_000  # characters encoded at once: offsets come as Python objects, and a whole book of them is gigabytes


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a text's tokens, special tokens not counted.

    span: the characters from its first token to its last. first, last: positions among all tokens of the text,
    inclusive. token_ids, offsets: of its tokens; offsets are half-open and count characters of the whole text.
    """

    span: Span
    first: int
    last: int
    token_ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


def windows_for(text: str, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int, overlap: int = 0) -> list[Window]:
    """The windows of a text, in order; one if it fits, none if it holds no tokens.

    tokenizer: a fast one of ``transformers``. max_tokens: of a window, without special tokens: what the model takes
    less what goes around. overlap: how many tokens of a window come again at most in the next one, at most half of
    ``max_tokens``; it begins with a sentence where one begins there.

    Windows are about even in length and end with a sentence, else a clause, else a word, if one ends in their second
    half. Every token is in at least one window; the texts of windows that do not overlap share no character.
    Raises InputError.
    """
    return list(iter_windows(text, tokenizer, max_tokens=max_tokens, overlap=overlap))


def iter_windows(
    text: str, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int, overlap: int = 0
) -> Iterator[Window]:
    """The same, one after the other, for texts whose windows are better not held all at once."""
    if max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}: a window has at least 1 token")
    if not 0 <= overlap <= max_tokens // 2:
        raise InputError(
            f"overlap is {overlap}: it must be between 0 and {max_tokens // 2}, half of max_tokens = {max_tokens}"
        )
    return _windows(_Tokens.of(text, tokenizer), max_tokens, overlap)


def token_span_to_char_span(offsets: Offsets, first: int, last: int) -> tuple[int, int]:
    """The half-open character span of the tokens ``first`` to ``last``, inclusive.

    offsets: of all tokens, half-open, (0, 0) or any empty pair for special tokens, which are passed over.
    Raises InputError if the pair is no range of the tokens or holds special tokens only.
    """
    if not 0 <= first <= last < len(offsets):
        raise InputError(
            f"tokens {first} to {last} are no range of {len(offsets)} tokens: 0 <= first <= last is required"
        )
    held = [(start, end) for start, end in offsets[first : last + 1] if end > start]
    if not held:
        raise InputError(f"tokens {first} to {last} hold no characters: they are special tokens")
    return min(start for start, _ in held), max(end for _, end in held)


def char_span_to_token_span(offsets: Offsets, start: int, end: int) -> tuple[int, int] | None:
    """The inclusive pair of the first and the last token that hold a character of ``[start, end)``.

    offsets: as above. The tokens may hold more than the span where it begins or ends within a token. None if no token
    holds any of it: it is white space, or outside of these offsets' window. Raises InputError for an empty span.
    """
    if not 0 <= start < end:
        raise InputError(f"[{start}, {end}) is no span of characters: 0 <= start < end is required")
    inside = [i for i, (begin, stop) in enumerate(offsets) if begin < end and start < stop and begin < stop]
    return (inside[0], inside[-1]) if inside else None


@dataclass(frozen=True, slots=True)
class _Tokens:
    """All tokens of a text. ids, starts, ends: int64 [N]. sentences: tokens that begin one, ascending, int64 [S]."""

    text: str
    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    sentences: NDArray[np.int64]

    @classmethod
    def of(cls, text: str, tokenizer: PreTrainedTokenizerBase) -> _Tokens:
        ids: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        offsets: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
        for start, end in _blocks(text):
            ((block_ids, block_offsets),) = encode_texts(tokenizer, [text[start:end]])
            ids.append(np.asarray(block_ids, dtype=np.int64))
            offsets.append(np.asarray(block_offsets, dtype=np.int64).reshape(-1, 2) + start)
        joined = np.concatenate(offsets)
        starts = np.maximum.accumulate(joined[:, 0])
        begins = np.fromiter((sentence.start for sentence in iter_sentences(text)), dtype=np.int64)
        # the token that reaches into the sentence: byte-level ones begin with the white space before it
        sentences = np.unique(np.searchsorted(np.maximum.accumulate(joined[:, 1]), begins, side="right"))
        return cls(text, np.concatenate(ids), starts, joined[:, 1], sentences)

    def __len__(self) -> int:
        return len(self.ids)

    def window(self, first: int, stop: int) -> Window:
        start, end = int(self.starts[first]), int(self.ends[first:stop].max())
        return Window(
            Span(start, end, self.text[start:end]),
            first,
            stop - 1,
            tuple(self.ids[first:stop].tolist()),
            tuple(zip(self.starts[first:stop].tolist(), self.ends[first:stop].tolist(), strict=True)),
        )

    def begins_sentence(self, low: int, high: int) -> list[int]:
        """Tokens in ``[low, high)`` that begin a sentence."""
        return self.sentences[np.searchsorted(self.sentences, low) : np.searchsorted(self.sentences, high)].tolist()

    def begins_clause(self, low: int, high: int) -> list[int]:
        return [i for i in range(low, high) if self.text[max(int(self.ends[i - 1]) - 1, 0)] in _CLAUSE_MARKS]

    def begins_word(self, low: int, high: int) -> list[int]:
        return [i for i in range(low, high) if self._is_word_start(i)]

    def _is_word_start(self, i: int) -> bool:
        before, start = int(self.ends[i - 1]), int(self.starts[i])
        if before != start:
            return before < start  # white space in between; less than 0: two tokens of one character
        around = self.text[start - 1 : start + 1]
        return any(character.isspace() or is_unspaced(character) for character in around) or not around.isalnum()


def _windows(tokens: _Tokens, max_tokens: int, overlap: int) -> Iterator[Window]:
    first = 0
    while (rest := len(tokens) - first) > max_tokens:
        # the remainder is spread over the windows, so that the last one is no crumb
        pieces = math.ceil((rest - overlap) / (max_tokens - overlap))
        wanted = first + overlap + math.ceil((rest - overlap) / pieces)
        stop = _best_cut(tokens, first + max_tokens // 2 + 1, wanted, first + max_tokens)
        yield tokens.window(first, stop)
        first = _restart(tokens, stop, overlap)
    if rest:
        yield tokens.window(first, len(tokens))


def _best_cut(tokens: _Tokens, earliest: int, wanted: int, latest: int) -> int:
    """Where to cut: before the token that is returned."""
    for begins in (tokens.begins_sentence, tokens.begins_clause, tokens.begins_word):
        cuts = begins(earliest, latest + 1)
        if cuts:
            return min(cuts, key=lambda cut: abs(cut - wanted))
    return latest


def _restart(tokens: _Tokens, stop: int, overlap: int) -> int:
    """The first token of the next window: at most ``overlap`` before ``stop``, at a good place."""
    for begins in (tokens.begins_sentence, tokens.begins_word):
        starts = begins(max(stop - overlap, 1), stop)
        if starts:
            return starts[0]
    return stop - overlap


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Pieces of a text that are encoded on their own: cut at line ends, else between words."""
    start = 0
    while len(text) - start > _BLOCK:
        latest = start + _BLOCK
        cut = next(
            (found + 1 for mark in "\n。 " if (found := text.rfind(mark, start + _BLOCK // 2, latest)) >= 0), None
        )
        end = cut if cut is not None else cut_near(text, latest)
        yield start, end
        start = end
    yield start, len(text)
