"""An answer is a function of all that is set in a request, and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import pytest

from harness.simulator.model.simulated_model import SimulatedModel
from harness.simulator.model.types import Call, Function, Prompt, Sampling, Turn

LOOK = Function("look", "Looks.", {"type": "object"})
PLAIN = Prompt("m", (Turn("user", "hi"),), Sampling(0.7, seed=1))


def key(prompt: Prompt) -> bytes:
    return SimulatedModel(0).random_key(prompt)


@dataclass(frozen=True, slots=True)
class LaterPrompt(Prompt):
    """A prompt as it may be one day."""

    effort: str | None = None
    hints: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaterSampling(Sampling):
    """Sampling as it may be one day."""

    typical_p: float = 1.0


class LaterTurn(NamedTuple):
    """A turn as it may be one day."""

    role: str
    text: str
    images: tuple[bytes, ...] = ()
    calls: tuple[Call, ...] = ()
    call_id: str | None = None
    mood: str = ""


def later(turn: Any = None, typical_p: float = 1.0, **more: Any) -> bytes:
    sampling = LaterSampling(0.7, seed=1, typical_p=typical_p)
    return key(LaterPrompt("m", (turn or LaterTurn("user", "hi"),), sampling, **more))


def test_a_new_optional_field_changes_no_answer_until_it_is_set() -> None:
    assert later() == key(PLAIN)
    changed = {
        later(effort="high"),
        later(hints={"a": 1}),
        later(typical_p=0.5),
        later(LaterTurn("user", "hi", mood="calm")),
    }
    assert len(changed | {key(PLAIN)}) == 5


def test_a_default_stated_explicitly_changes_no_answer() -> None:
    turn = Turn("user", "hi", images=(), calls=(), call_id=None)
    sampling = Sampling(0.7, None, None, 1, None, (), None, 0, 0, 1)
    assert key(Prompt("m", (turn,), sampling, None, (), "auto", False, None, True)) == key(PLAIN)


CHANGES: dict[str, Any] = {
    "model": "n",
    "turns": (Turn("user", "hi", (b"png",)),),
    "sampling": Sampling(0.7, seed=2),
    "schema": {},
    "functions": (LOOK,),
    "reasoning": True,
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_of_a_prompt_changes_the_answer(name: str) -> None:
    assert key(replace(PLAIN, **{name: CHANGES[name]})) != key(PLAIN)


@pytest.mark.parametrize("name", [each.name for each in fields(Sampling)])
def test_every_sampling_parameter_changes_the_answer(name: str) -> None:
    value: Any = ("x",) if name == "stop" else 5
    assert key(replace(PLAIN, sampling=replace(PLAIN.sampling, **{name: value}))) != key(PLAIN)


@pytest.mark.parametrize("name", ["tool_choice", "parallel"])
def test_tool_choice_matters_only_with_functions(name: str) -> None:
    changed = {"tool_choice": "required", "parallel": False}[name]
    assert key(replace(PLAIN, **{name: changed})) == key(PLAIN)
    able = replace(PLAIN, functions=(LOOK,))
    assert key(replace(able, **{name: changed})) != key(able)


def test_ids_and_log_probabilities_do_not_change_the_answer() -> None:
    def called(name: str) -> Prompt:
        asked = Turn("assistant", "", calls=(Call("look", ("{}",), name),))
        return replace(PLAIN, turns=(*PLAIN.turns, asked, Turn("tool", "7", call_id=name)))

    assert key(called("a")) == key(called("b")) != key(PLAIN)
    assert key(replace(PLAIN, logprobs=3)) == key(PLAIN)


def test_without_a_seed_equal_prompts_get_different_answers() -> None:
    unseeded, model = replace(PLAIN, sampling=Sampling(0.7)), SimulatedModel(0)
    first, second = model.random_key(unseeded), model.random_key(unseeded)
    assert first != second
    model.reset()
    assert model.random_key(unseeded) == first != SimulatedModel(1).random_key(unseeded)
