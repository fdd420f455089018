"""Readers of document files, one module a format, and the table of which suffix goes to which.

A new format is a function ``(path, options) -> Iterator[Document | Skip]`` and a line in ``READERS``.
"""

from __future__ import annotations

from pathlib import Path

from ironwok.text.formats.docx import read_docx
from ironwok.text.formats.files import PACKED, unpacked_name
from ironwok.text.formats.html import read_html
from ironwok.text.formats.markdown import read_markdown
from ironwok.text.formats.pdf import read_pdf
from ironwok.text.formats.plain import read_plain
from ironwok.text.formats.records import read_json, read_json_lines
from ironwok.text.formats.tables import read_table
from ironwok.text.formats.values import Document, Reader, ReadOptions, Skip

READERS: dict[str, Reader] = {
    ".txt": read_plain,
    ".text": read_plain,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".csv": read_table,
    ".tsv": read_table,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
}


def reader_for(path: Path) -> Reader | None:
    """The reader for a file's suffix, the suffix of a packer behind it or not; None if nobody reads it."""
    return READERS.get(unpacked_name(path).suffix.lower())


__all__ = ["PACKED", "READERS", "Document", "ReadOptions", "Reader", "Skip", "reader_for"]
