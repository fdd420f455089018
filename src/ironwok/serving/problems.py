"""Errors as JSON, in the shape that clients of OpenAI's API know: {"error": {"message", "type", "code"}}."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse

# keys of unknown fields are shown, values never
_SHOWN_PROBLEMS = 5
_LONGEST_MESSAGE = 500


class Problem(Exception):
    """An answer that is an error. status: of HTTP. code: for programs. message: for people."""

    def __init__(self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), status_code=self.status, headers=self.headers)

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": kind_of(self.status), "code": self.code}}


def kind_of(status: int) -> str:
    if status in (401, 403):
        return "authentication_error"
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def invalid(errors: list[Any]) -> Problem:
    """What pydantic found wrong with a request, without the values."""
    told = []
    for error in errors[:_SHOWN_PROBLEMS]:
        place = ".".join(str(part) for part in error["loc"][1:]) or "the body"
        told.append(f"{place}: {error['msg']}")
    rest = len(errors) - _SHOWN_PROBLEMS
    message = "; ".join(told) + (f"; and {rest} more" if rest > 0 else "")
    return Problem(422, "invalid_request", printable(message))


def printable(message: str) -> str:
    """Half a surrogate pair cannot be sent as UTF-8; it is shown as its escape."""
    return message[:_LONGEST_MESSAGE].encode("utf-8", "backslashreplace").decode("utf-8")
