from __future__ import annotations

import itertools
import random

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.events.decoding import (
    DecodingOptions,
    Group,
    Node,
    exclusive,
    find_groups,
    find_nodes,
    find_relations,
    group_score,
    join_groups,
    link_scores,
    maximal_cliques,
    probability_of,
    relation_scores,
    without_overlaps,
)
from ironwok.events.schema import SpanClass

TRIGGER, BUYER, PLACE, STAGE_A, STAGE_B, OTHER = range(6)
CLASSES = (
    SpanClass("收购", None, None),
    SpanClass("收购", "买方", None),
    SpanClass("收购", "地点", None),
    SpanClass("收购", "阶段", "筹划"),
    SpanClass("收购", "阶段", "完成"),
    SpanClass("起诉", "原告", None),
)
OPTIONS = DecodingOptions()


def linked(size: int, pairs: list[tuple[int, int]], *, yes: float = 2.0, no: float = -2.0) -> np.ndarray:
    links = np.full((size, size), no)
    for a, b in pairs:
        links[a, b] = links[b, a] = yes
    return links


def members(groups: list[Group]) -> list[tuple[int, ...]]:
    return [group.members for group in groups]


# -- spans and links


def test_nodes_are_the_cells_above_the_threshold() -> None:
    scores = np.full((2, 3, 3), -np.inf, dtype=np.float32)
    scores[1, 0, 2], scores[0, 1, 1], scores[0, 0, 0], scores[1, 2, 2] = 0.5, 3.0, 0.0, np.nan
    assert find_nodes(scores) == ([Node(0, 1, 1, 3.0), Node(1, 0, 2, 0.5)], False)
    assert find_nodes(scores, threshold=1.0) == ([Node(0, 1, 1, 3.0)], False)
    assert find_nodes(scores, threshold=-1.0, most=2) == ([Node(0, 1, 1, 3.0), Node(1, 0, 2, 0.5)], True)


def test_a_link_is_as_strong_as_the_weaker_of_head_and_tail_whatever_the_order() -> None:
    head, tail = np.full((6, 6), -9.0), np.full((6, 6), -9.0)
    a, b = Node(0, 4, 5, 1.0), Node(1, 1, 2, 1.0)
    head[1, 4], tail[2, 5] = 3.0, 1.5
    links = link_scores([a, b], head, tail)
    assert links[0, 1] == links[1, 0] == 1.5
    assert links[0, 0] == -9.0


# -- cliques


def test_two_events_that_share_an_argument_and_the_trigger() -> None:
    nodes = [Node(TRIGGER, 5, 5, 1.0), Node(PLACE, 0, 1, 1.0), Node(BUYER, 2, 3, 1.0), Node(BUYER, 8, 9, 1.0)]
    links = linked(4, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)])
    groups, cuts = find_groups(nodes, links, CLASSES, options=OPTIONS)
    assert members(groups) == [(0, 1, 2), (0, 1, 3)]
    assert (cuts.nodes, cuts.cliques) == (0, 0)


def test_a_lonely_argument_is_an_event() -> None:
    groups, _ = find_groups([Node(BUYER, 0, 0, 1.0)], linked(1, [(0, 0)]), CLASSES, options=OPTIONS)
    assert groups == [Group((0,))]


def test_types_do_not_mix() -> None:
    nodes = [Node(BUYER, 0, 0, 1.0), Node(OTHER, 0, 0, 1.0)]
    groups, _ = find_groups(nodes, linked(2, [(0, 1)]), CLASSES, options=OPTIONS)
    assert members(groups) == [(0,), (1,)]


@pytest.mark.parametrize("self_link", [True, False])
def test_one_span_with_two_roles_makes_one_event_once(self_link: bool) -> None:
    """The reference duplicates such a span, and the event, where the score of the span with itself is above 0."""
    head = tail = np.where(linked(3, [(0, 1)]) > 0, 2.0, -2.0)
    if self_link:
        head[0, 0] = tail[0, 0] = 2.0
    head[1, 1] = tail[1, 1] = 2.0  # a span of one role: its own link means nothing
    nodes = [Node(BUYER, 0, 0, 1.0), Node(PLACE, 0, 0, 1.0), Node(TRIGGER, 1, 1, 1.0)]
    groups, _ = find_groups(nodes, link_scores(nodes, head, tail), CLASSES, options=OPTIONS)
    assert members(groups) == ([(0, 1, 2)] if self_link else [(0, 2), (1, 2)])


def test_two_triggers_are_two_events_however_they_are_linked() -> None:
    nodes = [Node(TRIGGER, 1, 1, 1.0), Node(TRIGGER, 4, 4, 1.0), Node(BUYER, 0, 0, 1.0)]
    groups, _ = find_groups(nodes, linked(3, [(0, 1), (0, 2), (1, 2)]), CLASSES, options=OPTIONS)
    assert members(groups) == [(0, 2), (1, 2)]


def test_two_values_of_a_role_at_one_trigger_are_two_events() -> None:
    nodes = [Node(TRIGGER, 1, 1, 1.0), Node(STAGE_A, 1, 1, 1.0), Node(STAGE_B, 1, 1, 1.0)]
    groups, _ = find_groups(nodes, linked(3, [(0, 1), (0, 2), (1, 2)]), CLASSES, options=OPTIONS)
    assert members(groups) == [(0, 1), (0, 2)]


def test_a_value_stands_where_the_trigger_stands() -> None:
    assert exclusive(Node(TRIGGER, 1, 1, 1.0), Node(STAGE_A, 2, 2, 1.0), CLASSES)
    assert not exclusive(Node(TRIGGER, 1, 1, 1.0), Node(STAGE_A, 1, 1, 1.0), CLASSES)
    assert not exclusive(Node(BUYER, 2, 2, 1.0), Node(STAGE_A, 1, 1, 1.0), CLASSES)
    assert not exclusive(Node(BUYER, 2, 2, 1.0), Node(BUYER, 1, 1, 1.0), CLASSES)


def brute_force(size: int, edges: set[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Maximal cliques by looking at every subset."""

    def is_clique(subset: tuple[int, ...]) -> bool:
        return all(pair in edges for pair in itertools.combinations(subset, 2))

    cliques = [s for n in range(1, size + 1) for s in itertools.combinations(range(size), n) if is_clique(s)]
    sets = [set(clique) for clique in cliques]
    return sorted(c for c, own in zip(cliques, sets, strict=True) if not any(own < other for other in sets))


@pytest.mark.parametrize("seed", range(300))
def test_groups_are_the_maximal_cliques(seed: int) -> None:
    draw = random.Random(seed)
    size, density = draw.randint(1, 8), draw.random()
    pairs = [pair for pair in itertools.combinations(range(size), 2) if draw.random() < density]
    nodes = [Node(BUYER, i, i, 1.0) for i in range(size)]
    groups, cuts = find_groups(nodes, linked(size, pairs), CLASSES, options=OPTIONS)
    assert members(groups) == brute_force(size, set(pairs))
    assert cuts.cliques == 0
    assert all(not group.unlinked for group in groups)


@given(seed=st.integers(0, 2**20), size=st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_the_order_of_nodes_does_not_matter(seed: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    links = np.triu(draw.normal(size=(size, size)), 1)
    links += links.T
    nodes = [Node(int(draw.integers(0, 5)), i, i, float(draw.normal())) for i in range(size)]
    order = draw.permutation(size)
    for tolerance in (0.0, 0.3):
        options = DecodingOptions(tolerance=tolerance)
        straight, _ = find_groups(nodes, links, CLASSES, options=options)
        shuffled, _ = find_groups([nodes[i] for i in order], links[np.ix_(order, order)], CLASSES, options=options)
        if tolerance == 0.0:
            assert {frozenset(g.members) for g in straight} == {
                frozenset(int(order[i]) for i in g.members) for g in shuffled
            }
        assert {i for g in shuffled for i in g.members} == set(range(size))
        # no event is a part of another one
        for groups in (straight, shuffled):
            assert not any(set(a.members) < set(b.members) for a, b in itertools.permutations(groups, 2))


# -- bounds


def test_a_graph_with_very_many_cliques_is_cut_short() -> None:
    """Complete, but for a perfect triple in every third: 3^20 maximal cliques (Moon and Moser)."""
    size = 60
    pairs = [(a, b) for a, b in itertools.combinations(range(size), 2) if a // 3 != b // 3]
    nodes = [Node(BUYER, i, i, 1.0) for i in range(size)]
    groups, cuts = find_groups(nodes, linked(size, pairs), CLASSES, options=DecodingOptions(max_events=50))
    assert len(groups) == 50
    assert cuts.cliques == 1
    assert all(len(group.members) == 20 for group in groups)


def test_the_limit_is_not_reported_where_it_is_just_reached() -> None:
    graph = nx.empty_graph(4)
    assert maximal_cliques(graph, limit=4) == ([(0,), (1,), (2,), (3,)], True)
    cliques, complete = maximal_cliques(graph, limit=3)
    assert len(cliques) == 3
    assert not complete


def test_of_too_many_spans_the_best_are_kept() -> None:
    nodes = [Node(BUYER, i, i, logit) for i, logit in enumerate([1.0, 3.0, 2.0, 3.0])]
    groups, cuts = find_groups(nodes, linked(4, []), CLASSES, options=DecodingOptions(max_nodes=3))
    assert members(groups) == [(1,), (2,), (3,)]
    assert cuts.nodes == 1


def test_joining_groups_on_an_adversarial_graph_ends() -> None:
    draw = np.random.default_rng(0)
    size = 60
    links = np.triu(draw.normal(0.3, 1.0, size=(size, size)), 1)
    links += links.T
    nodes = [Node(BUYER, i, i, 1.0) for i in range(size)]
    options = DecodingOptions(tolerance=0.9, max_events=256)
    groups, _ = find_groups(nodes, links, CLASSES, options=options)
    assert {i for group in groups for i in group.members} <= set(range(size))


# -- the tolerant mode


def test_a_weak_missing_edge_is_forgiven() -> None:
    nodes = [Node(TRIGGER, 1, 1, 1.0), Node(BUYER, 0, 0, 1.0), Node(PLACE, 3, 3, 1.0)]
    links = linked(3, [(0, 1), (0, 2)], yes=4.0)
    links[1, 2] = links[2, 1] = -0.3
    strict, _ = find_groups(nodes, links, CLASSES, options=OPTIONS)
    assert members(strict) == [(0, 1), (0, 2)]
    # (0.982 + 0.982 + 0.426) / 3 = 0.797
    tolerant, _ = find_groups(nodes, links, CLASSES, options=DecodingOptions(tolerance=0.21))
    assert tolerant == [Group((0, 1, 2), ((1, 2),))]
    stricter, _ = find_groups(nodes, links, CLASSES, options=DecodingOptions(tolerance=0.2))
    assert members(stricter) == [(0, 1), (0, 2)]


def test_two_fillers_of_a_role_that_are_not_linked_stay_apart() -> None:
    nodes = [Node(TRIGGER, 1, 1, 1.0), Node(PLACE, 3, 3, 1.0), Node(BUYER, 0, 0, 1.0), Node(BUYER, 5, 5, 1.0)]
    links = linked(4, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)], yes=6.0, no=-0.1)
    groups, _ = find_groups(nodes, links, CLASSES, options=DecodingOptions(tolerance=0.3))
    assert members(groups) == [(0, 1, 2), (0, 1, 3)]


def test_joining_takes_in_what_the_union_covers() -> None:
    nodes = [Node(kind, i, i, 1.0) for i, kind in enumerate((TRIGGER, BUYER, PLACE))]
    links = linked(3, [(0, 1), (0, 2), (1, 2)], yes=3.0)
    assert join_groups([(0, 1), (0, 2), (1, 2)], nodes, links, CLASSES, tolerance=0.2) == [(0, 1, 2)]


# -- scores


def test_scores_by_hand() -> None:
    nodes = [Node(TRIGGER, 1, 1, 0.0), Node(BUYER, 0, 0, np.log(3.0))]
    links = linked(2, [(0, 1)], yes=0.0)
    assert probability_of(np.log(3.0)) == pytest.approx(0.75)
    assert group_score(Group((0, 1)), nodes, links) == pytest.approx((0.5 * 0.75 * 0.5) ** (1 / 3))
    assert group_score(Group((1,)), nodes, links) == pytest.approx(0.75)


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=5))
@settings(deadline=None)
def test_scores_are_probabilities(logits: list[float]) -> None:
    nodes = [Node(BUYER, i, i, logit) for i, logit in enumerate(logits)]
    size = len(nodes)
    assert 0.0 <= group_score(Group(tuple(range(size))), nodes, np.full((size, size), max(logits))) <= 1.0


def test_of_arguments_of_one_role_that_overlap_the_likelier_stays() -> None:
    nodes = [
        Node(TRIGGER, 9, 9, 3.0),
        Node(BUYER, 1, 3, 2.0),
        Node(BUYER, 1, 4, 1.0),  # the same name with a character too many
        Node(BUYER, 6, 7, 0.5),  # another name
        Node(PLACE, 1, 4, 0.1),  # another role
    ]
    group = Group((0, 1, 2, 3, 4), ((0, 2), (1, 4)))
    assert without_overlaps(group, nodes) == Group((0, 1, 3, 4), ((1, 4),))
    assert without_overlaps(Group((0, 2)), nodes) == Group((0, 2))


# -- relations


def test_relations_lead_from_subject_to_object() -> None:
    nodes = [Node(0, 1, 2, 1.0), Node(1, 4, 5, 1.0), Node(1, 0, 0, 1.0)]
    heads, tails = np.full((2, 6, 6), -3.0), np.full((2, 6, 6), -3.0)
    heads[1, 1, 4], tails[1, 2, 5] = 2.0, 1.0  # predicate 1 from node 0 to node 1
    heads[0, 4, 1], tails[0, 5, 2] = 2.0, 2.0  # the wrong way round
    heads[0, 1, 0], tails[0, 2, 0] = 2.0, -1.0  # heads alone
    (found,) = find_relations(nodes, relation_scores(nodes, heads, tails))
    assert (found.predicate, found.subject, found.object, found.logit) == (1, 0, 1, 1.0)
    assert find_relations(nodes[1:], relation_scores(nodes[1:], heads, tails)) == []
    assert find_relations([], relation_scores([], heads, tails)) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 1.0}, "tolerance is 1.0"),
        ({"tolerance": -0.1}, "tolerance is -0.1"),
        ({"threshold": float("nan")}, "threshold is not a number"),
        ({"max_nodes": 0}, "max_nodes is 0"),
        ({"max_events": 0}, "max_events is 0"),
    ],
)
def test_refuses_options_that_cannot_be(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DecodingOptions(**options)  # pyright: ignore[reportArgumentType]
