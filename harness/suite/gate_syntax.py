"""The threshold-gate mini-language: `pass_rate{tag=money} >= 90%`, `ttft.p95 <= 1.5s`,
`case.pass_rate >= 0.8`.

    gate  = ["case."] metric ["." stat] ["." bound] ["{" slice {"," slice} "}"] op value
    slice = name "=" value
    stat  = p50 | p90 | p95 | p99 | mean | max
    bound = low | high
    op    = >= | <= | > | < | ==

A gate only says what must hold; `analysis` decides whether it does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from harness.config import units
from harness.config.diagnostics import did_you_mean
from harness.config.sampling import Sampling
from harness.metrics.table import GATED, Metric, Statistic, Unit

Bound = Literal["low", "high"]
Operator = Literal[">=", "<=", ">", "<", "=="]

BOUNDS = ("low", "high")
AXES = ("tag", "target", "prompt", "eval", "case")
COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq,
}  # fmt: skip

UNSUPPORTED = {
    "no_drop": "gate on a threshold such as `pass_rate >= 0.9`",
    "proven_no_drop": "gate on a threshold such as `pass_rate.low >= 0.9`",
}

_GATE = re.compile(
    r"""\s*(?P<case>case\.)?(?P<metric>[A-Za-z_]\w*)(?P<suffixes>(?:\.\w+)*)
        \s*(?:\{(?P<slice>[^}]*)\})?\s*(?P<op>>=|<=|==|>|<)\s*(?P<value>\S.*?)\s*""",
    re.VERBOSE,
)
_PAIR = re.compile(r'\s*(\w+)\s*=\s*(?:"([^"]*)"|([^,"]*?))\s*')

_PARSERS: Mapping[Unit, Callable[[str], float | Decimal]] = {
    "share": units.parse_share,
    "score": units.parse_share,
    "seconds": units.parse_duration,
    "dollars": units.parse_money,
    "count": units.parse_count,
    "per second": units.parse_rate,
}


def describe_gates() -> str:
    """What a gate is and can name, for the JSON Schema."""
    return (
        "`metric[.statistic][.low|.high][{slice}] operator value`. Metrics: "
        f"{'; '.join(f'{metric.name} ({metric.title})' for metric in GATED.values())}."
    )


class GateSpec(BaseModel):
    """One gate. `value` is in base units: seconds, US dollars, a fraction, a count.

    `slice` maps tag, target, prompt, eval, case or a sampling parameter to the value the trials
    must have. `per_case` asks it of every case over its repeats. `stat` is set where the metric has
    a distribution, such as latency. `line` and `column` are where the suite says it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    text: str
    metric: str
    stat: Statistic | None = None
    bound: Bound | None = None
    slice: dict[str, str | float | int | bool] = {}
    per_case: bool = False
    op: Operator
    value: float
    line: int | None = None
    column: int | None = None

    def holds(self, measured: float) -> bool:
        """Whether `measured`, in base units, satisfies the gate."""
        return COMPARE[self.op](measured, self.value)


def parse_gate(text: str, line: int | None = None, column: int | None = None) -> GateSpec:
    """The gate in `text`. Raises ValueError, saying what would be right."""
    match = _GATE.fullmatch(text)
    if not match:
        raise ValueError(
            f"{text!r} is not a gate; write it like `pass_rate >= 0.9` or `ttft.p95{{tag=money}} <="
            " 1.5s`"
        )
    name = match["metric"]
    if name not in GATED:
        hint = UNSUPPORTED.get(name)
        unknown = f"no metric `{name}`; {did_you_mean(name, GATED)}"
        raise ValueError(f"`{name}` is not supported by this version; {hint}" if hint else unknown)
    metric = GATED[name]
    stat, bound = _parse_suffixes(metric, match["suffixes"])
    if match["case"] and not metric.gates_cases:
        raise ValueError(f"`{name}` is not available per case; remove `case.`")
    return GateSpec(
        text=text.strip(), metric=name, stat=stat, bound=bound, slice=_parse_slice(match["slice"]),
        per_case=bool(match["case"]), op=match["op"], value=_parse_value(metric, match["value"]),
        line=line, column=column,
    )  # fmt: skip


def _parse_suffixes(metric: Metric, suffixes: str) -> tuple[Any, Any]:
    stat = bound = None
    for suffix in suffixes.split(".")[1:]:
        if suffix in metric.statistics and stat is None and bound is None:
            stat = suffix
        elif suffix in BOUNDS and metric.has_interval and bound is None:
            bound = suffix
        else:
            choices = [*metric.statistics, *(BOUNDS if metric.has_interval else ())]
            raise ValueError(f"`{metric.name}` has no `.{suffix}`; {did_you_mean(suffix, choices)}")
    if metric.statistics and stat is None:
        *others, last = (f"`.{statistic}`" for statistic in metric.statistics[1:])
        raise ValueError(
            f"say which {metric.name}: `{metric.name}.{metric.statistics[0]}`, {', '.join(others)}"
            f" or {last}"
        )
    return stat, bound


def _parse_slice(text: str | None) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for part in _split_slice(text):
        match = _PAIR.fullmatch(part)
        if not match:
            raise ValueError(
                f"`{part.strip()}` is not part of a slice; write {{tag=money}} or {{target=scout,"
                " temperature=0}"
            )
        name, quoted, plain = match.groups()
        if name in pairs:
            raise ValueError(f"the slice names `{name}` twice; use one gate for each value")
        pairs[name] = quoted if quoted is not None else _parse_slice_value(name, plain)
    return pairs


def _split_slice(text: str | None) -> list[str]:
    """Splits at the commas that are outside quotes."""
    return [] if text is None else re.findall(r'(?:"[^"]*"|[^,"])+', text) or [text]


def _parse_slice_value(name: str, text: str) -> Any:
    if name in AXES:
        return text
    if name not in Sampling.model_fields:
        raise ValueError(
            f"no slice by `{name}`; {did_you_mean(name, [*AXES, *Sampling.model_fields])}"
        )
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _parse_value(metric: Metric, text: str) -> float:
    try:
        return float(_PARSERS[metric.unit](text))
    except ValueError as error:
        raise ValueError(f"the value of `{metric.name}` {error}") from None
