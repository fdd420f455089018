"""`ironwok lab inspect`: the probes on models of others, on one's own text."""

from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from ironwok.cli import language, main
from ironwok.cli.lab_inspect import _text_of
from ironwok.errors import DataError
from ironwok.lab.inspection import inspect_loaded, inspect_model, token_rows, write_inspection

WORDS = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "[PAD]", *"abcdefghij"]
TEXT = " ".join("abcdefghij"[number * 7 % 10] for number in range(200))


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_current", "en")
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.setenv("COLUMNS", "200")


def tokenizer(*, masks: bool) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    if not masks:
        return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]")
    made.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", **names)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64
    )
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer(masks=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gpt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt")
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(vocab_size=len(WORDS), n_embd=32, n_layer=3, n_head=4, n_positions=40)).save_pretrained(
        folder
    )
    tokenizer(masks=False).save_pretrained(folder)
    return folder


def test_an_encoder_is_asked_for_masked_tokens(bert):
    found = inspect_model(str(bert), TEXT, length=20, rows=4)
    assert (found.objective, found.rows, found.tokens) == ("masked", 4, 20)
    assert found.stack == "bert.encoder.layer"
    assert found.effective is not None
    assert found.effective.loss == pytest.approx(torch.tensor(len(WORDS)).log().item(), abs=0.7)  # random weights
    assert len(found.ranks) == len(found.depth.cosines) == 3
    assert all(0 < share <= 1 for profile in found.ranks for share in (*profile.effective, *profile.numerical))


def test_a_decoder_is_asked_for_the_next_token_and_its_attention_is_triangular(gpt):
    found = inspect_model(str(gpt), TEXT, length=100, rows=3)
    assert found.objective == "causal"
    assert found.tokens == 40  # as long as its positions reach
    # the determinant of a triangle is the product of its diagonal, which softmax keeps above 0
    assert all(value > -float("inf") for profile in found.ranks for value in profile.log_determinants)


def test_the_same_text_gives_the_same_numbers(bert):
    assert inspect_model(str(bert), TEXT, length=20) == inspect_model(str(bert), TEXT, length=20)


def test_our_own_models_are_inspected(tiny_encoder):
    text = "今天的风从海上来，船晚了。" * 40
    found = inspect_model(str(tiny_encoder), text, length=24, rows=2)
    assert found.stack.endswith("encoder.blocks")
    assert len(found.ranks) == len(found.depth.cosines)


def test_of_encoder_and_decoder_the_encoder_is_inspected():
    config = T5Config(vocab_size=30, d_model=32, d_kv=8, d_ff=64, num_layers=3, num_decoder_layers=2, num_heads=4)
    config._attn_implementation = "eager"
    ids = torch.randint(5, 30, (2, 12), generator=torch.Generator().manual_seed(0))
    found = inspect_loaded(T5ForConditionalGeneration(config).eval(), ids, name="t5", objective="none")
    assert found.stack == "encoder.block"
    assert found.effective is None
    assert len(found.ranks) == 3


def test_rows_have_the_special_tokens_that_the_model_expects():
    rows = token_rows(tokenizer(masks=True), "a b c d e f g h i j a b c d e f", length=10, rows=5)
    assert rows.tolist() == [[1, 5, 6, 7, 8, 9, 10, 11, 12, 2], [1, 13, 14, 5, 6, 7, 8, 9, 10, 2]]
    bare = token_rows(tokenizer(masks=False), "a b c d e f g h i j", length=100, rows=5)
    assert bare.tolist() == [[5, 6, 7, 8, 9, 10, 11, 12, 13, 14]]
    with pytest.raises(DataError, match="the text has 3 tokens"):
        token_rows(tokenizer(masks=False), "a b c", length=10, rows=1)


def test_special_tokens_are_never_masked():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    config._attn_implementation = "eager"
    model = BertForMaskedLM(config).eval()
    seen: list[torch.Tensor] = []

    def listen(module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        seen.append(arguments[0])

    model.register_forward_pre_hook(listen)
    ids = token_rows(tokenizer(masks=True), TEXT, length=12, rows=3)
    inspect_loaded(model, ids, name="x", objective="masked", mask_token=3, special=[0, 1, 2, 3, 4], mask_rate=0.9)
    assert (seen[0][:, 0] == 1).all()
    assert (seen[0][:, -1] == 2).all()
    assert ((seen[0] == 3).sum(dim=1) > 5).all()


def test_figures_and_numbers_are_written(bert, tmp_path):
    found = inspect_model(str(bert), TEXT, length=20, rows=2)
    paths = write_inspection(found, tmp_path)
    assert [path.name for path in paths] == ["inspection.json", "depth.png", "ranks.png"]
    assert json.loads(paths[0].read_text())["depth"]["cosines"] == list(found.depth.cosines)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths[1:])


def test_the_command(bert, tmp_path, capsys):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    command = ["lab", "inspect", str(bert), str(tmp_path / "text.txt"), "--length", "20", "--out", str(tmp_path / "o")]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "bert.encoder.layer, 8 rows of 20 tokens" in shown
    assert (tmp_path / "o" / "ranks.png").exists()
    assert main(["lab", "inspect", "no/such/model/here", str(tmp_path / "text.txt")]) == 1


def test_what_cannot_be_read_is_told_with_its_reason(tmp_path, capsys):
    (tmp_path / "good.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "broken.pdf").write_bytes(b"no document at all")
    assert _text_of(tmp_path) == TEXT
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("skipped: ")]
    assert len(told) == 1
    assert "broken.pdf" in told[0]
