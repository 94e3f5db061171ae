"""From tables to the document that a plant file holds, and from its problems back to cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stnopt.plant.rules import UNIT_RULES
from stnopt.plant.tables.cells import Row, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class TablesDocument(dict[str, Any]):
    """A plant file's content that came from tables, and knows which cell each part came from."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[str, Row] = {}
        self._told: set[str] = set()

    def note(self, owner: str, row: Row) -> None:
        """Remember the row of a part, by what messages call it; the first row stays."""
        for column, cell in row.items():
            self._places.setdefault(owner, {}).setdefault(column, cell)

    def note_told(self, problems: Iterable[str]) -> None:
        """Remember problems that say themselves where they stand."""
        self._told.update(problems)

    def located(self, problem: str) -> str:
        """Put the cell before a problem that names a part."""
        if problem in self._told:
            return problem
        owners = [owner for owner in self._places if _names(problem, owner)]
        if not owners:
            return problem
        owner = max(owners, key=len)
        row = self._places[owner]
        rest = problem.partition(owner)[2]
        cells = [cell for column, cell in row.items() if _names(rest, column)]
        place = cells[0] if cells else next(iter(row.values()))
        return f"{place.place}: {problem}"


def _names(sentence: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sentence) is not None


def read_tables(source: Path, problems: list[str]) -> TablesDocument:
    """Read a workbook or a folder of CSV files as a plant file's content.

    Parameters
    ----------
    source : Path
        A `.xlsx` file, or a folder of CSV files named as the tables in
        `stnopt.plant.tables.layout`.
    problems : list of str
        What is wrong with single cells is added.

    Raises
    ------
    InvalidInputError
        If there is no table of a plant at all.
    """
    tables = read_rows(source, problems)
    document = TablesDocument()
    document.note_told(problems)
    plant = _read_plant(tables, document)
    if plant:
        document["plant"] = plant
    problem = _read_problem(tables, document)
    if problem:
        document["problem"] = problem
    now = _read_now(tables, document)
    if now:
        document["now"] = now
    return document


def _values(row: Row, but: tuple[str, ...] = ()) -> dict[str, Any]:
    return {column: cell.value for column, cell in row.items() if column not in but}


def _text(row: Row, column: str) -> str:
    return str(row[column].value)


def _read_plant(tables: dict[str, list[Row]], document: TablesDocument) -> dict[str, Any]:
    plant: dict[str, Any] = {}
    for row in tables.get("plant", ()):
        plant[_text(row, "key")] = _text(row, "value")
        document.note(_text(row, "key"), {"value": row["value"]})
    states: dict[str, dict[str, Any]] = {}
    for row in tables.get("states", ()):
        name = _text(row, "state")
        states[name] = _values(row, but=("state",))
        document.note(f"state {name!r}", row)
    for row in tables.get("arrivals", ()):
        name = _text(row, "state")
        arrival = [row["time"].value, row["amount"].value]
        states.setdefault(name, {}).setdefault("arrivals", []).append(arrival)
        document.note(f"state {name!r}: arrivals", row)
    if states:
        plant["states"] = states
    if tasks := _read_tasks(tables, document):
        plant["tasks"] = tasks
    if units := _read_units(tables, document):
        plant["units"] = units
    if utilities := _read_utilities(tables, document):
        plant["utilities"] = utilities
    return plant


def _read_tasks(tables: dict[str, list[Row]], document: TablesDocument) -> dict[str, Any]:
    tasks: dict[str, Any] = {}

    def task_of(row: Row) -> dict[str, Any]:
        name = _text(row, "task")
        document.note(f"task {name!r}", row)
        task: dict[str, Any] = tasks.setdefault(name, {"consumes": {}, "produces": {}, "units": {}})
        return task

    def terms_of(row: Row) -> dict[str, Any]:
        unit = _text(row, "unit")
        document.note(f"task {_text(row, 'task')!r} on unit {unit!r}", row)
        terms: dict[str, Any] = task_of(row)["units"].setdefault(unit, {})
        return terms

    for row in tables.get("recipes", ()):
        sides = [side for side in ("consumes", "produces") if side in row]
        for side in sides:
            task_of(row)[side][_text(row, "state")] = row[side].value
        if not sides:  # named, so that it is missed in the sums
            task_of(row)["consumes"][_text(row, "state")] = None
    for row in tables.get("units", ()):
        terms_of(row).update(_values(row, but=("task", "unit")))
    for row in tables.get("releases", ()):
        releases = terms_of(row).setdefault("release_time", {})
        releases[_text(row, "state")] = row["release_time"].value
    for row in tables.get("draws", ()):
        for key in ("draws", "draws_per_amount"):
            if key in row:
                terms_of(row).setdefault(key, {})[_text(row, "utility")] = row[key].value
    return tasks


def _read_units(tables: dict[str, list[Row]], document: TablesDocument) -> dict[str, Any]:
    units: dict[str, Any] = {}

    def unit_of(row: Row) -> dict[str, Any]:
        name = _text(row, "unit")
        document.note(f"unit {name!r}", row)
        unit: dict[str, Any] = units.setdefault(name, {})
        return unit

    for rule in {rule.sheet: rule for rule in UNIT_RULES.values()}.values():
        for row in tables.get(rule.sheet.name, ()):
            rule.add_row(unit_of(row), _values(row, but=("unit",)))
    return units


def _read_utilities(tables: dict[str, list[Row]], document: TablesDocument) -> dict[str, Any]:
    utilities: dict[str, Any] = {}
    for row in tables.get("utilities", ()):
        name = _text(row, "utility")
        document.note(f"utility {name!r}", row)
        capacity = row["capacity"].value
        if "from" in row:
            steps = utilities.setdefault(name, {"capacity": []})["capacity"]
            if isinstance(steps, list):
                steps.append([row["from"].value, capacity])
                continue
        utilities[name] = {"capacity": capacity}
    return utilities


def _read_problem(tables: dict[str, list[Row]], document: TablesDocument) -> dict[str, Any]:
    problem: dict[str, Any] = {}
    for row in tables.get("problem", ()):
        problem[_text(row, "key")] = row["value"].value
        document.note(f"problem: {_text(row, 'key')}", {"value": row["value"]})
    for row in tables.get("demand", ()):
        problem.setdefault("demand", {})[_text(row, "state")] = row["amount"].value
        document.note(f"problem: demand: {_text(row, 'state')!r}", row)
    for key, owner in (("deliveries", "problem: delivery"), ("orders", "problem: order")):
        for count, row in enumerate(tables.get(key, ()), 1):
            problem.setdefault(key, []).append(_values(row))
            document.note(f"{owner} {count}", row)
            if "id" in row:
                document.note(f"order {_text(row, 'id')!r}", row)
    return problem


def _read_now(tables: dict[str, list[Row]], document: TablesDocument) -> dict[str, Any]:
    now: dict[str, Any] = {}
    for row in tables.get("stocks", ()):
        now.setdefault("stocks", {})[_text(row, "state")] = row["amount"].value
        document.note(f"now: stocks: {_text(row, 'state')!r}", row)
    for count, row in enumerate(tables.get("running", ()), 1):
        now.setdefault("running", []).append(_values(row))
        document.note(f"now: running batch {count}", row)
        owner = f"running batch of {_text(row, 'task')!r} on {_text(row, 'unit')!r}"
        document.note(owner, row)
    for row in tables.get("held", ()):
        held = now.setdefault("held", {}).setdefault(_text(row, "unit"), {})
        held[_text(row, "state")] = row["amount"].value
        document.note(f"now: held in {_text(row, 'unit')!r}", row)
    for row in tables.get("last", ()):
        now.setdefault("last", {})[_text(row, "unit")] = _values(row, but=("unit",))
        document.note(f"now: last of {_text(row, 'unit')!r}", row)
    for row in tables.get("since_cleaning", ()):
        now.setdefault("since_cleaning", {})[_text(row, "unit")] = _values(row, but=("unit",))
        document.note(f"now: since_cleaning of {_text(row, 'unit')!r}", row)
    for count, row in enumerate(tables.get("open_orders", ()), 1):
        now.setdefault("open_orders", []).append(_values(row))
        document.note(f"now: open_order {count}", row)
    return now
