"""The terminal: how results look on standard output, where progress goes, and the last lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from rich.console import Console

from harness.cli.streams import TolerantStream
from harness.errors import ExitCode
from harness.reporters.escape import escape_for


def terminal_style() -> tuple[int | None, bool]:
    """How the result table is to look on standard output: its width in columns (None: the usual
    one), and if in colour."""
    out = Console()
    return min(160, out.width) if out.is_terminal else None, out.is_terminal and not out.no_color


def closing_lines(folder: Path, stopped: Sequence[str], exit_code: ExitCode) -> list[str]:
    """The last lines: what stopped the run and how to go on, where the report is."""
    lines = [f"stopped: {escape_for('terminal')(reason)}" for reason in stopped]
    if stopped:
        more = " --budget DOLLARS" if exit_code == ExitCode.BUDGET else ""
        lines.append(f"continue with: harness resume {_relative_path(folder)}{more}")
    return [*lines, f"report: {_relative_path(folder / 'report.html')}"]


def _relative_path(path: Path) -> str:
    """`path` as a person would type it here."""
    try:
        here = str(path.resolve().relative_to(Path.cwd()))
        return quote(f"./{here}" if here.startswith("-") else here)  # no option
    except (ValueError, RuntimeError):  # elsewhere, or a loop of links
        return quote(str(path))


def open_terminal() -> Console:
    """The console of progress and messages: standard error, so that standard output can be piped.
    Where it cannot be written, the run goes on."""
    return Console(file=TolerantStream(sys.stderr), highlight=False)  # type: ignore[arg-type]
