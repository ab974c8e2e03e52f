"""A loaded suite as plain data: described for its manifest, and hashed axis by axis for what resuming compares.

Both are the same on every machine: a path is given relative to the workspace, and a grader's own file by what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from msgspec.structs import asdict

from harness.suite.cases.case_index import canonical, hash64
from harness.suite.targets.code_targets import CALLABLES, digest
from harness.suite.toolset import portable

if TYPE_CHECKING:
    from harness.suite.model import GraderSpec, Prompt
    from harness.suite.suite import Eval, Suite
    from harness.suite.targets.target_reader import TargetSpec
    from harness.suite.toolset import Toolset


def resolved(suite: Suite) -> dict[str, Any]:
    """Prompts' sources, graders, sampling, settings, targets, run limits and gates, as JSON has them."""
    return _plain(
        {
            "suite": suite.name,
            "description": suite.description,
            "evals": [_eval(each, suite.workspace) for each in suite.evals],
            "targets": [target.model_dump(mode="json", exclude_none=True, by_alias=True) for target in suite.targets],
            "helpers": [target.model_dump(mode="json", exclude_none=True, by_alias=True) for target in suite.helpers],
            "sampling": suite.sampling,
            "settings": suite.settings,
            "excluded": suite.excluded,
            "repeats": suite.repeats,
            "run": suite.run.model_dump(mode="json"),
            "gates": [gate.text for gate in suite.gates],
            "strict": suite.strict,
            **({"capabilities": suite.abilities} if suite.abilities else {}),
        }
    )


def fingerprint(suite: Suite) -> dict[str, Any]:
    """Each axis of the plan: hashes of `prompts` by "eval/prompt", of `cases` (with their count) and `graders` by eval, of
    `targets` by name, and of `helpers` where there are any; then `settings`, `repeats`, `sampling`, `stream` and, where it is
    not live, `mode` themselves.
    """
    helpers = {target.name: _digest(_sent(target, suite.path.parent)) for target in suite.helpers}
    return _plain(
        {
            "prompts": {
                f"{each.name}/{prompt.id}": _digest([_turns(prompt), _format(each), *_conversing(each, prompt)])
                for each in suite.evals
                for prompt in each.prompts
            },
            "cases": {each.name: {"count": len(each.cases), "digest": each.cases.digest} for each in suite.evals},
            "graders": {each.name: _digest(_graders(each, suite.workspace)) for each in suite.evals},
            "targets": {target.name: _digest(_sent(target, suite.path.parent)) for target in suite.targets},
            "settings": suite.settings,
            "repeats": suite.repeats,
            "sampling": suite.sampling,
            "stream": suite.run.streams,
            **({} if suite.run.mode == "live" else {"mode": suite.run.mode}),
            **({"helpers": helpers} if helpers else {}),
        }
    )


def _eval(each: Eval, workspace: Path) -> dict[str, Any]:
    return {
        "name": each.name,
        "description": each.description,
        "prompts": [_prompt(prompt, workspace) for prompt in each.prompts],
        "cases": {"count": len(each.cases), "digest": each.cases.digest},
        "graders": [_grader(spec, workspace) for spec in each.graders],
        "response_format": _format(each),
        **({"tools": _tools(each.toolset)} if each.toolset is not None else {}),
        **({"images": True} if each.album is not None and each.album.most is not None else {}),
        **({"simulated_user": each.persona.plain()} if each.persona is not None else {}),
    }


def _prompt(prompt: Prompt, workspace: Path) -> dict[str, Any]:
    return {"id": prompt.id, "turns": _turns(prompt), **_later(prompt), **_turn_graders(prompt, workspace)}


def _turns(prompt: Prompt) -> list[dict[str, Any]]:
    if prompt.text is not None:
        return [{"prompt": prompt.text.source, "raw": prompt.raw}]
    return [{"role": role, "content": turn.source} for role, turn in prompt.turns]


def _later(prompt: Prompt) -> dict[str, Any]:
    said = [turn.text.source for turn in prompt.later if turn.text is not None]
    return {"later": said} if said else {}


def _turn_graders(prompt: Prompt, workspace: Path) -> dict[str, Any]:
    graders = [[_grader(spec, workspace) for spec in turn.graders] for turn in prompt.later]
    return {"turn_graders": graders} if any(graders) else {}


def _graders(each: Eval, workspace: Path) -> list[Any]:
    """The eval's graders, and those of its prompts' turns where there are any; those of a case are the case's."""
    of_turns = {prompt.id: turns for prompt in each.prompts if (turns := _turn_graders(prompt, workspace))}
    return [*(_grader(spec, workspace) for spec in each.graders), *([of_turns] if of_turns else [])]


def _conversing(each: Eval, prompt: Prompt) -> list[Any]:
    """What follows a prompt's first answer: nothing for most, so that older runs can be resumed."""
    tools = [] if each.toolset is None else [_tools(each.toolset)]
    user = [] if each.persona is None else [each.persona.plain()]
    return [*tools, *_later(prompt).values(), *user]


def _tools(toolset: Toolset) -> dict[str, Any]:
    return {
        "tools": [asdict(tool) for tool in toolset.tools],
        "choice": toolset.choice,
        "parallel": toolset.parallel,
        "max_turns": toolset.conversation.max_turns,
        "actions": {name: portable(action) for name, action in toolset.conversation.actions.items()},
    }


def _format(each: Eval) -> dict[str, Any] | None:
    return None if each.response_format is None else asdict(each.response_format)


def _grader(spec: GraderSpec, workspace: Path) -> dict[str, Any]:
    """The grader as plain data; `sources` holds the hash of each Python file it names."""
    sources: dict[str, str] = {}
    plain = spec.model_dump(exclude={"arguments", "templated"}, exclude_none=True)
    plain["arguments"] = _portable(spec.arguments, workspace, sources)
    return plain | ({"sources": sources} if sources else {})


def _portable(value: Any, workspace: Path, sources: dict[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _portable(item, workspace, sources) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(item, workspace, sources) for item in value]
    if isinstance(value, str) and value.startswith(f"{workspace}/") and ".py:" in value:
        file, _, function = value.rpartition(":")
        shown = Path(file).relative_to(workspace).as_posix()
        sources[shown] = f"{hash64(Path(file).read_bytes()):016x}"
        return f"{shown}:{function}"
    return value


def _sent(target: TargetSpec, folder: Path) -> list[Any]:
    """What of a target decides what is sent, and to whom; of the user's own code, what its files in `folder` hold."""
    simulator = None if target.simulator is None else target.simulator.model_dump(mode="json")
    sent = [target.provider, target.model, target.base_url, target.extra_body, target.sampling, simulator]
    if target.provider in CALLABLES:
        sent.append(digest(target, folder))
    return sent if target.functions is None else [*sent, target.functions_sent()]


def _digest(value: Any) -> str:
    return f"{hash64(canonical(value)):016x}"


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = orjson.loads(canonical(value))
    return plain
