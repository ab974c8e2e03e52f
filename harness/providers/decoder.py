"""One attempt's answer being read: the state all formats share, from the first event to what it all means.

A format says what a frame and a whole body look like (`_read_chunk`, `_read_body`) and what its words for an answer's end mean
(`reasons`); framing, damage, error frames and the rules of completeness are here. Nothing a server sends makes it raise: what
cannot be read becomes the error in `finish`. `event` runs once per streamed chunk of every trial, so it parses once and looks
at nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from harness.model import CACHED, Error, FinishReason, Message, Request, TokenLogprob, Usage
from harness.providers import errors, logprobs
from harness.providers.base import DecodedResponse, Signal
from harness.providers.ignored_parameters import IgnoredParameters
from harness.providers.json_text import UnreadableJSONError, loads, snippet
from harness.providers.openai.chat_format import FINISH_REASONS, MessageAccumulator

DONE = b"[DONE]"
CACHE_STATUS = "cf-aig-cache-status"
"""The header in which Cloudflare's AI Gateway, before any provider, says whether an answer is from its cache: HIT or MISS."""

_NOTHING = Signal.NOTHING  # looked up once: an enum's member costs more than a name


class AnswerDecoder:
    """A `Decoder` for any format.

    Subclasses read stream chunks and whole bodies into `_answer`, and report the stop reason with `_set_stop_reason`.
    """

    reasons: ClassVar[Mapping[str, FinishReason]]
    """What the format's words for why an answer ended mean; any other is `unknown`."""

    complete: bool = False
    _error: Error | None = None
    _model: str | None = None
    _fingerprint: str | None = None
    _stop_reason: str | None = None
    _frames: int = 0
    _done: bool = False
    _is_whole: bool = False

    def __init__(self, request: Request) -> None:
        self._answer = MessageAccumulator()
        self._ignored = IgnoredParameters(request)
        self._flags: dict[str, None] = {}
        self._logprobs: list[TokenLogprob] = []

    # ── What came ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def feed_event(self, name: str, data: bytes) -> Signal:
        """Take one server-sent event. After the terminal signal nothing counts."""
        if self.complete or not data:
            return _NOTHING
        if data == DONE:
            return self._end_stream()
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            return self._read_damaged_event(data, name)
        try:
            return self._dispatch_chunk(chunk, name, data)
        except UnreadableJSONError as wrong:
            return self._fail(errors.unreadable_error(wrong))

    def feed_body(self, data: bytes) -> None:
        """Take a whole JSON body of a 2xx answer."""
        self._is_whole = True
        if not data or data.isspace():
            self._fail(errors.empty_error("with an empty body"))
            return
        try:
            self._read_json(self._parse_json(data), data)
        except UnreadableJSONError as wrong:
            self._fail(errors.unreadable_error(wrong))

    def feed_error(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take an answer whose status is not 2xx."""
        self._fail(errors.http_error(status, headers, body))

    # ── What it means ─────────────────────────────────────────────────────────────────────────────────────────────────

    def finish(self, headers: Mapping[str, str]) -> DecodedResponse:
        """What it all means; partial text is kept beside an error."""
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

    def _read_chunk(self, chunk: dict[str, Any]) -> Signal:
        """Take one stream frame that is no error."""
        raise NotImplementedError

    def _read_body(self, body: dict[str, Any]) -> None:
        """Take a whole body."""
        raise NotImplementedError

    def _token_usage(self, headers: Mapping[str, str]) -> Usage | None:
        """The tokens reported, None where there are none."""
        raise NotImplementedError

    def _build_message(self) -> Message:
        """The answer so far."""
        return self._answer.to_message()

    def _finish_reason(self) -> FinishReason:
        """Why the answer ended, once it is complete."""
        return "unknown" if self._stop_reason is None else self.reasons.get(self._stop_reason, "unknown")

    def _is_missing(self) -> bool:
        """Whether an answer that states no reason for its end is no answer at all."""
        return self._answer.is_blank

    def _find_missing_answer(self) -> Error | None:
        """Why a complete-looking answer is none: no event, no end, or nothing in it."""
        if not self._is_whole and not self._frames:
            return errors.empty_error("with a stream of no events")
        if not self._is_whole and not self._done and self._stop_reason is None:
            return errors.truncated_error()
        if self._stop_reason is None and self._is_missing():
            return errors.empty_error("neither with content nor with a tool call")
        return None

    def _set_flags(self, message: Message | None, reason: FinishReason | None) -> None:
        if self._answer.is_refusal:
            self._flags["refusal"] = None
        if reason is None or message is None:
            return
        if reason == "unknown":
            self._flags["unknown_stop"] = None
        if self._answer.is_blank:
            self._flags["empty"] = None
        elif not self._answer.is_refusal:
            for flag in self._ignored.flags(message, reason):
                self._flags[flag] = None

    # ── Shared steps ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_json(self, value: Any, data: bytes) -> None:
        """Take a whole body that is JSON. Raises UnreadableJSONError where it is no object."""
        if not isinstance(value, dict):
            raise UnreadableJSONError(f"no JSON object: {snippet(data)}")
        if errors.contains_error(value):
            self._fail(errors.embedded_error(value))
        else:
            self._read_body(value)

    def _dispatch_chunk(self, chunk: Any, name: str, data: bytes) -> Signal:
        if type(chunk) is not dict:
            return self._fail(errors.unreadable_error(UnreadableJSONError(f"no JSON object: {snippet(data)}")))
        self._frames += 1
        # A frame with choices says `error` where it says any; asking for all the other words takes a tenth of a stream's time.
        if name == "error" or (chunk.get("error") if "choices" in chunk else errors.contains_error(chunk)):
            return self._fail(errors.embedded_error(chunk))
        return self._read_chunk(chunk)

    def _read_damaged_event(self, data: bytes, name: str) -> Signal:
        """An event orjson refuses: damaged text is read as far as it goes, what is no JSON ends the stream."""
        if data.strip() == DONE:
            return self._end_stream()
        try:
            return self._dispatch_chunk(self._parse_json(data), name, data)
        except UnreadableJSONError as wrong:
            return self._fail(errors.unreadable_error(wrong))

    def _parse_json(self, data: bytes) -> Any:
        value, damaged = loads(data)
        if damaged:
            self._flags["invalid_utf8"] = None
        return value

    def _end_stream(self) -> Signal:
        self.complete = self._done = True
        return _NOTHING

    def _fail(self, error: Error) -> Signal:
        self.complete = True
        self._error = error
        return _NOTHING

    def _set_stop_reason(self, reason: Any) -> None:
        """Note why the answer ended, in the format's word."""
        if type(reason) is str and reason:
            self._stop_reason = reason


class ChatDecoder(AnswerDecoder):
    """A `Decoder` for answers made of OpenAI-shaped choices; subclasses add what their format does differently."""

    reasons = FINISH_REASONS

    def _read_model(self, body: Mapping[str, Any]) -> None:
        model, fingerprint = body.get("model"), body.get("system_fingerprint")
        self._model = model if isinstance(model, str) else self._model
        self._fingerprint = fingerprint if isinstance(fingerprint, str) else self._fingerprint

    def _read_choice(self, choices: list[Any]) -> Signal:
        """Take the choice of index 0 (others are further samples): its `delta` or `message`, and why it ended."""
        if self._ignored.needs_choices:
            self._ignored.observe_choices(choices)
        choice = choices[0]
        if type(choice) is not dict or choice.get("index"):
            choice = next((other for other in choices if isinstance(other, dict) and not other.get("index")), None)
            if choice is None:
                return _NOTHING
        reason = choice.get("finish_reason")
        if reason:
            self._set_stop_reason(reason)
        probable = choice.get("logprobs")
        if probable:
            self._read_logprobs(probable)
        said = choice.get("delta") or choice.get("message")
        return self._answer.add_delta(said) if type(said) is dict else _NOTHING

    def _read_logprobs(self, probable: Any) -> None:
        """Take log probabilities; a refusal's are the answer's where there are no others."""
        if isinstance(probable, dict):
            self._logprobs.extend(logprobs.read_logprobs(probable.get("content") or probable.get("refusal")))

    def _set_stop_reason(self, reason: Any) -> None:
        super()._set_stop_reason(reason)
        if reason == "error":
            self._error = self._error or errors.aborted_error()
