"""One pretraining run: its state, its steps, and how the state goes to disk and comes back."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from ironwok.errors import CheckpointError, CheckpointWarning, DamagedCheckpointError, DataWarning, RecipeError
from ironwok.models import RoFormerV2Config, RoFormerV2ForPreTraining, RoFormerV2ForPreTrainingOutput
from ironwok.models.devices import pick_dtype
from ironwok.models.loading import read_config
from ironwok.models.poolers import RoFormerV2MatchPooler, grow
from ironwok.models.task_heads import TaskHeads
from ironwok.training.checkpoints import UNREADABLE, read_state, replace_folder, save_checkpoint
from ironwok.training.corpus import Store
from ironwok.training.embeddings import cooccurrences, ppmi_svd
from ironwok.training.evaluation import inputs_of
from ironwok.training.labelled import LabelledPool
from ironwok.training.masking import mask_words
from ironwok.training.metrics import MetricsLog, truncate_metrics
from ironwok.training.mixture import mixed, outputs_of
from ironwok.training.optimizers import alpha, learning_rate_share, make_optimizers
from ironwok.training.pairs import PairBatch, PairOptions
from ironwok.training.preparation import draw_held_out, make_sampler, masking_options
from ironwok.training.progress import Progress
from ironwok.training.recipe import MixtureRecipe, PretrainRecipe
from ironwok.training.stopping import stop_on_signals
from ironwok.training.task_batches import TaskBatch, TaskJudge, TaskSampler, head_logits, head_loss

# What may not change when a run goes on. The optimizer, evaluation and checkpoint keys may: a longer run, a last decay.
_FIXED = {"seed", "held_out", "model", "pairs", "masking", "embeddings", "labelled", "mixture"}

_Prepared = tuple[PairBatch, np.ndarray, np.ndarray, list[TaskBatch]]  # batch, masked input_ids, labels, for the heads


@dataclass(frozen=True, slots=True)
class PretrainResult:
    """Where a run ended.

    folder: of the model: ``out/model`` when finished, else the newest checkpoint. tokens: seen in training, padding not
    counted. metrics: the last evaluation, empty if there was none. finished: False when it was told to stop before.
    """

    folder: Path
    step: int
    tokens: int
    metrics: dict[str, float]
    finished: bool


# what the pooler "matches" has more than "segments", from which it may go on
_GROWN = ("roformer.pooler.salience", "roformer.pooler.common.")


def load_weights(model: RoFormerV2ForPreTraining, folder: Path, *, growing: bool = False) -> bool:
    """Copy the weights of a saved model of the same shape; whether its pooler was a simpler one.

    growing: a simpler one may go on from there. Raises CheckpointError when the weights do not fit.
    """
    pooling = read_config(str(folder)).pooling if growing else model.config.pooling
    grown = pooling != model.config.pooling
    try:
        weights = load_file(folder / "model.safetensors")
        if grown:
            weights = grow(weights, model.config.pooling)
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: its weights cannot be loaded into this model ({error})") from error
    # tied to the embeddings, hence not stored twice
    lacking = [name for name in missing if name != "cls.predictions.decoder.weight" and "branch_scale" not in name]
    lacking = [name for name in lacking if not (grown and name.startswith(_GROWN))]
    if lacking or unexpected:
        raise CheckpointError(
            f"{folder}: its weights are of another model (missing {lacking}, unexpected {unexpected})"
        )
    return grown


class Run:
    """A run of a recipe on a store, in this process and those beside it. ``start`` or ``restore``, then ``train``."""

    def __init__(
        self,
        recipe: PretrainRecipe,
        *,
        config: RoFormerV2Config,
        options: PairOptions,
        store: Store,
        tokenizer: PreTrainedTokenizerFast,
        labelled: LabelledPool | None,
        tasks: TaskSampler | None,
        accelerator: Accelerator,
        out: Path,
        progress: Progress,
    ) -> None:
        self.recipe, self.store, self.tokenizer = recipe, store, tokenizer
        self.accelerator, self.out, self.progress = accelerator, out, progress
        self.rank, self.processes = accelerator.process_index, accelerator.num_processes
        fast = pick_dtype("auto", accelerator.device) == torch.bfloat16
        self.precision = ("bf16" if fast else "fp32") if recipe.precision == "auto" else recipe.precision
        tokens = recipe.optimizer.tokens_per_batch
        self.sampler = make_sampler(
            recipe, store, tokenizer, options, tokens=tokens, seed=recipe.seed, labelled=labelled
        )
        if self.sampler.unusable:
            self._warn(
                f"nothing is drawn from {', '.join(self.sampler.unusable)} (fewer than two documents of two clauses "
                "that no earlier source holds); their weight goes to the other sources",
                DataWarning,
            )
        self.masking = masking_options(recipe, tokenizer)
        # of about a ninth of the tokens, the labelled ones, an eighth at most may be dropped
        self.label_multiple = max(min(tokens // 72, 64), 1)
        self.held_out = draw_held_out(
            recipe, store, tokenizer, options, longest=config.max_position_embeddings, progress=progress
        )
        torch.manual_seed(recipe.seed)
        self.model: nn.Module = RoFormerV2ForPreTraining(config)
        self.tasks, heads = tasks, () if tasks is None else tasks.heads
        self.heads = TaskHeads(heads, config, seed=recipe.seed)
        self.judge = None if tasks is None else TaskJudge(tasks, most=recipe.evaluation.pairs)
        self.muon, self.adamw = make_optimizers(
            self.model, recipe.optimizer, beside=self.heads.parameters(), dtype=self._dtype
        )
        self.step = self.tokens = 0
        self.saved_step: int | None = None
        self.evaluation: dict[str, float] = {}
        self.evaluated_step = 0
        self.stopped = False
        self.log: MetricsLog | None = None

    # -- beginning -----------------------------------------------------------------------------------------------

    def start(self, initial: Path | None) -> None:
        """A fresh run: from a whole model (see ``find_initial``), from embeddings of co-occurrences, or neither."""
        fresh = initial is None or load_weights(self.bare, initial, growing=True)
        if initial is None and self.recipe.embeddings.tokens:
            self._start_embeddings()
        pooler = self.bare.roformer.pooler
        if fresh and isinstance(pooler, RoFormerV2MatchPooler):
            pooler.start(torch.from_numpy(self.held_out.idf).float(), self.tokenizer.all_special_ids)
        if initial is not None:
            self.heads.load(initial, partly=True)
        if self.accelerator.is_main_process:
            (self.out / "metrics.jsonl").unlink(missing_ok=True)
        self._wrap()

    def _start_embeddings(self) -> None:
        """Made by the main process, as they take memory and time; the others get a copy."""
        weight = self.model.get_input_embeddings().weight  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
        values = torch.empty_like(weight.detach())
        if self.accelerator.is_main_process:
            recipe = self.recipe.embeddings
            counts = cooccurrences(
                self.store,
                vocabulary=weight.shape[0],
                window=recipe.window,
                tokens=recipe.tokens,
                seed=self.recipe.seed,
                progress=self.progress,
            )
            self.progress.busy("embeddings", done=0, total=0, note="SVD")
            std = float(weight.detach().std())
            values.copy_(ppmi_svd(counts, width=weight.shape[1], std=std, seed=self.recipe.seed))
        values = broadcast(values.to(self.accelerator.device)).cpu()  # pyright: ignore[reportAttributeAccessIssue]
        with torch.no_grad():
            weight.copy_(values)

    def restore(self, checkpoints: Sequence[Path]) -> None:
        """Continue from the newest of ``checkpoints`` that is whole.

        A damaged one is passed over with a CheckpointWarning: going back further costs time and changes no number.
        Raises CheckpointError when none can be read, or when they are of another run.
        """
        for position, checkpoint in reversed(list(enumerate(checkpoints))):
            try:
                state = read_state(checkpoint)
                if self.recipe.precision == "auto":  # a run goes on as it began, on whatever machine
                    self.precision = state.get("precision", self.precision)
                    self.muon.dtype = self._dtype
                self._refuse_other_run(checkpoint, state)
                self._load(checkpoint, state)
                break
            except DamagedCheckpointError as error:
                if position == 0:
                    raise CheckpointError(
                        f"{error}; no other checkpoint is left in {self.out}: start anew in another folder"
                    ) from error
                self._warn(f"{error}; going on from {checkpoints[position - 1].name} instead", CheckpointWarning)
        if self.accelerator.is_main_process:
            truncate_metrics(self.out / "metrics.jsonl", last_step=self.step)
        self._wrap()

    def _load(self, checkpoint: Path, state: dict[str, Any]) -> None:
        try:
            load_weights(self.bare, checkpoint)
            if self.tasks is not None:
                self.heads.load(checkpoint)
            optimizers = torch.load(checkpoint / "optimizers.pt", weights_only=True)
            self.muon.load_state_dict(optimizers["muon"])
            self.adamw.load_state_dict(optimizers["adamw"])
            self.tokens = int(state["tokens"])
        except (CheckpointError, *UNREADABLE) as error:
            raise DamagedCheckpointError(f"{checkpoint}: cannot be read ({error})") from error
        self.step = self.saved_step = state["step"]
        # weights do not hold it, and an evaluation may come before the next step
        self.bare.set_branch_scale(alpha(max(self.step - 1, 0), self.recipe.optimizer))
        # Before evaluations were kept in the state, a step was always judged before it was saved.
        kept = state.get("evaluation") or {"step": self.step, "metrics": {}}
        self.evaluation, self.evaluated_step = kept["metrics"], kept["step"]

    def _fixed(self) -> list[Any]:
        return [self.recipe.model_dump(mode="json", include=_FIXED), self.store.meta["identity"]]

    def _weights(self) -> dict[str, float]:
        return {source.name: source.weight for source in self.recipe.sources}

    def _refuse_other_run(self, checkpoint: Path, state: dict[str, Any]) -> None:
        """Raise CheckpointError, naming what differs, for the checkpoint of another run."""
        now, identity = self._fixed()
        now |= {"precision": self.precision, "source_weights": self._weights()}
        try:
            then, then_identity = json.loads(state["fingerprint"])
            then.setdefault("mixture", MixtureRecipe().model_dump(mode="json"))  # before there was one
            # keys that the recipe has got since are taken as they are by default
            then = self.recipe.model_validate({**self.recipe.model_dump(mode="json"), **then}).model_dump(
                mode="json", include=_FIXED
            )
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise CheckpointError(f"{checkpoint} is not a checkpoint of a run like this one ({error})") from error
        then |= {key: state.get(key, now[key]) for key in ("precision", "source_weights")}
        differing = _differences(then, now)
        if then_identity != identity:
            differing.append("the corpus files or the tokenizer")
        if differing:
            raise CheckpointError(
                f"{checkpoint} was made with another recipe: {'; '.join(differing)}. Restore it, or start anew in "
                f"another folder (--initial {checkpoint} keeps the weights)"
            )

    def _wrap(self) -> None:
        self.heads.to(self.accelerator.device)
        self.model, self.muon, self.adamw = self.accelerator.prepare(self.model, self.muon, self.adamw)

    @property
    def bare(self) -> RoFormerV2ForPreTraining:
        """The model without what accelerate wraps around it."""
        return self.accelerator.unwrap_model(self.model)

    # -- going on ------------------------------------------------------------------------------------------------

    def train(self) -> PretrainResult:
        """All steps that are left, or as many as a signal lets us."""
        recipe, total = self.recipe, self.recipe.optimizer.steps
        began, tokens_then = time.monotonic(), self.tokens
        self.model.train()
        self.heads.train()
        with ExitStack() as stack:
            if self.accelerator.is_main_process:
                self.log = stack.enter_context(MetricsLog(self.out, first_step=self.step + 1))
            ahead = stack.enter_context(ThreadPoolExecutor(1))
            stack.enter_context(stop_on_signals(self._stop))
            if self._evaluation_due():  # a stop cut it short the last time
                self._evaluate()
            upcoming = ahead.submit(self._batch, self.step)
            while self.step < total and not self._agreed_to_stop():
                batch = upcoming.result()
                if self.step + 1 < total:
                    upcoming = ahead.submit(self._batch, self.step + 1)
                metrics = self._train_step(batch)
                self.step += 1
                speed = (self.tokens - tokens_then) / (time.monotonic() - began)
                self.progress.stepped(self.step, total=total, tokens_per_second=speed, metrics=metrics)
                self._write({**metrics, "tokens": self.tokens})
                if self._evaluation_due():
                    self._evaluate()
                if self.step % recipe.checkpoint_every == 0:
                    self._save()
            if self.saved_step != self.step:
                self._save()
        finished = self.step >= total and not self._evaluation_due()
        folder = self.out / "model" if finished else self.out / f"step-{self.step:09d}"
        if finished and self.accelerator.is_main_process:
            replace_folder(folder, self._write_model)
        self.accelerator.wait_for_everyone()
        return PretrainResult(folder, self.step, self.tokens, dict(self.evaluation), finished)

    def _batch(self, step: int) -> _Prepared:
        batch = self.sampler.batch(step, rank=self.rank)
        masked, labels = mask_words(
            batch.input_ids,
            batch.continues,
            batch.maskable,
            generator=np.random.default_rng((self.recipe.seed, 1, step, self.rank)),
            rate=self.recipe.masking.rate,
            mask_id=self.masking.mask_id,
            vocabulary=self.masking.vocabulary,
            first_ordinary_id=self.masking.first_ordinary_id,
            row_rate=self.recipe.masking.row_rate,
            multiple=self.label_multiple,
            unit=self.recipe.masking.unit,
        )
        count = self.recipe.mixture.tasks
        return batch, masked, labels, [] if self.tasks is None else self.tasks.draw(step, rank=self.rank, count=count)

    def _train_step(self, prepared: _Prepared) -> dict[str, float]:
        batch, masked, labels, for_heads = prepared
        recipe, device = self.recipe.optimizer, self.accelerator.device
        # dropout, like the batch, is a function of (seed, step, process)
        torch.manual_seed(int(np.random.SeedSequence((self.recipe.seed, 2, self.step, self.rank)).generate_state(1)[0]))
        share = learning_rate_share(self.step, recipe)
        for optimizer, rate in ((self.muon, recipe.muon_lr), (self.adamw, recipe.adamw_lr)):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        scale = alpha(self.step, recipe)
        if self.bare.config.branch_scale != scale:
            self.bare.set_branch_scale(scale)
        inputs = inputs_of(batch, device) | {"input_ids": torch.from_numpy(masked).to(device)}
        with self._autocast(), outputs_of(self.bare.roformer.encoder) as states:
            output = self.model(
                **inputs,
                labels=torch.from_numpy(labels).to(device),
                next_sentence_label=torch.from_numpy(batch.next_sentence_label).to(device),
            )
            losses = {
                self.heads.heads[own.task].name: head_loss(head_logits(self.bare.roformer, self.heads, own), own)
                for own in for_heads
            }
        loss, weights = self._mixed(output, losses, states)
        self.accelerator.backward(loss)
        self._share_heads()
        parameters = [*self.model.parameters(), *self.heads.parameters()]
        norm = float(self.accelerator.clip_grad_norm_(parameters, recipe.clip))  # pyright: ignore[reportArgumentType]
        if not math.isfinite(norm):
            saved = "no checkpoint is there yet" if self.saved_step is None else f"the last one is of {self.saved_step}"
            raise RecipeError(
                f"step {self.step + 1}: the gradient is not finite, the step was not made ({saved}); lower "
                f"optimizer.muon_lr ({recipe.muon_lr}) and optimizer.adamw_lr ({recipe.adamw_lr}) and resume"
            )
        for optimizer in (self.muon, self.adamw):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        right = output.seq_relationship_logits.detach().argmax(-1).cpu().numpy() == batch.next_sentence_label
        local = [float(loss.detach()) for loss in (output.loss, output.mlm_loss, output.nsp_loss)]
        of_heads = [float(loss.detach()) for loss in losses.values()]
        local[0] += self.recipe.mixture.head_weight * sum(of_heads)
        seen = sum(float(own.attention_mask.sum()) for own in (batch, *for_heads))
        figures = [*local, float(right.mean()), *of_heads, seen]
        sums = self._sum(torch.tensor(figures, dtype=torch.float64))
        self.tokens += int(sums[-1])
        names = ("loss", "mlm_loss", "nsp_loss", "nsp_accuracy", *(f"head_loss_{name}" for name in losses))
        means = {name: float(value) / self.processes for name, value in zip(names, sums, strict=False)}
        return {**means, **weights, "gradient_norm": norm, "learning_rate_share": share}

    def _mixed(
        self, output: RoFormerV2ForPreTrainingOutput, of_heads: dict[str, torch.Tensor], states: list[torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of a step, and the weight of each task in it where it is not plain next-sentence and masked words.

        states: what the encoder gave for the batch of pairs and for those of the heads.
        """
        recipe = self.recipe.mixture
        if output.loss is None or output.mlm_loss is None or output.nsp_loss is None:
            raise ValueError("the model was not given all labels")
        if recipe.method == "sum" and not of_heads:
            return output.loss, {}
        losses = {"mlm": output.mlm_loss, "nsp": output.nsp_loss} | {f"head_{n}": of_heads[n] for n in of_heads}
        priorities = dict.fromkeys(losses, recipe.head_weight)
        priorities |= {"mlm": 1.0, "nsp": self.recipe.optimizer.next_sentence_weight}
        last_block = self.bare.roformer.encoder.blocks[-1]
        loss, weights = mixed(
            losses,
            priorities,
            states if recipe.shared == "states" else list(last_block.parameters()),
            method=recipe.method,
            mean_of=lambda values: self._sum(values) / self.processes,
        )
        return loss, {f"weight_{name}": weight for name, weight in weights.items()}

    def _share_heads(self) -> None:
        """The mean of the heads' gradients over all processes; accelerate sees to those of the model alone."""
        if self.processes > 1:
            for parameter in self.heads.parameters():
                if parameter.grad is not None:
                    parameter.grad = self._sum(parameter.grad).to(parameter.device) / self.processes

    @property
    def _dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def _autocast(self) -> torch.autocast:
        # not accelerate's: its precision is one for all runs of a process
        enabled = self.precision == "bf16"
        return torch.autocast(self.accelerator.device.type, dtype=torch.bfloat16, enabled=enabled)

    def _sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        if self.processes == 1:
            return values
        return self.accelerator.reduce(values.to(self.accelerator.device), reduction="sum").cpu()  # pyright: ignore[reportAttributeAccessIssue]

    def _evaluation_due(self) -> bool:
        at = self.step % self.recipe.evaluation.every == 0 or self.step >= self.recipe.optimizer.steps
        return self.step > 0 and at and self.evaluated_step != self.step

    def _evaluate(self) -> None:
        """Judge the held-out pairs, unless a signal comes in between: then the run that goes on does it."""
        results = self.held_out.evaluate(
            self.bare,
            device=self.accelerator.device,
            autocast=self._autocast,
            share=(self.rank, self.processes),
            total_of=self._sum,
            stop=lambda: self.stopped,
            progress=self.progress,
        )
        if results is not None and self.judge is not None:
            of_heads = self.judge.evaluate(
                self.bare.roformer,
                self.heads,
                autocast=self._autocast,
                share=(self.rank, self.processes),
                total_of=self._sum,
                stop=lambda: self.stopped,
                progress=self.progress,
            )
            results = None if of_heads is None else results | of_heads
        if results is None:
            return
        self.evaluation, self.evaluated_step = results, self.step
        self.progress.evaluated(self.step, results)
        self._write(results)

    def _write(self, metrics: dict[str, float]) -> None:
        if self.log is not None:
            self.log.write(self.step, metrics)

    def _save(self) -> None:
        self.saved_step = self.step
        if not self.accelerator.is_main_process:
            return
        self.progress.busy("checkpoint", done=0, total=0)
        if self.log is not None:
            self.log.sync()

        def write(folder: Path) -> None:
            self._write_model(folder)
            try:
                torch.save({"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}, folder / "optimizers.pt")
            except RuntimeError as error:  # what torch.save makes of a full disk
                raise OSError(f"optimizers.pt: {error}") from error

        state = {
            "tokens": self.tokens,
            "evaluation": {"step": self.evaluated_step, "metrics": self.evaluation},
            "precision": self.precision,
            "source_weights": self._weights(),
            "fingerprint": json.dumps(self._fixed(), sort_keys=True, ensure_ascii=False),
        }
        save_checkpoint(self.out, self.step, write, state=state)

    def _write_model(self, folder: Path) -> None:
        with _quiet_saving():
            self.bare.save_pretrained(folder)
            if self.tasks is not None:
                self.heads.save(folder)
            self.tokenizer.save_pretrained(folder)

    def _stop(self) -> None:
        self.stopped = True

    def _agreed_to_stop(self) -> bool:
        """A signal may reach one process only: all stop when any was told to."""
        return bool(self._sum(torch.tensor([int(self.stopped)])).item())

    def _warn(self, message: str, category: type[Warning]) -> None:
        if self.accelerator.is_main_process:
            warnings.warn(message, category, stacklevel=3)


@contextmanager
def _quiet_saving() -> Iterator[None]:
    """Without the bar that transformers draws across ours."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _differences(then: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """``section.key was A, is B`` for whatever is not the same."""
    lines: list[str] = []
    for key in sorted(set(then) | set(now)):
        before, after = then.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key} was {before}, is {after}")
    return lines
