"""By how much a plant misses a demand, why, and from which horizon it would not: in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stnopt.plant.tolerance import SHARE
from stnopt.scheduling.diagnosis.wording import listed, write_amount, write_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stnopt.plant.problem import Delivery
    from stnopt.scheduling.diagnosis.late_orders import LateOrder
    from stnopt.scheduling.diagnosis.reasons import Reason
    from stnopt.scheduling.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The unit of which a second copy lowers the least total shortfall most.

    Attributes
    ----------
    unit : str or None
        The busiest, of several that help as much. None when none was found to help.
    busy : mapping of str to float
        Time that each unit runs in the schedule that misses least, in the plant's unit.
    missed_with_second : mapping of str to float, amount
        Least total shortfall found with a second copy of each unit; with twice the capacity, of
        each utility. Without an entry: a limit came before any schedule.
    n_events, max_span : int
        On which this was asked: more event points than the schedule needs, for a second unit may
        need more.
    is_proven : bool
        Whether the others help no more, on these event points. False: a limit came first.
    """

    unit: str | None
    busy: Mapping[str, float]
    missed_with_second: Mapping[str, float]
    n_events: int
    max_span: int
    is_proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeasibleFrom:
    """A horizon within which the demand can be met.

    Attributes
    ----------
    horizon : float or None
        Makespan of `schedule`; None when none was found.
    schedule : Schedule or None
        It meets the demand, and was replayed.
    n_events, max_span : int
        Of the model that it was found on; 0 where none was asked.
    bound : float or None
        No schedule on these event points is shorter; None when nothing is known.
    bound_any : float
        No schedule at all is shorter.
    is_proven : bool
        Whether the makespan is the least on these event points, or of all schedules where
        `bound_any` says so.
    windows : tuple of (float, float)
        Horizons, from and to, at which the demand can be met: with units away a longer horizon may
        be worse. The last one may end at infinity.
    """

    horizon: float | None
    schedule: Schedule | None
    n_events: int
    max_span: int
    bound: float | None
    bound_any: float
    is_proven: bool
    windows: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastLate:
    """The orders of the schedule that misses least of them, and is then least late.

    Attributes
    ----------
    rows : mapping of str to str
        By the order's id, in order of the due dates: who gets what when, how late, what is missing.
    late : tuple of LateOrder
        Those that are late or missing, with the reasons.
    missing, missing_bound : float
        Priority-weighted share that this schedule misses, and that every schedule misses at least.
    tardiness : float
        Priority-weighted lateness, in the plant's time unit.
    tardiness_bound : float or None
        No schedule that misses as little is less late, whatever its event points; None if nothing
        was proven.
    holds_for_any : bool
        Whether it is proven that no schedule at all is better.
    is_proven : bool
        Whether it is proven for these event points.
    """

    rows: Mapping[str, str]
    late: tuple[LateOrder, ...]
    missing: float
    missing_bound: float
    tardiness: float
    tardiness_bound: float | None
    holds_for_any: bool
    is_proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """By how much a plant misses a demand, why, and from which horizon it would not.

    Attributes
    ----------
    targets : mapping of str to float, amount
    sense : {"at_least", "exactly"}
    deliveries : tuple of Delivery
    due : Shortfall or None
        Where no schedule serves every delivery: what is missing, at the first due time at which
        something is, of all that is due by then. Its horizon is that time.
    horizon : float
    amount_unit, time_unit : str
    reasons : tuple of Reason
        What no schedule can help.
    schedule : Schedule or None
        The schedule that is least short in total, replayed; None when a limit came before any, or
        no schedule serves every delivery.
    short, over : mapping of str to float, amount
        By how much it misses each product's target, and exceeds it (for `exactly`). Several
        schedules may share the total differently.
    n_events, max_span : int
        Of the model that found it.
    bound : float or None
        No schedule on these event points misses less in total.
    bound_any : float
        No schedule at all does within the horizon; inf: none serves every delivery.
    bound_ever : float
        No schedule at all does within any horizon; inf: none serves every delivery.
    settled : tuple of (int, int)
        Event points and spans on which it is proven that no schedule misses less.
    bottleneck : Bottleneck or None
        None when nothing is missing that a unit could help, or no schedule was found.
    feasible_from : FeasibleFrom or None
        None when no horizon is long enough.
    orders : LeastLate or None
        Where the targets can be met: what becomes of the orders in `schedule`.
    """

    targets: Mapping[str, float]
    sense: Literal["at_least", "exactly"]
    deliveries: tuple[Delivery, ...]
    due: Shortfall | None
    horizon: float
    amount_unit: str
    time_unit: str
    reasons: tuple[Reason, ...]
    schedule: Schedule | None
    short: Mapping[str, float]
    over: Mapping[str, float]
    n_events: int
    max_span: int
    bound: float | None
    bound_any: float
    bound_ever: float
    settled: tuple[tuple[int, int], ...]
    bottleneck: Bottleneck | None
    feasible_from: FeasibleFrom | None
    orders: LeastLate | None = None

    @property
    def total(self) -> float | None:
        """What is missing (and, for `exactly`, too much) in total; None without a schedule."""
        if self.schedule is None:
            return None
        return math.fsum([*self.short.values(), *self.over.values()])

    @property
    def is_met(self) -> bool:
        """Whether a schedule was found after all that meets the demand, every order in time."""
        return self.total == 0.0 and not (self.orders and self.orders.late)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answer as sentences: how short, the reasons, the bottleneck, and from when."""
        return tuple(_sentences(self))

    def __str__(self) -> str:
        return "\n".join(self.sentences)


def _sentences(found: Shortfall) -> Iterator[str]:
    within = f"within {write_amount(found.horizon, found.time_unit)}"
    here = _points((found.n_events, found.max_span))
    total = found.total
    if total is None:
        if found.bound_any == math.inf:
            yield f"No schedule serves every delivery {within}, whatever its event points."
        elif found.settled:
            settled = _points(*found.settled)
            yield f"No schedule serves every delivery {within} on {settled}."
        else:
            yield f"Undecided {within}: a limit came before any schedule was found on {here}."
        if found.due is not None:
            yield f"Of what is due by {write_amount(found.due.horizon, found.time_unit)}:"
            yield from found.due.sentences
            return
    elif found.orders is not None and found.orders.late:
        yield from _order_sentences(found, found.orders)
    elif total == 0:
        yield f"The demand can be met {within} after all, on {here}."
        return
    else:
        parts = [f"{write_amount(a, found.amount_unit)} of {s}" for s, a in found.short.items()]
        text = f"Short by {listed(parts)}" if parts else ""
        over = [f"{write_amount(a, found.amount_unit)} of {s}" for s, a in found.over.items()]
        if over:
            text += f"{', and' if parts else 'Too much:'} {listed(over)}"
            text += " too much" if parts else ""
        yield f"{text} {within}." + _share(found)
        yield _proof(found)
    yield from (reason.message for reason in found.reasons)
    if found.bottleneck is not None:
        yield _bottleneck_sentence(found, found.bottleneck)
    if found.feasible_from is not None:
        yield _horizon_sentence(found, found.feasible_from)
    elif found.bound_ever == math.inf:
        yield "Infeasible for every horizon."
    elif found.bound_ever > 0:
        least = write_amount(found.bound_ever, found.amount_unit, up=False)
        yield f"Infeasible for every horizon: however long, at least {least} are missing."


def _order_sentences(found: Shortfall, orders: LeastLate) -> Iterator[str]:
    """Say which orders are late or missing, why, and what is proven of it."""
    n_missing = sum(bool(late.missing) for late in orders.late)
    counts = [(len(orders.late) - n_missing, "late"), (n_missing, "missing, wholly or in part")]
    told = [f"{count} {what}" for count, what in counts if count]
    within = f"within {write_amount(found.horizon, found.time_unit)}"
    n, reasons = len(orders.rows), {late.served.order.id: late for late in orders.late}
    yield f"Of {n} order{'s' if n != 1 else ''}, {listed(told)} {within}:"
    for name, row in orders.rows.items():
        yield f"  {row}"
        if name in reasons:
            yield from (f"    {sentence}" for sentence in reasons[name].sentences())
    lateness = write_amount(orders.tardiness, found.time_unit)
    of = f"no schedule misses less of the orders or, missing as little, is less late ({lateness} "
    of += "in all, weighted by priority)"
    if orders.holds_for_any:
        yield f"Whatever its event points, {of}."
    elif orders.is_proven:
        yield f"On {_points((found.n_events, found.max_span))} {of}."
    else:
        least = ""
        if orders.tardiness_bound and orders.tardiness_bound > SHARE * found.horizon:
            bound = write_amount(orders.tardiness_bound, found.time_unit, up=False)
            least = f"; missing as little, none is less late than {bound}"
        yield (
            "Undecided whether a schedule misses less of the orders or is less late "
            f"({lateness} in all, weighted by priority): a limit came first{least}."
        )


def _points(*settled: tuple[int, int]) -> str:
    return " or on ".join(
        f"{n} event point{'s' if n != 1 else ''}" + (f" with span {span}" if span else "")
        for n, span in settled
    )


def _share(found: Shortfall) -> str:
    if len(found.short) + len(found.over) < 2 or found.total is None:
        return ""
    total = write_amount(found.total, found.amount_unit)
    return f" In total {total}, which other schedules may share differently."


def _holds_for_any(found: Shortfall) -> bool:
    return found.total is not None and found.total <= found.bound_any * (1 + 3e-4)


def _proof(found: Shortfall) -> str:
    if _holds_for_any(found):
        return "No schedule misses less, whatever its event points."
    unit = found.amount_unit
    if found.settled:
        anywhere = ""
        if found.bound_any > 0:
            least = write_amount(found.bound_any, unit, up=False)
            anywhere = f"; whatever the event points, at least {least} are missing"
        return f"No schedule on {_points(*found.settled)} misses less{anywhere}."
    here = _points((found.n_events, found.max_span))
    least_here = max(found.bound or 0.0, found.bound_any)
    if least_here == 0:
        return f"Undecided whether anything must be missing: a limit came first on {here}."
    return (
        f"Undecided whether less is missing: a limit came first on {here}, where at least "
        f"{write_amount(least_here, unit, up=False)} are."
    )


def _bottleneck_sentence(found: Shortfall, bottleneck: Bottleneck) -> str:
    unsettled = "" if bottleneck.is_proven else " Not every unit was settled within the limit."
    of = f"of {write_amount(found.horizon, found.time_unit)}"
    busy = bottleneck.busy
    if bottleneck.unit is None:
        busiest = max(busy, key=lambda unit: busy[unit])
        points = _points((bottleneck.n_events, bottleneck.max_span))
        text = f"No single unit is the bottleneck: on {points} a second one of any helps nothing."
        if not bottleneck.is_proven:
            text = "Undecided which unit is the bottleneck: a limit came first."
        if busy[busiest] > 0:
            text += f" The busiest is {busiest}, {write_number(busy[busiest])} {of}."
        return text
    left = bottleneck.missed_with_second[bottleneck.unit]
    step = 1e-4 * (found.total or 0.0)
    others = [
        name
        for name, missed in bottleneck.missed_with_second.items()
        if name != bottleneck.unit and missed <= left + step
    ]
    too = f" (so too with a second {' or '.join(others)})" if others else ""
    then = "the demand could be met"
    if left > step:
        then = f"{write_amount(left, found.amount_unit)} would be missing"
        if not _holds_for_any(found):
            then += f" on {_points((bottleneck.n_events, bottleneck.max_span))}"
    if bottleneck.unit not in busy:
        return f"The bottleneck is {bottleneck.unit}: with twice its capacity {then}.{unsettled}"
    return (
        f"The bottleneck is {bottleneck.unit}, busy {write_number(busy[bottleneck.unit])} {of}: "
        f"with a second one {then}{too}.{unsettled}"
    )


def _horizon_sentence(found: Shortfall, start: FeasibleFrom) -> str:
    least = write_amount(start.bound_any, found.time_unit, up=False)
    if start.horizon is None:
        return f"Undecided from which horizon it is feasible; from none shorter than {least}."
    here = _points((start.n_events, start.max_span))
    horizon = write_amount(start.horizon, found.time_unit, up=True)
    if len(start.windows) > 1 or (start.windows and start.windows[-1][1] < math.inf):
        return _windows_sentence(found, start)
    if start.horizon <= start.bound_any * (1 + 3e-4):
        return f"Feasible from horizon {horizon}, and from none shorter, whatever the event points."
    proof = f"no schedule on {here} is shorter"
    if not start.is_proven:
        proof = f"undecided whether one on {here} is shorter"
        if start.bound is not None and start.bound > start.bound_any:
            on_them = write_amount(start.bound, found.time_unit, up=False)
            proof += f"; none on them is shorter than {on_them}"
    return f"Feasible from horizon {horizon}: {proof}, and none at all is shorter than {least}."


def _windows_sentence(found: Shortfall, start: FeasibleFrom) -> str:
    """Say at which horizons a demand can be met where a longer one may be worse."""
    unit = found.time_unit
    ranges = []
    for since, until in start.windows:
        least = write_number(since, up=True)
        if until == math.inf:
            ranges.append(f"from {write_amount(since, unit, up=True)}")
        else:
            ranges.append(f"at {least} to {write_amount(until, unit, up=False)}")
    text = f"Feasible {listed(ranges)}"
    if start.windows[0][0] > found.horizon:
        text = f"Feasible from horizon {write_amount(start.windows[0][0], unit, up=True)}"
        if len(ranges) > 1:
            text += f" to {write_amount(start.windows[0][1], unit, up=False)}, and "
            text += listed(ranges[1:])
    return text + ("." if start.is_proven else ", as far as was found: a limit came first.")
