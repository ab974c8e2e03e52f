"""json and json_schema: JSON's own equality, fences, and schemas that no answer can abuse."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.json_validation import MAX_INLINE_STEPS, TooManySteps, find_violation
from harness.config.schema_check import check_schema
from harness.graders import Answer, build_graders
from harness.graders.values.json_value import find_difference
from tests.graders.grading import call_own, grade, spec

FENCED = 'Here it is:\n```json\n{"a": 1}\n```\nAnything else?'


@pytest.mark.parametrize(
    ("arguments", "text", "passes"),
    [
        ({}, '{"a": 1}', True),
        ({}, " [1, 2] \n", True),
        ({}, "3", True),
        ({}, "null", True),
        ({}, FENCED, True),
        ({}, "```\n[1]\n```", True),
        ({}, "```[1]```", True),
        ({}, "", False),
        ({}, "{'a': 1}", False),
        ({}, '{"a": 1} and more', False),
        ({}, '{"a": NaN}', False),
        ({}, "```json\n{}", False),
        ({}, "[" * 100_000, False),
        ({}, '{"code": "```"}', True),
        ({"strict": True}, FENCED, False),
        ({"strict": True}, '{"a": 1}\n', True),
        ({"expected": {"a": 1}}, FENCED, True),
        ({"expected": {"a": 1}}, "```json\n{}\n```\nor rather\n```json\n" + '{"a": 1}\n```', True),
        ({"expected": {"a": 1, "b": 2}}, '{"b": 2, "a": 1}', True),
        ({"expected": {"a": 1}}, '{"a": 1.0}', True),
        ({"expected": {"a": 1}}, '{"a": true}', False),
        ({"expected": {"a": 1}}, '{"a": "1"}', False),
        ({"expected": {"a": 1}}, '{"a": 1, "b": 2}', False),
        ({"expected": {"a": None}}, "{}", False),
        ({"expected": [1, 2]}, "[2, 1]", False),
        ({"expected": [1, 2]}, "[1, 2, 3]", False),
        ({"expected": None}, "null", True),
        ({"expected": None}, "{}", False),
        ({"expected": "abc"}, '"abc"', True),
        ({"expected": '{"a": 1}'}, '{"a": 1}', True),
        ({"expected": 12345678901234567890123}, "12345678901234567890124", False),
    ],
)
def test_json_verdicts(arguments: dict[str, Any], text: str, passes: bool) -> None:
    graded = grade("json", arguments, text)
    assert (graded.value, graded.error) == (passes, None)


@pytest.mark.parametrize(
    ("expected", "found", "sentence"),
    [
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "$.a.b[1]: expected 2, got 3"),
        ([12.5], ["12.5"], '$[0]: expected 12.5, got "12.5"'),
        ("a", "b" * 99, f'$: expected "a", got "{"b" * 79}…'),
        ({"a": 1}, {}, "$.a: missing"),
        ({}, {"a": 1}, "$.'a': not expected"),
        ([1], [], "$: expected 1 item, got 0"),
        (0, False, "$: expected 0, got false"),
    ],
)
def test_the_reason_names_the_first_difference(expected: Any, found: Any, sentence: str) -> None:
    assert find_difference(expected, found) == sentence


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_two_values_differ_where_their_canonical_texts_do(one: Any, other: Any) -> None:
    same = canonical(one) == canonical(other)
    assert (find_difference(one, other) is None) is same
    assert find_difference(one, one) is None


def canonical(value: Any) -> str:
    """JSON text with sorted keys in which whole floats are integers: an independent definition of
    equality."""

    def whole(item: Any) -> Any:
        if isinstance(item, float) and item.is_integer():
            return int(item)
        if isinstance(item, list):
            return [whole(each) for each in item]
        return {key: whole(each) for key, each in item.items()} if isinstance(item, dict) else item

    return json.dumps(whole(value), sort_keys=True)


ORDER = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[A-Z]-[0-9]+$"},
        "items": {"type": "array", "uniqueItems": True},
    },
    "required": ["id"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "text", "reason"),
    [
        (ORDER, '{"id": "A-1"}', ""),
        (ORDER, '```json\n{"id": "A-1", "items": [1, true, "1", [1], {"a": 1}]}\n```', ""),
        (ORDER, "{}", '$: "id" is a required property'),
        (ORDER, '{"id": "A-x"}', "$.id: 'A-x' does not match"),
        (ORDER, '{"id": "A-1", "b": 1}', "$: the key 'b' is not allowed"),
        (
            ORDER,
            '{"id": "A-1", "items": [{"a": 1}, {"a": 1.0}]}',
            "$.items: the list contains an item twice",
        ),
        (ORDER, "not JSON", "not JSON"),
        (True, "1", ""),
        (False, "1", "no value is allowed here; it is 1"),
        ({"type": ["string", "boolean"]}, "null", "$: null is not of type 'string', 'boolean'"),
        (
            {"enum": [True, None, "a"]},
            '{"a": false}',
            '$: {"a": false} is not one of [true, null, "a"]',
        ),
        ({"const": None}, "true", "$: null was expected, not true"),
        ({"minItems": 3}, '[null, "a"]', '$: [null, "a"] is too short: at least 3 items'),
        ({"not": {"type": "null"}}, "null", '$: null must not fit {"type": "null"}'),
        ({"oneOf": [True, True]}, '"a"', '$: "a" fits more than one of the schemas of `oneOf`'),
        ({"anyOf": [False, {"type": "null"}]}, "[]", "$: [] fits none of the schemas of `anyOf`"),
        ({"dependentRequired": {"a": ["b"]}}, '{"a": 1}', '"b" is required where there is "a"'),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, "1", ""),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, '"1"', "is not of type"),
        (
            {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
            '{"x1": 1}',
            "",
        ),
        (
            {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
            '{"x1": "a"}',
            "$.x1:",
        ),
        (
            {
                "patternProperties": {"^x": {"type": "integer"}},
                "additionalProperties": {"type": "null"},
            },
            '{"y": 1}',
            "$.y:",
        ),
        ({"properties": {"pattern": {"enum": ["("]}}}, '{"pattern": "("}', ""),
    ],
)
def test_schema_verdicts(schema: Any, text: str, reason: str) -> None:
    graded = grade("json_schema", {"schema": schema}, text)
    assert (graded.value, graded.error) == (reason == "", None)
    assert reason in graded.reason


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "text"}, "not a JSON Schema: $.type"),
        ({"file": "schema.json"}, "none of its keys (file) is a keyword"),
        ({"$ref": "https://example.com/schema.json"}, "only references inside it"),
        ({"$ref": "file:///etc/passwd"}, "only references inside it"),
        ({"items": {"$ref": "other.json"}}, "only references inside it"),
        ({"properties": {"a": {"pattern": "(?=x)"}}}, "not in RE2 syntax"),
        ({"patternProperties": {r"(a)\1": {}}}, "not in RE2 syntax"),
        ({"unevaluatedProperties": False}, "use additionalProperties"),
        ({"$ref": "#/nowhere"}, "'#/nowhere' does not exist in the schema"),
        (
            {"properties": {"a": {"items": {"$ref": "#/$defs/b"}}}},
            "'#/$defs/b' does not exist in the schema",
        ),
        ({"$ref": "#"}, "'#' refers to itself endlessly"),
        (
            {"type": "object", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
            "'#/$defs/a' refers to itself endlessly",
        ),
    ],
)
def test_a_schema_that_could_not_be_checked_safely_is_refused_when_built(
    schema: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        build_graders([spec("json_schema", {"schema": schema})])


@pytest.mark.parametrize(
    ("divisor", "text", "fits"),
    [
        (0.01, "19.99", True),
        (0.01, "19.995", False),
        (2, "4", True),
        (2, "5", False),
        (0.01, "1e999", False),
        (0.01, "9" * 4_000, True),
        (2, '"five"', True),
    ],
)
def test_a_multiple_is_one_by_its_decimal_digits(divisor: float, text: str, fits: bool) -> None:
    """In binary 19.99 / 0.01 is 1998.9999999999998; what is beyond a float must not break the
    grader."""
    graded = grade("json_schema", {"schema": {"multipleOf": divisor}}, text)
    assert (graded.value, graded.error) == (fits, None)


def test_a_schema_may_refer_to_itself_where_the_value_ends() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert grade("json_schema", {"schema": tree}, '{"next": {"next": {}}}').value is True
    assert grade("json_schema", {"schema": tree}, '{"next": {"next": 3}}').value is False


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 100_000 + "b"),
        ({"patternProperties": {"^(a|aa)+$": False}}, {"a" * 100_000 + "b": 1}),
        (
            {"patternProperties": {"^(a|aa)+$": {}}, "additionalProperties": {}},
            {"a" * 100_000 + "b": 1},
        ),
        ({"uniqueItems": True}, [[number] for number in range(30_000)]),
    ],
    ids=["pattern", "patternProperties", "additionalProperties", "uniqueItems"],
)
def test_no_answer_makes_a_schema_slow(schema: Any, value: Any) -> None:
    """With `re`, or item by item, these take hours or minutes; the test's time limit is the only
    clock here."""
    assert grade("json_schema", {"schema": schema}, json.dumps(value), call_own).error is None


EXPRESSION = {
    "$ref": "#/$defs/e",
    "$defs": {
        "e": {
            "oneOf": [
                {"type": "integer"},
                {
                    "type": "object",
                    "properties": {"add": {"$ref": "#/$defs/e"}, "to": {"$ref": "#/$defs/e"}},
                    "required": ["add", "to"],
                },
                {
                    "type": "object",
                    "properties": {"add": {"$ref": "#/$defs/e"}},
                    "required": ["add", "minus"],
                },
            ]
        }
    },
}
"""A tree whose branches have a part in common: each level is looked at twice as often as the one
above."""


def nested_sum(levels: int, innermost: Any = 1) -> Any:
    for _ in range(levels):
        innermost = {"add": innermost, "to": 1}
    return innermost


def test_a_schema_that_refers_to_itself_twice_takes_no_longer_for_each_level() -> None:
    assert grade("json_schema", {"schema": EXPRESSION}, json.dumps(nested_sum(30))).value is True
    wrong = grade("json_schema", {"schema": EXPRESSION}, json.dumps(nested_sum(30, "x")))
    assert (wrong.value, wrong.error) == (False, None)


def doubling(keyword: str, levels: int = 45) -> dict[str, Any]:
    """Each level refers to the next twice."""

    def schema(level: int) -> dict[str, Any]:
        following = {"$ref": f"#/$defs/d{level + 1}"}
        if keyword == "if":
            return {"if": {"not": following}, "then": following, "else": following}
        return {keyword: [following, following]}

    steps = 30 if keyword == "if" else levels
    levels_of = {f"d{level}": schema(level) for level in range(steps)}
    return {"$ref": "#/$defs/d0", "$defs": {**levels_of, f"d{steps}": {"type": "string"}}}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "if"])
def test_a_schema_that_doubles_is_checked_and_checked_against(keyword: str) -> None:
    assert grade("json_schema", {"schema": doubling(keyword)}, '"text"').value is True
    assert grade("json_schema", {"schema": doubling(keyword)}, "3").value is False


def chained(levels: int) -> dict[str, Any]:
    chain = {f"d{level}": {"$ref": f"#/$defs/d{level + 1}"} for level in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**chain, f"d{levels}": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (chained(5_000), "more than 100 schemas refer to each other"),
        ({"enum": list(range(30_000))}, "may have 20,000 values"),
        ({"properties": [1]}, "not a JSON Schema: $.properties"),
        ({"type": "string", "allOf": [{"$ref": "#/type"}]}, "not a JSON Schema"),
        ({"anyOf": [{"type": "null"}, {"$ref": "#"}]}, "'#' refers to itself endlessly"),
    ],
)
def test_a_schema_that_is_too_much_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (
            {"patternProperties": {f"^k{number}_": {} for number in range(3_000)}},
            {f"k{number}_": 1 for number in range(3_000)},
        ),
        ({"contains": {"contains": {"const": 1}}}, [[0] * 700] * 700),
        ({"items": {"enum": [[0] * 100] * 100}}, [[0] * 100] * 15),
        ({"anyOf": [{"type": "null"}] * 500}, ["x" * 300] * 1_000),
        ({"items": {"uniqueItems": True}}, [list(range(1_500))] * 100),
        ({"pattern": "(ab|a){100}c"}, "ab" * 10_000),
        ({"items": {"properties": {f"k{n}": {} for n in range(1_000)}}}, [{}] * 1_000),
        ({"propertyNames": {"pattern": "^(a|b)*$"}}, {"ab" * n: 1 for n in range(900)}),
    ],
)
def test_a_check_ends_after_so_many_steps(schema: Any, value: Any) -> None:
    check_schema(schema)
    began = time.process_time()
    with pytest.raises(TooManySteps):
        find_violation(schema, value, MAX_INLINE_STEPS)
    assert time.process_time() - began < 0.5  # milliseconds where nothing else runs


def test_json_compares_with_an_object_the_case_expects() -> None:
    answer = Answer('{"name": "{{ 7 * 7 }}"}', expected={"name": "{{ 7 * 7 }}"})
    assert grade("json", {"expected": "{{ expected }}"}, answer).value is True


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2026-02-28", "2026-02-30"),
        ("date-time", "2026-02-28T10:00:00Z", "2026-02-28 10:00"),
        ("time", "10:00:00+01:00", "25:00:00Z"),
        ("email", "a@b.example", "a at b"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", ":::1"),
        ("regex", "a(b)?", "a(b"),
        ("uri", "https://b.example/x?y=1", "b.example x"),
        ("uuid", "12345678-1234-5678-1234-567812345678", "12345678"),
    ],
)
def test_a_format_is_checked_unless_it_is_turned_off(name: str, good: str, bad: str) -> None:
    schema = {"type": "string", "format": name}
    assert grade("json_schema", {"schema": schema}, json.dumps(good)).value is True
    failed = grade("json_schema", {"schema": schema}, json.dumps(bad))
    assert (failed.value, failed.reason[:2]) == (False, "$:")
    assert f"is not a{'n' if name[0] in 'aei' else ''} {name}" in failed.reason
    assert grade("json_schema", {"schema": schema, "format": False}, json.dumps(bad)).value is True


@pytest.mark.parametrize("text", ["(" * 900, "(" * 100_000, "a:" * 400])
def test_no_text_makes_a_format_slow_or_breaks_it(text: str) -> None:
    for name in ("regex", "uri", "idn-hostname", "date-time"):
        graded = grade("json_schema", {"schema": {"format": name}}, json.dumps(text))
        assert graded.error is None


def test_of_a_large_value_only_what_is_shown_is_written_out() -> None:
    found = grade("json", {"expected": {"a": 1}}, json.dumps([{"b": [1, None, "x"]}] * 100_000))
    assert found.reason == (
        '$: expected {"a": 1}, got [{"b": [1, null, "x"]}, {"b": [1, null, "x"]}, {"b": [1, null,'
        ' "x"]}, {"b": [1, …'
    )
    assert grade("json", {"expected": 1}, '{"a": [], "b": {}}').reason.endswith(
        'got {"a": [], "b": {}}'
    )
