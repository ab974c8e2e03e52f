"""The files that people have, each with the least text of a suite that takes it; and what is said
of those that are nearly right.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.app.preview import validate_suite
from harness.errors import SuiteError
from harness.suite import Case, Suite, load_suite
from tests.properties import scale_examples

SUITE = """\
suite: s
prompts: [{{user: "{{{{ {variable} }}}}"}}]
cases: {cases}
graders: [{{equals: "{{{{ expected }}}}"}}]
targets: scout-sim
"""
DOCS = Path(__file__).parents[3] / "docs" / "cases.md"
ROWS = [{"question": "1 + 1", "answer": "2"}, {"question": "2 + 3", "answer": "5"}]
CHAT = [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "1 + 1"}]
GSM8K = [{"idx": 7, "question": "1 + 1", "answer": "One more.\n#### 2"}, {"idx": 9, "question": "2 + 3", "answer": "#### 5"}]  # fmt: skip


def lines(rows: list[Any]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def delimited(delimiter: str = ",", header: tuple[str, str] = ("question", "expected")) -> str:
    rows = [header, *((row["question"], row["answer"]) for row in ROWS)]
    return "".join(delimiter.join(row) + "\n" for row in rows)


def spreadsheet(path: Path) -> None:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(csv_cells()):
            sheet.write_row(at, 0, row)


def csv_cells() -> list[list[str]]:
    return [line.split(",") for line in delimited().splitlines()]


SHAPES: list[tuple[str, Any, str]] = [
    # (file, its content, the least `cases:` that takes it)
    ("c.csv", delimited(), "c.csv"),
    ("semicolons.csv", delimited(";"), "semicolons.csv"),
    ("tabs.tsv", delimited("\t"), "tabs.tsv"),
    ("bars.csv", delimited("|"), "bars.csv"),
    ("spaced.csv", delimited(", "), "spaced.csv"),
    ("trailing.csv", delimited().replace("\n", ",\n"), "trailing.csv"),
    ("excel.csv", delimited(";").encode("utf-8-sig"), "excel.csv"),
    ("unicode.csv", delimited("\t").encode("utf-16"), "unicode.csv"),
    ("ansi.csv", delimited().encode("cp1252"), "{file: ansi.csv, encoding: cp1252}"),
    ("packed.csv.gz", gzip.compress(delimited().encode(), mtime=0), "packed.csv.gz"),
    ("titles.csv", delimited(header=("Question", "Expected")), "titles.csv"),
    ("words.csv", delimited(header=("Question Text", "EXPECTED")), "words.csv"),
    ("answers.csv", delimited(header=("question", "answer")), '{file: answers.csv, expected: "{{ answer }}"}'),
    ("own.jsonl", lines([{"vars": {"question": row["question"]}, "expected": row["answer"]} for row in ROWS]), "own.jsonl"),
    ("flat.jsonl", lines(ROWS), '{file: flat.jsonl, expected: "{{ answer }}"}'),
    ("flat.jsonl.gz", gzip.compress(lines(ROWS), mtime=0), '{file: flat.jsonl.gz, expected: "{{ answer }}"}'),
    ("gsm8k.jsonl", lines(GSM8K), """{file: gsm8k.jsonl, id: "{{ idx }}", expected: "{{ answer.split('####')[1] | trim }}"}"""),
    ("array.json", json.dumps(ROWS), '{file: array.json, expected: "{{ answer }}"}'),
    ("wrapped.json", json.dumps({"version": 2, "data": ROWS}), '{file: wrapped.json, expected: "{{ answer }}"}'),
    ("rows.yaml", json.dumps(ROWS), '{file: rows.yaml, expected: "{{ answer }}"}'),
    ("t.parquet", lambda path: duckdb.sql(f"COPY (SELECT unnest(['1 + 1', '2 + 3']) AS question, unnest(['2', '5']) AS expected) TO '{path}'"), "t.parquet"),
    ("book.xlsx", spreadsheet, "book.xlsx"),
    ("evals.jsonl", lines([{"input": [{"role": "user", "content": row["question"]}], "ideal": row["answer"]} for row in ROWS]), "evals.jsonl"),
    ("sft.jsonl", lines([{"messages": [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]} for row in ROWS]),
     '{file: sft.jsonl, vars: {question: "{{ messages[0].content }}"}, expected: "{{ messages[-1].content }}"}'),
]  # fmt: skip


def test_the_docs_show_what_each_shape_needs() -> None:
    page = DOCS.read_text("utf-8").replace("\\|", "|")
    assert [name for name, _, cases in SHAPES if f"`cases: {cases}` |" not in page] == []


def put(folder: Path, name: str, content: Any) -> None:
    if callable(content):
        content(folder / name)
    else:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize(("name", "content", "cases"), SHAPES, ids=[each[0] for each in SHAPES])
def test_each_shape_is_taken_with_little_text(
    suite: Callable[..., Suite], tmp_path: Path, name: str, content: Any, cases: str
) -> None:
    put(tmp_path / "suites", name, content)
    variable = {"titles.csv": "Question", "words.csv": "question_text", "evals.jsonl": "input"}
    loaded = suite(SUITE.format(cases=cases, variable=variable.get(name, "question")))
    found = list(loaded.evals[0].cases)
    assert [case.expected for case in found] == ["2", "5"]
    wanted: list[Any] = [row["question"] for row in ROWS]
    if name == "evals.jsonl":
        wanted = [[{"role": "user", "content": question}] for question in wanted]
    assert [case.vars[variable.get(name, "question")] for case in found] == wanted
    assert found == [loaded.evals[0].cases[at] for at in (0, 1)]


def test_a_mapping_says_what_of_a_row_is_the_case(
    suite: Callable[..., Suite], write: Callable
) -> None:
    rows = [{"n": n, "level": "hard" if n % 2 else "easy", "topics": ["x", f"t{n}"], "Long Name": n} for n in range(20)]  # fmt: skip
    write("suites/r.jsonl", lines(rows))
    cases = """{file: r.jsonl, id: "row-{{ n }}", vars: {q: {of: "{{ n }}", all: ["{{ n + 1 }}", x]}, l: "{{ row['Long Name'] }}"},
        expected: "{{ n * 2 }}", tags: ["{{ topics }}", "{{ level }}"], metadata: {level: "{{ level }}"}, threshold: 0.5,
        where: "{{ level == 'hard' }}", limit: 3}"""
    found = list(suite(SUITE.format(cases=cases, variable="q")).evals[0].cases)
    assert [case.id for case in found] == ["row-1", "row-3", "row-5"]
    folder = found[0].folder
    assert found[1] == Case("row-3", {"q": {"of": 3, "all": [4, "x"]}, "l": 3}, 6, ("x", "t3", "hard"), {"level": "hard"}, 0.5, folder=folder)  # fmt: skip


def test_a_sample_is_the_same_for_the_same_seed_and_changes_little(
    suite: Callable[..., Suite], write: Callable
) -> None:
    def ids(count: int, seed: int, **keys: Any) -> list[str]:
        write(
            "suites/r.csv",
            "id,question,expected\n" + "".join(f"c{n},{n},x\n" for n in range(count)),
        )
        spec = json.dumps({"file": "r.csv", "sample": {"n": 50, "seed": seed}, **keys})
        return [
            case.id for case in suite(SUITE.format(cases=spec, variable="question")).evals[0].cases
        ]

    first = ids(1000, 1)
    assert len(first) == 50
    assert first == sorted(first, key=lambda one: int(one[1:])) == ids(1000, 1)
    assert len(set(first) & set(ids(1000, 2))) < 15
    assert len(set(first) & set(ids(1010, 1))) >= 40
    assert ids(1000, 1, limit=3) == first[:3]
    assert ids(20, 1) == [f"c{n}" for n in range(20)]


TWICE = [{"vars": {"q": 1}, "expected": 1}, {"vars": {"q": 1}, "expected": 1}, {"vars": {"q": 2}}]


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_rows_that_stand_twice_are_numbered_and_said_once(
    suite: Callable[..., Suite], write: Callable, form: str
) -> None:
    rows = {"jsonl": lines(TWICE * 2), "json": json.dumps(TWICE * 2), "csv": "q,expected\n" + "1,1\n1,1\n2,\n" * 2}  # fmt: skip
    write(f"suites/c.{form}", rows[form])
    loaded = suite(SUITE.format(cases=f"c.{form}", variable="q").replace("graders", "#"))
    ids = [case.id for case in loaded.evals[0].cases]
    assert [one.removeprefix(ids[0]) for one in ids[:2]] == ["", "#2"]
    assert [ids[3], ids[4]] == [f"{ids[0]}#3", f"{ids[0]}#4"]
    assert ids[5] == f"{ids[2]}#2"
    (said,) = [each for each in loaded.warnings if "earlier" in each]
    assert f"4 rows repeat an earlier row's id or variables; a number tells them apart, such as `{ids[0]}#2` at" in said  # fmt: skip
    only = suite(SUITE.format(cases=f"c.{form}", variable="q").replace("graders", "#"), filters=(f"id={ids[4]}",))  # fmt: skip
    assert [case.id for case in only.evals[0].cases] == [ids[4]]


def test_rows_that_stand_twice_can_be_dropped_or_refused(
    suite: Callable[..., Suite], problems: Callable[..., list[str]], write: Callable
) -> None:
    write("suites/c.csv", "id,q,expected\na,1,1\na,1,1\nb,2,1\n")
    dropped = suite(SUITE.format(cases="{file: c.csv, duplicates: drop}", variable="q"))
    assert [case.id for case in dropped.evals[0].cases] == ["a", "b"]
    assert dropped.findings[0].endswith("c.csv: 1 duplicate row left out")
    (problem,) = problems(SUITE.format(cases="{file: c.csv, duplicates: refuse}", variable="q"))
    assert "c.csv:3: the case id `a` is already at" in problem
    write("suites/c.csv", "id,q,expected\na,1,1\na,2,1\n")
    (problem,) = problems(SUITE.format(cases="c.csv", variable="q"))
    assert "c.csv:3: the case id `a` is already at" in problem


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ID,q,Tags,Threshold\n1,hello,a;b,1\n", ""),
        ("id,q,treshold\n1,x,1\n", "no prompt and no grader uses the column `treshold`; did you mean `threshold`?"),
        ("id,q,tag\n1,x,1\n", "no prompt and no grader uses the column `tag`; did you mean `tags`?"),
        ("id,q,graders\n1,x,json\n", "`graders` per case needs rows in the harness's own format"),
        ("id,q,turns\n1,x,y\n", "`turns` per case needs"),
        ("id,q,sampling\n1,x,y\n", "`sampling` per case needs"),
        ("id,q,__expected\n1,x,contains:y\n", "write assertions as graders"),
        ("id,q,__expected2\n1,x,contains:y\n", "the column `__expected2`; write assertions as graders"),
        ("id,q,__metadata:level\n1,x,y\n", "next to `file:`, set `metadata:` from a column"),
        ("id,q,__threshold\n1,x,1\n", "name the column `threshold`"),
    ],
)  # fmt: skip
def test_columns_that_are_nearly_right_are_told(
    suite: Callable[..., Suite], write: Callable, content: str, said: str
) -> None:
    write("suites/c.csv", content)
    text = SUITE.format(cases="c.csv", variable="q").replace('equals: "{{ expected }}"', "length: {min: 1}")  # fmt: skip
    loaded = suite(text)
    found = [each for each in loaded.warnings if "c.csv" in each]
    if not said:
        assert list(loaded.evals[0].cases) == [Case("1", {"q": "hello"}, None, ("a", "b"), threshold=1.0, folder=loaded.path.parent)]  # fmt: skip
        assert not found
    else:
        assert len(found) == 1
        assert said in found[0]


def test_validate_says_how_a_file_was_read(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id;Question Text;expected;source;note\n1;a;b;c;d\n", "utf-16")
    path = tmp_path / "s.yaml"
    path.write_text(SUITE.format(cases="c.csv", variable="question_text"))
    (said,) = [line for line in validate_suite(path) if "c.csv" in line]
    assert said.endswith(
        "c.csv: encoding utf-16; delimiter ';'; `Question Text` is `question_text`; no prompt and no"
        " grader uses `source`, `note`"
    )


@pytest.mark.parametrize(
    ("cases", "rows", "said"),
    [
        ("r.jsonl", ROWS, 'r.jsonl:1: unknown key `answer`; put prompt variables under `vars:`; if every key is a variable, write {file: r.jsonl}, or which are: {file: r.jsonl, vars: {question: "{{ question }}"}, expected: "{{ answer }}"}'),
        ("{file: r.jsonl}", ROWS, 'r.jsonl:1); take it from a column with {file: …, expected: "{{ answer }}"}'),
        ("{file: r.jsonl, expected: x}", [{"Question": 1}], "has no value for `question`, which the prompt `prompt` uses; did you mean `Question`?"),
        ('{file: r.jsonl, expected: "{{ anwser }}"}', ROWS, "'anwser' is undefined; did you mean `answer`?; the same in 1 more row"),
        ('{file: r.jsonl, expected: "{{ answer"}', ROWS, "in the template"),
        ('{file: r.jsonl, where: "{{ answer }}"}', ROWS, "`where` is the text \"2\", which is neither true nor false; write a comparison"),
        ('{file: r.jsonl, where: "yes"}', ROWS, "should be one {{ expression }}"),
        ('{file: r.jsonl, where: "{{ false }}"}', ROWS, "no row passes `where`; give at least one"),
        ('{file: r.jsonl, id: "{{ answer * 300 }}"}', ROWS, "should be one line of 1 to 200 printable characters"),
        ("{file: r.jsonl, sheet: a, revision: b}", ROWS, "has `revision`, which applies only to a `dataset`; remove it"),
        ("{file: r.jsonl, python: 'c.py:f'}", ROWS, "must name one source of rows"),
        ("{file: r.jsonl, wher: a}", ROWS, "unknown key `wher`; did you mean `where`?"),
        ("{file: r.jsonl, encoding: klingon}", ROWS, "unknown text encoding 'klingon'"),
        ("{file: r.jsonl, sample: {n: 0}}", ROWS, "should be greater than or equal to 1"),
        ("{file: ../../r.jsonl}", ROWS, "is outside the workspace"),
        ("{file: link.jsonl}", ROWS, "is outside the workspace"),
        ("{file: fifo.jsonl}", ROWS, "is not a regular file"),
        ("{file: zero.jsonl}", ROWS, "is outside the workspace"),
        ("{file: folder.jsonl}", ROWS, "is not a regular file"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_taken_says_why(
    problems: Callable[..., list[str]], tmp_path: Path, cases: str, rows: list[Any], said: str
) -> None:
    folder = tmp_path / "suites"
    put(folder, "r.jsonl", lines(rows))
    (tmp_path.parent / "outside.jsonl").write_bytes(lines(rows))
    (folder / "link.jsonl").symlink_to("../../outside.jsonl")
    (folder / "zero.jsonl").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo.jsonl")
    (folder / "folder.jsonl").mkdir()
    found = problems(SUITE.format(cases=cases, variable="question"))
    assert any(said in problem for problem in found), found


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from(["id", "ID", "vars", "expected", "tags", "threshold", "input", "messages", "ideal", "q", "Q 1", "graders", "turns", "if", "row"])  # fmt: skip


@settings(
    max_examples=scale_examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.dictionaries(KEYS | st.text(max_size=5), VALUES, max_size=5) | VALUES, max_size=4),
    form=st.sampled_from(["{}", "{{file: {}}}", '{{file: {}, vars: {{q: "{{{{ row }}}}"}}, id: "{{{{ id }}}}", tags: "{{{{ tags }}}}", where: "{{{{ q }}}}"}}']),
    suffix=st.sampled_from(["json", "jsonl"]),
)  # fmt: skip
def test_any_rows_are_cases_or_an_error_in_a_sentence(
    tmp_path: Path, rows: list[Any], form: str, suffix: str
) -> None:
    text = json.dumps(rows) if suffix == "json" else lines(rows).decode()
    (tmp_path / f"r.{suffix}").write_text(text)
    (tmp_path / "s.yaml").write_text(SUITE.format(cases=form.format(f"r.{suffix}"), variable="q"))
    try:
        evaluation = load_suite(tmp_path / "s.yaml").evals[0]
        ids = [case.id for case in evaluation.cases]
        assert len(set(ids)) == len(ids) > 0
    except SuiteError as refused:
        assert all(problem.message for problem in refused.problems)


def test_a_flat_file_without_a_mapping_is_told_once(
    problems: Callable[..., list[str]], write: Callable
) -> None:
    write("suites/r.jsonl", lines(ROWS * 100))
    assert len(problems(SUITE.format(cases="r.jsonl", variable="question"))) == 1


@pytest.mark.parametrize(
    "name",
    ["می\u200cخواهم", "क्\u200dष", "👨\u200d👩\u200d👧", "a\u00a0b", "全\u3000角", "soft\u00adhyphen", "ﷺ", "\u200fعربي"],
)  # fmt: skip
def test_names_are_in_any_script(suite: Callable[..., Suite], write: Callable, name: str) -> None:
    write("suites/c.csv", f"id,q,tags,expected\n{name},1,{name};x,1\n")
    loaded = suite(SUITE.format(cases="c.csv", variable="q"))
    (case,) = loaded.evals[0].cases
    assert (case.id, case.tags) == (name, (name, "x"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\u202eb", "a\\u202eb"), ("a\x07b", "a\\u0007b"), ("a\u2028b", "a\\u2028b"), ("\u200d\u200d", "\\u200d\\u200d")],
)  # fmt: skip
def test_what_no_name_may_hold_is_shown_escaped(
    problems: Callable[..., list[str]], write: Callable, name: str, shown: str
) -> None:
    write("suites/c.jsonl", lines([{"id": name, "vars": {"q": 1}, "expected": 1}]))
    (problem,) = problems(SUITE.format(cases="c.jsonl", variable="q"))
    assert f'`id`: should be one line of 1 to 200 printable characters, not "{shown}"' in problem
