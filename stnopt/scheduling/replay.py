"""The referee: it replays a schedule in continuous time and says which rules of the plant break.

Nothing here knows a model or a solver: `find_violations` reads the batches and the plant, moves
the material from instant to instant, and says what breaks. It judges every schedule that leaves
the library. Each rule has one check of its own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stnopt.arguments import check_arguments
from stnopt.plant.calendar import with_calendars
from stnopt.plant.network import Network
from stnopt.plant.state import PlantState, state_problems
from stnopt.plant.tolerance import SHARE, size_tolerance, time_tolerance
from stnopt.scheduling.cleanings import check_cleanings
from stnopt.scheduling.movements import (
    Replay,
    batches_before_start,
    batches_by_unit,
    changeover_time,
    pauses_of,
    possible_movements,
    store,
    time_of_work,
    unloaded_at,
)
from stnopt.scheduling.replay_material import (
    check_final_stock,
    check_instantaneous_batches,
    check_stocks,
)
from stnopt.scheduling.schedule import Batch, Schedule, find_suitability
from stnopt.scheduling.violation import Violation as Violation
from stnopt.scheduling.violation import ViolationKind
from stnopt.scheduling.violation import amount_text as _amount
from stnopt.scheduling.violation import number_text as _number
from stnopt.scheduling.violation import time_text as _time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def find_violations(schedule: Schedule, network: Network) -> list[Violation]:
    """Replay a schedule in continuous time and list every rule of the plant that it breaks.

    Checked are: the task runs on a unit that suits it; its size lies within the unit's limits and
    is positive; it takes `fixed_time + size * time_per_amount`; it lies within [0, horizon]; a
    unit runs one batch at a time, none while it is unavailable, lets the changeover's time pass
    between two, and is cleaned as often as it must be; running batches together draw no more of a
    utility than its capacity at any instant; every stock stays between zero and its capacity at
    every instant; a `zero_wait` state is consumed or delivered whole at the instant it is released;
    every delivery is served; the stated final stock is what the batches and deliveries leave.

    Parameters
    ----------
    schedule : Schedule
    network : Network

    Returns
    -------
    list of Violation
        In order of time; empty for a valid schedule.

    Notes
    -----
    *Storage.* A finished batch may wait in its unit, each output state separately and also in
    part, until that unit starts its next batch, its cleaning for that batch (a changeover, right
    before the start) or a period of unavailability, or until the horizon ends. Waiting material
    takes no capacity and may be consumed or delivered from the unit. What a task releases before
    its batch ends leaves the unit at once. At one instant releases come before consumption and
    deliveries, and capacity holds for what is left after all of them. A period that starts when
    the horizon ends is no concern of the schedule.

    The replay leaves material in its unit as long as it may, and consumes from storage first,
    then from the unit that must be empty soonest. No policy does better. Each state can be judged
    alone, since batches and deliveries fix how much of it is released and taken when, whatever
    lies where.
    Moving material to storage before its deadline only raises the stored amount. And let a valid
    policy take, at some instant, from a lot with a later deadline while a lot with an earlier one
    has material left: exchange the two amounts wherever the second is used afterwards. The later
    lot is still there then (in its unit, or in storage once its deadline has passed), and between
    the two deadlines storage holds less, at other times the same. Repeating the exchange turns
    any valid policy into this one, so this one breaks a capacity only if every policy does.

    *Cleanings* (`clean_after`) are not part of a schedule: they are put where they cost no storage,
    and else as late as possible; where that breaks a rule, other choices are tried, up to 200.

    *Tolerances.* Times within 1e-6 of the horizon are one instant. A chain of such times is cut
    at its widest gap once it is longer than three times that. Amounts are compared within 1e-6 of
    the largest batch that makes or takes the state, times the number of movements behind the
    figure: each batch size may carry that error. A utility's draws may exceed its capacity by
    what these errors in size draw, and by 1e-6 of the capacity.
    """
    check_arguments(schedule=(schedule, Schedule), network=(network, Network))
    violations = _check_start(schedule, network)
    network = with_calendars(network, start=schedule.date, horizon=schedule.horizon)
    for check in CHECKS:
        violations += check(schedule, network)
    violations += judge_movements(schedule, network)[1]
    return sorted(violations, key=lambda violation: violation.time)


def judge_movements(schedule: Schedule, network: Network) -> tuple[Replay, list[Violation]]:
    """Return what moves, and what that breaks, for the cleanings with which least is broken.

    Parameters
    ----------
    schedule : Schedule
    network : Network
        Without weekly patterns (`with_calendars`).
    """
    best: tuple[Replay, list[Violation]] | None = None
    for replay in possible_movements(schedule, network):
        broken: list[Violation] = []
        for check in CHECKS_OF_MOVEMENTS:
            broken += check(schedule, replay, network)
        if best is None or len(broken) < len(best[1]):
            best = replay, broken
        if not broken:
            break
    assert best is not None  # there is always a choice
    return best


def replay_stock(schedule: Schedule, network: Network) -> pd.DataFrame:
    """Return what is stored and what waits in units, as levels that are constant between instants.

    Parameters
    ----------
    schedule : Schedule
    network : Network

    Returns
    -------
    DataFrame
        Columns state, time, stored, waiting (amounts in the plant's unit): the level from `time`
        until the state's next row. The first row of a state is at time 0, the last at the
        horizon's end. States with unlimited supply have no rows. Material waits in its unit only
        for states whose capacity it would otherwise exceed.
    """
    check_arguments(schedule=(schedule, Schedule), network=(network, Network))
    network = with_calendars(network, start=schedule.date, horizon=schedule.horizon)
    replay, _ = judge_movements(schedule, network)
    frames = []
    for name, state in network.states.items():
        if state.unlimited:
            continue
        movements = replay.movements[name]
        stored, waiting = store(movements)
        if np.max(stored + waiting) <= state.capacity + replay.amount_tolerance[name]:
            stored, waiting = stored + waiting, np.zeros_like(waiting)
        frames.append(
            pd.DataFrame(
                {"state": name, "time": replay.times, "stored": stored, "waiting": waiting}
            )
        )
    columns = ["state", "time", "stored", "waiting"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def replay_utility(schedule: Schedule, network: Network) -> pd.DataFrame:
    """Return what running batches draw of each utility, as levels that are constant between times.

    Parameters
    ----------
    schedule : Schedule
    network : Network

    Returns
    -------
    DataFrame
        Columns utility, time, drawn, capacity (in the utility's unit): the level from `time` until
        the utility's next row. The first row is at time 0, the last at the horizon's end.
    """
    check_arguments(schedule=(schedule, Schedule), network=(network, Network))
    network = with_calendars(network, start=schedule.date, horizon=schedule.horizon)
    replay, _ = judge_movements(schedule, network)
    rows = []
    for utility in network.utilities.values():
        drawing = _draws(schedule, utility.name, replay, network)
        times = {0.0, schedule.horizon, *(time for draw in drawing for time in draw[:2])}
        times |= {time for time, _ in utility.steps if time < schedule.horizon}
        for time in sorted(times):
            drawn = sum(amount for begin, end, amount, _, _ in drawing if begin <= time < end)
            rows.append((utility.name, time, drawn, utility.capacity_at(time)))
    return pd.DataFrame(rows, columns=["utility", "time", "drawn", "capacity"])


def replay_cleanings(schedule: Schedule, network: Network) -> list[tuple[str, float, float]]:
    """Return when units are cleaned after so many batches (`clean_after`): unit, start, end.

    Of the cleanings that the replay has room for, they are those that it needs, as late as can be.
    """
    network = with_calendars(network, start=schedule.date, horizon=schedule.horizon)
    replay, _ = judge_movements(schedule, network)
    since = schedule.start.since_cleaning if schedule.start else {}
    times = []
    for unit, possible in replay.cleanings.before.items():
        rule = network.unit_rules[unit].clean_after
        assert rule is not None
        count, latest = since.get(unit, 0), None
        for position in range(len(replay.by_unit[unit])):
            count += 1
            latest = position if position in possible else latest
            if count > rule.batches and latest is not None:
                end = replay.by_unit[unit][latest].start
                times.append((unit, end - rule.duration, end))
                count, latest = position - latest + 1, None
    return times


def replay_changeovers(schedule: Schedule, network: Network) -> list[tuple[str, float, float]]:
    """Return when units are changed over, each right before the batch that asks for it.

    Returns
    -------
    list of (str, float, float)
        Unit, start, end; the start may lie before 0, when a unit changed over before the schedule.
    """
    return [
        (unit, following.start - takes, following.start)
        for unit, batch, following in _in_turn(schedule, network)
        if (takes := changeover_time(batch, following, network)) > 0
    ]


def _in_turn(schedule: Schedule, network: Network) -> Iterator[tuple[str, Batch, Batch]]:
    """Yield each unit's batches that follow each other, with what it ran before time 0."""
    before = batches_before_start(schedule.start or PlantState(), network)
    for unit, batches in batches_by_unit(schedule.batches).items():
        earlier = [before[unit]] if unit in before else []
        for batch, following in pairwise([*earlier, *batches]):
            yield unit, batch, following


def _check_batches(schedule: Schedule, network: Network) -> list[Violation]:
    """Check each batch alone: who runs it, how big, how long, when."""
    same_time = time_tolerance(schedule.horizon)
    violations = []
    for batch in schedule.batches:
        where = f"{batch.task} on {batch.unit} at t = {_time(batch.start, network)}"

        def report(
            kind: ViolationKind,
            amount: float,
            message: str,
            element: str = batch.task,
            time: float = batch.start,
        ) -> None:
            violations.append(
                Violation(kind=kind, element=element, time=time, amount=amount, message=message)
            )

        if batch.start < -same_time:
            report("horizon", -batch.start, f"{where} starts before 0")
        if batch.finish > schedule.horizon + same_time:
            report(
                "horizon",
                batch.finish - schedule.horizon,
                f"{where} ends at t = {_time(batch.finish, network)}, "
                f"{_number(batch.finish - schedule.horizon)} after the horizon",
                time=batch.finish,
            )
        if batch.task not in network.tasks:
            report("unknown_task", 0.0, f"{where}: the plant has no task {batch.task}")
            continue
        suitability = find_suitability(batch, network)
        if suitability is None:
            suited = ", ".join(network.tasks[batch.task].units)
            report("unsuitable_unit", 0.0, f"{where}: it runs only on {suited}", element=batch.unit)
            continue

        low, high = suitability.min_batch, suitability.max_batch
        outside = max(low - batch.size, batch.size - high)
        if batch.size <= 0:
            report(
                "batch_size",
                -batch.size,
                f"{where} has size {_amount(batch.size, network)}, not above 0",
            )
        elif outside > size_tolerance(network, batch.task):
            report(
                "batch_size",
                outside,
                f"{where} has size {_amount(batch.size, network)}, "
                f"outside [{_number(low)}, {_number(high)}]",
            )
        work = suitability.duration(batch.size)
        pauses = pauses_of(batch.unit, network)
        expected = time_of_work(batch.start, work, pauses, horizon=schedule.horizon)
        expected -= batch.start
        actual = batch.finish - batch.start
        if abs(actual - expected) > same_time:
            report(
                "duration",
                abs(actual - expected),
                f"{where} lasts {_time(actual, network)}, "
                f"but {_amount(batch.size, network)} take {_time(expected, network)}",
            )
    return violations


def _check_unit_overlaps(schedule: Schedule, network: Network) -> list[Violation]:
    """Check that a unit runs one batch at a time."""
    tolerance = time_tolerance(schedule.horizon)
    violations = []
    for unit, batches in batches_by_unit(_started(schedule, network)).items():
        longest = batches[0]
        for batch in batches[1:]:
            shared = min(longest.finish, batch.finish) - batch.start
            if longest.finish - batch.start > tolerance:
                violations.append(
                    Violation(
                        kind="overlap",
                        element=unit,
                        time=batch.start,
                        amount=shared,
                        message=f"{unit} starts {batch.task} at t = {_time(batch.start, network)} "
                        f"while it runs {longest.task} until "
                        f"t = {_time(longest.finish, network)}",
                    )
                )
            if batch.finish > longest.finish:
                longest = batch
    return violations


def _check_unavailability(schedule: Schedule, network: Network) -> list[Violation]:
    """Check that no batch runs while its unit is unavailable."""
    tolerance = time_tolerance(schedule.horizon)
    violations = []
    for batch in _started(schedule, network):
        rules = network.unit_rules.get(batch.unit)
        for start, end in rules.unavailable if rules else ():
            # What nobody can unload is still in the unit.
            until = unloaded_at(batch, network, schedule.horizon)
            shared = min(until, end) - max(batch.start, start, 0.0)
            if shared > tolerance:
                violations.append(
                    Violation(
                        kind="unit_unavailable",
                        element=batch.unit,
                        time=max(batch.start, start),
                        amount=shared,
                        message=f"{batch.unit} is unavailable from t = {_time(start, network)} to "
                        f"{_number(end)}, but runs {batch.task} from "
                        f"t = {_time(batch.start, network)} to {_number(batch.finish)}",
                    )
                )
    return violations


def _check_changeovers(schedule: Schedule, network: Network) -> list[Violation]:
    """Check the time between a unit's batches that follow each other directly."""
    tolerance = time_tolerance(schedule.horizon)
    violations = []
    for unit, batch, following in _in_turn(schedule, network):
        needed = changeover_time(batch, following, network)
        gap = following.start - unloaded_at(batch, network, schedule.horizon)
        if -tolerance <= gap < needed - tolerance:  # with a smaller gap they overlap
            violations.append(
                Violation(
                    kind="changeover",
                    element=unit,
                    time=following.start,
                    amount=needed - gap,
                    message=f"{unit} starts {following.task} at "
                    f"t = {_time(following.start, network)}, {_time(max(0.0, gap), network)} "
                    f"after {batch.task}, but the changeover takes {_time(needed, network)}",
                )
            )
    return violations


def _started(schedule: Schedule, network: Network) -> list[Batch]:
    """Return the batches of a schedule, and those that run when it starts."""
    running = schedule.start.running if schedule.start else ()
    return [
        *(Batch(b.task, b.unit, b.start, b.finish, b.size) for b in running),
        *schedule.batches,
    ]


def _check_start(schedule: Schedule, network: Network) -> list[Violation]:
    """Check that the state which a schedule starts from fits the plant."""
    if schedule.start is None:
        return []
    problems = state_problems(schedule.start, network)
    problems += [
        f"running batch of {batch.task!r} on {batch.unit!r} ends after the horizon"
        for batch in schedule.start.running
        if batch.finish > schedule.horizon + time_tolerance(schedule.horizon)
    ]
    return [
        Violation(kind="state", element=network.name, time=0.0, amount=0.0, message=problem)
        for problem in problems
    ]


def _check_starts_inside(schedule: Schedule, network: Network) -> list[Violation]:
    """Check that nothing starts while its unit is unattended or paused."""
    same = time_tolerance(schedule.horizon)
    violations = []
    for batch in schedule.batches:
        rules = network.unit_rules.get(batch.unit)
        kinds: list[tuple[ViolationKind, tuple[tuple[float, float], ...]]] = (
            [("unattended", rules.unattended), ("paused", rules.paused)] if rules else []
        )
        for kind, periods in kinds:
            for start, end in periods:
                if start + same < batch.start < end - same:
                    violations.append(
                        Violation(
                            kind=kind,
                            element=batch.unit,
                            time=batch.start,
                            amount=min(batch.start - start, end - batch.start),
                            message=f"{batch.unit} is {kind} from t = {_time(start, network)} to "
                            f"{_number(end)}, but starts {batch.task} at "
                            f"t = {_time(batch.start, network)}",
                        )
                    )
    return violations


def _check_deliveries(schedule: Schedule, network: Network) -> list[Violation]:
    """Check that each delivery can be asked for; whether there is enough, `_check_stock` says."""
    violations = []
    for delivery in schedule.deliveries:
        due = f"{delivery.state} due at t = {_time(delivery.time, network)}"
        if delivery.state not in network.states:
            message = f"{due}: the plant has no such state"
        elif network.states[delivery.state].unlimited:
            message = f"{due}: a supply that never runs out cannot be delivered"
        elif delivery.time > schedule.horizon + time_tolerance(schedule.horizon):
            message = f"{due}: that is after the horizon, {_time(schedule.horizon, network)}"
        else:
            continue
        violations.append(
            Violation(
                kind="missed_delivery",
                element=delivery.state,
                time=delivery.time,
                amount=delivery.amount,
                message=message,
            )
        )
    return violations


def _check_orders(schedule: Schedule, network: Network) -> list[Violation]:
    """Check when and how much of each order is delivered; if there is enough, the stock says."""
    same = time_tolerance(schedule.horizon)
    violations = []
    for served in schedule.orders:
        order = served.order
        name = f"order {order.id} of {order.state}"
        broken = []
        if order.state not in network.states:
            broken.append((0.0, order.amount, "the plant has no such state"))
        elif network.states[order.state].unlimited:
            broken.append((0.0, order.amount, "a supply that never runs out cannot be delivered"))
        for time, amount in served.parts:
            when = f"{_amount(amount, network)} at t = {_time(time, network)}"
            if time < order.earliest - same:
                broken.append((time, amount, f"{when}, before {_time(order.earliest, network)}"))
            if time > schedule.horizon + same:
                broken.append((time, amount, f"{when}, after the horizon"))
        over = served.delivered - order.amount
        if over > SHARE * order.amount:
            broken.append((schedule.horizon, over, f"{_amount(over, network)} more than ordered"))
        if not order.partial and (len(served.parts) > 1 or (served.parts and served.missing)):
            broken.append((schedule.horizon, served.missing, "it cannot be delivered in parts"))
        if served.missing and not served.may_miss:
            missing = f"{_amount(served.missing, network)} are not delivered by the horizon"
            broken.append((schedule.horizon, served.missing, missing))
        violations += [
            Violation(
                kind="order",
                element=order.state,
                time=time,
                amount=amount,
                message=f"{name}: {why}",
            )
            for time, amount, why in broken
        ]
    return violations


def _check_utilities(schedule: Schedule, replay: Replay, network: Network) -> list[Violation]:
    """Check what the running batches draw together, from each instant to the next.

    A utility's steps are instants, too, and so are the pauses, in which a batch draws nothing.
    """
    violations = []
    for utility in network.utilities.values():
        drawing = _draws(schedule, utility.name, replay, network)
        steps = [(time, level) for time, level in utility.steps if time < schedule.horizon]
        changes = sorted({time for draw in drawing for time in draw[:2]} | {s[0] for s in steps})
        total = np.zeros(len(changes) + 1)
        spare = np.zeros(len(changes) + 1)
        place = {time: number for number, time in enumerate(changes)}
        for begin, end, drawn, slack, _ in drawing:
            total[place[begin]] += drawn
            total[place[end]] -= drawn
            spare[place[begin]] += slack
            spare[place[end]] -= slack
        total, spare = np.cumsum(total), np.cumsum(spare)
        highest = -np.inf  # report a breach when it begins and whenever it grows
        for time, drawn, slack in zip(changes, total, spare, strict=False):
            capacity = utility.capacity_at(time)
            tolerance = SHARE * utility.capacity + slack
            over = drawn - capacity
            if over <= tolerance:
                highest = -np.inf
            elif over > highest + tolerance:
                highest = over
                who = " and ".join(
                    f"{batch.task} on {batch.unit}"
                    for begin, end, _, _, batch in drawing
                    if begin <= time < end
                )
                violations.append(
                    Violation(
                        kind="over_utility",
                        element=utility.name,
                        time=float(time),
                        amount=float(over),
                        message=f"{utility.name} at t = {_time(time, network)}: {_number(drawn)} "
                        f"are drawn by {who}, {_number(over)} over its capacity of "
                        f"{_number(capacity)}",
                    )
                )
    return violations


def _draws(
    schedule: Schedule, utility: str, replay: Replay, network: Network
) -> list[tuple[float, float, float, float, Batch]]:
    """List from when to when each batch draws how much of a utility, and how far that may be off.

    Times that the replay takes for one instant are one here.
    """
    same = time_tolerance(schedule.horizon)
    steps = [time for time, _ in network.utilities[utility].steps]

    def at_instant(time: float) -> float:
        instant = replay.instant_of.get(time)
        time = time if instant is None else float(replay.times[instant])
        return next((step for step in steps if abs(step - time) <= same), time)

    draws = []
    for batch in _started(schedule, network):
        suitability = find_suitability(batch, network)
        if suitability is None or utility not in suitability.utilities:
            continue
        drawn = suitability.draw(utility, batch.size)
        slack = suitability.draws_per_amount.get(utility, 0.0) * size_tolerance(network, batch.task)
        begin = max(0.0, batch.start)
        for pause, resume in [*pauses_of(batch.unit, network), (batch.finish, np.inf)]:
            low, high = at_instant(begin), at_instant(min(pause, batch.finish))
            if low < high:
                draws.append((low, high, drawn, slack, batch))
            begin = max(begin, resume)
    return draws


#: One check per rule, of the batches alone.
CHECKS: tuple[Callable[[Schedule, Network], list[Violation]], ...] = (
    _check_batches,
    _check_unit_overlaps,
    _check_unavailability,
    _check_starts_inside,
    _check_changeovers,
    _check_deliveries,
    _check_orders,
)
#: And one per rule that speaks of what moves when.
CHECKS_OF_MOVEMENTS: tuple[Callable[[Schedule, Replay, Network], list[Violation]], ...] = (
    check_cleanings,
    _check_utilities,
    check_stocks,
    check_instantaneous_batches,
    check_final_stock,
)
