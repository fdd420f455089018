"""Users' files as examples: formats, encodings, names of fields, and everything that can be wrong with them."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from tuning_samples import records, train_tiny, write

from ironwok.errors import DataError, DataWarning, InputError, TextTooLongError
from ironwok.results import Span
from ironwok.students.tuned.examples import ChoiceExample, PairExample, ReadingExample, TextExample
from ironwok.students.tuned.network import Marked, best_place
from ironwok.students.tuned.rows import PassageWindow, encode
from ironwok.text.tokenizer import load_tokenizer
from ironwok.training.tuning.data import hold_out, read_corpus, read_examples
from ironwok.training.tuning.examples import Batches, right_places
from ironwok.training.tuning.fields import Fields
from ironwok.training.tuning.judge import answer_f1, judge_classes, judge_marks
from ironwok.zero_shot.encoding import PairEncoder


def examples_of(path: Path, task: str, named: dict[str, str] | None = None, **options):
    problems = []
    found = [one for _, one in read_examples(path, Fields(task, named, **options), on_problem=problems.append)]
    return found, problems


# -- formats


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_tables_in_any_encoding(tmp_path, encoding):
    path = tmp_path / "data.csv"
    path.write_text('label,text\n好,"这家店的菜，真是好吃极了"\n差,服务员的态度非常不好\n', encoding=encoding)
    found, problems = examples_of(path, "classify")
    assert found == [TextExample("这家店的菜，真是好吃极了", "好"), TextExample("服务员的态度非常不好", "差")]
    assert not problems


def test_a_header_is_known_by_its_names_and_a_table_without_one_by_its_columns(tmp_path):
    # short sentences under long names: nothing but the names tells that this is a header
    path = tmp_path / "pairs.tsv"
    path.write_text("sentence1\tsentence2\tlabel\n几点\t何时\t同\n几点\t哪里\t异\n", encoding="utf-8")
    assert examples_of(path, "pairs")[0] == [PairExample("几点", "何时", "同"), PairExample("几点", "哪里", "异")]
    path.write_text("几点开门\t何时开门\t1\n几点开门\t在哪里呢\t0\n", encoding="utf-8")
    found, problems = examples_of(path, "pairs")
    assert not found
    assert "--field a=NAME" in problems[0].reason
    named = {"a": "column 1", "b": "column 2", "label": "column 3"}
    assert [one.label for one in examples_of(path, "pairs", named)[0]] == ["1", "0"]


def test_records_packed_and_in_an_array(tmp_path):
    listed = [{"sentence": "一", "label": 1}, {"sentence": "二", "label": 0}]
    packed = tmp_path / "data.jsonl.xz"
    packed.write_bytes(lzma.compress("".join(json.dumps(one) + "\n" for one in listed).encode()))
    array = tmp_path / "data.json"
    array.write_text(json.dumps(listed), encoding="utf-8")
    for path in (packed, array):
        assert examples_of(path, "classify")[0] == [TextExample("一", "1"), TextExample("二", "0")]


def test_fields_by_other_names(tmp_path):
    path = write(tmp_path / "data.jsonl", [{"text": "不是它", "正身": "是它", "标": {"类": "甲"}}])
    assert examples_of(path, "classify", {"text": "正身", "label": "标.类"})[0] == [TextExample("是它", "甲")]
    new = write(tmp_path / "new.jsonl", [{"正身": "是它"}])
    assert examples_of(new, "classify", {"text": "正身", "label": "标.类"}, gold=False)[0] == [TextExample("是它")]
    with pytest.raises(InputError, match=r"no part 'lable' .did you mean 'label'"):
        Fields("classify", {"lable": "x"})


def test_questions_as_others_publish_them(tmp_path):
    context = "长城在北方。"
    squad = tmp_path / "squad.json"
    questions = [
        {"question": "长城在哪？", "answers": [{"text": "北方", "answer_start": 3}], "id": "1"},
        {"question": "多长？", "answers": [], "is_impossible": True, "id": "2"},
    ]
    squad.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": questions}]}]}), encoding="utf-8")
    place = Span(3, 5, "北方")
    assert examples_of(squad, "reading")[0] == [
        ReadingExample(context, "长城在哪？", (place,)),
        ReadingExample(context, "多长？", ()),
    ]
    old = tmp_path / "cmrc.json"
    old.write_text(
        json.dumps([{"context_text": context, "qas": [{"query_text": "在哪？", "answers": ["北方", "北方"]}]}]),
        encoding="utf-8",
    )
    assert examples_of(old, "reading")[0] == [ReadingExample(context, "在哪？", (place,))]
    flat = write(
        tmp_path / "flat.jsonl",
        [{"context": context, "question": "在哪？", "answers": {"text": ["北方"], "answer_start": [3]}}],
    )
    assert examples_of(flat, "reading")[0] == [ReadingExample(context, "在哪？", (place,))]
    c3 = tmp_path / "c3.json"
    c3.write_text(
        json.dumps(
            [[["男：走吧。", "女：好。"], [{"question": "谁先说？", "choice": ["女", "男"], "answer": "男"}], "1"]]
        ),
        encoding="utf-8",
    )
    assert examples_of(c3, "choice")[0] == [ChoiceExample("男：走吧。\n女：好。", "谁先说？", ("女", "男"), 1)]


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ({"choices": ["甲", "乙"], "answer": 1}, 1),
        ({"choices": ["甲", "乙"], "answer": "甲"}, 0),
        ({"options": "甲|乙|丙", "label": "C"}, 2),
        ({"A": "甲", "B": "乙", "答案": "b"}, 1),
        ({"choice1": "甲", "choice2": "乙", "answer": "0"}, 0),
        ({"choices": ["2", "1"], "answer": "1"}, 1),  # the text of a choice goes before its number
    ],
)
def test_right_answers_in_many_ways(tmp_path, record, wanted):
    found, problems = examples_of(write(tmp_path / "x.jsonl", [{"question": "哪个？"} | record]), "choice")
    assert not problems
    assert found[0].answer == wanted


def test_offsets_are_mended_where_the_words_stand(tmp_path):
    context = "甲乙甲乙"
    listed = [
        {"context": context, "question": "？", "answers": [{"text": "乙", "start": start}]}
        for start in (1, 2, 30, None)
    ]
    found, _ = examples_of(write(tmp_path / "x.jsonl", listed), "reading")
    assert [one.answers[0].start for one in found] == [1, 1, 3, 1]


# -- what is wrong


@pytest.mark.parametrize(
    ("task", "record", "reason"),
    [
        ("classify", {"text": "一"}, "no field for label among 'text'"),
        ("classify", {"text": " ", "label": "a"}, "text is empty"),
        ("classify", {"text": "一", "label": ["a", "b"]}, "one label is needed"),
        ("classify", {"text": "一", "label": ""}, "the label is empty"),
        ("pairs", {"a": "一", "label": "1"}, "no field for b"),
        ("choice", {"question": "？", "choices": ["甲"], "answer": 0}, "there is one choice, '甲'"),
        ("choice", {"question": "？", "choices": ["甲", "甲"], "answer": 0}, "two choices are the same"),
        ("choice", {"question": "？", "choices": ["甲", "乙"], "answer": 4}, "none of the 2 choices"),
        ("reading", {"context": "甲", "question": "？", "answers": ["乙"]}, "the answer '乙' is not in the passage"),
        ("reading", {"context": "甲", "question": "？", "answers": 3}, "a text, or a list of texts"),
        ("reading", [1, 2], "an object is needed"),
    ],
)
def test_a_record_that_is_no_example_is_named_and_the_rest_goes_on(tmp_path, task, record, reason):
    good = records(task, 2)
    path = write(tmp_path / "data.jsonl", [good[0], record, good[1]])
    found, problems = examples_of(path, task)
    assert len(found) == 2
    (problem,) = problems
    assert str(problem).startswith(f"{path}, line 2: ")
    assert reason in problem.reason


def test_broken_lines_are_named(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "一", "label": "a"}\n{broken\n{"text": "二", "label": "b"}\n', encoding="utf-8")
    found, problems = examples_of(path, "classify")
    assert len(found) == 2
    assert [problem.line for problem in problems] == [2]
    table = tmp_path / "data.csv"
    table.write_text("text,label\n一,a\n二,b,c\n三\n", encoding="utf-8")
    found, problems = examples_of(table, "classify")
    assert found == [TextExample("一", "a")]
    assert [problem.line for problem in problems] == [3, 4]
    good = write(tmp_path / "good.jsonl", records("classify", 4))
    with pytest.warns(DataWarning, match="2 records are no examples"):
        corpus = read_corpus("classify", train=good, dev=write(tmp_path / "dev.jsonl", [*records("classify", 2), 1, 2]))
    assert len(corpus.dev) == 2


def test_nothing_to_learn_from(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n", encoding="utf-8")
    good = write(tmp_path / "good.jsonl", records("classify", 10))
    for train, dev in ((empty, good), (good, empty)):
        with pytest.raises(DataError, match=r"empty\.jsonl has no examples .* there is no record in it"):
            read_corpus("classify", train=train, dev=dev)
    useless = write(tmp_path / "useless.jsonl", [{"a": 1}])
    with pytest.raises(
        DataError, match=r"1 records are unusable, the first: .*useless\.jsonl, line 1: no field for text"
    ):
        read_corpus("classify", train=useless)
    one = write(tmp_path / "one.jsonl", [{"text": "一", "label": "a"}, {"text": "二", "label": "a"}])
    with pytest.raises(DataError, match=r"all 2 examples .* have the label 'a'"):
        read_corpus("classify", train=one)
    several = write(tmp_path / "several.jsonl", [{"text": f"第{i}", "label": f"独{i}"} for i in range(40)])
    with pytest.raises(DataError, match="40 different labels in 40 examples"):
        read_corpus("classify", train=several)
    with pytest.raises(DataError, match="does not exist"):
        read_corpus("classify", train=tmp_path / "absent.jsonl")
    with pytest.raises(DataError, match=r"\.jsonl, \.json, \.csv and \.tsv"):
        read_corpus("classify", train=tmp_path / "absent.docx")


def test_a_label_that_only_dev_has_counts_as_wrong(tmp_path, small_encoder):
    train = write(tmp_path / "train.jsonl", records("classify", 20))
    dev = write(tmp_path / "dev.jsonl", [record | {"label": "别的"} for record in records("classify", 4)])
    with pytest.warns(DataWarning, match=r"labels that .*train\.jsonl lacks: '别的' \(4\)"):
        result = train_tiny(tmp_path, "classify", small_encoder, train=train, dev=dev, min_steps=2)
    assert result.metrics["accuracy"] == 0.0


def test_what_is_too_long_is_told(tmp_path, small_encoder):
    notes: list[str] = []
    for task, part, word in (
        ("classify", "text", "windows"),
        ("pairs", "b", "longer of the two"),
        ("choice", "passage", "the passage loses"),
    ):
        listed = records(task, 20)
        listed[3][part] = "什么" * 60
        folder = tmp_path / task
        folder.mkdir()
        train_tiny(
            folder, task, small_encoder, train=write(folder / "x.jsonl", listed), min_steps=2, on_note=notes.append
        )
        assert any("1 examples are longer than 48 tokens" in note and word in note for note in notes)
    assert any("2 to 3 choices" in note for note in notes)


def test_no_answer_that_fits_and_no_room_for_the_passage(tmp_path, small_encoder):
    long = "什么" * 30
    listed = [{"context": long + "。", "question": "谁", "answers": [long]} for _ in range(3)]
    with pytest.raises(DataError, match="no answer fits into a window"):
        train_tiny(
            tmp_path, "reading", small_encoder, train=write(tmp_path / "x.jsonl", listed), dev=tmp_path / "x.jsonl"
        )
    listed = [{"context": "主队在", "question": long, "answers": ["主队"]}] * 3
    with pytest.raises(TextTooLongError, match="shorten it, or raise max_tokens"):
        train_tiny(
            tmp_path, "reading", small_encoder, train=write(tmp_path / "y.jsonl", listed), dev=tmp_path / "y.jsonl"
        )


# -- holding out, rows, batches


def test_a_tenth_of_every_label_is_held_out(tmp_path):
    listed = [TextExample(f"第{i}", "甲" if i < 70 else "乙" if i < 99 else "丙") for i in range(100)]
    stays, held = hold_out(listed, seed=0, source=tmp_path)
    assert len(held) == 10
    assert {label: sum(one.label == label for one in held) for label in "甲乙丙"} == {"甲": 7, "乙": 3, "丙": 0}
    assert sorted(one.text for one in (*stays, *held)) == sorted(one.text for one in listed)
    assert hold_out(listed, seed=0, source=tmp_path)[1] == held != hold_out(listed, seed=1, source=tmp_path)[1]
    with pytest.raises(DataError, match="label more, or name --dev"):
        hold_out([TextExample("一", "a"), TextExample("二", "b")], seed=0, source=tmp_path)


@pytest.mark.parametrize("times", [2, 5, 30])
def test_copies_stay_together(tmp_path, times):
    listed = [TextExample(f"第{i % (120 // times)}", "甲乙"[i % (120 // times) % 2]) for i in range(120)]
    for seed in range(5):
        stays, held = hold_out(listed, seed=seed, source=tmp_path)
        assert held
        assert len(stays) + len(held) == len(listed)
        assert not {one.text for one in stays} & {one.text for one in held}
        assert {one.label for one in stays} == {"甲", "乙"}
    with pytest.raises(DataError, match="label more, or name --dev"):
        hold_out([TextExample("一", "a"), TextExample("二", "b")] * 5, seed=0, source=tmp_path)


def test_copies_contradictions_and_known_texts_are_told(tmp_path):
    lines = [{"text": f"第{i}", "label": "甲乙"[i % 2]} for i in range(20)]
    train = tmp_path / "train.jsonl"
    more = [*lines, lines[0], lines[2], {"text": "第1", "label": "甲"}]
    train.write_text("\n".join(map(json.dumps, more)), encoding="utf-8")
    dev = tmp_path / "dev.jsonl"
    dev.write_text("\n".join(map(json.dumps, [lines[3], {"text": "新", "label": "乙"}])), encoding="utf-8")
    notes = read_corpus("classify", train=train, dev=dev).notes
    assert notes[0] == "3 of 23 training examples repeat another one"
    assert notes[1].startswith("1 texts have more than one label, such as '第1' (乙, 甲)")
    assert notes[2].startswith(f"1 of 2 examples of {dev} stand in {train}, too")
    train.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert read_corpus("classify", train=train).notes == []


def test_what_is_no_number_is_no_label(tmp_path):
    path = tmp_path / "gaps.jsonl"
    path.write_text('{"text": "一", "label": NaN}\n{"text": "二", "label": 1.0}\n', encoding="utf-8")
    found, problems = examples_of(path, "classify")
    assert found == [TextExample("二", "1")]
    assert "one label is needed" in problems[0].reason


def test_right_answers_that_cannot_be_used_are_doubted_where_they_may_lack(tmp_path):
    path = tmp_path / "asked.jsonl"
    lines = [
        {"question": "哪个？", "choices": ["甲", "乙"], "answer": "C"},
        {"question": "哪个？", "choices": ["甲", "乙"], "answer": 1.0},
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    problems, doubts = [], []
    fields = Fields("choice", gold=False)
    found = [one for _, one in read_examples(path, fields, on_problem=problems.append, on_doubt=doubts.append)]
    assert [one.answer for one in found] == [None, 1]
    assert not problems
    assert [doubt.line for doubt in doubts] == [1]
    assert len(examples_of(path, "choice")[1]) == 1, "to learn from it must be there"


def test_questions_about_one_passage_stay_together(tmp_path):
    listed = [ReadingExample(f"文{i // 5}", f"问{i}", ()) for i in range(100)]
    stays, held = hold_out(listed, seed=0, source=tmp_path)
    assert len(held) == 10
    assert not {one.context for one in stays} & {one.context for one in held}


@pytest.fixture(scope="module")
def encoder(small_encoder):
    return PairEncoder(load_tokenizer(small_encoder), max_tokens=20, segments=True)


def test_rows_fit_and_answers_are_where_they_were(encoder):
    chance = np.random.default_rng(0)
    letters = list("在宣布大幅今年天气时什么里有")
    asked = []
    for number in range(40):
        context = "".join(chance.choice(letters, size=int(chance.integers(5, 90))))
        start = int(chance.integers(0, len(context) - 3))
        span = Span(start, start + 3, context[start : start + 3])
        asked.append(ReadingExample(context, "什么", (span,) if number % 4 else ()))
    encoded = encode(asked, encoder)
    assert encoded.lengths.max() <= 20
    places, lost = right_places(asked, encoded)
    assert not lost, "windows overlap by more than three tokens"
    for row, (first, last) in enumerate(places):
        example = asked[encoded.owners[row]]
        if not first:
            continue
        window = encoded.windows[row]
        begin, end = window.offsets[first - window.first][0], window.offsets[last - window.first][1]
        assert (begin, end) == (example.answers[0].start, example.answers[0].end)
    assert {int(encoded.owners[row]) for row in np.flatnonzero(places[:, 0])} == {i for i in range(40) if i % 4}


def test_of_a_pair_the_longer_side_is_cut_and_of_a_choice_the_passage(encoder):
    ids = {letter: encoder.ids([letter])[0] for letter in "天气"}
    room = 20 - encoder.layout.pair_specials
    (row, second), (other, _) = encode(
        [PairExample("天" * 3, "气" * 50), PairExample("天" * 40, "气" * 40)], encoder
    ).rows
    assert row.count(ids["天"][0]) == 3
    assert row.count(ids["气"][0]) == room - 3
    assert row[second] == ids["气"][0]
    assert abs(other.count(ids["天"][0]) - other.count(ids["气"][0])) <= 1
    encoded = encode([ChoiceExample("气" * 50, "天", ("天" * 2, "天" * 9))], encoder)
    assert [row.count(ids["天"][0]) for row, _ in encoded.rows] == [3, 10]
    assert all(len(row) == 20 for row, _ in encoded.rows)
    assert encoded.owners.tolist() == [0, 0]


def test_batches_are_a_function_of_seed_and_epoch_and_keep_examples_whole(encoder):
    listed = [ChoiceExample("气", "天", ("天",) * (2 + i % 3)) for i in range(30)]
    encoded = encode(listed, encoder)
    right = np.arange(30)

    def drawn(seed: int, epoch: int):
        batches = Batches(encoded, right, by_row=False, batch_tokens=100, batch_size=6, seed=seed)
        return [batches.batch(epoch, number) for number in range(batches.count(epoch))]

    assert [one.right.tolist() for one in drawn(0, 1)] == [one.right.tolist() for one in drawn(0, 1)]
    assert [one.right.tolist() for one in drawn(0, 1)] != [one.right.tolist() for one in drawn(0, 2)]
    batches = drawn(3, 0)
    assert sorted(number for batch in batches for number in batch.right.tolist()) == list(range(30))
    for batch in batches:
        for place, number in enumerate(batch.right):
            assert (batch.owners == place).sum() == 2 + number % 3


# -- figures


def test_the_best_place_is_that_of_brute_force():
    chance = np.random.default_rng(0)
    context = "天气今年大幅宣布"
    offsets = tuple((i, i + 1) for i in range(len(context)))
    for _ in range(200):
        logits = chance.normal(size=(len(context) + 4, 2)) * 3
        logs = logits - np.log(np.exp(logits).sum(axis=0))
        margin, none, marked = best_place(logits, PassageWindow(3, offsets), context, longest=3)
        values = {
            (i, j): logs[3 + i, 0] + logs[3 + j, 1]
            for i in range(len(context))
            for j in range(i, min(i + 3, len(context)))
        }
        (first, last), value = max(values.items(), key=lambda item: item[1])
        assert marked.span == Span(first, last + 1, context[first : last + 1])
        assert marked.score == pytest.approx(np.exp(value))
        assert none == pytest.approx(np.exp(logs[0].sum()))
        assert margin == pytest.approx(value - logs[0].sum())


def test_scores_worked_out_by_hand():
    scores = [np.array(row) for row in ([2.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 1.0])]
    metrics = judge_classes(scores, [0, 1, 1, -1], labels=2)
    assert metrics["accuracy"] == 0.5
    # label 0: said twice, once rightly, there once: 2/3; label 1: said twice, once rightly, there twice: 1/2
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # a label that nobody says has an F1 of 0
    assert judge_classes(scores, [0, 1, 1, -1], labels=2, unknown=1)["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 3)
    loss = [np.log(1 + np.exp(-2)), np.log(1 + np.exp(2)), np.log(1 + np.exp(-1))]
    assert metrics["dev_loss"] == pytest.approx(np.mean(loss))


def test_answers_are_scored_as_cmrc_does():
    assert answer_f1("1950年", ["1950年", "五零年"]) == 1.0
    assert answer_f1("《红楼梦》", ["红楼梦"]) == 1.0, "punctuation does not count"
    # the common run is 北京 (2 of 3 pieces said, 2 of 4 wanted)
    assert answer_f1("在北京", ["北京大学"]) == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    # words of other scripts are one piece: Windows 10 against Windows
    assert answer_f1("windows 10", ["Windows"]) == pytest.approx(2 / 3)
    assert answer_f1("甲", ["乙"]) == 0.0
    context = "甲乙丙"
    asked = [ReadingExample(context, "？", answers) for answers in ((Span(0, 2, "甲乙"),), (), (), (Span(0, 1, "甲"),))]
    said = [Marked(Span(0, 1, "甲"), 1.0), Marked(None, 1.0), Marked(Span(0, 1, "甲"), 1.0), Marked(None, 1.0)]
    metrics = judge_marks(said, asked)
    assert metrics["f1"] == pytest.approx((2 / 3 + 1 + 0 + 0) / 4)
    assert metrics["exact"] == pytest.approx(1 / 4)
