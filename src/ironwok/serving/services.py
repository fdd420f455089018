"""The models behind a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ironwok.results import Answer


@dataclass(frozen=True, slots=True)
class Services:
    """What a server can do, None where it cannot; and the names that its models go by.

    classifier: a `ZeroShotClassifier` or a student. extractor: of events, entities or relations. answerer: `Answerer`.
    """

    classifier: Any = None
    classifier_name: str = ""
    extractor: Any = None
    extractor_name: str = ""
    answerer: Any = None
    answerer_name: str = ""

    def models(self) -> dict[str, str]:
        """Names of the models, each with what it does."""
        named = (
            ("classify", self.classifier, self.classifier_name),
            ("extract", self.extractor, self.extractor_name),
            ("answer", self.answerer, self.answerer_name),
        )
        return {name: task for task, model, name in named if model is not None}


def load_services(
    *,
    model: str | None = "ironwok-small",
    scorer: str = "nsp",
    extract: str | None = None,
    answer: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    batch_size: int = 64,
) -> Services:
    """Load the models of a server. None: without that task. Raises what loading each of them raises.

    model: of the classifier, or the folder of a student. extract: a model of `ironwok train`. answer: a causal language
    model, as of `ironwok ask`, or "extractive" for the reader that needs none.
    """
    classifier = extractor = answerer = None
    if model is not None:
        from ironwok.students import load_classifier

        classifier = load_classifier(model, scorer=scorer, batch_size=batch_size, device=device, dtype=dtype)
    if extract is not None:
        from ironwok.events.extractor import load_extractor

        extractor = load_extractor(extract, device=device, dtype=dtype)
    if answer == "extractive":
        answerer = _Marking()
    elif answer is not None:
        from ironwok.nbce import Answerer

        answerer = Answerer(answer, device=device, dtype=dtype or "auto")
    return Services(classifier, model or "", extractor, extract or "", answerer, answer or "")


class _Marking:
    """`ExtractiveReader` behind the call of an `Answerer`; how to decode is nothing to it."""

    def __init__(self) -> None:
        from ironwok.reader import ExtractiveReader

        self._reader = ExtractiveReader()

    @staticmethod
    def tokenizer(text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """Characters, for clients that ask how much was read."""
        return {"input_ids": [ord(character) for character in text]}

    def ask(
        self,
        question: str,
        contexts: Sequence[Any],
        *,
        settings: Any,
        on_text: Callable[[str], None],
        on_read: Callable[[int, int], None],
    ) -> Answer:
        (answer,) = self._reader.ask_many([question], contexts, on_text=on_text, on_read=on_read)
        return answer
