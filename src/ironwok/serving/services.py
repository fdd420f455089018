"""The models behind a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ironwok.results import Answer

if TYPE_CHECKING:
    from ironwok.zero_shot.nsp import AssociationScorer


@dataclass(frozen=True, slots=True)
class Services:
    """What a server can do, None where it cannot; and the names that its models go by.

    classifier: a `ZeroShotClassifier` or a student. extractor: of events, entities or relations. answerer: `Answerer`.
    judge: of pairs of sentences and of blanks, an `AssociationScorer` with a head for either or both.
    """

    classifier: Any = None
    classifier_name: str = ""
    extractor: Any = None
    extractor_name: str = ""
    answerer: Any = None
    answerer_name: str = ""
    judge: AssociationScorer | None = None
    judge_name: str = ""

    def models(self) -> dict[str, list[str]]:
        """Names of the models, each with all that it does."""
        named = (
            ("classify", self.classifier, self.classifier_name),
            ("compare", self.judge and self.judge.relations, self.judge_name),
            ("fill", self.judge and self.judge.blanks, self.judge_name),
            ("extract", self.extractor, self.extractor_name),
            ("answer", self.answerer, self.answerer_name),
        )
        tasks: dict[str, list[str]] = {}
        for task, model, name in named:
            if model is not None:
                tasks.setdefault(name, []).append(task)
        return tasks


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

    model: of the classifier, or the folder of a student; its heads for pairs of sentences and for blanks, where it
    brings them, are served, too. extract: a model of `ironwok train`. answer: a causal language
    model, as of `ironwok ask`, or "extractive" for the reader that needs none.
    """
    classifier = judge = extractor = answerer = None
    if model is not None:
        from ironwok.students import load_classifier
        from ironwok.zero_shot.nsp import AssociationScorer, NSPScorer

        classifier = load_classifier(model, scorer=scorer, batch_size=batch_size, device=device, dtype=dtype)
        scorer_of = getattr(classifier, "scorer", None)
        if isinstance(scorer_of, AssociationScorer | NSPScorer):
            judge = scorer_of.without_encoder()
    if extract is not None:
        from ironwok.events.extractor import load_extractor

        extractor = load_extractor(extract, device=device, dtype=dtype)
    if answer == "extractive":
        answerer = _Marking()
    elif answer is not None:
        from ironwok.nbce import Answerer

        answerer = Answerer(answer, device=device, dtype=dtype or "auto")
    return Services(
        *(classifier, model or "", extractor, extract or "", answerer, answer or ""),
        judge=judge,
        judge_name=model or "",
    )


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
