"""Where replayed answers come from: the stored exchanges of a run, as the replay layer wants
them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.model import Target
from harness.runs.blobs import Blobs
from harness.runs.reader import Run
from harness.runs.records import ExchangeLine
from harness.transport.middleware.replay import StoredExchange, encode_stored


def exchanges_of_run(run: Run, targets: Mapping[str, Target]) -> Iterator[StoredExchange]:
    """The answers of an earlier run, its judges' too, of the targets that are still the
    same thing."""
    manifest = run.manifest
    then = {**manifest.helpers, **manifest.targets}
    same = {
        name: target
        for name, target in targets.items()
        if _is_same_target(then.get(name, {}), target)
    }
    for line in run.exchanges():
        if found := replayable_exchange(manifest.id, line, same, run.blobs):
            yield found


def _is_same_target(then: Mapping[str, Any], target: Target) -> bool:
    """Whether what was asked then spoke the same format at the same address."""
    return (then.get("provider"), then.get("address")) == (target.provider, target.address)


def replayable_exchange(
    run: str, line: ExchangeLine, targets: Mapping[str, Target], blobs: Blobs
) -> StoredExchange | None:
    """The exchange, to be answered from; None where it is no answer of these targets, or where an
    image of it is lost."""
    exchange = line.exchange
    if exchange.target not in targets or exchange.response.error is not None:
        return None
    whole = blobs.restore_images(exchange)
    return (
        None
        if whole is None
        else encode_stored(run, line.key, line.repeat, targets[exchange.target], whole)
    )
