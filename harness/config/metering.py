"""Charges a template's render for its work, so that no template costs more than a second or two.

One render may do `MAX_WORK` units of work. A unit is a character handled, or a fraction of a loop's
turn or of a call; the weights below are measured, so that 20 million units take about a second
whatever they are spent on. Beyond that, `WorkLimitExceeded`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

from jinja2.exceptions import SecurityError

MAX_WORK = 20_000_000
MAX_LOOP = 100_000
MAX_BITS = 4_096
TURN = MAX_WORK // MAX_LOOP
"""Units of a loop's turn with a small body, and of a call of a filter or method."""

_VALUE = 20  # an item of a collection costs about as much as so many characters
_COLLECTIONS = (dict, list, tuple, set, frozenset, Mapping)
_SCALARS = frozenset({int, float, bool, type(None)})

_WEIGHTS: Mapping[str, int] = {"title": 16, "urlencode": 8, "wordcount": 8}
"""How many times as much as others these filters cost for each character."""
_PER_ITEM: Mapping[str, int] = {
    **dict.fromkeys(("map", "select", "reject", "selectattr", "rejectattr"), TURN),
    **dict.fromkeys(("sort", "groupby", "unique", "min", "max", "dictsort", "join"), TURN // 2),
}
"""What these filters cost for each item of their first operand, beside its size."""


class WorkLimitExceeded(SecurityError):
    """A template would loop or grow beyond what one render may cost."""

    def __init__(self) -> None:
        super().__init__(
            f"does more work than a template may (about {MAX_LOOP:,} loop turns and calls, or"
            f" {MAX_WORK:,} characters handled)"
        )


class _Meter(threading.local):
    """The work that the current render of this thread has done."""

    spent = 0


_meter = _Meter()


def reset_meter() -> None:
    """Start metering a render at zero."""
    _meter.spent = 0


def charge_units(units: int) -> None:
    """Charge the current render. Raises WorkLimitExceeded above its limit."""
    _meter.spent += units
    if _meter.spent > MAX_WORK:
        raise WorkLimitExceeded


def charge_value(value: Any) -> Any:
    """Charge for handling all of `value`, however often it contains itself, and return it."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, str):
        charge_units(len(value))
    elif isinstance(value, range):
        charge_units(_VALUE * len(value))
    elif isinstance(value, _COLLECTIONS):
        _charge_collection(value)
    return value


def _charge_collection(value: Any) -> None:
    pending = [value]
    while pending:
        one = pending.pop()
        units = _VALUE * (len(one) + 1)
        is_list = type(one) is list or not isinstance(one, Mapping)
        for part in one if is_list else one.values():
            kind = type(part)
            if kind is str:
                units += len(part)
            elif kind not in _SCALARS and isinstance(part, _COLLECTIONS):
                pending.append(part)
        charge_units(units)


def charge_call(name: str, operands: Sequence[Any], options: Mapping[str, Any]) -> None:
    """Charge for a call: for its operands, and for a result that can be far larger than they."""
    units = TURN
    for operand in (*operands, *options.values()) if options else operands:
        if type(operand) is str:
            units += len(operand)
        else:
            charge_value(operand)
    charge_units(units)
    if name not in _DEARER:
        return
    size = len(operands[0]) if operands and isinstance(operands[0], Sized) else 0
    charge_units(size * (_WEIGHTS.get(name, 0) + _PER_ITEM.get(name, 0)))
    if name in _GROWTH:
        charge_units(_GROWTH[name](*operands, *options.values()))


def charge_product(left: Any, right: Any) -> None:
    """Charge for `left * right`, whose result can be far larger than both."""
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
    for repeated, times in ((left, right), (right, left)):
        if isinstance(repeated, str | list | tuple) and isinstance(times, int):
            charge_units(len(repeated) * max(times, 0))


def charge_power(base: Any, exponent: Any) -> None:
    """Charge for `base ** exponent`. Raises WorkLimitExceeded where it has too many digits."""
    if isinstance(base, int) and isinstance(exponent, int):
        _check_bits(base.bit_length() * max(exponent, 0))


def _check_bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise WorkLimitExceeded


def _replace_growth(text: Any, old: Any, new: Any, *_: Any) -> int:
    return (len(text) + 1) * len(new) // max(len(old), 1)


def _join_growth(*operands: Any) -> int:
    """`items|join(separator)` or `separator.join(items)`: the product of the two, whichever comes
    first."""
    sizes = [len(operand) for operand in operands if isinstance(operand, Sized)]
    return sizes[0] * sizes[1] if len(sizes) > 1 else 0


def _indent_growth(text: Any, width: Any = 4, *_: Any) -> int:
    return (str(text).count("\n") + 1) * (width if isinstance(width, int) else len(str(width)))


def _round_growth(_: Any, precision: Any = 0, *__: Any) -> int:
    return 0 if abs(precision) <= 100 else MAX_WORK + 1


_GROWTH: Mapping[str, Callable[..., int]] = {
    "replace": _replace_growth,
    "join": _join_growth,
    "indent": _indent_growth,
    "round": _round_growth,
}
_DEARER = _WEIGHTS.keys() | _PER_ITEM.keys() | _GROWTH.keys()
