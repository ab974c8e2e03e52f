"""The user's own capability table: `capabilities.yaml` next to the suite, which overrides the one
that ships.

An entry says what a model can do where the built-in table is wrong or incomplete; what it leaves
out stays as it is there. So a suite for a custom model is checked before the run like any other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from harness import registry
from harness.config.diagnostics import did_you_mean
from harness.config.fields import OneOrMore, SuiteModel, read_model
from harness.config.sampling import Sampling
from harness.config.units import Count, Flag, Number, Text, Whole
from harness.suite.source import Source

CAPABILITIES_FILE = "capabilities.yaml"

_Texts = Annotated[list[Text], Field(min_length=1), OneOrMore]


class ParameterSpec(SuiteModel):
    """What one sampling parameter may be."""

    type: Literal["number", "integer", "flag_or_count", "word", "strings"] = Field(
        description="What kind of value it is."
    )
    min: Number | None = Field(None, description="The smallest allowed value.")
    max: Number | None = Field(None, description="The largest allowed value.")
    above: Number | None = Field(None, description="It must be greater than this.")
    below: Number | None = Field(None, description="It must be less than this.")
    values: list[Text] = Field(default_factory=list, description="The allowed words.")
    max_items: Whole | None = Field(None, description="The maximum number of strings.")
    not_with: list[Text] = Field(
        default_factory=list, description="Parameters that cannot be combined with it."
    )
    blank: Flag = Field(True, description="Whether strings may consist of white space only.")


class ImagesSpec(SuiteModel):
    """Limits on images."""

    types: list[Text] = Field(
        default_factory=list, description="Media types, such as image/png; default: all four."
    )
    max_bytes: Count | None = Field(None, description="The maximum size of a file in bytes.")
    max_side: Count | None = Field(None, description="Pixels a side.")
    max_count: Count | None = Field(None, description="The maximum number per request.")


class CapabilitySpec(SuiteModel):
    """What the models of one provider that match a pattern can do."""

    provider: Text = Field(description="The provider that serves the models.")
    models: _Texts = Field(description="Patterns of the models' ids, such as `my-*`.")
    api_versions: _Texts | None = Field(
        None, description="Patterns of the API versions this applies to; default: all."
    )
    source: Text = Field(CAPABILITIES_FILE, description="Where this is documented.")
    streaming: Flag | None = Field(None, description="Whether answers can be streamed.")
    vision: Flag | None = Field(None, description="Whether it accepts images.")
    tools: Flag | None = Field(None, description="Whether it supports tools.")
    json_schema: Flag | None = Field(None, description="Whether answers follow a JSON Schema.")
    json_object: Flag = Field(True, description="Whether there is a JSON mode without a schema.")
    guided_json: Flag = Field(False, description="Whether it supports Workers AI's guided_json.")
    prompt: Flag = Field(False, description="Whether it completes plain text prompts.")
    batch: Flag = Field(False, description="Whether requests can be sent as a batch.")
    late_system: Flag = Field(
        True, description="Whether system messages may come after the first turn."
    )
    context: Count | None = Field(
        None, description="The maximum tokens of a request and its answer together."
    )
    max_output: Count | None = Field(None, description="The maximum number of tokens in an answer.")
    images: ImagesSpec | None = Field(None, description="Limits on images.")
    parameters: dict[str, ParameterSpec | None] = Field(
        default_factory=dict,
        description="Sampling parameters by canonical name; null: not supported.",
    )

    @field_validator("provider")
    @classmethod
    def _known_provider(cls, name: str) -> str:
        if not registry.is_registered("providers", name):
            raise ValueError(
                f"should name a provider, not {name!r};"
                f" {did_you_mean(name, registry.registered_names('providers'))}"
            )
        return name

    @field_validator("parameters")
    @classmethod
    def _known_parameters(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name in given:
            if name not in Sampling.model_fields:
                raise ValueError(
                    f"there is no sampling parameter `{name}`;"
                    f" {did_you_mean(name, Sampling.model_fields)}"
                )
        return given


def read_capability_overrides(suite: Source) -> tuple[dict[str, Any], ...]:
    """The entries of `capabilities.yaml` as plain data, none where there is no such file;
    problems are noted.
    """
    table = suite.open_optional(CAPABILITIES_FILE)
    if table is None:
        return ()
    entries = table.document.value
    if not isinstance(entries, list):
        table.add_problem(
            (), "a capability table is a list of entries; begin each with `- provider: …`"
        )
        return ()
    specs = [
        read_model(CapabilitySpec, item, table.document, table.problems, (at,))
        for at, item in enumerate(entries)
    ]
    return tuple(spec.model_dump(exclude_unset=True) for spec in specs if spec is not None)
