"""Which orders of a schedule are late or missing, and which unit or stock makes them so.

What no schedule could have helped comes from sums, with the order alone; what this schedule makes
of it comes from its critical path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stnopt.plant.problem import Delivery, Problem
from stnopt.plant.reachability import batches_after
from stnopt.plant.tolerance import time_tolerance
from stnopt.scheduling.diagnosis.critical_path import CriticalPaths, Wait
from stnopt.scheduling.diagnosis.reasons import Reason, find_reasons
from stnopt.scheduling.diagnosis.wording import listed, write_amount, write_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stnopt.plant.network import Network
    from stnopt.plant.orders import ServedOrder
    from stnopt.scheduling.schedule import Schedule

#: Stretches of a path that are told; `LateOrder.waits` has them all.
_MOST_TOLD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LateOrder:
    """An order that is late or missing, and why.

    Attributes
    ----------
    served : ServedOrder
        The order, and what was delivered of it when.
    lateness, missing : float
        Time; amount.
    reasons : tuple of Reason
        Why no schedule delivers it, were it the only order, by its due date (for one that is
        missing: within the horizon).
    shared_reasons : tuple of Reason
        For one that is missing and alone would not be: why no schedule delivers all orders.
    waits : tuple of Wait
        The schedule's critical path up to its last part, in order of time. Where a part of it is
        missing: that of `longer`, and empty without one.
    bottleneck : str or None
        The unit, state or utility that it waits for: where a part of it is missing, what the
        reasons name, else the busiest unit on its way; otherwise the one on the critical path
        whose stretches are longest.
    busy : float
        How long that unit runs or is away in the schedule; of a state or utility, how long it is
        waited for.
    longer : float or None
        For one that is missing: when it is there in a schedule within a longer horizon.
    horizon : float
    amount_unit, time_unit : str
    """

    served: ServedOrder
    lateness: float
    missing: float
    reasons: tuple[Reason, ...]
    shared_reasons: tuple[Reason, ...]
    waits: tuple[Wait, ...]
    bottleneck: str | None
    busy: float
    longer: float | None = None
    horizon: float
    amount_unit: str
    time_unit: str

    def sentences(self, write_time: Callable[[float], str] | None = None) -> tuple[str, ...]:
        """Return why it is late or missing, in words.

        Parameters
        ----------
        write_time : callable, optional
            Writes a time of the schedule, such as a clock time; left out, as a number.
        """
        return tuple(self._sentences(write_time or _in_unit(self.time_unit)))

    def _sentences(self, write_time: Callable[[float], str]) -> Iterator[str]:
        if self.missing:
            within = f"within {write_amount(self.horizon, self.time_unit)}"
            for reason in self.reasons:
                yield f"No schedule delivers it {within}: {_lower(reason.message)}"
            for reason in self.shared_reasons:
                yield f"No schedule delivers all orders {within}: {_lower(reason.message)}"
            if self.longer is not None and self.bottleneck is not None:
                stretches = _told(self.waits, self.bottleneck, write_time)
                yield (
                    f"Within a longer horizon it is there at {write_time(self.longer)}; it waits "
                    f"for {self.bottleneck}: {stretches}."
                )
            elif self.busy and not (self.reasons or self.shared_reasons):
                yield (
                    f"On its way {self.bottleneck} is the busiest unit, "
                    f"{write_number(self.busy)} of {write_amount(self.horizon, self.time_unit)}."
                )
            return
        due = self.served.order.due
        if due <= 0:
            yield "It was due before the schedule begins."
        for reason in self.reasons:
            yield f"No schedule delivers it by {write_time(due)}: {_lower(reason.message)}"
        if self.bottleneck is not None:
            stretches = _told(self.waits, self.bottleneck, write_time)
            yield f"It waits for {self.bottleneck}: {stretches}."


def describe_order(
    served: ServedOrder,
    horizon: float,
    network: Network,
    write_time: Callable[[float], str] | None = None,
) -> str:
    """Write who gets what when, how late, and what is missing, in one row."""
    write_time = write_time or _in_unit(network.time_unit)
    order, unit = served.order, network.amount_unit
    what = f"{order.id}  {order.amount:g} {unit} {order.state}, due {write_time(order.due)}"
    told = []
    if served.parts:
        told = [", ".join(f"{a:g} at {write_time(time).strip()}" for time, a in served.parts)]
    late = served.lateness(horizon)
    if served.missing:
        told.append(f"{served.missing:g} {unit}".rstrip() + " missing")
    if late > time_tolerance(horizon):
        told.append(f"{late:.4g} {network.time_unit}".rstrip() + " late")
    elif not served.missing:
        told.append("on time")
    return f"{' '.join(what.split())}: {', '.join(told)}"


def find_late_orders(schedule: Schedule, network: Network) -> tuple[LateOrder, ...]:
    """Find the orders of a schedule that are late or missing, and what makes them so.

    Parameters
    ----------
    schedule : Schedule
        Replayed, with its orders; its `start` and `date` count.
    network : Network

    Returns
    -------
    tuple of LateOrder
        In order of their due dates.

    Notes
    -----
    *Reasons* hold for every schedule: the sums over the horizon (`find_reasons`), with the order
    alone, the due date as the horizon, and the plant as it is at time 0.

    *The critical path* is of this schedule: the last part of the order waits for the batch that
    releases it; a batch waits for the last of what its start needs (the unit's batch before, with
    changeover or cleaning, the unit's absence, material, a utility), and of several that came at
    once for the one with the least idle time before it. The bottleneck is the element on it with
    the longest total: time taken off it takes the delivery forward until another path is as long.
    """
    late = [
        served
        for served in sorted(schedule.orders, key=lambda s: s.order.due)
        if served.missing or served.lateness(schedule.horizon) > time_tolerance(schedule.horizon)
    ]
    if not late:
        return ()
    paths = CriticalPaths(schedule, network)
    shared: tuple[Reason, ...] | None = None
    found = []
    for served in late:
        order = served.order
        by = schedule.horizon if served.missing else order.due
        alone = [Delivery(order.state, by, order.amount)] if by > 0 else []
        reasons = _reasons(schedule, network, alone, by) if alone else ()
        if order.partial:  # its parts need not be there at once
            reasons = tuple(r for r in reasons if (r.kind, r.element) != ("storage", order.state))
        if served.missing and not reasons and shared is None:
            shared = _shared_reasons(schedule, network)
        told = (shared or ()) if served.missing and not reasons else ()
        waits = () if served.missing else paths.before_release(order.state, served.parts[-1][0])
        bottleneck, busy = _bottleneck(schedule, network, served, (*reasons, *told), waits)
        found.append(
            LateOrder(
                served=served,
                lateness=served.lateness(schedule.horizon),
                missing=served.missing,
                reasons=reasons,
                shared_reasons=told,
                waits=waits,
                bottleneck=bottleneck,
                busy=busy,
                horizon=schedule.horizon,
                amount_unit=network.amount_unit,
                time_unit=network.time_unit,
            )
        )
    return tuple(found)


def explain_missing(late: LateOrder, longer: Schedule, network: Network) -> LateOrder:
    """Explain an order that is missing by a schedule that serves it within a longer horizon.

    Parameters
    ----------
    late : LateOrder
        One for which reasons were found is returned as it is.
    longer : Schedule
    network : Network
    """
    served = next(s for s in longer.orders if s.order.id == late.served.order.id)
    if late.reasons or late.shared_reasons or not late.missing or served.missing:
        return late
    when = served.parts[-1][0]
    waits = CriticalPaths(longer, network).before_release(served.order.state, when)
    bottleneck, busy = _longest(waits)
    return replace(late, waits=waits, bottleneck=bottleneck, busy=busy, longer=when)


def _reasons(
    schedule: Schedule, network: Network, wanted: list[Delivery], by: float
) -> tuple[Reason, ...]:
    problem = Problem(horizon=by, deliveries=tuple(wanted), start=schedule.date)
    return tuple(find_reasons(network, problem, start=schedule.start))


def _shared_reasons(schedule: Schedule, network: Network) -> tuple[Reason, ...]:
    """Find why no schedule delivers all orders besides the deliveries."""
    wanted = [
        Delivery(served.order.state, schedule.horizon, served.order.amount)
        for served in schedule.orders
    ]
    wanted += [replace(delivery, time=schedule.horizon) for delivery in schedule.deliveries]
    at_once = {("storage", delivery.state) for delivery in wanted}
    found = _reasons(schedule, network, wanted, schedule.horizon)
    return tuple(reason for reason in found if (reason.kind, reason.element) not in at_once)


def _bottleneck(
    schedule: Schedule,
    network: Network,
    served: ServedOrder,
    reasons: tuple[Reason, ...],
    waits: tuple[Wait, ...],
) -> tuple[str | None, float]:
    """Name what an order waits for, and how long."""
    if not served.missing:
        return _longest(waits)
    busy = _busy_on_the_way(schedule, network, served.order.state)
    named = [r.element for r in reasons if r.kind != "route_time"]
    if named:
        return named[0], busy.get(named[0], 0.0)
    if not busy:
        return None, 0.0
    busiest = max(busy, key=lambda unit: busy[unit])
    return busiest, busy[busiest]


def _longest(waits: tuple[Wait, ...]) -> tuple[str | None, float]:
    """Name the element with the longest total; of several, the one nearest to the delivery."""
    totals: dict[str, float] = {}
    for wait in reversed(waits):
        if wait.kind != "idle":
            totals[wait.element] = totals.get(wait.element, 0.0) + wait.until - wait.since
    if not totals:
        return None, 0.0
    longest = max(totals, key=lambda name: round(totals[name], 9))
    return longest, totals[longest]


def _busy_on_the_way(schedule: Schedule, network: Network, state: str) -> dict[str, float]:
    """Return how long each unit runs whose tasks a state can come from."""
    last, _ = batches_after(network, [state])
    busy = {fit.unit: 0.0 for fit in network.suitabilities if math.isfinite(last[fit.task])}
    runs = [(b.unit, b.start, b.finish) for b in schedule.batches]
    runs += [(b.unit, 0.0, b.finish) for b in (schedule.start.running if schedule.start else ())]
    for unit, begin, end in runs:
        if unit in busy:
            busy[unit] += min(end, schedule.horizon) - begin
    return busy


def _told(waits: tuple[Wait, ...], element: str, write_time: Callable[[float], str]) -> str:
    """Tell the stretches of a path on one element, the last ones where there are many."""
    on_it = [wait for wait in waits if wait.element == element and wait.kind != "idle"]
    parts = []
    for wait in on_it[-_MOST_TOLD:]:
        span = f"from {write_time(wait.since).strip()} to {write_time(wait.until).strip()}"
        if wait.kind == "arrival":
            parts.append(f"it arrives at {write_time(wait.until).strip()}")
        else:
            parts.append(f"{_DOING[wait.kind] or wait.task} {span}")
    return ("..., " if len(on_it) > _MOST_TOLD else "") + listed(parts)


#: What is told of a stretch of time; None: the task that runs.
_DOING: dict[str, str | None] = {
    "batch": None,
    "away": "away",
    "preparation": "changed over or cleaned",
    "utility": "used up",
}


def _in_unit(time_unit: str) -> Callable[[float], str]:
    return lambda time: write_amount(time, time_unit)


def _lower(message: str) -> str:
    """Begin a sentence of the library's in lower case, where it begins with one of its words."""
    first = message.split(" ", 1)[0]
    return message[0].lower() + message[1:] if first in ("The", "No", "What") else message
