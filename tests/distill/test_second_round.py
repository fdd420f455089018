"""The second round: the n-grams learn from the student with the encoder what the teacher was not asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from synonym_teacher import LABELS, SynonymScorer, texts

from ironwok.cli import language, main
from ironwok.distill import distill, pipeline
from ironwok.distill.fitting import fit_scores
from ironwok.distill.pipeline import drawn
from ironwok.distill.vectors import BLOCKS, VECTORS, text_vectors
from ironwok.errors import InputError
from ironwok.students import load_student
from ironwok.zero_shot import ZeroShotClassifier

# 400 texts that the teacher labels have about half of the words, 1,400 others nearly all
WORDS, ASKED = 300, 400


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return texts(1800, words=WORDS)


def ticking() -> Callable[[], float]:
    now = [0.0]

    def clock() -> float:
        now[0] += 1
        return now[0]

    return clock


def go(lines, out, scorer=None, **options):
    scorer = scorer or SynonymScorer(words=WORDS)
    chosen = {"labels": LABELS, "students": ["ngrams"], "limit": ASKED, "clock": ticking()} | options
    return distill(lines, out=out, classifier=ZeroShotClassifier(scorer=scorer), **chosen)


@pytest.fixture(scope="module")
def two(lines, tmp_path_factory):
    """Folder, scorer and report of a distillation with the second round."""
    out, scorer = tmp_path_factory.mktemp("two"), SynonymScorer(words=WORDS)
    return out, scorer, go(lines, out, scorer)


@pytest.fixture(scope="module")
def one(lines, tmp_path_factory):
    """Folder and report of the same one without."""
    out = tmp_path_factory.mktemp("one")
    return out, go(lines, out, rounds=1)


def test_it_is_kept_where_the_encoder_knows_more_words(lines, one, two):
    (folder, scorer, report), (_, alone) = two, one
    asked = {json.loads(line)["text"] for line in (folder / "labelled.jsonl").read_text(encoding="utf-8").splitlines()}
    assert len(asked) == ASKED
    assert {text for text in lines if text in scorer.scored} == asked
    assert (report.texts, report.others, report.why) == (ASKED, 1400, "agrees more")
    first, second = report.rounds
    assert (first.number, first.kept, second.number, second.kept) == (1, False, 2, True)
    assert second.agreement > first.agreement
    assert (first.texts, second.texts) == (ASKED - report.held_out, 1800 - report.held_out)
    assert report.students[0].strength == second.strength
    assert [tried.number for tried in alone.rounds] == [1]
    assert alone.rounds[0].agreement == first.agreement
    assert (alone.why, alone.others) == ("not asked for", 1400)
    new = [text for text in lines if text not in asked]
    right = [
        float(np.mean(load_student(where).predict(new) == [scorer.label_of[text[:4]] for text in new]))
        for where in (one[0], two[0])
    ]
    assert right[1] > 0.95 > 0.85 > right[0]
    assert load_student(two[0]).teacher["round"] == 2
    assert load_student(one[0]).teacher["round"] == 1


def test_it_is_dropped_where_the_encoder_knows_nothing(lines, one, tmp_path):
    report = go(lines, tmp_path, SynonymScorer(words=WORDS, blind=True))
    assert report.why == "agrees no more"
    assert [tried.kept for tried in report.rounds] == [True, False]
    assert report.rounds[1].agreement <= report.rounds[0].agreement
    assert (tmp_path / "student.npz").read_bytes() == (one[0] / "student.npz").read_bytes()


def test_both_students_come_out_of_it(lines, tmp_path):
    report = go(lines, tmp_path, students=["encoder", "ngrams"])
    encoder, ngrams = report.students
    assert (encoder.kind, ngrams.kind) == ("encoder", "ngrams")
    assert encoder.agreement == 1
    assert report.why == "agrees more"
    assert (tmp_path / "ngrams" / "student.npz").exists()


def test_the_same_seed_gives_the_same_files(lines, two, tmp_path):
    report = go(lines, tmp_path)
    assert report.rounds == two[2].rounds
    for name in ("labelled.jsonl", "student.npz", "student.json"):
        assert (tmp_path / name).read_bytes() == (two[0] / name).read_bytes()


def test_the_draw_hangs_on_seed_and_text_alone(lines):
    few, others = drawn(lines, 100, 0)
    assert sorted(few + others) == list(range(len(lines)))
    assert drawn(lines, 250, 0)[0][:100] == few
    assert [lines[number] for number in few] == [lines[::-1][number] for number in drawn(lines[::-1], 100, 0)[0]]
    assert few != drawn(lines, 100, 1)[0]
    assert drawn(["a", "b", "a"], 9, 0)[1] == []
    assert sorted(drawn(["a", "b", "a"], 9, 0)[0]) == [0, 1]


def test_a_larger_limit_asks_for_the_new_ones_alone(lines, two, tmp_path):
    go(lines, tmp_path, limit=350, rounds=1)
    later = SynonymScorer(words=WORDS)
    report = go(lines, tmp_path, later)
    before, after = drawn(lines, 350, 0)[0], drawn(lines, ASKED, 0)[0]
    assert {lines[number] for number in after[350:]} <= later.scored
    # of the others only those on which the teacher's speed is measured
    assert len(later.scored & {lines[number] for number in before}) < 100
    assert report.rounds == two[2].rounds
    assert (tmp_path / "student.npz").read_bytes() == (two[0] / "student.npz").read_bytes()
    # with a smaller one what was labelled before stays, and vectors are in the same order for every limit
    sooner = SynonymScorer(words=WORDS)
    assert go(lines, tmp_path, sooner, limit=350).texts == 350
    assert sooner.embedded == []
    assert len((tmp_path / "labelled.jsonl").read_bytes().splitlines()) == ASKED


def test_a_run_that_was_killed_in_the_second_round_goes_on_there(two, tmp_path):
    script = tmp_path / "dies.py"
    script.write_text(
        "import os, signal, sys\n"
        "from ironwok.distill import distill, vectors\n"
        "from ironwok.zero_shot import ZeroShotClassifier\n"
        "from synonym_teacher import LABELS, SynonymScorer, texts\n"
        "vectors._BLOCK = 256\n"
        "class Dies(SynonymScorer):\n"
        "    def embed(self, texts):\n"
        "        if len(self.embedded) == int(sys.argv[2]):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().embed(texts)\n"
        "scorer = Dies(words=300)\n"
        "distill(texts(1800, words=300), labels=LABELS, out=sys.argv[1], students=['ngrams'], limit=400,\n"
        "        classifier=ZeroShotClassifier(scorer=scorer))\n"
        "print(len(scorer.embedded))\n",
        encoding="utf-8",
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}

    def run(most):
        line = [sys.executable, script, tmp_path / "out", str(most)]
        return subprocess.run(line, env=environment, capture_output=True, text=True)

    killed = run(3)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "out" / "student.npz").exists()
    assert len((tmp_path / "out" / VECTORS).read_bytes()) == 3 * 256 * 8 * 2
    with (tmp_path / "out" / VECTORS).open("ab") as file:
        file.write(b"half a block")
    again = run(99)
    assert again.returncode == 0, again.stderr
    # 5 of the 8 blocks of 1,800 texts were missing
    assert int(again.stdout) == 5
    for name in (VECTORS, "labelled.jsonl", "student.npz", "student.json"):
        assert (tmp_path / "out" / name).read_bytes() == (two[0] / name).read_bytes()


class Counting:
    """The length of a text as its vector."""

    def __init__(self):
        self.seen = []

    def embed(self, texts):
        self.seen += texts
        return np.array([[len(text), 0.5] for text in texts], dtype=np.float32)


def test_vectors_of_other_texts_or_another_model_are_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("ironwok.distill.vectors._BLOCK", 2)
    listed = ["a", "bb", "ccc", "dddd", "eeeee"]

    def ask(texts, **options):
        counting = Counting()
        found = text_vectors(counting, texts, folder=tmp_path, settings={"model": "x"}, **options)
        assert found[:, 0].tolist() == [len(text) for text in texts]
        return counting.seen

    assert ask(listed) == listed
    assert ask(listed) == []
    assert ask(listed, fresh=True) == listed
    assert ask([*listed, "ffffff"]) == ["eeeee", "ffffff"]
    assert ask([*listed[:2], "c"]) == ["c"]
    assert ask(listed) == listed[2:]
    (tmp_path / BLOCKS).write_text("no JSON\n")
    assert ask(listed) == listed
    (tmp_path / VECTORS).write_bytes((tmp_path / VECTORS).read_bytes()[:9])
    assert ask(listed) == listed[2:]
    counting = Counting()
    text_vectors(counting, listed, folder=tmp_path, settings={"model": "y"})
    assert counting.seen == listed


def test_bad_values_name_the_way_out(lines, tmp_path):
    with pytest.raises(InputError, match=r"limit is 0.*leave it out for all"):
        go(lines, tmp_path, limit=0)
    with pytest.raises(InputError, match=r"rounds is 3; give 1 .* or 2"):
        go(lines, tmp_path, rounds=3)
    with pytest.raises(InputError, match="rounds is 0"):
        go(lines, tmp_path, rounds=0)
    assert not list(tmp_path.iterdir())


def test_without_a_second_round_the_report_says_why(lines, tmp_path):
    assert go(lines[:ASKED], tmp_path / "all", limit=None).why == "no other texts"
    few = go(lines, tmp_path / "few", limit=100)
    assert (few.why, few.others, few.rounds[0].agreement) == ("too few set aside", 1700, None)
    encoder = go(lines, tmp_path / "encoder", students=["encoder"])
    assert (encoder.why, encoder.rounds) == ("not asked for", ())

    class Scores:
        """No vectors."""

        score = SynonymScorer(words=WORDS).score

    assert go(lines, tmp_path / "scores", Scores()).why == "no vectors"


@pytest.mark.parametrize("sparse", [False, True])
def test_scores_are_learned_as_by_ridge_regression(sparse):
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import Ridge

    chance = np.random.default_rng(0)
    features = chance.normal(size=(40, 90)) * (chance.random((40, 90)) < 0.3)
    targets = features @ chance.normal(size=(90, 3)) + chance.normal(size=(40, 3))
    targets[:, 2] = 5.0  # nothing to learn but the mean
    own = fit_scores(csr_matrix(features) if sparse else features, targets, strength=2.0, tolerance=1e-6)
    known = Ridge(alpha=0.5, fit_intercept=False).fit(features, targets - targets.mean(axis=0))
    assert own.weights == pytest.approx(known.coef_.T, abs=1e-4)
    assert own.bias == pytest.approx(targets.mean(axis=0))
    assert own.weights[:, 2] == pytest.approx(0)


def test_the_command_says_which_round_is_kept(lines, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pipeline, "_load", lambda *_: ZeroShotClassifier(scorer=SynonymScorer(words=WORDS)))
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    line = ["distill", "-l", ",".join(LABELS), "-u", str(file), "-o", str(tmp_path / "out"), "--students", "ngrams"]
    assert main([*line, "--limit", "400"]) == 0
    shown = capsys.readouterr().out
    assert "Round 2 of ngrams is kept: of " in shown
    assert "1,400 other texts" in shown
    assert main([*line, "--limit", "50"]) == 0
    assert "too few to choose on" in capsys.readouterr().out
    assert main([*line, "--limit", "0"]) == 1
    assert "limit is 0" in capsys.readouterr().err
