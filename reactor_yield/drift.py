"""The path in 0.1 of what is in `reactor_yield.monitoring` now.

Deprecated: import the public names from `reactor_yield` itself. This path goes with 0.3.0.
"""

from __future__ import annotations

import warnings

from reactor_yield.monitoring.drift import detect_drift as detect_drift
from reactor_yield.monitoring.drift_report import ColumnDrift as ColumnDrift
from reactor_yield.monitoring.drift_report import DriftReport as DriftReport
from reactor_yield.monitoring.two_samples import (
    population_stability_index as population_stability_index,
)

warnings.warn(
    "reactor_yield.drift goes with 0.3.0; import from reactor_yield itself:"
    " from reactor_yield import detect_drift, population_stability_index",
    DeprecationWarning,
    stacklevel=2,
)
