"""The user's own code as a provider: a `python` function or a `command` that is given one JSON
object and answers in text.

The request is in OpenAI's format (messages with content, tool calls and images as data URIs), since
that is what most code expects. An answer is text, or an object of `text`, `reasoning`,
`tool_calls`, `usage`, `cost`, `model` and `finish_reason`, whole or in pieces. Nothing is sent over
a network: `transport/callable.py` performs it.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from harness.model import EncodedRequest, Error, Request, Target, Usage
from harness.providers import usage
from harness.providers.base import BuiltInProvider, DecodedResponse, Signal
from harness.providers.json_text import UnreadableJSONError, dumps, loads, loads_text, snippet
from harness.providers.openai import chat_format

KEYS = frozenset({"text", "reasoning", "tool_calls", "usage", "cost", "model", "finish_reason"})
"""The keys of an answer, or of a piece of one."""

_COUNTS = frozenset({"input", "output", "cache_read", "cache_write", "reasoning"})


class FunctionProvider(BuiltInProvider):
    """The provider `python`: a function."""

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """The object that the function or program is given."""
        body = dumps(request_object(request) | dict(target.extra_body))
        return EncodedRequest(f"/{target.model}", (), body, None, method="CALL")

    def make_decoder(self, target: Target, request: Request) -> FunctionDecoder:
        """A new decoder for one attempt at `request`."""
        return FunctionDecoder()


class ProgramProvider(FunctionProvider):
    """The provider `command`: a program; only its output is read differently."""

    def make_decoder(self, target: Target, request: Request) -> ProgramDecoder:
        """A new decoder for one attempt at `request`."""
        return ProgramDecoder()


def request_object(request: Request) -> dict[str, Any]:
    """`request` as plain data; every key is always present."""
    wanted = request.response_format
    return {
        "messages": [chat_format.encode_message(turn) for turn in request.messages],
        "prompt": request.prompt,
        "sampling": {name: value for name, value in request.sampling.items() if value is not None},
        "stream": request.stream,
        "tools": [chat_format.encode_tool(function) for function in request.tools],
        "tool_choice": (
            None
            if request.tool_choice is None
            else chat_format.encode_tool_choice(request.tool_choice)
        ),
        "response_format": None if wanted is None else chat_format.encode_response_format(wanted),
    }


class FunctionDecoder:
    """Assembles an answer from what a function returned or yielded."""

    complete = False

    def __init__(self) -> None:
        self._answer = chat_format.MessageAccumulator()
        self._last: dict[str, Any] = {}
        self._error: Error | None = None
        self._flags: dict[str, None] = {}

    def feed_piece(self, value: Any) -> Signal:
        """Take an answer, or the next piece of one; the first invalid one
        is the error in `finish`."""
        if isinstance(value, str):
            return self._answer.add_text(value)
        if not isinstance(value, Mapping):
            return self._set_error(
                f"{_type_name(value)} is not a valid answer; return text, or an object with the"
                f" keys {_quote_names(KEYS)}"
            )
        if strange := [key for key in value if key not in KEYS]:
            return self._set_error(
                f"the key {snippet(repr(strange[0]))} is not allowed in an answer; use"
                f" {_quote_names(KEYS)}"
            )
        return self._read_object(value)

    def feed_event(self, name: str, data: bytes) -> Signal:
        """Take a piece as JSON."""
        return self.feed_piece(loads(data)[0])

    def feed_body(self, data: bytes) -> None:
        """Take a whole answer as JSON."""
        self.feed_piece(loads(data)[0])

    def feed_error(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Never called: there is no HTTP status."""
        self._set_error(snippet(body))

    def finish(self, headers: Mapping[str, str]) -> DecodedResponse:
        """The decoded response; partial text is kept alongside an error."""
        reported = self._token_usage()  # may set the error
        error = self._error
        if error is None and not self._answer.has_content and self._answer.is_blank:
            error = Error("target", "empty", "it returned neither text nor a tool call")
        return DecodedResponse(
            message=self._answer.to_message() if error is None or self._answer.is_started else None,
            usage=reported,
            finish_reason=None if error else self._finish_reason(),
            model=self._last.get("model"),
            error=error,
            flags=tuple(
                [*self._flags, "empty"] if error is None and self._answer.is_blank else self._flags
            ),
        )

    def _read_object(self, value: Mapping[str, Any]) -> Signal:
        text, thought, calls = value.get("text"), value.get("reasoning"), value.get("tool_calls")
        for key, given, kind in (
            ("text", text, str),
            ("reasoning", thought, str),
            ("tool_calls", calls, list | tuple),
        ):
            if given is not None and not isinstance(given, kind):
                return self._set_error(
                    f"`{key}` should be {'a list' if key == 'tool_calls' else 'text'}, not"
                    f" {_type_name(given)}"
                )
        for key in ("model", "finish_reason"):
            if value.get(key) is not None and not isinstance(value[key], str):
                return self._set_error(f"`{key}` should be text, not {_type_name(value[key])}")
        self._last |= {
            key: value[key]
            for key in ("usage", "cost", "model", "finish_reason")
            if value.get(key) is not None
        }
        signals = (
            self._answer.add_delta({"reasoning": thought}),
            self._answer.add_text(text),
            self._answer.add_tool_calls(list(calls or ())),
        )
        return max(signals, key=lambda signal: signal.value)

    def _token_usage(self) -> Usage | None:
        """The reported tokens and cost; a cost alone leaves the tokens unknown."""
        reported, found = self._last.get("usage"), None
        if reported is not None:
            found = _parse_usage(reported)
            if found is None:
                self._set_error(
                    f"`usage` should be an object of {_quote_names(_COUNTS)} in tokens, not"
                    f" {snippet(repr(reported), 80)}"
                )
        if "cost" not in self._last:
            return found
        cost = usage.finite_amount(self._last["cost"])
        if cost is None:
            self._set_error(
                "`cost` should be 0 US dollars or more, not"
                f" {snippet(repr(self._last['cost']), 80)}"
            )
        return replace(found or Usage(), cost=cost)

    def _finish_reason(self) -> Any:
        if "finish_reason" in self._last:
            return chat_format.FINISH_REASONS.get(self._last["finish_reason"], "unknown")
        return "tool_calls" if self._answer.has_calls else "stop"

    def _set_error(self, message: str) -> Signal:
        self._error = self._error or Error("target", "bad_answer", message)
        return Signal.NOTHING


class ProgramDecoder(FunctionDecoder):
    """Assembles an answer from a program's output as it arrives: text, one JSON object, or one
    object a line.

    Output that begins with `{` is JSON only if all keys of each object are those of an answer: an
    answer may itself be JSON.
    """

    def __init__(self) -> None:
        super().__init__()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""
        self._as: str | None = None
        """The format: `text`, `lines` of JSON, `whole` (decided at the end); None while unknown."""

    def feed_event(self, name: str, data: bytes) -> Signal:
        """Take the bytes of one read."""
        return self._feed_text(self._decode(data))

    def feed_body(self, data: bytes) -> None:
        """Take the whole output."""
        self.feed_event("", data)

    def finish(self, headers: Mapping[str, str]) -> DecodedResponse:
        """The decoded response, once the program has ended."""
        self._feed_text(self._decode(b"", final=True))
        held = self._held.rstrip("\r\n")
        if self._as in (None, "whole") and held.strip():
            self.feed_piece(held if (found := _parse_answer(held)) is None else found)
        elif self._as == "lines" and held.strip():
            self._read_line(held)
        return super().finish(headers)

    def _feed_text(self, text: str) -> Signal:
        if "\ufffd" in text:
            self._flags["invalid_utf8"] = None
        self._held += text
        if self._as is None:
            self._as = self._detect_format()
        if self._as == "text":
            return self._emit_text()
        if self._as == "lines":
            return self._emit_lines()
        return Signal.NOTHING

    def _detect_format(self) -> str | None:
        """The format of the output, by its first line."""
        start = self._held.lstrip()
        if start and start[0] != "{":
            return "text"
        line, newline, _ = start.partition("\n")
        if not newline:
            return None
        return "whole" if _parse_answer(line) is None else "lines"

    def _emit_text(self) -> Signal:
        """Pass on everything but trailing newlines: they end the output,
        unless more text follows."""
        text = self._held.rstrip("\r\n")
        self._held = self._held[len(text) :]
        return self.feed_piece(text)

    def _emit_lines(self) -> Signal:
        *lines, self._held = self._held.split("\n")
        signals = [self._read_line(line) for line in lines if line.strip()]
        return max(signals, key=lambda signal: signal.value, default=Signal.NOTHING)

    def _read_line(self, line: str) -> Signal:
        found = _parse_answer(line)
        return (
            self.feed_piece(found)
            if found
            else self._set_error(
                f"a line of its output is not part of an answer: {snippet(line)!r}"
            )
        )


def _parse_answer(text: str) -> dict[str, Any] | None:
    """The answer that `text` is as JSON: an object with no keys but an answer's."""
    try:
        value = loads_text(text)
    except UnreadableJSONError:
        return None
    return value if isinstance(value, dict) and value and value.keys() <= KEYS else None


def _parse_usage(reported: Any) -> Usage | None:
    """Tokens in our buckets, or in an OpenAI-shaped usage object."""
    if not isinstance(reported, Mapping):
        return None
    if "prompt_tokens" in reported or "completion_tokens" in reported:
        return usage.read_usage(dict(reported))
    counts: dict[str, Any] = {
        name: usage.token_count(value) for name, value in reported.items() if value is not None
    }
    return Usage(**counts) if counts.keys() <= _COUNTS and None not in counts.values() else None


def _quote_names(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _type_name(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
