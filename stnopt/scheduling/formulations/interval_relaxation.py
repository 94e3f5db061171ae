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

from stnopt.plant.reachability import soonest_times
from stnopt.scheduling.formulations.orders_at_points import add_orders_at_points
from stnopt.scheduling.formulations.orders_at_points import read_parts as read_parts
from stnopt.scheduling.formulations.unit_specific.storage import leaves_early

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery
    from stnopt.plant.recipe import Suitability
    from stnopt.scheduling.formulations.given import Given

#: Names of the rules that it expresses or relaxes (`stnopt.plant.demands`). What only restricts may
#: be left out: changeovers and cleanings take no time here, a utility has its largest capacity, and
#: a unit that is unattended or paused may start and go on.
SUPPORTS = frozenset(
    {
        "storage",
        "zero_wait",
        "release_time",
        "size_dependent_time",
        "unavailable",
        "changeovers",
        "clean_after",
        "utilities",
        "deliveries",
        "orders",
        "running",
        "held",
        "last",
        "arrivals",
        "utility_steps",
        "unattended",
        "paused",
    }
)
#: Times closer than this, as a share of the horizon, are one time.
_SAME_TIME = 1e-9


def count_intervals(network: Network, horizon: float) -> int:
    """Return the fewest equal intervals that are no longer than the shortest batch."""
    shortest = min(fit.duration(fit.min_batch) for fit in network.suitabilities)
    return max(1, math.ceil(horizon / shortest - _SAME_TIME))


def build_interval_model(
    network: Network, *, horizon: float, n_intervals: int, given: Given | None = None
) -> pyo.ConcreteModel:
    """Build variables and constraints; objective and targets: see `stnopt.scheduling.model`.

    There must be at least `count_intervals` of them.
    """
    m = pyo.ConcreteModel(name=network.name)
    m.width = horizon / n_intervals
    m.outside = given.outside if given else frozenset()
    _add_variables(m, network, horizon, n_intervals)
    _add_batches(m, network, horizon)
    _add_given(m)
    _add_unit_times(m, network, horizon)
    _add_material_balances(m, network)
    _add_order_inside_intervals(m, network)
    _add_storage(m, network)
    _add_utilities(m, network)
    return m


def _spans(fit: Suitability, width: float) -> range:
    """List how many intervals after its start a batch may end."""
    shortest, longest = fit.duration(fit.min_batch) / width, fit.duration(fit.max_batch) / width
    if longest - shortest < _SAME_TIME and abs(shortest - round(shortest)) < _SAME_TIME:
        return range(round(shortest), round(shortest) + 1)
    return range(math.floor(shortest + _SAME_TIME), math.ceil(longest - _SAME_TIME) + 1)


def _add_variables(m: pyo.ConcreteModel, network: Network, horizon: float, n: int) -> None:
    """Declare batches (task, unit, interval of start, interval of end), sizes and offsets.

    An end at the horizon itself is in interval n, which has no length. The sums over a task on a
    unit follow from the batches (eq. B16); they are there for the relaxation.
    """
    m.INTERVALS = pyo.RangeSet(0, n - 1)
    m.POINTS = pyo.RangeSet(0, n)
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    m.TASK_UNITS = pyo.Set(dimen=2, initialize=list(fits))
    soonest, _ = soonest_times(network)
    same = _SAME_TIME * horizon
    m.window = {}  # least start offset and largest end offset of each batch
    for (task, unit), fit in fits.items():
        for begin in m.INTERVALS:
            for span in _spans(fit, m.width):
                end = begin + span
                if end > n:
                    continue
                late = max(0.0, soonest[task] - begin * m.width)
                early = m.width if end < n else 0.0
                rule = network.unit_rules.get(unit)
                for start, stop in rule.unavailable if rule else ():
                    if start >= horizon - same:
                        continue
                    if end * m.width <= start + same:
                        early = min(early, max(0.0, start - end * m.width))
                    else:
                        late = max(late, stop - begin * m.width)
                least = fit.duration(fit.min_batch)
                if late < m.width - same and span * m.width + early - late >= least - same:
                    m.window[task, unit, begin, end] = (late, early)
    m.BATCHES = pyo.Set(dimen=4, initialize=list(m.window))
    m.run = pyo.Var(m.BATCHES, domain=pyo.Binary)
    m.size = pyo.Var(m.BATCHES, bounds=lambda m, task, unit, *_: (0.0, fits[task, unit].max_batch))
    m.start_offset = pyo.Var(m.BATCHES, bounds=(0.0, m.width))
    m.end_offset = pyo.Var(m.BATCHES, bounds=lambda m, *b: (0.0, m.window[b][1]))
    m.latest_finish = pyo.Var(bounds=(0.0, horizon))
    m.latest_finish.fix(horizon)
    cells = [(unit, point) for unit in network.units for point in m.POINTS]
    m.starting = {cell: [] for cell in cells}
    m.ending = {cell: [] for cell in cells}
    m.inside = {cell: [] for cell in cells}
    for batch in m.BATCHES:
        _, unit, begin, end = batch
        m.starting[unit, begin].append(batch)
        m.ending[unit, end].append(batch)
        for point in range(begin + 1, end):
            m.inside[unit, point].append(batch)

    @m.Expression(m.TASK_UNITS)
    def total_size(m, task, unit):
        return sum(m.size[b] for b in m.BATCHES if b[:2] == (task, unit))

    # Whole numbers that the solver may branch on: demands and costs are about them.
    m.n_batches = pyo.Var(m.TASK_UNITS, domain=pyo.NonNegativeIntegers, bounds=(0, n))

    @m.Constraint(m.TASK_UNITS)
    def count_batches(m, task, unit):
        counted = sum(m.run[b] for b in m.BATCHES if b[:2] == (task, unit))
        return m.n_batches[task, unit] == counted

    @m.Constraint(m.TASK_UNITS)
    def enough_batches(m, task, unit):
        most = fits[task, unit].max_batch
        return m.total_size[task, unit] <= most * m.n_batches[task, unit]


def _add_batches(m: pyo.ConcreteModel, network: Network, horizon: float) -> None:
    """Limit sizes and offsets, and say how long each batch takes (eq. B1-B3).

    (end - begin) * width * run + end_offset - start_offset = fixed_time * run + slope * size
    """
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}

    @m.Constraint(m.BATCHES)
    def largest_batch(m, *batch):
        return m.size[batch] <= fits[batch[:2]].max_batch * m.run[batch]

    @m.Constraint([b for b in m.BATCHES if fits[b[:2]].min_batch > 0])
    def smallest_batch(m, *batch):
        return m.size[batch] >= fits[batch[:2]].min_batch * m.run[batch]

    @m.Constraint(m.BATCHES)
    def latest_start(m, *batch):
        return m.start_offset[batch] <= m.width * m.run[batch]

    @m.Constraint([b for b in m.BATCHES if m.window[b][0] > 0])
    def earliest_start(m, *batch):
        return m.start_offset[batch] >= m.window[batch][0] * m.run[batch]

    @m.Constraint([b for b in m.BATCHES if m.window[b][1] > 0])
    def latest_end(m, *batch):
        return m.end_offset[batch] <= m.window[batch][1] * m.run[batch]

    @m.Constraint(m.BATCHES)
    def duration(m, *batch):
        _, _, begin, end = batch
        fit = fits[batch[:2]]
        lasts = (end - begin) * m.width * m.run[batch] + m.end_offset[batch]
        lasts -= m.start_offset[batch]
        return lasts == fit.fixed_time * m.run[batch] + fit.time_per_amount * m.size[batch]


def _add_given(m: pyo.ConcreteModel) -> None:
    """Let what comes from outside come: its batches run over all of the horizon."""

    @m.Constraint(sorted(m.outside))
    def given_once(m, unit):
        return sum(m.run[b] for b in m.BATCHES if b[1] == unit) == 1


def _add_unit_times(m: pyo.ConcreteModel, network: Network, horizon: float) -> None:
    """Keep what a unit does in an interval within its length; one start, one end (eq. B4-B6)."""

    def away(unit: str, interval: int) -> float:
        rule = network.unit_rules.get(unit)
        begin, end = interval * m.width, (interval + 1) * m.width
        return sum(
            max(0.0, min(stop, end) - max(start, begin))
            for start, stop in (rule.unavailable if rule else ())
        )

    @m.Constraint(list(network.units), m.INTERVALS)
    def time_in_interval(m, unit, interval):
        cell = (unit, interval)
        used = [m.width * m.run[b] for b in m.inside[cell]]
        used += [m.end_offset[b] for b in m.ending[cell]]
        used += [m.width * m.run[b] - m.start_offset[b] for b in m.starting[cell]]
        return sum(used) <= m.width - away(*cell) if used else pyo.Constraint.Skip

    @m.Constraint(list(network.units), m.INTERVALS)
    def one_start(m, unit, interval):
        cell = (unit, interval)
        if not m.starting[cell]:
            return pyo.Constraint.Skip
        return sum(m.run[b] for b in m.starting[cell] + m.inside[cell]) <= 1

    @m.Constraint(list(network.units), m.POINTS)
    def one_end(m, unit, point):
        cell = (unit, point)
        if not m.ending[cell]:
            return pyo.Constraint.Skip
        return sum(m.run[b] for b in m.ending[cell] + m.inside[cell]) <= 1


def _add_material_balances(m: pyo.ConcreteModel, network: Network) -> None:
    """Count what is there before each interval (eq. B7).

    stock[g+1] = stock[g] + released in g - taken in g - delivered in g >= 0
    """
    stored = [s.name for s in network.states.values() if not s.unlimited]
    m.STORED = pyo.Set(initialize=stored)
    m.most_made = _most(network, "produces")
    m.most_taken = _most(network, "consumes")
    m.released, m.released_early = {}, {}
    m.taken = {}
    for state in stored:
        for task, unit, begin, end in m.BATCHES:
            recipe, batch = network.tasks[task], (task, unit, begin, end)
            if state in recipe.produces:
                term = recipe.produces[state] * m.size[batch]
                if leaves_early(recipe.units[unit], state):
                    after = recipe.units[unit].release_time[state] / m.width
                    at = begin + math.floor(after + _SAME_TIME)
                    m.released_early.setdefault((state, at), []).append(term)
                else:
                    m.released.setdefault((state, unit, end), []).append(term)
            if state in recipe.consumes:
                term = recipe.consumes[state] * m.size[batch]
                m.taken.setdefault((state, unit, begin), []).append(term)
    most = {
        state: sum(made for (s, _), made in m.most_made.items() if s == state) for state in stored
    }
    m.stock = pyo.Var(
        m.STORED,
        m.POINTS,
        bounds=lambda m, s, p: (0.0, network.states[s].initial + p * most[s]),
    )
    m.ordered_in = pyo.Expression(m.STORED, m.POINTS, initialize=0.0)
    m.delivered_in = pyo.Param(m.STORED, m.POINTS, mutable=True, default=0.0)
    for state in stored:
        m.stock[state, 0].fix(network.states[state].initial)

    @m.Expression(m.STORED, m.POINTS)
    def coming(m, state, point):
        ended = [
            term for unit in network.units for term in m.released.get((state, unit, point), ())
        ]
        return sum(ended) + sum(m.released_early.get((state, point), ()))

    @m.Constraint(m.STORED, m.POINTS)
    def material_balance(m, state, point):
        gone = sum(term for unit in network.units for term in m.taken.get((state, unit, point), ()))
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


def _add_order_inside_intervals(m: pyo.ConcreteModel, network: Network) -> None:
    """Take what is made in the same interval only after its batch has ended (eq. B8-B11).

    taken[v, g] = from_stock[v, g] + sum_u direct[u, v, g];  sum_v from_stock <= stock[g];
    sum_v direct[u, v, g] <= released[u, g];  direct[u, v, g] <= M * after[u, v, g];
    start_offset[v] >= end_offset[u] - width * (1 - after[u, v, g]).
    """
    taken, released = m.taken, m.released
    unordered = {
        state
        for fit in network.suitabilities
        for state in network.tasks[fit.task].produces
        if leaves_early(fit, state)
    }
    ordered = [state for state in m.STORED if state not in unordered]
    links = [
        (state, producer, consumer, interval)
        for state, consumer, interval in taken
        if state in ordered
        for producer in network.units
        if (state, producer, interval) in released
    ]
    m.direct = pyo.Var(
        links,
        bounds=lambda m, s, u, v, _: (0.0, min(m.most_made[s, u], m.most_taken[s, v])),
    )
    m.from_stock = pyo.Var(
        [key for key in taken if key[0] in ordered],
        bounds=lambda m, s, v, _: (0.0, m.most_taken[s, v]),
    )
    pairs = sorted({(u, v, interval) for _, u, v, interval in links if u != v})
    m.after = pyo.Var(pairs, domain=pyo.Binary)
    by_consumer: dict[tuple, list] = {}
    by_producer: dict[tuple, list] = {}
    by_stock: dict[tuple, list] = {}
    for state, producer, consumer, interval in links:
        link = m.direct[state, producer, consumer, interval]
        by_consumer.setdefault((state, consumer, interval), []).append(link)
        by_producer.setdefault((state, producer, interval), []).append(link)
    for state, consumer, interval in m.from_stock:
        from_stock = m.from_stock[state, consumer, interval]
        by_stock.setdefault((state, interval), []).append(from_stock)

    @m.Constraint(m.from_stock.index_set())
    def supply(m, *key):
        return sum(taken[key]) == m.from_stock[key] + sum(by_consumer.get(key, []))

    @m.Constraint(list(by_stock))
    def supply_from_stock(m, state, interval):
        return sum(by_stock[state, interval]) <= m.stock[state, interval]

    @m.Constraint(list(by_producer))
    def supply_from_producer(m, *key):
        return sum(by_producer[key]) <= sum(released[key])

    @m.Constraint([link for link in links if link[1] != link[2]])
    def direct_only_after(m, state, producer, consumer, interval):
        most = min(m.most_made[state, producer], m.most_taken[state, consumer])
        direct = m.direct[state, producer, consumer, interval]
        return direct <= most * m.after[producer, consumer, interval]

    @m.Constraint(pairs)
    def start_after_end(m, producer, consumer, interval):
        start = sum(m.start_offset[b] for b in m.starting[consumer, interval])
        end = sum(m.end_offset[b] for b in m.ending[producer, interval])
        return start >= end - m.width * (1 - m.after[producer, consumer, interval])

    @m.Constraint(pairs)
    def after_only_if_started(m, producer, consumer, interval):
        started = sum(m.run[b] for b in m.starting[consumer, interval])
        return m.after[producer, consumer, interval] <= started

    @m.Constraint(pairs)
    def after_only_if_ended(m, producer, consumer, interval):
        ended = sum(m.run[b] for b in m.ending[producer, interval])
        return m.after[producer, consumer, interval] <= ended

    for state in ordered:
        if network.states[state].zero_wait:
            for point in m.POINTS:
                m.stock[state, point].fix(0.0)
    passed_on = {(s, u): 0 for s in ordered if network.states[s].zero_wait for u in network.units}
    at_once = sorted({(u, v, g) for s, u, v, g in links if (s, u) in passed_on and u != v})

    # Only where the two units exchange nothing else may `after` mean "at the same time".
    exchanged = {(u, v): {s for s, a, b, _ in links if (a, b) == (u, v)} for u, v, _ in pairs}

    @m.Constraint(
        [
            (u, v, g)
            for u, v, g in at_once
            if all(network.states[s].zero_wait for s in exchanged[u, v])
        ]
    )
    def start_not_after_end(m, producer, consumer, interval):
        start = sum(m.start_offset[b] for b in m.starting[consumer, interval])
        end = sum(m.end_offset[b] for b in m.ending[producer, interval])
        return start <= end + m.width * (1 - m.after[producer, consumer, interval])

    last = m.POINTS.last()

    @m.Constraint([s for s in ordered if network.states[s].zero_wait])
    def nothing_left(m, state):
        ended = m.coming[state, last]
        return pyo.Constraint.Skip if isinstance(ended, (int, float)) else ended == 0


def _add_storage(m: pyo.ConcreteModel, network: Network) -> None:
    """Limit what is stored just before each interval; idle units keep the rest (eq. B12-B13).

    stock[g] <= capacity + sum_u waiting[u, g];  waiting[u, g] <= M * (1 - running[u, g]);
    waiting[u, g] <= waiting[u, g-1] + released[u, g-1]
    """
    limited = [
        state
        for state in m.STORED
        if math.isfinite(network.states[state].capacity)
        and not network.states[state].zero_wait
        and not any(key[0] == state for key in m.released_early)
    ]
    held = [(state, unit) for state, unit in m.most_made if state in limited]
    points = list(m.POINTS)[1:]
    m.waiting = pyo.Var(
        [(*key, point) for key in held for point in points],
        bounds=lambda m, state, unit, _: (0.0, m.most_made[state, unit]),
    )

    @m.Constraint(limited, points)
    def storage(m, state, point):
        waits = sum(m.waiting[state, u, point] for s, u in held if s == state)
        return m.stock[state, point] <= network.states[state].capacity + waits

    @m.Constraint(held, points)
    def wait_only_in_idle_unit(m, state, unit, point):
        busy = sum(m.run[b] for b in _running_before(m, unit, point))
        return m.waiting[state, unit, point] <= m.most_made[state, unit] * (1 - busy)

    @m.Constraint(held, points)
    def wait_after_release(m, state, unit, point):
        before = m.waiting[state, unit, point - 1] if point > 1 else 0.0
        came = sum(m.released.get((state, unit, point - 1), []))
        return m.waiting[state, unit, point] <= before + came

    for state, unit in held:
        rule = network.unit_rules.get(unit)
        for start, stop in rule.unavailable if rule else ():
            for point in points:
                if start < point * m.width <= stop and start < m.width * points[-1]:
                    m.waiting[state, unit, point].setub(0.0)


def _running_before(m: pyo.ConcreteModel, unit: str, point: int) -> list[tuple]:
    """List the batches that run right before an interval begins."""
    return m.ending[unit, point] + m.inside[unit, point]


def _add_utilities(m: pyo.ConcreteModel, network: Network) -> None:
    """Limit what is drawn right before each interval begins (eq. B14)."""

    @m.Constraint(list(network.utilities), list(m.POINTS)[1:])
    def within_capacity(m, utility, point):
        draws = []
        for unit in network.units:
            for batch in _running_before(m, unit, point):
                fit = network.tasks[batch[0]].units[unit]
                draws.append(fit.draws.get(utility, 0.0) * m.run[batch])
                draws.append(fit.draws_per_amount.get(utility, 0.0) * m.size[batch])
        total = sum(draws)
        if isinstance(total, (int, float)):
            return pyo.Constraint.Skip
        return total <= network.utilities[utility].capacity


def serve_in_intervals(
    m: pyo.ConcreteModel,
    network: Network,
    deliveries: Iterable[Delivery],
    orders: Iterable[Order],
    horizon: float,
    *,
    may_miss: bool,
) -> None:
    """Take each delivery and order from what is there in its interval, in place of all former ones.

    late >= begin of an interval in which some of it is delivered - due (eq. B17-B19).
    """
    for key in m.delivered_in:
        m.delivered_in[key] = 0.0
    for delivery in deliveries:
        point = min(math.floor(delivery.time / m.width + _SAME_TIME), m.POINTS.last())
        m.delivered_in[delivery.state, point] = (
            pyo.value(m.delivered_in[delivery.state, point]) + delivery.amount
        )
    points = {
        order.id: range(math.floor(order.earliest / m.width + _SAME_TIME), m.POINTS.last() + 1)
        for order in orders
    }
    add_orders_at_points(
        m, list(orders), points, lambda point: point * m.width, horizon, may_miss=may_miss
    )
    for state, point in m.ordered_in:
        m.ordered_in[state, point].set_value(
            sum(
                m.deliveries.part_amount[o.id, point]
                for o in m.deliveries.orders.values()
                if o.state == state and point in points[o.id]
            )
        )


def free_makespan(m: pyo.ConcreteModel) -> None:
    """Let the schedule end before the horizon (eq. B15).

    latest_finish >= g * width * (ends or runs in g) + end_offset + width * (runs through g)
    """
    m.latest_finish.unfix()
    if m.component("finish_in_time") is not None:
        return

    @m.Constraint(sorted({unit for unit, _ in m.ending} - m.outside), m.POINTS)
    def finish_in_time(m, unit, point):
        running = _running_before(m, unit, point) if point else []
        if not running:
            return pyo.Constraint.Skip
        begun = point * m.width * sum(m.run[b] for b in running)
        more = sum(m.end_offset[b] for b in m.ending[unit, point])
        more += m.width * sum(m.run[b] for b in m.inside[unit, point])
        return m.latest_finish >= begun + more


def read_runs(m: pyo.ConcreteModel) -> dict[tuple[str, str, int, int], tuple[float, float]]:
    """Read start and size of every batch that runs, by the intervals it starts in and runs over."""
    return {
        (task, unit, begin, end - begin): (
            begin * m.width + m.start_offset[task, unit, begin, end].value,
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
