"""The command `harness`: runs the command line, and turns what it raises into a sentence and an
exit code."""

from __future__ import annotations

import atexit
import gc
import sys
from contextlib import suppress
from typing import NoReturn

from harness.errors import ExitCode, HarnessError


def main() -> None:
    """Entry point of the `harness` command; always ends in SystemExit."""
    collect_less_often()
    atexit.register(gc.freeze)  # what is still there at the end needs no last collection
    try:
        # Here, so that an interrupt during import is caught.
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
        import traceback  # noqa: PLC0415 — only a bug needs it

        traceback.print_exc()
        _print_error("this is a bug in evalharness; please report it with the lines above")
        sys.exit(ExitCode.BUG)


def collect_less_often() -> None:
    """Let the garbage collector look less often: imports create many objects and no garbage."""
    gc.set_threshold(50_000, 20, 20)


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
    from harness.reporters.escape import escape_for  # noqa: PLC0415 — only what goes wrong needs it

    with suppress(BrokenPipeError):
        print(escape_for("terminal")(text), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
