"""Requests of Anthropic's Messages API, `POST /v1/messages`, in both of its versions.

What surprises: `max_tokens` has no default; the version is a header, and the newer one has no
temperature, top_p and top_k; models after 4.6 accept only their defaults anyway; thinking excludes
sampling parameters and forced tools.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.anthropic.messages import invalid_request, read_system, read_turns
from harness.simulator.model.tokenizer import count_prompt
from harness.simulator.model.types import Function, Prompt, Sampling, Turn

OLDER, NEWER = "2023-06-01", "2026-10-21"
SAMPLING_KEYS = ("temperature", "top_p", "top_k")
KNOWN = frozenset({
    "model", "max_tokens", "messages", "system", "stop_sequences", "stream", "tools", "tool_choice",
    "thinking",
    "output_config", "metadata",
    "service_tier", "speed", "cache_control", "container", "inference_geo", "diagnostics",
    *SAMPLING_KEYS,
})  # fmt: skip
EFFORTS = ("low", "medium", "high", "xhigh", "max")
THINKING = ("adaptive", "enabled", "disabled", "between_tools")
LEAST_BUDGET = 1024
_GENERATION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:-(\d{1,2})(?!\d))?")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class Request(NamedTuple):
    """A parsed request: what to answer, and whether to stream."""

    prompt: Prompt
    stream: bool


def parse_request(content: bytes, version: str | None) -> Request:
    """Validate a body; `version` is the header `anthropic-version`. Raises `ApiError`."""
    if version not in (OLDER, NEWER):
        raise invalid_request(
            "anthropic-version:"
            f" {'header is required' if version is None else f'{version!r} is not a valid version'}"
        )
    body = _parse_json_object(content)
    _check_keys(body, version)
    _check_ranges(body)
    thinks = _wants_thinking(body)
    _check_sampling(body, thinks)
    functions = _parse_functions(body.get("tools"))
    turns = (*read_system(body.get("system")), *read_turns(body["messages"], version == NEWER))
    _check_prefill(body["model"], turns, thinks)
    tool_choice = body.get("tool_choice") or {}
    prompt = Prompt(
        body["model"],
        turns,
        _parse_sampling(body),
        _response_schema(body),
        functions,
        _parse_tool_choice(body, functions, thinks),
        reasoning=thinks,
        parallel=not tool_choice.get("disable_parallel_tool_use", False),
    )
    _check_context(prompt)
    return Request(prompt, body.get("stream") is True)


def model_generation(model: str) -> tuple[int, int] | None:
    """The generation of a Claude model, such as (4, 6); None for any other model, which may do
    everything."""
    found = _GENERATION.match(model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def _is_before(model: str, generation: tuple[int, int]) -> bool:
    own = model_generation(model)
    return own is not None and own < generation


def _is_after(model: str, generation: tuple[int, int]) -> bool:
    own = model_generation(model)
    return own is not None and own > generation


def _parse_json_object(content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise invalid_request(f"The request body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise invalid_request("Input should be a valid dictionary or object to extract fields from")
    return body


def _check_keys(body: dict[str, Any], version: str) -> None:
    known = KNOWN - set(SAMPLING_KEYS) if version == NEWER else KNOWN
    for key in ("model", "max_tokens", "messages"):
        if key not in body:
            raise invalid_request(f"{key}: Field required")
    for key in body:
        if key not in known:
            raise invalid_request(f"{key}: Extra inputs are not permitted")
    if not isinstance(body["model"], str) or not body["model"]:
        raise invalid_request("model: Input should be a valid string")
    if not isinstance(body.get("stream", False), bool):
        raise invalid_request("stream: Input should be a valid boolean")


def _check_ranges(body: dict[str, Any]) -> None:
    _check_number(body, "max_tokens", int, 0, None)
    _check_number(body, "temperature", float, 0, 1)
    _check_number(body, "top_p", float, 0, 1)
    _check_number(body, "top_k", int, 0, None)
    stops = body.get("stop_sequences", [])
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise invalid_request("stop_sequences: Input should be a valid list of strings")
    if any(not stop.strip() for stop in stops):
        raise invalid_request("stop_sequences: each stop sequence must contain non-whitespace")


def _check_number(
    body: dict[str, Any], key: str, kind: type, low: float, high: float | None
) -> None:
    if key not in body:
        return
    value = body[key]
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise invalid_request(
            f"{key}: Input should be a valid {'integer' if kind is int else 'number'}"
        )
    if value < low:
        raise invalid_request(f"{key}: Input should be greater than or equal to {low:g}")
    if high is not None and value > high:
        raise invalid_request(f"{key}: Input should be less than or equal to {high:g}")


def _wants_thinking(body: dict[str, Any]) -> bool:
    """Whether the request enables thinking."""
    thinking = body.get("thinking")
    if thinking is None:
        return False
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in THINKING:
        raise invalid_request(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected"
            " tags"
        )
    if kind == "adaptive" and _is_before(body["model"], (4, 6)):
        raise invalid_request("adaptive thinking is not supported on this model")
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if type(budget) is not int or budget < LEAST_BUDGET:
            raise invalid_request(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to"
                f" {LEAST_BUDGET}"
            )
        if budget >= body["max_tokens"]:
            raise invalid_request("`max_tokens` must be greater than `thinking.budget_tokens`.")
    return bool(kind != "disabled")


def _check_sampling(body: dict[str, Any], thinks: bool) -> None:
    """Refuse sampling parameters that do not go with the model, with
    thinking, or with one another."""
    if _is_after(body["model"], (4, 6)):
        for key in SAMPLING_KEYS:
            if key in body and (key == "top_k" or body[key] != 1):
                raise invalid_request(f"`{key}` may only have its default value for this model.")
    if _is_after(body["model"], (4, 0)) and "temperature" in body and "top_p" in body:
        raise invalid_request(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only"
            " one."
        )
    if thinks and body.get("temperature", 1) != 1:
        raise invalid_request("`temperature` may only be set to 1 when thinking is enabled.")
    if thinks and "top_k" in body:
        raise invalid_request("`top_k` must be unset when thinking is enabled.")
    if thinks and body.get("top_p", 1) < 0.95:
        raise invalid_request(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
        )


def _parse_functions(tools: Any) -> tuple[Function, ...]:
    if tools is None:
        return ()
    if not isinstance(tools, list):
        raise invalid_request("tools: Input should be a valid list")
    functions = tuple(
        _parse_function(tool, f"tools.{index}.custom") for index, tool in enumerate(tools)
    )
    if len({function.name for function in functions}) < len(functions):
        raise invalid_request("tools: Tool names must be unique.")
    return functions


def _parse_function(tool: Any, place: str) -> Function:
    if not isinstance(tool, dict) or tool.get("type", "custom") != "custom":
        raise invalid_request(f"{place}: only tools of the caller's own are simulated")
    name, schema = tool.get("name"), tool.get("input_schema")
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise invalid_request(
            f"{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        )
    if not isinstance(schema, dict):
        raise invalid_request(f"{place}.input_schema: Field required")
    if schema.get("type") != "object":
        raise invalid_request(f"{place}.input_schema.type: Input should be 'object'")
    return Function(name, str(tool.get("description") or ""), schema)


def _parse_tool_choice(body: dict[str, Any], functions: tuple[Function, ...], thinks: bool) -> str:
    choice = body.get("tool_choice")
    if choice is None:
        return "auto"
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in ("auto", "any", "none", "tool"):
        raise invalid_request(
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected"
            " tags"
        )
    if not functions:
        raise invalid_request("tool_choice may only be specified while providing tools.")
    if thinks and kind in ("any", "tool"):
        raise invalid_request("Thinking may not be enabled when tool_choice forces tool use.")
    if kind == "tool" and choice.get("name") not in {function.name for function in functions}:
        raise invalid_request(f"Tool '{choice.get('name')}' not found in provided tools")
    return {"any": "required", "tool": str(choice.get("name"))}.get(kind) or str(kind)


def _response_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON Schema in `output_config`, whose effort is validated too."""
    config = body.get("output_config")
    if config is None:
        return None
    if not isinstance(config, dict):
        raise invalid_request("output_config: Input should be a valid dictionary or object")
    for key in config:
        if key not in ("effort", "format"):
            raise invalid_request(f"output_config.{key}: Extra inputs are not permitted")
    if "effort" in config:
        _check_effort(config["effort"], body["model"])
    response_format = config.get("format")
    if response_format is None:
        return None
    if (
        not isinstance(response_format, dict)
        or response_format.get("type") != "json_schema"
        or not isinstance(response_format.get("schema"), dict)
    ):
        raise invalid_request(
            "output_config.format: Input should be {'type': 'json_schema', 'schema': …}"
        )
    return dict(response_format["schema"])


def _check_effort(effort: Any, model: str) -> None:
    if effort not in EFFORTS:
        raise invalid_request(f"output_config.effort: Input should be one of {', '.join(EFFORTS)}")
    if _is_before(model, (4, 6)):
        raise invalid_request("This model does not support the effort parameter.")


def _parse_sampling(body: dict[str, Any]) -> Sampling:
    return Sampling(
        temperature=float(body.get("temperature", 1)),
        top_k=body.get("top_k") or None,
        top_p=body.get("top_p"),
        max_tokens=body["max_tokens"],
        stop=tuple(body.get("stop_sequences") or ()),
    )


def _check_prefill(model: str, turns: tuple[Turn, ...], thinks: bool) -> None:
    """Only older models without thinking continue an assistant's message."""
    if turns[-1].role == "assistant" and (thinks or _is_after(model, (4, 6))):
        raise invalid_request(
            "This model does not support assistant message prefill. The conversation must end with"
            " a user message."
        )


def _check_context(prompt: Prompt) -> None:
    most = 1_000_000 if _is_after(prompt.model, (4, 5)) else 200_000
    counted, wanted = count_prompt(prompt.turns, prompt.functions), prompt.sampling.max_tokens or 0
    if counted > most:
        raise invalid_request(f"prompt is too long: {counted} tokens > {most} maximum")
    if counted + wanted > most:
        raise invalid_request(
            f"input length and `max_tokens` exceed context limit: {counted} + {wanted} > {most},"
            " decrease input length or `max_tokens` and try again"
        )
