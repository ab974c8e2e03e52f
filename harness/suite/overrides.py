"""What the command line changes in a suite: which part of it is run, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from harness.suite.model import Case

FILTER_KEYS = ("tag", "id", "prompt", "eval")
_FILTER = re.compile(r"\s*(\w+)\s*(!=|=)\s*(.+?)\s*")


@dataclass(frozen=True, slots=True)
class Overrides:
    """The command line's word, which wins over the suite's. None and empty mean: as the suite says.

    `limit` keeps the first so many (filtered) cases of each eval, `targets` these targets, `filters` (`tag=money`, `tag!=hard`,
    `id=…`, `prompt=…`, `eval=…`) what all of them let through. `concurrency` is every target's. `sampling` replaces the suite's
    parameters and takes them out of the sweep. `budget` is US dollars.
    """

    limit: int | None = None
    targets: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    repeats: int | None = None
    concurrency: int | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    budget: Decimal | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data; `from_json` makes it the same again."""
        plain = asdict(self) | {"targets": list(self.targets), "filters": list(self.filters), "sampling": dict(self.sampling)}
        return plain | {"budget": None if self.budget is None else str(self.budget)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Overrides:
        """The overrides `to_json` made `plain` of."""
        budget = plain.get("budget")
        lists = {name: tuple(plain.get(name, ())) for name in ("targets", "filters")}
        return cls(**{**plain, **lists, "budget": None if budget is None else Decimal(str(budget))})


class Filter(NamedTuple):
    """One condition on what is run."""

    key: Literal["tag", "id", "prompt", "eval"]
    value: str
    negated: bool

    def allows(self, *values: str) -> bool:
        """Whether something with these values (several tags, one id) is let through."""
        return (self.value in values) != self.negated


def parse_filter(text: str) -> Filter:
    """The filter in `tag=money` or `tag!=hard`. Raises ValueError."""
    match = _FILTER.fullmatch(text)
    if not match or match[1] not in FILTER_KEYS:
        keys = ", ".join(f"{key}=…" for key in FILTER_KEYS)
        raise ValueError(f"is no filter: {text!r}; write one of {keys}, with `!=` for all others")
    return Filter(match[1], match[3], match[2] == "!=")  # type: ignore[arg-type] # one of FILTER_KEYS


def matches_filters(filters: tuple[Filter, ...], case: Case) -> bool:
    """Whether the filters on tags and ids let the case through."""
    return all(each.allows(*(case.tags if each.key == "tag" else (case.id,))) for each in filters if each.key in ("tag", "id"))
