"""From labelled files to a model folder: `ironwok train classify|pairs|choice|reading`.

::

    labelled files -> corpus: checked, reported; a part held out; the labels
                   -> rows: windows of what is long
                   -> run: steps, evaluations, the best model, checkpoints
                   -> out/model, out/metrics.jsonl, out/result.json, out/curves.png

Every batch and dropout draw is a function of (seed, step), and a checkpoint holds weights, their running mean and the
optimizer's state: a run killed at any moment continues to the same numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from ironwok.errors import CheckpointError, DataError, DataWarning, InputError, MissingHeadError
from ironwok.models import DEFAULT_MODEL, load_model, resolve_model
from ironwok.models.convert import first_line
from ironwok.models.loading import quiet, read_config, read_released
from ironwok.students.tuned.examples import TASKS, ReadingExample
from ironwok.students.tuned.models import auto_class
from ironwok.students.tuned.network import Network
from ironwok.students.tuned.rows import Encoded
from ironwok.training.extraction.curves import check_matplotlib, draw_where_wanted
from ironwok.training.progress import Progress, Silent
from ironwok.training.supervised import RunContext, TrainResult, carry_out, open_run
from ironwok.training.tuning.data import Corpus, Problem, read_corpus
from ironwok.training.tuning.examples import Batches, right_answers, right_places
from ironwok.training.tuning.run import TuningRun
from ironwok.training.tuning.settings import TuneSettings, load_settings
from ironwok.zero_shot.loading import tokenizer_of

_SHORTEST_LIMIT = 16  # tokens: an answer may be so long, however short those that were learnt from
_SCORES = "accuracy|macro_f1|f1|exact"


def train_tuned(
    task: str,
    *,
    train: Path,
    out: Path,
    dev: Path | None = None,
    model: str = DEFAULT_MODEL,
    fields: Mapping[str, str] | None = None,
    encoding: str | None = None,
    settings: TuneSettings | None = None,
    resume: bool = False,
    curves: bool | None = None,
    device: str | None = None,
    on_problem: Callable[[Problem], None] | None = None,
    on_note: Callable[[str], None] = lambda note: None,
    progress: Progress | None = None,
) -> TrainResult:
    """Fine-tune an encoder for "classify", "pairs", "choice" or "reading", or continue the run at ``out``.

    train, dev: labelled examples, .jsonl, .json, .csv or .tsv; without ``dev`` a tenth of the others is held out.
    fields: part of an example -> field of the records, for parts whose field has another name than the usual ones.
    model: the encoder to start from, by bundled name, folder or hub id; or the model of an earlier run.
    resume: continue from the newest checkpoint at ``out``, if there is one; nothing but the device may have changed.
    curves: draw ``curves.png``; None draws it where matplotlib is installed.
    on_problem: told of every record that is left out. on_note: of what goes on all the same and ought to be known.
    Returns when nothing gets better, when all steps are done or, after SIGTERM or SIGINT, when a checkpoint is written.
    Raises DataError, InputError, SchemaChangedError (other labels than those of the run), CheckpointError,
    MissingHeadError, OutputError, MissingExtraError, and what loading a model raises. Warns with DataWarning of
    examples that are not used.
    """
    if task not in TASKS:
        raise InputError(f"task {task!r} is none of {', '.join(TASKS)}")
    settings = settings or load_settings(task)
    progress = progress or Silent()
    if curves:
        check_matplotlib()
    open_run(out, resume=resume)
    corpus = read_corpus(
        task, train=train, dev=dev, named=fields, encoding=encoding, seed=settings.seed, on_problem=on_problem
    )
    torch.manual_seed(settings.seed)
    network, fresh = make_network(task, model, labels=corpus.labels, settings=settings)
    identity = {
        "task": task,
        "labels": list(corpus.labels),
        "model": model,
        "fields": dict(fields or {}),
        "settings": settings.to_dict(),
        "data": corpus.digest,
    }
    run = _prepare(corpus, network, fresh, settings, RunContext(out, identity, progress, device))
    for note in corpus.notes:
        on_note(note)
    result = carry_out(run, resume=resume)
    draw_where_wanted(out, f"ironwok train {task}", curves, scores=_SCORES, called="scores")
    return result


def make_network(
    task: str, model: str, *, labels: tuple[str, ...], settings: TuneSettings
) -> tuple[Network, list[str]]:
    """An encoder with the head of a task, and the names of the weights that it did not bring, which are random.

    A head for multiple choice begins as the next-sentence head, where there is one: it has learnt which of two
    sentences goes with a text.
    Raises as loading a model does, MissingHeadError for a family of models without such a head.
    """
    source = resolve_model(model)
    auto = auto_class(task)
    options: dict[str, Any] = {}
    if labels:
        names = dict(enumerate(labels))
        options = {"id2label": names, "label2id": {label: number for number, label in names.items()}}
        options["num_labels"] = len(labels)
    released = read_released(source)
    config = released[0] if released is not None else read_config(source)
    if type(config) not in auto._model_mapping:
        raise MissingHeadError(f"{model} is a {config.model_type!r} model, and that family has no head for {task!r}")
    dropouts = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    options |= {name: settings.dropout for name in dropouts if hasattr(config, name)}
    for name, value in options.items():
        setattr(config, name, value)
    where, state = (None, released[1]) if released is not None else (source, None)
    builder = auto._model_mapping[type(config)] if released is not None else auto
    try:
        with quiet():
            network, report = builder.from_pretrained(
                where,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **({} if state is None else {"state_dict": state}),
            )
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(f"the weights of {model} cannot be loaded: {first_line(error)}") from error
    fresh = sorted({*report["missing_keys"], *(str(one[0]) for one in report["mismatched_keys"])})
    _check_encoder(network, fresh, model)
    if task == "choice" and "classifier.weight" in fresh:
        _begin_as_next_sentence(network, model)
    return Network(network, tokenizer_of(source), task=task, max_tokens=settings.max_tokens), fresh


def _check_encoder(network: Any, fresh: list[str], model: str) -> None:
    prefix = f"{network.base_model_prefix}."
    absent = [name for name in fresh if name.startswith(prefix) and "pooler" not in name]
    if absent:
        raise CheckpointError(
            f"{model} lacks {len(absent)} weights of a {type(network).__name__}, the first is {absent[0]}: it is "
            "damaged, or of another architecture than its config.json says"
        )


def _begin_as_next_sentence(network: Any, model: str) -> None:
    try:
        pretrained: Any = load_model(model, head="nsp")
        head = pretrained.cls.seq_relationship.weight
    except (MissingHeadError, AttributeError):
        return
    with torch.no_grad():
        network.classifier.weight.copy_((head[0] - head[1])[None])
        if network.classifier.bias is not None:
            network.classifier.bias.zero_()


def _prepare(
    corpus: Corpus,
    network: Network,
    fresh: list[str],
    settings: TuneSettings,
    context: RunContext,
) -> TuningRun:
    progress, total = context.progress, len(corpus.train) + len(corpus.dev)
    encoded = network.encode(
        corpus.train,
        most_windows=settings.train_windows,
        on_example=lambda done: progress.busy("examples", done=done, total=total),
    )
    dev = network.encode(
        corpus.dev, on_example=lambda done: progress.busy("examples", done=len(corpus.train) + done, total=total)
    )
    limit = network.scorer.max_tokens
    if encoded.long or dev.long:
        corpus.notes.append(_long(corpus.task, encoded.long + dev.long, limit, settings.train_windows))
    longest = _SHORTEST_LIMIT
    if corpus.task == "reading":
        right, longest = _places(corpus, encoded)
    else:
        right = right_answers(corpus.train, corpus.labels)
    batches = Batches(
        encoded,
        right,
        by_row=corpus.task == "reading",
        batch_tokens=settings.batch_tokens,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
    return TuningRun(network, corpus, batches, settings, context, fresh=fresh, dev=dev, longest_answer=longest)


def _long(task: str, count: int, limit: int, windows: int) -> str:
    what = {
        "classify": f"read in windows; training looks at the first {windows} of each",
        "pairs": "the longer of the two loses its end",
        "choice": "the passage loses its end",
        "reading": "read in windows that overlap",
    }[task]
    return f"{count} examples are longer than {limit} tokens: {what} (--set max_tokens=N, at most what the model takes)"


def _places(corpus: Corpus, encoded: Encoded) -> tuple[np.ndarray, int]:
    """The right places of all rows, and how many tokens an answer may have."""
    questions = [example for example in corpus.train if isinstance(example, ReadingExample)]
    right, lost = right_places(questions, encoded)
    if len(lost) == sum(bool(question.answers) for question in questions):
        raise DataError("no answer fits into a window: raise max_tokens (--set max_tokens=N)")
    if lost:
        warnings.warn(
            f"{len(lost)} answers are longer than a window holds, the first: {questions[lost[0]].question:.40}: their "
            "passages count as without an answer",
            DataWarning,
            stacklevel=4,
        )
    lengths = right[:, 1] - right[:, 0] + 1
    return right, max(_SHORTEST_LIMIT, int(lengths.max()))
