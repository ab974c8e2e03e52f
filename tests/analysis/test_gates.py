"""Gates on figures, and the exit codes."""

from __future__ import annotations

from functools import partial
from types import ModuleType

import pytest
from msgspec.structs import replace

from harness.analysis import gates
from harness.analysis.frame import build_frames
from harness.analysis.report_data import GateResult, Report
from harness.analysis.summarize import build_report
from harness.errors import ExitCode
from harness.metrics.definitions import Timing
from harness.metrics.table import RESPONSE_METRICS, Metric
from harness.model import Attempt, Error, Grade, Manifest, Record, Usage
from harness.suite.gate_syntax import GateSpec, parse_gate


def judged(
    build: ModuleType, records: list[Record], *texts: str, **facts: object
) -> tuple[Report, Manifest]:
    manifest = build.manifest(
        planned=facts.pop("planned", len(records)),
        gates=[parse_gate(text).model_dump(mode="json") for text in texts],
        **facts,
    )
    return build_report(build_frames([(manifest, records)]), [manifest]), manifest


def verdict(build: ModuleType, records: list[Record], text: str) -> GateResult:
    """One gate's, without the report around it."""
    frames = build_frames([(build.manifest(planned=len(records)), records)])
    (result,) = gates.evaluate_gates([parse_gate(text)], frames, "run-1")
    return result


def answers(build: ModuleType, passed: int, failed: int, broken: int = 0) -> list[Record]:
    records = [build.record(f"p{i}", tags=("money",)) for i in range(passed)]
    records += [
        build.record(f"f{i}", passed=False, setting={"temperature": 1}) for i in range(failed)
    ]
    return records + [build.errored(f"e{i}") for i in range(broken)]


def ungraded(build: ModuleType, count: int, grader: str = "judge") -> list[Record]:
    missing = Grade(grader, None, error=Error("grader", "unreadable", "no verdict in it"))
    return [build.record(f"u{i}", passed=None, grades=(missing,)) for i in range(count)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pass_rate >= 0.9", "pass"),
        ("pass_rate > 0.9", "fail"),
        ("pass_rate.low >= 0.9", "fail"),
        ("pass_rate.low >= 0.8", "pass"),
        ("pass_rate{tag=money} >= 1", "pass"),
        ("pass_rate{temperature=1} >= 0.5", "fail"),
        ("pass_rate{target=scout, prompt=terse, eval=triage} >= 0.9", "pass"),
        ("score >= 0.9", "pass"),
        ("errors <= 10", "pass"),
        ("errors == 0", "fail"),
        ("error_rate <= 10%", "pass"),
        ("ungraded == 0", "pass"),
        ("cost <= $0.1", "pass"),
        ("cost <= $0.05", "fail"),
        ("cost_per_request <= $0.001", "pass"),
        ("latency.p95 <= 1s", "pass"),
        ("latency.max < 1s", "fail"),
        ("ttft.mean <= 250ms", "pass"),
        ("ttfa.p50 <= 250ms", "pass"),
        ("tpot.p95 <= 75ms", "pass"),
        ("tpot.mean.high < 75ms", "fail"),
        ("output_tokens_per_s.mean >= 11/s", "pass"),
        ("response_time.max <= 1.51s", "pass"),
        ("output_tokens <= 1100", "pass"),
        ("input_tokens < 9000", "fail"),
        ("tokens <= 11100", "pass"),
    ],
)
def test_a_threshold_compares_the_estimate_and_a_bound_the_interval(
    build: ModuleType, text: str, expected: str
) -> None:
    assert verdict(build, answers(build, 90, 10, 10), text).verdict == expected


@pytest.mark.parametrize("metric", RESPONSE_METRICS, ids=lambda metric: metric.name)
def test_every_measure_of_a_response_can_be_gated(build: ModuleType, metric: Metric) -> None:
    marks = replace(build.marks(), first_answer=build.marks().first_token + 10**8)
    answer = build.response(
        attempts=(Attempt(marks, 200),), usage=Usage(input=9, output=11, reasoning=4)
    )
    least = "0s" if metric.unit == "seconds" else "0"
    found = verdict(
        build, [build.record(exchanges=(build.exchange(answer),))], f"{metric.name}.max > {least}"
    )
    assert metric.read is not None
    assert (found.verdict, found.estimate) == ("pass", metric.read(Timing(answer)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pass_rate{tag=mony} >= 0", "no trial of the slice has tag 'mony' (the run has money)"),
        ("pass_rate{target=nobody} >= 0", "the run has scout"),
        ("pass_rate{temperature=0.5} >= 0", "the run has 0, 1"),
        ("pass_rate{top_p=0.5} >= 0", "no slice by 'top_p'"),
        ("pass_rate{tag=money, temperature=1} >= 0", "no trial of the slice has temperature 1.0"),
    ],
)
def test_a_slice_that_matches_nothing_is_never_a_pass(
    build: ModuleType, text: str, says: str
) -> None:
    """G03."""
    found, manifest = judged(build, answers(build, 3, 1), text)
    assert found.gates[0].verdict == "unknown"
    assert says in found.gates[0].detail
    assert gates.choose_exit_code(found, manifest) == ExitCode.USAGE


def test_an_unknown_metric_is_never_a_pass(build: ModuleType) -> None:
    found = build_frames([(build.manifest(), [build.record()])])
    (result,) = gates.evaluate_gates(
        [GateSpec(text="speed >= 0", metric="speed", op=">=", value=0)], found, "run-1"
    )
    assert (result.verdict, "unknown metric 'speed'" in result.detail) == ("unknown", True)


@pytest.mark.parametrize(
    "text", ["pass_rate >= 0", "score >= 0", "latency.p50 <= 9s", "case.pass_rate >= 0"]
)
def test_nothing_but_errors_is_no_figure(build: ModuleType, text: str) -> None:
    found, manifest = judged(build, [build.errored("a"), build.errored("b")], text)
    assert (found.gates[0].verdict, found.gates[0].estimate) == ("unknown", None)
    assert gates.choose_exit_code(found, manifest) == ExitCode.INFRASTRUCTURE


def test_the_cost_of_an_unpriced_target_is_unknown_and_not_cheap(build: ModuleType) -> None:
    found = verdict(
        build,
        [build.record("a"), build.record("b", exchanges=(build.exchange(cost=None),))],
        "cost <= $100",
    )
    assert found.verdict == "unknown"
    assert "1 answered trial has no known cost" in found.detail


def test_cost_per_request_is_of_answers_alone(build: ModuleType) -> None:
    unpriced = [build.record(f"u{i}", exchanges=(build.exchange(cost=None),)) for i in range(3)]
    refused = [build.errored(f"e{i}", cost=0.0) for i in range(20)]
    found = verdict(build, unpriced + refused, "cost_per_request <= $0.001")
    assert (found.verdict, found.estimate) == ("unknown", None)
    found = verdict(build, [*unpriced, *refused, build.record("a")], "cost_per_request <= $0.001")
    assert (found.verdict, found.n) == ("pass", 1)


def test_replayed_answers_have_a_pass_rate_but_no_latency(build: ModuleType) -> None:
    stored = [build.record(exchanges=(build.exchange(build.response(replayed="run-0")),))]
    assert verdict(build, stored, "pass_rate >= 1").verdict == "pass"
    assert verdict(build, stored, "latency.p50 <= 9s").verdict == "unknown"


def test_a_bound_that_n_does_not_give_is_inconclusive(build: ModuleType) -> None:
    records = [build.record(f"c{i}") for i in range(100)]
    found, manifest = judged(build, records, "latency.p99.high <= 5s")
    assert found.gates[0].verdict == "inconclusive"
    assert "needs 368 independent answers" in found.gates[0].detail
    assert gates.choose_exit_code(found, manifest) == ExitCode.OK
    found, manifest = judged(build, records, "latency.p99.high <= 5s", strict=True)
    assert gates.choose_exit_code(found, manifest) == ExitCode.INCONCLUSIVE


def test_an_estimate_already_beyond_fails_its_bound_whatever_n_is(build: ModuleType) -> None:
    assert (
        verdict(
            build,
            [build.record("a", 0, passed=False), build.record("a", 1)],
            "pass_rate.low >= 0.9",
        ).verdict
        == "fail"
    )


@pytest.mark.parametrize(
    ("text", "close"),
    [
        ("pass_rate >= 0.88", True),
        ("pass_rate >= 0.92", True),
        ("pass_rate >= 0.85", False),  # inside the interval, 1.6 standard errors away
        ("pass_rate >= 0.5", False),
        ("pass_rate.low >= 0.82", False),
        ("latency.p50 <= 1s", False),
        ("error_rate <= 2%", False),  # none of 100: the interval reaches 3.7 %
        ("error_rate <= 0.5%", False),  # none of 100 speaks for more than 0.5 %
    ],
)
def test_a_caution_stands_only_where_the_verdict_may_well_change(
    build: ModuleType, text: str, close: bool
) -> None:
    caution = verdict(build, answers(build, 90, 10), text).caution
    assert caution == ("Within one standard error of the threshold." if close else "")


@pytest.mark.parametrize(
    ("broken", "of", "threshold", "close"),
    [
        (0, 12, "2%", False),  # the interval reaches 24 %, the estimated standard error is 0
        (0, 12, "0%", False),
        (0, 300, "1%", False),
        (12, 12, "99%", False),
        (1, 12, "2%", True),  # 8.3 %, standard error 8.0
        (1, 12, "20%", False),  # 1.5 standard errors away
        (1, 100, "2%", False),  # a hair over one: 1.0 % with 0.995
        (1, 100, "1.9%", True),
        (1, 1000, "2%", False),  # the interval ends at 0.6 %
        (6, 12, "50%", True),
        (6, 12, "60%", True),
        (6, 12, "70%", False),
        (11, 12, "95%", True),
    ],
)
def test_a_rate_is_close_within_its_own_standard_error(
    build: ModuleType, broken: int, of: int, threshold: str, close: bool
) -> None:
    found = verdict(build, answers(build, of - broken, 0, broken), f"error_rate <= {threshold}")
    assert (found.caution != "") == close


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        ("pass_rate.low >= 0.8", "pass", "20 cases cannot show more than 83.9 %."),
        ("pass_rate.low >= 0.9", "fail", "20 cases cannot show more than 83.9 %."),
        ("pass_rate >= 0.9", "pass", "(95 % interval 93.6 % to 98.6 %"),
        ("error_rate.high <= 10%", "fail", "20 cases cannot show less than 16.1 %."),
    ],
)
def test_a_bound_of_a_rate_is_no_further_than_its_cases_can_show(
    build: ModuleType, text: str, expected: str, said: str
) -> None:
    """Six of 200 fail in six cases: the repeats look independent, but there are 20 cases only."""
    bad = build.errored if text.startswith("error") else partial(build.record, passed=False)
    records = [
        (bad if case < 6 and repeat == 0 else build.record)(f"c{case}", repeat)
        for case in range(20)
        for repeat in range(10)
    ]
    found = verdict(build, records, text)
    assert (found.verdict, said in found.detail) == (expected, True), found.detail


def test_the_sentence_has_estimate_interval_n_and_method(build: ModuleType) -> None:
    detail = verdict(build, answers(build, 81, 182), "pass_rate >= 0.3").detail
    assert detail == "pass_rate is 30.8 % (95 % interval 25.5 % to 36.6 %, n = 263, Wilson)."


def test_a_per_case_gate_names_the_cases_that_fail_it(build: ModuleType) -> None:
    records = [
        build.record(case, repeat, passed=repeat < good)
        for case, good in (("ok", 3), ("bad", 1))
        for repeat in range(3)
    ]
    found = verdict(build, records, "case.pass_rate >= 0.6")
    assert (found.verdict, found.estimate) == ("fail", pytest.approx(1 / 3))
    assert "passing: 1 of 2 pairs of case and configuration; failing: bad" in found.detail
    assert verdict(build, records, "case.pass_rate >= 0.3").verdict == "pass"


def test_a_broken_case_leaves_a_per_case_gate_inconclusive(build: ModuleType) -> None:
    assert (
        verdict(build, [build.record("a"), build.errored("b")], "case.pass_rate >= 0.3").verdict
        == "inconclusive"
    )


def test_exit_codes(build: ModuleType) -> None:
    def code(
        records: list[Record], *texts: str, stopped: tuple[ExitCode, ...] = (), **facts: object
    ) -> ExitCode:
        found, manifest = judged(build, records, *texts, **facts)
        return gates.choose_exit_code(found, manifest, stopped)

    good, few_errors, many_errors = (
        answers(build, 99, 1),
        answers(build, 99, 0, 1),
        answers(build, 50, 0, 50),
    )
    assert code(good, "pass_rate >= 0.9") == ExitCode.OK
    assert code(good, "pass_rate >= 0.999") == ExitCode.GATE_FAILED
    assert code(good) == ExitCode.OK
    assert code(few_errors, "pass_rate >= 0.9") == ExitCode.OK
    assert code(many_errors, "pass_rate >= 0.9") == ExitCode.INFRASTRUCTURE
    assert code(many_errors, "pass_rate >= 0.9", max_error_rate=0.5) == ExitCode.OK
    assert code(many_errors, "pass_rate > 1") == ExitCode.INFRASTRUCTURE
    assert code(answers(build, 0, 0, 9), "pass_rate >= 0.9") == ExitCode.INFRASTRUCTURE
    assert code([], "pass_rate >= 0.9") == ExitCode.USAGE
    assert code([]) == ExitCode.USAGE
    assert code(good, "pass_rate >= 0.9", planned=101) == ExitCode.INFRASTRUCTURE
    assert code(good, planned=101) == ExitCode.INFRASTRUCTURE
    some, many = (good + ungraded(build, count, "equals") for count in (5, 6))
    assert code(some, "pass_rate >= 0.9") == ExitCode.OK
    assert code(many, "pass_rate >= 0.9") == ExitCode.INFRASTRUCTURE
    assert code(many, "pass_rate >= 0.999") == ExitCode.INFRASTRUCTURE
    assert code(many) == ExitCode.INFRASTRUCTURE
    assert code(many, "pass_rate >= 0.9", max_ungraded_rate=0.1) == ExitCode.OK
    assert code(ungraded(build, 3), "pass_rate >= 0.9") == ExitCode.INFRASTRUCTURE
    assert code(good, "pass_rate >= 0.999", stopped=(ExitCode.BUDGET,)) == ExitCode.BUDGET
    assert code([], stopped=(ExitCode.INTERRUPTED,)) == ExitCode.INTERRUPTED


def test_no_gates_is_not_a_verdict(build: ModuleType) -> None:
    found, _ = judged(build, answers(build, 3, 0))
    assert (found.verdict, found.headline) == ("no gates", "no gates: not a verdict")


def test_a_run_that_broke_or_is_not_finished_is_no_pass_whatever_its_gates_say(
    build: ModuleType,
) -> None:
    broke, _ = judged(build, answers(build, 50, 0, 50), "pass_rate >= 0.9")
    assert (broke.verdict, broke.headline) == (
        "errors",
        "50 of 100 trials ended in an error; the gate holds",
    )
    tolerated, _ = judged(build, answers(build, 50, 0, 50), "pass_rate >= 0.9", max_error_rate=0.5)
    assert tolerated.verdict == "pass"
    manifest = build.manifest(planned=9)
    stopped = build_report(build_frames([(manifest, [build.record()])]), [manifest])
    assert (stopped.verdict, stopped.headline) == (
        "unfinished",
        "1 of 9 trials recorded; no gates: not a verdict",
    )


def test_ungraded_answers_are_in_headline_gate_and_warnings(build: ModuleType) -> None:
    found, _ = judged(build, answers(build, 7, 0) + ungraded(build, 17), "pass_rate >= 0.9")
    assert (found.verdict, found.headline) == (
        "ungraded",
        "17 of 24 answers could not be graded; the gate holds",
    )
    assert "17 of 24 answers could not be graded." in found.gates[0].detail
    assert any("(judge 17 times, most often: no verdict in it)" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("missing", "of", "tolerated", "part"),
    [
        (12, 20, 0.05, "terse · scout · temperature=9 (12 of 20)"),
        (3, 20, 0.05, "terse · scout · temperature=9 (3 of 20)"),
        (1, 3, 0.05, None),
        (2, 3, 0.05, None),
        (3, 3, 0.05, "terse · scout · temperature=9 (3 of 3)"),
        (3, 100, 0.05, None),
        (12, 20, 0.6, None),
    ],
)
def test_one_configuration_without_grades_does_not_hide_among_others(
    build: ModuleType, missing: int, of: int, tolerated: float, part: str | None
) -> None:
    fine = [build.record(f"p{i}", setting={"temperature": n}) for n in range(8) for i in range(90)]
    mine = [
        replace(each, setting={"temperature": 9}) for each in ungraded(build, missing, "equals")
    ]
    mine += [build.record(f"g{i}", setting={"temperature": 9}) for i in range(of - missing)]
    found, manifest = judged(build, fine + mine, "pass_rate >= 0.9", max_ungraded_rate=tolerated)
    code = gates.choose_exit_code(found, manifest)
    assert code == (ExitCode.OK if part is None else ExitCode.INFRASTRUCTURE)
    if part is not None:
        assert found.headline == (
            f"{missing} of {720 + of} answers could not be graded, above all in {part}; the gate"
            " holds"
        )
        assert any(f"(`max_ungraded_rate`) in {part}" in text for text in found.warnings)


def test_one_grader_without_grades_does_not_hide_among_others(build: ModuleType) -> None:
    rare = Grade("rare", None, error=Error("grader", "raised", "no JSON"))
    fine = [build.record(f"p{i}") for i in range(200)]
    broken = [build.record(f"r{i}", passed=None, grades=(rare,)) for i in range(4)]
    found, _ = judged(build, fine + broken)
    assert found.runs[0].ungraded_parts == ("grader rare (4 of 4)",)
    assert found.verdict == "ungraded"
    silent = replace(rare, weight=0)
    unweighted = [build.record(f"r{i}", grades=(silent,)) for i in range(4)]
    assert judged(build, fine + unweighted)[0].runs[0].ungraded_parts == ()


def test_answers_without_a_grader_do_not_dilute_the_ungraded(build: ModuleType) -> None:
    plain = [build.record(f"n{i}", passed=None, grades=()) for i in range(200)]
    found, _ = judged(build, plain + answers(build, 1, 0) + ungraded(build, 1))
    assert (found.runs[0].ungraded_rate, found.verdict) == (0.5, "ungraded")


def test_each_run_is_judged_by_its_own_gates(build: ModuleType) -> None:
    gate = [parse_gate("pass_rate >= 1").model_dump(mode="json")]
    manifests = [build.manifest("old", gates=gate), build.manifest("new", gates=gate)]
    found = build_report(
        build_frames([(m, [build.record(passed=m.id == "new")]) for m in manifests]), manifests
    )
    assert [(gate.run, gate.verdict) for gate in found.gates] == [("old", "fail"), ("new", "pass")]
    assert [gates.choose_exit_code(found, manifest) for manifest in manifests] == [
        ExitCode.GATE_FAILED,
        ExitCode.OK,
    ]


def test_latency_gates_are_on_the_final_attempt(build: ModuleType) -> None:
    attempts = (Attempt(build.marks(0, latency=30)), Attempt(build.marks(60, latency=1), waited=29))
    records = [build.record(exchanges=(build.exchange(build.response(attempts=attempts)),))]
    assert verdict(build, records, "latency.max <= 1s").verdict == "pass"
