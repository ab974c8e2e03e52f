"""A hard limit on spending: each attempt reserves the most it can cost before it is sent, and
settles on what it did cost.

Because the reservation comes first, concurrency cannot overshoot. What was never sent, or refused
before anything was generated (a status of 3xx or 4xx), costs nothing. Where the usage is unknown,
the reservation stands: of a server error too, unless the service is known not to bill it. An
attempt that does not fit waits while other reservations are open, since their settling may make
room, and is refused when none is.

A batch that was submitted keeps its reservation until its answers are in (`settle_batch`), across
sessions; polling it costs nothing. Where this session cannot have its answers (`leave_batch`),
nothing waits for them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Self

from harness.model import Call, Response, Target
from harness.pricing.cost import may_be_billed
from harness.transport.send import Send, build_refusal

_ROUNDING = 1e-9
"""Dollars: the most that adding up floats may hold against an attempt that fits exactly."""


class Budget:
    """The layer above `limit`, put there by `around`; amounts are US dollars.

    `upper_bound(call)` is the most an attempt can cost, None where the target has no price;
    `price(call, response)` what it did cost, None where unknown. `spent` is what earlier sessions
    of the run have cost, `held` what is reserved for each batch they submitted, by its key.
    """

    def __init__(
        self,
        limit: float = math.inf,
        *,
        upper_bound: Callable[[Call], float | None],
        price: Callable[[Call, Response], float | None],
        spent: float = 0.0,
        held: Mapping[str, float] | None = None,
    ) -> None:
        self.limit = limit
        self.spent = spent
        self.exhausted = False
        """Whether an attempt was refused."""
        self._upper_bound = upper_bound
        self._price = price
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._held = dict(held or {})
        self._await_result = set(self._held)
        self._open = 0
        self.reserved = sum(self._held.values())
        self._settled: asyncio.Future[None] | None = None

    def around(self, inner: Send) -> Self:
        """This layer, around `inner`."""
        self._inner = inner
        return self

    async def __call__(self, call: Call) -> Response:
        """The inner Response; or one without attempts whose error is `exhausted`, or `unpriced`
        under a finite limit."""
        if call.batch is not None and call.batch.id is not None:
            return await self._inner(call)
        bound = self._upper_bound(call)
        if bound is None and self.limit < math.inf:
            return build_refusal("budget", "unpriced", _unbounded_message(call.target))
        amount = bound or 0.0
        if not self._waiting and self._has_room(amount):  # the usual case, without a lock
            self._reserve(amount)
        elif not await self._wait_for(amount):
            self.exhausted = True
            return build_refusal(
                "budget", "exhausted", self._refusal_message(amount), retryable=True
            )
        cost: float | None = (
            amount  # what stands if the attempt is cancelled: it may have been sent
        )
        try:
            response = await self._inner(call)
            cost = (
                None
                if call.batch is not None and response.error is None
                else self._attempt_cost(call, response, amount)
            )
            return response
        finally:
            self._open -= 1
            if cost is None:
                self._held[call.key] = amount
                self._await_result.add(call.key)
            else:
                self._settle_amount(amount, cost)

    def settle_batch(self, key: str, cost: float | None) -> None:
        """The batch `key` is over and did cost so much; where that is unknown, its reservation
        stands."""
        amount = self._held.pop(key, None)
        if amount is not None:
            self._await_result.discard(key)
            self._settle_amount(amount, amount if cost is None else cost)

    def leave_batch(self, key: str) -> None:
        """Nobody asks after the batch `key` any more in this session: its reservation stands, and
        nothing waits for it."""
        self._await_result.discard(key)
        self._wake_waiter()

    def _has_room(self, amount: float) -> bool:
        return self.spent + self.reserved + amount <= self.limit + _ROUNDING

    def _reserve(self, amount: float) -> None:
        self._open += 1
        self.reserved += amount

    async def _wait_for(self, amount: float) -> bool:
        """Reserve `amount` once it fits; whether it ever will."""
        self._waiting += 1
        try:
            async with (
                self._turn
            ):  # in the order they came: a large attempt is not starved by small ones
                while not self._has_room(amount):
                    if not self._open and not self._await_result:
                        return False
                    self._settled = asyncio.get_running_loop().create_future()
                    await self._settled
                self._reserve(amount)
                return True
        finally:
            self._waiting -= 1

    def _settle_amount(self, amount: float, cost: float) -> None:
        self.reserved = self.reserved - amount if self._open or self._held else 0.0
        self.spent += cost
        self._wake_waiter()

    def _wake_waiter(self) -> None:
        """Let the one that waits look again whether it fits."""
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def _attempt_cost(self, call: Call, response: Response, reserved: float) -> float:
        if not response.attempts:
            return 0.0
        attempt = response.attempts[-1]
        if may_be_billed(attempt, call.target):
            return reserved
        refused = attempt.status is not None and 300 <= attempt.status < 500
        if attempt.marks.sent is None or refused:
            return 0.0
        price = self._price(call, response)
        return reserved if price is None else price

    def _refusal_message(self, amount: float) -> str:
        left = max(self.limit - self.spent, 0.0)
        budget, rest, cost = map(_format_dollars, (self.limit, left, amount))
        return (
            f"the budget of {budget} is exhausted: {rest} is left, and this request could cost up"
            f" to {cost}"
        )


def _unbounded_message(target: Target) -> str:
    if target.price is None:
        return f"the target {target.name!r} has no price, so no budget can cover it: set `price:`"
    return (
        f"an answer of the target {target.name!r} has no maximum cost, so no budget can cover it:"
        " set max_tokens, and make the number of samples (`n`) a number"
    )


def _format_dollars(amount: float) -> str:
    """Four significant digits, never in powers of ten: `$0.0000931`."""
    return f"${Decimal(f'{amount:.4g}'):f}"
