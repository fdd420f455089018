"""The contamination report of a recipe: which evaluation texts its training texts hold, as a file beside the run.

Running text and labelled data are told apart: to have read a text is one thing, to have learnt its label another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ironwok.errors import DataError
from ironwok.text.formats.files import unpacked_name
from ironwok.training.checkpoints import write_text_atomically
from ironwok.training.contamination import FIELDS, WINDOW, Overlap, contamination
from ironwok.training.files import OnBytes, Source, read_lines, read_records, read_source
from ironwok.training.labelled import LabelledTask
from ironwok.training.progress import Progress, Silent

FILE = "contamination.json"
_VERSION = 1


def evaluation_texts(files: Iterable[Path], fields: Sequence[str] = FIELDS) -> dict[str, list[str]]:
    """The texts of each file, by its path: those of ``fields`` in .jsonl, lines in anything else.

    Raises DataError for a file that cannot be read, and for a record with none of the fields.
    """
    texts: dict[str, list[str]] = {}
    for path in files:
        own = texts.setdefault(str(path), [])
        if unpacked_name(path).suffix.lower() not in (".jsonl", ".ndjson", ".json"):
            own += [line.strip() for line in read_lines(path) if line.strip()]
            continue
        for number, record in read_records(path):
            found = [record[field] for field in fields if isinstance(record.get(field), str)]
            if not found:
                raise DataError(
                    f"{path}:{number}: none of the fields {', '.join(fields)} holds text; name those that do in "
                    "contamination.fields of the recipe"
                )
            own += found
    return texts


def running_texts(sources: Iterable[Source], *, on_bytes: OnBytes = lambda count: None) -> Iterator[tuple[str, str]]:
    """(source, document) of running text."""
    for source in sources:
        for document in read_source(source, on_bytes=on_bytes):
            yield source.name, "\n".join(document)


def labelled_texts(tasks: Iterable[LabelledTask]) -> Iterator[tuple[str, str]]:
    """(task, text) of the texts that labelled sets are about; neither choices nor answers."""
    for task in tasks:
        for path in task.files:
            for _, record in read_records(path):
                for field in task.fields[:2]:
                    if isinstance(record.get(field), str):
                        yield task.name, record[field]


def write_report(
    folder: Path,
    *,
    sources: Sequence[Source],
    tasks: Sequence[LabelledTask],
    files: Sequence[Path],
    fields: Sequence[str] = FIELDS,
    near: float = 0.5,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare what a recipe trains on with evaluation files, and keep the outcome in ``folder/contamination.json``.

    One pass over the training texts. A report of the same files is there already: it is given back as it is, so that a
    run that was killed does not begin anew. Returns what the file holds. Raises DataError, OutputError.
    """
    progress = progress or Silent()
    identity = _identity(sources, tasks, files, fields, near)
    path = folder / FILE
    kept = read_report(path)
    if kept is not None and kept.get("identity") == identity:
        return kept
    texts = evaluation_texts(files, fields)
    total, done = sum(size for source in sources for size in source.sizes()), 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress.busy("contamination", done=done, total=total)

    progress.busy("contamination", done=0, total=total)
    read = contamination(running_texts(sources, on_bytes=tell), texts, near=near)
    learnt = contamination(labelled_texts(tasks), texts, near=near)
    report = {
        "identity": identity,
        "window": WINDOW,
        "near": near,
        "sets": [
            {"file": one.name, "texts": one.texts, "running_text": _figures(one), "labelled_data": _figures(two)}
            for one, two in zip(read, learnt, strict=True)
        ],
    }
    write_text_atomically(path, json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    return report


def read_report(path: Path) -> dict[str, Any] | None:
    """A report as it was written; None where there is none that can be read."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


def _figures(overlap: Overlap) -> Mapping[str, Any]:
    return {"exact": overlap.exact, "near": overlap.near, "held_by": dict(overlap.sources)}


def _identity(
    sources: Sequence[Source], tasks: Sequence[LabelledTask], files: Sequence[Path], fields: Sequence[str], near: float
) -> str:
    """A digest of what a report hangs on: names and sizes of files, and how they are read."""

    def sizes(paths: Iterable[Path], what: str) -> list[Any]:
        try:
            return [[path.name, path.stat().st_size] for path in paths]
        except OSError as error:
            raise DataError(f"{what}: {error.filename}: cannot be read ({error.strerror})") from error

    facts = [
        _VERSION,
        [[source.name, source.fields, sizes(source.files, f"source {source.name}")] for source in sources],
        [[task.name, task.fields, sizes(task.files, f"labelled task {task.name}")] for task in tasks],
        sizes(files, "evaluation texts"),
        list(fields),
        near,
        WINDOW,
    ]
    return hashlib.blake2b(json.dumps(facts, ensure_ascii=False).encode(), digest_size=16).hexdigest()
