"""The tagging baseline of fewfc.py: one label a token, and all arguments of a type are one event."""

# B texts, L tokens, D width, N labels

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ironwok.events.annotations import AnnotatedText
from ironwok.events.classes import TaskClasses
from ironwok.models import load_model
from ironwok.results import Argument, Event, Span
from ironwok.text.inputs import layout_of
from ironwok.text.windows import token_span_to_char_span, windows_for
from ironwok.training.extraction.examples import Batch, Batches, Example, make_examples
from ironwok.training.extraction.settings import TrainSettings

OUTSIDE = 0


class Tagger(nn.Module):
    """An encoder and one linear layer: outside, or begin or inside of a class of spans."""

    def __init__(self, encoder: Any, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        self.label = nn.Linear(encoder.config.hidden_size, 1 + 2 * classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, special_tokens_mask: Tensor) -> Tensor:
        hidden_BLD = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        return self.label(self.dropout(hidden_BLD))


def labels_of(batch: Batch) -> np.ndarray:
    """int64 [B, L]; of spans that overlap, the longest has its tokens, as a tagger can hold one label a token."""
    labels = np.full(batch.inputs["input_ids"].shape, OUTSIDE, dtype=np.int64)
    taken = np.zeros_like(labels, dtype=bool)
    cells = batch.right[0]
    for row, kind, first, last in sorted(cells.tolist(), key=lambda cell: (cell[2] - cell[3], *cell)):
        if not taken[row, first : last + 1].any():
            labels[row, first : last + 1] = 2 + 2 * kind
            labels[row, first] = 1 + 2 * kind
            taken[row, first : last + 1] = True
    labels[batch.inputs["special_tokens_mask"] == 1] = -100
    return labels


def spans_of(tags: Sequence[int]) -> list[tuple[int, int, int]]:
    """(class, first, last) of every run of one class; a run may begin without its begin tag."""
    spans: list[tuple[int, int, int]] = []
    for place, tag in enumerate(tags):
        if tag == OUTSIDE:
            continue
        kind, inside = divmod(tag - 1, 2)
        if inside and spans and spans[-1][0] == kind and spans[-1][2] == place - 1:
            spans[-1] = (kind, spans[-1][1], place)
        else:
            spans.append((kind, place, place))
    return spans


def events_of(spans: Sequence[tuple[int, Span]], classes: TaskClasses) -> tuple[Event, ...]:
    """All arguments of a type are one event, with each trigger of the type; without a trigger there is none."""
    triggers: dict[str, list[Span]] = {}
    arguments: dict[str, list[Argument]] = {}
    for kind, span in spans:
        one = classes.spans[kind]
        if one.role is None:
            triggers.setdefault(one.type, []).append(span)
        else:
            arguments.setdefault(one.type, []).append(Argument(one.role, span))
    return tuple(
        Event(name, tuple(arguments.get(name, ())), trigger) for name, found in triggers.items() for trigger in found
    )


class TaggerRun:
    """The same batches, rates, running mean of weights and number format as GPLinker is trained with."""

    def __init__(
        self,
        encoder: str,
        texts: Sequence[AnnotatedText],
        classes: TaskClasses,
        tokenizer: Any,
        settings: TrainSettings,
        *,
        steps: int,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.steps = settings, steps
        self.model = Tagger(load_model(encoder, head="base"), len(classes.spans))
        self.mean = copy.deepcopy(self.model)
        examples: list[Example] = make_examples(texts, classes, tokenizer, max_tokens=settings.max_tokens)[0]
        self.batches = Batches(
            examples, tokenizer, batch_tokens=settings.batch_tokens, batch_size=settings.batch_size, seed=settings.seed
        )
        groups = [
            {"params": list(self.model.encoder.parameters()), "lr": settings.learning_rate},
            {"params": list(self.model.label.parameters()), "lr": settings.head_learning_rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=settings.weight_decay)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: settings.share(min(step, steps - 1), steps)
        )
        self.step = self.epoch = self.number = 0

    def train(self, kept: Path) -> Tagger:
        """All steps; every minute what is needed to go on is written to ``kept``, and read from there at the start."""
        if kept.exists():
            self._restore(torch.load(kept, weights_only=True))
        self.model.train()
        saved = time.perf_counter()
        while self.step < self.steps:
            self._train_step()
            now = time.perf_counter()
            if now - saved > 60 or self.step == self.steps:
                saved = now
                building = kept.with_suffix(".building")
                torch.save(self._state(), building)
                building.replace(kept)
        return self.mean.eval()

    def _train_step(self) -> None:
        settings = self.settings
        if self.number >= self.batches.count(self.epoch):
            self.epoch, self.number = self.epoch + 1, 0
        batch = self.batches.batch(self.epoch, self.number)
        self.number += 1
        torch.manual_seed(int(np.random.SeedSequence((settings.seed, 1, self.step)).generate_state(1)[0]))
        inputs = {name: torch.from_numpy(array) for name, array in batch.inputs.items()}
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.precision == "bf16"):
            scores = self.model(**inputs)
        loss = F.cross_entropy(scores.float().flatten(0, 1), torch.from_numpy(labels_of(batch)).flatten())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        keep = min(settings.ema, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for old, new in zip(self.mean.parameters(), self.model.parameters(), strict=True):
                old.lerp_(new, 1.0 - keep)

    def _state(self) -> dict[str, Any]:
        parts = {name: getattr(self, name).state_dict() for name in ("model", "mean", "optimizer", "schedule")}
        return parts | {name: getattr(self, name) for name in ("step", "epoch", "number")}

    def _restore(self, state: dict[str, Any]) -> None:
        for name in ("model", "mean", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("step", "epoch", "number"):
            setattr(self, name, state[name])


def tag(
    model: Tagger, texts: Sequence[str], classes: TaskClasses, tokenizer: Any, *, max_tokens: int
) -> list[tuple[Event, ...]]:
    """Events of each text, one after the other."""
    before, after = layout_of(tokenizer).single
    found = []
    for text in texts:
        spans: list[tuple[int, Span]] = []
        for window in windows_for(text, tokenizer, max_tokens=max_tokens - len(before) - len(after)):
            ids = torch.tensor([[*before, *window.token_ids, *after]])
            with torch.inference_mode():
                tags = model(ids, torch.ones_like(ids), torch.zeros_like(ids))[0].argmax(-1)
            inside = tags[len(before) : len(before) + len(window.token_ids)].tolist()
            for kind, first, last in spans_of(inside):
                start, end = token_span_to_char_span(window.offsets, first, last)
                spans.append((kind, Span(start, end, text[start:end])))
        found.append(events_of(spans, classes))
    return found
