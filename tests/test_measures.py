"""Measures derived from marks."""

from __future__ import annotations

import subprocess
import sys

import pytest
from msgspec.structs import replace

from harness import measures
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
    assert measures.latency(MARKS) == 10
    assert measures.ttft(MARKS) == 2
    assert measures.ttfa(MARKS) == 4
    assert measures.queue(MARKS) == 2
    assert measures.connect(MARKS) == 1
    assert measures.trailer(MARKS) == 1


def test_what_was_not_streamed_ends_with_its_body() -> None:
    whole = replace(MARKS, first_token=None, first_answer=None, last_token=None)
    assert measures.latency(whole) == 11
    assert measures.ttft(whole) is measures.ttfa(whole) is measures.trailer(whole) is None


@pytest.mark.parametrize(
    "measure", [measures.latency, measures.ttft, measures.ttfa, measures.queue, measures.connect, measures.trailer]
)
def test_unknown_is_none_and_never_0(measure: object) -> None:
    assert callable(measure)
    assert measure(Marks()) is None


def test_time_per_output_token_leaves_the_first_token_out() -> None:
    assert measures.tpot(MARKS, Usage(output=4, reasoning=1)) == 2
    assert measures.tpot(MARKS, Usage(output=5, source="estimated")) is None
    assert measures.tpot(MARKS, Usage(output=1)) is None
    assert measures.tpot(replace(MARKS, last_token=MARKS.first_token), Usage(output=5)) is None
    assert measures.tpot(MARKS, None) is None


def test_output_tokens_per_second_is_end_to_end() -> None:
    assert measures.output_tokens_per_s(MARKS, Usage(output=50)) == 5
    assert measures.output_tokens_per_s(MARKS, Usage()) is None


def test_response_time_counts_failed_attempts_and_waits() -> None:
    first = Attempt(build.marks(0, latency=1, queue=0.5))
    last = Attempt(build.marks(10, latency=2, queue=0), waited=8)
    assert measures.response_time(Response(attempts=(first, last))) == pytest.approx(12.01)
    assert measures.response_time(Response()) is None


def test_a_latency_costs_no_import_of_pandas() -> None:
    code = "import sys, harness.measures; print(sorted({'pandas', 'numpy', 'scipy', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"
