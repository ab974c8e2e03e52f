"""The schema of a file of cases: where its rows are, and how a row becomes a case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from harness.config.fields import OneOrMore, SuiteModel
from harness.config.units import Text, Whole

PLACES = ("file", "dataset", "python")
"""Where rows may be; the keys that tell a file of cases from a case."""


class SampleSpec(SuiteModel):
    """Some rows at random, the same ones for the same seed."""

    n: Annotated[Whole, Field(ge=1)] = Field(description="How many rows.")
    seed: Whole = Field(0, description="A different seed selects different rows.")


class CaseFileSpec(SuiteModel):
    """Rows of a file, of a data set or from a function, and what of each row makes a case."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [place]} for place in PLACES]}
    )  # else editors take a case for a file of cases, too
    unknown_key_hint: ClassVar[str] = "put what a prompt uses under `vars:`"
    misplaced_keys: ClassVar[Mapping[str, str]] = {
        "graders": "graders are the eval's; a row of our own form may have graders of its own",
        "assert": "graders are the eval's, under `graders:`",
    }

    file: Text | None = Field(
        None, description="A .csv, .tsv, .jsonl, .json, .yaml, .parquet or .xlsx file."
    )
    dataset: Text | None = Field(
        None, description="A data set: hf:owner/name on the Hub, or hf:./folder on disk."
    )
    python: Text | None = Field(None, description="A function that yields rows: cases.py:generate.")
    config: Text | None = Field(None, description="The data set's configuration.")
    split: Text | None = Field(None, description="The data set's split; default: test.")
    revision: Text | None = Field(None, description="The data set's commit, branch or tag.")
    encoding: Text | None = Field(None, description="The file's text encoding; default: UTF-8.")
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="The character that separates cells; default: detected."
    )
    sheet: Text | None = Field(None, description="The spreadsheet's sheet; default: the first.")
    records: Text | None = Field(None, description="The key that holds the rows.")
    id: Any = Field(None, description="The case's id; a template over the row's columns.")
    vars: dict[str, Any] | None = Field(
        None, description="Its variables, each a template; default: every column is one."
    )
    expected: Any = Field(None, description="The expected answer; a template.")
    tags: Annotated[list[Any], OneOrMore] | None = Field(
        None, description="Its tags; templates, where a list gives several tags."
    )
    metadata: dict[str, Any] | None = Field(None, description="Its metadata; templates.")
    threshold: Any = Field(None, description="The minimum score to pass; a template.")
    where: Text | None = Field(
        None, description='Which rows are taken: {{ level == "hard" }}, true or false.'
    )
    limit: Annotated[Whole, Field(ge=1)] | None = Field(
        None, description="The maximum number of rows to take."
    )
    sample: SampleSpec | None = Field(None, description="Take a random sample of the rows.")
    duplicates: Literal["keep", "refuse", "drop"] = Field(
        "keep", description="What to do with duplicate rows: keep (numbered), refuse or drop them."
    )

    @property
    def kind(self) -> str:
        """The key that says where the rows are."""
        return next(key for key in PLACES if getattr(self, key) is not None)

    @model_validator(mode="after")
    def _one_place(self) -> CaseFileSpec:
        given = [key for key in PLACES if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError("must name one source of rows: `file`, `dataset` or `python`")
        only = {"dataset": ("config", "split", "revision"), "file": _OF_FILES}
        for place, keys in only.items():
            wrong = [key for key in keys if place != given[0] and getattr(self, key) is not None]
            if wrong:
                raise ValueError(f"has `{wrong[0]}`, which applies only to a `{place}`; remove it")
        return self


_OF_FILES = ("encoding", "delimiter", "sheet", "records")
