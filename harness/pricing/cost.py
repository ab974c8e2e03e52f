"""What a request cost, and the most that it can cost.

Two figures are kept side by side: what the provider says it billed (`reported`), and tokens times the dated price (`priced`).
Sums are exact (decimal) until the last step. Unknown is None, never 0. The upper bound is what a hard budget reserves before it
lets an attempt go, so it errs to the high side in every term.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from harness.model import Attempt, Cost, Image, Message, Price, Request, Usage
from harness.pricing.text import json_text

MTOK = Decimal(1_000_000)

DOLLARS_PER_NEURON = Decimal("0.000011")
"""Workers AI: $0.011 per 1,000 neurons (developers.cloudflare.com/workers-ai/platform/pricing)."""

IMAGE_BOUND = 48_169
"""Most tokens an image takes anywhere: eight high-detail tiles on gpt-4o-mini, 2,833 + 8 × 5,667."""

MESSAGE_BOUND = 16
"""Most tokens a chat template puts around one message; Llama 4's puts 5."""

TEMPLATE_BOUND = 256
"""Most tokens a chat template puts around the whole, with the system text some models add by themselves."""

TOOLS_BOUND = 1024
"""Most tokens of instructions that a template adds where tools or a response format are given."""

_OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens", "n_predict")


def cost(usage: Usage, price: Price) -> float | None:
    """US dollars for `usage` at `price`; None where a count is unknown. A cache price that is not given is the input price.

    Above a tier's threshold of input tokens, that tier prices the whole request.
    """
    exact = _exact(usage, price)
    return None if exact is None else float(exact)


def reported_cost(usage: Usage) -> float | None:
    """US dollars as the provider billed them: its own figure, else its neurons at their price; None where it told neither."""
    if usage.cost is not None:
        return usage.cost
    return None if usage.neurons is None else float(_decimal(usage.neurons) * DOLLARS_PER_NEURON)


def exchange_cost(attempts: Sequence[Attempt], price: Price | None) -> Cost:
    """What all attempts of an exchange cost together: retries are billed.

    An attempt costs nothing where nothing was sent or the server refused it. One whose tokens are unknown (a stream that was
    cut) makes the sum unknown.
    """
    billed = [attempt.usage for attempt in attempts if not _is_free(attempt)]
    return Cost(
        reported=_sum(None if usage is None else reported_cost(usage) for usage in billed) if billed else None,
        priced=None if price is None else _sum(None if usage is None else cost(usage, price) for usage in billed),
    )


def upper_bound(
    request: Request,
    price: Price,
    context: int | None,
    *,
    image_tokens: int | None = None,
    extra_body: Mapping[str, Any] | None = None,
) -> float | None:
    """The most US dollars that one attempt at `request` can cost; None where nothing limits its output.

    Output is the limit asked for (by the request or a target's `extra_body`) times the number of samples, else the context.
    """
    output = output_bound(request, context, extra_body or {})
    if output is None:
        return None
    most = input_bound(request, image_tokens or IMAGE_BOUND) + _size(json_text(extra_body or {}))
    levels = (price, *(tier for above, tier in price.tiers if most > above))
    dollars = max(_dearest_input(level) * most + level.output * output for level in levels)
    return float(dollars / MTOK + price.per_request)


def input_bound(request: Request, image_tokens: int = IMAGE_BOUND) -> int:
    """The most input tokens `request` can have: no token is shorter than a byte, plus what templates and images add."""
    size = _size(request.prompt or "") + sum(_size(_message_text(message)) for message in request.messages)
    overhead = TEMPLATE_BOUND + MESSAGE_BOUND * len(request.messages)
    if request.tools or request.response_format:
        # Templates write JSON with line breaks and indents of their own: no more of them than it has characters.
        overhead += TOOLS_BOUND + 2 * _size(json_text([request.tools, request.response_format]))
    return size + overhead + image_tokens * count_images(request)


def output_bound(request: Request, context: int | None, extra_body: Mapping[str, Any]) -> int | None:
    """The most output tokens `request` can have, over all its samples; None where nothing says."""
    # What a target adds to the body overrides the request's own, under whichever name its server knows.
    sent = {**request.sampling, **extra_body}
    limits = [limit for name in _OUTPUT_LIMITS if isinstance(limit := sent.get(name), int)]
    most = max(limits) if limits else context
    samples = sent.get("n")
    return None if most is None else most * (samples if isinstance(samples, int) else 1)


def count_images(request: Request) -> int:
    """How many images the messages carry."""
    parts = (part for message in request.messages if not isinstance(message.content, str) for part in message.content)
    return sum(isinstance(part, Image) for part in parts)


def _exact(usage: Usage, price: Price) -> Decimal | None:
    if usage.input is None or usage.output is None:
        return None
    level = _level(price, usage.input_tokens or 0)
    write = _known(level.cache_write, level.input)
    tokens = (
        level.input * usage.input
        + _known(level.cache_read, level.input) * usage.cache_read
        + write * usage.cache_write
        + _known(level.cache_write_1h, write) * usage.cache_write_1h
        + level.output * (usage.output + usage.reasoning)
    )
    return tokens / MTOK + price.per_request


def _level(price: Price, input_tokens: int) -> Price:
    return next((tier for above, tier in reversed(price.tiers) if input_tokens > above), price)


def _known(price: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if price is None else price


def _dearest_input(price: Price) -> Decimal:
    offered = (price.input, price.cache_read, price.cache_write, price.cache_write_1h)
    return max(each for each in offered if each is not None)


def _is_free(attempt: Attempt) -> bool:
    if attempt.usage is not None:
        return False
    refused = attempt.status is not None and not 200 <= attempt.status < 300
    return refused or (attempt.status is None and attempt.marks.sent is None)


def _sum(costs: Iterable[float | None]) -> float | None:
    known = list(costs)
    if any(each is None for each in known):
        return None
    return float(sum((_decimal(each) for each in known if each is not None), Decimal(0)))


def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _message_text(message: Message) -> str:
    calls = json_text(message.tool_calls) if message.tool_calls else ""
    return "".join((message.role, message.name or "", message.tool_call_id or "", message.text, calls))
