"""Checkpoints of bert4keras and of the PyTorch port, by exactly their names and shapes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer

from ironwok.errors import CheckpointError, MissingHeadError, ModelNotFoundError, OutputError
from ironwok.models import RoFormerV2Config, RoFormerV2ForMaskedLM, RoFormerV2Model, load_model
from ironwok.models.convert import convert, convert_config, convert_state_dict
from ironwok.models.tensor_bundle import TensorBundle, masked_crc32c

FIXTURES = Path(__file__).parent / "fixtures"
# written by TensorFlow: see fixtures/make_bert4keras_checkpoint.py
BERT4KERAS = FIXTURES / "bert4keras-tiny"
RELEASED = {"small": (6, 384, 6), "base": (12, 768, 12), "large": (24, 1024, 16)}


def port_config(size: str = "small", **changes: object) -> dict[str, object]:
    """The config.json of the port's releases, but for fields that say nothing about the architecture."""
    layers, width, heads = RELEASED[size]
    return {
        "architectures": ["RoFormerForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "embedding_size": width,
        "hidden_act": "relu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": width,
        "initializer_range": 0.02,
        "intermediate_size": 4 * width,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "model_type": "roformer",
        "norm_type": "rms_norm",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 0,
        "rotary_value": False,
        "type_vocab_size": 2,
        "use_bias": False,
        "vocab_size": 12000,
    } | changes


def port_state(config: dict[str, object], *, device: str = "cpu") -> dict[str, torch.Tensor]:
    """A state dict of the port's names and shapes."""
    generator = torch.Generator().manual_seed(0)
    width, inner, vocabulary = (int(config[key]) for key in ("hidden_size", "intermediate_size", "vocab_size"))
    heads = int(config["num_attention_heads"])

    def weight(*shape: int) -> torch.Tensor:
        if device == "meta":
            return torch.empty(shape, device="meta")
        return torch.randn(shape, generator=generator) * shape[-1] ** -0.5

    words = weight(vocabulary, width)
    state = {
        "roformer.embeddings.word_embeddings.weight": words,
        "roformer.embeddings.token_type_embeddings.weight": weight(2, width),
        "roformer.encoder.embed_positions.weight": weight(512, width // heads),
        "cls.predictions.decoder.weight": words,
    }
    for layer in range(int(config["num_hidden_layers"])):
        prefix = f"roformer.encoder.layer.{layer}"
        state[f"{prefix}.attention.self.query.weight"] = weight(width, width)
        state[f"{prefix}.attention.self.key.weight"] = weight(width, width)
        state[f"{prefix}.attention.self.value.weight"] = weight(width, width)
        state[f"{prefix}.attention.output.dense.weight"] = weight(width, width)
        state[f"{prefix}.intermediate.dense.weight"] = weight(inner, width)
        state[f"{prefix}.output.dense.weight"] = weight(width, inner)
    return state


TINY_PORT = {"hidden_size": 16, "embedding_size": 16, "intermediate_size": 32, "num_attention_heads": 2}


def write_port(folder: Path, *, pickled: bool, **changes: object) -> dict[str, torch.Tensor]:
    config = port_config(**changes)
    state = port_state(config)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if pickled:
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file({name: tensor.clone() for name, tensor in state.items()}, folder / "model.safetensors")
    return state


@pytest.mark.parametrize("size", list(RELEASED))
def test_released_shapes_fill_our_model_completely(size: str) -> None:
    config = convert_config(port_config(size))
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in RoFormerV2ForMaskedLM(config).state_dict().items()}
    state = port_state(port_config(size), device="meta")
    del state["cls.predictions.decoder.weight"]  # shared; compared below, where there are numbers
    converted = {name: tensor.shape for name, tensor in convert_state_dict(state, config).items()}
    expected.pop("cls.predictions.decoder.weight")
    assert converted == expected


def test_the_golden_checkpoint_of_the_port_has_these_names() -> None:
    """The names above are not our invention: the port itself wrote those of the golden file."""
    golden = np.load(Path(__file__).parents[1] / "parity" / "golden_port_relu.npz")
    written = {name.removeprefix("weight/") for name in golden if name.startswith("weight/")}
    assert set(port_state(port_config(num_hidden_layers=3, **TINY_PORT))) == written


@pytest.mark.parametrize("pickled", [True, False])
def test_the_port_of_the_small_size_loads(pickled: bool, tmp_path: Path) -> None:
    state = write_port(tmp_path, pickled=pickled)
    model = load_model(tmp_path, head="mlm")
    assert type(model) is RoFormerV2ForMaskedLM
    assert (model.config.num_hidden_layers, model.config.hidden_size, model.config.vocab_size) == (6, 384, 12000)
    assert model.config.hidden_act == "relu"
    fused = model.roformer.encoder.blocks[5].attention.branch.query_key_value.weight
    assert torch.equal(fused[384:768], state["roformer.encoder.layer.5.attention.self.key.weight"])
    logits = model(torch.tensor([[101, 5, 6, 102]])).logits
    assert logits.shape == (1, 4, 12000)
    assert torch.isfinite(logits).all()


def test_the_port_loads_by_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the hub's cache on disk, where a download puts it."""
    commit = "0" * 40
    cache = tmp_path / "models--junnyu--roformer_v2_chinese_char_small"
    snapshot = cache / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    state = write_port(snapshot, pickled=True, num_hidden_layers=1, **TINY_PORT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = load_model("junnyu/roformer_v2_chinese_char_small", head="base")
    assert type(model) is RoFormerV2Model
    assert torch.equal(model.get_input_embeddings().weight, state["roformer.embeddings.word_embeddings.weight"])
    with pytest.raises(MissingHeadError, match="next-sentence"):
        load_model("junnyu/roformer_v2_chinese_char_small", head="nsp")
    with pytest.raises(ModelNotFoundError):
        load_model("junnyu/roformer_v2_chinese_char_base", head="base")


def expected_variable(position: int, shape: tuple[int, ...]) -> np.ndarray:
    """What the script that made the fixture put there."""
    numbers = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    return np.sin(numbers * 0.37 + position).astype(np.float32)


def test_reads_what_tensorflow_wrote() -> None:
    bundle = TensorBundle(BERT4KERAS / "bert_model.ckpt")
    assert len(bundle.names()) == 2 + 6 * 2
    order = ["word_embeddings", "token_type_embeddings"]
    np.testing.assert_array_equal(bundle.read(f"bert/embeddings/{order[0]}"), expected_variable(0, (20, 8)))
    np.testing.assert_array_equal(bundle.read(f"bert/embeddings/{order[1]}"), expected_variable(1, (2, 8)))
    kernel = bundle.read("bert/encoder/layer_1/intermediate/dense/kernel")
    np.testing.assert_array_equal(kernel, expected_variable(12, (8, 16)))
    with pytest.raises(CheckpointError, match="no variable 'bert/nothing'"):
        bundle.read("bert/nothing")


@pytest.mark.parametrize("source", [BERT4KERAS, BERT4KERAS / "bert_model.ckpt"])
def test_bert4keras_kernels_are_transposed(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path)
    model = load_model(tmp_path, head="mlm")
    block = model.roformer.encoder.blocks[1]
    torch.testing.assert_close(
        block.feed_forward.branch.up.weight, torch.from_numpy(expected_variable(12, (8, 16))).T, rtol=0, atol=0
    )
    queries = torch.from_numpy(expected_variable(8, (8, 8))).T
    assert torch.equal(block.attention.branch.query_key_value.weight[:8], queries)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer("天地ABB").input_ids == [2, 13, 14, 17, 19, 19, 3]
    assert tokenizer.model_max_length == 512


def test_bert4keras_and_port_of_the_same_weights_agree(tmp_path: Path) -> None:
    bundle = TensorBundle(BERT4KERAS / "bert_model.ckpt")
    state = {}
    for name in bundle.names():
        tensor = torch.from_numpy(bundle.read(name).copy())
        layer = name.replace("bert/", "roformer.", 1).replace("layer_", "layer.").replace("/", ".")
        kernel = layer.endswith(".kernel")
        state[layer.removesuffix(".kernel") + ".weight"] = tensor.T.contiguous() if kernel else tensor
    save_file(state, tmp_path / "model.safetensors")
    config = json.loads((BERT4KERAS / "bert_config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(port_config(**config) | {"embedding_size": 8}))
    ids = torch.tensor([[2, 13, 14, 17, 3]])
    ours, theirs = load_model(BERT4KERAS, head="mlm")(ids).logits, load_model(tmp_path, head="mlm")(ids).logits
    assert torch.equal(ours, theirs)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BERT4KERAS, tmp_path / "copy"))


def test_a_flipped_bit_in_the_index_is_noticed(copied: Path) -> None:
    index = copied / "bert_model.ckpt.index"
    content = bytearray(index.read_bytes())
    content[40] ^= 1
    index.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="checksum"):
        load_model(copied, head="mlm")


@pytest.mark.parametrize("size", [0, 10, 200])
def test_a_cut_off_index_is_noticed(size: int, copied: Path) -> None:
    index = copied / "bert_model.ckpt.index"
    index.write_bytes(index.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="magic number"):
        load_model(copied, head="mlm")


def test_cut_off_and_missing_data(copied: Path) -> None:
    data = copied / "bert_model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="cut off"):
        load_model(copied, head="mlm")
    data.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(copied, head="mlm")


def test_two_checkpoints_in_one_folder(copied: Path) -> None:
    (copied / "other.ckpt.index").write_bytes(b"")
    with pytest.raises(CheckpointError, match="2 TensorFlow checkpoints"):
        load_model(copied, head="mlm")


def test_bert4keras_without_or_with_a_broken_configuration(copied: Path) -> None:
    (copied / "bert_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="no readable JSON"):
        load_model(copied, head="mlm")
    (copied / "bert_config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="no JSON object"):
        load_model(copied, head="mlm")
    (copied / "bert_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"neither bert_config\.json nor config\.json"):
        load_model(copied, head="mlm")


def test_checksum_of_the_standard_example() -> None:
    """CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720, B.4); LevelDB rotates it by 15 bits and adds a constant."""
    crc = 0x8A9136AA
    assert masked_crc32c(bytes(32)) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_bias": True}, "use_bias is True"),
        ({"norm_type": "layer_norm"}, "norm_type is 'layer_norm'"),
        ({"embedding_size": 128}, "embedding_size is 128"),
        ({"rotary_value": True}, "rotary_value is True"),
        ({"is_decoder": True}, "is_decoder is True"),
    ],
)
def test_what_roformer_v2_does_not_have_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        convert_config(port_config(**changes))


def test_configuration_without_sizes() -> None:
    with pytest.raises(CheckpointError, match="'num_hidden_layers'"):
        convert_config({"hidden_size": 8, "vocab_size": 20})


class TestStateDict:
    config = RoFormerV2Config(vocab_size=12000, num_hidden_layers=2, **(TINY_PORT | {"embedding_size": None}))

    def state(self) -> dict[str, torch.Tensor]:
        return port_state(port_config(num_hidden_layers=2, **TINY_PORT))

    def test_foreign_weights(self) -> None:
        extra = {"roformer.encoder.layer.0.attention.self.query.bias": torch.zeros(16)}
        with pytest.raises(CheckpointError, match=r"query\.bias, which RoFormerV2 does not have"):
            convert_state_dict(self.state() | extra, self.config)

    def test_missing_projection(self) -> None:
        state = self.state()
        del state["roformer.encoder.layer.1.attention.self.value.weight"]
        with pytest.raises(CheckpointError, match=r"lacks roformer\.encoder\.layer\.1\.attention\.self\.value"):
            convert_state_dict(state, self.config)

    def test_too_many_layers(self) -> None:
        with pytest.raises(CheckpointError, match="more layers than the 2"):
            convert_state_dict(port_state(port_config(num_hidden_layers=3, **TINY_PORT)), self.config)

    def test_an_output_layer_of_its_own(self) -> None:
        state = self.state()
        state["cls.predictions.decoder.weight"] = state["cls.predictions.decoder.weight"] + 1
        with pytest.raises(CheckpointError, match="shares them"):
            convert_state_dict(state, self.config)


def test_missing_encoder_weights_are_noticed(tmp_path: Path) -> None:
    state = write_port(tmp_path, pickled=True, num_hidden_layers=1, **TINY_PORT)
    del state["roformer.encoder.layer.0.output.dense.weight"]
    torch.save(state, tmp_path / "pytorch_model.bin")
    for attempt in (lambda: load_model(tmp_path, head="mlm"), lambda: convert(tmp_path, tmp_path / "out")):
        with pytest.raises(CheckpointError, match=r"lacks .*feed_forward\.branch\.down\.weight"):
            attempt()


def test_damaged_or_missing_weights_of_the_port(tmp_path: Path) -> None:
    write_port(tmp_path, pickled=True, num_hidden_layers=1, **TINY_PORT)
    (tmp_path / "pytorch_model.bin").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="damaged or holds no weights"):
        load_model(tmp_path, head="mlm")
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        load_model(tmp_path, head="mlm")


def test_what_is_no_released_checkpoint_is_not_converted(tmp_path: Path) -> None:
    RoFormerV2Model(RoFormerV2Config(vocab_size=10, hidden_size=8, num_attention_heads=2)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="no released RoFormerV2"):
        convert(tmp_path, tmp_path / "out")


def test_what_cannot_be_written_is_said_and_nothing_left(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        convert(BERT4KERAS, file)
    with pytest.raises(OutputError, match="cannot be written"):
        convert(BERT4KERAS, file / "inside")
    with pytest.raises(CheckpointError, match="ours already"):
        convert("ironwok-small", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert file.read_text() == "mine"


def test_a_converted_folder_holds_the_model_alone(tmp_path: Path) -> None:
    convert(BERT4KERAS, tmp_path / "out")
    convert(BERT4KERAS, tmp_path / "out")  # again, over itself
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    from ironwok.cli.convert import convert as command

    app = typer.Typer()
    app.command()(command)
    app([str(BERT4KERAS), str(tmp_path / "out")], standalone_mode=False)
    assert str(tmp_path / "out") in capsys.readouterr().err
    assert type(load_model(tmp_path / "out", head="mlm")) is RoFormerV2ForMaskedLM
