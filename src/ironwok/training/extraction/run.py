"""One training run of an extraction model: what its batches, its loss and its evaluations are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ironwok.events.extractor import extractor_for, load_extractor
from ironwok.files import replace_file
from ironwok.models import GPLinkerModel
from ironwok.training.extraction.data import Corpus
from ironwok.training.extraction.examples import POINTERS, Batch, Batches
from ironwok.training.extraction.judge import judge, rank
from ironwok.training.extraction.settings import TrainSettings
from ironwok.training.extraction.thresholds import choose_thresholds
from ironwok.training.metrics import MetricsLog
from ironwok.training.supervised import RunContext, SupervisedRun


class ExtractionRun(SupervisedRun):
    """A run in this process. ``start`` or ``restore``, then ``train``."""

    settings: TrainSettings

    def __init__(
        self,
        model: GPLinkerModel,
        tokenizer: Any,
        corpus: Corpus,
        batches: Batches,
        settings: TrainSettings,
        context: RunContext,
    ) -> None:
        super().__init__(model, tokenizer, batches, settings, context)
        self.corpus = corpus

    def in_encoder(self, name: str) -> bool:
        return name.startswith("encoder.")

    def tokens(self, batch: Batch) -> int:
        return int(batch.inputs["attention_mask"].sum())

    def loss(self, batch: Batch) -> Tensor:
        inputs = {name: torch.from_numpy(array).to(self.device) for name, array in batch.inputs.items()}
        right = {
            f"right_{name}": torch.from_numpy(cells).to(self.device)
            for name, cells in zip(POINTERS, batch.right, strict=True)
        }
        weights = np.where(batch.taught, self.settings.teacher_weight, 1.0).astype(np.float32)
        return self.model(**inputs, **right, weights=torch.from_numpy(weights).to(self.device)).loss

    def judge(self) -> dict[str, float]:
        texts = self.corpus.dev
        extractor = extractor_for(self.model, self.tokenizer)
        found: list[Any] = []
        with self.autocast(), warnings.catch_warnings():
            # a model in its first steps finds far too much; a trained one is checked by those who use it
            warnings.simplefilter("ignore")
            for results in extractor.extract_iter(text.text for text in texts):
                found.append(results)
                self.progress.busy("evaluation", done=len(found), total=len(texts))
        return judge(self.corpus.classes.task, found, texts)

    def rank(self, metrics: dict[str, float]) -> tuple[float, ...]:
        return rank(self.corpus.classes.task, metrics)

    def conclude(self, log: MetricsLog) -> None:
        """Let the best model keep the thresholds with which it does best on the development texts."""
        if not self.settings.calibrate:
            return
        assert self.best is not None
        folder, texts = self.out / "model", self.corpus.dev
        extractor = load_extractor(folder, device=str(self.device))
        with self.autocast(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options, metrics = choose_thresholds(
                extractor,
                texts,
                on_text=lambda done: self.progress.busy("evaluation", done=done, total=len(texts)),
            )
        config = extractor.model.config
        config.threshold, config.link_threshold = options.threshold or 0.0, options.link_threshold or 0.0
        replace_file(folder / "config.json", config.to_json_string().encode())
        self.best = {"step": self.best["step"], "metrics": metrics}
        self.progress.evaluated(self.step, metrics)
        log.write(self.step, {"threshold": config.threshold, "link_threshold": config.link_threshold})
