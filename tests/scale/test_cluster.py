"""A real cluster of two nodes on this machine: a worker is killed, a row kills, a node is lost; no row is.

So it is asked of the plumbing with work that one can check by eye, and of each command with its own models.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter

import pytest
import scale_work
from scale_work import Counting

from extraction_samples import EVENTS
from ironwok.cli import language, main
from ironwok.errors import ModelError, ScaleError
from ironwok.scale import job
from ironwok.scale.job import Finished, Fleet, Joined, Lost, run_job

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.enable_socket, pytest.mark.filterwarnings("ignore::Warning:ray.*")]

# a node with everything in a hundred megabytes
SMALL = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args=SMALL)
    cluster.second = cluster.add_node(**SMALL)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    # the workers do not know the folder of the tests
    ray.cloudpickle.register_pickle_by_value(scale_work)
    yield cluster
    ray.cloudpickle.unregister_pickle_by_value(scale_work)
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def two_nodes(cluster):
    """The cluster, whatever an earlier test did to its second node."""
    if cluster.second is None:
        cluster.second = cluster.add_node(**SMALL)
    return cluster


@pytest.fixture
def trouble(two_nodes, monkeypatch):
    """Of the next job of a command, the worker on the first node is killed, and then the second node is lost.

    A list of the workers that the job lost, and of the numbers of the parts that it finished.
    """
    second = two_nodes.second.node_id
    pids: dict[str, int] = {}
    at_second: set[int] = set()
    lost: list[Lost] = []
    finished: list[int] = []

    def meddle(event):
        if isinstance(event, Joined):
            pids.setdefault(event.ready.node, event.ready.pid)
            if event.ready.node == second:
                at_second.add(event.worker)
        elif isinstance(event, Lost):
            lost.append(event)
        elif isinstance(event, Finished):
            finished.append(event.done.number)
            if len(pids) < 2:
                time.sleep(0.5)  # the other worker is still loading: leave it something to do
            elif len(finished) >= 2 and (pid := next((pids[node] for node in pids if node != second), None)):
                os.kill(pid, signal.SIGKILL)
                pids.update(dict.fromkeys(pids, 0))
            elif lost and event.worker in at_second and two_nodes.second is not None:
                two_nodes.remove_node(two_nodes.second, allow_graceful=False)
                two_nodes.second = None

    def watched(*inputs, on_event, **options):
        def both(event):
            on_event(event)
            meddle(event)

        return run_job(*inputs, on_event=both, **options)

    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setattr(job, "run_job", watched)
    yield lost, finished
    # a node that goes when its worker has nothing left to do is no loss; the last test of this file waits for one
    assert lost
    assert len(finished) == len(set(finished))


def written(out):
    return [json.loads(line) for part in sorted(out.glob("part-*.jsonl")) for line in part.read_text().splitlines()]


def test_what_the_workers_cannot_do_is_said_here(cluster, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("a\n")
    with pytest.raises(ModelError, match="no such weights"):
        run_job(file, Counting(broken="no such weights"), out=tmp_path / "out", fleet=Fleet("ray"), part_format="jsonl")
    greedy = Fleet("ray", workers=1, cpus=64, patience=0.0)
    with pytest.raises(ScaleError, match="no worker has begun within 0 s: each asks for 64 CPUs"):
        run_job(file, Counting(), out=tmp_path / "none", fleet=greedy, part_format="jsonl")


def test_classify_loses_a_worker_and_a_node_and_no_row(trouble, student, sentences, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(f"{sentences[n % 6]}{n}" for n in range(300)), encoding="utf-8")
    asked = ["classify", str(texts), "--labels", "财经,体育,天气", "--model", str(student)]
    on_ray = ["--engine", "ray", "--workers", "2", "--part-size", "0.0004", "--part-format", "jsonl"]
    assert main([*asked, *on_ray, "--out", str(tmp_path / "out")]) == 0
    assert main([*asked, "--out", str(tmp_path / "plain.jsonl")]) == 0
    plain = [json.loads(line) for line in (tmp_path / "plain.jsonl").read_text(encoding="utf-8").splitlines()]
    found = written(tmp_path / "out")
    assert len(found) == 300
    assert [(r["text"], r["labels"], r["scores"]) for r in found] == [
        (r["text"], r["labels"], r["scores"]) for r in plain
    ]


def test_extract_loses_a_worker_and_a_node_and_no_row(trouble, event_run, tmp_path):
    texts = tmp_path / "texts.jsonl"
    rows = [{"id": n, "text": EVENTS[n % len(EVENTS)].text} for n in range(60)]
    texts.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    on_ray = ["--engine", "ray", "--workers", "2", "--part-size", "0.0003", "--part-format", "jsonl"]
    assert main(["extract", str(texts), "--schema", str(event_run), *on_ray, "--out", str(tmp_path / "out")]) == 0
    found = written(tmp_path / "out")
    assert [(r["id"], r["text"]) for r in found] == [(row["id"], row["text"]) for row in rows]
    for record, row in zip(found, range(60), strict=True):
        known = EVENTS[row % len(EVENTS)].events
        assert [event["type"] for event in record["events"]] == [event.type for event in known]
    assert sum(len(record["events"]) for record in found) > 60


def test_read_loses_a_worker_and_a_node_and_no_passage(trouble, student, sentences, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    for n in range(40):
        text = f"# 第{n}篇\n\n{sentences[n % 6]}\n\n{sentences[-n % 6]}{n}\n"
        (notes / f"{n:02}.md").write_text(text, encoding="utf-8")
    asked = ["read", str(notes), "--labels", "财经,体育,天气", "--model", str(student)]
    on_ray = ["--engine", "ray", "--workers", "2", "--part-size", "0.0001", "--part-format", "jsonl"]
    assert main([*asked, *on_ray, "--out", str(tmp_path / "out")]) == 0
    assert main([*asked, "--out", str(tmp_path / "plain")]) == 0
    plain = [
        json.loads(line) for line in (tmp_path / "plain" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    documents = [record["document"] for record in written(tmp_path / "out")]
    if isinstance(documents[0], str):
        documents = [json.loads(document) for document in documents]
    assert len(documents) == 40
    assert [result for document in documents for result in document["results"]] == plain
    assert sentences[0] in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_a_worker_killed_a_row_that_kills_and_a_node_lost_and_every_row_is_there_once(two_nodes, tmp_path):
    cluster = two_nodes
    file, out = tmp_path / "texts.jsonl", tmp_path / "out"
    order = random.Random(7).sample(range(240), 240)
    lines = [json.dumps({"id": n, "text": f"text {n}" + (" kill" if n == 170 else "")}) for n in order]
    lines[20] = "broken"
    file.write_text("\n".join(lines))
    alive: dict[int, Joined] = {}
    finished: list[int] = []
    events = []
    killed: list[int] = []

    def trouble(event):
        events.append(event)
        if isinstance(event, Joined):
            alive[event.worker] = event
        elif isinstance(event, Lost):
            alive.pop(event.worker, None)
        elif isinstance(event, Finished):
            finished.append(event.worker)
            there = cluster.second and cluster.second.node_id
            second = [n for n, one in alive.items() if n not in killed and one.ready.node == there]
            others = [n for n in alive if n != event.worker]
            if len(finished) > 1 and not killed and others:
                killed.append(others[-1])
                os.kill(alive[others[-1]].ready.pid, signal.SIGKILL)
            elif killed and second:
                cluster.remove_node(cluster.second, allow_graceful=False)
                cluster.second = None
            elif cluster.second is not None:
                time.sleep(2)  # a worker is still loading, or dying: leave it something to do

    report = run_job(
        file,
        Counting(pause=0.01),
        out=out,
        fleet=Fleet("ray", workers=2),
        part_format="jsonl",
        part_bytes=600,
        on_event=trouble,
    )
    assert killed, "no worker was killed"
    assert cluster.second is None, "no node was lost"
    lost = [event for event in events if isinstance(event, Lost)]
    # the one that was killed, those on the lost node, two with the row without care and two with it in hand
    assert len(lost) >= 5
    records = written(out)
    expected = {n for place, n in enumerate(order) if place != 20} - {170}
    assert Counter(record["id"] for record in records) == Counter(expected)
    bad = [json.loads(line) for path in out.glob("_quarantine/*") for line in path.read_text().splitlines()]
    assert sorted((row["error"], row["text"]) for row in bad) == [
        ("UnreadableDocumentError", "broken"),
        ("WorkerDied", "text 170 kill"),
    ]
    assert (report.rows, report.quarantined, report.lost) == (238, 2, len(lost))

    # the plain loop gives the same, part by part and byte by byte
    lines[order.index(170)] = "broken"
    file.write_text("\n".join(lines))
    run_job(file, Counting(), out=tmp_path / "here", part_format="jsonl", part_bytes=600)
    same = {(r["id"], r["length"]) for r in written(tmp_path / "here")}
    assert same == {(r["id"], r["length"]) for r in records}
