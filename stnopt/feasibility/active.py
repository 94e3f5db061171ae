"""Targets chosen one after the other where they teach a classifier most, within a budget of MILPs.

With free disposal a MILP is best spent on a proof of a whole piece of the boundary: it labels every
target near it. Training targets are then placed in pairs on both sides of the boundary, so that a
classifier with a wide margin has its zero on it. Without free disposal each MILP is spent on the
target whose label the known ones leave most open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from stnopt.arguments import (
    COUNT,
    FEW,
    POSITIVE,
    TEXT,
    WHOLE,
    Kind,
    check_arguments,
    one_of,
    optional,
)
from stnopt.errors import InvalidInputError
from stnopt.feasibility.certified_region import CertifiedRegion, trace_frontier
from stnopt.feasibility.choose_events import choose_events
from stnopt.feasibility.labelling import Labelling, ask
from stnopt.feasibility.oracle import Rule, Sense, TargetOracle
from stnopt.feasibility.samples import (
    FEASIBLE,
    INFEASIBLE,
    UNDECIDED,
    TargetSamples,
    sample_targets,
)
from stnopt.feasibility.scope import ask_about, scope_of
from stnopt.feasibility.store import LabelStore
from stnopt.plant.network import Network
from stnopt.plant.problem import Problem
from stnopt.plant.state import PlantState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


#: Distance of a training target from the boundary, as a share of the most the plant can make.
_OFFSET = 0.01
#: Share of the samples that lie in pairs at the boundary; the others say what is far from it.
_PAIRED = 0.6
_FEWEST_SOLVES = 6
_N_HALVINGS = 40

_BUDGET = Kind(
    f"an integer of at least {_FEWEST_SOLVES}",
    lambda value: COUNT.fits(value) and value >= _FEWEST_SOLVES,
)
_SAMPLES = Kind(
    "an integer from 4 to 10000000", lambda value: FEW.fits(value) and 4 <= value <= 10**7
)


def sample_boundary(
    network: Network,
    bounds: Mapping[str, tuple[float, float]],
    *,
    horizon: float | None = None,
    problem: Problem | None = None,
    start: PlantState | None = None,
    n_solves: int,
    seed: int,
    n_samples: int = 200,
    sense: Sense | None = None,
    require: str | None = None,
    n_events: int | None = None,
    max_span: int | None = None,
) -> TargetSamples:
    """Label targets where they teach a classifier most, with at most `n_solves` MILPs.

    For ``at_least`` without a rule the MILPs trace the certified boundary, as far as they reach.
    Targets then come in pairs just inside and just outside of it, spread evenly, and the rest over
    the box; their labels are read off the proofs. Otherwise every MILP asks about the target that
    lies between both kinds of known targets, from a pool that each answer settles as far as it can.

    Parameters
    ----------
    network : Network
    bounds : mapping of str to (lower, upper), amount
        The box to learn, one entry per product.
    horizon, problem, start
        As in `label_targets`.
    n_solves : int
        MILPs in all: those that choose the event points are counted, where they are not given.
    seed : int
        Of the places along the boundary and of the targets over the box.
    n_samples : int
        Targets to return, at most.
    sense, require, n_events, max_span
        As in `label_targets`.

    Returns
    -------
    TargetSamples
        Labelled -1 or +1, each label a fact; ``scope["n_solves"]`` says what was spent.

    Raises
    ------
    InvalidInputError
        A budget that is too small, or an argument that does not fit.
    """
    check_arguments(
        network=(network, Network),
        horizon=(horizon, optional(POSITIVE)),
        problem=(problem, optional(Problem)),
        start=(start, optional(PlantState)),
        seed=(seed, WHOLE),
        n_solves=(n_solves, _BUDGET),
        n_samples=(n_samples, _SAMPLES),
        sense=(sense, optional(one_of(get_args(Sense)))),
        require=(require, optional(TEXT)),
        n_events=(n_events, optional(COUNT)),
        max_span=(max_span, optional(WHOLE)),
    )
    cloud = sample_targets(bounds, max(4 * n_samples, 512), seed=seed)
    products = tuple(cloud.columns)
    rule = None if require is None else Rule.parse(require)
    sense = "exactly" if rule is not None else sense
    question = ask_about(network, horizon=horizon, problem=problem, start=start, sense=sense)
    spent = 0
    if n_events is None or max_span is None:
        n_events, max_span, spent = choose_events(question, n_events=n_events, max_span=max_span)
        if n_solves - spent < _FEWEST_SOLVES:
            raise InvalidInputError(
                f"n_solves={n_solves}: choosing the event points took {spent}, which leaves fewer"
                f" than {_FEWEST_SOLVES}; give n_events={n_events} and max_span={max_span}"
            )
    settings: dict[str, Any] = {"n_events": n_events, "max_span": max_span}
    budget = n_solves - spent
    points = cloud.to_numpy()
    if question.problem.sense == "at_least" and len(products) > 1:
        region = trace_frontier(
            network,
            products=products,
            max_solves=budget,
            horizon=question.horizon,
            problem=problem,
            start=start,
            **settings,
        )
        box = np.array([bounds[p] for p in products], dtype=float).T
        chosen = _choose_along(region, points, box, n_samples)
        labels, scope = region.label(chosen), {**region.scope}
        spent += region.n_solves
    else:
        oracle = TargetOracle(question, products, rule=rule, **settings)
        chosen, labels, asked = _choose_by_asking(oracle, points, budget, n_samples)
        spent += asked
        scope = scope_of(question, require=require, n_events=n_events, max_span=max_span)
    known = labels != UNDECIDED
    return TargetSamples(
        targets=pd.DataFrame(chosen[known], columns=list(products)),
        labels=labels[known],
        scope={**scope, "n_solves": spent},
    )


def _choose_along(
    region: CertifiedRegion,
    points: NDArray[np.float64],
    box: NDArray[np.float64],
    n_samples: int,
) -> NDArray[np.float64]:
    """Choose pairs on both sides of the boundary, far from each other, and targets over the box."""
    step = region.upper
    low = ((box[0] - points) / step).max(axis=1)
    high = ((box[1] - points) / step).min(axis=1)
    starts, ends = points + low[:, None] * step, points + high[:, None] * step
    crossing = (region.label(starts) == FEASIBLE) & (region.label(ends) == INFEASIBLE)
    starts, length = starts[crossing], (high - low)[crossing]
    # Every line goes from feasible over undecided to infeasible once: halve towards either change.
    last = _halve(region, starts, length, lambda labels: labels == FEASIBLE)
    first = _halve(region, starts, length, lambda labels: labels != INFEASIBLE)
    middles = starts + ((last + first) / 2)[:, None] * step
    kept = _far_apart(middles / step, int(_PAIRED * n_samples) // 2)
    inner = starts[kept] + (last[kept] - _OFFSET)[:, None] * step
    outer = starts[kept] + (first[kept] + _OFFSET)[:, None] * step
    # The corners make the classifier's training box the whole box.
    rest = np.vstack([box, points])[: max(n_samples - 2 * len(kept), 0)]
    return np.clip(np.vstack([inner, outer, rest]), box[0], box[1])


def _halve(
    region: CertifiedRegion, starts: NDArray[np.float64], length: NDArray[np.float64], before: Any
) -> NDArray[np.float64]:
    """How far along each line the labels still are `before` their change."""
    low, high = np.zeros(len(starts)), length.copy()
    if not len(starts):
        return low
    for _ in range(_N_HALVINGS):
        middle = (low + high) / 2
        still = before(region.label(starts + middle[:, None] * region.upper))
        low, high = np.where(still, middle, low), np.where(still, high, middle)
    return (low + high) / 2


def _far_apart(points: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Rows of points chosen one by one, each the farthest from those before."""
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    chosen = [0]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(n, len(points)):
        away = np.linalg.norm(points - points[chosen[-1]], axis=1)
        distance = np.minimum(distance, away)
        if distance.max() == 0:
            break
        chosen.append(int(np.argmax(distance)))
    return np.array(chosen)


def _choose_by_asking(
    oracle: TargetOracle, points: NDArray[np.float64], n_solves: int, n_samples: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Ask about the target that both kinds of known targets leave most open, again and again."""
    scale = np.ptp(points, axis=0)
    record = LabelStore(None, {})
    work = Labelling(oracle, points, record)
    work.exclude_beyond_relaxation()
    while len(work.open) and work.n_solves < n_solves:
        row = _most_open(points / scale, work.labels, work.open)
        _, answer, extreme_points, limited = ask(oracle, row, points[row], (), {})
        record.add_answer(points[row], answer, extreme_points, limited)
        work.n_solves += answer.n_solves
        work.learn(points[row])
    decided = np.flatnonzero(work.labels != UNDECIDED)
    kinds = [points[work.labels == kind] / scale for kind in (FEASIBLE, INFEASIBLE)]
    if not (len(kinds[0]) and len(kinds[1])):
        kept = decided[:n_samples]
    else:
        nearest = np.array([max(_distances(points[i] / scale, kinds)) for i in decided])
        near = decided[np.argsort(nearest, kind="stable")][: int(_PAIRED * n_samples)]
        rest = decided[~np.isin(decided, near)][: n_samples - len(near)]
        kept = np.sort(np.concatenate([near, rest]))
    return points[kept], work.labels[kept], work.n_solves


def _most_open(
    points: NDArray[np.float64], labels: NDArray[np.int64], rows: NDArray[np.int64]
) -> int:
    """Return the row that is as far from either kind of known targets, and far from both."""
    kinds = [points[labels == kind] for kind in (FEASIBLE, INFEASIBLE)]
    if not (len(kinds[0]) or len(kinds[1])):
        return int(rows[0])
    if not (len(kinds[0]) and len(kinds[1])):
        known = kinds[0] if len(kinds[0]) else kinds[1]
        away = np.array([_distances(points[i], [known])[0] for i in rows])
        return int(rows[np.argmax(away)])
    away = np.array([_distances(points[i], kinds) for i in rows])
    return int(rows[np.argmax(away.min(axis=1) - np.abs(away[:, 0] - away[:, 1]))])


def _distances(point: NDArray[np.float64], kinds: list[NDArray[np.float64]]) -> list[float]:
    return [float(np.linalg.norm(known - point, axis=1).min()) for known in kinds]
