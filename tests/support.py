"""What tests talk to: a running simulator seen from outside, and the command line run as a user
runs it."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.request import Request, urlopen

import pandas as pd  # noqa: F401 - where it is loaded, a run makes its report in this process
import pytest

from harness.app.run import run_requests
from harness.cli.command_line import run_command_line
from harness.model import Record
from harness.runs.folder import read_records


@dataclass(frozen=True)
class Simulated:
    """A running simulator, seen from outside."""

    base_url: str

    @property
    def openai(self) -> str:
        """The base URL of its OpenAI-compatible API."""
        return f"{self.base_url}/v1"

    @property
    def cloudflare(self) -> str:
        """The base URL of its Workers AI API."""
        return f"{self.base_url}/client/v4/accounts/test"

    def ledger(self) -> dict[str, Any]:
        """What it received and sent since the last `forget`."""
        return self._ask("GET", "/ledger?bodies=0")

    def requests(self) -> list[dict[str, Any]]:
        """The ledger's requests."""
        return list(self.ledger()["entries"])

    def bodies(self) -> list[Any]:
        """The bodies it received since the last `forget`, in order."""
        return [entry["body"] for entry in self._ask("GET", "/ledger")["entries"]]

    def forget(self) -> None:
        """Empty the ledger."""
        self._ask("DELETE", "/ledger")

    def faults(self, *rules: dict[str, Any]) -> None:
        """Misbehave from now on as the rules say; none: behave."""
        self._ask("PUT", "/faults", rules)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.base_url + path, data=data, method=method), timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content.strip() else None


def _undrawn(figure: object) -> bytes:
    """What stands in a report for a plot that was not drawn."""
    return b'<svg xmlns="http://www.w3.org/2000/svg"/>'


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Command:
    """`harness`, run as a user runs it, in a folder.

    Calling it runs it in this process, which saves seconds of imports a time; `under` and `begin`
    start one of its own, and `record` leaves the report out. In this process two things are left
    out that would be most of a run's
    time. Plots are composed, and not drawn, unless `draws`: what they look like is for the
    reporters' tests. And the garbage collector is not sent through the heap before a run starts:
    here that is pytest's, with all tests in it.
    """

    def __init__(
        self, folder: Path, environment: dict[str, str] | None = None, *, draws: bool = False
    ) -> None:
        self.folder = folder
        self.draws = draws
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.endswith(("_PROXY", "_proxy", "_KEY", "_TOKEN"))
        }
        kept.pop(
            "PYTHONDONTWRITEBYTECODE", None
        )  # starting a hundred times would compile everything a hundred times
        self.environment = {**kept, "COLUMNS": "100", **(environment or {})}

    def __call__(self, *words: str | Path) -> Ended:
        """Run to its end."""
        out, err = StringIO(), StringIO()
        arguments = ["harness", *map(str, words)]
        with (
            self._surroundings(),
            nullcontext() if self.draws else patch("harness.reporters.plots._svg", _undrawn),
            patch.object(sys, "argv", arguments),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            run_command_line()
        return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def record(self, suite: str | Path, out: str | Path = "run", **options: Any) -> list[Record]:
        """Run a suite to its end as `harness run` does, and read its records; without a report, for
        tests whose subject are the records."""
        with self._surroundings():
            finished = run_requests(suite, out=out, **options)
        assert not finished.stopped, finished.stopped
        return list(read_records(self.folder / out))

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """In this process, what a process of its own would find."""
        with (
            patch.object(gc, "collect"),
            chdir(self.folder),
            patch.dict(os.environ, self.environment, clear=True),
        ):
            yield

    def under(self, wrapper: list[str], *words: str | Path, timeout: float = 90) -> Ended:
        """Run to its end in a process of its own, as the argument of another program.

        That program may limit the size of files, and a compiled module cut short by it would fail
        every later process.
        """
        done = subprocess.run(
            [*wrapper, *self._command(words)],
            cwd=self.folder,
            env={**self.environment, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start it in a process of its own and return at once."""
        return subprocess.Popen(
            self._command(words),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def _command(words: tuple[str | Path, ...]) -> list[str]:
        return [sys.executable, "-m", "harness", *map(str, words)]
