"""Grades a transcript: the second half of a trial, or all of it when stored records are graded
again.

Of the first half it needs only the exchanges, the expected answer, and a function that drives the
flows of graders that send requests themselves (a judge). A grader sees an `Answer`: in a
conversation, the text, usage, latency and TTFT of the last answer, and the cost and tool calls of
all; each user turn, including the first, has its own answer for its graders.

The score is the weighted mean of the bools (1 or 0) and the numbers; labels and grades of weight 0
only report. A null grade of weight > 0 leaves the trial ungraded, with neither a score nor a pass,
so that an answer that could not be graded never counts as zero.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Mapping, Sequence
from math import fsum
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace

from harness.engine.structured_output import NO_STRUCTURED_OUTPUT
from harness.flows.base import TARGET, Flow
from harness.graders import Answer, Grader, build_graders
from harness.metrics import definitions
from harness.metrics.definitions import none_if_unknown
from harness.model import Error, Exchange, Grade, Record, Trial

TEXT_LIMIT = 4_000
"""Characters of one text that a record keeps of its variables: the request has it whole."""
DEPTH_LIMIT = 40
"""Levels of lists and objects that it keeps of them."""


class Transcript(NamedTuple):
    """What became of asking: the exchanges in order, and why there is no answer, if there
    is none."""

    exchanges: tuple[Exchange, ...]
    error: Error | None = None


class DriveGrader(Protocol):
    """Drives the flow of a grader that asks, at positions that begin with `prefix`; returns its
    grade and its exchanges."""

    def __call__(
        self, flow: Flow[Grade], prefix: str
    ) -> Awaitable[tuple[Grade, tuple[Exchange, ...]]]: ...


async def grade_transcript(
    trial: Trial, transcript: Transcript, graders: GraderSets, drive_grader: DriveGrader
) -> tuple[Grade, ...]:
    """The grade of every grader: those of earlier turns first, then those of the last answer. None
    without an answer."""
    if transcript.error is not None:
        return ()
    pairs: list[tuple[Grader, Answer | None]] = []
    if trial.turn_graders:
        turns = zip(
            trial.turn_graders, build_turn_answers(trial, transcript.exchanges), strict=True
        )
        pairs = [(grader, answer) for specs, answer in turns for grader in graders.get_built(specs)]
    if of_last := graders.get_built(trial.graders):
        last = build_answer(trial, transcript.exchanges)
        pairs += [(grader, last) for grader in of_last]
    grades = []
    for place, (grader, answer) in enumerate(pairs):
        graded = grader.unreached_grade() if answer is None else grader.grade(answer)
        if not isinstance(graded, Grade):
            grade, own = await drive_grader(graded, f"g{place}.")
            graded = replace(grade, exchanges=own) if own else grade
        grades.append(graded)
    return tuple(grades)


class GraderSets:
    """Builds each set of graders once: an eval's stays, a case's own goes when `CAPACITY` others
    came after it.

    A set is known by the identity of its specifications, which it keeps alive as long as it knows
    them.
    """

    CAPACITY = 256

    def __init__(self) -> None:
        self._built: OrderedDict[int, tuple[object, tuple[Grader, ...]]] = OrderedDict()

    def get_built(self, specs: tuple[Any, ...]) -> tuple[Grader, ...]:
        """The graders that a trial's specifications mean, ready to grade."""
        name = id(specs)
        if name not in self._built:
            self._built[name] = (specs, build_graders(specs))
            if len(self._built) > self.CAPACITY:
                self._built.popitem(last=False)
        self._built.move_to_end(name)
        return self._built[name][1]


def build_record(
    trial: Trial,
    session: str,
    transcript: Transcript,
    grades: tuple[Grade, ...],
    structured_output: tuple[Any, tuple[str, ...]] = NO_STRUCTURED_OUTPUT,
) -> Record:
    """What happened to `trial`, as it is written down."""
    exchanges = transcript.exchanges
    score, passed = score_grades(grades, trial.threshold)
    parsed, flags = structured_output
    if trial.conversation is not None:
        from harness.flows.conversation import conversation_flags  # noqa: PLC0415 - tens of milliseconds that few trials need

        flags += conversation_flags(exchanges)
    who = trial.identity
    return Record(
        key=trial.key,
        eval=who.eval,
        case=who.case,
        prompt=who.prompt,
        target=who.target,
        setting=who.setting,
        repeat=who.repeat,
        session=session,
        exchanges=exchanges,
        grades=grades,
        score=score,
        passed=passed,
        cost=definitions.total_dollars([each for each in exchanges if each.role == TARGET]),
        grading_cost=definitions.total_dollars(
            [each for grade in grades for each in grade.exchanges]
        ),
        error=transcript.error,
        tags=trial.tags,
        expected=trial.expected,
        flags=flags,
        parsed=parsed,
        vars=_cut_long_texts(trial.variables),
        row=trial.row,
    )


def _cut_long_texts(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values with each text in them cut at `TEXT_LIMIT` characters; the same object where all
    are short and plain."""
    for value in values.values():
        if isinstance(value, str):
            if len(value) > TEXT_LIMIT:
                break
        elif isinstance(value, dict | list | tuple):
            break
    else:
        return values
    return {name: _cut(value, DEPTH_LIMIT) for name, value in values.items()}


def _cut(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= TEXT_LIMIT else f"{value[:TEXT_LIMIT]}…"
    if not isinstance(value, dict | list | tuple):
        return value
    if not levels:
        return "…"
    if isinstance(value, dict):
        return {name: _cut(item, levels - 1) for name, item in value.items()}
    return [_cut(item, levels - 1) for item in value]


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────


def build_answer(trial: Trial, exchanges: Sequence[Exchange]) -> Answer:
    """The Answer to `trial`. Raises ValueError where the target was never asked."""
    asked = [exchange for exchange in exchanges if exchange.role == TARGET]
    if not asked:
        raise ValueError("there is no answer to grade: no request was sent to the target")
    last = asked[-1]
    response, messages = last.response, [each.response.message for each in asked]
    timing = definitions.Timing(response)
    return Answer(
        text=response.text,
        expected=trial.expected,
        variables=trial.variables,
        messages=last.request.messages,
        tool_calls=tuple(
            [call for message in messages if message is not None for call in message.tool_calls]
        ),
        finish_reason=response.finish_reason,
        usage=response.usage,
        latency=none_if_unknown(definitions.latency(timing)),
        ttft=none_if_unknown(definitions.time_to_first_token(timing)),
        cost=definitions.total_dollars(asked),
        failed_calls=sum(
            [message.failed for message in last.request.messages[len(asked[0].request.messages) :]]
        ),
        turns=len(asked),
    )


def build_turn_answers(trial: Trial, exchanges: Sequence[Exchange]) -> list[Answer | None]:
    """The Answer to the opening and to each turn written after it; None where the conversation
    ended before it."""
    turns = len(trial.conversation.turns) if trial.conversation else 0

    def turn_of(exchange: Exchange) -> int:
        return sum(message.role == "user" for message in exchange.request.messages)

    opening = sum(message.role == "user" for message in trial.request.messages)
    asked = [exchange for exchange in exchanges if exchange.role == TARGET]
    of_turn = [
        [each for each in asked if turn_of(each) - opening == turn] for turn in range(turns + 1)
    ]
    return [build_answer(trial, of_one) if of_one else None for of_one in of_turn]


# ── Scores ────────────────────────────────────────────────────────────────────────────────────────


def score_grades(
    grades: Sequence[Grade], threshold: float | None = None
) -> tuple[float | None, bool | None]:
    """(score in 0..1, passed), each None where there is none; `threshold` is the case's own, on the
    score."""
    deciding = [grade for grade in grades if grade.weight > 0]
    for grade in deciding:
        if grade.value is None:
            return None, None
    scored = [
        (float(grade.value), grade.weight)
        for grade in deciding
        if isinstance(grade.value, (float, int))
    ]
    score = scored[0][0] if scored else None
    if len(scored) > 1:
        values = [value for value, _ in scored]
        mean = fsum([value * weight for value, weight in scored]) / fsum(
            [weight for _, weight in scored]
        )
        # Rounding must not put the mean of three 0.7 at 0.6999999999999998, below a threshold that
        # each of them meets.
        score = min(max(mean, min(values)), max(values))
    if threshold is not None:
        return score, None if score is None else score >= threshold
    outcomes = [passed for grade in deciding if (passed := grade.passed) is not None]
    return score, all(outcomes) if outcomes else None
