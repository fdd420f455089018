"""When the sources do not settle an answer."""

from __future__ import annotations

import pytest

from ironwok.errors import InputError
from ironwok.nbce.doubts import DEFAULT_BOUNDS, Bounds, doubts, jumps, second_best
from ironwok.results import Answer, AnswerToken, Source, Span

BOUNDS = Bounds(lift=0.3, tie=1.0, jumps=0.5)


@pytest.mark.parametrize(
    ("lift", "contexts", "expected"),
    [
        ([20.0, -5.0, -8.0], [0, 0, 0], ()),
        ([2.9, -5.0], [0, 0], ("unrelated",)),
        ([3.0, -5.0], [0, 0], ()),  # 0.3 nats for each of ten tokens: the bound itself is enough
        ([20.0, 19.5], [0, 0], ("tie",)),
        ([20.0, 19.0], [0, 0], ()),
        ([20.0, 10.0], [0, 1, 0, 1], ("jumping",)),
        ([20.0, 10.0], [0, 0, 1], ()),  # half of the two steps, not more
        ([1.0, 0.9], [0, 1, 0], ("unrelated", "tie", "jumping")),
        ([20.0], [], ()),
    ],
)
def test_signs_of_doubt(lift, contexts, expected):
    best, second = lift[0], lift[1] if len(lift) > 1 else None
    assert doubts(best, second, contexts, question_tokens=10, bounds=BOUNDS) == expected


def test_windows_that_overlap_the_best_one_are_no_rivals_of_it():
    places = [(0, 0, 100), (0, 90, 190), (0, 190, 250), (1, 95, 120)]
    assert second_best([9.0, 8.0, 3.0, 1.0], places) == 3.0
    assert second_best([8.0, 9.0, 3.0, 7.0], places) == 7.0
    # those that only touch do not overlap
    assert second_best([1.0, 9.0, 8.0, 7.0], places) == 8.0
    assert second_best([9.0, 8.0], places[:2]) is None
    assert second_best([9.0], places[:1]) is None


def test_jumps_are_counted_from_the_second_token():
    assert jumps([]) == jumps([3]) == 0
    assert jumps([0, 1, 1, 0]) == pytest.approx(2 / 3)


def test_the_default_bounds_are_sane():
    assert DEFAULT_BOUNDS.lift > 0
    assert DEFAULT_BOUNDS.tie > 0
    assert 0 < DEFAULT_BOUNDS.jumps < 1


SOURCE = Source(context=0, span=Span(3, 6, "abc"), lift=1.5, posterior=0.9, share=1.0)


def test_answers_are_settled_unless_something_is_doubtful():
    answer = Answer("q?", "abc", (AnswerToken(0, 3, 0),), (SOURCE,), parts=4)
    assert answer.settled
    assert not Answer("q?", "", (), (SOURCE,), parts=4, doubts=("tie",)).settled


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((AnswerToken(0, 1, 0), AnswerToken(2, 3, 0)), r"token \[2, 3\) does not follow on 1"),
        ((AnswerToken(0, 4, 0),), "does not follow"),
        ((AnswerToken(0, 3, 1),), "source 1, there are 1"),
    ],
)
def test_tokens_cover_the_text_and_name_a_source(tokens, message):
    with pytest.raises(InputError, match=message):
        Answer("q?", "abc", tokens, (SOURCE,), parts=1)


@pytest.mark.parametrize("change", [{"lift": float("nan")}, {"posterior": 1.5}, {"share": -0.1}])
def test_sources_have_sane_numbers(change):
    values = {"context": 0, "span": Span(0, 1, "a"), "lift": 0.0, "posterior": 0.5, "share": 0.5} | change
    with pytest.raises(InputError):
        Source(**values)
