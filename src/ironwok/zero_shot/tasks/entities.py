"""Which entry of a knowledge base is meant, and of which type is it? Candidates with descriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ironwok.errors import InputError, LabelError, TemplateError
from ironwok.results import Span
from ironwok.zero_shot.labels import LabelSet, parse_labels
from ironwok.zero_shot.pairs import Pair, Position, Prompt, Scorer, check_position, check_text
from ironwok.zero_shot.tasks.ranking import Ranking, ask, check_span, context_around, rank


@dataclass(frozen=True, slots=True)
class Entity:
    """A mention in a text; the mention is a span of the text."""

    text: str
    mention: Span

    def __post_init__(self) -> None:
        check_text(self.text, 0)
        check_span(self.text, self.mention)
        if not self.mention.text.strip():
            raise InputError("the mention is an empty or blank span")


def link_entities(
    scorer: Scorer,
    items: Sequence[Entity],
    entries: Sequence[Mapping[str, str]],
    *,
    position: Position = "suffix",
    context_chars: int = 200,
    description_chars: int = 120,
) -> list[Ranking]:
    """Rank the entries that each mention may stand for (candidates-contrast).

    entries: for each mention, identifier → summary of the entry; the summary is the prompt. A single entry is ranked
    first with a score of 1: whether it is meant at all is not asked.
    description_chars: how much of a summary is read.
    """
    if len(entries) != len(items):
        raise InputError(f"there are {len(items)} mentions but entries for {len(entries)}: give one mapping a mention")
    sets = [_entries(item, own) for item, own in zip(items, entries, strict=True)]
    return _rank(
        scorer,
        items,
        sets,
        lambda _, description: Prompt("", description[:description_chars], ""),
        position,
        context_chars,
    )


def type_entities(
    scorer: Scorer,
    items: Sequence[Entity],
    types: Sequence[str] | Mapping[str, str],
    *,
    template: str = "{mention}是{type}",
    position: Position = "suffix",
    context_chars: int = 200,
) -> list[Ranking]:
    """Rank the types that each mention may have (candidates-contrast).

    types: names, or name → words that describe the type in the template.
    template: with ``{type}`` once, and ``{mention}`` where the mention belongs.
    """
    if template.count("{type}") != 1:
        raise TemplateError(f"template {template!r} needs one {{type}}, as in '{{mention}}是{{type}}'")
    before, after = template.split("{type}")
    label_set = parse_labels(types)
    return _rank(
        scorer,
        items,
        [label_set] * len(items),
        lambda item, words: Prompt(
            before.replace("{mention}", item.mention.text), words, after.replace("{mention}", item.mention.text)
        ),
        position,
        context_chars,
    )


def _entries(item: Entity, entries: Mapping[str, str]) -> LabelSet:
    try:
        return parse_labels(dict(entries), at_least=1)
    except LabelError as error:
        raise LabelError(f"entries of {item.mention.text!r}: {error}") from None


def _rank(
    scorer: Scorer,
    items: Sequence[Entity],
    sets: Sequence[LabelSet],
    prompt_of: Callable[[Entity, str], Prompt],
    position: Position,
    context_chars: int,
) -> list[Ranking]:
    check_position(position)
    groups = []
    for item, label_set in zip(items, sets, strict=True):
        context = context_around(item.text, item.mention, most=context_chars).text
        groups.append([Pair(context, prompt_of(item, words), position) for words in label_set.words])
    return [
        rank(item.text, item.mention, label_set.names, scores)
        for item, label_set, scores in zip(items, sets, ask(scorer, groups), strict=True)
    ]
