from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel

from ironwok.errors import ConfigError, InputError
from ironwok.models import GPLinkerConfig, GPLinkerModel, RoFormerV2Config, RoFormerV2Model
from ironwok.nn.losses import dense_multilabel_loss

Tiny = Callable[..., RoFormerV2Config]


def make(tiny: Tiny, **choices: object) -> GPLinkerModel:
    torch.manual_seed(0)
    sizes = {"span_classes": 3, "head_width": 4, "link_head_width": 4, "head_dropout": 0.0}
    return GPLinkerModel(GPLinkerConfig(encoder=tiny(), **(sizes | choices)))


@pytest.fixture
def inputs(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    special = 1 - batch["attention_mask"]
    special[:, 0] = 1
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "special_tokens_mask": special}


def test_shapes_and_masks(tiny: Tiny, inputs: dict[str, torch.Tensor]) -> None:
    output = make(tiny).eval()(**inputs)
    assert output.spans.shape == (3, 3, 9, 9)
    assert output.heads.shape == output.tails.shape == (3, 1, 9, 9)
    usable = inputs["special_tokens_mask"][1] == 0
    assert torch.isfinite(output.spans[1, 0]).equal((usable[:, None] & usable[None, :]).triu())


def test_links_of_relations_lead_both_ways_and_entities_have_none(tiny: Tiny, inputs: dict[str, torch.Tensor]) -> None:
    relations = make(tiny, task="relations", link_classes=5).eval()(**inputs)
    assert torch.isfinite(relations.heads[0, :, 7, 2]).all()
    assert relations.heads.shape == (3, 5, 9, 9)
    entities = make(tiny, task="entities", link_classes=0).eval()(**inputs)
    assert entities.heads is None
    assert entities.tails is None


def test_an_anchor_opens_the_first_token(tiny: Tiny, inputs: dict[str, torch.Tensor]) -> None:
    assert torch.isneginf(make(tiny).eval()(**inputs).spans[:, :, 0]).all()
    assert torch.isfinite(make(tiny, anchor=True).eval()(**inputs).spans[0, :, 0, 0]).all()


def right_cells() -> dict[str, torch.Tensor]:
    return {
        "right_spans": torch.tensor([[0, 0, 1, 2], [0, 2, 4, 4], [1, 1, 3, 5]]),
        "right_heads": torch.tensor([[0, 0, 1, 4]]),
        "right_tails": torch.tensor([[0, 0, 2, 4]]),
    }


@pytest.mark.parametrize("pointer", ["efficient", "global"])
def test_the_loss_by_its_definition(pointer: str, tiny: Tiny, inputs: dict[str, torch.Tensor]) -> None:
    model = make(tiny, pointer=pointer).eval()
    tables = model(**inputs)
    weights = torch.tensor([1.0, 3.0, 0.0])
    expected = []
    for table, right in zip((tables.spans, tables.heads, tables.tails), right_cells().values(), strict=True):
        labels = torch.zeros_like(table, dtype=torch.bool)
        labels[right.unbind(1)] = True
        rows = dense_multilabel_loss(table.flatten(2).flatten(0, 1), labels.flatten(2).flatten(0, 1))
        expected.append((rows.view(3, -1).sum(1) * weights / 4).sum())
    loss = model(**inputs, **right_cells(), weights=weights).loss
    torch.testing.assert_close(loss, torch.stack(expected).mean(), rtol=1e-5, atol=1e-5)


def test_saves_and_loads_with_its_schema(tiny: Tiny, inputs: dict[str, torch.Tensor], tmp_path: Path) -> None:
    model = make(tiny, schema={"event": [{"type": "收购"}]}, max_tokens=20)
    model.save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, GPLinkerConfig)
    assert config.schema == {"event": [{"type": "收购"}]}
    assert isinstance(config.encoder, RoFormerV2Config)
    again = AutoModel.from_pretrained(tmp_path)
    assert isinstance(again, GPLinkerModel)
    with torch.inference_mode():
        torch.testing.assert_close(again.eval()(**inputs).spans, model.eval()(**inputs).spans)


def test_takes_the_encoder_of_a_folder_without_its_pooler(tiny: Tiny, tmp_path: Path) -> None:
    torch.manual_seed(1)
    encoder = RoFormerV2Model(tiny())
    encoder.save_pretrained(tmp_path)
    model = GPLinkerModel.from_encoder(str(tmp_path), span_classes=2)
    kept = model.encoder.state_dict()
    assert not any("pooler" in name for name in kept)
    for name, value in encoder.state_dict().items():
        if "pooler" not in name:
            torch.testing.assert_close(kept[name], value)
    assert str(tmp_path) not in model.config.to_json_string(), "a path of this machine is nobody's business"
    assert model.spans.kinds.bias.max().item() == -4.0  # pyright: ignore


def test_padding_changes_nothing(tiny: Tiny, inputs: dict[str, torch.Tensor]) -> None:
    model = make(tiny).eval()
    alone = {name: value[2:, :4] for name, value in inputs.items()}
    with torch.inference_mode():
        torch.testing.assert_close(model(**inputs).spans[2, :, :4, :4], model(**alone).spans[0], rtol=1e-4, atol=1e-4)


def test_gradients_reach_everything(tiny: Tiny, inputs: dict[str, torch.Tensor]) -> None:
    model = make(tiny)
    model(**inputs, **right_cells()).loss.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None and "token_type" not in name]
    assert without == []


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"task": "verbs"}, "'verbs' is none of"),
        ({"pointer": "laser"}, "'laser' is none of"),
        ({"span_classes": 0}, "span_classes is 0"),
        ({"task": "entities", "link_classes": 1}, "does not fit the task 'entities'"),
        ({"task": "relations", "link_classes": 0}, "does not fit the task 'relations'"),
    ],
)
def test_refuses_what_contradicts_itself(choices: dict[str, object], message: str, tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match=message):
        make(tiny, **choices)


def test_refuses_inputs_that_are_not_there(tiny: Tiny, inputs: dict[str, torch.Tensor]) -> None:
    model = make(tiny)
    with pytest.raises(InputError, match="are needed"):
        model(input_ids=inputs["input_ids"])
    with pytest.raises(InputError, match="right cells have shape"):
        model(**inputs, right_spans=torch.zeros(2, 3, dtype=torch.long))
    with pytest.raises(InputError, match="masked"):
        model(**inputs, **(right_cells() | {"right_spans": torch.tensor([[0, 0, 3, 1]])}))
    with pytest.raises(ConfigError, match="no encoder"):
        GPLinkerModel(GPLinkerConfig())


def test_pointers_of_another_width_are_not_taken_over(tiny: Tiny) -> None:
    with pytest.raises(InputError, match="do not fit"):
        make(tiny).take_over(make(tiny, head_width=8), spans={0: 0}, links={})
