"""Labelling targets by solving the scheduling model, and settling as many as each answer allows."""

from __future__ import annotations

import pickle
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.optimize import linprog

from stnopt.arguments import (
    COUNT,
    PATH,
    POSITIVE,
    SECONDS,
    TEXT,
    TRUTH,
    WHOLE,
    WORKERS,
    check_arguments,
    one_of,
    optional,
)
from stnopt.errors import InvalidInputError
from stnopt.feasibility.any_schedule import AnySchedule, why_not_any_schedule
from stnopt.feasibility.choose_events import choose_events
from stnopt.feasibility.directions import directions, directions_towards_more
from stnopt.feasibility.oracle import AchievedPoint, Answer, Rule, Sense, TargetOracle
from stnopt.feasibility.samples import FEASIBLE, INFEASIBLE, UNDECIDED, TargetSamples
from stnopt.feasibility.scope import ask_about, scope_of
from stnopt.feasibility.store import LabelStore
from stnopt.plant.network import Network
from stnopt.plant.problem import Problem
from stnopt.plant.state import PlantState
from stnopt.progress import ProgressLine
from stnopt.scheduling.checks import check_targets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from stnopt.scheduling.search.question import Question

#: Targets asked about before their answers are used; the same for any number of workers, so that
#: the questions, and with them the labels under a node limit, do not depend on it.
_WAVE = 4
#: Nodes of a question where neither event points nor a limit are given: the work is bounded.
_NODES = 5000


def label_targets(
    network: Network,
    targets: pd.DataFrame,
    *,
    horizon: float | None = None,
    problem: Problem | None = None,
    start: PlantState | None = None,
    sense: Sense | None = None,
    require: str | None = None,
    n_events: int | None = None,
    max_span: int | None = None,
    solve_limit: int | None = None,
    time_limit: float | None = None,
    n_jobs: int = 1,
    store: Path | str | None = None,
    progress: bool = False,
) -> TargetSamples:
    """Label every target: -1 feasible, +1 infeasible, 0 undecided (the paper's signs).

    A target is feasible when a schedule meets it that the replay accepts, and infeasible when the
    model is proven to miss it, for these event points and this span. On a long horizon, with
    neither given, infeasible means proven for any schedule, and what can be neither made nor
    excluded stays undecided (docs/labelling.md).

    Parameters
    ----------
    network : Network
        The plant.
    targets : DataFrame (n, p), amount
        One column per product; see `sample_targets`. What is left at the horizon's end, after all
        deliveries and orders.
    horizon : float, optional
        In the plant's time unit; left out, the problem's.
    problem : Problem, optional
        Deliveries and orders that every schedule has to serve (an order with a cost for what is
        missing may be missing), the horizon, the sense and the date. Its objective does not count;
        targets in it are refused.
    start : PlantState, optional
        The plant at time 0. The labels carry it.
    sense : {"at_least", "exactly"}, optional
        Whether a schedule may end with more than the target; left out, the problem's, else
        "at_least".
    require : str, optional
        A decision maker's rule, such as ``"profit >= 200"``: a condition on the schedule that makes
        *exactly* the target, which `sense` then becomes.
    n_events, max_span : int, optional
        Event points and span of the model; left out, they are chosen within a limited number of
        nodes by the best production.
    solve_limit : int, optional
        Branch-and-bound nodes per solve; a target that needs more stays undecided. The labels are
        the same for any number of workers. Left out together with the event points and
        `time_limit`, it is 5000.
    time_limit : float, optional
        Seconds per solve; which targets stay undecided then depends on the machine.
    n_jobs : int
        Workers of joblib, or of the backend that ``joblib.parallel_config`` names, such as Dask.
    store : path, optional
        A file that every answer and label is added to as it arrives. A run that finds it goes on
        from there and asks no question twice, unless a limit was raised that left it undecided.
    progress : bool
        Show a progress bar from the start; else it is shown after ten seconds.

    Returns
    -------
    TargetSamples
        In the order of `targets`, with what the labels hold for in `scope`, and in
        ``scope["n_solves"]`` the MILPs that this call solved. After Ctrl-C without a store, with
        ``scope["stopped"] == "interrupted"`` and what was decided until then.

    Warns
    -----
    UserWarning
        Counts the targets that stay undecided.

    Raises
    ------
    InvalidInputError
        Targets for states that the plant does not produce, negative amounts, an unreadable rule, or
        a store that belongs to another plant, state, horizon or option, or to larger limits.
    KeyboardInterrupt
        When it came before there was anything to label with, or what was decided is in the store.

    References
    ----------
    Kumawat & Chaturvedi (2021), Chem. Eng. Trans. 88, 451, step 1, doi:10.3303/CET2188075.
    """
    check_arguments(
        network=(network, Network),
        targets=(targets, pd.DataFrame),
        horizon=(horizon, optional(POSITIVE)),
        problem=(problem, optional(Problem)),
        start=(start, optional(PlantState)),
        sense=(sense, optional(one_of(get_args(Sense)))),
        require=(require, optional(TEXT)),
        n_events=(n_events, optional(COUNT)),
        max_span=(max_span, optional(WHOLE)),
        solve_limit=(solve_limit, optional(WHOLE)),
        time_limit=(time_limit, SECONDS),
        n_jobs=(n_jobs, WORKERS),
        store=(store, optional(PATH)),
        progress=(progress, TRUTH),
    )
    if sense not in (None, "at_least", "exactly"):
        raise InvalidInputError(f"unknown sense {sense!r}; expected 'at_least' or 'exactly'")
    if solve_limit is not None and not solve_limit >= 0:
        raise InvalidInputError(f"solve_limit must be at least 0 nodes or None, got {solve_limit}")
    rule = None if require is None else Rule.parse(require)
    if rule is not None:
        sense = "exactly"
    question = ask_about(network, horizon=horizon, problem=problem, start=start, sense=sense)
    products, points = _checked_points(network, targets)
    line = ProgressLine(
        "label_targets", " targets", progress=progress, limited=False, total=len(points)
    )
    with line:
        told = n_events is not None or max_span is not None
        if not told and rule is None and why_not_any_schedule(question) is None:
            scope = scope_of(question, require=None, n_events=None, max_span=None)
            limits: dict[str, Any] = {"solve_limit": solve_limit, "time_limit": time_limit}
            with LabelStore(store, {**scope, **limits, "products": list(products)}) as record:
                outcome = _label_for_any_schedule(question, products, points, record, limits, line)
        else:
            chosen = n_events is None or max_span is None
            if n_events is None or max_span is None:
                n_events, max_span, _ = choose_events(
                    question,
                    n_events=n_events,
                    max_span=max_span,
                    report=lambda what: line.move(0, lambda: what),
                )
            if chosen and solve_limit is None and time_limit is None:
                solve_limit = _NODES
            limits = {"solve_limit": solve_limit, "time_limit": time_limit}
            scope = scope_of(question, require=require, n_events=n_events, max_span=max_span)
            oracle = TargetOracle(
                question, products, n_events=n_events, max_span=max_span, rule=rule
            )
            with LabelStore(store, {**scope, **limits, "products": list(products)}) as record:
                outcome = _label_on_events(oracle, points, record, limits, n_jobs, line)
    if outcome[-1] and store is not None:
        raise KeyboardInterrupt
    return _report(targets, outcome, scope, limits)


def _checked_points(
    network: Network, targets: pd.DataFrame
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    products = tuple(str(c) for c in targets.columns)
    points = targets.to_numpy(dtype=float)
    if not len(products):
        raise InvalidInputError("targets: expected one column per product, found none")
    for row in points:
        check_targets(network, dict(zip(products, row, strict=True)))
    return products, points


def _report(
    targets: pd.DataFrame,
    outcome: tuple[NDArray[np.int64], int, bool],
    scope: dict[str, Any],
    limits: dict[str, Any],
) -> TargetSamples:
    """Make the samples, and say how many targets are undecided."""
    labels, n_solves, interrupted = outcome
    scope["n_solves"] = n_solves
    if interrupted:
        scope["stopped"] = "interrupted"
    n_undecided = int(np.sum(labels == UNDECIDED))
    if n_undecided:
        solve_limit, time_limit = limits["solve_limit"], limits["time_limit"]
        why = f"{solve_limit=} nodes and {time_limit=} seconds per solve were not enough for them"
        if scope["n_events"] is None:
            why = "no schedule was found for them, and no sum over the horizon excludes them"
        if interrupted:
            why = "labelling was interrupted"
        warnings.warn(
            f"{n_undecided} of {len(targets)} targets are undecided: {why}",
            UserWarning,
            stacklevel=3,
        )
    return TargetSamples(targets=targets, labels=labels, scope=scope)


def _label_for_any_schedule(
    question: Question,
    products: tuple[str, ...],
    points: NDArray[np.float64],
    record: LabelStore,
    limits: dict[str, Any],
    line: ProgressLine,
) -> tuple[NDArray[np.int64], int, bool]:
    """Label what sums exclude and constructed schedules make: labels, searches, interrupted."""
    work = AnySchedule(question, products, points, record.labels, on_label=record.add_labels)
    interrupted = False
    try:
        work.run(
            seconds=limits["time_limit"],
            report=lambda what: line.move(work.n_settled, lambda: what),
        )
    except KeyboardInterrupt:
        interrupted = True
    return work.labels, work.n_searches, interrupted


def _label_on_events(
    oracle: TargetOracle,
    points: NDArray[np.float64],
    record: LabelStore,
    limits: dict[str, Any],
    n_jobs: int,
    line: ProgressLine,
) -> tuple[NDArray[np.int64], int, bool]:
    """Label by MILPs on event points, wave after wave: labels, MILPs, interrupted."""
    work = Labelling(oracle, points, record)
    work.resume()
    interrupted = False
    try:
        work.exclude_beyond_relaxation()
        with _asking(oracle, limits, n_jobs) as ask_all:
            while len(wave := work.next_wave()):
                waiting = [i for i in wave if tuple(points[i].tolist()) not in record.answers]
                try:
                    for i, answer, extreme_points, limited in ask_all(
                        (i, points[i], work.limited) for i in waiting
                    ):
                        record.add_answer(points[i], answer, extreme_points, limited)
                        work.n_solves += answer.n_solves
                        line.move(work.n_settled, lambda: f"{work.n_solves} solves")
                finally:
                    for i in wave:  # in the order of the wave, whoever answered first
                        if tuple(points[i].tolist()) in record.answers:
                            work.learn(points[i])
                line.move(work.n_settled, lambda: f"{work.n_solves} solves")
    except KeyboardInterrupt:
        interrupted = True
    return work.labels, work.n_solves, interrupted


@contextmanager
def _asking(oracle: TargetOracle, limits: dict[str, Any], n_jobs: int) -> Iterator[Any]:
    """Ask in this process, or in workers, each of which builds the model of its question."""
    if n_jobs == 1:
        yield lambda questions: (
            ask(oracle, row, target, limited, limits) for row, target, limited in questions
        )
        return
    # One pickle for the run: every question carries its bytes along.
    recipe = pickle.dumps(oracle.recipe)
    with Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1) as workers:
        yield lambda questions: workers(
            delayed(_ask_in_worker)(recipe, *each, limits) for each in questions
        )


def ask(
    oracle: TargetOracle,
    row: int,
    target: NDArray[np.float64],
    limited: tuple[str, ...],
    limits: dict[str, Any],
) -> tuple[int, Answer, list[AchievedPoint], tuple[str, ...]]:
    """Ask about one target, and how far the structure of its schedule reaches."""
    oracle.start_from(limited)
    answer = oracle.ask(target, **limits)
    extreme_points = []
    if answer.achieved is not None:
        extreme_points = oracle.extreme_points(_directions_for(oracle))
    return row, answer, extreme_points, oracle.limited


def _ask_in_worker(
    recipe: bytes, *question: Any
) -> tuple[int, Answer, list[AchievedPoint], tuple[str, ...]]:
    """Ask in a worker process."""
    return ask(TargetOracle.from_recipe(pickle.loads(recipe)), *question)


def _directions_for(oracle: TargetOracle) -> NDArray[np.float64]:
    """Directions in which it matters how far schedules reach: with free disposal, towards more."""
    p = len(oracle.products)
    return directions(p) if oracle.sense == "exactly" else directions_towards_more(p)


class Labelling:
    """The labels so far, and what settles more of them without a solve."""

    def __init__(
        self, oracle: TargetOracle, points: NDArray[np.float64], record: LabelStore
    ) -> None:
        self.oracle, self.points, self.record = oracle, points, record
        self.labels = np.full(len(points), UNDECIDED)
        self.asked = np.zeros(len(points), dtype=bool)
        self.structures: dict[tuple, list[AchievedPoint]] = {}
        self.limited: tuple[str, ...] = ()
        self.unfinished: list[int] = []
        self.n_solves = 0

    @property
    def n_settled(self) -> int:
        """Number of targets that are labelled or have been asked about."""
        return int(np.sum((self.labels != UNDECIDED) | self.asked))

    @property
    def open(self) -> NDArray[np.int64]:
        """Rows without a label that have not been asked about."""
        return np.flatnonzero((self.labels == UNDECIDED) & ~self.asked)

    @property
    def slack(self) -> NDArray[np.float64]:
        """Amount by which a target may be missed and counts as met, per product."""
        return self.oracle.slack

    def resume(self) -> None:
        """Take over what the store knows, as if it had been asked just now."""
        known, answered = self.record.labels, self.record.answers
        rows: dict[tuple[float, ...], int] = {}
        for row, point in enumerate(self.points):
            rows.setdefault(tuple(point.tolist()), row)
            self.labels[row] = known.get(tuple(point.tolist()), UNDECIDED)
        for wave in self.record.waves:
            if any(target not in answered for target in wave) and all(t in rows for t in wave):
                self.unfinished = [rows[target] for target in wave]
                continue
            for target in wave:
                if target in answered:
                    self.learn(np.array(target))

    def next_wave(self) -> list[int]:
        """Choose the rows to ask about next; a wave that an earlier run began comes first."""
        if self.unfinished:
            wave, self.unfinished = self.unfinished, []
            return wave
        wave = self.next_targets(_WAVE)
        if wave:
            self.record.add_wave(self.points[wave])
        return wave

    def next_targets(self, n: int) -> list[int]:
        """Choose rows to ask about: the first open one, then the farthest from those chosen."""
        candidates = self.open
        if not len(candidates):
            return []
        chosen = [int(candidates[0])]
        distance = np.full(len(candidates), np.inf)
        while len(chosen) < min(n, len(candidates)):
            away = np.abs(self.points[candidates] - self.points[chosen[-1]]).max(axis=1)
            distance = np.minimum(distance, away)
            if distance.max() == 0:
                break
            chosen.append(int(candidates[np.argmax(distance)]))
        return chosen

    def exclude_beyond_relaxation(self) -> None:
        """Settle what the relaxation without integers cannot reach in some direction."""
        if not len(self.open):
            return
        for direction in _directions_for(self.oracle):
            limit = self.oracle.relaxed_limit(direction)
            beyond = self.points @ direction > limit + 2 * float(np.abs(direction) @ self.slack)
            self._settle(beyond, INFEASIBLE)

    @property
    def is_free(self) -> bool:
        """Whether free disposal holds: who makes a target makes every smaller one."""
        return self.oracle.sense == "at_least"

    def learn(self, target: NDArray[np.float64]) -> None:
        """Use the answer about one target for it and for every other that it settles."""
        answer, extreme_points, limited = self.record.answers[tuple(target.tolist())]
        self.limited += tuple(s for s in limited if s not in self.limited)
        same = np.all(self.points == target, axis=1)
        self.asked |= same
        if answer.achieved is not None:
            if np.any(self.labels[same] == INFEASIBLE):
                raise AssertionError(f"target {target} proven both ways")
            self._settle(same, FEASIBLE)
            group = self.structures.setdefault(answer.achieved.structure, [])
            group += [
                answer.achieved,
                *(r for r in extreme_points if r.structure == answer.achieved.structure),
            ]
            if self.is_free:
                for achieved in (answer.achieved, *extreme_points):
                    self._decide_below(achieved)
            self._decide_by_combinations(group)
        elif answer.missed_by is not None:
            # Strictly closer than the proven distance: a target there would miss this one by less.
            short = (target - self.points) * self.oracle.weights
            away = short if self.is_free else np.abs(short)
            settled = away.max(axis=1) < answer.missed_by * (1 - 1e-9)
            self._settle(settled, INFEASIBLE)

    def _decide_below(self, achieved: AchievedPoint) -> None:
        self._settle(np.all(self.points <= achieved.amounts + self.slack, axis=1), FEASIBLE)

    def _decide_by_combinations(self, group: list[AchievedPoint]) -> None:
        """Label what a combination of one structure's schedules makes, if the replay accepts it.

        A target outside their hull gives the direction in which it lies outside, and with it all
        others that do. With free disposal, the largest targets come first: what their combinations
        make decides the smaller ones.
        """
        amounts = np.array([r.amounts for r in group])
        rows = self.open
        inside = np.all(self.points[rows] <= amounts.max(axis=0) + self.slack, axis=1)
        if not self.is_free:
            inside &= np.all(self.points[rows] >= amounts.min(axis=0) - self.slack, axis=1)
        rows = rows[inside]
        rows = rows[np.argsort(-self.points[rows].sum(axis=1), kind="stable")]
        while len(rows):
            row, rows = rows[0], rows[1:]
            if self.labels[row] != UNDECIDED:
                continue
            weights, direction, gap = _combination_weights(amounts, self.points[row], self.is_free)
            slack = float(np.abs(direction) @ self.slack)
            if gap > slack:
                highest = (amounts @ direction).max() + slack
                rows = rows[self.points[rows] @ direction <= highest]
                continue
            combination = self.oracle.combine(group, weights)
            if not self.oracle.meets(combination, self.points[row]):
                continue
            self._settle(np.arange(len(self.points)) == row, FEASIBLE)
            if self.is_free:
                self._decide_below(combination)
                rows = rows[self.labels[rows] == UNDECIDED]

    def _settle(self, which: NDArray[np.bool_], label: int) -> None:
        fresh = which & (self.labels == UNDECIDED)
        self.labels[fresh] = label
        self.record.add_labels(self.points[fresh], label)


def _combination_weights(
    amounts: NDArray[np.float64], target: NDArray[np.float64], is_free: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mix amounts as close to a target as they get, or as far beyond it with free disposal.

    Returns
    -------
    weights : (n,) array
        At least 0, with sum 1.
    direction : (p,) array
        In which the target lies farthest beyond all amounts.
    gap : float
        By how much some product misses it; negative: by how much all of them exceed it.
    """
    n, p = amounts.shape
    # minimise gap subject to sum_i w_i amounts_i >= target - gap (and <= target + gap)
    rows = np.hstack([-amounts.T, -np.ones((p, 1))])
    right = -target
    if not is_free:
        rows = np.vstack([rows, np.hstack([amounts.T, -np.ones((p, 1))])])
        right = np.concatenate([right, target])
    found = linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=rows,
        b_ub=right,
        A_eq=np.append(np.ones(n), 0.0)[None, :],
        b_eq=[1.0],
        bounds=[(0, None)] * n + [(None, None) if is_free else (0, None)],
        method="highs",
    )
    if found.status != 0:
        raise RuntimeError(f"combining {n} schedules: {found.message}")
    sides = -found.ineqlin.marginals.reshape(-1, p)
    direction = sides[0] if is_free else sides[0] - sides[1]
    weights = np.maximum(found.x[:n], 0.0)
    return weights / weights.sum(), direction, float(found.fun)
