"""One training run on labelled examples: its state, its steps, its evaluations, and how it survives a kill.

What is learnt is the business of subclasses: batches, the loss, how the model is judged.
"""

from __future__ import annotations

import json
import math
import shutil
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ironwok.errors import (
    CheckpointError,
    CheckpointWarning,
    DamagedCheckpointError,
    InputError,
    OutputError,
    SchemaChangedError,
)
from ironwok.files import replace_file, writing
from ironwok.models.devices import pick_device, pick_dtype
from ironwok.models.loading import quiet
from ironwok.training.checkpoints import UNREADABLE, list_checkpoints, read_state, replace_folder, save_checkpoint
from ironwok.training.metrics import MetricsLog, truncate_metrics
from ironwok.training.progress import Progress
from ironwok.training.settings import RunSettings
from ironwok.training.stopping import stop_on_signals

_SAVE_EVERY = 60.0  # seconds: what a kill costs at most
_SORTED_TOGETHER = 32  # batches: within so many, rows of similar length find each other
RESULT = "result.json"
STARTED = "run.json"


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Where a run ended.

    folder: of the best model. step: the last one; best_step: the one that the model is of. metrics: its figures on the
    development texts. finished: False when the run was told to stop before; resuming goes on.
    """

    folder: Path
    step: int
    best_step: int
    metrics: dict[str, float]
    finished: bool

    def to_dict(self) -> dict[str, Any]:
        return {"step": self.step, "best_step": self.best_step, "metrics": self.metrics}


class BatchSource(Protocol):
    """The batches of every epoch, each a function of the seed and the epoch alone."""

    def count(self, epoch: int = 0) -> int: ...

    def batch(self, epoch: int, number: int) -> Any: ...


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run is given besides what it learns, and from what.

    out: folder of the run. identity: all that shapes the numbers, as plain JSON; a resumed run must agree in it.
    device: picked where it is None. clock: seconds.
    """

    out: Path
    identity: dict[str, Any]
    progress: Progress
    device: str | None = None
    clock: Callable[[], float] = time.monotonic


class SupervisedRun(ABC):
    """A run in this process. ``start`` or ``restore``, then ``train``."""

    # what of the identity says which things are told apart; a change there is a SchemaChangedError of its own words
    schema_key: ClassVar[str] = "schema"
    schema_noun: ClassVar[str] = "schema"

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        batches: BatchSource,
        settings: RunSettings,
        context: RunContext,
    ) -> None:
        self.device = pick_device(context.device)
        self.model: Any = model.to(self.device)
        self.tokenizer, self.batches, self.settings = tokenizer, batches, settings
        self.out, self.identity = context.out, context.identity
        self.progress, self.clock = context.progress, context.clock
        self.steps = max(round(settings.epochs * batches.count()), settings.min_steps, 1)
        self.every = settings.evaluate_every or max(self.steps // max(round(settings.evaluations), 1), 1)
        self.bf16 = settings.precision == "bf16" or (
            settings.precision == "auto" and pick_dtype("auto", self.device) == torch.bfloat16
        )
        self.optimizer = self._make_optimizer()
        self.mean: list[Tensor] = (
            [parameter.detach().clone() for parameter in model.parameters()] if settings.ema else []
        )
        self.step = self.epoch = self.number = 0
        self.best: dict[str, Any] | None = None
        self.since_best = 0
        self.stopped = False
        self.saved_step = -1

    # -- what subclasses say -------------------------------------------------------------------------------------

    @abstractmethod
    def in_encoder(self, name: str) -> bool:
        """Whether a parameter was there before this training: it then learns at the encoder's pace."""

    @abstractmethod
    def tokens(self, batch: Any) -> int:
        """Tokens of a batch without padding."""

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Called with the model in training mode."""

    @abstractmethod
    def judge(self) -> dict[str, float]:
        """Figures of the model as it is on the development texts."""

    @abstractmethod
    def rank(self, metrics: dict[str, float]) -> tuple[float, ...]:
        """What to compare two evaluations by, the greater the better."""

    def conclude(self, log: MetricsLog) -> None:  # noqa: B027  # most runs have nothing left to do
        """What is left to do to the best model in ``out/model`` when all steps are done."""

    def write_model(self, folder: Path) -> None:
        with quiet():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

    # -- beginning -----------------------------------------------------------------------------------------------

    def _make_optimizer(self) -> torch.optim.AdamW:
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, parameter in self.model.named_parameters():
            groups.setdefault((self.in_encoder(name), parameter.ndim > 1), []).append(parameter)
        settings = self.settings
        return torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "lr": settings.learning_rate if encoder else settings.head_learning_rate,
                    "weight_decay": settings.weight_decay if matrix else 0.0,
                }
                for (encoder, matrix), parameters in groups.items()
            ],
            betas=(0.9, 0.98),
            fused=True,
        )

    def start(self) -> None:
        """A fresh run."""
        (self.out / "metrics.jsonl").unlink(missing_ok=True)
        self._note_start()

    def _note_start(self) -> None:
        # a run that is killed before its first checkpoint is a run, too
        content = json.dumps({"identity": self.identity}, ensure_ascii=False, indent=1) + "\n"
        replace_file(self.out / STARTED, content.encode())

    def restore(self) -> None:
        """Go on from the newest whole checkpoint; from the start where there is none.

        Raises CheckpointError for checkpoints of another run, SchemaChangedError for those of another schema.
        """
        if (begun := _recorded(self.out / STARTED)) is not None:
            self._refuse_other_run(begun)
        else:
            self._note_start()
        checkpoints = list_checkpoints(self.out)
        for position, checkpoint in reversed(list(enumerate(checkpoints))):
            try:
                state = read_state(checkpoint)
                self._refuse_other_run(state)
                self._load(checkpoint, state)
                break
            except DamagedCheckpointError as error:
                before = checkpoints[position - 1].name if position else "the beginning"
                warnings.warn(f"{error}; going on from {before} instead", CheckpointWarning, stacklevel=3)
        truncate_metrics(self.out / "metrics.jsonl", last_step=self.step)

    def _refuse_other_run(self, state: dict[str, Any]) -> None:
        then = state.get("identity", {})
        changed = [key for key in self.identity if then.get(key) != self.identity[key]]
        if (key := self.schema_key) in changed:
            raise SchemaChangedError(
                f"the run in {self.out} was made with the {self.schema_noun} {then.get(key)}, this one is "
                f"{self.identity[key]}: resume with the same {self.schema_noun}, or train anew in another --out"
            )
        if changed:
            told = "; ".join(_difference(key, then.get(key), self.identity[key]) for key in changed)
            raise CheckpointError(
                f"the run in {self.out} was made with other choices ({told:.400}): resume with the same, or name "
                "another --out"
            )

    def ended(self) -> TrainResult | None:
        """The result of the run in this folder, where it has come to its end. Raises as ``restore`` for another run."""
        record = _recorded(self.out / RESULT)
        if record is None:
            return None
        self._refuse_other_run(record)
        return TrainResult(self.out / "model", record["step"], record["best_step"], record["metrics"], True)

    def _load(self, checkpoint: Path, state: dict[str, Any]) -> None:
        try:
            weights = load_file(checkpoint / "run.safetensors")
            self.model.load_state_dict({name: weights[f"model.{name}"] for name in self.model.state_dict()})
            for number, mean in enumerate(self.mean):
                mean.copy_(weights[f"mean.{number}"])
            self.optimizer.load_state_dict(torch.load(checkpoint / "optimizer.pt", weights_only=True))
            self.epoch, self.number, self.best = state["epoch"], state["number"], state["best"]
            self.since_best = state["since_best"]
        except UNREADABLE as error:
            raise DamagedCheckpointError(f"{checkpoint}: cannot be read ({error})") from error
        self.step = self.saved_step = state["step"]

    # -- going on ------------------------------------------------------------------------------------------------

    def train(self) -> TrainResult:
        """All steps that are left, or until nothing gets better, or until a signal comes."""
        began, tokens = self.clock(), 0
        saved = began
        with MetricsLog(self.out, first_step=self.step + 1) as log, stop_on_signals(self._stop):
            while self.step < self.steps and not self._exhausted() and not self.stopped:
                batch = self._next_batch()
                metrics = self._train_step(batch)
                self.step += 1
                tokens += self.tokens(batch)
                speed = tokens / max(self.clock() - began, 1e-9)
                self.progress.stepped(self.step, total=self.steps, tokens_per_second=speed, metrics=metrics)
                log.write(self.step, metrics)
                if self.step % self.every == 0 or self.step == self.steps:
                    self._evaluate(log)
                if self.clock() - saved >= _SAVE_EVERY:
                    log.sync()
                    self._save()
                    saved = self.clock()
            finished = self.step >= self.steps or self._exhausted()
            if finished and self.best is not None:
                self.conclude(log)
            log.sync()
            if not finished and self.saved_step != self.step:
                self._save()
        best = self.best or {"step": 0, "metrics": {}}
        result = TrainResult(self.out / "model", self.step, best["step"], best["metrics"], finished)
        if finished:
            content = json.dumps({"identity": self.identity} | result.to_dict(), ensure_ascii=False, indent=1) + "\n"
            replace_file(self.out / RESULT, content.encode())
            for checkpoint in list_checkpoints(self.out):  # a quarter of a gigabyte that nobody needs any more
                shutil.rmtree(checkpoint, ignore_errors=True)
        return result

    def _next_batch(self) -> Any:
        while self.number >= self.batches.count(self.epoch):
            self.epoch, self.number = self.epoch + 1, 0
        batch = self.batches.batch(self.epoch, self.number)
        self.number += 1
        return batch

    def _train_step(self, batch: Any) -> dict[str, float]:
        # dropout, like the batches, is a function of (seed, step)
        torch.manual_seed(int(np.random.SeedSequence((self.settings.seed, 1, self.step)).generate_state(1)[0]))
        self.model.train()
        share = self.settings.share(self.step, self.steps)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(group["lr"])
            group["lr"] *= share
        with self.autocast():
            loss = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        if not math.isfinite(norm):
            saved = f"the last one is of step {self.saved_step}" if self.saved_step > 0 else "there is none yet"
            raise InputError(
                f"step {self.step + 1}: the gradient is not a number, the step was not made (checkpoints: {saved}); "
                f"lower learning_rate ({self.settings.learning_rate:g}) and head_learning_rate "
                f"({self.settings.head_learning_rate:g}) and train anew in another --out"
            )
        self.optimizer.step()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        if self.mean:
            keep = min(self.settings.ema, (self.step + 1) / (self.step + 10))
            with torch.no_grad():
                for mean, parameter in zip(self.mean, self.model.parameters(), strict=True):
                    mean.lerp_(parameter, 1.0 - keep)
        return {"loss": loss.item(), "gradient_norm": norm.item(), "learning_rate_share": share}

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    @contextmanager
    def _mean_weights(self) -> Iterator[None]:
        """The running mean in the place of the weights."""
        if not self.mean:
            yield
            return
        own = [parameter.detach().clone() for parameter in self.model.parameters()]
        self._put(self.mean)
        try:
            yield
        finally:
            self._put(own)

    def _put(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.model.parameters(), values, strict=True):
                parameter.copy_(value)

    def _evaluate(self, log: MetricsLog) -> None:
        with self._mean_weights():
            metrics = self.judge()
            log.write(self.step, metrics)
            self.progress.evaluated(self.step, metrics)
            if self.best is None or self.rank(metrics) > self.rank(self.best["metrics"]):
                self.best, self.since_best = {"step": self.step, "metrics": metrics}, 0
                replace_folder(self.out / "model", self.write_model)
            else:
                self.since_best += 1

    def _exhausted(self) -> bool:
        return bool(self.settings.patience) and self.since_best >= self.settings.patience

    def _save(self) -> None:
        self.progress.busy("checkpoint", done=0, total=0)

        def write(folder: Path) -> None:
            weights = {f"model.{name}": value for name, value in self.model.state_dict().items()}
            weights |= {f"mean.{number}": value for number, value in enumerate(self.mean)}
            save_file({name: value.contiguous() for name, value in weights.items()}, folder / "run.safetensors")
            try:
                torch.save(self.optimizer.state_dict(), folder / "optimizer.pt")
            except RuntimeError as error:  # what torch.save makes of a full disk
                raise OSError(f"optimizer.pt: {error}") from error

        state = {
            "epoch": self.epoch,
            "number": self.number,
            "best": self.best,
            "since_best": self.since_best,
            "identity": self.identity,
        }
        save_checkpoint(self.out, self.step, write, state=state, keep=1)
        self.saved_step = self.step

    def _stop(self) -> None:
        self.stopped = True


def open_run(out: Path, *, resume: bool) -> None:
    """Make the folder of a run. Raises OutputError where it holds a run that is not to be gone on with."""
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    if not resume and (list_checkpoints(out) or any((out / name).exists() for name in (RESULT, STARTED, "model"))):
        raise OutputError(f"{out} holds a run: pass resume (--resume) to go on with it, or name another folder")


def carry_out(run: SupervisedRun, *, resume: bool) -> TrainResult:
    """Begin or go on, and train; the stored result of a run that has ended already."""
    if resume and (done := run.ended()) is not None:
        return done
    if resume:
        run.restore()
    else:
        run.start()
    return run.train()


def _recorded(path: Path) -> dict[str, Any] | None:
    """What a run wrote of itself, None where it has not. Raises CheckpointError for a file that says nothing."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): name another --out") from error


def _difference(key: str, then: Any, now: Any) -> str:
    """What of a choice is another one; of settings only those that are."""
    if key == "data":
        return "the examples are others"
    if isinstance(then, dict) and isinstance(now, dict):
        names = [name for name in now if then.get(name) != now[name]]
        return "; ".join(f"{name} was {then.get(name)!r}, is {now[name]!r}" for name in names) or f"{key} changed"
    return f"{key} was {then!r}, is {now!r}"


def draw_batches(
    lengths: np.ndarray, generator: np.random.Generator, *, batch_size: int, batch_tokens: int
) -> list[np.ndarray]:
    """Indices of the examples in batches: shuffled, those of similar length put together, the batches shuffled again.

    lengths: tokens of each example. batch_size: examples in a batch at most; batch_tokens: padded tokens of it.
    """
    order = generator.permutation(len(lengths))
    batches: list[np.ndarray] = []
    chunk = max(batch_size * _SORTED_TOGETHER, 1)
    for start in range(0, len(order), chunk):
        rows = order[start : start + chunk]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        begin = 0
        while begin < len(rows):
            end = begin + 1
            while (
                end < len(rows) and end - begin < batch_size and (end - begin + 1) * lengths[rows[end]] <= batch_tokens
            ):
                end += 1
            batches.append(rows[begin:end])
            begin = end
    return [batches[i] for i in generator.permutation(len(batches))]
