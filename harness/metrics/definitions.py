"""The measures of one exchange, each derived from the raw clock marks (docs/measures.md defines them all).

Every function gives seconds (or a rate per second), and None where a mark it needs is missing: unknown is never 0. Nothing
here imports more than the model, so that whoever needs one latency does not pay for pandas.
"""

from __future__ import annotations

from harness.model import Marks, Response, Usage

_SECOND = 1e9


def _seconds_between(start: int | None, end: int | None) -> float | None:
    return None if start is None or end is None else (end - start) / _SECOND


def end_mark(marks: Marks) -> int | None:
    """The mark that ends the latency (ns): the last token where tokens were stamped, else the end of the body."""
    return marks.done if marks.last_token is None else marks.last_token


def latency(marks: Marks) -> float | None:
    """Last token − sent; end of the body − sent where nothing was streamed."""
    return _seconds_between(marks.sent, end_mark(marks))


def time_to_first_token(marks: Marks) -> float | None:
    """Time to first token: first non-empty reasoning, content or tool-call delta − sent."""
    return _seconds_between(marks.sent, marks.first_token)


def time_to_first_answer(marks: Marks) -> float | None:
    """Time to first answer: first non-empty content or tool-call delta − sent."""
    return _seconds_between(marks.sent, marks.first_answer)


def queue_time(marks: Marks) -> float | None:
    """Started − due: how long slots and limits held the request back."""
    return _seconds_between(marks.due, marks.started)


def connect_time(marks: Marks) -> float | None:
    """Connected − started: opening the connection, about 0 on one kept alive."""
    return _seconds_between(marks.started, marks.connected)


def trailer_time(marks: Marks) -> float | None:
    """Done − last token: usage frames and whatever else follows the answer."""
    return _seconds_between(marks.last_token, marks.done)


def response_time(response: Response) -> float | None:
    """What a caller felt: from the first attempt's due time (queue, failed attempts and waits included) to the last token."""
    if not response.attempts:
        return None
    first, last = response.attempts[0].marks, response.attempts[-1].marks
    return _seconds_between(first.started if first.due is None else first.due, end_mark(last))


def time_per_output_token(marks: Marks, usage: Usage | None) -> float | None:
    """Time per output token after the first: (last token − first token) / (reported output tokens − 1).

    The first event is taken to carry one token. None where fewer than two tokens or two arrivals were reported: one
    instant has no pace.
    """
    span = _seconds_between(marks.first_token, marks.last_token)
    tokens = usage.output_tokens if usage and usage.source == "reported" else None
    if not span or tokens is None or tokens < 2:
        return None
    return span / (tokens - 1)


def output_tokens_per_second(marks: Marks, usage: Usage | None) -> float | None:
    """Output tokens / latency, end to end, as one caller saw it."""
    seconds, tokens = latency(marks), usage.output_tokens if usage else None
    return tokens / seconds if seconds and tokens is not None else None
