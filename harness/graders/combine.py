"""not, all, any: graders made of graders, with three values.

A part that cannot say (it raised, it is null) leaves the whole undecided only where its answer would matter: `any` passes on
one pass and `all` fails on one failure, whatever the others would have said. Parts are tried in order, and those after a
deciding one are not asked. A part that gives a score needs a `threshold`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from harness.flows.base import Flow
from harness.graders.base import Answer, Arguments, GraderError, GraderType, Verdict
from harness.graders.build import Grader, checked_arguments, grade_of
from harness.model import Grade
from harness.registry import is_registered, load_plugin

_OPTIONS = ("id", "threshold")


@dataclass(frozen=True, slots=True)
class Combinator(GraderType[Any]):
    """A grader type whose arguments `grader` or `graders` are graders themselves."""

    def completed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`arguments` with the parts in the long form, their defaults that are templates included."""
        return {name: _completed(value) for name, value in arguments.items()}


def _completed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_completed(entry) for entry in value]
    try:
        name, arguments, options = _read(value)
    except ValueError:  # said, and in its place, when the arguments are checked
        return value
    return {name: arguments, **options}


def part(entry: Any) -> Grader:
    """The grader an entry (`json`, `{contains: x}`, `{number: 3, id: three}`) means. Raises ValueError."""
    name, arguments, options = _read(entry)
    kind: GraderType[Any] = load_plugin("graders", name)
    return Grader(
        str(options.get("id", name)), 1.0, _threshold(options), partial(kind.grade, checked_arguments(kind, arguments))
    )


def _read(entry: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """An entry's grader, its arguments in the long form, and its options. Raises ValueError."""
    written = {entry: None} if isinstance(entry, str) else entry
    if not isinstance(written, Mapping):
        raise ValueError("a grader is its name and its arguments, such as {contains: sorry}")  # noqa: TRY004 - pydantic's contract
    name = _only_name([key for key in written if key not in _OPTIONS])
    kind: GraderType[Any] = load_plugin("graders", name)
    return name, kind.spelled_out(written[name]), {key: value for key, value in written.items() if key in _OPTIONS}


def _only_name(names: Sequence[Any]) -> str:
    if len(names) != 1:
        raise ValueError(f"exactly one grader, beside the optional {' and '.join(_OPTIONS)}, not {len(names)}")
    name = str(names[0])
    if not is_registered("graders", name):
        raise ValueError(f"there is no grader named {name!r}")
    return name


def _threshold(options: Mapping[str, Any]) -> float | None:
    threshold = options.get("threshold")
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be a number from 0 to 1, not {threshold!r}")
    return float(threshold)


Part = Annotated[Grader, PlainValidator(part, json_schema_input_type=str | dict[str, Any])]


class Not(Arguments):
    """Arguments of `not`."""

    grader: Part = Field(description="The grader that must not pass.")


class Several(Arguments):
    """Arguments of `all` and `any`."""

    graders: tuple[Part, ...] = Field(min_length=1, description="The graders to combine.")


def _not(arguments: Not, answer: Answer) -> Flow[Verdict]:
    grade = yield from grade_of(arguments.grader, answer)
    passed = _decided(grade)
    return Verdict(not passed, f"{grade.name} passed" if passed else "")


def _all(arguments: Several, answer: Answer) -> Flow[Verdict]:
    return (yield from _until(False, arguments.graders, answer))


def _any(arguments: Several, answer: Answer) -> Flow[Verdict]:
    return (yield from _until(True, arguments.graders, answer))


def _until(deciding: bool, graders: Sequence[Grader], answer: Answer) -> Flow[Verdict]:
    """`deciding` as soon as one part says so; its opposite where all say that; else undecided, for the first part's reason."""
    grades = []
    for grader in graders:
        grade = yield from grade_of(grader, answer)
        if grade.passed is deciding:
            return Verdict(deciding, "" if deciding else _because(grade))
        grades.append(grade)
    for grade in grades:
        _decided(grade)
    return Verdict(not deciding, "; ".join(map(_because, grades)) if deciding else "")


def _decided(grade: Grade) -> bool:
    """Whether the part passed. Raises GraderError where it cannot say."""
    if grade.error is not None:
        raise GraderError(grade.error.kind, f"{grade.name}: {grade.error.message}", retryable=grade.error.retryable)
    if grade.passed is None:
        raise GraderError(
            "no_verdict", f"{grade.name} gave {grade.value!r}, which neither passes nor fails; a score needs a threshold"
        )
    return grade.passed


def _because(grade: Grade) -> str:
    return f"{grade.name}: {grade.reason or 'did not pass'}"


not_grader = Combinator("not", Not, _not, short="grader", short_takes_mapping=True)
all_grader = Combinator("all", Several, _all, short="graders")
any_grader = Combinator("any", Several, _any, short="graders")
