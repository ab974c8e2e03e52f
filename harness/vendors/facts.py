"""The facts about one provider, and what its models can do; plain data.

A fact that is not known is None. The helpers at the end write a model's sampling parameters
concisely: `parameters(temperature=number(0, 2), seed=integer(field="random_seed"))`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

CHAT_ENDPOINTS = r"chat/completions|completions|responses|embeddings|models"

CREDENTIAL_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"}
)
"""Headers, in lower case, that prove who asks."""

_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)


def is_credential_header(name: str) -> bool:
    """Whether a header of that name probably proves who asks."""
    return _CREDENTIAL.search(name) is not None


ParameterType = Literal["number", "integer", "flag_or_count", "word", "strings"]


class Parameter(Struct, frozen=True):
    """The values that one sampling parameter may have: its type and, where it has any, its bounds.

    `min` and `max` are inclusive, `above` and `below` exclusive. `field` is its name on the wire
    (dotted: nested). `not_with` are parameters that the model refuses in combination with it;
    `blank`: strings may be whitespace only.
    """

    name: str
    type: ParameterType
    field: str
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    values: tuple[str, ...] = ()
    max_items: int | None = None
    not_with: tuple[str, ...] = ()
    blank: bool = True
    efforts: tuple[str, ...] = ()
    """The reasoning efforts with which the model takes it, beside none given; empty: all. Its
    neutral value, 1, it always takes."""


class ImageLimits(Struct, frozen=True):
    """Limits of images: media types (empty: all four), bytes of a file, pixels a side, images a
    request; None: no limit."""

    types: tuple[str, ...] = ()
    max_bytes: int | None = None
    max_side: int | None = None
    max_count: int | None = None


class Capabilities(Struct, frozen=True):
    """What the models that match a pattern can do. A parameter that is not listed is not supported.

    `api_versions` are patterns of the versions of the provider's API that this holds for; empty:
    all. Rare features are False by default (a plain prompt to complete, Workers AI's `guided_json`,
    batches), common ones True (JSON without a schema, system messages after the first turn).
    """

    models: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    source: str
    streaming: bool | None = None
    vision: bool | None = None
    tools: bool | None = None
    json_schema: bool | None = None
    context: int | None = None
    api_versions: tuple[str, ...] = ()
    images: ImageLimits | None = None
    prompt: bool = False
    guided_json: bool = False
    batch: bool = False
    json_object: bool = True
    late_system: bool = True
    max_output: int | None = None

    def matches(self, model: str, api_version: str | None = None) -> bool:
        """Whether this is about `model` in that version of the API."""
        return any(fnmatchcase(model, pattern) for pattern in self.models) and (
            not self.api_versions
            or any(fnmatchcase(api_version or "", pattern) for pattern in self.api_versions)
        )


class ProviderFacts(Struct, frozen=True, kw_only=True):
    """Everything that is stated about a built-in provider; its format is the code at
    `implementation`."""

    name: str
    summary: str
    """What it is, in a few words."""
    implementation: str = "harness.providers.openai.dialects:ChatVendor"
    """`module:class`, made with these facts when the provider is first used; by default, plain chat
    completions."""
    address: str | None = None
    """Base URL of a target that declares none; may hold `${VARIABLE}`. None: the target must
    declare one."""
    api_key_env: str | None = None
    """The environment variable of the API key, for a target that uses `address` and names no
    variable."""
    default_max_tokens: int | None = None
    """The service's silent default for an unset `max_tokens`; it is sent,
    so that it is on record."""
    api_versions: tuple[str, ...] = ()
    """Supported versions of the API, or patterns of them; empty: there is only one."""
    default_api_version: str | None = None
    price_vendor: str | None = None
    """Whose prices its models have; None: those under its own name."""
    hosts: tuple[str, ...] = ()
    """The vendor's hosts. Other servers speak its format too: only at a known host does a target
    have its vendor's prices.

    Empty: only the vendor speaks this format, so its prices hold at any address.
    """
    endpoints: str = CHAT_ENDPOINTS
    """A regular expression of the paths that an address pasted as `base_url` may end in, and that
    are not part of it. Its group `version` is the API version; its group `other`, the path of
    another API, which says nothing of where this one is. Empty: an address is used as it is."""
    sdk_path: str = ""
    """The path that the vendor's SDK adds to every base address without a version."""
    unversioned_hosts: tuple[str, ...] = ()
    """Other vendors' hosts that speak this format without a path of the version."""
    simulator_path: str | None = None
    """The path under which the simulator serves this format; None: it does not."""
    failures_are_free: bool = False
    """Whether the vendor states that a request which ended in a server error is not billed."""
    takes_functions: bool = False
    """Whether the format has Workers AI's deprecated `functions`."""
    notes: str = ""
    """What is particular about it, for the documentation."""
    models: tuple[Capabilities, ...] = ()
    """What its models can do; of several entries that match a model, the first counts."""


# ── Parameters ────────────────────────────────────────────────────────────────────────────

INT64 = (-(2**63), 2**63 - 1)
"""The range of a signed 64-bit integer, which many seeds have."""


def parameters(**given: Parameter) -> Mapping[str, Parameter]:
    """Sampling parameters by canonical name, each under that name on the wire unless it has a
    `field`."""
    return {
        name: replace(each, name=name, field=each.field or name) for name, each in given.items()
    }


def number(
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    field: str = "",
    not_with: tuple[str, ...] = (),
    efforts: tuple[str, ...] = (),
) -> Parameter:
    """A number within bounds."""
    return Parameter(
        "", "number", field, minimum, maximum, above, below, not_with=not_with, efforts=efforts
    )


def integer(
    minimum: int | None = None,
    maximum: int | None = None,
    *,
    field: str = "",
    not_with: tuple[str, ...] = (),
) -> Parameter:
    """A whole number from `minimum` to `maximum`."""
    return Parameter("", "integer", field, minimum, maximum, not_with=not_with)


def flag_or_count(
    minimum: int = 0,
    maximum: int | None = None,
    *,
    field: str = "",
    efforts: tuple[str, ...] = (),
) -> Parameter:
    """True, false, or a whole number from `minimum` to `maximum`."""
    return Parameter("", "flag_or_count", field, minimum, maximum, efforts=efforts)


def words(*values: str, field: str = "") -> Parameter:
    """One of `values`; any word where there are none."""
    return Parameter("", "word", field, values=values)


def strings(max_items: int | None = None, *, field: str = "", blank: bool = True) -> Parameter:
    """A string, or a list of at most `max_items`."""
    return Parameter("", "strings", field, max_items=max_items, blank=blank)
