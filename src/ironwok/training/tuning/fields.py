"""Which field of a record is what: by the names that people use, or as told."""

from __future__ import annotations

import difflib
import json
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ironwok.errors import InputError
from ironwok.results import Span
from ironwok.students.tuned.examples import ChoiceExample, Example, PairExample, ReadingExample, TextExample

# The parts of an example, and the names by which their fields are known, the likeliest first. Compared without case,
# spaces, underscores and hyphens.
_LABELS = (
    *("label", "标签", "类别", "分类", "情感", "标注", "category", "class", "target", "intent", "polarity"),
    *("gold_label", "y"),
)
NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "classify": {
        "text": (
            *("text", "文本", "正文", "sentence", "句子", "content", "内容", "review", "评论", "comment", "query"),
            *("utterance", "question", "问题", "title", "标题"),
        ),
        "label": _LABELS,
    },
    "pairs": {
        "a": (
            *("a", "sentence1", "text1", "texta", "first", "premise", "query1", "question1", "s1"),
            *("文本1", "句子1", "问题1", "第一句"),
        ),
        "b": (
            *("b", "sentence2", "text2", "textb", "second", "hypothesis", "query2", "question2", "s2"),
            *("文本2", "句子2", "问题2", "第二句"),
        ),
        "label": _LABELS,
    },
    "choice": {
        "passage": ("passage", "context", "article", "document", "text", "content", "文章", "短文", "正文", "材料"),
        "question": ("question", "query", "问题", "题目", "题干"),
        "choices": ("choices", "choice", "options", "candidates", "answers", "选项", "候选"),
        "answer": ("answer", "label", "答案", "正确答案", "gold", "target"),
    },
    "blanks": {
        "text": ("text", "sentence", "content", "passage", "question", "文本", "句子", "正文", "内容", "题目", "题干"),
        "candidates": ("candidates", "choices", "options", "words", "idioms", "候选", "选项", "备选", "词语", "成语"),
    },
    "reading": {
        "context": ("context", "passage", "text", "article", "document", "content", "文章", "正文", "段落", "材料"),
        "question": ("question", "query", "query_text", "问题"),
        "answers": ("answers", "answer", "答案"),
    },
}
_OPTIONAL = {"choice": ("passage", "choices"), "blanks": ("candidates",)}
_GOLD = {"classify": "label", "pairs": "label", "choice": "answer", "reading": "answers"}
_NUMBERED = re.compile(r"(?:choice|option|ending|选项|答案)?([0-9]{1,2}|[a-h])")
_MOST_CHOICES = 26
_Right = TypeVar("_Right")
_UNNAMED = re.compile(r"column [0-9]+")


class Unusable(Exception):
    """A record that cannot be an example; the message says why."""


def known_names(task: str) -> frozenset[str]:
    """All names that a column of this task may have."""
    return frozenset(name for names in NAMES[task].values() for name in names)


class Fields:
    """The fields of one task's records. named: part -> field, for what goes by another name than the usual ones.

    gold: whether the right answers must be there; else they may be, and for None (of pairs) nobody looks at them.
    Raises InputError for a part that the task does not have.
    """

    def __init__(self, task: str, named: Mapping[str, str] | None = None, *, gold: bool | None = True) -> None:
        self.task, self.named, self.gold = task, dict(named or {}), gold
        for part in self.named:
            if part not in NAMES[task]:
                near = difflib.get_close_matches(part, NAMES[task], n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise InputError(f"{task} has no part {part!r}{hint}: its parts are {', '.join(NAMES[task])}")

    def example(self, record: Mapping[str, Any], *, on_doubt: Callable[[str], None] = lambda why: None) -> Example:
        """Raises Unusable. on_doubt: told why a right answer that need not be there is taken for none."""

        def right(read: Callable[[], _Right]) -> _Right | None:
            try:
                return read()
            except Unusable as problem:
                if self.gold:
                    raise
                on_doubt(str(problem))
                return None

        match self.task:
            case "classify":
                return TextExample(_text("text", self._of(record, "text")), right(lambda: self._label(record)))
            case "pairs":
                first, second = (_text(part, self._of(record, part)) for part in ("a", "b"))
                return PairExample(first, second, right(lambda: self._label(record)))
            case "choice":
                asked = self._choice(record)
                return replace(asked, answer=right(lambda: self._right_choice(record, asked.choices)))
            case "blanks":
                return self._blank(record)
            case _:
                asked = self._reading(record)
                return replace(asked, answers=right(lambda: self._right_places(record, asked.context)))

    def _of(self, record: Mapping[str, Any], part: str) -> Any:
        """The value of a part; None where it is optional and absent."""
        may_lack = part == _GOLD.get(self.task) and not self.gold
        name = self.named.get(part)
        if name is not None:
            value: Any = record
            for step in (name,) if name in record else name.split("."):
                if not isinstance(value, Mapping) or step not in value:
                    if may_lack:
                        return None
                    raise Unusable(f"no field {name!r} (named for {part}); there are {_listed(record)}")
                value = value[step]
            return value
        taken = set(self.named.values())
        plain = {_plain(key): key for key in reversed(list(record)) if key not in taken}
        for known in NAMES[self.task][part]:
            if (key := plain.get(_plain(known))) is not None:
                return record[key]
        if may_lack or part in _OPTIONAL.get(self.task, ()):
            return None
        raise Unusable(f"no field for {part} among {_listed(record)}: name it with --field {part}=NAME")

    def _label(self, record: Mapping[str, Any]) -> str | None:
        if self.gold is None:
            return None
        value = self._of(record, "label")
        if not self.gold and (value is None or (isinstance(value, str) and not value.strip())):
            return None
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, str | int | float) or value != value:  # NaN, which JSON writers make of a gap
            raise Unusable(f"the label is {_shown(value)}: one label is needed, a word or a number")
        if not (label := str(value).strip()):
            raise Unusable("the label is empty")
        return label

    def _choice(self, record: Mapping[str, Any]) -> ChoiceExample:
        passage = self._of(record, "passage")
        if isinstance(passage, list):  # C3 as released gives its lines
            passage = "\n".join(map(str, passage))
        question = _text("question", self._of(record, "question"))
        choices = tuple(_choices(self._of(record, "choices"), record))
        if len(set(choices)) < len(choices):
            raise Unusable("two choices are the same")
        return ChoiceExample(str(passage or ""), question, choices)

    def _right_choice(self, record: Mapping[str, Any], choices: Sequence[str]) -> int | None:
        return _answer(self._of(record, "answer"), choices, needed=bool(self.gold))

    def _blank(self, record: Mapping[str, Any]) -> ChoiceExample:
        """No choices where the record has none: they may be the same for all."""
        text = _text("text", self._of(record, "text"), stripped=False)
        given = self._of(record, "candidates")
        # an empty cell of a table says that there is nothing in it
        nothing = given is None or given == [] or (isinstance(given, str) and not given.strip())
        listed = _one_each(record) if nothing else given
        return ChoiceExample(text, "", tuple(_choices(listed, record, called="candidate", most=None)) if listed else ())

    def _reading(self, record: Mapping[str, Any]) -> ReadingExample:
        context = _text("context", self._of(record, "context"), stripped=False)
        question = _text("question", self._of(record, "question"))
        return ReadingExample(context, question)

    def _right_places(self, record: Mapping[str, Any], context: str) -> tuple[Span, ...] | None:
        given = self._of(record, "answers")
        if given is None and not self.gold:
            return None
        start = next((record[key] for key in ("answer_start", "start") if key in record), None)
        return _places(given, start, context)


def _plain(name: str) -> str:
    return str(name).strip().lower().replace("_", "").replace("-", "").replace(" ", "")


def _listed(record: Mapping[str, Any]) -> str:
    # of a column without a name, what stands in it says more
    shown = [
        f"{key!r} ({str(value)!r:.24})" if _UNNAMED.fullmatch(str(key)) else repr(str(key))
        for key, value in list(record.items())[:8]
    ]
    return ", ".join(shown) or "none"


def _shown(value: Any) -> str:
    return f"{value!r:.60} ({type(value).__name__})"


def _text(part: str, value: Any, *, stripped: bool = True) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Unusable(f"{part} is {_shown(value)}: a text is needed")
    if not value.strip():
        raise Unusable(f"{part} is empty")
    return value.strip() if stripped else value  # offsets count from the passage's own beginning


def _choices(
    given: Any, record: Mapping[str, Any], *, called: str = "choice", most: int | None = _MOST_CHOICES
) -> list[str]:
    if given is None:  # a column for each
        given = _one_each(record)
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = [part for part in re.split(r"\s*[|\n]\s*", given) if part]
    if isinstance(given, Mapping):
        given = list(given.values())
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise Unusable(f"{called}s is {_shown(given)}: a list is needed")
    listed = [_text(f"a {called}", one) for one in given]
    if len(listed) < 2:
        raise Unusable(f"there is one {called}, {listed[0]!r:.40}: a list is needed, or | between them")
    if most is not None and len(listed) > most:
        raise Unusable(f"there are {len(listed)} {called}s: 2 to {most} are needed")
    return listed


def _one_each(record: Mapping[str, Any]) -> list[Any]:
    """What the fields named choice 1, 选项A, b and so on hold."""
    values = (record[key] for key in record if _NUMBERED.fullmatch(_plain(key)))
    return [value for value in values if value is not None and str(value).strip()]


def _answer(given: Any, choices: Sequence[str], *, needed: bool) -> int | None:
    """A number counts from 0; a string is the text of a choice, else its letter, else its number."""
    if given is None and not needed:
        return None
    if isinstance(given, float) and given.is_integer():
        given = int(given)  # what a column of numbers with gaps becomes
    number = given if isinstance(given, int) and not isinstance(given, bool) else None
    if isinstance(given, str):
        wanted = given.strip()
        if wanted in choices:
            number = choices.index(wanted)
        elif len(wanted) == 1 and wanted.upper() in string.ascii_uppercase:
            number = string.ascii_uppercase.index(wanted.upper())
        elif wanted.isascii() and wanted.isdigit():
            number = int(wanted)
    if number is None or not 0 <= number < len(choices):
        raise Unusable(
            f"the answer {_shown(given)} is none of the {len(choices)} choices: give its text, its letter, or its "
            "number from 0"
        )
    return number


def _places(given: Any, start: Any, context: str) -> tuple[Span, ...]:
    """The places of all answers. An answer that does not stand where it is said to is sought in the passage."""
    if isinstance(given, str):  # in a cell of a table, perhaps JSON
        text = given.strip()
        try:
            given = json.loads(text) if text[:1] in ("[", "{") else text
        except ValueError:
            given = text
    if given is None or given == "":
        return ()
    if isinstance(given, str):
        given = [{"text": given, "start": start}]
    elif isinstance(given, Mapping) and isinstance(given.get("text"), list):  # SQuAD as `datasets` gives it
        starts = given.get("answer_start") or given.get("start") or [None] * len(given["text"])
        given = [{"text": text, "start": where} for text, where in zip(given["text"], starts, strict=False)]
    elif isinstance(given, Mapping):
        given = [given]
    if not isinstance(given, list):
        raise Unusable(f"answers is {_shown(given)}: a text, or a list of texts with their starts, is needed")
    spans = dict.fromkeys(_place(one, context) for one in given)
    return tuple(spans)


def _place(answer: Any, context: str) -> Span:
    text, start = answer, None
    if isinstance(answer, Mapping):
        text = answer.get("text")
        start = answer.get("start", answer.get("answer_start"))
    if not isinstance(text, str) or not text.strip():
        raise Unusable(f"an answer is {_shown(answer)}: a text is needed")
    if isinstance(start, str) and start.strip().isdigit():
        start = int(start)
    if isinstance(start, int) and context[start : start + len(text)] == text and start >= 0:
        return Span(start, start + len(text), text)
    text = text.strip()
    places = [found.start() for found in re.finditer(re.escape(text), context)]
    if not places:
        raise Unusable(f"the answer {text!r:.40} is not in the passage")
    # counted in bytes, or in another version of the text: the nearest place is meant
    near = min(places, key=lambda place: abs(place - start)) if isinstance(start, int) else places[0]
    return Span(near, near + len(text), text)


def questions_of(record: Any) -> Iterable[Mapping[str, Any]]:
    """The records in a record, which is mostly itself.

    A file of SQuAD, CMRC or DRCD is one object with paragraphs that have questions, a record of C3 a list of lines and
    a list of questions.
    """
    if isinstance(record, list) and len(record) >= 2 and all(isinstance(part, list) for part in record[:2]):
        for question in record[1]:
            yield {"passage": record[0], **_as_question(question)}
        return
    if not isinstance(record, Mapping):
        raise Unusable(f"the record is {_shown(record)}: an object is needed")
    if isinstance(record.get("data"), list):
        for article in record["data"]:
            yield from questions_of(article)
    elif isinstance(record.get("paragraphs"), list):
        for paragraph in record["paragraphs"]:
            yield from questions_of(paragraph)
    elif isinstance(record.get("qas"), list):
        context = record.get("context", record.get("context_text"))
        for question in record["qas"]:
            yield {"context": context, **_as_question(question)}
    else:
        yield record


def _as_question(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {"question": given}
