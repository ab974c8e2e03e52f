"""Multi-turn conversations with tool calls: the tools a model calls, and the later turns of its
user; a flow like any other.

The model is asked; the calls in its answer are executed concurrently, and go back to it as tool
messages, until it answers without calling or has been asked `max_turns` times. Then the user says
the next turn: the written ones first, then those of a simulated user, which is another model
(`harness.flows.simulated_user`). Nothing a model does with tools is an error of the trial: a tool
that is not there, arguments that are no JSON or do not fit, a function that raises or takes too
long all go back to the model as failed results, for it to make something of.

What surprises: a call that stands twice in one answer (Scout does that) is performed once and
answered twice; and a choice of tools that forces a call holds for the first request only, since it
would otherwise never end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from msgspec.structs import replace

from harness.config.diagnostics import cut_text
from harness.config.json_validation import TooManySteps, find_violation
from harness.config.templates import TemplateError, render_arguments
from harness.flows.base import TARGET, USER, Ask, Flow, FunctionCall
from harness.flows.child_checks import CheckFailed, call_in_child, check_here
from harness.flows.simulated_user import next_message
from harness.model import (
    Action,
    Conversation,
    Error,
    Exchange,
    Image,
    Message,
    Request,
    Response,
    SimulatedUser,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Trial,
)

MAX_TURNS, FAILED_CALLS, USER_NOT_DONE = "max_turns", "failed_tool_calls", "user_not_done"
"""Flags of a record: the model was still calling when it was asked for the last time; some calls
failed; a simulated user had said all the messages it may before it said that it was done.
"""

FAILURE_PREFIX = "Error: "
"""What the model reads before the reason a call failed."""
MAX_MISFIT_LENGTH = 500
"""Characters of a validator's sentence, which quotes what it found wrong."""
ARGUMENTS = "arguments"
"""The name by which a template of a canned result knows the call's arguments."""


def converse(trial: Trial, conversation: Conversation) -> Flow[Response]:
    """The trial's whole conversation; its value is the last answer. Raises AskFailed where an ask
    has no answer."""
    response, request = yield from _model_turn(trial.request, conversation, trial.variables)
    for content in conversation.turns:
        if response.message is None or response.message.tool_calls:
            return response
        response, request = yield from _user_turn(
            content, response.message, request, conversation, trial.variables
        )
    if conversation.user is not None:
        response = yield from _simulated_turns(
            conversation.user, response, request, conversation, trial.variables
        )
    return response


def _simulated_turns(
    user: SimulatedUser,
    response: Response,
    request: Request,
    conversation: Conversation,
    variables: Mapping[str, Any],
) -> Flow[Response]:
    """The turns of a simulated user, until it is done; the last answer."""
    for _ in range(user.max_turns):
        if response.message is None or response.message.tool_calls:
            break
        said = yield from next_message(user, (*request.messages, response.message))
        if said is None:
            break
        response, request = yield from _user_turn(
            said, response.message, request, conversation, variables
        )
    return response


def _user_turn(
    content: str | tuple[Text | Image, ...],
    answer: Message,
    request: Request,
    conversation: Conversation,
    variables: Mapping[str, Any],
) -> Flow[tuple[Response, Request]]:
    """The turn that begins with what the user says to `answer`, which `request` got."""
    spoken = (*request.messages, answer, Message("user", content))
    return (yield from _model_turn(replace(request, messages=spoken), conversation, variables))


def conversation_flags(exchanges: Sequence[Exchange]) -> tuple[str, ...]:
    """The flags of a record for how its conversation went."""
    asked = [each for each in exchanges if each.role == TARGET]
    if not asked:
        return ()
    last = asked[-1]
    cut = (
        last.response.error is None
        and last.response.message is not None
        and bool(last.response.message.tool_calls)
    )
    failed = any(message.failed for message in last.request.messages)
    unfinished = exchanges[-1] is last and any(each.role == USER for each in exchanges)
    return (MAX_TURNS,) * cut + (FAILED_CALLS,) * failed + (USER_NOT_DONE,) * unfinished


def _model_turn(
    request: Request, conversation: Conversation, variables: Mapping[str, Any]
) -> Flow[tuple[Response, Request]]:
    """Ask until the model calls nothing any more, or has been asked often enough; with the request
    it answered last."""
    response: Response = yield Ask(TARGET, request)
    for _ in range(conversation.max_turns - 1):
        message = response.message
        if message is None or not message.tool_calls:
            break
        called = replace(message, tool_calls=_distinct_calls(message.tool_calls))
        results = yield from _perform_calls(
            called.tool_calls, request.tools, conversation, variables
        )
        request = replace(
            request,
            messages=(*request.messages, called, *results),
            tool_choice=_unforced_choice(request.tool_choice),
        )
        response = yield Ask(TARGET, request)
    return response, request


def _unforced_choice(choice: str | None) -> str | None:
    return choice if choice in (None, "none") else "auto"


def _distinct_calls(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls, each with an id of its own: a result is matched to its call by nothing else."""
    taken: set[str] = set()
    distinct = []
    for place, call in enumerate(calls):
        named = call if call.id not in taken else replace(call, id=f"{call.id}_{place}")
        taken.add(named.id)
        distinct.append(named)
    return tuple(distinct)


# ── Performing calls ──────────────────────────────────────────────────────────────────────────────


def _perform_calls(
    calls: Sequence[ToolCall],
    tools: Sequence[Tool],
    conversation: Conversation,
    variables: Mapping[str, Any],
) -> Flow[tuple[Message, ...]]:
    """The tool messages that answer `calls`, in their order; functions run side by side."""
    by_name = {tool.name: tool for tool in tools}
    results: dict[tuple[str, str], ToolResult] = {}
    running: dict[tuple[str, str], FunctionCall] = {}
    for call in calls:
        same = call.name, call.arguments
        if same not in results and same not in running:
            outcome = yield from _begin_call(call, by_name, conversation.actions, variables)
            if isinstance(outcome, FunctionCall):
                running[same] = outcome
            else:
                results[same] = outcome
    if running:
        finished = yield tuple(running.values())
        results |= zip(running, finished, strict=True)
    return tuple(_tool_message(call, results[call.name, call.arguments]) for call in calls)


def _begin_call(
    call: ToolCall,
    tools: Mapping[str, Tool],
    actions: Mapping[str, Action],
    variables: Mapping[str, Any],
) -> Flow[ToolResult | FunctionCall]:
    """What has to run for the call, or its result where nothing has."""
    tool, action = tools.get(call.name), actions.get(call.name)
    if tool is None or action is None:
        return _failed_result(
            call,
            "unknown_tool",
            f"there is no tool {call.name!r}; there are: {', '.join(tools) or 'none'}",
        )
    wrong = yield from _check_arguments(call, tool)
    if wrong is not None:
        return _failed_result(call, "invalid_arguments", wrong)
    if action.function is not None:
        return FunctionCall(
            call.id, action.function, call.arguments or "{}", action.timeout, action.trusted
        )
    if action.raises is not None:
        return _failed_result(call, "raised", action.raises)
    return _canned_result(call, action, variables)


def _check_arguments(call: ToolCall, tool: Tool) -> Flow[str | None]:
    """As `find_argument_misfit`, here or in a child."""
    asked: dict[str, Any] = {"text": call.arguments or "{}", "schema": tool.parameters}
    try:
        return check_here(find_argument_misfit, **asked)
    except TooManySteps:
        pass
    try:
        misfit: str | None = yield from call_in_child(find_argument_misfit, **asked)
    except CheckFailed as failed:
        return f"the arguments could not be checked: {failed}"
    return misfit


def find_argument_misfit(
    text: str, schema: Mapping[str, Any], max_steps: float = inf
) -> str | None:
    """What is wrong with the arguments of a call; None where they fit. Raises TooManySteps."""
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError) as invalid:
        return f"the arguments are not JSON: {invalid}"
    if not isinstance(arguments, dict):
        return "the arguments are not a JSON object"
    wrong = find_violation(schema, arguments, max_steps)
    return (
        None if wrong is None else f"the arguments do not fit: {cut_text(wrong, MAX_MISFIT_LENGTH)}"
    )


def _canned_result(call: ToolCall, action: Action, variables: Mapping[str, Any]) -> ToolResult:
    if not action.templated:
        return ToolResult(call.id, json.dumps(action.returns))
    try:
        scope = {**variables, ARGUMENTS: json.loads(call.arguments or "{}")}
        value = render_arguments({"value": action.returns}, scope, None)["value"]
        return ToolResult(call.id, json.dumps(value, allow_nan=False))
    except (TemplateError, TypeError, ValueError, RecursionError) as wrong:
        return _failed_result(call, "raised", getattr(wrong, "message", str(wrong)))


def _failed_result(call: ToolCall, kind: str, message: str) -> ToolResult:
    return ToolResult(call.id, "", Error("tool", kind, message))


def _tool_message(call: ToolCall, result: ToolResult) -> Message:
    """The message that tells the model; text as it is, anything else as JSON."""
    if result.error is not None:
        return Message(
            "tool",
            FAILURE_PREFIX + result.error.message,
            tool_call_id=call.id,
            name=call.name,
            failed=True,
        )
    try:
        value = json.loads(result.content)
    except RecursionError:  # its process, whose stack is shorter than ours, could still write it
        return _tool_message(
            call, _failed_result(call, "raised", "what it returned is nested too deeply")
        )
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Message("tool", text, tool_call_id=call.id, name=call.name)
