"""Event extraction on FewFC: GPLinker on our encoder beside a tagger and beside GPLinker on random weights.

    python benchmarks/fewfc.py --data DIR --keep-in DIR [--test FILE] [--model DIR] [--epochs 4] [--batch-size 32]

DIR holds ``train.jsonl`` and ``dev.jsonl`` (also packed) in the format of DuEE and ``schema.json``; FewFC is at
github.com/TimeBurningFish/FewFC, split as CasEE splits it. Scored is dev, or --test FILE. Three models are trained in
this run, each for --epochs passes over the same batches in the same order, with the same rates and number format:

    GPLinker                    on the encoder (--encoder, ironwok-small if not given)
    tagger, one event a type    (a) the same encoder, a BIO label a token; all arguments of a type are one event
    GPLinker, random encoder    (b) the same pointers on an encoder of the same size with random weights

All three are trained on nine tenths of the training texts and take the last running mean of their weights; the other
tenth chooses the thresholds of GPLinker, so that nothing is chosen by the scored texts. --model DIR scores a finished
model too, such as the bundled one (a name will do), which may have been chosen by them. All figures are F1 in percent:
an event is exact when type, trigger and all arguments are right; triggers and arguments as CasEE counts them.
Published, on its test split, which we do not have: CasEE's log with bert-base-chinese (102M parameters), triggers 89.1
and 79.8, arguments 73.9 and 71.9. --keep-in holds the three runs: a benchmark that was killed goes on where it was, one
that was finished only scores. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from _fewfc import TaggerRun, tag
from _table import finish, show
from ironwok.events import DecodingOptions, load_extractor, load_schema
from ironwok.events.annotations import AnnotatedText
from ironwok.events.classes import TaskClasses
from ironwok.events.formats import read_annotations, write_annotations
from ironwok.events.metrics import EventScores, score_events
from ironwok.models.devices import pick_device, pick_dtype
from ironwok.models.loading import quiet
from ironwok.training.extraction.settings import load_settings
from ironwok.training.extraction.train import tokenizer_of, train_extraction
from ironwok.training.progress import Silent

ENCODER = "ironwok-small"
RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "extraction" / "finance.toml"
COLUMNS = {
    "trigger_identification": "trigger id",
    "trigger_classification": "trigger class",
    "argument_identification": "argument id",
    "argument_classification": "argument exact",
    "event": "event exact",
    "duee": "DuEE score",
}
PUBLISHED = ["CasEE, bert-base-chinese, test (published)", 89.1, 79.8, 73.9, 71.9, None, None]


def find(folder: Path, name: str) -> Path:
    for suffix in (".jsonl", ".jsonl.xz", ".jsonl.gz", ".json"):
        if (path := folder / f"{name}{suffix}").exists():
            return path
    raise SystemExit(f"{folder} holds no {name}.jsonl: --data names the folder of FewFC in the format of DuEE")


def random_encoder(encoder: str, folder: Path, seed: int) -> str:
    """A model of the same configuration with random weights, and the same tokenizer."""
    from transformers import AutoModel

    from ironwok.models import resolve_model
    from ironwok.models.loading import read_config

    torch.manual_seed(seed)
    with quiet():
        AutoModel.from_config(read_config(resolve_model(encoder))).save_pretrained(folder)
        tokenizer_of(encoder).save_pretrained(folder)
    return str(folder)


def scores_of(model: str | Path, texts: list[AnnotatedText], **options: Any) -> EventScores:
    extractor = load_extractor(model, options=DecodingOptions(**options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model on random weights may find far too much; that is its score
        found = extractor.extract([text.text for text in texts], progress=True)
    return score_events(found, [text.events for text in texts])


def row(name: str, scores: EventScores) -> list[Any]:
    return [name, *(f"{100 * getattr(scores, column).f1:.1f}" for column in COLUMNS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", type=Path, help="score this file instead of dev")
    parser.add_argument("--model", help="score this finished model too")
    parser.add_argument("--encoder", default=ENCODER)
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--batch-size", type=int, help="texts in a batch, with 96 tokens each at most; the recipe's")
    parser.add_argument("--keep-in", type=Path, help="folder of the runs, to go on with after a kill")
    parser.add_argument("--limit", type=int, help="train on so many texts only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only-model", action="store_true", help="train nothing, score --model alone")
    choices = parser.parse_args()
    if choices.threads:
        torch.set_num_threads(choices.threads)
    schema_file = choices.data / "schema.json"
    schema = load_schema(schema_file if schema_file.exists() else "finance")
    scored = list(read_annotations(choices.test or find(choices.data, "dev"), schema=schema))
    rows, figures = [], {}

    def add(name: str, scores: EventScores, steps: int | None = None) -> None:
        rows.append(row(name, scores))
        print("  ".join(rows[-1]), flush=True)  # whoever stops it here knows that much
        figures[name] = {column: round(100 * getattr(scores, column).f1, 2) for column in COLUMNS}
        if steps is not None:
            figures[name]["steps"] = steps

    if choices.model:
        add(f"given model {choices.model}", scores_of(choices.model, scored))
        add("  with tolerance 0.3", scores_of(choices.model, scored, tolerance=0.3))
    trained = not choices.only_model
    if trained:
        _train_all(choices, schema, scored, add)
    show(
        f"FewFC, {choices.test or 'dev'}, {len(scored)} texts: F1 in percent",
        ["", *COLUMNS.values()],
        [*rows, PUBLISHED],
        notes=[f"trained for {choices.epochs:g} epochs each, batches and rates the same; see --help"] * trained,
    )
    finish({"benchmark": "fewfc", "texts": len(scored), "epochs": choices.epochs, "seed": choices.seed, "f1": figures})


def _train_all(choices: argparse.Namespace, schema: Any, scored: list[AnnotatedText], add: Any) -> None:
    settings = load_settings(RECIPE, epochs=choices.epochs, seed=choices.seed)
    precision = "bf16" if pick_dtype("auto", pick_device(None)) == torch.bfloat16 else "fp32"
    # one evaluation, at the end: with it the last model is kept, whatever it scores
    settings = replace(settings, patience=0, min_steps=0, evaluations=1, precision=precision)
    if choices.batch_size:
        settings = replace(settings, batch_size=choices.batch_size, batch_tokens=96 * choices.batch_size)
    with contextlib.ExitStack() as stack:
        folder = choices.keep_in or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        texts = list(read_annotations(find(choices.data, "train"), schema=schema))[: choices.limit]
        held_out = texts[::10]
        texts = [text for number, text in enumerate(texts) if number % 10]
        write_annotations(texts, folder / "train.jsonl", format="ironwok")
        write_annotations(held_out, folder / "held_out.jsonl", format="ironwok")
        random = random_encoder(choices.encoder, folder / "random", choices.seed)

        def train(name: str, encoder: str) -> int:
            out = folder / name.replace(", ", "-").replace(" ", "-")
            result = train_extraction(
                "events",
                train=folder / "train.jsonl",
                dev=folder / "held_out.jsonl",
                out=out,
                schema=schema,
                model=encoder,
                settings=settings,
                resume=True,
                curves=False,
                progress=Told(name),
            )
            if not result.finished:
                raise SystemExit(f"stopped at step {result.step} of {name}: the same command goes on")
            add(name, scores_of(out, scored), result.step)
            return result.step

        steps = train("GPLinker", choices.encoder)
        classes, tokenizer = TaskClasses.of("events", schema), tokenizer_of(choices.encoder)
        run = TaggerRun(choices.encoder, texts, classes, tokenizer, settings, steps=steps)
        tagger = run.train(folder / "tagger.pt")
        found = tag(tagger, [text.text for text in scored], classes, tokenizer, max_tokens=settings.max_tokens)
        add("tagger, one event a type", score_events(found, [text.events for text in scored]), steps)
        train("GPLinker, random encoder", random)


class Told(Silent):
    """A line every hundred steps."""

    def __init__(self, name: str) -> None:
        self.name = name

    def stepped(self, step: int, *, total: int, tokens_per_second: float, metrics: dict[str, float]) -> None:
        if step % 100 == 0:
            print(f"{self.name}: step {step} of {total}, loss {metrics['loss']:.2f}", flush=True)


if __name__ == "__main__":
    main()
