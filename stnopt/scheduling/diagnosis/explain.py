"""Why a demand cannot be met, in the plant's words: how short, for want of what, and from when not.

Three questions, each a MILP with its own proof. *How short?* The demand is made elastic and the
total shortfall minimised. *For want of what?* First what no schedule can help (materials, storage,
batch sizes, hours of a unit: sums over the whole horizon, without event points), then the unit of
which a second copy would help most. *From when?* The shortest makespan that meets the demand.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

import pyomo.environ as pyo
from tqdm import tqdm

from stnopt.arguments import (
    BY_NAME,
    COUNT,
    GAP,
    POSITIVE,
    SECONDS,
    TRUTH,
    WHOLE,
    a,
    as_tuple,
    check_arguments,
    many,
    one_of,
    optional,
)
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.plant.checks import ReadOnlyMapping
from stnopt.plant.network import Network
from stnopt.plant.problem import Delivery, Problem, Sense
from stnopt.scheduling.checks import check_deliveries
from stnopt.scheduling.diagnosis.aggregate_balance import (
    Demand,
    add_elastic_demand,
    check_demand,
    find_reasons,
    missing_in_sums,
    shortest_in_sums,
)
from stnopt.scheduling.diagnosis.shortfall import Bottleneck, FeasibleFrom, Shortfall
from stnopt.scheduling.formulations.interval_relaxation import count_intervals
from stnopt.scheduling.model import (
    build_relaxation,
    build_scheduling_model,
    extract_schedule,
    read_runs,
    require_deliveries,
    set_structure,
)
from stnopt.scheduling.search.fewest_events import fewest_events
from stnopt.scheduling.search.find_schedule import find_in_window
from stnopt.scheduling.search.horizon import feasibility_windows, latest_date
from stnopt.scheduling.search.limits import SearchLimits
from stnopt.solvers.solve import SolveResult, Status, solve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stnopt.scheduling.model import Runs
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.result import ScheduleSearch

#: Seconds for a schedule that is as short and less busy; the first one is kept where it takes more.
_TIDYING_LIMIT = 10.0
#: So many event points more must bring nothing before the search for the least shortfall ends.
_FRUITLESS_EVENTS = 2
#: Seconds for the model without event points: half of what a time limit leaves; without one, so
#: many, or three times what the search took before. More intervals than this are not tried.
_LEAST_PROOF_LIMIT = 20.0
#: Seconds to prove the horizon for any schedule: a short look, for `find_schedule` can do more.
_HORIZON_PROOF_LIMIT = 5.0
_MOST_INTERVALS = 200
#: Windows between periods away that are asked for a horizon: more are not tried.
_MOST_WINDOWS = 12


def explain_infeasible(
    network: Network,
    targets: Mapping[str, float] | Problem | None = None,
    *,
    problem: Problem | None = None,
    horizon: float | None = None,
    sense: Literal["at_least", "exactly"] = "at_least",
    deliveries: Iterable[Delivery] = (),
    n_events: int | None = None,
    max_span: int | None = None,
    time_limit: float | None = None,
    relative_gap: float = 1e-4,
    progress: bool = False,
) -> Shortfall:
    """Explain why a plant cannot meet a demand within a horizon.

    Parameters
    ----------
    network : Network
    targets : mapping of str to float, amount, or Problem
        What the schedule should end with; or all of it as a problem.
    problem : Problem, optional
        In place of targets, horizon, sense and deliveries. Its objective does not count.
    horizon : float
        In the plant's time unit.
    sense : {"at_least", "exactly"}
    deliveries : iterable of Delivery
        Amounts that must leave the plant at given times; only the targets are elastic.
    n_events, max_span : int, optional
        Fix what the search would choose: it adds event points, then spans, while that lowers the
        shortfall, until a model without event points shows that nothing does. Given both, that
        model is left out.
    time_limit : float, optional
        Seconds for each of the three questions: how short, which unit, from when.
    relative_gap : float
        For each solve.
    progress : bool
        Show what is being asked, and how many solves it took.

    Returns
    -------
    Shortfall
        `str()` of it is the answer in words.

    Raises
    ------
    InvalidInputError
        A state that the plant does not have or has without limit, an amount that is no demand, or
        a horizon that is not positive.
    UnsupportedModelError
        A problem with orders.

    Notes
    -----
    *The bottleneck* is the unit of which a second copy, equal to the first, lowers the least total
    shortfall most, found by solving the elastic model again with each unit doubled, on the event
    points of the schedule that is least short. A dual value of the relaxation without integers
    would say what an hour more is worth to the relaxation, which meets many demands that no
    schedule does; and how busy a unit is says little by itself: a unit may be busy with what
    nobody needs, and one that waits for another is not what the demand waits for.

    *Reasons* come from sums over the whole horizon, without event points: what goes in and out of
    every state, whole batches within their sizes, and the hours of each unit. Every schedule obeys
    them, so what they forbid no schedule does.

    *The busy time* is that of a schedule in which nothing runs that the least shortfall does not
    need: with the batches given, the total time that units run is minimised.
    """
    deliveries = as_tuple(deliveries)
    check_arguments(
        network=(network, Network),
        targets=(targets, optional(a(Problem) if isinstance(targets, Problem) else BY_NAME)),
        problem=(problem, optional(Problem)),
        horizon=(horizon, optional(POSITIVE)),
        sense=(sense, one_of(get_args(Sense))),
        deliveries=(deliveries, many(Delivery)),
        n_events=(n_events, optional(COUNT)),
        max_span=(max_span, optional(WHOLE)),
        time_limit=(time_limit, SECONDS),
        relative_gap=(relative_gap, GAP),
        progress=(progress, TRUTH),
    )
    if isinstance(targets, Problem):
        targets, problem = None, targets
    if problem is not None:
        if targets or deliveries or horizon is not None:
            raise InvalidInputError(
                "explain_infeasible: give a problem, or targets, horizon and deliveries, not both"
            )
        if problem.orders:
            raise UnsupportedModelError(
                "explain_infeasible has no words for orders yet: find_schedule with objective "
                "'tardiness' says which are late or missing"
            )
        targets, horizon, sense = problem.targets, problem.horizon, problem.sense
        deliveries = problem.deliveries
    if horizon is None or not (math.isfinite(horizon) and horizon > 0):
        raise InvalidInputError(f"horizon must be a positive number, got {horizon}")
    targets = targets or {}
    if not (targets or deliveries):
        raise InvalidInputError("explain_infeasible needs targets: nothing is always possible")
    if sense not in ("at_least", "exactly"):
        raise InvalidInputError(f"unknown sense {sense!r}; expected 'at_least' or 'exactly'")
    check_demand(network, targets)
    check_deliveries(network, deliveries, horizon=horizon)
    demand = Demand(
        network=network,
        targets={state: float(amount) for state, amount in targets.items()},
        sense=sense,
        horizon=float(horizon),
        relative_gap=relative_gap,
        deliveries=deliveries,
    )
    with tqdm(unit="solve", disable=not progress, leave=False) as bar:
        bar.set_description("what no schedule can help")
        missing_ever = missing_in_sums(demand, math.inf)
        missing_any = max(missing_in_sums(demand, demand.horizon), missing_ever)
        reasons = tuple(find_reasons(demand))
        attempts = _Attempts(demand=demand, least_any=missing_any, limit=time_limit, bar=bar)
        attempts.run(n_events, max_span)
        missing_any = attempts.least_any
        best = attempts.best or attempts.last
        schedule = None if best.model is None else _without_idle_runs(demand, best)
        short, over = _missed(demand, schedule)
        total = math.fsum([*short.values(), *over.values()])
        bottleneck = None
        helped = any(reason.kind != "route_time" for reason in reasons) or not reasons
        if helped and schedule is not None and total > missing_ever + demand.tolerance:
            bottleneck = _find_bottleneck(
                demand,
                best,
                schedule,
                # What a second unit brings must not be what more event points bring.
                more_events=[
                    more
                    for more in ((1, 2) if n_events is None else ())
                    if attempts.covers(best.n_events + more, best.max_span)
                ]
                or [0],
                time_limit=time_limit,
                bar=bar,
            )
        feasible_from = due = None
        if schedule is None and deliveries:
            due = _find_late_delivery(demand, n_events, max_span, time_limit)
        if due is None and (schedule is None or total > 0) and missing_ever <= demand.tolerance:
            bar.set_description("from which horizon")
            feasible_from = _find_horizon(demand, n_events, max_span, time_limit)
    return Shortfall(
        targets=ReadOnlyMapping(demand.targets),
        sense=sense,
        deliveries=deliveries,
        due=due,
        horizon=demand.horizon,
        amount_unit=network.amount_unit,
        time_unit=network.time_unit,
        reasons=reasons,
        schedule=schedule,
        short=ReadOnlyMapping(short),
        over=ReadOnlyMapping(over),
        n_events=best.n_events,
        max_span=best.max_span,
        bound=attempts.bound,
        bound_any=missing_any,
        bound_ever=missing_ever,
        settled=_widest(attempts.settled),
        bottleneck=bottleneck,
        feasible_from=feasible_from,
    )


# --- How short -----------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One solve of the elastic model."""

    model: pyo.ConcreteModel | None  # None: it holds no solution
    result: SolveResult
    n_events: int
    max_span: int

    @property
    def total(self) -> float:
        return math.inf if self.result.objective is None else self.result.objective


def _solve_elastic(
    demand: Demand,
    n_events: int,
    max_span: int,
    *,
    better_than: float = math.inf,
    start_from: Runs | None = None,
    time_limit: float | None = None,
) -> _Attempt:
    """Minimise the total shortfall on some event points, if it is below a limit."""
    m = build_scheduling_model(
        demand.network, horizon=demand.horizon, n_events=n_events, max_span=max_span
    )
    if demand.deliveries:
        require_deliveries(m, demand.deliveries)
    add_elastic_demand(m, demand)
    if better_than < math.inf:
        m.better = pyo.Constraint(expr=m.missed <= better_than)
    m.least_missed = pyo.Objective(expr=m.missed)
    if start_from is not None:
        set_structure(m, start_from)
    result = solve(
        m,
        time_limit=time_limit,
        relative_gap=demand.relative_gap,
        warm_start=start_from is not None,
    )
    return _Attempt(
        model=m if result.has_solution else None,
        result=result,
        n_events=n_events,
        max_span=max_span,
    )


@dataclass(slots=True, kw_only=True)
class _Attempts:
    """The solves that look for the least shortfall: more events while they help, then spans."""

    demand: Demand
    least_any: float
    limit: float | None
    bar: tqdm
    best: _Attempt | None = None
    last: _Attempt = field(init=False)
    bound: float | None = None
    settled: list[tuple[int, int]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @property
    def finished(self) -> bool:
        if self.least_any == math.inf:
            return True
        if self.best is not None and self.best.total <= self.least_any + 2 * self._step:
            return True
        return self.limit is not None and time.perf_counter() - self.started >= self.limit

    @property
    def _step(self) -> float:
        """Least decrease of the shortfall that counts."""
        total = 0.0 if self.best is None else self.best.total
        return max(self.demand.relative_gap * total, self.demand.tolerance)

    def _beyond_rounding(self, bound: float) -> float:
        """Return a bound of the shortfall; 0 where it may be rounding and proves nothing."""
        return bound if bound > self.demand.tolerance else 0.0

    def run(self, n_events: int | None, max_span: int | None) -> None:
        """Add events until two more do not help, and lengthen spans, until the bound is reached."""
        network = self.demand.network
        start = n_events or fewest_events(
            network, {s: 1.0 for s in network.states if network.producers(s)}
        )
        n, span = start, max_span or 0
        self.solve(n, span)
        more = fruitless = 0
        while not self.finished:
            more += 1
            if n_events is None and self.solve(n + more, span):
                n, more, fruitless = n + more, 0, 0
                continue
            if more == 1 and (n_events is None or max_span is None):
                self.ask_without_events()
            longer = () if max_span is not None or more > 1 else range(span + 1, min(span + 3, n))
            better = next((s for s in longer if not self.finished and self.solve(n, s)), None)
            if better is not None:
                span, more = better, 0
                continue
            # Without any schedule the event points are too few for what the plant must do.
            fruitless += 1
            enough = _FRUITLESS_EVENTS if self.best is not None else start + 2
            if n_events is not None or fruitless >= enough:
                return

    def covers(self, n_events: int, max_span: int) -> bool:
        """Whether it is proven that nothing better exists on some event points."""
        if self.best is not None and self.best.total <= self.least_any + 2 * self._step:
            return True
        return any(n >= n_events and span >= max_span for n, span in self.settled)

    def ask_without_events(self) -> None:
        """Ask a relaxation in intervals, which knows no event points, for less than the best."""
        demand = self.demand
        if self.finished or count_intervals(demand.network, demand.horizon) > _MOST_INTERVALS:
            return
        self.bar.set_description("how short, whatever the event points")
        limit = max(_LEAST_PROOF_LIMIT, 3 * (time.perf_counter() - self.started))
        if self.limit is not None:
            left = self.limit - (time.perf_counter() - self.started)
            limit = max(left / 2, 0.01)
        m = build_relaxation(demand.network, horizon=demand.horizon)
        if demand.deliveries:
            require_deliveries(m, demand.deliveries)
        add_elastic_demand(m, demand)
        less = math.inf if self.best is None else max(self.best.total - self._step, 0.0)
        if less < math.inf:
            m.better = pyo.Constraint(expr=m.missed <= less)
        m.least_missed = pyo.Objective(expr=m.missed)
        result = solve(m, time_limit=limit, relative_gap=demand.relative_gap)
        self.bar.update()
        if result.status is Status.INFEASIBLE:
            self.least_any = less
        elif result.bound is not None:
            self.least_any = max(self.least_any, self._beyond_rounding(result.bound))

    def solve(self, n_events: int, max_span: int) -> bool:
        """Look for a smaller shortfall; say whether there is one."""
        self.bar.set_description(f"how short, {n_events} event points, span {max_span}")
        remaining = None
        if self.limit is not None:
            remaining = max(self.limit - (time.perf_counter() - self.started), 0.01)
        limit = math.inf if self.best is None else self.best.total - self._step
        self.last = _solve_elastic(
            self.demand, n_events, max_span, better_than=limit, time_limit=remaining
        )
        self.bar.update()
        gains = self.last.model is not None and self.last.total <= limit + self._step / 2
        if gains:
            self.best, self.settled = self.last, []
        if gains or self.best is None:
            bound = self.last.result.bound
            self.bound = None if bound is None else self._beyond_rounding(bound)
        if self.last.result.status in (Status.OPTIMAL, Status.INFEASIBLE):
            self.settled.append((n_events, max_span))
        return gains


def _widest(settled: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Leave out event points and spans that others cover."""
    return tuple(
        (n, span)
        for n, span in settled
        if not any(m >= n and s >= span and (m, s) != (n, span) for m, s in settled)
    )


def _missed(demand: Demand, schedule: Schedule | None) -> tuple[dict[str, float], dict[str, float]]:
    """Return by how much a schedule misses and exceeds each target; rounding is nothing."""
    if schedule is None:
        return {}, {}
    exact = demand.sense == "exactly"
    less = {s: amount - schedule.final_stock[s] for s, amount in demand.targets.items()}
    short = {s: amount for s, amount in less.items() if amount > demand.tolerance_of(s)}
    return short, {s: -a for s, a in less.items() if exact and -a > demand.tolerance_of(s)}


def _without_idle_runs(demand: Demand, attempt: _Attempt) -> Schedule:
    """Of the schedules with the same batches or fewer, and no shorter, the least busy."""
    m, network = attempt.model, demand.network
    assert m is not None
    schedule = extract_schedule(m, network)
    for var in m.component_data_objects(pyo.Var, active=True):
        if var.is_binary() and not var.fixed and var.value is not None and var.value < 0.5:
            var.fix(0)
    m.least_missed.deactivate()
    m.as_short = pyo.Constraint(expr=m.missed <= max(attempt.total, 0.0))
    m.least_busy = pyo.Objective(
        expr=sum(
            fit.fixed_time * m.n_batches[fit.task, fit.unit]
            + fit.time_per_amount * m.total_size[fit.task, fit.unit]
            for fit in network.suitabilities
        )
    )
    result = solve(m, time_limit=_TIDYING_LIMIT, relative_gap=demand.relative_gap)
    return extract_schedule(m, network) if result.has_solution else schedule


def _find_late_delivery(
    demand: Demand, n_events: int | None, max_span: int | None, time_limit: float | None
) -> Shortfall | None:
    """Find the first due time by which the plant cannot have made all that is due by then.

    What was delivered earlier no longer takes storage, so that the states that are delivered have
    room without limit: what is short even then is short.
    """
    network = demand.network
    states = {
        name: replace(state, capacity=math.inf) if name in demand.delivered else state
        for name, state in network.states.items()
    }
    for due in sorted({delivery.time for delivery in demand.deliveries}):
        by_then = replace(
            demand, deliveries=tuple(d for d in demand.deliveries if d.time <= due)
        ).delivered
        if due == 0:
            continue  # nothing can be made by then; the stock is for the sums to judge
        found = explain_infeasible(
            replace(network, states=states),
            by_then,
            horizon=due,
            n_events=n_events,
            max_span=max_span,
            time_limit=time_limit,
            relative_gap=demand.relative_gap,
        )
        if found.bound_any > demand.tolerance or (found.total or 0) > 0:
            same = all(network.states[name].capacity == math.inf for name in by_then)
            return found if same else replace(found, feasible_from=None)
    return None


# --- For want of what: a unit --------------------------------------------------------------------


def _find_bottleneck(
    demand: Demand,
    best: _Attempt,
    schedule: Schedule,
    *,
    more_events: list[int],
    time_limit: float | None,
    bar: tqdm,
) -> Bottleneck:
    """Double each unit and each utility, the busiest first, and see what is then missing."""
    busy = dict.fromkeys(demand.network.units, 0.0)
    for batch in schedule.batches:
        busy[batch.unit] += batch.finish - batch.start
    in_turn = [*sorted(busy, key=lambda unit: -busy[unit]), *demand.network.utilities]
    step = max(demand.relative_gap * best.total, demand.tolerance)
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    n_left = len(in_turn) * len(more_events)
    runs = read_runs(best.model)  # a schedule of the doubled plant as well
    for more in more_events:
        missed: dict[str, float] = {}
        bounds: dict[str, float] = {}
        for name in in_turn:
            bar.set_description(f"which unit, a second {name}")
            attempt = _solve_elastic(
                replace(demand, network=double(demand.network, name)),
                best.n_events + more,
                best.max_span,
                start_from=runs,
                time_limit=None
                if deadline is None
                else max((deadline - time.perf_counter()) / n_left, 0.01),
            )
            n_left -= 1
            bar.update()
            if attempt.model is not None:
                missed[name] = max(attempt.total, 0.0)
            bounds[name] = attempt.result.bound or 0.0
        least = min(missed.values(), default=math.inf)
        if least < best.total - step:
            break
    helping = [name for name in in_turn if missed.get(name, math.inf) <= least + step]
    return Bottleneck(
        unit=helping[0] if least < best.total - step else None,
        busy=ReadOnlyMapping(busy),
        missed_with_second=ReadOnlyMapping(missed),
        n_events=best.n_events + more,
        max_span=best.max_span,
        is_proven=all(bound >= min(least, best.total) - step for bound in bounds.values()),
    )


def double(network: Network, name: str) -> Network:
    """Return the plant with a second, equal copy of a unit, or with twice a utility's capacity."""
    if name not in network.units:
        utility = network.utilities[name]
        twice = replace(utility, capacity=2 * utility.capacity)
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


# --- From when -----------------------------------------------------------------------------------


def _find_horizon(
    demand: Demand, n_events: int | None, max_span: int | None, time_limit: float | None
) -> FeasibleFrom:
    """Find the horizons within which the demand can be met, and bound the shortest.

    Between the starts of periods away a longer horizon is never worse: each of these windows has a
    shortest makespan of its own. A search takes no target for what no task makes: then the sums
    alone answer.
    """
    shortest = shortest_in_sums(demand)
    if not all(demand.network.producers(state) for state in demand.targets):
        return FeasibleFrom(
            horizon=None,
            schedule=None,
            n_events=0,
            max_span=0,
            bound=None,
            bound_any=shortest,
            is_proven=False,
        )
    problem = Problem(
        objective="makespan",
        targets=demand.targets,
        sense=demand.sense,
        deliveries=demand.deliveries,
    )
    windows = feasibility_windows(demand.network, math.inf)
    windows = [w for w in windows if w[1] > max(shortest * (1 - 1e-9), latest_date(problem))]
    started, n_left = time.perf_counter(), min(len(windows), _MOST_WINDOWS)
    feasible: list[tuple[float, float]] = []
    answers: list[tuple[float, ScheduleSearch]] = []  # from which horizon, and how
    settled = True
    for after, up_to in windows[:_MOST_WINDOWS]:
        left = None
        if time_limit is not None:
            left = max((time_limit - (time.perf_counter() - started)) / n_left, 0.01)
        n_left -= 1
        found = find_in_window(
            demand.network,
            problem,
            after=after,
            up_to=up_to,
            n_events=n_events,
            max_span=max_span,
            limits=SearchLimits(
                time_limit=left,
                proof_limit=_HORIZON_PROOF_LIMIT,
                relative_gap=demand.relative_gap,
            ),
        )
        if found.stopped == "interrupted":
            raise KeyboardInterrupt  # which horizons are long enough is not known
        if found.schedule is None:
            settled = settled and found.result.status is Status.INFEASIBLE
            answers.append((math.inf, found))
            continue
        start = max(max((b.finish for b in found.schedule.batches), default=0.0), after)
        answers.append((start, found))
        if feasible and feasible[-1][1] >= start:
            feasible[-1] = (feasible[-1][0], up_to)
        else:
            feasible.append((start, up_to))
    # The next one that is long enough; where the horizon is longer than all, the first.
    longer = [(h, f) for h, f in answers if math.isfinite(h) and h > demand.horizon]
    horizon, found = longer[0] if longer else answers[0]
    first = found is answers[0][1]
    bound_any = (found.proof.any_schedule_bound or 0.0) if first else 0.0
    makespan = horizon if found.schedule is not None else None
    return FeasibleFrom(
        horizon=makespan,
        schedule=found.schedule,
        n_events=found.n_events,
        max_span=found.max_span,
        bound=found.proof.bound if found.result.status is not Status.INFEASIBLE else None,
        bound_any=max(shortest, bound_any),
        is_proven=found.result.status is Status.OPTIMAL and settled,
        windows=tuple(feasible),
    )
