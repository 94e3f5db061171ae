"""The section `problem:` of a file: from plain values to what is asked of a plant."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from stnopt.plant.checks import did_you_mean
from stnopt.plant.orders import Order
from stnopt.plant.problem import Delivery, Problem
from stnopt.plant.read_calendar import Clock
from stnopt.plant.read_plant import BESIDE_PLANT
from stnopt.plant.values import described, known_entries, made, read_number, read_numbers, read_text

_PROBLEM_KEYS = (
    "objective",
    "horizon",
    "horizon_upper_bound",
    "demand",
    "sense",
    "deliveries",
    "orders",
    "start",
)
_ORDER_TIMES = ("due", "earliest")
_ORDER_NUMBERS = ("amount", "priority", "late_cost", "missing_cost")
_ORDER_KEYS = ("id", "state", "partial", *_ORDER_TIMES, *_ORDER_NUMBERS)


_DELIVERY_KEYS = ("state", "time", "amount")


def is_plant_alone(document: object) -> bool:
    """Whether a document is a plant with no problem beside it."""
    if not isinstance(document, Mapping) or "problem" in document:
        return False
    return "plant" in document or ("states" in document and "tasks" in document)


def read_problem_document(document: object, problems: list[str]) -> Problem | None:
    """Find the problem in a document and read it; None, with its problems added, if it has any."""
    if not isinstance(document, Mapping):
        problems.append(f"expected a mapping with the key problem, got {described(document)}")
        return None
    states: object = None
    if "plant" in document or "problem" in document:
        entries = known_entries(
            document, "beside problem", ("plant", *BESIDE_PLANT), ("problem",), problems
        )
        if "problem" not in entries:
            return None
        plant = entries.get("plant")
        states = plant.get("states") if isinstance(plant, Mapping) else None
        given = entries["problem"]
    elif "states" in document and "tasks" in document:
        problems.append(
            "this is a plant without a problem; move it under the key plant and write the key "
            "problem beside it"
        )
        return None
    else:
        given = document
    known = states if isinstance(states, Mapping) else None
    return _read_problem(given, known, Clock(document), problems)


def _read_problem(
    given: object, states: Mapping[str, object] | None, clock: Clock, problems: list[str]
) -> Problem | None:
    """Read a problem, and look up the states it names if it is known which there are."""
    entries = known_entries(given, "problem", _PROBLEM_KEYS, (), problems)
    values: dict[str, Any] = {}
    for key in ("objective", "sense"):
        if key in entries:
            n_before = len(problems)
            text = read_text(entries[key], f"problem: {key}", problems)
            if len(problems) == n_before:
                values[key] = text
    horizons = [key for key in ("horizon", "horizon_upper_bound") if key in entries]
    if len(horizons) == 2:
        problems.append("problem: horizon and horizon_upper_bound are the same; give one of them")
    for key in horizons:
        values["horizon"] = read_number(entries[key], f"problem: {key}", problems)
    if "horizon_upper_bound" in horizons:
        warnings.warn(
            "problem: horizon_upper_bound is called horizon now; the old name goes with the next "
            "release",
            DeprecationWarning,
            stacklevel=4,  # whoever called read_problem
        )
    if "demand" in entries:
        demand = read_numbers(entries["demand"], "problem: demand", "amount", problems)
        values["targets"] = {s: amount for s, amount in demand.items() if not math.isnan(amount)}
        problems.extend(_unknown_states(demand, "problem: demand", states))
    if "deliveries" in entries:
        values["deliveries"] = _read_deliveries(entries["deliveries"], states, clock, problems)
    if "orders" in entries:
        where = "problem: orders"
        values["orders"] = read_orders(entries["orders"], where, states, clock, problems)
    if "start" in entries:
        n_before = len(problems)
        text = read_text(entries["start"], "problem: start", problems)
        if len(problems) == n_before:
            values["start"] = text
    n_before = len(problems)
    problem = made(Problem, problems, **values)
    problems[n_before:] = [f"problem: {sentence}" for sentence in problems[n_before:]]
    return problem


def _read_deliveries(
    value: object, states: Mapping[str, object] | None, clock: Clock, problems: list[str]
) -> list[Delivery]:
    """Read a list of deliveries, without those that have problems."""
    if not isinstance(value, list | tuple):
        problems.append(
            "problem: deliveries must be a list of {state: ..., time: ..., amount: ...}, got "
            + described(value)
        )
        return []
    deliveries = []
    for count, row in enumerate(value, 1):
        n_before = len(problems)
        owner = f"problem: delivery {count}"
        entries = known_entries(row, owner, _DELIVERY_KEYS, _DELIVERY_KEYS, problems)
        values: dict[str, Any] = {}
        if "time" in entries:
            values["time"] = clock.read(entries["time"], f"{owner}: time", problems)
        if "amount" in entries:
            values["amount"] = read_number(entries["amount"], f"{owner}: amount", problems)
        if "state" in entries:
            values["state"] = read_text(entries["state"], f"{owner}: state", problems)
            if isinstance(entries["state"], str):
                problems.extend(_unknown_states([values["state"]], owner, states))
        if len(problems) > n_before:
            continue
        delivery = made(Delivery, problems, **values)
        if delivery is None:
            problems[n_before:] = [f"{owner}: {sentence}" for sentence in problems[n_before:]]
        else:
            deliveries.append(delivery)
    return deliveries


def read_orders(
    value: object,
    where: str,
    states: Mapping[str, object] | None,
    clock: Clock,
    problems: list[str],
) -> list[Order]:
    """Read a list of orders, without those that have problems."""
    if not isinstance(value, list | tuple):
        problems.append(
            f"{where} must be a list of {{id: ..., state: ..., amount: ..., due: ...}}, got "
            + described(value)
        )
        return []
    orders = []
    for count, row in enumerate(value, 1):
        n_before = len(problems)
        owner = f"{where[:-1]} {count}"
        required = ("id", "state", "amount", "due")
        entries = known_entries(row, owner, _ORDER_KEYS, required, problems)
        values: dict[str, Any] = {
            key: read_number(entries[key], f"{owner}: {key}", problems)
            for key in _ORDER_NUMBERS
            if key in entries
        }
        values |= {
            key: clock.read(entries[key], f"{owner}: {key}", problems)
            for key in _ORDER_TIMES
            if key in entries
        }
        name = entries.get("id")
        if isinstance(name, int) and not isinstance(name, bool):
            values["id"] = str(name)
        elif "id" in entries:
            values["id"] = read_text(name, f"{owner}: id", problems)
        if "state" in entries:
            values["state"] = read_text(entries["state"], f"{owner}: state", problems)
            if isinstance(entries["state"], str):
                problems.extend(_unknown_states([values["state"]], owner, states))
        if "partial" in entries:
            values["partial"] = entries["partial"]
        if len(problems) > n_before:
            continue
        order = made(Order, problems, **values)
        if order is None:
            problems[n_before:] = [f"{owner}: {sentence}" for sentence in problems[n_before:]]
        else:
            orders.append(order)
    return orders


def _unknown_states(
    named: Iterable[str], where: str, states: Mapping[str, object] | None
) -> list[str]:
    """Problems with the names of states, where it is known which ones the plant has."""
    if states is None:
        return []
    return [
        f"{where}: the plant has no state {state!r}{did_you_mean(state, map(str, states))}"
        for state in named
        if state not in states
    ]
