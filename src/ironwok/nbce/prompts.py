"""The words around contexts and question, as token ids: what stands before a context, after it, around the question.

A row is ``head + context + gap + question``; the row of the empty context is ``head + question``. The pieces are
encoded one by one, so that the question's tokens are the same in every row and the prefill of ``head + context + gap``
serves every question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ironwok.errors import InputError, ModelError
from ironwok.text.characters import has_han
from ironwok.text.tokenizer import encode_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CONTEXT, _QUESTION = "@@CONTEXT@@", "@@QUESTION@@"


@dataclass(frozen=True, slots=True)
class Layout:
    """The words of a prompt.

    context: with ``{context}``; question: with ``{question}``, and what the model is asked to do. opening: what the
    answer is made to begin with. copied: the same where the answer is chosen among stretches of the text; channel: what
    stands between a text and its question where the ``{answer}`` is known. part: with ``{number}`` and ``{count}``, put
    before a context where the order matters.
    """

    context: str
    question: str
    part: str
    opening: str = ""
    copied: str = "Answer:"
    channel: str = "Answer: {answer}\nQuestion:"

    def __post_init__(self) -> None:
        for name, needed in (("context", ("{context}",)), ("question", ("{question}",)), ("channel", ("{answer}",))):
            value = getattr(self, name)
            for field in needed:
                if value.count(field) != 1:
                    raise InputError(f"{name} is {value!r}: it has {field} exactly once")


ENGLISH = Layout(
    context="Text: {context}\n\n",
    question="Question: {question}\nAnswer the question using the text.",
    part="(part {number} of {count}) ",
)
CHINESE = Layout(
    context="文本：{context}\n\n",
    question="问题：{question}\n请根据文本回答问题。",
    part="（第{number}部分，共{count}部分）",
    copied="答案：",
    channel="答案：{answer}\n问题：",
)
# for models without a chat template, which continue a text
ENGLISH_PLAIN = Layout(context=ENGLISH.context, question="Question: {question}\nAnswer:", part=ENGLISH.part, copied="")
CHINESE_PLAIN = Layout(
    context=CHINESE.context,
    question="问题：{question}\n答案：",
    part=CHINESE.part,
    copied="",
    channel=CHINESE.channel,
)


def layout_for(question: str, *, chat: bool) -> Layout:
    """The layout in the language of the question."""
    if chat:
        return CHINESE if has_han(question) else ENGLISH
    return CHINESE_PLAIN if has_han(question) else ENGLISH_PLAIN


class Prompter:
    """Rows of token ids for one model. chat: whether it has a chat template.

    Raises ModelError for a template that does not show what the user says.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.chat = bool(tokenizer.chat_template)
        if self.chat:
            start, end = self._around()
            self._head, self._tail = self._special(start), self._special(end)
        else:
            self._head, self._tail = self._begin() or self._special("\n"), []

    def head(self) -> list[int]:
        """What every row begins with; the row of the empty context is nothing else before the question."""
        return list(self._head)

    def context(self, token_ids: Sequence[int], layout: Layout, *, place: tuple[int, int] | None = None) -> list[int]:
        """A row up to the question. place: (number from 1, count) where the order shall be seen."""
        before, after = layout.context.split("{context}")
        if place is not None:
            before += layout.part.format(number=place[0], count=place[1])
        return [*self._head, *self._text(before), *token_ids, *self._text(after)]

    def question(self, question: str, layout: Layout) -> list[int]:
        """The question and the turn to answer it."""
        before, after = layout.question.split("{question}")
        return [*self._text(before + question + after), *self._tail, *self._text(layout.opening)]

    def length(self, question: str) -> int:
        """How many tokens the question itself has, without the words around it."""
        return len(self._text(question))

    def begin(self) -> list[int]:
        """What the tokenizer puts before every text by itself, such as <s>; outside of any chat."""
        return self._begin()

    def text(self, text: str) -> list[int]:
        """Words as they are, without anything around them."""
        return self._text(text)

    def _text(self, text: str) -> list[int]:
        # marks such as <|im_end|> in somebody's document are only text
        return encode_texts(self.tokenizer, [text])[0][0] if text else []

    def _special(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]  # pyright: ignore[reportReturnType]

    def _around(self) -> tuple[str, str]:
        messages = [{"role": "user", "content": _CONTEXT + _QUESTION}]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert isinstance(text, str)
        start, found, end = text.partition(_CONTEXT + _QUESTION)
        if not found or not start:
            raise ModelError("the chat template of this model does not show the user's message as it is")
        return start, end

    def _begin(self) -> list[int]:
        """The tokens that the tokenizer puts before a text by itself, such as <s>."""
        whole: list[int] = self.tokenizer("a")["input_ids"]  # pyright: ignore[reportAssignmentType]
        bare = self._special("a")
        for start in range(len(whole) - len(bare) + 1):
            if whole[start : start + len(bare)] == bare:
                return whole[:start]
        return []
