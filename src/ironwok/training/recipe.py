"""Recipes of pretraining runs: TOML files, every key checked, unknown keys refused.

A recipe may build on another one: ``base = "ironwok-small.toml"``, in the same folder or a path from there. What it
says itself counts, a section key by key; its sources and labelled sets are added, those with a name of the base replace
the ones there.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ironwok.errors import RecipeError
from ironwok.text.tokenizer import LARGEST_VOCABULARY
from ironwok.training.contamination import FIELDS
from ironwok.training.masking import MaskingUnit
from ironwok.training.pairs import KINDS, LENGTHS, SHORTEST_ROW

Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
BelowOne = Annotated[float, Field(ge=0.0, lt=1.0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _check_pattern(pattern: str) -> str:
    """A pattern stays inside the folder of the data."""
    parts = PurePosixPath(pattern).parts
    if not parts or PurePosixPath(pattern).is_absolute() or PureWindowsPath(pattern).drive or ".." in parts:
        raise ValueError(f"{pattern!r} must be a path or pattern inside the folder of the data, without ..")
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]


def _check_template(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError(f"template {template!r} needs exactly one place {{}}")
    return template


PromptTemplate = Annotated[str, AfterValidator(_check_template)]
Phrase = Annotated[str, Field(min_length=1, pattern=r"\S")]


class SourceRecipe(_Section):
    """A source of running text.

    name: as in metrics and messages. files: paths or patterns under --data. weight: how often it is drawn from, beside
    the other sources. fields: of .jsonl files, each a document of its own. optional: no error if it is not there.
    """

    name: str
    files: list[Pattern] = Field(min_length=1)
    weight: float = Field(gt=0)
    fields: list[str] = Field(default=["text"], min_length=1)
    optional: bool = False


class LabelledRecipe(_Section):
    """A labelled data set (.jsonl) as pairs of kind "labelled", with a head of its own, or both.

    form: "single" (a text and the phrase of its label), "pair" (two sentences), "choice" (a passage, a question with
    one of its answers), "reading" (a context, a question, the place of its answer) or "entities" (a text and what is
    in it). fields: where the texts are: [text], [first, second], [passage, question, choices, answer], [context,
    question, answers] (objects with text and start) or [text, entities] (objects with type, start and end).
    label: where the label is, dots reach into objects. labels: for "single" raw label, for "entities" type -> phrases
    that name it; others are skipped. positive, negative: for "pair", which raw labels read on and which do not.
    templates: around the phrase of a label. weight: how often it is drawn from, beside the other labelled sets.
    cast: made into pairs. heads: gets a head of its own (see `MixtureRecipe`), judged at every evaluation on the files
    of dev, if any.
    """

    name: str
    files: list[Pattern] = Field(min_length=1)
    weight: float = Field(gt=0)
    form: Literal["single", "pair", "choice", "reading", "entities"]
    fields: list[str] = Field(min_length=1)
    label: str = "label"
    labels: dict[str, Annotated[list[Phrase], Field(min_length=1)]] = {}
    positive: list[str] = []
    negative: list[str] = []
    templates: list[PromptTemplate] = Field(default=["{}"], min_length=1)
    cast: bool = True
    heads: bool = False
    dev: list[Pattern] = []

    @model_validator(mode="after")
    def _check(self) -> LabelledRecipe:
        wanted = {"single": 1, "pair": 2, "choice": 4, "reading": 3, "entities": 2}[self.form]
        if len(self.fields) != wanted:
            raise ValueError(f"form {self.form} takes {wanted} fields, not {self.fields}")
        if self.form == "single" and len(self.labels) < 2:
            raise ValueError(f"form single needs two labels or more with their phrases, not {list(self.labels)}")
        if self.form == "entities" and not self.labels:
            raise ValueError("form entities needs labels: the types with phrases that name them")
        if not (self.cast or self.heads):
            raise ValueError("with cast = false and heads = false nothing is learnt from it")
        if self.dev and not self.heads:
            raise ValueError("dev files judge a head of its own: set heads = true, or leave them out")
        if self.form == "pair" and not (self.positive and self.negative):
            raise ValueError("form pair needs the raw labels in positive and in negative")
        both = sorted(set(self.positive) & set(self.negative))
        if both:
            raise ValueError(f"labels are positive and negative at once: {', '.join(both)}")
        return self


class TokenizerRecipe(_Section):
    """source: a bundled name, a folder, or "train" for one learnt from the sources.

    vocab_size: entries of a trained one, special tokens included. min_frequency: word pieces seen less often are left
    out.
    """

    source: str = "ironwok-small"
    vocab_size: int = Field(default=12800, gt=100, le=LARGEST_VOCABULARY)
    min_frequency: Positive = 20


class PairsRecipe(_Section):
    """How pairs are drawn.

    kinds: weight of each kind ("next", "heading", "keyword", "labelled"). lengths: [tokens, weight] of rows; a batch
    has rows of one length. shortest: rows are cut to between this share and all of it. same_document: share of
    negatives taken from elsewhere in the same document (next, heading). any_source: share of keyword negatives taken
    from any source. inside: share of keywords that stand in the text itself, the others stand near it. clause_cut:
    share of pairs cut between clauses, the others between sentences. swap: share of heading and keyword pairs with the
    prompt behind the text. templates: around keywords.
    """

    kinds: dict[str, NotNegative] = {"next": 0.5, "heading": 0.1, "keyword": 0.4}
    lengths: list[tuple[Annotated[int, Field(ge=SHORTEST_ROW)], NotNegative]] = Field(
        default=list(LENGTHS), min_length=1
    )
    shortest: Share = 0.85
    same_document: Share = 0.25
    any_source: Share = 0.15
    inside: Share = 0.35
    clause_cut: Share = 0.25
    swap: Share = 0.5
    templates: list[PromptTemplate] = Field(default=["{}"], min_length=1)

    @model_validator(mode="after")
    def _check(self) -> PairsRecipe:
        unknown = set(self.kinds) - set(KINDS)
        if unknown or sum(self.kinds.values()) <= 0:
            raise ValueError(f"kinds are {dict(self.kinds)}: some of {KINDS} with positive weights are needed")
        if sum(weight for _, weight in self.lengths) <= 0:
            raise ValueError(f"lengths are {self.lengths}: some weight must be positive")
        return self


class MaskingRecipe(_Section):
    """rate: share of words masked in a masked row; row_rate: share of rows masked at all; unit: "word", or "token" or
    "span" (of words) in its place. Held-out text is always judged by whole words, 15% of them.
    """

    rate: Share = 0.15
    row_rate: Share = 0.75
    unit: MaskingUnit = "word"


class EmbeddingsRecipe(_Section):
    """A start from co-occurrences (PPMI and SVD). tokens: how many to count, 0 turns it off; window: how far apart."""

    tokens: int = Field(default=6_000_000, ge=0)
    window: Positive = 5


class OptimizerRecipe(_Section):
    """Muon for the matrices inside the blocks, AdamW for the rest.

    steps: of the whole run. tokens_per_batch: per process, padding counted. warmup_steps: of the learning rates.
    alpha_warmup_steps: until the residual branches count fully (x <- Norm(x + alpha F(x)), alpha from 0 to 1).
    schedule: how the learning rates fall after the warm-up, beginning at ``decay_from`` (share of steps);
    final: the learning rates at the end, as a share of the highest. clip: the largest gradient norm.
    next_sentence_weight: of that loss beside the masked-LM loss.
    """

    steps: Positive
    tokens_per_batch: Positive = 4096
    muon_lr: float = Field(default=6e-3, gt=0)
    muon_momentum: Share = 0.95
    adamw_lr: float = Field(default=6e-4, gt=0)
    adamw_betas: tuple[BelowOne, BelowOne] = (0.9, 0.98)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_steps: int = Field(default=200, ge=0)
    alpha_warmup_steps: int = Field(default=1500, ge=0)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    decay_from: Share = 0.0
    final: Share = 0.05
    clip: float = Field(default=1.0, gt=0)
    next_sentence_weight: float = Field(default=2.0, ge=0)


class MixtureRecipe(_Section):
    """How masked words, next sentences and the heads of labelled sets share a step (see `ironwok.training.mixture`).

    method: "sum" (losses by the weights below), "inverse_norm" (each loss also divided by the norm of its gradient) or
    "min_norm" (the shortest vector of the hull of the gradients, which knows no weights). shared: what the gradients
    are taken with respect to: "states", the encoder's output, or "last_block", the parameters of its last block.
    Weights are 1 for masked words, optimizer.next_sentence_weight, and head_weight for each head in the step.
    tasks: heads that learn in a step, drawn by the weights of their sets. tokens: of a head's batch, per process,
    padding counted. longest: tokens of its longest row.
    """

    method: Literal["sum", "inverse_norm", "min_norm"] = "sum"
    shared: Literal["states", "last_block"] = "states"
    head_weight: float = Field(default=1.0, gt=0)
    tasks: Positive = 1
    tokens: Positive = 2048
    longest: Annotated[int, Field(ge=SHORTEST_ROW)] = 256


class ContaminationRecipe(_Section):
    """Evaluation texts that training texts are compared with: ``contamination.json`` beside the run and its model.

    files: paths or patterns under --data, .jsonl or a text a line. fields: of .jsonl files, those that hold texts.
    near: share of a text's runs of 13 characters that makes it nearly the same.
    """

    files: list[Pattern] = []
    fields: list[str] = Field(default=list(FIELDS), min_length=1)
    near: float = Field(default=0.5, gt=0, le=1)


class EvaluationRecipe(_Section):
    """every: steps between evaluations. pairs: held-out pairs of each kind."""

    every: Positive = 1000
    pairs: Positive = 1024


class PretrainRecipe(_Section):
    """A whole pretraining run.

    seed: of everything that is drawn. held_out: share of documents kept for evaluation. precision: "bf16", "fp32",
    or "auto": bf16 where the device is faster with it, which is measured; a resumed run stays as it began.
    checkpoint_every: steps. model: keys of `ironwok.models.RoFormerV2Config`, but for the size of the vocabulary.
    """

    name: str
    seed: int = Field(default=1, ge=0)
    held_out: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    checkpoint_every: Positive = 500
    model: dict[str, Any] = {}
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    sources: list[SourceRecipe] = Field(min_length=1)
    labelled: list[LabelledRecipe] = []
    pairs: PairsRecipe = PairsRecipe()
    masking: MaskingRecipe = MaskingRecipe()
    embeddings: EmbeddingsRecipe = EmbeddingsRecipe()
    optimizer: OptimizerRecipe
    mixture: MixtureRecipe = MixtureRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    contamination: ContaminationRecipe = ContaminationRecipe()

    @model_validator(mode="after")
    def _check(self) -> PretrainRecipe:
        names = [source.name for source in self.sources]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"sources are named twice: {', '.join(doubled)}")
        if len(names) > 255:
            raise ValueError(f"{len(names)} sources, a store takes 255")
        cast = any(task.cast for task in self.labelled)
        if cast and "labelled" not in self.pairs.kinds:
            raise ValueError("labelled sets are given, but pairs.kinds has no weight for labelled")
        if self.pairs.kinds.get("labelled") and not cast:
            raise ValueError("pairs.kinds has a weight for labelled, but no labelled set is given")
        heads = [task.name for task in self.labelled if task.heads]
        doubled = sorted({name for name in heads if heads.count(name) > 1})
        if doubled:
            raise ValueError(f"labelled sets with heads are named twice: {', '.join(doubled)}")
        if heads and self.mixture.longest > self.mixture.tokens:
            raise ValueError(
                f"mixture.longest is {self.mixture.longest}, beyond mixture.tokens ({self.mixture.tokens}): a row must "
                "fit into a batch"
            )
        return self


def load_recipe(path: Path, *, overrides: Sequence[str] = ()) -> PretrainRecipe:
    """Read a recipe.

    overrides: ``section.key=value`` with the value in TOML, e.g. ``optimizer.steps=2000``.
    Raises RecipeError, naming file and key, for anything that is not as it should be.
    """
    values, files = _read(path, above=())
    for override in overrides:
        _override(values, override)
    try:
        return PretrainRecipe.model_validate(values)
    except ValidationError as error:
        lines = [f"{_place(item['loc'], values) or 'recipe'}: {_fault(item)}" for item in error.errors()]
        raise RecipeError(f"{', built on '.join(map(str, files))}: " + "; ".join(lines)) from error


def _fault(item: Any) -> str:
    """What is wrong with a key, what was given, and what could be."""
    if item["type"] == "extra_forbidden":
        *sections, key = item["loc"]
        known = _keys_of(sections)
        near = difflib.get_close_matches(str(key), known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"no such key{hint}; there are {', '.join(known)}"
    if item["type"] == "value_error":
        return str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "model_type":
        return f"is a section with keys of its own, not {item['input']!r:.60}"
    if item["type"] == "missing":
        return "is missing"
    return f"{item['msg'].replace('Input should be', 'should be')}, not {item['input']!r:.60}"


def _keys_of(sections: Sequence[int | str]) -> list[str]:
    """The keys that a section may have."""
    model: type[BaseModel] = PretrainRecipe
    for section in sections:
        if isinstance(section, str):
            annotation = model.model_fields[section].annotation
            inner = get_args(annotation) or (annotation,)
            model = next(one for one in inner if isinstance(one, type) and issubclass(one, BaseModel))
    return list(model.model_fields)


def doubts_of(recipe: PretrainRecipe) -> list[str]:
    """What can be run and is hardly meant, each in a sentence."""
    optimizer, found = recipe.optimizer, []
    for name in ("alpha_warmup_steps", "warmup_steps"):
        if (steps := getattr(optimizer, name)) >= optimizer.steps:
            what = "the blocks do not count fully" if name.startswith("alpha") else "the rates are not at their highest"
            found.append(f"optimizer.{name} is {steps}, and there are {optimizer.steps} steps: {what} at the end")
    for name in ("rate", "row_rate"):
        if not getattr(recipe.masking, name):
            found.append(f"masking.{name} is 0: no word is masked, and nothing is learnt from words")
    longest = max(length for length, weight in recipe.pairs.lengths if weight)
    if optimizer.tokens_per_batch < longest:
        found.append(
            f"optimizer.tokens_per_batch is {optimizer.tokens_per_batch}, and pairs.lengths has rows of {longest} "
            "tokens: such a batch has one pair"
        )
    return found


def _place(keys: Sequence[int | str], values: Any) -> str:
    """Keys with dots between them; a table of a list by its name, since lists of several recipes are put together."""
    said = []
    for key in keys:
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            values = None
        name = values.get("name") if isinstance(key, int) and isinstance(values, dict) else None
        said.append(f"{key} ({name})" if isinstance(name, str) else str(key))
    return ".".join(said)


def _read(path: Path, *, above: tuple[Path, ...]) -> tuple[dict[str, Any], list[Path]]:
    """What a recipe says, on top of its base; it and its bases. above: the recipes that it is the base of."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        of = f" (the base of {above[-1]})" if above else "; the recipes that come with Ironwok are in recipes/"
        raise RecipeError(f"{path}: no such recipe{of}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: not a readable TOML file ({error})") from error
    base = values.pop("base", None)
    if base is None:
        return values, [path]
    if not isinstance(base, str) or not base.strip():
        raise RecipeError(f"{path}: base is {base!r}: the path of a recipe is needed")
    below = path.parent / base
    if any(below.resolve() == one.resolve() for one in (*above, path)):
        raise RecipeError(f"{path}: its base {base} is built on {path.name} itself")
    found, files = _read(below, above=(*above, path))
    return _merged(found, values), [path, *files]


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in own.items():
        there = base.get(key)
        named, named_there = _by_name(value), _by_name(there)
        if isinstance(value, dict) and isinstance(there, dict):
            found[key] = there | value
        elif named is not None and named_there is not None:
            found[key] = list((named_there | named).values())
        else:
            found[key] = value
    return found


def _by_name(value: Any) -> dict[Any, dict[str, Any]] | None:
    """Tables by their names; None for anything else, and where two have the same name."""
    if not isinstance(value, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in value
    ):
        return None
    named = {one["name"]: one for one in value}
    return named if len(named) == len(value) else None


def _override(values: dict[str, Any], override: str) -> None:
    name, separator, value = override.partition("=")
    if not separator:
        raise RecipeError(f"override {override!r} is not of the form section.key=value")
    *sections, key = name.strip().split(".")
    place: Any = values
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise RecipeError(f"override {override!r}: {section} is not a section")
    try:
        place[key] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        place[key] = value.strip()
