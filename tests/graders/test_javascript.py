"""JavaScript graders and steps: what public suites write, hostile answers, limits, and what is found
at load."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from harness.engine.workers.pool import WorkerPool
from harness.errors import HarnessError
from harness.graders import Answer, build_graders, grade_answer, run_grader
from harness.graders.base import NothingToExtract
from harness.graders.build import bind_extraction
from harness.model import Grade, Message
from harness.suite import Suite
from harness.suite.load import load_suite
from tests.graders.grading import error_of, finish, grade, spec

ORDER = '{"items": [{"id": 1, "price": 2.5}, {"id": 2, "price": 4}], "total": 6.5, "note": null}'
VARIABLES = {
    "name": "Ada",
    "topic": "Bananas",
    "limit": 20,
    "tags": ["a", "b"],
    "__proto__": {"x": 1},
}

VERDICTS: list[tuple[str, str, bool | float]] = [
    ("output.length < 100", "short", True),
    ("output.length < 100;", "x" * 200, False),
    ("output.includes(vars.name)", "Dear Ada", True),
    ("output.includes(vars['name'])", "Dear Bob", False),
    ("output.toLowerCase().includes(context.vars.topic.toLowerCase())", "I like bananas", True),
    ("JSON.parse(output).items.length === 2", ORDER, True),
    ("JSON.parse(output).items?.[0]?.price === 2.5", ORDER, True),
    ("JSON.parse(output).missing?.deep?.value === undefined", ORDER, True),
    ("(JSON.parse(output).note ?? 'none') === 'none'", ORDER, True),
    ("JSON.parse(output).items.every(i => i.price > 0)", ORDER, True),
    (
        "JSON.parse(output).items.map(({price}) => price).reduce((a, b) => a + b, 0) === JSON.parse(output).total",
        ORDER,
        True,
    ),
    ("Object.keys(JSON.parse(output)).sort().join() === 'items,note,total'", ORDER, True),
    (
        "const {items, total} = JSON.parse(output);\nreturn items.some(i => i.id === 2) && total > 6;",
        ORDER,
        True,
    ),
    ("const data = JSON.parse(output)\nreturn Array.isArray(data.items)", ORDER, True),
    ("try { JSON.parse(output); return true; } catch { return false; }", "no JSON", False),
    (
        "try {\n  return JSON.parse(output).total === 6.5;\n} catch (e) {\n  return {pass: false, score: 0, reason: e.message};\n}",
        ORDER,
        True,
    ),
    ("output === expected", "Ada", True),
    ("output.trim() == 'Ada'", " Ada\n", True),
    ("Number(output) >= 3 && Number(output) <= 5", "4", True),
    ("parseFloat(output.replace(/[^0-9.]/g, '')) === 12.5", "$12.50", True),
    ("Math.min(1, output.length / vars.limit)", "0123456789", 0.5),
    ("Math.max(0, Math.min(1, 1 - (output.length - 100) / 900))", "x" * 1000, 0.0),
    ("output.split(/\\s+/).length <= 3", "one two three", True),
    ("output.split('\\n').filter(Boolean).length === 2", "a\n\nb\n", True),
    ("/^\\d{4}-\\d{2}-\\d{2}$/.test(output)", "2025-03-04", True),
    ("!/as an ai/i.test(output)", "As an AI model", False),
    ("/(?<year>\\d{4})/.exec(output)?.groups.year === '2025'", "in 2025", True),
    ("/(?<=Answer: )\\d+/.test(output)", "Answer: 42", True),
    ("/^\\p{Lu}/u.test(output)", "Éa", True),
    ("[...output.matchAll(/\\d/g)].length === 3", "1 2 3", True),
    ("(output.match(/banana/gi) || []).length >= 2", "banana Banana", True),
    ("['red', 'green'].includes(output.trim().toLowerCase())", "Green ", True),
    ("['a', 'b'].some((word) => output.includes(word)) ? true : false", "xyz", False),
    ("new Set(output.split(',')).size === output.split(',').length", "a,b,a", False),
    ("(output, context) => output.includes(context.vars.name)", "Ada", True),
    ("(output) => { const n = output.length; return n > 2; }", "abc", True),
    ("function check(output, {vars}) { return vars.tags.includes(output) }", "b", True),
    ("async (output) => output.length === 1", "b", True),
    ("({pass: output.length > 1, score: 0.3, reason: `length ${output.length}`})", "b", False),
    ("{score: 0.25, reason: 'a quarter'}", "b", 0.25),
    ("return { pass: output.startsWith('b'), score: 1, reason: '' }", "b", True),
    (
        "const words = {};\nfor (const w of output.split(' ')) words[w] = (words[w] ?? 0) + 1;\nreturn words.b === 2",
        "b a b",
        True,
    ),
    (
        "let best = 0\nfor (let i = 0; i < output.length; i++) {\n  if (output[i] > best) best = output[i]\n}\nreturn best === '7'",
        "374",
        True,
    ),
    ("const o = {}; o.toString = () => 'own'; return `${o}` === 'own'", "", True),
    (
        "class Odd extends Error { constructor() { super('x'); this.name = 'Odd' } }\ntry { throw new Odd() } catch (e) { return e.name === 'Odd' }",
        "",
        True,
    ),
    ("context.prompt.includes('fruit') && context.latency < 2 && context.cost <= 0.01", "", True),
    ("// the tone\noutput.endsWith('!') // loud", "Hey!", True),
    ("/* {{ output }} */ `{{ ${output} }}` === '{{ x }}'", "x", True),
    ("switch (output) { case 'x': return 1; default: return 0.5 }", "x", 1.0),
    ("new Date('2025-03-04T00:00:00Z').getUTCDay() === 2", "", True),
    ("output.replaceAll('a', 'b').at(-1) === 'b'", "aa", True),
    ("Object.entries(vars).length === 5 && vars.x === undefined", "", True),
    ("module.exports = (output) => output === 'x';\nreturn module.exports", "x", True),
]


def answer(text: str, **more: Any) -> Answer:
    fruit = (Message("user", "Name a fruit"),)
    return Answer(text, "Ada", VARIABLES, fruit, latency=1.5, cost=0.001, **more)


def run(code: str, text: str = "x") -> Any:
    return grade("javascript", {"code": code}, answer(text))


@pytest.mark.parametrize(("code", "text", "verdict"), VERDICTS)
def test_what_public_suites_write(code: str, text: str, verdict: bool | float) -> None:
    graded = run(code, text)
    assert graded.error is None, graded.error
    assert (graded.value, type(graded.value)) == (verdict, type(verdict))


def test_a_reason_is_the_scripts_own() -> None:
    assert run("({pass: false, reason: 'too ' + output})", "long").reason == "too long"


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (
            "const a = 1;\nreturn missing.length",
            "raised",
            "line 2: ReferenceError: missing is not defined",
        ),
        ("JSON.parse(output).a", "raised", "SyntaxError"),
        ("throw new Error('no luck')", "raised", "no luck"),
        ("throw null", "raised", "null"),
        ("const a = output.length", "invalid_value", "`return`"),
        ("output.match(/z/)", "invalid_value", "null"),
        ("output && ''", "invalid_value", "true, false, a score"),
        ("() => () => 1", "invalid_value", "function"),
        ("0 / 0", "invalid_value", "NaN"),
        ("7", "out_of_range", "7"),
        ("new Promise(() => {})", "raised", "never settled"),
        (
            "[typeof require, typeof process, typeof fetch, typeof std, typeof os].join()",
            "invalid_value",
            '"undefined,undefined,undefined,undefined,undefined"',
        ),
        ("import('fs').then(() => true)", "raised", "fs"),
    ],
)
def test_a_script_that_comes_to_no_verdict_says_why(code: str, kind: str, said: str) -> None:
    error = error_of(run(code))
    assert error.kind == kind
    assert said in error.message


HOSTILE = [
    '"; throw 1;//',
    "</script>",
    "\u2028\u2029",
    "\ud800",
    "a\udc00b",
    "${x}`",
    "\\",
    "\x00",
    '{"__proto__": 1}',
    "'); run(0); ('",
    "é😀",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_an_answer_is_data(text: str) -> None:
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    assert run(f"output.length === {units} && output === {json.dumps(text)}", text).value is True
    step = bind_extraction([{"javascript": {"code": "output + '!'"}}])
    assert step is not None
    assert step(Answer(text)) == text + "!"


@pytest.mark.parametrize(
    "code",
    [
        "Array.prototype.includes = () => true", "Object.prototype.x = 1", "globalThis.count = 1",
        "count = 1", "JSON.parse = () => 1", "Math.max = () => 1", "String.prototype.at.x = 1",
        "Object.getPrototypeOf(function* () {}).x = 1", "(async () => {}).constructor.prototype.x = 1",
        "Object.setPrototypeOf(Array.prototype, null)", "delete Object.prototype.toString",
        "Object.getPrototypeOf([].values()).next = () => 1", "RegExp.prototype.exec = () => null",
        "Error.prototype.name = 'x'", "globalThis.run = null", "add(1)",
    ],
)  # fmt: skip
def test_no_call_changes_what_the_next_one_sees(code: str) -> None:
    assert error_of(run(code)).kind == "raised"
    assert run("[1].includes(2) || {}.x || globalThis.count || Math.max(1, 3) !== 3").value is False


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("while (true) {}", "stopped"),
        ("for (;;) { try { while (true) {} } catch {} }", "stopped"),
        ("/^(a+)+$/.test('a'.repeat(40) + 'b')", "stopped"),
        ("const a = []; for (;;) a.push('x'.repeat(1000) + a.length)", ""),
    ],
)
def test_what_takes_too_long_ends_in_the_child(code: str, kind: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("harness.graders.functions.javascript.CHILD_SECONDS", 0.2)
    started = time.monotonic()
    assert kind in error_of(run(code)).message
    assert time.monotonic() - started < 5
    assert run("1 === 1").value is True


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("'x'.repeat(1e9).length > 1", "memory"),
        ("new Array(1e9).fill(0).length > 1", "too large"),
        ("(function f() { return f() })()", "call stack"),
        ("JSON.parse('['.repeat(1e5))", "call stack"),
    ],
)
def test_a_bomb_is_that_grades_error(code: str, said: str) -> None:
    assert said in error_of(run(code)).message
    assert run("1 === 1").value is True


@pytest.mark.process
def test_a_child_process_judges_long_answers_and_survives_endless_ones(monkeypatch: Any) -> None:
    monkeypatch.setattr("harness.graders.functions.javascript.CHILD_SECONDS", 0.2)

    async def judge(pool: WorkerPool, code: str, text: str) -> Grade:
        (grader,) = build_graders([spec("javascript", {"code": code})])
        flow = run_grader(grader, answer(text))
        try:
            flow.send(await pool.call(next(flow)))
        except StopIteration as ended:
            return ended.value
        raise AssertionError("one call is enough")

    async def judge_all() -> list[Grade]:
        async with WorkerPool(size=1) as pool:
            return [
                await judge(pool, "output.length === 1e6", "x" * 1_000_000),
                await judge(pool, "while (true) {}", "x"),
                await judge(pool, "output.at(-1) === 'y'", "x" * 100_000 + "y"),
            ]

    long, endless, after = asyncio.run(judge_all())
    assert (long.value, after.value) == (True, True)
    assert "stopped" in error_of(endless).message


@pytest.mark.parametrize(
    ("code", "text", "taken"),
    [
        ("JSON.parse(output).total", ORDER, "6.5"),
        ("output.match(/\\d+/)?.[0]", "it is 42", "42"),
        ("output.match(/\\d+/)?.[0]", "none", None),
        ("null", "x", None),
        ("output.split(' ')", "a b", '["a", "b"]'),
        ("output.trim().toUpperCase()", " a ", "A"),
        ("const [, last] = output.split(':');\nreturn last", "a:b", "b"),
        ("output === 'x'", "x", "true"),
    ],
)
def test_what_a_step_takes(code: str, text: str, taken: str | None) -> None:
    extract = bind_extraction([{"javascript": {"code": code}}])
    assert extract is not None
    if taken is None:
        with pytest.raises(NothingToExtract):
            extract(answer(text))
    else:
        assert extract(answer(text)) == taken


HEAD = """
suite: small
prompts: [{user: "{{ q }}"}]
cases: [{id: c, vars: {q: a}, expected: a}]
targets: [{name: t, provider: openai, base_url: "http://127.0.0.1:9/v1", model: m}]
"""


def load(tmp_path: Path, yaml: str) -> Suite:
    path = tmp_path / "small.yaml"
    path.write_text(HEAD + yaml)
    return load_suite(path)


def test_a_function_of_a_file_judges(tmp_path: Path) -> None:
    (tmp_path / "check.js").write_text(
        "let calls = 0\nfunction grade(output, context) {\n  calls++\n"
        "  return {pass: output === context.vars.q && calls === 1}\n}\n"
        "module.exports = {short: (output) => output.length < 3}\n"
    )
    (evaluation,) = load(
        tmp_path,
        "graders:\n  - javascript: check.js:grade\n  - {javascript: {code: 'check.js:short'}}\n"
        "  - {equals: '3', extract: {javascript: 'output.length + 2'}}\n"
        "  - not: {javascript: 'output.includes(\"{{ q }}\")'}\n",
    ).evals
    for _ in range(2):
        grades = finish(
            grade_answer(build_graders(evaluation.graders), Answer("a", variables={"q": "a"}))
        )
        assert [each.value for each in grades] == [True] * 4, grades


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("graders:\n  - javascript: 'output.includes('\n", ["small.yaml:7:", "not JavaScript"]),
        ("graders:\n  - javascript: |\n      let a = 1\n      let = = 2\n", ["small.yaml:7:", "line 2"]),
        ("graders: [{equals: x, extract: {javascript: 'a b'}}]\n", ["small.yaml:6:", "not JavaScript"]),
        ("graders: [javascript]\n", ["small.yaml:6:"]),
        ("graders: [{javascript: ''}]\n", ["small.yaml:6:", "no code"]),
        ("graders: [{javascript: missing.js:f}]\n", ["small.yaml:6:", "missing.js"]),
        ("graders: [{javascript: broken.js:f}]\n", ["broken.js:3:", "not JavaScript"]),
        ("graders: [{javascript: good.js:grde}]\n", ["small.yaml:6:", "no function `grde`"]),
    ],
)  # fmt: skip
def test_what_cannot_run_is_found_at_load(tmp_path: Path, yaml: str, said: list[str]) -> None:
    (tmp_path / "broken.js").write_text("const f = 1\n\nlet = = 3\n")
    (tmp_path / "good.js").write_text("const grade = () => true\n")
    with pytest.raises(HarnessError) as wrong:
        load(tmp_path, yaml)
    assert all(each in str(wrong.value) for each in said), str(wrong.value)
