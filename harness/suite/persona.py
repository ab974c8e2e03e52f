"""`simulated_user:` of an eval: a model that plays the user after the prompt's own message. Its grammar, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from harness.config import templates
from harness.config.diagnostics import Problems
from harness.config.fields import SuiteModel
from harness.config.sampling import Parameters, role_sampling
from harness.config.templates import Template, TemplateError
from harness.config.units import Text, Whole
from harness.config.yaml import Document
from harness.model import SimulatedUser
from harness.suite.model import RoleReference

KEY = "simulated_user"
DEFAULT_SAMPLING: Mapping[str, Any] = {"temperature": 0.0, "max_tokens": 256}


class SimulatedUserSpec(SuiteModel):
    """A model that plays the user: after each answer it says the next message, until it is done."""

    target: Annotated[Text, Field(min_length=1)] = Field(description="The target that plays the user, by its name.")
    prompt: Annotated[Text, Field(min_length=1)] = Field(
        description="Who the user is and what they want; a template filled in from the case's variables."
    )
    max_turns: Annotated[Whole, Field(ge=1, le=100)] = Field(4, description="The most messages it says after the prompt's own.")
    stop: Annotated[Text, Field(pattern=r"^\S{1,40}$")] = Field("DONE", description="The word it says when it is done.")
    sampling: Parameters = Field(
        default_factory=dict,
        description="How its words are drawn; temperature 0 and max_tokens 256 where these are not given.",
    )


@dataclass(frozen=True, slots=True)
class Persona:
    """A simulated user as a suite has it, to be filled in for each case."""

    spec: SimulatedUserSpec
    template: Template
    roles: RoleReference

    @property
    def needs(self) -> dict[str, str]:
        """The variables every case must give a value, with who uses them."""
        return dict.fromkeys(sorted(self.template.variables - {"expected"}), "the simulated user")

    def build_user(self, variables: Mapping[str, Any]) -> SimulatedUser:
        """The user of one case. Raises TemplateError."""
        try:
            persona = self.template.render(variables)
        except TemplateError as error:
            raise TemplateError(f"the simulated user: {error.message}", error.place) from None
        spec = self.spec
        return SimulatedUser(spec.target, persona, spec.max_turns, spec.stop, self.roles.sampling)

    def plain(self) -> dict[str, Any]:
        """What of it decides what is said, as plain data."""
        return {**self.spec.model_dump(mode="json"), "sampling": dict(self.roles.sampling)}


def read_persona(spec: SimulatedUserSpec | None, document: Document, problems: Problems) -> Persona | None:
    """The persona of an eval, None where there is none or it cannot be read, which is noted."""
    if spec is None:
        return None
    place = document.text_place_of((KEY, "prompt"))
    try:
        template = templates.compile_template(spec.prompt, place)
    except TemplateError as unreadable:
        problems.add(unreadable.place, unreadable.message)
        return None
    if "expected" in template.variables | template.optional:
        problems.add(place, "a simulated user cannot use `expected`: it would tell the model the answer; remove it")
    return Persona(
        spec,
        template,
        RoleReference(spec.target, role_sampling(spec.sampling, DEFAULT_SAMPLING), document.place_of((KEY, "target"))),
    )
