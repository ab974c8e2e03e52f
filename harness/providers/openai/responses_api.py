"""OpenAI's Responses API: a conversation is a list of typed items, and a stream a list of typed
events.

Nothing is stored at the provider (`store: false`), so the model's reasoning is returned encrypted.
An answer with reasoning keeps all its items in `Message.echo`, and they are sent back unchanged, so
that a tool loop continues the reasoning. A schema is strict only where it may be
(`is_strict_schema`): a strict one with an optional property is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from msgspec.structs import replace

from harness.model import (
    EncodedRequest,
    FinishReason,
    Image,
    Message,
    Request,
    ResponseFormat,
    Target,
    Text,
    Tool,
    Usage,
)
from harness.providers import errors, usage
from harness.providers.base import BuiltInProvider, Signal, reject_raw_prompt, split_system_messages
from harness.providers.decoder import AnswerDecoder, contains_error, read_logprobs
from harness.providers.json_text import dumps
from harness.providers.openai import chat_format
from harness.providers.openai.strict_schema import is_strict_schema, is_strict_tool

SERVICE = "the Responses API"

_NOTHING = Signal.NOTHING
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_FAILED = ("failed", "cancelled")


class OpenAIResponses(BuiltInProvider):
    """The provider `openai-responses`."""

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /responses`. Raises ValueError for a raw prompt, and for an image in the opening
        system text."""
        reject_raw_prompt(target, request, SERVICE)
        return EncodedRequest(
            path="/responses",
            headers=chat_format.json_headers(target, request),
            body=dumps(_build_body(target, request)),
            auth=chat_format.api_key_auth(target),
        )

    def make_decoder(self, target: Target, request: Request) -> ResponsesDecoder:
        """A fresh decoder for one attempt at `request`."""
        return ResponsesDecoder(request)


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────


def _build_body(target: Target, request: Request) -> dict[str, Any]:
    system, turns = split_system_messages(target, request.messages, SERVICE, ("system",))
    items = [item for turn in turns for item in _encode_turn(turn)]
    body: dict[str, Any] = {"model": target.model, "input": items, "store": False}
    if system:
        body["instructions"] = "\n\n".join(turn.text for turn in system)
    body.update(_encode_sampling(request.sampling))
    if request.stream:
        body["stream"] = True
    if request.tools:
        body["tools"] = [_encode_tool(function) for function in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _encode_tool_choice(request.tool_choice)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format is not None:
        body["text"] = {"format": _text_format(request.response_format)}
    body.update(target.extra_body)
    return body


def _encode_turn(turn: Message) -> list[dict[str, Any]]:
    """A turn as input items; items that this provider returned are sent back unchanged."""
    if isinstance(turn.echo, Mapping) and isinstance(turn.echo.get("output"), list | tuple):
        return list(turn.echo["output"])
    if turn.role == "tool":
        return [
            {
                "type": "function_call_output",
                "call_id": turn.tool_call_id,
                "output": _encode_content(turn.content),
            }
        ]
    calls = [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in turn.tool_calls
    ]
    message = (
        []
        if calls and not turn.text
        else [{"role": turn.role, "content": _encode_content(turn.content)}]
    )
    return [*message, *calls]


def _encode_content(content: str | tuple[Text | Image, ...]) -> str | list[dict[str, Any]]:
    return content if isinstance(content, str) else [_encode_part(part) for part in content]


def _encode_part(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    return {
        "type": "input_image",
        "image_url": f"data:{part.media_type};base64,{part.data}",
        "detail": "auto",
    }


def _encode_sampling(parameters: Mapping[str, Any]) -> dict[str, Any]:
    sent = {name: value for name, value in parameters.items() if value is not None}
    if "max_tokens" in sent:
        sent["max_output_tokens"] = sent.pop("max_tokens")
    if "reasoning_effort" in sent:
        sent["reasoning"] = {"effort": sent.pop("reasoning_effort")}
    probable = sent.pop("logprobs", False)
    if probable is not False:
        sent["include"] = ["message.output_text.logprobs"]
        sent |= {} if probable is True else {"top_logprobs": probable}
    return sent


def _encode_tool(function: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": function.name,
        "description": function.description,
        "parameters": function.parameters,
        "strict": is_strict_tool(function),
    }


def _encode_tool_choice(choice: str) -> str | dict[str, Any]:
    return (
        choice if choice in ("auto", "none", "required") else {"type": "function", "name": choice}
    )


def _text_format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.type == "json_object":
        return {"type": "json_object"}
    schema = wanted.schema or {}
    return {
        "type": "json_schema",
        "name": wanted.name,
        "schema": schema,
        "strict": is_strict_schema(schema),
    }


# ── Responses ─────────────────────────────────────────────────────────────────────────────────────


class ResponsesDecoder(AnswerDecoder):
    """Decodes a `response` object, or a stream of events that ends with one."""

    reasons: ClassVar[Mapping[str, FinishReason]] = {
        "completed": "stop",
        "max_output_tokens": "length",
        "content_filter": "content_filter",
    }

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._reported: Any = None
        self._output: list[Any] = []

    def _read_chunk(self, chunk: dict[str, Any]) -> Signal:
        kind, delta = chunk.get("type"), chunk.get("delta")
        match kind:
            case "response.output_text.delta":
                self._read_logprobs(chunk.get("logprobs"))
                return self._answer.add_text(delta)
            case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
                return self._answer.add_delta({"reasoning": delta})
            case "response.refusal.delta":
                return self._answer.add_delta({"refusal": delta})
            case "response.function_call_arguments.delta":
                return self._answer.add_tool_calls(
                    [{"index": chunk.get("output_index"), "function": {"arguments": delta}}]
                )
            case "response.output_item.added":
                return self._begin_item(chunk.get("item"), chunk.get("output_index"))
            case "response.reasoning_summary_part.added" if chunk.get("summary_index"):
                return self._answer.add_delta({"reasoning": "\n\n"})
            case "error":
                return self._fail(errors.embedded_error(chunk))
        response = chunk.get("response")
        return (
            self._read_response(response, ended=kind in _ENDS)
            if isinstance(response, dict)
            else _NOTHING
        )

    def _read_body(self, body: dict[str, Any]) -> None:
        self._read_response(body, ended=True)

    def _build_message(self) -> Message:
        message, output = super()._build_message(), _without_trailing_reasoning(self._output)
        return (
            replace(message, echo={"output": output})
            if any(map(_is_reasoning, output))
            else message
        )

    def _finish_reason(self) -> FinishReason:
        reason = super()._finish_reason()
        return "tool_calls" if reason == "stop" and self._answer.has_calls else reason

    def _token_usage(self, headers: Mapping[str, str]) -> Usage | None:
        return usage.read_responses_usage(self._reported)

    def _begin_item(self, item: Any, place: Any) -> Signal:
        """A function call opens with its name; other items open with nothing."""
        if not isinstance(item, dict) or item.get("type") != "function_call":
            return _NOTHING
        function = {"name": item.get("name"), "arguments": item.get("arguments") or None}
        return self._answer.add_tool_calls(
            [{"index": place, "id": item.get("call_id"), "function": function}]
        )

    def _read_response(self, response: dict[str, Any], *, ended: bool) -> Signal:
        """Take a whole response object, which opens a stream and ends it."""
        model = response.get("model")
        self._model = model if isinstance(model, str) else self._model
        if not ended:
            return _NOTHING
        self._reported = response.get("usage")
        if contains_error(response):
            return self._fail(errors.embedded_error(response))
        if response.get("status") in _FAILED:
            return self._fail(errors.aborted_error())
        output = response.get("output")
        self._output = output if isinstance(output, list) else []
        if not self._answer.is_started:
            for place, item in enumerate(self._output):
                self._read_item(item, place)
        self._set_stop_reason(_end_reason(response))
        return self._end_stream()

    def _read_item(self, item: Any, place: int) -> None:
        """Take an item of a response that was not streamed."""
        if not isinstance(item, dict):
            return
        self._begin_item(item, place)
        for part in _dicts_in(item, "content"):
            self._read_logprobs(part.get("logprobs"))
            if part.get("type") == "reasoning_text":
                self._answer.add_delta({"reasoning": part.get("text")})
            else:
                self._answer.add_delta(
                    {"content": part.get("text"), "refusal": part.get("refusal")}
                )
        thoughts = [
            text for part in _dicts_in(item, "summary") if isinstance(text := part.get("text"), str)
        ]
        self._answer.add_delta({"reasoning": "\n\n".join(thoughts)})

    def _read_logprobs(self, entries: Any) -> None:
        if entries:
            self._ignored.observe_choices([{"logprobs": entries}])
            self._logprobs.extend(read_logprobs(entries))


def _without_trailing_reasoning(items: list[Any]) -> list[Any]:
    """The items up to the last that is no reasoning: the API refuses reasoning that was cut off
    before its result."""
    while items and _is_reasoning(items[-1]):
        items = items[:-1]
    return items


def _is_reasoning(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "reasoning"


def _dicts_in(item: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    parts = item.get(key)
    return (
        (part for part in parts if isinstance(part, dict)) if isinstance(parts, list) else iter(())
    )


def _end_reason(response: Mapping[str, Any]) -> Any:
    """Why a response ended: its status, and where it is incomplete, what stopped it."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return reason or response.get("status")
