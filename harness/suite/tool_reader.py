"""Reads the tools of one document: names, schemas and functions, all checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from harness import registry
from harness.config import templates
from harness.config.diagnostics import KeyPath, Place, Problems, did_you_mean, display_path, quote_value
from harness.config.yaml import Document
from harness.hashing import hash_bytes
from harness.model import Action, Conversation, Tool
from harness.suite.files import WorkspaceFiles
from harness.suite.signatures import Signature, SignatureError, describe_function, parse_functions
from harness.suite.tool_language import ToolSpec
from harness.suite.toolset import Toolset

ARGUMENTS = "arguments"
CHOICES = ("auto", "none", "required")

_FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ANYTHING: Mapping[str, Any] = {"type": "object"}


class _ToolFunction(NamedTuple):
    """A function found in its file: where that is, and what it says of itself (None where the schema is written out)."""

    address: str
    source: str
    signature: Signature | None


class ToolReader:
    """Reads the `tools:` of one document, whose folder is `base`."""

    def __init__(self, files: WorkspaceFiles, base: Path, document: Document, problems: Problems) -> None:
        self._files = files
        self._base = base
        self._document = document
        self._problems = problems
        self._taken: dict[str, Place] = {}

    def read(
        self, items: Sequence[str | ToolSpec | None] | None, choice: str | None, max_turns: int, parallel: bool | None
    ) -> Toolset | None:
        """The tools, each with a name of its own; None where there are none. What is wrong is noted."""
        if items is None:
            return None
        specs = [
            (ToolSpec(function=item) if isinstance(item, str) else item, ("tools", index))
            for index, item in enumerate(items)
            if item is not None
        ]
        found = [(spec, *read) for spec, at in specs if (read := self._read_tool(spec, at)) is not None]
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
            place=self._document.place_of(("tools",), key=True),
        )

    def _read_tool(self, spec: ToolSpec, at: KeyPath) -> tuple[Tool, Action | None] | None:
        found = None if spec.function is None else self._find_function(spec.function, spec, at)
        name = spec.name or (spec.function or "").rpartition(":")[2]
        if not _NAME.fullmatch(name):
            self._note_problem(at, f"{quote_value(name)} cannot name a tool; give it a `name:` of letters, digits, `_` and `-`")
            return None
        if not self._is_new(name, at):
            return None
        said = found.signature if found and found.signature else Signature("", dict(_ANYTHING))
        parameters = said.parameters if spec.parameters is None else self._read_parameters(spec.parameters, (*at, "parameters"))
        description = said.description if spec.description is None else spec.description
        return Tool(name, description, parameters), self._build_action(spec, found, at)

    def _is_new(self, name: str, at: KeyPath) -> bool:
        if name in self._taken:
            self._note_problem(
                at, f"two tools are called `{name}` (the other is at {self._taken[name]}); rename one with `name:`"
            )
            return False
        self._taken[name] = self._document.place_of(at)
        return True

    def _build_action(self, spec: ToolSpec, found: _ToolFunction | None, at: KeyPath) -> Action | None:
        """What calling the tool does; None where each case says so."""
        if spec.function is not None:
            address, source = (found.address, found.source) if found else ("", "")
            return Action(function=address, source=source, timeout=spec.timeout, trusted=spec.trusted)
        if spec.raises is not None:
            return Action(raises=spec.raises)
        if "returns" not in spec.model_fields_set:
            return None
        for location, text in templates.templates_in(spec.returns):
            self._check_template(text, self._document.place_of((*at, "returns", *location)))
        return Action(returns=spec.returns, templated=any(True for _ in templates.templates_in(spec.returns)))

    def _check_template(self, text: str, place: Place) -> None:
        try:
            compiled = templates.compile_template(text, place)
        except templates.TemplateError as unreadable:
            self._problems.add(unreadable.place, unreadable.message)
            return
        if "expected" in compiled.variables | compiled.optional:
            self._problems.add(place, "a tool cannot use `expected`: the model would see the answer; remove it")

    def _needed_variables(self, specs: Sequence[tuple[ToolSpec, KeyPath]]) -> dict[str, str]:
        """The variables that canned results use, and which tool's."""
        needs: dict[str, str] = {}
        for spec, _ in specs:
            for _, text in templates.templates_in(spec.returns):
                try:
                    names = templates.compile_template(text).variables
                except templates.TemplateError:
                    continue  # said where it stands
                needs.update(dict.fromkeys(sorted(names - {ARGUMENTS, "expected"}), f"the tool `{spec.name}`"))
        return needs

    def _read_parameters(self, written: Any, at: KeyPath) -> Mapping[str, Any]:
        """A JSON Schema of type object; `$schema` is left out, since it makes some models answer nothing."""
        place = self._document.place_of(at)
        before = len(self._problems)
        schema = self._files.json(written, self._base, place) if isinstance(written, str) else written
        if len(self._problems) > before:
            return _ANYTHING
        if not isinstance(schema, dict) or schema.get("type", "object") != "object":
            self._problems.add(place, f"a tool's parameters are a JSON Schema of type object, not {quote_value(schema)}")
            return _ANYTHING
        try:
            registry.load_plugin("graders", "json_schema").arguments.model_validate({"schema": schema})
        except ValidationError as invalid:
            self._problems.add(place, f"`parameters`: {invalid.errors()[0]['ctx']['error']}")
        return {"type": "object"} | {key: value for key, value in schema.items() if key != "$schema"}

    def _find_function(self, reference: str, spec: ToolSpec, at: KeyPath) -> _ToolFunction | None:
        place = self._document.place_of((*at, "function"))
        match = _FUNCTION.fullmatch(reference)
        if match is None:
            self._problems.add(
                place, f"a tool's function is a file and a name, such as tools.py:lookup, not {quote_value(reference)}"
            )
            return None
        path = self._files.file(match["file"], self._base, place)
        text = None if path is None else self._files.text(path, place)
        if path is None or text is None:
            return None
        try:
            defined = parse_functions(text)
            if match["name"] not in defined:
                self._problems.add(
                    place, f"{display_path(path)} has no function `{match['name']}`; {did_you_mean(match['name'], defined)}"
                )
                return None
            said = describe_function(defined[match["name"]]) if spec.parameters is None else None
        except SignatureError as wrong:
            self._problems.add(Place(display_path(path), wrong.line), str(wrong))
            return None
        shown_source = f"{path.relative_to(self._files.workspace).as_posix()}:{match['name']}"
        return _ToolFunction(f"{path}:{match['name']}", f"{shown_source}@{hash_bytes(path.read_bytes())}", said)

    def _check_choice(self, choice: str | None, names: Sequence[str]) -> None:
        if choice is not None and choice not in (*CHOICES, *names):
            place = self._document.place_of(("tool_choice",))
            self._problems.add(
                place, f"`tool_choice`: {quote_value(choice)} is no tool; {did_you_mean(choice, (*CHOICES, *names))}"
            )

    def _note_problem(self, at: KeyPath, message: str) -> None:
        self._problems.add(self._document.place_of(at), message)
