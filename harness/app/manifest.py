"""A run's manifest: its origin, and what it planned."""

from __future__ import annotations

import os
import platform
import secrets
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import __version__
from harness.app.failed_trials import selection_fingerprint
from harness.app.prepare import PreparedRun
from harness.errors import UsageError
from harness.model import Manifest, Target
from harness.pricing.changes import price_facts
from harness.suite import Overrides, Suite, describe_suite, fingerprint_suite


def new_folder(suite: Suite) -> Path:
    """`<workspace>/reports/runs/<suite>/<UTC time>-<id>`."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    return suite.workspace / "reports" / "runs" / suite.name / f"{moment}-{secrets.token_hex(2)}"


def new_manifest(ready: PreparedRun, folder: Path, overrides: Overrides) -> Manifest:
    """What `folder` will say of itself: everything but its sessions."""
    suite = ready.suite
    commit, dirty = _git_commit(suite.workspace)
    return Manifest(
        id=Path(os.path.realpath(folder)).name,
        suite=suite.name,
        description=suite.description,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        suite_path=os.path.relpath(suite.path, folder),
        planned=len(ready.plan),
        arithmetic=ready.plan.arithmetic,
        seed=suite.run.seed,
        plan={**fingerprint_suite(suite), **selection_fingerprint(ready.plan.only)},
        targets={target.name: _target_facts(target) for target in ready.targets},
        helpers={name: _target_facts(each.target) for name, each in ready.role_targets.items()},
        gates=tuple(gate.model_dump(mode="json") for gate in suite.gates),
        max_error_rate=suite.run.max_error_rate,
        max_ungraded_rate=suite.run.max_ungraded_rate,
        strict=suite.strict,
        budget=None if suite.run.budget is None else float(suite.run.budget),
        options=overrides.to_json(),
        resolved=describe_suite(suite),
        versions={"evalharness": __version__, "python": platform.python_version()},
        machine={"system": platform.platform(), "processors": os.cpu_count()},
        commit=commit,
        dirty=dirty,
        notes=ready.notes,
    )


def _target_facts(target: Target) -> dict[str, Any]:
    """What a report says of a target; no API key, no resolved port."""
    return {
        "provider": target.provider,
        "model": target.model,
        "address": target.address,
        "api_version": target.api_version,
        "simulated": target.simulated,
        "sampling": dict(target.sampling),
        "price": price_facts(target.price),
    }


def _git_commit(folder: Path) -> tuple[str | None, bool]:
    """The workspace's git commit, and whether files differ from it; (None, False) where there is no
    git."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *words],
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return commit, bool(commit and git("status", "--porcelain", "--untracked-files=no"))


def suite_path(folder: Path, manifest: Manifest) -> Path:
    """Where the run's suite is, seen from its folder. Raises UsageError where it is no more."""
    path = Path(os.path.normpath(folder.resolve() / manifest.suite_path))
    if not path.is_file():
        raise UsageError(
            f"{folder}: its suite file {path} no longer exists; restore it to continue the run"
        )
    return path
