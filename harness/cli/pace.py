"""The pace of the last seconds: what a live rate and a forecast are worth something from."""

from __future__ import annotations

from collections import deque

WINDOW = 10.0
"""Seconds that the pace is of."""
ENOUGH = 10
"""Things done that the pace is of at least: a longer time, where they take that."""


class RecentPace:
    """How many things are done per second; times are seconds of any clock, `now` is the start."""

    def __init__(self, now: float) -> None:
        self._samples = deque([(now, 0)])  # when, and how many were done by then

    def note(self, now: float, done: int) -> None:
        """So many are done at `now`; need be called no more than once a second."""
        samples = self._samples
        samples.append((now, done))
        while now - samples[1][0] >= WINDOW and done - samples[1][1] >= ENOUGH:
            samples.popleft()

    def per_second(self, now: float, done: int) -> float | None:
        """The pace up to `now`, None where no time has passed."""
        when, before = self._samples[0]
        return (done - before) / (now - when) if now > when else None
