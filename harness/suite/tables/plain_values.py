"""Values of typed tables as JSON has them, so that a case is the same whatever file it is from."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from math import isfinite
from typing import Any

_PLAIN = frozenset({str, int, bool, type(None)})
_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


def to_plain_value(value: Any) -> Any:
    """`value` as text, number, boolean, null, list or object.

    NaN is null, as in data frames; dates are ISO 8601; bytes are a data URI, which a prompt's
    `images:` takes; a decimal is a number where that keeps its digits, else text.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return _plain_float(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [to_plain_value(each) for each in value]
    if isinstance(value, Decimal):
        return _plain_decimal(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _data_uri(bytes(value))
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _plain_float(value: float) -> float | str | None:
    if isfinite(value):
        return value
    return None if value != value else str(value)  # noqa: PLR0124 - NaN alone differs from itself


def _plain_decimal(value: Decimal) -> int | float | str:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


def _data_uri(content: bytes) -> str:
    kinds = (kind for beginning, kind in _IMAGES.items() if content.startswith(beginning))
    kind = next(kinds, "application/octet-stream")
    return f"data:{kind};base64,{b64encode(content).decode()}"
