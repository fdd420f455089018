"""One training run of an extraction model: its state, its steps, its evaluations, and how it survives a kill."""

# B texts, L tokens

from __future__ import annotations

import json
import pickle
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ironwok.errors import CheckpointError, CheckpointWarning, DamagedCheckpointError, SchemaChangedError
from ironwok.events.extractor import extractor_for, load_extractor
from ironwok.files import replace_file
from ironwok.models import GPLinkerModel
from ironwok.models.devices import pick_device, pick_dtype
from ironwok.models.loading import quiet
from ironwok.training.checkpoints import list_checkpoints, read_state, replace_folder, save_checkpoint
from ironwok.training.extraction.data import Corpus
from ironwok.training.extraction.examples import POINTERS, Batch, Batches
from ironwok.training.extraction.judge import judge, rank
from ironwok.training.extraction.settings import TrainSettings
from ironwok.training.extraction.thresholds import choose_thresholds
from ironwok.training.metrics import MetricsLog, truncate_metrics
from ironwok.training.progress import Progress
from ironwok.training.stopping import stop_on_signals

_SAVE_EVERY = 60.0  # seconds: what a kill costs at most
RESULT = "result.json"


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


class ExtractionRun:
    """A run in this process. ``start`` or ``restore``, then ``train``."""

    def __init__(
        self,
        model: GPLinkerModel,
        tokenizer: Any,
        corpus: Corpus,
        batches: Batches,
        settings: TrainSettings,
        *,
        out: Path,
        identity: dict[str, Any],
        progress: Progress,
        device: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = pick_device(device)
        self.model = model.to(self.device)  # pyright: ignore[reportArgumentType]
        self.tokenizer, self.corpus, self.batches, self.settings = tokenizer, corpus, batches, settings
        self.out, self.identity, self.progress, self.clock = out, identity, progress, clock
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

    def _make_optimizer(self) -> torch.optim.AdamW:
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, parameter in self.model.named_parameters():
            groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
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

    # -- beginning -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A fresh run."""
        (self.out / "metrics.jsonl").unlink(missing_ok=True)

    def restore(self) -> None:
        """Go on from the newest whole checkpoint; from the start where there is none.

        Raises CheckpointError for checkpoints of another run, SchemaChangedError for those of another schema.
        """
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
        if "schema" in changed:
            raise SchemaChangedError(
                f"the run in {self.out} was made with the schema {then.get('schema')}, this one is "
                f"{self.identity['schema']}: resume with the same schema, or train anew in another --out"
            )
        if changed:
            told = "; ".join(f"{key} was {then.get(key)!r}, is {self.identity[key]!r}" for key in changed)
            raise CheckpointError(
                f"the run in {self.out} was made with other choices ({told:.400}): resume with the same, or name "
                "another --out"
            )

    def _load(self, checkpoint: Path, state: dict[str, Any]) -> None:
        try:
            weights = load_file(checkpoint / "run.safetensors")
            self.model.load_state_dict({name: weights[f"model.{name}"] for name in self.model.state_dict()})
            for number, mean in enumerate(self.mean):
                mean.copy_(weights[f"mean.{number}"])
            self.optimizer.load_state_dict(torch.load(checkpoint / "optimizer.pt", weights_only=True))
            self.epoch, self.number, self.best = state["epoch"], state["number"], state["best"]
            self.since_best = state["since_best"]
        except (
            OSError,
            RuntimeError,
            KeyError,
            TypeError,
            ValueError,
            EOFError,
            SafetensorError,
            pickle.UnpicklingError,
        ) as error:
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
                tokens += int(batch.inputs["attention_mask"].sum())
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
            if finished and self.best is not None and self.settings.calibrate:
                self._choose_thresholds(log)
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

    def _next_batch(self) -> Batch:
        while self.number >= self.batches.count(self.epoch):
            self.epoch, self.number = self.epoch + 1, 0
        batch = self.batches.batch(self.epoch, self.number)
        self.number += 1
        return batch

    def _train_step(self, batch: Batch) -> dict[str, float]:
        # dropout, like the batches, is a function of (seed, step)
        torch.manual_seed(int(np.random.SeedSequence((self.settings.seed, 1, self.step)).generate_state(1)[0]))
        self.model.train()
        share = self.settings.share(self.step, self.steps)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(group["lr"])
            group["lr"] *= share
        inputs = {name: torch.from_numpy(array).to(self.device) for name, array in batch.inputs.items()}
        right = {
            f"right_{name}": torch.from_numpy(cells).to(self.device)
            for name, cells in zip(POINTERS, batch.right, strict=True)
        }
        weights = np.where(batch.taught, self.settings.teacher_weight, 1.0).astype(np.float32)
        with self._autocast():
            loss = self.model(**inputs, **right, weights=torch.from_numpy(weights).to(self.device)).loss
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        if self.mean:
            keep = min(self.settings.ema, (self.step + 1) / (self.step + 10))
            with torch.no_grad():
                for mean, parameter in zip(self.mean, self.model.parameters(), strict=True):
                    mean.lerp_(parameter, 1.0 - keep)
        return {"loss": loss.item(), "gradient_norm": norm.item(), "learning_rate_share": share}

    def _autocast(self) -> torch.autocast:
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
        texts = self.corpus.dev
        with self._mean_weights():
            extractor = extractor_for(self.model, self.tokenizer)
            found: list[Any] = []
            with self._autocast(), warnings.catch_warnings():
                # a model in its first steps finds far too much; a trained one is checked by those who use it
                warnings.simplefilter("ignore")
                for results in extractor.extract_iter(text.text for text in texts):
                    found.append(results)
                    self.progress.busy("evaluation", done=len(found), total=len(texts))
            metrics = judge(self.corpus.classes.task, found, texts)
            log.write(self.step, metrics)
            self.progress.evaluated(self.step, metrics)
            task = self.corpus.classes.task
            if self.best is None or rank(task, metrics) > rank(task, self.best["metrics"]):
                self.best, self.since_best = {"step": self.step, "metrics": metrics}, 0
                replace_folder(self.out / "model", self._write_model)
            else:
                self.since_best += 1

    def _choose_thresholds(self, log: MetricsLog) -> None:
        """Let the best model keep the thresholds with which it does best on the development texts."""
        assert self.best is not None
        folder, texts = self.out / "model", self.corpus.dev
        extractor = load_extractor(folder, device=str(self.device))
        with self._autocast(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options, metrics = choose_thresholds(
                extractor,
                texts,
                on_text=lambda done: self.progress.busy("evaluation", done=done, total=len(texts)),
            )
        config = extractor.model.config
        config.threshold, config.link_threshold = options.threshold or 0.0, options.link_threshold or 0.0
        replace_file(folder / "config.json", config.to_json_string().encode())
        self.best = {"step": self.best["step"], "metrics": metrics}
        self.progress.evaluated(self.step, metrics)
        log.write(self.step, {"threshold": config.threshold, "link_threshold": config.link_threshold})

    def _exhausted(self) -> bool:
        return bool(self.settings.patience) and self.since_best >= self.settings.patience

    def _write_model(self, folder: Path) -> None:
        with quiet():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

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
