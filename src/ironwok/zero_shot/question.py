"""What is asked about each text: the arguments of the classifier, checked and put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ironwok.errors import InputError, LabelError
from ironwok.text import templates
from ironwok.zero_shot.labels import LabelSet, is_per_text, parse_labels
from ironwok.zero_shot.mapping import WindowReduction, check_threshold
from ironwok.zero_shot.pairs import Scorer, check_position
from ironwok.zero_shot.reader import NEUTRAL_TEXTS, Overflow, Reader
from ironwok.zero_shot.shortlist import Shortlist, ShortlistBy

Protocol = Literal["cc", "sc"]


@dataclass(frozen=True, slots=True)
class Question:
    """Labels and what to do with their scores.

    labels: one set for all texts, or None where ``per_text`` holds one for each.
    """

    labels: LabelSet | None
    per_text: tuple[LabelSet, ...] | None
    multi_label: bool
    threshold: float | None
    windows: WindowReduction
    beam: int | None

    def label_set(self, number: int) -> LabelSet:
        if self.labels is not None:
            return self.labels
        assert self.per_text is not None
        if number >= len(self.per_text):
            raise InputError(
                f"there are labels for {len(self.per_text)} texts, but more texts: give one set of labels a text"
            )
        return self.per_text[number]

    def all_sets(self) -> tuple[LabelSet, ...]:
        return (self.labels,) if self.labels is not None else self.per_text or ()


def default_template(labels: Iterable[str]) -> str:
    """The template in the language of the labels."""
    return templates.default_template(labels).source


def make_question(
    labels: Any,
    separator: str | None,
    multi_label: bool,
    threshold: float | None,
    windows: WindowReduction,
    beam: int | None,
) -> Question:
    if windows not in get_args(WindowReduction):
        raise InputError(f"windows is {windows!r}; it is one of {', '.join(get_args(WindowReduction))}")
    if beam is not None and beam < 1:
        raise InputError(f"beam is {beam}; follow 1 label of a level or more, or None for all")
    at_least = 1 if multi_label else 2
    common, per_text = None, None
    if is_per_text(labels):
        per_text = tuple(_parse_own(own, number, separator, at_least) for number, own in enumerate(labels))
    else:
        common = parse_labels(labels, separator=separator, at_least=at_least)
    return Question(common, per_text, multi_label, check_threshold(threshold), windows, beam)


def _parse_own(labels: Any, number: int, separator: str | None, at_least: int) -> LabelSet:
    try:
        return parse_labels(labels, separator=separator, at_least=at_least)
    except LabelError as error:
        raise LabelError(f"labels of text {number}: {error}") from None


def check_one_set_each(question: Question, texts: int) -> None:
    if question.per_text is not None and len(question.per_text) != texts:
        raise InputError(f"there are {texts} texts but labels for {len(question.per_text)}: give one set a text")


def check_protocol(protocol: str, prior: Sequence[float] | None, question: Question, shortlist: int | None) -> None:
    if protocol not in get_args(Protocol):
        raise InputError(f"protocol is {protocol!r}; it is 'cc' (candidates-contrast) or 'sc' (samples-contrast)")
    if protocol == "cc":
        if prior is not None:
            raise InputError("a prior is for samples-contrast alone: pass protocol='sc' with it, or leave it out")
        return
    if question.multi_label or shortlist is not None or question.labels is None or not question.labels.is_flat:
        raise InputError(
            "samples-contrast ranks all texts for every label: it goes with one flat list of labels, "
            "without multi_label and shortlist"
        )


def make_shortlist(scorer: Scorer, question: Question, size: int | None, by: ShortlistBy | None) -> Shortlist | None:
    if size is None:
        return None
    if not all(label_set.is_flat for label_set in question.all_sets()):
        raise InputError(
            "a shortlist is for a flat list of labels: leave it (--shortlist) out, or from Python pass beam= to follow "
            "the best branches of a tree only"
        )
    return Shortlist(scorer, size=size, by=by)


def make_reader(
    scorer: Scorer,
    question: Question,
    template: str | Sequence[str] | None,
    calibrate: bool | Sequence[str] | None,
    position: str | None,
    overflow: Overflow,
    max_tokens: int | None,
) -> Reader:
    if template is None:
        template = default_template(name for label_set in question.all_sets() for name in label_set.names)
    if calibrate is None:
        calibrate = question.multi_label
    if isinstance(calibrate, str):
        raise InputError(f"calibrate is {calibrate!r}: give True, False, or a list of neutral texts")
    neutral = (NEUTRAL_TEXTS if calibrate else ()) if isinstance(calibrate, bool) else tuple(calibrate)
    if not isinstance(calibrate, bool) and not neutral:
        raise InputError("calibrate is an empty list: give neutral texts, or True for the usual ones")
    return Reader(
        scorer,
        templates=[template] if isinstance(template, str) else list(template),
        position=check_position(position or getattr(scorer, "default_position", "prefix")),
        neutral=neutral,
        overflow=overflow,
        max_tokens=max_tokens,
    )
