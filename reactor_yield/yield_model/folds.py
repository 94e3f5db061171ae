"""Folds that never split a group of rows or a block of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from reactor_yield.data.times import parse_times
from reactor_yield.errors import InvalidConditionsError

if TYPE_CHECKING:
    from collections.abc import Sequence

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Which rows belong together.

    Parameters
    ----------
    group : (n,) int array, or None
        Number of each row's group; rows of one group are never split.
    order : (n,) int array, or None
        Rows in order of time; folds are then stretches of time.
    """

    group: Indices | None
    order: Indices | None

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Blocks:
        """Return the blocks of some of the rows."""
        group = None if self.group is None else np.unique(self.group[rows], return_inverse=True)[1]
        if self.order is None:
            return Blocks(group=group, order=None)
        rank = np.empty(len(self.order), dtype=np.int64)
        rank[self.order] = np.arange(len(self.order))
        return Blocks(group=group, order=np.argsort(rank[rows], kind="stable"))

    def n_independent(self, n_rows: int) -> int:
        """How many rows count as independent of each other: one per group."""
        return n_rows if self.group is None else int(self.group.max(initial=-1)) + 1


def read_blocks(
    data: pd.DataFrame,
    groups: str | Sequence[object] | None,
    time: str | Sequence[object] | None,
) -> Blocks:
    """Read which rows belong together from a column's name or from one value per row.

    Parameters
    ----------
    data : (n, ...) DataFrame
    groups
        Rows with the same value are near copies, such as records of one steady hold, or of one lot.
    time
        Numbers or ISO 8601 time stamps.

    Raises
    ------
    InvalidConditionsError
        When a column is missing, values are missing or are no times, or all rows are one group.
    """
    problems: list[str] = []
    group: Indices | None = None
    order: Indices | None = None
    if groups is not None:
        values, problem = _read_values(data, groups, "groups")
        if not problem and values is not None:
            group = pd.factorize(values)[0].astype(np.int64)
            if group.max(initial=0) < 1:
                problem = "groups: all rows are one group, nothing can be left out; give two"
        problems += [problem] if problem else []
    if time is not None:
        values, problem = _read_values(data, time, "time")
        if not problem and values is not None:
            stamps = _as_numbers(values)
            bad = ~np.isfinite(stamps)
            if bad.any():
                problem = (
                    f"time: {bad.sum()} values are neither numbers nor ISO 8601 time stamps "
                    "such as 2025-03-01 06:30, nor 01.03.2025 06:30 "
                    f"(first: {values.iloc[int(np.argmax(bad))]!r})"
                )
            order = np.argsort(stamps, kind="stable")
        problems += [problem] if problem else []
    if problems:
        raise InvalidConditionsError(*problems)
    return Blocks(group=group, order=order)


def make_folds(
    n_rows: int, blocks: Blocks, n_folds: int, *, seed: int
) -> list[tuple[Indices, Indices]]:
    """Split rows into training and test rows, `n_folds` times; each row is tested once.

    Without blocks the rows are shuffled; with groups whole groups are; with time the folds are
    consecutive stretches, and a group that lies in several goes to the one where most of it is.
    """
    everything = np.arange(n_rows)
    if blocks.order is not None:
        fold = np.empty(n_rows, dtype=np.int64)
        fold[blocks.order] = np.arange(n_rows) * n_folds // n_rows
        if blocks.group is not None:
            counts = np.zeros((int(blocks.group.max()) + 1, n_folds))
            np.add.at(counts, (blocks.group, fold), 1)
            fold = counts.argmax(axis=1)[blocks.group]
    elif blocks.group is not None:
        fold = _spread_groups(blocks.group, n_folds, seed)
    else:
        folds = KFold(n_folds, shuffle=True, random_state=seed).split(everything)
        return [(train, test) for train, test in folds]
    tests = [everything[fold == k] for k in range(n_folds)]
    return [(np.setdiff1d(everything, test), test) for test in tests if 0 < len(test) < n_rows]


def keep_seen_levels(
    folds: Sequence[tuple[Indices, Indices]],
    inputs: NDArray[np.float64],
    continuous: NDArray[np.bool_],
) -> list[tuple[Indices, Indices]]:
    """Leave out of the test rows those with a level of which the training rows hold none.

    Their errors are those of a guess: they say nothing about rows whose levels are known, and
    would choose a model, and widths, for guessing. Rows with unknown levels are out of range. Where
    half of the rows or more have such levels new ones are the rule, and all rows are tested.

    Parameters
    ----------
    folds
        From `make_folds`.
    inputs : (n, q) array
    continuous : (q,) bool array
        Which inputs are not 0 or 1.
    """
    flags = inputs[:, ~continuous]
    kept = []
    for train, test in folds:
        low, high = flags[train].min(axis=0), flags[train].max(axis=0)
        seen = ((flags[test] >= low) & (flags[test] <= high)).all(axis=1)
        if seen.any():
            kept.append((train, test[seen]))
    n_kept, n_rows = (sum(len(test) for _, test in some) for some in (kept, folds))
    return kept if 2 * n_kept > n_rows else list(folds)


def _spread_groups(group: Indices, n_folds: int, seed: int) -> Indices:
    """Fold of each row: whole groups in random order, each to the fold with the fewest rows."""
    sizes = np.bincount(group)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    rows, fold = np.zeros(n_folds), np.empty(len(sizes), dtype=np.int64)
    for k in order:
        fold[k] = np.argmin(rows)
        rows[fold[k]] += sizes[k]
    return np.asarray(fold[group])


def _read_values(
    data: pd.DataFrame, given: str | Sequence[object], what: str
) -> tuple[pd.Series | None, str]:
    """One value per row, or what is wrong."""
    if isinstance(given, str):
        if given not in data.columns:
            return None, f"{what}: there is no column {given!r}; found {list(data.columns)}"
        values = data[given]
    else:
        values = pd.Series(given)
        if len(values) != len(data):
            return None, f"{what} has {len(values)} values for {len(data)} rows"
    gaps = values.isna()
    if gaps.any():
        return None, f"{what}: {int(gaps.sum())} rows have no value; drop or mend them"
    return values.reset_index(drop=True), ""


def _as_numbers(values: pd.Series) -> NDArray[np.float64]:
    """Numbers as they are, time stamps as seconds; NaN for what is neither."""
    if not pd.api.types.is_datetime64_any_dtype(values):
        numbers = pd.to_numeric(values, errors="coerce")
        if numbers.notna().all():
            return np.asarray(numbers.to_numpy(dtype=float))
    stamps = parse_times(values)
    return np.asarray((stamps - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(dtype=float))
