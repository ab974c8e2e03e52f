"""YAML as suites use it: safe, of the 1.2 kind, with the line and column of every value.

What surprises in YAML 1.1 does not happen: only `true` and `false` are booleans (`no` is text), only JSON's numbers are
numbers (`012`, `12:30:45` and `2024-01-01` are text), keys are always text. Refused, each with its place: duplicate keys, tags,
merge keys, several documents, and whatever makes a small file large (aliases, depth, size). Built from the parser's events, so
that an alias bomb is counted before it is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from harness.config.diagnostics import Location, Place, Problems, shown

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_ALIASED_NODES = 10_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it: ten times as fast
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


@dataclass(slots=True)
class Node:
    """A value and where it stands; `text_line` is the line a text's first character is on (below a block's `|`).

    `size` counts the values in it, itself included. `keys` are the places of a mapping's keys.
    """

    value: Any
    line: int
    column: int
    text_line: int
    size: int = 1
    children: dict[str | int, Node] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: `value` is plain data, and `place` says where each part of it stands."""

    path: str
    root: Node

    @property
    def value(self) -> Any:
        """The whole document as plain data."""
        return self.root.value

    def node(self, location: Location) -> Node:
        """The node at `location`, or the nearest enclosing one; parts that are no key or index of the data are skipped."""
        node = self.root
        for part in location:
            node = node.children.get(part, node)
        return node

    def place(self, location: Location = (), *, key: bool = False) -> Place:
        """Where the value at `location`, or with `key` its key, stands."""
        if key and (found := self.node(location[:-1]).keys.get(str(location[-1]))):
            return Place(self.path, *found)
        node = self.node(location)
        return Place(self.path, node.line, node.column)

    def text_place(self, location: Location) -> Place:
        """Where the first character of the text at `location` stands."""
        node = self.node(location)
        return Place(self.path, node.text_line, node.column)


class _Refused(Exception):
    """Reading cannot go on; the problem has been noted."""


def parse(text: str, path: str, problems: Problems) -> Document | None:
    """The document in `text`, None where it could not be read at all; what is wrong is added to `problems`."""
    if len(text) > MAX_BYTES:
        problems.add(Place(path), f"the file is larger than {MAX_BYTES // 2**20} MiB; put the cases in a .jsonl file")
        return None
    try:
        return Document(path, _DocumentBuilder(text, path, problems).document())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
        problems.add(place, f"not YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        problems.add(Place(path), f"not YAML: {' '.join(str(error).split())}")
    except _Refused:
        return None  # noted where it was found
    return None


class _DocumentBuilder:
    def __init__(self, text: str, path: str, problems: Problems) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        self._path = path
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}
        self._aliased = 0

    def document(self) -> Node:
        next(self._events)  # the stream's start
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return Node(None, 1, 1, 1)
        root = self._node(next(self._events), 0)
        next(self._events)  # the document's end
        second = next(self._events)
        if not isinstance(second, yaml.StreamEndEvent):
            self._add(second, "a second document; a file holds one, so put it in a file of its own")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} deep; flatten it")
        if event.tag is not None:
            self._add(event, f"the tag `{event.tag}` is not supported; write plain data, and quote what is text")
        if event.anchor:
            self._anchors[event.anchor] = None
        node = self._collection(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _collection(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        return self._scalar(event)

    def _alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            self._refuse(event, f"the alias `*{event.anchor}` stands for nothing that is complete above it; define it first")
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES:
            self._refuse(event, f"aliases repeat more than {MAX_ALIASED_NODES:,} values; write out what is meant")
        line, column = _mark(event)
        return Node(node.value, line, column, line, node.size, node.children, node.keys)

    def _sequence(self, event: Any, depth: int) -> Node:
        node = Node([], *_mark(event), event.start_mark.line + 1)
        for item in self._until(yaml.SequenceEndEvent):
            child = self._node(item, depth + 1)
            node.children[len(node.value)] = child
            node.value.append(child.value)
            node.size += child.size
        return node

    def _mapping(self, event: Any, depth: int) -> Node:
        node = Node({}, *_mark(event), event.start_mark.line + 1)
        for item in self._until(yaml.MappingEndEvent):
            key = self._key(item)
            child = self._node(next(self._events), depth + 1)
            if key in node.keys:
                self._add(item, f"the key `{key}` is already on line {node.keys[key][0]}; keep one of them")
                continue
            node.keys[key] = _mark(item)
            node.children[key] = child
            node.value[key] = child.value
            node.size += child.size
        return node

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, "a key must be text; quote what starts with {{, [, & or *")
        if event.value == "<<" and event.implicit[0]:
            self._add(event, "merge keys (`<<`) are not supported; write the keys out")
        return str(event.value)

    def _scalar(self, event: Any) -> Node:
        line, column = _mark(event)
        value = self._plain(event) if event.implicit[0] and event.tag is None else event.value
        return Node(value, line, column, line + 1 if event.style in ("|", ">") else line)

    def _plain(self, event: Any) -> Any:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        match = _NUMBER.fullmatch(text)
        if not match:
            return text
        number = float(text) if match[2] or match[3] or len(text) > 300 else int(text)
        if number in (float("inf"), float("-inf")):
            self._add(event, f"the number {shown(text)} is too large; quote it if it is text")
        return number

    def _until(self, end: type[Any]) -> Iterator[Any]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _add(self, event: Any, message: str) -> None:
        self._problems.add(Place(self._path, *_mark(event)), message)

    def _refuse(self, event: Any, message: str) -> NoReturn:
        self._add(event, message)
        raise _Refused


def _mark(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
