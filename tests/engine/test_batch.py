"""The layer that makes batches: what goes through it at once, and what waits."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from harness import registry
from harness.engine.batch import BatchAccounting, Batches
from harness.engine.progress import Progress, Tally
from harness.model import Attempt, Call, Cost, Error, Marks, Message, Request, Response, Target
from harness.runs.records import BatchLine
from harness.transport.middleware.stop import Stop
from tests.transport.calling import sending
from tests.transport.simulated import simulate

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
TARGET = Target("t", "cloudflare", SCOUT, "https://api.test", "https://api.test")
SENT = (Attempt(Marks(sent=1, done=2), 200),)


@dataclass
class Service:
    """The layers below, with a service at their end: batches are done at the first poll."""

    calls: list[Call] = field(default_factory=list)
    refuse: Error | None = None

    async def __call__(self, call: Call) -> Response:
        self.calls.append(call)
        body = json.loads(call.wire.body)
        if self.refuse is not None:
            return Response(error=self.refuse, attempts=SENT)
        if "requests" in body:
            self.submitted = body["requests"]
            return answered({"status": "queued", "request_id": "uuid-1"})
        if "request_id" in body:
            entries = [
                {"id": place, "result": {"response": f"answer {place}"}}
                for place in range(len(self.submitted))
            ]
            return answered({"responses": entries})
        return Response(message=Message("assistant", "at once"), attempts=SENT)


def answered(result: dict[str, Any]) -> Response:
    return Response(message=Message("assistant", json.dumps(result)), attempts=SENT)


def call(key: str, target: Target = TARGET, *, alone: bool = True) -> Call:
    request = Request(messages=(Message("user", f"I am {key}"),), stream=False)
    wire = registry.load_plugin("providers", target.provider).encode(target, request)
    return Call(target, request, wire, key, alone=alone)


@dataclass
class Purse:
    """What the budget is told."""

    settlements: list[tuple[str, float | None]] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)

    def settle_batch(self, key: str, cost: float | None) -> None:
        self.settlements.append((key, cost))

    def leave_batch(self, key: str) -> None:
        self.abandoned.append(key)


@dataclass
class Bench:
    """The layer, and everything around it."""

    service: Service = field(default_factory=Service)
    stop: Stop = field(default_factory=Stop)
    tally: Tally = field(default_factory=Tally)
    lines: list[BatchLine] = field(default_factory=list)
    purse: Purse = field(default_factory=Purse)
    known: dict[str, BatchLine] = field(default_factory=dict)

    def layer(self) -> Batches:
        books = BatchAccounting(
            "s", self.lines.append, lambda _: 1.0, lambda *_: Cost(priced=0.25), self.known
        )
        return Batches(
            self.service, books, self.purse, self.stop, Progress({"t": self.tally, "chat": Tally()})
        )

    def send(self, *calls: Call) -> list[Response]:
        return simulate(_sent(self.layer(), calls))


async def _sent(layer: Batches, calls: tuple[Call, ...]) -> list[Response]:
    return await sending(layer, *calls)


def test_calls_that_come_together_are_one_submission_and_each_gets_its_own_answer() -> None:
    bench = Bench()
    found = bench.send(*map(call, ("a", "b", "c")))
    assert [response.text for response in found] == ["answer 0", "answer 1", "answer 2"]
    assert [each.position for each in bench.service.calls] == ["b0", "b1"]
    assert bench.lines[0].trials == ("a", "b", "c")
    assert bench.purse.settlements == [(bench.lines[0].key, 0.75)]


def test_a_judges_call_and_another_providers_do_not_wait() -> None:
    chat = replace(TARGET, name="chat", provider="cloudflare-chat")
    bench = Bench()
    found = bench.send(call("a", alone=False), call("b", chat))
    assert [response.text for response in found] == ["at once", "at once"]
    assert bench.lines == []


def test_a_batch_of_an_earlier_session_is_asked_after_not_submitted() -> None:
    line = BatchLine("batch", "earlier", "t", "uuid-1", ("a", "b"), (5, 5), 1.0)
    bench = Bench(known={"a": line, "b": line})
    bench.service.submitted = [{}, {}]
    found = bench.send(call("b"), call("a"))
    assert [response.text for response in found] == ["answer 1", "answer 0"]
    assert [json.loads(each.wire.body) for each in bench.service.calls] == [
        {"request_id": "uuid-1"}
    ]
    assert bench.purse.settlements == [("batch", 0.5)]


def test_an_answer_nobody_has_asked_for_yet_is_kept_until_somebody_does() -> None:
    line = BatchLine("batch", "earlier", "t", "uuid-1", ("a", "b"), (5, 5), 1.0)
    bench = Bench(known={"a": line, "b": line})
    bench.service.submitted = [{}, {}]

    async def one_after_the_other() -> list[Response]:
        layer = bench.layer()
        return [await layer(call("a")), await layer(call("b"))]

    assert [response.text for response in simulate(one_after_the_other())] == [
        "answer 0",
        "answer 1",
    ]
    assert len(bench.service.calls) == 1


def test_a_service_that_cannot_be_reached_leaves_the_batch_to_be_had() -> None:
    line = BatchLine("batch", "earlier", "t", "uuid-1", ("a",), (5,), 1.0)
    bench = Bench(
        known={"a": line},
        service=Service(refuse=Error("provider", "unauthorized", "no", status=401)),
    )
    (response,) = bench.send(call("a"))
    assert (response.error and response.error.kind, response.attempts) == ("unauthorized", ())
    assert bench.purse.settlements == []


def test_a_key_that_is_refused_leaves_all_batches_of_its_target() -> None:
    """Nothing else asks after them: what waits for the budget that they
    hold would wait for ever."""
    lines = [
        BatchLine(name, "earlier", target, name, (name,), (5,), 1.0)
        for name, target in zip("abc", "ttx", strict=True)
    ]
    bench = Bench(known={line.key: line for line in lines})
    bench.service.refuse = Error("provider", "unauthorized", "no", status=401)
    bench.send(call("a"))
    assert sorted(bench.purse.abandoned) == ["a", "b"]


def test_what_waits_counts_as_queued_until_it_is_answered() -> None:
    bench, seen = Bench(), list[int]()
    inner = bench.service.__call__

    async def watched(call: Call) -> Response:
        seen.append(bench.tally.queued)
        return await inner(call)

    async def work() -> None:
        books = BatchAccounting("s", bench.lines.append, lambda _: None, lambda *_: Cost())
        layer = Batches(watched, books, bench.purse, bench.stop, Progress({"t": bench.tally}))
        await asyncio.gather(layer(call("a")), layer(call("b")))

    simulate(work())
    assert (seen, bench.tally.queued) == ([0, 2], 0)


def test_the_end_of_the_run_ends_every_wait() -> None:
    bench = Bench()
    bench.stop.request("interrupted")
    bench.service.refuse = Error("transport", "interrupted", "given up")
    found = bench.send(call("a"), call("b"))
    assert [response.error and response.error.kind for response in found] == ["interrupted"] * 2
