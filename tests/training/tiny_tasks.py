"""Five small labelled sets in the words of tiny_corpus, one of each form."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tiny_corpus import OPENINGS, TOPICS, VERBS


def records() -> dict[str, list[dict[str, Any]]]:
    """Records of each task by its name, the same ones every time."""
    chance = random.Random(7)
    made: dict[str, list[dict[str, Any]]] = {name: [] for name in ("topic", "same", "choose", "mark", "find")}
    for number in range(48):
        topic = list(TOPICS)[number % len(TOPICS)]
        one, two, three = chance.sample(TOPICS[topic], 3)
        other = chance.choice(TOPICS[list(TOPICS)[(number + 1) % len(TOPICS)]])
        text = f"{chance.choice(OPENINGS)}，{one}{chance.choice(VERBS)}{two}。"
        made["topic"].append({"text": text, "label": topic})
        second, label = ((two, three), "1") if number % 2 else ((two, other), "0")
        made["same"].append({"a": f"{one}和{second[0]}", "b": f"{second[1]}和{three}", "label": label})
        choices = [other, three, two]
        chance.shuffle(choices)
        made["choose"].append(
            {"passage": text, "question": f"{one}和", "choices": choices, "answer": choices.index(two)}
        )
        answer = {"text": two, "start": text.index(two)}
        made["mark"].append({"context": text, "question": f"{one}旁边", "answers": [answer]})
        entities = [{"type": "thing", "start": text.index(two), "end": text.index(two) + len(two)}]
        if topic == "茶":
            entities.append({"type": "time", "start": 0, "end": text.index("，")})
        made["find"].append({"text": text, "entities": entities})
    return made


def write_tasks(folder: Path) -> Path:
    for name, own in records().items():
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in own)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def tiny_labelled(**changes: Any) -> list[dict[str, Any]]:
    """The five sets as a recipe names them, with heads and judged on what they learn from."""
    forms: dict[str, dict[str, Any]] = {
        "topic": {"form": "single", "fields": ["text"], "labels": {topic: [topic] for topic in TOPICS}},
        "same": {"form": "pair", "fields": ["a", "b"], "positive": ["1"], "negative": ["0"]},
        "choose": {"form": "choice", "fields": ["passage", "question", "choices", "answer"]},
        "mark": {"form": "reading", "fields": ["context", "question", "answers"]},
        "find": {"form": "entities", "fields": ["text", "entities"], "labels": {"thing": ["春雨"], "time": ["清早"]}},
    }
    common = {"weight": 1.0, "heads": True, **changes}
    return [
        {"name": name, "files": [f"{name}.jsonl"], "dev": [f"{name}.jsonl"], **own, **common}
        for name, own in forms.items()
    ]


def with_heads(**mixture: Any) -> dict[str, Any]:
    """Changes of tiny_recipe: all five sets, cast as pairs and with heads."""
    return {
        "labelled": tiny_labelled(),
        "pairs": {"kinds": {"next": 0.5, "labelled": 0.5}, "lengths": [[24, 0.3], [48, 0.4], [64, 0.3]]},
        "mixture": {"tokens": 256, "longest": 48, **mixture},
    }
