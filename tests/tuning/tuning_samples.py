"""Labelled examples that a tiny encoder can learn, made here, and that encoder."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

SPORT = ("主队", "门将", "比赛")
MONEY = ("央行", "股市", "利率")
FILLING = "在宣布大幅今年天气时什么里有"


def sentence(chance: random.Random, words: tuple[str, ...], length: int = 6) -> str:
    """Characters that mean nothing here, and one of the words among them."""
    parts = [chance.choice(FILLING) for _ in range(length)]
    parts.insert(chance.randrange(length), chance.choice(words))
    return "".join(parts)


def records(task: str, count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """As many examples as asked for; the task is learnt by who sees which of the words occur, and where."""
    chance = random.Random(seed)
    return [_MAKERS[task](chance, number) for number in range(count)]


def _classify(chance: random.Random, number: int) -> dict[str, Any]:
    return {"text": sentence(chance, (MONEY, SPORT)[number % 2]), "label": ("财经", "体育")[number % 2]}


def _pairs(chance: random.Random, number: int) -> dict[str, Any]:
    first = chance.randrange(2)
    second = first if number % 2 else 1 - first
    return {
        "a": sentence(chance, (MONEY, SPORT)[first], 3),
        "b": sentence(chance, (MONEY, SPORT)[second], 3),
        "label": number % 2,
    }


def _choice(chance: random.Random, number: int) -> dict[str, Any]:
    """The right answer is the one about sport, whatever is asked."""
    wrong = list(MONEY[: 1 + number % 2])
    right = chance.randrange(len(wrong) + 1)
    choices = [*wrong[:right], chance.choice(SPORT), *wrong[right:]]
    return {"passage": sentence(chance, SPORT, 4), "question": "有什么", "choices": choices, "answer": right}


def _reading(chance: random.Random, number: int) -> dict[str, Any]:
    word = chance.choice(SPORT + MONEY)
    context = sentence(chance, (word,), 10)
    return {"context": context, "question": "什么", "answers": [{"text": word, "start": context.index(word)}]}


_MAKERS = {"classify": _classify, "pairs": _pairs, "choice": _choice, "reading": _reading}


def write(path: Path, listed: list[Any]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in listed), encoding="utf-8")
    return path


def save_encoder(folder: Path) -> Path:
    """A RoFormerV2 with random weights and a next-sentence head, that knows the characters of the samples."""
    import torch

    from ironwok.models import RoFormerV2Config, RoFormerV2ForPreTraining
    from ironwok.text.tokenizer import train_tokenizer, wrap_tokenizer

    letters = "".join(SPORT + MONEY) + FILLING + "体育财经，。abcdefgh0123456789"
    tokenizer = wrap_tokenizer(
        train_tokenizer([letters] * 3, vocab_size=120, min_frequency=1, largest_alphabet=110), model_max_length=64
    )
    torch.manual_seed(0)
    config = RoFormerV2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        pooling="segments",
    )
    RoFormerV2ForPreTraining(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def quick_settings(task: str, **changes: Any):
    """Settings with which that encoder learns the samples in seconds."""
    from ironwok.training.tuning.settings import load_settings

    chosen: dict[str, Any] = {
        "learning_rate": 3e-3,
        "head_learning_rate": 5e-3,
        "min_steps": 80,
        "epochs": 1.0,
        "evaluate_every": 40,
        "patience": 0,
        "dropout": 0.0,
        "ema": 0.8,
        "max_tokens": 48,
        "precision": "fp32",
    }
    return load_settings(task, overrides=[f"{name}={value}" for name, value in (chosen | changes).items()])


def train_tiny(folder: Path, task: str, encoder: Path, *, count: int = 100, **options: Any):
    """Train at ``folder``/run. options: of `train_tuned`, and settings."""
    from ironwok.training.tuning.train import train_tuned

    folder.mkdir(parents=True, exist_ok=True)
    known = ("train", "dev", "model", "resume", "progress", "on_note", "on_problem", "fields", "curves")
    given = {name: options.pop(name) for name in known if name in options}
    given.setdefault("train", folder / "train.jsonl")
    if not given["train"].exists():
        write(given["train"], records(task, count))
    given = {"model": str(encoder), "curves": False} | given
    return train_tuned(task, out=folder / "run", settings=quick_settings(task, **options), **given)
