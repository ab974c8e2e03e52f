"""Every measure, in one row each: what it is, how it is read and added up, where it is shown, and
whether it can gate.

All else derives from these rows: the frames' columns, the figures of a set of trials, the gate
language and its errors, gates' sentences, the reports' columns, the keys of summary.json, the
tables in docs/measures.md, docs/statistics.md and docs/suites.md, and what the JSON Schema says of
gates. A new measure is a function in `definitions` and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from msgspec import Struct

from harness.metrics import definitions
from harness.metrics.definitions import Timing

Unit = Literal["share", "score", "seconds", "dollars", "count", "per second"]
"""How a figure is written in a gate, and formatted for people."""

Outcome = Literal["pass", "fail", "no verdict", "ungraded", "error"]
"""How a trial ended: exactly one of these."""

Needs = Literal["", "timing", "streaming"]
"""What a run must do for there to be a figure: time its answers (batches are not timed), or stream
them as well."""

Statistic = Literal["p50", "p90", "p95", "p99", "mean", "max"]
"""What a gate may ask of a distribution."""

PERCENTILES: Mapping[str, float] = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}

STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

_STATISTIC_NAMES = {
    "p50": "median",
    **{f"p{number}": f"{number}th percentile of" for number in (90, 95, 99)},
}


class Aggregate(Struct, frozen=True, kw_only=True):
    """How one figure is made of many trials; `columns` are those of `trials` that go into it."""

    columns: tuple[str, ...] = ()


class Rate(Aggregate, frozen=True, kw_only=True):
    """The share of trials with one outcome, among those with one of several; without `among` of
    all."""

    outcome: Outcome
    among: tuple[Outcome, ...] = ()


class Count(Aggregate, frozen=True, kw_only=True):
    """The number of trials with an outcome; without one of all."""

    outcome: Outcome | None = None


class Mean(Aggregate, frozen=True, kw_only=True):
    """The mean of a column, over the trials that have a value; `bounded` values are in 0..1.

    `answered` leaves out trials that broke: what a server refused is free, and no request's price.
    """

    bounded: bool = False
    answered: bool = False


class Distribution(Aggregate, frozen=True, kw_only=True):
    """A percentile, the mean or the largest value of a column, over the
    trials that have a value."""


class Sum(Aggregate, frozen=True, kw_only=True):
    """The sum of columns, over the trials that have a value.

    Where it must be `complete` there is none as soon as one trial that was answered has no value;
    the statistic `known` is the sum of what is known all the same.
    """

    complete: bool = False


class Ratio(Aggregate, frozen=True, kw_only=True):
    """`scale` × the sum of the first column / that of the others (of none: / the number of trials),
    where all are known; `answered` is as in `Mean`."""

    scale: float = 1.0
    answered: bool = False


class Shown(Struct, frozen=True):
    """A column of the reports' table: which statistic of the metric, under which title.

    `rank` says which columns go first where room is short (the highest; 0 never goes).
    """

    title: str
    rank: int
    statistic: str | None = None


class Metric(Struct, frozen=True, kw_only=True):
    """One measure.

    `name` is its name in gates, frames and summary.json, `title` the one in sentences, `about` its
    definition. `read` takes it from one response, and makes it a column of `exchanges` and
    `trials`; the others are figures of many trials only. `absent` says why there may be no figure.
    """

    name: str
    title: str
    unit: Unit
    about: str
    aggregate: Aggregate
    read: Callable[[Timing], float] | None = None
    needs: Needs = ""
    absent: str = "nothing observed"
    shown: tuple[Shown, ...] = ()
    gates: bool = True
    gates_cases: bool = True

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Those a gate must choose from; none where there is but one figure."""
        return STATISTICS if isinstance(self.aggregate, Distribution) else ()

    @property
    def has_interval(self) -> bool:
        """Whether its figure is an estimate, whose bounds a gate may ask for."""
        return isinstance(self.aggregate, Rate | Mean | Distribution)

    @property
    def reported(self) -> Mapping[str, str | None]:
        """What a report has of it: the name of each figure -> the statistic; nothing where it is
        not shown.

        Where several statistics are shown, all percentiles and the mean are there.
        """
        if len(self.shown) > 1:
            return {f"{self.name}.{statistic}": statistic for statistic in (*PERCENTILES, "mean")}
        return {self.figure_name(shown): shown.statistic for shown in self.shown}

    def figure_name(self, shown: Shown) -> str:
        """The name of the figure in a report's column."""
        return self.name if len(self.shown) < 2 else f"{self.name}.{shown.statistic}"

    def describe(self, shown: Shown) -> str:
        """What a report's column holds."""
        statistic = _STATISTIC_NAMES.get(shown.statistic or "")
        return f"{statistic} {self.title}" if statistic else self.about


_UNTIMED = "no trial has this measure; errored and replayed trials are left out"
_UNSTREAMED = f"{_UNTIMED}, as are those that were not streamed"
_UNPRICED = (
    "no answered trial has a known cost: give the targets a price, or let the servers report usage"
)
_UNCOUNTED = "no trial has a token count"


def _response_metric(
    name: str,
    title: str,
    about: str,
    read: Callable[[Timing], float],
    *,
    unit: Unit = "seconds",
    needs: Needs = "streaming",
    absent: str = "",
    shown: tuple[Shown, ...] = (),
) -> Metric:
    """A measure of a trial's last response, whose distribution over trials is reported."""
    return Metric(
        name=name,
        title=title,
        unit=unit,
        about=about,
        aggregate=Distribution(columns=(name,)),
        read=read,
        needs=needs,
        absent=absent or (_UNSTREAMED if needs == "streaming" else _UNTIMED),
        shown=shown,
    )


_ROWS = (
    Metric(
        name="n",
        title="number of trials",
        unit="count",
        about="trials recorded",
        aggregate=Count(),
        shown=(Shown("n", 0),),
        gates=False,
    ),
    Metric(
        name="pass_rate",
        title="pass rate",
        unit="share",
        about="passed / (passed + failed)",
        aggregate=Rate(outcome="pass", among=("pass", "fail")),
        absent=(
            "no trial has a verdict: all ended in errors, are ungraded, or have no grader that can"
            " fail"
        ),
        shown=(Shown("pass rate (95 %)", 0),),
    ),
    Metric(
        name="error_rate",
        title="error rate",
        unit="share",
        about="errored / recorded trials",
        aggregate=Rate(outcome="error"),
    ),
    Metric(
        name="errors",
        title="number of errors",
        unit="count",
        about="trials that ended in an error, neither passed nor failed",
        aggregate=Count(outcome="error"),
        shown=(Shown("errors", 1),),
    ),
    Metric(
        name="ungraded",
        title="number of ungraded trials",
        unit="count",
        about="answers a grader could not judge",
        aggregate=Count(outcome="ungraded"),
        shown=(Shown("ungraded", 6),),
    ),
    Metric(
        name="no_verdict",
        title="number of trials without a verdict",
        unit="count",
        about="answers without a grader that can fail",
        aggregate=Count(outcome="no verdict"),
        shown=(Shown("no verdict", 7),),
        gates=False,
    ),
    Metric(
        name="score",
        title="score",
        unit="score",
        about="mean score, 0 to 1, of the trials that have one",
        aggregate=Mean(columns=("score",), bounded=True),
        absent="no trial has a score",
        shown=(Shown("score", 4),),
    ),
    _response_metric(
        "latency",
        "latency",
        "`last_token − sent` of the final attempt; `done − sent` when not streamed",
        definitions.latency,
        needs="timing",
        shown=(
            Shown("p50", 2, "p50"),
            Shown("p90", 10, "p90"),
            Shown("p95", 2, "p95"),
            Shown("p99", 11, "p99"),
        ),
    ),
    _response_metric(
        "ttft",
        "time to first token",
        "`first_token − sent`, reasoning included; streaming only",
        definitions.time_to_first_token,
        shown=(Shown("ttft p50", 5, "p50"), Shown("ttft p95", 12, "p95")),
    ),
    _response_metric(
        "ttfa",
        "time to first answer",
        "`first_answer − sent`, without reasoning; reasoning time = ttfa − ttft; streaming only",
        definitions.time_to_first_answer,
    ),
    _response_metric(
        "tpot",
        "time per output token",
        "`(last_token − first_token) / (output tokens − 1)`, from reported tokens: the first event"
        " is assumed to carry one token; null below two tokens or two events",
        definitions.time_per_output_token,
        absent=f"{_UNTIMED}, and two reported output tokens are needed",
    ),
    _response_metric(
        "queue",
        "queue time",
        "`started − due`: waiting for a slot and for rate limits",
        definitions.queue_time,
        needs="timing",
    ),
    _response_metric(
        "connect", "connect time", "`connected − started`", definitions.connect_time, needs="timing"
    ),
    _response_metric(
        "response_time",
        "response time",
        "`last_token − due` of the *first* attempt: as a caller experiences it, including queue"
        " time, failed attempts and waits",
        definitions.response_time,
        needs="timing",
    ),
    _response_metric(
        "trailer",
        "trailer time",
        "`done − last_token`: usage and other events after the answer",
        definitions.trailer_time,
    ),
    _response_metric(
        "output_tokens_per_s",
        "output token throughput",
        "reported output tokens of the final attempt / latency: end to end, for one caller",
        definitions.output_tokens_per_second,
        unit="per second",
        needs="timing",
        shown=(Shown("tok/s", 8, "p50"),),
    ),
    _response_metric(
        "time_per_reasoning_token",
        "time per reasoning token",
        "`(first_answer − first_token) / reasoning tokens`, from reported tokens; null where no"
        " reasoning was streamed",
        definitions.time_per_reasoning_token,
        absent=f"{_UNTIMED}, and reasoning must be streamed and its tokens reported",
        shown=(Shown("per reasoning token", 15, "p50"),),
    ),
    Metric(
        name="tokens",
        title="tokens",
        unit="count",
        about="input + output tokens of all trials",
        aggregate=Sum(columns=("input_tokens", "output_tokens")),
        absent=_UNCOUNTED,
        gates_cases=False,
    ),
    Metric(
        name="input_tokens",
        title="input tokens",
        unit="count",
        about="input tokens of all attempts",
        aggregate=Sum(columns=("input_tokens",)),
        absent=_UNCOUNTED,
        shown=(Shown("tokens in", 13),),
        gates_cases=False,
    ),
    Metric(
        name="output_tokens",
        title="output tokens",
        unit="count",
        about="output tokens of all attempts",
        aggregate=Sum(columns=("output_tokens",)),
        absent=_UNCOUNTED,
        shown=(Shown("tokens out", 13),),
        gates_cases=False,
    ),
    Metric(
        name="cost",
        title="cost",
        unit="dollars",
        about=(
            "US dollars for all answers, including retries and the original cost of replayed"
            " answers; judges not included"
        ),
        aggregate=Sum(columns=("cost",), complete=True),
        absent=_UNPRICED,
        shown=(Shown("cost", 9, "known"),),
    ),
    Metric(
        name="estimated_cost",
        title="estimated cost",
        unit="dollars",
        about=(
            "US dollars, from estimated tokens, for answers whose tokens the server did not report;"
            " not included in `cost`"
        ),
        aggregate=Sum(columns=("estimated_cost",)),
        absent="no answer of unknown cost has a target with a price",
        shown=(Shown("≈ cost", 9),),
        gates=False,
    ),
    Metric(
        name="cost_per_request",
        title="cost per request",
        unit="dollars",
        about="mean cost of the answered trials whose cost is known",
        aggregate=Mean(columns=("cost",), answered=True),
        absent=_UNPRICED,
    ),
    Metric(
        name="cost_per_1000",
        title="cost per 1,000 requests",
        unit="dollars",
        about="mean cost of the answered trials whose cost is known × 1,000",
        aggregate=Ratio(columns=("cost",), scale=1_000, answered=True),
        absent=_UNPRICED,
        shown=(Shown("cost/1,000 req", 3),),
        gates=False,
    ),
    Metric(
        name="price_per_mtok",
        title="price per million tokens",
        unit="dollars",
        about="cost / (input + output tokens) × 1,000,000",
        aggregate=Ratio(columns=("cost", "input_tokens", "output_tokens"), scale=1_000_000),
        absent=_UNPRICED,
        shown=(Shown("per MTok", 14),),
        gates=False,
    ),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ROWS}
"""Every measure by its name, in the order of the reports."""

RESPONSE_METRICS = tuple(metric for metric in _ROWS if metric.read is not None)
"""The measures of one response: columns of `exchanges` and `trials`."""

GATED: Mapping[str, Metric] = {metric.name: metric for metric in _ROWS if metric.gates}
"""The measures a gate can name."""
