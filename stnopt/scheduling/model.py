"""A scheduling model from the outside: build it, say what is wanted, read the schedule back.

What a schedule is worth follows from how much every task processed, whatever the formulation: the
formulation's module declares and reads its own variables, this one adds stock, values and targets.

A formulation's module provides a function that builds a model with the expressions
``total_size[task, unit]`` (all its batches together) and ``n_batches[task, unit]``, and with
``latest_finish``, a variable fixed to the horizon; and, each with the model as its first argument,
``free_makespan`` (lets the schedule end earlier), ``read_runs`` and ``set_structure`` (see the
functions of these names below). What its equations cannot express, it refuses when it builds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import pyomo.environ as pyo

from stnopt.errors import InvalidInputError, InvalidScheduleError, UnsupportedModelError
from stnopt.plant.checks import did_you_mean
from stnopt.plant.objective import OBJECTIVES, ObjectiveKind, Quantities
from stnopt.scheduling.formulations import interval_relaxation, state_sequence, time_grid
from stnopt.scheduling.formulations.features import refuse_unsupported
from stnopt.scheduling.formulations.unit_specific import model as unit_specific
from stnopt.scheduling.formulations.unit_specific.deliveries import add_deliveries
from stnopt.scheduling.formulations.unit_specific.storage import add_storage_in_time
from stnopt.scheduling.formulations.unit_specific.tightening import add_loads, dominance
from stnopt.scheduling.formulations.unit_specific.utilities import add_utility_in_time
from stnopt.scheduling.handle import SchedulingHandle, make_handle, scheduling_handle
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Delivery

Objective = ObjectiveKind
Formulation = Literal["unit_events", "state_sequence", "time_grid"]
Runs = dict[tuple[str, str, int, int], tuple[float, float]]
_FORMULATIONS = {
    "unit_events": (unit_specific, unit_specific.build_unit_event_model),
    "state_sequence": (state_sequence, state_sequence.build_state_sequence_model),
    "time_grid": (time_grid, time_grid.build_time_grid_model),
}
_RELAXATION = "intervals"
_SERVES_DELIVERIES = {
    "unit_events": add_deliveries,
    "time_grid": time_grid.serve_on_grid,
    _RELAXATION: interval_relaxation.serve_in_intervals,
}
#: A batch below this share of the plant's largest is rounding, not production.
_NEGLIGIBLE = 1e-9
_SENSES = {
    kind: pyo.maximize if objective.maximised else pyo.minimize
    for kind, objective in OBJECTIVES.items()
}


def build_scheduling_model(
    network: Network,
    *,
    horizon: float,
    n_events: int,
    max_span: int = 0,
    formulation: Formulation = "unit_events",
) -> pyo.ConcreteModel:
    """Build the scheduling MILP of a plant, without objective or targets.

    Parameters
    ----------
    network : Network
        The plant.
    horizon : float
        Length of the schedule, in the plant's time unit; for makespan an upper bound of it.
    n_events : int
        Event points at which batches may start; for a time grid, how many equal intervals.
    max_span : int
        Further event points that one batch may extend over.
    formulation : {"unit_events", "state_sequence", "time_grid"}
        Unit-specific event points; the paper's own equations, which limit storage at the event
        points only; or a grid of ``horizon / n_events``, exact for plants all of whose times are
        multiples of it and refused for all others (docs/formulation.md).

    Returns
    -------
    pyo.ConcreteModel
        With ``final_stock[state]``: an expression for the amount in storage or waiting at the end,
        or, for a state with unlimited supply, for the amount consumed. Solved by `solve`,
        capacities that a schedule breaks between its event points are added and it is solved again.

    Raises
    ------
    InvalidInputError
        Horizon, event points or span out of range, or an unknown formulation.
    UnsupportedModelError
        The plant has rules that the formulation cannot express; the message names them.

    References
    ----------
    Ierapetritou & Floudas (1998), Ind. Eng. Chem. Res. 37, 4341, doi:10.1021/ie970927g;
    Shaik & Floudas (2009), Ind. Eng. Chem. Res. 48, 2947, doi:10.1021/ie8010726 (spanning tasks).
    """
    if formulation not in _FORMULATIONS:
        raise InvalidInputError(
            f"unknown formulation {formulation!r}; expected one of {', '.join(_FORMULATIONS)}"
        )
    if not (math.isfinite(horizon) and horizon > 0):
        raise InvalidInputError(f"horizon must be a positive number, got {horizon}")
    if n_events < 1 or n_events != int(n_events):
        raise InvalidInputError(f"n_events must be a whole number of at least 1, got {n_events}")
    if max_span < 0 or max_span != int(max_span):
        raise InvalidInputError(f"max_span must be a whole number of at least 0, got {max_span}")
    module, build = _FORMULATIONS[formulation]
    refuse_unsupported(formulation, module.SUPPORTS, network)
    m = build(network, horizon=float(horizon), n_events=int(n_events), max_span=int(max_span))
    handle = make_handle(
        SchedulingHandle(block=m, network=network, horizon=float(horizon), formulation=formulation)
    )
    _add_amounts(m, network)
    _add_values(m, network)
    if formulation == "unit_events":
        limited = [
            s.name
            for s in network.states.values()
            if not s.zero_wait and not s.unlimited and math.isfinite(s.capacity)
        ]
        m.storage_in_time = pyo.Block(limited)
        m.utility_in_time = pyo.Block(list(network.utilities))
        add_loads(m, network)
        handle.own_components = frozenset(
            part.local_name for part in m.component_objects(descend_into=False)
        )
        handle.complete, handle.dominance = _limit_in_time, dominance
        handle.weak_relaxation = True
    elif formulation == "state_sequence":
        handle.complete = _refuse_overfull_storage
    return m


def build_relaxation(network: Network, *, horizon: float) -> pyo.ConcreteModel:
    """Build a model whose bound, and whose "infeasible", hold for every schedule of a plant.

    It knows no event points (docs/formulation.md, eq. B1-B15). Objective, targets, deliveries and
    limits are set as on any model. A solution need not be a schedule: `extract_schedule` says.

    Parameters
    ----------
    network : Network
    horizon : float
        Length of the schedule, in the plant's time unit.

    Returns
    -------
    pyo.ConcreteModel
    """
    refuse_unsupported(_RELAXATION, interval_relaxation.SUPPORTS, network)
    m = interval_relaxation.build_interval_model(
        network,
        horizon=float(horizon),
        n_intervals=interval_relaxation.count_intervals(network, float(horizon)),
    )
    make_handle(
        SchedulingHandle(block=m, network=network, horizon=float(horizon), formulation=_RELAXATION)
    )
    _add_amounts(m, network)
    _add_values(m, network)
    return m


def _add_amounts(m: pyo.ConcreteModel, network: Network) -> None:
    """final_stock = initial + produced - consumed - delivered; only consumed if unlimited (U12)."""
    fits = [(fit.task, fit.unit) for fit in network.suitabilities]

    def processed(state: str, shares: str) -> pyo.Expression:
        return sum(
            getattr(network.tasks[task], shares)[state] * m.total_size[task, unit]
            for task, unit in fits
            if state in getattr(network.tasks[task], shares)
        )

    @m.Expression(list(network.states))
    def consumed(m, state):
        return processed(state, "consumes")

    m.delivered = pyo.Param(list(network.states), mutable=True, default=0.0)

    @m.Expression(list(network.states))
    def final_stock(m, state):
        if network.states[state].unlimited:
            return m.consumed[state]
        left = network.states[state].initial - m.delivered[state]
        return left + processed(state, "produces") - m.consumed[state]


def _add_values(m: pyo.ConcreteModel, network: Network) -> None:
    """Define what `set_objective` and `require_value` speak of (docs/formulation.md, eq. V1-V3)."""
    sold = [s for s in network.states.values() if not s.unlimited]
    m.task_cost = pyo.Expression(
        expr=sum(
            fit.fixed_cost * m.n_batches[fit.task, fit.unit]
            + fit.cost_per_amount * m.total_size[fit.task, fit.unit]
            for fit in network.suitabilities
        )
    )
    m.order_cost = pyo.Expression(expr=0.0)  # these two: set where orders are required
    m.weighted_lateness = pyo.Expression(expr=0.0)
    m.raw_cost = pyo.Expression(
        expr=sum(s.cost * m.consumed[s.name] for s in network.states.values())
    )
    made = {s.name: m.final_stock[s.name] + m.delivered[s.name] for s in sold}
    quantities = Quantities(
        revenue=sum(s.price * made[s.name] for s in sold),
        produced=sum(made[s.name] for s in sold if s.price > 0),
        raw_cost=m.raw_cost,
        task_cost=m.task_cost,
        order_cost=m.order_cost,
        n_batches=sum(m.n_batches[fit.task, fit.unit] for fit in network.suitabilities),
        latest_finish=m.latest_finish,
        tardiness=m.weighted_lateness,
    )
    for kind, objective in OBJECTIVES.items():
        m.add_component(kind, pyo.Expression(expr=objective.value(quantities)))


def set_objective(model: pyo.ConcreteModel, kind: Objective) -> None:
    """Set what the schedule is for; a second call replaces the first.

    Parameters
    ----------
    model : pyo.ConcreteModel
        From `build_scheduling_model`.
    kind : {"profit", "production", "cost", "makespan"}
        Profit = price x final stock - raw-material cost - task cost; production = total amount of
        the states with a positive price; cost = raw-material and task cost; makespan = last finish.

    Raises
    ------
    InvalidInputError
        Another kind, or production for a plant in which nothing has a price.
    """
    _check_kind(kind)
    network = scheduling_handle(model).network
    sold = [s.name for s in network.states.values() if s.price > 0]
    if kind == "production" and not sold:
        raise InvalidInputError(
            f"objective 'production': no state of {network.name!r} has a price; give the products "
            "one (price: 1 counts amounts)"
        )
    if kind == "makespan":
        _module(model).free_makespan(model)
    model.del_component("objective")
    model.objective = pyo.Objective(expr=getattr(model, kind), sense=_SENSES[kind])


def _check_kind(kind: str) -> None:
    if kind not in _SENSES:
        raise InvalidInputError(f"unknown objective {kind!r}; expected one of {', '.join(_SENSES)}")


def require_targets(
    model: pyo.ConcreteModel,
    targets: Mapping[str, float],
    *,
    sense: Literal["at_least", "exactly"] = "at_least",
) -> None:
    """Require the schedule to end with these amounts; a second call updates the first.

    Parameters
    ----------
    model : pyo.ConcreteModel
        From `build_scheduling_model`.
    targets : mapping
        Amount per state, in the plant's unit.
    sense : {"at_least", "exactly"}
        Whether more is welcome.

    Raises
    ------
    InvalidInputError
        A state that the plant does not have or does not produce, a negative or non-finite amount.
    """
    network = scheduling_handle(model).network
    check_targets(network, targets)
    if sense not in ("at_least", "exactly"):
        raise InvalidInputError(f"unknown sense {sense!r}; expected 'at_least' or 'exactly'")
    if model.component("target") is None:
        states = [s for s in network.states if network.producers(s)]
        model.target = pyo.Param(states, mutable=True, default=0.0)
        model.target_met = pyo.Constraint(states, rule=lambda m, s: m.final_stock[s] >= m.target[s])
        model.target_not_exceeded = pyo.Constraint(
            states, rule=lambda m, s: m.final_stock[s] <= m.target[s]
        )
        model.target_met.deactivate()
        model.target_not_exceeded.deactivate()
    for state, amount in targets.items():
        model.target[state] = float(amount)
        model.target_met[state].activate()
        if sense == "exactly":
            model.target_not_exceeded[state].activate()
        else:
            model.target_not_exceeded[state].deactivate()


def check_targets(network: Network, targets: Mapping[str, float]) -> None:
    """Refuse targets that the plant cannot be asked for, naming each (see `require_targets`)."""
    produced = [
        s.name for s in network.states.values() if network.producers(s.name) and not s.unlimited
    ]
    for state, amount in targets.items():
        if state not in network.states:
            raise InvalidInputError(
                f"target {state!r}: {network.name!r} has no such state; it produces {produced}"
            )
        if state not in produced:
            raise InvalidInputError(
                f"target {state!r}: no task produces it; targets can be set for {produced}"
            )
        if not (math.isfinite(amount) and amount >= 0):
            raise InvalidInputError(
                f"target {state!r}: the amount must be a number of at least 0, got {amount}"
            )


def require_deliveries(model: pyo.ConcreteModel, deliveries: Iterable[Delivery]) -> None:
    """Require amounts to leave the plant at given times; a second call replaces the first.

    Parameters
    ----------
    model : pyo.ConcreteModel
        From `build_scheduling_model`.
    deliveries : iterable of Delivery
        ``final_stock``, and with it every target, is then what is left after them. Profit and
        production count what is delivered as well.

    Raises
    ------
    InvalidInputError
        A state that the plant does not have, that cannot wait or whose supply is unlimited, or a
        time after the horizon.
    UnsupportedModelError
        The model's formulation has no equations for deliveries.
    """
    deliveries = tuple(deliveries)
    handle = scheduling_handle(model)
    check_deliveries(handle.network, deliveries, horizon=handle.horizon)
    serve = _SERVES_DELIVERIES.get(handle.formulation)
    if serve is None:
        if deliveries:
            raise UnsupportedModelError(
                f"formulation {handle.formulation!r} has no equations for deliveries; use one of "
                f"{', '.join(repr(f) for f in _SERVES_DELIVERIES if f in _FORMULATIONS)}"
            )
        return
    serve(model, handle.network, deliveries, handle.horizon)
    handle.deliveries = deliveries
    for state in handle.network.states:
        amounts = [delivery.amount for delivery in deliveries if delivery.state == state]
        model.delivered[state] = math.fsum(amounts)


def check_deliveries(
    network: Network, deliveries: Iterable[Delivery], *, horizon: float | None = None
) -> None:
    """Refuse deliveries that the plant cannot be asked for, naming each (`require_deliveries`)."""
    problems = []
    for delivery in deliveries:
        what = f"delivery of {delivery.state!r} at {delivery.time:g}"
        if delivery.state not in network.states:
            known = did_you_mean(delivery.state, network.states)
            problems.append(f"{what}: {network.name!r} has no such state{known}")
        elif network.states[delivery.state].unlimited:
            problems.append(f"{what}: its supply is unlimited; there is nothing to plan")
        elif network.states[delivery.state].zero_wait:
            problems.append(f"{what}: it is zero_wait and cannot be kept for a delivery")
        if horizon is not None and delivery.time > horizon:
            problems.append(f"{what} is after the horizon, {horizon:g}")
    if problems:
        raise InvalidInputError(problems[0] if len(problems) == 1 else problems)


def require_value(
    model: pyo.ConcreteModel,
    kind: Objective,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> None:
    """Limit a value of the schedule, such as profit >= 200; a second call replaces the first.

    Parameters
    ----------
    model : pyo.ConcreteModel
        From `build_scheduling_model`.
    kind : {"profit", "production", "cost", "makespan"}
        As in `set_objective`.
    at_least, at_most : float, optional
        Limits; at least one must be given.

    Raises
    ------
    InvalidInputError
        An unknown kind, or no limit.
    """
    _check_kind(kind)
    if at_least is None and at_most is None:
        raise InvalidInputError(f"give at_least= or at_most= for {kind!r}")
    if kind == "makespan":
        _module(model).free_makespan(model)
    model.del_component(f"required_{kind}")
    limit = pyo.Constraint(expr=pyo.inequality(at_least, getattr(model, kind), at_most))
    model.add_component(f"required_{kind}", limit)


def _module(model: pyo.ConcreteModel) -> ModuleType:
    formulation = scheduling_handle(model).formulation
    if formulation == _RELAXATION:
        return interval_relaxation
    return _FORMULATIONS[formulation][0]


def _refuse_overfull_storage(handle: SchedulingHandle) -> bool:
    """Refuse an incumbent that overfills a storage between event points; nothing is ever added.

    The model is a relaxation of the plant: what it proves holds, but this is no schedule.
    """
    violations = find_violations(_read_schedule(handle.block), handle.network)
    overfull = [v.message for v in violations if v.kind == "over_capacity"]
    if overfull:
        raise UnsupportedModelError(
            f"formulation {handle.formulation!r} limits storage at its event points only, and the "
            "schedule overfills one between them:\n  - "
            + "\n  - ".join(overfull)
            + "\nuse formulation='unit_events', whose capacities hold at every instant"
        )
    return False


def _limit_in_time(handle: SchedulingHandle) -> bool:
    """Add the capacities that the incumbent breaks between its points; say if there were any."""
    violations = find_violations(_read_schedule(handle.block), handle.network)
    broken = {v.element for v in violations if v.kind == "over_capacity"} - handle.storage_limited
    drawn = {v.element for v in violations if v.kind == "over_utility"} - handle.utilities_limited
    for state in sorted(broken):
        limit_storage_in_time(handle.block, state)
    for name in sorted(drawn):
        limit_utility_in_time(handle.block, name)
    return bool(broken or drawn)


def limit_storage_in_time(model: pyo.ConcreteModel, state: str) -> None:
    """Have a state's capacity hold at every instant, not at the event points only."""
    handle = scheduling_handle(model)
    add_storage_in_time(model, handle.network, state, handle.horizon)
    handle.storage_limited.add(state)


def limit_utility_in_time(model: pyo.ConcreteModel, utility: str) -> None:
    """Have a utility's capacity hold at every instant, not at the event points only."""
    handle = scheduling_handle(model)
    add_utility_in_time(model, handle.network, utility, handle.horizon)
    handle.utilities_limited.add(utility)


def extract_schedule(model: pyo.ConcreteModel, network: Network) -> Schedule:
    """Read the schedule that a solved model holds, and replay it.

    Parameters
    ----------
    model : pyo.ConcreteModel
        Solved; its variables hold an incumbent.
    network : Network
        The plant that the model was built from.

    Returns
    -------
    Schedule
        Free of violations.

    Raises
    ------
    InvalidScheduleError
        The model holds no solution, or its schedule breaks a rule of the plant when replayed.
    InvalidInputError
        Another plant than the model's.
    """
    if network != scheduling_handle(model).network:
        raise InvalidInputError(
            f"the model was built from another plant than {network.name!r}; pass the same network"
        )
    schedule = _read_schedule(model)
    violations = find_violations(schedule, network)
    if violations:
        raise InvalidScheduleError(
            "the model's schedule breaks the plant's rules when replayed (solve it with "
            "stnopt.solvers.solve, which adds what is missing):\n  - "
            + "\n  - ".join(v.message for v in violations[:10])
        )
    return schedule


def read_runs(model: pyo.ConcreteModel) -> Runs:
    """Read when every batch of a solved model starts and how large it is.

    Returns
    -------
    dict
        (task, unit, event, span) -> (start, size), empty batches included: two solutions with the
        same keys have the same structure, and the mean of their runs is one as well.

    Raises
    ------
    InvalidScheduleError
        The model holds no solution.
    """
    try:
        return _module(model).read_runs(model)
    except TypeError as error:  # a variable without a value
        raise InvalidScheduleError(
            "the model holds no solution: solve it, and read only if result.has_solution"
        ) from error


def set_structure(model: pyo.ConcreteModel, runs: Runs) -> None:
    """Set (not fix) the binaries that say which batches run, as `read_runs` returned them."""
    _module(model).set_structure(model, runs)


def schedule_from_runs(runs: Runs, network: Network, *, horizon: float) -> Schedule:
    """Make the schedule of some runs; its final stock follows from the batches."""
    batches = _batches_from_runs(runs, network)
    stock = compute_final_stock(batches, network)
    return Schedule(batches=batches, final_stock=stock, horizon=horizon)


def _batches_from_runs(runs: Runs, network: Network) -> tuple[Batch, ...]:
    """Turn runs into batches that take the plant's own durations; empty ones are dropped."""
    negligible = _NEGLIGIBLE * max(fit.max_batch for fit in network.suitabilities)
    batches = [
        Batch(
            task=task,
            unit=unit,
            start=start,
            finish=start + network.tasks[task].units[unit].duration(size),
            size=size,
        )
        for (task, unit, _, _), (start, size) in runs.items()
        if size > negligible
    ]
    return tuple(sorted(batches, key=lambda b: (b.start, b.unit)))


def _read_schedule(model: pyo.ConcreteModel) -> Schedule:
    handle = scheduling_handle(model)
    batches = _batches_from_runs(read_runs(model), handle.network)
    stock = {s: float(pyo.value(model.final_stock[s])) for s in handle.network.states}
    return Schedule(
        batches=batches,
        final_stock=stock,
        horizon=handle.horizon,
        deliveries=handle.deliveries,
    )
