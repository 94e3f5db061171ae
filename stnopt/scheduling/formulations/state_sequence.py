"""The paper's own model: which state enters which unit at which event (docs/paper.md, eq. 1-8).

A task is known by its effective state, one of the states that it takes. Binaries say that a unit
starts to use it, amounts say how much of it enters, and times when it enters and when what becomes
of it leaves. Where the printed equations cannot be meant they are corrected, and a batch may stay
in its unit over `max_span` further events (docs/formulation.md, eq. P1-P12).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.contract import Formulation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.network import Network
    from stnopt.scheduling.formulations.given import Given

#: Names of the rules that eq. 1-8 express; capacities at the events only.
SUPPORTS = frozenset({"storage", "release_time", "size_dependent_time"})


def build_state_sequence_model(
    network: Network, *, horizon: float, n_events: int, max_span: int, given: Given | None = None
) -> tuple[pyo.ConcreteModel, None]:
    """Build variables and constraints; objective and targets come from `stnopt.scheduling.model`.

    Storage is balanced and limited at the events only (eq. 4 and 8).

    Raises
    ------
    UnsupportedModelError
        The plant has rules that these equations cannot express.

    References
    ----------
    Kumawat & Chaturvedi (2021), Chem. Eng. Trans. 88, 451, doi:10.3303/CET2188075, eq. 1-8;
    Majozi & Zhu (2001), Ind. Eng. Chem. Res. 40, 5935 (state sequence network); Janak, Lin &
    Floudas (2004), Ind. Eng. Chem. Res. 43, 2516, doi:10.1021/ie0341597 (starts and ends apart).
    """
    m = pyo.ConcreteModel(name=network.name)
    _add_variables(m, network, horizon, n_events, max_span)
    _add_allocation(m)
    _add_batch_sizes(m, network)
    _add_unit_balances(m, network)
    _add_stays(m, network, max_span)
    _add_state_balances(m, network)
    _add_processing_times(m, network, horizon, max_span)
    _add_sequences(m, network, horizon)
    return m, None  # nothing is looked up later


def effective_state(network: Network, task: str) -> str:
    """Return the state by which a task is known: of those it takes, the one with most of a batch.

    Its amount decides the amounts of all others. (Largest share: least rounding.)
    """
    shares = network.tasks[task].consumes
    return max(shares, key=lambda state: shares[state])


def _add_variables(
    m: pyo.ConcreteModel, network: Network, horizon: float, n_events: int, max_span: int
) -> None:
    """Declare the paper's y, m, T_p and q, each bounded, and what stays in a unit over an event.

    States enter at EVENTS and leave at EXITS, one later at least. `use`, `taken`, `entry_time` and
    `exit_time` speak of the task's effective state, `given` of all that it becomes.
    """
    m.ENTRIES = pyo.Set(dimen=2, initialize=[(fit.task, fit.unit) for fit in network.suitabilities])
    m.EVENTS = pyo.RangeSet(0, n_events - 1)
    m.EXITS = pyo.RangeSet(1, n_events)
    m.STAYS = pyo.RangeSet(0, n_events - 2) if max_span else pyo.Set(initialize=[])
    m.STORED = pyo.Set(initialize=[s.name for s in network.states.values() if not s.unlimited])
    shares = {
        task: network.tasks[task].consumes[effective_state(network, task)] for task in network.tasks
    }
    largest = {(fit.task, fit.unit): fit.max_batch for fit in network.suitabilities}

    m.use = pyo.Var(m.ENTRIES, m.EVENTS, domain=pyo.Binary)
    m.taken = pyo.Var(
        m.ENTRIES,
        m.EVENTS,
        bounds=lambda m, task, unit, _: (0, shares[task] * largest[task, unit]),
    )
    m.given = pyo.Var(m.ENTRIES, m.EXITS, bounds=lambda m, task, unit, _: (0, largest[task, unit]))
    m.stay = pyo.Var(m.ENTRIES, m.STAYS, domain=pyo.Binary)
    m.inside = pyo.Var(m.ENTRIES, m.STAYS, bounds=lambda m, task, unit, _: (0, largest[task, unit]))
    m.entry_time = pyo.Var(m.ENTRIES, m.EVENTS, bounds=(0.0, horizon))  # eq. 7
    m.exit_time = pyo.Var(m.ENTRIES, m.EXITS, bounds=(0.0, horizon))
    m.stored = pyo.Var(
        m.STORED, [0, *m.EXITS], bounds=lambda m, state, n: (0, _most_stored(network, state, n))
    )
    m.latest_finish = pyo.Var(bounds=(0.0, horizon))
    m.latest_finish.fix(horizon)

    @m.Expression(m.ENTRIES, m.EVENTS)
    def batch(m, task, unit, n):
        return m.taken[task, unit, n] / shares[task]

    @m.Expression(m.ENTRIES, m.EVENTS)
    def running(m, task, unit, n):
        stayed = m.stay[task, unit, n - 1] if n - 1 in m.STAYS else 0
        return m.use[task, unit, n] + stayed

    @m.Expression(m.ENTRIES, m.EXITS)
    def ends(m, task, unit, n):
        stays = m.stay[task, unit, n - 1] if n - 1 in m.STAYS else 0
        return m.running[task, unit, n - 1] - stays

    @m.Expression(m.ENTRIES)
    def total_size(m, task, unit):
        return sum(m.batch[task, unit, n] for n in m.EVENTS)

    @m.Expression(m.ENTRIES)
    def n_batches(m, task, unit):
        return sum(m.use[task, unit, n] for n in m.EVENTS)


def _most_stored(network: Network, state: str, n: int) -> float:
    """Bound a storage: its capacity and a finished batch in every unit that makes the state.

    Without a capacity: all that these units can have made by then (eq. P8, the paper's 8).
    """
    per_event, held = sum(network.most_made(state).values()), network.states[state]
    return min(held.initial + n * per_event, held.capacity + per_event)


def _on(m: pyo.ConcreteModel, unit: str) -> list[tuple[str, str]]:
    return [entry for entry in m.ENTRIES if entry[1] == unit]


def _add_allocation(m: pyo.ConcreteModel) -> None:
    """Sum over the states that a unit can use of running <= 1 (eq. P1, the paper's 1)."""
    units = sorted({unit for _, unit in m.ENTRIES})

    @m.Constraint(units, m.EVENTS)
    def one_state_at_a_time(m, unit, n):
        return sum(m.running[entry, n] for entry in _on(m, unit)) <= 1


def _add_batch_sizes(m: pyo.ConcreteModel, network: Network) -> None:
    """min_batch * use <= taken / share <= max_batch * use (eq. P2, the paper's 2)."""
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}

    @m.Constraint(m.ENTRIES, m.EVENTS)
    def enough_for_smallest(m, task, unit, n):
        if fits[task, unit].min_batch == 0:
            return pyo.Constraint.Skip
        return m.batch[task, unit, n] >= fits[task, unit].min_batch * m.use[task, unit, n]

    @m.Constraint(m.ENTRIES, m.EVENTS)
    def fits_largest(m, task, unit, n):
        return m.batch[task, unit, n] <= fits[task, unit].max_batch * m.use[task, unit, n]


def _add_unit_balances(m: pyo.ConcreteModel, network: Network) -> None:
    """Batch entered + inside before = given + inside after (eq. P3, the paper's 3)."""

    @m.Constraint(m.ENTRIES, m.EVENTS)
    def unit_balance(m, task, unit, n):
        before = m.inside[task, unit, n - 1] if n - 1 in m.STAYS else 0
        after = m.inside[task, unit, n] if n in m.STAYS else 0
        return m.batch[task, unit, n] + before == m.given[task, unit, n + 1] + after


def _add_stays(m: pyo.ConcreteModel, network: Network, max_span: int) -> None:
    """Tie stays to batches: only what runs can stay, for so many events (eq. P9-P12).

    stay[n] <= running[n];  sum of stay over max_span + 1 events in a row <= max_span
    inside[n] <= max_batch * stay[n];  given[n] <= max_batch * ends[n]
    """
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}

    @m.Constraint(m.ENTRIES, m.STAYS)
    def only_what_runs_stays(m, task, unit, n):
        return m.stay[task, unit, n] <= m.running[task, unit, n]

    @m.Constraint(m.ENTRIES, m.STAYS)
    def longest_stay(m, task, unit, n):
        in_a_row = range(n, n + max_span + 1)
        if in_a_row[-1] not in m.STAYS:
            return pyo.Constraint.Skip
        return sum(m.stay[task, unit, k] for k in in_a_row) <= max_span

    @m.Constraint(m.ENTRIES, m.STAYS)
    def inside_only_if_it_stays(m, task, unit, n):
        return m.inside[task, unit, n] <= fits[task, unit].max_batch * m.stay[task, unit, n]

    @m.Constraint(m.ENTRIES, m.EXITS if max_span else [])
    def leaves_only_at_its_end(m, task, unit, n):
        return m.given[task, unit, n] <= fits[task, unit].max_batch * m.ends[task, unit, n]


def _leaving(
    m: pyo.ConcreteModel, network: Network, state: str, entry: tuple[str, str], n: int
) -> tuple[pyo.Expression, pyo.Expression, pyo.Expression]:
    """Return the batch amount that gives a state at n, whether there is one, and the time.

    A state with a release time leaves at the next event, however long its batch stays.
    """
    release = network.tasks[entry[0]].units[entry[1]].release_time
    if state not in release:
        return m.given[entry, n], m.ends[entry, n], m.exit_time[entry, n]
    started = m.use[entry, n - 1]
    return m.batch[entry, n - 1], started, m.entry_time[entry, n - 1] + release[state] * started


def _add_state_balances(m: pyo.ConcreteModel, network: Network) -> None:
    """Keep stored = before + what leaves units - what enters them (eq. P4, the paper's 4)."""
    tasks = network.tasks

    @m.Constraint(m.STORED, [0, *m.EXITS])
    def state_balance(m, state, n):
        before = m.stored[state, n - 1] if n > 0 else network.states[state].initial
        made = sum(
            tasks[task].produces[state] * _leaving(m, network, state, (task, unit), n)[0]
            for task, unit in m.ENTRIES
            if n in m.EXITS and state in tasks[task].produces
        )
        used = sum(
            tasks[task].consumes[state] * m.batch[task, unit, n]
            for task, unit in m.ENTRIES
            if n in m.EVENTS and state in tasks[task].consumes
        )
        return m.stored[state, n] == before + made - used


def _add_processing_times(
    m: pyo.ConcreteModel, network: Network, horizon: float, max_span: int
) -> None:
    """Exit >= entry + processing time, unless it stays (eq. P5 and P7, the paper's 5 and 7).

    exit_time[k + 1] >= entry_time[n] + fixed_time * use[n] + time_per_amount * batch[n]
    - horizon * stay[k] for the events k from n to n + max_span.
    """
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}

    @m.Constraint(m.ENTRIES, [(n, k) for n in m.EVENTS for k in m.EVENTS if 0 <= k - n <= max_span])
    def exit_after_processing(m, task, unit, n, k):
        fit = fits[task, unit]
        processing = fit.fixed_time * m.use[task, unit, n]
        processing += fit.time_per_amount * m.batch[task, unit, n]
        stays = horizon * m.stay[task, unit, k] if k in m.STAYS else 0
        return m.exit_time[task, unit, k + 1] >= m.entry_time[task, unit, n] + processing - stays

    @m.Constraint(m.ENTRIES)
    def exit_in_time(m, task, unit):
        return m.exit_time[task, unit, m.EXITS.last()] <= m.latest_finish


def _add_sequences(m: pyo.ConcreteModel, network: Network, horizon: float) -> None:
    """Entry >= exit from the same unit, and of what is needed (eq. P6, the paper's 6).

    entry_time[i, j, n] >= exit_time[i', j, n] on one unit;
    entry_time[i, j, n] >= exit_time[i', j', k] - horizon * (2 - use[i, j, n] - ends[i', j', k])
    for k <= n where i' on another unit j' makes a state that i takes (`_leaving`).
    """
    limited = set(m.STORED)
    pairs = list(product(m.ENTRIES, m.ENTRIES))

    @m.Constraint(
        [
            (*consumer, *producer, n)
            for consumer, producer in pairs
            for n in m.EVENTS
            if consumer[1] == producer[1] and n in m.EXITS
        ]
    )
    def unit_in_order(m, task, unit, previous, _, n):
        return m.entry_time[task, unit, n] >= m.exit_time[previous, unit, n]

    tasks = network.tasks

    @m.Constraint(
        [
            (*consumer, n, *producer, k, state)
            for consumer, producer in pairs
            if consumer[1] != producer[1]
            for state in tasks[consumer[0]].consumes
            if state in limited and state in tasks[producer[0]].produces
            for n in m.EVENTS
            for k in m.EXITS
            if k <= n
        ]
    )
    def used_after_made(m, task, unit, n, producer, other, k, state):
        _, made, when = _leaving(m, network, state, (producer, other), k)
        return m.entry_time[task, unit, n] >= when - horizon * (2 - m.use[task, unit, n] - made)


def free_makespan(m: pyo.ConcreteModel) -> None:
    """Let the schedule end before the horizon, for an objective or a limit on the makespan."""
    m.latest_finish.unfix()


def read_runs(m: pyo.ConcreteModel) -> dict[tuple[str, str, int, int], tuple[float, float]]:
    """Read start and size of every batch that runs, empty ones too, by its event and span."""
    runs = {}
    for task, unit, n in m.use:
        if m.use[task, unit, n].value > 0.5:
            span = 0
            while n + span in m.STAYS and m.stay[task, unit, n + span].value > 0.5:
                span += 1
            start, size = m.entry_time[task, unit, n].value, pyo.value(m.batch[task, unit, n])
            runs[task, unit, n, span] = (max(0.0, start), max(0.0, size))
    return runs


def set_structure(
    m: pyo.ConcreteModel, runs: Mapping[tuple[str, str, int, int], tuple[float, float]]
) -> None:
    """Let exactly these batches run."""
    for binary in (*m.use.values(), *m.stay.values()):
        binary.set_value(0)
    for task, unit, n, span in runs:
        m.use[task, unit, n].set_value(1)
        for k in range(n, n + span):
            m.stay[task, unit, k].set_value(1)


FORMULATION = Formulation(
    name="state_sequence",
    supports=SUPPORTS,
    build=build_state_sequence_model,
    free_makespan=free_makespan,
    read_runs=read_runs,
    set_structure=set_structure,
)
