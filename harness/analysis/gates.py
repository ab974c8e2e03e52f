"""Gates against figures, and the exit code a finished command ends with (docs/statistics.md has the
table).

A bare threshold compares the estimate and prints the interval; a bound (`pass_rate.low`) compares
the interval's end. What has no figure is `unknown` and ends in exit code 2: a mistyped slice or an
unpriced target never passes by accident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from msgspec.structs import replace

from harness.analysis import formatting, stats
from harness.analysis.aggregate import (
    TrialSelection,
    estimate_metric,
    match_slice,
    select_rated,
)
from harness.analysis.frame import Frames
from harness.analysis.report_data import GateResult, Outcome, Report
from harness.analysis.stats import Estimate, is_finite
from harness.errors import ExitCode, worst_exit_code
from harness.metrics.table import GATED, METRICS, Metric, Rate
from harness.model import Manifest
from harness.wording import pluralize

if TYPE_CHECKING:
    from harness.suite.gate_syntax import GateSpec

_VERDICT_CODES: Mapping[Outcome, ExitCode] = {
    "pass": ExitCode.OK,
    "fail": ExitCode.GATE_FAILED,
    "unknown": ExitCode.USAGE,
    "inconclusive": ExitCode.OK,
}

_FROM_GRADES = frozenset({"pass_rate", "score"})
"""Metrics whose figure leaves ungraded answers out."""


def evaluate_gates(gates: Sequence[GateSpec], frames: Frames, run: str) -> tuple[GateResult, ...]:
    """The result of each gate on the trials that belong to `run`."""
    trials = frames.trials[(frames.trials["run"] == run).to_numpy()]
    rows = TrialSelection.from_frame(trials)
    return tuple(_evaluate_gate(gate, trials, frames.tags, rows, run) for gate in gates)


def choose_exit_code(
    report: Report, manifest: Manifest, stopped: Sequence[ExitCode] = ()
) -> ExitCode:
    """What the command that measured `manifest`'s run ends with; `stopped` is what stopped it
    early, if anything did.

    A run that is not finished, or had too many errors or ungraded answers, is INFRASTRUCTURE,
    whatever its gates say of the rest: a gate without a figure is then not the suite's doing. One
    that had nothing to measure is USAGE, which is never green.
    """
    header = next(run for run in report.runs if run.id == manifest.id)
    codes = [
        *stopped,
        *(
            _gate_exit_code(gate, manifest.strict)
            for gate in report.gates
            if gate.run == manifest.id
        ),
    ]
    incomplete = not header.finished or header.has_too_many_errors or header.has_too_many_ungraded
    if incomplete or header.errors + header.ungraded == header.recorded:
        codes = [ExitCode.INFRASTRUCTURE if code == ExitCode.USAGE else code for code in codes]
    if incomplete:
        codes.append(ExitCode.INFRASTRUCTURE)
    if header.finished and header.error_rate is None and not stopped:
        codes.append(ExitCode.USAGE)
    return worst_exit_code(codes)


def _gate_exit_code(gate: GateResult, strict: bool) -> ExitCode:
    return (
        ExitCode.INCONCLUSIVE
        if gate.verdict == "inconclusive" and strict
        else _VERDICT_CODES[gate.verdict]
    )


def _evaluate_gate(
    gate: GateSpec, trials: Any, tags: Mapping[str, Sequence[str]], rows: TrialSelection, run: str
) -> GateResult:
    metric = METRICS.get(gate.metric)
    if metric is None:
        return _unknown_result(
            gate, run, f"unknown metric {gate.metric!r}; choose from {', '.join(GATED)}"
        )
    chosen, problem = match_slice(trials, gate.slice, tags)
    if problem:
        return _unknown_result(gate, run, problem)
    if gate.per_case:
        return _evaluate_every_case(gate, trials.iloc[chosen], rows.take(chosen), metric, run)
    judged = rows.take(chosen)
    estimate = estimate_metric(metric, judged, gate.stat)
    estimate, limited = _limit_by_cases(gate, metric, judged, estimate)
    verdict = _compare_with_threshold(gate, estimate)
    detail = _describe_estimate(gate, estimate, verdict) + limited
    if metric.name in _FROM_GRADES and (ungraded := int(judged["ungraded"].sum())):
        answers = pluralize(len(judged) - int(judged["error"].sum()), "answer")
        detail += f" {ungraded:,} of {answers} could not be graded."
    return _gate_result(gate, run, estimate, verdict, detail, _close_call(gate, metric, estimate))


def _compare_with_threshold(gate: GateSpec, estimate: Estimate) -> Outcome:
    """The threshold against the estimate, or against the bound the gate names."""
    if estimate.value is None or not is_finite(estimate.value):
        return "unknown"
    bound = _compared_figure(gate, estimate)
    if bound is None:
        return "inconclusive" if gate.holds(estimate.value) else "fail"
    return "pass" if gate.holds(bound) else "fail"


def _compared_figure(gate: GateSpec, estimate: Estimate) -> float | None:
    """The figure the gate compares; None where n does not give it."""
    if gate.bound is None:
        return estimate.value
    return estimate.low if gate.bound == "low" else estimate.high


def _limit_by_cases(
    gate: GateSpec, metric: Metric, rows: TrialSelection, estimate: Estimate
) -> tuple[Estimate, str]:
    """The estimate with the bound that the gate asks of a rate taken no further than its cases can
    show, and the sentence that says so; repeats are no further cases."""
    rate, low, high = metric.aggregate, estimate.low, estimate.high
    if gate.bound is None or not isinstance(rate, Rate) or low is None or high is None:
        return estimate, ""
    cases = stats.count_distinct(select_rated(rate, rows)["cluster"])
    most, least = stats.rate_limits(cases)
    said = f" {pluralize(cases, 'case')} cannot show"
    if gate.bound == "low" and low > most:
        return replace(estimate, low=most), f"{said} more than {formatting.format_percent(most)}."
    if gate.bound == "high" and high < least:
        return replace(
            estimate, high=least
        ), f"{said} less than {formatting.format_percent(least)}."
    return estimate, ""


def _evaluate_every_case(
    gate: GateSpec, trials: Any, rows: TrialSelection, metric: Metric, run: str
) -> GateResult:
    """The gate on each case of each configuration by itself, its repeats being independent; the
    worst one is reported."""
    rows = TrialSelection(
        {**rows.columns, "cluster": np.arange(len(rows.columns["cluster"]))}, rows.index
    )
    found: list[tuple[Outcome, Estimate, str]] = []
    keys = ["eval", "case", "configuration"]
    for name, index in trials.groupby(keys, observed=True, sort=False).indices.items():
        estimate = estimate_metric(metric, rows.take(index), gate.stat)
        found.append(
            (
                _compare_with_threshold(gate, estimate),
                estimate,
                f"{_case_name(trials, index[0])} ({name[2]})",
            )
        )
    if all(verdict == "unknown" for verdict, _, _ in found):
        return _unknown_result(gate, run, found[0][1].method)
    worst_one = max(found, key=lambda one: _failure_order(gate, one[0], one[1]))
    failed = [place for verdict, _, place in found if verdict == "fail"]
    unsure = sum(verdict in {"inconclusive", "unknown"} for verdict, _, _ in found)
    verdict: Outcome = "fail" if failed else "inconclusive" if unsure else "pass"
    pairs = pluralize(len(found), "pair")
    detail = f"passing: {len(found) - len(failed) - unsure:,} of {pairs} of case and configuration"
    detail += f", {unsure:,} could not be judged" if unsure else ""
    detail += f"; failing: {formatting.join_names(failed)}" if failed else ""
    return _gate_result(gate, run, worst_one[1], verdict, f"{detail}.", "")


def _case_name(trials: Any, row: int) -> str:
    """The case of a trial as reports name it: by its file and line where it has no id."""
    trial = trials.iloc[row]
    return str(trial["case"] if pd.isna(trial["row"]) else trial["row"])


def _failure_order(gate: GateSpec, verdict: Outcome, estimate: Estimate) -> tuple[int, float]:
    """Orders cases: failing last, then by how far the estimate is on the wrong side."""
    if estimate.value is None:
        return -1, 0.0
    distance = (
        gate.value - estimate.value if gate.op in {">", ">="} else estimate.value - gate.value
    )
    return int(verdict == "fail"), distance


def _describe_estimate(gate: GateSpec, estimate: Estimate, verdict: Outcome) -> str:
    if verdict == "unknown":
        return f"No data: {estimate.method}."
    write = formatting.FORMATTERS[METRICS[gate.metric].unit]
    spread = formatting.format_interval(estimate, write)
    facts = [f"95 % interval {spread}"] if spread else []
    facts += [f"n = {estimate.n:,}", estimate.method]
    name = ".".join(part for part in (gate.metric, gate.stat) if part)
    sentence = f"{name} is {write(estimate.value)} ({', '.join(fact for fact in facts if fact)})."
    if verdict == "inconclusive":
        sentence += (
            f" There is too little data for the {gate.bound} bound, which the gate compares."
        )
    return sentence


def _close_call(gate: GateSpec, metric: Metric, estimate: Estimate) -> str:
    """Where a bare threshold lies within one standard error of the estimate, and a bound of the
    interval beyond it, another sample may well go the other way.

    The bound tells the standard error; that of a share follows from it by Wilson's formula. It is 0
    where all answers are alike: then nothing that was seen speaks for the other verdict.
    """
    value = estimate.value
    if gate.bound is not None or value is None:
        return ""
    for end in (estimate.low, estimate.high):
        if end is None or gate.holds(end) == gate.holds(value):
            continue
        error = abs(end - value) / stats.Z
        if metric.unit in {"share", "score"} and 0 < end < 1:
            error *= sqrt(value * (1 - value) / (end * (1 - end)))
        if error and abs(gate.value - value) <= error:
            return "Within one standard error of the threshold."
    return ""


def _unknown_result(gate: GateSpec, run: str, why: str) -> GateResult:
    return _gate_result(gate, run, Estimate(None), "unknown", f"No data: {why}.", "")


def _gate_result(
    gate: GateSpec, run: str, estimate: Estimate, verdict: Outcome, detail: str, caution: str
) -> GateResult:
    figures = (estimate.value, estimate.low, estimate.high)
    return GateResult(run, gate.text, *figures, estimate.n, verdict, detail, caution)
