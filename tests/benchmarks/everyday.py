"""What someone waits for who edits a prompt and runs its 20 cases again: `python
tests/benchmarks/everyday.py`.

The commands, each a process of its own as a user starts it, against a server that answers at once;
beside them, in the same round, a bare import of the libraries that a report cannot do without.
Rounds are interleaved, and a ratio is the median of the rounds' own ratios. Then the clocks: how
late the client runs with the process that makes the report, and without. How to read it is in
README.md.

`--runs N` is the number of rounds; `--tiny` is for the test that keeps this program working.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns

import mock_server
from rig.questions import write_suite
from rig.tables import table

from harness.runs.folder import read_manifest, read_records

REFERENCE = "import pandas, matplotlib.figure, scipy.special"
ALONE = "import sys; from harness.app import run; run.run_requests(sys.argv[1], out=sys.argv[2])"
CONCURRENCY = 8
DELAY = 0.02
"""Seconds in which the server answers where clocks are looked at: requests are in flight all the
time then."""

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
"""As a user's: modules are compiled once, not by every process."""

NAMES = {
    "reference": "the bare import",
    "run": "harness run",
    "report": "harness report",
    "validate": "harness validate",
    "help": "harness --help",
}
TARGETS = {"run": "1.5", "report": "1.3", "validate": "0.4"}


@dataclass(frozen=True)
class Sizes:
    """How many rounds, cases of the everyday suite, and cases of the suite whose clocks are looked
    at."""

    rounds: int
    cases: int = 20
    clock_cases: int = 400


@dataclass(frozen=True)
class Timed:
    """One process: when it began, said its first word on standard output and ended, in nanoseconds
    of the system's clock."""

    began: int
    first_word: int
    ended: int

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return (self.ended - self.began) / 1e9


@dataclass
class Found:
    """What all rounds found: seconds of each command and of a run's phases, and the clocks'
    lateness in milliseconds."""

    commands: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in NAMES})
    phases: list[tuple[float, ...]] = field(default_factory=list)
    clocks: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)


def main() -> None:
    """Measure all rounds, and print."""
    sizes, found = _sizes(), Found()
    with TemporaryDirectory() as folder:
        for number in range(sizes.rounds):
            _everyday(Path(folder) / f"everyday-{number}", sizes.cases, found)
        for number in range(sizes.rounds):
            _clocks(Path(folder) / f"clocks-{number}", sizes.clock_cases, found)
    print(_report(sizes, found))


def _sizes() -> Sizes:
    parser = argparse.ArgumentParser(
        description="What a run of 20 cases takes, beside importing what a report needs."
    )
    parser.add_argument(
        "--runs", type=int, default=5, help="the number of rounds, of which medians are taken"
    )
    parser.add_argument(
        "--tiny", action="store_true", help="one round of a few cases, to see that all of it works"
    )
    given = parser.parse_args()
    return Sizes(1, 3, 8) if given.tiny else Sizes(given.runs)


# ── Measuring ─────────────────────────────────────────────────────────────────────────────────────


def _everyday(folder: Path, cases: int, found: Found) -> None:
    """One round: each command once."""
    folder.mkdir()
    with mock_server.start() as server:
        suite = str(write_suite(folder, server.url, cases, CONCURRENCY, stream=False))
        run = str(folder / "run")
        commands: Mapping[str, Sequence[str]] = {
            "reference": ("-c", REFERENCE),
            "run": ("-m", "harness", "run", suite, "--out", run),
            "report": ("-m", "harness", "report", run),
            "validate": ("-m", "harness", "validate", suite),
            "help": ("-m", "harness", "--help"),
        }
        for name, words in commands.items():
            timed = _timed(words)
            found.commands[name].append(timed.seconds)
            if name == "run":
                found.phases.append(_phases(timed, Path(run)))


def _timed(words: Sequence[str]) -> Timed:
    """Run Python with these words to its end. Raises RuntimeError where that is no success."""
    began = perf_counter_ns()
    with subprocess.Popen(
        [sys.executable, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        first_word = perf_counter_ns()
        process.stdout.read()
        complaint = process.stderr.read()
        if process.wait():
            raise RuntimeError(f"{words} failed:\n{complaint.decode()}")
        return Timed(began, first_word, perf_counter_ns())


def _phases(timed: Timed, run: Path) -> tuple[float, ...]:
    """Seconds from the start to the first request, to the last answer, to the table, to the end.
    The clock is the system's."""
    marks = [record.exchanges[0].response.attempts[0].marks for record in read_records(run)]
    sent, done = (min(mark.sent or 0 for mark in marks), max(mark.done or 0 for mark in marks))
    moments = (timed.began, sent, done, timed.first_word, timed.ended)
    return tuple((after - before) / 1e9 for before, after in pairwise(moments))


def _clocks(folder: Path, cases: int, found: Found) -> None:
    """The same requests, with the process that makes the report and without."""
    folder.mkdir()
    with mock_server.start(delay=DELAY) as server:
        suite = str(write_suite(folder, server.url, cases, CONCURRENCY, stream=False))
        jobs: Mapping[str, Callable[[str], Sequence[str]]] = {
            "with the report's process": lambda run: ("-m", "harness", "run", suite, "--out", run),
            "without it": lambda run: ("-c", ALONE, suite, run),
        }
        for number, (name, words) in enumerate(jobs.items()):
            run = folder / f"run-{number}"
            _timed(words(str(run)))
            found.clocks.setdefault(name, []).append(_lateness(run))


def _lateness(run: Path) -> tuple[float, float, float]:
    """Milliseconds: how late the event loop was (p99), then p50 and p95 of the latency above the
    server's delay."""
    lag = read_manifest(run).sessions[-1].lag_p99 or 0.0
    marks = [record.exchanges[0].response.attempts[0].marks for record in read_records(run)]
    above = sorted(((mark.done or 0) - (mark.sent or 0)) / 1e6 - DELAY * 1e3 for mark in marks)
    return lag * 1e3, above[len(above) // 2], above[int(len(above) * 0.95)]


# ── Saying it ─────────────────────────────────────────────────────────────────────────────────────


def _report(sizes: Sizes, found: Found) -> str:
    reference = found.commands["reference"]
    rows = [
        [
            NAMES[name],
            f"{median(seconds):.2f}",
            f"{median(each / base for each, base in zip(seconds, reference, strict=True)):.2f} ×",
            f"≤ {TARGETS[name]} ×" if name in TARGETS else "",
        ]
        for name, seconds in found.commands.items()
    ]
    commands = table(
        [f"{sizes.cases} cases, medians of {sizes.rounds}", "s", "of the import", "asked for"], rows
    )
    names = (
        "start to first request",
        "first request to last answer",
        "last answer to table",
        "table to end",
    )
    asked = ("", "", "≤ 0.5 s", "")
    figures = [median(phase) for phase in zip(*found.phases, strict=True)]
    lines = [
        [name, f"{seconds:.2f}", target]
        for name, seconds, target in zip(names, figures, asked, strict=True)
    ]
    late = [
        [name, *(f"{median(figure):.2f}" for figure in zip(*rounds, strict=True))]
        for name, rounds in found.clocks.items()
    ]
    heads = [f"ms, {sizes.clock_cases} cases", "loop late, p99", "latency too long, p50", "p95"]
    return "\n\n".join(
        [
            "## The everyday run",
            commands,
            table(["harness run", "s", "asked for"], lines),
            f"## Its clocks\n\nThe server answers after {DELAY * 1e3:.0f} ms.",
            table(heads, late),
        ]
    )


if __name__ == "__main__":
    main()
