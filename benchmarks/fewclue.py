"""Zero-shot accuracy on the nine tasks of FewCLUE, beside published figures.

    python benchmarks/fewclue.py --data FOLDER --split dev_few_all [--model NAME] [--scorer nsp|pet]

FOLDER/TASK/SPLIT.jsonl[.xz] are the files of github.com/CLUEbenchmark/FewCLUE. Prints a table, then one line of JSON:
{"avg": ..., "eprstmt": ..., ...} in percent. Samples-contrast results carry a star: they look at the
whole split. A dagger: by a head that was trained on labelled pairs, with the star across the split as the paper does,
alone each pair by itself (--protocol head); --protocol sc asks without the head.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from _fewclue import PUBLISHED, SETTINGS, TASKS, Options, Outcome, TokenOverlap, evaluate, load_task
from _table import finish, show
from ironwok.errors import IronwokError
from ironwok.zero_shot import EncoderScorer, Scorer, ScorerOptions, load_scorer, self_check

_MARKS = {"sc": "*", "head": "†", "head-sc": "†*"}  # of protocols


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each task")
    parser.add_argument("--split", required=True, help="such as dev_few_all or test_public")
    parser.add_argument("--model", default="ironwok-small", help="bundled name, folder, or hub id")
    parser.add_argument("--scorer", default="nsp", help="nsp, pet, nli, or a plug-in")
    parser.add_argument(
        "--protocol", choices=("cc", "sc", "head"), help="for all tasks that have it (default: the paper's)"
    )
    parser.add_argument("--position", choices=("prefix", "suffix"), help="for all tasks (default: the paper's)")
    parser.add_argument("--calibrate", action="store_true", help="contextual calibration in classification tasks")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS), metavar="T", help="only these tasks")
    parser.add_argument(
        "--limit", type=int, default=300, help="rows of a task, evenly spaced; 0 for all (default: 300)"
    )
    parser.add_argument("--max-tokens", type=int, help="longest pair in classification (default: 128)")
    parser.add_argument(
        "--shortlist", type=int, metavar="K", help="also measure a first cut to K labels: cost and gain"
    )
    parser.add_argument("--init", choices=("random",), help="random weights instead of the model's: a floor")
    parser.add_argument("--seed", type=int, default=0, help="for --init random")
    parser.add_argument(
        "--adapt",
        nargs="+",
        default=[],
        metavar="SPLIT",
        help="labels and idioms adapt to the texts of these files first (unlabeled train_few_all, say; labels are not "
        "read); a table with the model is needed",
    )
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--batch-size", type=int, default=64)
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    try:
        run(options)
    except IronwokError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    scorer = load_scorer(
        options.scorer,
        options.model,
        ScorerOptions(dtype=options.dtype, batch_size=options.batch_size, on_self_check="skip"),
    )
    if options.init == "random":
        randomize(scorer, options.seed)
    notes = [
        f"{options.model}, scorer {options.scorer}, {number_format(scorer)}"
        + (", random weights" if options.init else "")
    ]
    if options.scorer == "nsp":
        notes.append(f"self-check: {self_check(scorer).describe()}")

    heap = (options.data if options.adapt else None, tuple(options.adapt))
    changes = Options(options.protocol, options.position, options.calibrate, None, options.max_tokens, *heap)
    outcomes: dict[str, Outcome] = {}
    overlap: dict[str, Outcome] = {}
    cuts: dict[str, Outcome] = {}
    for name in TASKS:
        if name not in options.task:
            continue
        task = load_task(options.data, name, options.split, limit=options.limit)
        outcomes[name] = evaluate(task, scorer, changes, progress=sys.stderr.isatty())
        overlap[name] = evaluate(task, TokenOverlap(), Options(options.protocol))
        size = options.shortlist
        many = size is not None and SETTINGS[name]["kind"] == "classification" and len(task.classes) > size
        if many and outcomes[name].protocol == "cc":
            cut = Options(options.protocol, options.position, options.calibrate, size, options.max_tokens, *heap)
            cuts[name] = evaluate(task, scorer, cut, progress=sys.stderr.isatty())
        print(f"{name}: {outcomes[name].accuracy:.1f} in {outcomes[name].seconds:.0f} s", file=sys.stderr)
        notes.extend(outcomes[name].notes)
    report(options, outcomes, overlap, notes)
    if cuts:
        report_shortlist(options.shortlist, outcomes, cuts)
    finish(figures(options, outcomes, overlap, cuts))


def number_format(scorer: Scorer) -> str:
    return str(scorer.model.dtype).removeprefix("torch.") if isinstance(scorer, EncoderScorer) else "no encoder"


def randomize(scorer: Scorer, seed: int) -> None:
    """Replace the weights by freshly initialised ones of the same architecture."""
    import torch

    if not isinstance(scorer, EncoderScorer):
        raise SystemExit(f"--init random is for scorers with an encoder, not for {type(scorer).__name__}")
    torch.manual_seed(seed)
    old = scorer.model
    scorer.model = type(old)(old.config).to(device=old.device, dtype=old.dtype).eval()


def report(
    options: argparse.Namespace, outcomes: dict[str, Outcome], overlap: dict[str, Outcome], notes: list[str]
) -> None:
    names = list(outcomes)
    rows: list[list] = []
    star = {name: _MARKS.get(outcome.protocol, "") for name, outcome in outcomes.items()}
    ours = [f"{outcomes[name].accuracy:.1f}{star[name]}" for name in names]
    adapting = f", adapted to {' and '.join(options.adapt)}" if options.adapt else ""
    rows.append([f"this run, {options.split}{adapting}", average(outcomes), *ours])
    rows.append(["  ± standard error", None, *(f"{standard_error(outcomes[name]):.1f}" for name in names)])
    rows.append(["  rows", None, *(outcomes[name].count for name in names)])
    rows.append(
        [
            "  seconds",
            f"{sum(o.seconds for o in outcomes.values()):.0f}",
            *(f"{o.seconds:.0f}" for o in outcomes.values()),
        ]
    )
    rows.append(
        [
            "chance",
            mean([100 / outcomes[n].classes for n in names]),
            *(f"{100 / outcomes[n].classes:.1f}" for n in names),
        ]
    )
    rows.append(
        ["majority", mean([outcomes[n].majority for n in names]), *(f"{outcomes[n].majority:.1f}" for n in names)]
    )
    shares = [f"{overlap[n].accuracy:.1f}{'*' if overlap[n].protocol == 'sc' else ''}" for n in names]
    rows.append(["token overlap, no model", average(overlap), *shares])
    for model, (printed, *figures_) in PUBLISHED.items():
        by_task = dict(zip(TASKS, figures_, strict=True))
        shown = f"{printed}" if names == list(TASKS) else mean([by_task[name] for name in names])
        starred = {"ocnli", "bustm", "csl", "cluewsc"} if model.startswith("NSP-BERT") else set()
        rows.append([f"{model}, test_public", shown, *(f"{by_task[n]}{'*' if n in starred else ''}" for n in names)])
    notes = [
        "* samples-contrast: ranks all rows of the split and assumes that classes are equally frequent",
        "† by a head that was trained on labelled pairs: not zero-shot as in the papers; without star row by row",
        *notes,
    ]
    show("FewCLUE, zero-shot accuracy in percent", ["", "avg", *names], rows, notes=notes)


def report_shortlist(size: int, full: dict[str, Outcome], cuts: dict[str, Outcome]) -> None:
    rows = [
        [
            name,
            full[name].classes,
            f"{full[name].accuracy:.1f}",
            f"{cut.accuracy:.1f}",
            f"{agreement(full[name], cut):.1f}",
            f"{full[name].seconds:.1f}",
            f"{cut.seconds:.1f}",
            f"{full[name].seconds / cut.seconds:.1f}×",
        ]
        for name, cut in cuts.items()
    ]
    columns = ["", "labels", "all labels", f"best {size} only", "same answer", "seconds", "with the cut", "faster"]
    show(f"A first cut to {size} labels: accuracy in percent and time", columns, rows)


def agreement(one: Outcome, other: Outcome) -> float:
    return 100 * sum(a == b for a, b in zip(one.answers, other.answers, strict=True)) / one.count


def standard_error(outcome: Outcome) -> float:
    share = outcome.right / outcome.count
    return 100 * math.sqrt(share * (1 - share) / outcome.count)


def mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.1f}"


def average(outcomes: dict[str, Outcome]) -> str:
    return mean([outcome.accuracy for outcome in outcomes.values()])


def figures(
    options: argparse.Namespace, outcomes: dict[str, Outcome], overlap: dict[str, Outcome], cuts: dict[str, Outcome]
) -> dict:
    line: dict = {"avg": round(sum(o.accuracy for o in outcomes.values()) / len(outcomes), 2)}
    line |= {name: round(outcome.accuracy, 2) for name, outcome in outcomes.items()}
    line |= {"split": options.split, "model": options.model, "scorer": options.scorer, "init": options.init}
    line["adapt"] = options.adapt
    line["protocol"] = {name: outcome.protocol for name, outcome in outcomes.items()}
    line["rows"] = {name: outcome.count for name, outcome in outcomes.items()}
    line["token_overlap"] = {name: round(outcome.accuracy, 2) for name, outcome in overlap.items()}
    line["seconds"] = round(sum(outcome.seconds for outcome in outcomes.values()), 1)
    if cuts:
        line["shortlist"] = {
            name: {
                "size": options.shortlist,
                "accuracy": round(cut.accuracy, 2),
                "speedup": round(outcomes[name].seconds / cut.seconds, 2),
            }
            for name, cut in cuts.items()
        }
    return line


if __name__ == "__main__":
    sys.exit(main())
