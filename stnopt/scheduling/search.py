"""Searching for the best schedule over event points and spans."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from stnopt.errors import InvalidInputError
from stnopt.scheduling.model import (
    Objective,
    build_scheduling_model,
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
) -> ScheduleSearch:
    """Find the best schedule; choose the event points and the span unless they are given.

    The search adds event points while they help. When one more does not, a longer span is tried at
    that count too, since more events without spans can stall below the optimum; it stops when
    neither gives anything better.

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

    Returns
    -------
    ScheduleSearch

    Raises
    ------
    InvalidInputError
        No horizon for another objective than makespan, or makespan or cost without targets.
    """
    if objective in ("makespan", "cost") and not targets:
        raise InvalidInputError(f"objective {objective!r} needs targets: without them, do nothing")
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
        )
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    tried: list[tuple[int, int, Status, float | None]] = []
    best: ScheduleSearch | None = None
    last: ScheduleSearch | None = None

    def attempt(events: int, span: int) -> bool:
        """Solve for something better than the best so far; say whether there was."""
        nonlocal best, last
        remaining = None if deadline is None else max(deadline - time.perf_counter(), 0.01)
        model = build_scheduling_model(network, horizon=horizon, n_events=events, max_span=span)
        set_objective(model, objective)
        if targets:
            require_targets(model, targets, sense=sense)
        if best is not None and best.result.objective is not None:
            step = relative_gap * max(abs(best.result.objective), 1e-6)
            better = best.result.objective + (step if objective in _MAXIMISED else -step)
            limit = {"at_least" if objective in _MAXIMISED else "at_most": better}
            require_value(model, objective, **limit)
        result = solve(model, time_limit=remaining, relative_gap=relative_gap)
        tried.append((events, span, result.status, result.objective))
        bound = result.bound
        if result.status is Status.INFEASIBLE and best is not None:
            bound = better  # nothing beats the best so far by more than the gap
        last = ScheduleSearch(
            schedule=extract_schedule(model, network) if result.has_solution else None,
            result=result,
            proof=Proof(scope="these event points", n_events=events, max_span=span, bound=bound),
            n_events=events,
            max_span=span,
            tried=(),
        )
        if result.has_solution:
            best = last
        elif best is not None and result.status is Status.INFEASIBLE:
            # The best schedule fits these event points as well, and the bound now covers them.
            best = replace(best, proof=last.proof)
        return result.has_solution

    def out_of_time() -> bool:
        return deadline is not None and time.perf_counter() >= deadline

    if n_events is not None and max_span is not None:
        attempt(n_events, max_span)
    elif n_events is not None:
        span = 0
        attempt(n_events, span)
        while span + 1 < n_events and not out_of_time():
            span += 1
            if not attempt(n_events, span):
                break
    else:
        _climb(attempt, out_of_time, fewest_events(network, targets), max_span, lambda: best)
    found = best or last
    return replace(found, tried=tuple(tried))


def _climb(attempt, out_of_time, start: int, max_span: int | None, best) -> None:  # type: ignore[no-untyped-def]
    """Add events while that helps; where it does not, a longer span at the same count."""
    events, span = start, max_span or 0
    attempt(events, span)
    # Without any schedule yet, a few more events are worth trying before giving up.
    stalled = 0
    while not out_of_time():
        events += 1
        if attempt(events, span):
            stalled = 0
            continue
        if out_of_time():
            return
        if (
            max_span is None
            and span + 1 < events
            and best() is not None
            and attempt(events, span + 1)
        ):
            span += 1
            stalled = 0
            continue
        stalled += 1
        if stalled >= (1 if best() is not None else 2 * start + 2):
            return


def fewest_events(network: Network, targets: Mapping[str, float] | None = None) -> int:
    """Return the fewest event points on which something sold (or every target) can be made."""
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
    return max(reached) if targets else min(reached)


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
        )
        if found.schedule is not None or (deadline and time.perf_counter() >= deadline):
            return found
        guess *= 2
    return found
