"""`harness init --from FILE`: writes a runnable suite for a table.

Every guess (which column is the question, which the answer, how answers are graded) is explained in
a comment of the suite, so that a wrong guess can be found and corrected in place.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from harness.config.diagnostics import display_path
from harness.errors import StoreError, UsageError
from harness.graders.values.number_reading import read_exact_number
from harness.suite import load_suite
from harness.suite.cases.row_mapping import ANSWERS, Layout, is_chat_row, read_layout
from harness.suite.tables import TableError, open_table

LOOKED_AT = 500
"""Rows that are looked at, which is enough to tell what a column holds."""
SAMPLED = 50
"""Rows that the suite asks where the file has more than were looked at."""
MAX_LABELS = 20
MAX_SHORT = 80

_QUESTIONS = (
    *("question", "input", "prompt", "query", "instruction", "problem", "text", "message"),
    *("ticket", "email", "review", "sentence", "content", "title", "article", "document"),
)
_ANSWERS = (
    *("expected", *ANSWERS, "answers"),
    *("category", "class", "intent", "sentiment", "completion", "response", "solution", "queue"),
)
_CONTEXTS = ("context", "passages", "passage", "documents", "document", "article", "background")
_CHOICES = ("choices", "options")
_IDS = ("idx", "index", "uid", "uuid", "key", "question_id", "case_id", "task_id")
_NUMBER = re.compile(r"[-+]?\$?\d[\d,]*(?:\.\d+)?%?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+(?:,\d+)?")
_GSM8K = "####"
_LETTERS = "ABCDEFGHIJ"
_WHOLE = "{{{{ {} }}}}"
_NUMBER_ONLY = "\n\nAnswer with the number only."
_BRIEFLY = "\n\nAnswer as briefly as possible."


class Guess(NamedTuple):
    """What one file holds: the variables of questions, each with its template, and how answers are
    expected and graded; each with the reason.
    """

    prompt: str
    variables: Mapping[str, str]
    expected: str | None
    grader: str
    reasons: Sequence[str]
    max_tokens: int = 256
    id: str | None = None


def write_suite_for(file: Path, folder: Path | None) -> Path:
    """Write a suite over the rows of `file`, in `folder` or beside the file; returns its path.

    Raises UsageError where the file cannot be read or the suite exists, StoreError where it cannot
    be written, and SuiteError where rows have to be corrected first; then nothing is written.
    """
    try:
        table = open_table(file)
        rows = [row.values for row in islice(table.read_rows(), LOOKED_AT + 1) if not row.problem]
    except TableError as refused:
        raise UsageError(f"{display_path(file)}: {refused}") from None
    except OSError as refused:
        raise UsageError(
            f"{display_path(file)} cannot be read: {refused.strerror or refused}"
        ) from None
    rows = [row for row in rows if isinstance(row, dict)]
    if not rows:
        raise UsageError(f"{display_path(file)}: holds no rows to look at")
    place = (folder or file.parent).resolve()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.name.split(".")[0]).strip("-._") or "suite"
    path = place / f"{name}.yaml"
    if path.exists() or path.is_symlink():
        raise UsageError(
            f"{display_path(path)} exists already; `harness init` overwrites nothing: name another"
            " folder"
        )
    text = "\n".join(_suite_lines(name, os.path.relpath(file.resolve(), place), rows)) + "\n"
    with _undone_on_failure(path):
        try:
            place.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
        load_suite(path)  # says which rows have to be corrected first
    return path


@contextmanager
def _undone_on_failure(path: Path) -> Iterator[None]:
    """Removes the file, and the folders that were made for it, where what is done inside fails."""
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        for folder in made:
            with suppress(OSError):  # something else is in it by now
                folder.rmdir()
        raise


def _suite_lines(name: str, reference: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    guess = _guess(rows)
    yield "# Written by `harness init --from`. Guesses are marked; check them."
    yield f"suite: {name}"
    yield "prompts:"
    yield from (f"  # Guessed: {' '.join(reason.split())}" for reason in guess.reasons)
    yield from _prompt_lines(guess.prompt)
    yield "cases:"
    if not guess.variables and guess.expected is None and len(rows) <= LOOKED_AT:
        yield f"  - {_quote(reference)}"
    else:
        yield f"  - file: {_quote(reference)}"
        if guess.id is not None:
            yield f"    id: {_quote(guess.id)}"
        if guess.variables:
            yield "    vars:"
            yield from (f"      {key}: {_quote(text)}" for key, text in guess.variables.items())
        if guess.expected is not None:
            yield f"    expected: {_quote(guess.expected)}"
        if len(rows) > LOOKED_AT:
            yield f"    sample: {{n: {SAMPLED}}}  # the file has more rows; remove to ask them all"
    yield "graders:"
    yield f"  - {guess.grader}"
    yield "targets:"
    yield "  - scout-sim  # simulated; `harness list targets` shows the others, such as scout"
    yield f"sampling: {{temperature: 0, max_tokens: {guess.max_tokens}}}"
    yield "# gates: [pass_rate >= 90%]  # what must hold, once you know what to expect"


def _prompt_lines(prompt: str) -> Iterator[str]:
    if prompt.startswith("messages:"):
        yield f"  - {prompt}"
        return
    yield "  - id: first"
    yield "    user: |"
    yield from (f"      {line}".rstrip() for line in prompt.splitlines())


# ── Guesses ───────────────────────────────────────────────────────────────────────────────────────


def _guess(rows: Sequence[Mapping[str, Any]]) -> Guess:
    first = rows[0]
    if isinstance(first.get("vars"), dict):
        return _guess_own_form(rows)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    layout = read_layout(columns, chat=is_chat_row(first))
    names = {name: column for column, name in layout.variables}
    if is_chat_row(first):
        chat = next(name for name, column in names.items() if isinstance(first[column], list))
        reason = f"`{chat}` holds the conversation"
        guess = Guess(f'messages: "{{{{ {chat} }}}}"', {}, None, "", [reason])
        return _add_answers(rows, layout.special.get("expected"), None, guess)
    answer = None
    if "expected" not in layout.special:
        answer = _find_column(names, _ANSWERS)
    choices = next((name for name in _CHOICES if name in names), None)
    texts = {name: name for name in names if name not in (answer, choices)}
    guess = _guess_question(rows, names, texts, choices)._replace(id=_guess_id(rows, names, layout))
    column = names[answer] if answer is not None else layout.special.get("expected")
    if choices is not None and _holds_positions(rows, column):
        return guess._replace(
            prompt=f"{guess.prompt}\nAnswer with the letter only.",
            expected=f"{{{{ '{_LETTERS}'[{answer or 'expected'}] }}}}",
            grader='equals: {value: "{{ expected }}", ignore_case: true}',
            reasons=[*guess.reasons, f"`{column}` is the position of the right choice"],
            max_tokens=8,
        )
    return _add_answers(rows, column, answer, guess)


def _guess_question(
    rows: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    texts: Mapping[str, str],
    choices: str | None,
) -> Guess:
    question = _find_column(texts, _QUESTIONS) or max(
        texts, key=lambda name: _mean_length(rows, names[name]), default=None
    )
    if question is None:
        raise UsageError("the file has no column that a prompt could ask about")
    context = next((name for name in _CONTEXTS if name in texts and name != question), None)
    asked = [name for name in (context, question, choices) if name is not None]
    reasons = [f"`{names[question]}` is the question"]
    reasons += [f"`{names[context]}` is the text to answer it from"] if context else []
    prompt = "\n\n".join(_section(name, choices) for name in asked)
    return Guess(prompt, {name: f"{{{{ {name} }}}}" for name in asked}, None, "", reasons)


def _guess_own_form(rows: Sequence[Mapping[str, Any]]) -> Guess:
    variables = [name for name in rows[0]["vars"] if str(name).isidentifier()]
    prompt = "\n\n".join(f"{{{{ {name} }}}}" for name in variables) or "Answer."
    guess = Guess(prompt, {}, None, "", ["every variable, in the order of the first row"])
    return _add_answers(rows, "expected", None, guess)


def _section(name: str, choices: str | None) -> str:
    if name == choices:
        return (
            f"{{% for choice in {name} %}}{{{{ '{_LETTERS}'[loop.index0] }}}}. {{{{ choice }}}}\n"
            "{% endfor %}"
        )
    return f"{{{{ {name} }}}}"


def _find_column(names: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    """The variable whose column has the first of the wanted names, in any case."""
    lower = {name.lower(): name for name in names}
    return next((lower[name] for name in wanted if name in lower), None)


def _guess_id(
    rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], layout: Layout
) -> str | None:
    if "id" in layout.special:
        return None
    for name in _IDS:
        column = names.get(name)
        values = [row.get(column) for row in rows] if column is not None else []
        names_each = all(isinstance(each, str | int) and each != "" for each in values)
        if values and names_each and len(set(values)) == len(values):
            return f"{{{{ {name} }}}}"
    return None


def _mean_length(rows: Sequence[Mapping[str, Any]], column: str) -> float:
    texts = [row.get(column) for row in rows]
    return sum(len(text) for text in texts if isinstance(text, str)) / len(rows)


def _holds_positions(rows: Sequence[Mapping[str, Any]], column: str | None) -> bool:
    values = [row.get(column) for row in rows] if column is not None else []
    return bool(values) and all(
        type(value) is int and 0 <= value < len(_LETTERS) for value in values
    )


def _add_answers(
    rows: Sequence[Mapping[str, Any]], column: str | None, answer: str | None, guess: Guess
) -> Guess:
    """The guess with what is expected of the answers in `column`, whose variable is `answer`, and
    how they are graded.
    """
    values = [row.get(column) for row in rows] if column is not None else []
    values = [value for value in values if value not in (None, "")]
    if not values:
        return guess._replace(
            grader="length: {min: 1}",
            reasons=[*guess.reasons, "no column contains an expected answer, so any answer passes"],
        )
    kind = _guess_kind(values)
    source = answer or "expected"
    return guess._replace(
        prompt=guess.prompt if guess.prompt.startswith("messages:") else guess.prompt + kind.asks,
        expected=kind.cut.format(source) if answer or kind.cut != _WHOLE else None,
        grader=kind.grader,
        reasons=[*guess.reasons, f"`{column}` is the expected answer: {kind.reason}"],
        max_tokens=kind.max_tokens,
    )


class _Kind(NamedTuple):
    """A kind of expected answers: how they are graded, what the prompt asks for, and the template
    that takes the answer out of its column.
    """

    grader: str
    asks: str
    reason: str
    max_tokens: int
    cut: str = _WHOLE


def _guess_kind(values: Sequence[Any]) -> _Kind:
    equal = 'equals: {value: "{{ expected }}", ignore_case: true}'
    if all(isinstance(value, list) for value in values):
        one = 'one_of: {values: "{{ expected }}", ignore_case: true}'
        return _Kind(one, _BRIEFLY, "a list, of which any is right", 64)
    if all(map(_is_object, values)):
        graded = 'json: {expected: "{{ expected }}"}'
        return _Kind(graded, "\n\nAnswer with a JSON object only.", "a JSON object", 512)
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    if all(_GSM8K in text for text in texts):
        asks = "\n\nThink step by step. Give the number on the last line."
        cut = "{{{{ {}.split('####')[1] | trim }}}}"
        return _Kind("number", asks, "a number after ####", 1024, cut)
    labels = list(dict.fromkeys(texts))
    if _are_labels(labels, len(texts)):
        asks = f"\n\nAnswer with exactly one of: {', '.join(labels)}."
        return _Kind(equal, asks, f"one of {len(labels)} labels", 16)
    if all(map(_is_number, texts)):
        return _Kind("number", _NUMBER_ONLY, "a number", 32)
    if all(_DECIMAL_COMMA.fullmatch(text.strip()) for text in texts):
        cut = "{{{{ {} | replace(',', '.') }}}}"
        return _Kind("number", _NUMBER_ONLY, "a number with a decimal comma", 32, cut)
    if max(map(len, texts)) <= MAX_SHORT:
        contained = 'icontains: "{{ expected }}"'
        return _Kind(contained, _BRIEFLY, "a short text, which the answer must contain", 64)
    rubric = "The answer says the same as this one: {{ expected }}"
    judged = f'judge: {{rubric: "{rubric}", target: scout-sim}}'
    return _Kind(judged, "", "a long text; name a judge that you trust with it", 512)


def _are_labels(labels: Sequence[str], answers: int) -> bool:
    """Whether so few texts are the answers that each must be a class."""
    return len(labels) <= min(MAX_LABELS, answers // 2) and all(
        len(label) <= 40 and label.isprintable() and "{" not in label for label in labels
    )


def _is_number(text: str) -> bool:
    """Whether the text is a number that is read as nothing else, with at most a currency or `%`."""
    if not _NUMBER.fullmatch(text.strip()):
        return False
    try:
        read_exact_number(text)
    except ValueError:
        return False
    return True


def _is_object(value: Any) -> bool:
    if isinstance(value, dict):
        return True
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(value), dict)
    except (ValueError, RecursionError):
        return False


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
