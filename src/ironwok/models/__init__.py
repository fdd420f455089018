"""The Hugging Face face of :mod:`ironwok.nn`: RoFormerV2 configurations, model classes, loading.

Importing this package registers the classes with the Auto classes of ``transformers``, under "roformer_v2" and
"gplinker".
"""

from __future__ import annotations

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForNextSentencePrediction,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from ironwok.models.bundled import DEFAULT_MODEL, bundled_names, is_extractor, resolve_model
from ironwok.models.configuration import RoFormerV2Config
from ironwok.models.gplinker import GPLinkerConfig, GPLinkerModel, GPLinkerOutput
from ironwok.models.heads import (
    RoFormerV2ForMaskedLM,
    RoFormerV2ForMultipleChoice,
    RoFormerV2ForNextSentencePrediction,
    RoFormerV2ForQuestionAnswering,
    RoFormerV2ForSequenceClassification,
    RoFormerV2ForTokenClassification,
)
from ironwok.models.loading import has_head, load_model
from ironwok.models.roformer_v2 import (
    RoFormerV2ForPreTraining,
    RoFormerV2ForPreTrainingOutput,
    RoFormerV2Model,
    RoFormerV2PreTrainedModel,
)

__all__ = [
    "DEFAULT_MODEL",
    "GPLinkerConfig",
    "GPLinkerModel",
    "GPLinkerOutput",
    "RoFormerV2Config",
    "RoFormerV2ForMaskedLM",
    "RoFormerV2ForMultipleChoice",
    "RoFormerV2ForNextSentencePrediction",
    "RoFormerV2ForPreTraining",
    "RoFormerV2ForPreTrainingOutput",
    "RoFormerV2ForQuestionAnswering",
    "RoFormerV2ForSequenceClassification",
    "RoFormerV2ForTokenClassification",
    "RoFormerV2Model",
    "RoFormerV2PreTrainedModel",
    "bundled_names",
    "has_head",
    "is_extractor",
    "load_model",
    "resolve_model",
]

AutoConfig.register("roformer_v2", RoFormerV2Config, exist_ok=True)
AutoConfig.register("gplinker", GPLinkerConfig, exist_ok=True)
AutoModel.register(GPLinkerConfig, GPLinkerModel, exist_ok=True)
for _auto, _model in {
    AutoModel: RoFormerV2Model,
    AutoModelForPreTraining: RoFormerV2ForPreTraining,
    AutoModelForMaskedLM: RoFormerV2ForMaskedLM,
    AutoModelForNextSentencePrediction: RoFormerV2ForNextSentencePrediction,
    AutoModelForSequenceClassification: RoFormerV2ForSequenceClassification,
    AutoModelForTokenClassification: RoFormerV2ForTokenClassification,
    AutoModelForMultipleChoice: RoFormerV2ForMultipleChoice,
    AutoModelForQuestionAnswering: RoFormerV2ForQuestionAnswering,
}.items():
    _auto.register(RoFormerV2Config, _model, exist_ok=True)
