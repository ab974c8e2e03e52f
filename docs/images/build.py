"""Makes the pictures of this folder, and the README's example output, from real runs: python
docs/images/build.py

Everything is run on the built-in simulator in a new workspace; nothing is drawn by hand. The HTML
report is photographed by Chromium, which has to be installed; without it the two terminal pictures
are made and the photograph is left as it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir
from io import BytesIO, StringIO
from pathlib import Path

from PIL import Image, ImageChops
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, RenderableType
from rich.text import Text

import harness
from harness.app.init import write_workspace
from harness.cli.display import LiveDisplay
from harness.cli.terminal import closing_lines
from harness.engine.progress import Progress
from harness.reporters.console import WIDTH, render_console, render_for_terminal

HERE = Path(__file__).parent
README = HERE.parent.parent / "README.md"
COMMAND = "harness run suites/quickstart.yaml"
CASES_SHOWN = 2
"""Failing cases in the picture of the result; a line says how many more the terminal has."""
LIVE_AT = 0.6
"""The share of trials done when the live display is pictured."""
PHOTOGRAPHS = {
    "report.png": "section:has(details), section:has(details) ~ * { display: none }",
    "cases.png": (
        "main > :not(section:has(details)), details:nth-of-type(n + 7) { display: none } h2 {"
        " margin-top: 0 }"
    ),
}
"""The photographs of the report, and the style that hides what each leaves out."""
PAGE = (1380, 2400)
"""Width and height in pixels of the window; the empty rest below the page is cut off."""
MARGIN = 28
COLOURS = 128
EXAMPLE, EXAMPLE_RUN = "suites/support.yaml", "reports/runs/first"
SUITE = re.compile(r"(?<=^```yaml\n)suite: support\n.*?(?=^```$)", re.MULTILINE | re.DOTALL)
OUTPUT = re.compile(
    rf"(?<=^\$ harness run {EXAMPLE} --out {EXAMPLE_RUN}\n).*?(?=^```$)", re.MULTILINE | re.DOTALL
)


def main() -> None:
    """Make every picture and the example, and say what was written."""
    with tempfile.TemporaryDirectory() as workspace, chdir(workspace):
        list(write_workspace(Path()))
        with Photographer() as live:
            outcome = harness.run("suites/quickstart.yaml", display=live)
        write(HERE / "live.svg", terminal(live.frame))
        result = shortened(render_for_terminal(outcome.report, WIDTH, color=True))
        write(HERE / "result.svg", terminal(Text.from_ansi(result)))
        for name, style in PHOTOGRAPHS.items():
            if picture := photograph(outcome.folder / "report.html", style):
                write(HERE / name, picture)
        readme = README.read_text("utf-8")
        output = example(readme)
        write(README, OUTPUT.sub(lambda _: output, readme, count=1))


class Photographer(LiveDisplay):
    """The live display on a terminal nobody sees, which keeps one frame."""

    def __init__(self) -> None:
        super().__init__(Console(file=StringIO(), force_terminal=True, width=WIDTH))
        self.frame: RenderableType = ""

    def begin(self, progress: Progress, budget: float | None) -> None:
        """As a Display does; the moment of the picture is known from here on."""
        super().begin(progress, budget)
        self._moment = int(progress.total.planned * LIVE_AT)

    def tick(self) -> None:
        """Keep the frame of the moment."""
        super().tick()
        if self._progress.total.done == self._moment:
            self.frame = self._build_panel()


def example(readme: str) -> str:
    """The output of the README's suite, run in the current workspace."""
    suite = SUITE.search(readme)
    if suite is None:
        raise SystemExit(f"{README}: no suite named support in a yaml fence")
    Path(EXAMPLE).write_text(suite[0], "utf-8")
    outcome = harness.run(EXAMPLE, out=EXAMPLE_RUN)
    closing = closing_lines(outcome.folder, outcome.stopped, outcome.exit_code)
    return "\n".join([render_console(outcome.report), *closing]) + "\n"


def shortened(report: str) -> str:
    """The report with its first failing cases only; a line says how many are left out."""
    head, heading, rest = report.partition("Failing cases")
    cases, blank, tail = rest.partition("\n\n")
    title, *blocks = re.split(r"\n(?=  \S)", cases)
    hidden = len(blocks) - CASES_SHOWN
    more = f"\n  … {hidden} more here" if hidden > 0 else ""
    return head + heading + "\n".join((title, *blocks[:CASES_SHOWN])) + more + blank + tail


def terminal(content: RenderableType) -> bytes:
    """`content` on a terminal, under the command that printed it, as an SVG
    that fetches nothing."""
    console = Console(record=True, file=StringIO(), width=WIDTH, highlight=False)
    console.print(Text.assemble(("$ ", "green"), (COMMAND, "bold")))
    console.print(content)
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace(
        "Fira Code,", "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono,"
    )
    return console.export_svg(title="", code_format=template, unique_id="harness").encode()


def photograph(page: Path, style: str) -> bytes | None:
    """An HTML page as a PNG, with `style` added to its own; None where there is no Chromium."""
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if browser is None:
        print("no Chromium: the photographs of the report are left as they are", file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory() as folder:
        styled, picture = Path(folder, "page.html"), Path(folder, "page.png")
        styled.write_text(
            page.read_text("utf-8").replace("</style>", f"{style}</style>", 1), "utf-8"
        )
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--hide-scrollbars",
        ]
        options += [
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]
        options += [
            f"--user-data-dir={folder}/profile",
            f"--screenshot={picture}",
            f"--window-size={PAGE[0]},{PAGE[1]}",
        ]
        subprocess.run(
            [browser, *options, styled.as_uri()], check=True, capture_output=True, timeout=120
        )
        return trimmed(picture)


def trimmed(picture: Path) -> bytes:
    """The picture without what is empty below, in few colours, which makes it a third of
    its size."""
    sink = BytesIO()
    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    empty = Image.new("RGB", image.size, image.getpixel((0, 0)))
    filled = ImageChops.difference(image, empty).getbbox() or (0, 0, *image.size)
    image = image.crop((0, 0, image.width, min(image.height, filled[3] + MARGIN)))
    # Maximum coverage keeps the colour of a small mark, which the median cut gives up.
    few = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(sink, "PNG", optimize=True)
    return sink.getvalue()


def write(path: Path, content: bytes | str) -> None:
    """Write a file, and say so."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
