"""docs/graders.md says what is true: its examples load, its Python example grades, and its tables
name everything."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.config.diagnostics import Problems
from harness.config.yaml import parse_yaml
from harness.graders import Arguments, GraderType, build_graders
from harness.graders.values.number_reading import read_number
from harness.registry import load_plugin as load_registered
from harness.registry import registered_names
from harness.suite.load import load_suite
from tests.graders.grading import grade

PAGE = (Path(__file__).parents[2] / "docs/graders.md").read_text()
SUITE = """
suite: documented
prompts: [{id: p, user: "{{ question }}"}]
cases: [{id: c, vars: {question: "?", order_id: A-1}, expected: "42"}]
targets: [{name: t, provider: openai, base_url: "http://127.0.0.1:9/v1", model: m}]
"""


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def section(title: str) -> list[str]:
    """The lines between this heading and the next."""
    _, _, rest = PAGE.partition(f" {title}\n")
    return rest.partition("\n#")[0].splitlines()


@pytest.mark.parametrize("fragment", fenced("yaml"))
def test_every_example_loads_and_builds(fragment: str, tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites/schema.json").write_text(json.dumps({"type": "object"}))
    (tmp_path / "suites/rubric.md").write_text("It names {{ expected }}.")
    (tmp_path / "suites/grader.py").write_text(
        "def grade(answer): ...\ndef similarity(answer): ..."
    )
    (tmp_path / "suites/check.js").write_text("const grade = (output) => output !== ''\n")
    path = tmp_path / "suites/documented.yaml"
    path.write_text(SUITE + fragment)
    (evaluation,) = load_suite(path).evals
    assert evaluation.graders
    assert len(build_graders(evaluation.graders)) == len(evaluation.graders)


def test_the_python_example_grades() -> None:
    (source,) = fenced("python")
    scope: dict[str, Any] = {}
    exec(source, scope)
    assert scope["grade"](SimpleNamespace(text="a b", expected="A c")) == {
        "value": 0.5,
        "reason": "missing: ['c']",
    }


@pytest.mark.parametrize("name", registered_names("graders", installed=False))
def test_the_table_names_every_grader_and_argument(name: str) -> None:
    kind: GraderType[Arguments] = load_registered("graders", name)
    (row,) = [line for line in section("The built-in graders") if line.startswith(f"| `{name}` ")]
    for argument, field in kind.arguments.model_fields.items():
        spelled = f"`{field.alias or argument}`"
        assert (f"**{spelled}**" if (field.alias or argument) == kind.short else spelled) in row


def verdict_rows() -> list[tuple[str, str, str, str]]:
    """(grader, answer, verdict, reason) of the tables that show what graders say."""
    _, *tables = PAGE.split("| grader | answer | verdict | reason |\n|---|---|---|---|\n")
    rows = [line for table in tables for line in table.partition("\n\n")[0].splitlines()]
    cells = [line.strip("|").split(" | ") for line in rows]
    return [tuple(cell.strip().strip("`").strip() for cell in row) for row in cells]  # type: ignore[misc]


@pytest.mark.parametrize(("grader", "answer", "verdict", "reason"), verdict_rows())
def test_graders_say_what_the_tables_show(
    grader: str, answer: str, verdict: str, reason: str
) -> None:
    document = parse_yaml(f"[{grader}]", "docs/graders.md", Problems())
    assert document is not None
    ((name, bare),) = [
        next(iter(each.items())) if isinstance(each, dict) else (each, None)
        for each in document.value
    ]
    arguments = load_registered("graders", name).expand_arguments(bare)
    graded = grade(name, arguments, answer.replace("⏎", "\n"))
    shown = {True: "pass", False: "unparsed" if graded.unparsed else "fail"}
    assert (shown.get(graded.value, str(graded.value)), graded.reason) == (verdict, reason)  # type: ignore[call-overload]


def number_rows() -> list[tuple[str, str]]:
    """(written, read) of the table: one reading for all that is written, or as many as
    there are."""
    pairs = []
    for line in section("Numbers"):
        cells = line.strip("| ").split(" | ")
        if line.startswith("| `"):
            written, read = (
                re.findall(r"`([^`]+)`", cells[0]),
                cells[1].replace("−", "-").split(", "),
            )
            pairs += zip(written, read if len(read) > 1 else read * len(written), strict=True)
    return pairs


@pytest.mark.parametrize(("written", "read"), number_rows())
def test_numbers_are_read_as_the_table_says(written: str, read: str) -> None:
    assert read_number(written) == (None if read == "none" else Decimal(read))
