"""What each extraction step takes from an answer, and what a grader makes of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.config.diagnostics import Problems
from harness.config.yaml import parse_yaml
from harness.graders import Answer, build_graders
from harness.graders.base import NothingToExtract
from harness.graders.build import bind_extraction
from harness.model import Grade, ToolCall, ToolResult
from harness.model.reasoning_tags import split_reasoning
from harness.registry import load_plugin, registered_names
from tests.graders.grading import finish, spec

PAGE = (Path(__file__).parents[2] / "docs/extraction.md").read_text()


def long_form(*steps: Any) -> tuple[dict[str, Any], ...]:
    """The steps as the suite reader hands them on."""
    found = []
    for step in steps:
        name, bare = (step, None) if isinstance(step, str) else next(iter(step.items()))
        found.append({name: load_plugin("extraction", name).expand_arguments(bare)})
    return tuple(found)


def take(text: str, *steps: Any, **answer: Any) -> Any:
    """What the steps take from `text`; None where there is nothing to extract."""
    extract = bind_extraction(long_form(*steps))
    assert extract is not None
    try:
        return extract(Answer(text, **answer))
    except NothingToExtract as nothing:
        assert str(nothing).startswith("nothing to extract: ")
        return None


FENCED = 'Here:\n```json\n{"a": 1}\n```\nThen run\n```bash\nls `pwd`\n```\n'

TAKEN: list[tuple[str, list[Any], str | None]] = [
    ("  x \n", ["strip"], "x"),
    ("ÄB", ["lower"], "äb"),
    ("４２ e\u0301", [{"normalize": "NFKC"}], "42 é"),
    ("e\u0301", ["normalize"], "é"),
    ("so\n#### 1\n#### 42", [{"after": "####"}, "strip"], "42"),
    ("so #### 1 #### 42", [{"after": {"marker": "####", "which": "first"}}], " 1 #### 42"),
    ("ANSWER: b", [{"after": {"marker": "answer:", "ignore_case": True}}], " b"),
    ("no marker", [{"after": "####"}], None),
    ("42 because 7", [{"before": "because"}, "strip"], "42"),
    ("a. b. c.", [{"before": {"marker": ".", "which": "last"}}], "a. b. c"),
    ("one\n\ntwo\n \n", [{"line": "last"}], "two"),
    ("one\ntwo", [{"line": "first"}], "one"),
    ("one\ntwo", [{"line": -2}], "one"),
    ("one", [{"line": 2}], None),
    (" \n", ["line"], None),
    ("x=1, x=2", [{"regex": r"x=(\d)"}], "1"),
    ("x=1, x=2", [{"regex": {"pattern": r"x=(\d)", "which": "last"}}], "2"),
    ("x=1, x=2", [{"regex": {"pattern": r"x=(\d)", "which": "all"}}], "1\n2"),
    ("k: v", [{"regex": {"pattern": r"(?P<k>\w): (?P<v>\w)", "group": "v"}}], "v"),
    ("k: v", [{"regex": {"pattern": r"(\w): (\w)", "group": 0}}], "k: v"),
    ("abc", [{"regex": r"b"}], "b"),
    ("abc", [{"regex": r"\d"}], None),
    (FENCED, [{"fence": "json"}], '{"a": 1}'),
    (FENCED, [{"fence": "any"}], "ls `pwd`"),
    (FENCED, [{"fence": {"which": "first"}}], '{"a": 1}'),
    (FENCED, [{"fence": "python"}], None),
    ("```\nprint(1)\n```", [{"fence": "python"}], "print(1)"),
    ("```py\nprint(1)\n```", [{"fence": "python"}], "print(1)"),
    ("````md\n```\nin\n```\n````", [{"fence": "md"}], "```\nin\n```"),
    ("~~~json\n[1]\n~~~", [{"fence": "json"}], "[1]"),
    ("```json\n[1, 2]", [{"fence": "json"}], "[1, 2]"),
    ('It is ```json {"a": 2}``` here', [{"fence": "json"}], '{"a": 2}'),
    ("a\r\n```json\r\n{}\r\n```\r\n", [{"fence": "json"}], "{}"),
    ("plain", ["fence"], None),
    (r"so $\boxed{\frac{3}{4}}$.", ["boxed"], r"\frac{3}{4}"),
    (r"\boxed{1}, no: \boxed{2}", ["boxed"], "2"),
    (r"\boxed{1}, no: \boxed{2}", [{"boxed": "first"}], "1"),
    (r"\boxed {\{1, 2\}}", ["boxed"], r"\{1, 2\}"),
    (r"\boxed 7", ["boxed"], "7"),
    (r"\fbox{yes}", ["boxed"], "yes"),
    (r"\boxed{never closed", ["boxed"], None),
    ('The result: {"a": {"b": [1, 2.50]}}', [{"fence": "any"}, "json"], None),
    ('{"a": {"b": [1, 2.5]}}', [{"json": "$.a.b[-1]"}], "2.5"),
    ('```json\n{"a": {"b": true}}\n```', [{"json": "$.a"}], '{"b": true}'),
    ('{"a": null}', [{"json": "$.a"}], None),
    ("not json", ["json"], None),
    ("<b>x</b><answer>\n42</answer>", [{"xml": "answer"}, "strip"], "42"),
    ("<answer>1</answer><ANSWER id='2'>2</ANSWER >", [{"xml": "answer"}], "2"),
    ("<answer>1</answer><answer>2", [{"xml": "answer"}], "1"),
    ("<answer>1</answer><answer>2</answer>", [{"xml": {"tag": "answer", "which": "first"}}], "1"),
    ("<answers>1</answers>", [{"xml": "answer"}], None),
    ("It is 1,234.50 in all", ["number"], "1234.50"),
    ("none", ["number"], None),
    ("Yes", [{"map": {"yes": True, "no": False}}], "true"),
    ("maybe", [{"map": {"yes": True, "no": False}}], None),
    ("maybe", [{"map": {"values": {"yes": True}, "default": False}}], "false"),
    ("42", [{"template": "{{ answer }} {{ unit }} {{ expected }}"}], "42 kg 7"),
    ("{{ 7 * 7 }}", [{"template": "{{ answer }}"}], "{{ 7 * 7 }}"),
    ("<think>Paris? No.</think> Berlin", [{"reasoning": "drop"}, "strip"], "Berlin"),
    ("<think>still", [{"reasoning": "drop"}], None),
    ("hmm #### 1</think>#### 2", ["reasoning", {"after": "####"}, "strip", "number"], "2"),
]


@pytest.mark.parametrize(("text", "steps", "taken"), TAKEN)
def test_what_steps_take(text: str, steps: list[Any], taken: str | None) -> None:
    assert take(text, *steps, expected=7, variables={"unit": "kg"}) == taken


def documented_rows() -> list[tuple[str, str, str | None]]:
    """(steps, answer, graded) of the page's examples."""
    _, _, rest = PAGE.partition("## Examples")
    rows = re.findall(r"^\| `(.+?)` \| (`.*`) \| (.+) \|$", rest, re.MULTILINE)
    return [
        (
            steps,
            answer.strip("`").strip().replace("⏎", "\n"),
            None if graded == "nothing" else graded,
        )
        for steps, answer, graded in rows
    ]


@pytest.mark.parametrize(("steps", "answer", "graded"), documented_rows())
def test_the_documented_examples_are_true(steps: str, answer: str, graded: str | None) -> None:
    document = parse_yaml(f"[{steps}]", "docs/extraction.md", Problems())
    assert document is not None
    taken = take(answer, *document.value)
    assert taken == (None if graded is None else graded.strip("`"))


@pytest.mark.parametrize("name", registered_names("extraction", installed=False))
def test_the_page_names_every_step_and_argument(name: str) -> None:
    step = load_plugin("extraction", name)
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` | ")][:1]
    for argument in step.arguments.model_fields:
        assert (f"**`{argument}`**" if argument == step.short else f"`{argument}`") in row


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("plain", "", "plain"),
        ("<think>a</think>b", "a", "b"),
        ("\n<think>\na\n</think>\n\nb\n", "a", "b"),
        ("a</think>b", "a", "b"),
        ("<thinking>a</thinking>b", "a", "b"),
        ("<THINK>a</THINK>b", "a", "b"),
        ("<think>a", "a", None),
        ("b\n<think>a", "a", "b\n"),
        ("<think>a</think>b\n<think>c</think>d", "a\nc", "b\nd"),
        ("use the <think> tag", "", "use the <think> tag"),
        ("<think></think>b", "", "b"),
    ],
)
def test_reasoning_between_tags_is_told_from_the_answer(
    text: str, reasoning: str, answer: str | None
) -> None:
    assert split_reasoning(text) == (reasoning, answer)


def grade_extract(text: str, kind: str, arguments: dict[str, Any], *steps: Any) -> Grade:
    (grader,) = build_graders([spec(kind, arguments, extract=long_form(*steps))])
    graded = grader.grade(Answer(text, expected="42"))
    return graded if isinstance(graded, Grade) else finish(graded)


def test_a_grade_says_what_was_graded_and_what_could_not_be() -> None:
    passed = grade_extract("so #### 42", "equals", {}, {"after": "####"}, "strip")
    assert (passed.value, passed.extracted, passed.unparsed) == (True, "42", False)
    failed = grade_extract("so #### 41", "equals", {}, {"after": "####"}, "strip")
    assert (failed.value, failed.extracted, failed.unparsed) == (False, "41", False)
    missing = grade_extract("so 42", "equals", {}, {"after": "####"})
    assert (missing.value, missing.extracted, missing.unparsed) == (False, None, True)
    assert missing.reason == "nothing to extract: '####' is not in 'so 42'"


def test_what_is_no_answer_does_not_pass_a_negation() -> None:
    part = {"equals": {"value": "7"}, "extract": list(long_form({"after": "####"}))}
    assert grade_extract("#### 7", "not", {"grader": part}, "strip").value is False
    assert grade_extract("####42", "not", {"grader": part}).value is True
    negated = grade_extract("42", "not", {"grader": part})
    assert (negated.value, negated.unparsed) == (False, True)


def test_a_part_with_steps_of_its_own_is_given_the_whole_answer() -> None:
    part = {"equals": {"value": "7"}, "extract": list(long_form({"before": " "}))}
    assert grade_extract("7 #### 42", "any", {"graders": [part]}, {"after": "####"}).value is True


def test_a_function_extracts_in_the_child_process() -> None:
    extract = bind_extraction(({"python": {"function": "/f.py:fn"}}, {"strip": {}}))
    assert extract is not None

    def perform(call: ToolCall) -> ToolResult:
        assert call.name == "python:/f.py:fn"
        text = json.loads(call.arguments)["text"]
        return ToolResult(call.id, json.dumps(f" {text.upper()} " if text else None))

    assert finish(extract(Answer("a")), perform) == "A"
    with pytest.raises(NothingToExtract):
        finish(extract(Answer("")), perform)


@pytest.mark.parametrize(
    "text",
    ["```" * 40_000, "`" * 120_000, "\\boxed{" * 20_000, "<answer>" * 20_000, "<think>" * 20_000],
)
def test_hostile_markup_is_gone_through_once(text: str) -> None:
    for steps in (["fence"], ["boxed"], [{"xml": "answer"}], ["reasoning"]):
        take(text, *steps)
