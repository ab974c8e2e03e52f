"""The nouns that exist at run time: what is asked, what came back, and what it was worth.

All are frozen structs, so that a million of them are cheap, and all are plain data, so that they go
to disk and come back unchanged (`harness.runs.records`). Times are `perf_counter_ns` marks of one
process; money is US dollars; unknown is None, never 0.
"""

from harness.model.outcomes import (
    BATCHED,
    CACHED,
    NO_MARKS,
    STALLED,
    Attempt,
    Boundary,
    Cost,
    Error,
    Exchange,
    FinishReason,
    Grade,
    Marks,
    Record,
    Response,
    TokenLogprob,
    ToolResult,
    Usage,
)
from harness.model.requests import (
    SYSTEM_ROLES,
    Image,
    Message,
    Request,
    ResponseFormat,
    Role,
    Text,
    Tool,
    ToolCall,
)
from harness.model.sessions import Manifest, Session, TargetTraffic
from harness.model.targets import Auth, Batch, Call, EncodedRequest, Limits, Price, Target, Timeouts
from harness.model.trials import Action, Conversation, Identity, SimulatedUser, Trial

__all__ = [
    "BATCHED",
    "CACHED",
    "NO_MARKS",
    "STALLED",
    "SYSTEM_ROLES",
    "Action",
    "Attempt",
    "Auth",
    "Batch",
    "Boundary",
    "Call",
    "Conversation",
    "Cost",
    "EncodedRequest",
    "Error",
    "Exchange",
    "FinishReason",
    "Grade",
    "Identity",
    "Image",
    "Limits",
    "Manifest",
    "Marks",
    "Message",
    "Price",
    "Record",
    "Request",
    "Response",
    "ResponseFormat",
    "Role",
    "Session",
    "SimulatedUser",
    "Target",
    "TargetTraffic",
    "Text",
    "Timeouts",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolResult",
    "Trial",
    "Usage",
]
