"""Annotated texts: check them, infer their schema, convert them, score an answer: python examples/annotated_texts.py"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ironwok.events import infer_schema, load_schema, read_annotations, score_events, write_annotations

ANNOTATED = Path(__file__).resolve().parent / "events" / "annotated.jsonl"


def main() -> None:
    # whatever is wrong with a file is told by file and line, and the rest is read
    problems = []
    texts = list(read_annotations(ANNOTATED, schema=load_schema("finance"), on_problem=problems.append))
    print(f"{len(texts)} texts, {sum(len(text.events) for text in texts)} events")
    for problem in problems:
        print(f"{Path(problem.file).name}, line {problem.line}: {problem.kind}")

    # the smallest schema that they fit
    schema = infer_schema(texts)
    print(f"{len(schema.events)} event types, {sum(len(event.roles) for event in schema.events)} roles")

    # for people who go on annotating in Label Studio
    write_annotations(texts, "label_studio.json", format="label-studio")

    # an answer that lacks the last argument of every event: most arguments are right, and not one event is
    gold = [text.events for text in texts]
    answer = [tuple(replace(event, arguments=event.arguments[:-1]) for event in events) for events in gold]
    scores = score_events(answer, gold)
    print(f"arguments: F1 {scores.argument_classification.f1:.2f}, whole events: F1 {scores.event.f1:.2f}")


if __name__ == "__main__":
    main()
