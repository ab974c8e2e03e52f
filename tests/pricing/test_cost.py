"""What requests cost, against published figures, and the bound a budget reserves."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.model import (
    Attempt,
    Error,
    Exchange,
    Image,
    Marks,
    Message,
    Price,
    Request,
    Response,
    ResponseFormat,
    Target,
    Text,
    Tool,
    ToolCall,
    Usage,
)
from harness.model.error_kinds import IDLE_CLOSED
from harness.pricing.cost import (
    estimate_cost,
    exchange_cost,
    input_bound,
    most_spent,
    reported_cost,
    request_bound,
    upper_bound,
    usage_cost,
)

SCOUT = Price(input=Decimal("0.27"), output=Decimal("0.85"))
TIERED = Price(
    input=Decimal(4),
    output=Decimal(20),
    cache_read=Decimal("0.4"),
    cache_write=Decimal(5),
    tiers=((272_000, Price(input=Decimal(8), output=Decimal(30), cache_read=Decimal("0.8"))),),
)


def test_a_million_tokens_each_way_on_scout() -> None:
    assert usage_cost(Usage(input=1_000_000, output=0), SCOUT) == 0.27
    assert usage_cost(Usage(input=0, output=1_000_000), SCOUT) == 0.85


def test_the_sum_is_exact() -> None:
    assert usage_cost(Usage(input=18, output=3), SCOUT) == float(Decimal("0.00000741"))


@pytest.mark.parametrize(
    ("rate", "tokens", "neurons"),
    [((24_545, 77_273), (18, 3), 0.6736), ((26_668, 204_805), (388, 63), 23.2498)],
    ids=["scout", "llama-3.3-70b"],
)
def test_recorded_neurons_agree_with_the_published_rates(
    rate: tuple[int, int], tokens: tuple[int, int], neurons: float
) -> None:
    by_rate = Price(
        input=Decimal(rate[0]) * Decimal("0.000011"), output=Decimal(rate[1]) * Decimal("0.000011")
    )
    usage = Usage(input=tokens[0], output=tokens[1], neurons=neurons)
    assert reported_cost(usage) == pytest.approx(usage_cost(usage, by_rate), rel=1e-4)


def test_neurons_are_eleven_dollars_a_million() -> None:
    assert reported_cost(Usage(neurons=1_000.0)) == 0.011


def test_the_providers_own_figure_comes_first() -> None:
    assert reported_cost(Usage(neurons=1_000.0, cost=0.5)) == 0.5
    assert reported_cost(Usage(input=1, output=1)) is None


def test_unknown_tokens_cost_an_unknown_amount() -> None:
    assert usage_cost(Usage(input=None, output=3), SCOUT) is None


FREE, FLAT = (
    Price(input=Decimal(0), output=Decimal(0), per_request=Decimal(dollars))
    for dollars in ("0", "0.01")
)


@pytest.mark.parametrize(
    ("price", "usage", "dollars"),
    [
        (FREE, None, 0.0),
        (FREE, Usage(input=None, output=3), 0.0),
        (FLAT, None, 0.01),
        (FLAT, Usage(input=7, output=3), 0.01),
        (Price(input=Decimal(0), output=Decimal(2)), Usage(input=None, output=3), 0.000006),
        (Price(input=Decimal(0), output=Decimal(2)), None, None),
        (SCOUT, None, None),
    ],
)
def test_an_unknown_count_matters_only_where_it_costs_something(
    price: Price, usage: Usage | None, dollars: float | None
) -> None:
    assert exchange_cost((attempt(usage),), price).usd == dollars


def test_an_estimate_prices_every_attempt_that_may_have_been_billed() -> None:
    answer = Response(
        usage=Usage(input=1_000_000, output=0, source="estimated"),
        attempts=(attempt(status=429), attempt(), attempt(Usage(input=0, output=1_000_000))),
    )
    assert exchange_cost(answer.attempts, SCOUT).usd is None
    assert estimate_cost(answer, SCOUT) == pytest.approx(0.27 + 0.85)
    assert estimate_cost(answer, None) is None


def test_buckets_have_their_own_prices_and_reasoning_is_output() -> None:
    usage = Usage(
        input=100, output=10, cache_read=1_000, cache_write=200, cache_write_1h=50, reasoning=5
    )
    dollars = Decimal(100 * 4 + 200 * 5 + 50 * 5 + 15 * 20) + 1_000 * Decimal("0.4")
    assert usage_cost(usage, TIERED) == float(dollars / 1_000_000)


def test_a_cache_price_that_is_not_listed_is_the_input_price() -> None:
    assert (
        usage_cost(Usage(input=0, output=0, cache_read=1_000_000, cache_write=1_000_000), SCOUT)
        == 0.54
    )


def test_a_tier_prices_the_whole_request() -> None:
    assert usage_cost(Usage(input=272_000, output=0), TIERED) == 272_000 * 4 / 1e6
    assert usage_cost(Usage(input=1, output=0, cache_read=272_000), TIERED) == pytest.approx(
        (8 + 272_000 * 0.8) / 1e6, rel=1e-12
    )


def attempt(
    usage: Usage | None = None, *, status: int | None = 200, sent: int | None = 1
) -> Attempt:
    error = (
        None
        if status == 200
        else Error("provider", "rate_limited", "wait", retryable=True, status=status)
    )
    return Attempt(marks=Marks(sent=sent), status=status, usage=usage, error=error)


def test_retries_are_billed_and_refusals_are_not() -> None:
    used = Usage(input=1_000_000, output=0, neurons=1_000.0)
    total = exchange_cost(
        [attempt(status=429), attempt(used), attempt(None, status=None, sent=None), attempt(used)],
        SCOUT,
    )
    assert (total.priced, total.reported, total.usd) == (0.54, 0.022, 0.022)


def test_a_cut_stream_without_usage_makes_the_cost_unknown() -> None:
    assert exchange_cost([attempt(None), attempt(Usage(input=1, output=1))], SCOUT).usd is None


def test_an_attempt_of_unknown_cost_counts_as_it_was_reserved() -> None:
    target = Target("t", "openai", "tiny", "http://t", "http://t", price=SCOUT)
    request = Request((Message("user", "Hi"),), {"max_tokens": 8})
    cut, whole = (Attempt(Marks(sent=1), 200, usage) for usage in (None, Usage(input=18, output=3)))
    response = Response(attempts=(cut, whole, cut))
    exchange = Exchange(
        "t0", "target", "t", request, response, exchange_cost(response.attempts, SCOUT)
    )
    bound = request_bound(request, target)
    assert bound is not None and exchange.cost.usd is None
    assert most_spent(exchange, target) == pytest.approx(0.00000741 + 2 * bound)
    known = replace(
        exchange, response=Response(attempts=(whole,)), cost=exchange_cost((whole,), SCOUT)
    )
    assert most_spent(known, target) == 0.00000741


def test_what_was_never_sent_costs_nothing_and_what_has_no_price_is_unknown() -> None:
    assert exchange_cost([], SCOUT).usd == 0
    assert exchange_cost([attempt(Usage(input=1, output=1))], None).usd is None


def test_the_bound_for_a_short_question() -> None:
    request = Request(messages=(Message("user", "Hi"),), sampling={"max_tokens": 64})
    bound = upper_bound(request, SCOUT, 131_000)
    assert bound is not None
    assert (18 * 0.27 + 64 * 0.85) / 1e6 <= bound < 0.0002


def test_without_a_limit_the_context_bounds_the_output() -> None:
    request = Request(messages=(Message("user", "Hi"),))
    bound = upper_bound(request, SCOUT, 131_000)
    assert bound is not None
    assert bound >= 131_000 * 0.85 / 1e6
    assert upper_bound(request, SCOUT, None) is None


def test_geminis_limits_in_extra_body_bound_the_output_too() -> None:
    request = Request(messages=(Message("user", "Hi"),), sampling={"max_tokens": 64})
    extra = {"generationConfig": {"maxOutputTokens": 1_000_000, "candidateCount": 2}}
    bound = upper_bound(request, SCOUT, None, extra_body=extra)
    assert bound is not None
    assert bound >= 2_000_000 * 0.85 / 1e6


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_limit_in_extra_body_bounds_the_output_under_each_formats_name(name: str) -> None:
    request = Request(messages=(Message("user", ""),), sampling={"max_tokens": 1})
    bound = upper_bound(request, SCOUT, None, extra_body={name: 1_000_000})
    assert bound is not None
    assert bound >= 0.85


def test_samples_multiply_the_output_and_extra_body_overrides_it() -> None:
    request = Request(messages=(Message("user", "Hi"),), sampling={"max_tokens": 1_000_000, "n": 3})
    three = upper_bound(request, SCOUT, None)
    overridden = upper_bound(request, SCOUT, None, extra_body={"max_tokens": 9_000_000, "n": 1})
    assert three is not None
    assert overridden is not None
    assert three >= 3 * 0.85
    assert overridden >= 9 * 0.85


@pytest.mark.parametrize("count", [8, 8.0, "8", " 8.0 ", 7.5])
@pytest.mark.parametrize("name", ["n", "best_of", "candidateCount"])
def test_samples_are_read_in_every_form(name: str, count: object) -> None:
    request = Request(messages=(Message("user", "Hi"),), sampling={"max_tokens": 1_000_000})
    eight = upper_bound(request, SCOUT, None, extra_body={name: count})
    assert eight is not None and eight >= 8 * 0.85


@pytest.mark.parametrize(
    "extra", [{"n": "many"}, {"n": [8]}, {"best_of": -1}, {"max_tokens": -1}, {"max_tokens": "all"}]
)
def test_what_cannot_be_read_as_a_limit_is_none(extra: dict[str, object]) -> None:
    request = Request(messages=(Message("user", "Hi"),), sampling={"max_tokens": 8})
    assert upper_bound(request, SCOUT, None, extra_body=extra) is None
    if "max_tokens" in extra:
        bound = upper_bound(request, SCOUT, 1_000_000, extra_body=extra)
        assert bound is not None and bound >= 0.85, "the context is the limit"


def test_an_attempt_that_may_have_been_billed_counts_as_it_was_reserved() -> None:
    target = Target("t", "openai", "tiny", "http://t", "http://t", price=SCOUT)
    request = Request((Message("user", "Hi"),), {"max_tokens": 8})
    whole = Attempt(Marks(sent=1), 200, Usage(input=18, output=3))
    closed = Attempt(Marks(sent=1), None, error=Error("transport", IDLE_CLOSED, "closed"))
    failed, refused = (Attempt(Marks(sent=1), status) for status in (500, 429))
    attempts = (failed, closed, refused, Attempt(), whole)
    exchange = Exchange(
        "t0", "target", "t", request, Response(attempts=attempts), exchange_cost(attempts, SCOUT)
    )
    bound = request_bound(request, target)
    assert bound is not None and exchange.cost.usd == 0.00000741
    assert most_spent(exchange, target) == pytest.approx(0.00000741 + 2 * bound)
    google = replace(
        target, provider="gemini", base_url="https://generativelanguage.googleapis.com"
    )
    assert most_spent(exchange, google) == pytest.approx(0.00000741 + bound)
    dearer = replace(target, price=replace(SCOUT, output=SCOUT.output * 10))
    assert most_spent(replace(exchange, response=Response(attempts=(whole,))), dearer) > 0.00002


def test_images_are_bounded_by_what_the_model_takes() -> None:
    image = Message("user", (Text("What is this?"), Image("image/png", "iVBORw0KGgo=")))
    assert input_bound(Request(messages=(image,)), image_tokens=2_467) > 2_467
    assert input_bound(Request(messages=(image,))) > 48_169


texts = st.text(max_size=80)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts,
    tool_calls=st.lists(st.builds(ToolCall, texts, texts, texts), max_size=2).map(tuple),
)
requests = st.builds(
    Request,
    messages=st.lists(messages, max_size=4).map(tuple),
    sampling=st.fixed_dictionaries(
        {"max_tokens": st.integers(1, 10**6)}, optional={"n": st.integers(1, 4)}
    ),
    tools=st.lists(
        st.builds(Tool, texts, texts, st.just({"type": "object", "properties": {}})), max_size=2
    ).map(tuple),
    response_format=st.none() | st.just(ResponseFormat("json_schema", {"type": "object"})),
)
fractions = st.floats(0, 1)
dollars = st.decimals(0, 100, places=3)
prices = st.builds(
    Price,
    input=dollars,
    output=dollars,
    cache_read=st.none() | dollars,
    cache_write=st.none() | dollars,
    cache_write_1h=st.none() | dollars,
    per_request=dollars,
    tiers=st.lists(
        st.tuples(st.integers(0, 2_000), st.builds(Price, input=dollars, output=dollars)),
        max_size=1,
    ).map(tuple),
)


@given(requests, prices, fractions, fractions, fractions, fractions)
def test_nothing_within_the_limits_costs_more_than_the_bound(
    request: Request, price: Price, whole: float, cached: float, written: float, used: float
) -> None:
    tokens = int(input_bound(request) * whole)
    read = int(tokens * cached)
    write = int((tokens - read) * written)
    most_output = request.sampling["max_tokens"] * request.sampling.get("n", 1)
    usage = Usage(
        input=tokens - read - write, output=int(most_output * used), cache_read=read, cache_write=write // 2,
        cache_write_1h=write - write // 2,
    )  # fmt: skip
    bound, actual = upper_bound(request, price, None), usage_cost(usage, price)
    assert bound is not None
    assert actual is not None
    assert actual <= bound


@given(requests)
def test_every_byte_is_counted(request: Request) -> None:
    written = sum(len(message.text.encode()) for message in request.messages)
    assert input_bound(request) >= written
