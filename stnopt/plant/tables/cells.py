"""The cells of a workbook or of a folder of CSV files, each with the place it stands in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError
from stnopt.files import is_number, read_table
from stnopt.plant.checks import did_you_mean
from stnopt.plant.tables.layout import BY_NAME, READ_ME
from stnopt.workbook import Cell, Row, SheetTable, read_workbook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stnopt.plant.tables.sheet import Column, Sheet

_YES, _NO = ("yes", "true", "x", "y", "1"), ("no", "false", "n", "0", "-")


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
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if column.kind == "flag":
        if isinstance(value, int | float) and value in (0, 1):
            return bool(value)
        return True if text.lower() in _YES else False if text.lower() in _NO else value
    if column.kind == "list":
        return [part.strip() for part in str(value).split(",") if part.strip()]
    return float(text) if text and is_number(text) else value


def _read_folder(folder: Path, problems: list[str]) -> dict[str, SheetTable]:
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
        tables[path.stem] = SheetTable(header, [row for row in rows if row])
    return tables


def _read_workbook(path: Path, problems: list[str]) -> dict[str, SheetTable]:
    sheets = read_workbook(path, problems, is_table=lambda name: _plain_name(name) != READ_ME)
    tables = {}
    for title, (header, rows) in sheets.items():
        named = {column.strip(): place for column, place in header.items()}
        name = _plain_name(title).replace(" ", "_")
        tables[name] = SheetTable(named, [_stripped(row) for row in rows])
    return tables


def _plain_name(title: str) -> str:
    return title.strip().lower()


def _stripped(row: Row) -> Row:
    """Leave out blanks around words, which a name never has."""
    return {
        column.strip(): Cell(v.strip() if isinstance(v := cell.value, str) else v, cell.place)
        for column, cell in row.items()
    }
