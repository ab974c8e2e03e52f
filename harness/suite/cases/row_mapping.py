"""Turns a row of any table into a row of our own form: `{id, vars, expected, tags, …}`.

A row of our own form is taken as it is. Of any other row every column is a variable, but for those
with special names; a suite's `vars:`, `expected:` and so on say otherwise, as templates over the
columns.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from harness.config.diagnostics import KeyPath
from harness.config.templates import Template, TemplateError, compile_template, is_template
from harness.suite.cases.case_file_spec import CaseFileSpec
from harness.suite.cases.conversations import CHAT_COLUMNS, is_conversation
from harness.suite.source import Source

SPECIAL_COLUMNS = ("id", "expected", "tags", "threshold")
MAPPED_KEYS = ("id", "vars", "expected", "tags", "metadata", "threshold")
_NOT_WORD = re.compile(r"\W+")
_RESERVED = frozenset(
    ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None")
)
"""Words of the template language."""
_LAYOUTS_KEPT = 1_000
ANSWERS = ("answer", "label", "ideal", "target", "reference", "gold", "output", "ground_truth")
"""What a column of reference answers is often called."""
ROW = "row"
"""The variable by which a template reads a column whose name is no identifier."""

Scope = Mapping[str, Any]


class Layout(NamedTuple):
    """How the columns of some rows are read: (column, variable) pairs, the special columns, and
    those of the columns whose variables are called otherwise."""

    variables: tuple[tuple[str, str], ...]
    special: Mapping[str, str]
    renamed: Mapping[str, str]


def read_layout(columns: Sequence[str], *, chat: bool = False) -> Layout:
    """The layout of rows with these columns. Special names are known in any case, the exact name
    first.
    """
    special: dict[str, str] = {}
    wanted = (*SPECIAL_COLUMNS, *(("ideal",) if chat else ()))
    for name in wanted:
        found = [each for each in columns if each.strip().lower() == name]
        if found:
            special[name] = name if name in found else found[0]
    if "expected" in special:
        special.pop("ideal", None)
    elif "ideal" in special:
        special["expected"] = special.pop("ideal")
    taken = {name for name in columns if _is_variable(name)}
    variables = []
    for column in columns:
        if column not in special.values():
            name = column if _is_variable(column) else _variable_name(column, taken)
            taken.add(name)
            variables.append((column, name))
    renamed = {column: name for column, name in variables if column != name}
    return Layout(tuple(variables), special, renamed)


def _is_variable(name: str) -> bool:
    return name.isidentifier() and name not in _RESERVED


def _variable_name(column: str, taken: set[str]) -> str:
    """A variable's name for a column: `Question Text` becomes `question_text`."""
    name = _NOT_WORD.sub("_", column.strip().lower()).strip("_") or "column"
    if not name.isidentifier() or name in _RESERVED or keyword.iskeyword(name):
        name = f"_{name}"
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


class MappedRow(NamedTuple):
    """A row of our own form, and its variables as templates know them where `raw` has the columns'
    own names.
    """

    raw: Any
    variables: Mapping[str, Any] | None = None


class RowMapping:
    """Maps the rows of one table. `bare` is a file that was named without saying how its rows are
    to be read: then rows with keys must be of our own form. Problems of templates are noted.
    """

    def __init__(self, spec: CaseFileSpec, source: Source, at: KeyPath, *, bare: bool) -> None:
        self._bare = bare
        self._own_vars = spec.vars is None
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._source = source
        self._used: set[str] = set()
        self._values = {
            key: self._compile_value(getattr(spec, key), (*at, key))
            for key in MAPPED_KEYS
            if key in spec.model_fields_set
        }
        self.is_plain = not self._values
        """Whether it renders no templates, so that mapping a row again is cheap."""

    @property
    def used(self) -> frozenset[str]:
        """The names that its templates use."""
        return frozenset(self._used)

    @property
    def layouts(self) -> Sequence[Layout]:
        """The layouts of the flat rows so far."""
        return tuple(self._layouts.values())

    def map_row(self, values: Any, *, keyed: bool) -> MappedRow:
        """The row in our own form; `keyed` where each row names its own keys. Raises
        TemplateError.
        """
        if type(values) is not dict:
            return MappedRow(values)
        if self.is_own_form(values, keyed=keyed):
            if self.is_plain:
                return MappedRow(values)
            return MappedRow({**values, **self._render_values({ROW: values, **values})})
        layout = self._layout_of(values)
        columns = {column: values[column] for column, _ in layout.variables}
        raw = {"vars": columns, **_read_special(values, layout.special)}
        variables = columns
        if layout.renamed:
            variables = {name: values[column] for column, name in layout.variables}
        if self._values:
            raw |= self._render_values(self._scope(values, variables, layout))
        own = "vars" in self._values or not layout.renamed
        return MappedRow(raw, None if own else variables)

    def scope_of(self, values: Any) -> Scope:
        """What a template over the row's columns may name."""
        if type(values) is not dict:
            return {ROW: values}
        layout = self._layout_of(values)
        return self._scope(
            values, {name: values[column] for column, name in layout.variables}, layout
        )

    def _scope(self, values: Mapping[str, Any], variables: Scope, layout: Layout) -> Scope:
        special = {name: values[column] for name, column in layout.special.items()}
        return {ROW: values, **special, **values, **variables}

    def is_own_form(self, values: Any, *, keyed: bool) -> bool:
        """Whether the row is taken as a case as it stands."""
        if type(values) is not dict:
            return False
        if self._own_vars and type(values.get("vars")) is dict:
            return True
        return self._bare and keyed and not is_chat_row(values)

    def _layout_of(self, values: Mapping[str, Any]) -> Layout:
        columns = tuple(values)
        layout = self._layouts.get(columns)
        if layout is None:
            layout = read_layout(columns, chat=is_chat_row(values))
            if len(self._layouts) < _LAYOUTS_KEPT:
                self._layouts[columns] = layout
        return layout

    # Templates

    def _render_values(self, scope: Scope) -> dict[str, Any]:
        raw = {key: render(scope) for key, render in self._values.items()}
        if "tags" in raw:
            raw["tags"] = [str(tag) for each in raw["tags"] for tag in _split_tags(each)]
        return {key: value for key, value in raw.items() if key == "expected" or value is not None}

    def _compile_value(self, value: Any, at: KeyPath) -> Callable[[Scope], Any]:
        """A function from a row's columns to the value with its templates filled in."""
        if isinstance(value, str) and is_template(value):
            return self._compile_text(value, at)
        if isinstance(value, Mapping):
            parts = {key: self._compile_value(each, (*at, key)) for key, each in value.items()}
            return lambda scope: {key: render(scope) for key, render in parts.items()}
        if isinstance(value, list):
            items = [self._compile_value(each, (*at, index)) for index, each in enumerate(value)]
            return lambda scope: [render(scope) for render in items]
        return lambda _: value

    def _compile_text(self, text: str, at: KeyPath) -> Callable[[Scope], Any]:
        template = compile_over_row(text, self._source, at)
        if template is None:
            return lambda _: None
        self._used |= template.variables | template.optional
        return template.value


def compile_over_row(text: str, source: Source, at: KeyPath) -> Template | None:
    """The template over a row's columns at `at`; None, with a problem, where there is none."""
    try:
        return compile_template(text, source.text_place_of(at))
    except TemplateError as wrong:
        source.problems.add(wrong.place, wrong.message)
        return None


def suggest_mapping(file: str, values: Mapping[str, Any]) -> str:
    """How a file of rows like this one is written in a suite."""
    layout = read_layout(tuple(values))
    answer = next((name for _, name in layout.variables if name.lower() in ANSWERS), None)
    names = [name for _, name in layout.variables if name != answer][:3]
    variables = ", ".join(f'{name}: "{{{{ {name} }}}}"' for name in names)
    expected = "" if answer is None else f', expected: "{{{{ {answer} }}}}"'
    return f"{{file: {file}}}, or which are: {{file: {file}, vars: {{{variables}}}{expected}}}"


def is_chat_row(values: Mapping[str, Any]) -> bool:
    """Whether a row holds a conversation, as those of chat data sets do."""
    return any(is_conversation(values.get(name)) for name in CHAT_COLUMNS)


def _read_special(values: Mapping[str, Any], special: Mapping[str, str]) -> dict[str, Any]:
    """The special columns in our own form; those that are empty are left out, but for
    `expected`.
    """
    raw: dict[str, Any] = {}
    if "expected" in special:
        raw["expected"] = values[special["expected"]]
    if "tags" in special:
        raw["tags"] = list(_split_tags(values[special["tags"]]))
    for name in ("id", "threshold"):
        if name in special and values[special[name]] not in ("", None):
            raw[name] = values[special[name]]
    return raw


def _split_tags(value: Any) -> Iterator[Any]:
    """The tags in a cell, separated by semicolons; a list is tags already."""
    if isinstance(value, str):
        yield from (tag.strip() for tag in value.split(";") if tag.strip())
    elif isinstance(value, list | tuple):
        yield from value
    elif value is not None:
        yield value
