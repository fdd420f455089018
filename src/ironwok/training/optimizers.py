"""Optimizers and schedules of pretraining: Muon for hidden matrices, AdamW for the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from ironwok.training.recipe import OptimizerRecipe


def split_parameters(model: nn.Module, *, encoder: str = "encoder") -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(matrices inside the encoder's blocks, everything else). Muon's orthogonal updates only fit the first."""
    hidden, others = [], []
    for name, parameter in model.named_parameters():
        (hidden if parameter.ndim == 2 and f".{encoder}." in f".{name}" else others).append(parameter)
    return hidden, others


def make_optimizers(
    model: nn.Module, recipe: OptimizerRecipe, *, beside: Iterable[nn.Parameter] = ()
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """(Muon, AdamW) over all parameters of a model that has a block matrix and something else.

    beside: more parameters for AdamW, of heads that are not the model's own.
    """
    hidden, others = split_parameters(model)
    others += beside
    muon = torch.optim.Muon(hidden, lr=recipe.muon_lr, momentum=recipe.muon_momentum, weight_decay=recipe.weight_decay)
    adamw = torch.optim.AdamW(others, lr=recipe.adamw_lr, betas=recipe.adamw_betas, weight_decay=recipe.weight_decay)
    return muon, adamw


def learning_rate_share(step: int, recipe: OptimizerRecipe) -> float:
    """The share of the highest learning rate at a step (0 is the first), in (0, 1].

    Linear warm-up, then constant until ``decay_from`` of the run, then linear or cosine to ``final``.
    """
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    begin = max(recipe.warmup_steps, round(recipe.decay_from * recipe.steps))
    if recipe.schedule == "constant" or step < begin:
        return 1.0
    progress = min((step - begin) / max(recipe.steps - begin, 1), 1.0)
    left = 1.0 - progress if recipe.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
    return recipe.final + (1.0 - recipe.final) * left


def alpha(step: int, recipe: OptimizerRecipe) -> float:
    """The weight of the residual branches at a step, 0 to 1: x <- Norm(x + alpha F(x)) (kexue.fm 8620, 8998)."""
    return min((step + 1) / recipe.alpha_warmup_steps, 1.0) if recipe.alpha_warmup_steps else 1.0
