"""The exported model says what torch says, at every shape, and is used only where it was found faster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ironwok.cli import main
from ironwok.errors import CheckpointError, MissingExtraError, ModelError
from ironwok.models import RoFormerV2Config, RoFormerV2ForNextSentencePrediction
from ironwok.models import onnx as onnx_module
from ironwok.models.onnx import OnnxNextSentence, Timing, export_next_sentence, faster, prepare


def tiny(pooling: str = "segments", *, seed: int = 0, **changes) -> RoFormerV2ForNextSentencePrediction:
    torch.manual_seed(seed)
    config = RoFormerV2Config(
        vocab_size=60, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        pooling=pooling, **changes,
    )  # fmt: skip
    return RoFormerV2ForNextSentencePrediction(config).eval()


@pytest.fixture(scope="module")
def model() -> RoFormerV2ForNextSentencePrediction:
    return tiny()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    assert export_next_sentence(model, path) < 1e-5
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    return path


class Exporter:
    """Gives a file that is there already: the real one takes ten seconds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *_, **__) -> Exporter:
        return self

    def save(self, path: Path, *, external_data: bool) -> None:
        assert not external_data
        path.write_bytes(self.path.read_bytes())


@pytest.mark.parametrize(("rows", "tokens"), [(1, 3), (1, 512), (7, 20), (2, 65)])
def test_batch_and_length_are_open(model, exported, rows, tokens):
    session = OnnxNextSentence(exported, threads=1)
    generator = torch.Generator().manual_seed(rows * tokens)
    inputs = {
        "input_ids": torch.randint(1, 60, (rows, tokens), generator=generator),
        "attention_mask": torch.ones(rows, tokens, dtype=torch.bool),
        "token_type_ids": torch.zeros(rows, tokens, dtype=torch.long),
    }
    inputs["attention_mask"][-1, tokens - tokens // 3 :] = False
    inputs["token_type_ids"][:, tokens // 2 :] = 1
    with torch.inference_mode():
        wanted = model(**inputs).logits
    given = session(**inputs).logits
    assert given.shape == (rows, 2)
    assert torch.allclose(given, wanted, atol=1e-5)
    assert torch.equal(session(**inputs).logits, given)
    alone = {"input_ids": inputs["input_ids"]}  # masks and segments may be left out, as with the model
    with torch.inference_mode():
        assert torch.allclose(session(**alone).logits, model(**alone).logits, atol=1e-5)


def test_the_pooler_of_shared_words_is_exported_too(tmp_path):
    model = tiny("matches", seed=1)
    with torch.no_grad():
        model.roformer.pooler.salience.normal_()
    assert export_next_sentence(model, tmp_path / "model.onnx") < 1e-5


def test_a_model_that_differs_is_not_left_there(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", Exporter(exported))
    with pytest.raises(ModelError, match=r"differs from torch by .* more than 1e-04"):
        export_next_sentence(tiny(seed=2), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_cache_decides_by_what_was_measured(model, exported, tmp_path, monkeypatch):
    monkeypatch.delenv("IRONWOK_ONNX", raising=False)
    place = onnx_module._place(model, tmp_path)
    place.parent.mkdir(parents=True)
    place.write_bytes(exported.read_bytes())
    assert faster(model, cache=tmp_path) is None  # never timed
    for ratio, used in ((1.4, True), (1.01, False)):
        monkeypatch.setattr(onnx_module, "compare_speed", lambda *_, ratio=ratio: Timing(1.0, 1.0 / ratio, ratio))
        prepared = prepare(model, cache=tmp_path)
        assert (prepared.path, prepared.used, prepared.difference) == (place, used, 0.0)
        assert (faster(model, cache=tmp_path) is not None) == used
    monkeypatch.setattr(onnx_module, "compare_speed", lambda *_: Timing(2.0, 1.0, 2.0))
    prepare(model, cache=tmp_path)
    assert faster(model, cache=tmp_path) is not None
    assert faster(tiny(seed=3), cache=tmp_path) is None  # other weights
    assert faster(tiny(norm_eps=1e-6), cache=tmp_path) is None  # another configuration
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    assert faster(model, cache=tmp_path) is None  # not timed for that
    monkeypatch.undo()
    monkeypatch.setenv("IRONWOK_ONNX", "0")
    assert faster(model, cache=tmp_path) is None
    place.with_suffix(".json").write_text("{", encoding="utf-8")
    monkeypatch.delenv("IRONWOK_ONNX")
    assert faster(model, cache=tmp_path) is None


def test_speed_is_compared(model, exported):
    timing = onnx_module.compare_speed(model, OnnxNextSentence(exported), rounds=2)
    assert min(timing.torch, timing.onnx, timing.ratio) > 0


def test_turns_are_timed_after_a_warm_up():
    called = []
    moments = iter(range(100))
    ways = {"one": lambda **inputs: called.append(("one", *inputs)), "two": lambda **inputs: called.append(("two",))}
    seconds = onnx_module.time_in_turns(ways, {"input_ids": torch.ones(1)}, rounds=3, clock=lambda: next(moments))
    assert called == [("one", "input_ids"), ("two",)] * 5
    assert seconds == {"one": [1, 1, 1], "two": [1, 1, 1]}
    assert onnx_module.median_ratio([2.0, 9.0, 8.0], [1.0, 1.0, 2.0]) == 4.0


def test_what_cannot_be_exported_is_told(model, exported, tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="bfloat16 on cpu: only float32"):
        export_next_sentence(tiny().to(torch.bfloat16), tmp_path / "model.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"broken\.onnx: onnxruntime cannot load it"):
        OnnxNextSentence(tmp_path / "broken.onnx")
    monkeypatch.setattr(onnx_module.importlib.util, "find_spec", lambda name: None)
    for act in (lambda: export_next_sentence(model, tmp_path / "model.onnx"), lambda: OnnxNextSentence(exported)):
        with pytest.raises(MissingExtraError, match=r"ironwok\[onnx\]"):
            act()


def test_the_command_writes_a_file(model, exported, tmp_path, capsys, monkeypatch):
    model.save_pretrained(tmp_path / "model")
    monkeypatch.setattr(torch.onnx, "export", Exporter(exported))
    monkeypatch.setenv("IRONWOK_CACHE", str(tmp_path / "cache"))
    assert main(["export-onnx", str(tmp_path / "model"), "--out", str(tmp_path / "sub" / "model.onnx")]) == 0
    assert "differ from torch by" in capsys.readouterr().err
    assert (tmp_path / "sub" / "model.onnx").is_file()
    assert not (tmp_path / "cache").exists()
    assert main(["export-onnx", str(tmp_path / "model")]) == 0
    (verdict,) = (tmp_path / "cache" / "onnx").glob("*.json")
    assert set(json.loads(verdict.read_text())) == {str(torch.get_num_threads())}
