"""The report as JUnit XML: the verdict and warnings, a test suite of gates, and one of cases for
every run and eval.

A test case is an eval's case in one configuration; it fails where any of its repeats failed, and
is an error where one broke or could not be graded. A suite counts all of them and lists
`LISTED_CASES`, the bad ones first: what reads such files takes neither a hundred megabytes nor a
million tests. Valid XML whatever the bytes: characters XML does not have become U+FFFD.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import pandas as pd

from harness.analysis.case_table import SEVERITY
from harness.analysis.report_data import GateResult, Report
from harness.config.diagnostics import cut_text
from harness.reporters.escape import escape_for, one_line
from harness.wording import pluralize

MESSAGE_LIMIT = 1_000
LINE_LIMIT = 200
LISTED_CASES = 10_000
"""Test cases listed of one suite at most."""

_TEXTS = {"input": "input", "expected": "expected", "answer": "answer", "error_message": "error"}
"""Columns of `trials` that a failure shows -> how it names them."""

_escape = escape_for("xml")


def render_junit(report: Report) -> bytes:
    """The whole report as a `testsuites` document, UTF-8."""
    root, suites = Element("testsuites", name="harness"), _suite_names(report)
    if report.gates:
        _add_gates(root, report.gates, suites)
    writer = _CaseWriter(report, suites)
    cells = report.cells.astype({"run": object, "eval": object})
    outcomes = report.frames.trials["outcome"].astype(object).to_numpy()[cells["worst"]]
    for (run, eval_name), places in cells.groupby(["run", "eval"], sort=False).indices.items():
        mine = outcomes[places]
        suite = _add_suite(root, f"{suites[run]} {eval_name}", mine)
        listed = np.sort(
            np.argsort([SEVERITY[outcome] for outcome in mine], kind="stable")[:LISTED_CASES]
        )
        writer.write(suite, cells.iloc[places[listed]], mine[listed])
        if len(listed) < len(mine):
            SubElement(suite, "system-out").text = _left_out_note(len(listed), len(mine))
    _add_summary(root, report)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _add_summary(root: Element, report: Report) -> None:
    """Say in the first suite what a reader must know of all of them: the verdict and the
    warnings."""
    suite = root[0] if len(root) else _add_suite(root, "run", [])
    said = [("verdict", report.headline), *(("warning", text) for text in report.warnings)]
    properties = Element("properties")
    for name, text in said:
        SubElement(properties, "property", name=name, value=_escape(text))
    suite.insert(0, properties)
    output = suite.find("system-out")
    if output is None:
        output = SubElement(suite, "system-out")
    lines = [_escape(text) for _, text in said]
    output.text = "\n".join([*lines, *([output.text] if output.text else [])])


def _suite_names(report: Report) -> Mapping[str, str]:
    """For each run the name of its suite, so that CI systems see one history over many runs; with
    the run where a suite is there twice."""
    count = Counter(run.suite for run in report.runs)
    return {
        run.id: run.suite if count[run.suite] == 1 else f"{run.suite} {run.id}"
        for run in report.runs
    }


def _left_out_note(listed: int, count: int) -> str:
    return (
        f"{listed:,} of {pluralize(count, 'test case')} listed, failures and errors first;"
        " results.csv has every trial."
    )


def _add_suite(root: Element, name: str, outcomes: Sequence[str]) -> Element:
    """An empty suite whose counts are those of its test cases' outcomes."""
    count = Counter(outcomes)
    errors = count["error"] + count["ungraded"]
    skipped = len(outcomes) - count["pass"] - count["fail"] - errors
    totals = {
        "tests": len(outcomes),
        "failures": count["fail"],
        "errors": errors,
        "skipped": skipped,
    }
    return SubElement(
        root,
        "testsuite",
        {"name": _escape(name), **{each: str(total) for each, total in totals.items()}},
    )


_VERDICTS = {"fail": "fail", "unknown": "error", "inconclusive": "no verdict", "pass": "pass"}
"""A gate's verdict -> the outcome of its test case."""


def _add_gates(root: Element, gates: Sequence[GateResult], suites: Mapping[str, str]) -> None:
    suite = _add_suite(root, "gates", [_VERDICTS[gate.verdict] for gate in gates])
    for gate in gates:
        test = SubElement(
            suite,
            "testcase",
            classname=_escape(f"{suites[gate.run]}.gates"),
            name=_escape(gate.text),
        )
        tag = {"fail": "failure", "unknown": "error", "inconclusive": "skipped"}.get(gate.verdict)
        if tag:
            SubElement(test, tag, message=_escape(gate.detail))
        else:
            SubElement(test, "system-out").text = _escape(f"{gate.detail} {gate.caution}".strip())


class _CaseWriter:
    """Writes cells, each with its worst trial, as test cases; `suite` names the suite of each
    run."""

    def __init__(self, report: Report, suites: Mapping[str, str]) -> None:
        trials = report.frames.trials
        self.suites, self.grades = suites, report.frames.grades
        self.texts = {name: trials[name].array for name in _TEXTS}
        self.rows, self.latency = trials["row"].array, trials["latency"].to_numpy()

    def write(self, suite: Element, cells: Any, outcomes: Sequence[str]) -> None:
        """Add the cells, whose worst trials had these outcomes, to `suite`."""
        reasons = _collect_reasons(self.grades, cells["worst"].to_numpy())
        for cell, outcome in zip(cells.itertuples(), outcomes, strict=True):
            self._write_case(suite, cell, outcome, reasons.get(cell.worst, []))

    def _write_case(self, suite: Element, cell: Any, outcome: str, reasons: Sequence[str]) -> None:
        row = self.rows[cell.worst]
        test = SubElement(
            suite,
            "testcase",
            classname=_escape(f"{self.suites[cell.run]}.{cell.eval}.{cell.configuration}"),
            name=_escape(cell.case if pd.isna(row) else row),
        )
        if self.latency[cell.worst] == self.latency[cell.worst]:
            test.set("time", f"{self.latency[cell.worst]:.6f}")
        tag = {"fail": "failure", "error": "error", "ungraded": "error"}.get(outcome)
        if tag:
            texts = {name: self._text(name, cell.worst) for name in _TEXTS}
            message = _failure_message(texts, reasons, _count_outcomes(cell))
            parts = [f"{_TEXTS[name]}: {text}" for name, text in texts.items() if text]
            body = "\n".join([*parts, *reasons])
            SubElement(test, tag, message=_escape(message)).text = _escape(body)
        elif outcome != "pass":
            SubElement(test, "skipped", message=outcome)

    def _text(self, name: str, trial: int) -> str:
        text = self.texts[name][trial]
        if pd.isna(text):
            return ""
        return cut_text(text, MESSAGE_LIMIT)


def _failure_message(texts: Mapping[str, str], reasons: Sequence[str], counts: str) -> str:
    """One line: what was expected, why it failed or broke, and how the repeats ended."""
    why = texts["error_message"] or (reasons[0] if reasons else "")
    expected = f"expected {one_line(texts['expected'], LINE_LIMIT)}" if texts["expected"] else ""
    return " · ".join(part for part in (expected, one_line(why, LINE_LIMIT), counts) if part)


def _count_outcomes(cell: Any) -> str:
    counts = f"{cell.passed} of {cell.n} passed, {cell.failed} failed, {cell.errors} errored"
    return counts + (f", {cell.ungraded} ungraded" if cell.ungraded else "")


def _collect_reasons(grades: Any, trials: Any) -> Mapping[int, list[str]]:
    """For some trials `grader: reason` of each grade of weight that failed or is missing."""
    counts = (grades["weight"] > 0).to_numpy()
    failed = (grades["passed"] == False).fillna(False).to_numpy(dtype=bool)  # noqa: E712 — of an array
    missing = (grades["kind"] == "ungraded").to_numpy()
    mine = counts & (failed | missing) & np.isin(grades["trial"].to_numpy(dtype=np.int64), trials)
    found: dict[int, list[str]] = defaultdict(list)
    for grade in grades[mine].itertuples():
        reason = grade.reason if pd.isna(grade.error) else grade.error
        found[int(grade.trial)].append(cut_text(f"{grade.name}: {reason}", MESSAGE_LIMIT))
    return found
