"""What limits a period's production in a planning model: pieces, proven limits, sums, a region."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr import LinearExpression

from stnopt.embedding.constraint import add_region_constraint
from stnopt.planning.pieces import outer_pieces
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.period_sums import build_period_sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stnopt.embedding.region_block import Form
    from stnopt.feasibility.one_vs_one import UnionRegion
    from stnopt.feasibility.refinement import Limit
    from stnopt.feasibility.region import Region
    from stnopt.planning.pieces import Piece
    from stnopt.planning.question import PeriodQuestion
    from stnopt.scheduling.search.period_sums import PeriodSums


class ProductionLimit(Protocol):
    """Something that a period's production must obey."""

    def add(self, block: Any, make: Mapping[str, Any]) -> None:
        """Write it on a block of its own, for a variable or expression per product."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BelowPieces:
    """Production lies below a mean of the rows of one of some pieces.

    With shares s of rows and a binary b per piece: sum of s over a piece = b, sum of b = 1,
    make <= sum of s * row. Its relaxation is the hull of the union.
    """

    pieces: Sequence[Piece]
    products: tuple[str, ...]

    def add(self, block: Any, make: Mapping[str, Any]) -> None:
        """Write shares and binaries."""
        rows = [(i, k) for i, piece in enumerate(self.pieces) for k in range(len(piece))]
        block.share = pyo.Var(rows, bounds=(0, 1))
        n_pieces = len(self.pieces)
        domain = pyo.Binary if n_pieces > 1 else pyo.UnitInterval
        block.chosen = pyo.Var(range(n_pieces), domain=domain)
        block.one_piece = pyo.Constraint(expr=sum(block.chosen.values()) == 1)
        shares = list(block.share.values())
        first = np.cumsum([0, *map(len, self.pieces)]).tolist()

        @block.Constraint(range(n_pieces))
        def shares_of_piece(b: Any, i: int) -> Any:
            return sum(shares[first[i] : first[i + 1]]) == b.chosen[i]

        amounts = np.vstack(self.pieces)

        @block.Constraint(list(self.products))
        def below_mean(b: Any, product: str) -> Any:
            column = amounts[:, self.products.index(product)].tolist()
            return make[product] <= LinearExpression(linear_coefs=column, linear_vars=shares)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WithinLimits:
    """Production that no proven limit excludes.

    One or two products: the pieces of what is left, exactly. More: for every limit whose corner is
    not the origin, make_j <= lower_j for one product j, or weights . make <= bound.
    """

    limits: Sequence[Limit]
    upper: NDArray[np.float64]
    products: tuple[str, ...]

    def add(self, block: Any, make: Mapping[str, Any]) -> None:
        """Write pieces, or a binary for every corner's coordinate."""
        if len(self.products) <= 2:
            pieces = outer_pieces(self.limits, self.upper)
            BelowPieces(pieces=pieces, products=self.products).add(block, make)
            return
        amounts = [make[product] for product in self.products]
        block.below_upper = pyo.Constraint(
            range(len(amounts)), rule=lambda _, j: amounts[j] <= float(self.upper[j])
        )
        corners = sorted(
            {(j, x) for limit in self.limits for j, x in enumerate(limit.lower) if x > 0}
        )
        index = {corner: i for i, corner in enumerate(corners)}
        block.is_below = pyo.Var(range(len(corners)), domain=pyo.Binary)

        @block.Constraint(range(len(corners)))
        def below_corner(b: Any, i: int) -> Any:
            j, x = corners[i]
            return amounts[j] <= x + max(0.0, float(self.upper[j]) - x) * (1 - b.is_below[i])

        @block.Constraint(range(len(self.limits)))
        def within_limit(b: Any, i: int) -> Any:
            limit = self.limits[i]
            weights = np.array(limit.weights)
            beyond = max(0.0, float(weights @ self.upper) - limit.bound)
            below = sum(b.is_below[index[j, x]] for j, x in enumerate(limit.lower) if x > 0)
            made = sum(float(w) * a for w, a in zip(weights, amounts, strict=True))
            return made <= limit.bound + beyond * below


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InRegion:
    """Production at most a target that a learned region accepts, inside the box it knows.

    A schedule that makes at least the target makes at least what is planned, so that a region
    learned from some amount on says something below it too.
    """

    region: Region | UnionRegion
    form: Form

    def add(self, block: Any, make: Mapping[str, Any]) -> None:
        """Write the target, which lies in the training box, and the region's algebra for it."""
        region = self.region
        box = {
            name: (float(low), float(high))
            for name, low, high in zip(region.inputs, region.lower, region.upper, strict=True)
        }
        block.target = pyo.Var(list(box), bounds=lambda _, name: box[name])

        @block.Constraint(list(box))
        def at_most_target(b: Any, name: str) -> Any:
            return make[name] <= b.target[name]

        add_region_constraint(
            block, region, {name: block.target[name] for name in box}, form=self.form
        )


def add_sums(block: Any, question: PeriodQuestion, make: Mapping[str, Any]) -> Any:
    """Add the plant in sums over its horizon; return its cost, which no schedule is below.

    Amounts and numbers of batches that have started and ended by a point of time
    (`stnopt.scheduling.search.capacity_bound`): every schedule has such sums. What they leave of a
    product at the end is at least its production.
    """
    network = question.network
    sums = _sums_of(question)
    program = sums.program
    n = len(program.cost)
    bounds = [
        (_finite(low), _finite(high))
        for low, high in zip(program.lower, program.upper, strict=True)
    ]
    block.amount = pyo.Var(range(n), bounds=lambda _, i: bounds[i])
    rows = program.matrix.tocsr()

    columns = list(block.amount.values())

    def written(i: int) -> Any:
        entries = slice(rows.indptr[i], rows.indptr[i + 1])
        return LinearExpression(
            linear_coefs=rows.data[entries].tolist(),
            linear_vars=[columns[c] for c in rows.indices[entries].tolist()],
        )

    kept = [i for i in range(rows.shape[0]) if rows.indptr[i + 1] > rows.indptr[i]]
    lower, upper = program.row_lower.tolist(), program.row_upper.tolist()
    block.sums = pyo.Constraint(
        kept, rule=lambda _, i: (_finite(lower[i]), written(i), _finite(upper[i]))
    )
    last = len(sums.points) - 1

    @block.Constraint(list(question.products))
    def made_in_sums(b: Any, product: str) -> Any:
        ended = started = 0.0
        for row, fit in enumerate(network.suitabilities):
            task = network.tasks[fit.task]
            ended += task.produces.get(product, 0.0) * b.amount[int(sums.ended[row, last])]
            started += task.consumes.get(product, 0.0) * b.amount[int(sums.started[row, last])]
        return make[product] <= ended - started

    # the program maximises minus the cost
    costs = [(i, float(c)) for i, c in enumerate(program.cost) if c]
    return -float(program.offset) - sum(c * block.amount[i] for i, c in costs)


def _sums_of(question: PeriodQuestion) -> PeriodSums:
    """Build the sums once for all periods and models that ask the same."""
    known = question.worked_out
    if ("sums",) not in known:
        asked = Problem(objective="cost", horizon=question.horizon)
        known["sums",] = build_period_sums(question.network, asked, n_periods=1)
    sums: PeriodSums = known["sums",]
    return sums


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
