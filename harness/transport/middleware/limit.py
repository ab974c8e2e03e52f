"""The slot first, then the rate: how hard a target is driven, and when each attempt starts.

In this order waiting for a slot cannot bunch starts. Slots belong to a target; requests and tokens per minute to an API key at
a host, so targets that share the key share them, at the tightest limit any of them declares; the slow-down after a 429 belongs
to the target again. Time spent here is queue time: the slot carries `due` and `started`, and `http` puts them on the marks.
"""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import urlsplit

from harness.model import Call, Limits, Response, Target
from harness.transport.middleware.backpressure import Backpressure
from harness.transport.middleware.rate import RateLimiter
from harness.transport.middleware.slots import Slot, Slots
from harness.transport.send import REAL_CLOCK, Clock

SendOnSlot: TypeAlias = Callable[[Call, Slot], Awaitable[Response]]
"""One attempt over a slot's connection: what `HttpClient` is."""


class Limit:
    """The layer above `http`; `tokens(call)` is what a call reserves of tpm, `seed` draws the jitter of slow-downs."""

    def __init__(self, inner: SendOnSlot, *, tokens: Callable[[Call], int], seed: int = 0, clock: Clock = REAL_CLOCK) -> None:
        self._inner = inner
        self._tokens = tokens
        self._seed = seed
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._quotas: dict[tuple[str, str], _Quota] = {}

    async def __call__(self, call: Call) -> Response:
        """The inner Response, once a slot and the rate let the call go."""
        lane = self._lanes.get(call.target.name) or self._open_lane(call.target)
        slot = await lane.slots.acquire()
        try:
            now = self._clock.now_ns()
            slot.due = now if call.due is None else call.due
            if not lane.may_start(now):
                await lane.admit(self._tokens(call) if lane.quota.counts_tokens else 0)
                now = self._clock.now_ns()
            slot.started = now
            lane.slowdown.note_start(now)
            response = await self._inner(call, slot)
            lane.slowdown.observe(response, self._clock.now_ns())
            return response
        finally:
            lane.slots.release(slot)

    def _open_lane(self, target: Target) -> _Lane:
        key, host = target.api_key_env, urlsplit(target.base_url).netloc
        account = (key, host) if key else (target.name, "")
        quota = self._quotas.setdefault(account, _Quota(self._clock))
        quota.add_limits(target.limits)
        lane = _Lane(target.limits.concurrency, quota, Backpressure(self._seed + len(self._lanes)), self._clock)
        self._lanes[target.name] = lane
        return lane


class _Quota:
    """Requests and tokens a minute of one API key, shared by its targets."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: RateLimiter | None = None
        self._tokens: RateLimiter | None = None
        self.turn = Lock()
        self.unlimited = True
        """Whether nothing is ever waited for here."""

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens matter."""
        return self._tokens is not None

    def add_limits(self, limits: Limits) -> None:
        """Let the limits of one more target hold as well."""
        self._requests = _tighter_rate(self._requests, limits.rpm)
        self._tokens = _tighter_rate(self._tokens, limits.tpm)
        self.unlimited = self._requests is None and self._tokens is None

    def ready(self, tokens: int, now: int) -> int:
        """The earliest time, `now` or later, for one more request of `tokens`."""
        requests = self._requests.ready(1, now) if self._requests else now
        return max(requests, self._tokens.ready(tokens, now) if self._tokens else now)

    def take(self, tokens: int, now: int) -> None:
        """One request of `tokens` starts at `now`."""
        if self._requests:
            self._requests.take(1, now)
        if self._tokens:
            self._tokens.take(tokens, now)


class _Lane:
    """One target's slots and slow-down, and the quota it draws on; who waits is let go in the order they came."""

    def __init__(self, concurrency: int, quota: _Quota, slowdown: Backpressure, clock: Clock) -> None:
        self.slots = Slots(concurrency)
        self.quota = quota
        self.slowdown = slowdown
        self._clock = clock
        self._turn = Lock()

    def may_start(self, now: int) -> bool:
        """Whether a request may start `now`, and takes nothing from anybody."""
        return self.quota.unlimited and not self._turn.locked() and self.slowdown.earliest_start(now) <= now

    async def admit(self, tokens: int) -> None:
        """Wait until a request of `tokens` may start, and take it from the quota."""
        async with self._turn:
            while True:
                await self._sleep_until(self.slowdown.earliest_start)
                async with self.quota.turn:
                    await self._sleep_until(lambda moment: self.quota.ready(tokens, moment))
                    now = self._clock.now_ns()
                    if self.slowdown.earliest_start(now) <= now:  # else: slowed down meanwhile
                        self.quota.take(tokens, now)
                        return

    async def _sleep_until(self, ready: Callable[[int], int]) -> None:
        """Sleep until the time that `ready` names, asking again on waking: it may have moved."""
        while (wait := ready(now := self._clock.now_ns()) - now) > 0:
            await self._clock.sleep(wait / 1e9)


def _tighter_rate(rate: RateLimiter | None, limit: int | None) -> RateLimiter | None:
    if limit is None or (rate is not None and rate.limit <= limit):
        return rate
    return RateLimiter(limit) if rate is None else rate.with_limit(limit)
