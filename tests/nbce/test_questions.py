"""What a question asks for, by its words, and what can answer it."""

from __future__ import annotations

import pytest

from ironwok.nbce.questions import asks_for_words, expected, fits, may_answer, tells


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Who owns the boat?", True),
        ("how many boats are there", True),
        ("On which day does it rest?", True),
        ("Why does the ferry leave?", False),
        ("Does it sail on Sundays?", False),
        ("How does it work?", False),
        ("渡轮几点开？", False),
    ],
)
def test_which_questions_a_few_words_answer(question, words):
    assert asks_for_words(question) is words


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many boats are there?", "number"),
        ("For how long does it rest?", "number"),
        ("What percentage of the crew is new?", "number"),
        ("What is the exact number of seats?", "number"),
        ("When does it sail?", "time"),
        ("Since when does it sail?", "time"),
        ("In what year was it built?", "time"),
        ("In which of the years did it rest?", "time"),
        ("Who owns it?", "name"),
        ("Where does it land?", "name"),
        ("Who paints the boats when they rest?", "name"),
        ("What happens when it lands?", "other"),
        ("What is a year plan?", "other"),
        ("Which colour has it?", "other"),
    ],
)
def test_what_is_expected(question, kind):
    assert expected(question) == kind


@pytest.mark.parametrize(
    ("stretch", "question", "suits"),
    [
        ("forty boats", "How many boats are there?", True),
        ("the boats of the north", "How many boats are there?", False),
        ("about 3%", "What percentage sails?", True),
        ("twice", "How often does it sail?", True),
        ("the night before Easter", "When does it sail?", True),
        ("May 3", "When does it sail?", True),
        ("at seven", "When does it sail?", True),
        ("the old pier", "When does it sail?", False),
        ("1946", "Who owned it?", False),
        ("May 1946", "Where was it?", False),
        ("May Parker", "Who owned it?", True),
        ("1946", "What did the owner do?", False),
        ("1946 and 1951", "Which ports did it serve?", False),
        ("1946", "What time was that?", True),
        ("1946", "In which year was that?", True),
        ("400", "What is its weight?", True),
        ("north of 1946", "Which ports did it serve?", True),
        ("一九四六年", "谁拥有它？", True),
    ],
)
def test_what_suits_a_question(stretch, question, suits):
    assert fits(stretch, question) is suits


@pytest.mark.parametrize(
    ("stretch", "question", "more"),
    [
        ("the Saxon Garden", "What is the Saxon Garden in Polish?", False),
        ("Ogród Saski", "What is the Saxon Garden in Polish?", True),
        ("encoding", "How can graphs be encoded?", False),
        ("the Luther Bible", "What work of Luther's became popular?", True),
        ("of the", "When does it sail?", False),
        ("i", "What is it?", False),
        ("X", "Which dock is it?", True),
        ("7", "When does the number 17 sail?", True),
        ("blue", "Is it red or blue?", True),
        ("北港", "北港开往哪里？", False),
        ("北。港", "北港开往哪里？", False),  # marks say nothing
        ("林岛", "北港开往哪里？", True),
        ("的林", "北港的船开往哪里？", True),
        ("周日", "周六还是周日停航？", True),
        ("---", "What?", False),
    ],
)
def test_what_only_says_the_question_again_is_told_apart(stretch, question, more):
    assert tells(stretch, question) is more


def test_an_answer_is_new_and_of_the_kind_asked_for():
    assert may_answer("seven", "How many boats are there?")
    assert not may_answer("boats", "How many boats are there?")
    assert not may_answer("piers", "How many boats are there?")
    assert not may_answer("the boats can", "What do the boats do?")
    assert not may_answer("leave the pier at the", "What do the boats do?")
    assert may_answer("leave the pier", "What do the boats do?")
    assert may_answer("in May", "When do the boats leave?")
