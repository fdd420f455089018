"""What the page knows about answers, as plain JSON values."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from ironwok.results import Answer, Report, Source

_DIGITS = 4
# characters of a source that stand beside the answer; the document itself is a click away
_QUOTED = 320


def answers_given(report: Report, shown: int) -> dict[str, Any] | None:
    """Questions, answers in pieces of one source each, and the sources; None where nothing was asked.

    shown: how many of the documents the page holds; a source in another one has a name but no place to go.
    """
    if not report.answers:
        return None
    return {"model": report.answer_model, "given": [_answer(answer, report, shown) for answer in report.answers]}


def _answer(answer: Answer, report: Report, shown: int) -> dict[str, Any]:
    return {
        "question": answer.question,
        "text": answer.text,
        "pieces": _pieces(answer),
        "doubts": list(answer.doubts),
        "finished": answer.finished,
        "parts": answer.parts,
        # a source that no word came from says nothing, unless there are no words at all
        "sources": [
            _source(number, source, report, shown)
            for number, source in enumerate(answer.sources)
            if source.share or (number == 0 and not answer.text)
        ],
    }


def _pieces(answer: Answer) -> list[list[Any]]:
    """The answer's text cut where its source changes: [text, number of the source]."""
    pieces: list[list[Any]] = []
    for token in answer.tokens:
        text = answer.text[token.start : token.end]
        if pieces and pieces[-1][1] == token.source:
            pieces[-1][0] += text
        elif text:
            pieces.append([text, token.source])
    return pieces


def _source(number: int, source: Source, report: Report, shown: int) -> dict[str, Any]:
    document = report.documents[source.context]
    spot = (source.evidence or source.span).start
    starts = [passage.span.start for passage in document.passages]
    return {
        "number": number,
        "document": source.context if source.context < shown else None,
        "path": document.document,
        "passage": max(bisect_right(starts, spot) - 1, 0),
        "at": [source.span.start, source.span.end],
        "quote": _quote(source),
        "share": round(source.share, _DIGITS),
        "posterior": round(source.posterior, _DIGITS),
    }


def _quote(source: Source) -> list[str]:
    """The text before the words of the answer, these words, and the text behind; cut to what fits beside an answer."""
    text = source.span.text
    if source.evidence is None:
        return [text[:_QUOTED] + ("…" if len(text) > _QUOTED else ""), "", ""]
    start, end = source.evidence.start - source.span.start, source.evidence.end - source.span.start
    first = max(0, start - _QUOTED // 2)
    last = max(end, first + _QUOTED)
    return [
        ("…" if first else "") + text[first:start],
        text[start:end],
        text[end:last] + ("…" if last < len(text) else ""),
    ]
