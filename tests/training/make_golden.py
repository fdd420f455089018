"""Write the loss curve that test_pretrain compares with: python tests/training/make_golden.py

With --tokenizer, train the tokenizer of all these tests anew, too; it comes out a little different each time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch
from tiny_corpus import TOKENIZER, as_text, make_documents, tiny_recipe, write_corpus

from ironwok.text.tokenizer import train_tokenizer
from ironwok.training.pretrain import pretrain

# No dropout and no SVD: their numbers may differ between makes of processors.
CHANGES = {"optimizer": {"steps": 20, "schedule": "cosine", "alpha_warmup_steps": 10}, "evaluation": {"every": 20}}


def train() -> None:
    texts = as_text(make_documents(160, seed=1)).splitlines()
    tokenizer = train_tokenizer(texts, vocab_size=300, min_frequency=2, largest_alphabet=250)
    TOKENIZER.mkdir(exist_ok=True)
    tokenizer.save(str(TOKENIZER / "tokenizer.json"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", action="store_true")
    if parser.parse_args().tokenizer:
        train()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = write_corpus(Path(folder) / "data")
        pretrain(tiny_recipe(**CHANGES), data=data, out=Path(folder) / "out")
        lines = [json.loads(line) for line in (Path(folder) / "out" / "metrics.jsonl").read_text().splitlines()]
    golden: dict[str, object] = {"changes": CHANGES}
    for name in ("mlm_loss", "nsp_loss"):
        golden[name] = [line[name] for line in lines if name in line]
    Path(__file__).with_name("golden_losses.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
