"""What the chat formats have in common: encoding OpenAI-shaped messages, and assembling an answer
from its pieces.

Reasoning is not sent back (it would be billed, or refused), except where a vendor requires it with
tool calls (`ChatDialect.echo_reasoning`). Images travel as data URIs, so that a request is complete
in itself and nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from harness.model import (
    Auth,
    FinishReason,
    Image,
    Message,
    Request,
    ResponseFormat,
    Role,
    Target,
    Text,
    Tool,
    ToolCall,
)
from harness.providers.base import Signal
from harness.providers.json_text import (
    UnreadableJSONError,
    compact_json,
    join_surrogates,
    loads_text,
)
from harness.providers.openai.strict_schema import is_strict_schema

_HEADERS = {
    stream: (("content-type", "application/json"), ("accept", accept))
    for stream, accept in ((True, "text/event-stream"), (False, "application/json"))
}

FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}

MAX_TOOL_CALLS = 1000
"""Most tool calls of one answer: far above any real one."""

_NINE_ALPHANUMERICS = re.compile(r"[a-zA-Z0-9]{9}")

_NOTHING, _ANSWER = (
    Signal.NOTHING,
    Signal.ANSWER,
)  # looked up once: an enum's members cost more than a name


# ── Requests ──────────────────────────────────────────────────────────────────────────────


def keep_identifier(tool_call_id: str) -> str:
    """The usual mapping of tool call ids: unchanged."""
    return tool_call_id


def nine_character_id(tool_call_id: str) -> str:
    """A tool call id as Workers AI and Mistral accept it, nine letters and
    digits; deterministic."""
    if _NINE_ALPHANUMERICS.fullmatch(tool_call_id):
        return tool_call_id
    return blake2b(tool_call_id.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()[:9]


def parse_arguments(text: str) -> dict[str, Any]:
    """A call's arguments as the object some formats require; anything else that a model wrote is
    wrapped in one."""
    try:
        value = loads_text(text)
    except UnreadableJSONError:
        value = text
    return value if isinstance(value, dict) else {"arguments": value}


def encode_message(
    turn: Message,
    encode_id: Callable[[str], str] = keep_identifier,
    developer: Role = "developer",
) -> dict[str, Any]:
    """`turn` in OpenAI's chat format; `encode_id` maps tool call ids, and `developer` that role, to
    what the server accepts.
    """
    content = turn.content
    encoded: dict[str, Any] = {
        "role": turn.role if turn.role != "developer" else developer,
        "content": content
        if isinstance(content, str)
        else [_encode_part(part) for part in content],
    }
    if turn.tool_calls:
        encoded["tool_calls"] = [
            {
                "id": encode_id(call.id),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.tool_calls
        ]
    if turn.tool_call_id is not None:
        encoded["tool_call_id"] = encode_id(turn.tool_call_id)
    if turn.name is not None:
        encoded["name"] = turn.name
    return encoded


def _encode_part(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{part.data}"}}


def encode_tool(tool: Tool) -> dict[str, Any]:
    """`tool` in OpenAI's chat format."""
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def encode_sampling(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling parameters as the format has them. A null one is not sent.

    Log probabilities are requested as a flag, or as a number of alternatives; the format has a
    field for each.
    """
    sent = {name: value for name, value in parameters.items() if value is not None}
    if type(sent.get("logprobs")) is int:
        sent["top_logprobs"] = sent["logprobs"]
        sent["logprobs"] = True
    return sent


def encode_tool_choice(choice: str) -> str | dict[str, Any]:
    """`auto`, `none` or `required` unchanged; any other word is the name of the function that must
    be called."""
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def encode_response_format(wanted: ResponseFormat) -> dict[str, Any]:
    """Structured output in OpenAI's envelope; strict where the schema permits it."""
    if wanted.type == "json_object":
        return {"type": "json_object"}
    schema = wanted.schema or {}
    strict = is_strict_schema(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": wanted.name, "schema": schema, "strict": strict},
    }


def json_headers(target: Target, request: Request) -> tuple[tuple[str, str], ...]:
    """The headers of a JSON request; the target's own take precedence."""
    ours = _HEADERS[request.stream]
    if not target.headers:
        return ours
    own = {name.lower(): value for name, value in target.headers.items()}
    return tuple((dict(ours) | own).items())


def api_key_auth(
    target: Target, header: str = "Authorization", prefix: str = "Bearer "
) -> Auth | None:
    """Where the target's API key goes; None where it has none."""
    return Auth(target.api_key_env, header, prefix) if target.api_key_env else None


# ── Responses ─────────────────────────────────────────────────────────────────────────────


class MessageAccumulator:
    """An answer under construction: pieces of text, reasoning, refusal and tool calls, in order of
    arrival."""

    __slots__ = (
        "_calls",
        "_highest_call",
        "_last_call",
        "_reasoning",
        "_refusal",
        "_text",
        "has_content",
    )

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, _PartialCall] = {}
        self._highest_call = self._last_call = -1
        self.has_content = False
        """Whether the server sent any content, even an empty one: that tells an empty answer from a
        missing one."""

    def add_delta(self, delta: Mapping[str, Any]) -> Signal:
        """Take a stream's delta or a whole message: they have the same fields.

        Raises UnreadableJSONError for content that nests too deep.
        """
        content = delta.get("content")
        if content and type(content) is str:  # the common case, without another call
            self.has_content = True
            self._text.append(content)
            return _ANSWER if len(delta) == 1 else self._add_other_fields(delta, _ANSWER)
        return self._add_other_fields(delta, self.add_text(content))

    def add_text(self, content: Any) -> Signal:
        """Take a piece of the text; what is not a string becomes one."""
        if content is None:
            return _NOTHING
        self.has_content = True
        if type(content) is list and (thinking := [part for part in content if _is_thinking(part)]):
            return self._add_thinking(
                thinking, [part for part in content if not _is_thinking(part)]
            )
        text = content if type(content) is str else content_text(content)
        if not text:
            return _NOTHING
        self._text.append(text)
        return _ANSWER

    def add_reasoning(self, text: Any) -> Signal:
        """Take a piece of the reasoning; what is not a string is ignored."""
        if not text or type(text) is not str:
            return _NOTHING
        self._reasoning.append(text)
        return Signal.REASONING

    def add_refusal(self, text: Any) -> Signal:
        """Take a piece of a refusal; what is not a string is ignored."""
        if not text or type(text) is not str:
            return _NOTHING
        self._refusal.append(text)
        return _ANSWER

    def add_tool_calls(self, fragments: Any) -> Signal:
        """Take tool calls, whole or in fragments. Raises UnreadableJSONError for too many."""
        if not isinstance(fragments, list):
            return _NOTHING
        added = [
            self._add_fragment(fragment) for fragment in fragments if isinstance(fragment, dict)
        ]
        return _ANSWER if any(added) else _NOTHING

    @property
    def is_refusal(self) -> bool:
        """Whether the model refused in the format's own field for that."""
        return bool(self._refusal)

    @property
    def has_calls(self) -> bool:
        """Whether there is a tool call."""
        return bool(self._calls)

    @property
    def is_started(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self._text or self._reasoning or self._refusal or self._calls)

    @property
    def is_blank(self) -> bool:
        """Whether there is neither text nor a tool call, whatever the reasoning."""
        return not (self._text or self._refusal or self._calls)

    def to_message(self) -> Message:
        """The answer so far; a refusal is its text where there is no other."""
        return Message(
            role="assistant",
            content=join_surrogates("".join(self._text or self._refusal)),
            reasoning=join_surrogates("".join(self._reasoning)) if self._reasoning else None,
            tool_calls=tuple(
                [call.to_tool_call(index) for index, call in enumerate(self._calls.values())]
            )
            if self._calls
            else (),
        )

    def _add_thinking(self, thinking: list[Any], others: list[Any]) -> Signal:
        """Take Mistral's chunks of thinking, and the other parts among them."""
        text = "".join(content_text(part.get("thinking") or "") for part in thinking)
        if text:
            self._reasoning.append(text)
        signal = self.add_text(others) if others else _NOTHING
        return Signal.REASONING if signal is _NOTHING and text else signal

    def _add_other_fields(self, delta: Mapping[str, Any], signal: Signal) -> Signal:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if reasoning:
            carried = self.add_reasoning(reasoning)
            signal = carried if signal is _NOTHING else signal
        refusal = delta.get("refusal")
        if refusal and self.add_refusal(refusal) is _ANSWER:
            signal = _ANSWER
        calls = delta.get("tool_calls")
        return _ANSWER if calls and self.add_tool_calls(calls) is _ANSWER else signal

    def _add_fragment(self, fragment: dict[str, Any]) -> bool:
        function = fragment.get("function")
        function = function if isinstance(function, dict) else fragment
        name, arguments = function.get("name"), function.get("arguments")
        identifier = fragment.get("id")
        if not (identifier or name or arguments):
            return False  # a closing fragment may be all nulls
        self._find_call(fragment.get("index"), identifier, name).append(identifier, name, arguments)
        return True

    def _find_call(self, index: Any, identifier: Any, name: Any) -> _PartialCall:
        """The call a fragment belongs to: the one at its index, else the last; a new id or a whole
        new call opens another.

        Some servers give every parallel call the index 0, and the oldest form has neither index nor
        id.
        """
        is_indexed = type(index) is int
        key = index if is_indexed else max(self._last_call, 0)
        call = self._calls.get(key)
        if call is not None and (
            call.is_other_call(identifier) or (name and not is_indexed and not identifier)
        ):
            key = self._highest_call + 1
            call = None
        self._last_call = key
        return self._open_call(key) if call is None else call

    def _open_call(self, key: int) -> _PartialCall:
        if len(self._calls) == MAX_TOOL_CALLS:
            raise UnreadableJSONError(f"a list of more than {MAX_TOOL_CALLS:,} tool calls")
        self._highest_call = max(self._highest_call, key)
        call = self._calls[key] = _PartialCall()
        return call


class _PartialCall:
    __slots__ = ("arguments", "identifier", "name")

    def __init__(self) -> None:
        self.identifier = ""
        self.name = ""
        self.arguments: list[str] = []

    def is_other_call(self, identifier: Any) -> bool:
        """Whether `identifier` is another call's."""
        return bool(identifier and self.identifier and identifier != self.identifier)

    def append(self, identifier: Any, name: Any, arguments: Any) -> None:
        """Id and name come once (some servers repeat them); arguments are strings to join, or one
        whole object."""
        self.identifier = self.identifier or (identifier if isinstance(identifier, str) else "")
        self.name = self.name or (name if isinstance(name, str) else "")
        if arguments is not None:
            self.arguments.append(
                arguments if isinstance(arguments, str) else compact_json(arguments)
            )

    def to_tool_call(self, index: int) -> ToolCall:
        arguments = join_surrogates("".join(self.arguments))
        return ToolCall(self.identifier or f"call_{index}", self.name, arguments or "{}")


def _is_thinking(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "thinking"


def content_text(value: Any) -> str:
    """Content that is not a string, as text: text parts joined; a JSON mode object, or a number, as
    compact JSON."""
    if isinstance(value, str):
        return value
    if (
        isinstance(value, list)
        and value
        and all(isinstance(part, dict) and part.get("type") == "text" for part in value)
    ):
        return "".join(part["text"] for part in value if isinstance(part.get("text"), str))
    return compact_json(value)
