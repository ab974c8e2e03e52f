"""A line of `records.jsonl` and the Record it holds: pure, checksummed, lossless.

A line is one JSON object whose last member is `crc`, the CRC-32 (eight hex digits) of the bytes
before it. msgspec writes and reads it; what it refuses (lone surrogates) goes through
`json.dumps(ensure_ascii=True)`, and comes back the same way. Reading checks the sum, and the type
of every field.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias
from zlib import crc32

import msgspec
from msgspec import Struct

from harness.model import Exchange, Record, ToolResult

SCHEMA_VERSION = 1
"""Of the run folder's lines; a folder with a newer one is refused."""

_CRC = b',"crc":"'
_TAIL = len(_CRC) + 8 + len(b'"}')


class ExchangeLine(Struct, frozen=True, tag_field="kind", tag="exchange"):
    """A journal line: one completed exchange of a trial that has no record yet; `session` names the
    clock of its marks."""

    key: str
    repeat: int
    session: str
    exchange: Exchange


class ToolLine(Struct, frozen=True, tag_field="kind", tag="tool"):
    """A journal line: one completed tool call of a trial that has no record yet."""

    key: str
    session: str
    position: str
    result: ToolResult


class BatchLine(Struct, frozen=True, tag_field="kind", tag="batch"):
    """A journal line: a batch was submitted, and the service calls it `id`; written before it is
    first asked after.

    `trials` are the keys of the trials in it, in order, and `inputs` about how many input tokens
    each has; `key` is a hash of them. `most` is what all of it can cost in US dollars, None where
    that is unknown.
    """

    key: str
    session: str
    target: str
    id: str
    trials: tuple[str, ...]
    inputs: tuple[int, ...]
    most: float | None = None


Line: TypeAlias = Record | ExchangeLine | ToolLine | BatchLine

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder[Line](Line)


class CorruptLineError(ValueError):
    """A line is not what was written: torn, altered, or of another format."""


def encode_line(line: Line) -> bytes:
    """The line's bytes, newline included."""
    try:
        encoded = _encoder.encode(line)
    except UnicodeEncodeError:  # lone surrogates, which only the standard library writes
        encoded = json.dumps(
            msgspec.to_builtins(line, enc_hook=load_raw), ensure_ascii=True, separators=(",", ":")
        ).encode()
    body = encoded[:-1]
    return b'%b,"crc":"%08x"}\n' % (body, crc32(body))


def load_raw(value: Any) -> Any:
    """The value of JSON that a record holds unparsed (`msgspec.Raw`)."""
    return json.loads(bytes(value))


def decode_line(raw: bytes) -> Line:
    """The line in `raw` (with or without its newline). Raises CorruptLineError, naming what is
    wrong."""
    text = verify_checksum(raw)
    try:
        return _decode_json(text)
    except (ValueError, RecursionError) as invalid:  # msgspec's errors are ValueErrors
        raise CorruptLineError(f"not a line of this format: {invalid}") from invalid


def verify_checksum(raw: bytes) -> bytes:
    """`raw` without its newline, once its checksum holds. Raises CorruptLineError."""
    line = raw.rstrip(b"\r\n")
    body, tail = line[:-_TAIL], line[-_TAIL:]
    if not tail.startswith(_CRC) or not tail.endswith(b'"}'):
        raise CorruptLineError("the line does not end in a checksum")
    if b"%08x" % crc32(body) != tail[len(_CRC) : -2]:
        raise CorruptLineError("the checksum does not match: the line was altered")
    return line


def _decode_json(text: bytes) -> Line:
    try:
        line: Line = _decoder.decode(text)
        return line
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:  # lone surrogates, which only the standard library reads
        read: Line = msgspec.convert(json.loads(text), Line)
        return read
