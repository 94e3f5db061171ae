"""What is stored where units are unattended: what must leave them before, for use meanwhile.

Elsewhere material stays in its unit as long as it may. Where nothing can be taken from a unit for a
while, some of it has to be stored before that, and how much follows from what is needed until then:
a small linear program per state, with the amounts of the schedule as they are.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.scheduling.movements import Movements


def store_with_locks(
    movements: Movements, n_instants: int
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Return stored and waiting amounts after each instant, and by unit what waits after the last.

    Among all ways to keep the material it takes one with the lowest highest level in storage, and
    of those one that stores least. What is taken beyond the amount there is, is owed.
    """
    lots = movements.lots
    n_total = len(movements.taken)
    moves = [
        (number, instant)
        for number, lot in enumerate(lots)
        for instant in range(lot.released, min(lot.leaves, n_total - 1) + 1)
        if not any(low < instant < high for low, high in lot.locked)
    ]
    column = {move: place for place, move in enumerate(moves)}
    n_moves = len(moves)
    # Columns: moved out of the unit, stored after each instant, owed after each, the highest level.
    stored, owed, highest = n_moves, n_moves + n_total, n_moves + 2 * n_total
    rows: list[int] = []
    columns: list[int] = []
    factors: list[float] = []

    def entry(row: int, place: int, factor: float) -> None:
        rows.append(row)
        columns.append(place)
        factors.append(factor)

    for (_, instant), place in column.items():
        entry(instant, place, -1.0)
    for instant in range(n_total):
        entry(instant, stored + instant, 1.0)
        entry(instant, owed + instant, -1.0)
        if instant:
            entry(instant, stored + instant - 1, -1.0)
            entry(instant, owed + instant - 1, 1.0)
    equal = [-taken for taken in movements.taken]
    # What must leave a unit has left it by then; what may stay need not.
    bound_rows: list[tuple[int, int, float]] = []
    limits: list[float] = []
    for number, lot in enumerate(lots):
        places = [column[move] for move in moves if move[0] == number]
        if lot.leaves < n_total:
            row = len(equal)
            for place in places:
                entry(row, place, 1.0)
            equal.append(lot.amount)
        else:
            bound_rows += [(len(limits), place, 1.0) for place in places]
            limits.append(lot.amount)
    for instant in range(n_total):
        bound_rows += [(len(limits), stored + instant, 1.0), (len(limits), highest, -1.0)]
        limits.append(0.0)
    n_columns = highest + 1
    scale = max((lot.amount for lot in lots), default=1.0)
    cost = np.zeros(n_columns)
    cost[stored : stored + n_total] = 1e-4 / n_total
    cost[owed : owed + n_total] = 1e3
    cost[highest] = 1.0
    found = linprog(
        cost,
        A_eq=coo_array((factors, (rows, columns)), shape=(len(equal), n_columns)).tocsr(),
        b_eq=np.array(equal) / scale,
        A_ub=coo_array(
            (
                [factor for _, _, factor in bound_rows],
                ([row for row, _, _ in bound_rows], [place for _, place, _ in bound_rows]),
            ),
            shape=(len(limits), n_columns),
        ).tocsr(),
        b_ub=np.array(limits) / scale,
        bounds=(0.0, None),
    )
    if found.status != 0:
        raise ArithmeticError(f"the replay's storage program failed: {found.message}")
    values = found.x * scale
    levels = np.zeros((2, n_instants))
    levels[0] = values[stored : stored + n_instants]
    held: dict[str, float] = defaultdict(float)
    for number, lot in enumerate(lots):
        kept = 0.0
        for instant in range(lot.released, n_instants):
            if instant == lot.released:
                kept = lot.amount
            kept -= values[column[number, instant]] if (number, instant) in column else 0.0
            levels[1, instant] += max(0.0, kept)
        if lot.released < n_instants and kept > 0:
            held[lot.unit] += kept
    return levels, dict(held)
