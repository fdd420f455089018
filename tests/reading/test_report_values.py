"""Results that go to a file come back as they were."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ironwok.results import Argument, Classification, DocumentResult, Event, PassageResult, Report, Skip, Span

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)


@st.composite
def passages(draw):
    text = draw(texts)
    start = draw(st.integers(0, 10_000))
    count = draw(st.integers(0, 4))
    scores = sorted(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)), reverse=True)
    inside = draw(st.integers(0, len(text)))
    found = Classification(
        text,
        tuple(f"标签{n}" for n in range(count)),
        tuple(scores),
        abstained=draw(st.booleans()) or count == 0,
        evidence=draw(st.sampled_from([None, Span(inside, len(text), text[inside:])])),
    )
    return PassageResult(
        document="a/b.txt",
        record=draw(st.none() | st.integers(0, 99)),
        index=draw(st.integers(0, 99)),
        span=Span(start, start + len(text), text),
        before=draw(st.sampled_from(["", "\n\n", "\r\n "])),
        page=draw(st.none() | st.integers(1, 99)),
        classification=draw(st.sampled_from([None, found])),
        events=draw(st.sampled_from([None, (), (event_in(start, text),)])),
    )


def event_in(start: int, text: str) -> Event:
    whole, first = Span(start, start + len(text), text), Span(start, start + 1, text[0])
    arguments = (Argument("谁", whole, 0.25), Argument("环节", first, 0.5, value="正式"))
    return Event("上市", arguments, first, 0.75, 1.0, ((-1, 0),))


@given(passages())
def test_a_passage_comes_back_from_json(passage):
    assert PassageResult.from_dict(json.loads(json.dumps(passage.to_dict()))) == passage


@given(st.lists(passages(), max_size=3), st.none() | st.integers(1, 9))
def test_a_document_comes_back_from_json(inside, line):
    document = DocumentResult(
        "a.csv", 3, "标题", tuple(inside), line=line, replaced=2, metadata={"stars": 5, "note": None}
    )
    classified = Classification(document.text, ("茶",), (0.5,), abstained=True)
    for whole in (document, DocumentResult("a.csv", 3, None, tuple(inside), classification=classified)):
        assert DocumentResult.from_dict(json.loads(json.dumps(whole.to_dict())), inside) == whole


def test_evidence_in_a_file_counts_from_the_start_of_the_document():
    found = Classification("热茶一杯", ("茶",), (1.0,), evidence=Span(1, 2, "茶"))
    passage = PassageResult("a.txt", None, 0, Span(100, 104, "热茶一杯"), classification=found)
    assert passage.to_dict()["evidence"] == {"start": 101, "end": 102, "text": "茶"}


def test_the_passages_joined_with_what_stands_before_them_are_the_document():
    text = "  一。\n\n二。三。"
    pieces = [(2, 4), (6, 8), (8, 10)]
    ends = [0, 4, 8]
    inside = [
        PassageResult("a.txt", None, n, Span(a, b, text[a:b]), before=text[end:a])
        for n, ((a, b), end) in enumerate(zip(pieces, ends, strict=True))
    ]
    document = DocumentResult("a.txt", None, None, tuple(inside))
    assert document.text == text
    assert all(document.text[p.span.start : p.span.end] == p.span.text for p in inside)


def report(**changes) -> Report:
    values = {
        "documents": (),
        "skipped": (Skip("a.txt", "empty"),),
        "labels": ("茶", "棋"),
        "multi_label": False,
        "threshold": None,
        "model": "m",
        "templates": (),
        "folder": None,
    }
    return Report(**(values | changes))


def test_labels_that_hold():
    found = Classification("x", ("茶", "棋", "雪"), (0.8, 0.5, 0.1))
    assert report().labels_of(found) == ("茶",)
    assert report(multi_label=True).labels_of(found) == ("茶", "棋")
    assert report(multi_label=True, threshold=0.6).labels_of(found) == ("茶",)
    assert report().labels_of(Classification("x", ("茶",), (0.1,), abstained=True)) == ()
    assert report().labels_of(None) == ()
