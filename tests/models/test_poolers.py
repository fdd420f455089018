from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from ironwok.errors import InputError
from ironwok.models import (
    RoFormerV2Config,
    RoFormerV2ForNextSentencePrediction,
    RoFormerV2ForSequenceClassification,
)
from ironwok.models.common_words import FEATURES, common_words
from ironwok.models.poolers import POOLERS, RoFormerV2MatchPooler, grow, pooled_size

Make = Callable[..., RoFormerV2Config]
# [CLS] 10 11 12 [SEP] 11 13 [SEP] [PAD]
IDS = torch.tensor([[2, 10, 11, 12, 3, 11, 13, 3, 0]])
SEGMENTS = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1, 0]])
REAL = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 1, 0]], dtype=torch.bool)


@pytest.mark.parametrize("seed", range(5))
def test_common_words_are_what_counting_finds(seed: int) -> None:
    """Against counting in plain Python, on rows with words that repeat, padding, and nothing in common at times."""
    draw = random.Random(seed)
    weights_V = torch.rand(12) * 30
    for _ in range(20):
        first, second = ([draw.randrange(12) for _ in range(draw.randint(1, 9))] for _ in range(2))
        ids = torch.tensor([[0, *first, *second, 0, 0]])
        at = torch.arange(ids.shape[1])[None]
        inside = (at > 0) & (at <= len(first)), (at > len(first)) & (at <= len(first) + len(second))
        got = common_words(ids, weights_V[ids], *inside)[0].tolist()
        assert got == pytest.approx(counted(first, second, weights_V.tolist()), abs=2e-4)


def counted(first: list[int], second: list[int], weights: list[float]) -> list[float]:
    def share(own: Iterable[Any], other: Sequence[Any], weight: Callable[[Any], float]) -> float:
        own = list(own)
        return sum(weight(x) for x in own if x in other) / sum(map(weight, own))

    def pair(two: tuple[int, int]) -> float:
        return (weights[two[0]] ** 0.5 + weights[two[1]] ** 0.5) ** 2

    def near(own: Sequence[int], other: Sequence[int]) -> float:  # from the border outwards
        places = [(word, weights[word] * math.exp(-distance / 20)) for distance, word in enumerate(own)]
        return sum(weight for word, weight in places if word in other) / sum(weight for _, weight in places)

    word = weights.__getitem__
    distinct = share(set(first), second, word), share(set(second), first, word)
    pairs = list(pairwise(first)), list(pairwise(second))
    both = [share(set(own), other, pair) if own else 0.0 for own, other in (pairs, pairs[::-1])]
    common = set(first) & set(second)
    return [
        math.sqrt(distinct[0] * distinct[1]),
        *distinct,
        share(first, second, word),
        share(second, first, word),
        math.sqrt(both[0] * both[1]),
        near(first[::-1], second),
        near(second, first),
        math.log(len(first) + 1) / 4,
        math.log(len(second) + 1) / 4,
        max((math.sqrt(word(x)) for x in common), default=0.0) / 10,
        math.log1p(sum(map(word, common))) / 5,
        1.0,
    ]


def test_the_match_pooler_adds_counts_to_what_the_simpler_one_says(tiny: Make) -> None:
    torch.manual_seed(0)
    simple, grown = POOLERS["segments"](tiny()), RoFormerV2MatchPooler(tiny())
    missing, unexpected = grown.load_state_dict(simple.state_dict(), strict=False)
    assert sorted(missing) == ["common.weight", "salience"]
    assert not unexpected
    idf_V = torch.full((50,), 2.0)
    idf_V[11] = 4.0
    grown.start(idf_V, special_ids=range(5))
    width = tiny().hidden_size
    hidden, words = torch.randn(1, 9, width), torch.randn(1, 9, width)
    seen: list[torch.Tensor] = []
    grown.common.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    output = grown(hidden, words, IDS, SEGMENTS, REAL)
    assert torch.equal(output[:, :width], simple(hidden, words, IDS, SEGMENTS, REAL))
    assert output.shape[1] == pooled_size(tiny(pooling="matches"))
    # of 10, 11, 12 one stands on the other side, of 11, 13 one; 11 weighs 16, the others 4, [SEP] nothing
    common = dict(zip(FEATURES, seen[0][0].tolist(), strict=True))
    assert common["words, first side"] == pytest.approx(16 / 24, abs=1e-4)
    assert common["words, second side"] == pytest.approx(16 / 20, abs=1e-4)
    assert common["most telling common word"] == pytest.approx(0.4, abs=1e-4)


def test_what_is_new_in_a_grown_model_counts_nothing_yet(tiny: Make) -> None:
    torch.manual_seed(0)
    simple = RoFormerV2ForNextSentencePrediction(tiny(pooling="segments")).eval()
    grown = RoFormerV2ForNextSentencePrediction(tiny(pooling="matches")).eval()
    missing, unexpected = grown.load_state_dict(grow(simple.state_dict(), "matches"), strict=False)
    assert sorted(missing) == ["roformer.pooler.common.weight", "roformer.pooler.salience"]
    assert not unexpected
    inputs = {"input_ids": IDS, "token_type_ids": SEGMENTS, "attention_mask": REAL.long()}
    torch.testing.assert_close(simple(**inputs).logits, grown(**inputs).logits)


def test_counts_reach_every_head_on_whole_sequences(tiny: Make) -> None:
    model = RoFormerV2ForSequenceClassification(tiny(pooling="matches", num_labels=3)).eval()
    assert model.classifier.in_features == pooled_size(model.config)
    assert model(IDS, token_type_ids=SEGMENTS).logits.shape == (1, 3)


@pytest.mark.parametrize("pooling", ["segments", "matches"])
def test_segments_without_tokens_and_padding(tiny: Make, pooling: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = RoFormerV2ForNextSentencePrediction(tiny(pooling=pooling)).eval()
    alone = model(IDS[:, :8], token_type_ids=SEGMENTS[:, :8]).logits
    padded = model(IDS, token_type_ids=SEGMENTS, attention_mask=REAL.long()).logits
    torch.testing.assert_close(alone, padded, rtol=1e-4, atol=1e-5)
    loss = model(IDS[:, :5], labels=torch.tensor([1])).loss  # no second segment at all
    loss.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    model.save_pretrained(tmp_path)
    loaded = RoFormerV2ForNextSentencePrediction.from_pretrained(tmp_path)
    again = loaded(IDS, token_type_ids=SEGMENTS, attention_mask=REAL.long()).logits
    torch.testing.assert_close(again, padded)


def test_words_are_compared_by_their_ids(tiny: Make) -> None:
    model = RoFormerV2ForNextSentencePrediction(tiny(pooling="matches"))
    with pytest.raises(InputError, match="pass input_ids instead of inputs_embeds"):
        model(inputs_embeds=torch.randn(1, 9, tiny().hidden_size), token_type_ids=SEGMENTS)


def test_the_vocabulary_grows_with_the_embeddings(tiny: Make) -> None:
    model = RoFormerV2ForNextSentencePrediction(tiny(pooling="matches"))
    with torch.no_grad():
        model.roformer.pooler.salience.copy_(torch.arange(50.0))
    model.resize_token_embeddings(60)
    assert model.roformer.pooler.salience.tolist()[49:51] == [49.0, 24.5]
    assert model(torch.tensor([[2, 59, 3, 59, 3]])).logits.isfinite().all()
    model.resize_token_embeddings(40)
    assert model.roformer.pooler.salience.shape == (40,)
