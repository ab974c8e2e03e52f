"""Templates: text with `{{ … }}`, compiled once, rendered with a case's variables.

Only what a person wrote in a suite is ever a template; the data it is rendered with is never read
as one. A text that is exactly one `{{ expression }}` renders to the expression's own value where an
argument is wanted, and to its text in a prompt.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial, reduce
from itertools import islice
from operator import getitem, itemgetter
from typing import Any, cast

from jinja2 import Template as Compiled
from jinja2 import TemplateSyntaxError, Undefined, meta, nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.runtime import Context
from msgspec import Struct

from harness.config.diagnostics import Place, nearest_match
from harness.config.metering import MAX_WORK, WorkLimitExceeded, reset_meter
from harness.config.sandbox import MissingPart, Sandbox, as_data, meter_template, write_value
from harness.errors import Problem, SuiteError

NOWHERE = Place("template")
_MARKERS = ("{{", "{%", "{#")
_RESULT = "result"
_UNDEFINED = re.compile(r"'(\w+)' is undefined")
_MEANT_COMMENT = re.compile(r"\{#[-+]?(?:\s[^{}]*)?[-+]?#\}", re.DOTALL)
_RAW = "to send braces as they are, put them between `{% raw %}` and `{% endraw %}`"
_NOT_THERE = (LookupError, TypeError)
"""What reading a part of a value raises where it has no such part."""
_PRINTED = frozenset({str, int, float})
"""Types whose values are written as Python prints them, at the cost of their own length."""
_sandbox = Sandbox()
_Read = Callable[[Mapping[str, Any]], Any]

MAX_SOURCE = 2**20
MAX_TOKENS = 20_000
"""The most parts of expressions that a template may have: compiling them takes about a second."""


class TemplateError(SuiteError):
    """A template does not compile, or does not render with the given variables; `message` says
    what to do.
    """

    def __init__(self, message: str, place: Place) -> None:
        super().__init__([Problem(message, place.path, place.line, place.column)])
        self.message = message
        self.place = place


class Verbatim(dict[str, Any]):
    """A mapping from a file, in which nothing is a template whatever it looks like."""


class VerbatimText(str):
    """A text in which nothing is a template whatever it looks like, such as code."""

    __slots__ = ()


class Template(Struct, frozen=True):
    """A compiled template. It needs `variables`, and checks `optional` ones first (`is defined`,
    `default`).
    """

    source: str
    place: Place
    variables: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    _render: Callable[[Mapping[str, Any]], str] | None = None
    _evaluate: Callable[[Mapping[str, Any]], Any] | None = None
    is_plain: bool = True
    """Whether it only inserts variables: it fails only where one is missing."""

    @property
    def is_expression(self) -> bool:
        """Whether the text is one `{{ expression }}` and nothing else."""
        return self._evaluate is not None

    def render(self, variables: Mapping[str, Any]) -> str:
        """The rendered text. Raises TemplateError."""
        if self._render is None:
            return self.source
        return str(self._run_guarded(self._render, variables))

    def value(self, variables: Mapping[str, Any]) -> Any:
        """The value of a template that is one expression; else as `render`. Raises
        TemplateError.
        """
        if self._evaluate is None:
            return self.render(variables)
        return self._run_guarded(self._evaluate, variables)

    def _run_guarded(
        self, function: Callable[[Mapping[str, Any]], Any], variables: Mapping[str, Any]
    ) -> Any:
        try:
            return function(variables)
        except Exception as error:  # noqa: BLE001 - an expression can raise whatever its operands do
            raise TemplateError(
                _runtime_message(error, variables), offset_place(self.place, _line_of(error))
            ) from None


def is_template(text: str) -> bool:
    """Whether `text` has placeholders."""
    return any(marker in text for marker in _MARKERS)


def compile_template(text: str, place: Place = NOWHERE) -> Template:
    """Compiles `text`, whose first line is at `place`. Raises TemplateError."""
    if not is_template(text):
        return Template(text, place)
    try:
        compiled = _compile_cached(text)
    except TemplateSyntaxError as error:
        message = str(error.message).rstrip(".")
        raise TemplateError(
            f"in the template: {message}; {_RAW}", offset_place(place, error.lineno)
        ) from None
    return Template(text, place, *compiled)


@lru_cache(maxsize=4096)
def _compile_cached(
    text: str,
) -> tuple[frozenset[str], frozenset[str], Callable[..., str], Callable[..., Any] | None, bool]:
    if len(text) > MAX_SOURCE:
        raise TemplateSyntaxError(
            f"longer than {MAX_SOURCE:,} characters; pass the text as a variable", 1
        )
    reset_meter()
    try:
        _check_tokens(text)
        tree = _sandbox.parse(text)
        optional = _optional_variables(tree)
        names = frozenset(meta.find_undeclared_variables(tree)) - {"range"}
        tree = meter_template(tree)
        expression = _sole_expression(tree)
        render = _fast_renderer(tree) or _jinja_renderer(_sandbox.from_string(tree))
        return (
            names - optional,
            optional & names,
            render,
            _expression_evaluator(expression) if expression else None,
            all(isinstance(part, nodes.TemplateData | nodes.Name) for part in _list_parts(tree)),
        )
    except (RecursionError, MemoryError, SyntaxError):
        raise TemplateSyntaxError("nested too deeply; write it in simpler parts", 1) from None
    except ValueError:  # of Python, about a number of more than 4,300 digits
        raise TemplateSyntaxError("a number has too many digits; pass it as text", 1) from None


def _check_tokens(text: str) -> None:
    """Raise TemplateSyntaxError where compiling the text would take long."""
    if len(text) > MAX_TOKENS and any(islice(_sandbox.lex(text), MAX_TOKENS, None)):
        raise TemplateSyntaxError(
            f"more than {MAX_TOKENS:,} names, operators and other parts; pass data as variables", 1
        )


def find_comments(text: str) -> Iterator[tuple[int, str]]:
    """Yields (line from 1, source) of each `{# comment #}` that hardly was meant as one: it does
    not begin with a space, or has braces in it. Raises nothing for a text that does not compile.
    """
    if "{#" not in text:
        return
    line, source = 1, ""
    try:
        for number, kind, piece in _sandbox.lex(text):
            if kind == "comment_begin":
                line, source = number, piece
            elif kind in ("comment", "comment_end"):
                source += piece
            if kind == "comment_end" and not _MEANT_COMMENT.fullmatch(source):
                yield line, source
    except TemplateSyntaxError:
        return  # noted where it is compiled


def _list_parts(tree: nodes.Template) -> list[nodes.Node]:
    """What a template is made of: pieces of text, expressions, and statements."""
    return [
        part
        for node in tree.body
        for part in (node.nodes if isinstance(node, nodes.Output) else [node])
    ]


def _fast_renderer(tree: nodes.Template) -> Callable[[Mapping[str, Any]], str] | None:
    """A renderer for text with plain variables and parts of them, as most prompts are, in a tenth
    of Jinja2's time. None for anything else.
    """
    pieces: list[tuple[str, _Read | None]] = []
    for part in _list_parts(tree):
        read = _part_reader(part)
        if read is None and not isinstance(part, nodes.TemplateData):
            return None
        pieces.append((part.data if isinstance(part, nodes.TemplateData) else "", read))
    in_jinja = cache(lambda: _jinja_renderer(_sandbox.from_string(tree)))

    def fill(variables: Mapping[str, Any]) -> str:
        try:
            values = [text if read is None else read(variables) for text, read in pieces]
        except _NOT_THERE:  # Jinja2 knows the globals, and the line of what is undefined
            return in_jinja()(variables)
        if not _PRINTED.issuperset(map(type, values)):
            reset_meter()
            values = [write_value(value) for value in values]
        text = "".join(map(str, values))
        if len(text) > MAX_WORK + MAX_SOURCE:
            raise WorkLimitExceeded
        return text

    return fill


def _part_reader(node: nodes.Node) -> _Read | None:
    """Reads `name`, `name.key` or `name[0]` from the variables, raising one of `_NOT_THERE` where
    Jinja2 must decide; None for any other expression. The keys are those of data, as in the
    sandbox: no attribute is looked up.
    """
    path: list[Any] = []
    while isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        path.append(node.arg.value)
        node = node.node
    if not isinstance(node, nodes.Name):
        return None
    return partial(_read_path, [node.name, *reversed(path)]) if path else itemgetter(node.name)


def _read_path(path: Sequence[Any], variables: Mapping[str, Any]) -> Any:
    return reduce(getitem, path, cast("Any", variables))


def _jinja_renderer(compiled: Compiled) -> Callable[[Mapping[str, Any]], str]:
    def render(variables: Mapping[str, Any]) -> str:
        reset_meter()
        return "".join(compiled.root_render_func(_context(compiled, variables)))

    return render


def _context(compiled: Compiled, variables: Mapping[str, Any]) -> Context:
    """The variables above the globals, joined here: Jinja2's own way takes three times as long."""
    return compiled.new_context({**_sandbox.globals, **variables}, shared=True)


def _expression_evaluator(expression: nodes.Expr) -> Callable[[Mapping[str, Any]], Any]:
    """Evaluates the expression to its own value."""
    read = _part_reader(expression)
    if read is None:
        return _jinja_evaluator(expression)
    in_jinja = cache(lambda: _jinja_evaluator(expression))

    def evaluate(variables: Mapping[str, Any]) -> Any:
        try:
            return read(variables)
        except _NOT_THERE:
            return in_jinja()(variables)

    return evaluate


def _jinja_evaluator(expression: nodes.Expr) -> Callable[[Mapping[str, Any]], Any]:
    """Evaluates the expression by assigning it to a name, which is read afterwards."""
    line = expression.lineno
    assignment = nodes.Assign(nodes.Name(_RESULT, "store", lineno=line), expression, lineno=line)
    tree = nodes.Template([assignment], lineno=1)
    tree.set_environment(_sandbox)
    compiled = _sandbox.from_string(tree)

    def evaluate(variables: Mapping[str, Any]) -> Any:
        reset_meter()
        context = _context(compiled, variables)
        deque(
            compiled.root_render_func(context), maxlen=0
        )  # an assignment prints nothing; running it is the point
        value = context.vars[_RESULT]
        if isinstance(value, Undefined):
            str(value)  # raises, naming what is undefined
        return as_data(value)

    return evaluate


def _sole_expression(tree: nodes.Template) -> nodes.Expr | None:
    match tree.body:
        case [nodes.Output(nodes=[nodes.Expr() as expression])] if not isinstance(
            expression, nodes.TemplateData
        ):
            return expression
    return None


def _optional_variables(tree: nodes.Template) -> frozenset[str]:
    """The variables that a template tests before it uses them, so that a case may lack them."""
    tests = [
        test.node for test in tree.find_all(nodes.Test) if test.name in ("defined", "undefined")
    ]
    defaults = [each.node for each in tree.find_all(nodes.Filter) if each.name in ("default", "d")]
    return frozenset(node.name for node in (*tests, *defaults) if isinstance(node, nodes.Name))


def inserted_names(text: str) -> frozenset[str]:
    """The variables whose values a template inserts as they are: `{{ name }}`."""
    outputs = _sandbox.parse(text).find_all(nodes.Output)
    return frozenset(
        part.name for output in outputs for part in output.nodes if isinstance(part, nodes.Name)
    )


def line_of_name(name: str, text: str) -> int | None:
    """The first line of a template that uses the variable `name`."""
    used = (node.lineno for node in _sandbox.parse(text).find_all(nodes.Name) if node.name == name)
    return min(used, default=None)


def offset_place(place: Place, line: int | None) -> Place:
    """The place of line `line` (from 1) of a template whose first line is at `place`."""
    if place.line is None or line is None or line <= 1:
        return place
    return Place(place.path, place.line + line - 1)


def _line_of(error: BaseException) -> int | None:
    """The line of the template that was running: Jinja2 compiles each template to a module of
    its own.
    """
    traceback, line = error.__traceback__, None
    while traceback is not None:
        compiled = traceback.tb_frame.f_globals.get("__jinja_template__")
        if compiled is not None:
            line = compiled.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line


def _runtime_message(error: Exception, variables: Mapping[str, Any]) -> str:
    if isinstance(error, MissingPart):
        return f"in the template: {error.message}"
    if isinstance(error, UndefinedError):
        return f"in the template: {error.message}; {_suggest_variable(error, variables)}"
    if isinstance(error, SecurityError):
        return f"the template is refused: {error}"
    return f"the template failed: {type(error).__name__}: {error}"


def _suggest_variable(error: UndefinedError, variables: Mapping[str, Any]) -> str:
    """What may have been meant by a variable that is not there."""
    wanted = _UNDEFINED.match(error.message or "")
    close = nearest_match(wanted[1], variables) if wanted else None
    if close is not None:
        return f"did you mean `{close}`?"
    return f"the variables are {', '.join(f'`{name}`' for name in variables) or 'none'}"


def render_arguments(
    arguments: Mapping[str, Any], variables: Mapping[str, Any], expected: Any
) -> dict[str, Any]:
    """A grader's arguments, rendered with the case's variables and `expected`. Raises
    TemplateError.
    """
    scope = {**variables, "expected": expected}
    return {name: render_value(value, scope) for name, value in arguments.items()}


def render_value(value: Any, scope: Mapping[str, Any]) -> Any:
    """`value` with every text in it rendered. Raises TemplateError."""
    if isinstance(value, Verbatim | VerbatimText):
        return value
    if isinstance(value, str):
        return compile_template(value).value(scope) if is_template(value) else value
    if isinstance(value, Mapping):
        return {key: render_value(item, scope) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render_value(item, scope) for item in value]
    return value


def templates_in(
    value: Any, location: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yields every text in `value` that is a template, with its key path."""
    if isinstance(value, Verbatim | VerbatimText):
        return
    if isinstance(value, str) and is_template(value):
        yield location, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from templates_in(item, (*location, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from templates_in(item, (*location, index))
