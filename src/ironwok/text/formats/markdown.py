"""Markdown into plain text, by way of HTML: one layout for both, and HTML inside Markdown is read as well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ironwok.text.formats.files import read_text
from ironwok.text.formats.html import page_from
from ironwok.text.formats.values import Document, ReadOptions, Scalar, Skip

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def read_markdown(path: Path, options: ReadOptions) -> Iterator[Document | Skip]:
    from markdown_it import MarkdownIt

    decoded = read_text(path, options)
    metadata, body = split_front_matter(decoded.text)
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(body)
    page = page_from(html)
    title = metadata.get("title")
    yield Document(
        path=str(path),
        text=page.text,
        title=str(title) if title else page.title,
        encoding=decoded.encoding,
        replaced=decoded.replaced,
        metadata=metadata,
    )


def split_front_matter(text: str) -> tuple[dict[str, Scalar], str]:
    """The YAML block at the head of a page, its plain values only, and the rest.

    A block that is no YAML mapping is text like any other: a rule, a list.
    """
    import yaml

    block = _FRONT_MATTER.match(text)
    if block is None:
        return {}, text
    try:
        values = yaml.safe_load(block.group(1))
    except (yaml.YAMLError, ValueError):  # ValueError: a date such as 2024-13-99
        return {}, text
    if not isinstance(values, dict):
        return {}, text
    plain: dict[str, Scalar] = {}
    for key, value in values.items():
        if isinstance(value, list):
            plain[str(key)] = ", ".join(map(str, value))
        elif not isinstance(value, dict):
            plain[str(key)] = value if isinstance(value, str | int | float | bool) or value is None else str(value)
    return plain, text[block.end() :]
