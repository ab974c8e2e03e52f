"""The manifest of a run folder, and the sessions that made the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class TargetTraffic(Struct, frozen=True):
    """What one session sent to one target: `seconds` from the first start to the last end.

    `refusals` are the attempts that the target did not take, by HTTP status (`429`) or kind of
    error; `slowed` is for how many seconds backpressure held its starts back, `in_flight` the most
    attempts in flight at the same time.
    """

    seconds: float
    attempts: int
    refusals: Mapping[str, int] = field(default_factory=dict)
    slowed: float = 0.0
    in_flight: int = 0


class Session(Struct, frozen=True):
    """One process's stretch of a run: `started` (ISO 8601, UTC) and `clock` (`perf_counter_ns`) are
    the same moment.

    `ended` is null while it runs, and stays so where it died. `lag_p99` and `lag_max` are by how
    many seconds the event loop ran late, `in_flight` the most requests in flight at the same time,
    `traffic` what was sent to each target that was asked, by name.
    """

    id: str
    started: str
    clock: int
    ended: str | None = None
    lag_p99: float | None = None
    lag_max: float | None = None
    in_flight: int | None = None
    traffic: Mapping[str, TargetTraffic] = field(default_factory=dict)


class Manifest(Struct, frozen=True):
    """The manifest: what a run folder records of itself before its first record.

    `planned` counts trials; `arithmetic` is that count as a person reads it; `plan` maps each axis
    of the plan to what resuming compares (see `harness.plan`). `targets` are plain facts of each
    target by name: provider, model, address, price (dollars per MTok, as strings), simulated,
    sampling; `helpers` are the same of those that graders and simulated users ask. `gates` are the
    suite's gates in their JSON form. `options` are the command line's overrides, so that `resume`
    plans the same trials. A `replay_only` run sends nothing, now or later; `replay_gap` says why
    the recording that was replayed lacks some of the requests.
    """

    id: str
    suite: str
    created: str
    suite_path: str
    planned: int
    arithmetic: str
    description: str = ""
    seed: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    helpers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gates: tuple[Mapping[str, Any], ...] = ()
    max_error_rate: float = 0.05
    max_ungraded_rate: float = 0.05
    strict: bool = False
    budget: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    resolved: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    commit: str | None = None
    dirty: bool = False
    replay_only: bool = False
    replay_gap: str = ""
    notes: tuple[str, ...] = ()
    sessions: tuple[Session, ...] = ()
    schema: int = 1
