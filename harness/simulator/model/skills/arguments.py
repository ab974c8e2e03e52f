"""Arguments of function calls: fills parameters from the question and from what earlier calls
returned.

A parameter's type, enum, name and description say what kind of value is wanted; a word before a
value ("from Oslo to Bergen", "3 nights") decides between several of a kind. What the question does
not contain is looked up by name in earlier results; a required value that is nowhere makes the call
impossible for now.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.simulator.model.skills import arithmetic, entities
from harness.simulator.model.skills.extraction import json_type
from harness.simulator.model.skills.lexicon import STOP, stems
from harness.simulator.model.skills.results import Fact
from harness.simulator.model.skills.word_problems import WORD, WORDS
from harness.simulator.model.types import Function

Schema = Mapping[str, Any]

QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|(?<!\w)'([^'\n]{1,200})'(?!\w)")
PROPER = re.compile(r"(?<![\w'])[A-ZÀ-Þ][\w'&-]*(?: (?:of |de |the )?[A-ZÀ-Þ][\w'&-]*)*")
CODE = re.compile(
    r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z-])[A-Za-z\d]+(?:-[A-Za-z\d]+)*(?![\w-])|(?<![\w.-])#?\d{4,}(?![\w.-])"
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
CODES = frozenset(entities.SYMBOLS.values()) | frozenset(entities.SPOKEN.values())
CURRENCY = re.compile(r"\b[A-Z]{3}\b")
OPENING_VERBS = (
    "add book calculate cancel change check compare compute convert create delete find give how is"
    " list look move multiply order pay place please remind schedule search send set show subtract"
    " tell translate turn update what when where which who write"
)
OPENERS = STOP | frozenset(OPENING_VERBS.split())
CUES: tuple[tuple[str, str], ...] = (
    (r"from|origin|source|start|depart|\bbase", r"from|of|between"),
    (r"\bto\b|_to$|^to_|dest|target|end|arriv", r"to|into|in|and"),
)
PHRASE = re.compile(
    r"\b(?:of|for|about|named|called) (?:the |an? )?([a-z][\w -]+?)"
    r"(?=[?.!,;]|$| (?:to|in|from|and|with|at|on|is|are|was|were)\b)"
)
FREE_TEXT = re.compile(
    r"query|text|message|body|note|subject|title|question|content|reason|task|comment",
    re.IGNORECASE,
)
IDENTIFIER = re.compile(r"(?:^|_)(?:id|ids|code|sku|number|no|reference|ref)$|Id$", re.IGNORECASE)


@dataclass
class ArgumentSources:
    """Where arguments come from: the text of one intent, and what calls returned, the latest first.

    `nouns` are the words in front of identifiers in any function's parameters (`order` of
    `order_id`). `used` are the values this call has taken already.
    """

    text: str
    results: Sequence[Fact]
    nouns: frozenset[str]
    used: list[str] = field(default_factory=list)


def identifier_nouns(functions: Sequence[Function]) -> frozenset[str]:
    """The words in front of identifiers in all the functions' parameters."""
    names = [name for function in functions for name in parameter_schemas(function)]
    return frozenset(
        stem for name in names if IDENTIFIER.search(name) for stem in stems(name.replace("_", " "))
    )


def parameter_schemas(function: Function) -> dict[str, Schema]:
    """The function's parameters with their schemas."""
    found = function.parameters.get("properties")
    return (
        {name: each if isinstance(each, dict) else {} for name, each in found.items()}
        if isinstance(found, dict)
        else {}
    )


def required_parameters(function: Function) -> list[str]:
    """The names of the required parameters."""
    named = function.parameters.get("required")
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def fill_parameters(
    function: Function, sources: ArgumentSources
) -> tuple[dict[str, list[Any]], list[str]]:
    """The possible values of each parameter that can be given, best first; and the required ones
    that cannot."""
    found: dict[str, list[Any]] = {}
    missing: list[str] = []
    must = required_parameters(function)
    for name, schema in sorted(
        parameter_schemas(function).items(),
        key=lambda item: (item[0] not in must, not _preposition_pattern(item[0])),
    ):
        values = candidate_values(name, schema, sources, optional=name not in must)
        if values:
            found[name] = values
            sources.used.append(str(values[0]))
        elif name in must:
            missing.append(name)
    return {name: found[name] for name in parameter_schemas(function) if name in found}, missing


def candidate_values(
    name: str, schema: Schema, sources: ArgumentSources, *, optional: bool
) -> list[Any]:
    """The possible values of a parameter, best first; of an optional one only where the question
    mentions it."""
    if "const" in schema:
        return [schema["const"]]
    if isinstance(schema.get("enum"), list):
        return _enum_values(schema["enum"], sources, optional)
    kind = json_type(schema)
    if kind == "boolean":
        mentioned = stems(f"{_split_name(name)} {schema.get('description', '')}") & stems(
            sources.text
        )
        return [True, False] if mentioned else [] if optional else [False, True]
    if kind in ("number", "integer"):
        return _number_values(name, schema, kind, sources, optional)
    if kind == "array":
        items = schema.get("items")
        values = candidate_values(
            name, items if isinstance(items, dict) else {}, sources, optional=optional
        )
        return [values] if values else []
    if kind == "object":
        return []
    return _string_values(name, schema, sources, optional)


def _enum_values(options: Sequence[Any], sources: ArgumentSources, optional: bool) -> list[Any]:
    text = sources.text.lower()
    named = [
        option for option in options if re.search(rf"(?<!\w){re.escape(str(option).lower())}", text)
    ]
    codes = [
        code
        for code in entities.find_currencies(sources.text)
        if code in options and code not in named
    ]
    akin = [
        option
        for option in options
        if stems(str(option)) & stems(sources.text) and option not in named
    ]
    fresh = [option for option in (*named, *codes, *akin) if str(option) not in sources.used]
    rest = [] if optional and not fresh else [option for option in options if option not in fresh]
    return [*fresh, *rest]


def _number_values(
    name: str, schema: Schema, kind: str, sources: ArgumentSources, optional: bool
) -> list[Any]:
    text = WORD.sub(lambda match: WORDS[match[0].lower()], CODE.sub(" ", sources.text))
    for day in entities.DATES:
        text = day.sub(" ", text)
    found = [
        each
        for each in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])", text.replace(",", ""))
        if each not in sources.used
    ]
    named = [each for each in found if _is_labelled_number(each, name, text)]
    if optional:
        found = []
    ordered = [
        *dict.fromkeys(
            [*named, *found, *([] if optional else _returned_numbers(name, schema, sources))]
        )
    ]
    return [int(float(each)) if kind == "integer" else json.loads(each) for each in ordered]


def _is_labelled_number(number: str, name: str, text: str) -> bool:
    """Whether a word next to the number names the parameter: `3 nights`, `limit of 5`."""
    around = re.search(
        rf"([\w-]+)?(?: of| to| is|:)? ?(?<![\d.]){re.escape(number)}(?![\d.])[ -]?([A-Za-z]+)?",
        text,
    )
    return bool(around and stems(_split_name(name)) & stems(f"{around[1] or ''} {around[2] or ''}"))


def _returned_numbers(name: str, schema: Schema, sources: ArgumentSources) -> list[str]:
    numeric = [
        fact
        for fact in sources.results
        if NUMBER.fullmatch(fact.value) and fact.value not in sources.used
    ]
    wanted = stems(f"{_split_name(name)} {schema.get('description', '')}")
    return [
        fact.value
        for fact in sorted(numeric, key=lambda fact: -len(wanted & stems(_split_name(fact.name))))
    ]


def _string_values(
    name: str, schema: Schema, sources: ArgumentSources, optional: bool
) -> list[Any]:
    hint = f"{name} {schema.get('title', '')}"
    for pattern, finder in KINDS:
        if re.search(pattern, hint, re.IGNORECASE) or schema.get("format") == pattern:
            found = finder(sources.text)
            break
    else:
        if FREE_TEXT.search(name):
            return (
                []
                if optional
                else [*quoted_texts(sources.text), sources.text.strip().rstrip("?.!")]
            )
        found = (
            _find_identifiers(name, sources)
            if IDENTIFIER.search(name)
            else [*quoted_texts(sources.text), *proper_names(sources.text)]
        )
    fresh = [
        each
        for each in dict.fromkeys(found)
        if each not in sources.used and not _belongs_elsewhere(each, name, sources.text)
    ]
    cued = [each for each in fresh if _is_introduced(each, name, sources.text)]
    if optional:
        return cued
    phrases = (
        []
        if IDENTIFIER.search(name)
        else [each for each in PHRASE.findall(sources.text) if each not in sources.used]
    )
    return list(dict.fromkeys([*cued, *fresh, *_returned_strings(name, sources), *phrases]))


def _find_identifiers(name: str, sources: ArgumentSources) -> list[str]:
    """Codes in the text, except where the word before one names something else."""
    own = stems(_split_name(name))
    found = []
    for match in CODE.finditer(sources.text):
        before = stems(" ".join(sources.text[: match.start()].split()[-2:]))
        if not before & sources.nouns or before & own:
            found.append(match[0].removeprefix("#"))
    return found


def _returned_strings(name: str, sources: ArgumentSources) -> list[str]:
    """Values in results whose key is the parameter's name, or the part of it that says what it
    identifies."""
    wanted, last = stems(_split_name(name)), name.rsplit("_", maxsplit=1)[-1].lower()
    exact = [fact.value for fact in sources.results if fact.name.lower() == name.lower()]
    part = [
        fact.value
        for fact in sources.results
        if fact.name.lower() == last and (not wanted or wanted & stems(_split_name(fact.source)))
    ]
    akin = [fact.value for fact in sources.results if wanted & stems(_split_name(fact.name))]
    return [*exact, *part, *akin]


def _preposition_pattern(name: str) -> str | None:
    return next(
        (before for pattern, before in CUES if re.search(pattern, name, re.IGNORECASE)), None
    )


def _is_introduced(value: str, name: str, text: str) -> bool:
    """Whether the word before the value goes with the parameter: `to` with `destination`, or its
    own name."""
    before = _preposition_pattern(name)
    named = "|".join(map(re.escape, _split_name(name).split()))
    return (
        re.search(
            rf"\b(?:{before or named}|{named})\b:? [\"'“]?{re.escape(value)}", text, re.IGNORECASE
        )
        is not None
    )


def quoted_texts(text: str) -> list[str]:
    """The texts in quotation marks."""
    return [next(filter(None, match.groups())) for match in QUOTED.finditer(text)]


def proper_names(text: str) -> list[str]:
    """Capitalised names, without the word that opens a sentence."""
    found = []
    for match in PROPER.finditer(text):
        words = match[0].split()
        opens = not text[: match.start()].rstrip() or text[: match.start()].rstrip()[-1] in ".!?:"
        if words[0].lower() in OPENERS or (opens and len(words) == 1):
            words = words[1:]
        if words and words[0] not in CODES:
            found.append(" ".join(words).removesuffix("'s"))
    return found


def _belongs_elsewhere(value: str, name: str, text: str) -> bool:
    """Whether the word before the value assigns it to another parameter: `to EUR` is no
    `from_currency`."""
    own = _preposition_pattern(name)
    others = "|".join(
        before for _, before in CUES if own is not None and before != own and before not in own
    )
    return (
        bool(others)
        and re.search(rf"\b(?:{others})\b [\"'“]?{re.escape(value)}", text, re.IGNORECASE)
        is not None
    )


def _split_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()


def _find_expressions(text: str) -> list[str]:
    expression = arithmetic.find_expression(arithmetic.normalize_question(text))
    return [expression] if expression else []


def _find_currencies(text: str) -> list[str]:
    """Currencies in order of appearance."""
    signs = {code: text.find(sign) for sign, code in entities.SYMBOLS.items() if sign in text}
    spoken = {
        code: text.lower().find(word)
        for word, code in entities.SPOKEN.items()
        if word in text.lower()
    }
    written = {match[0]: match.start() for match in reversed(list(CURRENCY.finditer(text)))}
    places = {**signs, **spoken, **written}
    return sorted(places, key=lambda code: places[code])


KINDS: tuple[tuple[str, Callable[[str], list[str]]], ...] = (
    (r"e-?mail", entities.find_emails),
    (r"\bdate|_date|^day$|check_?in|check_?out|deadline", entities.find_dates),
    (r"phone", entities.find_phones),
    (r"expression|formula|calculation", _find_expressions),
    (r"currency", _find_currencies),
)
