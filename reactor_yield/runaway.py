"""The path in 0.1 of what is in `reactor_yield.monitoring` now.

Deprecated: import the public names from `reactor_yield` itself. This path goes with 0.3.0.
"""

from __future__ import annotations

import warnings

from reactor_yield.monitoring.alarm_count import AlarmCount as AlarmCount
from reactor_yield.monitoring.alarm_count import choose_alarm_level as choose_alarm_level
from reactor_yield.monitoring.alarm_count import count_alarms as count_alarms
from reactor_yield.monitoring.alarm_count import failure_runaways as failure_runaways
from reactor_yield.monitoring.runaway import CoolantFailure as CoolantFailure
from reactor_yield.monitoring.runaway import HotSpotForecaster as HotSpotForecaster
from reactor_yield.monitoring.runaway import fit_hot_spot_forecaster as fit_hot_spot_forecaster
from reactor_yield.monitoring.runaway import forecast_hot_spot as forecast_hot_spot
from reactor_yield.monitoring.runaway import realistic_series as realistic_series
from reactor_yield.monitoring.runaway import sorted_series as sorted_series

warnings.warn(
    "reactor_yield.runaway goes with 0.3.0; import from reactor_yield itself:"
    " from reactor_yield import forecast_hot_spot, realistic_series",
    DeprecationWarning,
    stacklevel=2,
)
