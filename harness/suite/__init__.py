"""The suite language: a YAML file in, a checked `Suite` out (docs/suites.md)."""

from harness.suite.cases import Cases
from harness.suite.editor import schema_json
from harness.suite.gates import GateSpec
from harness.suite.load import load, target_names
from harness.suite.nouns import Case, GraderSpec, Prompt
from harness.suite.overrides import Overrides
from harness.suite.run import LimitsSpec, RunSpec, TimeoutSpec
from harness.suite.suite import Eval, Suite
from harness.suite.targets import PriceSpec, SimulatorSpec, TargetSpec
from harness.suite.templates import Template, TemplateError, render_arguments

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
    "load",
    "render_arguments",
    "schema_json",
    "target_names",
]
