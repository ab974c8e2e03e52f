"""Prompts: inline and in Markdown files, and what each renders to."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.app.prepare import prepare
from harness.config.diagnostics import Place, Problems
from harness.config.templates import TemplateError
from harness.model import Message
from harness.suite import Suite
from harness.suite.prompts.markdown_turns import parse_markdown_turns
from harness.suite.prompts.prompt_function import PromptFunction

SUITE = """\
suite: s
prompts:
{prompts}
cases: [{{id: c, vars: {{x: hello}}}}]
targets: scout-sim
"""


def turns(text: str) -> list[tuple[str, str, int | None]]:
    problems = Problems()
    found = [
        (turn.role, turn.text, turn.place.line)
        for turn in parse_markdown_turns(text, "p.md", problems)
    ]
    problems.raise_any()
    return found


def test_headings_open_turns_and_blank_lines_around_them_are_layout() -> None:
    text = "# system\n\nBe brief.\n\nVery.\n\n# user\n\n{{ x }}\n\n# assistant\nOK:\n"
    assert turns(text) == [
        ("system", "Be brief.\n\nVery.", 3),
        ("user", "{{ x }}", 9),
        ("assistant", "OK:", 12),
    ]


def test_a_file_without_headings_is_one_user_turn() -> None:
    assert turns("\nJust {{ x }}.\n") == [("user", "Just {{ x }}.", 2)]


def test_a_heading_inside_a_fenced_block_is_text() -> None:
    assert turns("# user\nRun:\n```sh\n# user\nls\n```\n# assistant\nyes") == [
        ("user", "Run:\n```sh\n# user\nls\n```", 2),
        ("assistant", "yes", 8),
    ]


def test_other_headings_are_text() -> None:
    assert turns("# user\n# Background\n## user\ntext") == [
        ("user", "# Background\n## user\ntext", 2)
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "# User\nhi",
            "p.md:1: `# User` is not a turn; write `# system`, `# user` or `# assistant`",
        ),
        ("hello\n# user\nhi", "p.md:1: text before the first heading"),
        ("# system\n\n# user\nhi", "p.md:1: the system turn is empty"),
        ("", "p.md:1: the user turn is empty"),
    ],
)
def test_a_file_that_is_no_prompt_is_refused(text: str, said: str) -> None:
    problems = Problems()
    list(parse_markdown_turns(text, "p.md", problems))
    assert any(str(problem).startswith(said) for problem in problems._found)


def test_inline_turns_render_in_conversation_order(suite: Callable[..., Suite]) -> None:
    loaded = suite(
        SUITE.format(
            prompts="  - {id: p, user: 'Say {{ x }}', system: Be brief., assistant: 'I say:'}"
        )
    )
    (prompt,) = loaded.evals[0].prompts
    assert prompt.render({"x": "hello"}) == (
        Message("system", "Be brief."),
        Message("user", "Say hello"),
        Message("assistant", "I say:"),
    )


def test_messages_are_any_conversation(suite: Callable[..., Suite]) -> None:
    prompts = "  - messages: [{role: user, content: hi}, {role: assistant, content: ho}, {role: user, content: '{{ x }}'}]"
    messages = suite(SUITE.format(prompts=prompts)).evals[0].prompts[0].render({"x": "3"})
    assert [(message.role, message.content) for message in messages] == [
        ("user", "hi"),
        ("assistant", "ho"),
        ("user", "3"),
    ]


def test_a_file_prompt_is_named_for_its_file_and_inline_ones_are_numbered(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write("prompts/v2.md", "# user\n{{ x }}\n")
    loaded = suite(
        SUITE.format(
            prompts="  - {user: a}\n  - ../prompts/v2.md\n  - {user: b}\n  - {id: own, file: ../prompts/v2.md}"
        )
    )
    assert [prompt.id for prompt in loaded.evals[0].prompts] == ["prompt", "v2", "prompt-3", "own"]


def test_a_bare_text_is_the_users_turn_and_every_kind_of_file_a_prompt(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write("prompts/b.md", "# developer\nBe brief.\n# user\n{{ x }}\n")
    write("prompts/a.jinja", "{% if x %}Say {{ x }}{% endif %}")
    write("prompts/plain.txt", "Plain {{ x }}\n")
    few_shot = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "one: {{ x }}"}]
    write("prompts/list.json", json.dumps(few_shot))
    write("prompts/object.json", json.dumps({"messages": few_shot}))
    loaded = suite(
        SUITE.format(
            prompts="""
  - "Summarise: {{ x }}"
  - Say hello.
  - hello
  - |
    Read a.md
    and b.txt
  - ../prompts/[ab].*
  - ../prompts/plain.txt
  - ../prompts/list.json
  - {id: own, file: ../prompts/object.json}
"""
        )
    )
    rendered = {
        prompt.id: [(each.role, each.content) for each in prompt.render({"x": "X"})]
        for prompt in loaded.evals[0].prompts
    }
    shots = [("user", "1"), ("assistant", "one: X")]
    assert rendered == {
        "prompt": [("user", "Summarise: X")],
        "prompt-2": [("user", "Say hello.")],
        "prompt-3": [("user", "hello")],
        "prompt-4": [("user", "Read a.md\nand b.txt\n")],
        "a": [("user", "Say X")],
        "b": [("developer", "Be brief."), ("user", "X")],
        "plain": [("user", "Plain X")],
        "list": shots,
        "own": shots,
    }


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.json", "[{]", "p.json:1:3: not JSON"),
        ("p.json", '{"role": "user"}', "p.json: unknown key `role`"),
        ("p.json", "[]", "p.json: `messages` is empty"),
        ("p.json", '[{"role": "robot", "content": "x"}]', "p.json: `role` should be 'system'"),
        ("p.json", '[{"role": "user", "content": 1}]', "p.json: `content` should be text"),
        ("p.json", '"text"', "p.json: the value should be a mapping"),
        (
            "p.json",
            '[{"role": "user", "content": "{{ x }"}]',
            "p.json: message 1: in the template: ",
        ),
        ("p.md", b"\xff", "p.md is not UTF-8"),
        ("q.md", "x", 'no file matches the pattern "p*.md"'),
    ],
)
def test_a_file_that_is_no_prompt_says_why(
    problems: Callable[..., list[str]], write: Callable, name: str, content: str, said: str
) -> None:
    write(f"suites/{name}", content)
    item = name if name[0] == "p" else "p*.md"
    assert said in "\n".join(problems(SUITE.format(prompts=f"  - {item}")))


def test_a_comment_that_looks_like_text_is_a_warning_with_its_line(
    suite: Callable[..., Suite], tmp_path: Path
) -> None:
    loaded = suite(
        SUITE.format(prompts="  - user: |\n      {# meant #}\n      {#a} red and {#b#} {{ x }}")
    )
    (warning,) = [each for each in loaded.warnings if "comment" in each]
    assert warning == (
        f'{tmp_path / "suites" / "suite.yaml"}:5: "{{#a}} red and {{#b#}}" is a comment, which is'
        " not sent; to send it, put it between `{% raw %}` and `{% endraw %}`"
    )


NESTED = """\
suite: s
prompts:
{prompt}
cases:
  - {{id: good, vars: {{user: {{name: Ada, age: 3}}, xs: [1]}}}}
  - {{id: bad, vars: {{user: {{nick: Bo, age: x}}, xs: null}}}}
targets: scout-sim
"""


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (
            "  - user: 'Greet {{ user.name }}'",
            "does not fit the prompt `prompt` ({path}:3:11): there is no key `name`; the keys are"
            " `nick`, `age`",
        ),
        (
            "  - {user: hi, system: 'You are {{ user.name }}'}",
            "does not fit the prompt `prompt` ({path}:3:24): there is no key `name`",
        ),
        (
            "  - {user: hi, turns: ['ok', 'And {{ user.name }}?']}",
            "does not fit a turn of the prompt `prompt` ({path}:3:30): there is no key `name`",
        ),
        ("  - user: '{{ xs[0] }}'", "null has no `0`"),
        ("  - user: '{{ user.age + 1 }}'", "the template failed: TypeError"),
        ("  - user: '{{ 1 / (user.age | length - 1) }}'", "the template failed: "),
        ("  - user: '{% for x in xs %}{{ x }}{% endfor %}'", "`for` needs a list, not null"),
        ("  - prompt: '{{ user.name }}'", "there is no key `name`"),
        ("  - |\n    hello\n    {{ user.name }}", "(SUITE:5): there is no key `name`"),
    ],
)
def test_a_case_that_a_template_cannot_take_is_told_before_the_run(
    problems: Callable[..., list[str]], tmp_path: Path, prompt: str, said: str
) -> None:
    found = problems(NESTED.format(prompt=prompt))
    path = str(tmp_path / "suites" / "suite.yaml")
    line = 6 + prompt.count("\n")
    told = [each for each in found if each.startswith(f"{line}:5: the case `bad` ")]
    assert any(said.replace("{path}", path).replace("SUITE", path) in each for each in told), found


def test_a_case_can_be_asked_in_some_prompts_only(
    suite: Callable[..., Suite], problems: Callable[..., list[str]]
) -> None:
    text = """\
suite: s
prompts: [{id: v1, user: '{{ q }}'}, {id: v2, user: '{{ q }} {{ note.text }}'}]
cases:
  - {id: both, vars: {q: a, note: {text: b}}}
  - {id: old, vars: {q: a}, prompts: v1}
  - {id: new, vars: {q: a, note: {text: c}}, prompts: [v2]}
targets: scout-sim
repeats: 2
"""
    with prepare(suite(text), {}, live=False) as ready:
        trials = [each.identity for each in ready.plan.trials(ready.targets[0])]
        assert sorted({(each.case, each.prompt) for each in trials}) == [
            ("both", "v1"), ("both", "v2"), ("new", "v2"), ("old", "v1"),
        ]  # fmt: skip
        assert len(trials) == len(ready.plan) == 8
        assert ready.plan.arithmetic == (
            "4 of (2 prompts × 3 cases) × 1 target × 1 setting × 2 repeats = 8 requests"
        )
    with prepare(suite(text, filters=("prompt=v2",)), {}, live=False) as ready:
        assert len(list(ready.plan.trials(ready.targets[0]))) == len(ready.plan) == 4
    (found,) = problems(text.replace("prompts: v1", "prompts: [v1, v3]"))
    assert (
        found
        == "5:5: the case `old` names the prompt `v3`, which does not exist; choose from `v1`, `v2`"
    )


BUILD = """\
import os, time
calls = 0

def build(variables):
    global calls
    calls += 1
    print("noise")
    if variables["x"] == "messages":
        return [{"role": "system", "content": "s"}, {"role": "user", "content": str(calls)}]
    if variables["x"] == "none":
        return None
    if variables["x"] == "dies":
        os._exit(3)
    if variables["x"] == "raises":
        raise KeyError("no such thing")
    if variables["x"] == "keys":
        return str([name for name in os.environ if "KEY" in name])
    return "Say " + variables["x"]
"""
CODE = "suite: s\nprompts: {{python: 'prompts.py:build'}}\ncases:\n{cases}\ntargets: scout-sim\n"


@pytest.mark.process
def test_a_function_builds_prompts_in_a_process_without_keys(
    suite: Callable[..., Suite], write: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "12345678")
    write("suites/prompts.py", BUILD)
    cases = "\n".join(f"  - {{id: {x}, vars: {{x: {x}}}}}" for x in ("hi", "messages", "keys"))
    with prepare(suite(CODE.format(cases=cases)), {}, live=False) as ready:
        trials = {each.identity.case: each for each in ready.plan.trials(ready.targets[0])}
        again = {each.identity.case: each.key for each in ready.plan.trials(ready.targets[0])}
    asked = {
        name: [(each.role, each.content) for each in trial.request.messages]
        for name, trial in trials.items()
    }
    assert asked == {
        "hi": [("user", "Say hi")],
        "messages": [("system", "s"), ("user", "2")],
        "keys": [("user", "[]")],
    }
    assert again == {name: trial.key for name, trial in trials.items()}
    assert trials["hi"].identity.prompt == "build"


@pytest.mark.process
def test_a_function_that_builds_no_prompt_is_told_with_the_case(
    problems: Callable[..., list[str]], write: Callable
) -> None:
    write("suites/prompts.py", BUILD)
    names = ("none", "raises", "dies", "hi")
    cases = "\n".join(f"  - {{id: {x}, vars: {{x: {x}}}}}" for x in names)
    found = problems(CODE.format(cases=cases))
    for line, said in enumerate(
        (
            "the function did not return a prompt: a conversation is a list of turns",
            "the function failed: KeyError: 'no such thing' (prompts.py:15)",
            "the function did not return a prompt: its process ended",
        ),
        start=4,
    ):
        assert any(each.startswith(f"{line}:5: ") and said in each for each in found), found
    assert len(found) == 3
    for reference, said in (
        ("prompts.py:nope", "the file has no function `nope`"),
        ("none.py:build", "there is no file"),
        ("prompts", "name a Python file and a function in it"),
    ):
        text = CODE.format(cases="  - {id: a}").replace("prompts.py:build", reference)
        assert said in problems(text)[0]


@pytest.mark.process
def test_a_function_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "slow.py"
    file.write_text("import time\ndef build(variables):\n    time.sleep(60)\n")
    slow = PromptFunction(file, "build", "slow.py:build", Place("s.yaml", 2), seconds=0.5)
    with pytest.raises(TemplateError, match=r"it took longer than 0\.5 s"):
        slow.messages({})


def test_graders_of_every_case_are_graders(suite: Callable[..., Suite]) -> None:
    text = """\
suite: s
prompts: hi
cases: [{id: a, graders: [json]}, {id: b, turns: [{user: x, graders: [json]}]}, {id: c}]
targets: scout-sim
"""
    said = "the eval `s` has no graders: the answers to 1 case get no verdict"
    assert said in suite(text).warnings
    assert not suite(text.replace(", {id: c}", "")).warnings


def test_what_a_prompt_cannot_be_is_told_where_it_stands(
    problems: Callable[..., list[str]], write: Callable
) -> None:
    write("prompts/broken.md", "# system\nok\n\n# user\n\nline one\n{% if %}\n")
    found = problems(
        SUITE.format(
            prompts="  - {user: 'The answer is {{ expected }}'}\n"
            "  - {file: ../prompts/broken.md}\n"
            "  - {id: p, user: '{{ y }}'}\n"
            "  - {id: p, user: a, file: b.md}\n"
            "  - {system: 'x'}\n"
            "  - {id: p, user: '{{ x }}'}\n"
            "  - nowhere.md\n"
        )
    )
    expected = [
        "3:12: a prompt cannot use `expected`",
        "6:5: the item: must have exactly one form",
        "8:5: two prompts have the id `p`",
        '9:5: there is no file "nowhere.md"',
        "11:9: the case `c` has no value for `y`, which the prompt `p` uses",
    ]
    assert "broken.md:7: in the template: " in "\n".join(found)
    for said in expected:
        assert any(problem.startswith(said) for problem in found), said


def test_a_plain_prompt_is_no_conversation_that_a_cases_turns_could_go_on_with(
    problems: Callable[..., list[str]],
) -> None:
    text = "suite: s\nprompts: [{prompt: '{{ x }}'}]\ncases: [{id: c, vars: {x: 1}, turns: [{user: more}]}]\ntargets: scout-sim\n"
    assert problems(text) == [
        "3:9: the case `c` has `turns`, but the prompt `prompt` is plain text to complete; "
        "write the prompt as {user: …}, or remove the turns"
    ]


def test_a_plain_prompt_renders_to_text_and_no_messages(suite: Callable[..., Suite]) -> None:
    (prompt,) = (
        suite(SUITE.format(prompts="  - {prompt: 'Say {{ x }}', raw: true}")).evals[0].prompts
    )
    assert (prompt.render({"x": "hello"}), prompt.render_text({"x": "hello"}), prompt.raw) == (
        (),
        "Say hello",
        True,
    )
    assert prompt.variables == {"x"}


def test_a_list_or_mapping_in_a_text_is_warned_of_once(suite: Callable[..., Suite]) -> None:
    found = suite("""\
suite: s
prompts:
  - id: chat
    user: |
      Continue:
      {{ input }}
  - {id: data, user: "{{ q }} {{ r }} {{ l }}", turns: ["And {{ r }}?"]}
  - {id: meant, user: "{{ r | tojson }} {{ r.a }} {% for e in l %}{{ e }}{% endfor %}"}
cases:
  - {id: a, vars: {input: [{role: user, content: hi}], q: x, r: {a: 1}, l: [1]}}
  - {id: b, vars: {input: [{role: user, content: ho}], q: x, r: {a: 2}, l: [2]}}
graders: {length: {min: 1}}
targets: scout-sim
""")
    told = [each.partition("suite.yaml:")[2] for each in found.warnings if "as JSON text" in each]
    assert sorted(told) == [
        "6: the prompt `chat` sends the list of turns `input` as JSON text; to send the turns"
        ' themselves, write the prompt as `messages: "{{ input }}"`',
        "7:22: the prompt `data` sends the list `l` as JSON text; write `{{ l | tojson }}` if that is"
        " meant, else such as `{{ l | join(', ') }}`",
        "7:22: the prompt `data` sends the mapping `r` as JSON text; write `{{ r | tojson }}` if that"
        " is meant, else such as `{{ r.KEY }}`",
        "7:57: the prompt `data` sends the mapping `r` as JSON text; write `{{ r | tojson }}` if that"
        " is meant, else such as `{{ r.KEY }}`",
    ]
