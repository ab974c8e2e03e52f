"""Fault rules: select requests by number or by a seeded rate; the first rule that applies wins.

A request's number is its place in the order of arrival since the rules were set, from 1. An invalid
request gets its error whatever the rules say. `fault_injection` carries out the selected fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from harness.errors import UsageError
from harness.simulator.model.rng import hashed_uniform

KINDS: dict[str, str] = {
    "status": "answer with `status`, the format's error body (`code`, `message`) and `headers`",
    "html": "answer with `status` and an HTML page, as a proxy does",
    "empty": "200 with nothing in it: no event, or no choice",
    "slow": "wait `seconds` more before the first token",
    "hang": "fall silent after `after` events (unset: before the headers) until the client leaves",
    "drip": "send the body a byte at a time, `seconds` apart",
    "ping": "after `after` events only comments, `seconds` apart, until the client leaves",
    "error_event": "after `after` events an error event inside the 200, then the end",
    "cut": "stop after `after` events, in the way `how` says",
}
CUTS: dict[str, str] = {
    "clean": "the response ends properly, without a terminal signal",
    "half_event": "half of the next event, then a proper end",
    "short_length": "Content-Length promises more than comes",
    "in_chunk": "the connection closes inside an HTTP chunk",
    "reset": "the connection is reset (RST)",
}

LIMITS: dict[str, tuple[float, float]] = {
    "rate": (0, 1),
    "status": (200, 599),
    "seconds": (0, 3600),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule. `requests` are numbers and ranges such as "5-9" or "20-"; without them `rate` (0 to
    1) decides.

    `model` restricts the rule to models whose name contains it. `after` counts events, or eighths
    of a body that is not streamed; None is half of them (for hang: nothing at all). `headers` are
    sent as written.
    """

    kind: str
    rate: float = 1.0
    requests: tuple[int | str, ...] = ()
    model: str = ""
    status: int = 500
    code: str | None = None
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    after: int | None = None
    how: str = "clean"
    seconds: float = 0.3

    @classmethod
    def from_data(cls, data: Any) -> Fault:
        """A rule from plain data; raises `UsageError` for an unknown key or kind, or a value out of
        range."""
        if not isinstance(data, dict):
            raise UsageError(
                f"a fault is an object such as {{'kind': 'status', 'status': 429}}, not {data!r}"
            )
        names = [item.name for item in fields(cls)]
        unknown = sorted(set(data) - set(names))
        if unknown:
            raise UsageError(f"a fault has no key {unknown[0]!r}; its keys are {', '.join(names)}")
        if "kind" not in data:
            raise UsageError(
                f"a fault has a `kind`, which {data!r} lacks; the kinds are {', '.join(KINDS)}"
            )
        requests = data.get("requests", ())
        fault = cls(
            **{
                **data,
                "requests": tuple(requests if isinstance(requests, list | tuple) else [requests]),
            }
        )
        fault.check()
        return fault

    def check(self) -> None:
        """Raise `UsageError` for a value out of range."""
        if self.kind not in tuple(KINDS):  # of any type: a list has no hash
            raise UsageError(f"there is no fault {self.kind!r}; the kinds are {', '.join(KINDS)}")
        if self.how not in tuple(CUTS):
            raise UsageError(f"there is no cut {self.how!r}; the ways are {', '.join(CUTS)}")
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not low <= value <= high
            ):
                raise UsageError(
                    f"a fault's {name} is a number from {low} to {high}, not {value!r}"
                )
        if not isinstance(self.status, int):
            raise UsageError(f"a fault's status is a whole number, not {self.status!r}")
        for name, kind in {"model": str, "code": str | None, "message": str | None}.items():
            if not isinstance(getattr(self, name), kind):
                raise UsageError(f"a fault's {name} is text, not {getattr(self, name)!r}")
        self._check_headers()
        after: Any = self.after
        if after is not None and (not isinstance(after, int) or after < 0):
            raise UsageError(f"a fault's after is a number of events from 0, not {after!r}")
        for part in self.requests:
            request_range(part)

    def _check_headers(self) -> None:
        headers: Any = self.headers
        pairs = headers.items() if isinstance(headers, Mapping) else [(None, None)]
        if not all(
            isinstance(part, str) and part.isascii() and part.isprintable()
            for pair in pairs
            for part in pair
        ):
            raise UsageError(
                f"a fault's headers are an object of printable names and values, not {headers!r}"
            )

    def to_data(self) -> dict[str, Any]:
        """Plain data that `from_data` reads."""
        return asdict(self)

    def applies_to(self, number: int, model: str, *draw: object) -> bool:
        """Whether the rule applies to a request; `draw` is the key of the rate's random draw."""
        if self.model not in model:
            return False
        if self.requests:
            return any(low <= number <= high for low, high in map(request_range, self.requests))
        return hashed_uniform("fault", *draw, number) < self.rate


def request_range(part: int | str) -> tuple[float, float]:
    """The first and last request number of 7, "7", "5-9" or "20-"."""
    first, dash, last = str(part).partition("-")
    if not first.isdigit() or (last and not last.isdigit()):
        raise UsageError(f"{part!r} is no request number or range; write 7, '5-9' or '20-'")
    if not dash:
        return int(first), int(first)
    return int(first), int(last) if last else float("inf")


def pick_fault(rules: tuple[Fault, ...], seed: int, number: int, model: str) -> Fault | None:
    """The first rule that applies to a request, or None."""
    for index, rule in enumerate(rules):
        if rule.applies_to(number, model, seed, index):
            return rule
    return None
