"""not, all, any: graders made of graders, with three values.

A part that cannot say (it raised, it is null) leaves the whole undecided only where its answer
would matter: `any` passes on one pass and `all` fails on one failure, whatever the others would
have said. Parts are tried in order, and those after a deciding one are not asked. A part that gives
a score needs a `threshold`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from harness.flows.base import Flow
from harness.graders.base import (
    Answer,
    Arguments,
    GraderError,
    GraderType,
    NothingToExtract,
    Verdict,
)
from harness.graders.build import Grader, bind_extraction, checked_arguments, run_grader
from harness.model import Grade
from harness.registry import is_registered, load_plugin

_OPTIONS = ("id", "threshold", "extract")


class Combinator(GraderType[Any], frozen=True):
    """A grader type whose arguments `grader` or `graders` are graders themselves."""

    def with_template_defaults(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`arguments` with the parts in the long form, their defaults that
        are templates included."""
        return {name: _complete_part(value) for name, value in arguments.items()}


def _complete_part(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_complete_part(entry) for entry in value]
    try:
        name, arguments, options = _read_part(value)
    except ValueError:  # said, and in its place, when the arguments are checked
        return value
    return {name: arguments, **options}


def parse_part(entry: Any) -> Grader:
    """The grader an entry (`json`, `{contains: x}`, `{number: 3, id: three}`) means. Raises
    ValueError."""
    name, arguments, options = _read_part(entry)
    kind: GraderType[Any] = load_plugin("graders", name)
    return Grader(
        str(options.get("id", name)),
        1.0,
        _read_threshold(options),
        partial(kind.apply, checked_arguments(kind, arguments)),
        bind_extraction(options.get("extract")),
    )


def _read_part(entry: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """An entry's grader, its arguments in the long form, and its options. Raises ValueError."""
    written = {entry: None} if isinstance(entry, str) else entry
    if not isinstance(written, Mapping):
        raise ValueError("write a grader as its name and its arguments, such as {contains: sorry}")  # noqa: TRY004 - pydantic's contract
    name = _only_name([key for key in written if key not in _OPTIONS])
    kind: GraderType[Any] = load_plugin("graders", name)
    return (
        name,
        kind.expand_arguments(written[name]),
        {key: value for key, value in written.items() if key in _OPTIONS},
    )


def _only_name(names: Sequence[Any]) -> str:
    if len(names) != 1:
        raise ValueError(
            f"exactly one grader, beside the optional {' and '.join(_OPTIONS)}, not {len(names)}"
        )
    name = str(names[0])
    if not is_registered("graders", name):
        raise ValueError(f"there is no grader named {name!r}")
    return name


def _read_threshold(options: Mapping[str, Any]) -> float | None:
    threshold = options.get("threshold")
    if threshold is None:
        return None
    if (
        isinstance(threshold, bool)
        or not isinstance(threshold, int | float)
        or not 0 <= threshold <= 1
    ):
        raise ValueError(f"threshold must be a number from 0 to 1, not {threshold!r}")
    return float(threshold)


Part = Annotated[Grader, PlainValidator(parse_part, json_schema_input_type=str | dict[str, Any])]


class NegatedGrader(Arguments):
    """Arguments of `not`."""

    grader: Part = Field(description="The grader that must not pass.")


class GraderList(Arguments):
    """Arguments of `all` and `any`."""

    graders: tuple[Part, ...] = Field(min_length=1, description="The graders to combine.")


def _grade_not(arguments: NegatedGrader, answer: Answer) -> Flow[Verdict]:
    grade = yield from run_grader(arguments.grader, answer)
    if grade.unparsed and arguments.grader.extract is not None:
        raise NothingToExtract(grade.reason.removeprefix(NothingToExtract.PREFIX))
    passed = _require_decision(grade)
    return Verdict(not passed, f"{grade.name} passed" if passed else "")


def _grade_all(arguments: GraderList, answer: Answer) -> Flow[Verdict]:
    return (yield from _grade_until(False, arguments.graders, answer))


def _grade_any(arguments: GraderList, answer: Answer) -> Flow[Verdict]:
    return (yield from _grade_until(True, arguments.graders, answer))


def _grade_until(deciding: bool, graders: Sequence[Grader], answer: Answer) -> Flow[Verdict]:
    """`deciding` as soon as one part says so; its opposite where all say that; else undecided, for
    the first part's reason."""
    grades = []
    for grader in graders:
        grade = yield from run_grader(grader, answer)
        if grade.passed is deciding:
            return Verdict(deciding, "" if deciding else _failure_reason(grade))
        grades.append(grade)
    for grade in grades:
        _require_decision(grade)
    return Verdict(not deciding, "; ".join(map(_failure_reason, grades)) if deciding else "")


def _require_decision(grade: Grade) -> bool:
    """Whether the part passed. Raises GraderError where it cannot say."""
    if grade.error is not None:
        raise GraderError(
            grade.error.kind,
            f"{grade.name}: {grade.error.message}",
            retryable=grade.error.retryable,
        )
    if grade.passed is None:
        raise GraderError(
            "no_verdict",
            f"{grade.name} gave {grade.value!r}, which neither passes nor fails; set a `threshold`"
            " for the score",
        )
    return grade.passed


def _failure_reason(grade: Grade) -> str:
    return f"{grade.name}: {grade.reason or 'did not pass'}"


not_grader = Combinator(
    "not",
    NegatedGrader,
    _grade_not,
    short="grader",
    short_takes_mapping=True,
    summary="does not pass this grader",
)
all_grader = Combinator(
    "all", GraderList, _grade_all, short="graders", summary="passes each of these graders"
)
any_grader = Combinator(
    "any", GraderList, _grade_any, short="graders", summary="passes one of these graders"
)
