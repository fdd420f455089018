"""Speed of the RoFormerV2 encoder beside `transformers`' BertModel of the same size, and what bias and gain cost.

    python benchmarks/encoder_speed.py [--sizes small base] [--lengths 128 512] [--dtype bfloat16] [--repetitions 7]

Encoders alone, without a head or an optimizer: both models would share those. Same vocabulary, no padding, no dropout
(on a CPU, dropout inside attention would switch off PyTorch's fused kernel), fused attention (SDPA) for both. All
models take turns in every repetition, in another order each time, and a ratio is taken within a repetition, so that a
machine that slows down slows all of them. Medians, with quartiles in brackets. Prints a table, then one line of JSON.

Published for training against RoBERTa of the same size (base on one 3090, large on A100): 1.3x at length 128, 1.2x at
512 (RoFormerV2's authors, kexue.fm 8998).
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertModel

from _table import finish, show
from ironwok.models import RoFormerV2Config, RoFormerV2Model

SIZES = {"small": (6, 384, 6), "base": (12, 768, 12)}  # layers, width, heads
PUBLISHED = {128: 1.3, 512: 1.2}
MODES = ("forward", "training")


def bert(layers: int, width: int, heads: int, *, vocabulary: int, length: int) -> nn.Module:
    config = BertConfig(
        vocab_size=vocabulary,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="sdpa",  # pyright: ignore[reportCallIssue]  # taken, but not declared
    )
    return BertModel(config, add_pooling_layer=False)


def roformer(*, kernel: str = "sdpa", **choices: Any) -> Callable[..., nn.Module]:
    def make(layers: int, width: int, heads: int, *, vocabulary: int, length: int) -> nn.Module:
        config = RoFormerV2Config(
            vocab_size=vocabulary,
            num_hidden_layers=layers,
            hidden_size=width,
            num_attention_heads=heads,
            max_position_embeddings=length,
            **choices,
        )
        model = RoFormerV2Model(config, add_pooling_layer=False)
        model.encoder.set_kernel(kernel)
        return model

    return make


VARIANTS: dict[str, Callable[..., nn.Module]] = {
    "bert": bert,
    "roformer-v2": roformer(),
    "+ bias": roformer(use_bias=True),
    "+ gain": roformer(norm_gain=True),
    "+ bias, gain, layer norm": roformer(use_bias=True, norm_gain=True, norm_type="layer"),
    # attention by whatever kernel is fastest here, as users get it: see ironwok.nn.attention.attend_auto
    "as shipped": roformer(kernel="auto"),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and its quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def text(self, pattern: str) -> str:
        return f"{self.median:{pattern}} [{self.low:{pattern}}, {self.high:{pattern}}]"

    def figures(self) -> list[float]:
        return [round(value, 4) for value in (self.median, self.low, self.high)]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), metavar="SIZE")
    parser.add_argument("--shape", nargs=3, type=int, metavar=("LAYERS", "WIDTH", "HEADS"), help="one size of your own")
    parser.add_argument("--lengths", nargs="+", type=int, default=[128, 512], metavar="TOKENS")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens in a batch (default: 2048)")
    parser.add_argument("--vocabulary", type=int, default=12800)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ...")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="bfloat16: by autocast")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.shape:
        SIZES["own"] = tuple(options.shape)
        options.sizes = ["own"]
    if options.repetitions < 1 or options.tokens < max(options.lengths):
        parser.error("--repetitions must be at least 1 and --tokens at least the longest of --lengths")
    return options


def run(options: argparse.Namespace) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    rows, figures = [], []
    for size in options.sizes:
        for length in options.lengths:
            seconds = measure(size, length, options)
            batch_tokens = max(1, options.tokens // length) * length
            for variant, mode in sorted(seconds, key=lambda step: step[1]):  # stable: variants keep their order
                rates = Spread.of([batch_tokens / value for value in seconds[variant, mode]])
                against_bert = paired(seconds, mode, slower="bert", faster=variant)
                cost = None
                if variant.startswith("+"):
                    cost = paired(seconds, mode, slower=variant, faster="roformer-v2")
                published = PUBLISHED.get(length) if (variant, mode) == ("roformer-v2", "training") else None
                rows.append(
                    (
                        f"{size} {length} {mode}",
                        variant,
                        rates.text(",.0f"),
                        against_bert and against_bert.text(".2f"),
                        published and f"{published}",
                        cost and cost.text(".2f"),
                    )
                )
                figures.append(
                    {
                        "size": size,
                        "length": length,
                        "mode": mode,
                        "variant": variant,
                        "tokens_per_second": rates.figures(),
                        "times_bert": against_bert and against_bert.figures(),
                        "published_times_bert": published,
                        "time_over_roformer_v2": cost and cost.figures(),
                    }
                )
    device = torch.cuda.get_device_name() if options.device.startswith("cuda") else "CPU"
    setting = f"{device}, {options.dtype}, {torch.get_num_threads()} threads, batches of {options.tokens} tokens"
    show(
        f"Encoder speed: {setting}, {options.repetitions} repetitions",
        ("size, length", "model", "tokens/s", "times BERT", "published", "time over roformer-v2"),
        rows,
        notes=("median [quartiles]; ratios within a repetition", "published: training, RoBERTa base, one 3090"),
    )
    finish(
        {
            "benchmark": "encoder_speed",
            "device": device,
            "dtype": options.dtype,
            "threads": torch.get_num_threads(),
            "batch_tokens": options.tokens,
            "repetitions": options.repetitions,
            "torch": torch.__version__,
            "results": figures,
        }
    )


def measure(size: str, length: int, options: argparse.Namespace) -> dict[tuple[str, str], list[float]]:
    """Seconds of each repetition for every variant and mode; the first, unmeasured, warms up."""
    torch.manual_seed(options.seed)
    models = {
        name: VARIANTS[name](*SIZES[size], vocabulary=options.vocabulary, length=length).to(options.device)
        for name in options.variants
    }
    shape = (max(1, options.tokens // length), length)
    token_ids = torch.randint(5, options.vocabulary, shape, device=options.device)
    steps = [(name, mode) for name in models for mode in MODES]
    seconds: dict[tuple[str, str], list[float]] = {step: [] for step in steps}
    order = random.Random(options.seed)
    for repetition in range(-1, options.repetitions):
        order.shuffle(steps)
        for name, mode in steps:
            taken = timed(models[name], mode, token_ids, options)
            if repetition >= 0:
                seconds[name, mode].append(taken)
    return seconds


def timed(model: nn.Module, mode: str, token_ids: torch.Tensor, options: argparse.Namespace) -> float:
    """Seconds of one forward pass, or of one forward and backward pass."""
    model.train(mode == "training")
    precision: AbstractContextManager[object] = nullcontext()
    if options.dtype == "bfloat16":
        precision = torch.autocast(torch.device(options.device).type, torch.bfloat16)
    synchronize = torch.cuda.synchronize if options.device.startswith("cuda") else _nothing
    synchronize()
    start = time.perf_counter()
    with torch.set_grad_enabled(mode == "training"), precision:
        hidden = model(token_ids).last_hidden_state
    if mode == "training":
        hidden.float().square().mean().backward()
    synchronize()
    taken = time.perf_counter() - start
    model.zero_grad(set_to_none=True)
    return taken


def paired(seconds: dict[tuple[str, str], list[float]], mode: str, *, slower: str, faster: str) -> Spread | None:
    """How many times as long ``slower`` took as ``faster``, within each repetition; None unless both were measured."""
    if (slower, mode) not in seconds or (faster, mode) not in seconds or slower == faster:
        return None
    pairs = zip(seconds[slower, mode], seconds[faster, mode], strict=True)
    return Spread.of([one / other for one, other in pairs])


def _nothing() -> None:
    """A CPU has nothing to wait for."""


if __name__ == "__main__":
    run(parse())
