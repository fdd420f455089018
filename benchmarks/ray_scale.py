"""Rows a second of the plain loop and of 1 and 2 workers on a Ray cluster of this machine, same parts, same model.

    python benchmarks/ray_scale.py --model FOLDER --labels 财经,体育 --rows 100000

The model is the folder of a student (`ironwok distill`), or any model that `ironwok classify` takes; without one a
student of n-grams with weights drawn at random is made: its answers mean nothing, it takes as long as a taught one.
Texts are made of phrases of our own, the same ones every time. Every worker has one thread. The rates count from the
moment at which all workers are ready to the last part; what starting takes is shown beside them, and the overhead of a
single worker against the plain loop is that of Ray, of its processes and of nothing else. With --repetitions the
median counts.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _table import finish, show
from ironwok.scale.job import Finished, Fleet, Joined, run_job
from ironwok.scale.work import ClassifyTexts
from ironwok.scale.worker import PartDone

_WHEN = ("今天上午", "据报道", "昨天晚上", "上个月", "几天前", "周末")
_WHO = ("央行", "主队", "市气象台", "一家券商", "门将", "消费者", "这家公司", "教练")
_WHAT = (
    "宣布下调利率",
    "在加时赛中获胜",
    "发布暴雨预警",
    "公布去年的利润",
    "谈到球队的伤病",
    "收到了退款",
    "推出新款手机",
)
_HOW = ("，引起了不少关注", "，此前没有人料到", "，细节还没有公布", "，影响会持续到明年", "，现场气氛热烈")


def texts(rows: int, *, sentences: int) -> list[str]:
    """Different texts of some sentences each."""
    draw = random.Random(1)
    every = list(itertools.product(_WHEN, _WHO, _WHAT, _HOW))
    return [f"{n}：" + "".join("".join(one) + "。" for one in draw.choices(every, k=sentences)) for n in range(rows)]


def random_student(folder: Path, sample: list[str]) -> Path:
    import numpy as np

    from ironwok.students.hashing import HashedNgrams
    from ironwok.students.ngrams import NgramStudent

    features = HashedNgrams.learn(sample, longest=4, bits=18, fewest=2)
    weights = np.random.default_rng(0).normal(size=(len(features.buckets), 2)).astype(np.float32)
    NgramStudent(["财经", "体育"], features=features, weights=weights, bias=np.zeros(2, np.float32)).save(folder)
    return folder


@dataclass(frozen=True, slots=True)
class Measured:
    """rows_per_second: while working. per_cpu_second: rows a second of the workers' processors, which other programs on
    the machine do not change much. driver: seconds of processor of this process, starting Ray included, in which it did
    no part itself. ready: seconds until all workers were. seconds: of the whole job.
    """

    rows_per_second: float
    per_cpu_second: float
    driver: float
    ready: float
    seconds: float


def measure(file: Path, work: ClassifyTexts, fleet: Fleet, part_bytes: int, rows: int) -> Measured:
    start, cpu_start = time.perf_counter(), time.process_time()
    joined: list[float] = []
    finished: list[tuple[float, PartDone]] = []

    def hear(event: Any) -> None:
        if isinstance(event, Joined):
            joined.append(time.perf_counter())
        elif isinstance(event, Finished):
            finished.append((time.perf_counter(), event.done))

    with tempfile.TemporaryDirectory() as out:
        report = run_job(file, work, out=Path(out) / "out", fleet=fleet, part_bytes=part_bytes, on_event=hear)
    end, driver = time.perf_counter(), time.process_time() - cpu_start
    assert report.rows == rows, f"{report.rows} of {rows} rows"
    assert len(joined) == (fleet.workers or 1)
    ready = joined[-1]
    # of a part that an early worker began alone, the share that was done in the company of the others
    shares = (done.rows * min(1.0, max(0.0, moment - ready) / max(done.seconds, 1e-9)) for moment, done in finished)
    rate = sum(shares) / (finished[-1][0] - ready)
    working = sum(done.cpu_seconds for _, done in finished)
    driver -= working if fleet.engine == "here" else 0
    return Measured(rate, rows / working, driver, ready - start, end - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="default: a student with random weights")
    parser.add_argument("--labels", default="财经,体育")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--sentences", type=int, default=4, help="of each text")
    parser.add_argument("--parts", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--repetitions", type=int, default=1)
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.txt"
        every = texts(arguments.rows, sentences=arguments.sentences)
        file.write_text("\n".join(every), encoding="utf-8")
        model = arguments.model or str(random_student(Path(folder) / "student", every[:5000]))
        work = ClassifyTexts(model, {"labels": arguments.labels.split(",")})
        part_bytes = -(-file.stat().st_size // arguments.parts)
        runs: dict[str, list[Measured]] = {}
        for _ in range(arguments.repetitions):
            for name, fleet in (
                ("plain", Fleet("here")),
                *((f"ray {n}", Fleet("ray", workers=n)) for n in arguments.workers),
            ):
                runs.setdefault(name, []).append(measure(file, work, fleet, part_bytes, arguments.rows))
    rates, per_cpu, drivers, ready, seconds = (
        {name: statistics.median(getattr(one, figure) for one in measured) for name, measured in runs.items()}
        for figure in ("rows_per_second", "per_cpu_second", "driver", "ready", "seconds")
    )
    rows = [
        (
            name,
            f"{rates[name]:,.1f}",
            f"{rates[name] / rates['plain']:.2f}×",
            f"{per_cpu[name]:,.1f}",
            f"{per_cpu[name] / per_cpu['plain']:.2f}×",
            f"{drivers[name]:.2f}",
            f"{ready[name]:.1f}",
            f"{seconds[name]:.1f}",
        )
        for name in runs
    ]
    size = statistics.mean(len(text) for text in every)
    columns = ("", "rows/s", "of plain", "rows/CPU s", "of plain", "driver CPU s", "s until ready", "s in all")
    title = f"{arguments.rows:,} texts of {size:.0f} characters in {arguments.parts} parts, {cores} cores"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    show(title, columns, rows, notes=[] if load is None else [f"load of the machine at the end: {load:.1f}"])
    finish(
        {
            "benchmark": "ray_scale",
            "model": arguments.model or "random ngrams",
            "labels": len(arguments.labels.split(",")),
            "rows": arguments.rows,
            "characters": round(size, 1),
            "parts": arguments.parts,
            "cores": cores,
            "load": load,
            "repetitions": arguments.repetitions,
            "rows_per_second": {name: round(rate, 2) for name, rate in rates.items()},
            "of_plain": {name: round(rate / rates["plain"], 3) for name, rate in rates.items()},
            "rows_per_cpu_second": {name: round(rate, 2) for name, rate in per_cpu.items()},
            "of_plain_per_cpu_second": {name: round(rate / per_cpu["plain"], 3) for name, rate in per_cpu.items()},
            "driver_cpu_seconds": {name: round(value, 2) for name, value in drivers.items()},
            "seconds_until_ready": {name: round(value, 2) for name, value in ready.items()},
        }
    )


if __name__ == "__main__":
    main()
