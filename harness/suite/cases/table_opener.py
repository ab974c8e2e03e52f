"""Opens the table that an item of `cases:` names: a file, a data set, or a function's rows."""

from __future__ import annotations

from harness.config.diagnostics import Place, display_path
from harness.errors import SuiteError
from harness.suite.cases.case_file_spec import CaseFileSpec
from harness.suite.code_references import FUNCTION_REFERENCE, find_function_file
from harness.suite.source import Source
from harness.suite.tables import Table, TableError, TableOptions, open_table
from harness.suite.tables.dataset_rows import PREFIX, DatasetReference, open_dataset
from harness.suite.tables.function_rows import run_row_function
from harness.suite.tables.table_files import table_suffix


class TableOpener:
    """Opens tables that are named at `place`; problems are noted there, or in the file."""

    def __init__(self, source: Source, place: Place) -> None:
        self._source, self._place = source, place
        self._problems = source.problems

    def open(self, spec: CaseFileSpec) -> Table | None:
        """The table; None, with problems, where it cannot be read."""
        if spec.dataset is not None:
            return self._open_dataset(spec, spec.dataset)
        if spec.python is not None:
            return self._run_function(spec.python)
        return self._open_file(spec, spec.file or "")

    def _open_file(self, spec: CaseFileSpec, reference: str) -> Table | None:
        path = self._source.find_file(reference, self._place)
        if path is None:
            return None
        if table_suffix(path) is None:
            self._problems.add(
                self._place,
                "cases are in .csv, .tsv, .jsonl, .json, .yaml, .parquet or .xlsx files, not in"
                f" {path.suffix or 'a file without a suffix'}",
            )
            return None
        options = TableOptions(spec.encoding, spec.delimiter, spec.sheet, spec.records)
        try:
            return open_table(path, options)
        except TableError as refused:
            self._problems.add(Place(display_path(path), refused.line), str(refused))
        except SuiteError as wrong:
            for each in wrong.problems:
                self._problems.add(Place(each.path, each.line, each.column), each.message)
        return None

    def _open_dataset(self, spec: CaseFileSpec, name: str) -> Table | None:
        if not name.startswith(PREFIX) or name == PREFIX:
            self._problems.add(
                self._place, "write a data set as hf:owner/name, or hf:./folder for one on disk"
            )
            return None
        reference = name.removeprefix(PREFIX)
        folder = None
        if reference.startswith("."):
            folder = self._source.files.resolve(reference, self._source.folder, self._place)
            if folder is None or not folder.is_dir():
                if folder is not None:
                    self._problems.add(self._place, f"`{reference}` is not a data set folder")
                return None
        found = DatasetReference(reference, folder, spec.config, spec.split, spec.revision)
        try:
            return open_dataset(found, self._source.folder)
        except TableError as refused:
            self._problems.add(self._place, str(refused))
        return None

    def _run_function(self, reference: str) -> Table | None:
        match = FUNCTION_REFERENCE.fullmatch(reference)
        if match is None:
            self._problems.add(
                self._place,
                "name a Python file and a function in it, such as cases.py:generate",
            )
            return None
        before = len(self._problems)
        path = find_function_file(match["file"], match["name"], self._source, self._place)
        if path is None or len(self._problems) > before:
            return None
        try:
            return run_row_function(path, match["name"], f"{match['file']}:{match['name']}")
        except TableError as refused:
            self._problems.add(self._place, str(refused))
        return None
