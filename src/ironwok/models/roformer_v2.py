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


class RoFormerV2Pooler(nn.Module):
    """tanh of a projection of the first token, [B, D]."""

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.use_bias)

    def forward(
        self, hidden_BLD: Tensor, words_BLD: Tensor, token_type_ids: Tensor | None, real_BL: Tensor | None
    ) -> Tensor:
        return torch.tanh(self.dense(hidden_BLD[:, 0]))


class RoFormerV2SegmentPooler(nn.Module):
    """Both segments compared, in what they mean and in the words they share, [B, D].

    tanh of a projection of [first; a; b; a * b; |a - b|; c * d] and of three similarities. a and b are means of the
    segments' hidden states, c and d of their word embeddings, each weighted by a learnt score per token and brought to
    a root mean square of 1. The similarities are the cosine of c and d and, from either side, the mean of each word's
    greatest cosine with a word of the other side (late interaction: Khattab and Zaharia, arXiv 2004.12832).

    Whether two pieces of text belong together shows in these from the first steps on; [CLS] alone has to learn first to
    compare words across segments (docs/log.md). A segment without tokens is zero.
    """

    SIMILARITY_SCALE = 5.0  # cosines differ by a tenth or so, the other inputs by about 1

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__()
        self.score = nn.Linear(config.hidden_size, 1, bias=False)
        self.word_score = nn.Linear(config.hidden_size, 1, bias=False)
        self.dense = nn.Linear(6 * config.hidden_size, config.hidden_size, bias=config.use_bias)
        self.similarity = nn.Linear(3, config.hidden_size, bias=False)

    def forward(
        self, hidden_BLD: Tensor, words_BLD: Tensor, token_type_ids: Tensor | None, real_BL: Tensor | None
    ) -> Tensor:
        batch, length, width = hidden_BLD.shape
        if token_type_ids is None:
            token_type_ids = torch.zeros((batch, length), dtype=torch.long, device=hidden_BLD.device)
        usable_BL = torch.ones_like(token_type_ids, dtype=torch.bool) if real_BL is None else real_BL
        usable_BL = usable_BL & (torch.arange(length, device=hidden_BLD.device) > 0)
        dtype = self.dense.weight.dtype  # cosines and means are taken in float32, whatever the weights are in
        unit_BLD = F.normalize(words_BLD.float(), dim=-1)
        score_BL = self.score(hidden_BLD).squeeze(-1).float()
        word_score_BL = self.word_score((unit_BLD * width**0.5).to(dtype)).squeeze(-1).float()
        inside = [usable_BL & (token_type_ids == number) for number in (0, 1)]
        word_weights = [_weights(word_score_BL, inside_BL) for inside_BL in inside]
        a_BD, b_BD = (_mean(_weights(score_BL, inside_BL), hidden_BLD) for inside_BL in inside)
        c_BD, d_BD = (_mean(weights_BL, unit_BLD) for weights_BL in word_weights)
        cosine_BLL = unit_BLD @ unit_BLD.mT
        similarities = [(c_BD * d_BD).mean(dim=-1)]
        for weights_BL, other_BL in zip(word_weights, reversed(inside), strict=True):
            nearest_BL = cosine_BLL.float().masked_fill(~other_BL[:, None, :], -1.0).amax(dim=-1)
            similarities.append((weights_BL * nearest_BL).sum(dim=-1))
        similarity_B3 = torch.stack(similarities, dim=-1) * self.SIMILARITY_SCALE
        features = torch.cat(
            [hidden_BLD[:, 0].float(), a_BD, b_BD, a_BD * b_BD, (a_BD - b_BD).abs(), c_BD * d_BD], dim=-1
        )
        return torch.tanh(self.dense(features.to(dtype)) + self.similarity(similarity_B3.to(dtype)))


def _weights(score_BL: Tensor, inside_BL: Tensor) -> Tensor:
    """Softmax of the scores inside a segment, [B, L]; all zero for a segment without tokens."""
    return torch.softmax(score_BL.masked_fill(~inside_BL, -1e4), dim=-1) * inside_BL


def _mean(weights_BL: Tensor, states_BLD: Tensor) -> Tensor:
    """Weighted mean at a root mean square of 1, float32 [B, D]."""
    mean_BD = torch.einsum("bl,bld->bd", weights_BL, states_BLD.float())
    return F.normalize(mean_BD, dim=-1) * states_BLD.shape[-1] ** 0.5


_POOLERS = {"first": RoFormerV2Pooler, "segments": RoFormerV2SegmentPooler}


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
        self.pooler = _POOLERS[config.pooling](config) if add_pooling_layer else None
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
        Returns last_hidden_state [B, L, D], pooler_output [B, D] and, where asked for, hidden_states: the input of each
        block and the output of the last.
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
        output = BaseModelOutputWithPooling(
            last_hidden_state=hidden,
            pooler_output=None if self.pooler is None else self.pooler(hidden, words, token_type_ids, real_BL),
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
            self.seq_relationship = nn.Linear(config.hidden_size, 2, bias=config.use_bias)


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
