"""The facts about the built-in providers agree with each other, and with who is derived
from them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import registry
from harness.model import Message, Request, Target
from harness.simulator.apis.adapters import find_adapter
from harness.suite.targets.target_reader import SimulatorSpec
from harness.vendors import PROVIDERS, price_vendor, price_vendor_at
from harness.vendors.facts import ProviderFacts

SIMULATED = [facts for facts in PROVIDERS.values() if facts.simulator_path is not None]


def test_the_registry_has_them_all_and_no_other() -> None:
    assert registry.registered_names("providers", installed=False) == sorted(PROVIDERS)
    assert all(registry.load_plugin("providers", name).name == name for name in PROVIDERS)


def test_naming_a_provider_imports_none() -> None:
    code = (
        "import sys; from harness import registry; from harness.suite import load_suite; "
        "assert registry.is_registered('providers', 'groq'); "
        "print([name for name in sys.modules if name.startswith('harness.providers')])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, text=True
        ).stdout.strip()
        == "[]"
    )


@pytest.mark.parametrize("facts", SIMULATED, ids=lambda facts: facts.name)
def test_the_simulator_serves_the_path_that_is_requested_there(facts: ProviderFacts) -> None:
    target = Target("t", facts.name, "m", "", "", api_version=facts.default_api_version)
    encoded = registry.load_plugin("providers", facts.name).encode(
        target, Request((Message("user", "Hi"),))
    )
    path = (facts.simulator_path or "") + encoded.path.partition("?")[0]
    assert find_adapter(path).route is not None, path


def test_a_suite_may_have_each_simulated_format_and_no_other() -> None:
    schema = SimulatorSpec.model_json_schema()["properties"]["api"]
    assert schema["enum"] == [facts.name for facts in SIMULATED]


@pytest.mark.parametrize(
    "facts", [each for each in PROVIDERS.values() if each.hosts], ids=lambda facts: facts.name
)
def test_a_vendors_prices_hold_at_its_own_address(facts: ProviderFacts) -> None:
    assert price_vendor_at(facts.name, facts.address or "") == price_vendor(facts.name)
    assert price_vendor_at(facts.name, "http://127.0.0.1:8000/v1") is None


def test_an_unknown_model_matches_the_last_entry_of_its_provider() -> None:
    for facts in PROVIDERS.values():
        assert not facts.models or facts.models[-1].models == ("*",), facts.name
        assert all(
            name == each.name for entry in facts.models for name, each in entry.parameters.items()
        )
