"""Events of passages, or named entities, for the main job.

A passage may be a part of a paragraph, and an event may go on in the next part; or it may be several short paragraphs,
a title and what follows it, say, which are no sentence together. So the paragraphs are read one by one, whatever
passages they were cut into, and each event goes to the passage in which it begins. So does each entity.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ironwok.errors import InputError
from ironwok.events.decoding import DecodingOptions
from ironwok.events.schema import Schema
from ironwok.reading.aggregate import SCORE_DIGITS
from ironwok.reading.readers import folder_hash, hub_commit
from ironwok.results import DocumentResult, Entity, Event, EventsAsked, PassageResult, Report, Span
from ironwok.text.passages import split_paragraphs

if TYPE_CHECKING:
    pass

DEFAULT_EVENT_MODEL = "finance"
# passages at once: a second or two on a CPU
_PORTION = 32
# below this many passages a prediction of the cost would take longer than it is worth
_CHEAP = 400
_SAMPLE = 16


class Extracts(Protocol):
    """What is asked of an extractor; `EventExtractor` is one."""

    @property
    def schema(self) -> Schema:
        """What is looked for."""
        ...

    def extract(self, texts: Sequence[str]) -> Sequence[tuple[Event | Entity, ...]]:
        """The events of each text, or its entities, offsets in it."""
        ...


class EventReader:
    """Finds events in passages, or entities, a paragraph at a time: what the model was trained for.

    schema: a bundled model (``finance``, ``entities``), the folder of a model, a schema file, or a Schema. A file or
    Schema says what to look for among that which the model knows; without one it is everything.
    model: bundled name, folder or hub id; None: the one that ``schema`` names, else a bundled one that knows it all.
    tolerance: how many missing links an event may have, as in `DecodingOptions`; 0 for none.
    extractor: one that is loaded already, with its own schema and options; ``model`` then only names it.
    clock: seconds from any origin.
    Raises InputError, SchemaError or ModelError.
    """

    kind = "events"
    portion = _PORTION

    def __init__(
        self,
        *,
        schema: str | os.PathLike[str] | Schema | None = None,
        model: str | os.PathLike[str] | None = None,
        tolerance: float = 0.0,
        device: str | None = None,
        dtype: str | None = None,
        extractor: Extracts | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.model, self.asked = _chosen(schema, model)
        self.options = DecodingOptions(tolerance=tolerance)
        self.device = device
        self.dtype = dtype
        self._extractor = extractor
        self._is_given = extractor is not None
        self._clock = clock
        if self._is_given and schema is not None:
            raise InputError("schema and extractor cannot both be given: make the extractor with that schema")

    @property
    def schema(self) -> Schema:
        """What is looked for."""
        return self.extractor().schema

    @property
    def task(self) -> str:
        """What is found: "events" or "entities"."""
        return getattr(self.extractor(), "task", "events")

    def settings(self) -> dict[str, Any]:
        return {
            "events_schema": self.schema.fingerprint,
            "events_model": self.model,
            "events_model_version": None if self._is_given else self._model_version(),
            "events_tolerance": self.options.tolerance,
            "events_dtype": self.dtype,
        }

    def read(self, passages: Sequence[PassageResult]) -> list[PassageResult]:
        entities = self.task == "entities"
        stretches = [(stretch, split_paragraphs(_text(stretch))) for stretch in _stretches(passages)]
        found = iter(self.extractor().extract([span.text for _, paragraphs in stretches for span in paragraphs]))
        results = []
        for stretch, paragraphs in stretches:
            beginning: dict[int, list[Any]] = {passage.index: [] for passage in stretch}
            for span, results_there in zip(paragraphs, found, strict=False):  # found goes on with the next stretch
                for one in results_there:
                    moved = _rounded(_moved(one, stretch[0].span.start + span.start))
                    beginning[_home(moved, stretch).index].append(moved)
            for passage in stretch:
                begun = tuple(beginning[passage.index])
                results.append(replace(passage, entities=begun) if entities else replace(passage, events=begun))
        return results

    def conclude(self, document: DocumentResult) -> DocumentResult:
        return document

    def predict_seconds(self, sample: Sequence[str], passages: int) -> float | None:
        if not sample or passages < _CHEAP:
            return None
        step = max(1, len(sample) // _SAMPLE)
        chosen = list(sample[::step])[:_SAMPLE]
        extractor = self.extractor()
        extractor.extract(chosen[:1])  # the first call warms up
        start = self._clock()
        extractor.extract(chosen)
        return (self._clock() - start) * passages / len(chosen)

    def complete(self, report: Report) -> Report:
        schema = self.schema
        if self.task == "entities":
            described = {entity.name: entity.description for entity in schema.entities if entity.description}
            described |= {f"{name}/{name}": text for name, text in described.items()}
            kinds = tuple((entity.name, (entity.name,)) for entity in schema.entities)
            return replace(report, events=EventsAsked(self.model, kinds, described, task="entities"))
        descriptions = {event.name: event.description for event in schema.events if event.description}
        for event in schema.events:
            descriptions |= {f"{event.name}/{role.name}": role.description for role in event.roles if role.description}
        types = tuple((event.name, tuple(role.name for role in event.roles)) for event in schema.events)
        return replace(report, events=EventsAsked(model=self.model, types=types, descriptions=descriptions))

    def files(self, report: Report) -> Mapping[str, Iterable[bytes]]:
        return {"entities.csv": entities_csv(report)} if self.task == "entities" else {"events.csv": events_csv(report)}

    def extractor(self) -> Extracts:
        if self._extractor is None:
            from ironwok.events.extractor import load_extractor
            from ironwok.events.loading import read_task

            if read_task(self.model) == "relations":
                raise InputError(
                    f"{self.model} finds relations, which a report does not show: ironwok extract --schema "
                    f"{self.model} lists them"
                )
            self._extractor = load_extractor(
                self.model, schema=self.asked, options=self.options, device=self.device, dtype=self.dtype
            )
        return self._extractor

    def _model_version(self) -> str | None:
        """What tells this model from a later one of the same name: hash of a folder, commit of a hub id."""
        from ironwok.models import resolve_model

        source = resolve_model(self.model)
        if Path(source).is_dir():
            return folder_hash(Path(source))
        self.extractor()  # downloads it where it is not there yet
        return hub_commit(source)


def events_csv(report: Report) -> Iterable[bytes]:
    """A table of all events, for spreadsheets: a row for every event, a column for every role of any type.

    UTF-8 with a byte order mark, without which Excel takes it for another encoding. Several arguments of one role stand
    in one cell, each on a line of its own.
    """
    asked = report.events
    roles = list(dict.fromkeys(role for _, roles in asked.types for role in roles)) if asked else []
    yield "\ufeff".encode()
    yield _row([*_PLACE, "start", "end", "type", "score", "trigger", *roles, "passage"])
    for document in report.documents:
        for passage in document.passages:
            for event in passage.events or ():
                spans = event.spans
                start, end = (spans[0].start, max(span.end for span in spans)) if spans else ("", "")
                cells: dict[str, list[str]] = {}
                for argument in event.arguments:
                    cells.setdefault(argument.role, []).append(argument.text)
                yield _row(
                    [
                        *_place(document, passage),
                        start,
                        end,
                        event.type,
                        event.score,
                        event.trigger.text if event.trigger else "",
                        *("\n".join(cells.get(role, ())) for role in roles),
                        passage.span.text,
                    ]
                )


def entities_csv(report: Report) -> Iterable[bytes]:
    """A table of all entities, a row for each; otherwise as `events_csv`."""
    yield "\ufeff".encode()
    yield _row([*_PLACE, "start", "end", "type", "text", "score", "passage"])
    for document in report.documents:
        for passage in document.passages:
            for entity in passage.entities or ():
                span = entity.span
                cells = [span.start, span.end, entity.type, span.text, entity.score, passage.span.text]
                yield _row([*_place(document, passage), *cells])


_PLACE = ("document", "record", "line", "title", "page")


def _place(document: DocumentResult, passage: PassageResult) -> list[Any]:
    numbers = (document.record, document.line, passage.page)
    record, line, page = ("" if number is None else number for number in numbers)
    return [document.document, record, line, document.title or "", page]


def _row(cells: Iterable[Any]) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return line.getvalue().encode("utf-8", "replace")


def _harmless(cell: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP advises."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _stretches(passages: Sequence[PassageResult]) -> Iterator[list[PassageResult]]:
    """Passages that follow each other in one document without a line break between them."""
    paragraph: list[PassageResult] = []
    for passage in passages:
        if paragraph and _goes_on(paragraph[-1], passage):
            paragraph.append(passage)
            continue
        if paragraph:
            yield paragraph
        paragraph = [passage]
    if paragraph:
        yield paragraph


def _goes_on(one: PassageResult, other: PassageResult) -> bool:
    follows = (one.document, one.record, one.index + 1) == (other.document, other.record, other.index)
    # splitlines knows every kind of line break
    return follows and len(f"{other.before}.".splitlines()) == 1 and one.span.text == one.span.text.rstrip("\r\n")


def _text(paragraph: Sequence[PassageResult]) -> str:
    first, *rest = paragraph
    return first.span.text + "".join(passage.before + passage.span.text for passage in rest)


def _moved(one: Event | Entity, by: int) -> Event | Entity:
    if isinstance(one, Event):
        return one.moved(by)
    return replace(one, span=Span(one.span.start + by, one.span.end + by, one.span.text))


def _home(one: Event | Entity, paragraph: Sequence[PassageResult]) -> PassageResult:
    """The passage in which something begins; the first one for an event that stands nowhere."""
    first = one.span if isinstance(one, Entity) else one.trigger or next(iter(one.spans), None)
    if first is None:
        return paragraph[0]
    # between two passages there may be a space, and nothing begins with that
    return next((passage for passage in reversed(paragraph) if passage.span.start <= first.start), paragraph[0])


def _rounded(event: Event | Entity) -> Event | Entity:
    if isinstance(event, Entity):
        return replace(event, score=round(event.score, SCORE_DIGITS))
    arguments = tuple(replace(one, score=round(one.score, SCORE_DIGITS)) for one in event.arguments)
    return replace(
        event,
        arguments=arguments,
        score=round(event.score, SCORE_DIGITS),
        trigger_score=round(event.trigger_score, SCORE_DIGITS),
    )


def _chosen(
    schema: str | os.PathLike[str] | Schema | None, model: str | os.PathLike[str] | None
) -> tuple[str, Schema | None]:
    """The model, and what to look for of all that it knows."""
    if schema is None or isinstance(schema, Schema):
        default = "entities" if schema is not None and schema.entities and not schema.events else DEFAULT_EVENT_MODEL
        return os.fspath(model) if model is not None else default, schema
    from ironwok.events.choosing import choose_model

    choice = choose_model(schema, model=model)
    return choice.model, choice.schema
