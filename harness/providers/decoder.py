"""Decodes one attempt's answer: the state that all formats share, from the first stream event to
the finished response.

A format says what a stream chunk and a whole body look like (`_read_chunk`, `_read_body`) and what
its stop reasons mean (`reasons`). Framing, damaged bytes, error chunks and the rules for a complete
answer are here. Nothing that a server sends makes a decoder raise: what cannot be read becomes the
error in `finish`. `feed_event` runs once per streamed chunk of every trial, so it parses each chunk
once and looks at nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import orjson

from harness.model import CACHED, Error, FinishReason, Message, Request, TokenLogprob, Usage
from harness.providers import errors
from harness.providers.base import DecodedResponse, Signal
from harness.providers.json_text import (
    UnreadableJSONError,
    finite_number,
    join_surrogates,
    loads,
    loads_text,
    snippet,
)
from harness.providers.openai.chat_format import FINISH_REASONS, MessageAccumulator

DONE = b"[DONE]"
CACHE_STATUS = "cf-aig-cache-status"
"""The response header of Cloudflare's AI Gateway, whichever provider is behind it: HIT where the
answer is from its cache."""

_NOTHING = Signal.NOTHING  # looked up once: an enum's member costs more than a name


class AnswerDecoder:
    """A `Decoder` for any format.

    Subclasses read stream chunks and whole bodies into `_answer` and note the stop reason with
    `_set_stop_reason`.
    """

    reasons: ClassVar[Mapping[str, FinishReason]]
    """The format's stop reasons; any other is `unknown`."""

    complete: bool = False
    _error: Error | None = None
    _model: str | None = None
    _fingerprint: str | None = None
    _stop_reason: str | None = None
    _chunks: int = 0
    _has_terminal_signal: bool = False
    _is_whole: bool = False

    def __init__(self, request: Request) -> None:
        self._answer = MessageAccumulator()
        self._ignored = IgnoredParameters(request)
        self._flags: dict[str, None] = {}
        self._logprobs: list[TokenLogprob] = []

    # ── Feeding ───────────────────────────────────────────────────────────────────────────

    def feed_event(self, name: str, data: bytes) -> Signal:
        """Take one server-sent event. After the terminal signal nothing counts."""
        if self.complete or not data:
            return _NOTHING
        if data == DONE:
            return self._end_stream()
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            return self._read_damaged_event(name, data)
        try:
            return self._dispatch_chunk(chunk, name, data)
        except UnreadableJSONError as cause:
            return self._fail(errors.unreadable_error(cause))

    def feed_body(self, data: bytes) -> None:
        """Take a whole JSON body of a 2xx response."""
        self._is_whole = True
        if not data or data.isspace():
            self._fail(errors.empty_error("with an empty body"))
            return
        try:
            self._read_json(self._parse_json(data), data)
        except UnreadableJSONError as cause:
            self._fail(errors.unreadable_error(cause))

    def feed_error(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take a response whose status is not 2xx."""
        self._fail(errors.http_error(status, headers, body))

    # ── Result ────────────────────────────────────────────────────────────────────────────

    def finish(self, headers: Mapping[str, str]) -> DecodedResponse:
        """The decoded response; partial text is kept alongside an error."""
        error = self._error or self._find_missing_answer()
        reason = self._finish_reason() if error is None else None
        message = self._build_message() if error is None or self._answer.is_started else None
        self._set_flags(message, reason)
        if headers.get(CACHE_STATUS, "").upper() == "HIT":
            self._flags[CACHED] = None
        return DecodedResponse(
            message=message,
            usage=self._token_usage(headers),
            finish_reason=reason,
            model=self._model,
            fingerprint=self._fingerprint,
            error=error,
            flags=tuple(self._flags),
            logprobs=tuple(self._logprobs),
        )

    def _find_missing_answer(self) -> Error | None:
        """Why a response without an error has no answer: no event, no terminal signal, or no
        content."""
        if not self._is_whole and not self._chunks:
            return errors.empty_error("with a stream that contains no events")
        if self._stop_reason is not None:
            return None
        if not self._is_whole and not self._has_terminal_signal:
            return errors.truncated_error()
        if self._is_missing():
            return errors.empty_error("without content and without a tool call")
        return None

    def _set_flags(self, message: Message | None, reason: FinishReason | None) -> None:
        answer = self._answer
        is_refusal, is_blank = answer.is_refusal, answer.is_blank
        if is_refusal:
            self._flags["refusal"] = None
        if reason is None or message is None:
            return
        if reason == "unknown":
            self._flags["unknown_stop"] = None
        if is_blank:
            self._flags["empty"] = None
        elif not is_refusal:
            for flag in self._ignored.flags(message, reason):
                self._flags[flag] = None

    # ── For a format to define or override ────────────────────────────────────────────────

    def _read_chunk(self, chunk: dict[str, Any]) -> Signal:
        """Take one stream chunk that is no error."""
        raise NotImplementedError

    def _read_body(self, body: dict[str, Any]) -> None:
        """Take a whole body."""
        raise NotImplementedError

    def _token_usage(self, headers: Mapping[str, str]) -> Usage | None:
        """The reported tokens, None where there are none."""
        raise NotImplementedError

    def _build_message(self) -> Message:
        """The answer so far."""
        return self._answer.to_message()

    def _finish_reason(self) -> FinishReason:
        """Why the answer ended, once it is complete."""
        return (
            "unknown"
            if self._stop_reason is None
            else self.reasons.get(self._stop_reason, "unknown")
        )

    def _is_missing(self) -> bool:
        """Whether an answer without a stop reason is no answer at all."""
        return self._answer.is_blank

    # ── Shared steps ──────────────────────────────────────────────────────────────────────

    def _read_json(self, value: Any, data: bytes) -> None:
        """Take a whole body that is JSON. Raises UnreadableJSONError where it is no object."""
        if not isinstance(value, dict):
            raise UnreadableJSONError(f"no JSON object: {snippet(data)}")
        if contains_error(value):
            self._fail(errors.embedded_error(value))
        else:
            self._read_body(value)

    def _dispatch_chunk(self, chunk: Any, name: str, data: bytes) -> Signal:
        if type(chunk) is not dict:
            return self._fail(
                errors.unreadable_error(UnreadableJSONError(f"no JSON object: {snippet(data)}"))
            )
        self._chunks += 1
        # A chunk with choices reports an error as `error` if at all; looking for the other keys too
        # takes a tenth of a stream's time.
        if name == "error" or (chunk.get("error") if "choices" in chunk else contains_error(chunk)):
            return self._fail(errors.embedded_error(chunk))
        return self._read_chunk(chunk)

    def _read_damaged_event(self, name: str, data: bytes) -> Signal:
        """Take an event that orjson refuses: invalid UTF-8 is replaced; what is no JSON ends the
        stream."""
        if data.strip() == DONE:
            return self._end_stream()
        try:
            return self._dispatch_chunk(self._parse_json(data), name, data)
        except UnreadableJSONError as cause:
            return self._fail(errors.unreadable_error(cause))

    def _parse_json(self, data: bytes) -> Any:
        value, is_damaged = loads(data)
        if is_damaged:
            self._flags["invalid_utf8"] = None
        return value

    def _end_stream(self) -> Signal:
        self.complete = self._has_terminal_signal = True
        return _NOTHING

    def _fail(self, error: Error) -> Signal:
        self.complete = True
        self._error = error
        return _NOTHING

    def _set_stop_reason(self, reason: Any) -> None:
        """Note why the answer ended, in the format's own word."""
        if type(reason) is str and reason:
            self._stop_reason = reason


class ChatDecoder(AnswerDecoder):
    """A `Decoder` for answers made of OpenAI-shaped choices; subclasses add what their format does
    differently."""

    reasons = FINISH_REASONS

    def _read_model(self, body: Mapping[str, Any]) -> None:
        model, fingerprint = body.get("model"), body.get("system_fingerprint")
        self._model = model if isinstance(model, str) else self._model
        self._fingerprint = fingerprint if isinstance(fingerprint, str) else self._fingerprint

    def _read_choice(self, choices: list[Any]) -> Signal:
        """Take the choice of index 0 (others are further samples): its `delta` or `message` and its
        finish reason."""
        if self._ignored.needs_choices:
            self._ignored.observe_choices(choices)
        choice = choices[0]
        if type(choice) is not dict or choice.get("index"):
            choice = next(
                (other for other in choices if isinstance(other, dict) and not other.get("index")),
                None,
            )
            if choice is None:
                return _NOTHING
        reason = choice.get("finish_reason")
        if reason:
            self._set_stop_reason(reason)
        logprobs = choice.get("logprobs")
        if logprobs and isinstance(logprobs, dict):
            # A refusal's log probabilities are the answer's where there are no others.
            self._logprobs.extend(read_logprobs(logprobs.get("content") or logprobs.get("refusal")))
        delta = choice.get("delta") or choice.get("message")
        return self._answer.add_delta(delta) if type(delta) is dict else _NOTHING

    def _set_stop_reason(self, reason: Any) -> None:
        super()._set_stop_reason(reason)
        if reason == "error":
            self._error = self._error or errors.aborted_error()


def contains_error(value: Mapping[str, Any]) -> bool:
    """Whether a body or a stream chunk is an error, in any format."""
    get = value.get
    return bool(
        get("error") or get("errors") or get("success") is False or get("object") == "error"
    )


# ── Ignored parameters ────────────────────────────────────────────────────────────────────


class IgnoredParameters:
    """Finds parameters of a request that its answer shows were ignored: servers often drop what
    they do not know.

    Only what an answer cannot hide: missing samples or log probabilities, text that is no JSON, a
    required tool call that was not made. The flags are `ignored_` and the parameter's name.
    """

    __slots__ = ("_has_logprobs", "_highest_index", "_request", "_samples", "needs_choices")

    def __init__(self, request: Request) -> None:
        samples = request.sampling.get("n")
        self._request = request
        self._samples = samples if type(samples) is int else 1
        self._has_logprobs = not request.sampling.get("logprobs")
        self._highest_index = 0
        self.needs_choices = self._samples > 1 or not self._has_logprobs
        """Whether `observe_choices` has anything to look for."""

    def observe_choices(self, choices: list[Any]) -> None:
        """Take a list of choices, of a whole body or of a stream chunk."""
        for position, choice in enumerate(choices):
            if isinstance(choice, dict):
                index = choice.get("index")
                self._highest_index = max(
                    self._highest_index, index if type(index) is int else position
                )
                self._has_logprobs = self._has_logprobs or bool(choice.get("logprobs"))

    def flags(self, answer: Message, reason: FinishReason) -> list[str]:
        """A flag for each ignored parameter, given the complete answer."""
        flags = []
        if self._samples > self._highest_index + 1:
            flags.append("ignored_n")
        if not self._has_logprobs:
            flags.append("ignored_logprobs")
        if reason == "stop" and not answer.tool_calls:
            request = self._request
            if request.response_format is not None and not _is_json(answer.text):
                flags.append("ignored_response_format")
            if request.tool_choice not in (None, "auto", "none"):
                flags.append("ignored_tool_choice")
        return flags


def _is_json(text: str) -> bool:
    try:
        loads_text(text)
    except UnreadableJSONError:
        return False
    return True


# ── Log probabilities ─────────────────────────────────────────────────────────────────────


def read_logprobs(entries: Any) -> Iterator[TokenLogprob]:
    """The tokens of an OpenAI-shaped list of `{token, logprob, top_logprobs}`; malformed entries
    are left out."""
    for entry, chosen in _read_entries(entries):
        top = [alternative for _, alternative in _read_entries(entry.get("top_logprobs"))]
        yield TokenLogprob(*chosen, top=tuple(top))


def token_logprob(token: Any, logprob: Any) -> tuple[str, float] | None:
    """A token and its log probability, None where they are not a string and a finite number."""
    number = finite_number(logprob)
    return (
        (join_surrogates(token), number) if isinstance(token, str) and number is not None else None
    )


def _read_entries(entries: Any) -> Iterator[tuple[dict[str, Any], tuple[str, float]]]:
    for entry in entries if isinstance(entries, list) else ():
        if (
            isinstance(entry, dict)
            and (pair := token_logprob(entry.get("token"), entry.get("logprob"))) is not None
        ):
            yield entry, pair
