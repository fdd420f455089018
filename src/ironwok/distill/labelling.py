"""Labels of the teacher, line by line on the disk, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwok.errors import InputError, OutputError
from ironwok.files import LineLog, json_line, replace_file, writing
from ironwok.progress import progress_bar

LABELLED = "labelled.jsonl"
SETTINGS = ".labelled.settings"

# results wait so many, or so many seconds, before the disk is asked to take them
_MOST_WAITING = 64
_LONGEST_WAIT = 1.0
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text with what the teacher gives each label, best first; the scores sum to 1 but for rounding."""

    text: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]


def label_texts(
    classifier: Any,
    texts: Sequence[str],
    *,
    folder: Path,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    among: Collection[str] = (),
    fresh: bool = False,
    progress: bool = False,
) -> list[Labelled]:
    """Label texts with the teacher, each once, and keep the labels in ``folder/labelled.jsonl``.

    options: arguments of ``classifier.classify_iter``. settings: all that shapes the labels, as plain JSON.
    among: other texts that the file may hold, of an earlier run that labelled more; they stay in it.
    fresh: label everything anew; otherwise what the file holds is not asked for again.

    Raises InputError where the file was made from other texts or with other settings, OutputError where it cannot be
    written.
    """
    path = folder / LABELLED
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    log = LineLog(path)
    done = [] if fresh else _earlier(log, folder / SETTINGS, {*texts, *among}, settings)
    # a last line that was cut off goes, the rest stays
    log.keep(json_line(record) for record in done)
    replace_file(folder / SETTINGS, json.dumps(dict(settings), ensure_ascii=False, indent=2).encode())
    known = {record["text"] for record in done}
    wanted = list(dict.fromkeys(texts))
    asked = [text for text in wanted if text not in known]
    try:
        with progress_bar("label", total=len(wanted), shown=progress) as advance:
            advance(len(wanted) - len(asked))
            waiting: list[dict[str, Any]] = []
            since = time.monotonic()
            try:
                for result in classifier.classify_iter(asked, **options):
                    scores = [round(score, _DIGITS) for score in result.scores]
                    waiting.append({"text": result.text, "labels": list(result.labels), "scores": scores})
                    advance(1)
                    if len(waiting) >= _MOST_WAITING or time.monotonic() - since > _LONGEST_WAIT:
                        since = time.monotonic()
                        done += waiting
                        written, waiting = waiting, []
                        log.append(written)
            finally:
                log.append(waiting)
            done += waiting
    finally:
        log.close()
    found = {
        record["text"]: Labelled(record["text"], tuple(record["labels"]), tuple(record["scores"])) for record in done
    }
    return [found[text] for text in texts]


def _earlier(
    log: LineLog, settings_file: Path, texts: Collection[str], settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What an earlier run labelled."""
    if not log.path.exists():
        return []
    way_out = "pass --fresh (fresh=True) to label everything anew, or take another folder"
    try:
        before = json.loads(settings_file.read_bytes())
    except (OSError, ValueError):
        raise InputError(f"{log.path} has no settings beside it ({settings_file.name}): {way_out}") from None
    now = json.loads(json.dumps(dict(settings)))
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        told = "; ".join(f"{name}: {before.get(name)!r} there, {now[name]!r} now" for name in changed)
        raise InputError(f"{log.path} was labelled with other settings ({told:.300}): {way_out}")
    try:
        done = log.load()
    except OutputError as error:
        raise OutputError(f"{log.path} holds a line that is no label: {way_out}") from error
    for number, record in enumerate(done):
        if not _is_label(record):
            raise OutputError(f"{log.path}, line {number + 1}, is no label of a text: {way_out}")
        if record["text"] not in texts:
            raise InputError(
                f"{log.path}, line {number + 1}, labels {record['text']!r:.40}, which is none of the texts: {way_out}"
            )
    return done


def _is_label(record: Mapping[str, Any]) -> bool:
    labels, scores = record.get("labels"), record.get("scores")
    if not (isinstance(labels, list) and isinstance(scores, list) and labels and len(labels) == len(scores)):
        return False
    told = isinstance(record.get("text"), str) and all(isinstance(label, str) for label in labels)
    return told and all(isinstance(score, int | float) for score in scores)
