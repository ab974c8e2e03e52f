"""Expands the sweep into settings: the product of its axes, less what is excluded, plus what is
included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from harness.config.diagnostics import KeyPath, quote_value
from harness.config.sampling import Sweep

MAX_SETTINGS = 100_000

Setting = dict[str, Any]
Report = Callable[[KeyPath, str], None]
"""Takes what is wrong with the part of the sweep at a location."""


class Settings(NamedTuple):
    """The points to run, in the order written (the last axis varies fastest), and the number of
    excluded ones.
    """

    points: tuple[Setting, ...]
    excluded: int


def expand_sweep(sweep: Sweep, fixed: Mapping[str, Any], report: Report) -> Settings:
    """The settings of `sweep` without the parameters in `fixed` (the command line's). Problems
    go to `report`.
    """
    axes = [*_grid_axes(sweep, fixed, report), *_zipped_axes(sweep, fixed, report)]
    size = 1
    for axis in axes:
        size *= len(axis)
    if size > MAX_SETTINGS:
        report(
            (),
            f"has {size:,} settings; the maximum is {MAX_SETTINGS:,}: split the sweep",
        )
        return Settings(({},), 0)
    points = [_merge_settings(choice) for choice in product(*axes)] if axes else []
    kept = [point for point in points if not _is_excluded({**point, **fixed}, sweep)]
    _check_excludes(sweep, fixed, points, report)
    settings = (*kept, *_included_settings(sweep, fixed, kept, report))
    if not settings and (points or sweep.include):
        report((), "excludes every setting; keep at least one")
    return Settings(settings or ({},), len(points) - len(kept))


def _grid_axes(sweep: Sweep, fixed: Mapping[str, Any], report: Report) -> Iterator[list[Setting]]:
    for name, values in sweep.axis_values().items():
        _check_values(name, values, (name,), report)
        if name not in fixed:
            yield [{name: value} for value in values]


def _zipped_axes(sweep: Sweep, fixed: Mapping[str, Any], report: Report) -> Iterator[list[Setting]]:
    axes = sweep.zip.axis_values() if sweep.zip else {}
    lengths = {name: len(values) for name, values in axes.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        report(("zip",), f"`zip` needs lists of equal length: {listed}")
        return
    for name in axes:
        if name in sweep.axis_values():
            report(
                ("zip", name), f"`{name}` is swept twice; keep it either inside or outside `zip`"
            )
    free = {name: values for name, values in axes.items() if name not in fixed}
    points = [dict(zip(free, choice, strict=True)) for choice in zip(*free.values(), strict=True)]
    distinct = _drop_duplicates(points)
    if len(free) == len(axes) and len(distinct) < len(points):
        report(("zip",), "`zip` contains the same setting twice; keep one of them")
    if distinct:
        yield distinct


def _check_values(name: str, values: list[Any], location: KeyPath, report: Report) -> None:
    if not values:
        report(location, f"`{name}` has no values; give at least one, or remove it")
    for index, value in enumerate(values):
        if value in values[:index]:
            report((*location, index), f"`{name}` has {quote_value(value)} twice; keep one")


def _is_excluded(point: Setting, sweep: Sweep) -> bool:
    return any(_matches_pattern(point, pattern) for pattern in sweep.exclude)


def _matches_pattern(point: Setting, pattern: Mapping[str, Any]) -> bool:
    return all(name in point and point[name] == value for name, value in pattern.items())


def _check_excludes(
    sweep: Sweep, fixed: Mapping[str, Any], points: list[Setting], report: Report
) -> None:
    for index, pattern in enumerate(sweep.exclude):
        if not pattern:
            report(("exclude", index), "excludes everything; name the values to exclude")
        elif fixed.keys().isdisjoint(pattern) and not any(
            _matches_pattern(point, pattern) for point in points
        ):
            report(
                ("exclude", index),
                f"excludes nothing: no setting has {quote_value(pattern)}; correct or remove it",
            )


def _included_settings(
    sweep: Sweep, fixed: Mapping[str, Any], kept: list[Setting], report: Report
) -> list[Setting]:
    added: list[Setting] = []
    for index, entry in enumerate(sweep.include):
        point = {name: value for name, value in entry.items() if name not in fixed}
        if point not in kept and point not in added:
            added.append(point)
        elif len(point) == len(entry):
            report(
                ("include", index),
                f"includes {quote_value(point)}, which is a setting already; remove it",
            )
    return added


def _merge_settings(parts: tuple[Setting, ...]) -> Setting:
    return {name: value for part in parts for name, value in part.items()}


def _drop_duplicates(points: list[Setting]) -> list[Setting]:
    distinct: list[Setting] = []
    for point in points:
        if point not in distinct:
            distinct.append(point)
    return distinct
