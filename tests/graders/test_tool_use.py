"""tool_calls and turns: which calls meet which expectation."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from harness.graders import Answer
from harness.graders.build import checked_arguments
from harness.graders.response.tool_use import tool_calls_grader, turns_grader
from harness.model import Grade, ToolCall
from tests.graders.grading import error_of, grade


def graded(written: dict[str, Any], answer: Answer) -> Grade:
    """The grade of a grader as a suite writes it."""
    ((name, bare),) = written.items()
    kind = {"tool_calls": tool_calls_grader, "turns": turns_grader}[name]
    return grade(name, kind.expand_arguments(bare), answer)


def answer(*calls: tuple[str, Any], failed: int = 0, turns: int = 2) -> Answer:
    made = tuple(
        ToolCall(
            str(number), name, arguments if isinstance(arguments, str) else json.dumps(arguments)
        )
        for number, (name, arguments) in enumerate(calls)
    )
    return Answer("", tool_calls=made, failed_calls=failed, turns=turns)


OSLO, ROME, PRICE = (
    ("weather", {"city": "Oslo", "unit": "c"}),
    ("weather", {"city": "Rome"}),
    ("price", {"n": 2}),
)


@pytest.mark.parametrize(
    ("bare", "calls", "passed"),
    [
        ("weather", (OSLO,), True),
        ("weather", (PRICE,), False),
        ("weather", (), False),
        ("none", (), True),
        ("none", (OSLO,), False),
        ([], (), True),
        (["weather", "price"], (PRICE, OSLO, ROME), True),
        (["weather", "weather"], (OSLO,), False),
        ({"weather": {"city": "Oslo"}}, (ROME, OSLO), True),
        ({"weather": {"city": "Bergen"}}, (ROME, OSLO), False),
        ({"weather": {"town": "Oslo"}}, (OSLO,), False),
        ({"weather": {}}, (("weather", "{"),), False),
        ("weather", (("weather", "{"),), True),
        ({"price": {"n": 2.0}}, (PRICE,), True),
        ({"price": {"n": True}}, (("price", {"n": 1}),), False),
        # a call that meets both must not be spent on the one that any call would meet
        (["weather", {"weather": {"city": "Oslo"}}], (OSLO, ROME), True),
    ],
)
def test_the_short_form_wants_these_calls_among_others(bare: Any, calls: Any, passed: bool) -> None:
    assert graded({"tool_calls": bare}, answer(*calls)).value is passed


@pytest.mark.parametrize(
    ("match", "calls", "passed"),
    [
        ("in_order", (OSLO, ROME, PRICE), True),
        ("in_order", (PRICE, OSLO), False),
        ("any_order", (PRICE, OSLO), True),
        ("any_order", (PRICE, OSLO, ROME), False),
        ("exact", (OSLO, PRICE), True),
        ("exact", (PRICE, OSLO), False),
        ("exact", (OSLO, PRICE, ROME), False),
        ("subset", (PRICE, ROME, OSLO), True),
    ],
)
def test_how_the_calls_must_match(match: str, calls: Any, passed: bool) -> None:
    wanted = {"calls": [{"weather": {"city": "Oslo"}}, "price"], "match": match}
    assert graded({"tool_calls": wanted}, answer(*calls)).value is passed


def test_exact_arguments_leave_no_room_for_others() -> None:
    wanted = {"calls": [{"weather": {"city": "Oslo"}}]}
    assert graded({"tool_calls": wanted}, answer(OSLO)).value is True
    assert graded({"tool_calls": {**wanted, "exact_arguments": True}}, answer(OSLO)).value is False


def test_calls_that_failed_can_be_too_many() -> None:
    assert graded({"tool_calls": {"failed": 0}}, answer(OSLO, failed=1)).value is False
    assert graded({"tool_calls": {"failed": 1}}, answer(OSLO, failed=1)).value is True


def test_a_failure_says_what_was_called() -> None:
    reason = graded({"tool_calls": {"weather": {"city": "Bergen"}}}, answer(PRICE)).reason
    assert 'weather({"city": "Bergen"}) was not called' in reason
    assert 'price({"n": 2})' in reason


@pytest.mark.parametrize(
    ("bare", "turns", "passed"),
    [(2, 2, True), (1, 2, False), ({"min": 3}, 2, False), ({"min": 1}, 2, True)],
)
def test_turns_are_counted(bare: Any, turns: int, passed: bool) -> None:
    assert graded({"turns": bare}, answer(turns=turns)).value is passed


@pytest.mark.parametrize("bare", [{"tool_calls": "none"}, {"tool_calls": "weather"}, {"turns": 3}])
def test_an_answer_without_a_conversation_is_not_known(bare: Any) -> None:
    found = graded(bare, Answer("reference"))
    assert error_of(found).kind == "unknown"


@pytest.mark.parametrize(
    "bare",
    [
        {},
        3,
        [3],
        [{"a": {}, "b": {}}],
        {"calls": ["a"], "match": "some"},
        {"failed": -1},
        {"weather": "Oslo"},
    ],
)
def test_wrong_arguments_are_refused(bare: Any) -> None:
    with pytest.raises(ValueError, match="tool_calls"):
        checked_arguments(tool_calls_grader, tool_calls_grader.expand_arguments(bare))
    with pytest.raises(ValueError, match="turns"):
        checked_arguments(turns_grader, turns_grader.expand_arguments({}))


@pytest.mark.parametrize("match", ["subset", "any_order"])
@pytest.mark.parametrize(("spare", "passed"), [("b", True), ("c", False)])
def test_thousands_of_equal_calls_are_given_out_at_once(
    match: str, spare: str, passed: bool
) -> None:
    expected = [{"t": {"a": 1}}] * 2_000 + [{"t": {spare: 1}}]
    made = [("t", {"a": 1, "b": 1})] + [("t", {"a": 1})] * 2_000
    started = time.process_time()
    verdict = graded({"tool_calls": {"calls": expected, "match": match}}, answer(*made))
    assert verdict.value is passed
    assert time.process_time() - started < 2


@pytest.mark.parametrize(("last", "passed"), [(299, True), (300, False)])
def test_many_different_calls_are_compared(last: int, passed: bool) -> None:
    expected = [{"t": {"a": number}} for number in (*range(299), last)]
    made = [("t", {"a": number}) for number in range(300)]
    assert graded({"tool_calls": {"calls": expected}}, answer(*made)).value is passed
