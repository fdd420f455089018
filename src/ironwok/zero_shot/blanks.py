"""Which word belongs into a blank? A head over a table of words that keep company, which sees where each word stands.

The table (``ironwok.text.associations``) knows what a word is about, and not how it is used: of four idioms about speed
it cannot say which one stands behind 得. The head draws what stands around the blank together by distance and side
(position-dependent weights as in the log-bilinear model of Mnih and Hinton, ICML 2007), reads the closest tokens one by
one, and gives each word of the table a few numbers of its own beside its vector. It has learnt from running text alone
which word was taken out (``ironwok.training.blank_learning``): no label is in it.
"""

# C candidates, D width of the table, G buckets, H tokens near by, M units around blanks, N blanks

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ironwok.text.associations import Associations, Tokenize, find_units, look_up, run_keys
from ironwok.zero_shot.encoding import unique
from ironwok.zero_shot.heads import file_of, load_head, save_head

_NAME = "blanks"
FILE = file_of(_NAME)
REACH = 48  # tokens to either side that are read
CLOSE = 4  # tokens to either side that are read one by one
_BORDERS = np.array([1, 2, 3, 5, 9, 20])  # the last distance of each bucket of a side but the farthest
_SIDE = len(_BORDERS) + 1
BUCKETS = 2 * _SIDE
_FADING = 10.0  # tokens at which a unit counts 1/e in the plain sum, as in `Associations.vector_around`
_FEW = 2.0  # what lengths of sums are measured by; that of an ordinary word's vector is about six
_GROWN = 4.0  # what vectors of length 1 are multiplied with before a layer
_BATCH = 256
_OWN, _SCALE = "own.weight", ".scale"
_LEVELS = 7  # to either side of zero in 4 bits


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths.

    project: of a bucket's vector. hidden: between context and vector. close: of a token near by. own: numbers that a
    word of the table has beside its vector. word: between a word's vector and what is added to it.
    """

    project: int = 96
    hidden: int = 512
    close: int = 48
    own: int = 64
    word: int = 256


class BlankHead(nn.Module):
    """Vectors of contexts and of words, near one another where the word belongs into the context.

    inputs: D. tokens: vocabulary of the table. runs: how many words of two tokens and more the table has.
    """

    def __init__(
        self, *, inputs: int, tokens: int, runs: int, shape: Shape | None = None, dropout: float = 0.05
    ) -> None:
        super().__init__()
        self.shape, self.tokens, self.runs = shape or Shape(), tokens, runs
        self.gain = nn.Parameter(torch.zeros(BUCKETS))
        self.project = nn.Linear(inputs, self.shape.project, bias=False)
        self.close = nn.Embedding(tokens + 1, self.shape.close, padding_idx=0)
        seen = BUCKETS * self.shape.project + 2 * CLOSE * self.shape.close
        self.read = nn.Sequential(
            *(nn.Dropout(dropout), nn.Linear(seen, self.shape.hidden), nn.ReLU()),
            *(nn.Dropout(dropout), nn.Linear(self.shape.hidden, inputs)),
        )
        self.own = nn.Embedding(runs + 1, self.shape.own, padding_idx=runs)
        self.spread = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.shape.own, inputs, bias=False))
        self.turn = nn.Sequential(
            *(nn.Linear(inputs, self.shape.word), nn.ReLU()),
            *(nn.Dropout(dropout), nn.Linear(self.shape.word, inputs)),
        )
        nn.init.normal_(self.close.weight, std=0.1)
        with torch.no_grad():
            self.close.weight[0] = 0
        # it begins as the table, with the context faded by distance; a word that is never drawn gets nothing of its own
        for weight in (self.own.weight, *self.read[-1].parameters(), *self.turn[-1].parameters()):
            nn.init.zeros_(weight)

    def contexts(self, faded_NGD: Tensor, sums_NGD: Tensor, close_NH: Tensor) -> Tensor:
        """Vectors [N, D] of length 1. close_NH: token id + 1 of the tokens near by, 0 where there is none."""
        plain_ND = functional.normalize((faded_NGD * self.gain.exp()[:, None]).sum(dim=1), dim=1)
        seen_NGD = sums_NGD / (sums_NGD.norm(dim=2, keepdim=True) + _FEW)
        seen_NX = torch.cat([self.project(seen_NGD).flatten(1), self.close(close_NH).flatten(1)], dim=1)
        return functional.normalize(plain_ND + self.read(seen_NX), dim=1)

    def words(self, vectors_CD: Tensor, own_C: Tensor) -> Tensor:
        """Vectors [C, D] of length 1.

        vectors_CD: the table's, of length 1. own_C: which word of two tokens and more each is, counted from 0; ``runs``
        for one that the table does not know as a whole.
        """
        return functional.normalize(vectors_CD + self.spread(self.own(own_C)) + self.turn(vectors_CD * _GROWN), dim=1)


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around N blanks.

    units: int64 [M], those of a bucket of a blank behind one another. begins: where those of each begin, int64 [N * G].
    fading: float32 [M]. close: as `BlankHead.contexts` takes it, int64 [N, H].
    """

    units: np.ndarray
    begins: np.ndarray
    fading: np.ndarray
    close: np.ndarray

    def sums(self, vectors_UD: Tensor) -> tuple[Tensor, Tensor]:
        """(faded, plain) sums of the units' vectors, as `BlankHead.contexts` takes them."""
        units, begins = torch.from_numpy(self.units), torch.from_numpy(self.begins)
        found = [
            functional.embedding_bag(units, vectors_UD, begins, mode="sum", per_sample_weights=weights)
            for weights in (torch.from_numpy(self.fading), None)
        ]
        faded, plain = (one.view(len(self.close), BUCKETS, -1) for one in found)
        return faded, plain


@dataclass(frozen=True, slots=True)
class Near:
    """Tokens around N blanks, behind one another.

    ids: int64 [L]. owners: which blank, ascending. behind: whether it stands behind the blank. distances: 1 for the
    token beside the blank.
    """

    ids: np.ndarray
    owners: np.ndarray
    behind: np.ndarray
    distances: np.ndarray

    def units(self, table: Associations) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(unit, its blank, whether behind it, distance of its nearest token), int64 and bool [M] each."""
        units, begins = find_units(self.ids, table.runs, table.vocabulary, 2 * self.owners + self.behind)
        borders = table.vocabulary + np.cumsum([0, *map(len, table.runs)])[:-1]
        ends = begins + np.searchsorted(borders, units, side="right")
        nearest = np.minimum(self.distances[begins], self.distances[ends])
        return units, self.owners[begins], self.behind[begins], nearest


def around(table: Associations, near: Near, count: int, *, left_out: np.ndarray | None = None) -> Around:
    """What the head reads.

    left_out: which of ``near.units`` it does not see, bool [M], beside those that tell nothing.
    """
    units, owners, behind, distances = near.units(table)
    kept = table.weights[units] > 0
    if left_out is not None:
        kept &= ~left_out
    units, owners, behind, distances = units[kept], owners[kept], behind[kept], distances[kept]
    buckets = owners * BUCKETS + np.searchsorted(_BORDERS, distances) + _SIDE * behind
    order = np.argsort(buckets, kind="stable")
    sizes = np.bincount(buckets, minlength=count * BUCKETS)
    close_NH = np.zeros((count, 2 * CLOSE), dtype=np.int64)
    beside = near.distances <= CLOSE
    places = near.distances[beside] - 1 + CLOSE * near.behind[beside]
    close_NH[near.owners[beside], places] = near.ids[beside] + 1
    fading = np.exp(-distances[order] / _FADING).astype(np.float32)
    return Around(units[order], np.cumsum(sizes) - sizes, fading, close_NH)


def near_by(befores: Sequence[Sequence[int]], behinds: Sequence[Sequence[int]]) -> Near:
    """The tokens of what stands before and behind each blank, 48 of each at most."""
    parts = [np.asarray(part, dtype=np.int64) for pair in zip(befores, behinds, strict=True) for part in pair]
    parts = [part[:REACH] if number % 2 else part[-REACH:] for number, part in enumerate(parts)]
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    owners = np.repeat(np.arange(len(parts)), sizes)
    places = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    behind = owners % 2 == 1
    distances = np.where(behind, places + 1, sizes[owners] - places)
    return Near(np.concatenate([np.zeros(0, dtype=np.int64), *parts]), owners // 2, behind, distances)


@dataclass(frozen=True, slots=True)
class Blanks:
    """A trained head and the table that its words come from.

    tokenize: token ids of texts, by the tokenizer of the table. share: how much the head counts beside the table alone,
    which knows less and is led astray less by texts of another kind than those that the head has learnt from. weight,
    offset: weight * (product - offset) is what both say of a blank and a candidate, as log-odds.
    """

    head: BlankHead
    table: Associations
    tokenize: Tokenize
    share: float
    weight: float
    offset: float

    @classmethod
    def load(cls, folder: str | Path, table: Associations, tokenize: Tokenize) -> Blanks | None:
        """The head of a model folder; None if there is none in it.

        Raises CheckpointError for one that is damaged or was trained with another table.
        """

        def build(about: dict[str, Any], packed: dict[str, Tensor]) -> Blanks:
            weights = _unpacked(packed)
            shape = Shape(**{one.name: int(about["shape"][one.name]) for one in fields(Shape)})
            weights[_OWN] = weights[_OWN][:, : shape.own]  # an odd number was filled up
            head = BlankHead(
                inputs=table.vectors.shape[1],
                tokens=table.vocabulary,
                runs=sum(map(len, table.runs)),
                shape=shape,
                dropout=0.0,
            )
            head.load_state_dict(weights)
            numbers = [float(about[name]) for name in ("share", "weight", "offset")]
            return cls(head.eval(), table, tokenize, *numbers)

        return load_head(folder, _NAME, table, build)

    def save(self, folder: str | Path) -> None:
        about = {
            "shape": asdict(self.head.shape),
            "share": self.share,
            "weight": self.weight,
            "offset": self.offset,
        }
        save_head(folder, _NAME, self.table, _packed(self.head.state_dict()), about)

    def contexts(self, sides: Sequence[tuple[str, str]]) -> np.ndarray:
        """Vectors of what stands before and behind each blank, float32 [N, 2 D]; zero where nothing tells anything.

        Products with those of `words` are ``share`` times what the head says and the rest what the table says.
        """
        found = np.zeros((len(sides), 2 * self.table.vectors.shape[1]), dtype=np.float32)
        for start in range(0, len(sides), _BATCH):
            part = sides[start : start + _BATCH]
            ids = self.tokenize([side for pair in part for side in pair])
            seen = around(self.table, near_by(ids[::2], ids[1::2]), len(part))
            units, numbers = np.unique(seen.units, return_inverse=True)
            vectors = torch.from_numpy(self.table.vectors[units] * self.table.weights[units, None])
            faded, plain = Around(numbers, seen.begins, seen.fading, seen.close).sums(vectors)
            with torch.inference_mode():
                vectors_ND = self.head.contexts(faded, plain, torch.from_numpy(seen.close)).numpy()
            plain_ND = functional.normalize(faded.sum(dim=1), dim=1).numpy()
            found[start : start + len(part)] = self._both(vectors_ND, plain_ND)
        return found

    def words(self, names: Sequence[str]) -> np.ndarray:
        """Vectors of what may stand in a blank, float32 [C, 2 D]; zero for a word that the table does not know."""
        rows = [np.asarray(row, dtype=np.int64) for row in self.tokenize(names)]
        vectors_CD = self.table.vectors_of(rows)
        with torch.inference_mode():
            own_C = torch.tensor([self._own(row) for row in rows], dtype=torch.int64)
            found = self.head.words(torch.from_numpy(vectors_CD), own_C).numpy()
        return self._both(found, vectors_CD)

    def _both(self, head_ND: np.ndarray, table_ND: np.ndarray) -> np.ndarray:
        """Behind one another, of length 1; zero where the table says nothing."""
        told_N1 = np.any(table_ND, axis=1, keepdims=True)
        return np.concatenate([head_ND * told_N1 * self.share**0.5, table_ND * (1 - self.share) ** 0.5], axis=1)

    def judge(
        self,
        sides: Sequence[tuple[str, str]],
        names: Sequence[str],
        *,
        drawn: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Does each name belong into its blank? Log-odds, float64 [N]; 0 where nothing is known of one of both.

        sides: what stands before and behind each blank. drawn: float32 [2 D] in the place of some names' vectors.
        """
        blanks, blank_of = unique(sides)
        words, word_of = unique(names)
        contexts_ND, words_CD = self.contexts(blanks), self.words(words)
        for number, word in enumerate(words):
            if drawn is not None and word in drawn:
                words_CD[number] = drawn[word]
        told = np.any(contexts_ND, axis=1)[blank_of] & np.any(words_CD, axis=1)[word_of]
        products = np.einsum("nd,nd->n", contexts_ND[blank_of], words_CD[word_of]).astype(np.float64)
        return np.where(told, (products - self.offset) * self.weight, 0.0)

    def _own(self, row: np.ndarray) -> int:
        """Which word of two tokens and more these tokens are as a whole; ``runs`` for none."""
        before = 0
        for count, known in enumerate(self.table.runs, start=2):
            if count == len(row) and len(known):
                places, held = look_up(run_keys(row, count, self.table.vocabulary), known)
                return before + int(places[0]) if held[0] else self.head.runs
            before += len(known)
        return self.head.runs


def _packed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices in 8 bits with a scale for each row, what words have of their own in 4, two to a byte; the rest in 16.

    So it takes a third of the space of 16 bits, and fills held-out blanks as well (within 0.5 of 100).
    """
    found = {}
    for name, tensor in weights.items():
        if tensor.ndim < 2:
            found[name] = tensor.detach().half().contiguous()
            continue
        levels = _LEVELS if name == _OWN else 127
        scale_R = (tensor.detach().abs().amax(dim=1) / levels).clamp(min=1e-7).half()
        whole = (tensor.detach() / scale_R.float()[:, None]).round().clamp(-levels, levels).to(torch.int8)
        if name == _OWN:
            parts = (functional.pad(whole, (0, whole.shape[1] % 2)) + _LEVELS).to(torch.uint8)
            whole = parts[:, ::2] | parts[:, 1::2] << 4
        found |= {name: whole.contiguous(), name + _SCALE: scale_R}
    return found


def _unpacked(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in weights.items():
        if name.endswith(_SCALE):
            continue
        scale_R = weights.get(name + _SCALE)
        if scale_R is None:
            found[name] = tensor.float()
            continue
        if name == _OWN:
            tensor = torch.stack([tensor & 15, tensor >> 4], dim=2).flatten(1).to(torch.int8) - _LEVELS
        found[name] = tensor.float() * scale_R.float()[:, None]
    return found
