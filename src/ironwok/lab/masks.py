"""One run of ``ironwok lab masks``: who sees whom, in sequence-to-sequence and in masked-LM training."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ironwok.lab.corpus import LabData
from ironwok.lab.models import PAD, LanguageModel, SequenceModel, initialized
from ironwok.lab.plan import RunSpec, groups_of, sizes
from ironwok.lab.ranks import attention_matrices, rank_profile
from ironwok.lab.recipe import MASKED_MASKS, SEQUENCE_ENCODER_MASKS, MaskedGroup, MasksRecipe, SequenceGroup
from ironwok.lab.sequences import as_one_row, draw_pairs, shifted, vocabulary_size
from ironwok.lab.training import draw_rows, even_rows, masked_batch, token_loss, train
from ironwok.nn.config import MaskPattern, TransformerConfig

_DEV_ROWS = 64


def run_masks(recipe: MasksRecipe, data: LabData, spec: RunSpec, *, device: torch.device) -> dict[str, Any]:
    """Train and probe. Returns metrics, curve and probes, ready for JSON."""
    group = groups_of(recipe)[spec.cell.group]
    if isinstance(group, SequenceGroup):
        run = _Sequence(recipe, data, spec, group, device)
    else:
        run = _Masked(recipe, data, spec, group, device)
    initialized(run.model, seed=spec.seed, gain=recipe.model.gain)
    run.model.to(device)
    probes: list[dict[str, Any]] = []
    due = {round(share * spec.steps) for share in recipe.probes.ranks_at} if spec.phase == "final" else set()

    def probe(step: int) -> None:
        if step in due:
            matrices = attention_matrices(run.model, run.probed)[: run.ranked_layers]
            probes.append({"step": step, "layers": [asdict(rank_profile(matrix)) for matrix in matrices]})

    curve = train(
        run.model,
        run.loss,
        schedule=spec.schedule,
        recipe=recipe.training,
        evaluate=run.dev_loss,
        on_step=probe,
    )
    worst = math.log(run.vocabulary)
    metrics = {"loss": curve.final(worst), "mean_loss": curve.mean(worst), **run.sizes()}
    if spec.phase == "final":
        metrics["accuracy"] = 0.0 if curve.diverged else run.accuracy()
    if probes and not curve.diverged:
        metrics |= _rank_metrics(probes[-1]["layers"])
    return {"metrics": metrics, "curve": asdict(curve), "probes": {"ranks": probes}}


def _rank_metrics(layers: list[dict[str, Any]]) -> dict[str, float]:
    def mean(name: str) -> float:
        return float(np.mean([value for layer in layers for value in layer[name]]))

    return {
        "numerical_rank": mean("numerical"),
        "effective_rank": mean("effective"),
        "log_determinant": mean("log_determinants"),
    }


def _config(recipe: MasksRecipe, *, layers: int, mask: str, cross: bool = False) -> TransformerConfig:
    model = recipe.model
    return TransformerConfig(
        layers=layers,
        width=model.width,
        heads=model.heads,
        feed_forward_width=model.feed_forward_width,
        norm=model.norm,
        norm_eps=1e-6,
        norm_gain=model.norm_gain,
        norm_placement="pre",
        mask=mask,  # pyright: ignore[reportArgumentType]
        cross_attention=cross,
    )


class _Masked:
    """Masked-LM on the text of the run."""

    model: nn.Module

    def __init__(
        self, recipe: MasksRecipe, data: LabData, spec: RunSpec, group: MaskedGroup, device: torch.device
    ) -> None:
        self.recipe, self.data, self.device = recipe, data, device
        self.vocabulary = len(data.vocabulary)
        mask: MaskPattern = MASKED_MASKS[spec.cell.variant]  # pyright: ignore[reportAssignmentType]
        self.model = LanguageModel(
            _config(recipe, layers=group.layers, mask=mask), vocabulary=self.vocabulary, length=recipe.data.length
        )
        self.ranked_layers = group.layers
        self.random = np.random.default_rng([spec.seed, 1])
        length = recipe.data.length
        self.dev = self._batch(even_rows(data.dev, rows=_DEV_ROWS, length=length), np.random.default_rng(0))
        rows = even_rows(data.dev, rows=recipe.probes.rows, length=length)
        self.probe_rows = self._batch(rows, np.random.default_rng(1))

    def _batch(self, rows: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        rate = self.recipe.training.mask_rate
        inputs, labels = masked_batch(rows, rate=rate, vocabulary=self.vocabulary, random=random)
        return inputs.to(self.device), labels.to(self.device)

    def loss(self, _: int) -> Tensor:
        training = self.recipe.training
        rows = draw_rows(self.data.train, rows=training.batch, length=self.recipe.data.length, random=self.random)
        inputs, labels = self._batch(rows, self.random)
        return token_loss(self.model(inputs), labels)

    @torch.no_grad()
    def dev_loss(self) -> float:
        return float(token_loss(self.model(self.dev[0]), self.dev[1]))

    @torch.no_grad()
    def accuracy(self) -> float:
        asked = self.dev[1] != PAD
        return float((self.model(self.dev[0]).argmax(-1)[asked] == self.dev[1][asked]).float().mean())

    def probed(self) -> Tensor:
        return self.model(self.probe_rows[0])

    def sizes(self) -> dict[str, float]:
        return {}


class _Sequence:
    """Source to target, with the loss on the target alone."""

    model: nn.Module

    def __init__(
        self, recipe: MasksRecipe, data: LabData, spec: RunSpec, group: SequenceGroup, device: torch.device
    ) -> None:
        self.recipe, self.data, self.group, self.spec, self.device = recipe, data, group, spec, device
        self.vocabulary = vocabulary_size(group, data)
        self.single = not spec.cell.encoder
        length = 2 * max(group.source_length, group.target_length) + 1
        if self.single:
            mask = "causal" if spec.cell.variant == "gpt" else "prefix"
            config = _config(recipe, layers=group.layers, mask=mask)
            self.model = LanguageModel(config, vocabulary=self.vocabulary, length=length)
        else:
            self.decoder = spec.cell.depth - spec.cell.encoder
            self.model = SequenceModel(
                _config(recipe, layers=spec.cell.encoder, mask=SEQUENCE_ENCODER_MASKS[spec.cell.variant]),
                _config(recipe, layers=self.decoder, mask="causal", cross=True),
                vocabulary=self.vocabulary,
                length=length,
            )
        # of encoder and decoder, the encoder: the decoder is causal everywhere
        self.ranked_layers = group.layers if self.single else spec.cell.encoder
        self.random = np.random.default_rng([spec.seed, 1])
        self.dev = self._pairs(_DEV_ROWS, np.random.default_rng(0), dev=True)
        self.probe_rows = self._pairs(recipe.probes.rows, np.random.default_rng(1), dev=True)

    def _pairs(self, count: int, random: np.random.Generator, *, dev: bool = False) -> tuple[Tensor, Tensor]:
        source, target = draw_pairs(self.group, self.data, count=count, random=random, dev=dev)
        return source.to(self.device), target.to(self.device)

    def _logits(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, labels) at the places of the target."""
        if not self.single:
            return self.model(source, shifted(target)), target
        inputs, labels, lengths = as_one_row(source, target)
        prefix = lengths if self.spec.cell.variant == "unilm" else None
        return self.model(inputs, prefix_lengths=prefix), labels

    def loss(self, _: int) -> Tensor:
        return token_loss(*self._logits(*self._pairs(self.recipe.training.batch, self.random)))

    @torch.no_grad()
    def dev_loss(self) -> float:
        return float(token_loss(*self._logits(*self.dev)))

    @torch.no_grad()
    def accuracy(self) -> float:
        """The share of target tokens that are the likeliest after the true ones before them."""
        logits, labels = self._logits(*self.dev)
        asked = labels != PAD
        return float((logits.argmax(-1)[asked] == labels[asked]).float().mean())

    def probed(self) -> Tensor:
        return self._logits(*self.probe_rows)[0]

    def sizes(self) -> dict[str, float]:
        if self.single:
            parameters, products = sizes(self.recipe, self.group, encoder=0, decoder=self.group.layers)
        else:
            parameters, products = sizes(self.recipe, self.group, encoder=self.spec.cell.encoder, decoder=self.decoder)
        return {"parameters": float(parameters), "products": float(products)}
