"""What a server does not take: each time a 4xx or 503 with a message, never a trace, never work for nobody."""

from __future__ import annotations

import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from pydantic import ValidationError
from served import eventually, serving

from ironwok.errors import InputError
from ironwok.serving import Limits, Services, create_app
from ironwok.serving.limits import RateLimiter
from ironwok.serving.schemas import AnswerRequest, ChatRequest, ClassifyRequest, ExtractRequest

ASK = {"texts": ["体育"], "labels": ["体育", "财经"]}


def changed(**fields):
    return json.dumps(ASK | fields).encode()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "JSON"),
        (b"", "required"),
        (b"[]", "the body: no JSON object, or not sent with the header Content-Type: application/json"),
        (b'{"texts": ["a"', "the body: no JSON (Expecting"),
        (b'{"texts": ["\xff\xfe"], "labels": ["a", "b"]}', "body"),
        (b"[" * 100_000, "body"),
        (b'{"texts": ["\\ud800"], "labels": ["a", "b"]}', "surrogate"),
        (b'{"texts": ["a"], "labels": ["\\ud800", "b"]}', "surrogate"),
        (changed(texts=[]), "at least one text"),
        (changed(texts=[" "]), "texts.0: is empty or blank"),
        (changed(texts=["a", 1]), "texts.1: Input should be a valid string"),
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


def test_headers_that_come_too_slowly_are_given_up(services):
    with serving(services, limits=Limits(body_seconds=0.4)) as running:
        address = ("127.0.0.1", running.client.port)
        with socket.create_connection(address, timeout=20) as slow:
            answer, stop = [], threading.Event()
            reader = threading.Thread(target=lambda: (answer.append(slow.makefile("rb").read()), stop.set()))
            reader.start()
            with suppress(OSError):
                slow.sendall(b"POST /v1/classify HTTP/1.1\r\n")
                while not stop.wait(0.05):  # a byte now and then does not buy more time
                    slow.sendall(b"X")
            reader.join(20)
            assert answer[0].startswith(b"HTTP/1.1 408")
            assert b"headers did not arrive" in answer[0]
        with socket.create_connection(address, timeout=20) as silent:
            assert silent.makefile("rb").read().startswith(b"HTTP/1.1 408")
        with socket.create_connection(address, timeout=20) as second:  # in time with one request, late with the next
            second.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while b"ok" not in received:
                received += second.recv(1000)
            second.sendall(b"GET /he")
            assert second.makefile("rb").read().startswith(b"HTTP/1.1 408")
        assert running.client.send("/v1/classify", ASK)[0] == 200


def test_fifty_megabytes_are_refused_and_the_client_hears_why(client):
    big = b'{"texts": ["' + b"a" * 50_000_000 + b'"]}'
    status, _, answer = client.send("/v1/classify", big)
    assert (status, answer["error"]["code"]) == (413, "request_too_large")
    assert client.send("/v1/classify", ASK)[0] == 200


@pytest.mark.parametrize("length", [b"9" * 5000, b"-1", b"1e3", b"", b"5, 6"])
def test_a_content_length_that_is_none_is_refused(client, length):
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as raw:
        raw.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        assert raw.makefile("rb").read().startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))
    assert client.send("/v1/classify", ASK)[0] == 200


def test_who_asks_before_sending_hears_at_once(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as polite:
        head = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n"
        polite.sendall(head)
        assert polite.makefile("rb").read().startswith(b"HTTP/1.1 413")


def test_without_a_key_a_large_body_is_not_kept_either(services):
    with serving(services, api_keys=["open-wok"]) as running:
        running.client.key = None
        status, _, answer = running.client.send("/v1/classify", b"a" * 20_000_000)
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


def test_a_request_for_more_readings_than_a_server_gives_is_refused(client):
    labels = [f"l{number}" for number in range(200)]
    status, _, answer = client.send("/v1/classify", {"texts": ["a" * 900_000], "labels": labels})
    assert (status, answer["error"]["code"]) == (422, "too_much_work")
    assert "200 labels" in answer["error"]["message"]
    templates = ["{}" + "x" * number for number in range(150)]
    status, _, answer = client.send("/v1/classify", {"texts": ["甲"] * 20, "labels": labels, "template": templates})
    assert (status, answer["error"]["code"]) == (422, "too_much_work")


@pytest.mark.parametrize(
    "body",
    [
        b'{"texts": ["a"], "labels": ["a", "b"], "threshold": ' + b"9" * 5000 + b"}",
        b'{"texts": ["a"], "labels": ["a", "b"], "threshold": 1e999}',
        b'{"texts": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b', "labels": ["a", "b"]}',
        json.dumps({"texts": ["a"], "labels": {f"l{n}": {"x": [{}] * 50} for n in range(500)}}).encode(),
        b'{"texts": ["a"], "labels": ["a", "b"], "multi_label": "yes"}',
        b'{"texts": ["a"], "labels": ["a", "b"], "threshold": "0.5"}',
        b"\x1f\x8b\x08\x00" + b"\x00" * 100,
        b"texts=a&labels=b",
        b'\xef\xbb\xbf{"texts": 1}',
        b"null",
        b"1" * 100_000,
    ],
)
def test_bombs_and_nonsense_are_answered_in_a_line(client, body):
    status, _, answer = client.send("/v1/classify", body)
    assert 400 <= status < 500
    assert 0 < len(answer["error"]["message"]) <= 500
    assert "Traceback" not in answer["error"]["message"]
    assert client.send("/v1/classify", ASK)[0] == 200


LIST = [1] * 100_000


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (ClassifyRequest, ASK | {"texts": LIST}),
        (ClassifyRequest, ASK | {"labels": LIST}),
        (ClassifyRequest, ASK | {"labels": {str(number): 1 for number in range(100_000)}}),
        (ClassifyRequest, ASK | {"template": LIST}),
        (ClassifyRequest, ASK | {str(number): 1 for number in range(100_000)}),
        (ExtractRequest, {"texts": LIST}),
        (AnswerRequest, {"question": "?", "contexts": LIST}),
        (AnswerRequest, {"question": "?", "contexts": [{}] * 100_000}),
        (AnswerRequest, {"question": "?", "contexts": ["a"], "decoding": {str(number): 1 for number in range(1000)}}),
        (ChatRequest, {"messages": LIST}),
        (ChatRequest, {"messages": [{"role": "user", "content": LIST}]}),
        (ChatRequest, {"messages": [{"role": "user", "content": "?"}], "documents": LIST}),
        (ChatRequest, {"messages": [{"role": "user", "content": "?"}], "stop": LIST}),
    ],
)
def test_a_body_full_of_mistakes_is_left_at_the_first(model, body):
    # a million of them, as fit into a body, would take gigabytes to tell of
    with pytest.raises(ValidationError) as told:
        model.model_validate(body)
    assert told.value.error_count() <= 3


def test_labels_and_templates_count_as_text(client):
    for fields in ({"labels": ["a" * 1_000_000, "b"]}, {"template": ["{}" + "x" * 10_000 + str(n) for n in range(60)]}):
        status, _, answer = client.send("/v1/classify", ASK | fields)
        assert (status, answer["error"]["code"]) == (422, "too_much_work")
        assert "characters" in answer["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/../etc/passwd", "/v1/../../etc/passwd", "/v1/models/..%2f..%2fetc%2fpasswd", "/%00", "/v1/classify%ff"]
)
def test_paths_lead_to_no_file(client, path):
    status, _, answer = client.send(path)
    assert status in (404, 405)
    assert "root:" not in str(answer)


@pytest.mark.parametrize("model", ["../../../etc/passwd", "/etc/passwd", "ironwok-small", "http://127.0.0.1:1/x"])
@pytest.mark.parametrize(("path", "ask"), [("/v1/classify", ASK), ("/v1/extract", {"texts": ["a"]})])
def test_a_model_that_is_not_loaded_is_not_loaded_for_a_request(client, path, ask, model):
    status, _, answer = client.send(path, ask | {"model": model})
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


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


def test_work_that_nobody_waits_for_ends_between_two_passes_of_the_model():
    import torch

    class Slow(torch.nn.Module):
        """A pass takes as long as it is told."""

        def __init__(self):
            super().__init__()
            self.begun, self.go, self.passes = threading.Event(), threading.Event(), 0

        def forward(self, text):
            self.passes += 1
            self.begun.set()
            assert self.go.wait(20)
            return []

    class PassingExtractor:
        task = "entities"

        def __init__(self, model):
            self.model = model

        def extract(self, texts):
            return [self.model(text) for text in texts]

    model = Slow()
    with serving(Services(extractor=PassingExtractor(model), extractor_name="slow")) as running:
        connection = running.client.connect()
        connection.request(
            "POST", "/v1/extract", json.dumps({"texts": ["a"] * 9}), {"content-type": "application/json"}
        )
        assert model.begun.wait(20)
        connection.close()
        eventually(lambda: running.client.counter('ironwok_requests_total{route="/v1/extract"') == 1)
        model.go.set()
        # the next one is answered in full, the abandoned one was not read on
        assert running.client.send("/v1/extract", {"texts": ["b", "c"]})[0] == 200
        assert model.passes == 1 + 2
    # with the server gone, the model is its owner's again
    assert model("d") == []
    assert not model._forward_pre_hooks


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
    ("wrong", "told"),
    [
        ({"body": 0}, "body is 0; it is at least 1"),
        ({"queue": 0}, "queue is 0; it is at least 1"),
        ({"seconds": 0.0}, "seconds (--timeout) is 0.0; it has to be above 0"),
        ({"rate": -1.0}, "rate (--rate) is -1.0; it has to be above 0"),
        ({"batch_seconds": -0.1}, "batch_seconds is -0.1; it is at least 0"),
    ],
)
def test_limits_out_of_range_are_refused(wrong, told):
    with pytest.raises(InputError, match=re.escape(told)):
        Limits(**wrong)
