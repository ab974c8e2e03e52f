"""How many requests a plan may send besides the first one of each trial: to judges, to simulated
users, and to the targets themselves as conversations go on.

These are upper bounds: a conversation may end early, and a judge that cannot change the verdict is
not asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.model import Identity
from harness.plan import Plan, hash_identity
from harness.suite import Eval, Prompt
from harness.suite.model import CaseForm, count_turns
from harness.wording import pluralize

_TARGETS = "the targets (later turns and tool calls)"


def describe_further_requests(plan: Plan) -> Iterator[str]:
    """One line with the most requests of each kind; nothing where there are none."""
    counts: Counter[str] = Counter()
    for evaluation, prompt, form, trials in _asked_forms(plan):
        for asked, requests in _count_for_trial(evaluation, prompt, form).items():
            counts[asked] += requests * trials
    found = [(asked, count) for asked, count in counts.items() if count]
    if found:
        (first, count), *others = found
        listed = (f"up to {count:,} to {asked}" for asked, count in others)
        yield ", ".join((f"and up to {pluralize(count, 'request')} to {first}", *listed))


def _asked_forms(plan: Plan) -> Iterator[tuple[Eval, Prompt, CaseForm, int]]:
    """Yields what is asked in which eval, with the number of its trials."""
    suite = plan.suite
    for evaluation in suite.evals:
        if plan.only is None:
            each = len(plan.targets) * len(suite.settings) * suite.repeats
            for prompt, form, cases in evaluation.asked_forms():
                yield evaluation, prompt, form, cases * each
        else:
            yield from _selected_forms(plan, evaluation)


def _selected_forms(plan: Plan, evaluation: Eval) -> Iterator[tuple[Eval, Prompt, CaseForm, int]]:
    """The same of a plan in which only some trials are selected."""
    suite, only = plan.suite, plan.only or ()
    for case in evaluation.cases:
        for prompt in evaluation.prompts:
            trials = sum(
                hash_identity(
                    Identity(evaluation.name, case.id, prompt.id, target.name, setting, repeat)
                )
                in only
                for target in plan.targets
                for setting in suite.settings
                for repeat in range(suite.repeats)
            )
            if trials and case.is_asked_in(prompt.id):
                yield evaluation, prompt, case.form, trials


def _count_for_trial(evaluation: Eval, prompt: Prompt, form: CaseForm) -> Counter[str]:
    """The most requests of one trial to each, its first one apart."""
    turns = count_turns(prompt.later_turns) if form.turns is None else form.turns
    judges = form.judges
    if judges is None:
        judges = tuple(role.target for role in evaluation.roles)
    persona, toolset = evaluation.persona, evaluation.toolset
    messages = 0 if persona is None else persona.spec.max_turns
    answers = 1 + turns.messages + messages
    most = answers * (1 if toolset is None else toolset.conversation.max_turns)
    counts = Counter({_TARGETS: most - 1})
    counts.update(f"{target} (judge)" for target in (*judges, *turns.judges))
    if persona is not None:
        counts[f"{persona.role.target} (simulated user)"] += messages
    return counts
