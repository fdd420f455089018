"""The benchmarks of answers count rightly, go on where they stopped, and run with a tiny model."""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_causal import make_model, make_tokenizer

from ironwok.errors import DataError, InputError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CASES = [
    {
        "id": "a",
        "question": "When does the ferry leave?",
        "answers": ["seven"],
        "contexts": ["Bread rises twice.", "The ferry leaves at seven.", "The pool is closed."],
        "gold": 1,
    },
    {"id": "b", "question": "What rises?", "answers": ["bread"], "contexts": ["Bread rises.", "Bees fly."], "gold": 0},
]


@pytest.fixture(autouse=True)
def on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-causal")
    make_model("grouped").save_pretrained(folder)
    make_tokenizer(chat=True).save_pretrained(folder)
    return folder


@pytest.fixture
def cases(tmp_path):
    path = tmp_path / "cases.jsonl.xz"
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(case) + "\n" for case in CASES)
    return path


@pytest.mark.parametrize(
    ("text", "answers", "right"),
    [
        ("It leaves at Seven.", ["seven"], True),
        ("seventeen", ["seven"], False),
        ("the  New-York Times", ["a NewYork times"], True),
        ("", ["seven"], False),
        ("anything", ["the"], False),  # an answer of which nothing is left
        ("渡轮七点开。", ["七点"], True),
        ("渡轮八点开。", ["七点"], False),
        ("“七点”", ["七点。"], True),
    ],
)
def test_what_counts_as_right(text, answers, right):
    from _long_context import is_right

    assert is_right(text, answers) is right


def test_all_methods_answer_and_the_last_line_is_json(cases, folder, tmp_path, capsys, monkeypatch):
    import long_context_qa
    from _long_context import METHODS

    done = tmp_path / "done.jsonl"
    arguments = ["qa", "--cases", str(cases), "--model", str(folder), "--keep-in", str(done), "--max-tokens", "6"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--method", "routed", "gold"])
    assert long_context_qa.main() == 0
    assert len(done.read_text().splitlines()) == 3
    # the rest of the methods, from the same file
    monkeypatch.setattr(sys, "argv", arguments)
    assert long_context_qa.main() == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures["methods"]) == set(METHODS)
    for name, found in figures["methods"].items():
        assert found["cases"] == 2
        assert 0 <= found["right"] <= 2
        assert (found["right_source"] is None) == (name in ("concatenated", "parallel", "aware"))
    assert figures["methods"]["gold"]["right_source"] == 100
    assert 0 <= figures["routing"]["auc_answerable_by_lift"] <= 1
    # all is done: the table comes from the file, without the model
    monkeypatch.setattr(long_context_qa, "Answerer", None)
    monkeypatch.setattr(sys, "argv", arguments)
    assert long_context_qa.main() == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == figures


def test_memory_is_that_of_a_process_for_each_method(cases, folder, capsys, monkeypatch):
    import long_context_qa

    arguments = ["qa", "--cases", str(cases), "--model", str(folder), "--max-tokens", "2"]
    for method in ("copied", "gold"):
        monkeypatch.setattr(sys, "argv", [*arguments, "--peak-of-this", "--method", method])
        assert long_context_qa.main() == 0
        assert float(capsys.readouterr().out) > 50
    told = iter([100.5, 200.0])

    def run(command, **_):
        assert command[-2:] == ["--method", "copied"] or command[-2:] == ["--method", "nbce"]
        return SimpleNamespace(stdout=f"{next(told)}\n")

    monkeypatch.setattr(long_context_qa.subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", [*arguments, "--peak", "--method", "copied", "nbce"])
    assert long_context_qa.main() == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["peak_megabytes"] == {"copied": 100.5, "nbce": 200.0}


def test_answers_of_other_settings_are_not_mixed_in(cases, folder, tmp_path, capsys, monkeypatch):
    import long_context_qa

    done = tmp_path / "done.jsonl"
    done.write_text(json.dumps({"about": {"model": "another"}}) + "\n")
    monkeypatch.setattr(sys, "argv", ["qa", "--cases", str(cases), "--model", str(folder), "--keep-in", str(done)])
    assert long_context_qa.main() == 1
    assert "other settings" in capsys.readouterr().err
    with pytest.raises(InputError, match="holds none of these cases"):
        long_context_qa.report(long_context_qa.parse(["--cases", "x"]), [], {})


def test_a_variant_equals_the_method_run_by_itself(model, tokenizer):
    """Rows chosen from one shared reading are the rows that a run with these settings keeps."""
    from _long_context import Case, _CaseRun
    from ironwok.nbce import Answerer, Settings

    case = Case("a", CASES[0]["question"], ("seven",), tuple(CASES[0]["contexts"]), 1)
    answerer = Answerer(model, tokenizer=tokenizer)
    settings = Settings(max_tokens=8, keep=2, negligible=0.0, closer=0)
    run = _CaseRun(answerer, case, settings)
    alone = answerer.ask(case.question, case.contexts, settings=settings)
    assert run.answer("routed")["text"] == alone.text
    assert run.answer("routed")["source"] == alone.sources[0].context
    plain = Settings(max_tokens=8, keep=None, negligible=0.0, route=0.0, pooling="mean", closer=0)
    assert run.answer("mean")["text"] == answerer.ask(case.question, case.contexts, settings=plain).text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: not a case"),
        ('{"question": "a"}', "line 1: not a case"),
        ('{"question": "a", "answers": ["b"], "contexts": ["c"], "gold": 1}', "gold is 1 of 1 contexts"),
    ],
)
def test_damaged_cases_are_named(line, message, tmp_path):
    from _long_context import load_cases

    path = tmp_path / "cases.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        load_cases(path, None)


def test_separating_figures_by_hand():
    from long_context_qa import auc, best_bound

    assert auc([3.0, 2.0], [1.0, 2.0]) == pytest.approx(3.5 / 4)
    assert best_bound([3.0, 2.0, 0.5], [1.0, 0.0]) == (2.0, pytest.approx((2 / 3 + 1) / 2))


def test_scaling_writes_the_same_number_of_tokens_three_ways(folder, capsys, monkeypatch):
    import nbce_scaling

    arguments = ["scaling", "--model", str(folder), "--contexts", "6", "--length", "20", "--tokens", "4"]
    rows = {}
    for method in nbce_scaling.METHODS:
        monkeypatch.setattr(sys, "argv", [*arguments, "--dtype", "float32", "--one", method])
        assert nbce_scaling.main() == 0
        found = json.loads(capsys.readouterr().out)
        assert found["reading"] > 0 < found["writing"]
        assert found["peak_megabytes"] > 10
        rows[method] = found["rows"]
    assert rows == {"routed": 5, "published": 7, "concatenated": 1}


def test_the_published_procedure_written_out_is_the_one_of_the_package(model, tokenizer):
    """Token for token: benchmarks/nbce_scaling.py shares nothing with the package but the model."""
    from torch import nn

    import nbce_scaling
    from ironwok.nbce import Answerer, Settings

    answerer = Answerer(model, tokenizer=tokenizer)
    head, question = answerer.prompter.head(), [7, 100, 3, 55]
    rows = [[*head, *range(10, 10 + length)] for length in (5, 30, 18)]
    fed: list[int] = []

    class Watching(nn.Module):
        """The model, with an ear for what it is fed after the prompt."""

        def forward(self, **options):
            if options["input_ids"].shape[1] == 1:
                fed.append(int(options["input_ids"][0, 0]))
            return model(**options)

    watched = type("Watched", (), {"engine": type("Engine", (), {"model": Watching()})()})()
    nbce_scaling.published(watched, head, rows, question, 12)

    from ironwok.nbce.decode import NBCEChooser, steps_of
    from ironwok.nbce.prefill import prefill

    plain = Settings(route=0.0, keep=None, negligible=0.0)
    (prepared,) = prefill(answerer.engine, head, rows, [question], plain, chunk_tokens=1000)
    steps = steps_of(
        answerer.engine, prepared.rows, prepared.log_p, NBCEChooser(prepared, plain), end=(), max_tokens=12
    )
    assert [step.token for step in steps] == fed
