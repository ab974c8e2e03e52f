"""The disk fails once, at every place it can: what was acknowledged stays readable, and a resume
completes the run.

A place is a line of the program that calls the disk, with what called it: the first call of each
is failed, and the last of all. `--full` fails every call there is.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from harness.errors import ExitCode
from harness.runs.folder import RECORDS, Damage, read_lines, read_records
from tests.end_to_end.suites import write_sums
from tests.support import Command, Simulated

TRIALS = 4

Place = tuple[tuple[str, int], ...]


class FailingDisk:
    """Lets the `nth` call of one function of `os` on a file of `folder` fail; counts the lines that
    were acknowledged.

    `places` has for each call so far where it came from.
    """

    def __init__(self, function: str, nth: int, folder: Path) -> None:
        self.failed = False
        self.acknowledged = 0
        self.places: list[Place] = []
        self._function, self._left, self._folder = function, nth, folder
        self._real: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> FailingDisk:
        self._patches = []
        for name in ("write", "fsync", "replace", "open"):
            self._real[name] = getattr(os, name)
            self._patches.append(patch.object(os, name, self._watched(name)))
        for each in self._patches:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._patches:
            each.stop()

    def _watched(self, name: str) -> Callable[..., Any]:
        def call(first: Any, *rest: Any, **named: Any) -> Any:
            path = self._path(first)
            if name == self._function and path is not None:
                self.places.append(_place())
                self._left -= 1
                if self._left == 0:
                    self.failed = True
                    raise OSError(errno.EIO, "injected failure")
            value = self._real[name](first, *rest, **named)
            self.acknowledged += name == "write" and path is not None and path.name == RECORDS
            return value

        return call

    def _path(self, first: Any) -> Path | None:
        """The file of the folder a call is about; None for any other."""
        path = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else Path(first)
        return path if self._folder in path.parents else None


def _place() -> Place:
    """The lines of the program, innermost first, that led to this call; what runs them (an event
    loop) is left out."""
    found, frame = [], sys._getframe(2)
    while frame:
        if frame.f_globals.get("__name__", "").startswith("harness."):
            found.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)


def _chosen(places: list[Place]) -> list[int]:
    """The first call of each place and the last of all, counted from 1."""
    return sorted({*(places.index(place) + 1 for place in places), len(places)})


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="finds the file of a descriptor in /proc"
)
@pytest.mark.parametrize("function", ["write", "fsync", "replace", "open"])
def test_every_failure_of_the_disk(
    cli: Command, simulator: Simulated, tmp_path: Path, function: str, full: bool
) -> None:
    suite = write_sums(tmp_path, simulator.openai, cases=1)
    with FailingDisk(function, 0, tmp_path / "well") as disk:
        assert cli("run", suite, "--out", tmp_path / "well").code == ExitCode.OK
    calls = len(disk.places)
    nths = list(range(1, calls + 1)) if full else _chosen(disk.places)
    failed = 0
    for nth in nths:
        run = tmp_path / f"{function}-{nth}"
        with FailingDisk(function, nth, run) as disk:
            ended = cli("run", suite, "--out", run)
        if not disk.failed:
            continue  # there was one call less: what is written is synced by the clock, too
        failed += 1
        assert ended.code == ExitCode.INFRASTRUCTURE, ended.out
        assert "injected failure" in ended.err
        assert "Traceback" not in ended.err
        damage = Damage()
        assert len(list(read_lines(run / RECORDS, damage))) >= disk.acknowledged
        assert damage == Damage()
        if (run / "manifest.json").exists():
            assert cli("resume", run).code == ExitCode.OK
            assert len({record.key for record in read_records(run)}) == TRIALS
            assert (run / "report.html").exists()
    assert failed >= 3
    print(f"{function}: failed at {failed} of {calls} calls")
