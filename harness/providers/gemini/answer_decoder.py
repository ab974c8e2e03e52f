"""Decodes answers of the Gemini API: whole, as a stream, or as a stream in one JSON array.

What surprises: a stream has no terminal event (it is complete if a `finishReason` came); zeros,
empty texts and the first index are left out, as in protocol buffers; a blocked prompt has no
candidate at all; and thoughts are parts like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby, zip_longest
from typing import Any

from msgspec.structs import replace

from harness.model import FinishReason, Message, Request, TokenLogprob, Usage
from harness.providers.base import Signal
from harness.providers.decoder import AnswerDecoder, token_logprob
from harness.providers.json_text import compact_json
from harness.providers.usage import token_count

ECHO = "gemini"
"""The key of `Message.echo` under which the parts of a signed turn are kept."""

BLOCKED = "PROMPT_BLOCKED"
"""Our stop reason for an answer that consists of a `blockReason`."""

FINISH_REASONS: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    BLOCKED: "content_filter",
}

MODEL_FAILURES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
"""Stop reasons that are the model's own failure: an answer to be graded,
flagged with the reason."""

_NOTHING = Signal.NOTHING  # looked up once: an enum's member costs more than a name
_PLAIN_KEYS = {"text", "thought"}


class GeminiDecoder(AnswerDecoder):
    """Decodes a `GenerateContentResponse`, or a stream of them."""

    reasons = FINISH_REASONS

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._reported: Any = None
        self._parts: list[dict[str, Any]] = []
        self._signed = False
        self._calls = 0

    def _read_json(self, value: Any, data: bytes) -> None:
        if not isinstance(value, list):
            super()._read_json(value, data)
            return
        self._is_whole = False  # a stream without `alt=sse`: complete if a finish reason came
        for chunk in value:
            if not self.complete:
                self._dispatch_chunk(chunk, "", data)

    def _dispatch_chunk(self, chunk: Any, name: str, data: bytes) -> Signal:
        # Some errors come in an array of one.
        return super()._dispatch_chunk(
            chunk[0] if type(chunk) is list and len(chunk) == 1 else chunk, name, data
        )

    def _read_chunk(self, chunk: dict[str, Any]) -> Signal:
        served = chunk.get("modelVersion")
        if served and type(served) is str:
            self._model = served
        self._reported = chunk.get("usageMetadata") or self._reported
        candidates = chunk.get("candidates")
        if candidates and type(candidates) is list:
            return self._read_candidates(candidates)
        feedback = chunk.get("promptFeedback")
        if type(feedback) is dict and feedback.get("blockReason"):
            self._set_stop_reason(BLOCKED)
            self._flags["blocked_prompt"] = None
        return _NOTHING

    def _read_body(self, body: dict[str, Any]) -> None:
        self._read_chunk(body)

    def _read_candidates(self, candidates: list[Any]) -> Signal:
        """Take the candidate of index 0; others are further samples."""
        if self._ignored.needs_choices:
            self._ignored.observe_choices([_as_choice(candidate) for candidate in candidates])
        first = candidates[0]
        if type(first) is not dict or first.get("index"):
            first = next(
                (other for other in candidates if type(other) is dict and not other.get("index")),
                None,
            )
        return _NOTHING if first is None else self._read_candidate(first)

    def _read_candidate(self, candidate: dict[str, Any]) -> Signal:
        reason = candidate.get("finishReason")
        if type(reason) is str:
            self._set_stop_reason(reason)
            if reason in MODEL_FAILURES:
                self._flags[reason.lower()] = None
        scored = candidate.get("logprobsResult")
        if type(scored) is dict:
            self._logprobs.extend(_read_logprobs(scored))
        content = candidate.get("content")
        parts = content.get("parts") if type(content) is dict else None
        if type(parts) is not list:
            return _NOTHING
        if len(parts) == 1 and type(parts[0]) is dict:
            return self._read_part(parts[0])
        return max(
            [self._read_part(part) for part in parts if type(part) is dict],
            key=_weight,
            default=_NOTHING,
        )

    def _read_part(self, part: dict[str, Any]) -> Signal:
        if len(part) == 1 and "text" in part:  # the common case, without another call
            self._parts.append(part)
            return self._answer.add_text(part["text"])
        thought, signature = part.get("thought"), part.get("thoughtSignature")
        if signature or not thought:
            if not part.keys() <= _PLAIN_KEYS:
                compact_json(part)  # raises where it could not be written down again
            self._parts.append(part)
            self._signed = self._signed or bool(signature)
        if thought:
            return self._answer.add_delta({"reasoning": part.get("text")})
        called = part.get("functionCall")
        return (
            self._read_call(called)
            if type(called) is dict
            else self._answer.add_text(part.get("text"))
        )

    def _read_call(self, called: dict[str, Any]) -> Signal:
        whole = {
            "index": self._calls,
            "id": called.get("id"),
            "name": called.get("name"),
            "arguments": called.get("args") or {},
        }
        self._calls += 1
        return self._answer.add_tool_calls([whole])

    def _build_message(self) -> Message:
        message = super()._build_message()
        return (
            replace(message, echo={ECHO: _join_text_parts(self._parts)})
            if self._signed
            else message
        )

    def _finish_reason(self) -> FinishReason:
        reason = super()._finish_reason()
        return "tool_calls" if reason == "stop" and self._answer.has_calls else reason

    def _token_usage(self, headers: Mapping[str, str]) -> Usage | None:
        return _read_usage(self._reported, silent=self._answer.is_blank)


def _as_choice(candidate: Any) -> Any:
    """The parts of a candidate that show ignored parameters, as a choice of chat completions."""
    if not isinstance(candidate, dict):
        return None
    return {"index": candidate.get("index", 0), "logprobs": candidate.get("logprobsResult")}


def _weight(signal: Signal) -> int:
    return signal.value


def _join_text_parts(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A stream's parts as one turn: adjacent plain text joined; everything else, above all signed
    parts, unchanged."""
    joined: list[dict[str, Any]] = []
    for is_text, group in groupby(parts, _is_plain_text):
        same = list(group)
        joined += [{"text": "".join(part["text"] for part in same)}] if is_text else same
    return joined


def _is_plain_text(part: dict[str, Any]) -> bool:
    return part.keys() == {"text"} and isinstance(part["text"], str)


def _read_usage(raw: Any, *, silent: bool) -> Usage | None:
    """The counts of `usageMetadata`, in disjoint buckets; None where there are none. `silent`: the
    answer is empty.

    The prompt's includes what was read from the cache, the candidates' does not include the
    thoughts. A count of zero is left out, so one that is missing is zero where it can be.
    """
    if not isinstance(raw, dict):
        return None
    prompt, candidates = (
        token_count(raw.get("promptTokenCount")),
        token_count(raw.get("candidatesTokenCount")),
    )
    tools, cached, thoughts = (
        token_count(raw.get(name)) or 0
        for name in ("toolUsePromptTokenCount", "cachedContentTokenCount", "thoughtsTokenCount")
    )
    if not prompt and not candidates and not thoughts:
        return None
    return Usage(
        input=None if prompt is None else max(0, prompt + tools - cached),
        output=0 if candidates is None and silent else candidates,
        cache_read=cached,
        reasoning=thoughts,
    )


def _read_logprobs(scored: Mapping[str, Any]) -> Iterator[TokenLogprob]:
    tops = [_dicts_in(place.get("candidates")) for place in _dicts_in(scored.get("topCandidates"))]
    for entry, others in zip_longest(_dicts_in(scored.get("chosenCandidates")), tops):
        if entry is not None and (chosen := _read_token_logprob(entry)) is not None:
            likeliest = map(_read_token_logprob, others or ())
            yield TokenLogprob(
                *chosen, top=tuple(other for other in likeliest if other is not None)
            )


def _read_token_logprob(entry: Mapping[str, Any]) -> tuple[str, float] | None:
    """A token and its log probability; an empty token and a probability of one are omitted on the
    wire."""
    return token_logprob(entry.get("token", ""), entry.get("logProbability", 0.0))


def _dicts_in(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
