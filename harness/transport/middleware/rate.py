"""A rate that holds in *every* 60 s window, not on average: at most `limit` units, spread out, bursts of at most 1 %.

Two rules together. GCRA (the leaky bucket of ITU-T I.371, kept as one theoretical arrival time) spaces the units out; a log
of the last 60 s guarantees the sum where units come in lumps of unequal size, as tokens do. A lump larger than the whole
limit can never fit: it is let through alone, in an otherwise empty window, and the server decides.
"""

from __future__ import annotations

from collections import deque

WINDOW = 60_000_000_000
"""Nanoseconds of a minute."""

_TOGETHER = WINDOW // 600


class RateLimiter:
    """`limit` units a minute; times are ns of one monotonic clock."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        burst = max(1, limit // 100)
        self._interval = -(-WINDOW // (limit - burst + 1))  # ns a unit, rounded up: burst + what refills fits any window
        self._tolerance = (burst - 1) * self._interval
        self._arrival = 0  # when the units taken so far would all have been due
        self._log: deque[tuple[int, int]] = deque()
        self._logged = 0

    def ready(self, units: int, now: int) -> int:
        """The earliest time, `now` or later, at which `units` may be taken."""
        return max(now, self._arrival - self._tolerance, self._window_room_at(min(units, self.limit), now))

    def take(self, units: int, now: int) -> None:
        """Take `units` at `now`, which `ready` allowed."""
        units = min(units, self.limit)
        self._arrival = max(now, self._arrival) + units * self._interval
        self._logged += units
        if self._log and self._log[-1][0] + _TOGETHER > now:
            units += self._log.pop()[1]  # counted as new as the newest of them: at most too careful
        self._log.append((now, units))

    def with_limit(self, limit: int) -> RateLimiter:
        """The same past under a lower limit."""
        tighter = RateLimiter(limit)
        for taken, units in self._log:
            tighter.take(units, taken)
        return tighter

    def _window_room_at(self, units: int, now: int) -> int:
        """When enough of the last minute's units have grown old."""
        while self._log and self._log[0][0] + WINDOW <= now:
            self._logged -= self._log.popleft()[1]
        over = self._logged + units - self.limit
        at = now
        for taken, size in self._log:
            if over <= 0:
                break
            over -= size
            at = taken + WINDOW
        return at
