"""The Gemini API: answers, whole, as events, and as the events in one JSON array.

What surprises: each chunk has a usage, of the tokens so far; zeros are left out; a chunk is several tokens, a call comes in one
piece however long; and nothing says that a stream is over but its last chunk's `finishReason`.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.gemini.contents import signature
from harness.simulator.apis.gemini.requests import Request
from harness.simulator.model.chance import digest
from harness.simulator.model.requests import Answer, Body, Frame, Reply
from harness.simulator.model.timeline import Event, events

FINISHES = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
CHUNK = 4
"""Tokens of text or thought in a chunk."""


class Piece(NamedTuple):
    """Parts of the candidate `choice` that leave together; `places` are its tokens of text, `closing` says it is the last."""

    step: int
    choice: int
    parts: list[dict[str, Any]]
    places: range = range(0)
    closing: bool = False


def whole(request: Request, reply: Reply) -> Body:
    """The answer in one piece."""
    candidates = [_candidate(request, reply, piece) for piece in _whole_pieces(request, reply)]
    return Body(200, (), orjson.dumps(_response(request, reply, candidates, reply.steps)))


def streamed(request: Request, reply: Reply) -> Body:
    """The answer as server-sent events."""
    frames = (Frame(step, b"data: " + orjson.dumps(chunk) + b"\r\n\r\n") for step, chunk in _chunks(request, reply))
    return Body(200, (), frames=tuple(frames))


def array(request: Request, reply: Reply) -> Body:
    """The same chunks in one JSON array."""
    return Body(200, (), b"[" + b"\n,\r\n".join(orjson.dumps(chunk) for _, chunk in _chunks(request, reply)) + b"\n]\n")


RENDERERS = {"whole": whole, "events": streamed, "array": array}


def _chunks(request: Request, reply: Reply) -> list[tuple[int, dict[str, Any]]]:
    pieces = [piece for index, answer in enumerate(reply.answers) for piece in _pieces(request, reply, index, answer)]
    pieces.sort(key=lambda piece: (piece.step, piece.choice, piece.closing))
    return [(piece.step, _response(request, reply, [_candidate(request, reply, piece)], piece.step)) for piece in pieces]


def _response(request: Request, reply: Reply, candidates: list[dict[str, Any]], step: int) -> dict[str, Any]:
    return {
        "candidates": candidates,
        "usageMetadata": usage(reply, step),
        "modelVersion": request.prompt.model,
        "responseId": base64.urlsafe_b64encode(uuid.UUID(reply.request_id).bytes).decode().rstrip("="),
    }


def usage(reply: Reply, step: int) -> dict[str, Any]:
    """The tokens once so many steps are decoded; a count of zero is left out."""
    thoughts = sum(min(step, len(answer.thoughts)) for answer in reply.answers)
    visible = sum(min(step, answer.tokens) for answer in reply.answers) - thoughts
    counts = {
        "promptTokenCount": reply.prompt_tokens,
        "candidatesTokenCount": visible,
        "totalTokenCount": reply.prompt_tokens + visible + thoughts,
        "thoughtsTokenCount": thoughts,
    }
    details = [{"modality": "TEXT", "tokenCount": reply.prompt_tokens}]
    return {name: count for name, count in counts.items() if count} | {"promptTokensDetails": details}


def _candidate(request: Request, reply: Reply, piece: Piece) -> dict[str, Any]:
    answer = reply.answers[piece.choice]
    candidate: dict[str, Any] = {"content": {"parts": piece.parts, "role": "model"}, "index": piece.choice}
    if piece.closing:
        candidate["finishReason"] = FINISHES[answer.finish]
    if request.prompt.logprobs is not None and answer.logprobs and piece.places:
        candidate |= _scored(answer, piece.places)
    return candidate


def _scored(answer: Answer, places: range) -> dict[str, Any]:
    chances = [answer.logprobs[place] for place in places]
    return {
        "avgLogprobs": sum(chance for chance, _ in chances) / len(chances),
        "logprobsResult": {
            "chosenCandidates": [
                _token(answer.pieces[place], chance) for place, (chance, _) in zip(places, chances, strict=True)
            ],
            "topCandidates": [{"candidates": [_token(*other) for other in top]} for _, top in chances],
        },
    }


def _token(piece: str, chance: float) -> dict[str, Any]:
    number = int.from_bytes(digest("token", piece)[:2], "big")
    return {"token": piece, "tokenId": number} | ({"logProbability": chance} if chance else {})


def _whole_pieces(request: Request, reply: Reply) -> Iterator[Piece]:
    """Each candidate in one piece: its thoughts, its text and its calls a part each."""
    for index, answer in enumerate(reply.answers):
        parts = []
        if answer.thoughts and request.thoughts:
            parts.append({"text": answer.thought, "thought": True})
        if answer.pieces or not answer.calls:
            parts.append(_signed({"text": answer.text}, answer))
        calls = [_call(reply, answer, index, place) for place in range(len(answer.calls))]
        parts += [call for call in calls if call is not None]
        yield Piece(reply.steps, index, parts, range(len(answer.pieces)), closing=True)


def _pieces(request: Request, reply: Reply, index: int, answer: Answer) -> Iterator[Piece]:
    """A candidate's chunks: a few tokens of one kind at a time, a whole call, and the end."""
    for (kind, _), group in groupby(events(answer), _chunk_of):
        tokens = list(group)
        piece = _piece(kind, tokens, request, reply, index)
        if piece is not None:
            yield piece
    yield Piece(reply.steps, index, [_signed({"text": ""}, answer)], closing=True)


def _chunk_of(event: Event) -> tuple[str, int]:
    """The kind of chunk a token is in, and which of them."""
    if event.kind in ("call", "arguments"):
        return "call", event.place
    return event.kind, event.place // CHUNK


def _piece(kind: str, tokens: list[Event], request: Request, reply: Reply, index: int) -> Piece | None:
    said, last = "".join(event.piece for event in tokens), tokens[-1].step
    if kind == "call":
        call = _call(reply, reply.answers[index], index, tokens[0].place)
        return None if call is None else Piece(last, index, [call])
    if kind == "thought":
        return Piece(last, index, [{"text": said, "thought": True}]) if request.thoughts else None
    return Piece(last, index, [{"text": said}], range(tokens[0].place, tokens[-1].place + 1))


def _call(reply: Reply, answer: Answer, index: int, place: int) -> dict[str, Any] | None:
    """A call, the first of an answer that was thought over with its signature; None for one that was cut and is no JSON."""
    call = answer.calls[place]
    try:
        arguments = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return None
    identifier = digest(reply.request_id, index, place).hex()[:8]
    part = {"functionCall": {"id": identifier, "name": call.name, "args": arguments}}
    return part | {"thoughtSignature": signature(call.name, arguments)} if answer.thoughts and place == 0 else part


def _signed(part: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """The last text of an answer that was thought over and calls nothing carries a signature, too."""
    return part | {"thoughtSignature": signature("", answer.text)} if answer.thoughts and not answer.calls else part
