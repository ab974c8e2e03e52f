"""The command line from its first import to its exit code: what it raises becomes a sentence."""

from __future__ import annotations

import atexit
import errno
import gc
import sys
from typing import NoReturn

from harness.errors import ExitCode, HarnessError


def run_command_line() -> NoReturn:
    """Run the command that `sys.argv` names; ends in SystemExit."""
    atexit.register(gc.freeze)  # what is still there at the end needs no last collection
    try:
        from harness.cli.streams import tolerant_streams  # noqa: PLC0415 — may lack files, as below

        with tolerant_streams():
            _run_command()
    except OSError as error:
        if (shortage := find_shortage(error)) is None:
            raise
        sys.exit(_report_shortage(shortage))


def _run_command() -> NoReturn:
    """The command line; ends in SystemExit, whatever it raises."""
    try:
        from harness.cli.main import app  # noqa: PLC0415

        app()
    except HarnessError as error:
        _print_error(f"error: {error}")
        if shortage := find_shortage(error.__cause__ or error.__context__):
            _report_shortage(shortage)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 — the last resort: a bug is shown whole
        if shortage := find_shortage(error):
            sys.exit(_report_shortage(shortage))
        if refusal := _find_refusal(error):
            _print_error(f"error: {refusal.filename}: {refusal.strerror}")
            sys.exit(ExitCode.INFRASTRUCTURE)
        import traceback  # noqa: PLC0415 — only a bug needs it

        traceback.print_exc()
        _print_error("this is a bug in evalharness; please report it with the lines above")
        sys.exit(ExitCode.BUG)
    sys.exit(ExitCode.OK)


_OUT_OF_MEMORY = (
    "memoryerror",
    "cannot allocate memory",
    "failed to map segment",
    "out of memory",
)


def find_shortage(error: BaseException | None) -> str | None:
    """What this process ran out of, where that is what `error` came from: memory, open files,
    threads."""
    seen: list[BaseException] = []  # an error that was taken out of a group has it as its context
    while error is not None and error not in seen:
        seen.append(error)
        text = str(error).lower()
        number = error.errno if isinstance(error, OSError) else None
        if number in {errno.EMFILE, errno.ENFILE} or "too many open files" in text:
            return "open files (`ulimit -n`)"
        if "start new thread" in text or number == errno.EAGAIN:
            return "threads or processes (`ulimit -u`), or memory for them (`ulimit -v`)"
        if isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
            return "memory (`ulimit -v`, or the limit of a container)"
        grouped = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
        error = grouped or error.__cause__ or error.__context__
    return None


_REFUSALS = (
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO}
    | {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR}
)  # fmt: skip


def _find_refusal(error: BaseException | None) -> OSError | None:
    """What the system refused to do with a path, where that is what `error` came from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _REFUSALS and error.filename is not None:
            return error
        error = error.__cause__
    return None


def _report_shortage(shortage: str) -> ExitCode:
    _print_error(
        f"error: this process ran out of {shortage}. What was recorded is kept:"
        " `harness resume RUN` continues the run, and `harness report RUN` makes its report, on"
        " another machine too"
    )
    return ExitCode.INFRASTRUCTURE


def _print_error(text: str) -> None:
    """Print a line for a person, who may have gone; servers' words may be in it."""
    try:
        from harness.reporters.escape import escape_for  # noqa: PLC0415 — only what goes wrong needs it

        text = escape_for("terminal")(text)
    except (OSError, ImportError, MemoryError):  # too little is left even for that
        text = ascii(text)[1:-1]
    print(text, file=sys.stderr, flush=True)
