"""Planning anew while a schedule is under way: what has happened stays, what was announced may."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import pyomo.environ as pyo

from stnopt.arguments import (
    INSTANT,
    NON_NEGATIVE,
    SECONDS,
    as_tuple,
    check_arguments,
    many,
    optional,
)
from stnopt.errors import InvalidInputError, InvalidScheduleError
from stnopt.plant.calendar import parse_clock, parse_start, schedule_time
from stnopt.plant.checks import checked_number
from stnopt.plant.network import Network
from stnopt.plant.orders import ServedOrder
from stnopt.plant.problem import Delivery, Problem
from stnopt.plant.state import RunningBatch, state_problems
from stnopt.plant.tolerance import time_tolerance
from stnopt.scheduling.cut import from_time
from stnopt.scheduling.model import extract_schedule, set_objective
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, schedule_value
from stnopt.scheduling.search.changes import (
    Change,
    Down,
    Late,
    Lost,
    NewOrder,
    UnderWay,
    apply_changes,
    final_stock_of,
    is_same_batch,
)
from stnopt.scheduling.search.event_assignment import number_events
from stnopt.scheduling.search.find_schedule import check_problem, find_schedule
from stnopt.scheduling.search.kept import watch_batches
from stnopt.scheduling.search.question import Question, missing_share
from stnopt.scheduling.search.result import Attempt, Proof, ScheduleSearch
from stnopt.solvers.result import SolveResult, Status
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


#: Event points that are added at most to those of the old schedule.
_MORE_EVENTS = 4
#: Room for rounding in a share or a count that is held.
_ROUNDING = 1e-9
#: Less than this is no gain.
_NO_GAIN = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescheduling(ScheduleSearch):
    """A schedule that continues one that was under way, and what it changes.

    `schedule` is that of the whole day, in the old schedule's time; `result`, `proof`, `missing`
    are about what is planned from the instant on: costs and deliveries before it do not count.

    Attributes
    ----------
    plant : Network
        What `schedule` is replayed on: the plant with the changes in it, such as a unit that is
        down.
    changes : DataFrame
        One row per batch from the instant on: `change` ("kept", "moved", "new", "dropped", "late",
        "lost"), task, unit, start, finish, size, and the same of the old schedule as `was_...`.
    moved : tuple of Batch
        Batches of the old schedule that were to be kept and could not be.
    """

    plant: Network
    changes: pd.DataFrame
    moved: tuple[Batch, ...] = ()


_Run = Batch | RunningBatch


class _Rest(NamedTuple):
    """What is still to be planned, in its own time; `must` and `announced` are old batches."""

    question: Question
    announced: tuple[Batch, ...]
    must: tuple[int, ...]  # numbers of those that are to be kept
    move_cost: float


class _Answer(NamedTuple):
    schedule: Schedule
    n_moved: int  # of those that are to be kept
    missing: float
    n_changed: int  # of all that were announced
    value: float  # less is better; with what moving costs


def reschedule(
    schedule: Schedule,
    network: Network,
    problem: Problem,
    *,
    at: float | datetime | str,
    changes: Iterable[Change] = (),
    keep_until: float | datetime | str | None = None,
    move_cost: float = 0.0,
    time_limit: float | None = None,
) -> Rescheduling:
    """Plan the rest of a schedule anew, from an instant on.

    What has started by then stays. Of what has not, a batch that starts before `keep_until` keeps
    its unit, start and size, unless that is impossible: then as few as possible are moved, and
    named. Batches may be added beside those that are kept. Among the schedules that move so few,
    the best is sought, under "tardiness" first the one that misses least, less `move_cost` for each
    announced batch that is not as it was. The rest of the old schedule is the answer where it still
    is possible and nothing better is found.

    Parameters
    ----------
    schedule : Schedule
        The old one, free of violations.
    network : Network
        The plant it was made for.
    problem : Problem
        What was asked.
    at : float, datetime or str
        The instant, in the schedule's time; or a date and time, or a clock time such as "09:00"
        (the first since time 0), where the problem says when time 0 is.
    changes : iterable of Late, Down, Lost, NewOrder
        What has happened.
    keep_until : float, datetime or str, optional
        Left out: nothing is kept. At the horizon, and without changes, the old schedule comes back.
    move_cost : float
        In the objective's unit.
    time_limit : float, optional
        Seconds.

    Returns
    -------
    Rescheduling
        Its `schedule` has been replayed on its `plant`. A lost batch is none of it; what it had
        consumed leaves as a delivery when it started.

    Raises
    ------
    InvalidInputError
        Changes or times that do not fit the schedule, all of them at once; a running batch that
        would be late into a period in which its unit is away.
    InvalidScheduleError
        An old schedule with violations.
    UnsupportedModelError
        Kept batches, in a plant with a rule that "unit_events" does not know.

    Notes
    -----
    Kept batches are binaries of the model with event points (`stnopt.scheduling.search.kept`). The
    number moved is the least for the event points tried: those of the old schedule and up to four
    more, while they help. Without anything to keep or to pay for moving it is `find_schedule`.
    """
    changes = as_tuple(changes)
    check_arguments(
        schedule=(schedule, Schedule),
        network=(network, Network),
        problem=(problem, Problem),
        at=(at, INSTANT),
        changes=(changes, many(Late, Down, Lost, NewOrder)),
        keep_until=(keep_until, optional(INSTANT)),
        move_cost=(move_cost, NON_NEGATIVE),
        time_limit=(time_limit, SECONDS),
    )
    began = time.perf_counter()
    broken = find_violations(schedule, network)
    if broken:
        raise InvalidScheduleError(
            "reschedule: the old schedule breaks rules of the plant:\n  - "
            + "\n  - ".join(violation.message for violation in broken[:10])
        )
    problem = replace(problem, horizon=schedule.horizon, start=problem.start or schedule.date)
    problems: list[str] = []
    move_cost = checked_number(move_cost, "reschedule: move_cost", problems, least=0.0)
    now = _time(at, "at", problem, network, problems)
    until = (
        now if keep_until is None else _time(keep_until, "keep_until", problem, network, problems)
    )
    if not problems and not 0 <= now < schedule.horizon:
        problems.append(
            f"reschedule: at must lie from 0 to before the horizon ({schedule.horizon:g}), "
            f"got {now:g}"
        )
    if problems:
        raise InvalidInputError(problems)
    changes = tuple(changes)
    same = time_tolerance(schedule.horizon)
    under_way = apply_changes(schedule, network, problem, now, changes)
    old = tuple(batch for batch in schedule.batches if batch.start > now + same)
    rest = _rest(under_way, problem, old, now, until, move_cost)
    continued = _continued(rest, schedule, now)
    if not changes and until >= schedule.horizon - same:
        value = schedule_value(continued, rest.question.network, rest.question.problem.objective)
        result = SolveResult(status=Status.FEASIBLE, objective=value)
        found = _search_of(result, missing=missing_share(continued))
        return _answered(found, schedule, under_way, old, rest, same)
    found, answer = _plan(rest, continued, time_limit, began)
    if answer is None:
        return _answered(found, None, under_way, old, rest, same)
    whole = _whole(under_way, answer.schedule, now, old)
    return _answered(found, whole, under_way, old, rest, same)


def _time(
    value: float | datetime | str,
    what: str,
    problem: Problem,
    network: Network,
    problems: list[str],
) -> float:
    """Read a time of the schedule, or a clock time."""
    if not isinstance(value, datetime | str):
        return checked_number(value, f"reschedule: {what}", problems)
    if problem.start is None:
        problems.append(
            f"reschedule: {what}: {value!r} is a clock time; the problem's `start` must say when "
            "time 0 is"
        )
        return math.nan
    minute = parse_clock(value) if isinstance(value, str) else None
    if minute is None:
        try:
            return schedule_time(problem.start, parse_start(value), network.time_unit)
        except InvalidInputError as error:
            problems += [f"reschedule: {what}: {line}" for line in error.problems]
            return math.nan
    midnight = problem.start.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight + timedelta(minutes=minute)
    if moment < problem.start:
        moment += timedelta(days=1)
    return schedule_time(problem.start, moment, network.time_unit)


def _rest(
    under_way: UnderWay,
    problem: Problem,
    old: Sequence[Batch],
    now: float,
    until: float,
    move_cost: float,
) -> _Rest:
    """Say what is to be planned from an instant on."""
    orders = under_way.state.open_orders
    objective = problem.objective
    if objective == "tardiness" and not orders:
        objective = "profit"  # nothing can be late any more
    asked = replace(problem, objective="profit", orders=())
    plant, asked = from_time(under_way.plant, asked, now)
    asked = replace(asked, objective=objective, orders=orders)
    misfits = state_problems(under_way.state, plant)
    if misfits:
        raise InvalidInputError([f"reschedule: {misfit}" for misfit in misfits])
    check_problem(plant, asked)
    same = time_tolerance(under_way.past.horizon)
    return _Rest(
        question=Question(network=plant, problem=asked, start=under_way.state),
        announced=tuple(replace(b, start=b.start - now, finish=b.finish - now) for b in old),
        must=tuple(n for n, batch in enumerate(old) if batch.start < until - same),
        move_cost=move_cost,
    )


def _continued(rest: _Rest, schedule: Schedule, now: float) -> Schedule:
    """Return the rest of the old schedule from the plant's state now, whether or not it can be."""
    problem, state = rest.question.problem, rest.question.start
    same = time_tolerance(schedule.horizon)
    came = {served.order.id: served for served in schedule.orders}
    orders = tuple(
        ServedOrder(
            order,
            tuple((when - now, a) for when, a in came[order.id].parts if when > now + same)
            if order.id in came
            else (),
            may_miss=problem.objective == "tardiness" or None,
        )
        for order in problem.orders
    )
    plain = Schedule(
        batches=rest.announced,
        final_stock={},
        horizon=rest.question.horizon,
        deliveries=problem.deliveries,
        orders=orders,
        start=state,
        date=problem.start,
    )
    return replace(plain, final_stock=final_stock_of(plain, rest.question.network))


def _plan(
    rest: _Rest, continued: Schedule, time_limit: float | None, began: float
) -> tuple[ScheduleSearch, _Answer | None]:
    """Search for the best rest; the old one is the answer where nothing better is found."""
    question = rest.question
    best = _judged(rest, continued) if _is_possible(continued, question) else None
    left = None if time_limit is None else max(0.1, time_limit - (time.perf_counter() - began))
    if not rest.must and not rest.move_cost:
        found = find_schedule(
            question.network, question.problem, start=question.start, time_limit=left
        )
        new = None if found.schedule is None else _judged(rest, found.schedule)
    else:
        found, new = _search_keeping(rest, continued, left)
    new = None if new is None else _without_idle(new, rest)
    if new is None or (best is not None and not _is_better(new, best)):
        if best is None:
            return found, None
        value = schedule_value(best.schedule, question.network, question.problem.objective)
        as_good = new is not None and not _is_better(best, new)
        status = found.result.status if as_good else Status.FEASIBLE
        result = replace(found.result, status=status, objective=value, gap=None)
        return replace(found, result=result, missing=best.missing), best
    return found, new


def _is_possible(schedule: Schedule, question: Question) -> bool:
    """Whether a rest keeps the plant's rules and meets the demand."""
    if find_violations(schedule, question.network):
        return False
    least = {
        state: amount - _NO_GAIN * max(1.0, amount)
        for state, amount in question.problem.targets.items()
    }
    stock = schedule.final_stock
    if question.problem.sense == "exactly":
        return all(
            abs(stock[state] - amount) <= _NO_GAIN * max(1.0, amount)
            for state, amount in question.problem.targets.items()
        )
    return all(stock[state] >= amount for state, amount in least.items())


def _judged(rest: _Rest, schedule: Schedule) -> _Answer:
    question = rest.question
    moved = [
        number
        for number, batch in enumerate(rest.announced)
        if not any(
            is_same_batch(batch, other, question.network, question.horizon)
            for other in schedule.batches
        )
    ]
    value = schedule_value(schedule, question.network, question.problem.objective)
    cost = rest.move_cost * len(moved)
    return _Answer(
        schedule=schedule,
        n_moved=len(set(moved) & set(rest.must)),
        missing=missing_share(schedule) if question.problem.objective == "tardiness" else 0.0,
        n_changed=len(moved),
        value=cost - value if question.maximises else cost + value,
    )


def _without_idle(answer: _Answer, rest: _Rest) -> _Answer:
    """Leave out batches that nobody announced and that the rest is as good without."""
    for batch in reversed(answer.schedule.batches):
        others = tuple(other for other in answer.schedule.batches if other is not batch)
        fewer = replace(answer.schedule, batches=others)
        fewer = replace(fewer, final_stock=final_stock_of(fewer, rest.question.network))
        if not _is_possible(fewer, rest.question):
            continue
        without = _judged(rest, fewer)
        if not _is_better(answer, without) and without.n_changed <= answer.n_changed:
            answer = without
    return answer


def _is_better(one: _Answer, other: _Answer) -> bool:
    if one.n_moved != other.n_moved:
        return one.n_moved < other.n_moved
    if abs(one.missing - other.missing) > _NO_GAIN:
        return one.missing < other.missing
    return one.value < other.value - _NO_GAIN * max(1.0, abs(other.value))


def _search_keeping(
    rest: _Rest, continued: Schedule, time_limit: float | None
) -> tuple[ScheduleSearch, _Answer | None]:
    """Solve models with event points that know what was announced, with more while that helps."""
    began = time.perf_counter()
    fewest, span = number_events(continued, rest.question.network)
    fewest += rest.question.start is not None and bool(rest.question.start.running)
    best: _Answer | None = None
    best_search: ScheduleSearch | None = None
    tried: list[Attempt] = []
    stopped = False
    for n_events in range(fewest, fewest + _MORE_EVENTS + 1):
        left = None if time_limit is None else time_limit - (time.perf_counter() - began)
        if left is not None and left <= 0.0:
            stopped = True
            break
        solving = time.perf_counter()
        result, found = _solve_keeping(rest, n_events, span, left)
        seconds = time.perf_counter() - solving
        stopped = time_limit is not None and time.perf_counter() - began >= time_limit
        tried.append(
            Attempt(n_events, span, result.status, result.objective, seconds, "unit_events")
        )
        if found is None or (best is not None and not _is_better(found, best)):
            if best is not None:
                break
            continue
        best = found
        value = schedule_value(
            found.schedule, rest.question.network, rest.question.problem.objective
        )
        best_search = _search_of(
            replace(result, objective=value, bound=None, gap=None),
            n_events=n_events,
            max_span=span,
            missing=found.missing,
        )
    if best_search is None:
        message = "nothing on the event points that were tried"
        best_search = _search_of(SolveResult(status=Status.NO_SOLUTION, message=message))
    return replace(
        best_search, tried=tuple(tried), stopped="time limit" if stopped else "no further gain"
    ), best


def _solve_keeping(
    rest: _Rest, n_events: int, max_span: int, time_limit: float | None
) -> tuple[SolveResult, _Answer | None]:
    """Move as few as can be, then miss as little, then seek the best."""
    question, began = rest.question, time.perf_counter()
    model = question.build(
        "unit_events", horizon=question.horizon, n_events=n_events, max_span=max_span
    )
    watch_batches(model, rest.announced)
    question.demand(model)
    moved = model.announced.moved
    result: SolveResult | None = None

    def minimise(expression: object) -> SolveResult:
        model.del_component("objective")
        model.objective = pyo.Objective(expr=expression)
        return run()

    def run() -> SolveResult:
        left = None if time_limit is None else time_limit - (time.perf_counter() - began)
        left = None if left is None else max(0.1, left)
        return solve(model, time_limit=left, warm_start=result is not None)

    answer: _Answer | None = None

    def take() -> None:
        nonlocal answer
        read = _judged(rest, _snapped(extract_schedule(model, question.network), rest))
        if answer is None or _is_better(read, answer):
            answer = read

    if rest.must:
        result = minimise(sum(moved[number] for number in rest.must))
        if not result.has_solution:
            return result, None
        take()
        n_moved = round(result.objective or 0.0)
        model.announced.fewest = pyo.Constraint(
            expr=sum(moved[number] for number in rest.must) <= n_moved + _ROUNDING
        )
    if question.problem.objective == "tardiness":
        least = minimise(model.missing_share)
        if not least.has_solution:
            return result or least, answer
        result = least
        take()
        model.least_missing = pyo.Constraint(
            expr=model.missing_share <= max(0.0, least.objective or 0.0) + _ROUNDING
        )
    set_objective(model, question.problem.objective)
    if rest.move_cost:
        cost = rest.move_cost * sum(moved[number] for number in moved)
        sign = -1.0 if question.maximises else 1.0
        model.objective.set_value(model.objective.expr + sign * cost)
    final = run()
    if not final.has_solution:
        return result or final, answer
    take()
    return final, answer


def _snapped(schedule: Schedule, rest: _Rest) -> Schedule:
    """Put kept batches exactly where they were, if that breaks nothing."""
    network, horizon = rest.question.network, rest.question.horizon
    batches = tuple(
        next((o for o in rest.announced if is_same_batch(b, o, network, horizon)), b)
        for b in schedule.batches
    )
    exact = replace(schedule, batches=batches)
    exact = replace(exact, final_stock=final_stock_of(exact, network))
    return schedule if find_violations(exact, network) else exact


def _search_of(
    result: SolveResult, *, n_events: int = 0, max_span: int = 0, missing: float | None = None
) -> ScheduleSearch:
    """Return a search that has proven nothing for any schedule."""
    return ScheduleSearch(
        schedule=None,
        result=result,
        proof=Proof(scope="these event points", n_events=n_events, max_span=max_span, bound=None),
        n_events=n_events,
        max_span=max_span,
        tried=(),
        missing=missing,
    )


def _whole(under_way: UnderWay, rest: Schedule, now: float, old: Sequence[Batch]) -> Schedule:
    """Put a rest behind what has happened, in the old schedule's time, and replay it.

    Raises
    ------
    InvalidScheduleError
        The two do not fit together.
    """
    past, plant = under_way.past, under_way.day
    later = []
    for batch in rest.batches:
        moved = replace(batch, start=batch.start + now, finish=batch.finish + now)
        same = (b for b in old if is_same_batch(b, moved, plant, past.horizon))
        later.append(next(same, moved))
    parts = {served.order.id: served for served in rest.orders}
    orders = []
    for served in past.orders:
        more = parts.get(served.order.id)
        came = tuple((when + now, amount) for when, amount in more.parts) if more else ()
        may_miss = more.may_miss if more else served.may_miss
        orders.append(ServedOrder(served.order, (*served.parts, *came), may_miss=may_miss))
    whole = replace(
        past,
        batches=(*past.batches, *sorted(later, key=lambda b: (b.start, b.unit))),
        deliveries=(
            *past.deliveries,
            *(Delivery(d.state, d.time + now, d.amount) for d in rest.deliveries),
        ),
        orders=tuple(orders),
    )
    whole = replace(whole, final_stock=final_stock_of(whole, plant))
    broken = find_violations(whole, plant)
    if broken:
        raise InvalidScheduleError(
            "reschedule: what was planned does not continue what has happened:\n  - "
            + "\n  - ".join(violation.message for violation in broken[:10])
        )
    return whole


def _answered(
    found: ScheduleSearch,
    whole: Schedule | None,
    under_way: UnderWay,
    old: tuple[Batch, ...],
    rest: _Rest,
    same: float,
) -> Rescheduling:
    """Say what a whole schedule changes."""
    new = [] if whole is None else [b for b in whole.batches if b not in under_way.past.batches]
    left, network, horizon = list(new), under_way.day, under_way.past.horizon
    rows: list[tuple[str, _Run | None, _Run | None]] = [("late", b, a) for a, b in under_way.late]
    rows += [("lost", None, batch) for batch in under_way.lost]
    moved = []
    for number, batch in enumerate(old if whole is not None else ()):
        kept = next((b for b in left if is_same_batch(batch, b, network, horizon)), None)
        if kept is None:
            moved.append((number, batch))
        else:
            left.remove(kept)
            rows.append(("kept", kept, batch))
    for _, batch in moved:
        alike = [b for b in left if b.task == batch.task]
        to = min(alike, key=lambda b: (abs(b.start - batch.start), b.start), default=None)
        if to is not None:
            left.remove(to)
        rows.append(("dropped" if to is None else "moved", to, batch))
    rows += [("new", batch, None) for batch in left]
    fields = {f: getattr(found, f) for f in ScheduleSearch.__dataclass_fields__}
    return Rescheduling(
        **fields | {"schedule": whole},
        plant=under_way.day,
        changes=_table(rows),
        moved=tuple(batch for number, batch in moved if number in rest.must),
    )


def _table(rows: list[tuple[str, _Run | None, _Run | None]]) -> pd.DataFrame:
    names = ["task", "unit", "start", "finish", "size"]
    lines = []
    for change, now, was in rows:
        line: dict[str, object] = {"change": change}
        line |= {name: getattr(now, name, None) for name in names}
        line |= {f"was_{name}": getattr(was, name, None) for name in names[1:]}
        either = now or was
        assert either is not None
        line["task"] = either.task
        lines.append((either.start, line))
    lines.sort(key=lambda pair: (pair[0], str(pair[1]["task"])))
    columns = ["change", *names, *(f"was_{name}" for name in names[1:])]
    return pd.DataFrame([line for _, line in lines], columns=columns)
