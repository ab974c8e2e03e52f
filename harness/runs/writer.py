"""Appends lines to a run folder, safe to kill at any instant.

A line is *acknowledged* once it is written and *durable* once it is fsynced, which happens at least
every second. A torn last line (the process died inside a write) is overwritten when the folder is
opened again: its trial is pending. Large images go to files of their own (`harness.runs.blobs`)
before the line that names them. Only one process may write; the lock is the kernel's (`flock`), so
it goes with its owner and is never stale. It is held on the records themselves too: removing the
lock file lets nobody in. A file that was shortened under the run fails the next write; one that
was removed or replaced, the next fsync.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from harness.errors import StoreError, UsageError
from harness.model import Record
from harness.runs import records
from harness.runs.blobs import Blobs
from harness.runs.folder import LOCK, RECORDS, acquire_lock, lock_file
from harness.runs.records import ExchangeLine, Line
from harness.runs.redaction import REDACTED, Redactor

DURABLE_EVERY = 1.0
"""Seconds within which an acknowledged line becomes durable."""

_BLOCK = 65536
_TAMPERED = "was removed, replaced or shortened while the run was writing to it"


class RunWriter:
    """Appends lines to a run folder; use as an async context manager.

    Raises StoreError from the first write or fsync that fails, and from every `append` after it:
    nothing is acknowledged that is not on file. `on_failure` is told the reason at once, in the
    event loop.
    """

    def __init__(
        self,
        folder: Path,
        redactor: Redactor,
        on_failure: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.folder = folder
        self._on_failure = on_failure
        self._redactor = redactor
        self._blobs = Blobs(folder)
        self._failure: StoreError | None = None
        self._dirty = False
        self._under_way: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._lock = acquire_lock(self.folder / LOCK)
        try:
            self._file, self._end = _open_for_append(self.folder / RECORDS)
        except OSError as refused:
            os.close(self._lock)
            raise StoreError(
                f"{self.folder / RECORDS}: cannot be opened: {refused.strerror}"
            ) from refused
        except UsageError:
            os.close(self._lock)
            raise
        self._syncing = asyncio.create_task(self._sync_regularly())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._syncing.cancel()
        with suppress(asyncio.CancelledError):
            await self._syncing
        if self._under_way is not None:
            await (
                self._under_way
            )  # a thread cannot be cancelled: its fsync must not meet a closed file
        try:
            self._fsync_files()
        finally:
            os.close(self._file)
            os.close(self._lock)
        if self._failure and error is None:
            raise self._failure

    @property
    def size(self) -> int:
        """Bytes of whole lines on file."""
        return self._end

    def append(self, line: Line) -> None:
        """Write one line, without secrets; when this returns, the line is acknowledged. Raises
        StoreError."""
        if self._failure:
            raise self._failure
        try:
            if _has_images(line):
                line = self._blobs.store_images(line)
            encoded = records.encode_line(line)
            # Secrets are looked for in the bytes: finding none is the usual case, and cheap.
            if self._redactor.has_secrets and self._redactor.finds_secret(encoded):
                clean = self._redactor.redact_value(line)
                flagged = (
                    replace(clean, flags=(*clean.flags, REDACTED))
                    if isinstance(clean, Record) and clean is not line
                    else clean
                )
                encoded = records.encode_line(flagged)
            self._write_line(encoded)
        except OSError as refused:
            raise self._set_failure(refused) from refused
        self._dirty = True

    def _write_line(self, content: bytes) -> None:
        if os.lseek(self._file, 0, os.SEEK_END) != self._end:
            raise OSError(errno.ESTALE, _TAMPERED)
        try:
            if os.write(self._file, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):  # a torn line would be dropped on reading anyway
                os.ftruncate(self._file, self._end)
            raise
        self._end += len(content)

    async def _sync_regularly(self) -> None:
        while True:
            await asyncio.sleep(DURABLE_EVERY)
            self._under_way = asyncio.ensure_future(asyncio.to_thread(self._fsync_files))
            await asyncio.shield(self._under_way)
            if self._failure:
                self._on_failure(str(self._failure))
                return

    def _fsync_files(self) -> None:
        if self._failure:
            return
        try:
            self._check_place()
            if self._dirty:
                self._dirty = False
                self._blobs.sync()
                os.fsync(self._file)
        except OSError as refused:
            self._set_failure(refused)

    def _check_place(self) -> None:
        """Raise OSError where the records are no longer the file of that name, or too short."""
        end, held = self._end, os.fstat(self._file)
        try:
            found = (self.folder / RECORDS).lstat()
        except OSError as gone:
            raise OSError(errno.ESTALE, _TAMPERED) from gone
        if (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino) or held.st_size < end:
            raise OSError(errno.ESTALE, _TAMPERED)

    def _set_failure(self, refused: OSError) -> StoreError:
        path = self.folder / RECORDS
        if refused.errno == errno.ESTALE and refused.strerror == _TAMPERED:
            text = f"{path}: {_TAMPERED}; the run stops here, and the records still in it are kept"
        else:
            text = (
                f"{path}: cannot be written: {refused.strerror}; every answer recorded before is"
                f" kept. Free some space, then continue with: harness resume {self.folder}"
            )
        self._failure = StoreError(text)
        return self._failure


def _has_images(line: Line) -> bool:
    """Whether a request in the line holds images; as cheap as can be, since every line is asked."""
    if isinstance(line, Record):
        for exchange in line.exchanges:
            for message in exchange.request.messages:
                if type(message.content) is not str:
                    return True
        for grade in line.grades:
            for exchange in grade.exchanges:
                for message in exchange.request.messages:
                    if type(message.content) is not str:
                        return True
        return False
    return isinstance(line, ExchangeLine)


def _open_for_append(path: Path) -> tuple[int, int]:
    """The file, ready to append to, and where it ends: behind its last whole line."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        lock_file(file, path.parent)
        end = _end_of_whole_lines(file)
        os.ftruncate(file, end)
        os.lseek(file, end, os.SEEK_SET)
        os.fsync(file)
    except (OSError, UsageError):
        os.close(file)
        raise
    return file, end


def _end_of_whole_lines(file: int) -> int:
    """Where the last whole line ends."""
    position = os.lseek(file, 0, os.SEEK_END)
    while position:
        start = max(0, position - _BLOCK)
        newline = os.pread(file, position - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0
