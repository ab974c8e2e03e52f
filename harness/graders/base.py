"""What a grader is: a pure function from an answer to a verdict, or a flow that asks first.

A grader type has a pydantic model of its arguments (so that the suite language can check them and publish their schema) and
a function. Arguments may hold templates; they are rendered for each case and validated again where they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from harness.flow import Flow
from harness.model import FinishReason, Message, ToolCall, Usage


@dataclass(frozen=True, slots=True)
class Answer:
    """All a grader sees, and nothing else: the answer, how it came, and what was expected of it.

    `text` is the final message's text; `messages` the conversation asked; `latency` and `ttft` are seconds, `cost` US dollars,
    None where unknown.
    """

    text: str
    expected: Any = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    latency: float | None = None
    ttft: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grader's finding: bool = pass or fail, float in 0..1 = score, str = label, None = cannot say; `reason` is for people."""

    value: bool | float | str | None
    reason: str = ""


class Arguments(BaseModel):
    """Base of every grader's arguments: strict about keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


A = TypeVar("A", bound=Arguments)
Grading: TypeAlias = Verdict | Flow[Verdict]


@dataclass(frozen=True, slots=True)
class GraderType(Generic[A]):
    """One entry of the registry.

    `short` names the field a bare argument fills (`equals: x` = `equals: {value: x}`), None where there is no short form.
    """

    name: str
    arguments: type[A]
    grade: Callable[[A, Answer], Grading]
    short: str | None = None
