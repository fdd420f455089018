"""`ironwok read` with a tiny model of random weights: its labels mean nothing, everything around them does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ironwok.cli import main
from ironwok.models.bundled import WEIGHTS

LABELS = "茶,棋,雪"


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A next-sentence model of a few thousand weights, with the tokenizer of the package."""
    import torch
    from transformers import BertConfig, BertForNextSentencePrediction

    from ironwok.text.tokenizer import load_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = load_tokenizer(str(WEIGHTS / "ironwok-small"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=256,
        initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertForNextSentencePrediction(config).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "in"
    root.mkdir()
    (root / "tea.txt").write_text(
        "\n\n".join(f"第{n}泡茶，水要刚开，等上一会儿再喝，一室都是茶香。" for n in range(60)), encoding="utf-8"
    )
    (root / "chess.md").write_text("# 棋\n\n两位老人在树下下棋，一下就是一个下午。\n", encoding="utf-8")
    (root / "snow.jsonl").write_text('{"text": "下雪了。"}\n{"text": \n{"text": "雪停了😀。"}\n', encoding="utf-8")
    return root


@pytest.fixture
def ironwok(model, folder, tmp_path):
    """Runs `ironwok read` on the folder in this process; more arguments may be given."""

    def ironwok(*arguments: str, labels: str = LABELS) -> int:
        return main(
            ["read", str(folder), "--labels", labels, "--model", str(model), "--out", str(tmp_path / "out"), *arguments]
        )

    return ironwok


def test_it_ends_with_a_table_and_a_report(ironwok, capsys, tmp_path):
    assert ironwok() == 0
    said = capsys.readouterr()
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0][:3] == ["Document", "Passages", "Label"]
    assert [row[0] for row in rows[1:5]] == ["chess.md", "snow.jsonl:1", "snow.jsonl:3", "tea.txt"]
    assert all(row[2] in LABELS.split(",") for row in rows[1:5])
    report = tmp_path / "out" / "index.html"
    assert said.out.rstrip().endswith(str(report))
    assert (
        f"4 documents, {len((tmp_path / 'out' / 'results.jsonl').read_text().splitlines())} passages, 1 not read"
        in said.out
    )
    assert re.search(r"skipped: .*snow\.jsonl, line 2", said.err)
    assert "Traceback" not in said.err
    assert report.read_text(encoding="utf-8").startswith('<!doctype html>\n<html lang="en">')


def test_in_chinese(ironwok, capsys, tmp_path):
    assert ironwok("--lang", "zh") == 0
    said = capsys.readouterr()
    assert said.out.split()[:5] == ["文档", "段落", "标签", "得分", "各段"]
    assert "4 篇文档" in said.out
    assert "跳过：" in said.err
    assert '<html lang="zh-Hans">' in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_again_it_only_says_so(ironwok, capsys, tmp_path):
    assert ironwok() == 0
    first = capsys.readouterr().out
    results = (tmp_path / "out" / "results.jsonl").read_bytes()
    assert ironwok() == 0
    said = capsys.readouterr()
    assert said.out == first
    assert "3 of 3 files and" in said.err
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == results


def test_another_question_needs_fresh(ironwok, capsys):
    assert ironwok() == 0
    capsys.readouterr()
    assert ironwok("--threshold", "0.9") == 1
    said = capsys.readouterr().err
    assert "threshold: none there, 0.9 now" in said
    assert "--fresh" in said
    assert ironwok("--threshold", "0.9", "--fresh") == 0
    assert "no label" in capsys.readouterr().out


def test_another_model_of_the_same_name_is_another_question(ironwok, capsys, model, tmp_path):
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    assert ironwok("--model", str(copy)) == 0
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-6}))
    capsys.readouterr()
    assert ironwok("--model", str(copy)) == 1
    assert "model_version" in capsys.readouterr().err


def test_all_options_together(ironwok, tmp_path):
    arguments = "--template 说的是{} --template 关于{} --multi-label --threshold 0.2 --no-calibrate --max-chars 40"
    more = "--batch-size 7 --dtype float32 --text-field text --title-field id --encoding utf-8"
    assert ironwok(*arguments.split(), *more.split()) == 0
    settings = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["settings"]
    assert settings["templates"] == ["说的是{}", "关于{}"]
    assert (settings["multi_label"], settings["threshold"], settings["calibrate"], settings["max_chars"]) == (
        True,
        0.2,
        False,
        40,
    )
    lines = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert max(len(json.loads(line)["text"]) for line in lines) <= 40


def test_file_names_with_line_feeds_and_files_without_text_or_with_damage(ironwok, folder, capsys, tmp_path):
    (folder / "two\nlines\x1b[2J.txt").write_text("茶凉了。", encoding="utf-8")
    (folder / "bad\nname.txt").write_bytes(b"")
    (folder / "none.jsonl").write_bytes(b"")
    (folder / "header.csv").write_text("title,text\n", encoding="utf-8")
    (folder / "damaged.txt").write_bytes("棋下到了\0深夜，雪还没有停。".encode().replace(b"\0", b"\xff"))
    (folder / "row.json").write_text('[{"text": "下雪了。"}, {"text": "雪停了。"}]', encoding="utf-8")
    assert ironwok(labels="茶、棋；雪") == 0
    said = capsys.readouterr()
    names = [line.split()[0] for line in said.out.splitlines()[1:9]]
    assert names == [
        *("chess.md", "damaged.txt", "row.json", "row.json", "snow.jsonl:1", "snow.jsonl:3", "tea.txt"),
        "two\\nlines\\x1b[2J.txt",
    ]
    assert [line.split()[1] for line in said.out.splitlines()[3:5]] == ["#1", "#2"]
    assert "broken bytes in 1 places, read as U+FFFD" in said.out
    skipped = (tmp_path / "out" / "skipped.jsonl").read_text(encoding="utf-8").splitlines()
    empty = {Path(s["document"]).name for s in map(json.loads, skipped) if "empty" in s["reason"]}
    assert empty == {"bad\nname.txt", "none.jsonl", "header.csv"}
    assert len([line for line in said.err.splitlines() if line.startswith("skipped: ")]) == 4
    assert "bad\\nname.txt: empty" in said.err


def test_labels_from_a_file(ironwok, tmp_path, capsys):
    (tmp_path / "labels.txt").write_text("茶\n\n 棋 \n雪\n", encoding="utf-8")
    assert ironwok(labels=f"@{tmp_path / 'labels.txt'}") == 0
    settings = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["settings"]
    assert settings["labels"] == ["茶", "棋", "雪"]
    capsys.readouterr()
    assert ironwok(labels=f"@{tmp_path / 'none.txt'}") == 1
    assert "none.txt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "arguments", "said"),
    [
        ("茶", [], "one label"),
        ("茶,茶", [], "'茶' is given twice"),
        (LABELS, ["--template", "没有"], "{}"),
        (LABELS, ["--threshold", "7"], "threshold"),
        (LABELS, ["--model", "no/such/model/here"], "no/such/model/here"),
        (LABELS, ["--scorer", "dice"], "'dice'"),
        (LABELS, ["--encoding", "klingon"], "klingon"),
        (LABELS, ["/no/such/file"], "/no/such/file: does not exist"),
    ],
)
def test_bad_input_is_one_line(ironwok, capsys, labels, arguments, said):
    assert ironwok(*arguments, labels=labels) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert said in errors[0]


SLOW = """
import sys, time
from ironwok.cli import main
from ironwok.zero_shot import NSPScorer

def slowly(*arguments, original=NSPScorer.score, **named):
    time.sleep(0.3)  # so that no machine is so fast that it ends before it is stopped
    return original(*arguments, **named)

NSPScorer.score = slowly
sys.exit(main())
"""


def run_apart(folder: Path, model: Path, out: Path, *arguments: str) -> subprocess.Popen:
    command = ["read", folder, "--labels", LABELS, "--model", model, "--out", out, "--max-chars", "60", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environment,
    )  # fmt: skip


def wait_for_results(process: subprocess.Popen, out: Path) -> None:
    deadline = time.monotonic() + 120
    while not (out / "results.jsonl").exists() or not (out / "results.jsonl").stat().st_size:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_and_interrupted_it_goes_on_to_the_same_end(folder, model, tmp_path, capsys):
    """SIGKILL, then Ctrl-C, then to the end: the same bytes as in one go."""
    (folder / "long.txt").write_text(
        "\n\n".join(f"第{n}局棋下到了深夜，窗外的雪一直没有停，两个人都不说话。" for n in range(800)), encoding="utf-8"
    )
    out = tmp_path / "out"
    killed = run_apart(folder, model, out)
    wait_for_results(killed, out)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    size = (out / "results.jsonl").stat().st_size

    stopped = run_apart(folder, model, out, "--lang", "zh")
    deadline = time.monotonic() + 120
    while (out / "results.jsonl").stat().st_size <= size and time.monotonic() < deadline:
        assert stopped.poll() is None, stopped.communicate()
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate()
    assert stopped.returncode == 130
    assert re.search(r"已中断。.*里保存了 [\d,]+ 段（[\d,]+ 篇完整文档），再次运行同样的命令会接着读。", errors)
    assert "Traceback" not in errors

    assert (
        main(["read", str(folder), "--labels", LABELS, "--model", str(model), "--out", str(out), "--max-chars", "60"])
        == 0
    )
    assert re.search(r"\d of 4 files and \d+ passages are kept from before", capsys.readouterr().err)
    whole = tmp_path / "whole"
    assert (
        main(["read", str(folder), "--labels", LABELS, "--model", str(model), "--out", str(whole), "--max-chars", "60"])
        == 0
    )
    for name in ("results.jsonl", "documents.jsonl", "skipped.jsonl", "files.jsonl", "index.html"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
