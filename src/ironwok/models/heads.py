"""RoFormerV2 with a head for one task, in the shapes that ``transformers`` users know.

All share ``roformer`` (the encoder), and the pre-training heads keep their names (``cls.predictions``,
``cls.seq_relationship``), so each class finds its weights in a checkpoint of `RoFormerV2ForPreTraining`.
"""

# B batch, L tokens, C choices, N labels, D width, V vocabulary

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import (
    BaseModelOutputWithPooling,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    NextSentencePredictorOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from ironwok.errors import InputError
from ironwok.models.configuration import RoFormerV2Config
from ironwok.models.poolers import pooled_size
from ironwok.models.roformer_v2 import (
    IGNORED,
    RoFormerV2Model,
    RoFormerV2PreTrainedModel,
    RoFormerV2PreTrainingHeads,
    mean_cross_entropy,
    plain_or_dict,
)


class RoFormerV2ForMaskedLM(RoFormerV2PreTrainedModel):
    """Predicts hidden tokens."""

    _tied_weights_keys = {  # noqa: RUF012  # read by transformers as a plain class attribute
        "cls.predictions.decoder.weight": "roformer.embeddings.word_embeddings.weight"
    }
    _keys_to_ignore_on_load_unexpected = [r"roformer\.pooler\.", r"cls\.seq_relationship\."]  # noqa: RUF012

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__(config)
        self.roformer = RoFormerV2Model(config, add_pooling_layer=False)
        self.cls = RoFormerV2PreTrainingHeads(config, seq_relationship=False)
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
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> MaskedLMOutput | tuple:
        """Logits [B, L, V]; loss over ``labels`` [B, L] that are not -100."""
        encoded = self.roformer(
            input_ids, attention_mask, token_type_ids, inputs_embeds, None, output_hidden_states, return_dict=True
        )
        logits = self.cls.predictions(encoded.last_hidden_state)
        loss = None if labels is None else mean_cross_entropy(logits.flatten(0, 1), labels.flatten())
        output = MaskedLMOutput(loss=loss, logits=logits, hidden_states=encoded.hidden_states)
        return plain_or_dict(output, self.config, return_dict)


class RoFormerV2ForNextSentencePrediction(RoFormerV2PreTrainedModel):
    """Says whether the second segment follows the first."""

    _keys_to_ignore_on_load_unexpected = [r"cls\.predictions\."]  # noqa: RUF012

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__(config)
        self.roformer = RoFormerV2Model(config)
        self.cls = RoFormerV2PreTrainingHeads(config, predictions=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> NextSentencePredictorOutput | tuple:
        """Logits [B, 2], class 0 = it follows, 1 = it does not; loss over ``labels`` [B] that are not -100."""
        encoded = self.roformer(
            input_ids, attention_mask, token_type_ids, inputs_embeds, None, output_hidden_states, return_dict=True
        )
        logits = self.cls.seq_relationship(encoded.pooler_output)
        loss = None if labels is None else mean_cross_entropy(logits, labels)
        output = NextSentencePredictorOutput(loss=loss, logits=logits, hidden_states=encoded.hidden_states)
        return plain_or_dict(output, self.config, return_dict)


class _ForTask(RoFormerV2PreTrainedModel):
    """Encoder, dropout and one linear layer; subclasses say what goes in and how the loss is taken."""

    _keys_to_ignore_on_load_unexpected = [r"cls\.predictions\.", r"cls\.seq_relationship\."]  # noqa: RUF012
    pooled = True

    def __init__(self, config: RoFormerV2Config) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.roformer = RoFormerV2Model(config, add_pooling_layer=self.pooled)
        dropout = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.dropout = nn.Dropout(float(dropout))
        size = pooled_size(config) if self.pooled else config.hidden_size
        self.classifier = nn.Linear(size, self.outputs(config))
        self.post_init()

    def outputs(self, config: RoFormerV2Config) -> int:
        return int(config.num_labels or 0)

    def score(self, *inputs: Tensor | bool | None) -> tuple[Tensor, BaseModelOutputWithPooling]:
        encoded = self.roformer(*inputs, return_dict=True)
        features = encoded.pooler_output if self.pooled else encoded.last_hidden_state
        return self.classifier(self.dropout(features)), encoded


class RoFormerV2ForSequenceClassification(_ForTask):
    """One or several labels, or a number, for a text or a pair, from the pooled first token."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple:
        """Logits [B, N].

        The loss follows ``config.problem_type``, or else what the labels look like: numbers for one output are
        regressed on (mean squared error), floats of shape [B, N] are independent labels (binary cross entropy),
        integers [B] are classes (cross entropy).
        """
        logits, encoded = self.score(
            input_ids, attention_mask, token_type_ids, inputs_embeds, None, output_hidden_states
        )
        loss = None if labels is None else CLASSIFICATION_LOSSES[self.problem_type(labels)](logits, labels)
        output = SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=encoded.hidden_states)
        return plain_or_dict(output, self.config, return_dict)

    def problem_type(self, labels: Tensor) -> str:
        """The configured problem type, else the one that the labels' dtype and the number of outputs suggest."""
        if self.config.problem_type is not None:
            return self.config.problem_type
        if self.num_labels == 1:
            return "regression"
        return "multi_label_classification" if labels.is_floating_point() else "single_label_classification"


def _regression_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(logits.float(), labels.float().view_as(logits))


def _multi_label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits.float(), labels.float())


CLASSIFICATION_LOSSES = {
    "regression": _regression_loss,
    "single_label_classification": mean_cross_entropy,
    "multi_label_classification": _multi_label_loss,
}


class RoFormerV2ForTokenClassification(_ForTask):
    """A label for every token."""

    pooled = False
    _keys_to_ignore_on_load_unexpected = [r"cls\.", r"roformer\.pooler\."]  # noqa: RUF012

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> TokenClassifierOutput | tuple:
        """Logits [B, L, N]; loss over ``labels`` [B, L] that are not -100."""
        logits, encoded = self.score(
            input_ids, attention_mask, token_type_ids, inputs_embeds, None, output_hidden_states
        )
        loss = None if labels is None else mean_cross_entropy(logits.flatten(0, 1), labels.flatten())
        output = TokenClassifierOutput(loss=loss, logits=logits, hidden_states=encoded.hidden_states)
        return plain_or_dict(output, self.config, return_dict)


class RoFormerV2ForMultipleChoice(_ForTask):
    """Picks one of several texts."""

    def outputs(self, config: RoFormerV2Config) -> int:
        return 1

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> MultipleChoiceModelOutput | tuple:
        """Logits [B, C] for inputs [B, C, L] (or inputs_embeds [B, C, L, D]); ``labels`` [B] name the right choice."""
        given = input_ids if input_ids is not None else inputs_embeds
        if given is None or given.dim() < 3:
            raise InputError("multiple choice takes inputs of shape [batch, choices, tokens]")
        flat = [
            None if tensor is None else tensor.flatten(0, 1)
            for tensor in (input_ids, attention_mask, token_type_ids, inputs_embeds)
        ]
        scores, encoded = self.score(*flat, None, output_hidden_states)
        logits = scores.view(given.shape[0], given.shape[1])
        loss = None if labels is None else mean_cross_entropy(logits, labels)
        output = MultipleChoiceModelOutput(loss=loss, logits=logits, hidden_states=encoded.hidden_states)
        return plain_or_dict(output, self.config, return_dict)


class RoFormerV2ForQuestionAnswering(_ForTask):
    """Marks the first and last token of an answer."""

    pooled = False
    _keys_to_ignore_on_load_unexpected = [r"cls\.", r"roformer\.pooler\."]  # noqa: RUF012

    def outputs(self, config: RoFormerV2Config) -> int:
        return 2

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> QuestionAnsweringModelOutput | tuple:
        """start_logits and end_logits [B, L]; loss over both positions [B], inclusive, -100 or beyond L left out."""
        logits, encoded = self.score(
            input_ids, attention_mask, token_type_ids, inputs_embeds, None, output_hidden_states
        )
        start, end = logits.unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            # an answer that was cut off with the end of its window cannot be learnt from
            starts, ends = (p.masked_fill(p >= start.shape[1], IGNORED) for p in (start_positions, end_positions))
            loss = (mean_cross_entropy(start, starts) + mean_cross_entropy(end, ends)) / 2
        elif start_positions is not None or end_positions is not None:
            raise InputError("pass both start_positions and end_positions, or neither")
        output = QuestionAnsweringModelOutput(
            loss=loss, start_logits=start, end_logits=end, hidden_states=encoded.hidden_states
        )
        return plain_or_dict(output, self.config, return_dict)
