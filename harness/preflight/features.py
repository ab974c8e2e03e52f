"""In which forms a target can be asked: plain prompts, streams, tools, schemas, batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from harness import registry
from harness.config.diagnostics import Place
from harness.errors import Problem, SuiteError
from harness.model import SYSTEM_ROLES, Message, Request, Target
from harness.plan import Plan
from harness.providers import capabilities
from harness.suite import Eval, Prompt, Suite
from harness.suite.tools import Toolset
from harness.vendors.facts import Capabilities


def check_features(
    suite: Suite, targets: Sequence[Target], table: capabilities.CapabilityTable
) -> None:
    """Raise SuiteError, all at once and each at its place, for what is asked in a form that a
    target's provider has not."""
    problems = [
        Problem(
            f"target {target.name!r}: {target.model} on {target.provider} {what}",
            place.path,
            place.line,
            place.column,
        )
        for target in targets
        if (entry := table.find(target.provider, target.model, target.api_version)) is not None
        for each in suite.evals
        for place, what in _missing_features(each, entry)
    ]
    problems += _stream_problems(suite, targets, table)
    if problems:
        raise SuiteError(problems)


def _stream_problems(
    suite: Suite, targets: Sequence[Target], table: capabilities.CapabilityTable
) -> Iterator[Problem]:
    for target in targets if suite.run.stream else ():
        entry = table.find(target.provider, target.model, target.api_version)
        if entry is not None and entry.streaming is False:
            message = (
                f"target {target.name!r}: {target.model} on {target.provider} cannot stream; set"
                " `run: {stream: false}`"
            )
            yield Problem(message, *suite.place_of(target.name))


def _missing_features(each: Eval, entry: Capabilities) -> Iterator[tuple[Place, str]]:
    """What of an eval cannot be asked of a model: where it stands, and what to write instead."""
    for prompt in each.prompts:
        if prompt.text is not None and not entry.prompt:
            yield prompt.place, "takes messages, not a plain `prompt:`; write it as {user: …}"
        if not entry.late_system and _has_late_system_message(prompt):
            yield (
                prompt.place,
                "accepts system messages only before the first turn; move this one there",
            )
    if each.toolset is not None and each.toolset.place is not None and entry.tools is False:
        yield each.toolset.place, "does not support tools; remove `tools:`, or the target"
    form = each.response_format
    if form is None or each.format_place is None:
        return
    if form.schema is not None and entry.json_schema is False:
        yield (
            each.format_place,
            (
                "does not support JSON Schema; use `type: json_object`, and say in the prompt"
                " which keys it has"
            ),
        )
    elif form.type == "guided_json" and not entry.guided_json:
        yield each.format_place, "does not support guided_json; use `type: json_schema`"
    elif form.type == "json_object" and not entry.json_object:
        yield each.format_place, "has no JSON mode without a schema; use `type: json_schema`"


def _has_late_system_message(prompt: Prompt) -> bool:
    system = [role in SYSTEM_ROLES for role, _ in prompt.turns]
    return any(system[system.count(True) :])


def check_mode(
    suite: Suite, targets: Sequence[Target], table: capabilities.CapabilityTable
) -> None:
    """Raise SuiteError where the suite asks in batches and a target's provider, or its service for
    that model, has none."""
    place = suite.mode_place or Place(str(suite.path))
    problems = [
        Problem(
            f"target {target.name!r}: {target.model} on {target.provider} does not support"
            " batches; remove `mode: batch`",
            place.path,
            place.line,
            place.column,
        )
        for target in targets
        if (entry := table.find(target.provider, target.model, target.api_version)) is None
        or not entry.batch
    ]
    if problems and suite.run.mode == "batch":
        raise SuiteError(problems)


def check_parallel_calls(plan: Plan) -> None:
    """Raise SuiteError where a suite says whether calls may come several at a time, or are held to
    a tool's parameters, and a target's API has no word for it."""
    problems = [
        Problem(
            f"target {target.name!r}: {target.provider} has no `{key}`; remove it",
            *(each.toolset.place or ()),
        )
        for target in plan.targets
        for each in plan.suite.evals
        if each.toolset is not None
        for key in _unsaid_keys(target, each.toolset)
    ]
    if problems:
        raise SuiteError(problems)


def check_services(plan: Plan) -> None:
    """Raise SuiteError where the templates of a target's `http:` fail for its first trial."""
    problems = []
    for target in plan.targets:
        trial = None if target.service is None else next(plan.trials(target), None)
        if trial is None:
            continue
        try:
            registry.load_plugin("providers", target.provider).encode(target, trial.request)
        except ValueError as failed:
            problems.append(Problem(str(failed), *plan.suite.place_of(target.name)))
    if problems:
        raise SuiteError(problems)


def _unsaid_keys(target: Target, tools: Toolset) -> Iterator[str]:
    """The keys of the tools that a target has no word for: they change nothing of what is sent."""
    encode = registry.load_plugin("providers", target.provider).encode
    request = Request(
        (Message("user", ""),), target.sampling, tools=tools.tools, tool_choice=tools.choice
    )
    if tools.parallel is not None:
        said = replace(request, parallel_tool_calls=tools.parallel)
        if encode(target, said) == encode(target, request):
            yield "parallel_tool_calls"
    stricter, looser = (
        tuple(replace(tool, strict=strict) for tool in tools.tools) for strict in (True, False)
    )
    if any(tool.strict is not None for tool in tools.tools) and encode(
        target, replace(request, tools=stricter)
    ) == encode(target, replace(request, tools=looser)):
        yield "strict"
