"""Command-line overrides of a suite: which part of it is run, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field
from msgspec.structs import asdict

from harness.errors import UsageError
from harness.suite.model import Case

FILTER_KEYS = ("tag", "id", "prompt", "eval")
_FILTER = re.compile(r"\s*(\w+)\s*(!=|=)\s*(.+?)\s*")


class Overrides(Struct, frozen=True):
    """The command line's settings, which win over the suite's; None and empty leave the suite's.

    `limit` keeps the first so many (filtered) cases of each eval, `targets` only these targets,
    `filters` (`tag=money`, `tag!=hard`, `id=…`, `prompt=…`, `eval=…`) what passes all of them.
    `concurrency` applies to every target. `sampling` replaces the suite's parameters and removes
    them from the sweep. `budget` is in US dollars. `failed_of` is the run whose failed trials alone
    are asked.
    """

    limit: int | None = None
    targets: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    repeats: int | None = None
    concurrency: int | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    budget: Decimal | None = None
    failed_of: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data, which `from_json` reads back."""
        plain = asdict(self) | {
            "targets": list(self.targets),
            "filters": list(self.filters),
            "sampling": dict(self.sampling),
        }
        return plain | {"budget": None if self.budget is None else str(self.budget)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Overrides:
        """The overrides that `to_json` wrote."""
        budget = plain.get("budget")
        lists = {name: tuple(plain.get(name, ())) for name in ("targets", "filters")}
        return cls(**{**plain, **lists, "budget": None if budget is None else Decimal(str(budget))})


def sampling_overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`{"sampling.temperature": 0}` -> `{"temperature": 0}`. Raises UsageError for other keys."""
    for name in settings:
        if not name.startswith("sampling."):
            raise UsageError(
                f"cannot set {name!r}: write sampling.PARAMETER, such as sampling.temperature"
            )
    return {name.removeprefix("sampling."): value for name, value in settings.items()}


class Filter(NamedTuple):
    """One condition on cases, prompts or evals."""

    key: Literal["tag", "id", "prompt", "eval"]
    value: str
    negated: bool

    def allows(self, *values: str) -> bool:
        """Whether something with these values (several tags, one id) passes."""
        return (self.value in values) != self.negated


def parse_filter(text: str) -> Filter:
    """The filter in `tag=money` or `tag!=hard`. Raises ValueError."""
    match = _FILTER.fullmatch(text)
    if not match or match[1] not in FILTER_KEYS:
        keys = ", ".join(f"{key}=…" for key in FILTER_KEYS)
        raise ValueError(
            f"is not a filter: {text!r}; write one of {keys}, with `!=` for all others"
        )
    return Filter(match[1], match[3], match[2] == "!=")  # type: ignore[arg-type] # one of FILTER_KEYS


def matches_filters(filters: tuple[Filter, ...], case: Case) -> bool:
    """Whether the case passes the filters on tags and ids."""
    return all(
        each.allows(*(case.tags if each.key == "tag" else (case.id,)))
        for each in filters
        if each.key in ("tag", "id")
    )
