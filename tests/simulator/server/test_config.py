from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.simulator import Config, Fault


def test_a_configuration_survives_json() -> None:
    config = Config(
        seed=3,
        ttft_s=0,
        faults=(Fault("cut", how="reset", requests=("2-4",)),),
        ledger=5,
        api_key="k" * 20,
    )
    assert Config.from_json(config.to_json()) == config


def test_equal_configurations_share_a_simulator() -> None:
    rule = Fault("status", status=429, headers={"retry-after": "1"})
    assert len({Config(faults=(rule,)), Config(faults=(rule,)), Config()}) == 2


def test_what_is_left_out_has_its_default() -> None:
    assert Config.from_json("{}") == Config()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "is no JSON"),
        ("[]", "is a JSON object"),
        ('{"ttft": 1}', "no setting 'ttft'; its settings are seed, ttft_s"),
        ('{"ttft_s": -1}', "ttft_s is a number from 0, not -1"),
        ('{"jitter": "much"}', "jitter is a number from 0, not 'much'"),
        ('{"seed": 1.5}', "seed is a whole number, not 1.5"),
        ('{"faults": {"kind": "cut"}}', "faults are a list of rules"),
    ],
)
def test_an_invalid_configuration_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Config.from_json(text)
