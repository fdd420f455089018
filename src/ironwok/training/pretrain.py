"""Pretraining from scratch: masked-LM and next-sentence prediction, one process or many.

Every batch, mask and dropout draw is a function of (seed, step, process), and a checkpoint holds weights and both
optimizers' states: a run killed at any moment continues to the same numbers.

::

    recipe + data -> preparation: sources, tokenizer, store, samplers, held-out pairs
                  -> run: steps, evaluations, checkpoints -> a model folder
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs

from ironwok.errors import OutputError
from ironwok.training.checkpoints import list_checkpoints, write_text_atomically
from ironwok.training.contamination_report import FILE, write_report
from ironwok.training.corpus import build_store
from ironwok.training.preparation import (
    evaluation_files,
    find_initial,
    find_sources,
    labelled_pool,
    labelled_tasks,
    make_folder,
    make_tokenizer,
    model_config,
    pair_options,
    task_sampler,
)
from ironwok.training.progress import Progress, Silent
from ironwok.training.recipe import PretrainRecipe
from ironwok.training.run import PretrainResult, Run

__all__ = ["PretrainResult", "pretrain"]

# Processes wait for one of them to tokenize the corpus, which takes longer than collectives like to wait.
_PATIENCE = timedelta(hours=12)


def pretrain(
    recipe: PretrainRecipe,
    *,
    data: Path,
    out: Path,
    resume: bool = False,
    store: Path | None = None,
    initial: str | Path | None = None,
    against: Sequence[Path] = (),
    progress: Progress | None = None,
) -> PretrainResult:
    """Run a recipe, or continue the run at ``out``.

    data: folder that the recipe's file patterns are relative to.
    store: where the tokenized corpus is kept, ``out/store`` if not given; several runs may share one.
    initial: a model to start from instead of random weights, a folder or a bundled name; not looked at when continuing.
    resume: continue from the newest whole checkpoint at ``out``, if there is one. The optimizer, evaluation and
        checkpoint keys of the recipe may have changed since (a longer run, a final decay), the rest may not.
    against: files of evaluation texts, besides those of the recipe. Where there are any, the training texts are
        compared with them first: ``contamination.json`` in ``out`` and in the folder of the model.
    progress: told by the main process alone.
    Returns when all steps are done or, after SIGTERM or SIGINT, as soon as a checkpoint is written (``finished`` says
    which).
    Raises RecipeError for a recipe that contradicts itself or the run, DataError, CheckpointError, OutputError. Warns
    with DataWarning of data that is not used, with CheckpointWarning of a damaged checkpoint that is passed over.
    """
    accelerator = Accelerator(
        mixed_precision="no",
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )
    if progress is None or not accelerator.is_main_process:
        progress = Silent()
    make_folder(out)
    checkpoints = list_checkpoints(out)
    if checkpoints and not resume:
        raise OutputError(f"{out} holds a run at {checkpoints[-1].name}: pass resume (--resume) or name another folder")
    sources = find_sources(recipe, data)
    evaluation = list(dict.fromkeys([*evaluation_files(recipe, data), *against]))
    with accelerator.main_process_first():
        tokenizer = make_tokenizer(recipe, sources, out, progress=progress)
    # what can be wrong with the recipe comes before the hours that a corpus may take
    config, options = model_config(recipe, tokenizer), pair_options(recipe, tokenizer)
    start = None if initial is None or checkpoints else find_initial(initial, recipe, config, tokenizer)
    labelled = labelled_pool(recipe, data, tokenizer, progress=progress)
    tasks = task_sampler(recipe, data, tokenizer, progress=progress)
    if evaluation and accelerator.is_main_process:
        write_report(
            out,
            sources=sources,
            tasks=labelled_tasks(recipe, data),
            files=evaluation,
            fields=recipe.contamination.fields,
            near=recipe.contamination.near,
            progress=progress,
        )
    with accelerator.main_process_first():
        corpus = build_store(
            sources, store or out / "store", tokenizer=tokenizer, held_out=recipe.held_out, progress=progress
        )
    run = Run(
        recipe,
        config=config,
        options=options,
        store=corpus,
        tokenizer=tokenizer,
        labelled=labelled,
        tasks=tasks,
        accelerator=accelerator,
        out=out,
        progress=progress,
    )
    if checkpoints:
        run.restore(checkpoints)
    else:
        run.start(start)
    result = run.train()
    if evaluation and result.finished and accelerator.is_main_process:
        write_text_atomically(result.folder / FILE, (out / FILE).read_text(encoding="utf-8"))
    return result
