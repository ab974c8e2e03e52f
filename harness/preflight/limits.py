"""What there is room for: in a model's context, in the budget, in the process's open files."""

from __future__ import annotations

import resource
from collections.abc import Collection, Iterator, Sequence

from msgspec.structs import replace

from harness.config.diagnostics import Place
from harness.config.templates import TemplateError
from harness.errors import Problem, SuiteError, UsageError
from harness.flows.base import RoleTarget
from harness.model import Request, Target
from harness.plan import Plan
from harness.pricing.cost import output_bound, request_bound
from harness.pricing.tokens import estimate_request
from harness.providers import capabilities
from harness.suite import Eval, Suite
from harness.suite.model import Case

SPARE_FILES = 40
"""Open files kept for everything that is no connection: the run folder, the children's pipes, the
interpreter."""

FILES = {"command": 8}
"""Open files of one attempt, where it is not one connection: a program's pipes, both ends of each
while it starts."""


def check_context(
    suite: Suite, targets: Sequence[Target], table: capabilities.CapabilityTable
) -> None:
    """Raise SuiteError, all at once, where an eval's longest case cannot fit beside its answer."""
    problems: list[Problem] = []
    for target in targets:
        entry = table.find(target.provider, target.model, target.api_version)
        room = target.context or (entry.context if entry else None)
        for each in suite.evals if room else ():
            if (
                each.longest_case.case is not None
                and each.longest_case.place is not None
                and room is not None
            ):
                problems += _context_problems(
                    suite, each, target, room, each.longest_case.case, each.longest_case.place
                )
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))


def _context_problems(
    suite: Suite, each: Eval, target: Target, room: int, case: Case, place: Place
) -> Iterator[Problem]:
    settings = (
        suite.merge_sampling(target.sampling, case.sampling, setting) for setting in suite.settings
    )
    tools = each.toolset.tools if each.toolset is not None else ()
    answer = max(setting.get("max_tokens") or 0 for setting in settings)
    for prompt in (one for one in each.prompts if case.is_asked_in(one.id)):
        try:
            text, turns = prompt.render_text(case.vars), prompt.render(case.vars, case.folder)
        except TemplateError:
            continue  # said by the plan, which renders it again
        tokens = estimate_request(
            Request(turns, tools=tools, prompt=text, response_format=each.response_format)
        )
        if tokens + answer > room:
            what = f"the case `{case.id}` in the prompt `{prompt.id}` has about {tokens:,} tokens"
            more = f" and its answer may have {answer:,}" if answer else ""
            yield Problem(
                f"target {target.name!r}: {what}{more}: more than the {room:,} that fit; shorten it"
                " or lower max_tokens (or, where the model has more room, say so in the target's"
                " `context:`)",
                *place,
            )


def check_budget(plan: Plan, role_targets: Collection[RoleTarget] = ()) -> None:
    """Raise UsageError where the suite's budget cannot hold: an unpriced target, an unlimited
    answer, too little for one."""
    budget = plan.suite.run.budget
    if budget is None:
        return
    place = plan.suite.places.get("budget", plan.suite.path)
    for target in (*plan.targets, *(each.target for each in role_targets)):
        if target.price is None:
            raise UsageError(
                f"{place}: a budget needs the price of every target, and {target.name!r} has none;"
                " give it `price: {input: …, output: …}` in dollars per million tokens, or leave"
                " `budget:` out"
            )
    for target in plan.targets:
        most = request_bound(next(plan.trials(target)).request, target)
        if most is None:
            raise UsageError(
                f"{place}: a budget needs a limit on each answer of {target.name!r}; set `sampling:"
                " {max_tokens: …}` (and, where `extra_body:` asks for several samples, as a number)"
            )
        if most > budget:
            raise UsageError(
                f"{place}: the budget of ${budget:f} is below what a single request to"
                f" {target.name!r} may cost (${most:.6f}); raise it, or lower max_tokens"
            )


def describe_token_rates(plan: Plan) -> Iterator[str]:
    """A sentence on each target whose tokens per minute are limited and whose answers are not."""
    for target in plan.targets:
        first = next(plan.trials(target), None) if target.limits.tpm is not None else None
        if first is not None and output_bound(first.request, None, target.extra_body) is None:
            yield (
                f"{target.name}: answers have no length limit, so `tpm` charges each the mean of"
                " those before it; set max_tokens to keep the limit exactly"
            )


def fit_open_files(targets: tuple[Target, ...]) -> tuple[tuple[Target, ...], list[str]]:
    """The targets, their concurrency clipped to what the process may open, and a sentence where
    that changed anything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    each_needs = max((FILES.get(target.provider, 1) for target in targets), default=1)
    wanted = sum(target.limits.concurrency for target in targets) * each_needs + SPARE_FILES
    if soft < wanted and (hard == resource.RLIM_INFINITY or hard > soft):
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if wanted <= soft:
        return targets, []
    most = max(1, (soft - SPARE_FILES) // len(targets) // each_needs)
    clipped = tuple(
        replace(each, limits=replace(each.limits, concurrency=min(each.limits.concurrency, most)))
        for each in targets
    )
    return clipped, [
        f"concurrency is limited to {most} for each target: this process may open only {soft}"
        " files; raise that with `ulimit -n`"
    ]
