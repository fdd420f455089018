"""NBCE inside ``model.generate``: the batch is the empty context and the contexts, every row gets the same token.

Exact, with two limits that lie in ``generate``: it has no way to drop rows, and it does not look at the prompt, so r_k
(``lift``) has to be known beforehand. `Answerer` has neither.
"""

# R rows, row 0 the empty context; N = R - 1 contexts; V vocabulary

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor

from ironwok.errors import InputError
from ironwok.nbce.core import combine, context_of, sample
from ironwok.nbce.settings import Settings


class NBCELogitsProcessor(LogitsProcessor):
    """Combines the rows of a left-padded batch into one distribution and picks the token for all of them.

    settings: of decoding; ``keep``, ``max_tokens`` and ``stop`` are not used. lift: r_k, float [N]; None for none.
    Call ``generate`` with ``do_sample=False``: the drawing happens here, once for all rows, by ``settings.temperature``
    and ``settings.seed``, and other processors would see the rows before they are combined. One object serves one call.

    contexts: filled as tokens come, the row of each, from 1.
    """

    def __init__(self, settings: Settings | None = None, *, lift: Tensor | None = None) -> None:
        self.settings = settings or Settings(route=0.0)
        if self.settings.route and lift is None:
            raise InputError(f"route is {self.settings.route} but lift is missing: pass r_k, or Settings(route=0)")
        self.lift = lift
        self.contexts: list[int] = []
        self._generator = torch.Generator().manual_seed(self.settings.seed)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """scores: logits [R, V]. Returns float [R, V]: 0 for the token that was picked, −inf elsewhere."""
        settings = self.settings
        if self.lift is not None and len(self.lift) != len(scores) - 1:
            raise InputError(
                f"lift has {len(self.lift)} values, the batch {len(scores) - 1} contexts beside the empty one"
            )
        combined = combine(
            torch.log_softmax(scores.float(), dim=-1),
            pooling=settings.pooling,
            beta=settings.beta,
            eta=settings.eta,
            top_p=settings.top_p,
            top_k=settings.top_k,
            lift=self.lift,
            route=settings.route,
            previous=self.contexts[-1] if self.contexts else 0,
        )
        token = sample(
            combined.scores,
            temperature=settings.temperature,
            top_p=settings.sample_top_p,
            generator=self._generator,
        )
        self.contexts.append(context_of(combined, token))
        picked = torch.full_like(scores, -torch.inf)
        picked[:, token] = 0.0
        return picked
