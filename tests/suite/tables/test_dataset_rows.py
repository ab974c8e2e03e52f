"""Data sets in folders on disk, in the two forms they have there; the Hub itself is not asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from harness.suite import Suite, describe_suite

SUITE = """\
suite: s
prompts: [{{user: "{{{{ question }}}}"}}]
cases: {cases}
graders: [{{equals: "{{{{ expected }}}}"}}]
targets: scout-sim
"""


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set as `save_to_disk` writes it, with two splits."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = {"question": ["1 + 1", "2 + 3"], "answer": ["2", "5"], "label": [0, 1]}
    features = datasets.Features(
        question=datasets.Value("string"),
        answer=datasets.Value("string"),
        label=datasets.ClassLabel(names=["easy", "hard"]),
    )
    test = datasets.Dataset.from_dict(rows, features=features)
    folder = tmp_path / "suites" / "data"
    datasets.DatasetDict({"train": test.select([0]), "test": test}).save_to_disk(folder)
    return folder


def test_a_saved_data_set_is_read_by_its_folder(
    suite: Callable[..., Suite], write: Callable[..., Path], saved: Path
) -> None:
    text = SUITE.format(
        cases='{dataset: "hf:./data", expected: "{{ answer }}", tags: "{{ label }}"}'
    )
    loaded = suite(text)
    cases = loaded.evals[0].cases
    assert [(case.vars["question"], case.expected, case.tags) for case in cases] == [
        ("1 + 1", "2", ("easy",)),
        ("2 + 3", "5", ("hard",)),
    ]
    assert cases[1].row == "data:2"
    (source,) = describe_suite(loaded)["evals"][0]["case_sources"]
    assert (source["dataset"], source["split"]) == ("hf:./data", "test")
    assert source["fingerprint"]
    (train,) = suite(text.replace('hf:./data"', 'hf:./data", split: train')).evals[0].cases
    assert train.expected == "2"


def test_a_folder_of_files_is_a_data_set_too(
    suite: Callable[..., Suite], write: Callable[..., Path], saved: Path
) -> None:
    write("suites/files/test.jsonl", "".join(json.dumps({"question": n, "expected": n}) + "\n" for n in (1, 2)))  # fmt: skip
    loaded = suite(SUITE.format(cases='{dataset: "hf:./files", limit: 1}'))
    assert [case.expected for case in loaded.evals[0].cases] == [1]


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ('{dataset: "hf:./data", split: tset}', "has no split `tset`; did you mean `test`?"),
        ('{dataset: "hf:./gone"}', "there is no file"),
        ('{dataset: "hf:./../../x"}', "is outside the workspace"),
        ('{dataset: "openai/gsm8k"}', "write a data set as hf:owner/name"),
        ('{dataset: "hf:./empty"}', "the data set cannot be read"),
    ],
)
def test_what_is_no_data_set_is_refused(
    problems: Callable[..., list[str]], saved: Path, cases: str, said: str
) -> None:
    (saved.parent / "empty").mkdir()
    found = problems(SUITE.format(cases=cases))
    assert any(said in problem for problem in found), found
