"""The best times and sizes for an order of batches: one linear program in continuous time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.plant.orders import ServedOrder
from stnopt.plant.tolerance import SHARE, time_tolerance
from stnopt.scheduling.cleanings import choose_cleanings
from stnopt.scheduling.movements import batches_before_start, batches_by_unit, time_of_work
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock
from stnopt.scheduling.search.opening import open_with_amounts
from stnopt.scheduling.search.retiming.demands import add_orders, add_utilities
from stnopt.scheduling.search.retiming.stores import add_state, instants_of_stores
from stnopt.scheduling.search.retiming.timing import SCALE, PlacedBatch, Timing
from stnopt.scheduling.search.retiming.units import add_batches, add_unit_order
from stnopt.solvers.linear_program import ProgramStatus, solve_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.opening import Opening
    from stnopt.scheduling.search.worth import Improve

#: Below this share of the plant's largest batch a batch is dropped.
_NO_BATCH = 1e-9
#: Amount, in the solver's units, by which a demand may be missed and counts as met.
_MET = 1e-5


def retime(
    placed: Sequence[PlacedBatch],
    network: Network,
    problem: Problem,
    *,
    start: PlantState | None = None,
    parts: Mapping[str, list[tuple[float, float]]] | None = None,
    width: float = 0.0,
    improve: Improve = "objective",
    opening: Opening | None = None,
) -> Schedule | None:
    """Return the best schedule in this order; None if there is none, or the replay rejects it.

    Parameters
    ----------
    placed : sequence of PlacedBatch
    network : Network
    problem : Problem
        With a horizon.
    start : PlantState, optional
        The plant at time 0.
    parts : mapping of str to list of (float, float), optional
        Per order, when how much of it is delivered, as far as the order of things goes.
    width : float
        Of the grid that the order is read from; 0 for none.
    improve : {"objective", "missing share", "both"}
        As in `bound_by_capacity`.
    opening : Opening, optional
        Of the plant, where it is known.
    """
    assert problem.horizon is not None
    if opening is None:
        opening = open_with_amounts(network, problem, start, horizon=problem.horizon)
    parts = with_demanded_parts(problem, parts or {})
    timing = Timing(
        opening=opening,
        problem=problem,
        placed=list(placed),
        parts=parts,
        width=width,
        improve=improve,
    )
    if not add_batches(timing):
        return None
    add_unit_order(timing)
    timing.gather_instants(instants_of_stores(timing))
    add_orders(timing)
    for state in timing.network.states.values():
        if not state.unlimited:
            add_state(timing, state)
    add_utilities(timing)
    answer = solve_program(timing.rows.build())
    if answer.status is not ProgramStatus.OPTIMAL or answer.x is None:
        return None
    if any(answer.x[column] > _MET for column in timing.missed):
        return None
    schedule = _read(timing, answer.x, network, start)
    return None if find_violations(schedule, network) else schedule


def with_demanded_parts(
    problem: Problem, parts: Mapping[str, list[tuple[float, float]]]
) -> dict[str, list[tuple[float, float]]]:
    """Ask for what must be delivered and is not, at the horizon."""
    asked = {order.id: list(parts.get(order.id, ())) for order in problem.orders}
    for order in problem.orders:
        done = sum(amount for _, amount in asked[order.id])
        must = problem.objective != "tardiness" and order.missing_cost is None
        if must and done < order.amount * (1 - SHARE):
            assert problem.horizon is not None
            asked[order.id].append((problem.horizon, order.amount - done))
    return asked


def _read(
    timing: Timing, x: NDArray[np.float64], network: Network, start: PlantState | None
) -> Schedule:
    """Read times and sizes; what is empty is no batch."""
    batches = []
    for number, placed in enumerate(timing.placed):
        if placed.kept is not None:
            batches.append(placed.kept)
            continue
        fit = placed.suitability
        size = float(x[timing.sizes[number]]) * timing.amount_unit
        size = min(max(size, fit.min_batch), fit.max_batch)
        if size <= _NO_BATCH * timing.amount_unit * SCALE:
            continue
        begin = max(0.0, float(x[timing.starts[number]]) * timing.time_unit)
        finish = time_of_work(begin, fit.duration(size), placed.covered, horizon=timing.horizon)
        batches.append(Batch(fit.task, fit.unit, begin, finish, size))
    batches.sort(key=lambda batch: (batch.start, batch.unit))
    served = tuple(_served(timing, order, x) for order in timing.problem.orders)
    deliveries = timing.problem.deliveries
    return Schedule(
        batches=tuple(batches),
        final_stock=compute_final_stock(
            batches,
            network,
            deliveries,
            horizon=timing.horizon,
            start=start,
            orders=served,
        ),
        horizon=timing.horizon,
        deliveries=deliveries,
        orders=served,
        start=start,
        date=timing.problem.start,
    )


def _served(timing: Timing, order: Order, x: NDArray[np.float64]) -> ServedOrder:
    parts = []
    for when, amount in timing.part_columns[order.id]:
        much = float(x[amount]) * timing.amount_unit if isinstance(amount, int) else amount
        time = min(max(float(x[when]) * timing.time_unit, order.earliest), timing.horizon)
        if much > SHARE * order.amount:
            parts.append((time, min(much, order.amount)))
    may_miss = True if timing.problem.objective == "tardiness" else None
    return ServedOrder(order, tuple(parts), may_miss=may_miss)


def placed_from_schedule(
    batches: Iterable[Batch],
    network: Network,
    *,
    horizon: float,
    start: PlantState | None = None,
    kept: Sequence[Batch] = (),
) -> list[PlacedBatch]:
    """Read the order of a schedule's batches from their times.

    Parameters
    ----------
    batches : iterable of Batch
    network : Network
        With plain calendars.
    horizon : float
    start : PlantState, optional
    kept : sequence of Batch
        Those that stay as they are.
    """
    batches = list(batches)
    cleaned = _cleaned(batches, network, horizon, start)
    same = time_tolerance(horizon)
    placed = []
    for batch in batches:
        fit = network.tasks[batch.task].units[batch.unit]
        rules = network.unit_rules.get(batch.unit)
        covered = tuple(
            (begin, end)
            for begin, end in (rules.paused if rules else ())
            if batch.start <= begin + same and batch.finish > end + same
        )
        releases = {}
        for state in network.tasks[batch.task].produces:
            early = fit.release_time.get(state)
            at = batch.finish
            if early is not None:
                at = min(at, time_of_work(batch.start, early, covered, horizon=horizon))
            releases[state] = at
        placed.append(
            PlacedBatch(
                suitability=fit,
                start=batch.start,
                finish=batch.finish,
                releases=releases,
                covered=covered,
                cleaned=(batch.unit, batch.start) in cleaned,
                kept=batch if batch in kept else None,
            )
        )
    return placed


def _cleaned(
    batches: list[Batch], network: Network, horizon: float, start: PlantState | None
) -> set[tuple[str, float]]:
    """Say before which batches, by unit and start, the units are cleaned."""
    if not any(rules.clean_after for rules in network.unit_rules.values()):
        return set()
    by_unit = batches_by_unit(batches)
    since = start.since_cleaning if start is not None else {}
    before = batches_before_start(start, network) if start is not None else {}
    chosen = next(choose_cleanings(by_unit, network, horizon, since=since, before=before))
    return {
        (unit, by_unit[unit][position].start)
        for unit, positions in chosen.before.items()
        for position in positions
    }
