"""Batches of Workers AI, `…/ai/run/{model}?queueRequest=true`: many requests in, one id out,
results by polling.

A batch is answered when it is submitted, and its results are returned after `polls` polls: `queued`
first, then `running`. A request that breaks the schema, or cannot be answered, fails alone. Usage
is reported for the whole batch, as the service documents it. Results are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.simulator.apis.cloudflare import native
from harness.simulator.apis.cloudflare.schema import bad_input, check_type, parse_json_object
from harness.simulator.apis.http import ApiError, ApiResponse
from harness.simulator.model.types import Prompt, Reply

ReplyGenerator = Callable[[Prompt], Reply]
"""Generates the reply to one prompt."""


class BatchResponse(NamedTuple):
    """The response to a submission or a poll, and the tokens used: (prompt, completion), None for a
    poll."""

    response: ApiResponse
    usage: tuple[int, int] | None = None


@dataclass(slots=True)
class _Batch:
    model: str
    result: dict[str, Any]
    polls_left: int
    status: str = "queued"


class Batches:
    """All batches of a simulator; `polls` are answered without results, `most_bytes` limits a
    submission."""

    def __init__(self, polls: int, most_bytes: int) -> None:
        self._polls = polls
        self._most_bytes = most_bytes
        self._known: dict[str, _Batch] = {}

    def clear(self) -> None:
        """Drop every batch."""
        self._known.clear()

    def handle_request(
        self, content: bytes, model: str, request_id: str, generate_reply: ReplyGenerator
    ) -> BatchResponse:
        """Answer a submission or a poll; raises `ApiError`."""
        if len(content) > self._most_bytes:
            raise ApiError(413, 3006, "AiError: Request is too large")
        body = parse_json_object(content)
        if "request_id" in body:
            return BatchResponse(self._build_response(request_id, self._poll(body["request_id"])))
        if "requests" not in body:
            raise bad_input(
                "oneOf at '/' not met, 0 matches: required properties at '/' are 'requests'"
            )
        check_type(body["requests"], "/requests", "array")
        return self._submit(body["requests"], model, request_id, generate_reply)

    def _submit(
        self, requests: list[Any], model: str, request_id: str, generate_reply: ReplyGenerator
    ) -> BatchResponse:
        answered = [_run_request(asked, model, generate_reply) for asked in requests]
        replies = [reply for _, reply in answered if reply is not None]
        everything = tuple(each for reply in replies for each in reply.completions)
        total = Reply(request_id, 0, sum(reply.prompt_tokens for reply in replies), everything)
        entries = [{"id": place, **entry} for place, (entry, _) in enumerate(answered)]
        result = {"responses": entries, "usage": native.usage_fields(model, total)}
        self._known[request_id] = _Batch(model, result, self._polls)
        queued = {"status": "queued", "request_id": request_id, "model": model}
        return BatchResponse(
            self._build_response(request_id, queued), (total.prompt_tokens, total.completion_tokens)
        )

    def _poll(self, request_id: Any) -> dict[str, Any]:
        batch = self._known.get(request_id) if isinstance(request_id, str) else None
        if batch is None:
            raise ApiError(404, 7003, f"AiError: There is no batch {request_id}")
        if batch.polls_left <= 0:
            return batch.result
        batch.polls_left -= 1
        status, batch.status = batch.status, "running"
        return {"status": status, "request_id": request_id, "model": batch.model}

    @staticmethod
    def _build_response(request_id: str, result: dict[str, Any]) -> ApiResponse:
        headers = (*native.edge_headers(request_id), ("cf-ai-req-id", request_id))
        return ApiResponse(200, headers, native.wrap_result(result))


def _run_request(
    asked: Any, model: str, generate_reply: ReplyGenerator
) -> tuple[dict[str, Any], Reply | None]:
    """The result of one request, and its reply; None for a failed one, which uses no tokens."""
    named = isinstance(asked, dict) and "external_reference" in asked
    reference = {"external_reference": asked["external_reference"]} if named else {}
    try:
        check_type(asked, "/", "object")
        request = native.parse_body(asked, model)
        reply = generate_reply(request.prompt)
        return {"result": native.render_result(request, reply), "success": True, **reference}, reply
    except ApiError as api_error:
        error = {"code": api_error.code, "message": api_error.message}
        return {"result": None, "success": False, "errors": [error], **reference}, None
