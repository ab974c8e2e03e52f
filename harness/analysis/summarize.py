"""Frames and manifests become a Report: the tables, verdicts and warnings every reporter shows.

Works on half-finished runs (what is recorded is compared, what was planned is said) and on several
runs side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis import aggregate, gates
from harness.analysis.case_table import OUTCOMES, build_case_rows, build_cells
from harness.analysis.error_groups import group_errors
from harness.analysis.frame import Frames
from harness.analysis.grader_uses import grader_uses
from harness.analysis.report_data import (
    Configuration,
    Report,
    RunHeader,
    TagRate,
    Totals,
)
from harness.analysis.role_costs import role_uses
from harness.analysis.row_schema import configuration_label
from harness.analysis.stats import count_distinct
from harness.analysis.target_pace import target_paces
from harness.analysis.ungraded import ungraded_parts
from harness.analysis.warnings import collect_warnings
from harness.flows.base import TARGET
from harness.metrics.table import METRICS
from harness.model import Manifest

if TYPE_CHECKING:
    from harness.suite.gate_syntax import GateSpec

_KEYS = ["run", "eval", "prompt", "target", "setting"]
TAG_LIMIT = 40


def build_report(frames: Frames, manifests: Sequence[Manifest]) -> Report:
    """The comparison of the runs whose manifests these are; each run's own gates are judged on its
    own trials."""
    trials = frames.trials
    order = {manifest.id: number for number, manifest in enumerate(manifests)}
    keys, numbers = _number_configurations(frames, order)
    everything = aggregate.TrialSelection.from_frame(trials)
    rows_of = [
        everything.take(positions) for positions in _positions_by_configuration(numbers, len(keys))
    ]
    configurations = tuple(
        _build_configuration(key, rows, frames) for key, rows in zip(keys, rows_of, strict=True)
    )
    table, places = build_cells(trials, numbers)
    shown, case_count = build_case_rows(frames, table, places)
    headers = tuple(_build_header(manifest, frames) for manifest in manifests)
    verdicts = tuple(
        verdict
        for manifest in manifests
        for verdict in gates.evaluate_gates(_read_gate_specs(manifest), frames, manifest.id)
    )
    return Report(
        runs=headers,
        configurations=configurations,
        cases=shown,
        case_count=case_count,
        gates=verdicts,
        tags=_tag_rates(frames, rows_of),
        errors=group_errors(trials),
        graders=grader_uses(frames.grades, frames.exchanges),
        helpers=role_uses(frames.exchanges, headers),
        paces=target_paces(frames.exchanges, manifests),
        totals=_sum_totals(frames),
        warnings=collect_warnings(headers, configurations, frames),
        frames=frames,
        cells=table,
    )


def _read_gate_specs(manifest: Manifest) -> list[GateSpec]:
    if not manifest.gates:
        return []
    from harness.suite.gate_syntax import GateSpec  # noqa: PLC0415 — the suite language, which only a run with gates needs

    return [GateSpec.model_validate(gate) for gate in manifest.gates]


def _number_configurations(
    frames: Frames, order: Mapping[str, int]
) -> tuple[list[tuple[str, ...]], Any]:
    """The configurations' keys in reading order, and each trial's configuration number."""
    groups = frames.trials.groupby(_KEYS, observed=True, sort=False)
    found, first = groups.ngroup().to_numpy(), groups.head(1)
    keys = list(first[_KEYS].astype(object).itertuples(index=False, name=None))
    reading = sorted(
        range(len(keys)), key=lambda index: _reading_order(keys[index], frames.settings, order)
    )
    numbers = np.empty(len(keys), dtype=np.int64)
    numbers[reading] = np.arange(len(keys))
    return [keys[index] for index in reading], numbers[found]


def _reading_order(
    key: tuple[str, ...], settings: Mapping[str, Mapping[str, Any]], order: Mapping[str, int]
) -> tuple[Any, ...]:
    """By eval, prompt, target, setting (numbers by size) and then run, so that what is compared
    stands together."""
    run, eval_name, prompt, target, setting = key
    point = [
        (name, isinstance(value, str), _as_comparable(value))
        for name, value in settings[setting].items()
    ]
    return eval_name, prompt, target, point, order.get(run, len(order))


def _as_comparable(value: Any) -> tuple[float, str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (float(value), "") if is_number else (0.0, str(value))


def _positions_by_configuration(numbers: Any, count: int) -> list[Any]:
    """The row numbers of each configuration."""
    ordered = np.argsort(numbers, kind="stable")
    return (
        np.split(ordered, np.searchsorted(numbers[ordered], np.arange(1, count))) if count else []
    )


def _build_configuration(
    key: tuple[str, ...], rows: aggregate.TrialSelection, frames: Frames
) -> Configuration:
    run, eval_name, prompt, target, setting = key
    point, trials = frames.settings[setting], frames.trials
    return Configuration(
        run=run,
        eval=eval_name,
        prompt=prompt,
        target=target,
        setting=point,
        label=configuration_label(prompt, target, point),
        simulated=bool(trials["simulated"].iat[rows.index[0]]),
        n=len(rows),
        cases=count_distinct(rows["cluster"]),
        replayed=int(trials["replayed"].to_numpy()[rows.index].sum()),
        **{name: int(rows[outcome].sum()) for name, outcome in OUTCOMES.items()},
        unpriced=int(np.isnan(rows["cost"]).sum()),
        figures={
            name: aggregate.estimate_metric(metric, rows, statistic)
            for metric in METRICS.values()
            for name, statistic in metric.reported.items()
        },
    )


def _sum_known(values: Any) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = values[np.isfinite(values)]
    return fsum(known) if len(known) else None


def _build_header(manifest: Manifest, frames: Frames) -> RunHeader:
    trials = frames.trials
    of_run = (trials["run"] == manifest.id).to_numpy()
    mine, has_grade = trials[of_run], _has_grade(frames)[of_run]
    return RunHeader(
        id=manifest.id,
        suite=manifest.suite,
        created=manifest.created,
        description=manifest.description,
        planned=manifest.planned,
        recorded=len(mine),
        errors=int((mine["outcome"] == "error").sum()),
        graded=int((has_grade & (mine["outcome"] != "error").to_numpy()).sum()),
        ungraded=int((mine["outcome"] == "ungraded").sum()),
        ungraded_parts=ungraded_parts(frames, manifest.id, manifest.max_ungraded_rate),
        arithmetic=manifest.arithmetic,
        seed=manifest.seed,
        max_error_rate=manifest.max_error_rate,
        max_ungraded_rate=manifest.max_ungraded_rate,
        strict=manifest.strict,
        budget=manifest.budget,
        commit=manifest.commit,
        dirty=manifest.dirty,
        simulated=tuple(
            name
            for name, facts in {**manifest.targets, **manifest.helpers}.items()
            if facts.get("simulated")
        ),
        targets=manifest.targets,
        helpers=manifest.helpers,
        machine=manifest.machine,
        versions=manifest.versions,
        notes=manifest.notes,
        replay_gap=manifest.replay_gap,
        selection=_describe_selection(manifest.options),
        lag_p99=max(
            (each.lag_p99 for each in manifest.sessions if each.lag_p99 is not None), default=None
        ),
        in_flight=max(
            (each.in_flight for each in manifest.sessions if each.in_flight is not None),
            default=None,
        ),
    )


def _describe_selection(options: Mapping[str, Any]) -> str:
    """The options of the command line that left out part of the suite, as they are written."""
    limit = options.get("limit")
    words = [] if limit is None else [f"--limit {limit}"]
    words += [f"--target {name}" for name in options.get("targets") or ()]
    words += [f"--filter {condition}" for condition in options.get("filters") or ()]
    return " ".join([*words, *(["--failed-of"] if options.get("failed_of") else [])])


def _has_grade(frames: Frames) -> Any:
    """For each trial, whether any grader looked at it, with a grade or without."""
    has = np.zeros(len(frames.trials), dtype=bool)
    has[frames.grades["trial"].to_numpy(dtype=np.int64)] = True
    return has


def _tag_rates(frames: Frames, rows_of: Sequence[aggregate.TrialSelection]) -> tuple[TagRate, ...]:
    """The pass rate of every tag in every configuration, the first `TAG_LIMIT` tags by name."""
    lists = [frames.tags[text] for text in frames.trials["tags"].cat.categories]
    codes = frames.trials["tags"].cat.codes.to_numpy()
    found = []
    for tag in sorted({tag for tags in lists for tag in tags})[:TAG_LIMIT]:
        has = np.array([tag in tags for tags in lists], dtype=bool)[codes]
        for number, rows in enumerate(rows_of):
            tagged = rows.take(has[rows.index])
            if len(tagged):
                found.append(
                    TagRate(tag, number, aggregate.estimate_metric(METRICS["pass_rate"], tagged))
                )
    return tuple(found)


def _sum_totals(frames: Frames) -> Totals:
    """Counts from the trials; money and tokens from the exchanges, so that journalled ones without
    a record count too."""
    exchanges = frames.exchanges
    own, judges = (exchanges["role"] == TARGET).to_numpy(), exchanges["grading"].to_numpy()
    replayed = exchanges["replayed"].to_numpy()
    new = own & ~replayed
    cost, outcomes = exchanges["cost"].to_numpy(), frames.trials["outcome"].value_counts()
    return Totals(
        trials=len(frames.trials),
        **{name: int(outcomes.get(outcome, 0)) for name, outcome in OUTCOMES.items()},
        replayed=int(frames.trials["replayed"].sum()),
        retries=int(exchanges["retries"].to_numpy()[own].sum()),
        input_tokens=_sum_known(exchanges["input_tokens"].to_numpy()[new]),
        output_tokens=_sum_known(exchanges["output_tokens"].to_numpy()[new]),
        spent=_sum_known(cost[new]),
        graded=_sum_known(cost[judges & ~replayed]),
        users=_sum_known(cost[~own & ~judges & ~replayed]),
        saved=_sum_known(cost[replayed]),
        unpriced=int(np.isnan(cost).sum()),
    )
