"""Asking the scheduling MILP: how far a target is out of reach, how far a schedule reaches.

One question settles more than one target. A target that is missed by at least `t` leaves all
closer ones infeasible too; and schedules of one structure (the same batches at the same events)
can be combined: their mean makes the mean of their amounts, and is replayed before it is believed.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyomo.environ as pyo

from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import KINDS, with_calendars
from stnopt.plant.orders import ServedOrder
from stnopt.plant.rules import times_before
from stnopt.plant.tolerance import SHARE, amount_tolerance
from stnopt.scheduling.checks import check_targets
from stnopt.scheduling.handle import scheduling_handle
from stnopt.scheduling.model import (
    Runs,
    limit_storage_in_time,
    limit_utility_in_time,
    read_orders,
    read_runs,
    require_value,
    schedule_from_runs,
    set_structure,
)
from stnopt.scheduling.movements import pauses_of, time_of_work
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Schedule, schedule_value
from stnopt.solvers.solve import SolveResult, Status, solve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.scheduling.search.question import Question

Sense = Literal["at_least", "exactly"]

#: How well an infeasible target's distance is resolved: closer costs nodes, looser settles less.
_DISTANCE_GAP = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on a schedule's value, such as profit >= 200."""

    kind: str
    at_least: float | None
    at_most: float | None

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read ``"profit >= 200"``: profit, production, cost or makespan; ``>=`` or ``<=``."""
        found = re.fullmatch(
            r"\s*(profit|production|cost|makespan)\s*(>=|<=)\s*([-+.\deE]+)\s*", text
        )
        try:
            limit = float(found[3]) if found else None
        except ValueError:
            limit = None
        if found is None or limit is None:
            raise InvalidInputError(
                f"require={text!r}: expected a rule like 'profit >= 200' with profit, production, "
                "cost or makespan, >= or <=, and a number"
            )
        upper = found[2] == "<="
        return cls(
            kind=found[1], at_least=None if upper else limit, at_most=limit if upper else None
        )

    def holds(self, schedule: Schedule, network: Network) -> bool:
        """Whether a schedule obeys the rule, to the replay's tolerance."""
        value = schedule_value(schedule, network, self.kind)  # type: ignore[arg-type]
        slack = SHARE * max(1.0, abs(value))
        above = self.at_least is None or value >= self.at_least - slack
        return above and (self.at_most is None or value <= self.at_most + slack)


@dataclass(frozen=True, slots=True, kw_only=True)
class AchievedPoint:
    """A checked schedule and the amounts of the products that it makes.

    Attributes
    ----------
    amounts : (p,) array
    runs : dict
        As `read_runs` returns it.
    served : tuple of tuple of (float, float)
        Per order, time and amount of each part that is delivered.
    """

    amounts: NDArray[np.float64]
    runs: Runs
    served: tuple[tuple[tuple[float, float], ...], ...] = ()

    @property
    def structure(self) -> tuple:
        """Which batches run at which events: reaches that share it can be combined."""
        return (*sorted(self.runs), *(len(parts) for parts in self.served))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one question about a target showed.

    Attributes
    ----------
    missed_by : float or None
        Proven: every schedule misses the target by at least this in some product: an amount for one
        that the plant's largest batches make, in proportion to its own largest for another.
    achieved : AchievedPoint or None
        A schedule that meets the target.
    n_solves : int
        MILPs solved for it.
    """

    missed_by: float | None
    achieved: AchievedPoint | None
    n_solves: int = 1

    @property
    def is_undecided(self) -> bool:
        """Whether a limit came before anything was shown."""
        return self.achieved is None and not self.missed_by


class TargetOracle:
    """The scheduling model of one plant, horizon and number of events, kept for many questions.

    Parameters
    ----------
    question : Question
        What every target is asked of: plant, state, horizon, sense, deliveries and orders
        (`stnopt.feasibility.scope.ask_about`).
    products : tuple of str
    n_events, max_span : int
    rule : Rule, optional
    """

    def __init__(
        self,
        question: Question,
        products: tuple[str, ...],
        *,
        n_events: int,
        max_span: int = 0,
        rule: Rule | None = None,
    ) -> None:
        network = question.network
        check_targets(network, dict.fromkeys(products, 0.0))
        self.question, self.network, self.products = question, network, products
        self.horizon, self.sense, self.rule = question.horizon, question.problem.sense, rule
        self.dated = with_calendars(network, start=question.problem.start, horizon=self.horizon)
        self.scale = max(fit.max_batch for fit in network.suitabilities)
        # Grams beside tonnes: each product is measured by the batches that make or take it.
        self.slack = np.array([amount_tolerance(network, s) for s in products])
        scales = self.slack / SHARE
        self._scales = dict(zip(products, map(float, scales), strict=True))
        self.weights = self.scale / scales
        self.n_events, self.max_span = n_events, max_span
        self.n_solves = 0
        self.recipe = (question, products, n_events, max_span, rule)
        start = question.start
        stocked = sum(
            (s.initial if start is None else start.stock(network, s.name))
            + sum(amount for _, amount in s.arrivals)
            for s in network.states.values()
            if not s.unlimited
        )
        if start is not None:
            stocked += sum(batch.size for batch in start.running)
            stocked += sum(amount for row in start.held.values() for amount in row.values())
        self._most = stocked + n_events * sum(fit.max_batch for fit in network.suitabilities)
        self._build(())

    @classmethod
    def from_recipe(cls, recipe: tuple[Any, ...]) -> TargetOracle:
        """Make the same oracle anew, in another process, from its `recipe`."""
        question, products, n_events, max_span, rule = recipe
        return cls(question, products, n_events=n_events, max_span=max_span, rule=rule)

    def start_from(self, limited: tuple[str, ...]) -> None:
        """Have storage limited in time for these states, in this order, and for no others.

        A solve may add states. Starting every question from states that are agreed on makes its
        answer, under a node limit too, independent of what this model was asked before.
        """
        if self._limited != limited or self.handle.storage_limited != set(limited):
            self._build(limited)

    @property
    def limited(self) -> tuple[str, ...]:
        """States whose storage has been limited in time, those added last in alphabetical order."""
        return (*self._limited, *sorted(self.handle.storage_limited - set(self._limited)))

    def _build(self, limited: tuple[str, ...]) -> None:
        products, rule, sense = self.products, self.rule, self.sense
        m = self.question.build(
            "unit_events", horizon=self.horizon, n_events=self.n_events, max_span=self.max_span
        )
        self.question.demand(m)
        for state in limited:
            limit_storage_in_time(m, state)
        for (
            name
        ) in self.network.utilities:  # from the start: no answer depends on earlier questions
            limit_utility_in_time(m, name)
        self._limited = limited
        if rule is not None:
            require_value(m, rule.kind, at_least=rule.at_least, at_most=rule.at_most)  # type: ignore[arg-type]
        m.asked = pyo.Param(products, mutable=True, default=0.0)
        m.missed = pyo.Var(domain=pyo.NonNegativeReals)
        m.asked_at_least = pyo.Constraint(
            products,
            rule=lambda m, s: (m.final_stock[s] - m.asked[s]) / self._scales[s] >= -m.missed,
        )
        m.asked_at_most = pyo.Constraint(
            products,
            rule=lambda m, s: (m.final_stock[s] - m.asked[s]) / self._scales[s] <= m.missed,
        )
        if sense == "at_least":
            m.asked_at_most.deactivate()
        self.model, self.handle = m, scheduling_handle(m)

    def ask(
        self,
        target: NDArray[np.float64],
        *,
        solve_limit: int | None = None,
        time_limit: float | None = None,
    ) -> Answer:
        """Find the smallest amount by which any schedule misses a target.

        Parameters
        ----------
        target : (p,) array, amount
        solve_limit : int, optional
            Branch-and-bound nodes after which the target may stay undecided.
        time_limit : float, optional
            Seconds after which it may; which targets do then depends on the machine.
        """
        for product, amount in zip(self.products, target, strict=True):
            self.model.asked[product] = float(amount)
        self.model.missed.unfix()
        # Big-M rows want every column bounded: no target is missed by more than all that can be.
        self.model.missed.setub((float(np.max(target)) + self._most) / min(self._scales.values()))
        self._aim(self.model.missed, pyo.minimize)
        result = self._solve(_DISTANCE_GAP, solve_limit, time_limit)
        n_solves = result.n_solves
        if result.status is Status.INFEASIBLE:  # even the rule alone cannot be met
            return Answer(missed_by=np.inf, achieved=None, n_solves=n_solves)
        missed_by = None if result.bound is None else max(result.bound, 0.0) * self.scale
        if result.objective is not None and result.objective <= SHARE:
            achieved = self._read_achieved()
            if self.meets(achieved, target):
                return Answer(missed_by=None, achieved=achieved, n_solves=n_solves)
        if missed_by is not None and missed_by <= SHARE * self.scale:
            missed_by = None  # no farther than what counts as met: nothing is shown
        return Answer(missed_by=missed_by, achieved=None, n_solves=n_solves)

    def maximise(
        self,
        weights: Mapping[str, float],
        lower: Mapping[str, float],
        *,
        relative_gap: float,
        solve_limit: int | None = None,
    ) -> tuple[SolveResult, AchievedPoint | None]:
        """Maximise a weighted sum of final stocks with lower limits on some of them."""
        for product in self.products:
            self.model.asked[product] = float(lower.get(product, -self.scale))
        self.model.missed.fix(0.0)
        self._aim(sum(w * self.model.final_stock[s] for s, w in weights.items()), pyo.maximize)
        result = self._solve(relative_gap, solve_limit)
        return result, self._read_achieved() if result.has_solution else None

    @contextmanager
    def same_structure(self) -> Iterator[None]:
        """Keep every binary at its present value inside the block: questions become LPs."""
        fixed = []
        for var in self.model.component_data_objects(pyo.Var, active=True):
            if var.is_binary() and not var.fixed and var.value is not None:
                var.fix(round(var.value))
                fixed.append(var)
        try:
            yield
        finally:
            for var in fixed:
                var.unfix()

    def extreme_points(self, directions: NDArray[np.float64]) -> list[AchievedPoint]:
        """Find how far the incumbent's structure reaches in each direction (LPs, nothing else).

        Parameters
        ----------
        directions : (k, p) array
        """
        found: list[AchievedPoint] = []
        self.model.missed.fix(0.0)
        with self._without_target(), self.same_structure():
            for direction in directions:
                pairs = zip(self.products, direction, strict=True)
                self._aim(sum(float(w) * self.model.final_stock[s] for s, w in pairs), pyo.maximize)
                result = self._solve(1e-9)
                if result.status is Status.OPTIMAL:
                    achieved = self._read_achieved()
                    if self.is_valid(achieved):
                        found.append(achieved)
        return found

    def follow(
        self, start: AchievedPoint, axis: int, lower: NDArray[np.float64], least: float
    ) -> AchievedPoint | None:
        """Follow the boundary of one structure from a point on it, to more of one of two products.

        Returns the end of the first straight line, or `None` where the structure reaches no further
        (less than `least`). Only LPs are solved: weights are turned until no corner lies between.
        """
        more, less = self.products[axis], self.products[1 - axis]
        self.model.missed.fix(0.0)
        set_structure(self.model, start.runs)
        for product, amount in zip(self.products, lower, strict=True):
            self.model.asked[product] = float(amount)
        with self.same_structure():
            far = self._corner({more: 1.0, less: 1e-4})
            while far is not None:
                run = far.amounts[axis] - start.amounts[axis]
                drop = max(start.amounts[1 - axis] - far.amounts[1 - axis], 0.0)
                if run <= least:
                    return None
                closer = self._corner({more: drop, less: run})
                if closer is None:
                    return far
                away = closer.amounts - start.amounts
                gain = drop * away[axis] + run * away[1 - axis]
                same = np.allclose(closer.amounts, far.amounts, atol=1e-7 * self.scale)
                if same or gain <= 1e-9 * (run + drop) * self.scale:
                    return far
                far = closer
        return None

    def _corner(self, weights: Mapping[str, float]) -> AchievedPoint | None:
        self._aim(sum(w * self.model.final_stock[s] for s, w in weights.items()), pyo.maximize)
        result = self._solve(1e-9)
        return self._read_achieved() if result.status is Status.OPTIMAL else None

    def relaxed_limit(self, direction: NDArray[np.float64]) -> float:
        """Return a bound on a weighted sum of the products from the relaxation without integers."""
        self.model.missed.fix(0.0)
        binaries = [v for v in self.model.component_data_objects(pyo.Var) if v.is_binary()]
        with self._without_target(), self.handle.left_incomplete():
            for var in binaries:
                var.domain = pyo.NonNegativeReals
                var.setub(1.0)
            try:
                pairs = zip(self.products, direction, strict=True)
                self._aim(sum(float(w) * self.model.final_stock[s] for s, w in pairs), pyo.maximize)
                result = self._solve(1e-9)
            finally:
                for var in binaries:
                    var.domain = pyo.Binary
        if result.status is Status.INFEASIBLE:
            return -np.inf
        return np.inf if result.bound is None else result.bound

    def combine(
        self, achieved_points: list[AchievedPoint], weights: NDArray[np.float64]
    ) -> AchievedPoint:
        """Mix schedules of one structure: starts, sizes and amounts are the weighted means."""
        runs = {
            batch: _mean([r.runs[batch] for r in achieved_points], weights)
            for batch in achieved_points[0].runs
        }
        served = tuple(
            tuple(_mean(parts, weights) for parts in zip(*each, strict=True))
            for each in zip(*(r.served for r in achieved_points), strict=True)
        )
        return self._achieved_with(runs, served)

    def event_times(self, achieved: AchievedPoint) -> NDArray[np.float64]:
        """Return the times of a schedule whose order decides what combinations with it are worth.

        Batches start, end, release something early and may need their unit empty before; orders are
        delivered; all else happens at fixed times.
        """
        rules = self.dated.unit_rules
        times: list[float] = []
        for (task, unit, *_), (start, size) in sorted(achieved.runs.items()):
            if task not in self.network.tasks:
                continue  # what was given stands among the fixed times
            fit = self.network.tasks[task].units[unit]
            pauses = pauses_of(unit, self.dated)
            works = (fit.duration(size), *fit.release_time.values())
            times.append(start)
            times += [time_of_work(start, w, pauses, horizon=self.horizon) for w in works]
            if unit in rules:
                times += [start - time for time in times_before(rules[unit], task)]
        times += [time for parts in achieved.served for time, _ in parts]
        return np.array([*times, *self._fixed_times()])

    def _fixed_times(self) -> list[float]:
        """Return the times of what happens whatever is decided."""
        times = [
            edge
            for rule in self.dated.unit_rules.values()
            for kind in KINDS
            for period in getattr(rule, kind)
            for edge in period
        ]
        times += [time for state in self.dated.states.values() for time, _ in state.arrivals]
        times += [time for each in self.dated.utilities.values() for time, _ in each.steps]
        times += [delivery.time for delivery in self.question.problem.deliveries]
        for order in self.question.problem.orders:
            times += [order.earliest, order.due]
        start = self.question.start
        for batch in start.running if start is not None else ():
            times += [batch.finish, *batch.releases(self.dated).values()]
        return times

    def is_valid(self, achieved: AchievedPoint) -> bool:
        """Replay a schedule, and check the rule on it."""
        schedule = self.schedule(achieved)
        if find_violations(schedule, self.network):
            return False
        return self.rule is None or self.rule.holds(schedule, self.network)

    def meets(self, achieved: AchievedPoint, target: NDArray[np.float64]) -> bool:
        """Whether a valid schedule makes a target, to the replay's tolerance."""
        short = np.asarray(target) - achieved.amounts
        off = short if self.sense == "at_least" else np.abs(short)
        return bool((off <= 2 * self.slack).all()) and self.is_valid(achieved)

    def schedule(self, achieved: AchievedPoint) -> Schedule:
        """Return the schedule behind a reach."""
        return self._schedule_of(achieved.runs, achieved.served)

    def _schedule_of(
        self, runs: Runs, served: tuple[tuple[tuple[float, float], ...], ...]
    ) -> Schedule:
        problem = self.question.problem
        orders = tuple(
            ServedOrder(order, parts) for order, parts in zip(problem.orders, served, strict=True)
        )
        return schedule_from_runs(
            runs,
            self.network,
            horizon=self.horizon,
            deliveries=problem.deliveries,
            orders=orders,
            start=self.question.start,
            date=problem.start,
        )

    @contextmanager
    def _without_target(self) -> Iterator[None]:
        self.model.asked_at_least.deactivate()
        self.model.asked_at_most.deactivate()
        try:
            yield
        finally:
            self.model.asked_at_least.activate()
            if self.sense == "exactly":
                self.model.asked_at_most.activate()

    def _aim(self, expression: pyo.Expression, sense: int) -> None:
        self.model.del_component("objective")
        self.model.objective = pyo.Objective(expr=expression, sense=sense)

    def _solve(
        self,
        relative_gap: float,
        node_limit: int | None = None,
        time_limit: float | None = None,
    ) -> SolveResult:
        self.n_solves += 1
        return solve(
            self.model, relative_gap=relative_gap, node_limit=node_limit, time_limit=time_limit
        )

    def _read_achieved(self) -> AchievedPoint:
        served = tuple(each.parts for each in read_orders(self.model))
        return self._achieved_with(read_runs(self.model), served)

    def _achieved_with(
        self, runs: Runs, served: tuple[tuple[tuple[float, float], ...], ...] = ()
    ) -> AchievedPoint:
        stock = self._schedule_of(runs, served).final_stock
        amounts = np.array([stock[s] for s in self.products])
        return AchievedPoint(amounts=amounts, runs=runs, served=served)


def _mean(
    pairs: Iterable[tuple[float, float]], weights: NDArray[np.float64]
) -> tuple[float, float]:
    first = second = 0.0
    for (one, other), weight in zip(pairs, weights.tolist(), strict=True):
        first += weight * one
        second += weight * other
    return first, second
