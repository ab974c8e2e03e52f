"""The comparison's tables, totals and warnings."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

from harness.analysis import stats
from harness.analysis.case_table import CASE_LIMIT, PREVIEW_LIMIT, describe_input
from harness.analysis.error_groups import message_shape
from harness.analysis.frame import build_frames
from harness.analysis.summarize import build_report
from harness.model import Attempt, Error, Exchange, Grade, Manifest, Record, Usage


def comparison(manifest: Manifest, records: object) -> object:
    return build_report(build_frames([(manifest, records)]), [manifest])


def test_errors_are_counted_apart_and_never_wrong_answers(build: ModuleType) -> None:
    """G01: 80 right, 10 wrong and 10 broken are 80/90, not 80/100, and say so."""
    records = [build.record(f"r{i}") for i in range(80)] + [
        build.record(f"w{i}", passed=False) for i in range(10)
    ]
    records += [build.errored(f"e{i}") for i in range(10)]
    row = comparison(build.manifest(planned=100), records).configurations[0]
    assert (row.n, row.passed, row.failed, row.errors) == (100, 80, 10, 10)
    assert row["pass_rate"] == stats.Estimate(
        pytest.approx(80 / 90), *map(pytest.approx, stats.wilson_interval(80, 90)), 90, "Wilson"
    )


def test_instant_errors_do_not_lower_the_latency(build: ModuleType) -> None:
    """T04: one in ten answers is an instant 500."""
    answered = [build.record(f"r{i}") for i in range(90)]
    broken = [build.errored(f"e{i}") for i in range(10)]
    with_errors = comparison(build.manifest(planned=100), answered + broken).configurations[0]
    without = comparison(build.manifest(planned=90), answered).configurations[0]
    assert with_errors["latency.p95"] == without["latency.p95"]
    assert with_errors["latency.p50"].n == 90


def test_money_and_tokens_of_a_configuration(build: ModuleType) -> None:
    row = comparison(
        build.manifest(planned=4), [build.record(str(i)) for i in range(4)]
    ).configurations[0]
    assert [row[name].value for name in ("input_tokens", "output_tokens", "cost")] == [
        400,
        44,
        pytest.approx(0.004),
    ]
    assert row["cost_per_1000"].value == pytest.approx(1.0)
    assert row["price_per_mtok"].value == pytest.approx(0.004 / 444 * 1e6)
    assert row["output_tokens_per_s"].value == pytest.approx(11)


def uncounted(build: ModuleType) -> Exchange:
    """An answer to which the server reported no tokens, so that they are estimated."""
    usage = Usage(input=1_000_000, output=1_000_000, source="estimated")
    answer = build.response(usage=usage, attempts=(Attempt(build.marks(), 200),))
    return build.exchange(answer, cost=None)


def test_missing_usage_is_said_to_be_missing_and_its_cost_estimated_apart(
    build: ModuleType,
) -> None:
    records = [build.record("a"), build.record("b", exchanges=(uncounted(build),))]
    found = comparison(build.manifest(planned=2), records)
    (row,) = found.configurations
    assert (row["cost"].value, row["estimated_cost"].value) == (0.001, pytest.approx(1.12))
    said = "scout did not report the tokens of 1 answer: their cost is unknown (≈ $1.12, from estimated"
    assert any(warning.startswith(said) for warning in found.warnings)
    assert not any("Unpriced" in warning for warning in found.warnings)


def test_a_refused_request_is_no_requests_price(build: ModuleType) -> None:
    """Free refusals beside answers of unknown cost are no figure; beside known ones, they are
    not in the mean."""
    refusal = Error("provider", "bad_request", "no", status=400)
    refused = build.response(
        message=None,
        usage=None,
        attempts=(Attempt(build.marks(), 400, error=refusal),),
        error=refusal,
    )
    records = [
        build.record("r", exchanges=(build.exchange(refused, None),), error=refusal, cost=0.0),
        build.record("u", exchanges=(build.exchange(cost=None),)),
    ]
    row = comparison(build.manifest(planned=2), records).configurations[0]
    assert row["cost_per_1000"].value is None
    row = comparison(build.manifest(planned=2), [records[0], build.record()]).configurations[0]
    assert (row["cost_per_1000"].value, row["cost_per_1000"].n) == (1.0, 1)


def test_an_unpriced_target_has_no_cost_and_a_warning(build: ModuleType) -> None:
    targets = {"scout": {"provider": "openai", "model": "own", "price": None}}
    found = comparison(
        build.manifest(targets=targets), [build.record(exchanges=(build.exchange(cost=None),))]
    )
    assert (
        found.configurations[0]["cost"].value
        is found.configurations[0]["cost_per_1000"].value
        is found.totals.spent
        is None
    )
    assert (found.configurations[0].unpriced, found.totals.unpriced) == (1, 1)
    assert any("Unpriced target: scout" in warning for warning in found.warnings)


def test_answers_that_the_output_limit_ended_are_told_by_configuration(build: ModuleType) -> None:
    def ended(case: str, text: str, reason: str = "length", **fields: Any) -> Any:
        answer = build.response(text, finish_reason=reason)
        return build.record(case, exchanges=(build.exchange(answer),), **fields)

    long = [ended(f"c{number}", "I think th") for number in range(24)]
    whole = [ended(f"w{number}", "billing", "stop") for number in range(6)]
    thinking = [ended(f"t{number}", "", prompt="v2") for number in range(2)]
    rare = [ended("once", "cut", prompt="v3")]
    rare += [ended(f"s{number}", "billing", "stop", prompt="v3") for number in range(19)]
    found = comparison(build.manifest(planned=52), long + whole + thinking + rare).warnings
    assert [text for text in found if "max_tokens" in text] == [
        "Cut off by max_tokens: terse · scout · temperature=0 (24 of 30 answers). Only the"
        " beginning of these answers was graded; raise `max_tokens`.",
        "Empty, because thinking used up max_tokens: v2 · scout · temperature=0 (2 of 2 answers)."
        " Raise `max_tokens`, or lower `reasoning_effort`.",
    ]
    several = [ended(f"p{number}", "cut", prompt=f"p{number}") for number in range(5)]
    (said,) = [
        text
        for text in comparison(build.manifest(planned=5), several).warnings
        if "max_tokens" in text
    ]
    assert said.count("(1 of 1 answer)") == 3 and ", and 2 more." in said


def test_a_half_finished_run_is_compared_and_said_to_be_one(build: ModuleType) -> None:
    found = comparison(build.manifest(planned=10), [build.record()])
    assert not found.runs[0].finished
    assert "The run is not finished: 1 of 10 trials recorded." in found.warnings


def test_a_run_without_records_is_a_comparison_too(build: ModuleType) -> None:
    found = comparison(build.manifest(planned=10), [])
    assert (found.configurations, found.cases, found.totals.trials) == ((), (), 0)
    assert "The run has no records: nothing was measured." in found.warnings


def test_several_runs_stand_side_by_side(build: ModuleType) -> None:
    manifests = [build.manifest("b"), build.manifest("a")]
    found = build_report(
        build_frames([(m, [build.record(passed=m.id == "a")]) for m in manifests]), manifests
    )
    assert [(c.run, c["pass_rate"].value) for c in found.configurations] == [("b", 0), ("a", 1)]
    assert [(cell.configuration, cell.passed, cell.failed) for cell in found.cases[0].cells] == [
        (0, 0, 1),
        (1, 1, 0),
    ]


def test_settings_are_ordered_by_size_and_not_by_spelling(build: ModuleType) -> None:
    records = [build.record(setting={"temperature": value}) for value in (1.0, 0, 0.3, 10)]
    found = comparison(build.manifest(), records)
    assert [c.setting["temperature"] for c in found.configurations] == [0, 0.3, 1.0, 10]


def test_failing_cases_come_first_and_failing_answers_before_passing_ones(
    build: ModuleType,
) -> None:
    records = [build.record("fine", i) for i in range(3)] + [
        build.record("mixed", 0),
        build.record("mixed", 1, passed=False),
    ]
    found = comparison(build.manifest(), records)
    assert [case.case for case in found.cases] == ["mixed", "fine"]
    assert [answer.outcome for answer in found.cases[0].cells[0].answers] == ["fail", "pass"]
    assert found.cases[0].cells[0].answers[0].grades[0].reason == "expected 'billing'"


def test_cases_shown_are_capped_and_counted(build: ModuleType) -> None:
    found = comparison(
        build.manifest(), [build.record(f"c{i}", passed=i > 2) for i in range(CASE_LIMIT + 50)]
    )
    assert (len(found.cases), found.case_count, len(found.cells)) == (
        CASE_LIMIT,
        CASE_LIMIT + 50,
        CASE_LIMIT + 50,
    )
    assert [case.bad for case in found.cases[:4]] == [1, 1, 1, 0]


def test_long_answers_are_previews(build: ModuleType) -> None:
    """M02: the full text stays on disk."""
    answer = (
        comparison(
            build.manifest(),
            [build.record(exchanges=(build.exchange(build.response("x" * 9_999)),))],
        )
        .cases[0]
        .cells[0]
        .answers[0]
    )
    assert (len(answer.preview), answer.characters, answer.is_cut) == (PREVIEW_LIMIT, 9_999, True)


def test_tags_have_rates_of_their_own(build: ModuleType) -> None:
    records = [
        build.record("a", tags=("money",)),
        build.record("b", tags=("money", "vip"), passed=False),
        build.record("c"),
    ]
    assert [
        (rate.tag, rate.pass_rate.value, rate.pass_rate.n)
        for rate in comparison(build.manifest(), records).tags
    ] == [
        ("money", 0.5, 2),
        ("vip", 0, 1),
    ]


def test_errors_are_grouped_by_target_kind_and_the_shape_of_their_message(
    build: ModuleType,
) -> None:
    def broken(
        case: str, message: str, target: str = "scout", kind: str = "server_error"
    ) -> Record:
        error = Error("provider", kind, message)
        return build.errored(case, target=target, error=error)

    records = [
        broken("a", "500: no memory for request req_81f3a2 after 1.5 s"),
        broken("b", "500: no memory for request req_9c77b0 after 12 s"),
        broken("c", "500: model `tiny` is not loaded"),
        broken("d", "500: no memory for request req_9c77b0 after 12 s", target="tiny"),
        broken("e", "500: no memory for request req_00aa11 after 3 s", kind="timeout"),
    ]
    groups = comparison(build.manifest(), records).errors
    assert [(group.target, group.kind, group.shape, group.count) for group in groups] == [
        ("scout", "server_error", "#: no memory for request … after # s", 2),
        ("scout", "server_error", "#: model `tiny` is not loaded", 1),
        ("tiny", "server_error", "#: no memory for request … after # s", 1),
        ("scout", "timeout", "#: no memory for request … after # s", 1),
    ]
    assert groups[0].example == "500: no memory for request req_81f3a2 after 1.5 s"


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        ("request 5d0c2f8e-6c1b-4f0e-9a53-2f8f2b8c7a11 failed", "request … failed"),
        ("chatcmpl-9xYz12 broke at 10:33:07", "… broke at #"),
        ("limit 30,000 TPM, used 29,871", "limit # TPM, used #"),
        ("llama-4-scout is not a chat model", "llama-#-scout is not a chat model"),
    ],
)
def test_numbers_and_ids_do_not_tell_messages_apart(message: str, shape: str) -> None:
    assert message_shape(message) == shape


def test_each_grader_is_counted_with_its_cost_and_contradictions(build: ModuleType) -> None:
    def judged(passed: bool | None, **facts: Any) -> Grade:
        asked = build.exchange(cost=0.25, position="g1.0", role="judge")
        return Grade("judge", passed, exchanges=(asked,), **facts)

    length = Grade("length", 0.5)
    missing = judged(None, error=Error("grader", "unparseable", "no verdict"))
    records = [
        build.record("right", grades=(Grade("equals", True), judged(True), length)),
        build.record("lenient", grades=(Grade("equals", False), judged(True)), passed=False),
        build.record("strict", grades=(Grade("equals", True), judged(False)), passed=False),
        build.record("missing", grades=(Grade("equals", True), missing), passed=None),
    ]
    equals, judge, measure = comparison(build.manifest(), records).graders
    assert (equals.passed, equals.failed, equals.lenient, equals.strict) == (3, 1, 1, 1)
    assert (judge.passed, judge.failed, judge.ungraded) == (2, 1, 1)
    assert (judge.lenient, judge.strict, judge.cost) == (1, 1, 1.0)
    assert (measure.name, measure.reported, measure.mean, measure.cost) == ("length", 1, 0.5, None)


def test_totals_tell_new_spending_from_saved_and_judges_from_answers(build: ModuleType) -> None:
    stored = build.exchange(build.response(replayed="run-0"), cost=0.5)
    judged = Grade(
        "judge", True, exchanges=(build.exchange(cost=0.25, position="g0.0", role="judge"),)
    )
    totals = comparison(
        build.manifest(),
        [build.record("a", exchanges=(stored,)), build.record("b", grades=(judged,))],
    ).totals
    assert (totals.spent, totals.graded, totals.saved, totals.replayed) == (0.001, 0.25, 0.5, 1)


def test_helpers_have_figures_of_their_own_and_are_in_no_other(build: ModuleType) -> None:
    def asked(role: str, position: str, **fields: Any) -> Exchange:
        usage = Usage(input=1_000, output=50)
        response = build.response(
            usage=usage, attempts=(Attempt(build.marks(latency=4.0), 200, usage=usage),), **fields
        )
        return replace(
            build.exchange(response, cost=0.25, position=position, role=role), target="referee"
        )

    grades = (
        Grade(
            "judge",
            True,
            exchanges=(asked("judge", "g0.0"), asked("judge", "g0.1", replayed="run-0")),
        ),
    )
    talk = (build.exchange(), asked("user", "t1"))
    helpers = {"referee": {"model": "large", "simulated": True}}
    found = comparison(
        build.manifest(helpers=helpers),
        [build.record("a", exchanges=talk, grades=grades), build.record("b")],
    )
    judge, user = found.helpers
    assert (judge.role, judge.name, judge.model, judge.simulated) == (
        "judge",
        "referee",
        "large",
        True,
    )
    assert (judge.requests, judge.replayed, judge.errors, judge.latency) == (1, 1, 0, 4.0)
    assert (judge.input_tokens, judge.output_tokens, judge.cost) == (1_000, 50, 0.25)
    assert (user.role, user.requests, user.cost) == ("user", 1, 0.25)
    totals, (configuration,) = found.totals, found.configurations
    assert (totals.spent, totals.graded, totals.users, totals.saved) == (0.002, 0.25, 0.25, 0.25)
    assert (
        totals.input_tokens,
        configuration["input_tokens"].value,
        configuration["cost"].value,
    ) == (200, 200, 0.002)
    assert configuration["latency.p50"].value == 1.0, "the answer's, though the user spoke last"
    assert found.runs[0].simulated == ("scout", "referee")


def test_why_most_answers_could_not_be_graded_is_said(build: ModuleType) -> None:
    def ungraded(why: str) -> Grade:
        return Grade("judge", None, error=Error("grader", "unparseable", why))

    records = [
        build.record(case, passed=None, grades=(ungraded(why),))
        for case, why in (("a", "junk"), ("b", "cut"), ("c", "junk"))
    ]
    (said,) = [
        warning
        for warning in comparison(build.manifest(), records).warnings
        if warning.startswith("3 answers")
    ]
    assert (
        said == "3 answers could not be graded, and count neither as passed nor as failed"
        " (judge 3 times, most often: junk)."
    )


def test_prompts_that_answer_alike_are_said_to_be(build: ModuleType) -> None:
    def records(other: str) -> list[Record]:
        texts = {"terse": "billing", "v2": "billing", "v3": other}
        return [
            build.record(f"c{i}", prompt=prompt, exchanges=(build.exchange(build.response(text)),))
            for prompt, text in texts.items()
            for i in range(6)
        ]

    def said(records: list[Record]) -> list[str]:
        warnings = comparison(build.manifest(planned=len(records)), records).warnings
        return [each for each in warnings if "the same answers" in each]

    end = "got the same answers in all 6 cases of triage: these cases do not tell them apart."
    assert said(records("returns")) == [f"The prompts terse, v2 {end}"]
    assert said(records("billing")) == [f"The prompts terse, v2, v3 {end}"]
    assert said([each for each in records("returns") if each.case < "c4"]) == []
    broken = [build.errored(f"c{i}", prompt=prompt) for prompt in ("a", "b") for i in range(6)]
    assert said(broken) == []


def test_a_simulated_target_is_said_to_be_one(build: ModuleType) -> None:
    found = comparison(build.manifest(), [build.record()])
    assert found.simulated
    assert found.configurations[0].simulated
    assert any(warning.startswith("Simulated: scout") for warning in found.warnings)


def test_graders_that_cannot_fail_give_no_pass_rate(build: ModuleType) -> None:
    found = comparison(build.manifest(), [build.record(passed=None)])
    assert found.configurations[0]["pass_rate"].value is None
    assert any(warning.startswith("No grader can fail") for warning in found.warnings)


def test_another_model_than_was_asked_for_is_said_once(build: ModuleType) -> None:
    """B07."""
    other = build.exchange(build.response(model="llama-3-8b@main"))
    records = [build.record("a"), *(build.record(f"r{i}", exchanges=(other,)) for i in range(3))]
    said = [
        warning
        for warning in comparison(build.manifest(planned=4), records).warnings
        if "was asked for" in warning
    ]
    assert len(said) == 1
    assert said[0].startswith(
        "scout was asked for the model llama-4-scout but reports llama-3-8b@main:"
    )


def test_another_name_of_the_model_and_ones_own_code_are_no_other_model(build: ModuleType) -> None:
    alias = build.exchange(build.response(model="meta/llama-4-scout@main"))
    assert not any(
        "was asked for" in warning
        for warning in comparison(build.manifest(), [build.record(exchanges=(alias,))]).warnings
    )
    mine = build.record(exchanges=(build.exchange(build.response(model="mine-1")),))
    for provider, model in (("python", "app.py:answer"), ("azure", "my-deployment")):
        own = {"scout": {"provider": provider, "model": model, "simulated": False}}
        assert not any(
            "was asked for" in warning
            for warning in comparison(build.manifest(targets=own), [mine]).warnings
        )


def test_a_backend_that_changes_during_the_run_is_said(build: ModuleType) -> None:
    records = [
        build.record(
            f"r{i}", exchanges=(build.exchange(build.response(fingerprint=f"fp_{i % 2}")),)
        )
        for i in range(4)
    ]
    said = "scout answered with 2 system fingerprints (fp_0, fp_1): its backend changed during the run."
    assert said in comparison(build.manifest(planned=4), records).warnings
    assert not any(
        "fingerprint" in warning for warning in comparison(build.manifest(), records[:1]).warnings
    )


def test_an_ignored_parameter_is_said_with_its_count(build: ModuleType) -> None:
    """B08."""
    deaf = build.exchange(build.response(flags=("ignored_logprobs",)))
    records = [build.record("a"), *(build.record(f"r{i}", exchanges=(deaf,)) for i in range(3))]
    warnings = comparison(build.manifest(planned=4), records).warnings
    assert "scout silently ignored logprobs: 3 answers show no sign of it." in warnings


def test_p99_is_given_without_an_interval_where_none_exists(build: ModuleType) -> None:
    records = [
        build.record(
            f"c{i}",
            exchanges=(
                build.exchange(
                    build.response(attempts=(Attempt(build.marks(i * 37 % 100, 1 + i)),))
                ),
            ),
        )
        for i in range(100)
    ]
    row = comparison(build.manifest(), records).configurations[0]
    assert (row["latency.p99"].value, row["latency.p99"].high) == (99, None)
    assert (row["latency.p50"].value, row["latency.p50"].low, row["latency.p50"].high) == (
        50,
        40,
        61,
    )


@pytest.mark.parametrize(
    ("turns", "asked", "shown"),
    [
        ([("user", "Hi")], "Hi", "Hi"),
        (
            [("system", "Be kind."), ("user", "Hi"), ("assistant", "Yes?"), ("user", "When?")],
            "system: Be kind.\nuser: Hi\nassistant: Yes?\nuser: When?",
            "(… 3 earlier turns) When?",
        ),
        (
            [("user", "Hi"), ("assistant", "Sure: ")],
            "user: Hi\nassistant: Sure: ",
            "(… 1 later turn) Hi",
        ),
        ([("assistant", "Hello")], "Hello", "Hello"),
        (
            [("user", [{"type": "text", "text": "Hi"}, {"type": "image_url"}])],
            "Hi\n[image]",
            "Hi\n[image]",
        ),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_of_a_conversation_the_last_question_is_shown(
    turns: list[tuple[str, object]], asked: str, shown: str, as_json: bool
) -> None:
    rows = [{"role": role, "content": content} for role, content in turns]
    value = json.dumps(rows) if as_json else rows
    alone = describe_input(json.dumps({"input": value}), asked)
    assert alone == shown
    beside = describe_input(json.dumps({"input": value, "ideal": ["unseen"]}), asked)
    assert beside == shown
