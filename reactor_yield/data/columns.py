"""The one table of columns: unit, plausible range and meaning, and what other units look like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from reactor_yield.arguments import NUMBER, TEXT, Kind, check_arguments, many
from reactor_yield.errors import InvalidConditionsError

if TYPE_CHECKING:
    from collections.abc import Sequence


_WORDS = Kind("text", lambda value: isinstance(value, str))
_LIMIT = Kind(
    "a number, or infinite",
    lambda value: NUMBER.fits(value) or (isinstance(value, float) and math.isinf(value)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a data set.

    Parameters
    ----------
    name
        As in the file's header.
    unit
        `""` for a number without unit; `"K"`, `"atm"`, `"mol/min"`, `"mol/dm3"` have known
        relatives that `check_dataset` recognises when a column was written in them.
    low, high
        Range of plausible values, in `unit`; far wider than normal operation.
    meaning
        One line.
    role
        `"condition"` (set or measured at the inlet), `"outcome"`, or `"label"`.
    """

    name: str
    unit: str
    low: float
    high: float
    meaning: str
    role: str = "condition"

    def __post_init__(self) -> None:
        check_arguments(
            name=(self.name, TEXT),
            unit=(self.unit, _WORDS),
            low=(self.low, _LIMIT),
            high=(self.high, _LIMIT),
            meaning=(self.meaning, _WORDS),
            role=(self.role, TEXT),
        )
        problems = []
        if not self.low < self.high:
            problems.append(f"column {self.name!r}: low {self.low} must be below high {self.high}")
        if self.role not in {"condition", "outcome", "label"}:
            problems.append(
                f"column {self.name!r}: role must be condition, outcome or label, got {self.role!r}"
            )
        if problems:
            raise InvalidConditionsError(*problems)


COLUMNS: tuple[Column, ...] = (
    Column(
        name="Mode",
        unit="",
        low=1,
        high=3,
        meaning="1, 2, or 3 for noise between them",
        role="label",
    ),
    Column(name="Fao", unit="mol/min", low=0.5, high=20, meaning="feed of A"),
    Column(name="Fbo", unit="mol/min", low=0.5, high=40, meaning="feed of B"),
    Column(name="P", unit="atm", low=1, high=25, meaning="pressure, constant along the reactor"),
    Column(name="To", unit="K", low=220, high=700, meaning="inlet temperature of the gas"),
    Column(
        name="Cto", unit="mol/dm3", low=0.02, high=1, meaning="inlet concentration, P / (0.082 To)"
    ),
    Column(name="m", unit="mol/min", low=0.05, high=40, meaning="coolant flow, co-current"),
    Column(name="Ta", unit="K", low=250, high=420, meaning="inlet temperature of the coolant"),
    Column(
        name="T_max", unit="K", low=220, high=1800, meaning="hot spot, highest T", role="outcome"
    ),
    Column(name="V_max", unit="dm3", low=-1e-9, high=20.001, meaning="where it is", role="outcome"),
    Column(
        name="T_max_grid",
        unit="K",
        low=220,
        high=1800,
        meaning="highest T of 21 equidistant positions (the old study's T_max)",
        role="outcome",
    ),
    *(
        Column(
            name=f"F{s}_out",
            unit="mol/min",
            low=-1e-6,
            high=40,
            meaning=f"outlet flow of {s.upper()}",
            role="outcome",
        )
        for s in "abcd"
    ),
    Column(
        name="Cc_out",
        unit="mol/dm3",
        low=-1e-6,
        high=1,
        meaning="outlet concentration of C",
        role="outcome",
    ),
    Column(name="Xa", unit="", low=-1e-6, high=1.000001, meaning="conversion of A", role="outcome"),
    Column(
        name="Yc",
        unit="",
        low=-1e-6,
        high=1.000001,
        meaning="yield, C made per A spent",
        role="outcome",
    ),
)
"""Columns of the generated data; all but `V_max` and `T_max_grid` are the old study's."""

FEATURES = ("Fao", "Fbo", "P", "To", "Cto", "m", "Ta")
TARGET = "Yc"

PHYSICAL_LIMITS: dict[str, tuple[float, float]] = {"Xa": (0.0, 1.0), "Yc": (0.0, 1.0)}
"""Outcomes that are shares: no prediction and no interval goes beyond."""

UNIT_RELATIVES: dict[str, tuple[tuple[str, float, float], ...]] = {
    "K": (("degC", 1.0, 273.15), ("degF", 5 / 9, 273.15 - 32 * 5 / 9)),
    "atm": (("Pa", 1 / 101_325, 0.0), ("kPa", 1 / 101.325, 0.0), ("psi", 1 / 14.6959, 0.0)),
    "mol/min": (("mol/s", 60.0, 0.0), ("mol/h", 1 / 60, 0.0), ("kmol/h", 1000 / 60, 0.0)),
    "mol/dm3": (("mol/m3", 1e-3, 0.0),),
}
"""Per unit, what a column may be written in by mistake: (name, factor, offset) to our unit."""


def column_table(columns: Sequence[Column] = COLUMNS) -> pd.DataFrame:
    """Columns as a table with name, unit, low, high, role and meaning."""
    check_arguments(columns=(columns, many(Column)))
    return pd.DataFrame(
        [(c.name, c.unit, c.low, c.high, c.role, c.meaning) for c in columns],
        columns=["name", "unit", "low", "high", "role", "meaning"],
    )
