"""The gate mini-language: what each gate means, and how a wrong one is corrected."""

from typing import Any

import pytest

from harness.suite import GateSpec
from harness.suite.gate_syntax import parse_gate


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("pass_rate >= 0.90", {"metric": "pass_rate", "op": ">=", "value": 0.9}),
        ("pass_rate.low >= 0.9", {"metric": "pass_rate", "bound": "low", "op": ">=", "value": 0.9}),
        (
            "pass_rate{tag=money} >= 90%",
            {"metric": "pass_rate", "slice": {"tag": "money"}, "op": ">=", "value": 0.9},
        ),
        ("score.high<0.5", {"metric": "score", "bound": "high", "op": "<", "value": 0.5}),
        ("ttft.p95 <= 1.5s", {"metric": "ttft", "stat": "p95", "op": "<=", "value": 1.5}),
        (
            "latency.mean.high <= 200ms",
            {"metric": "latency", "stat": "mean", "bound": "high", "op": "<=", "value": 0.2},
        ),
        ("cost <= $0.40", {"metric": "cost", "op": "<=", "value": 0.4}),
        ("tpot.p95 <= 50ms", {"metric": "tpot", "stat": "p95", "op": "<=", "value": 0.05}),
        (
            "output_tokens_per_s.mean.low >= 50/s",
            {
                "metric": "output_tokens_per_s",
                "stat": "mean",
                "bound": "low",
                "op": ">=",
                "value": 50,
            },
        ),
        (
            "cost_per_request.high <= $0.01",
            {"metric": "cost_per_request", "bound": "high", "op": "<=", "value": 0.01},
        ),
        ("errors == 0", {"metric": "errors", "op": "==", "value": 0}),
        ("output_tokens < 200k", {"metric": "output_tokens", "op": "<", "value": 200_000}),
        (
            "case.pass_rate >= 0.8",
            {"metric": "pass_rate", "per_case": True, "op": ">=", "value": 0.8},
        ),
        (
            'pass_rate.low{prompt="a, b", temperature=0, target=x y} > 1%',
            {
                "metric": "pass_rate",
                "bound": "low",
                "slice": {"prompt": "a, b", "temperature": 0.0, "target": "x y"},
                "op": ">",
                "value": 0.01,
            },
        ),
        (
            "errors{case=001, logprobs=true} == 0",
            {
                "metric": "errors",
                "slice": {"case": "001", "logprobs": True},
                "op": "==",
                "value": 0,
            },
        ),
    ],
)
def test_a_gate_means(text: str, meaning: dict[str, Any]) -> None:
    assert parse_gate(text) == GateSpec(text=text, **meaning)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pass_rat >= 1", "did you mean `pass_rate`?"),
        ("pass_rate", "is not a gate"),
        ("pass_rate => 1", "is not a gate"),
        ("pass_rate >= ninety", "should be a share"),
        ("pass_rate >= 90", "did you mean 90%"),
        ("pass_rate >= nan", "should be a share"),
        ("errors <= 0.5", "should be a whole number"),
        ("ttft <= 1s", "say which ttft: `ttft.p50`, `.p90`, `.p95`, `.p99`, `.mean` or `.max`"),
        ("tpot <= 1s", "say which tpot"),
        ("output_tokens_per_s.p50 >= 50ms", "should be a rate such as 50/s"),
        ("price_per_mtok <= 1", "no metric `price_per_mtok`"),
        ("ttft.p95 <= 1.5", "needs a unit"),
        ("ttft.p59 <= 1s", "`ttft` has no `.p59`"),
        ("pass_rate.lwo >= 0.9", "did you mean `low`?"),
        ("pass_rate.p95 >= 0.9", "`pass_rate` has no `.p95`"),
        ("pass_rate{tagg=money} >= 0.9", "did you mean `tag`?"),
        ("pass_rate{tag} >= 0.9", "is not part of a slice"),
        ("pass_rate{} >= 0.9", "is not part of a slice"),
        ("pass_rate{tag=a, tag=b} >= 0.9", "names `tag` twice"),
        ("no_drop >= 1", "not supported by this version"),
        ("case.tokens <= 5", "is not available per case"),
    ],
)
def test_a_wrong_gate_is_corrected(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_gate(text)
    assert said in str(caught.value)


def test_a_gate_survives_json() -> None:
    gate = parse_gate('pass_rate.low{tag="a b", temperature=0.5} >= 90%', 3, 5)
    assert GateSpec.model_validate_json(gate.model_dump_json()) == gate
    assert GateSpec.model_validate(gate.model_dump(mode="json")) == gate


@pytest.mark.parametrize(
    ("op", "passing", "failing"),
    [(">=", 0.5, 0.4), ("<=", 0.5, 0.6), (">", 0.6, 0.5), ("<", 0.4, 0.5), ("==", 0.5, 0.6)],
)
def test_a_gate_compares_what_was_measured(op: str, passing: float, failing: float) -> None:
    gate = parse_gate(f"pass_rate {op} 0.5")
    assert gate.holds(passing)
    assert not gate.holds(failing)
    assert not gate.holds(float("nan"))
