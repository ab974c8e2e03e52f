"""Everything that is checked of targets against a suite, with all problems in one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from harness.config.diagnostics import Problems
from harness.flows.base import RoleTarget
from harness.model import Target
from harness.preflight.features import check_features, check_mode
from harness.preflight.limits import check_context
from harness.preflight.sampling_support import (
    check_role_targets,
    check_sampling,
    describe_default_limits,
)
from harness.preflight.vision import check_images
from harness.providers.capabilities import CapabilityTable
from harness.suite import Suite


class CheckedTargets(Struct, frozen=True):
    """What the checks found out: the parameters each target is not sent, the targets that help, and
    notes for people.
    """

    dropped: Mapping[str, set[str]]
    role_targets: Mapping[str, RoleTarget]
    notes: tuple[str, ...]


def check_targets(
    suite: Suite, targets: Sequence[Target], everyone: Sequence[Target], table: CapabilityTable
) -> CheckedTargets:
    """Check the targets under test, and among `everyone` those that help. Raises SuiteError with
    all problems.
    """
    problems = Problems()
    notes: list[str] = []
    dropped: Mapping[str, set[str]] = {}
    role_targets: Mapping[str, RoleTarget] = {}
    with problems.gather():
        check_features(suite, targets, table)
    with problems.gather():
        check_mode(suite, targets, table)
    with problems.gather():
        notes += check_images(suite, targets, table)
    with problems.gather():
        check_context(suite, targets, table)
    with problems.gather():
        dropped = check_sampling(suite, targets, table)
    with problems.gather():
        role_targets = check_role_targets(suite, {each.name: each for each in everyone}, table)
    problems.raise_any()
    notes += [
        f"{name}: parameters left out because it does not support them: {', '.join(sorted(each))}"
        for name, each in dropped.items()
    ]
    notes += describe_default_limits(suite, targets)
    return CheckedTargets(dropped, role_targets, tuple(notes))
