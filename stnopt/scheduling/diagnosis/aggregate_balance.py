"""What every schedule misses of a demand at least: sums over the horizon, without event points.

What goes in and out of every state, whole batches within their sizes and the hours of each unit add
up in every schedule, so what these sums forbid no schedule does, however many its event points.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import merge_periods, with_calendars
from stnopt.plant.problem import Delivery
from stnopt.plant.reachability import Reachability, soonest_times
from stnopt.plant.rules import Unit
from stnopt.plant.tolerance import SHARE, amount_tolerance
from stnopt.scheduling.checks import check_targets
from stnopt.solvers.solve import Status, solve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState

#: The sums over the whole horizon are small models: they get this many seconds each, and the bound
#: of one that needs more.
_SUMS_LIMIT = 10.0
_SUMS_GAP = 1e-6


# --- What is asked --------------------------------------------------------------------------------


def horizon_of(problem: Problem) -> float:
    """Return the horizon of a problem; infinite where it has none."""
    return math.inf if problem.horizon is None else problem.horizon


def delivered_in_all(problem: Problem) -> dict[str, float]:
    """Return the amount of each state that all deliveries take together."""
    total: dict[str, float] = {}
    for delivery in problem.deliveries:
        total[delivery.state] = total.get(delivery.state, 0.0) + delivery.amount
    return total


def with_orders_delivered(problem: Problem) -> Problem:
    """Return the problem with deliveries in the place of the orders that must not be missing.

    Sums over the horizon know no dates, so that any will do.
    """
    needed = [
        Delivery(order.state, 0.0, order.amount)
        for order in problem.orders
        if order.missing_cost is None
    ]
    return replace(problem, orders=(), deliveries=(*problem.deliveries, *needed))


def states_to_make(network: Network, problem: Problem) -> list[str]:
    """List the states of which more is asked than there is or comes from outside."""
    delivered = delivered_in_all(problem)
    asked = {s: problem.targets.get(s, 0.0) + delivered.get(s, 0.0) for s in network.states}
    return [
        state
        for state, amount in asked.items()
        if amount > there_in_all(network, state) + target_tolerance(network, state)
    ]


def target_tolerance(network: Network, state: str) -> float:
    """Return the amount by which the target of a state may be missed and counts as met."""
    return amount_tolerance(network, state) or SHARE * max(
        fit.max_batch for fit in network.suitabilities
    )


def demand_tolerance(network: Network, problem: Problem) -> float:
    """Return the amount by which all targets together may be missed and count as met."""
    states = list(problem.targets) or [delivery.state for delivery in problem.deliveries]
    states = states or [order.state for order in problem.orders]
    return sum(target_tolerance(network, state) for state in dict.fromkeys(states))


def there_in_all(network: Network, state: str, *, by: float = math.inf) -> float:
    """Return what there is of a state at the start, and what comes of it until a time."""
    held = network.states[state]
    return held.initial + math.fsum(amount for time, amount in held.arrivals if time <= by)


def check_demand(network: Network, targets: Mapping[str, float]) -> None:
    """Refuse what is no demand, naming it; what no task makes is one, with a reason of its own."""
    stocked = {
        s.name for s in network.states.values() if not s.unlimited and not network.producers(s.name)
    }
    check_targets(network, {s: a for s, a in targets.items() if s not in stocked})
    for state in stocked & set(targets):
        if not (math.isfinite(targets[state]) and targets[state] >= 0):
            raise InvalidInputError(
                f"target {state!r}: the amount must be a number of at least 0, got {targets[state]}"
            )


def plant_at_rest(network: Network, problem: Problem, start: PlantState | None) -> Network:
    """Return the plant with what is there at time 0 as stock, and weekly patterns laid out.

    What is held in a unit arrives at 0, what a running batch still releases arrives when it does,
    and its unit is away until it ends: sums need no more of a state.
    """
    if problem.horizon is not None:
        network = with_calendars(network, start=problem.start, horizon=problem.horizon)
    if start is None:
        return network
    coming: dict[str, list[tuple[float, float]]] = {name: [] for name in network.states}
    for row in start.held.values():
        for state, amount in row.items():
            coming[state].append((0.0, amount))
    rules = dict(network.unit_rules)
    for running in start.running:
        shares = network.tasks[running.task].produces
        for state, time in running.releases(network).items():
            coming[state].append((time, shares[state] * running.size))
        unit = rules.get(running.unit) or Unit(name=running.unit)
        away = merge_periods([(0.0, running.remaining), *unit.unavailable])
        rules[running.unit] = replace(unit, unavailable=away)
    states = {
        name: state
        if state.unlimited
        else replace(
            state,
            initial=min(start.stock(network, name), state.capacity),
            arrivals=tuple(sorted([*state.arrivals, *coming[name]])),
            # What comes of it in time is what counts here.
            zero_wait=state.zero_wait and not coming[name],
        )
        for name, state in network.states.items()
    }
    return replace(network, states=states, unit_rules=rules)


def soonest_with_absence(network: Network) -> Reachability:
    """Return the earliest start of each task, and when each state can first be made (inf: never).

    As `soonest_times`, and no batch overlaps a period in which its unit is away.

    Parameters
    ----------
    network : Network
        From `plant_at_rest`.
    """
    starts, made = (dict(times) for times in soonest_times(network))
    come = {
        s.name: 0.0 if s.initial > 0 else min((t for t, _ in s.arrivals), default=math.inf)
        for s in network.states.values()
    }
    # What is there later makes what follows later: from the soonest times up, along each route.
    for _ in range(len(network.tasks) + 1):
        ends: dict[str, float] = dict.fromkeys(network.states, math.inf)
        for task in network.tasks.values():
            ready = max((min(come[s], made[s]) for s in task.consumes), default=0.0)
            first = {}
            for unit, fit in task.units.items():
                first[unit] = _first_fit(network, unit, ready, fit.duration(fit.min_batch))
                for state in task.produces:
                    lasts = fit.release_time.get(state, fit.duration(fit.min_batch))
                    ends[state] = min(ends[state], first[unit] + lasts)
            starts[task.name] = min(first.values())
        made = ends
    return Reachability(starts, made)


def _first_fit(network: Network, unit: str, ready: float, lasts: float) -> float:
    """Return when a batch that is ready can start on a unit first, whatever else runs there."""
    rule = network.unit_rules.get(unit)
    for begin, end in rule.unavailable if rule else ():
        if begin < ready + lasts * (1 - SHARE) and end > ready:
            ready = end
    return ready


# --- Sums -----------------------------------------------------------------------------------------


def add_elastic_demand(m: pyo.ConcreteModel, network: Network, problem: Problem) -> None:
    """final_stock + short - over >= target (== for `exactly`); missed = what is short and over."""
    targets = problem.targets
    m.short = pyo.Var(list(targets), bounds=lambda m, s: (0.0, targets[s]))
    exact = list(targets) if problem.sense == "exactly" else []
    m.over = pyo.Var(exact, bounds=(0.0, _most_ever(network, horizon_of(problem))))

    @m.Constraint(list(targets))
    def enough(m, state):
        return m.final_stock[state] + m.short[state] >= targets[state]

    @m.Constraint(exact)
    def not_too_much(m, state):
        return m.final_stock[state] - m.over[state] <= targets[state]

    m.missed = pyo.Expression(expr=sum(m.short.values()) + sum(m.over.values()))


def _most_ever(network: Network, horizon: float) -> float:
    """Return more of any state than a schedule can make."""
    stocked = sum(there_in_all(network, s.name) for s in network.states.values() if not s.unlimited)
    made = sum(
        fit.max_batch * (1 + horizon / fit.duration(fit.min_batch)) for fit in network.suitabilities
    )
    return stocked + made


def _build_sums(
    network: Network, problem: Problem, *, no_minimum: tuple[tuple[str, str], ...] = ()
) -> pyo.ConcreteModel:
    """Model whole batches, materials and hours over the horizon, without events.

    Per task and unit: min_batch * n <= size <= max_batch * n. Per state: 0 <= initial + made - used
    - ordered <= capacity + what can wait in units, with 0 <= ordered <= what the orders ask. Per
    unit: time of its batches <= length - the earliest start on it, with length <= horizon. What a
    row lacks is in `lacking`, fixed at zero.
    """
    horizon = horizon_of(problem)
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    limited = [s.name for s in network.states.values() if not s.unlimited]
    delivered = delivered_in_all(problem)
    m = pyo.ConcreteModel(name=f"{network.name} in sums")
    m.n_batches = pyo.Var(list(fits), domain=pyo.NonNegativeIntegers)
    m.total_size = pyo.Var(list(fits), domain=pyo.NonNegativeReals)
    m.length = pyo.Var(bounds=(0.0, horizon if horizon < math.inf else None))
    wanted = {order.id: order.amount for order in problem.orders}
    m.ordered = pyo.Var(list(wanted), bounds=lambda m, name: (0.0, wanted[name]))
    m.lacking = pyo.Var(
        [("stock", s) for s in limited if not network.producers(s)]
        + [("room", s) for s in limited]
        + [("hours", unit) for unit in network.units],
        domain=pyo.NonNegativeReals,
    )
    m.lacking.fix(0.0)

    @m.Constraint(list(fits))
    def largest_batches(m, task, unit):
        return m.total_size[task, unit] <= fits[task, unit].max_batch * m.n_batches[task, unit]

    @m.Constraint([key for key in fits if key not in no_minimum])
    def smallest_batches(m, task, unit):
        return m.total_size[task, unit] >= fits[task, unit].min_batch * m.n_batches[task, unit]

    def processed(state: str, side: str) -> pyo.Expression:
        return sum(
            getattr(network.tasks[task], side).get(state, 0.0) * m.total_size[task, unit]
            for task, unit in fits
        )

    @m.Expression(limited)
    def final_stock(m, state):
        stock = there_in_all(network, state, by=horizon) - delivered.get(state, 0.0)
        stock -= sum(m.ordered[order.id] for order in problem.orders if order.state == state)
        if ("stock", state) in m.lacking:
            stock += m.lacking["stock", state]
        return stock + processed(state, "produces") - processed(state, "consumes")

    @m.Constraint(limited)
    def no_less_than_nothing(m, state):
        return m.final_stock[state] >= 0

    @m.Constraint([s for s in limited if most_at_the_end(network, s) < math.inf])
    def no_more_than_fits(m, state):
        return m.final_stock[state] <= most_at_the_end(network, state) + m.lacking["room", state]

    starts, _ = soonest_with_absence(network)

    @m.Constraint(list(network.units))
    def in_time(m, unit):
        on_it = [fit for fit in fits.values() if fit.unit == unit]
        busy = sum(
            fit.fixed_time * m.n_batches[fit.task, unit]
            + fit.time_per_amount * m.total_size[fit.task, unit]
            for fit in on_it
        )
        # Only a unit that runs has to wait for its first material: with the length open, none does.
        available = m.length
        if horizon < math.inf:
            first = min(starts[fit.task] for fit in on_it)
            available = available_time(network, unit, first, horizon)
        return busy <= available + m.lacking["hours", unit]

    add_elastic_demand(m, network, problem)
    return m


def _least(m: pyo.ConcreteModel, expression: pyo.Expression) -> float:
    """Return a proven lower limit of what cannot be negative; inf when there is no solution."""
    m.del_component("least")
    m.least = pyo.Objective(expr=expression)
    result = solve(m, time_limit=_SUMS_LIMIT, relative_gap=_SUMS_GAP)
    if result.status is Status.INFEASIBLE:
        return math.inf
    return 0.0 if result.bound is None else max(result.bound, 0.0)


def missing_in_sums(
    network: Network, problem: Problem, *, no_minimum: tuple[tuple[str, str], ...] = ()
) -> float:
    """Return what every schedule misses of the targets at least, whatever becomes of the orders.

    Parameters
    ----------
    network : Network
        From `plant_at_rest`.
    problem : Problem
        Without a horizon: within any. Its objective does not count.
    no_minimum : tuple of (task, unit)
        Pairs whose smallest batch is ignored.

    Returns
    -------
    float
        0 where that is within the tolerance; inf where the deliveries cannot all be served.
    """
    m = _build_sums(network, problem, no_minimum=no_minimum)
    missing = _least(m, m.missed)
    return 0.0 if missing <= demand_tolerance(network, problem) else missing


def shortest_in_sums(network: Network, problem: Problem) -> float:
    """Return a time that no schedule which meets the demand is shorter than."""
    problem = replace(problem, horizon=None)
    m = _build_sums(network, problem)
    m.met = pyo.Constraint(expr=m.missed <= demand_tolerance(network, problem))
    _, made = soonest_with_absence(network)
    return max([_least(m, m.length), *(made[s] for s in states_to_make(network, problem))])


def least_lacking(network: Network, problem: Problem, resource: tuple[str, str]) -> float:
    """Return how much of one resource the demand lacks at least, were all others without limit.

    Parameters
    ----------
    resource : ("stock" | "room" | "hours", name)
        Of a state or a unit.

    Returns
    -------
    float
        0 where that may be rounding.
    """
    m = _build_sums(network, problem)
    m.lacking.unfix()
    m.met = pyo.Constraint(expr=m.missed <= 0)
    lacking = _least(m, m.lacking[resource])
    least = 2 * demand_tolerance(network, problem)
    if resource[0] == "hours":
        least = SHARE * horizon_of(problem)
    return lacking if least < lacking < math.inf else 0.0


def available_time(network: Network, unit: str, start: float, end: float) -> float:
    """Return how much of a time a unit is there and not paused."""
    rule = network.unit_rules.get(unit)
    periods = merge_periods([*rule.unavailable, *rule.paused]) if rule else ()
    away = sum(max(min(to, end) - max(since, start), 0.0) for since, to in periods)
    return max(end - start - away, 0.0)


def most_at_the_end(network: Network, state: str) -> float:
    """Return what fits at the end: the storage, and one batch that waits in every unit."""
    if network.states[state].zero_wait:
        return 0.0
    return network.states[state].capacity + most_waiting(network, state)


def most_waiting(network: Network, state: str) -> float:
    """Return how much of a state can wait in the units that make it."""
    return math.fsum(network.most_made(state).values())
