"""Shared utilities: what running batches draw on together never exceeds a capacity.

Cuts over the whole horizon belong to every model of a plant with utilities: how long which units
run together, and what they draw then. That the capacity holds at every instant is added for the
utilities that a schedule overdraws. Batches of which each two overlap all run at one instant, so
binaries say which batch ends before which other starts, and what remains together has to fit. Where
too many batches could run together, all points are put in one order instead.
"""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

import pyomo.environ as pyo

from stnopt.scheduling.formulations.unit_specific.calendars import pause_time
from stnopt.scheduling.formulations.unit_specific.paused_draws import (
    add_ends_at_pauses,
    apart_in_window,
    windows_of,
)
from stnopt.scheduling.formulations.unit_specific.tables import Slot, tables_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from stnopt.plant.network import Network
    from stnopt.plant.recipe import Suitability
    from stnopt.scheduling.formulations.unit_specific.tables import BatchKey, EventTables

RULES = ("utilities", "utility_steps")
#: Draws that exceed a capacity by less than this share fit.
_SAME_DRAW = 1e-9
#: With more sets of tasks than this that may run together, how they share the time is left out.
_MOST_SETS = 50
#: With more sets of event points than this that may have to be kept apart, all points are ordered.
_MOST_CLIQUES = 3000
#: Tangents to the energy of a batch, which grows with the square of its size.
_TANGENTS = 4

Key = tuple[str, str]  # task, unit
ClassKey = tuple[str, str, int]  # task, unit, range of sizes


def add(m: pyo.ConcreteModel, tables: EventTables) -> None:
    """Add cuts over the whole horizon; of a utility that is lacking at times few of them hold."""
    if not tables.network.utilities:
        return
    paused = {unit for unit, rules in tables.network.unit_rules.items() if rules.paused}
    lacking = {
        utility
        for batch in tables.given.batches
        if batch.outside or batch.unit in paused
        for utility in tables.fits[batch.task, batch.unit].utilities
    }
    # What is not there at times is drawn by units that run beyond the latest finish, and what runs
    # at 0 may draw nothing for a part of its time: no sums then.
    whole = [name for name in tables.network.utilities if name not in lacking]
    _add_energy(m, tables, whole)
    _add_turns(m, tables, whole)
    _add_shares(m, tables, whole)


def _add_energy(m: pyo.ConcreteModel, tables: EventTables, whole: Collection[str]) -> None:
    """Limit each batch's own draw, and the energy of all.

    draw <= capacity * run;  sum of draw * duration <= capacity * latest_finish (eq. U31-U32).
    """
    network, fits = tables.network, tables.fits
    capacity = {name: utility.capacity for name, utility in network.utilities.items()}

    @m.Constraint(
        [
            (name, *b)
            for name in capacity
            for b in m.BATCHES
            if fits[b[:2]].draw(name, fits[b[:2]].max_batch) > capacity[name]
        ]
    )
    def draw_within_capacity(m, name, *batch):
        return _draw(m, fits[batch[:2]], name, batch) <= capacity[name] * m.run[batch]

    def energy(fit: Suitability, name: str, batch: BatchKey) -> pyo.Expression:
        """Return draw * duration at the least: the square of the size is >= min_batch * size."""
        constant, slope = fit.draws.get(name, 0.0), fit.draws_per_amount.get(name, 0.0)
        per_amount = constant * fit.time_per_amount + slope * fit.duration(fit.min_batch)
        return constant * fit.fixed_time * m.run[batch] + per_amount * m.size[batch]

    @m.Constraint([name for name in whole if _units_drawing(network, name)])
    def energy_fits(m, name):
        spent = [energy(fits[b[:2]], name, b) for b in m.BATCHES if name in fits[b[:2]].utilities]
        if not spent:
            return pyo.Constraint.Skip
        return sum(spent) <= capacity[name] * m.latest_finish


def _add_turns(m: pyo.ConcreteModel, tables: EventTables, whole: Collection[str]) -> None:
    """Limit how many large draws fit side by side (eq. U33), and their number (U50).

    sum of durations <= k * latest_finish over all that draw more than capacity / (k + 1), since no
    k + 1 of them run at a time.
    """
    network, fits = tables.network, tables.fits
    capacity = {name: utility.capacity for name, utility in network.utilities.items()}
    existing = {b[:2] for b in m.BATCHES}

    def large(name: str, k: int) -> list[Key]:
        """List what draws so much that no k + 1 run at a time; nothing if there are only k."""
        most = capacity[name] * (1 + _SAME_DRAW)
        keys = [key for key, fit in fits.items() if (k + 1) * fit.draw(name, fit.min_batch) > most]
        keys = [key for key in keys if key in existing]
        return keys if len({unit for _, unit in keys}) > k else []

    in_turn = [
        (name, k)
        for name in whole
        for k in range(1, len(_units_drawing(network, name)))
        if large(name, k)
    ]

    @m.Constraint(in_turn)
    def large_draws_in_turn(m, name, k):
        drawing = [b for b in m.BATCHES if b[:2] in large(name, k)]
        working = sum(m.duration[b] - pause_time(m, tables, b) for b in drawing)
        return working <= k * m.latest_finish

    shortest = {key: fit.duration(fit.min_batch) for key, fit in fits.items()}
    longest = m.latest_finish.ub

    @m.Constraint([(name, k, *key) for name, k in in_turn for key in large(name, k)])
    def large_draws_counted(m, name, k, *measure):
        def number(time: float) -> int:
            return math.floor(time / shortest[measure] * (1 + _SAME_DRAW))

        counted = sum(number(shortest[key]) * m.n_batches[key] for key in large(name, k))
        return counted <= k * number(longest)


class _SizeClass(NamedTuple):
    """Batches of a task on a unit whose sizes lie in a range, and what one of them draws."""

    fit: Suitability
    smallest: float
    largest: float
    least: float
    most: float


def _add_shares(m: pyo.ConcreteModel, tables: EventTables, whole: Collection[str]) -> None:
    """Share the time among sets of tasks that can run together (eq. U51-U55).

    In time[S] the classes of batches in S run, and no other does. A class is a task on a unit, in a
    range of sizes: what all its batches last and draw is the sum over the sets it is in.
    """
    network = tables.network
    m.utility_shares = pyo.Block(list(network.utilities))
    for name in whole:
        utility = network.utilities[name]
        for n_ranges in (2, 1):
            classes = _size_classes(m, network, name, n_ranges)
            sets = _fitting_sets(classes, utility.capacity)
            if sets:
                _add_shares_of(m.utility_shares[name], m, name, utility.capacity, classes, sets)
            if sets is not None:
                break


def _size_classes(
    m: pyo.ConcreteModel, network: Network, name: str, n_ranges: int
) -> dict[ClassKey, _SizeClass]:
    """Cut the sizes of what draws by its size into ranges, up to the largest that can run."""
    existing = {b[:2] for b in m.BATCHES}
    capacity = network.utilities[name].capacity
    classes = {}
    for fit in network.suitabilities:
        if name not in fit.utilities or (fit.task, fit.unit) not in existing:
            continue
        slope = fit.draws_per_amount.get(name, 0.0)
        top = fit.max_batch
        if fit.draw(name, top) > capacity and slope > 0:
            top = max(fit.min_batch, (capacity - fit.draws.get(name, 0.0)) / slope)
        count = n_ranges if slope > 0 and top > fit.min_batch else 1
        ends = [fit.min_batch + (top - fit.min_batch) * i / count for i in range(count)] + [top]
        for number in range(count):
            low, high = ends[number], ends[number + 1]
            draws = fit.draw(name, low), fit.draw(name, high)
            classes[fit.task, fit.unit, number] = _SizeClass(fit, low, high, *draws)
    return classes


def _fitting_sets(
    classes: dict[ClassKey, _SizeClass], capacity: float
) -> list[tuple[ClassKey, ...]] | None:
    """List the sets of one class per unit that may run together; None if there are too many."""
    sets: list[tuple[ClassKey, ...]] = [()]
    for unit in sorted({key[1] for key in classes}):
        sets += [
            (*chosen, key)
            for chosen in sets
            for key in classes
            if key[1] == unit
            and sum(classes[k].least for k in (*chosen, key)) <= capacity * (1 + _SAME_DRAW)
        ]
        if len(sets) > _MOST_SETS:
            return None
    return sets[1:]


def _add_shares_of(
    block: pyo.Block,
    m: pyo.ConcreteModel,
    name: str,
    capacity: float,
    classes: dict[ClassKey, _SizeClass],
    sets: list[tuple[ClassKey, ...]],
) -> None:
    """Sum over the sets: time of a class = durations, its energy >= tangents to draw * duration.

    Each set's energy is within what its classes draw at the least and at the most, and within the
    capacity; all sets fit one after the other into the schedule.
    """
    horizon, n_events = m.latest_finish.ub, len(m.EVENTS)
    inside = {key: [i for i, chosen in enumerate(sets) if key in chosen] for key in classes}
    varying = [key for key, kind in classes.items() if kind.most > kind.least]
    keys = sorted({key[:2] for key in classes})
    block.time = pyo.Var(range(len(sets)), bounds=(0, horizon))
    block.energy = pyo.Var(
        [(i, *key) for key in varying for i in inside[key]], bounds=(0, capacity * horizon)
    )
    block.number = pyo.Var(list(classes), bounds=(0, n_events))
    block.amount = pyo.Var(
        list(classes), bounds=lambda b, *key: (0, classes[key].largest * n_events)
    )

    @block.Constraint(keys)
    def number_by_size(b, *key):
        return sum(b.number[k] for k in classes if k[:2] == key) == m.n_batches[key]

    @block.Constraint(keys)
    def amount_by_size(b, *key):
        return sum(b.amount[k] for k in classes if k[:2] == key) == m.total_size[key]

    @block.Constraint(list(classes))
    def sizes_from(b, *key):
        return b.amount[key] >= classes[key].smallest * b.number[key]

    @block.Constraint(list(classes))
    def sizes_up_to(b, *key):
        return b.amount[key] <= classes[key].largest * b.number[key]

    @block.Constraint(list(classes))
    def time_of_batches(b, *key):
        fit = classes[key].fit
        lasts = fit.fixed_time * b.number[key] + fit.time_per_amount * b.amount[key]
        return sum(b.time[i] for i in inside[key]) == lasts

    @block.Constraint(varying, range(_TANGENTS))
    def energy_of_batches(b, *index):
        key, kind = index[:3], classes[index[:3]]
        fit = kind.fit
        constant, slope = fit.draws.get(name, 0.0), fit.draws_per_amount.get(name, 0.0)
        linear = constant * fit.time_per_amount + slope * fit.fixed_time
        square = slope * fit.time_per_amount
        if square == 0 and index[3] > 0:
            return pyo.Constraint.Skip
        # size ** 2 >= 2 * touched * size - touched ** 2
        touched = kind.smallest + (kind.largest - kind.smallest) * index[3] / (_TANGENTS - 1)
        spent = (constant * fit.fixed_time - square * touched**2) * b.number[key]
        spent += (linear + 2 * square * touched) * b.amount[key]
        return sum(b.energy[i, *key] for i in inside[key]) >= spent

    @block.Constraint(list(block.energy))
    def energy_at_least(b, i, *key):
        return b.energy[i, *key] >= classes[key].least * b.time[i]

    @block.Constraint(list(block.energy))
    def energy_at_most(b, i, *key):
        return b.energy[i, *key] <= classes[key].most * b.time[i]

    @block.Constraint(range(len(sets)))
    def energy_together(b, i):
        if sum(classes[key].most for key in sets[i]) <= capacity:
            return pyo.Constraint.Skip
        drawn = sum(
            b.energy[i, *key] if key in varying else classes[key].least * b.time[i]
            for key in sets[i]
        )
        return drawn <= capacity * b.time[i]

    @block.Constraint([name])
    def sets_in_turn(b, _):
        return sum(b.time.values()) <= m.latest_finish


def _draw(m: pyo.ConcreteModel, fit: Suitability, name: str, batch: BatchKey) -> pyo.Expression:
    constant, slope = fit.draws.get(name, 0.0), fit.draws_per_amount.get(name, 0.0)
    return constant * m.run[batch] + slope * m.size[batch]


def _units_drawing(network: Network, name: str) -> list[str]:
    drawing = {fit.unit for fit in network.suitabilities if name in fit.utilities}
    return [unit for unit in network.units if unit in drawing]


def add_utility_in_time(m: pyo.ConcreteModel, name: str) -> None:
    """Limit what is drawn of a utility at every instant (docs/formulation.md, U56-U59, U34-U39)."""
    tables, block = tables_of(m), m.utility_in_time[name]
    starting = _starting(m, tables.network, name)
    cliques = _cliques(tables.network, name, starting)
    if cliques is not None:
        _add_separations(block, m, tables, starting)
        add_ends_at_pauses(block, m, tables, starting)
        _add_cliques(block, m, tables, name, starting, cliques)
        return
    block.UNITS = pyo.Set(initialize=_units_drawing(tables.network, name))
    _add_order(block, m, tables.horizon)
    _add_draws(block, m, tables, name)


def _starting(m: pyo.ConcreteModel, network: Network, name: str) -> dict[Slot, list[BatchKey]]:
    """List, by unit and event, the batches that may start there and draw on a utility."""
    starting: dict[Slot, list[BatchKey]] = {}
    for batch in m.BATCHES:
        if name in network.tasks[batch[0]].units[batch[1]].utilities:
            starting.setdefault(batch[1:3], []).append(batch)
    return starting


def _cliques(
    network: Network, name: str, starting: dict[Slot, list[BatchKey]]
) -> list[tuple[Slot, ...]] | None:
    """List the sets of slots, one per unit, whose batches may exceed the capacity together.

    None if there are too many, unless a unit's draws stop in pauses: in one order of all points
    they would go on. A set is left out if a part of it exceeds the capacity anyway.
    """
    rules = network.unit_rules
    paused = any(unit in rules and rules[unit].paused for unit, _ in starting)
    capacity = network.utilities[name].capacity
    slots = {
        unit: [slot for slot in starting if slot[0] == unit]
        for unit in _units_drawing(network, name)
        if any(slot[0] == unit for slot in starting)
    }
    least = {
        unit: min(fit.draw(name, fit.min_batch) for fit in _fits_drawing(network, name, unit))
        for unit in slots
    }
    cliques: list[tuple[Slot, ...]] = []
    for size in range(2, len(slots) + 1):
        for units in combinations(slots, size):
            draws = [least[unit] for unit in units]
            if sum(_most_drawn(network, name, unit) for unit in units) <= capacity:
                continue
            if sum(draws) - min(draws) > capacity * (1 + _SAME_DRAW):
                continue
            n_more = math.prod(len(slots[unit]) for unit in units)
            if len(cliques) + n_more > _MOST_CLIQUES and not paused:
                return None
            cliques += product(*(slots[unit] for unit in units))
    return cliques


def _fits_drawing(network: Network, name: str, unit: str) -> list[Suitability]:
    return [fit for fit in network.suitabilities if fit.unit == unit and name in fit.utilities]


def _most_drawn(network: Network, name: str, unit: str) -> float:
    """Return the most that a batch on a unit draws: no more than there is (eq. U31)."""
    most = max(fit.draw(name, fit.max_batch) for fit in _fits_drawing(network, name, unit))
    return min(most, network.utilities[name].capacity)


def _add_separations(
    block: pyo.Block,
    m: pyo.ConcreteModel,
    tables: EventTables,
    starting: dict[Slot, list[BatchKey]],
) -> None:
    """ends_before[u, n, v, k] = 1: both run, and (u, n) has ended when (v, k) starts (U56-U58)."""
    network, horizon = tables.network, tables.horizon
    pairs = [(*a, *b) for a in starting for b in starting if a[0] != b[0]]
    block.ends_before = pyo.Var(pairs, domain=pyo.Binary)

    @block.Constraint(pairs)
    def start_after_end(b, *pair):
        first, second = pair[:2], pair[2:]
        end = m.unit_time[first] + sum(m.duration[c] for c in starting[first])
        loose = (horizon - m.unit_time[second].lb) * (1 - b.ends_before[pair])
        return m.unit_time[second] >= end - loose

    @block.Constraint([pair for pair in pairs if pair[:2] < pair[2:]])
    def one_ends_before(b, *pair):
        return b.ends_before[pair] + b.ends_before[*pair[2:], *pair[:2]] <= 1

    @block.Constraint(pairs)
    def ends_only_if_run(b, *pair):
        return b.ends_before[pair] <= sum(m.run[c] for c in starting[pair[:2]])

    @block.Constraint(pairs)
    def starts_only_if_run(b, *pair):
        return b.ends_before[pair] <= sum(m.run[c] for c in starting[pair[2:]])

    @block.Constraint([(state, *pair) for state in m.STORED for pair in pairs])
    def producer_ends_before(b, state, *pair):
        made = [
            c
            for c in starting[pair[:2]]
            if state in network.tasks[c[0]].produces
            and state not in network.tasks[c[0]].units[c[1]].release_time
            and c[2] + c[3] < pair[3]
        ]
        taken = [c for c in starting[pair[2:]] if state in network.tasks[c[0]].consumes]
        if not made or not taken:
            return pyo.Constraint.Skip
        return b.ends_before[pair] >= sum(m.run[c] for c in [*made, *taken]) - 1


def _add_cliques(
    block: pyo.Block,
    m: pyo.ConcreteModel,
    tables: EventTables,
    name: str,
    starting: dict[Slot, list[BatchKey]],
    cliques: list[tuple[Slot, ...]],
) -> None:
    """Keep what runs together within the capacity, if no two of it are apart (eq. U59).

    sum of draws <= capacity + M * (pairs that are apart), between any two pauses of its units
    """
    network, fits = tables.network, tables.fits
    capacity = network.utilities[name].capacity
    most = {unit: _most_drawn(network, name, unit) for unit, _ in starting}

    def apart(clique: tuple[Slot, ...]) -> pyo.Expression:
        before = block.ends_before
        return sum(before[*a, *b] + before[*b, *a] for a, b in combinations(clique, 2))

    windows = [
        (number, *window)
        for number, clique in enumerate(cliques)
        for window in windows_of([unit for unit, _ in clique], tables)
    ]

    @block.Constraint(windows)
    def draws_together(b, number, begin, end):
        clique = cliques[number]
        drawn = sum(_draw(m, fits[c[:2]], name, c) for slot in clique for c in starting[slot])
        loose = sum(most[unit] for unit, _ in clique) - capacity
        outside = apart_in_window(b, clique, begin, end)
        return drawn <= capacity + loose * (apart(clique) + outside)


def _add_order(block: pyo.Block, m: pyo.ConcreteModel, horizon: float) -> None:
    """Put all points of the units in one order, which may choose between points at one time.

    comes_after[u, n, v, k] = 1: (v, k) comes after (u, n), no earlier in time; 0: before it.
    With more than two units, ranks keep points at one time from preceding each other in a circle.
    """
    pairs = [
        (first, n, second, k)
        for first, second in combinations(block.UNITS, 2)
        for n in m.EVENTS
        for k in m.EVENTS
    ]
    block.comes_after = pyo.Var(pairs, domain=pyo.Binary)

    @block.Constraint(pairs)
    def later_in_time(b, unit, n, other, k):
        loose = (horizon - m.unit_time[other, k].lb) * (1 - b.comes_after[unit, n, other, k])
        return m.unit_time[other, k] >= m.unit_time[unit, n] - loose

    @block.Constraint(pairs)
    def earlier_in_time(b, unit, n, other, k):
        loose = (horizon - m.unit_time[unit, n].lb) * b.comes_after[unit, n, other, k]
        return m.unit_time[unit, n] >= m.unit_time[other, k] - loose

    @block.Constraint(pairs)
    def later_points_later(b, unit, n, other, k):
        if k == m.EVENTS.last():
            return pyo.Constraint.Skip
        return b.comes_after[unit, n, other, k + 1] >= b.comes_after[unit, n, other, k]

    @block.Constraint(pairs)
    def earlier_points_earlier(b, unit, n, other, k):
        if n == m.EVENTS.last():
            return pyo.Constraint.Skip
        return b.comes_after[unit, n + 1, other, k] <= b.comes_after[unit, n, other, k]

    if len(block.UNITS) < 3:
        return
    n_points = len(block.UNITS) * len(m.EVENTS)
    block.rank = pyo.Var(block.UNITS, list(m.EVENTS), bounds=(0, n_points - 1))

    @block.Constraint(pairs)
    def higher_rank_if_later(b, unit, n, other, k):
        loose = n_points * (1 - b.comes_after[unit, n, other, k])
        return b.rank[other, k] >= b.rank[unit, n] + 1 - loose

    @block.Constraint(pairs)
    def lower_rank_if_earlier(b, unit, n, other, k):
        loose = n_points * b.comes_after[unit, n, other, k]
        return b.rank[unit, n] >= b.rank[other, k] + 1 - loose


def _add_draws(block: pyo.Block, m: pyo.ConcreteModel, tables: EventTables, name: str) -> None:
    """Count at each point what the batches of the other units draw then.

    drawn[u, n, v] >= draw of what occupies v at its last point before (u, n), unless `all_ended`:
    every batch that v started before (u, n) has ended by then. Own draw + drawn <= capacity.
    """
    network, horizon, fits = tables.network, tables.horizon, tables.fits
    drawing = [b for b in m.BATCHES if name in fits[b[:2]].utilities]
    capacity = network.utilities[name].capacity
    most = {
        unit: max(fit.draw(name, fit.max_batch) for fit in fits.values() if fit.unit == unit)
        for unit in block.UNITS
    }
    watched = [(u, n, v) for u in block.UNITS for n in m.EVENTS for v in block.UNITS if u != v]
    block.all_ended = pyo.Var(watched, domain=pyo.Binary)
    block.drawn = pyo.Var(watched, bounds=lambda b, u, n, v: (0, min(most[v], capacity)))

    def begun(b: pyo.Block, unit: str, n: int, other: str, k: int) -> pyo.Expression:
        if k not in m.EVENTS:
            return 0
        if (unit, n, other, k) in b.comes_after:
            return 1 - b.comes_after[unit, n, other, k]
        return b.comes_after[other, k, unit, n]

    @block.Constraint(watched, list(m.EVENTS))
    def ended_before(b, unit, n, other, k):
        started = tables.started(other, k)
        finish = m.unit_time[other, k] + sum(m.duration[c] for c in started)
        loose = 2 - b.all_ended[unit, n, other] - begun(b, unit, n, other, k)
        return m.unit_time[unit, n] >= finish - (horizon - m.unit_time[unit, n].lb) * loose

    @block.Constraint(watched, list(m.EVENTS))
    def drawn_while_running(b, unit, n, other, k):
        running = [c for c in drawing if c[1] == other and c[2] <= k <= c[2] + c[3]]
        draw = sum(_draw(m, fits[c[:2]], name, c) for c in running)
        last = begun(b, unit, n, other, k) - begun(b, unit, n, other, k + 1)
        loose = 1 - last + b.all_ended[unit, n, other]
        return b.drawn[unit, n, other] >= draw - most[other] * loose

    @block.Constraint(block.UNITS, list(m.EVENTS))
    def utility_capacity(b, unit, n):
        starting = [c for c in drawing if c[1] == unit and c[2] == n]
        others = [key for key in watched if key[:2] == (unit, n)]
        if not starting and not others:
            return pyo.Constraint.Skip
        own = sum(_draw(m, fits[c[:2]], name, c) for c in starting)
        return own + sum(b.drawn[key] for key in others) <= capacity
