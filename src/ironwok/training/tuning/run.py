"""One run of fine-tuning: what its loss and its evaluations are, and what its model folder holds."""

# B examples, R rows, C choices, N labels, L tokens

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ironwok.files import replace_file
from ironwok.students.files import DESCRIPTION, FORMAT
from ironwok.students.tuned.examples import ReadingExample
from ironwok.students.tuned.models import KIND
from ironwok.students.tuned.network import Network
from ironwok.students.tuned.rows import Encoded
from ironwok.training.supervised import RunContext, SupervisedRun
from ironwok.training.tuning.data import Corpus
from ironwok.training.tuning.examples import Batch, Batches, right_answers, unknown_labels
from ironwok.training.tuning.judge import judge_classes, judge_marks, rank
from ironwok.training.tuning.settings import TuneSettings


class TuningRun(SupervisedRun):
    """A run in this process. ``start`` or ``restore``, then ``train``.

    fresh: names of the weights that the encoder did not bring. dev: the development examples as rows.
    longest_answer: tokens of the longest answer that was learnt from.
    """

    schema_key = "labels"
    schema_noun = "labels"
    settings: TuneSettings

    def __init__(
        self,
        network: Network,
        corpus: Corpus,
        batches: Batches,
        settings: TuneSettings,
        context: RunContext,
        *,
        fresh: Sequence[str],
        dev: Encoded,
        longest_answer: int,
    ) -> None:
        self.fresh = frozenset(fresh)
        super().__init__(network.model, network.scorer.tokenizer, batches, settings, context)
        self.network, self.corpus, self.dev, self.longest_answer = network, corpus, dev, longest_answer

    def in_encoder(self, name: str) -> bool:
        return name not in self.fresh

    def tokens(self, batch: Batch) -> int:
        return sum(len(ids) for ids, _ in batch.rows)

    def loss(self, batch: Batch) -> Tensor:
        inputs = self.network.scorer.encoder.batch(batch.rows, self.device)
        right = torch.from_numpy(batch.right).to(self.device)
        task = self.corpus.task
        if task == "reading":
            outputs = self.model(**inputs)
            starts, ends = outputs.start_logits.float(), outputs.end_logits.float()
            hidden = inputs["attention_mask"] == 0
            logits = [scores_BL.masked_fill(hidden, -torch.inf) for scores_BL in (starts, ends)]
            return sum(F.cross_entropy(one, right[:, side]) for side, one in enumerate(logits)) / 2  # pyright: ignore[reportReturnType]
        owners = torch.from_numpy(batch.owners).to(self.device)
        if task == "choice":
            scores_R = self.model(**{name: tensor[:, None] for name, tensor in inputs.items()}).logits[:, 0].float()
            place_R = torch.from_numpy(_within(batch.owners)).to(self.device)
            logits_BC = scores_R.new_full((len(right), int(place_R.max()) + 1), -torch.inf)
            return F.cross_entropy(logits_BC.index_put((owners, place_R), scores_R), right)
        logits_RN = self.model(**inputs).logits.float()
        sums_BN = logits_RN.new_zeros((len(right), logits_RN.shape[1])).index_add(0, owners, logits_RN)
        windows_B = torch.bincount(owners, minlength=len(right))
        return F.cross_entropy(sums_BN / windows_B[:, None], right)

    def judge(self) -> dict[str, float]:
        done = 0

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            self.progress.busy("evaluation", done=done, total=len(self.dev.rows))

        corpus = self.corpus
        with self.autocast():
            if corpus.task == "reading":
                asked = [example for example in corpus.dev if isinstance(example, ReadingExample)]
                found = self.network.marks(
                    asked, self.dev, longest=self.longest_answer, may_lack=corpus.may_lack, on_rows=advance
                )
                return judge_marks(found, asked)
            scores = self.network.scores(self.dev, on_rows=advance)
        unknown = len(unknown_labels(corpus.dev, corpus.labels))
        right = right_answers(corpus.dev, corpus.labels).tolist()
        return judge_classes(scores, right, labels=len(corpus.labels), unknown=unknown)

    def rank(self, metrics: dict[str, float]) -> tuple[float, ...]:
        return rank(self.corpus.task, metrics)

    def write_model(self, folder: Path) -> None:
        """What ``transformers`` loads, with the labels and everything else that using the model takes."""
        super().write_model(folder)
        corpus = self.corpus
        described = {
            "format": FORMAT,
            "kind": KIND,
            "task": corpus.task,
            "labels": list(corpus.labels),
            "max_tokens": self.network.scorer.max_tokens,
            "trained": {
                "model": self.identity["model"],
                "fields": self.identity["fields"],
                "examples": len(corpus.train),
                "dev_examples": len(corpus.dev),
                "step": self.step,
                "metrics": (self.best or {}).get("metrics", {}),
                "settings": self.settings.to_dict(),
            },
        }
        if corpus.task == "reading":
            described |= {"longest_answer": self.longest_answer, "may_lack": corpus.may_lack}
        text = json.dumps(described, ensure_ascii=False, indent=2) + "\n"
        replace_file(folder / DESCRIPTION, text.encode())


def _within(owners: np.ndarray) -> np.ndarray:
    """Place of each row among those of its example: [0, 0, 1, 1, 1] -> [0, 1, 0, 1, 2]."""
    starts = np.searchsorted(owners, owners, side="left")
    return np.arange(len(owners)) - starts
