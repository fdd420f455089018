"""`ironwok.read` with labels that adapt to passages: what they are shown, what a run depends on, what is refused."""

from __future__ import annotations

from copy import copy
from pathlib import Path

import numpy as np
import pytest

from ironwok.cli import main
from ironwok.errors import ConfigError, DataWarning, InputError, NoDocumentsError
from ironwok.reading import Skipped, read
from ironwok.zero_shot import ZeroShotClassifier

# a word about heaps that are small
pytestmark = pytest.mark.filterwarnings("ignore:labels adapt to:ironwok.errors.DataWarning")

LABELS = ["茶", "棋", "雪"]


class Adapting:
    """Scores the first label highest, or the last one when it has looked at texts; keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple] = []
        self.has_looked = False

    def adapted(self, texts, words, *, one_fits=False):
        self.shown.append((list(texts), list(words)))
        other = copy(self)
        other.has_looked = True
        return other

    def score(self, pairs):
        best = LABELS[-1] if self.has_looked else LABELS[0]
        return np.array([float(pair.prompt.label == best) for pair in pairs])


def _passages(report):
    return [passage.span.text for document in report.documents for passage in document.passages]


@pytest.fixture
def scorer():
    return Adapting()


@pytest.fixture
def run(folder, scorer, tmp_path):
    def go(**changes):
        arguments = {"labels": LABELS, "out": tmp_path / "out", "classifier": ZeroShotClassifier(scorer=scorer)}
        return read(folder, **(arguments | changes))

    return go


def test_labels_adapt_once_to_all_passages_and_the_passages_are_sorted_with_them(run, folder, scorer):
    report = run(adapt=folder)
    ((texts, words),) = scorer.shown
    assert texts == _passages(report)
    assert set(words) == {tuple(LABELS)}
    assert report.adapted == len(texts)
    assert f'"adapted":{len(texts)},' in report.page.read_text(encoding="utf-8").replace(" ", "")
    assert {p.classification.label for document in report.documents for p in document.passages} == {"雪"}


def test_they_may_adapt_to_other_files(run, folder, scorer):
    with pytest.warns(DataWarning, match=r"labels adapt to \d+ passages; some hundreds are needed"):
        run(adapt=[folder / "b_chess.txt", folder / "more"])
    ((texts, _),) = scorer.shown
    assert any("等着对手" in text for text in texts)
    assert any("雪夜煮茶" in text for text in texts)
    assert not any("茶香满屋" in text for text in texts)


def test_a_run_depends_on_the_passages_that_labels_adapted_to(run, folder, scorer, tmp_path):
    run(adapt=folder)
    again = run(adapt=folder)
    assert len(scorer.shown) == 1  # nothing was left to read
    for change in ({}, {"adapt": [folder / "b_chess.txt"]}):
        with pytest.raises(ConfigError, match="adapt"):
            run(**change)
    assert run(adapt=folder).documents == again.documents
    (folder / "z_more.txt").write_text("又来了一封信。", encoding="utf-8")
    with pytest.raises(ConfigError, match="adapt"):
        run(adapt=folder)
    assert any("又来了一封信" in text for text in _passages(run(adapt=folder, fresh=True)))


def test_what_cannot_adapt_is_refused_before_anything_is_written(run, folder, tmp_path):
    (tmp_path / "blank").mkdir()
    (tmp_path / "blank" / "a.txt").write_text("\n", encoding="utf-8")
    for change, error, said in (
        ({"adapt": folder, "multi_label": True}, InputError, "leave multi_label out"),
        ({"adapt": folder, "labels": None, "ask": "谁在下棋？"}, InputError, "name some, or leave adapt out"),
        ({"adapt": tmp_path / "blank"}, NoDocumentsError, "no passage that labels could adapt to"),
    ):
        with pytest.raises(error, match=said):
            run(**change)
        assert not (tmp_path / "out").exists()


def test_a_model_without_a_table_is_told_when_it_is_loaded(run, folder):
    with pytest.raises(InputError, match="PETScorer has no table of words"):
        run(adapt=folder, classifier=None, scorer="pet")


def test_what_labels_cannot_adapt_to_is_told_once(folder, tmp_path, scorer):
    def skipped(paths, adapt):
        seen = []
        asked = {"labels": LABELS, "out": tmp_path / str(len(list(tmp_path.iterdir())))}
        read(paths, **asked, adapt=adapt, classifier=ZeroShotClassifier(scorer=scorer), on_event=seen.append)
        return [Path(one.skip.document).name for one in seen if isinstance(one, Skipped)]

    assert skipped(folder, folder) == ["c_snow.jsonl", "d_picture.txt"]
    assert skipped(folder / "b_chess.txt", folder) == ["c_snow.jsonl", "d_picture.txt"]
    assert skipped(folder / "b_chess.txt", folder / "b_chess.txt") == []


def test_the_command_line(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    asked = ["read", str(folder / "b_chess.txt"), "--labels", "茶,棋", "--out", str(tmp_path / "out")]
    asked += ["--scorer", "associations", "--adapt", str(folder / "b_chess.txt")]
    assert main(asked) == 0
    assert "b_chess" in capsys.readouterr().out
    assert main([*asked, "--engine", "ray"]) != 0
    assert "leave --engine ray out" in " ".join(capsys.readouterr().err.split())
