"""YAML for suites: safe, close to YAML 1.2, with the line and column of every value.

The surprises of YAML 1.1 do not occur: only `true` and `false` are booleans (`no` is text), only
JSON's numbers are numbers (`012`, `12:30:45` and `2024-01-01` are text), keys are always text.
Refused, each with its place: duplicate keys, tags, merge keys, several documents, and whatever
makes a small file large (aliases, depth, size). Built from the parser's events, so that an alias
bomb is counted before it is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml
from msgspec import Struct, field

from harness.config.diagnostics import KeyPath, Place, Problems, quote_value
from harness.config.regular_files import DEFAULT_LIMIT

MAX_BYTES = DEFAULT_LIMIT
MAX_VALUES = 250_000
"""Values in a file: each is kept with its place, which takes 600 bytes and some microseconds."""
MAX_DEPTH = 64
MAX_ALIASED_NODES = 10_000

_LOADER: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml where PyYAML was built with it: ten times as fast
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


class Node(Struct):
    """A value with its place; `text_line` is the line of a text's first character (below a block's
    `|`).

    `size` counts the values in it, itself included. `keys` are the places of a mapping's keys.
    """

    value: Any
    line: int | None
    column: int | None
    text_line: int | None
    size: int = 1
    children: dict[str | int, Node] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)


class Document(Struct, frozen=True):
    """A parsed file: `value` is plain data, and `place_of` locates each part of it."""

    path: str
    root: Node

    @classmethod
    def at_place(cls, value: Any, place: Place) -> Document:
        """A document whose parts are all at `place`: a .jsonl row, or an option of the command
        line.
        """
        return cls(place.path, Node(value, place.line, place.column, place.line))

    @property
    def value(self) -> Any:
        """The whole document as plain data."""
        return self.root.value

    def node_at(self, location: KeyPath) -> Node:
        """The node at `location`, or the nearest enclosing one; tags of unions are skipped."""
        node = self.root
        for part in location:
            node = node.children.get(part, node)
        return node

    def place_of(self, location: KeyPath = (), *, key: bool = False) -> Place:
        """The place of the value at `location`, or with `key` of its key."""
        if key and (found := self.node_at(location[:-1]).keys.get(str(location[-1]))):
            return Place(self.path, *found)
        node = self.node_at(location)
        return Place(self.path, node.line, node.column)

    def text_place_of(self, location: KeyPath) -> Place:
        """The place of the first character of the text at `location`."""
        node = self.node_at(location)
        return Place(self.path, node.text_line, node.column)


class _Unreadable(Exception):
    """Parsing cannot go on; the problem has been noted."""


def parse_yaml(text: str, path: str, problems: Problems) -> Document | None:
    """Parses `text`; None where nothing can be read. Problems are added to `problems`."""
    if len(text) > MAX_BYTES:
        problems.add(
            Place(path),
            f"the file is larger than {MAX_BYTES // 2**20} MiB; put the cases in a .jsonl file",
        )
        return None
    try:
        return Document(path, _DocumentBuilder(text, path, problems).document())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
        problems.add(place, f"not YAML: {_describe_syntax(error, text)}")
    except yaml.YAMLError as error:
        problems.add(Place(path), f"not YAML: {' '.join(str(error).split())}")
    except _Unreadable:
        return None  # noted where it was found
    return None


def _describe_syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    said, mark = error.problem or error.context or "it cannot be read", error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if mark is not None and "\t" in line[: mark.column + 1]:
        return "a tab; indent with spaces"
    return said


class _DocumentBuilder:
    def __init__(self, text: str, path: str, problems: Problems) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        self._path = path
        self._values = 0
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}
        self._aliased = 0

    def document(self) -> Node:
        next(self._events)  # the stream's start
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return Node(None, 1, 1, 1)
        root = self._build_node(next(self._events), 0)
        next(self._events)  # the document's end
        second = next(self._events)
        if not isinstance(second, yaml.StreamEndEvent):
            self._add_problem(
                second, "a second document; a file holds one, so put it in a file of its own"
            )
        return root

    def _build_node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._resolve_alias(event)
        if depth > MAX_DEPTH:
            self._abort_at(event, f"nested more than {MAX_DEPTH} deep; flatten it")
        self._values += 1
        if self._values > MAX_VALUES:
            self._abort_at(
                event, f"more than {MAX_VALUES:,} values; put the cases in a .jsonl file"
            )
        if event.tag is not None:
            self._add_problem(
                event,
                f"the tag `{event.tag}` is not supported; write plain data, and quote what is text",
            )
        if event.anchor:
            self._anchors[event.anchor] = None
        node = self._build_value(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _build_value(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.MappingStartEvent):
            return self._build_mapping(event, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._build_sequence(event, depth)
        return self._build_scalar(event)

    def _resolve_alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            self._abort_at(
                event,
                f"the alias `*{event.anchor}` has no complete anchor above it; define it first",
            )
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES:
            self._abort_at(
                event,
                f"aliases repeat more than {MAX_ALIASED_NODES:,} values; write out what is meant",
            )
        line, column = _start_position(event)
        return Node(node.value, line, column, line, node.size, node.children, node.keys)

    def _build_sequence(self, event: Any, depth: int) -> Node:
        node = Node([], *_start_position(event), event.start_mark.line + 1)
        for item in self._events_until(yaml.SequenceEndEvent):
            child = self._build_node(item, depth + 1)
            node.children[len(node.value)] = child
            node.value.append(child.value)
            node.size += child.size
        return node

    def _build_mapping(self, event: Any, depth: int) -> Node:
        node = Node({}, *_start_position(event), event.start_mark.line + 1)
        for item in self._events_until(yaml.MappingEndEvent):
            key = self._mapping_key(item)
            child = self._build_node(next(self._events), depth + 1)
            if key in node.keys:
                self._add_problem(
                    item,
                    f"the key `{key}` is already on line {node.keys[key][0]}; keep one of them",
                )
                continue
            node.keys[key] = _start_position(item)
            node.children[key] = child
            node.value[key] = child.value
            node.size += child.size
        return node

    def _mapping_key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._abort_at(event, "a key must be text; quote what starts with {{, [, & or *")
        if event.value == "<<" and event.implicit[0]:
            self._add_problem(event, "merge keys (`<<`) are not supported; write the keys out")
        return str(event.value)

    def _build_scalar(self, event: Any) -> Node:
        line, column = _start_position(event)
        value = (
            self._plain_scalar(event) if event.implicit[0] and event.tag is None else event.value
        )
        return Node(value, line, column, line + 1 if event.style in ("|", ">") else line)

    def _plain_scalar(self, event: Any) -> Any:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        match = _NUMBER.fullmatch(text)
        if not match:
            return text
        number = float(text) if match[2] or match[3] or len(text) > 300 else int(text)
        if number in (float("inf"), float("-inf")):
            self._add_problem(
                event, f"the number {quote_value(text)} is too large; quote it if it is text"
            )
        return number

    def _events_until(self, end: type[Any]) -> Iterator[Any]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _add_problem(self, event: Any, message: str) -> None:
        self._problems.add(Place(self._path, *_start_position(event)), message)

    def _abort_at(self, event: Any, message: str) -> NoReturn:
        self._add_problem(event, message)
        raise _Unreadable


def _start_position(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
