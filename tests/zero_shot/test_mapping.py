import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ironwok.errors import InputError
from ironwok.zero_shot import mapping

scores_of = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=8),
    elements=st.floats(-50, 50, allow_nan=False),
)


def test_log_odds_favour_class_zero():
    logits = np.array([[3.0, 1.0], [1.0, 3.0]])
    assert mapping.log_odds(logits).tolist() == [2.0, -2.0]


def test_log_odds_ignore_what_both_logits_share():
    logits = np.array([[3.0, 1.0], [-2.0, 0.5]])
    assert np.allclose(mapping.log_odds(logits), mapping.log_odds(logits + 7))


def test_log_odds_refuse_another_head():
    with pytest.raises(InputError, match="2 logits a pair, this one 3"):
        mapping.log_odds(np.zeros((4, 3)))


def test_candidates_contrast_by_hand():
    scores = mapping.candidates_contrast(np.array([[0.0, math.log(3)]]))
    assert np.allclose(scores, [[0.25, 0.75]])


@given(scores_of)
def test_candidates_contrast_gives_distributions_in_the_order_of_scores(scores):
    probabilities = mapping.candidates_contrast(scores)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == scores.argmax(axis=1)).all() or np.allclose(
        np.take_along_axis(probabilities, scores.argmax(axis=1)[:, None], 1)[:, 0], probabilities.max(axis=1)
    )


@given(st.floats(-1e6, 1e6))
def test_sigmoid_never_overflows_and_is_symmetric(x):
    with np.errstate(over="raise"):
        value = float(mapping.sigmoid(np.array(x)))
    assert 0 <= value <= 1
    assert math.isclose(value, 1 - float(mapping.sigmoid(np.array(-x))), abs_tol=1e-12)


def test_calibration_takes_away_what_the_label_owes_to_itself():
    scores = np.array([[5.0, 1.0], [5.5, 3.0]])
    neutral = np.array([[4.0, 0.0], [6.0, 0.0]])
    assert mapping.calibrate(scores, neutral).tolist() == [[0.0, 1.0], [0.5, 3.0]]


def test_samples_contrast_cuts_by_the_prior_best_first():
    scores = np.array([0.1, 9.0, 3.0, -2.0, 5.0, 0.0])
    assert mapping.samples_contrast(scores, prior=[1 / 3, 1 / 3, 1 / 3]).tolist() == [1, 0, 1, 2, 0, 2]
    assert mapping.samples_contrast(scores, prior=[0.5, 0.5]).tolist() == [1, 0, 0, 1, 0, 1]
    assert mapping.samples_contrast(scores, prior=[1, 5]).tolist() == [1, 0, 1, 1, 1, 1]


def test_samples_contrast_keeps_equal_scores_together():
    bins = mapping.samples_contrast(np.array([1.0, 1.0, 1.0, 0.0]), prior=[0.5, 0.5])
    assert len(set(bins[:3].tolist())) == 1


@given(
    st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=40, unique=True),
    st.lists(st.floats(0.01, 1), min_size=2, max_size=5),
    st.randoms(use_true_random=False),
)
def test_samples_contrast_does_not_depend_on_the_order_of_texts(scores, prior, random):
    order = list(range(len(scores)))
    random.shuffle(order)
    values = np.array(scores, dtype=float)
    bins = mapping.samples_contrast(values, prior=prior)
    assert (mapping.samples_contrast(values[order], prior=prior) == bins[order]).all()
    # a better score never lands in a worse bin
    assert (np.diff(bins[np.argsort(-values)]) >= 0).all()


@given(
    st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=40, unique=True),
    st.lists(st.floats(0.01, 1), min_size=2, max_size=5),
)
def test_bin_sizes_are_within_one_of_the_prior(scores, prior):
    bins = mapping.samples_contrast(np.array(scores, dtype=float), prior=prior)
    wanted = np.array(prior) / sum(prior) * len(scores)
    assert (np.abs(np.bincount(bins, minlength=len(prior)) - wanted) <= 1 + 1e-6).all()


@given(
    st.lists(st.integers(-100, 100), min_size=1, max_size=30),
    st.lists(st.floats(0.05, 1), min_size=2, max_size=4),
)
def test_membership_peaks_in_the_bin_of_the_text(scores, prior):
    values = np.array(scores, dtype=float)
    membership = mapping.bin_membership(values, prior=prior)
    bins = mapping.samples_contrast(values, prior=prior)
    assert np.allclose(membership.sum(axis=1), 1)
    assert np.allclose(np.take_along_axis(membership, bins[:, None], 1)[:, 0], membership.max(axis=1))


def test_membership_of_a_bin_without_a_share_is_zero():
    membership = mapping.bin_membership(np.array([1.0, 2.0]), prior=[1, 0])
    assert membership[:, 1].tolist() == [0.0, 0.0]


def test_samples_contrast_table_undoes_a_candidate_that_scores_high_everywhere():
    scores = np.array([[10.0, 1.0], [9.0, 2.0], [8.0, 3.0], [7.0, 4.0]])
    assert mapping.candidates_contrast(scores).argmax(axis=1).tolist() == [0, 0, 0, 0]
    table = mapping.samples_contrast_table(scores)
    assert table.argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert np.allclose(table.sum(axis=1), 1)


def test_samples_contrast_table_follows_the_prior():
    scores = np.column_stack([np.arange(8.0), -np.arange(8.0)])
    assert mapping.samples_contrast_table(scores, prior=[3, 1]).argmax(axis=1).tolist().count(0) == 6
    assert mapping.samples_contrast_table(scores, prior=[1, 0]).argmax(axis=1).tolist() == [0] * 8


@pytest.mark.parametrize("prior", [[0.5, 0.5, 0.5], [-1, 2], [0, 0], [math.nan, 1]])
def test_a_prior_that_is_no_distribution_is_refused(prior):
    with pytest.raises(InputError):
        mapping.check_prior(prior, 2)


def test_windows_combine_by_best_or_mean_and_name_the_loudest():
    table = np.array([[1.0, 5.0], [3.0, 1.0]])
    best, loudest = mapping.combine_windows(table, "best")
    assert best.tolist() == [3.0, 5.0]
    assert loudest.tolist() == [1, 0]
    assert mapping.combine_windows(table, "mean")[0].tolist() == [2.0, 3.0]


def test_ranked_keeps_the_given_order_of_equal_scores():
    labels, scores = mapping.ranked(["a", "b", "c"], np.array([0.25, 0.5, 0.25]))
    assert labels == ("b", "a", "c")
    assert scores == (0.5, 0.25, 0.25)


def test_abstains_only_below_the_threshold():
    assert not mapping.abstains(0.5, None)
    assert not mapping.abstains(0.5, 0.5)
    assert mapping.abstains(0.49, 0.5)
    with pytest.raises(InputError, match=r"threshold is 1\.5"):
        mapping.check_threshold(1.5)
