"""The report as one HTML file: data, style and script inside, no network, nothing to install.

The page (``page/report.html.j2``, ``.css``, ``.js``) gets the results as JSON in a data block and builds what is on the
screen from it, with text nodes only: no text of a document ever reaches the HTML parser. A content security policy
admits exactly the scripts that we put in and no address at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from ironwok.reading.page_answers import answers_given
from ironwok.reading.page_events import document_events, events_asked
from ironwok.results import Classification, DocumentResult, Report

# what a browser still scrolls smoothly; the JSONL beside the page always holds everything
MAX_PASSAGES = 20_000
# scores per passage in the page; a hundred labels for each of thousands of passages would be most of the file
MAX_SCORES = 12
# the parts of the script, in the order in which the page runs them
SCRIPTS = ("words.js", "elements.js", "state.js", "events.js", "answers.js", "views.js", "main.js")


def render(report: Report, *, language: str, made: date, version: str, max_passages: int = MAX_PASSAGES) -> str:
    """The page of a report.

    language: "en" or "zh", what the page opens in (it can be switched there).
    made: the date printed on the page.
    max_passages: documents beyond this many passages are counted in the overview but not shown.
    """
    payload = page_data(report, language=language, made=made, version=version, max_passages=max_passages)
    script = "\n".join(_part(name) for name in SCRIPTS)
    return _template().render(
        language=language,
        title=payload["title"],
        style=_part("report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=json_for_script(payload),
        labels=list(zip(payload["labels"], payload["labelPassages"], payload["labelDocuments"], strict=True)),
        types=[
            (type["name"], type["events"], type["documents"]) for type in (payload["events"] or {}).get("types", ())
        ],
        entities=(payload["events"] or {}).get("task") == "entities",
        totals=payload["totals"],
        answers=[(one["question"], one["text"]) for one in (payload["answers"] or {}).get("given", ())],
    )


def page_data(report: Report, *, language: str, made: date, version: str, max_passages: int) -> dict[str, Any]:
    """What the page knows, as plain JSON values; labels are numbers into ``labels``, offsets count characters."""
    number = {label: index for index, label in enumerate(report.labels)}
    names = display_names([document.document for document in report.documents])
    documents: list[dict[str, Any]] = []
    shown = 0
    for document in report.documents:
        if shown + len(document.passages) > max_passages:
            break
        shown += len(document.passages)
        documents.append(_document_data(document, report, number, names))
    label_passages = _counts(report, number, (passage.classification for passage in report.passages))
    label_documents = _counts(report, number, (document.classification for document in report.documents))
    return {
        "format": 1,
        "language": language,
        "title": _title(report),
        "made": made.isoformat(),
        "version": version,
        "model": report.model or None,
        "template": " · ".join(report.templates) or None,
        "adapted": report.adapted or None,
        "multiLabel": report.multi_label,
        "threshold": report.threshold,
        "labels": list(report.labels),
        "labelPassages": label_passages,
        "labelDocuments": label_documents,
        "without": {
            "passages": sum(not report.labels_of(passage.classification) for passage in report.passages),
            "documents": sum(not report.labels_of(document.classification) for document in report.documents),
        },
        "totals": {
            "documents": len(report.documents),
            "passages": sum(len(document.passages) for document in report.documents),
            "characters": sum(len(passage.span.text) for passage in report.passages),
            "events": sum(len(document.found) for document in report.documents),
            "shownDocuments": len(documents),
            "shownPassages": shown,
        },
        "events": events_asked(report),
        "answers": answers_given(report, len(documents)),
        "documents": documents,
        "skipped": [skip.to_dict() for skip in report.skipped],
    }


def json_for_script(value: Any) -> str:
    """JSON that can stand inside a ``<script>`` element: no ``<``, ``>``, ``&``, line or paragraph separator as such.

    A half of a surrogate pair (JSON input may hold one) becomes its escape, since UTF-8 has no place for it.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def display_names(paths: Sequence[str]) -> dict[str, str]:
    """Short names for paths: without the folder that all of them share, with ``/`` on every system."""
    unique = list(dict.fromkeys(paths))
    folders = {os.path.dirname(path) for path in unique}
    try:
        shared = os.path.commonpath(folders) if folders else ""
    except ValueError:  # absolute and relative paths, or two drives
        shared = ""
    return {path: (os.path.relpath(path, shared) if shared else path).replace(os.sep, "/") for path in unique}


def _title(report: Report) -> str:
    """Names of what was read, as many as fit on a line."""
    names = [os.path.basename(os.path.abspath(source)) for source in report.sources] or [report.folder.resolve().name]
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _document_data(
    document: DocumentResult, report: Report, number: Mapping[str, int], names: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "name": names[document.document],
        "path": document.document,
        "record": document.record,
        "line": document.line,
        "title": document.title,
        "labels": [number[label] for label in report.labels_of(document.classification)],
        "scores": _scores(document.classification, number),
        "passages": [
            {
                "before": passage.before,
                "text": passage.span.text,
                "at": [passage.span.start, passage.span.end],
                "page": passage.page,
                "labels": [number[label] for label in report.labels_of(passage.classification)],
                "scores": _scores(passage.classification, number),
            }
            | found
            for passage, found in zip(document.passages, document_events(document, report.events), strict=True)
        ],
    }


def _scores(classification: Classification | None, number: Mapping[str, int]) -> list[list[float]]:
    if classification is None:
        return []
    pairs = zip(classification.labels[:MAX_SCORES], classification.scores, strict=False)
    return [[number[label], round(score, 4)] for label, score in pairs]


def _counts(report: Report, number: Mapping[str, int], classifications: Iterable[Classification | None]) -> list[int]:
    counter = Counter(label for classification in classifications for label in report.labels_of(classification))
    return [counter[label] for label in number]


@cache
def _part(name: str) -> str:
    return (files("ironwok.reading") / "page" / name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_part("report.html.j2"))
