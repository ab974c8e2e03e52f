"""The tools of an eval, and how they and later turns make a trial a multi-turn `Conversation`.

What surprises: a conversation's identity names a function by its file's path in the workspace and a
hash of the file's content, so that a trial's key is the same on every machine, and changes with the
tool's code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from harness.config import templates
from harness.config.diagnostics import KeyPath, Place, did_you_mean, display_path, quote_value
from harness.config.regular_files import read_regular_file
from harness.graders.base import GraderSpec
from harness.hashing import hash_bytes
from harness.model import Action, Conversation, Message, SimulatedUser, Tool
from harness.model.images import without_image_data
from harness.suite.code_references import (
    Signature,
    SignatureError,
    describe_function,
    parse_functions,
)
from harness.suite.model import Case, LaterTurn, Prompt
from harness.suite.schema import ToolSpec
from harness.suite.source import Source

NO_CONVERSATION = Conversation()


class Toolset(Struct, frozen=True):
    """The tools of an eval. `conversation` holds what each of them does, except those `by_case`,
    whose results every case sets.

    `choice` and `parallel` are sent with the tools. `needs` are the variables that canned results
    use, each with its user for messages; `place` is where the tools are written.
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
        """The names of the tools."""
        return frozenset(tool.name for tool in self.tools)


def build_conversation(
    toolset: Toolset | None, prompt: Prompt, case: Case, user: SimulatedUser | None = None
) -> Conversation | None:
    """How a trial goes on after its first answer; None where that is the last. Raises
    TemplateError.
    """
    messages = [turn.content(case.vars, case.folder) for turn in later_turns(prompt, case)]
    turns = tuple(message for message in messages if message is not None)
    if toolset is None and user is None and not turns:
        return None
    whole = toolset.conversation if toolset is not None else NO_CONVERSATION
    if user is not None:
        whole = replace(whole, user=user)
    if case.tools:
        whole = replace(
            whole,
            actions={
                **whole.actions,
                **{name: _parse_case_result(value) for name, value in case.tools.items()},
            },
        )
    return replace(whole, turns=turns) if turns else whole


def later_turns(prompt: Prompt, case: Case) -> tuple[LaterTurn, ...]:
    """The user turns after the first answer, and their graders: the case's own, else the
    prompt's.
    """
    return prompt.later_turns if case.later_turns is None else case.later_turns


def conversation_identity(
    toolset: Toolset | None, conversation: Conversation, variables: Mapping[str, Any]
) -> list[Any]:
    """Everything that decides how a conversation goes, as plain data that is the same on every
    machine.
    """
    needs = toolset.needs if toolset is not None else ()
    used = {name: variables[name] for name in needs if name in variables}
    actions = {name: describe_action(action) for name, action in conversation.actions.items()}
    turns = [without_image_data(Message("user", turn)).content for turn in conversation.turns]
    user = () if conversation.user is None else (conversation.user,)
    return [turns, conversation.max_turns, actions, used, *user]


def find_tool_errors(toolset: Toolset | None, case: Case) -> Iterator[str]:
    """Yields what is wrong with a case's results: those for unknown tools, and those left out."""
    results = case.tools or {}
    known = toolset.names if toolset is not None else frozenset[str]()
    for name in sorted(results.keys() - known):
        yield f"names the tool `{name}`, which does not exist; {did_you_mean(name, known)}"
    for name in sorted((toolset.by_case if toolset is not None else frozenset()) - results.keys()):
        yield (
            f"does not say what the tool `{name}` returns; add `tools: {{{name}: …}}` to the case,"
            " or give the tool a `function` or `returns`"
        )


def find_unknown_calls(toolset: Toolset | None, graders: Iterable[GraderSpec]) -> Iterator[str]:
    """Yields sentences on graders that expect calls of unknown tools: allowed, but probably a
    mistake.
    """
    known = toolset.names if toolset is not None else frozenset[str]()
    for spec in graders if known else ():
        for name in sorted(set(_called_tools({spec.type: spec.arguments})) - known):
            yield (
                f"the grader `{spec.id}` names `{name}`, but there is no such tool;"
                f" {did_you_mean(name, known)}"
            )


def _called_tools(grader: Any) -> Iterator[str]:
    """Yields the tools that a grader in the long form names, including its parts; templates are
    skipped.
    """
    for kind, arguments in grader.items() if isinstance(grader, Mapping) else ():
        if not isinstance(arguments, Mapping):
            continue
        if kind == "tool_calls":
            calls = arguments.get("calls")
            named = [
                name
                for call in (calls if isinstance(calls, list) else [calls])
                for name in _call_names(call)
            ]
            yield from (name for name in named if name != "none" and "{" not in name)
        parts = arguments.get("graders")
        for part in (arguments.get("grader"), *(parts if isinstance(parts, list) else ())):
            yield from _called_tools(part)


def _call_names(call: Any) -> list[str]:
    """The tool of one expected call, `lookup` or `{lookup: {…}}`; empty where it is neither."""
    named = [call] if isinstance(call, str) else list(call) if isinstance(call, Mapping) else []
    return [name for name in named if isinstance(name, str)]


def describe_action(action: Action) -> list[Any]:
    """Everything that decides an action's results."""
    return [action.source, action.returns, action.raises, action.timeout]


def _parse_case_result(value: Any) -> Action:
    """A case's result of a tool: `{raises: message}`, `{returns: value}`, or the value itself.
    It is data, never a template.
    """
    if isinstance(value, Mapping) and len(value) == 1:
        if isinstance(value.get("raises"), str):
            return Action(raises=value["raises"])
        if "returns" in value:
            return Action(returns=value["returns"])
    return Action(returns=value)


ARGUMENTS = "arguments"
CHOICES = ("auto", "none", "required")

_FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ANYTHING: Mapping[str, Any] = {"type": "object"}


class _ToolFunction(NamedTuple):
    """A function found in its file: its address, its hashed source, and its signature (None
    where the schema is written out).
    """

    address: str
    source: str
    signature: Signature | None


class ToolReader:
    """Reads the `tools:` of one source: names, schemas and functions, all checked before anything
    runs."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._problems = source.problems
        self._taken: dict[str, Place] = {}

    def read(
        self,
        items: Sequence[str | ToolSpec | None] | None,
        choice: str | None,
        max_turns: int,
        parallel: bool | None,
    ) -> Toolset | None:
        """The tools, with unique names; None where there are none. Problems are noted."""
        if items is None:
            return None
        specs = [
            (ToolSpec(function=item) if isinstance(item, str) else item, ("tools", index))
            for index, item in enumerate(items)
            if item is not None
        ]
        found = [
            (spec, *read) for spec, at in specs if (read := self._read_tool(spec, at)) is not None
        ]
        tools = tuple(tool for _, tool, _ in found)
        actions = {tool.name: action for _, tool, action in found if action is not None}
        self._check_choice(choice, [tool.name for tool in tools])
        return Toolset(
            tools=tools,
            conversation=Conversation(actions=actions, max_turns=max_turns),
            by_case=frozenset(tool.name for tool in tools) - actions.keys(),
            choice=choice,
            parallel=parallel,
            needs=self._needed_variables(specs),
            place=self._source.place_of(("tools",), key=True),
        )

    def _read_tool(self, spec: ToolSpec, at: KeyPath) -> tuple[Tool, Action | None] | None:
        found = None if spec.function is None else self._find_function(spec.function, spec, at)
        name = spec.name or (spec.function or "").rpartition(":")[2]
        if not _NAME.fullmatch(name):
            self._source.add_problem(
                at,
                f"{quote_value(name)} cannot be a tool's name; give it a `name:` of letters,"
                " digits, `_` and `-`",
            )
            return None
        if not self._is_new(name, at):
            return None
        signature = found.signature if found and found.signature else Signature("", dict(_ANYTHING))
        parameters = (
            signature.parameters
            if spec.parameters is None
            else self._read_parameters(spec.parameters, (*at, "parameters"))
        )
        description = signature.description if spec.description is None else spec.description
        tool = Tool(name, description, parameters, spec.strict)
        return tool, self._build_action(spec, found, at)

    def _is_new(self, name: str, at: KeyPath) -> bool:
        if name in self._taken:
            self._source.add_problem(
                at,
                f"two tools are called `{name}` (the other is at {self._taken[name]}); rename one"
                " with `name:`",
            )
            return False
        self._taken[name] = self._source.place_of(at)
        return True

    def _build_action(
        self, spec: ToolSpec, found: _ToolFunction | None, at: KeyPath
    ) -> Action | None:
        """What calling the tool does; None where each case sets the result."""
        if spec.function is not None:
            address, source = (found.address, found.source) if found else ("", "")
            return Action(
                function=address, source=source, timeout=spec.timeout, trusted=spec.trusted
            )
        if spec.raises is not None:
            return Action(raises=spec.raises)
        if "returns" not in spec.model_fields_set:
            return None
        for location, text in templates.templates_in(spec.returns):
            self._source.check_template(
                text, self._source.place_of((*at, "returns", *location)), "a tool"
            )
        return Action(
            returns=spec.returns, templated=any(True for _ in templates.templates_in(spec.returns))
        )

    def _needed_variables(self, specs: Sequence[tuple[ToolSpec, KeyPath]]) -> dict[str, str]:
        """The variables that canned results use, each with its tool for messages."""
        needs: dict[str, str] = {}
        for spec, _ in specs:
            for _, text in templates.templates_in(spec.returns):
                try:
                    names = templates.compile_template(text).variables
                except templates.TemplateError:
                    continue  # noted where it is written
                needs.update(
                    dict.fromkeys(
                        sorted(names - {ARGUMENTS, "expected"}), f"the tool `{spec.name}`"
                    )
                )
        return needs

    def _read_parameters(self, written: Any, at: KeyPath) -> Mapping[str, Any]:
        """A JSON Schema of type object, without `$schema`, which makes some models answer
        nothing.
        """
        place = self._source.place_of(at)
        before = len(self._problems)
        schema = (
            self._source.read_named_json(written, place) if isinstance(written, str) else written
        )
        if len(self._problems) > before:
            return _ANYTHING
        if not isinstance(schema, dict) or schema.get("type", "object") != "object":
            self._problems.add(
                place,
                f"a tool's parameters are a JSON Schema of type object, not {quote_value(schema)}",
            )
            return _ANYTHING
        sent = {key: value for key, value in schema.items() if key != "$schema"}
        self._source.files.check_json_schema(sent, "parameters", place)
        return {"type": "object"} | sent

    def _find_function(self, reference: str, spec: ToolSpec, at: KeyPath) -> _ToolFunction | None:
        place = self._source.place_of((*at, "function"))
        match = _FUNCTION.fullmatch(reference)
        if match is None:
            self._problems.add(
                place,
                "a tool's function is a file and a name, such as tools.py:lookup, not"
                f" {quote_value(reference)}",
            )
            return None
        named = self._source.read_named_text(match["file"], place)
        if named is None:
            return None
        path, text = named
        try:
            defined = parse_functions(text)
            if match["name"] not in defined:
                self._problems.add(
                    place,
                    f"{display_path(path)} has no function `{match['name']}`;"
                    f" {did_you_mean(match['name'], defined)}",
                )
                return None
            signature = (
                describe_function(defined[match["name"]]) if spec.parameters is None else None
            )
        except SignatureError as wrong:
            self._problems.add(Place(display_path(path), wrong.line), str(wrong))
            return None
        relative = f"{path.relative_to(self._source.files.workspace).as_posix()}:{match['name']}"
        return _ToolFunction(
            f"{path}:{match['name']}",
            f"{relative}@{hash_bytes(read_regular_file(path))}",
            signature,
        )

    def _check_choice(self, choice: str | None, names: Sequence[str]) -> None:
        if choice is not None and choice not in (*CHOICES, *names):
            place = self._source.place_of(("tool_choice",))
            self._problems.add(
                place,
                f"`tool_choice`: {quote_value(choice)} is no tool;"
                f" {did_you_mean(choice, (*CHOICES, *names))}",
            )
