"""The path in 0.1 of what is in `reactor_yield.data` now.

Deprecated: import the public names from `reactor_yield` itself. This path goes with 0.3.0.
"""

from __future__ import annotations

import warnings

from reactor_yield.data.check import DataProblem as DataProblem
from reactor_yield.data.check import DataReport as DataReport
from reactor_yield.data.check import check_dataset as check_dataset
from reactor_yield.data.dataset import MODE_1 as MODE_1
from reactor_yield.data.dataset import MODE_2 as MODE_2
from reactor_yield.data.dataset import OperatingMode as OperatingMode
from reactor_yield.data.dataset import draw_conditions as draw_conditions
from reactor_yield.data.dataset import generate_dataset as generate_dataset
from reactor_yield.data.split import Split as Split
from reactor_yield.data.split import split_dataset as split_dataset
from reactor_yield.legacy import OLD_TOLERANCES as OLD_TOLERANCES

warnings.warn(
    "reactor_yield.dataset goes with 0.3.0; import from reactor_yield itself:"
    " from reactor_yield import generate_dataset, MODE_1",
    DeprecationWarning,
    stacklevel=2,
)
