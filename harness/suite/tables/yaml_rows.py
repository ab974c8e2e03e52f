"""Tables in YAML: a list of mappings, or the list under one key of a mapping."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shlex import quote

from harness.config.diagnostics import KeyPath, Problems, display_path
from harness.config.yaml import Document, parse_yaml
from harness.suite.tables.table_rows import Table, TableError, TableOptions, TableRow
from harness.suite.tables.text_input import open_text, read_whole, suggest_encoding

MAX_YAML = 4 * 2**20
"""Bytes of a file: with the place of every value, each takes a hundred bytes of memory."""
_NO_LIST = "a YAML file of cases must be a list; begin each case with `- `"


def open_yaml(path: Path, options: TableOptions) -> Table:
    """Opens a YAML file of rows. Raises TableError, or SuiteError with everything wrong in it."""
    form = open_text(path, options.encoding)
    content = read_whole(path, MAX_YAML, "a YAML file of cases", _describe_conversion(path))
    try:
        text = content.decode(form.encoding).removeprefix("\ufeff")
    except UnicodeError:
        raise TableError(f"not UTF-8; {suggest_encoding(content[:65_536])}") from None
    problems = Problems()
    document = parse_yaml(text, display_path(path), problems)
    at = () if document is None else _find_list(document, options.records, problems)
    problems.raise_any()
    if document is None:
        raise AssertionError("a YAML file that cannot be read has a problem")
    return Table(path, "yaml", None, partial(_read_items, document, at), document=document)


def _describe_conversion(path: Path) -> str:
    """How to turn the file into one that can be of any size."""
    program = (
        "import json, sys, yaml; [print(json.dumps(row)) for row in yaml.safe_load(sys.stdin)]"
    )
    files = f"< {quote(display_path(path))} > {quote(path.name.split('.')[0] + '.jsonl')}"
    return f"a .jsonl file may have any size; convert it with `python -c '{program}' {files}`"


def _find_list(document: Document, wanted: str | None, problems: Problems) -> KeyPath:
    """Where the list of rows is; noted where there is none."""
    value = document.value
    if isinstance(value, list) and wanted is None:
        return ()
    lists = (
        [key for key, each in value.items() if isinstance(each, list)]
        if isinstance(value, dict)
        else []
    )
    found = lists if wanted is None else [key for key in lists if key == wanted]
    if len(found) == 1:
        return (found[0],)
    hint = f"; choose one with `records:` from {', '.join(lists)}" if lists else ""
    problems.add(document.place_of(), f"{_NO_LIST}{hint}")
    return ()


def _read_items(document: Document, at: KeyPath) -> Iterator[TableRow]:
    for index, item in enumerate(document.node_at(at).value):
        here = (*at, index)
        yield TableRow(document.place_of(here).line or 1, item, at=here)
