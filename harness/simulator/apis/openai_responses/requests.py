"""Requests of OpenAI's Responses API, `POST /v1/responses`.

What surprises: a conversation is a flat list of items, in which an assistant's text and its calls
are separate; functions are strict by default; there is no `n`, `stop`, `seed` or penalty; fewer
than 16 output tokens are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.simulator.apis.openai.checks import (
    EFFORTS,
    Range,
    check_context,
    check_enum,
    check_keys,
    check_ranges,
    check_responses_request,
    check_strict,
    invalid_request,
    missing_parameter,
    optional_object,
    parse_json_object,
    required_string,
    wrong_type,
)
from harness.simulator.apis.openai.tools import parse_description, parse_parameters
from harness.simulator.apis.openai_responses.items import parse_turns
from harness.simulator.model.tokenizer import count_prompt
from harness.simulator.model.types import Function, Prompt, Sampling

RANGES: dict[str, Range] = {
    "temperature": Range("decimal", 0, 2),
    "top_p": Range("decimal", 0, 1),
    "max_output_tokens": Range("integer", 16),
    "max_tool_calls": Range("integer", 1),
    "top_logprobs": Range("integer", 0, 20),
}
KNOWN = frozenset(RANGES) | {
    "model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "include",
    "previous_response_id",
    "conversation", "store", "background", "truncation", "parallel_tool_calls", "stream",
    "stream_options", "metadata", "user",
    "service_tier", "prompt_cache_key", "safety_identifier",
}  # fmt: skip
INCLUDABLE = (
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
)
SUMMARIES = ("auto", "concise", "detailed")


class Request(NamedTuple):
    """A parsed request: what to answer, in which form, and the body, parts of which are echoed."""

    prompt: Prompt
    stream: bool
    obfuscate: bool
    summarise: bool
    body: dict[str, Any]


def parse_request(content: bytes) -> Request:
    """Validate a body; raises `ApiError`."""
    body = parse_json_object(content)
    check_keys(body, ("model", "input"), KNOWN)
    check_ranges(body, RANGES)
    response_id = body.get("previous_response_id")
    if response_id is not None:  # the simulator stores none
        message = f"Previous response with id '{response_id}' not found."
        raise invalid_request(message, "previous_response_id", "previous_response_not_found")
    offered = _parse_functions(body.get("tools"))
    reasoning, response_format = (
        optional_object(body, "reasoning"),
        optional_object(body, "text").get("format"),
    )
    effort, summary = reasoning.get("effort"), reasoning.get("summary")
    prompt = Prompt(
        required_string(body, "model", ""),
        parse_turns(body["input"], body.get("instructions")),
        Sampling(
            temperature=1.0 if body.get("temperature") is None else float(body["temperature"]),
            top_p=body.get("top_p"),
            max_tokens=body.get("max_output_tokens"),
        ),
        _response_schema(response_format),
        functions=offered,
        tool_choice=_parse_tool_choice(body.get("tool_choice"), offered),
        parallel=body.get("parallel_tool_calls") is not False,
        reasoning=effort is not None and check_enum(effort, EFFORTS, "reasoning.effort") != "none",
        logprobs=(
            (body.get("top_logprobs") or 0)
            if "message.output_text.logprobs" in _parse_include(body)
            else None
        ),
    )
    check_responses_request(prompt.model, body)
    check_context(count_prompt(prompt.turns, offered) + (prompt.sampling.max_tokens or 0), "input")
    return Request(
        prompt,
        stream=body.get("stream") is True,
        obfuscate=optional_object(body, "stream_options").get("include_obfuscation") is not False,
        summarise=summary is not None and bool(check_enum(summary, SUMMARIES, "reasoning.summary")),
        body=body,
    )


def _parse_include(body: dict[str, Any]) -> list[str]:
    asked = body.get("include") or []
    if not isinstance(asked, list):
        raise wrong_type("include", "an array of strings", asked)
    return [check_enum(each, INCLUDABLE, f"include[{index}]") for index, each in enumerate(asked)]


def _parse_functions(tools: Any) -> tuple[Function, ...]:
    if tools is None:
        return ()
    if not isinstance(tools, list):
        raise wrong_type("tools", "an array of objects", tools)
    return tuple(_parse_function(tool, f"tools[{index}]") for index, tool in enumerate(tools))


def _parse_function(tool: Any, place: str) -> Function:
    if not isinstance(tool, dict):
        raise wrong_type(place, "an object", tool)
    check_enum(tool.get("type"), ("function",), f"{place}.type")
    name = required_string(tool, "name", place)
    schema = parse_parameters(tool.get("parameters"), name, f"{place}.parameters")
    if tool.get("strict") is not False:
        check_strict(
            schema, f"function '{name}'", f"{place}.parameters", "invalid_function_parameters"
        )
    return Function(name, parse_description(tool, place), schema)


def _parse_tool_choice(asked: Any, offered: Sequence[Function]) -> str:
    if asked is None:
        return "auto"
    if isinstance(asked, dict):
        name = required_string(asked, "name", "tool_choice")
        if name not in [function.name for function in offered]:
            raise invalid_request(
                f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice", None
            )
        return name
    choice = check_enum(asked, ("none", "auto", "required"), "tool_choice")
    if choice == "required" and not offered:
        raise invalid_request(
            "Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice", None
        )
    return choice


def _response_schema(response_format: Any) -> dict[str, Any] | None:
    if response_format is None:
        return None
    if not isinstance(response_format, dict):
        raise wrong_type("text.format", "an object", response_format)
    kind = check_enum(
        response_format.get("type"), ("text", "json_object", "json_schema"), "text.format.type"
    )
    if kind != "json_schema":
        return {} if kind == "json_object" else None
    required_string(response_format, "name", "text.format")
    if not isinstance(response_format.get("schema"), dict):
        raise missing_parameter("text.format.schema")
    if response_format.get("strict"):
        check_strict(
            response_format["schema"],
            f"response_format '{response_format['name']}'",
            "text.format.schema",
            "invalid_json_schema",
        )
    return dict(response_format["schema"])
