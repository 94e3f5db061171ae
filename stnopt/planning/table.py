"""Tables from a CSV or Excel file or a frame, as rows that know where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from stnopt.errors import InvalidInputError
from stnopt.files import read_table
from stnopt.workbook import read_workbook, refuse_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

Row: TypeAlias = tuple[str, dict[str, object]]


def read_rows(
    source: Path | str | pd.DataFrame,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    name: str = "table",
) -> tuple[str, list[Row]]:
    """Read a table's rows, each with its place; return the table's name too.

    Raises
    ------
    InvalidInputError
        The file cannot be read, or its columns are not the ones that are known.
    """
    if isinstance(source, pd.DataFrame):
        rows, header = _rows_of(source), [str(column) for column in source.columns]
    elif Path(source).suffix.lower() in (".xlsx", ".xlsm"):
        name = str(source)
        rows, header = _read_excel(Path(source))
    else:
        table = read_table(source)
        name, header = table.name, table.header
        if table.problems:
            raise InvalidInputError([f"{at}: {what}" for at, what in table.problems], source=name)
        rows = [
            (f"line {line}", dict(zip(table.header, values, strict=True)))
            for line, values in table.rows
        ]
    problems = [
        f"the column {column!r} is missing; found {', '.join(header)}"
        for column in required
        if column not in header
    ]
    problems += [
        f"unknown column {column!r}; known are {', '.join((*required, *optional))}"
        for column in header
        if column not in (*required, *optional)
    ]
    if problems:
        raise InvalidInputError(problems, source=name)
    return name, rows


def _rows_of(frame: pd.DataFrame) -> list[Row]:
    rows = []
    for number, (_, row) in enumerate(frame.iterrows(), 1):
        rows.append((f"row {number}", {str(key): _plain(value) for key, value in row.items()}))
    return rows


def _plain(value: object) -> object:
    """Write a whole number without its point: spreadsheets hold the period 1 as 1.0."""
    if value is None or value != value:  # frames hold what is empty as not a number
        return ""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_excel(path: Path) -> tuple[list[Row], list[str]]:
    """Read the first sheet of a workbook; what is empty is an empty text, as in CSV."""
    problems: list[str] = []
    sheets = read_workbook(path, problems)
    refuse_cells(problems, path)
    title, (header, cells) = next(iter(sheets.items()))
    if not header:
        raise InvalidInputError(f"{str(path)!r}, sheet {title}: there is no table")
    rows: list[Row] = []
    for row in cells:
        values = {name: _plain(row[name].value) if name in row else "" for name in header}
        rows.append((next(iter(row.values())).place, values))
    return rows, list(header)
