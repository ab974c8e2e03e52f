"""Runs JavaScript that a suite holds, in an embedded QuickJS: no files, no network, no modules, and
limits on time, memory and depth.

Every built-in object is frozen and code runs in strict mode, so that no call can leave anything
behind that another one sees: a call costs ten microseconds, where a context of its own would cost
700. What code is given and what it returns are JSON texts, never parts of the code.
"""

from __future__ import annotations

import json
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import jsbox

INLINE_SECONDS = 0.02
"""How long a call may hold up everything else in this process, before it is made again in a
child."""

CHILD_SECONDS = 3.0
_MEMORY = 64 << 20
_WORST_MEMORY = 256 << 20

_FUNCTION_HEAD = (
    'function (output, vars, expected, context, module, exports, add, run) {"use strict";'
)
_NAMES_A_LINE = re.compile(r"(?:eval_script|check):(\d+)")
_HARDEN = """
(() => {
  "use strict";
  const {parse, stringify} = JSON, {isFinite} = Number, take = globalThis.take;
  const {defineProperty, freeze, getOwnPropertyDescriptors, getPrototypeOf} = Object;
  const scripts = [];
  delete globalThis.take;
  const show = value => {
    if (typeof value === "number" && !isFinite(value)) return `{"not":"${value}"}`;
    const text = stringify(value);
    return text === undefined ? `{"not":"${typeof value}"}` : `{"value":${text}}`;
  };
  globalThis.add = script => scripts.push(script) - 1;
  globalThis.run = index => {
    const given = parse(take()), module = {exports: {}};
    let found = scripts[index](
      given.output, given.vars, given.expected, given.context, module, module.exports);
    if (typeof found === "function") found = found(given.output, given.context);
    return found instanceof Promise ? found.then(show) : show(found);
  };
  // An object may have a property of its own where a frozen prototype has one of the same name.
  const allowOverrides = prototype => {
    for (const [key, {value, configurable, ...own}] of
         Object.entries(getOwnPropertyDescriptors(prototype))) {
      if (!configurable || !("writable" in own)) continue;
      defineProperty(prototype, key, {
        get() { return value; },
        set(other) {
          if (this === prototype) throw new TypeError(`'${key}' is read-only`);
          defineProperty(this, key,
            {value: other, writable: true, enumerable: true, configurable: true});
        },
        enumerable: own.enumerable,
      });
    }
  };
  allowOverrides(Object.prototype);
  for (const name of Object.getOwnPropertyNames(globalThis))
    if (/Error$/.test(name)) allowOverrides(globalThis[name].prototype);
  const seen = new Set();
  const freezeAll = value => {
    if (value === null || !/^(object|function)$/.test(typeof value) || seen.has(value)) return;
    seen.add(value);
    freeze(value);
    freezeAll(getPrototypeOf(value));
    const own = getOwnPropertyDescriptors(value);
    for (const key of Reflect.ownKeys(own))
      for (const part of [own[key].value, own[key].get, own[key].set]) freezeAll(part);
  };
  [function* () {}, async () => {}, async function* () {}, [].values(), ""[Symbol.iterator](),
   new Map().entries(), new Set().entries(), "".matchAll(/a/g), globalThis].forEach(freezeAll);
})()
"""


class ScriptError(Exception):
    """A script raised, or cannot be run; `line` is where in its code."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")
        self.message, self.line = message, line


class TookTooLong(ScriptError):
    """A script was stopped for the time it took."""


class EngineMissing(ScriptError):
    """The engine is not installed."""


class SyntaxFault(NamedTuple):
    """What keeps code from being compiled, and in which of its lines."""

    message: str
    line: int | None


def find_syntax_fault(code: str) -> SyntaxFault | None:
    """What keeps `code`, an expression or a function body, from being compiled."""
    try:
        _compile_script(code)
    except EngineMissing:
        raise
    except ScriptError as wrong:
        return SyntaxFault(wrong.message, wrong.line)
    return None


def run_script(code: str, given: str, seconds: float = INLINE_SECONDS) -> str:
    """What the script makes of `given`, the JSON text of an object with `output`, `vars`,
    `expected` and `context`: the JSON text of `{"value": …}`, or of `{"not": …}` for what is no
    JSON.

    A script that comes to a function is that function, called with `output` and `context`. Raises
    ScriptError.
    """
    engines = _here.__dict__
    engine: _Engine = engines.get("engine") or engines.setdefault("engine", _Engine(_MEMORY))
    try:
        return engine.run(code, given, seconds)
    except TookTooLong:
        del engines["engine"]
        raise


def run_script_alone(code: str, given: str, seconds: float) -> str:
    """The same with more time and memory, for a child process; what a script raises is the text
    `{"error": …}`."""
    try:
        return _Engine(_WORST_MEMORY).run(code, given, seconds)
    except ScriptError as raised:
        return json.dumps({"error": str(raised)})


class _Engine:
    """A runtime and the scripts it has compiled; belongs to the thread that made it."""

    def __init__(self, memory: int) -> None:
        self._runtime = _start_runtime(memory)
        self._given = ""
        self._runtime.bind_function("take", lambda: self._given)
        self._runtime.eval(_HARDEN)
        self._scripts: dict[str, str] = {}

    def run(self, code: str, given: str, seconds: float) -> str:
        call = self._scripts.get(code) or self._add(code)
        self._given = given
        return _evaluate(self._runtime, call, code, seconds)

    def _add(self, code: str) -> str:
        index = _evaluate(self._runtime, f"add({_compile_script(code)})", code, CHILD_SECONDS)
        call = self._scripts[code] = f"run({index})"
        return call


_here = threading.local()


def _start_runtime(memory: int) -> jsbox.Runtime:
    try:
        import jsbox  # noqa: PLC0415 - only for suites with JavaScript
    except ImportError:
        raise EngineMissing(
            "JavaScript needs the package jsbox, which is not installed; on a platform without a"
            " wheel of it, `pip install jsbox` builds it with Rust"
        ) from None
    return jsbox.Runtime(memory_limit=memory)


@lru_cache(1_024)
def _compile_script(code: str) -> str:
    """The code as a function, whose lines are the code's: of an expression where it is one, else of
    a function's body. Raises ScriptError."""
    runtime = _start_runtime(_MEMORY)
    expression = code.rstrip().rstrip(";")
    if not expression:
        raise ScriptError("there is no code")
    candidates = [f"{_FUNCTION_HEAD} return ({expression}\n)}}", f"{_FUNCTION_HEAD}{code}\n}}"]
    faults = []
    for function in candidates:
        try:
            runtime.check_syntax(f"({function})")
        except Exception as wrong:  # noqa: BLE001 - whatever the engine says, the code is not compiled
            faults.append(_describe_raised(wrong, code))
        else:
            return function
    raise faults[1 if re.search(r"\breturn\b|;\s*\S|\n", code.strip()) else 0]


def _evaluate(runtime: jsbox.Runtime, call: str, code: str, seconds: float) -> str:
    import jsbox  # noqa: PLC0415 - as above

    try:
        found: str = runtime.eval(call, timeout=seconds)
    except jsbox.JsTimeoutError:
        raise TookTooLong(f"it took longer than {seconds:g} s and was stopped") from None
    except Exception as raised:  # noqa: BLE001 - a script may throw anything
        raise _describe_raised(raised, code) from None
    return found


def _describe_raised(raised: Exception, code: str) -> ScriptError:
    """What a script threw, and the first line of the code that it names."""
    name, message = getattr(raised, "name", ""), getattr(raised, "message", None) or str(raised)
    text = message.partition("\n    at ")[0]
    if text in ("", "null"):
        text = "it threw null, as it does where memory runs out"
    places = _NAMES_A_LINE.findall(str(getattr(raised, "stack", None) or raised))
    lines = [int(each) for each in places if int(each) <= code.count("\n") + 1]
    return ScriptError(f"{name}: {text}" if name else text, lines[0] if lines else None)
