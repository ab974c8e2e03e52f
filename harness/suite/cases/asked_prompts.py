"""Which prompts each case is asked in, and whether each can be filled in from the case.

A template that only inserts variables cannot fail where the case has them all. Any other is
rendered once for every case while the suite is loaded, so that a missing key or a wrong type in one
row is told with the row's line, before anything is paid for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.config.diagnostics import Place, Problems, did_you_mean
from harness.config.templates import Template, TemplateError
from harness.suite.model import Case, LaterTurn, MultimodalTemplate, Prompt
from harness.suite.prompts import turn_variables


class AskedPrompts:
    """The prompts of one eval, as its cases are asked in them; `persona` is the simulated user's
    template.
    """

    def __init__(self, prompts: Sequence[Prompt], persona: Template | None = None) -> None:
        self._needs = {prompt.id: frozenset(_list_needs(prompt)) for prompt in prompts}
        self._first = {prompt.id: tuple(_first_templates(prompt)) for prompt in prompts}
        self._conversations = [
            prompt
            for prompt in prompts
            if prompt.conversation is not None or prompt.function is not None
        ]
        self._later = {
            prompt.id: tuple(
                _turn_templates(prompt.later_turns, f"a turn of the prompt `{prompt.id}`")
            )
            for prompt in prompts
        }
        self._persona = tuple(_fallible([persona] if persona else [], "the simulated user"))
        self._may_fail = bool(
            self._conversations
            or self._persona
            or any(self._first.values())
            or any(self._later.values())
        )

    def list_needs(self, case: Case, needs: Mapping[str, str]) -> Mapping[str, str]:
        """Those of the `needs` of all prompts that the case has: a prompt it is not asked in needs
        nothing of it.
        """
        if case.prompts is None:
            return needs
        asked = {each for prompt in case.prompts for each in self._needs.get(prompt, ())}
        others = frozenset[tuple[str, str]]().union(*self._needs.values()) - asked
        names = {name for name, _ in asked}
        return {
            name: user
            for name, user in needs.items()
            if name in names or (name, user) not in others
        }

    def check(self, case: Case, place: Place, problems: Problems) -> None:
        """Note prompts that there are not, and templates that cannot be filled in from the case."""
        if not self._may_fail and case.prompts is None and case.later_turns is None:
            return
        subject = f"the case `{case.id}`"
        for name in case.prompts or ():
            if name not in self._first:
                problems.add(
                    place,
                    f"names the prompt `{name}`, which does not exist;"
                    f" {did_you_mean(name, self._first)}",
                    subject,
                )
        for user, template in self._templates_of(case):
            if not template.variables <= case.vars.keys():  # noted already
                continue
            try:
                template.render(case.vars)
            except TemplateError as wrong:
                why = wrong.message.removeprefix("in the template: ")
                problems.add(place, f"does not fit {user} ({wrong.place}): {why}", subject)
        for prompt in self._conversations:
            if case.is_asked_in(prompt.id) and prompt.variables <= case.vars.keys():
                try:
                    prompt.render(case.vars)
                except TemplateError as wrong:
                    problems.add(place, f"does not fit the {wrong.message}", subject)

    def _templates_of(self, case: Case) -> Iterator[tuple[str, Template]]:
        yield from self._persona
        for prompt, first in self._first.items():
            if case.is_asked_in(prompt):
                yield from first
                yield from self._later[prompt] if case.later_turns is None else ()
        if case.later_turns:
            yield from _turn_templates(case.later_turns, "one of its turns")


def _list_needs(prompt: Prompt) -> Iterator[tuple[str, str]]:
    """Yields each variable that a prompt needs, with its user as messages have it."""
    user = f"the prompt `{prompt.id}`"
    yield from ((name, user) for name in prompt.variables)
    yield from turn_variables(prompt.later_turns, user).items()


def _first_templates(prompt: Prompt) -> Iterator[tuple[str, Template]]:
    user = f"the prompt `{prompt.id}`"
    for _, turn in prompt.turns:
        yield from _fallible([turn], user)
    yield from _fallible([prompt.text] if prompt.text else [], user)


def _turn_templates(turns: Iterable[LaterTurn], user: str) -> Iterator[tuple[str, Template]]:
    return _fallible([turn.text for turn in turns if turn.text is not None], user)


def _fallible(
    texts: Iterable[Template | MultimodalTemplate], user: str
) -> Iterator[tuple[str, Template]]:
    """Yields the templates in `texts` that may fail; images are checked elsewhere."""
    for text in texts:
        parts = text.parts if isinstance(text, MultimodalTemplate) else (text,)
        for part in parts:
            if isinstance(part, Template) and not part.is_plain:
                yield user, part
