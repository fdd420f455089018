"""Starting values: truncated normal, so scaled that second moments stay level through depth.

Weights get standard deviation ``gain / sqrt(fan_in)``, gain = N^(-1/2) for N layers as in RoFormerV2, and 1 under
DeepNorm, where instead values, attention outputs and feed-forward weights are scaled by beta (2203.00555). DeepNorm's
authors use Xavier's mean of fan-in and fan-out; here it is the fan-in throughout, so that variants start alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ironwok.nn.config import TransformerConfig

# standard deviation of a unit normal that was cut at two of them, inverted: what the cut takes away
TRUNCATION = 1.1368472


def default_gain(config: TransformerConfig) -> float:
    """Factor on 1/sqrt(fan_in) for a stack: 1 under DeepNorm, N^(-1/2) else."""
    return 1.0 if config.norm_placement == "deepnorm" else config.layers**-0.5


def fresh_values(
    module: nn.Module, *, gain: float, generator: torch.Generator | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of a parameter that ``module`` itself owns and a starting value for it; submodules are not visited.

    Linear and embedding weights are drawn, with ``row_gains`` of the module, one factor for each equal group of rows;
    biases are zeros, and gains of norms ones. The fan-in of an embedding is its width.
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        weight = module.weight
        std = TRUNCATION * gain / weight.shape[1] ** 0.5
        value = torch.empty_like(weight, requires_grad=False)
        nn.init.trunc_normal_(value, std=std, a=-2 * std, b=2 * std, generator=generator)
        for rows, factor in zip(value.chunk(len(row_gains(module))), row_gains(module), strict=True):
            rows.mul_(factor)
        yield weight, value
    for name, parameter in module.named_parameters(recurse=False):
        if name == "bias":
            yield parameter, torch.zeros_like(parameter)
        elif not isinstance(module, nn.Linear | nn.Embedding):
            yield parameter, torch.ones_like(parameter)


@torch.no_grad()
def initialize(root: nn.Module, *, gain: float, generator: torch.Generator | None = None) -> None:
    """Draw all parameters of ``root`` anew."""
    for module in root.modules():
        for parameter, value in fresh_values(module, gain=gain, generator=generator):
            parameter.copy_(value)


def row_gains(module: nn.Module) -> tuple[float, ...]:
    """Factors on the starting values of the module's weight, one for each equal group of its rows."""
    return getattr(module, "row_gains", (1.0,))


def set_row_gains(module: nn.Module, gains: tuple[float, ...]) -> None:
    module.row_gains = gains  # pyright: ignore[reportArgumentType]  # a plain attribute, not a module
