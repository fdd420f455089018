"""The head for blanks: what it reads around one, what it computes, what its file holds, and how scorers use it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ironwok.errors import CheckpointError
from ironwok.text.associations import Associations
from ironwok.zero_shot import load_scorer
from ironwok.zero_shot.blanks import BUCKETS, CLOSE, FILE, REACH, BlankHead, Blanks, Shape, around, near_by
from ironwok.zero_shot.nsp import AssociationScorer
from ironwok.zero_shot.pairs import Pair, Prompt
from ironwok.zero_shot.tasks import Cloze, adapted_to_blanks, fill_blanks

LETTERS = "abcdefgh"
SHAPE = Shape(project=5, hidden=9, close=3, own=4, word=7)
WIDTH = 6


def letters(texts):
    return [[LETTERS.index(letter) for letter in text] for text in texts]


def key(word: str) -> int:
    found = 0
    for letter in word:
        found = found * len(LETTERS) + LETTERS.index(letter)
    return found


@pytest.fixture(scope="module")
def table() -> Associations:
    """Letters, the pairs "ab" and "gh", no triples, the four "abab"; h alone tells nothing."""
    generator = np.random.default_rng(0)
    vectors = generator.integers(-100, 100, size=(len(LETTERS) + 3, WIDTH)).astype(np.int8)
    weights = np.full(len(vectors), 0.01, dtype=np.float32)
    weights[7] = 0
    fours = np.array([key("abab")])
    return Associations(
        vectors, weights, np.array([key("ab"), key("gh")]), np.zeros(WIDTH, np.float32), len(LETTERS), fours=fours
    )


@pytest.fixture(scope="module")
def blanks(table) -> Blanks:
    torch.manual_seed(0)
    head = BlankHead(inputs=WIDTH, tokens=len(LETTERS), runs=3, shape=SHAPE).eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    with torch.no_grad():
        head.own.weight[-1] = 0
        head.close.weight[0] = 0
    return Blanks(head, table, letters, share=0.7, weight=3.0, offset=0.1)


def test_tokens_around_a_blank_are_counted_from_it():
    near = near_by([[1, 2, 3], []], [[4, 5], [6]])
    assert near.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert near.owners.tolist() == [0, 0, 0, 0, 0, 1]
    assert near.behind.tolist() == [False, False, False, True, True, True]
    assert near.distances.tolist() == [3, 2, 1, 1, 2, 1]
    long = near_by([range(100)], [range(100)])
    assert long.ids.tolist() == [*range(100 - REACH, 100), *range(REACH)]
    assert (long.distances.min(), long.distances.max()) == (1, REACH)
    assert len(near_by([], []).ids) == 0


def test_a_words_distance_is_that_of_its_nearest_token_and_none_goes_over_the_blank(table):
    # "g" before and "h" behind are no "gh"
    near = near_by(letters(["cababg"]), letters(["hgh"]))
    found = {(int(unit), bool(behind)): int(far) for unit, _, behind, far in zip(*near.units(table), strict=True)}
    pair, other, four = len(LETTERS), len(LETTERS) + 1, len(LETTERS) + 2
    assert found[four, False] == 2
    assert found[pair, False] == 2  # the second one of both
    assert found[other, True] == 2
    assert found[6, False] == 1
    assert found[7, True] == 3  # the last one seen
    assert sum(unit == other for unit, _ in found) == 1


def bucket(distance: int) -> int:
    return sum(distance > border for border in (1, 2, 3, 5, 9, 20))


def test_sums_by_distance_are_those_of_loops_over_units(table):
    befores, behinds = letters(["abcdefgabcdefgabcdefgabab", ""]), letters(["ghcde", "aab"])
    near = near_by(befores, behinds)
    seen = around(table, near, 2)
    vectors = torch.from_numpy(table.vectors * table.weights[:, None])
    faded, plain = (one.numpy() for one in seen.sums(vectors))
    wanted = np.zeros((2, 2, BUCKETS, WIDTH))
    for unit, owner, behind, distance in zip(*near.units(table), strict=True):
        place = bucket(distance) + BUCKETS // 2 * behind
        vector = table.vectors[unit] * float(table.weights[unit])
        wanted[0, owner, place] += np.exp(-distance / 10) * vector
        wanted[1, owner, place] += vector
    assert faded == pytest.approx(wanted[0], abs=1e-5)
    assert plain == pytest.approx(wanted[1], abs=1e-5)
    # nearest first, on either side; 0 where there is none
    assert seen.close[0].tolist() == [1 + one for one in letters(["baba" + "ghcd"])[0]]
    assert seen.close[1].tolist() == [0] * CLOSE + [1, 1, 2, 0]


def test_units_that_are_left_out_are_not_seen(table):
    near = near_by(letters(["abc"]), letters(["d"]))
    units, *_ = near.units(table)
    seen = around(table, near, 1, left_out=units == 2)
    assert sorted(seen.units.tolist()) == [0, 1, 3, len(LETTERS)]


def test_an_untrained_head_says_what_the_table_says(table):
    torch.manual_seed(0)
    head = BlankHead(inputs=WIDTH, tokens=len(LETTERS), runs=3, shape=SHAPE).eval()
    fresh = Blanks(head, table, letters, share=1.0, weight=1.0, offset=0.0)
    sides, names = [("cba", "ghc"), ("c", "dd")], ["ab", "e", "abcd"]
    for share in (0.0, 0.3, 1.0):
        tried = replace(fresh, share=share)
        products = tried.contexts(sides) @ tried.words(names).T
        assert products == pytest.approx(table.read(letters, sides) @ table.read(letters, names).T, abs=1e-5)
    assert fresh.words(names)[:, :WIDTH] == pytest.approx(table.read(letters, names), abs=1e-5)


def test_blanks_and_words_do_not_depend_on_their_company(blanks):
    sides = [("abc", "d"), ("", "abab"), ("h", ""), ("a" * 60, "g" * 60), ("gh", "ba")]
    together = blanks.contexts(sides)
    alone = np.concatenate([blanks.contexts([one]) for one in sides])
    assert alone == pytest.approx(together, abs=1e-5)
    lengths = np.linalg.norm(together, axis=1)
    assert lengths == pytest.approx([1, 1, 0, 1, 1], abs=1e-5)  # h alone tells nothing
    names = ["ab", "abab", "abc", "a", "h", ""]
    words = blanks.words(names)
    assert np.concatenate([blanks.words([name]) for name in names]) == pytest.approx(words, abs=1e-5)
    assert np.linalg.norm(words, axis=1) == pytest.approx([1, 1, 1, 1, 0, 0], abs=1e-5)
    assert blanks.contexts([]).shape == (0, 2 * WIDTH)
    assert blanks.words([]).shape == (0, 2 * WIDTH)


def test_a_word_of_the_table_has_something_of_its_own(blanks, table):
    own = [blanks._own(np.array(row)) for row in letters(["ab", "gh", "abab", "ba", "aba", "a", "ababa", ""])]
    assert own == [0, 1, 2, 3, 3, 3, 3, 3]
    with torch.no_grad():
        head = blanks.head
        vector = torch.from_numpy(table.vectors_of(letters(["abab"])))
        wanted = vector + head.spread[1].weight @ head.own.weight[2] + head.turn(vector * 4)
    wanted = torch.cat([0.7**0.5 * wanted / wanted.norm(), 0.3**0.5 * vector], dim=1)
    assert blanks.words(["abab"])[0] == pytest.approx(wanted[0].numpy(), abs=1e-5)


def test_log_odds_are_products_and_nothing_where_nothing_is_known(blanks):
    sides = [("abc", "d"), ("abc", "d"), ("h", ""), ("abc", "d")]
    found = blanks.judge(sides, ["ab", "e", "ab", "h"])
    product = blanks.contexts(sides[:1]) @ blanks.words(["ab", "e"]).T
    assert found[:2] == pytest.approx((product[0] - 0.1) * 3, abs=1e-5)
    assert found[2:].tolist() == [0, 0]
    drawn = blanks.judge(sides, ["ab", "e", "ab", "h"], drawn={"ab": np.full(2 * WIDTH, 2.0, np.float32)})
    assert drawn[0] == pytest.approx((2 * float(blanks.contexts(sides[:1]).sum()) - 0.1) * 3, abs=1e-4)
    assert drawn[1:] == pytest.approx(found[1:])


def test_a_head_is_kept_with_the_table_it_was_trained_with(blanks, table, tmp_path):
    assert Blanks.load(tmp_path, table, letters) is None
    blanks.save(tmp_path)
    again = Blanks.load(tmp_path, table, letters)
    assert again is not None
    assert (again.share, again.weight, again.offset) == (0.7, 3.0, 0.1)
    sides, names = [("abc", "d"), ("ab", "gh")], ["ab", "abab"]
    assert again.judge(sides, names) == pytest.approx(blanks.judge(sides, names), abs=0.05)  # 16 and 8 bits
    other = replace(table, weights=table.weights * 2)
    with pytest.raises(CheckpointError, match="trained with another table"):
        Blanks.load(tmp_path, other, letters)
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read as a head for blanks"):
        Blanks.load(tmp_path, table, letters)


@pytest.fixture(scope="module")
def scorer(table, blanks) -> AssociationScorer:
    made = AssociationScorer(replace(table, weight=5.0, offset=0.2), letters)
    made.load_blanks = lambda: blanks
    return made


def test_a_scorer_asks_the_head_about_blanks_and_the_table_about_texts(scorer, blanks, table):
    pairs = [
        Pair("abc", Prompt("", "ab", "c"), told=("ab", "c")),
        Pair("abc", Prompt("", "ab", "c")),
        Pair("abc", Prompt("", "e", ""), told=("ab", "c")),
    ]
    found = scorer.score(pairs)
    assert found[[0, 2]] == pytest.approx(blanks.judge([("ab", "c")] * 2, ["ab", "e"]))
    near = table.affinities(letters, ["abc"], ["ab"], np.array([0]), np.array([0]))
    assert found[1] == pytest.approx((near[0] - 0.2) * 5)
    without = AssociationScorer(replace(table, weight=5.0, offset=0.2), letters)
    near = table.affinities(letters, [("ab", "c")], ["ab"], np.array([0]), np.array([0]))
    assert without.score(pairs[:1])[0] == pytest.approx((near[0] - 0.2) * 5)


def test_words_adapt_to_blanks_among_the_heads_vectors(scorer, blanks):
    items = [Cloze(f"{before}_{behind}", ("ab", "e"), blank="_") for before, behind in (("abc", "d"), ("gg", "fa"))]
    adapted = adapted_to_blanks(scorer, items)
    assert isinstance(adapted, AssociationScorer)
    assert adapted.drawn is None
    assert set(adapted.drawn_to_blanks or {}) == {"ab", "e"}
    assert scorer.drawn_to_blanks is None
    found, plain = (
        [{one.name: one.score for one in ranking.candidates} for ranking in fill_blanks(asked, items)]
        for asked in (adapted, scorer)
    )
    assert abs(found[0]["ab"] - plain[0]["ab"]) > 1e-3
    wanted = blanks.judge([("abc", "d")] * 2, ["ab", "e"], drawn=adapted.drawn_to_blanks)
    shares = np.exp(wanted) / np.exp(wanted).sum()
    assert [found[0]["ab"], found[0]["e"]] == pytest.approx(shares, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("比赛最后一分钟，主队____，最终以二比一获胜。", ("反败为胜", "画蛇添足", "春暖花开", "井井有条")),
        ("他把房间收拾得____，连书都按大小排好。", ("井井有条", "反败为胜", "一败涂地", "春暖花开")),
        ("请大家____参加明天的会议。", ("准时", "美味", "蓝色", "距离")),
        ("医生建议他每天____半小时。", ("锻炼", "下雨", "发行", "贬值")),
    ],
)
def test_the_shipped_head_fills_plain_blanks(text, candidates):
    scorer = load_scorer("associations")
    assert isinstance(scorer, AssociationScorer)
    assert scorer.blanks is not None
    ranking = fill_blanks(scorer, [Cloze(text, candidates)])[0]
    assert ranking.best.name == candidates[0]
