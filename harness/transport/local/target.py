"""One attempt at a target that is the user's own code, in place of `http`: the providers `python`
and `command`.

Everything else in a run works as for other targets: limits, budget, replay, records. Timestamps are
the reader's: when a piece was yielded, or read from the program's output. Only the total timeout
applies, because code that streams cannot be distinguished from code that is still thinking. Errors
have the boundary `target` and are not retried: the user's code knows best what is worth retrying.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import Any

from msgspec.structs import replace

from harness import registry
from harness.model import Attempt, Call, Error, Marks, Response, Target, Usage
from harness.pricing.tokens import estimate_usage
from harness.providers.base import DecodedResponse, Signal
from harness.providers.callable import FunctionDecoder
from harness.transport.local.function import Function
from harness.transport.local.program import Program
from harness.transport.middleware.limit import SendOnSlot, Slot

LOCAL_PROVIDERS = frozenset({"python", "command"})
"""The providers whose targets run on this machine, without a network."""


class LocalTargets:
    """The layer of targets that are the user's own code; a call to any other goes on.

    `secrets` are the values of the variables they name. Functions are imported now: raises
    UsageError where one cannot be.
    """

    def __init__(self, targets: Sequence[Target], secrets: Mapping[str, str]) -> None:
        self._performers = {
            target.name: _build_performer(target, secrets)
            for target in targets
            if target.provider in LOCAL_PROVIDERS
        }

    def around(self, inner: SendOnSlot) -> SendOnSlot:
        """This layer, around `inner`; `inner` alone where no target is local."""
        self._inner = inner
        return self if self._performers else inner

    async def __call__(self, call: Call, slot: Slot) -> Response:
        """One attempt, performed here or by the inner layer."""
        performer = self._performers.get(call.target.name)
        if performer is None:
            return await self._inner(call, slot)
        provider = registry.load_plugin("providers", call.target.provider)
        local = LocalResponse(provider.make_decoder(call.target, call.request), call.request.stream)
        error = await performer.perform(call, local)
        return local.build_response(call, slot, error)


def _build_performer(target: Target, secrets: Mapping[str, str]) -> Function | Program:
    variables = {name: secrets[name] for name in target.env if name in secrets}
    if target.provider == "command":
        return Program(target, variables)
    os.environ.update(variables)  # a function reads them where any Python code does
    return Function(target)


class LocalResponse:
    """What one attempt gave, and when; `over` says that nobody listens any more."""

    def __init__(self, decoder: FunctionDecoder, stream: bool) -> None:
        self.over = False
        self._decoder = decoder
        self._stream = stream
        self._sent = perf_counter_ns()
        self._events: list[int] = []
        self._first: int | None = None
        self._first_answer: int | None = None
        self._done: int | None = None

    def piece(self, value: Any) -> None:
        """A piece of a streamed answer."""
        now = perf_counter_ns()
        self._stamp_arrival(now, self._decoder.feed_piece(value))

    def add_output(self, data: bytes) -> None:
        """What a program printed: a piece where a stream was asked for."""
        now = perf_counter_ns()
        self._stamp_arrival(now, self._decoder.feed_event("", data), event=self._stream)

    def whole(self, value: Any) -> None:
        """The answer, when it is complete."""
        now = perf_counter_ns()
        self._stamp_arrival(now, self._decoder.feed_piece(value), event=False)

    def _stamp_arrival(self, now: int, signal: Signal, *, event: bool = True) -> None:
        if self.over:
            return
        self._first = self._first or now
        self._done = now
        if event and signal is not Signal.NOTHING:
            self._events.append(now)
            if signal is Signal.ANSWER and self._first_answer is None:
                self._first_answer = now

    def build_response(self, call: Call, slot: Slot, failure: Error | None) -> Response:
        """The Response with its one Attempt; `failure` is why there is no answer, or only a part of
        one."""
        self.over = True
        decoded = self._decoder.finish({})
        error = failure or decoded.error
        attempt = Attempt(marks=self._clock_marks(slot), usage=decoded.usage, error=error)
        return Response(
            message=decoded.message,
            usage=decoded.usage if error is not None else _complete_usage(call, decoded),
            finish_reason=None if error is not None else decoded.finish_reason,
            attempts=(attempt,),
            error=error,
            model=decoded.model,
            flags=decoded.flags,
        )

    def _clock_marks(self, slot: Slot) -> Marks:
        events = self._events
        return Marks(
            due=slot.due,
            started=slot.started,
            sent=self._sent,
            first_byte=self._first,
            first_token=events[0] if events else None,
            first_answer=self._first_answer,
            last_token=events[-1] if events else None,
            done=self._done,
            events=tuple(events),
            reads=len(events),
        )


def _complete_usage(call: Call, decoded: DecodedResponse) -> Usage | None:
    """The usage that was told; where it has no tokens they are estimated, and only its cost is
    kept."""
    told = decoded.usage
    if decoded.message is None or (
        told is not None and told.input is not None and told.output is not None
    ):
        return told
    estimated = estimate_usage(call.request, decoded.message, decoded.finish_reason)
    return replace(estimated, cost=told.cost if told else None)
