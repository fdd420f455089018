import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import InputError, LabelError, LongTextWarning, ModelError, TemplateError, TextTooLongError
from ironwok.zero_shot import ZeroShotClassifier
from ironwok.zero_shot.reader import NEUTRAL_TEXTS

TEXTS = ["足球比赛今晚开始", "股票今天大跌", "新手机明天发布"]
LABELS = ["足球", "股票", "手机"]


@pytest.fixture
def classifier(overlap):
    return ZeroShotClassifier(scorer=overlap)


@pytest.fixture
def tiny(nsp_scorer):
    return ZeroShotClassifier(scorer=nsp_scorer)


# --- called like the pipeline of transformers -------------------------------------------------------------------


def test_one_text_gives_one_dict_with_the_pipelines_keys(classifier):
    result = classifier(TEXTS[0], LABELS)
    assert list(result) == ["sequence", "labels", "scores"]
    assert result["sequence"] == TEXTS[0]
    assert result["labels"][0] == "足球"
    assert sorted(result["labels"]) == sorted(LABELS)
    assert result["scores"] == sorted(result["scores"], reverse=True)
    assert math.isclose(sum(result["scores"]), 1)
    assert all(type(score) is float for score in result["scores"])


def test_a_list_gives_a_list_even_of_one(classifier):
    assert [r["labels"][0] for r in classifier(TEXTS, candidate_labels="足球,股票,手机")] == LABELS
    assert isinstance(classifier([TEXTS[0]], candidate_labels=LABELS), list)
    assert classifier([], candidate_labels=LABELS) == []


def test_the_pipelines_arguments_by_name_and_by_place(classifier):
    by_name = classifier(sequences=TEXTS, candidate_labels=LABELS, hypothesis_template="说的是{}。", multi_label=False)
    assert by_name == classifier(TEXTS, LABELS, "说的是{}。")
    assert classifier.scorer.asked[0].prompt.text == "说的是足球。"


def test_multi_label_scores_stand_for_themselves(classifier):
    result = classifier("足球和股票", LABELS, multi_label=True)
    assert result["scores"][0] > 0.99
    assert result["scores"][1] > 0.99
    assert result["scores"][2] == pytest.approx(0.5)
    assert classifier("足球", ["足球"], multi_label=True)["labels"] == ["足球"]


def test_one_label_alone_is_judged_by_itself_as_in_the_pipeline(classifier):
    assert classifier("足球", ["足球"]) == classifier("足球", "足球") == classifier("足球", ["足球"], multi_label=True)
    assert classifier("足球", ["足球"])["scores"][0] > 0.5


def test_the_pipelines_keywords_for_batches_and_long_texts(classifier):
    assert classifier(TEXTS, LABELS, batch_size=2, truncation=True) == classifier(TEXTS, LABELS)
    assert classifier(TEXTS, LABELS, truncation="do_not_truncate") == classifier(TEXTS, LABELS)
    with pytest.raises(InputError, match="truncation is 'only_second'"):
        classifier(TEXTS, LABELS, truncation="only_second")


def test_missing_labels_say_so(classifier):
    with pytest.raises(InputError, match="candidate_labels are missing"):
        classifier(TEXTS)


# --- classify ----------------------------------------------------------------------------------------------------


def test_results_keep_texts_and_order(classifier):
    results = classifier.classify(TEXTS, labels=LABELS)
    assert [r.text for r in results] == TEXTS
    assert [r.label for r in results] == LABELS
    assert all(r.evidence is None and not r.abstained for r in results)


def test_the_default_template_speaks_the_language_of_the_labels(overlap):
    ZeroShotClassifier(scorer=overlap).classify("x", labels="足球,股票")
    ZeroShotClassifier(scorer=overlap).classify("x", labels="football,stocks")
    sentences = [pair.prompt.text for pair in overlap.asked]
    assert sentences[2:] == ["This example is football.", "This example is stocks."]
    assert "足球" in sentences[0]
    assert sentences[0] != "足球"


def test_several_templates_are_averaged(table_scorer):
    class ByTemplate(table_scorer):
        def score(self, pairs):
            return super().score(pairs) + np.array([len(pair.prompt.before) for pair in pairs])

    texts = ["t"]
    scorer = ByTemplate({("t", "a"): 1.0})
    probabilities = ZeroShotClassifier(scorer=scorer).classify(texts, labels="a,b", template=["{}", "xx{}"])[0]
    assert probabilities.score == pytest.approx(math.e / (1 + math.e))


def test_labels_may_have_words_of_their_own(classifier):
    labels = {"好": "这次买的东西很好", "差": "这次买的东西很差"}
    result = classifier.classify("东西很差", labels=labels, template="{}")[0]
    assert result.label == "差"
    assert {pair.prompt.text for pair in classifier.scorer.asked} == set(labels.values())


def test_labels_of_each_text_its_own(classifier):
    results = classifier.classify(TEXTS[:2], labels=[["足球", "篮球"], ["债券", "股票", "外汇"]])
    assert [r.label for r in results] == ["足球", "股票"]
    assert [len(r.labels) for r in results] == [2, 3]
    with pytest.raises(InputError, match="there are 3 texts but labels for 2"):
        classifier.classify(TEXTS, labels=[["足球", "篮球"], ["债券", "股票"]])
    with pytest.raises(LabelError, match="labels of text 1: one label"):
        classifier.classify(TEXTS[:2], labels=[["足球", "篮球"], ["债券"]])


def test_a_threshold_abstains_and_keeps_the_scores(classifier):
    sure, unsure = classifier.classify(["足球", "天气"], labels=LABELS, threshold=0.6)
    assert sure.label == "足球"
    assert unsure.abstained
    assert unsure.label is None
    assert unsure.score == pytest.approx(1 / 3)
    assert len(unsure.labels) == 3


def test_calibration_takes_away_what_a_label_scores_without_a_text(table_scorer):
    table = {(text, "冷门"): -5.0 for text in (*NEUTRAL_TEXTS, "别的")} | {("冷天", "热门"): 1.0, ("冷天", "冷门"): 0.0}
    classifier = ZeroShotClassifier(scorer=table_scorer(table))
    assert classifier.classify("冷天", labels="热门,冷门")[0].label == "热门"
    assert classifier.classify("冷天", labels="热门,冷门", calibrate=True)[0].label == "冷门"
    own = classifier.classify("冷天", labels="热门,冷门", calibrate=["别的"])[0]
    assert own.score == pytest.approx(math.exp(5) / (math.exp(5) + math.e))


def test_multi_label_is_calibrated_unless_told_not_to(table_scorer):
    table = {(text, "a"): 4.0 for text in (*NEUTRAL_TEXTS, "t")}
    classifier = ZeroShotClassifier(scorer=table_scorer(table))
    assert classifier.classify("t", labels=["a"], multi_label=True)[0].score == pytest.approx(0.5)
    plain = classifier.classify("t", labels=["a"], multi_label=True, calibrate=False)[0]
    assert plain.score == pytest.approx(1 / (1 + math.exp(-4)))


def test_position_puts_the_prompt_before_or_after(classifier):
    classifier.classify(TEXTS[0], labels=LABELS)
    classifier.classify(TEXTS[0], labels=LABELS, position="suffix")
    assert [pair.position for pair in classifier.scorer.asked] == ["prefix"] * 3 + ["suffix"] * 3


def test_samples_contrast_ranks_the_batch(table_scorer):
    table = {(f"t{i}", "a"): 10.0 + i for i in range(4)} | {(f"t{i}", "b"): float(i) / 10 for i in range(4)}
    classifier = ZeroShotClassifier(scorer=table_scorer(table))
    texts = [f"t{i}" for i in range(4)]
    assert [r.label for r in classifier.classify(texts, labels="a,b")] == ["a"] * 4
    scores = [
        dict(zip(r.labels, r.scores, strict=True)) for r in classifier.classify(texts, labels="a,b", protocol="sc")
    ]
    assert all(row["a"] == pytest.approx(0.5) for row in scores)
    skewed = classifier.classify(texts, labels="a,b", protocol="sc", prior=[1, 3])
    assert [r.label for r in skewed] == ["b"] * 4
    assert classifier.classify([], labels="a,b", protocol="sc") == []


def test_samples_contrast_refuses_what_it_cannot_do(classifier):
    for wrong in ({"multi_label": True}, {"shortlist": 2}, {"labels": {"a": ["b", "c"], "d": None}}):
        with pytest.raises(InputError, match="samples-contrast"):
            classifier.classify(TEXTS, **{"labels": LABELS, "protocol": "sc", **wrong})
    with pytest.raises(InputError, match="a prior is for samples-contrast"):
        classifier.classify(TEXTS, labels=LABELS, prior=[1, 1, 1])
    with pytest.raises(InputError, match="2 shares, 3 are needed"):
        classifier.classify(TEXTS, labels=LABELS, protocol="sc", prior=[1, 1])


# --- trees -------------------------------------------------------------------------------------------------------

TREE = {"体育": ["足球", "篮球"], "财经": ["股票", "债券"], "天气": None}


def test_a_tree_multiplies_along_its_paths(table_scorer):
    table = {("t", "体育"): 2.0, ("t", "财经"): 1.0, ("t", "足球"): 0.5, ("t", "股票"): 3.0}
    result = ZeroShotClassifier(scorer=table_scorer(table)).classify("t", labels=TREE)[0]
    scores = dict(zip(result.labels, result.scores, strict=True))
    first = np.exp([2.0, 1.0, 0.0]) / np.exp([2.0, 1.0, 0.0]).sum()
    assert scores["体育/足球"] == pytest.approx(first[0] * math.exp(0.5) / (math.exp(0.5) + 1))
    assert scores["财经/债券"] == pytest.approx(first[1] / (math.exp(3) + 1))
    assert scores["天气"] == pytest.approx(first[2])
    assert sum(result.scores) == pytest.approx(1)
    assert result.label == "体育/足球"


def test_a_beam_follows_the_best_branches_only(overlap):
    result = ZeroShotClassifier(scorer=overlap).classify("体育足球", labels=TREE, beam=1)[0]
    assert result.labels == ("体育/足球",)
    assert result.score == pytest.approx(1)
    assert {pair.prompt.label for pair in overlap.asked} == {"体育", "财经", "天气", "足球", "篮球"}


def test_paths_with_a_separator_are_the_same_tree(overlap):
    classifier = ZeroShotClassifier(scorer=overlap)
    paths = ["体育/足球", "体育/篮球", "财经/股票", "财经/债券", "天气"]
    assert classifier.classify(TEXTS, labels=paths, label_separator="/") == classifier.classify(TEXTS, labels=TREE)


def test_multi_label_in_a_tree_multiplies_sigmoids(table_scorer):
    classifier = ZeroShotClassifier(scorer=table_scorer({("t", "a"): 1.0, ("t", "b"): 2.0}))
    result = classifier.classify("t", labels={"a": ["b"]}, multi_label=True, calibrate=False)[0]
    assert result.labels == ("a/b",)
    assert result.score == pytest.approx(1 / (1 + math.exp(-1)) / (1 + math.exp(-2)))


# --- long texts --------------------------------------------------------------------------------------------------

LONG = "外面下雨了，记得带上雨伞。" * 20


def test_long_texts_are_read_in_windows_with_evidence(tiny):
    with pytest.warns(LongTextWarning, match="1 of 2 texts are longer than the 64 tokens"):
        short, long = tiny.classify(["下雨", LONG], labels=LABELS)
    assert short.evidence is None
    assert long.evidence is not None
    assert LONG[long.evidence.start : long.evidence.end] == long.evidence.text
    assert 0 < len(long.evidence.text) < len(LONG)


def test_the_best_window_decides(nsp_model, tokenizer):
    from ironwok.zero_shot import NSPScorer

    class Overlapping(NSPScorer):
        def score(self, pairs, *, progress=None):
            return np.array([10.0 * (pair.prompt.label in pair.text) for pair in pairs])

    text = "天气很好。" * 20 + "足球比赛。" + "天气很好。" * 20
    classifier = ZeroShotClassifier(scorer=Overlapping(nsp_model, tokenizer))
    with pytest.warns(LongTextWarning):
        best = classifier.classify(text, labels="足球,股票")[0]
    assert best.label == "足球"
    assert best.evidence is not None
    assert "足球" in best.evidence.text
    with pytest.warns(LongTextWarning):
        mean = classifier.classify(text, labels="足球,股票", windows="mean")[0]
    assert mean.evidence == best.evidence
    assert 0.5 < mean.score < best.score
    with pytest.warns(LongTextWarning, match="cut to their beginning"):
        cut = classifier.classify(text, labels="足球,股票", overflow="truncate")[0]
    assert cut.score == pytest.approx(0.5)
    assert cut.evidence is not None
    assert cut.evidence.start == 0


def test_windows_can_be_forbidden(tiny):
    with pytest.raises(TextTooLongError, match=r"text 1 has 260 tokens.*overflow='window'"):
        tiny.classify(["下雨", LONG], labels=LABELS, overflow="error")


def test_max_tokens_reads_less(tiny):
    with pytest.warns(LongTextWarning, match="than the 24 tokens"):
        result = tiny.classify("外面下雨了，记得带上雨伞。" * 2, labels=LABELS, max_tokens=24)[0]
    assert result.evidence is not None
    for wrong in (8, 65):
        with pytest.raises(InputError, match=f"max_tokens is {wrong}; it lies between 9 and what the model takes, 64"):
            tiny.classify(TEXTS, labels=LABELS, max_tokens=wrong)


def test_scorers_that_cannot_cut_read_texts_whole(classifier):
    assert classifier.classify(LONG, labels=LABELS)[0].evidence is None
    with pytest.raises(InputError, match="cannot cut texts"):
        classifier.classify(LONG, labels=LABELS, max_tokens=24)


# --- shortlist ---------------------------------------------------------------------------------------------------


def test_a_shortlist_reads_fewer_labels(overlap):
    labels = ["足球比赛", "股票市场", "手机发布", "天气预报", "电影票房"]
    results = ZeroShotClassifier(scorer=overlap).classify(TEXTS, labels=labels, shortlist=2)
    assert [r.label for r in results] == ["足球比赛", "股票市场", "手机发布"]
    assert all(len(r.labels) == 2 and sum(r.scores) == pytest.approx(1) for r in results)
    assert len(overlap.asked) == 6


def test_a_shortlist_as_long_as_the_labels_changes_nothing(tiny):
    assert tiny.classify(TEXTS, labels=LABELS, shortlist=9) == tiny.classify(TEXTS, labels=LABELS)


def test_a_shortlist_by_embedding_does_not_depend_on_company(tiny):
    labels = ["足球", "股票", "手机", "天气", "雨伞", "苹果"]
    together = tiny.classify(TEXTS, labels=labels, shortlist=3, shortlist_by="embedding")
    for text, expected in zip(TEXTS, together, strict=True):
        (alone,) = tiny.classify(text, labels=labels, shortlist=3, shortlist_by="embedding")
        assert alone.labels == expected.labels
        assert alone.scores == pytest.approx(expected.scores, abs=1e-4)


def test_shortlists_that_make_no_sense_are_refused(classifier):
    with pytest.raises(InputError, match="the shortlist is 1 long"):
        classifier.classify(TEXTS, labels=LABELS, shortlist=1)
    with pytest.raises(InputError, match="pass beam="):
        classifier.classify(TEXTS, labels=TREE, shortlist=2)
    with pytest.raises(InputError, match="gives no vectors"):
        classifier.classify(TEXTS, labels=LABELS, shortlist=2, shortlist_by="embedding")


# --- streaming ---------------------------------------------------------------------------------------------------


def test_streaming_equals_the_list(tiny):
    texts = [f"{text}{i}" for i in range(5) for text in TEXTS]
    streamed = list(tiny.classify_iter((text for text in texts), labels=LABELS))
    listed = tiny.classify(texts, labels=LABELS)
    assert [r.labels for r in streamed] == [r.labels for r in listed]
    assert [r.text for r in streamed] == texts


def test_streaming_reads_no_further_than_it_must(classifier):
    taken = []

    def source():
        for i in range(10_000):
            taken.append(i)
            yield f"足球{i}"

    results = classifier.classify_iter(source(), labels=LABELS)
    assert taken == []
    assert next(results).label == "足球"
    assert len(taken) < 2000


def test_streaming_checks_its_arguments_at_the_call(classifier):
    with pytest.raises(LabelError):
        classifier.classify_iter(iter(TEXTS), labels=["足球"])
    with pytest.raises(InputError, match="one string"):
        classifier.classify_iter("足球", labels=LABELS)
    with pytest.raises(InputError, match="labels for 2 texts, but more"):
        list(classifier.classify_iter(iter(TEXTS), labels=[LABELS, LABELS]))
    with pytest.raises(InputError, match="labels for 4 texts, but only 3"):
        list(classifier.classify_iter(iter(TEXTS), labels=[LABELS] * 4))


# --- invariance, bad input ---------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(
    texts=st.lists(
        st.text(st.sampled_from("外面下雨了记得带伞abc 123。"), min_size=1, max_size=90), min_size=1, max_size=6
    ),
    batch_size=st.integers(1, 7),
    random=st.randoms(use_true_random=False),
)
def test_neither_batch_size_nor_order_nor_company_changes_a_result(nsp_model, tokenizer, texts, batch_size, random):
    from ironwok.zero_shot import NSPScorer

    texts = [f"雨{text}" for text in texts]
    shuffled = random.sample(texts, len(texts))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LongTextWarning)
        plain = ZeroShotClassifier(scorer=NSPScorer(nsp_model, tokenizer)).classify(texts, labels=LABELS)
        small = ZeroShotClassifier(scorer=NSPScorer(nsp_model, tokenizer, batch_size=batch_size))
        again = {result.text: result for result in small.classify(shuffled, labels=LABELS)}
    for result in plain:
        scores = dict(zip(again[result.text].labels, again[result.text].scores, strict=True))
        assert [scores[label] for label in result.labels] == pytest.approx(result.scores, abs=1e-4)


@pytest.mark.parametrize(
    ("texts", "message"),
    [(["好", ""], "text 1 is empty"), ([" \n"], "text 0 is blank"), (["好", 3], "text 1 is 3 .int., not a string")],
)
def test_texts_that_are_none_are_named(classifier, texts, message):
    with pytest.raises(InputError, match=message):
        classifier.classify(texts, labels=LABELS)
    with pytest.raises(InputError, match=message):
        list(classifier.classify_iter(texts, labels=LABELS))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"labels": ["足球"]}, LabelError, "multi_label=True"),
        ({"template": "没有地方"}, TemplateError, "has no place for the label"),
        ({"template": []}, InputError, "there is no template"),
        ({"threshold": -0.1}, InputError, "threshold is -0.1"),
        ({"position": "infix"}, InputError, "position is 'infix'"),
        ({"protocol": "xc"}, InputError, "protocol is 'xc'"),
        ({"overflow": "drop"}, InputError, "overflow is 'drop'"),
        ({"windows": "max"}, InputError, "windows is 'max'"),
        ({"beam": 0}, InputError, "beam is 0"),
        ({"calibrate": "无"}, InputError, "calibrate is '无'"),
        ({"calibrate": []}, InputError, "calibrate is an empty list"),
        ({"shortlist": 2, "shortlist_by": "magic"}, InputError, "shortlist_by is 'magic'"),
    ],
)
def test_options_that_cannot_be_used_say_why(classifier, options, error, message):
    with pytest.raises(error, match=message):
        classifier.classify(TEXTS, **{"labels": LABELS, **options})


def test_a_scorer_that_gives_no_number_is_an_error():
    class Broken:
        def score(self, pairs):
            return np.full(len(pairs), np.nan)

    class Short:
        def score(self, pairs):
            return np.zeros(1)

    with pytest.raises(ModelError, match=r"no number for the prompt '这是"):
        ZeroShotClassifier(scorer=Broken()).classify(TEXTS, labels=LABELS)
    with pytest.raises(ModelError, match="for 9 pairs"):
        ZeroShotClassifier(scorer=Short()).classify(TEXTS, labels=LABELS)
    with pytest.raises(InputError, match="an object with score"):
        ZeroShotClassifier(scorer=object())


def test_progress_goes_to_standard_error_only(classifier, capsys):
    classifier.classify(TEXTS, labels=LABELS, progress=True)
    assert capsys.readouterr().out == ""


# --- cost --------------------------------------------------------------------------------------------------------


def test_the_cost_counts_pairs_and_tokens(tiny, tokenizer):
    labels = ["雨伞", "足球"]
    cost = tiny.estimate_cost(TEXTS, labels=labels, template=["{}", "这是{}"])
    tokens = sum(
        len(tokenizer(template.replace("{}", label), text)["input_ids"])
        for text in TEXTS
        for label in labels
        for template in ("{}", "这是{}")
    )
    assert (cost.texts, cost.labels, cost.pairs, cost.tokens) == (3, 2, 12, tokens)
    assert cost.seconds > 0
    assert "3 texts × 2 labels: 12 readings" in cost.describe()


def test_the_cost_knows_windows_shortlists_and_own_labels(tiny):
    assert tiny.estimate_cost([LONG], labels=LABELS).pairs >= 15
    many = [f"标签{i}" for i in range(20)]
    assert tiny.estimate_cost(TEXTS, labels=many, shortlist=5).pairs == 15
    assert tiny.estimate_cost(TEXTS, labels=[["a", "b"], ["a", "b"], ["c", "d"]]).pairs == 6
    assert tiny.estimate_cost([], labels=LABELS).pairs == 0


def test_the_cost_scales_the_trial_by_tokens(nsp_scorer):
    from ironwok.zero_shot.cost import estimate
    from ironwok.zero_shot.pairs import Prompt

    ticks = iter([10.0, 12.0])
    cost = estimate(
        nsp_scorer,
        ["下雨"] * 100,
        [Prompt("", "雨伞", "")],
        readings_per_text=1,
        labels=1,
        limit=64,
        trial_pairs=50,
        clock=lambda: next(ticks),
    )
    assert cost.seconds == pytest.approx(4.0)
