"""The Send stack, composed: the one place that names all its layers.

What it takes is plain data but for the open connections and the end of the run, so that another
process can build the same stack from JSON (`StackConfig`, targets, exchanges) and the same API
keys. `divide_limits` divides what one process may do among several.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from harness.model import Call, Limits, Price, Response, Target
from harness.pricing.cost import exchange_cost, output_bound, request_bound
from harness.pricing.tokens import estimate_request
from harness.transport.local.target import LocalTargets
from harness.transport.middleware.budget import Budget
from harness.transport.middleware.limit import Limit, SendOnSlot
from harness.transport.middleware.model_check import ModelCheck
from harness.transport.middleware.quota import TokenNeed
from harness.transport.middleware.replay import Replay
from harness.transport.middleware.retry import Retry
from harness.transport.middleware.stop import Stop
from harness.transport.middleware.traffic import Traffic
from harness.transport.send import Clock, Send

T = TypeVar("T")


class StackConfig(Struct, frozen=True):
    """What a stack is held to, in addition to its targets' own limits.

    `budget` is the most US dollars the run may cost, None for no limit, `spent` what it has cost so
    far, and `held` what each batch that is still to be answered may cost, by its key. `prices` are
    those of targets, by name, that the budget counts at another price than their own. `seed` draws
    the jitter of waits.
    """

    seed: int = 0
    budget: float | None = None
    spent: float = 0.0
    held: Mapping[str, float] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)

    def budget_target(self, target: Target) -> Target:
        """The target, with the price that the budget counts it at."""
        price = self.prices.get(target.name)
        return target if price is None else replace(target, price=price)

    def cost_bound(self, call: Call) -> float | None:
        """The most US dollars a call can cost, with a batch all of its requests together; None
        where nothing says."""
        target = self.budget_target(call.target)
        if call.batch is None:
            return request_bound(call.request, target)
        bounds = [request_bound(request, target) for request in call.batch.requests]
        known = [bound for bound in bounds if bound is not None]
        return sum(known) if len(known) == len(bounds) else None

    def last_attempt_cost(self, call: Call, response: Response) -> float | None:
        """What the latest attempt at a call did cost, None where that is unknown."""
        return exchange_cost(response.attempts[-1:], self.budget_target(call.target).price).usd


def build_send_stack(
    http: SendOnSlot,
    config: StackConfig,
    stop: Stop,
    *,
    replay: Replay | None = None,
    batches: Callable[[Send, Budget], Send] | None = None,
    traffic: Mapping[str, Traffic] | None = None,
    model_check: ModelCheck | None = None,
    local_targets: LocalTargets | None = None,
) -> Send:
    """The layers of the Send stack, outermost first; one that a run has no use for is left out.

    Without a limit on spending, nothing need be reserved: the budget only answers for `batches`.
    """
    cap = math.inf if config.budget is None else config.budget
    budget = Budget(
        cap,
        upper_bound=config.cost_bound,
        price=config.last_attempt_cost,
        spent=config.spent,
        held=config.held,
    )
    before_the_slot: list[Callable[[Send], Send] | None] = [
        replay.around if replay else None,  # answers from stored exchanges
        (
            (lambda inner: batches(inner, budget)) if batches else None
        ),  # gathers what can wait, to submit it together
        partial(
            Retry, seed=config.seed, clock=Clock(sleep=stop.sleep_or_stop)
        ),  # tries again what can succeed later
        stop.catch_abandoned,  # makes a Response of a call that is abandoned below
        (
            budget.around if config.budget is not None else None
        ),  # reserves the most that an attempt can cost
    ]
    on_the_slot: list[Callable[[SendOnSlot], SendOnSlot] | None] = [
        stop.abandon_unsent,  # the last moment to abandon a call
        (
            model_check.around if model_check else None
        ),  # finds that another model answered than the one asked for
        local_targets.around if local_targets else None,  # runs the user's own code
    ]
    limit: Send = Limit(  # waits for a slot, for the rate and for backpressure
        compose_layers(on_the_slot, http),
        tokens=_needed_tokens,
        seed=config.seed,
        clock=Clock(sleep=stop.sleep),
        traffic=traffic,
    )
    return compose_layers(before_the_slot, limit)


def compose_layers(layers: Sequence[Callable[[T], T] | None], innermost: T) -> T:
    """`innermost` inside all `layers` that there are, the first of them outermost."""
    for layer in reversed(layers):
        if layer is not None:
            innermost = layer(innermost)
    return innermost


def divide_limits(
    config: StackConfig, targets: Iterable[Target], shares: int
) -> list[tuple[StackConfig, tuple[Target, ...]]]:
    """What each of `shares` processes may do, so that together they keep every limit.

    Slots, requests and tokens a minute are divided among them, and so is what is left of the
    budget. Raises ValueError where a limit is too small to give each of them one.
    """
    left = None if config.budget is None else max(0.0, config.budget - config.spent) / shares
    own = tuple(targets)
    return [
        (
            replace(config, seed=config.seed + share, budget=left, spent=0.0),
            tuple(replace(each, limits=_divide_target_limits(each, share, shares)) for each in own),
        )
        for share in range(shares)
    ]


def _divide_target_limits(target: Target, share: int, shares: int) -> Limits:
    limits = target.limits
    parts = {
        name: (whole + share) // shares  # the parts of a whole number add up to it
        for name in ("concurrency", "rpm", "tpm")
        if (whole := getattr(limits, name)) is not None
    }
    for name, part in parts.items():
        if not part:
            raise ValueError(
                f"target {target.name!r}: a {name} of {getattr(limits, name)} cannot be divided by"
                f" {shares}"
            )
    return replace(limits, **parts)


def _needed_tokens(call: Call) -> TokenNeed:
    """What a call needs of its target's tokens per minute.

    A batch needs nothing: when its requests run is the service's affair.
    """
    if call.batch is not None:
        return TokenNeed(0, 0)
    return TokenNeed(
        estimate_request(call.request), output_bound(call.request, None, call.target.extra_body)
    )
