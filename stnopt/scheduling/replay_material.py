"""The referee's checks of material: stocks at every instant, and what is left at the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.movements import Movements, Replay, store
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock
from stnopt.scheduling.violation import Violation as Violation
from stnopt.scheduling.violation import ViolationKind
from stnopt.scheduling.violation import amount_text as _amount
from stnopt.scheduling.violation import number_text as _number
from stnopt.scheduling.violation import time_text as _time

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.plant.recipe import State


def check_stock(
    state: State, movements: Movements, replay: Replay, network: Network
) -> list[Violation]:
    """Check 0 <= stock <= capacity after every instant, or for `zero_wait` released = taken."""
    violations = []

    def report(kind: ViolationKind, instant: int, amount: float, message: str) -> None:
        violations.append(
            Violation(
                kind=kind,
                element=state.name,
                time=float(replay.times[instant]),
                amount=float(amount),
                message=message,
            )
        )

    if state.zero_wait:
        moves_here = np.diff(movements.n_moves, prepend=0)
        for instant, (released, taken) in enumerate(
            zip(movements.released, movements.taken, strict=True)
        ):
            if abs(released - taken) > replay.amount_tolerance[state.name] * moves_here[instant]:
                delivered = movements.delivered[instant]
                how = "consumed or delivered" if delivered else "consumed"
                report(
                    "missed_delivery" if delivered and taken > released else "zero_wait",
                    instant,
                    abs(released - taken),
                    f"{state.name} cannot wait: {_amount(released, network)} released at "
                    f"t = {_time(replay.times[instant], network)}, "
                    f"{_number(taken)} {how} at that instant",
                )
        return violations

    tolerance = replay.amount_tolerance[state.name] * np.maximum(1, movements.n_moves)
    stored, _ = store(movements)
    lowest, highest = 0.0, state.capacity  # report a breach when it begins and whenever it grows
    for instant, on_hand in enumerate(movements.on_hand):
        when = f"t = {_time(replay.times[instant], network)}"
        if on_hand < lowest - tolerance[instant]:
            # Batches are served before deliveries.
            due = float(movements.delivered[instant])
            missed = min(due, float(lowest - on_hand))
            if missed > tolerance[instant]:
                report(
                    "missed_delivery",
                    instant,
                    missed,
                    f"{state.name} at {when}: {_amount(due, network)} are due, "
                    f"{_number(missed)} more than there is",
                )
            if lowest - on_hand - missed > tolerance[instant] or missed <= tolerance[instant]:
                short = -on_hand - missed
                report(
                    "stock_below_zero",
                    instant,
                    short,
                    f"{state.name} at {when}: "
                    f"{_amount(movements.taken[instant] - due, network)} are taken, "
                    f"{_number(short)} more than there is",
                )
            lowest = on_hand
        elif on_hand >= -tolerance[instant]:
            lowest = 0.0
        if stored[instant] > highest + tolerance[instant]:
            highest = stored[instant]
            over = stored[instant] - state.capacity
            emptied = sorted(
                {lot.unit for lot in movements.lots if lot.leaves == instant and lot.unit}
            )
            because = f" ({' and '.join(emptied)} had to be emptied)" if emptied else ""
            report(
                "over_capacity",
                instant,
                over,
                f"{state.name} holds {_amount(stored[instant], network)} at {when}, "
                f"{_number(over)} over its capacity of {_number(state.capacity)}{because}",
            )
        elif stored[instant] <= state.capacity + tolerance[instant]:
            highest = state.capacity
    return violations


def check_instantaneous_batches(replay: Replay, network: Network) -> list[Violation]:
    """Check that a batch that takes no time, or a circle of them, does not live on itself.

    Releases come before consumption at one instant, so such batches must be able to run one after
    another: run any whose inputs are there until none is left. A recipe without cycles always can.
    """
    violations = []
    for instant, batches in replay.instantaneous.items():
        for batch, name, missing in _find_stuck_batches(batches, instant, replay, network):
            if replay.movements[name].on_hand[instant] < -replay.amount_tolerance[name]:
                continue  # a plain shortage, which `_check_stock` reports
            violations.append(
                Violation(
                    kind="stock_below_zero",
                    element=name,
                    time=batch.start,
                    amount=float(missing),
                    message=f"{name} at t = {_time(batch.start, network)}: {batch.task} on "
                    f"{batch.unit} lacks {_amount(missing, network)}, which only follows from this "
                    "batch itself",
                )
            )
    return violations


def _find_stuck_batches(
    batches: list[Batch], instant: int, replay: Replay, network: Network
) -> list[tuple[Batch, str, float]]:
    """Return the instantaneous batches that cannot run in any order, with what they lack."""
    on_hand = {
        name: math.inf
        if network.states[name].unlimited
        else movements.on_hand[instant] + movements.taken[instant]
        for name, movements in replay.movements.items()
    }

    def lacking(batch: Batch) -> tuple[str, float] | None:
        for name, share in network.tasks[batch.task].consumes.items():
            missing = share * batch.size - on_hand[name]
            if missing > replay.amount_tolerance[name] * len(batches):
                return name, missing
        return None

    for batch in batches:
        for name, share in network.tasks[batch.task].produces.items():
            on_hand[name] -= share * batch.size
    pending = list(batches)
    while runnable := next((batch for batch in pending if lacking(batch) is None), None):
        pending.remove(runnable)
        for name, share in network.tasks[runnable.task].produces.items():
            on_hand[name] += share * runnable.size
        for name, share in network.tasks[runnable.task].consumes.items():
            on_hand[name] -= share * runnable.size
    return [(batch, *found) for batch in pending if (found := lacking(batch)) is not None]


def check_final_stock(schedule: Schedule, replay: Replay, network: Network) -> list[Violation]:
    """Check that the stated final stock is what the batches and deliveries leave."""
    known = [batch for batch in schedule.batches if batch.task in network.tasks]
    deliveries = [due for due in schedule.deliveries if due.state in network.states]
    orders = [served for served in schedule.orders if served.order.state in network.states]
    recomputed = compute_final_stock(
        known,
        network,
        deliveries,
        horizon=schedule.horizon,
        start=schedule.start,
        orders=orders,
    )
    behind = "the batches and deliveries" if deliveries or orders else "the batches"
    violations = []
    for name in [
        *network.states,
        *(name for name in schedule.final_stock if name not in network.states),
    ]:
        stated = schedule.final_stock.get(name, 0.0)
        if name not in network.states:
            difference, message = abs(stated), f"final stock of {name}: the plant has no such state"
        else:
            difference = abs(stated - recomputed[name])
            n_moves = max(1, int(replay.movements[name].n_moves[-1]))
            if difference <= replay.amount_tolerance[name] * n_moves:
                continue
            what = "consumption" if network.states[name].unlimited else "final stock"
            message = (
                f"{what} of {name}: stated {_amount(stated, network)}, "
                f"but {behind} give {_number(recomputed[name])}"
            )
        violations.append(
            Violation(
                kind="final_stock",
                element=name,
                time=schedule.horizon,
                amount=difference,
                message=message,
            )
        )
    return violations
