"""Part of a program: some columns free, some moving together, the others where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_array, hstack

from stnopt.solvers.linear_program import Program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Bounds of rows and of columns that move together give way by so much: rounding of what is fixed.
_ROUNDING = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A smaller program, and how its solutions become solutions of the whole.

    Attributes
    ----------
    program : Program
        Columns: the free ones in order, then one per group.
    free : (k,) array of columns of the whole
    groups : tuple of arrays of columns
        Each moves as one: a column of the part is how far.
    base : (n,) array
        Where everything stands.
    """

    program: Program
    free: NDArray[np.int64]
    groups: tuple[NDArray[np.int64], ...]
    base: NDArray[np.float64]

    @property
    def start(self) -> NDArray[np.float64]:
        """Where the whole stands, as a solution of the part."""
        return np.concatenate([self.base[self.free], np.zeros(len(self.groups))])

    def expand(self, part: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the whole solution of a solution of the part."""
        x = self.base.copy()
        x[self.free] = part[: len(self.free)]
        for group, moved in zip(self.groups, part[len(self.free) :], strict=False):
            x[group] += moved
        return x


def restrict(
    program: Program,
    base: NDArray[np.float64],
    free: NDArray[np.int64],
    groups: Sequence[NDArray[np.int64]] = (),
) -> Part:
    """Fix every column at `base` but the free ones and the groups; leave out empty rows."""
    groups = tuple(group for group in groups if len(group))
    fixed = base.copy()
    fixed[free] = 0.0
    matrix = program.matrix
    blocks = [matrix[:, free]]
    blocks += [csc_array(matrix[:, group].sum(axis=1).reshape(-1, 1)) for group in groups]
    reduced = csc_array(hstack(blocks, format="csc"))
    reduced.data[np.abs(reduced.data) < _ROUNDING] = 0.0
    reduced.eliminate_zeros()
    kept = np.flatnonzero(np.bincount(reduced.indices, minlength=reduced.shape[0]))
    activity = matrix @ fixed
    lower = [program.lower[free]]
    upper = [program.upper[free]]
    cost = [program.cost[free]]
    for group in groups:
        slack = 0.0
        lower.append(np.array([min(slack, np.max(program.lower[group] - base[group]))]))
        upper.append(np.array([max(slack, np.min(program.upper[group] - base[group]))]))
        cost.append(np.array([program.cost[group].sum()]))
    integer = np.concatenate([program.integer[free], np.zeros(len(groups), bool)])
    return Part(
        program=Program(
            cost=np.concatenate(cost),
            lower=np.concatenate(lower),
            upper=np.concatenate(upper),
            integer=integer,
            matrix=csc_array(reduced.tocsr()[kept]),
            row_lower=program.row_lower[kept] - activity[kept] - _ROUNDING,
            row_upper=program.row_upper[kept] - activity[kept] + _ROUNDING,
            offset=program.offset + float(program.cost @ fixed),
        ),
        free=free,
        groups=groups,
        base=base,
    )
