"""What a server says is left of its rate limits, and how long to wait where that is too little for one more request.

Two families of headers say it: OpenAI's `x-ratelimit-remaining-requests`, whose reset is a duration (`6m0s`), and Anthropic's
`anthropic-ratelimit-requests-remaining`, whose reset is a time (RFC 3339, measured from the response's own `date`). Either
reset is when the limit is whole again, and it fills all along: what is missing comes back in its share of that time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

_ANTHROPIC = "anthropic-ratelimit-requests-limit"
_OPENAI = "x-ratelimit-limit-requests"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SECONDS = (3600, 60, 1, 0.001)
_FACTS = ("limit", "remaining", "reset")


class RateLimitState(NamedTuple):
    """One limit: how much it is, how much of it is left, and in how many seconds it is whole again."""

    limit: float
    remaining: float
    seconds: float

    def wait(self, needed: float) -> float:
        """Seconds until so much is left."""
        missing, spent = needed - self.remaining, self.limit - self.remaining
        return self.seconds * min(1.0, missing / spent) if missing > 0 and spent > 0 else 0.0


def has_rate_limits(headers: Mapping[str, str]) -> bool:
    """Whether `headers` say anything of it; header names are lower case."""
    return _ANTHROPIC in headers or _OPENAI in headers


def wait_for_tokens(headers: Mapping[str, str], tokens: int) -> float:
    """Seconds until one more request of `tokens` fits; 0 where it does or nothing can be told."""
    return max((told.wait(1 if counts_requests else tokens) for told, counts_requests in _read_limits(headers)), default=0.0)


def _read_limits(headers: Mapping[str, str]) -> Iterator[tuple[RateLimitState, bool]]:
    """Each limit, and whether it counts requests."""
    pattern = "anthropic-ratelimit-{kind}-{fact}" if _ANTHROPIC in headers else "x-ratelimit-{fact}-{kind}"
    for kind in ("requests", "tokens", "input-tokens", "output-tokens"):
        limit, remaining, reset = (headers.get(pattern.format(kind=kind, fact=fact), "") for fact in _FACTS)
        seconds = _seconds_until(reset, headers.get("date", "")) if _ANTHROPIC in headers else _parse_duration(reset)
        if limit.isdecimal() and remaining.isdecimal() and seconds is not None:
            yield RateLimitState(float(limit), float(remaining), seconds), kind == "requests"


def _parse_duration(text: str) -> float | None:
    """The seconds of a duration as Go writes it: `20ms`, `1s`, `6m0s`, `1h2m3.5s`."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    return sum(float(part or 0) * seconds for part, seconds in zip(found.groups(), _SECONDS, strict=True))


def _seconds_until(reset: str, now: str) -> float | None:
    try:
        moment, reference = datetime.fromisoformat(reset), parsedate_to_datetime(now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None or reference.tzinfo is None:
        return None
    return max(0.0, (moment - reference).total_seconds())
