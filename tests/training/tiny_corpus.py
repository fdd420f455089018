"""A small corpus made of our own words: four topics, documents with headings, enough to learn something from."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from ironwok.training.recipe import PretrainRecipe

TOPICS = {
    "茶": ("茶叶", "茶园", "水温", "采茶人", "山泉", "瓷杯", "清香", "春雨"),
    "棋": ("棋盘", "棋手", "对局", "开局", "残局", "落子", "裁判", "比分"),
    "海": ("海浪", "渔船", "港口", "灯塔", "潮水", "渔网", "船长", "沙滩"),
    "雪": ("大雪", "雪山", "滑雪场", "教练", "寒风", "木屋", "炉火", "脚印"),
}
OPENINGS = ("清早", "傍晚", "昨天", "后来", "这时", "不久")
VERBS = ("遇见了", "离不开", "比不上", "靠近了", "等着", "记得")
ENDINGS = ("大家都很高兴", "谁也没有说话", "老人笑了起来", "孩子们跑远了", "天色慢慢暗了")


def make_documents(count: int, *, seed: int = 0) -> list[list[str]]:
    """Documents of a heading and two to four paragraphs on one topic."""
    chance = random.Random(seed)
    documents = []
    for number in range(count):
        topic = list(TOPICS)[number % len(TOPICS)]
        words = TOPICS[topic]
        paragraphs = [f"{chance.choice(words)}和{chance.choice(words)}的{number}天"]
        for _ in range(chance.randint(2, 4)):
            sentences = []
            for _ in range(chance.randint(3, 5)):
                first, second, third = chance.sample(words, 3)
                sentences.append(
                    f"{chance.choice(OPENINGS)}，{first}{chance.choice(VERBS)}{second}，"
                    f"{third}旁边{chance.choice(ENDINGS)}。"
                )
            paragraphs.append("".join(sentences))
        documents.append(paragraphs)
    return documents


def as_text(documents: list[list[str]]) -> str:
    return "\n\n".join("\n".join(paragraphs) for paragraphs in documents) + "\n"


def write_corpus(folder: Path) -> Path:
    """Two sources, one of each format: plain.txt with 160 documents, records.jsonl with 80."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plain.txt").write_text(as_text(make_documents(160, seed=1)), encoding="utf-8")
    records = [{"text": "\n".join(paragraphs)} for paragraphs in make_documents(80, seed=2)]
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


# Trained on the corpus below; kept, because training orders equally frequent pieces anew in every process.
TOKENIZER = Path(__file__).with_name("tokenizer")


def tiny_values(**changes: Any) -> dict[str, Any]:
    """A recipe as TOML would give it: 2 layers of 32, fp32, eight steps. Sections in ``changes`` are merged in."""
    values: dict[str, Any] = {
        "name": "tiny",
        "seed": 3,
        "held_out": 0.2,
        "precision": "fp32",
        "checkpoint_every": 3,
        "model": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 128},
        "tokenizer": {"source": str(TOKENIZER)},
        "sources": [
            {"name": "plain", "files": ["plain.txt"], "weight": 0.7},
            {"name": "records", "files": ["records.jsonl"], "weight": 0.3},
        ],
        "pairs": {"lengths": [[24, 0.3], [48, 0.4], [64, 0.3]], "templates": ["{}", "关于{}"]},
        "embeddings": {"tokens": 0},
        "optimizer": {
            "steps": 8,
            "tokens_per_batch": 768,
            "warmup_steps": 2,
            "alpha_warmup_steps": 5,
            "muon_lr": 0.02,
            "adamw_lr": 0.01,
        },
        "evaluation": {"every": 4, "pairs": 16},
    }
    for key, value in changes.items():
        if isinstance(value, dict):
            values[key] = {**values.get(key, {}), **value}
        else:
            values[key] = value
    return values


def tiny_recipe(**changes: Any) -> PretrainRecipe:
    return PretrainRecipe.model_validate(tiny_values(**changes))
