"""Copied answers: the choice equals a plain reading of every candidate, stands in the text, and is told as it is."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_causal import KINDS, make_model, make_tokenizer

from ironwok.errors import InputError, LanguageWarning
from ironwok.nbce import Answerer, Settings, copying
from ironwok.nbce.contexts import Part
from ironwok.nbce.copying import CHANNEL, LONGEST, SENTENCE, Candidate, beginnings, copy, ends_whole, quoted
from ironwok.nbce.engine import Engine
from ironwok.nbce.prefill import prefill
from ironwok.nbce.prompts import ENGLISH, ENGLISH_PLAIN, Prompter
from ironwok.results import Span

TEXT = "Boats (two) sail at 7:30. The U.S. pier shuts."
QUESTION = "What do they do?"
COPIED = Settings(copy=True, max_tokens=8)


def copied(kind: str, *, chat: bool, text: str = TEXT, question: str = QUESTION, max_tokens: int = 64):
    tokenizer = make_tokenizer(chat=chat)
    engine, prompter = Engine(make_model(kind)), Prompter(tokenizer)
    layout = ENGLISH if chat else ENGLISH_PLAIN
    asked = prompter.question(question, layout)
    part = Part(0, Span(3, 3 + len(text), text), tuple(prompter.text(text)))
    rows = [prompter.context(part.token_ids, layout)]
    (prepared,) = prefill(engine, prompter.head(), rows, [asked], Settings(), chunk_tokens=4096)
    found = copy(engine, prompter, prepared, [part], question, asked, layout, end={2}, max_tokens=max_tokens)
    return engine.model, prompter, layout, asked, found


def plain_log_p(model, ids: list[int]) -> torch.Tensor:
    """Of what comes behind each token of one row, read by itself without cache or padding."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    # ids that stand for no text: this vocabulary has none
    return torch.log_softmax(logits, dim=-1)


def likelihood(model, before: list[int], ids: list[int]) -> float:
    log_p = plain_log_p(model, [*before, *ids])
    return sum(float(log_p[len(before) + place - 1, one]) for place, one in enumerate(ids))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chat", [True, False])
def test_scores_equal_a_plain_reading_of_each_candidate(kind, chat):
    model, prompter, layout, asked, found = copied(kind, chat=chat)
    assert found is not None
    window = prompter.text(TEXT)
    before = [*prompter.context(window, layout), *asked, *prompter.text(layout.copied)]
    ends = [2, prompter.text(".")[0], prompter.text("\n")[0]]
    question = prompter.text(" " + QUESTION)
    sentences = {TEXT[:25]: TEXT[:25], TEXT[26:]: TEXT[26:]}
    assert len(found.candidates) > 4
    for one in found.candidates[:6]:
        words = TEXT[one.start : one.end]
        ids = prompter.text(" " + words)
        assert list(one.token_ids) == ids
        log_p = plain_log_p(model, [*before, *ids])
        direct = likelihood(model, before, ids) + float(log_p[-1, ends].logsumexp(0))
        assert one.direct == pytest.approx(direct, abs=2e-3)
        lead = [*prompter.begin(), *prompter.text(f"Text: {TEXT}\n\n"), *prompter.text(f"Answer: {words}\nQuestion:")]
        assert one.channel == pytest.approx(likelihood(model, lead, question), abs=2e-3)
        (sentence,) = [text for text in sentences if words in text and TEXT.find(text) <= one.start]
        alone = prompter.context(prompter.text(sentence), layout)
        assert one.sentence == pytest.approx(likelihood(model, alone, asked), abs=2e-3)
        assert one.score == pytest.approx(one.direct + 0.5 * one.channel + 0.2 * one.sentence)
    assert (CHANNEL, SENTENCE) == (0.5, 0.2)


def test_the_choice_is_the_best_and_whole_words_of_one_sentence(monkeypatch):
    monkeypatch.setattr(copying, "SURE", 0.0)
    *_, found = copied("dense", chat=True)
    assert found is not None
    assert [one.score for one in found.candidates] == sorted((one.score for one in found.candidates), reverse=True)
    best = found.candidates[0]
    assert found.decoded.text == TEXT[best.start : best.end]
    assert found.evidence == Span(3 + best.start, 3 + best.end, found.decoded.text)
    assert found.decoded.finished
    for one in found.candidates:
        assert one.start in beginnings(TEXT, 0, len(TEXT))
        assert ends_whole(TEXT, one.start, one.end, 25 if one.end <= 25 else None)
        assert one.end <= 25 or one.start >= 26
        assert len(one.token_ids) == len(one.ends) <= LONGEST


def test_a_choice_that_is_not_sure_quotes_its_sentence(monkeypatch):
    *_, found = copied("dense", chat=True)
    assert found is not None
    scores = torch.tensor([one.score for one in found.candidates], dtype=torch.float64)
    assert found.probability == pytest.approx(float(scores.softmax(0)[0]))
    monkeypatch.setattr(copying, "SURE", found.probability)
    *_, sure = copied("dense", chat=True)
    assert sure is not None
    assert sure.decoded.text == TEXT[found.candidates[0].start : found.candidates[0].end]
    monkeypatch.setattr(copying, "SURE", found.probability + 1e-9)
    model, prompter, layout, asked, unsure = copied("dense", chat=True)
    assert unsure is not None
    early = sum(
        float(weight) for weight, one in zip(scores.softmax(0), found.candidates, strict=True) if one.start < 25
    )
    sentence = TEXT[:25] if early > 0.5 else TEXT[26:]
    assert unsure.decoded.text == sentence
    assert unsure.evidence == Span(3 + TEXT.find(sentence), 3 + TEXT.find(sentence) + len(sentence), sentence)
    assert unsure.candidates == found.candidates
    ids = prompter.text(" " + sentence)
    assert [step.token for step in unsure.decoded.steps] == ids
    assert unsure.decoded.ends[-1] == len(sentence)
    before = [*prompter.context(prompter.text(TEXT), layout), *asked, *prompter.text(layout.copied)]
    assert sum(step.log_p for step in unsure.decoded.steps) == pytest.approx(likelihood(model, before, ids), abs=2e-3)


def test_the_sentence_quoted_is_the_one_that_its_stretches_together_speak_for(monkeypatch):
    monkeypatch.setattr(copying, "SURE", 1.1)
    # of three stretches the likeliest stands alone in its sentence
    scores = {"red": -1.0, "old": -1.2, "far": -1.3}
    text = "It was red. It was old far."
    found = [
        Candidate(text.find(word), text.find(word) + 3, (5,), (text.find(word) + 3,), (score,), score)
        for word, score in scores.items()
    ]
    monkeypatch.setattr(copying, "_direct", lambda *given, **named: found)
    monkeypatch.setattr(copying, "_channel", lambda *given: [0.0] * len(found))
    monkeypatch.setattr(
        copying, "_sentences", lambda engine, prompter, text, sentences, *rest: dict.fromkeys(sentences, 0.0)
    )
    *_, copied_answer = copied("dense", chat=True, text=text)
    assert copied_answer is not None
    assert copied_answer.decoded.text == "It was old far."
    assert text[copied_answer.candidates[0].start :].startswith("red")


def test_a_sentence_is_quoted_whole_where_an_answer_that_is_written_has_less_room(monkeypatch):
    monkeypatch.setattr(copying, "SURE", 1.1)
    text = "At 7 or 8 it is up."
    *_, found = copied("dense", chat=True, text=text, max_tokens=3)
    assert found is not None
    assert found.decoded.text == text
    assert 3 < len(found.decoded.steps) <= copying.QUOTED


LONG = " At nine (on most days) boats leave the “old pier” for Lindholm, if the ice allows, and come back at 17:45. "


@pytest.mark.parametrize("max_tokens", [1, 3, 7, 12, 20, 33, 200])
def test_of_a_long_sentence_whole_words_around_the_stretch_are_quoted(max_tokens):
    prompter = Prompter(make_tokenizer(chat=True))
    ends = [place for place in range(len(LONG)) if ends_whole(LONG, 0, place)]
    for start in beginnings(LONG, 0, len(LONG)):
        stop = next(place for place in ends if place > start)
        ids, behind = copying._tokens(prompter, LONG, start, stop)
        stretch = Candidate(start, stop, tuple(ids), tuple(behind), (0.0,) * len(ids), 0.0)
        first, last, token_ids, behind = quoted(prompter, LONG, (0, len(LONG)), stretch, max_tokens)
        assert 0 < first <= start < stop <= last < len(LONG)
        assert len(token_ids) == len(behind) <= max(max_tokens, len(ids))
        assert first in beginnings(LONG, 0, len(LONG))
        assert last == len(LONG) - 1 or ends_whole(LONG, first, last)
        assert behind[-1] == last
        assert list(token_ids) == copying._tokens(prompter, LONG, first, last)[0]
        if max_tokens == 200:
            assert LONG[first:last] == LONG.strip()


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("a well-known (red) boat", [0, 2, 7, 14, 19]),
        ("“So” be it", [1, 5, 8]),
        ("七点开船", [0, 1, 2, 3]),
        ("在 B2 层", [0, 2, 5]),
        ("27-30% or 1999–2003", [0, 7, 10, 15]),  # 30 is no number of its own, 2003 a year of its own
        ("   ", []),
    ],
)
def test_where_words_begin(text, starts):
    assert beginnings(text, 0, len(text)) == starts


@pytest.mark.parametrize(
    ("text", "end", "whole"),
    [
        ("seven boats", 5, True),
        ("seven boats", 4, False),  # in a word
        ("seven boats", 6, False),  # the space is not of it
        ("seven, eight", 6, False),
        ("12% more", 3, True),
        ("(", 1, False),
        ("七点开船", 2, True),
        ("a_b", 1, False),
        ("It is John C. Messenger", 12, False),  # the stop is of the initial
        ("It is John C. Messenger", 13, False),
        ("It is John C. Messenger", 23, True),
        ("the U.S. pier", 7, False),
        ("the U.S. pier", 8, True),
        ("It rests. ", 8, True),
        ("3.5 boats", 1, False),
        ("5,100 boats", 1, False),
        ("27–30%", 2, False),
        ("27–30%", 5, False),  # its unit is of it
        ("27–30%", 6, True),
        ("1999–2003", 4, True),
    ],
)
def test_where_a_stretch_may_end(text, end, whole):
    assert ends_whole(text, 0, end) is whole


def test_the_question_said_again_is_no_candidate_unless_there_is_nothing_else():
    text = "The ferry sails at seven. It rests."
    *_, found = copied("dense", chat=True, text=text, question="When does the ferry sail?")
    assert found is not None
    chosen = {text[one.start : one.end] for one in found.candidates}
    assert chosen
    assert not chosen & {"The ferry", "ferry", "The ferry sails", "sails"}
    *_, found = copied("dense", chat=True, text="The ferry sails.", question="When does the ferry sail?")
    assert found is not None


def test_a_window_without_words_has_no_candidate():
    *_, found = copied("dense", chat=True, text="--- ...")
    assert found is None


def test_one_sentence_needs_no_comparison():
    *_, found = copied("dense", chat=True, text="Boats sail at seven.")
    assert found is not None
    assert {one.sentence for one in found.candidates} == {0.0}


@pytest.mark.parametrize("closer", [0, 1, 2])
@pytest.mark.parametrize("chat", [True, False])
def test_an_answer_stands_in_its_source(model, chat, closer):
    texts = [
        "Bread rises. It rises twice. Then it is baked.",
        "Boats sail at seven. They rest. Not on Sundays, though.",
    ]
    answerer = Answerer(model, tokenizer=make_tokenizer(chat=chat))
    told: list[str] = []
    settings = Settings(copy=True, closer=closer)
    answer = answerer.ask(QUESTION, texts, settings=settings, on_text=told.append)
    first = answer.sources[0]
    assert told == [answer.text]
    assert first.share == 1
    assert first.evidence is not None
    assert texts[first.context][first.evidence.start : first.evidence.end] == answer.text
    assert first.span.start <= first.evidence.start < first.evidence.end <= first.span.end
    assert "".join(answer.text[one.start : one.end] for one in answer.tokens) == answer.text
    assert answer == answerer.ask(QUESTION, texts, settings=settings)


def test_chinese_is_copied_character_by_character(model, tokenizer):
    text = "渡轮七点开。周日停航。"
    with pytest.warns(LanguageWarning):  # three tokens a character
        answer = Answerer(model, tokenizer=tokenizer).ask("渡轮几点开？", [text], settings=COPIED)
    assert answer.text
    assert answer.text in text
    assert "\ufffd" not in answer.text


def test_texts_without_words_are_written_about(model, tokenizer):
    answer = Answerer(model, tokenizer=tokenizer).ask(QUESTION, ["--- ..."], settings=COPIED)
    assert answer.sources[0].span.text == "--- ..."


def test_who_copies_unless_told(model, tokenizer, monkeypatch):
    answerer = Answerer(model, tokenizer=tokenizer)
    assert not answerer.copies(QUESTION, Settings())  # not the model that was measured
    assert answerer.copies("Why?", Settings(copy=True))
    answerer.name = "measured"
    monkeypatch.setattr("ironwok.nbce.answerer._COPYING", frozenset({"measured"}))
    assert answerer.copies(QUESTION, Settings())
    assert answerer.copies("How many boats are there?", Settings())
    for settings in (
        Settings(copy=False),
        Settings(temperature=0.5),
        Settings(closer=0),
        Settings(pooling="mean"),
        Settings(route=0.0),
    ):
        assert not answerer.copies(QUESTION, settings)
    assert not answerer.copies("Why does the ferry leave?", Settings())


def test_what_is_copied_is_not_drawn():
    with pytest.raises(InputError, match="chosen, not drawn"):
        Settings(copy=True, temperature=0.7)


def test_many_continuations_of_one_row_equal_one_at_a_time(any_model):
    engine = Engine(any_model)
    rows, following = engine.read([[5, 6, 7, 8]])
    sequences = [[9], [10, 11, 12], *([one, 20] for one in range(30, 50))]
    told = engine.score_each(rows, following, sequences, ends=(2, 13))
    assert len(told) == len(sequences)
    for ids, (log_p, ended) in list(zip(sequences, told, strict=True))[::5]:
        longer, _, whole = engine.score(rows, following, ids)
        assert float(log_p.sum()) == pytest.approx(float(whole[0]), abs=1e-3)
        _, last = engine.extend(rows, ids)
        assert float(ended[-1]) == pytest.approx(float(last[0, [2, 13]].logsumexp(0)), abs=1e-3)
        assert len(longer) == 1
        assert len(log_p) == len(ended) == len(ids)
    assert all(math.isinf(float(one)) for one in engine.score_each(rows, following, [[9, 9]])[0][1])
