import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertForPreTraining, BertForSequenceClassification, BertModel

from ironwok.errors import InputError, LabelError, LongTextWarning, MissingHeadError, TextTooLongError
from ironwok.zero_shot import NLIScorer, NSPScorer, Pair, PETScorer, Prompt

TEXTS = (
    "外面下雨了。",
    "比赛进入最后一分钟，前锋射门得分，全场球迷欢呼起来。",
    "The kettle is boiling.",
    "股市今天大跌。",
)
LABELS = ("足球", "天气", "tea", "投资者亏了钱")

pairs_of = st.lists(
    st.builds(
        Pair,
        st.sampled_from(TEXTS),
        st.builds(Prompt, st.sampled_from(["", "这是"]), st.sampled_from(LABELS), st.sampled_from(["", "新闻。"])),
        st.sampled_from(["prefix", "suffix"]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture(params=["nsp", "pet"])
def scorer(request):
    return request.getfixturevalue(f"{request.param}_scorer")


def test_nsp_scores_are_the_logit_difference_of_the_model_alone(nsp_model, nsp_scorer, tokenizer):
    pair = Pair(TEXTS[0], Prompt("这是", "天气", "新闻"))
    with torch.inference_mode():
        prefix = nsp_model(**tokenizer("这是天气新闻", TEXTS[0], return_tensors="pt")).logits[0]
        suffix = nsp_model(**tokenizer(TEXTS[0], "这是天气新闻", return_tensors="pt")).logits[0]
    scores = nsp_scorer.score([pair, pair._replace(position="suffix")])
    assert scores == pytest.approx([float(prefix[0] - prefix[1]), float(suffix[0] - suffix[1])], abs=1e-5)
    assert abs(scores[0] - scores[1]) > 1e-3


def test_pet_scores_are_the_mean_log_probability_at_the_masks(mlm_model, pet_scorer, tokenizer):
    """Against one pass per label with the tokenizer's own encoding."""
    for label in LABELS:
        label_ids = tokenizer.encode(label, add_special_tokens=False)
        prompt = "这是" + tokenizer.mask_token * len(label_ids) + "新闻"
        encoded = tokenizer(prompt, TEXTS[1], return_tensors="pt")
        with torch.inference_mode():
            logprobs = mlm_model(**encoded).logits[0].log_softmax(-1)
        masks = (encoded["input_ids"][0] == tokenizer.mask_token_id).nonzero()[:, 0]
        expected = float(logprobs[masks, torch.tensor(label_ids)].mean())
        assert pet_scorer.score([Pair(TEXTS[1], Prompt("这是", label, "新闻"))]) == pytest.approx([expected], abs=1e-5)


def test_pet_takes_one_pass_for_all_labels_of_one_length(mlm_model, tokenizer):
    rows = []

    class Counting(PETScorer):
        def run(self, lengths, row_of, read, *, model=None, progress=None):
            rows.append(len(lengths))
            super().run(lengths, row_of, read, model=model, progress=progress)

    labels = ["天气", "雨伞", "厨房", "投资者"]
    Counting(mlm_model, tokenizer).score([Pair(TEXTS[0], Prompt("", label, "")) for label in labels])
    assert rows == [2]


def test_pet_reads_a_prompt_alone_where_there_is_no_text(mlm_model, pet_scorer, tokenizer):
    encoded = tokenizer("外面[MASK][MASK]了", return_tensors="pt")
    ids = tokenizer.encode("下雨", add_special_tokens=False)
    with torch.inference_mode():
        logprobs = mlm_model(**encoded).logits[0].log_softmax(-1)
    expected = float(logprobs[[3, 4], ids].mean())
    assert pet_scorer.score([Pair("", Prompt("外面", "下雨", "了"))]) == pytest.approx([expected], abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(pairs=pairs_of, batch_size=st.integers(1, 5), random=st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_batch_size_or_order(nsp_model, mlm_model, tokenizer, pairs, batch_size, random):
    order = list(range(len(pairs)))
    random.shuffle(order)
    for kind, model in ((NSPScorer, nsp_model), (PETScorer, mlm_model)):
        together = kind(model, tokenizer).score(pairs)
        batched = kind(model, tokenizer, batch_size=batch_size).score([pairs[i] for i in order])
        assert batched == pytest.approx(together[order], abs=1e-4)


def test_equal_pairs_have_exactly_equal_scores(scorer):
    pairs = [Pair(text, Prompt("", label, "")) for text in TEXTS for label in LABELS[:2]]
    scores = scorer.score([*pairs, *reversed(pairs)])
    assert (scores[: len(pairs)] == scores[len(pairs) :][::-1]).all()


def test_scores_are_reproducible_to_the_bit(scorer):
    pairs = [Pair(text, Prompt("", label, "")) for text in TEXTS for label in LABELS]
    assert (scorer.score(pairs) == scorer.score(pairs)).all()


def test_progress_adds_up_to_the_distinct_pairs(scorer):
    done = []
    pairs = [Pair(text, Prompt("", label, "")) for text in TEXTS for label in LABELS]
    scorer.score([*pairs, *pairs], progress=done.append)
    assert sum(done) == len(pairs)


def test_a_text_beyond_the_limit_loses_its_end(scorer):
    start = "比赛进入最后一分钟" * 6
    prompt = Prompt("", "足球", "")
    with pytest.warns(LongTextWarning, match="2 texts do not fit into 64 tokens"):
        scores = scorer.score([Pair(start + "甲" * 100, prompt), Pair(start + "乙" * 100, prompt)])
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_a_prompt_that_fills_the_model_is_an_error(scorer):
    with pytest.raises(TextTooLongError, match="shorten the label"):
        scorer.score([Pair(TEXTS[0], Prompt("", "雨" * 60, ""))])


def test_a_prompt_alone_must_fit_too(pet_scorer):
    with pytest.raises(TextTooLongError, match="has 64 tokens, the model takes 64: give it less context"):
        pet_scorer.score([Pair("", Prompt("雨" * 60, "天气预报", ""))])


def test_lone_surrogates_are_scored_like_any_unknown_character(scorer):
    assert np.isfinite(scorer.score([Pair("外面\ud800下雨", Prompt("", "天气", ""))])).all()


def test_windows_leave_room_for_the_longest_prompt(scorer, tokenizer):
    prompts = [Prompt("这是", label, "新闻") for label in LABELS]
    text = "外面下雨了，记得带上雨伞。" * 12
    ((*spans,),) = scorer.windows([text], prompts=[prompts], limit=40)
    longest = max(len(tokenizer.encode(prompt.text, add_special_tokens=False)) for prompt in prompts)
    assert len(spans) > 1
    for span in spans:
        assert len(tokenizer.encode(span.text, add_special_tokens=False)) + longest + 3 <= 40


def test_embeddings_are_means_of_hidden_states(nsp_model, nsp_scorer, tokenizer):
    with torch.inference_mode():
        hidden = nsp_model.bert(**tokenizer(TEXTS[2], return_tensors="pt")).last_hidden_state[0]
    vectors = nsp_scorer.embed([TEXTS[1], TEXTS[2], TEXTS[1]])
    assert vectors.shape == (3, 32)
    assert vectors[1] == pytest.approx(hidden.mean(0).numpy(), abs=1e-5)
    assert (vectors[0] == vectors[2]).all()


def test_pet_refuses_what_it_cannot_mask(pet_scorer):
    with pytest.raises(InputError, match="marks no label"):
        pet_scorer.score([Pair("外面下雨了。", Prompt("第二句", "", ""))])
    with pytest.raises(LabelError, match="no token"):
        pet_scorer.score([Pair("外面下雨了。", Prompt("这是", "\u200b", ""))])


def test_heads_of_the_wrong_kind_are_named(bert_config, mlm_model, nsp_model, tokenizer):
    pair = Pair(TEXTS[0], Prompt("", "天气", ""))
    with pytest.raises(MissingHeadError, match="scorer='pet'"):
        NSPScorer(mlm_model, tokenizer).score([pair])
    with pytest.raises(MissingHeadError, match="scorer='nsp'"):
        PETScorer(nsp_model, tokenizer).score([pair])
    with pytest.raises(MissingHeadError, match="gives logits of shape None"):
        NSPScorer(BertModel(bert_config), tokenizer).score([pair])


def test_a_pretraining_model_serves_both_scorers(bert_config, tokenizer):
    torch.manual_seed(3)
    both = BertForPreTraining(bert_config).eval()
    pair = Pair(TEXTS[0], Prompt("", "天气", ""))
    with torch.inference_mode():
        logits = both(**tokenizer("天气", TEXTS[0], return_tensors="pt")).seq_relationship_logits[0]
    assert NSPScorer(both, tokenizer).score([pair]) == pytest.approx([float(logits[0] - logits[1])], abs=1e-5)
    assert PETScorer(both, tokenizer).score([pair])[0] < 0


def test_nli_scores_entailment_against_contradiction(bert_config, tokenizer):
    torch.manual_seed(4)
    config = type(bert_config).from_dict({**bert_config.to_dict(), "num_labels": 3})
    config.id2label = {0: "contradiction", 1: "neutral", 2: "entailment"}
    config.label2id = {name: index for index, name in config.id2label.items()}
    model = BertForSequenceClassification(config).eval()
    with torch.inference_mode():
        logits = model(**tokenizer(TEXTS[0], "这是天气", return_tensors="pt")).logits[0]
    scorer = NLIScorer(model, tokenizer)
    assert scorer.default_position == "suffix"
    scores = scorer.score([Pair(TEXTS[0], Prompt("这是", "天气", ""), "suffix")])
    assert scores == pytest.approx([float(logits[2] - logits[0])], abs=1e-5)
    config.label2id = {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    with pytest.raises(MissingHeadError, match="none of them 'entailment'"):
        NLIScorer(model, tokenizer)


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("batch_tokens", 0), ("max_tokens", 65)])
def test_impossible_sizes_are_refused(nsp_model, tokenizer, name, value):
    with pytest.raises(InputError, match=f"{name} is {value}"):
        NSPScorer(nsp_model, tokenizer, **{name: value})
