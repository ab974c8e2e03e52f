"""Building and grading: templates, data that stays data, errors that stay on their grade."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.flows.base import Ask, AskFailed, Flow
from harness.graders import (
    Answer,
    Arguments,
    Grader,
    GraderError,
    GraderType,
    Verdict,
    build_graders,
    grade_answer,
    run_grader,
)
from harness.model import Error, Request, Response
from harness.registry import load_plugin, registered_names
from tests.graders.grading import error_of, finish, grade, spec

HOSTILE = [
    "{{7*7}}",
    "{{ 7 * 7 }}",
    "{0.__class__}",
    "{% for x in y %}",
    "{{ expected }}",
    "{# #}",
    "%s",
    "${HOME}",
    "{{ self }}",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"value": "{{ expected }}"}, {"value": "{{ answer }}"}, {"value": "{{ answer }}{{ '' }}"}],
)
def test_an_answer_and_a_cases_values_are_never_templates(
    text: str, arguments: dict[str, Any]
) -> None:
    answer = Answer(text, expected=text, variables={"answer": text})
    assert grade("equals", arguments, answer).value is True
    assert grade("contains", {"value": ["{{ answer }}"]}, answer).value is True
    assert grade("not", {"grader": {"equals": "{{ answer }}"}}, answer).value is False
    wrong = grade("equals", {"value": "49"}, answer)
    assert wrong.value is False
    assert repr(text) in wrong.reason


@given(st.text(), st.text())
def test_equals_is_equality_of_text_through_every_way_to_say_it(text: str, expected: str) -> None:
    answer = Answer(text, expected=expected, variables={"label": expected})
    outcomes = {
        grade("equals", {"value": value, "strip": False}, answer).value
        for value in ("{{ expected }}", "{{ label }}", "{{ label | string }}")
    }
    assert outcomes == {text == expected}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (41, "41"),
        (4.0, "4.0"),
        (-0.0, "-0.0"),
        (0.0, "0.0"),
        (True, "true"),
        (1, "1"),
        (False, "false"),
        (0, "0"),
        (None, "null"),
    ],
)
def test_values_that_are_equal_in_python_are_not_mixed_up(value: Any, text: str) -> None:
    """One grader sees them all in turn, so that anything it remembers would show."""
    (grader,) = build_graders([spec("equals")])
    for expected in (1, True, 0, False, 0.0, -0.0, value):
        finish(run_grader(grader, Answer("", expected=expected)))
    assert finish(run_grader(grader, Answer(text, expected=value))).value is True


def test_a_template_may_be_part_of_a_text_and_of_a_list() -> None:
    answer = Answer("Dear Ann, bye.", variables={"name": "Ann", "words": ["Dear", "bye"]})
    assert grade("starts_with", {"value": "Dear {{ name }},"}, answer).value is True
    assert (
        grade("contains", {"value": ["{{ name | upper }}", "bye"], "mode": "any"}, answer).value
        is True
    )
    assert grade("contains", {"value": "{{ words }}"}, answer).value is True


def test_an_undefined_variable_is_an_error_of_the_grade_that_names_it() -> None:
    error = error_of(
        grade("equals", {"value": "{{ lable }}"}, Answer("x", variables={"label": "x"}))
    )
    assert error.kind == "invalid_arguments"
    assert "lable" in error.message


def test_arguments_that_fit_no_grader_once_filled_in_are_an_error_of_the_grade() -> None:
    error = error_of(grade("regex", {"pattern": "{{ p }}"}, Answer("x", variables={"p": "("})))
    assert error.kind == "invalid_arguments"
    assert "not a regular expression" in error.message


def test_grades_come_in_order_with_their_name_weight_and_threshold() -> None:
    specs = [
        spec("equals", {"value": "a"}, id="first", weight=2),
        spec("contains", {"value": "b"}, weight=0, threshold=0.5),
    ]
    grades = finish(grade_answer(build_graders(specs), Answer("a")))
    assert [(each.name, each.value, each.weight, each.threshold) for each in grades] == [
        ("first", True, 2, None),
        ("contains", False, 0, 0.5),
    ]


def grader_of(function: Any) -> Grader:
    return Grader("own", 1.0, None, function)


def test_a_grader_that_raises_is_a_null_grade_and_its_neighbours_are_not_harmed() -> None:
    def broken(answer: Answer) -> Verdict:
        raise ZeroDivisionError("by zero")

    bad, good = finish(
        grade_answer(
            [grader_of(broken), *build_graders([spec("equals", {"value": "a"})])], Answer("a")
        )
    )
    assert (error_of(bad).kind, error_of(bad).message) == ("raised", "ZeroDivisionError: by zero")
    assert good.value is True


def test_a_failed_ask_is_a_null_grade_that_may_be_tried_again() -> None:
    def judging(answer: Answer) -> Flow[Verdict]:
        response = yield Ask("judge", Request())
        return Verdict(response.text == "yes")

    flow = run_grader(grader_of(judging), Answer("a"))
    next(flow)
    with pytest.raises(StopIteration) as ended:
        flow.throw(
            AskFailed(
                Response(error=Error("transport", "timeout", "no answer in 60 s", retryable=True))
            )
        )
    error = error_of(ended.value.value)
    assert (error.kind, error.message, error.retryable) == ("timeout", "no answer in 60 s", True)


def test_a_grader_can_say_that_it_cannot_say() -> None:
    def unsure(answer: Answer) -> Verdict:
        raise GraderError("unparseable", "the judge gave no verdict", retryable=True)

    assert error_of(finish(run_grader(grader_of(unsure), Answer("a")))).retryable is True
    assert (
        error_of(
            finish(run_grader(grader_of(lambda answer: Verdict(None, "no idea")), Answer("a")))
        ).message
        == "no idea"
    )


def test_a_name_nobody_registered_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        build_graders([spec("sentiment")])


BUILT_IN = registered_names("graders", installed=False)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_grader_says_what_its_arguments_mean(name: str) -> None:
    kind: GraderType[Arguments] = load_plugin("graders", name)
    assert kind.name == name
    assert kind.short is None or kind.short in kind.arguments.model_json_schema()["properties"]
    for field in kind.arguments.model_fields.values():
        assert field.description
        assert field.description.endswith(".")


@pytest.mark.parametrize(
    ("name", "bare", "arguments"),
    [
        ("equals", "x", {"value": "x"}),
        ("equals", None, {"value": "{{ expected }}"}),
        ("equals", {"ignore_case": True}, {"value": "{{ expected }}", "ignore_case": True}),
        ("equals", {"valu": "x"}, {"value": "{{ expected }}", "valu": "x"}),
        ("one_of", ["a", "b"], {"values": ["a", "b"]}),
        ("number", 3, {"expected": 3}),
        ("json", None, {}),
        ("json", {}, {}),
        ("json_schema", {"type": "object"}, {"schema": {"type": "object"}}),
        (
            "json_schema",
            {"schema": {"type": "object"}, "strict": True},
            {"schema": {"type": "object"}, "strict": True},
        ),
        ("json_schema", "schema.json", {"schema": "schema.json"}),
        (
            "json_schema",
            {"type": "string", "format": "email"},
            {"schema": {"type": "string", "format": "email"}},
        ),
        (
            "json_schema",
            {"schema": {"type": "string"}, "format": False},
            {"schema": {"type": "string"}, "format": False},
        ),
        ("not", {"contains": "x"}, {"grader": {"contains": {"value": "x"}}}),
        (
            "any",
            ["json", {"number": None}],
            {"graders": [{"json": {}}, {"number": {"expected": "{{ expected }}"}}]},
        ),
    ],
)
def test_short_forms(name: str, bare: Any, arguments: dict[str, Any]) -> None:
    assert load_plugin("graders", name).expand_arguments(bare) == arguments
