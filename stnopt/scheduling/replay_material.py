"""The referee's checks of material: stocks at every instant, and what is left at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stnopt.scheduling.movements import Movements, Replay, store
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock
from stnopt.scheduling.violation import Violation as Violation
from stnopt.scheduling.violation import ViolationKind
from stnopt.scheduling.violation import amount_text as _amount
from stnopt.scheduling.violation import number_text as _number
from stnopt.scheduling.violation import time_text as _time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stnopt.plant.network import Network
    from stnopt.plant.recipe import State


def check_stocks(_: Schedule, replay: Replay, network: Network) -> list[Violation]:
    """Check the stock of every state that can run out or overflow."""
    return [
        violation
        for name, state in network.states.items()
        if not state.unlimited
        for violation in _check_stock(state, replay.movements[name], replay, network)
    ]


def _check_stock(
    state: State, movements: Movements, replay: Replay, network: Network
) -> list[Violation]:
    """Check 0 <= stock <= capacity after every instant, or for `zero_wait` released = taken."""
    judge = _Judge(state=state, movements=movements, replay=replay, network=network)
    if state.zero_wait:
        return [found for instant in judge.instants for found in judge.handed_over(instant)]
    stored, _ = store(movements)
    violations: list[Violation] = []
    lowest, highest = 0.0, state.capacity  # report a breach when it begins and whenever it grows
    for instant in judge.instants:
        on_hand, level = movements.on_hand[instant], stored[instant]
        tolerance = judge.tolerance(instant)
        if on_hand < lowest - tolerance:
            violations += judge.taken_in_vain(instant, lowest)
            lowest = on_hand
        elif on_hand >= -tolerance:
            lowest = 0.0
        if level > highest + tolerance:
            violations.append(judge.overfull(instant, level))
            highest = level
        elif level <= state.capacity + tolerance:
            highest = state.capacity
    return violations


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """What is wrong with one state's material at an instant, in words."""

    state: State
    movements: Movements
    replay: Replay
    network: Network

    @property
    def instants(self) -> range:
        return range(len(self.movements.on_hand))

    def tolerance(self, instant: int) -> float:
        """Return how far amounts may be off: every movement so far may carry an error."""
        moves = max(1, int(self.movements.n_moves[instant]))
        return self.replay.amount_tolerance[self.state.name] * moves

    def violation(
        self, kind: ViolationKind, instant: int, amount: float, message: str
    ) -> Violation:
        return Violation(
            kind=kind,
            element=self.state.name,
            time=float(self.replay.times[instant]),
            amount=float(amount),
            message=message,
        )

    def when(self, instant: int) -> str:
        return f"t = {_time(self.replay.times[instant], self.network)}"

    def handed_over(self, instant: int) -> Iterator[Violation]:
        """Say whether what cannot wait is taken whole as it is released."""
        released, taken = self.movements.released[instant], self.movements.taken[instant]
        before = self.movements.n_moves[instant - 1] if instant else 0
        moves_here = self.movements.n_moves[instant] - before
        tolerance = self.replay.amount_tolerance[self.state.name] * moves_here
        if abs(released - taken) <= tolerance:
            return
        delivered = self.movements.delivered[instant]
        how = "consumed or delivered" if delivered else "consumed"
        yield self.violation(
            "missed_delivery" if delivered and taken > released else "zero_wait",
            instant,
            abs(released - taken),
            f"{self.state.name} cannot wait: {_amount(released, self.network)} released at "
            f"{self.when(instant)}, {_number(taken)} {how} at that instant",
        )

    def taken_in_vain(self, instant: int, lowest: float) -> Iterator[Violation]:
        """Say what more is taken than there is; batches are served before deliveries."""
        on_hand, tolerance = self.movements.on_hand[instant], self.tolerance(instant)
        due = float(self.movements.delivered[instant])
        missed = min(due, float(lowest - on_hand))
        if missed > tolerance:
            yield self.violation(
                "missed_delivery",
                instant,
                missed,
                f"{self.state.name} at {self.when(instant)}: {_amount(due, self.network)} are due, "
                f"{_number(missed)} more than there is",
            )
        if lowest - on_hand - missed > tolerance or missed <= tolerance:
            short = -on_hand - missed
            yield self.violation(
                "stock_below_zero",
                instant,
                short,
                f"{self.state.name} at {self.when(instant)}: "
                f"{_amount(self.movements.taken[instant] - due, self.network)} are taken, "
                f"{_number(short)} more than there is",
            )

    def overfull(self, instant: int, level: float) -> Violation:
        """Say by how much storage is over its capacity, and which units had to be emptied."""
        over = level - self.state.capacity
        lots = self.movements.lots
        emptied = sorted({lot.unit for lot in lots if lot.leaves == instant and lot.unit})
        because = f" ({' and '.join(emptied)} had to be emptied)" if emptied else ""
        return self.violation(
            "over_capacity",
            instant,
            over,
            f"{self.state.name} holds {_amount(level, self.network)} at {self.when(instant)}, "
            f"{_number(over)} over its capacity of {_number(self.state.capacity)}{because}",
        )


def check_instantaneous_batches(_: Schedule, replay: Replay, network: Network) -> list[Violation]:
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
