"""Checks of our own that a hostile answer can make slow: a long text is checked in a child process,
which can be killed; the check of a short one is given up here after milliseconds, and made again in
a child.

Characters and steps are counted, not time, so that the same answers always lead a flow the same
way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from harness.config.json_validation import MAX_INLINE_STEPS, TooManySteps
from harness.flows.base import Flow
from harness.model import Error, ToolCall, ToolResult

T = TypeVar("T")

MAX_INLINE_TEXT = 32_768
"""Characters of JSON that are parsed in this process: at most some three milliseconds of work."""

OWN_FUNCTION = "harness:"
"""What the name of a ToolCall begins with that calls a function of this package; then come the
function's module, a colon, and its name."""


class CheckFailed(Exception):
    """A check came to no result; `error` says why."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


def check_here(check: Callable[..., T], text: str, **arguments: Any) -> T:
    """What `check` returns for the text, limited in characters and steps. Raises TooManySteps."""
    if len(text) > MAX_INLINE_TEXT:
        raise TooManySteps
    return check(text=text, max_steps=MAX_INLINE_STEPS, **arguments)


def call_in_child(function: Callable[..., Any], **arguments: Any) -> Flow[Any]:
    """What `function` returns, called in a child process; arguments and result are JSON. Raises
    CheckFailed.
    """
    name = f"{OWN_FUNCTION}{function.__module__}:{function.__name__}"
    result: ToolResult = yield ToolCall(name, name, json.dumps(arguments, ensure_ascii=False))
    if result.error is not None:
        raise CheckFailed(result.error)
    return json.loads(result.content)
