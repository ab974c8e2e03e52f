"""The cost of a request, and an upper bound of what it can cost.

Two figures are kept: what the provider says it billed (`reported`), and tokens times the dated
price (`priced`). Sums are exact until the last step. Unknown is None, never 0. The upper bound is
what a hard budget reserves before an attempt is sent, so it errs on the high side in every term.

Prices are decimals; they are multiplied as integers of a unit that divides all of them (`_Rates`),
which is as exact and takes a twentieth of the time: every attempt is bounded before it is sent, and
priced afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, inf, lcm
from typing import Any

from msgspec import Struct

from harness.metrics.definitions import is_free
from harness.model import (
    Attempt,
    Cost,
    Exchange,
    Message,
    Price,
    Request,
    Response,
    Target,
    Usage,
)
from harness.model.images import images_of
from harness.pricing.tiles import IMAGE_BOUND, image_bound
from harness.pricing.tokens import json_text
from harness.vendors import bills_failures

MTOK = 1_000_000

DOLLARS_PER_NEURON = Decimal("0.000011")
"""Workers AI: $0.011 per 1,000 neurons (developers.cloudflare.com/workers-ai/platform/pricing)."""

MESSAGE_BOUND = 16
"""Most tokens a chat template puts around one message; Llama 4's puts 5."""

TEMPLATE_BOUND = 256
"""Most tokens a chat template puts around a conversation, with the system text that some models add
by themselves."""

TOOLS_BOUND = 1024
"""Most tokens of instructions that a template adds for tools or a response format."""

_OUTPUT_LIMITS = frozenset(
    {"max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict", "maxOutputTokens"}
)
_SAMPLES = frozenset({"best_of", "candidateCount", "candidate_count", "n"})
"""Parameters by which the service generates several answers for one request."""


_UNKNOWN_USAGE = Usage()


@lru_cache(maxsize=4096)  # the budget and the record ask for the same attempt
def usage_cost(usage: Usage, price: Price) -> float | None:
    """US dollars for `usage` at `price`; None where a count is unknown that costs something. An
    unset cache price is the input price.

    Above a tier's threshold of input tokens, that tier prices the whole request.
    """
    rates = _integer_rates(price)
    if (usage.input is None and not rates.has_free_input) or (
        usage.output is None and not rates.has_free_output
    ):
        return None
    fresh, output = usage.input or 0, usage.output or 0
    level = (
        rates
        if not rates.tiers
        else rates.rates_above(fresh + usage.cache_read + usage.cache_write + usage.cache_write_1h)
    )
    tokens = (
        level.input * fresh
        + level.cache_read * usage.cache_read
        + level.cache_write * usage.cache_write
        + level.cache_write_1h * usage.cache_write_1h
        + level.output * (output + usage.reasoning)
    )
    return rates.to_dollars(tokens)


def reported_cost(usage: Usage) -> float | None:
    """US dollars as the provider billed them: its own figure, else its neurons at their price; None
    where there is neither."""
    if usage.cost is not None:
        return usage.cost
    return None if usage.neurons is None else float(_to_decimal(usage.neurons) * DOLLARS_PER_NEURON)


def exchange_cost(attempts: Sequence[Attempt], price: Price | None) -> Cost:
    """The total cost of all attempts of an exchange: retries are billed.

    An attempt is free if nothing was sent or the server refused it. One whose tokens are unknown (a
    stream that was cut off) makes the sum unknown, unless they are free.
    """
    if len(attempts) == 1 and (usage := attempts[0].usage) is not None:  # the common case
        return Cost(reported_cost(usage), None if price is None else usage_cost(usage, price))
    billed = [attempt.usage for attempt in attempts if not is_free(attempt)]
    return Cost(
        reported=_exact_sum([None if usage is None else reported_cost(usage) for usage in billed])
        if billed
        else None,
        priced=None
        if price is None
        else _exact_sum([usage_cost(usage or _UNKNOWN_USAGE, price) for usage in billed]),
    )


def estimate_cost(response: Response, price: Price | None) -> float | None:
    """About what a response cost whose cost is not known: at the usage of its answer, reported or
    estimated, for every attempt that has none.

    None without an answer or a price.
    """
    if price is None or response.usage is None:
        return None
    return _exact_sum(
        [
            usage_cost(attempt.usage or response.usage, price)
            for attempt in response.attempts
            if not is_free(attempt)
        ]
    )


def price_from_facts(facts: Mapping[str, str] | None) -> Price | None:
    """A target's price as a manifest has it: without what the cache costs, and without tiers."""
    if facts is None:
        return None
    return Price(
        input=Decimal(facts["input"]),
        output=Decimal(facts["output"]),
        per_request=Decimal(facts.get("per_request", 0)),
    )


def request_bound(request: Request, target: Target) -> float | None:
    """`upper_bound` for `target`; None where it has no price."""
    if target.price is None:
        return None
    images = image_bound(target.model)
    return upper_bound(
        request, target.price, target.context, image_tokens=images, extra_body=target.extra_body
    )


def may_be_billed(attempt: Attempt, target: Target) -> bool:
    """Whether a failed attempt may have cost something all the same: it was sent, and ended without
    an answer, or in a server error of a service that is not known not to bill those."""
    if attempt.usage is not None or attempt.marks.sent is None:
        return False
    return attempt.status is None or (
        attempt.status >= 500 and bills_failures(target.provider, target.base_url)
    )


def most_spent(exchange: Exchange, target: Target) -> float:
    """The most US dollars an exchange can have cost, then or at the target's price: an attempt that
    may have been billed counts with its upper bound."""
    costs = [
        None if may_be_billed(each, target) else exchange_cost((each,), target.price).usd
        for each in exchange.response.attempts
    ]
    known, unknown = sum(cost for cost in costs if cost is not None), costs.count(None)
    bound = request_bound(exchange.request, target) if unknown else None
    return max(known, exchange.cost.usd or 0.0) + unknown * (bound or 0.0)


def upper_bound(
    request: Request,
    price: Price,
    context: int | None,
    *,
    image_tokens: int | None = None,
    extra_body: Mapping[str, Any] | None = None,
) -> float | None:
    """The most US dollars that one attempt at `request` can cost; None where nothing limits its
    output.

    Output is the requested limit (the request's or a target's `extra_body`'s) times the number of
    samples, else the context. `image_tokens` is the most that one image takes with the model, by
    default with any model.
    """
    output = output_bound(request, context, extra_body or {})
    if output is None:
        return None
    most = input_bound(request, image_tokens or IMAGE_BOUND) + (
        _utf8_size(json_text(extra_body)) if extra_body else 0
    )
    rates = _integer_rates(price)
    dearest = rates.dearest_input * most + rates.output * output
    for above, tier in rates.tiers:
        if most > above:
            dearest = max(dearest, tier.dearest_input * most + tier.output * output)
    return rates.to_dollars(dearest)


def input_bound(request: Request, image_tokens: int = IMAGE_BOUND) -> int:
    """The most input tokens `request` can have: no token is shorter than a byte, plus what
    templates and images add."""
    size = TEMPLATE_BOUND if request.prompt is None else TEMPLATE_BOUND + _utf8_size(request.prompt)
    for message in request.messages:
        size += MESSAGE_BOUND + _message_size(message)
    if request.tools or request.response_format:
        # Templates write JSON with line breaks and indents of their own: no more of them than it
        # has characters.
        size += TOOLS_BOUND + 2 * _utf8_size(json_text([request.tools, request.response_format]))
    return size + image_tokens * len(images_of(request.messages))


def output_bound(
    request: Request, context: int | None, extra_body: Mapping[str, Any]
) -> int | None:
    """The most output tokens `request` can have, over all its samples; None where there is no
    limit."""
    # `extra_body` overrides the request's own limit, under whichever name the target's server
    # knows.
    sent = (
        {**request.sampling, **extra_body, **_generation_config(extra_body)}
        if extra_body
        else request.sampling
    )
    limits = [sent[name] for name in _OUTPUT_LIMITS if sent.get(name) is not None]
    most = max(map(_as_count, limits), default=context, key=_unlimited_last)
    if most is None:
        most = context
    samples = [sent[name] for name in _SAMPLES if sent.get(name) is not None]
    if most is None or not samples:
        return most
    times = max(map(_as_count, samples), key=_unlimited_last)
    return None if times is None else most * max(times, 1)


def _as_count(value: Any) -> int | None:
    """A number as servers may read it, rounded up (`8`, `8.0`, `"8"`); None where it is none, or
    negative, which stands for no limit."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return ceil(number) if 0 <= number < inf else None


def _unlimited_last(count: int | None) -> float:
    return inf if count is None else count


def _generation_config(extra_body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Gemini's parameters, which are nested in the body."""
    config = extra_body.get("generationConfig")
    return config if isinstance(config, Mapping) else {}


class _Rates(Struct, frozen=True):
    """A price in integers: what a token costs in a currency unit of 1 / (1,000,000 × `unit`)
    dollars."""

    unit: int
    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    dearest_input: int
    per_request: int = 0
    tiers: tuple[tuple[int, _Rates], ...] = ()

    def rates_above(self, input_tokens: int) -> _Rates:
        """The rates for a request of so many input tokens: the highest tier's below them, else
        these."""
        return next((tier for above, tier in reversed(self.tiers) if input_tokens > above), self)

    @property
    def has_free_input(self) -> bool:
        """Whether input costs nothing, however much there is."""
        return not self.dearest_input and not self.tiers

    @property
    def has_free_output(self) -> bool:
        """Whether output costs nothing, in every tier."""
        return not self.output and not any(tier.output for _, tier in self.tiers)

    def to_dollars(self, tokens: int) -> float:
        """US dollars for the sum of tokens × rates; dividing two integers rounds once, and
        correctly."""
        return (tokens + self.per_request) / (self.unit * MTOK)


@lru_cache(maxsize=256)
def _integer_rates(price: Price) -> _Rates:
    levels = (price, *(tier for _, tier in price.tiers))
    figures = [
        price.per_request,
        *(figure for level in levels for figure in (*_input_prices(level), level.output)),
    ]
    unit = lcm(*(Fraction(figure).denominator for figure in figures))
    tiers = tuple((above, _tier_rates(tier, unit)) for above, tier in price.tiers)
    return _tier_rates(
        price, unit, tiers, per_request=int(Fraction(price.per_request) * unit) * MTOK
    )


def _tier_rates(
    price: Price, unit: int, tiers: tuple[tuple[int, _Rates], ...] = (), per_request: int = 0
) -> _Rates:
    """The rates of one tier, or of the base price."""

    def whole(figure: Decimal) -> int:
        return int(Fraction(figure) * unit)

    cache_read = price.input if price.cache_read is None else price.cache_read
    cache_write = price.input if price.cache_write is None else price.cache_write
    cache_write_1h = cache_write if price.cache_write_1h is None else price.cache_write_1h
    return _Rates(
        unit=unit,
        input=whole(price.input),
        output=whole(price.output),
        cache_read=whole(cache_read),
        cache_write=whole(cache_write),
        cache_write_1h=whole(cache_write_1h),
        dearest_input=whole(max(_input_prices(price))),
        per_request=per_request,
        tiers=tiers,
    )


def _input_prices(price: Price) -> list[Decimal]:
    """All prices of an input token, cached or not."""
    figures = (price.input, price.cache_read, price.cache_write, price.cache_write_1h)
    return [each for each in figures if each is not None]


def _exact_sum(costs: Sequence[float | None]) -> float | None:
    """Their exact sum, 0 where there are none; unknown where one is unknown."""
    if len(costs) == 1:
        return costs[0]
    known = [_to_decimal(each) for each in costs if each is not None]
    return float(sum(known, Decimal(0))) if len(known) == len(costs) else None


def _to_decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def _utf8_size(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _message_size(message: Message) -> int:
    """Bytes of everything in a message but its images."""
    size = len(message.role) + _utf8_size(message.text)
    if message.tool_calls:
        size += _utf8_size(json_text(message.tool_calls))
    for more in (message.name, message.tool_call_id):
        if more:
            size += _utf8_size(more)
    return size
