"""How the losses of several tasks are weighed, so that no task's scale rules what they share.

Weights are computed from the Gram matrix of the tasks' gradients with respect to something that all tasks share, and
are constants of the step: the encoder then learns from the one loss ``sum(weight * loss)``. Three ways:

sum           the weights of the recipe, as they are
inverse_norm  u = sum of c_i g_i / |g_i|: each task pulls as hard as its weight c_i says, whatever its loss is scaled by
min_norm      the shortest vector of the convex hull of the gradients (MGDA: Desideri 2012; Sener and Koltun, arXiv
              1810.04650), found by Frank-Wolfe: a step along it makes no task worse. It knows no weights but zero.

Source: kexue.fm 8870 and 8896. Differs in that weights are brought to the sum that the recipe's have: the direction of
a step is what the ways differ in, not the unit of its length. The cheap proxy for all shared parameters is the
encoder's output ("states"), an upper bound where tasks read the same rows. Tasks that read different rows are
orthogonal by that proxy; with respect to the parameters of the last block ("last_block") their gradients can agree or
contradict, for the price of the last block's backward pass per task.
"""

# K tasks

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ironwok.errors import InputError

METHODS = ("sum", "inverse_norm", "min_norm")
_TURNS = 1000  # of Frank-Wolfe, at most
_GAP = 1e-10  # of squared lengths, at which the shortest vector is found


def gram_matrix(gradients: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Inner products of the tasks' gradients, float64 [K, K] on the CPU.

    gradients: for each task its gradient as tensors, in the same order for all; None where a task does not reach one.
    """
    count = len(gradients)
    gram = torch.zeros(count, count, dtype=torch.float64)
    for one in range(count):
        for two in range(one + 1):
            for first, second in zip(gradients[one], gradients[two], strict=True):
                if first is not None and second is not None:
                    gram[one, two] += (first.detach().double() * second.detach().double()).sum().cpu()
            gram[two, one] = gram[one, two]
    return gram


def task_gradients(losses: Sequence[Tensor], shared: Sequence[Tensor]) -> list[list[Tensor | None]]:
    """The gradient of each loss with respect to each shared tensor; the graph stays, no ``.grad`` is touched."""
    gradients: list[list[Tensor | None]] = []
    for loss in losses:
        given = loss.requires_grad
        got = torch.autograd.grad(loss, list(shared), retain_graph=True, allow_unused=True) if given else None
        gradients.append([None] * len(shared) if got is None else list(got))
    return gradients


def inverse_norm_weights(norms: np.ndarray, priorities: np.ndarray) -> np.ndarray:
    """c_i / |g_i|, brought to the sum of the priorities c; float64 [K].

    A task with no gradient has nothing to say and gets 0; if none has any, the priorities come back.
    """
    speaking = norms > 0
    weights = np.divide(priorities, norms, out=np.zeros(len(norms)), where=speaking)
    return _brought_to(weights, priorities)


def min_norm_weights(gram: np.ndarray, *, gap: float = _GAP, turns: int = _TURNS) -> np.ndarray:
    """The point of the simplex, float64 [K], at which |sum w_i g_i| is smallest.

    gram: float64 [K, K] of inner products. Frank-Wolfe with pairwise steps: weight moves from the task that the vector
    helps most to the one that it helps least, as far as an exact line search says; plain steps towards the latter alone
    zigzag and take thousands of turns for what these find in tens.
    """
    count = len(gram)
    weights = np.full(count, 1.0 / count)
    scale = float(np.diag(gram).max(initial=0.0))
    if scale <= 0:
        return weights
    gram = gram / scale
    for _ in range(turns):
        helped = gram @ weights  # <g_i, u>
        least = int(np.argmin(helped))
        most = int(np.argmax(np.where(weights > 0, helped, -np.inf)))
        if helped[most] - helped[least] <= gap:
            break
        bend = gram[least, least] - 2 * gram[least, most] + gram[most, most]
        step = weights[most] if bend <= 0 else min((helped[most] - helped[least]) / bend, weights[most])
        weights[least] += step
        weights[most] = 0.0 if step == weights[most] else weights[most] - step
    return weights / weights.sum()


def task_weights(method: str, gram: np.ndarray, priorities: Sequence[float]) -> np.ndarray:
    """The weight of each task's loss, float64 [K], summing to what the priorities sum to.

    method: one of METHODS. gram: float64 [K, K] of inner products of the tasks' gradients. priorities: what the recipe
    says, 0 or more each; a task of priority 0 gets 0. Raises InputError for an unknown method, shapes that do not fit,
    priorities below 0 and gradients that are not finite.
    """
    wanted = np.asarray(priorities, dtype=np.float64)
    if gram.shape != (len(wanted), len(wanted)) or (wanted < 0).any():
        raise InputError(f"a Gram matrix of shape {gram.shape} and priorities {list(priorities)}: [K, K] and K, >= 0")
    if method not in METHODS:
        raise InputError(f"method is {method!r}; it is one of {', '.join(METHODS)}")
    if method == "sum":
        return wanted
    if not np.isfinite(gram).all():
        raise InputError("a gradient is not finite: there are no weights for it")
    norms = np.sqrt(np.diag(gram))
    if method == "inverse_norm":
        return inverse_norm_weights(norms, wanted)
    # a task without a gradient is no corner of the hull: the shortest vector would be nothing, and all would stop
    taking_part = np.flatnonzero((wanted > 0) & (norms > 0))
    weights = np.zeros(len(wanted))
    if len(taking_part):
        weights[taking_part] = min_norm_weights(gram[np.ix_(taking_part, taking_part)])
    return _brought_to(weights, wanted)


def _brought_to(weights: np.ndarray, priorities: np.ndarray) -> np.ndarray:
    total = weights.sum()
    return weights * (priorities.sum() / total) if total > 0 else priorities.copy()


@contextmanager
def outputs_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """A list that fills with what ``module`` gives, one tensor a call."""
    seen: list[Tensor] = []

    def see(module: nn.Module, inputs: object, output: Tensor) -> None:
        seen.append(output)

    handle = module.register_forward_hook(see)
    try:
        yield seen
    finally:
        handle.remove()


def joint_loss(losses: Mapping[str, Tensor], weights: np.ndarray) -> Tensor:
    """sum(weight * loss), the weights as constants, in the order of ``losses``."""
    parts = [weight * loss for weight, loss in zip(weights.tolist(), losses.values(), strict=True)]
    return torch.stack(parts).sum()


def mixed(
    losses: Mapping[str, Tensor],
    priorities: Mapping[str, float],
    shared: Sequence[Tensor],
    *,
    method: str,
    mean_of: Callable[[Tensor], Tensor] = lambda values: values,
) -> tuple[Tensor, dict[str, float]]:
    """One loss of a step's losses, and the weight of each.

    priorities: of each loss, by the same names. shared: what the gradients are taken with respect to, not looked at by
    "sum". mean_of: the mean over all processes, so that all give the same weights.
    """
    wanted = [priorities[name] for name in losses]
    gram = torch.zeros(len(losses), len(losses), dtype=torch.float64)
    if method != "sum":
        gram = mean_of(gram_matrix(task_gradients(list(losses.values()), shared)))
    weights = task_weights(method, gram.numpy(), wanted)
    return joint_loss(losses, weights), dict(zip(losses, weights.tolist(), strict=True))
