"""Responses of the Gemini API: whole, as server-sent events, and as the same chunks in one JSON
array.

What surprises: each chunk reports the usage so far and leaves out zeros; a chunk has several
tokens, but a function call is never split; only the last chunk's `finishReason` marks the end of a
stream.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.gemini.contents import sign_call
from harness.simulator.apis.gemini.requests import Request
from harness.simulator.apis.http import ApiResponse, StreamFrame
from harness.simulator.model.rng import stable_digest
from harness.simulator.model.types import Completion, Reply, TokenEvent, token_events

FINISHES = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
CHUNK = 4
"""Tokens of text or thought in a chunk."""


class Piece(NamedTuple):
    """Parts of the candidate `choice` sent together; `places` are its text tokens, `closing` marks
    the last."""

    step: int
    choice: int
    parts: list[dict[str, Any]]
    places: range = range(0)
    closing: bool = False


def render_response(request: Request, reply: Reply) -> ApiResponse:
    """The answer as one JSON object."""
    candidates = [
        _candidate_fields(request, reply, piece) for piece in _whole_pieces(request, reply)
    ]
    return ApiResponse(
        200, (), orjson.dumps(_response_fields(request, reply, candidates, reply.steps))
    )


def render_stream(request: Request, reply: Reply) -> ApiResponse:
    """The answer as server-sent events."""
    frames = (
        StreamFrame(step, b"data: " + orjson.dumps(chunk) + b"\r\n\r\n")
        for step, chunk in _response_chunks(request, reply)
    )
    return ApiResponse(200, (), frames=tuple(frames))


def render_array(request: Request, reply: Reply) -> ApiResponse:
    """The same chunks in one JSON array."""
    return ApiResponse(
        200,
        (),
        b"["
        + b"\n,\r\n".join(orjson.dumps(chunk) for _, chunk in _response_chunks(request, reply))
        + b"\n]\n",
    )


RENDERERS = {"whole": render_response, "events": render_stream, "array": render_array}


def _response_chunks(request: Request, reply: Reply) -> list[tuple[int, dict[str, Any]]]:
    pieces = [
        piece
        for index, completion in enumerate(reply.completions)
        for piece in _stream_pieces(request, reply, index, completion)
    ]
    pieces.sort(key=lambda piece: (piece.step, piece.choice, piece.closing))
    return [
        (
            piece.step,
            _response_fields(
                request, reply, [_candidate_fields(request, reply, piece)], piece.step
            ),
        )
        for piece in pieces
    ]


def _response_fields(
    request: Request, reply: Reply, candidates: list[dict[str, Any]], step: int
) -> dict[str, Any]:
    return {
        "candidates": candidates,
        "usageMetadata": usage_fields(reply, step),
        "modelVersion": request.prompt.model,
        "responseId": base64.urlsafe_b64encode(uuid.UUID(reply.request_id).bytes)
        .decode()
        .rstrip("="),
    }


def usage_fields(reply: Reply, step: int) -> dict[str, Any]:
    """Token counts after so many decoding steps; zeros are left out."""
    thoughts = sum(min(step, len(completion.thoughts)) for completion in reply.completions)
    visible = sum(min(step, completion.tokens) for completion in reply.completions) - thoughts
    counts = {
        "promptTokenCount": reply.prompt_tokens,
        "candidatesTokenCount": visible,
        "totalTokenCount": reply.prompt_tokens + visible + thoughts,
        "thoughtsTokenCount": thoughts,
    }
    details = [{"modality": "TEXT", "tokenCount": reply.prompt_tokens}]
    return {name: count for name, count in counts.items() if count} | {
        "promptTokensDetails": details
    }


def _candidate_fields(request: Request, reply: Reply, piece: Piece) -> dict[str, Any]:
    completion = reply.completions[piece.choice]
    candidate: dict[str, Any] = {
        "content": {"parts": piece.parts, "role": "model"},
        "index": piece.choice,
    }
    if piece.closing:
        candidate["finishReason"] = FINISHES[completion.finish]
    if request.prompt.logprobs is not None and completion.logprobs and piece.places:
        candidate |= _logprob_fields(completion, piece.places)
    return candidate


def _logprob_fields(completion: Completion, places: range) -> dict[str, Any]:
    chances = [completion.logprobs[place] for place in places]
    return {
        "avgLogprobs": sum(chance for chance, _ in chances) / len(chances),
        "logprobsResult": {
            "chosenCandidates": [
                _token_logprob(completion.pieces[place], chance)
                for place, (chance, _) in zip(places, chances, strict=True)
            ],
            "topCandidates": [
                {"candidates": [_token_logprob(*other) for other in top]} for _, top in chances
            ],
        },
    }


def _token_logprob(piece: str, chance: float) -> dict[str, Any]:
    number = int.from_bytes(stable_digest("token", piece)[:2], "big")
    return {"token": piece, "tokenId": number} | ({"logProbability": chance} if chance else {})


def _whole_pieces(request: Request, reply: Reply) -> Iterator[Piece]:
    """Each candidate in one piece: a part each for its thoughts, its text and its calls."""
    for index, completion in enumerate(reply.completions):
        parts = []
        if completion.thoughts and request.thoughts:
            parts.append({"text": completion.thought, "thought": True})
        if completion.pieces or not completion.calls:
            parts.append(_add_signature({"text": completion.text}, completion))
        calls = [
            _function_call_part(reply, completion, index, place)
            for place in range(len(completion.calls))
        ]
        parts += [call for call in calls if call is not None]
        yield Piece(reply.steps, index, parts, range(len(completion.pieces)), closing=True)


def _stream_pieces(
    request: Request, reply: Reply, index: int, completion: Completion
) -> Iterator[Piece]:
    """A candidate's chunks: a few tokens of one kind at a time, each call whole, and the end."""
    for (kind, _), group in groupby(token_events(completion), _chunk_key):
        tokens = list(group)
        piece = _build_piece(kind, tokens, request, reply, index)
        if piece is not None:
            yield piece
    yield Piece(reply.steps, index, [_add_signature({"text": ""}, completion)], closing=True)


def _chunk_key(event: TokenEvent) -> tuple[str, int]:
    """The kind of the chunk that a token belongs to, and its index."""
    if event.kind in ("call", "arguments"):
        return "call", event.place
    return event.kind, event.place // CHUNK


def _build_piece(
    kind: str, tokens: list[TokenEvent], request: Request, reply: Reply, index: int
) -> Piece | None:
    text, last = "".join(event.piece for event in tokens), tokens[-1].step
    if kind == "call":
        call = _function_call_part(reply, reply.completions[index], index, tokens[0].place)
        return None if call is None else Piece(last, index, [call])
    if kind == "thought":
        return Piece(last, index, [{"text": text, "thought": True}]) if request.thoughts else None
    return Piece(last, index, [{"text": text}], range(tokens[0].place, tokens[-1].place + 1))


def _function_call_part(
    reply: Reply, completion: Completion, index: int, place: int
) -> dict[str, Any] | None:
    """A function call, the first after thoughts with its signature; None if it was truncated."""
    call = completion.calls[place]
    try:
        arguments = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return None
    identifier = stable_digest(reply.request_id, index, place).hex()[:8]
    part = {"functionCall": {"id": identifier, "name": call.name, "args": arguments}}
    return (
        part | {"thoughtSignature": sign_call(call.name, arguments)}
        if completion.thoughts and place == 0
        else part
    )


def _add_signature(part: dict[str, Any], completion: Completion) -> dict[str, Any]:
    """Add a signature to the last text of an answer that has thoughts and no calls."""
    return (
        part | {"thoughtSignature": sign_call("", completion.text)}
        if completion.thoughts and not completion.calls
        else part
    )
