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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.plant.demands import RULES
from stnopt.plant.reachability import soonest_times
from stnopt.scheduling.formulations.contract import Formulation
from stnopt.scheduling.formulations.orders_at_points import (
    add_orders_at_points,
    deliver_at_points,
    read_parts_at_points,
)
from stnopt.scheduling.formulations.unit_specific.tables import leaves_early
from stnopt.scheduling.handle import scheduling_handle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyomo.core.base.block import BlockData

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery
    from stnopt.plant.recipe import Suitability
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
#: Times closer than this, as a share of the horizon, are one time.
_SAME_TIME = 1e-9


def count_intervals(network: Network, horizon: float) -> int:
    """Return the fewest equal intervals that are no longer than the shortest batch."""
    shortest = min(fit.duration(fit.min_batch) for fit in network.suitabilities)
    return max(1, math.ceil(horizon / shortest - _SAME_TIME))


BatchKey = tuple[str, str, int, int]  # task, unit, interval of its start, interval of its end
Cell = tuple[str, int]  # unit, interval


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalTables:
    """What the rows look up of a model in intervals, kept on its handle.

    Attributes
    ----------
    network : Network
        The plant with what is given in it.
    horizon, width : float
        Of the schedule and of an interval, in the plant's time unit.
    n_intervals : int
    outside : frozenset of str
        Units that are none of the plant's.
    fits : mapping of (task, unit) to Suitability
    window : mapping of BatchKey to (float, float)
        Least start offset and largest end offset of each batch.
    starting, ending, inside : mapping of Cell to list of BatchKey
        Batches that start in, end in, or run through an interval.
    """

    network: Network
    horizon: float
    n_intervals: int
    outside: frozenset[str]
    fits: Mapping[tuple[str, str], Suitability]
    window: dict[BatchKey, tuple[float, float]] = field(default_factory=dict)
    starting: dict[Cell, list[BatchKey]] = field(default_factory=dict)
    ending: dict[Cell, list[BatchKey]] = field(default_factory=dict)
    inside: dict[Cell, list[BatchKey]] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """Length of an interval."""
        return self.horizon / self.n_intervals

    def running_before(self, unit: str, point: int) -> list[BatchKey]:
        """List the batches that run right before an interval begins."""
        return self.ending[unit, point] + self.inside[unit, point]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flows:
    """What batches make and take, as terms.

    Attributes
    ----------
    most_made, most_taken : mapping of (state, unit) to float
        By one batch.
    released, taken : mapping of (state, unit, interval) to list of terms
        By the batches that end, and that start, in it.
    early : mapping of (state, interval) to list of terms
        What leaves batches before they end.
    """

    most_made: Mapping[tuple[str, str], float]
    most_taken: Mapping[tuple[str, str], float]
    released: Mapping[tuple[str, str, int], list[Any]]
    taken: Mapping[tuple[str, str, int], list[Any]]
    early: Mapping[tuple[str, int], list[Any]]


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
    _find_batches(tables)
    _add_variables(m, tables)
    _add_sums(m, tables)
    _add_batches(m, tables)
    _add_given(m, tables)
    _add_unit_times(m, tables)
    flows = _find_flows(m, tables)
    _add_material_balances(m, tables, flows)
    _add_order_inside_intervals(m, tables, flows)
    _add_storage(m, tables, flows)
    _add_utilities(m, tables)
    return m, tables


def _spans(fit: Suitability, width: float) -> range:
    """List how many intervals after its start a batch may end."""
    shortest, longest = fit.duration(fit.min_batch) / width, fit.duration(fit.max_batch) / width
    if longest - shortest < _SAME_TIME and abs(shortest - round(shortest)) < _SAME_TIME:
        return range(round(shortest), round(shortest) + 1)
    return range(math.floor(shortest + _SAME_TIME), math.ceil(longest - _SAME_TIME) + 1)


def _find_batches(tables: IntervalTables) -> None:
    """List the batches that may run, with the windows that calendars and recipes leave them."""
    network, horizon, width, n = tables.network, tables.horizon, tables.width, tables.n_intervals
    soonest, _ = soonest_times(network)
    same = _SAME_TIME * horizon
    for unit in network.units:
        for point in range(n + 1):
            for cells in (tables.starting, tables.ending, tables.inside):
                cells[unit, point] = []
    for (task, unit), fit in tables.fits.items():
        rule = network.unit_rules.get(unit)
        periods = [p for p in (rule.unavailable if rule else ()) if p[0] < horizon - same]
        least = fit.duration(fit.min_batch)
        for begin in range(n):
            for end in (begin + span for span in _spans(fit, width)):
                if end > n:
                    continue
                late = max(0.0, soonest[task] - begin * width)
                early = width if end < n else 0.0
                for start, stop in periods:
                    if end * width <= start + same:
                        early = min(early, max(0.0, start - end * width))
                    else:
                        late = max(late, stop - begin * width)
                if late < width - same and (end - begin) * width + early - late >= least - same:
                    batch = (task, unit, begin, end)
                    tables.window[batch] = (late, early)
                    tables.starting[unit, begin].append(batch)
                    tables.ending[unit, end].append(batch)
                    for point in range(begin + 1, end):
                        tables.inside[unit, point].append(batch)


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


def _find_flows(m: pyo.ConcreteModel, tables: IntervalTables) -> _Flows:
    """Sort what batches make and take by the interval in which they do."""
    network = tables.network
    released: dict[tuple[str, str, int], list[Any]] = {}
    taken: dict[tuple[str, str, int], list[Any]] = {}
    early: dict[tuple[str, int], list[Any]] = {}
    for state in (s.name for s in network.states.values() if not s.unlimited):
        for batch in tables.window:
            task, unit, begin, end = batch
            recipe = network.tasks[task]
            if state in recipe.produces:
                term = recipe.produces[state] * m.size[batch]
                if leaves_early(recipe.units[unit], state):
                    after = recipe.units[unit].release_time[state] / tables.width
                    at = begin + math.floor(after + _SAME_TIME)
                    early.setdefault((state, at), []).append(term)
                else:
                    released.setdefault((state, unit, end), []).append(term)
            if state in recipe.consumes:
                term = recipe.consumes[state] * m.size[batch]
                taken.setdefault((state, unit, begin), []).append(term)
    return _Flows(
        most_made=_most(network, "produces"),
        most_taken=_most(network, "consumes"),
        released=released,
        taken=taken,
        early=early,
    )


def _add_material_balances(m: pyo.ConcreteModel, tables: IntervalTables, flows: _Flows) -> None:
    """Count what is there before each interval (eq. B7).

    stock[g+1] = stock[g] + released in g - taken in g - delivered in g >= 0
    """
    network, units = tables.network, tables.network.units
    m.STORED = pyo.Set(initialize=[s.name for s in network.states.values() if not s.unlimited])
    most = {
        state: sum(made for (s, _), made in flows.most_made.items() if s == state)
        for state in m.STORED
    }
    m.stock = pyo.Var(
        m.STORED,
        m.POINTS,
        bounds=lambda m, s, p: (0.0, network.states[s].initial + p * most[s]),
    )
    m.ordered_in = pyo.Expression(m.STORED, m.POINTS, initialize=0.0)
    m.delivered_in = pyo.Param(m.STORED, m.POINTS, mutable=True, default=0.0)
    for state in m.STORED:
        m.stock[state, 0].fix(network.states[state].initial)

    @m.Expression(m.STORED, m.POINTS)
    def coming(m, state, point):
        ended = [term for unit in units for term in flows.released.get((state, unit, point), ())]
        return sum(ended) + sum(flows.early.get((state, point), ()))

    @m.Constraint(m.STORED, m.POINTS)
    def material_balance(m, state, point):
        gone = sum(term for unit in units for term in flows.taken.get((state, unit, point), ()))
        left = m.stock[state, point] + m.coming[state, point] - gone
        left -= m.delivered_in[state, point] + m.ordered_in[state, point]
        return left >= 0 if point == m.POINTS.last() else m.stock[state, point + 1] == left


def _most(network: Network, side: str) -> dict[tuple[str, str], float]:
    """Return the most of each state that one batch on each unit makes, or takes."""
    most: dict[tuple[str, str], float] = {}
    for fit in network.suitabilities:
        for state, share in getattr(network.tasks[fit.task], side).items():
            known = most.get((state, fit.unit), 0.0)
            most[state, fit.unit] = max(known, share * fit.max_batch)
    return most


Link = tuple[str, str, str, int]  # state, producer, consumer, interval


def _add_order_inside_intervals(
    m: pyo.ConcreteModel, tables: IntervalTables, flows: _Flows
) -> None:
    """Take what is made in the same interval only after its batch has ended (eq. B8-B11).

    What leaves a batch early is there from the interval's start.
    """
    network = tables.network
    unordered = {
        state
        for fit in tables.fits.values()
        for state in network.tasks[fit.task].produces
        if leaves_early(fit, state)
    }
    ordered = [state for state in m.STORED if state not in unordered]
    links = [
        (state, producer, consumer, interval)
        for state, consumer, interval in flows.taken
        if state in ordered
        for producer in network.units
        if (state, producer, interval) in flows.released
    ]
    _add_supplies(m, flows, ordered, links)
    _add_precedence(m, tables, flows, links)
    _add_zero_wait(m, tables, [s for s in ordered if network.states[s].zero_wait], links)


def _add_supplies(
    m: pyo.ConcreteModel, flows: _Flows, ordered: list[str], links: list[Link]
) -> None:
    """Take from stock or directly from what ends in the interval (eq. B8-B9).

    taken[v, g] = from_stock[v, g] + sum_u direct[u, v, g];  sum_v from_stock <= stock[g];
    sum_v direct[u, v, g] <= released[u, g].
    """
    taken, most_made, most_taken = flows.taken, flows.most_made, flows.most_taken
    m.direct = pyo.Var(
        links, bounds=lambda m, s, u, v, _: (0.0, min(most_made[s, u], most_taken[s, v]))
    )
    m.from_stock = pyo.Var(
        [key for key in taken if key[0] in ordered],
        bounds=lambda m, s, v, _: (0.0, most_taken[s, v]),
    )
    by_consumer: dict[tuple, list] = {}
    by_producer: dict[tuple, list] = {}
    by_stock: dict[tuple, list] = {}
    for (state, producer, consumer, interval), direct in m.direct.items():
        by_consumer.setdefault((state, consumer, interval), []).append(direct)
        by_producer.setdefault((state, producer, interval), []).append(direct)
    for (state, _, interval), from_stock in m.from_stock.items():
        by_stock.setdefault((state, interval), []).append(from_stock)

    @m.Constraint(m.from_stock.index_set())
    def supply(m, *key):
        return sum(taken[key]) == m.from_stock[key] + sum(by_consumer.get(key, []))

    @m.Constraint(list(by_stock))
    def supply_from_stock(m, *key):
        return sum(by_stock[key]) <= m.stock[key]

    @m.Constraint(list(by_producer))
    def supply_from_producer(m, *key):
        return sum(by_producer[key]) <= sum(flows.released[key])


def _add_precedence(
    m: pyo.ConcreteModel, tables: IntervalTables, flows: _Flows, links: list[Link]
) -> None:
    """Say by `after` that a consumer starts after a producer has ended in its interval (B10-B11).

    direct[u, v, g] <= M * after[u, v, g];
    start_offset[v] >= end_offset[u] - width * (1 - after[u, v, g]).
    """
    width, starting, ending = tables.width, tables.starting, tables.ending
    most_made, most_taken = flows.most_made, flows.most_taken
    pairs = sorted({(u, v, interval) for _, u, v, interval in links if u != v})
    m.after = pyo.Var(pairs, domain=pyo.Binary)

    @m.Constraint([link for link in links if link[1] != link[2]])
    def direct_only_after(m, state, producer, consumer, interval):
        most = min(most_made[state, producer], most_taken[state, consumer])
        direct = m.direct[state, producer, consumer, interval]
        return direct <= most * m.after[producer, consumer, interval]

    @m.Constraint(pairs)
    def start_after_end(m, producer, consumer, interval):
        start = sum(m.start_offset[b] for b in starting[consumer, interval])
        end = sum(m.end_offset[b] for b in ending[producer, interval])
        return start >= end - width * (1 - m.after[producer, consumer, interval])

    @m.Constraint(pairs)
    def after_only_if_started(m, producer, consumer, interval):
        started = sum(m.run[b] for b in starting[consumer, interval])
        return m.after[producer, consumer, interval] <= started

    @m.Constraint(pairs)
    def after_only_if_ended(m, producer, consumer, interval):
        ended = sum(m.run[b] for b in ending[producer, interval])
        return m.after[producer, consumer, interval] <= ended


def _add_zero_wait(
    m: pyo.ConcreteModel, tables: IntervalTables, unstable: list[str], links: list[Link]
) -> None:
    """Store nothing of what cannot wait, and start its consumer as its producer ends (eq. B11).

    Only where the two units exchange nothing else may `after` mean "at the same time".
    """
    starting, ending, width = tables.starting, tables.ending, tables.width
    for state in unstable:
        for point in m.POINTS:
            m.stock[state, point].fix(0.0)
    exchanged: dict[tuple[str, str], set[str]] = {}
    for state, producer, consumer, _ in links:
        exchanged.setdefault((producer, consumer), set()).add(state)
    at_once = sorted({(u, v, g) for s, u, v, g in links if s in unstable and u != v})

    @m.Constraint([pair for pair in at_once if exchanged[pair[:2]] <= set(unstable)])
    def start_not_after_end(m, producer, consumer, interval):
        start = sum(m.start_offset[b] for b in starting[consumer, interval])
        end = sum(m.end_offset[b] for b in ending[producer, interval])
        return start <= end + width * (1 - m.after[producer, consumer, interval])

    @m.Constraint(unstable)
    def nothing_left(m, state):
        ended = m.coming[state, m.POINTS.last()]
        return pyo.Constraint.Skip if isinstance(ended, (int, float)) else ended == 0


def _add_storage(m: pyo.ConcreteModel, tables: IntervalTables, flows: _Flows) -> None:
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


def serve_in_intervals(
    m: pyo.ConcreteModel,
    deliveries: Iterable[Delivery],
    orders: Iterable[Order],
    *,
    may_miss: bool,
) -> None:
    """Take each delivery and order from what is there in its interval, in place of all former ones.

    late >= begin of an interval in which some of it is delivered - due (eq. B17-B19).
    """
    tables, orders = _tables_of(m), tuple(orders)
    width = tables.width
    for key in m.delivered_in:
        m.delivered_in[key] = 0.0
    for delivery in deliveries:
        point = min(math.floor(delivery.time / width + _SAME_TIME), m.POINTS.last())
        m.delivered_in[delivery.state, point] = (
            pyo.value(m.delivered_in[delivery.state, point]) + delivery.amount
        )
    points = {
        order.id: range(math.floor(order.earliest / width + _SAME_TIME), m.POINTS.last() + 1)
        for order in orders
    }
    add_orders_at_points(
        m, orders, points, lambda point: point * width, tables.horizon, may_miss=may_miss
    )
    deliver_at_points(m, orders, m.ordered_in)


def read_parts(m: BlockData) -> dict[str, list[tuple[float, float]]]:
    """Read, by order, when how much of it is delivered."""
    width = _tables_of(m).width
    return read_parts_at_points(m, lambda point: point * width)


def free_makespan(m: pyo.ConcreteModel) -> None:
    """Let the schedule end before the horizon (eq. B15).

    latest_finish >= g * width * (ends or runs in g) + end_offset + width * (runs through g)
    """
    m.latest_finish.unfix()
    if m.component("finish_in_time") is not None:
        return

    tables = _tables_of(m)

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
    width = _tables_of(m).width
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


def _tables_of(m: BlockData) -> IntervalTables:
    tables = scheduling_handle(m).tables
    assert isinstance(tables, IntervalTables)
    return tables


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
