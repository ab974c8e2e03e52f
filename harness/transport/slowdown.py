"""One target's shared reaction to being told to slow down (429, 503, 529): all its slots together, never each on its own.

A Retry-After stops all starts until it has passed; the newest one counts. Every congestion also doubles the time between two
starts, from what it was in fact; after the pause that time halves with every `RECOVERY` seconds, so throughput comes back by
itself. Starts are jittered, so that nothing that waited together starts together. Congestions are counted once per round
trip: an attempt that had started before the last one was noticed says nothing new.
"""

from __future__ import annotations

from random import Random

from harness.model import Response

RECOVERY = 5.0
"""Seconds in which the time between two starts halves."""
LONGEST_PAUSE = 120.0
"""Seconds a Retry-After may stop a target; a longer one stops it this long, and `retry` gives its own call up."""
SHORTEST_GAP, LONGEST_GAP = 0.01, 10.0
THROTTLED_STATUSES = frozenset({429, 503, 529})
THROTTLED_KINDS = frozenset({"rate_limited", "overloaded"})

_NEGLIGIBLE = 0.001
_AVERAGED = 16  # starts over which the usual time between two is averaged


class Slowdown:
    """When the next start of one target may be; times are ns, `seed` draws the jitter."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._paused_until = 0
        self._next = 0
        self._noticed = -1
        self._gap = 0.0
        self._gap_at = 0
        self._usual_gap = 0.0
        self._last_start: int | None = None

    def ready(self, now: int) -> int:
        """The earliest time, `now` or later, at which the next attempt may start."""
        return max(now, self._paused_until, self._next)

    def start(self, now: int) -> None:
        """An attempt starts at `now`."""
        if self._last_start is not None:
            since = min((now - self._last_start) / 1e9, LONGEST_GAP)
            self._usual_gap += (since - self._usual_gap) / _AVERAGED
        self._last_start = now
        gap = self.gap(now)
        self._next = now + round(gap * self._random.uniform(0.5, 1.5) * 1e9) if gap else 0

    def gap(self, now: int) -> float:
        """Seconds between two starts at `now`, before jitter; 0 where nothing slows them."""
        if not self._gap:
            return 0.0
        recovering = max(0, now - max(self._gap_at, self._paused_until)) / 1e9
        gap: float = self._gap * 0.5 ** (recovering / RECOVERY)
        if gap < _NEGLIGIBLE:
            self._gap = 0.0
            return 0.0
        return gap

    def observe(self, response: Response, started: int, now: int) -> None:
        """Learn from the outcome of an attempt that had started at `started`."""
        error = response.error
        if error is None or not (error.status in THROTTLED_STATUSES or error.kind in THROTTLED_KINDS):
            return
        if error.retry_after is not None and error.retry_after >= 0:
            pause = min(error.retry_after, LONGEST_PAUSE)
            self._paused_until = now + round(pause * 1e9)
        if started > self._noticed:
            self._noticed = now
            slower = 2 * max(self.gap(now), self._usual_gap)
            self._gap, self._gap_at = min(max(slower, SHORTEST_GAP), LONGEST_GAP), now
            self._next = max(self._next, now + round(self._gap * self._random.random() * 1e9))
