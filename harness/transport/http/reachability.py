"""Which addresses ever answered, and since when one no longer can be reached: what a failed connection means hangs on it.

An address that never answered is taken for wrong, and not tried again. One that did may come back, and is waited for; but not
for ever: after a minute without a connection the error becomes `unreachable`, which ends the target, so that what is left of
its trials is owed to a later session and not spent as errors.
"""

from __future__ import annotations

from msgspec.structs import replace

from harness.model import Error
from harness.model.error_kinds import UNREACHABLE

GIVEN_UP_AFTER = 60.0
"""Seconds."""

_UNCONNECTED = frozenset({"connect", "dns", "timeout_connect"})


class Reachability:
    """What one process knows of its targets' addresses; times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._answered: set[str] = set()
        self._gone_since: dict[str, float] = {}

    def mark_answered(self, address: str) -> None:
        """`address` is there."""
        self._answered.add(address)
        if self._gone_since:
            self._gone_since.pop(address, None)

    def was_reached(self, address: str) -> bool:
        """Whether `address` was ever there."""
        return address in self._answered

    def give_up_if_gone(self, error: Error, address: str, now: float) -> Error:
        """`error`, or that `address` is given up, where it could not be reached for too long."""
        if error.kind not in _UNCONNECTED:
            return error
        seconds = now - self._gone_since.setdefault(address, now)
        if seconds < GIVEN_UP_AFTER or not self.was_reached(address):
            return error
        message = f"{error.message}, and so it has been for {seconds:.0f} s"
        return replace(error, kind=UNREACHABLE, message=message, retryable=False)
