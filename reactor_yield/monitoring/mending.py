"""The move that mends a low yield: the least change of the handles that restores the target."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm.auto import tqdm

from reactor_yield.errors import InvalidConditionsError
from reactor_yield.monitoring.alarms import players
from reactor_yield.prediction import predict_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reactor_yield.yield_model import YieldModel

Array = NDArray[np.float64]

_GRID = 25
_PAIR_GRID = 9
_BISECTIONS = 8
_CAUTION = 1.5
"""The interval's lower half is taken so many times: 90 % coverage becomes about 99 %."""
_COLUMNS = ["row", "handle", "current", "proposed", "change", "predicted", "lower", "upper", "sure"]


def find_mending_moves(
    model: YieldModel,
    conditions: pd.DataFrame,
    *,
    target: float,
    handles: Sequence[str] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Least change of the handles, inside the range the model knows, that restores a target.

    One handle alone is tried first, then two together. The change is measured in shares of each
    handle's training range. A move is *sure* when the target is below the prediction by one and a
    half times the interval's lower half; where none is, the one that comes nearest to it is given
    as unsure, if its prediction reaches the target at all.

    Parameters
    ----------
    model
        From `fit_yield_model`.
    conditions : (n, ...) DataFrame
        Rows in alarm. The other conditions stay as they are.
    target
        To be restored.
    handles
        Conditions that an operator can set; by default all numeric ones.
    progress
        Show a progress bar.

    Returns
    -------
    DataFrame
        A line per row and handle moved: `row`, `handle`, `current`, `proposed`, `change` (share of
        the training range), `predicted`, `lower`, `upper` after the whole move, `sure`. Rows that
        no move mends are not in it.

    Notes
    -----
    The model knows the yield alone: whether a move is safe, the hot spot above all, must be checked
    before it is made.
    """
    numeric = [c for c in players(model) if c in model.training_range]
    chosen = list(numeric if handles is None else handles)
    unknown = [h for h in chosen if h not in numeric]
    if unknown or not chosen:
        message = f"no handles of this model: {unknown}; it has {numeric}"
        raise InvalidConditionsError(message)
    found: list[dict[str, Any]] = []
    for i in tqdm(range(len(conditions)), desc="mending", disable=not progress):
        row = conditions.iloc[[i]][[c for c in model.features if c in conditions.columns]]
        if {"P", "To", "Cto"} <= set(model.features):
            row = row.drop(columns="Cto", errors="ignore")  # it follows P and To
        found += _mend_row(model, row, target, chosen)
    return pd.DataFrame(found, columns=_COLUMNS)


def _mend_row(
    model: YieldModel, row: pd.DataFrame, target: float, handles: Sequence[str]
) -> list[dict[str, Any]]:
    current = {h: float(pd.to_numeric(row[h].iloc[0], errors="coerce")) for h in handles}
    known = [h for h in handles if np.isfinite(current[h])]
    unsure: list[tuple[float, dict[str, float], pd.Series]] = []
    for size, points in ((1, _GRID), (2, _PAIR_GRID)):
        tried = [_candidates(model, current, hs, points) for hs in combinations(known, size)]
        if not tried:
            break
        moves = [move for moves in tried for move in moves]
        judged = _judge(model, row, moves, target)
        sure = np.flatnonzero(judged["margin"].to_numpy() >= 0)
        if len(sure):
            costs = np.array([_cost(model, current, moves[i]) for i in sure])
            # A grid point is only the outer end of the least change: look between it and now.
            best = [int(i) for i in sure[np.argsort(costs, kind="stable")[:3]]]
            move, after = _shorten(model, row, current, [moves[i] for i in best], target)
            return _as_lines(model, row, current, move, after, sure=True)
        reaching = judged[judged["predicted"] >= target]
        if len(reaching):
            at = int(reaching["margin"].idxmax())
            unsure.append((float(judged["margin"].iloc[at]), moves[at], judged.iloc[at]))
    if not unsure:
        return []
    _, move, after = max(unsure, key=lambda entry: entry[0])
    return _as_lines(model, row, current, move, after, sure=False)


def _candidates(
    model: YieldModel, current: dict[str, float], handles: Sequence[str], points: int
) -> list[dict[str, float]]:
    """List the moves of some handles over a grid of their training ranges."""
    axes = [np.linspace(*model.training_range[h], points) for h in handles]
    mesh = np.stack([m.ravel() for m in np.meshgrid(*axes)], axis=1)
    return [dict(zip(handles, map(float, point), strict=True)) for point in mesh]


def _judge(
    model: YieldModel, row: pd.DataFrame, moves: Sequence[dict[str, float]], target: float
) -> pd.DataFrame:
    """Prediction after each move, and by how much its cautious lower end clears the target."""
    table = pd.concat([row] * len(moves), ignore_index=True)
    for handle in dict.fromkeys(h for move in moves for h in move):
        stays = float(pd.to_numeric(row[handle].iloc[0]))
        table[handle] = [move.get(handle, stays) for move in moves]
    after = predict_table(model, table).rename(columns={model.target: "predicted"})
    caution = _CAUTION * (after["predicted"] - after["lower"])
    margin = after["predicted"] - caution - target
    before = predict_table(model, row)
    if bool(before["in_range"].iloc[0]):
        # A mended row must stay where the model knows its way.
        margin = margin.where(after["in_range"].astype(bool), -np.inf)
    return after.assign(margin=margin.fillna(-np.inf))


def _cost(model: YieldModel, current: dict[str, float], move: dict[str, float]) -> float:
    widths = {h: model.training_range[h][1] - model.training_range[h][0] for h in move}
    return sum(abs(v - current[h]) / (widths[h] or 1.0) for h, v in move.items())


def _shorten(
    model: YieldModel,
    row: pd.DataFrame,
    current: dict[str, float],
    moves: list[dict[str, float]],
    target: float,
) -> tuple[dict[str, float], pd.Series]:
    """Shortest of some moves after bisecting each between now and its far end."""
    ends = [(0.0, 1.0) for _ in moves]
    for _ in range(_BISECTIONS):
        middles = [(a + b) / 2 for a, b in ends]
        tried = [_inside(model, _part(current, m, s)) for m, s in zip(moves, middles, strict=True)]
        good = _judge(model, row, tried, target)["margin"].to_numpy() >= 0
        ends = [(a, s) if ok else (s, b) for (a, b), s, ok in zip(ends, middles, good, strict=True)]
    shortened = [
        _inside(model, _part(current, m, b)) for m, (_, b) in zip(moves, ends, strict=True)
    ]
    best = min(shortened, key=lambda m: _cost(model, current, m))
    return best, _judge(model, row, [best], target).iloc[0]


def _part(current: dict[str, float], move: dict[str, float], share: float) -> dict[str, float]:
    return {h: current[h] + share * (v - current[h]) for h, v in move.items()}


def _inside(model: YieldModel, move: dict[str, float]) -> dict[str, float]:
    """Cut a move to the training range: a handle out of it comes back to its edge at least."""
    return {h: float(np.clip(v, *model.training_range[h])) for h, v in move.items()}


def _as_lines(
    model: YieldModel,
    row: pd.DataFrame,
    current: dict[str, float],
    move: dict[str, float],
    after: pd.Series,
    *,
    sure: bool,
) -> list[dict[str, Any]]:
    return [
        {
            "row": row.index[0],
            "handle": handle,
            "current": current[handle],
            "proposed": value,
            "change": _cost(model, current, {handle: value}),
            "predicted": float(after["predicted"]),
            "lower": float(after["lower"]),
            "upper": float(after["upper"]),
            "sure": sure,
        }
        for handle, value in move.items()
        if value != current[handle]
    ]
