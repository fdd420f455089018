"""One run of ``ironwok lab norms``: pretraining with a norm placement, probes, fine-tuning on labelled tasks."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ironwok.lab.corpus import LabData, LabelledTask, Split
from ironwok.lab.depth import depth_profile, effective_depth, gradient_norms
from ironwok.lab.layers import LayerStack
from ironwok.lab.models import Classifier, LanguageModel, initialized
from ironwok.lab.plan import RunSpec, groups_of
from ironwok.lab.recipe import NormGroup, NormsRecipe
from ironwok.lab.training import Schedule, causal_batch, draw_rows, even_rows, masked_batch, token_loss, train
from ironwok.nn.config import NormPlacement, TransformerConfig

_PLACEMENTS: dict[str, NormPlacement] = {"post-alpha": "post"}
_DEV_ROWS = 64


def norm_config(recipe: NormsRecipe, group: NormGroup, *, variant: str, depth: int) -> TransformerConfig:
    """The stack of a variant."""
    model = recipe.model
    return TransformerConfig(
        layers=depth,
        width=model.width,
        heads=model.heads,
        feed_forward_width=model.feed_forward_width,
        norm=model.norm,
        norm_eps=1e-6,
        norm_gain=model.norm_gain,
        norm_placement=_PLACEMENTS.get(variant, variant),  # pyright: ignore[reportArgumentType]
        mask="full" if group.objective == "masked" else "causal",
    )


def run_norms(recipe: NormsRecipe, data: LabData, spec: RunSpec, *, device: torch.device) -> dict[str, Any]:
    """Train, probe, fine-tune. Returns metrics, curve and probes, ready for JSON."""
    group = groups_of(recipe)[spec.cell.group]
    assert isinstance(group, NormGroup)
    config = norm_config(recipe, group, variant=spec.cell.variant, depth=spec.cell.depth)
    length, words = recipe.data.length, len(data.vocabulary)
    model = LanguageModel(config, vocabulary=words, length=3 * length)
    initialized(model, seed=spec.seed, gain=recipe.model.gain)
    model.to(device)
    stack = LayerStack("stack.blocks", model.stack.blocks)
    random = np.random.default_rng([spec.seed, 1])

    def batch_of(rows: Tensor, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        if group.objective == "causal":
            inputs, labels = causal_batch(rows)
        else:
            inputs, labels = masked_batch(rows, rate=recipe.training.mask_rate, vocabulary=words, random=generator)
        return inputs.to(device), labels.to(device)

    def loss(_: int) -> Tensor:
        rows = draw_rows(data.train, rows=recipe.training.batch, length=length, random=random)
        inputs, labels = batch_of(rows, random)
        return token_loss(model(inputs), labels)

    dev = batch_of(even_rows(data.dev, rows=_DEV_ROWS, length=length), np.random.default_rng(0))
    probed = batch_of(even_rows(data.dev, rows=recipe.probes.rows, length=length), np.random.default_rng(1))

    def probed_loss() -> Tensor:
        return token_loss(model(probed[0]), probed[1])

    @torch.no_grad()
    def evaluate() -> float:
        return float(token_loss(model(dev[0]), dev[1]))

    full = spec.phase == "final"
    probes: dict[str, Any] = {}
    if full:
        probes["initial"] = asdict(depth_profile(stack, probed_loss))
        probes["initial_gradients"] = gradient_norms(stack, probed_loss)
    curve = train(
        model,
        loss,
        schedule=spec.schedule,
        recipe=recipe.training,
        evaluate=evaluate,
        set_branch_scale=model.stack.set_branch_scale if spec.cell.variant == "post-alpha" else None,
    )
    worst = math.log(words)
    metrics = {"loss": curve.final(worst), "mean_loss": curve.mean(worst)}
    if full and not curve.diverged:
        metrics |= _probe(stack, probed_loss, probes)
    if full and group.transfer:
        for name, task in data.tasks.items():
            metrics[f"transfer.{name}"], probes[f"transfer.{name}"] = _fine_tune(
                recipe, model, task, seed=spec.seed, diverged=curve.diverged, device=device
            )
        metrics["transfer"] = float(np.mean([metrics[f"transfer.{name}"] for name in data.tasks]))
    return {"metrics": metrics, "curve": asdict(curve), "probes": probes}


def _probe(stack: LayerStack, loss: Any, probes: dict[str, Any]) -> dict[str, float]:
    profile, worth = depth_profile(stack, loss), effective_depth(stack, loss)
    gradients = gradient_norms(stack, loss)
    probes |= {"final": asdict(profile), "effective_depth": asdict(worth), "final_gradients": gradients}
    late = len(stack) // 2
    return {
        "growth_exponent": profile.growth_exponent,
        "growth": math.sqrt(profile.square_norms[-1] / profile.square_norms[0]),
        "late_cosine": float(np.mean(profile.cosines[late:])),
        "late_change": float(np.mean(profile.relative_changes[late:])),
        "late_drop": float(np.mean(worth.dropped[late:])),
        "swap": float(np.mean(worth.swapped)),
    }


def _fine_tune(
    recipe: NormsRecipe, model: LanguageModel, task: LabelledTask, *, seed: int, diverged: bool, device: torch.device
) -> tuple[float, dict[str, Any]]:
    """(test accuracy, what was tried): each learning rate, the best on dev counts."""
    if diverged:
        return task.majority, {"diverged": True}
    tried, best, best_dev = [], None, -1.0
    for rate in recipe.transfer.learning_rates:
        classifier = Classifier(copy.deepcopy(model), classes=len(task.classes), seed=seed).to(device)
        # the warm-up of the branches belongs to pretraining and is over
        classifier.model.stack.set_branch_scale(1.0)
        dev = _tune(recipe, classifier, task, rate=rate, seed=seed, device=device)
        tried.append({"learning_rate": rate, "dev": dev or 0.0, "diverged": dev is None})
        if dev is not None and dev > best_dev:
            best, best_dev = classifier, dev
    # the test examples are read once, by the best: with more tries this took as long as a sixth of the training
    found = task.majority if best is None else accuracy(best, task.test, device=device)
    return found, {"tried": tried}


def _tune(
    recipe: NormsRecipe,
    classifier: Classifier,
    task: LabelledTask,
    *,
    rate: float,
    seed: int,
    device: torch.device,
) -> float | None:
    """Accuracy on dev; None for a run that diverged."""
    plan, random = recipe.transfer, np.random.default_rng([seed, 2])
    steps_of_pass = max(len(task.train.labels) // plan.batch, 1)
    order = np.concatenate([random.permutation(len(task.train.labels)) for _ in range(plan.steps // steps_of_pass + 2)])

    def loss(step: int) -> Tensor:
        picked = order[step * plan.batch : (step + 1) * plan.batch]
        return F.cross_entropy(
            classifier(trimmed(task.train.tokens[picked]).to(device)), task.train.labels[picked].to(device)
        )

    curve = train(
        classifier,
        loss,
        schedule=Schedule(rate, plan.warmup, plan.steps),
        recipe=recipe.training.model_copy(update={"evaluations": 1}),
        evaluate=lambda: 0.0,
    )
    return None if curve.diverged else accuracy(classifier, task.dev, device=device)


def trimmed(tokens_BL: Tensor) -> Tensor:
    """Without the columns that are padding in every row."""
    longest = int((tokens_BL != 0).sum(dim=1).max())
    return tokens_BL[:, : max(longest, 1)]


@torch.no_grad()
def accuracy(classifier: Classifier, split: Split, *, device: torch.device, batch: int = 128) -> float:
    """The share of right answers."""
    classifier.eval()
    right = 0
    for begin in range(0, len(split.labels), batch):
        logits = classifier(trimmed(split.tokens[begin : begin + batch]).to(device))
        right += int((logits.argmax(dim=1).cpu() == split.labels[begin : begin + batch]).sum())
    return right / len(split.labels)
