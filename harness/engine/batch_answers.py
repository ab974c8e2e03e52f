"""A batch's report -> a Response for each of its requests: matched, decoded, with the tokens that are its own. Pure.

A service may tell tokens only for the whole batch. Then they are divided among its answers in proportion to what each is
estimated to have used: the sum is the reported one to the token, and each share's source is `estimated`. A batch's answer has
no latency, so its marks say only when it was fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from harness.model import BATCHED, Attempt, Error, Marks, Request, Response, Target, Usage
from harness.pricing.tokens import apportion_usage, estimate_answer
from harness.providers.base import BatchApi, BatchEntry, BatchStatus, DecodedResponse
from harness.runs.records import BatchLine

_UNASKED = Request()
"""What an answer is decoded against whose trial needs none any more; only its size matters."""


def batch_responses(
    batching: BatchApi,
    target: Target,
    line: BatchLine,
    requests: Mapping[str, Request],
    report: BatchStatus,
    fetched: Response,
) -> dict[str, Response]:
    """By trial key, the answer to each request of a batch that is done; one that has none is an error that may pass.

    `requests` are those that are waited for; `fetched` is the poll that brought the report.
    """
    entries = _match_entries(line, report.entries or ())
    decoded = {key: batching.decode_entry(target, requests.get(key, _UNASKED), entry) for key, entry in entries.items()}
    usages = _divide_usage(line, decoded, report.usage)
    marks = Marks(done=fetched.marks.done)
    found = {key: _build_response(each, usages[key], marks, fetched.headers) for key, each in decoded.items()}
    missing = {key: _missing_response(line, marks) for key in line.trials if key not in found}
    return found | missing


def lost_response(line: BatchLine, error: Error, fetched: Response) -> Response:
    """The answer to each request of a batch that the service does not know, or not any more; it may have been billed."""
    told = f"the batch {line.id} cannot be fetched: {error.message}; a resumed run asks again"
    said = replace(error, boundary="provider", kind="batch_lost", message=told, retryable=True)
    return Response(error=said, attempts=(Attempt(Marks(done=fetched.marks.done), status=200, error=said),), flags=(BATCHED,))


def _match_entries(line: BatchLine, entries: Sequence[BatchEntry]) -> dict[str, BatchEntry]:
    """Each entry by the trial whose reference it bears, else by its place; the first of two counts."""
    known, found = frozenset(line.trials), dict[str, BatchEntry]()
    for entry in entries:
        if entry.reference in known:
            found.setdefault(str(entry.reference), entry)
        elif entry.reference is None and 0 <= entry.place < len(line.trials):
            found.setdefault(line.trials[entry.place], entry)
    return found


@dataclass(frozen=True, slots=True)
class _Used:
    """The tokens of one answer: `billed` as far as the service's own figures say, `told` as far as anything does."""

    billed: Usage | None
    told: Usage | None


def _divide_usage(line: BatchLine, decoded: Mapping[str, DecodedResponse], total: Usage | None) -> dict[str, _Used]:
    own = {key: _Used(each.usage, each.usage) for key, each in decoded.items()}
    silent = [key for key, each in decoded.items() if each.usage is None and each.error is None]
    guesses = [_estimate_usage(line, key, decoded[key]) for key in silent]
    if total is None:
        return own | {key: _Used(None, guess) for key, guess in zip(silent, guesses, strict=True)}
    told = [each.usage for each in decoded.values() if each.usage is not None]
    return own | {key: _Used(share, share) for key, share in zip(silent, apportion_usage(total, told, guesses), strict=True)}


def _estimate_usage(line: BatchLine, key: str, answer: DecodedResponse) -> Usage:
    output = estimate_answer(answer.message) if answer.message else 0
    return Usage(line.inputs[line.trials.index(key)], output, source="estimated")


def _build_response(decoded: DecodedResponse, used: _Used, marks: Marks, headers: Mapping[str, str]) -> Response:
    # An entry that failed has no status: nothing was generated for it, and what is without a status costs nothing.
    status = 200 if decoded.error is None else None
    return Response(
        message=decoded.message,
        usage=used.told,
        finish_reason=decoded.finish_reason,
        attempts=(Attempt(marks, status=status, usage=used.billed, error=decoded.error),),
        error=decoded.error,
        model=decoded.model,
        fingerprint=decoded.fingerprint,
        headers=headers,
        flags=(*decoded.flags, BATCHED),
        logprobs=decoded.logprobs,
    )


def _missing_response(line: BatchLine, marks: Marks) -> Response:
    error = Error("provider", "missing", f"the batch {line.id} was answered without this request's answer", retryable=True)
    return Response(error=error, attempts=(Attempt(marks, error=error),), flags=(BATCHED,))
