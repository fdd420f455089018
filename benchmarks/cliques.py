"""Decoding of argument graphs: our maximal cliques against the recursion that GPLinker was published with.

    python benchmarks/cliques.py [--sizes 6 10 14 18 22] [--densities 0.5 0.7 0.9] [--graphs 20] [--patience 2.0]

The rival is written anew from its description (kexue.fm 8926): of a graph that is no clique, take every pair of nodes
that are not linked; each of the two with its neighbours is a smaller graph to be taken apart in the same way; what is
left, without duplicates, are the cliques. Ours is `ironwok.events.decoding.find_groups`: building the graph from scores
included, Bron-Kerbosch in networkx beneath. Both are given the same scores and have to find the same sets. Times are
the processor's. A graph that the recursion has not finished within --patience seconds counts with that time, so that
its ratios are lower bounds ("at least"); graphs of a size and density are drawn by their number alone. Prints a table,
then one line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import statistics
import time

import numpy as np

from _table import finish, show
from ironwok.events.decoding import DecodingOptions, Node, find_groups
from ironwok.events.schema import SpanClass

CLASSES = (SpanClass("type", "role", None),)


class OutOfPatience(Exception):
    pass


def published_recursion(nodes: frozenset[int], linked: set[tuple[int, int]], deadline: float) -> set[frozenset[int]]:
    """Maximal cliques by splitting at every pair that is not linked. Raises OutOfPatience."""
    if time.process_time() > deadline:
        raise OutOfPatience
    apart = [(a, b) for a, b in itertools.combinations(sorted(nodes), 2) if (a, b) not in linked]
    if not apart:
        return {nodes}
    pieces = set()
    for pair in apart:
        for node in pair:
            around = {o for o in nodes if o == node or (min(o, node), max(o, node)) in linked}
            pieces.add(frozenset(around))
    found: set[frozenset[int]] = set()
    for piece in pieces:
        found |= published_recursion(piece, linked, deadline)
    return found


def ours(nodes: list[Node], links: np.ndarray) -> set[frozenset[int]]:
    groups, cuts = find_groups(nodes, links, CLASSES, options=DecodingOptions(max_events=100_000))
    assert not cuts.cliques
    return {frozenset(group.members) for group in groups}


def graph(size: int, density: float, number: int) -> tuple[list[Node], np.ndarray, set[tuple[int, int]]]:
    draw = random.Random(f"{size} {density} {number}")
    linked = {pair for pair in itertools.combinations(range(size), 2) if draw.random() < density}
    links = np.full((size, size), -1.0)
    for a, b in linked:
        links[a, b] = links[b, a] = 1.0
    return [Node(0, i, i, 1.0) for i in range(size)], links, linked


def measure(size: int, density: float, graphs: int, patience: float) -> dict[str, float | int | bool]:
    our_times, their_times = [], []
    unfinished = cliques = 0
    for number in range(graphs):
        nodes, links, linked = graph(size, density, number)
        began = time.process_time()
        found = ours(nodes, links)
        our_times.append(time.process_time() - began)
        cliques += len(found)
        began = time.process_time()
        try:
            expected = published_recursion(frozenset(range(size)), linked, began + patience)
            if expected != found:
                raise SystemExit(f"graph {number} of {size} nodes at {density}: the two find different cliques")
        except OutOfPatience:
            unfinished += 1
        their_times.append(time.process_time() - began)
    return {
        "ours_ms": 1000 * statistics.mean(our_times),
        "recursion_ms": 1000 * statistics.mean(their_times),
        "ratio": statistics.median(b / a for a, b in zip(our_times, their_times, strict=True)),
        "unfinished": unfinished,
        "cliques": cliques / graphs,
    }


def growth(sizes: list[int], milliseconds: list[float]) -> float:
    """By what factor a node more multiplies the time: the slope of its logarithm, by least squares."""
    slope = np.polyfit(sizes, np.log(milliseconds), 1)[0]
    return math.exp(float(slope))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[6, 10, 14, 18, 22])
    parser.add_argument("--densities", type=float, nargs="+", default=[0.5, 0.7, 0.9])
    parser.add_argument("--graphs", type=int, default=20)
    parser.add_argument("--patience", type=float, default=2.0, help="processor seconds for the recursion on one graph")
    choices = parser.parse_args()
    rows, figures, grows = [], {}, {}
    for density in choices.densities:
        found = {size: measure(size, density, choices.graphs, choices.patience) for size in choices.sizes}
        for size, one in found.items():
            least = "at least " if one["unfinished"] else ""
            rows.append(
                [
                    f"{size} nodes, density {density}",
                    f"{one['cliques']:.1f}",
                    f"{one['ours_ms']:.2f}",
                    f"{least}{one['recursion_ms']:.2f}",
                    f"{least}{one['ratio']:.1f}",
                    f"{one['unfinished']} of {choices.graphs}",
                ]
            )
            figures[f"{size}@{density}"] = {name: round(value, 3) for name, value in one.items()}
        # where the recursion was stopped its time says nothing about growth
        done = [size for size, one in found.items() if not one["unfinished"]]
        grows[str(density)] = {
            "ours": round(growth(choices.sizes, [found[s]["ours_ms"] for s in choices.sizes]), 3),
            "recursion": round(growth(done, [found[s]["recursion_ms"] for s in done]), 3) if len(done) > 1 else None,
        }
    show(
        "Maximal cliques of random graphs, the sets equal wherever the recursion ended",
        ["", "cliques", "ours, ms", "recursion, ms", "time ratio", "not finished"],
        rows,
        notes=[
            f"density {density}: each node more takes {one['ours']} times our time, {one['recursion']} the recursion's"
            for density, one in grows.items()
        ],
    )
    finish({"benchmark": "cliques", "graphs": choices.graphs, "sizes": figures, "growth_per_node": grows})


if __name__ == "__main__":
    main()
