"""The sheet that goes to the shift: per unit, in order, what is done from when to when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.plant.calendar import clock_time, with_calendars
from stnopt.scheduling.replay import replay_changeovers, replay_cleanings

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule


def shift_sheet(schedule: Schedule, network: Network) -> tuple[list[str], list[list[object]]]:
    """Return the names of the sheet's columns, and its rows, unit after unit.

    Times are clock times where the schedule has a date, else the plant's own. What already runs at
    time 0 comes first; changeovers, cleanings and periods in which a unit is unavailable stand
    among its batches. The last column is left for the shift's own marks.

    Parameters
    ----------
    schedule : Schedule
    network : Network
    """
    laid_out = with_calendars(network, start=schedule.date, horizon=schedule.horizon)

    def told(time: float) -> str:
        if schedule.date is None:
            return f"{time:.2f}"
        return f"{clock_time(schedule.date, time, network.time_unit):%a %d %b %H:%M}"

    prepared = [
        (unit, (begin, end, what, None))
        for what, times in (
            ("changeover", replay_changeovers(schedule, network)),
            ("cleaning", replay_cleanings(schedule, network)),
        )
        for unit, begin, end in times
    ]
    rows: list[list[object]] = []
    for unit in dict.fromkeys([*network.units, *(batch.unit for batch in schedule.batches)]):
        lines: list[tuple[float, float, str, float | None]] = [
            (batch.start, batch.finish, batch.task, batch.size)
            for batch in schedule.batches
            if batch.unit == unit
        ]
        lines += [
            (batch.started, batch.remaining, f"{batch.task} (running)", batch.size)
            for batch in (schedule.start.running if schedule.start else ())
            if batch.unit == unit
        ]
        lines += [line for name, line in prepared if name == unit]
        if unit in laid_out.unit_rules:
            lines += [
                (begin, min(end, schedule.horizon), "unavailable", None)
                for begin, end in laid_out.unit_rules[unit].unavailable
                if begin < schedule.horizon
            ]
        for begin, end, what, size in sorted(lines, key=lambda line: line[:2]):
            size = None if size is None else float(f"{size:.6g}")
            rows.append([unit, told(begin), told(end), what, size, None])
    times = ["from", "to"]
    if schedule.date is None and network.time_unit:
        times = [f"{name} [{network.time_unit}]" for name in times]
    amount = f"amount [{network.amount_unit}]" if network.amount_unit else "amount"
    return ["unit", *times, "what", amount, "done"], rows
