"""Sensors that say nothing, or the same for too long: an alarm of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LOST_ROWS = 3
"""So many of the last rows without a reading are a lost sensor."""
FROZEN_ROWS = 20
"""So many of the last rows with one and the same reading are a frozen one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorFault:
    """A sensor that cannot be believed.

    Attributes
    ----------
    column
        Whose readings.
    kind
        `"lost"` or `"frozen"`.
    n_rows
        For how many rows, up to the last one.
    message
        The same as a sentence.
    """

    column: str
    kind: str
    n_rows: int
    message: str


def find_sensor_faults(
    table: pd.DataFrame,
    columns: Sequence[str],
    *,
    reference: pd.DataFrame | None = None,
    set_points: Collection[str] = (),
) -> tuple[SensorFault, ...]:
    """Lost and frozen sensors at the end of a table whose rows are in order of time.

    Lost: no number in the last three rows. Frozen: the same number in the last twenty rows (or
    three times as long as ever in the reference) while another column moves.

    Parameters
    ----------
    table, columns
        Readings. Columns of text with more than one value, such as lots, are passed over; a text
        that never changes, such as "Bad", is no reading.
    reference
        Earlier readings: what stood still there for long, such as a set point, may do so now.
    set_points
        Columns that may stand still in any case.
    """
    present = [c for c in columns if c in table.columns and not _is_text(table[c])]
    readings = table[present].apply(pd.to_numeric, errors="coerce").astype(float)
    held = {c: _last_run(readings[c].to_numpy()) for c in present}
    faults = []
    for column in present:
        silent = _trailing(~np.isfinite(readings[column].to_numpy()))
        if silent >= min(LOST_ROWS, len(table)) and silent:
            text = f"{column}: no reading in the last {silent} of {len(table)} rows; sensor lost"
            faults.append(SensorFault(column=column, kind="lost", n_rows=silent, message=text))
            continue
        allowed = FROZEN_ROWS
        if reference is not None and column in reference.columns:
            before = pd.to_numeric(reference[column], errors="coerce").to_numpy(dtype=float)
            allowed = max(allowed, 3 * _longest_run(before))
        if column in set_points or held[column] < allowed:
            continue
        tail = readings.iloc[-held[column] :]
        if any(tail[c].nunique() > 1 for c in present if c != column) or len(present) == 1:
            value = readings[column].iloc[-1]
            text = (
                f"{column}: exactly {value:g} in the last {held[column]} of {len(table)} rows; "
                "sensor frozen, or a set point"
            )
            faults.append(
                SensorFault(column=column, kind="frozen", n_rows=held[column], message=text)
            )
    return tuple(faults)


def _is_text(values: pd.Series) -> bool:
    known = values.dropna()
    if not len(known) or pd.api.types.is_numeric_dtype(known):
        return False
    return bool(pd.to_numeric(known, errors="coerce").isna().all()) and known.nunique() > 1


def _trailing(flags: np.ndarray) -> int:
    """How many of the last flags are true without a break."""
    off = np.flatnonzero(~flags)
    return len(flags) if not len(off) else len(flags) - 1 - int(off[-1])


def _last_run(values: np.ndarray) -> int:
    if not len(values) or not np.isfinite(values[-1]):
        return 0
    return _trailing(values == values[-1])


def _longest_run(values: np.ndarray) -> int:
    if not len(values):
        return 0
    changes = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return int(np.diff(np.append(changes, len(values))).max())
