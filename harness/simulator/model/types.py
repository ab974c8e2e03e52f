"""What both wire formats reduce to: the simulated request and its answer.

A wire format turns bytes into a `Prompt`; the model turns a `Prompt` into an `Completion`; the wire format turns that into
bytes. Nothing here is shared with the harness's own clients: the simulator is a second reading of the formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


class Call(NamedTuple):
    """A function called; `pieces` are the tokens of its arguments, a JSON object; the `id` is each wire format's to give."""

    name: str
    pieces: tuple[str, ...]
    id: str = ""

    @property
    def arguments(self) -> str:
        """The arguments as JSON text."""
        return "".join(self.pieces)


class Function(NamedTuple):
    """A function that may be called; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Turn(NamedTuple):
    """One message, its text parts joined by a newline.

    `images` are the image files in it; `calls` what an assistant's turn called; `call_id` which call a tool's turn answers.
    """

    role: str
    text: str
    images: tuple[bytes, ...] = ()
    calls: tuple[Call, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the answer is drawn; `temperature` 0 is greedy, None switches a rule off."""

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
    """One request, free of its wire format. `schema` is the JSON Schema the answer has to fit; `{}` asks for any object.

    `tool_choice` is `auto`, `none`, `required` or a function's name. With `reasoning`, the answer comes with thoughts. With
    `logprobs`, each piece comes with its probability and that of so many others in its place. `parallel` allows several calls
    in one answer.
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
        """Everything said before the last user turn: system prompts, earlier turns."""
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
    """The drawn text as tokens, cut at the token limit or before a stop sequence; `thoughts` are the tokens before it.

    An answer that calls functions has no text. `stopped_by` is the stop sequence it was cut before. `logprobs` has, for each
    piece, its log probability and the likeliest others.
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
        """What was thought before the answer."""
        return "".join(self.thoughts)

    @property
    def tokens(self) -> int:
        """How many tokens were generated: thoughts, text, and for each call its name and its arguments."""
        return len(self.thoughts) + len(self.pieces) + sum(1 + len(call.pieces) for call in self.calls)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to one request: an answer a choice, and the figures every format reports."""

    request_id: str
    created: int
    prompt_tokens: int
    completions: tuple[Completion, ...]

    @property
    def completion_tokens(self) -> int:
        """All that was generated, thoughts included."""
        return sum(answer.tokens for answer in self.completions)

    @property
    def thought_tokens(self) -> int:
        return sum(len(answer.thoughts) for answer in self.completions)

    @property
    def steps(self) -> int:
        """How many decoding steps it took: choices are decoded side by side."""
        return max((answer.tokens for answer in self.completions), default=0)


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
