"""Reads `extract:`, the steps from an answer to what is graded, into their long form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness import registry
from harness.config.diagnostics import KeyPath, did_you_mean, quote_value
from harness.graders.base import ExtractionStep, GraderSpec
from harness.suite.graders.operation_arguments import ArgumentReader
from harness.suite.source import Source


def read_extraction(value: Any, source: Source, at: KeyPath) -> tuple[dict[str, Any], ...] | None:
    """The steps that `value`, one or a list of them at `at`, means; None where it is None. What is
    wrong is noted."""
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    steps = [_read_step(item, source, (*at, index)) for index, item in enumerate(items)]
    return tuple(step for step in steps if step is not None)


def set_default_extraction(
    specs: Iterable[GraderSpec], steps: tuple[dict[str, Any], ...] | None
) -> tuple[GraderSpec, ...]:
    """The graders, with `steps` where they have none of their own."""
    return tuple(
        spec
        if steps is None or spec.extract is not None
        else spec.model_copy(update={"extract": steps})
        for spec in specs
    )


def _read_step(item: Any, source: Source, at: KeyPath) -> dict[str, Any] | None:
    written = {item: None} if isinstance(item, str) else item
    if not isinstance(written, Mapping) or len(written) != 1:
        source.add_problem(
            at,
            'a step is its name, or its name and arguments such as {after: "####"}, not'
            f" {quote_value(item)}",
        )
        return None
    ((name, bare),) = written.items()
    if not registry.is_registered("extraction", name):
        source.add_problem(
            at if isinstance(item, str) else (*at, name),
            f"there is no extraction step `{name}`;"
            f" {did_you_mean(str(name), registry.registered_names('extraction'))}",
            key=not isinstance(item, str),
        )
        return None
    step: ExtractionStep[Any] = registry.load_plugin("extraction", name)
    reader, where = ArgumentReader(source), (*at, name)
    arguments = reader.expand(step, bare, where)
    if arguments is None:
        return None
    if step.file in arguments:
        arguments[step.file] = reader.resolve_file(name, arguments[step.file], (*where, step.file))
    reader.check(step, arguments, where)
    return {name: arguments}
