"""From a plant, a problem and a state to tables; an empty template of them for a spreadsheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stnopt.arguments import PATH, check_arguments, optional
from stnopt.errors import InvalidInputError
from stnopt.files import files_together
from stnopt.plant.network import Network
from stnopt.plant.problem import Problem
from stnopt.plant.rules import UNIT_RULES
from stnopt.plant.state import PlantState
from stnopt.plant.tables.layout import READ_ME, SHEETS
from stnopt.workbook import fill_page, load_openpyxl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stnopt.plant.tables.sheet import Sheet


Tables = dict[str, list[dict[str, Any]]]

_ABOUT = (
    "A plant as tables. `stnopt import FILE -o plant.yaml` checks them and writes a plant file;",
    "`stnopt schedule FILE` uses them as they are. Hold the mouse over a column's name to see what",
    "it holds. Sheets and columns that you do not need can stay empty or be deleted.",
)


def write_tables(
    path: Path | str,
    network: Network | None,
    problem: Problem | None = None,
    state: PlantState | None = None,
) -> None:
    """Write a plant as an Excel workbook (`.xlsx`), or as CSV files in a folder.

    `read_network`, `read_problem` and `read_state` read equal ones from it.

    Parameters
    ----------
    path : path
        A file that ends in `.xlsx`; anything else is a folder, made where there is none.
    network : Network or None
        None, with neither problem nor state: an empty template.
    problem : Problem, optional
        What is asked of it.
    state : PlantState, optional
        Its state at time 0.

    Raises
    ------
    InvalidInputError
        If it cannot be written, or openpyxl is not installed.
    """
    check_arguments(
        path=(path, PATH),
        network=(network, optional(Network)),
        problem=(problem, optional(Problem)),
        state=(state, optional(PlantState)),
    )
    tables: Tables = {}
    if network is not None:
        tables |= _plant_tables(network.to_dict())
    if problem is not None:
        tables |= _problem_tables(problem.to_dict())
    if state is not None:
        tables |= _state_tables(state.to_dict())
    place = Path(path)
    sheets = [sheet for sheet in SHEETS if network is None or tables.get(sheet.name)]
    if place.suffix.lower() == ".xlsx":
        book = _workbook(sheets, tables)
        with files_together() as outputs:
            outputs.write_by(place, book.save)
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"path: {str(path)!r} is no folder: {error.strerror}") from error
    with files_together() as outputs:
        for sheet in sheets:
            outputs.write_text(place / f"{sheet.name}.csv", _csv(sheet, tables.get(sheet.name, [])))


def _csv(sheet: Sheet, rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(sheet.names)
    writer.writerows([_as_text(row.get(name)) for name in sheet.names] for row in rows)
    return text.getvalue()


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value) if isinstance(value, float) else str(value)


def _workbook(sheets: list[Sheet], tables: Tables) -> Any:
    book = load_openpyxl().Workbook()
    from openpyxl.comments import Comment

    about = book.active
    about.title = READ_ME
    about.column_dimensions["A"].width = 18
    about.column_dimensions["B"].width = 90
    for sentence in _ABOUT:
        about.append([sentence])
    about.append([])
    for sheet in sheets:
        about.append([sheet.name, sheet.help])
        page = book.create_sheet(sheet.name)
        rows = [[row.get(name) for name in sheet.names] for row in tables.get(sheet.name, [])]
        fills = ["DDE6EE" if column.required else "F2F2F2" for column in sheet.columns]
        fill_page(page, sheet.names, rows, fills=fills)
        for number, column in enumerate(sheet.columns, 1):
            if column.help:
                page.cell(row=1, column=number).comment = Comment(column.help, "stnopt")
    return book


def _plant_tables(plant: Mapping[str, Any]) -> Tables:
    sections = ("states", "tasks", "units", "utilities")
    tables: Tables = {
        "plant": [{"key": key, "value": plant[key]} for key in plant if key not in sections],
        "states": [
            {"state": name} | {key: value for key, value in entry.items() if key != "arrivals"}
            for name, entry in plant["states"].items()
        ],
        "arrivals": [
            {"state": name, "time": time, "amount": amount}
            for name, entry in plant["states"].items()
            for time, amount in entry.get("arrivals", ())
        ],
    }
    for name, task in plant["tasks"].items():
        tables.setdefault("recipes", []).extend(_recipe_rows(name, task))
        for unit, terms in task["units"].items():
            row = {"task": name, "unit": unit}
            plain = {k: v for k, v in terms.items() if not isinstance(v, dict)}
            tables.setdefault("units", []).append(row | plain)
            tables.setdefault("releases", []).extend(
                row | {"state": state, "release_time": time}
                for state, time in terms.get("release_time", {}).items()
            )
            draws = {key: terms.get(key, {}) for key in ("draws", "draws_per_amount")}
            tables.setdefault("draws", []).extend(
                row
                | {"utility": utility}
                | {key: given[utility] for key, given in draws.items() if utility in given}
                for utility in dict.fromkeys([*draws["draws"], *draws["draws_per_amount"]])
            )
    for name, utility in plant.get("utilities", {}).items():
        capacity = utility["capacity"]
        steps = capacity if isinstance(capacity, list) else [[None, capacity]]
        tables.setdefault("utilities", []).extend(
            {"utility": name, "from": begin, "capacity": amount} for begin, amount in steps
        )
    for name, unit in plant.get("units", {}).items():
        for key, value in unit.items():
            rule = UNIT_RULES[key]
            tables.setdefault(rule.sheet.name, []).extend(
                {"unit": name} | row for row in rule.rows(value)
            )
    return tables


def _recipe_rows(name: str, task: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for state in dict.fromkeys([*task["consumes"], *task["produces"]]):
        row = {"task": name, "state": state}
        yield row | {s: task[s][state] for s in ("consumes", "produces") if state in task[s]}


def _problem_tables(problem: Mapping[str, Any]) -> Tables:
    lists = ("demand", "deliveries", "orders")
    return {
        "problem": [
            {"key": key, "value": value} for key, value in problem.items() if key not in lists
        ],
        "demand": [{"state": s, "amount": a} for s, a in problem.get("demand", {}).items()],
        "deliveries": problem.get("deliveries", []),
        "orders": problem.get("orders", []),
    }


def _state_tables(now: Mapping[str, Any]) -> Tables:
    running = [
        row | ({"released": ", ".join(row["released"])} if "released" in row else {})
        for row in now.get("running", [])
    ]
    return {
        "stocks": [{"state": s, "amount": a} for s, a in now.get("stocks", {}).items()],
        "running": running,
        "held": [
            {"unit": unit, "state": state, "amount": amount}
            for unit, row in now.get("held", {}).items()
            for state, amount in row.items()
        ],
        "last": [{"unit": unit} | row for unit, row in now.get("last", {}).items()],
        "since_cleaning": [
            {"unit": unit} | row for unit, row in now.get("since_cleaning", {}).items()
        ],
        "open_orders": now.get("open_orders", []),
    }
