"""How fast each target was asked and answered: wall time, requests per second, waiting, and what
slowed it down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.analysis.report_data import TargetPace
from harness.model import Manifest, TargetTraffic


def target_paces(exchanges: Any, manifests: Sequence[Manifest]) -> tuple[TargetPace, ...]:
    """A row for each target that a run asked, in the runs' order; none for sessions that died."""
    names, runs = exchanges["sent_to"].to_numpy(), exchanges["run"].to_numpy()
    return tuple(
        _build_pace(manifest.id, name, traffic, exchanges[(runs == manifest.id) & (names == name)])
        for manifest in manifests
        for name, traffic in _traffic_of_run(manifest).items()
    )


def _traffic_of_run(manifest: Manifest) -> dict[str, TargetTraffic]:
    """What all sessions together sent to each target."""
    found: dict[str, list[TargetTraffic]] = {}
    for session in manifest.sessions:
        for name, traffic in session.traffic.items():
            found.setdefault(name, []).append(traffic)
    return {name: _add_traffic(parts) for name, parts in found.items()}


def _add_traffic(parts: Sequence[TargetTraffic]) -> TargetTraffic:
    refusals: Counter[str] = Counter()
    for part in parts:
        refusals.update(part.refusals)
    return TargetTraffic(
        seconds=sum(part.seconds for part in parts),
        attempts=sum(part.attempts for part in parts),
        refusals=dict(refusals),
        slowed=sum(part.slowed for part in parts),
        in_flight=max(part.in_flight for part in parts),
    )


def _build_pace(run: str, name: str, traffic: TargetTraffic, exchanges: Any) -> TargetPace:
    taken = traffic.attempts - sum(traffic.refusals.values())
    queue, response = exchanges["queue"].to_numpy(), exchanges["response_time"].to_numpy()
    return TargetPace(
        run=run,
        target=name,
        requests=taken,
        wall_time=traffic.seconds,
        requests_per_s=taken / traffic.seconds if traffic.seconds else None,
        queue_p50=_quantile(queue, 0.5),
        queue_p95=_quantile(queue, 0.95),
        response_time_p50=_quantile(response, 0.5),
        response_time_p95=_quantile(response, 0.95),
        attempts=traffic.attempts,
        refusals=traffic.refusals,
        slowed=traffic.slowed,
    )


def _quantile(values: Any, share: float) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, share)) if len(known) else None
