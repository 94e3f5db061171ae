"""What every fitted regressor offers."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Predictor(Protocol):
    """A fitted regressor."""

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Mean and error bar of each row, both (n,); the bar is 1 where the regressor has none."""
        ...

    def expect(self, inputs: Array) -> Array:
        """Mean alone, (n,)."""
        ...
