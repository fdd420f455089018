"""`ironwok classify` with a tiny model of random weights: which label wins means nothing, everything around it does."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from ironwok.cli import language, lines, main
from ironwok.results import Classification
from ironwok.zero_shot import ZeroShotClassifier

TEXTS = ["外面下雨了，记得带上雨伞。", "比赛进入最后一分钟。", "股市今天大跌。"]


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setenv("LC_ALL", "C")


@pytest.fixture
def run(nsp_folder, capsys):
    def go(*arguments, labels="天气,体育,财经"):
        code = main(["classify", *map(str, arguments), "--labels", labels, "--model", str(nsp_folder)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


@pytest.fixture
def texts(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text(f"{TEXTS[0]}\n\n{TEXTS[1]}\r\n   \n{TEXTS[2]}", encoding="utf-8")
    return file


def records(text):
    return [json.loads(line) for line in text.splitlines()]


def test_each_line_gets_its_answer_in_the_order_of_the_input(run, texts, nsp_scorer):
    code, out, err = run(texts)
    assert code == 0
    found = records(out)
    assert [(r["line"], r["text"]) for r in found] == [(1, TEXTS[0]), (3, TEXTS[1]), (5, TEXTS[2])]
    expected = ZeroShotClassifier(scorer=nsp_scorer).classify(TEXTS, labels="天气,体育,财经")
    for record, result in zip(found, expected, strict=True):
        assert record["label"] == result.label == record["labels"][0]
        assert record["scores"] == pytest.approx(list(result.scores), abs=1e-5)
    assert "cannot tell consecutive sentences" in err


def test_the_options_reach_the_classifier(run, texts, nsp_scorer):
    _, out, _ = run(texts, "--multi-label", "--threshold", "0.99", "--template", "说{}", "--template", "是{}")
    expected = ZeroShotClassifier(scorer=nsp_scorer).classify(
        TEXTS, labels="天气,体育,财经", multi_label=True, threshold=0.99, template=["说{}", "是{}"]
    )
    assert [r["label"] for r in records(out)] == [r.label for r in expected]
    assert [r["scores"][0] for r in records(out)] == pytest.approx([r.score for r in expected], abs=1e-5)
    _, out, _ = run(texts, "--separator", "/", "--calibrate", labels="a/b,a/c,d")
    assert set(records(out)[0]["labels"]) == {"a/b", "a/c", "d"}
    _, out, _ = run(texts, "--shortlist", "2")
    assert [len(r["labels"]) for r in records(out)] == [2, 2, 2]


def test_standard_input_is_read_line_by_line(run, monkeypatch):
    data = "\ufeff外面下雨了。\n\n".encode() + "股市今天大跌。\n".encode("gb18030")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    code, out, _ = run("-")
    assert code == 0
    assert [(r["line"], r["text"]) for r in records(out)] == [(1, "外面下雨了。"), (3, "股市今天大跌。")]


def test_standard_input_in_gb18030_keeps_its_short_lines(run, monkeypatch):
    texts = ["央行宣布降准", "主队三比一获胜", "谢谢", "好"]
    for codec, given in (("gb18030", ()), ("utf-16", ()), ("gb18030", ("--encoding", "gbk"))):
        data = "\n".join([*texts, ""]).encode(codec)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        code, out, _ = run("-", *given)
        assert code == 0
        assert [r["text"] for r in records(out)] == texts


def test_broken_bytes_are_told_of(run, tmp_path, monkeypatch):
    data = "外面下雨了。\n股市\0今天".encode().replace(b"\0", b"\xff") + "大跌。\n".encode()
    file = tmp_path / "texts.txt"
    file.write_bytes(data)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    for source in (file, "-"):
        code, out, err = run(source)
        assert code == 0
        assert [r["text"] for r in records(out)] == ["外面下雨了。", "股市\ufffd今天大跌。"]
        assert "line 2: a broken byte sequence is read as U+FFFD" in err


def test_lone_carriage_returns_end_lines_too(run, tmp_path):
    file = tmp_path / "mac.txt"
    file.write_bytes("外面下雨了。\r股市今天大跌。\r\r好\r\n坏\n".encode())
    found = records(run(file)[1])
    assert [(r["line"], r["text"]) for r in found] == [(1, "外面下雨了。"), (2, "股市今天大跌。"), (4, "好"), (5, "坏")]


def test_labels_may_be_separated_as_people_type_them(run, texts, tmp_path):
    for labels in ("财经，体育、天气", "财经;体育； 天气", "财经、体育,天气、"):
        assert set(records(run(texts, labels=labels)[1])[0]["labels"]) == {"财经", "体育", "天气"}
    found = records(run(texts, "--separator", "、", labels="体育、足球,体育、篮球;天气")[1])
    assert set(found[0]["labels"]) == {
        "体育、足球",
        "体育、篮球",
        "天气",
    }
    file = tmp_path / "labels.txt"
    file.write_text("衣、食\n住、行\n", encoding="utf-8")
    assert set(records(run(texts, labels=f"@{file}")[1])[0]["labels"]) == {"衣、食", "住、行"}


def test_an_empty_table_is_told_of_and_no_error(run, tmp_path):
    file = tmp_path / "empty.jsonl"
    file.write_bytes(b"")
    code, out, err = run(file)
    assert (code, out) == (0, "")
    assert f"skipped: {file}: empty" in err


@pytest.fixture
def pipe(monkeypatch):
    """Standard input from a pipe; its end to write to. It is closed after a while, so that no test hangs."""
    reading, writing = os.pipe()
    file = os.fdopen(writing, "wb", buffering=0)
    watchdog = threading.Timer(60, file.close)
    watchdog.start()
    with io.TextIOWrapper(os.fdopen(reading, "rb")) as stdin, file:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield file
    watchdog.cancel()


def test_a_line_that_arrives_alone_is_answered_without_waiting_for_the_next(pipe, overlap):
    classifier = ZeroShotClassifier(scorer=overlap)
    given = lines.read_lines("-", text_field=None, on_skip=pytest.fail)
    pipe.write("下雨\n\n降准\n获".encode())
    answers = lines.with_answers(given, partial(classifier.classify_iter, labels=["下雨", "降准", "获胜"]))
    assert [next(answers)[1].label for _ in range(2)] == ["下雨", "降准"]
    pipe.write("胜\n".encode())
    line, result = next(answers)
    assert (line.number, result.label) == (4, "获胜")
    assert not pipe.closed
    pipe.close()
    assert list(answers) == []


def test_what_is_answered_is_on_the_disk_before_more_is_waited_for(pipe, tmp_path, overlap):
    out = tmp_path / "out.jsonl"
    classifier = ZeroShotClassifier(scorer=overlap)
    given = lines.read_lines("-", text_field=None, on_skip=pytest.fail)
    seen = []

    class Watched:
        """Standard input, with a look at the file whenever the next line is to be waited for."""

        def __iter__(self):
            return self

        def __next__(self):
            if given.pauses():
                seen.append(len(records(out.read_text(encoding="utf-8"))))
                pipe.write(f"第{len(seen)}行\n".encode()) if len(seen) < 4 else pipe.close()
            return next(given)

        def pauses(self):
            return given.pauses()

    with lines.ResultFile(out, settings={}, resume=False, overwrite=False) as results:
        answer = partial(classifier.classify_iter, labels=["一", "二"])
        for line, result in lines.with_answers(Watched(), answer, on_wait=results.flush):
            results.write(line, result)
    assert seen == [0, 1, 2, 3]


def test_a_killed_run_over_a_file_has_lost_a_small_round_at_most(tmp_path, overlap):
    out = tmp_path / "out.jsonl"
    classifier = ZeroShotClassifier(scorer=overlap)
    given = [lines.Line(number, f"第{number}行") for number in range(1, 301)]
    taken = []

    def look():
        taken.append(len(taken) - out.read_bytes().count(b"\n"))

    with lines.ResultFile(out, settings={}, resume=False, overwrite=False) as results:

        def on_wait():
            results.flush()
            look()

        answer = partial(classifier.classify_iter, labels=["一", "二"])
        for line, result in lines.with_answers(given, answer, on_wait=on_wait):
            results.write(line, result)
    # texts that were taken and whose results were not on the disk: a round of 8 first, of 64 later
    assert taken[:10] == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert max(taken) == 63


def test_records_by_field_with_broken_ones_named_by_file_and_line(run, tmp_path):
    file = tmp_path / "rows.jsonl"
    rows = [
        '{"id": "a1", "body": "外面下雨了。"}',
        '{"id": ',
        '{"id": "a3", "body": 3}',
        '{"id": "a4", "body": "股市今天大跌。"}',
    ]
    file.write_text("\n".join(rows), encoding="utf-8")
    code, out, err = run(file, "--text-field", "body")
    assert code == 0
    assert [(r["line"], r["id"], r["text"]) for r in records(out)] == [
        (1, "a1", "外面下雨了。"),
        (4, "a4", "股市今天大跌。"),
    ]
    skipped = [line for line in err.splitlines() if line.startswith("skipped")]
    assert len(skipped) == 2
    assert f"{file}, line 2" in skipped[0]
    assert f"{file}, line 3" in skipped[1]


def test_tables_by_column(run, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("name,note\n甲,外面下雨了。\n乙,股市今天大跌。\n", encoding="gb18030")
    code, out, _ = run(file, "--text-field", "note")
    assert code == 0
    assert [r["text"] for r in records(out)] == ["外面下雨了。", "股市今天大跌。"]


def test_labels_from_a_file(run, texts, tmp_path):
    plain, tree = tmp_path / "labels.txt", tmp_path / "labels.json"
    plain.write_text("天气\n\n体育\n", encoding="utf-8")
    tree.write_text('{"体育": ["足球", "篮球"], "天气": null}', encoding="utf-8")
    assert set(records(run(texts, labels=f"@{plain}")[1])[0]["labels"]) == {"天气", "体育"}
    assert set(records(run(texts, labels=f"@{tree}")[1])[0]["labels"]) == {"体育/足球", "体育/篮球", "天气"}
    tree.write_text("{", encoding="utf-8")
    code, _, err = run(texts, labels=f"@{tree}")
    assert code == 1
    assert f"{tree}, line 1: no JSON" in err


def test_an_out_file_is_never_lost_by_accident(run, texts, tmp_path):
    out = tmp_path / "new" / "out.jsonl"
    code, printed, err = run(texts, "--out", out)
    assert (code, printed) == (0, "")
    assert "3 texts classified" in err
    assert len(records(out.read_text(encoding="utf-8"))) == 3
    before = out.read_bytes()
    code, _, err = run(texts, "--out", out)
    assert code == 1
    assert "exists: pass --resume" in err
    assert out.read_bytes() == before
    code, _, _ = run(texts, "--out", out, "--overwrite", labels="好,坏")
    assert code == 0
    assert set(records(out.read_text(encoding="utf-8"))[0]["labels"]) == {"好", "坏"}


def test_resume_goes_on_behind_the_last_whole_line(run, texts, tmp_path):
    out = tmp_path / "out.jsonl"
    run(texts, "--out", out)
    whole = out.read_bytes()
    for cut in (0, 10, whole.index(b"\n") + 1, len(whole) - 5, len(whole)):
        out.write_bytes(whole[:cut])
        code, _, err = run(texts, "--out", out, "--resume")
        assert code == 0
        kept = whole[:cut].count(b"\n")
        assert f"{3 - kept} texts classified" in err
        again, expected = records(out.read_text(encoding="utf-8")), records(whole.decode())
        assert [(r["line"], r["labels"]) for r in again] == [(r["line"], r["labels"]) for r in expected]


def test_resume_refuses_to_mix(run, texts, tmp_path):
    out = tmp_path / "out.jsonl"
    run(texts, "--out", out)
    code, _, err = run(texts, "--out", out, "--resume", labels="好,坏")
    assert code == 1
    assert "other settings" in err
    other = tmp_path / "other.txt"
    other.write_text("别的\n", encoding="utf-8")
    code, _, err = run(other, "--out", out, "--resume")
    assert code == 1
    assert "has '别的' in line 1" in err
    other.write_text(f"{TEXTS[0]}\n", encoding="utf-8")
    code, _, err = run(other, "--out", out, "--resume")
    assert code == 1
    assert "the input ends before it" in err
    (tmp_path / ".out.jsonl.settings").unlink()
    code, _, err = run(texts, "--out", out, "--resume")
    assert code == 1
    assert "no settings beside it" in err
    assert len(records(out.read_text(encoding="utf-8"))) == 3


WRITER = """
import itertools, sys
from pathlib import Path
from ironwok.cli.lines import Line, ResultFile
from ironwok.results import Classification

with ResultFile(Path(sys.argv[1]), settings={}, resume=False, overwrite=False) as results:
    for number in itertools.count(1):
        text = f"第{number}行" * (number % 7 + 1)
        results.write(Line(number, text), Classification(text, ("a", "b"), (0.75, 0.25)))
"""


def test_a_killed_writer_leaves_whole_lines_to_go_on_from(tmp_path):
    out = tmp_path / "out.jsonl"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(out)])
    deadline = time.monotonic() + 60
    while (not out.exists() or out.stat().st_size < 50_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    written = out.read_bytes().count(b"\n")
    assert written > 0

    def texts():
        for number in range(1, written + 3):
            yield lines.Line(number, f"第{number}行" * (number % 7 + 1))

    with lines.ResultFile(out, settings={}, resume=True, overwrite=False) as results:
        assert results.kept == written
        for line in results.without_done(texts()):
            results.write(line, Classification(line.text, ("a", "b"), (0.75, 0.25)))
    assert [r["line"] for r in records(out.read_text(encoding="utf-8"))] == list(range(1, written + 3))


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(run, texts, tmp_path, monkeypatch):
    from ironwok.zero_shot import classifier

    original = classifier.ZeroShotClassifier.classify_iter

    def interrupted(self, *arguments, **options):
        answers = original(self, *arguments, **options)
        yield next(answers)
        raise KeyboardInterrupt

    monkeypatch.setattr(classifier.ZeroShotClassifier, "classify_iter", interrupted)
    out = tmp_path / "out.jsonl"
    code, _, err = run(texts, "--out", out)
    assert code == 130
    assert "1 results are in" in err
    assert len(records(out.read_text(encoding="utf-8"))) == 1


def test_a_full_disk_is_an_error_that_names_the_file(run, texts, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out.jsonl"
    monkeypatch.setattr("ironwok.files.os.fsync", full)
    code, _, err = run(texts, "--out", out)
    assert code == 1
    assert f"{out} cannot be written: No space left on device" in err


def test_the_cost_can_be_asked_for_alone(run, texts, tmp_path):
    out = tmp_path / "out.jsonl"
    code, printed, _ = run(texts, "--estimate", "--out", out)
    assert code == 0
    assert printed.startswith("3 texts × 3 labels: 9 readings")
    assert not out.exists()
    code, _, err = run("-", "--estimate")
    assert code == 1
    assert "name a file" in err


def test_long_texts_are_told_of_once(run, tmp_path):
    file = tmp_path / "long.txt"
    file.write_text("外面下雨了，记得带上雨伞。" * 20 + "\n短\n", encoding="utf-8")
    code, out, err = run(file)
    assert code == 0
    assert err.count("1 of 2 texts are longer") == 1
    assert records(out)[0]["evidence"]["end"] <= 260
    assert "evidence" not in records(out)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["notes.md"], "use `ironwok read`"),
        (["."], "is a folder"),
        (["nowhere.txt"], "does not exist"),
        (["nowhere.jsonl"], "does not exist"),
        (["-", "--text-field", "x"], "--text-field is for"),
        (["x.txt", "--resume"], "name it with --out"),
        (["x.txt", "--template", "没有"], "no place for the label"),
        (["x.txt", "--out", "."], "is a folder: name a file"),
        (["x.txt", "--out", "/dev/null", "--overwrite"], "is no ordinary file"),
    ],
)
def test_what_cannot_be_used_is_said_before_a_model_is_loaded(run, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text("外面下雨了。\n", encoding="utf-8")
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert message in err


def test_one_label_is_an_error(run, texts):
    code, _, err = run(texts, labels="天气")
    assert code == 1
    assert "'天气', leaves nothing to choose from" in err
    assert run(texts, "--multi-label", labels="天气")[0] == 0


def test_an_empty_file_gives_nothing(run, tmp_path):
    file = tmp_path / "empty.txt"
    file.write_text("\n\n", encoding="utf-8")
    assert run(file)[:2] == (0, "")


def test_help_in_both_languages(capsys):
    assert main(["classify", "--help"]) == 0
    assert "Sort texts into your own labels" in capsys.readouterr().out
    assert main(["--lang", "zh", "classify", "--help"]) == 0
    assert "把文本归入你给的标签" in capsys.readouterr().out


def test_streams_are_taken_a_chunk_ahead_at_most():
    taken = []

    def source():
        for number in range(1, 6):
            taken.append(number)
            yield lines.Line(number, f"t{number}")

    def answer(texts):
        for text in texts:
            yield text.upper()

    pairs = lines.with_answers(source(), answer)
    assert next(pairs)[1] == "T1"
    assert taken == [1]
    assert [line.number for line, _ in pairs] == [2, 3, 4, 5]
