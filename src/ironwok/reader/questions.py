"""What a question asks for, and by which words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ironwok.reader.words import CLASS, placed_terms, words_of

TYPES = ("who", "when", "where", "many", "why", "how", "which", "what", "other")

# Simplified and traditional; the first that matches counts, so that the telling ones stand first.
_CUES = (
    (
        "why",
        r"(?<![名称稱作命叫释釋译譯视視])[为為](?:什么|什麼|甚么|甚麼)|"
        r"为何|為何|因何|何以|什么原因|什麼原因|原因是什么|原因為何|\bwhy\b",
    ),
    (
        "when",
        r"什么时候|什麼時候|甚麼時候|什么时间|什麼時間|何时|何時|几时|幾時|何年|何月|何日|"
        r"哪(?:一)?个?(?:年代|年|月|天|日|世纪|朝代|时期|时候)|哪(?:一)?個?(?:年代|世紀|時期|時候)|"
        r"几(?:月|号|点)|幾(?:月|號|點)|什么年代|什麼年代|"
        r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|time)\b",
    ),
    (
        "many",
        r"多少|多(?=[大高长長远遠久重深宽寬快])|第几|第幾|几|幾|"
        r"\bhow (?:many|much|long|old|far|tall|high|large|big|deep|often|wide|fast)\b",
    ),
    ("who", r"谁|誰|何人|哪(?:一|几|些|兩|两)?位|什么人|什麼人|哪个人|哪個人|哪些人|\bwho(?:m|se)?\b"),
    (
        "where",
        r"哪里|哪裡|哪裏|哪儿|哪兒|哪边|哪邊|何处|何處|何地|[在于於](?:哪里|哪裡|哪裏|哪儿|哪兒|哪边|哪邊|哪(?=[？?]|$))|"
        r"什么地方|什麼地方|哪些?地方|"
        r"哪(?:一)?[个個座]?(?:国|國|城市|城|省|市|县|縣|地区|地區|州|洲|大陆|大陸|岛|島)|\bwhere\b",
    ),
    ("how", r"怎么样?|怎麼樣?|怎样|怎樣|如何|\bhow\b"),
    ("which", r"哪(?:一|些|个|個|种|種|两|兩|几|幾|三|家|所|部|款|支|项|項|类|類|座|条|條|本|首)*|\bwhich\b"),
    ("what", r"什么|什麼|甚么|甚麼|啥|何|\bwhat\b"),
)
_PATTERNS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _CUES)
# words that a question has for being one
_POLITE = re.compile(
    r"请问|請問|吗|嗎|呢|？|\?|是不是|是否|\b(?:do|does|did|is|are|was|were|the|a|an|of|in|to|for|on|at|by|be|and|or|that|"
    r"it|its|has|have|had|with|as|from|this|these|which|what|who|how)\b",
    re.IGNORECASE,
)
_EMPTY = frozenset(
    ("particle", "pronoun", "preposition", "conjunction", "pause", "stop", "space", "opening", "closing")
)
_EMPTY_KINDS = frozenset(CLASS[name] for name in _EMPTY)
_HEADS = frozenset(CLASS[name] for name in ("noun", "proper", "measure", "place", "body", "person", "time", "number"))


@dataclass(frozen=True, slots=True)
class Question:
    """A question, taken apart.

    kind: number in `TYPES`. cue: the words that ask, half-open; empty, behind the last word, where there are none.
    terms: what texts are searched for, each once, without the words that ask. words: its content words.
    head: the noun behind the words that ask ("哪个大学": 大学), "" where there is none.
    """

    text: str
    kind: int
    cue: tuple[int, int]
    terms: tuple[str, ...]
    words: tuple[str, ...]
    head: str


def understand(text: str) -> Question:
    kind, cue = _cue(text)
    masked = _blank(text, *cue)
    for match in _POLITE.finditer(masked):
        masked = _blank(masked, *match.span())
    words = [one for one in words_of(masked) if one.kind not in _EMPTY_KINDS]
    empty = {one.start for one in words_of(masked) if one.kind in _EMPTY_KINDS and len(one.text) == 1}
    terms = dict.fromkeys(term for term, place in placed_terms(masked) if len(term) > 1 or place not in empty)
    return Question(
        text, kind, cue, tuple(terms), tuple(dict.fromkeys(one.text.lower() for one in words)), _head(text, cue[1])
    )


def _cue(text: str) -> tuple[int, tuple[int, int]]:
    for name, pattern in _PATTERNS:
        # the last one: "…的人是谁？"
        if found := list(pattern.finditer(text)):
            return TYPES.index(name), found[-1].span()
    end = len(text.rstrip("？?。 "))
    # "…的首都是？" asks as well
    return TYPES.index("what" if text[:end].endswith(("是", "为", "為", "叫", "有", "于", "於", "在")) else "other"), (
        end,
        end,
    )


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + " " * (end - start) + text[end:]


def _head(text: str, behind: int) -> str:
    head = ""
    for word in words_of(text[behind:])[:4]:
        if word.kind not in _HEADS:
            break
        head += word.text
    return head
