"""Our pretraining loop beside the same loop written with `transformers.Trainer`: tokens a second, peak memory, losses.

    python benchmarks/training_loop.py --text FILE [--steps 40] [--repetitions 3] [--threads 1] [--workers 0] [--small]

The model, the optimizers and the batch of recipes/ironwok-small.toml, from random weights, on masked words and
next-sentence pairs of FILE (a paragraph a line, a blank line between documents, or .jsonl; also packed). Trainer is
given the same initial weights, the same batches, the same Muon and AdamW under the same schedule, clipping and warm-up
of the residual branches, the same precision and number of threads; it does not evaluate, save or log. Ours is
`ironwok.training.pretrain` as it is: it writes its figures after every step, to JSON lines and to TensorBoard, and
stops at a gradient that is not finite; its evaluation and its checkpoint come after the last step and are not measured.

Each run is a process of its own, on the processor; the two take turns, in another order each time, and ratios are
taken within a repetition. Tokens are those of the steps after --warmup, padding not counted. Peak memory is the largest
resident set of the process from its start to its last step. workers: of Trainer's data loader, 0 makes batches between
the steps (ours makes the next one in a thread beside them); the memory of a worker is not counted. With --small, a
model of 2 layers of 128. Runs that are recorded in --work are not made again. Fails where the losses of one step differ
by more than a ten-thousandth (bf16: a fiftieth).
Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset

from _table import carry_out, finish, show
from ironwok.errors import DataWarning, IronwokError
from ironwok.models import RoFormerV2ForPreTraining
from ironwok.models.devices import pick_dtype
from ironwok.models.roformer_v2 import RoFormerV2PreTrainedModel
from ironwok.training.corpus import build_store
from ironwok.training.evaluation import inputs_of
from ironwok.training.masking import mask_words
from ironwok.training.optimizers import alpha, learning_rate_share, make_optimizers
from ironwok.training.preparation import (
    find_sources,
    make_sampler,
    make_tokenizer,
    masking_options,
    model_config,
    pair_options,
)
from ironwok.training.pretrain import pretrain
from ironwok.training.progress import Silent
from ironwok.training.recipe import PretrainRecipe, load_recipe

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "ironwok-small.toml"
SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
SMALL_TOKENS = 1024
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2}  # of the losses, relative
PASSED = ("steps", "warmup", "threads", "workers", "precision", "batch_tokens")  # options of a run in its own process
NAMES = {"ironwok": "ironwok pretrain", "trainer": "transformers.Trainer"}


class NotTheSameError(IronwokError):
    """Both loops were to have the same losses, and have not: their speeds say nothing of each other."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one loop.

    losses: of every step. tokens, seconds, processor_seconds: of the steps after the warm-up. imported, peak: the
    largest resident set in bytes, before anything was loaded and up to the last step.
    """

    losses: list[float]
    tokens: int
    seconds: float
    processor_seconds: float
    imported: int
    peak: int


class Stopwatch:
    """Hears of the end of every step; takes the time from the last step of the warm-up to the last of all."""

    def __init__(self, *, warmup: int, steps: int) -> None:
        self._warmup, self._steps = warmup, steps
        self.imported, self.peak = peak_memory(), 0
        self._began = self._ended = (0.0, 0.0)

    def stepped(self, step: int) -> None:
        if step == self._warmup:
            self._began = time.perf_counter(), time.process_time()
        if step == self._steps:
            self._ended, self.peak = (time.perf_counter(), time.process_time()), peak_memory()

    def measured(self, losses: Sequence[float], tokens: Sequence[int]) -> Measured:
        """losses, tokens: of every step."""
        seconds, processor_seconds = (end - begin for begin, end in zip(self._began, self._ended, strict=True))
        behind = sum(tokens[self._warmup :])
        return Measured(list(losses), behind, seconds, processor_seconds, self.imported, self.peak)


def peak_memory() -> int:
    """The largest resident set of this process so far, bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # no Linux
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # not ru_maxrss: on Linux that starts at what the process had that started this one
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def recipe_of(options: argparse.Namespace) -> PretrainRecipe:
    """The recipe of the shipped weights, cut to some steps on one text: its schedule is passed through as a whole."""
    steps = options.steps
    recipe = load_recipe(RECIPE).model_dump()
    recipe["sources"] = [{"name": "text", "files": [options.text.name], "weight": 1.0}]
    recipe |= {"precision": options.precision, "checkpoint_every": steps, "held_out": 0.05}
    recipe["embeddings"] |= {"tokens": 0}
    recipe["evaluation"] |= {"every": steps, "pairs": 16}
    recipe["optimizer"] |= {"steps": steps, "warmup_steps": steps // 4, "alpha_warmup_steps": steps // 2}
    if options.small:
        recipe["model"] |= SMALL
        recipe["optimizer"] |= {"tokens_per_batch": SMALL_TOKENS}
    if options.batch_tokens:
        recipe["optimizer"] |= {"tokens_per_batch": options.batch_tokens}
    return PretrainRecipe.model_validate(recipe)


# -- ours ----------------------------------------------------------------------------------------------------------


class _Listening(Silent):
    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch
        self.losses: list[float] = []

    def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None:
        self.losses.append(metrics["loss"])
        self._watch.stepped(step)


def run_ironwok(recipe: PretrainRecipe, data: Path, work: Path, *, store: Path, warmup: int, workers: int) -> Measured:
    """Our loop. workers: always the one thread that it has."""
    watch = Stopwatch(warmup=warmup, steps=recipe.optimizer.steps)
    listening = _Listening(watch)
    pretrain(recipe, data=data, out=work, store=store, progress=listening)
    lines = [json.loads(line) for line in (work / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    totals = [0, *(line["tokens"] for line in lines if "tokens" in line)]
    return watch.measured(listening.losses, np.diff(totals).tolist())


# -- the same with Trainer -----------------------------------------------------------------------------------------


class Batches(Dataset):
    """The batches of a recipe, item n the one of step n, as the model takes them."""

    def __init__(self, recipe: PretrainRecipe, data: Path, work: Path, *, store: Path) -> None:
        sources = find_sources(recipe, data)
        self.recipe, self.tokenizer = recipe, make_tokenizer(recipe, sources, work, progress=Silent())
        corpus = build_store(sources, store, tokenizer=self.tokenizer, held_out=recipe.held_out)
        tokens = recipe.optimizer.tokens_per_batch
        options = pair_options(recipe, self.tokenizer)
        self._sampler = make_sampler(recipe, corpus, self.tokenizer, options, tokens=tokens, seed=recipe.seed)
        self._masking = masking_options(recipe, self.tokenizer)
        self._label_multiple = max(min(tokens // 72, 64), 1)

    def __len__(self) -> int:
        return self.recipe.optimizer.steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        batch = self._sampler.batch(step)
        masked, labels = mask_words(
            batch.input_ids,
            batch.continues,
            batch.maskable,
            generator=np.random.default_rng((self.recipe.seed, 1, step, 0)),
            rate=self.recipe.masking.rate,
            mask_id=self._masking.mask_id,
            vocabulary=self._masking.vocabulary,
            first_ordinary_id=self._masking.first_ordinary_id,
            row_rate=self.recipe.masking.row_rate,
            multiple=self._label_multiple,
        )
        return inputs_of(batch) | {
            "input_ids": torch.from_numpy(masked),
            "labels": torch.from_numpy(labels),
            "next_sentence_label": torch.from_numpy(batch.next_sentence_label),
        }


class Together(torch.optim.Optimizer):
    """Several optimizers as one, which is what Trainer takes."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        super().__init__([p for part in parts for group in part.param_groups for p in group["params"]], {})
        self.parts = parts
        self._share()

    def _share(self) -> None:
        # the very groups of the parts: a schedule that changes these changes those
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for part in self.parts:
            part.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share()


def run_trainer(recipe: PretrainRecipe, data: Path, work: Path, *, store: Path, warmup: int, workers: int) -> Measured:
    """The loop of transformers."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    watch = Stopwatch(warmup=warmup, steps=recipe.optimizer.steps)
    batches = Batches(recipe, data, work, store=store)
    losses: list[torch.Tensor] = []
    tokens: list[int] = []

    class PretrainingTrainer(Trainer):
        def get_train_dataloader(self) -> DataLoader:
            return DataLoader(batches, batch_size=None, num_workers=workers)

        def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
            found = super().compute_loss(model, inputs, *args, **kwargs)
            losses.append((found[0] if isinstance(found, tuple) else found).detach())
            tokens.append(int(inputs["attention_mask"].sum()))
            return found

    class EachStep(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            encoder: RoFormerV2PreTrainedModel = kwargs["model"]
            encoder.set_branch_scale(alpha(state.global_step, recipe.optimizer))

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            watch.stepped(state.global_step)

    torch.manual_seed(recipe.seed)
    model = RoFormerV2ForPreTraining(model_config(recipe, batches.tokenizer))
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    optimizer = Together(*make_optimizers(model, recipe.optimizer, dtype=dtype))
    schedule = LambdaLR(optimizer, lambda step: learning_rate_share(step, recipe.optimizer))
    settings = TrainingArguments(
        output_dir=str(work),
        max_steps=recipe.optimizer.steps,
        max_grad_norm=recipe.optimizer.clip,
        bf16=recipe.precision == "bf16",
        use_cpu=True,
        seed=recipe.seed,
        dataloader_num_workers=workers,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    PretrainingTrainer(
        model=model,
        args=settings,
        train_dataset=batches,
        optimizers=(optimizer, schedule),
        callbacks=[EachStep()],
    ).train()
    return watch.measured([float(loss) for loss in losses], tokens)


LOOPS = {"ironwok": run_ironwok, "trainer": run_trainer}


# -- both ----------------------------------------------------------------------------------------------------------


def greatest_difference(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two curves of losses, relative; infinite where they have not the same number of steps."""
    if len(one) != len(other):
        return float("inf")
    return max(abs(a - b) / abs(a) for a, b in zip(one, other, strict=True))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="file of running text")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=5, help="steps before the clock starts (default: 5)")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="of Trainer's data loader (default: 0)")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="as recipes have it")
    parser.add_argument("--batch-tokens", type=int, default=0, help="padding counted; 0 for the recipe's own (6,144)")
    parser.add_argument("--small", action="store_true", help="a smaller model in smaller batches, to try this out")
    parser.add_argument("--seed", type=int, default=0, help="of the order")
    parser.add_argument(
        "--work", type=Path, help="folder of the tokenized text and the runs (default: a temporary one)"
    )
    parser.add_argument("--only", choices=LOOPS, help="one loop, in this process; prints what was measured")
    options = parser.parse_args(arguments)
    if not 0 < options.warmup < options.steps:
        parser.error(f"--warmup {options.warmup} must be positive and below --steps {options.steps}")
    if options.precision == "auto":  # found once, so that no run finds something else
        options.precision = "bf16" if pick_dtype("auto", torch.device("cpu")) == torch.bfloat16 else "fp32"
    return options


def measure_here(options: argparse.Namespace, work: Path) -> Measured:
    torch.set_num_threads(options.threads)
    recipe = recipe_of(options)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(dir=work) as own:
        warnings.simplefilter("ignore", DataWarning)  # kinds of pairs that the text does not have
        return LOOPS[options.only](
            recipe, options.text.parent, Path(own), store=work / "store", warmup=options.warmup, workers=options.workers
        )


def measure_apart(name: str, options: argparse.Namespace, work: Path) -> Measured:
    """In a process of its own."""
    command = [sys.executable, __file__, "--only", name, "--work", str(work), "--text", str(options.text)]
    for key in PASSED:
        command += [f"--{key.replace('_', '-')}", str(getattr(options, key))]
    command += ["--small"] if options.small else []
    # Both would take a graphics card, and this measures the memory of the processor.
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, text=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def run(options: argparse.Namespace, work: Path) -> None:
    """All of it, or with --only what is asked for. Raises NotTheSameError."""
    work.mkdir(parents=True, exist_ok=True)
    if options.only:
        print(json.dumps(asdict(measure_here(options, work))), flush=True)
        return
    recipe = recipe_of(options)
    sources = find_sources(recipe, options.text.parent)
    # before the first run, which would else be the one that tokenizes
    tokenizer = make_tokenizer(recipe, sources, work, progress=Silent())
    build_store(sources, work / "store", tokenizer=tokenizer, held_out=recipe.held_out)
    record = work / "results.jsonl"
    kept = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    setting = [options.text.name, *(getattr(options, name) for name in PASSED), options.small]
    runs: dict[str, list[Measured]] = {name: [] for name in LOOPS}
    order, names = random.Random(options.seed), list(LOOPS)
    for repetition in range(options.repetitions):
        # the first order is drawn, the others alternate
        names = order.sample(names, len(names)) if repetition == 0 else names[::-1]
        for name in names:
            key = [*setting, repetition, name]
            found = next((Measured(**one["measured"]) for one in kept if one["key"] == key), None)
            if found is None:
                found = measure_apart(name, options, work)
                with record.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, "measured": asdict(found)}) + "\n")
            runs[name].append(found)
            rate = found.tokens / found.seconds
            print(f"{name}: {rate:.0f} tokens/s, {found.peak / 2**20:.0f} MiB", file=sys.stderr, flush=True)
    apart = max(
        greatest_difference(ours.losses, theirs.losses)
        for ours, theirs in zip(runs["ironwok"], runs["trainer"], strict=True)
    )
    report(options, recipe, runs, apart)
    if not apart <= (allowed := TOLERANCE[options.precision]):
        raise NotTheSameError(f"the losses differ by {apart:.1e}, {allowed:.0e} is allowed: not the same loop")


def report(options: argparse.Namespace, recipe: PretrainRecipe, runs: dict[str, list[Measured]], apart: float) -> None:
    columns = ("", "tokens/s", "times Trainer", "tokens/processor s", "times", "peak MiB", "times", "after imports")
    rows, line = [], {}
    quantities: dict[str, Callable[[Measured], float]] = {
        "tokens_per_second": lambda one: one.tokens / one.seconds,
        "tokens_per_processor_second": lambda one: one.tokens / one.processor_seconds,
        "peak_mib": lambda one: one.peak / 2**20,
    }
    for name, own in runs.items():
        row: list[Any] = [NAMES[name]]
        line[name] = {"imported_mib": round(statistics.median(one.imported for one in own) / 2**20, 1)}
        for key, value in quantities.items():
            ratios = [value(one) / value(other) for one, other in zip(own, runs["trainer"], strict=True)]
            median, ratio = statistics.median(map(value, own)), statistics.median(ratios)
            row += [f"{median:,.0f}", f"{ratio:.3f}"]
            line[name] |= {key: round(median, 1), f"{key}_times": round(ratio, 4)}
            line[name] |= {f"{key}_all": [round(value(one), 1) for one in own]}
        rows.append([*row, f"{line[name]['imported_mib']:,.0f}"])
    first, last = runs["ironwok"][0].losses[0], runs["ironwok"][0].losses[-1]
    same = f"differ by {apart:.1e} at most" if apart else "are the same in every step"
    show(
        f"Training loops: {recipe.model['num_hidden_layers']} layers of {recipe.model['hidden_size']}, batches of "
        f"{recipe.optimizer.tokens_per_batch} tokens, {options.precision}, {options.threads} threads, "
        f"{options.steps} steps, {options.repetitions} repetitions",
        columns,
        rows,
        notes=[
            "medians; ratios within a repetition",
            f"losses, from {first:.3f} to {last:.3f}, {same} (relative; {TOLERANCE[options.precision]:.0e} is allowed)",
        ],
    )
    finish(
        {
            "benchmark": "training_loop",
            "model": recipe.model,
            "batch_tokens": recipe.optimizer.tokens_per_batch,
            "precision": options.precision,
            "threads": options.threads,
            "workers": options.workers,
            "steps": options.steps,
            "warmup": options.warmup,
            "repetitions": options.repetitions,
            "torch": torch.__version__,
            "losses_differ": apart,
            "losses": [round(first, 4), round(last, 4)],
            "results": line,
        }
    )


if __name__ == "__main__":
    sys.exit(carry_out(run, parse()))
