"""What is decided before a run, not found out in it: what targets can take, what the budget allows, what the machine has."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.errors import Problem, SuiteError, UsageError
from harness.model import Target
from harness.plan import Plan
from harness.pricing.cost import upper_bound
from harness.providers import capabilities
from harness.suite import Suite

SPARE_FILES = 40
"""Open files kept for everything that is no connection: the run folder, the children's pipes, the interpreter."""


def check_sampling(suite: Suite, targets: Sequence[Target], table: capabilities.Table) -> dict[str, set[str]]:
    """The parameters each target is not sent, because it cannot take them and the suite agreed to leave them out.

    Raises SuiteError, all at once, for those it did not, and for every value out of range: nothing is clamped.
    """
    problems: list[Problem] = []
    dropped: dict[str, set[str]] = {}
    for spec, target in zip(suite.targets, targets, strict=True):
        may_drop = (spec.unsupported or suite.run.unsupported) == "drop"
        for sampling in _all_sampling(suite, target):
            for violation in capabilities.check(table, target.provider, target.model, sampling, target.api_version):
                if violation.unsupported and may_drop:
                    dropped.setdefault(target.name, set()).add(violation.parameter)
                else:
                    problems.append(Problem(f"target {target.name!r}: {violation.message}", str(suite.path)))
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    return dropped


def _all_sampling(suite: Suite, target: Target) -> Iterator[dict[str, Any]]:
    """Each combination of parameters this target would be sent; a `fixed` seed as the number it is."""
    for setting in suite.settings:
        merged = {**target.sampling, **suite.sampling, **setting}
        seed = merged.get("seed")
        yield merged | {"seed": seed["fixed"]} if isinstance(seed, Mapping) else merged


def check_budget(plan: Plan) -> None:
    """Raise UsageError where the suite's budget cannot hold: an unpriced target, an unlimited answer, too little for one."""
    budget = plan.suite.run.budget
    if budget is None:
        return
    path = plan.suite.path
    for target in plan.targets:
        if target.price is None:
            raise UsageError(
                f"{path}: a budget needs the price of every target, and {target.name!r} has none; give it "
                "`price: {input: …, output: …}` in dollars per million tokens, or leave `budget:` out"
            )
        first = next(plan.trials(target))
        most = upper_bound(first.request, target.price, target.context, extra_body=target.extra_body)
        if most is None:
            raise UsageError(
                f"{path}: a budget needs a limit on each answer of {target.name!r}; set `sampling: {{max_tokens: …}}`"
            )
        if most > budget:
            raise UsageError(
                f"{path}: the budget of ${budget} is below what a single request to {target.name!r} may cost (${most:.6f}); "
                "raise it, or lower max_tokens"
            )


def within_open_files(targets: tuple[Target, ...]) -> tuple[tuple[Target, ...], list[str]]:
    """The targets, their concurrency clipped to what the process may open, and a sentence where that changed anything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sum(target.limits.concurrency for target in targets) + SPARE_FILES
    if soft < wanted and (hard == resource.RLIM_INFINITY or hard > soft):
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if wanted <= soft:
        return targets, []
    most = max(1, (soft - SPARE_FILES) // len(targets))
    clipped = tuple(
        replace(each, limits=replace(each.limits, concurrency=min(each.limits.concurrency, most))) for each in targets
    )
    return clipped, [
        f"concurrency is clipped to {most} for each target: this process may have only {soft} open files; "
        "raise that with `ulimit -n`"
    ]
