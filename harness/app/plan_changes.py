"""What changed between two plans of a suite, in the words of the suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import UsageError
from harness.wording import pluralize

_ENTRIES = {
    "prompts": "prompt",
    "cases": "cases of",
    "graders": "graders of",
    "targets": "target",
    "helpers": "judge or simulated user",
    "evals": "eval",
}
"""Axes with named entries."""
_AXES = {
    "settings": "sweep",
    "repeats": "number of repeats",
    "sampling": "sampling parameters",
    "stream": "streaming",
    "failed_of": "selection of --failed-of",
}


def describe_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two fingerprints of a plan, as one clause a difference; empty where
    nothing does: `prompt v2 changed, target scout is new`."""
    return ", ".join(
        clause
        for axis in sorted({*then, *now})
        if then.get(axis) != now.get(axis)
        for clause in _axis_changes(axis, then.get(axis), now.get(axis))
    )


def check_same_plan(folder: object, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise UsageError, naming what differs, where the suite no longer plans the same trials as the
    run in `folder`."""
    if changes := describe_changes(then, now):
        raise UsageError(
            f"{folder}: the suite is not the one this run began with: {changes}. Undo the change to"
            " continue the run, or start a new one that reuses the answers that still apply:"
            f" harness run SUITE --replay {folder}"
        )


def describe_new_requests(
    count: int, then: Mapping[str, Any], now: Mapping[str, Any], recording: object
) -> str:
    """Why `count` requests are not in the recording."""
    requests = pluralize(count, "request", "is")
    changes = describe_changes(then, now)
    if not changes:
        return f"{requests} not in the recording {recording}"
    return f"{changes} since the recording {recording}: {requests} new"


def _axis_changes(axis: str, before: Any, after: Any) -> Iterator[str]:
    word = _ENTRIES.get(axis)
    if word is None:
        yield f"{_AXES.get(axis, f'`{axis}`')} changed"
        return
    then, now = before or {}, after or {}
    shown = _short_names({*then, *now}) if axis == "prompts" else {}
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            what = "is new" if name not in then else "is gone" if name not in now else "changed"
            yield f"{word} {shown.get(name, name)} {what}"


def _short_names(names: set[str]) -> Mapping[str, str]:
    """Prompts without their eval's name, where there is one eval."""
    evals = {name.partition("/")[0] for name in names}
    return {name: name.partition("/")[2] for name in names} if len(evals) == 1 else {}
