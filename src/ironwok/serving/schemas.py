"""What requests look like. Unknown fields are errors, except in chat, where clients of OpenAI's API send many."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _sendable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair, which is no text") from None
    return text


def _with_content(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty or blank")
    return text


String = Annotated[str, AfterValidator(_sendable)]
Text = Annotated[String, AfterValidator(_with_content)]


class Request(BaseModel):
    # strict: "yes" is no truth value and "3" no number, as the OpenAPI document says
    model_config = ConfigDict(extra="forbid", strict=True)


class ClassifyRequest(Request):
    """texts: one or several. labels: a list, or label → words for the template; a distilled model has its own."""

    texts: Text | list[Text] = Field(examples=[["主队在加时赛中获胜。", "央行宣布降准。"]])
    labels: list[Text] | dict[Text, Text | None] | None = Field(None, examples=[["体育", "财经"]])
    model: String | None = None
    template: Text | list[Text] | None = None
    multi_label: bool = False
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    calibrate: bool | None = None


class ExtractRequest(Request):
    """texts: one or several, of any length."""

    texts: Text | list[Text]
    model: String | None = None


class Document(BaseModel):
    """A text to answer from, with a name for its sources."""

    model_config = ConfigDict(extra="ignore", strict=True)
    text: Text
    id: String | None = None


Contexts = list[Text | Document]


class Decoding(BaseModel):
    """What may be changed in how an answer is written; see `ironwok.nbce.Settings`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    beta: float | None = None
    eta: float | None = None
    route: float | None = None
    keep: Annotated[int, Field(ge=1)] | None = None


class AnswerRequest(Request):
    """question: one. contexts: texts to answer from, of any length."""

    question: Text
    contexts: Contexts = Field(min_length=1)
    model: String | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    decoding: Decoding | None = None
    stream: bool = False


class ContentPart(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    type: Literal["text"]
    text: String


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: String | list[ContentPart]

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class ChatRequest(BaseModel):
    """As of OpenAI's chat completions; documents (or contexts): texts to answer from. What we do not do is refused."""

    model_config = ConfigDict(extra="ignore", strict=True)
    messages: list[Message] = Field(min_length=1)
    model: String | None = None
    documents: Contexts | None = None
    contexts: Contexts | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: String | Annotated[list[String], Field(max_length=16)] | None = None
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: int = 1
    tools: list[Any] | None = None
    response_format: dict[str, Any] | None = None
    logprobs: bool | None = None


class Refusal(BaseModel):
    """Why something was not done. type: the kind of error, as OpenAI's clients know it. code: for programs."""

    message: str
    type: Literal["authentication_error", "rate_limit_error", "invalid_request_error", "server_error"]
    code: str


class Refused(BaseModel):
    error: Refusal
