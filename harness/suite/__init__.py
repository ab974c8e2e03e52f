"""The suite language: reads a YAML file into a checked `Suite` (docs/suites.md).

Stands above `config` and `graders`; used by `plan` and everything over it. Imports neither
providers nor the engine.
"""

from harness.config.templates import Template, TemplateError, render_arguments
from harness.graders.base import GraderSpec
from harness.suite.cases.case_index import Cases
from harness.suite.fingerprint import describe_suite, fingerprint_suite
from harness.suite.gate_syntax import GateSpec
from harness.suite.json_schema import schema_json
from harness.suite.load import load_suite, named_targets
from harness.suite.model import Case, Prompt
from harness.suite.overrides import Overrides, sampling_overrides
from harness.suite.run_settings import LimitsSpec, RunSpec, TimeoutSpec
from harness.suite.suite import Eval, Suite
from harness.suite.targets.target_reader import PriceSpec, SimulatorSpec, TargetSpec

__all__ = [
    "Case",
    "Cases",
    "Eval",
    "GateSpec",
    "GraderSpec",
    "LimitsSpec",
    "Overrides",
    "PriceSpec",
    "Prompt",
    "RunSpec",
    "SimulatorSpec",
    "Suite",
    "TargetSpec",
    "Template",
    "TemplateError",
    "TimeoutSpec",
    "describe_suite",
    "fingerprint_suite",
    "load_suite",
    "named_targets",
    "render_arguments",
    "sampling_overrides",
    "schema_json",
]
