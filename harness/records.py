"""A line of `records.jsonl` and the Record it holds: pure, checksummed, lossless.

A line is one JSON object whose last member is `crc`, the CRC-32 (eight hex digits) of the bytes before it. orjson writes it;
what orjson refuses (lone surrogates, integers over 64 bit, nesting past 254) goes through `json.dumps(ensure_ascii=True)`, and
comes back the same way. Reading checks the sum, then validates every field.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias
from zlib import crc32

import orjson
from pydantic import TypeAdapter, ValidationError

from harness.model import Exchange, Record, ToolResult

SCHEMA_VERSION = 1
"""Of the run folder's lines; a folder with a newer one is refused."""

_CRC = b',"crc":"'
_TAIL = len(_CRC) + 8 + len(b'"}')


@dataclass(frozen=True, slots=True)
class ExchangeLine:
    """A journal line: one completed exchange of a trial that has no record yet; `session` names the clock of its marks."""

    key: str
    repeat: int
    session: str
    exchange: Exchange
    kind: Literal["exchange"] = "exchange"


@dataclass(frozen=True, slots=True)
class ToolLine:
    """A journal line: one completed tool call of a trial that has no record yet."""

    key: str
    session: str
    position: str
    result: ToolResult
    kind: Literal["tool"] = "tool"


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A journal line: a batch was submitted, and the service calls it `id`; written before it is first asked after.

    `trials` are the keys of the trials in it, in order, and `inputs` about how many input tokens each has; `key` is a hash of
    them. `most` is what all of it can cost in US dollars, None where that is unknown.
    """

    key: str
    session: str
    target: str
    id: str
    trials: tuple[str, ...]
    inputs: tuple[int, ...]
    most: float | None = None
    kind: Literal["batch"] = "batch"


Line: TypeAlias = Record | ExchangeLine | ToolLine | BatchLine


class CorruptLineError(ValueError):
    """A line is not what was written: torn, altered, or of another format."""


def encode(line: Line) -> bytes:
    """The line's bytes, newline included."""
    body = _dumps(line)[:-1]
    return b'%b,"crc":"%08x"}\n' % (body, crc32(body))


def decode(raw: bytes) -> Line:
    """The line in `raw` (with or without its newline). Raises CorruptLineError, naming what is wrong."""
    text = check(raw)
    try:
        fields = _loads(text)
        kind = fields.pop("kind", None)
        fields.pop("crc")
        line: Line = _adapter(kind).validate_python(fields)
        return line
    except (KeyError, AttributeError) as missing:
        raise CorruptLineError(f"not a line of this format: {missing}") from missing
    except ValidationError as invalid:
        first = invalid.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CorruptLineError(f"{place}: {first['msg']}") from invalid


def check(raw: bytes) -> bytes:
    """`raw` without its newline, once its checksum holds. Raises CorruptLineError."""
    line = raw.rstrip(b"\n")
    body, tail = line[:-_TAIL], line[-_TAIL:]
    if not tail.startswith(_CRC) or not tail.endswith(b'"}'):
        raise CorruptLineError("the line does not end in a checksum")
    if b"%08x" % crc32(body) != tail[len(_CRC) : -2]:
        raise CorruptLineError("the checksum does not match: the line was altered")
    return line


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except (orjson.JSONEncodeError, TypeError):
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw)


@lru_cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter({"record": Record, "exchange": ExchangeLine, "tool": ToolLine, "batch": BatchLine}[kind])
