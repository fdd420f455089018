"""Events in the main job: found, put down, gone on with, shown, and given to spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ironwok.errors import ConfigError, InputError, SchemaError
from ironwok.events import EntityType, EventType, Role, Schema
from ironwok.reading import EventReader, read, render
from ironwok.reading.event_reader import events_csv
from ironwok.results import Argument, DocumentResult, Entity, Event, EventsAsked, PassageResult, Report, Span

SCHEMA = Schema(
    (
        EventType(
            "下棋", (Role("对手", description="对手 | opponent"), Role("结果", ("胜", "负"))), description="一局棋"
        ),
        EventType("下雪", (Role("地点"),), trigger=False),
    )
)
TEXT = "他和😀老张下棋。\n\n窗外下雪。\n\n没有什么。"


class WordExtractor:
    """下棋 is a game with 老张, which he wins; 下雪 is snow outside the window. ``asked``: every text asked for."""

    def __init__(self) -> None:
        self.schema = SCHEMA
        self.asked: list[str] = []

    def extract(self, texts):
        self.asked += texts
        known = {event.name for event in self.schema.events}
        return [tuple(event for event in self._events(text) if event.type in known) for text in texts]

    def _events(self, text):
        if (start := text.find("下棋")) >= 0:
            trigger = Span(start, start + 2, "下棋")
            arguments = [Argument("结果", trigger, 0.7654321, "胜")]
            if (other := text.find("老张")) >= 0:
                arguments.insert(0, Argument("对手", Span(other, other + 2, "老张"), 0.5))
            yield Event("下棋", tuple(arguments), trigger, 0.123456789, 0.9, ((-1, 0),) if len(arguments) > 1 else ())
        if (start := text.find("窗外")) >= 0 and "雪" in text:
            yield Event("下雪", (Argument("地点", Span(start, start + 2, "窗外"), 1.0),), score=0.75)


@pytest.fixture
def extractor() -> WordExtractor:
    return WordExtractor()


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "in" / "一天.txt"
    path.parent.mkdir()
    path.write_text(TEXT, encoding="utf-8")
    return path


def run(source, tmp_path, extractor, **options) -> Report:
    return read(source, **({"out": tmp_path / "out", "extractor": extractor, "max_chars": 10} | options))


def test_events_are_found_without_labels(source, tmp_path, extractor, lines):
    report = run(source, tmp_path, extractor)
    (document,) = report.documents
    assert [event.type for event in document.events] == ["下棋", "下雪"]
    for passage in document.passages:
        assert passage.classification is None
        assert passage.events is not None
    # offsets are the document's, scores as they stand in the file
    for event in document.events:
        assert all(TEXT[span.start : span.end] == span.text for span in event.spans)
    assert document.events[0].score == 0.123457
    assert document.events[1].arguments[0].span == Span(TEXT.index("窗外"), TEXT.index("窗外") + 2, "窗外")
    records = lines(tmp_path / "out" / "results.jsonl")
    assert [len(record["events"]) for record in records] == [len(p.events or ()) for p in document.passages]
    assert "labels" not in records[0]
    assert lines(tmp_path / "out" / "documents.jsonl")[0]["events"] == 2
    assert report.events == EventsAsked(
        "finance", (("下棋", ("对手", "结果")), ("下雪", ("地点",))), {"下棋": "一局棋", "下棋/对手": "对手 | opponent"}
    )
    assert (report.labels, report.model) == ((), "")


def test_labels_and_events_in_one_run(source, tmp_path, extractor, classifier):
    report = run(source, tmp_path, extractor, labels=("棋", "雪"), classifier=classifier)
    (document,) = report.documents
    assert {label for passage in document.passages for label in report.labels_of(passage.classification)} >= {"棋"}
    assert len(document.events) == 2
    assert document.classification is not None
    settings = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["settings"]
    assert settings["labels"] == ["棋", "雪"]
    assert settings["events_schema"] == SCHEMA.fingerprint


def test_asking_for_nothing_is_an_error(source, tmp_path):
    with pytest.raises(InputError, match="nothing is asked for: give labels, a schema"):
        read(source, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_extractor_has_its_schema_already(source, tmp_path, extractor):
    with pytest.raises(InputError, match="cannot both be given"):
        run(source, tmp_path, extractor, schema=SCHEMA)


def test_a_schema_that_is_not_there_shows_before_anything_is_read(source, tmp_path):
    with pytest.raises(SchemaError, match="nowhere"):
        read(source, out=tmp_path / "out", schema="nowhere.toml")
    assert not (tmp_path / "out").exists()


def test_a_finished_report_is_not_read_again(source, tmp_path, extractor):
    first = run(source, tmp_path, extractor)
    asked = len(extractor.asked)
    second = run(source, tmp_path, extractor)
    assert len(extractor.asked) == asked
    assert second.documents == first.documents


def test_an_interrupted_run_goes_on_to_the_same_files(tmp_path, extractor):
    """The extractor dies in the second portion; the next run asks only for what is missing."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(
            "\n\n".join(f"第{n}局，和老张下棋。" for n in range(40)), encoding="utf-8"
        )
    whole = run(folder, tmp_path, WordExtractor(), out=tmp_path / "whole", max_chars=12)
    passages = sum(len(document.passages) for document in whole.documents)

    class Dying(WordExtractor):
        def extract(self, texts):
            if len(self.asked) >= 64:
                raise RuntimeError("out of memory")
            return super().extract(texts)

    dying = Dying()
    with pytest.raises(RuntimeError):
        run(folder, tmp_path, dying, max_chars=12)
    after = WordExtractor()
    report = run(folder, tmp_path, after, max_chars=12)
    assert 0 < len(after.asked) < passages
    assert report.documents == whole.documents
    for name in ("results.jsonl", "documents.jsonl", "events.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_another_schema_does_not_mix_with_an_earlier_run(source, tmp_path, extractor):
    run(source, tmp_path, extractor)
    extractor.schema = Schema((SCHEMA.events[0],))
    with pytest.raises(ConfigError, match="events_schema"):
        run(source, tmp_path, extractor)
    assert run(source, tmp_path, extractor, fresh=True).events.types == (("下棋", ("对手", "结果")),)


def rows_of(report: Report) -> list[dict[str, str]]:
    text = b"".join(events_csv(report)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_table_for_spreadsheets(source, tmp_path, extractor):
    report = run(source, tmp_path, extractor)
    written = (tmp_path / "out" / "events.csv").read_bytes()
    assert written.startswith("\ufeff".encode())
    assert written == b"".join(events_csv(report))
    game, snow = rows_of(report)
    assert (game["type"], game["trigger"], game["对手"], game["结果"], game["地点"]) == (
        "下棋",
        "下棋",
        "老张",
        "胜",
        "",
    )
    assert TEXT[int(game["start"]) : int(game["end"])] == "老张下棋"
    assert (snow["type"], snow["trigger"], snow["地点"], snow["score"]) == ("下雪", "", "窗外", "0.75")


def made(*events: Event, text: str = TEXT, start: int = 0) -> Report:
    passage = PassageResult("in/=1.txt", None, 0, Span(start, start + len(text), text), events=events)
    asked = EventsAsked("m", (("下棋", ("对手", "结果")), ("下雪", ("地点",))), {"下棋": "一局 | a game"})
    return Report((DocumentResult("in/=1.txt", None, None, (passage,)),), (), Path("out"), events=asked)


def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless():
    text = "=1+1 和 +老张"
    arguments = (Argument("对手", Span(0, 4, "=1+1")), Argument("对手", Span(7, 10, "+老张")))
    (row,) = rows_of(made(Event("下棋", arguments), text=text))
    assert row["对手"] == "'=1+1\n+老张"
    assert row["passage"].startswith("'=")


def page_data(report: Report) -> dict:
    page = render(report, language="zh", made=date(2026, 1, 2), version="1")
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(block[1])


def test_events_on_the_page_count_utf16_units_of_their_passage():
    """😀 is one character and two units: what stands behind it moves by one."""
    start = 100
    opponent = Span(start + TEXT.index("老张"), start + TEXT.index("老张") + 2, "老张")
    trigger = Span(start + TEXT.index("下棋"), start + TEXT.index("下棋") + 2, "下棋")
    event = Event(
        "下棋", (Argument("对手", opponent, 0.5), Argument("结果", trigger, 0.25, "胜")), trigger, 0.5, 0.75, ((-1, 0),)
    )
    data = page_data(made(event, start=start))
    (found,) = data["documents"][0]["passages"][0]["events"]
    units = TEXT.encode("utf-16-le")

    def words(begin: int, end: int) -> str:
        return units[2 * begin : 2 * end].decode("utf-16-le")

    assert words(*found["trigger"][:2]) == "下棋"
    (role, *place, score, value, said), (second, *_, chosen, _) = found["arguments"]
    assert (words(*place), score, value, said) == ("老张", 0.5, None, None)
    assert chosen == "胜"
    assert [data["events"]["roles"][number]["name"] for number in (role, second)] == ["对手", "结果"]
    assert found["unlinked"] == [[-1, 0]]
    assert data["events"]["types"][0] == {
        "name": "下棋", "description": "一局 | a game", "roles": [0, 1], "descriptions": {},
        "events": 1, "documents": 1,
    }  # fmt: skip
    assert data["totals"]["events"] == 1


def test_an_event_may_reach_over_the_passages_of_a_paragraph(tmp_path, extractor):
    """Cut after 😀老张 has said something; the event begins, with its trigger, in the second passage."""
    text = "开头。\n\n😀老张说了很多别的话，说个没完。然后他坐下来下棋。\n\n老张在另一段里。他说话。"
    (tmp_path / "in.txt").write_text(text, encoding="utf-8")
    report = run(tmp_path / "in.txt", tmp_path, extractor, max_chars=20)
    (document,) = report.documents
    home = next(passage for passage in document.passages if passage.events)
    (event,) = home.events
    opponent, trigger = event.arguments[0].span, event.trigger
    assert (opponent, trigger) == (Span(6, 8, "老张"), Span(text.index("下棋"), text.index("下棋") + 2, "下棋"))
    assert home.span.start <= trigger.start < home.span.end
    assert opponent.end <= home.span.start, "the sample does not cut where the test needs it"
    # paragraphs stay apart
    assert extractor.asked == [*text.split("\n\n")]
    data = page_data(report)["documents"][0]["passages"]
    (shown,) = data[home.index]["events"]
    assert shown["arguments"][0][1:3] == [None, None]
    assert shown["arguments"][0][5] == "老张"
    (guest,) = (passage for passage in data if passage["marks"])
    (mark,) = guest["marks"]
    assert mark[:3] == [home.index, 0, 0]
    start, end = mark[3:]
    assert guest["text"].encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le") == "老张"


def test_without_scripts_the_types_are_there():
    report = made(Event("下雪", (Argument("地点", Span(9, 11, TEXT[9:11])),)))
    page = render(report, language="en", made=date(2026, 1, 2), version="1")
    inside = page.partition("<noscript>")[2].partition("</noscript>")[0]
    assert re.findall(r"<td>(.*?)</td>", inside) == ["下棋", "0", "0", "下雪", "1", "1"]


def test_evil_events_stay_data():
    evil = "</script><script>alert(1)</script>"
    event = Event(evil, (Argument(evil, Span(0, len(evil), evil)),), value := None, 0.5)
    assert value is None
    report = made(event, text=evil)
    asked = EventsAsked(evil, ((evil, (evil,)),), {evil: evil, f"{evil}/{evil}": evil})
    page = render(replace(report, events=asked), language="zh", made=date(2026, 1, 2), version="1")
    assert evil not in page
    assert "<script>alert" not in page


def test_a_prediction_is_made_from_a_few_passages_and_a_clock(extractor):
    ticks = iter((10.0, 12.0))
    reader = EventReader(extractor=extractor, clock=lambda: next(ticks))
    # 2 seconds for the 10 passages of the sample, so 100 for 500
    assert reader.predict_seconds(["下棋"] * 10, 500) == pytest.approx(100.0)
    assert EventReader(extractor=extractor).predict_seconds(["下棋"] * 10, 20) is None
    assert EventReader(extractor=extractor).predict_seconds([], 500) is None


def test_a_title_and_what_follows_it_are_read_apart(tmp_path, extractor):
    """Short paragraphs share a passage; an event has its trigger and its arguments in one of them."""
    text = "老张的一天\n\n上午下棋。\n他说，老张下棋\n下得好。\n"
    source = tmp_path / "一天.txt"
    source.write_text(text, encoding="utf-8")
    report = read(source, out=tmp_path / "out", extractor=extractor)
    (document,) = report.documents
    assert len(document.passages) == 1
    assert extractor.asked == ["老张的一天", "上午下棋。", "他说，老张下棋\n下得好。"]
    first, second = document.events
    assert [argument.role for argument in first.arguments] == ["结果"]
    assert [argument.role for argument in second.arguments] == ["对手", "结果"]
    assert first.trigger == Span(text.index("下棋"), text.index("下棋") + 2, "下棋")
    assert second.trigger == Span(text.rindex("下棋"), text.rindex("下棋") + 2, "下棋")


class NameExtractor:
    """老张 is a name and 窗外 a place; ``task`` as `EntityExtractor` has it."""

    task = "entities"
    schema = Schema(entities=(EntityType("人", description="人名 | a person"), EntityType("地方")))
    names = (("人", "老张"), ("地方", "窗外"))

    def extract(self, texts):
        return [
            tuple(
                Entity(kind, Span(start, start + 2, words), 0.87654321)
                for kind, words in self.names
                if (start := text.find(words)) >= 0
            )
            for text in texts
        ]


def test_entities_reach_every_output(source, tmp_path, lines):
    report = run(source, tmp_path, NameExtractor())
    (document,) = report.documents
    assert document.events == ()
    for entity in document.entities:
        assert TEXT[entity.span.start : entity.span.end] == entity.span.text
    kept = [line["entities"] for line in lines(tmp_path / "out" / "results.jsonl")]
    assert [[one["text"] for one in found] for found in kept] == [["老张"], ["窗外"], []]
    assert lines(tmp_path / "out" / "documents.jsonl")[0]["entities"] == 2
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "entities.csv").read_text(encoding="utf-8-sig"))))
    assert [(row["type"], row["text"], int(row["start"])) for row in rows] == [("人", "老张", 3), ("地方", "窗外", 10)]
    assert not (tmp_path / "out" / "events.csv").exists()


def test_entities_on_the_page_are_spans_of_their_type(source, tmp_path):
    report = run(source, tmp_path, NameExtractor())
    data = page_data(report)
    events, passages = data["events"], data["documents"][0]["passages"]
    assert events["task"] == "entities"
    assert [(one["name"], one["roles"], one["events"]) for one in events["types"]] == [("人", [0], 1), ("地方", [1], 1)]
    (found,) = passages[0]["events"]
    # 😀 counts twice in JavaScript
    assert found["arguments"] == [[0, 4, 6, 0.8765, None, None]]
    assert found["trigger"] is None


def test_a_second_run_keeps_the_entities(source, tmp_path):
    first = run(source, tmp_path, NameExtractor())

    class Unasked(NameExtractor):
        def extract(self, texts):
            raise AssertionError("everything is there already")

    assert run(source, tmp_path, Unasked()).documents == first.documents


def test_relations_are_left_to_extract(source, tmp_path, monkeypatch):
    monkeypatch.setattr("ironwok.events.loading.read_task", lambda model: "relations")
    with pytest.raises(InputError, match="ironwok extract --schema entities"):
        read(source, schema="entities", out=tmp_path / "out")
