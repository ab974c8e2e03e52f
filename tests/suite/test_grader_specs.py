"""Graders as a suite writes them: every form, every file, and every mistake where it stands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.suite import GraderSpec, Suite, render_arguments

SUITE = """\
suite: s
prompts: [{{user: "{{{{ q }}}}"}}]
cases: [{{id: c, vars: {{q: 1}}, expected: x}}]
targets: scout-sim
graders:
{graders}
"""


def graders_of(suite: Callable[..., Suite], *lines: str) -> tuple[GraderSpec, ...]:
    return suite(SUITE.format(graders="\n".join(f"  - {line}" for line in lines))).evals[0].graders


def test_every_form_comes_out_in_the_long_one(suite: Callable[..., Suite]) -> None:
    found = graders_of(
        suite,
        "json",
        "contains: x",
        "equals: {value: x, ignore_case: true}",
        "{not: {contains: sorry}, weight: 0}",
        "{all: [json, {contains: x, id: has-x}], id: both, threshold: 50%, weight: 2}",
    )
    assert [(grader.type, grader.arguments) for grader in found] == [
        ("json", {}),
        ("contains", {"value": "x"}),
        ("equals", {"value": "x", "ignore_case": True}),
        ("not", {"grader": {"contains": {"value": "sorry"}}}),
        ("all", {"graders": [{"json": None}, {"contains": {"value": "x"}, "id": "has-x"}]}),
    ]
    assert [(grader.id, grader.weight, grader.threshold) for grader in found][3:] == [
        ("not", 0, None),
        ("both", 2, 0.5),
    ]


def test_ids_default_to_the_type_and_are_numbered_from_the_second_on(
    suite: Callable[..., Suite],
) -> None:
    found = graders_of(suite, "contains: a", "{contains: b, id: contains-2}", "contains: c", "json")
    assert [grader.id for grader in found] == ["contains", "contains-2", "contains-3", "json"]


def test_templates_stay_in_place_and_are_filled_in_for_each_case(
    suite: Callable[..., Suite],
) -> None:
    (grader,) = graders_of(suite, "number: {expected: '{{ expected }}', tolerance: 0.5}")
    assert grader.arguments == {"expected": "{{ expected }}", "tolerance": 0.5}
    assert render_arguments(grader.arguments, {}, 41) == {"expected": 41, "tolerance": 0.5}


def test_a_schema_file_is_read_and_no_template(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write("schema.json", '{"type": "object", "description": "{{ not a template }}"}')
    (grader,) = graders_of(suite, "json_schema: ../schema.json")
    assert grader.arguments == {"schema": {"type": "object", "description": "{{ not a template }}"}}
    assert render_arguments(grader.arguments, {}, None) == grader.arguments


def test_a_python_grader_is_found_from_the_file_that_names_it(
    suite: Callable[..., Suite], write: Callable, tmp_path: Path
) -> None:
    write("evals/e/grader.py", "def grade(answer):\n    return True\n")
    write(
        "evals/e/eval.yaml",
        "prompts: [{user: hi}]\ncases: [{id: c}]\ngraders: [{python: 'grader.py:grade'}]\n",
    )
    loaded = suite("suite: s\nevals: ../evals/e\ntargets: scout-sim\n")
    assert loaded.evals[0].graders[0].arguments == {
        "function": f"{tmp_path.resolve()}/evals/e/grader.py:grade"
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("contians: x", "6:5: there is no grader `contians`; did you mean `contains`?"),
        ("equals: {valeu: x}", "6:14: unknown key `valeu`; did you mean `value`?"),
        ("{contains: x, regex: y}", "6:5: each item must name one grader"),
        ("{weight: 1}", "6:5: each item must name one grader"),
        ("3", "6:5: a grader is its name"),
        ("regex: '(('", "6:12: `regex`: not a regular expression"),
        ("{not: {contans: x}}", "6:12: there is no grader `contans`"),
        ("{any: [{regex: '(('}]}", "6:20: `regex`: not a regular expression"),
        ("{all: [{contains: x, weight: 2}]}", "6:26: a nested grader has no weight"),
        (
            "{contains: x, weight: -1}",
            "6:27: `weight` should be 0 (reported only) or a positive number",
        ),
        ("{contains: x, threshold: 2}", "6:30: `threshold` should be a share"),
        ("json_schema: nope.json", '6:18: there is no file "nope.json"'),
        ("json_schema: ../../schema.json", '6:18: "../../schema.json" is outside the workspace'),
        ("python: 'nope.py:f'", '6:13: there is no file "nope.py"'),
        ("python: '/etc/passwd.py:f'", "is outside the workspace"),
        ("contains: '{{ q '", "6:15: in the template"),
        (
            "contains: '{{ other }}'",
            "the case `c` has no value for `other`, which the grader `contains` uses",
        ),
        ("{json: null, id: a}\n  - {contains: x, id: a}", "two graders have the id `a`"),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    problems: Callable[..., list[str]], line: str, said: str
) -> None:
    (problem,) = problems(SUITE.format(graders=f"  - {line}"))
    assert said in problem


@pytest.mark.parametrize("line", ["equals", "number: '{{ expected }}'", "{any: [json, equals]}"])
def test_what_a_grader_compares_with_must_be_there(
    problems: Callable[..., list[str]], suite: Callable[..., Suite], line: str
) -> None:
    text = SUITE.format(graders=f"  - {line}")
    (problem,) = problems(text.replace(", expected: x", ""))
    assert "the case `c` has no `expected`, which the grader" in problem
    assert suite(text.replace("expected: x", "expected: null"))


def test_what_a_cases_own_graders_use_must_be_there(problems: Callable[..., list[str]]) -> None:
    text = SUITE.format(graders="  - json").replace(
        "{id: c", "{id: c, graders: [contains: '{{ gone }}']"
    )
    (problem,) = problems(text)
    assert "the case `c` has no value for `gone`, which the grader `contains` uses" in problem


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def other(): ...\n", "no function `grade`; did you mean"),
        ("def grade(:", "not Python (line 1)"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_python_grader_is_looked_into_not_run(
    problems: Callable[..., list[str]], write: Callable, source: str | bytes, said: str
) -> None:
    write("g.py", source.replace("other", "grad") if isinstance(source, str) else source)
    (problem,) = problems(SUITE.format(graders="  - python: '../g.py:grade'"))
    assert said in problem


def test_a_python_grader_cannot_come_from_a_cases_data(problems: Callable[..., list[str]]) -> None:
    (problem,) = problems(SUITE.format(graders="  - python: '{{ expected }}'"))
    assert "cannot be a template" in problem
