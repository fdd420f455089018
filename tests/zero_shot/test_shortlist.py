import numpy as np

from ironwok.results import Span
from ironwok.zero_shot.shortlist import Shortlist, overlaps


def whole(text):
    return [Span(0, len(text), text)]


def test_overlap_counts_characters_pairs_and_words_by_rarity():
    table = overlaps(["中国足球队赢了", "Football tonight"], ["足球类", "篮球类", "football", "basketball"])
    assert table[0, 0] > table[0, 1] > 0
    assert table[0, 2] == table[0, 3] == 0
    assert table[1].tolist() == [0, 0, 1, 0]
    assert (table <= 1).all()


def test_what_all_labels_share_weighs_less_than_what_one_has_alone():
    table = overlaps(["类类类", "足"], ["足类", "篮类", "排类"])
    assert table[1, 0] > table[0, 0]


def test_a_text_counts_by_its_best_window(overlap):
    cut = Shortlist(overlap, size=2, by="overlap")
    text = "天气" + "足球"
    windows = [[Span(0, 2, "天气"), Span(2, 4, "足球")], whole(text)]
    assert cut.choose(windows, ["股票", "足球", "手机", "天气"]).tolist() == [[1, 3], [1, 3]]


def test_embeddings_are_compared_after_what_labels_share_is_taken_away():
    table = {"a": [9.0, 1.0, 0.0], "b": [9.0, 0.0, 1.0], "c": [9.0, -1.0, -1.0], "text": [9.0, 0.1, 2.0]}

    class Vectors:
        def score(self, pairs):
            return np.zeros(len(pairs))

        def embed(self, texts):
            return np.array([table[text] for text in texts])

    assert Shortlist(Vectors(), size=2, by="embedding").choose([whole("text")], ["a", "b", "c"]).tolist() == [[0, 1]]
