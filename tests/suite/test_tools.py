"""`tools:` and `turns:`: what they come to, and what is refused with its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.model import Action, Tool
from harness.suite import Suite, fingerprint_suite
from harness.suite.tools import Toolset, build_conversation, conversation_identity, later_turns

Write = Callable[..., object]

HEAD = (
    'suite: s\nprompts: [{user: "{{ q }}"}]\ncases: [{id: c, vars: {q: hi}}]\ntargets: scout-sim\n'
)
FUNCTIONS = '''
from typing import Literal

def lookup(name: str, limit: int = 3, unit: Literal["c", "f"] | None = None) -> dict:
    """Look a customer
    up by name.

    Args:
        name: The customer's
            full name.
        limit (int): How many at most.

    Returns:
        dict: what is known.
    """
    raise SystemExit("reading a file must not run it")

raise SystemExit("reading a file must not run it")
'''


def toolset(loaded: Suite) -> Toolset:
    found = loaded.evals[0].toolset
    assert found is not None
    return found


def test_a_functions_hints_and_docstring_make_its_schema(
    suite: Callable[..., Suite], write: Write
) -> None:
    write("suites/tools.py", FUNCTIONS)
    tools = toolset(suite(HEAD + "tools: tools.py:lookup"))
    assert tools.tools == (
        Tool(
            "lookup",
            "Look a customer up by name.",
            {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "description": "The customer's full name."},
                    "limit": {"type": "integer", "description": "How many at most."},
                    "unit": {"anyOf": [{"enum": ["c", "f"]}, {"type": "null"}]},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        ),
    )
    action = tools.conversation.actions["lookup"]
    assert action.function is not None
    assert action.function.endswith("/suites/tools.py:lookup")
    assert action.source.startswith("suites/tools.py:lookup@")


def test_what_is_written_wins_over_what_the_function_says(
    suite: Callable[..., Suite], write: Write
) -> None:
    write("suites/tools.py", FUNCTIONS)
    write(
        "suites/p.json",
        '{"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {"name": {}}}',
    )
    written = "tools: [{function: tools.py:lookup, name: find, description: d, parameters: p.json, timeout: 2s, trusted: true}]"
    tools = toolset(suite(HEAD + written))
    assert tools.tools == (Tool("find", "d", {"type": "object", "properties": {"name": {}}}),)
    action = tools.conversation.actions["find"]
    assert (action.timeout, action.trusted) == (2.0, True)


def test_a_keyword_that_checks_nothing_is_a_warning_where_an_api_may_know_it(
    suite: Callable[..., Suite],
) -> None:
    loaded = suite(
        HEAD
        + "tools: [{name: f, parameters: {type: object, propertes: {}}, returns: null}]\n"
        + "response_format: {type: json_schema, schema: {type: object, properties: {a: {nullable: true}}}}\n"
    )
    found = [each.partition(" ")[2] for each in loaded.warnings if "`$" not in each]
    assert [each for each in found if "checks nothing" in each or "no keyword" in each] == [
        "`parameters`: $: `propertes` is no keyword of JSON Schema; did you mean `properties`?",
        "`schema`: $.properties.a: `nullable` is OpenAPI's and checks nothing; write"
        ' `type: [string, "null"]`',
    ]


def test_how_tools_are_called(suite: Callable[..., Suite]) -> None:
    tools = toolset(
        suite(
            HEAD
            + "tools: [{name: f, parameters: {type: object}, returns: null}, {name: g, parameters: {}, raises: no}]\n"
            "tool_choice: g\nmax_turns: 4\nparallel_tool_calls: false\n"
        )
    )
    assert (tools.choice, tools.parallel, tools.conversation.max_turns) == ("g", False, 4)
    assert tools.conversation.actions == {"f": Action(returns=None), "g": Action(raises="no")}


def test_a_case_says_what_its_tools_do(suite: Callable[..., Suite], write: Write) -> None:
    write(
        "suites/cases.jsonl",
        '{"id": "a", "vars": {"q": "x"}, "tools": {"f": {"raises": "gone"}, "g": 4}}\n'
        '{"id": "b", "vars": {"q": "x"}, "tools": {"f": {"returns": {"returns": "{{ q }}"}}}}\n',
    )
    loaded = suite(
        'suite: s\nprompts: [{user: "{{ q }}"}]\ncases: cases.jsonl\ntargets: scout-sim\n'
        "tools: [{name: f, parameters: {}}, {name: g, parameters: {}, returns: 3}]\n"
    )
    (each,) = loaded.evals
    found = [build_conversation(each.toolset, each.prompts[0], case) for case in each.cases]
    assert [one.actions for one in found if one] == [
        {"f": Action(raises="gone"), "g": Action(returns=4)},
        {"f": Action(returns={"returns": "{{ q }}"}), "g": Action(returns=3)},
    ]


def test_turns_are_the_cases_own_else_the_prompts(suite: Callable[..., Suite]) -> None:
    loaded = suite(
        "suite: s\nprompts:\n  - {user: hi, turns: ['and {{ x }}?', {user: bye, graders: json}]}\n  - {id: alone, user: hi}\n"
        "cases: [{id: a, vars: {x: 1}}, {id: b, vars: {x: 2}, turns: ['no, {{ x }}']}]\ntargets: scout-sim\n"
    )
    (each,) = loaded.evals
    found = [
        build_conversation(None, prompt, case) for prompt in each.prompts for case in each.cases
    ]
    assert [one.turns if one else None for one in found] == [
        ("and 1?", "bye"),
        ("no, 2",),
        None,
        ("no, 2",),
    ]
    assert [spec.id for spec in each.prompts[0].later_turns[1].graders] == ["turn-3: json"]


def test_the_first_item_of_turns_may_judge_the_first_answer(suite: Callable[..., Suite]) -> None:
    loaded = suite(
        "suite: s\nprompts: {user: hi, turns: [{graders: json}, 'and?']}\ncases: [{id: a}, "
        "{id: b, turns: {graders: [json, json]}}]\ntargets: scout-sim\n"
    )
    (each,) = loaded.evals
    whole = [later_turns(each.prompts[0], case) for case in each.cases]
    assert [[[spec.id for spec in turn.graders] for turn in turns] for turns in whole] == [
        [["turn-1: json"], []],
        [["turn-1: json", "turn-1: json-2"]],
    ]
    found = [build_conversation(None, each.prompts[0], case) for case in each.cases]
    assert [one.turns if one else None for one in found] == [("and?",), None]
    assert not [warning for warning in loaded.warnings if "no graders" in warning]


def test_a_run_is_not_resumed_with_other_graders_of_a_turn(suite: Callable[..., Suite]) -> None:
    text = "suite: s\nprompts: {user: hi, turns: [{graders: json}, 'and?']}\ncases: {id: a}\ntargets: scout-sim\n"
    one, other = (
        fingerprint_suite(suite(text)),
        fingerprint_suite(suite(text.replace("json", "{turns: 1}"))),
    )
    assert {axis for axis in one if one[axis] != other[axis]} == {"graders"}


def test_an_identity_is_the_same_wherever_the_workspace_lies(
    suite: Callable[..., Suite], write: Write
) -> None:
    write("suites/tools.py", FUNCTIONS)
    text = HEAD + "tools: [tools.py:lookup, {name: f, parameters: {}, returns: '{{ q }}'}]"
    tools = toolset(suite(text))
    whole = conversation_identity(tools, tools.conversation, {"q": "hi", "unused": 1})
    assert "/suites" not in str(whole)
    assert whole[-1] == {"q": "hi"}
    write("suites/tools.py", FUNCTIONS + "\n# other code\n")
    changed = toolset(suite(text))
    assert conversation_identity(changed, changed.conversation, {"q": "hi"}) != whole


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        (
            "tools: [{name: f, parameters: {type: strin}, returns: 1}]",
            "5:31: a tool's parameters are a JSON Schema of type object",
        ),
        (
            "tools: [{name: f, parameters: {properties: {a: {type: strin}}}, returns: 1}]",
            "5:31: `parameters`: not a JSON Schema: $.properties.a.type: there is no type",
        ),
        ("tools: [{name: f, parameters: [1], returns: 1}]", "5:31: "),
        (
            "tools: [{name: f, parameters: gone.json, returns: 1}]",
            '5:31: there is no file "gone.json"',
        ),
        (
            "tools: [{name: f, parameters: {}, returns: 1, raises: x}]",
            "5:9: the item: a tool can have only one outcome",
        ),
        ("tools: [{name: f g, parameters: {}, returns: 1}]", "5:16: `name`"),
        (
            "tools: [{parameters: {}, returns: 1}]",
            "5:9: the item: a tool without a `function` needs a `name`",
        ),
        (
            "tools: [{name: f, returns: 1}]",
            "5:9: the item: a tool without a `function` needs `parameters`",
        ),
        (
            "tools: [{name: f, parameters: {}, returns: 1, timeout: 2s}]",
            "5:9: the item: `timeout` and `trusted` apply only to",
        ),
        (
            "tools:\n  - {name: f, parameters: {}, returns: 1}\n  - {name: f, parameters: {}, returns: 2}",
            "7:5: two tools are called `f`",
        ),
        ("tools: gone.py:f", '5:8: there is no file "gone.py"'),
        ("tools: tools.py:lokup", "5:8: tools.py has no function `lokup`; did you mean `lookup`?"),
        ("tools: tools.py", "5:8: a tool's function is a file and a name"),
        ("tools: ../../x.py:f", '5:8: "../../x.py" is outside the workspace'),
        (
            "tools: [{name: f, parameters: {}, returns: '{{ expected }}'}]",
            "5:44: a tool cannot use `expected`",
        ),
        (
            "tools: [{name: f, parameters: {}, returns: '{{ gone }}'}]",
            "3:9: the case `c` has no value for `gone`",
        ),
        ("tools: [{name: f, parameters: {}, returns: '{{'}]", "5:44: in the template"),
        (
            "tools: [{name: f, parameters: {}}]",
            "3:9: the case `c` does not say what the tool `f` returns",
        ),
        (
            "tools: [{name: f, parameters: {}, returns: 1}]\ntool_choice: g",
            '6:14: `tool_choice`: "g" is no tool',
        ),
        ("tool_choice: auto", "5:1: `tool_choice:` has no effect without `tools:`; remove it"),
        ("max_turns: 3", "5:1: `max_turns:` has no effect without `tools:`; remove it"),
        ("tools: [{name: f, parameters: {}, returns: 1}]\nmax_turns: 0", "6:12: `max_turns`"),
        ("tools: []", "5:8: `tools` is empty"),
    ],
)
def test_wrong_tools_are_told_with_their_place(
    problems: Callable[..., list[str]], write: Write, tail: str, said: str
) -> None:
    write("suites/tools.py", FUNCTIONS)
    place, _, text = said.partition(" ")
    found = problems(HEAD + tail)
    assert any(problem.startswith(place) and text in problem for problem in found), found


@pytest.mark.parametrize(
    "grader", ["tool_calls: [f, loookup]", "any: [json, tool_calls: [{loookup: {a: 1}}]]"]
)
def test_a_grader_that_names_no_tool_is_warned_of(suite: Callable[..., Suite], grader: str) -> None:
    tools = "tools: [{name: f, parameters: {}, returns: 1}, {name: lookup, parameters: {}, returns: 1}]\n"
    (warning,) = suite(f"{HEAD}{tools}graders: [{{{grader}, id: g}}]\n").warnings
    assert (
        warning
        == "the eval `s`: the grader `g` names `loookup`, but there is no such tool; did you mean `lookup`?"
    )
    right = grader.replace("loookup", "lookup")
    assert not suite(f"{HEAD}{tools}graders: [{{{right}}}, tool_calls: none]\n").warnings


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "{id: c, vars: {q: hi}, tools: {g: 1}}",
            "3:9: the case `c` names the tool `g`, which does not exist",
        ),
        (
            "{id: c, vars: {q: hi}, turns: ['{{ gone }}']}",
            "3:9: the case `c` has no value for `gone`, which a turn of the case uses",
        ),
        (
            "{id: c, vars: {q: hi}, turns: [{user: hi, graders: [{contains: '{{ gone }}'}]}]}",
            "3:9: the case `c` has no value for `gone`, which the grader `turn-2: contains` uses",
        ),
        ("{id: c, vars: {q: hi}, turns: ['{{ expected }}']}", "3:40: a turn cannot use `expected`"),
        (
            "{id: c, vars: {q: hi}, turns: [{user: hi, graders: [gone]}]}",
            "there is no grader `gone`",
        ),
        ("{id: c, vars: {q: hi}, turns: []}", "3:39: `turns` is empty"),
        (
            "{id: c, vars: {q: hi}, turns: [hi, {graders: json}]}",
            "3:44: the item has no `user`; only the first item of `turns`",
        ),
        (
            "{id: c, vars: {q: hi}, turns: [{graders: json}, {graders: json}]}",
            "3:57: the item has no `user`; only the first",
        ),
        (
            "{id: c, vars: {q: hi}, turns: [{graders: []}]}",
            "3:40: the item has neither `user` nor `graders`; add `user:`",
        ),
        (
            "{id: c, vars: {q: hi}, turns: [{images: a.png, graders: json}]}",
            "3:40: the item has `images` but no text",
        ),
        (
            "{id: c, vars: {q: hi}, turns: [{graders: [{contains: '{{ gone }}'}]}]}",
            "3:9: the case `c` has no value for `gone`, which the grader `turn-1: contains` uses",
        ),
    ],
)
def test_wrong_cases_are_told_with_their_place(
    problems: Callable[..., list[str]], case: str, said: str
) -> None:
    found = problems(HEAD.replace("{id: c, vars: {q: hi}}", case))
    assert any(said in problem for problem in found), found


@pytest.mark.parametrize(
    ("function", "line", "said"),
    [
        ("def f(*names): ...", 1, "cannot be given by name"),
        ("import x\ndef f(a: x.Thing): ...", 2, "the type `x.Thing` has no JSON Schema here"),
        ("def f(a: list[bytes]): ...", 1, "the type `bytes` has no JSON Schema here"),
        ("def f(:", 1, "not Python"),
    ],
)
def test_a_function_without_a_schema_is_told_in_its_file(
    problems: Callable[..., list[str]], write: Write, function: str, line: int, said: str
) -> None:
    write("suites/tools.py", function)
    (problem,) = problems(HEAD + "tools: tools.py:f")
    assert f"tools.py:{line}: " in problem
    assert said in problem
