"""``ironwok fill``: which of the given words belongs into the blank of a text, one line of JSON a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ironwok.cli.language import t
from ironwok.cli.lines import Line
from ironwok.cli.options import AnyModel, Encoding, OutFile, Overwrite, PartFields, Resume
from ironwok.errors import DataError, InputError

if TYPE_CHECKING:
    from ironwok.training.tuning.data import Problem
    from ironwok.training.tuning.fields import Fields
    from ironwok.zero_shot import Scorer


def about() -> str:
    return t(
        en="Say which of the given words or idioms belongs into the blank of a text: one line of JSON for each text, "
        "in the order of the input. FILE is .jsonl, .json, .csv or .tsv with a text, whose blank is written ____, and "
        "the candidates, as a list or with | between them. The judge learnt from running text which words stand where; "
        "no label is in it.",
        zh="选词填空：从给出的词语或成语中，选出应填入空格的一个，每条文本输出一行 JSON，顺序与输入相同。"
        "文件是 .jsonl、.json、.csv 或 .tsv，每条有一段文本（空格写作 ____）和若干候选（列表，或用 | 分隔）。"
        "判断者是从普通文本里学会什么词出现在什么地方的，没有用任何标注。",
    )


def fill(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", show_default=False, help=t(en="File of texts with blanks.", zh="带空格的文本所在的文件。")
        ),
    ],
    candidates: Annotated[
        str | None,
        typer.Option(
            "--candidates",
            "-c",
            metavar="A,B,…|@FILE",
            show_default=False,
            help=t(
                en="What may stand in every blank, for records without candidates of their own; @FILE: one a line.",
                zh="各空格共用的候选，用于没有自带候选的记录；@文件：每行一个。",
            ),
        ),
    ] = None,
    blank: Annotated[
        str,
        typer.Option(
            "--blank",
            metavar="MARK",
            show_default=False,
            help=t(
                en="How the blank is written, such as #idiom# (default: two or more underscores).",
                zh="空格的写法，如 #idiom#（默认是两个以上的下划线）。",
            ),
        ),
    ] = "____",
    adapt: Annotated[
        Path | None,
        typer.Option(
            "--adapt",
            metavar="FILE",
            show_default=False,
            help=t(
                en="Look at some hundreds of texts with blanks first, whose candidates come again here; FILE may be "
                "the input itself.",
                zh="先看几百条带空格的同类文本，其中的候选在这里会再出现；可以就给输入文件本身。",
            ),
        ),
    ] = None,
    field: PartFields = None,
    model: AnyModel = "ironwok-small",
    encoding: Encoding = None,
    out: OutFile = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    from ironwok.cli.answering import there_already, write_answers
    from ironwok.cli.console import say
    from ironwok.cli.lines import check_out
    from ironwok.cli.training_report import Teller
    from ironwok.cli.tuning import named_fields
    from ironwok.training.tuning.fields import Fields
    from ironwok.zero_shot.adapting import FEW_TEXTS, named_heap
    from ironwok.zero_shot.registry import load_judge
    from ironwok.zero_shot.tasks import adapted_to_blanks, fill_blanks, filled_blank

    if str(file) == "-":
        raise InputError("fill reads texts from a file, not from standard input: name a .jsonl, .json, .csv or .tsv")
    check_out(out, file, resume=resume, overwrite=overwrite, adapt=adapt)
    if not blank.strip():
        raise InputError("--blank is empty: give the mark as it stands in the texts, such as #idiom#")
    shared = _shared(candidates) if candidates is not None else ()
    fields = Fields("blanks", named_fields(field or ()))
    settings: dict[str, Any] = {
        "model": model,
        "fields": fields.named,
        "candidates": list(shared),
        "blank": blank,
        "adapted": None,
    }
    scorer: Scorer = load_judge("blanks", model)
    if adapt is not None:
        # of the input itself it is said later what cannot be used
        is_input = adapt.exists() and file.exists() and adapt.samefile(file)
        told = Teller()
        on_problem = (lambda _: None) if is_input else told
        heap = [one.item for one in _read(adapt, fields, shared, blank, encoding, on_problem=on_problem)]
        told.sum_up()
        if not heap:
            raise DataError(f"--adapt is {adapt}, where no text has a blank with candidates")
        if len(heap) < FEW_TEXTS:
            say(
                t(
                    en=f"note: {adapt} has {len(heap)} texts with blanks; adapting wants some hundreds, few make "
                    "answers too sure",
                    zh=f"注意：{adapt} 里只有 {len(heap)} 条带空格的文本；适应需要几百条，太少会使结果过于自信",
                ),
                style="yellow",
            )
        scorer = adapted_to_blanks(scorer, heap)
        settings["adapted"] = named_heap([repr((one.text, one.candidates)) for one in heap])
    told = Teller()
    written, kept = write_answers(
        _read(file, fields, shared, blank, encoding, on_problem=told),
        lambda part: map(_Filled, map(filled_blank, fill_blanks(scorer, [one.item for one in part]))),
        out=out,
        settings=settings,
        resume=resume,
        overwrite=overwrite,
        told=told,
        shown="fill",
        nothing=f"{file}: no text in it has a blank with candidates; --field text=NAME and candidates=NAME say where "
        "they stand, --blank how a blank is written",
    )
    if out is not None:
        rest = there_already(kept)
        say(t(en=f"{written} blanks filled into {out}{rest}.", zh=f"已填 {written} 条，写入 {out}{rest}。"))


@dataclass(frozen=True, slots=True)
class _Asked(Line):
    """A line with its blank; the item is always there."""

    item: Any = None

    def is_of(self, record: Mapping[str, Any]) -> bool:
        scores = record.get("scores")
        same = isinstance(scores, Mapping) and set(scores) == set(self.item.candidates)
        return same and (self.number, self.text) == (record.get("line"), record.get("text"))


@dataclass(frozen=True, slots=True)
class _Filled:
    found: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.found


def _shared(given: str) -> tuple[str, ...]:
    """The candidates of all texts, as typed or of a file. Raises LabelError for what is no list of them."""
    from ironwok.cli.lines import read_labels
    from ironwok.errors import LabelError
    from ironwok.zero_shot.tasks.ranking import check_candidates

    names = read_labels(given if given.startswith("@") else given.replace("|", ","))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LabelError(f"--candidates {given!r:.60} is {names!r:.40}: a list of words is needed")
    return check_candidates([name.strip() for name in names], of=f"--candidates {given!r:.60}")


def _read(
    file: Path,
    fields: Fields,
    shared: tuple[str, ...],
    blank: str,
    encoding: str | None,
    *,
    on_problem: Callable[[Problem], None],
) -> Iterator[_Asked]:
    """The texts of a file with a blank and candidates each; others are told of and left out."""
    from ironwok.errors import IronwokError
    from ironwok.students.tuned.examples import ChoiceExample
    from ironwok.training.tuning.data import Problem, identified_examples
    from ironwok.zero_shot.tasks import Cloze

    for line, one, name in identified_examples(file, fields, encoding=encoding, on_problem=on_problem):
        if not isinstance(one, ChoiceExample):
            continue
        names = one.choices or shared
        try:
            if not names:
                raise DataError(
                    "it has no candidates: give them in a field such as candidates, or for all texts by --candidates"
                )
            yield _Asked(line, one.passage, name, item=Cloze(one.passage, names, blank))
        except IronwokError as error:
            on_problem(Problem(str(file), line, str(error)))
