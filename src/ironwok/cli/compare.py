"""``ironwok compare``: how two sentences stand to each other, one line of JSON a pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ironwok.cli.language import t
from ironwok.cli.lines import Line
from ironwok.cli.options import AnyModel, Encoding, NamedFields, OutFile, Overwrite, Resume

_AT_ONCE = 256  # pairs


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
    field: NamedFields = None,
    model: AnyModel = "ironwok-small",
    encoding: Encoding = None,
    out: OutFile = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    import sys

    from ironwok.cli.console import say
    from ironwok.cli.lines import ResultFile, check_out
    from ironwok.cli.training_report import Teller
    from ironwok.cli.tuning import named_fields
    from ironwok.errors import DataError
    from ironwok.progress import progress_bar
    from ironwok.students.tuned.examples import PairExample
    from ironwok.training.tuning.data import identified_examples
    from ironwok.training.tuning.fields import Fields

    check_out(out, file, resume=resume)
    fields = Fields("pairs", named_fields(field or ()), gold=None)
    settings = {"model": model, "relation": relation, "fields": fields.named}
    told = Teller()
    examples = identified_examples(file, fields, encoding=encoding, on_problem=told)
    pairs = (
        _Pair(line, one.first, name, other=one.second) for line, one, name in examples if isinstance(one, PairExample)
    )
    scorer, labels = _judge(model, relation)
    written = 0
    with (
        ResultFile(out, settings=settings, resume=resume, overwrite=overwrite) as results,
        progress_bar("compare", total=None, shown=out is not None and sys.stderr.isatty()) as advance,
    ):
        for part in _parts(results.without_done(pairs)):
            for pair, answer in zip(part, _answers(scorer, labels, part), strict=True):
                results.write(pair, answer)
            written += len(part)
            advance(len(part))
        told.sum_up()
        if not written and not results.kept:
            raise DataError(
                f"{file}: there is no pair of sentences in it; --field a=NAME and b=NAME say where they stand"
            )
    if out is not None:
        earlier = (
            t(en=f", {results.kept} were there already", zh=f"，此前已有 {results.kept} 对") if results.kept else ""
        )
        say(t(en=f"{written} pairs compared into {out}{earlier}.", zh=f"已比较 {written} 对，写入 {out}{earlier}。"))


@dataclass(frozen=True, slots=True)
class _Pair(Line):
    other: str = ""

    def is_of(self, record: Mapping[str, Any]) -> bool:
        return (self.number, self.text, self.other) == (record.get("line"), record.get("text"), record.get("other"))


@dataclass(frozen=True, slots=True)
class _Compared:
    other: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        scores = {name: round(score, 6) for name, score in zip(self.labels, self.scores, strict=True)}
        return {"other": self.other, "label": self.labels[0], "scores": scores}


def _judge(model: str, relation: str) -> tuple[Any, tuple[str, ...]]:
    """The scorer of the model and the answers to that relation."""
    from ironwok.errors import InputError, MissingHeadError
    from ironwok.zero_shot import load_scorer
    from ironwok.zero_shot.nsp import AssociationScorer

    try:
        scorer = load_scorer("associations", model)  # the head reads the table, no encoder is needed
    except MissingHeadError:
        scorer = None
    if not isinstance(scorer, AssociationScorer) or scorer.relations is None:
        raise MissingHeadError(
            f"{model} brings no head for relations of sentences (relations.safetensors): take ironwok-small"
        )
    answers = scorer.relations.answers
    if relation not in answers:
        raise InputError(f"--relation is {relation!r}; it is one of {', '.join(answers)}")
    return scorer, answers[relation]


def _parts(pairs: Iterable[Line]) -> Iterator[list[_Pair]]:
    from itertools import islice

    rest = (pair for pair in pairs if isinstance(pair, _Pair))
    while part := list(islice(rest, _AT_ONCE)):
        yield part


def _answers(scorer: Any, labels: tuple[str, ...], pairs: list[_Pair]) -> Iterator[_Compared]:
    from ironwok.zero_shot.tasks import classify_pairs

    judged = classify_pairs(scorer, [(pair.text, pair.other) for pair in pairs], labels=labels, protocol="head")
    for one in judged:
        yield _Compared(one.second, one.labels, one.scores)
