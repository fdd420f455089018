"""Naive-Bayes context extension as pure functions of tensors: truncation, entropy, pooling, routing.

By Bayes and the independence of contexts, with S_1 … S_n the contexts and T the text to come::

    log p(T | S_1 … S_n) = (β + 1) · P[log p(T | S)] − β · log p(T) + constant

P pools over the contexts: the one of least entropy (default), their mean (naive Bayes proper), or their maximum.
Source: Su Jianlin, "NBCE", kexue.fm 9617, 9631, 9632. What differs: the choice of the context may lean on how well each
context explains the question (``lift``), and mean pooling has an answer where truncation left no token in common.
"""

# R rows, row 0 the empty context; N = R - 1 contexts; V vocabulary

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ironwok.errors import InputError

Pooling = Literal["entropy", "mean", "max"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

# Nuclei are smaller than this in nearly all steps: sorting a whole vocabulary for each row is the exception.
_NUCLEUS = 512


@dataclass(frozen=True, slots=True)
class Combined:
    """One step over all contexts.

    scores: log-weights of the next token, float [V], −inf where it is excluded; not normalised.
    context: row of the context that was chosen, from 1; for mean and max pooling 0: it depends on the token, see
        `context_of`.
    entropy: of every truncated row, in nats, float [R].
    log_p: the truncated rows, float [R, V].
    """

    scores: Tensor
    context: int
    entropy: Tensor
    log_p: Tensor


def truncate(log_p: Tensor, *, top_p: float | None = None, top_k: int | None = None) -> Tensor:
    """Set the tail of each distribution to −inf.

    log_p: float [..., V], natural logarithms of distributions. top_p: keep the likeliest tokens that together reach
    this probability, in (0, 1]; top_k: keep this many; both: the smaller set. Tokens as likely as the last one that is
    kept are kept, so that the result does not hang on the order of equals; the likeliest token always stays. What is
    kept is not normalised again, as in the published procedure.
    """
    _check_truncation(top_p, top_k)
    size = log_p.shape[-1]
    bound = torch.full_like(log_p[..., :1], -math.inf)
    if top_k is not None and top_k < size:
        bound = log_p.topk(top_k, dim=-1).values[..., -1:]
    if top_p is not None and top_p < 1:
        bound = torch.maximum(bound, _nucleus_bound(log_p, top_p))
    return log_p.masked_fill(log_p < bound, -math.inf)


def entropy(log_p: Tensor) -> Tensor:
    """−Σ p log p in nats over the last axis of float [..., V]; a token of probability 0 adds nothing."""
    return -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(dim=-1)


def pool(log_p: Tensor, pooling: Pooling, *, choice: int = 0, full: Tensor | None = None) -> Tensor:
    """P[log p(T|S)], float [V].

    log_p: truncated rows of the contexts alone, float [N, V]. choice: for entropy pooling the row, from 0.
    full: the rows before truncation. The mean holds the tokens that every context kept; where there is none, it is the
    mean of the full rows.
    """
    if pooling == "entropy":
        return log_p[choice]
    if pooling == "max":
        return log_p.amax(dim=0)
    mean = log_p.mean(dim=0)
    if full is not None and bool(torch.isneginf(mean).all()):
        return full.mean(dim=0)
    return mean


def with_prior(pooled: Tensor, prior: Tensor, beta: float) -> Tensor:
    """(β + 1) · pooled − β · prior, float [V]; the pooled value alone where the prior was truncated to −inf.

    Where the pooled value is −inf the result is −inf: (−∞) − (−∞) is never computed.
    """
    known = ~torch.isneginf(prior)
    return torch.where(known, (beta + 1) * pooled - beta * prior.masked_fill(~known, 0.0), pooled).masked_fill(
        torch.isneginf(pooled), -math.inf
    )


def choose(
    entropy_N: Tensor,
    *,
    lift: Tensor | None = None,
    route: float = 0.0,
    previous: int | None = None,
    eta: float = 0.0,
) -> int:
    """The context with the least H_k − λ r_k, less η for the one of the previous token. From 0; ties to the first.

    entropy_N: float [N], nats. lift: r_k = log p(question | S_k) − log p(question), float [N], nats; route: λ.
    """
    scores = entropy_N.clone()
    if lift is not None and route:
        scores -= route * lift.to(scores)
    if previous is not None:
        scores[previous] -= eta
    return int(scores.argmin())


def combine(
    log_p: Tensor,
    *,
    pooling: Pooling = "entropy",
    beta: float = 0.25,
    eta: float = 0.1,
    top_p: float | None = 0.95,
    top_k: int | None = None,
    lift: Tensor | None = None,
    route: float = 0.0,
    previous: int = 0,
) -> Combined:
    """One step of decoding: truncate, pool, take the prior away.

    log_p: float [R, V], row 0 the empty context, which is never chosen. lift: float [N]; for mean and max pooling it is
    not used. previous: row of the context chosen at the previous token, 0 at the first. Raises InputError.
    """
    if log_p.ndim != 2 or log_p.shape[0] < 2:
        raise InputError(f"log_p has shape {tuple(log_p.shape)}: the empty context and at least one other are needed")
    if pooling not in POOLINGS:
        raise InputError(f"pooling is {pooling!r}; it is one of {', '.join(POOLINGS)}")
    cut = truncate(log_p, top_p=top_p, top_k=top_k)
    entropies = entropy(cut)
    row = 0
    if pooling == "entropy":
        before = previous - 1 if previous else None
        row = 1 + choose(entropies[1:], lift=lift, route=route, previous=before, eta=eta)
    pooled = pool(cut[1:], pooling, choice=row - 1, full=log_p[1:])
    return Combined(with_prior(pooled, cut[0], beta), row, entropies, cut)


def context_of(combined: Combined, token: int) -> int:
    """The row that a token came from: the chosen one, or for mean and max pooling the one that thinks it likeliest."""
    return combined.context or 1 + int(combined.log_p[1:, token].argmax())


def posterior(lift: Tensor) -> Tensor:
    """p(S_k | question) under a uniform prior over the contexts, float [N], from r_k in nats."""
    return torch.softmax(lift.double(), dim=-1)


def sample(
    scores: Tensor,
    *,
    temperature: float = 0.0,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> int:
    """The next token from log-weights float [V]: the best one at temperature 0, else drawn.

    top_p: draw from the nucleus of the scaled distribution. Deterministic given the generator's state.
    """
    if not temperature:
        return int(scores.argmax())
    log_p = torch.log_softmax(scores.double() / temperature, dim=-1)
    weights = truncate(log_p, top_p=top_p).exp()
    # drawn on the CPU, so that a seed gives the same text on every device
    return int(torch.multinomial(weights.cpu(), 1, generator=generator))


def _nucleus_bound(log_p: Tensor, top_p: float) -> Tensor:
    """The log-probability of the last token that is needed to reach ``top_p``, [..., 1]."""
    size = log_p.shape[-1]
    some = min(_NUCLEUS, size)
    values = log_p.topk(some, dim=-1).values
    if some < size and bool((values.exp().sum(dim=-1) < top_p).any()):
        values = log_p.sort(dim=-1, descending=True).values
    before = values.exp().cumsum(dim=-1) - values.exp()
    # needed: the tokens in front of which less than top_p has come together
    needed = (before < top_p).sum(dim=-1, keepdim=True)
    return values.gather(-1, needed - 1)


def _check_truncation(top_p: float | None, top_k: int | None) -> None:
    if top_p is not None and not 0 < top_p <= 1:
        raise InputError(f"top_p is {top_p}: it is a probability above 0, at most 1")
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k is {top_k}: at least 1 token is kept")
