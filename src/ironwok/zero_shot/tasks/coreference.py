"""Whom does the pronoun mean? Two-stage prompts: put the noun in its place, or append that it refers to the noun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ironwok.errors import InputError
from ironwok.results import Classification, Span
from ironwok.zero_shot.pairs import Pair, Position, Prompt, Scorer, check_position, check_text
from ironwok.zero_shot.tasks.ranking import (
    Ranking,
    ask,
    check_candidates,
    check_span,
    clause_around,
    context_around,
    filled,
    judged,
    rank,
)

Style = Literal["replace", "append"]
JUDGEMENTS = ("true", "false")


@dataclass(frozen=True, slots=True)
class Reference:
    """A pronoun of a text and a noun that it may refer to; both are spans of the text."""

    text: str
    pronoun: Span
    noun: Span

    def __post_init__(self) -> None:
        check_text(self.text, 0)
        check_span(self.text, self.pronoun)
        check_span(self.text, self.noun)
        if not self.pronoun.text or not self.noun.text:
            raise InputError("the pronoun or the noun is an empty span")


def judge_references(
    scorer: Scorer,
    items: Sequence[Reference],
    *,
    prior: Sequence[float] | None = None,
    style: Style = "replace",
    template: str = "{pronoun}指的是{noun}",
    position: Position = "suffix",
    clause_chars: int = 40,
    context_chars: int = 200,
) -> list[Classification]:
    """Whether each pronoun refers to its noun: label "true" or "false" (samples-contrast over the items of the call).

    prior: shares of true and false, uniform for None.
    style: "replace" sets the pronoun's clause, with the noun in the pronoun's place, beside the text; "append" sets
    ``template`` beside it.
    """
    groups = [[_pair(item, style, template, position, clause_chars, context_chars)] for item in items]
    scores_N = np.array([own[0] for own in ask(scorer, groups)], dtype=np.float64)
    return judged([item.text for item in items], scores_N, JUDGEMENTS, prior)


def choose_antecedent(
    scorer: Scorer,
    text: str,
    *,
    pronoun: Span,
    candidates: Sequence[Span],
    style: Style = "replace",
    template: str = "{pronoun}指的是{noun}",
    position: Position = "suffix",
    clause_chars: int = 40,
    context_chars: int = 200,
) -> Ranking:
    """Rank the nouns that a pronoun may refer to (candidates-contrast)."""
    names = check_candidates([span.text for span in candidates], of=f"the pronoun {pronoun.text!r}")
    items = [Reference(text, pronoun, span) for span in candidates]
    (scores,) = ask(scorer, [[_pair(item, style, template, position, clause_chars, context_chars) for item in items]])
    return rank(text, pronoun, names, scores, list(candidates))


def _pair(
    item: Reference, style: Style, template: str, position: Position, clause_chars: int, context_chars: int
) -> Pair:
    if style not in get_args(Style):
        raise InputError(f"style is {style!r}; it is 'replace' or 'append'")
    check_position(position)
    context = context_around(item.text, item.pronoun, most=context_chars)
    if style == "append":
        before, mark, after = template.partition("{noun}")
        if not mark:
            raise InputError(f"template {template!r} has no {{noun}}, as in '{{pronoun}}指的是{{noun}}'")
        said = [part.replace("{pronoun}", item.pronoun.text) for part in (before, after)]
        return Pair(context.text, Prompt(said[0], item.noun.text, said[1]), position)
    clause = clause_around(item.text, item.pronoun, most=clause_chars)
    return Pair(context.text, filled(item.text, clause, item.pronoun, item.noun.text), position)
