"""Lenient JSON: parses what servers really send, and serializes what models really write.

orjson handles everything ordinary. What it refuses (invalid UTF-8, a byte order mark, lone
surrogates) is parsed again by `json` under limits, because `json` alone accepts NaN, recurses
without bound and raises three kinds of exception. An integer over 64 bit is read as a float. Lone
surrogates are kept: two halves that arrive in two stream events are joined by `join_surrogates`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson

MAX_DIGITS = 4300
"""Most digits of an integer: Python's own limit on converting text to int."""

SNIPPET = 200
"""Most characters of a foreign body that an error message quotes."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class UnreadableJSONError(ValueError):
    """Bytes that are not JSON, or JSON that nests too deep or has too large a number."""


def loads(data: bytes) -> tuple[Any, bool]:
    """The value in `data`, and whether invalid UTF-8 in it was replaced by U+FFFD. Raises
    UnreadableJSONError."""
    try:
        return orjson.loads(data), False
    except orjson.JSONDecodeError:
        return _loads_leniently(data)


def loads_text(text: str) -> Any:
    """The value in JSON text, which may hold lone surrogates. Raises UnreadableJSONError."""
    return loads(text.encode("utf-8", "surrogatepass"))[0]


def dumps(value: Any) -> bytes:
    """Compact JSON; lone surrogates and integers over 64 bit are written in ASCII. Raises
    UnreadableJSONError if too deep."""
    try:
        return orjson.dumps(value, default=_to_plain)
    except TypeError:
        return compact_json(value, ascii_only=True).encode()


def compact_json(value: Any, *, ascii_only: bool = False) -> str:
    """`value` as compact JSON text. Raises UnreadableJSONError where it nests too deep."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only, default=_to_plain)
    except RecursionError as deep:
        raise UnreadableJSONError("JSON that is nested too deeply") from deep


def snippet(data: bytes | str, limit: int = SNIPPET) -> str:
    """The start of a foreign text for an error message: one line, no control characters, at most
    `limit` characters."""
    text = (
        data[: 4 * limit].decode("utf-8", "replace")
        if isinstance(data, bytes)
        else data[: 4 * limit]
    )
    shown = "".join(
        char if char.isprintable() else _escape_character(char) for char in " ".join(text.split())
    )
    whole = len(shown) <= limit and len(data) <= 4 * limit
    return shown if whole else shown[: limit - 1] + "…"


def finite_number(value: Any) -> float | None:
    """`value` as a finite number, None where it is none: it may be a whole number of thousands of
    digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def join_surrogates(text: str) -> str:
    """`text` with surrogate pairs joined to the characters they mean; lone surrogates stay."""
    if text.isascii() or not _SURROGATES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _loads_leniently(data: bytes) -> tuple[Any, bool]:
    text, damaged = _decode_text(data)
    try:
        return json.loads(
            text,
            parse_constant=_reject_constant,
            parse_int=_parse_integer,
            parse_float=_parse_float,
        ), damaged
    except RecursionError as deep:
        raise UnreadableJSONError("JSON that is nested too deeply") from deep
    except ValueError as wrong:
        raise UnreadableJSONError(f"not JSON ({wrong}): {snippet(text)!r}") from wrong


def _decode_text(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        return data.decode("utf-8-sig", "replace"), True


def _parse_integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits):,} digits")
    return int(digits)


def _parse_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"a number that is too large, {snippet(digits, 20)}")
    return number


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _escape_character(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
