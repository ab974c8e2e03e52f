"""The capability table in docs/providers.md is the one that is checked; run this file to write it there."""

from __future__ import annotations

import re
from pathlib import Path

import harness.providers
from harness import registry
from harness.providers import errors
from harness.providers.capabilities import Capabilities, CapabilityTable, Parameter, parse_capabilities

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "providers.md"
FACTS = ("vision", "tools", "json_schema", "prompt", "guided_json", "batch")
BLOCK = re.compile(r"(?<=<!-- capabilities -->\n).*?(?=<!-- /capabilities -->)", re.DOTALL)


def table() -> CapabilityTable:
    return parse_capabilities((Path(harness.providers.__file__).parent / "capabilities.yaml").read_text("utf-8"))


def markdown(capabilities: CapabilityTable) -> str:
    """One row an entry, one column a parameter or feature."""
    names = list(dict.fromkeys(name for entry in capabilities.entries for name in entry.parameters))
    rows = [["provider: models", *(f"`{name}`" for name in names), *FACTS], ["---"] * (1 + len(names) + len(FACTS))]
    for entry in capabilities.entries:
        parameters = [cell(entry.parameters.get(name)) for name in names]
        rows.append([title(entry), *parameters, *(shown(entry, fact) for fact in FACTS)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def title(entry: Capabilities) -> str:
    versions = f" {', '.join(entry.api_versions)}" if entry.api_versions else ""
    return f"`{entry.provider}`{versions}: {', '.join(f'`{pattern}`' for pattern in entry.models)}"


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
    return ", ".join(f"{sign} {figure(bound)}" for sign, bound in bounds.items() if bound is not None) or "any"


def figure(bound: float) -> str:
    named = {2**63 - 1: "2⁶³−1", -(2**63): "−2⁶³", 2**32 - 1: "2³²−1", 2**31 - 1: "2³¹−1", -(2**31): "−2³¹"}
    return named.get(int(bound)) or f"{bound}".replace("-", "−")


def shown(entry: Capabilities, fact: str) -> str:
    return {True: "yes", False: "no", None: "?"}[getattr(entry, fact)]


def test_the_page_has_the_table_that_is_checked() -> None:
    found = BLOCK.search(PAGE.read_text("utf-8"))
    assert found is not None
    assert found.group() == markdown(table()), "run: python tests/providers/test_docs.py"


def test_the_page_names_every_kind_of_error_and_whether_it_is_retried() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| .* \| (yes|no) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    documented = {kind: retried == "yes" for kinds, retried in rows for kind in re.findall(r"`([a-z_]+)`", kinds)}
    known = dict(errors.CODES.values()) | dict(errors.STATUSES.values())
    assert known.items() <= documented.items()


def test_the_page_says_where_each_vendor_is() -> None:
    rows = re.findall(
        r"^\| `([a-z]+)` \| `([^`]+)` \| (?:`([A-Z_]+)`|none)[^|]* \| `(max_[a-z_]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) == 9
    for name, address, variable, limit in rows:
        vendor = registry.load_plugin("providers", name)
        found = (vendor.default_address, vendor.default_api_key_env or "", vendor.dialect.output_limit_field)
        assert found == (address, variable, limit), name


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda _: markdown(table()), PAGE.read_text("utf-8")), "utf-8")
