"""Errors grouped by target, kind and the shape of their message: those that differ only in numbers
and ids count as one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from harness.analysis.report_data import ErrorGroup

SHAPE_CHARACTERS = 300
"""As much of a message tells it from others."""

_ID = re.compile(r"\b(?=[\w-]{6,})(?=(?:[A-Za-z_-]*\d){2})[\w-]*[A-Za-z_-][\w-]*")
"""A word of six characters or more with two digits and something else: a request's id, a UUID."""
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def message_shape(message: str) -> str:
    """The message with every id as `…` and every number as `#`.

    >>> message_shape("request req_8f3a21 failed after 12.5 s")
    'request … failed after # s'
    """
    return _NUMBER.sub("#", _ID.sub("…", message[:SHAPE_CHARACTERS]))


def group_errors(trials: Any) -> tuple[ErrorGroup, ...]:
    """The errors of a trials frame, the most frequent group first."""
    broken = trials[(trials["outcome"] == "error").to_numpy()]
    shapes = {text: message_shape(text) for text in broken["error_message"].unique()}
    found: dict[tuple[str, ...], ErrorGroup] = {}
    keys = ["run", "target", "error_boundary", "error_kind", "error_message"]
    for (run, target, boundary, kind, message), count in _count_rows(broken[keys]):
        name = (run, target, boundary, kind, shapes[message])
        group = found.get(name)
        found[name] = (
            ErrorGroup(*name, count, message)
            if group is None
            else replace(group, count=group.count + count)
        )
    return tuple(sorted(found.values(), key=lambda group: -group.count))


def _count_rows(table: Any) -> Iterator[tuple[tuple[str, ...], int]]:
    """Each distinct row with its count, in order of first appearance."""
    counts = table.astype(object).groupby(list(table.columns), sort=False).size()
    return zip(counts.index, (int(count) for count in counts), strict=True)
