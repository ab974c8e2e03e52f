"""Checks of our own that a hostile answer can make slow: such a check is given up here after
milliseconds, and made again in a child process, which can be killed.

Steps are counted, not time, so that the same answers always lead a flow the same way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from harness.config.json_validation import MAX_INLINE_STEPS, TooManySteps, find_violation
from harness.flows.base import Flow
from harness.model import Error, ToolCall, ToolResult

OWN_FUNCTION = "harness:"
"""What the name of a ToolCall begins with that calls a function of this package; then come the
function's module, a colon, and its name."""


class CheckFailed(Exception):
    """A check came to no result; `error` says why."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


def call_in_child(function: Callable[..., Any], **arguments: Any) -> Flow[Any]:
    """What `function` returns, called in a child process; arguments and result are JSON. Raises
    CheckFailed.
    """
    name = f"{OWN_FUNCTION}{function.__module__}:{function.__name__}"
    result: ToolResult = yield ToolCall(name, name, json.dumps(arguments))
    if result.error is not None:
        raise CheckFailed(result.error)
    return json.loads(result.content)


def find_violation_in_child(
    schema: Mapping[str, Any] | bool, value: Any, *, formats: bool = False
) -> Flow[str | None]:
    """As `find_violation`, limited by the child's time and not in steps. Raises CheckFailed."""
    try:
        found: str | None = yield from call_in_child(
            find_violation, schema=schema, value=value, formats=formats
        )
    except RecursionError:
        return "$: nested too deeply"
    return found


def find_violation_anywhere(schema: Mapping[str, Any] | bool, value: Any) -> Flow[str | None]:
    """As `find_violation`, here or in a child. Raises CheckFailed."""
    try:
        return find_violation(schema, value, MAX_INLINE_STEPS)
    except TooManySteps:
        return (yield from find_violation_in_child(schema, value))
