"""The JSON Schema for editors: every key described, the shipped suites valid, a typo not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.config.diagnostics import Problems
from harness.config.yaml import parse_yaml
from harness.suite import schema_json

SUITES = Path(__file__).parents[2] / "suites"
SCHEMA: dict[str, Any] = json.loads(schema_json())


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            yield f"{path}/{name}", field
        for key, item in schema.items():
            yield from properties(item, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from properties(item, f"{path}/{index}")


def valid(text: str) -> bool:
    document = parse_yaml(text, "a.yaml", Problems())
    assert document is not None
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(document.value)


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert schema_json() == schema_json()


def test_every_key_has_a_description() -> None:
    assert [path for path, field in properties(SCHEMA) if not field.get("description")] == []


@pytest.mark.parametrize(
    "path",
    [path for path in SUITES.glob("*.yaml") if path.name != "targets.yaml"],
    ids=lambda path: path.name,
)
def test_the_shipped_suites_fit_it(path: Path) -> None:
    assert valid(path.read_text("utf-8"))


SUITE = "suite: s\nprompts: {user: hi}\ncases: c.jsonl\ntargets: scout-sim\n"


@pytest.mark.parametrize(
    "more",
    [
        "graders: json",
        "graders: [{equals: x, weight: 2}, {not: {contains: y}, id: z}]",
        "sampling: {temperature: 0, seed: {fixed: 1}, stop: [a, b], logprobs: true}",
        "sweep: {temperature: [0, 1], exclude: [{temperature: 0}]}",
        "run: {timeout: 60s, budget: $0.50, tpm: 200k, max_error_rate: 5%}",
        "run: {timeout: {connect: 5s}}",
        "gates: [pass_rate >= 0.9]",
        "response_format: json_object",
    ],
)
def test_what_the_loader_takes_fits(more: str) -> None:
    assert valid(SUITE + more)


@pytest.mark.parametrize(
    "more",
    [
        "promts: x", "graders: [{contians: x}]", "sampling: {temprature: 0}", "repeats: many", "run: {unsupported: maybe}",
        "load: {}", "sweep: {temperature: 0.5}",
    ],
)  # fmt: skip
def test_a_typo_does_not_fit(more: str) -> None:
    assert not valid(SUITE + more)
