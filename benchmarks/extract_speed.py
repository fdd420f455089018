"""Sentences a second of processor time, token ids in and spans and links out, beside bert4torch.

    python benchmarks/extract_speed.py --rival-python ENV/bin/python [--batches 1 32] [--repetitions 5] [--threads N]

bert4torch (PyPI; 0.5.2 is the last that runs with current transformers) wants an environment of its own:

    python -m venv ENV && ENV/bin/pip install torch bert4torch==0.5.2 torch4keras==0.2.7 six

Both sides: a RoFormerV2 of 6 layers of 384 with a vocabulary of 12,800, Efficient GlobalPointers of width 64 for the
span classes of FewFC (75), and for heads and tails; random weights, float32, evaluation mode; the same sentences of 30
to 120 tokens, sorted by length and padded to the longest of their batch; then every cell above a threshold that 12
cells a sentence pass. Each side runs in a process of its own, the two take turns in every repetition, and a ratio is
taken within a repetition. Processor time, summed over threads, is what other work on the machine disturbs least.
Medians. Without --rival-python ours is measured alone. Prints a table, then one line of
JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

LAYERS, WIDTH, HEADS, VOCABULARY = 6, 384, 6, 12_800
CLASSES, HEAD_WIDTH = 75, 64
SENTENCES, CELLS = 64, 12

# inputs -> tables of scores: spans, heads, tails
Score = Callable[[torch.Tensor, torch.Tensor], list[torch.Tensor]]


def ours() -> Score:
    from ironwok.models import GPLinkerConfig, GPLinkerModel, RoFormerV2Config

    encoder = RoFormerV2Config(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS
    )
    model = GPLinkerModel(
        GPLinkerConfig(encoder=encoder, span_classes=CLASSES, head_width=HEAD_WIDTH, link_head_width=HEAD_WIDTH)
    ).eval()

    def score(input_ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        output = model(input_ids, mask, torch.zeros_like(mask))
        return [output.spans, output.heads, output.tails]

    return score


def bert4torch() -> Score:
    from bert4torch.layers import EfficientGlobalPointer  # pyright: ignore[reportMissingImports]
    from bert4torch.models import build_transformer_model  # pyright: ignore[reportMissingImports]

    config = {
        "model": "roformer_v2",
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 4 * WIDTH,
        "hidden_act": "gelu",
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": 0,
        "layer_norm_eps": 1e-12,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        encoder = build_transformer_model(config_path=str(file), checkpoint_path=None, model="roformer_v2").eval()
    heads = [
        EfficientGlobalPointer(WIDTH, CLASSES, HEAD_WIDTH).eval(),
        EfficientGlobalPointer(WIDTH, 1, HEAD_WIDTH, RoPE=False).eval(),
        EfficientGlobalPointer(WIDTH, 1, HEAD_WIDTH, RoPE=False).eval(),
    ]

    def score(input_ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        hidden = encoder([input_ids, torch.zeros_like(input_ids)])
        return [head(hidden, mask) for head in heads]

    return score


SIDES = {"ours": ours, "bert4torch": bert4torch}


def batches(size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    draw = random.Random(0)
    lengths = sorted(draw.randint(30, 120) for _ in range(SENTENCES))
    rows = [[draw.randrange(10, VOCABULARY) for _ in range(length)] for length in lengths]
    made = []
    for start in range(0, SENTENCES, size):
        chunk = rows[start : start + size]
        longest = max(map(len, chunk))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in chunk])
        made.append((ids, (ids > 0).long()))
    return made


def threshold(table: np.ndarray, cells: int) -> float:
    return float(np.partition(table.ravel(), -cells)[-cells])


def child(side: str, size: int, threads: int) -> None:
    """Answers a line "go" with sentences a second of processor time."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    score, given = SIDES[side](), batches(size)
    with torch.inference_mode():
        first = score(*given[0])
        bounds = [threshold(table.numpy(), CELLS * len(given[0][0])) for table in first]
        print(sum(table.numel() for table in first), flush=True)
        for line in sys.stdin:
            if line.strip() != "go":
                return
            began = time.process_time()
            for ids, mask in given:
                for table, bound in zip(score(ids, mask), bounds, strict=True):
                    np.argwhere(table.numpy() > bound)
            print(SENTENCES / (time.process_time() - began), flush=True)


class Child:
    def __init__(self, python: str, side: str, size: int, threads: int) -> None:
        command = [python, str(Path(__file__)), "--child", side, "--batches", str(size), "--threads", str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.cells = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.strip().replace(".", "").isdigit():  # libraries may print greetings
                return line
        raise SystemExit("a side died: see its trace above")

    def speed(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._line())


def measure(size: int, choices: argparse.Namespace) -> dict[str, Any]:
    children = {"ours": Child(sys.executable, "ours", size, choices.threads)}
    if choices.rival_python:
        children["bert4torch"] = Child(choices.rival_python, "bert4torch", size, choices.threads)
        if children["ours"].cells != children["bert4torch"].cells:
            raise SystemExit("the two sides score different numbers of cells: they are not of one size")
    speeds: dict[str, list[float]] = {side: [] for side in children}
    draw = random.Random(1)
    for _ in range(choices.repetitions):
        for side in draw.sample(sorted(children), len(children)):
            speeds[side].append(children[side].speed())
    found: dict[str, Any] = {side: round(statistics.median(one), 1) for side, one in speeds.items()}
    if choices.rival_python:
        ratios = [a / b for a, b in zip(speeds["ours"], speeds["bert4torch"], strict=True)]
        found["ratio"] = round(statistics.median(ratios), 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rival-python", help="Python of an environment with bert4torch")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    choices = parser.parse_args()
    if choices.child:
        child(choices.child, choices.batches[0], choices.threads)
        return
    from _table import finish, show

    figures = {str(size): measure(size, choices) for size in choices.batches}
    show(
        f"Sentences a second of processor time, {SENTENCES} sentences of 30 to 120 tokens, CPU, float32",
        ["batch", "ours", "bert4torch", "ratio"],
        [[size, one["ours"], one.get("bert4torch"), one.get("ratio")] for size, one in figures.items()],
    )
    finish({"benchmark": "extract_speed", "threads": choices.threads, "batches": figures})


if __name__ == "__main__":
    main()
