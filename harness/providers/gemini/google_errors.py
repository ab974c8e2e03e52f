"""What Google's errors (`google.rpc.Status` as JSON) say beyond code and message: reasons, quotas, and how long to wait.

The wait is in the body and in no header. A quota for the day is worded like one for the minute: only its id tells them apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

DAILY_QUOTA = "PerDay"
"""In a quota's id where waiting a minute does not help."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")


def google_error_codes(error: Mapping[str, Any]) -> Iterator[str]:
    """The quota for the day that is used up, the reason, and the status word: from the most to the least telling."""
    details = list(_error_details(error))
    quotas = [violation.get("quotaId") for detail in details for violation in _dicts_in(detail.get("violations"))]
    yield from (quota for quota in quotas if isinstance(quota, str) and DAILY_QUOTA in quota)
    yield from (reason for detail in details if isinstance(reason := detail.get("reason"), str))
    status = error.get("status")
    if isinstance(status, str) and status.isupper():  # others say `failed` there
        yield status


def google_retry_delay(error: Mapping[str, Any]) -> float | None:
    """Seconds to wait, of a `RetryInfo` (`"retryDelay": "34.5s"`); None where there is none."""
    for detail in _error_details(error):
        delay = detail.get("retryDelay")
        found = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
        if found and math.isfinite(seconds := float(found[1])):
            return seconds
    return None


def _error_details(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return _dicts_in(error.get("details"))


def _dicts_in(value: Any) -> Iterator[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
