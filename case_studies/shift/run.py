"""A shift at a paint plant: planned at 06:00, and planned again at 09:00 when a batch is late.

    python case_studies/shift/run.py

The plant, what runs there at 06:00 and the orders are in paint.yaml beside this file.
"""

from __future__ import annotations

import math
from pathlib import Path

import stnopt
from stnopt.plant.calendar import clock_time

HERE = Path(__file__).parent


def clock(problem: stnopt.Problem, time: float) -> str:
    """Write a time of the schedule as the clock shows it, to the nearest minute."""
    return f"{clock_time(problem.start, round(time * 60) / 60, 'h'):%H:%M}"


def print_sheet(
    schedule: stnopt.Schedule, problem: stnopt.Problem, *, since: float = -math.inf
) -> None:
    """Print the shift sheet: who starts what when, with how much, from an instant on."""
    running = schedule.start.running if schedule.start else ()
    rows = sorted((*running, *schedule.batches), key=lambda batch: (batch.start, batch.unit))
    print("  from   to     unit     task           kg")
    for batch in rows:
        if batch.finish > since:
            begin, end = clock(problem, batch.start), clock(problem, batch.finish)
            print(f"  {begin}  {end}  {batch.unit:8} {batch.task:11} {batch.size:5.0f}")


def print_orders(schedule: stnopt.Schedule, problem: stnopt.Problem) -> None:
    """Print who gets what, when, and how late."""
    print("  order  paint     kg  due    comes          late")
    for served in schedule.orders:
        order, horizon = served.order, schedule.horizon
        late = served.lateness(horizon) * 60
        comes = ", ".join(clock(problem, time) for time, _ in served.parts) or "not by then"
        said = f"{late:.0f} min" if late >= 1 else "-"
        due = clock(problem, order.due)
        print(f"  {order.id:6} {order.state:7} {order.amount:4.0f}  {due}  {comes:13}  {said}")


def run() -> tuple[stnopt.Problem, stnopt.ScheduleSearch, stnopt.Rescheduling]:
    """Plan the shift, let a batch be late, plan again, and print both shift sheets."""
    source = HERE / "paint.yaml"
    plant, problem = stnopt.read_network(source), stnopt.read_problem(source)
    now = stnopt.read_state(source)

    # 06:00. What misses least comes first, then what is least late.
    morning = stnopt.find_schedule(plant, problem, start=now)
    print(
        f"Planned at 06:00 (stopped: {morning.stopped}; at least {morning.missing_bound:.2f} "
        f"of an order must be missing, {morning.missing:.2f} is)"
    )
    print_sheet(morning.schedule, problem)
    print_orders(morning.schedule, problem)

    # 09:00. The batch on the reactor (or what else runs) will take 40 minutes longer. Until 10:00
    # all have been told what they do: that stays, where it can.
    nine = 3.0
    running = [b for b in morning.schedule.batches if b.start <= nine + 1e-6 < b.finish]
    late = max(running, key=lambda batch: (batch.unit == "Reactor", batch.finish))
    afternoon = stnopt.reschedule(
        morning.schedule,
        plant,
        problem,
        at="09:00",
        changes=[stnopt.Late(late, 40 / 60)],
        keep_until="10:00",
        move_cost=0.01,
    )
    print(f"\nPlanned again at 09:00: {late.task} on {late.unit} ends 40 minutes late")
    print_sheet(afternoon.schedule, problem, since=nine)
    print_orders(afternoon.schedule, problem)
    print("\nWhat changes")
    for row in afternoon.changes.itertuples():
        was = f"{row.was_unit} {clock(problem, row.was_start)}" if row.was_start >= 0 else "-"
        to = f"{row.unit} {clock(problem, row.start)}" if row.start >= 0 else "-"
        print(f"  {row.change:8} {row.task:11} {was:14} -> {to}")
    print(afternoon.summarise(lambda time: clock(problem, time)))
    return problem, morning, afternoon


if __name__ == "__main__":
    run()
