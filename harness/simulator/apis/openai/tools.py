"""Tools in OpenAI's chat requests: functions on offer, calls in earlier messages, and their
results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from harness.simulator.apis.openai.checks import (
    invalid_request,
    missing_parameter,
    required_string,
    wrong_type,
)
from harness.simulator.model.tokenizer import tokenize
from harness.simulator.model.types import Call, Function, Turn

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TOOL_CHOICES = ("none", "auto", "required")


def parse_functions(body: dict[str, Any]) -> tuple[Function, ...]:
    """The functions in `tools`; raises `ApiError`."""
    tools = body.get("tools")
    if tools is None:
        return ()
    if not isinstance(tools, list) or not tools:
        raise invalid_request(
            "Invalid 'tools': expected a non-empty array.", "tools", "invalid_type"
        )
    return tuple(_parse_function(tool, f"tools[{index}]") for index, tool in enumerate(tools))


def parse_tool_choice(body: dict[str, Any], offered: Sequence[Function]) -> str:
    """`auto`, `none`, `required` or the name of an offered function; raises `ApiError`."""
    asked = body.get("tool_choice")
    if asked is None:
        return "auto"
    if not offered:
        raise invalid_request(
            "Invalid value for 'tool_choice': it is only allowed when 'tools' are specified.",
            "tool_choice",
            None,
        )
    function = asked.get("function") if isinstance(asked, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if asked not in TOOL_CHOICES and name not in [function.name for function in offered]:
        raise invalid_request(
            f"Invalid value for 'tool_choice': {name or asked!r} is not among 'tools'.",
            "tool_choice",
            "invalid_value",
        )
    return name or str(asked)


def parse_turn_tools(message: dict[str, Any], role: str, place: str) -> dict[str, Any]:
    """The calls in a message, or the call it answers, as fields of a `Turn`; raises `ApiError`."""
    if role == "tool":
        return {"call_id": required_string(message, "tool_call_id", place)}
    calls = message.get("tool_calls")
    if role != "assistant" or calls is None:
        return {}
    if not isinstance(calls, list) or not calls:
        raise invalid_request(
            f"Invalid '{place}.tool_calls': expected a non-empty array.",
            f"{place}.tool_calls",
            "invalid_type",
        )
    return {
        "calls": tuple(
            _parse_tool_call(call, f"{place}.tool_calls[{index}]")
            for index, call in enumerate(calls)
        )
    }


def check_tool_results(turns: Sequence[Turn]) -> None:
    """Require a result for each call before the next message, and a call for each result; raises
    `ApiError`."""
    open_ids: list[str] = []
    for index, turn in enumerate(turns):
        if turn.role == "tool" and turn.call_id not in open_ids:
            message = (
                "Invalid parameter: messages with role 'tool' must be a response to a preceding"
                " message with 'tool_calls'."
            )
            raise invalid_request(message, f"messages.[{index}].role", None)
        if turn.role == "tool":
            open_ids.remove(str(turn.call_id))
            continue
        _check_no_open_calls(open_ids, index)
        open_ids = [call.id for call in turn.calls]
    _check_no_open_calls(open_ids, len(turns))


def _check_no_open_calls(unanswered: Sequence[str], index: int) -> None:
    if unanswered:
        raise invalid_request(
            "An assistant message with 'tool_calls' must be followed by tool messages responding"
            " to each 'tool_call_id'. The following tool_call_ids did not have response messages:"
            f" {', '.join(unanswered)}",
            f"messages.[{index}].role",
            None,
        )


def _parse_function(tool: Any, place: str) -> Function:
    inner = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(inner, dict):
        raise missing_parameter(f"{place}.function")
    name = required_string(inner, "name", f"{place}.function")
    if not NAME.fullmatch(name):
        where = f"{place}.function.name"
        raise invalid_request(
            f"Invalid '{where}': string does not match pattern '^[a-zA-Z0-9_-]+$'.",
            where,
            "invalid_value",
        )
    description = parse_description(inner, f"{place}.function")
    return Function(
        name,
        description,
        parse_parameters(inner.get("parameters"), name, f"{place}.function.parameters"),
    )


def parse_description(fields: dict[str, Any], place: str) -> str:
    """The description of a function, empty if it is missing; raises `ApiError`."""
    description = fields.get("description")
    if description is not None and not isinstance(description, str):
        raise wrong_type(f"{place}.description", "a string", description)
    return description or ""


def parse_parameters(schema: Any, name: str, place: str) -> dict[str, Any]:
    """The JSON Schema of a function's arguments, which must be of an object; raises `ApiError`."""
    if schema is None:
        return {"type": "object", "properties": {}}
    if not isinstance(schema, dict) or schema.get("type") != "object":
        kind = schema.get("type") if isinstance(schema, dict) else schema
        message = (
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type:"
            f' "object"\', got \'type: "{kind}"\'.'
        )
        raise invalid_request(message, place, "invalid_function_parameters")
    return schema


def _parse_tool_call(call: Any, place: str) -> Call:
    if not isinstance(call, dict):
        raise wrong_type(place, "an object", call)
    function = call.get("function")
    inner = function if isinstance(function, dict) else {}
    arguments = required_string(inner, "arguments", f"{place}.function")
    return Call(
        required_string(inner, "name", f"{place}.function"),
        tuple(tokenize(arguments)),
        required_string(call, "id", place),
    )
