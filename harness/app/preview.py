"""What can be said before anything is sent: a suite's problems, its arithmetic, the exact
requests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from harness import registry
from harness.app.failed_trials import find_failed, select_trials
from harness.app.further_requests import describe_further_requests
from harness.app.prepare import PreparedRun, load_checked_suite, prepare
from harness.model import EncodedRequest, Message, Request, Target, Trial
from harness.model.images import readable_text
from harness.providers.base import Provider
from harness.reporters.escape import escape_for
from harness.suite import Overrides
from harness.suite.targets.code_targets import CALLABLES
from harness.vendors.addresses import join_address
from harness.wording import pluralize

DRY_TRIALS = 2
"""Trials of each target that a dry run prints."""

_BASE64 = re.compile(r"[A-Za-z0-9+/]{400,}={0,2}")


def validate_suite(path: Path, *, references: bool = False) -> Iterator[str]:
    """Check a suite and everything it names; lines for a person. Raises SuiteError with every
    problem together."""
    suite = load_checked_suite(path)
    with prepare(suite, {}, live=False) as ready:
        yield f"{path}: {ready.plan.arithmetic}"
        yield from map(escape_for("terminal"), describe_further_requests(ready.plan))
        yield from map(escape_for("terminal"), suite.findings)
        yield from _describe_role_targets(ready)
        yield from _describe_addresses(ready)
        yield from (f"warning: {note}" for note in ready.notes)
        unset = sorted(name for name in ready.variables if not os.environ.get(name))
        yield from (
            f"a run needs the environment variable {name}, which is not set" for name in unset
        )
    if references:
        from harness.app.check_references import (  # noqa: PLC0415
            check_references,
        )

        yield f"{pluralize(check_references(suite), 'expected answer', 'passes')} all graders"
    yield "ok"


def dry_run(path: Path, overrides: Overrides) -> Iterator[str]:
    """The arithmetic, then for each target the first prompts as rendered and their exact requests.
    Nothing is sent."""
    clean = escape_for("terminal")
    suite = load_checked_suite(path, overrides)
    failed_of = None
    if overrides.failed_of is not None:
        from harness.app.find_run import find_run  # noqa: PLC0415 - only this reads runs

        failed_of = find_run(overrides.failed_of, suite=suite.name, workspace=suite.workspace)
    with prepare(suite, {}, live=False) as everything:
        ready = select_trials(everything, find_failed(failed_of), failed_of)
        yield ready.plan.arithmetic
        yield from map(clean, describe_further_requests(ready.plan))
        yield from _describe_role_targets(ready)
        yield from (f"warning: {note}" for note in ready.notes)
        for target in ready.targets:
            provider: Provider = registry.load_plugin("providers", target.provider)
            for trial in islice(ready.plan.trials(target), DRY_TRIALS):
                yield _trial_heading(trial)
                yield from (
                    clean(f"── {message.role}\n{readable_text(message)}")
                    for message in trial.request.messages
                )
                if trial.request.prompt is not None:
                    yield clean(f"── prompt\n{trial.request.prompt}")
                yield clean(_shorten_base64(_request_text(target, provider, trial)))
                yield from map(clean, _describe_later_turns(trial))


def _describe_later_turns(trial: Trial) -> Iterator[str]:
    """How the conversation goes on after the first answer: what is known of it now."""
    goes_on = trial.conversation
    if goes_on is None:
        return
    if goes_on.actions:
        yield (
            "── then its tool calls are executed:"
            f" at most {pluralize(goes_on.max_turns, 'request')}"
        )
    for turn in goes_on.turns:
        yield f"── then, user\n{readable_text(Message('user', turn))}"
    if goes_on.user is not None:
        yield (
            f"── then {goes_on.user.target} plays the user:"
            f" at most {pluralize(goes_on.user.max_turns, 'message')}"
        )


def _describe_role_targets(ready: PreparedRun) -> Iterator[str]:
    """The targets that graders and simulated users ask, if any."""
    clean = escape_for("terminal")
    for name, role_target in ready.role_targets.items():
        yield clean(f"also asks {name} ({role_target.target.provider}, {role_target.target.model})")


def _describe_addresses(ready: PreparedRun) -> Iterator[str]:
    """Where each target's requests go, as far as that is known before variables are filled in."""
    clean = escape_for("terminal")
    for target in ready.everyone:
        if target.simulated or not target.base_url or target.provider in CALLABLES:
            continue
        provider: Provider = registry.load_plugin("providers", target.provider)
        request = Request(
            (Message("user", ""),), sampling=target.sampling, stream=ready.suite.run.stream
        )
        try:
            wire = provider.encode(target, request)
        except ValueError:  # its templates need a real request
            yield clean(f"{target.name}: {target.base_url}")
        else:
            yield clean(f"{target.name}: {wire.method} {join_address(target.base_url, wire.path)}")


def _shorten_base64(text: str) -> str:
    """The text with the bytes of images cut: a page of base64 tells nobody anything."""
    return _BASE64.sub(lambda match: f"{match[0][:40]}…[{len(match[0]):,} characters]", text)


def _trial_heading(trial: Trial) -> str:
    who = trial.identity
    setting = "".join(f" · {name}={value}" for name, value in who.setting.items())
    return (
        f"\n━━ {who.eval} · {who.case} · {who.prompt} · {who.target}{setting} · repeat {who.repeat}"
        f" · key {trial.key}"
    )


def _request_text(target: Target, provider: Provider, trial: Trial) -> str:
    """The request as it would be sent; where the format cannot express it, why nothing would be."""
    try:
        return _encoded_request_text(target, provider.encode(target, trial.request))
    except ValueError as inexpressible:
        return (
            "── no request\nnothing would be sent, and the trial would be an error:"
            f" {inexpressible}"
        )


def _encoded_request_text(target: Target, wire: EncodedRequest) -> str:
    headers = [f"{name}: {value}" for name, value in wire.headers]
    if wire.auth:
        headers.append(f"{wire.auth.header}: {wire.auth.prefix}${{{wire.auth.env}}}")
    head = "\n".join(
        (f"── request\n{wire.method} {join_address(target.base_url, wire.path)}", *headers)
    )
    return f"{head}\n\n{wire.body.decode('utf-8', 'replace')}"
