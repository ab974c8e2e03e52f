from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.simulator.model.skills.classification import (
    find_labels,
    label_candidates,
    text_to_classify,
)

QUEUES = ["billing", "shipping", "returns"]
OFFERED = [(name, "") for name in QUEUES]


@pytest.mark.parametrize(
    "text",
    [
        "Put the ticket in one of these queues: billing, shipping, returns. Answer with the name only.",
        "Classify as billing, shipping, or returns.",
        "Queues (`billing`, `shipping` and `returns`)",
        "Pick one of billing | shipping | returns",
        "The categories are:\n- billing\n- shipping\n- returns\n",
        "Choose a label.\n\n- billing: money\n- shipping: parcels on\n  their way\n- returns: goods going back\n",
    ],
)
def test_labels_are_found_however_they_are_listed(text: str) -> None:
    assert [name for name, _ in find_labels(text)] == QUEUES


def test_descriptions_are_kept_over_lines() -> None:
    found = dict(find_labels("Choose a label.\n- a: money\n- b: parcels on\n  their way\n"))
    assert found == {"a": "money", "b": "parcels on their way"}


@pytest.mark.parametrize(
    "text",
    [
        "You do exact arithmetic. Answer with the number only: no working, no words, no units.",
        "Tell me about cats, dogs and birds.",
        "",
    ],
)
def test_a_list_that_offers_no_choice_is_none(text: str) -> None:
    assert find_labels(text) == ()


def test_yes_or_no_is_a_choice() -> None:
    assert [name for name, _ in find_labels("Is it raining? Answer yes or no.")] == ["yes", "no"]


def test_the_labels_words_decide() -> None:
    text = (
        "My parcel has not arrived; the tracking says the courier delivered it to another address."
    )
    assert (
        max(label_candidates(text, OFFERED, "m", 0), key=lambda candidate: candidate.logit).text
        == "shipping"
    )


def test_a_description_teaches_a_label_the_model_does_not_know() -> None:
    offered = [
        ("alpha", "weather, rain, clouds, wind and storms"),
        ("beta", "music, concerts, guitars and singing"),
    ]
    told = label_candidates("Clouds and wind bring a storm and rain.", offered, "m", 2.0)
    assert max(told, key=lambda candidate: candidate.logit).text == "alpha"


def test_the_paragraph_that_lists_the_labels_is_not_the_ticket() -> None:
    question = "One of: billing, shipping, returns.\n\nI was charged twice."
    assert text_to_classify(question, OFFERED) == "I was charged twice."


def test_a_labels_logit_is_the_same_in_every_process() -> None:
    text = "wind weather concerts singing storms guitars clouds"
    offered = (
        ("alpha", "paint storms rain concerts guitars weather"),
        ("beta", "weather singing wind guitars storms paint"),
        ("gamma", "weather guitars rain singing storms clouds"),
    )
    code = (
        "from harness.simulator.model.skills.classification import label_candidates;"
        f"print(label_candidates({text!r}, {offered!r}, 'm', 0.6))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in "123456"
    }
    assert len(printed) == 1
