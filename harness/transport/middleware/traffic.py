"""Counts one target's traffic while it flows, for the live display and the session's record."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

from harness.model import TargetTraffic


class Traffic(Struct):
    """What went to one target in this session; times are ns. `limit` counts the attempts,
    `backpressure` what slowed them down.

    `refusals` counts the attempts that the target would not take, by HTTP status (`429`) or, where
    it could not be reached, by the kind of error.
    """

    in_flight: int = 0
    most_in_flight: int = 0
    attempts: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    began: int | None = None
    ended: int = 0
    slow_since: int | None = None
    """Since when it is slowed down, None where it is not."""
    _slowed: int = 0

    def note_slow(self, now: int) -> None:
        """From now on its starts are spaced out or held back."""
        if self.slow_since is None:
            self.slow_since = now

    def note_full_speed(self, now: int) -> None:
        """Nothing slows it down any more."""
        if self.slow_since is not None:
            self._slowed += now - self.slow_since
            self.slow_since = None

    def slowed_seconds(self) -> float:
        """For how long it was slowed down, up to its last attempt."""
        running = 0 if self.slow_since is None else max(0, self.ended - self.slow_since)
        return (self._slowed + running) / 1e9

    def to_record(self) -> TargetTraffic:
        """The same as a session records it."""
        return TargetTraffic(
            seconds=0.0 if self.began is None else (self.ended - self.began) / 1e9,
            attempts=self.attempts,
            refusals=dict(self.refusals),
            slowed=self.slowed_seconds(),
            in_flight=self.most_in_flight,
        )
