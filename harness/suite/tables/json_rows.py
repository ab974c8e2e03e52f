"""Tables of JSON: .jsonl, a value on each line, and .json, an array or an object that holds one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from harness.suite.tables.table_rows import MAX_WHOLE, Table, TableError, TableOptions, TableRow
from harness.suite.tables.text_input import (
    TextInput,
    iterate_lines,
    open_text,
    read_whole,
    suggest_encoding,
)

_DIGITS = bytes(48 if 48 <= byte <= 57 else byte for byte in range(256))  # every digit as 0
_LONG_NUMBER = b"0" * 19
_MARK = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")


def parse_json_row(line: bytes) -> Any:
    """The JSON value in `line`. Integers over 64 bits keep their digits, which orjson would
    round. Raises ValueError or RecursionError.
    """
    if _LONG_NUMBER in line.translate(_DIGITS):
        return json.loads(line, parse_constant=_refuse_constant)
    return orjson.loads(line)


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON value")


def open_jsonl(path: Path, options: TableOptions) -> Table:
    """Opens a file with a JSON value on each line. Raises TableError."""
    text = open_text(path, options.encoding)
    plain = text.encoding in ("utf-8", "utf-8-sig")
    rows = partial(_read_utf8, path) if plain and not text.compressed else partial(_read_text, text)
    return Table(path, "jsonl", None, rows, text.findings, seekable=plain and not text.compressed)


def _read_utf8(path: Path) -> Iterator[TableRow]:
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(iterate_lines(file), start=1):
            mark = 3 if number == 1 and line.startswith(_MARK) else 0
            row = line[mark:].strip()
            if row:
                yield _parse_row(number, row, offset + mark)
            offset += len(line)


def _read_text(text: TextInput) -> Iterator[TableRow]:
    for number, line in enumerate(text.read_lines(), start=1):
        row = line.strip()
        if row:
            yield _parse_row(number, row.encode("utf-8", "surrogatepass"), 0)


def _parse_row(number: int, row: bytes, offset: int) -> TableRow:
    try:
        return TableRow(number, parse_json_row(row), "", offset)
    except (ValueError, RecursionError) as invalid:
        try:
            row.decode()
        except UnicodeDecodeError:
            return TableRow(number, None, f"not UTF-8; {suggest_encoding(row)}")
        return TableRow(number, None, f"not JSON: {invalid}")


def open_json(path: Path, options: TableOptions) -> Table:
    """Opens a .json file: an array of rows, or an object in which one key holds it. Raises
    TableError.
    """
    form = open_text(path, options.encoding)
    content = read_whole(
        path, MAX_WHOLE, "a .json file", "save it as .jsonl, with one row per line"
    )
    try:
        text = content.decode(form.encoding).removeprefix("\ufeff")
    except UnicodeError:
        raise TableError(f"not UTF-8; {suggest_encoding(content[:65_536])}") from None
    start, key = _find_array(text, options.records)
    findings = (
        form.findings if key is None or options.records else (*form.findings, f"rows under `{key}`")
    )
    return Table(path, "json", None, partial(_read_array, text, start), findings)


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def _find_array(text: str, wanted: str | None) -> tuple[int, str | None]:
    """Where the array of rows begins, and the key that holds it. Raises TableError."""
    start = _skip_space(text, 0)
    if text.startswith("[", start) and wanted is None:
        return start, None
    arrays = dict(_iterate_arrays(text, start)) if text.startswith("{", start) else {}
    if wanted is not None and wanted in arrays:
        return arrays[wanted], wanted
    if wanted is None and len(arrays) == 1:
        key, at = next(iter(arrays.items()))
        return at, key
    if wanted is not None:
        raise TableError(f"has no array under `{wanted}`; {_list_keys(arrays)}")
    raise TableError(
        "a .json file of rows must be an array of objects, or an object with such an array under"
        f" one key; {_list_keys(arrays)}"
    )


def _list_keys(arrays: dict[str, int]) -> str:
    if not arrays:
        return "it contains no array of objects"
    listed = ", ".join(f"`{key}`" for key in list(arrays)[:10])
    return f"choose one with `records:` from {listed}"


def _iterate_arrays(text: str, start: int) -> Iterator[tuple[str, int]]:
    """Yields (key, where its array begins) of each array in the object at `start`."""
    at = _skip_space(text, start + 1)
    while not text.startswith("}", at):
        key, at = _decode_value(text, at)
        at = _skip_space(text, at)
        if not isinstance(key, str) or not text.startswith(":", at):
            raise _not_json(text, at, "expected a key and a colon")
        begin = _skip_space(text, at + 1)
        value, at = _decode_value(text, begin)
        if isinstance(value, list):
            yield key, begin
        at = _skip_space(text, at)
        if text.startswith(",", at):
            at = _skip_space(text, at + 1)
        elif not text.startswith("}", at):
            raise _not_json(text, at, "expected a comma")


def _read_array(text: str, start: int) -> Iterator[TableRow]:
    """Yields each item of the array at `start`, one at a time. Raises TableError."""
    at, counted, line = _skip_space(text, start + 1), 0, 1
    while not text.startswith("]", at):
        line += text.count("\n", counted, at)
        counted = at
        value, at = _decode_value(text, at)
        yield TableRow(line, value)
        at = _skip_space(text, at)
        if text.startswith(",", at):
            at = _skip_space(text, at + 1)
        elif not text.startswith("]", at):
            raise _not_json(text, at, "expected a comma")


def _decode_value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, at)
    except json.JSONDecodeError as invalid:
        raise TableError(f"not JSON: {invalid.msg}", invalid.lineno) from None
    except (ValueError, RecursionError) as invalid:
        raise _not_json(text, at, str(invalid)) from None


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match is not None else at


def _not_json(text: str, at: int, why: str) -> TableError:
    return TableError(f"not JSON: {why}", text.count("\n", 0, at) + 1)
