"""Quantities as a person writes them (`1.5s`, `200k`, `$0.50`, `90%`) and as the program keeps
them.

Durations are seconds, money is US dollars in Decimal, shares are fractions of one. A bare number is
never a duration: `60` could be seconds or milliseconds, and in this field both are usual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-zA-Zµ%]*)")
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_COUNTS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "m": 10**6}


def parse_duration(value: Any) -> float:
    """Seconds in `5s`, `200ms`, `1.5m` or `1h`; a bare 0 is 0. Raises ValueError."""
    if value == 0 and not isinstance(value, bool | str):
        return 0.0
    number, unit = _split_unit(value, "a duration such as 5s, 200ms or 1.5m")
    if not unit:
        raise ValueError(f"needs a unit; write {number:g}s or {number:g}ms")
    return float(number) * _unit_factor(unit, _SECONDS)


def parse_count(value: Any) -> int:
    """The number in `300`, `200k` or `1.5M`. Raises ValueError."""
    number, unit = _split_unit(value, "a count such as 300, 200k or 1.5M")
    counted = number * int(_unit_factor(unit, _COUNTS))
    if counted != int(counted):
        raise ValueError(f"should be a whole number, not {value}")
    return int(counted)


def parse_rate(value: Any) -> float:
    """The number a second in `50/s` or `50`. Raises ValueError."""
    text = value.removesuffix("/s") if isinstance(value, str) else value
    number, unit = _split_unit(text, "a rate such as 50/s")
    if unit:
        raise ValueError(f"should be a rate such as 50/s, not {value!r}")
    return float(number)


def parse_money(value: Any) -> Decimal:
    """US dollars in `$0.50` or `0.5`. Raises ValueError."""
    text = value.removeprefix("$") if isinstance(value, str) else value
    number, unit = _split_unit(text, "US dollars such as $0.50")
    if unit:
        raise ValueError(f"should be US dollars such as $0.50, not {value!r}")
    return number


def parse_share(value: Any) -> float:
    """The fraction in `90%` or `0.9`. Raises ValueError where it is not within 0 and 1."""
    number, unit = _split_unit(value, "a share such as 0.9 or 90%")
    if unit not in ("", "%"):
        raise ValueError(f"should be a share such as 0.9 or 90%, not {value!r}")
    fraction = number / 100 if unit else number
    if not 0 <= fraction <= 1:
        hint = f"; did you mean {value}%?" if not unit and number <= 100 else ""
        raise ValueError(f"should be a share between 0 and 1 (or 0% and 100%), not {value}{hint}")
    return float(fraction)


def _split_unit(value: Any, expected: str) -> tuple[Decimal, str]:
    text = "" if isinstance(value, bool) or value is None else str(value).strip()
    if match := _QUANTITY.fullmatch(text):
        return Decimal(match[1]), match[2]
    if isinstance(value, float) and 0 <= value < 1:  # 1e-07, as Python writes it
        return Decimal(text), ""
    raise ValueError(f"should be {expected}, not {value!r}")


def _unit_factor(unit: str, units: Mapping[str, float]) -> float:
    if unit not in units:
        known = ", ".join(name for name in units if name)
        raise ValueError(f"unknown unit `{unit}`; use {known}")
    return units[unit]


def _text_schema(pattern: str, *examples: str | float) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": ["string", "number"], "pattern": pattern, "examples": list(examples)}
    )


DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "pattern": r"^ *[0-9.]+ *(us|µs|ms|s|m|min|h) *$"}, {"const": 0}],
    "examples": ["5s", "200ms", "1.5m"],
}
"""A duration as editors see it."""

_DURATION = WithJsonSchema(DURATION_SCHEMA)
_COUNT = WithJsonSchema(
    {"type": ["string", "integer"], "pattern": r"^[0-9.]+ *[kKmM]?$", "examples": [300, "200k"]}
)
_MONEY = _text_schema(r"^\$?[0-9.]+$", "$0.50", 0.5)
_SHARE = _text_schema(r"^[0-9.]+ *%?$", "90%", "0.9")

Text = StrictStr
Flag = StrictBool
Whole = StrictInt
Number = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(parse_share), _SHARE]
Duration = Annotated[float, Field(gt=0), BeforeValidator(parse_duration), _DURATION]
Delay = Annotated[float, Field(ge=0), BeforeValidator(parse_duration), _DURATION]
Count = Annotated[int, Field(ge=1), BeforeValidator(parse_count), _COUNT]
Money = Annotated[Decimal, Field(ge=0), BeforeValidator(parse_money), _MONEY]
"""What a field of the suite language can be; none of them guesses across types (text is no number,
1 is no boolean)."""
