"""Checks that a JSON Schema is one, in the draft it names, and that answers can be checked against
it safely.

Each schema within the schema is checked by itself against a flat form of the meta-schema, which
takes time linear in the size; the meta-schema itself takes milliseconds for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from jsonschema import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from harness.config.diagnostics import quote_value
from harness.config.json_validation import find_violation
from harness.config.patterns import compile_re2
from harness.config.schema_drafts import (
    NEWEST,
    Draft,
    find_draft,
    flat_meta_schema,
    iter_misused_keywords,
    keywords_of,
)

MAX_PARTS = 20_000
"""Values in a schema, those of its keywords among them."""
MAX_CHAIN = 100
"""Schemas that apply to one and the same value because each leads to the next."""

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
"""The types of values that a schema can name."""

_IN_PLACE = (
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    *("dependentSchemas", "dependencies"),
)
"""Keywords whose schemas apply to the same value."""
_BELOW = (
    *(
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "items",
        "patternProperties",
    ),
    *("prefixItems", "properties", "propertyNames", "unevaluatedItems"),
)
"""Keywords whose schemas apply to parts of the value."""
_ALL = ("$defs", "definitions", *_IN_PLACE, *_BELOW)
_MAPPINGS = (
    *("$defs", "definitions", "dependencies", "dependentSchemas"),
    *("patternProperties", "properties"),
)
_REFERENCES = ("$ref", "$dynamicRef")


class _Part(NamedTuple):
    """A schema within the schema, the way to it, and what resolves its references."""

    schema: Any
    path: tuple[str | int, ...] = ()
    resolver: Any = None
    draft: Draft = NEWEST

    @property
    def place(self) -> str:
        """The JSON path of the schema within the whole one."""
        return ValidationError("", path=self.path).json_path


def check_schema(schema: dict[str, Any] | bool) -> None:
    """Raise ValueError for what is not a JSON Schema, or cannot be checked safely."""
    _check_size(schema)
    draft = find_draft(schema)
    if isinstance(schema, dict) and schema and not schema.keys() & keywords_of(draft):
        raise ValueError(
            f"not a JSON Schema: none of its keys ({', '.join(schema)}) is a keyword, so it would"
            " accept anything"
        )
    pending = [_Part(schema, draft=draft)]
    while pending:  # before any reference is looked up, which fails in what is no schema
        part = pending.pop()
        _check_part(part)
        pending += _iter_parts(part, _ALL)
    _check_references(schema)


def find_misused_keywords(schema: dict[str, Any] | bool) -> list[str]:
    """Each keyword of a schema that `check_schema` accepts which has no effect in its draft, as
    `$.path: reason`."""
    found: list[str] = []
    pending = [_Part(schema, draft=find_draft(schema))]
    while pending:
        part = pending.pop()
        misused = iter_misused_keywords(part.schema, part.draft)
        found += [f"{part.place}: {reason}" for reason in misused]
        pending += _iter_parts(part, _ALL)
    return found


def _check_size(schema: Any) -> None:
    pending, counted = [schema], 0
    while pending:
        part = pending.pop()
        counted += 1
        if isinstance(part, dict | list):
            pending += part.values() if isinstance(part, dict) else part
        if counted + len(pending) > MAX_PARTS:
            raise ValueError(f"a JSON Schema may have {MAX_PARTS:,} values; this one has more")


def _check_part(part: _Part) -> None:
    """Raise ValueError where one schema, apart from those in it, is none or is not supported."""
    where = part.place
    for name in _list_types(part.schema):
        if name not in TYPES:
            raise ValueError(
                f"not a JSON Schema: {where}.type: there is no type {quote_value(name)};"
                f" the types are {', '.join(TYPES)}"
            )
    if (wrong := find_violation(flat_meta_schema(part.draft), part.schema)) is not None:
        raise ValueError(f"not a JSON Schema: {where}{wrong.removeprefix('$')}")
    if isinstance(part.schema, dict):
        if "unevaluatedProperties" in part.schema:
            raise ValueError("unevaluatedProperties is not supported; use additionalProperties")
        if "$recursiveRef" in part.schema:
            raise ValueError("$recursiveRef is not supported; use $ref")
        for pattern in _patterns_of(part.schema):
            if compile_re2(pattern) is None:
                raise ValueError(f"the pattern {pattern!r} is not in RE2 syntax")


def _list_types(schema: Any) -> list[Any]:
    """The types that a schema names, in whatever form."""
    types = schema.get("type", []) if isinstance(schema, dict) else []
    return types if isinstance(types, list) else [types]


def _patterns_of(schema: dict[str, Any]) -> Iterable[str]:
    yield from schema.get("patternProperties", ())
    if "pattern" in schema:
        yield schema["pattern"]


def _iter_parts(part: _Part, keywords: Iterable[str]) -> Iterator[_Part]:
    """The schemas directly within a schema, those of `keywords`."""
    if not isinstance(part.schema, dict):
        return
    for keyword in (each for each in keywords if each in part.schema):
        value, path = part.schema[keyword], (*part.path, keyword)
        if isinstance(value, list):
            found = [((*path, index), item) for index, item in enumerate(value)]
        elif keyword in _MAPPINGS:
            named = value.items() if isinstance(value, dict) else ()
            found = [((*path, name), item) for name, item in named if not isinstance(item, list)]
        else:
            found = [(path, value)]
        for way, schema in found:
            resource = part.draft.create_resource(schema)
            resolver = part.resolver and part.resolver.in_subresource(resource)
            yield _Part(schema, way, resolver, part.draft)


def _iter_referred(part: _Part) -> Iterator[tuple[str, _Part]]:
    """The schemas that a schema refers to, each with what it calls it. Raises ValueError."""
    for keyword in _REFERENCES if isinstance(part.schema, dict) else ():
        if (target := part.schema.get(keyword)) is None:
            continue
        if not target.startswith("#"):
            raise ValueError(
                f"{keyword} {target!r} is outside the schema; only references inside it"
                " (`#/$defs/…`) are followed"
            )
        try:
            found = part.resolver.lookup(target)
        except Unresolvable:
            raise ValueError(f"{keyword} {target!r} does not exist in the schema") from None
        yield (
            f"{keyword} {target!r}",
            _Part(found.contents, part.path, found.resolver, part.draft),
        )


def _check_references(schema: Any) -> None:
    """Raise ValueError for a reference that resolves to nothing, or only to itself."""
    draft = find_draft(schema)
    registry = Registry().with_resource("", draft.create_resource(schema)).crawl()
    pending = [_Part(schema, (), registry.resolver(), draft)]
    leads = dict[int, list[tuple[int, str]]]()
    while pending:
        part = pending.pop()
        if id(part.schema) in leads:
            continue
        referred = list(_iter_referred(part))
        for _, each in referred:
            _check_part(each)  # it may stand where no schema is looked for
        leads[id(part.schema)] = [
            *((id(each.schema), "") for each in _iter_parts(part, _IN_PLACE)),
            *((id(each.schema), name) for name, each in referred),
        ]
        pending += (*_iter_parts(part, _ALL), *(each for _, each in referred))
    _check_chains(leads)


def _check_chains(leads: dict[int, list[tuple[int, str]]]) -> None:
    """Raise ValueError where the schemas that apply to one value lead back to themselves, or
    through too many.

    `leads` are by schema those it leads to, each with the name of the reference, if it is one.
    """
    done: set[int] = set()
    for start, first in leads.items():
        way, names = [(start, iter(first))], [""]
        while way:
            schema, rest = way[-1]
            following, name = next(rest, (0, ""))
            if not following:
                done.add(schema)
                way.pop(), names.pop()
            elif following in (places := [each for each, _ in way]):
                around = [*names[places.index(following) + 1 :], name]
                raise ValueError(f"{next(filter(None, around))} refers to itself endlessly")
            elif following not in done:
                way.append((following, iter(leads.get(following, ()))))
                names.append(name)
                if len(way) > MAX_CHAIN:
                    raise ValueError(
                        f"more than {MAX_CHAIN} schemas refer to each other for one value;"
                        " reduce the nesting"
                    )
