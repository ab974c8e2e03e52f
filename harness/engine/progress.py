"""Progress of a run, counted as it happens: for the live display and for the end of the run."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field

from harness.flows.base import TARGET
from harness.model import Error, Exchange, Record, Response
from harness.model.error_kinds import TARGET_KINDS, UNREACHABLE
from harness.transport.middleware.traffic import Traffic

REFUSALS_IN_ROW = 5
"""So many refusals in a row, and a target that has given answers is not asked any more."""


class Tally(Struct):
    """Counts of one target's trials in this session. `cost` is US dollars; `unpriced` counts trials
    whose cost is unknown."""

    planned: int = 0
    already: int = 0
    done: int = 0
    passed: int = 0
    failed: int = 0
    ungraded: int = 0
    errors: int = 0
    queued: int = 0
    """Requests in batches that were submitted and are not answered."""
    retries: int = 0
    cost: float = 0.0
    unpriced: int = 0
    stopped: str | None = None
    """Why this target's trials ended before they were done, as a sentence."""
    out_of_budget: bool = False
    """Whether that is because the next request did not fit into the budget."""
    traffic: Traffic = field(default_factory=Traffic)
    """What is sent to it."""
    answers: int = 0
    """Requests of this session that the target answered without an error."""
    refused_in_row: int = 0
    """The latest requests that all failed in a way that may say something of the target."""

    def count_record(self, record: Record) -> None:
        """Count one record."""
        self.done += 1
        self.errors += record.error is not None
        self.passed += record.passed is True
        self.failed += record.passed is False
        self.ungraded += record.ungraded
        for exchange in record.exchanges:
            if exchange.role == TARGET:  # a simulated user's are its own
                self.retries += max(0, len(exchange.response.attempts) - 1)
                self.cost += (
                    (exchange.cost.usd or 0.0) if exchange.response.replayed is None else 0.0
                )
        self.unpriced += record.cost is None and record.error is None

    def count_outcome(self, response: Response) -> Error | None:
        """Count one request; its error where that is a reason to ask the target nothing more.

        One trial may be refused for itself (by a guardrail, say), where others are answered.
        """
        error = response.error
        if error is None:
            if response.replayed is None:
                self.answers, self.refused_in_row = self.answers + 1, 0
            return None
        if error.boundary == "budget" or error.kind == UNREACHABLE:
            return error
        if error.kind not in TARGET_KINDS:
            self.refused_in_row = 0
            return None
        self.refused_in_row += 1
        has_answered = self.answers or self.already
        return error if not has_answered or self.refused_in_row >= REFUSALS_IN_ROW else None

    def count_exchange(self, exchange: Exchange) -> None:
        """Count one exchange of a judge or simulated user: it has no trials of its own, so here a
        request is what is done."""
        response = exchange.response
        self.done += 1
        self.errors += response.error is not None
        self.retries += max(0, len(response.attempts) - 1)
        if response.replayed is None:
            self.cost += exchange.cost.usd or 0.0
            self.unpriced += exchange.cost.usd is None and response.error is None

    @property
    def pending(self) -> int:
        """Trials without a final record."""
        return self.planned - self.already - self.done


class Progress(Struct):
    """The tallies of all targets by name; and those of the targets that play another role (judge,
    simulated user).

    `clean` takes API keys out of a sentence: a server may well repeat the one it refuses.
    """

    targets: dict[str, Tally] = field(default_factory=dict)
    roles: dict[str, Tally] = field(default_factory=dict)
    spent_before: float = 0.0
    """What earlier sessions of the run spent, in US dollars."""
    clean: Callable[[str], str] = str

    @property
    def traffic(self) -> dict[str, Traffic]:
        """What is sent to each target; of one that is under test and judges too it is counted
        there."""
        return {name: tally.traffic for name, tally in {**self.roles, **self.targets}.items()}

    @property
    def total(self) -> Tally:
        """All targets together; what is spent and in flight, other roles included."""
        total = Tally()
        for tally in self.targets.values():
            for name in (
                "planned",
                "already",
                "done",
                "passed",
                "failed",
                "ungraded",
                "errors",
                "queued",
                "retries",
            ):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            total.cost += tally.cost
            total.unpriced += tally.unpriced
            total.traffic.in_flight += tally.traffic.in_flight
        for tally in self.roles.values():
            total.cost += tally.cost
            total.unpriced += tally.unpriced
            total.traffic.in_flight += tally.traffic.in_flight
        return total

    @property
    def stopped(self) -> list[str]:
        """Why targets ended early, one sentence each."""
        return [
            self.clean(f"{name}: {tally.stopped}")
            for name, tally in self.targets.items()
            if tally.stopped
        ]
