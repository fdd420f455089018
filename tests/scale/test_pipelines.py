"""In parts or in one piece: the commands give the same answers."""

from __future__ import annotations

import json

import pytest

from ironwok import read
from ironwok.cli import language, main
from ironwok.errors import InputError
from ironwok.scale import job
from ironwok.scale.documents import ReadFiles, compose_report
from ironwok.scale.job import run_job
from ironwok.scale.work import ClassifyTexts, ExtractTexts, task_of


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setenv("LC_ALL", "C")


def written(out):
    return [
        json.loads(line)
        for part in sorted(out.glob("part-*.jsonl"))
        for line in part.read_text(encoding="utf-8").splitlines()
    ]


def without_place(records):
    return [{name: value for name, value in r.items() if name not in ("source", "position", "line")} for r in records]


def test_classification_in_parts_is_that_of_the_command(student, sentences, tmp_path):
    file = tmp_path / "texts.jsonl"
    file.write_text(
        "\n".join(json.dumps({"id": n, "text": text}, ensure_ascii=False) for n, text in enumerate(sentences * 3)),
        encoding="utf-8",
    )
    question = {"labels": ["财经", "体育", "天气"], "threshold": 0.5}
    work = ClassifyTexts(str(student), question)
    report = run_job(file, work, out=tmp_path / "out", part_format="jsonl", part_bytes=200)
    assert report.parts > 5
    plain = tmp_path / "plain.jsonl"
    asked = ["--labels", "财经,体育,天气", "--threshold", "0.5", "--model", str(student), "--out", str(plain)]
    assert main(["classify", str(file), *asked]) == 0
    expected = [json.loads(line) for line in plain.read_text(encoding="utf-8").splitlines()]
    assert without_place(written(tmp_path / "out")) == without_place(expected)
    # Parquet holds the same
    dataset = pytest.importorskip("pyarrow.dataset")
    run_job(file, work, out=tmp_path / "parquet", part_bytes=200)
    rows = dataset.dataset(tmp_path / "parquet", format="parquet").to_table().sort_by("position").to_pylist()
    assert [(row["id"], row["label"], row["scores"]) for row in rows] == [
        (str(r["id"]), r["label"], r["scores"]) for r in expected
    ]
    # another model is another question
    description = json.loads((student / "student.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    (other / "student.json").write_text(json.dumps(description | {"teacher": {"changed": True}}))
    (other / "student.npz").write_bytes((student / "student.npz").read_bytes())
    with pytest.raises(InputError, match="model_version"):
        run_job(file, ClassifyTexts(str(other), question), out=tmp_path / "parquet", part_bytes=200, resume=True)


def test_extraction_in_parts_is_that_of_the_command(event_run, tmp_path):
    from extraction_samples import EVENTS

    file = tmp_path / "texts.txt"
    file.write_text("\n".join(text.text for text in EVENTS) + "\n", encoding="utf-8")
    work = ExtractTexts(str(event_run), task=task_of(str(event_run)))
    run_job(file, work, out=tmp_path / "out", part_format="jsonl", part_bytes=60)
    plain = tmp_path / "plain.jsonl"
    assert main(["extract", str(file), "--schema", str(event_run), "--out", str(plain)]) == 0
    expected = [json.loads(line) for line in plain.read_text(encoding="utf-8").splitlines()]
    found = written(tmp_path / "out")
    assert sum(len(record["events"]) for record in found) == sum(len(text.events) for text in EVENTS) > 0
    for one, other in zip(found, expected, strict=True):
        assert one["text"] == other["text"]
        assert [_rounded(event) for event in one["events"]] == [_rounded(event) for event in other["events"]]
    dataset = pytest.importorskip("pyarrow.dataset")
    run_job(file, work, out=tmp_path / "parquet", part_bytes=60)
    rows = dataset.dataset(tmp_path / "parquet", format="parquet").to_table().sort_by("position").to_pylist()
    triggers = [[(event["trigger"] or {}).get("text") for event in row["events"]] for row in rows]
    assert triggers == [[event.get("trigger", {}).get("text") for event in record["events"]] for record in expected]
    with pytest.raises(InputError, match="finds events"):
        run_job(file, ExtractTexts(str(event_run), task="entities"), out=tmp_path / "wrong", part_format="jsonl")


def _rounded(value):
    """Batches of other sizes change the last digits of scores."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_documents_in_parts_give_the_report_of_the_plain_run(student, sentences, tmp_path, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    notes = tmp_path / "notes"
    notes.mkdir()
    for n, text in enumerate(sentences):
        (notes / f"{n}.md").write_text(f"# 第{n}篇\n\n{text}\n\n{sentences[-n]}\n", encoding="utf-8")
    (notes / "rows.csv").write_text("title,text\n甲,球队赢了\n乙,\n丙,银行\n", encoding="utf-8")
    (notes / "broken.docx").write_bytes(b"PK\x03\x04 nothing")
    asked = {"labels": ["财经", "体育", "天气"], "model": str(student), "threshold": 0.4}
    work = ReadFiles(labels=asked)
    out = tmp_path / "out"
    done = run_job(notes, work, out=out, part_format=form, part_bytes=150)
    assert done.parts > 2
    report = compose_report(work, done, sources=[str(notes)], form=form)
    expected = read(notes, out=tmp_path / "plain", **asked)
    assert report.documents == expected.documents
    assert sorted(skip.document for skip in report.skipped) == sorted(skip.document for skip in expected.skipped)
    assert {(s.record, s.line) for s in report.skipped} == {(s.record, s.line) for s in expected.skipped}
    assert report.labels == expected.labels
    assert "主队在加时赛中连进两球" in (out / "index.html").read_text(encoding="utf-8")
    assert compose_report(work, done, sources=[str(notes)], form=form, most=3) is None
    with pytest.raises(InputError, match="nothing is asked for"):
        ReadFiles()


def test_the_command_that_reads_goes_on_by_itself(student, sentences, tmp_path, capsys, monkeypatch):
    # what an actor does, in this process: the way there is the same for all work, and tested in test_cluster
    monkeypatch.setattr(job, "_engine", lambda fleet: job.Here())
    notes, out = tmp_path / "notes", tmp_path / "out"
    notes.mkdir()
    for n, text in enumerate(sentences):
        (notes / f"{n}.txt").write_text(text, encoding="utf-8")
    asked = ["read", str(notes), "--labels", "财经,体育,天气", "--model", str(student), "--out", str(out)]
    on_ray = [*asked, "--engine", "ray", "--part-size", "0.0001"]
    assert main(on_ray) == 0
    told = capsys.readouterr()
    assert "6 documents, 6 passages" in told.out
    assert (out / "index.html").exists()
    parts = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert len(parts) > 2
    assert main(on_ray) == 0
    assert f"{len(parts)} of them done already" in " ".join(capsys.readouterr().err.split())
    assert {path: path.stat().st_mtime_ns for path in out.glob("part-*")} == parts
    (notes / "0.txt").write_text(sentences[1], encoding="utf-8")
    assert main([*on_ray, "--fresh"]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.glob("part-*")} != parts
    assert sentences[0] not in (out / "index.html").read_text(encoding="utf-8")


def test_options_that_are_of_no_use_are_refused(tmp_path, capsys):
    file = tmp_path / "texts.txt"
    file.write_text("x\n")
    for wrong, told in (
        (["--engine", "spark"], "not one of plain, ray"),
        (["--workers", "2"], "--workers is for --engine ray"),
        (["--engine", "ray"], "name a folder for them with --out"),
        (["--engine", "ray", "--out", str(tmp_path / "o"), "--part-format", "csv"], "not one of parquet, jsonl"),
        (["--engine", "ray", "--out", str(tmp_path / "o"), "--estimate"], "--estimate tells of one process"),
    ):
        assert main(["classify", str(file), "--labels", "财经,体育", *wrong]) == 1
        assert told in " ".join(capsys.readouterr().err.split())
    assert main(["classify", "-", "--labels", "财经,体育", "--engine", "ray", "--out", str(tmp_path / "o")]) == 1
    assert "not standard input" in " ".join(capsys.readouterr().err.split())
    assert main(["read", str(file), "--ask", "why?", "--engine", "ray", "--out", str(tmp_path / "o")]) == 1
    assert "leave --ask out" in " ".join(capsys.readouterr().err.split())
