"""What a comparison of two data sets found, as data, text and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from reactor_yield.arguments import PATH, check_arguments, one_of
from reactor_yield.files import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """How one column differs between two data sets.

    Attributes
    ----------
    column
        Feature, or `prediction`, or `error`.
    group
        `all`, or one operating mode such as `mode 1`.
    statistic
        Largest distance between the two distribution functions (Kolmogorov-Smirnov); of a column
        of text, the largest change of a share.
    p_value
        Of the more telling of two tests, location-and-shape (Kolmogorov-Smirnov) and spread
        (Brown-Forsythe), doubled for having looked twice; of `error`, the less telling of larger
        errors (Mann-Whitney) and of intervals that miss too many rows; of text, chi-squared. All
        count correlated rows as the independent ones that they are worth.
    adjusted_p_value
        After Holm's correction for all columns and groups of the report.
    psi
        Population stability index over ten bins of equal reference share; above 0.2 is large by
        custom.
    drifted
        Whether the adjusted p-value is below the report's level, or the column is far off.
    reference_mean, current_mean, reference_spread, current_spread
        What moved, in the column's unit; `None` for text.
    independent_rows
        How many independent rows each side is worth.
    decided
        Whether those are enough (10) for the level to hold.
    far
        Whether the means are more than four spreads apart.
    explained
        The reference's own trend or season that was taken out before the test; empty if none.
    """

    column: str
    group: str
    statistic: float
    p_value: float
    adjusted_p_value: float
    psi: float
    drifted: bool
    reference_mean: float | None
    current_mean: float | None
    reference_spread: float | None
    current_spread: float | None
    independent_rows: tuple[float, float]
    decided: bool
    far: bool
    explained: str

    def describe(self) -> str:
        """Say what moved in one sentence."""
        where = "" if self.group == "all" else f" within {self.group}"
        measure = f"distance {self.statistic:.2f}, PSI {self.psi:.2f}"
        if self.reference_mean is None or self.reference_spread is None:
            return f"{self.column}{where}: shares changed by up to {measure[9:]}"
        without = f", {self.explained} taken out" if self.explained else ""
        return (
            f"{self.column}{where}: mean {self.reference_mean:.4g} -> {self.current_mean:.4g}, "
            f"spread {self.reference_spread:.3g} -> {self.current_spread:.3g} ({measure}{without})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """What `detect_drift` found.

    Attributes
    ----------
    level
        Chance of any false alarm in the whole report, when nothing drifted.
    n_reference, n_current
        Rows compared.
    columns
        Every test made.
    mode_shares
        Per mode its share in the reference and in the current data; empty without a mode column.
    mode_p_value
        Adjusted p-value that the shares are the same; `None` without a mode column.
    gaps
        Per column that was read, the rows without a reading in both tables.
    notes
        What was left out, explained or not tested, a sentence each.
    causes
        What drifted and why, one sentence each; empty when nothing did.
    """

    level: float
    n_reference: int
    n_current: int
    columns: tuple[ColumnDrift, ...]
    mode_shares: Mapping[str, tuple[float, float]]
    mode_p_value: float | None
    gaps: Mapping[str, tuple[int, int]]
    notes: tuple[str, ...]
    causes: tuple[str, ...]

    @property
    def drifted(self) -> bool:
        """Whether anything drifted."""
        return bool(self.causes)

    @property
    def undecided(self) -> tuple[str, ...]:
        """Columns whose rows are too correlated for the level to hold, and that are not far off."""
        found = [c.column for c in self.columns if not c.decided and not c.drifted]
        return tuple(dict.fromkeys(found))

    def drifted_columns(self, group: str = "all") -> tuple[str, ...]:
        """Columns that drifted, over all rows or within one mode."""
        known = dict.fromkeys(["all", *(c.group for c in self.columns)])
        check_arguments(group=(group, one_of(known)))
        return tuple(c.column for c in self.columns if c.drifted and c.group == group)

    def to_frame(self) -> pd.DataFrame:
        """All tests, one per row."""
        return pd.DataFrame([asdict(c) for c in self.columns])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, as written to JSON."""
        return asdict(self) | {"drifted": self.drifted, "undecided": self.undecided}

    def to_json(self, path: Path | str) -> None:
        """Write the report as JSON, whole or not at all."""
        check_arguments(path=(path, PATH))
        write_json(path, self.to_dict())
