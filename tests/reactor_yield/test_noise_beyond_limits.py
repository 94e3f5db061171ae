"""Measured yields a little above 1 are noise and learned from; in percent they are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reactor_yield import fit_yield_model
from reactor_yield.errors import InvalidConditionsError


def records(top: float) -> pd.DataFrame:
    """A yield that comes up to `top` where its condition is 1."""
    x = np.linspace(0, 1, 80)
    return pd.DataFrame({"x": x, "other": np.cos(9 * x), "Yc": top * (0.5 + 0.5 * x)})


def test_a_little_noise_beyond_the_limits_is_learned_from():
    model = fit_yield_model(records(1.004), model="ridge", features=["x", "other"])
    predicted = model.predict(records(1.0))
    assert model.report.n_rows == 80
    assert predicted["Yc"].max() <= 1.0


@pytest.mark.parametrize("top", [1.2, 100.0])
def test_other_units_are_refused(top):
    with pytest.raises(InvalidConditionsError, match=r"beyond its limits 0\.\.1"):
        fit_yield_model(records(top), model="ridge", features=["x", "other"])
