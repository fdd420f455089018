"""/v1/classify and /v1/extract: texts in, what is found in them out, read together with those of other requests."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ironwok.results import Classification
from ironwok.serving.batching import Job, Left, MicroBatcher, Passes
from ironwok.serving.limits import Limits
from ironwok.serving.metrics import Metrics
from ironwok.serving.problems import Problem
from ironwok.serving.schemas import ClassifyRequest, ExtractRequest
from ironwok.zero_shot.labels import LabelSet, parse_labels
from ironwok.zero_shot.mapping import check_threshold
from ironwok.zero_shot.pairs import fill
from ironwok.zero_shot.question import default_template

# characters that a model reads at once, for guessing how much a request asks for; English fits three times as many
_WINDOW = 400


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, checked."""

    texts: tuple[str, ...]
    labels: LabelSet
    templates: tuple[str, ...]
    multi_label: bool
    threshold: float | None
    calibrate: bool | None
    left: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def together(self) -> tuple[Any, ...]:
        """Requests that agree in this can be read in one call; their labels may differ."""
        return self.templates, self.multi_label, self.threshold, self.calibrate


@dataclass(frozen=True, slots=True)
class _Reading:
    """A request to extract, checked."""

    texts: tuple[str, ...]
    left: threading.Event = field(default_factory=threading.Event, compare=False)


class BatchedService(ABC):
    """Requests to one model, those that wait read together.

    task: its name in the metrics. model: a torch module between whose passes work that nobody waits for ends.
    """

    def __init__(self, task: str, *, limits: Limits, metrics: Metrics, model: Any = None) -> None:
        self._limits = limits
        self._passes = Passes(model)
        self.batcher = MicroBatcher(
            self._work,
            name=task,
            most=limits.batch_texts,
            wait=limits.batch_seconds,
            room=limits.queue,
            on_batch=metrics.batches.labels(task).observe,
        )
        metrics.watch(task, lambda: self.batcher.waiting)

    @abstractmethod
    def _work(self, batch: list[Any]) -> Sequence[Any]:
        """A result for each request of a batch."""

    def close(self) -> None:
        """Finish what was accepted."""
        self.batcher.close()
        self._passes.close()


class ClassifyService(BatchedService):
    """Requests to one classifier."""

    def __init__(self, classifier: Any, *, limits: Limits, metrics: Metrics) -> None:
        self._classifier = classifier
        model = getattr(getattr(classifier, "scorer", None), "model", None)
        super().__init__("classify", limits=limits, metrics=metrics, model=model)

    def submit(self, request: ClassifyRequest) -> Job:
        """Raises Problem for too much, LabelError, TemplateError or InputError for what is not usable, Busy, Closed."""
        texts = checked_texts(request.texts, self._limits)
        labels: Any = request.labels
        if labels is None:
            labels = getattr(self._classifier, "labels", None)
            if labels is None:
                raise Problem(422, "invalid_request", "labels are missing: this model has none of its own")
        if len(labels) > self._limits.labels:
            raise Problem(422, "too_many_labels", f"there are {len(labels)} labels; at most {self._limits.labels}")
        label_set = parse_labels(labels, at_least=1 if request.multi_label else 2)
        if request.template == []:
            raise Problem(422, "invalid_request", "template is an empty list: give one or more, or leave it out")
        template = request.template or default_template(label_set.names)
        templates = (template,) if isinstance(template, str) else tuple(template)
        if len(templates) > self._limits.labels:
            raise Problem(
                422, "too_many_templates", f"there are {len(templates)} templates; at most {self._limits.labels}"
            )
        for one in templates:
            fill(one, ())
        # each label is put into each template, and read as a whole
        written = len(templates) * sum(map(len, label_set.words)) + len(label_set.words) * sum(map(len, templates))
        if written > self._limits.characters:
            raise Problem(
                422,
                "too_much_work",
                f"the labels in their templates have {written:,} characters; at most {self._limits.characters:,}: "
                "give shorter or fewer ones",
            )
        windows = len(texts) + sum(map(len, texts)) // _WINDOW
        if (pairs := windows * len(label_set.names) * len(templates)) > self._limits.pairs:
            raise Problem(
                422,
                "too_much_work",
                f"these texts are about {windows:,} windows, which with {len(label_set.names)} labels and "
                f"{len(templates)} templates makes {pairs:,} readings; at most {self._limits.pairs:,} in one request: "
                "send fewer texts or labels at once",
            )
        asked = _Asked(
            tuple(texts),
            label_set,
            templates,
            request.multi_label,
            check_threshold(request.threshold),
            request.calibrate,
        )
        return self.batcher.submit(asked, size=len(texts), together=asked.together, left=asked.left)

    def _work(self, batch: list[_Asked]) -> list[list[Classification]]:
        first, left = batch[0], [asked.left for asked in batch]
        results = []
        with self._passes.of(left):
            for result in self._classifier.classify_iter(
                [text for asked in batch for text in asked.texts],
                labels=[asked.labels for asked in batch for _ in asked.texts],
                template=list(first.templates),
                multi_label=first.multi_label,
                threshold=first.threshold,
                calibrate=first.calibrate,
            ):
                # they come in small rounds: where a model has no passes, work that nobody waits for ends with a round
                if all(one.is_set() for one in left):
                    raise Left
                results.append(result)
        return dealt(results, [len(asked.texts) for asked in batch])


class ExtractService(BatchedService):
    """Requests to one extractor."""

    def __init__(self, extractor: Any, *, limits: Limits, metrics: Metrics) -> None:
        self._extractor = extractor
        super().__init__("extract", limits=limits, metrics=metrics, model=getattr(extractor, "model", None))

    @property
    def task(self) -> str:
        """What it finds: "events", "entities" or "relations"."""
        return self._extractor.task

    def submit(self, request: ExtractRequest) -> Job:
        """Raises as `ClassifyService.submit`."""
        reading = _Reading(tuple(checked_texts(request.texts, self._limits)))
        return self.batcher.submit(reading, size=len(reading.texts), left=reading.left)

    def _work(self, batch: list[_Reading]) -> list[list[Any]]:
        with self._passes.of([one.left for one in batch]):
            found = self._extractor.extract([text for one in batch for text in one.texts])
        return dealt(found, [len(one.texts) for one in batch])


def checked_texts(texts: str | list[str], limits: Limits) -> list[str]:
    """The texts as a list. Raises Problem for none, too many or too long ones."""
    listed = [texts] if isinstance(texts, str) else texts
    check_count(len(listed), limits)
    check_characters(sum(map(len, listed)), limits)
    return listed


def check_count(count: int, limits: Limits, *, of: str = "texts") -> None:
    if not count:
        raise Problem(422, "invalid_request", f"{of} is empty: send at least one {of.removesuffix('s')}")
    if count > limits.texts:
        raise Problem(422, f"too_many_{of}", f"there are {count} {of}; at most {limits.texts} in one request")


def check_characters(count: int, limits: Limits) -> None:
    if count > limits.characters:
        raise Problem(
            422,
            "too_many_characters",
            f"the texts have {count:,} characters; at most {limits.characters:,} in one request",
        )


def dealt(results: Sequence[Any], counts: list[int]) -> list[list[Any]]:
    """Results in portions of these sizes."""
    iterator = iter(results)
    return [[next(iterator) for _ in range(count)] for count in counts]
