"""The sweep: which settings come out, in which order, and which sweeps make no sense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.sampling import Sweep
from harness.suite.sweep import Settings, expand_sweep


def settings(fixed: dict[str, Any] | None = None, **written: Any) -> Settings:
    wrong: list[str] = []
    found = expand_sweep(
        Sweep.model_validate(written), fixed or {}, lambda _, message: wrong.append(message)
    )
    assert not wrong
    return found


def complaints(**written: Any) -> list[str]:
    wrong: list[str] = []
    expand_sweep(
        Sweep.model_validate(written),
        {},
        lambda at, message: wrong.append(f"{'.'.join(map(str, at))}: {message}"),
    )
    return wrong


def test_no_sweep_is_one_setting_without_parameters() -> None:
    assert settings() == Settings(({},), 0)


def test_the_grid_is_a_product_whose_last_axis_varies_fastest() -> None:
    assert settings(temperature=[0, 1], top_k=[1, 2]).points == (
        {"temperature": 0.0, "top_k": 1},
        {"temperature": 0.0, "top_k": 2},
        {"temperature": 1.0, "top_k": 1},
        {"temperature": 1.0, "top_k": 2},
    )


def test_an_axis_may_hold_words() -> None:
    points = settings(reasoning_effort=["none", "low"]).points
    assert points == ({"reasoning_effort": "none"}, {"reasoning_effort": "low"})


@given(
    st.sets(st.floats(0, 2), min_size=1, max_size=6),
    st.sets(st.integers(1, 50), min_size=1, max_size=6),
)
def test_every_combination_appears_once(temperatures: set[float], top_ks: set[int]) -> None:
    points = settings(temperature=sorted(temperatures), top_k=sorted(top_ks)).points
    assert len(points) == len(temperatures) * len(top_ks)
    assert {(point["temperature"], point["top_k"]) for point in points} == {
        (t, k) for t in temperatures for k in top_ks
    }


def test_zipped_parameters_change_together() -> None:
    zipped = {"temperature": [0, 1], "top_p": [0.5, 1]}
    assert settings(zip=zipped, top_k=[1, 2]).points == (
        {"top_k": 1, "temperature": 0.0, "top_p": 0.5},
        {"top_k": 1, "temperature": 1.0, "top_p": 1.0},
        {"top_k": 2, "temperature": 0.0, "top_p": 0.5},
        {"top_k": 2, "temperature": 1.0, "top_p": 1.0},
    )


def test_exclude_removes_what_matches_every_value_and_counts_it() -> None:
    found = settings(
        temperature=[0, 1], top_k=[1, 2, 3], exclude=[{"temperature": 0, "top_k": 2}, {"top_k": 3}]
    )
    assert found.excluded == 3
    assert {"temperature": 0.0, "top_k": 2} not in found.points
    assert len(found.points) == 3


def test_include_adds_settings_after_the_grid() -> None:
    assert settings(temperature=[0], include=[{"top_p": 0.5}]).points == (
        {"temperature": 0.0},
        {"top_p": 0.5},
    )
    assert settings(include=[{"top_p": 0.5}]).points == ({"top_p": 0.5},)


def test_a_parameter_fixed_on_the_command_line_leaves_the_sweep() -> None:
    written: dict[str, Any] = {
        "temperature": [0, 1],
        "top_k": [1, 2],
        "exclude": [{"temperature": 0, "top_k": 1}],
    }
    assert settings({"temperature": 0.5}, **written) == Settings(({"top_k": 1}, {"top_k": 2}), 0)
    assert settings({"temperature": 0.0}, **written) == Settings(({"top_k": 2},), 1)
    assert settings({"temperature": 0.5}, temperature=[0, 1]) == Settings(({},), 0)
    assert settings({"top_p": 0.9}, zip={"temperature": [0, 1], "top_p": [0.5, 1]}).points == (
        {"temperature": 0.0},
        {"temperature": 1.0},
    )
    assert settings({"temperature": 1}, include=[{"temperature": 0}], top_k=[1]).points == (
        {"top_k": 1},
        {},
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"temperature": []}, "temperature: `temperature` has no values"),
        ({"temperature": [0, 0.0]}, "temperature.1: `temperature` has 0.0 twice"),
        (
            {"zip": {"temperature": [0, 1], "top_p": [1]}},
            "zip: `zip` needs lists of equal length: temperature has 2, top_p has 1",
        ),
        (
            {"temperature": [0], "zip": {"temperature": [1]}},
            "zip.temperature: `temperature` is swept twice",
        ),
        (
            {"zip": {"temperature": [1, 1], "top_p": [1, 1]}},
            "zip: `zip` contains the same setting twice",
        ),
        ({"temperature": [0], "exclude": [{"temperature": 1}]}, "exclude.0: excludes nothing"),
        ({"temperature": [0], "exclude": [{}]}, "exclude.0: excludes everything"),
        ({"temperature": [0], "exclude": [{"temperature": 0}]}, ": excludes every setting"),
        (
            {"temperature": [0], "include": [{"temperature": 0}]},
            'include.0: includes {"temperature": 0.0}, which is a setting',
        ),
        ({"top_k": list(range(1, 400)), "seed": list(range(400))}, ": has 159,600 settings"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_told(written: dict[str, Any], said: str) -> None:
    assert any(complaint.startswith(said) for complaint in complaints(**written)), complaints(
        **written
    )
