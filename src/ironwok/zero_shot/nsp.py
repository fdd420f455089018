"""Does the text read on from the prompt? The next-sentence head as a scorer (NSP-BERT, arXiv 2109.03564).

Beside it, for models that bring one, a table of which words keep company (`ironwok.text.associations`): an encoder that
read little knows few words, counting a corpus costs minutes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ironwok.errors import MissingHeadError
from ironwok.text.associations import Associations, Tokenize, Told
from ironwok.zero_shot.adapting import draw_words
from ironwok.zero_shot.encoder_scorer import PairScorer
from ironwok.zero_shot.encoding import Progress, unique
from ironwok.zero_shot.pairs import Pair

if TYPE_CHECKING:
    from ironwok.zero_shot.blanks import Blanks
    from ironwok.zero_shot.relations import Relations

_UNFITTED = 10.0  # of the size that fitted tables have


class _Knowing(ABC):
    """What a table of words that keep company adds to a scorer."""

    associations: Associations | None = None
    # vectors that labels have instead of their own; see `ironwok.zero_shot.adapting`
    drawn: Mapping[str, np.ndarray] | None = None
    # the same for what may stand in a blank, where the model brings a head for blanks, whose vectors are others
    drawn_to_blanks: Mapping[str, np.ndarray] | None = None
    # where heads for relations of two sentences and for blanks are loaded, when first asked for: most need none
    load_relations: Callable[[], Relations | None] = staticmethod(lambda: None)
    load_blanks: Callable[[], Blanks | None] = staticmethod(lambda: None)

    @abstractmethod
    def _ids(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        """Token ids by the tokenizer that the table was counted with."""

    @cached_property
    def relations(self) -> Relations | None:
        """What judges how two sentences stand to each other, where the model brings it."""
        return self.load_relations()

    @cached_property
    def blanks(self) -> Blanks | None:
        """What judges which word belongs into a blank, where the model brings it."""
        return self.load_blanks()

    def without_encoder(self) -> AssociationScorer | None:
        """The table with the heads that read it, as a scorer of its own; None where there is no table."""
        if self.associations is None:
            return None
        other = AssociationScorer(self.associations, self._ids)
        other.load_relations, other.load_blanks = self.load_relations, self.load_blanks
        return other

    def adapted(self, texts: Sequence[Told], words: Sequence[Sequence[str]], *, one_fits: bool = False) -> Self | None:
        if self.associations is None:
            return None
        other = copy(self)
        sides = [text for text in texts if isinstance(text, tuple)]
        if sides and len(sides) == len(texts) and self.blanks is not None:
            other.drawn_to_blanks = draw_words(self.blanks.contexts, self.blanks.words, sides, words, one_fits=one_fits)
        else:
            read = partial(self.associations.read, self._ids)
            other.drawn = draw_words(read, read, texts, words, one_fits=one_fits)
        return other

    def nearness(self, texts: Sequence[str], words: Sequence[str]) -> np.ndarray | None:
        if self.associations is None:
            return None
        first, second = np.divmod(np.arange(len(texts) * len(words)), max(len(words), 1))
        found = self.associations.affinities(self._ids, texts, words, first, second, drawn=self.drawn)
        return np.nan_to_num(found).reshape(len(texts), len(words))

    def telling(self, words: Sequence[str]) -> np.ndarray | None:
        return None if self.associations is None else self.associations.telling(self._ids(words))

    def _beside(self, table: Associations, pairs: Sequence[Pair]) -> np.ndarray:
        """How well the marked part of each prompt goes with what is told beside it, as log-odds, float64 [P]."""
        found = np.zeros(len(pairs))
        asked = {number: pair.told for number, pair in enumerate(pairs) if isinstance(pair.told, tuple)}
        if asked and self.blanks is not None:
            names = [pairs[number].prompt.label for number in asked]
            found[list(asked)] = self.blanks.judge(list(asked.values()), names, drawn=self.drawn_to_blanks)
        else:
            asked = {}
        others = [number for number in range(len(pairs)) if number not in asked]
        found[others] = self._by_table(table, [pairs[number] for number in others])
        return found

    def _by_table(self, table: Associations, pairs: Sequence[Pair]) -> np.ndarray:
        texts, text_of = unique([pair.text if pair.told is None else pair.told for pair in pairs])
        labels, label_of = unique([pair.prompt.label for pair in pairs])
        found = table.affinities(self._ids, texts, labels, text_of, label_of, drawn=self.drawn)
        return np.nan_to_num((found - table.offset) * table.weight)


class NSPScorer(PairScorer, _Knowing):
    """Log-odds that the second sentence follows the first.

    model: any ``AutoModelForNextSentencePrediction`` whose class 0 is IsNext, or a model for pre-training that gives
    ``seq_relationship_logits``.
    associations: how near the marked part of the prompt lies to the text in this table is added to the log-odds, both
    weighted as the table says; None adds nothing.
    """

    def score(self, pairs: Sequence[Pair], *, progress: Progress | None = None) -> np.ndarray:
        scores = super().score(pairs, progress=progress)
        if self.associations is None:
            return scores
        return self.associations.head * scores + self._beside(self.associations, pairs)

    def _ids(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        return self.encoder.ids(texts)

    def _logits(self, outputs: Any) -> Any:
        """[B, 2] of either kind of model."""
        logits = getattr(outputs, "seq_relationship_logits", None)
        if logits is None:
            logits = getattr(outputs, "logits", None)
        if logits is None or logits.ndim != 2 or logits.shape[-1] != 2:
            shape = None if logits is None else tuple(logits.shape)
            raise MissingHeadError(
                f"{type(self.model).__name__} gives logits of shape {shape}, a next-sentence head gives [batch, 2]: "
                f"load the model for next-sentence prediction, or use scorer='pet' for a masked-LM head"
            )
        return logits


class AssociationScorer(_Knowing):
    """The table alone, no encoder: some thousand pairs a second, for a first look at many texts.

    tokenize: token ids of texts, by the tokenizer that the table was counted with. A table that nobody has fitted
    beside a head counts nothing there; alone, its cosines have to count.
    """

    def __init__(self, associations: Associations, tokenize: Tokenize) -> None:
        if not associations.weight:
            associations = replace(associations, weight=_UNFITTED)
        self.associations: Associations = associations
        self.tokenize = tokenize

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        """What `NSPScorer` adds to its log-odds, float64 [P]; 0 where a text or a label has no word that is known."""
        return self._beside(self.associations, pairs)

    def _ids(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        return self.tokenize(texts)
