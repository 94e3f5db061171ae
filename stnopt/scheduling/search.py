"""Searching for the best schedule over event points and spans."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from stnopt.errors import InvalidInputError
from stnopt.scheduling.model import (
    Formulation,
    Objective,
    build_scheduling_model,
    check_targets,
    extract_schedule,
    require_targets,
    require_value,
    set_objective,
)
from stnopt.solve import SolveResult, Status, solve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule

_MAXIMISED = ("profit", "production")
#: Doublings of the makespan's upper bound before giving up on a demand.
_MOST_DOUBLINGS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What has been proven about a schedule, and for what.

    Attributes
    ----------
    scope : {"these event points"}
        The bound holds for schedules on this many event points with this span.
    n_events, max_span : int
    bound : float or None
        No such schedule is better.
    """

    scope: Literal["these event points"]
    n_events: int
    max_span: int
    bound: float | None


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
        Of the model behind `result`.
    tried : tuple of (n_events, max_span, Status, objective or None)
        Every solve of the search, in order. Later ones were asked for something better only:
        INFEASIBLE there means that nothing better exists on those event points.
    """

    schedule: Schedule | None
    result: SolveResult
    proof: Proof
    n_events: int
    max_span: int
    tried: tuple[tuple[int, int, Status, float | None], ...]


def find_schedule(
    network: Network,
    *,
    horizon: float | None = None,
    objective: Objective = "profit",
    targets: Mapping[str, float] | None = None,
    sense: Literal["at_least", "exactly"] = "at_least",
    n_events: int | None = None,
    max_span: int | None = None,
    time_limit: float | None = None,
    relative_gap: float = 1e-4,
    formulation: Formulation = "unit_events",
) -> ScheduleSearch:
    """Find the best schedule; choose the event points and the span unless they are given.

    The search adds event points while they help. When one more does not, spans longer by one and by
    two are tried at that count too, since more events without spans can stall below the optimum; it
    stops when none of them gives anything better.

    Parameters
    ----------
    network : Network
    horizon : float, optional
        In the plant's time unit. For makespan an upper bound, which may be left out.
    objective : {"profit", "production", "cost", "makespan"}
    targets : mapping, optional
        Amounts that the schedule must end with.
    sense : {"at_least", "exactly"}
    n_events, max_span : int, optional
        Fix what the search would choose.
    time_limit : float, optional
        Seconds for the whole search; the best so far is returned.
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
        No horizon for another objective than makespan, makespan or cost without targets, or a
        target that the plant cannot be asked for.
    """
    if formulation == "time_grid":
        raise InvalidInputError(
            "formulation 'time_grid' has no event points to search for: solve it with "
            "build_scheduling_model, n_events = horizon / width of the grid"
        )
    if objective in ("makespan", "cost") and not targets:
        raise InvalidInputError(f"objective {objective!r} needs targets: without them, do nothing")
    check_targets(network, targets or {})
    if horizon is None:
        if objective != "makespan":
            raise InvalidInputError(f"objective {objective!r} needs a horizon")
        return _find_without_horizon(
            network,
            targets=targets,
            sense=sense,
            n_events=n_events,
            max_span=max_span,
            time_limit=time_limit,
            relative_gap=relative_gap,
            formulation=formulation,
        )
    attempts = _Attempts(
        network=network,
        horizon=horizon,
        objective=objective,
        targets=targets or {},
        sense=sense,
        deadline=None if time_limit is None else time.perf_counter() + time_limit,
        relative_gap=relative_gap,
        formulation=formulation,
    )
    if n_events is None:
        attempts.climb(fewest_events(network, targets), max_span)
    else:
        attempts.widen(n_events, max_span)
    return attempts.outcome()


@dataclass(slots=True, kw_only=True)
class _Attempts:
    """The solves of one search: each asks for something better than the best so far."""

    network: Network
    horizon: float
    objective: Objective
    targets: Mapping[str, float]
    sense: Literal["at_least", "exactly"]
    deadline: float | None
    relative_gap: float
    formulation: Formulation
    best: ScheduleSearch | None = None
    last: ScheduleSearch | None = None
    tried: list[tuple[int, int, Status, float | None]] = field(default_factory=list)

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.perf_counter() >= self.deadline

    def solve(self, n_events: int, max_span: int) -> bool:
        """Solve for something better than the best so far; say whether there is."""
        remaining = None
        if self.deadline is not None:
            remaining = max(self.deadline - time.perf_counter(), 0.01)
        model = build_scheduling_model(
            self.network,
            horizon=self.horizon,
            n_events=n_events,
            max_span=max_span,
            formulation=self.formulation,
        )
        set_objective(model, self.objective)
        if self.targets:
            require_targets(model, self.targets, sense=self.sense)
        better = self._better_than_best()
        if better is not None:
            side = "at_least" if self.objective in _MAXIMISED else "at_most"
            require_value(model, self.objective, **{side: better})
        result = solve(model, time_limit=remaining, relative_gap=self.relative_gap)
        self.tried.append((n_events, max_span, result.status, result.objective))
        # The solver's own tolerance may let the limit through with nothing gained.
        gains = result.has_solution and (better is None or self._gain(result) >= self._step / 2)
        none_better = (
            better is not None
            and not gains
            and result.status in (Status.INFEASIBLE, Status.OPTIMAL)
        )
        self.last = ScheduleSearch(
            schedule=extract_schedule(model, self.network) if result.has_solution else None,
            result=result,
            proof=Proof(
                scope="these event points",
                n_events=n_events,
                max_span=max_span,
                bound=better if none_better else result.bound,
            ),
            n_events=n_events,
            max_span=max_span,
            tried=(),
        )
        if gains:
            self.best = self.last
        elif none_better and self.best is not None:
            # The best schedule fits these event points as well, and the bound now covers them.
            self.best = replace(self.best, proof=self.last.proof)
        return gains

    def _better_than_best(self) -> float | None:
        if self.best is None or self.best.result.objective is None:
            return None
        value = self.best.result.objective
        return value + self._step if self.objective in _MAXIMISED else value - self._step

    @property
    def _step(self) -> float:
        """Least improvement on the best that counts; more than rounding, whatever the best is."""
        assert self.best is not None
        assert self.best.result.objective is not None
        largest = max(fit.max_batch for fit in self.network.suitabilities)
        worth = max(abs(s.price) + s.cost for s in self.network.states.values())
        scale = {"makespan": self.horizon, "production": largest}.get(
            self.objective, largest * (worth or 1.0)
        )
        return max(self.relative_gap * abs(self.best.result.objective), 1e-6 * scale)

    def _gain(self, result: SolveResult) -> float:
        assert self.best is not None
        assert self.best.result.objective is not None
        assert result.objective is not None
        more = result.objective - self.best.result.objective
        return more if self.objective in _MAXIMISED else -more

    def widen(self, n_events: int, max_span: int | None) -> None:
        """Keep the event points; lengthen the span while that helps, unless it is given."""
        span = max_span or 0
        self.solve(n_events, span)
        while max_span is None and span + 1 < n_events and not self.late:
            span += 1
            if not self.solve(n_events, span):
                return

    def climb(self, start: int, max_span: int | None) -> None:
        """Add events while that helps; where it does not, try longer spans at the same count."""
        n_events, span = start, max_span or 0
        self.solve(n_events, span)
        fruitless = 0
        while not self.late:
            n_events += 1
            if self.solve(n_events, span):
                continue
            longer = () if max_span is not None else range(span + 1, min(span + 3, n_events))
            wider = next((s for s in longer if not self.late and self.solve(n_events, s)), None)
            if wider is not None:
                span = wider
                continue
            # Too few event points make a demand infeasible rather than worse: without any schedule
            # the search goes on for a while.
            fruitless += 1
            if self.best is not None or fruitless > start + 2:
                return

    def outcome(self) -> ScheduleSearch:
        """Return the best, or what the last solve showed if there is none."""
        found = self.best or self.last
        assert found is not None, "every search solves at least once"
        return replace(found, tried=tuple(self.tried))


def fewest_events(network: Network, targets: Mapping[str, float] | None = None) -> int:
    """Return the fewest event points on which all that is sold (or every target) can be made.

    Starting with fewer would let a cheap product that is soon made end the search on a plateau.
    """
    depth = {s.name: 0 if s.initial > 0 else None for s in network.states.values()}
    for _ in network.tasks:
        for task in network.tasks.values():
            needs = [depth[s] for s in task.consumes]
            if any(n is None for n in needs):
                continue
            after = max((n for n in needs if n is not None), default=0) + 1
            for state in task.produces:
                known = depth[state]
                depth[state] = after if known is None else min(known, after)
    wanted = list(targets or {}) or [s.name for s in network.states.values() if s.price > 0]
    reached = [depth[s] or 1 for s in wanted]
    if not reached:
        return 1
    return max(reached)


def suggest_events(
    network: Network, *, horizon: float, n_events: int | None, max_span: int | None
) -> tuple[int, int]:
    """Choose event points and span on which the plant reaches its largest production or profit."""
    objective: Objective = "production" if network.products else "profit"
    found = find_schedule(
        network, horizon=horizon, objective=objective, n_events=n_events, max_span=max_span
    )
    return found.n_events, found.max_span


def _find_without_horizon(
    network: Network,
    *,
    targets: Mapping[str, float] | None,
    sense: Literal["at_least", "exactly"],
    n_events: int | None,
    max_span: int | None,
    time_limit: float | None,
    relative_gap: float,
    formulation: Formulation,
) -> ScheduleSearch:
    """Shortest makespan without an upper bound: double a first guess until the demand fits."""
    longest = max(fit.duration(fit.max_batch) for fit in network.suitabilities)
    amount = sum((targets or {}).values())
    largest = max(fit.max_batch for fit in network.suitabilities)
    guess = longest * (2 + len(network.tasks) + amount / largest)
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    for _ in range(_MOST_DOUBLINGS):
        remaining = None if deadline is None else max(deadline - time.perf_counter(), 0.01)
        found = find_schedule(
            network,
            horizon=guess,
            objective="makespan",
            targets=targets,
            sense=sense,
            n_events=n_events,
            max_span=max_span,
            time_limit=remaining,
            relative_gap=relative_gap,
            formulation=formulation,
        )
        if found.schedule is not None or (deadline and time.perf_counter() >= deadline):
            return found
        guess *= 2
    return found
