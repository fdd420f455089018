"""What the terminal shows while a run trains: the work before it, a bar with tokens/s and time left, evaluations.

All on stderr. Where that is no terminal (a log file), a line now and then instead of bars.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from ironwok.cli.console import err
from ironwok.cli.language import t

_LOG_EVERY = 30.0  # seconds between lines in a log file


def _work_names() -> dict[str, str]:
    return {
        "waiting": t(en="waiting for another process to tokenize the corpus", zh="等待另一个进程切分语料"),
        "contamination": t(en="comparing with the evaluation texts", zh="与评测文本比对"),
        "tokenizer": t(en="training the tokenizer", zh="训练分词器"),
        "corpus": t(en="tokenizing the corpus", zh="切分语料"),
        "words": t(en="counting words", zh="统计词频"),
        "pairs": t(en="preparing pairs", zh="准备句对"),
        "associations": t(en="counting which words keep company", zh="统计哪些词常在一起出现"),
        "embeddings": t(en="starting embeddings", zh="初始化词向量"),
        "evaluation": t(en="evaluating", zh="评测"),
        "checkpoint": t(en="writing a checkpoint", zh="写检查点"),
        "teacher": t(en="the teacher annotates", zh="教师模型标注"),
        "examples": t(en="preparing examples", zh="准备样本"),
    }


class TrainingWatch:
    """The `ironwok.training.progress.Progress` of the command line. Use as a context manager.

    name: of the run. clock: seconds, for the pace of log lines.
    """

    def __init__(self, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._console = err()
        self._bar = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._work: tuple[str, TaskID] | None = None
        self._steps: TaskID | None = None
        self._said_at = -_LOG_EVERY
        self._said_work = ""

    def __enter__(self) -> TrainingWatch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def busy(self, what: str, *, done: int, total: int, note: str = "") -> None:
        if self._work is None or self._work[0] != what:
            self._end_work()
            self._work = (what, self._bar.add_task(_work_names()[what], total=total or None, note=note))
        # shares of 1000: nobody wants to read bytes
        self._bar.update(
            self._work[1], completed=done * 1000 // total if total else 0, total=1000 if total else None, note=note
        )
        share = f"{done / total:.0%}" if total else ""
        # steps go on below; only what holds them up for long is worth a line
        self._log(" ".join(filter(None, (_work_names()[what], share, note))), work=what)

    def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None:
        self._end_work()
        note = f"{tokens_per_second:,.0f} {t(en='tokens/s', zh='词元/秒')}  loss {metrics['loss']:.3f}"
        if self._steps is None:
            self._steps = self._bar.add_task(self._name, total=total, note=note, completed=step - 1)
        self._bar.update(self._steps, completed=step, note=note)
        self._log(f"{self._name} {step}/{total}  {note}")

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        self._end_work()
        parts = [f"MLM {metrics['mlm_accuracy']:.3f}"]
        for name in metrics:
            if name.startswith("nsp_"):
                kind = name.removeprefix("nsp_")
                parts.append(f"NSP {kind} {metrics[name]:.3f} ({metrics['overlap_' + kind]:.3f})")
            elif name.startswith("head_"):
                parts.append(f"{name.removeprefix('head_')} {metrics[name]:.3f}")
        self._console.print(Text(f"{step:>8}  " + "  ".join(parts)), soft_wrap=True)

    def _end_work(self) -> None:
        if self._work is not None:
            self._bar.remove_task(self._work[1])
            self._work = None

    def _log(self, line: str, *, work: str = "") -> None:
        if self._console.is_terminal:
            return
        now = self._clock()
        began = work not in ("", "evaluation", "checkpoint", self._said_work)
        if began or now - self._said_at >= _LOG_EVERY:
            self._said_at, self._said_work = now, work
            self._console.print(Text(line), soft_wrap=True)
