"""Reads tables of any format: rows of named values, each with its line. Knows nothing of cases."""

from harness.suite.tables.table_files import SUFFIXES, open_table
from harness.suite.tables.table_rows import Table, TableError, TableOptions, TableRow

__all__ = ["SUFFIXES", "Table", "TableError", "TableOptions", "TableRow", "open_table"]
