"""Recipes that run in a second."""

from __future__ import annotations

from typing import Any

SHARED: dict[str, Any] = {
    "seeds": [1, 2],
    "model": {"width": 16, "heads": 2, "feed_forward_width": 16},
    "data": {"tokens": 4000, "dev_tokens": 600, "length": 16},
    "training": {"steps": 4, "batch": 2, "evaluations": 2},
    "sweep": {"learning_rates": [1e-3, 1e-2], "warmups": [0.0], "steps": 2},
    "probes": {"rows": 2},
}


def norms(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "norms",
        "name": "tiny-norms",
        **SHARED,
        "transfer": {
            "tasks": ["genre", "holding"],
            "learning_rates": [1e-3],
            "steps": 2,
            "batch": 4,
            "examples": 40,
            "test_examples": 20,
        },
        "groups": [
            {"name": "two", "variants": ["pre", "post-alpha"], "depths": [2]},
            {
                "name": "untuned",
                "variants": ["post"],
                "depths": [2],
                "objective": "causal",
                "fixed": {"learning_rate": 1e-2, "warmup": 0.0},
                "transfer": False,
            },
        ],
        "claims": [
            {
                "name": "pre-below-post",
                "text": "Pre is below post.",
                "metric": "loss",
                "kind": "less",
                "left": {"group": "two", "variant": "pre"},
                "right": {"group": "two", "variant": "post-alpha"},
                "least_seeds": 2,
            }
        ],
        **changes,
    }


def masks(**changes: Any) -> dict[str, Any]:
    # a layer has 4 D^2 + 2 D^2 products, one of a decoder 4 D^2 more
    return {
        "kind": "masks",
        "name": "tiny-masks",
        **SHARED,
        "sequence": [
            {
                "name": "reverse",
                "task": "reverse",
                "variants": ["gpt", "unilm", "encdec-forward-backward"],
                "layers": 8,
                "shapes": [{"matching": "parameters", "encoder": 3, "decoder": 3}],
                "source_length": 5,
                "symbols": 4,
            }
        ],
        "masked": [{"name": "masked", "variants": ["full", "half-heads"], "layers": 2}],
        **changes,
    }
