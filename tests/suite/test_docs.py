"""docs/suites.md: what it says of its first example is so, and no key is left out."""

import re
from collections.abc import Callable
from pathlib import Path

from harness.config.sampling import Sampling, Sweep
from harness.metrics.table import GATED
from harness.suite import Suite
from harness.suite.run_settings import LimitsSpec, RunSpec, TimeoutSpec
from harness.suite.schema import (
    CaseSpec,
    EvalFile,
    FormatSpec,
    LaterTurnSpec,
    PromptSpec,
    SuiteFile,
    ToolSpec,
)
from harness.suite.targets.target_reader import PriceSpec, SimulatorSpec, TargetSpec

DOCS = (Path(__file__).parents[2] / "docs" / "suites.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(suite:.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
MODELS = [SuiteFile, EvalFile, PromptSpec, CaseSpec, FormatSpec, Sampling]
MODELS += [
    ToolSpec,
    LaterTurnSpec,
    TargetSpec,
    PriceSpec,
    SimulatorSpec,
    LimitsSpec,
    RunSpec,
    TimeoutSpec,
]


def test_the_first_example_plans_what_the_text_says(suite: Callable[..., Suite]) -> None:
    loaded = suite(EXAMPLES[0])
    (each,) = loaded.evals
    requests = (
        len(each.prompts)
        * len(each.cases)
        * len(loaded.targets)
        * len(loaded.settings)
        * loaded.repeats
    )
    assert f"= {requests} requests" in DOCS


def test_every_key_is_named() -> None:
    keys = {field.alias or name for model in MODELS for name, field in model.model_fields.items()}
    keys |= {"zip", "include", "exclude", *GATED} | (
        Sweep.model_fields.keys() - Sampling.model_fields.keys()
    )
    assert sorted(key for key in keys if not re.search(rf"\b{key}\b", DOCS)) == []
