"""What is decided before a run, not found out in it: what targets can take, what the budget allows,
what the machine has."""

from harness.preflight.features import check_parallel_calls, check_services
from harness.preflight.limits import check_budget, describe_token_rates, fit_open_files
from harness.preflight.target_checks import check_targets

__all__ = [
    "check_budget",
    "check_parallel_calls",
    "check_services",
    "check_targets",
    "describe_token_rates",
    "fit_open_files",
]
