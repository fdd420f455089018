"""Training the head for blanks (``ironwok.zero_shot.blanks``) on running text: which word was taken out here?

A word of a document is taken out, and what stands around it has to tell it from the words of some hundred other blanks
of the same source and from words that lie near it in the table (InfoNCE; van den Oord et al., 2018). The table stays as
it is. Words of two, of three and of four tokens are drawn as kinds of their own, idioms as a fourth: they are what is
asked for most, and a hundredth of what is written.
"""

# B blanks of a group, C candidates, D width, H harder words of a blank, L tokens, N blanks

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from ironwok.errors import DataError, InputError, RecipeError
from ironwok.text.associations import Associations, Tokenize, look_up
from ironwok.training.association_learning import whole_words
from ironwok.training.checkpoints import go_on_from, save_checkpoint
from ironwok.training.corpus import TOKEN_BITS, Store
from ironwok.training.progress import Progress, Silent
from ironwok.training.ranges import check_ranges
from ironwok.zero_shot.blanks import REACH, Around, BlankHead, Blanks, Near, Shape, around
from ironwok.zero_shot.heads import fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KINDS = {"pairs": 2, "triples": 3, "fours": 4, "idioms": 4}  # tokens of a word
_IDIOM = "i"  # what the segmenter calls them
_MOST = 6_000_000  # places of a kind that are kept, evenly spaced
_LEAST = 50  # places that a source has, or it takes no part
_SHORTEST = 20  # tokens of a document
_HARDER = 24  # words that are held to be near each word
_TOO_NEAR = 0.9  # cosine above which a word may well mean the same
_CHUNK = 2048
_WARMUP = 50  # steps
_LARGEST_GRADIENT = 1.0
_TEMPERATURE, _SHARPEST = 16.0, 60.0  # what cosines are multiplied with: at first, at most
_TURNED = 0.5  # weight of finding the blank for the word, beside finding the word for the blank
_JUDGED, _OTHERS = 3000, 6  # held-out blanks of a kind, candidates beside the right one: half of them near it
_FITS = np.arange(2.0, 61.0)


@dataclass(frozen=True, slots=True)
class BlankLearning:
    """How the head learns.

    steps: of ``groups`` groups of ``group`` blanks of one kind and one source each. rate: AdamW's, rising for 50 steps
    and falling to 0. kinds: how often each is drawn; one that the text has too little of takes no part. harder: words
    near the right one that each blank is held against, beside the group's. leave_out: share of the units around a blank
    that a step does not see. evenness: a source is drawn by this power of its size. keep_every: steps between
    checkpoints.
    """

    steps: int = 3000
    groups: int = 2
    group: int = 512
    rate: float = 2e-3
    decay: float = 1e-2
    kinds: Mapping[str, float] = field(
        default_factory=lambda: {"pairs": 0.25, "triples": 0.1, "fours": 0.3, "idioms": 0.35}
    )
    harder: int = 4
    leave_out: float = 0.1
    dropout: float = 0.05
    evenness: float = 0.5
    keep_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(
            self,
            least={"steps": 1, "groups": 1, "group": 2, "harder": 0, "keep_every": 1, "seed": 0},
            above=("rate",),
            not_below=("decay", "evenness"),
            shares=("leave_out", "dropout"),
        )
        if self.harder > _HARDER:
            raise InputError(f"harder is {self.harder}: it is at most {_HARDER}")
        if set(self.kinds) - set(KINDS) or min(self.kinds.values(), default=0) < 0 or sum(self.kinds.values()) <= 0:
            raise InputError(f"kinds is {dict(self.kinds)}: weights of {', '.join(KINDS)}, one of them above 0")


@dataclass(frozen=True, slots=True)
class BlanksJudged:
    """Blanks of held-out documents, seven candidates each: the right word, three near it, three others of its kind.

    right, before: shares of them that the head and the table alone, with words fading by distance, find.
    """

    kind: str
    count: int
    right: float
    before: float


def learn_blanks(
    store: Store,
    table: Associations,
    tokenizer: PreTrainedTokenizerBase,
    tokenize: Tokenize,
    learning: BlankLearning | None = None,
    *,
    shape: Shape | None = None,
    work: Path,
    progress: Progress | None = None,
) -> tuple[Blanks, list[BlanksJudged]]:
    """A trained head, and how it does on documents that were held out.

    store: running text, cut by ``tokenizer``, which the table was counted with. work: folder of checkpoints; a run that
    was stopped goes on from the last one, and ends as it would have ended. Deterministic on one machine, given the
    seed. Raises DataError for a store without enough words of any kind, InputError for a table of another tokenizer,
    RecipeError where the gradient is no number any more, CheckpointError for a ``work`` that holds another run.
    """
    learning, progress = learning or BlankLearning(), progress or Silent()
    if store.meta["vocabulary"] != table.vocabulary:
        raise InputError(
            f"{store.folder} was cut by a tokenizer of {store.meta['vocabulary']} tokens, the table is of one with "
            f"{table.vocabulary}: take the store that it was counted in"
        )
    words = _Words.of(table, tokenizer)
    places = _find(store, table, words, learning, progress)
    run = _Run(store, table, words, places, learning, shape, work)
    run.step = go_on_from(work, run.identity, run.read)
    run.train(progress)
    return run.judge(tokenize, progress)


@dataclass(frozen=True, slots=True)
class _Words:
    """What may be taken out.

    vectors: of each unit as a whole, of length 1, float32 [U, D]; of_kind: units of each kind, int64, ascending. first:
    unit of the first run.
    """

    vectors: np.ndarray
    of_kind: dict[str, np.ndarray]
    first: int

    @classmethod
    def of(cls, table: Associations, tokenizer: PreTrainedTokenizerBase) -> _Words:
        import rjieba

        vectors_UD = np.zeros((len(table.vectors), table.vectors.shape[1]), dtype=np.float32)
        of_kind, first = {}, table.vocabulary
        for kind, known, count in zip(KINDS, table.runs, (2, 3, 4), strict=False):
            units = np.arange(first, first + len(known))
            ids = known[:, None] // table.vocabulary ** np.arange(count - 1, -1, -1) % table.vocabulary
            for start in range(0, len(known), _CHUNK):
                vectors_UD[units[start : start + _CHUNK]] = table.vectors_of(list(ids[start : start + _CHUNK]))
            of_kind[kind] = units
            if count == 4:
                names = [name.replace(" ", "") for name in tokenizer.batch_decode(ids.tolist())]
                tags = [rjieba.tag(name) for name in names]
                of_kind["idioms"] = units[[len(tag) == 1 and tag[0][1] == _IDIOM for tag in tags]]
            first += len(known)
        return cls(vectors_UD, of_kind, table.vocabulary)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where words of a kind stand: first token, unit and document, int64 [N] each; ascending."""

    tokens: np.ndarray
    units: np.ndarray
    documents: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> _Places:
        return _Places(self.tokens[chosen], self.units[chosen], self.documents[chosen])


def _find(
    store: Store, table: Associations, words: _Words, learning: BlankLearning, progress: Progress
) -> dict[str, tuple[_Places, _Places]]:
    """(places to learn from, places of held-out documents) of each kind."""
    found, first = {}, table.vocabulary
    bounds = store.units[store.documents].astype(np.int64)
    held_out = np.asarray(store.held_out)
    for count, known in enumerate(table.runs, start=2):
        tokens, units = _known_words(store, known, count, table.vocabulary, progress)
        documents = np.searchsorted(bounds, tokens, side="right") - 1
        places = _Places(tokens, units + first, documents)[bounds[documents + 1] - bounds[documents] >= _SHORTEST]
        for kind in (kind for kind, size in KINDS.items() if size == count and learning.kinds.get(kind, 0) > 0):
            own = places[np.isin(places.units, words.of_kind[kind])]
            held = held_out[own.documents]
            found[kind] = own[np.flatnonzero(~held)], own[np.flatnonzero(held)]
        first += len(known)
    return found


def _known_words(
    store: Store, known: np.ndarray, count: int, vocabulary: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """(first token, which of ``known``) of the words of ``count`` tokens, int64 each; of many, evenly spaced ones."""
    tokens, which = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    if len(known):
        for places, keys in whole_words(store, count, vocabulary, progress):
            found, held = look_up(keys, known)
            tokens.append(places[held])
            which.append(found[held])
    every = -(-sum(map(len, tokens)) // _MOST) or 1
    return np.concatenate(tokens)[::every], np.concatenate(which)[::every]


class _Run:
    """The head on its way, and the checkpoints of it."""

    def __init__(
        self,
        store: Store,
        table: Associations,
        words: _Words,
        places: dict[str, tuple[_Places, _Places]],
        learning: BlankLearning,
        shape: Shape | None,
        work: Path,
    ) -> None:
        self.store, self.table, self.words, self.learning, self.work = store, table, words, learning, work
        self.bounds = store.units[store.documents].astype(np.int64)
        self.held_out = {kind: held for kind, (_, held) in places.items()}
        self.drawn: dict[str, tuple[_Places, list[np.ndarray], np.ndarray]] = {}
        sources = np.asarray(store.sources)
        for kind, (own, _) in places.items():
            by_source = [np.flatnonzero(sources[own.documents] == one) for one in range(int(sources.max()) + 1)]
            sizes = np.array([len(one) * (len(one) > _LEAST) for one in by_source], dtype=float)
            if sizes.any() and len(words.of_kind[kind]) > 1:
                shares = np.where(sizes > 0, sizes**learning.evenness, 0)
                self.drawn[kind] = own, by_source, shares / shares.sum()
        if not self.drawn:
            raise DataError(f"{store.folder} has no source with more than {_LEAST} words of the table: read more text")
        self.shares = np.array([learning.kinds[kind] for kind in self.drawn])
        self.shares /= self.shares.sum()
        self.near = {kind: _nearest(words, kind) for kind in self.drawn} if learning.harder else {}
        self.vectors = torch.from_numpy(table.vectors * table.weights[:, None])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(learning.seed)
            self.head = BlankHead(
                inputs=table.vectors.shape[1],
                tokens=table.vocabulary,
                runs=sum(map(len, table.runs)),
                shape=shape,
                dropout=learning.dropout,
            )
        self.scale = torch.nn.Parameter(torch.tensor(math.log(_TEMPERATURE)))
        self.optimizer = torch.optim.AdamW(
            [{"params": list(self.head.parameters())}, {"params": [self.scale], "weight_decay": 0.0}],
            lr=learning.rate,
            weight_decay=learning.decay,
            fused=True,
        )
        self.step = 0
        self.identity = {
            "store": store.meta["identity"],
            "table": fingerprint(table),
            "shape": asdict(self.head.shape),
            "learning": {name: value for name, value in asdict(learning).items() if name != "keep_every"},
        }

    def train(self, progress: Progress) -> None:
        learning, seen, began = self.learning, 0, perf_counter()
        parameters = [*self.head.parameters(), self.scale]
        self.head.train()
        while self.step < learning.steps:
            self.step += 1
            share = min(self.step / _WARMUP, 1) * max(1 - self.step / learning.steps, 0)
            for group in self.optimizer.param_groups:
                group["lr"] = learning.rate * share
            generator = np.random.default_rng((learning.seed, self.step))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((learning.seed << 32) + self.step)
                losses = [self._loss(generator) for _ in range(learning.groups)]
                loss = torch.stack([one for one, _ in losses]).mean()
                loss.backward()
            seen += sum(count for _, count in losses)
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT))
            if not math.isfinite(norm):
                raise RecipeError(
                    f"step {self.step}: the gradient is not finite, the step was not made: a lower rate than "
                    f"{learning.rate} is needed"
                )
            self.optimizer.step()
            self.optimizer.zero_grad()
            rate = seen / max(perf_counter() - began, 1e-9)
            metrics = {"loss": float(loss.detach())}
            progress.stepped(self.step, total=learning.steps, tokens_per_second=rate, metrics=metrics)
            if self.step % learning.keep_every == 0 and self.step < learning.steps:
                progress.busy("checkpoint", done=0, total=0)
                save_checkpoint(self.work, self.step, self._write, state={"run": self.identity}, keep=1)

    def _loss(self, generator: np.random.Generator) -> tuple[torch.Tensor, int]:
        """(loss of a group, how many units it read)."""
        learning = self.learning
        kind = list(self.drawn)[int(generator.choice(len(self.drawn), p=self.shares))]
        places, by_source, shares = self.drawn[kind]
        own = by_source[int(generator.choice(len(by_source), p=shares))]
        blanks = places[own[generator.integers(len(own), size=learning.group)]]
        seen = self._around(blanks, generator=generator)
        context_BD = self.head.contexts(*seen.sums(self.vectors), torch.from_numpy(seen.close))
        candidates = blanks.units
        if learning.harder:
            near = self.near[kind][np.searchsorted(self.words.of_kind[kind], blanks.units)]
            drawn = generator.integers(near.shape[1], size=(learning.group, learning.harder))
            candidates = np.append(candidates, np.take_along_axis(near, drawn, axis=1))
        words_CD = self._words(candidates)
        scores_BC = context_BD @ words_CD.T * self.scale.exp().clamp(max=_SHARPEST)
        own_B = torch.arange(learning.group)
        # another blank of the same word asks for the same
        same_BC = torch.from_numpy(candidates[None, :] == blanks.units[:, None])
        same_BC[own_B, own_B] = False
        scores_BC = scores_BC.masked_fill(same_BC, -1e4)
        loss = functional.cross_entropy(scores_BC, own_B)
        turned = functional.cross_entropy(scores_BC[:, : learning.group].T, own_B)
        return loss + _TURNED * turned, len(seen.units)

    def _around(self, blanks: _Places, *, generator: np.random.Generator | None = None) -> Around:
        """What stands around these words, without them; with a generator, without some more."""
        sizes = 1 + np.searchsorted(self._borders(), blanks.units, side="right")
        starts = np.maximum(self.bounds[blanks.documents], blanks.tokens - REACH)
        ends = np.minimum(self.bounds[blanks.documents + 1], blanks.tokens + sizes + REACH)
        owners = np.repeat(np.arange(len(starts)), ends - starts)
        firsts = np.cumsum(ends - starts) - (ends - starts)
        places = np.arange(len(owners)) - firsts[owners] + starts[owners]
        first, last = blanks.tokens[owners], (blanks.tokens + sizes)[owners]
        kept = (places < first) | (places >= last)
        owners, places, first, last = owners[kept], places[kept], first[kept], last[kept]
        behind = places >= last
        ids = (np.asarray(self.store.tokens[places]) & TOKEN_BITS).astype(np.int64)
        near = Near(ids, owners, behind, np.where(behind, places - last + 1, first - places))
        units, of, *_ = near.units(self.table)
        left_out = units == blanks.units[of]  # the word itself, elsewhere in the text, would be too easy
        if generator is not None and self.learning.leave_out:
            left_out |= generator.random(len(units)) < self.learning.leave_out
        return around(self.table, near, len(starts), left_out=left_out)

    def _borders(self) -> np.ndarray:
        return self.table.vocabulary + np.cumsum([0, *map(len, self.table.runs)])[:-1]

    def _words(self, units: np.ndarray) -> torch.Tensor:
        own = torch.from_numpy(units - self.words.first)
        return self.head.words(torch.from_numpy(self.words.vectors[units]), own)

    @torch.inference_mode()
    def judge(self, tokenize: Tokenize, progress: Progress) -> tuple[Blanks, list[BlanksJudged]]:
        self.head.eval()
        found, scores = [], []
        for number, (kind, places) in enumerate(self.held_out.items()):
            progress.busy("evaluation", done=number, total=len(self.held_out), note=kind)
            if kind not in self.drawn or not len(places.units):
                continue
            generator = np.random.default_rng(self.learning.seed)
            blanks = places[np.sort(generator.permutation(len(places.units))[:_JUDGED])]
            candidates_NC = self._candidates(kind, blanks, generator)
            ours, plain = [], []
            for start in range(0, len(blanks.units), _CHUNK):
                part = np.arange(start, min(start + _CHUNK, len(blanks.units)))
                seen = self._around(blanks[part])
                faded, sums = seen.sums(self.vectors)
                asked = candidates_NC[part]
                words = self._words(asked.reshape(-1)).view(*asked.shape, -1)
                context = self.head.contexts(faded, sums, torch.from_numpy(seen.close))
                ours.append(torch.einsum("nd,ncd->nc", context, words).numpy())
                vectors = functional.normalize(faded.sum(dim=1), dim=1).numpy()
                plain.append(np.einsum("nd,ncd->nc", vectors, self.words.vectors[asked]))
            ours_NC, plain_NC = np.concatenate(ours), np.concatenate(plain)
            scores.append(ours_NC)
            found.append(BlanksJudged(kind, len(ours_NC), _first_is_best(ours_NC), _first_is_best(plain_NC)))
        weight, offset = _fitted(np.concatenate(scores)) if scores else (_TEMPERATURE, 0.0)
        return Blanks(self.head, self.table, tokenize, 1.0, weight, offset), found

    def _candidates(self, kind: str, blanks: _Places, generator: np.random.Generator) -> np.ndarray:
        """The right word, near ones, others of its kind, int64 [N, C]."""
        own = self.words.of_kind[kind]
        near = _nearest(self.words, kind) if kind not in self.near else self.near[kind]
        count = len(blanks.units)
        rows = near[np.searchsorted(own, blanks.units)]
        picked = generator.integers(near.shape[1], size=(count, _OTHERS // 2))
        # any but the right one: as many places behind it, going round, as there are others
        behind = generator.integers(1, len(own), size=(count, _OTHERS - _OTHERS // 2))
        others = own[(np.searchsorted(own, blanks.units)[:, None] + behind) % len(own)]
        return np.concatenate([blanks.units[:, None], np.take_along_axis(rows, picked, axis=1), others], axis=1)

    def _write(self, folder: Path) -> None:
        state = {"head": self.head.state_dict(), "scale": self.scale.detach(), "optimizer": self.optimizer.state_dict()}
        torch.save(state, folder / "blanks.pt")

    def read(self, checkpoint: Path) -> None:
        kept: dict[str, Any] = torch.load(checkpoint / "blanks.pt", weights_only=True)
        self.head.load_state_dict(kept["head"])
        with torch.no_grad():
            self.scale.copy_(kept["scale"])
        self.optimizer.load_state_dict(kept["optimizer"])


def _nearest(words: _Words, kind: str) -> np.ndarray:
    """Units nearest to each word of a kind among the others of it, int64 [words, H]."""
    own = words.of_kind[kind]
    vectors = words.vectors[own]
    count = min(_HARDER, len(own) - 1)
    found = np.empty((len(own), count), dtype=np.int64)
    for start in range(0, len(own), _CHUNK):
        near = vectors[start : start + _CHUNK] @ vectors.T
        near[near > _TOO_NEAR] = -2.0
        near[np.arange(len(near)), np.arange(start, start + len(near))] = -3.0
        found[start : start + len(near)] = own[np.argpartition(-near, count - 1, axis=1)[:, :count]]
    return found


def _first_is_best(scores_NC: np.ndarray) -> float:
    return float(np.mean(scores_NC[:, 0] > scores_NC[:, 1:].max(axis=1)))


def _fitted(scores_NC: np.ndarray) -> tuple[float, float]:
    """(weight, offset): the likeliest factor of products among candidates, and what parts right ones from wrong."""
    raised = scores_NC[None] * _FITS[:, None, None]
    likelihood = raised[:, :, 0] - np.logaddexp.reduce(raised, axis=2)
    weight = float(_FITS[likelihood.mean(axis=1).argmax()])
    return weight, float((scores_NC[:, 0].mean() + scores_NC[:, 1:].mean()) / 2)
