"""The eval `tools`: performing the calls a case expects, on the shop's own data, brings what its
answer has to say."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import ExitCode
from harness.suite import load_suite
from tests.support import Command

REPOSITORY = Path(__file__).parents[2]
TOOLS = REPOSITORY / "evals" / "tools"
CASES: list[dict[str, Any]] = [
    json.loads(line) for line in (TOOLS / "cases.jsonl").read_text("utf-8").splitlines()
]
SPEC: dict[str, Any] = yaml.safe_load((TOOLS / "eval.yaml").read_text("utf-8"))
FUNCTIONS = runpy.run_path(str(TOOLS / "tools.py"))
CANNED: dict[str, dict[str, Any]] = {
    tool["name"]: tool for tool in SPEC["tools"] if isinstance(tool, dict)
}

every_case = pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])


def expected_calls(case: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    calls = case["expected"]["calls"]
    return [] if calls == "none" else [next(iter(call.items())) for call in calls]


def result(case: dict[str, Any], name: str, arguments: dict[str, Any]) -> str:
    """What the call comes to, as text; a failure in its own words."""
    if name not in CANNED:
        try:
            value = FUNCTIONS[name](**arguments)
        except LookupError as failed:
            return str(failed)
        return json.dumps(asyncio.run(value) if inspect.iscoroutine(value) else value)
    tool = {
        **CANNED[name],
        **({"returns": case["tools"][name]} if name in case.get("tools", {}) else {}),
    }
    return str(
        tool.get("raises")
        or json.dumps(tool["returns"]).replace("{{ arguments.city }}", arguments.get("city", ""))
    )


def depth(case: dict[str, Any]) -> int:
    """How many steps it takes: a call with an argument that only a result holds comes after that
    result."""
    steps: list[tuple[int, str]] = []
    for name, arguments in expected_calls(case):
        fetched = [
            str(value) for value in arguments.values() if str(value) not in case["vars"]["question"]
        ]
        before = [step for step, text in steps if any(value in text for value in fetched)]
        steps.append((max(before, default=0) + 1, result(case, name, arguments)))
    return max((step for step, _ in steps), default=0)


@every_case
def test_the_results_hold_what_the_answer_has_to_say(case: dict[str, Any]) -> None:
    results = [result(case, name, arguments) for name, arguments in expected_calls(case)]
    if not results:
        left, operator, right = re.search(r"(\d+) ([*-]) (\d+)", case["vars"]["question"]).groups()  # type: ignore[union-attr]
        results = [str(int(left) * int(right) if operator == "*" else int(left) - int(right))]
    assert all(any(said in text for text in results) for said in case["expected"]["say"])


@every_case
def test_a_tag_tells_how_many_steps_a_case_takes(case: dict[str, Any]) -> None:
    tagged = [int(tag.removeprefix("steps-")) for tag in case["tags"] if tag.startswith("steps-")]
    assert tagged == ([] if "no-tool" in case["tags"] else [depth(case)])


def test_the_cases_take_one_to_four_steps_and_some_fail() -> None:
    assert len(CASES) == len({case["id"] for case in CASES}) >= 20
    assert {depth(case) for case in CASES} == {0, 1, 2, 3, 4}
    assert any("failing" in case["tags"] for case in CASES)


def test_the_readme_states_every_tag_and_how_many_cases_carry_it() -> None:
    section = (
        (TOOLS.parent / "README.md").read_text("utf-8").split("\n## tools\n")[1].split("\n## ")[0]
    )
    stated = {tag: int(number) for tag, number in re.findall(r"`([a-z0-9-]+)` (\d+)", section)}
    assert stated == Counter(tag for case in CASES for tag in case["tags"])


def test_every_expected_call_fits_its_tools_schema() -> None:
    (loaded,) = load_suite(REPOSITORY / "suites" / "tools.yaml").evals
    assert loaded.toolset is not None
    schemas = {tool.name: tool.parameters for tool in loaded.toolset.tools}
    for case in CASES:
        for name, arguments in expected_calls(case):
            assert (
                set(schemas[name]["required"])
                <= arguments.keys()
                <= schemas[name]["properties"].keys()
            )


def test_the_suite_runs_on_the_simulator_and_passes_its_gates(cli: Command) -> None:
    ended = cli("run", REPOSITORY / "suites" / "tools.yaml", "--out", cli.folder / "run")
    assert ended.code == ExitCode.OK, ended.err
    assert "PASS" in ended.out
