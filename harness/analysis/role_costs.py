"""What judges and simulated users were asked, and what they cost: apart from every figure of the
targets under test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import fsum
from typing import Any, cast

import numpy as np

from harness.analysis.report_data import RoleUse, RunHeader
from harness.flows.base import TARGET


def role_uses(exchanges: Any, runs: Sequence[RunHeader]) -> tuple[RoleUse, ...]:
    """A row for each run, role and target that was asked, in the runs' order."""
    helping = exchanges[(exchanges["role"] != TARGET).to_numpy()]
    return tuple(
        use
        for run in runs
        for use in _role_uses_of_run(helping[(helping["run"] == run.id).to_numpy()], run)
    )


def _role_uses_of_run(exchanges: Any, run: RunHeader) -> Iterator[RoleUse]:
    groups = {
        cast("tuple[str, str]", key): rows
        for key, rows in exchanges.groupby(["role", "sent_to"], observed=True)
    }
    for (role, name), rows in sorted(groups.items(), key=lambda group: group[0]):
        facts = {**run.targets, **run.helpers}.get(name, {})
        new = rows[~rows["replayed"].to_numpy()]
        latency = new["latency"].to_numpy()
        yield RoleUse(
            run=run.id,
            role=role,
            name=name,
            model=str(facts.get("model", "")),
            simulated=bool(facts.get("simulated")),
            requests=len(new),
            replayed=len(rows) - len(new),
            errors=int(new["error_kind"].notna().sum()),
            latency=float(np.nanmedian(latency)) if np.isfinite(latency).any() else None,
            input_tokens=_sum_known(new["input_tokens"]),
            output_tokens=_sum_known(new["output_tokens"]),
            cost=_sum_known(new["cost"]),
            unpriced=int(new["cost"].isna().sum()),
        )


def _sum_known(column: Any) -> float | None:
    known = column.dropna().to_numpy()
    return fsum(known) if len(known) else None
