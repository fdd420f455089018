"""The self-check, against models of overlap whose only flaw is the one to be caught."""

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertPreTrainedModel
from transformers.modeling_outputs import NextSentencePredictorOutput

from ironwok.errors import InputError, SelfCheckError, SelfCheckWarning, TextTooLongError
from ironwok.zero_shot import NSPScorer, ScorerOptions, load_scorer, self_check
from ironwok.zero_shot.encoding import PairEncoder
from ironwok.zero_shot.selfcheck import check_when_loaded
from ironwok.zero_shot.selfcheck_pairs import CHINESE, ENGLISH, PAIRS


class SegmentReader(BertPreTrainedModel):
    """Knows which sentences belong together by heart, and reads which is which from the segment ids alone."""

    config_class = BertConfig

    def __init__(self, config, tokenizer, *, swapped=False):
        super().__init__(config)
        self.unused = nn.Linear(1, 1)
        self.swapped = swapped
        self.follows = {
            tuple(tokenizer.encode(a, add_special_tokens=False)): tuple(tokenizer.encode(b, add_special_tokens=False))
            for pairs in PAIRS.values()
            for a, b in pairs
        }
        self.special = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id}

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None):
        logits = torch.zeros(len(input_ids), 2)
        for row, (ids, segments) in enumerate(zip(input_ids.tolist(), token_type_ids.tolist(), strict=True)):
            first = tuple(i for i, s in zip(ids, segments, strict=True) if s == 0 and i not in self.special)
            second = tuple(i for i, s in zip(ids, segments, strict=True) if s == 1 and i not in self.special)
            # without a second segment it answers by nothing better than the ids themselves
            known = float(self.follows[first] == second) if second else (sum(first) % 101) / 101
            logits[row, 1 if self.swapped else 0] = 5 * known
        return NextSentencePredictorOutput(logits=logits)


@pytest.fixture
def config(tokenizer):
    return BertConfig(vocab_size=len(tokenizer), max_position_embeddings=512, type_vocab_size=2, hidden_size=4)


@pytest.fixture
def wide_tokenizer(tokenizer):
    import copy

    wide = copy.deepcopy(tokenizer)
    wide.model_max_length = 512
    return wide


def test_our_pairs_are_many_short_and_long_and_all_different():
    for pairs in (CHINESE, ENGLISH):
        assert len(pairs) == 16
        assert len({sentence for pair in pairs for sentence in pair}) == 32
        lengths = sorted(len(a) + len(b) for a, b in pairs)
        assert lengths[8] > 2 * lengths[7]


def test_a_working_model_passes(config, wide_tokenizer):
    check = self_check(NSPScorer(SegmentReader(config, wide_tokenizer), wide_tokenizer), on_failure="raise")
    assert check.passed
    assert dict(check.wins) == {"Chinese": 1.0, "English": 1.0}


def test_swapped_classes_are_caught(config, wide_tokenizer):
    scorer = NSPScorer(SegmentReader(config, wide_tokenizer, swapped=True), wide_tokenizer)
    with pytest.raises(SelfCheckError, match=r"classes look swapped.*class 0 must be IsNext"):
        self_check(scorer, on_failure="raise")


def test_missing_segment_ids_are_caught(config, wide_tokenizer, monkeypatch):
    original = PairEncoder.batch

    def forgetful(self, rows, device):
        inputs = original(self, rows, device)
        inputs["token_type_ids"].zero_()
        return inputs

    monkeypatch.setattr(PairEncoder, "batch", forgetful)
    scorer = NSPScorer(SegmentReader(config, wide_tokenizer), wide_tokenizer)
    with pytest.raises(SelfCheckError, match="missing segment ids"):
        self_check(scorer, on_failure="raise")


def test_segment_ids_survive_a_tokenizer_that_does_not_make_them(config, wide_tokenizer):
    wide_tokenizer.model_input_names = ["input_ids", "attention_mask"]
    assert self_check(NSPScorer(SegmentReader(config, wide_tokenizer), wide_tokenizer)).passed


def test_one_language_is_enough():
    class Chinese:
        def score(self, pairs):
            known = set(CHINESE)
            return np.array([float((pair.prompt.text, pair.text) in known) for pair in pairs])

    check = self_check(Chinese(), on_failure="raise")
    assert check.wins["Chinese"] == 1.0
    assert check.wins["English"] == 0.5


def test_at_load_a_language_that_passes_is_enough(config, wide_tokenizer):
    scorer = NSPScorer(SegmentReader(config, wide_tokenizer), wide_tokenizer)
    assert dict(self_check(scorer, until_passed=True).wins) == {"Chinese": 1.0}
    assert set(self_check(Guess(), until_passed=True).wins) == {"Chinese", "English"}


class Guess:
    def score(self, pairs):
        return np.random.default_rng(5).normal(size=len(pairs))


def test_a_guessing_scorer_is_warned_of_refused_or_let_through_as_asked():
    with pytest.warns(SelfCheckWarning, match="no better than chance"):
        check_when_loaded(Guess(), "warn")
    with pytest.raises(SelfCheckError, match="That is a guess"):
        check_when_loaded(Guess(), "raise")
    assert check_when_loaded(Guess(), "skip") is None
    with pytest.raises(InputError, match="on_self_check is 'never'"):
        check_when_loaded(Guess(), "never")


def test_a_model_of_few_tokens_is_unchecked_and_that_is_said():
    class Short:
        def score(self, pairs):
            raise TextTooLongError("the prompt leaves 0 of 20 to the text")

    with pytest.warns(SelfCheckWarning, match="too few tokens for the sentences of the self-check"):
        assert check_when_loaded(Short(), "warn") is None
    with pytest.raises(SelfCheckError, match="so that it is unchecked"):
        check_when_loaded(Short(), "raise")


def test_max_tokens_are_for_the_texts_of_the_caller_alone(nsp_folder):
    with pytest.warns(SelfCheckWarning, match="cannot tell consecutive sentences"):
        short = load_scorer("nsp", str(nsp_folder), ScorerOptions(max_tokens=20))
    assert isinstance(short, NSPScorer)
    assert short.max_tokens == 20


def test_a_preference_for_some_sentences_does_not_pass():
    class Lengths:
        def score(self, pairs):
            return np.array([float(len(pair.text)) for pair in pairs])

    assert not self_check(Lengths()).passed


def test_too_few_pairs_are_refused():
    with pytest.raises(InputError, match="3 sentence pairs are too few"):
        self_check(Guess(), pairs={"Chinese": CHINESE[:3]})
