"""Graders of how a conversation went: tool_calls (which tools were called, how) and turns (how
often the model was asked).

An expected call that names no arguments is met by any; one that names some is met where those are
equal, whatever else was given. Each call meets one expected call at most.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from harness.config.diagnostics import quote_text
from harness.config.units import Flag, Whole
from harness.flows.base import Flow
from harness.flows.child_checks import MAX_INLINE_TEXT, CheckFailed, call_in_child
from harness.graders.base import (
    UNKNOWN,
    Answer,
    Arguments,
    GraderError,
    GraderType,
    Grading,
    Verdict,
)
from harness.wording import pluralize

_COMPARED_INLINE = 2_000
"""Pairs of calls, expected and made, that are compared in this process: some milliseconds."""
_QUOTED = 100
"""Calls of which a reason may quote the first."""
Match = Literal["subset", "in_order", "any_order", "exact"]


class _Call(NamedTuple):
    """A call made or expected; `arguments` is None where any will do, or where they are no JSON
    object."""

    name: str
    arguments: Mapping[str, Any] | None

    def __str__(self) -> str:
        given = "" if self.arguments is None else json.dumps(self.arguments, ensure_ascii=False)
        return f"{self.name}({given})"


def _to_call_list(value: Any) -> Any:
    """`none`, one call or a list of them; a call is a tool's name, or {name: {argument: value}}."""
    if value == "none":
        return []
    return [value] if isinstance(value, str | Mapping) else value


def _to_long_form(call: Any) -> Any:
    """A call in its long form. Raises ValueError where it is none."""
    if isinstance(call, str):
        return {call: None}
    if (
        isinstance(call, Mapping)
        and len(call) == 1
        and all(isinstance(each, Mapping | None) for each in call.values())
    ):
        return call
    raise ValueError(
        "write a call as a tool's name, or as its name and arguments: {get_weather: {city: Oslo}}"
    )


Expected = Annotated[
    dict[str, dict[str, Any] | None],
    BeforeValidator(_to_long_form, json_schema_input_type=str | dict[str, Any]),
]


class ToolCalls(Arguments):
    """Arguments of `tool_calls`."""

    calls: Annotated[
        list[Expected] | None,
        BeforeValidator(_to_call_list, json_schema_input_type=str | dict[str, Any] | list[Any]),
        Field(
            description=(
                "The expected calls, in order of time: names, or {name: {argument: value}};"
                " `none` for none."
            )
        ),
    ] = None
    match: Match = Field(
        "subset",
        description=(
            "subset: these, and others; in_order: the same, one after the other; any_order: these"
            " and no others; exact: these and no others, in this order."
        ),
    )
    exact_arguments: Flag = Field(
        False, description="Whether a call may have only the arguments given here."
    )
    failed: Whole | None = Field(
        None, ge=0, description="The maximum number of calls that may have failed."
    )

    @model_validator(mode="after")
    def _check_not_empty(self) -> ToolCalls:
        if self.calls is None and self.failed is None:
            raise ValueError("needs `calls`, or `failed`")
        return self


def _grade_tool_calls(arguments: ToolCalls, answer: Answer) -> Grading:
    if answer.turns is None:
        raise GraderError(UNKNOWN, "the answer's tool calls are not known")
    if arguments.failed is not None and answer.failed_calls > arguments.failed:
        return Verdict(
            False, f"{answer.failed_calls} calls failed, at most {arguments.failed} are allowed"
        )
    if arguments.calls is None:
        return Verdict(True)
    asked: dict[str, Any] = {
        "calls": [(call.name, call.arguments) for call in answer.tool_calls],
        "expected": [pair for call in arguments.calls for pair in call.items()],
        "match": arguments.match,
        "exact": arguments.exact_arguments,
    }
    length = sum(len(call.arguments) for call in answer.tool_calls)
    if length > MAX_INLINE_TEXT or len(asked["calls"]) * len(asked["expected"]) > _COMPARED_INLINE:
        return _grade_in_child(asked)
    return _mismatch_verdict(find_call_mismatch(**asked))


def _grade_in_child(asked: dict[str, Any]) -> Flow[Verdict]:
    try:
        return _mismatch_verdict((yield from call_in_child(find_call_mismatch, **asked)))
    except CheckFailed as failed:
        raise GraderError(failed.error.kind, f"the comparison of calls failed: {failed}") from None


def _mismatch_verdict(mismatch: str | None) -> Verdict:
    return Verdict(mismatch is None, mismatch or "")


def find_call_mismatch(
    calls: Sequence[Sequence[Any]], expected: Sequence[Sequence[Any]], match: Match, exact: bool
) -> str | None:
    """What is wrong with the calls made, pairs of a name and arguments as JSON text, beside those
    expected; None where nothing is."""
    made = [_Call(name, _parse_arguments(arguments)) for name, arguments in calls]
    wrong = _find_mismatch(made, [_Call(*pair) for pair in expected], match, exact)
    called = ", ".join(map(str, made[:_QUOTED])) or "nothing"
    return f"{wrong}; called: {quote_text(called, 400)}" if wrong else None


def _parse_arguments(text: str) -> Mapping[str, Any] | None:
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def _find_mismatch(
    made: Sequence[_Call], expected: Sequence[_Call], match: Match, exact: bool
) -> str:
    """What is wrong, empty where nothing is."""
    if not expected:
        return "no call was expected" if made else ""
    if match in ("exact", "any_order") and len(made) != len(expected):
        return f"{pluralize(len(expected), 'call', 'was')} expected, not {len(made)}"
    if match in ("exact", "in_order"):
        return _find_out_of_order(made, expected, exact)
    missing = _find_unmet(made, expected, exact)
    return "" if missing is None else f"{missing} was not called"


def _find_out_of_order(made: Sequence[_Call], expected: Sequence[_Call], exact: bool) -> str:
    """The first expected call that does not come after the one before it."""
    rest = iter(made)
    for wanted in expected:
        if not any(_is_met_by(call, wanted, exact) for call in rest):
            return f"{wanted} was not called, or not in this order"
    return ""


def _find_unmet(made: Sequence[_Call], expected: Sequence[_Call], exact: bool) -> _Call | None:
    """An expected call that no call is left for, where calls are given out as well as they can be
    (augmenting paths). Equal calls are compared once.
    """
    owed, left = Counter(map(_to_key, expected)), Counter(map(_to_key, made))
    wanted_calls = {_to_key(call): call for call in expected}
    made_calls = {_to_key(call): call for call in made}
    meeting = {
        key: [other for other, call in made_calls.items() if _is_met_by(call, wanted, exact)]
        for key, wanted in wanted_calls.items()
    }
    holders: dict[str, Counter[str]] = {other: Counter() for other in left}
    for key in owed:
        while owed[key]:
            path = _find_path(key, meeting, holders, left)
            if path is None:
                return wanted_calls[key]
            count = min(owed[key], left[path[-1][1]]) if len(path) == 1 else 1
            for taker, other in path:
                holders[other][taker] += count
            for (_, other), (loser, _) in pairwise(path):
                holders[other][loser] -= count
            owed[key] -= count
            left[path[-1][1]] -= count
    return None


def _find_path(
    start: str,
    meeting: Mapping[str, Sequence[str]],
    holders: Mapping[str, Counter[str]],
    left: Mapping[str, int],
) -> list[tuple[str, str]] | None:
    """Who takes which call so that `start` gets one: itself from the next expected call, and so on
    to a call that is left; None where there is no such way.
    """
    came: dict[str, str] = {}  # a call made, from the expected call that asks for it
    asked: dict[str, str] = {start: ""}  # an expected call, from the call made that it holds
    pending = deque([start])
    while pending:
        taker = pending.popleft()
        for other in meeting[taker]:
            if other in came:
                continue
            came[other] = taker
            if left[other]:
                path = [(taker, other)]
                while path[0][0] != start:
                    held = asked[path[0][0]]
                    path.insert(0, (came[held], held))
                return path
            for loser, count in holders[other].items():
                if count and loser not in asked:
                    asked[loser] = other
                    pending.append(loser)
    return None


def _to_key(call: _Call) -> str:
    return json.dumps(call, sort_keys=True)


def _is_met_by(call: _Call, wanted: _Call, exact: bool) -> bool:
    if call.name != wanted.name or wanted.arguments is None:
        return call.name == wanted.name
    if call.arguments is None:
        return False
    if exact and call.arguments.keys() != wanted.arguments.keys():
        return False
    return all(
        name in call.arguments and _are_json_equal(call.arguments[name], value)
        for name, value in wanted.arguments.items()
    )


def _are_json_equal(given: Any, wanted: Any) -> bool:
    """Equal as JSON is: 2 and 2.0 are, true and 1 are not."""
    if isinstance(given, bool) or isinstance(wanted, bool):
        return given is wanted
    return bool(given == wanted)


class TurnLimit(Arguments):
    """Arguments of `turns`."""

    max: Whole | None = Field(
        None, ge=1, description="The maximum number of requests to the model."
    )
    min: Whole | None = Field(
        None, ge=1, description="The minimum number of requests to the model."
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> TurnLimit:
        if self.max is None and self.min is None:
            raise ValueError("needs `max` or `min`")
        return self


def _grade_turns(arguments: TurnLimit, answer: Answer) -> Verdict:
    if answer.turns is None:
        raise GraderError(UNKNOWN, "the number of requests to the model is not known")
    passed = (arguments.min or 1) <= answer.turns and (
        arguments.max is None or answer.turns <= arguments.max
    )
    return Verdict(passed, "" if passed else f"the model received {answer.turns} requests")


tool_calls_grader = GraderType(
    "tool_calls",
    ToolCalls,
    _grade_tool_calls,
    short="calls",
    short_takes_mapping=True,
    summary="was reached with these tool calls",
)
turns_grader = GraderType(
    "turns", TurnLimit, _grade_turns, short="max", summary="took this many requests to the model"
)
