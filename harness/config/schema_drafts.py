"""The drafts of JSON Schema, which `$schema` names, and the keywords of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
from msgspec import Struct
from referencing.jsonschema import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012

from harness.config.diagnostics import did_you_mean, quote_value

_VOCABULARIES = ("core", "applicator", "unevaluated", "validation", "meta-data", "content")
_ANYWHERE = frozenset(("$defs", "$schema", "definitions", "format"))
_ANNOTATIONS = frozenset(
    ("$comment", "$id", "default", "deprecated", "description", "examples", "id", "title")
)
_OPENAPI = frozenset(("discriminator", "example", "externalDocs", "propertyOrdering", "xml"))
"""Keywords that describe, beside JSON Schema's own."""


class Draft(Struct, frozen=True):
    """A draft of JSON Schema. `ref_alone` says that what stands beside a `$ref` is ignored."""

    name: str
    uri: str
    validator: Any
    specification: Any
    ref_alone: bool = False

    def create_resource(self, schema: Any) -> Any:
        """The schema as a resource whose identifiers and anchors are this draft's."""
        return self.specification.create_resource(schema)


NEWEST = Draft("2020-12", "json-schema.org/draft/2020-12/schema", Draft202012Validator, DRAFT202012)
DRAFTS = (
    NEWEST,
    Draft("2019-09", "json-schema.org/draft/2019-09/schema", Draft201909Validator, DRAFT201909),
    Draft("draft-07", "json-schema.org/draft-07/schema", Draft7Validator, DRAFT7, True),
    Draft("draft-06", "json-schema.org/draft-06/schema", Draft6Validator, DRAFT6, True),
    Draft("draft-04", "json-schema.org/draft-04/schema", Draft4Validator, DRAFT4, True),
)


def find_draft(schema: Any) -> Draft:
    """The draft that a schema's `$schema` names; the newest without one. Raises ValueError."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if named is None:
        return NEWEST
    uri = str(named).removesuffix("#").partition("://")[2]
    for draft in DRAFTS:
        if draft.uri == uri:
            return draft
    known = ", ".join(f"https://{draft.uri}" for draft in DRAFTS)
    raise ValueError(f"$schema {quote_value(named)} is no known draft; the drafts are {known}")


@cache
def flat_meta_schema(draft: Draft) -> dict[str, Any]:
    """The draft's meta-schema, all its vocabularies in one, which looks no further than a schema's
    own keywords."""
    definitions = {"$defs": {"type": "object"}, "definitions": {"type": "object"}}
    flat: dict[str, Any] = {"type": ["object", "boolean"], "properties": definitions}
    for document in _list_documents(draft):
        for key in ("properties", "$defs", "definitions"):
            flat[key] = flat.get(key, {}) | document.get(key, {})
    flattened: dict[str, Any] = _without_recursion(flat)
    return flattened


def _list_documents(draft: Draft) -> list[Mapping[str, Any]]:
    if draft.ref_alone:
        return [draft.validator.META_SCHEMA]
    base = f"https://{draft.uri.removesuffix('schema')}meta/"
    names = [name for name in _VOCABULARIES if base + name in REGISTRY]
    return [REGISTRY.contents(base + name) for name in names]


def _without_recursion(value: Any) -> Any:
    """Parts of the meta-schema, where a schema is anything that looks like one."""
    if isinstance(value, list):
        return [_without_recursion(item) for item in value]
    if not isinstance(value, dict):
        return value
    recursive = [value.get(key) for key in ("$dynamicRef", "$recursiveRef")]
    if any(isinstance(each, str) for each in recursive) or value.get("$ref") == "#":
        return {"type": ["object", "boolean"]}
    return {
        key: _without_recursion(item)
        for key, item in value.items()
        if not (key in ("format", "default") and isinstance(item, str | list | dict | bool))
    }


@cache
def keywords_of(draft: Draft) -> frozenset[str]:
    """The keywords that mean something in a draft."""
    return _ANYWHERE.union(("$ref",), flat_meta_schema(draft)["properties"])


def iter_misused_keywords(schema: Any, draft: Draft) -> Iterator[str]:
    """What is wrong with each keyword of one schema that has no effect in the draft, as a
    sentence."""
    if not isinstance(schema, dict):
        return
    known = keywords_of(draft)
    for key in schema:
        if key in known:
            ignored = draft.ref_alone and "$ref" in schema
            if ignored and key not in _ANYWHERE | _ANNOTATIONS | {"$ref"}:
                yield (
                    f"`{key}` has no effect beside `$ref` in {draft.name};"
                    " put the two in the schemas of an `allOf`"
                )
        elif key not in _ANNOTATIONS | _OPENAPI and not key.startswith("x-"):
            yield _describe_unknown(key, draft)


def _describe_unknown(key: str, draft: Draft) -> str:
    if key == "nullable":
        return '`nullable` is OpenAPI\'s and checks nothing; write `type: [string, "null"]`'
    others = [each for each in DRAFTS if key in keywords_of(each)]
    if not others:
        hint = did_you_mean(key, keywords_of(draft)) or "the names of annotations begin with x-"
        return f"`{key}` is no keyword of JSON Schema; {hint}"
    instead = {
        "dependencies": "use dependentRequired or dependentSchemas",
        "additionalItems": "use items beside prefixItems",
    }.get(key, "leave it out")
    return (
        f"`{key}` is a keyword of {others[0].name}, and not of {draft.name}; name"
        f" `$schema: https://{others[0].uri}`, or {instead}"
    )
