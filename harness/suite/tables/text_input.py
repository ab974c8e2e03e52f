"""Opens text files of any encoding, compressed or not, line by line."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast

from harness.suite.tables.table_rows import MAX_ROW, TableError

_GZIP = b"\x1f\x8b"
SAMPLE_SIZE = 64 * 2**10
"""Bytes or characters that a guess is made from."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = "cp1252"
_LATIN = ["cp1250", "cp1254", "mac_roman"]
_OTHER = [
    "cp1251",
    "koi8_r",
    "cp1253",
    "cp1255",
    "cp1256",
    "shift_jis",
    "euc_jp",
    "gb18030",
    "big5",
]
_FEW = 32
"""Accented letters that are too few to tell one Latin alphabet from another."""
MAX_UNPACKED = 4 * 2**30
"""Bytes that a compressed file may hold."""
_BUFFER = 128 * 2**10
UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a damaged or forbidden file raises."""


class TextInput(NamedTuple):
    """A text file that can be opened again and again; `encoding` is Python's name of it."""

    path: Path
    encoding: str
    compressed: bool

    @property
    def findings(self) -> tuple[str, ...]:
        """What is worth saying of the file's form."""
        plain = self.encoding in ("utf-8", "utf-8-sig")
        return () if plain else (f"encoding {self.encoding}",)

    def read_head(self) -> str:
        """The first lines, for a guess at what follows. Raises TableError."""
        lines = self.read_lines()
        return "".join(iterate_up_to(lines, SAMPLE_SIZE))

    def read_lines(self) -> Iterator[str]:
        """Yields each line with its ending, which stays as it is. Raises TableError."""
        number = 0
        try:
            with (
                open_binary(self.path) as file,
                io.TextIOWrapper(file, encoding=self.encoding, newline="") as text,
            ):
                for line in iter(partial(text.readline, MAX_ROW + 1), ""):
                    number += 1
                    if len(line) > MAX_ROW:
                        raise _too_long(number)
                    yield line
        except UnicodeError:
            raise self._decoding_error(number) from None
        except UNREADABLE as refused:
            raise unreadable_error(refused) from None

    def _decoding_error(self, seen: int) -> TableError:
        """What to say of bytes that are not in the encoding: the first such line, found by reading
        again.
        """
        shown = self.encoding.removesuffix("-sig").upper()
        if not self.encoding.startswith("utf-8"):
            return TableError(f"is not {shown} after line {seen}; set its `encoding:`")
        with open_binary(self.path) as file:
            for number, line in enumerate(iterate_lines(file), start=1):
                try:
                    line.decode()
                except UnicodeDecodeError:
                    sample = line[:SAMPLE_SIZE] + file.read(SAMPLE_SIZE)
                    return TableError(f"is not UTF-8; {suggest_encoding(sample)}", number)
        return TableError("is not UTF-8; set its `encoding:`")


def iterate_up_to(lines: Iterator[str], characters: int) -> Iterator[str]:
    """Yields lines until they have so many characters together, the line that crosses included."""
    left = characters
    for line in lines:
        yield line
        left -= len(line)
        if left <= 0:
            return


def iterate_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yields each line of a binary file with its ending. Raises TableError for one that is too
    long.
    """
    number = 0
    try:
        for line in iter(partial(file.readline, MAX_ROW + 1), b""):
            number += 1
            if len(line) > MAX_ROW:
                raise _too_long(number)
            yield line
    except UNREADABLE as refused:
        raise unreadable_error(refused) from None


def _too_long(line: int) -> TableError:
    return TableError(
        f"the line is longer than {MAX_ROW // 2**20} MiB; write one row per line", line
    )


def unreadable_error(refused: Exception) -> TableError:
    """The error for a file that the system, or its compression, does not let us read."""
    reason = getattr(refused, "strerror", None) or refused
    return TableError(f"cannot be read: {reason}")


def open_text(path: Path, encoding: str | None) -> TextInput:
    """A text file in the `encoding` given, else in the one it shows. Raises TableError."""
    try:
        with open_binary(path) as file:
            head = file.read(SAMPLE_SIZE)
    except UNREADABLE as refused:
        raise unreadable_error(refused) from None
    return TextInput(path, _choose_encoding(head, encoding), is_compressed(path))


def _choose_encoding(head: bytes, given: str | None) -> str:
    if given is not None:
        try:
            name = codecs.lookup(given).name
            "".encode(name)
        except (LookupError, ValueError):
            raise TableError(
                f"unknown text encoding {given!r}; common ones are utf-8, utf-16, latin-1, cp1252"
            ) from None
        return "utf-8-sig" if name == "utf-8" else name
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    return _zero_pattern(head) or "utf-8"


def _zero_pattern(head: bytes) -> str | None:
    """UTF-16 without its mark, as every second byte of Western text is then zero."""
    pairs = max(1, len(head) // 2)
    if head[1::2].count(0) > 0.4 * pairs:
        return "utf-16-le"
    return "utf-16-be" if head[0::2].count(0) > 0.4 * pairs else None


def suggest_encoding(sample: bytes) -> str:
    """What to write for a file with these bytes, which are not UTF-8."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 - only a mistake needs it

    best = from_bytes(sample, cp_isolation=[_WESTERN, *_LATIN, *_OTHER]).best()
    found = "latin_1" if best is None else best.encoding
    few = sum(byte > 127 for byte in sample) < _FEW
    likely = (_WESTERN if few and found in _LATIN else found).replace("_", "-")
    return f"it looks like {likely}: add `encoding: {likely}` to its `file:`, or save it as UTF-8"


def is_compressed(path: Path) -> bool:
    """Whether a file is gzip, by its first bytes."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def open_binary(path: Path) -> BinaryIO:
    """The file's bytes, decompressed where it is gzip: reading more than `MAX_UNPACKED` of those
    raises TableError.
    """
    if not is_compressed(path):
        return path.open("rb")
    return cast("BinaryIO", io.BufferedReader(_Unpacked(path), _BUFFER))


class _Unpacked(io.RawIOBase):
    """What is in a gzip file, up to `MAX_UNPACKED` bytes."""

    def __init__(self, path: Path) -> None:
        self._packed = gzip.open(path, "rb")  # noqa: SIM115 - as long as self
        self._left = MAX_UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._packed.readinto(buffer)
        self._left -= size
        if self._left < 0:
            raise TableError(
                f"holds more than {MAX_UNPACKED // 2**20:,} MiB, the most that is unpacked: unpack"
                " it, or keep only the rows that are used"
            )
        return size

    def close(self) -> None:
        self._packed.close()
        super().close()


def read_whole(path: Path, limit: int, what: str, instead: str) -> bytes:
    """All bytes of a file, decompressed; never more than `limit`. Raises TableError."""
    try:
        with open_binary(path) as file:
            content = file.read(limit + 1)
    except UNREADABLE as refused:
        raise unreadable_error(refused) from None
    if len(content) > limit:
        raise TableError(f"has more than {limit // 2**20} MiB, the most for {what}: {instead}")
    return content
