"""A scheduling model from the outside: build it, say what is wanted, read the schedule back.

What a schedule is worth follows from how much every task processed, whatever the formulation: the
formulation's module declares and reads its own variables, this one adds stock, values and targets.

What a formulation provides is said in `stnopt.scheduling.formulations.contract`. What its equations
cannot express, it refuses when it builds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC

from stnopt import arguments as fits
from stnopt.errors import InvalidInputError, InvalidScheduleError, UnsupportedModelError
from stnopt.plant.calendar import with_calendars
from stnopt.plant.network import Network
from stnopt.plant.objective import OBJECTIVES, ObjectiveKind
from stnopt.plant.orders import Order, ServedOrder
from stnopt.plant.problem import Delivery, Sense
from stnopt.plant.state import PlantState, check_state
from stnopt.plant.tolerance import SHARE
from stnopt.scheduling.checks import check_deliveries, check_orders, check_targets
from stnopt.scheduling.formulations import contract, state_sequence
from stnopt.scheduling.formulations.features import refuse_unsupported
from stnopt.scheduling.formulations.given import open_plant
from stnopt.scheduling.formulations.intervals import model as intervals
from stnopt.scheduling.formulations.intervals import tables as interval_tables
from stnopt.scheduling.formulations.time_grid import model as time_grid
from stnopt.scheduling.formulations.unit_specific import model as unit_specific
from stnopt.scheduling.formulations.unit_specific.storage import (
    add_storage_in_time,
    stock_within_capacity,
)
from stnopt.scheduling.formulations.unit_specific.tightening import add_workload, dominance
from stnopt.scheduling.formulations.unit_specific.utilities import add_utility_in_time
from stnopt.scheduling.handle import SchedulingHandle, make_handle, scheduling_handle
from stnopt.scheduling.model_values import add_amounts, add_values
from stnopt.scheduling.movements import pauses_of, time_of_work
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock
from stnopt.solvers.handle import MODEL, Keep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime


Objective = ObjectiveKind
Runs = contract.Runs
Formulation = Literal["unit_events", "state_sequence", "time_grid"]
#: What `build_scheduling_model` may be asked for by name.
_FORMULATIONS = {
    formulation.name: formulation
    for formulation in (
        unit_specific.FORMULATION,
        state_sequence.FORMULATION,
        time_grid.FORMULATION,
    )
}
_RELAXATION = intervals.FORMULATION
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
    start: PlantState | None = None,
    date: datetime | None = None,
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
    start : PlantState, optional
        The plant at time 0; left out, nothing runs and stocks are the plant's `initial`.
    date : datetime, optional
        When time 0 is, for units with weekly patterns.

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
    fits.check_arguments(
        network=(network, Network),
        horizon=(horizon, fits.POSITIVE),
        n_events=(n_events, fits.COUNT),
        max_span=(max_span, fits.WHOLE),
        formulation=(formulation, fits.one_of(_FORMULATIONS)),
        start=(start, fits.optional(PlantState)),
        date=(date, fits.optional(fits.DATE)),
    )
    handle = _build(
        _FORMULATIONS[formulation],
        network,
        horizon=float(horizon),
        n_events=int(n_events),
        max_span=int(max_span),
        start=start,
        date=date,
    )
    m, network, plant = handle.block, handle.given.network, network
    if formulation == "unit_events":
        limited = [
            s.name
            for s in network.states.values()
            if not s.zero_wait and not s.unlimited and math.isfinite(s.capacity)
        ]
        m.storage_in_time = pyo.Block(limited)
        m.utility_in_time = pyo.Block(list(network.utilities))
        add_workload(m)
        handle.own_components = frozenset(
            part.local_name for part in m.component_objects(descend_into=False)
        )
        # What is given stands at event points of its own, and stocks are not the plant's.
        handle.complete = _limit_in_time
        handle.broken = lambda handle: any(_broken_in_time(handle))
        handle.restrict = _hold_stock
        handle.dominance = dominance if network is plant else None
        handle.weak_relaxation = True
    elif formulation == "state_sequence":
        handle.complete = _refuse_overfull_storage
    return m


def build_relaxation(
    network: Network,
    *,
    horizon: float,
    start: PlantState | None = None,
    date: datetime | None = None,
) -> pyo.ConcreteModel:
    """Build a model whose bound, and whose "infeasible", hold for every schedule of a plant.

    It knows no event points (docs/formulation.md, eq. B1-B15). Objective, targets, deliveries and
    limits are set as on any model. A solution need not be a schedule: `extract_schedule` says.

    Parameters
    ----------
    network : Network
    horizon : float
        Length of the schedule, in the plant's time unit.
    start, date
        As in `build_scheduling_model`.

    Returns
    -------
    pyo.ConcreteModel
    """
    handle = _build(
        _RELAXATION,
        network,
        horizon=float(horizon),
        n_events=interval_tables.count_intervals(network, float(horizon)),
        max_span=0,
        start=start,
        date=date,
    )
    return handle.block


def _build(
    formulation: contract.Formulation,
    network: Network,
    *,
    horizon: float,
    n_events: int,
    max_span: int,
    start: PlantState | None,
    date: datetime | None,
) -> SchedulingHandle:
    """Build a formulation's model with stocks and values, or refuse the plant by name."""
    refuse_unsupported(formulation.name, formulation.supports, network, start=start)
    if start is not None:
        check_state(start, network)
    given = open_plant(
        network,
        start=start,
        date=date,
        horizon=horizon,
        from_outside=formulation.arrivals_as_batches,
        in_units=formulation.state_in_units,
        steps=formulation.steps_as_batches,
    )
    with PauseGC():  # so many small objects, all of them kept: looking for garbage doubles the time
        m, tables = formulation.build(
            given.network, horizon=horizon, n_events=n_events, max_span=max_span, given=given
        )
    handle = make_handle(
        SchedulingHandle(
            block=m,
            network=network,
            horizon=horizon,
            formulation=formulation.name,
            given=given,
            tables=tables,
            start=start,
            date=date,
        )
    )
    add_amounts(m, given.network, horizon)
    add_values(m, given.network, network)
    return handle


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
    fits.check_arguments(model=(model, MODEL), kind=(kind, fits.one_of(_SENSES)))
    handle = scheduling_handle(model)
    network = handle.network
    sold = [s.name for s in network.states.values() if s.price > 0]
    if kind == "production" and not sold:
        raise InvalidInputError(
            f"objective 'production': no state of {network.name!r} has a price; give the products "
            "one (price: 1 counts amounts)"
        )
    if kind == "makespan":
        _formulation(handle).free_makespan(model)
    model.del_component("objective")
    model.objective = pyo.Objective(expr=getattr(model, kind), sense=_SENSES[kind])


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
    fits.check_arguments(
        model=(model, MODEL),
        targets=(targets, fits.BY_NAME),
        sense=(sense, fits.one_of(get_args(Sense))),
    )
    network = scheduling_handle(model).network
    check_targets(network, targets)
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
    deliveries = fits.as_tuple(deliveries)
    fits.check_arguments(model=(model, MODEL), deliveries=(deliveries, fits.many(Delivery)))
    handle = scheduling_handle(model)
    check_deliveries(handle.network, deliveries, horizon=handle.horizon)
    _serve(handle, deliveries, handle.orders, may_miss=handle.may_miss)


def require_orders(
    model: pyo.ConcreteModel, orders: Iterable[Order], *, may_miss: bool = False
) -> None:
    """Require orders to be met as soon as can be; a second call replaces the first.

    Parameters
    ----------
    model : pyo.ConcreteModel
        From `build_scheduling_model`.
    orders : iterable of Order
        Profit and cost then include the cost of lateness and of what is missing, "tardiness" is
        the priority-weighted lateness, ``model.missing_share`` the priority-weighted share that is
        missing, and a makespan includes every order's delivery.
    may_miss : bool
        Whether any of them may be missing; else those that have a cost for it.

    Raises
    ------
    InvalidInputError
        A state that the plant does not have, that cannot wait or whose supply is unlimited, or a
        date after the horizon.
    UnsupportedModelError
        The model's formulation has no equations for orders.
    """
    orders = fits.as_tuple(orders)
    fits.check_arguments(
        model=(model, MODEL), orders=(orders, fits.many(Order)), may_miss=(may_miss, fits.TRUTH)
    )
    handle = scheduling_handle(model)
    check_orders(handle.network, orders, horizon=handle.horizon)
    _serve(handle, handle.deliveries, orders, may_miss=may_miss)


def _serve(
    handle: SchedulingHandle,
    deliveries: tuple[Delivery, ...],
    orders: tuple[Order, ...],
    *,
    may_miss: bool,
) -> None:
    """Put deliveries and orders into a model, in place of those that were there."""
    serve, model = _formulation(handle).serve, handle.block
    if serve is None:
        if deliveries or orders:
            what = "deliveries" if deliveries else "orders"
            raise UnsupportedModelError(
                f"formulation {handle.formulation!r} has no equations for {what}; use one of "
                f"{', '.join(repr(name) for name, f in _FORMULATIONS.items() if f.serve)}"
            )
        return
    serve(model, deliveries, orders, may_miss=may_miss)
    handle.deliveries, handle.orders, handle.may_miss = deliveries, orders, may_miss
    for state in handle.network.states:
        amounts = [delivery.amount for delivery in deliveries if delivery.state == state]
        model.delivered[state] = math.fsum(amounts)
        wanted = [order.id for order in orders if order.state == state]
        model.ordered[state].set_value(sum(model.deliveries.ordered[name] for name in wanted))
    late = {order.id: model.deliveries.late[order.id] for order in orders}
    missing = {order.id: order.amount - model.deliveries.ordered[order.id] for order in orders}
    model.weighted_lateness.set_value(sum(o.priority * late[o.id] for o in orders))
    model.missing_share.set_value(sum(o.priority / o.amount * missing[o.id] for o in orders))
    model.order_cost.set_value(
        sum(o.late_cost * late[o.id] + (o.missing_cost or 0.0) * missing[o.id] for o in orders)
    )
    if orders:
        handle.dominance = None  # its rows know no orders


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
    fits.check_arguments(
        model=(model, MODEL),
        kind=(kind, fits.one_of(_SENSES)),
        at_least=(at_least, fits.optional(fits.NUMBER)),
        at_most=(at_most, fits.optional(fits.NUMBER)),
    )
    if at_least is None and at_most is None:
        raise InvalidInputError(f"give at_least= or at_most= for {kind!r}")
    handle = scheduling_handle(model)
    if kind == "makespan":
        _formulation(handle).free_makespan(model)
    model.del_component(f"required_{kind}")
    limit = pyo.Constraint(expr=pyo.inequality(at_least, getattr(model, kind), at_most))
    model.add_component(f"required_{kind}", limit)


def _formulation(handle: SchedulingHandle) -> contract.Formulation:
    return _FORMULATIONS.get(handle.formulation, _RELAXATION)


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
    overfull, overdrawn = _broken_in_time(handle)
    for state in sorted(overfull):
        limit_storage_in_time(handle.block, state)
    for name in sorted(overdrawn):
        limit_utility_in_time(handle.block, name)
    return bool(overfull or overdrawn)


def _broken_in_time(handle: SchedulingHandle) -> tuple[set[str], set[str]]:
    """Find states and utilities whose capacity the incumbent breaks and the model does not know."""
    violations = find_violations(_read_schedule(handle.block), handle.network)
    overfull = {v.element for v in violations if v.kind == "over_capacity"}
    overdrawn = {v.element for v in violations if v.kind == "over_utility"}
    return overfull - handle.storage_limited, overdrawn - handle.utilities_limited


def _hold_stock(handle: SchedulingHandle, keep: Keep) -> AbstractContextManager[None] | None:
    overfull, _ = _broken_in_time(handle)
    if not overfull:
        return None
    tasks = handle.given.network.tasks.values()
    others = {t.name for t in tasks if overfull.isdisjoint((*t.produces, *t.consumes))}
    if keep == "others" and not others:
        return None
    kept = {"all": {t.name for t in tasks}, "others": others, "nothing": set()}[keep]
    return stock_within_capacity(handle.block, limited=handle.storage_limited, kept=kept)


def limit_storage_in_time(model: pyo.ConcreteModel, state: str) -> None:
    """Have a state's capacity hold at every instant, not at the event points only."""
    handle = scheduling_handle(model)
    add_storage_in_time(model, state)
    handle.storage_limited.add(state)


def limit_utility_in_time(model: pyo.ConcreteModel, utility: str) -> None:
    """Have a utility's capacity hold at every instant, not at the event points only."""
    handle = scheduling_handle(model)
    add_utility_in_time(model, utility)
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
    fits.check_arguments(model=(model, MODEL), network=(network, Network))
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
        return _formulation(scheduling_handle(model)).read_runs(model)
    except TypeError as error:  # a variable without a value
        raise InvalidScheduleError(
            "the model holds no solution: solve it, and read only if result.has_solution"
        ) from error


def set_structure(model: pyo.ConcreteModel, runs: Runs) -> None:
    """Set (not fix) the binaries that say which batches run, as `read_runs` returned them."""
    _formulation(scheduling_handle(model)).set_structure(model, runs)


def schedule_from_runs(
    runs: Runs,
    network: Network,
    *,
    horizon: float,
    deliveries: tuple[Delivery, ...] = (),
    orders: tuple[ServedOrder, ...] = (),
    start: PlantState | None = None,
    date: datetime | None = None,
) -> Schedule:
    """Make the schedule of some runs; its final stock follows from what it is made of."""
    dated = with_calendars(network, start=date, horizon=horizon)
    batches = _batches_from_runs(runs, dated, horizon)
    stock = compute_final_stock(
        batches, network, deliveries, horizon=horizon, start=start, orders=orders
    )
    return Schedule(
        batches=batches,
        final_stock=stock,
        horizon=horizon,
        deliveries=deliveries,
        orders=orders,
        start=start,
        date=date,
    )


def _batches_from_runs(runs: Runs, network: Network, horizon: float) -> tuple[Batch, ...]:
    """Turn runs into batches that take the plant's own durations; empty ones are dropped.

    So are those that were given: they are none of the schedule's.
    """
    negligible = _NEGLIGIBLE * max(fit.max_batch for fit in network.suitabilities)
    batches = []
    for (task, unit, _, _), (start, size) in runs.items():
        if size <= negligible or task not in network.tasks:
            continue
        work = network.tasks[task].units[unit].duration(size)
        finish = time_of_work(start, work, pauses_of(unit, network), horizon=horizon)
        batches.append(Batch(task=task, unit=unit, start=start, finish=finish, size=size))
    return tuple(sorted(batches, key=lambda b: (b.start, b.unit)))


def _read_schedule(model: pyo.ConcreteModel) -> Schedule:
    handle = scheduling_handle(model)
    dated = with_calendars(handle.network, start=handle.date, horizon=handle.horizon)
    batches = _batches_from_runs(read_runs(model), dated, handle.horizon)
    stock = {s: float(pyo.value(model.final_stock[s])) for s in handle.network.states}
    return Schedule(
        batches=batches,
        final_stock=stock,
        horizon=handle.horizon,
        deliveries=handle.deliveries,
        orders=read_orders(model),
        start=handle.start,
        date=handle.date,
    )


def read_orders(model: pyo.ConcreteModel) -> tuple[ServedOrder, ...]:
    """Read what is delivered of each order when; parts at one time are one part."""
    handle = scheduling_handle(model)
    read_parts = _formulation(handle).read_parts
    if not handle.orders or read_parts is None:
        return ()
    parts = read_parts(model)
    served = []
    for order in handle.orders:
        together: dict[float, float] = {}
        for time, amount in parts[order.id]:
            if amount > SHARE * order.amount:
                when = max(order.earliest, time)
                together[when] = together.get(when, 0.0) + amount
        rows = tuple(together.items())
        served.append(ServedOrder(order, rows, may_miss=handle.may_miss or None))
    return tuple(served)
