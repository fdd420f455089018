"""Probes during training: in any loop of one's own, or in the Trainer of transformers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ironwok.errors import ConfigError
from ironwok.files import LineLog
from ironwok.lab.depth import depth_profile, effective_depth, gradient_norms
from ironwok.lab.layers import find_layers
from ironwok.lab.ranks import attention_matrices, rank_profile

if TYPE_CHECKING:
    from transformers import TrainerCallback


class ProbeLog:
    """Appends what the probes say of a model, every so many steps, to a JSONL file.

    path: the file; each line holds "step", and "depth", "gradients", "effective_depth" and "ranks" where asked for.
    loss: computes the loss of the same batch of a model, each time.
    attention: runs the model so that attention can be had, see `attention_matrices`; None leaves ranks out. For models
        of Hugging Face: ``lambda model: model(**batch, output_attentions=True)``.
    every: steps between two looks. drops: also measure the loss without each block and with neighbours swapped, which
        takes two forward passes a block. stack: which of the model's stacks, where it has several.

    The model is in evaluation mode while the probes look, without dropout, and then again as it was.
    """

    def __init__(
        self,
        path: Path,
        *,
        loss: Callable[[nn.Module], Tensor],
        attention: Callable[[nn.Module], Any] | None = None,
        every: int = 100,
        drops: bool = False,
        stack: int = 0,
    ) -> None:
        if every < 1:
            raise ConfigError(f"every is {every} steps, it must be at least 1")
        self.lines = LineLog(path)
        self.loss, self.attention = loss, attention
        self.every, self.drops, self.stack = every, drops, stack

    def __call__(self, model: nn.Module, step: int) -> dict[str, Any] | None:
        """Look, where the step is due, and return what was written."""
        if step % self.every:
            return None
        training = model.training
        model.eval()
        try:
            record = {"step": step, **self._look(model)}
        finally:
            model.train(training)
        self.lines.append([record])
        return record

    def _look(self, model: nn.Module) -> dict[str, Any]:
        stack = find_layers(model)[self.stack]

        def loss() -> Tensor:
            return self.loss(model)

        found: dict[str, Any] = {
            "stack": stack.name,
            "depth": asdict(depth_profile(stack, loss)),
            "gradients": gradient_norms(stack, loss),
        }
        if self.drops:
            found["effective_depth"] = asdict(effective_depth(stack, loss))
        if self.attention is not None:
            run = self.attention
            with torch.no_grad():
                matrices = attention_matrices(model, lambda: run(model))
            found["ranks"] = [asdict(rank_profile(matrix.float())) for matrix in matrices]
        return found

    def close(self) -> None:
        self.lines.close()


def trainer_callback(log: ProbeLog) -> TrainerCallback:
    """A callback for ``transformers.Trainer`` that lets the log look after each step, and once before the first."""
    from transformers import TrainerCallback

    class Probes(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            log(kwargs["model"], state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            log(kwargs["model"], state.global_step)

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            log.close()

    return Probes()
