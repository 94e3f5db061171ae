"""Demand as a table: a CSV or Excel file, or a frame, with every problem of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError
from stnopt.files import is_number
from stnopt.planning.problem import MARKET, Demand
from stnopt.planning.table import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pandas as pd

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
    name, rows = read_rows(source, required=_COLUMNS, optional=("customer",), name="demand")
    problems: list[str] = []
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
                    float(str(amount)),
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
