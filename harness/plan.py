"""The plan, from a suite to trials: what is asked of whom, in which order, each with a key; lazy,
so a million take no memory.

The unit of the order is a *block*: one case of one eval at one repeat. Blocks are visited in a
pseudo-random order that is a function of (seed, index), and within a block every configuration
(prompt × setting) follows in an order of its own, so that drift of the service hits all settings of
a case alike. Each target has its own cursor over the same blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate
from math import isqrt
from typing import Any, NamedTuple

import msgspec
import orjson
from msgspec import Struct, field
from msgspec.structs import replace

from harness.config.templates import Verbatim
from harness.errors import UsageError
from harness.hashing import canonical_json, hash64, key_bytes
from harness.model import Conversation, Identity, Message, Record, Request, Target, Trial
from harness.model.images import without_image_data
from harness.suite import Case, Eval, GraderSpec, Prompt, Suite
from harness.suite.tools import Toolset, build_conversation, conversation_identity, later_turns
from harness.wording import pluralize

SeedRange = tuple[int, int]

_VERBATIM = "\0verbatim"


class _RenderedPrompt(NamedTuple):
    """What a case asks in one prompt, whatever the setting; `content` and `further` are its bytes
    for keys."""

    messages: tuple[Message, ...]
    text: str | None
    content: bytes
    conversation: Conversation | None = None
    further: bytes = b""
    turn_graders: tuple[tuple[GraderSpec, ...], ...] = ()


class _TargetPlan(NamedTuple):
    """What all trials of a target have in common; `key_bytes` is what of it is in their keys."""

    target: Target
    key_bytes: bytes
    sampling: Mapping[str, Any]
    stream: bool


class Plan(Struct, frozen=True, dict=True):  # `dict`: for cached properties
    """All trials of a run.

    `dropped` names, per target, the sampling parameters it cannot take and the suite agreed to
    leave out. `seed_ranges` holds, per target, the smallest and largest seed it accepts, where one
    is known. `only` are the hashes of the identities that are asked; None is all.
    """

    suite: Suite
    targets: tuple[Target, ...]
    dropped: Mapping[str, Collection[str]] = field(default_factory=dict)
    seed_ranges: Mapping[str, SeedRange] = field(default_factory=dict)
    only: Collection[int] | None = None

    def __len__(self) -> int:
        return sum(self.counts.values())

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many trials each target gets, by its name."""
        if self.only is None:
            return {target.name: self._per_target for target in self.targets}
        return {target.name: sum(1 for _ in self.trials(target)) for target in self.targets}

    @property
    def _per_target(self) -> int:
        """How many trials each target gets where all are asked."""
        return sum(
            each.asked * len(self.suite.settings) * self.suite.repeats for each in self.suite.evals
        )

    @property
    def arithmetic(self) -> str:
        """The count as a person reads it: `2 prompts × 1 target × 120 cases × 2 settings × 1 repeat
        = 480 requests`."""
        return (
            " + ".join(self._count_product(each) for each in self.suite.evals) + self._count_total()
        )

    def _count_product(self, each: Eval) -> str:
        prompts, cases = pluralize(len(each.prompts), "prompt"), pluralize(len(each.cases), "case")
        factors = [
            prompts,
            pluralize(len(self.targets), "target"),
            cases,
            pluralize(len(self.suite.settings), "setting"),
        ]
        if self.suite.repeats > 1:
            factors.append(pluralize(self.suite.repeats, "repeat"))
        if each.limited:  # some cases are asked in some prompts only
            factors = [f"{each.asked:,} of ({prompts} × {cases})", factors[1], *factors[3:]]
        product = " × ".join(factors)
        return product if len(self.suite.evals) == 1 else f"({each.name}: {product})"

    def _count_total(self) -> str:
        total = self._per_target * len(self.targets)
        left_out = total // len(self.suite.settings) * self.suite.excluded
        excluded = f", {left_out:,} excluded" if left_out else ""
        selected = "" if self.only is None else f", {len(self):,} selected"
        return f" = {pluralize(total, 'request')}{excluded}{selected}"

    def trials(self, target: Target) -> Iterator[Trial]:
        """Every trial of `target`, in the run's order. Raises SuiteError where a template cannot be
        rendered."""
        suite = self.suite
        ends = list(
            accumulate(len(each.cases) * suite.repeats for each in suite.evals)
        )  # where each eval's blocks end
        shared = _TargetPlan(
            target,
            _target_bytes(target),
            suite.merge_sampling(target.sampling, None, {}),
            suite.run.streams and target.streams,
        )
        for index in range(ends[-1]):
            block = permute_index(index, ends[-1], suite.run.seed)
            place = bisect_right(ends, block)
            evaluation, first = suite.evals[place], ends[place - 1] if place else 0
            repeat, case = divmod(block - first, (ends[place] - first) // suite.repeats)
            yield from self._block_trials(shared, block, evaluation, evaluation.cases[case], repeat)

    def _block_trials(
        self, shared: _TargetPlan, block: int, evaluation: Eval, case: Case, repeat: int
    ) -> Iterator[Trial]:
        """The trials of one case at one repeat: every prompt at every setting, in the block's own
        order."""
        asked: dict[str, _RenderedPrompt] = {}
        graders = evaluation.graders if case.graders is None else case.graders
        target, tools = shared.target, evaluation.toolset
        settings, seed = self.suite.settings, self.suite.run.seed + block
        prompts = evaluation.prompts
        if case.prompts is not None:
            prompts = tuple(each for each in prompts if case.is_asked_in(each.id))
        count = len(prompts) * len(settings)
        for position in range(count):
            prompt_index, setting_index = divmod(
                permute_index(position, count, seed), len(settings)
            )
            prompt, setting = prompts[prompt_index], settings[setting_index]
            who = Identity(evaluation.name, case.id, prompt.id, target.name, setting, repeat)
            if self.only is not None and hash_identity(who) not in self.only:
                continue
            ask = asked.get(prompt.id)
            if ask is None:
                ask = asked[prompt.id] = _render_prompt(evaluation, prompt, case)
            sampling = {**shared.sampling, **(case.sampling or {}), **setting}
            for name in self.dropped.get(target.name, ()):
                sampling.pop(name, None)
            if "seed" in sampling:
                sampling["seed"] = repeat_seed(
                    sampling["seed"], repeat, self.seed_ranges.get(target.name)
                )
            request = Request(
                ask.messages,
                sampling,
                shared.stream,
                response_format=evaluation.response_format,
                prompt=ask.text,
                raw=prompt.raw,
            )
            if tools is not None:
                request = replace(
                    request,
                    tools=tools.tools,
                    tool_choice=tools.choice,
                    parallel_tool_calls=tools.parallel,
                )
            yield Trial(
                identity=who,
                key=_trial_key(shared.key_bytes, who, ask.content, request, ask.further),
                request=request,
                expected=case.expected,
                variables=case.vars,
                tags=case.tags,
                threshold=case.threshold,
                graders=graders,
                conversation=ask.conversation,
                turn_graders=ask.turn_graders,
                row=case.row,
            )


def repeat_seed(seed: int | Mapping[str, int], repeat: int, limits: SeedRange | None) -> int:
    """The seed repeat `repeat` sends: `seed + repeat`, wrapped inside the target's range; a `fixed`
    seed as it is."""
    if isinstance(seed, Mapping):
        return seed["fixed"]
    if limits is None:
        return seed + repeat
    low, high = limits
    return low + (seed + repeat - low) % (high - low + 1)


def permute_index(index: int, size: int, seed: int) -> int:
    """Where `index` goes in a pseudo-random permutation of range(size) that needs no memory.

    A four-round Feistel network on the row and the column of a place in a nearly square table,
    walked until it lands inside the range (Black and Rogaway, "Ciphers with arbitrary finite
    domains", CT-RSA 2002: the generalised Feistel cipher). The table has hardly more places than
    the range, so it seldom walks.
    """
    if size == 1:
        return 0
    columns = isqrt(size - 1) + 1
    rows = -(-size // columns)
    while True:
        row, column = divmod(index, columns)
        for turn in (0, 2):
            row = (row + _mix_bits(column, seed, turn)) % rows
            column = (column + _mix_bits(row, seed, turn + 1)) % columns
        index = row * columns + column
        if index < size:
            return index


def _mix_bits(value: int, seed: int, turn: int) -> int:
    """SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) over the value, the seed and the
    round."""
    mixed = (value + (seed * 4 + turn + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return mixed ^ (mixed >> 31)


def hash_identity(who: Identity | Record) -> int:
    """A 64-bit hash of a trial's identity, whatever is sent."""
    return hash64(
        canonical_json([who.eval, who.case, who.prompt, who.target, who.setting, who.repeat])
    )


def check_identities(suite: Suite, targets: Sequence[Target]) -> None:
    """Raise UsageError where an axis names one thing twice: two trials would have one identity."""
    axes: list[tuple[str, list[Any], Callable[[Any], str]]] = [
        ("evals", [each.name for each in suite.evals], str),
        ("targets", [each.name for each in targets], str),
        ("settings", list(suite.settings), _setting_text),
        *(
            (f"prompts of {each.name}", [prompt.id for prompt in each.prompts], str)
            for each in suite.evals
        ),
    ]
    for axis, values, name in axes:
        named = [name(value) for value in values]
        twice = sorted({value for value in named if named.count(value) > 1})
        if twice:
            raise UsageError(
                f"{suite.path}: the {axis} name {', '.join(twice)} more than once; give each its"
                " own name"
            )


def encode_trial(trial: Trial) -> bytes:
    """`trial` as JSON, for another process."""
    graders = {"graders": trial.graders, "turn_graders": trial.turn_graders}
    fields = msgspec.to_builtins(replace(trial, graders=(), turn_graders=())) | graders
    return orjson.dumps(fields, default=_encode_unknown, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def decode_trial(data: bytes) -> Trial:
    """The trial that `encode_trial` wrote. Raises ValueError where it is none."""
    fields = orjson.loads(data)
    graders, *turns = [
        _decode_specs(each) for each in (fields.pop("graders"), *fields.pop("turn_graders"))
    ]
    return replace(msgspec.convert(fields, Trial), graders=graders, turn_graders=tuple(turns))


def _decode_specs(graders: list[Any]) -> tuple[GraderSpec, ...]:
    return tuple(GraderSpec.model_validate(_decode_verbatim(spec)) for spec in graders)


def _encode_unknown(value: Any) -> Any:
    if isinstance(
        value, Verbatim
    ):  # text from a file that must not become a template on the other side
        return {_VERBATIM: dict(value)}
    if isinstance(value, GraderSpec):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _decode_verbatim(value: Any) -> Any:
    """What `_encode_unknown` marked, made what it was."""
    if isinstance(value, dict):
        return (
            Verbatim(value[_VERBATIM])
            if _VERBATIM in value
            else {key: _decode_verbatim(item) for key, item in value.items()}
        )
    return [_decode_verbatim(item) for item in value] if isinstance(value, list) else value


def _setting_text(setting: Mapping[str, Any]) -> str:
    return canonical_json(setting).decode()


def _render_prompt(evaluation: Eval, prompt: Prompt, case: Case) -> _RenderedPrompt:
    messages, text = prompt.render(case.vars, case.folder), None
    if prompt.text is not None:
        text = prompt.render_text(case.vars)
        content = key_bytes((text, prompt.raw))
    else:
        # A list only where there are images: the bytes of a message with lone surrogates show it.
        bare = (
            [without_image_data(message) for message in messages]
            if prompt.multimodal_turns
            else messages
        )
        content = key_bytes(bare)
    tools, persona = evaluation.toolset, evaluation.persona
    if tools is None and persona is None and case.later_turns is None and not prompt.later_turns:
        return _RenderedPrompt(messages, text, content)
    user = None if persona is None else persona.build_user(case.vars)
    conversation = build_conversation(tools, prompt, case, user)
    further = b"" if conversation is None else _conversation_bytes(tools, conversation, case)
    return _RenderedPrompt(
        messages, text, content, conversation, further, _turn_graders(prompt, case)
    )


def _conversation_bytes(tools: Toolset | None, conversation: Conversation, case: Case) -> bytes:
    sent = () if tools is None else (tools.tools, tools.choice, tools.parallel)
    return key_bytes((sent, conversation_identity(tools, conversation, case.vars)))


def _turn_graders(prompt: Prompt, case: Case) -> tuple[tuple[GraderSpec, ...], ...]:
    """The set of each answer's graders, the first one's too; none at all where no turn has any."""
    later = later_turns(prompt, case)
    first = () if later and later[0].text is None else ((),)
    graders = (*first, *(turn.graders for turn in later))
    return graders if any(graders) else ()


def _trial_key(
    target: bytes, who: Identity, content: bytes, request: Request, further: bytes
) -> str:
    """Hash of the identity and of what will be sent, `further` on in the conversation too."""
    digest = blake2b(content, digest_size=16)
    digest.update(further)
    digest.update(target)
    digest.update(key_bytes((who, request.sampling, request.stream, request.response_format)))
    return digest.hexdigest()


def _target_bytes(target: Target) -> bytes:
    asked = (target.provider, target.model, target.address, target.api_version, target.extra_body)
    return key_bytes(asked if target.service is None else (*asked, target.service))
