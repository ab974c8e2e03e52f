"""JSON mode: fills the given schema from the text, field by field; each value is sampled from
scored candidates.

The kind of a field follows from its name, format, enum and description; `entities` finds the
possible values. What the text does not contain is null where the schema allows it. The answer
always fits the schema's shape; its values may be wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.simulator.model.skills import classification, entities
from harness.simulator.model.skills.difficulty import (
    TextGenerator,
    answer_margin,
    competing_candidates,
)
from harness.simulator.model.types import Prompt

Schema = Mapping[str, Any]

EASE = -0.8
"""The penalty of a field, negative: it is easier than a calculation, since an object has many."""
MAX_DEPTH = 6
"""Objects nested deeper are left empty: a schema may refer to itself."""
MAX_CHARACTERS = 20_000
"""A longer text is cut: the finders take more than linear time."""

KINDS: tuple[tuple[str, entities.Finder], ...] = (
    (r"e-?mail", entities.find_emails),
    (r"date|day|deadline|\bwhen\b", entities.find_dates),
    (r"phone|mobile|telephone", entities.find_phones),
    (r"order.?(?:id|no|number)|\bid\b|_id$|reference|number$|code$", entities.find_order_ids),
    (r"currency", entities.find_currencies),
    (r"amount|total|price|cost|paid|sum\b|fee", entities.find_amounts),
    (r"product|item|article|title", entities.find_products),
    (r"name|customer|person|author|who", entities.find_names),
)
INSTRUCTION = re.compile(
    r"\b(?:extract|json|keys?|schema|return|answer|fill|object)\b", re.IGNORECASE
)

KEYS = re.compile(
    r"\b(?:keys|fields)\b[:\s]+((?:[`\"']?\w+[`\"']?,\s*)*[`\"']?\w+[`\"']?,?\s+and\s+[`\"']?\w+[`\"']?)",
    re.IGNORECASE,
)


def propose_answer(prompt: Prompt) -> TextGenerator | None:
    """Answer with JSON; None unless the request asks for it."""
    if prompt.schema is None:
        return None
    schema = prompt.schema or named_keys(f"{prompt.instructions}\n{prompt.question}")
    return _fill_value(prompt, schema, "", source_text(prompt.question[:MAX_CHARACTERS]), 0)


def named_keys(text: str) -> Schema:
    """A schema for "any object": the keys that the prompt lists, else one key `answer`."""
    listed = KEYS.search(text)
    keys = re.split(r",\s*(?:and\s+)?|\s+and\s+", listed[1]) if listed else ["answer"]
    return {"type": "object", "properties": {key.strip("`\"'"): {"type": "string"} for key in keys}}


def source_text(question: str) -> str:
    """The text to read: the question without an opening or closing paragraph of instructions."""
    paragraphs = question.split("\n\n")
    if len(paragraphs) > 1 and INSTRUCTION.search(paragraphs[0]):
        return "\n\n".join(paragraphs[1:])
    if len(paragraphs) > 1 and INSTRUCTION.search(paragraphs[-1]):
        return "\n\n".join(paragraphs[:-1])
    return question


def _fill_value(prompt: Prompt, schema: Any, name: str, text: str, depth: int) -> TextGenerator:
    """Sample the JSON text of one value."""
    schema = resolve_schema(schema if isinstance(schema, dict) else {}, prompt.schema or {})
    kind = json_type(schema)
    if kind == "object":
        return (yield from _fill_object(prompt, schema, text, depth))
    if kind == "array":
        return (yield from _fill_array(prompt, schema, name, text, depth))
    found = candidate_values(schema, name, text, prompt.model)
    logit = answer_margin(prompt, f"{name}\n{text}", penalty=EASE)
    return (
        yield competing_candidates(
            found[0], logit, [*found[1:4], *likely_mistakes(found[0], schema)]
        )
    )


def _fill_object(prompt: Prompt, schema: Schema, text: str, depth: int) -> TextGenerator:
    members = []
    properties = schema.get("properties") if depth < MAX_DEPTH else None
    for name, member in (properties if isinstance(properties, dict) else {}).items():
        value = yield from _fill_value(prompt, member, name, text, depth + 1)
        members.append(f"{json.dumps(name)}: {value}")
    return "{" + ", ".join(members) + "}"


def _fill_array(prompt: Prompt, schema: Schema, name: str, text: str, depth: int) -> TextGenerator:
    if depth == MAX_DEPTH:
        return "[]"
    value = yield from _fill_value(prompt, schema.get("items"), name, text, depth + 1)
    return f"[{value}]" if value != "null" else "[]"


def resolve_schema(schema: Schema, root: Schema) -> Schema:
    """Follow local references; of alternatives take the first that is not null, which stays
    nullable."""
    for _ in range(MAX_DEPTH):
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(schema.get("$ref"), str):
            schema = _follow_pointer(root, schema["$ref"])
        elif isinstance(alternatives, list):
            schema = _choose_alternative([item for item in alternatives if isinstance(item, dict)])
        else:
            break
    return schema


def _choose_alternative(alternatives: Sequence[Schema]) -> Schema:
    values = [item for item in alternatives if item.get("type") != "null"]
    if not values:
        return {"type": "null"}
    declared = values[0].get("type")
    if len(values) < len(alternatives) and isinstance(declared, str):
        return {**values[0], "type": [declared, "null"]}
    return values[0]


def _follow_pointer(root: Schema, reference: str) -> Schema:
    node: Any = root
    for part in filter(None, reference.removeprefix("#").split("/")):
        node = node.get(part, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, dict) else {}


def json_type(schema: Schema) -> str:
    """The JSON type a value will have; of several, the first that is not null."""
    declared = schema.get("type")
    if isinstance(declared, list):
        declared = next((name for name in declared if name != "null"), "null")
    return str(declared or ("object" if "properties" in schema else "string"))


def candidate_values(schema: Schema, name: str, text: str, model: str) -> list[str]:
    """The possible values of a field as JSON, best first; never empty."""
    if "const" in schema:
        return [json.dumps(schema["const"])]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return _enum_values(schema["enum"], text, model)
    if json_type(schema) == "boolean":
        mentioned = any(word[:5] in text.lower() for word in re.findall(r"[a-z]{4,}", name.lower()))
        return ["true", "false"] if mentioned else ["false", "true"]
    found = _choose_finder(schema, name)(text)
    return [_encode_value(value, schema) for value in found] or _missing_values(schema)


def _enum_values(options: Sequence[Any], text: str, model: str) -> list[str]:
    """Enum values: those that the text or its currency signs name, then by shared words."""
    named = [option for option in entities.find_currencies(text) if option in options]
    judged = classification.label_candidates(
        text, [(str(option), "") for option in options], model, 0.0
    )
    ranked = sorted(
        judged,
        key=lambda candidate: -candidate.logit - 10 * (candidate.text.lower() in text.lower()),
    )
    by_text = {str(option): option for option in options}
    return list(
        dict.fromkeys(
            json.dumps(option) for option in [*named, *(by_text[item.text] for item in ranked)]
        )
    )


def _choose_finder(schema: Schema, name: str) -> entities.Finder:
    by_format = {"email": entities.find_emails, "date": entities.find_dates}.get(
        str(schema.get("format"))
    )
    if by_format:
        return by_format
    for hint in (name, str(schema.get("title", "")), str(schema.get("description", ""))):
        for pattern, finder in KINDS:
            if re.search(pattern, hint, re.IGNORECASE):
                return finder
    return (
        entities.find_numbers
        if json_type(schema) in ("number", "integer")
        else entities.split_sentences
    )


def _encode_value(value: str, schema: Schema) -> str:
    if json_type(schema) == "integer":
        return re.sub(r"\..*", "", value) if re.match(r"-?\d", value) else "0"
    if json_type(schema) == "number":
        return value if re.fullmatch(r"-?\d+(?:\.\d+)?", value) else "0"
    return json.dumps(value, ensure_ascii=False)


def _missing_values(schema: Schema) -> list[str]:
    """The value for a field that the text does not contain: null where allowed."""
    declared = schema.get("type")
    if isinstance(declared, list) and "null" in declared:
        return ["null"]
    return {"number": ["0"], "integer": ["0"], "null": ["null"]}.get(json_type(schema), ['""'])


def likely_mistakes(value: str, schema: Schema) -> list[str]:
    """Likely misreadings of a value, in the schema's type."""
    if "enum" in schema or "const" in schema or value in ("true", "false", "null"):
        return []
    if json_type(schema) in ("number", "integer"):
        return [
            f"{value}0".lstrip("0") or "1" if "." not in value else value.split(".", maxsplit=1)[0]
        ]
    if re.fullmatch(r'"\d{4}-\d\d-\d\d"', value):
        return [
            f'"{value[1:5]}-{value[9:11]}-{value[6:8]}"'
            if value[9:11] <= "12"
            else f'{value[:9]}01"'
        ]
    words = json.loads(value).split()
    return [json.dumps(" ".join(words[:-1]), ensure_ascii=False)] if len(words) > 1 else []
