"""The comparison as JUnit XML: a test suite of gates, and one of cases for every run and eval.

A test case is an eval's case in one configuration; it fails where any of its repeats failed, and is an error where one broke.
Valid XML whatever the bytes: characters XML does not have become U+FFFD.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from harness.analysis.comparison import Comparison, GateVerdict
from harness.analysis.frame import Frames
from harness.reporters.escape import escape_for

MESSAGE_LIMIT = 1_000

_safe = escape_for("xml")


def report(comparison: Comparison) -> bytes:
    """The whole comparison as a `testsuites` document, UTF-8."""
    root = Element("testsuites", name="harness")
    if comparison.gates:
        _suite(root, "gates", [(_gate, gate) for gate in comparison.gates])
    write = _cell(comparison.frames)
    cells = comparison.cells.astype({"run": object, "eval": object})
    for (run, eval_name), rows in cells.groupby(["run", "eval"], sort=False):
        tests = [(write, row) for row in rows.itertuples()]
        _suite(root, f"{run} {eval_name}", tests)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _suite(root: Element, name: str, tests: list[tuple[Callable[[Element, Any], None], Any]]) -> None:
    suite = SubElement(root, "testsuite", name=_safe(name), tests=str(len(tests)))
    for write, test in tests:
        write(suite, test)
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(suite.findall(f"testcase/{tag}"))))


def _gate(suite: Element, gate: GateVerdict) -> None:
    test = SubElement(suite, "testcase", classname=_safe(f"gates.{gate.run}"), name=_safe(gate.text))
    tag = {"fail": "failure", "unknown": "error", "inconclusive": "skipped"}.get(gate.verdict)
    if tag:
        SubElement(test, tag, message=_safe(gate.detail))
    else:
        SubElement(test, "system-out").text = _safe(f"{gate.detail} {gate.caution}".strip())


def _cell(frames: Frames) -> Callable[[Element, Any], None]:
    trials = frames.trials
    outcomes, answers = trials["outcome"].astype(object).to_numpy(), trials["answer"].to_numpy()
    errors, latency = trials["error_message"].to_numpy(), trials["latency"].to_numpy()

    def write(suite: Element, row: Any) -> None:
        test = SubElement(suite, "testcase", classname=_safe(f"{row.eval}.{row.configuration}"), name=_safe(row.case))
        if latency[row.worst] == latency[row.worst]:
            test.set("time", f"{latency[row.worst]:.6f}")
        outcome = outcomes[row.worst]
        counts = f"{row.passed} of {row.n} passed, {row.failed} failed, {row.errors} broke"
        if outcome == "fail":
            SubElement(test, "failure", message=counts).text = _safe(answers[row.worst][:MESSAGE_LIMIT])
        elif outcome == "error":
            SubElement(test, "error", message=counts).text = _safe(errors[row.worst][:MESSAGE_LIMIT])
        elif outcome != "pass":
            SubElement(test, "skipped", message=outcome)

    return write
