"""The sandboxed Jinja2 dialect of suites: a template can neither reach Python nor cost more than a
budget of work.

Jinja2's own sandbox keeps templates away from Python's internals, but not from nested loops, `"x" *
10**9`, or lists that contain themselves twice, twenty times over. So templates are restricted to
what prompts need (output, if, for, set), loops and concatenations are metered, and every filter,
method and operator is charged for its operands before it runs. One render may do `MAX_WORK` units
of work; a unit is a character handled or a fraction of a loop's turn. Beyond it,
`WorkLimitExceeded`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, NoReturn, cast

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.visitor import NodeTransformer

MAX_WORK = 20_000_000
MAX_LOOP = 100_000
MAX_SOURCE = 2**20
MAX_BITS = 4_096

_TURN = MAX_WORK // MAX_LOOP
_VALUE = 20  # an item of a collection costs about as much as so many characters
_COUNTED = "<counted>"  # names that no template can spell
_CHARGED = "<charged>"
_STATEMENTS = (nodes.Output, nodes.For, nodes.If, nodes.Assign, nodes.With)
_FILTERS = (
    "abs capitalize count d default dictsort e escape first float groupby indent int items join"
    " last length list lower map max min reject rejectattr replace reverse round select selectattr"
    " sort string title trim truncate unique upper urlencode wordcount"
)
_METHODS = (
    "capitalize casefold count endswith find get index isdigit items join keys lower lstrip"
    " removeprefix removesuffix replace rstrip split splitlines startswith strip title upper values"
)


class WorkLimitExceeded(SecurityError):
    """A template would loop or grow beyond what one render may cost."""

    def __init__(self) -> None:
        super().__init__(
            f"does more work than a template may ({MAX_LOOP:,} loop turns or {MAX_WORK:,}"
            " characters handled)"
        )


class _Meter(threading.local):
    """The work that the current render of this thread has done."""

    spent = 0


_meter = _Meter()


def reset_meter() -> None:
    """Start metering a render at zero."""
    _meter.spent = 0


def charge_units(units: int) -> None:
    """Charge the current render. Raises WorkLimitExceeded above its limit."""
    _meter.spent += units
    if _meter.spent > MAX_WORK:
        raise WorkLimitExceeded


def charge_value(value: Any) -> Any:
    """Charge for handling all of `value`, however often it contains itself, and return it."""
    if isinstance(value, str):
        charge_units(len(value))
    elif isinstance(value, Mapping | list | tuple | set | frozenset):
        _charge_collection(value)
    return value


def _charge_collection(value: Any) -> None:
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            charge_units(len(one))
        elif isinstance(one, Mapping | list | tuple | set | frozenset):
            charge_units(_VALUE * (len(one) + 1))
            pending.extend(one.values() if isinstance(one, Mapping) else one)


def _count_turns(items: Iterable[Any]) -> Iterator[Any]:
    """The items of a `for` loop; each turn is charged."""
    for item in items:
        charge_units(_TURN)
        yield item


def _to_json(value: Any, indent: int | None = None) -> str:
    """JSON for a model to read: neither HTML-escaped nor ASCII-only."""
    return json.dumps(
        charge_value(value),
        ensure_ascii=False,
        indent=None if indent is None else min(int(indent), 8),
    )


def _replace_growth(text: str, old: str, new: str, *_: Any) -> int:
    return (len(text) + 1) * len(new) // max(len(old), 1)


def _join_growth(*operands: Any) -> int:
    """`items|join(separator)` or `separator.join(items)`: the product of the two, whichever comes
    first."""
    sizes = [len(operand) for operand in operands if isinstance(operand, Sized)]
    return sizes[0] * sizes[1] if len(sizes) > 1 else 0


def _indent_growth(text: Any, width: Any = 4, *_: Any) -> int:
    return (str(text).count("\n") + 1) * (width if isinstance(width, int) else len(str(width)))


def _round_growth(_: Any, precision: Any = 0, *__: Any) -> int:
    return 0 if abs(precision) <= 100 else MAX_WORK + 1


_GROWTH: Mapping[str, Callable[..., int]] = {
    "replace": _replace_growth,
    "join": _join_growth,
    "indent": _indent_growth,
    "round": _round_growth,
}


def _charge_call(name: str, operands: Sequence[Any], options: Mapping[str, Any]) -> None:
    """Charge for handling the operands, and for a result that can be far larger than they are."""
    for operand in (*operands, *options.values()):
        charge_value(operand)
    if name in _GROWTH:
        charge_units(_GROWTH[name](*operands, *options.values()))


def _guard_function(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `function` so that its operands are charged first; keeps Jinja2's attributes on it
    (`jinja_pass_arg`).
    """
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    def call(*args: Any, **options: Any) -> Any:
        operands = [list(arg) if isinstance(arg, Iterator) else arg for arg in args[passed:]]
        _charge_call(name, operands, options)
        return function(*args[:passed], *operands, **options)

    call.__dict__.update(getattr(function, "__dict__", {}))
    return call


class Sandbox(ImmutableSandboxedEnvironment):
    """The Jinja2 environment in which all templates of suites are compiled."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,
            finalize=charge_value,
            optimized=False,
            cache_size=0,
        )
        self.globals = {"range": self._bounded_range}
        self.filters = {name: _guard_function(name, FILTERS[name]) for name in _FILTERS.split()}
        self.filters |= {"tojson": _to_json, _COUNTED: _count_turns, _CHARGED: charge_value}
        self.tests = dict(TESTS)

    @staticmethod
    def _bounded_range(*bounds: int) -> range:
        numbers = range(*bounds)
        if len(numbers) > MAX_LOOP:
            raise WorkLimitExceeded
        return numbers

    def is_safe_callable(self, obj: Any) -> bool:
        """Only `range`, what a loop offers, and methods of plain data that return plain data."""
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str | dict | list | tuple):
            return getattr(obj, "__name__", "") in _METHODS.split()
        return obj is self._bounded_range or isinstance(owner, LoopContext)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a method of plain data, charging for its operands first."""
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str | dict | list | tuple):
            args = tuple(list(arg) if isinstance(arg, Iterator) else arg for arg in args)
            _charge_call(__obj.__name__, (owner, *args), kwargs)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Apply an operator whose result can be far larger than its operands."""
        if operator == "%" and isinstance(left, str):
            raise SecurityError("`%` on text; join the parts with `~`")
        if operator == "+":
            charge_value(left), charge_value(right)
        if operator == "*":
            _charge_product(left, right)
        if operator == "**":
            _charge_power(left, right)
        return super().call_binop(context, operator, left, right)


def _charge_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
    for repeated, times in ((left, right), (right, left)):
        if isinstance(repeated, str | list | tuple) and isinstance(times, int):
            charge_units(len(repeated) * max(times, 0))


def _charge_power(base: Any, exponent: Any) -> None:
    if isinstance(base, int) and isinstance(exponent, int):
        _check_bits(base.bit_length() * max(exponent, 0))


def _check_bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise WorkLimitExceeded


class _Metering(NodeTransformer):
    """Rewrites a parsed template so that loops are counted, and concatenations and literals are
    charged for.
    """

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _wrap_in_filter(node.iter, _COUNTED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        return _wrap_in_filter(node, _CHARGED)

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        self.generic_visit(node)
        return _wrap_in_filter(node, _CHARGED)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:
        self.generic_visit(node)
        return _wrap_in_filter(node, _CHARGED)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return node if node.ctx == "store" else _wrap_in_filter(node, _CHARGED)


def _wrap_in_filter(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", node), name, [], [], None, None, lineno=node.lineno)


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
