"""The section `planning:` of a file: from plain values to a planning problem."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from stnopt.arguments import PATH, a, check_arguments, optional
from stnopt.errors import InvalidInputError, InvalidNetworkError
from stnopt.planning.demand_table import missing_periods, read_demand
from stnopt.planning.facility import Facility
from stnopt.planning.problem import MARKET, Demand, Lane, PlanningProblem
from stnopt.plant.read import load_example, read_network
from stnopt.plant.source import list_examples, open_source
from stnopt.plant.values import (
    described,
    known_entries,
    made,
    named_entries,
    read_number,
    read_numbers,
    read_text,
)

if TYPE_CHECKING:
    from stnopt.plant.network import Network

_KEYS = (
    "periods",
    "facilities",
    "demand",
    "price",
    "backlog_cost",
    "lost_cost",
    "lanes",
    "carry_over",
)
_AMOUNTS = ("stock", "storage", "safety", "safety_cost", "holding_cost")
_BY_PERIOD = ("raw_cost", "supply", "receipts")
_FACILITY_KEYS = ("plant", "horizon", "closed", "plants", *_AMOUNTS, *_BY_PERIOD)
_LANE_KEYS = ("from", "to", "cost", "capacity", "lead", "products")
_ROW_KEYS = ("period", "product", "amount", "customer")


def read_planning_problem(
    source: Path | str | Mapping[str, Any], *, demand: pd.DataFrame | Path | str | None = None
) -> PlanningProblem:
    """Read a planning problem from a file, or from the mapping that such a file holds.

    Parameters
    ----------
    source : path, str or mapping
        A path to a `.yaml`, `.yml` or `.json` file, or the mapping itself. The problem is under
        `planning:`, or it is the whole file (docs/planning.md has the keys). Paths in it, of
        plants and of the demand's table, count from the file's folder.
    demand : DataFrame or path, optional
        The demand, in place of the file's.

    Returns
    -------
    PlanningProblem

    Raises
    ------
    InvalidInputError
        With every problem of the file at once, each naming its element.
    """
    check_arguments(
        demand=(demand, optional(a(pd.DataFrame) if isinstance(demand, pd.DataFrame) else PATH))
    )
    problems: list[str] = []
    try:
        document, where = open_source(source, problems, is_plant=False)
    except InvalidNetworkError as error:
        raise InvalidInputError(error.problems, source=error.source) from error
    folder = Path(where).parent if where else Path()
    if isinstance(document, Mapping) and "planning" in document:
        document = document["planning"]
    elif isinstance(document, Mapping) and {"plant", "states"} & set(document):
        raise InvalidInputError(
            "this is a plant file; a plan needs a file with the section `planning:`, whose "
            "facilities name it (`plant: plant.yaml`)",
            source=where,
        )
    required = ("periods", "facilities") if demand is not None else _KEYS[:3]
    entries = known_entries(document, "planning", _KEYS, required, problems)
    values: dict[str, Any] = {}
    if "periods" in entries:
        values["periods"] = _read_periods(entries["periods"], problems)
    values["facilities"] = {
        name: facility
        for name, given in named_entries(
            entries.get("facilities", {}), "facilities", problems
        ).items()
        if (facility := _read_facility(name, given, folder, problems)) is not None
    }
    periods = values.get("periods", ())
    names = tuple(map(str, range(1, periods + 1))) if isinstance(periods, int) else periods
    given = entries.get("demand") if demand is None else demand
    values["demand"] = _read_demand(given, names, folder, problems)
    for key in ("price", "backlog_cost", "lost_cost"):
        if key in entries:
            products = dict.fromkeys(row.product for row in values["demand"])
            values[key] = _by_product(entries[key], key, tuple(products), problems)
    values["lanes"] = _read_lanes(entries.get("lanes", []), problems)
    if "carry_over" in entries:
        values["carry_over"] = entries["carry_over"]
    if problems:
        raise InvalidInputError(problems, source=where)
    problem = made(PlanningProblem, problems, **values)
    if problem is None:
        raise InvalidInputError(problems, source=where)
    return problem


def _read_periods(value: object, problems: list[str]) -> int | tuple[str, ...]:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple):
        problems.append(f"periods must be a number or a list of names, got {described(value)}")
        return ()
    return tuple(str(name) for name in value)


def _read_facility(name: str, given: object, folder: Path, problems: list[str]) -> Facility | None:
    owner = f"facility {name!r}"
    n_before = len(problems)
    entries = known_entries(given, owner, _FACILITY_KEYS, ("plant", "horizon"), problems)
    values: dict[str, Any] = {"name": name}
    if "plant" in entries:
        values["network"] = _read_plant(entries["plant"], f"{owner}: plant", folder, problems)
    if "plants" in entries:
        values["plants"] = {
            period: _read_plant(plant, f"{owner}: plant of period {period}", folder, problems)
            for period, plant in named_entries(
                entries["plants"], f"{owner}: plants", problems
            ).items()
        }
    if "horizon" in entries:
        values["horizon"] = _by_period(entries["horizon"], f"{owner}: horizon", problems)
    if "closed" in entries:
        closed = entries["closed"]
        if isinstance(closed, list | tuple):
            values["closed"] = frozenset(map(str, closed))
        else:
            problems.append(f"{owner}: closed must be a list of periods, got {described(closed)}")
    for key in _AMOUNTS:
        if key in entries:
            values[key] = read_numbers(entries[key], owner, key, problems)
    for key in _BY_PERIOD:
        if key in entries:
            rows = named_entries(entries[key], f"{owner}: {key}", problems)
            values[key] = {
                state: _by_period(value, f"{owner}: {key} of {state!r}", problems)
                for state, value in rows.items()
            }
    return None if len(problems) > n_before else made(Facility, problems, **values)


def _read_plant(given: object, owner: str, folder: Path, problems: list[str]) -> Network | None:
    """Read a plant from its file, an example's name, or the mapping in its place."""
    try:
        if isinstance(given, Mapping):
            return read_network(given)
        name = read_text(given, owner, problems)
        if name in list_examples():
            return load_example(name)
        return read_network(folder / name)
    except (InvalidNetworkError, InvalidInputError) as error:
        problems += [f"{owner}: {problem}" for problem in error.problems]
        return None


def _by_period(value: object, owner: str, problems: list[str]) -> float | tuple[float, ...] | None:
    if isinstance(value, list | tuple):
        numbers = [
            read_number(each, f"{owner}, period {number}", problems)
            for number, each in enumerate(value, 1)
        ]
        return tuple(number for number in numbers if number is not None)
    return read_number(value, owner, problems)


def _by_product(
    value: object, owner: str, products: tuple[str, ...], problems: list[str]
) -> dict[str, float]:
    """One number for every product, or a mapping."""
    if isinstance(value, Mapping):
        return read_numbers(value, owner, "number", problems)
    number = read_number(value, owner, problems)
    return {} if number is None else dict.fromkeys(products, number)


def _read_demand(
    given: object, periods: tuple[str, ...], folder: Path, problems: list[str]
) -> tuple[Demand, ...]:
    """Read a table's rows, or those that stand in the file."""
    if given is None:
        return ()
    if not isinstance(given, list | tuple):
        try:
            return read_demand(folder / given if isinstance(given, str) else given, periods)
        except InvalidInputError as error:
            of = f"{error.source}: " if error.source else ""
            problems += [of + problem for problem in error.problems]
            return ()
    rows = []
    for count, row in enumerate(given, 1):
        owner = f"demand, row {count}"
        n_before = len(problems)
        entries = known_entries(row, owner, _ROW_KEYS, _ROW_KEYS[:3], problems)
        if len(problems) > n_before:
            continue
        amount = read_number(entries["amount"], f"{owner}: amount", problems)
        if amount is None:
            continue
        try:
            rows.append(
                Demand(
                    str(entries["period"]),
                    str(entries["product"]),
                    amount,
                    str(entries.get("customer", MARKET)),
                )
            )
        except InvalidInputError as error:
            problems += [f"{owner}: {what}" for what in error.problems]
    if len(rows) == len(given):
        problems += [f"demand: {what}" for what in missing_periods(rows, periods)]
    return tuple(rows)


def _read_lanes(given: object, problems: list[str]) -> tuple[Lane, ...]:
    if not isinstance(given, list | tuple):
        problems.append(
            f"lanes must be a list of {{from: ..., to: ..., cost: ...}}, got {described(given)}"
        )
        return ()
    lanes = []
    for count, row in enumerate(given, 1):
        owner = f"lane {count}"
        n_before = len(problems)
        entries = known_entries(row, owner, _LANE_KEYS, ("from", "to"), problems)
        values: dict[str, Any] = {}
        for key, name in (("from", "source"), ("to", "to")):
            if key in entries:
                values[name] = read_text(entries[key], f"{owner}: {key}", problems)
        for key in ("cost", "capacity"):
            if key in entries:
                values[key] = read_number(entries[key], f"{owner}: {key}", problems)
        for key in ("lead", "products"):
            if key in entries:
                values[key] = entries[key]
        lane = None if len(problems) > n_before else made(Lane, problems, **values)
        lanes += [] if lane is None else [lane]
    return tuple(lanes)
