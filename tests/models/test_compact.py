"""Packed weights: how far off they are, and that folders with them load like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from ironwok.errors import CheckpointError
from ironwok.models import GPLinkerConfig, GPLinkerModel, load_model
from ironwok.models.compact import FILE, pack, read_packed, unpack, write_packed


def test_a_weight_moves_by_half_a_quantum_of_its_row_at_most() -> None:
    matrix = torch.randn(9, 40, generator=torch.Generator().manual_seed(0)) * torch.logspace(-4, 3, 9)[:, None]
    matrix[4] = 0.0
    vector = torch.randn(7, generator=torch.Generator().manual_seed(1))
    packed = pack({"a": matrix, "b": vector})
    assert packed["quanta.a"].dtype == torch.int8
    again = unpack(packed)
    assert list(again) == ["a", "b"]
    assert again["b"].equal(vector)
    quantum = matrix.abs().amax(dim=1, keepdim=True) / 127
    assert ((again["a"] - matrix).abs() <= 0.5001 * quantum).all()
    assert again["a"][4].equal(torch.zeros(40))


def packed_folder(tiny, folder: Path) -> GPLinkerModel:
    torch.manual_seed(0)
    model = GPLinkerModel(GPLinkerConfig(encoder=tiny(), span_classes=3, head_width=4, link_head_width=4)).eval()
    model.config.save_pretrained(folder)
    write_packed(model.state_dict(), folder)
    return model


def test_a_folder_with_packed_weights_loads(tiny, batch: dict[str, torch.Tensor], tmp_path: Path) -> None:
    model = packed_folder(tiny, tmp_path)
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    inputs["special_tokens_mask"] = 1 - batch["attention_mask"]
    wanted = model(**inputs).spans
    for loaded in (AutoModel.from_pretrained(tmp_path), load_model(str(tmp_path), head="base")):
        spans = loaded.eval()(**inputs).spans
        inside = torch.isfinite(wanted)
        assert torch.isfinite(spans).equal(inside)
        torch.testing.assert_close(spans[inside], wanted[inside], rtol=0.05, atol=0.05)
        state = unpack(pack(model.state_dict()))
        for name, value in loaded.state_dict().items():
            torch.testing.assert_close(value, state[name])
    assert AutoModel.from_pretrained(tmp_path, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_damage_is_told(tiny, tmp_path: Path) -> None:
    packed_folder(tiny, tmp_path)
    tensors = load_file(tmp_path / FILE)
    name = next(one for one in tensors if one.startswith("scale."))
    save_file({key: value for key, value in tensors.items() if key != name}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="without the scales"):
        read_packed(tmp_path)
    (tmp_path / FILE).write_bytes(b"x" * 64)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(str(tmp_path), head="base")
    with pytest.raises(CheckpointError, match="not finite"):
        pack({"a": torch.full((2, 2), torch.nan)})
