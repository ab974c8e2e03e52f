"""JSON paths: where in a service's JSON something is.

The part of RFC 9535 that a path to a value needs: `$.choices[0].message.content`, `$['a key']`,
negative indexes, and `[*]` for every item. The `$` may be left out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeAlias

Step: TypeAlias = str | int | None
"""A key, an index, or None for every item."""

_STEP = re.compile(
    r"""\.?(?P<name>[^\W\d][\w-]*)          # .name
    |\[\s*(?:(?P<index>-?\d{1,9})           # [0]
            |'(?P<single>[^']*)'            # ['a name']
            |"(?P<double>[^"]*)"            # ["a name"]
            |(?P<every>\*))\s*\]            # [*]
    |\.(?P<all>\*)                          # .*""",
    re.VERBOSE,
)


@lru_cache(maxsize=256)
def parse_path(path: str) -> tuple[Step, ...]:
    """The steps of `path`. Raises ValueError for what is none."""
    rest = path.strip().removeprefix("$")
    steps: list[Step] = []
    while rest:
        found = _STEP.match(rest)
        if found is None:
            raise ValueError(
                f"{path!r} is not a JSON path; write one such as $.choices[0].message.content"
            )
        steps.append(_read_step(found))
        rest = rest[found.end() :]
    return tuple(steps)


def find_matches(value: Any, path: str) -> list[Any]:
    """Every value at `path` that exists, null or not."""
    found = [value]
    for step in parse_path(path):
        found = [inner for each in found for inner in _descend(each, step)]
    return found


def find_values(value: Any, path: str) -> list[Any]:
    """Every value at `path` that exists and is not null."""
    return [each for each in find_matches(value, path) if each is not None]


def find_value(value: Any, path: str) -> Any:
    """The value at `path`, None where there is none; of several, texts are joined and others
    listed."""
    found = find_values(value, path)
    if None not in parse_path(path):
        return found[0] if found else None
    if found and all(isinstance(each, str) for each in found):
        return "".join(found)
    return found or None


def _read_step(found: re.Match[str]) -> Step:
    if found["every"] or found["all"]:
        return None
    if found["index"] is not None:
        return int(found["index"])
    return next(found[name] for name in ("name", "single", "double") if found[name] is not None)


def _descend(value: Any, step: Step) -> list[Any]:
    if isinstance(value, dict):
        if step is None:
            return list(value.values())
        return [value[step]] if step in value else []
    if isinstance(value, list):
        if step is None:
            return value
        if isinstance(step, int) and -len(value) <= step < len(value):
            return [value[step]]
    return []
