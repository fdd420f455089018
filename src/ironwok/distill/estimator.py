"""The student of n-grams as an estimator of scikit-learn, for pipelines, searches and cross-validation."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ironwok.errors import InputError, MissingExtraError
from ironwok.results import Classification
from ironwok.students.hashing import HashedNgrams
from ironwok.students.ngrams import NgramStudent
from ironwok.zero_shot.mapping import softmax

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted
except ImportError as error:
    raise MissingExtraError("distill", feature="the estimator of scikit-learn") from error


class HashedTextClassifier(ClassifierMixin, BaseEstimator):
    """Texts into classes by hashed n-grams and logistic regression.

    longest: characters of the longest n-gram. bits: hashes keep so many bits. fewest: texts that an n-gram must be in.
    strength: inverse regularisation. max_iter: steps of the solver.

    Fitted: classes_, student_ (an `NgramStudent`, whose labels are the classes as strings).
    Deterministic: nothing is drawn at random.
    """

    def __init__(
        self, *, longest: int = 4, bits: int = 18, fewest: int = 1, strength: float = 10.0, max_iter: int = 300
    ) -> None:
        self.longest = longest
        self.bits = bits
        self.fewest = fewest
        self.strength = strength
        self.max_iter = max_iter

    def fit(self, X: Sequence[str], y: Sequence[Any], sample_weight: Sequence[float] | None = None) -> Any:
        """X: texts. y: their classes, two or more different ones. Raises InputError, DataError."""
        from ironwok.distill.fitting import fit_linear

        texts = _as_texts(X)
        if not (isinstance(self.strength, numbers.Real) and math.isfinite(self.strength) and self.strength > 0):
            raise InputError(f"strength is {self.strength!r}; it is a number above 0, such as 10.0")
        if y is None:
            raise InputError("y is None: a classifier is fitted to texts with their classes")
        check_classification_targets(y)
        targets = np.asarray(y)
        if targets.shape != (len(texts),):
            raise InputError(f"there are {len(texts)} texts and classes of shape {targets.shape}: give one a text")
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, targets)
        self.classes_ = np.unique(targets)
        names = [str(name) for name in self.classes_]
        features = HashedNgrams.learn(texts, longest=self.longest, bits=self.bits, fewest=self.fewest)
        linear = fit_linear(
            features.transform(texts),
            [str(target) for target in targets],
            labels=names,
            weights=weights,
            strength=self.strength,
            most_steps=self.max_iter,
        )
        self.student_ = NgramStudent(
            names,
            features=features,
            weights=linear.weights.astype(np.float32),
            bias=linear.bias.astype(np.float32),
            teacher={},
        )
        return self

    @classmethod
    def load(cls, folder: str | Path) -> HashedTextClassifier:
        """A fitted estimator of a student that was saved. Raises CheckpointError."""
        student = NgramStudent.load(Path(folder))
        estimator = cls(longest=student.features.longest, bits=student.features.bits)
        estimator.student_, estimator.classes_ = student, student.classes_
        return estimator

    def save(self, folder: str | Path) -> None:
        """Write the student; `ironwok classify --model FOLDER` reads it. Raises OutputError."""
        check_is_fitted(self)
        self.student_.save(Path(folder))

    def decision_function(self, X: Sequence[str]) -> NDArray[np.float64]:
        """Scores [texts, classes]; of two classes those of the second against the first [texts]."""
        check_is_fitted(self)
        scores = self.student_.decision_function(_as_texts(X))
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Sequence[str]) -> NDArray[np.float64]:
        check_is_fitted(self)
        return softmax(self.student_.decision_function(_as_texts(X)))

    def predict(self, X: Sequence[str]) -> NDArray[Any]:
        check_is_fitted(self)
        return self.classes_[self.student_.decision_function(_as_texts(X)).argmax(axis=1)]

    def classify(self, texts: Sequence[str] | str, **options: Any) -> list[Classification]:
        """As `NgramStudent.classify`."""
        check_is_fitted(self)
        return self.student_.classify(texts, **options)

    def __call__(self, sequences: str | Sequence[str], *arguments: Any, **options: Any) -> Any:
        """As the zero-shot pipeline of ``transformers``; see `Student.__call__`."""
        check_is_fitted(self)
        return self.student_(sequences, *arguments, **options)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags


def _as_texts(X: Any) -> list[str]:
    """Raises InputError for what is no sequence of strings. Blank texts are fine here."""
    if isinstance(X, str) or not hasattr(X, "__iter__"):
        raise InputError(f"X is {X!r:.60}; give a list of texts")
    texts = list(X)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"X[{number}] is {text!r:.60} ({type(text).__name__}), not a text")
    if not texts:
        raise InputError("there are no texts: give at least one")
    return texts
