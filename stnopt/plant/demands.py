"""Which rules a plant and what is asked of it demand: the list that formulations are held against.

A formulation that does not name a rule among those it supports refuses every plant that demands it
(`stnopt.scheduling.formulations.features`), so that no rule is ever ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from stnopt.plant.recipe import STATE_KEYS
from stnopt.plant.rules import UNIT_RULES
from stnopt.plant.state import PlantState

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.recipe import StateKey
    from stnopt.plant.unit_rules.contract import UnitRule


class Demand(NamedTuple):
    """A rule that is demanded, and by what, as a clause such as "unit 'R1' has changeovers"."""

    rule: str
    where: str


Find = Callable[["Network", "Problem | None", PlantState], Iterator[str]]


class Rule(NamedTuple):
    """How a rule is found in what is asked, and what becomes of a model without it.

    Attributes
    ----------
    find : callable
        Yields what demands it, as clauses.
    only_restricts : bool
        Whether every schedule that keeps it is still one without it, of the same value: then a
        model whose bound holds for any schedule may leave it out.
    """

    find: Find
    only_restricts: bool = False


def demanded_rules(
    network: Network, problem: Problem | None = None, start: PlantState | None = None
) -> tuple[Demand, ...]:
    """List every rule that a plant, what is asked of it and its state demand of a formulation."""
    state = start or PlantState()
    return tuple(
        Demand(name, where)
        for name, rule in RULES.items()
        for where in rule.find(network, problem, state)
    )


def _of_units(said: UnitRule) -> Rule:
    """Find what units have to say under a key."""

    def find(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
        for unit in network.unit_rules.values():
            if said.written(unit):
                yield f"unit {unit.name!r} {said.clause}"

    return Rule(find, only_restricts=said.only_restricts)


def _of_states(key: str, said: StateKey) -> Rule:
    """Find what states have to say under a key."""

    def find(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
        for state in network.states.values():
            if getattr(state, key):
                yield f"state {state.name!r} {said.clause}"

    return Rule(find, only_restricts=said.only_restricts)


def _storage(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for state in network.states.values():
        if math.isfinite(state.capacity) and not state.zero_wait:
            yield f"state {state.name!r} has a capacity"


def _release_time(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for fit in network.suitabilities:
        for state in fit.release_time:
            yield f"task {fit.task!r} on unit {fit.unit!r} has a release time of {state!r}"


def _size_dependent_time(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for fit in network.suitabilities:
        if fit.time_per_amount > 0 and fit.max_batch > fit.min_batch:
            batch = f"task {fit.task!r} on unit {fit.unit!r}"
            yield f"the duration of {batch} depends on the batch size"


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


def _utility_steps(network: Network, _: Problem | None, __: PlantState) -> Iterator[str]:
    for utility in network.utilities.values():
        if utility.steps:
            yield f"utility {utility.name!r} has a capacity in steps"


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


RULES: dict[str, Rule] = {
    "storage": Rule(_storage, only_restricts=True),
    **{key: _of_states(key, said) for key, said in STATE_KEYS.items() if said.clause},
    "release_time": Rule(_release_time),
    "size_dependent_time": Rule(_size_dependent_time),
    **{key: _of_units(said) for key, said in UNIT_RULES.items()},
    "utilities": Rule(_utilities, only_restricts=True),
    "deliveries": Rule(_deliveries),
    "orders": Rule(_orders),
    "utility_steps": Rule(_utility_steps, only_restricts=True),
    "running": Rule(_running),
    "held": Rule(_held),
    "last": Rule(_last, only_restricts=True),
}
"""Every rule that there is, and what finds it in a plant and a problem; a new one enters here."""
