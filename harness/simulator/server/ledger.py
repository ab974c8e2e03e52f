"""The ledger: what the simulator received and sent, request by request, to compare a client's
records with.

Times are `time.perf_counter_ns`, which on Linux is one clock for all processes of a machine; each
entry has one wall-clock time too. Headers that may carry a secret are stored as a hash. Memory is
bounded: old entries are dropped, the totals stay.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

SECRET_HEADERS = frozenset(
    {
        b"authorization",
        b"cf-aig-authorization",
        b"proxy-authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"cookie",
    }
)

KEY_HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key")
"""Headers whose value is an API key."""


@dataclass(slots=True)
class Entry:
    """One request and its outcome: `open`, `completed`, `refused`, `disconnected` or `fault`."""

    number: int
    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    arrived_ns: int
    arrived_unix: float
    body: bytes = b""
    model: str = ""
    status: int | None = None
    usage: tuple[int, int] | None = None
    outcome: str = "open"
    fault: str | None = None
    events_ns: array[int] = field(default_factory=lambda: array("q"))
    finished_ns: int | None = None
    query: str = ""

    def to_data(self, bodies: bool) -> dict[str, Any]:
        """The entry as `GET /ledger` shows it."""
        data: dict[str, Any] = {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": [
                [name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers
            ],
            "client_request_id": self.get_header(b"x-client-request-id"),
            "arrived_ns": self.arrived_ns,
            "arrived_unix": self.arrived_unix,
            "model": self.model,
            "status": self.status,
            "prompt_tokens": self.usage[0] if self.usage else None,
            "completion_tokens": self.usage[1] if self.usage else None,
            "outcome": self.outcome,
            "fault": self.fault,
            "events_ns": self.events_ns.tolist(),
            "finished_ns": self.finished_ns,
        }
        return data | {"body": _readable_body(self.body)} if bodies else data

    def has_api_key(self, api_key: str) -> bool:
        """Whether the request has this API key: in a header of its own, which takes precedence, or
        as a bearer token."""
        own = next(
            (given for name in KEY_HEADERS if (given := self.get_header(name)) is not None), None
        )
        if own is not None:
            return own == hash_secret(api_key.encode()).decode()
        return (
            self.get_header(b"authorization") == hash_secret(f"Bearer {api_key}".encode()).decode()
        )

    def get_header(self, wanted: bytes) -> str | None:
        """The value of a header by its name in lower case; of a secret one its hash."""
        return next(
            (value.decode("latin-1") for name, value in self.headers if name == wanted), None
        )


class Ledger:
    """The last `capacity` entries, and the totals since the start or the last reset."""

    def __init__(self, capacity: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._outcomes: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._received = 0
        self._tokens = [0, 0]

    @property
    def received(self) -> int:
        """The number of requests that have arrived."""
        return self._received

    def open(
        self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]], query: str = ""
    ) -> Entry:
        """Enter a request as it arrives."""
        self._received += 1
        kept = tuple(
            (name, hash_secret(value) if name in SECRET_HEADERS else value)
            for name, value in headers
        )
        entry = Entry(
            self._received, method, path, kept, time.perf_counter_ns(), time.time(), query=query
        )
        self._entries.append(entry)
        return entry

    def close(self, entry: Entry, outcome: str) -> None:
        """Enter a request's outcome and add its figures to the totals."""
        entry.outcome = outcome
        entry.finished_ns = time.perf_counter_ns()
        self._outcomes[outcome] += 1
        self._statuses[str(entry.status)] += 1
        if entry.usage and outcome == "completed":
            self._tokens[0] += entry.usage[0]
            self._tokens[1] += entry.usage[1]

    def reset(self) -> None:
        """Drop all entries and totals."""
        self._entries.clear()
        self._outcomes.clear()
        self._statuses.clear()
        self._received = 0
        self._tokens = [0, 0]

    def to_json(self, bodies: bool) -> bytes:
        """Totals and entries; `totals.open` counts requests in progress."""
        totals = {
            "received": self._received,
            "open": self._received - self._outcomes.total(),
            "outcomes": self._outcomes,
            "statuses": self._statuses,
            "prompt_tokens": self._tokens[0],
            "completion_tokens": self._tokens[1],
        }
        entries = [entry.to_data(bodies) for entry in self._entries]
        return orjson.dumps({"simulated": True, "totals": totals, "entries": entries})


def hash_secret(secret: bytes) -> bytes:
    """A hash that stands for a secret."""
    return b"blake2b:" + blake2b(secret, digest_size=8).hexdigest().encode()


def _readable_body(body: bytes) -> Any:
    """A body as JSON if it is valid, else as text."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
