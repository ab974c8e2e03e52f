"""No answer holds up the event loop: what a grader, a tool's arguments or a response format cost in
this process, before the rest goes to a child."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.engine.structured_output import parse_structured_output
from harness.flows.base import TARGET
from harness.flows.conversation import converse
from harness.graders import Answer, build_graders
from harness.model import (
    Action,
    Conversation,
    Exchange,
    Identity,
    Message,
    Request,
    Response,
    ResponseFormat,
    Tool,
    ToolCall,
    Trial,
)
from tests.graders.grading import spec
from tests.graders.nasty_answers import NASTY

MOST_SECONDS = 0.2
"""About ten milliseconds are needed; the rest is for a slow machine."""
TREE = {"anyOf": [{"type": "number"}, {"items": {"$ref": "#"}, "minItems": 2}]}


@pytest.fixture(autouse=True, scope="module")
def _collect_no_garbage() -> Iterator[None]:
    """As in a run, where garbage is collected seldom."""
    gc.disable()
    yield
    gc.enable()


def seconds_here(begin: Callable[[], Any]) -> float:
    """The processor time until a check has its result or leaves for a child: the least of up to
    five."""
    least = float("inf")
    for _ in range(5):
        started = time.thread_time()
        flow = begin()
        if hasattr(flow, "send"):
            next(flow, None)
        least = min(least, time.thread_time() - started)
        if least < MOST_SECONDS:
            break
    return least


def slow_ones(check: Callable[[str], Any]) -> dict[str, float]:
    """The seconds of each nasty answer that holds the loop for too long."""
    spent = {name: seconds_here(lambda text=text: check(text)) for name, text in NASTY.items()}
    return {name: seconds for name, seconds in spent.items() if seconds >= MOST_SECONDS}


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("equals", {"value": "x"}),
        ("contains", {"value": "yy"}),
        ("icontains", {"value": "yy"}),
        ("one_of", {"values": ["a", "b"]}),
        ("starts_with", {"value": "x"}),
        ("ends_with", {"value": "x"}),
        ("regex", {"pattern": "(a|b)+c$"}),
        ("regex", {"pattern": "(?=a)b"}),
        ("length", {"max": 3}),
        ("number", {"expected": 3}),
        ("choice", {"options": ["A", "B", "no", "yes"], "expected": "A"}),
        ("javascript", {"code": "/^(x+x+)+z$/.test(output) || output.split('').sort().length < 3"}),
        ("json", {}),
        ("json", {"expected": {"a": 1}}),
        ("json", {"path": "$[*].a", "equals": [1], "unordered": True}),
        ("contains_json", {"value": [{"a": 2}, 3]}),
        ("json_schema", {"schema": TREE}),
        ("tool_calls", {"calls": [{"f": {"a": 1}}], "match": "subset"}),
    ],
)
def test_no_answer_holds_a_grader_up(kind: str, arguments: dict[str, Any]) -> None:
    (grader,) = build_graders([spec(kind, arguments)])
    grader.grade(Answer("warm"))
    assert not slow_ones(
        lambda text: grader.grade(Answer(text, turns=1, tool_calls=(ToolCall("1", "f", text),)))
    )


def test_no_answer_holds_a_response_format_up() -> None:
    def check(text: str) -> Any:
        exchange = Exchange(
            "t0",
            TARGET,
            "tiny",
            Request(response_format=ResponseFormat("json_schema", TREE)),
            Response(Message("assistant", text)),
        )
        return parse_structured_output([exchange])

    assert not slow_ones(check)


def test_no_arguments_hold_a_tool_up() -> None:
    identity = Identity("e", "c", "p", "t", "s", 0)
    trial = Trial(identity, "k", Request((Message("user", "?"),), tools=(Tool("f", "", TREE),)))
    conversation = Conversation(actions={"f": Action(returns="fine")}, max_turns=2)

    def check(text: str) -> None:
        flow = converse(trial, conversation)
        next(flow)
        flow.send(Response(Message("assistant", "", tool_calls=(ToolCall("1", "f", text),))))

    assert not slow_ones(check)
