"""What more than one file asks about is solved once."""

from __future__ import annotations

import pytest

import stnopt


@pytest.fixture(scope="session")
def frontier_of_ex2() -> stnopt.CertifiedRegion:
    plant = stnopt.load_example("ex2")
    return stnopt.trace_frontier(plant, horizon=8, products=["S9", "S8"], n_events=4, max_span=0)
