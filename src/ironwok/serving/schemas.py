"""What requests look like. Unknown fields are errors, except in chat, where clients of OpenAI's API send many."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# A body of megabytes can hold a million mistakes. Telling of each takes gigabytes, so lists are left at the first one,
# and objects have no more fields or labels than this.
_MOST_FIELDS = 100
_MOST_LABELS = 10_000


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


def _few(labels: Any) -> Any:
    if isinstance(labels, dict) and len(labels) > _MOST_LABELS:
        raise ValueError(f"there are {len(labels):,} labels; at most {_MOST_LABELS:,}")
    return labels


String = Annotated[str, AfterValidator(_sendable)]
Text = Annotated[String, AfterValidator(_with_content)]
Texts = Annotated[list[Text], Field(fail_fast=True)]


class Fields(BaseModel):
    # strict: "yes" is no truth value and "3" no number, as the OpenAPI document says
    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _not_too_many(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and len(fields) > _MOST_FIELDS:
            raise ValueError(f"there are {len(fields):,} fields; at most {_MOST_FIELDS}")
        return fields


class Request(Fields):
    model_config = ConfigDict(extra="forbid")


class ClassifyRequest(Request):
    """texts: one or several. labels: a list, or label → words for the template; a distilled model has its own."""

    texts: Text | Texts = Field(examples=[["主队在加时赛中获胜。", "央行宣布降准。"]])
    labels: Annotated[Texts | dict[Text, Text | None] | None, BeforeValidator(_few)] = Field(
        None, examples=[["体育", "财经"]]
    )
    model: String | None = None
    template: Text | Texts | None = None
    multi_label: bool = False
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    calibrate: bool | None = None


class ExtractRequest(Request):
    """texts: one or several, of any length."""

    texts: Text | Texts
    model: String | None = None


class CompareRequest(Request):
    """pairs: of sentences. prior: answers → their shares, where the pairs are to be compared with one another."""

    pairs: Annotated[list[Annotated[list[Text], Field(min_length=2, max_length=2)]], Field(fail_fast=True)] = Field(
        examples=[[["怎么改手机号", "手机号怎么换"]]]
    )
    relation: String = "paraphrase"
    prior: dict[String, Annotated[float, Field(ge=0, le=1)]] | None = None
    model: String | None = None


class Blank(Fields):
    """A text with a blank and candidates of its own."""

    model_config = ConfigDict(extra="forbid")
    text: Text
    candidates: Texts | None = None


class FillRequest(Request):
    """texts: with a blank each. candidates: for those that bring none. blank: how it is written."""

    texts: Text | Annotated[list[Text | Blank], Field(fail_fast=True)] = Field(examples=[["他____地完成了任务。"]])
    candidates: Texts | None = Field(None, examples=[["轻而易举", "画蛇添足"]])
    blank: Text = "____"
    model: String | None = None


class Document(Fields):
    """A text to answer from, with a name for its sources."""

    model_config = ConfigDict(extra="ignore")
    text: Text
    id: String | None = None


Contexts = Annotated[list[Text | Document], Field(fail_fast=True)]


class Decoding(Fields):
    """What may be changed in how an answer is written; see `ironwok.nbce.Settings`."""

    model_config = ConfigDict(extra="forbid")
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


class ContentPart(Fields):
    model_config = ConfigDict(extra="ignore")
    type: Literal["text"]
    text: String


class Message(Fields):
    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant"]
    content: String | Annotated[list[ContentPart], Field(fail_fast=True)]

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class ChatRequest(Fields):
    """As of OpenAI's chat completions; documents (or contexts): texts to answer from. What we do not do is refused."""

    model_config = ConfigDict(extra="ignore")
    messages: Annotated[list[Message], Field(fail_fast=True)] = Field(min_length=1)
    model: String | None = None
    documents: Contexts | None = None
    contexts: Contexts | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: String | Annotated[list[String], Field(max_length=16, fail_fast=True)] | None = None
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
