"""A relaxation whose bound holds for every schedule: time in intervals, continuous inside them.

Time is cut into equal intervals, each no longer than the shortest batch. A unit then starts one
batch per interval at most and ends one at most, whatever the schedule: no event points have to be
chosen. Every batch has an interval that it starts in and one that it ends in, and says by two
offsets when exactly. Material of earlier intervals is there; material of the same interval only
after the batch that makes it (docs/formulation.md).

Exact for plants of unlimited storage whose batches release what they make at their end. Otherwise
a relaxation: storage and utilities are limited at the interval's ends only, what leaves a batch
early is there from the interval's start, and changeovers take no time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.plant.demands import RULES
from stnopt.scheduling.formulations.contract import Formulation
from stnopt.scheduling.formulations.intervals.deliveries import read_parts, serve_in_intervals
from stnopt.scheduling.formulations.intervals.material import (
    Flows,
    add_material_balances,
    add_order_inside_intervals,
    find_flows,
)
from stnopt.scheduling.formulations.intervals.tables import (
    BatchKey,
    IntervalTables,
    find_batches,
    tables_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.network import Network
    from stnopt.scheduling.formulations.given import Given

#: Names of the rules that it expresses or relaxes (`stnopt.plant.demands`). What only restricts may
#: be left out: changeovers and cleanings take no time here, a utility has its largest capacity, and
#: a unit that is unattended or paused may start and go on.
SUPPORTS = frozenset(name for name, rule in RULES.items() if rule.only_restricts) | {
    "release_time",
    "size_dependent_time",
    "deliveries",
    "orders",
    "running",
    "held",
    "arrivals",
}


def build_interval_model(
    network: Network, *, horizon: float, n_events: int, max_span: int = 0, given: Given
) -> tuple[pyo.ConcreteModel, IntervalTables]:
    """Build variables and constraints; objective and targets: see `stnopt.scheduling.model`.

    `n_events` is the number of intervals: at least `count_intervals`. Spans do not occur.
    """
    m = pyo.ConcreteModel(name=network.name)
    tables = IntervalTables(
        network=network,
        horizon=horizon,
        n_intervals=n_events,
        outside=given.outside,
        fits={(fit.task, fit.unit): fit for fit in network.suitabilities},
    )
    find_batches(tables)
    _add_variables(m, tables)
    _add_sums(m, tables)
    _add_batches(m, tables)
    _add_given(m, tables)
    _add_unit_times(m, tables)
    flows = find_flows(m, tables)
    add_material_balances(m, tables, flows)
    add_order_inside_intervals(m, tables, flows)
    _add_storage(m, tables, flows)
    _add_utilities(m, tables)
    return m, tables


def _add_variables(m: pyo.ConcreteModel, tables: IntervalTables) -> None:
    """Declare batches (task, unit, interval of start, interval of end), sizes and offsets.

    An end at the horizon itself is in interval n, which has no length.
    """
    fits, width, window = tables.fits, tables.width, tables.window
    m.INTERVALS = pyo.RangeSet(0, tables.n_intervals - 1)
    m.POINTS = pyo.RangeSet(0, tables.n_intervals)
    m.TASK_UNITS = pyo.Set(dimen=2, initialize=list(fits))
    m.BATCHES = pyo.Set(dimen=4, initialize=list(window))
    m.run = pyo.Var(m.BATCHES, domain=pyo.Binary)
    m.size = pyo.Var(m.BATCHES, bounds=lambda m, task, unit, *_: (0.0, fits[task, unit].max_batch))
    m.start_offset = pyo.Var(m.BATCHES, bounds=(0.0, width))
    m.end_offset = pyo.Var(m.BATCHES, bounds=lambda m, *b: (0.0, window[b][1]))
    m.latest_finish = pyo.Var(bounds=(0.0, tables.horizon))
    m.latest_finish.fix(tables.horizon)


def _add_sums(m: pyo.ConcreteModel, tables: IntervalTables) -> None:
    """Count what all batches of a task on a unit come to.

    These sums follow from the batches (eq. B16); they are there for the relaxation.
    """
    of: dict[tuple[str, str], list[BatchKey]] = {key: [] for key in tables.fits}
    for batch in tables.window:
        of[batch[:2]].append(batch)

    @m.Expression(m.TASK_UNITS)
    def total_size(m, task, unit):
        return sum(m.size[b] for b in of[task, unit])

    # Whole numbers that the solver may branch on: demands and costs are about them.
    m.n_batches = pyo.Var(
        m.TASK_UNITS, domain=pyo.NonNegativeIntegers, bounds=(0, tables.n_intervals)
    )

    @m.Constraint(m.TASK_UNITS)
    def count_batches(m, task, unit):
        return m.n_batches[task, unit] == sum(m.run[b] for b in of[task, unit])

    @m.Constraint(m.TASK_UNITS)
    def enough_batches(m, task, unit):
        most = tables.fits[task, unit].max_batch
        return m.total_size[task, unit] <= most * m.n_batches[task, unit]


def _add_batches(m: pyo.ConcreteModel, tables: IntervalTables) -> None:
    """Limit sizes and offsets, and say how long each batch takes (eq. B1-B3).

    (end - begin) * width * run + end_offset - start_offset = fixed_time * run + slope * size
    """
    fits, width, window = tables.fits, tables.width, tables.window
    run, size, starts, ends = m.run, m.size, m.start_offset, m.end_offset

    @m.Constraint(m.BATCHES)
    def largest_batch(m, *batch):
        return m.size[batch] <= fits[batch[:2]].max_batch * m.run[batch]

    @m.Constraint([b for b in m.BATCHES if fits[b[:2]].min_batch > 0])
    def smallest_batch(m, *batch):
        return m.size[batch] >= fits[batch[:2]].min_batch * m.run[batch]

    @m.Constraint(m.BATCHES)
    def latest_start(m, *batch):
        return m.start_offset[batch] <= width * m.run[batch]

    @m.Constraint([b for b in m.BATCHES if window[b][0] > 0])
    def earliest_start(m, *batch):
        return m.start_offset[batch] >= window[batch][0] * m.run[batch]

    @m.Constraint([b for b in m.BATCHES if window[b][1] > 0])
    def latest_end(m, *batch):
        return m.end_offset[batch] <= window[batch][1] * m.run[batch]

    @m.Constraint(m.BATCHES)
    def duration(m, *batch):
        _, _, begin, end = batch
        fit = fits[batch[:2]]
        lasts = (end - begin) * width * run[batch] + ends[batch]
        lasts -= starts[batch]
        return lasts == fit.fixed_time * run[batch] + fit.time_per_amount * size[batch]


def _add_given(m: pyo.ConcreteModel, tables: IntervalTables) -> None:
    """Let what comes from outside come: its batches run over all of the horizon."""

    @m.Constraint(sorted(tables.outside))
    def given_once(m, unit):
        return sum(m.run[b] for b in m.BATCHES if b[1] == unit) == 1


def _add_unit_times(m: pyo.ConcreteModel, tables: IntervalTables) -> None:
    """Keep what a unit does in an interval within its length; one start, one end (eq. B4-B6)."""
    network, width = tables.network, tables.width
    starting, ending, inside = tables.starting, tables.ending, tables.inside

    def away(unit: str, interval: int) -> float:
        rule = network.unit_rules.get(unit)
        begin, end = interval * width, (interval + 1) * width
        return sum(
            max(0.0, min(stop, end) - max(start, begin))
            for start, stop in (rule.unavailable if rule else ())
        )

    @m.Constraint(list(network.units), m.INTERVALS)
    def time_in_interval(m, *cell):
        used = [width * m.run[b] for b in inside[cell]]
        used += [m.end_offset[b] for b in ending[cell]]
        used += [width * m.run[b] - m.start_offset[b] for b in starting[cell]]
        return sum(used) <= width - away(*cell) if used else pyo.Constraint.Skip

    @m.Constraint(list(network.units), m.INTERVALS)
    def one_start(m, *cell):
        if not starting[cell]:
            return pyo.Constraint.Skip
        return sum(m.run[b] for b in starting[cell] + inside[cell]) <= 1

    @m.Constraint(list(network.units), m.POINTS)
    def one_end(m, *cell):
        if not ending[cell]:
            return pyo.Constraint.Skip
        return sum(m.run[b] for b in ending[cell] + inside[cell]) <= 1


def _add_storage(m: pyo.ConcreteModel, tables: IntervalTables, flows: Flows) -> None:
    """Limit what is stored just before each interval; idle units keep the rest (eq. B12-B13).

    stock[g] <= capacity + sum_u waiting[u, g];  waiting[u, g] <= M * (1 - running[u, g]);
    waiting[u, g] <= waiting[u, g-1] + released[u, g-1]
    """
    network, width, most_made = tables.network, tables.width, flows.most_made
    limited = [
        state
        for state in m.STORED
        if math.isfinite(network.states[state].capacity)
        and not network.states[state].zero_wait
        and not any(key[0] == state for key in flows.early)
    ]
    held = [(state, unit) for state, unit in most_made if state in limited]
    points = list(m.POINTS)[1:]
    m.waiting = pyo.Var(
        [(*key, point) for key in held for point in points],
        bounds=lambda m, state, unit, _: (0.0, most_made[state, unit]),
    )

    @m.Constraint(limited, points)
    def storage(m, state, point):
        waits = sum(m.waiting[state, u, point] for s, u in held if s == state)
        return m.stock[state, point] <= network.states[state].capacity + waits

    @m.Constraint(held, points)
    def wait_only_in_idle_unit(m, state, unit, point):
        busy = sum(m.run[b] for b in tables.running_before(unit, point))
        return m.waiting[state, unit, point] <= most_made[state, unit] * (1 - busy)

    @m.Constraint(held, points)
    def wait_after_release(m, state, unit, point):
        before = m.waiting[state, unit, point - 1] if point > 1 else 0.0
        came = sum(flows.released.get((state, unit, point - 1), []))
        return m.waiting[state, unit, point] <= before + came

    for state, unit in held:
        rule = network.unit_rules.get(unit)
        for start, stop in rule.unavailable if rule else ():
            for point in points:
                if start < point * width <= stop and start < width * points[-1]:
                    m.waiting[state, unit, point].setub(0.0)


def _add_utilities(m: pyo.ConcreteModel, tables: IntervalTables) -> None:
    """Limit what is drawn right before each interval begins (eq. B14)."""
    network = tables.network

    @m.Constraint(list(network.utilities), list(m.POINTS)[1:])
    def within_capacity(m, utility, point):
        draws = []
        for unit in network.units:
            for batch in tables.running_before(unit, point):
                fit = network.tasks[batch[0]].units[unit]
                draws.append(fit.draws.get(utility, 0.0) * m.run[batch])
                draws.append(fit.draws_per_amount.get(utility, 0.0) * m.size[batch])
        total = sum(draws)
        if isinstance(total, (int, float)):
            return pyo.Constraint.Skip
        return total <= network.utilities[utility].capacity


def free_makespan(m: pyo.ConcreteModel) -> None:
    """Let the schedule end before the horizon (eq. B15).

    latest_finish >= g * width * (ends or runs in g) + end_offset + width * (runs through g)
    """
    m.latest_finish.unfix()
    if m.component("finish_in_time") is not None:
        return

    tables = tables_of(m)

    @m.Constraint(sorted(set(tables.network.units) - tables.outside), m.POINTS)
    def finish_in_time(m, unit, point):
        running = tables.running_before(unit, point) if point else []
        if not running:
            return pyo.Constraint.Skip
        begun = point * tables.width * sum(m.run[b] for b in running)
        more = sum(m.end_offset[b] for b in tables.ending[unit, point])
        more += tables.width * sum(m.run[b] for b in tables.inside[unit, point])
        return m.latest_finish >= begun + more


def read_runs(m: pyo.ConcreteModel) -> dict[tuple[str, str, int, int], tuple[float, float]]:
    """Read start and size of every batch that runs, by the intervals it starts in and runs over."""
    width = tables_of(m).width
    return {
        (task, unit, begin, end - begin): (
            begin * width + m.start_offset[task, unit, begin, end].value,
            max(0.0, m.size[task, unit, begin, end].value),
        )
        for task, unit, begin, end in m.BATCHES
        if m.run[task, unit, begin, end].value > 0.5
    }


def set_structure(
    m: pyo.ConcreteModel, runs: Mapping[tuple[str, str, int, int], tuple[float, float]]
) -> None:
    """Let exactly these batches run."""
    for batch in m.BATCHES:
        m.run[batch].set_value(int((*batch[:3], batch[3] - batch[2]) in runs))


FORMULATION = Formulation(
    name="intervals",
    supports=SUPPORTS,
    build=build_interval_model,
    free_makespan=free_makespan,
    read_runs=read_runs,
    set_structure=set_structure,
    serve=serve_in_intervals,
    read_parts=read_parts,
    arrivals_as_batches=True,
    state_in_units=False,
)
