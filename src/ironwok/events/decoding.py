"""From scores to events: plain Python and NumPy, no model, nothing that a pencil could not do.

::

    scores of spans   -> nodes      everything above the threshold: a span in one class (trigger, role, value of a role)
    scores of links   -> graph      an edge where the head-head and the tail-tail score of two nodes are both above 0
    graph             -> groups     its maximal cliques: nodes that are all linked with each other are one event

Source: GPLinker, kexue.fm 8926. Differs in three ways. Cliques come from `networkx.find_cliques`, not from a recursion
that grows exponentially on easy graphs. Nodes of the graph are (class, span) and never linked with themselves, so that
a span with two roles is two nodes, linked where the score of the span with itself is above 0, and an event is found
once. And two nodes that cannot be in one event (`exclusive`) are never linked: two triggers, or two values of one role.
"""

# C classes, L tokens, N nodes

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import networkx as nx
import numpy as np

from ironwok.errors import InputError
from ironwok.events.schema import SpanClass

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Node(NamedTuple):
    """A span in a class: tokens ``first`` to ``last``, inclusive, and the log-odds that it is one."""

    kind: int
    first: int
    last: int
    logit: float


class Group(NamedTuple):
    """Nodes that make up one event, as indices, ascending. unlinked: pairs of them without an edge."""

    members: tuple[int, ...]
    unlinked: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """threshold, link_threshold: log-odds above which a span and a link count. None: what the model was found to do
        best with on its development texts, else 0, which is where the loss puts the border.
    tolerance: 0 for cliques alone; above, groups are joined while the mean probability of their links is at least
        1 - tolerance (see `join_groups`). 0.2 to 0.4 makes sense.
    distinct: of events with one trigger that say the same words in the same roles, found at several mentions of them,
        keep one (`ironwok.events.merging.distinct_events`).
    overlapping: keep arguments of one role in one event that overlap, such as 林岚 and 林岚任. Otherwise the likelier
        stays: two borders of one name are found more often than two names that share characters.
    require_trigger: drop groups without a trigger of types that have one.
    max_nodes: of one event type in one window, the best ones. max_events: cliques of one event type in one window. Both
        bound the work on scores that make no sense, such as an untrained model's.
    """

    threshold: float | None = None
    link_threshold: float | None = None
    tolerance: float = 0.0
    distinct: bool = True
    overlapping: bool = False
    require_trigger: bool = True
    max_nodes: int = 96
    max_events: int = 128

    def or_else(self, *, threshold: float, link_threshold: float) -> DecodingOptions:
        """The same with these thresholds where none are given."""
        return replace(
            self,
            threshold=threshold if self.threshold is None else self.threshold,
            link_threshold=link_threshold if self.link_threshold is None else self.link_threshold,
        )

    def __post_init__(self) -> None:
        if not 0.0 <= self.tolerance < 1.0:
            raise InputError(f"tolerance is {self.tolerance}: it must be at least 0 and below 1")
        for name in ("threshold", "link_threshold"):
            if math.isnan(getattr(self, name) or 0.0):
                raise InputError(f"{name} is not a number")
        for name in ("max_nodes", "max_events"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: it must be at least 1")


@dataclass(slots=True)
class Cuts:
    """How often a bound was reached: windows with too many nodes of a type, or too many cliques."""

    nodes: int = 0
    cliques: int = 0

    def add(self, other: Cuts) -> None:
        self.nodes += other.nodes
        self.cliques += other.cliques


def find_nodes(
    scores_CLL: NDArray[np.floating], *, threshold: float = 0.0, most: int | None = None
) -> tuple[list[Node], bool]:
    """Every cell above the threshold, in the order of the table, or the ``most`` best; and whether any had to go.

    -inf and NaN are never above.
    """
    places = np.argwhere(scores_CLL > threshold)
    logits = scores_CLL[tuple(places.T)]
    dropped = most is not None and len(places) > most
    if dropped:
        kept = np.sort(np.argsort(-logits, kind="stable")[:most])
        places, logits = places[kept], logits[kept]
    nodes = [Node(k, i, j, logit) for (k, i, j), logit in zip(places.tolist(), logits.tolist(), strict=True)]
    return nodes, dropped


def link_scores(
    nodes: Sequence[Node], head_LL: NDArray[np.floating], tail_LL: NDArray[np.floating]
) -> NDArray[np.float64]:
    """For each pair of nodes the lower of its head-head and its tail-tail score, float64 [N, N], symmetric.

    Links have no direction; the scores hold them at (smaller position, larger position).
    """
    first = np.array([node.first for node in nodes], dtype=np.int64)
    last = np.array([node.last for node in nodes], dtype=np.int64)
    heads = head_LL[np.minimum.outer(first, first), np.maximum.outer(first, first)]
    tails = tail_LL[np.minimum.outer(last, last), np.maximum.outer(last, last)]
    return np.minimum(heads, tails).astype(np.float64)


def exclusive(a: Node, b: Node, classes: Sequence[SpanClass]) -> bool:
    """Whether two nodes of one event type cannot be in the same event.

    An event has one trigger; an enumerated role has one value, and stands where the trigger stands.
    """
    one, other = classes[a.kind], classes[b.kind]
    marks = one.role is None or one.value is not None, other.role is None or other.value is not None
    if not all(marks):
        return False
    return one.role == other.role or (a.first, a.last) != (b.first, b.last)


def argument_graph(
    nodes: Sequence[Node],
    links_NN: NDArray[np.floating],
    classes: Sequence[SpanClass],
    *,
    link_threshold: float = 0.0,
) -> nx.Graph:
    """The graph over nodes of one event type, numbered as they come; edges where two are linked and not exclusive."""
    graph = nx.Graph()
    graph.add_nodes_from(range(len(nodes)))
    above = np.argwhere(np.triu(links_NN > link_threshold, k=1))
    graph.add_edges_from((int(a), int(b)) for a, b in above if not exclusive(nodes[a], nodes[b], classes))
    return graph


def maximal_cliques(graph: nx.Graph, *, limit: int) -> tuple[list[tuple[int, ...]], bool]:
    """At most ``limit`` maximal cliques, each ascending, sorted; and whether these are all there are.

    A graph of N nodes may have 3^(N/3) of them; one more than the limit is looked for, no further.
    """
    found = list(itertools.islice(nx.find_cliques(graph), limit + 1))
    return sorted(tuple(sorted(clique)) for clique in found[:limit]), len(found) <= limit


def join_groups(
    groups: Iterable[tuple[int, ...]],
    nodes: Sequence[Node],
    links_NN: NDArray[np.floating],
    classes: Sequence[SpanClass],
    *,
    tolerance: float,
    link_threshold: float = 0.0,
) -> list[tuple[int, ...]]:
    """Join groups that a missing edge may have split: quasi-cliques, weighted by the scores of their links.

    Two groups that share a node become one where, over all pairs of the union, the mean probability of a link is at
    least 1 - tolerance, no pair is exclusive, and no two nodes of one role that the groups do not share are unlinked:
    that is how two events with the same place but different dates look. The best pair of groups is joined first.
    """
    probability = _sigmoid(np.asarray(links_NN, dtype=np.float64))
    sets = dict(enumerate(frozenset(group) for group in groups))
    fresh = itertools.count(len(sets))
    shares: dict[tuple[int, int], float] = {}
    pairs: Iterable[tuple[int, int]] = itertools.combinations(sets, 2)
    while True:
        for i, j in pairs:
            if sets[i] & sets[j]:
                share = _joint_share(sets[i], sets[j], nodes, links_NN, probability, classes, link_threshold)
                if share >= 1.0 - tolerance:
                    shares[i, j] = share
        if not shares:
            return sorted(tuple(sorted(group)) for group in sets.values())
        i, j = max(shares, key=lambda pair: (shares[pair], -pair[0], -pair[1]))
        union = sets[i] | sets[j]
        number = next(fresh)
        sets = {k: group for k, group in sets.items() if not group <= union}
        shares = {pair: share for pair, share in shares.items() if pair[0] in sets and pair[1] in sets}
        pairs = [(k, number) for k in sets]
        sets[number] = union


def _joint_share(
    a: frozenset[int],
    b: frozenset[int],
    nodes: Sequence[Node],
    links_NN: NDArray[np.floating],
    probability: NDArray[np.floating],
    classes: Sequence[SpanClass],
    link_threshold: float,
) -> float:
    """The mean probability of a link within the union; -1 where the two cannot be one event."""
    for i, j in itertools.product(a - b, b - a):
        rivals = nodes[i].kind == nodes[j].kind and links_NN[i, j] <= link_threshold
        if rivals or exclusive(nodes[i], nodes[j], classes):
            return -1.0
    union = sorted(a | b)
    if len(union) < 2:
        return 1.0
    inside = probability[np.ix_(union, union)]
    return float((inside.sum() - np.trace(inside)) / (len(union) * (len(union) - 1)))


def find_groups(
    nodes: Sequence[Node],
    links_NN: NDArray[np.floating],
    classes: Sequence[SpanClass],
    *,
    options: DecodingOptions,
) -> tuple[list[Group], Cuts]:
    """The events among the nodes, sorted by type; members are indices into ``nodes``.

    links: float [N, N], from `link_scores`. classes: what ``Node.kind`` counts.
    """
    groups: list[Group] = []
    cuts = Cuts()
    by_type: dict[str, list[int]] = {}
    for index, node in enumerate(nodes):
        by_type.setdefault(classes[node.kind].type, []).append(index)
    for _, indices in sorted(by_type.items()):
        if len(indices) > options.max_nodes:
            cuts.nodes += 1
            indices = sorted(sorted(indices, key=lambda i: (-nodes[i].logit, i))[: options.max_nodes])
        own = [nodes[i] for i in indices]
        links = links_NN[np.ix_(indices, indices)]
        graph = argument_graph(own, links, classes, link_threshold=options.link_threshold or 0.0)
        cliques, complete = maximal_cliques(graph, limit=options.max_events)
        cuts.cliques += not complete
        if options.tolerance:
            cliques = join_groups(
                cliques,
                own,
                links,
                classes,
                tolerance=options.tolerance,
                link_threshold=options.link_threshold or 0.0,
            )
        for clique in cliques:
            missing = [(i, j) for i, j in itertools.combinations(clique, 2) if not graph.has_edge(i, j)]
            groups.append(Group(tuple(indices[i] for i in clique), tuple((indices[i], indices[j]) for i, j in missing)))
    return groups, cuts


def without_overlaps(group: Group, nodes: Sequence[Node]) -> Group:
    """The group with the likeliest of all nodes of one class that overlap."""
    kept: list[int] = []
    for i in sorted(group.members, key=lambda i: (-nodes[i].logit, i)):
        one = nodes[i]
        rivals = (nodes[j] for j in kept if nodes[j].kind == one.kind)
        if not any(one.first <= other.last and other.first <= one.last for other in rivals):
            kept.append(i)
    return Group(tuple(sorted(kept)), tuple(pair for pair in group.unlinked if set(pair) <= set(kept)))


def group_score(group: Group, nodes: Sequence[Node], links_NN: NDArray[np.floating]) -> float:
    """How sure an event is as a whole, in (0, 1): the geometric mean of the probabilities of its nodes and links."""
    logits = [nodes[i].logit for i in group.members]
    logits += [float(links_NN[i, j]) for i, j in itertools.combinations(group.members, 2)]
    return float(np.exp(-np.logaddexp(0.0, -np.array(logits)).mean()))


def probability_of(logit: float) -> float:
    """The sigmoid of a score."""
    return round(float(_sigmoid(np.float64(logit))), 6)


def _sigmoid(x: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -x))


class Pair(NamedTuple):
    """A relation: number of its predicate, subject and object as indices of nodes, and its log-odds."""

    predicate: int
    subject: int
    object: int
    logit: float


def relation_scores(
    nodes: Sequence[Node], heads_CLL: NDArray[np.floating], tails_CLL: NDArray[np.floating]
) -> NDArray[np.float64]:
    """For each predicate and each pair of nodes, from the first to the second, the lower of its two link scores.

    heads, tails: float [predicates, L, L], not symmetric. Returns float64 [predicates, N, N].
    """
    first = np.array([node.first for node in nodes], dtype=np.int64)
    last = np.array([node.last for node in nodes], dtype=np.int64)
    heads, tails = heads_CLL[:, first[:, None], first], tails_CLL[:, last[:, None], last]
    return np.minimum(heads, tails).astype(np.float64)


def find_relations(
    nodes: Sequence[Node],
    scores_CNN: NDArray[np.floating],
    *,
    subject: int = 0,
    object_: int = 1,
    link_threshold: float = 0.0,
) -> list[Pair]:
    """Every predicate that leads from a node of the class ``subject`` to one of the class ``object_``.

    scores: from `relation_scores`.
    """
    return [
        Pair(p, s, o, float(scores_CNN[p, s, o]))
        for p, s, o in np.argwhere(scores_CNN > link_threshold).tolist()
        if nodes[s].kind == subject and nodes[o].kind == object_
    ]
