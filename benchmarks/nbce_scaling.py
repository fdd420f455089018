"""What an answer costs as contexts are added: CPU seconds of reading and of writing, and peak memory.

    python benchmarks/nbce_scaling.py [--model M] [--contexts 4 8 32 128] [--length 64] [--tokens 16]

Three ways to answer, each in a process of its own for every number of contexts, on text made up here from a seed:
"routed" is ours, with as many rows kept as its default allows (4, none dropped for being unlikely); "published" is the
procedure as published, written out plainly: one batch of all rows, all of them to the end; "concatenated" is one row,
cut off at the model's window. Every answer has the same number of tokens. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import subprocess
import sys
from time import process_time
from typing import Any

from _table import finish, show
from ironwok.errors import IronwokError

METHODS = ("routed", "published", "concatenated")
WORDS = (
    "the lamp keeper wrote every arrival into a green book and counted barrels of oil before the evening tide while "
    "his sister mended nets near the old pump house where rain had washed the road away twice since spring"
)
QUESTION = "Who wrote the arrivals into the green book?"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="smollm2, a folder, or a hub id")
    parser.add_argument("--contexts", type=int, nargs="+", default=[4, 8, 32, 128], metavar="N")
    parser.add_argument("--length", type=int, default=64, help="tokens of a context")
    parser.add_argument("--tokens", type=int, default=16, help="tokens of the answer")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", choices=METHODS, help=argparse.SUPPRESS)  # what a process of its own is told to do
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    try:
        if options.one:
            print(json.dumps(measure(options, options.one, options.contexts[0])))
        else:
            compare(options)
    except IronwokError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def compare(options: argparse.Namespace) -> None:
    found = {method: {count: alone(options, method, count) for count in options.contexts} for method in METHODS}
    rows = []
    for method, by_count in found.items():
        for count, one in by_count.items():
            rows.append(
                [
                    f"{method}, {count} contexts",
                    one["rows"],
                    one["tokens_read"],
                    f"{one['reading']:.2f}",
                    f"{one['writing']:.2f}",
                    f"{1000 * one['writing'] / options.tokens:.0f}",
                    f"{one['peak_megabytes']:.0f}",
                ]
            )
    notes = []
    growth: dict[str, Any] = {}
    low, high = (8 if 8 in options.contexts else min(options.contexts)), max(options.contexts)
    for method, by_count in found.items():
        first, last = by_count[low], by_count[high]
        growth[method] = {
            f"{name}_{high}_over_{low}": round(last[name] / first[name], 2)
            for name in ("reading", "writing", "peak_megabytes")
        }
        if high > low:
            for name in ("reading", "writing"):  # 0: the same for any number of contexts, 1: in proportion to it
                exponent = math.log(last[name] / first[name]) / math.log(high / low)
                growth[method][f"{name}_exponent"] = round(exponent, 2)
        notes.append(f"{method}: {growth[method]}")
    ours, published = found["routed"][high], found["published"][high]
    ratios = {
        f"writing_published_over_routed_at_{high}": round(published["writing"] / ours["writing"], 2),
        f"memory_published_over_routed_at_{high}": round(published["peak_megabytes"] / ours["peak_megabytes"], 2),
    }
    notes.append(str(ratios))
    notes.append("reading: contexts and question; writing: the answer; CPU seconds, which other work cannot stretch")
    notes.append("peak: memory of the process, weights included")
    show(
        f"{options.model}: contexts of {options.length} tokens, answers of {options.tokens}",
        ["", "rows", "tokens read", "reading", "writing", "ms a token", "peak MB"],
        rows,
        notes=notes,
    )
    finish({"model": options.model, "growth": growth, **ratios, "measured": found})


def alone(options: argparse.Namespace, method: str, count: int) -> dict[str, Any]:
    """One measurement in a process of its own: peak memory has no way back."""
    command = [sys.executable, __file__, "--one", method, "--contexts", str(count), "--model", options.model]
    command += ["--length", str(options.length), "--tokens", str(options.tokens), "--dtype", options.dtype]
    done = subprocess.run([*command, "--seed", str(options.seed)], stdout=subprocess.PIPE, text=True, check=True)
    print(f"{method}, {count}: {done.stdout.strip()}", file=sys.stderr)
    return json.loads(done.stdout)


def measure(options: argparse.Namespace, method: str, count: int) -> dict[str, Any]:
    from ironwok.nbce.answerer import Answerer
    from ironwok.nbce.prompts import ENGLISH

    answerer = Answerer(options.model, dtype=options.dtype)
    prompter = answerer.prompter
    question = prompter.question(QUESTION, ENGLISH)
    rows = [prompter.context(ids, ENGLISH) for ids in made_up(answerer, count, options.length, options.seed)]
    # what the first call costs once, it costs every method
    answerer.engine.read([rows[0]])
    run = {"routed": routed, "published": published, "concatenated": one_row}[method]
    read, reading, writing, held = run(answerer, prompter.head(), rows, question, options.tokens)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rows": held,
        "tokens_read": read,
        "reading": round(reading, 3),
        "writing": round(writing, 3),
        "peak_megabytes": round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1),
    }


def made_up(answerer: Any, count: int, length: int, seed: int) -> list[list[int]]:
    """Contexts of so many tokens each, no two alike."""
    from ironwok.text.tokenizer import encode_texts

    generator, words = random.Random(seed), WORDS.split()
    texts = [" ".join(generator.choices(words, k=2 * length)) for _ in range(count)]
    return [ids[:length] for ids, _ in encode_texts(answerer.tokenizer, texts)]


Measured = tuple[int, float, float, int]


def routed(answerer: Any, head: list[int], rows: list[list[int]], question: list[int], tokens: int) -> Measured:
    from ironwok.nbce.decode import NBCEChooser, steps_of
    from ironwok.nbce.prefill import prefill
    from ironwok.nbce.settings import Settings

    settings = Settings(negligible=0.0, max_tokens=tokens)
    start = process_time()
    (prepared,) = prefill(answerer.engine, head, rows, [question], settings, chunk_tokens=answerer.chunk_tokens)
    middle = process_time()
    steps = steps_of(
        answerer.engine, prepared.rows, prepared.log_p, NBCEChooser(prepared, settings), end=(), max_tokens=tokens + 1
    )
    written = sum(1 for _ in steps)
    assert written == tokens + 1
    return sum(map(len, rows)), middle - start, process_time() - middle, len(prepared.rows)


def one_row(answerer: Any, head: list[int], rows: list[list[int]], question: list[int], tokens: int) -> Measured:
    from ironwok.nbce.decode import steps_of
    from ironwok.nbce.rivals import LastRowChooser, concatenated, read_concatenated
    from ironwok.nbce.settings import Settings

    limit = answerer.engine.limit
    row = concatenated(head, rows, room=None if limit is None else limit - len(question) - tokens - 1)
    start = process_time()
    read, log_p = read_concatenated(answerer.engine, row, question)
    middle = process_time()
    written = sum(
        1 for _ in steps_of(answerer.engine, read, log_p, LastRowChooser(Settings()), end=(), max_tokens=tokens + 1)
    )
    assert written == tokens + 1
    return len(row), middle - start, process_time() - middle, 1


def published(answerer: Any, head: list[int], rows: list[list[int]], question: list[int], tokens: int) -> Measured:
    """The procedure as it was published, on its own: nothing of ours but the model and the prompt.

    kexue.fm 9617: rows of all contexts and of none in one left-padded batch; at every token top-p 0.95, entropy, a
    bonus for the row of the token before, (1 + β) of the chosen row less β of the empty one.
    """
    import torch

    model = answerer.engine.model
    beta, eta, top_p = 0.25, 0.1, 0.95
    whole = [[*head, *question], *([*row, *question] for row in rows)]
    longest = max(map(len, whole))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in whole])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in whole])
    cache, chosen, times = None, None, [process_time()]
    with torch.inference_mode():
        for step in range(tokens + 1):
            positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            out = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = out.past_key_values
            log_p = torch.log_softmax(out.logits[:, -1].float(), dim=-1)
            ranked = log_p.sort(dim=-1, descending=True)
            beyond = ranked.values.exp().cumsum(dim=-1) - ranked.values.exp() >= top_p
            log_p = log_p.masked_fill(beyond.scatter(1, ranked.indices, beyond), -torch.inf)
            entropy = -(log_p.exp() * log_p.clamp(min=-100)).sum(dim=-1)
            if chosen is not None:
                entropy[chosen] -= eta
            chosen = int(entropy[1:].argmin()) + 1
            merged = torch.where(log_p[0] > -100, (1 + beta) * log_p[chosen] - beta * log_p[0], log_p[chosen])
            token = int(torch.where(log_p[chosen] > -100, merged, -torch.inf).argmax())
            ids = torch.full((len(whole), 1), token)
            mask = torch.cat([mask, torch.ones(len(whole), 1, dtype=mask.dtype)], dim=1)
            if step == 0:
                times.append(process_time())
    return sum(map(len, rows)), times[1] - times[0], process_time() - times[1], len(whole)


if __name__ == "__main__":
    sys.exit(main())
