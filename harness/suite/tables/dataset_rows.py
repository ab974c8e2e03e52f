"""Rows of a data set in Hugging Face's form: by its name on the Hub, or in a folder on disk."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from harness.config.diagnostics import did_you_mean
from harness.suite.tables.plain_values import to_plain_value
from harness.suite.tables.table_rows import Table, TableError, TableRow, check_columns

PREFIX = "hf:"
DEFAULT_SPLIT = "test"
_SAVED = ("dataset_info.json", "dataset_dict.json")
_EXTRA = 'reading data sets needs the extra `datasets`: pip install "evalharness[datasets]"'


class DatasetReference(NamedTuple):
    """Which rows of which data set; `folder` where it is on disk."""

    name: str
    folder: Path | None
    config: str | None
    split: str | None
    revision: str | None


def open_dataset(reference: DatasetReference, folder: Path) -> Table:
    """Opens a split of a data set, whose revision is resolved first; `folder` is what paths in its
    rows are relative to. Raises TableError.
    """
    if importlib.util.find_spec("datasets") is None:
        raise TableError(_EXTRA)
    try:
        rows, pinned = _load_split(reference)
    except TableError:
        raise
    except Exception as refused:  # noqa: BLE001 - it has errors of a dozen libraries
        reason = str(refused).splitlines()[0] if str(refused) else type(refused).__name__
        raise TableError(f"the data set cannot be read: {reason}") from None
    labels = _label_columns(rows)
    check_columns(rows.column_names)
    findings = tuple(
        f"label numbers in `{column}` are replaced by their names" for column in labels
    )
    source = {
        "dataset": PREFIX + reference.name,
        "config": reference.config,
        "split": reference.split or DEFAULT_SPLIT,
        **pinned,
    }
    return Table(
        reference.folder or folder / "dataset",
        "dataset",
        tuple(rows.column_names),
        partial(_read_rows, rows, labels),
        findings,
        name=PREFIX + reference.name,
        source={key: value for key, value in source.items() if value is not None},
    )


def _load_split(reference: DatasetReference) -> tuple[Any, dict[str, Any]]:
    """The rows, and what pins them: the commit on the Hub, the fingerprint of what is on disk."""
    import datasets  # noqa: PLC0415 - seconds, and only data sets need it

    datasets.disable_progress_bars()
    split = reference.split or DEFAULT_SPLIT
    if reference.folder is None:
        commit = _resolve_revision(reference)
        rows = datasets.load_dataset(reference.name, reference.config, split=split, revision=commit)
        return _without_decoding(rows), {"revision": commit}
    folder = str(reference.folder)
    if any((reference.folder / name).is_file() for name in _SAVED):
        saved = datasets.load_from_disk(folder)
        rows = _choose_split(saved, split) if isinstance(saved, Mapping) else saved
    else:
        rows = _choose_split(datasets.load_dataset(folder, reference.config), split)
    return _without_decoding(rows), {"fingerprint": rows._fingerprint}


def _choose_split(splits: Mapping[str, Any], wanted: str) -> Any:
    if wanted not in splits:
        raise TableError(f"has no split `{wanted}`; {did_you_mean(wanted, splits)}")
    return splits[wanted]


def _resolve_revision(reference: DatasetReference) -> str | None:
    """The commit that a branch or tag names now; the revision as given where we are offline."""
    from huggingface_hub import HfApi, constants  # noqa: PLC0415 - comes with datasets

    if constants.HF_HUB_OFFLINE:
        return reference.revision
    found = HfApi().dataset_info(reference.name, revision=reference.revision)
    return str(found.sha) if found.sha else reference.revision


def _without_decoding(rows: Any) -> Any:
    """The rows with images and sounds as the bytes they are."""
    for column, feature in rows.features.items():
        if getattr(feature, "decode", False):
            rows = rows.cast_column(column, type(feature)(decode=False))
    return rows


def _label_columns(rows: Any) -> dict[str, list[str]]:
    """The columns that hold numbers of labels, with the labels' names."""
    return {
        column: list(feature.names)
        for column, feature in rows.features.items()
        if type(feature).__name__ == "ClassLabel"
    }


def _read_rows(rows: Any, labels: Mapping[str, list[str]]) -> Iterator[TableRow]:
    for number, row in enumerate(rows, start=1):
        values = {str(column): to_plain_value(value) for column, value in row.items()}
        for column, names in labels.items():
            at = values[column]
            if isinstance(at, int) and 0 <= at < len(names):
                values[column] = names[at]
        yield TableRow(number, values)
