"""`http:` of a target: how the user's own service is asked, and where its answers hold what."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from harness.config.diagnostics import did_you_mean
from harness.config.fields import SuiteModel
from harness.config.json_path import parse_path
from harness.config.templates import TemplateError, compile_template, templates_in
from harness.config.units import Text

HTTP = "http"
REQUEST_VARIABLES = frozenset(
    {"messages", "model", "prompt", "response_format", "sampling", "stream", "system", "tools"}
    | {"tool_choice", "user"}
)
"""What the templates of a request see."""


def _check_path(value: str) -> str:
    parse_path(value)
    return value


def _check_templates(value: Any) -> Any:
    for _, text in templates_in(value):
        try:
            template = compile_template(text)
        except TemplateError as wrong:
            raise ValueError(wrong.message) from wrong
        for name in sorted(template.variables - REQUEST_VARIABLES):
            known = did_you_mean(name, REQUEST_VARIABLES)
            raise ValueError(f"names `{name}`, which is not part of a request; {known}")
    return value


JsonPath = Annotated[Text, Field(min_length=1), AfterValidator(_check_path)]


class UsagePaths(SuiteModel):
    """Where the tokens are, each in a place of its own."""

    input: JsonPath | None = Field(None, description="Input tokens, those of the cache excluded.")
    output: JsonPath | None = Field(None, description="Output tokens, reasoning excluded.")
    reasoning: JsonPath | None = Field(None, description="Reasoning tokens.")
    cache_read: JsonPath | None = Field(None, description="Tokens read from a cache.")
    cache_write: JsonPath | None = Field(None, description="Tokens written to a cache.")


class AnswerPaths(SuiteModel):
    """Where an answer, or an event of a stream, holds what: JSON paths."""

    text: JsonPath | None = Field(
        None, description="The answer's text; default: the whole answer is the text."
    )
    reasoning: JsonPath | None = Field(None, description="The model's reasoning.")
    tool_calls: JsonPath | None = Field(None, description="Tool calls in OpenAI's format.")
    usage: JsonPath | UsagePaths | None = Field(
        None,
        description="The token counts: a usage object in OpenAI's format, or a path each.",
    )
    cost: JsonPath | None = Field(None, description="The cost, in US dollars.")
    model: JsonPath | None = Field(None, description="The model that answered.")
    finish_reason: JsonPath | None = Field(
        None, description="The finish reason, in OpenAI's terms."
    )
    error: JsonPath | None = Field(
        None, description="An error; an answer that contains one counts as failed."
    )


class StreamPaths(AnswerPaths):
    """Where an event of a stream holds what. What is left out is where `answer:` says."""

    done: JsonPath | None = Field(
        None,
        description="What ends the stream when present and not false; `[DONE]` always does.",
    )


class HttpSpec(SuiteModel):
    """How a service is asked over HTTP, and where its answers hold what."""

    method: Literal["POST", "GET", "PUT", "PATCH"] = Field("POST", description="The method.")
    path: Annotated[Text, AfterValidator(_check_templates)] = Field(
        "",
        description="The path after `base_url`: a template, such as /ask?q={{ user | urlencode }}.",
    )
    body: Annotated[Any, AfterValidator(_check_templates)] = Field(
        None,
        description=(
            "The body, which may contain templates: an object or a list is sent as JSON, a text"
            " unchanged. Templates can use `user`, `system`, `messages`, `model`, `sampling`,"
            " `stream`, …"
        ),
    )
    answer: AnswerPaths = Field(
        default_factory=AnswerPaths,
        description="Where to find each part of an answer, as JSON paths.",
    )
    stream: StreamPaths | None = Field(
        None,
        description=(
            "Where to find each part of a stream's events; default: answers are not streamed."
        ),
    )

    def to_plain(self) -> dict[str, Any]:
        """The description as plain data, without what is left out."""
        return self.model_dump(exclude_none=True)
