"""Something that happens in the middle of a run, at a record of its choice and not at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from harness.app.run import Silent
from harness.runs.folder import RECORDS


class After(Silent):
    """A display that does something once so many records are written."""

    def __init__(self, records: int, act: Callable[[], None]) -> None:
        self._left, self._act = records, act

    def tick(self) -> None:
        """Count a record."""
        self._left -= 1
        if self._left == 0:
            self._act()


class Impatient(After):
    """Interrupts after so many records, and again as soon as it is told that it can."""

    def __init__(self, records: int) -> None:
        super().__init__(records, interrupt)

    def say(self, text: str) -> None:
        """Answer the one sentence that asks for it."""
        if "interrupt again to exit now" in text:
            interrupt()


def interrupt(sign: signal.Signals = signal.SIGINT) -> None:
    """Send this process a signal, as a terminal does."""
    os.kill(os.getpid(), sign)


def wait_for_records(run: Path, count: int, process: subprocess.Popen[str] | None = None) -> None:
    """Return once `count` records are written, by `process` where it is another."""
    records = run / RECORDS
    deadline = time.monotonic() + 60
    while not records.exists() or records.read_bytes().count(b"\n") < count:
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
