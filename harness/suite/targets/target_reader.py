"""Reads targets: those a suite declares, and those it names from targets.yaml or the built-in
table.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from harness import registry
from harness.config.diagnostics import Place, Problems, did_you_mean
from harness.config.fields import Name, SuiteModel, read_model
from harness.config.sampling import Parameters
from harness.config.units import Count, Delay, Money, Number, Text, Whole
from harness.config.yaml import Document, parse_yaml
from harness.suite.run_settings import LimitsSpec, Unsupported
from harness.suite.targets.http_service import HTTP, HttpSpec
from harness.vendors import PROVIDERS
from harness.vendors.addresses import is_http_address
from harness.vendors.facts import CREDENTIAL_HEADERS

SIMULATOR = "simulator"

if TYPE_CHECKING:
    SimulatedApi: TypeAlias = str
else:
    SimulatedApi = Literal[
        tuple(name for name, facts in PROVIDERS.items() if facts.simulator_path is not None)
    ]

_VARIABLE_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
SECRET_QUERY = re.compile(r"key|token|secret|password|^sig$|^code$", re.IGNORECASE)
"""Names of an address's parameters that prove who asks."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _check_variable_name(value: str) -> str:
    if not _VARIABLE_NAME.fullmatch(value):  # the value may be a secret: it is not shown
        raise ValueError(
            "should be the name of an environment variable, such as OPENAI_API_KEY, not the key"
        )
    return value


def _check_model(value: Any, info: ValidationInfo) -> Any:
    """Joins a command's list of words as a shell would quote them, though no shell runs it."""
    if isinstance(value, list):
        if info.data.get("provider") != "command":
            raise ValueError(
                "can be a list only with the provider command: the program and its arguments"
            )
        if not value or not all(isinstance(word, str) and word for word in value):
            raise ValueError(
                "should be the program and its arguments, each as text (quote numbers)"
            )
        value = shlex.join(value)
    if isinstance(value, str) and "${" in value:
        raise ValueError(
            "cannot read the environment; `${NAME}` works only in base_url and headers"
        )
    return value


def _check_references(value: str) -> str:
    if "$" in _REFERENCE.sub("", value):
        raise ValueError("contains a `$` that is not part of a `${NAME}`")
    return value


def _check_address(value: str) -> str:
    plain = _REFERENCE.sub("", _check_references(value))
    try:
        place = urlsplit(_REFERENCE.sub("x", value))
    except ValueError as wrong:
        raise ValueError(f"is not a valid address: {wrong}") from wrong
    if "@" in place.netloc:  # not shown either
        raise ValueError(
            "contains a user name or password; name the API key's variable in `api_key:`"
        )
    if secret := [
        name for name, _ in parse_qsl(urlsplit(plain).query) if SECRET_QUERY.search(name)
    ]:
        raise ValueError(
            f"contains the secret `{secret[0]}`; name its variable in `api_key:`, or write"
            f" ${{NAME}} in place of the value"
        )
    if not value.startswith("${") and not is_http_address(place.geturl()):
        raise ValueError(f"should start with http:// or https:// and name a host, not {value!r}")
    return value


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
            raise ValueError(
                f"holds `{name}`, which is not a valid HTTP header: use one line of printable"
                " characters"
            )
        if name.lower() in CREDENTIAL_HEADERS and not _REFERENCE.search(value):
            raise ValueError(
                f"contains the secret of `{name}` itself; name an environment variable instead, as"
                f" in ${{MY_TOKEN}}"
            )
        _check_references(value)
    return headers


def _check_provider(value: str) -> str:
    if value != SIMULATOR and not registry.is_registered("providers", value):
        names = [*registry.registered_names("providers"), SIMULATOR]
        raise ValueError(f"should name a provider, not {value!r}; {did_you_mean(value, names)}")
    return value


class PriceSpec(SuiteModel):
    """What tokens cost, in US dollars per million: `input` and `output`, or `per_request` alone."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": ["input", "output"]}, {"required": ["per_request"]}]
        }
    )

    input: Money = Field(Decimal(0), description="Per million input tokens.")
    output: Money = Field(Decimal(0), description="Per million output tokens.")
    cache_read: Money | None = Field(
        None, description="Per million input tokens read from the provider's cache."
    )
    cache_write: Money | None = Field(
        None, description="Per million input tokens written to the provider's cache."
    )
    cache_write_1h: Money | None = Field(
        None, description="Per million input tokens written to the cache for an hour."
    )
    per_request: Money = Field(
        Decimal(0), description="US dollars per request, regardless of its tokens."
    )

    @model_validator(mode="before")
    @classmethod
    def _is_whole(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        missing = [name for name in ("input", "output") if name not in value]
        if missing and not (len(missing) == 2 and "per_request" in value):
            raise ValueError(
                f"a price needs `input` and `output` (it has no `{missing[0]}`), in US dollars per"
                " million tokens, or `per_request` alone; write 0 for what is free"
            )
        return value


class SimulatorSpec(SuiteModel):
    """How the simulator behaves for this target."""

    api: SimulatedApi = Field("cloudflare", description="The provider whose wire format it uses.")
    seed: Whole = Field(
        0, description="The seed for its latency, and for answers to requests without a seed."
    )
    ttft: Delay | None = Field(None, description="Mean time to the first token.")
    inter_token: Delay | None = Field(None, description="Mean time between tokens.")
    jitter: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="Spread of both: the sigma of a log-normal factor."
    )
    faults: list[dict[str, Any]] = Field(
        default_factory=list, description="Faults to inject (`harness simulate --help`)."
    )


class FunctionSpec(SuiteModel):
    """A function of Workers AI's embedded function calling, which it has deprecated."""

    name: Text = Field(description="The function's name.")
    code: Text = Field(description="Its JavaScript.")


class TargetSpec(SuiteModel):
    """The thing under test: a model, and how it is reached."""

    misplaced_keys: ClassVar[Mapping[str, str]] = {
        "key": "name the variable in `api_key:`",
        "tools": "set `tools:` in the eval",
    }

    name: Name = Field(description="Its name in results.")
    provider: Annotated[Text, AfterValidator(_check_provider)] = Field(
        description=(
            "The wire format it speaks: anthropic, cloudflare, openai, …, simulator; or python,"
            " command: your code."
        )
    )
    model: Annotated[
        Text,
        Field(min_length=1),
        BeforeValidator(_check_model, json_schema_input_type=str | list[str]),
    ] = Field(
        description=(
            "The model's id, as its provider spells it; app.py:function (python), or a program"
            " and its arguments (command)."
        )
    )
    base_url: Annotated[Text, AfterValidator(_check_address)] | None = Field(
        None, description="Its address; default: the provider's own. May contain ${VARIABLE}."
    )
    api_key: Annotated[Text, AfterValidator(_check_variable_name)] | None = Field(
        None,
        description=(
            "The name of the environment variable that holds the API key; never the key itself."
        ),
    )
    api_version: Text | None = Field(
        None,
        description=(
            "Which version of the provider's API to speak, where it has several; default: the"
            " provider's choice."
        ),
    )
    env: list[Annotated[Text, AfterValidator(_check_variable_name)]] = Field(
        default_factory=list,
        description="Environment variables its code needs (providers python and command only).",
    )
    headers: Annotated[dict[str, Text], AfterValidator(_check_headers)] = Field(
        default_factory=dict,
        description="Headers to send with each request; values may contain ${VARIABLE}.",
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="Fields to add to each request's body unchanged."
    )
    functions: Annotated[list[FunctionSpec], Field(min_length=1)] | None = Field(
        None,
        description="Deprecated by Workers AI (provider cloudflare only): use `tools:`.",
    )
    http: HttpSpec | None = Field(
        None,
        description="How to call the service and read its answers (provider http only).",
    )
    sampling: Parameters = Field(
        default_factory=dict,
        description="Sampling parameters for this target; the suite's take precedence.",
    )
    limits: LimitsSpec = Field(
        default_factory=LimitsSpec.model_construct,
        description="Concurrency, rate, timeout and retry limits for this target.",
    )
    price: PriceSpec | None = Field(
        None,
        description=(
            "Its price, in place of the catalogue's: `{input, output}` in US dollars per million"
            " tokens, or `{per_request}`."
        ),
    )
    context: Count | None = Field(
        None, description="The maximum tokens of a request and its answer together."
    )
    unsupported: Unsupported | None = Field(
        None, description="Overrides the run's `unsupported:` for this target."
    )
    simulator: SimulatorSpec | None = Field(
        None, description="How the simulator behaves (provider simulator only)."
    )

    @property
    def format(self) -> str:
        """The provider whose wire format is used: for a simulated target, the one it simulates."""
        return (
            (self.simulator or SimulatorSpec.model_construct()).api
            if self.provider == SIMULATOR
            else self.provider
        )

    def functions_sent(self) -> list[dict[str, str]]:
        """The deprecated functions as a request body has them."""
        return [each.model_dump() for each in self.functions or ()]


class TargetTable:
    """The targets that can be named: those of `targets.yaml` next to the suite, then the built-in
    ones.

    Only a target that is named is checked: an error in another one does not stop this suite.
    """

    def __init__(self, own: Document | None, problems: Problems) -> None:
        self._documents = [
            document for document in (own, _built_in_targets()) if document is not None
        ]
        self._problems = problems
        if own is not None and not isinstance(own.value, dict):
            problems.add(own.place_of(), "should map each target's name to its settings")

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(
            {
                name
                for document in self._documents
                if isinstance(document.value, dict)
                for name in document.value
            }
        )

    def find(self, name: str, place: Place) -> TargetSpec | None:
        """The target called `name`; None, with a problem at `place`, where there is none or it
        is invalid.
        """
        for document in self._documents:
            if isinstance(document.value, dict) and name in document.value:
                return self._read_target(name, document)
        self._problems.add(
            place,
            f"there is no target `{name}` in targets.yaml or built in;"
            f" {did_you_mean(name, self.names())}",
        )
        return None

    def _read_target(self, name: str, document: Document) -> TargetSpec | None:
        spec = document.value[name]
        if not isinstance(spec, dict):
            self._problems.add(
                document.place_of((name,)),
                f"the target `{name}` should be a mapping of keys to values",
            )
            return None
        found = read_model(TargetSpec, {"name": name, **spec}, document, self._problems, (name,))
        if found is not None:
            check_target(found, document.place_of((name,)), self._problems)
        return found


def check_target(spec: TargetSpec, place: Place, problems: Problems) -> None:
    """Note keys of a target that contradict one another."""
    simulated = spec.provider == SIMULATOR
    if spec.simulator is not None and not simulated:
        problems.add(
            place,
            f"the target `{spec.name}` has `simulator:` but its provider is {spec.provider}; use"
            " one or the other",
        )
    if simulated and (spec.base_url or spec.api_key):
        problems.add(
            place,
            f"the target `{spec.name}` is simulated: it has no `base_url` and no `api_key`; remove"
            " them",
        )
    if (spec.http is None) == (spec.provider == HTTP):
        verb, what = ("needs", "") if spec.http is None else ("has", "; remove it")
        problems.add(
            place,
            f"the target `{spec.name}` {verb} `http:`, which describes a service of the provider"
            f" http{what}",
        )
    facts = PROVIDERS.get(spec.format)
    if spec.functions is not None and not (facts and facts.takes_functions):
        problems.add(
            place,
            f"the target `{spec.name}` has `functions:`, which {spec.format} does not have; use"
            " `tools:`",
        )
    if spec.api_version is not None:
        _check_api_version(spec, spec.api_version, place, problems)


def _check_api_version(spec: TargetSpec, asked: str, place: Place, problems: Problems) -> None:
    provider = (
        (spec.simulator or SimulatorSpec()).api if spec.provider == SIMULATOR else spec.provider
    )
    known: tuple[str, ...] = getattr(
        registry.load_plugin("providers", provider), "api_versions", ()
    )
    if not known:
        problems.add(
            place,
            f"the target `{spec.name}` has `api_version:`, but {provider} has only one; remove it",
        )
    elif not any(fnmatchcase(asked, pattern) for pattern in known):
        problems.add(
            place,
            f"the target `{spec.name}` has `api_version: {asked}`, which {provider} does not know; "
            f"{did_you_mean(asked, known)}",
        )


@cache
def _built_in_targets() -> Document:
    problems = Problems()
    document = parse_yaml(
        files("harness.suite.targets").joinpath("targets.yaml").read_text("utf-8"),
        "built-in targets",
        problems,
    )
    problems.raise_any()
    if document is None:
        raise AssertionError("the built-in targets cannot be read")
    return document
