"""Answers in the main job: kept as they come, in the report, in the terminal, on the page."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from tiny_causal import make_model, make_tokenizer

from ironwok.cli import language, main
from ironwok.errors import ConfigError, InputError
from ironwok.nbce import Answerer, Settings
from ironwok.reading import pipeline, read
from ironwok.reading.answer_reader import AnswerReader
from ironwok.reading.page_answers import answers_given
from ironwok.results import Answer, Report
from ironwok.zero_shot import ZeroShotClassifier

FERRY = "The ferry to Lindholm leaves at seven. It does not sail on Sundays.\n\nTickets are sold on board."
BREAD = "Bread rises twice: once in the bowl, once in the tin."
QUESTIONS = ["When does the ferry leave?", "What rises?"]


class Slow:
    """An answerer that counts, and that somebody stops after so many answers."""

    def __init__(self, answerer: Answerer, stop_after: int | None = None) -> None:
        self.answerer, self.stop_after, self.asked = answerer, stop_after, []

    def ask_many(self, questions, contexts, **options):
        for number, answer in enumerate(self.answerer.ask_many(questions, contexts, settings=Settings(max_tokens=8))):
            if number == self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(questions[number])
            yield answer


@pytest.fixture(scope="module")
def answerer(model, tokenizer):
    return Answerer(model, tokenizer=tokenizer, window=40)


@pytest.fixture
def notes(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "bread.txt").write_text(BREAD, encoding="utf-8")
    (notes / "ferry.md").write_text(FERRY, encoding="utf-8")
    return notes


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    assert found
    return json.loads(found[1])


def test_answers_are_in_the_report_and_on_the_page(notes, answerer, tmp_path):
    seen = []
    report = read(
        notes,
        ask=QUESTIONS,
        out=tmp_path / "out",
        answerer=Slow(answerer),
        answer_model="tiny",
        on_event=seen.append,
    )
    assert [answer.question for answer in report.answers] == QUESTIONS
    assert report.answer_model == "tiny"
    texts = {document.document: document.text for document in report.documents}
    for answer in report.answers:
        for source in answer.sources:
            assert report.documents[source.context].document == source.document
            assert texts[source.document][source.span.start : source.span.end] == source.span.text
    kept = lines(tmp_path / "out" / "answers.jsonl")
    assert [Answer.from_dict(record) for record in kept] == list(report.answers)
    assert [(one.done, one.questions) for one in seen if hasattr(one, "questions")] == [(1, 2), (2, 2)]

    data = data_of(report.page.read_text(encoding="utf-8"))
    given = data["answers"]["given"]
    assert [one["question"] for one in given] == QUESTIONS
    for one, answer in zip(given, report.answers, strict=True):
        assert "".join(text for text, _ in one["pieces"]) == answer.text == one["text"]
        # neighbours of the same source are one piece
        assert all(a[1] != b[1] for a, b in pairwise(one["pieces"]))
        for source in one["sources"]:
            document = data["documents"][source["document"]]
            passage = document["passages"][source["passage"]]
            assert document["path"] == report.documents[source["document"]].document
            assert passage["at"][0] <= source["at"][1]
            assert "".join(source["quote"]).strip("…") in texts[document["path"]]


def test_without_a_question_the_page_has_no_answers(tmp_path):
    assert answers_given(Report(documents=(), skipped=(), folder=tmp_path), 0) is None


def test_an_interrupted_run_goes_on_with_the_next_answer(notes, answerer, tmp_path):
    whole = read(notes, ask=QUESTIONS, out=tmp_path / "whole", answerer=Slow(answerer))
    out = tmp_path / "out"
    first = Slow(answerer, stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        read(notes, ask=QUESTIONS, out=out, answerer=first)
    assert len(lines(out / "answers.jsonl")) == 1
    second = Slow(answerer)
    report = read(notes, ask=QUESTIONS, out=out, answerer=second)
    assert (first.asked, second.asked) == (QUESTIONS[:1], QUESTIONS[1:])
    assert [answer.text for answer in report.answers] == [answer.text for answer in whole.answers]
    # a third run has nothing to do
    third = Slow(answerer)
    assert read(notes, ask=QUESTIONS, out=out, answerer=third).answers == report.answers
    assert third.asked == []


def test_answers_of_other_texts_are_given_anew(notes, answerer, tmp_path):
    out = tmp_path / "out"
    read(notes, ask=QUESTIONS, out=out, answerer=Slow(answerer))
    (notes / "new.txt").write_text("The harbour master has the key of the shed.", encoding="utf-8")
    again = Slow(answerer)
    report = read(notes, ask=QUESTIONS, out=out, answerer=again)
    assert again.asked == QUESTIONS
    assert len(lines(out / "answers.jsonl")) == 2
    assert len(report.documents) == 3


def test_a_damaged_file_of_answers_is_no_obstacle(notes, answerer, tmp_path):
    out = tmp_path / "out"
    read(notes, ask=QUESTIONS, out=out, answerer=Slow(answerer))
    (out / "answers.jsonl").write_text("not json\n" * 3, encoding="utf-8")
    again = Slow(answerer)
    read(notes, ask=QUESTIONS, out=out, answerer=again)
    assert again.asked == QUESTIONS


def test_other_questions_do_not_mix_into_a_report(notes, answerer, tmp_path):
    read(notes, ask=QUESTIONS, out=tmp_path / "out", answerer=Slow(answerer))
    with pytest.raises(ConfigError):
        read(notes, ask="Who sells tickets?", out=tmp_path / "out", answerer=Slow(answerer))


@pytest.mark.parametrize(("ask", "message"), [([], "no question"), (["fine?", " "], "question 1 is ' '")])
def test_questions_without_text_are_named_before_anything_is_read(ask, message, notes, tmp_path):
    with pytest.raises(InputError, match=message):
        read(notes, ask=ask, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_asked_is_an_error(notes, tmp_path):
    with pytest.raises(InputError, match=r"labels, a schema of events .* or a question"):
        read(notes, out=tmp_path / "out")


def test_a_question_asked_twice_is_answered_once():
    assert AnswerReader(["a?", "b?", "a?"]).questions == ("a?", "b?")


def test_a_source_beyond_the_shown_documents_has_a_name_but_no_place(notes, answerer, tmp_path):
    report = read(notes, ask=QUESTIONS, out=tmp_path / "out", answerer=Slow(answerer))
    found = answers_given(report, 0)
    assert found
    sources = [source for one in found["given"] for source in one["sources"]]
    assert {source["document"] for source in sources} == {None}
    assert {source["path"] for source in sources} <= {str(notes / "bread.txt"), str(notes / "ferry.md")}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    make_model("grouped").save_pretrained(folder)
    make_tokenizer(chat=True).save_pretrained(folder)
    return folder


def test_the_command_prints_answers_and_their_sources(notes, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setenv("LC_ALL", "C")
    out = tmp_path / "out"
    arguments = ["read", str(notes), "--ask", QUESTIONS[0], "--answer-model", str(folder), "--out", str(out)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert QUESTIONS[0] in printed
    assert "[1] " in printed
    assert "1 answers (answers.jsonl)" in printed
    assert len(lines(out / "answers.jsonl")) == 1
    assert main(["read", str(notes)]) == 2
    assert "--ask 'QUESTION'" in capsys.readouterr().err


def test_labels_and_answers_come_in_one_report(notes, answerer, tmp_path):
    class Counting:
        def score(self, pairs):
            return np.array([float(pair.text.count(pair.prompt.label)) for pair in pairs])

    report = pipeline.read(
        notes,
        labels=["ferry", "Bread"],
        classifier=ZeroShotClassifier(scorer=Counting()),
        ask=QUESTIONS[0],
        answerer=Slow(answerer),
        out=tmp_path / "out",
    )
    assert {document.classification.label for document in report.documents} == {"ferry", "Bread"}
    assert len(report.answers) == 1
