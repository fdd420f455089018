"""From a recipe and a folder of data to what a run is made of: sources, tokenizer, model shape, samplers, pairs."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from transformers import PreTrainedTokenizerFast

from ironwok.errors import CheckpointError, DataError, DataWarning, OutputError, RecipeError
from ironwok.models import RoFormerV2Config
from ironwok.models.bundled import resolve_model
from ironwok.models.loading import read_config
from ironwok.models.poolers import GROWN_FROM
from ironwok.text.tokenizer import load_tokenizer, train_tokenizer, wrap_tokenizer
from ironwok.training.checkpoints import replace_folder
from ironwok.training.corpus import Packer, Store
from ironwok.training.evaluation import ROWS, HeldOut, MaskingOptions, held_out_options, token_idf
from ironwok.training.files import Source, read_source
from ironwok.training.labelled import LabelledPool, LabelledTask
from ironwok.training.pairs import PairBatch, PairOptions, PairSampler, Template
from ironwok.training.progress import Progress
from ironwok.training.recipe import PretrainRecipe
from ironwok.training.task_batches import TaskSampler

_TRAINED_ON = "trained_on.json"
# What a recipe says elsewhere, or what changes during the run.
_NOT_IN_MODEL = {
    "vocab_size": "the tokenizer decides",
    "next_sentence_weight": "use optimizer.next_sentence_weight",
    "branch_scale": "use optimizer.alpha_warmup_steps",
    "pad_token_id": "the tokenizer decides",
}


def find_sources(recipe: PretrainRecipe, data: Path) -> list[Source]:
    """The recipe's sources with their files. Raises DataError for files that are not there, unless optional."""
    sources = []
    for source in recipe.sources:
        files = _matching(data, source.files, what=f"source {source.name}")
        if not files:
            if source.optional:
                continue
            raise DataError(f"source {source.name}: nothing in {data} matches {', '.join(source.files)}")
        sources.append(Source(source.name, files, tuple(source.fields)))
    if not sources:
        raise DataError(f"none of the {len(recipe.sources)} sources of the recipe is in {data}")
    return sources


def _matching(data: Path, patterns: list[str], *, what: str) -> tuple[Path, ...]:
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; it is where the files that the recipe names should lie")
    try:
        files = [path for pattern in patterns for path in sorted(data.glob(pattern)) if path.is_file()]
    except ValueError as error:
        raise RecipeError(f"{what}: {', '.join(patterns)}: not a pattern for files ({error})") from error
    return tuple(dict.fromkeys(files))


def make_tokenizer(
    recipe: PretrainRecipe, sources: list[Source], out: Path, *, progress: Progress
) -> PreTrainedTokenizerFast:
    """The tokenizer that the recipe names, or one trained on the sources and kept in ``out/tokenizer``.

    Raises RecipeError when that folder holds one that was trained on something else.
    """
    if recipe.tokenizer.source != "train":
        return load_tokenizer(resolve_model(recipe.tokenizer.source))
    folder = out / "tokenizer"
    facts = {
        "vocab_size": recipe.tokenizer.vocab_size,
        "min_frequency": recipe.tokenizer.min_frequency,
        "files": [[file.name, size] for s in sources for file, size in zip(s.files, s.sizes(), strict=True)],
    }
    if not (folder / "tokenizer.json").exists():
        _train_tokenizer(folder, facts, sources, progress)
    elif _trained_on(folder) not in (None, facts):
        raise RecipeError(
            f"{folder} holds a tokenizer trained on other files or for another size: "
            "delete it, or name another folder for this run"
        )
    return load_tokenizer(folder)


def _trained_on(folder: Path) -> dict[str, Any] | None:
    """What a tokenizer was trained on; None where nobody wrote it down."""
    file = folder / _TRAINED_ON
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def _train_tokenizer(folder: Path, facts: dict[str, Any], sources: list[Source], progress: Progress) -> None:
    done, total = 0, sum(size for _, size in facts["files"])

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress.busy("tokenizer", done=done, total=total)

    texts = (text for source in sources for document in read_source(source, on_bytes=tell) for text in document)
    trained = train_tokenizer(
        texts,
        vocab_size=facts["vocab_size"],
        min_frequency=facts["min_frequency"],
        largest_alphabet=max(facts["vocab_size"] * 2 // 3, 100),
    )

    def write(building: Path) -> None:
        wrap_tokenizer(trained).save_pretrained(building)
        (building / _TRAINED_ON).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    replace_folder(folder, write)


def special_id(tokenizer: PreTrainedTokenizerFast, name: str) -> int:
    """The id of the "cls", "sep", "pad" or "mask" token. Raises RecipeError for a tokenizer without it."""
    number = getattr(tokenizer, f"{name}_token_id")
    if number is None:
        raise RecipeError(f"the tokenizer has no {name} token: pretraining needs [CLS], [SEP], [PAD] and [MASK]")
    return int(number)


def masking_options(recipe: PretrainRecipe, tokenizer: PreTrainedTokenizerFast) -> MaskingOptions:
    """How tokens are masked. Random tokens are drawn behind the special ones, which stand first in a vocabulary."""
    first = max(tokenizer.all_special_ids) + 1
    return MaskingOptions(
        mask_id=special_id(tokenizer, "mask"),
        vocabulary=len(tokenizer),
        first_ordinary_id=first if first < len(tokenizer) // 2 else 0,
        seed=recipe.seed,
    )


def model_config(recipe: PretrainRecipe, tokenizer: PreTrainedTokenizerFast) -> RoFormerV2Config:
    """The model's configuration. Raises RecipeError for keys that it does not have, ConfigError for contradictions."""
    known = set(RoFormerV2Config.__annotations__) - {"model_type"}
    for key in recipe.model:
        if key in _NOT_IN_MODEL:
            raise RecipeError(f"model.{key} is not for recipes: {_NOT_IN_MODEL[key]}")
        if key not in known:
            raise RecipeError(f"model.{key}: no such key; there are {', '.join(sorted(known - set(_NOT_IN_MODEL)))}")
    wanted = get_type_hints(RoFormerV2Config, localns={"torch": torch})  # its base class names types of torch
    for key, value in recipe.model.items():
        try:
            TypeAdapter(wanted[key], config={"strict": True}).validate_python(value)
        except ValidationError as error:
            names = getattr(wanted[key], "__name__", None) or str(wanted[key])
            raise RecipeError(f"model.{key} is {value!r:.40}: {names.replace(' | None', '')} is needed") from error
    config = RoFormerV2Config(
        **recipe.model,
        vocab_size=len(tokenizer),
        pad_token_id=special_id(tokenizer, "pad"),
        next_sentence_weight=recipe.optimizer.next_sentence_weight,
    )
    longest = max(length for length, _ in recipe.pairs.lengths)
    if longest > config.max_position_embeddings:
        raise RecipeError(
            f"pairs.lengths asks for rows of {longest} tokens, the model takes {config.max_position_embeddings}: "
            "raise model.max_position_embeddings or leave the long rows out"
        )
    if recipe.mixture.longest > config.max_position_embeddings and any(task.heads for task in recipe.labelled):
        raise RecipeError(
            f"mixture.longest is {recipe.mixture.longest}, the model takes {config.max_position_embeddings} tokens: "
            "lower the one or raise model.max_position_embeddings"
        )
    return config


# what two models must share for the weights of one to fit the other
_SHAPES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "pooling")


def find_initial(
    initial: str | Path, recipe: PretrainRecipe, config: RoFormerV2Config, tokenizer: PreTrainedTokenizerFast
) -> Path:
    """The folder of a model that a run of ``recipe`` can start from.

    Raises CheckpointError for one that is not there, or has another shape or other tokens.
    """
    folder = Path(resolve_model(initial))
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; a run starts from a model on this machine")
    theirs = read_config(str(folder))
    for name in _SHAPES:
        own, other = getattr(config, name), getattr(theirs, name, None)
        if own != other and not (name == "pooling" and GROWN_FROM.get(own) == other):
            raise CheckpointError(
                f"{folder} has {name} {other}, the recipe {own}: name another model, or set model.{name} in the recipe"
            )
    same = (folder / "tokenizer.json").exists() and load_tokenizer(folder).get_vocab() == tokenizer.get_vocab()
    if not same:
        raise CheckpointError(
            f"{folder}: its tokenizer is not that of the recipe ({recipe.tokenizer.source}), its embeddings "
            f"would stand for other tokens: set tokenizer.source to {str(folder)!r}"
        )
    return folder


def pair_options(recipe: PretrainRecipe, tokenizer: PreTrainedTokenizerFast) -> PairOptions:
    """The recipe's section on pairs, its templates as tokens."""
    packer = Packer(tokenizer)

    def tokens(text: str) -> tuple[int, ...]:
        return tuple(packer.pack(text).tolist()) if text else ()

    pairs = recipe.pairs
    return PairOptions(
        kinds=pairs.kinds,
        lengths=tuple(pairs.lengths),
        shortest=pairs.shortest,
        same_document=pairs.same_document,
        any_source=pairs.any_source,
        inside=pairs.inside,
        clause_cut=pairs.clause_cut,
        swap=pairs.swap,
        templates=tuple(Template(*map(tokens, template.split("{}"))) for template in pairs.templates),
        separator=None if tokenizer.unk_token_id in tokens("、") else tokens("、")[0],
    )


def labelled_pool(
    recipe: PretrainRecipe, data: Path, tokenizer: PreTrainedTokenizerFast, *, progress: Progress
) -> LabelledPool | None:
    """The recipe's labelled tasks that are cast as pairs, read and tokenized; None if there are none.

    Raises DataError.
    """
    tasks = [task for task in labelled_tasks(recipe, data) if task.cast]
    return LabelledPool(tasks, Packer(tokenizer), progress=progress) if tasks else None


def task_sampler(
    recipe: PretrainRecipe, data: Path, tokenizer: PreTrainedTokenizerFast, *, progress: Progress
) -> TaskSampler | None:
    """Where batches for the heads of labelled tasks come from; None if none has a head. Raises DataError."""
    tasks = [task for task in labelled_tasks(recipe, data) if task.heads]
    if not tasks:
        return None
    return TaskSampler(
        tasks,
        Packer(tokenizer),
        cls_id=special_id(tokenizer, "cls"),
        sep_id=special_id(tokenizer, "sep"),
        pad_id=special_id(tokenizer, "pad"),
        seed=recipe.seed,
        tokens=recipe.mixture.tokens,
        longest=recipe.mixture.longest,
        progress=progress,
    )


def evaluation_files(recipe: PretrainRecipe, data: Path) -> tuple[Path, ...]:
    """Files of the evaluation texts that the recipe names. Raises DataError for a pattern that matches nothing."""
    files: list[Path] = []
    for pattern in recipe.contamination.files:
        found = _matching(data, [pattern], what="contamination.files")
        if not found:
            raise DataError(f"contamination.files: nothing in {data} matches {pattern}")
        files += found
    return tuple(dict.fromkeys(files))


def labelled_tasks(recipe: PretrainRecipe, data: Path) -> list[LabelledTask]:
    """The recipe's labelled tasks with their files. Raises DataError for files that are not there."""
    tasks = []
    for task in recipe.labelled:
        files = _matching(data, task.files, what=f"labelled task {task.name}")
        if not files:
            raise DataError(f"labelled task {task.name}: nothing in {data} matches {', '.join(task.files)}")
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
                cast=task.cast,
                heads=task.heads,
                dev=_matching(data, task.dev, what=f"dev files of {task.name}") if task.dev else (),
            )
        )
        if task.dev and not tasks[-1].dev:
            raise DataError(f"dev files of {task.name}: nothing in {data} matches {', '.join(task.dev)}")
    return tasks


def make_sampler(
    recipe: PretrainRecipe,
    store: Store,
    tokenizer: PreTrainedTokenizerFast,
    options: PairOptions,
    *,
    tokens: int,
    seed: int,
    held_out: bool = False,
    labelled: LabelledPool | None = None,
) -> PairSampler:
    """A sampler over one side of the store, sources weighted as in the recipe."""
    present = set(store.source_names)
    return PairSampler(
        store,
        source_weights={source.name: source.weight for source in recipe.sources if source.name in present},
        tokens_per_batch=tokens,
        cls_id=special_id(tokenizer, "cls"),
        sep_id=special_id(tokenizer, "sep"),
        pad_id=special_id(tokenizer, "pad"),
        seed=seed,
        options=options,
        held_out=held_out,
        labelled=labelled,
    )


def draw_held_out(
    recipe: PretrainRecipe,
    store: Store,
    tokenizer: PreTrainedTokenizerFast,
    options: PairOptions,
    *,
    longest: int,
    progress: Progress,
) -> HeldOut:
    """The pairs that the run is judged by. Raises DataError when too little text is held out to judge anything.

    Kinds of which none is held out (headings, in a small corpus) are left out with a DataWarning.
    """
    rows = min(ROWS, recipe.evaluation.pairs)
    count = recipe.evaluation.pairs // rows
    batches: dict[str, list[PairBatch]] = {}
    plan = held_out_options(options, longest=longest)
    for done, (name, own) in enumerate(plan.items()):
        progress.busy("pairs", done=done, total=len(plan), note=name)
        tokens = rows * own.lengths[0][0]
        try:
            sampler = make_sampler(recipe, store, tokenizer, own, tokens=tokens, seed=recipe.seed + 1, held_out=True)
            batches[name] = [sampler.batch(number) for number in range(count)]
        except DataError as error:
            if name == "full":
                raise
            warnings.warn(f"held-out pairs of kind {name} are not judged: {error}", DataWarning, stacklevel=2)
    idf = token_idf(store, vocabulary=len(tokenizer))
    return HeldOut(batches, idf=idf, masking=masking_options(recipe, tokenizer))


def make_folder(folder: Path) -> None:
    """Raises OutputError when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error}); name another folder") from error
