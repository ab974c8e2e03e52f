"""Steps that cut and rewrite text: strip, lower, normalize, after, before, line, regex, map,
template."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from harness.config.diagnostics import quote_text
from harness.config.patterns import compile_re2, to_re2_text
from harness.config.templates import TemplateError, compile_template
from harness.config.units import Flag
from harness.graders.base import (
    Answer,
    Arguments,
    ExtractionStep,
    GraderError,
    NothingToExtract,
    PlainText,
    to_text,
)


class NoArguments(Arguments):
    """Arguments of a step that has none."""


def _strip(_: NoArguments, answer: Answer) -> str:
    return answer.text.strip()


def _lower(_: NoArguments, answer: Answer) -> str:
    return answer.text.lower()


class Normalization(Arguments):
    """Arguments of `normalize`."""

    form: Literal["NFC", "NFKC"] = Field(
        "NFC",
        description="The Unicode form: NFC composes letters and accents, NFKC also makes compatible"
        " forms such as full-width digits plain.",
    )


def _normalize(arguments: Normalization, answer: Answer) -> str:
    return unicodedata.normalize(arguments.form, answer.text)


class Marker(Arguments):
    """Arguments of `after` and `before`."""

    marker: PlainText = Field(min_length=1, description="The text to cut at.")
    which: Literal["first", "last"] = Field(
        "last", description="Which occurrence counts, where there are several."
    )
    ignore_case: Flag = Field(False, description="Whether to ignore case.")

    def find_span(self, text: str) -> tuple[int, int]:
        """Where the marker begins and ends in `text`. Raises NothingToExtract."""
        if self.ignore_case:
            spans = [
                each.span() for each in re.finditer(re.escape(self.marker), text, re.IGNORECASE)
            ]
        else:
            at = (text.find if self.which == "first" else text.rfind)(self.marker)
            spans = [] if at < 0 else [(at, at + len(self.marker))]
        if spans:
            return spans[0 if self.which == "first" else -1]
        raise NothingToExtract(f"{quote_text(self.marker)} is not in {quote_text(text)}")


class FirstMarker(Marker):
    """Arguments of `before`."""

    which: Literal["first", "last"] = Field(
        "first", description="Which occurrence counts, where there are several."
    )


def _take_after(arguments: Marker, answer: Answer) -> str:
    return answer.text[arguments.find_span(answer.text)[1] :]


def _take_before(arguments: FirstMarker, answer: Answer) -> str:
    return answer.text[: arguments.find_span(answer.text)[0]]


class LineChoice(Arguments):
    """Arguments of `line`."""

    which: Literal["first", "last"] | int = Field(
        "last",
        description="The first or last line that is not blank, or its number: 1 is the first, -1"
        " the last.",
    )

    @field_validator("which")
    @classmethod
    def _check_number(cls, which: str | int) -> str | int:
        if which == 0 or isinstance(which, bool):
            raise ValueError("must be first, last, or a number such as 1 or -1")
        return which


def _take_line(arguments: LineChoice, answer: Answer) -> str:
    which = arguments.which
    lines = [line for line in answer.text.splitlines() if line.strip()]
    number = {"first": 1, "last": -1}[which] if isinstance(which, str) else which
    if len(lines) < abs(number):
        raise NothingToExtract(f"there is no line {number} in {quote_text(answer.text)}")
    return lines[number - 1 if number > 0 else number]


class PatternSearch(Arguments):
    """Arguments of `regex`."""

    pattern: str = Field(description="The regular expression, in RE2's syntax.")
    group: int | str | None = Field(
        None,
        description="The group to take, by number or name; default: the first one, or the whole"
        " match where the pattern has none.",
    )
    which: Literal["first", "last", "all"] = Field(
        "first", description="Which match counts; `all` takes each on a line of its own."
    )
    ignore_case: Flag = Field(False, description="Whether to ignore case.")

    @model_validator(mode="after")
    def _check_group(self) -> PatternSearch:
        compiled = compile_re2(self.pattern, self.ignore_case)
        if compiled is None:
            raise ValueError(
                f"{quote_text(self.pattern)} is not a regular expression of RE2, which has no"
                " lookaround and no backreferences"
            )
        known = (*range(compiled.groups + 1), *compiled.groupindex)
        if self.group is not None and self.group not in known:
            raise ValueError(f"the pattern has no group {self.group!r}")
        return self


def _search_pattern(arguments: PatternSearch, answer: Answer) -> str:
    compiled = compile_re2(arguments.pattern, arguments.ignore_case)
    group = (1 if compiled.groups else 0) if arguments.group is None else arguments.group
    found = [
        text
        for match in _matches(compiled, answer.text, arguments.which)
        if (text := match.group(group)) is not None
    ]
    if not found:
        raise NothingToExtract(
            f"{quote_text(arguments.pattern)} does not match {quote_text(answer.text)}"
        )
    texts = [text.decode() if isinstance(text, bytes) else text for text in found]
    return "\n".join(texts) if arguments.which == "all" else texts[-1]


def _matches(compiled: Any, text: str, which: str) -> Iterator[Any]:
    if which != "first":
        return iter(compiled.finditer(to_re2_text(text)))
    match = compiled.search(to_re2_text(text))
    return iter(() if match is None else (match,))


class Replacements(Arguments):
    """Arguments of `map`."""

    values: dict[PlainText, Any] = Field(
        min_length=1, description="What each text becomes, such as {yes: true, no: false}."
    )
    default: Any = Field(
        None, description="What any other text becomes; without it, there is no answer."
    )
    ignore_case: Flag = Field(True, description="Whether to ignore case.")

    @field_validator("values", mode="before")
    @classmethod
    def _name_booleans(cls, values: Any) -> Any:
        """YAML reads a bare `yes` or `no` key as a text here, and `true` as a boolean."""
        if not isinstance(values, dict):
            return values
        return {to_text(key): value for key, value in values.items()}


def _map_text(arguments: Replacements, answer: Answer) -> str:
    text = answer.text.strip()
    for known, value in arguments.values.items():
        if known == text or (arguments.ignore_case and known.casefold() == text.casefold()):
            return to_text(value)
    if "default" in arguments.model_fields_set:
        return to_text(arguments.default)
    known = ", ".join(map(quote_text, arguments.values))
    raise NothingToExtract(f"{quote_text(text)} is none of {known}")


class Rewriting(Arguments):
    """Arguments of `template`."""

    template: str = Field(
        description="The text to grade; `answer` is what was extracted so far, beside the case's"
        " variables and `expected`."
    )

    @field_validator("template")
    @classmethod
    def _check_compiles(cls, template: str) -> str:
        try:
            compile_template(template)
        except TemplateError as wrong:
            raise ValueError(wrong.message) from None
        return template


def _fill_template(arguments: Rewriting, answer: Answer) -> str:
    scope = {**answer.variables, "expected": answer.expected, "answer": answer.text}
    try:
        return compile_template(arguments.template).render(scope)
    except TemplateError as wrong:
        raise GraderError("template", wrong.message) from None


strip_step = ExtractionStep(
    "strip", NoArguments, _strip, summary="the text without white space at both ends"
)
lower_step = ExtractionStep("lower", NoArguments, _lower, summary="the text in lower case")
normalize_step = ExtractionStep(
    "normalize", Normalization, _normalize, short="form", summary="the text in a Unicode form"
)
after_step = ExtractionStep(
    "after", Marker, _take_after, short="marker", summary="what follows this text"
)
before_step = ExtractionStep(
    "before", FirstMarker, _take_before, short="marker", summary="what precedes this text"
)
line_step = ExtractionStep("line", LineChoice, _take_line, short="which", summary="one line")
regex_step = ExtractionStep(
    "regex",
    PatternSearch,
    _search_pattern,
    short="pattern",
    summary="what a regular expression, or a group of it, matches",
)
map_step = ExtractionStep(
    "map",
    Replacements,
    _map_text,
    short="values",
    short_takes_mapping=True,
    summary="what stands for the text in a mapping",
)
template_step = ExtractionStep(
    "template",
    Rewriting,
    _fill_template,
    short="template",
    literal="template",
    summary="the text a template makes of it",
)
