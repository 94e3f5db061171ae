"""Labelling targets by solving the scheduling model, and settling as many as each answer allows."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from joblib import Parallel, delayed
from scipy.optimize import linprog
from tqdm import tqdm

from stnopt.errors import InvalidInputError
from stnopt.feasibility.oracle import AMOUNT_TOLERANCE, Answer, Reach, Rule, Sense, TargetOracle
from stnopt.feasibility.samples import FEASIBLE, INFEASIBLE, UNDECIDED, TargetSamples
from stnopt.scheduling.model import check_targets
from stnopt.scheduling.search import suggest_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from stnopt.plant.network import Network

#: Targets asked about before their answers are used; the same for any number of workers, so that
#: the questions, and with them the labels under a node limit, do not depend on it.
_WAVE = 4
_N_DIRECTIONS = 24


def label_targets(
    network: Network,
    targets: pd.DataFrame,
    *,
    horizon: float,
    sense: Sense = "at_least",
    require: str | None = None,
    n_events: int | None = None,
    max_span: int | None = None,
    solve_limit: int | None = None,
    n_jobs: int = 1,
    store: Path | str | None = None,
    progress: bool = False,
) -> TargetSamples:
    """Label every target: -1 feasible, +1 infeasible, 0 undecided (the paper's signs).

    A target is feasible when a schedule meets it that the replay accepts, and infeasible when the
    model is proven to miss it, for these event points and this span.

    Parameters
    ----------
    network : Network
        The plant.
    targets : DataFrame (n, p), amount
        One column per product; see `sample_targets`.
    horizon : float
        In the plant's time unit.
    sense : {"at_least", "exactly"}
        Whether a schedule may end with more than the target.
    require : str, optional
        A decision maker's rule, such as ``"profit >= 200"``: a condition on the schedule that makes
        *exactly* the target, which `sense` then becomes.
    n_events, max_span : int, optional
        Event points and span of the model; left out, `find_schedule` chooses them by its best
        production.
    solve_limit : int, optional
        Branch-and-bound nodes per solve; a target that needs more stays undecided.
    n_jobs : int
        Worker processes.
    store : path, optional
        A file that every label is added to as it arrives. A run that finds it goes on from there.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TargetSamples
        In the order of `targets`, with what the labels hold for in `scope`.

    Raises
    ------
    InvalidInputError
        Targets for states that the plant does not produce, negative amounts, an unreadable rule, or
        a store that belongs to another plant, horizon or option.

    References
    ----------
    Kumawat & Chaturvedi (2021), Chem. Eng. Trans. 88, 451, step 1, doi:10.3303/CET2188075.
    """
    products = tuple(str(c) for c in targets.columns)
    points = targets.to_numpy(dtype=float)
    if not len(products):
        raise InvalidInputError("targets: expected one column per product, found none")
    for row in points:
        check_targets(network, dict(zip(products, row, strict=True)))
    rule = None if require is None else Rule.parse(require)
    if rule is not None:
        sense = "exactly"
    if n_events is None or max_span is None:
        suggested = suggest_events(network, horizon=horizon, n_events=n_events, max_span=max_span)
        n_events, max_span = suggested
    scope: dict[str, Any] = {
        "plant": network.name,
        "fingerprint": network.fingerprint,
        "horizon": float(horizon),
        "sense": sense,
        "require": require,
        "n_events": n_events,
        "max_span": max_span,
        "amount_unit": network.amount_unit,
    }
    settings = {
        "horizon": horizon,
        "n_events": n_events,
        "max_span": max_span,
        "sense": sense,
        "rule": rule,
    }
    oracle = TargetOracle(network, products, **settings)  # type: ignore[arg-type]
    work = _Labelling(oracle, points)
    with _open_store(store, {**scope, "products": list(products)}, work) as record:
        work.exclude_beyond_relaxation(record)
        bar = tqdm(total=len(points), unit="target", disable=not progress, initial=work.n_settled)
        with Parallel(n_jobs=n_jobs) as workers, bar:
            while len(waiting := work.next_targets(_WAVE)):
                if n_jobs == 1:
                    answers = [_ask(oracle, points[i], solve_limit) for i in waiting]
                else:
                    answers = workers(
                        delayed(_ask_in_worker)(network, products, settings, points[i], solve_limit)
                        for i in waiting
                    )
                for i, (answer, spread) in zip(waiting, answers, strict=True):
                    work.learn(i, answer, spread, record)
                bar.update(work.n_settled - bar.n)
                bar.set_postfix(solves=work.n_asked)
    scope["n_solves"] = work.n_asked
    return TargetSamples(targets=targets, labels=work.labels, scope=scope)


def _ask(
    oracle: TargetOracle, target: NDArray[np.float64], solve_limit: int | None
) -> tuple[Answer, list[Reach]]:
    answer = oracle.ask(target, solve_limit=solve_limit)
    spread = oracle.spread(_directions(len(target))) if answer.reach is not None else []
    return answer, spread


_oracles: dict[str, TargetOracle] = {}


def _ask_in_worker(
    network: Network,
    products: tuple[str, ...],
    settings: dict[str, Any],
    target: NDArray[np.float64],
    solve_limit: int | None,
) -> tuple[Answer, list[Reach]]:
    """Ask in a worker process, which builds its model once."""
    key = f"{network.fingerprint}{products}{settings}"
    if key not in _oracles:
        _oracles.clear()
        _oracles[key] = TargetOracle(network, products, **settings)
    return _ask(_oracles[key], target, solve_limit)


def _directions(p: int) -> NDArray[np.float64]:
    """Directions, spread evenly (two products) or at random with a fixed seed, axes included."""
    if p == 1:
        return np.array([[1.0], [-1.0]])
    if p == 2:
        angle = np.arange(_N_DIRECTIONS) * 2 * np.pi / _N_DIRECTIONS
        return np.column_stack([np.cos(angle), np.sin(angle)])
    random = np.random.default_rng(0).normal(size=(_N_DIRECTIONS, p))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    return np.vstack([np.eye(p), -np.eye(p), random])


class _Labelling:
    """The labels so far, and what settles more of them without a solve."""

    def __init__(self, oracle: TargetOracle, points: NDArray[np.float64]) -> None:
        self.oracle, self.points = oracle, points
        self.labels = np.full(len(points), UNDECIDED)
        self.asked = np.zeros(len(points), dtype=bool)
        self.structures: dict[tuple, list[Reach]] = {}
        self.n_asked = 0

    @property
    def n_settled(self) -> int:
        return int(np.sum((self.labels != UNDECIDED) | self.asked))

    @property
    def open(self) -> NDArray[np.int64]:
        """Rows without a label that have not been asked about."""
        return np.flatnonzero((self.labels == UNDECIDED) & ~self.asked)

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

    def exclude_beyond_relaxation(self, record: _Record) -> None:
        """Settle what the relaxation without integers cannot reach in some direction."""
        if not len(self.open):
            return
        for direction in _directions(self.points.shape[1]):
            if self.oracle.sense == "at_least" and direction.min() < 0:
                continue
            limit = self.oracle.relaxed_limit(direction)
            beyond = self.points @ direction > limit + 2 * AMOUNT_TOLERANCE * self.oracle.scale
            self._settle(beyond, INFEASIBLE, record)

    def learn(self, row: int, answer: Answer, spread: list[Reach], record: _Record) -> None:
        """Use one answer for its own target and for every other that it settles."""
        self.n_asked += 1
        self.asked[row] = True
        if answer.reach is not None:
            if self.labels[row] != UNDECIDED and self.labels[row] != FEASIBLE:
                raise AssertionError(f"target {self.points[row]} proven both ways")
            self._settle(np.arange(len(self.points)) == row, FEASIBLE, record)
            group = self.structures.setdefault(answer.reach.structure, [])
            group += [answer.reach, *(r for r in spread if r.structure == answer.reach.structure)]
            self._settle_by_blending(group, record)
        elif (
            answer.missed_by is not None and answer.missed_by > AMOUNT_TOLERANCE * self.oracle.scale
        ):
            # Strictly closer than the proven distance: a target there would miss this one by less.
            short = self.points[row] - self.points
            away = short if self.oracle.sense == "at_least" else np.abs(short)
            settled = away.max(axis=1) < answer.missed_by * (1 - 1e-9)
            self._settle(settled, INFEASIBLE, record)

    def _settle_by_blending(self, group: list[Reach], record: _Record) -> None:
        """Label what a blend of one structure's schedules makes, once the replay accepts it."""
        amounts = np.array([r.amounts for r in group])
        rows = self.open
        inside = np.all(self.points[rows] <= amounts.max(axis=0) + 1e-9, axis=1)
        if self.oracle.sense == "exactly":
            inside &= np.all(self.points[rows] >= amounts.min(axis=0) - 1e-9, axis=1)
        for row in rows[inside]:
            weights = _blending_weights(amounts, self.points[row], self.oracle.sense)
            if weights is None:
                continue
            blend = self.oracle.blend(group, weights)
            if self.oracle.meets(blend, self.points[row]):
                self._settle(np.arange(len(self.points)) == row, FEASIBLE, record)

    def _settle(self, which: NDArray[np.bool_], label: int, record: _Record) -> None:
        fresh = which & (self.labels == UNDECIDED)
        self.labels[fresh] = label
        record.write(self.points[fresh], label)


def _blending_weights(
    amounts: NDArray[np.float64], target: NDArray[np.float64], sense: Sense
) -> NDArray[np.float64] | None:
    """Weights >= 0 that sum to 1 and mix the amounts to (at least) the target; None without any."""
    n = len(amounts)
    ones = np.ones((1, n))
    if sense == "exactly":
        equal, right = np.vstack([amounts.T, ones]), np.append(target, 1.0)
        found = linprog(np.zeros(n), A_eq=equal, b_eq=right)
    else:
        found = linprog(np.zeros(n), A_ub=-amounts.T, b_ub=-target, A_eq=ones, b_eq=[1.0])
    return found.x if found.status == 0 else None


class _Record:
    """Labels on disk, a line each, flushed as they arrive."""

    def __init__(self, file: TextIO | None) -> None:
        self.file = file

    def write(self, points: NDArray[np.float64], label: int) -> None:
        if self.file is None or not len(points):
            return
        for point in points:
            self.file.write(json.dumps({"target": point.tolist(), "label": label}) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())


@contextmanager
def _open_store(
    store: Path | str | None, scope: dict[str, Any], work: _Labelling
) -> Iterator[_Record]:
    """Open a store for appending; take over the labels it holds, if it is about the same thing."""
    if store is None:
        yield _Record(None)
        return
    path = Path(store)
    header = json.dumps({"stnopt_labels": 1, **scope}, sort_keys=True)
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    if lines and lines[0] != header:
        raise InvalidInputError(
            f"store {str(path)!r} was made for another plant, horizon or set of options; choose "
            f"another file or delete it. It says: {lines[0][:200]}"
        )
    known: dict[tuple[float, ...], int] = {}
    for line in lines[1:-1]:  # what follows the last line break was cut off while it was written
        entry = json.loads(line)
        known[tuple(entry["target"])] = entry["label"]
    for row, point in enumerate(work.points):
        work.labels[row] = known.get(tuple(point.tolist()), UNDECIDED)
    if lines and lines[-1]:
        path.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    with path.open("a", encoding="utf-8") as file:
        if not lines:
            file.write(header + "\n")
        yield _Record(file)
