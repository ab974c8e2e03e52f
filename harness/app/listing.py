"""`harness list`: describes each provider, grader and target in a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from harness import registry
from harness.app.prepare import find_price
from harness.graders.base import GraderType
from harness.reporters.escape import escape_for
from harness.suite import TargetSpec, named_targets
from harness.suite.targets.target_reader import SIMULATOR
from harness.vendors import PROVIDERS

Row = tuple[str, str]


def list_names(
    what: Literal["all", "providers", "graders", "targets"], suites: Path
) -> Iterator[str]:
    """The names that a suite can use, each with a line on it, under headings.

    `suites` is the folder whose targets.yaml is read. Raises SuiteError where that is invalid.
    """
    kinds: dict[str, tuple[str, Callable[[], list[Row]]]] = {
        "providers": ("providers", _provider_rows),
        "graders": (
            "graders (passes if the answer …: arguments, optional ones in brackets)",
            _grader_rows,
        ),
        "targets": ("targets", lambda: [_target_row(spec) for spec in named_targets(suites)]),
    }
    clean = escape_for("terminal")
    for kind, (heading, list_rows) in kinds.items():
        if what in ("all", kind):
            rows = list_rows()
            width = max(len(name) for name, _ in rows)
            yield f"{heading}:"
            yield from (clean(f"  {name:<{width}}  {text}".rstrip()) for name, text in rows)


def _provider_rows() -> list[Row]:
    simulator = (SIMULATOR, "simulated models on this machine; no API key, no network")
    return [*map(_provider_row, registry.registered_names("providers")), simulator]


def _provider_row(name: str) -> Row:
    facts = PROVIDERS.get(name)
    if facts is None:
        return name, "installed by a plug-in"
    return name, "; ".join(filter(None, (facts.summary, facts.address, facts.api_key_env)))


def _grader_rows() -> list[Row]:
    return [_grader_row(name) for name in registry.registered_names("graders")]


def _grader_row(name: str) -> Row:
    """What the grader looks for, and its arguments: first the one that a bare value sets."""
    grader: GraderType[Any] = registry.load_plugin("graders", name)
    fields = {field.alias or key: field for key, field in grader.arguments.model_fields.items()}
    arguments = [
        name if fields[name].is_required() else f"[{name}]"
        for name in sorted(fields, key=lambda name: name != grader.short)
    ]
    return name, f"{grader.summary}: {', '.join(arguments)}".removeprefix(": ")


def _target_row(spec: TargetSpec) -> Row:
    price = find_price(spec)
    cost = "price unknown" if price is None else f"${price.input} in, ${price.output} out per MTok"
    return spec.name, f"{spec.provider}, {spec.model}; {cost}"
