"""The response cache of Cloudflare's AI Gateway in front of Workers AI.

A response is cached verbatim, with usage and request id, as the gateway documents it. The key is
the exact body; a request with `cf-aig-skip-cache: true` neither reads the cache nor fills it.
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
    """The gateway's cache, only for requests to a gateway's address."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, bytes], CachedResponse] = OrderedDict()

    def clear(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    def find_response(self, entry: Entry) -> CachedResponse | None:
        """The cached response to a request, marked as a hit; None if there is none."""
        cached = None if _skips_cache(entry) else self._cache.get((entry.path, entry.body))
        return (
            None
            if cached is None
            else cached._replace(response=_mark(cached.response, entry, cached.model, "HIT"))
        )

    def add_response(self, entry: Entry, response: ApiResponse, *, keep: bool) -> ApiResponse:
        """Keep the model's response for the next equal request, and mark it as a miss."""
        if keep and not _skips_cache(entry):
            self._cache[entry.path, entry.body] = CachedResponse(entry.model, response, entry.usage)
            while len(self._cache) > CAPACITY:
                self._cache.popitem(last=False)
        return _mark(response, entry, entry.model, "MISS")


def _skips_cache(entry: Entry) -> bool:
    return any(
        name == b"cf-aig-skip-cache" and value.lower() == b"true" for name, value in entry.headers
    )


def _mark(response: ApiResponse, entry: Entry, model: str, status: str) -> ApiResponse:
    """The response with the gateway's headers."""
    log_id = stable_digest("gateway", entry.number, entry.arrived_ns).hex()[:26].upper()
    values = {
        "cache-status": status,
        "log-id": log_id,
        "step": "0",
        "model": model,
        "provider": "workers-ai",
    }
    return replace(
        response,
        headers=(*response.headers, *((f"cf-aig-{name}", value) for name, value in values.items())),
    )
