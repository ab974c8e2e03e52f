"""Functions of the user's own, named as `file.py:function`: that they are there is found out without running the file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.config.diagnostics import Place, did_you_mean
from harness.suite.source import Source

_ANYTHING = "*"
"""What `from x import *` defines."""
FUNCTION_REFERENCE = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")


def find_function_file(file: str, name: str, source: Source, place: Place) -> Path | None:
    """The path of `file`, which should define `name`; None where it cannot be read. What is wrong is noted at `place`."""
    found = source.read_named_text(file, place)
    if found is None:
        return None
    path, text = found
    try:
        defined = set(_defined_names(ast.parse(text).body))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as wrong:
        line = getattr(wrong, "lineno", None)
        source.problems.add(place, f"not Python{f' (line {line})' if line else ''}: {getattr(wrong, 'msg', wrong)}")
        return path
    if not defined & {name, _ANYTHING}:
        source.problems.add(place, f"the file has no function `{name}`; {did_you_mean(name, defined)}")
    return path


def _defined_names(body: Iterable[ast.AST]) -> Iterator[str]:
    """The names that statements of a module's top level define, under an `if`, `try` or `with` too."""
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
