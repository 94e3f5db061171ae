"""The one door to a schedule: which strategy is tried on a problem, and what leaves the library."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from stnopt.arguments import (
    BY_NAME,
    COUNT,
    GAP,
    PROGRESS,
    SECONDS,
    SECONDS_FROM_0,
    WHOLE,
    WORKERS,
    Kind,
    as_tuple,
    check_arguments,
    many,
    one_of,
    optional,
)
from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import with_calendars
from stnopt.plant.network import Network
from stnopt.plant.objective import OBJECTIVES
from stnopt.plant.problem import Delivery, Problem
from stnopt.plant.state import PlantState
from stnopt.progress import ProgressLine
from stnopt.scheduling.checks import (
    check_deliveries,
    check_orders,
    check_start,
    check_targets,
)
from stnopt.scheduling.model import Formulation
from stnopt.scheduling.schedule import Batch, Schedule, schedule_value
from stnopt.scheduling.search.bounds import can_be_built, lies_on_short_grid
from stnopt.scheduling.search.event_assignment import number_events
from stnopt.scheduling.search.event_points import EventPointSearch, Solved
from stnopt.scheduling.search.event_windows import improve_on_events
from stnopt.scheduling.search.fewest_events import fewest_events
from stnopt.scheduling.search.global_bound import GlobalBound
from stnopt.scheduling.search.horizon import feasibility_windows, latest_date
from stnopt.scheduling.search.incumbent import Incumbent
from stnopt.scheduling.search.kept import check_kept, read_kept
from stnopt.scheduling.search.limits import SearchLimits
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.long_horizon.portfolio import search_portfolio
from stnopt.scheduling.search.progress import ProgressReport, SearchProgress
from stnopt.scheduling.search.question import (
    Question,
    missing_share,
    why_not_long_horizon,
)
from stnopt.scheduling.search.result import Attempt, Proof, ScheduleSearch, Stopped
from stnopt.scheduling.search.tardiness import search_late_orders
from stnopt.solvers.result import SolveResult, Status, relative_gap_between, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery
    from stnopt.scheduling.model import Objective

#: Doublings of the makespan's upper bound before giving up on a demand.
_MOST_DOUBLINGS = 6
#: A priority-weighted share that is missing is rounding below this.
_NOTHING_MISSING = 1e-6
#: A horizon of more typical batches than this, one after the other, is a long one.
_MANY_BATCHES = 10.0
#: A horizon of no more is a short one, on which event points come first for longer.
_FEW_BATCHES = 5.0
#: Of a time limit, what models with few points may take first, on a short horizon and on others.
_EVENT_SHARE, _SHORT_SHARE = 0.5, 0.15
#: The same for an exact time grid of a long horizon.
_GRID_SHARE = 0.4
#: The same where the search's own rule may end it, and nothing else comes after that.
_OWN_RULE_SHARE = 0.5
#: Of what is left then, event points have this at the end, unless the horizon is long; where only
#: a makespan's horizon is, up to so many typical batches within its bound, times pairs.
_WINDOWS_SHARE, _FEW_PAIRS = 0.4, 80.0


_KEPT = Kind(
    "a Schedule or a list of Batch",
    lambda value: isinstance(value, Schedule) or many(Batch).fits(value),
)
#: What fits each argument of `find_schedule`; the rest is checked by the problem that it makes.
_FITS: dict[str, Kind | type] = {
    "network": Network,
    "problem": optional(Problem),
    "targets": optional(BY_NAME),
    "start": optional(PlantState),
    "keep": _KEPT,
    "n_events": optional(COUNT),
    "max_span": optional(WHOLE),
    "time_limit": SECONDS,
    "proof_limit": SECONDS_FROM_0,
    "relative_gap": GAP,
    "formulation": optional(one_of(get_args(Formulation))),
    "n_jobs": WORKERS,
    "progress": PROGRESS,
}


def find_schedule(
    network: Network,
    problem: Problem | None = None,
    *,
    horizon: float | None = None,
    objective: Objective = "profit",
    targets: Mapping[str, float] | None = None,
    sense: Literal["at_least", "exactly"] = "at_least",
    deliveries: Iterable[Delivery] = (),
    orders: Iterable[Order] = (),
    start: PlantState | None = None,
    keep: Schedule | Iterable[Batch] = (),
    n_events: int | None = None,
    max_span: int | None = None,
    time_limit: float | None = None,
    proof_limit: float | None = None,
    relative_gap: float = 1e-4,
    formulation: Formulation | None = None,
    n_jobs: int = 1,
    progress: bool | Callable[[SearchProgress], None] = False,
) -> ScheduleSearch:
    """Find the best schedule; choose the event points and the span unless they are given.

    Where all times of the plant lie on a grid of few points, an exact grid model finds the schedule
    and proves it. Otherwise the search adds event points while they help, and lengthens the span
    where that is cheaper. When an attempt gives nothing better, a model without event points is
    asked whether there is anything better at all. If it says no, the search ends, with a proof for
    any schedule. If it cannot tell within a third of `proof_limit`, the search goes on: with a
    `time_limit` until that is reached or nothing is left to prove, without one until neither one
    more event point nor spans longer by one and by two give anything better. A makespan that takes
    long is bounded for any schedule first, and one as short as that is sought.

    Parameters
    ----------
    network : Network
    problem : Problem, optional
        What is asked, in place of `horizon`, `objective`, `targets`, `sense`, `deliveries` and
        `orders`.
    horizon : float, optional
        In the plant's time unit: the window through which everything must hold. For makespan it may
        be left out; then the shortest window in which the demand can be met is sought.
    objective : {"profit", "production", "cost", "makespan", "batches", "tardiness"}
        For "tardiness" the least priority-weighted share that must be missing is sought first, then
        the least lateness at that share.
    targets : mapping, optional
        Amounts that the schedule must end with.
    sense : {"at_least", "exactly"}
    deliveries : iterable of Delivery
        Amounts that leave the plant at given times.
    orders : iterable of Order
        What is wanted by a date and may come late.
    start : PlantState, optional
        The plant at time 0: what runs, waits and is in stock. It overrides the plant's `initial`.
    keep : Schedule or iterable of Batch, optional
        Batches that stay as they are, with their unit, start and size; others may be put beside
        them. A schedule that is given whole is what the search begins with, if it breaks no rule
        and meets the demand. The search for long horizons, and a time grid on which a kept batch
        does not start, are not used then.
    n_events, max_span : int, optional
        Fix what the search would choose.
    time_limit : float, optional
        Seconds for the whole search, which are used unless nothing is left to prove; the best so
        far is returned.
    proof_limit : float, optional
        Seconds for models without event points; 0 leaves them out. Left out: three times what the
        search has taken so far, at least 20; if both `n_events` and `max_span` are given, for the
        bound of a makespan only.
    relative_gap : float
        For each solve, and the least improvement that keeps the search going.
    formulation : {"unit_events", "state_sequence"}, optional
        As in `build_scheduling_model`; left out, "unit_events". A time grid has no event points to
        search for.
    n_jobs : int
        Workers for the search for long horizons, which takes a time limit: joblib's, or those of
        the backend that is named around the call (``joblib.parallel_config(backend="dask")``).
    progress : bool or callable
        Show what is being tried; or call this with a `SearchProgress` each time: the best schedule,
        its value, the bound and the gap.

    Returns
    -------
    ScheduleSearch

    Raises
    ------
    InvalidInputError
        No horizon for another objective than makespan, makespan or cost without targets or
        deliveries, a target or delivery that the plant cannot be asked for, a limit that is none,
        a `problem` beside what it holds, or a batch to keep that cannot stay.
    UnsupportedModelError
        Batches to keep with another formulation than "unit_events".
    """
    deliveries, orders = as_tuple(deliveries), as_tuple(orders)
    keep = keep if isinstance(keep, Schedule) else as_tuple(keep)
    given = locals()
    check_arguments(**{name: (given[name], kind) for name, kind in _FITS.items()})
    if formulation == "time_grid":
        raise InvalidInputError(
            "formulation 'time_grid' has no event points to search for: solve it with "
            "build_scheduling_model, n_events = horizon / width of the grid"
        )
    limits = SearchLimits(time_limit=time_limit, proof_limit=proof_limit, relative_gap=relative_gap)
    if problem is None:
        problem = Problem(
            objective=objective,
            horizon=horizon,
            targets=targets or {},
            sense=sense,
            deliveries=deliveries,
            orders=orders,
        )
    elif horizon is not None or targets or deliveries or orders or objective != "profit":
        raise InvalidInputError(
            "find_schedule: give a problem, or horizon, objective, targets, deliveries and orders, "
            "not both"
        )
    check_problem(network, problem)
    if start is not None:
        check_start(network, start, horizon=problem.horizon, date=problem.start)
    kept, known = read_kept(keep)
    tell = progress if callable(progress) else None
    silent = time_limit is not None or tell is not None
    with ProgressLine(
        "find_schedule", " solves", progress=progress is True, limited=silent
    ) as line:
        settings: dict[str, Any] = {
            "known": known,
            "n_events": n_events,
            "max_span": max_span,
            "formulation": formulation or "unit_events",
            "n_jobs": n_jobs,
            "report": ProgressReport(limits=limits, line=line, tell=tell),
        }
        question = Question(network=network, problem=problem, start=start, keep=kept)
        if problem.horizon is not None:
            return _search(question, limits, **settings)
        return find_in_window(network, problem, limits=limits, start=start, keep=kept, **settings)


def check_problem(network: Network, problem: Problem) -> None:
    """Refuse a question that cannot be put to a plant.

    Raises
    ------
    InvalidInputError
        See `find_schedule`.
    """
    wanted = problem.targets or problem.deliveries or problem.orders
    if OBJECTIVES[problem.objective].needs == "demand" and not wanted:
        raise InvalidInputError(
            f"objective {problem.objective!r} needs targets: without them, do nothing"
        )
    check_targets(network, problem.targets)
    check_deliveries(network, problem.deliveries, horizon=problem.horizon)
    check_orders(network, problem.orders, horizon=problem.horizon)
    if problem.horizon is None and problem.objective != "makespan":
        raise InvalidInputError(
            f"objective {problem.objective!r} needs a horizon: say horizon=8, --horizon 8 of the "
            "command, or `horizon: 8` under `problem:` in the file"
        )


def _search(
    question: Question,
    limits: SearchLimits,
    *,
    known: Schedule | None = None,
    n_events: int | None,
    max_span: int | None,
    formulation: Formulation,
    n_jobs: int,
    report: Callable[[str], None],
    known_bound: float | None = None,
) -> ScheduleSearch:
    """Search for what is asked; where orders may be missing, for how little that is first."""
    if question.keep:
        check_kept(
            question.keep,
            question.network,
            horizon=question.horizon,
            start=question.start,
            date=question.problem.start,
        )
    settings: dict[str, Any] = {
        "known": known,
        "n_events": n_events,
        "max_span": max_span,
        "formulation": formulation,
        "n_jobs": n_jobs,
        "report": report,
    }
    if question.problem.objective != "tardiness":
        return search_question(question, limits, known_bound=known_bound, **settings)
    chosen = n_events is not None or max_span is not None or formulation != "unit_events"
    if limits.time_limit is not None and not chosen and _is_long(question):
        return search_late_orders(question, limits, report=report)
    complete = search_question(replace(question, improve="missing share"), limits, **settings)
    if complete.schedule is None:
        return complete
    least = complete.result.objective or 0.0
    least = least if least > _NOTHING_MISSING else 0.0
    found = replace(complete, schedule=None)
    if complete.stopped != "interrupted":
        try:
            found = search_question(replace(question, most_missing=least), limits, **settings)
        except KeyboardInterrupt:
            found = replace(found, stopped="interrupted")
    stopped: Stopped = "interrupted" if found.stopped == "interrupted" else "time limit"
    if found.schedule is None:  # a limit came first: the schedule that misses least is one
        value = schedule_value(complete.schedule, question.network, "tardiness")
        unproven = SolveResult(status=Status.FEASIBLE, objective=value)
        found = replace(complete, result=unproven, proof=replace(complete.proof, bound=None))
        found = replace(found, stopped=stopped)
    assert found.schedule is not None
    missing = missing_share(found.schedule)
    whole = complete.stopped == "proven"
    scope = found.proof if whole else replace(found.proof, scope="these event points")
    return replace(
        found,
        proof=scope,
        stopped=found.stopped if whole or found.stopped != "proven" else complete.stopped,
        tried=(*complete.tried, *found.tried),
        missing=missing if missing > _NOTHING_MISSING else 0.0,
        missing_bound=complete.bound,
    )


def search_question(
    question: Question,
    limits: SearchLimits,
    *,
    known: Schedule | None = None,
    n_events: int | None,
    max_span: int | None,
    formulation: Formulation,
    n_jobs: int = 1,
    report: Callable[[str], None],
    known_bound: float | None = None,
) -> ScheduleSearch:
    """Search for the best answer to a question, and prove what can be proven of it.

    Parameters
    ----------
    question : Question
    limits : SearchLimits
    known : Schedule, optional
        What the search begins with, if it is one of those that are asked for.
    n_events, max_span, formulation, n_jobs
        As in `find_schedule`.
    report : callable
        Told what is being tried.
    known_bound : float, optional
        No schedule at all is better: what is proven already.
    """
    gap = limits.relative_gap
    incumbent = Incumbent(question=question, relative_gap=gap)
    bound = GlobalBound(maximises=incumbent.maximises, relative_gap=gap)
    bound.update(known_bound)
    given = n_events is not None and max_span is not None
    points = EventPointSearch(
        question=question,
        formulation=formulation,
        limits=limits,
        incumbent=incumbent,
        bound=bound,
        may_choose=n_events is None and max_span is None,
        may_ask=limits.proof_limit is not None or not given,
        keeps_on=limits.time_limit is not None and limits.uses_all and n_events is None,
        pause_after=math.inf,
        report=report,
    )
    if isinstance(report, ProgressReport):
        report.watch(incumbent, bound)
    interrupted = False
    try:
        if limits.proof_limit != 0 and formulation == "unit_events":
            points.bound_by_sums()
        _begin_with(points, known)
        if points.may_choose and limits.time_limit is not None and formulation == "unit_events":
            _use_the_time(points, n_jobs)
        elif n_events is None:
            first, span = _first_points(question)
            points.add_events(first, max_span, first_span=span)
        else:
            points.widen(n_events, max_span)
        points.ask_for_any_schedule()
    except KeyboardInterrupt:
        if points.best is None and points.last is None:
            raise
        interrupted = True
    return _conclude(points, given=given, interrupted=interrupted)


def _first_events(question: Question) -> int:
    """Return with how many event points to begin: no more for orders than batches fit."""
    network, problem = question.network, question.problem
    fewest = fewest_events(network, question.amounts_to_make)
    if not (problem.orders or problem.deliveries):
        return fewest
    amounts = dict(problem.targets)
    wanted = [(order.state, order.amount) for order in problem.orders]
    wanted += [(delivery.state, delivery.amount) for delivery in problem.deliveries]
    for state, amount in wanted:
        amounts[state] = amounts.get(state, 0.0) + amount
    shortest = min(fit.duration(fit.min_batch) for fit in network.suitabilities)
    fit_in_turn = question.horizon / shortest if shortest > 0 else math.inf
    return max(fewest, int(min(fewest_events(network, amounts), fit_in_turn)))


def _begin_with(points: EventPointSearch, known: Schedule | None) -> None:
    """Begin with a schedule that was given, if it is one of those that are asked for."""
    if known is None:
        return
    question = points.question
    same = replace(known, start=question.start, date=question.problem.start)
    valued = points.incumbent.valued(same)
    if valued is not None and question.is_met_by(valued[0]):
        points.adopt(*valued, SolveResult(status=Status.FEASIBLE))


def _first_points(question: Question) -> tuple[int, int]:
    """Return the event points and the span to begin with: kept batches have to fit."""
    fewest = _first_events(question)
    if not question.keep:
        return fewest, 0
    alone = Schedule(
        batches=question.keep, final_stock={}, horizon=question.horizon, start=question.start
    )
    n_events, span = number_events(alone, question.network)
    n_events += question.start is not None and bool(question.start.running)
    return max(fewest, n_events), span


def _typical_batch(network: Network) -> float:
    return statistics.median(fit.duration(fit.max_batch) for fit in network.suitabilities)


def _is_long(question: Question) -> bool:
    return question.horizon > _MANY_BATCHES * _typical_batch(question.network)


def _use_the_time(points: EventPointSearch, n_jobs: int) -> None:
    """Use a time limit: event points where few can do, the search for long horizons otherwise.

    Where only event points are left, they have all of the rest.
    """
    network, problem, limits = points.question.network, points.problem, points.limits
    assert limits.time_limit is not None
    assert problem.horizon is not None
    start, span = _first_points(points.question)
    typical = _typical_batch(network)
    engine = why_not_long_horizon(points.question) is None
    if engine:
        is_long = _is_long(points.question)
        share = _EVENT_SHARE if problem.horizon <= _FEW_BATCHES * typical else _SHORT_SHARE
        if not limits.uses_all:  # its own rule may end it, and then the rest is left
            share = max(share, _OWN_RULE_SHARE)
        points.pause_after = share * limits.time_limit
    if engine and is_long:
        if lies_on_short_grid(points.question):
            points.ask_for_any_schedule(seconds=_GRID_SHARE * limits.time_limit)
    else:
        points.add_events(start, None, first_span=span)
        if points.best is not None and not limits.uses_all:
            points.pause_after = math.inf
            return
    if engine and not (points.settled or limits.reached):
        few = _FEW_PAIRS * typical / len(network.suitabilities)
        shortest = points.bound.value if points.question.is_makespan else None
        windows = not is_long or (shortest is not None and shortest <= few)
        windows &= points.question.start is None
        _search_long(points, n_jobs, share=1.0 - _WINDOWS_SHARE if windows else 1.0)
        left = limits.remaining
        if windows and left is not None and not (points.settled or limits.reached):
            improve_on_events(points, seconds=left, anew=is_long)
            if points.best is not None and not (points.settled or limits.reached):
                _search_long(points, n_jobs)
    points.pause_after = math.inf
    if not engine or (points.best is None and can_be_built(network, start, limits.remaining)):
        points.add_events(start, None, first_span=span)


def _search_long(points: EventPointSearch, n_jobs: int, *, share: float = 1.0) -> None:
    """Give a share of what is left to the search for long horizons, from the best so far."""
    limits, incumbent, report = points.limits, points.incumbent, points.report
    remaining = limits.remaining
    assert remaining is not None
    report("long horizon: construct, improve, retime")
    started = limits.clock()

    def improved(schedule: Schedule, value: float, bound: float | None) -> None:
        what = f"{points.problem.objective} {value:.6g}, bound {bound}"
        if isinstance(report, ProgressReport):
            report.found(what, schedule, value, bound)
        else:
            report(what)

    interrupts: list[bool] = []
    question = points.question
    settings: dict[str, Any] = {
        "start": question.start,
        "improve": question.improve,
        "most_missing": question.most_missing,
        "relative_gap": limits.relative_gap,
        "warm": incumbent.schedule,
        "time_limit": share * remaining,
    }
    if n_jobs == 1:
        schedule, bound = search_long_horizon(
            question.network,
            points.problem,
            on_improvement=improved,
            on_interrupt=lambda: interrupts.append(True),
            **settings,
        )
    else:
        schedule, bound = search_portfolio(
            question.network, points.problem, n_jobs=n_jobs, **settings
        )
    valued = None if schedule is None else incumbent.valued(schedule)
    worst = -math.inf if incumbent.maximises else math.inf
    if bound == worst and incumbent.value is None:  # no schedule at all
        points.conclude_infeasible(SolveResult(status=Status.INFEASIBLE))
    points.bound.update(bound, known=incumbent.value)
    if valued is not None and incumbent.improves(valued[1]):
        points.bound.check(valued[1])
        points.adopt(*valued, SolveResult(status=Status.FEASIBLE, bound=points.bound.value))
    points.settled = points.settled or points.bound.closes(incumbent.value)
    value, seconds = incumbent.value, limits.clock() - started
    status = status_of(value, points.bound.value, relative_gap=limits.relative_gap)
    if points.impossible:
        status = Status.INFEASIBLE
    points.tried.append(Attempt(0, 0, status, value, seconds, "long_horizon"))
    if interrupts:
        raise KeyboardInterrupt


def _conclude(points: EventPointSearch, *, given: bool, interrupted: bool) -> ScheduleSearch:
    """Derive status, scope and what stopped the search from what was found and proven."""
    limits, incumbent, any_bound = points.limits, points.incumbent, points.bound.value
    found = points.best or points.last
    if found is None:  # a limit came before anything was solved
        nothing = SolveResult(status=Status.NO_SOLUTION, message="a limit came first")
        none_yet = Proof(scope="these event points", n_events=0, max_span=0, bound=None)
        found = Solved(n_events=0, max_span=0, result=nothing, schedule=None, proof=none_yet)
    result, proof = found.result, replace(found.proof, any_schedule_bound=any_bound)
    stopped: Stopped = "given event points" if given else "no further gain"
    ended = limits.reached or points.keeps_on
    cut = interrupted or (ended and not (points.settled or given))
    if interrupted:
        stopped = "interrupted"
    elif points.settled:
        stopped = "proven"
    elif ended:
        stopped = "time limit"
    if incumbent.schedule is not None:
        if points.settled:
            proof = replace(proof, scope="any schedule", bound=any_bound)
        elif any_bound is not None:
            # What holds for any schedule holds on these event points.
            known = [any_bound] if proof.bound is None else [any_bound, proof.bound]
            proof = replace(proof, bound=min(known) if incumbent.maximises else max(known))
        result = replace(
            result,
            objective=incumbent.value,
            bound=proof.bound,
            gap=relative_gap_between(incumbent.value, proof.bound),
            status=status_of(incumbent.value, proof.bound, relative_gap=limits.relative_gap),
        )
        if cut and result.status is Status.OPTIMAL:
            # Of some event points only, while more time might have shown better.
            result = replace(result, status=Status.FEASIBLE)
    elif result.status is Status.INFEASIBLE and not (points.impossible or given):
        # More event points, or a longer span, might do.
        tried = f"none on {found.n_events} event points with span {found.max_span}"
        result = SolveResult(status=Status.NO_SOLUTION, n_nodes=result.n_nodes, message=tried)
    elapsed = limits.elapsed
    found_after = points.found_after if incumbent.schedule is not None else elapsed
    return ScheduleSearch(
        schedule=incumbent.schedule,
        result=result,
        proof=proof,
        n_events=found.n_events,
        max_span=found.max_span,
        tried=tuple(points.tried),
        search_time=found_after,
        proof_time=elapsed - found_after,
        stopped=stopped,
    )


def find_in_window(
    network: Network,
    problem: Problem,
    *,
    limits: SearchLimits,
    start: PlantState | None = None,
    keep: tuple[Batch, ...] = (),
    known: Schedule | None = None,
    after: float = 0.0,
    up_to: float = math.inf,
    known_bound: float | None = None,
    most_doublings: int = _MOST_DOUBLINGS,
    n_events: int | None = None,
    max_span: int | None = None,
    formulation: Formulation = "unit_events",
    n_jobs: int = 1,
    report: Callable[[str], None] = lambda _: None,
) -> ScheduleSearch:
    """Find the shortest window in which a demand can be met.

    Within the windows between the starts of periods away a longer one is never worse, so they are
    tried in turn; after the last, a first guess is doubled until the demand fits.

    Parameters
    ----------
    network : Network
    problem : Problem
        With objective "makespan"; its horizon does not count.
    limits : SearchLimits
    start : PlantState, optional
    keep, known
        Batches that stay as they are, and a schedule to begin with.
    after, up_to : float
        The window is longer than `after` and no longer than `up_to`.
    known_bound : float, optional
        No schedule in such a window is shorter: what is proven already.
    most_doublings : int
        Windows that are tried after the last period away, each twice as long as the one before.
    n_events, max_span, formulation, n_jobs
        As in `find_schedule`.
    report : callable
        Told what is being tried.
    """
    longest = max(fit.duration(fit.max_batch) for fit in network.suitabilities)
    amount = sum(problem.targets.values())
    amount += sum(delivery.amount for delivery in problem.deliveries)
    amount += sum(order.amount for order in problem.orders)
    largest = max(fit.max_batch for fit in network.suitabilities)
    latest = latest_date(problem, keep)
    guess = latest + longest * (2 + len(network.tasks) + amount / largest)
    guess = max(guess, 2 * after)
    dated = with_calendars(network, start=problem.start, horizon=guess)
    windows = [end for _, end in feasibility_windows(dated, guess)]
    windows += [guess * 2**more for more in range(1, most_doublings)]
    windows = [end for end in windows if after < end <= up_to] or [up_to]
    before, undecided, tried = 0.0, False, 0.0
    found: ScheduleSearch | None = None
    for window in windows:
        if window < latest:
            continue
        before, tried = limits.elapsed, window
        found = _search(
            Question(
                network=network, problem=replace(problem, horizon=window), start=start, keep=keep
            ),
            limits,
            known=known,
            n_events=n_events,
            max_span=max_span,
            formulation=formulation,
            n_jobs=n_jobs,
            report=report,
            known_bound=known_bound,
        )
        if found.schedule is not None or limits.reached or found.stopped == "interrupted":
            break
        undecided = undecided or found.result.status is not Status.INFEASIBLE
    assert found is not None
    if found.schedule is None:
        # No horizon that was tried is long enough; another might be.
        message = found.result.message if undecided else f"none within {tried:g}"
        nothing = SolveResult(status=Status.NO_SOLUTION, message=message)
        proof = replace(found.proof, scope="these event points")
        stopped: Stopped = "time limit" if limits.reached else "no further gain"
        if found.stopped == "interrupted":
            stopped = "interrupted"
        return replace(found, result=nothing, proof=proof, stopped=stopped)
    if undecided and found.proof.scope == "any schedule":
        # An earlier window that was left open might hold a shorter one.
        proof = Proof(
            scope="these event points",
            n_events=found.proof.n_events,
            max_span=found.proof.max_span,
            bound=found.proof.bound,
        )
        interrupted = found.stopped == "interrupted"
        stopped = "interrupted" if interrupted else "no further gain"
        found = replace(found, proof=proof, stopped=stopped)
    return replace(found, search_time=max(before, found.search_time))
