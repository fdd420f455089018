"""``ironwok compare``: how two sentences stand to each other, one line of JSON a pair."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ironwok.cli.language import t
from ironwok.cli.lines import Line
from ironwok.cli.options import AnyModel, Encoding, OutFile, Overwrite, PartFields, Resume
from ironwok.errors import DataError, InputError

if TYPE_CHECKING:
    from ironwok.zero_shot.tasks import PairClassification

_AT_ONCE = 256  # pairs
_FEW = 30  # pairs, of which hardly anything can be said by comparing them
_EVEN = "even"


def about() -> str:
    return t(
        en="Say of pairs of sentences whether they mean the same, or whether the second follows from the first: one "
        "line of JSON for each pair, in the order of the input. FILE is .jsonl, .json, .csv or .tsv with the two "
        "sentences in fields such as a and b. The judge was trained on labelled pairs of others; with labelled pairs "
        "of your own, `ironwok train pairs` makes a better one.",
        zh="判断两句话意思是否相同，或者后一句能否由前一句推出：每对输出一行 JSON，顺序与输入相同。"
        "文件是 .jsonl、.json、.csv 或 .tsv，两句话放在 a、b 这样的字段里。判断者是用别处的标注句对训练的；"
        "你自己有标注句对时，用 `ironwok train pairs` 可以训练出更好的。",
    )


def compare(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", show_default=False, help=t(en="File of pairs of sentences.", zh="句对所在的文件。")
        ),
    ],
    relation: Annotated[
        str,
        typer.Option(
            "--relation",
            "-r",
            metavar="NAME",
            help=t(
                en="paraphrase: same or different; inference: entailment, neutral or contradiction.",
                zh="paraphrase：same（相同）或 different（不同）；inference：entailment（蕴含）、neutral（无关）或 "
                "contradiction（矛盾）。",
            ),
        ),
    ] = "paraphrase",
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior",
            metavar="even|ANSWER=SHARE,…",
            show_default=False,
            help=t(
                en="How the answers are shared out among the pairs, where that is known, such as same=0.1: pairs are "
                "then compared with one another instead of each judged by itself; even: all answers alike.",
                zh="已知各种答案大约占多少时给出，如 same=0.1：句对之间互相比较，不再逐对判断；even 表示各占一样多。",
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
    from ironwok.students.tuned.examples import PairExample
    from ironwok.training.tuning.data import identified_examples
    from ironwok.training.tuning.fields import Fields
    from ironwok.zero_shot.adapting import named_heap

    if str(file) == "-":
        raise InputError("compare reads pairs from a file, not from standard input: name a .jsonl, .json, .csv or .tsv")
    check_out(out, file, resume=resume, overwrite=overwrite)
    fields = Fields("pairs", named_fields(field or ()), gold=None)
    judge, labels = _judge(model, relation)
    shares = _shares(prior, labels)
    settings: dict[str, Any] = {"model": model, "relation": relation, "fields": fields.named, "prior": shares}
    told = Teller()
    examples = identified_examples(file, fields, encoding=encoding, on_problem=told)
    pairs = (
        _Pair(line, one.first, name, other=one.second) for line, one, name in examples if isinstance(one, PairExample)
    )
    if shares is not None:
        all_pairs = list(pairs)
        if len(all_pairs) == 1:
            raise DataError(f"--prior compares pairs with one another, and {file} has one: leave it out")
        settings["compared"] = named_heap([repr((pair.text, pair.other)) for pair in all_pairs], of="pairs")
        pairs = iter(_compared_with_one_another(all_pairs, judge, shares))
    written, kept = write_answers(
        pairs,
        lambda part: map(_Compared, _found(part) or judge(part)),
        out=out,
        settings=settings,
        resume=resume,
        overwrite=overwrite,
        told=told,
        shown="compare",
        nothing=f"{file}: there is no pair of sentences in it; --field a=NAME and b=NAME say where they stand",
    )
    if out is not None:
        rest = there_already(kept)
        say(t(en=f"{written} pairs compared into {out}{rest}.", zh=f"已比较 {written} 对，写入 {out}{rest}。"))


@dataclass(frozen=True, slots=True)
class _Pair(Line):
    """judged: what comparing all pairs has found, where they are compared."""

    other: str = ""
    judged: PairClassification | None = None

    def is_of(self, record: Mapping[str, Any]) -> bool:
        return (self.number, self.text, self.other) == (record.get("line"), record.get("text"), record.get("other"))


@dataclass(frozen=True, slots=True)
class _Compared:
    found: PairClassification

    def to_dict(self) -> dict[str, Any]:
        return {"other": self.found.second} | self.found.to_dict()


Judge = Callable[[Sequence[_Pair]], "list[PairClassification]"]


def _judge(model: str, relation: str) -> tuple[Judge, tuple[str, ...]]:
    """What judges each pair by itself, by the head of the model, and the answers to that relation."""
    from ironwok.students.loading import is_student
    from ironwok.zero_shot.registry import load_judge
    from ironwok.zero_shot.tasks import classify_pairs

    if is_student(model):
        raise InputError(f"{model} was trained on labels of its own: `ironwok predict --model {model}` answers with it")

    scorer = load_judge("relations", model)
    answers = scorer.relations.answers if scorer.relations is not None else {}
    if relation not in answers:
        raise InputError(f"--relation is {relation!r}; it is one of {', '.join(answers)}")
    labels = answers[relation]

    def judge(pairs: Sequence[_Pair]) -> list[PairClassification]:
        return classify_pairs(scorer, [(pair.text, pair.other) for pair in pairs], labels=labels, protocol="head")

    return judge, labels


def _shares(given: str | None, labels: Sequence[str]) -> dict[str, float] | None:
    """The share of each answer; those that are not named share what is left. Raises InputError."""
    if given is None:
        return None
    from ironwok.zero_shot.tasks import complete_prior

    wanted = f"--prior is {given!r}: give {_EVEN}, or shares between 0 and 1 such as {labels[0]}=0.1"
    named: dict[str, float] = {}
    for part in [] if given.strip() == _EVEN else given.replace("，", ",").split(","):
        name, _, share = (piece.strip() for piece in part.partition("="))
        if name in named:
            raise InputError(f"{wanted}; {name} stands there twice")
        try:
            named[name] = float(share)
        except ValueError:
            raise InputError(wanted) from None
    try:
        return complete_prior(named, labels)
    except InputError as error:
        raise InputError(f"{wanted}; {error}") from None


def _compared_with_one_another(pairs: list[_Pair], judge: Judge, shares: Mapping[str, float]) -> list[_Pair]:
    """All pairs with what is found of them; none is judged before all of them are read."""
    from ironwok.cli.console import say
    from ironwok.progress import progress_bar
    from ironwok.zero_shot.tasks import share_out

    if 0 < len(pairs) < _FEW:
        say(
            t(
                en=f"note: --prior compares pairs with one another; {len(pairs)} pairs tell little",
                zh=f"注意：--prior 要把各句对互相比较，这里只有 {len(pairs)} 对，太少则不可靠",
            ),
            style="yellow",
        )
    # each that comes again is judged once, or rounding would rank equal ones
    distinct = list({(pair.text, pair.other): pair for pair in pairs}.values())
    found: dict[tuple[str, str], PairClassification] = {}
    with progress_bar("compare", total=len(distinct), shown=sys.stderr.isatty()) as advance:
        for start in range(0, len(distinct), _AT_ONCE):
            part = distinct[start : start + _AT_ONCE]
            found |= {(pair.text, pair.other): one for pair, one in zip(part, judge(part), strict=True)}
            advance(len(part))
    judged = [found[pair.text, pair.other] for pair in pairs]
    return [replace(pair, judged=found) for pair, found in zip(pairs, share_out(judged, shares), strict=True)]


def _found(pairs: Sequence[_Pair]) -> list[PairClassification]:
    """What comparing all pairs has found of these; nothing where each is judged by itself."""
    return [pair.judged for pair in pairs if pair.judged is not None]
