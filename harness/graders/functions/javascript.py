"""The javascript grader: an expression or a function of the suite's own judges the answer, in an
embedded engine.

A call that takes too long here is made again in a child process, which can be killed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import Field, field_validator

from harness.config.diagnostics import quote_text
from harness.config.javascript_engine import (
    CHILD_SECONDS,
    EngineMissing,
    ScriptError,
    TookTooLong,
    find_syntax_fault,
    run_script,
    run_script_alone,
)
from harness.flows.base import Flow
from harness.flows.child_checks import MAX_INLINE_TEXT, CheckFailed, call_in_child
from harness.graders.base import Answer, Arguments, GraderError, GraderType, Grading, Verdict

FILE_REFERENCE = re.compile(r"(?P<file>[^\n{}()]+\.c?js)(?::(?P<name>[A-Za-z_$][\w$]*))?")
"""A file of JavaScript, and the function in it."""


class JavaScript(Arguments):
    """Arguments of `javascript`."""

    code: str = Field(
        description="An expression, the body of a function, or a file with a function:"
        " `check.js:grade`. It sees `output`, `vars`, `expected` and `context`."
    )

    @field_validator("code")
    @classmethod
    def _check_compiles(cls, code: str) -> str:
        try:
            fault = find_syntax_fault(code)
        except EngineMissing as missing:
            raise ValueError(str(missing)) from None
        if fault is not None:
            line = "" if fault.line is None else f" (line {fault.line} of the code)"
            raise ValueError(f"not JavaScript{line}: {fault.message}")
        return code


def wrap_file(text: str, name: str | None) -> str:
    """The code of a file, which comes to the function `name` that it defines or exports; without a
    name, to what it exports."""
    wanted = (
        "module.exports"
        if name is None
        else f'typeof {name} === "undefined" ? module.exports.{name} : {name}'
    )
    return f"{text}\n;return {wanted}"


def _grade_by_script(arguments: JavaScript, answer: Answer) -> Grading:
    found = run_here(arguments.code, answer)
    return _read_verdict(found) if isinstance(found, dict) else _grade_later(found)


def _grade_later(running: Flow[dict[str, Any]]) -> Flow[Verdict]:
    return _read_verdict((yield from running))


def run_here(code: str, answer: Answer) -> dict[str, Any] | Flow[dict[str, Any]]:
    """What the script makes of the answer, as `{"value": …}` or `{"not": …}`; the flow that leads
    to it where this process must not wait for it. Raises GraderError."""
    given = _given_json(answer)
    if len(given) > MAX_INLINE_TEXT:
        return _run_in_child(code, given)
    try:
        return _read_result(run_script(code, given))
    except TookTooLong:
        return _run_in_child(code, given)
    except ScriptError as raised:
        raise GraderError("raised", str(raised)) from None


def _run_in_child(code: str, given: str) -> Flow[dict[str, Any]]:
    try:
        text = yield from call_in_child(
            run_script_alone, code=code, given=given, seconds=CHILD_SECONDS
        )
    except CheckFailed as failed:
        raise GraderError(failed.error.kind, str(failed)) from None
    return _read_result(text)


def _read_result(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    if "error" in found:
        raise GraderError("raised", found["error"])
    return found


def _given_json(answer: Answer) -> str:
    """What the script sees, as JSON; a number that JSON has not is null."""
    variables = dict(answer.variables)
    given = {
        "output": answer.text,
        "vars": variables,
        "expected": answer.expected,
        "context": {
            "vars": variables,
            "prompt": "\n\n".join(message.text for message in answer.messages),
            "latency": answer.latency,
            "ttft": answer.ttft,
            "cost": answer.cost,
            "finish_reason": answer.finish_reason,
            "original": answer.text if answer.original is None else answer.original,
        },
    }
    try:
        return json.dumps(given, default=str, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(given, default=str), parse_constant=lambda _: None)
        return json.dumps(finite)


def _read_verdict(found: dict[str, Any]) -> Verdict:
    value = found.get("value")
    if isinstance(value, bool | int | float):
        return Verdict(value)
    if isinstance(value, dict):
        verdict = value.get("pass", value.get("score"))
        reason = value.get("reason") or ""
        if isinstance(verdict, bool | int | float) and isinstance(reason, str):
            return Verdict(verdict, reason)
    returned = found.get("not") or quote_text(json.dumps(value), 60)
    raise GraderError(
        "invalid_value",
        f"the script came to {returned}; it must come to true, false, a score from 0 to 1 or"
        " {pass, score, reason}, and a function's body does so by `return`",
    )


javascript_grader = GraderType(
    "javascript",
    JavaScript,
    _grade_by_script,
    short="code",
    file="code",
    literal="code",
    summary="satisfies this JavaScript",
)
