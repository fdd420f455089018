"""A server on a loopback port, a client, and models small enough to know what they say."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ironwok.errors import InputError
from ironwok.results import Answer, AnswerToken, Entity, Source, Span
from ironwok.serving import Limits, Services, create_app
from ironwok.zero_shot.pairs import Pair

NAME = "by-letters"


class HeldScorer:
    """Ten times the share of the label's characters that the text has. Waits while ``go`` is not set.

    A text with 坏 is refused; one with 虫 meets a bug.
    """

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.texts: list[str] = []

    def score(self, pairs: Sequence[Pair]) -> np.ndarray:
        self.begun.set()
        assert self.go.wait(20)
        self.texts.extend(pair.text for pair in pairs)
        if any("坏" in pair.text for pair in pairs):
            raise InputError("this text is not to be read")
        if any("虫" in pair.text for pair in pairs):
            raise ZeroDivisionError("secret of another user")
        return np.array([10 * len(set(p.prompt.label) & set(p.text)) / len(set(p.prompt.label)) for p in pairs])


class NumberExtractor:
    """Finds numbers."""

    task = "entities"

    def extract(self, texts: Sequence[str]) -> list[tuple[Entity, ...]]:
        return [
            tuple(
                Entity("number", Span(found.start(), found.end(), found.group())) for found in re.finditer(r"\d+", text)
            )
            for text in texts
        ]


class Parrot:
    """Answers with the first context. Characters are tokens."""

    @staticmethod
    def tokenizer(text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}

    def ask(self, question, contexts, *, settings, on_text, on_read):
        on_read(1)
        text = contexts[0].text
        for letter in text:
            on_text(letter)
        tokens = tuple(AnswerToken(place, place + 1, 0) for place in range(len(text)))
        return Answer(question, text, tokens, (Source(0, Span(0, len(text), text), 1.0, 1.0, 1.0),), len(contexts))


class Endless:
    """Says a word again and again, until told to stop; as an `Answerer` does, through ``on_text``."""

    def __init__(self):
        self.stopped = threading.Event()

    def ask(self, question, contexts, *, settings, on_text, on_read):
        try:
            while True:
                on_text("on and ")
                threading.Event().wait(0.01)
        finally:
            self.stopped.set()


class Client:
    """Requests to a port of this machine."""

    def __init__(self, port: int, key: str | None = None) -> None:
        self.port, self.key = port, key

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def send(self, path: str, body: Any = None, *, method: str | None = None, headers: dict[str, str] | None = None):
        """Status, headers and body, as JSON where it is JSON."""
        connection = self.connect()
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json"} | (headers or {})
        if self.key:
            sent["authorization"] = f"Bearer {self.key}"
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body=data, headers=sent)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        is_json = (response.getheader("content-type") or "").startswith("application/json")
        return response.status, response.headers, json.loads(raw) if is_json else raw.decode()

    def events(self, path: str, body: Any) -> list[Any]:
        """What a stream says, without its last line."""
        status, headers, text = self.send(path, body)
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in text.strip().split("\n\n")]
        assert lines[-1] == "[DONE]"
        return [json.loads(line) for line in lines[:-1]]

    def counter(self, name: str) -> float:
        """A value of the metrics, by the beginning of its line; 0 where there is none."""
        _, _, text = self.send("/metrics")
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


class Running:
    """A server that runs."""

    def __init__(self, server: Any, thread: threading.Thread, client: Client) -> None:
        self.server, self.thread, self.client = server, thread, client

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()


@contextmanager
def serving(
    services: Services, *, limits: Limits | None = None, api_keys: Sequence[str] = (), page: bool = False
) -> Iterator[Running]:
    from ironwok.serving.run import Runner, configuration

    app = create_app(services, limits=limits, api_keys=api_keys, page=page, clock=lambda: 1234.5)
    server = Runner(configuration(app, host="127.0.0.1", port=0, limits=limits or Limits(), log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < until
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    running = Running(server, thread, Client(port, api_keys[0] if api_keys else None))
    try:
        yield running
    finally:
        running.stop()


def eventually(true: Any, *, seconds: float = 20) -> None:
    """Wait until it is true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
