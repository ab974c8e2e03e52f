"""The measures of one answer, each a formula over its clock marks and token counts.

Seconds, or a rate per second, and NaN where something that it takes is not known: unknown is never
0. `table` names the measures, documents them, and says how they add up over many trials. Nothing
here imports more than the model, so that whoever needs one latency does not pay for pandas.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan, nan

from harness.model import NO_MARKS, Attempt, Exchange, Response
from harness.model.error_kinds import IDLE_CLOSED

_SECOND = 1e9


class Timing:
    """When things happened to a response, in nanoseconds of one clock, and its token counts; NaN
    where not known.

    The marks are those of the final attempt (docs/measures.md has them); `asked` is when the first
    attempt was due, and `end` the last token where tokens were stamped, else the end of the body.
    `output` are all output tokens; `reported` and `reasoning` are output and reasoning tokens as
    the provider counted them.
    """

    __slots__ = (
        *(
            "asked",
            "connected",
            "done",
            "due",
            "end",
            "first_answer",
            "first_token",
            "last_token",
            "reasoning",
        ),
        *("reported", "sent", "started"),
    )

    def __init__(self, response: Response) -> None:
        attempts, usage = response.attempts, response.usage
        marks = attempts[-1].marks if attempts else NO_MARKS
        first = attempts[0].marks if attempts else NO_MARKS
        asked = first.started if first.due is None else first.due
        self.asked = nan if asked is None else asked
        self.due = nan if marks.due is None else marks.due
        self.started = nan if marks.started is None else marks.started
        self.connected = nan if marks.connected is None else marks.connected
        self.sent = nan if marks.sent is None else marks.sent
        self.first_token = nan if marks.first_token is None else marks.first_token
        self.first_answer = nan if marks.first_answer is None else marks.first_answer
        self.last_token = nan if marks.last_token is None else marks.last_token
        self.done = nan if marks.done is None else marks.done
        self.end = self.done if marks.last_token is None else marks.last_token
        tokens = usage.output_tokens if usage else None
        counted = usage is not None and usage.source == "reported"
        self.reported = tokens if counted and tokens is not None else nan
        self.reasoning = usage.reasoning if usage is not None and counted else nan


UNTIMED = Timing(Response())
"""Of a response of which nothing is known."""


def none_if_unknown(value: float) -> float | None:
    """The measure, with None for NaN, as records have it."""
    return None if isnan(value) else value


def latency(timing: Timing) -> float:
    """Last token − sent; end of the body − sent where nothing was streamed."""
    return (timing.end - timing.sent) / _SECOND


def time_to_first_token(timing: Timing) -> float:
    """First non-empty reasoning, content or tool-call delta − sent."""
    return (timing.first_token - timing.sent) / _SECOND


def time_to_first_answer(timing: Timing) -> float:
    """First non-empty content or tool-call delta − sent."""
    return (timing.first_answer - timing.sent) / _SECOND


def time_per_output_token(timing: Timing) -> float:
    """(Last token − first token) / (reported output tokens − 1): the first event is taken to carry
    one token.

    NaN below two tokens or two arrivals: one instant has no pace.
    """
    span = timing.last_token - timing.first_token
    return span / (timing.reported - 1) / _SECOND if span > 0 and timing.reported > 1 else nan


def queue_time(timing: Timing) -> float:
    """Started − due: how long slots and limits held the request back."""
    return (timing.started - timing.due) / _SECOND


def connect_time(timing: Timing) -> float:
    """Connected − started: opening the connection, about 0 on one kept alive."""
    return (timing.connected - timing.started) / _SECOND


def response_time(timing: Timing) -> float:
    """Last token − the first attempt's due time: what a caller felt, with queue, failed attempts
    and waits."""
    return (timing.end - timing.asked) / _SECOND


def trailer_time(timing: Timing) -> float:
    """Done − last token: usage frames and whatever else follows the answer."""
    return (timing.done - timing.last_token) / _SECOND


def output_tokens_per_second(timing: Timing) -> float:
    """Reported output tokens / latency, end to end, as one caller saw it."""
    seconds = latency(timing)
    return timing.reported / seconds if seconds else nan


def time_per_reasoning_token(timing: Timing) -> float:
    """(First answer − first token) / reported reasoning tokens; NaN where there are none, or none
    were streamed."""
    span = timing.first_answer - timing.first_token
    return span / timing.reasoning / _SECOND if span > 0 and timing.reasoning > 0 else nan


def waited(response: Response) -> float:
    """Seconds of backoff before attempts."""
    attempts = response.attempts
    return (
        attempts[0].waited if len(attempts) == 1 else sum([attempt.waited for attempt in attempts])
    )


def token_totals(response: Response) -> tuple[int | None, int | None]:
    """Input and output tokens of all attempts that reported any; None where none did."""
    attempts = response.attempts
    final = response.usage or (
        attempts[-1].usage if attempts else None
    )  # the response's own are the final attempt's
    if len(attempts) < 2:
        return (final.input_tokens, final.output_tokens) if final else (None, None)
    usages = [usage for usage in (*(attempt.usage for attempt in attempts[:-1]), final) if usage]
    return _sum_known([usage.input_tokens for usage in usages]), _sum_known(
        [usage.output_tokens for usage in usages]
    )


def _sum_known(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def is_free(attempt: Attempt) -> bool:
    """Whether an attempt is taken to have cost nothing: it was never sent or read, or the server
    refused it before generating anything.

    A budget is more careful: `harness.pricing.cost.may_be_billed`.
    """
    if attempt.usage is not None:
        return False
    if attempt.error is not None and attempt.error.kind == IDLE_CLOSED:
        return True
    refused = attempt.status is not None and not 200 <= attempt.status < 300
    return refused or (attempt.status is None and attempt.marks.sent is None)


def exchange_dollars(exchange: Exchange) -> float | None:
    """US dollars over all attempts, as billed or priced; 0 where every attempt was free or none was
    made, else None."""
    usd, response = exchange.cost.usd, exchange.response
    if (
        usd is None
        and (response.attempts or response.error)
        and all(map(is_free, response.attempts))
    ):
        return 0.0
    return usd


def total_dollars(exchanges: Iterable[Exchange]) -> float | None:
    """US dollars of them all; None where one is unknown, or where there are none."""
    total = None
    for each in exchanges:
        usd = exchange_dollars(each)
        if usd is None:
            return None
        total = usd if total is None else total + usd
    return total
