from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ironwok.errors import InputError
from ironwok.models import RoFormerV2Config, RoFormerV2ForNextSentencePrediction
from ironwok.models.poolers import POOLERS, RoFormerV2MatchPooler

Make = Callable[..., RoFormerV2Config]
# [CLS] 10 11 12 [SEP] 11 13 [SEP] [PAD]
IDS = torch.tensor([[2, 10, 11, 12, 3, 11, 13, 3, 0]])
SEGMENTS = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1, 0]])
REAL = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 1, 0]], dtype=torch.bool)


def matching(config: RoFormerV2Config) -> tuple[RoFormerV2MatchPooler, list[torch.Tensor]]:
    """A pooler in which specials count nothing, and the list that its features will be put into."""
    pooler = RoFormerV2MatchPooler(config)
    with torch.no_grad():
        pooler.salience.zero_()
        pooler.salience[:5] = -30.0
    seen: list[torch.Tensor] = []
    pooler.matches.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    return pooler, seen


def look(pooler: RoFormerV2MatchPooler, words_VD: torch.Tensor, ids: torch.Tensor = IDS) -> torch.Tensor:
    return pooler(torch.randn(*ids.shape, words_VD.shape[1]), words_VD[ids], ids, SEGMENTS, REAL)


def test_shares_that_stand_on_the_other_side_by_hand(tiny: Make) -> None:
    config = tiny(pooling="matches")
    pooler, seen = matching(config)
    words_VD = torch.eye(50, config.hidden_size)  # no word resembles another
    look(pooler, words_VD)
    with torch.no_grad():
        pooler.salience[11] = torch.tensor(2.0).log()  # twice as telling as the others
    look(pooler, words_VD)
    even, uneven = (features[0].detach() / pooler.SIMILARITY_SCALE for features in seen)
    per_side = 2 + len(pooler.KERNELS)
    # of 10, 11, 12 one stands on the other side, of 11, 13 one; then with weights 1, 2, 1 and 2, 1
    for features, first, second in ((even, 1 / 3, 1 / 2), (uneven, 2 / 4, 2 / 3)):
        shares = [features[0], features[per_side], features[-2]]
        expected = [first, second, (first * second) ** 0.5]
        assert [float(share) for share in shares] == pytest.approx(expected, abs=1e-4)
        assert float(features[1]) == pytest.approx(
            first, abs=1e-4
        )  # the greatest cosines are 1 for these and 0 for the rest


def test_near_words_fall_into_the_kernel_of_their_cosine(tiny: Make) -> None:
    config = tiny(pooling="matches")
    pooler, seen = matching(config)
    words_VD = torch.eye(50, config.hidden_size)
    words_VD[12] = 0.6 * words_VD[13] + 0.8 * words_VD[12]  # a cosine of 0.6 with the other side's 13
    look(pooler, words_VD)
    kernels = seen[0][0, 2:6].detach() / pooler.SIMILARITY_SCALE
    # of the three words one stands there as it is, and one is at 0.6
    assert float(kernels[pooler.KERNELS.index(0.6)]) == pytest.approx(1 / 3, abs=1e-3)
    assert float(kernels.sum()) < 0.5


def test_new_weights_of_zero_change_nothing(tiny: Make) -> None:
    """That is how a model with the simpler pooler goes on."""
    torch.manual_seed(0)
    simple, grown = POOLERS["segments"](tiny()), POOLERS["matches"](tiny())
    missing, unexpected = grown.load_state_dict(simple.state_dict(), strict=False)
    assert sorted(missing) == ["matches.weight", "salience"]
    assert not unexpected
    with torch.no_grad():
        grown.matches.weight.zero_()
    width = tiny().hidden_size
    hidden, words = torch.randn(1, 9, width), torch.randn(1, 9, width)
    assert torch.equal(simple(hidden, words, IDS, SEGMENTS, REAL), grown(hidden, words, IDS, SEGMENTS, REAL))


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
