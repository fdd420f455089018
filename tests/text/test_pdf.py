"""PDF: paragraphs from lines, titles, pages, and everything that can be wrong with a file."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageBreak, PageTemplate, Paragraph, Table

from ironwok.errors import UnreadableDocumentError
from ironwok.text.documents import Document, Skip, read_file
from ironwok.text.formats.pdf import Line, paragraphs_from

NOTICE = (
    "社区图书馆从本周六起延长开放时间，晚上九点以前都可以借书还书。为了方便下班以后才有空的居民，馆里还添了二十个座位。"
)
LETTER = (
    "The reading room stays open until nine from this Saturday on. Twenty more seats were added by the windows, "
    "and the corner for children has moved downstairs so that nobody needs to climb."
)

SONG = "STSong-Light"  # one of the fonts that every reader has: nothing is embedded
pdfmetrics.registerFont(UnicodeCIDFont(SONG))
INDENTED = ParagraphStyle("indented", fontName=SONG, fontSize=11, leading=17, wordWrap="CJK", firstLineIndent=22)
SPACED = ParagraphStyle("spaced", fontName="Helvetica", fontSize=11, leading=14, spaceAfter=9)
HEADING = ParagraphStyle("heading", fontName=SONG, fontSize=17, leading=24)

ReadOne = Callable[..., Document]
SkipOf = Callable[..., Skip]


def pdf_file(story: list[Any], *, columns: int = 1, **options: Any) -> bytes:
    buffer = io.BytesIO()
    width = (A4[0] - 4 * cm) / columns
    frames = [Frame(2 * cm + i * width, 2 * cm, width - 8, A4[1] - 4 * cm) for i in range(columns)]
    document = BaseDocTemplate(buffer, pagesize=A4, **options)
    document.addPageTemplates(PageTemplate(frames=frames))
    document.build(story)
    return buffer.getvalue()


def test_wrapped_lines_become_paragraphs_again(read_one: ReadOne) -> None:
    also = f"另外，{NOTICE}"  # with some fonts installed, pdfium takes a line that comes twice for one printed bold
    story = [Paragraph("开放通知", HEADING), Paragraph(NOTICE * 2, INDENTED), Paragraph(also, INDENTED)]
    story += [Paragraph(LETTER * 2, SPACED), Paragraph(LETTER, SPACED)]
    document = read_one("a.pdf", pdf_file(story, title="图书馆"))
    assert document.text == f"开放通知\n{NOTICE * 2}\n\n{also}\n\n{LETTER * 2}\n\n{LETTER}"
    assert (document.title, document.pages, document.encoding) == ("图书馆", (0,), None)


def test_two_columns(read_one: ReadOne) -> None:
    document = read_one("a.pdf", pdf_file([Paragraph(NOTICE, INDENTED) for _ in range(16)], columns=2))
    assert document.text.count(NOTICE) >= 15  # the one at the foot of the first column may be cut in two
    assert document.text.replace("\n", "") == NOTICE * 16


def test_pages_know_where_they_start(read_one: ReadOne) -> None:
    story = [
        Paragraph(NOTICE, INDENTED),
        PageBreak(),
        Paragraph(LETTER, SPACED),
        PageBreak(),
        Paragraph("末页", HEADING),
    ]
    document = read_one("a.pdf", pdf_file(story))
    assert [document.text[start:][:2] for start in document.pages] == [NOTICE[:2], LETTER[:2], "末页"]


def test_short_lines_stay_lines(read_one: ReadOne) -> None:
    rows = [["名称", "数量"], ["台灯", "20"], ["座椅", "40"]]
    table = Table(rows, style=[("FONTNAME", (0, 0), (-1, -1), SONG)], colWidths=70)
    document = read_one("a.pdf", pdf_file([Paragraph(NOTICE, INDENTED), table]))
    assert document.text == NOTICE + "\n\n名称 数量\n台灯 20\n座椅 40"


def test_divided_words_are_joined() -> None:
    def line(text: str, number: int, right: float = 300.0) -> Line:
        return Line(text, 0.0, right, 700.0 - 14 * number, 12.0)

    lines = [line("a sentence with a divi\x02", 0), line("ded word and a well-", 1), line("known one", 2, 120.0)]
    assert paragraphs_from(lines) == "a sentence with a divided word and a well-known one"
    assert paragraphs_from([line("ends in a hyphen\x02", 0)]) == "ends in a hyphen-"
    assert paragraphs_from([]) == ""


def test_characters_beyond_the_basic_plane_and_embedded_fonts(read_one: ReadOne) -> None:
    from reportlab.pdfbase.ttfonts import TTFont

    pdfmetrics.registerFont(TTFont("Vera", "Vera.ttf"))
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.setFont("Vera", 12)
    canvas.drawString(72, 700, "Café – naïve “words”")
    canvas.save()
    assert read_one("a.pdf", buffer.getvalue()).text == "Café – naïve “words”"


def test_encrypted_files_say_what_to_do(skip_of: SkipOf, read_one: ReadOne) -> None:
    def encrypted(password: str) -> bytes:
        buffer = io.BytesIO()
        canvas = Canvas(buffer, encrypt=StandardEncryption(password, ownerPassword="owner", strength=128))
        canvas.drawString(72, 700, "secret words")
        canvas.save()
        return buffer.getvalue()

    skip = skip_of("a.pdf", encrypted("user"))
    assert isinstance(skip.error, UnreadableDocumentError)
    assert "encrypted: save a copy without the password" in skip.reason
    assert read_one("b.pdf", encrypted("")).text == "secret words"  # only printing and the like is locked


def test_scans_say_what_to_do(skip_of: SkipOf) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for _ in range(3):
        canvas.rect(72, 72, 300, 300, fill=1)
        canvas.showPage()
    canvas.save()
    assert "3 pages without a text layer" in skip_of("a.pdf", buffer.getvalue()).reason


@pytest.mark.parametrize("keep", [0.05, 0.3])
def test_damaged_files_are_skipped(keep: float, skip_of: SkipOf) -> None:
    data = pdf_file([Paragraph(NOTICE, INDENTED)])
    skip = skip_of("a.pdf", data[: int(len(data) * keep)])
    assert isinstance(skip.error, UnreadableDocumentError)
    assert "a damaged PDF" in skip.reason or "without a text layer" in skip.reason
    assert "a damaged PDF" in skip_of("b.pdf", b"no pdf at all").reason


def test_a_damaged_page_is_reported_and_the_others_are_read(
    read: Callable[..., tuple[list[Document], list[Skip]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pypdfium2

    load = pypdfium2.PdfDocument.get_page

    def second_fails(self: Any, index: int) -> Any:
        if index == 1:
            raise pypdfium2.PdfiumError("Failed to load page.")
        return load(self, index)

    monkeypatch.setattr(pypdfium2.PdfDocument, "get_page", second_fails)
    monkeypatch.setattr(pypdfium2.PdfDocument, "__getitem__", second_fails)
    story = [
        Paragraph("第一页", HEADING),
        PageBreak(),
        Paragraph("第二页", HEADING),
        PageBreak(),
        Paragraph("第三页", HEADING),
    ]
    documents, skips = read("a.pdf", pdf_file(story))
    assert [document.text for document in documents] == ["第一页\n\n第三页"]
    assert documents[0].pages == (0, 5, 5)
    assert ["page 2 of 3 is damaged" in skip.reason for skip in skips] == [True]


def test_several_threads_may_read_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf_file([Paragraph(NOTICE, INDENTED) for _ in range(30)]))
    texts: list[str] = []

    def work() -> None:
        for item in read_file(tmp_path / "a.pdf"):
            assert isinstance(item, Document)
            texts.append(item.text)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 4
    assert len(set(texts)) == 1
