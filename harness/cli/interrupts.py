"""What Ctrl-C, SIGTERM and SIGHUP do where nothing else handles them: they end the process at once.

No exception is raised for them: anywhere in an import, it could come out as something else or be
swallowed. While a run sends requests, and while the simulator serves, the event loop handles them.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 130  # `ExitCode.INTERRUPTED`: nothing is imported here that takes time

_SHOW_CURSOR = "\r\x1b[?25h"  # live progress hides it

_ending: tuple[str, int] = ("interrupted", _INTERRUPTED)


def end_at_interrupts() -> None:
    """From now on a signal ends this process, unless it is ignored (`nohup`)."""
    for each in _SIGNALS:
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, _end_process)


def ignore_interrupts() -> None:
    """Nothing is left to be interrupted: the exit code stands."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


@contextmanager
def interrupts_end_with(words: str, code: int = _INTERRUPTED) -> Iterator[None]:
    """What a signal says, and the exit code it ends with, while the block lasts."""
    global _ending  # noqa: PLW0603 — as the handler of signals is the whole process's
    before, _ending = _ending, (words, code)
    try:
        yield
    finally:
        _ending = before


def _end_process(number: int, _: object) -> None:
    ignore_interrupts()
    words, code = _ending
    with suppress(OSError):  # nobody may be there to read it
        line = f"{words}\n" if words else ""
        os.write(2, ((_SHOW_CURSOR if os.isatty(2) else "") + line).encode())
    atexit._run_exitfuncs()  # children are killed, temporary files removed
    os._exit(code)
