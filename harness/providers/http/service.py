"""The provider `http`: a service that speaks no known format, as `http:` of its target describes
it.

A request is a template over what is asked (`request_context`); an answer is read by JSON paths,
whole or event by event. What is read becomes the pieces of an answer that the user's own code
gives, too (`harness.providers.callable`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from harness.config.json_path import find_value, find_values
from harness.config.sampling import Sampling
from harness.config.templates import TemplateError, compile_template, render_value
from harness.model import EncodedRequest, Error, Request, Target
from harness.model.requests import SYSTEM_ROLES
from harness.providers import errors
from harness.providers.base import BuiltInProvider, DecodedResponse, Signal
from harness.providers.callable import FunctionDecoder, request_object
from harness.providers.decoder import DONE
from harness.providers.json_text import (
    SNIPPET,
    UnreadableJSONError,
    compact_json,
    dumps,
    loads,
    snippet,
)
from harness.providers.openai import chat_format

_NO_SAMPLING: Mapping[str, Any] = dict.fromkeys(Sampling.model_fields)
_TEXT = (("content-type", "text/plain; charset=utf-8"),)
_OMITTED = object()


class Service(BuiltInProvider):
    """The provider `http`."""

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """The request that the target's `http:` makes of `request`. Raises ValueError where a
        template fails."""
        described = _description(target)
        context = request_context(target, request)
        try:
            path = compile_template(described.get("path", "")).render(context)
            body = _render_body(described.get("body"), context)
        except TemplateError as failed:
            raise ValueError(f"target {target.name}: {failed.message}") from failed
        if path and not path.startswith(("/", "?")):
            raise ValueError(
                f"target {target.name}: `path:` should begin with / or ?, not {path!r:.60}"
            )
        is_text = isinstance(body, str)
        if isinstance(body, dict):
            body |= target.extra_body
        headers = dict(chat_format.json_headers(target, request))
        if is_text:
            headers |= dict(_TEXT) | {name.lower(): each for name, each in target.headers.items()}
        return EncodedRequest(
            path=_quote_spaces(path),
            headers=tuple(headers.items()),
            body=b"" if body is None else body.encode() if isinstance(body, str) else dumps(body),
            auth=chat_format.api_key_auth(target),
            method=described.get("method", "POST"),
        )

    def make_decoder(self, target: Target, request: Request) -> ServiceDecoder:
        """A new decoder for one attempt at `request`."""
        return ServiceDecoder(_description(target))


def request_context(target: Target, request: Request) -> dict[str, Any]:
    """The variables of a request's templates; those of `request_object`, with every sampling
    parameter, and four more."""
    asked = request_object(request)
    system = [turn.text for turn in request.messages if turn.role in SYSTEM_ROLES]
    user = [turn.text for turn in request.messages if turn.role == "user"]
    return {
        **asked,
        "sampling": {**_NO_SAMPLING, **asked["sampling"]},
        "model": target.model,
        "system": "\n\n".join(system) or None,
        "user": user[-1] if user else request.prompt,
    }


def _description(target: Target) -> Mapping[str, Any]:
    if target.service is None:
        raise ValueError(f"target {target.name}: the provider http needs `http:`")
    return target.service


def _render_body(body: Any, context: Mapping[str, Any]) -> Any:
    """`body` rendered; an entry whose template has the value null is left out."""
    rendered = _render(body, context)
    return None if rendered is _OMITTED else rendered


def _render(body: Any, context: Mapping[str, Any]) -> Any:
    if isinstance(body, Mapping):
        entries = ((key, _render(value, context)) for key, value in body.items())
        return {key: value for key, value in entries if value is not _OMITTED}
    if isinstance(body, list | tuple):
        items = (_render(value, context) for value in body)
        return [value for value in items if value is not _OMITTED]
    if not isinstance(body, str):
        return body
    value = render_value(body, context)
    return _OMITTED if value is None else value


def _quote_spaces(path: str) -> str:
    """`path` with what no request line can hold percent-encoded; templates encode the rest
    (`urlencode`)."""
    return "".join(
        "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))
        if not char.isascii() or not char.isprintable() or char == " "
        else char
        for char in path
    )


class ServiceDecoder(FunctionDecoder):
    """Reads a service's answer, whole or from a stream's events, by the paths of its
    description."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        super().__init__()
        self._whole: Mapping[str, Any] = described.get("answer") or {}
        self._stream: Mapping[str, Any] = described.get("stream") or {}
        self.complete = False
        self._needs_end = False

    def feed_event(self, name: str, data: bytes) -> Signal:
        """Take one event of a stream; `[DONE]`, or what `done` finds, ends it."""
        if data.strip() == DONE:
            self.complete = True
            return Signal.NOTHING
        self._needs_end = "done" in self._stream
        try:
            chunk = loads(data)[0]
        except UnreadableJSONError as cause:
            if "text" not in self._stream:
                return self.feed_piece(data.decode("utf-8", "replace"))
            return self._fail(errors.unreadable_error(cause))
        if "text" not in self._stream and isinstance(chunk, str):
            return self.feed_piece(chunk)
        signal = self._read(chunk, {**self._whole, "text": "$", **self._stream})
        if self._needs_end and find_values(chunk, self._stream["done"]) not in ([], [False]):
            self.complete = True
        return signal

    def feed_body(self, data: bytes) -> None:
        """Take a whole answer: JSON, or, where no path to a text is given, any text."""
        if not self._whole.keys() - {"error"}:
            self.feed_piece(data.decode("utf-8", "replace").strip("\r\n"))
            return
        try:
            body = loads(data)[0]
        except UnreadableJSONError as cause:
            self._fail(errors.unreadable_error(cause))
            return
        self._read(body, self._whole)
        path = self._whole.get("text")
        if self._error is None and path and self._answer.is_blank and not find_values(body, path):
            self._fail(
                errors.empty_error(f"there is no text at {path} in {snippet(data, SNIPPET)!r}")
            )

    def feed_error(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take a response whose status is not 2xx; the description may say where its message is."""
        error = errors.http_error(status, headers, body)
        try:
            said = find_value(loads(body)[0], self._whole.get("error", "$.error"))
        except UnreadableJSONError:
            said = None
        if isinstance(said, str):
            error = replace(error, message=f"HTTP {status}: {snippet(said, errors.MESSAGE_LIMIT)}")
        self._fail(error)

    def finish(self, headers: Mapping[str, str]) -> DecodedResponse:
        """The decoded response. A stream without the end that it is to have is truncated."""
        if self._needs_end and not self.complete and self._error is None:
            self._fail(errors.truncated_error())
        return super().finish(headers)

    def _read(self, value: Any, paths: Mapping[str, Any]) -> Signal:
        """Take the piece of an answer that `paths` find in `value`."""
        if (failed := find_value(value, paths["error"]) if "error" in paths else None) not in (
            None,
            "",
            False,
        ):
            shown = failed if isinstance(failed, str) else compact_json(failed)
            message = f"the service reports an error: {snippet(shown, errors.MESSAGE_LIMIT)}"
            return self._fail(Error("provider", "server_error", message))
        piece = {
            key: _find_piece(value, path)
            for key, path in paths.items()
            if key not in ("error", "done")
        }
        text = piece.get("text")
        if text is not None and not isinstance(text, str):
            piece["text"] = chat_format.content_text(text)
        return self.feed_piece({key: each for key, each in piece.items() if each is not None})

    def _fail(self, error: Error) -> Signal:
        self._error = self._error or error
        return Signal.NOTHING


def _find_piece(value: Any, path: Any) -> Any:
    """The value at a path, or the object of those at several."""
    if not isinstance(path, Mapping):
        return find_value(value, path)
    found = {name: find_value(value, each) for name, each in path.items()}
    return {name: each for name, each in found.items() if each is not None} or None
