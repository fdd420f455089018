"""Texts to answer from, and the windows of them that fit a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ironwok.errors import InputError
from ironwok.results import Span
from ironwok.text.windows import iter_windows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Context:
    """A text to answer from. document, record: where it is from, as in DocumentResult; None for a text by itself."""

    text: str
    document: str | None = None
    record: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A window of a context. context: its number in the list, from 0. span: characters of the context's text."""

    context: int
    span: Span
    token_ids: tuple[int, ...]


def as_contexts(given: Iterable[str | Context]) -> list[Context]:
    """Raises InputError where there is no context, none with any text, or something that is no text."""
    if isinstance(given, str):
        raise InputError("contexts is one string: give a list of texts")
    if isinstance(given, Context | Mapping) or not isinstance(given, Iterable):
        raise InputError(f"contexts is a {type(given).__name__}: give a list of texts")
    contexts = []
    for number, one in enumerate(given):
        if not isinstance(one, str | Context):
            raise InputError(f"context {number} is a {type(one).__name__}: give its text")
        contexts.append(one if isinstance(one, Context) else Context(one))
    if not contexts:
        raise InputError("there is no context: give at least one text to answer from")
    if not any(one.text.strip() for one in contexts):
        raise InputError(f"none of the {len(contexts)} contexts holds any text")
    return contexts


def cut(
    contexts: Sequence[Context], tokenizer: PreTrainedTokenizerBase, *, max_tokens: int, overlap: int
) -> list[Part]:
    """The windows of all contexts, in order; contexts without text have none.

    max_tokens: of a window. overlap: tokens that come again in the next window of the same context, at most.
    """
    parts = []
    for number, context in enumerate(contexts):
        if not context.text.strip():
            continue
        for window in iter_windows(context.text, tokenizer, max_tokens=max_tokens, overlap=overlap):
            parts.append(Part(number, window.span, window.token_ids))
    return parts


def check_questions(questions: Sequence[str]) -> None:
    """Raises InputError where there is no question, or one that holds no text."""
    if isinstance(questions, str):
        raise InputError("questions is one string: give a list, or call ask()")
    if not questions:
        raise InputError("there is no question: give at least one")
    for number, question in enumerate(questions):
        if not isinstance(question, str) or not question.strip():
            raise InputError(f"question {number} is {question!r}: it holds no text")
