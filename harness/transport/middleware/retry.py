"""Retries with exponential backoff what can succeed later; waits outside the slot and the limits,
and records each attempt.

Only a retryable error is tried again, and only while nothing of an answer was generated: every
attempt is billed, and an answer that broke off would be a different one the second time. A
Retry-After is honoured up to a cap, above which the call is given up immediately; else the wait is
0.5 · 2ⁿ s, at most 8. Waits are jittered from (seed, trial, position, attempt), so that a run
repeats itself. A server error is tried as often as was promised, even if every answer has the same
words: a server that fails now and then says the same each time.

A request that met a kept connection just as the server closed it is sent again immediately and
counts for no retry, at most once for each slot; it is an attempt on the record like any other.
"""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from harness.model import Call, Error, Response
from harness.model.error_kinds import IDLE_CLOSED
from harness.transport.send import REAL_CLOCK, Clock, Send

FIRST_BACKOFF, MAX_BACKOFF = 0.5, 8.0
MAX_RETRY_AFTER = 120.0
"""Seconds; the official SDKs' own cap."""
MAX_TOTAL_WAIT = 300.0
"""Seconds of waiting over all attempts of one call."""


class Retry:
    """The layer above `budget`; a call is retried `target.limits.retries` times at most."""

    def __init__(self, inner: Send, *, seed: int = 0, clock: Clock = REAL_CLOCK) -> None:
        self._inner = inner
        self._seed = seed
        self._clock = clock

    async def __call__(self, call: Call) -> Response:
        """The last attempt's Response, with all attempts; its error says why it was given up, where
        a wait was too long."""
        response = await self._inner(call)
        if response.error is None or not response.error.retryable:
            return response
        attempts, waited, resent = list(response.attempts), 0.0, 0
        while (error := _retryable_error(call, response, resent)) is not None:
            if error.kind == IDLE_CLOSED and resent < call.target.limits.concurrency:
                resent, wait = resent + 1, 0.0
            else:
                wait = self._backoff_seconds(call, error, call.attempt - resent)
            if (reason := _reason_to_give_up(error, wait, waited)) is not None:
                return replace(
                    response,
                    attempts=tuple(attempts),
                    error=replace(error, message=f"{error.message} ({reason})"),
                )
            await self._clock.sleep(wait)
            waited += wait
            call = replace(call, attempt=call.attempt + 1, due=attempts[0].marks.due)
            response = await self._inner(call)
            attempts += [replace(attempt, waited=wait) for attempt in response.attempts]
        return replace(response, attempts=tuple(attempts))

    def _backoff_seconds(self, call: Call, error: Error, attempt: int) -> float:
        """Seconds until the next attempt: never less than the server asked for."""
        jitter = Random(f"{self._seed}/{call.key}/{call.position}/{attempt}").uniform(0, 0.25)
        if error.retry_after is not None and error.retry_after >= 0:
            return error.retry_after * (1 + jitter)
        return min(FIRST_BACKOFF * 2.0**attempt, MAX_BACKOFF) * (1 - jitter)


def _retryable_error(call: Call, response: Response, resent: int) -> Error | None:
    """The error that another attempt may cure, None where there is none; `resent` attempts do not
    count."""
    error = response.error
    if error is None or not error.retryable or not response.attempts or _has_content(response):
        return None
    limits = call.target.limits
    if error.kind == IDLE_CLOSED and resent < limits.concurrency:
        return error
    return error if call.attempt - resent < limits.retries else None


def _reason_to_give_up(error: Error, wait: float, waited: float) -> str | None:
    """Why the call is not worth waiting for, None where it is."""
    if error.retry_after is not None and error.retry_after > MAX_RETRY_AFTER:
        asked = f"the server asked for a wait of {error.retry_after:.6g} s"
        return f"gave up: {asked}, more than the maximum of {MAX_RETRY_AFTER:g} s"
    if waited + wait > MAX_TOTAL_WAIT:
        return (
            f"gave up: after {waited:.0f} s of waiting, another {wait:.0f} s would pass the limit"
            f" of {MAX_TOTAL_WAIT:g} s"
        )
    return None


def _has_content(response: Response) -> bool:
    """Whether any part of an answer came: that was billed, and is not asked for again."""
    message, usage = response.message, response.usage
    said = message is not None and bool(message.text or message.reasoning or message.tool_calls)
    return said or response.marks.first_token is not None or bool(usage and usage.output_tokens)
