"""What is decided before a run, not found out in it: what targets can take, what the budget allows,
what the machine has."""

from harness.preflight.features import (
    check_features,
    check_mode,
    check_parallel_calls,
    check_services,
)
from harness.preflight.limits import (
    check_budget,
    check_context,
    describe_token_rates,
    fit_open_files,
)
from harness.preflight.sampling_support import (
    check_role_targets,
    check_sampling,
    describe_default_limits,
)
from harness.preflight.vision import check_images

__all__ = [
    "check_budget",
    "check_context",
    "check_features",
    "check_images",
    "check_mode",
    "check_parallel_calls",
    "check_role_targets",
    "check_sampling",
    "check_services",
    "describe_default_limits",
    "describe_token_rates",
    "fit_open_files",
]
