"""Validation shared by the parts of a Gemini request, and the API's error object with Google's
details.

What surprises: fields may be named in camel or snake case, and errors name them in snake case; a
wrong API key is a 400; the wait after a 429 is in the body, and only an id says which quota was
exceeded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.http import ApiError, ApiResponse

STATUSES: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
MESSAGES: dict[int, str] = {
    400: "Request contains an invalid argument.",
    403: "The caller does not have permission",
    429: "You exceeded your current quota, please check your plan and billing details.",
    500: "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
    503: "The model is overloaded. Please try again later.",
    504: "The request timed out. Please try again.",
}
KEY_INVALID = "API_KEY_INVALID"
QUOTA = "GenerateRequestsPerMinutePerProjectPerModel"
RETRY_DELAY = "1s"

_DETAIL = "type.googleapis.com/google.rpc."
_HUMP = re.compile(r"[A-Z]")
_JOINT = re.compile(r"_([a-z])")


class Range(NamedTuple):
    """The allowed range of a number and its protocol buffer type; `open_end` excludes the upper
    bound."""

    type: str
    low: float
    high: float = math.inf
    open_end: bool = False


def error_for_status(status: int, code: str | None, message: str | None) -> ApiError:
    """The error of an injected status; `code` is the quota of a 429, else the reason."""
    if status == 401 and code is None:
        return ApiError(
            400, KEY_INVALID, message or "API key not valid. Please pass a valid API key."
        )
    return ApiError(status, code, message or MESSAGES.get(status, "The request failed."))


def render_error(api_error: ApiError) -> ApiResponse:
    """Google's error object, over several lines; within a stream too, where nothing marks it as an
    event."""
    error = {
        "code": api_error.status,
        "message": api_error.message,
        "status": STATUSES.get(api_error.status, "UNKNOWN"),
        "details": _error_details(api_error),
    }
    if not error["details"]:
        del error["details"]
    content = orjson.dumps({"error": error}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return ApiResponse(api_error.status, (), content, event_prefix=b"")


def invalid_request(message: str, field: str | None = None) -> ApiError:
    """The error for a body that breaks the contract; `field` is the API's path of the field."""
    return ApiError(400, None, message, field)


def invalid_value(place: str, message: str) -> ApiError:
    """The error for a value of the right type that is not allowed."""
    return invalid_request(f"* GenerateContentRequest.{place}: {message}\n")


def parse_json_object(content: bytes) -> dict[str, Any]:
    """The JSON object in a request body; raises `ApiError`."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise invalid_request(f"Invalid JSON payload received. {error}.") from error
    if not isinstance(body, dict):
        raise invalid_request("Invalid JSON payload received. Root element must be a message.")
    return body


def parse_message(value: Any, known: Collection[str], place: str) -> dict[str, Any]:
    """The fields of the message at `place`, in camel case, without nulls; raises `ApiError` for an
    unknown field."""
    if not isinstance(value, dict):
        raise wrong_type(place or "root", "type.googleapis.com/google.protobuf.Struct", value)
    fields: dict[str, Any] = {}
    for name, inner in value.items():
        camel = _JOINT.sub(lambda joint: joint[1].upper(), name)
        if camel not in known:
            at = f" at '{place}'" if place else ""
            raise invalid_request(
                f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.',
                place,
            )
        if inner is not None:
            fields[camel] = inner
    return fields


def parse_list(value: Any, place: str) -> list[Any]:
    """The items of a list, none if it is missing; raises `ApiError`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong_type(place, "type.googleapis.com/google.protobuf.Value", value)
    return value


def parse_text(value: Any, place: str) -> str:
    """A text, empty if it is missing; raises `ApiError`."""
    if value is not None and not isinstance(value, str):
        raise wrong_type(place, "TYPE_STRING", value)
    return value or ""


def parse_flag(value: Any, place: str) -> bool:
    """A boolean, false if it is missing; raises `ApiError`."""
    if value is not None and not isinstance(value, bool):
        raise wrong_type(place, "TYPE_BOOL", value)
    return bool(value)


def check_ranges(fields: Mapping[str, Any], ranges: Mapping[str, Range], place: str) -> None:
    """Refuse values that are not numbers, or out of range."""
    for name, allowed in ranges.items():
        value = fields.get(name)
        if value is None:
            continue
        where = f"{place}.{snake_case(name)}"
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not (
            is_whole or (allowed.type == "TYPE_FLOAT" and isinstance(value, float))
        ):
            raise wrong_type(where, allowed.type, value)
        if (
            value < allowed.low
            or value > allowed.high
            or (allowed.open_end and value == allowed.high)
        ):
            end = ")" if allowed.open_end else "]"
            bounds = f"must be in the range [{allowed.low:g}, {allowed.high:g}{end}."
            raise invalid_value(
                where,
                f"{snake_case(name)} {'must be positive.' if allowed.high == math.inf else bounds}",
            )


def check_enum(value: Any, allowed: Collection[str], place: str, enum: str) -> str:
    """`value` if it is among `allowed`; raises `ApiError`."""
    if isinstance(value, str) and value in allowed:
        return value
    raise wrong_type(
        place, f"type.googleapis.com/google.ai.generativelanguage.v1beta.{enum}", value
    )


def wrong_type(place: str, expected: str, value: Any) -> ApiError:
    """The error for a value of the wrong type."""
    shown = orjson.dumps(value).decode()
    return invalid_request(f"Invalid value at '{place}' ({expected}), {shown:.80}", place)


def snake_case(name: str) -> str:
    """The name of a field as errors spell it."""
    return _HUMP.sub(lambda hump: f"_{hump[0].lower()}", name)


def _error_details(api_error: ApiError) -> list[dict[str, Any]]:
    if api_error.status == 429:
        metric = "generativelanguage.googleapis.com/generate_content_requests"
        exceeded = {"quotaMetric": metric, "quotaId": api_error.code or QUOTA}
        return [
            {"@type": f"{_DETAIL}QuotaFailure", "violations": [exceeded]},
            {"@type": f"{_DETAIL}RetryInfo", "retryDelay": RETRY_DELAY},
        ]
    if api_error.code is not None:
        metadata = {"service": "generativelanguage.googleapis.com"}
        return [
            {
                "@type": f"{_DETAIL}ErrorInfo",
                "reason": api_error.code,
                "domain": "googleapis.com",
                "metadata": metadata,
            }
        ]
    if api_error.param is not None:
        violation = {"description": api_error.message} | (
            {"field": api_error.param} if api_error.param else {}
        )
        return [{"@type": f"{_DETAIL}BadRequest", "fieldViolations": [violation]}]
    return []
