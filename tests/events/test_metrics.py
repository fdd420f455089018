"""Scores against numbers worked out by hand; the arithmetic stands in each test."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.events.metrics import Score, duee_fin_score, duee_score, score_entities, score_events, score_relations
from ironwok.results import Argument, Entity, Event, Relation, Span

TEXT = "云岭矿业把三成股权质押给江南银行，又把两成股权质押给海湾信托。"


def at(words: str, start: int = 0) -> Span:
    begin = TEXT.index(words, start)
    return Span(begin, begin + len(words), words)


def pledge(trigger: Span | None, **arguments: Span) -> Event:
    return Event("质押", tuple(Argument(role, span) for role, span in arguments.items()), trigger)


FIRST = pledge(at("质押"), sub=at("云岭矿业"), share=at("三成"), obj=at("江南银行"))
SECOND = pledge(at("质押", 12), sub=at("云岭矿业"), share=at("两成"), obj=at("海湾信托"))
GOLD = [(FIRST, SECOND)]


def test_a_perfect_answer_scores_one_everywhere():
    scores = score_events(GOLD, GOLD)
    assert all(one["f1"] == one["precision"] == one["recall"] == 1.0 for one in scores.to_dict().values())


def test_two_merged_events_are_wrong_as_events_and_right_as_arguments():
    """One predicted event holds the five different arguments of both.

    event: 0 of 1 predicted, 2 gold. arguments: (sub, 三成, 江南银行, 两成, 海湾信托) 5 of 5, the shared one once.
    triggers: 1 of 1 predicted, 2 gold: F1 = 2*1/(1+2).
    """
    merged = pledge(at("质押"), sub=at("云岭矿业"))
    more = (Argument("share", at("三成")), Argument("obj", at("江南银行")))
    rest = (Argument("share", at("两成")), Argument("obj", at("海湾信托")))
    merged = Event("质押", (*merged.arguments, *more, *rest), merged.trigger)
    scores = score_events([(merged,)], GOLD)
    assert (scores.event.matched, scores.event.predicted, scores.event.gold) == (0, 1, 2)
    assert scores.argument_classification == Score(5, 5, 5)
    assert scores.trigger_classification == Score(1, 1, 2)
    assert scores.trigger_classification.f1 == pytest.approx(2 / 3)
    # DuEE does not care which event an argument belongs to: 5 of 5
    assert scores.duee == Score(5.0, 5, 5)
    # DuEE-fin pairs the one event with either of the two: 3 shared fields of 5 predicted, 3 + 3 gold
    assert scores.duee_fin == Score(3, 5, 6)
    assert scores.duee_fin.f1 == pytest.approx(6 / 11)


def test_a_wrong_type_a_wrong_role_and_a_wrong_place():
    """Gold: FIRST. Predicted: its type changed, so that nothing but the place of the trigger is right."""
    other = Event("担保", FIRST.arguments, FIRST.trigger)
    scores = score_events([(other,)], [(FIRST,)])
    assert scores.trigger_identification == Score(1, 1, 1)
    assert scores.trigger_classification == Score(0, 1, 1)
    assert scores.argument_identification == Score(0, 3, 3)  # CasEE counts the type of the event there
    # two of three roles swapped: every place is right, one role is
    swapped = pledge(at("质押"), obj=at("云岭矿业"), share=at("三成"), sub=at("江南银行"))
    scores = score_events([(swapped,)], [(FIRST,)])
    assert scores.argument_identification == Score(3, 3, 3)
    assert scores.argument_classification == Score(1, 3, 3)
    assert scores.event == Score(0, 1, 1)


def test_the_trigger_counts_in_one_event_score_and_not_in_the_other():
    elsewhere = pledge(at("质押", 12), sub=at("云岭矿业"), share=at("三成"), obj=at("江南银行"))
    scores = score_events([(elsewhere,)], [(FIRST,)])
    assert scores.event == Score(0, 1, 1)
    assert scores.event_arguments == Score(1, 1, 1)
    assert scores.trigger_identification == Score(0, 1, 1)


def test_events_without_trigger_have_no_triggers_to_score():
    bare = pledge(None, sub=at("云岭矿业"))
    scores = score_events([(bare,)], [(bare,)])
    assert scores.trigger_identification == Score(0, 0, 0)
    assert scores.trigger_identification.f1 == 0.0
    assert scores.event == Score(1, 1, 1)


def test_the_same_event_twice_counts_once():
    assert score_events([(FIRST, FIRST)], [(FIRST,)]).event == Score(1, 1, 1)


def test_texts_are_not_mixed_up():
    """Each text has the other's event: nothing matches."""
    scores = score_events([(FIRST,), (SECOND,)], [(SECOND,), (FIRST,)])
    assert scores.event == Score(0, 2, 2)
    # of the arguments of each text only sub is right: 2 of 6
    assert scores.argument_classification == Score(2, 6, 6)
    assert scores.argument_classification.precision == pytest.approx(1 / 3)


def test_enumerated_values_are_compared_as_values():
    right = Event("上市", (Argument("环节", at("质押"), value="正式上市"),), at("质押"))
    wrong = Event("上市", (Argument("环节", at("质押"), value="暂停上市"),), at("质押"))
    assert score_events([(right,)], [(right,)]).argument_classification == Score(1, 1, 1)
    assert score_events([(wrong,)], [(right,)]).argument_classification == Score(0, 1, 1)


def one(role: str, words: str, *, type: str = "质押") -> Event:
    return Event(type, (Argument(role, Span(0, len(words), words)),))


def test_duee_gives_credit_for_characters_in_common():
    """江南银行 against 江南银行总行: 4 in common, P 4/4, R 4/6, F1 = 2*4/(4+6) = 0.8."""
    score = duee_score([((one("obj", "江南银行"),), (one("obj", "江南银行总行"),))])
    assert score.matched == pytest.approx(0.8)
    assert (score.precision, score.recall, score.f1) == pytest.approx((0.8, 0.8, 0.8))


def test_duee_counts_repeated_characters_as_often_as_both_have_them():
    """aab against abb: one a and one b in common, F1 = 2*2/(3+3) = 2/3. Case does not matter."""
    assert duee_score([((one("obj", "AAB"),), (one("obj", "abb"),))]).matched == pytest.approx(2 / 3)


def test_duee_needs_type_and_role():
    assert duee_score([((one("sub", "江南银行"),), (one("obj", "江南银行"),))]).matched == 0.0
    assert duee_score([((one("obj", "江南银行", type="担保"),), (one("obj", "江南银行"),))]).matched == 0.0


def test_duee_pairs_each_gold_argument_once():
    """Predicted 江南, 江南银行 for one gold 江南银行: credits 2*2/(2+4) = 2/3 and 1; one gold, so 1 of 2 predicted."""
    predicted = (one("obj", "江南"), one("obj", "江南银行"))
    score = duee_score([(predicted, (one("obj", "江南银行"),))])
    assert score == Score(1.0, 2, 1)


def test_duee_chooses_the_pairing_with_the_greatest_credit():
    """Predicted ab, abcd; gold abcd, abcde.

    Credits: ab-abcd 2*2/6 = 2/3, ab-abcde 2*2/7 = 4/7, abcd-abcd 1, abcd-abcde 2*4/9 = 8/9.
    Pairing crosswise: 2/3 + 8/9 = 14/9; straight: 4/7 + 1 = 11/7 = 1.5714 against 1.5556. The straight one is better.
    """
    predicted = (one("obj", "ab"), one("obj", "abcd"))
    gold = (one("obj", "abcd"), one("obj", "abcde"))
    assert duee_score([(predicted, gold)]).matched == pytest.approx(11 / 7)


def test_duee_fin_pairs_events_one_to_one():
    """Gold: FIRST and SECOND (3 fields each). Predicted: FIRST without share, and FIRST with 海湾信托 for 江南银行.

    The first shares 2 fields with FIRST (sub, obj) and 1 with SECOND (sub). The second shares 2 with FIRST (sub, share)
    and 2 with SECOND (sub, obj). Best: first with FIRST, second with SECOND = 4 of 2 + 3 predicted, 6 gold: F1 = 8/11.
    """
    short = pledge(at("质押"), sub=at("云岭矿业"), obj=at("江南银行"))
    mixed = pledge(at("质押"), sub=at("云岭矿业"), share=at("三成"), obj=at("海湾信托"))
    score = duee_fin_score([((short, mixed), (FIRST, SECOND))])
    assert score == Score(4, 5, 6)
    assert score.f1 == pytest.approx(8 / 11)


def test_duee_fin_does_not_compare_events_of_different_types():
    other = Event("担保", FIRST.arguments, FIRST.trigger)
    assert duee_fin_score([((other,), (FIRST,))]) == Score(0.0, 3, 3)


def test_entities_and_relations():
    """Two of three predicted entities are right, of four gold: P 2/3, R 2/4, F1 = 2*2/(3+4)."""
    names = ("云岭矿业", "江南银行", "海湾信托", "股权")
    gold = tuple(Entity("机构", at(name)) for name in names)
    predicted = (gold[0], gold[1], Entity("人物", at("海湾信托")))
    score = score_entities([predicted], [gold])
    assert (score.precision, score.recall, score.f1) == pytest.approx((2 / 3, 1 / 2, 4 / 7))
    there = Relation("质押给", at("云岭矿业"), at("江南银行"))
    back = Relation("质押给", at("江南银行"), at("云岭矿业"))
    assert score_relations([(there, back)], [(there,)]) == Score(1, 2, 1)


def test_more_texts_on_one_side_are_an_error():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        score_events([(FIRST,)], [])


events = st.lists(
    st.builds(
        lambda type, arguments: Event(type, tuple(Argument(r, Span(0, len(w), w)) for r, w in arguments)),
        st.sampled_from("AB"),
        st.lists(st.tuples(st.sampled_from("xy"), st.text("甲乙丙", min_size=1, max_size=3)), min_size=1, max_size=3),
    ),
    max_size=4,
)


@given(st.lists(st.tuples(events, events), max_size=4))
def test_scores_stay_in_their_bounds_and_swap_sides(pairs):
    forth = score_events([a for a, _ in pairs], [b for _, b in pairs])
    back = score_events([b for _, b in pairs], [a for a, _ in pairs])
    for name, one in forth.to_dict().items():
        assert 0 <= one["precision"] <= 1 + 1e-9
        assert 0 <= one["recall"] <= 1 + 1e-9
        assert one["f1"] == pytest.approx(back.to_dict()[name]["f1"])
        assert one["precision"] == pytest.approx(back.to_dict()[name]["recall"])


@given(events, events)
def test_the_pairing_of_whole_events_is_the_best_of_all_pairings(predicted, gold):
    """Against trying every one-to-one pairing."""
    best = 0
    for type in "AB":
        mine = [{(a.role, a.text) for a in event.arguments} for event in predicted if event.type == type]
        theirs = [{(a.role, a.text) for a in event.arguments} for event in gold if event.type == type]
        theirs += [set()] * max(0, len(mine) - len(theirs))
        best += max(
            sum(len(one & other) for one, other in zip(mine, order, strict=False))
            for order in itertools.permutations(theirs)
        )
    assert duee_fin_score([(predicted, gold)]).matched == best
