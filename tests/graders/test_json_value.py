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
from harness.graders.values.json_difference import find_difference
from harness.model import ToolCall, ToolResult
from harness.registry import load_plugin
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
        ({}, '{"a": 1} and more', True),
        ({}, '{"a": NaN}', False),
        ({}, "```json\n{}", True),
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
        ({"expected": [1.0, {"a": 2.0}], "tolerance": 0.01}, '[1.01, {"a": 1.99}]', True),
        ({"expected": 1.0, "tolerance": 0.01}, "1.011", False),
        ({"expected": [200], "relative": "0.05"}, "[210]", True),
        ({"expected": 1, "tolerance": 1}, "true", False),
        ({"expected": 1, "tolerance": 1}, "1e999", False),
        ({"expected": [[1, 2], [3]], "unordered": True}, "[[3], [2, 1]]", True),
        ({"expected": [1, True, 1.0], "unordered": True}, "[true, 1, 1]", True),
        ({"expected": [1, 1, 2], "unordered": True}, "[1, 2, 2]", False),
        ({"expected": [1, 2], "unordered": True, "tolerance": 1}, "[2.5, 1.5]", True),
        ({"expected": [1, 5], "unordered": True, "tolerance": 1}, "[2, 3]", False),
        (
            {"expected": [{"n": 1}, {"n": 2}, {"n": 3}], "unordered": True, "tolerance": 1},
            '[{"n": 2.5}, {"n": 1.5}, {"n": 0.5}]',
            True,
        ),
        (
            {"expected": [{"n": 1}, {"n": 2}, {"n": 3}], "unordered": True, "tolerance": 1},
            '[{"n": 0}, {"n": 0.5}, {"n": 2}]',
            False,
        ),
        ({"expected": {"a": {"id": 1}, "id": 2}, "ignore": ["id"]}, '{"a": {"id": 9}}', True),
        ({"expected": {"a": {"t": 1}, "t": 2}, "ignore": "$.a.t"}, '{"a": {}, "t": 2}', True),
        ({"expected": {"a": {"t": 1}, "t": 2}, "ignore": "$.a.t"}, '{"a": {}, "t": 3}', False),
        ({"expected": [{"t": 1}], "ignore": "$[*].t"}, '[{"t": 2}]', True),
        ({"expected": [1, 2], "ignore": "$[-1]"}, "[1, 3]", True),
        ({"path": "$.a", "equals": None}, '{"a": null}', True),
        ({"path": "$.a", "equals": None}, "{}", False),
        ({"path": "$.a", "equals": [1.0], "tolerance": 0.1}, '{"a": [1.05]}', True),
        ({"path": "$.a", "absent": True}, "{}", True),
        ({"path": "$.a", "absent": False}, '{"a": null}', True),
        ({"path": "$.a", "absent": False}, "{}", False),
        ({"path": "a[0]", "max": 3}, '{"a": [3]}', True),
        ({"path": "$.a", "max": 3}, '{"a": "2"}', False),
        ({"path": "$.a", "min": 0}, '{"a": true}', False),
        ({"path": "$.a", "matches": r"^\d+$"}, '{"a": "12"}', True),
        ({"path": "$.a", "contains": {"b": 1}}, '{"a": [{"b": 1}]}', True),
        ({"path": "$.a", "contains": "b"}, '{"a": {"b": 1}}', True),
        ({"path": "$.a", "length": 2}, '{"a": [1, 2]}', True),
        ({"path": "$.a", "length": {"min": 1}}, '{"a": ""}', False),
        ({"path": "$.a", "type": ["null", "integer"]}, '{"a": 3.0}', True),
        ({"type": "object"}, "{}", True),
        ({"type": "object"}, "[]", False),
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


@pytest.mark.parametrize(
    ("value", "text", "passes"),
    [
        ({"a": 1}, '{"a": 1, "b": 2}', True),
        ({"a": {"b": 1}}, '{"a": {"c": 1}}', False),
        ([{"b": 1}], '[{"a": 1}, {"b": 1, "c": 1}]', True),
        ([[1], [2]], "[[2, 1]]", True),
        ({}, "[]", False),
        ({"value": {"strict": 1}}, '{"strict": 1, "a": 2}', True),
        ({"value": 1.0, "tolerance": 0.1}, "1.05", True),
    ],
)
def test_a_part_is_looked_for_at_the_same_place(value: Any, text: str, passes: bool) -> None:
    arguments = load_plugin("graders", "contains_json").expand_arguments(value)
    assert grade("contains_json", arguments, text).value is passes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "$.a"}, "a `path` needs one of equals, one_of, min"),
        ({"path": "$.a", "expected": 1}, "`expected` is the whole value"),
        ({"checks": [{"path": "$.a"}]}, "a check needs one of equals"),
        ({"path": "$..a", "min": 1}, "is not a JSON path"),
        ({"matches": "("}, "not a regular expression"),
        ({"min": 3, "max": 2}, "`min` is larger than `max`"),
        ({"absent": True, "min": 2}, "what is absent cannot be anything else"),
        ({"type": "text"}, "type"),
        ({"ignore": ["$"]}, "`$` is the whole value"),
        ({"tolerance": -1}, "greater than or equal to 0"),
    ],
)
def test_checks_that_cannot_be_meant_are_refused_when_built(
    arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        build_graders([spec("json", arguments)])


@pytest.mark.parametrize(
    ("kind", "arguments", "value"),
    [
        ("json", {"expected": [[]] * 3_000, "unordered": True}, [[]] * 3_000),
        (
            "json",
            {
                "expected": [{"n": n} for n in range(60)],
                "unordered": True,
                "tolerance": 0.5,
            },
            [{"n": n + 0.5} for n in range(60)],
        ),
        ("contains_json", {"value": [-1] * 2}, list(range(2_000))),
        ("json", {"path": "$[*]", "min": 0, "one_of": [7, 0]}, [0] * 2_000),
        ("json", {"path": "$", "matches": "(ab|a){100}c"}, "ab" * 9_000),
    ],
)
def test_a_comparison_that_takes_long_is_made_in_a_child(
    kind: str, arguments: dict[str, Any], value: Any
) -> None:
    calls = []

    def perform(call: ToolCall) -> ToolResult:
        calls.append(call.name)
        return call_own(call)

    graded = grade(kind, arguments, json.dumps(value, separators=(",", ":")), perform)
    assert len(calls) == 1
    assert graded.error is None


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


DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}


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
        ({**DRAFT_7, "dependencies": {"a": ["b"]}}, '{"a": 1}', '"b" is required where there is'),
        ({**DRAFT_7, "dependencies": {"a": {"required": ["c"]}}}, '{"a": 1}', '"c" is a required'),
        ({**DRAFT_7, "dependencies": {"a": ["b"]}}, '{"a": 1, "b": 1}', ""),
        ({**DRAFT_7, "items": [{"type": "null"}], "additionalItems": False}, "[null, 1]", "$"),
        ({**DRAFT_7, "items": [{"type": "null"}]}, "[1]", "$[0]: 1 is not of type 'null'"),
        ({**DRAFT_7, "contains": {"const": 1}}, "[2]", "$: "),
        (
            {**DRAFT_7, "$ref": "#/definitions/n", "definitions": {"n": {"type": "null"}}},
            "1",
            "is not of type",
        ),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3}
            | {"exclusiveMinimum": True},
            "3",
            "$: ",
        ),
        ({"$schema": "http://json-schema.org/draft-06/schema#", "const": 1}, "2", "$: 1 was"),
        (
            {"$schema": "https://json-schema.org/draft/2019-09/schema", "items": [{"const": 1}]},
            "[2]",
            "$[0]: 1 was expected",
        ),
        (
            {"$ref": "#/$defs/n", "maximum": 3, "$defs": {"n": {"type": "integer"}}},
            "4",
            "$: ",
        ),
        ({"type": "object", "x-note": 1, "example": {}}, "{}", ""),
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
        (
            {"type": "object", "propertes": {}},
            "$: `propertes` is no keyword of JSON Schema; did you mean `properties`?",
        ),
        (
            {"properties": {"a": {"type": "string", "nullable": True}}},
            "$.properties.a: `nullable` is OpenAPI's and checks nothing; write"
            ' `type: [string, "null"]`',
        ),
        (
            {"type": "object", "dependencies": {"a": ["b"]}},
            "`dependencies` is a keyword of draft-07, and not of 2020-12; name",
        ),
        (
            {**DRAFT_7, "definitions": {"a": {}}, "$ref": "#/definitions/a", "minLength": 1},
            "`minLength` has no effect beside `$ref` in draft-07",
        ),
        ({**DRAFT_7, "dependentRequired": {}, "type": "object"}, "is a keyword of 2020-12, and"),
        ({"$schema": "https://example.com/mine", "type": "object"}, "is no known draft"),
        ({**DRAFT_7, "dependencies": {"a": {"type": "text"}}}, "there is no type"),
        ({**DRAFT_7, "items": [{"pattern": "(?=x)"}]}, "not in RE2 syntax"),
        ({"type": "object", "definitions": 3}, "not a JSON Schema"),
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
        (
            {"$schema": "https://json-schema.org/draft/2020-12/schema", "items": {"minimum": 0}},
            [0] * 5_000,
        ),
        ({**DRAFT_7, "items": {"minimum": 0}}, [0] * 5_000),
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
