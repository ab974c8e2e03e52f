"""The benchmarks run to their end: no time is judged here, only that each figure is there, and that
memory stays in bounds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def run(program: str) -> str:
    """What one of the programs prints about a handful of requests or records."""
    command = [sys.executable, str(Path(__file__).parent / program), "--tiny"]
    # A process's peak begins with that of whoever forked it: a small shell, and not the process of
    # these tests.
    ended = subprocess.run(
        ["sh", "-c", '"$0" "$@"; exit $?', *command],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_benchmark_of_the_engine_still_works() -> None:
    printed = run("engine.py")
    for part in (
        "| evalharness, whole job |",
        "| hand-written loop ",
        "| 4, evalharness, whole job |",
        "| 4, aiohttp loop ",
        "| 4, httpx loop ",
        "| all but the transport ",
    ):
        assert part in printed


def test_the_simulation_of_the_intervals_still_works() -> None:
    assert "| rate, repeats, n ≥ 20 cases (240 cells) |" in run("interval_coverage.py")


def test_the_benchmark_of_throttling_still_works() -> None:
    printed = run("throttling.py")
    for part in ("| none ", "| 3 % at random ", "| 3 %, retry-after: 1 ", "| 80 % for "):
        assert part in printed


def test_the_benchmark_of_a_million_cases_still_works() -> None:
    printed = run("million_cases.py")
    for part in ("| 1,000 cases ", "| own.jsonl ", "| flat.jsonl ", "| c.csv ", "| c.parquet "):
        assert part in printed


def test_the_benchmark_of_the_everyday_run_still_works() -> None:
    printed = run("everyday.py")
    for part in ("| harness validate ", "| last answer to table ", "| with the report's process |"):
        assert part in printed


def test_a_report_of_a_million_records_would_fit_into_two_gigabytes() -> None:
    (held,) = re.findall(r"and ([\d,-]+) bytes of memory", run("report.py"))
    # Of few records each seems to take more than of many: what is held of some thousands is in it.
    assert int(held.replace(",", "")) < 2_000
