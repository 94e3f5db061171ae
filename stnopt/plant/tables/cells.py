"""The cells of a workbook or of a folder of CSV files, each with the place it stands in."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stnopt.errors import InvalidInputError
from stnopt.files import is_number, read_table
from stnopt.plant.checks import did_you_mean
from stnopt.plant.tables.layout import BY_NAME, READ_ME, Column, Sheet
from stnopt.workbook import open_workbook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_YES, _NO = ("yes", "true", "x", "y", "1"), ("no", "false", "n", "0", "-")


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell, and where.

    Parameters
    ----------
    value : object
        Text, a number, true or false, or a list of texts; a date or time is text in ISO form.
    place : str
        Such as ``sheet orders, cell D4``.
    """

    value: Any
    place: str


Row = dict[str, Cell]


def read_rows(source: Path, problems: list[str]) -> dict[str, list[Row]]:
    """Read every table of a workbook or folder: per table its rows, by the names of columns.

    Cells without content are left out. What cannot be read is added to `problems`, with its place.

    Raises
    ------
    InvalidInputError
        If there is no such table at all.
    """
    raw = _read_folder(source, problems) if source.is_dir() else _read_workbook(source, problems)
    tables: dict[str, list[Row]] = {}
    for name, (header, rows) in raw.items():
        if name not in BY_NAME:
            hint = did_you_mean(name, BY_NAME) or f"; tables are {', '.join(BY_NAME)}"
            problems.append(f"there is no table {name!r} in a plant's description{hint}")
            continue
        sheet = BY_NAME[name]
        columns = {column.name: column for column in sheet.columns}
        for title, place in header.items():
            if title not in columns:
                hint = did_you_mean(title, columns) or f"; columns are {', '.join(columns)}"
                problems.append(f"{place}: unknown column {title!r}{hint}")
        problems.extend(
            f"table {name}: the column {column.name!r} is missing"
            for column in sheet.columns
            if column.required and column.name not in header and rows
        )
        tables[name] = list(_checked_rows(sheet, rows, problems))
    if not tables:
        raise InvalidInputError([f"no table of a plant in it: {', '.join(BY_NAME)}", *problems])
    return tables


def _checked_rows(sheet: Sheet, rows: list[Row], problems: list[str]) -> Iterator[Row]:
    """Convert cells to the kinds of their columns, and miss what a row cannot do without."""
    columns: Mapping[str, Column] = {column.name: column for column in sheet.columns}
    seen: dict[tuple[object, ...], str] = {}
    for row in rows:
        place = next(iter(row.values())).place
        known = {
            title: Cell(_converted(cell, columns[title], problems), cell.place)
            for title, cell in row.items()
            if title in columns
        }
        missing = [c.name for c in sheet.columns if c.required and c.name not in known]
        if missing:
            problems.append(f"{place}: the row has no {', no '.join(missing)}")
            continue
        if sheet.key:
            key = tuple(known[name].value if name in known else None for name in sheet.key)
            if key in seen:
                told = ", ".join(str(part) for part in key if part is not None)
                problems.append(f"{place}: {told} is given again (first in {seen[key]})")
                continue
            seen[key] = place
        yield known


def _converted(cell: Cell, column: Column, problems: list[str]) -> object:
    value = cell.value
    text = value.strip() if isinstance(value, str) else ""
    if column.kind == "text":
        if isinstance(value, bool):
            problems.append(f"{cell.place}: expected text, found {str(value).upper()}")
            return str(value)
        return f"{value:g}" if isinstance(value, float) and value == int(value) else str(value)
    if column.kind == "flag":
        if isinstance(value, int | float) and value in (0, 1):
            return bool(value)
        return True if text.lower() in _YES else False if text.lower() in _NO else value
    if column.kind == "list":
        return [part.strip() for part in str(value).split(",") if part.strip()]
    return float(text) if text and is_number(text) else value


def _read_folder(folder: Path, problems: list[str]) -> dict[str, tuple[dict[str, str], list[Row]]]:
    tables = {}
    for path in sorted(folder.glob("*.csv")):
        sheet = BY_NAME.get(path.stem)
        words = [c.name for c in sheet.columns if c.kind != "number"] if sheet else ()
        table = read_table(path, text_columns=words)
        problems.extend(f"{path.name}, {place}: {problem}" for place, problem in table.problems)
        header = {title: f"{path.name}, header" for title in table.header}
        rows = [
            {
                title: Cell(value, f"{path.name}, line {line}, column {title}")
                for title, value in zip(table.header, values, strict=True)
                if value
            }
            for line, values in table.rows
        ]
        tables[path.stem] = (header, [row for row in rows if row])
    return tables


def _read_workbook(path: Path, problems: list[str]) -> dict[str, tuple[dict[str, str], list[Row]]]:
    values, formulas = open_workbook(path)
    tables = {}
    for sheet in values.worksheets:
        name = sheet.title.strip()
        if name.lower() == READ_ME:
            continue
        tables[name.lower().replace(" ", "_")] = _read_sheet(sheet, formulas[sheet.title], problems)
    return tables


def _read_sheet(sheet: Any, formulas: Any, problems: list[str]) -> tuple[dict[str, str], list[Row]]:
    titles: dict[int, str] = {}
    header: dict[str, str] = {}
    rows: list[Row] = []
    title_row: int | None = None
    for cells in sheet.iter_rows():
        row: Row = {}
        for cell in cells:
            place = f"sheet {sheet.title}, cell {cell.coordinate}"
            value = cell.value
            if value is None or (isinstance(value, str) and not value.strip()):
                written = formulas[cell.coordinate].value
                if isinstance(written, str) and written.startswith("="):
                    problems.append(
                        f"{place}: the formula {written} has no value in the file; save it in a "
                        "spreadsheet program, or write the value"
                    )
                continue
            if cell.data_type == "e":
                problems.append(f"{place}: holds the error {value}")
                continue
            if title_row in (None, cell.row):
                title_row = cell.row
                title = str(value).strip()
                if title in header:
                    problems.append(f"{place}: the column {title!r} appears twice")
                titles[cell.column] = title
                header[title] = place
            elif cell.column in titles:
                row[titles[cell.column]] = Cell(_plain(value), place)
            else:
                problems.append(f"{place}: {value!r} stands in a column without a name")
        if row:
            rows.append(row)
    return header, rows


def _plain(value: object) -> object:
    """Dates and times as text, numbers and texts as they are."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="seconds" if value.second else "minutes")
    if isinstance(value, datetime.date):
        return f"{value.isoformat()}T00:00"
    if isinstance(value, datetime.time):
        return f"{value:%H:%M}"
    return value.strip() if isinstance(value, str) else value
