"""A loaded suite as plain data: described for its manifest, and hashed axis by axis for what
resuming compares.

Both are the same on every machine: a path is given relative to the workspace, and a grader's own
file by what it holds.

No key of the language can be forgotten here. A key that is listed in `COMPARED` has a form of its
own below, one in `NOT_COMPARED` has none, and any other that is given a value is described and
compared as it is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import orjson
from msgspec.structs import asdict

from harness.config.fields import SuiteModel
from harness.config.regular_files import read_regular_file
from harness.graders.base import GraderSpec
from harness.hashing import canonical_json, hash_bytes, hash_json
from harness.model import Tool
from harness.suite.model import Prompt
from harness.suite.run_settings import RunSpec
from harness.suite.schema import EvalFields, SuiteFile
from harness.suite.suite import Eval, Suite
from harness.suite.targets.code_targets import CALLABLES, hash_code_files
from harness.suite.targets.target_reader import TargetSpec
from harness.suite.tools import Toolset, describe_action

COMPARED: Mapping[type[SuiteModel], frozenset[str]] = {
    SuiteFile: frozenset({"evals", "targets", "sampling", "sweep", "repeats", "run"}),
    EvalFields: frozenset(
        {
            "prompts",
            "cases",
            "graders",
            "extract",
            "response_format",
            "tools",
            "tool_choice",
            "max_turns",
            "parallel_tool_calls",
            "simulated_user",
        }
    ),
    TargetSpec: frozenset(
        {"provider", "model", "base_url", "extra_body", "functions", "sampling", "simulator"}
    ),
    RunSpec: frozenset({"mode", "stream"}),
}
"""Keys that are compared in a form of their own: as files and references resolve, and as stored
runs have them."""

NOT_COMPARED: Mapping[type[SuiteModel], frozenset[str]] = {
    SuiteFile: frozenset({"suite", "description", "gates", "strict"}),
    EvalFields: frozenset({"description"}),
    TargetSpec: frozenset(
        {
            "name",
            "api_key",
            "api_version",
            "context",
            "env",
            "headers",
            "limits",
            "price",
            "unsupported",
        }
    ),
    RunSpec: frozenset(
        {
            "concurrency",
            "rpm",
            "tpm",
            "timeout",
            "retries",
            "budget",
            "unsupported",
            "model_mismatch",
            "seed",
            "max_error_rate",
            "max_ungraded_rate",
        }
    ),
}
"""Keys that may change while a run is resumed: they say how it is driven, paid, judged or named,
not what is asked."""

_NEWER_THAN_STORED_RUNS = {"max_ungraded_rate"}
"""Settings of a run that the manifests of version 0.1.0 do not have."""

_OF_SUITE_ONLY = SuiteFile.model_fields.keys() - EvalFields.model_fields.keys()


def describe_suite(suite: Suite) -> dict[str, Any]:
    """Prompts' sources, graders, sampling, settings, targets, run limits and gates, as JSON has
    them."""
    return _to_plain(
        {
            "suite": suite.name,
            "description": suite.description,
            "evals": [_describe_eval(each, suite.workspace) for each in suite.evals],
            "targets": [
                target.model_dump(mode="json", exclude_none=True, by_alias=True)
                for target in suite.targets
            ],
            "helpers": [
                target.model_dump(mode="json", exclude_none=True, by_alias=True)
                for target in suite.role_targets
            ],
            "sampling": suite.sampling,
            "settings": suite.settings,
            "excluded": suite.excluded,
            "repeats": suite.repeats,
            "run": _describe_run(suite.run),
            "gates": [gate.text for gate in suite.gates],
            "strict": suite.strict,
            **({"capabilities": suite.capability_overrides} if suite.capability_overrides else {}),
            **_other_suite_keys(suite),
        }
    )


def _describe_run(run: RunSpec) -> dict[str, Any]:
    """Its settings, the newer ones only where they differ from their defaults."""
    changed = run.model_dump(exclude_defaults=True)
    return run.model_dump(mode="json", exclude=_NEWER_THAN_STORED_RUNS - changed.keys())


def fingerprint_suite(suite: Suite) -> dict[str, Any]:
    """Each axis of the plan, as resuming compares it.

    Hashes of `prompts` by "eval/prompt", of `cases` (with their count) and `graders` by eval, of
    `targets` by name; `settings`, `repeats`, `sampling` and `stream` themselves. Where there are
    any: `mode` unless live, hashes of `helpers` (targets that graders ask) by name, and the keys of
    evals, the run and the suite that are in neither list above.
    """
    folder = suite.path.parent
    optional = {
        "mode": None if suite.run.mode == "live" else suite.run.mode,
        "helpers": {
            target.name: hash_json(_describe_target(target, folder))
            for target in suite.role_targets
        },
        "evals": {
            each.name: hash_json(other) for each in suite.evals if (other := _other_eval_keys(each))
        },
        "run": _other_keys(suite.run, RunSpec),
        "suite": _other_suite_keys(suite),
    }
    return _to_plain(
        {
            "prompts": {
                f"{each.name}/{prompt.id}": hash_json(
                    [
                        _describe_turns(prompt),
                        _describe_format(each),
                        *_describe_conversation(each, prompt),
                    ]
                )
                for each in suite.evals
                for prompt in each.prompts
            },
            "cases": {
                each.name: {"count": len(each.cases), "digest": each.cases.digest}
                for each in suite.evals
            },
            "graders": {
                each.name: hash_json(_describe_graders(each, suite.workspace))
                for each in suite.evals
            },
            "targets": {
                target.name: hash_json(_describe_target(target, folder)) for target in suite.targets
            },
            "settings": suite.settings,
            "repeats": suite.repeats,
            "sampling": suite.sampling,
            "stream": suite.run.streams,
            **{axis: value for axis, value in optional.items() if value},
        }
    )


def _other_keys(
    spec: SuiteModel, kind: type[SuiteModel], elsewhere: Collection[str] = ()
) -> dict[str, Any]:
    """The keys of `spec` that are in no list and differ from their defaults, as written."""
    listed = {*COMPARED[kind], *NOT_COMPARED[kind], *elsewhere}
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=listed)


def _other_eval_keys(each: Eval) -> dict[str, Any]:
    return _other_keys(each.written, EvalFields, _OF_SUITE_ONLY)


def _other_suite_keys(suite: Suite) -> dict[str, Any]:
    return _other_keys(suite.written, SuiteFile, EvalFields.model_fields)


def _describe_eval(each: Eval, workspace: Path) -> dict[str, Any]:
    return {
        "name": each.name,
        "description": each.written.description,
        "prompts": [_describe_prompt(prompt, workspace) for prompt in each.prompts],
        "cases": {"count": len(each.cases), "digest": each.cases.digest},
        **({"case_sources": each.case_sources} if each.case_sources else {}),
        "graders": [_describe_grader(spec, workspace) for spec in each.graders],
        "response_format": _describe_format(each),
        **({"tools": _describe_tools(each.toolset)} if each.toolset is not None else {}),
        **(
            {"images": True}
            if each.image_inventory is not None and each.image_inventory.most is not None
            else {}
        ),
        **({"simulated_user": each.persona.to_plain()} if each.persona is not None else {}),
        **_other_eval_keys(each),
    }


def _describe_prompt(prompt: Prompt, workspace: Path) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "turns": _describe_turns(prompt),
        **_later_texts(prompt),
        **_turn_graders(prompt, workspace),
    }


def _describe_turns(prompt: Prompt) -> list[dict[str, Any]]:
    if prompt.text is not None:
        return [{"prompt": prompt.text.source, "raw": prompt.raw}]
    if prompt.function is not None:
        return [{"python": prompt.function.reference}]
    if prompt.conversation is not None:
        return [{"messages": prompt.conversation.source}]
    return [{"role": role, "content": turn.source} for role, turn in prompt.turns]


def _later_texts(prompt: Prompt) -> dict[str, Any]:
    texts = [turn.text.source for turn in prompt.later_turns if turn.text is not None]
    return {"later": texts} if texts else {}


def _turn_graders(prompt: Prompt, workspace: Path) -> dict[str, Any]:
    graders = [
        [_describe_grader(spec, workspace) for spec in turn.graders] for turn in prompt.later_turns
    ]
    return {"turn_graders": graders} if any(graders) else {}


def _describe_graders(each: Eval, workspace: Path) -> list[Any]:
    """The eval's graders, and those of its prompts' turns where there are any; a case's graders
    are in its digest.
    """
    of_turns = {
        prompt.id: turns for prompt in each.prompts if (turns := _turn_graders(prompt, workspace))
    }
    return [
        *(_describe_grader(spec, workspace) for spec in each.graders),
        *([of_turns] if of_turns else []),
    ]


def _describe_conversation(each: Eval, prompt: Prompt) -> list[Any]:
    """Tools, later turns and simulated user; empty for single-turn evals, so that their
    fingerprints stay as stored.
    """
    tools = [] if each.toolset is None else [_describe_tools(each.toolset)]
    user = [] if each.persona is None else [each.persona.to_plain()]
    return [*tools, *_later_texts(prompt).values(), *user]


def _describe_tool(tool: Tool) -> dict[str, Any]:
    """What a tool is; `strict` only where it is given, since stored runs do not have it."""
    return {key: value for key, value in asdict(tool).items() if value is not None}


def _describe_tools(toolset: Toolset) -> dict[str, Any]:
    return {
        "tools": [_describe_tool(tool) for tool in toolset.tools],
        "choice": toolset.choice,
        "parallel": toolset.parallel,
        "max_turns": toolset.conversation.max_turns,
        "actions": {
            name: describe_action(action) for name, action in toolset.conversation.actions.items()
        },
    }


def _describe_format(each: Eval) -> dict[str, Any] | None:
    return None if each.response_format is None else asdict(each.response_format)


def _describe_grader(spec: GraderSpec, workspace: Path) -> dict[str, Any]:
    """The grader as plain data; `sources` holds the hash of each Python file it names."""
    sources: dict[str, str] = {}
    plain = spec.model_dump(exclude={"arguments", "extract"}, exclude_none=True)
    plain["arguments"] = _relative_to_workspace(spec.arguments, workspace, sources)
    if spec.extract:
        plain["extract"] = _relative_to_workspace(spec.extract, workspace, sources)
    return plain | ({"sources": sources} if sources else {})


def _relative_to_workspace(value: Any, workspace: Path, sources: dict[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _relative_to_workspace(item, workspace, sources) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_relative_to_workspace(item, workspace, sources) for item in value]
    if isinstance(value, str) and value.startswith(f"{workspace}/") and ".py:" in value:
        file, _, function = value.rpartition(":")
        shown = Path(file).relative_to(workspace).as_posix()
        sources[shown] = hash_bytes(read_regular_file(file))
        return f"{shown}:{function}"
    return value


def _describe_target(target: TargetSpec, folder: Path) -> list[Any]:
    """The parts of a target that decide what is sent where; for the user's own code, the
    contents of its files.
    """
    simulator = None if target.simulator is None else target.simulator.model_dump(mode="json")
    sent: list[Any] = [
        target.provider,
        target.model,
        target.base_url,
        target.extra_body,
        target.sampling,
        simulator,
    ]
    if target.provider in CALLABLES:
        sent.append(hash_code_files(target, folder))
    if target.functions is not None:
        sent.append(target.functions_sent())
    other = _other_keys(target, TargetSpec)
    return [*sent, other] if other else sent


def _to_plain(value: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = orjson.loads(canonical_json(value))
    return plain
