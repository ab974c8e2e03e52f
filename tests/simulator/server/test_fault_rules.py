from __future__ import annotations

import json

import pytest

from harness.errors import UsageError
from harness.simulator.server.fault_rules import Fault, pick_fault


def picked(*rules: Fault, seed: int = 0, upto: int = 20) -> list[int]:
    return [number for number in range(1, upto + 1) if pick_fault(rules, seed, number, "@cf/m")]


def test_numbers_and_ranges_pick_requests() -> None:
    assert picked(Fault("hang", requests=(2, "5-7", "19-"))) == [2, 5, 6, 7, 19, 20]


def test_a_rate_picks_its_share_and_the_same_ones_again() -> None:
    rule = Fault("status", rate=0.2)
    chosen = picked(rule, upto=5_000)
    assert len(chosen) == pytest.approx(1_000, abs=100)
    assert chosen == picked(rule, upto=5_000)
    assert chosen != picked(rule, seed=1, upto=5_000)


def test_the_first_rule_that_applies_wins() -> None:
    rules = (Fault("status", requests=(1,), status=429), Fault("hang", requests=("1-2",)))
    first, second = pick_fault(rules, 0, 1, "m"), pick_fault(rules, 0, 2, "m")
    assert first is not None
    assert second is not None
    assert (first.kind, second.kind) == ("status", "hang")


def test_a_rule_can_be_for_some_models_only() -> None:
    assert pick_fault((Fault("status", model="70b"),), 0, 1, "llama-8b") is None
    assert pick_fault((Fault("status", model="70b"),), 0, 1, "llama-70b") is not None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            {"status": 500, "rate": 0.1},
            "a fault has a `kind`, which {'status': 500, 'rate': 0.1} lacks; the kinds are status, html",
        ),
        ({"kind": ["hang"]}, r"there is no fault \['hang'\]; the kinds are status"),
        ({"kind": "cut", "how": ["clean"]}, r"there is no cut \['clean'\]"),
        ({"kind": "status", "status": 429.5}, "status is a whole number, not 429.5"),
        ({"kind": "status", "model": None}, "model is text, not None"),
        ({"kind": "explode"}, "there is no fault 'explode'; the kinds are status"),
        ({"kind": "cut", "how": "softly"}, "there is no cut 'softly'"),
        ({"kind": "status", "rate": 2}, "rate is a number from 0 to 1, not 2"),
        ({"kind": "status", "status": "429"}, "status is a number from 200 to 599, not '429'"),
        (
            {"kind": "status", "headers": {"retry-after": 7}},
            "headers are an object of printable names and values",
        ),
        (
            {"kind": "status", "headers": {"x": "a\nb"}},
            "headers are an object of printable names and values",
        ),
        ({"kind": "cut", "after": -1}, "after is a number of events from 0"),
        ({"kind": "status", "requests": ["5-x"]}, "'5-x' is no request number or range"),
        ({"kind": "status", "stauts": 500}, "no key 'stauts'"),
        (["status"], "a fault is an object"),
    ],
)
def test_an_invalid_rule_is_refused(data: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Fault.from_data(data)


def test_a_rule_survives_json() -> None:
    rule = Fault(
        "status",
        requests=(1, "3-"),
        status=429,
        headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    )
    assert Fault.from_data(json.loads(json.dumps(rule.to_data()))) == rule
