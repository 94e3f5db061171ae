"""What is stored where units are unattended: what must leave them before, for use meanwhile.

Elsewhere material stays in its unit as long as it may. Where nothing can be taken from a unit for a
while, some of it has to be stored before that, and how much follows from what is needed until then:
a small linear program per state, with the amounts of the schedule as they are.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stnopt.scheduling.movements import Lot, Movements

#: What is owed weighs most, then the highest level in storage, then what is stored at all.
_OWED, _HIGHEST, _STORED = 1e3, 1.0, 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Columns of the program: moves out of units, then stored and owed per instant, and the level.

    Attributes
    ----------
    moved : mapping of (number of the lot, instant) to column
    n_instants : int
    """

    moved: Mapping[tuple[int, int], int]
    n_instants: int

    @property
    def stored(self) -> int:
        """Return the first column of what is stored after each instant."""
        return len(self.moved)

    @property
    def owed(self) -> int:
        """Return the first column of what is owed after each instant."""
        return self.stored + self.n_instants

    @property
    def highest(self) -> int:
        """Return the column of the highest level, the last one."""
        return self.owed + self.n_instants


@dataclass(slots=True)
class _Rows:
    """Rows of the program as entries (row, column, factor), with their right-hand sides."""

    entries: list[tuple[int, int, float]] = field(default_factory=list)
    right: list[float] = field(default_factory=list)

    def add(self, terms: Sequence[tuple[int, float]], right: float) -> None:
        self.entries += [(len(self.right), column, factor) for column, factor in terms]
        self.right.append(right)

    def matrix(self, n_columns: int) -> coo_array:
        rows, columns, factors = zip(*self.entries, strict=True) if self.entries else ((), (), ())
        return coo_array((factors, (rows, columns)), shape=(len(self.right), n_columns)).tocsr()


def store_with_locks(
    movements: Movements, n_instants: int
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Return stored and waiting amounts after each instant, and by unit what waits after the last.

    Among all ways to keep the material it takes one with the lowest highest level in storage, and
    of those one that stores least. What is taken beyond the amount there is, is owed.
    """
    lots, n_total = movements.lots, len(movements.taken)
    moves = [
        (number, instant)
        for number, lot in enumerate(lots)
        for instant in range(lot.released, min(lot.leaves, n_total - 1) + 1)
        if not any(low < instant < high for low, high in lot.locked)
    ]
    columns = _Columns(moved={move: place for place, move in enumerate(moves)}, n_instants=n_total)
    equal, at_most = _Rows(), _Rows()
    _add_balances(equal, columns, movements)
    _add_lots(equal, at_most, columns, lots)
    for instant in range(n_total):
        at_most.add([(columns.stored + instant, 1.0), (columns.highest, -1.0)], 0.0)
    values = _solve(equal, at_most, columns, scale=max((lot.amount for lot in lots), default=1.0))
    return _read_levels(values, columns, lots, n_instants)


def _add_balances(equal: _Rows, columns: _Columns, movements: Movements) -> None:
    """Balance each instant: stored - owed = the same before + moved out of units - taken."""
    moved_at: dict[int, list[int]] = defaultdict(list)
    for (_, instant), place in columns.moved.items():
        moved_at[instant].append(place)
    for instant, taken in enumerate(movements.taken):
        stored, owed = columns.stored + instant, columns.owed + instant
        terms = [(place, -1.0) for place in moved_at[instant]]
        terms += [(stored, 1.0), (owed, -1.0)]
        if instant:
            terms += [(stored - 1, -1.0), (owed - 1, 1.0)]
        equal.add(terms, -taken)


def _add_lots(equal: _Rows, at_most: _Rows, columns: _Columns, lots: Sequence[Lot]) -> None:
    """Move a lot whole where it must leave its unit by an instant, else up to all of it."""
    places: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for (number, _), place in columns.moved.items():
        places[number].append((place, 1.0))
    for number, lot in enumerate(lots):
        rows = equal if lot.leaves < columns.n_instants else at_most
        rows.add(places[number], lot.amount)


def _solve(equal: _Rows, at_most: _Rows, columns: _Columns, *, scale: float) -> NDArray[np.float64]:
    """Solve the program, with amounts as shares of `scale`."""
    n_columns, n = columns.highest + 1, columns.n_instants
    cost = np.zeros(n_columns)
    cost[columns.stored : columns.stored + n] = _STORED / n
    cost[columns.owed : columns.owed + n] = _OWED
    cost[columns.highest] = _HIGHEST
    found = linprog(
        cost,
        A_eq=equal.matrix(n_columns),
        b_eq=np.array(equal.right) / scale,
        A_ub=at_most.matrix(n_columns),
        b_ub=np.array(at_most.right) / scale,
        bounds=(0.0, None),
    )
    if found.status != 0:
        raise ArithmeticError(f"the replay's storage program failed: {found.message}")
    return found.x * scale


def _read_levels(
    values: NDArray[np.float64], columns: _Columns, lots: Sequence[Lot], n_instants: int
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Follow every lot from its release: what has not moved out of its unit waits there."""
    levels = np.zeros((2, n_instants))
    levels[0] = values[columns.stored : columns.stored + n_instants]
    held: dict[str, float] = defaultdict(float)
    for number, lot in enumerate(lots):
        kept = lot.amount
        for instant in range(lot.released, n_instants):
            place = columns.moved.get((number, instant))
            kept -= 0.0 if place is None else values[place]
            levels[1, instant] += max(0.0, kept)
        if lot.released < n_instants and kept > 0:
            held[lot.unit] += kept
    return levels, dict(held)
