"""The comparison as compact Markdown: for a pull request's comment or a CI job's summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis import formatting
from harness.analysis.report_data import CaseRow, Report
from harness.reporters.escape import escape_for, fence, one_line
from harness.reporters.tables import (
    HELPER_FIGURES,
    HELPER_TITLES,
    configuration_table,
    gate_name,
    helper_rows,
    run_facts,
    short_labels,
    total_facts,
)

ROW_LIMIT = 50
CASE_LIMIT = 10
SIGN = {
    "pass": "✅",
    "fail": "❌",
    "inconclusive": "⚠️",
    "unknown": "❗",
    "unfinished": "⚠️",
    "errors": "❗",
    "no gates": "◻️",
}

_safe = escape_for("markdown")


def report(comparison: Report) -> str:
    """The comparison as GitHub-flavoured Markdown, tables and failing answers capped."""
    return "\n".join(_lines(comparison)).rstrip() + "\n"


def _lines(comparison: Report) -> Iterator[str]:
    suites = _safe(one_line(", ".join(dict.fromkeys(run.suite for run in comparison.runs)), 100))
    badge = " · **SIMULATED**" if comparison.simulated else ""
    yield f"## {SIGN[comparison.verdict]} {suites}: {comparison.headline}{badge}"
    yield ""
    yield from _gates(comparison)
    yield from _configurations(comparison)
    yield from _helpers(comparison)
    yield from _failing(comparison)
    yield from _errors(comparison)
    for warning in comparison.warnings:
        yield f"> ⚠️ {_safe(warning)}"
        yield ">"
    yield ""
    yield " · ".join(f"{name} {_safe(value)}" for name, value in total_facts(comparison))
    yield ""
    yield from (f"<sub>run {_safe(line)}</sub><br>" for line in run_facts(comparison))


def _gates(comparison: Report) -> Iterator[str]:
    if not comparison.gates:
        return
    rows = [
        (
            f"{SIGN[gate.verdict]} {gate.verdict}",
            _safe(gate_name(comparison, gate)),
            _safe(f"{gate.detail} {gate.caution}".strip()),
        )
        for gate in comparison.gates
    ]
    yield from _table(("verdict", "gate", "figures"), rows, "lll")


def _configurations(comparison: Report) -> Iterator[str]:
    table = configuration_table(comparison.configurations[:ROW_LIMIT])
    if table.shared:
        yield " · ".join(f"{_safe(name)} **{_safe(one_line(value, 60))}**" for name, value in table.shared)
        yield ""
    figures = [index for index, figure in enumerate(table.figures) if figure.rank < 10]
    chosen = [*range(len(table.axes)), *(len(table.axes) + index for index in figures)]
    titles = [*(_safe(name) for name in table.axes), *(table.figures[index].title for index in figures)]
    rows = [[_safe(one_line(row[index], 60)) for index in chosen] for row in table.rows]
    yield from _table(titles, rows, "l" * len(table.axes) + "r" * len(figures))
    rest = len(comparison.configurations) - len(table.rows)
    if rest:
        yield f"{formatting.plural(rest, 'configuration')} not shown."
        yield ""


def _helpers(comparison: Report) -> Iterator[str]:
    if comparison.helpers:
        rows = [[_safe(one_line(cell, 60)) for cell in row] for row in helper_rows(comparison)]
        yield from _table(HELPER_TITLES, rows, "l" * HELPER_FIGURES + "r" * (len(HELPER_TITLES) - HELPER_FIGURES))


def _failing(comparison: Report) -> Iterator[str]:
    bad = [case for case in comparison.cases if case.bad]
    if not bad:
        return
    labels = short_labels(comparison)
    yield f"<details><summary>Failing cases (the worst {min(len(bad), CASE_LIMIT)})</summary>"
    yield ""
    for case in bad[:CASE_LIMIT]:
        yield from _case(case, labels)
    yield "</details>"
    yield ""


def _case(case: CaseRow, labels: Sequence[str]) -> Iterator[str]:
    expected = f", expected {_safe(one_line(case.expected, 120))}" if case.expected is not None else ""
    yield f"**{_safe(case.eval)} / {_safe(case.case)}**{expected}"
    yield ""
    for cell in [cell for cell in case.cells if cell.bad and cell.answers][:2]:
        answer = cell.answers[0]
        yield f"{_safe(labels[cell.configuration])}: {cell.passed} of {cell.n} passed"
        yield ""
        yield fence(answer.error or answer.preview[:500] or "(empty answer)")
        yield ""
        yield from (
            f"- {_safe(grade.name)}: {_safe(one_line(f'{grade.value} {grade.reason}', 300))}"
            for grade in answer.grades
            if grade.passed is False or grade.value == "ungraded"
        )
        yield ""


def _errors(comparison: Report) -> Iterator[str]:
    if not comparison.errors:
        return
    rows = [
        (formatting.count(group.count), _safe(group.boundary), _safe(group.kind), _safe(one_line(group.example, 200)))
        for group in comparison.errors[:CASE_LIMIT]
    ]
    yield from _table(("errors", "boundary", "kind", "for example"), rows, "rlll")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], alignment: str) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"| {' | '.join('---:' if side == 'r' else '---' for side in alignment)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
