"""Models by name, with the head that is asked for, or a clear error."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, BertModel, GPT2Config, GPT2Model
from transformers.utils import logging

from ironwok.errors import CheckpointError, InputError, MissingHeadError, ModelNotFoundError
from ironwok.models import (
    RoFormerV2Config,
    RoFormerV2ForMaskedLM,
    RoFormerV2ForNextSentencePrediction,
    RoFormerV2ForPreTraining,
    RoFormerV2Model,
    bundled,
    bundled_names,
    has_head,
    load_model,
    resolve_model,
)

Make = Callable[..., RoFormerV2Config]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def folder(tiny: Make, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    RoFormerV2ForPreTraining(tiny()).save_pretrained(tmp_path / "ours")
    return tmp_path / "ours"


@pytest.fixture
def bert() -> BertConfig:
    return BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("base", RoFormerV2Model),
        ("mlm", RoFormerV2ForMaskedLM),
        ("nsp", RoFormerV2ForNextSentencePrediction),
        ("pretraining", RoFormerV2ForPreTraining),
    ],
)
def test_loads_our_own(head: str, expected: type, folder: Path) -> None:
    model = load_model(folder, head=head)
    assert type(model) is expected
    assert not model.training
    assert model.dtype == torch.float32
    assert load_model(folder, head=head, dtype=torch.bfloat16).dtype == torch.bfloat16
    encoder = RoFormerV2ForPreTraining.from_pretrained(folder).roformer.encoder.state_dict()
    ours = (model if head == "base" else model.roformer).encoder.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in encoder.items())


def test_a_bundled_name_loads_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "WEIGHTS", folder.parent)
    (folder / "tokenizer.json").write_text("{}")
    assert bundled_names() == ("ours",)
    assert resolve_model("ours") == str(folder)
    assert type(load_model("ours", head="nsp")) is RoFormerV2ForNextSentencePrediction


def test_loads_other_families(bert: BertConfig, tmp_path: Path) -> None:
    BertForPreTraining(bert).save_pretrained(tmp_path)
    assert type(load_model(tmp_path, head="nsp")).__name__ == "BertForNextSentencePrediction"
    assert type(load_model(tmp_path, head="mlm")).__name__ == "BertForMaskedLM"
    assert type(load_model(tmp_path, head="base")).__name__ == "BertModel"
    assert type(load_model(tmp_path, head="pretraining")).__name__ == "BertForPreTraining"


def test_heads_without_weights_are_refused_not_made_up(bert: BertConfig, tmp_path: Path) -> None:
    BertForMaskedLM(bert).save_pretrained(tmp_path)
    assert type(load_model(tmp_path, head="mlm")).__name__ == "BertForMaskedLM"
    for head in ("nsp", "pretraining"):
        with pytest.raises(MissingHeadError, match="no weights for a next-sentence head"):
            load_model(tmp_path, head=head)
    BertModel(bert).save_pretrained(tmp_path)
    with pytest.raises(MissingHeadError, match="no weights for a masked-LM head"):
        load_model(tmp_path, head="mlm")
    assert type(load_model(tmp_path, head="base")).__name__ == "BertModel"


def test_our_encoder_alone_has_no_heads(tiny: Make, tmp_path: Path) -> None:
    RoFormerV2Model(tiny()).save_pretrained(tmp_path)
    assert type(load_model(tmp_path, head="base")) is RoFormerV2Model
    with pytest.raises(MissingHeadError, match="next-sentence"):
        load_model(tmp_path, head="nsp")
    # its masked-LM head is the token embedding, so there is nothing that could be missing
    assert type(load_model(tmp_path, head="mlm")) is RoFormerV2ForMaskedLM


def test_has_head(bert: BertConfig, tmp_path: Path) -> None:
    BertForMaskedLM(bert).save_pretrained(tmp_path)
    model, info = BertForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert [has_head(model, info, head) for head in ("base", "mlm", "nsp")] == [True, True, False]
    BertForPreTraining(bert).save_pretrained(tmp_path)
    model, info = BertForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert [has_head(model, info, head) for head in ("base", "mlm", "nsp")] == [True, True, True]
    model, info = BertModel.from_pretrained(tmp_path, output_loading_info=True)
    assert [has_head(model, info, head) for head in ("base", "mlm", "nsp")] == [True, False, False]


def test_a_family_without_the_head(tmp_path: Path) -> None:
    GPT2Model(GPT2Config(vocab_size=10, n_embd=8, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    with pytest.raises(MissingHeadError, match="'gpt2' model, and that family has not a next-sentence head"):
        load_model(tmp_path, head="nsp")


def test_an_unknown_head(folder: Path) -> None:
    with pytest.raises(InputError, match="'sop' is none of base, mlm, nsp, pretraining"):
        load_model(folder, head="sop")


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_damaged_weights(content: bytes | None, folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100] if content is None else content)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_model(folder, head="nsp")


def test_damaged_pickled_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_model(folder, head="nsp")


def test_missing_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_model(folder, head="nsp")


def test_weights_of_something_else(folder: Path) -> None:
    save_file({"something.else": torch.zeros(2)}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks 10 weights of a RoFormerV2ForNextSentencePrediction"):
        load_model(folder, head="nsp")


def test_weights_of_another_size(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_model(folder, head="mlm")


@pytest.mark.parametrize("content", ["{", '{"model_type": "nonesuch"}', "{}"])
def test_unusable_configurations(content: str, folder: Path) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_model(folder, head="base")


def test_folder_without_configuration(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json: name a folder"):
        load_model(tmp_path, head="base")


def test_nothing_of_that_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ironwok-small").mkdir()
    (tmp_path / "ironwok-small" / "tokenizer.json").write_text("{}")
    monkeypatch.setattr(bundled, "WEIGHTS", tmp_path)
    with pytest.raises(ModelNotFoundError, match="did you mean 'ironwok-small'"):
        load_model("ironwok-smal", head="nsp")
    with pytest.raises(ModelNotFoundError, match=r"neither bundled nor a folder.*ironwok-small"):
        load_model("nobody/nothing", head="nsp")
    for path in ("./missing", "/no/such/folder", "a/b/c", ""):
        with pytest.raises(ModelNotFoundError, match="there is no folder"):
            load_model(path, head="nsp")
    file = tmp_path / "model.bin"
    file.write_bytes(b"")
    with pytest.raises(ModelNotFoundError, match="is a file"):
        load_model(file, head="nsp")


def test_a_mistyped_name_of_ours_is_said_before_the_hub_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironwok.models.bundled.bundled_names", lambda: ("ironwok-small",))
    for name in ("ironwok-smal", "Ironwok-small", "ironwoksmall", "ironwok_small"):
        with pytest.raises(ModelNotFoundError, match=f"no folder '{name}': did you mean 'ironwok-small'"):
            resolve_model(name)
    for name in ("albert-small", "someone/ironwok-small"):
        assert resolve_model(name) == name


@pytest.mark.parametrize("status", [None, 401, 404])
def test_the_hub_is_asked_once_and_failure_is_one_line(
    status: int | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(status or 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The test reads what is said; the server keeps silent."""

    def never(_: float) -> None:
        raise AssertionError("it waited to try again")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        if status is None:
            server.shutdown()
            server.server_close()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", never)
        with pytest.raises(ModelNotFoundError, match=r"^'nobody/nothing' is neither bundled nor a folder") as caught:
            load_model("nobody/nothing", head="nsp")
        server.shutdown()
    assert ("cannot be asked" if status is None else "has no such model") in str(caught.value)
    assert len(asked) == (0 if status is None else 1)
    assert "\n" not in str(caught.value)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_a_hub_id_passes_through() -> None:
    assert resolve_model("google-bert/bert-base-chinese") == "google-bert/bert-base-chinese"
    assert resolve_model("bert-base-chinese") == "bert-base-chinese"


def test_loading_is_quiet_and_leaves_settings_alone(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    load_model(folder, head="base")  # leaves heads unread, which transformers would report at length
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
