"""Planning anew while a schedule is under way: what has happened stays, what was announced may."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import pyomo.environ as pyo

from stnopt.arguments import (
    FUNCTION,
    INSTANT,
    NON_NEGATIVE,
    SECONDS,
    as_tuple,
    check_arguments,
    many,
    optional,
)
from stnopt.errors import InvalidInputError, InvalidScheduleError
from stnopt.plant.calendar import parse_instant
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
)
from stnopt.scheduling.search.event_assignment import number_events
from stnopt.scheduling.search.find_schedule import check_problem, find_schedule
from stnopt.scheduling.search.kept import is_same_batch, put_back, watch_batches
from stnopt.scheduling.search.question import Question, missing_share
from stnopt.scheduling.search.result import Attempt, Proof, ScheduleSearch, Scope, Stopped
from stnopt.solvers.result import SolveResult, Status
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


#: Event points that are added at most to those of the old schedule.
_MORE_EVENTS = 4
#: Room for rounding in a share or a count that is held.
_ROUNDING = 1e-9
#: Less than this is no gain.
_NO_GAIN = 1e-6
#: What can become of a batch, as the table of changes says it.
_CHANGES = ("late", "lost", "kept", "moved", "dropped", "new")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
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
    moved_scope : {"any schedule", "these event points"} or None
        For what it is proven that no fewer could be moved: for any schedule where none is moved,
        else for the event points that were tried at most. None: a limit came first.
    """

    plant: Network
    changes: pd.DataFrame
    moved: tuple[Batch, ...] = ()
    moved_scope: Scope | None = None

    @property
    def summary(self) -> str:
        """What becomes of the old schedule, and what is proven of that, in words."""
        return self.summarise("{:g}".format)

    def summarise(self, tell_time: Callable[[float], str]) -> str:
        """Return the summary with times as they are told, such as clock times."""
        check_arguments(tell_time=(tell_time, FUNCTION))
        counts = self.changes["change"].value_counts()
        told = [f"{counts[what]} {what}" for what in _CHANGES if counts.get(what)]
        text = f"{', '.join(told) or 'nothing left to do'}."
        if self.schedule is None or not self.moved:
            return text
        names = ", ".join(f"{b.task} on {b.unit} at {tell_time(b.start)}" for b in self.moved)
        text += f" {len(self.moved)} that should stay cannot: {names}."
        if self.moved_scope is None:
            return f"{text} A limit came before it was settled whether fewer would do."
        points = f"{self.proof.n_events} event points with span {self.proof.max_span}"
        return f"{text} Fewer are not possible on {points}; for more event points it is not proven."


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
    fewest_proven: bool = False  # that no fewer can be moved on the event points tried


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
    problems: list[str] = []
    same = time_tolerance(schedule.horizon)
    asked = schedule.horizon if problem.objective == "makespan" else problem.horizon
    if asked is not None and abs(asked - schedule.horizon) > same:
        problems.append(
            f"reschedule: the problem's horizon, {asked:g}, is not that of the old schedule, "
            f"{schedule.horizon:g}"
        )
    problem = replace(problem, horizon=schedule.horizon, start=problem.start or schedule.date)
    move_cost = checked_number(move_cost, "reschedule: move_cost", problems, least=0.0)
    now = read_time(at, "reschedule: at", problem, network, problems)
    until = now
    if keep_until is not None:
        until = read_time(keep_until, "reschedule: keep_until", problem, network, problems)
    if not problems and not 0 <= now < schedule.horizon:
        problems.append(
            f"reschedule: at must lie from 0 to before the horizon ({schedule.horizon:g}), "
            f"got {now:g}"
        )
    if not problems and keep_until is not None and until < now - same:
        problems.append(f"reschedule: keep_until, {until:g}, lies before at, {now:g}")
    if problems:
        raise InvalidInputError(problems)
    changes = tuple(changes)
    under_way = apply_changes(schedule, network, problem, now, changes)
    old = tuple(batch for batch in schedule.batches if batch.start > now + same)
    rest = _rest(under_way, problem, old, now, until, move_cost)
    continued = _continued(rest, schedule, now)
    if not changes and until >= schedule.horizon - same:
        value = schedule_value(continued, rest.question.network, rest.question.problem.objective)
        result = SolveResult(status=Status.FEASIBLE, objective=value)
        found = _search_of(result, missing=missing_share(continued))
        return _answered(found, schedule, under_way, old, rest)
    found, answer = _plan(rest, continued, time_limit, began)
    if answer is None:
        return _answered(found, None, under_way, old, rest)
    whole = _whole(under_way, answer.schedule, now, old)
    return _answered(found, whole, under_way, old, rest, fewest_proven=answer.fewest_proven)


def read_time(
    value: float | datetime | str,
    what: str,
    problem: Problem,
    network: Network,
    problems: list[str],
) -> float:
    """Return a time of the schedule, or of the clock: the first such one since time 0.

    What is wrong with it joins `problems`, under the name `what`; then it is NaN.
    """
    if not isinstance(value, datetime | str):
        return checked_number(value, what, problems)
    if problem.start is None:
        problems.append(
            f"{what}: {value!r} is a clock time; the problem's `start` must say when time 0 is"
        )
        return math.nan
    try:
        return parse_instant(value, problem.start, network.time_unit)
    except InvalidInputError as error:
        problems += [f"{what}: {line}" for line in error.problems]
        return math.nan


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
    horizon = under_way.past.horizon
    plant, asked = from_time(under_way.plant, asked, now)
    asked = replace(asked, objective=objective, orders=orders)
    misfits = state_problems(under_way.state, plant)
    if misfits:
        raise InvalidInputError([f"reschedule: {misfit}" for misfit in misfits])
    check_problem(plant, asked)
    same = time_tolerance(horizon)
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
        try:
            found = find_schedule(
                question.network, question.problem, start=question.start, time_limit=left
            )
        except KeyboardInterrupt:
            if best is None:
                raise
            nothing = SolveResult(status=Status.NO_SOLUTION, message="interrupted")
            found = replace(_search_of(nothing), stopped="interrupted")
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
    return not find_violations(schedule, question.network) and question.is_met_by(schedule)


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
        without = _judged(rest, fewer)._replace(fewest_proven=answer.fewest_proven)
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
    stopped: Stopped = "no further gain"
    for n_events in range(fewest, fewest + _MORE_EVENTS + 1):
        left = None if time_limit is None else time_limit - (time.perf_counter() - began)
        if left is not None and left <= 0.0:
            stopped = "time limit"
            break
        solving = time.perf_counter()
        asked = _Keeping(rest, n_events, span)
        try:
            asked.solve(left)
        except KeyboardInterrupt:
            if asked.answer is None and best is None and not _is_possible(continued, rest.question):
                raise
            stopped = "interrupted"
        result, found = asked.result, asked.answer
        seconds = time.perf_counter() - solving
        if time_limit is not None and time.perf_counter() - began >= time_limit:
            stopped = "time limit" if stopped != "interrupted" else stopped
        tried.append(
            Attempt(n_events, span, result.status, result.objective, seconds, "unit_events")
        )
        if found is None or (best is not None and not _is_better(found, best)):
            if best is not None or stopped == "interrupted":
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
        if stopped == "interrupted":
            break
    if best_search is None:
        message = "nothing on the event points that were tried"
        best_search = _search_of(SolveResult(status=Status.NO_SOLUTION, message=message))
    return replace(best_search, tried=tuple(tried), stopped=stopped), best


class _Keeping:
    """A model that knows what was announced: it moves as few as can be, then seeks the best.

    Attributes
    ----------
    result : SolveResult
        Of the last solve that found something.
    answer : _Answer or None
        The best so far, also where a solve was interrupted.
    """

    def __init__(self, rest: _Rest, n_events: int, max_span: int) -> None:
        self.rest, self.question = rest, rest.question
        self.model = self.question.build(
            "unit_events", horizon=self.question.horizon, n_events=n_events, max_span=max_span
        )
        watch_batches(self.model, rest.announced)
        self.question.demand(self.model)
        self.result = SolveResult(status=Status.NO_SOLUTION, message="a limit came first")
        self.answer: _Answer | None = None

    def solve(self, time_limit: float | None) -> None:
        """Move as few as can be, then miss as little, then seek the best."""
        deadline = None if time_limit is None else time.perf_counter() + time_limit
        moved, model = self.model.announced.moved, self.model
        proven = True
        if self.rest.must:
            fewest = sum(moved[number] for number in self.rest.must)
            least = self._minimise(fewest, deadline)
            if not least.has_solution:
                return
            proven = least.status is Status.OPTIMAL
            n_moved = round(least.objective or 0.0)
            model.announced.fewest = pyo.Constraint(expr=fewest <= n_moved + _ROUNDING)
            self._take(proven=proven)
        if self.question.problem.objective == "tardiness":
            least = self._minimise(model.missing_share, deadline)
            if not least.has_solution:
                return
            self._take(proven=proven)
            model.least_missing = pyo.Constraint(
                expr=model.missing_share <= max(0.0, least.objective or 0.0) + _ROUNDING
            )
        set_objective(model, self.question.problem.objective)
        if self.rest.move_cost:
            cost = self.rest.move_cost * sum(moved[number] for number in moved)
            sign = -1.0 if self.question.maximises else 1.0
            model.objective.set_value(model.objective.expr + sign * cost)
        if self._run(deadline).has_solution:
            self._take(proven=proven)

    def _minimise(self, expression: object, deadline: float | None) -> SolveResult:
        self.model.del_component("objective")
        self.model.objective = pyo.Objective(expr=expression)
        return self._run(deadline)

    def _run(self, deadline: float | None) -> SolveResult:
        left = None if deadline is None else max(0.1, deadline - time.perf_counter())
        result = solve(self.model, time_limit=left, warm_start=self.answer is not None)
        if result.has_solution or self.answer is None:
            self.result = result
        return result

    def _take(self, *, proven: bool) -> None:
        found = extract_schedule(self.model, self.question.network)
        read = _judged(self.rest, put_back(found, self.rest.announced, self.question.network))
        read = read._replace(fewest_proven=proven)
        if self.answer is None or _is_better(read, self.answer):
            self.answer = read


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
    *,
    fewest_proven: bool = False,
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
    broken = tuple(batch for number, batch in moved if number in rest.must)
    scope: Scope | None = "these event points" if fewest_proven else None
    if whole is not None and not broken:
        scope = "any schedule"
    fields = {f: getattr(found, f) for f in ScheduleSearch.__dataclass_fields__}
    return Rescheduling(
        **fields | {"schedule": whole},
        plant=under_way.day,
        changes=_table(rows),
        moved=broken,
        moved_scope=scope,
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
    table = pd.DataFrame([line for _, line in lines], columns=columns)
    numbers = [name for name in columns if name.removeprefix("was_") in names[2:]]
    return table.astype(dict.fromkeys(numbers, float))
