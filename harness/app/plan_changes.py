"""What changed between two plans of a suite, in the words of the suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

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


_SHARED_PARTS = {
    "tools": "the tools",
    "response_format": "the response format",
    "simulated_user": "the simulated user",
}
"""What is sent with all prompts of an eval, and is part of their fingerprints."""


class PlannedSuite(NamedTuple):
    """What a run plans: the fingerprint of each axis, and the suite it was resolved from."""

    axes: Mapping[str, Any]
    resolved: Mapping[str, Any]


def describe_changes(then: PlannedSuite, now: PlannedSuite) -> str:
    """What differs between two plans, as one clause a difference; empty where nothing does: `prompt
    v2 changed, target scout is new`."""
    return ", ".join(
        clause
        for axis in sorted({*then.axes, *now.axes})
        if then.axes.get(axis) != now.axes.get(axis)
        for clause in (
            _prompt_changes(then, now)
            if axis == "prompts"
            else _axis_changes(axis, then.axes.get(axis), now.axes.get(axis))
        )
    )


def check_same_plan(folder: object, then: PlannedSuite, now: PlannedSuite) -> None:
    """Raise UsageError, naming what differs, where the suite no longer plans the same trials as the
    run in `folder`."""
    if changes := describe_changes(then, now):
        raise UsageError(
            f"{folder}: the suite is not the one this run began with: {changes}. Undo the change to"
            " continue the run, or start a new one that reuses the answers that still apply:"
            f" harness run SUITE --replay {folder}"
        )


def describe_new_requests(
    count: int, then: PlannedSuite, now: PlannedSuite, recording: object
) -> str:
    """Why `count` requests are not in the recording."""
    requests = pluralize(count, "request", "is")
    changes = describe_changes(then, now)
    if not changes:
        return f"{requests} not in the recording {recording}"
    return f"{changes} since the recording {recording}: {requests} new"


def _prompt_changes(then: PlannedSuite, now: PlannedSuite) -> Iterator[str]:
    """Yields what changed of the prompts: their texts, or what is sent with all of an eval's."""
    before, after = (_evals_by_name(each.resolved) for each in (then, now))
    hashes, hashes_now = (dict(each.axes.get("prompts") or {}) for each in (then, now))
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        parts = [word for key, word in _SHARED_PARTS.items() if old.get(key) != new.get(key)]
        of_eval = f" of eval {name}" if len(after) > 1 else ""
        yield from (f"{part}{of_eval} changed" for part in parts)
        texts, texts_now = _prompt_texts(old), _prompt_texts(new)
        for prompt in texts.keys() & texts_now.keys() if parts else ():
            if texts[prompt] == texts_now[prompt]:  # the parts explain that it has another hash
                hashes.pop(f"{name}/{prompt}", None)
                hashes_now.pop(f"{name}/{prompt}", None)
    yield from _axis_changes("prompts", hashes, hashes_now)


def _evals_by_name(resolved: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return {each["name"]: each for each in resolved.get("evals") or ()}


def _prompt_texts(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """The texts of an eval's prompts by id, those of later turns included."""
    return {
        each["id"]: [each.get("turns"), each.get("later")]
        for each in described.get("prompts") or ()
    }


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
