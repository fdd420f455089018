"""What the terminal shows while a reading runs: what lies ahead, a bar, what is skipped. All on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ironwok.cli.console import err, one_line
from ironwok.cli.language import t

if TYPE_CHECKING:
    from ironwok.reading.events import Event, Planned, Stopped
    from ironwok.results import Skip

# more skips than this are counted, not listed; skipped.jsonl has them all
_LISTED_SKIPS = 20


class Watch:
    """Observer of a reading. Use as a context manager: the bar goes away at its end."""

    def __init__(self) -> None:
        self.skipped = 0
        self.planned: Planned | None = None
        self.stopped: Stopped | None = None
        self._console = err()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}", style="dim"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            # in a log file it would only leave empty lines
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._bar.stop()

    def say_loading(self) -> None:
        self._task = self._bar.add_task(t(en="loading the model", zh="加载模型"), total=None, count="")

    def __call__(self, event: Event) -> None:
        from ironwok.reading.events import Advanced, Answered, Planned, Skipped, Stopped

        match event:
            case Planned():
                self.planned = event
                self._plan(event)
            case Advanced():
                self._advance(event)
            case Answered():
                self._answered(event)
            case Skipped():
                self._skip(event.skip)
            case Stopped():
                self.stopped = event

    def interrupted(self, folder: Path) -> str:
        """What is kept after Ctrl-C, and how to go on."""
        if self.stopped is None or not self.stopped.passages:
            return t(en="Interrupted before the first passage was done.", zh="已中断，还没有读完任何一段。")
        passages, documents = self.stopped.passages, self.stopped.documents
        return t(
            en=f"Interrupted. {passages:,} passages ({documents:,} whole documents) are kept in {folder}; "
            "the same command goes on from there.",
            zh=f"已中断。{folder} 里保存了 {passages:,} 段（{documents:,} 篇完整文档），再次运行同样的命令会接着读。",
        )

    def _plan(self, plan: Planned) -> None:
        for path in plan.changed:
            self._say(t(en=f"changed, will be read again: {path}", zh=f"有改动，重新读：{path}"))
        for path in plan.vanished:
            self._say(t(en=f"no longer there, left out: {path}", zh=f"已不存在，不再列入：{path}"))
        if plan.files_done or plan.passages_done:
            done, of, passages = f"{plan.files_done:,}", f"{plan.files:,}", f"{plan.passages_done:,}"
            self._say(
                t(
                    en=f"{done} of {of} files and {passages} passages are kept from before",
                    zh=f"沿用以前的结果：{of} 个文件中的 {done} 个，共 {passages} 段",
                )
            )
        about = "" if plan.exact else t(en="about ", zh="约 ")
        if plan.passages:
            ahead = t(en=f"{about}{plan.passages:,} passages to read", zh=f"要读 {about}{plan.passages:,} 段")
            if plan.seconds is not None:
                ahead += t(en=f", about {_duration(plan.seconds)}", zh=f"，大约需要 {_duration(plan.seconds)}")
            self._say(ahead)
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(t(en="reading", zh="阅读"), total=max(plan.passages, 1), count="")

    def _advance(self, event: Any) -> None:
        if self._task is not None:
            name = Path(event.document).name
            count = f"{event.done:,}/{event.passages:,} · {one_line(name)}"
            self._bar.update(self._task, completed=event.done, total=max(event.passages, 1), count=count)

    def _answered(self, event: Any) -> None:
        if self._task is not None:
            count = f"{event.done:,}/{event.questions:,}"
            name = t(en="answering", zh="回答")
            self._bar.update(self._task, description=name, completed=event.done, total=event.questions, count=count)

    def _skip(self, skip: Skip) -> None:
        self.skipped += 1
        if self.skipped <= _LISTED_SKIPS:
            self._say(t(en=f"skipped: {skip.reason}", zh=f"跳过：{skip.reason}"), style="yellow")
        elif self.skipped == _LISTED_SKIPS + 1:
            self._say(t(en="… more are listed in skipped.jsonl", zh="……其余见 skipped.jsonl"), style="yellow")

    def _say(self, message: str, *, style: str = "dim") -> None:
        self._console.print(Text(one_line(message), style=style), soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return t(en=f"{max(seconds, 1):.0f} s", zh=f"{max(seconds, 1):.0f} 秒")
    if seconds < 5400:
        return t(en=f"{seconds / 60:.0f} min", zh=f"{seconds / 60:.0f} 分钟")
    return t(en=f"{seconds / 3600:.1f} h", zh=f"{seconds / 3600:.1f} 小时")
