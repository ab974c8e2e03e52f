"""Graders of how the answer came: length, latency, cost, finish_reason.

A measure that is unknown (a latency that was not stamped, a price nobody gave) leaves its grade null: unknown is never 0.
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

    max: Whole | None = Field(None, ge=0, description="The most the answer may have.")
    min: Whole | None = Field(None, ge=0, description="The least the answer must have.")
    unit: Literal["chars", "words", "tokens"] = Field(
        "chars", description="Unicode code points, words between white space, or the output tokens the provider reported."
    )

    @model_validator(mode="after")
    def _bounded(self) -> LengthLimit:
        if self.max is None and self.min is None:
            raise ValueError("needs `max` or `min`")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(f"no answer has at least {self.min} and at most {self.max} {self.unit}")
        return self


def _length(arguments: LengthLimit, answer: Answer) -> Verdict:
    length = _known(_count(arguments.unit, answer), "number of output tokens")
    passed = (arguments.min or 0) <= length and (arguments.max is None or length <= arguments.max)
    return Verdict(passed, "" if passed else f"{length} {arguments.unit}, {_bounds(arguments)}")


def _count(unit: str, answer: Answer) -> int | None:
    if unit == "chars":
        return len(answer.text)
    if unit == "words":
        return len(answer.text.split())
    return answer.usage.output_tokens if answer.usage else None


def _bounds(arguments: LengthLimit) -> str:
    bounds = {"at least": arguments.min, "at most": arguments.max}
    return " and ".join(f"{words} {bound} wanted" for words, bound in bounds.items() if bound is not None)


class LatencyLimit(Arguments):
    """Arguments of `latency`."""

    max: Duration = Field(
        description="The longest the answer may take, such as 2s: from sent to its last token, without retries."
    )


def _latency(arguments: LatencyLimit, answer: Answer) -> Verdict:
    latency = _known(answer.latency, "latency")
    passed = latency <= arguments.max
    return Verdict(passed, "" if passed else f"took {latency:.3f} s, at most {arguments.max:g} s wanted")


class CostLimit(Arguments):
    """Arguments of `cost`."""

    max: Money = Field(description="The most the trial may cost in US dollars, retries included.")


def _cost(arguments: CostLimit, answer: Answer) -> Verdict:
    cost = _known(answer.cost, "cost")
    passed = Decimal(str(cost)) <= arguments.max  # as a person reads it: the float 0.0004 is a little more
    return Verdict(passed, "" if passed else f"cost ${cost:.6f}, at most ${arguments.max:f} wanted")


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class Finish(Arguments):
    """Arguments of `finish_reason`."""

    value: Annotated[
        tuple[FinishReason, ...],
        BeforeValidator(_listed, json_schema_input_type=FinishReason | list[FinishReason]),
        Field(min_length=1, description="The reason the answer should end for, or a list of them."),
    ] = ("stop",)


def _finish_reason(arguments: Finish, answer: Answer) -> Verdict:
    reason = _known(answer.finish_reason, "finish reason")
    passed = reason in arguments.value
    return Verdict(passed, "" if passed else f"it ended for {reason!r}, not {' or '.join(map(repr, arguments.value))}")


def _known(measure: Any, name: str) -> Any:
    if measure is None:
        raise GraderError(UNKNOWN, f"the answer's {name} is not known")
    return measure


length_grader = GraderType("length", LengthLimit, _length, short="max")
latency_grader = GraderType("latency", LatencyLimit, _latency, short="max")
cost_grader = GraderType("cost", CostLimit, _cost, short="max")
finish_reason_grader = GraderType("finish_reason", Finish, _finish_reason, short="value")
