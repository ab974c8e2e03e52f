"""An eval's tools, and how a trial goes on after its first request: from what was loaded to a `Conversation`.

What surprises: a conversation's identity names a function by its file's path in the workspace and a hash of what the file
holds, so that a trial's key is the same on every machine, and another one when the tool's code changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from harness.config.diagnostics import Place, did_you_mean
from harness.model import Action, Conversation, Message, SimulatedUser, Tool
from harness.model.images import bare
from harness.suite.model import Case, GraderSpec, LaterTurn, Prompt

NO_CONVERSATION = Conversation()


@dataclass(frozen=True, slots=True)
class Toolset:
    """The tools of an eval. `build_conversation` holds what each does, but for those `by_case`, for which every case says it.

    `choice` and `parallel` are sent with the tools. `needs` are the variables that canned results use, with who does; `place`
    is where the tools stand.
    """

    tools: tuple[Tool, ...]
    conversation: Conversation
    by_case: frozenset[str] = frozenset()
    choice: str | None = None
    parallel: bool | None = None
    needs: Mapping[str, str] = field(default_factory=dict)
    place: Place | None = None

    @property
    def names(self) -> frozenset[str]:
        """What the tools are called."""
        return frozenset(tool.name for tool in self.tools)


def build_conversation(
    toolset: Toolset | None, prompt: Prompt, case: Case, user: SimulatedUser | None = None
) -> Conversation | None:
    """How the trial goes on; None where the first answer is the last. Raises TemplateError where a turn cannot be filled in."""
    said = [turn.content(case.vars, case.folder) for turn in later_turns(prompt, case)]
    turns = tuple(each for each in said if each is not None)
    if toolset is None and user is None and not turns:
        return None
    whole = toolset.conversation if toolset is not None else NO_CONVERSATION
    if user is not None:
        whole = replace(whole, user=user)
    if case.tools:
        whole = replace(
            whole, actions={**whole.actions, **{name: _parse_case_result(value) for name, value in case.tools.items()}}
        )
    return replace(whole, turns=turns) if turns else whole


def later_turns(prompt: Prompt, case: Case) -> tuple[LaterTurn, ...]:
    """What the user says after the first answer, and what judges that: the case's own turns, else the prompt's."""
    return prompt.later if case.later is None else case.later


def conversation_identity(toolset: Toolset | None, conversation: Conversation, variables: Mapping[str, Any]) -> list[Any]:
    """What of a conversation decides how it goes, as plain data that is the same on every machine."""
    needs = toolset.needs if toolset is not None else ()
    used = {name: variables[name] for name in needs if name in variables}
    actions = {name: describe_action(action) for name, action in conversation.actions.items()}
    turns = [bare(Message("user", turn)).content for turn in conversation.turns]
    user = () if conversation.user is None else (conversation.user,)
    return [turns, conversation.max_turns, actions, used, *user]


def find_tool_errors(toolset: Toolset | None, case: Case) -> Iterator[str]:
    """What a case says of tools there are not, and what it leaves unsaid, in sentences."""
    said = case.tools or {}
    known = toolset.names if toolset is not None else frozenset[str]()
    for name in sorted(said.keys() - known):
        yield f"the case `{case.id}`: no tool is called `{name}`; {did_you_mean(name, known)}"
    for name in sorted((toolset.by_case if toolset is not None else frozenset()) - said.keys()):
        yield (
            f"the case `{case.id}` does not say what the tool `{name}` returns; give it `tools: {{{name}: …}}`, "
            "or give the tool a `function` or `returns`"
        )


def find_unknown_calls(toolset: Toolset | None, graders: Iterable[GraderSpec]) -> Iterator[str]:
    """Sentences on graders that expect calls of tools there are not: they judge, but seldom what was meant."""
    known = toolset.names if toolset is not None else frozenset[str]()
    for spec in graders if known else ():
        for name in sorted(set(_called_tools({spec.type: spec.arguments})) - known):
            yield f"the grader `{spec.id}` names `{name}`, and no tool is called so; {did_you_mean(name, known)}"


def _called_tools(grader: Any) -> Iterator[str]:
    """The tools that a grader in the long form names, its parts included; what a template will name is not known yet."""
    for kind, arguments in grader.items() if isinstance(grader, Mapping) else ():
        if not isinstance(arguments, Mapping):
            continue
        if kind == "tool_calls":
            calls = arguments.get("calls")
            named = [name for call in (calls if isinstance(calls, list) else [calls]) for name in _call_names(call)]
            yield from (name for name in named if name != "none" and "{" not in name)
        parts = arguments.get("graders")
        for part in (arguments.get("grader"), *(parts if isinstance(parts, list) else ())):
            yield from _called_tools(part)


def _call_names(call: Any) -> list[str]:
    """The tool that one expected call names: `lookup`, or `{lookup: {…}}`; none where it is neither."""
    named = [call] if isinstance(call, str) else list(call) if isinstance(call, Mapping) else []
    return [name for name in named if isinstance(name, str)]


def describe_action(action: Action) -> list[Any]:
    """What decides an action's results."""
    return [action.source, action.returns, action.raises, action.timeout]


def _parse_case_result(value: Any) -> Action:
    """What a case says its tool does: `{raises: message}`, `{returns: value}`, or the value itself. Data, so no template."""
    if isinstance(value, Mapping) and len(value) == 1:
        if isinstance(value.get("raises"), str):
            return Action(raises=value["raises"])
        if "returns" in value:
            return Action(returns=value["returns"])
    return Action(returns=value)
