"""Markdown into plain text, by way of HTML: one layout for both, and HTML inside Markdown is read as well."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok.text.characters import is_unspaced
from ironwok.text.formats.files import read_text
from ironwok.text.formats.html import page_from
from ironwok.text.formats.values import Document, ReadOptions, Scalar, Skip

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


def read_markdown(path: Path, options: ReadOptions) -> Iterator[Document | Skip]:
    decoded = read_text(path, options)
    metadata, body = split_front_matter(decoded.text)
    page = page_from(_parser().render(body))
    title = metadata.get("title")
    yield Document(
        path=str(path),
        text=page.text,
        title=str(title) if title else page.title,
        encoding=decoded.encoding,
        replaced=decoded.replaced,
        metadata=metadata,
    )


@functools.cache
def _parser() -> MarkdownIt:
    """CommonMark with tables, and with emphasis that Chinese punctuation does not break.

    By the letter of CommonMark ``公司**78%**的股权`` holds no emphasis: it expects spaces around words.
    """
    from markdown_it import MarkdownIt
    from markdown_it.parser_inline import ParserInline
    from markdown_it.rules_inline.state_inline import Scanned, StateInline

    class State(StateInline):
        def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:
            scanned = super().scanDelims(start, canSplitWord)
            before = self.src[start - 1] if start else " "
            after = self.src[start + scanned.length : start + scanned.length + 1] or " "
            if not canSplitWord or not (is_unspaced(before) or is_unspaced(after)):
                return scanned
            can_open = scanned.can_open or not after.isspace()
            return Scanned(can_open, scanned.can_close or not before.isspace(), scanned.length)

    class Inline(ParserInline):
        def parse(self, src: str, md: MarkdownIt, env: Any, tokens: list[Token]) -> list[Token]:
            state = State(src, md, env, tokens)
            self.tokenize(state)
            for rule in self.ruler2.getRules(""):
                rule(state)
            return state.tokens

    parser = MarkdownIt("commonmark")
    parser.inline = Inline()
    return parser.enable(["table", "strikethrough"])


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
