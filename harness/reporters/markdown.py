"""The report as compact Markdown: for a pull request's comment or a CI job's summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis import formatting
from harness.analysis.report_data import CaseRow, Report
from harness.reporters.escape import escape_for, fence_code, one_line
from harness.reporters.listings import list_tables
from harness.reporters.ranking import rank_configurations
from harness.reporters.tables import (
    bad_cells,
    configuration_table,
    describe_others,
    gate_name,
    run_facts,
    short_labels,
    total_facts,
)
from harness.wording import pluralize

ROW_LIMIT = 50
CASE_LIMIT = 10
CELL_LIMIT = 2
SIGNS = {
    "pass": "✅",
    "fail": "❌",
    "inconclusive": "⚠️",
    "unknown": "❗",
    "unfinished": "⚠️",
    "errors": "❗",
    "ungraded": "❗",
    "no gates": "◻️",
}

_escape = escape_for("markdown")


def render_markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown, tables and failing answers capped."""
    return "\n".join(_report_lines(report)).rstrip() + "\n"


def _report_lines(report: Report) -> Iterator[str]:
    suites = _escape(one_line(", ".join(dict.fromkeys(run.suite for run in report.runs)), 100))
    badge = " · **SIMULATED**" if report.simulated else ""
    yield f"## {SIGNS[report.verdict]} {suites}: {report.headline}{badge}"
    yield ""
    yield from _gate_table(report)
    yield from _configuration_lines(report)
    yield from _listing_tables(report)
    yield from _failing_cases(report)
    yield from _error_table(report)
    for warning in report.warnings:
        yield f"> ⚠️ {_escape(warning)}"
        yield ">"
    yield ""
    yield " · ".join(f"{name} {_escape(value)}" for name, value in total_facts(report))
    yield ""
    yield from (f"<sub>run {_escape(line)}</sub><br>" for line in run_facts(report))


def _gate_table(report: Report) -> Iterator[str]:
    if not report.gates:
        return
    rows = [
        (
            f"{SIGNS[gate.verdict]} {gate.verdict}",
            _escape(gate_name(report, gate)),
            _escape(f"{gate.detail} {gate.caution}".strip()),
        )
        for gate in report.gates
    ]
    yield from _table_lines(("verdict", "gate", "figures"), rows, "lll")


def _configuration_lines(report: Report) -> Iterator[str]:
    ranked = rank_configurations(report)[:ROW_LIMIT]
    table = configuration_table([report.configurations[number] for number in ranked])
    if table.shared:
        yield " · ".join(
            f"{_escape(name)} **{_escape(one_line(value, 60))}**" for name, value in table.shared
        )
        yield ""
    figures = [index for index, figure in enumerate(table.figures) if not figure.is_extra]
    chosen = [*range(len(table.axes)), *(len(table.axes) + index for index in figures)]
    titles = [
        *(_escape(name) for name in table.axes),
        *(table.figures[index].title for index in figures),
    ]
    rows = [[_escape(one_line(row[index], 60)) for index in chosen] for row in table.rows]
    yield from _table_lines(titles, rows, "l" * len(table.axes) + "r" * len(figures))
    rest = len(report.configurations) - len(table.rows)
    if rest:
        yield f"{pluralize(rest, 'configuration')} not shown."
        yield ""


def _listing_tables(report: Report) -> Iterator[str]:
    for listing in list_tables(report):
        rows = [[_escape(one_line(cell, 100)) for cell in row] for row in listing.rows]
        yield f"**{listing.heading}**: {listing.about}"
        yield ""
        yield from _table_lines(listing.titles, rows, listing.sides)


def _failing_cases(report: Report) -> Iterator[str]:
    bad = [case for case in report.cases if case.bad]
    if not bad:
        return
    labels = short_labels(report)
    yield f"<details><summary>Failing cases (the worst {min(len(bad), CASE_LIMIT)})</summary>"
    yield ""
    for case in bad[:CASE_LIMIT]:
        yield from _case_lines(case, labels)
    yield "</details>"
    yield ""


def _case_lines(case: CaseRow, labels: Sequence[str]) -> Iterator[str]:
    yield f"**{_escape(case.eval)}/{_escape(case.name)}**"
    yield ""
    if case.input:
        yield f"- input: {_escape(one_line(case.input, 300))}"
    if case.expected is not None:
        yield f"- expected: {_escape(one_line(case.expected, 120))}"
    yield ""
    bad = bad_cells(case)
    shown = [cell for cell in bad if cell.answers][:CELL_LIMIT]
    for cell in shown:
        answer = cell.answers[0]
        ungraded = f", {cell.ungraded} ungraded" if cell.ungraded else ""
        yield f"{_escape(labels[cell.configuration])}: {cell.passed} of {cell.n} passed{ungraded}"
        yield ""
        yield fence_code(answer.error or answer.preview[:500] or "(empty answer)")
        yield ""
        yield from (
            f"- {_escape(grade.name)}: {_escape(one_line(f'{grade.value} {grade.reason}', 300))}"
            for grade in answer.grades
            if grade.passed is False or grade.value == "ungraded"
        )
        yield ""
    if others := describe_others([cell for cell in bad if cell not in shown]):
        yield others
        yield ""


def _error_table(report: Report) -> Iterator[str]:
    if not report.errors:
        return
    rows = [
        (
            formatting.format_count(group.count),
            _escape(one_line(group.target, 60)),
            _escape(group.boundary),
            _escape(group.kind),
            _escape(one_line(group.example, 200)),
        )
        for group in report.errors[:CASE_LIMIT]
    ]
    yield from _table_lines(("errors", "target", "boundary", "kind", "for example"), rows, "rllll")
    rest = report.errors[CASE_LIMIT:]
    if rest:
        count = sum(group.count for group in rest)
        yield f"{pluralize(count, 'more error')} of {pluralize(len(rest), 'kind')} not shown."
        yield ""


def _table_lines(
    titles: Sequence[str], rows: Sequence[Sequence[str]], alignment: str
) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"| {' | '.join('---:' if side == 'r' else '---' for side in alignment)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
