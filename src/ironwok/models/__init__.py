"""The Hugging Face face of :mod:`ironwok.nn`: RoFormerV2 configurations, model classes, loading.

Importing this package registers the classes with the Auto classes of ``transformers``.
"""

from __future__ import annotations

from ironwok.models.configuration import RoFormerV2Config
from ironwok.models.roformer_v2 import RoFormerV2ForPreTraining, RoFormerV2ForPreTrainingOutput, RoFormerV2Model

__all__ = ["RoFormerV2Config", "RoFormerV2ForPreTraining", "RoFormerV2ForPreTrainingOutput", "RoFormerV2Model"]
