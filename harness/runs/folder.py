"""A run folder's files: written atomically, read back line by line, their checksums verified.

A damaged line (a torn tail, a flipped bit) is reported with its place and left out; it is never
returned as something else.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import orjson
from msgspec import Struct, field

from harness.config.regular_files import open_regular_file, read_regular_file
from harness.errors import StoreError, UsageError
from harness.model import Manifest, Record
from harness.runs import records
from harness.runs.records import CorruptLineError, Line
from harness.runs.redaction import Redactor

MANIFEST = "manifest.json"
RECORDS = "records.jsonl"
MAX_MANIFEST_BYTES = 64 * 2**20
LOCK = "lock"
BLOBS = "blobs"

REPORTS = {
    "html": "report.html",
    "markdown": "report.md",
    "csv": "results.csv",
    "junit": "junit.xml",
    "summary": "summary.json",
}
"""The report files, by reporter."""
PARQUET = "records.parquet"
PLOTS = "plots"


def write_manifest(folder: Path, manifest: Manifest, redactor: Redactor) -> None:
    """Put the manifest in place whole: written beside, fsynced, renamed. Raises StoreError."""
    write_file(
        folder / MANIFEST,
        msgspec.json.format(msgspec.json.encode(redactor.redact_value(manifest)), indent=2) + b"\n",
    )


def write_file(path: Path, content: bytes | Iterator[bytes]) -> None:
    """Put a file in place whole; a large one comes in pieces. Its permissions are the umask's.

    Raises StoreError naming the path and the cause.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(
            os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666), "wb"
        ) as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as refused:
        raise StoreError(f"{path}: cannot be written: {refused.strerror}") from refused
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def read_manifest(folder: Path) -> Manifest:
    """The folder's manifest. Raises UsageError where it is none of ours, is damaged, or is of a
    newer format."""
    path = folder / MANIFEST
    try:
        fields = orjson.loads(read_regular_file(path, MAX_MANIFEST_BYTES))
        version = fields.get("schema", 0)
        if type(version) is not int or version < 0:
            raise UsageError(
                f"{path}: damaged: its format version is {version!r}, not a whole number"
            )
        if version > records.SCHEMA_VERSION:
            raise UsageError(
                f"{path}: written by a newer version (format {fields['schema']}; this one reads up"
                f" to {records.SCHEMA_VERSION}); upgrade evalharness to read it"
            )
        return msgspec.convert(fields, Manifest)
    except (FileNotFoundError, NotADirectoryError) as missing:
        raise UsageError(f"{folder}: not a run folder: it has no {MANIFEST}") from missing
    except OSError as refused:
        raise StoreError(f"{path}: cannot be read: {refused.strerror}") from refused
    except (orjson.JSONDecodeError, AttributeError, msgspec.ValidationError) as damaged:
        raise UsageError(f"{path}: damaged, not a readable manifest: {damaged}") from damaged


def create_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Make the run folder; with `overwrite`, a finished run in it is removed.

    Raises StoreError where it cannot be made, UsageError where it holds anything else.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError as odd:
        raise UsageError(f"{str(folder)!a} is no name in UTF-8; name another folder") from odd
    if (folder / MANIFEST).exists():
        if not overwrite:
            raise UsageError(
                f"{folder} already contains a run: continue it with `harness resume {folder}`,"
                " replace it with --overwrite, or name another folder"
            )
        _remove_run(folder)
    make_folder(folder)
    begun = () if _size_of(folder / RECORDS) else (LOCK, RECORDS)  # of a run killed at once
    if foreign := _foreign_files(folder, begun):
        raise UsageError(
            f"{folder} contains other files ({', '.join(foreign[:3])}); name a new folder, so that"
            " they stay untouched"
        )


def _size_of(path: Path) -> int:
    """The size of a file in bytes, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _remove_run(folder: Path) -> None:
    """Remove a run's files. Raises UsageError where the folder holds others too, or where a process
    is writing the run."""
    read_manifest(folder)  # another program's file of that name is left alone
    ours = (RECORDS, LOCK, BLOBS, *REPORTS.values(), PARQUET, PLOTS, MANIFEST)
    if foreign := _foreign_files(folder, ours):
        raise UsageError(
            f"{folder} contains files that are not the run's ({', '.join(foreign[:3])}); move them"
            " away to overwrite the run, or name another folder"
        )
    lock = acquire_lock(folder / LOCK)
    try:
        for name in ours:
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as refused:
        raise StoreError(f"{folder}: cannot be overwritten: {refused.strerror}") from refused
    finally:
        os.close(lock)


def _foreign_files(folder: Path, ours: Collection[str]) -> list[str]:
    """The names of the files that are none of `ours`, hidden ones apart."""
    names = (path.name for path in folder.iterdir())
    return sorted(name for name in names if name not in ours and not name.startswith("."))


def acquire_lock(path: Path) -> int:
    """The lock file, held. Raises UsageError where another process holds it, StoreError where it
    cannot be had."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as refused:
        raise StoreError(f"{path}: cannot be opened: {refused.strerror}") from refused
    try:
        lock_file(file, path.parent)
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
    except UsageError:
        os.close(file)
        raise
    except OSError as refused:
        os.close(file)
        raise StoreError(f"{path}: cannot be written: {refused.strerror}") from refused
    return file


def lock_file(file: int, folder: Path) -> None:
    """Hold an open file of the run, until it is closed. Raises UsageError where another process
    holds it, OSError."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as held:
        said = os.pread(file, 64, 0).decode(errors="replace").strip()
        owner = f" (pid {said})" if said.isdecimal() else ""
        raise UsageError(
            f"{folder}: another process{owner} is writing this run; wait until it has finished, or"
            " stop it"
        ) from held


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are not there. Raises StoreError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise StoreError(
            f"{folder}: cannot be created: {refused.strerror}; name another with --out"
        ) from refused


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────


class Damage(Struct):
    """What reading a file of lines found wrong: lines that do not hold, and the bytes of a torn
    tail."""

    corrupt: list[str] = field(default_factory=list)
    torn: int = 0
    carriage_returns: int = 0
    """Lines that end in CR LF, as no run writes them; they are read all the same."""

    def warnings(self, path: Path) -> list[str]:
        """One sentence for each finding."""
        sentences = [f"{path}:{found}; this line is skipped" for found in self.corrupt]
        if self.torn:
            sentences.append(
                f"{path}: the last line is torn ({self.torn} bytes): the run was killed during a"
                " write; `harness resume` runs its trial again"
            )
        return sentences


def read_lines(path: Path, damage: Damage | None = None) -> Iterator[Line]:
    """Every line that holds, in order. What does not hold is added to `damage`, never returned as
    something else.

    Large images are named, not there: `harness.runs.blobs` gives them back.
    """
    damage = Damage() if damage is None else damage
    try:
        file = os.fdopen(open_regular_file(path), "rb")
    except FileNotFoundError:
        return
    except OSError as refused:
        raise StoreError(f"{path}: cannot be read: {refused.strerror}") from refused
    with file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                damage.torn = len(raw)
                return
            try:
                damage.carriage_returns += raw.endswith(b"\r\n")
                yield records.decode_line(raw)
            except CorruptLineError as corrupt:
                damage.corrupt.append(f"{number}: {corrupt}")


def read_records(folder: Path, damage: Damage | None = None) -> Iterator[Record]:
    """The records of a run, in the order they were written; journal lines of unfinished trials are
    passed over."""
    return (line for line in read_lines(folder / RECORDS, damage) if isinstance(line, Record))
