"""Orders and utilities in an order of batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stnopt.scheduling.search.retiming.timing import Moment
from stnopt.scheduling.search.worth import order_worth

if TYPE_CHECKING:
    from stnopt.plant.orders import Order
    from stnopt.scheduling.search.retiming.timing import Timing


def add_orders(timing: Timing) -> None:
    """Let each part of an order leave when it may; late >= its instant - due.

    Which orders are served whole, and in how many parts, stays as it is. What must be delivered and
    is not is asked for at the horizon.
    """
    for order in timing.problem.orders:
        parts = timing.parts.get(order.id, [])
        rows: list[tuple[int, int | float]] = []
        worth = order_worth(order, timing.problem, horizon=timing.horizon, improve=timing.improve)
        late = None
        done = sum(amount for _, amount in parts)
        complete = done >= order.amount * (1 - 1e-6)
        if worth.late and complete:
            cost = worth.late * timing.time_unit / timing.money
            late = timing.rows.column(cost=-cost)
        for _ in parts:
            when, moment = timing.free(lower=order.earliest)
            if late is not None:
                timing.not_before(Moment(terms=((late, 1.0),)), moment, -order.due)
            if timing.latest is not None:
                timing.not_before(Moment(terms=((timing.latest, 1.0),)), moment)
            rows.append((when, order.amount if not order.partial else timing.rows.column()))
        if order.partial:
            _add_partial(timing, order, rows, worth.missing, complete=complete)
        timing.part_columns[order.id] = rows


def _add_partial(
    timing: Timing,
    order: Order,
    rows: list[tuple[int, int | float]],
    cost: float,
    *,
    complete: bool,
) -> None:
    """Sum of parts + missing = amount."""
    amount = order.amount / timing.amount_unit
    missing = timing.rows.column(
        upper=0.0 if complete else amount, cost=-cost * timing.amount_unit / timing.money
    )
    terms = [(column, 1.0) for _, column in rows if isinstance(column, int)]
    timing.rows.row([*terms, (missing, 1.0)], lower=amount, upper=amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draw:
    """What a batch draws from one moment to another, and where these stand in the order."""

    begin: Moment
    end: Moment
    begins: int
    ends: int
    terms: tuple[tuple[int, float], ...]
    constant: float


def add_utilities(timing: Timing) -> None:
    """At each start of a draw and each step, draws of what may run then <= capacity, in order.

    What has ended by then in the order has ended by it in time; all else that has begun counts as
    drawing. In its pauses a batch draws nothing.
    """
    for name, utility in timing.network.utilities.items():
        draws = [*_of_batches(timing, name), *_of_running(timing, name)]
        levels = {time: level for time, level in utility.steps if time < timing.horizon}
        events: list[tuple[int, int, _Draw | float]] = [
            (timing.instant(time), 0, time) for time in levels if time > 0
        ]
        events += [(draw.begins, 1, draw) for draw in draws]
        events.sort(key=lambda event: event[:2])
        capacity = utility.capacity_at(0.0)
        drawing: list[_Draw] = []
        before: Moment | None = None
        for instant, _, what in events:
            if isinstance(what, _Draw):
                moment = what.begin
            else:
                moment, capacity = timing.fixed(what), levels[what]
            if before is not None:
                timing.not_before(moment, before)
            before = moment
            for draw in [d for d in drawing if d.ends <= instant]:
                timing.not_before(moment, draw.end)
                drawing.remove(draw)
            if isinstance(what, _Draw):
                drawing.append(what)
            terms = [term for draw in drawing for term in draw.terms]
            if drawing:
                constant = sum(draw.constant for draw in drawing)
                timing.rows.row(terms, upper=capacity - constant)


def _of_batches(timing: Timing, utility: str) -> list[_Draw]:
    draws = []
    for number, placed in enumerate(timing.placed):
        fit = placed.suitability
        if utility not in fit.utilities:
            continue
        slope = fit.draws_per_amount.get(utility, 0.0) * timing.amount_unit
        terms = ((timing.sizes[number], slope),) if slope else ()
        constant = fit.draws.get(utility, 0.0)
        begin, at = timing.start_of(number), placed.start
        stops = [(timing.fixed(b), b, timing.fixed(e), e) for b, e in placed.covered]
        last = (timing.finish_of(number), placed.finish, begin, at)
        for stop, stops_at, resume, resumes_at in [*stops, last]:
            if stops_at > at:
                draws.append(
                    _Draw(
                        begin=begin,
                        end=stop,
                        begins=timing.instant(at),
                        ends=timing.instant(stops_at),
                        terms=terms,
                        constant=constant,
                    )
                )
            begin, at = resume, resumes_at
    return draws


def _of_running(timing: Timing, utility: str) -> list[_Draw]:
    draws = []
    for batch in timing.opening.start.running:
        fit = timing.network.tasks[batch.task].units[batch.unit]
        drawn = fit.draw(utility, batch.size)
        if not drawn:
            continue
        at = 0.0
        for stop, resume in (*timing.periods(batch.unit, "paused"), (batch.remaining, 0.0)):
            until = min(stop, batch.remaining)
            if until > at:
                draws.append(
                    _Draw(
                        begin=timing.fixed(at),
                        end=timing.fixed(until),
                        begins=timing.instant(at),
                        ends=timing.instant(until),
                        terms=(),
                        constant=drawn,
                    )
                )
            at = max(at, resume)
    return draws
