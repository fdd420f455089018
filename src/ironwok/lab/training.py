"""One loop for all runs of the lab, and the batches of language models."""

# B batch, L tokens, V vocabulary

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ironwok.lab.models import MASK, PAD, SPECIAL
from ironwok.lab.recipe import TrainingRecipe
from ironwok.training.optimizers import alpha, learning_rate_share
from ironwok.training.recipe import OptimizerRecipe


@dataclass(frozen=True, slots=True)
class Schedule:
    """What was chosen for a run: the highest learning rate, warm-up as a share of the steps, and the steps."""

    learning_rate: float
    warmup: float
    steps: int


@dataclass(slots=True)
class Curve:
    """Dev loss in nats at steps. diverged: a loss was not finite; training stopped there."""

    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    diverged: bool = False

    def final(self, worst: float) -> float:
        """The last loss; ``worst`` (that of guessing evenly) for a run that diverged."""
        return worst if self.diverged else self.losses[-1]

    def mean(self, worst: float) -> float:
        """The mean over the evaluations after the start: low where a model learns early."""
        later = self.losses[1:] or self.losses
        return worst if self.diverged else sum(later) / len(later)


def train(
    model: nn.Module,
    loss: Callable[[int], Tensor],
    *,
    schedule: Schedule,
    recipe: TrainingRecipe,
    evaluate: Callable[[], float],
    set_branch_scale: Callable[[float], None] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Curve:
    """Train with AdamW until the steps are done or a loss is not finite.

    loss: the training loss of a step, counted from 0. evaluate: the dev loss, called in evaluation mode before the
    first step and ``recipe.evaluations`` times after; with 0 steps it is all that happens. set_branch_scale: of a model
    with the alpha warm-up, which lasts ``recipe.alpha_share`` of the steps. on_step: called with the steps done, from 0
    to the last, in evaluation mode.
    """
    if schedule.steps == 0:
        model.eval()
        return Curve([0], [evaluate()])
    plan = OptimizerRecipe(
        steps=schedule.steps,
        adamw_lr=schedule.learning_rate,
        adamw_betas=recipe.betas,
        weight_decay=recipe.weight_decay,
        warmup_steps=round(schedule.warmup * schedule.steps),
        alpha_warmup_steps=max(round(recipe.alpha_share * schedule.steps), 1) if set_branch_scale else 0,
        final=recipe.final,
        clip=recipe.clip,
    )
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices}, {"params": others, "weight_decay": 0.0}],
        lr=plan.adamw_lr,
        betas=plan.adamw_betas,
        weight_decay=plan.weight_decay,
        fused=True,
    )
    due = {round(schedule.steps * (part + 1) / recipe.evaluations) for part in range(recipe.evaluations)} | {0}
    curve = Curve()
    for step in range(schedule.steps + 1):
        if step in due or on_step is not None:
            model.eval()
        if step in due:
            value = evaluate()
            curve.steps.append(step)
            curve.losses.append(value)
            curve.diverged = not math.isfinite(value)
        if on_step is not None and not curve.diverged:
            on_step(step)
        if step == schedule.steps or curve.diverged:
            break
        if not model.training:  # walking through all modules at each step takes a tenth of the time of a small model
            model.train()
        if set_branch_scale is not None:
            set_branch_scale(alpha(step, plan))
        for group in optimizer.param_groups:
            group["lr"] = plan.adamw_lr * learning_rate_share(step, plan)
        value_now = loss(step)
        optimizer.zero_grad(set_to_none=True)
        value_now.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        if not bool(torch.isfinite(norm)):
            curve.diverged = True
            break
        optimizer.step()
    model.eval()
    return curve


def draw_rows(stream: Tensor, *, rows: int, length: int, random: np.random.Generator) -> Tensor:
    """Rows [B, L] from anywhere in the stream."""
    begins = random.integers(len(stream) - length, size=rows)
    return torch.stack([stream[begin : begin + length] for begin in begins])


def even_rows(stream: Tensor, *, rows: int, length: int) -> Tensor:
    """The same rows [B, L] every time, spread over the stream; fewer where it is short."""
    fitting = min(rows, len(stream) // length)
    begins = np.linspace(0, len(stream) - length, fitting).astype(int)
    return torch.stack([stream[begin : begin + length] for begin in begins])


def masked_batch(
    rows_BL: Tensor, *, rate: float, vocabulary: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """(inputs, labels) [B, L]: of the chosen tokens four fifths become [MASK], a tenth another one, a tenth stay.

    Labels are PAD where nothing is asked; each row is asked something.
    """
    shape = tuple(rows_BL.shape)
    draw = random.random(shape)
    chosen = draw < rate
    chosen[np.arange(shape[0]), draw.argmin(axis=1)] = True
    kind = random.random(shape)
    others = random.integers(len(SPECIAL), vocabulary, size=shape)
    tokens = rows_BL.numpy()
    inputs = np.where(chosen & (kind < 0.8), MASK, np.where(chosen & (kind >= 0.9), others, tokens))
    return torch.from_numpy(inputs), torch.from_numpy(np.where(chosen, tokens, PAD))


def causal_batch(rows_BL: Tensor) -> tuple[Tensor, Tensor]:
    """(inputs, labels) [B, L - 1]: each token's label is the next one."""
    return rows_BL[:, :-1], rows_BL[:, 1:]


def token_loss(logits_BLV: Tensor, labels_BL: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the labels that are not PAD."""
    asked = labels_BL != PAD
    return F.cross_entropy(logits_BLV[asked].float(), labels_BL[asked])
