"""Word documents (.docx) into plain text: paragraphs and tables in document order, then the notes.

``python-docx`` opens the package and knows the styles; the text is gathered from the XML itself, because the library's
paragraphs leave out what sits in content controls, tracked insertions and text boxes.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok.errors import UnreadableDocumentError
from ironwok.text.formats.files import read_bytes
from ironwok.text.formats.flow import BLOCK, LINE, Flow
from ironwok.text.formats.values import Document, ReadOptions, Skip

if TYPE_CHECKING:
    from docx.document import Document as WordDocument

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATHS_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # a text box again, for old readers
_NOTES = tuple(
    f"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}notes" for kind in ("foot", "end")
)
# Deleted or moved-away text and the reading aid above a character (rt); field codes and properties hold no text.
_DROPPED = frozenset({_W + tag for tag in ("del", "moveFrom", "instrText", "pPr", "rPr", "tblPr", "sectPr", "rt")})
_CHARACTERS = {_W + "tab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "\u2011"}
_OLD_WORD = b"\xd0\xcf\x11\xe0"

# What zipfile, lxml and python-docx raise on damaged packages, beside the latter's OpcError; there is no common base.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, SyntaxError),  # SyntaxError: broken XML
    *(KeyError, ValueError, AttributeError, IndexError, TypeError),  # parts that should be there and are not
)


def read_docx(path: Path, options: ReadOptions) -> Iterator[Document | Skip]:
    from docx.opc.exceptions import OpcError

    data = read_bytes(path, options)
    if data.startswith(_OLD_WORD):
        raise UnreadableDocumentError(
            f"{path}: an old .doc file or one with a password, not .docx: save it as .docx without a password"
        )
    try:
        _check_size(path, data, options)
        document = _read(path, data)
    except (OpcError, *_DAMAGE) as error:
        raise UnreadableDocumentError(f"{path}: a damaged Word document ({type(error).__name__}: {error})") from error
    yield document


def _check_size(path: Path, data: bytes, options: ReadOptions) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        size = sum(entry.file_size for entry in package.infolist() if entry.filename.endswith((".xml", ".rels")))
    if size > options.max_bytes:
        raise UnreadableDocumentError(
            f"{path}: {size:,} bytes of text and layout unpacked, more than max_bytes = {options.max_bytes:,}"
        )


def _read(path: Path, data: bytes) -> Document:
    import docx
    from docx.oxml import parse_xml

    word = docx.Document(io.BytesIO(data))
    gather = _Gather(Flow(), *_styles(word))
    gather.walk(word.element.body)
    for relation in word.part.rels.values():
        if relation.reltype in _NOTES and not relation.is_external:
            gather.flow.break_(BLOCK)
            gather.walk(parse_xml(relation.target_part.blob))
    properties = word.core_properties
    metadata = {
        "author": properties.author,
        "subject": properties.subject,
        "keywords": properties.keywords,
        "created": properties.created.isoformat() if properties.created else "",
    }
    return Document(
        path=str(path),
        text=gather.flow.text(),
        title=properties.title.strip() or gather.first_heading,
        metadata={key: value for key, value in metadata.items() if value},
    )


def _styles(word: WordDocument) -> tuple[frozenset[str], frozenset[str]]:
    """Ids of the styles that make a paragraph a heading or a list item, in whatever language Word named them."""
    headings: set[str] = set()
    items: set[str] = set()
    for style in word.styles.element.iter(_W + "style"):
        name, base, identifier = style.find(_W + "name"), style.find(_W + "basedOn"), style.get(_W + "styleId", "")
        label = name.get(_W + "val", "").lower() if name is not None else ""
        parent = base.get(_W + "val") if base is not None else None
        if label.startswith(("heading", "标题", "標題")) or label in ("title", "subtitle") or parent in headings:
            headings.add(identifier)
        elif label.startswith(("list", "列表", "列出", "清單")) or parent in items:
            items.add(identifier)
    return frozenset(headings), frozenset(items)


class _Gather:
    """Walks the XML; lxml has refused files nested deeper than Python's stack could follow."""

    def __init__(self, flow: Flow, headings: frozenset[str], items: frozenset[str]) -> None:
        self.flow = flow
        self.first_heading: str | None = None
        self._headings = headings
        self._items = items
        self._boxes: list[Any] = []  # text boxes anchored in the current paragraph: their text comes after it
        self._paragraph: list[str] = []

    def walk(self, element: Any) -> None:
        for child in element:
            tag = child.tag
            if not isinstance(tag, str) or tag in _DROPPED or tag == _FALLBACK:
                continue  # not a string: a comment
            if tag == _W + "p":
                self._walk_paragraph(child)
            elif tag == _W + "tr":
                self._walk_row(child)
            elif tag == _W + "tbl":
                self.flow.break_(BLOCK)
                self.walk(child)
                self.flow.break_(BLOCK)
            elif tag == _W + "txbxContent":
                self._boxes.append(child)
            elif tag in (_W + "t", _MATHS_TEXT):
                self._paragraph.append(child.text or "")
            elif tag in _CHARACTERS:
                self._paragraph.append(_CHARACTERS[tag])
            else:
                self.walk(child)

    def _walk_paragraph(self, element: Any) -> None:
        outer, self._paragraph = self._paragraph, []
        outer_boxes, self._boxes = self._boxes, []
        self.walk(element)
        text, boxes = "".join(self._paragraph), self._boxes
        self._paragraph, self._boxes = outer, outer_boxes

        named = element.find(f"{_W}pPr/{_W}pStyle")
        style = named.get(_W + "val") if named is not None else None
        is_heading = style in self._headings
        is_item = not is_heading and (style in self._items or element.find(f"{_W}pPr/{_W}numPr") is not None)
        self.flow.break_(LINE if is_item else BLOCK)
        if text.strip():
            self.flow.verbatim(text.rstrip("\n"))
            if is_heading:
                self.first_heading = self.first_heading or " ".join(text.split())
                self.flow.end_heading()
            else:
                self.flow.break_(LINE if is_item else BLOCK)
        for box in boxes:
            self.flow.break_(BLOCK)
            self.walk(box)
            self.flow.break_(BLOCK)

    def _walk_row(self, element: Any) -> None:
        """One line; a cell may hide in a content control."""
        self.flow.break_(LINE)
        for i, cell in enumerate(cell for cell in element.iter(_W + "tc") if _row_of(cell) is element):
            self.flow.begin_cell(first=i == 0)
            self.walk(cell)
            self.flow.end_cell()
        self.flow.break_(LINE)


def _row_of(cell: Any) -> Any:
    return next(cell.iterancestors(_W + "tr"))
