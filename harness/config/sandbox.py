"""The sandboxed Jinja2 dialect of suites: a template can neither reach Python nor cost more than a
budget of work, and what it writes is text, numbers and JSON.

Jinja2's own sandbox keeps templates away from Python's internals, but not from nested loops, `"x" *
10**9`, or lists that contain themselves twice, twenty times over. So templates are restricted to
what prompts need (output, if, for, set), and every loop, comparison, concatenation, filter, method
and operator is charged for its operands before it runs (`metering`).

Variables are data: `order.items` is the key `items`, never Python's method, which only
`order.items()` calls. What is written into a text is written as JSON has it: `true`, `null`,
`{"a": 1}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, cast

from jinja2 import (
    Environment,
    StrictUndefined,
    TemplateSyntaxError,
    Undefined,
    nodes,
    pass_environment,
)
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.visitor import NodeTransformer

from harness.config.diagnostics import quote_value
from harness.config.metering import (
    MAX_LOOP,
    TURN,
    WorkLimitExceeded,
    charge_call,
    charge_power,
    charge_product,
    charge_units,
    charge_value,
)

_COUNTED = "<counted>"  # names that no template can spell
_CHARGED = "<charged>"
_WRITTEN = "<written>"
_STATEMENTS = (nodes.Output, nodes.For, nodes.If, nodes.Assign, nodes.With)
_FILTERS = (
    "abs capitalize count d default dictsort e escape first float groupby indent int items"
    " last length list lower map max min reject rejectattr replace reverse round select selectattr"
    " sort string title trim truncate unique upper urlencode wordcount"
)
_TEXT_FILTERS = (
    "capitalize e escape indent lower replace string title trim truncate upper wordcount"
)
"""Filters of texts; they see anything else as it would be written."""
_COSTLY_TESTS = "== eq equalto != ne > gt greaterthan >= ge < lt lessthan <= le in lower upper"
_METHODS = (
    "capitalize casefold count endswith find get index isdigit items join keys lower lstrip"
    " removeprefix removesuffix replace rstrip split splitlines startswith strip title upper"
    " values"
)
"""Methods of texts, lists and mappings that a template may call."""
_MAX_KEYS = 10
_LONG_NUMBER = 100  # digits from which writing them takes time that grows with their square
_MAX_INDENT = 8


class MissingPart(UndefinedError):
    """A value has no such key or item; the message says which there are."""


class _Missing(StrictUndefined):
    """What a template gets for a name, key or item that is not there: using it is an error."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        owner, name = self._undefined_obj, self._undefined_name
        if self._undefined_exception is not MissingPart:
            return super()._undefined_message
        method = (
            f"; for the method, write `{name}()`"
            if name in _METHODS.split() and hasattr(owner, str(name))
            else ""
        )
        return f"{_describe_missing(owner, name)}{method}"


def _describe_missing(owner: Any, name: Any) -> str:
    if isinstance(owner, Mapping):
        keys = [f"`{key}`" for key in owner]
        more = ", …" if len(keys) > _MAX_KEYS else ""
        there = (
            "the mapping is empty"
            if not keys
            else f"the only key is {keys[0]}"
            if len(keys) == 1
            else f"the keys are {', '.join(keys[:_MAX_KEYS])}{more}"
        )
        return f"there is no key `{name}`; {there}"
    if isinstance(owner, list | tuple) and isinstance(name, int):
        return f"there is no item {name}: the list has {len(owner)}, counted from 0"
    return f"{quote_value(owner)} has no `{name}`"


def write_value(value: Any) -> str:
    """The text that stands for `value` in a template's output: a text itself, a number as its
    digits, anything else as JSON. Charged."""
    if isinstance(value, str):
        charge_units(len(value))
        return value
    if type(value) is int or type(value) is float:
        digits = str(value)
        charge_units(
            len(digits) if len(digits) < _LONG_NUMBER else len(digits) ** 2 // _LONG_NUMBER
        )
        return digits
    if isinstance(value, Undefined):
        return str(value)  # raises, naming what is undefined
    return to_json(as_data(value))


def as_data(value: Any) -> Any:
    """`value` as plain data: what a filter yields lazily as a list. Raises SecurityError for what
    is no data, such as a function."""
    if isinstance(value, range):
        charge_value(value)
        return list(value)
    if isinstance(value, LoopContext) or callable(value):
        raise SecurityError(f"a {type(value).__name__} cannot be written as text")
    return list(value) if isinstance(value, Iterator) else value


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON for a model to read: neither HTML-escaped nor ASCII-only."""
    charge_value(value)
    if indent is None:
        return json.dumps(value, ensure_ascii=False, default=_json_data)
    encoder = json.JSONEncoder(
        ensure_ascii=False, indent=min(int(indent), _MAX_INDENT), default=_json_data
    )
    return "".join(map(charge_value, encoder.iterencode(value)))


def _json_data(value: Any) -> Any:
    if isinstance(value, Undefined):
        return str(value)  # raises, naming what is undefined
    found = as_data(value)
    if found is value:
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    return found


@pass_environment
def _join_texts(
    environment: Environment, items: Iterable[Any], separator: Any = "", attribute: Any = None
) -> str:
    if attribute is not None:
        items = map(make_attrgetter(environment, attribute), items)
    return str(separator).join(map(write_value, items))


def _count_turns(items: Any, units: int) -> Iterator[Any]:
    """The items of a `for` loop; each turn is charged."""
    if not isinstance(items, Iterable):
        raise TypeError(f"`for` needs a list, not {quote_value(items)}")
    for item in items:
        charge_units(units)
        yield item


def _guard_function(name: str, function: Any) -> Callable[..., Any]:
    """Wraps `function` so that its operands are charged first; keeps Jinja2's attributes on it
    (`jinja_pass_arg`).
    """
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0
    of_text = name in _TEXT_FILTERS.split()

    def call(*args: Any, **options: Any) -> Any:
        operands = [list(arg) if isinstance(arg, Iterator) else arg for arg in args[passed:]]
        if of_text and type(operands[0]) is not str:
            operands[0] = write_value(operands[0])
        charge_call(name, operands, options)
        return function(*args[:passed], *operands, **options)

    call.__dict__.update(getattr(function, "__dict__", {}))
    return call


class Sandbox(ImmutableSandboxedEnvironment):
    """The Jinja2 environment in which all templates of suites are compiled."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(
            undefined=_Missing,
            keep_trailing_newline=True,
            autoescape=False,
            finalize=write_value,
            optimized=False,
            cache_size=0,
        )
        self.globals = {"range": self._bounded_range}
        self.filters = {name: _guard_function(name, FILTERS[name]) for name in _FILTERS.split()}
        self.filters |= {
            "join": _guard_function("join", _join_texts),
            "tojson": to_json,
        }
        self.filters |= {_COUNTED: _count_turns, _CHARGED: charge_value, _WRITTEN: write_value}
        self.tests = {
            name: _guard_function(name, test) if name in _COSTLY_TESTS.split() else test
            for name, test in TESTS.items()
        }

    @staticmethod
    def _bounded_range(*bounds: int) -> range:
        numbers = range(*bounds)
        if len(numbers) > MAX_LOOP:
            raise WorkLimitExceeded
        return numbers

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A part of a value: a key or an item of data, or what a loop or a group knows of itself;
        never a method."""
        try:
            return obj[argument]
        except (AttributeError, TypeError, LookupError):
            if isinstance(argument, str) and (
                isinstance(obj, LoopContext) or argument in getattr(type(obj), "_fields", ())
            ):
                return super().getattr(obj, argument)
            return self.undefined(obj=obj, name=argument, exc=MissingPart)

    def is_safe_callable(self, obj: Any) -> bool:
        """Only `range`, what a loop offers, and methods of plain data that return plain data."""
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str | dict | list | tuple):
            return getattr(obj, "__name__", "") in _METHODS.split()
        return obj is self._bounded_range or isinstance(owner, LoopContext)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a method, or what a template is offered, charging for its operands first."""
        owner = getattr(__obj, "__self__", None)
        if not isinstance(owner, str | dict | list | tuple):
            charge_call("", args, kwargs)
            return super().call(__context, __obj, *args, **kwargs)
        args = tuple(list(arg) if isinstance(arg, Iterator) else arg for arg in args)
        name = __obj.__name__
        charge_call(name, (owner, *args), kwargs)
        result = super().call(__context, __obj, *args, **kwargs)
        return list(result) if name in ("items", "keys", "values") else result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Apply an operator whose result can be far larger than its operands."""
        if operator == "%" and isinstance(left, str):
            raise SecurityError("`%` on text; join the parts with `~`")
        if operator == "+":
            charge_value(left), charge_value(right)
        if operator == "*":
            charge_product(left, right)
        if operator == "**":
            charge_power(left, right)
        return super().call_binop(context, operator, left, right)


class _Metering(NodeTransformer):
    """Rewrites a parsed template so that what it does is charged for, and that `a.b` looks only
    for a key, unless it is called.
    """

    def visit_For(self, node: nodes.For) -> nodes.For:
        units = max(TURN, _body_units(node))
        self.generic_visit(node)
        node.iter = _wrap_in_filter(node.iter, _COUNTED, nodes.Const(units))
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Call:
        called = node.node
        if isinstance(called, nodes.Getattr):
            called.node = self.visit(called.node)
            node.node = nodes.Const(None)
        self.generic_visit(node)
        if isinstance(called, nodes.Getattr):
            node.node = called
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Getitem:
        self.generic_visit(node)
        return nodes.Getitem(node.node, nodes.Const(node.attr), node.ctx, lineno=node.lineno)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        return _wrap_in_filter(node, _CHARGED) if isinstance(node.arg, nodes.Slice) else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        holders: list[nodes.Compare | nodes.Operand] = [node, *node.ops]
        for holder in holders:
            if not isinstance(holder.expr, nodes.Const):
                holder.expr = _wrap_in_filter(holder.expr, _CHARGED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        node.nodes = [_wrap_in_filter(part, _WRITTEN) for part in node.nodes]
        return node

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        self.generic_visit(node)
        return _wrap_in_filter(node, _CHARGED)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:
        self.generic_visit(node)
        return _wrap_in_filter(node, _CHARGED)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return node if node.ctx == "store" else _wrap_in_filter(node, _CHARGED)


def _body_units(loop: nodes.For) -> int:
    """What one turn of a loop costs apart from the values it handles."""
    called = (nodes.Filter, nodes.Call, nodes.Test, nodes.BinExpr)
    return sum(
        20 if isinstance(node, called) else 5
        for statement in loop.body
        for node in statement.find_all(nodes.Expr)
    )


def _wrap_in_filter(node: nodes.Node, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(
        cast("nodes.Expr", node), name, list(arguments), [], None, None, lineno=node.lineno
    )


def meter_template(tree: nodes.Template) -> nodes.Template:
    """The template with metering, once it is known to hold only what prompts need. Raises
    TemplateSyntaxError.
    """
    for statement in tree.find_all(nodes.Stmt):
        if not isinstance(statement, _STATEMENTS):
            _raise_syntax_error(
                f"`{type(statement).__name__.lower()}` is not part of the suite's templates; use"
                " if, for, set and {{ }}",
                statement,
            )
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            _raise_syntax_error(
                "a recursive loop is not part of the suite's templates; unroll it", loop
            )
    metering: nodes.Template = _Metering().visit(tree)
    return metering


def _raise_syntax_error(message: str, node: nodes.Node) -> NoReturn:
    raise TemplateSyntaxError(message, node.lineno)
