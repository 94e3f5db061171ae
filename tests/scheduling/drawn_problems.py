"""Plants with all rules mixed and what is asked of them, drawn so that a grid of hours is exact.

The plant that is searched and the one that the grid knows say the same in different words: periods
that come back every week are single ones there, and hours that depend on a size that cannot vary
are fixed ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING

from time_grid import (
    Best,
    add_calendars,
    add_rules,
    best_of_all,
    draw_orders,
    draw_plant,
    draw_state,
)

from stnopt.errors import UnsupportedModelError
from stnopt.plant import Delivery, Network, PlantState, Problem, read_network
from stnopt.plant.calendar import WeeklyPeriod
from stnopt.scheduling.model import build_scheduling_model
from stnopt.scheduling.replay import find_violations
from stnopt.solvers.result import Status

if TYPE_CHECKING:
    from stnopt.scheduling.search.result import ScheduleSearch

#: Time 0 of plants with weekly patterns: the periods of some lie in the next week.
MONDAY, SUNDAY = datetime(2026, 1, 5, 6), datetime(2026, 1, 4, 21)
#: Nodes that the grid may take for one solve; plants that take more are drawn anew.
GRID_NODES = 20_000
#: The longest window on the grid in which the shortest is looked for.
LONGEST_WINDOW = 14


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A plant, what is asked of it and from what state it starts; `plain` is for the grid."""

    seed: str
    network: Network
    plain: Network
    problem: Problem
    start: PlantState | None

    def best(self) -> Best | None:
        """Ask the grid; for a makespan without a horizon: of all windows the best."""
        if self.problem.horizon is not None:
            return self.best_within(int(self.problem.horizon))
        dates = [delivery.time for delivery in self.problem.deliveries]
        dates += [time for order in self.problem.orders for time in (order.due, order.earliest)]
        first = max(1, int(max(dates, default=0)))
        found = [self.best_within(hours) for hours in range(first, LONGEST_WINDOW + 1)]
        return min((b for b in found if b is not None), key=lambda b: b.value, default=None)

    def best_within(self, hours: int) -> Best | None:
        problem = self.problem
        return best_of_all(
            self.plain,
            hours,
            problem.deliveries,
            start=self.start,
            orders=problem.orders,
            objective=problem.objective,
            targets=problem.targets,
            sense=problem.sense,
            nodes=GRID_NODES,
        )


def draw_solved(seed: int, kind: str = "mixed") -> tuple[Drawn, Best | None]:
    """Draw a case and what the grid says of it; one in four of the impossible ones is kept.

    What event points refuse by name is drawn anew.
    """
    for attempt in range(100):
        drawn = draw_case(f"{kind} {seed} {attempt}")
        date = drawn.problem.start
        try:
            build_scheduling_model(
                drawn.network,
                horizon=drawn.problem.horizon or LONGEST_WINDOW,
                n_events=1,
                start=drawn.start,
                date=date,
            )
            best = drawn.best()
        except (TimeoutError, UnsupportedModelError):
            continue
        if best is not None or Random(drawn.seed).random() < 0.25:
            return drawn, best
    raise AssertionError("100 plants in a row that can do nothing")


def judge_search(drawn: Drawn, best: Best | None, found: ScheduleSearch) -> tuple[str, str]:
    """Hold what a search says against the grid.

    Returns
    -------
    verdict, why : str
        "wrong": better than the best, a bound for any schedule that the best one beats, a proof
        that does not hold, or a schedule that the replay rejects at the horizon that was asked.
    """
    problem, schedule, value = drawn.problem, found.schedule, found.result.objective
    nothing_at_all = found.result.status is Status.INFEASIBLE
    if best is None:
        if schedule is not None:
            return "wrong", f"{value} where nothing is feasible"
        return ("none exists" if nothing_at_all else "nothing found"), str(found.result.status)
    if nothing_at_all or (schedule is None and found.proof.scope == "any schedule"):
        return "wrong", f"nothing at all, where {best.value} is feasible"
    if schedule is None:
        return "nothing found", found.stopped
    if problem.horizon is not None and schedule.horizon != problem.horizon:
        return "wrong", f"at horizon {schedule.horizon}"
    violations = find_violations(schedule, drawn.network)
    if violations:
        return "wrong", violations[0].message
    sign = 1 if problem.objective in ("profit", "production") else -1
    near = 2e-4 * max(1.0, abs(best.value))
    missing, least = found.missing or 0.0, best.missing
    if missing < least - 2e-4 or (found.missing_bound or 0.0) > least + 2e-4:
        return "wrong", f"missing {missing}, at least {found.missing_bound}; best {least}"
    if missing > least + 2e-4:
        proven = found.proof.scope == "any schedule"
        return ("wrong" if proven else "below"), f"missing {missing}, best {least}"
    bound = found.bound
    if sign * (value - best.value) > near:
        return "wrong", f"{value} is better than the best, {best.value}"
    if bound is not None and sign * (bound - best.value) < -near:
        return "wrong", f"any schedule bounded by {bound}, the best is {best.value}"
    if abs(value - best.value) <= near:
        return "equal", found.stopped
    if found.proof.scope == "any schedule" or found.stopped == "proven":
        return "wrong", f"{value} proven for any schedule, the best is {best.value}"
    return "below", f"{value}, the best is {best.value}"


def draw_case(seed: str) -> Drawn:
    """Draw a plant and a problem: seed "mixed ...", or "makespan ..." where units are away."""
    kind, random = seed.split()[0], Random(seed)
    number = random.randrange(10**6)
    away = kind == "makespan" or random.random() < 0.35
    network = add_rules(
        draw_plant(number),
        number,
        periods=away,
        changeovers=random.random() < 0.4,
        utilities=random.random() < 0.3,
        cleanings=random.random() < 0.3,
    )
    if random.random() < 0.45:
        network = add_calendars(network, number)
    network = _add_costs(network, random)
    hours = random.randint(5, 9) if kind == "makespan" else random.randint(4, 8)
    start = None
    if random.random() < 0.45:
        start = _vary(draw_state(network, number), network, random)
    orders = tuple(draw_orders(network, number, hours)) if random.random() < 0.5 else ()
    if random.random() < 0.3:
        orders = tuple(
            replace(order, missing_cost=None) if random.random() < 0.5 else order
            for order in orders
        )
    deliveries = _draw_deliveries(network, random, hours) if random.random() < 0.25 else ()
    targets = _draw_targets(network, random) if random.random() < 0.4 else {}
    objective = "makespan"
    if kind != "makespan":
        choices = ["profit", "profit", "production"]
        if orders:
            choices += ["tardiness"] * 3
        if orders or deliveries or targets:
            choices += ["cost", "batches"]
        objective = random.choice(choices)
    if objective == "makespan" and not (targets or deliveries):
        targets = _draw_targets(network, random)
    if objective == "production" and not any(s.price > 0 for s in network.states.values()):
        objective = "profit"
    open_end = objective == "makespan" and start is None and random.random() < 0.25
    disguised, date = _disguise(network, random)
    problem = Problem(
        objective=objective,
        horizon=None if open_end else hours,
        targets=targets,
        sense=random.choice(["at_least", "at_least", "at_least", "exactly"]),
        deliveries=deliveries,
        orders=orders,
        start=date,
    )
    return Drawn(seed=seed, network=disguised, plain=network, problem=problem, start=start)


def _add_costs(network: Network, random: Random) -> Network:
    plant = network.to_dict()
    for state in plant["states"].values():
        if state.get("initial") == "unlimited" and random.random() < 0.5:
            state["cost"] = random.choice([0.5, 1])
    for task in plant["tasks"].values():
        for entry in task["units"].values():
            if random.random() < 0.2:
                entry["cost_per_amount"] = random.choice([0.25, 0.5])
    return read_network(plant)


def _vary(state: PlantState, network: Network, random: Random) -> PlantState:
    """Say what running batches have released; put something in stock."""
    running = []
    for batch in state.running:
        fit = network.tasks[batch.task].units[batch.unit]
        early = [s for s, hours in fit.release_time.items() if hours < fit.fixed_time]
        if early and random.random() < 0.5:
            batch = replace(batch, released=tuple(random.sample(early, random.randint(0, 1))))
        running.append(batch)
    stocks = {}
    for name, what in network.states.items():
        if what.unlimited or what.zero_wait or random.random() < 0.6:
            continue
        stocks[name] = min(what.capacity, random.choice([0, 1, 2, 3]))
    return replace(state, running=tuple(running), stocks=stocks)


def _kept(network: Network) -> list[str]:
    return [
        name
        for name, state in network.states.items()
        if network.producers(name) and not state.zero_wait and not state.unlimited
    ]


def _draw_deliveries(network: Network, random: Random, hours: int) -> tuple[Delivery, ...]:
    made = _kept(network)
    return tuple(
        Delivery(
            random.choice(made), random.randint(hours // 2, hours), random.choice([0.5, 1, 1.5])
        )
        for _ in range(random.randint(1, 2) if made else 0)
    )


def _draw_targets(network: Network, random: Random) -> dict[str, float]:
    made = _kept(network)
    names = random.sample(made, min(len(made), random.choice([1, 1, 2])))
    return {name: random.choice([0.5, 1, 1, 2, 3]) for name in names}


def _disguise(network: Network, random: Random) -> tuple[Network, datetime | None]:
    """Write periods as weekly ones, and hours of one possible size as hours per amount."""
    tasks = dict(network.tasks)
    for name, task in network.tasks.items():
        units = dict(task.units)
        for unit, fit in task.units.items():
            if fit.min_batch == fit.max_batch and fit.fixed_time > 1:
                rate = (fit.fixed_time - 1) / fit.max_batch
                units[unit] = replace(fit, fixed_time=1.0, time_per_amount=rate)
        tasks[name] = replace(task, units=units)
    rules, date = dict(network.unit_rules), None
    if random.random() < 0.3:
        date = random.choice([MONDAY, SUNDAY])
        minute = 60 * (24 * date.weekday() + date.hour)
        for name, rule in network.unit_rules.items():
            kinds = [k for k in ("unavailable", "unattended", "paused") if getattr(rule, k)]
            if not kinds:
                continue
            kind = random.choice(kinds)
            weekly = tuple(
                WeeklyPeriod(
                    start=int(minute + 60 * begin) % (7 * 24 * 60), length=int(60 * (end - begin))
                )
                for begin, end in getattr(rule, kind)
            )
            rules[name] = replace(rule, **{kind: ()}, weekly={kind: weekly})
    return replace(network, tasks=tasks, unit_rules=rules, time_unit="h"), date
