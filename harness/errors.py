"""Every way a command stops early, and the exit codes it can end with.

The failure model, in four points:

1. **Vocabulary.** A trial that was answered wrongly has *failed*. A trial that could not be asked,
   answered or graded has an *error*. Both are data (`harness.model.Error`, on the record). Only
   what ends the whole command is an exception, and every such exception is a `HarnessError`.
2. **Classification.** A trial's error is named for the boundary it broke at (`target`, `transport`,
   `provider`, `tool`, `grader`, `budget`). A command's error is classified by who can act on it:
   the user (`UsageError`, `SuiteError`) or the environment (`InfrastructureError`, `StoreError`).
3. **Surfacing.** A message is a sentence: what was wrong, where, and what to do. It is shown
   without a traceback.
4. **Capture.** What is not a `HarnessError` is a bug; the command line shows its traceback and
   exits with 70.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of all commands, in one table."""

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INFRASTRUCTURE = 4
    BUDGET = 5
    BUG = 70
    INTERRUPTED = 130


PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.USAGE,
    ExitCode.BUDGET,
    ExitCode.INFRASTRUCTURE,
    ExitCode.GATE_FAILED,
    ExitCode.INCONCLUSIVE,
    ExitCode.OK,
)


def worst_exit_code(codes: Sequence[ExitCode]) -> ExitCode:
    """The code that wins where several apply: 130 > 2 > 5 > 4 > 1 > 3 > 0."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.OK)


class HarnessError(Exception):
    """Ends the command with a sentence and an exit code."""

    exit_code: ExitCode = ExitCode.BUG


class UsageError(HarnessError):
    """The command cannot be carried out as asked: a wrong argument, an unset variable, an unknown
    name."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file a person wrote; `line` and `column` count from 1, None where the
    place is unknown."""

    message: str
    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(
            str(part) for part in (self.path, self.line, self.column) if part is not None
        )
        return f"{place}: {self.message}"


class SuiteError(UsageError):
    """Everything wrong with a suite and the files it names, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InfrastructureError(HarnessError):
    """The world did not hold: an unreachable host, a refused API key, a disk that is full."""

    exit_code = ExitCode.INFRASTRUCTURE


class StoreError(InfrastructureError):
    """A run folder cannot be read or written; nothing acknowledged before is lost."""


class InterruptedRun(HarnessError):
    """The user left before the requests in flight were done."""

    exit_code = ExitCode.INTERRUPTED
