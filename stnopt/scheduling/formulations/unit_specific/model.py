"""A continuous-time STN model with event points of each unit's own (docs/formulation.md).

Every unit has its own time for every event point. A batch that consumes a state waits for every
batch that made the state at an earlier event, and for no other: sequencing holds across any pair
of events. A batch may span `max_span` further events.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.plant.reachability import batches_before, soonest_times
from stnopt.scheduling.formulations import unit_specific
from stnopt.scheduling.formulations.contract import Formulation
from stnopt.scheduling.formulations.features import find_rule_files, rules_of
from stnopt.scheduling.formulations.given import Given
from stnopt.scheduling.formulations.unit_specific.calendars import pause_time, time_to_release
from stnopt.scheduling.formulations.unit_specific.deliveries import add_takings, read_parts
from stnopt.scheduling.formulations.unit_specific.tables import (
    BatchKey,
    EventTables,
    available_at,
    leaves_early,
    make_tables,
)
from stnopt.scheduling.formulations.unit_specific.unavailable import first_free_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stnopt.plant.network import Network

_RULE_FILES = find_rule_files(unit_specific)
#: Names of the rules that are expressed (`stnopt.plant.demands`): here, and in files of their own.
SUPPORTS = rules_of(_RULE_FILES) | {
    "zero_wait",
    "release_time",
    "size_dependent_time",
    "running",
    "held",
    "last",
    "arrivals",
}

#: In the place of a span: what leaves its batch early, whatever the batch spans.
_EARLY = -1


def build_unit_event_model(
    network: Network, *, horizon: float, n_events: int, max_span: int, given: Given | None = None
) -> tuple[pyo.ConcreteModel, EventTables]:
    """Build variables and constraints; objective and targets come from `stnopt.scheduling.model`.

    Storage capacities hold here up to what the units can keep, and utilities only by cuts:
    `storage_in_time` and `utilities` add the rest where a schedule needs it. `given` says which
    batches run whatever is decided; the network is the one that holds them.
    """
    given = given or Given(network=network)
    m = pyo.ConcreteModel(name=network.name)
    _add_sets(m, network, n_events, max_span, given)
    tables = make_tables(m, network, horizon, given)
    _add_variables(m, tables)
    for rule in _RULE_FILES:
        if hasattr(rule, "declare"):
            rule.declare(m, tables)
    _add_sums(m, tables)
    _add_unit_allocation(m, tables)
    _add_batch_sizes(m, tables)
    _add_unit_times(m, tables)
    _add_given(m, tables)
    _add_sequencing(m, tables)
    _add_material_balances(m, tables)
    _add_zero_wait(m, tables)
    _add_earliest_starts(m, tables)
    for rule in _RULE_FILES:
        if hasattr(rule, "add"):
            rule.add(m, tables)
    return m, tables


def _add_sets(
    m: pyo.ConcreteModel, network: Network, n_events: int, max_span: int, given: Given
) -> None:
    """Events at which batches start; points, one more, at which material is there."""
    m.EVENTS = pyo.RangeSet(0, n_events - 1)
    m.POINTS = pyo.RangeSet(0, n_events)
    m.UNITS = pyo.Set(initialize=network.units)
    m.STORED = pyo.Set(initialize=[s.name for s in network.states.values() if not s.unlimited])
    m.TASK_UNITS = pyo.Set(
        dimen=2, initialize=[(fit.task, fit.unit) for fit in network.suitabilities]
    )
    first = batches_before(network).tasks
    places = {b.task: n_events if b.anywhere else 1 for b in given.batches}
    m.BATCHES = pyo.Set(
        dimen=4,
        initialize=[
            (fit.task, fit.unit, event, span)
            for fit in network.suitabilities
            for event in range(places.get(fit.task, n_events))
            for span in range(1 if fit.task in places else min(max_span, n_events - 1 - event) + 1)
            if event >= first[fit.task]
        ],
    )


def _add_variables(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Which batches run and how large they are; when each unit's and each state's points lie."""
    network, horizon, given = tables.network, tables.horizon, tables.given
    m.run = pyo.Var(m.BATCHES, domain=pyo.Binary)
    largest = {key: fit.max_batch for key, fit in tables.fits.items()}
    m.size = pyo.Var(m.BATCHES, bounds=lambda m, task, unit, *_: (0.0, largest[task, unit]))
    earliest, _ = soonest_times(network)
    ready = {
        unit: min(earliest[f.task] for f in tables.fits.values() if f.unit == unit)
        for unit in network.units
    }
    soonest = {
        unit: min(first_free_time(network, unit, ready[unit], horizon), horizon) for unit in ready
    }
    m.unit_time = pyo.Var(m.UNITS, m.POINTS, bounds=lambda m, unit, _: (soonest[unit], horizon))
    m.stock = pyo.Var(m.STORED, m.POINTS, domain=pyo.NonNegativeReals)
    m.latest_finish = pyo.Var(bounds=(0.0, horizon))
    # The points of a unit that never runs may lie after the latest finish: they mean nothing.
    # So do those of units that are none of the plant's.
    m.idle_until = pyo.Var(
        m.UNITS,
        bounds=lambda m, unit: (0.0, horizon if unit in given.outside else soonest[unit]),
    )
    m.latest_finish.fix(horizon)  # both are freed where the makespan matters
    m.idle_until.fix(0.0)


def _add_sums(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Say how long a batch takes, its pauses included, and what all batches of a task come to."""
    fits = tables.fits

    @m.Expression(m.BATCHES)
    def duration(m, task, unit, event, span):
        fit = fits[task, unit]
        batch = (task, unit, event, span)
        work = fit.fixed_time * m.run[batch] + fit.time_per_amount * m.size[batch]
        return work + pause_time(m, tables, batch)

    of: dict[tuple[str, str], list[BatchKey]] = {key: [] for key in m.TASK_UNITS}
    for batch in m.BATCHES:
        of[batch[:2]].append(batch)

    @m.Expression(m.TASK_UNITS)
    def total_size(m, task, unit):
        return sum(m.size[b] for b in of[task, unit])

    @m.Expression(m.TASK_UNITS)
    def n_batches(m, task, unit):
        return sum(m.run[b] for b in of[task, unit])


def _add_unit_allocation(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Sum of run over the batches that occupy a unit at an event <= 1 (eq. U1)."""

    @m.Constraint(m.UNITS, m.EVENTS)
    def one_batch_at_a_time(m, unit, event):
        occupying = [b for b in tables.on[unit] if b[2] <= event <= b[2] + b[3]]
        return sum(m.run[b] for b in occupying) <= 1 if occupying else pyo.Constraint.Skip


def _add_batch_sizes(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """min_batch * run <= size <= max_batch * run (eq. U2)."""
    fits = tables.fits

    @m.Constraint(m.BATCHES)
    def largest_batch(m, *batch):
        return m.size[batch] <= fits[batch[:2]].max_batch * m.run[batch]

    @m.Constraint([b for b in m.BATCHES if fits[b[:2]].min_batch > 0])
    def smallest_batch(m, *batch):
        return m.size[batch] >= fits[batch[:2]].min_batch * m.run[batch]


def _add_given(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Run what is given, at its time (eq. U66)."""
    given, horizon = tables.given, tables.horizon
    placed = {b.task: b for b in given.batches if not b.anywhere}
    for key in m.BATCHES:
        if key[0] in placed:
            m.run[key].fix(1)
            m.unit_time[key[1], key[2]].fix(placed[key[0]].start)
    moving = [b.task for b in given.batches if b.anywhere]

    @m.Constraint(moving)
    def given_once(m, task):
        return sum(m.run[b] for b in m.BATCHES if b[0] == task) == 1

    @m.Constraint([b for b in m.BATCHES if b[0] in moving])
    def given_at_its_time(m, *batch):
        return m.unit_time[batch[1], batch[2]] <= horizon * (1 - m.run[batch])

    of = {b.unit: b.task for b in given.batches if b.anywhere and not b.outside}

    @m.Constraint([b for b in m.BATCHES if b[1] in of and b[0] != of[b[1]]])
    def nothing_before_given(m, *batch):
        unit = batch[1]
        return m.run[batch] <= sum(m.run[of[unit], unit, n, 0] for n in range(batch[2]))


def _add_unit_times(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Next point of a unit >= end of its batch; all it does fits before and after (eq. U3-U6)."""
    on, outside = tables.on, tables.given.outside

    @m.Constraint(m.UNITS, m.EVENTS)
    def points_in_order(m, unit, event):
        return m.unit_time[unit, event + 1] >= m.unit_time[unit, event]

    @m.Constraint(m.UNITS, m.EVENTS, list(tables.spans))
    def next_point_after_batch(m, unit, event, span):
        # One batch starts at an event, so the sum over tasks and shorter spans has one term.
        started = [b for b in tables.started(unit, event) if b[3] <= span]
        if not any(b[3] == span for b in started):
            return pyo.Constraint.Skip
        gap = m.unit_time[unit, event + span + 1] - m.unit_time[unit, event]
        return gap >= sum(m.duration[b] for b in started)

    @m.Constraint(m.UNITS, m.EVENTS)
    def later_batches_fit(m, unit, event):
        later = [b for b in on[unit] if b[2] >= event]
        if not later:
            return pyo.Constraint.Skip
        end = m.latest_finish + m.idle_until[unit]
        return m.unit_time[unit, event] + sum(m.duration[b] for b in later) <= end

    @m.Constraint(m.UNITS, m.POINTS)
    def earlier_batches_fit(m, unit, point):
        earlier = [b for b in on[unit] if b[2] + b[3] < point]
        if not earlier:
            return pyo.Constraint.Skip
        return m.unit_time[unit, point] >= sum(m.duration[b] for b in earlier)

    @m.Constraint(m.UNITS)
    def finish_in_time(m, unit):
        return m.unit_time[unit, m.POINTS.last()] <= m.latest_finish + m.idle_until[unit]

    @m.Constraint(m.UNITS, m.EVENTS)
    def idle_if_never_run(m, unit, event):
        started = tables.started(unit, event)
        longest = m.idle_until[unit].ub
        if not started or longest == 0 or unit in outside:
            return pyo.Constraint.Skip
        return m.idle_until[unit] <= longest * (1 - sum(m.run[b] for b in started))


def _add_sequencing(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Start of a consumer >= release by every batch that made the state earlier (eq. U7).

    unit_time[v, k] >= unit_time[u, n] + release - M (1 - makes[u, n]) - M' (1 - takes[v, k]) for
    every pair of events n < k; M' = horizon - the earliest time on v, for no two times lie further
    apart, and M = horizon - the earliest start of what takes.
    """
    horizon = tables.horizon
    earliest, _ = soonest_times(tables.network)

    @m.Constraint(list(_sequences(m, tables)))
    def consume_after_release(m, state, producer, event, span, consumer, later):
        made = _made(tables, state, producer, event, span)
        taken = tables.consuming(consumer, later, state)
        released = m.unit_time[producer, event] + sum(
            time_to_release(m, tables, state, b) for b in made
        )
        soonest = m.unit_time[consumer, later].lb
        not_made = 1 - sum(m.run[b] for b in made)
        not_taken = 1 - sum(m.run[b] for b in taken)
        start = min(horizon, max(soonest, min(earliest[b[0]] for b in taken)))
        loose = (horizon - start) * not_made + (horizon - soonest) * not_taken
        return m.unit_time[consumer, later] >= released - loose


def _sequences(
    m: pyo.ConcreteModel, tables: EventTables
) -> Iterator[tuple[str, str, int, int, str, int]]:
    """List state, producer, event, span, consumer and later event of all rows of `U7`."""
    units, spans, end = list(m.UNITS), tables.spans, m.POINTS.last()
    for state in m.STORED:
        taking = {slot for slot in tables.starting if tables.consuming(*slot, state)}
        for producer, event, span in product(units, m.EVENTS, [*spans, _EARLY]):
            made = _made(tables, state, producer, event, span)
            if span == _EARLY:  # available from the next event on, however long the batch
                followed = range(event + 1, end) if made else range(0)
            elif not any(b[3] == span for b in made):
                continue
            else:
                # With a longer span still possible, the next row covers the later events.
                longer = [b for b in _made(tables, state, producer, event, end) if b[3] > span]
                longest = not longer or event + span + 1 == end
                followed = range(event + span + 1, end if longest else event + span + 2)
            for consumer, later in product(units, followed):
                if consumer != producer and (consumer, later) in taking:
                    yield state, producer, event, span, consumer, later


def _made(tables: EventTables, state: str, unit: str, event: int, span: int) -> list[BatchKey]:
    """Batches on a unit that make a state, by event and longest span; or those it leaves early."""
    made = tables.producing(unit, event, state)
    early = {b for b in made if leaves_early(tables.fits[b[:2]], state)}
    if span == _EARLY:
        return [b for b in made if b in early]
    return [b for b in made if b not in early and b[3] <= span]


def _add_material_balances(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Stock after a point = before + made by batches that ended - taken by those that start.

    Its limit is the capacity and one batch waiting in every unit that makes the state: what no
    schedule exceeds. Between points, `storage_in_time` decides (eq. U8-U9).
    """
    network = tables.network
    released: dict[tuple[str, int], list[BatchKey]] = {}
    taken: dict[tuple[str, int], list[BatchKey]] = {}
    for batch in m.BATCHES:
        for state in network.tasks[batch[0]].produces:
            point = available_at(network, state, batch)
            released.setdefault((state, point), []).append(batch)
        for state in network.tasks[batch[0]].consumes:
            taken.setdefault((state, batch[2]), []).append(batch)

    @m.Constraint(m.STORED, m.POINTS)
    def material_balance(m, state, point):
        before = m.stock[state, point - 1] if point > 0 else network.states[state].initial
        ended, started = released.get((state, point), ()), taken.get((state, point), ())
        came = sum(network.tasks[b[0]].produces[state] * m.size[b] for b in ended)
        gone = sum(network.tasks[b[0]].consumes[state] * m.size[b] for b in started)
        return m.stock[state, point] == before + came - gone

    for state in m.STORED:
        # Without a capacity: what all units could have made (no column may stay unbounded, see
        # storage_in_time).
        held, per_event = network.states[state], sum(network.most_made(state).values())
        for point in m.POINTS:
            most = held.initial + point * per_event
            m.stock[state, point].setub(min(most, held.capacity + per_event))


def _add_zero_wait(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Release a zero-wait state and consume it whole at one time per event point (eq. U10)."""
    network, horizon = tables.network, tables.horizon
    unstable = [s.name for s in network.states.values() if s.zero_wait]
    m.handover = pyo.Var(unstable, m.EVENTS, bounds=(0.0, horizon))
    for state in unstable:
        for point in m.POINTS:
            m.stock[state, point].fix(0.0)
    makes = [(s, *b) for s in unstable for b in m.BATCHES if s in network.tasks[b[0]].produces]
    takes = [(s, *b) for s in unstable for b in m.BATCHES if s in network.tasks[b[0]].consumes]

    def released_at(m, state, *batch):
        return m.unit_time[batch[1], batch[2]] + time_to_release(m, tables, state, batch)

    @m.Constraint(makes)
    def handover_not_before_release(m, state, *batch):
        point = available_at(network, state, batch)
        if point not in m.EVENTS:
            return m.run[batch] == 0  # nobody is left to consume it
        loose = horizon * (1 - m.run[batch])
        return m.handover[state, point] >= released_at(m, state, *batch) - loose

    @m.Constraint([k for k in makes if available_at(network, k[0], k[1:]) in m.EVENTS])
    def handover_not_after_release(m, state, *batch):
        loose = horizon * (1 - m.run[batch])
        point = available_at(network, state, batch)
        return m.handover[state, point] <= released_at(m, state, *batch) + loose

    @m.Constraint(takes)
    def consumption_not_before_handover(m, state, *batch):
        start = m.unit_time[batch[1], batch[2]]
        return start >= m.handover[state, batch[2]] - horizon * (1 - m.run[batch])

    @m.Constraint(takes)
    def consumption_not_after_handover(m, state, *batch):
        start = m.unit_time[batch[1], batch[2]]
        return start <= m.handover[state, batch[2]] + horizon * (1 - m.run[batch])


def _add_earliest_starts(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """unit_time >= the earliest time at which what its batch needs can be there (eq. U11)."""
    earliest, _ = soonest_times(tables.network)

    @m.Constraint(m.UNITS, m.EVENTS)
    def earliest_start(m, unit, event):
        starting = tables.started(unit, event)
        if not any(earliest[b[0]] > m.unit_time[unit, event].lb for b in starting):
            return pyo.Constraint.Skip
        return m.unit_time[unit, event] >= sum(earliest[b[0]] * m.run[b] for b in starting)


def free_makespan(m: pyo.ConcreteModel) -> None:
    """Let the schedule end before the horizon, for an objective or a limit on the makespan."""
    m.latest_finish.unfix()
    m.idle_until.unfix()


def read_runs(m: pyo.ConcreteModel) -> dict[tuple[str, str, int, int], tuple[float, float]]:
    """Read start and size of every batch that runs, empty ones too, by its event and span."""
    runs = {}
    for batch in m.BATCHES:
        if m.run[batch].value > 0.5:
            start = m.unit_time[batch[1], batch[2]].value
            runs[batch] = (max(0.0, start), max(0.0, m.size[batch].value))
    return runs


def set_structure(
    m: pyo.ConcreteModel, runs: Mapping[tuple[str, str, int, int], tuple[float, float]]
) -> None:
    """Let exactly these batches run."""
    for batch in m.BATCHES:
        m.run[batch].set_value(int(batch in runs))


FORMULATION = Formulation(
    name="unit_events",
    supports=SUPPORTS,
    build=build_unit_event_model,
    free_makespan=free_makespan,
    read_runs=read_runs,
    set_structure=set_structure,
    serve=add_takings,
    read_parts=read_parts,
    arrivals_as_batches=True,
    steps_as_batches=True,
)
