"""Markdown, HTML and Word: what becomes of their layout."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import UnreadableDocumentError
from ironwok.text.documents import Document, Skip
from ironwok.text.formats.html import page_from
from ironwok.text.formats.markdown import split_front_matter

ReadOne = Callable[..., Document]
SkipOf = Callable[..., Skip]


def text_of(html: str) -> str:
    return page_from(html).text


def test_blocks_headings_and_lines() -> None:
    html = """<h1>通知</h1><p>第一段，
      有<b>粗</b>体。</p><p>Second  paragraph<br>with a break.</p>
      <h2>名单</h2><ul><li>甲</li><li><p>乙</p><p>乙二</p></li></ul><hr>End"""
    assert text_of(html) == ("通知\n第一段，有粗体。\n\nSecond paragraph\nwith a break.\n\n名单\n甲\n乙\n乙二\n\nEnd")


def test_white_space_is_a_gap_only_where_words_are_spaced() -> None:
    assert text_of("<p>中文换\n  行，English\nword 和 中文</p>") == "中文换行，English word 和 中文"
    assert text_of("<p>a<b> b</b> <i>c</i>d</p>") == "a b cd"
    assert text_of("<p>不&nbsp;断</p>") == "不\xa0断"


def test_what_is_no_text_is_left_out() -> None:
    html = """<head><title>T</title><style>p{}</style></head><body><script>var a</script><!-- note -->
      <p>正文<span hidden>暗</span><span style="display: none">暗</span><span aria-hidden="true">暗</span></p>
      <ruby>汉<rp>(</rp><rt>han</rt><rp>)</rp>字<rt>zi</rt></ruby><button>Buy</button><svg><text>s</text></svg>
      <select><option>o</option></select><textarea>t</textarea><noscript>n</noscript></body>"""
    assert text_of(html) == "正文\n\n汉字"


def test_page_furniture_is_left_out_but_never_everything() -> None:
    page = "<header>Logo</header><nav>Menu</nav>{}<aside>Ads</aside><footer>©</footer>"
    assert text_of(page.format("<p>正文</p>")) == "正文"
    assert text_of(page.format("<main><nav>in</nav><p>正文</p></main>")) == "in\n\n正文"
    assert text_of(page.format("<article><header><h1>题</h1></header><p>文</p><footer>署名</footer></article>")) == (
        "题\n文\n\n署名"
    )
    assert text_of("<header><h1>题</h1></header><p>文</p>") == "题\n文"
    assert text_of("<nav>只有菜单</nav>") == "只有菜单"
    assert text_of('<div role="navigation">菜单</div><p>文</p>') == "文"


def test_tables_become_rows_and_layout_tables_blocks() -> None:
    rows = "<table><tr><th>名</th><th>数</th></tr><tr><td>甲<br>乙</td><td><p>1</p></td></tr></table>"
    assert text_of(f"<p>前</p>{rows}<p>后</p>") == "前\n\n名\t数\n甲 乙\t1\n\n后"
    assert text_of("<table><tr><td><h2>题</h2><p>文</p></td><td><p>侧</p></td></tr></table>") == "题\n文\n\n侧"
    assert text_of(f"<table><tr><td>{rows}</td></tr></table>") == "名\t数\n甲 乙\t1"
    assert text_of("<td>没有表格的格子</td>") == "没有表格的格子"


def test_listings_keep_their_white_space() -> None:
    assert text_of("<p>a</p><pre><code>def f():\n    return 1\n\nx\n</code></pre><p>b</p>") == (
        "a\n\ndef f():\n    return 1\n\nx\n\nb"
    )


def test_titles_and_metadata_of_a_page() -> None:
    page = page_from(
        '<head><title> 页\n题 </title><meta name="Author" content="李 某"><meta name="viewport" content="w">'
        "</head><h1>标题</h1>"
    )
    assert (page.title, page.metadata) == ("页 题", {"author": "李 某"})
    assert page_from("<title></title><h1>标<b>题</b></h1>").title == "标题"
    assert page_from("<p>x</p>").title is None


@pytest.mark.parametrize("declaration", ['<meta charset="gb2312">', '<?xml version="1.0" encoding="GBK"?>', ""])
def test_encodings_of_a_page(declaration: str, read_one: ReadOne) -> None:
    html = f"{declaration}<title>页</title><p>图书馆周六开放，欢迎大家。</p>"
    assert read_one("a.html", html.encode("gb18030")).text == "图书馆周六开放，欢迎大家。"


def test_a_wrong_declaration_is_seen_through(read_one: ReadOne) -> None:
    assert read_one("a.htm", '<meta charset="utf-8"><p>图书馆周六开放。'.encode("gb18030")).text == "图书馆周六开放。"
    assert read_one("b.htm", '<meta charset="gbk"><p>图书馆周六开放，欢迎大家来。'.encode()).text == (
        "图书馆周六开放，欢迎大家来。"
    )


def test_a_page_without_text_is_skipped(skip_of: SkipOf) -> None:
    assert skip_of("a.html", "<html><script>x</script></html>").reason.endswith("a.html: empty")


def test_deep_nesting_is_no_trouble() -> None:
    assert text_of("<div>" * 3000 + "深" + "</div>" * 3000) == "深"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(["甲", "word ", "\n"])
        | st.sampled_from(
            ["<p>", "</p>", "<table>", "<tr>", "<td>", "</td>", "</table>", "<li>", "<ul>", "<br>", "<h1>", "</h1>"]
        )
        | st.sampled_from(["<pre>", "</pre>", "<b>", "</div>", "&#xD800;"]),
        max_size=30,
    )
)
def test_any_markup_keeps_every_word_in_order(pieces: list[str]) -> None:
    text = text_of("".join(["<main>", *pieces]))
    words = [piece.strip() for piece in pieces if not piece.startswith(("<", "&")) and piece.strip()]
    assert "".join(text.replace("\ufffd", "").split()) == "".join(words)
    assert "\n\n\n" not in text or "<pre>" in pieces
    assert not text.startswith("\t")


def test_markdown(read_one: ReadOne) -> None:
    document = read_one(
        "a.md",
        "# 使用*说明*\n\n第一行，\n第二行。See [the\nsite](http://example.org).\n\n"
        "1. 甲\n2. 乙\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nx  = 1\n```\n\n> 引 ~~旧~~ `code`\n\n<em>raw</em>\n",
    )
    assert document.title == "使用说明"
    assert document.text == (
        "使用说明\n第一行，第二行。See the site.\n\n甲\n乙\n\na\tb\n1\t2\n\nx  = 1\n\n引 旧 code\n\nraw"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("公司**78%**的股权", "公司78%的股权"),
        ("他说**“好”**，然后*（慢慢）*走**了**。", "他说“好”，然后（慢慢）走了。"),
        ("**见[链接](http://example.org)。**后面", "见链接。后面"),
        ("这是***重点。***继续", "这是重点。继续"),
        ("2 * 3 ** 2 与 a*b 不变", "2 * 3 ** 2 与 a*b 不变"),
        ("snake_case_name 和 `a**b**`", "snake_case_name 和 a**b**"),
        ("~~旧价。~~新价", "旧价。新价"),
    ],
)
def test_emphasis_beside_chinese(source: str, text: str, read_one: ReadOne) -> None:
    assert read_one("a.md", source).text == text


def test_front_matter(read_one: ReadOne) -> None:
    document = read_one(
        "a.md", "---\ntitle: 周报\ntags: [甲, 乙]\ndate: 2024-05-01\nn: 3\nx: {a: 1}\n---\n# 标题\n\n正文\n"
    )
    assert (document.title, document.text) == ("周报", "标题\n正文")
    assert document.metadata == {"title": "周报", "tags": "甲, 乙", "date": "2024-05-01", "n": 3}


@pytest.mark.parametrize(
    "text", ["---\n\n正文\n\n---\n", "---\n[broken\n---\n正文", "正文\n---\n", "---\n- a\n---\nb", "---"]
)
def test_what_is_no_front_matter_stays_text(text: str) -> None:
    assert split_front_matter(text) == ({}, text)


def word_file(build: Callable[[Any], None]) -> bytes:
    document = docx.Document()
    build(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_word_paragraphs_tables_and_lists_in_order(read_one: ReadOne) -> None:
    def build(document: Any) -> None:
        document.core_properties.author = "王五"
        document.add_heading("会议纪要", 0)
        document.add_paragraph("第一段。")
        document.add_heading("出席", 2)
        document.add_paragraph("甲", style="List Bullet")
        document.add_paragraph("乙", style="List Bullet")
        document.add_paragraph("")
        table = document.add_table(2, 2)
        table.cell(0, 0).text = "姓名"
        table.cell(0, 1).text = "意见\n两行"
        table.cell(1, 0).merge(table.cell(1, 1)).text = "合并的格子"
        table.cell(0, 0).add_table(1, 2).cell(0, 0).text = "嵌套"
        document.add_paragraph("结束\t语。\n换行")

    document = read_one("a.docx", word_file(build))
    assert document.text == (
        "会议纪要\n第一段。\n\n出席\n甲\n乙\n\n姓名 嵌套\t意见 两行\n合并的格子\n\n结束\t语。\n换行"
    )
    assert document.title == "会议纪要"
    assert document.metadata["author"] == "王五"
    assert document.encoding is None


_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_word_text_that_paragraph_objects_leave_out(read_one: ReadOne) -> None:
    def build(document: Any) -> None:
        body = document.element.body
        for xml in (
            f"<w:sdt {_W}><w:sdtContent><w:p>{run('控件里的段落')}</w:p></w:sdtContent></w:sdt>",
            f'<w:p {_W}><w:ins w:id="1" w:author="a">{run("插入")}</w:ins>'
            f'<w:del w:id="2" w:author="a"><w:r><w:delText>删除</w:delText></w:r></w:del>{run("正文")}</w:p>',
            f"<w:p {_W}>{run('段首')}<w:r><w:txbxContent><w:p>{run('文本框')}</w:p></w:txbxContent></w:r>"
            f"{run('段尾')}</w:p>",
            f"<w:p {_W}><w:hyperlink>{run('链接')}</w:hyperlink><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>",
        ):
            body.insert(len(body) - 1, parse_xml(xml))

    assert read_one("a.docx", word_file(build)).text == "控件里的段落\n\n插入正文\n\n段首段尾\n\n文本框\n\n链接"


def repacked(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            content = source.read(entry)
            target.writestr(entry, change(content) if entry == name else content)
    return buffer.getvalue()


def test_word_footnotes_come_last(read_one: ReadOne) -> None:
    data = word_file(lambda document: document.add_paragraph("正文。"))
    notes = f"<w:footnotes {_W}><w:footnote><w:p><w:r><w:t>脚注</w:t></w:r></w:p></w:footnote></w:footnotes>"
    data = repacked(
        data,
        "word/_rels/document.xml.rels",
        lambda xml: xml.replace(
            b"</Relationships>",
            b'<Relationship Id="rIdNotes" Target="footnotes.xml" Type="http://schemas.openxmlformats.org/'
            b'officeDocument/2006/relationships/footnotes"/></Relationships>',
        ),
    )
    data = repacked(
        data,
        "[Content_Types].xml",
        lambda xml: xml.replace(
            b"</Types>",
            b'<Override PartName="/word/footnotes.xml" ContentType="application/vnd.openxmlformats-officedocument.'
            b'wordprocessingml.footnotes+xml"/></Types>',
        ),
    )
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as package:
        package.writestr("word/footnotes.xml", notes)
    assert read_one("a.docx", buffer.getvalue()).text == "正文。\n\n脚注"


def test_damaged_word_files_are_skipped(skip_of: SkipOf) -> None:
    data = word_file(lambda document: document.add_paragraph("正文。"))
    for damaged in (
        b"PK\x03\x04 nothing",
        data[: len(data) // 2],
        repacked(data, "word/document.xml", lambda xml: xml[:-20]),
        repacked(data, "word/document.xml", lambda xml: b"<other/>"),
        repacked(data, "[Content_Types].xml", lambda xml: b"<Types/>"),
        repacked(data, "_rels/.rels", lambda xml: b"<Relationships/>"),
        b"plain text",
    ):
        skip = skip_of("a.docx", damaged)
        assert isinstance(skip.error, UnreadableDocumentError)
        assert "a damaged Word document" in skip.reason


def test_word_files_with_a_password_or_of_old_kind_say_what_to_do(skip_of: SkipOf) -> None:
    assert (
        "save it as .docx without a password"
        in skip_of("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99)).reason
    )


def test_word_bombs_are_skipped(skip_of: SkipOf) -> None:
    data = word_file(lambda document: document.add_paragraph("正文。"))
    bomb = repacked(data, "word/document.xml", lambda xml: b" " * 20_000_000)
    assert len(bomb) < 200_000
    assert "more than max_bytes = 10,000,000" in skip_of("a.docx", bomb, max_bytes=10_000_000).reason


def test_a_word_file_without_text_is_skipped(skip_of: SkipOf) -> None:
    assert skip_of("a.docx", word_file(lambda document: None)).reason.endswith("empty")
