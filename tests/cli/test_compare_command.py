"""`ironwok compare` with the head that ships: pairs in, a line of JSON for each out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ironwok.cli import main

PAIRS = [("退货要多久", "多久能退货"), ("退货要多久", "信用卡丢了怎么办"), ("一个男人在弹吉他", "一个男人在睡觉")]


@pytest.fixture
def file(tmp_path) -> Path:
    file = tmp_path / "pairs.jsonl"
    rows = [{"sentence1": first, "sentence2": second, "id": f"p{len(first)}"} for first, second in PAIRS]
    lines = [json.dumps(row, ensure_ascii=False) for row in [*rows[:1], {"sentence1": "没有第二句"}, *rows[1:]]]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_pairs_are_compared_in_their_order(file, capsys):
    assert main(["compare", str(file)]) == 0
    said = capsys.readouterr()
    found = records(said.out)
    assert [(one["line"], one["text"], one["other"]) for one in found] == [
        (line, *pair) for line, pair in zip((1, 3, 4), PAIRS, strict=True)
    ]
    assert [one["label"] for one in found] == ["same", "different", "different"]
    assert [one["id"] for one in found] == [f"p{len(first)}" for first, _ in PAIRS]
    for one in found:
        assert sum(one["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert one["label"] == max(one["scores"], key=one["scores"].__getitem__)
    assert "line 2: no field for b" in said.err


def test_what_follows_from_what(file, capsys):
    assert main(["compare", str(file), "--relation", "inference"]) == 0
    found = records(capsys.readouterr().out)
    assert found[0]["label"] == "entailment"
    assert found[2]["label"] == "contradiction"
    assert set(found[0]["scores"]) == {"entailment", "neutral", "contradiction"}


def test_a_file_of_results_is_gone_on_with(file, tmp_path, capsys):
    out = tmp_path / "compared.jsonl"
    assert main(["compare", str(file), "--out", str(out)]) == 0
    whole = out.read_bytes()
    assert "3 pairs compared into" in capsys.readouterr().err
    out.write_bytes(whole[: whole.index(b"\n") + 20])  # a line and a part of one
    assert main(["compare", str(file), "--out", str(out)]) == 1
    assert "pass --resume to go on with it" in capsys.readouterr().err
    assert main(["compare", str(file), "--out", str(out), "--resume"]) == 0
    assert "2 pairs compared into" in (said := capsys.readouterr().err)
    assert "1 were there already" in said
    assert out.read_bytes() == whole
    assert main(["compare", str(file), "--out", str(out), "--resume", "-r", "inference"]) == 1
    assert "relation: 'paraphrase' there, 'inference' now" in capsys.readouterr().err


def test_pairs_are_compared_with_one_another(file, tmp_path, capsys):
    assert main(["compare", str(file)]) == 0
    alone = records(capsys.readouterr().out)
    out = tmp_path / "compared.jsonl"
    asked = ["compare", str(file), "--prior", "same=0.67", "--out", str(out)]
    assert main(asked) == 0
    assert "compares pairs with one another; 3 pairs tell little" in capsys.readouterr().err
    whole = out.read_bytes()
    found = records(whole.decode())
    assert [one["line"] for one in found] == [one["line"] for one in alone]
    nearest = sorted(alone, key=lambda one: -one["scores"]["same"])[:2]
    assert {one["line"] for one in found if one["label"] == "same"} == {one["line"] for one in nearest}
    out.write_bytes(whole[: whole.index(b"\n") + 1])
    assert main([*asked, "--resume"]) == 0
    assert out.read_bytes() == whole
    assert main(["compare", str(file), "--out", str(out), "--resume"]) == 1
    assert "prior: {'different': 0.3" in capsys.readouterr().err


def test_even_shares_are_those_of_all_answers(file, capsys):
    found = []
    for prior in ("even", "entailment=0.333333333,neutral=0.333333333", "contradiction=0.333333333"):
        assert main(["compare", str(file), "-r", "inference", "--prior", prior]) == 0
        found.append([one["scores"] for one in records(capsys.readouterr().out)])
    assert len(found[0]) == 3
    assert found[1] == [pytest.approx(scores, abs=1e-5) for scores in found[0]]
    assert found[2] == [pytest.approx(scores, abs=1e-5) for scores in found[0]]


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        ("", "--prior is '': give even, or shares between 0 and 1 such as different=0.1"),
        ("same", "--prior is 'same': give even, or shares"),
        ("same=viele", "--prior is 'same=viele': give even, or shares"),
        ("gleich=0.2", "the prior names 'gleich'; the answers are different, same"),
        ("same=0.2,same=0.3", "such as different=0.1; same stands there twice"),
        ("same=1.2", "such as different=0.1; the prior of same is 1.2"),
        ("same=nan", "such as different=0.1; the prior of same is nan"),
        ("same=0.7,different=0.7", "the shares of the prior come to 1.4, they have to come to 1"),
        ("same=0.2，different=0.2", "the shares of the prior come to 0.4, they have to come to 1"),
    ],
)
def test_a_prior_that_is_none_is_refused(file, capsys, prior, said):
    assert main(["compare", str(file), "--prior", prior]) == 1
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--relation", "irony"], "--relation is 'irony'; it is one of inference, paraphrase"),
        (["--field", "c=x"], "no part 'c'"),
        (["--resume"], "--resume goes on with a file"),
        (["--resume", "--overwrite", "--out", "x.jsonl"], "pass one of them"),
        (["--model", "finance"], "finance brings no head for relations"),
        (["--model", "no/such/model"], "no/such/model"),
    ],
)
def test_bad_input_is_one_line(file, capsys, arguments, said):
    assert main(["compare", str(file), *arguments]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1].startswith("error: ")
    assert said in errors[-1]


@pytest.mark.parametrize("text", ["", "a,b\n", "x,y\n早上好,晚安\n"])
def test_a_file_without_pairs_is_an_error(tmp_path, capsys, text):
    empty = tmp_path / "empty.csv"
    empty.write_text(text, encoding="utf-8")
    assert main(["compare", str(empty)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "there is no pair of sentences in it; --field a=NAME" in said.err


def test_labels_are_not_looked_at(tmp_path, capsys):
    labelled = tmp_path / "labelled.csv"
    labelled.write_text("a,b,label\n退货要多久,多久能退货,\n早上好,晚安,1\n", encoding="utf-8")
    assert main(["compare", str(labelled)]) == 0
    assert [one["line"] for one in records(capsys.readouterr().out)] == [2, 3]


def test_the_input_is_not_written_over_nor_mixed_with_another(file, tmp_path, capsys):
    before = file.read_bytes()
    for command in (["compare"], ["classify", "--labels", "茶,棋"], ["predict", "--model", str(tmp_path)]):
        assert main([*command, str(file), "--out", str(file), "--overwrite"]) == 1
        assert "which is the input" in capsys.readouterr().err
        assert file.read_bytes() == before
    out = tmp_path / "compared.jsonl"
    assert main(["compare", str(file), "--out", str(out)]) == 0
    file.write_bytes(before.replace("多久能退货".encode(), "多久能换货".encode()))
    assert main(["compare", str(file), "--out", str(out), "--resume"]) == 1
    assert "resume with the same input" in capsys.readouterr().err


def test_a_model_without_the_head(file, tmp_path, capsys):
    from ironwok.models import resolve_model
    from ironwok.zero_shot.relations import FILE

    folder = tmp_path / "headless"
    folder.mkdir()
    for one in Path(resolve_model("ironwok-small")).iterdir():
        if one.name != FILE and one.is_file():
            (folder / one.name).symlink_to(one)
    assert main(["compare", str(file), "--model", str(folder)]) == 1
    assert "brings no head for relations of sentences" in capsys.readouterr().err


def test_equal_pairs_have_equal_answers_wherever_they_stand(tmp_path, capsys):
    lines = [{"a": f"第{number}个人去了哪里" * (number % 5 + 1), "b": f"他{number}点出发"} for number in range(300)]
    lines += [{"a": "怎么还款", "b": "如何还款"}] * 300
    file = tmp_path / "many.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    assert main(["compare", str(file), "--prior", "same=0.25"]) == 0
    found = records(capsys.readouterr().out)
    assert len({json.dumps(one["scores"]) for one in found[300:]}) == 1


def test_pairs_that_are_compared_are_the_ones_that_were(file, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    asked = ["compare", str(file), "--prior", "even", "--out", str(out), "--resume"]
    assert main(asked) == 0
    before = out.read_bytes()
    with file.open("a", encoding="utf-8") as more:
        more.write('{"a": "怎么开发票", "b": "发票怎么开"}\n')
    assert main(asked) == 1
    assert "written with other settings (compared: '3 pairs" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_one_pair_is_compared_with_none(tmp_path, capsys):
    file = tmp_path / "one.csv"
    file.write_text("a,b\n怎么还款,如何还款\n", encoding="utf-8")
    assert main(["compare", str(file), "--prior", "even"]) == 1
    assert "has one: leave it out" in capsys.readouterr().err
    assert main(["compare", "-"]) == 1
    assert "not from standard input" in capsys.readouterr().err
