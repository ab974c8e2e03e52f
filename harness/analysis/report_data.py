"""The Report: tables and verdicts of runs side by side, and the only thing reporters see.

Everything is frozen plain data, but for `frames` and `cells`, which hold every row for the
reporters that write them all; the tuples are capped and say how many there were. Rates are shares
of 1, times seconds, money US dollars.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field

from harness.analysis.formatting import join_names
from harness.analysis.frame import Frames
from harness.analysis.stats import NOTHING, Estimate
from harness.model import Image
from harness.wording import pluralize

Outcome = Literal["pass", "fail", "inconclusive", "unknown"]
Verdict = Literal[Outcome, "no gates", "unfinished", "errors", "ungraded"]


class GateResult(Struct, frozen=True):
    """What became of one gate of one run.

    `pass` and `fail` compare what the gate names; `inconclusive` is a bound that n does not give;
    `unknown` is a figure that does not exist (a slice that matches nothing, an unpriced cost), and
    is never a pass. `detail` is a sentence with the figures; `caution` says where another
    sample may well go the other way.
    """

    run: str
    text: str
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    verdict: Outcome
    detail: str
    caution: str = ""


class RunHeader(Struct, frozen=True):
    """Where one run's figures come from.

    `graded` answers have a grader, and `ungraded` of them no grade; `ungraded_parts` names the
    configurations and graders of which too many have none. `simulated` names its simulated
    targets; `targets` are facts by name, and `helpers` those of the targets it asked besides.
    `lag_p99` is by how many seconds the client's event loop ran late, `in_flight` the most requests
    it had under way at once; the worst of its sessions. `selection` are the options that left out
    part of the suite. `notes` were said before the run, and `replay_gap` why a recording that it
    replays lacks some of its requests.
    """

    id: str
    suite: str
    created: str
    description: str
    planned: int
    recorded: int
    errors: int
    graded: int
    ungraded: int
    arithmetic: str
    seed: int
    max_error_rate: float
    max_ungraded_rate: float
    strict: bool
    budget: float | None
    commit: str | None
    dirty: bool
    simulated: tuple[str, ...] = ()
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    helpers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    replay_gap: str = ""
    ungraded_parts: tuple[str, ...] = ()
    lag_p99: float | None = None
    in_flight: int | None = None
    selection: str = ""

    @property
    def finished(self) -> bool:
        """Whether every planned trial has a record."""
        return self.recorded >= self.planned

    @property
    def error_rate(self) -> float | None:
        """Errored trials as a share of those recorded."""
        return self.errors / self.recorded if self.recorded else None

    @property
    def has_too_many_errors(self) -> bool:
        """Whether more of its trials broke than the suite tolerates."""
        return self.error_rate is not None and self.error_rate > self.max_error_rate

    @property
    def ungraded_rate(self) -> float | None:
        """Ungraded answers as a share of those that have a grader."""
        return self.ungraded / self.graded if self.graded else None

    @property
    def has_too_many_ungraded(self) -> bool:
        """Whether more of its answers, of a configuration's or a grader's could not be graded than
        the suite tolerates."""
        return bool(self.ungraded_parts) or self.exceeds_ungraded_rate

    @property
    def exceeds_ungraded_rate(self) -> bool:
        """Whether the share of ungraded answers is too large in the whole run."""
        return self.ungraded_rate is not None and self.ungraded_rate > self.max_ungraded_rate


class Configuration(Struct, frozen=True):
    """One row of the main table: run × eval × prompt × target × setting.

    The counts `passed`, `failed`, `no_verdict`, `ungraded` and `errors` add up to `n`; `unpriced`
    are trials whose cost is not known. `figures` are the metrics that reports show, by name
    (`pass_rate`, `latency.p50`): `configuration["pass_rate"]`.
    """

    run: str
    eval: str
    prompt: str
    target: str
    setting: Mapping[str, Any]
    label: str
    simulated: bool
    n: int
    cases: int
    passed: int
    failed: int
    no_verdict: int
    ungraded: int
    errors: int
    replayed: int
    unpriced: int = 0
    figures: Mapping[str, Estimate] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Estimate:
        return self.figures.get(name, NOTHING)


class TagRate(Struct, frozen=True):
    """The pass rate of one tag's cases in one configuration (an index into
    `Report.configurations`)."""

    tag: str
    configuration: int
    pass_rate: Estimate


class GradeLine(Struct, frozen=True):
    """One grade as shown: `passed` is None where it cannot fail, `value` is text, `reason` and
    `error` may be cut."""

    name: str
    passed: bool | None
    value: str
    reason: str = ""
    weight: float = 1.0


class CaseAnswer(Struct, frozen=True):
    """One trial as shown; `characters` is the answer's full length, which `preview` may cut;
    `steps` led to it."""

    repeat: int
    outcome: str
    preview: str
    characters: int
    score: float | None = None
    grades: tuple[GradeLine, ...] = ()
    error: str | None = None
    finish_reason: str | None = None
    latency: float | None = None
    cost: float | None = None
    steps: str | None = None

    @property
    def is_cut(self) -> bool:
        """Whether the preview is shorter than the answer."""
        return self.characters > len(self.preview)


class Cell(Struct, frozen=True):
    """One case in one configuration: its repeats' outcomes, and some of their answers, failing ones
    first."""

    configuration: int
    n: int
    passed: int
    failed: int
    errors: int
    answers: tuple[CaseAnswer, ...] = ()
    ungraded: int = 0

    @property
    def bad(self) -> int:
        """Repeats that failed, broke or could not be graded."""
        return self.failed + self.errors + self.ungraded


class RenderedPrompt(Struct, frozen=True):
    """What a case asked in one prompt; `text` may be cut."""

    prompt: str
    text: str


class CaseRow(Struct, frozen=True):
    """One case across all configurations; `harness show RUN CASE` prints its transcripts.

    `input` is what differs from case to case: its variables that a prompt shows, a lone one without
    its name. `row` is the file and line of a case without an id. `images` are small enough for a
    page; one without bytes is only described.
    """

    eval: str
    case: str
    tags: tuple[str, ...]
    expected: str | None
    cells: tuple[Cell, ...]
    row: str = ""
    input: str = ""
    prompts: tuple[RenderedPrompt, ...] = ()
    images: tuple[Image, ...] = ()

    @property
    def name(self) -> str:
        """What people call the case: its id, or its row where it has none."""
        return self.row or self.case

    @property
    def bad(self) -> int:
        """Trials of this case that failed, broke or could not be graded."""
        return sum(cell.bad for cell in self.cells)


class ErrorGroup(Struct, frozen=True):
    """Errors of one run and target that broke at the same boundary in the same way.

    `shape` is their message without numbers and ids, `example` one of them.
    """

    run: str
    target: str
    boundary: str
    kind: str
    shape: str
    count: int
    example: str


class GraderUse(Struct, frozen=True):
    """What one grader of an eval said in one run; of `cost` in US dollars, what is known.

    `unparsed` are those of the failed ones whose answers held nothing to grade. `reported` are
    grades that cannot fail (a label, a score without threshold), and `mean` is that of its scores.
    `lenient` counts answers it passed and another grader failed, `strict` those it failed and all
    others passed.
    """

    run: str
    eval: str
    name: str
    passed: int
    failed: int
    unparsed: int
    ungraded: int
    reported: int
    lenient: int
    strict: int
    mean: float | None = None
    cost: float | None = None


class RoleUse(Struct, frozen=True):
    """What one run asked of a target in another role than that of the target under test: a judge, a
    simulated user.

    `requests` are new ones, `replayed` those taken from other runs; latency is the median in
    seconds, `cost` US dollars of what is known, and `unpriced` requests whose cost is not. None of
    it is in any other figure of a configuration.
    """

    run: str
    role: str
    name: str
    model: str
    simulated: bool
    requests: int
    replayed: int
    errors: int
    latency: float | None
    input_tokens: float | None
    output_tokens: float | None
    cost: float | None
    unpriced: int


class TargetPace(Struct, frozen=True):
    """How fast one run's requests to one target went, whatever their role; seconds.

    `requests` are the attempts that the target did not refuse, `wall_time` is from the first start
    to the last end. Queue and response time are those of new answers. `refusals` are the attempts
    it refused, by HTTP status or kind of error; `slowed` is for how long that slowed it down.
    """

    run: str
    target: str
    requests: int
    wall_time: float
    requests_per_s: float | None
    queue_p50: float | None
    queue_p95: float | None
    response_time_p50: float | None
    response_time_p95: float | None
    attempts: int
    refusals: Mapping[str, int]
    slowed: float


class Totals(Struct, frozen=True):
    """Over all runs. Dollars: `spent` newly on answers, `graded` on judges, `saved` by replay;
    `unpriced` requests.

    `users` is dollars for simulated users; tokens and retries are those of the targets under test.
    """

    trials: int = 0
    passed: int = 0
    failed: int = 0
    no_verdict: int = 0
    ungraded: int = 0
    errors: int = 0
    replayed: int = 0
    retries: int = 0
    input_tokens: float | None = None
    output_tokens: float | None = None
    spent: float | None = None
    graded: float | None = None
    users: float | None = None
    saved: float | None = None
    unpriced: int = 0


class Report(Struct, frozen=True):
    """Runs side by side. `cases` are the worst `len(cases)` of `case_count`; `cells` has
    them all."""

    runs: tuple[RunHeader, ...]
    configurations: tuple[Configuration, ...]
    cases: tuple[CaseRow, ...]
    case_count: int
    gates: tuple[GateResult, ...]
    tags: tuple[TagRate, ...]
    errors: tuple[ErrorGroup, ...]
    graders: tuple[GraderUse, ...]
    helpers: tuple[RoleUse, ...]
    paces: tuple[TargetPace, ...]
    totals: Totals
    warnings: tuple[str, ...]
    frames: Frames
    cells: Any

    @property
    def simulated(self) -> bool:
        """Whether any figure comes from a simulator."""
        return any(run.simulated for run in self.runs)

    @property
    def verdict(self) -> Verdict:
        """That a run is not finished, broke or could not be graded, whatever its gates say of the
        rest; else the worst of the gates' verdicts."""
        if any(not run.finished for run in self.runs):
            return "unfinished"
        if any(run.has_too_many_errors for run in self.runs):
            return "errors"
        if any(run.has_too_many_ungraded for run in self.runs):
            return "ungraded"
        found = {gate.verdict for gate in self.gates}
        for verdict in ("unknown", "fail", "inconclusive", "pass"):
            if verdict in found:
                return verdict
        return "no gates"

    @property
    def headline(self) -> str:
        """The verdict as a sentence."""
        recorded, planned = (
            sum(run.recorded for run in self.runs),
            sum(run.planned for run in self.runs),
        )
        if self.verdict == "unfinished":
            return f"{recorded:,} of {pluralize(planned, 'trial')} recorded; {self._gates_said}"
        if self.verdict == "errors":
            broke = sum(run.errors for run in self.runs)
            return "; ".join(
                (
                    *(run.replay_gap for run in self.runs if run.replay_gap),
                    f"{broke:,} of {pluralize(recorded, 'trial')} ended in an error",
                    self._gates_said,
                )
            )
        if self.verdict == "ungraded":
            answers = pluralize(sum(run.graded for run in self.runs), "answer")
            parts = [
                part
                for run in self.runs
                if not run.exceeds_ungraded_rate
                for part in run.ungraded_parts
            ]
            return (
                f"{sum(run.ungraded for run in self.runs):,} of {answers} could not be graded"
                f"{f', above all in {parts[0]}' if parts else ''}; {self._gates_said}"
            )
        return self._gates_said

    @property
    def _gates_said(self) -> str:
        """What became of the gates; of several runs, by run, those that ended alike together."""
        runs: dict[str, list[str]] = {}
        for run in self.runs:
            verdicts = [gate.verdict for gate in self.gates if gate.run == run.id]
            if verdicts:
                runs.setdefault(_count_verdicts(verdicts), []).append(run.id)
        if not runs:
            return "no gates: not a verdict"
        if len(self.runs) == 1:
            return next(iter(runs))
        return "; ".join(
            f"{said} in each of {pluralize(len(ids), 'run')}"
            if len(ids) == len(self.runs)
            else f"{said} in {join_names(ids, 3)}"
            for said, ids in runs.items()
        )


def _count_verdicts(verdicts: Sequence[Outcome]) -> str:
    """The gates of one run in a clause."""
    count, total = Counter(verdicts), len(verdicts)
    if count["pass"] == total:
        return {1: "the gate holds", 2: "both gates hold"}.get(total, f"all {total} gates hold")
    phrases: dict[Outcome, str] = {
        "fail": "failed",
        "unknown": "without data",
        "inconclusive": "inconclusive",
        "pass": "held",
    }
    found = [f"{count[verdict]} {phrase}" for verdict, phrase in phrases.items() if count[verdict]]
    return f"of {pluralize(total, 'gate')}, {', '.join(found)}"
