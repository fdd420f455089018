"""The models behind a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
    model, as of `ironwok ask`.
    """
    classifier = extractor = answerer = None
    if model is not None:
        from ironwok.students import load_classifier

        classifier = load_classifier(model, scorer=scorer, batch_size=batch_size, device=device, dtype=dtype)
    if extract is not None:
        from ironwok.events.extractor import load_extractor

        extractor = load_extractor(extract, device=device, dtype=dtype)
    if answer is not None:
        from ironwok.nbce import Answerer

        answerer = Answerer(answer, device=device, dtype=dtype or "auto")
    return Services(classifier, model or "", extractor, extract or "", answerer, answer or "")
