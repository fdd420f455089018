"""/v1/classify, /v1/extract, health, metrics: what comes back is what the call in Python gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from served import NAME, HeldScorer, eventually, serving

from ironwok.distill import HashedTextClassifier
from ironwok.serving import Limits, Services
from ironwok.zero_shot import ZeroShotClassifier

ASK = {"texts": ["主队赢了体育比赛", "财政部发债"], "labels": ["体育", "财经"]}


def direct(texts, labels, **options):
    return [r.to_dict() for r in ZeroShotClassifier(scorer=HeldScorer()).classify(texts, labels=labels, **options)]


def test_classify_gives_what_the_call_gives(client):
    status, _, answer = client.send("/v1/classify", ASK)
    assert status == 200
    assert answer == {"model": NAME, "results": direct(**ASK)}
    assert [result["label"] for result in answer["results"]] == ["体育", "财经"]


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 0.999},
        {"multi_label": True},
        {"calibrate": True},
        {"template": "关于{}"},
        {"template": ["关于{}", "{}类"]},
    ],
)
def test_options_arrive(client, options):
    status, _, answer = client.send("/v1/classify", ASK | options)
    assert status == 200
    assert answer["results"] == direct(**ASK, **options)


def test_one_text_and_words_for_labels(client):
    status, _, answer = client.send(
        "/v1/classify", {"texts": "主队赢了", "labels": {"a": "主队", "b": "银行"}, "model": NAME}
    )
    assert status == 200
    assert answer["results"][0]["label"] == "a"


def test_requests_that_wait_are_read_together(services, scorer):
    asks = [
        {"texts": [f"第{number}条体育消息"], "labels": ["体育", f"财经{number}"] if number % 2 else ["财经", "体育"]}
        for number in range(6)
    ]
    with serving(services, limits=Limits(batch_seconds=0.2)) as running, ThreadPoolExecutor(7) as pool:
        client = running.client
        scorer.go.clear()
        first = pool.submit(client.send, "/v1/classify", ASK)
        assert scorer.begun.wait(20)
        rest = [pool.submit(client.send, "/v1/classify", ask) for ask in asks]
        eventually(lambda: client.counter('ironwok_queue_requests{task="classify"}') == 6)
        scorer.go.set()
        assert first.result()[2]["results"] == direct(**ASK)
        for ask, answer in zip(asks, rest, strict=True):
            assert answer.result()[2]["results"] == direct(**ask)
        assert client.counter('ironwok_batch_texts_count{task="classify"}') == 2
        assert client.counter('ironwok_batch_texts_sum{task="classify"}') == 8


def test_a_request_that_fails_harms_no_other(services, scorer):
    with serving(services, limits=Limits(batch_seconds=0.2)) as running, ThreadPoolExecutor(4) as pool:
        client = running.client
        scorer.go.clear()
        first = pool.submit(client.send, "/v1/classify", ASK)
        assert scorer.begun.wait(20)
        refused = pool.submit(client.send, "/v1/classify", ASK | {"texts": ["坏"]})
        bug = pool.submit(client.send, "/v1/classify", ASK | {"texts": ["虫"]})
        good = pool.submit(client.send, "/v1/classify", ASK)
        eventually(lambda: client.counter('ironwok_queue_requests{task="classify"}') == 3)
        scorer.go.set()
        assert first.result()[0] == 200
        assert good.result()[2]["results"] == direct(**ASK)
        status, _, answer = refused.result()
        assert (status, answer["error"]["message"]) == (422, "this text is not to be read")
        status, _, answer = bug.result()
        assert (status, answer["error"]["code"]) == (500, "internal_error")
        assert "secret" not in str(answer)


def test_a_student_brings_its_own_labels():
    estimator = HashedTextClassifier().fit(["主队赢了", "央行降准", "客队赢了", "央行加息"], ["体育", "财经"] * 2)
    with serving(Services(classifier=estimator.student_, classifier_name="s")) as running:
        status, _, answer = running.client.send("/v1/classify", {"texts": ["主队客队"]})
        assert (status, answer["results"][0]["label"]) == (200, "体育")
        status, _, answer = running.client.send("/v1/classify", {"texts": ["主队"], "labels": ["体育", "军事"]})
        assert status == 422
        assert "'军事'" in answer["error"]["message"]


def test_extract_gives_spans_of_the_text(client):
    status, _, answer = client.send("/v1/extract", {"texts": ["三月12日", "无"]})
    assert status == 200
    assert answer == {
        "model": "numbers",
        "results": [
            {"entities": [{"type": "number", "start": 2, "end": 4, "text": "12", "score": 1.0}]},
            {"entities": []},
        ],
    }


def test_health_models_and_metrics(client):
    assert client.send("/healthz")[::2] == (200, {"status": "ok"})
    assert client.send("/readyz")[::2] == (200, {"ready": True})
    listed = client.send("/v1/models")[2]["data"]
    assert [(one["id"], one["tasks"]) for one in listed] == [(NAME, ["classify"]), ("numbers", ["extract"])]
    client.send("/v1/classify", ASK)
    client.send("/nowhere/in/particular")
    assert client.counter('ironwok_requests_total{route="/v1/classify",status="200"}') == 1
    assert client.counter('ironwok_requests_total{route="other",status="404"}') == 1
    assert client.counter('ironwok_request_seconds_count{route="/v1/classify"}') == 1


def test_a_task_without_a_model_is_not_there(client):
    status, _, answer = client.send("/v1/answer", {"question": "谁？", "contexts": ["甲"]})
    assert (status, answer["error"]["code"]) == (404, "not_served")
    status, _, answer = client.send("/v1/classify", ASK | {"model": "../../etc/passwd"})
    assert (status, answer["error"]["code"]) == (404, "model_not_found")
