"""A broker of its own for each test that asks for one, and rooms on real sockets."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwok.home.actions import Action, Command


@pytest.fixture
def make_mosquitto(mosquitto_program, tmp_path):
    """A broker with options of its own: ``make_mosquitto("allow_anonymous false")``; not started."""
    return lambda options: Mosquitto(mosquitto_program, tmp_path, options)


class Mosquitto:
    """A mosquitto on a free port of this machine, that can be stopped and started again."""

    def __init__(self, program: str, folder: Path, options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._program = program
        self._config = folder / "mosquitto.conf"
        # started by root it would become another user, who may not read the test's folder
        self._config.write_text(f"user root\nlistener {self.port} 127.0.0.1\n{options}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("mosquitto did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def mosquitto_program() -> str:
    # Debian keeps it out of ordinary users' path
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    return program


@pytest.fixture
def mosquitto(mosquitto_program, tmp_path) -> Iterator[Mosquitto]:
    broker = Mosquitto(mosquitto_program, tmp_path, "allow_anonymous true\n")
    broker.start()
    yield broker
    broker.stop()


def command(action: Action, **slots: object) -> Command:
    return Command(action, source="HDMI2" if action is Action.SOURCE else None, **slots)  # type: ignore[arg-type]
