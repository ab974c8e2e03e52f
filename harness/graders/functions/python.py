"""The python grader: a function of the user's own judges the answer, in a child process that can be
killed.

The function is given one argument with the Answer's fields as attributes, and returns a bool, a
number in 0..1, a label, None, or {"value": …, "reason": …}. What it may do, and what it cannot be
kept from doing, is in docs/graders.md.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import asdict
from pydantic import Field, field_validator

from harness.config.diagnostics import quote_text
from harness.flows.base import Flow
from harness.graders.base import (
    Answer,
    Arguments,
    GraderError,
    GraderType,
    Verdict,
    read_tool_value,
)
from harness.model import Message, ToolCall

PYTHON_TOOL = "python:"
"""What the ToolCall's name begins with; then come the file's absolute path, a colon, and the
function's name."""


class Python(Arguments):
    """Arguments of `python`."""

    function: str = Field(description="The file and the function in it: `grader.py:grade`.")

    @field_validator("function")
    @classmethod
    def _names_a_function(cls, value: str) -> str:
        path, _, function = value.rpartition(":")
        if not path or not function.isidentifier():
            raise ValueError("must be a file and a function, such as grader.py:grade")
        return value


def _grade_by_function(arguments: Python, answer: Answer) -> Flow[Verdict]:
    return _read_verdict(read_tool_value((yield call_function(arguments, answer))))


def call_function(arguments: Python, answer: Answer) -> ToolCall:
    """The call of the user's function with the answer's fields."""
    name = PYTHON_TOOL + arguments.function
    return ToolCall(name, name, json.dumps(_answer_fields(answer), default=str))


def _answer_fields(answer: Answer) -> dict[str, Any]:
    """What the function sees; of images only that the message has a text beside them."""
    return {
        "text": answer.text,
        "original": answer.text if answer.original is None else answer.original,
        "expected": answer.expected,
        "variables": dict(answer.variables),
        "messages": [_message_fields(message) for message in answer.messages],
        "tool_calls": [asdict(call) for call in answer.tool_calls],
        "failed_calls": answer.failed_calls,
        "turns": answer.turns,
        "finish_reason": answer.finish_reason,
        "usage": None if answer.usage is None else asdict(answer.usage),
        "latency": answer.latency,
        "ttft": answer.ttft,
        "cost": answer.cost,
    }


def _message_fields(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.text}


def _read_verdict(returned: Any) -> Verdict:
    value, reason = returned, ""
    if isinstance(returned, dict):
        if not returned.keys() <= {"value", "reason"} or "value" not in returned:
            raise GraderError(
                "invalid_value",
                f"the function returned a mapping with {_list_keys(returned)} instead of value and"
                " reason",
            )
        value, reason = returned["value"], returned.get("reason") or ""
    if not isinstance(value, bool | int | float | str | None) or not isinstance(reason, str):
        raise GraderError(
            "invalid_value",
            f"the function returned {quote_text(json.dumps(returned), 60)}, which is not a verdict",
        )
    return Verdict(value, reason)


def _list_keys(returned: dict[str, Any]) -> str:
    return ", ".join(map(repr, returned)) or "no keys"


python_grader = GraderType(
    "python",
    Python,
    _grade_by_function,
    short="function",
    file="function",
    summary="satisfies your own function",
)
