"""Demand as a table: a CSV or Excel file, or a frame, with every problem of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stnopt.errors import InvalidInputError
from stnopt.files import is_number, read_table
from stnopt.planning.problem import MARKET, Demand

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COLUMNS = ("period", "product", "amount")


def read_demand(source: Path | str | pd.DataFrame, periods: Sequence[str]) -> tuple[Demand, ...]:
    """Read demand rows from a CSV or Excel file or a frame.

    Parameters
    ----------
    source : path or DataFrame
        Columns `period`, `product`, `amount` and, if there are several, `customer`.
    periods : sequence of str
        Every one of them needs a row: a period without demand has the amount 0.

    Raises
    ------
    InvalidInputError
        With every problem of the table, each naming its row.
    """
    if isinstance(source, pd.DataFrame):
        name, rows = "demand", _rows_of(source)
        header = [str(column) for column in source.columns]
    elif Path(source).suffix.lower() in (".xlsx", ".xls", ".ods"):
        name = str(source)
        frame = _read_excel(Path(source))
        rows, header = _rows_of(frame), [str(column) for column in frame.columns]
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
        for column in _COLUMNS
        if column not in header
    ]
    problems += [
        f"unknown column {column!r}; known are {', '.join((*_COLUMNS, 'customer'))}"
        for column in header
        if column not in (*_COLUMNS, "customer")
    ]
    if problems:
        raise InvalidInputError(problems, source=name)
    demand = []
    for where, row in rows:
        amount = row["amount"]
        if not is_number(str(amount)):
            problems.append(f"{where}: amount must be a number, got {amount!r}")
            continue
        try:
            demand.append(
                Demand(
                    str(row["period"]),
                    str(row["product"]),
                    float(amount),
                    str(row.get("customer") or MARKET),
                )
            )
        except InvalidInputError as error:
            problems += [f"{where}: {problem}" for problem in error.problems]
    if not problems:
        problems += missing_periods(demand, periods)
    if problems:
        raise InvalidInputError(problems, source=name)
    return tuple(demand)


def missing_periods(demand: Iterable[Demand], periods: Sequence[str]) -> list[str]:
    """Name the periods that no row of a table speaks of."""
    named = {row.period for row in demand}
    missing = [period for period in periods if period not in named]
    if not missing:
        return []
    return [f"no row for period {', '.join(missing)}; write the amount 0 where there is no demand"]


def _rows_of(frame: pd.DataFrame) -> list[tuple[str, dict[str, object]]]:
    rows = []
    for number, (_, row) in enumerate(frame.iterrows(), 1):
        rows.append((f"row {number}", {str(key): _plain(value) for key, value in row.items()}))
    return rows


def _plain(value: object) -> object:
    """A whole number as it is written: spreadsheets hold the period 1 as 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_excel(path: Path) -> pd.DataFrame:
    try:
        return pd.read_excel(path)
    except ImportError as error:
        raise InvalidInputError(
            f"{str(path)!r}: reading Excel files needs the package openpyxl: install it, or save "
            "the sheet as CSV"
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{str(path)!r} cannot be read: {error}") from error
