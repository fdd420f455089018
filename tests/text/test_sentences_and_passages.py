"""Sentences and passages: spans of the original that lose nothing, in order, in linear time."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ironwok.errors import InputError
from ironwok.results import Span
from ironwok.text.passages import split_paragraphs, split_passages
from ironwok.text.sentences import split_sentences

# Everything that the splitters look at, and some that they do not.
LIVELY = st.text(
    st.sampled_from("。！？；…，：.!?;,:'\"“”‘’」』）)(（[【 \n\r\t\u3000\u2028#-1２aZ第章一、天\u0301\u200d😀\ud800")
    | st.characters()
)


def check(text: str, spans: list[Span]) -> None:
    """Exact, stripped, ordered, and together everything that is not white space."""
    end = 0
    for span in spans:
        assert text[span.start : span.end] == span.text
        assert span.text == span.text.strip() != ""
        assert text[end : span.start].strip() == ""
        end = span.end
    assert text[end:].strip() == ""


def sentences(text: str) -> list[str]:
    spans = split_sentences(text)
    check(text, spans)
    return [span.text for span in spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天下雨。我们不去了！好吗？好；走……再见", ["今天下雨。", "我们不去了！", "好吗？", "好；", "走……", "再见"]),
        ("真的？！太好了！！！走吧。", ["真的？！", "太好了！！！", "走吧。"]),
        ("他说：“走吧。”于是大家都走了。", ["他说：“走吧。”", "于是大家都走了。"]),
        ("「好！」『嗯？』（完。）", ["「好！」", "『嗯？』", "（完。）"]),
        ("她问：“几点？”，没人回答。", ["她问：“几点？”，没人回答。"]),
        ("我们走吧.他来了.", ["我们走吧.", "他来了."]),
        ("好!再见?嗯;行", ["好!", "再见?", "嗯;", "行"]),
        (
            "版本3.14发布，见 a.com?x=1&y=2。圆周率是３．１４。",
            ["版本3.14发布，见 a.com?x=1&y=2。", "圆周率是３．１４。"],
        ),
        ("打开main.py和文件.txt。", ["打开main.py和文件.txt。"]),
    ],
)
def test_chinese_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rains. We stay! Do we? Yes.", ["It rains.", "We stay!", "Do we?", "Yes."]),
        ("Mr. Lee met Dr. J. K. Wu vs. Prof. Hu. They left.", ["Mr. Lee met Dr. J. K. Wu vs. Prof. Hu.", "They left."]),
        ("It costs $3.50 or No. 5 on Jan. 3. It is v1.2.", ["It costs $3.50 or No. 5 on Jan. 3.", "It is v1.2."]),
        ("He said no. Then he left.", ["He said no.", "Then he left."]),
        ("Acme Inc. sells it. Made by Acme Inc. The end.", ["Acme Inc. sells it.", "Made by Acme Inc.", "The end."]),
        ("The U.S. Army is in the U.S. It is big.", ["The U.S. Army is in the U.S.", "It is big."]),
        ("See e.g. Fig. 3, i.e. the last. OK.", ["See e.g. Fig. 3, i.e. the last.", "OK."]),
        ('"Stop!" he said. "Why?" She left.', ['"Stop!" he said.', '"Why?"', "She left."]),
        ('He said "stop." She did.', ['He said "stop."', "She did."]),
        ("He said 'stop.' She did.", ["He said 'stop.'", "She did."]),
        ('She left. "Bye." Gone.', ["She left.", '"Bye."', "Gone."]),
        ("Wait... what? Hmm... OK.", ["Wait... what?", "Hmm...", "OK."]),
        ("(It ended.) That was in 2019. So what?", ["(It ended.)", "That was in 2019.", "So what?"]),
        ("I am I. You are you.", ["I am I.", "You are you."]),
        ("a; b; c", ["a; b; c"]),
    ],
)
def test_english_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_lines_and_lists() -> None:
    assert sentences("题目\r\n正文。\r\n\r\n1. 第一项\n2. Second thing\n(3) iv. x\n- 末项") == [
        *("题目", "正文。", "1. 第一项", "2. Second thing", "(3) iv. x", "- 末项")
    ]
    assert sentences("第一句，\n还没有完。\n\n") == ["第一句，\n还没有完。"]
    assert sentences("apples\npears\nplums") == ["apples", "pears", "plums"]
    wrapped = "a long line that an editor has wrapped at some point\nand that goes on here.\nNew one."
    assert sentences(wrapped) == [wrapped[: wrapped.index("\nNew")], "New one."]
    assert sentences("a comma before a gap,\n\nNew paragraph") == ["a comma before a gap,", "New paragraph"]


def test_nothing_gives_nothing() -> None:
    assert split_sentences("") == split_sentences(" \n\u3000\t") == []
    assert split_passages("") == split_passages(" \n\u3000\t") == []


@settings(max_examples=400, deadline=None)
@given(LIVELY)
@example("。" * 50)
@example('."' * 20)
def test_sentences_are_exact_and_lose_nothing(text: str) -> None:
    check(text, split_sentences(text))


@settings(max_examples=400, deadline=None)
@given(LIVELY, st.integers(1, 60), st.data())
def test_passages_are_exact_bounded_and_lose_nothing(text: str, max_chars: int, data: st.DataObject) -> None:
    min_chars = data.draw(st.none() | st.integers(0, max_chars))
    spans = split_passages(text, max_chars=max_chars, min_chars=min_chars)
    check(text, spans)
    assert all(len(span.text) <= max_chars for span in spans)


def passages(text: str, **options: int) -> list[str]:
    spans = split_passages(text, **options)
    check(text, spans)
    return [span.text for span in spans]


LONG = "早上的菜市场很热闹，卖豆腐的老张刚把担子放下，阿婆就来了。"
OTHER = "图书馆从这个周六起延长开放时间，晚上九点以前都可以借书还书。"


def test_paragraphs_are_passages() -> None:
    assert passages(f"{LONG}\n\n{OTHER}\r\n\r\n{LONG}", min_chars=10) == [LONG, OTHER, LONG]
    assert passages(f"{LONG}\n{OTHER}\n", min_chars=10) == [LONG, OTHER]  # one line a paragraph


def test_short_paragraphs_are_put_together() -> None:
    assert passages("好。\n\n不错。\n\n行。", min_chars=10) == ["好。\n\n不错。\n\n行。"]
    assert passages(f"好。\n\n{LONG}\n\n行。", min_chars=10) == [f"好。\n\n{LONG}\n\n行。"]
    assert passages(f"{LONG}\n\n行。", min_chars=10, max_chars=len(LONG)) == [LONG, "行。"]


@pytest.mark.parametrize(
    "heading", ["第二章 总则", "二、开放时间", "# Opening hours", "2.1 Hours", "开放时间", "Section 3"]
)
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_headings_stay_with_what_they_head(heading: str, gap: str) -> None:
    text = f"{LONG}\n\n{heading}{gap}{OTHER}\n\n{LONG}"
    assert passages(text, min_chars=10) == [LONG, f"{heading}{gap}{OTHER}", LONG]


def test_headings_of_several_levels_and_a_long_body() -> None:
    text = f"第一章 总则\n\n一、目的\n{OTHER * 8}"
    pieces = passages(text, max_chars=100, min_chars=10)
    assert pieces[0].startswith(f"第一章 总则\n\n一、目的\n{OTHER}")
    assert all(piece.endswith("。") for piece in pieces)


def test_what_is_too_short_before_a_heading_goes_back() -> None:
    text = f"{LONG}\n\n电话见后。\n\n二、时间\n{OTHER}"
    assert passages(text, min_chars=10) == [f"{LONG}\n\n电话见后。", f"二、时间\n{OTHER}"]


def test_a_heading_without_a_body_is_kept() -> None:
    assert passages(f"{LONG}\n\n三、附件", min_chars=10)[-1].endswith("三、附件")
    assert passages("三、附件") == ["三、附件"]


def test_long_paragraphs_are_cut_at_sentences_into_like_pieces() -> None:
    pieces = passages(LONG * 11, max_chars=300)
    assert all(piece.endswith("。") for piece in pieces)
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 2 * len(LONG)


def test_long_sentences_are_cut_at_clauses_then_words_then_anywhere() -> None:
    clauses = "，".join(["卖豆腐的老张把担子放下"] * 30)
    assert all(piece.endswith("，") for piece in passages(clauses, max_chars=100)[:-1])
    words = " ".join(["market"] * 60)
    assert set(" ".join(passages(words, max_chars=50)).split()) == {"market"}
    assert [len(piece) for piece in passages("字" * 250, max_chars=100)] == [100, 100, 50]


def test_no_visible_character_is_torn() -> None:
    family = "👨\u200d👩\u200d👧"
    for piece in passages(family * 40, max_chars=24):
        assert piece.startswith("👨")
        assert piece.endswith("👧")
    for piece in passages("e\u0301" * 100, max_chars=25):
        assert piece.startswith("e")


@pytest.mark.parametrize(("max_chars", "min_chars"), [(0, None), (10, 11), (10, -1)])
def test_bounds_are_checked(max_chars: int, min_chars: int | None) -> None:
    with pytest.raises(InputError, match=f"{min_chars if min_chars is not None else max_chars}"):
        split_passages("x", max_chars=max_chars, min_chars=min_chars)


def steps_of(function: Callable[[], object]) -> int:
    """How many lines of Python a call runs: a measure of work that no busy machine changes."""
    count = 0

    def tracer(*_: object) -> Any:
        nonlocal count
        count += 1
        return tracer

    sys.settrace(tracer)
    try:
        function()
    finally:
        sys.settrace(None)
    return count


NOISE = {
    "stops": ". ",
    "initials": "U.S.",
    "quotes": '."',
    "breaks": "a\n",
    "blank lines": "a\n\n",
    "spaces": "a" + " " * 99,
    "closers": "。" + ")" * 99,
    "ellipses": "…，",
    "marks": "e\u0301",
    "joiners": "\u200d",
    "commas": "，",
    "headings": "一、a\n",
    "open quotes": '"',
}


@pytest.mark.parametrize("name", NOISE)
@pytest.mark.parametrize("split", [split_sentences, split_passages, split_paragraphs])
def test_twice_the_text_is_twice_the_work(name: str, split: Callable[[str], list[Span]]) -> None:
    text = NOISE[name] * (4000 // len(NOISE[name]))
    once, twice = steps_of(lambda: split(text)), steps_of(lambda: split(text * 2))
    assert twice <= 2.5 * once + 500


@pytest.mark.slow
def test_ten_megabytes_of_noise_lose_nothing() -> None:
    draw = random.Random(0)
    alphabet = "".join(NOISE.values()).replace(" " * 90, "").replace(")" * 90, "")
    text = "".join(draw.choices(alphabet + "的一是在有天" * 20, k=4_200_000))
    assert len(text.encode()) > 10_000_000
    for spans in (split_sentences(text), split_passages(text)):
        end = 0
        for span in spans:
            assert not text[end : span.start].strip()
            end = span.end
        assert not text[end:].strip()


def test_paragraphs_end_at_empty_lines_sentences_and_headings() -> None:
    text = "一、总则\n本条\n写在两行里。\r\n下一段\n\n  另一段，\n没有完\n"
    spans = split_paragraphs(text)
    check(text, spans)
    assert [span.text for span in spans] == ["一、总则", "本条\n写在两行里。", "下一段", "另一段，\n没有完"]
    assert split_paragraphs(" \n\n") == []


@given(LIVELY)
@settings(max_examples=100, deadline=None)
def test_paragraphs_lose_nothing(text: str) -> None:
    check(text, split_paragraphs(text))
