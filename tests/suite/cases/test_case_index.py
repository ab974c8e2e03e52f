"""Cases from every kind of source: nothing guessed, every id unique, and a large file read row by
row."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import InfrastructureError
from harness.suite import Case, Suite, load_suite

SUITE = """\
suite: s
prompts: [{{user: "{{{{ q }}}}"}}]
cases:
{cases}
targets: scout-sim
"""


def rows(*cases: object) -> str:
    return "".join(json.dumps(case) + "\n" for case in cases)


def cases_of(suite: Suite) -> list[Case]:
    return list(suite.evals[0].cases)


def test_a_jsonl_file_is_read_row_by_row(suite: Callable[..., Suite], write: Callable) -> None:
    file = write(
        "c.jsonl",
        rows(
            *({"id": f"c{n}", "vars": {"q": n}, "expected": n, "tags": ["t"]} for n in range(1000))
        ),
    )
    cases = suite(SUITE.format(cases="  - ../c.jsonl")).evals[0].cases
    assert len(cases) == 1000
    assert cases[0] == Case("c0", {"q": 0}, 0, ("t",), folder=file.parent)
    assert cases[-1].id == "c999"
    assert [case.id for case in cases[10:13]] == ["c10", "c11", "c12"]
    with pytest.raises(IndexError):
        cases[1000]


def test_rows_of_any_length_and_line_ending_come_back(
    suite: Callable[..., Suite], write: Callable
) -> None:
    texts = ["x" * 10, "y" * 100_000, "é\u2028\u0085z", "z" * 4096]
    lines = [
        json.dumps({"id": f"c{n}", "vars": {"q": text}}, ensure_ascii=False)
        for n, text in enumerate(texts)
    ]
    write("c.jsonl", "\ufeff" + "\r\n\r\n".join(lines))
    assert [
        case.vars["q"] for case in cases_of(suite(SUITE.format(cases="  - ../c.jsonl")))
    ] == texts


def test_integers_past_64_bits_keep_their_digits(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write(
        "c.jsonl", '{"id": "big", "vars": {"q": 1}, "expected": 123456789012345678901234567890}\n'
    )
    assert (
        cases_of(suite(SUITE.format(cases="  - ../c.jsonl")))[0].expected
        == 123456789012345678901234567890
    )


def test_a_csv_cell_is_text_whatever_it_looks_like(
    suite: Callable[..., Suite], write: Callable
) -> None:
    folder = write(
        "c.csv", '\ufeffid,q,expected,tags\n001,NA,1e5,a;b\n1,null,None,\n2,"a, ""b""\nc",,"x y"\n'
    ).parent
    assert cases_of(suite(SUITE.format(cases="  - ../c.csv"))) == [
        Case("001", {"q": "NA"}, "1e5", ("a", "b"), folder=folder),
        Case("1", {"q": "null"}, "None", folder=folder),
        Case("2", {"q": 'a, "b"\nc'}, "", ("x y",), folder=folder),
    ]


def test_a_yaml_file_is_a_list_of_cases(suite: Callable[..., Suite], write: Callable) -> None:
    folder = write(
        "c.yaml",
        "- {id: a, vars: {q: no}, expected: 012}\n- {id: 7, vars: {q: 1}, threshold: 50%}\n",
    ).parent
    assert cases_of(suite(SUITE.format(cases="  - ../c.yaml"))) == [
        Case("a", {"q": "no"}, "012", folder=folder),
        Case("7", {"q": 1}, threshold=0.5, folder=folder),
    ]


def test_sources_are_concatenated_in_the_order_written(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write("a.jsonl", rows({"id": "a", "vars": {"q": 1}}))
    write("b.csv", "id,q\nb,1\n")
    loaded = suite(
        SUITE.format(
            cases="  - {id: one, vars: {q: 1}}\n  - ../a.jsonl\n  - ../b.csv\n  - {id: two, vars: {q: 1}}"
        )
    )
    assert [case.id for case in loaded.evals[0].cases] == ["one", "a", "b", "two"]
    assert [loaded.evals[0].cases[n].id for n in (3, 1, -2)] == ["two", "a", "b"]


def test_a_case_without_an_id_gets_one_that_stays(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write("c.jsonl", rows({"vars": {"q": 1}, "expected": 1}, {"vars": {"q": 2}}))
    first = [case.id for case in cases_of(suite(SUITE.format(cases="  - ../c.jsonl")))]
    write(
        "c.jsonl",
        rows(
            {"vars": {"q": 0}},
            {"vars": {"q": 2}, "tags": ["x"]},
            {"vars": {"q": 1}, "expected": 99},
        ),
    )
    assert [case.id for case in cases_of(suite(SUITE.format(cases="  - ../c.jsonl")))][1:] == first[
        ::-1
    ]


def test_a_case_can_override_sampling_and_graders(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write(
        "c.jsonl",
        rows(
            {
                "id": "a",
                "vars": {"q": 1},
                "sampling": {"temperature": 0},
                "graders": [{"contains": "x"}, "json"],
            }
        ),
    )
    case = cases_of(
        suite(SUITE.format(cases="  - ../c.jsonl\n  - {id: b, vars: {q: 1}, graders: []}"))
    )
    assert case[0].sampling == {"temperature": 0.0}
    assert [(grader.id, grader.arguments) for grader in case[0].graders or ()] == [
        ("contains", {"value": "x"}),
        ("json", {}),
    ]
    assert case[1].graders == ()


def test_two_rows_with_one_id_are_named_both(
    problems: Callable[..., list[str]], write: Callable
) -> None:
    write(
        "c.jsonl",
        rows(
            {"id": "a", "vars": {"q": 1}},
            {"id": "b", "vars": {"q": 2}},
            {"id": "a", "vars": {"q": 3}},
        ),
    )
    (problem,) = problems(SUITE.format(cases="  - ../c.jsonl"))
    assert "c.jsonl:3: the case id `a` is already at " in problem
    assert problem.endswith("c.jsonl:1; give each case a unique id")


def test_an_id_is_unique_across_sources(
    problems: Callable[..., list[str]], write: Callable
) -> None:
    write("c.csv", "id,q\na,1\n")
    (problem,) = problems(SUITE.format(cases="  - ../c.csv\n  - {id: a, vars: {q: 2}}"))
    assert problem.startswith("5:5: the case id `a` is already at")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.jsonl", '{"id": "a", "vars": {"q": 1}}\n{"id": ', "c.jsonl:2: not JSON"),
        ("c.jsonl", "[" * 100_000, "c.jsonl:1: not JSON"),
        (
            "c.jsonl",
            '{"id": "a", "var": {"q": 1}}',
            "c.jsonl:1: unknown key `var`; did you mean `vars`?",
        ),
        (
            "c.jsonl",
            '{"id": "a", "colour": 1}',
            "unknown key `colour`; put prompt variables under `vars:`",
        ),
        ("c.jsonl", '{"id": "a", "vars": {"q": NaN}}', "c.jsonl:1: not JSON"),
        ("c.jsonl", '["a"]', "c.jsonl:1: the value should be a mapping"),
        ("c.jsonl", '{"id": "a", "vars": {}}', "c.jsonl:1: the case `a` has no value for `q`"),
        (
            "c.jsonl",
            '{"vars": {"q": 1}, "threshold": 7}',
            "c.jsonl:1: `threshold`: should be a share between 0 and 1",
        ),
        ("c.jsonl", "\n\n", "4:5: holds no cases"),
        ("c.csv", "", "4:5: holds no cases"),
        ("c.csv", "id,q,q\n1,2,3\n", "c.csv:1: the column name 'q' is empty or not unique"),
        ("c.csv", "id,q\n1\n", "c.csv:2: has 1 cell, but the first line has 2"),
        ("c.csv", b"id,q\n1,\xff\n", "c.csv:2: is not UTF-8; it looks like"),
        ("c.yaml", "id: a", "c.yaml:1:1: a YAML file of cases must be a list"),
        (
            "c.yaml",
            "- {id: a, vars: {q: 1}}\n- {id: b, vars: {q: 1}, expectd: 2}",
            "c.yaml:2:25: unknown key `expectd`",
        ),
        (
            "c.txt",
            "hello",
            "4:5: cases are in .csv, .tsv, .jsonl, .json, .yaml, .parquet or .xlsx files, not in .txt",
        ),
    ],
)
def test_a_bad_row_is_told_with_its_line(
    problems: Callable[..., list[str]], write: Callable, name: str, content: str | bytes, said: str
) -> None:
    write(name, content)
    assert any(said in problem for problem in problems(SUITE.format(cases=f"  - ../{name}")))


def test_a_file_of_nothing_but_mistakes_is_not_read_to_its_end(
    problems: Callable[..., list[str]], write: Callable
) -> None:
    write("c.jsonl", "nonsense\n" * 10_000)
    assert len(problems(SUITE.format(cases="  - ../c.jsonl"))) < 30


def test_a_file_that_changes_under_a_run_is_an_error_not_a_wrong_case(
    suite: Callable[..., Suite], write: Callable
) -> None:
    path = write("c.jsonl", rows({"id": "a", "vars": {"q": 1}}, {"id": "b", "vars": {"q": 2}}))
    cases = suite(SUITE.format(cases="  - ../c.jsonl")).evals[0].cases
    with path.open("r+") as file:
        file.write('{"id": "zzzz"')
    os.utime(path, ns=(1, 1))
    with pytest.raises(InfrastructureError, match=r"c\.jsonl was changed while it was in use"):
        cases[1]


def test_a_file_that_is_replaced_is_still_read_as_it_was(
    suite: Callable[..., Suite], write: Callable
) -> None:
    path = write("c.jsonl", rows({"id": "a", "vars": {"q": 1}}))
    cases = suite(SUITE.format(cases="  - ../c.jsonl")).evals[0].cases
    path.unlink()
    assert cases[0].id == "a"


def test_the_digest_knows_content_not_order(suite: Callable[..., Suite], write: Callable) -> None:
    def digest(*cases: object) -> str:
        write("c.jsonl", rows(*cases))
        return suite(SUITE.format(cases="  - ../c.jsonl")).evals[0].cases.digest

    a, b = {"id": "a", "vars": {"q": 1}}, {"id": "b", "vars": {"q": 2}}
    assert digest(a, b) == digest(b, a)
    assert digest(a, b) != digest(a)
    assert digest(a, b) != digest(a, {"id": "b", "vars": {"q": 3}})


@pytest.mark.process
def test_a_large_jsonl_file_takes_sixteen_bytes_a_case(write: Callable, tmp_path: Path) -> None:
    count = 100_000
    text = "".join(
        f'{{"id":"case-{n}","vars":{{"q":"What is {n} + {n}?"}},"expected":{2 * n}}}\n'
        for n in range(count)
    )
    write("c.jsonl", text)
    path = write("suites/s.yaml", SUITE.format(cases="  - ../c.jsonl"))
    program = (
        "import resource, sys; from pathlib import Path; from harness.suite import load_suite\n"
        "rss = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = rss(); cases = load_suite(Path(sys.argv[1])).evals[0].cases\n"
        f"assert len(cases) == {count} and cases[{count - 1}].expected == {2 * count - 2}\n"
        "print((rss() - before) * 1024)"
    )
    grown = int(subprocess.check_output([sys.executable, "-c", program, str(path)], text=True))
    assert grown < 16 * count + 30 * 2**20, "offsets and hashes, and what loading any suite takes"


def test_loading_leaves_no_file_open(write: Callable) -> None:
    write("c.jsonl", rows({"id": "a", "vars": {"q": 1}}))
    path = write("suites/s.yaml", SUITE.format(cases="  - ../c.jsonl"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        for _ in range(300):
            load_suite(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_case_without_an_id_knows_the_row_it_is_written_in(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write("c.csv", 'id,q\n,one\nown,two\n,"three\nlines"\n')
    write("c.jsonl", rows({"id": "j", "vars": {"q": 4}}) + "\n" + rows({"vars": {"q": 5}}))
    write("c.yaml", "- vars: {q: 6}\n- {id: y, vars: {q: 7}}\n")
    listed = "  - {vars: {q: 8}}\n  - ../c.csv\n  - ../c.jsonl\n  - ../c.yaml"
    loaded = suite(SUITE.format(cases=listed))
    found = [case.row or f"id {case.id}" for case in loaded.evals[0].cases]
    assert found == [
        "suite.yaml:4",
        "c.csv:2",
        "id own",
        "c.csv:5",
        "id j",
        "c.jsonl:3",
        "c.yaml:1",
        "id y",
    ]
