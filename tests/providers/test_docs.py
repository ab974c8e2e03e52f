"""The tables of docs/providers.md are derived from the facts about providers; run this file to
write them there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from harness import registry
from harness.providers import errors
from harness.providers.openai.dialects import ChatVendor
from harness.vendors import PROVIDERS
from harness.vendors.facts import Capabilities, Parameter, ProviderFacts

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "providers.md"
FEATURES = ("vision", "tools", "json_schema", "prompt", "guided_json", "batch")


def markdown(rows: Iterable[Iterable[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def providers_table() -> str:
    """Where the providers with a format of their own are."""
    own = [each for each in PROVIDERS.values() if each.address and not is_chat_vendor(each)]
    head = [
        "provider",
        "default address (`base_url`)",
        "default API key variable (`api_key`)",
    ]
    rows = [
        [f"`{each.name}`", "; ".join(filter(None, (f"`{each.address}`", each.notes))), key(each)]
        for each in own
    ]
    return markdown([head, ["---"] * len(head), *rows])


def vendors_table() -> str:
    """Where the vendors of chat completions are, and how they deviate from OpenAI."""
    vendors = [each for each in PROVIDERS.values() if is_chat_vendor(each)]
    head = ["provider", "address", "API key", "parameter names", "differences"]
    rows = [
        [f"`{each.name}`", f"`{each.address}`", key(each), renamed(each), each.notes]
        for each in vendors
    ]
    return markdown([head, ["---"] * len(head), *rows])


def is_chat_vendor(facts: ProviderFacts) -> bool:
    return isinstance(registry.load_plugin("providers", facts.name), ChatVendor)


def key(facts: ProviderFacts) -> str:
    return f"`{facts.api_key_env}`" if facts.api_key_env else "none"


def renamed(facts: ProviderFacts) -> str:
    parameters = [each for entry in facts.models for each in entry.parameters.values()]
    names = {each.name: each.field for each in parameters if each.field != each.name}
    return ", ".join(f"`{name}` as `{field}`" for name, field in names.items())


def capabilities_table() -> str:
    """One row an entry, one column a parameter or feature."""
    entries = [(facts, entry) for facts in PROVIDERS.values() for entry in facts.models]
    names = list(dict.fromkeys(name for _, entry in entries for name in entry.parameters))
    rows = [
        ["provider: models", *(f"`{name}`" for name in names), *FEATURES],
        ["---"] * (1 + len(names) + len(FEATURES)),
    ]
    for facts, entry in entries:
        parameters = [cell(entry.parameters.get(name)) for name in names]
        rows.append(
            [title(facts, entry), *parameters, *(shown(entry, feature) for feature in FEATURES)]
        )
    return markdown(rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "providers": providers_table,
    "vendors": vendors_table,
    "capabilities": capabilities_table,
}


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)


def title(facts: ProviderFacts, entry: Capabilities) -> str:
    versions = f" {', '.join(entry.api_versions)}" if entry.api_versions else ""
    return f"`{facts.name}`{versions}: {', '.join(f'`{pattern}`' for pattern in entry.models)}"


def cell(parameter: Parameter | None) -> str:
    if parameter is None:
        return "—"
    renamed = f" as `{parameter.field}`" if parameter.field != parameter.name else ""
    return taken(parameter) + renamed


def taken(parameter: Parameter) -> str:
    """What it takes, in few signs."""
    if parameter.type == "word":
        return ", ".join(parameter.values) or "a word"
    if parameter.type == "strings":
        return f"≤ {parameter.max_items}" if parameter.max_items else "yes"
    flag = "yes, or " if parameter.type == "flag_or_count" else ""
    return flag + span(parameter)


def span(parameter: Parameter) -> str:
    if parameter.min is not None and parameter.max is not None:
        return (
            f"only {parameter.min:g}"
            if parameter.min == parameter.max
            else f"{figure(parameter.min)} to {figure(parameter.max)}"
        )
    bounds = {"≥": parameter.min, ">": parameter.above, "≤": parameter.max, "<": parameter.below}
    return (
        ", ".join(f"{sign} {figure(bound)}" for sign, bound in bounds.items() if bound is not None)
        or "any"
    )


def figure(bound: float) -> str:
    named = {
        2**63 - 1: "2⁶³−1",
        -(2**63): "−2⁶³",
        2**32 - 1: "2³²−1",
        2**31 - 1: "2³¹−1",
        -(2**31): "−2³¹",
    }
    return named.get(int(bound)) or f"{bound}".replace("-", "−")


def shown(entry: Capabilities, feature: str) -> str:
    return {True: "yes", False: "no", None: "?"}[getattr(entry, feature)]


@pytest.mark.parametrize("name", TABLES)
def test_the_page_has_the_table(name: str) -> None:
    found = block(name).search(PAGE.read_text("utf-8"))
    assert found is not None
    assert found.group() == TABLES[name](), "run: python tests/providers/test_docs.py"


def test_the_page_names_every_kind_of_error_and_whether_it_is_retried() -> None:
    rows = re.findall(
        r"^\| (`[a-z_`, ]+`) \| .* \| (yes|no) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    documented = {
        kind: retried == "yes"
        for kinds, retried in rows
        for kind in re.findall(r"`([a-z_]+)`", kinds)
    }
    known = dict(errors.CODES.values()) | dict(errors.STATUSES.values())
    assert known.items() <= documented.items()


def write_tables() -> None:
    text = PAGE.read_text("utf-8")
    for name, table in TABLES.items():
        text = block(name).sub(lambda _, table=table: table(), text)  # type: ignore[misc]
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    write_tables()
