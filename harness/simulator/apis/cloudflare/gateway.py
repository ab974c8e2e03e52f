"""Cloudflare's AI Gateway in front of Workers AI: its addresses, its headers, and a cache that answers an equal body again.

What is cached is the answer word for word, usage and request id with it, as the gateway's own documentation has it: keyed by
the exact body, and passed by where the request says `cf-aig-skip-cache: true`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import NamedTuple

from harness.simulator.apis.http import ApiResponse
from harness.simulator.model.rng import stable_digest
from harness.simulator.server.ledger import Entry

MARKER = "/workers-ai/"
REMEMBERED = 1_000
"""Answers the cache keeps; the oldest go first."""


class CachedResponse(NamedTuple):
    """An answer in the cache, and the tokens it took."""

    model: str
    body: ApiResponse
    usage: tuple[int, int] | None


def gateway_target(path: str) -> str | None:
    """What of Workers AI a gateway's address leads to (`run/{model}` or `v1/chat/completions`), None for another address."""
    before, marker, inside = path.partition(MARKER)
    parts = before.split("/")
    if not marker or not inside or len(parts) != 4 or parts[:2] != ["", "v1"] or not all(parts[2:]):
        return None
    return inside if inside == "v1/chat/completions" or inside.startswith("run/") else f"run/{inside}"


class Gateway:
    """The gateway's cache; it knows its own requests by their address."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, bytes], CachedResponse] = OrderedDict()

    def clear(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    def get_cached(self, entry: Entry) -> CachedResponse | None:
        """The cached answer to a request, marked as one; None where it goes on to the model."""
        if gateway_target(entry.path) is None or _skips_cache(entry):
            return None
        held = self._cache.get((entry.path, entry.body))
        return None if held is None else held._replace(body=_add_gateway_headers(held.body, entry, held.model, "HIT"))

    def add_answer(self, entry: Entry, body: ApiResponse, *, keep: bool) -> ApiResponse:
        """The model's answer on its way back; other requests' as they are."""
        if gateway_target(entry.path) is None:
            return body
        if keep and not _skips_cache(entry):
            self._cache[entry.path, entry.body] = CachedResponse(entry.model, body, entry.usage)
            while len(self._cache) > REMEMBERED:
                self._cache.popitem(last=False)
        return _add_gateway_headers(body, entry, entry.model, "MISS")


def _skips_cache(entry: Entry) -> bool:
    return any(name == b"cf-aig-skip-cache" and value.lower() == b"true" for name, value in entry.headers)


def _add_gateway_headers(body: ApiResponse, entry: Entry, model: str, status: str) -> ApiResponse:
    log = stable_digest("gateway", entry.number, entry.arrived_ns).hex()[:26].upper()
    marks = {"cache-status": status, "log-id": log, "step": "0", "model": model, "provider": "workers-ai"}
    return replace(body, headers=(*body.headers, *((f"cf-aig-{name}", value) for name, value in marks.items())))
