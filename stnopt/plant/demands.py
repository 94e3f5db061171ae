"""Which rules a plant and what is asked of it demand: the list that formulations are held against.

A formulation that does not name a rule among those it supports refuses every plant that demands it
(`stnopt.scheduling.formulations.features`), so that no rule is ever ignored.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from stnopt.plant.state import PlantState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem


class Demand(NamedTuple):
    """A rule that is demanded, and by what, as a clause such as "unit 'R1' has changeovers"."""

    rule: str
    where: str


def demanded_rules(
    network: Network, problem: Problem | None = None, start: PlantState | None = None
) -> tuple[Demand, ...]:
    """List every rule that a plant, what is asked of it and its state demand of a formulation."""
    state = start or PlantState()
    return tuple(
        Demand(rule, where)
        for rule, find in RULES.items()
        for where in find(network, problem, state)
    )


def _storage(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for state in network.states.values():
        if math.isfinite(state.capacity) and not state.zero_wait:
            yield f"state {state.name!r} has a capacity"


def _zero_wait(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for state in network.states.values():
        if state.zero_wait:
            yield f"state {state.name!r} is zero_wait"


def _release_time(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for fit in network.suitabilities:
        for state in fit.release_time:
            yield f"task {fit.task!r} on unit {fit.unit!r} has a release time of {state!r}"


def _size_dependent_time(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for fit in network.suitabilities:
        if fit.time_per_amount > 0 and fit.max_batch > fit.min_batch:
            batch = f"task {fit.task!r} on unit {fit.unit!r}"
            yield f"the duration of {batch} depends on the batch size"


def _unavailable(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for unit in network.unit_rules.values():
        if unit.unavailable or "unavailable" in unit.weekly:
            yield f"unit {unit.name!r} has unavailable periods"


def _changeovers(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for unit in network.unit_rules.values():
        if unit.changeovers:
            yield f"unit {unit.name!r} has changeovers"


def _clean_after(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for unit in network.unit_rules.values():
        if unit.clean_after:
            yield f"unit {unit.name!r} has clean_after"


def _utilities(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for fit in network.suitabilities:
        for utility in fit.utilities:
            yield f"task {fit.task!r} on unit {fit.unit!r} draws on {utility!r}"


def _deliveries(_: Network, problem: Problem | None, __: PlantState) -> Iterator[str]:
    for delivery in problem.deliveries if problem else ():
        yield f"{delivery.state!r} is delivered at {delivery.time:g}"


def _orders(_: Network, problem: Problem | None, __: PlantState) -> Iterator[str]:
    for order in problem.orders if problem else ():
        yield f"order {order.id!r} is due at {order.due:g}"


def _arrivals(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for state in network.states.values():
        if state.arrivals:
            yield f"state {state.name!r} has arrivals"


def _utility_steps(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for utility in network.utilities.values():
        if utility.steps:
            yield f"utility {utility.name!r} has a capacity in steps"


def _unattended(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for unit in network.unit_rules.values():
        if unit.unattended or "unattended" in unit.weekly:
            yield f"unit {unit.name!r} is unattended at times"


def _paused(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for unit in network.unit_rules.values():
        if unit.paused or "paused" in unit.weekly:
            yield f"unit {unit.name!r} is paused at times"


def _running(_: Network, __: Problem | None, start: PlantState) -> Iterator[str]:
    for batch in start.running:
        yield f"unit {batch.unit!r} runs a batch of {batch.task!r} at time 0"


def _held(_: Network, __: Problem | None, start: PlantState) -> Iterator[str]:
    for unit, row in start.held.items():
        yield f"unit {unit!r} holds {', '.join(map(repr, row))} at time 0"


def _last(network: Network, _: Problem | None, start: PlantState) -> Iterator[str]:
    for unit, last in start.last.items():
        if unit in network.unit_rules and network.unit_rules[unit].changeovers:
            yield f"unit {unit!r} ran {last.task!r} last"


RULES: dict[str, Callable[[Network, Problem | None, PlantState], Iterator[str]]] = {
    "storage": _storage,
    "zero_wait": _zero_wait,
    "release_time": _release_time,
    "size_dependent_time": _size_dependent_time,
    "unavailable": _unavailable,
    "changeovers": _changeovers,
    "clean_after": _clean_after,
    "utilities": _utilities,
    "deliveries": _deliveries,
    "orders": _orders,
    "arrivals": _arrivals,
    "utility_steps": _utility_steps,
    "unattended": _unattended,
    "paused": _paused,
    "running": _running,
    "held": _held,
    "last": _last,
}
"""Every rule that there is, and what finds it in a plant and a problem; a new one enters here."""
