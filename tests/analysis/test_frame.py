"""Frames from records: one row a trial, money added up over every exchange, nothing guessed."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.analysis.frame import build_frames
from harness.analysis.row_schema import EXCHANGES, GRADES, MEASURES, TRIALS
from harness.analysis.summarize import build_report
from harness.analysis.trial_totals import SPEND
from harness.analysis.typed_columns import valid_text
from harness.model import Attempt, Cost, Grade, Usage
from harness.runs.records import ExchangeLine, decode_line, encode_line


def test_the_declared_columns_and_dtypes_are_the_frames(build: ModuleType) -> None:
    found = build_frames([(build.manifest(), build.sample(cases=3))])
    for frame, columns in (
        (found.trials, [*TRIALS, *MEASURES, *SPEND]),
        (found.exchanges, [*EXCHANGES, *MEASURES]),
        (found.grades, GRADES),
    ):
        assert list(frame.columns[: len(columns)]) == [column.name for column in columns]
        assert [str(frame[column.name].dtype) for column in columns] == [
            column.pandas_dtype for column in columns
        ]


def test_no_records_still_have_columns(build: ModuleType) -> None:
    found = build_frames([(build.manifest(), [])])
    assert len(found.trials) == len(found.exchanges) == len(found.grades) == 0
    assert str(found.trials["cost"].dtype) == "float64"


def test_the_last_record_of_a_key_wins_and_what_was_paid_adds_up(build: ModuleType) -> None:
    broken = build.errored(
        exchanges=(
            build.exchange(build.response(attempts=(Attempt(build.marks(0)),) * 2), cost=0.002),
        )
    )
    good = build.record(
        exchanges=(
            build.exchange(build.response(attempts=(Attempt(build.marks(90)),)), cost=0.001),
        )
    )
    found = build_frames([(build.manifest(), [broken, build.record("other"), good])])
    assert list(found.trials["case"]) == ["other", "refund"]
    trial = found.trials.iloc[1]
    assert (trial["outcome"], trial["attempts"], trial["retries"], trial["cost"]) == (
        "pass",
        3,
        1,
        pytest.approx(0.003),
    )
    assert trial["input_tokens"] == 200
    assert list(found.exchanges["trial"]) == [1, 0, 1]
    assert list(found.grades["trial"]) == [0, 1]


def test_an_exchange_counts_once_however_often_it_is_written(build: ModuleType) -> None:
    """Journal line, record, and the record of a later session that took the exchange back."""
    record = build.record()
    line = ExchangeLine(record.key, 0, "s1", record.exchanges[0])
    again = replace(record, session="s2")
    found = build_frames(
        [
            (
                build.manifest(),
                [
                    decode_line(encode_line(line)),
                    decode_line(encode_line(record)),
                    decode_line(encode_line(again)),
                ],
            )
        ]
    )
    assert len(found.exchanges) == len(found.trials) == 1
    assert found.trials["cost"][0] == pytest.approx(0.001)
    assert found.trials["started"][0] == pd.Timestamp("2025-03-01T12:00:00.5Z")


def test_a_journalled_exchange_without_a_record_is_spending_without_a_trial(
    build: ModuleType,
) -> None:
    found = build_frames(
        [(build.manifest(), [ExchangeLine("k", 0, "s1", build.exchange(cost=0.5))])]
    )
    assert len(found.trials) == 0
    assert found.exchanges["cost"][0] == 0.5
    assert found.exchanges["trial"].isna().all()


def test_errored_and_replayed_trials_have_no_latency(build: ModuleType) -> None:
    replayed = build.record("stored", exchanges=(build.exchange(build.response(replayed="run-0")),))
    found = build_frames(
        [(build.manifest(), [build.errored("broken"), replayed, build.record("fresh")])]
    ).trials.set_index("case")
    assert found["latency"].notna().to_dict() == {"broken": False, "stored": False, "fresh": True}
    assert found.loc["stored", ["replayed", "cost", "spent"]].tolist() == [True, 0.001, 0.0]


def test_measures_are_of_the_last_exchange(build: ModuleType) -> None:
    turns = (
        build.exchange(build.response(attempts=(Attempt(build.marks(0, latency=9)),))),
        build.exchange(
            build.response(attempts=(Attempt(build.marks(9, latency=2)),)), position="t1"
        ),
    )
    trial = build_frames([(build.manifest(), [build.record(exchanges=turns)])]).trials.iloc[0]
    assert (trial["latency"], trial["attempts"]) == (2, 2)


def test_unknown_cost_is_not_zero_but_a_refusal_is_free(build: ModuleType) -> None:
    refused = build.response(attempts=(Attempt(build.marks(), 429),), usage=None)
    records = [
        build.record("unpriced", exchanges=(build.exchange(cost=None),)),
        build.record("refused", exchanges=(build.exchange(refused, None),)),
    ]
    costs = build_frames([(build.manifest(), records)]).trials.set_index("case")["cost"]
    assert np.isnan(costs["unpriced"])
    assert costs["refused"] == 0


def test_a_judges_cost_is_kept_apart(build: ModuleType) -> None:
    judged = Grade(
        "judge",
        0.5,
        exchanges=(
            replace(
                build.exchange(cost=0.25, position="g0.0", role="judge"), cost=Cost(reported=0.3)
            ),
        ),
    )
    trial = build_frames([(build.manifest(), [build.record(grades=(judged,))])]).trials.iloc[0]
    assert (trial["cost"], trial["grading_cost"], trial["attempts"]) == (0.001, 0.3, 1)


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "pass"),
        ({"passed": False}, "fail"),
        ({"passed": None}, "no verdict"),
        ({"grades": (Grade("judge", None),)}, "ungraded"),
    ],
)
def test_every_trial_has_exactly_one_outcome(
    build: ModuleType, fields: dict[str, object], outcome: str
) -> None:
    trial = build_frames([(build.manifest(), [build.record(**fields)])]).trials.iloc[0]
    assert trial["outcome"] == outcome
    assert pd.isna(trial["passed"]) == (outcome not in {"pass", "fail"})


def test_text_that_looks_like_something_else_stays_text(build: ModuleType) -> None:
    """pandas would read these as missing, integers and floats (X08)."""
    odd = ["NA", "null", "None", "", "001", "1e5", "true", "2024-01-01"]
    found = build_frames(
        [
            (
                build.manifest(),
                [
                    build.record(
                        text, expected=text, exchanges=(build.exchange(build.response(text)),)
                    )
                    for text in odd
                ],
            )
        ]
    )
    for column in ("case", "expected", "answer"):
        assert list(found.trials[column]) == odd


def test_expected_values_of_other_types_are_json(build: ModuleType) -> None:
    values = [None, 3, 1.5, True, {"b": 1, "a": [None]}]
    found = build_frames(
        [
            (
                build.manifest(),
                [build.record(str(i), expected=value) for i, value in enumerate(values)],
            )
        ]
    )
    assert found.trials["expected"].fillna("(none)").tolist() == [
        "(none)",
        "3",
        "1.5",
        "true",
        '{"a":[null],"b":1}',
    ]


def test_swept_parameters_are_columns(build: ModuleType) -> None:
    points = [{"temperature": 0, "stop": ["a"]}, {"temperature": 0.5, "flag": True}]
    found = build_frames(
        [(build.manifest(), [build.record(setting=point) for point in points])]
    ).trials
    assert found["param_temperature"].tolist() == [0, 0.5]
    assert found["param_stop"].fillna("").tolist() == ['["a"]', ""]
    assert found["param_flag"].fillna("").tolist() == ["", "true"]


def test_a_huge_answer_is_cut_and_its_length_kept(build: ModuleType) -> None:
    record = build.record(exchanges=(build.exchange(build.response("x" * 100_000)),))
    trial = build_frames([(build.manifest(), [record])], answer_limit=50).trials.iloc[0]
    assert (len(trial["answer"]), trial["answer_characters"]) == (50, 100_000)
    assert (
        len(build_frames([(build.manifest(), [record])], answer_limit=None).trials["answer"][0])
        == 100_000
    )


def test_whatever_is_long_is_cut_at_the_limit(build: ModuleType) -> None:
    record = build.record(parsed={"text": "x" * 100}, grades=(Grade("judge", True, "y" * 100),))
    found = build_frames([(build.manifest(), [record])], answer_limit=50)
    assert (len(found.trials["parsed"][0]), len(found.grades["reason"][0])) == (50, 50)
    whole = build_frames([(build.manifest(), [record])], answer_limit=None)
    assert (len(whole.trials["parsed"][0]), len(whole.grades["reason"][0])) == (111, 100)


def test_frames_do_not_depend_on_how_many_rows_wait(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [
        build.errored("broken"),
        *build.sample(cases=5),
        build.record("late", passed=None, score=None),
    ]
    at_once = build_frames([(build.manifest(), records)])
    monkeypatch.setattr("harness.analysis.typed_columns._CHUNK_ROWS", 3)
    by_threes = build_frames([(build.manifest(), records)])
    for name in ("trials", "exchanges", "grades"):
        pd.testing.assert_frame_equal(getattr(at_once, name), getattr(by_threes, name))


def test_texts_beyond_what_fits_are_cut_short_and_said(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.analysis.frame.TEXT_LIMIT", 1_000)
    monkeypatch.setattr("harness.analysis.typed_columns._CHUNK_ROWS", 2)
    manifest = build.manifest()
    records = [
        build.record(str(i), exchanges=(build.exchange(build.response(f"{i}" * 900)),))
        for i in range(6)
    ]
    found = build_frames([(manifest, records)])
    assert found.trials["answer"].str.len().tolist() == [900, 900, 201, 201, 201, 201]
    assert found.trials["answer_characters"].tolist() == [900] * 6
    assert found.trials["key"].tolist() == [record.key for record in records]
    assert found.shortened == 4
    assert (
        build_report(found, [manifest])
        .warnings[-1]
        .startswith("4 long texts are cut at 200 characters here, in results.csv")
    )
    assert (
        build_frames([(manifest, records)], answer_limit=None).trials["answer"].str.len().tolist()
        == [900] * 6
    )


def test_equal_texts_are_kept_once(build: ModuleType) -> None:
    def fresh() -> str:
        return "".join(["what ", "was ", "expected"])

    expected = build_frames(
        [(build.manifest(), [build.record(str(i), expected=fresh()) for i in range(3)])]
    ).trials["expected"]
    assert len({id(text) for text in expected}) == 1


@given(st.text(st.characters(codec=None)))
def test_text_in_frames_is_valid_unicode(text: str) -> None:
    assert valid_text(text).encode().decode() == valid_text(text)
    assert valid_text(valid_text(text)) == valid_text(text)


def test_tokens_of_every_attempt_that_reported_any_are_counted(build: ModuleType) -> None:
    attempts = (Attempt(build.marks(), usage=Usage(input=100, output=3)), Attempt(build.marks(5)))
    trial = build_frames(
        [
            (
                build.manifest(),
                [build.record(exchanges=(build.exchange(build.response(attempts=attempts)),))],
            )
        ]
    ).trials.iloc[0]
    assert (trial["input_tokens"], trial["output_tokens"]) == (200, 14)
