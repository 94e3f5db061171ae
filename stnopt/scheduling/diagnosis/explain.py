"""Why a problem cannot be met, in the plant's words: how short, for want of what, from when not.

Three questions, each put to the search that finds schedules. *How short?* The targets are made
elastic and the total shortfall minimised; orders are served with the least missing, then the least
late. *For want of what?* First what no schedule can help (materials, storage, batch sizes, hours of
a unit: sums over the whole horizon, without event points), then the unit of which a second copy
would help most, or that an order waits for. *From when?* The shortest makespan that meets it all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tqdm import tqdm

from stnopt.errors import InvalidInputError
from stnopt.plant.checks import ReadOnlyMapping
from stnopt.plant.problem import Problem
from stnopt.plant.state import PlantState, check_state
from stnopt.plant.tolerance import SHARE
from stnopt.scheduling.checks import check_deliveries, check_orders
from stnopt.scheduling.diagnosis.aggregate_balance import (
    check_demand,
    delivered_in_all,
    demand_tolerance,
    missing_in_sums,
    plant_at_rest,
    with_orders_delivered,
)
from stnopt.scheduling.diagnosis.bottleneck import find_bottleneck, without_idle_runs
from stnopt.scheduling.diagnosis.elastic import ElasticQuestion
from stnopt.scheduling.diagnosis.feasible_from import find_feasible_horizon
from stnopt.scheduling.diagnosis.late_orders import describe_order, find_late_orders
from stnopt.scheduling.diagnosis.reasons import find_reasons
from stnopt.scheduling.diagnosis.shortfall import LeastLate, Shortfall
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.find_schedule import find_schedule, search_question
from stnopt.scheduling.search.limits import SearchLimits
from stnopt.solvers.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery
    from stnopt.scheduling.diagnosis.shortfall import Bottleneck
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.result import ScheduleSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is to be explained, and within which limits."""

    network: Network
    problem: Problem
    start: PlantState | None
    n_events: int | None
    max_span: int | None
    time_limit: float | None
    relative_gap: float
    report: Callable[[str], None]

    @property
    def settings(self) -> dict[str, Any]:
        """What every search is told."""
        return {"n_events": self.n_events, "max_span": self.max_span, "report": self.report}

    @property
    def limits(self) -> SearchLimits:
        """Limits of how short, from now on: half of the time for models without event points.

        A search gives them a third of their time before it goes on with more event points.
        """
        return SearchLimits(
            time_limit=self.time_limit,
            proof_limit=None if self.time_limit is None else 1.5 * self.time_limit,
            relative_gap=self.relative_gap,
        )


def explain_infeasible(
    network: Network,
    targets: Mapping[str, float] | Problem | None = None,
    *,
    problem: Problem | None = None,
    horizon: float | None = None,
    sense: Literal["at_least", "exactly"] = "at_least",
    deliveries: Iterable[Delivery] = (),
    orders: Iterable[Order] = (),
    start: PlantState | None = None,
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
        In place of targets, horizon, sense, deliveries and orders. Its objective does not count.
    horizon : float
        In the plant's time unit.
    sense : {"at_least", "exactly"}
    deliveries : iterable of Delivery
        Amounts that must leave the plant at given times; only the targets are elastic.
    orders : iterable of Order
        What is wanted by a date and may come late. If the targets can be met, the answer is the
        schedule that misses least of the orders and is then least late, and why it is.
    start : PlantState, optional
        The plant at time 0. It overrides the plant's `initial`.
    n_events, max_span : int, optional
        As in `find_schedule`: fix what the search would choose.
    time_limit : float, optional
        Seconds for each of the three questions: how short or late, which unit, from when. As in
        `find_schedule` they are used unless nothing is left to prove.
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
        a horizon that is not positive; an order that the plant cannot be asked for; a state that
        does not fit the plant.

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

    *Orders* that are late or missing are explained by `find_late_orders`.

    *The busy time* is that of a schedule in which nothing runs that the least shortfall does not
    need: with the batches given, the total time that units run is minimised.
    """
    if isinstance(targets, Problem):
        targets, problem = None, targets
    deliveries, orders = tuple(deliveries), tuple(orders)
    if problem is None:
        problem = _problem_of(network, targets or {}, horizon, sense, deliveries, orders)
    elif targets or deliveries or orders or horizon is not None:
        raise InvalidInputError(
            "explain_infeasible: give a problem, or targets, horizon, deliveries and orders, not "
            "both"
        )
    _check(network, problem, start)
    # Its own objective is none of the questions.
    problem = replace(problem, objective="profit")
    with tqdm(unit="solve", disable=not progress, leave=False) as bar:

        def report(what: str) -> None:
            bar.set_description(what)
            bar.update()

        asked = _Asked(
            network=network,
            problem=problem,
            start=None if start == PlantState() else start,
            n_events=n_events,
            max_span=max_span,
            time_limit=time_limit,
            relative_gap=relative_gap,
            report=report,
        )
        return _least_short(asked)


def _problem_of(
    network: Network,
    targets: Mapping[str, float],
    horizon: float | None,
    sense: Literal["at_least", "exactly"],
    deliveries: tuple[Delivery, ...],
    orders: tuple[Order, ...],
) -> Problem:
    """Put the arguments into a problem, once each is known to be one."""
    _check_horizon(horizon)
    if sense not in ("at_least", "exactly"):
        raise InvalidInputError(f"unknown sense {sense!r}; expected 'at_least' or 'exactly'")
    check_demand(network, targets)
    return Problem(
        horizon=horizon, targets=targets, sense=sense, deliveries=deliveries, orders=orders
    )


def _check_horizon(horizon: float | None) -> None:
    if horizon is None or not (math.isfinite(horizon) and horizon > 0):
        raise InvalidInputError(f"horizon must be a positive number, got {horizon}")


def _check(network: Network, problem: Problem, start: PlantState | None) -> None:
    """Refuse what cannot be asked of the plant."""
    _check_horizon(problem.horizon)
    if not (problem.targets or problem.deliveries or problem.orders):
        raise InvalidInputError("explain_infeasible needs targets: nothing is always possible")
    check_demand(network, problem.targets)
    check_deliveries(network, problem.deliveries, horizon=problem.horizon)
    check_orders(network, problem.orders, horizon=problem.horizon)
    if start is not None:
        check_state(start, network)


# --- How late ------------------------------------------------------------------------------------


def _least_late(asked: _Asked) -> Shortfall | None:
    """Find the schedule that misses least of the orders, then is least late; None without any."""
    network, problem = asked.network, asked.problem
    assert problem.horizon is not None
    asked.report("which orders are late")
    found = find_schedule(
        network,
        replace(problem, objective="tardiness"),
        start=asked.start,
        n_events=asked.n_events,
        max_span=asked.max_span,
        time_limit=asked.time_limit,
        relative_gap=asked.relative_gap,
    )
    if found.stopped == "interrupted":
        raise KeyboardInterrupt  # which orders are late is not known
    if found.schedule is None:
        return None
    late = find_late_orders(found.schedule, network)
    missing_bound = found.missing_bound or 0.0
    missing_bound = missing_bound if missing_bound > SHARE else 0.0
    feasible_from, missing_ever = None, 0.0
    needed = tuple(replace(order, missing_cost=None) for order in problem.orders)
    whole = replace(problem, orders=needed)
    if any(order.missing for order in late):
        at_rest = plant_at_rest(network, problem, asked.start)
        ever = replace(with_orders_delivered(whole), horizon=None)
        missing_ever = missing_in_sums(at_rest, ever)
    if any(order.missing for order in late) and missing_ever == 0:
        asked.report("from which horizon")
        feasible_from = find_feasible_horizon(
            network,
            whole,
            start=asked.start,
            is_too_short=missing_bound > 0,
            time_limit=asked.time_limit,
            relative_gap=asked.relative_gap,
            **asked.settings,
        )
    optimal = found.result.status is Status.OPTIMAL
    return Shortfall(
        targets=problem.targets,
        sense=problem.sense,
        deliveries=problem.deliveries,
        due=None,
        horizon=problem.horizon,
        amount_unit=network.amount_unit,
        time_unit=network.time_unit,
        reasons=(),
        schedule=found.schedule,
        short=ReadOnlyMapping({}),
        over=ReadOnlyMapping({}),
        n_events=found.n_events,
        max_span=found.max_span,
        bound=0.0,
        bound_any=0.0,
        bound_ever=missing_ever,
        settled=_settled(found),
        bottleneck=None,
        feasible_from=feasible_from,
        orders=LeastLate(
            n_orders=len(problem.orders),
            late=late,
            rows=tuple(describe_order(o.served, problem.horizon, network) for o in late),
            missing=found.missing or 0.0,
            missing_bound=missing_bound,
            tardiness=schedule_value(found.schedule, network, "tardiness"),
            tardiness_bound=found.proof.bound,
            holds_for_any=optimal and found.proof.scope == "any schedule",
            is_proven=optimal,
        ),
    )


# --- How short -----------------------------------------------------------------------------------


def _least_short(asked: _Asked) -> Shortfall:
    """Find what is short of the targets at least, why, and from when it would not be."""
    network, problem = asked.network, asked.problem
    assert problem.horizon is not None
    asked.report("what no schedule can help")
    at_rest = plant_at_rest(network, problem, asked.start)
    tolerance = demand_tolerance(network, problem)
    missing_ever = missing_in_sums(at_rest, replace(problem, horizon=None))
    missing_any = max(missing_in_sums(at_rest, problem), missing_ever)
    if problem.orders and missing_any <= tolerance and (late := _least_late(asked)) is not None:
        return late
    reasons = tuple(find_reasons(network, problem, start=asked.start))
    question = ElasticQuestion(network=network, problem=problem, start=asked.start)
    search = None if missing_any == math.inf else _search(asked, question, missing_any)
    schedule = None if search is None else search.schedule
    bound = None
    if search is not None:
        missing_any = _any_bound(search, missing_any, tolerance)
        bound = search.proof.bound
        bound = bound if bound is None or bound > tolerance else 0.0
    short, over = ({}, {}) if schedule is None else question.missed(schedule)
    total = math.fsum([*short.values(), *over.values()])
    bottleneck = None
    helped = any(reason.kind != "route_time" for reason in reasons) or not reasons
    if search is not None and schedule is not None:
        schedule = without_idle_runs(
            question,
            schedule,
            n_events=search.n_events,
            max_span=search.max_span,
            relative_gap=asked.relative_gap,
        )
        short, over = question.missed(schedule)
        if helped and total > missing_ever + tolerance:
            closed = total <= missing_any * (1 + 2 * asked.relative_gap)
            bottleneck = _bottleneck(asked, question, search, schedule, closed=closed)
    feasible_from = due = None
    if schedule is None and problem.deliveries:
        due = _find_late_delivery(asked)
    if due is None and (schedule is None or total > 0) and missing_ever <= tolerance:
        asked.report("from which horizon")
        feasible_from = find_feasible_horizon(
            network,
            problem,
            start=asked.start,
            is_too_short=missing_any > tolerance,
            time_limit=asked.time_limit,
            relative_gap=asked.relative_gap,
            **asked.settings,
        )
    return Shortfall(
        targets=problem.targets,
        sense=problem.sense,
        deliveries=problem.deliveries,
        due=due,
        horizon=problem.horizon,
        amount_unit=network.amount_unit,
        time_unit=network.time_unit,
        reasons=reasons,
        schedule=schedule,
        short=ReadOnlyMapping(short),
        over=ReadOnlyMapping(over),
        n_events=0 if search is None else search.n_events,
        max_span=0 if search is None else search.max_span,
        bound=bound,
        bound_any=missing_any,
        bound_ever=missing_ever,
        settled=() if search is None else _settled(search),
        bottleneck=bottleneck,
        feasible_from=feasible_from,
    )


def _search(asked: _Asked, question: ElasticQuestion, known_bound: float) -> ScheduleSearch:
    """Let the search for schedules look for the least shortfall."""
    found = search_question(
        question,
        asked.limits,
        formulation="unit_events",
        known_bound=known_bound,
        **asked.settings,
    )
    if found.stopped == "interrupted":
        raise KeyboardInterrupt  # how much is short is not known
    return found


def _any_bound(search: ScheduleSearch, known: float, tolerance: float) -> float:
    """Return what every schedule misses; what may be rounding proves nothing."""
    if search.result.status is Status.INFEASIBLE and search.proof.scope == "any schedule":
        return math.inf
    bound = search.bound or 0.0
    return max(known, bound if bound > tolerance else 0.0)


def _settled(search: ScheduleSearch) -> tuple[tuple[int, int], ...]:
    """List the event points and spans on which nothing better exists, without those covered."""
    best = math.inf
    settled: list[tuple[int, int]] = []
    for attempt in search.tried:
        if attempt.formulation != "unit_events":
            continue
        if attempt.objective is not None and attempt.objective < best:
            best, settled = attempt.objective, []
        if attempt.status in (Status.OPTIMAL, Status.INFEASIBLE):
            settled.append((attempt.n_events, attempt.max_span))
    return tuple(
        (n, span)
        for n, span in dict.fromkeys(settled)
        if not any(m >= n and s >= span and (m, s) != (n, span) for m, s in settled)
    )


def _bottleneck(
    asked: _Asked,
    question: ElasticQuestion,
    search: ScheduleSearch,
    schedule: Schedule,
    *,
    closed: bool,
) -> Bottleneck:
    """Ask which unit a second copy of would help, on event points where no more points help."""
    settled = _settled(search)
    more_events = [
        more
        for more in ((1, 2) if asked.n_events is None else ())
        if closed or any(n >= search.n_events + more and s >= search.max_span for n, s in settled)
    ]
    return find_bottleneck(
        question,
        schedule,
        n_events=search.n_events,
        max_span=search.max_span,
        more_events=more_events or [0],
        time_limit=asked.time_limit,
        relative_gap=asked.relative_gap,
        report=asked.report,
    )


def _find_late_delivery(asked: _Asked) -> Shortfall | None:
    """Find the first due time by which the plant cannot have made all that is due by then.

    What was delivered earlier no longer takes storage, so that the states that are delivered have
    room without limit: what is short even then is short.
    """
    network, problem = asked.network, asked.problem
    delivered = delivered_in_all(problem)
    states = {
        name: replace(state, capacity=math.inf) if name in delivered else state
        for name, state in network.states.items()
    }
    for due in sorted({delivery.time for delivery in problem.deliveries}):
        if due == 0:
            continue  # nothing can be made by then; the stock is for the sums to judge
        so_far = tuple(d for d in problem.deliveries if d.time <= due)
        by_then = delivered_in_all(replace(problem, deliveries=so_far))
        found = _least_short(
            replace(
                asked,
                network=replace(network, states=states),
                problem=Problem(horizon=due, targets=by_then, start=problem.start),
            )
        )
        if found.bound_any > demand_tolerance(network, problem) or (found.total or 0) > 0:
            same = all(network.states[name].capacity == math.inf for name in by_then)
            return found if same else replace(found, feasible_from=None)
    return None
