"""Measures derived from marks."""

from __future__ import annotations

import subprocess
import sys
from math import isnan

import pytest
from msgspec.structs import replace

from harness.metrics import definitions
from harness.metrics.definitions import Timing
from harness.metrics.table import RESPONSE_METRICS, Metric
from harness.model import Attempt, Error, Marks, Response, Usage
from tests.analysis import build

S = 1_000_000_000
MARKS = Marks(
    due=0,
    started=2 * S,
    connected=3 * S,
    sent=4 * S,
    first_byte=5 * S,
    first_token=6 * S,
    first_answer=8 * S,
    last_token=14 * S,
    done=15 * S,
)


def timed(usage: Usage | None = None, **marks: int | None) -> Timing:
    """The timing of a response after one attempt with `MARKS`, but for those given."""
    return Timing(Response(usage=usage, attempts=(Attempt(replace(MARKS, **marks)),)))


def test_each_measure_is_the_difference_of_its_marks() -> None:
    timing = timed()
    assert definitions.latency(timing) == 10
    assert definitions.time_to_first_token(timing) == 2
    assert definitions.time_to_first_answer(timing) == 4
    assert definitions.queue_time(timing) == 2
    assert definitions.connect_time(timing) == 1
    assert definitions.trailer_time(timing) == 1
    assert definitions.response_time(timing) == 14


def test_a_difference_is_exact_however_long_the_clock_has_run() -> None:
    late = timed(sent=10**18, last_token=10**18 + 1)
    assert definitions.latency(late) == 1e-9


def test_what_was_not_streamed_ends_with_its_body() -> None:
    whole = timed(first_token=None, first_answer=None, last_token=None)
    assert definitions.latency(whole) == 11
    assert isnan(definitions.time_to_first_token(whole))
    assert isnan(definitions.time_to_first_answer(whole))
    assert isnan(definitions.trailer_time(whole))


@pytest.mark.parametrize("metric", RESPONSE_METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize(
    "response", [Response(), Response(attempts=(Attempt(),))], ids=["not sent", "no marks"]
)
def test_unknown_is_nan_and_never_0(metric: Metric, response: Response) -> None:
    assert metric.read is not None
    assert isnan(metric.read(Timing(response)))


def test_a_measure_of_a_record_is_none_where_it_is_unknown() -> None:
    assert definitions.none_if_unknown(definitions.latency(Timing(Response()))) is None
    assert definitions.none_if_unknown(definitions.latency(timed())) == 10


def test_time_per_output_token_leaves_the_first_token_out() -> None:
    assert definitions.time_per_output_token(timed(Usage(output=4, reasoning=1))) == 2
    assert isnan(definitions.time_per_output_token(timed(Usage(output=5, source="estimated"))))
    assert isnan(definitions.time_per_output_token(timed(Usage(output=1))))
    assert isnan(
        definitions.time_per_output_token(timed(Usage(output=5), last_token=MARKS.first_token))
    )
    assert isnan(definitions.time_per_output_token(timed()))


def test_output_tokens_per_second_is_end_to_end() -> None:
    assert definitions.output_tokens_per_second(timed(Usage(output=50))) == 5
    assert isnan(definitions.output_tokens_per_second(timed(Usage())))
    estimated = Usage(output=50, source="estimated")
    assert isnan(definitions.output_tokens_per_second(timed(estimated)))
    assert isnan(
        definitions.output_tokens_per_second(timed(Usage(output=5), sent=MARKS.last_token))
    )


def test_time_per_reasoning_token_is_that_of_streamed_reasoning() -> None:
    assert definitions.time_per_reasoning_token(timed(Usage(output=10, reasoning=4))) == 0.5
    assert isnan(
        definitions.time_per_reasoning_token(
            timed(Usage(output=10, reasoning=4, source="estimated"))
        )
    )
    assert isnan(definitions.time_per_reasoning_token(timed(Usage(output=10))))
    at_once = timed(Usage(output=10, reasoning=4), first_answer=MARKS.first_token)
    assert isnan(definitions.time_per_reasoning_token(at_once))
    assert isnan(
        definitions.time_per_reasoning_token(
            timed(Usage(output=10, reasoning=4), first_answer=None)
        )
    )


def test_tokens_and_waits_add_up_over_attempts() -> None:
    first = Attempt(usage=Usage(input=10, output=1), waited=1)
    unknown, last = Attempt(waited=2), Attempt(usage=Usage(input=1, output=1))
    response = Response(
        usage=Usage(input=20, output=2, cache_read=5), attempts=(first, unknown, last)
    )
    assert definitions.token_totals(response) == (35, 3)
    assert definitions.waited(response) == 3
    assert definitions.token_totals(Response(usage=Usage(input=7))) == (7, None)
    assert definitions.token_totals(Response()) == (None, None)


def test_what_was_refused_or_never_sent_is_free() -> None:
    sent = Attempt(MARKS, 200)
    for free in (Attempt(), Attempt(MARKS, 503), Attempt(MARKS, 429)):
        assert definitions.exchange_dollars(build.exchange(Response(attempts=(free,)), None)) == 0
        assert (
            definitions.exchange_dollars(build.exchange(Response(attempts=(free, sent)), None))
            is None
        )
    assert definitions.exchange_dollars(build.exchange(Response(attempts=(sent,)), 0.5)) == 0.5
    assert (
        definitions.exchange_dollars(
            build.exchange(Response(error=Error("budget", "budget", "spent")), None)
        )
        == 0
    )
    assert definitions.exchange_dollars(build.exchange(Response(), None)) is None


def test_a_sum_of_money_is_unknown_where_one_part_is() -> None:
    known, unknown = build.exchange(cost=0.25), build.exchange(cost=None)
    assert definitions.total_dollars([known, known]) == 0.5
    assert definitions.total_dollars([known, unknown]) is definitions.total_dollars([]) is None


def test_response_time_counts_failed_attempts_and_waits() -> None:
    first = Attempt(build.marks(0, latency=1, queue=0.5))
    last = Attempt(build.marks(10, latency=2, queue=0), waited=8)
    assert definitions.response_time(Timing(Response(attempts=(first, last)))) == pytest.approx(
        12.01
    )


@pytest.mark.process
def test_a_latency_costs_no_import_of_pandas() -> None:
    code = "import sys, harness.metrics.table; print(sorted({'pandas', 'numpy', 'scipy', 'pydantic'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        == b"[]\n"
    )
