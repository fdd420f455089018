"""From annotated files to a model folder: `ironwok train`.

::

    schema + annotated texts -> corpus: checked, repaired or reported; a part held out; what a teacher adds
                             -> examples: windows with their right cells
                             -> run: steps, evaluations, the best model, checkpoints
                             -> out/model, out/metrics.jsonl, out/result.json, out/curves.png

Every batch and dropout draw is a function of (seed, step), and a checkpoint holds weights, their running mean and the
optimizer's state: a run killed at any moment continues to the same numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ironwok.errors import CheckpointError, DataWarning
from ironwok.events.classes import TaskClasses
from ironwok.events.formats import Problem
from ironwok.events.loading import load_extraction_model
from ironwok.events.schema import Schema
from ironwok.models import DEFAULT_MODEL, GPLinkerConfig, GPLinkerModel, resolve_model
from ironwok.models.loading import read_config
from ironwok.text.inputs import longest_input
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.extraction.curves import check_matplotlib, draw_where_wanted
from ironwok.training.extraction.data import Corpus, read_corpus, taught_texts
from ironwok.training.extraction.examples import Batches, make_examples
from ironwok.training.extraction.run import ExtractionRun
from ironwok.training.extraction.settings import TrainSettings
from ironwok.training.extraction.swapping import swapped_copies
from ironwok.training.progress import Progress, Silent
from ironwok.training.supervised import RunContext, TrainResult, carry_out, open_run

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def train_extraction(
    task: str,
    *,
    train: Path,
    out: Path,
    dev: Path | None = None,
    schema: Schema | str | Path | None = None,
    model: str = DEFAULT_MODEL,
    settings: TrainSettings | None = None,
    teacher: str | Path | None = None,
    unlabelled: Path | None = None,
    format: str | None = None,
    resume: bool = False,
    curves: bool | None = None,
    device: str | None = None,
    on_problem: Callable[[Problem], None] | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a model for "events", "entities" or "relations", or continue the run at ``out``.

    train, dev: annotated texts in any format of `ironwok.events.formats`; without ``dev`` a tenth of the others is held
    out. schema: a schema, its file or bundled name; None infers it from ``train``.
    model: the encoder to start from, by bundled name, folder or hub id; or a model for extraction, whose training goes
        on: its pointers are kept for the types and roles that both schemas have, if they are of the kind and width that
        ``settings`` ask for.
    teacher: a JSONL of annotations of unlabelled texts, or a model that annotates ``unlabelled`` first.
    resume: continue from the newest checkpoint at ``out``, if there is one; nothing but the device may have changed.
    curves: draw ``curves.png``; None draws it where matplotlib is installed.
    Returns when nothing gets better, when all steps are done or, after SIGTERM or SIGINT, when a checkpoint is written.
    Raises DataError, SchemaError, SchemaChangedError, CheckpointError, OutputError, MissingExtraError, and what loading
    a model raises. Warns with DataWarning of annotations that are not used.
    """
    settings = settings or TrainSettings()
    progress = progress or Silent()
    if curves:
        check_matplotlib()
    open_run(out, resume=resume)
    corpus = read_corpus(
        task, train=train, dev=dev, schema=schema, format=format, seed=settings.seed, on_problem=on_problem
    )
    if teacher is not None:
        corpus.taught = taught_texts(
            teacher, unlabelled=unlabelled, classes=corpus.classes, out=out, progress=progress, device=device
        )
    identity = {
        "task": task,
        "schema": corpus.classes.schema.fingerprint,
        "model": model,
        "settings": settings.to_dict(),
        "data": corpus.digest,
    }
    torch.manual_seed(settings.seed)
    tokenizer = tokenizer_of(model)
    network = _network(model, corpus.classes, settings)
    _set_dropout(network, settings.encoder_dropout)
    limit = longest_input(tokenizer, network.config.encoder)
    network.config.max_tokens = min(settings.max_tokens, limit)
    run = ExtractionRun(
        network,
        tokenizer,
        corpus,
        _batches(corpus, tokenizer, settings, max_tokens=network.config.max_tokens, progress=progress),
        settings,
        RunContext(out, identity, progress, device),
    )
    result = carry_out(run, resume=resume)
    draw_where_wanted(out, f"ironwok train {task}", curves)
    return result


def _network(model: str, classes: TaskClasses, settings: TrainSettings) -> GPLinkerModel:
    """A model to train. Raises as loading one does."""
    source = resolve_model(model)
    network = GPLinkerModel.from_encoder(source, **classes.config(), **_sizes(settings))
    released = Path(source).is_dir() and not (Path(source) / "config.json").is_file()  # an encoder of TensorFlow's
    if released or not isinstance(read_config(source), GPLinkerConfig):
        return network
    trained, _, known = load_extraction_model(source, device="cpu", dtype="float32")
    config = network.config
    sizes = (config.pointer, config.head_width, config.link_head_width)
    if known.task == classes.task and sizes == (
        trained.config.pointer,
        trained.config.head_width,
        trained.config.link_head_width,
    ):
        network.take_over(
            trained,
            spans={i: known.numbers[one] for i, one in enumerate(classes.spans) if one in known.numbers},
            links={i: known.links.index(one) for i, one in enumerate(classes.links) if one in known.links},
        )
    return network


def _sizes(settings: TrainSettings) -> dict[str, Any]:
    return {
        "pointer": settings.pointer,
        "head_width": settings.head_width,
        "link_head_width": settings.head_width,
        "head_dropout": settings.head_dropout,
    }


def _set_dropout(network: GPLinkerModel, share: float | None) -> None:
    """Dropout within the encoder, in attention too, for this training alone: nothing of it is saved."""
    if share is None:
        return
    for module in network.encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = share
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = share  # pyright: ignore[reportArgumentType]  # a plain number, no submodule


def _batches(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    *,
    max_tokens: int,
    progress: Progress,
) -> Batches:
    examples = []
    own = [*corpus.texts, *swapped_copies(corpus.texts, settings.swapped, seed=settings.seed)]
    total = len(own) + len(corpus.taught)
    for texts, taught in ((own, False), (corpus.taught, True)):
        begun = len(own) if taught else 0
        rows, misfits = make_examples(
            texts,
            corpus.classes,
            tokenizer,
            max_tokens=max_tokens,
            taught=taught,
            on_text=lambda done, begun=begun: progress.busy("examples", done=begun + done, total=total),
        )
        examples += rows
        if misfits.lost or misfits.alone or misfits.split:
            warnings.warn(
                f"{misfits.lost} spans hold no token and {misfits.alone} events nothing to be found by: not trained "
                f"on; {misfits.split} spans begin or end within a token: trained on with the whole token",
                DataWarning,
                stacklevel=3,
            )
    return Batches(
        examples,
        tokenizer,
        batch_tokens=settings.batch_tokens,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )


def tokenizer_of(model: str) -> PreTrainedTokenizerBase:
    """The tokenizer of an encoder, by bundled name, folder or hub id. Raises CheckpointError."""
    from transformers import AutoTokenizer

    source = resolve_model(model)
    if Path(source).is_dir() and (Path(source) / "tokenizer.json").exists():
        return load_tokenizer(source)
    try:
        return AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{source} has no tokenizer that can be read: {error}") from error
