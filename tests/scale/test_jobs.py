"""Jobs in one process: what is written, what is put aside, what a second run does."""

from __future__ import annotations

import json
import sys

import pytest
from scale_work import Counting

from ironwok.errors import InputError, MissingExtraError, ModelError, OutputError, ScaleError
from ironwok.scale.job import Began, Finished, Fleet, run_job


def texts(count):
    return [f"text number {n}" for n in range(count)]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts(200)), encoding="utf-8")
    return path


def written(out):
    return [json.loads(line) for part in sorted(out.glob("part-*.jsonl")) for line in part.read_text().splitlines()]


def put_aside(out):
    return [
        json.loads(line)
        for part in sorted(out.glob("_quarantine/part-*.jsonl"))
        for line in part.read_text().splitlines()
    ]


def test_every_row_is_answered_once_in_parts(file, tmp_path):
    out = tmp_path / "out"
    report = run_job(file, Counting(), out=out, part_format="jsonl", part_bytes=500)
    records = written(out)
    assert [record["text"] for record in records] == texts(200)
    assert all(record["length"] == len(record["text"]) for record in records)
    assert report.rows == 200
    assert report.quarantined == 0
    assert report.parts == len(list(out.glob("part-*"))) == -(-file.stat().st_size // 500)
    data = file.read_bytes()
    assert all(data[r["position"] :].startswith(r["text"].encode()) for r in records)


def test_parquet_holds_the_same_with_types(file, tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset")
    run_job(file, Counting(), out=tmp_path / "out", part_bytes=500)
    table = dataset.dataset(tmp_path / "out", format="parquet").to_table()
    assert table.schema.names == ["source", "position", "id", "text", "length"]
    assert sorted(table["text"].to_pylist()) == sorted(texts(200))
    assert table["length"].to_pylist() == [len(text) for text in table["text"].to_pylist()]


def test_poison_is_put_aside_with_its_error_and_the_rest_goes_on(tmp_path):
    file = tmp_path / "texts.jsonl"
    lines = [json.dumps({"id": n, "text": "refuse me" if n in (3, 41) else f"text {n}"}) for n in range(60)]
    lines[10] = '{"text": '
    file.write_text("\n".join(lines))
    report = run_job(file, Counting(), out=tmp_path / "out", part_format="jsonl", part_bytes=400)
    bad = put_aside(tmp_path / "out")
    assert [record["id"] for record in written(tmp_path / "out")] == [n for n in range(60) if n not in (3, 10, 41)]
    assert [(row.get("id"), row["error"], row["text"]) for row in bad] == [
        (3, "ValueError", "refuse me"),
        (None, "UnreadableDocumentError", '{"text": '),
        (41, "ValueError", "refuse me"),
    ]
    assert bad[0]["message"] == "cannot count refuse me"
    assert (report.rows, report.quarantined) == (57, 3)


def test_a_job_goes_on_where_it_stopped_and_does_no_part_twice(file, tmp_path):
    out = tmp_path / "out"

    class Stopped(Exception):
        pass

    def stop(event):
        if isinstance(event, Finished) and event.done.number == 3:
            raise Stopped

    with pytest.raises(Stopped):
        run_job(file, Counting(), out=out, part_format="jsonl", part_bytes=500, on_event=stop)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert len(kept) == 4
    # a worker that died while it wrote
    (out / ".part-0000005.jsonl.abc.new").write_text("half")
    (out / "part-0000006.jsonl").write_text("of a part without a word that it is done")
    with pytest.raises(OutputError, match="--resume"):
        run_job(file, Counting(), out=out, part_format="jsonl", part_bytes=500)
    with pytest.raises(InputError, match="part_bytes: 500 there, 600 now"):
        run_job(file, Counting(), out=out, part_format="jsonl", part_bytes=600, resume=True)
    events = []
    report = run_job(
        file, Counting(), out=out, part_format="jsonl", part_bytes=500, resume=True, on_event=events.append
    )
    assert events[0] == Began(report.parts, 4)
    assert [event.done.number for event in events if isinstance(event, Finished)] == list(range(4, report.parts))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert [record["text"] for record in written(out)] == texts(200)
    assert (report.rows, report.earlier) == (200, 4)
    assert not list(out.glob(".*.new"))
    again = run_job(file, Counting(), out=out, part_format="jsonl", part_bytes=500, resume=True)
    assert (again.rows, again.earlier, again.done) == (200, report.parts, report.done)
    anew = run_job(file, Counting(), out=out, part_format="jsonl", part_bytes=4000, overwrite=True)
    assert anew.parts == len(list(out.glob("part-*"))) < report.parts
    assert [record["text"] for record in written(out)] == texts(200)


def test_a_model_that_refuses_everything_stops_the_job(file, tmp_path):
    file.write_text("\n".join(f"refuse {n}" for n in range(300)))
    with pytest.raises(ScaleError, match=r"refused .* cannot count refuse 0"):
        run_job(file, Counting(), out=tmp_path / "out", part_format="jsonl", part_bytes=1000)
    file.write_text("refuse")
    with pytest.raises(ScaleError, match="refused 1 of 1 rows"):
        run_job(file, Counting(), out=tmp_path / "few", part_format="jsonl")


def test_a_model_that_cannot_be_loaded_is_said_as_it_is(file, tmp_path):
    with pytest.raises(ModelError, match="no such weights"):
        run_job(file, Counting(broken="no such weights"), out=tmp_path / "out", part_format="jsonl")


def test_a_folder_of_something_else_is_left_alone(file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"precious\.txt"):
            run_job(file, Counting(), out=tmp_path / "out", part_format="jsonl", overwrite=overwrite)
    with pytest.raises(InputError, match="nothing to work with"):
        Fleet(cpus=0)


def test_other_file_systems(file, tmp_path):
    import fsspec

    memory = fsspec.filesystem("memory")
    for n in range(3):
        memory.pipe_file(f"/in/{n}.txt", f"first of {n}\nsecond of {n}\n".encode())
    report = run_job("memory://in", Counting(), out="memory://out", part_format="jsonl", part_bytes=20)
    assert report.rows == 6
    found = [
        json.loads(line)
        for path in sorted(memory.glob("/out/part-*.jsonl"))
        for line in memory.cat_file(path).splitlines()
    ]
    assert [record["source"] for record in found] == [f"memory://in/{n}.txt" for n in (0, 0, 1, 1, 2, 2)]
    again = run_job("memory://in", Counting(), out="memory://out", part_format="jsonl", part_bytes=20, resume=True)
    assert (again.earlier, again.rows) == (again.parts, 6)
    with pytest.raises(InputError, match="one process alone"):
        run_job("memory://in", Counting(), out=tmp_path / "out", fleet=Fleet("ray"))
    with pytest.raises(InputError, match="several file systems"):
        run_job(["memory://in", file], Counting(), out=tmp_path / "out")
    arrow = pytest.importorskip("pyarrow.fs")
    below = arrow.SubTreeFileSystem(str(tmp_path), arrow.LocalFileSystem())
    report = run_job("texts.txt", Counting(), out="arrow", part_bytes=500, filesystem=below)
    dataset = pytest.importorskip("pyarrow.dataset")
    assert report.rows == dataset.dataset(tmp_path / "arrow").count_rows() == 200
    report = run_job("texts.txt", Counting(), out="arrow", part_bytes=500, filesystem=below, resume=True)
    assert report.earlier == report.parts
    memory.rm("/in", recursive=True)
    memory.rm("/out", recursive=True)


def test_what_is_not_installed_is_said_first(file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"--engine ray needs .*ironwok\[ray\]"):
        run_job(file, Counting(), out=tmp_path / "out", fleet=Fleet("ray"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"Parquet needs .*ironwok\[ray\]"):
        run_job(file, Counting(), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert run_job(file, Counting(), out=tmp_path / "out", part_format="jsonl").rows == 200


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://localhost:1"])
def test_an_address_at_which_nothing_listens_is_said_at_once_and_leaves_no_job(tmp_path, address):
    pytest.importorskip("ray")
    file = tmp_path / "texts.txt"
    file.write_text("a\n")
    with pytest.raises(ScaleError, match=f"no cluster at {address} .*ray start --head"):
        run_job(file, Counting(), out=tmp_path / "out", fleet=Fleet("ray", address=address), part_format="jsonl")
    assert not (tmp_path / "out").exists()
