"""Data shared by the tests of `reactor_yield`; nothing here needs a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reactor_yield import generate_dataset

if TYPE_CHECKING:
    import pandas as pd


@pytest.fixture(scope="session")
def old_data() -> pd.DataFrame:
    """The old study's 10,000 rows, mistake included."""
    return generate_dataset(frozen=True)


@pytest.fixture(scope="session")
def data() -> pd.DataFrame:
    """The same conditions on correct physics."""
    return generate_dataset()
