"""The main job from end to end, with a classifier that needs no model."""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest

import ironwok
from ironwok.errors import (
    ConfigError,
    InputError,
    LabelError,
    NoDocumentsError,
    OutputError,
    TemplateError,
    UnreadableDocumentError,
)
from ironwok.reading import Advanced, LabelReader, Planned, Skipped, Stopped, read
from ironwok.zero_shot import ZeroShotClassifier

LABELS = ["茶", "棋", "雪"]
FILES = ("results.jsonl", "documents.jsonl", "skipped.jsonl", "files.jsonl")


def contents(folder) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (*FILES, "index.html")}


@pytest.fixture
def run(folder, classifier, tmp_path):
    """Reads the folder into `out`; arguments may be changed by name."""

    def run(**changes):
        arguments = {"labels": LABELS, "out": tmp_path / "out", "classifier": classifier}
        return read(changes.pop("paths", folder), **(arguments | changes))

    return run


def test_everything_is_read_and_written(run, tmp_path, folder, lines):
    report = run()
    out = tmp_path / "out"
    assert [os.path.basename(d.document) for d in report.documents] == [
        "a_tea.txt",
        "b_chess.txt",
        *["c_snow.jsonl"] * 89,
        "e_mixed.md",
    ]
    assert [d.classification.label for d in report.documents[:2]] == ["茶", "棋"]
    results = lines(out / "results.jsonl")
    assert [p.to_dict() for p in report.passages] == results
    assert [d.to_dict() for d in report.documents] == lines(out / "documents.jsonl")
    assert [s.to_dict() for s in report.skipped] == lines(out / "skipped.jsonl")
    assert {(os.path.basename(s.document), s.line) for s in report.skipped} == {
        ("c_snow.jsonl", 41),
        ("d_picture.txt", None),
    }
    assert report.page.read_text(encoding="utf-8").startswith("<!doctype html>")
    status = json.loads((out / "run.json").read_bytes())
    assert (status["state"], status["settings"]["labels"], status["made_by"]) == ("complete", LABELS, "ironwok read")
    assert not list(out.glob(".*.new"))


def test_offsets_index_the_text_of_the_document(run, folder, lines, tmp_path):
    run()
    tea = (folder / "a_tea.txt").read_text(encoding="utf-8")
    chess = (folder / "b_chess.txt").read_bytes().decode("gb18030")
    records = [
        json.loads(line)["text"]
        for n, line in enumerate((folder / "c_snow.jsonl").read_text("utf-8").splitlines())
        if n != 40
    ]
    by_record = iter(records)
    for line in lines(tmp_path / "out" / "results.jsonl"):
        name = os.path.basename(line["document"])
        text = {"a_tea.txt": tea, "b_chess.txt": chess}.get(name)
        if name == "c_snow.jsonl":
            text = next(by_record)
        if text is not None:
            assert text[line["start"] : line["end"]] == line["text"]
            assert text[: line["start"]].endswith(line.get("before", ""))
    assert next(by_record, None) is None


def test_a_document_keeps_what_came_with_it(run):
    report = run()
    third = next(d for d in report.documents if d.record == 2)
    assert (third.title, third.line, third.metadata) == ("第2条", 3, {"stars": 2})
    assert third.classification.text == third.text


def test_a_finished_report_is_not_read_again(run, tmp_path, scorer):
    first = run()
    before, asked = contents(tmp_path / "out"), scorer.asked
    events = []
    assert run(on_event=events.append) == first
    assert scorer.asked == asked
    # the file that is no text has been looked at, and is not looked at again
    assert events == [
        Planned(
            files=5, files_done=5, passages_done=sum(1 for _ in first.passages), passages=0, exact=True, seconds=None
        )
    ]
    assert contents(tmp_path / "out") == before


def test_only_what_is_new_or_changed_is_read_again(run, tmp_path, folder, scorer, lines):
    run()
    asked = scorer.asked
    (folder / "b_chess.txt").write_text("改写过的棋谱。", encoding="utf-8")
    (folder / "aa_new.txt").write_text("新的一篇，写雪。", encoding="utf-8")
    (folder / "a_tea.txt").unlink()
    events = []
    report = run(on_event=events.append)
    assert scorer.asked - asked == 2 * len(LABELS)
    assert (events[0].files_done, events[0].passages) == (3, 2)
    assert [os.path.basename(path) for path in events[0].changed] == ["b_chess.txt"]
    assert [os.path.basename(path) for path in events[0].vanished] == ["a_tea.txt"]
    # what a run from the beginning would have written, in the same order
    out = tmp_path / "out"
    assert run(out=tmp_path / "anew").documents == report.documents
    assert {name: (out / name).read_bytes() for name in FILES} == {
        name: (tmp_path / "anew" / name).read_bytes() for name in FILES
    }


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"labels": ["茶", "棋", "雪", "月"]}, "labels: 茶, 棋, 雪 there, 茶, 棋, 雪, 月 now"),
        ({"template": "说的是{}"}, "templates: 这是一则{}新闻 there, 说的是{} now"),
        ({"threshold": 0.5}, "threshold: none there, 0.5 now"),
        ({"multi_label": True}, "multi_label: False there, True now"),
        ({"max_chars": 50}, "max_chars: 300 there, 50 now"),
        ({"text_field": "text"}, "text_field: none there, text now"),
    ],
)
def test_other_settings_are_not_mixed_in(run, tmp_path, change, named):
    run()
    before = contents(tmp_path / "out")
    with pytest.raises(ConfigError) as caught:
        run(**change)
    assert named in str(caught.value)
    assert "--fresh" in str(caught.value)
    assert contents(tmp_path / "out") == before
    assert run(fresh=True, **change).documents == run(out=tmp_path / "anew", **change).documents


def test_a_run_without_results_binds_nobody(run):
    class Failing:
        def score(self, pairs):
            raise ZeroDivisionError("no such model")

    with pytest.raises(ZeroDivisionError):
        run(classifier=ZeroShotClassifier(scorer=Failing()), model="mistyped")
    assert run(model="right").model == "right"


def test_results_of_files_that_are_not_asked_for_are_not_thrown_away(run, folder, tmp_path):
    run()
    before = contents(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"results of 4 files that are not among the given paths.*--fresh"):
        run(paths=folder / "b_chess.txt")
    assert contents(tmp_path / "out") == before
    assert len(run(paths=folder / "b_chess.txt", fresh=True).documents) == 1


def test_the_same_files_by_another_path_are_called_so(run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    run(paths="b_chess.txt")
    with pytest.raises(ConfigError, match=r"results of these files under other paths, such as b_chess\.txt"):
        run(paths=folder / "b_chess.txt")


def test_relative_paths_mean_what_they_meant(run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    run(paths="b_chess.txt")
    monkeypatch.chdir(folder / "more")
    with pytest.raises(ConfigError, match=r"under other paths, such as b_chess\.txt"):
        run(paths="../b_chess.txt")


@pytest.mark.parametrize("name", ["index.html", "results.jsonl", "run.json"])
@pytest.mark.parametrize("fresh", [False, True])
def test_files_of_somebody_else_are_not_overwritten(run, tmp_path, name, fresh):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(ConfigError, match="not from a run of ironwok read"):
        run(fresh=fresh)
    assert (tmp_path / "out" / name).read_text() == "mine"


def test_the_report_is_not_read_when_it_lies_among_the_documents(run, folder, tmp_path):
    names = Counter(os.path.basename(d.document) for d in run(out=folder / "report").documents)
    again = run(out=folder / "report")
    assert Counter(os.path.basename(d.document) for d in again.documents) == names
    assert not set(names) & {*FILES, "run.json", "index.html"}


def test_two_runs_do_not_write_to_one_folder(run, tmp_path):
    from filelock import FileLock

    run()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(OutputError, match="another run is writing"):
        run()
    assert run().documents


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"labels": ["茶"]}, LabelError),
        ({"labels": []}, LabelError),
        ({"labels": ["茶", "茶"]}, LabelError),
        ({"template": "没有位置"}, TemplateError),
        ({"threshold": 1.5}, InputError),
        ({"max_chars": 0}, InputError),
        ({"encoding": "klingon"}, InputError),
        ({"language": "fr"}, InputError),
        ({"paths": "no/such/place"}, UnreadableDocumentError),
        ({"paths": []}, InputError),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_written(run, tmp_path, change, error):
    with pytest.raises(error):
        run(**change)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_which_nothing_can_be_read(run, tmp_path, lines):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.txt").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(NoDocumentsError, match=r"nothing could be read.*1 skipped"):
        run(paths=tmp_path / "bad")
    assert len(lines(tmp_path / "out" / "skipped.jsonl")) == 1


def test_a_file_that_vanishes_during_the_run_is_reported(run, folder, tmp_path):
    events = []

    def watch(event):
        events.append(event)
        if isinstance(event, Planned):
            (folder / "b_chess.txt").unlink()

    report = run(on_event=watch)
    assert [os.path.basename(s.document) for s in report.skipped] == ["b_chess.txt", "c_snow.jsonl", "d_picture.txt"]
    assert sum(isinstance(event, Skipped) for event in events) == 3


def test_what_cannot_be_opened_is_reported_every_time(run, folder, lines, tmp_path):
    os.mkfifo(folder / "bb_pipe.txt")  # opening it would wait for ever
    (folder / "cc_lost.txt").symlink_to(folder / "nowhere.txt")
    first = run()
    assert [os.path.basename(s.document) for s in first.skipped][:2] == ["bb_pipe.txt", "c_snow.jsonl"]
    assert "not a regular file" in first.skipped[0].reason
    events = []
    assert run(on_event=events.append) == first
    assert {os.path.basename(e.skip.document) for e in events if isinstance(e, Skipped)} == {
        "bb_pipe.txt",
        "cc_lost.txt",
    }
    assert events[0].changed == ()
    (folder / "cc_lost.txt").unlink()
    (folder / "cc_lost.txt").write_text("找到了，是一局棋。", encoding="utf-8")
    found = run()
    assert len(found.documents) == len(first.documents) + 1
    assert len(lines(tmp_path / "out" / "skipped.jsonl")) == len(first.skipped) - 1


def test_the_run_says_how_far_it_is(run):
    events = []
    report = run(on_event=events.append)
    passages = sum(1 for _ in report.passages)
    assert isinstance(events[0], Planned)
    assert (events[0].files, events[0].passages, events[0].exact) == (5, passages, True)
    steps = [event for event in events if isinstance(event, Advanced)]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[-1].done, steps[-1].passages) == (passages, passages)
    assert not any(isinstance(event, Stopped) for event in events)


def test_a_bug_in_a_scorer_surfaces_as_itself_and_loses_nothing(run, tmp_path, scorer, lines):
    class Failing:
        calls = 0

        def score(self, pairs):
            self.calls += 1
            if self.calls == 3:
                raise ZeroDivisionError("a bug")
            return scorer.score(pairs)

    events = []
    with pytest.raises(ZeroDivisionError):
        run(classifier=ZeroShotClassifier(scorer=Failing()), on_event=events.append)
    kept = len(lines(tmp_path / "out" / "results.jsonl"))
    assert events[-1] == Stopped(passages=kept, documents=2)
    assert kept > 50
    assert run().documents == run(out=tmp_path / "anew").documents


def test_several_labels_and_a_threshold(run):
    report = run(multi_label=True, threshold=0.8)
    mixed = report.documents[-1]
    assert set(report.labels_of(mixed.classification)) <= set(LABELS)
    for passage in report.passages:
        found = passage.classification
        assert found.abstained == (found.score < 0.8)
        assert [label for label, score in zip(found.labels, found.scores, strict=True) if score >= 0.8] == list(
            report.labels_of(found)
        )


def test_labels_with_words_and_trees(run):
    report = run(labels={"tea": "茶", "chess": "棋"})
    assert report.labels == ("tea", "chess")
    assert report.documents[0].classification.label == "tea"
    tree = run(labels=["喝/茶", "玩/棋", "玩/雪"], label_separator="/", fresh=True)
    assert tree.labels == ("喝/茶", "玩/棋", "玩/雪")


@pytest.mark.parametrize(
    ("labels", "templates", "portion"), [(2, 1, 64), (32, 1, 64), (64, 1, 32), (64, 2, 16), (600, 1, 8)]
)
def test_many_labels_are_read_in_smaller_portions(labels, templates, portion):
    names = [f"标签{n}" for n in range(labels)]
    assert LabelReader(labels=names, template=["{}"] * templates, model="m").portion == portion


def test_it_is_a_public_name():
    assert ironwok.read is read
    assert ironwok.Report.__name__ == "Report"
