"""The schema of suite files, eval files and their parts, with a description of every key.

These pydantic models check each key by itself; `load` builds the nouns from them and checks them
against one another. Graders and gates have readers of their own (`grader_specs`, `gate_syntax`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from harness.config.fields import LIST, MAPPING, SCALAR, Name, OneOrMore, SuiteModel, shape_tag
from harness.config.sampling import Parameters, Sweep
from harness.config.units import Duration, Flag, Share, Text, Whole
from harness.suite.cases.case_file_spec import PLACES, CaseFileSpec
from harness.suite.run_settings import RunSpec
from harness.suite.targets.target_reader import TargetSpec

_SUITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _check_suite_name(value: Any) -> Any:
    if isinstance(value, str) and not _SUITE_NAME.fullmatch(value):
        raise ValueError(
            f"names folders, so it may hold only letters, digits, `.`, `_` and `-`, not {value!r}"
        )
    return value


Images = Annotated[list[Text], OneOrMore]


OUTCOMES = ("function", "returns", "raises")
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ToolSpec(SuiteModel):
    """A tool the model may call, and what calling it does."""

    name: ToolName | None = Field(
        None, description="The tool's name; default: the function's name."
    )
    description: Text | None = Field(
        None, description="The tool's description for the model; default: the function's docstring."
    )
    parameters: Text | dict[str, Any] | None = Field(
        None,
        description=(
            "A JSON Schema of its parameters, or the file that holds it; default: from the"
            " function's type hints."
        ),
    )
    function: Text | None = Field(
        None, description="The file and the function in it: `tools.py:lookup`."
    )
    returns: Any = Field(
        None,
        description=(
            "The value it always returns; a template can use the case's variables and the"
            " `arguments`."
        ),
    )
    raises: Text | None = Field(None, description="The error message it always fails with.")
    strict: Flag | None = Field(
        None,
        description=(
            "Whether the service must keep calls to the parameters' schema (`strict`); default:"
            " the provider's rule."
        ),
    )
    timeout: Duration = Field(
        10.0, description="The maximum duration of a call of the function, such as 2s."
    )
    trusted: Flag = Field(
        False, description="Run the function in this process, not in a child that can be killed."
    )

    @model_validator(mode="after")
    def _one_outcome(self) -> ToolSpec:
        given = [key for key in OUTCOMES if key in self.model_fields_set]
        if len(given) > 1:
            raise ValueError(
                f"a tool can have only one outcome, not {' and '.join(f'`{key}`' for key in given)}"
                "; keep one"
            )
        if self.function is None and self.name is None:
            raise ValueError("a tool without a `function` needs a `name`")
        if self.function is None and self.parameters is None:
            raise ValueError(
                "a tool without a `function` needs `parameters`, a JSON Schema (of type object)"
            )
        if self.function is None and self.model_fields_set & {"timeout", "trusted"}:
            raise ValueError("`timeout` and `trusted` apply only to a `function`; remove them")
        return self


Extract = Annotated[
    Annotated[list[Any], OneOrMore] | None,
    Field(description="The steps from an answer to what its graders see: one, or a list."),
]


class LaterTurnSpec(SuiteModel):
    """A later user turn and its graders; the first item may only grade the first answer."""

    user: Text | None = Field(
        None,
        description=(
            "What the user says; a template. Without it, the first item's graders judge the first"
            " answer."
        ),
    )
    images: Annotated[list[Text], OneOrMore] = Field(
        default_factory=list,
        description="Images placed before the text: paths or data URIs; templates.",
    )
    graders: Annotated[list[Any], OneOrMore] = Field(
        default_factory=list, description="The graders of the answer to this turn."
    )
    extract: Extract = None


ToolItem = Annotated[
    Annotated[Text, Tag(SCALAR)] | Annotated[ToolSpec, Tag(MAPPING)], Discriminator(shape_tag)
]
Tools = Annotated[list[ToolItem], Field(min_length=1), OneOrMore]
TurnItem = Annotated[
    Annotated[Text, Tag(SCALAR)] | Annotated[LaterTurnSpec, Tag(MAPPING)], Discriminator(shape_tag)
]
Turns = Annotated[list[TurnItem], Field(min_length=1), OneOrMore]


class TurnSpec(SuiteModel):
    """One message of a prompt."""

    role: Literal["system", "developer", "user", "assistant"] = Field(
        description=(
            "The role: system, user or assistant; or developer, which OpenAI uses in place of"
            " system and all others receive as system."
        )
    )
    content: Text = Field(
        description="The message's text; a template filled in from the case's variables."
    )
    images: Images = Field(
        default_factory=list,
        description="Images placed before the text: paths or data URIs; templates.",
    )


class MessageFile(SuiteModel):
    """A prompt in a JSON file."""

    messages: Annotated[list[TurnSpec], Field(min_length=1)] = Field(description="The messages.")


Messages = Annotated[
    Annotated[Text, Tag(SCALAR)] | Annotated[list[TurnSpec], Field(min_length=1), Tag(LIST)],
    Discriminator(shape_tag),
]


class PromptSpec(SuiteModel):
    """A prompt: inline turns, a list of messages, a file, or plain text to be completed."""

    misplaced_keys: ClassVar[Mapping[str, str]] = {
        "tools": "set `tools:` in the eval",
        "developer": "write `messages: [{role: developer, content: …}, …]`",
    }

    id: Name | None = Field(
        None,
        description="The prompt's id in results; default: the file's name, or prompt, prompt-2, …",
    )
    system: Text | None = Field(None, description="The system message; a template.")
    user: Text | None = Field(None, description="The user's message; a template.")
    assistant: Text | None = Field(
        None, description="The start of the answer, which the model continues; a template."
    )
    images: Images = Field(
        default_factory=list,
        description="Images shown before the user's message: paths or data URIs; templates.",
    )
    messages: Messages | None = Field(
        None,
        description=(
            "Any conversation, in place of system, user and assistant; or {{ column }}, which"
            " holds each case's own."
        ),
    )
    file: Text | None = Field(
        None,
        description=(
            "A text file in which the lines `# system`, `# user` and `# assistant` begin the"
            " turns, or a .json file of messages."
        ),
    )
    python: Text | None = Field(
        None,
        description=(
            "A function that builds it from a case's variables, as a text or a list of messages:"
            " prompts.py:build."
        ),
    )
    turns: Turns | None = Field(
        None, description="What the user says after each answer; every item is one more turn."
    )
    prompt: Annotated[Text, Field(min_length=1)] | None = Field(
        None,
        description=(
            "Plain text to complete, without turns; a template. Few providers support it."
        ),
    )
    raw: Flag = Field(
        False, description="Whether `prompt` already contains the chat template's special tokens."
    )

    @model_validator(mode="after")
    def _one_form(self) -> PromptSpec:
        inline = any(text is not None for text in (self.system, self.user, self.assistant))
        if [
            inline,
            self.messages is not None,
            self.file is not None,
            self.prompt is not None,
            self.python is not None,
        ].count(True) != 1:
            raise ValueError(
                "must have exactly one form: system / user / assistant, or messages, or file, or"
                " prompt, or python"
            )
        if self.prompt is not None and self.turns is not None:
            raise ValueError(
                "is plain text to complete, which cannot have `turns`; write it as {user: …}, or"
                " remove them"
            )
        if self.images and self.user is None:
            raise ValueError(
                "has `images`, which belong to a user's message; with `messages`, set them on"
                " each message, in a file write `![](…)`"
            )
        if self.raw and self.prompt is None:
            raise ValueError("has `raw`, which applies only to `prompt`")
        return self


class AddedGraders(SuiteModel):
    """Graders of a case beside those of its eval."""

    add: Annotated[list[Any], Field(min_length=1), OneOrMore] = Field(
        description="The graders to add."
    )


class CaseSpec(SuiteModel):
    """One question's variables and what is expected of the answer."""

    unknown_key_hint: ClassVar[str] = "put prompt variables under `vars:`"
    misplaced_keys: ClassVar[Mapping[str, str]] = {
        "assert": "put graders of this case alone under `graders:`",
    }

    id: Name | None = Field(
        None, description="The case's id in results; default: derived from its variables."
    )
    vars: dict[str, Any] = Field(
        default_factory=dict, description="The variables its prompts are filled in from."
    )
    expected: Any = Field(None, description="The expected answer; only graders see it.")
    tags: list[Name] = Field(default_factory=list, description="Labels to filter and slice by.")
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Notes kept with the case; not used by the run."
    )
    threshold: Share | None = Field(None, description="The minimum score for the case to pass.")
    sampling: Parameters | None = Field(None, description="Sampling parameters for this case only.")
    prompts: Annotated[list[Name], Field(min_length=1), OneOrMore] | None = Field(
        None, description="The ids of the prompts this case is used with; default: all."
    )
    graders: list[Any] | AddedGraders | None = Field(
        None,
        description="Graders for this case, in place of its eval's or, as {add: …}, beside them.",
    )
    extract: Extract = None
    turns: Turns | None = Field(
        None, description="What the user says after each answer, in place of the prompt's turns."
    )
    tools: dict[str, Any] | None = Field(
        None,
        description=(
            "What calling a tool returns in this case, by the tool's name; {raises: message} makes"
            " it fail."
        ),
    )

    @model_validator(mode="after")
    def _expected_is_no_variable(self) -> CaseSpec:
        if "expected" in self.vars:
            raise ValueError(
                "has `expected` inside `vars`; move it next to `vars`, because prompts must not"
                " see the answer"
            )
        return self


class FormatSpec(SuiteModel):
    """The form the answer must have."""

    type: Literal["json_object", "json_schema", "guided_json"] = Field(
        description=(
            "Any JSON object, or JSON that fits `schema`; guided_json is Workers AI's own field for"
            " that."
        )
    )
    schema_: Text | dict[str, Any] | None = Field(
        None, alias="schema", description="A JSON Schema, or the file that holds it."
    )
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        "answer", description="The schema's name, as sent to providers."
    )

    @model_validator(mode="after")
    def _schema_where_needed(self) -> FormatSpec:
        if (self.type != "json_object") != (self.schema_ is not None):
            raise ValueError(
                "needs `schema` for the types json_schema and guided_json, and only for those"
            )
        return self


def _format_type(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class SimulatedUserSpec(SuiteModel):
    """A model that plays the user: after each answer it says the next message, until it is done."""

    target: Annotated[Text, Field(min_length=1)] = Field(
        description="The name of the target that plays the user."
    )
    prompt: Annotated[Text, Field(min_length=1)] = Field(
        description=(
            "Who the user is and what they want; a template filled in from the case's variables."
        )
    )
    max_turns: Annotated[Whole, Field(ge=1, le=100)] = Field(
        4, description="The maximum number of messages it says after the prompt's own."
    )
    stop: Annotated[Text, Field(pattern=r"^\S{1,40}$")] = Field(
        "DONE", description="The word it says when it has finished."
    )
    sampling: Parameters = Field(
        default_factory=dict,
        description=("Its sampling parameters; default: temperature 0 and max_tokens 256."),
    )


PromptItem = Annotated[
    Annotated[Text, Tag(SCALAR)] | Annotated[PromptSpec, Tag(MAPPING)], Discriminator(shape_tag)
]
ROWS = "<rows>"
"""The tag of a file of cases, beside those of shapes."""


def _case_tag(value: Any) -> str:
    """The tag of a case, or of a file of them, which says where its rows are."""
    if isinstance(value, CaseFileSpec) or (isinstance(value, Mapping) and value.keys() & {*PLACES}):
        return ROWS
    return shape_tag(value)


CaseItem = Annotated[
    Annotated[Text, Tag(SCALAR)]
    | Annotated[CaseSpec, Tag(MAPPING)]
    | Annotated[CaseFileSpec, Tag(ROWS)],
    Discriminator(_case_tag),
]
TargetItem = Annotated[
    Annotated[Text, Tag(SCALAR)] | Annotated[TargetSpec, Tag(MAPPING)], Discriminator(shape_tag)
]
Prompts = Annotated[list[PromptItem], Field(min_length=1), OneOrMore]
CaseItems = Annotated[list[CaseItem], Field(min_length=1), OneOrMore]
Graders = Annotated[list[Any], OneOrMore]
Format = Annotated[
    FormatSpec,
    BeforeValidator(_format_type, json_schema_input_type=Literal["json_object"] | FormatSpec),
]

MaxTurns = Annotated[Whole, Field(ge=1, le=1000)]


class EvalFields(SuiteModel):
    """What is asked and what good is: the keys of an eval, in a file of its own or inline in a
    suite.

    A key added here may stand in both, is compared when a run is resumed, and is kept in the
    manifest (`fingerprint`).
    """

    description: Text = Field("", description="A description of what the eval measures.")
    prompts: Prompts | None = Field(None, description="The prompts, each asked with every case.")
    cases: CaseItems | None = Field(None, description="The cases: inline, or table files.")
    graders: Graders = Field(default_factory=list, description="The graders of each answer.")
    extract: Extract = None
    response_format: Format | None = Field(
        None, description="The form the answer must have: JSON, or JSON that fits a schema."
    )
    tools: Tools | None = Field(
        None,
        description="The tools the model may call: Python functions, or tools with canned results.",
    )
    tool_choice: Text | None = Field(
        None,
        description=(
            "Whether it must call one: auto, none, required, or a tool's name; applies to the"
            " first request."
        ),
    )
    max_turns: MaxTurns = Field(
        10, description="The maximum number of requests to the model in one turn of the user."
    )
    parallel_tool_calls: Flag | None = Field(
        None, description="Whether one answer may call several tools."
    )
    simulated_user: SimulatedUserSpec | None = Field(
        None,
        description=(
            "A model that plays the user: after each answer it says the next message, until it is"
            " done."
        ),
    )


class EvalFile(EvalFields):
    """An `eval.yaml`."""

    prompts: Prompts = Field(description="The prompts, each asked with every case.")
    cases: CaseItems = Field(description="The cases: inline, or table files.")


class SuiteFile(EvalFields):
    """A suite: evals × targets × sampling sweep × repeats, run limits and gates."""

    unsupported_keys: ClassVar[Mapping[str, str]] = {
        "load": "remove it, and bound the run with `run: {concurrency: …, rpm: …}`",
        "slo": "remove it, and bound latency with gates such as `latency.p95 <= 2s`",
        "baseline": "remove it, and compare runs with `harness report RUN RUN`",
    }
    misplaced_keys: ClassVar[Mapping[str, str]] = {
        "judge": (
            "name the target where it is used: `graders: [{judge: {rubric: …, target: NAME}}]`"
        ),
        "matrix": "use `sweep:` for sampling parameters, and several prompts and targets",
        "providers": "name what is tested under `targets:`",
        "tests": "put the data set under `cases:` and what grades every answer under `graders:`",
        "defaultTest": "put what grades every answer under `graders:`",
        "scenarios": "write each combination as a case under `cases:`",
        "evaluateOptions": "set `run: {concurrency: …}` and `repeats: …`",
    }

    suite: Annotated[Text, BeforeValidator(_check_suite_name)] = Field(
        description="The suite's name; also the name of the folder of its runs."
    )
    description: Text = Field("", description="A description of the suite.")
    prompts: Prompts | None = Field(
        None, description="The prompts of an inline eval; with `evals:`, these replace theirs."
    )
    graders: Graders = Field(
        default_factory=list,
        description="The graders of each answer; with `evals:`, added to theirs.",
    )
    evals: Annotated[list[Text], Field(min_length=1), OneOrMore] | None = Field(
        None,
        description=(
            "Folders that hold an eval.yaml, or such files, instead of inline prompts and cases."
        ),
    )
    targets: Annotated[list[TargetItem], Field(min_length=1), OneOrMore] = Field(
        description=(
            "The targets to test: names from targets.yaml beside the suite, built-in names, or"
            " targets written out."
        )
    )
    sampling: Parameters = Field(
        default_factory=dict, description="Sampling parameters for every request."
    )
    sweep: Sweep = Field(
        default_factory=Sweep, description="Sampling parameters to vary: every combination is run."
    )
    repeats: Annotated[Whole, Field(ge=1, le=1_000_000)] = Field(
        1, description="How many times to ask each question."
    )
    run: RunSpec = Field(
        default_factory=RunSpec,
        description="Limits, retries, budget and other settings of the run.",
    )
    gates: Annotated[list[Any], OneOrMore] = Field(
        default_factory=list, description="The conditions the run must meet to pass."
    )
    strict: Flag = Field(
        False, description="Exit with 3 instead of 0 when the data do not suffice for a verdict."
    )


_ALSO_BESIDE_EVALS = ("description", "prompts", "graders", "extract")
INLINE_ONLY = tuple(name for name in EvalFields.model_fields if name not in _ALSO_BESIDE_EVALS)
"""Keys of an eval that a suite may have only where its eval is inline: beside `evals:` they stand
in those."""
