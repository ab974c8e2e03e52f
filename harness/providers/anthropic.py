"""Anthropic's Messages API, in both of its versions: a separate system text, and turns made of
content blocks.

What surprises: `max_tokens` is required; tool results travel in a user turn, all of one round
together; input tokens do not include cached ones; and signed thinking has to be sent back
unchanged, so an answer with any is kept whole in `Message.echo`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import groupby
from typing import Any

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
    ToolCall,
    Usage,
)
from harness.providers.base import (
    BuiltInProvider,
    Signal,
    reject_late_system,
    reject_raw_prompt,
    split_system_messages,
)
from harness.providers.decoder import AnswerDecoder
from harness.providers.json_text import dumps
from harness.providers.openai import chat_format
from harness.providers.usage import token_count
from harness.vendors.anthropic import DEFAULT_MAX_TOKENS

SERVICE = "the Messages API"

_NAMES = {"stop": "stop_sequences"}
_IDENTIFIER = re.compile(r"[a-zA-Z0-9_-]+")
_NOTHING = Signal.NOTHING

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

_FLAGGED_REASONS = ("refusal", "pause_turn", "model_context_window_exceeded")
"""Stop reasons that also become flags, because our finish reasons are less specific."""

_PIECES = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
"""The field of a block that each kind of delta continues; it has the same name in the delta."""


class Anthropic(BuiltInProvider):
    """The provider `anthropic`."""

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /messages`. Raises ValueError for a raw prompt, JSON mode without a schema, late
        system messages."""
        reject_raw_prompt(target, request, SERVICE)
        version = target.api_version or self.default_api_version or ""
        return EncodedRequest(
            path="/messages",
            headers=(("anthropic-version", version), *chat_format.json_headers(target, request)),
            body=dumps(_build_body(target, request)),
            auth=chat_format.api_key_auth(target, "x-api-key", ""),
        )

    def make_decoder(self, target: Target, request: Request) -> AnthropicDecoder:
        """A fresh decoder for one attempt at `request`."""
        return AnthropicDecoder(request)


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────


def _build_body(target: Target, request: Request) -> dict[str, Any]:
    system, turns = split_system_messages(target, request.messages, SERVICE)
    reject_late_system(target, turns, SERVICE)
    body: dict[str, Any] = {"model": target.model, **_encode_sampling(request.sampling)}
    if system:
        body["system"] = "\n\n".join(turn.text for turn in system)
    body["messages"] = [
        message
        for tools, run in groupby(turns, _is_tool_result)
        for message in (_tool_results_message(run) if tools else _encode_turns(run))
    ]
    if request.stream:
        body["stream"] = True
    if request.tools:
        body["tools"] = [_encode_tool(function) for function in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _encode_tool_choice(request.tool_choice)
    if request.parallel_tool_calls is not None:
        body.setdefault("tool_choice", {"type": "auto"})[
            "disable_parallel_tool_use"
        ] = not request.parallel_tool_calls
    if request.response_format is not None:
        body.setdefault("output_config", {})["format"] = _output_format(
            target, request.response_format
        )
    body.update(target.extra_body)
    return body


def _encode_sampling(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling parameters under their names on the wire; null ones are not sent, the output limit
    always is."""
    sent = {
        _NAMES.get(name, name): value for name, value in parameters.items() if value is not None
    }
    sent.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    if isinstance(sent.get("stop_sequences"), str):
        sent["stop_sequences"] = [sent["stop_sequences"]]
    effort = sent.pop("reasoning_effort", None)
    if effort == "none":
        sent["thinking"] = {"type": "disabled"}
    elif effort is not None:
        sent["thinking"] = {"type": "adaptive"}
        sent["output_config"] = {"effort": effort}
    return sent


def _is_tool_result(turn: Message) -> bool:
    return turn.role == "tool"


def _tool_results_message(turns: Iterator[Message]) -> list[dict[str, Any]]:
    """All results of one round of tool calls in one turn: the API refuses a call whose result is
    not in the next turn."""
    return [{"role": "user", "content": [_tool_result(turn) for turn in turns]}]


def _tool_result(turn: Message) -> dict[str, Any]:
    result = {
        "type": "tool_result",
        "tool_use_id": _tool_use_id(turn.tool_call_id or ""),
        "content": _encode_content(turn.content),
    }
    return result | {"is_error": True} if turn.failed else result


def _encode_turns(turns: Iterator[Message]) -> list[dict[str, Any]]:
    """User and assistant messages. The API refuses an empty assistant message, so it is
    left out."""
    messages = []
    for turn in turns:
        content = (
            _assistant_content(turn) if turn.role == "assistant" else _encode_content(turn.content)
        )
        if content or turn.role != "assistant":
            messages.append({"role": turn.role, "content": content})
    return messages


def _assistant_content(turn: Message) -> str | list[dict[str, Any]]:
    if isinstance(turn.echo, Mapping) and isinstance(turn.echo.get("anthropic"), list | tuple):
        return list(turn.echo["anthropic"])
    if not turn.tool_calls:
        return _encode_content(turn.content)
    text = [{"type": "text", "text": turn.text}] if turn.text else []
    return [*text, *(_tool_use(call) for call in turn.tool_calls)]


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": _tool_use_id(call.id),
        "name": call.name,
        "input": chat_format.parse_arguments(call.arguments),
    }


def _encode_content(content: str | tuple[Text | Image, ...]) -> str | list[dict[str, Any]]:
    """Text as it is, parts as blocks; the API refuses a block of no text."""
    return (
        content
        if isinstance(content, str)
        else [_encode_part(part) for part in content if part != Text("")]
    )


def _encode_part(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": part.media_type, "data": part.data},
    }


def _encode_tool(function: Tool) -> dict[str, Any]:
    strict = {} if function.strict is None else {"strict": function.strict}
    return {
        "name": function.name,
        "description": function.description,
        "input_schema": function.parameters,
        **strict,
    }


def _encode_tool_choice(choice: str) -> dict[str, Any]:
    """`auto` and `none` unchanged, `required` as `any`; any other word is the name of the tool that
    must be called."""
    if choice in ("auto", "none"):
        return {"type": choice}
    return {"type": "any"} if choice == "required" else {"type": "tool", "name": choice}


def _output_format(target: Target, wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.type == "json_object":
        raise ValueError(
            f"target {target.name}: the Messages API has no JSON mode without a schema; give"
            " `json_schema`"
        )
    return {"type": "json_schema", "schema": wanted.schema or {}}


@lru_cache(maxsize=1024)
def _tool_use_id(identifier: str) -> str:
    """A tool call id that matches the API's pattern; deterministic."""
    if _IDENTIFIER.fullmatch(identifier):
        return identifier
    return (
        "toolu_" + blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    )


# ── Responses ─────────────────────────────────────────────────────────────────────────────────────


class AnthropicDecoder(AnswerDecoder):
    """Decodes a `message`, or the events of its stream."""

    reasons = _FINISH_REASONS

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._blocks: dict[Any, _Block] = {}
        self._reported: dict[str, Any] = {}
        self._counted = False
        self._steps: dict[str, Callable[[dict[str, Any]], Signal]] = {
            "content_block_delta": self._block_delta,
            "content_block_start": self._block_start,
            "message_start": self._message_start,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
        }

    def _read_chunk(self, chunk: dict[str, Any]) -> Signal:
        kind = chunk.get("type")
        step = self._steps.get(kind) if type(kind) is str else None
        return _NOTHING if step is None else step(chunk)

    def _read_body(self, body: dict[str, Any]) -> None:
        self._read_model(body)
        content = body.get("content")
        for index, block in enumerate(content if isinstance(content, list) else ()):
            self._begin_block(index, block)
        self._merge_usage(body.get("usage"))
        self._counted = True
        self._read_stop(body)

    def _token_usage(self, headers: Mapping[str, str]) -> Usage | None:
        """Known only after the last event with counts: the first has no count of the output yet."""
        return _read_usage(self._reported) if self._counted else None

    def _build_message(self) -> Message:
        """The answer, with all its blocks in `echo` where text and tool calls do not represent them
        all.

        Blocks that the API would refuse are left out: thinking that was cut off before its
        signature, and empty text.
        """
        message = super()._build_message()
        if self._stop_reason is None or not any(
            block.needs_echo for block in self._blocks.values()
        ):
            return message
        blocks = [
            block
            for block in (each.to_dict() for each in self._blocks.values())
            if not _is_unfinished(block)
        ]
        return replace(message, echo={"anthropic": blocks})

    # ── Events ────────────────────────────────────────────────────────────────────────────────────

    def _message_start(self, chunk: dict[str, Any]) -> Signal:
        message = chunk.get("message")
        if isinstance(message, dict):
            self._read_model(message)
            self._merge_usage(message.get("usage"))
        return _NOTHING

    def _block_start(self, chunk: dict[str, Any]) -> Signal:
        return self._begin_block(chunk.get("index"), chunk.get("content_block"))

    def _begin_block(self, index: Any, given: Any) -> Signal:
        """Take a block as it starts in a stream, or whole."""
        if not isinstance(given, dict) or not isinstance(index, int):
            return _NOTHING
        self._blocks[index] = _Block(given)
        match given.get("type"):
            case "text":
                return self._answer.add_text(given.get("text"))
            case "thinking":
                return self._answer.add_reasoning(given.get("thinking"))
            case "tool_use":
                called = {
                    "id": given.get("id"),
                    "name": given.get("name"),
                    "arguments": given.get("input") or None,
                }
                return self._answer.add_tool_calls([{"index": index, **called}])
        return _NOTHING

    def _block_delta(self, chunk: dict[str, Any]) -> Signal:
        index, delta = chunk.get("index"), chunk.get("delta")
        if (
            type(delta) is not dict
            or type(index) is not int
            or (block := self._blocks.get(index)) is None
        ):
            return _NOTHING
        kind = delta.get("type")
        field = _PIECES.get(kind, "") if type(kind) is str else ""
        piece = delta.get(field)
        if not piece or type(piece) is not str:
            return _NOTHING
        return self._append_piece(index, block, field, piece)

    def _append_piece(self, index: int, block: _Block, field: str, piece: str) -> Signal:
        """Take a piece of one field of a block."""
        block.pieces.setdefault(field, []).append(piece)
        if field == "text":
            return self._answer.add_text(piece)
        if field == "thinking":
            return self._answer.add_reasoning(piece)
        if (
            field == "partial_json" and block.given.get("type") == "tool_use"
        ):  # the server's own tools are not ours to call
            return self._answer.add_tool_calls([{"index": index, "arguments": piece}])
        return _NOTHING

    def _message_delta(self, chunk: dict[str, Any]) -> Signal:
        reported = chunk.get("usage")
        if isinstance(reported, dict):
            self._merge_usage(reported)
            self._counted = True
        delta = chunk.get("delta")
        if isinstance(delta, dict):
            self._read_stop(delta)
        return _NOTHING

    def _message_stop(self, chunk: dict[str, Any]) -> Signal:
        return self._end_stream()

    # ── Shared steps ──────────────────────────────────────────────────────────────────────────────

    def _read_model(self, message: Mapping[str, Any]) -> None:
        model = message.get("model")
        self._model = model if isinstance(model, str) else self._model

    def _merge_usage(self, reported: Any) -> None:
        """Take counts, which are cumulative: a later one replaces an earlier one."""
        if isinstance(reported, dict):
            self._reported.update(
                {name: value for name, value in reported.items() if value is not None}
            )

    def _read_stop(self, delta: Mapping[str, Any]) -> None:
        """Take the stop reason; of a refusal, also its explanation."""
        reason = delta.get("stop_reason")
        self._set_stop_reason(reason)
        if reason in _FLAGGED_REASONS:
            self._flags[reason] = None
        details = delta.get("stop_details")
        if reason == "refusal" and isinstance(details, dict):
            self._answer.add_refusal(details.get("explanation"))


class _Block:
    """A content block under construction, as it has to be sent back."""

    __slots__ = ("given", "pieces")

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.pieces: dict[str, list[str]] = {}

    @property
    def needs_echo(self) -> bool:
        """Whether a message's text and tool calls do not represent it."""
        return self.given.get("type") not in ("text", "tool_use")

    def to_dict(self) -> dict[str, Any]:
        joined = {name: "".join(pieces) for name, pieces in self.pieces.items()}
        if "partial_json" in joined:
            return {**self.given, "input": chat_format.parse_arguments(joined["partial_json"])}
        opening = {
            name: text for name in joined if isinstance(text := self.given.get(name), str)
        }  # usually empty
        return {
            **self.given,
            **{name: opening.get(name, "") + text for name, text in joined.items()},
        }


def _is_unfinished(block: Mapping[str, Any]) -> bool:
    needed = {"thinking": "signature", "text": "text"}.get(str(block.get("type")))
    return needed is not None and not block.get(needed)


def _read_usage(reported: Mapping[str, Any]) -> Usage | None:
    """Counts in disjoint buckets; only thinking (part of the output) and one-hour cache writes have
    to be separated."""
    given, output = (
        token_count(reported.get("input_tokens")),
        token_count(reported.get("output_tokens")),
    )
    written, cached = (
        token_count(reported.get(f"cache_{what}_input_tokens")) or 0
        for what in ("creation", "read")
    )
    if not given and not output and not written and not cached:
        return None
    for_an_hour = _nested_count(reported, "cache_creation", "ephemeral_1h_input_tokens")
    thought = _nested_count(reported, "output_tokens_details", "thinking_tokens")
    return Usage(
        input=given,
        output=None if output is None else max(0, output - thought),
        cache_read=cached,
        cache_write=max(0, written - for_an_hour),
        cache_write_1h=for_an_hour,
        reasoning=thought,
    )


def _nested_count(reported: Mapping[str, Any], group: str, name: str) -> int:
    details = reported.get(group)
    return (token_count(details.get(name)) if isinstance(details, dict) else None) or 0
