"""Tool calling: which functions the question needs, with which arguments, and which of them now.

The question is read clause by clause; a clause that mentions a function is an intent. A function
whose required argument is unknown is preceded by one that can supply it (backward chaining), so
that multi-step answers come about. What was called since the last user turn is not called again.
Wrong functions and arguments are candidates like right ones.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from harness.simulator.model.sampler import Candidate
from harness.simulator.model.skills import classification, results
from harness.simulator.model.skills.arguments import (
    ArgumentSources,
    fill_parameters,
    identifier_nouns,
    parameter_schemas,
    proper_names,
    quoted_texts,
    required_parameters,
)
from harness.simulator.model.skills.difficulty import answer_margin, competing_candidates
from harness.simulator.model.skills.lexicon import stems
from harness.simulator.model.skills.prompt_features import find_features
from harness.simulator.model.skills.results import Result
from harness.simulator.model.tokenizer import tokenize
from harness.simulator.model.types import Call, Function, Prompt

CallGenerator = Generator[Sequence[Candidate], str, tuple[Call, ...]]

EASE = -2.0
"""The penalty of an argument, negative: copying from the question is easy."""
NO_CALL = ""
NO_CALL_LOGIT = 0.6
SURENESS = 1.0
"""Added to the prompt's bonus: functions are described better than labels."""
MOST_CALLS = 8
CLAUSE = re.compile(r"(?<=[.!?;])\s+|[,;]? (?:and )?then |[,;]? and (?:also )?|, ")
LIST = re.compile(r"\s*(?:,\s*and|,|and|&|or)\s*", re.IGNORECASE)
EACH = re.compile(r"\b(?:each|every|all|both)\b", re.IGNORECASE)
LAST = re.compile(r"\b(?:last|latest|newest|most recent)\b", re.IGNORECASE)


class Intent(NamedTuple):
    """A function, and the text that mentions it."""

    function: Function
    text: str


def propose_calls(prompt: Prompt) -> CallGenerator | None:
    """The calls to make now, in order; empty where the question needs none (any more). None where
    none may be made."""
    if not prompt.functions or prompt.tool_choice == "none":
        return None
    return _plan_calls(prompt)


def _plan_calls(prompt: Prompt) -> CallGenerator:
    made = results.tool_results(prompt)
    intents = yield from _draw_intents(prompt)
    calls: list[Call] = []
    for function, text in _next_steps(prompt, intents, made):
        for arguments in (yield from _draw_arguments(prompt, function, text)):
            call = Call(function.name, tuple(tokenize(json.dumps(arguments, ensure_ascii=False))))
            if all(
                (call.name, call.arguments) != (each.name, each.arguments)
                for each in (*calls, *(one.call for one in made))
            ):
                calls.append(call)
    return tuple(calls[: MOST_CALLS if prompt.parallel else 1])


# Which functions to call


def _draw_intents(prompt: Prompt) -> Generator[Sequence[Candidate], str, list[Intent]]:
    """The function sampled for each clause that mentions one; for the whole question the one that
    must be called."""
    named = next((each for each in prompt.functions if each.name == prompt.tool_choice), None)
    if named:
        return [Intent(named, prompt.question)]
    intents: list[Intent] = []
    for text in split_clauses(prompt.question, prompt.functions):
        name = yield _function_candidates(prompt, text, optional=True)
        intents += [
            Intent(function, text) for function in prompt.functions if function.name == name
        ]
    if not intents and prompt.tool_choice == "required":
        name = yield _function_candidates(prompt, prompt.question, optional=False)
        intents = [
            Intent(function, prompt.question)
            for function in prompt.functions
            if function.name == name
        ]
    return intents


def split_clauses(question: str, functions: Sequence[Function]) -> list[str]:
    """The parts of a question that each mention a function; a part that mentions none belongs to
    the one before it."""
    parts: list[tuple[int, int]] = []
    start = 0
    for end, after in [
        *(match.span() for match in CLAUSE.finditer(question)),
        (len(question), len(question)),
    ]:
        speaks = any(_name_stems(function) & stems(question[start:end]) for function in functions)
        if parts and (not speaks or not _mentions_function(question[slice(*parts[-1])], functions)):
            parts[-1] = (parts[-1][0], end)
        elif speaks or not parts:
            parts.append((start, end))
        start = after
    spoken = [question[begin:end] for begin, end in parts]
    return [text for text in spoken if _mentions_function(text, functions)]


def _mentions_function(text: str, functions: Sequence[Function]) -> bool:
    return any(_function_stems(function) & stems(text) for function in functions)


def _name_stems(function: Function) -> set[str]:
    return stems(_split_identifier(function.name))


def _function_stems(function: Function) -> set[str]:
    return stems(_describe_function(function)) | _name_stems(function)


def _function_candidates(prompt: Prompt, text: str, *, optional: bool) -> list[Candidate]:
    """The functions by the words they share with the text, and the candidate not to call any."""
    by_label = {_split_identifier(function.name): function for function in prompt.functions}
    offered = [(label, _describe_function(function)) for label, function in by_label.items()]
    judged = [
        Candidate(by_label[each.text].name, each.logit)
        for each in classification.label_candidates(
            text, offered, prompt.model, SURENESS + find_features(prompt).bonus
        )
    ]
    return [*judged, Candidate(NO_CALL, NO_CALL_LOGIT)] if optional else judged


def _split_identifier(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_.-]", " ", name).lower()


def _describe_function(function: Function) -> str:
    """The function's description with the names and choices of its parameters."""
    words = [function.description]
    for name, schema in parameter_schemas(function).items():
        words += [_split_identifier(name), *(str(option) for option in schema.get("enum") or ())]
    return " ".join(words)


# Which of them to call now


def _next_steps(
    prompt: Prompt, intents: Sequence[Intent], made: Sequence[Result]
) -> Iterator[Intent]:
    """The open intents, each replaced by what has to be called before it."""
    called = Counter(each.call.name for each in made)
    wanted = Counter[str]()
    for intent in intents:
        wanted[intent.function.name] += _count_calls(prompt, intent)
    planned: set[str] = set()
    for intent in intents:
        if called[intent.function.name] >= wanted[intent.function.name]:
            continue
        step = _resolve_intent(prompt, intent, frozenset(called), made, depth=0)
        if step is not None and (step is intent or step.function.name not in planned):
            planned.add(step.function.name)
            yield step


def _count_calls(prompt: Prompt, intent: Intent) -> int:
    """The number of calls that the intent comes to."""
    found, _ = fill_parameters(intent.function, _argument_sources(prompt, intent.text))
    return len(list(_split_by_call(intent.function, found, intent.text)))


def _resolve_intent(
    prompt: Prompt, intent: Intent, called: frozenset[str], made: Sequence[Result], depth: int
) -> Intent | None:
    """The intent if it can be called now, else a function that supplies what it lacks; None where
    there is none.

    Where nothing has been called yet, it is called all the same, without what it lacks: models do
    that.
    """
    _, missing = fill_parameters(intent.function, _argument_sources(prompt, intent.text))
    if not missing:
        return intent
    for function in _supplying_functions(prompt, intent.function, missing, prompt.question):
        if function.name not in called and depth < len(prompt.functions):
            step = _resolve_intent(
                prompt,
                Intent(function, prompt.question),
                called | {intent.function.name},
                made,
                depth + 1,
            )
            if (
                step is not None
                and not fill_parameters(step.function, _argument_sources(prompt, step.text))[1]
            ):
                return step
    return intent if not made and depth == 0 else None


def _supplying_functions(
    prompt: Prompt, function: Function, missing: Sequence[str], question: str
) -> list[Function]:
    """The functions that could supply the missing arguments, the likeliest first."""
    schemas = parameter_schemas(function)
    wanted = stems(
        " ".join(
            f"{_split_identifier(name)} {schemas.get(name, {}).get('description', '')}"
            for name in missing
        )
    )
    asked = stems(question)
    scored = [
        (
            2 * len(wanted & _name_stems(each))
            + len(wanted & stems(each.description))
            + 0.1 * len(asked & _function_stems(each)),
            each,
        )
        for each in prompt.functions
        if each is not function
    ]
    return [each for score, each in sorted(scored, key=lambda pair: -pair[0]) if score > 0]


# With which arguments


def _argument_sources(prompt: Prompt, text: str) -> ArgumentSources:
    returned = [
        fact
        for each in reversed(results.tool_results(prompt, last_user=False))
        for fact in each.facts
    ]
    return ArgumentSources(text, returned, identifier_nouns(prompt.functions))


def _draw_arguments(
    prompt: Prompt, function: Function, text: str
) -> Generator[Sequence[Candidate], str, list[dict[str, Any]]]:
    """The arguments of each call of the function that the text asks for, sampled value by value."""
    found, missing = fill_parameters(function, _argument_sources(prompt, text))
    if missing:
        found |= fill_parameters(function, _argument_sources(prompt, prompt.question))[0]
    sets = []
    for values in _split_by_call(function, found, text):
        drawn: dict[str, Any] = {}
        for name, options in values.items():
            right, *others = [json.dumps(option, ensure_ascii=False) for option in options]
            logit = answer_margin(prompt, f"{function.name}.{name}\n{text}", penalty=EASE)
            drawn[name] = json.loads(
                (
                    yield competing_candidates(
                        right, logit, [*others[:2], *_likely_mistakes(options[0])]
                    )
                )
            )
        sets.append(drawn)
    return sets


def _split_by_call(
    function: Function, found: Mapping[str, list[Any]], text: str
) -> Iterator[dict[str, list[Any]]]:
    """The arguments once, or once for each item of a list (`in Oslo and Rome`, `of each order`)."""
    main = next(
        (
            name
            for name in required_parameters(function)
            if name in found and isinstance(found[name][0], str)
        ),
        None,
    )
    if main is None:
        yield dict(found)
        return
    values = found[main]
    if len(values) > 1 and EACH.search(text) and not _listed_values(values, text):
        several = [value for value in dict.fromkeys(values) if value not in text]
    else:
        several = _listed_values(values, text)
    if not several:
        several = [
            values[-1]
            if len(values) > 1 and LAST.search(text) and values[-1] not in text
            else values[0]
        ]
    for value in several:
        yield {**found, main: [value, *(other for other in values if other != value)]}


def _listed_values(values: Sequence[str], text: str) -> list[str]:
    """The values that the text lists, in its order; empty where it lists none."""
    places = sorted(
        (text.find(value), value)
        for value in {*values, *quoted_texts(text), *proper_names(text)}
        if value in text
    )
    run: list[str] = []
    end = -1
    for place, value in places:
        if run and not LIST.fullmatch(text[end:place].strip("\"'“” ")):
            if len(run) > 1:
                break
            run = []
        run.append(value)
        end = place + len(value)
    return run if len(run) > 1 and values[0] in run else []


def _likely_mistakes(value: Any) -> list[str]:
    """Likely mistakes in copying a value."""
    if isinstance(value, bool):
        return [json.dumps(not value)]
    if isinstance(value, int | float):
        return [json.dumps(value + 1)]
    words = value.split() if isinstance(value, str) else []
    return [json.dumps(" ".join(words[:-1]), ensure_ascii=False)] if len(words) > 1 else []
