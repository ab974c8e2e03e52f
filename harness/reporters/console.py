"""The report for a terminal or a CI log: verdict, table, failing cases, gates, totals, warnings.

Everything a model or a suite wrote goes through `rich.text.Text` (so that square brackets are not
markup) and the terminal escape (so that CI systems read no commands in it), and what a model or a
server wrote never begins a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis import formatting
from harness.analysis.report_data import CaseAnswer, CaseRow, Cell, GradeLine, Report
from harness.reporters.escape import escape_for, one_line
from harness.reporters.listings import SLOWED, Listing, list_tables
from harness.reporters.ranking import rank_configurations
from harness.reporters.tables import (
    VERDICTS,
    ConfigurationTable,
    bad_cells,
    configuration_table,
    describe_others,
    gate_name,
    run_facts,
    short_labels,
    total_facts,
)
from harness.wording import pluralize

WIDTH = 100
FAILING_CASES = 10
ROW_LIMIT = 200
ANSWER_CHARACTERS = 160
AXIS_CHARACTERS = 28

_escape = escape_for("terminal")
_STYLES = {
    "pass": "green",
    "fail": "bold red",
    "inconclusive": "yellow",
    "unknown": "bold red",
    "unfinished": "yellow",
    "errors": "bold red",
    "ungraded": "bold red",
    "no gates": "bold",
}
_MARKS = {
    "pass": "✓",
    "fail": "✗",
    "inconclusive": "?",
    "unknown": "!",
    "error": "!",
    "ungraded": "?",
    "no verdict": "·",
}


def render_console(report: Report) -> str:
    """The report as plain text, 100 columns wide."""
    return render_for_terminal(report, WIDTH, color=False)


def render_for_terminal(report: Report, width: int | None, color: bool) -> str:
    """The report as text for a terminal `width` columns wide (None: `WIDTH`), with ANSI colours
    where `color`."""
    width = width or WIDTH
    sink = StringIO()
    console = Console(
        file=sink,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in _report_parts(report, width):
        console.print(part)
    lines = (line.rstrip() for line in sink.getvalue().splitlines())
    # Two tables in a row have a blank line each.
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _report_parts(report: Report, width: int) -> Iterator[Any]:
    yield from _header_lines(report)
    yield from _configuration_grid(report, width)
    yield from list(_listing_grids(report, width)) or [Text()]
    yield from _failing_cases(report, width)
    yield from _error_lines(report)
    yield from _gate_grid(report)
    yield Text(" · ".join(f"{name} {value}" for name, value in total_facts(report)), "dim")
    yield from (
        _hanging_indent("! ", Text(_escape(warning), "yellow"), "yellow")
        for warning in report.warnings
    )


def _header_lines(report: Report) -> Iterator[Any]:
    title = Text()
    title.append(
        _escape(one_line(", ".join(dict.fromkeys(run.suite for run in report.runs)), 60)), "bold"
    )
    title.append(f"  {VERDICTS[report.verdict]}", _STYLES[report.verdict])
    title.append(f"  {report.headline}")
    if report.simulated:
        title.append("  SIMULATED", "bold magenta")
    yield title
    for line in run_facts(report):
        yield _hanging_indent("run ", Text(_escape(one_line(line, 300)), "dim"), "dim")
    yield Text()


def _hanging_indent(prefix: str, text: Text, style: str = "") -> Table:
    """The text behind a prefix in `style`, its further lines indented as far: what a model wrote
    never begins a line."""
    grid = Table.grid(padding=0)
    grid.add_column(width=cell_len(prefix), no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(prefix, style), text)
    return grid


def _configuration_grid(report: Report, width: int) -> Iterator[Any]:
    if not report.configurations:
        return
    shown = [report.configurations[number] for number in rank_configurations(report)[:ROW_LIMIT]]
    whole = configuration_table(shown)
    table = _fit_table(whole, width)
    if table.shared:
        yield Text(" · ".join(f"{name} {_axis_text(value)}" for name, value in table.shared), "dim")
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in table.axes:
        grid.add_column(Text(_escape(name)), overflow="fold")
    for figure in table.figures:
        grid.add_column(figure.title, justify="right", no_wrap=True)
    for row in table.rows:
        grid.add_row(*(Text(_axis_text(cell)) for cell in row))
    yield grid
    notes = _table_notes(report, whole, table)
    if notes:
        yield Text(f"{'; '.join(notes)}.", "dim")


def _table_notes(report: Report, whole: ConfigurationTable, table: ConfigurationTable) -> list[str]:
    hidden = [figure.title for figure in whole.figures if figure not in table.figures]
    notes = [f"more in the report: {', '.join(hidden)}"] if hidden else []
    rest = len(report.configurations) - len(table.rows)
    return [*notes, f"{pluralize(rest, 'configuration')} not shown"] if rest else notes


def _listing_grids(report: Report, width: int) -> Iterator[Any]:
    """The small tables; models, whose names are long, are in the report, and what slowed a target
    down stands below."""
    for listing in list_tables(report, brief=True):
        whole = listing.narrow(("model", SLOWED))
        shown = _fit_listing(whole, width)
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        for title, side in zip(shown.titles, shown.sides, strict=True):
            grid.add_column(title, justify="left" if side == "l" else "right", overflow="fold")
        for row in shown.rows:
            grid.add_row(*(Text(_axis_text(cell)) for cell in row))
        yield grid
        if hidden := [title for title in whole.titles if title not in shown.titles]:
            yield Text(f"more in the report: {', '.join(hidden)}.\n", "dim")
        if SLOWED in listing.titles:
            yield from (
                _hanging_indent("  ", Text(_escape(f"{row[0]} {row[-1]}"), "yellow"))
                for row in listing.rows
                if row[-1] != formatting.UNKNOWN
            )


def _fit_listing(listing: Listing, width: int) -> Listing:
    """The table without as many of its last columns as it takes to fit the width."""
    while len(listing.titles) > 2 and sum(_column_widths(listing.titles, listing.rows)) - 1 > width:
        listing = listing.narrow(listing.titles[-1:])
    return listing


def _axis_text(text: str) -> str:
    return _escape(one_line(text, AXIS_CHARACTERS))


def _fit_table(table: ConfigurationTable, width: int) -> ConfigurationTable:
    """The table without as many of its least important figures as it takes to fit the width."""
    titles = (*table.axes, *(figure.title for figure in table.figures))
    widths = _column_widths(titles, table.rows)
    kept = list(range(len(titles)))
    ranks = [0] * len(table.axes) + [figure.rank for figure in table.figures]
    while sum(widths[place] for place in kept) - 1 > width and any(ranks[place] for place in kept):
        kept.remove(max(kept, key=lambda place: ranks[place]))
    return ConfigurationTable(
        table.shared,
        table.axes,
        tuple(table.figures[place - len(table.axes)] for place in kept[len(table.axes) :]),
        tuple(tuple(row[place] for place in kept) for row in table.rows),
    )


def _column_widths(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """How wide the columns are as they are printed, the gap to the next one included."""
    columns = zip(titles, *rows, strict=True)
    return [max(cell_len(_axis_text(cell)) for cell in column) + 3 for column in columns]


def _failing_cases(report: Report, width: int) -> Iterator[Any]:
    bad = [case for case in report.cases if case.bad]
    if not bad:
        return
    cells = report.cells
    wrong = cells["failed"] + cells["errors"] + cells["ungraded"]
    total = len(cells.loc[wrong > 0, ["eval", "case"]].drop_duplicates())
    labels = short_labels(report)
    shown = bad[:FAILING_CASES]
    how = "`harness show RUN CASE` prints one, `--failed` all"
    yield Text(f"Failing cases ({len(shown):,} of {total:,}; {how})", "bold")
    for case in shown:
        yield from _case_lines(case, labels, width)
    yield Text()


def _case_lines(case: CaseRow, labels: list[str], width: int) -> Iterator[Any]:
    yield _hanging_indent("  ", Text(f"{_axis_text(case.eval)}/{_axis_text(case.name)}", "bold"))
    if case.input:
        yield _labelled_line("input", case.input)
    if case.expected is not None:
        yield _labelled_line("expected", case.expected)
    bad = bad_cells(case)
    line = Text(_escape(one_line(labels[bad[0].configuration], max(12, min(60, width - 30)))))
    line.append(f"  {_repeat_outcomes(bad[0])}")
    line.append(f"; {others}" if (others := describe_others(bad[1:])) else "", "dim")
    yield _hanging_indent(f"    {_MARKS['fail']} ", line, "red")
    for answer in bad[0].answers[:1]:
        yield _hanging_indent(
            "      │ ", Text(_escape(one_line(_answer_text(answer), ANSWER_CHARACTERS)))
        )
        yield from (
            _hanging_indent(
                "      └ ",
                Text(_escape(one_line(_grade_text(grade), ANSWER_CHARACTERS)), "dim"),
                "dim",
            )
            for grade in answer.grades
            if grade.passed is False or grade.value == "ungraded"
        )


def _labelled_line(label: str, text: str) -> Table:
    """A line of what a case asks or expects, cut."""
    cut = Text(_escape(one_line(text, ANSWER_CHARACTERS)))
    return _hanging_indent(f"    {label:<8} ", cut, "dim")


def _repeat_outcomes(cell: Cell) -> str:
    """How a case's repeats ended: errors and ungraded answers are no failures, and said apart."""
    apart = [
        f"{count:,} of {pluralize(cell.n, 'trial')} {ended}"
        for count, ended in ((cell.errors, "ended in an error"), (cell.ungraded, "ungraded"))
        if count
    ]
    judged = cell.n - cell.errors - cell.ungraded
    return ", ".join(([f"{cell.passed}/{cell.n} passed"] if judged else []) + apart)


def _answer_text(answer: CaseAnswer) -> str:
    return answer.error or answer.preview or "(empty answer)"


def _grade_text(grade: GradeLine) -> str:
    counts = "" if grade.weight else " (only reports)"
    return f"{grade.name}{counts}: {grade.value} {grade.reason}"


def _error_lines(report: Report) -> Iterator[Any]:
    if report.errors:
        yield Text("Errors", "bold")
    for group in report.errors[:FAILING_CASES]:
        kind = one_line(f"{group.target} {group.boundary}/{group.kind}", 60)
        said = one_line(group.example, ANSWER_CHARACTERS)
        yield _hanging_indent("  ", Text(_escape(f"{group.count:,} × {kind}: {said}")))
    rest = report.errors[FAILING_CASES:]
    if rest:
        count = sum(group.count for group in rest)
        yield Text(f"  {pluralize(count, 'more error')} of {pluralize(len(rest), 'kind')}", "dim")
    if report.errors:
        yield Text()


def _gate_grid(report: Report) -> Iterator[Any]:
    if not report.gates:
        return
    yield Text("Gates", "bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    for gate in report.gates:
        text, detail = (
            Text(_escape(one_line(gate_name(report, gate), 60)), "bold"),
            _escape(one_line(f"{gate.detail} {gate.caution}", 600)),
        )
        grid.add_row(
            Text(f"  {_MARKS[gate.verdict]} {gate.verdict}", _STYLES[gate.verdict]),
            text,
            Text(detail),
        )
    yield grid
    yield Text()
