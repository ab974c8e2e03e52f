"""The grammar of tools and of later turns: what an eval, a suite, a prompt or a case may say of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from harness.config.fields import MAPPING, SCALAR, OneOrMore, SuiteModel, shape_tag
from harness.config.units import Duration, Flag, Text

OUTCOMES = ("function", "returns", "raises")
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ToolSpec(SuiteModel):
    """A tool the model may call, and what calling it does."""

    name: ToolName | None = Field(None, description="What the model calls it; default: the function's name.")
    description: Text | None = Field(None, description="What it is for, for the model; default: the function's docstring.")
    parameters: Text | dict[str, Any] | None = Field(
        None, description="A JSON Schema of its parameters, or the file that holds it; default: from the function's type hints."
    )
    function: Text | None = Field(None, description="The file and the function in it: `tools.py:lookup`.")
    returns: Any = Field(None, description="The value it always has; a template sees the case's variables and the `arguments`.")
    raises: Text | None = Field(None, description="The message it always fails with.")
    timeout: Duration = Field(10.0, description="The longest a call of the function may take, such as 2s.")
    trusted: Flag = Field(False, description="Run the function in this process, not in a child that can be killed.")

    @model_validator(mode="after")
    def _one_outcome(self) -> ToolSpec:
        given = [key for key in OUTCOMES if key in self.model_fields_set]
        if len(given) > 1:
            raise ValueError(f"a tool has one outcome, not {' and '.join(f'`{key}`' for key in given)}; keep one")
        if self.function is None and self.name is None:
            raise ValueError("a tool without a `function` needs a `name`")
        if self.function is None and self.parameters is None:
            raise ValueError("a tool without a `function` needs `parameters`, a JSON Schema (of type object)")
        if self.function is None and self.model_fields_set & {"timeout", "trusted"}:
            raise ValueError("`timeout` and `trusted` are for a `function`; remove them")
        return self


class LaterTurnSpec(SuiteModel):
    """What the user says after an answer, and what judges the answer to it; the first item may only judge the first answer."""

    user: Text | None = Field(
        None, description="What the user says; a template. Without it, the first item's graders judge the first answer."
    )
    images: Annotated[list[Text], OneOrMore] = Field(
        default_factory=list, description="Images shown before it: paths or data URIs; templates."
    )
    graders: Annotated[list[Any], OneOrMore] = Field(default_factory=list, description="What judges the answer to this turn.")


ToolItem = Annotated[Annotated[Text, Tag(SCALAR)] | Annotated[ToolSpec, Tag(MAPPING)], Discriminator(shape_tag)]
Tools = Annotated[list[ToolItem], Field(min_length=1), OneOrMore]
TurnItem = Annotated[Annotated[Text, Tag(SCALAR)] | Annotated[LaterTurnSpec, Tag(MAPPING)], Discriminator(shape_tag)]
Turns = Annotated[list[TurnItem], Field(min_length=1), OneOrMore]
