"""The commands of `ironwok home`, in processes of their own where they serve, in this one where they answer."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from ironwok.cli import language, main
from ironwok.home.config import load_home
from ironwok.home.inputs.codes import LIRC_RECORD
from ironwok.home.inputs.lines import Lines
from ironwok.home.journal import read_journal

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    for variable in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("COLUMNS", "200")


class Program:
    """`ironwok home ...` in a process, its words in a file."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.words = folder / f"{arguments[0]}.txt"
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "LANG": "en_US.UTF-8", "COLUMNS": "200"}
        with self.words.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ironwok", "home", *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=folder,
            )

    def wait_for(self, pattern: str, seconds: float = 60) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.words.read_text()
            if re.search(pattern, text):
                return text
            assert self.process.poll() is None, text
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} was not said: {self.words.read_text()}")

    def stop(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def free_ports():
    """The simulator has fixed ports: where another program has one of them, this machine cannot run these tests."""
    for port in (16735, 16750, 54321):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                pytest.skip(f"UDP port {port} of this machine is taken")


def test_a_whole_evening_without_hardware(tmp_path, free_ports, capsys):
    """What docs/home.md shows: a simulated room, the daemon, and sentences said to it."""
    simulator = Program(tmp_path, "simulate", "room", "--speed", "30", "--on")
    daemon = None
    try:
        simulator.wait_for("ironwok home run")
        file = tmp_path / "room" / "home.toml"
        assert file.stat().st_mode & 0o077 == 0
        # alone: the command acts by itself
        assert main(["home", "say", "静音", "-c", str(file)]) == 0
        assert capsys.readouterr().out.startswith("sent: mute")
        simulator.wait_for("projector: mute")
        assert main(["home", "check", str(file)]) == 0
        report = capsys.readouterr().out
        assert re.search(r"works\s+plug: it is on and delivers 95\.0 W", report)
        assert re.search(r"works\s+lan:", report)
        # with the daemon: the same command goes through it
        daemon = Program(tmp_path, "run", str(file))
        daemon.wait_for("ready")
        assert main(["home", "say", "关掉投影", "-c", str(file), "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer["action"], answer["ending"]) == ("power_off", "confirmed")
        assert "the mains are off" in answer["reason"]
        simulator.wait_for("plug: off")
        assert main(["home", "say", "今天天气怎么样", "-c", str(file)]) == 1
        assert "does not seem to be for the projector" in capsys.readouterr().err
        assert daemon.stop(signal.SIGTERM) == 0
        records = list(read_journal(tmp_path / "room" / "journal.jsonl"))
        assert [record["action"] for record in records if record["event"] == "asked" and "action" in record] == [
            "mute",
            "power_off",
        ]
        token = tomllib.loads(file.read_text())["webhook"]["token"]
        assert token not in daemon.words.read_text()
    finally:
        if daemon is not None:
            daemon.stop(signal.SIGKILL)
        assert simulator.stop() in (0, -signal.SIGKILL)


def test_a_run_that_is_killed_with_the_mains_off_is_put_right_by_the_next(tmp_path, free_ports, capsys):
    simulator = Program(tmp_path, "simulate", "room", "--speed", "8")
    daemon = None
    try:
        simulator.wait_for("ironwok home run")
        file = tmp_path / "room" / "home.toml"
        daemon = Program(tmp_path, "run", str(file))
        daemon.wait_for("ready")
        asking = Program(tmp_path, "say", "打开投影仪", "-c", str(file))
        simulator.wait_for("plug: off")
        daemon.stop(signal.SIGKILL)
        assert asking.process.wait(30) == 1
        assert "does not answer" in asking.words.read_text()
        assert "plug: on" not in simulator.words.read_text()
        # any command will do, even one that is refused
        assert main(["home", "say", "今天天气怎么样", "-c", str(file)]) == 1
        simulator.wait_for("plug: on")
        records = list(read_journal(tmp_path / "room" / "journal.jsonl"))
        (asked,) = [one for one in records if one.get("action") == "power_on"]
        (ended,) = [one for one in records if one["id"] == asked["id"] and one["event"] == "ended"]
        assert (ended["ending"], ended["reason"]) == ("failed", "the program stopped before this was done")
        assert [one["on"] for one in records if one["event"] == "mains"][-1] is True
    finally:
        if daemon is not None:
            daemon.stop(signal.SIGKILL)
        simulator.stop()


def test_learning_at_a_terminal(tmp_path):
    """A key is pressed, its action typed; a mistake is answered; Ctrl-C ends it even at the question."""
    file = tmp_path / "home.toml"
    file.write_text(
        '# my room\n[ways.lan]\nkind = "xgimi"\n[projector]\nhost = "127.0.0.1"\n[remotes]\nlirc = ["lirc0"]\n'
    )
    os.mkfifo(tmp_path / "lirc0")
    ours, theirs = os.openpty()
    words = tmp_path / "words"
    with words.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ironwok", "home", "learn", str(file)],
            stdin=theirs,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "LANG": "en_US.UTF-8", "COLUMNS": "200"},
        )

    def wait_for(text):
        for _ in range(600):
            if text in words.read_text():
                return
            assert process.poll() is None, words.read_text()
            time.sleep(0.05)
        raise AssertionError(words.read_text())

    try:
        wait_for("Press keys")
        with (tmp_path / "lirc0").open("wb", buffering=0) as remote:
            remote.write(LIRC_RECORD.pack(1_000_000_000, 0, 9, 0, 0x40BF12))
            wait_for("nec:0x40bf12")
            os.write(ours, b"explode\n")
            wait_for("there is no action 'explode'")
            remote.write(LIRC_RECORD.pack(3_000_000_000, 0, 9, 0, 0x40BF12))
            time.sleep(0.3)
            os.write(ours, b"volume_up 3\n")
            wait_for("nec:0x40bf12 is volume_up 3 now")
            remote.write(LIRC_RECORD.pack(5_000_000_000, 0, 9, 0, 0x40BF1A))
            wait_for("nec:0x40bf1a")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        assert os.get_blocking(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
    assert file.read_text().startswith("# my room\n")
    assert load_home(file).bindings == {"nec:0x40bf12": "volume_up 3"}


@pytest.mark.parametrize(("typed", "code", "said"), [(b"A1B2C3\n", 0, "tv: paired"), (b"", 1, "the input ended")])
def test_pairing_asks_for_the_code_on_the_screen(tmp_path, capsys, monkeypatch, typed, code, said):
    class Remote:
        async def async_generate_cert_if_missing(self):
            return True

        async def async_start_pairing(self):
            return None

        async def async_finish_pairing(self, pairing_code):
            assert pairing_code == "A1B2C3"

    monkeypatch.setattr("ironwok.home.ways.android_tv._remote", lambda host, folder: Remote())
    read, write_end = os.pipe()
    os.write(write_end, typed)
    os.close(write_end)
    monkeypatch.setattr("ironwok.home.inputs.lines.Lines", lambda: Lines(read))
    file = write(tmp_path, '[projector]\nhost = "127.0.0.1"\n[ways.tv]\nkind = "android_tv"\n')
    assert main(["home", "pair", file]) == code
    os.close(read)
    spoken = capsys.readouterr()
    assert said in spoken.out + spoken.err


def write(folder: Path, text: str) -> str:
    path = folder / "home.toml"
    path.write_text(text)
    return str(path)


ROOM = '[projector]\nhost = "127.0.0.1"\nprobe_port = 0\n[ways.lan]\nkind = "xgimi"\n'


def test_a_dry_run_says_what_would_be_done(tmp_path, capsys):
    file = write(tmp_path, ROOM)
    assert main(["home", "say", "volume up three steps", "-c", file, "--dry-run"]) == 0
    assert "dry run: would send volume_up 3 by lan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ROOM + "surprise = 1\n", "ways.lan.*surprise|surprise"),
        ("[projektor]\n", "projektor: unknown key"),
        ("not toml", "is no TOML"),
        (ROOM + '[order]\ndefault = ["tv"]\n', "there is no way 'tv'"),
        (ROOM + "[order]\nfly = []\n", "there is no such action"),
        (ROOM + '[bindings]\n"nec:0x1" = "explode"\n', "there is no action 'explode'"),
        (ROOM + '[webhook]\ntoken = "hunter2"\n', "shorter than 16"),
        (ROOM + '[webhook]\ntoken = "env:IRONWOK_NO_SUCH"\n', "no environment variable IRONWOK_NO_SUCH"),
        (ROOM + '[mqtt]\nhost = "x"\npassword = "file:/nowhere/secret"\n', "/nowhere/secret"),
        (ROOM + "[mains]\nreadings = 1\n", "mains.readings"),
        (ROOM + "[scenes]\noff_seconds = 0\n", "scenes.off_seconds"),
        ("[ways.lan]\nkind = 'telepathy'\n", "no kind 'telepathy'"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_and_no_secret_with_it(tmp_path, capsys, text, problem):
    assert main(["home", "say", "静音", "-c", write(tmp_path, text)]) == 1
    said = capsys.readouterr().err
    assert re.search(problem, said)
    assert "hunter2" not in said


def test_a_missing_file_is_named(capsys):
    assert main(["home", "run", "nowhere.toml"]) == 1
    assert "nowhere.toml cannot be read" in capsys.readouterr().err


def test_secrets_come_from_the_environment_and_from_files(tmp_path, monkeypatch):
    monkeypatch.setenv("IRONWOK_TEST_TOKEN", "t" * 20)
    (tmp_path / "password").write_text("secret words\n")
    text = f'{ROOM}[webhook]\ntoken = "env:IRONWOK_TEST_TOKEN"\n'
    text += f'[mqtt]\nhost = "x"\npassword = "file:{tmp_path}/password"\n'
    config = load_home(write(tmp_path, text))
    assert config.webhook.token.get_secret_value() == "t" * 20
    assert config.mqtt.password.get_secret_value() == "secret words"
    assert "tttt" not in repr(config)
    assert "secret words" not in repr(config)


def test_a_file_that_others_may_read_is_pointed_out(tmp_path, capsys):
    file = write(tmp_path, ROOM + f'[webhook]\ntoken = "{"t" * 20}"\n')
    os.chmod(file, 0o644)
    assert main(["home", "check", file]) == 1
    assert "chmod 600" in capsys.readouterr().out
