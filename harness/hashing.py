"""Hashes that are the same on every machine, in every process and every version, and the bytes they
are taken of.

Stored runs depend on this module: ids of cases, fingerprints of suites and keys of trials are
hashes of one of two forms, which are not interchangeable (`1e22` is `1e+22` in the first and `1e22`
in the second):

- `canonical_json` is *the* canonical form of plain data, such as a suite, a case or a setting.
- `key_bytes` is the form of run-time nouns such as messages; it survives because keys of stored
  trials are hashes of it.

What tables show of a value is neither: `harness.analysis.row_schema.column_json`.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b, file_digest
from io import BufferedReader
from typing import Any

import msgspec
import orjson

_SMALLEST = 64
_MASK = 2**64 - 1

_encoder = msgspec.json.Encoder(order="deterministic")


def canonical_json(value: Any) -> bytes:
    """Plain data as one byte string: JSON with sorted keys and no spaces; `repr` for what JSON
    cannot hold.

    That is a lone surrogate, an integer of more than 64 bits, or a key that is no text.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _repr_bytes(value)


def key_bytes(value: Any) -> bytes:
    """Run-time nouns as one byte string for the key of a trial: msgspec's JSON, `repr` for lone
    surrogates."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, TypeError):
        return _repr_bytes(value)


def hash64(data: bytes) -> int:
    """A 64-bit hash."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def hash_bytes(data: bytes) -> str:
    """`hash64` as 16 hexadecimal digits: of a file's content."""
    return f"{hash64(data):016x}"


def hash_file(file: BufferedReader) -> str:
    """`hash_bytes` of an opened file's content, which may be larger than memory."""
    return file_digest(file, lambda: blake2b(digest_size=8)).hexdigest()


def hash_json(value: Any) -> str:
    """`hash_bytes` of the canonical form of plain data."""
    return hash_bytes(canonical_json(value))


class TextHashes:
    """A set of texts that keeps 64-bit hashes of them, in 12 to 24 bytes each: enough to ask
    whether one is in it. Unlike all else here, they are this process's own.
    """

    def __init__(self) -> None:
        self._table = array("Q", bytes(8 * _SMALLEST))
        self._free = 2 * _SMALLEST // 3

    def add(self, text: str) -> bool:
        """Add a text; whether it is new."""
        hashed, table = _local_hash(text), self._table
        last = len(table) - 1
        slot = hashed & last
        while found := table[slot]:
            if found == hashed:
                return False
            slot = (slot + 1) & last
        table[slot] = hashed
        self._free -= 1
        if not self._free:
            self._double_table()
        return True

    def __contains__(self, text: str) -> bool:
        hashed, table = _local_hash(text), self._table
        last = len(table) - 1
        slot = hashed & last
        while (found := table[slot]) and found != hashed:
            slot = (slot + 1) & last
        return bool(found)

    def _double_table(self) -> None:
        """Give the table, which is two thirds full, twice the room."""
        old, table = self._table, array("Q", bytes(16 * len(self._table)))
        last = len(table) - 1
        for hashed in filter(None, old):
            slot = hashed & last
            while table[slot]:
                slot = (slot + 1) & last
            table[slot] = hashed
        self._table, self._free = table, 2 * len(old) // 3


def _local_hash(text: str) -> int:
    """Python's own hash as 64 bits, never 0: another one in each process, but ten times as fast."""
    return hash(text) & _MASK or 1


def _repr_bytes(value: Any) -> bytes:
    return repr(value).encode("utf-8", "surrogatepass")
