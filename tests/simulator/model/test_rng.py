from __future__ import annotations

import subprocess
import sys
from itertools import islice
from statistics import fmean, stdev

import pytest

from harness.simulator.model.rng import RandomStream, hashed_logistic, hashed_uniform, random_octets


def test_uniform_draws_are_spread_over_the_unit_interval() -> None:
    chance = RandomStream("spread")
    drawn = [chance.uniform() for _ in range(20_000)]
    assert min(drawn) >= 0
    assert max(drawn) < 1
    assert fmean(drawn) == pytest.approx(0.5, abs=0.01)


def test_normal_draws_are_standard() -> None:
    chance = RandomStream("bell")
    drawn = [chance.normal() for _ in range(20_000)]
    assert fmean(drawn) == pytest.approx(0, abs=0.03)
    assert stdev(drawn) == pytest.approx(1, abs=0.03)


def test_logistic_draws_have_the_logistic_distributions_quartile() -> None:
    drawn = sorted(hashed_logistic("quartile", number) for number in range(20_000))
    assert drawn[15_000] == pytest.approx(1.0986, abs=0.06)  # ln 3


def test_octets_go_on_past_a_block() -> None:
    drawn = list(islice(random_octets("k"), 200))
    assert len(drawn) == 200
    assert drawn[:64] != drawn[64:128]


def test_another_process_draws_the_same() -> None:
    code = "from harness.simulator.model.rng import hashed_uniform; print(hashed_uniform('a', 1, ('b', None)))"
    said = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert said == {f"{hashed_uniform('a', 1, ('b', None))}\n"}
