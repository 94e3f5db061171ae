"""What enters and leaves each state in an order of batches: stock, storage, waiting in units."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stnopt.scheduling.search.retiming.timing import Moment

if TYPE_CHECKING:
    from stnopt.plant.recipe import State
    from stnopt.scheduling.search.retiming.timing import Timing

#: At one instant: units open again, releases, takings, what must be out of a unit, units close.
_TURNS = {"unlock": 0, "release": 1, "take": 2, "due": 2, "unload": 3, "lock": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happens to a state.

    Attributes
    ----------
    instant : int
    kind : {"release", "take", "due", "unload", "lock", "unlock"}
        "unload": a unit must be empty; between "lock" and "unlock" nothing leaves it.
    moment : Moment
    terms, amount
        What it adds: columns with factors, and a constant, in the solver's unit.
    lot : int or None
        Which lot waits in the unit from a release on, or must leave it.
    unit : str
    """

    instant: int
    kind: str
    moment: Moment
    terms: tuple[tuple[int, float], ...] = ()
    amount: float = 0.0
    lot: int | None = None
    unit: str = ""

    @property
    def turn(self) -> tuple[int, int]:
        """Where it stands in the order."""
        return self.instant, _TURNS[self.kind]


def instants_of_stores(timing: Timing) -> set[float]:
    """Gather every time of the order at which something happens to a state."""
    times = {0.0, timing.horizon}
    times |= {due.time for due in timing.problem.deliveries}
    times |= {time for row in timing.parts.values() for time, _ in row}
    times |= {timing.on_grid(coming.time) for coming in timing.opening.comings}
    for unit in timing.network.units:
        for kind in ("unavailable", "unattended", "paused"):
            times |= {time for period in timing.periods(unit, kind) for time in period}
    for utility in timing.network.utilities.values():
        times |= {time for time, _ in utility.steps}
    for number, placed in enumerate(timing.placed):
        times |= {placed.start, placed.finish, timing.unloaded_of(number)[1]}
        times |= {timing.release_of(number, state)[1] for state in placed.releases}
        following = timing.next_on_unit.get(number)
        if following is not None:
            times.add(timing.placed[following].start - timing.gap_before(number, following))
    for unit, number in timing.first_on_unit.items():
        times.add(_first_cleaning(timing, unit, number)[1])
    times |= {batch.remaining for batch in timing.opening.start.running}
    return times


def _first_cleaning(timing: Timing, unit: str, number: int) -> tuple[float, float]:
    """Return how long before its first batch a unit must be empty, and when that is."""
    task = timing.placed[number].suitability.task
    gap = timing.cleaning_before(number)
    rule = timing.network.unit_rules.get(unit)
    if rule is not None and unit in timing.opening.before:
        last, _ = timing.opening.before[unit]
        gap = max(gap, rule.changeovers.get((last, task), 0.0))
    return gap, timing.placed[number].start - gap


def add_state(timing: Timing, state: State) -> None:
    """Stock at or above zero, storage within its capacity, demand met."""
    marks = _marks(timing, state)
    if state.zero_wait:
        _add_zero_wait(timing, marks)
    elif math.isfinite(state.capacity):
        _add_limited_store(timing, state, marks)
    elif any(mark.kind in ("take", "due") for mark in marks):
        _add_unlimited_store(timing, state, marks)
    target = timing.problem.targets.get(state.name)
    if target is None:
        return
    exact = timing.problem.sense == "exactly"
    level = [term for mark in marks for term in mark.terms]
    have = state.initial / timing.amount_unit + sum(mark.amount for mark in marks)
    level.append(timing.miss(state.name))
    if exact:
        level.append(timing.miss(state.name, sign=-1.0))
    needed = target / timing.amount_unit - have
    timing.rows.row(level, lower=needed, upper=needed if exact else math.inf)


def _marks(timing: Timing, state: State) -> list[Mark]:
    """List all that happens to a state, in order."""
    limited = math.isfinite(state.capacity) and not state.zero_wait
    marks = [*_of_batches(timing, state, limited), *_of_comings(timing, state, limited)]
    marks += [
        Mark(
            instant=timing.instant(due.time),
            kind="due",
            moment=timing.fixed(due.time),
            amount=-due.amount / timing.amount_unit,
        )
        for due in timing.problem.deliveries
        if due.state == state.name
    ]
    for order in timing.problem.orders:
        if order.state != state.name:
            continue
        rows = zip(timing.parts.get(order.id, ()), timing.part_columns[order.id], strict=True)
        for (time, _), (when, amount) in rows:
            constant = 0.0 if isinstance(amount, int) else -amount / timing.amount_unit
            marks.append(
                Mark(
                    instant=timing.instant(time),
                    kind="due",
                    moment=Moment(terms=((when, 1.0),)),
                    terms=((amount, -1.0),) if isinstance(amount, int) else (),
                    amount=constant,
                )
            )
    if limited:
        marks += _locks(timing, {mark.unit for mark in marks if mark.lot is not None})
    return sorted(marks, key=lambda mark: mark.turn)


def _of_batches(timing: Timing, state: State, limited: bool) -> list[Mark]:
    marks = []
    for number, placed in enumerate(timing.placed):
        task = timing.network.tasks[placed.suitability.task]
        size = timing.sizes[number]
        if share := task.produces.get(state.name):
            moment, time = timing.release_of(number, state.name)
            in_unit = limited and state.name not in placed.suitability.release_time
            if in_unit:
                # It may stay in its unit at first: what counts is when the others may have it.
                _, later = timing.free()
                timing.not_before(later, moment)
                moment = later
            lot = number if in_unit else None
            unit = placed.suitability.unit
            at = timing.instant(time)
            marks.append(
                Mark(
                    instant=at,
                    kind="release",
                    moment=moment,
                    terms=((size, share),),
                    lot=lot,
                    unit=unit,
                )
            )
            if in_unit:
                following = timing.next_on_unit.get(number)
                gap = 0.0 if following is None else timing.gap_before(number, following)
                emptied = timing.unloaded_of(number)[1]
                marks += _unload(timing, number, unit, emptied, following, gap)
            elif limited:
                marks.append(Mark(instant=at, kind="unload", moment=moment))
        if share := task.consumes.get(state.name):
            marks.append(
                Mark(
                    instant=timing.instant(placed.start),
                    kind="take",
                    moment=timing.start_of(number),
                    terms=((size, -share),),
                )
            )
    return marks


def _of_comings(timing: Timing, state: State, limited: bool) -> list[Mark]:
    marks = []
    for number, coming in enumerate(timing.opening.comings):
        if coming.state != state.name:
            continue
        moment, time = timing.fixed(coming.time), timing.on_grid(coming.time)
        in_unit = limited and coming.unit is not None
        if in_unit:
            _, moment = timing.free(lower=coming.time)
        lot = -1 - number
        marks.append(
            Mark(
                instant=timing.instant(time),
                kind="release",
                moment=moment,
                amount=coming.amount / timing.amount_unit,
                lot=lot if in_unit else None,
                unit=coming.unit or "",
            )
        )
        if in_unit and coming.unit is not None:
            first = timing.first_on_unit.get(coming.unit)
            gap = 0.0 if first is None else _first_cleaning(timing, coming.unit, first)[0]
            marks += _unload(timing, lot, coming.unit, time, first, gap)
        elif limited:
            marks.append(Mark(instant=timing.instant(time), kind="unload", moment=moment))
    return marks


def _unload(
    timing: Timing, lot: int, unit: str, finish: float, following: int | None, gap: float
) -> list[Mark]:
    """When a unit must be empty of a lot; nothing if it may stay to the end."""
    same = timing.same
    limits: list[tuple[float, Moment]] = [
        (begin, timing.fixed(begin))
        for begin, _ in timing.periods(unit, "unavailable")
        if finish - same <= begin < timing.horizon - same
    ]
    if following is not None:
        start = timing.start_of(following)
        moment = Moment(terms=start.terms, constant=-gap / timing.time_unit)
        limits.append((timing.placed[following].start - gap, moment))
    if not limits:
        return []
    time, moment = min(limits, key=lambda limit: limit[0])
    # A changeover that begins before the batch ends on a grid of longer durations: at its end.
    instant = max(timing.instant(time), timing.instant(finish))
    return [Mark(instant=instant, kind="unload", moment=moment, lot=lot, unit=unit)]


def _locks(timing: Timing, units: set[str]) -> list[Mark]:
    """Mark when units close and open again in which a state may wait."""
    marks = []
    for unit in sorted(units):
        for begin, end in timing.periods(unit, "unattended"):
            if begin >= timing.horizon - timing.same:
                continue
            for kind, time in (("lock", begin), ("unlock", min(end, timing.horizon))):
                instant = timing.instant(time)
                moment = timing.fixed(time)
                marks.append(Mark(instant=instant, kind=kind, moment=moment, unit=unit))
    return marks


def _add_zero_wait(timing: Timing, marks: list[Mark]) -> None:
    """All that happens at one instant stays at one time; released = taken."""
    groups: dict[int, list[Mark]] = defaultdict(list)
    for mark in marks:
        groups[mark.instant].append(mark)
    for group in groups.values():
        for mark in group[1:]:
            timing.same_time(mark.moment, group[0].moment)
        level = [term for mark in group for term in mark.terms]
        rest = -sum(mark.amount for mark in group)
        timing.rows.row(level, lower=rest, upper=rest)


def _add_unlimited_store(timing: Timing, state: State, marks: list[Mark]) -> None:
    """Keep takings in their order, each after the releases before it; stock after each >= 0."""
    rows = timing.rows
    change: list[tuple[int, float]] = []
    have = state.initial / timing.amount_unit
    released: list[Mark] = []
    before: Mark | None = None
    for mark in marks:
        change += mark.terms
        have += mark.amount
        if mark.kind == "release":
            released.append(mark)
            continue
        for release in released:
            timing.not_before(mark.moment, release.moment)
        released = []
        if before is not None:
            timing.not_before(mark.moment, before.moment)
        before = mark
        if mark.kind == "due":
            change.append(timing.miss(state.name))
        on_hand = rows.column()
        rows.row([(on_hand, 1.0), *((c, -f) for c, f in change)], lower=have, upper=have)
        change, have = [(on_hand, 1.0)], 0.0


def _add_limited_store(timing: Timing, state: State, marks: list[Mark]) -> None:
    """All in its order; what is not stored waits in units, which empty before they run again.

    Stored = on hand - waiting, 0 <= stored <= capacity whenever a unit has been emptied and at the
    end; what waits never grows, is never more than there is, and does not change while nobody is
    at its unit. On hand is a column per mark that changes it, so that rows stay short however many
    marks there are.
    """
    rows = timing.rows
    capacity = state.capacity / timing.amount_unit
    on_hand = rows.column(lower=0.0)
    rows.row([(on_hand, 1.0)], lower=(have := state.initial / timing.amount_unit), upper=have)
    waiting: dict[int, tuple[int, str]] = {}  # per lot, its column and unit
    locked: set[str] = set()

    def shrink() -> None:
        for lot, (column, unit) in waiting.items():
            if unit not in locked:
                waiting[lot] = (rows.column(), unit)
                rows.row([(waiting[lot][0], 1.0), (column, -1.0)], upper=0.0)

    def limit_stored(*, upper: float) -> None:
        terms = [(on_hand, 1.0), *((column, -1.0) for column, _ in waiting.values())]
        rows.row(terms, lower=0.0, upper=upper)

    for before, mark in zip([None, *marks], marks, strict=False):
        if before is not None:
            timing.not_before(mark.moment, before.moment)
        if mark.terms or mark.amount:
            after = rows.column(lower=0.0)
            terms = [(after, 1.0), (on_hand, -1.0), *((c, -f) for c, f in mark.terms)]
            if mark.kind == "due":
                terms.append(timing.miss(state.name, sign=-1.0))
            rows.row(terms, lower=mark.amount, upper=mark.amount)
            on_hand = after
        if mark.kind == "release":
            if mark.lot is not None:
                column = rows.column()
                less = [(c, -f) for c, f in mark.terms]
                rows.row([(column, 1.0), *less], upper=mark.amount)
                waiting[mark.lot] = (column, mark.unit)
        elif mark.kind == "lock":
            # What has to be out by now is out.
            shrink()
            limit_stored(upper=capacity)
            locked.add(mark.unit)
        elif mark.kind == "unlock":
            locked.discard(mark.unit)
        elif mark.kind in ("take", "due"):
            shrink()
            limit_stored(upper=math.inf)
        else:
            if mark.lot is not None:
                waiting.pop(mark.lot, None)
            shrink()
            limit_stored(upper=capacity)
    limit_stored(upper=capacity)
