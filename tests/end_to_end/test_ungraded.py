"""Answers that no grader could judge, from a suite to its exit code: never green."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from harness.errors import ExitCode
from tests.support import Command

GRADER = """
def echo(request):
    return request["messages"][-1]["content"]

def grade(answer):
    assert answer.text == "3", "only three will do"
    return True
"""
GRADERS = [
    ('{python: "code.py:grade"}', "3", "3"),
    ("{number: {}}", "3", "n/a"),
    ('{one_of: "{{ expected }}"}', '["3"]', '"345"'),
    ('{contains: "{{ expected.label }}"}', '{label: "3"}', '{other: "3"}'),
]
"""A grader, what is expected of the answer that it can judge, and of those that it cannot: it
raises, or what is expected is no number, no list, lacks a key."""
CASES = """
  - {{id: a{place}, vars: {{q: "3"}}, expected: {good}, graders: [{grader}]}}
  - {{id: b{place}, vars: {{q: "4"}}, expected: {bad}, graders: [{grader}]}}
  - {{id: c{place}, vars: {{q: "5"}}, expected: {bad}, graders: [{grader}]}}
"""
SUITE = """
suite: ungraded
prompts: [{user: "{{ q }}"}]
targets: [{name: echo, provider: python, model: "code.py:echo"}]
gates: [pass_rate >= 90%, pass_rate.low >= 20%]
strict: true
cases:
"""


def test_a_run_of_which_most_answers_are_ungraded_is_not_green(
    cli: Command, tmp_path: Path
) -> None:
    (tmp_path / "code.py").write_text(GRADER)
    cases = [
        CASES.format(place=place, grader=grader, good=good, bad=bad)
        for place, (grader, good, bad) in enumerate(GRADERS)
    ]
    text = "".join([SUITE, *cases])
    (tmp_path / "suite.yaml").write_text(text)
    ended = cli("run", "suite.yaml", "--out", "run")
    assert ended.code == ExitCode.INFRASTRUCTURE, ended.err
    said = "8 of 12 answers could not be graded; both gates hold"
    assert said in " ".join(ended.out.split())
    gates, tested = ElementTree.parse(tmp_path / "run" / "junit.xml").findall("testsuite")
    assert not gates.findall("testcase/failure")
    outcomes = [
        (str(case.get("name"))[0], [each.tag for each in case])
        for case in tested.findall("testcase")
    ]
    assert sorted(outcomes) == [("a", [])] * 4 + [("b", ["error"])] * 4 + [("c", ["error"])] * 4
    (tmp_path / "suite.yaml").write_text(f"{text}run: {{max_ungraded_rate: 70%}}\n")
    assert cli("run", "suite.yaml", "--out", "tolerant", "--replay", "run").code == ExitCode.OK
