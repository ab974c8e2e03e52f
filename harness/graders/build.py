"""From what a suite says of its graders to functions that grade.

Arguments are checked once; those with templates are filled in and checked for each case.

The answer's own text is never a template: it is only ever the second argument of a grader's
function (it may well hold `{{ 7 * 7 }}`, and stays those nine characters). Nor are a case's values,
once they are filled in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from harness.config.diagnostics import cut_text, quote_text
from harness.config.fields import describe_value_error
from harness.config.templates import TemplateError, render_arguments, templates_in
from harness.flows.base import AskFailed, Flow
from harness.graders.base import (
    Answer,
    Arguments,
    GraderError,
    GraderSpec,
    GraderType,
    Grading,
    MisreadNumber,
    NothingToExtract,
    Operation,
    Verdict,
)
from harness.graders.extraction import Extraction, chain_steps
from harness.model import Error, Grade
from harness.registry import load_plugin

REASON_LIMIT = 2_000
"""Characters of a reason that are kept; a grader may quote the answer, and an answer may be
megabytes."""

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_PLAIN_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,19})?", re.ASCII).fullmatch
_CACHE_SIZE = 1_024
_NUMBER_ERRORS = frozenset(
    ("decimal_parsing", "float_parsing", "float_type", "int_parsing", "int_type")
)
_SCALARS = frozenset((str, int, bool, type(None)))
_NO_ANSWER = Error("grader", "no_answer", "no answer")


class Grader(Struct, frozen=True):
    """A grader ready to grade: its arguments are checked, or will be once they are filled in.

    `extract` takes from an answer what is graded; None where that is the whole of its text.
    """

    name: str
    weight: float
    threshold: float | None
    evaluate: Callable[[Answer], Grading]
    extract: Extraction | None = None

    def grade(self, answer: Answer) -> Grade | Flow[Grade]:
        """The grade of one answer, or the flow that leads to it where the grader asks first.

        Whatever goes wrong in the grader is a null grade with an error; nothing is raised.
        """
        if self.extract is None:
            return self._grade_text(answer)
        return self._grade_extract(self.extract, answer)

    def _grade_text(self, answer: Answer) -> Grade | Flow[Grade]:
        try:
            grading = self.evaluate(answer)
            return (
                self._make_grade(grading)
                if isinstance(grading, Verdict)
                else self._finish_flow(grading)
            )
        except Exception as broken:  # noqa: BLE001 - a grader's bug is a fact about this grade, not the end of the run
            return self._make_failed_grade(broken)

    def _grade_extract(self, extract: Extraction, answer: Answer) -> Grade | Flow[Grade]:
        """Grades what `extract` takes from the answer, which is its whole text again where an outer
        grader extracted before."""
        whole = answer if answer.original is None else replace(answer, text=answer.original)
        try:
            found = extract(whole)
        except Exception as broken:  # noqa: BLE001 - as above
            return self._make_failed_grade(broken)
        if not isinstance(found, str):
            return self._finish_extraction(found, whole)
        graded = self._grade_text(_replace_text(whole, found))
        return (
            _note_extract(graded, found)
            if isinstance(graded, Grade)
            else _finish_noting(graded, found)
        )

    def _finish_extraction(self, extracting: Flow[str], whole: Answer) -> Flow[Grade]:
        try:
            found = yield from extracting
        except Exception as broken:  # noqa: BLE001 - as above
            return self._make_failed_grade(broken)
        graded = self._grade_text(_replace_text(whole, found))
        grade = graded if isinstance(graded, Grade) else (yield from graded)
        return _note_extract(grade, found)

    def _finish_flow(self, grading: Flow[Verdict]) -> Flow[Grade]:
        try:
            return self._make_grade((yield from grading))
        except Exception as broken:  # noqa: BLE001 - as above
            return self._make_failed_grade(broken)

    def _make_grade(self, verdict: Verdict) -> Grade:
        reason = verdict.reason
        return Grade(
            self.name,
            _check_value(verdict),
            reason if len(reason) <= REASON_LIMIT else cut_text(reason, REASON_LIMIT),
            self.weight,
            self.threshold,
            unparsed=verdict.unparsed,
        )

    def unreached_grade(self) -> Grade:
        """The grade of a turn that never came."""
        return Grade(
            self.name, False, "the conversation ended before this turn", self.weight, self.threshold
        )

    def _make_failed_grade(self, broken: Exception) -> Grade:
        """A failed grade where the answer holds nothing to grade, a null one for all else."""
        if isinstance(broken, NothingToExtract):
            reason = cut_text(str(broken), REASON_LIMIT)
            return Grade(self.name, False, reason, self.weight, self.threshold, unparsed=True)
        return Grade(
            self.name, None, "", self.weight, self.threshold, error=_describe_failure(broken)
        )


def build_graders(specs: Sequence[GraderSpec]) -> tuple[Grader, ...]:
    """The graders of a case, in order. Raises ValueError where arguments are wrong, KeyError for a
    grader nobody registered."""
    return tuple(
        Grader(
            spec.id,
            spec.weight,
            spec.threshold,
            bind_arguments(_find_type(spec), spec.arguments),
            bind_extraction(spec.extract),
        )
        for spec in specs
    )


def bind_extraction(steps: Sequence[Mapping[str, Any]] | None) -> Extraction | None:
    """The steps, each a name with its arguments, as one function; None where there are none.
    Raises ValueError where arguments are wrong."""
    if not steps:
        return None
    named = [item for step in steps for item in step.items()]
    return chain_steps(
        [bind_arguments(load_plugin("extraction", name), own) for name, own in named]
    )


def _find_type(spec: GraderSpec) -> GraderType[Any]:
    found: GraderType[Any] = load_plugin("graders", spec.type)
    return found


def grade_answer(graders: Sequence[Grader], answer: Answer) -> Flow[tuple[Grade, ...]]:
    """Every grader's grade of one answer, in order."""
    grades = []
    for grader in graders:
        grades.append((yield from run_grader(grader, answer)))  # noqa: PERF401 - no comprehension may yield
    return tuple(grades)


def run_grader(grader: Grader, answer: Answer) -> Flow[Grade]:
    """The grader's grade of one answer, as a flow in any case."""
    grade = grader.grade(answer)
    return grade if isinstance(grade, Grade) else (yield from grade)


class MisreadArgument(ValueError):
    """An argument that should be one number is a text that would have to be guessed."""


def bind_arguments(kind: Operation[Any], written: Mapping[str, Any]) -> Callable[[Answer], Any]:
    """The operation as a function of the answer. Raises ValueError where its arguments are
    wrong."""
    arguments = kind.with_template_defaults(written)
    if not any(templates_in(arguments)):
        return partial(kind.apply, checked_arguments(kind, arguments))
    fill_in = _argument_filler(kind, arguments)
    return lambda answer: kind.apply(fill_in(answer), answer)


def checked_arguments(kind: Operation[Any], arguments: Mapping[str, Any]) -> Arguments:
    """Its arguments as the operation's model has them. Raises ValueError with one sentence a
    problem, MisreadArgument where one should be a number and could be read as several.
    """
    try:
        checked: Arguments = kind.arguments.model_validate(
            arguments if type(arguments) is dict else dict(arguments)
        )
    except ValidationError as invalid:
        misread = next(filter(_is_misread, invalid.errors(include_url=False)), None)
        if misread is not None:
            raise MisreadArgument(_describe_error(misread)) from None
        raise ValueError(f"{kind.name}: {_describe_errors(invalid)}") from None
    return checked


def argument_check(spec: GraderSpec) -> Callable[[Answer], Arguments | None] | None:
    """Fills in and checks the grader's arguments for a case, raising GraderError; None where they
    hold no templates, or take any text.
    """
    kind: GraderType[Any] = load_plugin("graders", spec.type)
    arguments = kind.with_template_defaults(spec.arguments)
    filled = {key for key, value in arguments.items() if any(templates_in(value))}
    if _is_valid(kind, {**arguments, **dict.fromkeys(filled, "text")}):
        return None
    fill_in = _argument_filler(kind, arguments)
    names = [match[1] for key in filled if (match := _match_variable(arguments[key]))]
    takes_numbers = all(
        _is_valid(kind, {**arguments, **dict.fromkeys(filled, number)})
        for number in ("1", "1.5", 1, 1.5)
    )
    if len(names) < len(filled) or not takes_numbers:
        return fill_in

    def check_unusual(answer: Answer) -> Arguments | None:
        values = [
            answer.expected if name == "expected" else answer.variables[name] for name in names
        ]
        return None if all(map(_is_plain_number, values)) else fill_in(answer)

    return check_unusual


def _is_valid(kind: GraderType[Any], arguments: Mapping[str, Any]) -> bool:
    try:
        kind.arguments.model_validate(arguments)
    except ValidationError:
        return False
    return True


def _is_plain_number(value: Any) -> bool:
    """Whether the value is a number of ordinary size, as such or written out."""
    if type(value) is str:
        return _PLAIN_NUMBER(value) is not None
    return type(value) in (int, float) and 0 <= value < 1e19


def _argument_filler(
    kind: Operation[Any], arguments: Mapping[str, Any]
) -> Callable[[Answer], Arguments]:
    """From an answer to the arguments for its case: the quick way where each is a plain value or
    just one variable."""
    variables = {
        key: match[1] for key, value in arguments.items() if (match := _match_variable(value))
    }
    plain = {key: value for key, value in arguments.items() if key not in variables}

    def rendered(answer: Answer) -> Arguments:
        return _check_for_case(kind, _render_arguments(arguments, answer))

    return (
        rendered
        if any(templates_in(plain))
        else _substituting_filler(kind, plain, variables, rendered)
    )


def _substituting_filler(
    kind: Operation[Any],
    plain: Mapping[str, Any],
    variables: Mapping[str, str],
    rendered: Callable[[Answer], Arguments],
) -> Callable[[Answer], Arguments]:
    """Puts variables in place without a template engine, and remembers arguments that were checked
    before."""
    keys, names = tuple(variables), tuple(variables.values())

    def check(*values: Any) -> Arguments:
        return _check_for_case(kind, {**plain, **dict(zip(keys, values, strict=True))})

    remembered = lru_cache(_CACHE_SIZE, typed=True)(check)

    def fill_in(answer: Answer) -> Arguments:
        scope = answer.variables
        try:
            values = [answer.expected if name == "expected" else scope[name] for name in names]
        except KeyError:
            return rendered(answer)  # which says what is undefined, or knows the name as a global
        # Floats are left out: 0.0 and -0.0 are one cache key, but two texts.
        return remembered(*values) if _SCALARS.issuperset(map(type, values)) else check(*values)

    return fill_in


def _match_variable(value: Any) -> re.Match[str] | None:
    return _VARIABLE.fullmatch(value) if isinstance(value, str) else None


def _render_arguments(arguments: Mapping[str, Any], answer: Answer) -> Mapping[str, Any]:
    try:
        return render_arguments(arguments, answer.variables, answer.expected)
    except TemplateError as wrong:
        raise GraderError("invalid_arguments", wrong.message) from None


def _check_for_case(kind: Operation[Any], arguments: Mapping[str, Any]) -> Arguments:
    try:
        return checked_arguments(kind, arguments)
    except ValueError as invalid:
        raise GraderError("invalid_arguments", f"for this case, {invalid}") from invalid


def _replace_text(whole: Answer, found: str) -> Answer:
    return replace(whole, text=found, original=whole.text)


def _note_extract(grade: Grade, found: str) -> Grade:
    return replace(grade, extracted=cut_text(found, REASON_LIMIT))


def _finish_noting(grading: Flow[Grade], found: str) -> Flow[Grade]:
    return _note_extract((yield from grading), found)


def _describe_failure(broken: Exception) -> Error:
    """What to say of a grader that ended with this."""
    if isinstance(broken, GraderError):
        return broken.error
    if isinstance(broken, AskFailed):
        reason = broken.response.error
        return (
            Error("grader", reason.kind, reason.message, reason.retryable) if reason else _NO_ANSWER
        )
    message = cut_text(f"{type(broken).__name__}: {broken}", REASON_LIMIT)
    return Error("grader", "raised", message)


def _check_value(verdict: Verdict) -> bool | float | str:
    """The verdict's value, a number as a float. Raises GraderError where it says nothing or is off
    the scale."""
    value = verdict.value
    if isinstance(value, bool | str):
        return value
    if value is None:
        raise GraderError("no_verdict", verdict.reason or "the grader gave no verdict")
    if not 0 <= value <= 1:
        raise GraderError("out_of_range", f"the score is {value}; a score must be between 0 and 1")
    return float(value)


def _is_misread(error: ErrorDetails) -> bool:
    """Whether a text with digits was given for a number and does not say which."""
    given, cause = error["input"], error.get("ctx", {}).get("error")
    if isinstance(cause, (MisreadNumber, MisreadArgument)):
        return True
    return (
        error["type"] in _NUMBER_ERRORS and isinstance(given, str) and any(map(str.isdigit, given))
    )


def _describe_errors(invalid: ValidationError) -> str:
    return "; ".join(map(_describe_error, invalid.errors(include_url=False)))


def _describe_error(error: ErrorDetails) -> str:
    path = ".".join(map(str, error["loc"]))
    text = describe_value_error(error)
    if not path:
        return text
    if error["type"] != "value_error" or _is_misread(error):
        return f"{path}: {text}"
    return f"{path}: {text} (got {quote_text(str(error['input']), 60)})"
