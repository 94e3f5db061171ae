"""What several tests of planning share."""

from __future__ import annotations

import one_reactor
import pytest

import stnopt


@pytest.fixture(scope="session")
def staircase() -> stnopt.CertifiedRegion:
    """What the one reactor can make, certified."""
    plant = stnopt.read_network(one_reactor.PLANT)
    return stnopt.trace_frontier(plant, horizon=8, products=["A", "B"])
