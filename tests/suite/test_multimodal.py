"""Images of cases: how a prompt shows them, where their files are, and what is refused before the
run."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from harness.errors import InfrastructureError, SuiteError
from harness.model import Image, Message, Text
from harness.suite import Suite, fingerprint_suite, load_suite
from harness.suite.files import MAX_IMAGE_BYTES, ImageFiles
from harness.suite.tools import build_conversation, conversation_identity
from tests.pictures import animated, bomb, picture

Write = Callable[..., Path]

SUITE = """\
suite: s
prompts:
  - {user: "What is it?", images: ["{{ picture }}"]}
cases:
  - {id: one, vars: {picture: "PICTURE"}}
targets: scout-sim
"""


def rendered(suite: Suite, prompt: int = 0, case: int = 0) -> tuple[Message, ...]:
    evaluation = suite.evals[0]
    found = evaluation.cases[case]
    return evaluation.prompts[prompt].render(found.vars, found.folder)


def images(message: Message) -> list[Image]:
    assert not isinstance(message.content, str)
    return [part for part in message.content if isinstance(part, Image)]


def sentences(text: str, write: Write) -> list[str]:
    with pytest.raises(SuiteError) as wrong:
        load_suite(write("suites/s.yaml", text))
    return [f"{problem.line}: {problem.message}" for problem in wrong.value.problems]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("PNG", "a.png"),
        ("JPEG", "a.jpg"),
        ("WEBP", "a.webp"),
        ("GIF", "a.gif"),
        ("JPEG", "misnamed.png"),
    ],
)
def test_a_file_is_what_its_bytes_say(write: Write, kind: str, name: str) -> None:
    content = picture(kind)
    write(f"suites/{name}", content)
    (message,) = rendered(load_suite(write("suites/s.yaml", SUITE.replace("PICTURE", name))))
    (image,) = images(message)
    assert (image.media_type, image.width, image.height) == (f"image/{kind.lower()}", 40, 30)
    assert b64decode(image.data) == content
    assert image.sha256 == sha256(content).hexdigest()
    assert message.content == (image, Text("What is it?"))


def test_a_data_uri_is_an_image_too(write: Write) -> None:
    content = picture("WEBP")
    uri = "data:image/webp;base64," + b64encode(content).decode()
    (message,) = rendered(load_suite(write("suites/s.yaml", SUITE.replace("PICTURE", uri))))
    assert [b64decode(image.data) for image in images(message)] == [content]


def test_a_path_is_relative_to_the_file_that_wrote_it(write: Write) -> None:
    write("evals/e/pictures/of-case.png", picture(colour="blue"))
    write(
        "evals/e/cases.jsonl",
        '{"id": "one", "vars": {"picture": "pictures/of-case.png", "colour": "red"}}\n',
    )
    write("evals/prompts/red.png", picture(colour="red"))
    write(
        "evals/prompts/p.md",
        "# user\n![]({{ picture }})\n![](red.png)\n![]({{ colour }}.png)\nCompare.\n",
    )
    text = "suite: s\nprompts: [../evals/prompts/p.md]\ncases: [../evals/e/cases.jsonl]\ntargets: scout-sim\n"
    found = images(rendered(load_suite(write("suites/s.yaml", text)))[0])
    blue, red = picture(colour="blue"), picture(colour="red")
    assert [b64decode(image.data) for image in found] == [blue, red, red]


def test_in_a_markdown_prompt_an_image_stands_where_its_line_is_in_any_turn(write: Write) -> None:
    write("suites/a.png", picture())
    write(
        "suites/p.md",
        "# system\nLook.\n\n![](a.png)\n\n"
        "# user\nFirst:\n\n![]({{ picture }})\n\nnot ![](here)\n```\n![](a.png)\n```\n"
        "# assistant\n![](a.png)\n",
    )
    text = 'suite: s\nprompts: [p.md]\ncases: [{vars: {picture: "a.png"}}]\ntargets: scout-sim\n'
    system, user, assistant = rendered(load_suite(write("suites/s.yaml", text)))
    (image,) = images(system)
    assert system.content == (Text("Look."), image)
    assert user.content == (Text("First:"), image, Text("not ![](here)\n```\n![](a.png)\n```"))
    assert assistant.content == (image,)


def test_messages_have_images_each_and_a_list_is_several(write: Write) -> None:
    for name in ("a", "b", "c"):
        write(f"suites/{name}.png", picture(size=(10, ord(name))))
    text = """\
suite: s
prompts:
  - messages:
      - {role: user, content: "These?", images: "{{ several }}"}
      - {role: assistant, content: "Yes."}
      - {role: user, content: "And this?", images: [c.png]}
cases: [{vars: {several: [a.png, b.png]}}]
targets: scout-sim
"""
    first, second, third = rendered(load_suite(write("suites/s.yaml", text)))
    assert [image.height for image in images(first)] == [ord("a"), ord("b")]
    assert second.content == "Yes."
    assert [image.height for image in images(third)] == [ord("c")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "is not a png, jpeg, webp or gif"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a png, jpeg, webp or gif"),
        (picture()[:60], "is not a complete PNG file"),
        (picture("JPEG", (300, 300))[:-8], "is not a complete JPEG file: its end is missing"),
        (picture("WEBP", (200, 200))[:-40], "is not a complete WEBP file"),
        (animated(), "is animated"),
        (animated("PNG"), "is animated"),
        (animated("WEBP"), "is animated"),
        (bomb(), "has far too many pixels"),
        (picture(size=(10_000, 5_001)), "has 10,000 × 5,001 pixels; the maximum is 50,000,000"),
        (b"\x89PNG\r\n\x1a\n" + bytes(MAX_IMAGE_BYTES), "it is larger than 20 MiB, the limit here"),
    ],
    ids=[
        "text",
        "svg",
        "cut-png",
        "cut-jpeg",
        "cut-webp",
        "gif",
        "apng",
        "moving-webp",
        "bomb",
        "large",
        "heavy",
    ],
)
def test_what_is_no_image_that_can_be_sent_is_refused_where_the_case_stands(
    write: Write, content: bytes, said: str
) -> None:
    write("suites/a.png", content)
    (sentence,) = sentences(SUITE.replace("PICTURE", "a.png"), write)
    assert sentence.startswith("5: the case `one`: ")
    assert said in sentence


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("b.png", "there is no file"),
        ("../../secret.png", "is outside the workspace"),
        ("/etc/passwd", "is outside the workspace"),
        (".", "is not a regular file"),
        ("https://example.org/a.png", "is a URL, and images are not downloaded"),
        ("data:image/png,abc", "is not a data URI of an image"),
        ("data:image/png;base64,%%%", "is not valid base64"),
        ("data:image/png;base64,aGVsbG8=", "is not a png, jpeg, webp or gif"),
        (
            "data:image/jpeg;base64," + b64encode(picture()).decode(),
            "says image/jpeg, but its bytes are image/png",
        ),
        (" ", "an image must be given as a path or a data URI"),
    ],
)
def test_what_names_no_image_is_refused_where_the_case_stands(
    write: Write, reference: str, said: str
) -> None:
    (sentence,) = sentences(SUITE.replace("PICTURE", reference), write)
    assert sentence.startswith("5: the case `one`: ")
    assert said in sentence


def test_a_link_that_leads_out_of_the_workspace_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "suites/a.png").symlink_to("/etc/passwd")
    assert "is outside the workspace" in sentences(SUITE.replace("PICTURE", "a.png"), write)[0]


def test_a_wrong_image_of_the_prompt_itself_is_said_at_the_prompt(write: Write) -> None:
    write("suites/p.md", "# user\nLook:\n![](gone.png)\n")
    with pytest.raises(SuiteError) as wrong:
        load_suite(
            write(
                "suites/s.yaml",
                "suite: s\nprompts: [p.md]\ncases: [{id: a}, {id: b}]\ntargets: scout-sim\n",
            )
        )
    (problem,) = wrong.value.problems
    assert (Path(problem.path).name, problem.line) == ("p.md", 3)
    assert problem.message == 'there is no file "gone.png"'


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ('{system: "x", images: [a.png]}', "has `images`, which belong to a user's message"),
        (
            "{messages: [{role: user, content: x}], images: [a.png]}",
            "has `images`, which belong to a user's message",
        ),
        ('{user: "x", images: ["{{ expected }}"]}', "a prompt cannot use `expected`"),
        ('{user: "x", images: ["{{ missing }}"]}', "the case `one` has no value for `missing`"),
        ('{user: "x", images: [3]}', "should be text"),
    ],
)
def test_images_in_the_wrong_place_are_refused(write: Write, prompt: str, said: str) -> None:
    write("suites/a.png", picture())
    text = f'suite: s\nprompts:\n  - {prompt}\ncases: [{{id: one, vars: {{picture: "a.png"}}}}]\ntargets: scout-sim\n'
    assert any(said in sentence for sentence in sentences(text, write))


def test_a_missing_variable_hides_no_wrong_image_beside_it(write: Write) -> None:
    text = SUITE.replace(
        '["{{ picture }}"]', '["{{ picture }}", "{{ missing }}", gone.png]'
    ).replace("PICTURE", "absent.png")
    said = sentences(text, write)
    assert said == [
        '3: there is no file "gone.png"',
        '5: the case `one`: there is no file "absent.png"',
        "5: the case `one` has no value for `missing`, which the prompt `prompt` uses;"
        " it has `picture`",
    ]


def test_words_that_would_not_be_sent_are_refused(write: Write) -> None:
    write("suites/a.png", picture())
    write("suites/p.md", "# user\n\n![a red square](a.png)\n")
    with pytest.raises(
        SuiteError, match=r"p.md:3:1: the text in `!\[a red square\]` would not be sent"
    ):
        load_suite(
            write(
                "suites/s.yaml", "suite: s\nprompts: [p.md]\ncases: [{id: a}]\ntargets: scout-sim\n"
            )
        )


def test_what_an_image_holds_is_part_of_what_resuming_compares(write: Write) -> None:
    write("suites/a.png", picture(colour="red"))
    path = write("suites/s.yaml", SUITE.replace("PICTURE", "a.png"))
    before = fingerprint_suite(load_suite(path))
    assert fingerprint_suite(load_suite(path)) == before
    write("suites/a.png", picture(colour="blue"))
    after = fingerprint_suite(load_suite(path))
    assert {axis for axis in before if before[axis] != after[axis]} == {"cases"}


def test_a_file_that_changes_or_goes_while_it_is_in_use_ends_the_run(write: Write) -> None:
    path = write("suites/a.png", picture())
    suite = load_suite(write("suites/s.yaml", SUITE.replace("PICTURE", "a.png")))
    os.utime(path, ns=(1, 1))
    with pytest.raises(InfrastructureError, match=r"a\.png was changed while it was in use"):
        rendered(suite)
    path.unlink()
    with pytest.raises(InfrastructureError, match="no longer is: there is no file"):
        rendered(suite)


def test_few_images_are_kept_in_memory_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.suite.files.CACHED_CHARACTERS", 2_000)
    files = ImageFiles(tmp_path)
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(picture(size=(8, 8 + number)))
        assert files.check(f"{number}.png", tmp_path).height == 8 + number
    assert len(files._kept) < 20
    assert (
        files._size
        == sum(len(name) + len(image.data) for name, image in files._kept.items())
        <= 2_000
    )
    assert files.image("0.png", tmp_path).height == 8


LATER = """\
suite: s
prompts:
  - user: "What is it?"
    turns:
      - {user: "And this?", images: "{{ second }}"}
cases:
  - {id: prompts-own, vars: {second: b.png}}
  - {id: its-own, vars: {second: b.png}, turns: [{user: "Or this?", images: [a.png, "{{ second }}"]}, "Well?"]}
targets: scout-sim
"""


def test_a_later_turn_shows_images_too(write: Write) -> None:
    for name in ("a", "b"):
        write(f"suites/{name}.png", picture(size=(10, ord(name))))
    (evaluation,) = load_suite(write("suites/s.yaml", LATER)).evals
    (prompt,), (first, second) = evaluation.prompts, evaluation.cases
    by_prompt, by_case = (build_conversation(None, prompt, case) for case in (first, second))
    assert by_prompt is not None
    assert by_case is not None
    ((image, said),) = by_prompt.turns
    assert isinstance(image, Image)
    assert (image.height, said) == (ord("b"), Text("And this?"))
    shown, plain = by_case.turns
    assert [part.height for part in shown if isinstance(part, Image)] == [ord("a"), ord("b")]
    assert plain == "Well?"
    assert str(image.data) not in str(conversation_identity(None, by_prompt, {}))
    assert str(image.sha256) in str(conversation_identity(None, by_prompt, {}))
    assert evaluation.image_inventory is not None
    assert evaluation.image_inventory.most is not None
    assert evaluation.image_inventory.most[:2] == (2, "its-own")


def test_a_wrong_image_of_a_later_turn_is_refused_where_it_stands(write: Write) -> None:
    write("suites/b.png", picture())
    (sentence,) = sentences(LATER, write)
    assert sentence == '8: there is no file "a.png"; did you mean `b.png`?'


def test_what_a_later_image_holds_is_part_of_what_resuming_compares(write: Write) -> None:
    for name in ("a", "b"):
        write(f"suites/{name}.png", picture())
    path = write("suites/s.yaml", LATER)
    before = fingerprint_suite(load_suite(path))
    write("suites/a.png", picture(colour="blue"))
    after = fingerprint_suite(load_suite(path))
    assert {axis for axis in before if before[axis] != after[axis]} == {"cases"}
