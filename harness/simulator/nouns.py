"""What both wire formats reduce to: the simulated request and its answer.

A wire format turns bytes into a `Prompt`; the model turns a `Prompt` into an `Answer`; the wire format turns that into
bytes. Nothing here is shared with the harness's own clients: the simulator is a second reading of the formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


class Turn(NamedTuple):
    """One message, its text parts joined by a newline; `images` counts the image parts."""

    role: str
    text: str
    images: int = 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the answer is drawn; `temperature` 0 is greedy, None switches a rule off."""

    temperature: float
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request, free of its wire format. `schema` is the JSON Schema the answer has to fit; `{}` asks for any object."""

    model: str
    turns: tuple[Turn, ...]
    sampling: Sampling
    schema: dict[str, Any] | None = None

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
class Answer:
    """The drawn text as tokens, cut at the token limit or before a stop sequence."""

    pieces: tuple[str, ...]
    finish: Literal["stop", "length"]

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to one request: an answer a choice, and the figures every format reports."""

    request_id: str
    created: int
    prompt_tokens: int
    answers: tuple[Answer, ...]

    @property
    def completion_tokens(self) -> int:
        return sum(len(answer.pieces) for answer in self.answers)

    @property
    def steps(self) -> int:
        """How many decoding steps it took: choices are decoded side by side."""
        return max((len(answer.pieces) for answer in self.answers), default=0)


class Frame(NamedTuple):
    """One SSE event and the decoding step it leaves after: 0 = at once, n = with the n-th token."""

    step: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Body:
    """A response before faults and latency: `frames` when streamed, else `content`."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes = b""
    frames: tuple[Frame, ...] | None = None


class Refusal(Exception):
    """The request breaks the contract; each wire format renders it its own way.

    `code` is Cloudflare's integer or OpenAI's string; `param` is only OpenAI's.
    """

    def __init__(self, status: int, code: int | str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
