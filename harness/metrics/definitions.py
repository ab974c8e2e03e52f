"""The measures of one exchange, each derived from its raw clock marks and usage.

Every function takes a Response and gives seconds (or a rate per second), and None where what it
needs is missing: unknown is never 0. `table` names them, documents them, and says how they add up
over many trials. Nothing here imports more than the model, so that whoever needs one latency does
not pay for pandas.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.model import Attempt, Exchange, Marks, Response, Usage

_NANOSECONDS = 1e9


def _seconds_between(start: int | None, end: int | None) -> float | None:
    return None if start is None or end is None else (end - start) / _NANOSECONDS


def end_mark(marks: Marks) -> int | None:
    """The mark that ends the latency (ns): the last token where tokens were stamped, else the end of the body."""
    return marks.done if marks.last_token is None else marks.last_token


def latency(response: Response) -> float | None:
    """Last token − sent; end of the body − sent where nothing was streamed."""
    marks = response.marks
    return _seconds_between(marks.sent, end_mark(marks))


def time_to_first_token(response: Response) -> float | None:
    """First non-empty reasoning, content or tool-call delta − sent."""
    marks = response.marks
    return _seconds_between(marks.sent, marks.first_token)


def time_to_first_answer(response: Response) -> float | None:
    """First non-empty content or tool-call delta − sent."""
    marks = response.marks
    return _seconds_between(marks.sent, marks.first_answer)


def time_per_output_token(response: Response) -> float | None:
    """(Last token − first token) / (reported output tokens − 1): the first event is taken to carry one token.

    None where fewer than two tokens or two arrivals were reported: one instant has no pace.
    """
    marks, tokens = response.marks, _reported(response.usage)
    span = _seconds_between(marks.first_token, marks.last_token)
    if not span or tokens is None or tokens < 2:
        return None
    return span / (tokens - 1)


def queue_time(response: Response) -> float | None:
    """Started − due: how long slots and limits held the request back."""
    marks = response.marks
    return _seconds_between(marks.due, marks.started)


def connect_time(response: Response) -> float | None:
    """Connected − started: opening the connection, about 0 on one kept alive."""
    marks = response.marks
    return _seconds_between(marks.started, marks.connected)


def response_time(response: Response) -> float | None:
    """Last token − the first attempt's due time: what a caller felt, with queue, failed attempts and waits."""
    if not response.attempts:
        return None
    first, last = response.attempts[0].marks, response.attempts[-1].marks
    return _seconds_between(first.started if first.due is None else first.due, end_mark(last))


def trailer_time(response: Response) -> float | None:
    """Done − last token: usage frames and whatever else follows the answer."""
    marks = response.marks
    return _seconds_between(marks.last_token, marks.done)


def output_tokens_per_second(response: Response) -> float | None:
    """Output tokens / latency, end to end, as one caller saw it."""
    seconds, usage = latency(response), response.usage
    tokens = usage.output_tokens if usage else None
    return tokens / seconds if seconds and tokens is not None else None


def time_per_reasoning_token(response: Response) -> float | None:
    """(First answer − first token) / reported reasoning tokens; None where there are none, or none were streamed."""
    marks, usage = response.marks, response.usage
    span = _seconds_between(marks.first_token, marks.first_answer)
    tokens = usage.reasoning if usage and usage.source == "reported" else 0
    return span / tokens if span and tokens else None


def _reported(usage: Usage | None) -> int | None:
    """The output tokens that the provider itself counted."""
    return usage.output_tokens if usage and usage.source == "reported" else None


def waited(response: Response) -> float:
    """Seconds of backoff before attempts."""
    return sum([attempt.waited for attempt in response.attempts])


def input_tokens(response: Response) -> int | None:
    """Input tokens of all attempts that reported any; None where none did."""
    return _sum_known([usage.input_tokens for usage in _usages(response)])


def output_tokens(response: Response) -> int | None:
    """Output tokens of all attempts that reported any; None where none did."""
    return _sum_known([usage.output_tokens for usage in _usages(response)])


def _usages(response: Response) -> list[Usage]:
    """The usage of every attempt that has one; the final attempt's is the response's own."""
    *earlier, final = [attempt.usage for attempt in response.attempts] or [None]
    return [usage for usage in (*earlier, response.usage or final) if usage]


def _sum_known(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def is_free(attempt: Attempt) -> bool:
    """Whether an attempt cost nothing: it was never sent, or the server refused it before generating anything."""
    if attempt.usage is not None:
        return False
    refused = attempt.status is not None and not 200 <= attempt.status < 300
    return refused or (attempt.status is None and attempt.marks.sent is None)


def exchange_dollars(exchange: Exchange) -> float | None:
    """US dollars over all attempts, as billed or priced; 0 where every attempt was free or none was made, else None."""
    usd, response = exchange.cost.usd, exchange.response
    if usd is None and (response.attempts or response.error) and all(map(is_free, response.attempts)):
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
