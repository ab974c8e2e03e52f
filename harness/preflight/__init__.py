"""What is decided before a run, not found out in it: what targets can take, what the budget allows, what the machine has."""

from harness.preflight.features import check_forms, check_mode, check_parallel_calls
from harness.preflight.limits import check_budget, check_context, within_open_files
from harness.preflight.sampling_support import check_helpers, check_sampling, defaulted
from harness.preflight.vision import check_images

__all__ = [
    "check_budget",
    "check_context",
    "check_forms",
    "check_helpers",
    "check_images",
    "check_mode",
    "check_parallel_calls",
    "check_sampling",
    "defaulted",
    "within_open_files",
]
