"""What a plant can make of any number of products, enclosed from inside and from outside.

Inside: targets below the convex combinations of checked schedules. Outside: what MILPs prove that
nothing achieves. Each question goes where it is expected to decide the largest part in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.stats import qmc

from stnopt.errors import InvalidInputError
from stnopt.feasibility.oracle import AchievedPoint, TargetOracle
from stnopt.feasibility.samples import wilson_interval
from stnopt.solvers.solve import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.progress import ProgressLine

#: Targets whose share stands for volume while questions are chosen (a power of two).
_CLOUD = 4096
#: Fresh targets that must agree before the refinement stops.
_N_CHECK = 20_000
_N_CANDIDATES = 80
#: Gap and nodes of a question: a bound that is proven early still counts.
_GAP = 2e-3
_NODES = 3000
_N_DIRECTIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Proven: no schedule that makes at least `lower` has ``weights @ amounts > bound``."""

    lower: tuple[float, ...]
    weights: tuple[float, ...]
    bound: float

    def excludes(self, points: NDArray[np.float64], slack: float) -> NDArray[np.bool_]:
        """Which targets are beyond it, by more than a slack."""
        weights = np.array(self.weights)
        beyond = points @ weights > self.bound + slack * weights.sum()
        return np.all(points >= np.array(self.lower), axis=1) & beyond


def halfspaces_below(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Describe all that is at most a mean of some points: ``normals @ z <= offsets`` for z >= 0.

    Parameters
    ----------
    points : (k, p) array, at least 0
    """
    p = points.shape[1]
    highest = points.max(axis=0)
    boxed = np.eye(p), highest
    made = np.flatnonzero(highest > 1e-7 * max(float(highest.max()), 1.0))
    if len(points) == 1 or len(made) < 2:
        return boxed
    inside = points[:, made]
    kept = np.array(list(product((0.0, 1.0), repeat=len(made))))
    corners = np.unique((inside[:, None, :] * kept[None, :, :]).reshape(-1, len(made)), axis=0)
    try:
        facets = ConvexHull(corners / highest[made]).equations
    except QhullError:  # too flat to have facets: the first point alone
        return np.eye(p), points[0]
    facets = facets[facets[:, :-1].max(axis=1) > 1e-7]  # the others are the axes' planes
    normals = np.zeros((len(facets), p))
    normals[:, made] = np.maximum(facets[:, :-1], 0.0) / highest[made]
    # Leaving out a negative share of a normal only cuts off; rounding is taken back as well.
    offsets = -facets[:, -1] - 1e-9
    return np.vstack([normals, boxed[0]]), np.concatenate([offsets, boxed[1]])


def is_below(
    halfspaces: tuple[NDArray[np.float64], NDArray[np.float64]], points: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which targets lie below a mean of the points that the half-spaces came from."""
    normals, offsets = halfspaces
    return np.asarray(np.all(points @ normals.T <= offsets, axis=1))


def combinations_are_clean(oracle: TargetOracle, achieved_points: list[AchievedPoint]) -> bool:
    """Whether every convex combination of some schedules of one structure passes the replay.

    Times and amounts are linear in the weights. While no two events swap their order, stocks and
    draws are linear and stored amounts convex in them, so that all combinations are clean if the
    mean of all is and those next to every single one are.
    """
    if len(achieved_points) == 1:
        return oracle.is_valid(achieved_points[0])
    times = [oracle.event_times(achieved) for achieved in achieved_points]
    pairs = np.triu_indices(len(times[0]), 1)
    apart = np.array([(flat[:, None] - flat[None, :])[pairs] for flat in times])
    rounding = 1e-7 * oracle.horizon
    if np.any((apart.max(axis=0) > rounding) & (apart.min(axis=0) < -rounding)):
        return False
    k = len(achieved_points)
    mean = np.full(k, 1 / k)
    shares = [mean]
    for row in np.eye(k):
        shares += [row, (1 - 1e-5) * row + 1e-5 * mean, (1 - 1e-2) * row + 1e-2 * mean]
    return all(oracle.is_valid(oracle.combine(achieved_points, share)) for share in shares)


class Refinement:
    """Inner and outer region so far, and the choice of the next question."""

    def __init__(
        self, oracle: TargetOracle, tolerance: float, max_solves: int | None, seed: int
    ) -> None:
        self.oracle, self.tolerance = oracle, tolerance
        self.max_solves = np.inf if max_solves is None else max_solves
        self.seed, self.rng = (seed, 2), np.random.default_rng(seed)
        self.p = len(oracle.products)
        self.achieved_points: list[AchievedPoint] = []
        self.pieces: list[NDArray[np.float64]] = []
        self.halfspaces: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self.limits: list[Limit] = []
        self.n_solves = 0
        self.upper = np.zeros(self.p)
        self.cloud = np.zeros((0, self.p))
        self.labels = np.zeros(0, dtype=np.int64)
        self.asked: set[tuple[float, ...]] = set()
        self.interrupted = False

    @property
    def slack(self) -> float:
        """By how much a target must be beyond a limit: rounding decides nothing."""
        return 1e-6 * max(float(self.upper.max()), 1.0)

    @property
    def open_share(self) -> float:
        """Share of the cloud that is undecided."""
        return float(np.mean(self.labels == 0))

    def run(self, line: ProgressLine) -> None:
        """Ask until the undecided share is below the tolerance, or the budget is spent."""
        line.move(0, lambda: "the most of each product")
        for j, axis in enumerate(np.eye(self.p)):
            limit, achieved = self._maximise(np.zeros(self.p), axis)
            most = 0.0 if achieved is None else float(achieved.amounts[j])
            if achieved is None or most <= 0:
                proven = limit is not None and limit.bound <= self.slack
                raise InvalidInputError(
                    f"product {self.oracle.products[j]!r}: "
                    + (
                        "the plant can make none of it"
                        if proven
                        else f"undecided whether the plant can make any: none in {_NODES} nodes"
                    )
                    + f" within {self.oracle.horizon}"
                )
            self.upper[j] = most
            self._include(achieved)
        sequence = qmc.Sobol(self.p, scramble=True, rng=self.rng)
        self.cloud = self.upper * sequence.random_base2(int(np.log2(_CLOUD)))
        self.labels = np.zeros(_CLOUD, dtype=np.int64)
        for limit in self.limits:
            self._exclude(limit)
        for halfspaces in self.halfspaces:
            self.labels[(self.labels == 0) & is_below(halfspaces, self.cloud)] = -1
        try:
            self._ask_on(line)
        except KeyboardInterrupt:
            self.interrupted = True

    def _ask_on(self, line: ProgressLine) -> None:
        while not self._is_fine() and self.n_solves + 1 <= self.max_solves:
            line.move(
                round(100 * (1 - self.open_share)),
                lambda: f"{self.n_solves} solves, undecided {self.open_share:.3f}",
            )
            question = self._choose()
            if question is None:
                return
            self.ask(*question)

    def _is_fine(self) -> bool:
        """Whether clearly less than the tolerance is undecided, fresh targets asked as well.

        The cloud alone does not tell: it chose the questions, which flatters their effect.
        """
        if self.open_share >= self.tolerance:
            return False
        seed = [*self.seed, self.n_solves]
        fresh = self.upper * np.random.default_rng(seed).random((_N_CHECK, self.p))
        for halfspaces in self.halfspaces:
            fresh = fresh[~is_below(halfspaces, fresh)]
        for limit in self.limits:
            fresh = fresh[~limit.excludes(fresh, self.slack)]
        interval = wilson_interval(len(fresh), _N_CHECK)
        return interval is not None and interval[1] < self.tolerance

    def ask(self, lower: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
        """Maximise a weighted sum above a lower corner; take over limit and schedule."""
        self.asked.add((*lower, *weights))
        limit, achieved = self._maximise(lower, weights)
        if limit is not None:
            self._exclude(limit)
        if achieved is not None:
            self._include(achieved)

    def _maximise(
        self, lower: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> tuple[Limit | None, AchievedPoint | None]:
        names = self.oracle.products
        result, achieved = self.oracle.maximise(
            dict(zip(names, weights, strict=True)),
            dict(zip(names, lower, strict=True)),
            relative_gap=_GAP,
            solve_limit=_NODES,
        )
        self.n_solves += result.n_solves
        limit = None
        if result.status is Status.INFEASIBLE:
            zero = (0.0,) * self.p
            limit = Limit(lower=tuple(lower.tolist()), weights=zero, bound=-1.0)
        elif result.bound is not None:
            limit = Limit(
                lower=tuple(lower.tolist()),
                weights=tuple(weights.tolist()),
                bound=float(result.bound),
            )
        if limit is not None:
            self.limits.append(limit)
        if achieved is not None and not self.oracle.is_valid(achieved):
            achieved = None
        return limit, achieved

    def _exclude(self, limit: Limit) -> None:
        self.labels[(self.labels == 0) & limit.excludes(self.cloud, self.slack)] = 1

    def _include(self, achieved: AchievedPoint) -> None:
        """Add what a structure makes, as groups of schedules whose combinations are all clean."""
        base = AchievedPoint(amounts=np.maximum(achieved.amounts, 0.0), runs=achieved.runs)
        self.achieved_points.append(base)
        random = np.abs(self.rng.normal(size=(_N_DIRECTIONS, self.p)))
        scale = np.where(self.upper > 0, self.upper, 1.0)  # the first ones come before the box
        directions = np.vstack([np.eye(self.p), np.ones((1, self.p)), random]) / scale
        found = [self._at_times_of(base, other) for other in self.oracle.extreme_points(directions)]
        group = [base]
        for other in found:
            if other.structure != base.structure or any(
                np.all(other.amounts <= r.amounts + 1e-7 * scale) for r in group
            ):
                continue
            if combinations_are_clean(self.oracle, [*group, other]):
                group.append(other)
            else:
                self._add_piece([other])
            self.achieved_points.append(other)
        self._add_piece(group)

    def _at_times_of(self, base: AchievedPoint, other: AchievedPoint) -> AchievedPoint:
        """Run the other batch sizes at the times of the base where that is valid."""
        if other.structure != base.structure:
            return other
        runs = {batch: (base.runs[batch][0], size) for batch, (_, size) in other.runs.items()}
        moved = AchievedPoint(amounts=np.maximum(other.amounts, 0.0), runs=runs)
        return moved if self.oracle.is_valid(moved) else other

    def _add_piece(self, group: list[AchievedPoint]) -> None:
        piece = np.array([np.maximum(r.amounts, 0.0) for r in group])
        self.pieces.append(piece)
        self.halfspaces.append(halfspaces_below(piece))
        below = is_below(self.halfspaces[-1], self.cloud)
        self.labels[(self.labels == 0) & below] = -1

    def _choose(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Choose the question that is expected to settle the most undecided targets."""
        left = self.cloud[self.labels == 0]
        met = np.vstack([self.cloud[self.labels == -1], *self.pieces])
        rows = self.rng.choice(len(left), size=min(_N_CANDIDATES, len(left)), replace=False)
        best, chosen = 0.0, None
        for row in rows:
            corner = left[row]
            above = np.all(left >= corner, axis=1).sum()
            below = np.all(left <= corner, axis=1).sum()
            weights = self.rng.dirichlet(np.ones(self.p)) / self.upper
            questions = [(corner, weights, min(above, below) + 0.1 * max(above, below))]
            back = self.rng.choice([0.05, 0.1, 0.2, 0.4, 1.0])
            floor = np.maximum(corner - back * self.upper, 0.0)
            known = met[np.all(met >= floor - 1e-9, axis=1)]
            if len(known):
                reached = float((known @ weights).max())
                over = np.all(left >= floor, axis=1) & (left @ weights > reached)
                questions.append((floor, weights, 0.6 * over.sum()))
            for lower, direction, gain in questions:
                if gain > best and (*lower, *direction) not in self.asked:
                    best, chosen = float(gain), (lower, direction)
        return chosen
