"""Optimizers and schedules of pretraining: Muon for hidden matrices, AdamW for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ironwok.training.recipe import OptimizerRecipe


def split_parameters(model: nn.Module, *, encoder: str = "encoder") -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(matrices inside the encoder's blocks, everything else). Muon's orthogonal updates only fit the first."""
    hidden, others = [], []
    for name, parameter in model.named_parameters():
        (hidden if parameter.ndim == 2 and f".{encoder}." in f".{name}" else others).append(parameter)
    return hidden, others


class Muon(torch.optim.Muon):
    """torch's Muon, with the orthogonalisation in a dtype of one's choice.

    torch always takes bfloat16. On a processor that has no such arithmetic this is three times as slow as float32, and
    orthogonalising takes most of a step with small batches (docs/log.md). State and updates are torch's, to rounding.

    dtype: torch.float32 or torch.bfloat16; it may be changed between steps and is no part of the state.
    """

    def __init__(self, params: Iterable[nn.Parameter], *, dtype: torch.dtype = torch.float32, **settings: Any) -> None:
        super().__init__(params, **settings)
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        if self.dtype == torch.bfloat16:
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        buffer = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(gradient))
        buffer.lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer
        update = orthogonalized(
            update.to(self.dtype), group["ns_coefficients"], steps=group["ns_steps"], eps=group["eps"]
        )
        rows, columns = parameter.shape
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, rows / columns)))


def orthogonalized(
    matrix: Tensor, coefficients: tuple[float, float, float], *, steps: int, eps: float = 1e-7
) -> Tensor:
    """The matrix with its singular values brought near 1, between about 0.7 and 1.2, by Newton-Schulz iteration.

    matrix: float [M, N], not changed. coefficients: (a, b, c) of x <- a x + b x x' x + c x x' x x' x, which starts from
    the matrix divided by its Frobenius norm (eps at least). Source: Keller Jordan, https://kellerjordan.github.io/posts/muon/
    """
    a, b, c = coefficients
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=eps)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


def make_optimizers(
    model: nn.Module,
    recipe: OptimizerRecipe,
    *,
    beside: Iterable[nn.Parameter] = (),
    dtype: torch.dtype = torch.float32,
) -> tuple[Muon, torch.optim.AdamW]:
    """(Muon, AdamW) over all parameters of a model that has a block matrix and something else.

    beside: more parameters for AdamW, of heads that are not the model's own. dtype: that Muon orthogonalises in.
    """
    hidden, others = split_parameters(model)
    others += beside
    muon = Muon(
        hidden,
        dtype=dtype,
        lr=recipe.muon_lr,
        momentum=recipe.muon_momentum,
        weight_decay=recipe.weight_decay,
    )
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
