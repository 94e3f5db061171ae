"""A whole grid with the best mode of each pair of task and unit alone, as one program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.scheduling.search.long_horizon.choose_grid import rank_again
from stnopt.scheduling.search.long_horizon.dive_grids import OnGrid
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.solvers.linear_program import fix_integers, solve_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.long_horizon.choose_grid import Width

#: Of more batches per second, branch and bound finds little.
_MOST_PER_SECOND = 300
_GAP = 5e-4
#: It is left when this share of its time brought nothing better than what is known.
_PATIENCE = 0.75


def solve_best_modes(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    *,
    start: PlantState | None,
    seconds: float,
    many_batches: int,
    known: float,
) -> OnGrid | None:
    """Solve the most promising grid with one mode for each pair.

    From nothing: HiGHS 1.15.1 calls some solutions that it is given optimal where they are not,
    and its own first ones are found elsewhere.

    Parameters
    ----------
    network : Network
    problem : Problem
        With a horizon.
    ranked : sequence of Width
        As `rank_widths` returns them.
    start : PlantState or None
    seconds : float
    many_batches : int
        As in `rank_widths`.
    known : float
        Value, on a grid, of a solution that meets the demand.

    Returns
    -------
    OnGrid or None
        None where nothing better was found, or the grid is too large.
    """
    again = rank_again(network, problem, ranked, most_modes=1, many_batches=many_batches)
    if not again or again[0].n_batches > _MOST_PER_SECOND * seconds:
        return None
    width = again[0].width
    modes = choose_modes(network, width, most=1)
    grid = build_grid(network, problem, width=width, modes=modes, start=start)
    better = _Better(known, patience=_PATIENCE * seconds)
    answer = solve_program(
        grid.program, time_limit=seconds, relative_gap=_GAP, keep_on=better.still_comes
    )
    if answer.x is None or answer.objective is None or answer.objective <= known:
        return None
    return OnGrid(grid=grid, x=fix_integers(grid.program, answer.x, time_limit=seconds))


class _Better:
    """Whether solutions better than what is known still come."""

    def __init__(self, known: float, *, patience: float) -> None:
        self.value, self.patience = known, patience
        self.at = 0.0

    def still_comes(self, seconds: float, value: float) -> bool:
        """Note the best so far; say whether the last better one is not too long ago."""
        if value > self.value:
            self.value, self.at = value, seconds
        return seconds - self.at <= self.patience
