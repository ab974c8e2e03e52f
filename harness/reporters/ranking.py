"""Which configurations come first in a table, and which of many a plot shows: the most worth
knowing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from harness.analysis.report_data import Configuration, Report

WORST_SHOWN = 3
"""Of the configurations that a plot shows, the last ones."""

Worth = tuple[float, float, float, float]


def rank_configurations(report: Report) -> list[int]:
    """The numbers of the configurations, by eval and then best first; what several runs have alike
    stays together."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, each in enumerate(report.configurations):
        name = (each.eval, each.prompt, each.target, repr(sorted(each.setting.items(), key=str)))
        groups.setdefault(name, []).append(number)
    evals = list(dict.fromkeys(name for name, *_ in groups))

    def order(name: tuple[str, ...]) -> tuple[int, Worth]:
        return evals.index(name[0]), min(_worth(report.configurations[n]) for n in groups[name])

    return [number for name in sorted(groups, key=order) for number in groups[name]]


def choose_configurations(report: Report, limit: int) -> list[int]:
    """The numbers of at most `limit` configurations, best first: the front, the best and the
    worst."""
    ranked = rank_configurations(report)
    if len(ranked) <= limit:
        return ranked
    front = _find_front(report.configurations)
    wanted = [*ranked[-WORST_SHOWN:], *(number for number in ranked if number in front), *ranked]
    chosen = set(list(dict.fromkeys(wanted))[:limit])
    return [number for number in ranked if number in chosen]


def _worth(configuration: Configuration) -> Worth:
    """What sorts the better one first: pass rate, score, then cost and latency; unknown is last."""
    rate, score = configuration["pass_rate"].value, configuration["score"].value
    cost, latency = configuration["cost_per_1000"].value, configuration["latency.p50"].value
    return (
        inf if rate is None else -rate,
        inf if score is None else -score,
        inf if cost is None else cost,
        inf if latency is None else latency,
    )


def _find_front(configurations: Sequence[Configuration]) -> set[int]:
    """The numbers of those that no other one of their eval equals or beats in pass rate, cost and
    latency at once."""
    fronts: dict[str, list[tuple[float, ...]]] = {}
    found = set()
    for number, point in sorted(_measured_points(configurations), key=lambda each: each[1]):
        front = fronts.setdefault(configurations[number].eval, [])
        if not any(all(map(float.__le__, better, point)) for better in front):
            front.append(point)
            found.add(number)
    return found


def _measured_points(
    configurations: Sequence[Configuration],
) -> Iterator[tuple[int, tuple[float, float, float]]]:
    for number, each in enumerate(configurations):
        rate, _, cost, latency = _worth(each)
        if rate < inf:
            yield number, (rate, float(cost), float(latency))
