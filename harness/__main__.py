"""The command `harness`: runs the command line, and turns what it raises into a sentence and an exit code."""

from __future__ import annotations

import sys
import traceback

from harness.errors import ExitCode, HarnessError


def main() -> None:
    """Entry point of the `harness` command; always ends in SystemExit."""
    from harness.cli import app  # noqa: PLC0415 — so that an interrupt during import is caught below

    try:
        app()
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(ExitCode.OK)
    except Exception:  # noqa: BLE001 — the last resort: a bug is shown whole
        traceback.print_exc()
        print("this is a bug in evalharness; please report it with the lines above", file=sys.stderr)
        sys.exit(ExitCode.BUG)


if __name__ == "__main__":
    main()
