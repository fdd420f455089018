from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ironwok.models import RoFormerV2Config

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def tiny() -> Callable[..., RoFormerV2Config]:
    """A configuration of a model that fits in a hand, with changes."""

    def make(**changes: object) -> RoFormerV2Config:
        sizes = {
            "vocab_size": 50,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 32,
            "max_position_embeddings": 24,
        }
        return RoFormerV2Config(**(sizes | changes))

    return make


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Three texts of 9, 6 and 4 tokens."""
    generator = torch.Generator().manual_seed(0)
    attention_mask = (torch.arange(9) < torch.tensor([9, 6, 4])[:, None]).long()
    input_ids = torch.randint(5, 50, (3, 9), generator=generator) * attention_mask
    token_type_ids = (torch.arange(9) >= 3).long().expand(3, 9) * attention_mask
    return {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
