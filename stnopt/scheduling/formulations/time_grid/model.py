"""An exact discrete-time STN model, for plants whose times are all multiples of a grid's width.

Batches start at the grid's points only. Where no duration depends on the batch size and all times
of the plant are multiples of the width, nothing is lost: every time of a schedule, rounded down to
the grid, gives a schedule of the same value (docs/formulation.md). Storage, waiting in units and
every other rule hold at every instant, since nothing happens between two points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.errors import InvalidInputError
from stnopt.scheduling.formulations import time_grid
from stnopt.scheduling.formulations.contract import Formulation
from stnopt.scheduling.formulations.features import find_rule_files, rules_of
from stnopt.scheduling.formulations.given import Given
from stnopt.scheduling.formulations.time_grid.deliveries import read_parts, serve_on_grid
from stnopt.scheduling.formulations.time_grid.points import inside, may_start, release_point
from stnopt.scheduling.formulations.time_grid.tables import (
    BatchKey,
    GridTables,
    make_tables,
    tables_of,
)
from stnopt.scheduling.formulations.time_grid.width import refuse_what_is_off_the_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.network import Network

_RULE_FILES = find_rule_files(time_grid)
#: Names of the rules that are expressed (`stnopt.plant.demands`): here, and in files of their own.
SUPPORTS = rules_of(_RULE_FILES) | {
    "storage",
    "zero_wait",
    "release_time",
    "unavailable",
    "running",
    "held",
    "last",
    "arrivals",
    "unattended",
    "paused",
}
#: Least share of a unit's largest batch where changeovers are: an empty batch would shorten one.
_LEAST_SHARE = 1e-5


def build_time_grid_model(
    network: Network,
    *,
    horizon: float,
    n_events: int,
    max_span: int,
    given: Given | None = None,
) -> tuple[pyo.ConcreteModel, GridTables]:
    """Build variables and constraints; objective and targets come from `stnopt.scheduling.model`.

    `n_events` is the number of intervals of the grid, each `horizon / n_events` wide.

    Raises
    ------
    InvalidInputError
        A span, which a grid does not have.
    UnsupportedModelError
        A batch whose duration depends on its size, or a time that is no multiple of the width.

    References
    ----------
    Kondili, Pantelides & Sargent (1993), Comput. Chem. Eng. 17, 211,
    doi:10.1016/0098-1354(93)80015-F; Shah, Pantelides & Sargent (1993), Comput. Chem. Eng. 17, 229,
    doi:10.1016/0098-1354(93)80016-G (unit allocation).
    """
    if max_span:
        raise InvalidInputError(
            f"max_span: formulation 'time_grid' knows no spans, got {max_span}; leave it out"
        )
    given = given or Given(network=network)
    refuse_what_is_off_the_grid(network, horizon / n_events, horizon)
    m = pyo.ConcreteModel(name=network.name)
    tables = make_tables(network, given, horizon, n_events)
    _add_variables(m, tables)
    _add_batch_sizes(m, network)
    _add_unit_allocation(m, tables)
    for rule in _RULE_FILES:
        if hasattr(rule, "add"):
            rule.add(m, tables)
    flows = _find_flows(m, tables)
    _add_material_balances(m, tables, flows)
    _add_waiting(m, tables, flows)
    _add_zero_wait(m, tables, flows)
    return m, tables


def _add_variables(m: pyo.ConcreteModel, tables: GridTables) -> None:
    """Which batches start at which point, and their size; the stock after each point."""
    network, horizon, at_start = tables.network, tables.horizon, tables.at_start
    m.EVENTS = pyo.RangeSet(0, tables.n_events - 1)
    m.POINTS = pyo.RangeSet(0, tables.n_events)
    m.TASK_UNITS = pyo.Set(dimen=2, initialize=list(tables.steps))
    m.BATCHES = pyo.Set(
        dimen=3,
        initialize=[
            (task, unit, event)
            for (task, unit), steps in tables.steps.items()
            for event in range(1 if task in at_start else tables.n_events - steps + 1)
            if task in at_start or may_start(tables, unit, event, steps)
        ],
    )
    tables.enter(m.BATCHES)
    largest = {(fit.task, fit.unit): fit.max_batch for fit in network.suitabilities}
    m.run = pyo.Var(m.BATCHES, domain=pyo.Binary)
    m.size = pyo.Var(m.BATCHES, bounds=lambda m, task, unit, _: (0.0, largest[task, unit]))
    for batch in m.BATCHES:
        if batch[0] in at_start:
            m.run[batch].fix(1)
    m.latest_finish = pyo.Var(bounds=(0.0, horizon))
    m.latest_finish.fix(horizon)

    of: dict[tuple[str, str], list[BatchKey]] = {key: [] for key in m.TASK_UNITS}
    for batch in m.BATCHES:
        of[batch[:2]].append(batch)

    @m.Expression(m.TASK_UNITS)
    def total_size(m, task, unit):
        return sum(m.size[b] for b in of[task, unit])

    @m.Expression(m.TASK_UNITS)
    def n_batches(m, task, unit):
        return sum(m.run[b] for b in of[task, unit])


def _add_batch_sizes(m: pyo.ConcreteModel, network: Network) -> None:
    """min_batch * run <= size <= max_batch * run (eq. G1)."""
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    changing = {unit for unit, rule in network.unit_rules.items() if rule.changeovers}
    smallest = {
        key: max(fit.min_batch, _LEAST_SHARE * fit.max_batch if key[1] in changing else 0.0)
        for key, fit in fits.items()
    }

    @m.Constraint(m.BATCHES)
    def largest_batch(m, *batch):
        return m.size[batch] <= fits[batch[:2]].max_batch * m.run[batch]

    @m.Constraint([b for b in m.BATCHES if smallest[b[:2]] > 0])
    def smallest_batch(m, *batch):
        return m.size[batch] >= smallest[batch[:2]] * m.run[batch]


def _add_unit_allocation(m: pyo.ConcreteModel, tables: GridTables) -> None:
    """Sum of run over the batches that occupy a unit in an interval <= 1 (eq. G2)."""

    @m.Constraint(list(tables.network.units), m.EVENTS)
    def one_batch_at_a_time(m, unit, event):
        occupying = tables.running[unit, event]
        return sum(m.run[b] for b in occupying) <= 1 if occupying else pyo.Constraint.Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flows:
    """What batches release and take, as terms.

    Attributes
    ----------
    kept : list of str
        States of limited capacity, which wait in the units that make them.
    held : list of (state, unit)
        Where they do.
    most_made : mapping of str to mapping of str to float
        By state and unit, the most that one batch makes.
    early, at_end : mapping of (state, point) to list of terms
        What leaves batches before they end, and as they end.
    at_end_of : mapping of (state, unit, point) to list of terms
        The latter by unit.
    taken : mapping of (state, point) to list of terms
    """

    kept: list[str]
    held: list[tuple[str, str]]
    most_made: Mapping[str, Mapping[str, float]]
    early: Mapping[tuple[str, int], list[Any]]
    at_end: Mapping[tuple[str, int], list[Any]]
    at_end_of: Mapping[tuple[str, str, int], list[Any]]
    taken: Mapping[tuple[str, int], list[Any]]

    def come(self, state: str, point: int, *, early: bool) -> pyo.Expression:
        """Return what of a state leaves batches at a point."""
        return sum((self.early if early else self.at_end).get((state, point), ()))

    def go(self, state: str, point: int) -> pyo.Expression:
        """Return what of a state enters batches at a point."""
        return sum(self.taken.get((state, point), ()))


def _find_flows(m: pyo.ConcreteModel, tables: GridTables) -> _Flows:
    states = tables.network.states
    kept = [
        s.name
        for s in states.values()
        if not s.unlimited and not s.zero_wait and math.isfinite(s.capacity)
    ]
    most_made = {state: tables.network.most_made(state) for state in states}
    taken: dict[tuple[str, int], list[Any]] = {}
    for batch in m.BATCHES:
        for state, share in tables.network.tasks[batch[0]].consumes.items():
            taken.setdefault((state, batch[2]), []).append(share * m.size[batch])
    early: dict[tuple[str, int], list[Any]] = {}
    at_end: dict[tuple[str, int], list[Any]] = {}
    at_end_of: dict[tuple[str, str, int], list[Any]] = {}
    for batch in m.BATCHES:
        for state, share in tables.network.tasks[batch[0]].produces.items():
            term, unit = share * m.size[batch], batch[1]
            steps = _early_release(tables, state, batch)
            point = min(release_point(tables, batch, steps), tables.n_events)
            if steps is None:
                at_end.setdefault((state, point), []).append(term)
                at_end_of.setdefault((state, unit, point), []).append(term)
            else:
                early.setdefault((state, point), []).append(term)
    return _Flows(
        kept=kept,
        held=[(state, unit) for state in kept for unit in sorted(most_made[state])],
        most_made=most_made,
        early=early,
        at_end=at_end,
        at_end_of=at_end_of,
        taken=taken,
    )


def _early_release(tables: GridTables, state: str, batch: BatchKey) -> int | None:
    """Return after how many intervals a batch releases a state before it ends; else None."""
    task, unit, _ = batch
    release = tables.network.tasks[task].units[unit].release_time.get(state)
    steps = None if release is None else round(release / tables.width)
    return steps if steps is not None and steps < tables.steps[task, unit] else None


def _add_material_balances(m: pyo.ConcreteModel, tables: GridTables, flows: _Flows) -> None:
    """Balance storage: before + released or unloaded - taken - delivered (eq. G5).

    What makes a state of limited capacity keeps it until it is unloaded (`waiting`).
    """
    states, most_made = tables.network.states, flows.most_made
    m.KEPT = pyo.Set(initialize=flows.kept)
    m.STORED = pyo.Set(
        initialize=[s.name for s in states.values() if not s.unlimited and not s.zero_wait]
    )

    def limit(m, state, point):
        made = (point + 1) * sum(most_made[state][unit] for unit in sorted(most_made[state]))
        made += sum(amount for _, amount in states[state].arrivals)
        return 0.0, min(states[state].capacity, states[state].initial + made)

    def one_batch(m, state, unit, _):
        return 0.0, most_made[state][unit]

    m.stock = pyo.Var(m.STORED, m.POINTS, bounds=limit)
    m.waiting = pyo.Var(flows.held, m.POINTS, bounds=one_batch)
    m.unloaded = pyo.Var(flows.held, m.POINTS, bounds=one_batch)
    m.ordered_at = pyo.Expression(m.STORED, m.POINTS, initialize=0.0)
    m.delivered_at = pyo.Param(m.STORED, m.POINTS, mutable=True, default=0.0)

    @m.Constraint(m.STORED, m.POINTS)
    def material_balance(m, state, point):
        before = m.stock[state, point - 1] if point else states[state].initial
        came = flows.come(state, point, early=True)
        if state in m.KEPT:
            came += sum(m.unloaded[state, unit, point] for unit in sorted(most_made[state]))
        else:
            came += flows.come(state, point, early=False)
        came += sum(
            amount for time, amount in states[state].arrivals if round(time / tables.width) == point
        )
        gone = flows.go(state, point) + m.delivered_at[state, point] + m.ordered_at[state, point]
        return m.stock[state, point] == before + came - gone


def _add_waiting(m: pyo.ConcreteModel, tables: GridTables, flows: _Flows) -> None:
    """Unload what waits in a unit before it is cleaned or starts again (eq. G6-G7).

    waiting[p] = waiting[p-1] + released[p] - unloaded[p];
    waiting[p] <= M * (1 - runs in the interval from p - is cleaned then); 0 in a period.
    """

    @m.Constraint(flows.held, m.POINTS)
    def keep_or_unload(m, state, unit, point):
        before = m.waiting[state, unit, point - 1] if point else 0.0
        came = sum(flows.at_end_of.get((state, unit, point), []))
        gone = m.unloaded[state, unit, point]
        return m.waiting[state, unit, point] == before + came - gone

    @m.Constraint(flows.held, m.EVENTS)
    def wait_only_in_idle_unit(m, state, unit, event):
        busy = sum(m.run[b] for b in tables.running[unit, event])
        busy += sum(tables.kept_empty.get((unit, event), []))
        return m.waiting[state, unit, event] <= flows.most_made[state][unit] * (1 - busy)

    for state, unit in flows.held:
        for start, end in tables.periods.get(unit, ()):
            for point in range(start, end):
                m.waiting[state, unit, point].fix(0.0)
        for point in m.POINTS:
            if inside(tables.unattended.get(unit, ()), point) and point != m.POINTS.last():
                m.unloaded[state, unit, point].fix(0.0)


def _add_zero_wait(m: pyo.ConcreteModel, tables: GridTables, flows: _Flows) -> None:
    """Released = taken at every point (eq. G8)."""
    unstable = [s.name for s in tables.network.states.values() if s.zero_wait]

    @m.Constraint(unstable, m.POINTS)
    def taken_as_released(m, state, point):
        came = flows.come(state, point, early=True) + flows.come(state, point, early=False)
        balance = came - flows.go(state, point)
        return pyo.Constraint.Skip if isinstance(balance, (int, float)) else balance == 0


def free_makespan(m: pyo.ConcreteModel) -> None:
    """Let the schedule end before the horizon, for an objective or a limit on the makespan.

    latest_finish >= (p + 1) * width * runs in the interval from p (eq. G10).
    """
    m.latest_finish.unfix()
    if m.component("finish_in_time") is not None:
        return
    tables = tables_of(m)
    units = sorted({unit for unit, _ in tables.running})

    @m.Constraint(units, m.EVENTS)
    def finish_in_time(m, unit, event):
        running = tables.running[unit, event]
        if not running:
            return pyo.Constraint.Skip
        return m.latest_finish >= (event + 1) * tables.width * sum(m.run[b] for b in running)


def read_runs(m: pyo.ConcreteModel) -> dict[tuple[str, str, int, int], tuple[float, float]]:
    """Read start and size of every batch that runs, empty ones too, by its point."""
    width = tables_of(m).width
    return {
        (task, unit, event, 0): (event * width, max(0.0, m.size[task, unit, event].value))
        for task, unit, event in m.BATCHES
        if m.run[task, unit, event].value > 0.5
    }


def set_structure(
    m: pyo.ConcreteModel, runs: Mapping[tuple[str, str, int, int], tuple[float, float]]
) -> None:
    """Let exactly these batches run."""
    for batch in m.BATCHES:
        m.run[batch].set_value(int((*batch, 0) in runs))


FORMULATION = Formulation(
    name="time_grid",
    supports=SUPPORTS,
    build=build_time_grid_model,
    free_makespan=free_makespan,
    read_runs=read_runs,
    set_structure=set_structure,
    serve=serve_on_grid,
    read_parts=read_parts,
)
