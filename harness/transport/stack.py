"""The Send stack, composed: the one place that names all its layers.

What it takes is plain data but for the open connections and the end of the run, so that another process can build the same
stack from JSON (`StackConfig`, targets, exchanges) and the same API keys. `divide_limits` divides what one process may do among
several.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from harness.model import Call, Limits, Response, Target
from harness.pricing.cost import exchange_cost, output_bound, request_bound
from harness.pricing.tokens import estimate_request
from harness.transport.middleware.budget import Budget
from harness.transport.middleware.limit import Limit, SendOnSlot
from harness.transport.middleware.replay import Mode, Replay, StoredExchange
from harness.transport.middleware.retry import Retry
from harness.transport.middleware.stop import Stop
from harness.transport.send import Clock, Send


class StackConfig(Struct, frozen=True):
    """What a stack is held to, beside its targets' own limits.

    `budget` is the most US dollars the run may cost, None for no limit, `spent` what it has cost so far, and `held` what each
    batch that is still to be answered may cost, by its key; `seed` draws the jitter of waits.
    """

    seed: int = 0
    budget: float | None = None
    spent: float = 0.0
    held: Mapping[str, float] = field(default_factory=dict)


def build_send_stack(
    attempt: SendOnSlot,
    terms: StackConfig,
    stop: Stop,
    stored: Iterable[StoredExchange] = (),
    *,
    mode: Mode = "reuse",
    own: str | None = None,
    gather: Callable[[Send, Budget], Send] | None = None,
) -> Replay:
    """The whole stack, outermost first: replay(gather(retry(budget(limit(attempt))))).

    `gather` is the layer that makes batches of what can wait, where a run has one.
    `stop` stands where something waits and where something is sent; `stored` are the exchanges to answer from, and `own` the
    run being resumed (see `Replay`).
    """
    cap = math.inf if terms.budget is None else terms.budget
    limit = Limit(stop.inside(attempt), tokens=_reserved_tokens, seed=terms.seed, clock=Clock(sleep=stop.sleep))
    budget = Budget(limit, cap, upper_bound=cost_bound, price=_last_attempt_cost, spent=terms.spent, held=terms.held)
    paid = limit if terms.budget is None else budget  # without a limit on spending, nothing need be reserved
    retry = Retry(stop.outside(paid), seed=terms.seed, clock=Clock(sleep=stop.sleep_or_stop))
    return Replay(gather(retry, budget) if gather else retry, stored, mode=mode, own=own)


def divide_limits(terms: StackConfig, targets: Iterable[Target], shares: int) -> list[tuple[StackConfig, tuple[Target, ...]]]:
    """What each of `shares` processes may do, so that together they keep every limit.

    Slots, requests and tokens a minute are divided among them, and so is what is left of the budget. Raises ValueError where a
    limit is too small to give each of them one.
    """
    left = None if terms.budget is None else max(0.0, terms.budget - terms.spent) / shares
    own = tuple(targets)
    return [
        (
            replace(terms, seed=terms.seed + share, budget=left, spent=0.0),
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
            raise ValueError(f"target {target.name!r}: a {name} of {getattr(limits, name)} cannot be divided by {shares}")
    return replace(limits, **parts)


def _reserved_tokens(call: Call) -> int:
    """What a call reserves of its tokens per minute: its input, estimated, and all the output it may have.

    A batch reserves nothing: when its requests run is the service's affair.
    """
    if call.batch is not None:
        return 0
    return estimate_request(call.request) + (output_bound(call.request, call.target.context, call.target.extra_body) or 0)


def cost_bound(call: Call) -> float | None:
    """The most US dollars a call can cost, with a batch all of its requests together; None where nothing says."""
    if call.batch is None:
        return request_bound(call.request, call.target)
    bounds = [request_bound(request, call.target) for request in call.batch.requests]
    known = [bound for bound in bounds if bound is not None]
    return sum(known) if len(known) == len(bounds) else None


def _last_attempt_cost(call: Call, response: Response) -> float | None:
    return exchange_cost(response.attempts[-1:], call.target.price).usd
