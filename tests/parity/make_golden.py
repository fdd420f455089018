"""Numbers of two independent RoFormerV2 implementations on tiny random weights, for `test_golden.py`.

Each needs an environment of its own, as both want old or heavy packages::

    python -m venv port && port/bin/pip install torch==2.13.0 transformers==4.40.2 "numpy<2" roformer==0.4.3
    port/bin/python make_golden.py port
    python -m venv keras && keras/bin/pip install tensorflow-cpu==2.21.0 keras-hub
    keras/bin/python make_golden.py keras

"port" (PyPI `roformer`, the PyTorch port) writes weights, inputs, hidden states, logits, masked-LM loss and gradients;
"keras" (PyPI `keras-hub`) reads those weights and writes what it makes of the same inputs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SIZES = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 48,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
}
LENGTHS = (19, 11, 2)  # real tokens of each row; the rest is padding


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(9632)
    shape = (len(LENGTHS), max(LENGTHS))
    real = np.arange(shape[1])[None] < np.array(LENGTHS)[:, None]
    token_ids = np.where(real, rng.integers(5, SIZES["vocab_size"], shape), 0)
    segments = np.where(real, np.arange(shape[1])[None] >= np.array(LENGTHS)[:, None] // 2, 0)
    labels = np.where(real & (rng.random(shape) < 0.4), rng.integers(5, SIZES["vocab_size"], shape), -100)
    return {
        "input_ids": token_ids.astype(np.int64),
        "token_type_ids": segments.astype(np.int64),
        "attention_mask": real.astype(np.int64),
        "labels": labels.astype(np.int64),
    }


def make_port() -> None:
    import torch
    from roformer import RoFormerConfig, RoFormerForMaskedLM

    for activation in ("relu", "gelu"):
        config = RoFormerConfig(
            **SIZES, hidden_act=activation, norm_type="rms_norm", use_bias=False, rotary_value=False, pad_token_id=0
        )
        torch.manual_seed(0)
        model = RoFormerForMaskedLM(config).eval()
        with torch.no_grad():  # larger than at the start of training, so that every part matters in the result
            for name, parameter in model.named_parameters():
                if "embed_positions" not in name:
                    parameter.normal_(std=0.3)
        model.tie_weights()
        batch = {name: torch.from_numpy(value) for name, value in inputs().items()}
        output = model(**batch, output_hidden_states=True)
        output.loss.backward()
        numbers = {f"input/{name}": value for name, value in inputs().items()}
        numbers |= {f"weight/{name}": tensor.numpy() for name, tensor in model.state_dict().items()}
        numbers |= {
            f"gradient/{name}": parameter.grad.numpy()
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }
        for number, hidden in enumerate(output.hidden_states):
            numbers[f"output/hidden_{number}"] = hidden.detach().numpy()
        numbers["output/logits"] = output.logits.detach().numpy()
        numbers["output/loss"] = output.loss.detach().numpy()
        np.savez_compressed(HERE / f"golden_port_{activation}.npz", **numbers)


def make_keras() -> None:
    import keras_hub

    golden = np.load(HERE / "golden_port_relu.npz")
    weights = {name.removeprefix("weight/"): golden[name] for name in golden if name.startswith("weight/")}
    backbone = keras_hub.models.RoformerV2Backbone(
        vocabulary_size=SIZES["vocab_size"],
        num_layers=SIZES["num_hidden_layers"],
        num_heads=SIZES["num_attention_heads"],
        hidden_dim=SIZES["hidden_size"],
        intermediate_dim=SIZES["intermediate_size"],
        max_wavelength=10000,
        head_size=SIZES["hidden_size"] // SIZES["num_attention_heads"],
        use_bias=False,
        activation="relu",
        dropout=0.0,
        num_segments=SIZES["type_vocab_size"],
    )
    parts = {
        "q_dense": "attention.self.query",
        "k_dense": "attention.self.key",
        "v_dense": "attention.self.value",
        "o_dense": "attention.output.dense",
        "feedforward_intermediate": "intermediate.dense",
        "feedforward_output": "output.dense",
    }
    gains = {}  # this implementation has gains in its norms, at 1 in the released presets
    for variable in backbone.weights:
        path = variable.path
        layer = next((n for n in range(SIZES["num_hidden_layers"]) if f"layer_{n}/" in path), None)
        if path.endswith("norm/scale"):
            value = gains[path.replace("/", ".")] = np.random.default_rng(len(gains)).uniform(0.5, 1.5, variable.shape)
        elif "token" in path:
            value = weights["roformer.embeddings.word_embeddings.weight"]
        elif "segment" in path:
            value = weights["roformer.embeddings.token_type_embeddings.weight"]
        else:
            name = next(ours for theirs, ours in parts.items() if theirs in path)
            value = weights[f"roformer.encoder.layer.{layer}.{name}.weight"].T
        variable.assign(value)
    batch = inputs()
    numbers = {f"gain/{name}": value.astype(np.float32) for name, value in gains.items()}
    # row by row without padding: on TensorFlow, this implementation lets real tokens attend to padding
    for row, length in enumerate(LENGTHS):
        hidden = backbone(
            {
                "token_ids": batch["input_ids"][row : row + 1, :length].astype(np.int32),
                "segment_ids": batch["token_type_ids"][row : row + 1, :length].astype(np.int32),
            }
        )
        numbers[f"hidden/{row}"] = np.asarray(hidden)[0]
    np.savez_compressed(HERE / "golden_keras_relu.npz", **numbers)


if __name__ == "__main__":
    {"port": make_port, "keras": make_keras}[sys.argv[1]]()
