"""RoFormerV2 as ``transformers`` classes: the encoder and its pre-training heads.

::

    input_ids, token_type_ids -> embeddings -> dropout -> norm -> blocks -> hidden states -> linear on the embeddings
                                                                     └ [CLS] -> linear -> tanh -> linear: IsNext, random

Task heads are in :mod:`ironwok.models.heads`.
"""

# B batch, L tokens, D width, V vocabulary, M labelled positions

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.generic import ModelOutput

from ironwok.errors import InputError
from ironwok.models.configuration import RoFormerV2Config
from ironwok.models.poolers import POOLERS, RoFormerV2MatchPooler, pooled_size
from ironwok.nn import masks
from ironwok.nn.block import Residual
from ironwok.nn.initialization import default_gain, fresh_values
from ironwok.nn.norms import make_norm
from ironwok.nn.rotary import Rotary
from ironwok.nn.transformer import Stack

OutputT = TypeVar("OutputT", bound=ModelOutput)

IGNORED = -100  # the label of positions and pairs that no loss looks at


class RoFormerV2Embeddings(nn.Module):
    """Token and segment embeddings, summed, dropped out, normed. No positions: those turn the queries and keys."""

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.norm = make_norm(
            config.norm_type, config.hidden_size, eps=config.norm_eps, gain=config.norm_gain, bias=config.use_bias
        )

    def forward(self, words_BLD: Tensor, token_type_ids: Tensor | None) -> Tensor:
        if token_type_ids is None:
            segments_BLD = self.token_type_embeddings.weight[0]
        else:
            segments_BLD = self.token_type_embeddings(token_type_ids)
        return self.norm(self.dropout(words_BLD + segments_BLD))


class RoFormerV2PreTrainedModel(PreTrainedModel):
    """Initialisation, loading and saving, common to all RoFormerV2 classes."""

    config_class = RoFormerV2Config
    config: RoFormerV2Config
    base_model_prefix = "roformer"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["Block"]  # noqa: RUF012  # read by transformers as a plain class attribute

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Starting values of :mod:`ironwok.nn.initialization`, but not for what a checkpoint has already filled."""
        if isinstance(module, Rotary):
            module.reset_buffers()
        elif isinstance(module, Residual):
            init.constant_(module.branch_scale, self.config.branch_scale)
        gain = self.config.initializer_gain
        gain = default_gain(self.config.transformer()) if gain is None else gain
        for parameter, value in fresh_values(module, gain=gain):
            init.copy_(parameter, value)

    def resize_token_embeddings(self, *args, **kwargs) -> nn.Embedding:
        """As in `PreTrainedModel`; a pooler that weighs words gives new ones the weight of the average word."""
        embeddings = super().resize_token_embeddings(*args, **kwargs)
        for module in self.modules():
            if isinstance(module, RoFormerV2MatchPooler):
                module.resize(embeddings.num_embeddings)
        return embeddings

    def set_branch_scale(self, alpha: float) -> None:
        """Set the alpha of the warm-up, ``x <- Norm(x + alpha F(x))``, for all layers; saved with the configuration."""
        self.config.branch_scale = float(alpha)
        for module in self.modules():
            if isinstance(module, Residual):
                module.branch_scale.fill_(alpha)


class RoFormerV2Model(RoFormerV2PreTrainedModel):
    """The encoder: token ids in, hidden states and the pooled first token out."""

    def __init__(self, config: RoFormerV2Config, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = RoFormerV2Embeddings(config)
        kernel = {"eager": "eager"}.get(config._attn_implementation or "sdpa", "auto")
        self.encoder = Stack(config.transformer(), length=config.max_position_embeddings, kernel=kernel)
        self.pooler = POOLERS[config.pooling](config) if add_pooling_layer else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embeddings.word_embeddings = value  # pyright: ignore[reportAttributeAccessIssue]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        prefix_lengths: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling | tuple:
        """Encode a batch.

        input_ids: integers [B, L], or instead inputs_embeds: word embeddings [B, L, D].
        attention_mask: [B, L], 1 for real tokens (boolean or integer), or a boolean mask that broadcasts to
            [B, H, L, L]; None if all tokens are real.
        token_type_ids: segments [B, L], 0 where not given.
        prefix_lengths: integers [B], for the mask pattern "prefix" alone.
        Returns last_hidden_state [B, L, D], pooler_output [B, D] (wider with some poolers: `pooled_size`) and, where
        asked for, hidden_states: the input of each block and the output of the last.
        Raises InputError for no or two inputs or too many tokens, MaskError for masks of another dtype.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise InputError("pass either input_ids or inputs_embeds, one of them")
        words = self.embeddings.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        limit = self.config.max_position_embeddings
        if words.shape[1] > limit:
            raise InputError(f"the input has {words.shape[1]} tokens, the model takes {limit}: cut it into windows")
        mask, real_BL = attention_mask, None
        if mask is not None and mask.dim() == 2:
            mask, real_BL = masks.padding(mask), mask.bool()
        states: list[Tensor] = []
        keep = (lambda _, x: states.append(x)) if self._wanted(output_hidden_states) else None
        hidden = self.encoder(
            self.embeddings(words, token_type_ids), mask=mask, prefix_lengths=prefix_lengths, on_block=keep
        )
        pooled = None if self.pooler is None else self.pooler(hidden, words, input_ids, token_type_ids, real_BL)
        output = BaseModelOutputWithPooling(
            last_hidden_state=hidden,
            pooler_output=pooled,
            hidden_states=tuple(states) if states else None,
        )
        return plain_or_dict(output, self.config, return_dict)

    def _wanted(self, output_hidden_states: bool | None) -> bool:
        return bool(self.config.output_hidden_states if output_hidden_states is None else output_hidden_states)


class RoFormerV2LMPredictionHead(nn.Module):
    """Linear on the token embedding, which it shares; no transform before it."""

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__()
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size, bias=config.use_bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.decoder(hidden)


class RoFormerV2PreTrainingHeads(nn.Module):
    """The masked-LM head (``predictions``) and the next-sentence head (``seq_relationship``), as asked for."""

    def __init__(self, config: RoFormerV2Config, *, predictions: bool = True, seq_relationship: bool = True) -> None:
        super().__init__()
        if predictions:
            self.predictions = RoFormerV2LMPredictionHead(config)
        if seq_relationship:
            self.seq_relationship = nn.Linear(pooled_size(config), 2, bias=config.use_bias)


@dataclass
class RoFormerV2ForPreTrainingOutput(ModelOutput):
    """Losses and logits of pre-training.

    loss: mlm_loss + next_sentence_weight * nsp_loss, of those whose labels were given.
    prediction_logits: [B, L, V], only where no labels were given.
    labelled_logits, labelled_targets: [M, V] and [M], where labels were given: the M positions that have one.
    seq_relationship_logits: [B, 2]; class 0: the second segment follows the first, 1: it does not.
    """

    loss: Tensor | None = None
    mlm_loss: Tensor | None = None
    nsp_loss: Tensor | None = None
    prediction_logits: Tensor | None = None
    seq_relationship_logits: Tensor | None = None
    labelled_logits: Tensor | None = None
    labelled_targets: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class RoFormerV2ForPreTraining(RoFormerV2PreTrainedModel):
    """Masked-LM and next-sentence heads on one encoder."""

    _tied_weights_keys = {  # noqa: RUF012  # read by transformers as a plain class attribute
        "cls.predictions.decoder.weight": "roformer.embeddings.word_embeddings.weight"
    }

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__(config)
        self.roformer = RoFormerV2Model(config)
        self.cls = RoFormerV2PreTrainingHeads(config)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.cls.predictions.decoder

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.cls.predictions.decoder = new_embeddings  # pyright: ignore[reportAttributeAccessIssue]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        prefix_lengths: Tensor | None = None,
        labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> RoFormerV2ForPreTrainingOutput | tuple:
        """Predict hidden tokens and whether the second segment follows the first.

        labels: integers [B, L], -100 where there is nothing to predict. Only the others reach the vocabulary.
        next_sentence_label: integers [B], 0 follows, 1 does not, -100 no matter.
        A batch in which nothing is labelled has a loss of 0. The other arguments are those of `RoFormerV2Model`.
        """
        encoded = self.roformer(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            inputs_embeds=inputs_embeds,
            prefix_lengths=prefix_lengths,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        hidden_BLD = encoded.last_hidden_state
        follows_B2 = self.cls.seq_relationship(encoded.pooler_output)
        everywhere = targets_M = logits_MV = mlm_loss = nsp_loss = None
        if labels is None:
            everywhere = self.cls.predictions(hidden_BLD)
        else:
            labelled_BL = labels != IGNORED
            targets_M = labels[labelled_BL]
            logits_MV = self.cls.predictions(hidden_BLD[labelled_BL])
            mlm_loss = mean_cross_entropy(logits_MV, targets_M)
        if next_sentence_label is not None:
            nsp_loss = mean_cross_entropy(follows_B2, next_sentence_label)
        output = RoFormerV2ForPreTrainingOutput(
            loss=self._joint_loss(mlm_loss, nsp_loss),
            mlm_loss=mlm_loss,
            nsp_loss=nsp_loss,
            prediction_logits=everywhere,
            seq_relationship_logits=follows_B2,
            labelled_logits=logits_MV,
            labelled_targets=targets_M,
            hidden_states=encoded.hidden_states,
        )
        return plain_or_dict(output, self.config, return_dict)

    def _joint_loss(self, mlm_loss: Tensor | None, nsp_loss: Tensor | None) -> Tensor | None:
        if nsp_loss is None:
            return mlm_loss
        weighted = self.config.next_sentence_weight * nsp_loss
        return weighted if mlm_loss is None else mlm_loss + weighted


def mean_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy in float32 over targets that are not -100, natural log; 0 if there are none."""
    total = F.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum().clamp(min=1)


def plain_or_dict(output: OutputT, config: PreTrainedConfig, return_dict: bool | None) -> OutputT | tuple:
    """The output itself, or a tuple of what it holds where the caller or the configuration wants one."""
    return output if (config.return_dict if return_dict is None else return_dict) else output.to_tuple()
