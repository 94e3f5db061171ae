"""A schedule in words: who does what when, what it is worth and what is proven of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError
from stnopt.plant.objective import OBJECTIVES
from stnopt.plant.tolerance import amount_tolerance
from stnopt.scheduling.diagnosis.wording import write_amount
from stnopt.scheduling.schedule import schedule_value
from stnopt.solvers.result import Status

if TYPE_CHECKING:
    from datetime import datetime

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.reschedule import Rescheduling
    from stnopt.scheduling.search.result import ScheduleSearch

_MINUTES = {"s": 1 / 60, "min": 1.0, "h": 60.0, "d": 1440.0}


class Clock:
    """Times of a schedule as the plant's numbers, or as clock times from a start."""

    def __init__(self, start: int | None, minutes: float, unit: str) -> None:
        self.start, self.minutes, self.unit = start, minutes, unit

    @classmethod
    def of(cls, start: str | None, network: Network, date: datetime | None = None) -> Clock:
        """Read the option, which needs a plant whose time unit is known; else take the date's."""
        unit = network.time_unit
        if start is None and date is not None and unit in _MINUTES:
            return cls(60 * date.hour + date.minute, _MINUTES[unit], unit)
        if start is None:
            return cls(None, 0.0, unit)
        found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", start)
        if found is None:
            raise InvalidInputError(f"--start {start!r}: expected a clock time such as 06:00")
        if unit not in _MINUTES:
            raise InvalidInputError(
                f"--start needs a plant whose time_unit is {', '.join(_MINUTES)}; "
                + (f"it is {unit!r}" if unit else "this one says none")
            )
        return cls(60 * int(found[1]) + int(found[2]), _MINUTES[unit], unit)

    def read(self, time: float) -> str:
        """Write a time in eight characters or more."""
        if self.start is None:
            return f"{time:8.2f} {self.unit}".rstrip()
        minutes = self.start + round(time * self.minutes)
        days, minutes = divmod(minutes, 1440)
        return f"{f'{days:+d} d ' if days else ''}{minutes // 60:02d}:{minutes % 60:02d}".rjust(10)

    def read_short(self, time: float) -> str:
        """Write a time within a sentence."""
        return write_amount(time, self.unit) if self.start is None else self.read(time).strip()


def _column(amount: float) -> str:
    """Write an amount in ten characters; grams beside tonnes are not rounded to nothing."""
    small = 0 < abs(amount) < 0.005
    return f"{f'{amount:.3g}' if small else f'{amount:.2f}':>10}"


def _print_orders(schedule: Schedule, network: Network, clock: Clock) -> None:
    """Print who gets what when, how late, what is missing, and what makes it so."""
    if not schedule.orders:
        return
    from stnopt.scheduling.diagnosis.late_orders import describe_order, find_late_orders

    print("Orders")
    late = {each.served.order.id: each for each in find_late_orders(schedule, network)}
    for served in sorted(schedule.orders, key=lambda s: s.order.due):
        print(f"  {describe_order(served, schedule.horizon, network, clock.read)}")
        if served.order.id in late:
            for sentence in late[served.order.id].sentences(clock.read_short):
                print(f"    {sentence}")


def print_schedule(schedule: Schedule, network: Network, clock: Clock) -> None:
    """Print what each unit does when, and what is there at the end."""
    print(f"{network.name}, {write_amount(schedule.horizon, network.time_unit)}")
    widest = max((len(batch.task) for batch in schedule.batches), default=0)
    for unit in network.units:
        batches = sorted(
            (batch for batch in schedule.batches if batch.unit == unit), key=lambda b: b.start
        )
        running = [b for b in schedule.start.running if b.unit == unit] if schedule.start else []
        print(unit if batches or running else f"{unit}  (idle)")
        for own in running:
            began = "running".rjust(len(clock.read(0.0)))
            if clock.start is not None:
                began = clock.read(own.started)
            print(
                f"  {began} - {clock.read(own.remaining)}  "
                f"{own.task:<{widest}}  {_column(own.size)} {network.amount_unit}".rstrip()
            )
        for batch in batches:
            print(
                f"  {clock.read(batch.start)} - {clock.read(batch.finish)}  "
                f"{batch.task:<{widest}}  {_column(batch.size)} {network.amount_unit}".rstrip()
            )
    _print_orders(schedule, network, clock)
    if schedule.deliveries:
        print("Deliveries")
    for delivery in sorted(schedule.deliveries, key=lambda d: d.time):
        print(
            f"  {clock.read(delivery.time)}  {delivery.state:<{widest}}  "
            f"{_column(delivery.amount)} {network.amount_unit}".rstrip()
        )
    print(f"At the end, {clock.read(schedule.horizon).strip()}:")
    widest = max(len(state) for state in network.states)
    for name, state in network.states.items():
        amount = schedule.final_stock.get(name, 0.0)
        if abs(amount) <= amount_tolerance(network, name):
            amount = 0.0  # no "-0.00"
        if not amount and not state.price:
            continue
        what = "used" if state.unlimited else "left"
        print(f"  {name:<{widest}}  {_column(amount)} {network.amount_unit} {what}".rstrip())


def print_changes(found: Rescheduling, clock: Clock) -> None:
    """Print what becomes of the old schedule's batches, and what is proven of that."""
    print("What changes")
    names = {"late": "ends late", "lost": "is lost", "kept": "stays"}
    for row in found.changes.itertuples():
        is_there, was_there = row.start == row.start, row.was_start == row.was_start  # NaN: not
        was = f"{row.was_unit} {clock.read_short(row.was_start)}" if was_there else ""
        to = f"{row.unit} {clock.read_short(row.start)}" if is_there else ""
        if row.change == "late":
            to = f"until {clock.read_short(row.finish)}"
            was += f" to {clock.read_short(row.was_finish)}"
        if row.change == "kept":
            was = ""
        arrow = " -> " if was and to else ""
        print(f"  {names.get(row.change, row.change):9}  {row.task}  {was}{arrow}{to}".rstrip())
    print(found.summarise(clock.read_short))


def print_value(
    search: ScheduleSearch, network: Network, problem: Problem, *, since: str = ""
) -> None:
    """Print the objective with its unit, and what is proven of it.

    `since`: the instant from which on it counts; left out, it is that of the whole schedule.
    """
    assert search.schedule is not None
    counted = OBJECTIVES[problem.objective].unit
    unit = {"amount": network.amount_unit, "time": network.time_unit}.get(counted, "")
    value = schedule_value(search.schedule, network, problem.objective)
    if since:
        value = value if search.result.objective is None else search.result.objective
        print(f"from {since} on: ", end="")
    print(f"{problem.objective} {value:.6g} {unit}".rstrip())
    if search.missing:
        print(f"missing share of the orders, weighted by priority: {search.missing:.4g}")
    print(_proof(search, problem.objective, unit))


def _proof(search: ScheduleSearch, objective: str, unit: str) -> str:
    """Say what is proven, for what, and whether a limit cut the search."""
    proof, limited = search.proof, search.stopped in ("time limit", "interrupted")
    better = OBJECTIVES[objective].better
    points = f"{proof.n_events} event point{'s' if proof.n_events != 1 else ''}"
    points += f" with span {proof.max_span}" if proof.max_span else ""
    limit = "" if proof.bound is None else f" than {proof.bound + 0.0:.6g} {unit}".rstrip()
    claim = f"no schedule on {points} {better}{limit}."
    if proof.scope == "any schedule":
        return f"Proven: no schedule {better}{limit}, whatever its event points."
    stopped = "The search was interrupted" if search.stopped == "interrupted" else "A limit came"
    text = f"{stopped} before it was settled whether any schedule {better}."
    if not limited:
        text = "Whether more event points would do better is not settled."
    if search.bound is not None:
        return f"{text} None {better} than {search.bound + 0.0:.6g} {unit}".rstrip() + "."
    if search.result.status is Status.OPTIMAL and not limited:
        return f"Proven for its event points: {claim} {text}"
    return text
