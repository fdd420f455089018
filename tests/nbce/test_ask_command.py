"""`ironwok ask` with a tiny model of random weights: what it says means nothing, everything around it does."""

from __future__ import annotations

import json

import pytest
from tiny_causal import make_model, make_tokenizer

from ironwok.cli import language, main

FERRY = "The ferry to Lindholm leaves at seven. It does not sail on Sundays."
BREAD = "Bread rises twice: once in the bowl, once in the tin."
QUESTION = "When does the ferry leave?"


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-causal")
    make_model("grouped").save_pretrained(folder)
    make_tokenizer(chat=True).save_pretrained(folder)
    return folder


@pytest.fixture
def notes(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "bread.txt").write_text(BREAD, encoding="utf-8")
    (notes / "ferry.md").write_text(FERRY, encoding="utf-8")
    return notes


@pytest.fixture
def run(folder, capsys):
    def go(*arguments):
        code = main(["ask", *map(str, arguments), "--model", str(folder), "--max-tokens", "8"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


def test_an_answer_is_followed_by_its_sources(run, notes):
    code, out, _ = run(QUESTION, notes)
    assert code == 0
    assert "[1] " in out
    assert ".txt:0-" in out or ".md:0-" in out
    assert "% of the answer" in out
    assert not [one for one in out if ord(one) < 32 and one != "\n"]  # what a terminal would obey


def test_json_lines_hold_everything(run, notes):
    code, out, _ = run(QUESTION, notes, "--also", "What rises?", "--json", "--keep", "0")
    assert code == 0
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["question"] for record in records] == [QUESTION, "What rises?"]
    for record in records:
        assert {source["document"] for source in record["sources"]} == {
            str(notes / "bread.txt"),
            str(notes / "ferry.md"),
        }
        text = {str(notes / "bread.txt"): BREAD, str(notes / "ferry.md"): FERRY}
        for source in record["sources"]:
            assert text[source["document"]][source["start"] : source["end"]] == source["text"]
        assert "".join(record["answer"][start:end] for start, end, _ in record["tokens"]) == record["answer"]


def test_the_model_is_named_without_its_place(run, notes, folder):
    _, out, _ = run(QUESTION, notes)
    assert f"Written by {folder.name}." in out
    assert json.loads(run(QUESTION, notes, "--json")[1])["model"] == folder.name


def test_several_questions_are_shown_above_their_answers(run, notes):
    _, out, _ = run(QUESTION, notes, "-q", "What rises?")
    assert out.index(QUESTION) < out.index("[1] ") < out.index("What rises?")


def test_the_options_reach_the_decoder(run, notes):
    def answer(*options) -> dict:
        return json.loads(run(QUESTION, notes, "--json", *options)[1])

    assert len(answer("--keep", "1")["sources"]) == 1
    assert len(answer("--route", "0")["sources"]) == 2  # plain NBCE keeps every passage
    assert len(answer("--pooling", "mean")["sources"]) == 2
    warm = [answer("--temperature", "3", "--seed", seed)["answer"] for seed in "112"]
    assert warm[0] == warm[1] != warm[2]
    assert answer("--window", "10")["parts"] > 5
    near = answer("--closer", "1", "--keep", "0")["sources"]
    assert {source["text"] for source in near} == {
        BREAD,
        "The ferry to Lindholm leaves at seven.",
        "It does not sail on Sundays.",
    }


def test_a_passage_that_cannot_be_read_is_named_and_the_rest_answers(run, notes):
    (notes / "broken.pdf").write_bytes(b"no PDF")
    code, out, err = run(QUESTION, notes)
    assert code == 0
    assert "skipped: " in err
    assert "broken.pdf" in err
    assert "[1] " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pooling", "median"], "one of entropy, mean, max"),
        (["--beta", "-2"], "beta is -2.0"),
        (["--route", "-1"], "route is -1.0"),
    ],
)
def test_options_out_of_range_are_named(run, notes, arguments, message):
    code, out, err = run(QUESTION, notes, *arguments)
    assert (code, out) == (1, "")
    assert message in err


def test_chinese_gets_a_plain_warning(run, notes):
    code, _, err = run("渡轮几点开？", notes)
    assert code == 0
    assert "this model hardly knows Chinese" in " ".join(err.split())
    assert "这个模型几乎不懂中文" in "".join(err.split())


def test_the_help_page_says_the_defaults_in_force(capsys):
    from ironwok.cli.ask import DEFAULTS
    from ironwok.nbce import Settings
    from ironwok.nbce.answerer import DEFAULT_WINDOW

    settings = Settings()
    assert {name: getattr(settings, name, DEFAULT_WINDOW) for name in DEFAULTS} == DEFAULTS
    assert main(["ask", "--help"]) == 0
    assert "(default: 0.25)" in capsys.readouterr().out


@pytest.mark.parametrize("questions", [["  "], ["Fine?", "-q", ""]])
def test_a_question_without_text_is_refused_before_files_are_read(run, tmp_path, questions):
    code, _, err = run(questions[0], tmp_path / "nowhere", *questions[1:])
    assert code == 1
    assert "a question holds no text" in err


def test_without_files_there_is_no_answer(run, tmp_path):
    code, _, err = run(QUESTION, tmp_path / "nowhere")
    assert code == 1
    assert "does not exist" in err


def test_an_encoder_is_no_model_for_answers(notes, capsys):
    assert main(["ask", QUESTION, str(notes), "--model", "ironwok-small"]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "error: ironwok-small is a 'roformer_v2' model, not a causal language model" in error
    assert "smollm2" in error
