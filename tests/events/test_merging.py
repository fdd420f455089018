from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.events import merging
from ironwok.events.merging import Part, distinct_events, merge_events, merge_spans
from ironwok.results import Argument, Entity, Event, Relation, Span


def at(start: int, words: str) -> Span:
    return Span(start, start + len(words), words)


def purchase(trigger: Span | None = None, score: float = 0.9, **roles: Span) -> Event:
    return Event("收购", tuple(Argument(role, span, 0.8) for role, span in roles.items()), trigger, score=score)


BUYER, TARGET, DAY, WORD = at(45, "云岭矿业"), at(60, "江南茶厂"), at(20, "周三"), at(50, "收购")
FIRST, SECOND = (0, 60), (40, 100)  # they share [40, 60)


def parts(first: tuple[Event, ...], second: tuple[Event, ...]) -> list[Part]:
    return [Part(*FIRST, first), Part(*SECOND, second)]


def test_an_event_in_the_shared_part_is_found_once() -> None:
    both = purchase(WORD, buyer=BUYER)
    (event,) = merge_events(parts((both,), (purchase(WORD, 0.95, buyer=BUYER),)))
    assert event == purchase(WORD, 0.95, buyer=BUYER)


def test_the_halves_of_an_event_are_put_together() -> None:
    (event,) = merge_events(
        parts((purchase(WORD, 0.9, buyer=BUYER, day=DAY),), (purchase(WORD, 0.7, buyer=BUYER, target=TARGET),))
    )
    assert {(a.role, a.span) for a in event.arguments} == {("buyer", BUYER), ("day", DAY), ("target", TARGET)}
    assert event.trigger == WORD
    assert event.score == 0.7
    # no window has seen the day and the target together
    roles = [argument.role for argument in event.arguments]
    assert event.unlinked == (tuple(sorted((roles.index("day"), roles.index("target")))),)


def test_a_half_without_the_trigger_finds_its_other_half() -> None:
    early = at(10, "收购")
    (event,) = merge_events(parts((purchase(early, buyer=BUYER),), (purchase(None, buyer=BUYER, target=TARGET),)))
    assert event.trigger == early
    assert len(event.arguments) == 2


def test_events_that_disagree_in_the_shared_part_stay_two() -> None:
    one, other = at(52, "一成"), at(55, "两成")
    events = merge_events(parts((purchase(WORD, buyer=BUYER, share=one),), (purchase(WORD, buyer=BUYER, share=other),)))
    assert len(events) == 2


def test_two_triggers_are_two_events() -> None:
    assert len(merge_events(parts((purchase(at(10, "收购"), buyer=BUYER),), (purchase(WORD, buyer=BUYER),)))) == 2


def test_two_values_of_a_role_are_two_events() -> None:
    def stage(value: str) -> Event:
        return Event("收购", (Argument("buyer", BUYER), Argument("stage", None, value=value)))

    assert len(merge_events(parts((stage("筹划"),), (stage("完成"),)))) == 2
    assert len(merge_events(parts((stage("完成"),), (stage("完成"),)))) == 1


def test_events_of_one_window_are_never_joined() -> None:
    one, other = purchase(WORD, buyer=BUYER), purchase(WORD, buyer=BUYER, day=DAY)
    assert len(merge_events([Part(*FIRST, (one, other))])) == 2


def test_events_of_two_types_are_never_joined() -> None:
    other = Event("起诉", (Argument("buyer", BUYER),), WORD)
    assert len(merge_events(parts((purchase(WORD, buyer=BUYER),), (other,)))) == 2


def test_a_chain_of_windows() -> None:
    windows = [(0, 40), (30, 70), (60, 100)]
    shared = [at(32, "甲"), at(62, "乙")]
    events = [
        purchase(None, a=at(5, "子"), b=shared[0]),
        purchase(None, b=shared[0], c=shared[1]),
        purchase(None, c=shared[1], d=at(90, "丑")),
    ]
    (event,) = merge_events([Part(*w, (e,)) for w, e in zip(windows, events, strict=True)])
    assert [argument.role for argument in event.arguments] == ["a", "b", "c", "d"]


def test_text_that_says_the_same_again_and_again_becomes_no_event_of_all_of_it() -> None:
    windows = [(start, start + 60) for start in range(0, 16_000, 40)]
    found = [
        Part(a, b, (purchase(None, buyer=at(a + 2, "甲"), day=at(a + 20, "丙"), target=at(a + 42, "甲")),))
        for a, b in windows
    ]
    chained = [
        Part(p.start, p.end, (Event("收购", tuple(Argument("buyer", x.span) for x in p.results[0].arguments)),))
        for p in found
    ]
    for across in merging.ACROSS:
        events = merge_events(chained, across=across)
        assert 1 < len(events) < len(windows)
        assert max(len(event.arguments) for event in events) <= 200
        told = {argument.span for event in events for argument in event.arguments}
        assert told == {argument.span for part in chained for argument in part.results[0].arguments}


def test_words_join_what_places_leave_apart() -> None:
    first = purchase(at(5, "收购"), buyer=at(0, "云岭矿业"), day=at(10, "周三"))
    second = purchase(at(80, "收购"), buyer=at(70, "云岭矿业"), target=at(85, "江南茶厂"))
    assert len(merge_events(parts((first,), (second,)))) == 2
    (event,) = merge_events(parts((first,), (second,)), across="words")
    # the buyer once, where it stands first
    assert [(a.role, a.text) for a in event.arguments] == [
        ("buyer", "云岭矿业"),
        ("day", "周三"),
        ("target", "江南茶厂"),
    ]
    assert event.arguments[0].span == at(0, "云岭矿业")
    assert event.trigger == at(5, "收购")


@pytest.mark.parametrize(
    "second",
    [
        purchase(at(80, "收购"), buyer=at(70, "云岭矿业"), day=at(90, "周四")),  # another day
        purchase(at(80, "买下"), buyer=at(70, "云岭矿业")),  # another word for it
        purchase(at(80, "收购"), target=at(85, "江南茶厂")),  # nothing in common
    ],
)
def test_words_do_not_join_what_contradicts(second: Event) -> None:
    first = purchase(at(5, "收购"), buyer=at(0, "云岭矿业"), day=at(10, "周三"))
    assert len(merge_events(parts((first,), (second,)), across="words")) == 2


def test_merging_compares_neighbours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a book of windows the comparisons grow with its length, not with its square."""
    compared = []
    same = merging._same_by_place
    monkeypatch.setattr(merging, "_same_by_place", lambda *given: compared.append(given) or same(*given))
    windows = [(start, start + 60) for start in range(0, 8000, 40)]
    found = [
        Part(a, b, (purchase(None, buyer=at(a + 25, "甲")), purchase(None, target=at(a + 50, "乙"))))
        for a, b in windows
    ]
    assert len(merge_events(found)) == 2 * len(windows)
    assert len(compared) <= 4 * len(windows)


def test_entities_and_relations_come_from_the_window_where_they_stand_further_inside() -> None:
    early, late, cut = Entity("a", at(44, "甲")), Entity("a", at(55, "乙")), Entity("a", at(58, "丙丁"))
    wrong = Entity("a", at(41, "戊"))  # at the very beginning of the second window, and not in the first
    found = merge_spans([Part(*FIRST, (early, late, cut)), Part(*SECOND, (early, late, wrong))])
    assert found == (early, late)
    far = Relation("r", at(2, "甲"), at(58, "乙"))  # only the first window holds both of its ends
    assert merge_spans([Part(*FIRST, (far,)), Part(*SECOND, ())]) == (far,)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_entities_that_both_windows_see_alike_are_found_once(data: st.DataObject) -> None:
    """Every entity of at most 8 characters is wholly in one window; windows see all that lies inside of them."""
    starts = data.draw(st.lists(st.integers(0, 190), unique=True, max_size=12))
    entities = [Entity("a", at(start, "字" * data.draw(st.integers(1, 8)))) for start in sorted(starts)]
    windows = [(0, 80), (64, 140), (120, 200)]
    found = merge_spans(
        [Part(a, b, tuple(e for e in entities if a <= e.span.start and e.span.end <= b)) for a, b in windows]
    )
    assert found == tuple(entities)


def test_merging_in_an_unknown_way_is_refused() -> None:
    with pytest.raises(InputError, match="across is 'sentences'"):
        merge_events([], across="sentences")  # pyright: ignore[reportArgumentType]


def test_two_mentions_of_one_buyer_are_one_event() -> None:
    again = at(90, BUYER.text)
    one, other = purchase(WORD, 0.6, buyer=BUYER, target=TARGET), purchase(WORD, 0.8, buyer=again, target=TARGET)
    less = purchase(WORD, 0.95, buyer=again)
    assert distinct_events([less, one, other]) == [other]
    # something of its own, another trigger, other roles, no trigger: each is another event
    for different in (
        purchase(WORD, 0.5, buyer=again, day=DAY),
        purchase(at(80, "收购"), 0.5, buyer=again, target=TARGET),
        purchase(WORD, 0.5, seller=again, target=TARGET),
        purchase(None, 0.5, buyer=again, target=TARGET),
    ):
        assert distinct_events([one, different]) == [one, different]
    assert distinct_events([purchase(None, buyer=BUYER), purchase(None, buyer=again)]) == [
        purchase(None, buyer=BUYER),
        purchase(None, buyer=again),
    ]


@given(
    st.lists(
        st.builds(
            lambda trigger, score, starts: purchase(
                trigger, score, **{role: at(start, "甲乙"[start % 2]) for role, start in starts.items()}
            ),
            st.sampled_from([WORD, at(80, "收购"), None]),
            st.floats(0.01, 1.0),
            st.dictionaries(st.sampled_from(["buyer", "target", "day"]), st.integers(0, 5), max_size=3),
        ),
        max_size=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_no_words_are_lost_to_distinctness(events: list[Event]) -> None:
    kept = distinct_events(events)
    said = {(e.trigger, a.role, a.span.text) for e in events for a in e.arguments}
    assert {(e.trigger, a.role, a.span.text) for e in kept for a in e.arguments} == said
    assert {event.trigger for event in kept} == {event.trigger for event in events}
    assert distinct_events(kept) == kept
