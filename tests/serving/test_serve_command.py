"""`ironwok serve` as a process: it starts, answers, and goes down in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
from served import Client, eventually

from ironwok.cli import language, main
from ironwok.distill import HashedTextClassifier


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setenv("LC_ALL", "C")


@pytest.fixture
def student(tmp_path):
    HashedTextClassifier().fit(["主队赢了", "央行降准", "客队赢了", "央行加息"], ["体育", "财经"] * 2).save(
        tmp_path / "s"
    )
    return tmp_path / "s"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_it_serves_a_student_with_a_key_and_stops_on_a_signal(student, tmp_path):
    port = free_port()
    keys = tmp_path / "keys.txt"
    keys.write_text("# of the tests\nopen-wok\n", encoding="utf-8")
    command = [sys.executable, "-m", "ironwok", "serve", "--model", student, "--port", port, "--api-key-file", keys]
    environment = os.environ | {"IRONWOK_API_KEY": "other-key"}
    run = subprocess.Popen(list(map(str, command)), env=environment, stderr=subprocess.PIPE, encoding="utf-8")

    def answers() -> bool:
        assert run.poll() is None, run.stderr.read() if run.stderr else ""
        try:
            return Client(port).send("/readyz")[0] == 200
        except OSError:
            return False

    try:
        eventually(answers, seconds=60)
        ask = {"texts": ["主队客队"]}
        assert Client(port).send("/v1/classify", ask)[0] == 401
        for key in ("open-wok", "other-key"):
            status, _, answer = Client(port, key).send("/v1/classify", ask)
            assert (status, answer["results"][0]["label"]) == (200, "体育")
    finally:
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=30)
    assert run.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in said
    assert str(student) in said.replace("\n", "")


SLOW = """
import asyncio, sys, time
from fastapi import FastAPI
from ironwok.serving.limits import Limits
from ironwok.serving.run import bound, serve_forever

app = FastAPI()
app.state.end_streams = lambda: None

@app.get("/")
def slow():
    print("begun", flush=True)
    time.sleep(100)

serve_forever(app, at=bound("127.0.0.1", int(sys.argv[1])), limits=Limits())
"""


def test_asked_twice_to_stop_it_stops_at_once():
    port = free_port()
    command = [sys.executable, "-c", SLOW, str(port)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually(listens, seconds=60)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert run.stdout is not None
            assert run.stdout.readline() == "begun\n"
            run.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait(timeout=1)  # for the answer
            run.send_signal(signal.SIGINT)
            _, said = run.communicate(timeout=10)
    finally:
        run.kill()
    assert run.returncode == 130
    assert said.splitlines()[-1] == "stopped at once; what was accepted and not answered yet is dropped"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--no-classify"], "nothing to serve"),
        (["--api-key-file", "nowhere.txt"], "nowhere.txt"),
        (["--timeout", "0"], "seconds (--timeout) is 0.0; it has to be above 0"),
        (["--host", "192.0.2.1"], "cannot listen at 192.0.2.1, port 8000"),
        (["--model", "no/such/folder"], "no/such/folder"),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_listens(arguments, told, capsys):
    assert main(["serve", *arguments]) == 1
    assert told in capsys.readouterr().err


def test_a_file_without_a_key_opens_no_server(tmp_path, capsys):
    (tmp_path / "keys").write_text("# none\n", encoding="utf-8")
    assert main(["serve", "--api-key-file", str(tmp_path / "keys")]) == 1
    assert "holds no key" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told_before_a_model_is_loaded(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--model", "no/such/folder", "--port", str(port)]) == 1
    said = capsys.readouterr().err
    assert f"cannot listen at 127.0.0.1, port {port}" in said
    assert "--port" in said
