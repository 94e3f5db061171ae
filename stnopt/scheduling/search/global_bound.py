"""The bound that holds for any schedule, checked against every schedule that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stnopt.solvers.result import Status, status_of


@dataclass(slots=True, kw_only=True)
class GlobalBound:
    """What no schedule at all is better than.

    Attributes
    ----------
    maximises : bool
    relative_gap : float
    value : float or None
        None while nothing is proven.
    disproved : list of float
        Bounds that a replayed schedule beats: whoever claimed them is not believed.
    """

    maximises: bool
    relative_gap: float
    value: float | None = None
    disproved: tuple[float, ...] = ()

    def update(self, bound: float | None, *, known: float | None = None) -> bool:
        """Take a bound if it says more than the one there is; say whether it can be true.

        Parameters
        ----------
        bound : float or None
        known : float, optional
            Value of a schedule that was replayed.
        """
        if bound is None or not math.isfinite(bound):
            return True
        if known is not None and self._beaten(bound, known):
            self.disproved = (*self.disproved, bound)
            return False
        tighter = min if self.maximises else max
        self.value = bound if self.value is None else tighter(bound, self.value)
        return True

    def check(self, known: float) -> None:
        """Drop the bound if a schedule that was replayed beats it."""
        if self.value is not None and self._beaten(self.value, known):
            self.disproved = (*self.disproved, self.value)
            self.value = None

    def closes(self, value: float | None) -> bool:
        """Whether a value is within the gap of the bound."""
        if value is None or self.value is None:
            return False
        return status_of(value, self.value, relative_gap=self.relative_gap) is Status.OPTIMAL

    def _beaten(self, bound: float, known: float) -> bool:
        over = known - bound if self.maximises else bound - known
        return over > max(10 * self.relative_gap * abs(known), 1e-5 * max(1.0, abs(known)))
