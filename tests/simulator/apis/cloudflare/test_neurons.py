"""What the simulator bills, beside what the harness takes for the price: two readings of one page."""

from __future__ import annotations

from importlib.resources import files

import pytest

from harness.pricing.catalogue import PriceEntry, parse_catalogue
from harness.simulator.apis.cloudflare.neurons import USD_PER_NEURON, compute_neurons

PRICED = [
    entry
    for entry in parse_catalogue((files("harness.pricing") / "catalogue.yaml").read_text()).entries
    if entry.vendor == "cloudflare"
]


@pytest.mark.parametrize("entry", PRICED, ids=lambda entry: entry.model)
def test_every_model_is_billed_at_its_published_price(entry: PriceEntry) -> None:
    neurons = compute_neurons(entry.model, 1_000_000, 2_000_000)
    assert neurons is not None
    assert neurons * USD_PER_NEURON == pytest.approx(float(entry.price.input + 2 * entry.price.output), rel=1e-4)


def test_an_observed_bill() -> None:
    """Llama 3.3 70B: 388 tokens in and 63 out were billed as 23.2498 neurons; the page's dollars are rounded."""
    assert compute_neurons("@cf/meta/llama-3.3-70b-instruct-fp8-fast", 388, 63) == pytest.approx(23.2498, rel=1e-3)


def test_a_model_of_no_price_has_no_bill() -> None:
    assert compute_neurons("@cf/nobody/model", 1, 1) is None
