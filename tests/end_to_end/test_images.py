"""Images from the suite to the wire, into the run folder and back: sent,
shown, replayed, resumed."""

from __future__ import annotations

import json
import re
import shutil
from base64 import b64decode, b64encode
from collections import Counter
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen

import pytest

from harness.errors import ExitCode
from harness.model.images import images_of
from harness.runs.folder import BLOBS, RECORDS, read_records
from harness.suite import Overrides
from tests.pictures import noise, picture
from tests.support import Command, Simulated

SUITE = """\
suite: seen
prompts:
  - {{user: "What is it?", images: "{{{{ picture }}}}"}}
cases:
  - {{id: large, vars: {{picture: large.png}}}}
  - {{id: small, vars: {{picture: small.jpg}}}}
targets:
  - {{name: t, provider: {provider}, model: "{model}", base_url: "{url}", price: {{input: 1, output: 1}}}}
sampling: {{max_tokens: 8, temperature: 0, seed: 1}}
repeats: 2
"""
SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"


def write_suite(folder: Path, provider: str, simulator: Simulated) -> Path:
    """The suite and its pictures, in a folder."""
    (folder / "large.png").write_bytes(noise())
    (folder / "small.jpg").write_bytes(picture("JPEG"))
    url = simulator.openai if provider == "openai" else simulator.cloudflare
    model = "tiny" if provider == "openai" else SCOUT
    (folder / "s.yaml").write_text(SUITE.format(provider=provider, model=model, url=url))
    return folder / "s.yaml"


@pytest.fixture(params=["openai", "cloudflare"])
def suite(request: pytest.FixtureRequest, simulator: Simulated, tmp_path: Path) -> Path:
    return write_suite(tmp_path, request.param, simulator)


@pytest.fixture(scope="module", params=["openai", "cloudflare"])
def recorded(
    request: pytest.FixtureRequest,
    _simulator_process: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with a suite and a finished `run` of it; not to be changed."""
    simulator = Simulated(_simulator_process)
    simulator.faults()
    folder = tmp_path_factory.mktemp("recorded")
    Command(folder).record(write_suite(folder, request.param, simulator))
    return folder


@pytest.fixture
def run(recorded: Path, simulator: Simulated, tmp_path: Path) -> Path:
    """The finished run, in a copy of that folder."""
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def sent(simulator: Simulated) -> list[tuple[str, bytes]]:
    """(media type, file) of each image received."""
    with urlopen(simulator.base_url + "/ledger", timeout=30) as answer:
        entries = json.load(answer)["entries"]
    found = []
    for entry in entries:
        body = entry["body"] if isinstance(entry["body"], dict) else json.loads(entry["body"])
        for part in body["messages"][0]["content"]:
            if part["type"] == "image_url":
                match = re.fullmatch(r"data:(\S+);base64,(\S+)", part["image_url"]["url"])
                assert match
                found.append((match[1], b64decode(match[2])))
    return found


def test_images_are_sent_kept_once_shown_and_replayed(
    cli: Command, suite: Path, simulator: Simulated, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    records = cli.record(suite)
    wanted = sorted([("image/png", noise()), ("image/jpeg", picture("JPEG"))] * 2)
    assert sorted(sent(simulator)) == wanted
    assert [blob.read_bytes() for blob in (run / BLOBS).iterdir()] == [noise()]
    assert len({record.key for record in records}) == 4

    shown = cli("show", run, "large").out
    assert "[image png 60×60, 10.9 kB]\nWhat is it?" in shown
    assert "[image jpeg 40×30, " in cli("show", run, "small").out

    simulator.forget()
    assert len(cli.record(suite, "again", replay=run, replay_only=True)) == 4
    assert simulator.requests() == []


def test_another_picture_of_the_same_name_is_another_trial(
    cli: Command, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "small.jpg").write_bytes(picture("JPEG", colour="blue"))
    one, two = (
        {(record.case, record.repeat): record.key for record in records}
        for records in (read_records(run), cli.record("s.yaml", "two"))
    )
    assert {who[0] for who in one if one[who] != two[who]} == {"small"}
    resumed = cli("resume", run)
    assert resumed.code == ExitCode.USAGE
    assert "cases" in resumed.err


@pytest.mark.parametrize("how", ["missing", "altered"])
def test_a_lost_image_is_reported_and_never_answered_from(
    cli: Command, run: Path, how: str
) -> None:
    (blob,) = (run / BLOBS).iterdir()
    if how == "missing":
        blob.unlink()
    else:
        blob.write_bytes(picture("PNG"))
    again = cli("run", "s.yaml", "--out", "again", "--replay", run)
    assert f"warning: {blob}: the image" in again.err.replace("\n", "")
    assert "2 reused, 2 new" in again.err + again.out
    assert "its bytes are missing]" in cli("show", run, "large").out


def test_resuming_gives_the_image_back_to_what_is_owed(
    cli: Command, run: Path, simulator: Simulated
) -> None:
    lines = (run / RECORDS).read_bytes().splitlines(keepends=True)
    (run / RECORDS).write_bytes(b"".join(lines[:2]) + lines[2][:50])
    kept = {record.key for record in list(read_records(run))}
    assert cli("resume", run).code == 0
    assert len(simulator.requests()) == 2
    records = {record.key: record for record in read_records(run)}
    assert len(records) == 4
    assert kept < records.keys()


def test_the_report_shows_the_pictures(cli: Command, run: Path) -> None:
    assert cli("report", run).code == 0
    page = (run / "report.html").read_text("utf-8")
    assert f"data:image/jpeg;base64,{b64encode(picture('JPEG')).decode()}" in page
    assert f"data:image/png;base64,{b64encode(noise()).decode()}" in page
    assert "What is it?</pre></details>" in page
    (run / BLOBS / sha256(noise()).hexdigest()).unlink()
    assert "the report cannot show it" in " ".join(cli("report", run).out.split())
    assert "[image png 60×60, its bytes are missing]" in (run / "report.html").read_text("utf-8")


def test_an_image_of_a_later_turn_is_sent_with_all_that_was_said_before(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    (tmp_path / "large.png").write_bytes(noise())
    (tmp_path / "small.jpg").write_bytes(picture("JPEG"))
    text = SUITE.format(provider="openai", model="tiny", url=simulator.openai).replace(
        "repeats: 2", "repeats: 1"
    )
    text = text.replace(
        'images: "{{ picture }}"}',
        'images: "{{ picture }}", turns: [{user: "And?", images: small.jpg}]}',
    )
    (tmp_path / "s.yaml").write_text(text)
    (large,) = (record for record in cli.record("s.yaml") if record.case == "large")
    asked = [images_of(each.request.messages) for each in large.exchanges]
    assert [[image.media_type for image in images] for images in asked] == [
        ["image/png"],
        ["image/png", "image/jpeg"],
    ]
    assert [blob.read_bytes() for blob in (tmp_path / "run" / BLOBS).iterdir()] == [noise()]


def test_a_dry_run_says_what_a_format_cannot_express_and_goes_on(
    cli: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "suite: s\n"
        "prompts: {messages: [{role: system, content: look, images: a.png}, {role: user, content: hi}]}\n"
        "cases: [{id: one}, {id: two}]\n"
        "targets: [{name: t, provider: simulator, model: gemini-2.5-flash, simulator: {api: gemini}}]\n"
    )
    ended = cli("run", suite, "--dry-run")
    assert (ended.code, ended.err) == (ExitCode.OK, "")
    assert (
        ended.out.count(
            "── no request\nnothing would be sent, and the trial would be an error: target t: Gemini accepts no"
        )
        == 2
    )


def test_a_dry_run_describes_images_and_cuts_their_bytes(cli: Command, suite: Path) -> None:
    ended = cli("run", suite, "--dry-run", "--filter", "id=large")
    assert ended.code == 0, ended.err
    assert "[image png 60×60, 10.9 kB]\nWhat is it?" in ended.out
    assert re.search(r"data:image/png;base64,iVBOR[^…]*…\[14,\d+ characters\]", ended.out)
    assert len(ended.out) < 5_000


def test_behind_every_providers_format_the_simulated_model_sees_the_pictures(
    cli: Command, tmp_path: Path
) -> None:
    shutil.copytree(Path(__file__).parents[2] / "evals" / "shapes", tmp_path / "evals" / "shapes")
    apis = {
        "cloudflare": "llama-4-scout",
        "openai": "gpt-4.1",
        "openai-responses": "gpt-4.1",
        "anthropic": "claude-sonnet-4-5",
    }
    targets = [
        f"{{name: {api}, provider: simulator, model: {model}, simulator: {{api: {api}, ttft: 0s, inter_token: 0s}}}}"
        for api, model in (apis | {"gemini": "gemini-2.5-flash"}).items()
    ]
    suite = tmp_path / "s.yaml"
    suite.write_text(
        f"suite: s\nevals: evals/shapes\ntargets: [{', '.join(targets)}]\nsampling: {{temperature: 0, max_tokens: 64}}\n"
    )
    some = Overrides(limit=24, filters=("prompt=plain",))
    records = cli.record(suite, overrides=some)
    seen = Counter(record.target for record in records if record.passed)
    assert seen.keys() == {*apis, "gemini"}
    assert min(seen.values()) >= 12
