from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.reading import document_classification
from ironwok.results import Classification, PassageResult, Span


def passage(text: str, **scores: float) -> PassageResult:
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    found = Classification(text, tuple(label for label, _ in ranked), tuple(score for _, score in ranked))
    return PassageResult("a.txt", None, 0, Span(0, len(text), text), classification=found)


def test_the_mean_is_weighted_by_length():
    # by hand: (3 × 0.9 + 1 × 0.2) / 4 = 0.725 and (3 × 0.1 + 1 × 0.8) / 4 = 0.275
    together = document_classification(
        [passage("茶茶茶", 茶=0.9, 棋=0.1), passage("棋", 茶=0.2, 棋=0.8)], multi_label=False, threshold=None
    )
    assert together is not None
    assert (together.labels, together.scores) == (("茶", "棋"), (0.725, 0.275))
    assert together.text == "茶茶茶棋"


def test_with_several_labels_the_strongest_passage_counts():
    passages = [passage("茶茶茶", 茶=0.9, 棋=0.1), passage("棋", 茶=0.2, 棋=0.8)]
    together = document_classification(passages, multi_label=True, threshold=None)
    assert together is not None
    assert dict(zip(together.labels, together.scores, strict=True)) == {"茶": 0.9, "棋": 0.8}


@pytest.mark.parametrize(("threshold", "abstained"), [(None, False), (0.5, False), (0.7, False), (0.75, True)])
def test_it_abstains_under_the_threshold(threshold, abstained):
    together = document_classification([passage("茶", 茶=0.7, 棋=0.3)], multi_label=False, threshold=threshold)
    assert together is not None
    assert together.abstained is abstained
    assert together.label == (None if abstained else "茶")


def test_equal_scores_stand_in_the_order_of_the_labels():
    one, other = passage("x", b=0.5, a=0.5), passage("x", a=0.5, b=0.5)
    for passages in ([one, other], [other, one]):
        together = document_classification(passages, multi_label=False, threshold=None)
        assert together is not None
        assert together.labels == ("a", "b")


def test_nothing_classified_is_no_classification():
    bare = PassageResult("a.txt", None, 0, Span(0, 1, "x"))
    assert document_classification([bare], multi_label=False, threshold=0.5) is None
    assert document_classification([], multi_label=False, threshold=0.5) is None


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 1)), min_size=1, max_size=30))
def test_means_sum_to_one_and_lie_between_the_extremes(parts):
    passages = [passage("字" * length, 茶=share, 棋=1 - share) for length, share in parts]
    together = document_classification(passages, multi_label=False, threshold=None)
    assert together is not None
    assert sum(together.scores) == pytest.approx(1, abs=2e-6)
    shares = [share for _, share in parts]
    tea = dict(zip(together.labels, together.scores, strict=True))["茶"]
    assert min(shares) - 1e-6 <= tea <= max(shares) + 1e-6
