"""/v1/compare and /v1/fill: what comes back is what the calls in Python give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from served import serving

from ironwok.serving import Limits, Services, load_services
from ironwok.zero_shot.registry import load_judge
from ironwok.zero_shot.tasks import Cloze, classify_pairs, fill_blanks, filled_blank, share_out
from ironwok.zero_shot.tasks.sentence_pairs import INFERENCE, PARAPHRASE

PAIRS = [["怎么修改手机号", "手机号怎么换"], ["花呗可以提前还款吗", "今天天气怎么样"], ["怎么开通借呗", "借呗怎么关闭"]]
TEXTS = ["他____地完成了任务，毫不费力。", "这样做是____，反而坏了事。"]
IDIOMS = ["轻而易举", "画蛇添足", "九牛一毛"]


@pytest.fixture(scope="module")
def judge():
    return load_judge("relations")


@pytest.fixture(scope="module")
def judging(judge):
    with serving(Services(judge=judge, judge_name="heads"), limits=Limits(texts=4, labels=3)) as running:
        yield running.client


def near(results):
    return [pytest.approx(result["scores"], abs=1e-5) for result in results]


@pytest.mark.parametrize(("relation", "answers"), [("paraphrase", PARAPHRASE), ("inference", INFERENCE)])
def test_pairs_are_judged_as_by_the_call(judging, judge, relation, answers):
    status, _, answer = judging.send("/v1/compare", {"pairs": PAIRS, "relation": relation})
    assert (status, answer["model"]) == (200, "heads")
    expected = [one.to_dict() for one in classify_pairs(judge, PAIRS, labels=answers)]
    assert [one["label"] for one in answer["results"]] == [one["label"] for one in expected]
    assert [one["scores"] for one in answer["results"]] == near(expected)


def test_shares_compare_the_pairs_of_one_request(judging, judge):
    asked = {"pairs": PAIRS, "prior": {"same": 0.34}}
    status, _, answer = judging.send("/v1/compare", asked)
    alone = classify_pairs(judge, PAIRS, labels=PARAPHRASE)
    expected = [one.to_dict() for one in share_out(alone, {"same": 0.34, "different": 0.66})]
    assert status == 200
    assert [one["scores"] for one in answer["results"]] == near(expected)
    assert [one["label"] for one in answer["results"]].count("same") == 1
    # others that are read in the same batch are not looked at
    with (
        serving(Services(judge=judge, judge_name="heads"), limits=Limits(batch_seconds=0.2)) as running,
        ThreadPoolExecutor(3) as pool,
    ):
        others = [pool.submit(running.client.send, "/v1/compare", {"pairs": PAIRS[:count]}) for count in (1, 2)]
        again = running.client.send("/v1/compare", asked)[2]["results"]
        assert [one["scores"] for one in again] == near(expected)
        for count, other in zip((1, 2), others, strict=True):
            assert [one["label"] for one in other.result()[2]["results"]] == [one.label for one in alone[:count]]


def test_blanks_are_filled_as_by_the_call(judging, judge):
    own = {"text": "价格____了三成。", "candidates": ["上涨", "吃饭"]}
    status, _, answer = judging.send("/v1/fill", {"texts": [*TEXTS, own], "candidates": IDIOMS})
    items = [Cloze(text, tuple(IDIOMS)) for text in TEXTS] + [Cloze(own["text"], tuple(own["candidates"]))]
    expected = [filled_blank(one) for one in fill_blanks(judge, items)]
    assert status == 200
    assert [one["scores"] for one in answer["results"]] == near(expected)
    assert [(one["word"], one["blank"]) for one in answer["results"]] == [(e["word"], e["blank"]) for e in expected]
    assert answer["results"][0]["blank"] == [1, 5]


def test_a_blank_may_be_written_otherwise(judging):
    text = TEXTS[0].replace("____", "#idiom#")
    status, _, answer = judging.send("/v1/fill", {"texts": text, "candidates": IDIOMS, "blank": "#idiom#"})
    assert (status, answer["results"][0]["blank"]) == (200, [1, 8])


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("compare", {"pairs": []}, "pairs is empty: send at least one pair"),
        ("compare", {"pairs": [PAIRS[0]] * 5}, "there are 5 pairs; at most 4 in one request"),
        ("compare", {"pairs": [["一句"]]}, "pairs.0: "),
        ("compare", {"pairs": [["一句", " "]]}, "pairs.0.1: is empty or blank"),
        ("compare", {"pairs": PAIRS, "relation": "rhyme"}, "relation is 'rhyme'; it is one of inference, paraphrase"),
        ("compare", {"pairs": PAIRS, "prior": {"gleich": 0.5}}, "the prior names 'gleich'; the answers are"),
        ("compare", {"pairs": PAIRS, "prior": {"same": 0.7, "different": 0.7}}, "the shares of the prior come to 1.4"),
        ("compare", {"pairs": PAIRS, "prior": {"same": 2}}, "prior.same: "),
        ("compare", {"pairs": PAIRS, "prior": {}}, "name a share, such as same"),
        ("compare", {"pairs": PAIRS[:1], "prior": {"same": 0.5}}, "send two pairs or more"),
        ("fill", {"texts": []}, "texts is empty: send at least one text"),
        ("fill", {"texts": TEXTS}, "has no candidates: send candidates, beside it or for all texts"),
        ("fill", {"texts": ["没有空格"], "candidates": IDIOMS}, "has 0 blanks of two underscores or more"),
        ("fill", {"texts": TEXTS, "candidates": IDIOMS[:1]}, "has 1 candidates: give two or more"),
        ("fill", {"texts": TEXTS, "candidates": [*"甲乙丙丁"]}, "has 4 candidates; at most 3"),
        ("fill", {"texts": [{"text": TEXTS[0], "words": IDIOMS}]}, "texts.0"),
    ],
)
def test_what_cannot_be_judged_is_refused(judging, path, asked, said):
    status, _, answer = judging.send(f"/v1/{path}", asked)
    assert status == 422
    assert said in answer["error"]["message"]


def test_a_model_without_heads_judges_nothing(client):
    for path, asked in (("compare", {"pairs": PAIRS}), ("fill", {"texts": TEXTS, "candidates": IDIOMS})):
        status, _, answer = client.send(f"/v1/{path}", asked)
        assert (status, answer["error"]["code"]) == (404, "not_served")


def test_the_shipped_model_does_three_jobs():
    services = load_services(scorer="associations")
    assert services.models() == {"ironwok-small": ["classify", "compare", "fill"]}
    with serving(services) as running:
        assert running.client.send("/v1/models")[2]["data"][0]["tasks"] == ["classify", "compare", "fill"]
        assert running.client.send("/v1/compare", {"pairs": PAIRS})[2]["results"][1]["label"] == "different"
