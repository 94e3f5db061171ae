"""Which unit a demand waits for: the one of which a second copy would lower the shortfall most."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.errors import InvalidScheduleError
from stnopt.plant.checks import ReadOnlyMapping
from stnopt.scheduling.diagnosis.aggregate_balance import demand_tolerance
from stnopt.scheduling.diagnosis.shortfall import Bottleneck
from stnopt.scheduling.model import extract_schedule
from stnopt.scheduling.search.find_schedule import search_question
from stnopt.scheduling.search.incumbent import Incumbent
from stnopt.scheduling.search.limits import SearchLimits
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stnopt.plant.network import Network
    from stnopt.scheduling.diagnosis.elastic import ElasticQuestion
    from stnopt.scheduling.schedule import Schedule

#: Nodes for a schedule that is as short and less busy; the first one is kept where it takes more.
_TIDYING_NODES = 500
#: Seconds for that, where even a node takes long.
_TIDYING_LIMIT = 10.0
#: By this share of what counts as met it may miss more: a schedule's own amounts are rounded.
_ROUNDING = 1e-3


def find_bottleneck(
    question: ElasticQuestion,
    schedule: Schedule,
    *,
    n_events: int,
    max_span: int,
    more_events: Sequence[int],
    time_limit: float | None,
    relative_gap: float,
    report: Callable[[str], None],
) -> Bottleneck:
    """Double each unit and each utility, the busiest first, and see what is then missing.

    Parameters
    ----------
    question : ElasticQuestion
    schedule : Schedule
        The one that misses least, in which nothing runs without need.
    n_events, max_span : int
        On which it was found.
    more_events : sequence of int
        So many event points more are tried in turn until a second unit helps: what it brings must
        not be what more event points bring.
    time_limit : float, optional
        Seconds for all of them.
    relative_gap : float
        For each solve.
    report : callable
        Told what is being tried.
    """
    network, total = question.network, question.value_of(schedule)
    busy = _busy_times(schedule, network)
    in_turn = [*sorted(busy, key=lambda unit: -busy[unit]), *network.utilities]
    step = max(relative_gap * total, demand_tolerance(network, question.problem))
    whole = SearchLimits(time_limit=time_limit)
    n_left = len(in_turn) * len(more_events)
    for more in more_events:
        missed: dict[str, float] = {}
        bounds: dict[str, float] = {}
        for name in in_turn:
            left = whole.remaining
            found = search_question(
                replace(question, network=double(network, name)),
                SearchLimits(
                    time_limit=None if left is None else left / n_left,
                    proof_limit=0,
                    relative_gap=relative_gap,
                ),
                n_events=n_events + more,
                max_span=max_span,
                formulation="unit_events",
                report=lambda what, name=name: report(f"a second {name}: {what}"),  # type: ignore[misc]
                known_bound=0.0,
            )
            if found.stopped == "interrupted":
                raise KeyboardInterrupt
            n_left -= 1
            if found.result.objective is not None:
                missed[name] = found.result.objective
            bounds[name] = found.proof.bound or 0.0
        least = min(missed.values(), default=math.inf)
        if least < total - step:
            break
    helping = [name for name in in_turn if missed.get(name, math.inf) <= least + step]
    return Bottleneck(
        unit=helping[0] if least < total - step else None,
        busy=ReadOnlyMapping(busy),
        missed_with_second=ReadOnlyMapping(missed),
        n_events=n_events + more,
        max_span=max_span,
        is_proven=all(bound >= min(least, total) - step for bound in bounds.values()),
    )


def _busy_times(schedule: Schedule, network: Network) -> dict[str, float]:
    """Return how long each unit runs, what runs at time 0 included."""
    busy = dict.fromkeys(network.units, 0.0)
    for batch in schedule.batches:
        busy[batch.unit] += batch.finish - batch.start
    for running in schedule.start.running if schedule.start else ():
        busy[running.unit] += min(running.remaining, schedule.horizon)
    return busy


def double(network: Network, name: str) -> Network:
    """Return the plant with a second, equal copy of a unit, or with twice a utility's capacity."""
    if name not in network.units:
        utility = network.utilities[name]
        twice = replace(
            utility,
            capacity=2 * utility.capacity,
            steps=tuple((time, 2 * level) for time, level in utility.steps),
        )
        return replace(network, utilities={**network.utilities, name: twice})
    copy = f"{name} (second)"
    tasks = {
        task.name: replace(task, units={**task.units, copy: replace(task.units[name], unit=copy)})
        if name in task.units
        else task
        for task in network.tasks.values()
    }
    rules = dict(network.unit_rules)
    if name in rules:
        rules[copy] = replace(rules[name], name=copy)
    return replace(network, tasks=tasks, unit_rules=rules)


def without_idle_runs(
    question: ElasticQuestion,
    schedule: Schedule,
    *,
    n_events: int,
    max_span: int,
    relative_gap: float,
) -> Schedule:
    """Of the schedules with no more batches on any unit, and no shorter, find the least busy.

    Parameters
    ----------
    question : ElasticQuestion
    schedule : Schedule
    n_events, max_span : int
        On which it was found, or can be described.
    relative_gap : float

    Returns
    -------
    Schedule
        Replayed; the one that was given where none was found.
    """
    network = question.network
    incumbent = Incumbent(question=question, relative_gap=relative_gap)
    total = question.value_of(schedule)
    m = question.build(
        "unit_events", horizon=question.horizon, n_events=n_events, max_span=max_span
    )
    question.demand(m)
    question.require_better(m, total + _ROUNDING * demand_tolerance(network, question.problem))
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    ran = dict.fromkeys(fits, 0)
    for batch in schedule.batches:
        ran[batch.task, batch.unit] += 1

    @m.Constraint(list(fits))
    def no_more_batches(m, task, unit):
        return m.n_batches[task, unit] <= ran[task, unit]

    m.objective = pyo.Objective(
        expr=sum(
            fit.fixed_time * m.n_batches[key] + fit.time_per_amount * m.total_size[key]
            for key, fit in fits.items()
        )
    )
    result = solve(
        m, time_limit=_TIDYING_LIMIT, relative_gap=relative_gap, node_limit=_TIDYING_NODES
    )
    if not result.has_solution:
        return schedule
    try:
        valued = incumbent.valued(extract_schedule(m, network))
    except InvalidScheduleError:
        return schedule
    return schedule if valued is None or valued[1] > total else valued[0]
