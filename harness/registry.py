"""The plug-in registry: finds providers, graders and reporters by name.

Built-ins are registered as `module:attribute` strings and imported when first loaded, so that
naming a grader in a suite imports nothing else. A built-in provider's attribute is a class, made
with its facts (`harness.vendors`). Installed packages add their own through an entry-point group
for each kind (`harness.providers`, `harness.graders`, …), which are read only on a miss or for
`registered_names` (reading them costs tens of milliseconds).
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Literal, get_args

from harness.vendors import PROVIDERS

Kind = Literal["providers", "graders", "extraction", "reporters"]

_references: dict[Kind, dict[str, str]] = {kind: {} for kind in get_args(Kind)}


def register(kind: Kind, name: str, reference: str) -> None:
    """Register `reference` (`module:attribute`) under `name`. Raises ValueError where the name is
    taken."""
    if name in _references[kind]:
        raise ValueError(f"{kind} already has a {name!r}: {_references[kind][name]}")
    _references[kind][name] = reference


@cache
def load_plugin(kind: Kind, name: str) -> Any:
    """The object registered as `name`, imported once. Raises KeyError where there is none."""
    reference = _references[kind].get(name) or _installed_plugins(kind)[name]
    module, _, attribute = reference.partition(":")
    found = getattr(import_module(module), attribute)
    return found(PROVIDERS[name]) if kind == "providers" and name in PROVIDERS else found


def is_registered(kind: Kind, name: str) -> bool:
    """Whether `load_plugin` would find `name`."""
    return name in _references[kind] or name in _installed_plugins(kind)


def registered_names(kind: Kind, *, installed: bool = True) -> list[str]:
    """All names of a kind, sorted; without `installed`, the built-in ones only."""
    return sorted({*_references[kind], *(_installed_plugins(kind) if installed else ())})


@lru_cache
def _installed_plugins(kind: Kind) -> dict[str, str]:
    from importlib.metadata import entry_points  # noqa: PLC0415 — only a miss needs it

    return {point.name: point.value for point in entry_points(group=f"harness.{kind}")}


for _facts in PROVIDERS.values():
    register("providers", _facts.name, _facts.implementation)

for _name, _module in {
    "equals": "text.text_match",
    "contains": "text.text_match",
    "icontains": "text.text_match",
    "starts_with": "text.text_match",
    "ends_with": "text.text_match",
    "regex": "text.regex",
    "one_of": "text.text_match",
    "length": "response.response_measures",
    "number": "values.number",
    "choice": "values.choice",
    "json": "values.json_value",
    "contains_json": "values.json_value",
    "json_schema": "values.schema_validation",
    "latency": "response.response_measures",
    "cost": "response.response_measures",
    "finish_reason": "response.response_measures",
    "python": "functions.python",
    "javascript": "functions.javascript",
    "judge": "judges.judge",
    "tool_calls": "response.tool_use",
    "turns": "response.tool_use",
    "not": "combine",
    "all": "combine",
    "any": "combine",
}.items():
    register("graders", _name, f"harness.graders.{_module}:{_name}_grader")

for _module, _names in {
    "text_steps": "strip lower normalize after before line regex map template",
    "markup_steps": "reasoning fence boxed xml",
    "value_steps": "json number choice python javascript",
}.items():
    for _name in _names.split():
        register("extraction", _name, f"harness.graders.extraction.{_module}:{_name}_step")

for _name in ("console", "markdown", "csv", "html", "junit", "summary"):
    register("reporters", _name, f"harness.reporters.{_name}:render_{_name}")
