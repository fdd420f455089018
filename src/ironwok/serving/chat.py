"""OpenAI's chat completions, with the answer taken from contexts where there are any.

Reference of the format: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from ironwok.nbce import Settings
from ironwok.results import Answer
from ironwok.serving.answering import AnswerService, Asking, split_contexts
from ironwok.serving.limits import Limits
from ironwok.serving.problems import Problem
from ironwok.serving.schemas import ChatRequest
from ironwok.serving.understanding import check_characters
from ironwok.text.sentences import split_sentences

_PARAGRAPHS = re.compile(r"\n\s*\n")
_LINES = re.compile(r"\s*\n\s*")
# characters from which on a message without paragraphs is a text with a question, not just a question
_LONG = 200


def asking_of(request: ChatRequest, service: AnswerService, limits: Limits) -> Asking:
    """The question of a conversation, and what to answer it from. Raises Problem, InputError.

    The last message of the user is the question. It is answered from ``documents`` or ``contexts``; where neither is
    given, from the rest of that message (see `text_and_question`) and from the messages before it.
    """
    for name, refused in (("n", request.n != 1), ("tools", bool(request.tools)), ("logprobs", bool(request.logprobs))):
        if refused:
            raise Problem(422, "unsupported", f"{name} is not supported here: leave it out")
    if request.response_format not in (None, {"type": "text"}):
        raise Problem(422, "unsupported", "response_format is not supported here: leave it out")
    if request.documents is not None and request.contexts is not None:
        raise Problem(422, "invalid_request", "documents and contexts are the same thing: give one of them")
    if request.messages[-1].role != "user" or not request.messages[-1].text.strip():
        raise Problem(422, "invalid_request", "the last message is not of the user, or holds no text")
    texts, names = split_contexts(request.documents or request.contexts or [])
    question = request.messages[-1].text.strip()
    if not texts:
        texts = [message.text for message in request.messages[:-1] if message.text.strip()]
        # after other turns a message is a question; a system prompt is no turn
        alone = all(message.role in ("system", "developer") for message in request.messages[:-1])
        text, question = text_and_question(question, finely=alone)
        if text:
            texts.append(text)
        names = [None] * len(texts)
    if not texts:
        raise Problem(
            422,
            "no_contexts",
            "there is nothing to answer from: give documents (or contexts) in the body, or put the text before the "
            "question, with a blank line between them",
        )
    if len(texts) > limits.texts:
        raise Problem(422, "too_many_texts", f"there are {len(texts)} contexts; at most {limits.texts}")
    check_characters(len(question) + sum(map(len, texts)), limits)
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    settings = Settings(
        max_tokens=service.tokens(request.max_completion_tokens or request.max_tokens),
        temperature=request.temperature or 0.0,
        sample_top_p=request.top_p if request.temperature else None,
        seed=request.seed or 0,
        stop=stop,
    )
    return Asking(question, texts, names, settings)


def text_and_question(message: str, *, finely: bool) -> tuple[str, str]:
    """A message as the text to answer from, "" for none, and the question.

    The question is the last paragraph, or the first where that asks and the last does not. finely: in a long message
    of one paragraph it is the last or first line, or sentence.
    """
    cuts = [(found.start(), found.end()) for found in _PARAGRAPHS.finditer(message)]
    if not cuts and finely and len(message) >= _LONG:
        cuts = [(found.start(), found.end()) for found in _LINES.finditer(message)]
        if not cuts:
            spans = split_sentences(message)
            cuts = [(one.end, other.start) for one, other in pairwise(spans)]
    if not cuts:
        return "", message
    (first_end, rest), (text_end, last) = cuts[0], cuts[-1]
    if _asks(message[:first_end]) and not _asks(message[last:]):
        return message[rest:], message[:first_end]
    return message[:text_end], message[last:]


def _asks(part: str) -> bool:
    return part.rstrip(" \t\n\"'”’」』)）").endswith(("?", "？"))


def completion(answer: Answer, *, identity: str, created: int, model: str, prompt_tokens: int) -> dict[str, Any]:
    """The whole answer; where it is from stands under "ironwok"."""
    return {
        "id": identity,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": None,
                "finish_reason": reason(answer),
            }
        ],
        "usage": usage(answer, prompt_tokens),
        "ironwok": answer.to_dict(),
    }


def chunk(delta: dict[str, Any], *, identity: str, created: int, model: str, end: str | None = None) -> dict[str, Any]:
    """A piece of a streamed answer."""
    return {
        "id": identity,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}],
    }


def reason(answer: Answer) -> str:
    return "stop" if answer.finished else "length"


def usage(answer: Answer, prompt_tokens: int) -> dict[str, int]:
    written = len(answer.tokens)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": written,
        "total_tokens": prompt_tokens + written,
    }
