"""Requests and tokens per minute of one API key: charged before a request starts, corrected when
its answer reports its usage.

A request is charged its estimated input tokens and the maximum number of output tokens. If its
output has no limit, it is charged the mean of the answers so far; before there is any, the whole
minute, so the first request runs alone. The charge is then corrected to the tokens used, so that an
answer shorter than its limit delays nothing, and later requests make up for one that was longer
than expected. Starts are spaced by the mean, whatever the limit is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import ceil
from typing import NamedTuple

from msgspec import Struct

from harness.model import Limits, Response
from harness.transport.send import Clock

WINDOW = 60_000_000_000
"""Nanoseconds of a minute."""

_TOGETHER = WINDOW // 600
"""Nanoseconds within which takings are logged as one."""

MAX_CORRECTION = 4.0
"""Times the estimate that input tokens are taken to be at most, whatever a server reports."""


class TokenNeed(NamedTuple):
    """The tokens that a request is going to take: its input, estimated, and the most output it can
    have, None where nothing says."""

    input: int
    output: int | None


class LogEntry(Struct):
    """Units taken at about one moment; `expired` once they are older than the window."""

    taken: int
    units: int
    expired: bool = False


class Charge(NamedTuple):
    """What one request was charged, to be settled once it is known what it used."""

    need: TokenNeed
    tokens: int
    expected: int
    entry: LogEntry


class Quota:
    """Requests and tokens a minute of one API key, shared by its targets."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: RateLimiter | None = None
        self._tokens: RateLimiter | None = None
        self._outputs = self._output_sum = 0
        self._correction = 1.0  # how many times the estimate input tokens were, at most
        self.turn = asyncio.Lock()
        self.unlimited = True
        """Whether nothing is ever waited for here."""

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens matter."""
        return self._tokens is not None

    def add_limits(self, limits: Limits) -> None:
        """Let the limits of one more target hold as well."""
        self._requests = _tighter_rate(self._requests, limits.rpm)
        self._tokens = _tighter_rate(self._tokens, limits.tpm)
        self.unlimited = self._requests is None and self._tokens is None

    def ready(self, need: TokenNeed | None, now: int) -> int:
        """The earliest time, `now` or later, for one more request with this need of tokens."""
        requests = self._requests.ready(1, now) if self._requests else now
        if self._tokens is None or need is None:
            return requests
        return max(requests, self._tokens.ready(self._most_tokens(need), now))

    def take(self, need: TokenNeed | None, now: int) -> Charge | None:
        """One request with this need of tokens starts at `now`."""
        if self._requests:
            self._requests.take(1, now)
        if self._tokens is None or need is None:
            return None
        most = min(self._most_tokens(need), self._tokens.limit)
        expected = min(most, self._expected_tokens(need))
        return Charge(need, most, expected, self._tokens.take(most, now, spacing=expected))

    def settle(self, charge: Charge, response: Response) -> None:
        """Count what the request did use: what it reports, nothing where it was refused, else what
        it was charged."""
        usage, status = response.usage, response.attempts[-1].status if response.attempts else None
        if usage is not None and usage.input_tokens is not None and usage.output_tokens is not None:
            used = usage.input_tokens + usage.output_tokens
            self._learn(charge.need, usage.input_tokens, usage.output_tokens)
        elif status is not None and 300 <= status < 500:
            used = 0
        else:
            return
        if self._tokens is not None:
            self._tokens.correct(charge.entry, used - charge.tokens, used - charge.expected)

    def _learn(self, need: TokenNeed, input_tokens: int, output_tokens: int) -> None:
        self._outputs, self._output_sum = self._outputs + 1, self._output_sum + output_tokens
        if need.input:
            found = min(input_tokens / need.input, MAX_CORRECTION)
            self._correction = max(self._correction, found)

    def _most_tokens(self, need: TokenNeed) -> int:
        if need.output is None:
            return self._expected_tokens(need)
        return ceil(need.input * self._correction) + need.output

    def _expected_tokens(self, need: TokenNeed) -> int:
        """By the mean of the answers so far; before there is any, by the limit, if only the
        minute's."""
        if self._outputs:
            return ceil(need.input * self._correction + self._output_sum / self._outputs)
        if need.output is not None:
            return self._most_tokens(need)
        return self._tokens.limit if self._tokens else 0


def _tighter_rate(rate: RateLimiter | None, limit: int | None) -> RateLimiter | None:
    if limit is None or (rate is not None and rate.limit <= limit):
        return rate
    return RateLimiter(limit) if rate is None else rate.with_limit(limit)


class RateLimiter:
    """At most `limit` units in *every* 60 s window, not on average, spread out, in bursts of at
    most 1 %; times are ns.

    Two rules together. GCRA (the leaky bucket of ITU-T I.371, kept as one theoretical arrival time)
    spaces the units out; a log of the last 60 s guarantees the sum where units come in lumps of
    unequal size, as tokens do. A lump larger than the whole limit can never fit: it is let through
    alone, in an otherwise empty window, and the server decides.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        burst = max(1, limit // 100)
        self._interval = -(
            -WINDOW // (limit - burst + 1)
        )  # ns a unit, rounded up: burst + what refills fits any window
        self._tolerance = (burst - 1) * self._interval
        self._arrival = 0  # when the units taken so far would all have been due
        self._log: deque[LogEntry] = deque()
        self._logged = 0

    def ready(self, units: int, now: int) -> int:
        """The earliest time, `now` or later, at which `units` may be taken."""
        return max(
            now, self._arrival - self._tolerance, self._window_room_at(min(units, self.limit), now)
        )

    def take(self, units: int, now: int, spacing: int | None = None) -> LogEntry:
        """Take `units` at `now`, which `ready` allowed; the entry of the log that has them.

        The next units are spaced out as if `spacing` had been taken, by default all of them.
        """
        units = min(units, self.limit)
        spaced = units if spacing is None else spacing
        self._arrival = max(now, self._arrival) + spaced * self._interval
        self._logged += units
        if self._log and self._log[-1].taken + _TOGETHER > now:
            entry = self._log[-1]
            entry.taken, entry.units = now, entry.units + units  # as new as the newest of them
        else:
            entry = LogEntry(now, units)
            self._log.append(entry)
        return entry

    def correct(self, entry: LogEntry, units: int, spacing: int) -> None:
        """So many `units` more than `take` logged there were used, or fewer where negative; and so
        many more than it spaced the next ones out by."""
        self._arrival += spacing * self._interval
        if not entry.expired:
            entry.units += units
            self._logged += units

    def with_limit(self, limit: int) -> RateLimiter:
        """The same past under a lower limit."""
        tighter = RateLimiter(limit)
        for entry in self._log:
            tighter.take(entry.units, entry.taken)
        return tighter

    def _window_room_at(self, units: int, now: int) -> int:
        """When enough of the last minute's units have grown old."""
        while self._log and self._log[0].taken + WINDOW <= now:
            old = self._log.popleft()
            old.expired = True
            self._logged -= old.units
        over = self._logged + units - self.limit
        at = now
        for entry in self._log:
            if over <= 0:
                break
            over -= entry.units
            at = entry.taken + WINDOW
        return at
