"""The sampling parameters by their canonical names, and the sweep over them.

Whether a target can take a parameter, and in what range, is decided later, by the capability table;
here a value only has to be of the right kind. A number is kept as a float wherever the parameter is
continuous, so that 0 and 0.0 are one setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, GetCoreSchemaHandler, Tag, model_validator
from pydantic_core import CoreSchema, core_schema

from harness.config.fields import FLAG, LIST, MAPPING, SCALAR, SuiteModel, shape_tag
from harness.config.units import Flag, Number, Text, Whole


class FixedSeed(SuiteModel):
    """A seed that every repeat sends as it is."""

    fixed: Whole = Field(description="The seed.")


_Texts = Annotated[list[Text], Field(min_length=1)]
Stops = Annotated[
    Annotated[Text, Tag(SCALAR)] | Annotated[_Texts, Tag(LIST)], Discriminator(shape_tag)
]
Seed = Annotated[
    Annotated[Whole, Tag(SCALAR)] | Annotated[FixedSeed, Tag(MAPPING)], Discriminator(shape_tag)
]
Logprobs = Annotated[
    Annotated[Flag, Tag(FLAG)] | Annotated[Whole, Tag(SCALAR)], Discriminator(shape_tag)
]
Positive = Annotated[Whole, Field(ge=1)]
_SEED = "Makes the draw repeatable: repeat r sends seed + r; {fixed: s} sends s every time."


class Sampling(SuiteModel):
    """How an answer is drawn."""

    temperature: Number | None = Field(
        None, description="Flattens (above 1) or sharpens the distribution; 0 is greedy."
    )
    top_p: Number | None = Field(
        None, description="Sample from the most likely tokens that together have this probability."
    )
    top_k: Whole | None = Field(
        None, description="Sample from this many of the most likely tokens."
    )
    min_p: Number | None = Field(
        None, description="Drop tokens less likely than this share of the most likely one."
    )
    max_tokens: Positive | None = Field(
        None, description="The maximum number of tokens in an answer."
    )
    stop: Stops | None = Field(None, description="Text, or a list of texts, that ends the answer.")
    seed: Seed | None = Field(None, description=_SEED)
    frequency_penalty: Number | None = Field(
        None, description="Penalises tokens by how often they were used."
    )
    presence_penalty: Number | None = Field(
        None, description="Penalises tokens that were used at all."
    )
    repetition_penalty: Number | None = Field(
        None, description="Divides the score of tokens that were used; 1 has no effect."
    )
    n: Positive | None = Field(None, description="The number of answers per request.")
    logprobs: Logprobs | None = Field(
        None, description="Return log probabilities: true, or the number of most likely tokens."
    )
    reasoning_effort: Text | None = Field(
        None, description="How hard the model thinks before it answers, such as low or high."
    )

    @model_validator(mode="after")
    def _refuse_nulls(self) -> Sampling:
        empty = [name for name in self.model_fields_set if getattr(self, name) is None]
        if empty:
            raise ValueError(
                f"gives no value for `{min(empty)}`; leave it out to use the target's default"
            )
        return self

    def parameters(self) -> dict[str, Any]:
        """What was set, by canonical name, as plain data."""
        return self.given_values()


class _AsParameters:
    """Reads a `Sampling` and keeps its parameters."""

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            Sampling.parameters,
            handler.generate_schema(Sampling),
            serialization=core_schema.plain_serializer_function_ser_schema(dict),
        )


Parameters = Annotated[dict[str, Any], _AsParameters()]
"""Sampling parameters as a mapping from canonical name to value, checked as `Sampling`."""


class Axes(SuiteModel):
    """Sampling parameters, each with the values it takes."""

    temperature: list[Number] | None = Field(None, description="Temperatures to try.")
    top_p: list[Number] | None = Field(None, description="Values of top_p to try.")
    top_k: list[Whole] | None = Field(None, description="Values of top_k to try.")
    min_p: list[Number] | None = Field(None, description="Values of min_p to try.")
    max_tokens: list[Positive] | None = Field(None, description="Values of max_tokens to try.")
    stop: list[Stops] | None = Field(None, description="Stop texts, or lists of them, to try.")
    seed: list[Seed] | None = Field(None, description="Seeds to try.")
    frequency_penalty: list[Number] | None = Field(None, description="Frequency penalties to try.")
    presence_penalty: list[Number] | None = Field(None, description="Presence penalties to try.")
    repetition_penalty: list[Number] | None = Field(
        None, description="Repetition penalties to try."
    )
    n: list[Positive] | None = Field(None, description="Numbers of answers per request to try.")
    logprobs: list[Logprobs] | None = Field(None, description="Values of logprobs to try.")
    reasoning_effort: list[Text] | None = Field(None, description="Reasoning efforts to try.")

    def axis_values(self) -> dict[str, list[Any]]:
        """The values of each parameter that is given, in the order written."""
        given = self.given_values(Sampling.model_fields)
        return {name: values for name, values in given.items() if values is not None}


class Sweep(Axes):
    """What to vary: the product of the axes, with the zipped ones in step; then `exclude` removes
    and `include` adds."""

    zip: Axes | None = Field(
        None, description="Parameters that change together: their lists must have equal length."
    )
    include: list[Parameters] = Field(
        default_factory=list, description="Settings to add to the combinations."
    )
    exclude: list[Parameters] = Field(
        default_factory=list, description="Settings to remove: those that match every value given."
    )


def role_sampling(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The sampling of a judge or simulated user: asked once a trial, so that a fixed seed is
    just a seed.
    """
    seed = given.get("seed")
    return {**defaults, **given, **({"seed": seed["fixed"]} if isinstance(seed, Mapping) else {})}
