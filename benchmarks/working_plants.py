"""Drawn plants under way: orders, cuts at any instant and rescheduling, against an exact grid.

The plants, the grid and the judge of mutated schedules are those of tests/scheduling, without any
of the library's models. Run alone with `python benchmarks/working_plants.py [orders|cuts|again]
[--first 0] [--count 50]`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import stnopt as so

TESTS = Path(__file__).resolve().parents[1] / "tests" / "scheduling"
N_PLANTS, N_CUTS, N_AGAIN = 300, 200, 20
TIME_LIMIT = 20.0
#: CPU seconds that planning anew may take.
SOON = 10.0


def main() -> str:
    """Return the tables of all three."""
    return "\n\n".join(
        (
            compare_orders(0, N_PLANTS),
            cut_schedules(0, N_CUTS),
            plan_again(0, N_AGAIN),
        )
    )


def compare_orders(first: int, count: int) -> str:
    """Compare least late schedules with the grid: half of the plants cannot meet all in time."""
    from test_drawn_at_work import HOURS, drawn, mutated
    from time_grid import best_of_all, draw_orders, is_valid_on_grid

    seen: Counter = Counter()
    wanted = {True: (count + 1) // 2, False: count // 2}
    seed = 10 * first - 1
    while any(wanted.values()):
        seed += 1
        network, start, _ = drawn(seed)
        orders = tuple(draw_orders(network, seed, HOURS))
        if not orders:
            continue
        problem = so.Problem(objective="tardiness", horizon=HOURS, orders=orders)
        best = best_of_all(network, HOURS, start=start, orders=orders, objective="tardiness")
        unmet = best is not None and (best.missing > 1e-4 or best.value > 1e-4)
        if wanted[unmet] == 0:
            continue
        try:
            found = so.find_schedule(network, problem, start=start, time_limit=TIME_LIMIT)
        except so.UnsupportedModelError:
            seen["refused by name"] += 1
            continue
        wanted[unmet] -= 1
        seen["orders: not all can be met in time" if unmet else "orders: all can, or none"] += 1
        verdict = _verdict(found, best)
        seen[verdict] += 1
        if verdict in ("wrong", "lateness differs"):
            print(verdict, seed, best, found.result, found.missing, file=sys.stderr, flush=True)
        if found.schedule is None:
            continue
        random = Random(seed)
        for _ in range(3):
            changed = mutated(_on_whole_hours(found.schedule, network), network, random)
            if changed is not None:
                alike = is_valid_on_grid(network, changed) == (
                    not so.find_violations(changed, network)
                )
                seen["mutated, judged alike" if alike else "mutated, judged differently"] += 1
                if not alike:
                    print("judged differently", seed, file=sys.stderr, flush=True)
    return _table("Orders that cannot all be met", seen)


def _verdict(found: so.ScheduleSearch, best: object) -> str:
    if best is None:
        return "infeasible, both" if found.schedule is None else "wrong"
    if found.schedule is None:
        return "wrong" if found.stopped == "proven" else "undecided"
    late = 0.0
    for served in found.schedule.orders:
        told, own = served.lateness(found.schedule.horizon), _lateness(found.schedule, served)
        if abs(told - own) > 1e-9:
            return "lateness differs"
        late += served.order.priority * own
    if abs(late - (found.result.objective or 0.0)) > 1e-6:
        return "lateness differs"
    near = abs(found.missing - best.missing) < 1e-4 and abs(late - best.value) < 2e-3
    if near:
        return "equal"
    less = found.missing < best.missing - 1e-4
    less |= found.missing < best.missing + 1e-4 and late < best.value - 2e-3
    return "wrong" if less or found.stopped == "proven" else "undecided"


def _lateness(schedule: so.Schedule, served: so.ServedOrder) -> float:
    """Lateness by what the words mean, from the parts alone."""
    order = served.order
    came = sum(amount for _, amount in served.parts)
    last = schedule.horizon
    if came > order.amount * (1 - 1e-6):
        last = max(time for time, _ in served.parts)
    return max(0.0, last - order.due)


def _on_whole_hours(schedule: so.Schedule, network: so.Network) -> so.Schedule:
    batches = tuple(
        replace(b, start=float(round(b.start)), finish=float(round(b.finish)))
        for b in schedule.batches
    )
    orders = tuple(
        so.ServedOrder(
            served.order,
            tuple((float(round(t)), amount) for t, amount in served.parts),
            may_miss=served.may_miss,
        )
        for served in schedule.orders
    )
    return replace(schedule, batches=batches, orders=orders)


def cut_schedules(first: int, count: int) -> str:
    """Cut schedules at any instant: the rest replays, and planned anew it is never worse."""
    from test_drawn_at_work import HOURS, drawn

    seen: Counter = Counter()
    seed = 10 * first - 1
    done = 0
    while done < count:
        seed += 1
        network, start, problem = drawn(seed)
        try:
            found = so.find_schedule(network, problem, start=start, time_limit=TIME_LIMIT)
        except so.UnsupportedModelError:
            continue
        if found.schedule is None:
            continue
        done += 1
        cut = Random(seed).uniform(0, HOURS * 0.95)
        rest = so.rest_of(found.schedule, cut, network)
        plant, asked = so.from_time(network, problem, cut)
        replays = so.find_violations(rest, plant) == []
        seen["the rest replays" if replays else "the rest is rejected"] += 1
        verdict = _anew(rest, plant, asked)
        seen[verdict] += 1
        if not replays or verdict == "anew worse":
            print(verdict, replays, seed, cut, file=sys.stderr, flush=True)
    return _table("Schedules cut at any instant", seen)


def _anew(rest: so.Schedule, plant: so.Network, asked: so.Problem) -> str:
    """Plan anew from a state, beginning with the rest of the old schedule."""
    orders = rest.start.open_orders
    objective = "profit" if asked.objective == "tardiness" and not orders else asked.objective
    asked = replace(asked, objective="profit", orders=())
    asked = replace(asked, objective=objective, orders=orders)
    try:
        anew = so.find_schedule(plant, asked, start=rest.start, time_limit=TIME_LIMIT)
    except so.UnsupportedModelError:
        return "anew refused by name"
    if anew.schedule is None:
        return "anew undecided" if anew.stopped != "proven" else "anew worse"
    before, after = (so.schedule_value(s, plant, objective) for s in (rest, anew.schedule))
    gain = after - before if objective != "tardiness" else before - after
    if objective == "tardiness":
        fewer = _missing(rest) - _missing(anew.schedule)
        gain = fewer if abs(fewer) > 1e-6 else gain
    better, worse = gain > 1e-4, gain < -1e-4
    if worse:
        return "anew worse" if anew.stopped == "proven" else "anew undecided"
    return "anew better" if better else "anew as good"


def _missing(schedule: so.Schedule) -> float:
    return sum(s.order.priority * s.missing_share for s in schedule.orders)


def plan_again(first: int, count: int) -> str:
    """Plan 8 to 15 tasks anew when a batch is late; what was told stays, and it is soon done."""
    from asking import best_schedule
    from plants_at_work import profit
    from test_reschedule import a_plant_of_many_tasks

    seen: Counter = Counter()
    slowest = 0.0
    for seed in range(first, first + count):
        network, problem = a_plant_of_many_tasks(100 + seed), profit(8)
        schedule = best_schedule(network, problem, None, "unit_events", 5, gap=0.02).schedule
        at = Random(seed).uniform(2, 4)
        running = [b for b in schedule.batches if b.start <= at < b.finish - 1e-4]
        changes = [so.Late(running[seed % len(running)], 0.4)] if running else []
        same = so.reschedule(schedule, network, problem, at=at, keep_until=8)
        seen["unchanged without a change" if same.schedule == schedule else "changed"] += 1
        began = time.process_time()
        found = so.reschedule(
            schedule, network, problem, at=at, keep_until=at + 3, changes=changes, time_limit=SOON
        )
        seconds = time.process_time() - began
        slowest = max(slowest, seconds)
        seen[f"answered within {SOON:g} CPU s" if seconds <= SOON else "later"] += 1
        kept = [b for b in schedule.batches if at + 1e-5 < b.start < at + 3 - 1e-5]
        broken = [b for b in kept if b not in found.moved and b not in found.schedule.batches]
        seen["a kept batch is broken" if broken else "no kept batch is broken"] += 1
        seen["batches that should stay"] += len(kept)
        seen["of them moved, by name"] += len(found.moved)
        seen["fewest proven on the event points"] += found.moved_scope is not None
    return _table(f"Planned again, 8 to 15 tasks (slowest {slowest:.1f} CPU s)", seen)


def _table(title: str, seen: Counter) -> str:
    rows = "\n".join(f"| {what} | {number} |" for what, number in sorted(seen.items()))
    return f"### {title}\n\n| | |\n|---|---|\n{rows}"


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["orders", "cuts", "again"])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=20)
    given = parser.parse_args()
    measure = {"orders": compare_orders, "cuts": cut_schedules, "again": plan_again}[given.what]
    began = time.process_time()
    print(measure(given.first, given.count))
    print(f"{time.process_time() - began:.0f} CPU seconds")
