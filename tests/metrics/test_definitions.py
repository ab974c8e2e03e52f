"""Measures derived from marks."""

from __future__ import annotations

import subprocess
import sys

import pytest
from msgspec.structs import replace

from harness.metrics import definitions
from harness.model import Attempt, Marks, Response, Usage
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


def test_each_measure_is_the_difference_of_its_marks() -> None:
    assert definitions.latency(MARKS) == 10
    assert definitions.time_to_first_token(MARKS) == 2
    assert definitions.time_to_first_answer(MARKS) == 4
    assert definitions.queue_time(MARKS) == 2
    assert definitions.connect_time(MARKS) == 1
    assert definitions.trailer_time(MARKS) == 1


def test_what_was_not_streamed_ends_with_its_body() -> None:
    whole = replace(MARKS, first_token=None, first_answer=None, last_token=None)
    assert definitions.latency(whole) == 11
    assert (
        definitions.time_to_first_token(whole)
        is definitions.time_to_first_answer(whole)
        is definitions.trailer_time(whole)
        is None
    )


@pytest.mark.parametrize(
    "measure",
    [
        definitions.latency,
        definitions.time_to_first_token,
        definitions.time_to_first_answer,
        definitions.queue_time,
        definitions.connect_time,
        definitions.trailer_time,
    ],
)
def test_unknown_is_none_and_never_0(measure: object) -> None:
    assert callable(measure)
    assert measure(Marks()) is None


def test_time_per_output_token_leaves_the_first_token_out() -> None:
    assert definitions.time_per_output_token(MARKS, Usage(output=4, reasoning=1)) == 2
    assert definitions.time_per_output_token(MARKS, Usage(output=5, source="estimated")) is None
    assert definitions.time_per_output_token(MARKS, Usage(output=1)) is None
    assert definitions.time_per_output_token(replace(MARKS, last_token=MARKS.first_token), Usage(output=5)) is None
    assert definitions.time_per_output_token(MARKS, None) is None


def test_output_tokens_per_second_is_end_to_end() -> None:
    assert definitions.output_tokens_per_second(MARKS, Usage(output=50)) == 5
    assert definitions.output_tokens_per_second(MARKS, Usage()) is None


def test_response_time_counts_failed_attempts_and_waits() -> None:
    first = Attempt(build.marks(0, latency=1, queue=0.5))
    last = Attempt(build.marks(10, latency=2, queue=0), waited=8)
    assert definitions.response_time(Response(attempts=(first, last))) == pytest.approx(12.01)
    assert definitions.response_time(Response()) is None


@pytest.mark.process
def test_a_latency_costs_no_import_of_pandas() -> None:
    code = "import sys, harness.metrics.definitions; print(sorted({'pandas', 'numpy', 'scipy', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"
