"""Concurrency and rate limits: how hard a target is driven, and when each attempt starts.

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
from typing import TypeAlias
from urllib.parse import urlsplit

from harness.model import Call, Limits, Response, Target
from harness.transport.http.connection import Connection
from harness.transport.middleware.backpressure import Backpressure
from harness.transport.middleware.traffic import Traffic
from harness.transport.send import REAL_CLOCK, Clock

WINDOW = 60_000_000_000
"""Nanoseconds of a minute."""

_TOGETHER = WINDOW // 600
"""Nanoseconds within which takings are logged as one."""

SendOnSlot: TypeAlias = Callable[[Call, "Slot"], Awaitable[Response]]
"""One attempt over a slot's connection: what `HttpClient` is."""


class Limit:
    """The layer above `http`; `tokens(call)` is what a call reserves of tpm, `seed` draws the
    jitter of slow-downs. `traffic` has, by target, where its requests are counted."""

    def __init__(
        self,
        inner: SendOnSlot,
        *,
        tokens: Callable[[Call], int],
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
            lane.traffic.note_start(now)
            try:
                response = await self._inner(call, slot)
            finally:
                ended = self._clock.now_ns()
                lane.traffic.note_end(ended)
            lane.slowdown.observe(response, now, ended)
            return response
        finally:
            lane.slots.release(slot)

    def _open_lane(self, target: Target) -> _Lane:
        key, host = target.api_key_env, urlsplit(target.base_url).netloc
        account = (key, host) if key else (target.name, "")
        quota = self._quotas.setdefault(account, _Quota(self._clock))
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


class _Quota:
    """Requests and tokens a minute of one API key, shared by its targets."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: RateLimiter | None = None
        self._tokens: RateLimiter | None = None
        self.turn = asyncio.Lock()
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
    """One target's slots and slow-down, and the quota it draws on; who waits is let go in the order
    they came."""

    def __init__(
        self, concurrency: int, quota: _Quota, traffic: Traffic, seed: int, clock: Clock
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


class RateLimiter:
    """At most `limit` units in *every* 60 s window, not on average, spread out, in bursts of at
    most 1 %; times are ns.

    Two rules together. GCRA (the leaky bucket of ITU-T I.371, kept as one theoretical arrival time)
    spaces the units out; a log of the last 60 s guarantees the sum where units come in lumps of
    unequal size, as tokens do. A lump larger than the whole limit can never fit: it is let through
    alone, in an otherwise empty window, and the server decides.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        burst = max(1, limit // 100)
        self._interval = -(
            -WINDOW // (limit - burst + 1)
        )  # ns a unit, rounded up: burst + what refills fits any window
        self._tolerance = (burst - 1) * self._interval
        self._arrival = 0  # when the units taken so far would all have been due
        self._log: deque[tuple[int, int]] = deque()
        self._logged = 0

    def ready(self, units: int, now: int) -> int:
        """The earliest time, `now` or later, at which `units` may be taken."""
        return max(
            now, self._arrival - self._tolerance, self._window_room_at(min(units, self.limit), now)
        )

    def take(self, units: int, now: int) -> None:
        """Take `units` at `now`, which `ready` allowed."""
        units = min(units, self.limit)
        self._arrival = max(now, self._arrival) + units * self._interval
        self._logged += units
        if self._log and self._log[-1][0] + _TOGETHER > now:
            units += self._log.pop()[1]  # counted as new as the newest of them: at most too careful
        self._log.append((now, units))

    def with_limit(self, limit: int) -> RateLimiter:
        """The same past under a lower limit."""
        tighter = RateLimiter(limit)
        for taken, units in self._log:
            tighter.take(units, taken)
        return tighter

    def _window_room_at(self, units: int, now: int) -> int:
        """When enough of the last minute's units have grown old."""
        while self._log and self._log[0][0] + WINDOW <= now:
            self._logged -= self._log.popleft()[1]
        over = self._logged + units - self.limit
        at = now
        for taken, size in self._log:
            if over <= 0:
                break
            over -= size
            at = taken + WINDOW
        return at
