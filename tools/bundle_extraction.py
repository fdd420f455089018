"""Put the model of a finished `ironwok train` run into the package, its matrices in 8 bits, with its model card.

    python tools/bundle_extraction.py RUN NAME [--weights FOLDER] [--test FILE]

RUN: folder of the run. NAME: of the bundled model; its card is ``recipes/extraction/NAME.md``, in which a table of
figures takes the place of ``<!-- results -->``: of the packed model on the texts of --test, else those of the run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ironwok.events import load_extractor
from ironwok.events.formats import read_annotations
from ironwok.models.bundled import WEIGHTS
from ironwok.models.compact import write_packed
from ironwok.models.loading import quiet
from ironwok.training.checkpoints import replace_folder
from ironwok.training.extraction.judge import judge

ROOT = Path(__file__).resolve().parent.parent
PLACE = "<!-- results -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--test", type=Path)
    choices = parser.parse_args()
    card = (ROOT / "recipes" / "extraction" / f"{choices.name}.md").read_text(encoding="utf-8")
    if PLACE not in card:
        raise SystemExit(f"the card of {choices.name} has no place for figures: write {PLACE} where they belong")
    result = json.loads((choices.run / "result.json").read_text(encoding="utf-8"))
    extractor = load_extractor(choices.run)
    metrics = result["metrics"]

    def write(folder: Path) -> None:
        with quiet():
            extractor.model.config.save_pretrained(folder)
            extractor.tokenizer.save_pretrained(folder)
        write_packed(extractor.model.state_dict(), folder)
        (folder / "README.md").write_text(card.replace(PLACE, table(metrics)), encoding="utf-8")

    final = choices.weights / choices.name
    replace_folder(final, write)
    size = sum(file.stat().st_size for file in final.iterdir()) / 1e6
    print(f"{final}: {size:.1f} MB, trained for {result['step']} steps, the best after {result['best_step']}")
    if choices.test:
        texts = list(read_annotations(choices.test, schema=extractor.schema))
        found = load_extractor(final).extract([text.text for text in texts], progress=True)
        metrics = judge(extractor.task, found, texts)
        replace_folder(final, write)
    print(table(metrics))


def table(metrics: dict[str, float]) -> str:
    """Precision, recall and F1 of every score, in percent."""
    lines = ["| | precision | recall | F1 |", "| --- | --- | --- | --- |"]
    for name in dict.fromkeys(key.rpartition("_")[0] for key in metrics):
        figures = (f"{100 * metrics[f'{name}_{kind}']:.1f}" for kind in ("precision", "recall", "f1"))
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(figures)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
