"""The process of the command `harness`."""

from __future__ import annotations

import gc

from harness.cli.interrupts import end_at_interrupts, ignore_interrupts


def main() -> None:
    """Entry point of the process; always ends in SystemExit."""
    end_at_interrupts()
    gc.set_threshold(200_000, 20, 20)  # imports create many objects and no garbage
    from harness.cli.command_line import run_command_line  # noqa: PLC0415 — once signals are handled

    try:
        run_command_line()
    finally:
        ignore_interrupts()


if __name__ == "__main__":
    main()
