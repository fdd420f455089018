"""What runs are judged by: a baseline worked by hand, and counts that add up over processes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_pair_sampling import CLS, PAD, SEP, sampler_of

from ironwok.models import RoFormerV2Config, RoFormerV2ForPreTraining
from ironwok.training.corpus import TOKEN_BITS
from ironwok.training.evaluation import (
    HeldOut,
    MaskingOptions,
    best_threshold,
    held_out_options,
    overlap_accuracy,
    overlap_scores,
    token_idf,
)
from ironwok.training.pairs import PairBatch, PairOptions


def batch_of(pairs: list[tuple[list[int], list[int], bool]]) -> PairBatch:
    """Rows of tokens by hand."""
    length = max(len(a) + len(b) for a, b, _ in pairs) + 3
    ids = np.full((len(pairs), length), PAD)
    maskable = np.zeros(ids.shape, dtype=bool)
    segments, attention = np.zeros_like(ids), np.zeros_like(maskable)
    for row, (first, second, _) in enumerate(pairs):
        tokens = [CLS, *first, SEP, *second, SEP]
        ids[row, : len(tokens)] = tokens
        maskable[row, : len(tokens)] = [token not in (CLS, SEP) for token in tokens]
        attention[row, : len(tokens)] = True
        segments[row, len(first) + 2 : len(tokens)] = 1
    return PairBatch(
        input_ids=ids,
        token_type_ids=segments,
        attention_mask=attention,
        continues=np.zeros_like(maskable),
        maskable=maskable,
        next_sentence_label=np.array([0 if follows else 1 for _, _, follows in pairs]),
        kinds=np.zeros(len(pairs), dtype=np.int64),
        second_starts=np.array([len(first) + 2 for first, _, _ in pairs]),
    )


def test_overlap_by_hand():
    idf = np.zeros(20)
    idf[5:10] = [1.0, 2.0, 3.0, 2.0, 0.0]
    batch = batch_of(
        [
            ([5, 6], [6, 7], True),  # 2² / sqrt((1 + 4) (4 + 9))
            ([6, 6, 8], [6, 8, 8], True),  # sets: the same ones
            ([5, 7], [6, 8], False),  # nothing in common
            ([9], [9], False),  # a token that is everywhere weighs nothing
        ]
    )
    assert overlap_scores(batch, idf) == pytest.approx([4 / np.sqrt(5 * 13), 1.0, 0.0, 0.0])


def test_overlap_accuracy_fits_each_half_on_the_other():
    idf = np.ones(20)
    similar, strange = ([5, 6], [5, 6]), ([5, 6], [7, 8])
    right = batch_of([(*similar, True), (*strange, False)] * 4)
    assert overlap_accuracy([right], idf) == 1.0
    # what the first half teaches is wrong in the second
    turned = batch_of([(*similar, False), (*strange, True)] * 4)
    assert overlap_accuracy([right, turned], idf) <= 0.5


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.1, 0.5, 0.75, 1.0]) | st.floats(0, 1), st.booleans()), min_size=1)
)
def test_the_best_threshold_is_the_best(pairs):
    scores, follows = (np.array(values) for values in zip(*pairs, strict=True))
    threshold = best_threshold(scores, follows)
    candidates = [-np.inf, np.inf, *scores, *(np.nextafter(score, -1) for score in scores)]
    best = max(((scores > candidate) == follows).sum() for candidate in candidates)
    assert ((scores > threshold) == follows).sum() == best


def test_idf_counts_stretches_of_training_text(store, tokenizer):
    idf = token_idf(store, vocabulary=len(tokenizer))
    comma, tea = (tokenizer.convert_tokens_to_ids(token) for token in (",", "茶"))
    assert idf.shape == (len(tokenizer),)
    assert idf[comma] < idf[tea] < idf[tokenizer.mask_token_id]
    assert idf[comma] == pytest.approx(0.0, abs=0.02)
    # held-out text tells nothing: a token that stands only there is one that was never seen
    bounds = store.units[store.documents].astype(int)
    seen: dict[bool, set[int]] = {True: set(), False: set()}
    for number, held in enumerate(store.held_out.tolist()):
        seen[held] |= set((store.tokens[bounds[number] : bounds[number + 1]] & TOKEN_BITS).tolist())
    only = seen[True] - seen[False]
    assert all(idf[token] == idf[tokenizer.mask_token_id] for token in only)


def test_held_out_pairs_are_of_one_kind_each_and_fit_the_model():
    plan = held_out_options(PairOptions(kinds={"next": 0.5, "keyword": 0.5}), longest=100)
    assert list(plan) == ["full", "short", "near", "keyword"]
    lengths = {name: own.lengths[0][0] for name, own in plan.items()}
    assert lengths == {"full": 100, "short": 25, "near": 100, "keyword": 64}
    assert [name for name, own in plan.items() if own.same_document] == ["near"]
    assert all(own.any_source == 0 and len(own.kinds) == 1 for own in plan.values())


@pytest.fixture(scope="module")
def held_out(store, tokenizer) -> HeldOut:
    plan = held_out_options(PairOptions(kinds={"next": 0.5, "heading": 0.5}), longest=64)
    batches = {
        name: [sampler_of(store, tokens=640, held_out=True, **_fields(own)).batch(number) for number in range(3)]
        for name, own in plan.items()
    }
    masking = MaskingOptions(mask_id=4, vocabulary=len(tokenizer), first_ordinary_id=5, seed=2)
    return HeldOut(batches, idf=token_idf(store, vocabulary=len(tokenizer)), masking=masking)


def _fields(options: PairOptions) -> dict:
    return {name: getattr(options, name) for name in PairOptions.__dataclass_fields__}


class Oracle(torch.nn.Module):
    """Knows the pairs it is asked about, but for every fourth; takes every masked token for a comma."""

    def __init__(self, batches, tokenizer) -> None:
        super().__init__()
        self.comma = tokenizer.convert_tokens_to_ids(",")
        self.vocabulary = len(tokenizer)
        self.known = {
            tuple(ids[mask]): (int(label), number % 4 == 0)
            for own in batches.values()
            for batch in own
            for number, (ids, mask, label) in enumerate(
                zip(batch.input_ids, batch.attention_mask, batch.next_sentence_label, strict=True)
            )
        }
        self.modes: list[bool] = []

    def forward(self, input_ids, token_type_ids, attention_mask, labels=None):
        self.modes.append(self.training)
        if labels is not None:
            targets = labels[labels != -100]
            logits = torch.zeros(len(targets), self.vocabulary)
            logits[:, self.comma] = 1.0
            loss = torch.nn.functional.cross_entropy(logits, targets)
            return SimpleNamespace(labelled_targets=targets, labelled_logits=logits, mlm_loss=loss)
        rows = [self.known[tuple(ids[mask].tolist())] for ids, mask in zip(input_ids, attention_mask, strict=True)]
        answers = torch.tensor([label if not wrong else 1 - label for label, wrong in rows])
        return SimpleNamespace(seq_relationship_logits=torch.nn.functional.one_hot(answers, 2).float())


def test_accuracies_of_a_model_whose_answers_are_known(held_out, tokenizer):
    model = Oracle(held_out.batches, tokenizer).train()
    results = held_out.evaluate(model, device=torch.device("cpu"))
    assert results is not None
    for name, batches in held_out.batches.items():
        wrong = sum(len(range(0, len(batch.input_ids), 4)) for batch in batches)
        pairs = sum(len(batch.input_ids) for batch in batches)
        assert results[f"nsp_{name}"] == pytest.approx(1 - wrong / pairs)
        assert results[f"overlap_{name}"] == held_out.overlap[name]
    assert 0 < results["mlm_accuracy"] < 0.3
    assert results["mlm_held_out_loss"] == pytest.approx(np.log(len(tokenizer)), rel=0.05)
    assert not any(model.modes)
    assert model.training


@pytest.fixture(scope="module")
def model(tokenizer) -> RoFormerV2ForPreTraining:
    torch.manual_seed(0)
    config = RoFormerV2Config(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    return RoFormerV2ForPreTraining(config)


def test_processes_share_the_work_and_agree(held_out, model):
    device = torch.device("cpu")
    alone = held_out.evaluate(model, device=device)
    assert alone == held_out.evaluate(model, device=device)
    counts: list[torch.Tensor] = []
    for rank in range(3):
        held_out.evaluate(model, device=device, share=(rank, 3), total_of=lambda own: counts.append(own) or own)
    together = held_out.evaluate(model, device=device, share=(0, 3), total_of=lambda own: sum(counts))
    assert together == pytest.approx(alone)


def test_a_stop_gives_the_evaluation_up_in_all_processes(held_out, model):
    device = torch.device("cpu")
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    assert held_out.evaluate(model, device=device, stop=stop) is None
    assert len(asked) == 3

    def with_another_that_stopped(counts: torch.Tensor) -> torch.Tensor:
        other = torch.zeros_like(counts)
        other[-1, 0] = 1
        return counts + other

    assert held_out.evaluate(model, device=device, total_of=with_another_that_stopped) is None
