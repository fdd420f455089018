"""What files are cut into, and what comes out of the pieces: nothing lost, nothing twice."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwok.errors import InputError, NoDocumentsError, UnreadableDocumentError, UnsupportedFormatError
from ironwok.scale.plan import Plan, make_plan
from ironwok.scale.rows import BadRow, Row, rows_of
from ironwok.scale.storage import Storage


def planned(*inputs, part_bytes=64, **options):
    places = [Storage.of(str(one)) for one in inputs]
    plan = make_plan(
        [str(one) for one in inputs], places[0][0], [path for _, path in places], part_bytes=part_bytes, **options
    )
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    return plan, places[0][0]


def items(*inputs, **options):
    plan, storage = planned(*inputs, **options)
    return [item for part in plan.parts for item in rows_of(part, storage)]


def texts(*inputs, **options):
    found = items(*inputs, **options)
    assert all(isinstance(item, Row) for item in found)
    return [item.text for item in found]


line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0\ufeff"), max_size=30)


@given(lines=st.lists(line, min_size=1, max_size=12), part_bytes=st.integers(1, 90), end=st.sampled_from(["", "\n"]))
@settings(max_examples=60)
def test_every_line_is_in_one_piece_however_small_the_pieces(tmp_path_factory, lines, part_bytes, end):
    file = tmp_path_factory.mktemp("lines") / "texts.txt"
    data = ("\n".join(lines) + end).encode()
    if not data.strip():
        return
    file.write_bytes(data)
    found = items(file, part_bytes=part_bytes, encoding="utf-8")
    assert [row.text for row in found] == [one.strip() for one in lines if one.strip()]
    for row in found:
        assert data[row.position :].decode().startswith(next(one for one in lines if one.strip() == row.text)[:1])


def test_lines_ended_in_every_way_and_positions_that_differ(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes("甲\r\n乙\r丙\r\r丁\n\n  \n戊".encode())
    found = items(file, part_bytes=5)
    assert [row.text for row in found] == ["甲", "乙", "丙", "丁", "戊"]
    assert len({row.position for row in found}) == 5


def test_gb18030_is_found_out_once_and_holds_for_every_piece(tmp_path):
    file = tmp_path / "texts.txt"
    lines = [f"今天的天气很好，第{n}次出门散步。" for n in range(30)]
    file.write_bytes("\n".join(lines).encode("gb18030"))
    assert texts(file, part_bytes=40) == lines


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("part_bytes", [40, 1 << 20])
def test_a_line_in_another_encoding_is_read_by_itself(tmp_path, name, part_bytes):
    said = [f"第{n}条：央行宣布降准" for n in range(30)]
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in said] if name == "a.jsonl" else said
    data = [line.encode("gb18030" if n == 7 else "utf-8") for n, line in enumerate(lines)]
    (tmp_path / name).write_bytes(b"\n".join([b"text", *data] if name == "a.csv" else data) + b"\n")
    assert texts(tmp_path / name, part_bytes=part_bytes) == said


@given(
    rows=st.lists(
        st.tuples(st.text("ab\"',;\n中 ", min_size=1, max_size=12), st.integers(0, 99)), min_size=2, max_size=12
    ),
    part_bytes=st.integers(1, 80),
)
@settings(max_examples=60)
def test_cells_with_line_breaks_and_quotation_marks_are_not_cut(tmp_path_factory, rows, part_bytes):
    file = tmp_path_factory.mktemp("table") / "texts.csv"
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "text"])
    writer.writerows([number, text] for text, number in rows)
    file.write_text(out.getvalue(), encoding="utf-8", newline="")
    found = items(file, part_bytes=part_bytes)
    assert [row.text for row in found if isinstance(row, Row)] == [text for text, _ in rows if text.strip()]
    assert [row.id for row in found if isinstance(row, Row)] == [str(n) for text, n in rows if text.strip()]
    assert sum(isinstance(row, BadRow) for row in found) == sum(not text.strip() for text, _ in rows)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("first", ["", "sep=;\n"])
def test_a_table_without_header_keeps_its_first_row(tmp_path, mark, first):
    file = tmp_path / "texts.csv"
    rows = [f"{n};这是第{n}条比较长的文字，说的是昨天的天气。" for n in range(20)]
    file.write_text(mark + first + "\n".join(rows), encoding="utf-8")
    assert texts(file, part_bytes=100) == [row.partition(";")[2] for row in rows]


def test_records_that_are_none_are_told_with_what_they_hold(tmp_path):
    file = tmp_path / "texts.jsonl"
    lines = [
        '{"id": 1, "text": "一"}',
        "{broken",
        '{"id": 3}',
        '{"id": 4, "text": ""}',
        "[5]",
        '"六"',
        '{"text": "七", "id": "x"}',
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    for part_bytes in (1, 30, 1000):
        found = items(file, part_bytes=part_bytes)
        assert [(row.text, row.id) for row in found if isinstance(row, Row)] == [("一", 1), ("六", None), ("七", "x")]
        bad = [row for row in found if isinstance(row, BadRow)]
        assert [row.raw for row in bad] == lines[1:5]
        assert all(str(file) in row.message and "/head" not in row.message for row in bad)
        starts = [sum(len(one.encode()) + 1 for one in lines[:n]) for n in range(len(lines))]
        assert [row.position for row in found] == starts


def test_packed_files_are_whole_pieces(tmp_path):
    file = tmp_path / "texts.jsonl.gz"
    lines = [json.dumps({"body": f"第{n}条"}, ensure_ascii=False) for n in range(50)]
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    plan, _ = planned(file)
    assert len(plan.parts) == 1
    assert texts(file) == [f"第{n}条" for n in range(50)]


def test_a_packed_file_that_was_cut_off_gives_what_it_has(tmp_path):
    file = tmp_path / "texts.txt.gz"
    whole = gzip.compress(b"".join(b"%d: %s\n" % (n, bytes(97 + n * k % 26 for k in range(80))) for n in range(9000)))
    file.write_bytes(whole[: len(whole) // 2])
    found = items(file)
    assert isinstance(found[-1], BadRow)
    assert "damaged" in found[-1].message


def test_parquet_is_cut_between_row_groups(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = tmp_path / "texts.parquet"
    rows = [{"id": n, "title": "x", "text": f"第{n}条" if n % 7 else None} for n in range(40)]
    parquet.write_table(pa.Table.from_pylist(rows), file, row_group_size=10)
    plan, _ = planned(file, part_bytes=1)
    assert len(plan.parts) == 4
    found = items(file, part_bytes=1)
    assert [item.position for item in found] == list(range(40))
    assert [item.id for item in found] == list(range(40))
    assert [item.text for item in found if isinstance(item, Row)] == [row["text"] for row in rows if row["text"]]
    with pytest.raises(UnreadableDocumentError, match="no text column 'body'"):
        planned(file, text_field="body")
    file.write_bytes(b"PAR1 nothing")
    with pytest.raises(UnreadableDocumentError, match="damaged"):
        planned(file)


def test_folders_patterns_and_small_files_together(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for name, text in {"b.txt": "b", "deep/c.txt": "c", "a.txt": "a", ".hidden.txt": "h", "_job.txt": "j"}.items():
        (folder / name).write_text(text)
    (folder / "picture.png").write_bytes(b"\x89PNG")
    assert texts(folder) == ["a", "b", "c"]
    plan, _ = planned(folder, part_bytes=2)
    assert [len(part.pieces) for part in plan.parts] == [2, 1]
    assert texts(folder / "*.txt") == ["j", "a", "b"]
    with pytest.raises(UnreadableDocumentError, match="does not exist"):
        planned(tmp_path / "nothing.txt")
    with pytest.raises(UnreadableDocumentError, match="nothing matches"):
        planned(tmp_path / "*.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoDocumentsError, match="nothing to read"):
        planned(tmp_path / "empty")


def test_what_cannot_be_cut_is_refused_and_one_bad_file_of_many_is_not_all(tmp_path):
    wide, good, page = tmp_path / "wide.txt", tmp_path / "good.txt", tmp_path / "page.html"
    wide.write_text("今天的天气很好。\n" * 9, encoding="utf-16")
    good.write_text("好\n")
    page.write_text("<p>x</p>")
    with pytest.raises(UnsupportedFormatError, match=r"UTF-16.* cannot be cut"):
        planned(wide)
    with pytest.raises(UnsupportedFormatError, match="ironwok read"):
        planned(page)
    plan, _ = planned(wide, good)
    assert [url for url, _, _ in plan.unreadable] == [str(wide)]
    assert texts(wide, good) == ["好"]
    with pytest.raises(InputError, match="0 bytes"):
        planned(good, part_bytes=0)


def test_a_file_that_changes_stops_the_job(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("a\nb\n")
    plan, storage = planned(file)
    file.write_text("a\nb\nc\n")
    with pytest.raises(InputError, match="has changed"):
        list(rows_of(plan.parts[0], storage))
