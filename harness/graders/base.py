"""What a grader is: a pure function from an answer to a verdict, or a flow that asks first.

A grader type has a pydantic model of its arguments (so that the suite language can check them and
publish their schema) and a function. Arguments may hold templates; they are rendered for each case
and validated again where they do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from msgspec import Struct, field
from pydantic import BaseModel, BeforeValidator, ConfigDict

from harness.config.templates import VerbatimText
from harness.flows.base import Flow
from harness.model import Error, FinishReason, Message, ToolCall, ToolResult, Usage

EXPECTED: Any = "{{ expected }}"
"""The default of an argument that is compared with the answer: what the case expects."""

UNKNOWN = "unknown"
"""The kind of a GraderError where a grader needs a measure that the answer came without."""


class Answer(Struct, frozen=True):
    """All a grader sees, and nothing else: the answer, how it came, and what was expected of it.

    `text` is the final message's text, or what was extracted from it, and `original` then the whole
    text; `messages` the conversation asked; `latency` and `ttft` are
    seconds, `cost` US dollars, None where unknown. `tool_calls` are all calls of the conversation
    so far, `failed_calls` how many of them failed, `turns` how often the model was asked; None
    where there was no conversation to see (a reference answer).
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
    failed_calls: int = 0
    turns: int | None = None
    original: str | None = None


class Verdict(Struct, frozen=True):
    """A grader's finding: bool = pass or fail, float in 0..1 = score, str = label, None = cannot
    say; why, in `reason`. `unparsed` says that the answer's form held nothing to grade."""

    value: bool | float | str | None
    reason: str = ""
    unparsed: bool = False


class MisreadNumber(ValueError):
    """A text that is meant as one number, but would have to be guessed."""


class GraderError(Exception):
    """A grader cannot say: its grade becomes null, with `error` as the reason."""

    def __init__(self, kind: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.error = Error("grader", kind, message, retryable)


class NothingToExtract(Exception):
    """An answer holds nothing of what an extraction step takes; says what is missing.

    It fails the grade, which is counted as unparsed: a wrong form is not a wrong answer.
    """

    PREFIX = "nothing to extract: "

    def __init__(self, missing: str) -> None:
        super().__init__(self.PREFIX + missing)


def to_text(value: Any) -> str:
    """What a value is compared by: a string itself, anything else its JSON text (`true`, `null`,
    `4.5`, `{"a": 1}`)."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def read_tool_value(result: ToolResult) -> Any:
    """The value of a tool call a grader made. Raises GraderError where there is none."""
    if result.error is not None:
        raise GraderError(result.error.kind, result.error.message, retryable=result.error.retryable)
    return json.loads(result.content)


PlainText = Annotated[str, BeforeValidator(to_text, json_schema_input_type=Any)]
"""A text argument; a number, boolean, null, list or object stands for its JSON text."""


class Arguments(BaseModel):
    """Base of every grader's arguments: strict about keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)
Grading: TypeAlias = Verdict | Flow[Verdict]


class Operation(Struct, Generic[ArgumentsT], frozen=True):
    """What a suite names and gives arguments: a grader, or a step that extracts what is graded.

    `apply` is its function of the arguments and the answer. `short` names the field a bare argument
    fills (`equals: x` = `equals: {value: x}`), None where there is no short form.
    `short_takes_mapping` says that the bare argument may be a mapping itself (`not: {contains: x}`,
    `json_schema: {type: …}`). `file` names the argument that may be a path instead: `schema.json`
    stands for what it holds, `grader.py:function` for the same with an absolute path. Whoever reads
    the suite resolves it, since graders open no files. `literal` names the argument in which
    nothing is a template of the suite's: code, or a template of its own. `summary` is its line in
    the documentation.
    """

    name: str
    arguments: type[ArgumentsT]
    apply: Callable[[ArgumentsT, Answer], Any]
    short: str | None = None
    short_takes_mapping: bool = False
    file: str | None = None
    literal: str | None = None
    summary: str = ""

    def expand_arguments(self, bare: Any) -> dict[str, Any]:
        """The arguments that the value of the grader's name stands for: nothing, a mapping of
        them, or the short form's value.

        Defaults that are templates are among them. Raises ValueError where there is no short form.
        """
        if bare is None:
            return self.with_template_defaults({})
        if isinstance(bare, Mapping) and not (self.short_takes_mapping and self._is_short(bare)):
            return self.with_template_defaults(bare)
        if self.short is None:
            raise ValueError(
                f"{self.name} takes a mapping of arguments, such as"
                f" {', '.join(self.arguments.model_fields)}"
            )
        return self.with_template_defaults({self.short: bare})

    def with_template_defaults(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`arguments` with the defaults that are templates, so that these are filled in like
        written ones."""
        fields = self.arguments.model_fields
        complete = {
            name: field.default for name, field in fields.items() if field.default == EXPECTED
        } | dict(arguments)
        if self.literal is not None and isinstance(complete.get(self.literal), str):
            complete[self.literal] = VerbatimText(complete[self.literal])
        return complete

    def _is_short(self, bare: Mapping[str, Any]) -> bool:
        """Whether a mapping is the short form's value, and not the arguments: it names none of
        them, or others too while it lacks the one that must be there (a schema may have a
        `format`)."""
        fields = {field.alias or name: field for name, field in self.arguments.model_fields.items()}
        if not bare or self.short in bare:
            return False
        needed = self.short is not None and fields[self.short].is_required()
        return not fields.keys() & bare.keys() or (needed and not bare.keys() <= fields.keys())


class GraderType(Operation[ArgumentsT], frozen=True):
    """A grader of the registry: `apply` gives a Verdict, or the flow that leads to one.

    `asks` names the argument that names a target the grader asks. `summary` completes "passes if
    the answer …".
    """

    asks: str | None = None


class ExtractionStep(Operation[ArgumentsT], frozen=True):
    """A step from an answer to what is graded: `apply` gives a text, or the flow that leads to one,
    and raises NothingToExtract.

    `summary` completes "takes …".
    """


class GraderSpec(BaseModel):
    """One grader of a set: its registry name, its arguments in the long form, and how its verdict
    counts.

    Templates are left in place: they are filled in for each case.
    `id` is unique in its set. `extract` are the steps to what is graded, each the name of one with
    its arguments in the long form; None where neither the grader nor what surrounds it has any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    type: str
    arguments: dict[str, Any] = {}
    id: str
    weight: float = 1.0
    threshold: float | None = None
    extract: tuple[dict[str, Any], ...] | None = None
