"""What rate-limit headers say about the next request, in both families, and garbage."""

from __future__ import annotations

import pytest

from harness.transport.middleware.backpressure import wait_for_tokens

NOW = "Sun, 22 Nov 2026 12:00:00 GMT"


def openai(
    requests: str, tokens: str, requests_reset: str = "1m0s", tokens_reset: str = "30s"
) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": requests,
        "x-ratelimit-reset-requests": requests_reset, "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": tokens, "x-ratelimit-reset-tokens": tokens_reset,
    }  # fmt: skip


def anthropic(requests: str, tokens: str, reset: str = "2026-11-22T12:01:00Z") -> dict[str, str]:
    named = {
        "requests": ("60", requests),
        "tokens": ("30000", tokens),
        "input-tokens": ("20000", "20000"),
    }
    told = {"date": NOW}
    for kind, (limit, remaining) in named.items():
        told |= {f"anthropic-ratelimit-{kind}-{fact}": value
                 for fact, value in (("limit", limit), ("remaining", remaining), ("reset", reset))}  # fmt: skip
    return told


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (openai("59", "30000"), 0),
        (openai("1", "500"), 0),
        (openai("0", "30000"), 1),
        (openai("0", "30000", "1h2m3.6s"), 3723.6 / 60),
        (openai("0", "30000", "300ms"), 0.005),
        (openai("5", "0"), 0.5),
        (openai("0", "0"), 1),
        (anthropic("59", "30000"), 0),
        (anthropic("0", "30000"), 1),
        (anthropic("0", "30000", "2026-11-22T11:59:00Z"), 0),
        (anthropic("9", "0"), 1),
        ({}, 0),
    ],
)
def test_what_is_missing_comes_back_in_its_share_of_the_reset(
    headers: dict[str, str], seconds: float
) -> None:
    assert wait_for_tokens(headers, 500) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "headers",
    [
        openai("-1", "x"), openai("0", "30000", ""), openai("0", "30000", "soon"), openai("0", "30000", "-1s"),
        openai("0", "30000", "1e9s"), {"x-ratelimit-limit-requests": "60"}, anthropic("0", "30000", "later"),
        anthropic("0", "30000", "2026-11-22T12:01:00"), anthropic("0", "30000") | {"date": "now"},
        openai("60", "30000") | {"x-ratelimit-limit-requests": "0"},
    ],
)  # fmt: skip
def test_what_cannot_be_read_stops_nothing(headers: dict[str, str]) -> None:
    assert wait_for_tokens(headers, 500) == 0


def test_a_request_larger_than_the_limit_waits_until_it_is_whole() -> None:
    assert wait_for_tokens(openai("5", "15000"), 10**9) == 30
