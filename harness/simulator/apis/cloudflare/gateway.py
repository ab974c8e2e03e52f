"""Cloudflare's AI Gateway in front of Workers AI: its addresses, its headers, and a cache that answers an equal body again.

What is cached is the answer word for word, usage and request id with it, as the gateway's own documentation has it: keyed by
the exact body, and passed by where the request says `cf-aig-skip-cache: true`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import NamedTuple

from harness.simulator.model.chance import digest
from harness.simulator.model.requests import Body
from harness.simulator.server.ledger import Entry

MARKER = "/workers-ai/"
REMEMBERED = 1_000
"""Answers the cache keeps; the oldest go first."""


class Held(NamedTuple):
    """An answer in the cache, and the tokens it took."""

    model: str
    body: Body
    usage: tuple[int, int] | None


def behind(path: str) -> str | None:
    """What of Workers AI a gateway's address leads to (`run/{model}` or `v1/chat/completions`), None for another address."""
    before, marker, inside = path.partition(MARKER)
    parts = before.split("/")
    if not marker or not inside or len(parts) != 4 or parts[:2] != ["", "v1"] or not all(parts[2:]):
        return None
    return inside if inside == "v1/chat/completions" or inside.startswith("run/") else f"run/{inside}"


class Gateway:
    """The gateway's cache; it knows its own requests by their address."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, bytes], Held] = OrderedDict()

    def forget(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    def held(self, entry: Entry) -> Held | None:
        """The cached answer to a request, marked as one; None where it goes on to the model."""
        if behind(entry.path) is None or _skips(entry):
            return None
        held = self._cache.get((entry.path, entry.body))
        return None if held is None else held._replace(body=_marked(held.body, entry, held.model, "HIT"))

    def passed(self, entry: Entry, body: Body, *, keep: bool) -> Body:
        """The model's answer on its way back; other requests' as they are."""
        if behind(entry.path) is None:
            return body
        if keep and not _skips(entry):
            self._cache[entry.path, entry.body] = Held(entry.model, body, entry.usage)
            while len(self._cache) > REMEMBERED:
                self._cache.popitem(last=False)
        return _marked(body, entry, entry.model, "MISS")


def _skips(entry: Entry) -> bool:
    return any(name == b"cf-aig-skip-cache" and value.lower() == b"true" for name, value in entry.headers)


def _marked(body: Body, entry: Entry, model: str, status: str) -> Body:
    log = digest("gateway", entry.number, entry.arrived_ns).hex()[:26].upper()
    marks = {"cache-status": status, "log-id": log, "step": "0", "model": model, "provider": "workers-ai"}
    return replace(body, headers=(*body.headers, *((f"cf-aig-{name}", value) for name, value in marks.items())))
