"""The kinds of Error that more than one layer decides by."""

INTERRUPTED = "interrupted"
"""Nothing was sent, because the run was asked to stop."""

UNREACHABLE = "unreachable"
"""The address cannot be reached any more, however often it is tried."""

IDLE_CLOSED = "idle_closed"
"""The server closed a kept connection without a byte of an answer, most likely before it read the
request."""

MODEL_MISMATCH = "model_mismatch"
"""Another model than the one asked for gave the answer, and the run refuses that."""

TARGET_KINDS = frozenset(
    {"unauthorized", "forbidden", "not_found", "quota_exhausted", MODEL_MISMATCH, UNREACHABLE}
)
"""Kinds that may say something of the target and nothing of the trial: once the target has given
answers, only several in a row do."""

SERVICE_KINDS = frozenset({"server_error", "overloaded", "timeout", "empty", "unreadable"})
"""Kinds of a provider's answers that are the service's doing: the same request may well be answered
at another time."""
