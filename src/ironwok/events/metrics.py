"""How good extracted events are: exact scores, those of CasEE, and those of the DuEE and DuEE-fin contests.

All count over all texts together (micro average): precision = matched / predicted, recall = matched / gold, and F1 is
their harmonic mean; 0 where nothing was predicted or nothing is there. In a text the same thing twice counts once.

Sources: CasEE, github.com/JiaweiSheng/CasEE, ``utils/metric.py`` (trigger and argument identification and
classification); the rules of the DuEE contest as PaddleNLP's example of event extraction states them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ironwok.results import Argument, Entity, Event, Relation

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Score:
    """matched: may be a fraction where partly right things earn credit. predicted, gold: how many things there are."""

    matched: float
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        return self.matched / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        total = self.predicted + self.gold
        return 2 * self.matched / total if total else 0.0

    def to_dict(self) -> dict[str, float]:
        counts = {"matched": self.matched, "predicted": self.predicted, "gold": self.gold}
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1} | counts


@dataclass(frozen=True, slots=True)
class EventScores:
    """Every score of one comparison.

    event: an event is right when its type, its trigger and its whole set of arguments are.
    event_arguments: the same without looking at the trigger.
    trigger_identification, trigger_classification: the place of a trigger; with its event type.
    argument_identification: the place of an argument with its event type. argument_classification: with its role, too;
    this is what is elsewhere called argument-level exact F1. Arguments of two events of one type are not told apart.
    duee: arguments by type, role and words; credit for the characters that two texts share.
    duee_fin: fields of whole events, each predicted event compared with the one it fits best.
    """

    event: Score
    event_arguments: Score
    trigger_identification: Score
    trigger_classification: Score
    argument_identification: Score
    argument_classification: Score
    duee: Score
    duee_fin: Score

    def to_dict(self) -> dict[str, dict[str, float]]:
        return {one.name: getattr(self, one.name).to_dict() for one in fields(self)}


def score_events(predicted: Iterable[Sequence[Event]], gold: Iterable[Sequence[Event]]) -> EventScores:
    """Compare the events of texts, given in the same order. Raises ValueError where one side has more texts."""
    pairs = list(zip(predicted, gold, strict=True))
    return EventScores(
        event=_exact(pairs, lambda event: [_event_key(event, trigger=True)]),
        event_arguments=_exact(pairs, lambda event: [_event_key(event, trigger=False)]),
        trigger_identification=_exact(pairs, lambda event: [event.trigger] if event.trigger else []),
        trigger_classification=_exact(pairs, lambda event: [(event.type, event.trigger)] if event.trigger else []),
        argument_identification=_exact(pairs, lambda event: [(event.type, _place(one)) for one in event.arguments]),
        argument_classification=_exact(
            pairs, lambda event: [(event.type, one.role, _place(one)) for one in event.arguments]
        ),
        duee=duee_score(pairs),
        duee_fin=duee_fin_score(pairs),
    )


def score_entities(predicted: Iterable[Sequence[Entity]], gold: Iterable[Sequence[Entity]]) -> Score:
    """Exact: type and place. Raises ValueError where one side has more texts."""
    return _exact(list(zip(predicted, gold, strict=True)), lambda entity: [(entity.type, entity.span)])


def score_relations(predicted: Iterable[Sequence[Relation]], gold: Iterable[Sequence[Relation]]) -> Score:
    """Exact: predicate and both places. Raises ValueError where one side has more texts."""
    pairs = list(zip(predicted, gold, strict=True))
    return _exact(pairs, lambda relation: [(relation.predicate, relation.subject, relation.object)])


def duee_score(pairs: Iterable[tuple[Sequence[Event], Sequence[Event]]]) -> Score:
    """The score of DuEE 1.0: (predicted, gold) events of each text; arguments earn credit character by character.

    A predicted argument is compared with the gold ones of the same event type and role: with c characters in common,
    letter case apart, precision c / its length and recall c / the other's length give its F1, which is its credit.
    Neither offsets nor which event an argument belongs to matter. The rules do not say how several arguments of one
    role are paired; here each gold argument serves once, in the pairing with the greatest total credit.
    """
    matched, predicted_count, gold_count = 0.0, 0, 0
    for predicted, gold in pairs:
        mine, theirs = _words_by_role(predicted), _words_by_role(gold)
        predicted_count += sum(map(len, mine.values()))
        gold_count += sum(map(len, theirs.values()))
        for key in mine.keys() & theirs.keys():
            credits = [[_character_f1(one, other) for other in theirs[key]] for one in mine[key]]
            matched += _best_pairing(credits)
    return Score(matched, predicted_count, gold_count)


def duee_fin_score(pairs: Iterable[tuple[Sequence[Event], Sequence[Event]]]) -> Score:
    """The field-level score of DuEE-fin: (predicted, gold) events of each document.

    A field of an event is a role with the words that fill it. Each predicted event is compared with one gold event of
    its type, no gold event twice, in the pairing that shares most fields; all fields are counted. The contest's own
    evaluation runs on its server only; this follows its description (best match without replacement).
    """
    matched, predicted_count, gold_count = 0.0, 0, 0
    for predicted, gold in pairs:
        mine, theirs = _fields_by_type(predicted), _fields_by_type(gold)
        predicted_count += sum(len(event) for events in mine.values() for event in events)
        gold_count += sum(len(event) for events in theirs.values() for event in events)
        for key in mine.keys() & theirs.keys():
            matched += _best_pairing([[len(one & other) for other in theirs[key]] for one in mine[key]])
    return Score(matched, predicted_count, gold_count)


def _exact(pairs: Iterable[tuple[Sequence[_Found], Sequence[_Found]]], keys_of: Callable[[_Found], list[Any]]) -> Score:
    matched, predicted_count, gold_count = 0, 0, 0
    for predicted, gold in pairs:
        mine = {key for found in predicted for key in keys_of(found)}
        theirs = {key for found in gold for key in keys_of(found)}
        matched += len(mine & theirs)
        predicted_count += len(mine)
        gold_count += len(theirs)
    return Score(matched, predicted_count, gold_count)


def _event_key(event: Event, *, trigger: bool) -> Hashable:
    arguments = frozenset((one.role, _place(one)) for one in event.arguments)
    return event.type, event.trigger if trigger else None, arguments


def _place(argument: Argument) -> Hashable:
    """What tells an argument from others of its role: its span, or the value of an enumerated role."""
    return argument.value if argument.value is not None else argument.span


def _words_by_role(events: Sequence[Event]) -> dict[tuple[str, str], list[str]]:
    """Different texts of arguments by event type and role."""
    found: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for event in events:
        for argument in event.arguments:
            found[event.type, argument.role][argument.text.lower()] = None
    return {key: list(words) for key, words in found.items()}


def _fields_by_type(events: Sequence[Event]) -> dict[str, list[set[tuple[str, str]]]]:
    found: dict[str, list[set[tuple[str, str]]]] = defaultdict(list)
    for event in events:
        found[event.type].append({(argument.role, argument.text) for argument in event.arguments})
    return found


def _character_f1(one: str, other: str) -> float:
    common = sum((Counter(one) & Counter(other)).values())
    return 2 * common / (len(one) + len(other))


def _best_pairing(credits: Sequence[Sequence[float]]) -> float:
    """The greatest sum of credits where every row and every column is used at most once."""
    if len(credits) == 1 or len(credits[0]) == 1:
        return max(max(row) for row in credits)
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(credits, maximize=True)
    return sum(credits[row][column] for row, column in zip(rows, columns, strict=True))
