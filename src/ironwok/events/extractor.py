"""Texts in, events (entities, relations) out: windows, batches, the model, decoding, places, merging."""

# B windows, C classes, L tokens

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import numpy as np

from ironwok.errors import DecodingWarning, InputError
from ironwok.events.classes import Task, TaskClasses
from ironwok.events.decoding import Cuts, DecodingOptions
from ironwok.events.locating import WindowReading, WindowScores, read_window, results_of
from ironwok.events.merging import ACROSS, Across, Part, distinct_events, merge_events, merge_spans
from ironwok.events.schema import Schema
from ironwok.events.selection import Selection
from ironwok.progress import progress_bar
from ironwok.results import Entity, Event, Relation
from ironwok.text.inputs import buckets, layout_of, longest_input
from ironwok.text.windows import Window, iter_windows

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from ironwok.models import GPLinkerModel

FoundT = TypeVar("FoundT", Event, Entity, Relation)

_BATCHES_AHEAD = 8  # this many batches are sorted by length together
_CHARACTERS_AHEAD = 200_000  # but no more texts than that
_MOST_SCORES = 1 << 25  # cells of classes x tokens x tokens in one pass


@dataclass(slots=True)
class TextReading:
    """What a model said of a text: its windows, each with what may be in it."""

    text: str
    windows: list[tuple[Window, WindowReading]] = field(default_factory=list)


class Extractor(Generic[FoundT]):
    """A trained model, and how its scores are read.

    model: a bundled name, a folder that `ironwok train` wrote, a hub id; or a `GPLinkerModel` with its ``tokenizer``.
    schema: find these types and roles alone; all of them must be among those that the model was trained on.
    options: thresholds, tolerance and bounds (`DecodingOptions`); thresholds that are not given are the model's own.
    across: how events of a long text are joined across its windows (`ironwok.events.merging.merge_events`).
    batch_size: most windows in one pass of the model. max_tokens: of a window, special ones included; None for what the
    model was trained on. overlap: tokens that two windows share; None for a quarter of a window.
    device, dtype: as for `ZeroShotClassifier`.

    Raises ModelNotFoundError, CheckpointError, InputError, and SchemaChangedError where ``schema`` names something that
    the model does not know.
    """

    task: Task

    def __init__(
        self,
        model: str | os.PathLike[str] | GPLinkerModel = "finance",
        *,
        tokenizer: PreTrainedTokenizerBase | None = None,
        schema: Schema | None = None,
        options: DecodingOptions | None = None,
        across: Across = "places",
        batch_size: int = 32,
        max_tokens: int | None = None,
        overlap: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; it is at least 1")
        if across not in ACROSS:
            raise InputError(f"across is {across!r}: it is one of {', '.join(ACROSS)}")
        if isinstance(model, str | os.PathLike):
            from ironwok.events.loading import load_extraction_model

            self.name = os.fspath(model)
            self.model, tokenizer, self.classes = load_extraction_model(model, device=device, dtype=dtype)
        else:
            self.name = type(model).__name__
            self.model, self.classes = model.eval(), TaskClasses.from_config(model.config, place="the model")
        if tokenizer is None:
            raise InputError("a model object needs its tokenizer: pass tokenizer=...")
        if self.classes.task != self.task:
            raise InputError(
                f"{self.name} finds {self.classes.task}, not {self.task}: use {_NAMES[self.classes.task]} for it"
            )
        self.tokenizer = tokenizer
        config = self.model.config
        self.options = (options or DecodingOptions()).or_else(
            threshold=config.threshold, link_threshold=config.link_threshold
        )
        self.across: Across = across
        self.batch_size = batch_size
        self._layout = layout_of(tokenizer).single
        self.max_tokens, self._room, self._overlap = self._window_sizes(max_tokens, overlap)
        self._wanted = None if schema is None else Selection.of(schema, self.classes, name=self.name)

    @property
    def schema(self) -> Schema:
        """What is looked for."""
        return self.classes.schema if self._wanted is None else self._wanted.schema

    def extract(self, texts: Sequence[str] | Iterable[str], *, progress: bool = False) -> list[tuple[FoundT, ...]]:
        """What each text holds, in the order of the texts; within a text in its order.

        progress: show a bar on standard error. Raises InputError for what is no list of strings.
        Warns with DecodingWarning where a bound of `DecodingOptions` was reached.
        """
        if not isinstance(texts, Sized):
            texts = list(texts)
        return list(self.extract_iter(texts, progress=progress))

    def extract_iter(self, texts: Iterable[str], *, progress: bool = False) -> Iterator[tuple[FoundT, ...]]:
        """The same for a stream of texts, each answered as soon as its batches are done.

        An iterator of texts may have a method ``pauses() -> bool`` that tells whether the next text is yet to come;
        what has been collected is answered then, before the next text is waited for.
        Texts may have any length: a long one is read in windows, and their results are merged.
        """
        if isinstance(texts, str):
            raise InputError("texts is one string: give a list or another iterable of strings")
        return self._stream(texts, progress)

    def _stream(self, texts: Iterable[str], progress: bool) -> Iterator[tuple[FoundT, ...]]:
        cuts = Cuts()
        total = len(texts) if isinstance(texts, Sized) else None
        with progress_bar(f"extract {self.task}", total=total, shown=progress) as advance:
            for chunk in _chunks(texts, self.batch_size * _BATCHES_AHEAD):
                for results in self._of_chunk(chunk, cuts):
                    advance(1)
                    yield results
        if cuts.nodes or cuts.cliques:
            warnings.warn(
                f"{cuts.nodes} windows held more spans than max_nodes = {self.options.max_nodes} a type, the best were "
                f"kept; {cuts.cliques} more events than max_events = {self.options.max_events}, the rest was left out. "
                "Scores like these come from a model that was hardly trained, or on other text",
                DecodingWarning,
                stacklevel=3,
            )

    def _of_chunk(self, texts: list[str], cuts: Cuts) -> list[tuple[FoundT, ...]]:
        return [self.decode(reading, cuts=cuts) for reading in self.readings(texts)]

    def readings(self, texts: Sequence[str], *, options: DecodingOptions | None = None) -> list[TextReading]:
        """What the model says of texts, to be decoded with several options: `decode` needs no model.

        options: of which only spans above the threshold are kept, and thus for decoding with no lower one.
        """
        options = options or self.options
        windows: list[Window] = []
        owners: list[int] = []
        for owner, text in enumerate(texts):
            for window in iter_windows(text, self.tokenizer, max_tokens=self._room, overlap=self._overlap):
                windows.append(window)
                owners.append(owner)
        found: dict[int, WindowReading] = {}
        for number, scores in self._scores(windows):
            found[number] = read_window(scores, self.classes, offset=len(self._layout[0]), options=options)
        readings = [TextReading(text) for text in texts]
        for number, (window, owner) in enumerate(zip(windows, owners, strict=True)):
            readings[owner].windows.append((window, found[number]))
        return readings

    def decode(
        self, reading: TextReading, *, options: DecodingOptions | None = None, cuts: Cuts | None = None
    ) -> tuple[FoundT, ...]:
        """The results in a text that was read. cuts: counts the bounds that were reached."""
        options = options or self.options
        parts: list[Part] = []
        for window, one in reading.windows:
            results, more = results_of(
                one, window, reading.text, self.classes, offset=len(self._layout[0]), options=options
            )
            parts.append(Part(window.span.start, window.span.end, cast(Any, results)))
            if cuts is not None:
                cuts.add(more)
        return self._merged(parts, options)

    def _merged(self, parts: list[Part], options: DecodingOptions) -> tuple[FoundT, ...]:
        """The results of one text."""
        events = self.task == "events"
        found = self._whole(merge_events(parts, across=self.across), options) if events else merge_spans(parts)
        if self._wanted is not None:
            found = self._wanted.of_results(found)
        if events and options.distinct:
            found = distinct_events(cast("list[Event]", list(found)))
        return cast("tuple[FoundT, ...]", tuple(found))

    def _whole(self, events: Iterable[Event], options: DecodingOptions) -> Iterator[Event]:
        """The events that have the trigger which their type asks for."""
        needed = {event.name for event in self.classes.schema.events if event.trigger}
        for event in events:
            if event.trigger is not None or event.type not in needed or not options.require_trigger:
                yield event

    def _scores(self, windows: Sequence[Window]) -> Iterator[tuple[int, WindowScores]]:
        """Scores of each window, with its number, in the order of the batches."""
        import torch

        lengths = np.array([len(window.token_ids) for window in windows], dtype=np.int64) + sum(map(len, self._layout))
        for batch in self._batches(lengths):
            inputs = self._inputs([windows[number] for number in batch])
            with torch.inference_mode():
                output = self.model(**inputs)
            tables = [
                None if table is None else table.float().cpu().numpy()
                for table in (output.spans, output.heads, output.tails)
            ]
            for row, number in enumerate(batch):
                size = lengths[number]
                own = [None if table is None else table[row, :, :size, :size] for table in tables]
                assert own[0] is not None
                yield int(number), WindowScores(own[0], own[1], own[2])

    def _batches(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Windows of similar length, few enough that their scores fit in memory."""
        classes = len(self.classes.spans) + 2 * len(self.classes.links)
        for batch in buckets(lengths, batch_size=self.batch_size, batch_tokens=self.batch_size * self.max_tokens):
            most = max(1, _MOST_SCORES // (classes * int(lengths[batch[0]]) ** 2))
            yield from (batch[start : start + most] for start in range(0, len(batch), most))

    def _inputs(self, windows: Sequence[Window]) -> dict[str, torch.Tensor]:
        import torch

        rows = [window.token_ids for window in windows]
        arrays = model_inputs(rows, self._layout, pad=cast(int, self.tokenizer.pad_token_id or 0))
        return {name: torch.from_numpy(array).to(self.model.device) for name, array in arrays.items()}

    def _window_sizes(self, max_tokens: int | None, overlap: int | None) -> tuple[int, int, int]:
        longest = longest_input(self.tokenizer, self.model.config.encoder)
        if max_tokens is not None and max_tokens > longest:
            raise InputError(f"max_tokens is {max_tokens}, the model takes {longest}: ask for that many or fewer")
        size = max_tokens or min(self.model.config.max_tokens, longest)
        room = size - sum(map(len, self._layout))
        if room < 8:
            raise InputError(f"max_tokens is {size}: {room} of them are left for the text, at least 8 are needed")
        shared = room // 4 if overlap is None else overlap
        if not 0 <= shared <= room // 2:
            raise InputError(f"overlap is {shared}: it must be between 0 and {room // 2}, half of a window")
        return size, room, shared


class EventExtractor(Extractor[Event]):
    """Finds events: `extract` gives a tuple of `Event` for each text."""

    task: Task = "events"


class EntityExtractor(Extractor[Entity]):
    """Finds named entities: `extract` gives a tuple of `Entity` for each text."""

    task: Task = "entities"


class RelationExtractor(Extractor[Relation]):
    """Finds relations: `extract` gives a tuple of `Relation` for each text."""

    task: Task = "relations"


_NAMES = {"events": "EventExtractor", "entities": "EntityExtractor", "relations": "RelationExtractor"}
_CLASSES: dict[str, type[Extractor]] = {
    "events": EventExtractor,
    "entities": EntityExtractor,
    "relations": RelationExtractor,
}


def load_extractor(model: str | os.PathLike[str], **choices: Any) -> Extractor:
    """The extractor for whatever task the model was trained on. choices: arguments of `Extractor`."""
    from ironwok.events.loading import read_task

    return _CLASSES[read_task(model)](model, **choices)


def extractor_for(model: GPLinkerModel, tokenizer: PreTrainedTokenizerBase, **choices: Any) -> Extractor:
    """The extractor for a model in memory."""
    return _CLASSES[model.config.task](model, tokenizer=tokenizer, **choices)


def model_inputs(
    rows: Sequence[Sequence[int]], layout: tuple[tuple[int, ...], tuple[int, ...]], *, pad: int
) -> dict[str, np.ndarray]:
    """Model inputs, int64 [B, L], for rows of token ids of texts, padded to the longest.

    layout: special tokens before and after a text. special_tokens_mask is 1 for these and for padding.
    """
    before, after = layout
    length = max(map(len, rows)) + len(before) + len(after)
    input_ids = np.full((len(rows), length), pad, dtype=np.int64)
    attention_mask, special = np.zeros_like(input_ids), np.ones_like(input_ids)
    for row, ids in enumerate(rows):
        whole = [*before, *ids, *after]
        input_ids[row, : len(whole)] = whole
        attention_mask[row, : len(whole)] = 1
        special[row, len(before) : len(before) + len(ids)] = 0
    return {"input_ids": input_ids, "attention_mask": attention_mask, "special_tokens_mask": special}


def _chunks(texts: Iterable[str], most: int) -> Iterator[list[str]]:
    """Texts in groups that are worth sorting by length, checked one by one."""
    pauses: Callable[[], bool] | None = getattr(texts, "pauses", None)
    chunk: list[str] = []
    characters = 0
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"text {number} is a {type(text).__name__}, not a string")
        chunk.append(text)
        characters += len(text)
        if len(chunk) >= most or characters >= _CHARACTERS_AHEAD or (pauses is not None and pauses()):
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
