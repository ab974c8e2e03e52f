"""The kinds of Error that more than one layer decides by."""

INTERRUPTED = "interrupted"
"""Nothing was sent, because the run was asked to stop."""

UNREACHABLE = "unreachable"
"""The address cannot be reached any more, however often it is tried."""

MODEL_MISMATCH = "model_mismatch"
"""Another model than the one asked for gave the answer, and the run refuses that."""

TARGET_KINDS = frozenset(
    {"unauthorized", "forbidden", "not_found", "quota_exhausted", MODEL_MISMATCH, UNREACHABLE}
)
"""Kinds that say something of the target and nothing of the trial: every trial would meet them."""
