"""The whole way: labels of the teacher, kept and resumed; students; the report; the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from keyword_teacher import LABELS, KeywordScorer, has_word

from ironwok.cli import language, main
from ironwok.distill import distill, pipeline
from ironwok.errors import DataError, DataWarning, InputError, LabelError, MissingExtraError, OutputError
from ironwok.students import EncoderStudent, NgramStudent, load_student
from ironwok.zero_shot import ZeroShotClassifier

NEITHER = "有人路过一座桥"


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setenv("LC_ALL", "C")


class Ticking:
    """A clock on which every look takes a second."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def go(texts, out, teacher, **options):
    return distill(
        texts,
        **({"labels": LABELS, "out": out, "students": ["ngrams"], "classifier": teacher, "clock": Ticking()} | options),
    )


def test_the_student_learns_what_the_teacher_says(texts, teacher, tmp_path):
    truth = ["体育" if has_word(text, "体育") else None for text in texts]
    report = go(texts, tmp_path, teacher, truth=truth)
    (student,) = report.students
    assert (report.texts, report.abstained) == (256, 0)
    assert dict(report.balance) == {"体育": 128, "财经": 128}
    assert 10 < report.held_out < 50
    assert student.agreement >= 0.95
    assert report.teacher_accuracy == 1.0
    assert student.accuracy >= 0.95
    assert student.size == (tmp_path / "student.npz").stat().st_size
    # 128 texts at the most, a second on the clock for each
    timed = min(report.held_out, 128)
    assert student.texts_per_second == report.teacher_texts_per_second == timed
    assert student.speed_up == 1
    assert json.loads((tmp_path / "report.json").read_text())["balance"] == {"体育": 128, "财经": 128}
    loaded = load_student(tmp_path)
    assert isinstance(loaded, NgramStudent)
    # sentences that no text had
    assert [r.label for r in loaded.classify(["门将下周走进球场。", "股东下周发行基金。"])] == ["体育", "财经"]
    assert loaded.teacher["labels"] == LABELS


def test_held_out_texts_are_not_learned_from_and_stay_the_same(texts, teacher, tmp_path):
    first = go(texts, tmp_path / "a", teacher, held_out=0.5)
    second = go(list(reversed(texts)), tmp_path / "b", teacher, held_out=0.5)
    assert first.held_out == second.held_out
    assert 0.3 < first.held_out / len(texts) < 0.7
    one, two = load_student(tmp_path / "a"), load_student(tmp_path / "b")
    assert one.features.buckets.tolist() == two.features.buckets.tolist()
    everything = go(texts, tmp_path / "c", teacher, held_out=0.001)
    assert everything.held_out <= 2
    assert len(load_student(tmp_path / "c").features.buckets) > len(one.features.buckets)


def test_texts_of_which_the_teacher_is_unsure_are_left_out(texts, teacher, tmp_path):
    unclear = [f"{NEITHER}，第{number}次。" for number in range(40)]  # both labels score -3: one half each
    report = go([*texts, *unclear], tmp_path, teacher, threshold=0.6)
    assert report.abstained == 40
    assert sum(report.balance.values()) == 256
    known = load_student(tmp_path).features
    assert known.transform(["桥"]).nnz < known.transform(["球"]).nnz


def test_a_second_run_asks_the_teacher_for_the_rest_alone(texts, tmp_path):
    first, second = KeywordScorer(), KeywordScorer()
    go(texts[:200], tmp_path, ZeroShotClassifier(scorer=first))
    go(texts, tmp_path, ZeroShotClassifier(scorer=second))
    lines = (tmp_path / "labelled.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == texts
    labelled = set(texts[:200])
    held = {text for text in second.texts if text in labelled}  # of the earlier ones only those that are timed
    assert len(held) < 50
    assert set(texts[200:]) <= set(second.texts)


def test_a_torn_line_is_labelled_again(texts, teacher, tmp_path):
    whole = go(texts, tmp_path, teacher)
    path = tmp_path / "labelled.jsonl"
    before = path.read_bytes()
    path.write_bytes(before[: len(before) // 2])
    assert go(texts, tmp_path, teacher).to_dict() == whole.to_dict()
    assert path.read_bytes() == before


def test_labels_of_another_question_are_not_mixed_in(texts, teacher, tmp_path):
    go(texts, tmp_path, teacher)
    with pytest.raises(InputError, match=r"other settings.*templates.*--fresh"):
        go(texts, tmp_path, teacher, template="关于{}")
    with pytest.raises(InputError, match=r"line 1, labels .* none of the texts.*--fresh"):
        go(texts[1:], tmp_path, teacher)
    go(texts[1:], tmp_path, teacher, template="关于{}", fresh=True)
    assert len((tmp_path / "labelled.jsonl").read_bytes().splitlines()) == 255
    (tmp_path / "labelled.jsonl").write_text('{"text": 1}\n')
    with pytest.raises(OutputError, match="no label"):
        go(texts, tmp_path, teacher, template="关于{}")
    (tmp_path / ".labelled.settings").unlink()
    with pytest.raises(InputError, match="no settings"):
        go(texts, tmp_path, teacher)


def test_the_teacher_may_adapt_to_the_texts_first(texts, tmp_path):
    class Adapting(KeywordScorer):
        shown = ()

        def adapted(self, texts, words, *, one_fits=False):
            Adapting.shown = (list(texts), set(words))
            other = KeywordScorer()
            other.score = lambda pairs: -KeywordScorer.score(other, pairs)
            return other

    report = go(texts, tmp_path, ZeroShotClassifier(scorer=Adapting()), adapt=True)
    assert Adapting.shown == (texts, {tuple(LABELS)})
    labelled = [json.loads(line) for line in (tmp_path / "labelled.jsonl").read_text().splitlines()]
    assert all(not has_word(record["text"], record["labels"][0]) for record in labelled)
    assert report.students[0].agreement >= 0.95
    assert json.loads((tmp_path / "report.json").read_text())["adapted"] is True
    # what was labelled so is not gone on with otherwise
    with pytest.raises(InputError, match="adapt"):
        go(texts, tmp_path, ZeroShotClassifier(scorer=KeywordScorer()))


def test_a_label_that_no_text_got_is_told_and_never_said(texts, tmp_path):
    class Two(KeywordScorer):
        def score(self, pairs):
            import numpy as np

            return np.array([-9.0 if p.prompt.label == "天气" else super(Two, self).score([p])[0] for p in pairs])

    with pytest.warns(DataWarning, match="天气"):
        go(texts, tmp_path, ZeroShotClassifier(scorer=Two()), labels=[*LABELS, "天气"], calibrate=False)
    assert load_student(tmp_path).classify(["ξψζ"])[0].scores[2] == 0


def test_what_cannot_be_learned_is_refused(texts, teacher, tmp_path, monkeypatch):
    only = [text for text in texts if has_word(text, "体育")]
    with pytest.raises(DataError, match="1 of 2 labels"):
        go(only, tmp_path / "a", teacher)
    with pytest.raises(DataError, match=r"0 reach the threshold of 1\.00"):
        go(texts, tmp_path / "b", teacher, threshold=1.0)
    with pytest.raises(DataError, match=r"texts that are not held out have . of 2 labels.*hold out a smaller"):
        go(texts, tmp_path / "f", teacher, held_out=0.9999)
    with pytest.raises(DataError, match="no texts"):
        go([], tmp_path / "c", teacher)
    with pytest.raises(InputError, match="students are"):
        go(texts, tmp_path / "d", teacher, students=["oak"])
    with pytest.raises(InputError, match="255 true labels"):
        go(texts, tmp_path / "d", teacher, truth=[None] * 255)
    with pytest.raises(InputError, match="held_out is 1"):
        go(texts, tmp_path / "d", teacher, held_out=1)
    with pytest.raises(LabelError, match="is 1 label, '体育': give two or more"):
        go(texts, tmp_path / "d", teacher, labels=["体育"])
    with pytest.raises(LabelError, match="no label"):
        go(texts, tmp_path / "d", teacher, labels=[])
    with pytest.raises(InputError, match="no vectors"):
        go(texts, tmp_path / "e", teacher, students=["encoder"])
    # without what fits them no label is asked for
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(MissingExtraError, match=r"ironwok\[distill\]"):
        go(texts, tmp_path / "d", teacher)
    assert not (tmp_path / "d").exists()


def both(encoder_folder):
    """The keyword teacher with the eyes of the encoder."""
    from ironwok.students.encoder import load_embedder

    scorer = KeywordScorer()
    scorer.embed = load_embedder(str(encoder_folder)).embed
    return ZeroShotClassifier(scorer=scorer)


def test_the_encoder_learns_too(texts, encoder_folder, tmp_path):
    options = {"students": ["ngrams", "encoder"], "model": str(encoder_folder), "held_out": 0.2}
    report = go(texts, tmp_path, both(encoder_folder), **options)
    ngrams, encoder = report.students
    assert (ngrams.kind, encoder.kind) == ("ngrams", "encoder")
    assert encoder.agreement > 0.85  # random weights; a guess would be right half of the time
    assert encoder.folder == str(tmp_path / "encoder")
    assert encoder.size > (encoder_folder / "model.safetensors").stat().st_size
    loaded = load_student(tmp_path / "encoder")
    assert isinstance(loaded, EncoderStudent)
    right = [r.label == ("体育" if has_word(r.text, "体育") else "财经") for r in loaded.classify(texts, labels=LABELS)]
    assert sum(right) > 0.9 * len(texts)


# the command line


@pytest.fixture
def records(texts, tmp_path):
    path = tmp_path / "texts.jsonl"
    rows = [{"text": text, "kind": "体育" if has_word(text, "体育") else "财经"} for text in texts[:60]]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_command_teaches_a_model_for_classify_and_read(records, encoder_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pipeline, "_load", lambda *_: both(encoder_folder))
    out = tmp_path / "student"
    line = ["distill", "--labels", "体育,财经", "--unlabelled", str(records), "--out", str(out), "--model"]
    line += [str(encoder_folder), "--threshold", "0", "--label-field", "kind", "--text-field", "text"]
    assert main([*line, "--no-calibrate"]) == 0
    shown = capsys.readouterr().out
    assert "60 texts labelled" in shown
    assert "ngrams" in shown
    assert "encoder" in shown
    assert f"--model {out}" in shown
    assert main([*line, "--no-calibrate", "--json", "--students", "ngrams"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["teacher_accuracy"] == 1.0
    file = tmp_path / "lines.txt"
    file.write_text("主队今天赢了比赛。\n央行下调利率。\n", encoding="utf-8")
    assert main(["classify", str(file), "--model", str(out)]) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    student = load_student(out)
    assert [r["label"] for r in results] == student.predict([r["text"] for r in results]).tolist()
    assert main(["classify", str(file), "--model", str(out), "--labels", "体育,军事"]) == 1
    assert "'军事'" in capsys.readouterr().err
    assert main(["classify", str(file), "--estimate", "--model", str(out)]) == 0
    assert "2 texts × 2 labels" in capsys.readouterr().out
    assert main(["read", str(file), "--labels", "体育,财经", "--model", str(out), "--out", str(tmp_path / "r")]) == 0
    (passage,) = [json.loads(line) for line in (tmp_path / "r" / "results.jsonl").read_text().splitlines()]
    assert passage["label"] == student.classify([passage["text"]])[0].label


def test_classify_without_labels_needs_a_student(tmp_path, capsys):
    file = tmp_path / "lines.txt"
    file.write_text("主队\n", encoding="utf-8")
    assert main(["classify", str(file)]) == 1
    assert "--labels is missing" in capsys.readouterr().err


def test_a_field_that_no_record_has_is_refused(records, tmp_path, capsys):
    line = ["distill", "-l", "体育,财经", "-u", str(records), "-o", str(tmp_path / "s"), "--label-field", "sort"]
    assert main(line) == 1
    assert "'sort'" in capsys.readouterr().err


def test_a_killed_run_goes_on(texts, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(
        "import sys, time\n"
        "from keyword_teacher import KeywordScorer, LABELS, sentences\n"
        "from ironwok.distill import distill\n"
        "from ironwok.zero_shot import ZeroShotClassifier\n"
        "class Slow(KeywordScorer):\n"
        "    def score(self, pairs):\n"
        "        time.sleep(float(sys.argv[2]))\n"
        "        return super().score(pairs)\n"
        "distill(sentences(), labels=LABELS, out=sys.argv[1], students=['ngrams'],"
        " classifier=ZeroShotClassifier(scorer=Slow()))\n",
        encoding="utf-8",
    )
    environment = os.environ | {"PYTHONPATH": os.path.dirname(__file__)}
    out, labelled = tmp_path / "out", tmp_path / "out" / "labelled.jsonl"
    run = subprocess.Popen([sys.executable, script, out, "0.7"], env=environment)
    while not (labelled.exists() and labelled.stat().st_size):
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = labelled.read_bytes()
    kept = before[: before.rfind(b"\n") + 1]
    assert 0 < len(kept.splitlines()) < 256
    subprocess.run([sys.executable, script, out, "0"], env=environment, check=True)
    after = labelled.read_bytes()
    assert after.startswith(kept)
    assert len(after.splitlines()) == 256
    assert load_student(out).labels == tuple(LABELS)
