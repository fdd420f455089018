"""PDF into plain text: the text layer, its wrapped lines joined into paragraphs again.

A PDF knows characters at places, no paragraphs. Where a line ends is judged by geometry: a line goes on in the next one
if that one's first word would not have fitted any more, and neither an indent, nor a gap, nor another size of type
begins something new.
"""

from __future__ import annotations

import itertools
import statistics
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ironwok.errors import UnreadableDocumentError
from ironwok.text.characters import has_han, is_unspaced, without_surrogates
from ironwok.text.formats.files import read_bytes
from ironwok.text.formats.values import Document, ReadOptions, Skip

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

_LIBRARY = threading.Lock()  # PDFium may not be entered by two threads at once

_LINE_END_HYPHENS = "\x02\ufffe"  # how PDFium hands out the hyphen of a divided word
_TERMINAL = frozenset("。！？!?.…；;：:”』」\"')）】》")
_NO_TITLES = frozenset({"", "untitled", "(anonymous)", "(unspecified)", "unknown"})
_NARROW = 0.3  # of the width of a page's text: narrower than a column of two, a line stands alone
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD


@dataclass(frozen=True, slots=True)
class Line:
    """A line as printed, in points; y grows upwards. height: of its first character's cell."""

    text: str
    left: float
    right: float
    bottom: float
    height: float


def read_pdf(path: Path, options: ReadOptions) -> Iterator[Document | Skip]:
    data = read_bytes(path, options)
    with _LIBRARY:
        document, skips = _read(path, data)
    yield from skips
    yield document


def _read(path: Path, data: bytes) -> tuple[Document, list[Skip]]:
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD_ERROR or "password" in str(error).lower():
            raise UnreadableDocumentError(f"{path}: encrypted: save a copy without the password") from error
        raise UnreadableDocumentError(f"{path}: a damaged PDF ({error})") from error
    skips: list[Skip] = []
    pages: list[str] = []
    try:
        for number in range(len(pdf)):
            try:
                page = pdf[number]
                try:
                    pages.append(paragraphs_from(_lines_of(page)))
                finally:
                    page.close()
            except pypdfium2.PdfiumError as error:
                pages.append("")
                damage = UnreadableDocumentError(f"{path}: page {number + 1} of {len(pdf)} is damaged ({error})")
                skips.append(Skip(str(path), damage))
        metadata = pdf.get_metadata_dict(skip_empty=True)
    finally:
        pdf.close()
    text, replaced = without_surrogates("\n\n".join(page for page in pages if page))
    if not text.strip():
        raise UnreadableDocumentError(
            f"{path}: {len(pages)} pages without a text layer (a scan?): "
            "recognise the text first, with ocrmypdf for instance"
        )
    _check_readable(path, text)
    starts: list[int] = []
    position = 0
    for page in pages:
        starts.append(min(position, len(text)))
        position += len(page) + 2 if page else 0
    title = metadata.pop("Title", "").strip()
    document = Document(
        path=str(path),
        text=text,
        title=None if title.lower() in _NO_TITLES else title,
        pages=tuple(starts),
        replaced=replaced,
        metadata={
            key.lower(): value
            for key, value in metadata.items()
            if key in ("Author", "Subject", "Keywords", "CreationDate") and value.lower() not in _NO_TITLES
        },
    )
    return document, skips


def _check_readable(path: Path, text: str) -> None:
    """Fonts without a character table yield private-use numbers: that is no text anybody can classify."""
    unknown = sum("\ue000" <= character <= "\uf8ff" or character == "\ufffd" for character in text)
    if unknown * 2 > len(text):
        raise UnreadableDocumentError(
            f"{path}: its fonts do not say which characters they show ({unknown} of {len(text)} unknown): "
            "recognise the text first, with ocrmypdf --force-ocr for instance"
        )


def _lines_of(page: PdfPage) -> list[Line]:
    import pypdfium2.raw as pdfium

    text_page = page.get_textpage()
    lines: list[Line] = []
    characters: list[str] = []
    first = last = -1
    try:
        count = text_page.count_chars()
        for i in range(count + 1):
            code = pdfium.FPDFText_GetUnicode(text_page, i) if i < count else 0x0A
            if code in (0x0A, 0x0D):
                text = "".join(characters).strip(" ")
                if text and first >= 0:
                    left, bottom, _, top = text_page.get_charbox(first, loose=True)
                    right = text_page.get_charbox(last, loose=True)[2]
                    lines.append(Line(text, left, right, bottom, top - bottom))
                characters, first = [], -1
                continue
            character = chr(code)
            if code >= 0x20 or character in _LINE_END_HYPHENS or character == "\t":
                characters.append(character)
                if not character.isspace():
                    first, last = (i if first < 0 else first), i
    finally:
        text_page.close()
    return lines


def paragraphs_from(lines: list[Line]) -> str:
    """Join the lines of one page.

    Headings (larger type) stand directly above what follows, other paragraphs are parted by an empty line, short lines
    that end no sentence (addresses, table rows) by a line end.
    """
    pitches = [above.bottom - below.bottom for above, below in itertools.pairwise(lines)]
    usual = statistics.median([pitch for pitch in pitches if pitch > 0] or [0.0])
    parts: list[str] = []
    for i, line in enumerate(lines):
        if i:
            parts.append(_gap(lines, i, usual))
        text = line.text
        hyphenated = text.endswith(tuple(_LINE_END_HYPHENS))
        for sign in _LINE_END_HYPHENS:
            text = text.replace(sign, "")
        goes_on = hyphenated and i + 1 < len(lines) and _gap(lines, i + 1, usual) in ("", " ")
        parts.append(text if goes_on or not hyphenated else text + "-")
    return "".join(parts)


def _gap(lines: list[Line], i: int, usual_pitch: float) -> str:
    """What to put between line ``i - 1`` and line ``i``."""
    above, below = lines[i - 1], lines[i]
    em = min(above.height, below.height) / 1.2  # the cell of a character is about a fifth higher than the type is
    pitch = above.bottom - below.bottom
    if above.height > 1.15 * below.height:
        return "\n"
    if below.height > 1.15 * above.height or pitch > 1.3 * max(usual_pitch, above.height):
        return "\n\n"
    if below.left - above.left > 0.9 * em and pitch > 0:
        return "\n\n"
    if _would_have_fitted(lines, i, em):
        return "\n\n" if above.text[-1] in _TERMINAL else "\n"
    if above.text[-1] in _LINE_END_HYPHENS or above.text[-1] == "-":
        return ""
    return "" if is_unspaced(above.text[-1]) and is_unspaced(below.text[0]) else " "


def _would_have_fitted(lines: list[Line], i: int, em: float) -> bool:
    """Whether the line above ends early: the first word of line ``i`` had room at its end."""
    above, below = lines[i - 1], lines[i]
    page_width = max(line.right for line in lines) - min(line.left for line in lines)
    if above.right - above.left < _NARROW * page_width:
        return True
    near = [line for line in lines[max(i - 6, 0) : i + 6] if abs(line.left - above.left) < 4 * em]
    room = max(line.right for line in near) - above.right
    if has_han(below.text[:1]) or is_unspaced(below.text[:1]):
        return room > 2.2 * em  # one character, and a mark that may not begin a line
    word = below.text.split(maxsplit=1)[0]
    per_character = (below.right - below.left) / len(below.text)
    return room > (len(word) + 1.5) * per_character
