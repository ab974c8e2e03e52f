"""Prompts: inline and in Markdown files, and what each renders to."""

from collections.abc import Callable

import pytest

from harness.config.diagnostics import Problems
from harness.model import Message
from harness.suite import Suite
from harness.suite.prompts import parse_markdown_turns

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
            "p.md:1: `# User` opens no turn; write `# system`, `# user` or `# assistant`",
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
            "  - Say hello to {{ x }}\n"
            "  - nowhere.md\n"
        )
    )
    expected = [
        "3:12: a prompt cannot use `expected`",
        "6:5: the item: has exactly one form",
        "8:5: two prompts have the id `p`",
        "9:5: a bare text names a file; write the prompt as {user: …}",
        '10:5: there is no file "nowhere.md"',
        "12:9: the case `c` gives no value for `y`, which the prompt `p` uses",
    ]
    assert "broken.md:7: in the template: " in "\n".join(found)
    for said in expected:
        assert any(problem.startswith(said) for problem in found), said


def test_a_plain_prompt_is_no_conversation_that_a_cases_turns_could_go_on_with(
    problems: Callable[..., list[str]],
) -> None:
    text = "suite: s\nprompts: [{prompt: '{{ x }}'}]\ncases: [{id: c, vars: {x: 1}, turns: [{user: more}]}]\ntargets: scout-sim\n"
    assert problems(text) == [
        "3:9: the case `c` has `turns`, but the prompt `prompt` is text to be completed; "
        "write that as {user: …}, or leave the turns out"
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
