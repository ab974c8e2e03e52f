"""Google's Gemini API: `generateContent` and its stream.

What surprises: the roles are `user` and `model`, system messages are separate, and tool results are
the user's, all of one turn in one content and named by function. Signed parts (`thoughtSignature`)
must be sent back unchanged, or the next turn of a tool loop is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any
from urllib.parse import quote

from harness.model import (
    EncodedRequest,
    Image,
    Message,
    Request,
    ResponseFormat,
    Target,
    Text,
    Tool,
    ToolCall,
)
from harness.providers.base import (
    BuiltInProvider,
    contains_image,
    reject_late_system,
    reject_raw_prompt,
    split_system_messages,
)
from harness.providers.gemini.answer_decoder import ECHO, GeminiDecoder
from harness.providers.json_text import UnreadableJSONError, dumps, loads_text
from harness.providers.openai import chat_format

SERVICE = "Gemini"

TOOL_CHOICE_MODES: Mapping[str, str] = {"auto": "AUTO", "none": "NONE", "required": "ANY"}

GENERATION_FIELDS: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "n": "candidateCount",
}
"""Canonical parameter -> its field of `generationConfig`, where only the name differs."""

THINKING_BUDGETS: Mapping[str, int] = {"none": 0, "low": 1024, "medium": 8192, "high": 24576}
"""Thinking budget in tokens for an effort, for models without levels
(ai.google.dev/gemini-api/docs/openai, "Thinking")."""

_BUDGETED = "gemini-2.5"
_SYNTHETIC_ID = re.compile(r"call_\d+")  # made up for a call without an id: unknown to the server


class Gemini(BuiltInProvider):
    """The provider `gemini`."""

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /v1beta/models/{model}:generateContent`, or its stream.

        Raises ValueError for what this format cannot carry: a raw prompt, a system message after
        another turn, an image in a system's or a tool's message.
        """
        reject_raw_prompt(target, request, SERVICE)
        return EncodedRequest(
            path=_request_path(
                target.api_version or self.default_api_version or "", target.model, request.stream
            ),
            headers=chat_format.json_headers(target, request),
            body=dumps(_build_body(target, request)),
            auth=chat_format.api_key_auth(target, "x-goog-api-key", ""),
        )

    def make_decoder(self, target: Target, request: Request) -> GeminiDecoder:
        """A fresh decoder for one attempt at `request`."""
        return GeminiDecoder(request)


@lru_cache
def _request_path(version: str, model: str, stream: bool) -> str:
    resource = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/{version}/{quote(resource, safe='@/')}:{method}"


def _build_body(target: Target, request: Request) -> dict[str, Any]:
    system, turns = split_system_messages(target, request.messages, SERVICE)
    reject_late_system(target, turns, SERVICE)
    body: dict[str, Any] = {"contents": list(_encode_turns(turns))}
    if system:
        body["systemInstruction"] = {"parts": [{"text": turn.text} for turn in system]}
    if request.tools:
        body["tools"] = [
            {
                "functionDeclarations": [
                    _function_declaration(function) for function in request.tools
                ]
            }
        ]
    if request.tool_choice is not None:
        body["toolConfig"] = {"functionCallingConfig": _encode_tool_choice(request.tool_choice)}
    return _merge_extra_body(body, _generation_config(target.model, request), target.extra_body)


def _merge_extra_body(
    body: dict[str, Any], generation: dict[str, Any], extra: Mapping[str, Any]
) -> dict[str, Any]:
    """`body` with a target's additions; its `generationConfig` is merged into ours instead of
    replacing it."""
    body.update(extra)
    own = extra.get("generationConfig", {})
    if isinstance(own, Mapping) and (joined := {**generation, **own}):
        body["generationConfig"] = joined
    return body


# ── The conversation ──────────────────────────────────────────────────────────────────────────────


def _encode_turns(turns: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """One content a turn; consecutive tool results share one."""
    names: dict[str, str] = {}
    for is_result, group in groupby(turns, lambda turn: turn.role == "tool"):
        if is_result:
            yield {"role": "user", "parts": [_function_response(turn, names) for turn in group]}
            continue
        for turn in group:
            names.update((call.id, call.name) for call in turn.tool_calls)
            yield {
                "role": "model" if turn.role == "assistant" else "user",
                "parts": _encode_parts(turn),
            }


def _encode_parts(turn: Message) -> list[Any]:
    kept = turn.echo.get(ECHO) if isinstance(turn.echo, Mapping) else None
    if isinstance(kept, list | tuple):
        return list(kept)
    content = (Text(turn.content),) if isinstance(turn.content, str) else turn.content
    parts = [_encode_part(part) for part in content if isinstance(part, Image) or part.text]
    return [*parts, *map(_function_call, turn.tool_calls)] or [{"text": ""}]


def _encode_part(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"text": part.text}
    return {"inlineData": {"mimeType": part.media_type, "data": part.data}}


def _function_call(call: ToolCall) -> dict[str, Any]:
    return {
        "functionCall": (
            _id_field(call.id)
            | {
                "name": call.name,
                "args": chat_format.parse_arguments(call.arguments),
            }
        )
    }


def _function_response(turn: Message, names: Mapping[str, str]) -> dict[str, Any]:
    """A tool's result: an object unchanged; anything else under the API's key for output, or for an
    error."""
    identifier = turn.tool_call_id or ""
    name = turn.name or names.get(identifier)
    if name is None:
        raise ValueError(
            f"a tool result refers to the unknown call {identifier!r}: Gemini needs the name of the"
            " function"
        )
    if contains_image(turn):
        raise ValueError(
            f"the result of {name} contains an image, which Gemini accepts only from the user"
        )
    value = turn.text if turn.failed else _result_value(turn.text)
    response = value if isinstance(value, dict) else {"error" if turn.failed else "output": value}
    return {"functionResponse": _id_field(identifier) | {"name": name, "response": response}}


def _id_field(identifier: str) -> dict[str, Any]:
    return {"id": identifier} if identifier and not _SYNTHETIC_ID.fullmatch(identifier) else {}


def _result_value(text: str) -> Any:
    """The value of JSON text; other text unchanged."""
    try:
        return loads_text(text)
    except UnreadableJSONError:
        return text


# ── Tools and parameters ──────────────────────────────────────────────────────────────────────────


def _function_declaration(function: Tool) -> dict[str, Any]:
    return {
        "name": function.name,
        "description": function.description,
        "parametersJsonSchema": function.parameters,
    }


def _encode_tool_choice(choice: str) -> dict[str, Any]:
    return (
        {"mode": TOOL_CHOICE_MODES[choice]}
        if choice in TOOL_CHOICE_MODES
        else {"mode": "ANY", "allowedFunctionNames": [choice]}
    )


def _generation_config(model: str, request: Request) -> dict[str, Any]:
    """`generationConfig`; null parameters are not sent, one that is not in `GENERATION_FIELDS`
    keeps its name."""
    given = {name: value for name, value in request.sampling.items() if value is not None}
    config: dict[str, Any] = {}
    for name, value in given.items():
        if name == "stop":
            config["stopSequences"] = [value] if isinstance(value, str) else list(value)
        elif name == "logprobs":
            config |= _logprobs_fields(value)
        elif name == "reasoning_effort":
            config["thinkingConfig"] = _thinking_config(model, value)
        else:
            config[GENERATION_FIELDS.get(name, name)] = value
    return config | (
        _response_format_fields(request.response_format) if request.response_format else {}
    )


def _logprobs_fields(requested: bool | int) -> dict[str, Any]:
    """Log probabilities, requested as a flag or as a number of alternatives."""
    if isinstance(requested, bool):
        return {"responseLogprobs": requested}
    return {"responseLogprobs": True, "logprobs": requested}


def _thinking_config(model: str, effort: str) -> dict[str, Any]:
    """A level, or a budget for models without levels; with the summary of the thoughts, which costs
    nothing extra."""
    if not model.startswith(_BUDGETED):
        return {"thinkingLevel": effort.upper(), "includeThoughts": True}
    budget = THINKING_BUDGETS.get(effort)
    if budget is None:
        raise ValueError(
            f"{model} takes a reasoning_effort of {', '.join(THINKING_BUDGETS)}, not {effort!r}"
        )
    return {"thinkingBudget": budget, "includeThoughts": budget > 0}


def _response_format_fields(wanted: ResponseFormat) -> dict[str, Any]:
    mime = {"responseMimeType": "application/json"}
    return (
        mime if wanted.type == "json_object" else mime | {"responseJsonSchema": wanted.schema or {}}
    )
