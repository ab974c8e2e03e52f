"""What is decided before a run, not found out in it: what targets can take, what the budget allows, what the machine has."""

from __future__ import annotations

import resource
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from harness import registry
from harness.errors import Problem, SuiteError, UsageError
from harness.flow import Helper
from harness.model import Message, Request, Target
from harness.plan import Plan
from harness.pricing.cost import upper_bound
from harness.pricing.tiles import image_bound
from harness.pricing.tokens import estimate_request
from harness.providers import capabilities
from harness.suite import Eval, Prompt, Suite
from harness.suite.nouns import Asking, Case
from harness.suite.problems import Place
from harness.suite.templates import TemplateError

SPARE_FILES = 40
"""Open files kept for everything that is no connection: the run folder, the children's pipes, the interpreter."""

FILES = {"command": 8}
"""Open files of one attempt, where it is not one connection: a program's pipes, both ends of each while it starts."""


def check_sampling(suite: Suite, targets: Sequence[Target], table: capabilities.Table) -> dict[str, set[str]]:
    """The parameters each target is not sent, because it cannot take them and the suite agreed to leave them out.

    Raises SuiteError, all at once, for those it did not, and for every value out of range: nothing is clamped.
    """
    problems: list[Problem] = []
    dropped: dict[str, set[str]] = {}
    for spec, target in zip(suite.targets, targets, strict=True):
        may_drop = (spec.unsupported or suite.run.unsupported) == "drop"
        for sampling, stands in _all_sampling(suite, target):
            for violation in capabilities.check(table, target.provider, target.model, sampling, target.api_version):
                if violation.unsupported and may_drop:
                    dropped.setdefault(target.name, set()).add(violation.parameter)
                else:
                    place = stands or _written(suite, target, violation.parameter)
                    message = f"target {target.name!r}: {violation.message}"
                    problems.append(Problem(message, place.path, place.line, place.column))
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    return dropped


def defaulted(suite: Suite, targets: Sequence[Target]) -> Iterator[str]:
    """A sentence on each target whose answers are limited by a default of its service, which the suite does not speak of."""
    for spec, target in zip(suite.targets, targets, strict=True):
        said = "max_tokens" in {**suite.sampling, **spec.sampling} or all("max_tokens" in each for each in suite.settings)
        if not said and "max_tokens" in target.sampling:
            most = f"an answer has at most {target.sampling['max_tokens']:,} tokens"
            yield f"{target.name}: {most}, the service's own limit: the suite sets no max_tokens"


def check_context(suite: Suite, targets: Sequence[Target], table: capabilities.Table) -> None:
    """Raise SuiteError, all at once, where an eval's longest case cannot fit beside its answer."""
    problems: list[Problem] = []
    for target in targets:
        entry = table.find(target.provider, target.model, target.api_version)
        room = target.context or (entry.context if entry else None)
        for each in suite.evals if room else ():
            if each.longest.case is not None and each.longest.place is not None and room is not None:
                problems += _overfull(suite, each, target, room, each.longest.case, each.longest.place)
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))


def _overfull(suite: Suite, each: Eval, target: Target, room: int, case: Case, place: Place) -> Iterator[Problem]:
    settings = ({**target.sampling, **suite.sampling, **(case.sampling or {}), **setting} for setting in suite.settings)
    tools = each.toolset.tools if each.toolset is not None else ()
    answer = max(setting.get("max_tokens") or 0 for setting in settings)
    for prompt in each.prompts:
        try:
            text, turns = prompt.render_text(case.vars), prompt.render(case.vars, case.folder)
        except TemplateError:
            continue  # said by the plan, which renders it again
        tokens = estimate_request(Request(turns, tools=tools, prompt=text, response_format=each.response_format))
        if tokens + answer > room:
            what = f"the case `{case.id}` in the prompt `{prompt.id}` has about {tokens:,} tokens"
            more = f" and its answer may have {answer:,}" if answer else ""
            yield Problem(
                f"target {target.name!r}: {what}{more}: more than the {room:,} that fit; shorten it or lower max_tokens "
                "(or, where the model has more room, say so in the target's `context:`)",
                *place,
            )


def check_forms(suite: Suite, targets: Sequence[Target], table: capabilities.Table) -> None:
    """Raise SuiteError, all at once and each at its place, for what is asked in a form that a target's provider has not."""
    problems = [
        Problem(f"target {target.name!r}: {target.model} on {target.provider} {what}", place.path, place.line, place.column)
        for target in targets
        if (entry := table.find(target.provider, target.model, target.api_version)) is not None
        for each in suite.evals
        for place, what in _forms_missing(each, entry)
    ]
    problems += _cannot_stream(suite, targets, table)
    if problems:
        raise SuiteError(problems)


def _cannot_stream(suite: Suite, targets: Sequence[Target], table: capabilities.Table) -> Iterator[Problem]:
    for target in targets if suite.run.stream else ():
        entry = table.find(target.provider, target.model, target.api_version)
        if entry is not None and entry.streaming is False:
            message = f"target {target.name!r}: {target.model} on {target.provider} cannot stream; set `run: {{stream: false}}`"
            yield Problem(message, *suite.places.get(f"target {target.name}", Place(str(suite.path))))


def _forms_missing(each: Eval, entry: capabilities.Capabilities) -> Iterator[tuple[Place, str]]:
    """What of an eval cannot be asked of a model: where it stands, and what to write instead."""
    for prompt in each.prompts:
        if prompt.text is not None and not entry.prompt:
            yield prompt.place, "takes messages, no plain `prompt:`; write it as {user: …}"
        if not entry.late_system and _system_is_late(prompt):
            yield prompt.place, "takes system text only before the first turn; move it there"
    if each.toolset is not None and each.toolset.place is not None and entry.tools is False:
        yield each.toolset.place, "calls no tools; leave out `tools:`, or the target"
    form = each.response_format
    if form is None or each.format_place is None:
        return
    if form.schema is not None and entry.json_schema is False:
        yield each.format_place, "follows no JSON Schema; ask for `type: json_object`, and say in the prompt what it holds"
    elif form.type == "guided_json" and not entry.guided_json:
        yield each.format_place, "has no guided_json; ask for `type: json_schema`"
    elif form.type == "json_object" and not entry.json_object:
        yield each.format_place, "has no JSON mode without a schema; ask for `type: json_schema`"


def _system_is_late(prompt: Prompt) -> bool:
    roles = [role for role, _ in prompt.turns]
    return "system" in roles[roles.count("system") :]


def check_mode(suite: Suite, targets: Sequence[Target], table: capabilities.Table) -> None:
    """Raise SuiteError where the suite asks in batches and a target's provider, or its service for that model, has none."""
    place = suite.mode_place or Place(str(suite.path))
    problems = [
        Problem(
            f"target {target.name!r}: {target.model} on {target.provider} takes no batches; remove `mode: batch`",
            place.path,
            place.line,
            place.column,
        )
        for target in targets
        if (entry := table.find(target.provider, target.model, target.api_version)) is None or not entry.batch
    ]
    if problems and suite.run.mode == "batch":
        raise SuiteError(problems)


def _all_sampling(suite: Suite, target: Target) -> Iterator[tuple[dict[str, Any], Place | None]]:
    """Each combination of parameters this target would be sent, a `fixed` seed as the number it is.

    Then those of cases alone, as far as the sweep leaves them in force, each with the place of the first such case.
    """
    for setting in suite.settings:
        yield _with_plain_seed({**target.sampling, **suite.sampling, **setting}), None
    swept = frozenset.intersection(*(frozenset(setting) for setting in suite.settings))
    for each in suite.sampled:
        yield _with_plain_seed({name: value for name, value in each.sampling.items() if name not in swept}), each.place


def _with_plain_seed(sampling: dict[str, Any]) -> dict[str, Any]:
    seed = sampling.get("seed")
    return sampling | {"seed": seed["fixed"]} if isinstance(seed, Mapping) else sampling


def _written(suite: Suite, target: Target, parameter: str) -> Place:
    """Where what a target would be sent for `parameter` is written: in the suite, else it is the target's own."""
    in_suite = parameter in suite.sampling or any(parameter in setting for setting in suite.settings)
    found = suite.places.get(parameter) if in_suite else suite.places.get(f"target {target.name}")
    return found or Place(str(suite.path))


def check_images(suite: Suite, targets: Sequence[Target], table: capabilities.Table) -> list[str]:
    """Raise SuiteError, all at once, for images that a target cannot see or does not take; sentences on what is not known."""
    problems: list[Problem] = []
    notes: list[str] = []
    for each in (each for each in suite.evals if each.album is not None and each.album.most is not None):
        for target in targets:
            able = table.find(target.provider, target.model, target.api_version)
            if able is not None and able.vision is None:
                notes.append(f"{target.name}: whether {target.model} can see images is not known; it is sent them")
            problems += _unseen(each, target) if able is not None and able.vision is False else _too_large(each, target, able)
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    return list(dict.fromkeys(notes))


def _unseen(evaluation: Eval, target: Target) -> Iterator[Problem]:
    """Each prompt that shows images; where only cases do, in turns of their own, one of these."""
    blind = f"target {target.name!r}: {target.model} on {target.provider} cannot see images"
    showing = [prompt for prompt in evaluation.prompts if prompt.illustrated]
    for prompt in showing:
        yield Problem(f"{blind}, and the prompt `{prompt.id}` shows some; leave one of them out", *prompt.place)
    if not showing and evaluation.album is not None:
        seen = next(iter(evaluation.album.widest.values()))
        yield Problem(f"{blind}, and the case `{seen.case}` shows one; leave one of them out", *seen.place)


def _too_large(evaluation: Eval, target: Target, able: capabilities.Capabilities | None) -> Iterator[Problem]:
    """What of an eval's images a target does not take: of each type the largest is named."""
    album = evaluation.album
    limits = able.images if able is not None else None
    if album is None or limits is None:
        return
    who = f"target {target.name!r}: {target.model} on {target.provider}"
    for seen in (*album.heaviest.values(), *album.widest.values()):
        if limits.types and seen.media_type not in limits.types:
            allowed = ", ".join(each.removeprefix("image/") for each in limits.types)
            yield Problem(f"{who} takes {allowed}, and the case `{seen.case}` shows {seen.media_type}; convert it", *seen.place)
        if limits.max_bytes is not None and seen.size > limits.max_bytes:
            text = f"images of at most {limits.max_bytes:,} bytes, and the case `{seen.case}` shows one of {seen.size:,}"
            yield Problem(f"{who} takes {text}; make it smaller", *seen.place)
        if limits.max_side is not None and seen.side > limits.max_side:
            text = f"images of at most {limits.max_side:,} pixels a side, and the case `{seen.case}` shows one of {seen.side:,}"
            yield Problem(f"{who} takes {text}; make it smaller", *seen.place)
    if limits.max_count is not None and album.most is not None and album.most[0] > limits.max_count:
        count, case, place = album.most
        yield Problem(f"{who} takes {limits.max_count} images a request, and the case `{case}` shows {count}", *place)


def check_helpers(suite: Suite, targets: Mapping[str, Target], table: capabilities.Table) -> dict[str, Helper]:
    """The targets that graders ask, by name, with what each of them can do.

    Raises SuiteError, all at once, for parameters they cannot take, at the place of the grader that sends them.
    """
    helpers: dict[str, Helper] = {}
    problems: list[Problem] = []
    for spec in suite.helpers:
        target = targets[spec.name]
        may_drop, dropped = (spec.unsupported or suite.run.unsupported) == "drop", set()
        for asking in (each for each in suite.asked if each.target == spec.name):
            sampling = {**target.sampling, **asking.sampling}
            for violation in capabilities.check(table, target.provider, target.model, sampling, target.api_version):
                if violation.unsupported and may_drop:
                    dropped.add(violation.parameter)
                else:
                    problems.append(_refused(asking, violation))
        entry = table.find(target.provider, target.model, target.api_version)
        helpers[spec.name] = Helper(target, bool(entry and entry.json_schema), frozenset(dropped))
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    return helpers


def _refused(asking: Asking, violation: capabilities.Violation) -> Problem:
    message = f"target {asking.target!r}, as it is asked here: {violation.message}"
    if not violation.unsupported and violation.parameter in ("temperature", "max_tokens"):  # the ones with a default
        message += f"; give another `sampling: {{{violation.parameter}: …}}` here"
    return Problem(message, asking.place.path, asking.place.line, asking.place.column)


def check_budget(plan: Plan, helpers: Collection[Helper] = ()) -> None:
    """Raise UsageError where the suite's budget cannot hold: an unpriced target, an unlimited answer, too little for one."""
    budget = plan.suite.run.budget
    if budget is None:
        return
    path = plan.suite.path
    for target in (*plan.targets, *(helper.target for helper in helpers)):
        if target.price is None:
            raise UsageError(
                f"{path}: a budget needs the price of every target, and {target.name!r} has none; give it "
                "`price: {input: …, output: …}` in dollars per million tokens, or leave `budget:` out"
            )
    for target in plan.targets:
        most = _most(plan, target)
        if most is None:
            raise UsageError(
                f"{path}: a budget needs a limit on each answer of {target.name!r}; set `sampling: {{max_tokens: …}}`"
            )
        if most > budget:
            raise UsageError(
                f"{path}: the budget of ${budget} is below what a single request to {target.name!r} may cost (${most:.6f}); "
                "raise it, or lower max_tokens"
            )


def _most(plan: Plan, target: Target) -> float | None:
    """The most that the first request to `target` can cost in US dollars; None where nothing limits its answer or its price."""
    if target.price is None:
        return None
    first = next(plan.trials(target))
    seen = image_bound(target.model)
    return upper_bound(first.request, target.price, target.context, image_tokens=seen, extra_body=target.extra_body)


def check_parallel_calls(plan: Plan) -> None:
    """Raise SuiteError where a suite says whether calls may come several at a time, and a target's API has no word for it.

    It has none where saying so changes nothing of what is sent.
    """
    problems = []
    for target in plan.targets:
        encode = registry.load("providers", target.provider).encode
        for each in plan.suite.evals:
            tools = each.toolset
            if tools is None or tools.parallel is None:
                continue
            request = Request((Message("user", ""),), target.sampling, tools=tools.tools, tool_choice=tools.choice)
            said = replace(request, parallel_tool_calls=tools.parallel)
            if encode(target, said) == encode(target, request):
                message = f"target {target.name!r}: {target.provider} has no `parallel_tool_calls`; remove it"
                problems.append(Problem(message, *(tools.place or ())))
    if problems:
        raise SuiteError(problems)


def within_open_files(targets: tuple[Target, ...]) -> tuple[tuple[Target, ...], list[str]]:
    """The targets, their concurrency clipped to what the process may open, and a sentence where that changed anything."""
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
        replace(each, limits=replace(each.limits, concurrency=min(each.limits.concurrency, most))) for each in targets
    )
    return clipped, [
        f"concurrency is clipped to {most} for each target: this process may have only {soft} open files; "
        "raise that with `ulimit -n`"
    ]
