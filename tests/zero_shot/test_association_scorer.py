"""The table of words that keep company beside the next-sentence head, alone, and as a first cut of labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ironwok.errors import CheckpointError, InputError, LongTextWarning, MissingHeadError
from ironwok.results import Span
from ironwok.text.associations import FILE, Associations
from ironwok.zero_shot import NSPScorer, Pair, Prompt, ScorerOptions, ZeroShotClassifier, load_scorer
from ironwok.zero_shot.nsp import AssociationScorer
from ironwok.zero_shot.shortlist import Shortlist
from ironwok.zero_shot.tasks import Cloze, fill_blanks, judge_keywords

UNCHECKED = ScorerOptions(on_self_check="skip", device="cpu")
# of characters that the tokenizer knows
SIDES = {"天": (1, 0), "气": (1, 0), "雨": (0.9, 0.1), "学": (0, 1), "生": (0, 1), "书": (0.1, 0.9)}


@pytest.fixture(scope="module")
def table(tokenizer) -> Associations:
    vectors, weights = np.zeros((len(tokenizer), 2), dtype=np.int8), np.zeros(len(tokenizer), dtype=np.float32)
    for character, side in SIDES.items():
        number = tokenizer.convert_tokens_to_ids(character)
        assert number != tokenizer.unk_token_id
        vectors[number] = np.array(side) * 100
        weights[number] = 0.01
    return Associations(
        vectors, weights, np.zeros(0, np.int64), np.zeros(2, np.float32), len(tokenizer), 0.5, 4.0, 0.25
    )


@pytest.fixture(scope="module")
def folder(nsp_model, tokenizer, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("associated")
    nsp_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    table.save(folder)
    return folder


PAIRS = [
    Pair("雨", Prompt("这是", "天气", "新闻")),
    Pair("书", Prompt("这是", "天气", "新闻")),
    Pair("书", Prompt("", "学生", "")),
    Pair("？", Prompt("", "学生", "")),  # no word of the table
    Pair("雨", Prompt("天气", "？", "")),  # the label alone counts
]


def test_a_table_that_was_never_fitted_judges_alone_and_adds_nothing(table, tokenizer, folder, nsp_scorer):
    unfitted = replace(table, head=1.0, weight=0.0, offset=0.0)
    alone = AssociationScorer(unfitted, lambda texts: tokenizer(list(texts), add_special_tokens=False)["input_ids"])
    scores = alone.score(PAIRS)
    assert scores[0] > scores[1] > 0
    beside = load_scorer("nsp", str(folder), UNCHECKED)
    beside.associations = unfitted
    assert beside.score(PAIRS) == pytest.approx(nsp_scorer.score(PAIRS), abs=1e-6)


def test_what_lies_near_is_added_to_the_log_odds(folder, nsp_scorer):
    scorer = load_scorer("nsp", str(folder), UNCHECKED)
    added = scorer.score(PAIRS) - 0.5 * nsp_scorer.score(PAIRS)
    near = 0.9 / np.hypot(0.9, 0.1)
    far = 0.1 / np.hypot(0.9, 0.1)
    assert added == pytest.approx([4 * (near - 0.25), 4 * (far - 0.25), 4 * (near - 0.25), 0, 0], abs=1e-4)
    without = load_scorer("nsp", str(folder), ScorerOptions(on_self_check="skip", device="cpu", associations=False))
    assert without.score(PAIRS) == pytest.approx(nsp_scorer.score(PAIRS), abs=1e-6)


def test_the_table_alone_is_a_scorer(folder, nsp_scorer):
    alone = load_scorer("associations", str(folder), UNCHECKED)
    assert isinstance(alone, AssociationScorer)
    helped = load_scorer("nsp", str(folder), UNCHECKED)
    assert alone.score(PAIRS) == pytest.approx(helped.score(PAIRS) - 0.5 * nsp_scorer.score(PAIRS), abs=1e-4)
    results = ZeroShotClassifier(scorer=alone).classify(["雨", "书"], labels=["天气", "学生"])
    assert [result.label for result in results] == ["天气", "学生"]


def test_labels_are_cut_by_the_table_without_reading(folder, nsp_scorer):
    scorer = load_scorer("nsp", str(folder), UNCHECKED)
    assert isinstance(scorer, NSPScorer)
    cut = Shortlist(scorer, size=2)
    assert cut.by == "associations"
    scorer.embed = None  # pyright: ignore[reportAttributeAccessIssue]  # nobody may ask for it
    windows = [[Span(0, 1, "雨")], [Span(0, 1, "书")]]
    assert cut.choose(windows, ["学生", "天气", "天", "学"]).tolist() == [[1, 2], [0, 3]]
    assert Shortlist(nsp_scorer, size=2).by == "both"
    with pytest.raises(InputError, match="brings no table"):
        Shortlist(nsp_scorer, size=2, by="associations")


def test_a_model_without_a_table_and_one_with_a_broken_table(nsp_folder, folder, tmp_path):
    with pytest.raises(MissingHeadError, match="brings no table of words"):
        load_scorer("associations", str(nsp_folder), UNCHECKED)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / FILE).write_bytes(b"no table")
    with pytest.raises(CheckpointError, match="cannot be read as a table"):
        load_scorer("nsp", str(tmp_path), UNCHECKED)


def test_the_bundled_model_brings_a_table_that_was_fitted():
    scorer = load_scorer("associations")
    assert isinstance(scorer, AssociationScorer)
    assert scorer.associations.weight > 0
    results = ZeroShotClassifier(scorer=scorer).classify(
        ["央行下调存款准备金率", "国足主场两球取胜"], labels=["财经", "体育"]
    )
    assert [result.label for result in results] == ["财经", "体育"]


def test_a_text_that_is_cut_for_the_encoder_is_read_whole_by_the_table(folder, nsp_scorer):
    scorer = load_scorer("nsp", str(folder), UNCHECKED)
    assert isinstance(scorer, NSPScorer)
    text = "雨" + "？" * 70 + "书书书书"
    asked: list[Pair] = []
    score = scorer.score

    def watched(pairs, **named):
        asked.extend(pairs)
        return score(pairs, **named)

    scorer.score = watched  # pyright: ignore[reportAttributeAccessIssue]
    classifier = ZeroShotClassifier(scorer=scorer)
    with pytest.warns(LongTextWarning):
        classifier.classify([text], labels=["天气", "学生"], overflow="truncate")
    assert {pair.told for pair in asked} == {text}
    assert all(len(pair.text) < len(text) for pair in asked)
    scorer.associations = replace(scorer.associations, head=0.0)
    with pytest.warns(LongTextWarning):
        (result,) = classifier.classify([text], labels=["天气", "学生"], overflow="truncate")
    assert result.label == "学生"
    asked.clear()
    with pytest.warns(LongTextWarning):
        classifier.classify([text], labels=["天气", "学生"])  # in windows, each for itself
    assert {pair.told for pair in asked} == {None}


def test_a_blank_is_filled_by_what_stands_next_to_it(folder):
    scorer = load_scorer("associations", str(folder), UNCHECKED)
    # far from the blank books, beside it rain; the clause of the blank is read, too
    item = Cloze("书学书学。" + "？" * 30 + "雨____？？。", ("天气", "学生"))
    (ranking,) = fill_blanks(scorer, [item])
    assert ranking.best.name == "天气"
    item = Cloze("雨雨雨雨。" + "？" * 30 + "书____？？。", ("天气", "学生"))
    (ranking,) = fill_blanks(scorer, [item])
    assert ranking.best.name == "学生"


def test_keywords_that_go_with_any_text_are_not_this_ones(folder, table_scorer):
    scorer = load_scorer("associations", str(folder), UNCHECKED)
    assert isinstance(scorer, AssociationScorer)
    texts = ["雨天", "雨天", "雨天"]
    keywords = [["天气"], ["天气", "？"], ["天"]]  # the question mark tells nothing, one character less than two
    told = scorer.telling(["天气", "？", "天"])
    assert told[0] > told[2] > told[1] == 0
    results = judge_keywords(scorer, texts, keywords, prior=[1, 2])
    assert [result.label for result in results] == ["true", "false", "false"]
    assert judge_keywords(scorer, [], []) == []
    # a scorer without a table judges as before
    plain = judge_keywords(table_scorer({("雨天", "天"): 3.0}), texts, keywords, prior=[1, 2])
    assert [result.label for result in plain] == ["false", "false", "true"]
