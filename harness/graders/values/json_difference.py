"""Compares JSON values: equal as JSON has it, or within a tolerance, in any order, without some
keys, or one as a part of the other.

1 equals 1.0, true is not 1, the order of keys means nothing, and that of lists does unless it is
ignored. Numbers within a tolerance are compared by their decimal digits, as a person would.

The work is counted in steps, one for each pair of values that are compared, and may be limited.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, DecimalException
from math import inf
from typing import Any

from msgspec import Struct

from harness.config.diagnostics import quote_text
from harness.config.json_path import Step, parse_path
from harness.config.json_validation import TooManySteps
from harness.wording import pluralize


class JSONComparison(Struct, frozen=True):
    """How two values are compared. `tolerance` and `relative` are of numbers within them; `ignore`
    names keys, or paths that begin with `$`. With `part`, the value may hold more than what is
    expected.
    """

    tolerance: Decimal = Decimal(0)
    relative: Decimal = Decimal(0)
    unordered: bool = False
    ignore: Sequence[str] = ()
    part: bool = False

    def find_difference(
        self, expected: Any, found: Any, path: str = "$", max_steps: float = inf
    ) -> str | None:
        """The first place where two JSON values differ, as a sentence; None where they are equal.
        Raises TooManySteps."""
        if self.ignore:
            expected, found = (_blank_ignored(value, self.ignore) for value in (expected, found))
        return _Comparing(self, max_steps).find_difference(expected, found, path)


def find_difference(expected: Any, found: Any, path: str = "$") -> str | None:
    """The first place where two JSON values are not equal, as a sentence; None where they are."""
    return JSONComparison().find_difference(expected, found, path)


class _Comparing:
    """One comparison, with the steps it has left."""

    def __init__(self, rules: JSONComparison, max_steps: float) -> None:
        self._rules = rules
        self._steps_left = max_steps
        self._is_near = rules.tolerance > 0 or rules.relative > 0
        self._is_brief = False  # whether nobody reads where two values differ

    def find_difference(self, expected: Any, found: Any, path: str) -> str | None:
        self._charge(1)
        if isinstance(expected, dict) and isinstance(found, dict):
            return self._key_difference(expected, found, path)
        if isinstance(expected, list) and isinstance(found, list):
            if self._rules.part:
                return self._part_difference(expected, found, path)
            if self._rules.unordered:
                return self._bag_difference(expected, found, path)
            return self._item_difference(expected, found, path)
        if isinstance(expected, bool) == isinstance(found, bool) and (
            expected == found or (self._is_near and self._are_near(expected, found))
        ):
            return None
        if self._is_brief:
            return path
        return f"{path}: expected {brief_json(expected)}, got {brief_json(found)}"

    def _differ(self, expected: Any, found: Any) -> bool:
        """Whether two values differ, wherever."""
        outer, self._is_brief = self._is_brief, True
        try:
            return self.find_difference(expected, found, "$") is not None
        finally:
            self._is_brief = outer

    def _are_near(self, expected: Any, found: Any) -> bool:
        if not isinstance(expected, int | float) or not isinstance(found, int | float):
            return False
        try:
            wanted, got = Decimal(str(expected)), Decimal(str(found))
            allowed = max(self._rules.tolerance, self._rules.relative * abs(wanted))
            return abs(got - wanted) <= allowed
        except (DecimalException, ValueError):  # 1e999 is infinite; an integer of 5,000 digits
            return False

    def _key_difference(
        self, expected: Mapping[str, Any], found: Mapping[str, Any], path: str
    ) -> str | None:
        for key in expected:
            if key not in found:
                return f"{path}.{key}: missing"
        for key in found if not self._rules.part else ():
            if key not in expected:
                return f"{path}.{quote_text(key, 40)}: not expected"
        pairs = (
            self.find_difference(expected[key], found[key], f"{path}.{key}") for key in expected
        )
        return next(filter(None, pairs), None)

    def _item_difference(self, expected: list[Any], found: list[Any], path: str) -> str | None:
        if len(expected) != len(found):
            return _length_difference(expected, found, path)
        pairs = enumerate(zip(expected, found, strict=True))
        differences = (
            self.find_difference(one, other, f"{path}[{index}]") for index, (one, other) in pairs
        )
        return next(filter(None, differences), None)

    def _part_difference(self, expected: list[Any], found: list[Any], path: str) -> str | None:
        """Each expected item must be a part of some item, whichever."""
        for item in expected:
            if all(self._differ(item, other) for other in found):
                return f"{path}: no item contains {brief_json(item)}"
        return None

    def _bag_difference(self, expected: list[Any], found: list[Any], path: str) -> str | None:
        """Lists as multisets: equal items are paired by their hash, those near to each other by a
        matching that is as large as can be."""
        if len(expected) != len(found):
            return _length_difference(expected, found, path)
        keys = [[_to_key(item) for item in items] for items in (expected, found)]
        self._charge(len(expected))
        missing = _take_unpaired(expected, keys[0], keys[1])
        further = _take_unpaired(found, keys[1], keys[0])
        if missing and self._is_near:
            missing, further = self._pair_near(missing, further)
        if not missing:
            return None
        return (
            f"{path}: expected {brief_json(missing[0])} in any order, got {brief_json(further[0])}"
        )

    def _pair_near(self, expected: list[Any], found: list[Any]) -> tuple[list[Any], list[Any]]:
        """The items that a largest matching of near ones leaves without a partner."""
        if self._rules.relative < 1 and all(map(_is_number, (*expected, *found))):
            pairs = zip(sorted(expected), sorted(found), strict=True)
            apart = [pair for pair in pairs if self._differ(*pair)]
            return [one for one, _ in apart], [other for _, other in apart]
        near = [
            [place for place, other in enumerate(found) if not self._differ(one, other)]
            for one in expected
        ]
        partners = self._match(near)
        taken = set(partners.values())
        return (
            [one for place, one in enumerate(expected) if place not in partners],
            [other for place, other in enumerate(found) if place not in taken],
        )

    def _match(self, near: list[list[int]]) -> dict[int, int]:
        """A largest matching of items with the places near to each, found one chain of changing
        partners after the other."""
        place_of: dict[int, int] = {}
        item_at: dict[int, int] = {}
        for item in range(len(near)):
            came_from: dict[int, int] = {}
            pending = [item]
            for each in pending:
                new = [place for place in near[each] if place not in came_from]
                self._charge(len(near[each]))
                came_from |= dict.fromkeys(new, each)
                free = next((place for place in new if place not in item_at), None)
                if free is not None:
                    _change_partners(free, came_from, place_of, item_at)
                    break
                pending += [item_at[place] for place in new]
        return place_of

    def _charge(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise TooManySteps


def _change_partners(
    free: int, came_from: dict[int, int], place_of: dict[int, int], item_at: dict[int, int]
) -> None:
    """Give each item of the chain that ends at the free place the next place of the chain."""
    place: int | None = free
    while place is not None:
        item = came_from[place]
        left = place_of.get(item)
        place_of[item], item_at[place] = place, item
        place = left


def _length_difference(expected: list[Any], found: list[Any], path: str) -> str:
    return f"{path}: expected {pluralize(len(expected), 'item')}, got {len(found):,}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _take_unpaired(items: list[Any], keys: list[Any], others: list[Any]) -> list[Any]:
    """The items for which there is no equal one among the others."""
    counted = Counter(others)
    unpaired = []
    for item, key in zip(items, keys, strict=True):
        counted[key] -= 1
        if counted[key] < 0:
            unpaired.append(item)
    return unpaired


def _to_key(value: Any) -> Any:
    """What two values have in common that are equal where lists are multisets."""
    if isinstance(value, dict):
        return frozenset((key, _to_key(item)) for key, item in value.items())
    if isinstance(value, list):
        return ("list", frozenset(Counter(map(_to_key, value)).items()))
    return ("bool", value) if isinstance(value, bool) else value


def _blank_ignored(value: Any, ignore: Sequence[str]) -> Any:
    """`value` without the ignored keys; an ignored item of a list is null."""
    keys = frozenset(each for each in ignore if not each.startswith("$"))
    paths = [parse_path(each) for each in ignore if each.startswith("$")]
    return _blank(value, keys, paths)


def _blank(value: Any, keys: frozenset[str], paths: Sequence[tuple[Step, ...]]) -> Any:
    if isinstance(value, dict):
        blanked = {}
        for key, item in value.items():
            below = [path[1:] for path in paths if path and path[0] in (key, None)]
            if key not in keys and () not in below:
                blanked[key] = _blank(item, keys, below)
        return blanked
    if isinstance(value, list):
        items = []
        for place, item in enumerate(value):
            steps = (place, place - len(value), None)
            below = [path[1:] for path in paths if path and path[0] in steps]
            items.append(None if () in below else _blank(item, keys, below))
        return items
    return value


def brief_json(value: Any) -> str:
    """`value` as JSON, so that a text and a number look different, and not longer than 80
    characters."""
    text = ""
    for piece in _iter_json(value):
        text += piece
        if len(text) > 80:
            return f"{text[:80]}…"
    return text


def _iter_json(value: Any) -> Iterator[str]:
    """The JSON text of `value` in pieces, of which only as many need be made as are read."""
    if isinstance(value, dict):
        before = "{"
        for key, item in value.items():
            yield f"{before}{_dump_json(key)}: "
            yield from _iter_json(item)
            before = ", "
        yield "}" if value else "{}"
    elif isinstance(value, list):
        before = "["
        for item in value:
            yield before
            yield from _iter_json(item)
            before = ", "
        yield "]" if value else "[]"
    else:
        yield _dump_json(value[:81] if isinstance(value, str) else value)


def _dump_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
