"""Plants drawn to look like real ones, and how the long-horizon search does on them.

A plant has groups of units (reactors, separators, dryers, ...) of unequal sizes; products take
routes of three to six steps through them, share intermediates, split off side streams that are
recovered or burnt, and store little between steps. Some units change over, some are away at times.
Half of the problems force something to be made. Run alone with
`python benchmarks/generated_plants.py [--plants 20] [--horizon 24] [--seconds 30] [--seed 0]`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from random import Random
from typing import Any

import stnopt as so
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.capacity_bound import bound_by_capacity
from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon.choose_grid import rank_widths
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.solvers.linear_program import solve_program

#: Groups of units: name, hours of a batch (least, most), how often its durations depend on size.
GROUPS = (
    ("Mixer", 0.5, 1.5, 0.3),
    ("Reactor", 2.0, 6.0, 0.5),
    ("Filter", 0.5, 2.0, 0.7),
    ("Column", 1.0, 4.0, 0.6),
    ("Dryer", 1.0, 4.0, 0.7),
    ("Packer", 0.5, 1.5, 0.5),
)
#: Shares of a product's bound that are asked for where something is.
LEAST_SHARE, MOST_SHARE = 0.1, 0.3


def generate_plant(seed: int, *, n_tasks: int | None = None) -> so.Network:
    """Draw a plant of about `n_tasks` tasks (by default 10 to 60); the same for the same seed."""
    random = Random(seed)
    n_tasks = n_tasks or random.randint(10, 60)
    units = _draw_units(random, n_tasks)
    states: dict[str, dict[str, Any]] = {
        f"Raw{n}": {"initial": "unlimited", "cost": random.choice([0.5, 1, 2])}
        for n in range(1, 3 + n_tasks // 10)
    }
    raw = list(states)
    states["Waste"] = {"price": -0.2}
    tasks: dict[str, dict[str, Any]] = {}
    shared: list[str] = []
    product = 0
    while len(tasks) < n_tasks:
        product += 1
        _draw_route(random, product, raw, shared, states, tasks, units)
    plant = {
        "name": f"generated_{seed}",
        "amount_unit": "kg",
        "time_unit": "h",
        "states": states,
        "tasks": tasks,
    }
    rules = _draw_rules(random, tasks)
    used = {s for t in tasks.values() for side in ("consumes", "produces") for s in t[side]}
    plant["states"] = {name: entry for name, entry in states.items() if name in used}
    if rules:
        plant["units"] = rules
    return so.read_network(plant)


def _draw_units(random: Random, n_tasks: int) -> dict[str, list[tuple[str, int]]]:
    """Units of each group, with the size of a full batch."""
    return {
        name: [
            (f"{name}_{n}", random.choice([40, 60, 80, 100, 150]))
            for n in range(1, 1 + random.randint(1, 1 + max(1, n_tasks // 15)))
        ]
        for name, *_ in GROUPS
    }


def _draw_route(
    random: Random,
    product: int,
    raw: list[str],
    shared: list[str],
    states: dict[str, dict[str, Any]],
    tasks: dict[str, dict[str, Any]],
    units: dict[str, list[tuple[str, int]]],
) -> None:
    """Draw the steps of one product, from raw material or an intermediate that others use too."""
    inner = sorted(random.sample(range(len(GROUPS) - 1), random.randint(2, 5)))
    steps = [*inner, len(GROUPS) - 1]
    state = random.choice(shared) if shared and random.random() < 0.4 else random.choice(raw)
    for number, group in enumerate(steps):
        name, least, most, sized = GROUPS[group]
        last = number == len(steps) - 1
        made = f"P{product}" if last else f"I{product}_{number + 1}"
        states[made] = {"price": random.choice([6, 8, 10, 14])} if last else _draw_storage(random)
        if not last and random.random() < 0.5:
            shared.append(made)
        consumes = {state: 1.0}
        if random.random() < 0.35:
            share = random.choice([0.2, 0.3, 0.5])
            other = random.choice(raw)
            if other != state:
                consumes = {state: 1 - share, other: share}
        produces = {made: 1.0}
        if not last and random.random() < 0.3:
            loss = random.choice([0.05, 0.1, 0.2])
            produces = {made: 1 - loss, "Waste": loss}
        tasks[f"{name}_{made}"] = {
            "consumes": consumes,
            "produces": produces,
            "units": _draw_terms(random, units[name], least, most, sized),
        }
        state = made


def _draw_storage(random: Random) -> dict[str, Any]:
    return random.choice([{}, {"capacity": 0}, {"capacity": 60}, {"capacity": 150}])


def _draw_terms(
    random: Random, units: list[tuple[str, int]], least: float, most: float, sized: float
) -> dict[str, dict[str, Any]]:
    hours = round(random.uniform(least, most) * 4) / 4
    depends = random.random() < sized
    terms = {}
    for unit, size in random.sample(units, random.randint(1, min(3, len(units)))):
        entry: dict[str, Any] = {"max_batch": size, "fixed_time": max(0.25, hours)}
        if depends:
            entry["fixed_time"] = max(0.25, round(hours * 2) / 4)
            entry["time_per_amount"] = round(hours / 2 / size, 4)
        if random.random() < 0.5:
            entry["min_batch"] = round(size * random.choice([0.2, 0.3, 0.5]))
        if random.random() < 0.3:
            entry["fixed_cost"] = random.choice([5, 10, 20])
        terms[unit] = entry
    return terms


def _draw_rules(random: Random, tasks: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Changeovers on some units that run several tasks; daily or single periods away on others."""
    on_unit: dict[str, list[str]] = {}
    for task, entry in tasks.items():
        for unit in entry["units"]:
            on_unit.setdefault(unit, []).append(task)
    rules: dict[str, dict[str, Any]] = {}
    for unit, names in on_unit.items():
        draw = random.random()
        if draw < 0.2 and len(names) > 1:
            time = random.choice([0.25, 0.5, 1])
            rules[unit] = {"changeovers": {a: {b: time for b in names if b != a} for a in names}}
        elif draw < 0.3:
            start = random.randint(4, 16)
            rules[unit] = {"unavailable": [[start, start + random.choice([1, 2, 4])]]}
        elif draw < 0.35:
            rules[unit] = {"unavailable": [[22 + 24 * d, 30 + 24 * d] for d in range(7)]}
    return rules


def generate_problem(network: so.Network, seed: int, horizon: float) -> Problem:
    """Ask for profit; for odd seeds, some products must be made or delivered on top of that."""
    random = Random(1000 + seed)
    if seed % 2 == 0:
        return Problem(horizon=horizon)
    targets, deliveries = {}, []
    products = random.sample(network.products, min(len(network.products), random.randint(1, 3)))
    for product in products:
        most = _most_of(network, product, horizon)
        amount = round(most * random.uniform(LEAST_SHARE, MOST_SHARE) / len(products), 1)
        if amount <= 0:
            continue
        if random.random() < 0.5:
            targets[product] = amount
        else:
            due = round(horizon * random.uniform(0.6, 1.0), 1)
            deliveries.append(so.Delivery(product, due, amount))
    return Problem(horizon=horizon, targets=targets, deliveries=tuple(deliveries))


def _most_of(network: so.Network, product: str, horizon: float) -> float:
    """Bound how much of one product can be made."""
    plant = network.to_dict()
    for name, entry in plant["states"].items():
        entry.pop("cost", None)
        entry.pop("price", None)
        if name == product:
            entry["price"] = 1
    for task in plant["tasks"].values():
        for terms in task["units"].values():
            terms.pop("fixed_cost", None)
    bound = bound_by_capacity(so.read_network(plant), Problem(horizon=horizon))
    return max(0.0, bound or 0.0)


def search_plain_grid(network: so.Network, problem: Problem, *, seconds: float) -> float | None:
    """Solve one grid of the whole horizon as a MILP on HiGHS, then retime; its value, if any."""
    ranked = rank_widths(network, problem, most_modes=1, many_batches=int(40 * seconds))
    if not ranked:
        return None
    width = ranked[0].width
    grid = build_grid(network, problem, width=width, modes=choose_modes(network, width, most=1))
    answer = solve_program(grid.program, time_limit=seconds, start=do_nothing(grid))
    if answer.x is None:
        return None
    schedule = retime_repeatedly(grid.place(answer.x), network, problem)
    return None if schedule is None else so.schedule_value(schedule, network, problem.objective)


def main(*, plants: int = 20, horizon: float = 24.0, seconds: float = 30.0, seed: int = 0) -> str:
    """Search each plant; return a table."""
    rows, gaps, below = [], [], 0
    for number in range(seed, seed + plants):
        network = generate_plant(number)
        problem = generate_problem(network, number, horizon)
        schedule, bound = search_long_horizon(
            network, problem, time_limit=seconds, clock=time.process_time
        )
        plain = search_plain_grid(network, problem, seconds=seconds)
        value = gap = None
        if schedule is not None:
            assert so.find_violations(schedule, network) == []
            value = so.schedule_value(schedule, network, problem.objective)
            if bound is not None and value:
                gap = abs(bound - value) / abs(value)
                gaps.append(gap)
        below += plain is not None and (value is None or value < plain - 0.01 * abs(plain))
        row = (number, len(network.tasks), len(network.units), value, bound, gap, plain)
        rows.append(row)
        print(*row, flush=True)
    table = "\n".join(
        "| " + " | ".join("" if cell is None else f"{cell:.4g}" for cell in row) + " |"
        for row in rows
    )
    median = f"{100 * statistics.median(gaps):.1f} %" if gaps else "not known"
    return (
        f"{plants} plants, {horizon:g} h, {seconds:g} CPU s each: median gap {median}, "
        f"{sum(row[3] is None for row in rows)} without a schedule, {below} more than 1 % below "
        "the plain grid.\n\n"
        "| seed | tasks | units | value | bound | gap | plain grid |\n"
        "|---|---|---|---|---|---|---|\n" + table
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plants", type=int, default=20)
    parser.add_argument("--horizon", type=float, default=24.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    print(main(**vars(parser.parse_args())))
