"""Backpressure: a target's starts slow down together, in proportion to the share of them that it
refuses (429, 503, 529, or it cannot be reached).

The share is that of the attempts started within a second, up to the newest whose outcome is known.
A few refusals at random say nothing of our speed, and slow nothing. Where clearly more than
`TOLERATED` were refused, the rate of starts is set to that of the attempts that were not, at most
once a second unless the share has grown much; then it rises again by itself, ever faster (the
multiplicative decrease of TCP and of adaptive-concurrency limiters, on the rate of starts). So a
server with a limit is driven close to it, and one that refuses everything is asked once a second.

A Retry-After holds back its own request, which is `retry`'s affair; it stops all starts only where
most attempts were refused: the newest one counts. A server that says in its rate-limit headers that
too little is left for the next request is given the time to fill up, before it refuses. Starts are
jittered, so that nothing that waited together starts together.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import sqrt
from random import Random
from typing import NamedTuple

from harness.model import Response
from harness.transport.middleware.traffic import Traffic

TOLERATED = 0.1
"""The share of refusals that slows nothing."""
MOST = 0.5
"""The share of refusals from which on a Retry-After stops all starts."""
WORSE = 0.2
"""By so much the share has to have grown for the rate to be reduced again within a second."""
WINDOW = 1.0
"""Seconds of starts that the share is of, and between two reductions."""
SAMPLE = 4
"""Starts that the share is of at least, older ones where there are fewer in the window."""
SLOWEST, FASTEST = 1.0, 1000.0
"""Starts per second: the rate is not reduced below the one; above the other nothing is spaced
out."""
LONGEST_RECOVERY = 20.0
"""Seconds after which any reduced rate has risen above `FASTEST`."""
LONGEST_PAUSE = 120.0
"""Seconds a Retry-After may stop a target; a longer one stops it this long, and `retry` gives its
own call up."""
THROTTLED_STATUSES = frozenset({429, 503, 529})
THROTTLED_KINDS = frozenset({"rate_limited", "overloaded", "connect", "dns", "timeout_connect"})
"""A server that cannot be reached is asked as rarely as one that refuses all: a try a second tells
when it is back."""

_ANTHROPIC = "anthropic-ratelimit-requests-limit"
_OPENAI = "x-ratelimit-limit-requests"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SECONDS = (3600, 60, 1, 0.001)
_FACTS = ("limit", "remaining", "reset")


class Backpressure:
    """When the next start of one target may be; times are ns, `seed` draws the jitter.

    `traffic` is told of refusals, and of when starts are slowed down.
    """

    def __init__(self, seed: int, traffic: Traffic) -> None:
        self._random = Random(seed)
        self._traffic = traffic
        self._starts = _StartLog()
        self._paused_until = 0
        self._next = 0
        self._rate: float | None = None
        self._reduced_at = 0
        self._reduced_for = 0.0

    def earliest_start(self, now: int) -> int:
        """The earliest time, `now` or later, at which the next attempt may start."""
        return max(now, self._paused_until, self._next)

    def note_start(self, now: int) -> None:
        """An attempt starts at `now`."""
        self._starts.note_start(now)
        if self._rate is not None and (rate := self._rate_at(now)) is not None:
            self._next = now + round(self._random.uniform(0.5, 1.5) / rate * 1e9)

    def observe(self, response: Response, started: int, now: int) -> None:
        """Learn from the outcome of an attempt that started and ended at these times."""
        error = response.error
        if error is not None and (
            error.status in THROTTLED_STATUSES or error.kind in THROTTLED_KINDS
        ):
            refused = error.status if error.status in THROTTLED_STATUSES else error.kind
            self._traffic.refusals[str(refused)] += 1
            self._slow_down(error.retry_after, started, now)
        elif response.headers and (_ANTHROPIC in response.headers or _OPENAI in response.headers):
            used = response.usage
            tokens = (used.input_tokens or 0) + (used.output_tokens or 0) if used else 0
            if short := wait_for_tokens(response.headers, tokens):
                self._pause_until_refilled(min(short, LONGEST_PAUSE), now)

    def _slow_down(self, retry_after: float | None, started: int, now: int) -> None:
        self._starts.note_refusal(started)
        recent = self._starts.count_until(started)
        if retry_after is not None and retry_after >= 0 and recent.share > MOST:
            self._paused_until = now + round(min(retry_after, LONGEST_PAUSE) * 1e9)
        if not recent.shows_more_than(TOLERATED):
            return
        is_worse = recent.share >= self._reduced_for + WORSE
        if self._rate is None or is_worse or now - self._reduced_at >= WINDOW * 1e9:
            self._reduce_rate(recent.accepted / max(recent.seconds, WINDOW), now)
            self._reduced_for = recent.share

    def _pause_until_refilled(self, seconds: float, now: int) -> None:
        """The server says that the next request will not fit for so long: nor will the one after
        it, for as long again."""
        self._paused_until = max(self._paused_until, now + round(seconds * 1e9))
        self._reduce_rate(1 / seconds, now)

    def _reduce_rate(self, rate: float, now: int) -> None:
        """Let starts come at `rate` (per second) or as slowly as they do."""
        self._rate = max(SLOWEST, min(rate, self._rate_at(now) or rate))
        self._reduced_at = now
        self._next = max(self._next, now + round(self._random.random() / self._rate * 1e9))
        self._traffic.note_slow(now)

    def _rate_at(self, now: int) -> float | None:
        """The starts per second at `now`; None where nothing spaces them out.

        It has grown by a quarter one second after it was reduced, twofold after two, tenfold after
        four, a hundredfold after six.
        """
        if self._rate is None:
            return None
        seconds = max(0, now - max(self._reduced_at, self._paused_until)) / 1e9
        if seconds < LONGEST_RECOVERY:
            rate: float = self._rate * 2 ** (seconds * (seconds + 1) / 6)
            if rate < FASTEST:
                return rate
        self._rate, self._reduced_for = None, 0.0
        self._traffic.note_full_speed(now)
        return None


class RecentStarts(NamedTuple):
    """The attempts started within some `seconds`, and how many of them were refused so far."""

    starts: int
    refused: int
    seconds: float

    @property
    def accepted(self) -> int:
        """Those not refused so far."""
        return self.starts - self.refused

    @property
    def share(self) -> float:
        """The share that was refused."""
        return self.refused / self.starts if self.starts else 0.0

    def shows_more_than(self, share: float) -> bool:
        """Whether so many were refused that it is hardly chance: two standard errors above."""
        margin = 2 * sqrt(self.starts * share * (1 - share))
        return self.refused > self.starts * share + margin


class _StartLog:
    """How many attempts started, and how many of those were refused, by tenths of a second."""

    STEP = 100_000_000
    KEPT = 600

    def __init__(self) -> None:
        self._steps: deque[list[int]] = deque(maxlen=self.KEPT)  # [when, starts, refused]
        self._newest = [-self.STEP, 0, 0]

    def note_start(self, now: int) -> None:
        step = self._newest
        if now - step[0] >= self.STEP:
            step = self._newest = [now, 0, 0]
            self._steps.append(step)
        step[1] += 1

    def note_refusal(self, started: int) -> None:
        for step in reversed(self._steps):
            if step[0] <= started:
                step[2] += 1
                return

    def count_until(self, moment: int) -> RecentStarts:
        """The starts of the second before `moment`, and earlier ones as far as it takes for a
        sample."""
        starts, refused, since, first = 0, 0, moment, moment - round(WINDOW * 1e9)
        for when, started, failed in reversed(self._steps):
            if when > moment:
                continue  # what became of those is not known yet
            if when <= first and starts >= SAMPLE:
                break
            starts, refused, since = starts + started, refused + failed, when
        return RecentStarts(starts, refused, (moment - since) / 1e9)


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
