"""Which images a target can see, and takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.errors import Problem, SuiteError
from harness.model import Target
from harness.providers import capabilities
from harness.suite import Eval, Suite
from harness.vendors.facts import Capabilities
from harness.wording import pluralize


def check_images(
    suite: Suite, targets: Sequence[Target], table: capabilities.CapabilityTable
) -> list[str]:
    """Raise SuiteError, all at once, for images that a target cannot see or does not take;
    sentences on what is not known."""
    problems: list[Problem] = []
    notes: list[str] = []
    for each in (
        each
        for each in suite.evals
        if each.image_inventory is not None and each.image_inventory.most is not None
    ):
        for target in targets:
            able = table.find(target.provider, target.model, target.api_version)
            if able is not None and able.vision is None:
                notes.append(
                    f"{target.name}: it is not known whether {target.model} accepts images; they"
                    " are sent"
                )
            problems += (
                _unsupported_images(each, target)
                if able is not None and able.vision is False
                else _oversized_images(each, target, able)
            )
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    return list(dict.fromkeys(notes))


def _unsupported_images(evaluation: Eval, target: Target) -> Iterator[Problem]:
    """Each prompt that shows images; where only cases do, in turns of their own, one of these."""
    blind = f"target {target.name!r}: {target.model} on {target.provider} does not accept images"
    showing = [prompt for prompt in evaluation.prompts if prompt.multimodal_turns]
    for prompt in showing:
        yield Problem(
            f"{blind}, but the prompt `{prompt.id}` contains some; remove the target or the images",
            *prompt.place,
        )
    if not showing and evaluation.image_inventory is not None:
        seen = next(iter(evaluation.image_inventory.widest.values()))
        yield Problem(
            f"{blind}, but the case `{seen.case}` contains one; remove the target or the image",
            *seen.place,
        )


def _oversized_images(
    evaluation: Eval, target: Target, able: Capabilities | None
) -> Iterator[Problem]:
    """What of an eval's images a target does not take: of each type the largest is named."""
    inventory = evaluation.image_inventory
    limits = able.images if able is not None else None
    if inventory is None or limits is None:
        return
    who = f"target {target.name!r}: {target.model} on {target.provider}"
    for seen in (*inventory.heaviest.values(), *inventory.widest.values()):
        if limits.types and seen.media_type not in limits.types:
            allowed = ", ".join(each.removeprefix("image/") for each in limits.types)
            yield Problem(
                f"{who} takes {allowed}, but the case `{seen.case}` has {seen.media_type};"
                " convert it",
                *seen.place,
            )
        if limits.max_bytes is not None and seen.size > limits.max_bytes:
            text = (
                f"images of at most {limits.max_bytes:,} bytes, but the case `{seen.case}` has"
                f" one of {seen.size:,}"
            )
            yield Problem(f"{who} takes {text}; make it smaller", *seen.place)
        if limits.max_side is not None and seen.side > limits.max_side:
            text = (
                f"images of at most {limits.max_side:,} pixels a side, but the case `{seen.case}`"
                f" has one of {seen.side:,}"
            )
            yield Problem(f"{who} takes {text}; make it smaller", *seen.place)
    if (
        limits.max_count is not None
        and inventory.most is not None
        and inventory.most[0] > limits.max_count
    ):
        count, case, place = inventory.most
        yield Problem(
            f"{who} takes {pluralize(limits.max_count, 'image')} a request, but the case `{case}`"
            f" has {count}",
            *place,
        )
