"""Labels drawn to unlabelled texts: the vectors, the scorers, the classifier, blanks, and the command."""

from __future__ import annotations

import json
import lzma
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ironwok.cli import language, main
from ironwok.errors import DataError, InputError, LabelError
from ironwok.text.associations import Associations
from ironwok.zero_shot import NSPScorer, ZeroShotClassifier, load_scorer
from ironwok.zero_shot.adapting import adapted, draw_labels, draw_words, named_heap
from ironwok.zero_shot.nsp import AssociationScorer
from ironwok.zero_shot.tasks import Cloze, adapted_to_blanks, fill_blanks

WEATHER = [
    "天空飘着小雨，气温降了五度",
    "暴雨从清晨下到傍晚，河水上涨",
    "台风登陆，沿海大风大雨",
    "明天多云转晴，最高气温三十度",
]
MONEY = [
    "央行下调利率，债券价格上涨",
    "公司三季度净利润同比增长两成",
    "投资者抛售股票，指数下跌",
    "银行贷款余额突破十万亿元",
]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def heap(seed=0, each=60):
    """Texts of two kinds around (1, 0, 0) and (0.5, 0.87, 0): [N, 3], and which kind each is."""
    generator = np.random.default_rng(seed)
    centres = np.array([[1, 0, 0], [0.5, 0.87, 0]])
    kinds = np.arange(2 * each) % 2
    return unit(centres[kinds] + 0.15 * generator.normal(size=(2 * each, 3))).astype(np.float32), kinds


def one_group(texts, labels):
    return [(np.arange(len(texts)), np.arange(len(labels)))]


def test_labels_that_stand_off_are_drawn_to_their_texts():
    texts, kinds = heap()
    angles = np.radians([-25, 30])  # the texts stand at 0 and 60 degrees
    labels = np.stack([np.cos(angles), np.sin(angles), np.zeros(2)], axis=1).astype(np.float32)
    before = ((texts @ labels.T).argmax(axis=1) == kinds).mean()
    drawn = draw_labels(texts, labels, one_group(texts, labels))
    after = ((texts @ drawn.T).argmax(axis=1) == kinds).mean()
    assert before < 0.85
    assert after > 0.94
    # half of a label is what it was
    centres = 2 * drawn - labels
    assert np.linalg.norm(centres, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(drawn, draw_labels(texts, labels, one_group(texts, labels)))


def test_one_round_by_hand(monkeypatch):
    monkeypatch.setattr("ironwok.zero_shot.adapting._ROUNDS", 1)
    texts = np.array([[1, 0], [0, 1]], dtype=np.float32)
    labels = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
    weights = np.exp(20 * np.array([[1, 0.6], [0, 0.8]]))
    found = (weights / weights.sum(axis=1, keepdims=True))[:, 0]  # of each text, to the first label
    learnt = found.sum() / (found.sum() + 2)
    centre = found / np.linalg.norm(found) * learnt + labels[0] * (1 - learnt)
    expected = 0.5 * labels[0] + 0.5 * centre / np.linalg.norm(centre)
    assert draw_labels(texts, labels, one_group(texts, labels))[0] == pytest.approx(expected, abs=1e-5)


def test_what_fits_no_label_draws_none():
    texts, _ = heap()
    strange = np.tile(np.array([[0, 0.05, 1]], dtype=np.float32), (100, 1))
    labels = unit(np.array([[1, 0, 0], [0.17, 0.98, 0]])).astype(np.float32)
    together = np.concatenate([texts, unit(strange)])
    drawn, fitting = (draw_labels(one, labels, one_group(one, labels)) for one in (together, texts))
    assert drawn == pytest.approx(fitting)
    assert draw_labels(together, labels, one_group(together, labels), one_fits=True)[1, 2] > 0.25
    far = draw_labels(together[120:], labels, one_group(together[120:], labels))
    assert far == pytest.approx(labels, abs=1e-6)


def test_a_label_that_no_text_asks_for_stays_where_it_is():
    texts, _ = heap()
    labels = np.eye(3, dtype=np.float32)
    drawn = draw_labels(texts, labels, [(np.arange(len(texts)), np.array([0, 1]))])
    assert drawn[2] == pytest.approx(labels[2])
    assert not np.allclose(drawn[:2], labels[:2], atol=1e-3)
    assert draw_labels(texts[:0], labels, []) == pytest.approx(labels)


@pytest.fixture(scope="module")
def bundled() -> AssociationScorer:
    scorer = load_scorer("associations")
    assert isinstance(scorer, AssociationScorer)
    return scorer


def test_words_without_a_vector_and_texts_without_a_word_take_no_part(bundled):
    table: Associations = bundled.associations
    read = partial(table.read, bundled.tokenize)
    drawn = draw_words(read, read, [*WEATHER, "……"], [("天气", "。", "天气")] * 5)
    assert not drawn["。"].any()
    # alone among its like a label is not drawn to everything
    assert drawn["天气"] == pytest.approx(read(["天气"])[0])


def test_more_texts_than_are_read_are_an_even_choice(bundled, monkeypatch):
    monkeypatch.setattr("ironwok.zero_shot.adapting.MOST_TEXTS", 4)
    read, words = partial(bundled.associations.read, bundled.tokenize), ("天气", "经济")
    mixed = [text for pair in zip(WEATHER, MONEY, strict=True) for text in pair]
    few = draw_words(read, read, mixed, [words] * 8)
    assert few["天气"] == pytest.approx(draw_words(read, read, mixed[::2], [words] * 4)["天气"])


@pytest.fixture
def classifier(bundled):
    return ZeroShotClassifier(scorer=bundled)


def test_the_classifier_that_looked_at_texts_is_another_one_and_surer(classifier):
    labels = {"weather": "天气", "money": "经济"}
    texts, truth = WEATHER + MONEY, ["weather"] * 4 + ["money"] * 4
    plain = classifier.classify(texts, labels=labels)
    looked = classifier.adapted(texts, labels=labels)
    found = looked.classify(texts, labels=labels)
    assert [result.label for result in found] == truth

    def belief(results):
        return np.mean([dict(zip(r.labels, r.scores, strict=True))[t] for r, t in zip(results, truth, strict=True)])

    assert belief(found) > belief(plain)
    assert classifier.classify(texts, labels=labels) == plain
    # other labels are judged as before, also where some are the same
    for others in (["体育", "科技"], ["天气", "体育"], ["天气", "经济", "体育"]):
        assert looked.classify(texts, labels=others) == classifier.classify(texts, labels=others)
    backwards = looked.classify(texts, labels={"money": "经济", "weather": "天气"})
    assert [result.scores for result in backwards] == [pytest.approx(result.scores) for result in found]
    again = looked.adapted(texts, labels=["天气", "体育"])
    assert again.classify(texts, labels=labels) == plain
    # a text's answer does not hang on the others of its call
    assert looked.classify(texts[:1], labels=labels)[0].scores == pytest.approx(found[0].scores)


def test_each_text_may_have_labels_of_its_own(classifier):
    sets = [["天气", "经济"]] * 4 + [["体育", "经济"]] * 4
    looked = classifier.adapted(WEATHER + MONEY, labels=sets)
    found = looked.classify(WEATHER + MONEY, labels=sets)
    assert [result.label for result in found] == ["天气"] * 4 + ["经济"] * 4
    assert found != classifier.classify(WEATHER + MONEY, labels=sets)
    with pytest.raises(InputError, match="2 texts but labels for 8"):
        classifier.adapted(WEATHER[:2], labels=sets)


def test_what_cannot_adapt_says_so(classifier, nsp_scorer, pet_scorer):
    for scorer in (nsp_scorer, pet_scorer):
        with pytest.raises(InputError, match="has no table of words"):
            ZeroShotClassifier(scorer=scorer).adapted(WEATHER, labels=["天气", "经济"])
    with pytest.raises(InputError, match="flat list"):
        classifier.adapted(WEATHER, labels={"新闻": ["天气", "经济"], "体育": None})
    with pytest.raises(InputError, match="text 0 is empty"):
        classifier.adapted(["", *WEATHER], labels=["天气", "经济"])
    with pytest.raises(InputError, match="no texts that labels could adapt to"):
        classifier.adapted([], labels=["天气", "经济"])
    with pytest.raises(LabelError, match="one label"):
        classifier.adapted(WEATHER, labels=["天气"])
    looked = classifier.adapted(WEATHER + MONEY, labels=["天气", "经济"])
    with pytest.raises(InputError, match="leave multi_label out"):
        looked.classify(WEATHER, labels=["天气", "经济"], multi_label=True)


def test_beside_the_head_the_drawn_labels_count_in_the_same_way(bundled):
    scorer = load_scorer("nsp")
    assert isinstance(scorer, NSPScorer)
    words = [("天气", "经济")] * 8
    both, alone = (adapted(one, WEATHER + MONEY, words) for one in (scorer, bundled))
    texts, labels = WEATHER[:2], ["天气", "经济"]
    near = both.nearness(texts, labels)
    assert near == pytest.approx(alone.nearness(texts, labels))
    assert not np.allclose(near, scorer.nearness(texts, labels), atol=1e-3)
    assert both.encoder is scorer.encoder
    assert not scorer.drawn


def test_a_call_may_bound_its_batches(monkeypatch):
    classifier = ZeroShotClassifier()
    looked = classifier.adapted(WEATHER + MONEY, labels=["天气", "经济"])
    sizes = []
    score = NSPScorer.score

    def watched(self, pairs, **named):
        sizes.append((self.batch_size, self.drawn is not None))
        return score(self, pairs, **named)

    monkeypatch.setattr(NSPScorer, "score", watched)
    looked(WEATHER[0], candidate_labels=["天气", "经济"], batch_size=3)
    looked(WEATHER[0], candidate_labels=["天气", "体育"], batch_size=2)
    looked(WEATHER[0], candidate_labels=["天气", "经济"])
    assert sizes == [(3, True), (2, False), (64, True)]


def test_candidates_of_blanks_adapt_too(bundled):
    blanks = [Cloze(f"{text}，真是____", ("风雨交加", "财源广进")) for text in WEATHER + MONEY]
    looked = adapted_to_blanks(bundled, blanks)
    assert set(looked.drawn_to_blanks) == {"风雨交加", "财源广进"}
    found = [ranking.best.name for ranking in fill_blanks(looked, blanks)]
    assert found == ["风雨交加"] * 4 + ["财源广进"] * 4
    before, after = (fill_blanks(one, blanks[:1])[0].best.score for one in (bundled, looked))
    assert before != after
    unknown = replace(blanks[0], candidates=("。", "，"))
    assert fill_blanks(adapted_to_blanks(bundled, [unknown]), [unknown])[0].best.score == 0.5


def test_a_heap_is_named_by_its_texts_and_their_order():
    names = {named_heap(texts) for texts in (["ab", "c"], ["a", "bc"], ["bc", "a"], ["\ud800", "c"], ["\ud801", "c"])}
    assert len(names) == 5
    assert all(name.startswith("2 texts, ") for name in names)


@pytest.fixture
def run(monkeypatch, capsys):
    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setenv("LC_ALL", "C")

    def go(*arguments):
        code = main(["classify", *map(str, arguments), "--labels", "天气,经济", "--scorer", "associations"])
        captured = capsys.readouterr()
        return code, captured.out, " ".join(captured.err.split())

    return go


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(WEATHER + MONEY), encoding="utf-8")
    return file


def test_the_command_looks_at_a_file_first(run, file, classifier):
    code, out, err = run(file, "--adapt", file)
    assert code == 0
    assert "labels adapted to the texts of" in err
    assert "(8); some hundreds are needed" in err
    found = [json.loads(line) for line in out.splitlines()]
    looked = classifier.adapted(WEATHER + MONEY, labels=["天气", "经济"])
    for record, result in zip(found, looked.classify(WEATHER + MONEY, labels=["天气", "经济"]), strict=True):
        assert record["label"] == result.label
        assert record["scores"] == pytest.approx(list(result.scores))


def test_results_that_adapted_are_not_mixed_with_others(run, file, tmp_path):
    out, other = tmp_path / "out.jsonl", tmp_path / "other.txt"
    other.write_text("\n".join(MONEY), encoding="utf-8")
    assert run(file, "--adapt", file, "--out", out)[0] == 0
    assert run(file, "--adapt", file, "--out", out, "--resume")[0] == 0
    for asked in (("--adapt", other), ()):
        code, _, err = run(file, *asked, "--out", out, "--resume")
        assert code != 0
        assert "adapt" in err


def test_neither_texts_are_written_over(run, file, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n".join(MONEY), encoding="utf-8")
    code, _, err = run(file, "--adapt", other, "--out", other, "--overwrite")
    assert code != 0
    assert "which --adapt reads" in err
    assert other.read_text(encoding="utf-8").splitlines() == MONEY


def test_a_field_is_named_for_the_file_that_has_fields(run, file, tmp_path):
    records = tmp_path / "records.jsonl"
    records.write_text("".join(json.dumps({"body": text}) + "\n" for text in WEATHER + MONEY), encoding="utf-8")
    plain = run(file, "--adapt", file)[1]
    code, out, _ = run(file, "--adapt", records, "--text-field", "body")
    assert (code, out) == (0, plain)
    code, out, _ = run(records, "--adapt", file, "--text-field", "body")
    assert code == 0
    assert [json.loads(line)["scores"] for line in out.splitlines()] == [
        json.loads(line)["scores"] for line in plain.splitlines()
    ]
    assert run(file, "--adapt", file, "--text-field", "body")[0] != 0


def test_what_can_be_read_only_once_is_refused(run, file, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for asked in ((pipe,), (file, "--adapt", pipe)):
        code, out, err = run(*asked)
        assert code != 0
        assert not out
        assert "pipe is no ordinary file" in err


def test_what_the_command_cannot_do(run, file, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n", encoding="utf-8")
    for asked, said in (
        (("--adapt", empty), "has no text to look at"),
        (("--adapt", "-"), "name a file instead of -"),
        (("--adapt", file, "--multi-label"), "leave --multi-label out"),
        (("--adapt", file, "--engine", "ray", "--out", tmp_path / "parts"), "leave --engine ray out"),
        (("--adapt", tmp_path / "none.txt"), "does not exist"),
    ):
        code, out, err = run(file, *asked)
        assert code != 0
        assert not out
        assert said in err


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))


def packed(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def test_the_benchmark_of_fewclue_reads_texts_and_no_labels(bundled, benchmarks, tmp_path):
    import _fewclue

    rows = [{"sentence": text, "label_desc": "news_finance"} for text in MONEY]
    rows += [{"sentence": "主队获胜，晋级决赛", "label_desc": "news_sports"}]
    packed(tmp_path / "tnews" / "dev.jsonl.xz", rows)
    packed(tmp_path / "tnews" / "unlabeled.jsonl.xz", [{"sentence": text} for text in (*MONEY, *WEATHER, " ")])
    task = _fewclue.load_task(tmp_path, "tnews", "dev")
    asked = _fewclue.Options(adapt=tmp_path, adapt_to=("unlabeled",))
    assert _fewclue.evaluate(task, bundled, asked).accuracy == 100
    with pytest.raises(InputError, match="has no table of words"):
        _fewclue.evaluate(task, _fewclue.TokenOverlap(), asked)
    with pytest.raises(DataError, match="has none of other"):
        _fewclue.evaluate(task, bundled, _fewclue.Options(adapt=tmp_path, adapt_to=("other",)))
    blank = [
        {"content": f"{text}，真是#idiom#", "candidates": ["风雨交加", "财源广进"], "answer": 0} for text in WEATHER
    ]
    packed(tmp_path / "chid" / "dev.jsonl.xz", blank)
    packed(tmp_path / "chid" / "unlabeled.jsonl.xz", [*blank, blank[0] | {"content": "没有空"}])
    found = _fewclue.evaluate(_fewclue.load_task(tmp_path, "chid", "dev"), bundled, asked)
    assert found.accuracy == 100


def test_the_benchmark_counts_texts_that_are_not_judged(bundled, benchmarks, tmp_path, monkeypatch, capsys):
    import adapting

    name, label = "smp2019_nlu.jsonl.xz", "domain"
    rows = [
        {"text": f"{text}{n}", label: kind}
        for n in range(40)
        for kind, text in (("weather", "下雨吗"), ("bus", "公交车"))
    ]
    packed(
        tmp_path / "labelled" / "single" / name,
        [*rows, {"text": "不算", label: "nothing"}, {"text": " ", label: "bus"}],
    )
    monkeypatch.setattr(adapting, "WORDS", {"smp2019-words": name})
    monkeypatch.setattr(adapting, "FROM_RECIPE", ())
    monkeypatch.setattr("sys.argv", ["adapting.py", "--data", str(tmp_path), "--judged", "40", "--draws", "2"])
    assert adapting.main() == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["sets"]["smp2019"]
    assert (found["labels"], found["judged"], found["all others"][0]) == (29, 40, 40)
    assert set(found) >= {"as they are", "30", "themselves", "KMeans"}
    assert "100" not in found
    assert found["as they are"] == found["all others"][1] == 100
