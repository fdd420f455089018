"""Pretraining from scratch: masked-LM and next-sentence prediction, one process or many.

Every batch, mask and dropout draw is a function of (seed, step, process), and a checkpoint holds weights and both
optimizers' states: a run killed at any moment continues to the same numbers.
"""

from __future__ import annotations

import json
import math
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedTokenizerFast

from ironwok.errors import CheckpointError, DataError, OutputError, RecipeError
from ironwok.models import RoFormerV2Config, RoFormerV2ForPreTraining
from ironwok.models.bundled import resolve_model
from ironwok.text.tokenizer import SPECIAL_TOKENS, load_tokenizer, train_tokenizer, wrap_tokenizer
from ironwok.training.checkpoints import list_checkpoints, read_state, save_checkpoint, truncate_metrics
from ironwok.training.corpus import Source, Store, build_store, read_source
from ironwok.training.embeddings import cooccurrences, ppmi_svd
from ironwok.training.evaluation import (
    SHORT,
    best_threshold,
    inputs_of,
    masked_accuracy,
    next_sentence_accuracy,
    overlap_scores,
    token_idf,
)
from ironwok.training.labelled import LabelledPool, LabelledTask
from ironwok.training.masking import mask_whole_words
from ironwok.training.optimizers import alpha, learning_rate_share, make_optimizers
from ironwok.training.pairs import IS_NEXT, PairBatch, PairOptions, PairSampler, Template
from ironwok.training.recipe import PretrainRecipe


class Progress(Protocol):
    """Where a run reports to; the command line draws bars, the library is silent."""

    def preparing(self, what: str, done: int) -> None: ...

    def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None: ...

    def evaluated(self, step: int, metrics: dict[str, float]) -> None: ...


class Silent:
    """Reports nothing."""

    def preparing(self, what: str, done: int) -> None: ...

    def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None: ...

    def evaluated(self, step: int, metrics: dict[str, float]) -> None: ...


@dataclass(frozen=True, slots=True)
class PretrainResult:
    """Where the model is, how far it came, and the last evaluation."""

    folder: Path
    step: int
    tokens: int
    metrics: dict[str, float]
    finished: bool


def pretrain(
    recipe: PretrainRecipe,
    *,
    data: Path,
    out: Path,
    resume: bool = False,
    store: Path | None = None,
    initial: Path | None = None,
    progress: Progress | None = None,
) -> PretrainResult:
    """Run a recipe, or continue the run at ``out``.

    data: folder that the recipe's file patterns are relative to.
    store: where the tokenized corpus is kept, ``out/store`` if not given; several runs may share one.
    initial: folder of a model to start from instead of random weights.
    resume: continue from the newest checkpoint at ``out``. The optimizer, evaluation and checkpoint sections of the
        recipe may have changed since (a longer run, a final decay), the rest may not.
    Returns when all steps are done or, after SIGTERM or SIGINT, when a checkpoint is written.
    Raises RecipeError for a recipe that contradicts the run or the data, DataError, CheckpointError, OutputError.
    """
    progress = progress or Silent()
    accelerator = Accelerator(mixed_precision="bf16" if recipe.precision == "bf16" else "no", cpu=not _has_gpu())
    out.mkdir(parents=True, exist_ok=True)
    checkpoints = list_checkpoints(out)
    if checkpoints and not resume:
        raise OutputError(f"{out} holds a run at {checkpoints[-1].name}: pass resume (--resume) or name another folder")
    sources = find_sources(recipe, data)
    tokenizer = _tokenizer(recipe, sources, out, accelerator)
    with accelerator.main_process_first():
        corpus = build_store(
            sources,
            store or out / "store",
            tokenizer=tokenizer,
            held_out=recipe.held_out,
            on_progress=lambda name, characters: progress.preparing(name, characters),
        )
    run = _Run(recipe, corpus, tokenizer, accelerator, out, labelled=_labelled(recipe, data, tokenizer))
    if resume and checkpoints:
        run.restore(checkpoints[-1])
    else:
        run.start(progress, initial)
    return run.train(progress)


def find_sources(recipe: PretrainRecipe, data: Path) -> list[Source]:
    """The recipe's sources with their files. Raises RecipeError for a pattern that matches nothing, unless optional."""
    sources = []
    for source in recipe.sources:
        files = [path for pattern in source.files for path in sorted(data.glob(pattern)) if path.is_file()]
        if not files:
            if source.optional:
                continue
            raise RecipeError(f"source {source.name}: nothing in {data} matches {', '.join(source.files)}")
        sources.append(Source(source.name, tuple(files), tuple(source.fields)))
    if not sources:
        raise RecipeError(f"none of the {len(recipe.sources)} sources of the recipe is in {data}")
    return sources


def _has_gpu() -> bool:
    return torch.cuda.is_available()


def _tokenizer(
    recipe: PretrainRecipe, sources: list[Source], out: Path, accelerator: Accelerator
) -> PreTrainedTokenizerFast:
    if recipe.tokenizer.source != "train":
        return load_tokenizer(resolve_model(recipe.tokenizer.source))
    folder = out / "tokenizer"
    with accelerator.main_process_first():
        if not (folder / "tokenizer.json").exists():
            texts = (paragraph for source in sources for document in read_source(source) for paragraph in document)
            largest_alphabet = max(recipe.tokenizer.vocab_size * 2 // 3, 100)
            trained = train_tokenizer(
                texts,
                vocab_size=recipe.tokenizer.vocab_size,
                min_frequency=recipe.tokenizer.min_frequency,
                largest_alphabet=largest_alphabet,
            )
            wrap_tokenizer(trained).save_pretrained(folder)
    return load_tokenizer(folder)


def _labelled(recipe: PretrainRecipe, data: Path, tokenizer: PreTrainedTokenizerFast) -> LabelledPool | None:
    tasks = []
    for task in recipe.labelled:
        files = tuple(path for pattern in task.files for path in sorted(data.glob(pattern)))
        if not files:
            raise RecipeError(f"labelled task {task.name}: nothing in {data} matches {', '.join(task.files)}")
        tasks.append(
            LabelledTask(
                task.name,
                files,
                task.weight,
                task.form,
                tuple(task.fields),
                label=task.label,
                labels=tuple((raw, tuple(phrases)) for raw, phrases in task.labels.items()),
                positive=tuple(task.positive),
                negative=tuple(task.negative),
                templates=tuple(task.templates),
            )
        )
    return LabelledPool(tasks, tokenizer) if tasks else None


def load_weights(model: nn.Module, folder: Path) -> None:
    """Copy the weights of a saved model of the same shape. Raises CheckpointError when they do not fit."""
    try:
        weights = load_file(folder / "model.safetensors")
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: its weights cannot be loaded into this model ({error})") from error
    # tied to the embeddings, hence not stored twice
    lacking = [name for name in missing if name != "cls.predictions.decoder.weight" and "branch_scale" not in name]
    if lacking or unexpected:
        raise CheckpointError(
            f"{folder}: its weights are of another model (missing {lacking}, unexpected {unexpected})"
        )


class _Run:
    """One run: what it needs, its state, and how the state goes to disk and comes back."""

    def __init__(
        self,
        recipe: PretrainRecipe,
        corpus: Store,
        tokenizer: PreTrainedTokenizerFast,
        accelerator: Accelerator,
        out: Path,
        *,
        labelled: LabelledPool | None,
    ) -> None:
        self.recipe, self.corpus, self.tokenizer, self.accelerator, self.out = (
            recipe,
            corpus,
            tokenizer,
            accelerator,
            out,
        )
        self.vocabulary = len(tokenizer)
        options = _pair_options(recipe, tokenizer)
        self.sampler = self._sampler(
            options, tokens=recipe.optimizer.tokens_per_batch, seed=recipe.seed, labelled=labelled
        )
        torch.manual_seed(recipe.seed)
        known = {"vocab_size": self.vocabulary, "next_sentence_weight": recipe.optimizer.next_sentence_weight}
        self.config = RoFormerV2Config(**{**recipe.model, **known})
        self.model: nn.Module = RoFormerV2ForPreTraining(self.config)
        self.muon, self.adamw = make_optimizers(self.model, recipe.optimizer)
        self.evaluations = self._evaluations(options)
        self.idf = token_idf(corpus, vocabulary=self.vocabulary)
        self.step = 0
        self.tokens = 0
        self.stopped = False

    def _sampler(
        self,
        options: PairOptions,
        *,
        tokens: int,
        seed: int,
        held_out: bool = False,
        labelled: LabelledPool | None = None,
    ) -> PairSampler:
        present = set(self.corpus.source_names)
        return PairSampler(
            self.corpus,
            source_weights={s.name: s.weight for s in self.recipe.sources if s.name in present},
            tokens_per_batch=tokens,
            cls_id=_id(self.tokenizer, "cls"),
            sep_id=_id(self.tokenizer, "sep"),
            pad_id=_id(self.tokenizer, "pad"),
            seed=seed,
            options=options,
            held_out=held_out,
            labelled=labelled,
        )

    def _evaluations(self, options: PairOptions) -> dict[str, list[PairBatch]]:
        """Held-out pairs by kind and length; their negatives come from other documents of the same source."""
        shapes = {"full": ("next", 128), "short": ("next", SHORT), "near": ("next", 128)}
        shapes |= {kind: (kind, 64) for kind in ("heading", "keyword") if options.kinds.get(kind, 0)}
        rows = 64
        batches: dict[str, list[PairBatch]] = {}
        for name, (kind, length) in shapes.items():
            own = PairOptions(
                kinds={kind: 1.0},
                lengths=((length, 1.0),),
                same_document=1.0 if name == "near" else 0.0,
                any_source=0.0,
                inside=options.inside,
                templates=options.templates,
                separator=options.separator,
            )
            try:
                sampler = self._sampler(own, tokens=rows * length, seed=self.recipe.seed + 1, held_out=True)
                count = max(self.recipe.evaluation.pairs // rows, 1)
                batches[name] = [sampler.batch(number) for number in range(count)]
            except DataError:
                if name == "full":
                    raise  # too little text was held out to judge anything
        return batches

    def start(self, progress: Progress, initial: Path | None) -> None:
        """A fresh run: embeddings from co-occurrences or a whole model, then the objects that accelerate wraps."""
        if initial is not None:
            load_weights(self.model, initial)
        elif self.recipe.embeddings.tokens:
            progress.preparing("embeddings", 0)
            counts = cooccurrences(
                self.corpus,
                vocabulary=self.vocabulary,
                window=self.recipe.embeddings.window,
                tokens=self.recipe.embeddings.tokens,
                seed=self.recipe.seed,
            )
            weight = self.model.get_input_embeddings().weight  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
            std = float(weight.detach().std())
            with torch.no_grad():
                weight.copy_(ppmi_svd(counts, width=weight.shape[1], std=std, seed=self.recipe.seed))
        (self.out / "metrics.jsonl").unlink(missing_ok=True)
        self._wrap()

    def restore(self, checkpoint: Path) -> None:
        """Continue from a checkpoint. Raises CheckpointError when it is damaged or of another run."""
        state = read_state(checkpoint)
        if state.get("fingerprint") != self._fingerprint():
            raise CheckpointError(
                f"{checkpoint} was made with another model, tokenizer, corpus, pairs, masking or seed: "
                "restore the recipe or start anew in another folder"
            )
        try:
            load_weights(self.model, checkpoint)
            optimizers = torch.load(checkpoint / "optimizers.pt", weights_only=True)
            self.muon.load_state_dict(optimizers["muon"])
            self.adamw.load_state_dict(optimizers["adamw"])
        except (OSError, RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"{checkpoint} cannot be read ({error}): delete it to continue from the one before it"
            ) from error
        self.step, self.tokens = state["step"], state["tokens"]
        truncate_metrics(self.out / "metrics.jsonl", last_step=self.step)
        self._wrap()

    def _wrap(self) -> None:
        self.model, self.muon, self.adamw = self.accelerator.prepare(self.model, self.muon, self.adamw)

    def _fingerprint(self) -> str:
        fixed = self.recipe.model_dump(
            include={"seed", "held_out", "model", "pairs", "masking", "embeddings", "labelled"}
        )
        return json.dumps([fixed, self.corpus.meta["identity"]], sort_keys=True, ensure_ascii=False)

    @property
    def bare(self) -> RoFormerV2ForPreTraining:
        return self.accelerator.unwrap_model(self.model)

    def train(self, progress: Progress) -> PretrainResult:
        total = self.recipe.optimizer.steps
        metrics: dict[str, float] = {}
        began, tokens_then, saved = time.monotonic(), self.tokens, self.step
        self.model.train()
        with (
            self._writers() as write,
            ThreadPoolExecutor(1) as ahead,
            _stop_on_signals(self._stop),
        ):
            upcoming = ahead.submit(self._batch, self.step)
            while self.step < total and not self._agreed_to_stop():
                batch = upcoming.result()
                upcoming = ahead.submit(self._batch, self.step + 1)
                metrics = self._train_step(batch)
                self.step += 1
                speed = (self.tokens - tokens_then) / (time.monotonic() - began)
                progress.stepped(self.step, total=total, tokens_per_second=speed, metrics=metrics)
                write(self.step, {**metrics, "tokens": self.tokens})
                if self.step % self.recipe.evaluation.every == 0 or self.step == total:
                    results = self.evaluate()
                    progress.evaluated(self.step, results)
                    write(self.step, results)
                if self.step % self.recipe.checkpoint_every == 0:
                    self._save()
                    saved = self.step
            if saved != self.step:
                self._save()
        results = self.evaluate()
        finished = self.step >= total
        if self.accelerator.is_main_process:
            self.bare.save_pretrained(self.out / "model")
            self.tokenizer.save_pretrained(self.out / "model")
        return PretrainResult(self.out / "model", self.step, self.tokens, results, finished)

    def _batch(self, step: int) -> tuple[PairBatch, np.ndarray, np.ndarray]:
        rank = self.accelerator.process_index
        batch = self.sampler.batch(step, rank=rank)
        masking = self.recipe.masking
        masked, labels = mask_whole_words(
            batch.input_ids,
            batch.continues,
            batch.maskable,
            generator=np.random.default_rng((self.recipe.seed, 1, step, rank)),
            rate=masking.rate,
            mask_id=_id(self.tokenizer, "mask"),
            vocabulary=self.vocabulary,
            first_ordinary_id=len(SPECIAL_TOKENS),
            row_rate=masking.row_rate,
            multiple=64,
        )
        return batch, masked, labels

    def _train_step(self, prepared: tuple[PairBatch, np.ndarray, np.ndarray]) -> dict[str, float]:
        batch, masked, labels = prepared
        recipe, device = self.recipe.optimizer, self.accelerator.device
        torch.manual_seed(hash((self.recipe.seed, self.step, self.accelerator.process_index)) & 0x7FFFFFFF)
        share = learning_rate_share(self.step, recipe)
        for optimizer, rate in ((self.muon, recipe.muon_lr), (self.adamw, recipe.adamw_lr)):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        scale = alpha(self.step, recipe)
        if self.bare.config.branch_scale != scale:
            self.bare.set_branch_scale(scale)
        inputs = inputs_of(batch, device) | {"input_ids": torch.from_numpy(masked).to(device)}
        with self.accelerator.autocast():
            output = self.model(
                **inputs,
                labels=torch.from_numpy(labels).to(device),
                next_sentence_label=torch.from_numpy(batch.next_sentence_label).to(device),
            )
        self.accelerator.backward(output.loss)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), recipe.clip)
        if norm is not None and not math.isfinite(float(norm)):
            raise RecipeError(
                f"step {self.step}: the gradient is not finite; lower optimizer.muon_lr ({recipe.muon_lr}) and "
                f"optimizer.adamw_lr ({recipe.adamw_lr}) and resume"
            )
        for optimizer in (self.muon, self.adamw):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.tokens += int(batch.attention_mask.sum()) * self.accelerator.num_processes
        follows = output.seq_relationship_logits.detach().argmax(-1).cpu().numpy() == batch.next_sentence_label
        return {
            "loss": float(output.loss.detach()),
            "mlm_loss": float(output.mlm_loss.detach()),
            "nsp_loss": float(output.nsp_loss.detach()),
            "nsp_accuracy": float(follows.mean()),
            "gradient_norm": float(norm) if norm is not None else 0.0,
            "learning_rate_share": share,
        }

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Held-out metrics of the unwrapped model: masked-LM, and NSP by kind beside the overlap baseline."""
        model, device = self.bare, self.accelerator.device
        model.eval()
        results: dict[str, float] = {}
        with self.accelerator.autocast():
            for name, batches in self.evaluations.items():
                # each half is judged by the threshold fitted on the other
                half = len(batches) // 2
                thresholds = [self._threshold(part) for part in (batches[half:] or batches, batches[:half] or batches)]
                reports = [
                    next_sentence_accuracy(model, part, idf=self.idf, threshold=threshold, device=device)
                    for part, threshold in zip((batches[:half], batches[half:]), thresholds, strict=True)
                    if part
                ]
                pairs = sum(report.pairs for report in reports)
                results[f"nsp_{name}"] = sum(report.accuracy * report.pairs for report in reports) / pairs
                results[f"overlap_{name}"] = sum(report.overlap * report.pairs for report in reports) / pairs
            accuracy, loss = masked_accuracy(
                model,
                self.evaluations["full"],
                device=device,
                rate=0.15,
                mask_id=_id(self.tokenizer, "mask"),
                vocabulary=self.vocabulary,
                first_ordinary_id=len(SPECIAL_TOKENS),
                seed=self.recipe.seed,
            )
        model.train()
        return {"mlm_accuracy": accuracy, "mlm_held_out_loss": loss, **results}

    def _threshold(self, batches: list[PairBatch]) -> float:
        scores = np.concatenate([overlap_scores(batch, self.idf) for batch in batches])
        follows = np.concatenate([batch.next_sentence_label == IS_NEXT for batch in batches])
        return best_threshold(scores, follows)

    def _save(self) -> None:
        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:
            return

        def write(folder: Path) -> None:
            self.bare.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            torch.save(
                {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()},
                folder / "optimizers.pt",
            )

        save_checkpoint(self.out, self.step, write, state={"tokens": self.tokens, "fingerprint": self._fingerprint()})

    def _stop(self) -> None:
        self.stopped = True

    def _agreed_to_stop(self) -> bool:
        """A signal may reach one process only: all stop when any was told to."""
        if self.accelerator.num_processes == 1:
            return self.stopped
        flag = torch.tensor([int(self.stopped)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, reduction="sum").item())  # pyright: ignore[reportAttributeAccessIssue]

    @contextmanager
    def _writers(self) -> Iterator[Callable[[int, dict[str, float]], None]]:
        """Metrics go to metrics.jsonl and TensorBoard as they come, from the main process alone."""
        if not self.accelerator.is_main_process:
            yield lambda step, metrics: None
            return
        from torch.utils.tensorboard import SummaryWriter

        with (
            (self.out / "metrics.jsonl").open("a", encoding="utf-8", buffering=1) as lines,
            SummaryWriter(str(self.out / "tensorboard"), purge_step=self.step + 1) as board,
        ):

            def write(step: int, metrics: dict[str, float]) -> None:
                lines.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in metrics.items()}}) + "\n")
                for name, value in metrics.items():
                    board.add_scalar(name, value, step)

            yield write


@contextmanager
def _stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM ask for a checkpoint and an end; a second one gets the usual treatment."""

    def handle(number: int, frame: Any) -> None:
        stop()
        signal.signal(number, previous[signal.Signals(number)])

    try:
        previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are the caller's business
        yield
        return
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _id(tokenizer: PreTrainedTokenizerFast, name: str) -> int:
    number = getattr(tokenizer, f"{name}_token_id")
    if number is None:
        raise RecipeError(f"the tokenizer has no {name} token")
    return int(number)


def _pair_options(recipe: PretrainRecipe, tokenizer: PreTrainedTokenizerFast) -> PairOptions:
    def ids(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids) if text else ()

    pairs = recipe.pairs
    templates = tuple(Template(ids(before), ids(after)) for before, after in (t.split("{}") for t in pairs.templates))
    return PairOptions(
        kinds=pairs.kinds,
        lengths=tuple(pairs.lengths),
        shortest=pairs.shortest,
        same_document=pairs.same_document,
        any_source=pairs.any_source,
        inside=pairs.inside,
        clause_cut=pairs.clause_cut,
        swap=pairs.swap,
        templates=templates,
        separator=(ids("、") or (None,))[0],
    )
