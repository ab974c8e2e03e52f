"""The run folder: a manifest and an append-only file of checksummed lines, safe to kill at any instant.

A line is *acknowledged* once it is written and *durable* once it is fsynced, which happens at least every second. A torn last
line (the process died inside a write) is dropped when the folder is opened again: its trial is owed. Only one process may
write; the lock is the kernel's (`flock`), so it goes with its owner and is never stale.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import orjson
from pydantic import TypeAdapter, ValidationError

from harness import records
from harness.errors import StoreError, UsageError
from harness.model import Error, Manifest, Record, ToolResult
from harness.records import CorruptLineError, ExchangeLine, Line, ToolLine
from harness.transport.redact import Redactor
from harness.transport.stop import INTERRUPTED

MANIFEST = "manifest.json"
RECORDS = "records.jsonl"
LOCK = "lock"
DURABLE_EVERY = 1.0
"""Seconds within which an acknowledged line becomes durable."""

REDACTED = "redacted"
"""The flag of a record that a secret was taken out of."""


def write_manifest(folder: Path, manifest: Manifest, redactor: Redactor) -> None:
    """Put the manifest in place whole: written beside, fsynced, renamed. Raises StoreError."""
    write_file(folder / MANIFEST, orjson.dumps(redactor.value(manifest), option=orjson.OPT_INDENT_2) + b"\n")


def write_file(path: Path, content: bytes) -> None:
    """Put a file in place whole, readable by its owner alone. Raises StoreError naming the path and the cause."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as refused:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {refused.strerror}") from refused


def read_manifest(folder: Path) -> Manifest:
    """The folder's manifest. Raises UsageError where it is none of ours, is damaged, or is of a newer format."""
    path = folder / MANIFEST
    try:
        fields = orjson.loads(path.read_bytes())
        if fields.get("schema", 0) > records.SCHEMA_VERSION:
            raise UsageError(
                f"{path}: written by a newer version (format {fields['schema']}; this one reads up to "
                f"{records.SCHEMA_VERSION}); upgrade evalharness to read it"
            )
        return TypeAdapter(Manifest).validate_python(fields)
    except FileNotFoundError as missing:
        raise UsageError(f"{folder}: not a run folder: it has no {MANIFEST}") from missing
    except OSError as refused:
        raise StoreError(f"{path}: cannot be read: {refused.strerror}") from refused
    except (orjson.JSONDecodeError, AttributeError, ValidationError) as damaged:
        raise UsageError(f"{path}: damaged, cannot be read as a manifest: {damaged}") from damaged


def create_folder(folder: Path) -> None:
    """Make the run folder, private to its owner. Raises StoreError where it cannot be made or already holds a run."""
    if (folder / MANIFEST).exists():
        raise UsageError(f"{folder}: already holds a run; `harness resume {folder}` goes on with it, or name another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as refused:
        raise StoreError(f"{folder}: cannot be made: {refused.strerror}; name another with --out") from refused


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Damage:
    """What reading a file of lines found wrong: lines that do not hold, and the bytes of a torn tail."""

    corrupt: list[str] = field(default_factory=list)
    torn: int = 0

    def warnings(self, path: Path) -> list[str]:
        """One sentence for each finding."""
        sentences = [f"{path}:{found}; the line is left out" for found in self.corrupt]
        if self.torn:
            sentences.append(
                f"{path}: the last line is torn ({self.torn} bytes): the run was killed inside a write; it is owed"
            )
        return sentences


def read_lines(path: Path, damage: Damage | None = None) -> Iterator[Line]:
    """Every line that holds, in order. What does not hold is added to `damage`, never returned as something else."""
    damage = Damage() if damage is None else damage
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                damage.torn = len(raw)
                return
            try:
                yield records.decode(raw)
            except CorruptLineError as corrupt:
                damage.corrupt.append(f"{number}: {corrupt}")


def read_records(folder: Path, damage: Damage | None = None) -> Iterator[Record]:
    """The records of a run, in the order they were written; journal lines of unfinished trials are passed over."""
    return (line for line in read_lines(folder / RECORDS, damage) if isinstance(line, Record))


class FinalKeys:
    """Which trials need nothing more: a sorted array of 64-bit key prefixes, eight bytes a trial."""

    def __init__(self, prefixes: Iterable[int] = ()) -> None:
        self._keys = array("Q", sorted(prefixes))

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        wanted = prefix(key)
        at = bisect_left(self._keys, wanted)
        return at < len(self._keys) and self._keys[at] == wanted


def prefix(key: str) -> int:
    """The first 64 bits of a trial's key."""
    return int(key[:16], 16)


# ── Writing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Store:
    """Appends lines to a run folder; use as an async context manager.

    Raises StoreError from the first write or fsync that fails, and from every `append` after it: nothing is acknowledged
    that is not on file.
    """

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self.folder = folder
        self._redactor = redactor
        self._failure: StoreError | None = None
        self._dirty = False

    async def __aenter__(self) -> Self:
        self._lock = _locked(self.folder / LOCK)
        try:
            self._file = self._opened()
        except OSError as refused:
            self._lock.close()
            raise StoreError(f"{self.folder / RECORDS}: cannot be opened: {refused.strerror}") from refused
        self._syncing = asyncio.create_task(self._sync_regularly())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._syncing.cancel()
        with suppress(asyncio.CancelledError):
            await self._syncing
        try:
            self._sync()
        finally:
            self._file.close()
            self._lock.close()
        if self._failure and error is None:
            raise self._failure

    def append(self, line: Line) -> None:
        """Write one line; when this returns, the line is acknowledged. Raises StoreError."""
        if self._failure:
            raise self._failure
        try:
            self._write(self._encoded(line))
        except OSError as refused:
            raise self._fail(refused) from refused
        self._dirty = True

    def _encoded(self, line: Line) -> bytes:
        """The line's bytes, without secrets (looked for in the bytes: finding none is the usual case, and cheap)."""
        encoded = records.encode(line)
        if not self._redactor.touches(encoded):
            return encoded
        clean = self._redactor.value(line)
        return records.encode(replace(clean, flags=(*clean.flags, REDACTED)) if isinstance(clean, Record) else clean)

    def _write(self, content: bytes) -> None:
        before = self._file.tell()
        try:
            if self._file.write(content) != len(content):
                raise OSError(28, "No space left on device")
        except OSError:
            with suppress(OSError):  # the torn line would be dropped on reading anyway
                self._file.truncate(before)
            raise

    def _opened(self) -> BinaryIO:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        file = os.fdopen(os.open(self.folder / RECORDS, flags, 0o600), "r+b", buffering=0)
        file.seek(_whole_lines(file))
        file.truncate()
        return file

    async def _sync_regularly(self) -> None:
        while True:
            await asyncio.sleep(DURABLE_EVERY)
            await asyncio.to_thread(self._sync)

    def _sync(self) -> None:
        if not self._dirty or self._failure:
            return
        self._dirty = False
        try:
            os.fsync(self._file.fileno())
        except OSError as refused:
            self._fail(refused)

    def _fail(self, refused: OSError) -> StoreError:
        self._failure = StoreError(
            f"{self.folder / RECORDS}: cannot be written: {refused.strerror}; every answer acknowledged before is kept. "
            f"Make room, then go on with: harness resume {self.folder}"
        )
        return self._failure


def _whole_lines(file: BinaryIO) -> int:
    """Where the last whole line ends: a torn tail behind it is overwritten."""
    position = file.seek(0, os.SEEK_END)
    while position:
        start = max(0, position - 65536)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0


def _locked(path: Path) -> BinaryIO:
    """The lock file, held. Raises UsageError where another process holds it."""
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b", buffering=0)
    except OSError as refused:
        raise StoreError(f"{path}: cannot be opened: {refused.strerror}") from refused
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as held:
        owner = file.read(64).decode(errors="replace").strip()
        file.close()
        raise UsageError(f"{path.parent}: another process (pid {owner}) is writing this run; wait for it, or end it") from held
    file.truncate(0)
    file.write(f"{os.getpid()}\n".encode())
    return file


# ── What a run still owes ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Owed:
    """What a run folder already holds, so that what it still owes can be told.

    `finished` counts final trials by target. `exchanges` and `tools` (by trial key, then position) are the journals of trials
    that are not final. `spent` is US dollars over every distinct exchange, whatever became of its trial.
    """

    final: FinalKeys = field(default_factory=FinalKeys)
    finished: Counter[str] = field(default_factory=Counter)
    exchanges: list[ExchangeLine] = field(default_factory=list)
    tools: dict[str, dict[str, ToolResult]] = field(default_factory=dict)
    spent: float = 0.0
    damage: Damage = field(default_factory=Damage)

    @classmethod
    def read(cls, folder: Path, *, retry_errors: bool = False) -> Owed:
        """Scan a run folder once; memory is some hundred bytes a final trial plus the unfinished trials' journals."""
        scan, damage = _Scan(retry_errors), Damage()
        for line in read_lines(folder / RECORDS, damage):
            scan.add(line)
        ended = {key: target for key, target in scan.ended.items() if target is not None}
        exchanges = [line for lines in scan.journal.values() for line in lines]
        return cls(FinalKeys(ended), Counter(ended.values()), exchanges, scan.tools, scan.spent, damage)


class _Scan:
    """Follows the lines of a run: which trials ended (at which target), and what the others have so far."""

    def __init__(self, retry_errors: bool) -> None:
        self.ended: dict[int, str | None] = {}
        self.journal: dict[str, list[ExchangeLine]] = {}
        self.tools: dict[str, dict[str, ToolResult]] = {}
        self.spent = 0.0
        self._retry_errors = retry_errors

    def add(self, line: Line) -> None:
        """Take the next line."""
        if isinstance(line, ToolLine):
            self.tools.setdefault(line.key, {})[line.position] = line.result
        elif isinstance(line, ExchangeLine):
            self._exchange(line)
        else:
            self._record(line)

    def _exchange(self, line: ExchangeLine) -> None:
        known = self.journal.setdefault(line.key, [])
        if all(line.exchange != each.exchange for each in known):
            known.append(line)
            if line.exchange.response.replayed is None:
                self.spent += line.exchange.cost.usd or 0.0

    def _record(self, record: Record) -> None:
        for exchange in (*record.exchanges, *(each for grade in record.grades for each in grade.exchanges)):
            self._exchange(ExchangeLine(record.key, record.repeat, record.session, exchange))
        ended = is_final(record, retry_errors=self._retry_errors)
        self.ended[prefix(record.key)] = sys.intern(record.target) if ended else None
        if ended:
            self.journal.pop(record.key, None)
            self.tools.pop(record.key, None)


TARGET_KINDS = frozenset({"unauthorized", "forbidden", "not_found", "quota_exhausted"})
"""Error kinds that say something of the target and nothing of the trial: every trial would meet them."""


def is_final(record: Record, *, retry_errors: bool = False) -> bool:
    """Whether a trial needs nothing more: it was answered and graded, or its error would only happen again.

    Retryable errors, a judge's too, and whatever a budget, an interrupt or a refused API key stopped are not final; permanent
    ones are, unless `retry_errors`.
    """
    return not any(
        error is not None and (retry_errors or _may_pass(error))
        for error in (record.error, *(grade.error for grade in record.grades))
    )


def _may_pass(error: Error) -> bool:
    """Whether the error may be gone when the trial is run again as it is."""
    return error.retryable or error.boundary == "budget" or error.kind == INTERRUPTED or error.kind in TARGET_KINDS
