"""Searching for the best schedule over event points and spans, and proving that it is the best."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pyomo.environ as pyo

from stnopt.errors import InvalidInputError
from stnopt.plant.problem import Problem
from stnopt.plant.reachability import batches_after, batches_before
from stnopt.scheduling.model import (
    Formulation,
    Objective,
    build_scheduling_model,
    check_deliveries,
    check_targets,
    extract_schedule,
    require_value,
    set_objective,
)
from stnopt.scheduling.search.bounds import (
    MAXIMISED,
    ask,
    bound_makespan,
    demand,
    lies_on_short_grid,
    solve_for_any_schedule,
)
from stnopt.scheduling.search.event_assignment import number_events
from stnopt.solvers.solve import SolveResult, Status, relative_gap_between, solve, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Delivery
    from stnopt.scheduling.schedule import Schedule

#: Doublings of the makespan's upper bound before giving up on a demand.
_MOST_DOUBLINGS = 6
#: Unless said otherwise, proving may take this many times as long as the search did, or this long.
_PROOF_SHARE = 3.0
_LEAST_PROOF_LIMIT = 20.0
#: Share of it that a time grid may take before event points are tried, and that all models without
#: event points may take before the search has ended.
_FIRST_SHARE = 0.25
_MIDWAY_SHARE = 1 / 3
#: Where a solve takes more nodes than this, a longer span is tried before one more event. (Nodes,
#: not seconds: what is tried must not depend on the machine's load.)
_COSTLY = 500
#: Where a solve takes more nodes than this, the next one is asked for something better only.
_LONG_PROOF = 100
#: Where the shortest makespan takes more nodes than this, its bound for any schedule comes first.
_COSTLY_MAKESPAN = 100
#: Then schedules as short as that are sought, or longer by this share, and between until both are
#: as close as that; each on so many more event points at most, within so many nodes. Not where a
#: schedule is known that is farther than that from the bound.
_LONGER, _CLOSE, _NEAR = 0.32, 0.02, 0.03
_MORE_EVENTS = 3
_SHORT_LOOK = 1000
#: Gap of the stock that they keep: it is to be small, and need not be the smallest.
_ANY_STOCK = 0.9
#: Of the time that is left, a solve may take this share once there is a schedule to prove.
_SHARE_OF_TIME = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What has been proven about a schedule, and for what.

    Attributes
    ----------
    scope : {"these event points", "any schedule"}
        Whether `bound` holds for schedules on this many event points with this span, or for every
        schedule of the plant, whatever its event points. "any schedule" is said only where that
        bound lies within the relative gap of the schedule, or where no schedule exists at all.
    n_events, max_span : int
    bound : float or None
        No schedule in that scope is better.
    any_schedule_bound : float or None
        No schedule at all is better. Known also where it is too far from the schedule to close the
        gap; None if nothing was proven.
    """

    scope: Literal["these event points", "any schedule"]
    n_events: int
    max_span: int
    bound: float | None
    any_schedule_bound: float | None = None


class Attempt(NamedTuple):
    """One solve of a search, and what it cost.

    Attributes
    ----------
    n_events, max_span : int
        For "time_grid" and "intervals": how many intervals, and 0.
    status : Status
    objective : float or None
    seconds : float
        Building and solving.
    formulation : {"unit_events", "state_sequence", "time_grid", "intervals"}
        The last two know no event points: what they say holds for any schedule.
    """

    n_events: int
    max_span: int
    status: Status
    objective: float | None
    seconds: float
    formulation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSearch:
    """The best schedule found, if any, and how it was found.

    Attributes
    ----------
    schedule : Schedule or None
        Replayed and free of violations.
    result : SolveResult
        Of the solve that found it, or of the last one if none did.
    proof : Proof
    n_events, max_span : int
        Of the model behind `result`. If that has no event points (a time grid, or intervals): those
        on which the unit-event model can describe the schedule.
    tried : tuple of Attempt
        Every solve of the search, in order. Some were asked for something better only: INFEASIBLE
        there means that nothing better exists on those event points.
    search_time, proof_time : float
        Seconds until the schedule was found, and seconds spent after that on showing that there is
        none better.
    """

    schedule: Schedule | None
    result: SolveResult
    proof: Proof
    n_events: int
    max_span: int
    tried: tuple[Attempt, ...]
    search_time: float = 0.0
    proof_time: float = 0.0


def find_schedule(
    network: Network,
    *,
    horizon: float | None = None,
    objective: Objective = "profit",
    targets: Mapping[str, float] | None = None,
    sense: Literal["at_least", "exactly"] = "at_least",
    deliveries: Iterable[Delivery] = (),
    n_events: int | None = None,
    max_span: int | None = None,
    time_limit: float | None = None,
    proof_limit: float | None = None,
    relative_gap: float = 1e-4,
    formulation: Formulation = "unit_events",
) -> ScheduleSearch:
    """Find the best schedule; choose the event points and the span unless they are given.

    Where all times of the plant lie on a grid of few points, an exact grid model finds the schedule
    and proves it. Otherwise the search adds event points while they help, and lengthens the span
    where that is cheaper. When an attempt gives nothing better, a model without event points is
    asked whether there is anything better at all. If it says no, the search ends, with a proof for
    any schedule. If it cannot tell within a third of `proof_limit`, the search goes on, and ends
    when neither one more event point nor spans longer by one and by two give anything better. A
    makespan that takes long is bounded for any schedule first, and one as short as that is sought.

    Parameters
    ----------
    network : Network
    horizon : float, optional
        In the plant's time unit. For makespan an upper bound, which may be left out.
    objective : {"profit", "production", "cost", "makespan"}
    targets : mapping, optional
        Amounts that the schedule must end with.
    sense : {"at_least", "exactly"}
    deliveries : iterable of Delivery
        Amounts that leave the plant at given times.
    n_events, max_span : int, optional
        Fix what the search would choose.
    time_limit : float, optional
        Seconds for the whole search; the best so far is returned.
    proof_limit : float, optional
        Seconds for models without event points; 0 leaves them out. Left out: three times what the
        search has taken so far, at least 20; if both `n_events` and `max_span` are given, for the
        bound of a makespan only.
    relative_gap : float
        For each solve, and the least improvement that keeps the search going.
    formulation : {"unit_events", "state_sequence"}
        As in `build_scheduling_model`; a time grid has no event points to search for.

    Returns
    -------
    ScheduleSearch

    Raises
    ------
    InvalidInputError
        No horizon for another objective than makespan, makespan or cost without targets or
        deliveries, or a target or delivery that the plant cannot be asked for.
    """
    if formulation == "time_grid":
        raise InvalidInputError(
            "formulation 'time_grid' has no event points to search for: solve it with "
            "build_scheduling_model, n_events = horizon / width of the grid"
        )
    if proof_limit is not None and not proof_limit >= 0:
        raise InvalidInputError(f"proof_limit must be seconds of at least 0, got {proof_limit}")
    problem = Problem(
        objective=objective,
        horizon=horizon,
        targets=targets or {},
        sense=sense,
        deliveries=tuple(deliveries),
    )
    if objective in ("makespan", "cost") and not (problem.targets or problem.deliveries):
        raise InvalidInputError(f"objective {objective!r} needs targets: without them, do nothing")
    check_targets(network, problem.targets)
    check_deliveries(network, problem.deliveries, horizon=horizon)
    settings: dict[str, Any] = {
        "n_events": n_events,
        "max_span": max_span,
        "deadline": None if time_limit is None else time.perf_counter() + time_limit,
        "proof_limit": proof_limit,
        "relative_gap": relative_gap,
        "formulation": formulation,
    }
    if horizon is not None:
        return _search(network, problem, **settings)
    if objective != "makespan":
        raise InvalidInputError(f"objective {objective!r} needs a horizon")
    return _find_without_horizon(network, problem, **settings)


def _search(
    network: Network,
    problem: Problem,
    *,
    n_events: int | None,
    max_span: int | None,
    deadline: float | None,
    proof_limit: float | None,
    relative_gap: float,
    formulation: Formulation,
) -> ScheduleSearch:
    attempts = _Attempts(
        network=network,
        problem=problem,
        deadline=deadline,
        proof_limit=proof_limit,
        relative_gap=relative_gap,
        formulation=formulation,
        may_choose=n_events is None and max_span is None,
        may_ask=proof_limit is not None or n_events is None or max_span is None,
    )
    if n_events is None:
        attempts.climb(fewest_events(network, problem.targets), max_span)
    else:
        attempts.widen(n_events, max_span)
    attempts.ask_for_any_schedule()
    return attempts.outcome()


@dataclass(slots=True, kw_only=True)
class _Attempts:
    """The solves of one search: each asks for something better than the best so far.

    `any_bound` holds for every schedule; `settled` says that it closes the gap, or that no schedule
    exists; `may_choose` that the caller left the event points and the span open, `may_ask` that
    models without event points may follow the search. `asked` is the value that any schedule was
    last asked to beat, and the share of the time that this was given; `n_nodes` what the last solve
    took; `bounded` that a makespan was bounded for any schedule.
    """

    network: Network
    problem: Problem
    deadline: float | None
    proof_limit: float | None
    relative_gap: float
    formulation: Formulation
    may_choose: bool
    may_ask: bool
    started: float = field(default_factory=time.perf_counter)
    found_after: float = 0.0
    proof_spent: float = 0.0
    best: ScheduleSearch | None = None
    last: ScheduleSearch | None = None
    any_bound: float | None = None
    settled: bool = False
    asked: tuple[float | None, float] | None = None
    n_nodes: int = 0
    bounded: bool = False
    tried: list[Attempt] = field(default_factory=list)

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.perf_counter() >= self.deadline

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    @property
    def maximises(self) -> bool:
        return self.problem.objective in MAXIMISED

    def solve(self, n_events: int, max_span: int, *, max_nodes: int | None = None) -> bool:
        """Solve for something better than the best so far; say whether there is."""
        started = time.perf_counter()
        better = self._better_than_best()
        # A limit on the value makes a long proof shorter, and a short search for it longer.
        limited = self.n_nodes > _LONG_PROOF or self.problem.objective == "makespan"
        model = self._build(n_events, max_span, better if limited else None)
        remaining = None
        if self.deadline is not None:
            remaining = max(self.deadline - time.perf_counter(), 0.01)
            if self.best is not None:
                remaining *= _SHARE_OF_TIME
        result = solve(
            model,
            time_limit=remaining,
            relative_gap=self.relative_gap,
            node_limit=max_nodes,
        )
        # The solver's own tolerance may let the limit through with nothing gained.
        gains = result.has_solution and (better is None or self._gain(result) >= self._step / 2)
        no_bound = result.bound is None
        none_better = (
            better is not None
            and not gains
            and result.status in (Status.INFEASIBLE, Status.OPTIMAL)
        )
        schedule = extract_schedule(model, self.network) if result.has_solution else None
        bound = better if none_better and (limited or no_bound) else result.bound
        self._note(n_events, max_span, result, schedule, bound=bound, started=started)
        assert self.last is not None
        if gains:
            self._keep(self.last)
        elif none_better and self.best is not None:
            # The best schedule fits these event points as well, and the bound now covers them.
            self.best = replace(self.best, proof=self.last.proof)
        self.n_nodes = result.n_nodes or 0
        return gains

    def _note(
        self,
        n_events: int,
        max_span: int,
        result: SolveResult,
        schedule: Schedule | None,
        *,
        bound: float | None,
        started: float,
    ) -> None:
        """Make what a solve on event points showed the last of the search."""
        self.last = ScheduleSearch(
            schedule=schedule and replace(schedule, horizon=self._horizon),
            result=result,
            proof=Proof(
                scope="these event points", n_events=n_events, max_span=max_span, bound=bound
            ),
            n_events=n_events,
            max_span=max_span,
            tried=(),
        )
        seconds = time.perf_counter() - started
        self.tried.append(
            Attempt(n_events, max_span, result.status, result.objective, seconds, self.formulation)
        )

    @property
    def _horizon(self) -> float:
        assert self.problem.horizon is not None
        return self.problem.horizon

    def _build(self, n_events: int, max_span: int, better: float | None) -> pyo.ConcreteModel:
        """Build a model that asks for this value at least (or at most)."""
        problem = self.problem
        if problem.objective == "makespan" and better is not None:
            # Nothing better ends later: a shorter horizon tightens the model and excludes nothing.
            latest = max((delivery.time for delivery in problem.deliveries), default=0.0)
            shorter = min(self._horizon, max(better, latest))
            problem = replace(problem, horizon=shorter if shorter > 0 else self._horizon)
        assert problem.horizon is not None
        model = build_scheduling_model(
            self.network,
            horizon=problem.horizon,
            n_events=n_events,
            max_span=max_span,
            formulation=self.formulation,
        )
        ask(model, problem)
        if better is not None:
            side = "at_least" if self.maximises else "at_most"
            require_value(model, problem.objective, **{side: better})
        return model

    def _keep(self, found: ScheduleSearch) -> None:
        self.best = found
        self.found_after = self.elapsed
        self.settled = self._closes(self.any_bound)

    def _closes(self, bound: float | None) -> bool:
        if self.best is None or bound is None:
            return False
        objective = self.best.result.objective
        return status_of(objective, bound, relative_gap=self.relative_gap) is Status.OPTIMAL

    def _better_than_best(self) -> float | None:
        if self.best is None or self.best.result.objective is None:
            return None
        value = self.best.result.objective
        return value + self._step if self.maximises else value - self._step

    @property
    def _step(self) -> float:
        """Least improvement on the best that counts; more than rounding, whatever the best is."""
        assert self.best is not None
        assert self.best.result.objective is not None
        largest = max(fit.max_batch for fit in self.network.suitabilities)
        worth = max(abs(s.price) + s.cost for s in self.network.states.values())
        scale = {"makespan": self._horizon, "production": largest}.get(
            self.problem.objective, largest * (worth or 1.0)
        )
        return max(self.relative_gap * abs(self.best.result.objective), 1e-6 * scale)

    def _gain(self, result: SolveResult) -> float:
        assert self.best is not None
        assert self.best.result.objective is not None
        assert result.objective is not None
        more = result.objective - self.best.result.objective
        return more if self.maximises else -more

    def improve(
        self, n_events: int, max_span: int, *, more_events: int = 0
    ) -> tuple[int, int] | None:
        """Solve for something better than the best so far; say on which events and span it is.

        Which schedule is the shortest is a far harder question than whether there is one within a
        horizon. Where it turns out to be, the bound for any schedule says which horizon to ask for.
        """
        known = None if self.best is None else self.best.result
        if (
            self.problem.objective == "makespan"
            and self.formulation == "unit_events"
            and not self.bounded
            and self.proof_limit != 0
        ):
            self.solve(n_events, max_span, max_nodes=_COSTLY_MAKESPAN)
            assert self.last is not None
            if self.last.result.status not in (Status.OPTIMAL, Status.INFEASIBLE):
                self._bound_makespan(self._remaining_proof_limit())
                before = self.best
                self._shorten([(n_events + more, max_span) for more in range(more_events + 1)])
                if self.best is not None and self.best is not before:
                    n_events, max_span = self.best.n_events, self.best.max_span
                if not (self.settled or self.late):
                    self.solve(n_events, max_span)
        else:
            self.solve(n_events, max_span)
        return None if self.best is None or self.best.result is known else (n_events, max_span)

    def _bound_makespan(self, limit: float) -> None:
        """Bound the makespan for any schedule, once; say so if that settles the search."""
        if self.bounded or limit <= 0:
            return
        started = time.perf_counter()
        self.bounded = True
        known = None if self.best is None else self.best.result.objective
        self._tighten(
            bound_makespan(
                self.network,
                self.problem,
                known=known,
                time_limit=limit,
                relative_gap=self.relative_gap / 2,
            )
        )
        self.settled = self._closes(self.any_bound)
        if self.best is None and (self.any_bound or 0.0) >= self._horizon:
            self.settled = True
            self._conclude_infeasible(SolveResult(status=Status.INFEASIBLE))
        self.proof_spent += time.perf_counter() - started

    def _shorten(self, places: list[tuple[int, int]]) -> None:
        """Look for a schedule as short as the bound; else close in on how short it can be.

        A schedule that is there already and much longer says that the bound will not be reached.
        """
        if self.any_bound is None or self.settled:
            return
        low = self.any_bound
        if self.best is not None and (self.best.result.objective or 0.0) > low * (1 + _NEAR):
            return
        horizons = [low * (1 + self.relative_gap / 2), low * (1 + _LONGER)]
        while horizons and not (self.settled or self.late):
            horizon = min(horizons.pop(0), self._horizon)
            known = None if self.best is None else self.best.result.objective
            if known is not None and horizon >= known:
                continue
            found = next(
                (p for p in places if not self.late and self._solve_within(horizon, *p)), None
            )
            if found is None:
                low = horizon
            else:  # what did before may do again
                places.sort(key=lambda place: place != found)
            if self.best is None or self.best.result.objective is None:
                continue
            if not horizons and self.best.result.objective > low * (1 + _CLOSE):
                horizons = [(low + self.best.result.objective) / 2]

    def _solve_within(self, horizon: float, n_events: int, max_span: int) -> bool:
        """Look for any schedule within a horizon, and make its batches end as early as they can.

        One with little in stock at the event points is unlikely to break a capacity between them.
        """
        started = time.perf_counter()
        model = build_scheduling_model(
            self.network, horizon=horizon, n_events=n_events, max_span=max_span
        )
        demand(model, self.problem)
        limited = [s for s in model.storage_in_time.index_set() if model.stock[s, n_events].ub > 0]
        model.objective = pyo.Objective(
            expr=sum(
                model.stock[s, point] / model.stock[s, n_events].ub
                for s in limited
                for point in model.POINTS
            )
        )
        remaining = None
        if self.deadline is not None:
            remaining = max(self.deadline - time.perf_counter(), 0.01)
        result = solve(
            model,
            time_limit=remaining,
            relative_gap=_ANY_STOCK,
            node_limit=_SHORT_LOOK,
        )
        schedule = None
        if result.has_solution:
            for run in model.run.values():
                run.fix(round(run.value))
            set_objective(model, "makespan")
            solve(model, time_limit=remaining, relative_gap=self.relative_gap, warm_start=True)
            schedule = extract_schedule(model, self.network)
            makespan = max((batch.finish for batch in schedule.batches), default=0.0)
            result = replace(
                result,
                status=status_of(makespan, self.any_bound, relative_gap=self.relative_gap),
                objective=makespan,
                bound=self.any_bound,
                gap=relative_gap_between(makespan, self.any_bound),
            )
        self._note(n_events, max_span, result, schedule, bound=self.any_bound, started=started)
        if schedule is None:
            return False
        assert self.last is not None
        self._keep(self.last)
        return True

    def widen(self, n_events: int, max_span: int | None) -> None:
        """Keep the event points; lengthen the span while that helps, unless it is given."""
        span = max_span or 0
        self.improve(n_events, span)
        while max_span is None and span + 1 < n_events and not (self.late or self.settled):
            span += 1
            if not self.improve(n_events, span):
                break

    def climb(self, start: int, max_span: int | None) -> None:
        """Add events while that helps; where it does not, or is costly, try longer spans.

        A model without event points is asked as soon as an attempt gave nothing better, and when
        only a longer span did: that is where one more event point is far costlier.
        """
        if self.may_choose and lies_on_short_grid(self.network, self.problem):
            self.ask_for_any_schedule(_FIRST_SHARE)
            if self.settled:
                return
        n_events, span = start, max_span or 0
        # Without any schedule yet, one event more is the cheaper question.
        found = self.improve(n_events, span, more_events=_MORE_EVENTS)
        n_events, span = found or (n_events, span)
        stalled = found is None and self.best is not None
        fruitless = 0
        while not (self.late or self.settled):
            if stalled:
                self.ask_for_any_schedule(_MIDWAY_SHARE)
            found = None
            for place in self._candidates(n_events, span, free=max_span is None):
                if self.settled or self.late:
                    return
                found = self.improve(*place, more_events=_MORE_EVENTS)
                if found is not None:
                    break
                self.ask_for_any_schedule(_MIDWAY_SHARE)
            if found is not None:
                stalled = found[1] > span
                n_events, span = found
                continue
            # Too few event points make a demand infeasible rather than worse: without any schedule
            # the search goes on for a while.
            n_events += 1
            fruitless += 1
            if self.best is not None or self.settled or fruitless > start + 2:
                return

    def _candidates(self, n_events: int, span: int, *, free: bool) -> list[tuple[int, int]]:
        """List what to try next: one event more, then longer spans; cheaper ones first."""
        places = [(n_events + 1, span)]
        if free:
            places += [(n_events + 1, s) for s in range(span + 1, min(span + 3, n_events + 1))]
            if self.best is not None and self.n_nodes > _COSTLY and span + 1 < n_events:
                places.insert(0, (n_events, span + 1))
        return places

    def ask_for_any_schedule(self, share: float = 1.0) -> None:
        """Ask whether there is anything better on any event points: once, and again at the end."""
        value = None if self.best is None else self.best.result.objective
        limit = self._remaining_proof_limit(share)
        asked_before = self.asked is not None and self.asked[0] == value and self.asked[1] >= share
        if self.settled or asked_before or limit <= 0 or not self.may_ask:
            return
        self.asked = (value, share)
        if self.best is not None and self.problem.objective == "makespan":
            self._bound_makespan(_SHARE_OF_TIME * limit)
            limit = self._remaining_proof_limit(share)
        if not self.settled and limit > 0:
            started = time.perf_counter()
            self._ask_for_better(limit)
            self.proof_spent += time.perf_counter() - started

    def _remaining_proof_limit(self, share: float = 1.0) -> float:
        if self.formulation != "unit_events":
            return 0.0
        limit = self.proof_limit
        if limit is None:
            searching = self.elapsed - self.proof_spent
            limit = max(_LEAST_PROOF_LIMIT, _PROOF_SHARE * searching)
        limit = share * limit - self.proof_spent
        if self.deadline is not None:
            limit = min(limit, self.deadline - time.perf_counter())
        return limit

    def _ask_for_better(self, limit: float) -> None:
        better = self._better_than_best()
        started = time.perf_counter()
        answer = solve_for_any_schedule(
            self.network,
            self.problem,
            better_than=better,
            time_limit=limit,
            relative_gap=self.relative_gap,
        )
        if answer is None:
            return
        result, seconds = answer.result, time.perf_counter() - started
        self.tried.append(
            Attempt(
                answer.n_points, 0, result.status, result.objective, seconds, answer.formulation
            )
        )
        if result.status is Status.INFEASIBLE:
            self._tighten(better)
            self.settled = True
            if self.best is None:
                self._conclude_infeasible(result)
            return
        if result.bound is not None and better is not None:
            # Whatever is no better than the best lies on its side of the limit.
            worst = max if self.maximises else min
            self._tighten(worst(result.bound, better))
        else:
            self._tighten(result.bound)
        if answer.schedule is None or not self.may_choose:
            self.settled = self._closes(self.any_bound)
        elif better is None or self._gain(result) >= self._step / 2:
            n_events, span = number_events(answer.schedule, self.network)
            self._keep(
                ScheduleSearch(
                    schedule=answer.schedule,
                    result=result,
                    proof=Proof(
                        scope="these event points",
                        n_events=n_events,
                        max_span=span,
                        bound=self.any_bound,
                    ),
                    n_events=n_events,
                    max_span=span,
                    tried=(),
                )
            )

    def _tighten(self, bound: float | None) -> None:
        """Take a bound that holds for any schedule, if it says more than the one known."""
        if bound is None or not math.isfinite(bound):
            return
        tighter = min if self.maximises else max
        self.any_bound = bound if self.any_bound is None else tighter(bound, self.any_bound)

    def _conclude_infeasible(self, result: SolveResult) -> None:
        """No schedule exists at all."""
        tried_on = self.last.proof if self.last is not None else None
        proof = Proof(
            scope="any schedule",
            n_events=tried_on.n_events if tried_on else 0,
            max_span=tried_on.max_span if tried_on else 0,
            bound=None,
        )
        self.last = ScheduleSearch(
            schedule=None,
            result=result,
            proof=proof,
            n_events=proof.n_events,
            max_span=proof.max_span,
            tried=(),
        )

    def outcome(self) -> ScheduleSearch:
        """Return the best, or what the last solve showed if there is none."""
        found = self.best or self.last
        assert found is not None, "every search solves at least once"
        proof = replace(found.proof, any_schedule_bound=self.any_bound)
        if self.best is not None and self.settled:
            proof = replace(proof, scope="any schedule", bound=self.any_bound)
        elif self.best is not None and self.any_bound is not None:
            # What holds for any schedule holds on these event points.
            known = [self.any_bound] if proof.bound is None else [self.any_bound, proof.bound]
            proof = replace(proof, bound=min(known) if self.maximises else max(known))
        elapsed = self.elapsed
        found_after = self.found_after if self.best is not None else elapsed
        return replace(
            found,
            proof=proof,
            tried=tuple(self.tried),
            search_time=found_after,
            proof_time=elapsed - found_after,
        )


def fewest_events(network: Network, targets: Mapping[str, float] | None = None) -> int:
    """Return the fewest event points on which all that is sold (or every target) can be made.

    Starting with fewer would let a cheap product that is soon made end the search on a plateau.
    """
    wanted = list(targets or {}) or [s.name for s in network.states.values() if s.price > 0]
    first, before = batches_before(network)
    _, after = batches_after(network, wanted)
    deepest = max((before[s] for s in wanted if math.isfinite(before[s])), default=1.0)
    fewest = max(1, int(deepest))
    if not targets:
        return fewest
    idle = {
        unit: _least(first[f.task] for f in network.suitabilities if f.unit == unit)
        + _least(
            after[s]
            for f in network.suitabilities
            if f.unit == unit
            for s in network.tasks[f.task].produces
        )
        for unit in network.units
    }
    return max(fewest, _fewest_for_amounts(network, targets, idle))


def _least(numbers: Iterable[float]) -> float:
    least = min(numbers)
    return least if math.isfinite(least) else 0.0


def _fewest_for_amounts(
    network: Network, targets: Mapping[str, float], idle: Mapping[str, float]
) -> int:
    """Return how many event points the busiest unit needs for what the targets ask of it.

    min N: sum of amount / max_batch over the tasks of a unit that is used <= N - the event points
    at which it is too early or too late for all of them; what is made and used leaves every target.
    """
    most = max(fit.max_batch for fit in network.suitabilities)
    asked = sum(targets.values())
    m = pyo.ConcreteModel()
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    large = 100.0 * (asked + most)
    m.amount = pyo.Var(list(fits), bounds=(0.0, large))
    m.used = pyo.Var(list(network.units), domain=pyo.Binary)
    m.n_events = pyo.Var(bounds=(1.0, 1e6))
    m.objective = pyo.Objective(expr=m.n_events)
    m.limits = pyo.ConstraintList()
    for key in fits:
        m.limits.add(m.amount[key] <= large * m.used[key[1]])
    for unit in network.units:
        batches = sum(m.amount[key] / fit.max_batch for key, fit in fits.items() if key[1] == unit)
        m.limits.add(batches <= m.n_events - idle[unit] * m.used[unit])
    for state in network.states.values():
        if state.unlimited:
            continue
        balance = sum(
            (
                network.tasks[task].produces.get(state.name, 0.0)
                - network.tasks[task].consumes.get(state.name, 0.0)
            )
            * m.amount[task, unit]
            for task, unit in fits
        )
        m.limits.add(state.initial + balance >= targets.get(state.name, 0.0))
    result = solve(m, time_limit=5.0)
    return math.ceil(result.bound - 1e-6) if result.bound is not None else 1


def suggest_events(
    network: Network, *, horizon: float, n_events: int | None, max_span: int | None
) -> tuple[int, int]:
    """Choose event points and span on which the plant reaches its largest production or profit."""
    objective: Objective = "production" if network.products else "profit"
    found = find_schedule(
        network,
        horizon=horizon,
        objective=objective,
        n_events=n_events,
        max_span=max_span,
        proof_limit=0,
    )
    return found.n_events, found.max_span


def _find_without_horizon(
    network: Network,
    problem: Problem,
    *,
    n_events: int | None,
    max_span: int | None,
    deadline: float | None,
    proof_limit: float | None,
    relative_gap: float,
    formulation: Formulation,
) -> ScheduleSearch:
    """Shortest makespan without an upper bound: double a first guess until the demand fits."""
    started = time.perf_counter()
    longest = max(fit.duration(fit.max_batch) for fit in network.suitabilities)
    amount = sum(problem.targets.values()) + sum(d.amount for d in problem.deliveries)
    largest = max(fit.max_batch for fit in network.suitabilities)
    latest = max((delivery.time for delivery in problem.deliveries), default=0.0)
    guess = latest + longest * (2 + len(network.tasks) + amount / largest)
    tried = 0.0
    for _ in range(_MOST_DOUBLINGS):
        before = time.perf_counter() - started
        found = _search(
            network,
            replace(problem, horizon=guess),
            n_events=n_events,
            max_span=max_span,
            deadline=deadline,
            proof_limit=proof_limit,
            relative_gap=relative_gap,
            formulation=formulation,
        )
        tried = guess
        if found.schedule is not None or (deadline and time.perf_counter() >= deadline):
            break
        guess *= 2
    if found.result.status is Status.INFEASIBLE:
        # No horizon that was tried is long enough; another might be.
        undecided = SolveResult(status=Status.NO_SOLUTION, message=f"none within {tried:g}")
        proof = replace(found.proof, scope="these event points")
        found = replace(found, result=undecided, proof=proof)
    return replace(found, search_time=before + found.search_time)
