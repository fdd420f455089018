"""Pairs of sentences judged by the head that a model brings."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from ironwok.errors import InputError
from ironwok.zero_shot import NSPScorer, ScorerOptions, load_scorer
from ironwok.zero_shot.tasks import PairClassification, classify_pairs, complete_prior, share_out

PAIRS = [("今天下雨了", "今天下雨了"), ("今天下雨了", "昨天下雪"), ("今天下雨了", "股票大跌")]


class Judge:
    """Its best answer is the next one for each pair; it keeps what it was asked."""

    answers: ClassVar = {"inference": ("entailment", "neutral", "contradiction"), "paraphrase": ("different", "same")}

    def __init__(self) -> None:
        self.asked = []

    def judge(self, pairs, relation, *, symmetric=False):
        self.asked.append((list(pairs), relation, symmetric))
        count = len(self.answers[relation])
        return np.array([np.roll(np.arange(count) / count, number) for number in range(len(pairs))])


@pytest.fixture
def judging(overlap):
    overlap.relations = Judge()
    return overlap


def test_the_head_answers_where_it_knows_the_labels(judging):
    results = classify_pairs(judging, PAIRS)
    assert [result.label for result in results] == ["contradiction", "entailment", "neutral"]
    assert results[0].scores == pytest.approx((2 / 3, 1 / 3, 0))
    assert [(result.first, result.second) for result in results] == PAIRS
    assert judging.relations.asked == [(PAIRS, "inference", False)]
    assert judging.asked == []  # the scorer itself nothing


def test_what_means_the_same_is_asked_both_ways_and_labels_come_in_any_order(judging):
    results = classify_pairs(judging, PAIRS[:2], labels=("same", "different"), protocol="head")
    assert [result.label for result in results] == ["same", "different"]
    assert judging.relations.asked == [(PAIRS[:2], "paraphrase", True)]


@pytest.mark.parametrize(
    "options",
    [
        {"protocol": "sc"},
        {"protocol": "sc", "prior": [1, 1, 1]},
        {"labels": ("same", "different", "unclear")},
        {"labels": {"same": "也就是", "different": "不过"}},
        {"labels": {"same": "也就是", "different": "不过"}, "protocol": "cc"},
    ],
)
def test_elsewhere_the_scorer_is_asked(judging, options):
    assert len(classify_pairs(judging, PAIRS, **options)) == 3
    assert judging.relations.asked == []
    assert judging.asked


def test_a_head_that_cannot_answer_is_refused(judging):
    with pytest.raises(InputError, match="labels are good, bad: the head answers entailment, neutral, contradiction;"):
        classify_pairs(judging, PAIRS, labels=("good", "bad"), protocol="head")
    with pytest.raises(InputError, match="the prior has 2 shares, 3 are needed"):
        classify_pairs(judging, PAIRS, protocol="head", prior=[1, 1])
    judging.relations = None
    with pytest.raises(InputError, match="brings no head for relations"):
        classify_pairs(judging, PAIRS, protocol="head")


def alike(*scores: float) -> list[PairClassification]:
    """Pairs that a head gives these scores of meaning the same."""
    return [
        PairClassification(
            "早", f"晚{number}", *zip(*sorted({"same": score, "different": 1 - score}.items()), strict=True)
        )
        for number, score in enumerate(scores)
    ]


def test_shares_are_taken_by_the_pairs_that_stand_out():
    """A head that says "different" to all of them still knows which are more alike."""
    shared = share_out(alike(0.1, 0.4, 0.3, 0.2), {"same": 0.5, "different": 0.5})
    assert [one.label for one in shared] == ["different", "same", "same", "different"]
    assert [one.second for one in shared] == ["晚0", "晚1", "晚2", "晚3"]
    assert all(sum(one.scores) == pytest.approx(1) and one.scores[0] >= one.scores[1] for one in shared)
    few = share_out(alike(0.1, 0.4, 0.3, 0.2), {"different": 3, "same": 1})
    assert [one.label for one in few] == ["different", "same", "different", "different"]
    assert share_out([], {"same": 1, "different": 1}) == []


def test_shares_are_for_the_labels_that_were_asked():
    with pytest.raises(InputError, match="shares are given for same, other, and the labels are different, same"):
        share_out(alike(0.1, 0.4), {"same": 0.5, "other": 0.5})
    with pytest.raises(InputError, match="is no distribution"):
        share_out(alike(0.1, 0.4), {"same": -1, "different": 2})


def test_with_a_prior_the_answers_of_the_head_are_compared(judging):
    """The judge's scores of entailment are 0, 2/3 and 1/3: the prior's shares go by the order of the labels."""
    alone = [result.label for result in classify_pairs(judging, PAIRS)]
    assert alone == ["contradiction", "entailment", "neutral"]
    for labels, prior in (
        (("entailment", "neutral", "contradiction"), [1, 0, 0]),
        (("neutral", "contradiction", "entailment"), [0, 0, 1]),
    ):
        results = classify_pairs(judging, PAIRS, labels=labels, prior=prior)
        assert [result.label for result in results] == ["entailment"] * 3
    assert judging.asked == []
    assert share_out(classify_pairs(judging, PAIRS), dict.fromkeys(alone, 1.0)) == classify_pairs(
        judging, PAIRS, labels=alone, prior=[1, 1, 1]
    )


def test_a_prior_may_name_its_labels(judging):
    for prior in ({"entailment": 1}, {"entailment": 1, "neutral": 0.0, "contradiction": 0}):
        assert classify_pairs(judging, PAIRS, prior=prior) == classify_pairs(judging, PAIRS, prior=[1, 0, 0])
    assert complete_prior({"same": 0.1}, ("different", "same")) == {"different": 0.9, "same": 0.1}
    for prior, said in (
        ("even", "the prior is 'even': give a share for each label"),
        ({"entailment": "0.2"}, "the prior of entailment is '0.2': a share is a number between 0 and 1"),
        ({"same": 0.2}, "the prior names 'same'; the answers are entailment, neutral, contradiction"),
        ({"entailment": 0.9, "neutral": 0.2}, "the shares of the prior come to 1.1"),
    ):
        with pytest.raises(InputError, match=said):
            classify_pairs(judging, PAIRS, prior=prior)


@pytest.mark.parametrize("name", ["nsp", "associations"])
def test_the_bundled_model_brings_a_head(name):
    scorer = load_scorer(name, options=ScorerOptions(on_self_check="skip"))
    asked = [("花呗怎么还款", "怎么还花呗的款"), ("花呗怎么还款", "信用卡丢了怎么办")]
    same = classify_pairs(scorer, asked, labels=("same", "different"))
    assert [result.label for result in same] == ["same", "different"]
    inferred = classify_pairs(scorer, [("一个男人在弹吉他", "有人在演奏乐器"), ("一个男人在弹吉他", "一个男人在睡觉")])
    assert [result.label for result in inferred] == ["entailment", "contradiction"]


def test_pairs_may_come_from_a_generator_and_must_be_pairs(judging):
    assert len(classify_pairs(judging, (pair for pair in PAIRS))) == 3
    for wrong, said in (("早晚", "pair 0 is '早晚': give two sentences"), (5, "pair 0 is 5: give two sentences")):
        with pytest.raises(InputError, match=said):
            classify_pairs(judging, [wrong])


def test_the_head_is_loaded_when_it_is_asked_for(monkeypatch):
    loaded = []
    monkeypatch.setattr("ironwok.zero_shot.registry._relations", lambda *_: loaded.append(True) or Judge())
    scorer = load_scorer("associations")
    assert not loaded
    classify_pairs(scorer, PAIRS, protocol="sc")
    classify_pairs(scorer, PAIRS, protocol="sc", prior=[1, 1, 1])
    assert not loaded
    classify_pairs(scorer, PAIRS)
    classify_pairs(scorer, PAIRS)
    assert loaded == [True]


def test_without_the_table_there_is_no_head():
    scorer = load_scorer("nsp", options=ScorerOptions(on_self_check="skip", associations=False))
    assert isinstance(scorer, NSPScorer)
    assert scorer.relations is None
