"""Each tick of the feature table in docs/providers.md is a test that exists; run this file to write
the table there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import registry
from harness.vendors import PROVIDERS
from tests.providers.test_docs import PAGE, ROOT

BLOCK = re.compile(r"(?<=<!-- proofs -->\n).*?(?=<!-- /proofs -->)", re.DOTALL)
PROOF = re.compile(r"(?:(?P<folder>[\w/]+)/)?(?P<file>test_\w+)\.(?P<test>test_\w+)")
DATA: dict[str, dict[str, str]] = yaml.safe_load(
    (Path(__file__).parent / "proofs.yaml").read_text("utf-8")
)
FEATURES = list(DATA["openai"])
CELLS = [(provider, feature) for provider, cells in DATA.items() for feature in cells]


def markdown() -> str:
    """One row a provider, one column a feature."""
    rows = [["provider", *FEATURES], ["---"] * (1 + len(FEATURES))]
    rows += [
        [f"`{provider}`", *(cell(cells[feature]) for feature in FEATURES)]
        for provider, cells in DATA.items()
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def cell(text: str) -> str:
    """The cell with each test it names as a tick that leads there."""
    return PROOF.sub(lambda found: f"[✓](../{path(found)}#{found['test']})", text)


def path(proof: re.Match[str]) -> str:
    return f"tests/{proof['folder'] or 'providers'}/{proof['file']}.py"


@cache
def names_in(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def facts(provider: str, name: str) -> set[Any]:
    """What the capabilities say of this feature, over all models of a provider."""
    return {getattr(entry, name) for entry in PROVIDERS[provider].models}


def test_the_page_has_the_table() -> None:
    found = BLOCK.search(PAGE.read_text("utf-8"))
    assert found is not None
    assert found.group() == markdown(), "run: python -m tests.providers.test_proofs"


def test_every_provider_and_every_feature_has_a_cell() -> None:
    assert set(DATA) == set(registry.registered_names("providers", installed=False))
    assert {
        provider: list(cells)
        for provider, cells in DATA.items()
        if sorted(cells) != sorted(FEATURES)
    } == {}


@pytest.mark.parametrize(("provider", "feature"), CELLS)
def test_the_test_of_a_cell_exists(provider: str, feature: str) -> None:
    text = DATA[provider][feature]
    for proof in PROOF.finditer(text):
        assert proof["test"] in names_in(ROOT / path(proof))
    if found := re.fullmatch(r"as (\S+)", text):
        assert not DATA[found[1]][feature].startswith("as "), (
            "name the one that has a test, or a reason"
        )


@pytest.mark.parametrize("provider", DATA)
def test_the_table_says_no_more_than_what_models_can_do(provider: str) -> None:
    """A feature that no model of the provider has cannot be proven; one that is checked before a
    batch run must be."""
    for feature, name in (
        ("vision", "vision"),
        ("tools", "tools"),
        ("JSON Schema", "json_schema"),
        ("batch", "batch"),
    ):
        if facts(provider, name) == {False}:
            assert not PROOF.fullmatch(DATA[provider][feature])
    if True in facts(provider, "batch"):
        assert PROOF.fullmatch(DATA[provider]["batch"])


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda _: markdown(), PAGE.read_text("utf-8")), "utf-8")
