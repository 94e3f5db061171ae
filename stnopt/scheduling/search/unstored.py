"""How long a batch must wait in its unit because nobody can take all that it has made at once.

Material without room in a store leaves a unit as fast as the units that take it begin batches: each
begins one when it comes, and the next when that has ended. Until the last of it has left, the unit
does nothing else, so that its hours hold less than the batches' durations say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.recipe import State, Suitability
    from stnopt.solvers.linear_program import ProgramBuilder


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Hours after its end for which a batch of amount B keeps its unit: per_amount (B - beyond).

    Attributes
    ----------
    number : int
        Of the pair of task and unit, in `Network.suitabilities`.
    per_amount : float
    beyond : float
        A batch of no more need not wait.
    longest : float
        Hours of a full batch.
    """

    number: int
    per_amount: float
    beyond: float
    longest: float


@dataclass(frozen=True, slots=True)
class _Taker:
    """The most of a state that a unit takes at once, and how long that keeps it at least."""

    most: float
    fixed: float
    per_amount: float

    def hours_per_amount(self, amount: float) -> float:
        """Return the least hours per amount before it has taken an amount and may take more.

        That is at least one batch: fixed / amount of hours for each of it, where one is enough.
        """
        return self.fixed / min(self.most, amount) + self.per_amount


def find_waits(network: Network, problem: Problem) -> list[Wait]:
    """List how long batches wait at least; of several states of a batch, by the slowest to leave.

    Let a full batch make `made` of a state that can hold `capacity`, and let unit c take up to T_c
    of it per batch, in at least f_c + s_c a hours for an amount a. When the batch ends, at most
    capacity + sum T_c leaves at once. The rest, r, waits for second batches: one unit takes it in
    no less than f_c ceil(r / T_c) + s_c r >= r (f_c / min(T_c, most r) + s_c) hours; several take
    no more than sum 1 / (f_c / T_c + s_c) of it in an hour.

    Passed over are states that leave the plant or their batch early, those that must not wait, and
    units that work at times only: material may wait in them when their hours do not count.
    """
    waits: dict[int, Wait] = {}
    leaves = {due.state for due in problem.deliveries} | {order.state for order in problem.orders}
    for state in network.states.values():
        if state.unlimited or state.zero_wait or math.isinf(state.capacity) or state.name in leaves:
            continue
        takers = _list_takers(network, state)
        makers = set(network.most_made(state.name))
        if not takers or makers & set(takers):
            continue
        at_once = state.capacity + sum(taker.most for taker in takers.values())
        for number, fit in enumerate(network.suitabilities):
            share = network.tasks[fit.task].produces.get(state.name, 0.0)
            rest = share * fit.max_batch - at_once
            if rest <= 0 or state.name in fit.release_time or _works_at_times(network, fit):
                continue
            if len(takers) == 1:
                (taker,) = takers.values()
                hours = taker.hours_per_amount(rest)
            else:
                each = [taker.hours_per_amount(math.inf) for taker in takers.values()]
                hours = 0.0 if 0.0 in each else 1.0 / sum(1.0 / one for one in each)
            wait = Wait(
                number=number,
                per_amount=hours * share,
                beyond=at_once / share,
                longest=hours * rest,
            )
            known = waits.get(number)
            if wait.longest > (known.longest if known else 0.0):
                waits[number] = wait
    return list(waits.values())


def add_waits(
    rows: ProgramBuilder,
    waits: list[Wait],
    batches: list[tuple[int, float]],
    ended: NDArray[np.int64],
    n_ended: NDArray[np.int64],
    *,
    hours: float,
) -> None:
    """Limit the hours in which a unit's batches run or wait to what there is.

    waited >= per_amount (ended - beyond n_ended), waited >= 0, for each of its waits.

    Parameters
    ----------
    rows : ProgramBuilder
    waits : list of Wait
        Of the unit.
    batches : list of (column, hours)
        The hours in which its batches run.
    ended, n_ended : (n,) arrays of columns
        Per pair of task and unit, amount and number of batches that have ended by some time.
    hours : float
        Of the unit until then, and as long as the last batch may wait after it.
    """
    together = list(batches)
    for wait in waits:
        waited = rows.column()
        amount, number = int(ended[wait.number]), int(n_ended[wait.number])
        per_batch = wait.per_amount * wait.beyond
        terms = [(waited, 1.0), (amount, -wait.per_amount), (number, per_batch)]
        rows.row(terms, lower=0.0)
        together.append((waited, 1.0))
    rows.row(together, upper=hours)


def _list_takers(network: Network, state: State) -> dict[str, _Taker]:
    """Say, per unit, how much of a state its batches take, and in how long."""
    takers: dict[str, _Taker] = {}
    for fit in network.suitabilities:
        share = network.tasks[fit.task].consumes.get(state.name, 0.0)
        if not share:
            continue
        one = _Taker(share * fit.max_batch, fit.fixed_time, fit.time_per_amount / share)
        other = takers.get(fit.unit, one)
        takers[fit.unit] = _Taker(
            max(one.most, other.most),
            min(one.fixed, other.fixed),
            min(one.per_amount, other.per_amount),
        )
    return takers


def _works_at_times(network: Network, fit: Suitability) -> bool:
    rule = network.unit_rules.get(fit.unit)
    return rule is not None and bool(rule.paused or rule.unattended)
