"""A plan as one table, in CSV or Excel, and back: for those who plan in a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stnopt.arguments import PATH, check_arguments
from stnopt.errors import InvalidInputError
from stnopt.files import parse_number
from stnopt.planning.plan import Plan
from stnopt.planning.table import read_rows

if TYPE_CHECKING:
    from stnopt.planning.table import Row

#: Of production `to` is empty, of what is lost `facility`.
COLUMNS = ("part", "facility", "to", "period", "product", "amount")
_NEEDED = {
    "production": ("facility", "period", "product"),
    "shipments": ("facility", "to", "period", "product"),
    "lost": ("to", "period", "product"),
}


def plan_rows(plan: Plan) -> list[tuple[str, str, str, str, str, float]]:
    """Return one row per amount of a plan, in the order of `COLUMNS`."""
    rows = [("production", f, "", t, p, amount) for (f, t, p), amount in plan.production.items()]
    rows += [("shipments", f, to, t, p, amount) for (f, to, t, p), amount in plan.shipments.items()]
    rows += [("lost", "", to, t, p, amount) for (to, t, p), amount in plan.lost.items()]
    return rows


def plan_to_csv(plan: Plan) -> str:
    """Write a plan as CSV, exact to the last bit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for *names, amount in plan_rows(plan):
        writer.writerow([*names, repr(amount)])
    return text.getvalue()


def read_plan(source: Path | str | pd.DataFrame) -> Plan:
    """Read a whole plan: what is made, what is moved and delivered, what is given up.

    Parameters
    ----------
    source : path or DataFrame
        What `Plan.to_csv`, `to_excel` or `to_json` wrote, edited or not: a table with the columns
        `part` ("production", "shipments" or "lost"), `facility`, `to`, `period`, `product` and
        `amount`, of a workbook the first sheet. Without the column `part` all of it is production.

    Raises
    ------
    InvalidInputError
        With every problem of the table, each naming its row.
    """
    check_arguments(source=(source, pd.DataFrame if isinstance(source, pd.DataFrame) else PATH))
    if not isinstance(source, pd.DataFrame) and Path(source).suffix.lower() == ".json":
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"{str(source)!r} cannot be read: {error}") from error
        return Plan.from_json(text)
    name, rows = read_rows(
        source,
        required=("period", "product", "amount"),
        optional=("part", "facility", "to"),
        name="plan",
    )
    if not rows:
        raise InvalidInputError(["there is no row below the header"], source=name)
    problems: list[str] = []
    parts: dict[str, dict[tuple[str, ...], float]] = {part: {} for part in _NEEDED}
    for row in rows:
        _add_row(row, parts, problems)
    if problems:
        raise InvalidInputError(problems, source=name)
    return Plan(**parts)  # type: ignore[arg-type]


def _add_row(row: Row, parts: dict[str, dict[tuple[str, ...], float]], problems: list[str]) -> None:
    where, values = row
    part = str(values.get("part", "production"))
    if part not in _NEEDED:
        problems.append(f"{where}: part must be one of {', '.join(_NEEDED)}, got {part!r}")
        return
    key = tuple(str(values.get(column, "")) for column in _NEEDED[part])
    missing = [column for column, text in zip(_NEEDED[part], key, strict=True) if not text]
    try:
        amount = parse_number(str(values["amount"]))
    except ValueError:
        problems.append(f"{where}: amount must be a number, got {values['amount']!r}")
        return
    if missing:
        problems.append(f"{where}: {part} needs {' and '.join(missing)}")
    elif not 0 <= amount < math.inf:
        what = f"amount must be finite and at least 0, got {amount:g}"
        problems.append(f"{where}: {' '.join(key)}: {what}")
    elif key in parts[part]:
        problems.append(f"{where}: {part} of {' '.join(key)}: given twice")
    parts[part][key] = amount
