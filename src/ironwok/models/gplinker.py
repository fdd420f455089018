"""GPLinker: pointers on any encoder, for events, entities and relations.

::

    input_ids -> encoder -> hidden states -> spans   [B, span classes, L, L]   who fills which role, is which entity
                                          └> heads   [B, link classes, L, L]   first tokens of two spans of one event
                                          └> tails   [B, link classes, L, L]   their last tokens

Sources: kexue.fm 8888 (relations), 8926 (events). What the classes mean is the business of `ironwok.events`; here they
are numbers, and ``config.schema`` is carried along unread.
"""

# B texts, L tokens, D width, C classes, K right cells

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.utils.generic import ModelOutput

from ironwok.errors import ConfigError, InputError
from ironwok.models.compact import read_packed
from ironwok.models.loading import load_model
from ironwok.models.roformer_v2 import plain_or_dict
from ironwok.nn.initialization import fresh_values
from ironwok.nn.pointer import POINTERS, STARTING_BIAS, KindLinear, Pointer
from ironwok.nn.rotary import Rotary

TASKS = ("events", "entities", "relations")
FIRST_TOKEN = 0  # stands for the text as a whole, where something holds of it that stands nowhere


class GPLinkerConfig(PreTrainedConfig):
    """An encoder and the pointers on it.

    encoder: configuration of the encoder, of any family.
    task: "events", "entities" or "relations". schema: what is looked for, as plain JSON; not looked into here.
    span_classes: at least 1. link_classes: 1 for events, the number of predicates for relations, 0 for entities.
    pointer: "efficient" or "global"; head_width: of the spans, link_head_width: of the links.
    anchor: the first token may be a span of its own, and be linked: for what holds without standing in the text.
    max_tokens: longest input that was trained on, special tokens included; longer texts are read in windows.
    head_dropout: on the hidden states, before the pointers.
    threshold, link_threshold: the log-odds above which a span and a link count, as chosen after training.

    Raises ConfigError where two values contradict each other.
    """

    model_type = "gplinker"
    # read by transformers as a plain class attribute
    sub_configs = {"encoder": AutoConfig}  # noqa: RUF012  # pyright: ignore[reportAssignmentType]

    encoder: PreTrainedConfig | dict | None = None
    task: str = "events"
    schema: dict | None = None
    span_classes: int = 1
    link_classes: int = 1
    pointer: str = "efficient"
    head_width: int = 64
    link_head_width: int = 64
    anchor: bool = False
    max_tokens: int = 256
    head_dropout: float | int = 0.1
    threshold: float | int = 0.0
    link_threshold: float | int = 0.0
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs) -> None:
        if isinstance(self.encoder, dict):
            self.encoder = AutoConfig.for_model(**self.encoder)
        super().__post_init__(**kwargs)
        if self.task not in TASKS:
            raise ConfigError(f"task {self.task!r} is none of {', '.join(TASKS)}")
        if self.pointer not in POINTERS:
            raise ConfigError(f"pointer {self.pointer!r} is none of {', '.join(POINTERS)}")
        if self.span_classes < 1:
            raise ConfigError(f"span_classes is {self.span_classes}: there must be at least 1")
        if (self.link_classes > 0) == (self.task == "entities"):
            raise ConfigError(f"link_classes is {self.link_classes}, which does not fit the task {self.task!r}")


@dataclass
class GPLinkerOutput(ModelOutput):
    """loss: where right cells were given: summed over classes, mean over texts, mean over pointers.

    spans: float32 [B, span classes, L, L], -inf where no span can be. heads, tails: [B, link classes, L, L], None for
    entities. All None where only the loss was asked for.
    """

    loss: Tensor | None = None
    spans: Tensor | None = None
    heads: Tensor | None = None
    tails: Tensor | None = None


class GPLinkerModel(PreTrainedModel):
    """The encoder and its pointers. `from_encoder` puts fresh pointers on a pre-trained encoder."""

    config_class = GPLinkerConfig
    config: GPLinkerConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config: GPLinkerConfig) -> None:
        super().__init__(config)
        if not isinstance(config.encoder, PreTrainedConfig):
            raise ConfigError("the configuration names no encoder: make models with GPLinkerModel.from_encoder")
        self.encoder = bare_encoder(config.encoder)
        width = config.encoder.hidden_size
        make = POINTERS[config.pointer]
        self.dropout = nn.Dropout(float(config.head_dropout))
        self.spans = make(width, config.span_classes, head_width=config.head_width)
        self.heads: Pointer | None = None
        self.tails: Pointer | None = None
        if config.link_classes:
            choices: dict[str, Any] = {
                "head_width": config.link_head_width,
                "rotary": False,
                "triangle": config.task == "events",  # links of events have no direction
            }
            self.heads = make(width, config.link_classes, **choices)
            self.tails = make(width, config.link_classes, **choices)
        self.post_init()

    @classmethod
    def from_encoder(cls, name_or_path: str, **choices: Any) -> GPLinkerModel:
        """Fresh pointers, drawn from torch's generator, on the encoder of a bundled name, folder or hub id.

        A GPLinker model gives the encoder that it was trained with; its pointers can be had by `take_over`.
        choices: values of `GPLinkerConfig`. Raises as `ironwok.models.load_model` does.
        """
        pretrained = load_model(name_or_path, head="base")
        if isinstance(pretrained, GPLinkerModel):
            pretrained = pretrained.encoder
        pretrained.config._name_or_path = ""  # a path of this machine has no place in a saved model
        model = cls(GPLinkerConfig(encoder=pretrained.config, **choices))
        wanted = model.encoder.state_dict().keys()
        model.encoder.load_state_dict(
            {name: value for name, value in pretrained.state_dict().items() if name in wanted}
        )
        return model

    @classmethod
    def from_pretrained(cls, name_or_path: Any, *arguments: Any, **choices: Any) -> Any:
        """As of `PreTrainedModel`, for folders with packed weights (`ironwok.models.compact`) too."""
        folder = None if name_or_path is None else Path(name_or_path)
        packed = None if folder is None or not folder.is_dir() else read_packed(folder)
        if folder is None or packed is None:
            return super().from_pretrained(name_or_path, *arguments, **choices)
        config = choices.pop("config", None) or GPLinkerConfig.from_pretrained(str(folder))
        return super().from_pretrained(None, *arguments, config=config, state_dict=packed, **choices)

    def take_over(self, other: GPLinkerModel, *, spans: Mapping[int, int], links: Mapping[int, int]) -> None:
        """Start from the pointers of another model with the same encoder and the same kind and width of pointers.

        spans, links: which class of the other model each of ours was; classes that are not named stay fresh.
        Raises InputError for pointers of another kind or width.
        """
        names = ("pointer", "head_width", "link_head_width")
        mine, its = ([getattr(model.config, name) for name in names] for model in (self, other))
        if mine != its:
            raise InputError(f"pointers of {dict(zip(names, its, strict=True))} do not fit into {mine}")
        for pointer, old, classes in (
            (self.spans, other.spans, spans),
            (self.heads, other.heads, links),
            (self.tails, other.tails, links),
        ):
            if pointer is not None and old is not None:
                pointer.take_over(old, classes)  # pyright: ignore[reportArgumentType]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Starting values of the pointers; the encoder's own come from its class."""
        if isinstance(module, Rotary):
            module.reset_buffers()
        if isinstance(module, nn.Linear):
            for parameter, value in fresh_values(module, gain=1.0):
                init.copy_(parameter, value)
        if isinstance(module, KindLinear):
            init.constant_(module.bias, STARTING_BIAS)

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        special_tokens_mask: Tensor | None = None,
        right_spans: Tensor | None = None,
        right_heads: Tensor | None = None,
        right_tails: Tensor | None = None,
        weights: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> GPLinkerOutput | tuple:
        """Score all spans and links, or where right cells are given, take the loss alone, without the tables of scores.

        input_ids, attention_mask: [B, L]. special_tokens_mask: [B, L], 1 for tokens that no span may hold.
        right_spans, right_heads, right_tails: int64 [K, 4], each row (text, class, first, second), none twice.
        weights: of the texts in the loss, [B], 1 each if not given.
        Raises InputError for missing inputs and for right cells that are masked.
        """
        if input_ids is None or attention_mask is None or special_tokens_mask is None:
            raise InputError("input_ids, attention_mask and special_tokens_mask are needed")
        hidden = self.dropout(self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0])
        usable = attention_mask.bool() & ~special_tokens_mask.bool()
        if self.config.anchor:
            usable = usable.clone()
            usable[:, FIRST_TOKEN] = True
        if right_spans is None:
            output = GPLinkerOutput(
                spans=self.spans(hidden, usable),
                heads=None if self.heads is None else self.heads(hidden, usable),
                tails=None if self.tails is None else self.tails(hidden, usable),
            )
        else:
            shares = torch.ones_like(hidden[:, 0, 0], dtype=torch.float32) if weights is None else weights
            shares = shares / shares.sum()
            losses = [
                (pointer.loss(hidden, usable, _given(right)).sum(dim=1) * shares).sum()
                for pointer, right in ((self.spans, right_spans), (self.heads, right_heads), (self.tails, right_tails))
                if pointer is not None
            ]
            output = GPLinkerOutput(loss=torch.stack(losses).mean())
        return plain_or_dict(output, self.config, return_dict)


def _given(right: Tensor | None) -> Tensor:
    if right is None or right.dim() != 2 or right.shape[1] != 4:
        shape = None if right is None else tuple(right.shape)
        raise InputError(f"right cells have shape {shape}: rows of (text, class, first, second) are needed")
    return right


def bare_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """The encoder of a configuration with random weights, without the pooler, which no pointer looks at."""
    if type(config) not in AutoModel._model_mapping:
        raise ConfigError(f"a {config.model_type!r} configuration is not that of an encoder")
    model_class = AutoModel._model_mapping[type(config)]
    has_pooler = "add_pooling_layer" in inspect.signature(model_class.__init__).parameters
    return AutoModel.from_config(config, **({"add_pooling_layer": False} if has_pooler else {}))
