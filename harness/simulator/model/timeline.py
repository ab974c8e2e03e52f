"""An answer as it is decoded, one token a step: thoughts, then text, then each call's name and its arguments.

Every wire format streams these events in its own words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from harness.simulator.model.requests import Completion


class TokenEvent(NamedTuple):
    """One token: `step` counts from 1, `place` is which thought, piece or call it is (or belongs to)."""

    step: int
    kind: Literal["thought", "text", "call", "arguments"]
    place: int
    piece: str


def token_events(answer: Completion) -> Iterator[TokenEvent]:
    """The tokens of `answer` in order; a `call` event's piece is the function's name."""
    step = 0
    for place, piece in enumerate(answer.thoughts):
        yield TokenEvent(step := step + 1, "thought", place, piece)
    for place, piece in enumerate(answer.pieces):
        yield TokenEvent(step := step + 1, "text", place, piece)
    for place, call in enumerate(answer.calls):
        yield TokenEvent(step := step + 1, "call", place, call.name)
        for piece in call.pieces:
            yield TokenEvent(step := step + 1, "arguments", place, piece)
