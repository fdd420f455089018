"""How an answer is decoded, checked once at the border."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ironwok.errors import InputError
from ironwok.nbce.core import POOLINGS, Pooling


@dataclass(frozen=True, slots=True)
class Settings:
    """Decoding from many contexts.

    pooling: "entropy" follows one context a token, "mean" and "max" mix all. beta: how much of what the model says
    without any context is taken away, at least −1. eta: bonus in nats for the context of the previous token.
    route: λ, the weight of the question's lift r_k in the choice; 0 is plain NBCE. keep: how many contexts at most are
    decoded after the prefill, those of greatest posterior; None keeps all. negligible: of these, contexts of a
    posterior below it are dropped too, as long as one is left.
    closer: where not 0, the kept contexts are read again, this many sentences at a time, and the answer is written from
    those; their own posteriors decide which, by ``keep`` and ``negligible``.
    copy: whether the answer is a stretch of the text word for word (`ironwok.nbce.copying`); False lets the model
    write. None leaves it to the answerer: copied where its model was measured to do well so, and where neither
    the question nor another setting speaks against it.
    top_p, top_k: truncation of every row before entropies are taken; None for none.
    temperature: 0 is greedy; sample_top_p: nucleus of the final draw. seed: of the draw.
    max_tokens: longest answer. stop: strings at which the answer ends; they are not part of it.
    """

    pooling: Pooling = "entropy"
    beta: float = 0.25
    eta: float = 0.1
    route: float = 0.1
    keep: int | None = 4
    negligible: float = 1e-3
    closer: int = 2
    copy: bool | None = None
    top_p: float | None = 0.95
    top_k: int | None = None
    temperature: float = 0.0
    sample_top_p: float | None = None
    seed: int = 0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise InputError(f"pooling is {self.pooling!r}; it is one of {', '.join(POOLINGS)}")
        if not (math.isfinite(self.beta) and self.beta >= -1):
            raise InputError(f"beta is {self.beta}: it is at least -1; 0.25 suits questions about texts")
        for name in ("eta", "route", "temperature"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value}: it is at least 0")
        if self.keep is not None and self.keep < 1:
            raise InputError(f"keep is {self.keep}: at least 1 context is kept; None keeps all")
        if self.closer < 0:
            raise InputError(f"closer is {self.closer}: it is a number of sentences, 0 for none")
        if self.copy and self.temperature:
            raise InputError(
                f"copy is set and temperature is {self.temperature}: what is copied is chosen, not drawn; leave one out"
            )
        if not 0 <= self.negligible < 1:
            raise InputError(f"negligible is {self.negligible}: it is a probability below 1; 0 drops nothing")
        for name in ("top_p", "sample_top_p"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise InputError(f"{name} is {value}: it is a probability above 0, at most 1; None for all tokens")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k is {self.top_k}: at least 1 token is kept; None for all")
        if self.max_tokens < 1:
            raise InputError(f"max_tokens is {self.max_tokens}: an answer has room for at least 1 token")
        if isinstance(self.stop, str) or not all(self.stop):
            raise InputError(f"stop is {self.stop!r}: give a tuple of strings that are not empty")


PLAIN = Settings(route=0.0, keep=None, negligible=0.0, closer=0)
"""NBCE as published: the choice by entropy alone, all rows to the end."""
