"""Searching over event points and spans: each solve asks for something better than the best."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.handle import scheduling_handle
from stnopt.scheduling.model import (
    Formulation,
    extract_schedule,
    require_value,
    set_objective,
)
from stnopt.scheduling.search.bounds import (
    bound_makespan,
    lies_on_short_grid,
    solve_for_any_schedule,
)
from stnopt.scheduling.search.capacity_bound import bound_by_capacity
from stnopt.scheduling.search.event_assignment import number_events
from stnopt.scheduling.search.horizon import latest_date, shorten_horizon
from stnopt.scheduling.search.limits import seconds_or_none
from stnopt.scheduling.search.question import why_not_long_horizon
from stnopt.scheduling.search.result import Attempt, Proof
from stnopt.solvers.result import SolveResult, Status, relative_gap_between, status_of
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from stnopt.plant.problem import Problem
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.global_bound import GlobalBound
    from stnopt.scheduling.search.incumbent import Incumbent
    from stnopt.scheduling.search.limits import SearchLimits
    from stnopt.scheduling.search.question import Question

#: Share of the proof's time that a time grid may take before event points are tried, and that all
#: models without event points may take before the search has ended.
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
class Solved:
    """What one solve on event points showed.

    Attributes
    ----------
    n_events, max_span : int
    result : SolveResult
    schedule : Schedule or None
        Replayed.
    proof : Proof
        For these event points, or for more on which nothing better was found later.
    """

    n_events: int
    max_span: int
    result: SolveResult
    schedule: Schedule | None
    proof: Proof


@dataclass(slots=True, kw_only=True)
class EventPointSearch:
    """A search over event points and spans, with models without event points beside it.

    Attributes
    ----------
    question : Question
    formulation : str
    limits : SearchLimits
    incumbent : Incumbent
    bound : GlobalBound
    may_choose : bool
        The caller left the event points and the span open.
    may_ask : bool
        Models without event points may be asked.
    keeps_on : bool
        A time limit was given: the search goes on until it is reached or the gap is closed.
    pause_after : float
        Seconds since the search began after which event points make room for another strategy.
    report : callable
        Told what is being tried.
    node_limit : int or None
        For each solve on event points. One that ends there with nothing better, once there is a
        schedule, ends the search: whatever comes next is harder.
    cut : bool
        Whether that ended it.
    best, last : Solved or None
        The solve that found the incumbent, and the last one.
    settled : bool
        The bound for any schedule closes the gap, or no schedule exists.
    impossible : bool
        No schedule exists at all.
    """

    question: Question
    formulation: Formulation
    limits: SearchLimits
    incumbent: Incumbent
    bound: GlobalBound
    may_choose: bool
    may_ask: bool
    keeps_on: bool
    pause_after: float
    report: Callable[[str], None]
    node_limit: int | None = None
    cut: bool = False
    best: Solved | None = None
    last: Solved | None = None
    settled: bool = False
    impossible: bool = False
    found_after: float = 0.0
    tried: list[Attempt] = field(default_factory=list)
    _asked: tuple[float | None, float] | None = None
    _n_nodes: int = 0
    _makespan_bounded: bool = False

    @property
    def _improved(self) -> str:
        improved = self.question.improve
        return self.problem.objective if improved == "objective" else improved

    @property
    def problem(self) -> Problem:
        """What is asked."""
        return self.question.problem

    @property
    def _ended(self) -> bool:
        stopped = self.settled or self.cut or self.limits.reached
        return stopped or self.limits.elapsed >= self.pause_after

    # --- strategies ------------------------------------------------------------------------------

    def widen(self, n_events: int, max_span: int | None) -> None:
        """Keep the event points; lengthen the span while that helps, unless it is given."""
        span = max_span or 0
        self._improve(n_events, span)
        while max_span is None and span + 1 < n_events and not self._ended:
            span += 1
            if self._improve(n_events, span) is None and not self.keeps_on:
                break

    def add_events(self, start: int, max_span: int | None, *, first_span: int = 0) -> None:
        """Add events while that helps; where it does not, or is costly, try longer spans.

        `first_span` is what the search begins with where none is given.

        A model without event points is asked as soon as an attempt gave nothing better, and when
        only a longer span did: that is where one more event point is far costlier.
        """
        if self.may_choose and lies_on_short_grid(self.question):
            self.ask_for_any_schedule(_FIRST_SHARE)
        if self._ended:
            return
        n_events, span = start, first_span if max_span is None else max_span
        # Without any schedule yet, one event more is the cheaper question.
        found = self._improve(n_events, span, more_events=_MORE_EVENTS)
        n_events, span = found or (n_events, span)
        stalled = found is None and self.best is not None
        fruitless = 0
        while not self._ended:
            if stalled:
                self.ask_for_any_schedule(_MIDWAY_SHARE)
            found = None
            for place in self._candidates(n_events, span, free=max_span is None):
                if self._ended:
                    return
                found = self._improve(*place, more_events=_MORE_EVENTS)
                if found is not None:
                    break
                self.ask_for_any_schedule(_MIDWAY_SHARE)
            if found is not None:
                stalled = found[1] > span
                n_events, span = found
                continue
            # Too few event points make a demand infeasible rather than worse: without any schedule
            # the search goes on for a while; with a time limit, until that.
            n_events += 1
            fruitless += 1
            gave_up = self.best is not None or fruitless > start + 2
            if self.settled or (gave_up and not self.keeps_on):
                return

    def _candidates(self, n_events: int, span: int, *, free: bool) -> list[tuple[int, int]]:
        """List what to try next: one event more, then longer spans; cheaper ones first."""
        places = [(n_events + 1, span)]
        if free:
            places += [(n_events + 1, s) for s in range(span + 1, min(span + 3, n_events + 1))]
            if self.best is not None and self._n_nodes > _COSTLY and span + 1 < n_events:
                places.insert(0, (n_events, span + 1))
        return places

    # --- one solve -------------------------------------------------------------------------------

    def _improve(
        self, n_events: int, max_span: int, *, more_events: int = 0
    ) -> tuple[int, int] | None:
        """Solve for something better than the best so far; say on which events and span it is.

        Which schedule is the shortest is a far harder question than whether there is one within a
        horizon. Where it turns out to be, the bound for any schedule says which horizon to ask for.
        """
        known = self.incumbent.schedule
        if (
            self.question.is_makespan
            and self.formulation == "unit_events"
            and not self._makespan_bounded
            and self.limits.proof_limit != 0
        ):
            self._solve(n_events, max_span, node_limit=_COSTLY_MAKESPAN)
            assert self.last is not None
            if self.last.result.status not in (Status.OPTIMAL, Status.INFEASIBLE):
                # Without a limit of the caller's this takes as long as it takes: everything after
                # depends on it, and must not depend on the machine's load.
                limits = self.limits
                unlimited = limits.time_limit is None and limits.proof_limit is None
                self._bound_makespan(math.inf if unlimited else self._seconds_for_proof())
                before = self.incumbent.schedule
                self._shorten([(n_events + more, max_span) for more in range(more_events + 1)])
                if self.best is not None and self.incumbent.schedule is not before:
                    n_events, max_span = self.best.n_events, self.best.max_span
                if not self._ended:
                    self._solve(n_events, max_span)
        else:
            self._solve(n_events, max_span)
        return None if self.incumbent.schedule is known else (n_events, max_span)

    def _solve(self, n_events: int, max_span: int, *, node_limit: int | None = None) -> bool:
        """Solve for something better than the best so far; say whether there is."""
        self.report(f"{n_events} event points, span {max_span}")
        started = self.limits.clock()
        better = self.incumbent.next_value
        # A limit on the value makes a long proof shorter, and a short search for it longer.
        limited = self._n_nodes > _LONG_PROOF or self.question.is_makespan
        model = self._build(n_events, max_span, better if limited else None)
        remaining = self._seconds_left()
        if remaining is not None and self.best is not None:
            remaining *= _SHARE_OF_TIME
        result = solve(
            model,
            time_limit=remaining,
            relative_gap=self.limits.relative_gap,
            node_limit=self.node_limit if node_limit is None else node_limit,
        )
        result, schedule = self._value(result, model)
        gains = result.objective is not None and self.incumbent.improves(result.objective)
        none_better = (
            better is not None
            and not gains
            and result.status in (Status.INFEASIBLE, Status.OPTIMAL)
        )
        unproven = none_better and (limited or result.bound is None)
        bound = better if unproven else result.bound
        self._record(n_events, max_span, result, schedule, bound=bound, started=started)
        assert self.last is not None
        if gains:
            self._update_incumbent(self.last)
        elif none_better and self.best is not None:
            # The best schedule fits these event points as well, and the bound now covers them.
            self.best = replace(self.best, proof=self.last.proof)
        self._n_nodes = result.n_nodes or 0
        limited = self.node_limit is not None and self._n_nodes >= self.node_limit
        self.cut = limited and not gains and self.best is not None
        return gains

    def solve_window(
        self,
        n_events: int,
        max_span: int,
        *,
        kept: Collection[tuple[str, str, int, int]],
        window: tuple[int, int],
        time_limit: float,
    ) -> tuple[bool, bool]:
        """Solve with the batches outside a window of event points as they are, for a better value.

        Parameters
        ----------
        n_events, max_span : int
        kept : collection of (task, unit, event point, span)
            The batches that run; those that lie outside the window do, and no others there.
        window : (first, last)
            Event points.
        time_limit : float
            Seconds.

        Returns
        -------
        better, ended : bool
            Whether something better was found, and whether the solve came to its end.
        """
        first, last = window
        self.report(f"{n_events} event points, span {max_span}: {first} to {last} free")
        started = self.limits.clock()
        model = self._build(n_events, max_span, self.incumbent.next_value)
        for key in model.BATCHES:
            task, _, event, span = key
            outside = event + span < first or event > last
            if outside and task in self.question.network.tasks:
                model.run[key].fix(int(key in kept))
        result = solve(model, time_limit=time_limit, relative_gap=self.limits.relative_gap)
        ended = result.status in (Status.INFEASIBLE, Status.OPTIMAL)
        result, schedule = self._value(result, model)
        if schedule is None or not self.incumbent.improves(result.objective or 0.0):
            return False, ended
        valued = (schedule, result.objective or 0.0)
        status = status_of(result.objective, self.bound.value, relative_gap=0.0)
        self.adopt(*valued, replace(result, bound=self.bound.value, status=status))
        seconds = self.limits.clock() - started
        self.tried.append(
            Attempt(n_events, max_span, result.status, valued[1], seconds, self.formulation)
        )
        return True, ended

    def _seconds_left(self) -> float | None:
        if self.limits.remaining is None or self.pause_after == math.inf:
            return self.limits.remaining
        return max(min(self.limits.remaining, self.pause_after - self.limits.elapsed), 0.01)

    def _value(
        self, result: SolveResult, model: pyo.ConcreteModel
    ) -> tuple[SolveResult, Schedule | None]:
        """Read and replay what a solve found, and take the objective from the schedule itself."""
        if not result.has_solution:
            return result, None
        valued = self.incumbent.valued(extract_schedule(model, self.question.network))
        if valued is None:
            reason = self.incumbent.rejected[0]
            return SolveResult(
                status=Status.ERROR, n_nodes=result.n_nodes, message=f"not a schedule: {reason}"
            ), None
        schedule, value = valued
        gap = self.limits.relative_gap
        return replace(
            result,
            objective=value,
            gap=relative_gap_between(value, result.bound),
            status=status_of(value, result.bound, relative_gap=gap),
        ), schedule

    def _build(self, n_events: int, max_span: int, better: float | None) -> pyo.ConcreteModel:
        """Build a model that asks for this value at least (or at most)."""
        horizon = self.question.horizon
        if self.question.is_makespan and better is not None:
            # Nothing better ends later: a shorter horizon tightens the model, excludes nothing.
            shorter = shorten_horizon(
                self.question, max(better, latest_date(self.problem, self.question.keep))
            )
            horizon = shorter if shorter > 0 else horizon
        model = self.question.build(
            self.formulation, horizon=horizon, n_events=n_events, max_span=max_span
        )
        self.question.ask(model)
        if better is not None:
            self.question.require_better(model, better)
        return model

    def _record(
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
        self.last = Solved(
            n_events=n_events,
            max_span=max_span,
            result=result,
            schedule=schedule,
            proof=Proof(
                scope="these event points", n_events=n_events, max_span=max_span, bound=bound
            ),
        )
        seconds = self.limits.clock() - started
        self.tried.append(
            Attempt(n_events, max_span, result.status, result.objective, seconds, self.formulation)
        )

    def _update_incumbent(self, found: Solved) -> None:
        assert found.schedule is not None
        assert found.result.objective is not None
        self.best = found
        self.incumbent.update(found.schedule, found.result.objective)
        self.found_after = self.limits.elapsed
        self.bound.check(found.result.objective)
        self.settled = self.bound.closes(found.result.objective)
        self.report(f"{self._improved} {found.result.objective:.6g} found")

    # --- makespans -------------------------------------------------------------------------------

    def _bound_makespan(self, limit: float) -> None:
        """Bound the makespan for any schedule, once; say so if that settles the search."""
        if self._makespan_bounded or limit <= 0:
            return
        self.report("how short any schedule can be")
        started = self.limits.clock()
        self._makespan_bounded = True
        bound = bound_makespan(
            self.question,
            known=self.incumbent.value,
            at_least=self.bound.value or 0.0,
            time_limit=seconds_or_none(limit),
            relative_gap=self.limits.relative_gap / 2,
        )
        self.bound.update(bound, known=self.incumbent.value)
        self.settled = self.bound.closes(self.incumbent.value)
        if self.best is None and (self.bound.value or 0.0) >= self.question.horizon:
            self.conclude_infeasible(SolveResult(status=Status.INFEASIBLE))
        self.limits.proof_spent += self.limits.clock() - started

    def _shorten(self, places: list[tuple[int, int]]) -> None:
        """Look for a schedule as short as the bound; else close in on how short it can be.

        A schedule that is there already and much longer says that the bound will not be reached.
        """
        low, gap = self.bound.value, self.limits.relative_gap
        if low is None or self.settled:
            return
        if (self.incumbent.value or 0.0) > low * (1 + _NEAR):
            return
        horizons = [low * (1 + gap / 2), low * (1 + _LONGER)]
        while horizons and not self._ended:
            horizon = min(horizons.pop(0), self.question.horizon)
            known = self.incumbent.value
            if known is not None and horizon >= known:
                continue
            found = next(
                (p for p in places if not self.limits.reached and self._solve_within(horizon, *p)),
                None,
            )
            if found is None:
                low = horizon
            else:  # what did before may do again
                places.sort(key=lambda place: place != found)
            if self.incumbent.value is None:
                continue
            if not horizons and self.incumbent.value > low * (1 + _CLOSE):
                horizons = [(low + self.incumbent.value) / 2]

    def _solve_within(self, latest: float, n_events: int, max_span: int) -> bool:
        """Look for any schedule that ends by a time, and make its batches end as early as they can.

        One with little in stock at the event points is unlikely to break a capacity between them.
        """
        self.report(f"one that ends by {latest:.4g}: {n_events} event points, span {max_span}")
        started = self.limits.clock()
        model = self.question.build(
            self.formulation,
            horizon=shorten_horizon(
                self.question, max(latest, latest_date(self.problem, self.question.keep))
            ),
            n_events=n_events,
            max_span=max_span,
        )
        self.question.demand(model)
        if scheduling_handle(model).horizon > latest:
            require_value(model, "makespan", at_most=latest)
        limited = [s for s in model.storage_in_time.index_set() if model.stock[s, n_events].ub > 0]
        model.objective = pyo.Objective(
            expr=sum(
                model.stock[s, point] / model.stock[s, n_events].ub
                for s in limited
                for point in model.POINTS
            )
        )
        gap = self.limits.relative_gap
        result = solve(
            model,
            time_limit=self.limits.remaining,
            relative_gap=_ANY_STOCK,
            node_limit=_SHORT_LOOK,
        )
        schedule = None
        if result.has_solution:
            for run in model.run.values():
                run.fix(round(run.value))
            set_objective(model, "makespan")
            solve(model, time_limit=self.limits.remaining, relative_gap=gap, warm_start=True)
            result, schedule = self._value(result, model)
            if schedule is not None:
                makespan, bound = result.objective, self.bound.value
                result = replace(
                    result,
                    status=status_of(makespan, bound, relative_gap=gap),
                    bound=bound,
                    gap=relative_gap_between(makespan, bound),
                )
        self._record(n_events, max_span, result, schedule, bound=self.bound.value, started=started)
        assert self.last is not None
        better = schedule is not None and self.incumbent.improves(result.objective or 0.0)
        if better:
            self._update_incumbent(self.last)
        return better

    # --- models without event points -------------------------------------------------------------

    def ask_for_any_schedule(self, share: float = 1.0, seconds: float = math.inf) -> None:
        """Ask whether there is anything better on any event points: once, and again at the end.

        For so many seconds at most.
        """
        value, asked = self.incumbent.value, self._asked
        limit = min(self._seconds_for_proof(share), seconds)
        asked_before = asked is not None and asked[0] == value and asked[1] >= share
        if self.settled or asked_before or limit <= 0 or not self.may_ask:
            return
        self._asked = (value, share)
        if self.best is not None and self.question.is_makespan:
            self._bound_makespan(_SHARE_OF_TIME * limit)
            limit = min(self._seconds_for_proof(share), seconds)
        if not self.settled and limit > 0:
            self.report("whether any schedule is better, whatever its event points")
            started = self.limits.clock()
            self._ask_for_better(limit)
            self.limits.proof_spent += self.limits.clock() - started

    def _seconds_for_proof(self, share: float = 1.0) -> float:
        if self.formulation != "unit_events":
            return 0.0
        return self.limits.remaining_for_proof(share)

    def _ask_for_better(self, limit: float) -> None:
        better, gap = self.incumbent.next_value, self.limits.relative_gap
        started = self.limits.clock()
        answer = solve_for_any_schedule(
            self.question,
            better_than=better,
            time_limit=seconds_or_none(limit),
            relative_gap=gap,
        )
        if answer is None:
            return
        result, seconds = answer.result, self.limits.clock() - started
        self.tried.append(
            Attempt(
                answer.n_points, 0, result.status, result.objective, seconds, answer.formulation
            )
        )
        if result.status is Status.INFEASIBLE:
            self.bound.update(better, known=self.incumbent.value)
            self.settled = True
            if self.best is None:
                self.conclude_infeasible(result)
            return
        if result.bound is not None and better is not None:
            # Whatever is no better than the best lies on its side of the limit.
            worst = max if self.incumbent.maximises else min
            self.bound.update(worst(result.bound, better), known=self.incumbent.value)
        else:
            self.bound.update(result.bound, known=self.incumbent.value)
        valued = None if answer.schedule is None else self.incumbent.valued(answer.schedule)
        if valued is None or not self.may_choose:
            self.settled = self.bound.closes(self.incumbent.value)
        elif self.incumbent.improves(valued[1]):
            self.adopt(*valued, result)

    def adopt(self, schedule: Schedule, value: float, result: SolveResult) -> None:
        """Make a schedule that was found without event points, and valued, the best."""
        n_events, span = number_events(schedule, self.question.network)
        gap = self.limits.relative_gap
        self._update_incumbent(
            Solved(
                n_events=n_events,
                max_span=span,
                result=replace(
                    result,
                    objective=value,
                    gap=relative_gap_between(value, result.bound),
                    status=status_of(value, result.bound, relative_gap=gap),
                ),
                schedule=schedule,
                proof=Proof(
                    scope="these event points",
                    n_events=n_events,
                    max_span=span,
                    bound=self.bound.value,
                ),
            )
        )

    def bound_by_sums(self) -> None:
        """Bound the value by sums over the horizon; they may show that no schedule exists."""
        improve = self.question.improve
        if improve == "shortfall" or why_not_long_horizon(self.question) is not None:
            return
        bound = bound_by_capacity(
            self.question.network,
            self.problem,
            start=self.question.start,
            improve=improve,
            most_missing=self.question.most_missing,
        )
        if bound is None:
            return
        worst = -math.inf if self.incumbent.maximises else math.inf
        if bound == worst:
            self.conclude_infeasible(SolveResult(status=Status.INFEASIBLE))
        else:
            self.bound.update(bound)

    def conclude_infeasible(self, result: SolveResult) -> None:
        """No schedule exists at all."""
        n_events = self.last.n_events if self.last is not None else 0
        max_span = self.last.max_span if self.last is not None else 0
        self.settled = self.impossible = True
        self.last = Solved(
            n_events=n_events,
            max_span=max_span,
            result=result,
            schedule=None,
            proof=Proof(scope="any schedule", n_events=n_events, max_span=max_span, bound=None),
        )
