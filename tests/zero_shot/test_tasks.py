"""The tasks, with scorers whose answers follow from the pairs they are asked."""

import numpy as np
import pytest

from ironwok.errors import InputError, LabelError, ModelError, TemplateError
from ironwok.results import Span
from ironwok.zero_shot.pairs import Prompt
from ironwok.zero_shot.tasks import (
    Cloze,
    Entity,
    Reference,
    choose_antecedent,
    classify_pairs,
    fill_blanks,
    judge_keywords,
    judge_references,
    link_entities,
    rank_keywords,
    type_entities,
)
from ironwok.zero_shot.tasks.ranking import Ranking, clause_around


def span(text, part, *, last=False):
    start = text.rindex(part) if last else text.index(part)
    return Span(start, start + len(part), part)


# --- sentence pairs ----------------------------------------------------------------------------------------------

PAIRS = [("今天下雨了", "今天下雨了"), ("今天下雨了", "昨天下雪"), ("今天下雨了", "股票大跌")]


def test_pairs_are_ranked_and_cut_into_the_labels_bins(overlap):
    results = classify_pairs(overlap, PAIRS)
    assert [r.label for r in results] == ["entailment", "neutral", "contradiction"]
    assert [(r.first, r.second) for r in results] == PAIRS
    assert all(sum(r.scores) == pytest.approx(1) for r in results)
    assert [pair.prompt for pair in overlap.asked] == [Prompt("", second, "") for _, second in PAIRS]
    assert {pair.position for pair in overlap.asked} == {"prefix"}


def test_a_prior_moves_the_cut(overlap):
    results = classify_pairs(overlap, PAIRS, labels=("same", "different"), prior=[2, 1])
    assert [r.label for r in results] == ["same", "same", "different"]


def test_symmetric_pairs_ask_both_ways(overlap):
    classify_pairs(overlap, PAIRS[:2], labels=("same", "different"), symmetric=True)
    asked = [(pair.text, pair.prompt.text) for pair in overlap.asked]
    assert asked == [*PAIRS[:2], *[(b, a) for a, b in PAIRS[:2]]]


def test_relation_words_contrast_candidates(table_scorer):
    table = {("今天下雨了", "不对"): 3.0, ("今天下雨了", "所以"): 1.0}
    (result,) = classify_pairs(table_scorer(table), PAIRS[1:2], protocol="cc")
    assert result.labels == ("contradiction", "entailment", "neutral")
    assert result.scores[0] == pytest.approx(np.exp(3) / (np.exp(3) + np.e + 1))


def test_relation_words_stand_where_the_template_says(overlap):
    classify_pairs(
        overlap,
        PAIRS[:1],
        labels={"yes": "是", "no": "否"},
        protocol="cc",
        template="{second}？{label}。",
        position="suffix",
    )
    assert [pair.prompt for pair in overlap.asked] == [
        Prompt("今天下雨了？", "是", "。"),
        Prompt("今天下雨了？", "否", "。"),
    ]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"protocol": "xx"}, InputError),
        ({"labels": ["one"]}, LabelError),
        ({"prior": [1, 1]}, InputError),
        ({"protocol": "cc", "prior": [1, 1, 1]}, InputError),
        ({"protocol": "cc", "template": "{label}"}, TemplateError),
        ({"position": "middle"}, InputError),
    ],
)
def test_pairs_refuse_what_they_cannot_use(overlap, options, error):
    with pytest.raises(error):
        classify_pairs(overlap, PAIRS, **options)


def test_pairs_must_be_two_sentences(overlap):
    with pytest.raises(InputError, match="pair 0 has 3 sentences"):
        classify_pairs(overlap, [("a", "b", "c")])
    with pytest.raises(InputError, match="text 1 is blank"):
        classify_pairs(overlap, [("a", "b"), ("a", " ")])
    assert classify_pairs(overlap, []) == []


# --- blanks ------------------------------------------------------------------------------------------------------

POEM = "天黑了。他点亮了____，房间顿时亮了。猫睡着了。"


def test_blanks_are_filled_in_the_clause_beside_the_rest(overlap):
    (ranking,) = fill_blanks(overlap, [Cloze(POEM, ("油灯", "天黑"))])
    assert ranking.best.name == "天黑"
    assert ranking.target == Span(8, 12, "____")
    first = overlap.asked[0]
    assert first.prompt == Prompt("他点亮了", "油灯", "，房间顿时亮了。")
    assert first.text == "天黑了。猫睡着了。"
    assert first.position == "suffix"
    assert sum(candidate.score for candidate in ranking.candidates) == pytest.approx(1)


def test_a_masked_lm_reads_around_the_blank(pet_scorer):
    ranking = fill_blanks(pet_scorer, [Cloze("外面下____，记得带伞。", ("雨了", "面条"))])[0]
    from ironwok.zero_shot import Pair

    direct = pet_scorer.score([Pair("", Prompt("外面下", name, "，记得带伞。")) for name in ("雨了", "面条")])
    expected = dict(zip(("雨了", "面条"), np.exp(direct) / np.exp(direct).sum(), strict=True))
    for candidate in ranking.candidates:
        assert candidate.score == pytest.approx(expected[candidate.name], abs=1e-5)


def test_the_context_of_a_blank_is_bounded(overlap):
    text = "甲" * 300 + "。" + "乙" * 50 + "[空]" + "丙" * 50 + "。" + "丁" * 300
    fill_blanks(overlap, [Cloze(text, ("天", "地"), blank="[空]")], clause_chars=10, context_chars=100)
    assert overlap.asked[0].prompt == Prompt("乙" * 10, "天", "丙" * 10)
    assert overlap.asked[0].text == "甲" * 49 + "。" + "乙" * 40 + "丙" * 40 + "。" + "丁" * 49


def test_a_blank_that_is_alone_stands_beside_its_own_clause(overlap):
    fill_blanks(overlap, [Cloze("他____了。", ("来", "去"))])
    assert overlap.asked[0].text == "他了。"


@pytest.mark.parametrize(
    ("text", "candidates", "error"),
    [
        ("没有空", ("a", "b"), InputError),
        ("____和____", ("a", "b"), InputError),
        ("____", ("a",), LabelError),
        ("____", ("a", "a"), LabelError),
        ("____", ("a", " "), LabelError),
        ("", ("a", "b"), InputError),
    ],
)
def test_blanks_refuse_what_they_cannot_use(text, candidates, error):
    with pytest.raises(error):
        Cloze(text, candidates)


def test_blanks_refuse_unknown_contexts(overlap):
    with pytest.raises(InputError, match="context is 'inside'"):
        fill_blanks(overlap, [Cloze(POEM, ("a", "b"))], context="inside")


# --- pronouns ----------------------------------------------------------------------------------------------------

STORY = "小狗追着皮球跑。它摇着尾巴，很开心。"


def test_the_noun_replaces_the_pronoun_in_its_clause(overlap):
    pronoun = span(STORY, "它")
    ranking = choose_antecedent(overlap, STORY, pronoun=pronoun, candidates=[span(STORY, "皮球"), span(STORY, "小狗")])
    assert [pair.prompt for pair in overlap.asked] == [
        Prompt("", "皮球", "摇着尾巴，很开心。"),
        Prompt("", "小狗", "摇着尾巴，很开心。"),
    ]
    assert {pair.text for pair in overlap.asked} == {STORY}
    assert ranking.target == pronoun
    assert {c.span for c in ranking.candidates} == {Span(4, 6, "皮球"), Span(0, 2, "小狗")}


def test_or_the_reference_is_appended(overlap):
    item = Reference(STORY, span(STORY, "它"), span(STORY, "小狗"))
    judge_references(overlap, [item], style="append")
    assert overlap.asked[0].prompt == Prompt("它指的是", "小狗", "")


def test_references_are_judged_against_each_other(table_scorer):
    true, false = (Reference(STORY, span(STORY, "它"), span(STORY, noun)) for noun in ("小狗", "皮球"))
    results = judge_references(table_scorer({(STORY, "小狗"): 1.0}), [false, true])
    assert [r.label for r in results] == ["false", "true"]
    assert judge_references(table_scorer({}), []) == []


def test_spans_must_be_of_the_text():
    with pytest.raises(InputError, match="offsets count characters"):
        Reference(STORY, Span(0, 1, "它"), span(STORY, "小狗"))
    with pytest.raises(InputError, match="empty span"):
        Reference(STORY, Span(0, 0, ""), span(STORY, "小狗"))
    with pytest.raises(InputError, match="offsets count characters"):
        Ranking(STORY, Span(0, 1, "它"), ())


def test_references_refuse_unknown_styles_and_templates(overlap):
    item = Reference(STORY, span(STORY, "它"), span(STORY, "小狗"))
    with pytest.raises(InputError, match="style is 'guess'"):
        judge_references(overlap, [item], style="guess")
    with pytest.raises(InputError, match=r"no \{noun\}"):
        judge_references(overlap, [item], style="append", template="指的是")


# --- entities ----------------------------------------------------------------------------------------------------

NEWS = "苹果今天发布了新手机。"


def test_entities_are_linked_by_the_summaries_of_their_entries(overlap):
    entries = {"Q1": "苹果公司，生产手机和电脑", "Q2": "一种水果，可以生吃"}
    (ranking,) = link_entities(overlap, [Entity(NEWS, span(NEWS, "苹果"))], [entries], description_chars=6)
    assert ranking.best.name == "Q1"
    assert ranking.target == Span(0, 2, "苹果")
    assert [pair.prompt.text for pair in overlap.asked] == ["苹果公司，生", "一种水果，可"]
    assert {pair.position for pair in overlap.asked} == {"suffix"}


def test_a_single_entry_is_ranked_and_does_not_stop_the_others(overlap):
    item = Entity(NEWS, span(NEWS, "苹果"))
    alone, among = link_entities(overlap, [item, item], [{"Q1": "公司"}, {"Q1": "苹果公司", "Q2": "丙丁"}])
    assert [(c.name, c.score) for c in alone.candidates] == [("Q1", 1.0)]
    assert among.best.name == "Q1"


def test_entities_are_typed_in_a_sentence_about_the_mention(overlap):
    items = [Entity(NEWS, span(NEWS, "苹果")), Entity(NEWS, span(NEWS, "新手机"))]
    rankings = type_entities(overlap, items, {"组织": "今天的手机", "食物": "水果"})
    assert [r.best.name for r in rankings] == ["组织", "组织"]
    assert overlap.asked[0].prompt == Prompt("苹果是", "今天的手机", "")
    assert overlap.asked[2].prompt.text == "新手机是今天的手机"


def test_long_texts_are_read_around_the_mention(overlap):
    text = "甲" * 500 + "苹果" + "乙" * 500
    type_entities(overlap, [Entity(text, span(text, "苹果"))], ["组织", "食物"], context_chars=5)
    assert overlap.asked[0].text == "甲" * 5 + "苹果" + "乙" * 5


def test_entities_refuse_what_they_cannot_use(overlap):
    item = Entity(NEWS, span(NEWS, "苹果"))
    with pytest.raises(LabelError, match="entries of '苹果'"):
        link_entities(overlap, [item], [{}])
    with pytest.raises(InputError, match="1 mentions but entries for 0"):
        link_entities(overlap, [item], [])
    with pytest.raises(TemplateError):
        type_entities(overlap, [item], ["a", "b"], template="{mention}")
    with pytest.raises(InputError, match="empty or blank span"):
        Entity(NEWS, Span(0, 0, ""))


# --- keywords ----------------------------------------------------------------------------------------------------


def test_keywords_are_judged_against_the_other_texts(overlap):
    texts = ["神经网络用于图像分割", "水稻的栽培与施肥"]
    results = judge_keywords(overlap, texts, [["神经网络", "图像"], ["神经网络", "图像"]])
    assert [r.label for r in results] == ["true", "false"]
    assert overlap.asked[0].prompt == Prompt("关键词：", "神经网络、图像", "")
    overlap.asked.clear()
    results = judge_keywords(overlap, texts, [["神经网络", "图像"], ["水稻", "图像"]], together="each")
    assert [r.label for r in results] == ["true", "false"]
    assert len(overlap.asked) == 4


def test_keywords_are_ranked_with_where_they_stand(overlap):
    text = "神经网络用于图像分割"
    ranking = rank_keywords(overlap, text, ["水稻", "图像", "分割网络"])
    assert {c.name: c.span for c in ranking.candidates} == {"水稻": None, "图像": Span(6, 8, "图像"), "分割网络": None}
    assert ranking.candidates[-1].name == "水稻"


def test_keywords_refuse_what_they_cannot_use(overlap):
    with pytest.raises(InputError, match="keywords of text 0"):
        judge_keywords(overlap, ["文本"], ["关键词"])
    with pytest.raises(InputError, match="1 texts but keywords for 2"):
        judge_keywords(overlap, ["文本"], [["a"], ["b"]])
    with pytest.raises(InputError, match="together is 'some'"):
        judge_keywords(overlap, ["文本"], [["a"]], together="some")


# --- shared ------------------------------------------------------------------------------------------------------


def test_clauses_end_at_sentence_marks_or_at_the_bound():
    text = "前一句。中间的词语在这里！后一句"
    place = span(text, "词语")
    assert clause_around(text, place, most=40).text == "中间的词语在这里！"
    assert clause_around(text, place, most=2).text == "间的词语在这"
    assert clause_around("词语", Span(0, 2, "词语"), most=5).text == "词语"


def test_a_scorer_without_numbers_is_an_error():
    class Broken:
        def score(self, pairs):
            return np.full(len(pairs), np.nan)

    with pytest.raises(ModelError):
        classify_pairs(Broken(), PAIRS)


def test_the_tasks_run_on_real_models(nsp_scorer):
    assert {r.label for r in classify_pairs(nsp_scorer, PAIRS)} == {"entailment", "neutral", "contradiction"}
    assert len(fill_blanks(nsp_scorer, [Cloze(POEM, ("油灯", "天黑"))])[0].candidates) == 2


@pytest.mark.parametrize(
    ("text", "blank", "place"),
    [
        ("五个______好", "____", (2, 8)),
        ("五个____________好", "____", (2, 14)),
        ("＿＿＿好", "＿＿", (0, 3)),
        ("a#b##", "##", (3, 5)),
    ],
)
def test_a_longer_line_is_one_blank(text, blank, place):
    item = Cloze(text, ("甲", "乙"), blank=blank)
    assert (item.place.start, item.place.end) == place
    assert item.place.text == text[slice(*place)]


def test_two_lines_are_two_blanks():
    with pytest.raises(InputError, match="has 2 blanks"):
        Cloze("一____，二_____。", ("甲", "乙"))
