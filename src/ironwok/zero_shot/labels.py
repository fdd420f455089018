"""Candidate labels in every form a caller may bring them: a list, a string with commas, a mapping to words, a tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ironwok.errors import LabelError

SEPARATOR = "/"


@dataclass(frozen=True, slots=True)
class Node:
    """A label with what fills the template in its place, and the finer labels under it.

    name: as the caller wrote it. words: what the model reads. path: names from the root down, joined by the separator.
    """

    name: str
    words: str
    path: str
    children: tuple[Node, ...] = ()

    @property
    def is_leaf(self) -> bool:
        return not self.children

    def leaves(self) -> Iterable[Node]:
        if self.is_leaf:
            yield self
        for child in self.children:
            yield from child.leaves()

    def descendants(self) -> Iterable[Node]:
        for child in self.children:
            yield child
            yield from child.descendants()


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels of one text: a flat row or a tree.

    root: a nameless node whose children are the labels of the first level.
    """

    root: Node
    names: tuple[str, ...] = field(init=False)
    words: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        leaves = tuple(self.root.leaves())
        object.__setattr__(self, "names", tuple(leaf.path for leaf in leaves))
        object.__setattr__(self, "words", tuple(leaf.words for leaf in leaves))

    @property
    def is_flat(self) -> bool:
        return all(child.is_leaf for child in self.root.children)

    def keep(self, indices: Iterable[int]) -> LabelSet:
        """A flat set with only these of its labels."""
        return LabelSet(Node("", "", "", tuple(self.root.children[int(index)] for index in indices)))

    def all_words(self) -> tuple[str, ...]:
        """What fills the template anywhere in the tree."""
        return tuple(node.words for node in self.root.descendants())


def parse_labels(labels: Any, *, separator: str | None = None, at_least: int = 2) -> LabelSet:
    """Read candidate labels.

    labels: a sequence of names; one string with commas between names; a mapping name → words that fill the template
    in the name's place; or a nested mapping name → finer labels (mapping, sequence, or None for a leaf).
    separator: with one given, flat names such as "体育/足球" are paths of a tree.
    at_least: fewer labels than this leave nothing to choose from.
    Raises LabelError for none, too few, blank, duplicate or non-string labels.
    """
    if isinstance(labels, LabelSet):
        return labels
    if separator is not None and not separator:
        raise LabelError("the label separator is empty: give a character such as '/', or None for flat labels")
    nodes = _children(labels, "", separator or SEPARATOR)
    if separator is not None:
        if not all(node.is_leaf for node in nodes):
            raise LabelError("nested labels are a tree already: leave label_separator (--separator) out")
        nodes = _tree_of_paths(nodes, separator)
    label_set = LabelSet(Node("", "", "", tuple(nodes)))
    count = len(label_set.names)
    if count < at_least:
        found = f"one label, {label_set.names[0]!r}, leaves" if count else "no label leaves"
        raise LabelError(
            f"{found} nothing to choose from: give two or more, or ask yes or no with multi_label=True (--multi-label)"
        )
    return label_set


def is_per_text(labels: Any) -> bool:
    """Whether ``labels`` holds one set of labels for each text rather than one set for all."""
    return (
        isinstance(labels, Sequence)
        and not isinstance(labels, str)
        and bool(labels)
        and all(isinstance(entry, (Mapping, LabelSet)) or _is_row(entry) for entry in labels)
    )


def _is_row(value: Any) -> bool:
    return isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (str, bytes))


def _children(labels: Any, parent: str, separator: str) -> list[Node]:
    place = f"under {parent!r} " if parent else ""
    if isinstance(labels, str):
        labels = [name.strip() for name in labels.replace("，", ",").split(",") if name.strip()]
    if isinstance(labels, Mapping):
        entries = list(labels.items())
    elif isinstance(labels, (set, frozenset)):
        raise LabelError(f"the labels {place}are a set, whose order changes from run to run: give a list")
    elif isinstance(labels, Iterable):
        entries = [(name, None) for name in labels]
    else:
        raise LabelError(f"the labels {place}are {labels!r} ({type(labels).__name__}): give a list of strings")
    nodes = [_node(name, value, parent, separator) for name, value in entries]
    if not nodes:
        raise LabelError(
            f"there are no labels {place or 'at all'}: give a list such as ['科技', '财经']".replace("  ", " ")
        )
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            raise LabelError(
                f"label {node.name!r} {place}is given twice: scores of equal labels would halve each other"
            )
        seen.add(node.name)
    return nodes


def _node(name: Any, value: Any, parent: str, separator: str) -> Node:
    if not isinstance(name, str):
        raise LabelError(f"label {name!r} is {type(name).__name__}, not a string")
    if not name.strip():
        raise LabelError(f"a label is blank ({name!r}): take it out")
    name = name.strip()
    path = f"{parent}{separator}{name}" if parent else name
    if value is None:
        return Node(name, name, path)
    if isinstance(value, str):
        if not value.strip():
            raise LabelError(
                f"label {name!r} has blank words: give the words that describe it, or None for the label itself"
            )
        return Node(name, value, path)
    return Node(name, name, path, tuple(_children(value, path, separator)))


def _tree_of_paths(nodes: Sequence[Node], separator: str) -> list[Node]:
    """Gather flat names that are paths; the order is that of first mention."""
    branches: dict[str, list[tuple[str, Node]]] = {}
    for node in nodes:
        head, _, rest = node.name.partition(separator)
        if not head.strip() or (separator in node.name and not rest.strip()):
            raise LabelError(f"label {node.name!r} has a blank step between its {separator!r}")
        branches.setdefault(head.strip(), []).append((rest.strip(), node))
    return [_branch(head, entries, "", separator) for head, entries in branches.items()]


def _branch(name: str, entries: list[tuple[str, Node]], parent: str, separator: str) -> Node:
    path = f"{parent}{separator}{name}" if parent else name
    if len(entries) == 1 and not entries[0][0]:
        node = entries[0][1]
        # words of its own belong to the label as a whole, the default words to the last step
        return Node(name, node.words if node.words != node.name else name, path)
    groups: dict[str, list[tuple[str, Node]]] = {}
    for rest, node in entries:
        if not rest:
            raise LabelError(
                f"label {path!r} is given both as a label and as the beginning of finer ones: keep one of them"
            )
        head, mark, tail = rest.partition(separator)
        if not head.strip() or (mark and not tail.strip()):
            raise LabelError(f"label {node.name!r} has a blank step between its {separator!r}")
        groups.setdefault(head.strip(), []).append((tail.strip(), node))
    return Node(name, name, path, tuple(_branch(head, group, path, separator) for head, group in groups.items()))
