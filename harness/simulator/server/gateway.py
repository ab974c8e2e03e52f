"""The response cache of Cloudflare's AI Gateway, which stands in front of Workers AI at addresses of its own.

A response is cached word for word, usage and request id included, as the gateway's documentation has it. Its key is the exact
body; a request with `cf-aig-skip-cache: true` is neither answered from the cache nor kept in it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import NamedTuple

from harness.simulator.apis.http import ApiResponse
from harness.simulator.model.rng import stable_digest
from harness.simulator.server.ledger import Entry

CAPACITY = 1_000
"""Responses the cache keeps; the oldest are evicted first."""


class CachedResponse(NamedTuple):
    """A response in the cache, and the tokens it took."""

    model: str
    response: ApiResponse
    usage: tuple[int, int] | None


class GatewayCache:
    """What the gateway answered; asked only about requests that come through a gateway's address."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, bytes], CachedResponse] = OrderedDict()

    def clear(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    def find_response(self, entry: Entry) -> CachedResponse | None:
        """The cached response to a request, marked as a hit; None where the request goes on to the model."""
        cached = None if _skips_cache(entry) else self._cache.get((entry.path, entry.body))
        return None if cached is None else cached._replace(response=_mark(cached.response, entry, cached.model, "HIT"))

    def add_response(self, entry: Entry, response: ApiResponse, *, keep: bool) -> ApiResponse:
        """The model's response, marked as a miss, and kept for the next equal request."""
        if keep and not _skips_cache(entry):
            self._cache[entry.path, entry.body] = CachedResponse(entry.model, response, entry.usage)
            while len(self._cache) > CAPACITY:
                self._cache.popitem(last=False)
        return _mark(response, entry, entry.model, "MISS")


def _skips_cache(entry: Entry) -> bool:
    return any(name == b"cf-aig-skip-cache" and value.lower() == b"true" for name, value in entry.headers)


def _mark(response: ApiResponse, entry: Entry, model: str, status: str) -> ApiResponse:
    """The response with the gateway's headers."""
    log_id = stable_digest("gateway", entry.number, entry.arrived_ns).hex()[:26].upper()
    values = {"cache-status": status, "log-id": log_id, "step": "0", "model": model, "provider": "workers-ai"}
    return replace(response, headers=(*response.headers, *((f"cf-aig-{name}", value) for name, value in values.items())))
