"""Scorers by name: the built-in ones and those of installed packages (entry point group ``ironwok.scorers``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Literal

from ironwok.errors import InputError, ModelError
from ironwok.zero_shot.pairs import Scorer
from ironwok.zero_shot.selfcheck import OnSelfCheck, check_when_loaded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ironwok.text.associations import Associations, Tokenize
    from ironwok.zero_shot.blanks import Blanks
    from ironwok.zero_shot.nsp import AssociationScorer
    from ironwok.zero_shot.relations import Relations

ENTRY_POINT_GROUP = "ironwok.scorers"

DEFAULT_MODEL = "ironwok-small"


@dataclass(frozen=True, slots=True)
class ScorerOptions:
    """How to load and run the model behind a scorer.

    device: "cpu", "cuda", "cuda:1", ...; None for a GPU where there is one.
    dtype: "float32", "bfloat16", "float16"; "auto" takes bfloat16 where the device is faster in it; None for float32.
    bfloat16 is up to three times as fast on a CPU that is made for it, and moves scores by about a hundredth.
    batch_size: most pairs in one pass. max_tokens: longest input, None for all that the model takes.
    on_self_check: what a next-sentence model that guesses leads to: "warn", "raise", or "skip" the check.
    onnx: whether a next-sentence model that `ironwok export-onnx` found faster on this machine is run by onnxruntime.
    associations: whether a next-sentence model is helped by the table of words that keep company, and by the head for
    relations of sentences that reads it, if it brings them.
    """

    device: str | None = None
    dtype: str | None = None
    batch_size: int = 64
    max_tokens: int | None = None
    on_self_check: OnSelfCheck = "warn"
    onnx: bool = True
    associations: bool = True


# What an entry point must name: a callable that loads the model and returns the scorer.
ScorerFactory = Callable[[str, ScorerOptions], Scorer]


def load_scorer(name: str, model: str = DEFAULT_MODEL, options: ScorerOptions | None = None) -> Scorer:
    """Load a scorer by name.

    name: "nsp", "pet", "nli", "associations", or one that an installed package offers. model: a bundled name, a folder,
    a hub id.
    Raises InputError for an unknown name, MissingHeadError where the model lacks the head.
    """
    options = options or ScorerOptions()
    if name in _BUILT_IN:
        return _BUILT_IN[name](model, options)
    plugins = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in plugins:
        raise InputError(f"there is no scorer {name!r}; there are {', '.join(scorer_names())}")
    scorer = plugins[name].load()(model, options)
    if not isinstance(scorer, Scorer):
        raise ModelError(
            f"the scorer {name!r} of {plugins[name].value} is a {type(scorer).__name__} without score(pairs)"
        )
    return scorer


def load_judge(head: Literal["relations", "blanks"], model: str = DEFAULT_MODEL) -> AssociationScorer:
    """What reads the table of a model with one of the heads beside it, of which no encoder is needed.

    Raises MissingHeadError for a model without that head.
    """
    from ironwok.errors import MissingHeadError
    from ironwok.zero_shot.nsp import AssociationScorer

    try:
        scorer = load_scorer("associations", model)
    except MissingHeadError:
        scorer = None
    if not isinstance(scorer, AssociationScorer) or getattr(scorer, head) is None:
        of = {"relations": "relations of sentences", "blanks": "blanks"}[head]
        raise MissingHeadError(f"{model} brings no head for {of} ({head}.safetensors): take {DEFAULT_MODEL}")
    return scorer


def scorer_names() -> tuple[str, ...]:
    """Names that ``load_scorer`` knows, built-in ones first."""
    plugins = sorted(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))
    return tuple(dict.fromkeys([*_BUILT_IN, *plugins]))


def _nsp(model: str, options: ScorerOptions) -> Scorer:
    from ironwok.zero_shot.loading import exported_encoder, load_encoder
    from ironwok.zero_shot.nsp import NSPScorer

    encoder, tokenizer = load_encoder(model, head="nsp", device=options.device, dtype=options.dtype)
    # checked with all that the model takes: max_tokens is about the texts of the caller, not about our sentences
    whole = NSPScorer(encoder, tokenizer, batch_size=options.batch_size)
    scorer = NSPScorer(encoder, tokenizer, batch_size=options.batch_size, max_tokens=options.max_tokens)
    scorer.judge = whole.judge = exported_encoder(encoder) if options.onnx else None
    check_when_loaded(whole, options.on_self_check)
    if options.associations:
        scorer.associations = _table(model, tokenizer)
        scorer.load_relations = partial(_relations, model, scorer.associations, scorer.encoder.ids)
        scorer.load_blanks = partial(_blanks, model, scorer.associations, scorer.encoder.ids)
    return scorer


def _associations(model: str, options: ScorerOptions) -> Scorer:
    from ironwok.errors import MissingHeadError
    from ironwok.models import resolve_model
    from ironwok.zero_shot.encoding import PairEncoder
    from ironwok.zero_shot.loading import tokenizer_of
    from ironwok.zero_shot.nsp import AssociationScorer

    tokenizer = tokenizer_of(resolve_model(model))
    table = _table(model, tokenizer)
    if table is None:
        raise MissingHeadError(
            f"{model} brings no table of words that keep company (associations.safetensors): take scorer='nsp' "
            f"(--scorer nsp), or a model that has one, such as {DEFAULT_MODEL}"
        )
    scorer = AssociationScorer(table, PairEncoder(tokenizer, max_tokens=512, segments=True).ids)
    scorer.load_relations = partial(_relations, model, table, scorer.tokenize)
    scorer.load_blanks = partial(_blanks, model, table, scorer.tokenize)
    return scorer


def _table(model: str, tokenizer: PreTrainedTokenizerBase) -> Associations | None:
    from ironwok.models import resolve_model
    from ironwok.text.associations import Associations

    return Associations.load(resolve_model(model), vocabulary=len(tokenizer))


def _relations(model: str, table: Associations | None, tokenize: Tokenize) -> Relations | None:
    from ironwok.models import resolve_model
    from ironwok.zero_shot.relations import Relations

    return None if table is None else Relations.load(resolve_model(model), table, tokenize)


def _blanks(model: str, table: Associations | None, tokenize: Tokenize) -> Blanks | None:
    from ironwok.models import resolve_model
    from ironwok.zero_shot.blanks import Blanks

    return None if table is None else Blanks.load(resolve_model(model), table, tokenize)


def _pet(model: str, options: ScorerOptions) -> Scorer:
    from ironwok.zero_shot.loading import load_encoder
    from ironwok.zero_shot.pet import PETScorer

    encoder, tokenizer = load_encoder(model, head="mlm", device=options.device, dtype=options.dtype)
    # a masked-LM pass gives a whole vocabulary for every token: smaller batches keep that in bounds
    return PETScorer(
        encoder, tokenizer, batch_size=options.batch_size, batch_tokens=2048, max_tokens=options.max_tokens
    )


def _nli(model: str, options: ScorerOptions) -> Scorer:
    from ironwok.zero_shot.loading import load_inference_model
    from ironwok.zero_shot.nli import NLIScorer

    encoder, tokenizer = load_inference_model(model, device=options.device, dtype=options.dtype)
    return NLIScorer(encoder, tokenizer, batch_size=options.batch_size, max_tokens=options.max_tokens)


_BUILT_IN: dict[str, ScorerFactory] = {"nsp": _nsp, "pet": _pet, "nli": _nli, "associations": _associations}
