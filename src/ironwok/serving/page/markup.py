"""Results as HTML: bars of labels, text with its spans in colour, an answer with its sources. Knows no model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from ironwok.results import Answer, Classification, Entity, Event, Relation, Source, Span
from ironwok.serving.page.words import WORDS, both

# neighbours in a list lie far apart on the circle; the report of `ironwok read` has the same
_HUES = (250, 45, 150, 330, 95, 200, 15, 285, 125, 225, 65, 305)
_SHOWN_TEXT = 600
_SHOWN_LABELS = 12
# characters of a source that stand beside the answer
_QUOTED = 320
_TRIGGER = "\0trigger"

Found = Event | Entity | Relation


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of the text and what it is. name: of its role, a type or a predicate; `_TRIGGER` for a trigger."""

    start: int
    end: int
    name: str


def classifications(
    results: Sequence[Classification], labels: Sequence[str], *, several: bool = False, threshold: float | None = None
) -> str:
    """A card for each text, with a bar for each of its best labels. labels: in the user's order, for their colours."""
    number = {label: index for index, label in enumerate(labels)}
    bound = 0.5 if threshold is None else threshold

    def card(result: Classification) -> str:
        rows = [
            _bar(escape(label), score, number.get(label, 0), score >= bound if several else label == result.label)
            for label, score in zip(result.labels, result.scores, strict=True)
        ]
        notes = ""
        if result.abstained:
            notes += f'<p class="note">{both("no_label")}</p>'
        if result.evidence is not None:
            quote = escape(_cut(result.evidence.text, _QUOTED))
            notes += f'<p class="note">{both("window")}: <q>{quote}</q></p>'
        return _bars(escape(_cut(result.text, _SHOWN_TEXT)), rows, notes)

    return _shell("".join(map(card, results)))


def comparisons(pairs: Sequence[Sequence[str]], results: Sequence[Mapping[str, Any]]) -> str:
    """A card for each pair of sentences, with a bar for each answer. results: with the label and the scores."""

    def card(pair: Sequence[str], result: Mapping[str, Any]) -> str:
        number = {name: index for index, name in enumerate(sorted(result["scores"]))}
        rows = [
            _bar(both(name) if name in WORDS else escape(name), score, number[name], name == result["label"])
            for name, score in result["scores"].items()
        ]
        return _bars("<br>".join(escape(_cut(sentence, _SHOWN_TEXT)) for sentence in pair), rows)

    return _shell("".join(map(card, pairs, results)))


def fillings(texts: Sequence[str], results: Sequence[Mapping[str, Any]], candidates: Sequence[str]) -> str:
    """A card for each text, the best word in its blank, with a bar for each candidate, in the user's order coloured."""
    number = {name: index for index, name in enumerate(candidates)}

    def card(text: str, result: Mapping[str, Any]) -> str:
        (start, end), word = result["blank"], result["word"]
        rows = [_bar(escape(name), score, number[name], name == word) for name, score in result["scores"].items()]
        set_in = f'<span class="mark" style="{_hue(number[word])}">{escape(word)}</span>'
        return _bars(escape(text[:start]) + set_in + escape(text[end:]), rows)

    return _shell("".join(map(card, texts, results)))


def _bar(name: str, score: float, number: int, chosen: bool) -> str:
    """A line of a card. name: HTML. number: of the colour."""
    return (
        f'<li class="{"chosen" if chosen else ""}" style="{_hue(number)};--share:{score:.4f}">'
        f'<span class="name">{name}</span><span class="bar" aria-hidden="true"></span>'
        f'<span class="number">{_percent(score)}</span></li>'
    )


def _bars(text: str, rows: Sequence[str], notes: str = "") -> str:
    """A card. text and notes: HTML. rows: the best first; no more than a dozen are shown."""
    shown = "".join(rows[:_SHOWN_LABELS])
    return f'<article class="card"><p class="text">{text}</p><ul class="scores">{shown}</ul>{notes}</article>'


def extraction(text: str, found: Sequence[Found]) -> str:
    """The text with its spans in the colours of their roles, the roles, and a card for each thing found."""
    if not found:
        return _shell(f'<p class="running">{escape(text)}</p><p class="note">{both("nothing")}</p>')
    marks = sorted({mark for one in found for mark in marks_of(one)}, key=lambda mark: (mark.start, mark.end))
    valued = (argument.role for one in found if isinstance(one, Event) for argument in one.arguments)
    names = dict.fromkeys(name for name in (*(mark.name for mark in marks), *valued) if name != _TRIGGER)
    hues = {name: _hue(index) for index, name in enumerate(names)} | {_TRIGGER: ""}
    legend = [
        f'<li class="{_kind(name)}" style="{hues[name]}">{_name(name)}</li>'
        for name in dict.fromkeys(mark.name for mark in marks)
    ]
    kind = {Event: "found_events", Entity: "found_entities", Relation: "found_relations"}[type(found[0])]
    return _shell(
        f'<ul class="legend" aria-label="roles">{"".join(legend)}</ul>'
        f'<p class="running">{"".join(_coloured(text, marks, hues))}</p>'
        f"<h3>{both(kind, str(len(found)))}</h3>"
        f'<div class="found">{"".join(_card(one, hues) for one in found)}</div>'
    )


def marks_of(found: Found) -> Iterator[Mark]:
    """The stretches of the text that a thing is made of."""
    if isinstance(found, Entity):
        yield Mark(found.span.start, found.span.end, found.type)
    elif isinstance(found, Relation):
        for span in (found.subject, found.object):
            yield Mark(span.start, span.end, found.predicate)
    else:
        if found.trigger is not None:
            yield Mark(found.trigger.start, found.trigger.end, _TRIGGER)
        for argument in found.arguments:
            if argument.span is not None and argument.value is None:
                yield Mark(argument.span.start, argument.span.end, argument.role)


def answered(answer: Answer) -> str:
    """The words in the colours of their sources, a strip of them, what is doubtful, the sources with their evidence."""
    # a source that no word came from says nothing, unless there are no words at all
    told = [
        (number, source)
        for number, source in enumerate(answer.sources)
        if source.share or (number == 0 and not answer.text)
    ]
    hues = {number: _hue(place) for place, (number, _) in enumerate(told)}
    pieces = list(pieces_of(answer))
    called = [f"[{source.context + 1}]" for source in answer.sources]
    words = "".join(
        f'<span class="drawn" style="{hues[source]}" title="{called[source]}">{escape(text)}</span>'
        for text, source in pieces
    )
    strip = "".join(f'<i style="{hues[source]};--length:{len(text)}"></i>' for text, source in pieces)
    shares = ", ".join(f"{called[number]} {_percent(source.share)}" for number, source in told)
    doubts = "".join(both(code) + " " for code in answer.doubts)
    return _shell(
        f'<p class="said">{words or both("no_answer")}</p>'
        + (f'<span class="strip" role="img" aria-label="{escape(shares)}">{strip}</span>' if strip else "")
        + (f'<p class="doubt">{both("unsettled")} {doubts}</p>' if doubts else "")
        + ("" if answer.finished else f'<p class="doubt">{both("broken_off")}</p>')
        + f'<ol class="sources">{"".join(_source(source, hues[number]) for number, source in told)}</ol>'
    )


def pieces_of(answer: Answer) -> list[tuple[str, int]]:
    """The answer's text cut where its source changes: text, number of the source."""
    pieces: list[tuple[str, int]] = []
    for token in answer.tokens:
        text = answer.text[token.start : token.end]
        if pieces and pieces[-1][1] == token.source:
            pieces[-1] = (pieces[-1][0] + text, token.source)
        elif text:
            pieces.append((text, token.source))
    return pieces


def unfinished(text: str) -> str:
    """An answer on its way: its sources are known at its end."""
    return _shell(f'<p class="said writing">{escape(text) if text else both("reading")}</p>')


def refused(code: str, message: str) -> str:
    """Why something was not done. A code that the page has words for is told in them, others by the message."""
    known = code in ("queue_full", "timeout", "shutting_down", "bug")
    told = both(code) if known else f'<span class="told">{escape(message)}</span>'
    return _shell(f'<p class="refused" role="alert">{both("refused")}{told}</p>')


def _coloured(text: str, marks: Sequence[Mark], hues: dict[str, str]) -> Iterator[str]:
    """The text, cut wherever a mark begins or ends; the shortest mark gives the ground, the others a line each."""
    cuts = sorted({0, len(text)} | {place for mark in marks for place in (mark.start, mark.end)})
    for start, end in pairwise(cuts):
        piece = escape(text[start:end])
        over = sorted(
            (mark for mark in marks if mark.start <= start and end <= mark.end), key=lambda mark: mark.end - mark.start
        )
        names = list(dict.fromkeys(mark.name for mark in over))
        if not names:
            yield piece
            continue
        lines = "".join(
            f'<i class="{_kind(name)}" style="{hues[name]};--line:{line}"></i>' for line, name in enumerate(names[1:])
        )
        title = escape(" · ".join("trigger" if name == _TRIGGER else name for name in names))
        yield f'<span class="{_kind(names[0])}" style="{hues[names[0]]}" title="{title}">{piece}{lines}</span>'


def _card(found: Found, hues: dict[str, str]) -> str:
    rows: Iterable[tuple[str, str]]
    if isinstance(found, Entity):
        title, rows = found.type, [(found.type, found.span.text)]
    elif isinstance(found, Relation):
        title, rows = found.predicate, [(found.predicate, f"{found.subject.text} → {found.object.text}")]
    else:
        title = found.type
        trigger = [(_TRIGGER, found.trigger.text)] if found.trigger else []
        rows = [*trigger, *((argument.role, argument.text) for argument in found.arguments)]
    lines = "".join(
        f'<dt class="{_kind(name)}" style="{hues[name]}">{_name(name)}</dt><dd>{escape(words)}</dd>'
        for name, words in rows
    )
    head = f"<h4>{escape(title)}<small>{_percent(found.score)}</small></h4>"
    return f'<article class="thing">{head}<dl>{lines}</dl></article>'


def _source(source: Source, hue: str) -> str:
    before, words, behind = _quote(source.span, source.evidence)
    mark = f"<mark>{escape(words)}</mark>" if words else ""
    about = " · ".join(
        (both("place", str(source.span.start), str(source.span.end)), both("share", _percent(source.share)))
    )
    return (
        f'<li style="{hue}"><p class="from"><b>{both("source", str(source.context + 1))}</b><small>{about}</small></p>'
        f"<blockquote>{escape(before)}{mark}{escape(behind)}</blockquote></li>"
    )


def _quote(span: Span, evidence: Span | None) -> tuple[str, str, str]:
    """The text before the words of the answer, these words, the text behind; cut to what fits beside an answer."""
    text = span.text
    if evidence is None:
        return _cut(text, _QUOTED), "", ""
    start, end = evidence.start - span.start, evidence.end - span.start
    first = max(0, start - _QUOTED // 2)
    last = max(end, first + _QUOTED)
    return (
        ("…" if first else "") + text[first:start],
        text[start:end],
        text[end:last] + ("…" if last < len(text) else ""),
    )


def _shell(inside: str) -> str:
    return f'<div class="iw">{inside}</div>'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "…"


def _hue(number: int) -> str:
    return f"--hue:{_HUES[number % len(_HUES)] + 13 * (number // len(_HUES))}"


def _kind(name: str) -> str:
    return "mark trigger" if name == _TRIGGER else "mark"


def _name(name: str) -> str:
    return both("trigger") if name == _TRIGGER else escape(name)


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"
