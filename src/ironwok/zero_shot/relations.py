"""How two sentences stand to each other, read off a table of words that keep company: decomposable attention.

Each word of one sentence looks for its like in the other, what it found is compared with it, and all comparisons
together decide (Parikh et al., EMNLP 2016). The words come with the vectors of ``ironwok.text.associations``, which are
not moved, so the head has a quarter of a million weights and judges about a thousand pairs a second on one core. Of
order it sees that of neighbours, and that of characters by a few counts. It is trained on labelled pairs
(``ironwok.training.relation_learning``): where it judges, the answer is not one of a model that has seen no pairs of
that kind.
"""

# B pairs, L and M units of the two sentences, D width of the table, W width of the head, F numbers of overlap

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ironwok.errors import InputError
from ironwok.text.associations import Associations, Tokenize, find_units
from ironwok.zero_shot.encoding import unique
from ironwok.zero_shot.heads import file_of, load_head, save_head

_NAME = "relations"
FILE = file_of(_NAME)
OVERLAPS = 13
_MOST_UNITS = 96  # of a sentence, the first ones
_BATCH = 256
_NEGATIONS = "不没无未"
_COMPARED = 400  # characters of a sentence that are compared in their order, the first ones
_NUMBERS = re.compile(r"[0-9a-z]+")
_UNSEEN = -1e4  # for padding, before a softmax or a maximum
_ALIKE, _LEARNT = 5.0, 0.1  # at first, how much cosines of the table and learnt products count when words look around
_LONG = 4.0  # the logarithm of 50 characters is about this


class RelationHead(nn.Module):
    """Decomposable attention over vectors of words.

    answers: names of the answers of each relation, such as {"paraphrase": ("different", "same")}. inputs: D. width: W.
    """

    def __init__(
        self, answers: Mapping[str, Sequence[str]], *, inputs: int, width: int = 128, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.answers = {relation: tuple(names) for relation, names in answers.items()}
        self.inputs, self.width = inputs, width
        self.project = nn.Linear(inputs, width, bias=False)
        self.around = nn.Sequential(nn.Dropout(dropout), nn.Conv1d(width, width, 3, padding=1), nn.ReLU())
        self.attend = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, width), nn.ReLU())
        self.compare = nn.Sequential(
            *(nn.Dropout(dropout), nn.Linear(4 * width, width), nn.ReLU()),
            *(nn.Dropout(dropout), nn.Linear(width, width), nn.ReLU()),
        )
        self.decide = nn.Sequential(
            *(nn.Dropout(dropout), nn.Linear(4 * width + OVERLAPS + 2, width), nn.ReLU()),
            *(nn.Dropout(dropout), nn.Linear(width, sum(map(len, self.answers.values())))),
        )
        self.sharpness = nn.Parameter(torch.tensor([_ALIKE, _LEARNT]))

    def forward(self, first_BLD: Tensor, second_BMD: Tensor, overlap_BF: Tensor) -> dict[str, Tensor]:
        """Logits [B, answers] of each relation.

        first_BLD, second_BMD: vectors of the units of both sentences, as long as they weigh; zero where there is none.
        """
        masks = [vectors.any(dim=2) for vectors in (first_BLD, second_BMD)]
        units = [functional.normalize(vectors, dim=2) for vectors in (first_BLD, second_BMD)]
        texts = [functional.normalize(vectors.sum(dim=1), dim=1) for vectors in (first_BLD, second_BMD)]
        cosine_B1 = (texts[0] * texts[1]).sum(dim=1, keepdim=True)
        words = [self.project(one) for one in units]
        looks = [self.attend(one) for one in words]
        # what a word is compared as knows its neighbours; where it looks is its own meaning
        words = [(one + self.around(one.mT).mT) * mask[..., None] for one, mask in zip(words, masks, strict=True)]
        near_BLM = self.sharpness[0] * units[0] @ units[1].mT + self.sharpness[1] * looks[0] @ looks[1].mT
        found = [
            near_BLM.masked_fill(~masks[1][:, None, :], _UNSEEN).softmax(dim=2) @ words[1],
            near_BLM.masked_fill(~masks[0][:, :, None], _UNSEEN).softmax(dim=1).mT @ words[0],
        ]
        parts = []
        for own, other, mask, vectors in zip(words, found, masks, (first_BLD, second_BMD), strict=True):
            compared = self.compare(torch.cat([own, other, own * other, (own - other).abs()], dim=2))
            weights = vectors.norm(dim=2, keepdim=True)
            shares = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-6)
            highest = compared.masked_fill(~mask[..., None], 0).amax(dim=1)
            parts += [(compared * shares).sum(dim=1), highest]
        logits = self.decide(torch.cat([*parts, overlap_BF, cosine_B1, cosine_B1**2], dim=1))
        split = logits.split([len(names) for names in self.answers.values()], dim=1)
        return dict(zip(self.answers, split, strict=True))


@dataclass(frozen=True, slots=True)
class Relations:
    """A trained head and the table that its words come from.

    tokenize: token ids of texts, by the tokenizer of the table.
    """

    head: RelationHead
    table: Associations
    tokenize: Tokenize

    @property
    def answers(self) -> dict[str, tuple[str, ...]]:
        return self.head.answers

    @classmethod
    def load(cls, folder: str | Path, table: Associations, tokenize: Tokenize) -> Relations | None:
        """The head of a model folder; None if there is none in it.

        Raises CheckpointError for one that is damaged or was trained with another table.
        """

        def build(about: dict[str, Any], weights: dict[str, Tensor]) -> Relations:
            head = RelationHead(about["answers"], inputs=table.vectors.shape[1], width=int(about["width"]), dropout=0.0)
            head.load_state_dict({name: weight.float() for name, weight in weights.items()})
            return cls(head.eval(), table, tokenize)

        return load_head(folder, _NAME, table, build)

    def save(self, folder: str | Path) -> None:
        weights = {name: tensor.detach().half().contiguous() for name, tensor in self.head.state_dict().items()}
        save_head(folder, _NAME, self.table, weights, {"answers": self.head.answers, "width": self.head.width})

    def judge(self, pairs: Sequence[tuple[str, str]], relation: str, *, symmetric: bool = False) -> np.ndarray:
        """Probabilities of the answers of a relation, float64 [pairs, answers].

        symmetric: the mean of both orders. Raises InputError for a relation that the head does not know.
        """
        if relation not in self.answers:
            raise InputError(f"there is no relation {relation!r} here; there are {', '.join(self.answers)}")
        # what is the same is judged once: beside other sentences its last decimals would be others
        pairs, of = unique([(first, second) for first, second in pairs])
        return self._judge(pairs, relation, symmetric=symmetric)[of]

    def _judge(self, pairs: Sequence[tuple[str, str]], relation: str, *, symmetric: bool) -> np.ndarray:
        found = np.zeros((len(pairs), len(self.answers[relation])))
        if not len(pairs):
            return found
        sides = [units_of(self.table, self.tokenize, [pair[side] for pair in pairs]) for side in (0, 1)]
        orders = [(0, 1), (1, 0)] if symmetric else [(0, 1)]
        overlap = [torch.from_numpy(overlaps([(pair[one], pair[other]) for pair in pairs])) for one, other in orders]
        lengths = np.array([max(len(first), len(second)) for first, second in zip(*sides, strict=True)])
        by_length = np.argsort(lengths, kind="stable")
        for start in range(0, len(by_length), _BATCH):
            part = by_length[start : start + _BATCH]
            inputs = [padded(self.table, [side[number] for number in part]) for side in sides]
            for (one, other), overlap_NF in zip(orders, overlap, strict=True):
                with torch.inference_mode():
                    logits = self.head(inputs[one], inputs[other], overlap_NF[part])[relation]
                found[part] += logits.double().softmax(dim=1).numpy() / len(orders)
        return found


def units_of(table: Associations, tokenize: Tokenize, texts: Sequence[str]) -> list[np.ndarray]:
    """Units of each text that tell something, in the order of the text, at most 96, int64."""
    found = []
    for ids in tokenize(texts):
        units, places = find_units(np.asarray(ids, dtype=np.int64), table.runs, table.vocabulary)
        units = units[np.argsort(places, kind="stable")]
        found.append(units[table.weights[units] > 0][:_MOST_UNITS])
    return found


def padded(table: Associations, rows: Sequence[np.ndarray]) -> Tensor:
    """Vectors of the units of B sentences, float32 [B, longest, D], zero behind the end of each; longest is never 0."""
    vectors_BLD = np.zeros((len(rows), max([1, *map(len, rows)]), table.vectors.shape[1]), dtype=np.float32)
    for number, units in enumerate(rows):
        vectors_BLD[number, : len(units)] = table.vectors[units] * table.weights[units, None]
    return torch.from_numpy(vectors_BLD)


def overlaps(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """What two sentences share as characters, their lengths and negations, float32 [pairs, F]."""
    found = np.empty((len(pairs), OVERLAPS), dtype=np.float32)
    for number, pair in enumerate(pairs):
        first, second = (text.lower() for text in pair)
        characters = set(first), set(second)
        twos = _twos(first), _twos(second)
        shared = len(characters[0] & characters[1])
        found[number] = (
            shared / max(len(characters[0] | characters[1]), 1),
            shared / max(len(characters[0]), 1),
            shared / max(len(characters[1]), 1),
            len(twos[0] & twos[1]) / max(len(twos[0] | twos[1]), 1),
            np.log1p(len(first)) / _LONG,
            np.log1p(len(second)) / _LONG,
            *(min(sum(text.count(one) for one in _NEGATIONS), 2) for text in (first, second)),
            *_in_order(first[:_COMPARED], second[:_COMPARED]),
        )
    return found


def _in_order(first: str, second: str) -> tuple[float, float, float, float, float]:
    """Longest common subsequence by the longer and by the shorter text, common beginning, common end, other numbers."""
    longest, shortest = max(len(first), len(second), 1), max(min(len(first), len(second)), 1)
    common = _common_subsequence(first, second)
    begins, ends = _common_beginning(first, second), _common_beginning(first[::-1], second[::-1])
    other = sorted(_NUMBERS.findall(first)) != sorted(_NUMBERS.findall(second))
    return common / longest, common / shortest, begins / shortest, ends / shortest, float(other)


def _common_beginning(first: str, second: str) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))


def _common_subsequence(first: str, second: str) -> int:
    """Length of the longest one, a row of the table at a time as the bits of a number (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for place, character in enumerate(first):
        places[character] = places.get(character, 0) | 1 << place
    whole = (1 << len(first)) - 1
    row = whole
    for character in second:
        met = row & places.get(character, 0)
        row = ((row + met) | (row - met)) & whole
    return len(first) - row.bit_count()


def _twos(text: str) -> set[str]:
    return {text[place : place + 2] for place in range(len(text) - 1)}
