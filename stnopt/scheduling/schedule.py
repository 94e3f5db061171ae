"""A schedule and what it is worth: the nouns and their value, from batches and plant alone.

Whether a schedule obeys the plant is for `stnopt.scheduling.replay` to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from stnopt.arguments import DATE, TEXT, check_arguments, one_of, optional
from stnopt.errors import InvalidInputError
from stnopt.files import write_text
from stnopt.plant.checks import (
    ReadOnlyMapping,
    checked_number,
    copy_mapping,
    store_number,
    store_tuple,
)
from stnopt.plant.network import Network
from stnopt.plant.objective import OBJECTIVES, ObjectiveKind, Quantities
from stnopt.plant.orders import ServedOrder
from stnopt.plant.problem import Delivery
from stnopt.plant.state import PlantState
from stnopt.plant.tolerance import time_tolerance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from stnopt.plant.recipe import State, Suitability


@dataclass(frozen=True, slots=True)
class Batch:
    """One run of a task on a unit. Written like a row: positional arguments are fine.

    Parameters
    ----------
    task, unit : str
        Names from the plant.
    start, finish : float
        Times in the plant's unit.
    size : float
        Amount processed, in the plant's unit.

    Raises
    ------
    InvalidInputError
        When a time or the size is not a finite number. Whether the numbers obey the plant is for
        `find_violations` to say.
    """

    task: str
    unit: str
    start: float
    finish: float
    size: float

    def __post_init__(self) -> None:
        check_arguments(task=(self.task, TEXT), unit=(self.unit, TEXT))
        problems: list[str] = []
        owner = f"batch {self.task!r} on {self.unit!r}"
        for field in ("start", "finish", "size"):
            store_number(self, field, owner, problems)
        if problems:
            raise InvalidInputError(problems[0] if len(problems) == 1 else problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Which batches run when, what leaves the plant meanwhile, and what is in stock at the end.

    Parameters
    ----------
    batches : tuple of Batch
    final_stock : mapping of str to float
        Per state: what is in storage or waiting in a unit at the horizon's end, after all
        deliveries; for a state with unlimited supply, the gross amount consumed instead. A state
        left out counts as zero.
    horizon : float
        Length of the schedule, positive, in the plant's time unit.
    deliveries : tuple of Delivery
        What leaves the plant before or at the horizon's end.
    orders : tuple of ServedOrder
        What was ordered, and what was delivered of it when.
    start : PlantState or None
        The plant at time 0; None is a plant in which nothing runs, with its `initial` stocks.
    date : datetime or None
        When time 0 is; units with weekly patterns need it.

    Raises
    ------
    InvalidInputError
        When the horizon is not positive and finite, an amount is not a finite number, or a
        delivery or an order is none.
    """

    batches: tuple[Batch, ...]
    final_stock: Mapping[str, float]
    horizon: float
    deliveries: tuple[Delivery, ...] = ()
    orders: tuple[ServedOrder, ...] = ()
    start: PlantState | None = None
    date: datetime | None = None

    def __post_init__(self) -> None:
        problems: list[str] = []
        store_number(self, "horizon", "schedule", problems, above=0.0)
        store_tuple(self, "batches", Batch, "schedule", problems)
        store_tuple(self, "deliveries", Delivery, "schedule", problems)
        store_tuple(self, "orders", ServedOrder, "schedule", problems)
        stock = copy_mapping(self, "final_stock", "schedule", problems)
        for state, amount in stock.items():
            checked_number(amount, f"schedule: final_stock of {state!r}", problems)
        if problems:
            raise InvalidInputError(problems[0] if len(problems) == 1 else problems)
        check_arguments(start=(self.start, optional(PlantState)), date=(self.date, optional(DATE)))
        object.__setattr__(self, "final_stock", ReadOnlyMapping(stock))

    def __repr__(self) -> str:
        counts = [f"{len(self.batches)} batches"]
        counts += [f"{len(self.deliveries)} deliveries"] if self.deliveries else []
        counts += [f"{len(self.orders)} orders"] if self.orders else []
        return f"Schedule({', '.join(counts)}, horizon {self.horizon:g})"

    def _repr_html_(self) -> str:
        """Return the chart and the batches, as notebooks show it."""
        from stnopt.page.notebook import show_schedule

        return show_schedule(self)

    def state_at(self, time: float, network: Network) -> PlantState:
        """Return the plant at an instant, after all events then (`stnopt.scheduling.cut`)."""
        from stnopt.scheduling.cut import state_at

        return state_at(self, time, network)

    def to_json(self, path: Path | str | None = None) -> str:
        """Return all of the schedule as JSON; also written to `path` when given.

        `read_schedule` reads it back exactly (`stnopt.scheduling.schedule_file`).
        """
        from stnopt.scheduling.schedule_file import schedule_to_json

        text = schedule_to_json(self)
        if path is not None:
            write_text(path, text + "\n")
        return text

    def to_csv(self, path: Path | str) -> None:
        """Write a row per batch, and all else in the first line; `read_schedule` reads it back.

        Raises
        ------
        InvalidInputError
            If it cannot be written.
        """
        from stnopt.scheduling.schedule_table import schedule_to_csv

        write_text(path, schedule_to_csv(self))

    def to_excel(self, path: Path | str, *, network: Network | None = None) -> None:
        """Write a workbook to print (extra `excel`); `read_schedule` reads it back.

        Its sheets are ``batches`` and, where there are any, ``orders``. With the network the first
        one is ``shift``, a sheet to print: a page per unit, with clock times where the schedule has
        a date.

        Raises
        ------
        InvalidInputError
            If it cannot be written, or openpyxl is not installed.
        """
        from stnopt.scheduling.schedule_table import schedule_to_excel

        schedule_to_excel(self, path, network)

    def to_html(self, path: Path | str | None = None, *, network: Network) -> str:
        """Return the schedule as one interactive page; also written to `path` when given.

        It holds all it needs, the chart library included (some 4 MB), and can be mailed around.

        Raises
        ------
        InvalidInputError
            If the extra `page` is not installed, or the file cannot be written.
        """
        from stnopt.page.html import schedule_to_html

        text = schedule_to_html(self, network)
        if path is not None:
            write_text(path, text)
        return text

    def to_frame(self) -> pd.DataFrame:
        """Return one row per batch: task, unit, start, finish, size."""
        rows = [(b.task, b.unit, b.start, b.finish, b.size) for b in self.batches]
        return pd.DataFrame(rows, columns=["task", "unit", "start", "finish", "size"])


def schedule_value(schedule: Schedule, network: Network, kind: ObjectiveKind) -> float:
    """Return what a schedule is worth, from its batches and the plant alone.

    Parameters
    ----------
    schedule : Schedule
    network : Network
    kind : {"profit", "production", "cost", "makespan", "batches", "tardiness"}
        "profit": price * (final stock + what was delivered or ordered), less "cost".
        "production": total of that over the states with a price. "cost": every state's cost * gross
        amount consumed, plus `fixed_cost` per batch and `cost_per_amount` * size, plus what late
        and missing orders cost. "makespan": when the last batch ends or the last order is delivered
        (0 without any). "batches": how many start. "tardiness": sum of priority * lateness over the
        orders. States with unlimited supply have no final stock to sell; what a running batch has
        paid is past.

    Raises
    ------
    InvalidInputError
        When `kind` is none of these, or a batch names a task or unit the plant does not have.
    """
    check_arguments(
        schedule=(schedule, Schedule), network=(network, Network), kind=(kind, one_of(OBJECTIVES))
    )
    if kind not in OBJECTIVES:
        expected = ", ".join(OBJECTIVES)
        raise InvalidInputError(f"schedule_value: kind must be one of {expected}, got {kind!r}")
    return float(OBJECTIVES[kind].value(schedule_quantities(schedule, network)))


def schedule_quantities(schedule: Schedule, network: Network) -> Quantities:
    """Return what every objective of a schedule is made of.

    Raises
    ------
    InvalidInputError
        When a batch names a task or unit the plant does not have.
    """
    # What is delivered is sold like what is left, so that no delivery is taken off here.
    stock = compute_final_stock(
        schedule.batches, network, horizon=schedule.horizon, start=schedule.start
    )
    sold = [state for state in network.states.values() if state.price and not state.unlimited]
    running = schedule.start.running if schedule.start else ()
    finishes = [batch.finish for batch in schedule.batches]
    finishes += [batch.finish for batch in running]
    finishes += [time for served in schedule.orders for time, _ in served.parts]
    late = [served.lateness(schedule.horizon) for served in schedule.orders]
    raw_cost, task_cost = _batch_costs(schedule.batches, network)
    return Quantities(
        revenue=math.fsum(state.price * stock[state.name] for state in sold),
        produced=math.fsum(stock[state.name] for state in sold if state.price > 0),
        raw_cost=raw_cost,
        task_cost=task_cost,
        order_cost=math.fsum(served.cost(schedule.horizon) for served in schedule.orders),
        n_batches=len(schedule.batches),
        latest_finish=max(finishes, default=0.0),
        tardiness=math.fsum(
            served.order.priority * time for served, time in zip(schedule.orders, late, strict=True)
        ),
    )


def compute_final_stock(
    batches: Iterable[Batch],
    network: Network,
    deliveries: Iterable[Delivery] = (),
    *,
    horizon: float = math.inf,
    start: PlantState | None = None,
    orders: Iterable[ServedOrder] = (),
) -> dict[str, float]:
    """Return what is left of each state: what was there or came + made - consumed - delivered.

    For a state with unlimited supply it is the gross amount consumed instead.

    Parameters
    ----------
    batches : iterable of Batch
    network : Network
    deliveries : iterable of Delivery
    horizon : float
        Arrivals after it do not count.
    start : PlantState, optional
        What was there at time 0, and what running batches still release.
    orders : iterable of ServedOrder

    Raises
    ------
    InvalidInputError
        When a batch names a task, or a delivery or an order a state, that the plant does not have.
    """
    came: dict[str, list[float]] = {
        name: _came_from_outside(state, network, horizon, start)
        for name, state in network.states.items()
    }
    used: dict[str, list[float]] = {name: [] for name in network.states}
    for batch in batches:
        if batch.task not in network.tasks:
            raise InvalidInputError(
                f"plant {network.name!r} has no task {batch.task!r}; "
                f"it has {', '.join(network.tasks)}"
            )
        task = network.tasks[batch.task]
        for state, share in task.produces.items():
            came[state].append(share * batch.size)
        for state, share in task.consumes.items():
            used[state].append(share * batch.size)
    wanted = [(delivery.state, delivery.amount) for delivery in deliveries]
    wanted += [(served.order.state, amount) for served in orders for _, amount in served.parts]
    for state, amount in wanted:
        if state not in network.states:
            raise InvalidInputError(
                f"plant {network.name!r} has no state {state!r} to deliver; "
                f"it has {', '.join(network.states)}"
            )
        if not network.states[state].unlimited:
            used[state].append(amount)
    return {
        name: math.fsum(used[name])
        if state.unlimited
        else math.fsum([*came[name], *(-amount for amount in used[name])])
        for name, state in network.states.items()
    }


def _came_from_outside(
    state: State, network: Network, horizon: float, start: PlantState | None
) -> list[float]:
    """Amounts that no batch of the schedule made: in stock, held, still running, or arriving."""
    latest = horizon + time_tolerance(horizon) if math.isfinite(horizon) else math.inf
    amounts = [amount for time, amount in state.arrivals if time <= latest]
    if start is None:
        return [state.initial, *amounts]
    amounts += [start.stock(network, state.name)]
    amounts += [row[state.name] for row in start.held.values() if state.name in row]
    amounts += [
        network.tasks[batch.task].produces[state.name] * batch.size
        for batch in start.running
        if batch.task in network.tasks
        and batch.unit in network.tasks[batch.task].units
        and state.name in batch.releases(network)
    ]
    return amounts


def _batch_costs(batches: Iterable[Batch], network: Network) -> tuple[float, float]:
    """Raw material: state cost * gross consumption; tasks: fixed_cost + cost_per_amount * size."""
    raw, tasks = [], []
    for batch in batches:
        suitability = find_suitability(batch, network)
        if suitability is None:
            raise InvalidInputError(
                f"plant {network.name!r} does not run {batch.task!r} on {batch.unit!r}, "
                "so the batch has no cost"
            )
        tasks.append(suitability.fixed_cost + suitability.cost_per_amount * batch.size)
        raw += [
            network.states[state].cost * share * batch.size
            for state, share in network.tasks[batch.task].consumes.items()
        ]
    return math.fsum(raw), math.fsum(tasks)


def find_suitability(batch: Batch, network: Network) -> Suitability | None:
    """Return on what terms a batch runs; None if the plant knows no such task or its unit."""
    return network.tasks[batch.task].units.get(batch.unit) if batch.task in network.tasks else None
