"""A real cluster of two nodes on this machine: a worker is killed, a row kills, a node is lost; no row is."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter

import pytest
import scale_work
from scale_work import Counting

from ironwok.cli import main
from ironwok.errors import ModelError, ScaleError
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


def test_the_command_on_the_cluster(cluster, student, sentences, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(sentences * 4), encoding="utf-8")
    asked = ["--labels", "财经,体育,天气", "--model", str(student)]
    on_ray = [*asked, "--engine", "ray", "--workers", "1", "--part-size", "0.0004"]
    assert main(["classify", str(texts), *on_ray, "--part-format", "jsonl", "--out", str(tmp_path / "out")]) == 0
    assert main(["classify", str(texts), *asked, "--out", str(tmp_path / "plain.jsonl")]) == 0
    plain = [json.loads(line) for line in (tmp_path / "plain.jsonl").read_text(encoding="utf-8").splitlines()]
    found = written(tmp_path / "out")
    assert [(r["text"], r["label"], r["scores"]) for r in found] == [
        (r["text"], r["label"], r["scores"]) for r in plain
    ]
    assert len(list((tmp_path / "out").glob("part-*"))) > 1


def test_a_worker_killed_a_row_that_kills_and_a_node_lost_and_every_row_is_there_once(cluster, tmp_path):
    file, out = tmp_path / "texts.jsonl", tmp_path / "out"
    order = random.Random(7).sample(range(240), 240)
    lines = [json.dumps({"id": n, "text": f"text {n}" + (" kill" if n == 170 else "")}) for n in order]
    lines[20] = "broken"
    file.write_text("\n".join(lines))
    pids: dict[int, int] = {}
    at_second: set[int] = set()
    finished: list[int] = []
    events = []
    second = cluster.second.node_id

    def trouble(event):
        events.append(event)
        if isinstance(event, Joined):
            pids[event.worker] = event.ready.pid
            if event.ready.node == second:
                at_second.add(event.worker)
        if isinstance(event, Finished):
            finished.append(event.worker)
            others = [worker for worker in pids if worker != event.worker]
            if len(finished) == 2 and others:
                os.kill(pids[others[-1]], signal.SIGKILL)
            if cluster.second is not None and event.worker in at_second and len(finished) > 4:
                cluster.remove_node(cluster.second, allow_graceful=False)
                cluster.second = None

    report = run_job(
        file,
        Counting(pause=0.01),
        out=out,
        fleet=Fleet("ray", workers=2),
        part_format="jsonl",
        part_bytes=600,
        on_event=trouble,
    )
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
