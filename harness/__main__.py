"""The command `harness`: runs the command line, and turns what it raises into a sentence and an
exit code."""

from __future__ import annotations

import atexit
import errno
import gc
import sys
from typing import NoReturn

from harness.errors import ExitCode, HarnessError


def main() -> None:
    """Entry point of the `harness` command; always ends in SystemExit."""
    collect_less_often()
    atexit.register(gc.freeze)  # what is still there at the end needs no last collection
    try:
        # Here, so that an interrupt during import is caught.
        from harness.cli.streams import tolerant_streams  # noqa: PLC0415

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
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _exit_interrupted()
    except Exception as error:  # noqa: BLE001 — the last resort: a bug is shown whole
        if _is_caused_by_interrupt(error):
            _exit_interrupted()
        if shortage := find_shortage(error):
            sys.exit(_report_shortage(shortage))
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
    while error is not None:
        text = str(error).lower()
        number = error.errno if isinstance(error, OSError) else None
        if number in {errno.EMFILE, errno.ENFILE} or "too many open files" in text:
            return "open files (`ulimit -n`)"
        if "start new thread" in text or number == errno.EAGAIN:
            return "threads or processes (`ulimit -u`), or memory for them (`ulimit -v`)"
        no_memory = (
            "memoryerror",
            "cannot allocate memory",
            "failed to map segment",
            "out of memory",
        )
        if isinstance(error, MemoryError) or any(sign in text for sign in no_memory):
            return "memory (`ulimit -v`, or the limit of a container)"
        grouped = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
        error = grouped or error.__cause__ or error.__context__
    return None


def _report_shortage(shortage: str) -> ExitCode:
    _print_error(
        f"error: this process ran out of {shortage}. What was recorded is kept:"
        " `harness resume RUN` continues the run, and `harness report RUN` makes its report, on"
        " another machine too"
    )
    return ExitCode.INFRASTRUCTURE


def collect_less_often() -> None:
    """Let the garbage collector look less often: imports create many objects and no garbage."""
    gc.set_threshold(200_000, 20, 20)


def _exit_interrupted() -> NoReturn:
    _print_error(
        "interrupted; recorded answers are kept: `harness resume` continues a run, `harness report`"
        " reports on it"
    )
    sys.exit(ExitCode.INTERRUPTED)


def _is_caused_by_interrupt(error: BaseException) -> bool:
    """Whether an interrupt is behind it: compiled modules turn one that comes while they are
    imported into an ImportError."""
    cause = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt) or (
        cause is not None and _is_caused_by_interrupt(cause)
    )


def _print_error(text: str) -> None:
    """Print a line for a person, who may have gone; servers' words may be in it."""
    try:
        from harness.reporters.escape import escape_for  # noqa: PLC0415 — only what goes wrong needs it

        text = escape_for("terminal")(text)
    except (OSError, ImportError, MemoryError):  # too little is left even for that
        text = ascii(text)[1:-1]
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
