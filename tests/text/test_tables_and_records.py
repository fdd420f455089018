"""Tables and JSON: one document a record, whatever is wrong with the others."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironwok.errors import EmptyDocumentError, EncodingError, UnreadableDocumentError
from ironwok.text.documents import Document, Skip

Read = Callable[..., tuple[list[Document], list[Skip]]]
SkipOf = Callable[..., Skip]


def texts(documents: list[Document]) -> list[str]:
    return [document.text for document in documents]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "big5"])
@pytest.mark.parametrize(
    ("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t"), (".csv", ";"), (".csv", "\t"), (".csv", "|")]
)
def test_tables_of_any_encoding_and_delimiter(codec: str, suffix: str, delimiter: str, read: Read) -> None:
    rows = [["標題", "內容", "編號"], ["甲", f"第一行{delimiter}還有\n第二行", "1"], ["乙", '他說"好"。', "2"]]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    documents, skips = read("a" + suffix, buffer.getvalue().encode(codec))
    assert skips == []
    assert texts(documents) == [rows[1][1], rows[2][1]]
    assert [document.title for document in documents] == ["甲", "乙"]
    assert [(document.record, document.line) for document in documents] == [(0, 2), (1, 4)]
    assert documents[1].metadata == {"編號": "2"}


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        (["id", "Text", "content"], "Text"),
        (["id", "评论内容", "note"], "评论内容"),
        (["text_id", "CONTENT", "remarks"], "CONTENT"),
        (["aaa", "bbb", "ccc"], "ccc"),
    ],
)
def test_the_text_column(header: list[str], chosen: str, read: Read) -> None:
    row = ["7", "短的文字", "这是最长的一列，里面有好几个字，比别的都长"]
    documents, _ = read("a.csv", ",".join(header) + "\n" + f'{row[0]},{row[1]},"{row[2]}"\n')
    assert texts(documents) == [row[header.index(chosen)]]
    documents, _ = read("a.csv", ",".join(header) + "\n" + f'{row[0]},{row[1]},"{row[2]}"\n', text_field=header[1])
    assert texts(documents) == [row[1]]


def test_the_first_line_of_excel_names_the_delimiter_and_is_no_row(read: Read) -> None:
    for first in ("sep=;\r\n", '"sep=;"\n', "SEP=;\n"):
        documents, skips = read("a.csv", first + "标题;正文\n甲;一,二,三\n乙;四,五,六\n")
        assert skips == []
        assert texts(documents) == ["一,二,三", "四,五,六"]
        assert [document.line for document in documents] == [3, 4]
    documents, _ = read("b.csv", "sep=\t\n标题\t正文\n甲\t一,二\n")
    assert texts(documents) == ["一,二"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", ""), ("a.jsonl", "\n\n"), ("a.json", "[]"), ("a.csv", "title,text\n"), ("a.csv", "")],
)
def test_a_file_without_any_record_is_empty(name: str, content: str, skip_of: SkipOf) -> None:
    skip = skip_of(name, content)
    assert isinstance(skip.error, EmptyDocumentError)
    assert f"{name}: empty" in skip.reason


def test_records_of_one_line_are_told_apart_by_their_numbers(read: Read) -> None:
    documents, _ = read("a.json", '[{"text": "一"}, {"text": "二"},\n{"text": "三"}]')
    assert [(document.record, document.line) for document in documents] == [(0, None), (1, None), (2, 2)]


def test_a_column_that_is_not_there_is_named(skip_of: SkipOf) -> None:
    assert (
        "no column 'body'; its columns are text, label"
        in skip_of("a.csv", "text,label\n文,1\n", text_field="body").reason
    )


def test_the_title_column(read: Read) -> None:
    documents, _ = read("a.csv", "text,head\n文,题\n", title_field="head")
    assert [(document.title, document.metadata) for document in documents] == [("题", {})]


def test_a_table_without_a_header(read: Read) -> None:
    documents, skips = read("a.tsv", "今天的菜很好吃。\t1\n服务太慢，不会再来。\t0\n")
    assert (texts(documents), skips) == (["今天的菜很好吃。", "服务太慢，不会再来。"], [])
    assert documents[0].metadata == {"column 2": "1"}
    assert documents[0].line == 1


def test_one_column_keeps_its_commas(read: Read) -> None:
    documents, skips = read("a.csv", "text\nfirst, second, third\nno comma\n")
    assert (texts(documents), skips) == (["first, second, third", "no comma"], [])
    documents, skips = read("b.csv", "一句话没有逗号\n两句话,中间有逗号\n")
    assert (texts(documents), skips) == (["一句话没有逗号", "两句话,中间有逗号"], [])


def test_an_unquoted_delimiter_in_the_last_column_belongs_to_the_text(read: Read) -> None:
    documents, skips = read("a.csv", "label,text\n1,one, two\n0,three\n")
    assert (texts(documents), skips) == (["one, two", "three"], [])


def test_rows_that_do_not_fit_are_named_and_the_rest_goes_on(read: Read) -> None:
    documents, skips = read("a.csv", "text,label\none,two,1\nfine,1\n,1\n\nlast,0\n")
    assert [(document.text, document.record, document.line) for document in documents] == [
        ("fine", 1, 3),
        ("last", 3, 6),
    ]
    assert [(skip.record, skip.line) for skip in skips] == [(0, 2), (2, 4)]
    assert "a.csv, line 2: 3 cells in a table of 2 columns" in skips[0].reason
    assert "a.csv, line 4: no text in column 'text'" in skips[1].reason
    documents, skips = read("b.csv", "label,text\n1\n1,好\n")
    assert (texts(documents), len(skips)) == (["好"], 1)
    assert "b.csv, line 2: 1 cells, the text is in column 2 ('text')" in skips[0].reason


def test_a_quotation_mark_that_is_never_closed_costs_nothing(read: Read) -> None:
    rows = [f"{i},第{i}条" for i in range(300)]
    rows[100] = '100,"没有关上'
    documents, skips = read("a.csv", "id,text\n" + "\n".join(rows) + "\n")
    assert skips == []
    assert len(documents) == 300
    assert documents[100].text == '"没有关上'
    assert documents[299].text == "第299条"


def test_stray_quotation_marks_do_not_glue_rows_together(read: Read) -> None:
    documents, skips = read("a.tsv", 'text\tlabel\n"引号开头\t1\n正常\t2\n"又一个\t3\n中"间\t4\n')
    assert (texts(documents), skips) == (['"引号开头', "正常", '"又一个', '中"间'], [])


def test_a_file_full_of_stray_quotation_marks_is_read_in_linear_time(read: Read) -> None:
    documents, skips = read("a.tsv", "text\tlabel\n" + "".join(f'"第{i}条\t1\n' for i in range(5001)))
    assert (len(documents), skips) == (5001, [])
    assert documents[5000].text == '"第5000条'


def test_line_ends_of_old_spreadsheets(read: Read) -> None:
    documents, _ = read("a.csv", "text,label\r一,1\r二,2\r")
    assert texts(documents) == ["一", "二"]


@pytest.mark.parametrize("data", ["", "\n\n", ",,\n,,\n", "text,label\n"])
def test_tables_without_rows(data: str, read: Read) -> None:
    documents, skips = read("a.csv", data)
    assert documents == []
    assert all(isinstance(skip.error, UnreadableDocumentError) for skip in skips)


def test_cells_longer_than_the_limit_of_the_csv_module(read: Read) -> None:
    documents, _ = read("a.csv", 'text,label\n"' + "长" * 300_000 + '",1\n')
    assert len(documents[0].text) == 300_000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.text(
                st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cc"]),
                min_size=1,
                max_size=12,
            ).map(lambda cell: "文" + cell),
            st.text(st.sampled_from('甲,"\n ;a'), min_size=1, max_size=8).map(lambda cell: cell + "尾"),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_tables_survive_being_written_and_read(rows: list[tuple[str, str]], read: Read) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([("标签", "text"), *rows])
    documents, skips = read("a.csv", buffer.getvalue())
    assert skips == []
    assert [(document.metadata["标签"], document.text) for document in documents] == rows


def test_json_lines(read: Read) -> None:
    lines = [
        {"text": "甲", "title": "题", "label": 1, "nested": {"a": 1}, "tags": ["x", "y"], "none": None},
        {"text": ["一段", "二段"]},
        "一个字符串",
    ]
    documents, skips = read("a.jsonl", "\r\n".join(json.dumps(line) for line in lines))
    assert skips == []
    assert texts(documents) == ["甲", "一段\n二段", "一个字符串"]
    assert documents[0].title == "题"
    assert documents[0].metadata == {"label": 1, "tags": "x\ny", "none": None}


def test_broken_lines_are_named_and_the_rest_goes_on(read: Read) -> None:
    lines = [
        b'{"text": "a"}',
        b'{"text": "b"',
        b"",
        b'{"text": ""}',
        b'{"other": "c"}',
        b"[1, 2]",
        b"\x01\x02\xff\x81" * 10,
        b"[" * 100_000,
        b'{"text": "n", "n": ' + b"9" * 5000 + b"}",
        '{"text": "\u5b57"}'.encode(),
        b'{"text": 3}',
    ]
    documents, skips = read("a.jsonl", b"\n".join(lines))
    assert [(document.text, document.record, document.line) for document in documents] == [("a", 0, 1), ("字", 8, 10)]
    assert [(skip.record, skip.line) for skip in skips] == [
        (1, 2),
        (2, 4),
        (3, 5),
        (4, 6),
        (5, 7),
        (6, 8),
        (7, 9),
        (9, 11),
    ]
    reasons = [skip.reason.partition("a.jsonl, ")[2] for skip in skips]
    assert reasons[0].startswith("line 2: no JSON: Expecting ',' delimiter at column 13")
    assert reasons[1] == "line 4: the text is empty"
    assert reasons[2] == "line 5: no text under the key 'text'"
    assert reasons[3] == "line 6: a record must be an object or a string, this is list"
    assert isinstance(skips[4].error, EncodingError)


def test_lines_in_different_encodings_are_each_read_in_their_own(read: Read) -> None:
    line = '{"text": "今天天气不错，我们去公园。"}\n'
    documents, skips = read("a.jsonl", line.encode() + line.encode("gb18030") + line.encode())
    assert skips == []
    assert [document.encoding for document in documents] == ["utf-8", "gb18030", "utf-8"]
    assert len(set(texts(documents))) == 1


def test_lone_surrogates_are_replaced_and_counted(read: Read) -> None:
    documents, _ = read("a.jsonl", '{"text": "坏\\ud83d字", "title": "\\udc00"}\n{"text": "\\ud83d\\ude00"}\n')
    assert [(document.text, document.replaced) for document in documents] == [("坏\ufffd字", 1), ("😀", 0)]
    assert documents[0].title == "\ufffd"


def test_the_longest_key_is_the_text_where_no_name_is_known(read: Read) -> None:
    record = {"uid": "abc", "zzz": "这里才是正文，它比别的键都长。", "label": "短"}
    documents, _ = read("a.jsonl", json.dumps(record) + "\n" + json.dumps({**record, "label": "长" * 20}) + "\n")
    assert texts(documents)[0] == record["zzz"]
    documents, _ = read("a.jsonl", json.dumps(record), text_field="label")
    assert texts(documents) == ["短"]


def test_a_key_that_is_not_there_is_named(skip_of: SkipOf) -> None:
    assert (
        "no key 'body'; the records have text, n"
        in skip_of("a.jsonl", '{"text": "a", "n": 1}', text_field="body").reason
    )


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_json_of_any_shape_and_encoding(codec: str, indent: int | None, suffix: str, read: Read) -> None:
    records: list[Any] = [{"content": "第一条内容"}, {"content": "第二条，\n内容"}]
    if suffix == ".jsonl":
        source = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    else:
        source = json.dumps(records, ensure_ascii=False, indent=indent)
    documents, skips = read("a" + suffix, source.encode(codec))
    assert (texts(documents), skips) == (["第一条内容", "第二条，\n内容"], [])


def test_json_files(read: Read) -> None:
    documents, _ = read("one.json", '{"text": "单个"}')
    assert texts(documents) == ["单个"]
    documents, _ = read("many.json", '{"text": "一"}\n{"text": "二"}\n')
    assert [(document.text, document.line) for document in documents] == [("一", 1), ("二", 2)]
    documents, skips = read("strings.json", '["一", "二", 3]')
    assert (texts(documents), [skip.record for skip in skips]) == (["一", "二"], [2])


@pytest.mark.parametrize(
    ("data", "read_before", "reason"),
    [
        ('[{"text": "一"},\n {"text": "二"', 1, "line 2: no JSON"),
        ('[{"text": "一"},\n', 1, "the array is not closed"),
        ('[{"text": "一"}', 1, "the array is not closed"),
        ("{broken", 0, "line 1: no JSON"),
        ('[{"text": "一"}, ' + "[" * 100_000, 1, "no usable JSON"),
    ],
)
def test_a_damaged_json_file_gives_what_stands_before_the_damage(
    data: str, read_before: int, reason: str, read: Read
) -> None:
    documents, skips = read("a.json", data)
    assert len(documents) == read_before
    assert len(skips) == 1
    assert reason in skips[0].reason


@pytest.mark.parametrize("data", ["[]", "{}", " [ ] "])
def test_json_without_records_is_no_crash(data: str, read: Read) -> None:
    documents, skips = read("a.json", data)
    assert documents == []
    assert len(skips) <= 1
