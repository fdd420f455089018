"""How well spoken commands are understood: intents, slots, and acts that nobody asked for.

    python benchmarks/home_intents.py [--classifier MODEL [--dtype auto]] [--nlu smp2019_nlu.jsonl.xz]

On files of benchmarks/home/ that were written by hand and that nothing is trained on: see the first lines of each.
Where the grammar happens to make the very same words, a sentence counts as seen. With --nlu also on sentences to an
assistant (SMP 2019 task 1, JSON lines with text and domain): none of them is for a projector, every act is a false one.
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from _table import finish, show
from ironwok.home.understanding import ClassifierUnderstander, StudentUnderstander, Understander
from ironwok.home.understanding.features import tokens_of
from ironwok.home.understanding.grammar import REFUSE, sample

if TYPE_CHECKING:
    from ironwok import ZeroShotClassifier

HERE = Path(__file__).parent
FILES = ("spoken", "later", "fresh", "blind", "last", "final")
Row = tuple[str, str, dict[str, str]]


def read_commands(path: Path) -> list[Row]:
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            label, text, *slots = line.split("\t")
            rows.append((label, text, dict(slot.split("=") for slot in slots)))
    return rows


def answers(understander: Understander, texts: list[str]) -> list[tuple[str, dict[str, str], bool]]:
    """What is done for each: the intent or REFUSE, its slots, and whether it asked back."""
    found = []
    for text in texts:
        understood = understander.understand(text)
        if understood.command is None:
            found.append((REFUSE, {}, bool(understood.choices)))
        else:
            record = understood.command.to_dict()
            slots = {key: str(record[key]) for key in ("steps", "minutes", "source") if key in record}
            found.append((record["action"], slots, False))
    return found


def english(text: str) -> bool:
    return text.isascii()


def score(name: str, file: str, rows: list[Row], understander: Understander, seen: set[tuple[str, ...]]) -> dict:
    done = answers(understander, [text for _, text, _ in rows])
    pairs = list(zip(rows, done, strict=True))
    commands = [(row, act) for row, act in pairs if row[0] != REFUSE]
    refusals = [(row, act) for row, act in pairs if row[0] == REFUSE]

    def share(chosen: list, right: Callable) -> float | None:
        return sum(map(right, chosen)) / len(chosen) if chosen else None

    def right(pair):
        return pair[0][0] == pair[1][0]

    slotted = [pair for pair in commands if pair[0][2] and right(pair)]
    return {
        "engine": name,
        "file": file,
        "commands": len(commands),
        "intent": share(commands, right),
        "intent_zh": share([pair for pair in commands if not english(pair[0][1])], right),
        "intent_en": share([pair for pair in commands if english(pair[0][1])], right),
        "intent_unseen": share([pair for pair in commands if tuple(tokens_of(pair[0][1])) not in seen], right),
        "unseen": sum(tuple(tokens_of(pair[0][1])) not in seen for pair in commands),
        "wrong_act": share(commands, lambda pair: pair[1][0] not in (REFUSE, pair[0][0])),
        "asked_back": share(commands, lambda pair: pair[1][2]),
        "slots": share(slotted, lambda pair: all(pair[1][1].get(key) == value for key, value in pair[0][2].items()
                                                 if (key, value) != ("steps", "1"))),
        "refused": len(refusals),
        "false_act": share(refusals, lambda pair: pair[1][0] != REFUSE),
    }  # fmt: skip


def outside(path: Path, understander: Understander, limit: int | None) -> tuple[float, int, list[str]]:
    """Share of assistant sentences on which something is done."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    texts = texts[:: max(1, len(texts) // limit)] if limit else texts
    acts = [
        f"{act[0]}: {text}" for text, act in zip(texts, answers(understander, texts), strict=True) if act[0] != REFUSE
    ]
    return len(acts) / len(texts), len(texts), acts


def domains(path: Path, classifier: ZeroShotClassifier, limit: int) -> tuple[float, float, int]:
    """Zero-shot accuracy over the domains of the assistant sentences, and the share of the most frequent one."""
    names = {
        "app": "应用", "bus": "公交", "cinemas": "影院", "contacts": "联系人", "cookbook": "菜谱", "email": "邮件",
        "epg": "节目单", "flight": "航班", "health": "健康", "joke": "笑话", "lottery": "彩票", "map": "地图",
        "match": "比赛", "message": "短信", "music": "音乐", "news": "新闻", "novel": "小说", "poetry": "诗词",
        "radio": "电台", "riddle": "谜语", "stock": "股票", "story": "故事", "telephone": "电话", "train": "火车",
        "translation": "翻译", "tvchannel": "电视频道", "video": "影视", "weather": "天气", "website": "网站",
    }  # fmt: skip
    with lzma.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [row for row in rows if row["domain"] in names]
    rows = rows[:: max(1, len(rows) // limit)]
    results = classifier.classify(
        [row["text"] for row in rows], labels=names, template="这句话与{}有关。", progress=True
    )
    right = sum(result.label == row["domain"] for result, row in zip(results, rows, strict=True))
    most = max(sum(row["domain"] == name for row in rows) for name in names)
    return right / len(rows), most / len(rows), len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classifier", metavar="MODEL", help="measure the zero-shot classifier with this model too")
    parser.add_argument("--dtype", help="of the classifier: float32, or auto for what this processor is fast with")
    parser.add_argument("--files", nargs="+", choices=FILES, default=FILES, help="sets of commands; all of them")
    parser.add_argument("--nlu", type=Path, help="sentences to an assistant, .jsonl.xz")
    parser.add_argument("--domain-limit", type=int, default=400, help="assistant sentences that the classifier reads")
    parser.add_argument("--mistakes", action="store_true", help="print what was misunderstood")
    arguments = parser.parse_args()
    files = {name: read_commands(HERE / "home" / f"{name}_commands.tsv") for name in arguments.files}
    seen = {tuple(tokens_of(sentence)) for sentence, label in sample(seed=7) if label != REFUSE}
    engines: dict[str, Understander] = {"student": StudentUnderstander()}
    zero_shot = None
    if arguments.classifier:
        from ironwok import ZeroShotClassifier

        zero_shot = ZeroShotClassifier(arguments.classifier, dtype=arguments.dtype)
        engines["classifier"] = ClassifierUnderstander(zero_shot)
    figures: dict = {"benchmark": "home_intents"}
    table, columns = [], []
    notes = ["shares; unseen: the grammar of the training never made these words"]
    for name, engine in engines.items():
        for file, rows in files.items():
            result = score(name, file, rows, engine, seen)
            figures[f"{name}_{file}"] = result
            table.append([f"{value:.3f}" if isinstance(value, float) else str(value) for value in result.values()])
            columns = list(result)
            print(json.dumps(result), file=sys.stderr, flush=True)
        if arguments.nlu:
            share, count, acts = outside(arguments.nlu, engine, None if name == "student" else arguments.domain_limit)
            figures[f"{name}_nlu"] = {"false_act": share, "sentences": count}
            print(json.dumps(figures[f"{name}_nlu"]), file=sys.stderr, flush=True)
            notes.append(f"{name}: acts on {share:.4f} of {count} sentences to an assistant, none of them for it")
            if arguments.mistakes:
                print(*acts, sep="\n")
    show("Spoken commands", columns, table, notes=notes)
    if arguments.mistakes:
        for label, text, _ in (row for rows in files.values() for row in rows):
            understood = engines["student"].understand(text)
            got = REFUSE if understood.command is None else str(understood.command.action)
            if got != label:
                print(f"{label} -> {got}: {text} ({understood.score:.2f} {understood.reason})")
    if arguments.nlu and zero_shot is not None:
        right, most, count = domains(arguments.nlu, zero_shot, arguments.domain_limit)
        figures["domains"] = {"accuracy": right, "most_frequent": most, "sentences": count}
        print(f"domains, zero-shot: {right:.3f} of {count} right; the most frequent alone: {most:.3f}")
    finish(figures)


if __name__ == "__main__":
    main()
