"""Backpressure: a target's slots slow down together when the server asks for it (429, 503, 529) or
cannot be reached.

A Retry-After stops all starts until it has passed; the newest one counts. A refusal also spaces the
starts out, to a little more than what the server has lately accepted (the client-side throttling of
Google's SRE book, chapter 21, as a rate): a server that refuses one request in twenty at random
slows nothing, one that refuses most is asked ever more rarely. One that says in its rate-limit
headers that too little is left for the next request is given the time to fill up, before it
refuses. After the pause the space halves with every `RECOVERY` seconds without a refusal, so
throughput comes back by itself. Starts are jittered, so that nothing that waited together starts
together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import NamedTuple

from harness.model import Response

RECOVERY = 2.0
"""Seconds in which the space between two starts halves."""
MEMORY = 5.0
"""Half-life, in seconds, of what is remembered of accepted requests."""
HEADROOM = 1.25
"""Starts per accepted request that are tried under refusals: enough to notice that the server takes
more again."""
LONGEST_PAUSE = 120.0
"""Seconds a Retry-After may stop a target; a longer one stops it this long, and `retry` gives its
own call up."""
LONGEST_GAP = 1.0
THROTTLED_STATUSES = frozenset({429, 503, 529})
THROTTLED_KINDS = frozenset({"rate_limited", "overloaded", "connect", "dns", "timeout_connect"})
"""A server that cannot be reached is asked as rarely as one that refuses all: a try a second tells
when it is back."""

_NEGLIGIBLE = 0.001

_ANTHROPIC = "anthropic-ratelimit-requests-limit"
_OPENAI = "x-ratelimit-limit-requests"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SECONDS = (3600, 60, 1, 0.001)
_FACTS = ("limit", "remaining", "reset")


class Backpressure:
    """When the next start of one target may be; times are ns, `seed` draws the jitter."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._paused_until = 0
        self._next = 0
        self._gap = 0.0
        self._refused_at = 0
        self._first_start: int | None = None
        self._accepted = 0.0  # fading by half every MEMORY seconds
        self._counted_at = 0

    def earliest_start(self, now: int) -> int:
        """The earliest time, `now` or later, at which the next attempt may start."""
        return max(now, self._paused_until, self._next)

    def note_start(self, now: int) -> None:
        """An attempt starts at `now`."""
        if self._first_start is None:
            self._first_start = self._counted_at = now
        gap = self.start_spacing(now)
        self._next = now + round(gap * self._random.uniform(0.5, 1.5) * 1e9) if gap else 0

    def start_spacing(self, now: int) -> float:
        """Seconds between two starts at `now`, before jitter; 0 where nothing slows them."""
        if not self._gap:
            return 0.0
        recovering = max(0, now - max(self._refused_at, self._paused_until)) / 1e9
        gap: float = self._gap * 0.5 ** (recovering / RECOVERY)
        if gap < _NEGLIGIBLE:
            self._gap = 0.0
            return 0.0
        return gap

    def observe(self, response: Response, now: int) -> None:
        """Learn from the outcome of an attempt that ended at `now`."""
        error = response.error
        if error is not None and (
            error.status in THROTTLED_STATUSES or error.kind in THROTTLED_KINDS
        ):
            self._slow_down(error.retry_after, now)
        elif response.attempts and response.attempts[-1].status is not None:
            self._accepted = self._recently_accepted(now) + 1
            self._counted_at = now
            if _ANTHROPIC in response.headers or _OPENAI in response.headers:
                used = response.usage
                tokens = (used.input_tokens or 0) + (used.output_tokens or 0) if used else 0
                if short := wait_for_tokens(response.headers, tokens):
                    self._pause_until_refilled(short, now)

    def _slow_down(self, retry_after: float | None, now: int) -> None:
        if retry_after is not None and retry_after >= 0:
            self._paused_until = now + round(min(retry_after, LONGEST_PAUSE) * 1e9)
        self._gap, self._refused_at = self._sustainable_spacing(now), now
        self._next = max(self._next, now + round(self._gap * self._random.random() * 1e9))

    def _pause_until_refilled(self, seconds: float, now: int) -> None:
        """The server says that the next request will not fit for so long: nor will the one after
        it, for as long again."""
        self._paused_until = max(self._paused_until, now + round(min(seconds, LONGEST_PAUSE) * 1e9))
        self._gap, self._refused_at = max(self.start_spacing(now), min(seconds, LONGEST_GAP)), now

    def _sustainable_spacing(self, now: int) -> float:
        """The seconds between two starts that the server's recent acceptance supports."""
        known_for = (now - (self._first_start or 0)) / 1e9
        window = (
            MEMORY / math.log(2) * (1 - 0.5 ** (known_for / MEMORY))
        )  # seconds that the fading count stands for
        starts = HEADROOM * self._recently_accepted(now)
        return min(window / starts, LONGEST_GAP) if starts else LONGEST_GAP

    def _recently_accepted(self, now: int) -> float:
        faded: float = self._accepted * 0.5 ** ((now - self._counted_at) / 1e9 / MEMORY)
        return faded


# ── Rate-limit headers ────────────────────────────────────────────────────────────────────────────


class RateLimitState(NamedTuple):
    """One limit: how much it is, how much of it is left, and in how many seconds it is
    whole again."""

    limit: float
    remaining: float
    seconds: float

    def wait(self, needed: float) -> float:
        """Seconds until so much is left."""
        missing, spent = needed - self.remaining, self.limit - self.remaining
        return self.seconds * min(1.0, missing / spent) if missing > 0 and spent > 0 else 0.0


def wait_for_tokens(headers: Mapping[str, str], tokens: int) -> float:
    """Seconds until one more request of `tokens` fits; 0 where it does or the headers do not say.

    Two families of headers say what is left: OpenAI's `x-ratelimit-remaining-requests`, whose reset
    is a duration (`6m0s`), and Anthropic's `anthropic-ratelimit-requests-remaining`, whose reset is
    a time (RFC 3339, measured from the response's own `date`). Either reset is when the limit is
    whole again, and it fills all along: what is missing comes back in its share of that time.
    """
    return max(
        (
            limit.wait(1 if counts_requests else tokens)
            for limit, counts_requests in _read_limits(headers)
        ),
        default=0.0,
    )


def _read_limits(headers: Mapping[str, str]) -> Iterator[tuple[RateLimitState, bool]]:
    """Each limit, and whether it counts requests."""
    pattern = (
        "anthropic-ratelimit-{kind}-{fact}"
        if _ANTHROPIC in headers
        else "x-ratelimit-{fact}-{kind}"
    )
    for kind in ("requests", "tokens", "input-tokens", "output-tokens"):
        limit, remaining, reset = (
            headers.get(pattern.format(kind=kind, fact=fact), "") for fact in _FACTS
        )
        seconds = (
            _seconds_until(reset, headers.get("date", ""))
            if _ANTHROPIC in headers
            else _parse_duration(reset)
        )
        if limit.isdecimal() and remaining.isdecimal() and seconds is not None:
            yield RateLimitState(float(limit), float(remaining), seconds), kind == "requests"


def _parse_duration(text: str) -> float | None:
    """The seconds of a duration as Go writes it: `20ms`, `1s`, `6m0s`, `1h2m3.5s`."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    return sum(
        float(part or 0) * seconds for part, seconds in zip(found.groups(), _SECONDS, strict=True)
    )


def _seconds_until(reset: str, now: str) -> float | None:
    try:
        moment, reference = datetime.fromisoformat(reset), parsedate_to_datetime(now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None or reference.tzinfo is None:
        return None
    return max(0.0, (moment - reference).total_seconds())
