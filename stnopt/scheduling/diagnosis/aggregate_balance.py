"""What keeps every schedule from meeting a demand: sums over the horizon, without event points.

What goes in and out of every state, whole batches within their sizes and the hours of each unit add
up in every schedule, so what these sums forbid no schedule does, however many its event points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyomo.environ as pyo

from stnopt.errors import InvalidInputError
from stnopt.plant.reachability import soonest_times
from stnopt.plant.tolerance import SHARE, amount_tolerance
from stnopt.scheduling.checks import check_targets
from stnopt.solvers.solve import Status, solve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Delivery
    from stnopt.plant.recipe import State

ReasonKind = Literal[
    "no_producer",
    "no_route",
    "zero_wait",
    "storage",
    "raw_material",
    "batch_minimum",
    "route_time",
    "unit_hours",
]

#: The sums over the whole horizon are small models: they get this many seconds each, and the bound
#: of one that needs more.
_SUMS_LIMIT = 10.0
_SUMS_GAP = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Something that keeps every schedule from meeting the demand, whatever its event points.

    Attributes
    ----------
    kind : str
        "no_producer", "no_route", "zero_wait", "storage", "raw_material" and "batch_minimum" hold
        for every horizon; "route_time" and "unit_hours" for this one.
    element : str
        The state or unit.
    message : str
        A sentence in the plant's words.
    """

    kind: ReasonKind
    element: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of a plant within a horizon.

    Attributes
    ----------
    network : Network
    targets : mapping of str to float, amount
    sense : {"at_least", "exactly"}
    horizon : float
        May be infinite where no schedule is sought.
    relative_gap : float
        For each solve.
    deliveries : tuple of Delivery
    """

    network: Network
    targets: Mapping[str, float]
    sense: Literal["at_least", "exactly"]
    horizon: float
    relative_gap: float
    deliveries: tuple[Delivery, ...] = ()

    @property
    def delivered(self) -> dict[str, float]:
        """Amount of each state that all deliveries take together."""
        total: dict[str, float] = {}
        for delivery in self.deliveries:
            total[delivery.state] = total.get(delivery.state, 0.0) + delivery.amount
        return total

    @property
    def to_be_made(self) -> list[str]:
        """States of which more is asked than there is at the start."""
        delivered = self.delivered
        asked = {s: self.targets.get(s, 0.0) + delivered.get(s, 0.0) for s in self.network.states}
        states = self.network.states
        return [s for s, a in asked.items() if a > there_in_all(states[s]) + self.tolerance_of(s)]

    def tolerance_of(self, state: str) -> float:
        """Amount by which the target of a state may be missed and counts as met."""
        return amount_tolerance(self.network, state) or SHARE * max(
            fit.max_batch for fit in self.network.suitabilities
        )

    @property
    def tolerance(self) -> float:
        """Amount by which all targets together may be missed and count as met."""
        states = list(self.targets) or [delivery.state for delivery in self.deliveries]
        return sum(self.tolerance_of(state) for state in dict.fromkeys(states))


def there_in_all(state: State, *, by: float = math.inf) -> float:
    """Return what there is of a state at the start, and what comes of it until a time."""
    return state.initial + math.fsum(amount for time, amount in state.arrivals if time <= by)


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


def add_elastic_demand(m: pyo.ConcreteModel, demand: Demand) -> None:
    """final_stock + short - over >= target (== for `exactly`); total = what is short and over."""
    targets = demand.targets
    m.short = pyo.Var(list(targets), bounds=lambda m, s: (0.0, targets[s]))
    most = _most_ever(demand)
    exact = list(targets) if demand.sense == "exactly" else []
    m.over = pyo.Var(exact, bounds=(0.0, most))

    @m.Constraint(list(targets))
    def enough(m, state):
        return m.final_stock[state] + m.short[state] >= targets[state]

    @m.Constraint(exact)
    def not_too_much(m, state):
        return m.final_stock[state] - m.over[state] <= targets[state]

    m.missed = pyo.Expression(expr=sum(m.short.values()) + sum(m.over.values()))


def _most_ever(demand: Demand) -> float:
    """Return more of any state than a schedule can make."""
    network = demand.network
    stocked = sum(there_in_all(s) for s in network.states.values() if not s.unlimited)
    made = sum(
        fit.max_batch * (1 + demand.horizon / fit.duration(fit.min_batch))
        for fit in network.suitabilities
    )
    return stocked + made


# --- Sums -----------------------------------------------------------------------------------------


def _build_sums(
    demand: Demand, horizon: float, *, no_minimum: tuple[tuple[str, str], ...] = ()
) -> pyo.ConcreteModel:
    """Model whole batches, materials and hours over the horizon, without events.

    Per task and unit: min_batch * n <= size <= max_batch * n. Per state: 0 <= initial + made - used
    <= capacity + what can wait in units. Per unit: time of its batches <= length - the earliest
    start on it, with length <= horizon. What a row lacks is in `lacking`, fixed at zero.
    """
    network = demand.network
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    limited = [s.name for s in network.states.values() if not s.unlimited]
    delivered = demand.delivered
    m = pyo.ConcreteModel(name=f"{network.name} in sums")
    m.n_batches = pyo.Var(list(fits), domain=pyo.NonNegativeIntegers)
    m.total_size = pyo.Var(list(fits), domain=pyo.NonNegativeReals)
    m.length = pyo.Var(bounds=(0.0, horizon if horizon < math.inf else None))
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
        stock = there_in_all(network.states[state], by=horizon) - delivered.get(state, 0.0)
        if ("stock", state) in m.lacking:
            stock += m.lacking["stock", state]
        return stock + processed(state, "produces") - processed(state, "consumes")

    @m.Constraint(limited)
    def no_less_than_nothing(m, state):
        return m.final_stock[state] >= 0

    @m.Constraint([s for s in limited if _most_at_the_end(network, s) < math.inf])
    def no_more_than_fits(m, state):
        return m.final_stock[state] <= _most_at_the_end(network, state) + m.lacking["room", state]

    starts, _ = soonest_times(network)

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

    add_elastic_demand(m, demand)
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
    demand: Demand, horizon: float, *, no_minimum: tuple[tuple[str, str], ...] = ()
) -> float:
    """Return what every schedule misses at least within a horizon, which may be infinite."""
    m = _build_sums(demand, horizon, no_minimum=no_minimum)
    missing = _least(m, m.missed)
    return 0.0 if missing <= demand.tolerance else missing


def shortest_in_sums(demand: Demand) -> float:
    """Return a time that no schedule which meets the demand is shorter than."""
    m = _build_sums(demand, math.inf)
    m.met = pyo.Constraint(expr=m.missed <= demand.tolerance)
    _, made = soonest_times(demand.network)
    return max([_least(m, m.length), *(made[state] for state in demand.to_be_made)])


def _least_lacking(demand: Demand, horizon: float, resource: tuple[str, str]) -> float:
    """Return how much of one resource the demand lacks at least, were all others without limit."""
    m = _build_sums(demand, horizon)
    m.lacking.unfix()
    m.met = pyo.Constraint(expr=m.missed <= 0)
    return _least(m, m.lacking[resource])


def available_time(network: Network, unit: str, start: float, end: float) -> float:
    """Return how much of a time a unit is there."""
    periods = network.unit_rules[unit].unavailable if unit in network.unit_rules else ()
    away = sum(max(min(to, end) - max(since, start), 0.0) for since, to in periods)
    return max(end - start - away, 0.0)


def _most_at_the_end(network: Network, state: str) -> float:
    """Return what fits at the end: the storage, and one batch that waits in every unit."""
    if network.states[state].zero_wait:
        return 0.0
    return network.states[state].capacity + _most_waiting(network, state)


def _most_waiting(network: Network, state: str) -> float:
    return math.fsum(network.most_made(state).values())


def find_reasons(demand: Demand) -> Iterator[Reason]:
    """Yield what no schedule can help: of each product alone first, then of the plant's sums."""
    alone = list(_reasons_of_products(demand))
    yield from alone
    if any(reason.kind != "route_time" for reason in alone):
        return  # the sums would repeat it, less clearly
    yield from _reasons_of_materials(demand)
    if not alone and demand.horizon < math.inf:
        yield from _reasons_of_units(demand)


def _reasons_of_products(demand: Demand) -> Iterator[Reason]:
    network = demand.network
    _, made = soonest_times(network)
    for state in demand.to_be_made:
        held, target = network.states[state], demand.targets.get(state, 0.0)
        fits = _most_at_the_end(network, state)
        if not network.producers(state):
            stock = _in_stock(there_in_all(held), network)
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
        elif held.zero_wait and target > demand.tolerance:
            yield Reason(
                kind="zero_wait",
                element=state,
                message=f"{state} cannot wait: none of it can be left at the end.",
            )
        elif target > fits + demand.tolerance:
            waiting = write_number(_most_waiting(network, state), up=True)
            yield Reason(
                kind="storage",
                element=state,
                message=f"{write_amount(target, network.amount_unit)} of {state} do not fit: "
                f"storage holds {write_number(held.capacity)}, and {waiting} at most can wait in "
                "the units that make it.",
            )
        elif made[state] > demand.horizon * (1 + 1e-9):
            yield Reason(
                kind="route_time",
                element=state,
                message=f"The quickest way to any {state} takes "
                f"{write_amount(made[state], network.time_unit)}.",
            )


def _is_missing(network: Network, state: str) -> bool:
    return not network.producers(state) and there_in_all(network.states[state]) == 0


def _reasons_of_materials(demand: Demand) -> Iterator[Reason]:
    """Batch sizes, if all would be well without them; else stocks and storage."""
    network = demand.network
    if missing_in_sums(demand, math.inf) == 0:
        return
    with_minimum = [f for f in network.suitabilities if f.min_batch > 0]
    keys = tuple((fit.task, fit.unit) for fit in with_minimum)
    if keys and missing_in_sums(demand, math.inf, no_minimum=keys) == 0:
        to_blame = [
            fit
            for fit, key in zip(with_minimum, keys, strict=True)
            if missing_in_sums(demand, math.inf, no_minimum=(key,)) == 0
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
        lacking = 0.0 if network.producers(name) else _lack(demand, ("stock", name), math.inf)
        if lacking > 0:
            any_alone = True
            need = write_amount(there_in_all(state) + lacking, network.amount_unit, up=False)
            yield Reason(
                kind="raw_material",
                element=name,
                message=f"The demand takes at least {need} of {name}, and "
                f"{_in_stock(there_in_all(state), network)}.",
            )
        fits = _most_at_the_end(network, name)
        lacking = 0.0 if fits == math.inf else _lack(demand, ("room", name), math.inf)
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


def _reasons_of_units(demand: Demand) -> Iterator[Reason]:
    network = demand.network
    starts, _ = soonest_times(network)
    for unit in network.units:
        lacking = _lack(demand, ("hours", unit), demand.horizon)
        if lacking > 0:
            start = min(starts[fit.task] for fit in network.suitabilities if fit.unit == unit)
            available = available_time(network, unit, start, demand.horizon)
            need = write_amount(available + lacking, network.time_unit, up=False)
            there = f"is there for {write_number(available)}"
            if start > 0:
                there += f" from {write_number(start)}, when its first batch can start"
            yield Reason(
                kind="unit_hours",
                element=unit,
                message=f"The demand takes at least {need} of {unit}, which {there}.",
            )


def _lack(demand: Demand, resource: tuple[str, str], horizon: float) -> float:
    """Return the least that is lacking of one resource; 0 where that may be rounding."""
    lacking = _least_lacking(demand, horizon, resource)
    least = 1e-6 * demand.horizon if resource[0] == "hours" else 2 * demand.tolerance
    return lacking if least < lacking < math.inf else 0.0


# --- In words -------------------------------------------------------------------------------------


def _in_stock(initial: float, network: Network) -> str:
    if initial == 0:
        return "there is none in stock"
    return f"only {write_amount(initial, network.amount_unit)} are in stock"


def write_amount(value: float, unit: str, *, up: bool | None = None) -> str:
    """Write a number with its unit (see `write_number`)."""
    return f"{write_number(value, up=up)} {unit}".strip()


def write_number(value: float, *, up: bool | None = None) -> str:
    """Write four digits, rounded to the side on which the sentence stays true."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 3 - math.floor(math.log10(abs(value)))
    scaled = value * 10.0**digits
    if up is None:
        scaled = round(scaled)
    else:
        # A bound within the tolerances of a round number is that number.
        scaled = math.ceil(scaled - 0.002) if up else math.floor(scaled + 0.02)
    number = scaled / 10.0**digits
    return f"{number:.0f}" if abs(number) >= 1e4 else f"{number:.4g}"
