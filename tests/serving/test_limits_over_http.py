"""What a server does not take: each time a 4xx or 503 with a message, never a trace, never work for nobody."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from served import eventually, serving

from ironwok.errors import InputError
from ironwok.serving import Limits, Services, create_app
from ironwok.serving.limits import RateLimiter

ASK = {"texts": ["体育"], "labels": ["体育", "财经"]}


def changed(**fields):
    return json.dumps(ASK | fields).encode()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "JSON"),
        (b"", "required"),
        (b"[]", "valid dictionary"),
        (b'{"texts": ["\xff\xfe"], "labels": ["a", "b"]}', "body"),
        (b"[" * 100_000, "body"),
        (b'{"texts": ["\\ud800"], "labels": ["a", "b"]}', "surrogate"),
        (b'{"texts": ["a"], "labels": ["\\ud800", "b"]}', "surrogate"),
        (changed(texts=[]), "at least one text"),
        (changed(texts=[" "]), "blank"),
        (changed(texts=[1]), "texts"),
        (changed(texts={"a": 1}), "texts"),
        (changed(labels=["a"]), "nothing to choose"),
        (changed(labels=["a", "a"]), "twice"),
        (changed(labels=[]), "no labels"),
        (changed(labels={"a": {"b": {"c": None}}}), "labels"),
        (changed(labels=None), "labels are missing"),
        (changed(labels=[f"l{number}" for number in range(500)]), "at most 200"),
        (changed(texts=["a"] * 300), "at most 256"),
        (changed(texts=["a" * 1_000_001]), "at most 1,000,000"),
        (changed(threshold=2), "threshold"),
        (b'{"texts": ["a"], "labels": ["a", "b"], "threshold": NaN}', "threshold"),
        (changed(template="no place"), "{}"),
        (changed(template=[]), "template"),
        (changed(polish=True), "polish"),
        (changed(file="/etc/passwd"), "file"),
    ],
)
def test_what_is_asked_wrongly_is_refused(client, body, told):
    status, _, answer = client.send("/v1/classify", body)
    assert 400 <= status < 500
    assert told in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert client.send("/v1/classify", ASK)[0] == 200


def test_routes_and_methods_that_are_not_there(client):
    assert client.send("/v1/nothing")[::2][0] == 404
    assert client.send("/v1/classify")[0] == 405
    assert client.send("/docs")[0] == 404
    assert "/v1/classify" in client.send("/openapi.json")[2]["paths"]


def test_a_body_that_is_too_large_is_not_read(services):
    with serving(services, limits=Limits(body=1000)) as running:
        client = running.client
        status, headers, answer = client.send("/v1/classify", changed(texts=["a" * 1000]))
        assert (status, answer["error"]["code"], headers["connection"]) == (413, "request_too_large", "close")
        connection = client.connect()
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            connection.request("POST", "/v1/classify", body=(b"x" * 300 for _ in range(9)), encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()
        assert client.send("/v1/classify", ASK)[0] == 200


def test_a_body_that_comes_too_slowly_is_given_up(services):
    with serving(services, limits=Limits(body_seconds=0.3)) as running:
        with socket.create_connection(("127.0.0.1", running.client.port), timeout=20) as slow:
            slow.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            assert slow.recv(100).startswith(b"HTTP/1.1 408")
        assert running.client.counter('ironwok_rejected_total{reason="request_timeout"}') == 1


def test_a_full_queue_turns_away_and_the_accepted_are_answered(services, scorer):
    with serving(services, limits=Limits(queue=2, batch_seconds=0)) as running, ThreadPoolExecutor(4) as pool:
        client = running.client
        scorer.go.clear()
        first = pool.submit(client.send, "/v1/classify", ASK)
        assert scorer.begun.wait(20)
        waiting = [pool.submit(client.send, "/v1/classify", ASK) for _ in range(2)]
        eventually(lambda: client.counter('ironwok_queue_requests{task="classify"}') == 2)
        status, headers, answer = client.send("/v1/classify", ASK)
        assert (status, answer["error"]["code"], headers["retry-after"]) == (429, "queue_full", "1")
        scorer.go.set()
        assert [one.result()[0] for one in (first, *waiting)] == [200] * 3


def test_a_request_that_takes_too_long_is_given_up(services, scorer):
    with serving(services, limits=Limits(seconds=0.3)) as running:
        scorer.go.clear()
        status, _, answer = running.client.send("/v1/classify", ASK)
        assert (status, answer["error"]["code"]) == (504, "timeout")
        scorer.go.set()


def test_what_nobody_waits_for_is_not_begun(services, scorer):
    with serving(services) as running, ThreadPoolExecutor(1) as pool:
        client = running.client
        scorer.go.clear()
        first = pool.submit(client.send, "/v1/classify", ASK)
        assert scorer.begun.wait(20)
        leaving = client.connect()
        leaving.request(
            "POST", "/v1/classify", body=changed(texts=["离开的人"]), headers={"content-type": "application/json"}
        )
        eventually(lambda: client.counter('ironwok_queue_requests{task="classify"}') == 1)
        leaving.close()
        eventually(lambda: client.counter('ironwok_requests_total{route="/v1/classify",status="499"}') == 1)
        scorer.go.set()
        assert first.result()[0] == 200
        assert client.send("/v1/classify", ASK)[0] == 200
        assert "离开的人" not in scorer.texts


def test_going_down_finishes_what_was_accepted(services, scorer):
    with serving(services) as running, ThreadPoolExecutor(1) as pool:
        scorer.go.clear()
        first = pool.submit(running.client.send, "/v1/classify", ASK)
        assert scorer.begun.wait(20)
        running.server.should_exit = True
        eventually(lambda: not running.server.servers[0].is_serving())
        scorer.go.set()
        assert first.result()[0] == 200
        running.thread.join(20)


def test_a_key_is_asked_for_where_one_is_set(services):
    with serving(services, api_keys=["first", "zwei"]) as running:
        client = running.client
        assert client.send("/v1/classify", ASK)[0] == 200
        for key in ("zwei",):
            client.key = key
            assert client.send("/v1/models")[0] == 200
        for wrong in ("", "firs", "first2", "zweifirst"):
            client.key = wrong
            for path in ("/v1/models", "/metrics", "/openapi.json", "/v1/classify"):
                status, headers, answer = client.send(path, ASK if path == "/v1/classify" else None)
                assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
                assert headers["www-authenticate"] == "Bearer"
        assert client.send("/healthz")[0] == client.send("/readyz")[0] == 200
    with pytest.raises(InputError, match="blank"):
        create_app(Services(), api_keys=[" "])


def test_a_client_that_asks_too_often_waits(services):
    with serving(services, limits=Limits(rate=2)) as running:
        client = running.client
        assert [client.send("/v1/classify", ASK)[0] for _ in range(3)] == [200, 200, 429]
        status, headers, answer = client.send("/v1/classify", ASK)
        assert (status, answer["error"]["type"]) == (429, "rate_limit_error")
        assert 1 <= int(headers["retry-after"]) <= 30
        assert client.send("/v1/models")[0] == 200


def test_rates_refill_evenly_and_each_client_has_its_own():
    now = [0.0]
    limiter = RateLimiter(60, clock=lambda: now[0])
    assert [limiter.wait("a") for _ in range(60)] == [0] * 60
    assert limiter.wait("a") == pytest.approx(1)
    assert limiter.wait("b") == 0
    now[0] = 0.5
    assert limiter.wait("a") == pytest.approx(0.5)
    now[0] = 1.0
    assert limiter.wait("a") == 0
    assert limiter.wait("a") == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong", [{"body": 0}, {"queue": 0}, {"seconds": 0.0}, {"rate": -1.0}, {"batch_seconds": -0.1}]
)
def test_limits_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="it is"):
        Limits(**wrong)
