"""The report as JUnit XML: a test suite of gates, and one of cases for every run and eval.

A test case is an eval's case in one configuration; it fails where any of its repeats failed, and
is an error where one broke or could not be graded. A suite counts all of them and lists
`LISTED_CASES`, the bad ones first: what reads such files takes neither a hundred megabytes nor a
million tests. Valid XML whatever the bytes: characters XML does not have become U+FFFD.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from harness.analysis.case_table import SEVERITY
from harness.analysis.frame import Frames
from harness.analysis.report_data import GateResult, Report
from harness.reporters.escape import escape_for
from harness.wording import pluralize

MESSAGE_LIMIT = 1_000
LISTED_CASES = 10_000
"""Test cases listed of one suite at most."""

_escape = escape_for("xml")


def render_junit(report: Report) -> bytes:
    """The whole report as a `testsuites` document, UTF-8."""
    root = Element("testsuites", name="harness")
    if report.gates:
        _add_gates(root, report.gates)
    write = _case_writer(report.frames)
    cells = report.cells.astype({"run": object, "eval": object})
    outcomes = report.frames.trials["outcome"].astype(object).to_numpy()[cells["worst"]]
    for (run, eval_name), places in cells.groupby(["run", "eval"], sort=False).indices.items():
        mine = outcomes[places]
        suite = _add_suite(root, f"{run} {eval_name}", mine)
        listed = np.sort(
            np.argsort([SEVERITY[outcome] for outcome in mine], kind="stable")[:LISTED_CASES]
        )
        for row, outcome in zip(cells.iloc[places[listed]].itertuples(), mine[listed], strict=True):
            write(suite, row, outcome)
        if len(listed) < len(mine):
            SubElement(suite, "system-out").text = _left_out_note(len(listed), len(mine))
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _left_out_note(listed: int, count: int) -> str:
    return (
        f"{listed:,} of {pluralize(count, 'test case')} listed, those that failed or broke first;"
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


def _add_gates(root: Element, gates: Sequence[GateResult]) -> None:
    suite = _add_suite(root, "gates", [_VERDICTS[gate.verdict] for gate in gates])
    for gate in gates:
        test = SubElement(
            suite, "testcase", classname=_escape(f"gates.{gate.run}"), name=_escape(gate.text)
        )
        tag = {"fail": "failure", "unknown": "error", "inconclusive": "skipped"}.get(gate.verdict)
        if tag:
            SubElement(test, tag, message=_escape(gate.detail))
        else:
            SubElement(test, "system-out").text = _escape(f"{gate.detail} {gate.caution}".strip())


def _case_writer(frames: Frames) -> Callable[[Element, Any, str], None]:
    """What writes a cell, whose worst trial had that outcome, into its suite."""
    trials, no_grade = frames.trials, _why_ungraded(frames.grades)
    answers, errors = trials["answer"].array, trials["error_message"].array
    latency = trials["latency"].to_numpy()

    def write(suite: Element, row: Any, outcome: str) -> None:
        test = SubElement(
            suite,
            "testcase",
            classname=_escape(f"{row.eval}.{row.configuration}"),
            name=_escape(row.case),
        )
        if latency[row.worst] == latency[row.worst]:
            test.set("time", f"{latency[row.worst]:.6f}")
        counts = f"{row.passed} of {row.n} passed, {row.failed} failed, {row.errors} broke"
        counts += f", {row.ungraded} ungraded" if row.ungraded else ""
        if outcome == "fail":
            SubElement(test, "failure", message=counts).text = _escape(
                answers[row.worst][:MESSAGE_LIMIT]
            )
        elif outcome == "error":
            SubElement(test, "error", message=counts).text = _escape(
                errors[row.worst][:MESSAGE_LIMIT]
            )
        elif outcome == "ungraded":
            SubElement(test, "error", message=counts).text = _escape(
                no_grade.get(row.worst, "")[:MESSAGE_LIMIT]
            )
        elif outcome != "pass":
            SubElement(test, "skipped", message=outcome)

    return write


def _why_ungraded(grades: Any) -> Mapping[int, str]:
    """For each trial that has none, the first missing grade and why it is missing."""
    missing = grades[(grades["kind"] == "ungraded") & (grades["weight"] > 0)]
    first = missing.drop_duplicates("trial")
    texts = first["name"].astype(str) + ": " + first["error"].fillna("no grade").astype(str)
    return dict(zip(first["trial"].astype(int), texts, strict=True))
