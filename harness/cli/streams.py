"""Standard input, output and error as a command can rely on them: open, and never a reason to end.

A run goes on whoever reads it, or nobody: what cannot be shown (the reader has left, the disk is
full, the terminal is gone) is lost, and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class TolerantStream:
    """A text stream whose writes never fail; `lost` says why what is written goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: str | None = None

    def write(self, text: str) -> int:
        """Write it, if that is possible: what the encoding has no character for is escaped."""
        if self.lost is None:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self.write(text.encode(encoding, "backslashreplace").decode(encoding))
            except (OSError, ValueError) as refused:
                self._give_up(refused)
        return len(text)

    def flush(self) -> None:
        """Flush it, if that is possible."""
        if self.lost is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as refused:
                self._give_up(refused)

    def _give_up(self, refused: OSError | ValueError) -> None:
        self.lost = str(getattr(refused, "strerror", None) or refused)
        with suppress(OSError, ValueError):  # what is still buffered goes nowhere, without a word
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def tolerant_streams() -> Iterator[None]:
    """Standard output and error as tolerant streams while the block lasts."""
    _open_missing_files()
    before = sys.stdout, sys.stderr
    out, err = (TolerantStream(stream) for stream in before)
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        out.flush()
        if out.lost and out.lost != os.strerror(32):  # a reader who left (`| head`) is told nothing
            err.write(f"standard output could not be written: {out.lost}\n")
        err.flush()
        sys.stdout, sys.stderr = before


def _open_missing_files() -> None:
    """Open those of the files 0, 1 and 2 that are closed: a socket that got such a number would be
    taken for a standard stream, which aborts the event loop."""
    for number, mode in ((0, "r"), (1, "w"), (2, "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)  # the lowest number
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
