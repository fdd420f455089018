"""HTML into plain text: the main part of the page in reading order, without scripts, styles and page furniture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ironwok.text.encodings import decode
from ironwok.text.formats.files import read_bytes
from ironwok.text.formats.flow import BLOCK, LINE, Flow
from ironwok.text.formats.values import Document, ReadOptions, Skip

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS = _HEADINGS | {
    *("address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "div", "dl", "fieldset"),
    *("figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "main", "menu", "nav", "ol", "p", "pre"),
    *("search", "section", "summary", "table", "ul"),
}
_LINES = frozenset({"br", "caption", "dd", "dt", "legend", "li", "tr", "thead", "tbody", "tfoot"})
# Never text of the page. rt and rp: the reading aid above a character would tear its word apart.
_DROPPED = frozenset(
    {
        *("area", "audio", "base", "button", "canvas", "datalist", "embed", "head", "iframe", "input", "link", "map"),
        *("math", "meta", "noscript", "object", "option", "param", "progress", "rp", "rt", "script", "select", "style"),
        *("svg", "template", "textarea", "video"),
    }
)
_FURNITURE = frozenset({"nav", "aside", "header", "footer", "search"})
_FURNITURE_ROLES = frozenset({"navigation", "banner", "contentinfo", "complementary", "search"})
_LAYOUT_TABLE = "td table, td h1, td h2, td h3, td h4, td ul, td ol, td p + p, td div + div"
_HIDING_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)""",
    re.IGNORECASE,
)
_DECLARED_WITHIN = 4096  # bytes; browsers look no further than the first kilobyte


@dataclass(frozen=True, slots=True)
class Page:
    """text: laid out as in ``flow``. title: of the page, else its first main heading. metadata: author, date, …"""

    text: str
    title: str | None
    metadata: dict[str, str] = field(default_factory=dict)


def read_html(path: Path, options: ReadOptions) -> Iterator[Document | Skip]:
    data = read_bytes(path, options)
    declared = _DECLARED.search(data[:_DECLARED_WITHIN])
    label = (declared.group(1) or declared.group(2)).decode("ascii") if declared else None
    decoded = decode(data, name=str(path), encoding=options.encoding, declared=label)
    page = page_from(decoded.text)
    yield Document(
        path=str(path),
        text=page.text,
        title=page.title,
        encoding=decoded.encoding,
        replaced=decoded.replaced,
        metadata=page.metadata,
    )


def page_from(html: str) -> Page:
    """Plain text, title and metadata of an HTML page or fragment; broken markup is read as browsers read it."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(html)
    if tree.root is None or tree.body is None:
        return Page("", None)
    main = tree.css_first("main, [role=main]")
    text = _text_of(main, keep_furniture=True) if main is not None else ""
    text = text or _text_of(tree.body, keep_furniture=False) or _text_of(tree.body, keep_furniture=True)
    titles = (tree.css_first("head > title"), tree.css_first("h1"))
    title = next((found for node in titles if node is not None and (found := " ".join(node.text().split()))), None)
    metadata: dict[str, str] = {}
    for node in tree.css("meta[name][content]"):
        name, content = node.attributes.get("name"), node.attributes.get("content")
        if name and content and name.lower() in ("author", "date", "description", "keywords"):
            metadata[name.lower()] = " ".join(content.split())
    return Page(text, title, metadata)


def _text_of(root: LexborNode, *, keep_furniture: bool) -> str:
    """Walks with a stack of its own: pages nested a hundred thousand deep exist, if only to break readers."""
    walk = _Walk(Flow(), keep_furniture)
    stack = [(root, True)]
    while stack:
        node, entering = stack.pop()
        tag = node.tag or ""
        if not entering:
            walk.leave(tag)
        elif tag == "-text":
            walk.write(node.text_content or "")
        elif walk.enter(node, tag):
            stack.append((node, False))
            children = list(node.iter(include_text=True))
            stack.extend((child, True) for child in reversed(children))
    return walk.flow.text()


class _Walk:
    """Turns the start and the end of each element into breaks."""

    def __init__(self, flow: Flow, keep_furniture: bool) -> None:
        self.flow = flow
        self._keep_furniture = keep_furniture
        self._verbatim = 0  # depth of <pre>
        self._items = 0  # depth of list items: paragraphs inside are lines
        self._tables: list[_Table] = []

    def write(self, text: str) -> None:
        if self._verbatim:
            self.flow.verbatim(text)
        else:
            self.flow.running(text)

    def enter(self, node: LexborNode, tag: str) -> bool:
        """Whether to go on with the children."""
        if tag.startswith("-") or tag in _DROPPED or _is_hidden(node):
            return False
        if not self._keep_furniture and _is_furniture(node, tag):
            return False
        if tag == "table":
            self._tables.append(_Table(layout=_is_layout(node)))
        elif tag == "tr" and self._tables:
            self._tables[-1].cells = 0
        if tag in ("td", "th"):
            self._enter_cell()
        else:
            self._break(tag)
        self._verbatim += tag == "pre"
        self._items += tag in ("li", "dd")
        return True

    def leave(self, tag: str) -> None:
        if tag == "pre":
            self._verbatim -= 1
            self.flow.end_verbatim()
        self._items -= tag in ("li", "dd")
        if tag in ("td", "th"):
            self._leave_cell()
        elif tag in _HEADINGS:
            self.flow.end_heading()
        elif tag != "br":
            self._break(tag)
        if tag == "table":
            self._tables.pop()

    def _break(self, tag: str) -> None:
        if tag in _LINES or (self._items and tag in _BLOCKS):
            self.flow.break_(LINE)
        elif tag in _BLOCKS:
            self.flow.break_(BLOCK)

    def _enter_cell(self) -> None:
        if not self._tables or self._tables[-1].layout:
            self.flow.break_(BLOCK)
        else:
            self.flow.begin_cell(first=self._tables[-1].cells == 0)
            self._tables[-1].cells += 1

    def _leave_cell(self) -> None:
        if not self._tables or self._tables[-1].layout:
            self.flow.break_(BLOCK)
        else:
            self.flow.end_cell()


@dataclass(slots=True)
class _Table:
    """layout: used to arrange blocks, not to hold values. cells: of the current row so far."""

    layout: bool
    cells: int = 0


def _is_layout(table: LexborNode) -> bool:
    # a table in a cell is found below itself, too
    return any(found.mem_id != table.mem_id for found in table.css(_LAYOUT_TABLE))


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    if not attributes:
        return False
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or _HIDING_STYLE.search(attributes.get("style") or "") is not None
    )


def _is_furniture(node: LexborNode, tag: str) -> bool:
    """Navigation, banners, margins; the header and the footer of an article belong to it."""
    if tag not in _FURNITURE and node.attributes.get("role") not in _FURNITURE_ROLES:
        return False
    if tag == "header" and node.css_first("h1") is not None:
        return False
    ancestor = node.parent
    while tag in ("header", "footer") and ancestor is not None:
        if ancestor.tag in ("article", "main"):
            return False
        ancestor = ancestor.parent
    return True
