"""What a report costs in time and memory, by the number of records: `python
tests/benchmarks/report.py`.

`harness report` on made-up run folders of two sizes, each in a process of its own; beside it, in
the same run, the least that reading such a file can cost: `orjson.loads` of every line, keeping
nothing. The slope between the sizes is what a record costs, start-up apart. How to read it is in
README.md.

`--full` goes up to 1,000,000 records, which are 2 GB on disk; `--tiny` is for the test that keeps
this program working.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from rig import recorded
from rig.tables import table

from harness.runs.folder import RECORDS

SIZES, FULL, TINY = (20_000, 100_000), (100_000, 1_000_000), (4_000, 24_000)
REFERENCE = "import sys, orjson\nfor line in open(sys.argv[1], 'rb'): orjson.loads(line)"


@dataclass(frozen=True)
class Cost:
    """What a process took: CPU and wall seconds, and the most bytes it held."""

    cpu: float
    wall: float
    peak: int


def main() -> None:
    """Measure both sizes and print them."""
    sizes = _sizes()
    with TemporaryDirectory() as folder:
        found = [_measure(Path(folder) / f"run-{size}", size) for size in sizes]
    print(f"## What a report costs\n\n{_table(sizes, found)}\n\n{_slope(sizes, found)}")


def _sizes() -> tuple[int, int]:
    parser = argparse.ArgumentParser(
        description="A report's time and memory, beside reading the same lines."
    )
    parser.add_argument("--full", action="store_true", help="100,000 and 1,000,000 records")
    parser.add_argument(
        "--tiny", action="store_true", help="a few thousand records, to see that it works"
    )
    given = parser.parse_args()
    return FULL if given.full else TINY if given.tiny else SIZES


def _measure(folder: Path, count: int) -> tuple[Cost, Cost]:
    """The report's cost and the reference's, on a folder of `count` records."""
    recorded.write(folder, count)
    report = _run(
        [sys.executable, "-m", "harness", "report", str(folder), "--out", str(folder / "report")]
    )
    return report, _run([sys.executable, "-c", REFERENCE, str(folder / RECORDS)])


def _run(command: Sequence[str]) -> Cost:
    """Run a command to its end. Raises RuntimeError where it fails."""
    began = perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {child.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(used.ru_utime + used.ru_stime, perf_counter() - began, used.ru_maxrss * unit)


def _table(sizes: Sequence[int], found: Sequence[tuple[Cost, Cost]]) -> str:
    heads = ["records", "CPU s", "wall s", "peak MB", "orjson.loads CPU s", "the report is"]
    rows = [
        [
            f"{size:,}",
            f"{report.cpu:.1f}",
            f"{report.wall:.1f}",
            f"{report.peak / 1e6:.0f}",
            f"{reading.cpu:.1f}",
            f"{report.cpu / reading.cpu:.1f} ×",
        ]
        for size, (report, reading) in zip(sizes, found, strict=True)
    ]
    return table(heads, rows)


def _slope(sizes: Sequence[int], found: Sequence[tuple[Cost, Cost]]) -> str:
    (small, read_small), (large, read_large) = found
    more = sizes[1] - sizes[0]
    each, reading = (
        (b.cpu - a.cpu) / more * 1e6 for a, b in ((small, large), (read_small, read_large))
    )
    held = (large.peak - small.peak) / more
    beside = f"{each / reading:.1f} times what reading it with orjson.loads does ({reading:.1f} µs)"
    return f"A record costs {each:.1f} µs of CPU, {beside}, and {held:,.0f} bytes of memory."


if __name__ == "__main__":
    main()
