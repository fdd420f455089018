"""An answer in the text's own words: the stretch that answers best as the model judges, or the sentence around it.

A small model that writes freely wanders off; one that is asked to choose does better. Every stretch T of whole words in
one sentence S of the window W that explains the question Q best is a candidate, and has the score::

    log p(T, end | W, Q) + ½ · log p(Q | W, T) + ⅕ · log p(Q | S)

What the model would write; how well the stretch explains the question; how well its sentence does. The first keeps
beginnings and ends whole, the second is the noisy channel, the third holds to the sentence that the question is about.
A stretch that only says again what the question says is no candidate, a small model likes those best; nor is one of
another kind than the question asks for (`ironwok.nbce.questions`). Where the best has too little of the probability of
all to be likelier right than not, the answer is the sentence whose stretches have most of it.
"""

# a stretch is a half-open pair of characters of the window's text

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from torch import Tensor

from ironwok.nbce.contexts import Part
from ironwok.nbce.decode import Decoded, Step
from ironwok.nbce.engine import Engine
from ironwok.nbce.prefill import Prepared
from ironwok.nbce.prompts import Layout, Prompter
from ironwok.nbce.questions import may_answer
from ironwok.nbce.rows import Rows
from ironwok.results import Span
from ironwok.text.characters import is_unspaced
from ironwok.text.sentences import iter_sentences
from ironwok.text.tokenizer import encode_texts

CHANNEL = 0.5
SENTENCE = 0.2
# Of the probability of all candidates: from here on the best is likelier right than not, as counted on 47 questions.
# The model is too sure of itself: of those between 0.5 and 0.7 three of ten were right, of those above 13 of 15.
SURE = 0.7
QUOTED = 64  # tokens of a sentence that is quoted, at least, whatever room an answer has: nobody has to write it
LONGEST = 10  # tokens of a stretch
_STARTS = 16  # beginnings that are followed, the likeliest by their first token
_CANDIDATES = 16  # stretches whose question is read again
_REACH = 90  # characters that ten tokens hardly exceed

_GLUE = " \t\n\r([{“\"‘'/–—-"  # a word may begin behind these
_NO_END = frozenset(",;:.([{、，；：。（「『“‘-–—/")
_ABBREVIATION = re.compile(r"(?<![^\W_])([A-Za-z]\.){2,}\Z")  # U.S., a.m.
# of two years each may be meant alone, not so 27 in 27–30
_NUMBER_GOES_ON = re.compile(r"[-–—/](?!\d{4}\b)\d|[.,:]\d|%|‰|°")
_NUMBER_BEGAN = re.compile(r"(?<=\d[-–—/])\d(?!\d{3}\b)")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stretch and what speaks for it, log-likelihoods in nats.

    start, end: characters of the window's text. token_ids: as it was scored. ends: for each token, the character behind
    it. direct: of the stretch and its end; channel: of the question behind it; sentence: of the question behind its
    sentence alone, 0 where the window is one sentence.
    """

    start: int
    end: int
    token_ids: tuple[int, ...]
    ends: tuple[int, ...]
    log_p: tuple[float, ...]
    direct: float
    channel: float = 0.0
    sentence: float = 0.0

    @property
    def score(self) -> float:
        return self.direct + CHANNEL * self.channel + SENTENCE * self.sentence


@dataclass(frozen=True, slots=True)
class Copied:
    """The chosen stretch. part: number of its window among those of ``prepared``. evidence: where it stands.

    candidates: the best first. probability: that of the best among them; below `SURE` a sentence is the answer.
    """

    decoded: Decoded
    part: int
    evidence: Span
    candidates: tuple[Candidate, ...]
    probability: float


def copy(
    engine: Engine,
    prompter: Prompter,
    prepared: Prepared,
    parts: Sequence[Part],
    question: str,
    asked: Sequence[int],
    layout: Layout,
    *,
    end: Collection[int],
    max_tokens: int,
) -> Copied | None:
    """The best stretch of the part that explains the question best, or its sentence; None where it holds no word.

    prepared: of ``parts`` and ``asked``, the question's row as `Prompter.question` gives it. end: tokens that end an
    answer. max_tokens: of an answer; a sentence that is quoted may have `QUOTED` all the same, and a longer one is cut
    to whole words around the stretch.
    """
    number = max(prepared.kept, key=lambda one: (float(prepared.lift[one]), -one))
    row = 1 + prepared.kept.index(number)
    text = parts[number].span.text
    sentences = [(one.start, one.end) for one in iter_sentences(text)]
    rows, following = prepared.rows.select([row]), prepared.log_p[row : row + 1]
    if layout.copied:
        rows, following = engine.extend(rows, prompter.text(layout.copied))
    ends = {*end, *(ids[0] for mark in (".", "\n", "。") if len(ids := prompter.text(mark)) == 1)}
    longest = min(LONGEST, max_tokens)
    # where nothing passes, the rules have misread the question
    found = _direct(engine, prompter, rows, following, text, sentences, ends, question, longest=longest) or _direct(
        engine, prompter, rows, following, text, sentences, ends, None, longest=longest
    )
    found = sorted(found, key=lambda one: (-one.direct, one.start, one.end))[:_CANDIDATES]
    if not found:
        return None
    channel = _channel(engine, prompter, text, question, layout, found)
    explained = _sentences(engine, prompter, text, sentences, asked, layout)
    scored = [
        Candidate(
            one.start,
            one.end,
            one.token_ids,
            one.ends,
            one.log_p,
            one.direct,
            channel=likely,
            sentence=explained[_around(one, sentences)],
        )
        for one, likely in zip(found, channel, strict=True)
    ]
    scored.sort(key=lambda one: (-one.score, one.start, one.end))
    best = scored[0]
    weights = [math.exp(one.score - best.score) for one in scored]
    probability = 1 / sum(weights)
    start, stop, token_ids, behind, log_p = best.start, best.end, best.token_ids, best.ends, best.log_p
    if probability < SURE:
        likely = dict.fromkeys(sentences, 0.0)
        for one, weight in zip(scored, weights, strict=True):
            likely[_around(one, sentences)] += weight
        around = max(likely, key=lambda one: (likely[one], -one[0]))
        stretch = next(one for one in scored if _around(one, sentences) == around)
        start, stop, token_ids, behind = quoted(prompter, text, around, stretch, max(max_tokens, QUOTED))
        ((told, _),) = engine.score_each(rows, following, [token_ids])
        log_p = tuple(told.tolist())
    # no distribution was drawn from, so no entropy is told
    steps = tuple(Step(token, number, math.nan, value) for token, value in zip(token_ids, log_p, strict=True))
    written = text[start:stop]
    offset = parts[number].span.start
    return Copied(
        Decoded(written, steps, tuple(one - start for one in behind), finished=True),
        number,
        Span(offset + start, offset + stop, written),
        tuple(scored),
        probability,
    )


def quoted(
    prompter: Prompter, text: str, sentence: tuple[int, int], stretch: Candidate, max_tokens: int
) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """The sentence that a stretch stands in; of one with more tokens, whole words of it with the stretch in the middle.

    Returns where it begins and ends in the text, its tokens, and for each of these the character behind it.
    """
    start, stop = sentence
    stop = start + len(text[start:stop].rstrip())
    start = stop - len(text[start:stop].lstrip())
    ids, behind = _tokens(prompter, text, start, stop)
    if len(ids) > max_tokens:
        first = next(place for place, one in enumerate(behind) if one > stretch.start)
        left = max((max_tokens - len(stretch.token_ids)) // 2, 0)
        early = behind[first - left - 1] if first > left else start
        start = next(one for one in beginnings(text, start, stop) if one >= min(early, stretch.start))
        ids, behind = _tokens(prompter, text, start, stop)
        # a character of several tokens is there with the last of them
        fit = [
            count
            for count, (one, following) in enumerate(zip_longest(behind, behind[1:]), 1)
            if count <= max_tokens and stretch.end <= one != following and (one == stop or ends_whole(text, start, one))
        ]
        if not fit:
            return stretch.start, stretch.end, stretch.token_ids, stretch.ends
        ids, behind = ids[: fit[-1]], behind[: fit[-1]]
        stop = behind[-1]
    return start, stop, tuple(ids), tuple(behind)


def beginnings(text: str, start: int, end: int) -> list[int]:
    """Where a word begins within text[start:end]; in writing without spaces every character may."""
    return [
        place
        for place in range(start, end)
        if not text[place].isspace()
        and text[place] not in _GLUE
        and (place == start or text[place - 1] in _GLUE or text[place - 1].isspace() or _apart(text, place))
        and not _NUMBER_BEGAN.match(text, place)
    ]


def ends_whole(text: str, start: int, end: int, stop: int | None = None) -> bool:
    """Whether text[start:end] ends with a word, and not with a mark that something follows.

    stop: where the sentence ends, by default the text. A full stop before that belongs to what stands before it, an
    initial or an abbreviation, and a number goes on behind its separators and to its unit (27–30%).
    """
    stop = len(text) if stop is None else stop
    if end <= start or text[end - 1].isspace():
        return False
    if text[end - 1] in _NO_END and not _ABBREVIATION.search(text[start:end]):
        return False
    if not re.search(r"\w|%", text[start:end]):
        return False
    following = text[end:stop]
    if following[:1] == "." and following[1:].strip():
        return False
    if text[end - 1].isdigit() and _NUMBER_GOES_ON.match(following):
        return False
    return not following or _apart(text, end) or not (following[0].isalnum() or following[0] == "_")


def _around(stretch: Candidate, sentences: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return next(one for one in sentences if one[0] <= stretch.start < one[1])


def _apart(text: str, place: int) -> bool:
    return is_unspaced(text[place]) or (place > 0 and is_unspaced(text[place - 1]))


def _direct(
    engine: Engine,
    prompter: Prompter,
    rows: Rows,
    following: Tensor,
    text: str,
    sentences: Sequence[tuple[int, int]],
    ends: Collection[int],
    question: str | None,
    *,
    longest: int,
) -> list[Candidate]:
    """Stretches of the likeliest beginnings with log p of them and of an end behind them.

    question: stretches that cannot be its answer are left out; None leaves in all.
    """
    begun: list[tuple[int, list[int], list[int]]] = []
    whole: set[tuple[int, int]] = set()
    for start, stop in sentences:
        for place in beginnings(text, start, stop):
            ids, behind = _tokens(prompter, text, place, min(place + _REACH, stop))
            taken = {
                (place, last)
                for last in behind[:longest]
                if ends_whole(text, place, last, stop) and (question is None or may_answer(text[place:last], question))
            }
            if taken:
                begun.append((place, ids[:longest], behind[:longest]))
                whole |= taken
    begun.sort(key=lambda one: (-float(following[0, one[1][0]]), one[0]))
    begun = begun[:_STARTS]
    if not begun:
        return []
    told = engine.score_each(rows, following, [ids for _, ids, _ in begun], ends=ends)
    found: dict[tuple[int, int], Candidate] = {}
    for (place, ids, behind), (log_p, ended) in zip(begun, told, strict=True):
        summed = log_p.cumsum(0)
        for count in range(1, len(ids) + 1):
            # a character of several tokens ends with the last of them: that stretch overwrites
            if (place, behind[count - 1]) in whole:
                found[place, behind[count - 1]] = Candidate(
                    place,
                    behind[count - 1],
                    tuple(ids[:count]),
                    tuple(behind[:count]),
                    tuple(log_p[:count].tolist()),
                    float(summed[count - 1] + ended[count - 1]),
                )
    return list(found.values())


def _tokens(prompter: Prompter, text: str, start: int, stop: int) -> tuple[list[int], list[int]]:
    """Tokens of text[start:stop] as an answer, and for each the character of the text behind it."""
    # words of a text have the space before them in their first token
    space = "" if is_unspaced(text[start]) else " "
    ((ids, offsets),) = encode_texts(prompter.tokenizer, [space + text[start:stop]])
    return list(ids), [start + max(behind - len(space), 0) for _, behind in offsets]


def _channel(
    engine: Engine, prompter: Prompter, text: str, question: str, layout: Layout, found: Sequence[Candidate]
) -> list[float]:
    """How likely the question is behind the text and each stretch, as a text that goes on; nats."""
    before, after = layout.context.split("{context}")
    lead, between = layout.channel.split("{answer}")
    rows, following = engine.read([[*prompter.begin(), *prompter.text(before + text + after)]])
    asked = prompter.text(" " + question if between[-1:] == ":" else question)
    behind = [[*prompter.text(lead + text[one.start : one.end] + between), *asked] for one in found]
    return [float(log_p[-len(asked) :].sum()) for log_p, _ in engine.score_each(rows, following, behind)]


def _sentences(
    engine: Engine,
    prompter: Prompter,
    text: str,
    sentences: Sequence[tuple[int, int]],
    asked: Sequence[int],
    layout: Layout,
) -> dict[tuple[int, int], float]:
    """How likely the question is behind every sentence of the window by itself; nats."""
    if len(sentences) == 1:
        return {sentences[0]: 0.0}
    contexts = [prompter.context(prompter.text(text[start:end]), layout) for start, end in sentences]
    rows, following = engine.read(contexts)
    _, _, likely = engine.score(rows, following, asked)
    return dict(zip(sentences, likely.tolist(), strict=True))
