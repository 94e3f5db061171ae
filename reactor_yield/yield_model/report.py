"""How a model came about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldReport:
    """How a model came about.

    Attributes
    ----------
    kind
        The regressor used; for `model="best"` the one with the smallest cross-validated error.
    n_rows
        Training rows.
    seed
        Of everything random in the fit.
    cross_validation
        Mean absolute error per candidate and fold; empty unless `model="best"`.
    calibration_error
        Mean absolute error on rows held out of the fit that calibrate the intervals.
    versions
        Of Python and the packages that matter when the file is read again.
    n_without_target
        Rows of the data that were left out since their target is missing.
    n_blocks
        Groups of rows that were never split between folds; 0 where the rows are independent.
    near_copies
        Share of training rows that are near copies of others, by `share_of_near_copies`; 0 where
        rows look independent, or `groups=` or `time=` was given.
    new_levels_left_out
        Whether most rows, when they were left out, had a text that no row of the fit had, as where
        each group is a lot of its own: errors and intervals are then those of new levels.
    n_recalibrated
        Lab values that the intervals were last recalibrated with.
    """

    kind: str
    n_rows: int
    seed: int
    cross_validation: Mapping[str, tuple[float, ...]]
    calibration_error: float
    versions: Mapping[str, str]
    n_without_target: int = 0
    n_blocks: int = 0
    near_copies: float = 0.0
    new_levels_left_out: bool = False
    n_recalibrated: int = 0

    @property
    def warning(self) -> str:
        """What makes the intervals too narrow for new conditions; empty where nothing does."""
        if not self.near_copies:
            return ""
        return (
            f"{100 * self.near_copies:.0f} % of the rows are near copies of others, such as "
            "records of one steady hold or of a slow series: the intervals hold for more records "
            "like them and are too narrow for other conditions. Say which rows belong together: a "
            "column of holds, lots or campaigns in groups= (--group), or of time in time= (--time)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers and text, as it is saved."""
        return asdict(self)
