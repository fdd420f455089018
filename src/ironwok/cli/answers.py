"""Answers in the terminal: as they are written, then what they rest on."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ironwok.cli.console import err, out
from ironwok.cli.language import t

if TYPE_CHECKING:
    from ironwok.results import Answer, Source, Span

_QUOTED = 160  # characters of a source
# one for each of the first sources of an answer; later ones share the last
COLOURS = ("green", "cyan", "magenta", "yellow", "blue", "red")


class ReadingBar:
    """How many passages have been read, on standard error."""

    def __init__(self, *, shown: bool) -> None:
        self._bar = Progress(
            TextColumn(t(en="reading", zh="阅读")),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=err(),
            transient=True,
            disable=not shown,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> ReadingBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)

    def close(self) -> None:
        self._bar.stop()


class AnswerPrinter:
    """Prints pieces of answers as they come, and behind each answer its sources.

    json_lines: nothing but one line of JSON an answer. numbered: show the questions too, there are several.
    """

    def __init__(self, *, json_lines: bool, numbered: bool) -> None:
        self.json_lines, self.numbered = json_lines, numbered
        self._begun = False  # something of the answer has been printed

    def begin(self, question: str) -> None:
        self._begun = False
        if self.numbered and not self.json_lines:
            out().print(Text(question, style="bold"), soft_wrap=True)

    def add(self, piece: str) -> None:
        if self.json_lines:
            return
        if not self._begun:
            piece = piece.lstrip()
        if piece:
            self._begun = True
            sys.stdout.write(harmless(piece))
            sys.stdout.flush()

    def end(self, answer: Answer) -> None:
        if self.json_lines:
            print(json.dumps(answer.to_dict(), ensure_ascii=False), flush=True)
            return
        console = out()
        print(flush=True)
        print_strip(answer, console)
        for line in remarks(answer):
            console.print(Text(line, style="yellow"), soft_wrap=True)
        print_sources(answer, console)
        if line := answered_by(answer):
            console.print(Text(line, style="dim"), soft_wrap=True)
        console.print()


def harmless(text: str) -> str:
    """The text without control characters, with which a model, or a document that it copies, could rule a terminal."""
    return "".join(one if one in "\n\t" or unicodedata.category(one) != "Cc" else "\ufffd" for one in text)


def remarks(answer: Answer) -> list[str]:
    """What has to be said about an answer, in the language in force."""
    reasons = {
        "unrelated": t(
            en="no passage makes the question likelier, the answer may not be in the files",
            zh="没有哪段与问题明显相关，文件里可能没有答案",
        ),
        "tie": t(en="several passages fit the question equally well", zh="有几段与问题同样相符"),
        "jumping": t(en="the answer keeps changing its source", zh="答案的来源不断变换"),
    }
    lines = []
    if answer.doubts:
        named = t(en="; ", zh="；").join(reasons[code] for code in answer.doubts)
        lines.append(t(en=f"The sources do not settle this: {named}.", zh=f"来源不足以确定答案：{named}。"))
    if not answer.text:
        lines.append(t(en="The model gave an empty answer.", zh="模型给出的答案为空。"))
    elif not answer.finished:
        lines.append(
            t(en="Broken off at the longest length (--max-tokens).", zh="达到长度上限而中断（--max-tokens）。")
        )
    return lines


def answered_by(answer: Answer) -> str:
    """Which reader answered, and how sure it is; empty where that is not known."""
    if answer.score is not None:
        return t(
            en=f"Marked in the files by the extractive reader, without a language model; score {answer.score:.2f}.",
            zh=f"由抽取式阅读器在文件中标出，没有用语言模型；得分 {answer.score:.2f}。",
        )
    if answer.model:
        return t(en=f"Written by {harmless(answer.model)}.", zh=f"由 {harmless(answer.model)} 写出。")
    return ""


def strip(answer: Answer) -> Text:
    """The answer in the colours of its sources."""
    text = Text()
    for token in answer.tokens:
        text.append(harmless(answer.text[token.start : token.end]), style=colour(token.source))
    return text


def colour(source: int) -> str:
    return COLOURS[min(source, len(COLOURS) - 1)]


def print_strip(answer: Answer, console: Console) -> None:
    """Which source each word came from; nothing where there is only one, or where no colours are shown."""
    if console.is_terminal and len({token.source for token in answer.tokens}) > 1:
        console.print(strip(answer), soft_wrap=True)


def print_sources(answer: Answer, console: Console) -> None:
    """The sources that the answer was drawn from, or the likeliest where it is empty."""
    for number, source in enumerate(answer.sources, start=1):
        if source.share == 0 and number > 1:
            continue
        share = t(en=f"  {source.share:.0%} of the answer", zh=f"  占答案 {source.share:.0%}")
        mark = f"[{number}]"
        head = Text.assemble((mark, colour(number - 1)), " ", (place_of(source), "bold"), (share, "dim"))
        console.print(head, soft_wrap=True)
        console.print(Text.assemble(" " * (len(mark) + 1), quoted(source)), soft_wrap=True)


def place_of(source: Source) -> str:
    name = source.document or t(en=f"text {source.context + 1}", zh=f"第 {source.context + 1} 篇")
    record = "" if source.record is None else f" #{source.record + 1}"
    return f"{name}{record}:{source.span.start}-{source.span.end}"


def quoted(source: Source) -> Text:
    """The beginning of the source, or what is around the words of the answer, on one line."""
    mark: Span | None = source.evidence
    start = source.span.start
    begin = 0 if mark is None else max(0, mark.start - start - _QUOTED // 2)
    end = begin + _QUOTED
    body = source.span.text
    text = Text("…" if begin else "", style="dim")
    if mark is None:
        text.append(_one_line(body[begin:end]))
    else:
        text.append(_one_line(body[begin : mark.start - start]))
        text.append(_one_line(body[mark.start - start : mark.end - start]), style="bold not dim")
        text.append(_one_line(body[mark.end - start : max(end, mark.end - start)]))
    if end < len(body):
        text.append("…")
    return text


def _one_line(text: str) -> str:
    return "".join(" " if one.isspace() else one for one in harmless(text))
