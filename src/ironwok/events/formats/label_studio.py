"""Label Studio's JSON: tasks with their annotations, spans and relations of a Text tag.

Offsets are characters in what is written here and in newer exports; exports of old versions count UTF-16 units, which
`placing` recognises by the words. See labelstud.io/guide/task_format and HumanSignal/label-studio#1347.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironwok.errors import InputError
from ironwok.events.annotations import AnnotatedText
from ironwok.events.formats.checking import Tell
from ironwok.events.formats.drafts import (
    DraftText,
    Mention,
    id_of,
    list_of,
    object_of,
    offset_of,
    score_of,
    text_of,
)
from ironwok.events.formats.graph import Edge, Node, draft_from_graph, graph_of
from ironwok.events.schema import Schema


def draft_of(record: Mapping[str, Any], schema: Schema | None) -> DraftText:
    """A task of an export. Raises InputError for a record that is none.

    Of several annotators the first whose work was not cancelled is read; predictions are read where nobody annotated.
    """
    data = object_of(record.get("data"), "'data'")
    # our own id travels with the data; without one the task's number is as good
    draft = DraftText(_text(data), id=id_of(data) or id_of(record))
    draft.metadata = {key: value for key, value in data.items() if key != "id" and value != draft.text}
    annotations = [one for one in list_of(record, "annotations") if isinstance(one, dict)]
    valid = [one for one in annotations if not one.get("was_cancelled")] or [
        one for one in list_of(record, "predictions") if isinstance(one, dict)
    ]
    if len(valid) > 1:
        draft.faults.append(("other annotators", f"{len(valid)} annotations of this text: the first is read"))
    if valid:
        _read(valid[0], draft, schema)
    return draft


def record_of(text: AnnotatedText, tell: Tell) -> dict[str, Any]:
    """A task for import, annotated, for a project with the tags ``<Text name="text">``, ``<Labels name="label">``."""
    nodes, edges = graph_of(text, tell)
    spans = [
        {
            "id": f"s{one.id}",
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "score": one.score,
            "value": {
                "start": one.mention.start,
                "end": one.mention.end,
                "text": one.mention.text,
                "labels": [one.label],
            },
        }
        for one in nodes
    ]
    arrows = [
        {
            "from_id": f"s{edge.source}",
            "to_id": f"s{edge.target}",
            "type": "relation",
            "direction": "right",
            "labels": [edge.label],
        }
        for edge in edges
    ]
    data = {key: value for key, value in text.metadata.items() if key != "text"} | {"text": text.text}
    # ids of tasks are the tool's own; ours stay with the data
    record: dict[str, Any] = {"data": data | ({"id": text.id} if text.id else {})}
    record["annotations"] = [{"result": [*spans, *arrows]}]
    return record


def _text(data: Mapping[str, Any]) -> str:
    if "text" in data:
        return text_of(data, "text")
    strings = [value for value in data.values() if isinstance(value, str) and value.strip()]
    if not strings:
        raise InputError("'data' has no text")
    return max(strings, key=len)


def _read(annotation: Mapping[str, Any], draft: DraftText, schema: Schema | None) -> None:
    nodes: list[Node] = []
    edges: list[Edge] = []
    for number, entry in enumerate(list_of(annotation, "result"), 1):
        try:
            entry = object_of(entry, "the entry")
            if entry.get("type") == "relation":
                edges += _edges(entry)
            else:
                nodes.append(_node(entry))
        except InputError as error:
            draft.faults.append(("bad annotation", f"result {number}: {error}"))
    draft_from_graph(draft, nodes, edges, schema=schema)


def _node(entry: Mapping[str, Any]) -> Node:
    value = object_of(entry.get("value"), "'value'")
    kind = entry.get("type")
    labels = list_of(value, kind) if isinstance(kind, str) and kind in value else list_of(value, "labels")
    if len(labels) != 1 or not isinstance(labels[0], str) or not labels[0].strip():
        raise InputError(f"a span has one label, this one {labels!r:.60}")
    words = value.get("text")
    mention = Mention(words if isinstance(words, str) else None, offset_of(value, "start"), offset_of(value, "end"))
    return Node(str(entry.get("id")), labels[0], mention, score_of(entry))


def _edges(entry: Mapping[str, Any]) -> list[Edge]:
    """An arrow for each label of a relation."""
    source, target = str(entry.get("from_id")), str(entry.get("to_id"))
    if entry.get("direction") == "left":
        source, target = target, source
    labels = [label for label in list_of(entry, "labels") if isinstance(label, str) and label.strip()]
    if not labels:
        raise InputError(f"the relation from {source} to {target} has no label")
    return [Edge(source, target, label) for label in labels]
