"""The next-sentence model in onnxruntime and in torch: how fast, and how far apart.

    python benchmarks/onnx_speed.py [--model ironwok-small] [--shapes 16x48 64x64 8x256] [--rounds 9] [--threads 1]

Random token ids, forward passes alone, the model's float32 weights in both; torch also in bfloat16. All take turns in
every round, so that a machine that slows down slows all; medians, ratios within a round. With one thread the time of
the processor is taken, which others on the machine hardly change. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from _table import finish, show
from ironwok.models import load_model
from ironwok.models.onnx import (
    OnnxNextSentence,
    export_next_sentence,
    median_ratio,
    random_inputs,
    time_in_turns,
)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ironwok-small")
    parser.add_argument("--shapes", nargs="+", default=["16x48", "64x64", "8x256"], metavar="ROWSxTOKENS")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    model = load_model(options.model, head="nsp")
    half = load_model(options.model, head="nsp", dtype=torch.bfloat16)
    with tempfile.TemporaryDirectory() as folder:
        path, began = Path(folder) / "model.onnx", time.perf_counter()
        difference = export_next_sentence(model, path)
        export_seconds, size = time.perf_counter() - began, path.stat().st_size
        exported = OnnxNextSentence(path, threads=options.threads)
    ways: dict[str, Any] = {"torch float32": model, "torch bfloat16": half, "onnxruntime float32": exported}
    rows, line = [], {}
    clock = time.process_time if options.threads == 1 else time.perf_counter
    for shape in options.shapes:
        inputs = random_inputs(model, *map(int, shape.split("x")), seed=0)
        seconds = time_in_turns(ways, inputs, rounds=options.rounds, clock=clock)
        line[shape] = {}
        for name, own in seconds.items():
            ratio = median_ratio(seconds["torch float32"], own)
            milliseconds = 1000 * statistics.median(own)
            rows.append([f"{shape} {name}", f"{milliseconds:.1f}", f"{ratio:.2f}×"])
            line[shape][name] = {"ms": round(milliseconds, 2), "ratio": round(ratio, 3)}
    show(
        f"{options.model}, next sentence, {options.threads} threads, median of {options.rounds}",
        ["rows x tokens", "ms a batch", "against torch float32"],
        rows,
        notes=[f"exported in {export_seconds:.0f} s, {size / 1e6:.0f} MB, logits differ by {difference:.1e} at most"],
    )
    finish(
        {
            "benchmark": "onnx_speed",
            "model": options.model,
            "threads": options.threads,
            "torch": torch.__version__,
            "difference": difference,
            "export_seconds": round(export_seconds, 1),
            "results": line,
        }
    )


if __name__ == "__main__":
    main()
