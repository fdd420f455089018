"""Results of overlapping windows of one text, put together.

Entities and relations are taken from the window in which they stand further inside. Events are joined: the part of an
event that one window holds with the part that the next one holds, where what both of them see agrees.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ironwok.errors import InputError
from ironwok.events.locating import argument_order, reading_order
from ironwok.results import Argument, Entity, Event, Relation, Span

Across = Literal["places", "words"]
ACROSS: tuple[Across, ...] = get_args(Across)

_Key = tuple[str, str | None, Span | None]  # role ("" for the trigger), value, place
_MOST_ARGUMENTS = 200  # of an event that is put together from several windows


@dataclass(frozen=True, slots=True)
class Part:
    """What was found in the characters ``[start, end)`` of a text."""

    start: int
    end: int
    results: tuple[Event, ...] | tuple[Entity, ...] | tuple[Relation, ...]


def merge_spans(parts: Sequence[Part]) -> tuple[Entity | Relation, ...]:
    """Entities or relations of all windows, each once.

    In what two windows share, the first half belongs to the first one: there it stands further inside. A relation
    stands where the middle between its ends is. Nothing is lost by that: what only one window holds, it holds within
    its own half.
    """
    borders = [(a.end + b.start) / 2 for a, b in itertools.pairwise(parts)]
    lows, highs = [float("-inf"), *borders], [*borders, float("inf")]
    found = [
        result
        for part, low, high in zip(parts, lows, highs, strict=True)
        for result in part.results
        if not isinstance(result, Event) and low <= _middle(result) < high
    ]
    return tuple(sorted(found, key=reading_order))


def _middle(result: Entity | Relation) -> float:
    spans = [result.span] if isinstance(result, Entity) else [result.subject, result.object]
    return (min(span.start for span in spans) + max(span.end for span in spans)) / 2


def merge_events(parts: Sequence[Part], *, across: Across = "places") -> tuple[Event, ...]:
    """Events of all windows of a text, in its order; the same event found in two windows is one.

    across: "places" joins two events of one type from neighbouring windows where they share a place (the trigger, or an
    argument in its role) and, of what lies in both windows, one has all that the other has. "words" then also joins
    events from different windows that share the words of an argument in its role, wherever they stand, and contradict
    each other nowhere: a role that both fill has a filler in common, and where both have a trigger it is the same word.
    That suits documents about one matter; in a feed of short reports it would join what is not one event.
    """
    if across not in ACROSS:
        raise InputError(f"across is {across!r}: it is one of {', '.join(ACROSS)}")
    done: list[_Found] = []
    near: list[_Found] = []
    for number, part in enumerate(parts):
        # what ends before this window begins is told; looking at it again would cost the square of a book's length
        near = [one for one in near if one.end > part.start]
        new = [_Found(event, {number}, part.end) for event in part.results if isinstance(event, Event)]
        fresh = [one for one in new if not _taken_in(one, near, part.start)]
        done += fresh
        near += fresh
    if across == "words":
        done = _joined_by_words(done)
    return tuple(sorted((one.event for one in done), key=reading_order))


def distinct_events(events: Sequence[Event]) -> list[Event]:
    """Of events of one type with one trigger that say the same, or less, the one that says most.

    A company that a sentence names twice may be found twice in its role, and each mention may make an event of its own,
    with the same words in the same roles. To a reader that is one event; the one with the highest score stays. One that
    has a part of these words and nothing else goes as well. Events without a trigger are left alone.
    """
    alike: dict[tuple[str, Span], list[int]] = {}
    for number, event in enumerate(events):
        if event.trigger is not None:
            alike.setdefault((event.type, event.trigger), []).append(number)
    gone: set[int] = set()
    for numbers in alike.values():
        # the fullest first, then the surest: what follows can only say less
        kept: list[frozenset[tuple[str, str | None, str | None]]] = []
        for number in sorted(numbers, key=lambda n: (-len(_said(events[n])), -events[n].score, n)):
            said = _said(events[number])
            if any(said <= more for more in kept):
                gone.add(number)
            else:
                kept.append(said)
    return [event for number, event in enumerate(events) if number not in gone]


def _said(event: Event) -> frozenset[tuple[str, str | None, str | None]]:
    """Role, value and words of every argument, wherever they stand."""
    return frozenset((a.role, a.value, None if a.span is None else a.span.text) for a in event.arguments)


@dataclass(slots=True)
class _Found:
    """An event, the windows that hold parts of it, and where the last of them ends."""

    event: Event
    windows: set[int]
    end: int


def _taken_in(new: _Found, near: Sequence[_Found], start: int) -> bool:
    """Join an event of the window that begins at ``start`` to the same event of an earlier one, if there is one."""
    for old in near:
        if old.windows & new.windows or not _may_grow(old.event, new.event):
            continue
        if _same_by_place(old.event, new.event, (start, old.end)):
            old.event, old.windows = _union(old.event, new.event), old.windows | new.windows
            old.end = max(old.end, new.end)
            return True
    return False


def _may_grow(a: Event, b: Event) -> bool:
    """Text that says the same again and again would join all of itself, at the cost of the square of its length."""
    return len(a.arguments) + len(b.arguments) <= _MOST_ARGUMENTS


def _same_by_place(a: Event, b: Event, zone: tuple[int, int]) -> bool:
    if a.type != b.type or not _one_trigger(a, b):
        return False
    mine, theirs = (set(_within(event, zone)) for event in (a, b))
    return bool(mine & theirs) and (mine <= theirs or theirs <= mine) and not _two_values(a, b)


def _one_trigger(a: Event, b: Event) -> bool:
    return a.trigger is None or b.trigger is None or a.trigger == b.trigger


def _two_values(a: Event, b: Event) -> bool:
    """Whether a role with values would have two of them."""
    mine, theirs = ({x.role: x.value for x in event.arguments if x.value is not None} for event in (a, b))
    return any(mine[role] != theirs[role] for role in mine.keys() & theirs.keys())


def _within(event: Event, zone: tuple[int, int]) -> Iterator[_Key]:
    for key in _keys(event):
        place = key[2]
        if place is not None and zone[0] <= place.start and place.end <= zone[1]:
            yield key


def _keys(event: Event) -> Iterator[_Key]:
    if event.trigger is not None:
        yield "", None, event.trigger
    for argument in event.arguments:
        yield argument.role, argument.value, argument.span


def _joined_by_words(found: Sequence[_Found]) -> list[_Found]:
    done: list[_Found] = []
    holders: dict[tuple[str, str, str], list[_Found]] = {}  # by type, role and words
    for new in found:
        told = [(new.event.type, role, word) for role, words in _words(new.event).items() for word in sorted(words)]
        candidates = {id(old): old for key in told for old in holders.get(key, ())}
        apart = (o for o in candidates.values() if not o.windows & new.windows and _may_grow(o.event, new.event))
        same = (o for o in apart if _same_by_words(o.event, new.event))
        old = next(same, None)
        if old is None:
            old = new
            done.append(new)
        else:
            old.event, old.windows = _union(old.event, new.event, words=True), old.windows | new.windows
        for key in told:
            if old not in holders.setdefault(key, []):
                holders[key].append(old)
    return done


def _same_by_words(a: Event, b: Event) -> bool:
    if a.type != b.type or _two_values(a, b):
        return False
    if a.trigger is not None and b.trigger is not None and a.trigger.text != b.trigger.text:
        return False
    mine, theirs = _words(a), _words(b)
    common = mine.keys() & theirs.keys()
    return bool(common) and all(mine[role] & theirs[role] for role in common)


def _words(event: Event) -> dict[str, set[str]]:
    """The words in each role, values of roles left out: they are few, and the same in many events."""
    words: dict[str, set[str]] = {}
    for argument in event.arguments:
        if argument.value is None:
            words.setdefault(argument.role, set()).add(argument.text)
    return words


def _union(a: Event, b: Event, *, words: bool = False) -> Event:
    """Both as one. Its score is that of the surer one where it holds all of the other, else that of the less sure one.

    words: words that a has in a role are not taken from b again.
    """
    mine, theirs = set(_keys(a)), set(_keys(b))
    score = max(a.score, b.score) if mine <= theirs or theirs <= mine else min(a.score, b.score)
    arguments: dict[_Key, Argument] = {}
    told: set[tuple[str, str]] = {(argument.role, argument.text) for argument in a.arguments} if words else set()
    for argument in [*a.arguments, *(x for x in b.arguments if (x.role, x.text) not in told)]:
        key = (argument.role, argument.value, argument.span)
        if key not in arguments or arguments[key].score < argument.score:
            arguments[key] = argument
    first, second = (a, b) if a.trigger is not None else (b, a)
    same = first.trigger == second.trigger
    trigger_score = max(first.trigger_score, second.trigger_score) if same else first.trigger_score
    ordered = sorted(arguments.values(), key=argument_order)
    return Event(
        type=a.type,
        arguments=tuple(ordered),
        trigger=first.trigger,
        score=score,
        trigger_score=trigger_score,
        unlinked=tuple(sorted(_unlinked([a, b], ordered))),
    )


def _unlinked(events: Sequence[Event], members: Sequence[Argument]) -> Iterator[tuple[int, int]]:
    """Pairs of members that no window has linked: those of its own groups, and those it has never seen together."""
    position: dict[_Key, int] = {(x.role, x.value, x.span): index for index, x in enumerate(members)}
    linked: set[tuple[int, int]] = set()
    lowest = 0
    for event in events:
        own = [position.get((x.role, x.value, x.span)) for x in event.arguments]
        if event.trigger is not None:
            own.append(-1)  # and so own[-1] is the trigger, as in Event.unlinked
            lowest = -1
        numbers = range(-1 if event.trigger is not None else 0, len(event.arguments))
        apart = set(event.unlinked)
        for i, j in itertools.combinations(numbers, 2):
            first, second = own[i], own[j]
            if first is not None and second is not None and (i, j) not in apart:
                linked.add((min(first, second), max(first, second)))
    yield from (pair for pair in itertools.combinations(range(lowest, len(members)), 2) if pair not in linked)
