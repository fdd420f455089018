"""Answers from many contexts: how many are right, from the right context, in what time, beside other ways to do it.

    python benchmarks/long_context_qa.py --cases FILE [--model M] [--limit N] [--every N] [--keep-in RESULTS.jsonl]

FILE is JSON Lines (also .xz): {"question", "answers", "contexts", "gold"}, gold the number of the context with the
answer. A case is right if an accepted answer stands in the text, both normalised as SQuAD does. With --keep-in every
case is written as it is done, and the same command goes on where it was stopped, also with other methods; --done shows
what there is. Prints a table, one by what the answers are (numbers, names, other words), then one line of JSON.
With --peak every method answers in a process of its own, and the table is the memory that each took at most.
With --reader the extractive reader answers instead, beside BM25, and no language model is loaded.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

from _long_context import METHODS, Case, answer_case, kind_of, load_cases
from _table import finish, show
from ironwok.errors import InputError, IronwokError
from ironwok.files import LineLog
from ironwok.nbce.answerer import Answerer
from ironwok.nbce.settings import Settings
from ironwok.progress import progress_bar


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="JSON Lines of cases")
    parser.add_argument("--model", default="smollm2", help="smollm2, a folder, or a hub id")
    parser.add_argument("--peak", action="store_true", help="memory of a process for each method, nothing else")
    parser.add_argument("--peak-of-this", action="store_true", help=argparse.SUPPRESS)  # what such a process is told
    parser.add_argument("--reader", action="store_true", help="the extractive reader and BM25, no language model")
    parser.add_argument("--limit", type=int, help="only the first N cases")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth case")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="leave the first N out of the table")
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS), metavar="M", help="only these")
    parser.add_argument("--keep-in", type=Path, metavar="FILE", help="JSON Lines of what is done; goes on from it")
    parser.add_argument("--done", action="store_true", help="only what is in --keep-in already")
    parser.add_argument(
        "--without-gold",
        type=int,
        default=1,
        metavar="N",
        help="answer every Nth case also without the right context, for the signs of doubt; 0 for none",
    )
    parser.add_argument("--max-tokens", type=int, default=Settings().max_tokens, help="longest answer")
    parser.add_argument("--beta", type=float, default=Settings().beta)
    parser.add_argument("--eta", type=float, default=Settings().eta)
    parser.add_argument("--route", type=float, default=Settings().route)
    parser.add_argument("--keep", type=int, default=Settings().keep)
    parser.add_argument("--closer", type=int, default=Settings().closer, help="sentences at a time, of method closer")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
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
    if options.every < 1 or options.skip < 0:
        raise InputError(f"--every is {options.every}, --skip is {options.skip}: at least 1 and at least 0")
    cases = load_cases(options.cases, options.limit)[options.skip :: options.every]
    if not cases:
        raise InputError(f"--skip {options.skip} leaves no case")
    if options.reader:
        from _reader_qa import run as run_reader

        return run_reader(options, cases)
    if options.peak:
        return peaks(options, cases)
    settings = Settings(
        beta=options.beta,
        eta=options.eta,
        route=options.route,
        keep=options.keep,
        closer=options.closer,
        max_tokens=options.max_tokens,
    )
    about = {
        "model": options.model,
        "dtype": options.dtype,
        "max_tokens": options.max_tokens,
        "beta": options.beta,
        "eta": options.eta,
        "route": options.route,
        "keep": options.keep,
        "closer": options.closer,
    }
    if options.peak_of_this:
        print(json.dumps(peak(options, cases, settings)))
        return
    log, done = opened(options.keep_in, about)
    if options.done:
        cases = [case for case in cases if case.name in done]
        options.method = []
    again = (
        set() if options.done or not options.without_gold else {case.name for case in cases[:: options.without_gold]}
    )
    again -= {name for name, record in done.items() if "jumps_without_gold" in record}
    again -= {case.name for case in cases if len(case.contexts) == 1}
    missing = [case for case in cases if absent(done.get(case.name), options.method) or case.name in again]
    answerer = Answerer(options.model, dtype=options.dtype) if missing else None
    with progress_bar("cases", total=len(missing), shown=sys.stderr.isatty()) as advance:
        for case in missing:
            assert answerer is not None
            methods = absent(done.get(case.name), options.method)
            record = answer_case(answerer, case, methods, settings, without_gold=case.name in again)
            if log is not None:
                log.append([record])
            done[case.name] = joined(done.get(case.name), record)
            advance(1)
    if log is not None:
        log.close()
    report(options, [done[case.name] for case in cases], {case.name: kind_of(case.answers) for case in cases})


def peaks(options: argparse.Namespace, cases: list[Case]) -> None:
    """The greatest memory of a process that answers these cases in one way: what was taken has no way back."""
    own = ["--cases", str(options.cases), "--model", options.model, "--dtype", options.dtype, "--peak-of-this"]
    own += ["--max-tokens", str(options.max_tokens), "--every", str(options.every), "--skip", str(options.skip)]
    own += [] if options.limit is None else ["--limit", str(options.limit)]
    found: dict[str, float] = {}
    for method in options.method:
        command = [sys.executable, __file__, *own, "--method", method]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[method] = json.loads(done.stdout.splitlines()[-1])
    show(
        f"{len(cases)} cases of {options.cases.name}, {options.model}: memory of the process",
        ["", "MB at most", ""],
        [[method, f"{value:.0f}", METHODS[method]] for method, value in found.items()],
        notes=["weights and libraries included"],
    )
    finish({"model": options.model, "cases": len(cases), "peak_megabytes": found})


def peak(options: argparse.Namespace, cases: list[Case], settings: Settings) -> float:
    """Megabytes of this process after one method answered the cases."""
    answerer = Answerer(options.model, dtype=options.dtype)
    (method,) = options.method
    ours = {
        "routed": {"closer": 0, "copy": False},
        "closer": {"closer": settings.closer or 2, "copy": False},
        "copied": {"closer": settings.closer or 2, "copy": True},
    }
    for case in cases:
        if method in ours:  # as users call it: rows that are not kept are not held
            answerer.ask(case.question, case.contexts, settings=replace(settings, **ours[method]))
        else:
            answer_case(answerer, case, [method], settings)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(taken / (2**20 if sys.platform == "darwin" else 2**10), 1)


def absent(record: dict[str, Any] | None, methods: list[str]) -> list[str]:
    """The methods that have not answered a case yet."""
    return [method for method in methods if record is None or method not in record["methods"]]


def joined(earlier: dict[str, Any] | None, later: dict[str, Any]) -> dict[str, Any]:
    """One record of a case whose methods were run at different times."""
    return later if earlier is None else earlier | later | {"methods": earlier["methods"] | later["methods"]}


def opened(path: Path | None, about: dict[str, Any]) -> tuple[LineLog | None, dict[str, dict[str, Any]]]:
    """The file of what is done, and its cases by name. Its first line says what they were answered with."""
    if path is None:
        return None, {}
    log = LineLog(path)
    records = log.load()
    if records and records[0] != {"about": about}:
        raise InputError(f"{path} holds cases of other settings, {records[0]}: name another file")
    if not records:
        log.append([{"about": about}])
    done: dict[str, dict[str, Any]] = {}
    for record in records[1:]:
        done[record["id"]] = joined(done.get(record["id"]), record)
    return log, done


def report(options: argparse.Namespace, records: list[dict[str, Any]], kinds: dict[str, str]) -> None:
    if not records:
        raise InputError(f"{options.keep_in} holds none of these cases yet")
    figures: dict[str, Any] = {"model": options.model, "cases": len(records), "methods": {}}
    rows, notes, by_kind = [], [], []
    shown_kinds = [kind for kind in ("number", "name", "words") if kind in kinds.values()]
    for name, what in METHODS.items():
        found = [(record["id"], one) for record in records if (one := record["methods"].get(name)) is not None]
        refused = [one["refused"] for _, one in found if "refused" in one]
        answered = [(case, one) for case, one in found if "refused" not in one]
        if refused:
            notes.append(f"{name}: {refused[0]}")
        if not answered:
            continue
        figure = summary([one for _, one in answered])
        split = {kind: [one["right"] for case, one in answered if kinds[case] == kind] for kind in shown_kinds}
        figures["methods"][name] = figure | {
            "right_by_kind": {kind: [sum(right), len(right)] for kind, right in split.items()}
        }
        source = figure["right_source"]
        rows.append(
            [
                name,
                len(answered),
                figure["right"],
                f"{figure['accuracy']:.1f}",
                None if figure["f1"] is None else f"{figure['f1']:.1f}",
                None if source is None else f"{source:.1f}",
                f"{figure['seconds']:.2f}",
                f"{figure['cpu_seconds']:.2f}",
                f"{figure['megabytes']:.0f}",
                what,
            ]
        )
        by_kind.append([name, *(f"{sum(right)} of {len(right)}" for right in split.values())])
    signed = [record for record in records if "lift" in record]
    figures["routing"] = routing(signed) | {"cases": len(signed)} if signed else {}
    show(
        f"{len(records)} cases of {options.cases.name}, {options.model}",
        ["", "cases", "right", "accuracy", "F1", "right source", "s a case", "CPU s", "KV MB", ""],
        rows,
        notes=[
            *notes,
            "s a case, CPU s: medians, reading and decoding, as if each ran alone; KV MB: keys and values at most",
            *(f"{key}: {value}" for key, value in figures["routing"].items()),
        ],
    )
    show("right, by what the answer is", ["", *shown_kinds], by_kind)
    finish(figures)


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of one method over its cases."""
    right = sum(one["right"] for one in found)
    sourced = [one["right_source"] for one in found if "right_source" in one]
    return {
        "cases": len(found),
        "right": right,
        "accuracy": round(100 * right / len(found), 1),
        "right_source": round(100 * mean(sourced), 1) if sourced else None,
        # of the words, so that long answers have no advantage; files of before have none
        "f1": round(100 * mean(one["f1"] for one in found), 1) if all("f1" in one for one in found) else None,
        "seconds": round(median(one["seconds"] for one in found), 2),
        "cpu_seconds": round(median(one["cpu_seconds"] for one in found), 2),
        "megabytes": max(one["megabytes"] for one in found),
    }


def routing(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether the greatest lift points at the right context, and whether it tells an answerable question."""
    top = [max(record["lift"]) for record in records]
    found: dict[str, Any] = {
        "right_context_has_the_greatest_lift": round(
            100 * mean(record["lift"][record["gold"]] == best for record, best in zip(records, top, strict=True)), 1
        )
    }
    several = [record for record in records if len(record["lift"]) > 1]
    if not several:
        return found
    # nats a token of the question: of the best context, with the right one among them and without it
    answerable = [max(record["lift"]) / record["question_tokens"] for record in several]
    unanswerable = [
        max(value for number, value in enumerate(record["lift"]) if number != record["gold"])
        / record["question_tokens"]
        for record in several
    ]
    bound, balanced = best_bound(answerable, unanswerable)
    found |= {
        "lift_a_token_answerable": round(median(answerable), 3),
        "lift_a_token_unanswerable": round(median(unanswerable), 3),
        "auc_answerable_by_lift": round(auc(answerable, unanswerable), 3),
        "best_bound": round(bound, 3),
        "balanced_accuracy_at_it": round(balanced, 3),
    }
    ahead = [_ahead(record["lift"]) for record in several]
    without = [
        _ahead([value for number, value in enumerate(record["lift"]) if number != record["gold"]])
        for record in several
        if len(record["lift"]) > 2
    ]
    if without:
        found["auc_answerable_by_distance_to_second"] = round(auc(ahead, without), 3)
    jumped = [record for record in several if "jumps_without_gold" in record]
    if jumped:
        found["cases_also_without_gold"] = len(jumped)
        found["jumps_answerable"] = round(mean(record["jumps"] for record in jumped), 3)
        found["jumps_unanswerable"] = round(mean(record["jumps_without_gold"] for record in jumped), 3)
    return found


def _ahead(lift: list[float]) -> float:
    first, second = sorted(lift, reverse=True)[:2]
    return first - second


def auc(positive: list[float], negative: list[float]) -> float:
    """How often a positive is above a negative; ties count half."""
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative))


def best_bound(positive: list[float], negative: list[float]) -> tuple[float, float]:
    """The bound with the best balanced accuracy (positives at or over it, negatives under it), and that."""
    found = []
    for bound in sorted({*positive, *negative}):
        kept = sum(p >= bound for p in positive) / len(positive)
        dropped = sum(n < bound for n in negative) / len(negative)
        found.append(((kept + dropped) / 2, bound))
    best = max(found)
    return best[1], best[0]


if __name__ == "__main__":
    sys.exit(main())
