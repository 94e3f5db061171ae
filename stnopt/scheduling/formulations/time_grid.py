"""An exact discrete-time STN model, for plants whose times are all multiples of a grid's width.

Batches start at the grid's points only. Where no duration depends on the batch size and all times
of the plant are multiples of the width, nothing is lost: every time of a schedule, rounded down to
the grid, gives a schedule of the same value (docs/formulation.md). Storage, waiting in units and
every other rule hold at every instant, since nothing happens between two points.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.scheduling.formulations.given import Given
from stnopt.scheduling.formulations.orders_at_points import add_orders_at_points
from stnopt.scheduling.formulations.orders_at_points import read_parts as read_parts
from stnopt.scheduling.formulations.points_of_units import (
    finish_point,
    in_pause,
    inside,
    may_start,
    release_point,
    unloaded_point,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery
    from stnopt.plant.recipe import Suitability

#: Names of the rules that the grid expresses (`stnopt.plant.demands`).
SUPPORTS = frozenset(
    {
        "storage",
        "zero_wait",
        "release_time",
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
#: A time this close to a multiple of the width, as a share of the horizon, is one.
_SAME_TIME = 1e-9
#: Largest denominator of a time that a common width is looked for with.
_LARGEST_DENOMINATOR = 10_000
#: Least share of a unit's largest batch where changeovers are: an empty batch would shorten one.
_LEAST_SHARE = 1e-5


def build_time_grid_model(
    network: Network,
    *,
    horizon: float,
    n_events: int,
    max_span: int,
    given: Given | None = None,
) -> pyo.ConcreteModel:
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
    width = horizon / n_events
    _refuse_what_is_off_the_grid(network, width, horizon)
    m = pyo.ConcreteModel(name=network.name)
    m.width = width
    _add_variables(m, network, horizon, n_events, given)
    _add_batch_sizes(m, network)
    _add_unit_allocation(m, network)
    _add_changeovers(m, network)
    _add_cleanings(m, network, given)
    _add_material_balances(m, network)
    _add_waiting(m, network)
    _add_zero_wait(m, network)
    _add_utilities(m, network)
    return m


def find_grid_width(
    network: Network, deliveries: Iterable[Delivery] = (), *, horizon: float
) -> float | None:
    """Return the widest grid on which all times of a plant lie, or `None` if there is none."""
    if any(_varies(fit) for fit in network.suitabilities):
        return None
    times = [time for _, time in _times_on_grid(network, horizon) if time > _SAME_TIME * horizon]
    times += [delivery.time for delivery in deliveries if delivery.time > 0]
    parts = [Fraction(time).limit_denominator(_LARGEST_DENOMINATOR) for time in times]
    if any(
        not part or abs(float(part) - time) > _SAME_TIME * horizon
        for part, time in zip(parts, times, strict=True)
    ):
        return None
    return float(reduce(_common_divisor, parts))


def _common_divisor(one: Fraction, other: Fraction) -> Fraction:
    denominator = math.lcm(one.denominator, other.denominator)
    return Fraction(math.gcd(int(one * denominator), int(other * denominator)), denominator)


def _varies(fit: Suitability) -> bool:
    return fit.time_per_amount > 0 and fit.max_batch > fit.min_batch


def _times_on_grid(network: Network, horizon: float) -> Iterator[tuple[str, float]]:
    """Name every time of a plant within the horizon that a grid has to hit."""
    for fit in network.suitabilities:
        batch = f"task {fit.task!r} on unit {fit.unit!r}"
        yield f"the duration of {batch}", fit.duration(fit.max_batch)
        for state, time in fit.release_time.items():
            yield f"the release time of {state!r} from {batch}", time
    for unit, rule in network.unit_rules.items():
        for pair, time in rule.changeovers.items():
            if time > 0:
                yield f"the changeover {pair[0]!r} to {pair[1]!r} on unit {unit!r}", time
        if rule.clean_after:
            yield f"the cleaning of unit {unit!r}", rule.clean_after.duration
        for start, end in (*rule.unavailable, *rule.unattended, *rule.paused):
            if 0 < start < horizon:
                yield f"unit {unit!r}'s period from {start:g}", start
            if start < horizon and end < horizon:
                yield f"unit {unit!r}'s period until {end:g}", end
    for material in network.states.values():
        for time, _ in material.arrivals:
            if 0 < time < horizon:
                yield f"an arrival of {material.name!r}", time
    for utility in network.utilities.values():
        for time, _ in utility.steps:
            if 0 < time < horizon:
                yield f"a step of utility {utility.name!r}", time


def _is_multiple(time: float, width: float, horizon: float) -> bool:
    return abs(time - round(time / width) * width) <= _SAME_TIME * horizon


def _refuse_what_is_off_the_grid(network: Network, width: float, horizon: float) -> None:
    problems = [
        f"{name}, {time:g}, is no multiple of {width:g}"
        for name, time in _times_on_grid(network, horizon)
        if not _is_multiple(time, width, horizon)
    ]
    if not problems:
        return
    widest = find_grid_width(network, horizon=horizon)
    advice = "use formulation='unit_events'"
    if widest is not None and _is_multiple(horizon, widest, horizon):
        advice = f"use n_events={round(horizon / widest)}, or {advice[4:]}"
    raise UnsupportedModelError(
        f"formulation 'time_grid' has points {width:g} apart (horizon / n_events), but:\n  - "
        + "\n  - ".join(problems)
        + f"\n{advice}"
    )


def _add_variables(
    m: pyo.ConcreteModel, network: Network, horizon: float, n_events: int, given: Given
) -> None:
    """Which batches start at which point, and their size; the stock after each point."""
    m.EVENTS = pyo.RangeSet(0, n_events - 1)
    m.POINTS = pyo.RangeSet(0, n_events)
    m.steps = {
        (fit.task, fit.unit): round(fit.duration(fit.max_batch) / m.width)
        for fit in network.suitabilities
    }
    m.periods, m.unattended, m.pauses = (
        {
            unit: [
                (round(start / m.width), round(min(end, horizon) / m.width))
                for start, end in getattr(rule, kind)
                if start < horizon * (1 - _SAME_TIME)
            ]
            for unit, rule in network.unit_rules.items()
        }
        for kind in ("unavailable", "unattended", "paused")
    )
    at_start = {batch.task for batch in given.batches}
    m.empty = {batch.task for batch in given.batches if batch.empty}
    m.TASK_UNITS = pyo.Set(dimen=2, initialize=list(m.steps))
    m.BATCHES = pyo.Set(
        dimen=3,
        initialize=[
            (task, unit, event)
            for (task, unit), steps in m.steps.items()
            for event in range(1 if task in at_start else n_events - steps + 1)
            if task in at_start or may_start(m, unit, event, steps, n_events)
        ],
    )
    # A batch that runs at 0 ends when it does; any other goes on after its pauses.
    m.finish = {
        (task, unit, event): event + m.steps[task, unit]
        if task in at_start
        else finish_point(m, unit, event, m.steps[task, unit])
        for task, unit, event in m.BATCHES
    }
    largest = {(fit.task, fit.unit): fit.max_batch for fit in network.suitabilities}
    m.run = pyo.Var(m.BATCHES, domain=pyo.Binary)
    m.size = pyo.Var(m.BATCHES, bounds=lambda m, task, unit, _: (0.0, largest[task, unit]))
    for batch in m.BATCHES:
        if batch[0] in at_start:
            m.run[batch].fix(1)
    m.latest_finish = pyo.Var(bounds=(0.0, horizon))
    m.latest_finish.fix(horizon)

    @m.Expression(m.TASK_UNITS)
    def total_size(m, task, unit):
        return sum(m.size[b] for b in m.BATCHES if b[:2] == (task, unit))

    @m.Expression(m.TASK_UNITS)
    def n_batches(m, task, unit):
        return sum(m.run[b] for b in m.BATCHES if b[:2] == (task, unit))

    m.running = {(unit, event): [] for unit in network.units for event in m.EVENTS}
    for batch in m.BATCHES:
        for event in range(batch[2], min(m.finish[batch], n_events)):
            m.running[batch[1], event].append(batch)


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


def _add_unit_allocation(m: pyo.ConcreteModel, network: Network) -> None:
    """Sum of run over the batches that occupy a unit in an interval <= 1 (eq. G2)."""

    @m.Constraint(list(network.units), m.EVENTS)
    def one_batch_at_a_time(m, unit, event):
        occupying = m.running[unit, event]
        return sum(m.run[b] for b in occupying) <= 1 if occupying else pyo.Constraint.Skip


def _add_changeovers(m: pyo.ConcreteModel, network: Network) -> None:
    """Follow which task a unit that is idle ran last; a start takes it from there (eq. G3-G4).

    idle[i, p] = idle[i, p-1] + run[i, p - steps_i] - sum_j changed[i, j, p + changeover_ij];
    run[j, p] = first[j, p] + sum_i changed[i, j, p];  sum_j,p first[j, p] <= 1.
    """
    rules = {unit: rule.changeovers for unit, rule in network.unit_rules.items()}
    tasks_on = {
        unit: [task for task, where in m.steps if where == unit]
        for unit in network.units
        if rules.get(unit)
    }
    m.cleaning = {}
    if not tasks_on:
        return
    cleaning = {
        (unit, one, other): round(rules[unit].get((one, other), 0.0) / m.width)
        for unit, tasks in tasks_on.items()
        for one in tasks
        for other in tasks
    }
    starts = {b for b in m.BATCHES if b[1] in tasks_on}
    ended: dict[tuple, list] = {}
    soonest: dict[tuple, int] = {}
    for batch in starts:
        point = unloaded_point(m, batch)
        soonest[batch[:2]] = min(point, soonest.get(batch[:2], point))
        ended.setdefault((*batch[:2], point), []).append(batch)
    m.changed = pyo.Var(
        [
            (unit, one, other, event)
            for (unit, one, other), steps in cleaning.items()
            for event in m.EVENTS
            if (other, unit, event) in starts
            and not m.run[other, unit, event].fixed  # what runs at 0 follows nothing
            and event >= soonest.get((one, unit), len(m.EVENTS)) + steps
        ],
        bounds=(0, 1),
    )
    m.first = pyo.Var(sorted(starts), bounds=(0, 1))
    ran = [(unit, task) for unit, tasks in tasks_on.items() for task in tasks]
    m.idle = pyo.Var(ran, m.EVENTS, bounds=(0, 1))
    leaving: dict[tuple, list] = {(*key, point): [] for key in ran for point in m.EVENTS}
    entering: dict[tuple, list] = {batch: [m.first[batch]] for batch in starts}
    for unit, one, other, event in m.changed:
        steps = cleaning[unit, one, other]
        leaving[unit, one, event - steps].append(m.changed[unit, one, other, event])
        entering[other, unit, event].append(m.changed[unit, one, other, event])
        for point in range(event - steps, event):
            m.cleaning.setdefault((unit, point), []).append(m.changed[unit, one, other, event])

    @m.Constraint(ran, m.EVENTS)
    def idle_after(m, unit, task, event):
        before = m.idle[unit, task, event - 1] if event else 0
        came = sum(m.run[b] for b in ended.get((task, unit, event), ()))
        return m.idle[unit, task, event] == before + came - sum(leaving[unit, task, event])

    @m.Constraint(sorted(starts))
    def start_follows(m, *batch):
        return m.run[batch] == sum(entering[batch])

    @m.Constraint(list(tasks_on))
    def one_first_batch(m, unit):
        first = [m.first[b] for b in m.first if b[1] == unit]
        return sum(first) <= 1 if first else pyo.Constraint.Skip


def _add_cleanings(m: pyo.ConcreteModel, network: Network, given: Given) -> None:
    """Count the batches since each cleaning, which takes its time before a start (eq. G11-G13).

    since[p] >= since[p-1] + starts[p] - batches * clean[p];  since[p] >= starts[p];
    clean[p] <= starts[p]; nothing runs and no period lies in the time before p that it takes.
    """
    rules = {u: r.clean_after for u, r in network.unit_rules.items() if r.clean_after}
    if not rules:
        return
    steps = {unit: round(rule.duration / m.width) for unit, rule in rules.items()}

    def starts(unit: str, event: int) -> pyo.Expression:
        starting = [b for b in m.running[unit, event] if b[2] == event]
        return sum(m.run[b] for b in starting if not m.run[b].fixed)

    m.clean = pyo.Var(
        [
            (unit, event)
            for unit in rules
            for event in m.EVENTS
            if event >= steps[unit]
            and not any(
                start < event and event - steps[unit] < end
                for start, end in m.periods.get(unit, ())
            )
        ],
        domain=pyo.Binary,
    )
    m.since_cleaning = pyo.Var(
        list(rules), m.EVENTS, bounds=lambda m, unit, _: (0, rules[unit].batches)
    )
    busy: dict[tuple, list] = {}
    for unit, event in m.clean:
        for point in range(event - steps[unit], event):
            busy.setdefault((unit, point), []).append(m.clean[unit, event])
            m.cleaning.setdefault((unit, point), [])
    # It may fall together with a changeover: both keep the unit empty, and either does for both.
    m.being_cleaned = pyo.Var(list(busy), bounds=(0, 1))

    @m.Constraint(list(busy))
    def cleaned_or_changed(m, unit, point):
        return m.being_cleaned[unit, point] >= sum(busy[unit, point])

    @m.Constraint(list(busy))
    def changed_or_cleaned(m, unit, point):
        changing = m.cleaning[unit, point]
        return m.being_cleaned[unit, point] >= sum(changing) if changing else pyo.Constraint.Skip

    @m.Constraint(list(busy))
    def idle_while_cleaned(m, unit, point):
        running = [b for b in m.BATCHES if b[1] == unit and b[2] <= point < unloaded_point(m, b)]
        return sum(m.run[b] for b in running) + sum(busy[unit, point]) <= 1

    @m.Constraint(list(rules), m.EVENTS)
    def batches_since_cleaning(m, unit, event):
        before = given.since_cleaning.get(unit, 0)
        if event:
            before = m.since_cleaning[unit, event - 1]
        cleaned = rules[unit].batches * m.clean[unit, event] if (unit, event) in m.clean else 0
        return m.since_cleaning[unit, event] >= before + starts(unit, event) - cleaned

    @m.Constraint(list(rules), m.EVENTS)
    def first_batch_since_cleaning(m, unit, event):
        return m.since_cleaning[unit, event] >= starts(unit, event)

    @m.Constraint(list(m.clean))
    def cleaned_before_batch(m, unit, event):
        return m.clean[unit, event] <= starts(unit, event)


def _shares(network: Network, state: str, side: str) -> dict[str, float]:
    return {
        task.name: getattr(task, side)[state]
        for task in network.tasks.values()
        if state in getattr(task, side)
    }


def _released(
    m: pyo.ConcreteModel, network: Network, state: str, *, early: bool
) -> dict[tuple[str, int], list]:
    """List, by unit and point, what batches release of a state before they end, or as they end."""
    made = _shares(network, state, "produces")
    terms: dict[tuple[str, int], list] = {}
    for task, unit, event in m.BATCHES:
        if task not in made:
            continue
        batch = (task, unit, event)
        release = network.tasks[task].units[unit].release_time.get(state)
        steps = None if release is None else round(release / m.width)
        if steps is not None and steps >= m.steps[task, unit]:
            steps = None
        if (steps is not None) != early:
            continue
        point = min(release_point(m, batch, steps), m.POINTS.last())
        terms.setdefault((unit, point), []).append(made[task] * m.size[batch])
    return terms


def _add_material_balances(m: pyo.ConcreteModel, network: Network) -> None:
    """Balance storage: before + released or unloaded - taken - delivered (eq. G5).

    What makes a state of limited capacity keeps it until it is unloaded (`waiting`).
    """
    kept = [
        s.name
        for s in network.states.values()
        if not s.unlimited and not s.zero_wait and math.isfinite(s.capacity)
    ]
    stored = [s.name for s in network.states.values() if not s.unlimited and not s.zero_wait]
    m.KEPT = pyo.Set(initialize=kept)
    m.STORED = pyo.Set(initialize=stored)
    m.producers = {state: sorted(network.most_made(state)) for state in network.states}
    m.most_made = {
        (state, unit): amount
        for state in network.states
        for unit, amount in network.most_made(state).items()
    }

    def limit(m, state, point):
        made = (point + 1) * sum(m.most_made[state, unit] for unit in m.producers[state])
        made += sum(amount for _, amount in network.states[state].arrivals)
        return 0.0, min(network.states[state].capacity, network.states[state].initial + made)

    m.stock = pyo.Var(m.STORED, m.POINTS, bounds=limit)
    held = [(state, unit) for state in kept for unit in m.producers[state]]
    m.waiting = pyo.Var(held, m.POINTS, bounds=lambda m, s, unit, _: (0.0, m.most_made[s, unit]))
    m.unloaded = pyo.Var(held, m.POINTS, bounds=lambda m, s, unit, _: (0.0, m.most_made[s, unit]))
    m.ordered_at = pyo.Expression(m.STORED, m.POINTS, initialize=0.0)
    m.delivered_at = pyo.Param(m.STORED, m.POINTS, mutable=True, default=0.0)
    used = {state: _shares(network, state, "consumes") for state in network.states}
    m.taken = {
        state: {
            point: sum(
                used[state][b[0]] * m.size[b]
                for b in m.BATCHES
                if b[2] == point and b[0] in used[state]
            )
            for point in m.POINTS
        }
        for state in network.states
    }
    m.released_early = {s: _released(m, network, s, early=True) for s in network.states}
    m.released_at_end = {s: _released(m, network, s, early=False) for s in network.states}

    @m.Constraint(m.STORED, m.POINTS)
    def material_balance(m, state, point):
        before = m.stock[state, point - 1] if point else network.states[state].initial
        came = _at_point(m.released_early[state], point)
        if state in m.KEPT:
            came += sum(m.unloaded[state, unit, point] for unit in m.producers[state])
        else:
            came += _at_point(m.released_at_end[state], point)
        came += sum(
            amount
            for time, amount in network.states[state].arrivals
            if round(time / m.width) == point
        )
        gone = m.taken[state][point] + m.delivered_at[state, point] + m.ordered_at[state, point]
        return m.stock[state, point] == before + came - gone


def _at_point(terms: Mapping[tuple[str, int], list], point: int) -> pyo.Expression:
    return sum(sum(several) for (_, at), several in terms.items() if at == point)


def _add_waiting(m: pyo.ConcreteModel, network: Network) -> None:
    """Unload what waits in a unit before it is cleaned or starts again (eq. G6-G7).

    waiting[p] = waiting[p-1] + released[p] - unloaded[p];
    waiting[p] <= M * (1 - runs in the interval from p - is cleaned then); 0 in a period.
    """
    held = [(state, unit) for state in m.KEPT for unit in m.producers[state]]

    @m.Constraint(held, m.POINTS)
    def keep_or_unload(m, state, unit, point):
        before = m.waiting[state, unit, point - 1] if point else 0.0
        came = sum(m.released_at_end[state].get((unit, point), []))
        gone = m.unloaded[state, unit, point]
        return m.waiting[state, unit, point] == before + came - gone

    @m.Constraint(held, m.EVENTS)
    def wait_only_in_idle_unit(m, state, unit, event):
        busy = sum(m.run[b] for b in m.running[unit, event])
        if m.component("being_cleaned") is not None and (unit, event) in m.being_cleaned:
            busy += m.being_cleaned[unit, event]
        else:
            busy += sum(m.cleaning.get((unit, event), []))
        return m.waiting[state, unit, event] <= m.most_made[state, unit] * (1 - busy)

    for state, unit in held:
        for start, end in m.periods.get(unit, ()):
            for point in range(start, end):
                m.waiting[state, unit, point].fix(0.0)
        for point in m.POINTS:
            if inside(m.unattended.get(unit, ()), point) and point != m.POINTS.last():
                m.unloaded[state, unit, point].fix(0.0)


def _add_zero_wait(m: pyo.ConcreteModel, network: Network) -> None:
    """Released = taken at every point (eq. G8)."""
    unstable = [s.name for s in network.states.values() if s.zero_wait]

    @m.Constraint(unstable, m.POINTS)
    def taken_as_released(m, state, point):
        came = _at_point(m.released_early[state], point)
        came += _at_point(m.released_at_end[state], point)
        balance = came - m.taken[state][point]
        return pyo.Constraint.Skip if isinstance(balance, (int, float)) else balance == 0


def _add_utilities(m: pyo.ConcreteModel, network: Network) -> None:
    """Draws of all that runs in an interval <= capacity (eq. G9)."""

    def draw(utility: str, batch: tuple) -> pyo.Expression:
        fit = network.tasks[batch[0]].units[batch[1]]
        constant, slope = fit.draws.get(utility, 0.0), fit.draws_per_amount.get(utility, 0.0)
        return constant * m.run[batch] + slope * m.size[batch]

    @m.Constraint(list(network.utilities), m.EVENTS)
    def within_capacity(m, utility, event):
        drawing = [
            batch
            for unit in network.units
            for batch in m.running[unit, event]
            if utility in network.tasks[batch[0]].units[unit].utilities
            and not in_pause(m, unit, event)
        ]
        if not drawing:
            return pyo.Constraint.Skip
        capacity = network.utilities[utility].capacity_at((event + 0.5) * m.width)
        return sum(draw(utility, b) for b in drawing) <= capacity


def serve_on_grid(
    m: pyo.ConcreteModel,
    network: Network,
    deliveries: Iterable[Delivery],
    orders: Iterable[Order],
    horizon: float,
    *,
    may_miss: bool,
) -> None:
    """Take deliveries and orders from the stock at their points, in place of all former ones.

    Raises
    ------
    UnsupportedModelError
        A delivery, or an order's earliest date, between two points.
    """
    deliveries, orders = tuple(deliveries), tuple(orders)
    dates = [(f"delivery of {d.state!r} at {d.time:g}", d.time) for d in deliveries]
    dates += [(f"order {o.id!r} from {o.earliest:g} on", o.earliest) for o in orders]
    off = [what for what, time in dates if not _is_multiple(time, m.width, horizon)]
    if off:
        raise UnsupportedModelError(
            f"formulation 'time_grid' has points {m.width:g} apart (horizon / n_events), and no "
            f"point for {', '.join(off)}; use another n_events, or formulation='unit_events'"
        )
    for key in m.delivered_at:
        m.delivered_at[key] = 0.0
    for delivery in deliveries:
        point = round(delivery.time / m.width)
        m.delivered_at[delivery.state, point] = (
            pyo.value(m.delivered_at[delivery.state, point]) + delivery.amount
        )
    points = {
        order.id: range(round(order.earliest / m.width), m.POINTS.last() + 1) for order in orders
    }
    add_orders_at_points(
        m, orders, points, lambda point: point * m.width, horizon, may_miss=may_miss
    )
    for state, point in m.ordered_at:
        m.ordered_at[state, point].set_value(
            sum(
                m.deliveries.part_amount[order.id, point]
                for order in orders
                if order.state == state and point in points[order.id]
            )
        )


def free_makespan(m: pyo.ConcreteModel) -> None:
    """Let the schedule end before the horizon, for an objective or a limit on the makespan.

    latest_finish >= (p + 1) * width * runs in the interval from p (eq. G10).
    """
    m.latest_finish.unfix()
    if m.component("finish_in_time") is not None:
        return
    units = sorted({unit for unit, _ in m.running})

    @m.Constraint(units, m.EVENTS)
    def finish_in_time(m, unit, event):
        running = m.running[unit, event]
        if not running:
            return pyo.Constraint.Skip
        return m.latest_finish >= (event + 1) * m.width * sum(m.run[b] for b in running)


def read_runs(m: pyo.ConcreteModel) -> dict[tuple[str, str, int, int], tuple[float, float]]:
    """Read start and size of every batch that runs, empty ones too, by its point."""
    return {
        (task, unit, event, 0): (event * m.width, max(0.0, m.size[task, unit, event].value))
        for task, unit, event in m.BATCHES
        if m.run[task, unit, event].value > 0.5
    }


def set_structure(
    m: pyo.ConcreteModel, runs: Mapping[tuple[str, str, int, int], tuple[float, float]]
) -> None:
    """Let exactly these batches run."""
    for batch in m.BATCHES:
        m.run[batch].set_value(int((*batch, 0) in runs))
