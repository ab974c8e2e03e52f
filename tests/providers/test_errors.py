"""Refusals: which kind, retried or not, and how long to wait."""

# Bodies stand here as they are on the wire.

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.providers.errors import embedded_error, http_error, parse_retry_after


def envelope(code: int, message: str = "AiError: something") -> bytes:
    return b'{"errors":[{"message":"%s","code":%d}],"success":false,"result":{},"messages":[]}' % (
        message.encode(),
        code,
    )


def openai(type_: str, code: str | None, message: str = "no") -> bytes:
    quoted = f'"{code}"' if code else "null"
    return f'{{"error":{{"message":"{message}","type":"{type_}","param":null,"code":{quoted}}}}}'.encode()


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable"),
    [
        (401, 10000, "unauthorized", False),
        (403, 10000, "unauthorized", False),
        (404, 7003, "not_found", False),
        (400, 7000, "not_found", False),
        (400, 5006, "bad_request", False),
        (400, 5007, "not_found", False),
        (400, 5004, "bad_request", False),
        (400, 3003, "bad_request", False),
        (405, 5005, "bad_request", False),
        (403, 5016, "forbidden", False),
        (403, 5018, "forbidden", False),
        (403, 5035, "forbidden", False),
        (404, 3042, "not_found", False),
        (413, 5021, "context_length", False),
        (413, 3010, "context_length", False),
        (413, 3006, "too_large", False),
        (408, 3007, "timeout", True),
        (408, 3008, "timeout", True),
        (429, 3036, "quota_exhausted", False),
        (429, 4006, "quota_exhausted", False),
        (429, 3040, "overloaded", True),
        (400, 3040, "overloaded", True),
        (400, 3030, "bad_request", False),
        (502, 3030, "server_error", True),
        (500, 9999, "server_error", True),
    ],
)
def test_cloudflare_codes(status: int, code: int, kind: str, retryable: bool) -> None:
    error = http_error(status, {}, envelope(code))
    assert (error.boundary, error.kind, error.retryable) == ("provider", kind, retryable)
    assert (error.status, error.code) == (status, str(code))
    assert error.message == f"HTTP {status}, code {code}: AiError: something"


def test_cloudflares_internal_code_decides_where_the_outer_one_says_nothing() -> None:
    body = b'{"errors":[{"message":"AiError: busy","code":3030}],"success":false,"result":{},"internalCode":3040}'
    assert (http_error(500, {}, body).kind, http_error(500, {}, body).code) == (
        "overloaded",
        "3040",
    )


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (400, openai("invalid_request_error", "unsupported_parameter"), "bad_request", False),
        (400, openai("invalid_request_error", "context_length_exceeded"), "context_length", False),
        (401, openai("invalid_request_error", "invalid_api_key"), "unauthorized", False),
        (404, openai("invalid_request_error", "model_not_found"), "not_found", False),
        (408, b"", "timeout", True),
        (409, b"", "conflict", True),
        (422, b'{"detail":[{"loc":["body"],"msg":"field required"}]}', "bad_request", False),
        (429, openai("requests", "rate_limit_exceeded"), "rate_limited", True),
        (429, openai("insufficient_quota", "insufficient_quota"), "quota_exhausted", False),
        (429, openai("insufficient_quota", None), "quota_exhausted", False),
        (429, b"", "rate_limited", True),
        (402, b'{"error":{"code":402,"message":"Insufficient credits"}}', "quota_exhausted", False),
        (500, openai("server_error", None), "server_error", True),
        (503, b"<html><h1>503 Service Unavailable</h1></html>", "overloaded", True),
        (529, b"{}", "overloaded", True),
        (
            400,
            b'{"object":"error","message":"maximum context length is 4096","code":400}',
            "context_length",
            False,
        ),
        (307, b"", "unexpected_status", False),
    ],
)
def test_openai_bodies(status: int, body: bytes, kind: str, retryable: bool) -> None:
    error = http_error(status, {}, body)
    assert (error.kind, error.retryable) == (kind, retryable)


def test_json_mode_that_could_not_be_met_is_not_tried_again() -> None:
    error = http_error(400, {}, envelope(5024, "JSON Mode couldn't be met"))
    assert (error.kind, error.retryable) == ("json_mode", False)


def test_an_html_page_is_quoted_short_and_without_control_characters() -> None:
    error = http_error(502, {}, b"<html>\x1b]0;title\x07" + b"x" * 10_000)
    assert error.message.startswith(
        "HTTP 502: a body that is not JSON: <html>\\x1b]0;title\\x07xxx"
    )
    assert len(error.message) < 300


def test_the_server_may_say_whether_to_retry() -> None:
    assert http_error(500, {"x-should-retry": "false"}, b"").retryable is False
    assert http_error(400, {"x-should-retry": "true"}, b"").retryable is True


def error(**fields: object) -> bytes:
    return json.dumps({"error": fields}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        # OpenAI
        (400, error(message="Unsupported value", type="invalid_request_error", code="unsupported_value"), "bad_request", False),
        (403, error(message="Country not supported", type="request_forbidden", code="unsupported_country_region_territory"), "forbidden", False),
        (429, error(message="Rate limit reached on tokens per day (TPD)", type="tokens", code="rate_limit_exceeded"), "rate_limited", True),
        (503, error(message="Slow down", type="server_error", code=None), "server_error", True),
        # Azure
        (400, error(message="The response was filtered", code="content_filter", status=400, innererror={"code": "ResponsibleAIPolicyViolation"}), "content_filter", False),
        # vLLM
        (400, error(message="This model's maximum context length is 4096 tokens.", type="BadRequestError", code=400), "context_length", False),
        (404, error(message="The model `x` does not exist.", type="NotFoundError", code=404), "not_found", False),
        # llama.cpp
        (400, error(code=400, message="the request exceeds the available context size", type="exceed_context_size_error", n_ctx=4096), "context_length", False),
        (503, error(code=503, message="Loading model", type="unavailable_error"), "overloaded", True),
        # Ollama
        (404, b'{"error":"model x not found"}', "not_found", False),
        (500, b'{"error":"llama runner process has terminated"}', "server_error", True),
        # OpenRouter
        (403, error(code=403, message="Your input was flagged", metadata={"flagged_input": "y"}), "forbidden", False),
        (408, error(code=408, message="Your request timed out"), "timeout", True),
        (502, error(code=502, message="Provider returned error", metadata={"raw": "x"}), "server_error", True),
        (524, error(code=524, message="The provider timed out"), "timeout", True),
        (529, error(code=529, message="The provider is overloaded"), "overloaded", True),
        # Groq
        (498, error(message="Flex tier capacity exceeded", type="capacity_exceeded", code="capacity_exceeded"), "overloaded", True),
        (400, error(message="Failed to generate JSON", type="invalid_request_error", code="json_validate_failed"), "json_mode", False),
        # An answer that was to be a stream
        (503, b'event: error\r\ndata: {"error":{"message":"Slow down","code":"rate_limit_exceeded"}}\r\n\r\n', "rate_limited", True),
        (400, b': ping\n\ndata: {"error":\ndata: {"message":"prompt is too long"}}\n\ndata: [DONE]\n\n', "context_length", False),
        # Mistral
        (429, b'{"object":"error","message":"Service tier capacity exceeded","type":"service_tier_capacity_exceeded","code":"3505"}', "rate_limited", True),
    ],
)  # fmt: skip
def test_the_bodies_of_other_vendors(status: int, body: bytes, kind: str, retryable: bool) -> None:
    found = http_error(status, {}, body)
    assert (found.kind, found.retryable) == (kind, retryable)


@pytest.mark.parametrize(
    ("value", "kind", "retryable", "code"),
    [
        ({"error": {"code": 502, "message": "Provider returned error"}, "choices": []}, "server_error", True, "502"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded", True, "overloaded_error"),
        ({"object": "error", "message": "boom", "code": 500}, "server_error", True, "500"),
        ({"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}}, "rate_limited", True, "RESOURCE_EXHAUSTED"),
        ({"error": {"message": "no"}, "status": "failed"}, "server_error", False, None),
        ({"error": "unexpected EOF"}, "server_error", False, None),
    ],
)  # fmt: skip
def test_errors_inside_an_answer_that_began_well(
    value: dict[str, object], kind: str, retryable: bool, code: str | None
) -> None:
    found = embedded_error(value)
    assert (found.kind, found.retryable, found.code) == (kind, retryable, code)


def google(code: int, status: str, message: str = "no", *details: str) -> bytes:
    return f'{{"error":{{"code":{code},"message":"{message}","status":"{status}","details":[{",".join(details)}]}}}}'.encode()


def info(reason: str) -> str:
    return f'{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}","domain":"googleapis.com"}}'


def quota(*identifiers: str) -> str:
    violations = ",".join(
        f'{{"quotaMetric":"generativelanguage.googleapis.com/x","quotaId":"{each}"}}'
        for each in identifiers
    )
    return f'{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{violations}]}}'


MINUTE, DAY = (
    "GenerateRequestsPerMinutePerProjectPerModel",
    "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
)
RETRY = '{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074824224s"}'
QUOTA_WORDS = "You exceeded your current quota, please check your plan and billing details."
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable", "code", "wait"),
    [
        (429, google(429, "RESOURCE_EXHAUSTED", QUOTA_WORDS, quota(MINUTE), RETRY), "rate_limited", True, "RESOURCE_EXHAUSTED", 34.074824224),
        (429, google(429, "RESOURCE_EXHAUSTED", QUOTA_WORDS, quota(MINUTE, DAY), RETRY), "quota_exhausted", False, DAY, 34.074824224),
        (429, b"[%s]" % google(429, "RESOURCE_EXHAUSTED"), "rate_limited", True, "RESOURCE_EXHAUSTED", None),
        (400, google(400, "INVALID_ARGUMENT", "API key not valid.", info("API_KEY_INVALID")), "unauthorized", False, "API_KEY_INVALID", None),
        (400, google(400, "INVALID_ARGUMENT", "Unknown name"), "bad_request", False, "INVALID_ARGUMENT", None),
        (400, google(400, "INVALID_ARGUMENT", TOO_LONG), "context_length", False, "INVALID_ARGUMENT", None),
        (400, google(400, "FAILED_PRECONDITION", "User location is not supported"), "bad_request", False, "FAILED_PRECONDITION", None),
        (401, google(401, "UNAUTHENTICATED"), "unauthorized", False, "UNAUTHENTICATED", None),
        (403, google(403, "PERMISSION_DENIED"), "forbidden", False, "PERMISSION_DENIED", None),
        (404, google(404, "NOT_FOUND"), "not_found", False, "NOT_FOUND", None),
        (500, google(500, "INTERNAL"), "server_error", True, "INTERNAL", None),
        (503, google(503, "UNAVAILABLE"), "overloaded", True, "UNAVAILABLE", None),
        (504, google(504, "DEADLINE_EXCEEDED"), "timeout", True, "DEADLINE_EXCEEDED", None),
    ],
)  # fmt: skip
def test_googles_statuses_reasons_and_waits(
    status: int, body: bytes, kind: str, retryable: bool, code: str, wait: float | None
) -> None:
    error = http_error(status, {}, body)
    assert (error.kind, error.retryable, error.code, error.retry_after) == (
        kind,
        retryable,
        code,
        wait,
    )


@pytest.mark.parametrize("delay", ["34", "-1s", "1e999s", "s", ""])
def test_a_wait_that_is_no_duration_is_none(delay: str) -> None:
    assert (
        http_error(
            429, {}, google(429, "RESOURCE_EXHAUSTED", "no", RETRY.replace("34.074824224s", delay))
        ).retry_after
        is None
    )


def test_the_header_outranks_the_body() -> None:
    assert (
        http_error(
            429, {"retry-after": "2"}, google(429, "RESOURCE_EXHAUSTED", "no", RETRY)
        ).retry_after
        == 2
    )


NOW = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT", "date": NOW}, 90.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT", "date": NOW}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT"}, None),
        ({"retry-after": "1000000000"}, 1e9),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "", "date": NOW}, None),
        ({}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers) == seconds


@given(
    st.integers(100, 999),
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text()),
    st.binary(),
)
def test_any_answer_is_an_error_and_never_an_exception(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    error = http_error(status, headers, body)
    assert error.message.isprintable()
    assert error.retry_after is None or error.retry_after >= 0
