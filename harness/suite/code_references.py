"""References to the user's own Python functions, `file.py:function`, and the JSON Schemas of their
parameters.

Files are parsed and never run: what a file does when it is imported concerns only the process that
calls its functions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.config.diagnostics import Place, did_you_mean
from harness.suite.source import Source

_ANYTHING = "*"
"""What `from x import *` defines."""
FUNCTION_REFERENCE = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")


def find_function_file(file: str, name: str, source: Source, place: Place) -> Path | None:
    """The path of `file`, checked to define `name`; None where it cannot be read. Problems are
    noted at `place`.
    """
    found = source.read_named_text(file, place)
    if found is None:
        return None
    path, text = found
    try:
        defined = set(_defined_names(ast.parse(text).body))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as wrong:
        line = getattr(wrong, "lineno", None)
        source.problems.add(
            place, f"not Python{f' (line {line})' if line else ''}: {getattr(wrong, 'msg', wrong)}"
        )
        return path
    if not defined & {name, _ANYTHING}:
        source.problems.add(
            place, f"the file has no function `{name}`; {did_you_mean(name, defined)}"
        )
    return path


def _defined_names(body: Iterable[ast.AST]) -> Iterator[str]:
    """The names that a module's top level defines, also inside `if`, `try` or `with`."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "handlers", "finalbody"):
                yield from _defined_names(getattr(node, part, ()))
        elif isinstance(node, ast.ExceptHandler):
            yield from _defined_names(node.body)


_PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "None": "null"}
_LISTS = ("list", "List", "Sequence", "tuple", "set")
_MAPPINGS = ("dict", "Dict", "Mapping")

_SPHINX = re.compile(r"^\s*:param\s+(?:[\w\[\], |.]+\s+)?(\w+)\s*:\s*(.*)$")
_SECTION = re.compile(r"^\s*(Args|Arguments|Parameters|Params)\s*:?\s*$")
_OTHER_SECTION = re.compile(r"^\s*(?:Returns?|Raises|Yields?|Examples?|Notes?)\s*:?\s*$")
_ITEM = re.compile(r"^(\s+)(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")


class SignatureError(ValueError):
    """A function has no JSON Schema of its parameters; `line` is the line that is to blame."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class Signature(NamedTuple):
    """A function's description, and the JSON Schema of its parameters."""

    description: str
    parameters: dict[str, Any]


def parse_functions(text: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions that a file defines at its top level, by name. Raises SignatureError where
    it is not Python.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as wrong:
        raise SignatureError(f"not Python: {wrong.msg}", wrong.lineno) from None
    except (ValueError, RecursionError, MemoryError) as wrong:
        raise SignatureError(f"not Python: {wrong}") from None
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def describe_function(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Signature:
    """A function's description and the schema of its parameters. Raises SignatureError where it
    has none.
    """
    given = function.args
    if given.posonlyargs or given.vararg or given.kwarg:
        raise SignatureError(
            f"the function `{function.name}` takes parameters that cannot be given by name (`/`,"
            " `*args`, `**kwargs`)",
            function.lineno,
        )
    description, described = _parse_docstring(ast.get_docstring(function) or "")
    parameters = [*given.args, *given.kwonlyargs]
    optional = {each.arg for each in given.args[len(given.args) - len(given.defaults) :]}
    optional |= {
        each.arg
        for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        if default is not None
    }
    properties = {each.arg: _parameter_schema(each, described.get(each.arg)) for each in parameters}
    required = [each.arg for each in parameters if each.arg not in optional]
    return Signature(
        description,
        {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
    )


def _parameter_schema(parameter: ast.arg, description: str | None) -> dict[str, Any]:
    schema = {} if parameter.annotation is None else _hint_schema(parameter.annotation)
    return schema | {"description": description} if description else schema


def _hint_schema(hint: ast.expr) -> dict[str, Any]:
    """The JSON Schema of one type hint. Raises SignatureError where it has none."""
    match hint:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str(text)):
            return _hint_schema(ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union_schema(_hint_schema(left), _hint_schema(right))
        case ast.Subscript(value=base, slice=inside):
            return _generic_type_schema(_last_name(base), inside, hint)
    return _named_type_schema(_last_name(hint), hint)


def _named_type_schema(name: str, hint: ast.expr) -> dict[str, Any]:
    if name in _PLAIN:
        return {"type": _PLAIN[name]}
    if name in _LISTS:
        return {"type": "array"}
    if name in _MAPPINGS:
        return {"type": "object"}
    if name in ("Any", "object"):
        return {}
    raise SignatureError(
        f"the type `{ast.unparse(hint)}` has no JSON Schema here; write the tool's `parameters:`",
        hint.lineno,
    )


def _generic_type_schema(name: str, inside: ast.expr, hint: ast.expr) -> dict[str, Any]:
    items = list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
    makers: Mapping[str, Callable[[], dict[str, Any]]] = {
        "Literal": lambda: {"enum": [ast.literal_eval(item) for item in items]},
        "Optional": lambda: _union_schema(_hint_schema(items[0]), {"type": "null"}),
        "Union": lambda: {"anyOf": [_hint_schema(item) for item in items]},
        "Annotated": lambda: _annotated_schema(items),
        **dict.fromkeys(_LISTS, lambda: {"type": "array", "items": _hint_schema(items[0])}),
        **dict.fromkeys(
            _MAPPINGS, lambda: {"type": "object", "additionalProperties": _hint_schema(items[-1])}
        ),
    }
    return makers[name]() if name in makers else _named_type_schema("", hint)


def _annotated_schema(items: list[ast.expr]) -> dict[str, Any]:
    """The schema of `Annotated[int, "how many"]`, where the text is the description."""
    texts = [
        item.value
        for item in items[1:]
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]
    return _hint_schema(items[0]) | ({"description": texts[0]} if texts else {})


def _union_schema(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    kinds = [left.get("type"), right.get("type")]
    if left.keys() == right.keys() == {"type"} and all(isinstance(kind, str) for kind in kinds):
        return {"type": kinds}
    return {"anyOf": [*left.get("anyOf", [left]), *right.get("anyOf", [right])]}


def _last_name(hint: ast.expr) -> str:
    """The last part of a dotted name, `List` in `typing.List`."""
    return (
        hint.attr
        if isinstance(hint, ast.Attribute)
        else hint.id
        if isinstance(hint, ast.Name)
        else ""
    )


def _parse_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Splits a docstring into its description and those of parameters (an `Args:` section, or
    `:param name:` lines).
    """
    description: list[str] = []
    parameters: dict[str, str] = {}
    inside, current, over = False, "", False
    for line in docstring.splitlines():
        sphinx = _SPHINX.match(line)
        item = _ITEM.match(line) if inside else None
        if sphinx or item:
            current = sphinx[1] if sphinx else item[2] if item else ""
            parameters[current] = (sphinx[2] if sphinx else item[3] if item else "").strip()
            over = True
        elif _SECTION.match(line):
            inside, over = True, True
        elif _OTHER_SECTION.match(line) or line.lstrip().startswith(":"):
            inside, current, over = False, "", True
        elif current and line.startswith(" ") and line.strip():
            parameters[current] = f"{parameters[current]} {line.strip()}".strip()
        elif not over:
            description.append(line)
    return " ".join(" ".join(description).split()), parameters
