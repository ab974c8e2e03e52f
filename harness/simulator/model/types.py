"""What every API reduces to: the prompt of a request, and the model's completions.

An API adapter parses bytes into a `Prompt`, the model turns that into `Completion`s, and the
adapter renders them. Nothing here is shared with the harness's own clients: the simulator is an
independent reading of the wire formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


class Call(NamedTuple):
    """A function call; `pieces` are the tokens of its arguments, a JSON
    object; `id` is the API's."""

    name: str
    pieces: tuple[str, ...]
    id: str = ""

    @property
    def arguments(self) -> str:
        """The arguments as JSON text."""
        return "".join(self.pieces)


class Function(NamedTuple):
    """A function on offer; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Turn(NamedTuple):
    """One message; its text parts are joined by newlines.

    `images` are the image files in it, `calls` the calls of an assistant's turn, `call_id` the call
    that a tool's turn answers.
    """

    role: str
    text: str
    images: tuple[bytes, ...] = ()
    calls: tuple[Call, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters; temperature 0 is greedy, None switches a rule off."""

    temperature: float
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    min_p: float | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request, independent of its API. `schema` is the JSON Schema the answer has to fit; `{}`
    asks for any object.

    `tool_choice` is `auto`, `none`, `required` or a function's name. `reasoning` asks for thoughts
    before the answer. `logprobs` asks for each token's log probability and for so many
    alternatives. `parallel` allows several calls in one answer.
    """

    model: str
    turns: tuple[Turn, ...]
    sampling: Sampling
    schema: dict[str, Any] | None = None
    functions: tuple[Function, ...] = ()
    tool_choice: str = "auto"
    reasoning: bool = False
    logprobs: int | None = None
    parallel: bool = True

    @property
    def instructions(self) -> str:
        """All text before the last user turn: system prompts and earlier turns."""
        return "\n\n".join(turn.text for turn in self.turns[: self._last_user_index])

    @property
    def question(self) -> str:
        """The text of the last user turn, or of the last turn when no user spoke."""
        return self.turns[self._last_user_index].text if self.turns else ""

    @property
    def _last_user_index(self) -> int:
        indices = [index for index, turn in enumerate(self.turns) if turn.role == "user"]
        return indices[-1] if indices else len(self.turns) - 1


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer as tokens, cut at the token limit or before a stop sequence; `thoughts` are the
    reasoning tokens before it.

    A completion with calls has no text. `stopped_by` is the stop sequence it was cut before.
    `logprobs` has the log probability of each token, and of its likeliest alternatives.
    """

    pieces: tuple[str, ...]
    finish: Literal["stop", "length", "tool_calls"]
    thoughts: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    logprobs: tuple[tuple[float, tuple[tuple[str, float], ...]], ...] = ()
    stopped_by: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def thought(self) -> str:
        """The reasoning text before the answer."""
        return "".join(self.thoughts)

    @property
    def tokens(self) -> int:
        """Tokens generated: thoughts, text, and for each call its name and arguments."""
        return (
            len(self.thoughts) + len(self.pieces) + sum(1 + len(call.pieces) for call in self.calls)
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """All completions of one request, one for each choice, and the figures
    that every API reports."""

    request_id: str
    created: int
    prompt_tokens: int
    completions: tuple[Completion, ...]

    @property
    def completion_tokens(self) -> int:
        """All tokens generated, thoughts included."""
        return sum(answer.tokens for answer in self.completions)

    @property
    def thought_tokens(self) -> int:
        return sum(len(answer.thoughts) for answer in self.completions)

    @property
    def steps(self) -> int:
        """Decoding steps taken: choices are decoded in parallel."""
        return max((answer.tokens for answer in self.completions), default=0)


class TokenEvent(NamedTuple):
    """One token: `step` counts from 1; `place` is the index of the thought, token or call it is (or
    belongs to)."""

    step: int
    kind: Literal["thought", "text", "call", "arguments"]
    place: int
    piece: str


def token_events(answer: Completion) -> Iterator[TokenEvent]:
    """The tokens of a completion in order: thoughts, then text, then each call's name and its
    arguments.

    Every API streams these events in its own format. A `call` event's piece is the function's name.
    """
    step = 0
    for place, piece in enumerate(answer.thoughts):
        yield TokenEvent(step := step + 1, "thought", place, piece)
    for place, piece in enumerate(answer.pieces):
        yield TokenEvent(step := step + 1, "text", place, piece)
    for place, call in enumerate(answer.calls):
        yield TokenEvent(step := step + 1, "call", place, call.name)
        for piece in call.pieces:
            yield TokenEvent(step := step + 1, "arguments", place, piece)
