"""doccano's JSON lines: of a sequence labelling project (``label``) and of one with relations (``entities``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironwok.errors import InputError
from ironwok.events.annotations import AnnotatedText
from ironwok.events.formats.checking import Tell
from ironwok.events.formats.drafts import DraftText, Mention, id_of, list_of, object_of, offset_of, text_of
from ironwok.events.formats.graph import Edge, Node, draft_from_graph, graph_of
from ironwok.events.schema import Schema

_READ = {"id", "text", "data", "label", "labels", "entities", "relations", "Comments", "comments"}


def draft_of(record: Mapping[str, Any], schema: Schema | None) -> DraftText:
    """A line of an export. Raises InputError for a record that is none."""
    draft = DraftText(
        text=text_of(record, "text" if "text" in record else "data"),
        id=id_of(record),
        metadata={key: value for key, value in record.items() if key not in _READ},
    )
    nodes, edges = [], []
    for number, entry in enumerate(list_of(record, "label") + list_of(record, "labels"), 1):
        try:
            nodes.append(_labelled(entry, number))
        except InputError as error:
            draft.faults.append(("bad annotation", f"label {number}: {error}"))
    for number, entry in enumerate(list_of(record, "entities"), 1):
        try:
            nodes.append(_entity(object_of(entry, "the entity")))
        except InputError as error:
            draft.faults.append(("bad annotation", f"entity {number}: {error}"))
    for number, entry in enumerate(list_of(record, "relations"), 1):
        try:
            entry = object_of(entry, "the relation")
            edges.append(Edge(str(entry.get("from_id")), str(entry.get("to_id")), text_of(entry, "type")))
        except InputError as error:
            draft.faults.append(("bad annotation", f"relation {number}: {error}"))
    draft_from_graph(draft, nodes, edges, schema=schema)
    return draft


def record_of(text: AnnotatedText, tell: Tell) -> dict[str, Any]:
    """A line for import into a project with relations; scores have no place in it and are left out."""
    nodes, edges = graph_of(text, tell)
    record: dict[str, Any] = {"id": text.id} if text.id else {}
    record |= {"text": text.text} | {key: value for key, value in text.metadata.items() if key not in _READ}
    record["entities"] = [
        {"id": int(one.id), "label": one.label, "start_offset": one.mention.start, "end_offset": one.mention.end}
        for one in nodes
    ]
    record["relations"] = [
        {"id": number, "from_id": int(edge.source), "to_id": int(edge.target), "type": edge.label}
        for number, edge in enumerate(edges, 1)
    ]
    return record


def _labelled(entry: Any, number: int) -> Node:
    """``[start, end, label]``; without ids, so that no relation can point at it."""
    if not isinstance(entry, list) or len(entry) != 3:
        raise InputError(f"{entry!r:.60} is not [start, end, label]")
    place = {"start": entry[0], "end": entry[1], "label": entry[2]}
    mention = Mention(None, offset_of(place, "start"), offset_of(place, "end"))
    return Node(f"label {number}", text_of(place, "label"), mention)


def _entity(entry: Mapping[str, Any]) -> Node:
    mention = Mention(None, offset_of(entry, "start_offset"), offset_of(entry, "end_offset"))
    return Node(str(entry.get("id")), text_of(entry, "label"), mention)
