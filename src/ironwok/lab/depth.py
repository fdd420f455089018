"""Probes of depth: how the stream grows, how alike consecutive inputs are, what a layer is worth.

Pre-norm adds to a stream that nobody shrinks: ||x_t||^2 grows linearly in t at the start, and late blocks see nearly
the same input. Post-norm shrinks the identity branch at every norm, by 2^(-1/2) where the branch is as large as the
stream and uncorrelated with it (kexue.fm 9009). How much depth counts is measured: the loss without a layer, and with
two neighbours swapped.
"""

# B batch, L tokens, D width, N layers

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ironwok.lab.layers import LayerStack, Loss, dropped, recorded_states, swapped


@dataclass(frozen=True, slots=True)
class DepthProfile:
    """How states change along a stack of N blocks; means over tokens.

    square_norms: ||x_t||^2 / D, N + 1 values. relative_changes: ||x_(t+1) - x_t|| / ||x_t||, N values.
    cosines: of x_t and x_(t+1), N values. identity_weights: the part of x_0 in x_t, that is <x_t, x_0> / <x_0, x_0>
    with x_t brought to the length of a normed vector (mean square 1), N + 1 values.
    """

    square_norms: tuple[float, ...]
    relative_changes: tuple[float, ...]
    cosines: tuple[float, ...]
    identity_weights: tuple[float, ...]

    @property
    def growth_exponent(self) -> float:
        """The p of ||x_t|| ~ t^p, fitted over t = 1 ... N: 0.5 for uncorrelated branches, 1 for equal ones."""
        if len(self.square_norms) < 3:
            return 0.0
        depth = torch.arange(1, len(self.square_norms), dtype=torch.float64).log()
        norms = 0.5 * torch.tensor(self.square_norms[1:], dtype=torch.float64).log()
        centred = depth - depth.mean()
        return float((centred * norms).sum() / centred.square().sum())


def depth_profile(stack: LayerStack, forward: Callable[[], object], *, real_BL: Tensor | None = None) -> DepthProfile:
    """Run ``forward`` once, without gradients, and look at the states of all blocks.

    real: boolean [B, L], the tokens that count; None counts all.
    """
    with torch.no_grad(), recorded_states(stack) as states:
        forward()
    rows = [state.float()[real_BL] if real_BL is not None else state.float().flatten(0, -2) for state in states]
    unit = [F.normalize(row, dim=-1) for row in rows]
    pairs = list(itertools.pairwise(rows))
    return DepthProfile(
        square_norms=tuple(float(row.square().mean()) for row in rows),
        relative_changes=tuple(
            float(((after - before).norm(dim=-1) / before.norm(dim=-1).clamp(min=1e-12)).mean())
            for before, after in pairs
        ),
        cosines=tuple(float((a * b).sum(-1).mean()) for a, b in itertools.pairwise(unit)),
        identity_weights=tuple(float((row * unit[0]).sum(-1).mean()) for row in unit),
    )


@dataclass(frozen=True, slots=True)
class EffectiveDepth:
    """What single layers are worth, in the unit of the loss (nats).

    loss: of the whole model. dropped: the loss without layer k, less that of the whole model, N values.
    swapped: the same with layers k and k + 1 in each other's place, N - 1 values.
    """

    loss: float
    dropped: tuple[float, ...]
    swapped: tuple[float, ...]


@torch.no_grad()
def effective_depth(stack: LayerStack, loss: Loss) -> EffectiveDepth:
    """loss: computes the loss of the same batch each time, in evaluation mode. It is called 2N times."""
    whole = float(loss())
    without, turned = [], []
    for layer in range(len(stack)):
        with dropped(stack, layer):
            without.append(float(loss()) - whole)
    for layer in range(len(stack) - 1):
        with swapped(stack, layer):
            turned.append(float(loss()) - whole)
    return EffectiveDepth(whole, tuple(without), tuple(turned))


def gradient_norms(stack: LayerStack, loss: Loss) -> tuple[float, ...]:
    """The norm of the gradient of each block's parameters; gradients that were there are put back."""
    parameters = [[p for p in layer.parameters() if p.requires_grad] for layer in stack.layers]
    flat = [parameter for layer in parameters for parameter in layer]
    with torch.enable_grad():
        gradients = iter(torch.autograd.grad(loss(), flat, allow_unused=True))
    norms = []
    for layer in parameters:
        squares = [g.float().square().sum() for g in (next(gradients) for _ in layer) if g is not None]
        norms.append(float(torch.stack(squares).sum().sqrt()) if squares else 0.0)
    return tuple(norms)
