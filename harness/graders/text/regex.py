"""The regex grader: through RE2, in time linear in the answer; a pattern RE2 cannot express, or a
large one on a long answer, runs in a child process.

Which engine a pattern gets is known when the suite is loaded. Lookaround, backreferences and
repetitions above 1,000 need Python's `re`, whose running time has no bound: a child can be killed,
this process cannot. A newline that ends the answer is not searched, so that `^yes$` finds "yes\\n"
in both.
"""

from __future__ import annotations

import json
import re
import warnings

from pydantic import Field, model_validator

from harness.config.diagnostics import quote_text
from harness.config.patterns import compile_re2, matches_re2
from harness.config.units import Flag
from harness.flows.base import Flow
from harness.flows.child_checks import CheckFailed, call_in_child
from harness.graders.base import (
    Answer,
    Arguments,
    GraderError,
    GraderType,
    Grading,
    Verdict,
    read_tool_value,
)
from harness.model import ToolCall

MAX_INLINE_WORK = 1_000_000
"""Instructions of a compiled pattern times characters of an answer, of which RE2 does a hundred in
a microsecond where the pattern is hard on it."""

REGEX_TOOL = "regex"
"""The name of the ToolCall that runs Python's `re` in a child process."""


class Pattern(Arguments):
    """Arguments of `regex`."""

    pattern: str = Field(
        description=(
            "The regular expression: RE2 syntax; what only Python's `re` supports runs in a child"
            " process."
        )
    )
    ignore_case: Flag = Field(False, description="Whether to ignore case.")
    full: Flag = Field(
        False, description="Whether the whole answer must match, not just a part of it."
    )

    @model_validator(mode="after")
    def _check_compiles(self) -> Pattern:
        if compile_re2(self.pattern, self.ignore_case) is None:
            _check_python(self.pattern)
        return self


def _check_python(pattern: str) -> None:
    """Raises ValueError where Python's `re` does not take the pattern either."""
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as invalid:
        raise ValueError(f"not a regular expression: {invalid}") from None


def _grade_regex(arguments: Pattern, answer: Answer) -> Grading:
    compiled = compile_re2(arguments.pattern, arguments.ignore_case)
    if compiled is None:
        return _match_in_worker(arguments, answer)
    if compiled.programsize * len(answer.text) > MAX_INLINE_WORK:
        return _match_in_child(arguments, answer)
    found = matches_re2(text=answer.text, **arguments.model_dump())
    return _match_verdict(found, arguments, answer)


def _match_in_child(arguments: Pattern, answer: Answer) -> Flow[Verdict]:
    try:
        found = yield from call_in_child(matches_re2, text=answer.text, **arguments.model_dump())
    except CheckFailed as failed:
        raise GraderError(failed.error.kind, f"the search failed: {failed}") from None
    return _match_verdict(found, arguments, answer)


def _match_in_worker(arguments: Pattern, answer: Answer) -> Flow[Verdict]:
    call = {**arguments.model_dump(), "text": answer.text.removesuffix("\n")}
    found = read_tool_value((yield ToolCall(REGEX_TOOL, REGEX_TOOL, json.dumps(call))))
    return _match_verdict(found, arguments, answer)


def _match_verdict(found: bool, arguments: Pattern, answer: Answer) -> Verdict:
    return Verdict(
        found,
        (
            ""
            if found
            else f"{quote_text(arguments.pattern)} does not match {quote_text(answer.text)}"
        ),
    )


regex_grader = GraderType(
    "regex", Pattern, _grade_regex, short="pattern", summary="matches this regular expression"
)
