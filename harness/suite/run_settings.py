"""The settings of a run (`run:`) and of one target's limits (`limits:`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec.structs import asdict
from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness.config.fields import SuiteModel
from harness.config.units import DURATION_SCHEMA, Count, Duration, Flag, Money, Share, Whole
from harness.model import Timeouts

Unsupported = Literal["refuse", "drop"]
Concurrency = Annotated[Whole, Field(ge=1, le=10_000)]
Retries = Annotated[Whole, Field(ge=0, le=100)]


class TimeoutSpec(SuiteModel):
    """How long to wait; a bare duration is the total."""

    connect: Duration | None = Field(None, description="Time to connect (default 10s).")
    first: Duration | None = Field(
        None, description="Time from sending to the first content (default 60s)."
    )
    idle: Duration | None = Field(
        None, description="Time between two pieces of content (default 30s)."
    )
    total: Duration | None = Field(None, description="Time for a whole attempt (default 300s).")

    @model_validator(mode="before")
    @classmethod
    def _bare_is_total(cls, value: Any) -> Any:
        return {"total": value} if isinstance(value, str | int | float) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The mapping, or the bare duration."""
        return {"anyOf": [DURATION_SCHEMA, handler(schema)]}

    def with_defaults(self, base: Timeouts) -> Timeouts:
        """These timeouts in seconds, with those of `base` where none is given."""
        given = self.model_dump(exclude_none=True)
        return Timeouts(
            **{name: given.get(name, getattr(base, name)) for name in type(self).model_fields}
        )


class _Complete:
    """Reads a `TimeoutSpec` and fills in the defaults, so that the run's timeouts are complete."""

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda spec: spec.with_defaults(Timeouts()),
            handler.generate_schema(TimeoutSpec),
            serialization=core_schema.plain_serializer_function_ser_schema(asdict),
        )


class LimitsSpec(SuiteModel):
    """Concurrency, rate limits, timeouts and retries of a target; unset ones are the run's."""

    concurrency: Concurrency | None = Field(
        None, description="The maximum number of attempts in flight."
    )
    rpm: Count | None = Field(None, description="Requests started in any minute.")
    tpm: Count | None = Field(None, description="Tokens requested in any minute.")
    timeout: TimeoutSpec | None = Field(
        None, description="How long to wait for this target; a bare duration is the total."
    )
    retries: Retries | None = Field(
        None, description="Retries after the first attempt, for errors that can be retried."
    )


class RunSpec(SuiteModel):
    """How a run is driven: limits of each target, budget, and the tolerated rates of errors and
    ungraded answers."""

    concurrency: Concurrency = Field(
        8, description="The maximum number of attempts in flight, for each target."
    )
    rpm: Count | None = Field(None, description="Requests started in any minute, for each target.")
    tpm: Count | None = Field(None, description="Tokens requested in any minute, for each target.")
    timeout: Annotated[Timeouts, _Complete()] = Field(
        default_factory=Timeouts,
        description=(
            "How long to wait: {connect, first, idle, total}; a bare duration is the total."
        ),
    )
    retries: Retries = Field(
        4, description="Retries after the first attempt, for errors that can be retried."
    )
    budget: Money | None = Field(
        None, description="US dollars the run may spend; it stops before it would spend more."
    )
    mode: Literal["live", "batch"] = Field(
        "live",
        description=(
            "Send each request on its own (live), or many together in batches, which are answered"
            " later and have no latency."
        ),
    )
    stream: Flag = Field(
        True,
        description="Request streamed answers, which makes time to first token measurable.",
    )
    unsupported: Unsupported = Field(
        "refuse",
        description=(
            "What to do with a parameter that a target does not support: refuse to run, or drop"
            " it and warn."
        ),
    )
    model_mismatch: Literal["warn", "error"] = Field(
        "warn",
        description=(
            "What to do when a server reports a different model than requested: warn, or count"
            " its answers as errors."
        ),
    )
    seed: Whole = Field(0, description="Fixes the order in which questions are asked.")
    max_error_rate: Share = Field(
        0.05,
        description="The share of errors above which the run counts as an infrastructure failure.",
    )
    max_ungraded_rate: Share = Field(
        0.05,
        description=(
            "The share of answers that could not be graded above which the run gives no verdict;"
            " also of one configuration or one grader, from 3 ungraded answers on."
        ),
    )

    @property
    def streams(self) -> bool:
        """Whether streamed answers are asked for: a batch has none."""
        return self.stream and self.mode == "live"
