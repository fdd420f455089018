"""Which candidate belongs into the blank? Two-stage prompts: fill it in, and the clause around it is the prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ironwok.errors import InputError
from ironwok.results import Span
from ironwok.text.associations import Told
from ironwok.zero_shot.adapting import adapted
from ironwok.zero_shot.pairs import Pair, Position, Prompt, Scorer, check_position, check_text
from ironwok.zero_shot.pet import PETScorer
from ironwok.zero_shot.tasks.ranking import (
    Ranking,
    ask,
    check_candidates,
    clause_around,
    context_around,
    filled,
    rank,
)

_LINE = "_＿"

Context = Literal["beside", "around"]


@dataclass(frozen=True, slots=True)
class Cloze:
    """A text with one blank, and what may fill it.

    blank: the mark of the blank, found once in the text; ``place`` is where. A mark of two underscores or more stands
    for any such line of them, wide or narrow; others, such as "#idiom#", are taken as they are.
    """

    text: str
    candidates: tuple[str, ...]
    blank: str = "____"
    place: Span = field(init=False)

    def __post_init__(self) -> None:
        check_text(self.text, 0)
        check_candidates(self.candidates, of=f"the blank of {self.text!r:.30}")
        is_line = len(self.blank) > 1 and not self.blank.strip(_LINE)
        mark = "_{2,}|＿{2,}" if is_line else re.escape(self.blank) + ("+" if self.blank in _LINE else "")
        found = list(re.finditer(mark, self.text)) if self.blank else []
        if len(found) != 1:
            wanted = "of two underscores or more" if is_line else repr(self.blank)
            raise InputError(
                f"text {self.text!r:.40} has {len(found)} blanks {wanted}, one is needed; blank (--blank) says how it "
                "is written otherwise"
            )
        object.__setattr__(self, "place", Span(*found[0].span(), found[0][0]))


def fill_blanks(
    scorer: Scorer,
    items: Sequence[Cloze],
    *,
    context: Context | None = None,
    position: Position = "suffix",
    clause_chars: int = 40,
    context_chars: int = 200,
) -> list[Ranking]:
    """Rank the candidates of each blank (candidates-contrast).

    context: "beside" sets the clause with the candidate filled in (at most ``clause_chars`` to either side) beside the
    text around it without that clause, which asks a next-sentence scorer whether they read on. "around" leaves the
    candidate in its text, which is what a masked LM wants. None takes the one for the scorer.
    context_chars: how far to either side of the blank the model reads.
    """
    if context is None:
        context = "around" if isinstance(scorer, PETScorer) else "beside"
    if context not in get_args(Context):
        raise InputError(f"context is {context!r}; it is 'beside' or 'around'")
    check_position(position)
    groups = [
        [_pair(item, name, context, position, clause_chars, context_chars) for name in item.candidates]
        for item in items
    ]
    return [
        rank(item.text, item.place, item.candidates, scores)
        for item, scores in zip(items, ask(scorer, groups), strict=True)
    ]


def filled_blank(ranking: Ranking) -> dict[str, Any]:
    """A result of `fill_blanks` for JSON: where the blank is, the best word, and the score of each candidate."""
    place = ranking.target
    scores = {one.name: round(one.score, 6) for one in ranking.candidates}
    return {"blank": place and [place.start, place.end], "word": ranking.best.name, "scores": scores}


def adapted_to_blanks(scorer: Scorer, items: Sequence[Cloze], *, context_chars: int = 200) -> Scorer:
    """A scorer for `fill_blanks` that has looked at blanks among whose candidates are those that are to be judged.

    items: the blanks themselves, or others; what fills them need not be known. It helps where candidates come again in
    many texts, as idioms or product names do: see `ironwok.zero_shot.adapting`. context_chars: as for `fill_blanks`.
    Raises InputError for a scorer without a table of words that keep company.
    """
    around = [_told(item, context_around(item.text, item.place, most=context_chars)) for item in items]
    return adapted(scorer, around, [item.candidates for item in items], one_fits=True)


def _told(item: Cloze, wide: Span) -> Told:
    """What stands before the blank and behind it, within ``wide``."""
    return item.text[wide.start : item.place.start], item.text[item.place.end : wide.end]


def _pair(item: Cloze, name: str, context: Context, position: Position, clause_chars: int, context_chars: int) -> Pair:
    wide = context_around(item.text, item.place, most=context_chars)
    if context == "around":
        return Pair("", filled(item.text, wide, item.place, name), position)
    clause = clause_around(item.text, item.place, most=clause_chars)
    prompt: Prompt = filled(item.text, clause, item.place, name)
    rest = item.text[wide.start : clause.start] + item.text[clause.end : wide.end]
    # a clause that is all there is stands beside itself, with nothing in the blank
    return Pair(rest if rest.strip() else prompt.before + prompt.after, prompt, position, _told(item, wide))
