"""200 drawn plants and schedules to Excel, CSV, JSON and YAML and back: equal, and replayed alike.

Plants are those of tests/scheduling, with names that a spreadsheet would change (leading zeros,
formulas, quotes, commas, other alphabets), amounts from 1e-9 to 1e12, and starts in
time zones, some around the change to daylight saving time. Schedules are built batch by batch, each
kept only where the replay finds nothing wrong. Run with `python benchmarks/round_trips.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import stnopt as so
from stnopt.plant.calendar import parse_start
from stnopt.plant.read import read_plant_file
from stnopt.scheduling.schedule import compute_final_stock

TESTS = Path(__file__).resolve().parents[1] / "tests" / "scheduling"
N_DRAWS = 200
HOURS = 8.0
NAMES = (
    "Pulver ß", "a,b;c", 'say "x"', "=1+1", "007", "NO", "1e5", "emoji 🧪", "'quoted",
    "@SUM(A1)", "-5", "true", "2026-01-05", "日本", "1,5", "~", "null", "10:30", "#1", "x: y",
    "+49", "C:\\temp", "<b>", "%d", "{x}", "[y]", "café", "a|b", "é́", "0x1F",
)  # fmt: skip
#: Names are printable and of one line; a description need not be.
TEXTS = ("", "two\nlines", 'a "quoted", comma', "=1+1", "tab\there", "007", "ends in a line\n")
SCALES = (1.0, 1.0, 1e-9, 1e12, 1 / 3)
STARTS = (
    None,
    "2026-01-05T06:00",
    "2026-01-05T06:00:30",
    "2026-03-28T20:00 Europe/Berlin",  # the clock is put forward at 02:00
    "2026-10-24T20:00 Europe/Berlin",  # and back
    "2026-11-01T00:30 America/New_York",
    "2026-01-05T06:00+05:45",
)


def draw(seed: int) -> tuple[so.Network, so.Problem, so.PlantState, so.Schedule]:
    """Draw a plant, what is asked of it, its state, and a schedule that obeys the plant."""
    from time_grid import (
        add_calendars,
        add_rules,
        draw_deliveries,
        draw_orders,
        draw_plant,
        draw_state,
    )

    random = Random(seed)
    plain = draw_plant(seed)
    if seed % 3:
        rules = dict.fromkeys(["periods", "changeovers", "utilities", "cleanings"], True)
        plain = add_rules(plain, seed, **rules)
    if seed % 4 == 0:
        plain = add_calendars(plain, seed)
    state = draw_state(plain, seed) if seed % 2 else so.PlantState()
    problem = so.Problem(
        objective=random.choice(["profit", "cost", "makespan", "tardiness"]),
        horizon=HOURS,
        deliveries=draw_deliveries(plain, seed, int(HOURS)),
        orders=draw_orders(plain, seed, int(HOURS)),
    )
    scale = random.choice(SCALES)
    names = dict(zip(_words(plain), random.sample(NAMES, len(_words(plain))), strict=True))
    content = {"plant": plain.to_dict(), "problem": problem.to_dict(), "now": state.to_dict()}
    content = {key: value for key, value in content.items() if value}
    if seed % 5:
        content = _renamed(content, names)
    content["plant"]["time_unit"] = "h"
    content["plant"]["description"] = random.choice(TEXTS)
    network = so.read_network(content)
    problem = so.read_problem(content)
    state = so.read_state(content, default=so.PlantState())
    start = random.choice(STARTS)
    problem = replace(problem, start=None if start is None else parse_start(start))
    if scale != 1.0 and not state.running and not state.held:
        network = _scaled(network, scale)
        problem = so.Problem(horizon=HOURS, start=problem.start)
        state = so.PlantState()
    schedule = draw_schedule(network, problem, random)
    return network, problem, state, schedule


def _words(network: so.Network) -> list[str]:
    return list(dict.fromkeys([*network.states, *network.tasks, *network.units]))


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value


def _scaled(network: so.Network, scale: float) -> so.Network:
    """Return a plant whose amounts are all larger or smaller."""
    content = network.to_dict()
    for state in content["states"].values():
        for key in ("initial", "capacity"):
            if isinstance(state.get(key), int | float):
                state[key] *= scale
        state["arrivals"] = [[time, amount * scale] for time, amount in state.get("arrivals", [])]
    for task in content["tasks"].values():
        for unit in task["units"].values():
            for key in ("min_batch", "max_batch"):
                unit[key] = unit.get(key, 0) * scale
            for key in ("time_per_amount", "cost_per_amount"):
                unit[key] = unit.get(key, 0) / scale
            unit["draws_per_amount"] = {
                name: draw / scale for name, draw in unit.get("draws_per_amount", {}).items()
            }
    return so.read_network(content)


def draw_schedule(network: so.Network, problem: so.Problem, random: Random) -> so.Schedule:
    """Build a schedule batch by batch; its orders are missing, which costs them only priority."""
    orders = tuple(so.ServedOrder(order, (), may_miss=True) for order in problem.orders)

    def of(batches: tuple[so.Batch, ...]) -> so.Schedule:
        stock = compute_final_stock(batches, network, horizon=HOURS)
        return so.Schedule(
            batches=batches, final_stock=stock, horizon=HOURS, orders=orders, date=problem.start
        )

    schedule = of(())
    for _ in range(12):
        fit = random.choice(network.suitabilities)
        size = fit.min_batch + random.choice([1.0, random.random()]) * (
            fit.max_batch - fit.min_batch
        )
        begin = random.random() * HOURS
        batch = so.Batch(fit.task, fit.unit, begin, begin + fit.duration(size), size)
        longer = of((*schedule.batches, batch))
        if size > 0 and not so.find_violations(longer, network):
            schedule = longer
    return schedule


def check(seed: int, folder: Path) -> tuple[list[str], so.Schedule, bool]:
    """Write and read all forms of a draw.

    Returns what did not come back as it was, the schedule, and whether its replay is clean; where
    what arrives does not fit into storage, no schedule's is.
    """
    network, problem, state, schedule = draw(seed)
    wrong = []
    for name in ("plant.xlsx", "tables", "plant.yaml"):
        path = folder / name
        if name.endswith("yaml"):
            network.to_yaml(path)
            asked = so.read_problem({"problem": problem.to_dict()})
            found: tuple[Any, ...] = (so.read_network(path), asked, state)
        else:
            so.write_tables(path, network, problem, state)
            read = read_plant_file(path)
            found = (read[0], read[1] or so.Problem(), read[2] or so.PlantState())
        if found != (network, problem, state):
            wrong.append(name)
    before = so.find_violations(schedule, network)
    schedule.to_json(folder / "s.json")
    schedule.to_csv(folder / "s.csv")
    schedule.to_excel(folder / "s.xlsx", network=network)
    for name in ("s.json", "s.csv", "s.xlsx"):
        again = so.read_schedule(folder / name)
        if (
            again != schedule
            or again.date != schedule.date
            or str(again.date) != str(schedule.date)
        ):
            wrong.append(name)
        if so.find_violations(again, network) != before:
            wrong.append(f"{name}: replay")
    return wrong, schedule, not before


def main(*, draws: int = N_DRAWS) -> str:
    """Check all draws, and return what was found as a text."""
    sys.path.insert(0, str(TESTS))
    began, counts, wrong = time.process_time(), Counter[str](), []
    for seed in range(draws):
        with tempfile.TemporaryDirectory() as folder:
            problems, schedule, is_clean = check(seed, Path(folder))
        counts["schedules whose replay is clean"] += is_clean
        counts["batches"] += len(schedule.batches)
        counts["schedules with batches"] += bool(schedule.batches)
        counts["schedules with a zoned start"] += bool(schedule.date and schedule.date.tzinfo)
        wrong += [f"draw {seed}: {problem}" for problem in problems]
    lines = [
        f"{draws} plants and schedules, each in Excel, CSV and YAML or JSON and back: "
        f"{len(wrong)} not equal or not replayed alike.",
        *(f"{count} {what}" for what, count in counts.items()),
        *wrong,
        f"{time.process_time() - began:.0f} CPU s",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=N_DRAWS)
    print(main(draws=parser.parse_args().draws))
