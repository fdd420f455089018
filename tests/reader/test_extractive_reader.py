"""The extractive reader on texts of our own: where it looks, what it marks, when it doubts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.nbce.contexts import Context
from ironwok.reader import ByLanguage, ExtractiveReader
from ironwok.reader.evidence import FEATURES, candidates, sentence_features
from ironwok.reader.extractive import Bounds
from ironwok.reader.library import Library, Sentence
from ironwok.reader.questions import understand
from ironwok.reader.spans import LONGEST, WIDTH, candidates_in
from ironwok.reader.weights import Network, load_weights, probabilities
from ironwok.results import Answer, AnswerToken, Source, Span

FERRY = "\n\n 渡轮每天上午七点从北港开往林岛，周日停航。船票在船上购买，每张十二元。船长名叫沈立山，今年五十八岁。"
BREAD = "面包要发酵两次：一次在盆里，一次在烤盘里。烤箱预热到二百二十度，烤三十五分钟。面粉最好用高筋粉。"
TOWER = "林岛的灯塔建于1887年，由工程师顾长明设计，高四十三米，共有二百零六级台阶。灯塔如今归林岛航海协会管理。"
TEXTS = [FERRY, BREAD, TOWER]
QUESTIONS = {
    "渡轮什么时候从北港开往林岛？": (0, "七点"),
    "船长叫什么名字？": (0, "沈立山"),
    "烤箱要预热到多少度？": (1, "二百二十"),
    "灯塔是谁设计的？": (2, "顾长明"),
    "灯塔建于哪一年？": (2, "1887"),
    "灯塔现在由哪个协会管理？": (2, "林岛航海协会"),
}


@pytest.fixture(scope="module")
def reader():
    return ExtractiveReader()


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_hold_what_was_asked_for(reader, question):
    context, words = QUESTIONS[question]
    answer = reader.ask(question, TEXTS)
    assert answer.sources[0].context == context
    assert words in answer.text
    assert answer.settled
    assert answer.model == "extractive"
    assert answer.score is not None
    assert 0 < answer.score <= 1


FAQ = (
    "常见问题\n1. 票价多少？\n成人票二十元，儿童免费。\n2. 几点开门？\n早上八点开门，下午五点关门。\n"
    "公司有多少员工\n现有员工三千人。\n6. 客服电话\n客服电话：0571-8888。\n"
    "问：图书馆周一开门吗？\n答：周一闭馆，周二至周日开放。"
)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("票价多少？", "二十元"),
        ("几点开门", "八点"),
        ("公司有多少员工", "三千人"),
        ("客服电话是多少？", "0571-8888"),
        ("图书馆周一开门吗？", "周一闭馆"),
    ],
)
def test_a_question_that_stands_in_the_text_speaks_for_what_follows_it(reader, question, words):
    answer = reader.ask(question, [FAQ, *TEXTS])
    check(answer, [FAQ, *TEXTS])
    assert words in answer.text
    assert not answer.text.startswith("答")
    assert answer.settled
    # where the question is all there is, it is what can be quoted
    assert reader.ask(question, [question]).text


def check(answer: Answer, texts: list[str]) -> None:
    """What holds for every answer."""
    for source in answer.sources:
        text = texts[source.context]
        assert text[source.span.start : source.span.end] == source.span.text
        assert source.evidence is not None
        assert text[source.evidence.start : source.evidence.end] == source.evidence.text
        assert source.span.start <= source.evidence.start <= source.evidence.end <= source.span.end
    best = answer.sources[0].evidence
    assert best is not None
    assert answer.text == best.text
    assert [source.share for source in answer.sources] == [1.0, *[0.0] * (len(answer.sources) - 1)]
    assert sum(source.posterior for source in answer.sources) <= 1 + 1e-9
    assert Answer.from_dict(answer.to_dict()) == answer


def test_places_are_those_of_the_users_text(reader):
    for answer in reader.ask_many(list(QUESTIONS), TEXTS):
        check(answer, TEXTS)


@given(
    st.lists(
        st.text(alphabet=st.sampled_from("渡轮七点开往林岛谁在。，？（）《》“” aB1\n😀\u0301İ"), max_size=80),
        min_size=1,
        max_size=4,
    ),
    st.text(alphabet=st.sampled_from("渡轮谁在哪里什么时候？ aB1?"), min_size=1, max_size=20),
)
@settings(max_examples=120, deadline=None)
def test_any_text_and_any_question_are_answered(reader, texts, question):
    if not question.strip() or not any(text.strip() for text in texts):
        with pytest.raises(InputError):
            reader.ask(question, texts)
        return
    check(reader.ask(question, texts), texts)


def test_a_question_about_something_else_is_not_settled(reader):
    answer = reader.ask("火星上的陨石坑叫什么名字？", TEXTS)
    assert answer.doubts[0] == "unrelated"
    assert not answer.settled
    check(answer, TEXTS)


def test_a_thing_of_the_right_kind_does_not_make_a_passage_speak_of_the_matter(reader):
    texts = ["中国队获胜。", "央行今天宣布下调利率。", "渡船每天早上七点半开，票价五元。"]
    for question, settled in (("谁是美国总统？", False), ("谁获胜了？", True), ("火车几点到上海？", False)):
        answer = reader.ask(question, texts)
        assert answer.settled is settled
        assert ("unrelated" in answer.doubts) is not settled


def test_an_unsure_reader_gives_the_sentence(reader):
    never = ExtractiveReader(bounds=Bounds(span=1.1, answered=0.0, tie=1.0))
    always = ExtractiveReader(bounds=Bounds(span=0.0, answered=0.0, tie=1.0))
    question = "灯塔建于哪一年？"
    assert never.ask(question, TEXTS).text == TOWER.split("。")[0] + "。"
    assert len(always.ask(question, TEXTS).text) < len(never.ask(question, TEXTS).text)
    assert never.ask(question, TEXTS).settled


def test_bounds_decide_what_is_settled(reader):
    question = "灯塔建于哪一年？"
    assert ExtractiveReader(bounds=Bounds(0.3, 1.1, 1.0)).ask(question, TEXTS).doubts == ("unrelated",)
    assert "tie" in ExtractiveReader(bounds=Bounds(0.3, 0.0, 0.0)).ask(question, TEXTS).doubts


def test_the_same_sentence_twice_is_no_tie(reader):
    strict = ExtractiveReader(bounds=Bounds(0.3, 0.0, 0.9))
    twice = strict.ask("灯塔建于哪一年？", [TOWER, BREAD, TOWER])
    assert "tie" not in twice.doubts


def test_documents_and_records_come_along(reader):
    answer = reader.ask("灯塔是谁设计的？", [Context(BREAD, "a.csv", 3), Context(TOWER, "b.csv", 7)])
    assert (answer.sources[0].document, answer.sources[0].record) == ("b.csv", 7)


def test_what_is_asked_is_checked(reader):
    for questions, message in (("谁？", "one string"), ([], "no question"), (["谁？", " "], "question 1 is ' '")):
        with pytest.raises(InputError, match=message):
            reader.ask_many(questions, TEXTS)
    with pytest.raises(InputError, match="none of the 2 contexts"):
        reader.ask("谁？", ["", " \n"])


def test_answers_come_with_their_events(reader):
    seen = []
    answers = list(
        reader.ask_many(
            ["灯塔是谁设计的？", "船长叫什么名字？"],
            TEXTS,
            on_question=lambda number: seen.append(number),
            on_text=seen.append,
            on_read=lambda done, total: seen.append((done, total)),
        )
    )
    assert seen == [(1, 3), (2, 3), (3, 3), 0, answers[0].text, 1, answers[1].text]


def test_english_is_read_too(reader):
    texts = ["Bread rises twice.", "The ferry to Lindholm leaves at seven. It does not sail on Sundays."]
    answer = reader.ask("When does the ferry leave?", texts)
    assert answer.sources[0].context == 1
    assert answer.text == "The ferry to Lindholm leaves at seven."  # in English always the sentence
    check(answer, texts)


# the parts


def test_candidates_are_whole_words_with_brackets_in_pairs():
    text = "顾长明（1850—1901）设计了《海图》，共三册。"
    sentence = Sentence(Span(0, len(text), text))
    choice = candidates_in(understand("谁设计了海图？"), sentence, background=lambda term: 5.0)
    found = {text[start:end] for start, end in zip(choice.starts, choice.ends, strict=True)}
    assert {"《海图》", "海图", "三册", "顾长明（1850—1901）"} <= found
    assert not any(one.count("（") != one.count("）") or one.count("《") != one.count("》") for one in found)
    assert not any(one[-1] in "，。" or one[0] in "，。）" for one in found)
    assert max(map(len, found)) <= LONGEST
    assert choice.features.shape == (len(choice.starts), WIDTH)
    assert np.isfinite(choice.features).all()


def test_words_beside_those_of_the_question_have_the_features_of_that():
    text = "灯塔由工程师设计。"
    choice = candidates_in(
        understand("灯塔由谁设计？"), Sentence(Span(0, len(text), text)), background=lambda term: 5.0
    )
    (place,) = [
        number
        for number, (start, end) in enumerate(zip(choice.starts, choice.ends, strict=True))
        if text[start:end] == "工程师"
    ]
    aligned = choice.features[place, 7:9]
    assert aligned.tolist() == [0.75, 0.5 + 0.0]  # "灯塔由" before it, "设计" behind it, of four characters each
    assert aligned.sum() == choice.features[:, 7:9].sum(axis=1).max()


def test_the_sentence_with_the_rare_words_of_the_question_scores_higher():
    library = Library([Context(text) for text in TEXTS])
    question = understand("灯塔是谁设计的？")
    found, scores = candidates(library, question)
    features = sentence_features(library, question, found, scores, background=load_weights().background)
    assert features.shape == (len(found), len(FEATURES))
    best = features[:, FEATURES.index("pairs")].argmax()
    assert found[best][1].span.text.startswith("林岛的灯塔")


def test_a_library_of_many_texts_looks_into_a_few():
    texts = [f"第{number}号仓库存放着编号为{number * 7}的箱子。" for number in range(300)]
    answer = ExtractiveReader().ask("第123号仓库存放着什么？", texts)
    assert answer.sources[0].context == 123
    assert answer.parts == 300


def test_a_network_is_what_it_says():
    rng = np.random.default_rng(0)
    mean, scale, inner, bias, outer = (
        rng.normal(size=size).astype(np.float32) for size in ((5,), (5,), (3, 5), (3,), (3,))
    )
    features = rng.normal(size=(7, 5))
    by_hand = [
        sum(
            outer[h] * max(0.0, sum(inner[h, f] * (row[f] - mean[f]) / scale[f] for f in range(5)) + bias[h])
            for h in range(3)
        )
        for row in features
    ]
    np.testing.assert_allclose(Network(mean, scale, inner, bias, outer)(features), by_hand, rtol=1e-3, atol=1e-4)
    assert probabilities(np.array([1000.0, 1000.0])).tolist() == [0.5, 0.5]


# who answers


class Writer:
    """Stands for a language model: answers with the question."""

    def __init__(self, model, **options):
        self.model, self.options = model, options

    def ask_many(self, questions, contexts, *, on_question, on_text, on_read, settings, ordered):
        on_read(1, 1)
        for number, question in enumerate(questions):
            on_question(number)
            on_text(question)
            yield Answer(question, question, (AnswerToken(0, len(question), 0),), (SOURCE,), 1, model=self.model)


SOURCE = Source(0, Span(0, 1, "x"), lift=1.0, posterior=1.0, share=1.0)


def test_chinese_goes_to_the_reader_and_the_rest_to_the_model_in_order():
    asked = ["Who sells tickets?", "灯塔是谁设计的？", "What rises?", "船长叫什么名字？"]
    seen = []
    both = ByLanguage(options={"window": 9}, load=Writer)
    answers = list(both.ask_many(asked, TEXTS, on_question=seen.append))
    assert [answer.question for answer in answers] == asked
    assert [answer.model for answer in answers] == ["smollm2", "extractive", "smollm2", "extractive"]
    assert seen == [0, 1, 2, 3]
    assert both.answerer().options == {"window": 9}


def test_a_named_model_answers_everything():
    assert [one.model for one in ByLanguage("big", load=Writer).ask_many(["谁？", "Who?"], TEXTS)] == ["big", "big"]
    alone = ByLanguage("extractive", load=None)
    assert [one.model for one in alone.ask_many(["谁？", "Who leaves?"], TEXTS)] == ["extractive", "extractive"]


def test_no_language_model_is_loaded_for_chinese_alone():
    def refuse(*_, **__):
        raise AssertionError("nobody asked for a language model")

    (answer,) = ByLanguage(load=refuse).ask_many(["灯塔是谁设计的？"], TEXTS)
    assert answer.model == "extractive"
