"""Realistic runs for the tests of analysis and reporters: manifests and records as the engine
writes them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

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

SECOND = 1_000_000_000
SESSION = Session("s1", "2025-03-01T12:00:00+00:00", 1_000 * SECOND)
TARGETS = {
    "scout": {
        "provider": "simulator",
        "model": "llama-4-scout",
        "simulated": True,
        "price": {"input": "0.27", "output": "0.85"},
    },
    "tiny": {
        "provider": "openai",
        "model": "tiny",
        "simulated": False,
        "price": {"input": "0.1", "output": "0.4"},
    },
}


def manifest(
    id: str = "run-1", planned: int = 1, gates: Sequence[Mapping[str, Any]] = (), **facts: Any
) -> Manifest:
    """A manifest with one session, two targets and whatever `facts` say."""
    defaults: dict[str, Any] = {
        "suite": "support-triage",
        "created": SESSION.started,
        "suite_path": "suites/support-triage.yaml",
        "arithmetic": f"{planned} requests",
        "targets": TARGETS,
        "sessions": (SESSION,),
        "commit": "0123456789abcdef",
        "versions": {"harness": "0.1.0", "python": "3.12.3"},
        "machine": {"system": "Linux", "cpus": 8},
    }
    return Manifest(id=id, planned=planned, gates=tuple(gates), **{**defaults, **facts})


def marks(
    start: float = 0.0, latency: float = 1.0, ttft: float | None = 0.25, queue: float = 0.5
) -> Marks:
    """Marks of one attempt due `start` seconds into the session; `ttft` None is not streamed."""
    due = SESSION.clock + round(start * SECOND)
    started = due + round(queue * SECOND)
    sent = started + SECOND // 100
    first = None if ttft is None else sent + round(ttft * SECOND)
    end = sent + round(latency * SECOND)
    last = None if ttft is None else end
    return Marks(
        due, started, started + SECOND // 200, sent, first, first, first, last, end + SECOND // 50
    )


def response(text: str = "billing", **fields: Any) -> Response:
    """A good answer after one attempt; `fields` replace what they name."""
    defaults: dict[str, Any] = {
        "message": Message("assistant", text),
        "usage": Usage(input=100, output=11),
        "finish_reason": "stop",
        "attempts": (Attempt(marks(), 200),),
        "model": "llama-4-scout",
    }
    return Response(**{**defaults, **fields})


def exchange(
    answer: Response | None = None,
    cost: float | None = 0.001,
    position: str = "t0",
    role: str = "target",
) -> Exchange:
    """An exchange with the target scout."""
    return Exchange(position, role, "scout", Request(), answer or response(), Cost(priced=cost))


def record(case: str = "refund", repeat: int = 0, **fields: Any) -> Record:
    """A passed trial; `fields` replace what they name."""
    identity: dict[str, Any] = {
        "eval": "triage",
        "prompt": "terse",
        "target": "scout",
        "setting": {"temperature": 0},
    }
    identity |= {name: fields.pop(name) for name in list(identity) if name in fields}
    key = fields.pop("key", "/".join(str(part) for part in (*identity.values(), case, repeat)))
    passed = fields.get("passed", True)
    defaults: dict[str, Any] = {
        "session": SESSION.id,
        "exchanges": (exchange(),),
        "grades": (
            Grade(
                "equals",
                "a label" if passed is None else passed,
                "equal" if passed else "expected 'billing'",
            ),
        ),
        "score": None if passed is None else float(passed),
        "passed": passed,
        "cost": 0.001,
        "expected": "billing",
    }
    return Record(key=key, case=case, repeat=repeat, **identity, **{**defaults, **fields})


def errored(case: str = "refund", repeat: int = 0, kind: str = "timeout", **fields: Any) -> Record:
    """A trial that broke at its transport, instantly."""
    error = Error("transport", kind, "no content for 20 s", retryable=True)
    broken = response(
        message=None,
        usage=None,
        finish_reason=None,
        attempts=(Attempt(marks(latency=0.001), 500, error=error),),
        error=error,
    )
    defaults: dict[str, Any] = {
        "exchanges": (exchange(broken, None),),
        "grades": (),
        "score": None,
        "passed": None,
        "cost": None,
    }
    return record(case, repeat, **{**defaults, "error": error, **fields})


QUEUES = ("billing", "shipping", "returns", "technical", "account", "sales")


def sample(
    cases: int = 40,
    repeats: int = 3,
    seed: int = 1,
    run: int = 0,
    temperatures: Iterable[float] = (0, 0.7),
) -> Iterator[Record]:
    """A plausible run: two prompts × temperatures × cases × repeats, some of it wrong, a little of
    it broken."""
    dice = random.Random(seed)
    for prompt, quality in (("terse", 0.86), ("v2", 0.93)):
        for temperature in temperatures:
            for number in range(cases):
                hard = dice.random() < 0.2
                for repeat in range(repeats):
                    chance = (quality - 0.08 * temperature) * (0.5 if hard else 1.04)
                    yield _sampled(
                        dice, prompt, temperature, number, repeat, dice.random() < chance
                    )


def _sampled(
    dice: random.Random, prompt: str, temperature: float, number: int, repeat: int, passed: bool
) -> Record:
    case, expected = f"ticket-{number:03}", QUEUES[number % len(QUEUES)]
    point = {
        "prompt": prompt,
        "setting": {"temperature": temperature},
        "tags": ("money",) if number % 3 == 0 else ("service",),
    }
    if dice.random() < 0.015:
        return errored(
            case, repeat, kind=dice.choice(("timeout", "rate_limited")), expected=expected, **point
        )
    words = (
        expected
        if passed
        else f"I think this belongs to {QUEUES[(number + 1) % 6]}, because the customer says so."
    )
    seconds = dice.lognormvariate(-0.4, 0.45) * (1.4 if prompt == "v2" else 1)
    tokens = Usage(input=dice.randint(80, 140), output=dice.randint(2, 24))
    attempt = Attempt(marks(dice.random() * 60, seconds, seconds * 0.4, dice.random() * 0.2), 200)
    answer = response(words, usage=tokens, attempts=(attempt,))
    cost = (tokens.input * 0.27 + tokens.output * 0.85) / 1e6
    grades = (
        Grade(
            "equals", passed, "equal" if passed else f"expected {expected!r}, got {words[:40]!r}"
        ),
        Grade("length", min(1.0, 20 / len(words)), f"{len(words)} characters", weight=0.5),
    )
    score = (float(passed) + 0.5 * min(1.0, 20 / len(words))) / 1.5
    return record(
        case,
        repeat,
        passed=passed,
        expected=expected,
        grades=grades,
        score=score,
        exchanges=(exchange(answer, cost),),
        cost=cost,
        **point,
    )
