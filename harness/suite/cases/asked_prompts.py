"""Which prompts each case is asked in, and whether each can be filled in from the case.

A template that only inserts variables cannot fail where the case has them all. Any other is
rendered once for every case while the suite is loaded, so that a missing key or a wrong type in one
row is told with the row's line, before anything is paid for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from harness.config.diagnostics import Place, Problems, did_you_mean
from harness.config.templates import (
    Template,
    TemplateError,
    inserted_names,
    line_of_name,
    offset_place,
)
from harness.suite.cases.conversations import is_conversation
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
        self._inserted = tuple(_list_insertions(prompts))
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
        """Note prompts that there are not, and templates that cannot be filled in from the case;
        warn of lists and mappings that are inserted into text.
        """
        if self._inserted:
            self._check_insertions(case, problems)
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

    def _check_insertions(self, case: Case, problems: Problems) -> None:
        """Warn, once, of each list or mapping that a prompt inserts into its text."""
        found = [
            each
            for each in self._inserted
            if type(case.vars.get(each.variable)) in (list, dict) and case.is_asked_in(each.prompt)
        ]
        for each in found:
            problems.add_warning(each.place, each.describe(case.vars[each.variable]))
        if found:
            self._inserted = tuple(each for each in self._inserted if each not in found)

    def _templates_of(self, case: Case) -> Iterator[tuple[str, Template]]:
        yield from self._persona
        for prompt, first in self._first.items():
            if case.is_asked_in(prompt):
                yield from first
                yield from self._later[prompt] if case.later_turns is None else ()
        if case.later_turns:
            yield from _turn_templates(case.later_turns, "one of its turns")


class _Insertion(NamedTuple):
    """A variable that a prompt inserts as it is, and where."""

    prompt: str
    variable: str
    place: Place

    def describe(self, value: Any) -> str:
        """What is sent where the variable is a list or a mapping."""
        name = self.variable
        if is_conversation(value):
            return (
                f"the prompt `{self.prompt}` sends the list of turns `{name}` as JSON text; to send"
                f' the turns themselves, write the prompt as `messages: "{{{{ {name} }}}}"`'
            )
        if isinstance(value, list):
            what, instead = "list", f"{{{{ {name} | join(', ') }}}}"
        else:
            what, instead = "mapping", f"{{{{ {name}.KEY }}}}"
        return (
            f"the prompt `{self.prompt}` sends the {what} `{name}` as JSON text; write"
            f" `{{{{ {name} | tojson }}}}` if that is meant, else such as `{instead}`"
        )


def _list_insertions(prompts: Iterable[Prompt]) -> Iterator[_Insertion]:
    """Yields each variable that is inserted as it is into a prompt's text."""
    for prompt in prompts:
        texts = [turn for _, turn in prompt.turns]
        texts += [turn.text for turn in prompt.later_turns if turn.text is not None]
        texts += [] if prompt.text is None else [prompt.text]
        for text in texts:
            parts = text.parts if isinstance(text, MultimodalTemplate) else (text,)
            for part in parts:
                if isinstance(part, Template):
                    for name in sorted(inserted_names(part.source) & part.variables):
                        line = line_of_name(name, part.source)
                        yield _Insertion(prompt.id, name, offset_place(part.place, line))


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
