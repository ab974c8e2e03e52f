"""Concurrency and rate limits: decides when each attempt may start.

The slot comes first, then the rate: in this order waiting for a slot cannot bunch starts. Slots
belong to a target; requests and tokens per minute to an API key at a host, so targets that share
the key share them, at the tightest limit any of them declares; the backpressure after a 429 belongs
to the target again. Time spent here is queue time: the slot carries `due` and `started`, and `http`
puts them on the marks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import TypeAlias
from urllib.parse import urlsplit

from harness.model import Call, Response, Target
from harness.transport.http.connection import Connection
from harness.transport.middleware.backpressure import Backpressure
from harness.transport.middleware.quota import Charge, Quota, TokenNeed
from harness.transport.middleware.traffic import Traffic
from harness.transport.send import REAL_CLOCK, Clock

RECHECK = 0.1
"""Seconds after which who waits for tokens looks again."""

SendOnSlot: TypeAlias = Callable[[Call, "Slot"], Awaitable[Response]]
"""One attempt over a slot's connection: what `HttpClient` is."""


class Limit:
    """The layer above `http`; `tokens(call)` is what a call needs of tpm, `seed` draws the jitter
    of slow-downs. `traffic` has, by target, where its requests are counted."""

    def __init__(
        self,
        inner: SendOnSlot,
        *,
        tokens: Callable[[Call], TokenNeed],
        seed: int = 0,
        clock: Clock = REAL_CLOCK,
        traffic: Mapping[str, Traffic] | None = None,
    ) -> None:
        self._inner = inner
        self._tokens = tokens
        self._seed = seed
        self._clock = clock
        self._traffic = traffic or {}
        self._lanes: dict[str, _Lane] = {}
        self._quotas: dict[tuple[str, str], Quota] = {}

    async def __call__(self, call: Call) -> Response:
        """The inner Response, once a slot and the rate let the call go."""
        lane = self._lanes.get(call.target.name) or self._open_lane(call.target)
        slot = await lane.slots.acquire()
        try:
            now, charge = self._clock.now_ns(), None
            slot.due = now if call.due is None else call.due
            if not lane.may_start(now):
                charge = await lane.admit(self._tokens(call) if lane.quota.counts_tokens else None)
                now = self._clock.now_ns()
            slot.started = now
            lane.note_start(now)
            try:
                response = await self._inner(call, slot)
            except BaseException:  # given up before it was sent
                lane.traffic.attempts -= 1
                raise
            finally:
                ended = self._clock.now_ns()
                lane.note_end(ended)
            lane.slowdown.observe(response, now, ended)
            if charge is not None:
                lane.quota.settle(charge, response)
            return response
        finally:
            lane.slots.release(slot)

    def _open_lane(self, target: Target) -> _Lane:
        key, host = target.api_key_env, urlsplit(target.base_url).netloc
        account = (key, host) if key else (target.name, "")
        quota = self._quotas.setdefault(account, Quota(self._clock))
        quota.add_limits(target.limits)
        lane = _Lane(
            target.limits.concurrency,
            quota,
            self._traffic.get(target.name) or Traffic(),
            self._seed + len(self._lanes),
            self._clock,
        )
        self._lanes[target.name] = lane
        return lane


class _Lane:
    """One target's slots and slow-down, and the quota it draws on; who waits is let go in the order
    they came."""

    def __init__(
        self, concurrency: int, quota: Quota, traffic: Traffic, seed: int, clock: Clock
    ) -> None:
        self.slots = Slots(concurrency)
        self.quota = quota
        self.traffic = traffic
        self.slowdown = Backpressure(seed, traffic)
        self._clock = clock
        self._turn = asyncio.Lock()

    def may_start(self, now: int) -> bool:
        """Whether a request may start `now`, and takes nothing from anybody."""
        return (
            self.quota.unlimited
            and not self._turn.locked()
            and self.slowdown.earliest_start(now) <= now
        )

    def note_start(self, now: int) -> None:
        """An attempt starts."""
        self.slowdown.note_start(now)
        traffic = self.traffic
        if traffic.began is None:
            traffic.began = now
        traffic.attempts += 1
        traffic.in_flight += 1
        traffic.most_in_flight = max(traffic.most_in_flight, traffic.in_flight)

    def note_end(self, now: int) -> None:
        """An attempt has ended, in whatever way."""
        self.traffic.in_flight -= 1
        self.traffic.ended = now

    async def admit(self, need: TokenNeed | None) -> Charge | None:
        """Wait until a request with this need of tokens may start, and take it from the quota."""
        async with self._turn:
            while True:
                await self._sleep_until(self.slowdown.earliest_start)
                async with self.quota.turn:
                    await self._sleep_until(lambda moment: self.quota.ready(need, moment))
                    now = self._clock.now_ns()
                    if self.slowdown.earliest_start(now) <= now:  # else: slowed down meanwhile
                        return self.quota.take(need, now)

    async def _sleep_until(self, ready: Callable[[int], int]) -> None:
        """Sleep until the time that `ready` names, asking again on waking: it may have moved.

        Where tokens count it may come sooner, as answers are settled.
        """
        longest = RECHECK if self.quota.counts_tokens else inf
        while (wait := ready(now := self._clock.now_ns()) - now) > 0:
            await self._clock.sleep(min(wait / 1e9, longest))


class Slot:
    """A permit for one attempt in flight to one target, the owner of one connection.

    `limit` stamps `due` and `started` (ns) each time it is taken; `http` opens `connection`.
    """

    __slots__ = ("connection", "due", "started")

    def __init__(self) -> None:
        self.due = 0
        self.started = 0
        self.connection: Connection | None = None


class Slots:
    """`size` slots of one target; they are made when first needed.

    The slot that was freed last is taken first, so that few connections are kept warm rather than
    all of them lukewarm; those who wait are served in the order they came.
    """

    def __init__(self, size: int) -> None:
        self._unmade = size
        self._free: list[Slot] = []
        self._waiting: deque[asyncio.Future[Slot]] = deque()

    async def acquire(self) -> Slot:
        """A slot, as soon as one is free."""
        if self._free:
            return self._free.pop()
        if self._unmade:
            self._unmade -= 1
            return Slot()
        promise: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append(promise)
        try:
            return await promise
        except asyncio.CancelledError:
            if (
                promise.done() and not promise.cancelled()
            ):  # handed over in the moment of the cancellation
                self.release(promise.result())
            raise

    def release(self, slot: Slot) -> None:
        """Give `slot` to whoever waits longest, else keep it."""
        while self._waiting:
            promise = self._waiting.popleft()
            if not promise.done():
                promise.set_result(slot)
                return
        self._free.append(slot)
