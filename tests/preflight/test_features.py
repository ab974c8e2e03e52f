"""What targets can see, and whether they call tools, is decided before the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.errors import SuiteError
from harness.model import Target
from harness.preflight.features import check_features
from harness.preflight.vision import check_images
from harness.providers.capabilities import CapabilityTable
from harness.suite import Suite, load_suite
from tests.pictures import picture

SUITE = """\
suite: s
prompts:
  - {id: seen, user: "What is it?", images: "{{ pictures }}"}
cases:
  - {id: one, vars: {pictures: [a.png]}}
  - {id: two, vars: {pictures: [a.png, b.webp]}}
targets: scout-sim
"""
TARGET = Target("t", "p", "m", "http://h", "http://h")


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    (tmp_path / "a.png").write_bytes(picture("PNG", (900, 20)))
    (tmp_path / "b.webp").write_bytes(picture("WEBP", (60, 60)))
    (tmp_path / "s.yaml").write_text(SUITE)
    return load_suite(tmp_path / "s.yaml")


def table(facts: str) -> CapabilityTable:
    return CapabilityTable(
        {}, ({"provider": "p", "models": ["*"], **yaml.safe_load(f"{{{facts}}}")},)
    )


def refused(suite: Suite, facts: str) -> list[str]:
    with pytest.raises(SuiteError) as wrong:
        check_images(suite, [TARGET], table(facts))
    return [f"{problem.line}: {problem.message}" for problem in wrong.value.problems]


def test_a_target_that_can_see_is_sent_images_and_one_of_which_nothing_is_known_is_mentioned(
    suite: Suite,
) -> None:
    assert check_images(suite, [TARGET], table("vision: true")) == []
    assert check_images(suite, [TARGET], CapabilityTable({})) == []
    (note,) = check_images(suite, [TARGET, TARGET], table("vision: null"))
    assert note == "t: it is not known whether m accepts images; they are sent"


def test_a_target_that_cannot_see_is_refused_at_the_prompt(suite: Suite) -> None:
    (said,) = refused(suite, "vision: false")
    assert (
        said
        == "3: target 't': m on p does not accept images, but the prompt `seen` contains some; remove the target or the images"
    )


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (
            "types: [image/png]",
            "6: target 't': m on p takes png, but the case `two` has image/webp; convert it",
        ),
        (
            "max_side: 800",
            "5: target 't': m on p takes images of at most 800 pixels a side, but the case `one` has one of 900",
        ),
        ("max_bytes: 100", "images of at most 100 bytes, but the case `one` has one of"),
        (
            "max_count: 1",
            "6: target 't': m on p takes 1 image a request, but the case `two` has 2",
        ),
    ],
)
def test_an_image_beyond_a_targets_limits_is_refused_at_the_case(
    suite: Suite, limits: str, said: str
) -> None:
    assert any(
        said in sentence for sentence in refused(suite, f"vision: true, images: {{{limits}}}")
    )
    assert (
        check_images(
            suite,
            [TARGET],
            table("vision: true, images: {max_side: 900, max_bytes: 9999, max_count: 2}"),
        )
        == []
    )


def test_a_suite_without_images_is_asked_nothing(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        'suite: s\nprompts: [{user: "x"}]\ncases: [{}]\ntargets: scout-sim\n'
    )
    assert check_images(load_suite(tmp_path / "s.yaml"), [TARGET], table("vision: false")) == []


@pytest.mark.parametrize(("fact", "told"), [("false", True), ("true", False), ("null", False)])
def test_a_model_that_calls_no_tools_is_told_where_the_tools_stand(
    tmp_path: Path, fact: str, told: bool
) -> None:
    (tmp_path / "t.yaml").write_text(
        "suite: s\nprompts: [{user: hi}]\ncases: [{id: c}]\n"
        "tools: [{name: f, parameters: {}, returns: 1}]\ntargets: scout-sim\n"
    )
    loaded = load_suite(tmp_path / "t.yaml")
    try:
        check_features(loaded, [TARGET], table(f"tools: {fact}"))
    except SuiteError as error:
        (problem,) = error.problems
        assert told
        assert str(problem).endswith(
            "t.yaml:4:1: target 't': m on p does not support tools; remove `tools:`, or the target"
        )
    else:
        assert not told


def test_a_target_that_cannot_see_is_refused_at_the_case_whose_own_turn_shows_an_image(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    case = '{id: one, turns: [{user: "This?", images: [a.png]}]}'
    (tmp_path / "s.yaml").write_text(
        f'suite: s\nprompts: [{{user: "x"}}]\ncases:\n  - {case}\ntargets: scout-sim\n'
    )
    (said,) = refused(load_suite(tmp_path / "s.yaml"), "vision: false")
    assert said.startswith(
        "4: target 't': m on p does not accept images, but the case `one` contains one"
    )
