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
        Share of training rows that lie nearer to another one, compared with what is usual, than
        independent rows do; rows that belong together and were given no `groups=`.
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
    n_recalibrated: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers and text, as it is saved."""
        return asdict(self)
