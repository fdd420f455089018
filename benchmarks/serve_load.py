"""`ironwok serve` under load: throughput and latency beside the direct call, with micro-batches and without.

    python benchmarks/serve_load.py [--model ironwok-small] [--clients 1 8 64] [--requests 128] [--soak 0]

Each request holds one sentence of our own and the same four labels. "direct" calls the classifier in this process, all
texts at once, and is what the rest is a share of; "one by one" is the direct call with a text at a time. The server
runs in a process of its own on a loopback port; "no batching" is the same server with batches of one request. Ways take
turns within a repetition, ratios are taken within it, medians over repetitions; clients and server share the machine.
--soak SECONDS then sends requests at twice the rate that the server was seen to answer, in a steady stream that does
not wait for answers: every answer has to be 200 or 429, the server's own count of 200 has to be the clients', its queue
has to be empty in the end, and its resident memory is printed as it goes. Prints a table, then one line of JSON; ends
with 1 where a request was lost.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from _table import finish, show
from ironwok.students import load_classifier
from zero_shot_speed import SENTENCES

LABELS = ["体育", "财经", "科技", "健康"]
# requests that may wait in the server
ROOM = 64
# seconds between two looks at the server's memory
EVERY = 10


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ironwok-small", help="a model, or the folder of a student")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--requests", type=int, default=128, help="of each way, over all clients")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--soak", type=float, default=0.0, help="seconds at twice the capacity")
    return parser.parse_args()


@contextmanager
def server(model: str, *arguments: str) -> Iterator[tuple[int, int]]:
    """Port and process id of a server; it goes down at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ironwok", "serve", "--model", model, "--port", str(port), "--no-web", *arguments]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            if run.poll() is not None:
                raise SystemExit(f"the server ended with {run.returncode}: {' '.join(command)}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                time.sleep(0.1)
        yield port, run.pid
    finally:
        run.send_signal(signal.SIGTERM)
        run.wait(60)


def body_of(text: str) -> bytes:
    return json.dumps({"texts": [text], "labels": LABELS}).encode()


def ask(port: int, texts: list[str], clients: int) -> tuple[float, list[float]]:
    """Seconds for all texts, and the latency of each."""
    waiting, latencies, failed = list(texts), [], []
    start_line = threading.Barrier(clients + 1)

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        start_line.wait()
        while True:
            try:
                text = waiting.pop()
            except IndexError:
                break
            start = time.perf_counter()
            connection.request("POST", "/v1/classify", body_of(text), {"content-type": "application/json"})
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                failed.append(response.status)
            latencies.append(time.perf_counter() - start)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    start_line.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    if failed or len(latencies) != len(texts):
        raise SystemExit(f"{len(failed)} of {len(texts)} requests failed: {Counter(failed)}")
    return time.perf_counter() - start, latencies


def soak(port: int, pid: int, texts: list[str], rate: float, seconds: float) -> dict[str, Any]:
    """Ask ``rate`` times a second, whatever comes back.

    Gives statuses, what was lost, latencies of what was answered, the server's memory over time in MB.
    """
    statuses: Counter[str] = Counter()
    latencies: list[float] = []
    lock = threading.Lock()
    due: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    before = answered(port)

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while (text := due.get()) is not None:
            start = time.perf_counter()
            try:
                # the server closes connections that were idle for long: clients then connect anew
                status = sent(connection, text) or sent(connection, text) or "no answer on a new connection"
            except OSError as error:
                status = type(error).__name__
            with lock:
                statuses[status] += 1
                if status == "200":
                    latencies.append(time.perf_counter() - start)
        connection.close()

    # more than the queue and a batch hold: there is always somebody who can ask
    threads = [threading.Thread(target=client) for _ in range(4 * ROOM)]
    for thread in threads:
        thread.start()
    sizes, start, asked = [memory(pid)], time.monotonic(), 0
    chance = random.Random(0)
    while (now := time.monotonic() - start) < seconds:
        while asked < now * rate:
            due.put(chance.choice(texts))
            asked += 1
        if len(sizes) <= now / EVERY:
            sizes.append(memory(pid))
            print(f"  {now:5.0f} s  {sizes[-1]:8.1f} MB  {dict(statuses)}", file=sys.stderr, flush=True)
        time.sleep(0.01)
    took = time.monotonic() - start
    # what no client got round to sending was never asked: clients and server share the machine
    unsent = 0
    with suppress(queue.Empty):
        while True:
            due.get_nowait()
            unsent += 1
    for _ in threads:
        due.put(None)
    for thread in threads:
        thread.join()
    sizes.append(memory(pid))
    good = sorted(latencies)
    return {
        "soak_seconds": round(took, 1),
        "soak_asked_per_second": round((asked - unsent) / took, 2),
        "soak_statuses": dict(statuses),
        "soak_lost": sum(count for status, count in statuses.items() if status not in ("200", "429")),
        "soak_answered_but_not_received": answered(port) - before - statuses["200"],
        "soak_left_in_queue": metric(port, 'ironwok_queue_requests{task="classify"}'),
        "soak_p50_ms": round(good[len(good) // 2] * 1000) if good else None,
        "soak_p99_ms": round(good[int(len(good) * 0.99)] * 1000) if good else None,
        "soak_memory_mb": sizes,
    }


def sent(connection: http.client.HTTPConnection, text: str) -> str | None:
    """Status of the answer; None where the connection had been closed before the request."""
    try:
        connection.request("POST", "/v1/classify", body_of(text), {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
    except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
        connection.close()
        return None
    return str(response.status)


def answered(port: int) -> float:
    """How many requests to classify the server has answered with 200, as it counts."""
    return metric(port, 'ironwok_requests_total{route="/v1/classify",status="200"}')


def metric(port: int, name: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def memory(pid: int) -> float:
    """Resident memory of a process in MB (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def main() -> int:
    options = parse()
    warnings.simplefilter("ignore")
    classifier = load_classifier(options.model)
    texts = [f"{SENTENCES[number % len(SENTENCES)]}{number}" for number in range(options.requests)]
    rows, figures = [], {}
    ways: dict[str, list[tuple[float, list[float]]]] = {}
    room = str(max(*options.clients, ROOM))
    with (
        server(options.model, "--queue", room) as (batching, pid),
        server(options.model, "--queue", room, "--batch-wait", "0", "--batch-texts", "1") as (single, _),
    ):
        classifier.classify(texts[:8], labels=LABELS)
        for port in (batching, single):
            ask(port, texts[:8], 2)
        for _ in range(options.repetitions):
            start = time.perf_counter()
            classifier.classify(texts, labels=LABELS)
            ways.setdefault("direct, all at once", []).append((time.perf_counter() - start, []))
            each = []
            for text in texts:
                start = time.perf_counter()
                classifier.classify([text], labels=LABELS)
                each.append(time.perf_counter() - start)
            ways.setdefault("direct, one by one", []).append((sum(each), each))
            for clients in options.clients:
                ways.setdefault(f"served, {clients} clients", []).append(ask(batching, texts, clients))
                ways.setdefault(f"no batching, {clients} clients", []).append(ask(single, texts, clients))
        soaked: dict[str, Any] = {}
        if options.soak:
            capacity = max(
                statistics.median(len(texts) / seconds for seconds, _ in rounds)
                for name, rounds in ways.items()
                if name.startswith("served")
            )
            soaked = {"soak_capacity_per_second": round(capacity, 2)}
            soaked |= soak(batching, pid, texts, 2 * capacity, options.soak)
    for name, rounds in ways.items():
        base = [seconds for seconds, _ in ways["direct, all at once"]]
        share = statistics.median(b / seconds for b, (seconds, _) in zip(base, rounds, strict=True))
        latencies = sorted(one for _, each in rounds for one in each)
        p50, p99 = (latencies[int(len(latencies) * q)] * 1000 if latencies else None for q in (0.5, 0.99))
        speed = statistics.median(len(texts) / seconds for seconds, _ in rounds)
        rows.append([name, f"{speed:,.1f}", f"{share:.2f}", *(None if p is None else f"{p:,.0f}" for p in (p50, p99))])
        figures[name] = {"texts_per_second": speed, "of_direct": share, "p50_ms": p50, "p99_ms": p99}
    notes = [f"{options.model}, {len(texts)} requests of one sentence, {len(LABELS)} labels"]
    notes += [f"{name.replace('_', ' ')}: {value}" for name, value in soaked.items()]
    show("HTTP beside the direct call", ["", "texts/s", "of direct", "p50 ms", "p99 ms"], rows, notes=notes)
    finish(figures | soaked)
    lost = soaked and (soaked["soak_lost"] or soaked["soak_answered_but_not_received"] or soaked["soak_left_in_queue"])
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
