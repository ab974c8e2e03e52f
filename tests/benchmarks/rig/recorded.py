"""A run folder as a run would have left it, of any size: what reports are measured on.

Eight configurations (two prompts, four temperatures) of as many cases as it takes; of fifty trials
about forty pass and one breaks. A record is about two kilobytes. The same size gives the same
folder.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from harness.model import (
    Attempt,
    Cost,
    Error,
    Exchange,
    Grade,
    Manifest,
    Marks,
    Message,
    Record,
    Request,
    Response,
    Session,
    Usage,
)
from harness.runs import records
from harness.runs.folder import RECORDS, write_manifest
from harness.runs.redaction import Redactor

TEMPERATURES = (0.0, 0.3, 0.7, 1.0)
PROMPTS = ("terse", "long")
STARTED = "2026-01-01T00:00:00+00:00"
TARGETS = {"scout": {"provider": "openai", "model": "tiny", "simulated": False}}
USAGE = Usage(input=60, output=12)


def write(folder: Path, count: int) -> None:
    """Write a finished run of `count` records."""
    folder.mkdir(parents=True)
    session = Session("s1", STARTED, 0, "2026-01-01T01:00:00+00:00", 0.001, 0.01, 64)
    manifest = Manifest(
        folder.name,
        "many",
        STARTED,
        "suite.yaml",
        count,
        f"{count} requests",
        targets=TARGETS,
        sessions=(session,),
    )
    write_manifest(folder, manifest, Redactor({}))
    with (folder / RECORDS).open("wb") as file:
        file.writelines(records.encode_line(record) for record in _records(count))


def _records(count: int) -> Iterator[Record]:
    chance = random.Random(count)
    for number in range(count):
        exchange = _exchange(number, TEMPERATURES[number % 4], chance)
        broken = chance.random() < 0.02
        right = chance.random() < 0.8
        yield Record(
            key=blake2b(str(number).encode(), digest_size=16).hexdigest(),
            eval="entries",
            case=f"c{number // 8}",
            prompt=PROMPTS[number // 4 % 2],
            target="scout",
            setting={"temperature": TEMPERATURES[number % 4]},
            repeat=0,
            session="s1",
            exchanges=(exchange,),
            grades=()
            if broken
            else (Grade("number", right, "" if right else f"expected {number // 8}, got another"),),
            score=None if broken else float(right),
            passed=None if broken else right,
            cost=exchange.cost.usd,
            error=Error(
                "provider", "server_error", "The server answered 500: overloaded", True, 500
            )
            if broken
            else None,
            tags=(f"t{number // 8 % 5}",),
            expected=number // 8,
            vars={"number": number // 8, "question": question(number)},
        )


def question(number: int) -> str:
    """What the record's case asks."""
    return f"Which number is on entry #{number // 8}? {'Look it up in the register. ' * 12}"


def _exchange(number: int, temperature: float, chance: random.Random) -> Exchange:
    messages = (
        Message("system", "You are a careful assistant."),
        Message("user", question(number)),
    )
    request = Request(messages, {"temperature": temperature, "max_tokens": 64, "seed": 7})
    attempt = Attempt(
        _marks(number * 1_000_000, int(chance.lognormvariate(0, 0.4) * 5e8)),
        200,
        USAGE,
        clock="protocol",
    )
    answer = Message("assistant", f"The number on that entry is {number // 8}.")
    response = Response(answer, USAGE, "stop", (attempt,), model="tiny")
    return Exchange("t0", "target", "scout", request, response, Cost(None, 0.0000843))


def _marks(due: int, latency: int) -> Marks:
    sent = due + 150_000
    first, last = sent + latency // 3, sent + latency
    events = tuple(first + (last - first) * event // 11 for event in range(12))
    return Marks(
        due, due + 40_000, due + 90_000, sent, first, first, first, last, last + 30_000, events, 12
    )
