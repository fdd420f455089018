"""Heads of supervised tasks beside one encoder: trained together, kept in files of their own, taken out one by one.

A model folder with heads holds ``heads.safetensors`` and ``heads.json`` beside what `RoFormerV2ForPreTraining` saves,
and loads as it would without them. `load_task_head` makes one of the classes of :mod:`ironwok.models.heads` of them.
"""

# B rows, L tokens, D width, N outputs

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ironwok.errors import CheckpointError, MissingHeadError
from ironwok.models.bundled import resolve_model
from ironwok.models.configuration import RoFormerV2Config
from ironwok.models.heads import (
    RoFormerV2ForMultipleChoice,
    RoFormerV2ForQuestionAnswering,
    RoFormerV2ForSequenceClassification,
    RoFormerV2ForTokenClassification,
)
from ironwok.models.loading import quiet
from ironwok.models.poolers import pooled_size

Form = Literal["single", "pair", "choice", "reading", "entities"]

WEIGHTS, FACTS = "heads.safetensors", "heads.json"
_CLASSES = {
    "single": RoFormerV2ForSequenceClassification,
    "pair": RoFormerV2ForSequenceClassification,
    "choice": RoFormerV2ForMultipleChoice,
    "reading": RoFormerV2ForQuestionAnswering,
    "entities": RoFormerV2ForTokenClassification,
}
_ON_TOKENS = ("reading", "entities")


@dataclass(frozen=True, slots=True)
class TaskHead:
    """What a head is for.

    labels: its outputs in order: classes of "single" and "pair", "O", "B-…", "I-…" of "entities"; empty for "choice"
    (one score a choice) and "reading" (first and last token).
    """

    name: str
    form: Form
    labels: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        return {"choice": 1, "reading": 2}.get(self.form, len(self.labels))

    @property
    def on_tokens(self) -> bool:
        """Whether it looks at each token's hidden state, or at what the pooler makes of the row."""
        return self.form in _ON_TOKENS


class TaskHeads(nn.Module):
    """One linear layer a task, on the encoder's hidden states or its pooler, as the classes of `heads` have it.

    seed: of the starting weights; the global state of torch's generator is left alone.
    """

    def __init__(self, heads: Sequence[TaskHead], config: RoFormerV2Config, *, seed: int = 0) -> None:
        super().__init__()
        self.heads = tuple(heads)
        sizes = [config.hidden_size if head.on_tokens else pooled_size(config) for head in self.heads]
        rate = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.dropout = nn.Dropout(float(rate))
        layers = [
            nn.utils.skip_init(nn.Linear, size, head.outputs) for size, head in zip(sizes, self.heads, strict=True)
        ]
        generator = torch.Generator().manual_seed(seed)
        for layer in layers:
            assert isinstance(layer, nn.Linear)
            nn.init.trunc_normal_(layer.weight, std=layer.in_features**-0.5, a=-2.0, b=2.0, generator=generator)
            nn.init.zeros_(layer.bias)
        self.layers = nn.ModuleList(layers)

    def forward(self, number: int, hidden_BLD: Tensor, pooled_BD: Tensor) -> Tensor:
        """Logits of head ``number``: [B, L, N] for tasks on tokens, else [B, N]."""
        features = hidden_BLD if self.heads[number].on_tokens else pooled_BD
        return self.layers[number](self.dropout(features))

    def save(self, folder: Path) -> None:
        weights = {
            f"{head.name}.{name}": tensor.detach().cpu().contiguous()
            for head, layer in zip(self.heads, self.layers, strict=True)
            for name, tensor in layer.named_parameters()
        }
        save_file(weights, folder / WEIGHTS)
        facts = [asdict(head) for head in self.heads]
        (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def load(self, folder: Path, *, partly: bool = False) -> list[str]:
        """Take the weights of a folder; the names of heads that it does not hold.

        partly: a head may be missing, or be for other labels; it then stays as it is. Raises CheckpointError.
        """
        if partly and not (folder / FACTS).is_file():
            return [head.name for head in self.heads]
        kept, weights = read_heads(folder)
        left: list[str] = []
        for head, layer in zip(self.heads, self.layers, strict=True):
            if head in kept:
                layer.load_state_dict({name: weights[f"{head.name}.{name}"] for name in ("weight", "bias")})
            else:
                left.append(head.name)
        if left and not partly:
            raise CheckpointError(f"{folder} holds heads for {[one.name for one in kept]}, none that fits {left}")
        return left


def read_heads(folder: Path) -> tuple[list[TaskHead], dict[str, Tensor]]:
    """The heads of a model folder, and their weights by ``NAME.weight`` and ``NAME.bias``.

    Raises MissingHeadError where it has none, CheckpointError where they cannot be read.
    """
    if not (folder / FACTS).is_file():
        raise MissingHeadError(f"{folder} has no {FACTS}: the model was trained without heads of tasks")
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        heads = [TaskHead(**{**fact, "labels": tuple(fact["labels"])}) for fact in facts]
        weights = load_file(folder / WEIGHTS)
        sizes = {f"{head.name}.weight": head.outputs for head in heads}
        wrong = [name for name, size in sizes.items() if weights[name].shape[0] != size]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"the task heads of {folder} cannot be read ({error})") from error
    if wrong:
        raise CheckpointError(f"{folder}: {', '.join(wrong)} do not have as many rows as {FACTS} says")
    return heads, weights


def load_task_head(
    model: str | os.PathLike[str], task: str
) -> (
    RoFormerV2ForSequenceClassification
    | RoFormerV2ForMultipleChoice
    | RoFormerV2ForQuestionAnswering
    | RoFormerV2ForTokenClassification
):
    """A model with the head of one task that it was trained on, in evaluation mode, its labels in the configuration.

    model: a folder, or a bundled name. Inputs are those of the training: "single" reads the text alone, "pair" both
    sentences, "choice" the passage and then question and choice, "reading" the question and then the context.
    Raises MissingHeadError for a task without a head, CheckpointError for files that cannot be read.
    """
    folder = Path(resolve_model(model))
    heads, weights = read_heads(folder)
    found = [head for head in heads if head.name == task]
    if not found:
        raise MissingHeadError(f"{folder} has no head for {task!r}; it has {', '.join(head.name for head in heads)}")
    head = found[0]
    labels = dict(enumerate(head.labels)) or {number: f"LABEL_{number}" for number in range(head.outputs)}
    numbers = {label: number for number, label in labels.items()}
    with quiet():
        loaded = _CLASSES[head.form].from_pretrained(folder, id2label=labels, label2id=numbers)
    loaded.classifier.load_state_dict({name: weights[f"{task}.{name}"] for name in ("weight", "bias")})
    return loaded.eval()
