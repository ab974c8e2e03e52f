"""Classifies providers' error responses: an `Error` with a stable kind, and whether a retry can
help.

One table serves every format, because formats leak into each other: Cloudflare's OpenAI-compatible
endpoint answers in Cloudflare's envelope, and vLLM's messages come through Workers AI. A known
error code outranks the HTTP status: a capacity error (3040) has been seen with status 400, and a
429 for exhausted credit is not cured by waiting. Google's errors (`google.rpc.Status`) state the
wait in the body and in no header, and word a daily quota like one per minute: only its id tells
them apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from msgspec import Struct

from harness.model import Error
from harness.providers.json_text import UnreadableJSONError, compact_json, loads, snippet

MESSAGE_LIMIT = 500
"""Most characters of a provider's own error message that are kept."""

DAILY_QUOTA = "PerDay"
"""In the id of a Google quota that waiting a minute does not refill."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")

# code -> (kind, retryable). Cloudflare: developers.cloudflare.com/workers-ai/platform/errors;
# OpenAI: its error-codes guide; Anthropic: the error types of its Messages API; llama.cpp; Groq;
# Google: google.rpc.Code, without INVALID_ARGUMENT, which says less than the message and the status
# that come with it.
CODES: Mapping[str, tuple[str, bool]] = {
    "10000": ("unauthorized", False),
    "7000": ("not_found", False),
    "7003": ("not_found", False),
    "3003": ("bad_request", False),
    "3039": ("bad_request", False),
    "5004": ("bad_request", False),
    "5005": ("bad_request", False),
    "5006": ("bad_request", False),
    "5019": ("bad_request", False),
    "2008": ("bad_request", False),
    "2021": ("bad_request", False),
    "5007": ("not_found", False),
    "3042": ("not_found", False),
    "3023": ("forbidden", False),
    "3041": ("forbidden", False),
    "5016": ("forbidden", False),
    "5018": ("forbidden", False),
    "5035": ("forbidden", False),
    "3010": ("context_length", False),
    "5021": ("context_length", False),
    "3006": ("too_large", False),
    "3007": ("timeout", True),
    "3008": ("timeout", True),
    "3036": ("quota_exhausted", False),
    "4006": ("quota_exhausted", False),
    "1027": ("quota_exhausted", False),
    "1015": ("rate_limited", True),
    "3040": ("overloaded", True),
    "rate_limit_exceeded": ("rate_limited", True),
    "insufficient_quota": ("quota_exhausted", False),
    "context_length_exceeded": ("context_length", False),
    "model_not_found": ("not_found", False),
    "invalid_api_key": ("unauthorized", False),
    "server_error": ("server_error", True),
    "overloaded_error": ("overloaded", True),
    "content_filter": ("content_filter", False),
    "rate_limit_error": ("rate_limited", True),
    "ramp_limit_exceeded": ("rate_limited", True),
    "enforced_spend_limit_reached": ("quota_exhausted", False),
    "contract_spend_limit_reached": ("quota_exhausted", False),
    "billing_error": ("quota_exhausted", False),
    "authentication_error": ("unauthorized", False),
    "permission_error": ("forbidden", False),
    "not_found_error": ("not_found", False),
    "request_too_large": ("too_large", False),
    "timeout_error": ("timeout", True),
    "api_error": ("server_error", True),
    "exceed_context_size_error": ("context_length", False),
    "json_validate_failed": ("json_mode", False),
    "API_KEY_INVALID": ("unauthorized", False),
    "UNAUTHENTICATED": ("unauthorized", False),
    "PERMISSION_DENIED": ("forbidden", False),
    "NOT_FOUND": ("not_found", False),
    "RESOURCE_EXHAUSTED": ("rate_limited", True),
    "INTERNAL": ("server_error", True),
    "UNKNOWN": ("server_error", True),
    "UNAVAILABLE": ("overloaded", True),
    "DEADLINE_EXCEEDED": ("timeout", True),
}

# HTTP status -> (kind, retryable); any other status is classified by its class (4xx, 5xx).
STATUSES: Mapping[int, tuple[str, bool]] = {
    401: ("unauthorized", False),
    402: ("quota_exhausted", False),
    403: ("forbidden", False),
    404: ("not_found", False),
    408: ("timeout", True),
    409: ("conflict", True),
    413: ("too_large", False),
    429: ("rate_limited", True),
    498: ("overloaded", True),
    503: ("overloaded", True),
    504: ("timeout", True),
    524: ("timeout", True),
    529: ("overloaded", True),
}

# A pattern of the message -> kind, where the code says less than the message. None of these is
# worth a retry.
_MESSAGES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"json mode couldn.t be met", re.IGNORECASE), "json_mode"),
    (
        re.compile(r"input token count .*exceeds the maximum number of tokens", re.IGNORECASE),
        "context_length",
    ),
    (
        re.compile(
            r"maximum context length|context window limit|prompt is too long|exceed context limit",
            re.IGNORECASE,
        ),
        "context_length",
    ),
    (
        re.compile(
            r"daily free allocation|exceeded your current quota|credit balance is too low",
            re.IGNORECASE,
        ),
        "quota_exhausted",
    ),
)


class ErrorBody(Struct, frozen=True):
    """A parsed error body: `codes` from the most to the least specific, as text; `wait`, the
    seconds it asks to wait."""

    message: str
    codes: tuple[str, ...] = ()
    wait: float | None = None


def http_error(status: int, headers: Mapping[str, str], body: bytes) -> Error:
    """The error of a response whose status is not 2xx. Header names are lower case; the body may be
    anything."""
    kind, retryable, code = classify_error(status, parsed := _parse_body(body))
    wait = parse_retry_after(headers)
    where = f"HTTP {status}" + (f", code {code}" if code else "")
    return Error(
        boundary="provider",
        kind=kind,
        message=f"{where}: {parsed.message}",
        retryable={"true": True, "false": False}.get(
            headers.get("x-should-retry", "").lower(), retryable
        ),
        status=status,
        code=code,
        retry_after=parsed.wait if wait is None else wait,
    )


def embedded_error(value: Mapping[str, Any]) -> Error:
    """The error inside a body or a stream event of a response whose status was 2xx."""
    kind, retryable, code = classify_error(None, parsed := _parse_error(value))
    origin = "the provider answered with an error" + (f" (code {code})" if code else "")
    message = f"{origin}: {parsed.message}"
    return Error("provider", kind, message, retryable=retryable, code=code, retry_after=parsed.wait)


def unreadable_error(cause: UnreadableJSONError) -> Error:
    """The error of a response that cannot be parsed."""
    return Error(
        boundary="provider", kind="unreadable", message=f"the provider's answer is {cause}"
    )


def empty_error(what: str) -> Error:
    """The error of a response with no content. It is not retried: the same request tends to get the
    same response."""
    return Error(boundary="provider", kind="empty", message=f"the provider answered, but {what}")


def truncated_error() -> Error:
    """The error of a stream that stopped without a terminal signal or a finish reason."""
    message = (
        "the stream ended without its terminal signal or a finish reason: the answer is cut off"
    )
    return Error(boundary="provider", kind="truncated", message=message, retryable=True)


def aborted_error() -> Error:
    """The error of a stream whose finish reason is `error`: the generating server failed, with no
    further details."""
    message = "the provider broke the answer off with the finish reason 'error'"
    return Error(boundary="provider", kind="server_error", message=message, retryable=True)


# ── Classification ────────────────────────────────────────────────────────────────────────


def classify_error(status: int | None, body: ErrorBody) -> tuple[str, bool, str | None]:
    """Kind, whether a retry can help, and the deciding code: by known code, else by message, else
    by HTTP status."""
    for code in body.codes:
        if DAILY_QUOTA in code:
            return "quota_exhausted", False, code
        if code in CODES and not _is_overruled_by_status(CODES[code][0], status):
            return (*CODES[code], code)
    first = body.codes[0] if body.codes else None
    for pattern, kind in _MESSAGES:
        if pattern.search(body.message):
            return kind, False, first
    return (*_kind_by_status(status or _embedded_status(body.codes)), first)


def _is_overruled_by_status(kind: str, status: int | None) -> bool:
    """Whether the status is more specific than the code: Ollama calls every error `api_error`, and
    a 413 is no rate limit."""
    if kind == "rate_limited":
        return status == 413
    return kind == "server_error" and status is not None and 400 <= status < 500


def _kind_by_status(status: int | None) -> tuple[str, bool]:
    if status is None:
        return "server_error", False
    if status in STATUSES:
        return STATUSES[status]
    if status >= 500:
        return "server_error", True
    return ("bad_request", False) if status >= 400 else ("unexpected_status", False)


def _embedded_status(codes: tuple[str, ...]) -> int | None:
    """The HTTP status that an error inside a 200 states as its code (vLLM, OpenRouter: `"code":
    502`)."""
    return next(
        (int(code) for code in codes if len(code) == 3 and code.isascii() and code.isdigit()), None
    )


# ── Error bodies ──────────────────────────────────────────────────────────────────────────


def _parse_body(body: bytes) -> ErrorBody:
    if not body.strip():
        return ErrorBody("no body")
    try:
        value, _ = loads(body)
    except UnreadableJSONError:
        value = _parse_event_stream(body)
        if value is None:
            return ErrorBody(f"a body that is not JSON: {snippet(body)}")
    if isinstance(value, list) and len(value) == 1:  # Gemini wraps some errors so
        value = value[0]
    return (
        _parse_error(value)
        if isinstance(value, dict)
        else ErrorBody(f"an unexpected body: {snippet(body)}")
    )


def _parse_event_stream(body: bytes) -> dict[str, Any] | None:
    """The first object in a body of server-sent events; None where there is none."""
    for event in re.split(rb"(?:\r\n|\r|\n){2}", body):
        data = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
        try:
            value, _ = loads(b"\n".join(data))
        except UnreadableJSONError:
            continue
        if isinstance(value, dict):
            return value
    return None


def _parse_error(value: Mapping[str, Any]) -> ErrorBody:
    """Every form in use: `{error: {…}}`, `{error: "text"}`, Cloudflare's `{errors: […]}`, bare
    `{message}`, `{detail}`."""
    objects = list(_error_objects(value))
    codes = [code for each in objects for code in _google_codes(each)]
    codes += [
        each[key]
        for each in (*objects, value)
        for key in ("code", "internalCode", "type")
        if key in each
    ]
    message = next(
        (text for each in objects for key in ("message", "detail") if (text := each.get(key))), None
    )
    shown = (
        snippet(message, MESSAGE_LIMIT)
        if isinstance(message, str)
        else _dump_in_full(message or value)
    )
    waits = (_google_retry_delay(each) for each in objects)
    return ErrorBody(
        shown, tuple(_code_texts(codes)), next((wait for wait in waits if wait is not None), None)
    )


def _dump_in_full(value: Any) -> str:
    try:
        return snippet(compact_json(value))
    except UnreadableJSONError as cause:
        return str(cause)


def _error_objects(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    errors = value.get("errors")
    for error in (value.get("error"), *(errors if isinstance(errors, list) else ())):
        if isinstance(error, dict):
            if (
                isinstance(details := error.get("details"), dict) and "error_code" in details
            ):  # Anthropic
                yield {"code": details["error_code"]}
            yield error
        elif isinstance(error, str) and error:
            yield {"message": error}
    yield value


def _code_texts(values: list[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1_000_000_000:
            yield str(value)
        elif isinstance(value, str) and value:
            yield snippet(value, 64)


def _google_codes(error: Mapping[str, Any]) -> Iterator[str]:
    """A Google error's exhausted daily quota, its reason and its status word: from the most to the
    least specific."""
    details = _dicts_in(error.get("details"))
    quotas = [
        violation.get("quotaId")
        for detail in details
        for violation in _dicts_in(detail.get("violations"))
    ]
    yield from (quota for quota in quotas if isinstance(quota, str) and DAILY_QUOTA in quota)
    yield from (reason for detail in details if isinstance(reason := detail.get("reason"), str))
    status = error.get("status")
    if isinstance(status, str) and status.isupper():  # other vendors say `failed` there
        yield status


def _google_retry_delay(error: Mapping[str, Any]) -> float | None:
    """Seconds to wait, from a `RetryInfo` (`"retryDelay": "34.5s"`); None where there is none."""
    for detail in _dicts_in(error.get("details")):
        delay = detail.get("retryDelay")
        found = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
        if found and math.isfinite(seconds := float(found[1])):
            return seconds
    return None


def _dicts_in(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


# ── Retry-After ───────────────────────────────────────────────────────────────────────────


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: `retry-after-ms`, else `retry-after` in seconds or as an
    HTTP date.

    A date is measured from the response's own `date` header, so that no clock is read and the
    server's clock error cancels out; a past one means now. None where there is no usable value
    (negative, not finite, malformed).
    """
    milliseconds = _parse_seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _parse_seconds(value)
    if seconds is not None:
        return seconds
    moment, now = _parse_date(value), _parse_date(headers.get("date"))
    return None if moment is None or now is None else max(0.0, (moment - now).total_seconds())


def _parse_seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _parse_date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
