"""Graders of how the answer came: length, latency, cost, finish_reason.

A measure that is unknown (a latency that was not stamped, a price nobody gave) leaves its grade
null: unknown is never 0.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from harness.config.units import Duration, Money, Whole
from harness.graders.base import UNKNOWN, Answer, Arguments, GraderError, GraderType, Verdict
from harness.model import FinishReason


class LengthLimit(Arguments):
    """Arguments of `length`."""

    max: Whole | None = Field(None, ge=0, description="The maximum length of the answer.")
    min: Whole | None = Field(None, ge=0, description="The minimum length of the answer.")
    unit: Literal["chars", "words", "tokens"] = Field(
        "chars",
        description=(
            "Unicode code points, words between white space, or the output tokens the provider"
            " reported."
        ),
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> LengthLimit:
        if self.max is None and self.min is None:
            raise ValueError("needs `max` or `min`")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(
                f"no answer can have at least {self.min} and at most {self.max} {self.unit}"
            )
        return self


def _grade_length(arguments: LengthLimit, answer: Answer) -> Verdict:
    length = _require_known(_measure_length(arguments.unit, answer), "number of output tokens")
    passed = (arguments.min or 0) <= length and (arguments.max is None or length <= arguments.max)
    return Verdict(
        passed, "" if passed else f"{length} {arguments.unit}, {_describe_bounds(arguments)}"
    )


def _measure_length(unit: str, answer: Answer) -> int | None:
    if unit == "chars":
        return len(answer.text)
    if unit == "words":
        return len(answer.text.split())
    return answer.usage.output_tokens if answer.usage else None


def _describe_bounds(arguments: LengthLimit) -> str:
    bounds = {"at least": arguments.min, "at most": arguments.max}
    return " and ".join(
        f"{words} {bound} wanted" for words, bound in bounds.items() if bound is not None
    )


class LatencyLimit(Arguments):
    """Arguments of `latency`."""

    max: Duration = Field(
        description=(
            "The maximum latency, such as 2s: from sent to the last token, without retries."
        )
    )


def _grade_latency(arguments: LatencyLimit, answer: Answer) -> Verdict:
    latency = _require_known(answer.latency, "latency")
    passed = latency <= arguments.max
    return Verdict(
        passed, "" if passed else f"took {latency:.3f} s, at most {arguments.max:g} s wanted"
    )


class CostLimit(Arguments):
    """Arguments of `cost`."""

    max: Money = Field(description="The maximum cost of the trial in US dollars, retries included.")


def _grade_cost(arguments: CostLimit, answer: Answer) -> Verdict:
    cost = _require_known(answer.cost, "cost")
    passed = (
        Decimal(str(cost)) <= arguments.max
    )  # as a person reads it: the float 0.0004 is a little more
    return Verdict(passed, "" if passed else f"cost ${cost:.6f}, at most ${arguments.max:f} wanted")


def _to_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class FinishReasons(Arguments):
    """Arguments of `finish_reason`."""

    value: Annotated[
        tuple[FinishReason, ...],
        BeforeValidator(_to_list, json_schema_input_type=FinishReason | list[FinishReason]),
        Field(min_length=1, description="The expected finish reason, or a list of them."),
    ] = ("stop",)


def _grade_finish_reason(arguments: FinishReasons, answer: Answer) -> Verdict:
    reason = _require_known(answer.finish_reason, "finish reason")
    passed = reason in arguments.value
    return Verdict(
        passed,
        ""
        if passed
        else f"finish reason {reason!r}, not {' or '.join(map(repr, arguments.value))}",
    )


def _require_known(measure: Any, name: str) -> Any:
    if measure is None:
        raise GraderError(UNKNOWN, f"the answer's {name} is not known")
    return measure


length_grader = GraderType(
    "length", LengthLimit, _grade_length, short="max", summary="is within these bounds"
)
latency_grader = GraderType(
    "latency", LatencyLimit, _grade_latency, short="max", summary="took at most this long"
)
cost_grader = GraderType(
    "cost", CostLimit, _grade_cost, short="max", summary="cost at most this much"
)
finish_reason_grader = GraderType(
    "finish_reason",
    FinishReasons,
    _grade_finish_reason,
    short="value",
    summary="has this finish reason",
)
