"""How long from a sentence to the datagram on the wire, on one core.

    python benchmarks/home_latency.py [--classifier MODEL]

A simulated projector on this machine's sockets hears the datagrams, so that the time counts until they have arrived:
understanding, planning, the journal's fsync, the probe's TCP connection where it is due, UDP. The rival is the same
daemon that is told the command outright, without understanding anything. What an engine makes of a sentence is timed
and counted; what is done is the command that the sentence means: a wrong guess changes nothing of what is timed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from _table import finish, show
from ironwok.home.actions import Action, parse_command
from ironwok.home.config import home_of
from ironwok.home.daemon import Home
from ironwok.home.simulator.network import Ports
from ironwok.home.simulator.run import Simulation
from ironwok.home.understanding import ClassifierUnderstander, StudentUnderstander, Understander, Understood

# sentences and what is pressed, each unlike the one before: debouncing is no part of the matter
SENTENCES = [
    ("把声音调小一点", "volume_down 2"),
    ("静音", "mute"),
    ("打开菜单", "menu"),
    ("换到 HDMI 2", "source HDMI2"),
    ("往左移两格", "left 2"),
    ("按确定键", "ok"),
    ("返回上一级", "back"),
    ("pause the movie", "play_pause"),
    ("make it louder", "volume_up 2"),
    ("回到主页", "home"),
]


def table_of(room, folder: Path) -> dict:
    return {
        "journal": str(folder / "journal.jsonl"),
        "projector": {"host": "127.0.0.1", "probe_port": room.ports.probe, "sources": ["HDMI1", "HDMI2"]},
        "ways": {"lan": {"kind": "xgimi", "key_port": room.ports.keys, "word_port": room.ports.words}},
        "limits": {"debounce": 0, "repeat_debounce": 0, "per_second": 100, "burst": 1000},
    }


class Corrected:
    """An engine that reads every sentence, and an answer that is always right. right: how often the engine's was."""

    def __init__(self, engine: Understander) -> None:
        self.engine = engine
        self.right = 0

    def understand(self, text: str) -> Understood:
        found = self.engine.understand(text)
        meant = parse_command(dict(SENTENCES)[text])
        self.right += found.command is not None and str(found.command) == str(meant)
        return Understood(text, meant, found.score)


async def measure(engine: Understander | None, rounds: int) -> tuple[list[float], int]:
    """Seconds until the first datagram of each command, and how many sentences the engine understood."""
    understander = None if engine is None else Corrected(engine)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        room = Simulation(folder, on=True).make(ports=Ports(0, 0, 0, 0))
        await room.start()
        # the first connection of the probe is no part of it: the port opens a moment after the room
        await asyncio.sleep(0.2)
        home = Home(home_of(table_of(room, folder), folder=folder), understander=understander or StudentUnderstander())
        arrived = asyncio.Event()
        # the room tells of a datagram as soon as it has understood it
        room.tell = lambda line: arrived.set()
        times, expected = [], 0
        try:
            for number in range(rounds * len(SENTENCES)):
                sentence, command = SENTENCES[number % len(SENTENCES)]
                arrived.clear()
                begin = time.perf_counter()
                if understander is None:
                    task = asyncio.ensure_future(home.do(command, "benchmark"))
                else:
                    task = asyncio.ensure_future(home.say(sentence, "benchmark"))
                waiter = asyncio.ensure_future(arrived.wait())
                await asyncio.wait({waiter, task}, return_when=asyncio.FIRST_COMPLETED)
                if task.done() and task.result()["ending"] != "sent":
                    raise RuntimeError(f"{sentence}: {task.result()}")
                await waiter
                times.append(time.perf_counter() - begin)
                await task
                # a second step that arrives late would be taken for the next command
                expected += parse_command(command).steps
                while room.datagrams < expected:
                    await asyncio.sleep(0.001)
        finally:
            await home.close()
            await room.close()
        return times, len(times) if understander is None else understander.right


def milliseconds(times: list[float], share: float) -> float:
    return sorted(times)[min(int(share * len(times)), len(times) - 1)] * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help=f"times each of {len(SENTENCES)} sentences")
    parser.add_argument("--classifier", metavar="MODEL", help="measure the zero-shot classifier with this model too")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for _, command in SENTENCES:
        assert parse_command(command).action in Action
    engines: dict[str, Understander | None] = {"command": None, "student": StudentUnderstander()}
    if arguments.classifier:
        from ironwok import ZeroShotClassifier

        engines["classifier"] = ClassifierUnderstander(ZeroShotClassifier(arguments.classifier))
    rows, figures = [], {}
    for name, engine in engines.items():
        rounds = arguments.rounds if name != "classifier" else max(2, arguments.rounds // 6)
        asyncio.run(measure(engine, 1))  # warm
        times, right = asyncio.run(measure(engine, rounds))
        p50, p99 = (milliseconds(times, share) for share in (0.5, 0.99))
        figures[name] = {"p50_ms": p50, "p99_ms": p99, "sentences": len(times), "understood": right}
        rows.append([name, len(times), right, f"{p50:.1f}", f"{p99:.1f}", f"{statistics.fmean(times) * 1000:.1f}"])
    ratio = figures["student"]["p50_ms"] / figures["command"]["p50_ms"]
    load = os.getloadavg()[0]
    notes = [f"student / command: {ratio:.2f} times at the median; load of the machine {load:.1f}"]
    show(
        "Sentence to datagram, one core",
        ["engine", "sent", "understood", "p50 ms", "p99 ms", "mean ms"],
        rows,
        notes=notes,
    )
    finish({"benchmark": "home_latency", "engines": figures, "student_to_command": ratio, "load": load})


if __name__ == "__main__":
    main()
