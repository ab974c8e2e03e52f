"""Counts the cases from which a grader's arguments cannot be filled in, and finds those that it
would misread.

As with prompts, a template that only inserts variables cannot fail where the case has them all. Any
other is rendered once for every selected case while the suite is loaded, and so are arguments that
do not take any text: what fails here would leave the case's answers ungraded in the run. A text
that is meant as a number and could be read as several is a mistake.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from harness.config.diagnostics import Place
from harness.config.templates import Template, TemplateError
from harness.graders.base import Answer, GraderError, GraderSpec
from harness.graders.build import MisreadArgument, argument_check
from harness.suite.graders.grader_specs import argument_templates
from harness.suite.model import Case, Prompt
from harness.wording import pluralize


class _FalliblePart(NamedTuple):
    """What may fail in one grader: some of its templates, and the check of its arguments, which
    needs the variables `needs`.
    """

    templates: Sequence[Template]
    check: Callable[[Answer], object] | None
    needs: frozenset[str]


class _FallibleGrader(NamedTuple):
    """A grader that may fail, in one or more parts; `name` is for messages, and `place` is None
    where it is the case's.
    """

    name: str
    place: Place | None
    parts: Sequence[_FalliblePart]


class _Tally(Struct):
    """The cases of one grader; `first` is the first one that fails and why, told at `place`."""

    cases: int = 0
    failed: int = 0
    place: Place | None = None
    first: str = ""


class GraderFilling:
    """The graders of one eval, each with its place, and those of its prompts' turns."""

    def __init__(
        self, graders: Iterable[tuple[GraderSpec, Place]] = (), prompts: Sequence[Prompt] = ()
    ) -> None:
        self._usual = tuple(
            _keep_fallible(
                _FallibleGrader(f"the grader `{spec.id}`", place, _fallible_parts(spec))
                for spec, place in graders
            )
        )
        turns = {prompt.id: tuple(_turn_graders(prompt)) for prompt in prompts}
        self._turns = {prompt: graders for prompt, graders in turns.items() if graders}
        self._may_fail = bool(self._usual or self._turns)
        self._tallies: defaultdict[str, _Tally] = defaultdict(_Tally)

    def note(self, case: Case, place: Place) -> tuple[str, str] | None:
        """Count the case, which is written at `place`. Where one of its graders would misread an
        argument: its name, and why.
        """
        if not self._may_fail and case.graders is None and case.later_turns is None:
            return None
        answer = Answer("", case.expected, {**case.vars, "expected": case.expected})
        for grader in self._graders_of(case):
            tally = self._tallies[grader.name]
            tally.cases += 1
            try:
                why = _find_failure(grader.parts, answer)
            except MisreadArgument as misread:
                return grader.name, str(misread)
            if why is None:
                continue
            if not tally.failed:
                tally.place = grader.place or place
                tally.first = f"(first: case `{case.id}`, {place}), and will not grade them: {why}"
            tally.failed += 1
        return None

    def find_warnings(self) -> Iterator[tuple[Place, str]]:
        """Yields a sentence, with its place, on each grader that fails for some of the cases."""
        for name, tally in self._tallies.items():
            if tally.place is not None:
                yield (
                    tally.place,
                    f"{name} cannot be filled in for {tally.failed:,} of"
                    f" {pluralize(tally.cases, 'case')} {tally.first}",
                )

    def _graders_of(self, case: Case) -> Iterator[_FallibleGrader]:
        own = list(case.graders or ())
        if case.graders is None:
            yield from self._usual
        if case.later_turns is None:
            for prompt, graders in self._turns.items():
                yield from graders if case.is_asked_in(prompt) else ()
        else:
            own += [spec for turn in case.later_turns for spec in turn.graders]
        if own:
            yield from _keep_fallible(_own_graders(own))


def _own_graders(specs: Iterable[GraderSpec]) -> Iterator[_FallibleGrader]:
    """Yields a case's own graders by their type: there may be as many ids as cases."""
    by_type: defaultdict[str, list[_FalliblePart]] = defaultdict(list)
    for spec in specs:
        by_type[spec.type] += _fallible_parts(spec)
    for name, parts in by_type.items():
        yield _FallibleGrader(f"the case's own grader `{name}`", None, parts)


def _turn_graders(prompt: Prompt) -> Iterator[_FallibleGrader]:
    specs = [spec for turn in prompt.later_turns for spec in turn.graders]
    return _keep_fallible(
        _FallibleGrader(
            f"the grader `{spec.id}` of the prompt `{prompt.id}`",
            prompt.place,
            _fallible_parts(spec),
        )
        for spec in specs
    )


def _keep_fallible(graders: Iterable[_FallibleGrader]) -> Iterator[_FallibleGrader]:
    return (grader for grader in graders if grader.parts)


def _fallible_parts(spec: GraderSpec) -> list[_FalliblePart]:
    templates = list(argument_templates(spec))
    part = _FalliblePart(
        [each for each in templates if not each.is_plain],
        argument_check(spec),
        frozenset[str]().union(*(each.variables for each in templates)),
    )
    return [part] if part.templates or part.check is not None else []


def _find_failure(parts: Iterable[_FalliblePart], answer: Answer) -> str | None:
    """Why one of the parts cannot be filled in; None where all can. A variable that is missing
    altogether is noted elsewhere. Raises MisreadArgument.
    """
    for part in parts:
        for template in part.templates:
            if template.variables <= answer.variables.keys():
                try:
                    template.value(answer.variables)
                except TemplateError as wrong:
                    return wrong.message.removeprefix("in the template: ")
        if part.check is not None and part.needs <= answer.variables.keys():
            try:
                part.check(answer)
            except GraderError as wrong:
                if isinstance(wrong.__cause__, MisreadArgument):
                    raise wrong.__cause__ from None
                return str(wrong).removeprefix("for this case, ")
    return None
