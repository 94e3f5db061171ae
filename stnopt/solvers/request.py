"""What an engine is asked for, in words that belong to none of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stnopt.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyomo.environ as pyo


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveRequest:
    """One run of an engine on a model.

    Attributes
    ----------
    model : pyo.ConcreteModel
    solver : str
        The name under which the engine was asked for.
    time_limit : float or None
        Seconds.
    node_limit : int or None
        Branch-and-bound nodes.
    relative_gap : float
    threads : int
    log : bool
        Print the engine's log.
    warm_start : bool
        Offer the variables' present values as a first incumbent.
    known_bound : float or None
        A proven bound of the objective: what comes within the gap of it ends the search.
    weak_relaxation : bool
        The model is made of big-M rows, on which cuts at the nodes and restarts cost more than
        they save.
    presolve : bool
    seed : int
    options : mapping
        The engine's own, which overrule all others.
    """

    model: pyo.ConcreteModel
    solver: str = "highs"
    time_limit: float | None = None
    node_limit: int | None = None
    relative_gap: float = 1e-4
    threads: int = 1
    log: bool = False
    warm_start: bool = False
    known_bound: float | None = None
    weak_relaxation: bool = False
    presolve: bool = True
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def refuse(self, limit: str) -> UnsupportedModelError:
        """Return the error for a limit that the engine does not have."""
        return UnsupportedModelError(
            f"solver {self.solver!r} has no {limit}: leave it out, or use solver='highs'"
        )
