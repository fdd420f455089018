"""Files in, documents cut into passages out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ironwok.errors import InputError, NoDocumentsError
from ironwok.reading.ahead import CutDocument, Item
from ironwok.results import PassageResult, Skip
from ironwok.text.documents import Document, ReadOptions, find_files, read_file
from ironwok.text.documents import Skip as SkippedPath
from ironwok.text.passages import DEFAULT_MAX_CHARS, split_passages

__all__ = ["DEFAULT_MAX_CHARS", "SourceOptions", "list_files", "open_file", "passages_of"]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How documents are read and cut.

    max_chars: longest passage, in characters. text_field, title_field: column or key of .csv and .jsonl files; None
    chooses. encoding: of text files; None detects it.
    """

    max_chars: int = DEFAULT_MAX_CHARS
    text_field: str | None = None
    title_field: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        if self.max_chars < 1:
            raise InputError(f"max_chars is {self.max_chars}: a passage has at least 1 character")
        self.reading()  # an encoding that does not exist shows here

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def reading(self) -> ReadOptions:
        return ReadOptions(encoding=self.encoding, text_field=self.text_field, title_field=self.title_field)


def list_files(sources: Sequence[str], *, outside: Path) -> dict[str, Skip | None]:
    """The files to read, in order, without those in the folder of the report (``outside``), which may lie among them.

    A path that cannot be opened at all, such as a pipe or a closed folder, comes with its skip.
    Raises UnreadableDocumentError for a path that does not exist, NoDocumentsError where there is nothing to read.
    """
    report = outside.resolve()
    found: dict[str, Skip | None] = {}

    def note(skip: SkippedPath) -> None:
        found[skip.path] = Skip(skip.path, skip.reason, skip.record, skip.line)

    for path in find_files(list(sources), on_skip=note):
        if report not in path.resolve().parents:
            found[str(path)] = None
    if not found:
        raise NoDocumentsError(f"{', '.join(sources)}: nothing to read beside the report in {outside}")
    return found


def open_file(path: str, options: SourceOptions) -> Iterator[Item]:
    """The documents of a file, cut into passages, and what of it could not be read."""
    for item in read_file(path, options=options.reading()):
        if isinstance(item, Document):
            passages = tuple(split_passages(item.text, max_chars=options.max_chars))
            yield CutDocument(item, passages)
        else:
            yield Skip(path, item.reason, item.record, item.line)


def passages_of(cut: CutDocument) -> Iterator[PassageResult]:
    """The passages of a document, nothing found in them yet."""
    end = 0
    for index, span in enumerate(cut.passages):
        yield PassageResult(
            document=cut.document.path,
            record=cut.document.record,
            index=index,
            span=span,
            before=cut.document.text[end : span.start],
            page=bisect_right(cut.document.pages, span.start) or None,
        )
        end = span.end
