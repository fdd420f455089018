"""Errors as JSON, in the shape that clients of OpenAI's API know: {"error": {"message", "type", "code"}}."""

from __future__ import annotations

import re
from typing import Any

from fastapi.responses import JSONResponse

# keys of unknown fields are shown, values never
_SHOWN_PROBLEMS = 5
_LONGEST_MESSAGE = 500
_FIELD = re.compile(r"(?!(?:str|int|float|bool|bytes|dict|list|tuple)$)[a-z][a-z0-9_]*")  # no name of a type


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
    found = [(_place(error), _fault(error)) for error in errors]
    # of a field that may be one text or several, what is wrong with the third text says more than "is no text"
    inner = {place[:count] for place, _ in found for count in range(1, len(place))}
    found = list(dict.fromkeys((place, fault) for place, fault in found if place not in inner))
    told = [f"{'.'.join(place) or 'the body'}: {fault}" for place, fault in found[:_SHOWN_PROBLEMS]]
    rest = len(found) - _SHOWN_PROBLEMS
    message = "; ".join(told) + (f"; and {rest} more" if rest > 0 else "")
    return Problem(422, "invalid_request", printable(message))


def _place(error: dict[str, Any]) -> tuple[str, ...]:
    """Fields and positions on the way to the fault; pydantic names the types that it tried among them."""
    if error["type"] == "json_invalid":
        return ()
    way = error["loc"][1:]
    unknown = len(way) - 1 if error["type"] == "extra_forbidden" else None  # whatever its name is
    return tuple(
        str(part)
        for number, part in enumerate(way)
        if isinstance(part, int) or number == unknown or _FIELD.fullmatch(part)
    )


def _fault(error: dict[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"no JSON ({error.get('ctx', {}).get('error', 'syntax')}, at character {error['loc'][-1]})"
    if len(error["loc"]) == 1 and error["type"] in ("model_attributes_type", "dict_type"):
        return "no JSON object, or not sent with the header Content-Type: application/json"
    return error["msg"].removeprefix("Value error, ")


def printable(message: str) -> str:
    """Half a surrogate pair cannot be sent as UTF-8; it is shown as its escape."""
    return message[:_LONGEST_MESSAGE].encode("utf-8", "backslashreplace").decode("utf-8")
