"""Answers from the exchanges of earlier runs; the only cache there is.

An exchange answers a call whose provider, declared address, request bytes, headers without secrets,
and repeat are the same: `replay_key`. Each is used once, the same trial's first and in order, so
that three votes stay three. Only complete answers are used. What is taken from another run is
flagged with it (`Response.replayed`) and keeps its cost and marks; a run's own exchanges, on
resume, go back to the very trial they belong to, unflagged.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal, Self

from msgspec import Struct
from msgspec.structs import replace

from harness import registry
from harness.model import Call, Exchange, Response, Target
from harness.runs.records import SCHEMA_VERSION
from harness.transport.send import Send, build_refusal

Mode = Literal["reuse", "only"]

_MISS = "the recording has no answer to this request: record it again, or run without --replay-only"
_SECRET_HEADER = re.compile(r"auth|api-?key|token|secret|password|cookie|credential", re.IGNORECASE)


def replay_key(call: Call) -> bytes:
    """16 bytes that two calls share exactly when one's answer may stand for the other's."""
    wire = call.wire
    headers = sorted(
        (name.lower(), value) for name, value in wire.headers if not _SECRET_HEADER.search(name)
    )
    parts = [
        str(SCHEMA_VERSION),
        call.target.provider,
        call.target.address,
        str(call.repeat),
        wire.method,
        wire.path,
    ]
    parts += [part for header in headers for part in header]
    digest = blake2b(digest_size=16)
    for part in (*(part.encode("utf-8", "surrogatepass") for part in parts), wire.body):
        digest.update(b"%d:" % len(part))  # lengths keep neighbours apart
        digest.update(part)
    return digest.digest()


class StoredExchange(Struct, frozen=True):
    """An exchange of the run `run`, with the call that it answered."""

    run: str
    call: Call
    response: Response


def encode_stored(
    run: str, key: str, repeat: int, target: Target, exchange: Exchange
) -> StoredExchange | None:
    """An exchange as read from `run`'s records, its request encoded again; `key` and `repeat` are
    its trial's.

    `target` is the one the exchange was sent to, with the provider and address of that run. None
    where today's encoding cannot express the request: then nobody can ask it either.
    """
    try:
        wire = registry.load_plugin("providers", target.provider).encode(target, exchange.request)
    except ValueError:
        return None
    return StoredExchange(
        run, Call(target, exchange.request, wire, key, repeat, exchange.position), exchange.response
    )


class Replay:
    """The outermost layer, put there by `around`; `own` is the run being resumed. `reused` and
    `missed` count calls."""

    def __init__(
        self,
        exchanges: Iterable[StoredExchange] = (),
        *,
        mode: Mode = "reuse",
        own: str | None = None,
    ) -> None:
        self._mode = mode
        self.reused = 0
        self.missed = 0
        self._own: dict[tuple[bytes, str], deque[Response]] = defaultdict(
            deque
        )  # by request and trial
        self._others: dict[bytes, dict[str, deque[Response]]] = defaultdict(
            dict
        )  # by request, then trial
        for exchange in exchanges:
            self._store_exchange(exchange, own)

    @property
    def is_needed(self) -> bool:
        """Whether it can do anything: something is stored, or nothing may be sent."""
        return bool(self._own or self._others) or self._mode == "only"

    def around(self, inner: Send) -> Self:
        """This layer, around `inner`."""
        self._inner = inner
        return self

    async def __call__(self, call: Call) -> Response:
        """A stored Response, else the inner one; in mode `only`, a miss is an error."""
        if (self._own or self._others) and (
            found := self._take_stored(replay_key(call), call.key)
        ) is not None:
            self.reused += 1
            return found
        self.missed += 1
        if self._mode == "only":
            return build_refusal("transport", "replay_miss", _MISS, retryable=True)
        return await self._inner(call)

    def _store_exchange(self, exchange: StoredExchange, own: str | None) -> None:
        response, trial = exchange.response, exchange.call.key
        if exchange.run == own:
            if response.error is None or not response.error.retryable:  # else it is owed
                self._own[replay_key(exchange.call), trial].append(response)
        elif _is_complete(response):
            flagged = replace(response, replayed=response.replayed or exchange.run)
            self._others[replay_key(exchange.call)].setdefault(trial, deque()).append(flagged)

    def _take_stored(self, key: bytes, trial: str) -> Response | None:
        if mine := self._own.get((key, trial)):
            return mine.popleft()
        others = self._others.get(key)
        if not others:
            return None
        source = trial if trial in others else next(iter(others))
        taken = others[source].popleft()
        if not others[source]:
            del others[source]
        return taken


def _is_complete(response: Response) -> bool:
    message = response.message
    return (
        response.error is None and message is not None and bool(message.text or message.tool_calls)
    )
