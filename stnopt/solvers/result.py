"""What a solve has shown: a status that follows from incumbent, bound and gap."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(enum.Enum):
    """What a solve has shown."""

    OPTIMAL = "optimal"
    """An incumbent, and a bound within the relative gap of it."""
    FEASIBLE = "feasible"
    """An incumbent; a limit came before the gap was closed."""
    INFEASIBLE = "infeasible"
    """Proven: the model has no solution."""
    UNBOUNDED = "unbounded"
    """Proven: solutions exist and the objective has no limit."""
    NO_SOLUTION = "no solution"
    """Undecided: a limit came before anything was found or proven."""
    ERROR = "error"
    """The solver failed; nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveResult:
    """What a solver found and proved. `None` where nothing is known.

    Attributes
    ----------
    status : Status
        Derived from incumbent, bound and gap.
    objective : float or None
        Value of the incumbent, which `solve` has loaded into the model.
    bound : float or None
        Proven limit of the objective: no solution is better.
    gap : float or None
        ``|objective - bound| / max(|objective|, 1e-10)``.
    wall_time : float
        Seconds spent, translation included.
    n_nodes : int or None
        Nodes (or boxes, for a search over a region) explored.
    n_solves : int
        Solver calls behind this result.
    message : str
        The solver's own word on why it stopped.
    violation : float
        By how much the values returned break a row, relative to the row's size.
    """

    status: Status
    objective: float | None = None
    bound: float | None = None
    gap: float | None = None
    wall_time: float = 0.0
    n_nodes: int | None = None
    n_solves: int = 1
    message: str = ""
    violation: float = 0.0

    @property
    def has_solution(self) -> bool:
        """Whether the model carries an incumbent."""
        return self.status in (Status.OPTIMAL, Status.FEASIBLE)


def relative_gap_between(objective: float | None, bound: float | None) -> float | None:
    """Return ``|objective - bound| / max(|objective|, 1e-10)``, or `None` where one is unknown."""
    if objective is None or bound is None:
        return None
    return abs(objective - bound) / max(abs(objective), 1e-10)


def status_of(
    objective: float | None, bound: float | None, *, relative_gap: float, absolute_gap: float = 1e-6
) -> Status:
    """Return what an incumbent and a bound prove; never INFEASIBLE, which needs a proof."""
    if objective is None:
        return Status.NO_SOLUTION
    if bound is None:
        return Status.FEASIBLE
    closed = abs(objective - bound) <= max(relative_gap * abs(objective) * (1 + 1e-6), absolute_gap)
    return Status.OPTIMAL if closed else Status.FEASIBLE
