"""Proofs that hold for any schedule, all along the frontier of a plant: the price of a plant once.

A traced region's limits hold for its event points, and a plan's bound must not use them. Plans ask
for a proof where they go; here all of what they may ask is asked before, so that they only add up.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from stnopt.planning.pieces import outer_pieces
from stnopt.planning.refine import Refiner
from stnopt.planning.schedule_period import schedule_period
from stnopt.planning.true_cost import CostRefiner

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from stnopt.planning.book import KnowledgeBook
    from stnopt.planning.question import PeriodQuestion

#: Share of an amount by which what is not excluded may go beyond what is feasible.
_NEAR = 1e-2
#: Rounds of questions about corners, and about costs.
_ROUNDS, _COST_ROUNDS = 8, 2
#: Points between two corners that are asked about too.
_BETWEEN = (0.5,)
#: Points of the frontier whose cost is asked for.
_COST_POINTS = 4
#: Share of a point at which it is asked again.
_LOWER = 0.87


def prove_frontier(
    question: PeriodQuestion,
    book: KnowledgeBook,
    *,
    period_limit: float,
    n_jobs: int,
    report: Callable[[str], None],
) -> None:
    """Prove what a plant of one or two products cannot make, and what it pays at least.

    Parameters
    ----------
    question : PeriodQuestion
    book : KnowledgeBook
        It has learned the plant's region; what comes to light is kept in its store.
    period_limit : float
        Seconds for each question.
    n_jobs : int
    report : callable
    """
    refiner = Refiner(
        book=book, period_limit=period_limit, remaining=lambda: math.inf, n_jobs=n_jobs
    )
    knowledge = book.of(question)
    for _ in range(_ROUNDS):
        points = [
            (question, (1 - _NEAR) * point)
            for piece in outer_pieces(knowledge.limits, knowledge.upper)
            for point in _along(piece)
        ]
        if not refiner.refine(points, report=report):
            break
    costs = CostRefiner(book=book, period_limit=period_limit, remaining=lambda: math.inf)
    for _ in range(_COST_ROUNDS):
        made = []
        for amounts in _spread(book, question):
            answer, _ = schedule_period(
                knowledge, question, amounts, time_limit=period_limit, may_search=False
            )
            if answer.schedule is not None:
                made.append((question, amounts, answer.schedule))
        if not costs.refine(made, report=report):
            break


def _along(piece: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return a piece's corners, then points between them.

    Where what can be made is no convex set, the corners may be feasible and the middle is not.
    """
    between = [
        share * before + (1 - share) * after
        for share in _BETWEEN
        for before, after in pairwise(piece)
    ]
    return [*piece, *between]


def _spread(book: KnowledgeBook, question: PeriodQuestion) -> list[NDArray[np.float64]]:
    """Return points of the frontier, and below them with half of one product.

    There the other product's schedules may be dearer than sums say.
    """
    rows = np.vstack(book.of(question).inner())
    rows = rows[np.all(rows > question.tolerance, axis=1)]
    if not len(rows):
        return []
    ordered = rows[np.argsort(rows[:, 0] / np.maximum(rows.sum(axis=1), 1e-12))]
    chosen = np.unique(np.linspace(0, len(ordered) - 1, _COST_POINTS).round().astype(int))
    points = [ordered[i] for i in chosen]
    shares = np.ones((rows.shape[1], rows.shape[1])) - 0.5 * np.eye(rows.shape[1])
    halves = [share * point for point in points for share in shares] if len(shares) > 1 else []
    # a cut holds from nine tenths of its point on: others lie just below
    return [*points, *halves, *(_LOWER * point for point in halves)]
