"""What keeps every schedule from meeting a demand, in the plant's words: from sums alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from stnopt.scheduling.diagnosis.aggregate_balance import (
    available_time,
    demand_tolerance,
    horizon_of,
    least_lacking,
    missing_in_sums,
    most_at_the_end,
    most_waiting,
    plant_at_rest,
    soonest_with_absence,
    states_to_make,
    target_tolerance,
    there_in_all,
)
from stnopt.scheduling.diagnosis.wording import write_amount, write_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState

ReasonKind = Literal[
    "no_producer",
    "no_route",
    "zero_wait",
    "storage",
    "raw_material",
    "batch_minimum",
    "route_time",
    "unit_hours",
    "late_material",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Something that keeps every schedule from meeting the demand, whatever its event points.

    Attributes
    ----------
    kind : str
        "no_producer", "no_route", "zero_wait", "storage", "raw_material" and "batch_minimum" hold
        for every horizon; "route_time", "unit_hours" and "late_material" for this one.
    element : str
        The state or unit.
    message : str
        A sentence in the plant's words.
    """

    kind: ReasonKind
    element: str
    message: str


def find_reasons(
    network: Network, problem: Problem, *, start: PlantState | None = None
) -> Iterator[Reason]:
    """Yield what no schedule can help: of each product alone first, then of the plant's sums.

    Parameters
    ----------
    network : Network
    problem : Problem
        Targets and deliveries are the demand; orders may be missing. Without a horizon: reasons
        that hold for every one.
    start : PlantState, optional
        The plant at time 0.
    """
    network = plant_at_rest(network, problem, start)
    alone = list(_reasons_of_products(network, problem))
    alone += _reasons_of_deliveries(network, problem)
    yield from alone
    if any(reason.kind != "route_time" for reason in alone):
        return  # the sums would repeat it, less clearly
    yield from _reasons_of_materials(network, problem)
    if not alone and problem.horizon is not None:
        yield from _reasons_of_horizon(network, problem)


def _reasons_of_products(network: Network, problem: Problem) -> Iterator[Reason]:
    _, made = soonest_with_absence(network)
    tolerance, horizon = demand_tolerance(network, problem), horizon_of(problem)
    for state in states_to_make(network, problem):
        held, target = network.states[state], problem.targets.get(state, 0.0)
        fits = most_at_the_end(network, state)
        if not network.producers(state):
            stock = _in_stock(there_in_all(network, state), network)
            yield Reason(
                kind="no_producer", element=state, message=f"No task makes {state}, and {stock}."
            )
        elif made[state] == math.inf:
            roots = [s for s in network.states if made[s] == math.inf and _is_missing(network, s)]
            without = " and ".join(roots) or "a start"
            yield Reason(
                kind="no_route",
                element=state,
                message=f"No route leads to {state}: nothing makes {without}, and there is none in "
                "stock.",
            )
        elif held.zero_wait and target > tolerance:
            yield Reason(
                kind="zero_wait",
                element=state,
                message=f"{state} cannot wait: none of it can be left at the end.",
            )
        elif target > fits + tolerance:
            yield _no_room(network, state, target)
        elif made[state] > horizon * (1 + 1e-9):
            yield Reason(
                kind="route_time",
                element=state,
                message=f"The quickest way to any {state} takes "
                f"{write_amount(made[state], network.time_unit)}.",
            )


def _reasons_of_deliveries(network: Network, problem: Problem) -> Iterator[Reason]:
    """Look for room: what leaves at once must be stored, wait in units, or arrive just then."""
    for delivery in problem.deliveries:
        state = delivery.state
        arrives = max((amount for _, amount in network.states[state].arrivals), default=0.0)
        room = most_at_the_end(network, state) + arrives
        if network.producers(state) and delivery.amount > room + target_tolerance(network, state):
            yield _no_room(network, state, delivery.amount)


def _no_room(network: Network, state: str, amount: float) -> Reason:
    waiting = write_number(most_waiting(network, state), up=True)
    return Reason(
        kind="storage",
        element=state,
        message=f"{write_amount(amount, network.amount_unit)} of {state} do not fit: storage holds "
        f"{write_number(network.states[state].capacity)}, and {waiting} at most can wait in the "
        "units that make it.",
    )


def _is_missing(network: Network, state: str) -> bool:
    return not network.producers(state) and there_in_all(network, state) == 0


def _reasons_of_materials(network: Network, problem: Problem) -> Iterator[Reason]:
    """Batch sizes, if all would be well without them; else stocks and storage."""
    problem = replace(problem, horizon=None)
    if missing_in_sums(network, problem) == 0:
        return
    with_minimum = [f for f in network.suitabilities if f.min_batch > 0]
    keys = tuple((fit.task, fit.unit) for fit in with_minimum)
    if keys and missing_in_sums(network, problem, no_minimum=keys) == 0:
        to_blame = [
            fit
            for fit, key in zip(with_minimum, keys, strict=True)
            if missing_in_sums(network, problem, no_minimum=(key,)) == 0
        ]
        for fit in to_blame or with_minimum:
            least = write_amount(fit.min_batch, network.amount_unit)
            yield Reason(
                kind="batch_minimum",
                element=fit.unit,
                message=f"{fit.task} on {fit.unit} takes at least {least} a batch, "
                f"{'which' if to_blame else 'which together with other such limits'} the demand "
                "and the stocks do not add up to.",
            )
        return
    any_alone = False
    for name, state in network.states.items():
        if state.unlimited:
            continue
        there = there_in_all(network, name)
        lacking = _lacking_stock(network, problem, name)
        if lacking > 0:
            any_alone = True
            need = write_amount(there + lacking, network.amount_unit, up=False)
            yield Reason(
                kind="raw_material",
                element=name,
                message=f"The demand takes at least {need} of {name}, and "
                f"{_in_stock(there, network)}.",
            )
        fits = most_at_the_end(network, name)
        lacking = 0.0 if fits == math.inf else least_lacking(network, problem, ("room", name))
        if lacking > 0:
            any_alone = True
            left = write_amount(fits + lacking, network.amount_unit, up=False)
            yield Reason(
                kind="storage",
                element=name,
                message=f"The demand leaves at least {left} of {name}, and "
                f"{write_number(fits)} at most fit into storage and the units that make it.",
            )
    if any_alone:
        return
    raw = [
        s.name
        for s in network.states.values()
        if not s.unlimited and not network.producers(s.name) and network.consumers(s.name)
    ]
    yield Reason(
        kind="raw_material",
        element=", ".join(raw),
        message=f"The stocks of {' and '.join(raw)} together do not suffice for the demand."
        if raw
        else "What goes in and what comes out never adds up to the demand.",
    )


def _lacking_stock(network: Network, problem: Problem, state: str) -> float:
    if network.producers(state):
        return 0.0
    return least_lacking(network, problem, ("stock", state))


def _reasons_of_horizon(network: Network, problem: Problem) -> Iterator[Reason]:
    """Units whose hours do not suffice, and material that comes too late."""
    if missing_in_sums(network, problem) == 0:
        return
    yield from _reasons_of_units(network, problem)
    horizon = horizon_of(problem)
    for name, state in network.states.items():
        if not any(time > horizon for time, _ in state.arrivals):
            continue
        lacking = _lacking_stock(network, problem, name)
        if lacking > 0:
            there = there_in_all(network, name, by=horizon)
            need = write_amount(there + lacking, network.amount_unit, up=False)
            only = f"only {write_amount(there, network.amount_unit)}" if there else "nothing"
            yield Reason(
                kind="late_material",
                element=name,
                message=f"The demand takes at least {need} of {name}, of which {only} is there by "
                f"{write_amount(horizon, network.time_unit)}.",
            )


def _reasons_of_units(network: Network, problem: Problem) -> Iterator[Reason]:
    starts, _ = soonest_with_absence(network)
    for unit in network.units:
        start = min(starts[fit.task] for fit in network.suitabilities if fit.unit == unit)
        if start == math.inf:
            continue  # for want of material
        lacking = least_lacking(network, problem, ("hours", unit))
        if lacking > 0:
            available = available_time(network, unit, start, horizon_of(problem))
            need = write_amount(available + lacking, network.time_unit, up=False)
            there = f"is there for {write_number(available)}"
            if start > 0:
                there += f" from {write_number(start)}, when its first batch can start"
            yield Reason(
                kind="unit_hours",
                element=unit,
                message=f"The demand takes at least {need} of {unit}, which {there}.",
            )


def _in_stock(initial: float, network: Network) -> str:
    if initial == 0:
        return "there is none in stock"
    return f"only {write_amount(initial, network.amount_unit)} are in stock"
