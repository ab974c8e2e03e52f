"""Answers that no grader could judge, from a suite to its exit code: never green."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

import harness
from harness.errors import ExitCode

GRADER = """
def echo(request):
    return request["messages"][-1]["content"]

def grade(answer):
    assert answer.text == "3", "only three will do"
    return True
"""
SUITE = """
suite: ungraded
prompts: [{{user: "{{{{ q }}}}"}}]
cases:
  - {{id: a, vars: {{q: "3"}}, expected: {good}}}
  - {{id: b, vars: {{q: "4"}}, expected: {bad}}}
  - {{id: c, vars: {{q: "5"}}, expected: {bad}}}
graders: [{grader}]
targets: [{{name: echo, provider: python, model: "code.py:echo"}}]
gates: [pass_rate >= 90%, pass_rate.low >= 20%]
strict: true
{more}
"""


@pytest.mark.parametrize(
    ("grader", "good", "bad"),
    [
        ('{python: "code.py:grade"}', "3", "3"),
        ("{number: {}}", "3", "n/a"),
        ('{one_of: "{{ expected }}"}', '["3"]', '"345"'),
        ('{contains: "{{ expected.label }}"}', '{label: "3"}', '{other: "3"}'),
    ],
    ids=["raises", "expected is no number", "expected is no list", "expected lacks a key"],
)
def test_a_run_of_which_most_answers_are_ungraded_is_not_green(
    tmp_path: Path, grader: str, good: str, bad: str
) -> None:
    (tmp_path / "code.py").write_text(GRADER)
    suite = tmp_path / "suite.yaml"
    text = SUITE.format(grader=grader, good=good, bad=bad, more="")
    suite.write_text(text)
    found = harness.run(suite, out=tmp_path / "run")
    assert found.exit_code == ExitCode.INFRASTRUCTURE
    assert [gate.verdict for gate in found.report.gates] == ["pass", "pass"]
    assert found.report.headline == "2 of 3 answers could not be graded; both gates hold"
    cases = ElementTree.parse(tmp_path / "run" / "junit.xml").findall("testsuite[2]/testcase")
    assert [(case.get("name"), [each.tag for each in case]) for case in cases] == [
        ("a", []),
        ("b", ["error"]),
        ("c", ["error"]),
    ]
    suite.write_text(f"{text}run: {{max_ungraded_rate: 70%}}\n")
    assert harness.run(suite, out=tmp_path / "tolerant").exit_code == ExitCode.OK
