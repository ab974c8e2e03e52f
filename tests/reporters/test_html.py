"""The HTML page: nothing in it runs, nothing in it is fetched, and it says what it shows."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from html.parser import HTMLParser
from types import ModuleType
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.analysis.report_data import Report
from harness.model import Error, Grade, Image
from harness.reporters import html
from tests.pictures import picture
from tests.properties import scale_examples

FETCHING = {
    "src",
    "href",
    "srcset",
    "action",
    "formaction",
    "data",
    "poster",
    "ping",
    "background",
    "xlink:href",
    "srcdoc",
    "cite",
}
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "footer",
        "section",
        "h1",
        "h2",
        "h4",
        "p",
        "div",
        "span",
    ),
    *(
        "small",
        "b",
        "i",
        "ul",
        "li",
        "dl",
        "dt",
        "dd",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "pre",
    ),
    *("figure", "figcaption", "img", "bdi"),
}


class Page(HTMLParser):
    """Every element and attribute of a page, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_inert(page: bytes) -> None:
    elements = Page(page).elements
    assert {tag for tag, _ in elements} <= TAGS
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in FETCHING & set(attributes):
            assert attributes[name].startswith("data:image/svg+xml;base64,"), (tag, attributes)
        if "style" in attributes:
            assert re.fullmatch(r"[a-z-]+:[\d.a-z%]+(;[a-z-]+:[\d.a-z%]+)*", attributes["style"])
    assert [
        attributes["content"] for tag, attributes in elements if attributes.get("http-equiv")
    ] == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def images(page: bytes) -> list[bytes]:
    return [
        b64decode(attributes["src"].partition(",")[2])
        for tag, attributes in Page(page).elements
        if tag == "img"
    ]


def assert_inert_images(page: bytes) -> None:
    for image in images(page):
        for element in ElementTree.fromstring(image).iter():
            assert not element.tag.endswith(("script", "foreignObject", "image"))
            for name, value in element.attrib.items():
                assert not name.startswith("on")
                assert not name.endswith("href") or value.startswith("#")
        assert not re.search(
            rb"url\((?!#)|@import|javascript:",
            re.sub(rb"<text.*?</text>", b"", image, flags=re.DOTALL),
        )


@pytest.mark.parametrize("share", range(10))
def test_sixty_attacks_do_nothing(
    hostile: Callable[[str], Report], payloads: list[str], full: bool, share: int
) -> None:
    """X01, X20. In shares, because drawing them takes its time: six in one text, or with `--full`
    each alone."""
    assert len(payloads) == 60
    attacks = payloads[share::10]
    for text in attacks if full else [" ".join(attacks)]:
        page = html.render_html(hostile(text))
        assert_inert(page)
        assert_inert_images(page)


@settings(max_examples=scale_examples(12), suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(st.characters(codec=None), max_size=60))
def test_any_text_does_nothing(hostile: Callable[[str], Report], text: str) -> None:
    page = html.render_html(hostile(text))
    assert_inert(page)
    assert_inert_images(page)


def test_what_was_written_can_be_read(hostile: Callable[[str], Report]) -> None:
    page = html.render_page(hostile("<b>&amp; {{ 1 }}</b>"), {})
    assert "<b>&amp; {{ 1 }}</b>" in Page(page).text


def test_an_ordinary_page_is_inert_and_says_what_matters(typical: Report) -> None:
    page = html.render_html(typical)
    assert_inert(page)
    text = Page(page).text
    for part in (
        "support-triage",
        "FAIL",
        "SIMULATED",
        "of 4 gates, 1 failed, 3 held",
        "ticket-010",
        "order statistics",
        "pass_rate >= 0.7",
    ):
        assert part in text
    assert len(images(page)) == 3


def test_a_million_rows_would_not_make_it_larger(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    """M02, M03: what is shown is capped, and the page says so; escaping may make every character
    five."""
    long = "<&>'\"" * 2_000
    records = [
        build.record(
            f"c{case}",
            repeat,
            passed=False,
            setting={"temperature": point},
            exchanges=(build.exchange(build.response(long)),),
        )
        for case in range(201)
        for repeat in range(3)
        for point in range(4)
    ]
    page = html.render_html(compared(records))
    assert len(page) < 20_000_000
    assert b"200 of 201 shown" in page
    assert b"of 10,000 characters" in page


@pytest.mark.parametrize("count", [0, 1])
def test_a_page_of_next_to_nothing_is_a_page(
    build: ModuleType, compared: Callable[..., Report], count: int
) -> None:
    assert_inert(html.render_html(compared([build.record()] * count, planned=9)))


def without_plots(report: Report) -> str:
    """The page without what takes most of its time."""
    return html.render_page(report, {}).decode()


def pictured(comparison: Report, *images: Image) -> str:
    rows = (replace(comparison.cases[0], images=images), *comparison.cases[1:])
    return without_plots(replace(comparison, cases=rows))


def test_a_cases_pictures_stand_beside_its_answers(typical: Report) -> None:
    data = b64encode(picture()).decode()
    page = pictured(
        typical, Image("image/png", data, 40, 30), Image("image/webp", "", 900, 600, "0" * 64)
    )
    assert f'<img alt="40 × 30 pixels" src="data:image/png;base64,{data}">' in page
    assert "[image webp 900×600, its bytes are missing]" in page
    assert page.count("<figcaption>[image") == 1


@pytest.mark.parametrize(
    "image",
    [
        Image("image/svg+xml", "PHN2Zz4="),
        Image("text/html", "PGI+"),
        Image('image/png" onerror="x', "AAAA"),
        Image("image/png", 'AAAA"><script>alert(1)</script>'),
        Image("image/png", "https://example.org/a.png"),
    ],
)
def test_what_is_no_picture_is_described_and_never_shown(typical: Report, image: Image) -> None:
    page = pictured(typical, image)
    assert "<figcaption>[image" in page
    assert page.count("<img") == without_plots(typical).count("<img")
    assert "<script" not in page


def test_costs_come_before_what_is_left_out_on_paper(typical: Report) -> None:
    page = without_plots(typical)
    titles = re.findall(r'<th class="([^"]*)" title="[^"]*">([^<]+)</th>', page)
    extra = [" extra" in classes for classes, _ in titles]
    assert extra == sorted(extra)
    assert {"cost", "cost/1,000 req"} <= {
        title for classes, title in titles if "extra" not in classes
    }
    assert f"Not on paper: {', '.join(t for c, t in titles if 'extra' in c)}." in page


def test_a_case_shows_its_input_and_the_prompt_that_was_sent(asked: Report) -> None:
    page = without_plots(asked)
    case = page[page.index("<details open>") :]
    places = [case.index(text) for text in ("cases.csv:17", "Where is parcel #42?", "Sort mails.")]
    assert places == sorted(places)
    assert "&lt;b&gt;I paid&lt;/b&gt;" in case


def test_each_outcome_has_a_mark_of_its_own(
    build: ModuleType, compared: Callable[..., Report]
) -> None:
    unsure = Grade("judge", None, error=Error("grader", "unreadable", "no verdict in it"))
    records = [
        build.record("passed"),
        build.record("failed", passed=False),
        build.record("mixed"),
        build.record("mixed", 1, passed=False),
        build.errored("broken"),
        build.record("ungraded", passed=None, grades=(unsure,)),
        build.record("unjudged", passed=None, grades=(Grade("label", "a label"),)),
    ]
    page = without_plots(compared(records))
    marks = {
        name: re.findall(r'<i class="mark (\w+)" title=', rest)[0]
        for name, rest in re.findall(
            r'<summary><span class="name"><bdi>(\w+)<(.*?)</summary>', page, re.DOTALL
        )
    }
    assert marks == {
        "passed": "pass",
        "failed": "fail",
        "mixed": "mixed",
        "broken": "error",
        "ungraded": "ungraded",
        "unjudged": "none",
    }
    legend = re.findall(r'<span><i class="mark (\w+)"></i>([^<]+)</span>', page)
    assert dict(legend) == html.MOODS
    shapes = [re.search(rf"\.mark\.{mood} {{([^}}]*)}}", page) for mood in html.MOODS]
    assert len({shape and shape[1] for shape in shapes}) == len(html.MOODS)


def test_a_narrow_page_names_every_cell_by_its_column(typical: Report) -> None:
    page = without_plots(typical)
    cells = re.findall(r"<td[ >][^>]*", page)
    assert cells and all("data-title=" in cell for cell in cells)
