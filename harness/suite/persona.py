"""The simulated user of an eval: a model that plays the user from the second message on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from harness.config.sampling import role_sampling
from harness.config.templates import Template, TemplateError
from harness.model import SimulatedUser
from harness.suite.model import RoleReference
from harness.suite.schema import SimulatedUserSpec
from harness.suite.source import Source

KEY = "simulated_user"
PERSONA_USER = "the simulated user"
"""How messages call who uses the template's variables."""
DEFAULT_SAMPLING: Mapping[str, Any] = {"temperature": 0.0, "max_tokens": 256}


class Persona(Struct, frozen=True):
    """A simulated user as declared, to be rendered for each case; `role` is the target that
    plays it.
    """

    spec: SimulatedUserSpec
    template: Template
    role: RoleReference

    @property
    def needs(self) -> dict[str, str]:
        """The variables that every case must have, each with its user for messages."""
        return dict.fromkeys(sorted(self.template.variables - {"expected"}), PERSONA_USER)

    def build_user(self, variables: Mapping[str, Any]) -> SimulatedUser:
        """The simulated user of one case. Raises TemplateError."""
        try:
            persona = self.template.render(variables)
        except TemplateError as error:
            raise TemplateError(f"the simulated user: {error.message}", error.place) from None
        spec = self.spec
        return SimulatedUser(spec.target, persona, spec.max_turns, spec.stop, self.role.sampling)

    def to_plain(self) -> dict[str, Any]:
        """Everything that decides its messages, as plain data."""
        return {**self.spec.model_dump(mode="json"), "sampling": dict(self.role.sampling)}


def read_persona(spec: SimulatedUserSpec | None, source: Source) -> Persona | None:
    """The simulated user of an eval; None where there is none, or, with a problem, where its
    template is invalid.
    """
    if spec is None:
        return None
    try:
        template = source.compile_for_model(
            spec.prompt, source.text_place_of((KEY, "prompt")), "a simulated user"
        )
    except TemplateError as unreadable:
        source.problems.add(unreadable.place, unreadable.message)
        return None
    sampling = role_sampling(spec.sampling, DEFAULT_SAMPLING)
    return Persona(
        spec, template, RoleReference(spec.target, sampling, source.place_of((KEY, "target")))
    )
