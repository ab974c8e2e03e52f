"""equals, contains, icontains, starts_with, ends_with, one_of, regex: what passes and what does
not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from harness.graders import Answer, build_graders
from harness.model import Error, ToolCall, ToolResult
from tests.graders.grading import call_own, error_of, grade, spec


@pytest.mark.parametrize(
    ("kind", "arguments", "text", "passes"),
    [
        ("equals", {"value": "billing"}, "billing", True),
        ("equals", {"value": "billing"}, " billing\n", True),
        ("equals", {"value": "billing\n"}, "billing", True),
        ("equals", {"value": "billing", "strip": False}, "billing\n", False),
        ("equals", {"value": "billing"}, "Billing", False),
        ("equals", {"value": "billing", "ignore_case": True}, "BILLING", True),
        ("equals", {"value": "straße", "ignore_case": True}, "STRASSE", True),
        ("equals", {"value": "billing"}, "billing.", False),
        ("equals", {"value": 41}, "41", True),
        ("equals", {"value": 4.5}, "4.5", True),
        ("equals", {"value": True}, "true", True),
        ("equals", {"value": None}, "null", True),
        ("equals", {"value": [1, "a"]}, '[1, "a"]', True),
        ("equals", {"value": ""}, "", True),
        ("contains", {"value": "sorry"}, "I am sorry.", True),
        ("contains", {"value": "sorry"}, "I am Sorry.", False),
        ("contains", {"value": ["one", "two"]}, "two, one", True),
        ("contains", {"value": ["one", "two"]}, "one", False),
        ("contains", {"value": ["one", "two"], "mode": "any"}, "one", True),
        ("contains", {"value": ["one", "two"], "mode": "any"}, "three", False),
        ("contains", {"value": 7}, "17", True),
        ("icontains", {"value": "SORRY"}, "so sorry", True),
        ("icontains", {"value": ["ONE", "two"]}, "One TWO", True),
        ("starts_with", {"value": "Dear"}, "\n Dear Ann", True),
        ("starts_with", {"value": "dear"}, "Dear Ann", False),
        ("starts_with", {"value": "dear", "ignore_case": True}, "Dear Ann", True),
        ("starts_with", {"value": "Dear", "strip": False}, " Dear Ann", False),
        ("ends_with", {"value": "Bye."}, "… Bye. \n", True),
        ("ends_with", {"value": "bye."}, "Bye.", False),
        ("one_of", {"values": ["a", "b"]}, "b", True),
        ("one_of", {"values": ["a", "b"]}, "c", False),
        ("one_of", {"values": ["a", "b"]}, "B\n", False),
        ("one_of", {"values": ["a", "b"], "ignore_case": True}, "B\n", True),
        ("one_of", {"values": [1, 2]}, "2", True),
        ("regex", {"pattern": r"\d{3}"}, "call 911", True),
        ("regex", {"pattern": r"^\d+$"}, "911\n", True),
        ("regex", {"pattern": r"^\d+$"}, "call 911", False),
        ("regex", {"pattern": r"\d+", "full": True}, "911 now", False),
        ("regex", {"pattern": r"\d+", "full": True}, "911", True),
        ("regex", {"pattern": "äb", "ignore_case": True}, "ÄB", True),
        ("regex", {"pattern": "b"}, "a\ud800b", True),
    ],
)
def test_verdicts(kind: str, arguments: dict[str, Any], text: str, passes: bool) -> None:
    graded = grade(kind, arguments, text)
    assert (graded.value, graded.error) == (passes, None)
    assert bool(graded.reason) is not passes, "a failure says why, a pass needs no words"


@pytest.mark.parametrize("kind", ["equals", "contains", "icontains", "starts_with", "ends_with"])
def test_what_the_case_expects_is_the_default(kind: str) -> None:
    assert grade(kind, {}, Answer("billing", expected="billing")).passed is True
    assert grade(kind, {}, Answer("billing", expected="returns")).passed is False


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        ("contains", {"value": ""}, "every answer contains the empty text"),
        ("contains", {"value": []}, "the text to look for must not be empty"),
        ("one_of", {"values": []}, "at least one"),
        ("one_of", {}, "values"),
        ("equals", {"value": "a", "ignorecase": True}, "ignorecase"),
        ("equals", {"value": "a", "strip": "yes"}, "strip"),
        ("regex", {"pattern": "("}, "not a regular expression"),
        ("regex", {"pattern": "(?=a"}, "not a regular expression"),
        ("regex", {"pattern": r"(?P<x>a)\2"}, "invalid group reference"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_when_built(
    kind: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        build_graders([spec(kind, arguments)])


# Patterns known to take backtracking engines exponential or high polynomial time, each with a text
# that makes them.
SLOW = [
    (r"(a|aa)+$", "a" * 50_000 + "b"),
    (r"(a+)+$", "a" * 50_000 + "b"),
    (r"^([a-zA-Z]+)*$", "a" * 50_000 + "1"),
    (r"^(a|a)*$", "a" * 50_000 + "b"),
    (r"(.*a){12}$", "a" * 20_000 + "b"),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 50_000),
    (r"(x+x+)+y", "x" * 50_000),
    (r"^(\w+\s?)*$", "word " * 10_000 + "!"),
    (r"(\s*,\s*)+;", " , " * 20_000),
    (r"^(\d+)*[a-z]$", "1" * 50_000 + "!"),
]


@pytest.mark.parametrize(("pattern", "text"), SLOW, ids=[pattern for pattern, _ in SLOW])
def test_no_answer_makes_a_pattern_slow(pattern: str, text: str) -> None:
    """Python's `re` would still be at it when the test's time limit, the only clock here,
    ends it."""
    assert grade("regex", {"pattern": pattern}, text, call_own).value is False


class Children:
    """Answers the calls a grader makes as the child pool would, and keeps them."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []

    def __call__(self, call: ToolCall) -> ToolResult:
        self.calls.append(call)
        arguments = json.loads(call.arguments)
        found = re.search(
            arguments["pattern"],
            arguments["text"],
            re.IGNORECASE if arguments["ignore_case"] else 0,
        )
        return ToolResult(call.id, json.dumps(found is not None))


@pytest.mark.parametrize("pattern", [r"(?<=: )42$", r"(\d)(?!\1)", r"\A.*\Z", "a{1001}|4"])
def test_a_pattern_beyond_re2_is_matched_in_a_child_process(pattern: str) -> None:
    children = Children()
    graded = grade("regex", {"pattern": pattern}, "answer: 42\n", children)
    assert graded.value is True
    assert [call.name for call in children.calls] == ["regex"]


def test_a_pattern_that_had_to_be_ended_is_a_grader_error() -> None:
    ended = Error("tool", "timeout", "it took longer than 2 s and was stopped")
    graded = grade(
        "regex", {"pattern": r"(?=a)(a|aa)+$"}, "aaaa", lambda call: ToolResult(call.id, "", ended)
    )
    assert error_of(graded).kind == "timeout"
