"""What every test relies on: no screen, and no verdict that depends on the machine's load."""

import math
import sys
from collections import Counter

import matplotlib as mpl
import pytest
from hypothesis import settings

mpl.use("Agg")
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of the seeds that a test draws from, those after the first few (`few_seeds`) take long.

    So do the cases of a test after the first few (`few_cases`), in the order in which they stand.
    """
    cases = Counter()
    for item in items:
        first = item.get_closest_marker("few_cases")
        if first is not None:
            cases[item.originalname, item.path] += 1
            if cases[item.originalname, item.path] > first.args[0]:
                item.add_marker("long")
        few = item.get_closest_marker("few_seeds")
        if few is not None and item.callspec.indices["seed"] >= few.args[0]:
            item.add_marker("long")


@pytest.fixture(autouse=True)
def _no_proof_is_cut(monkeypatch):
    """A search without limits gives its proofs 20 s at least: whether they do must not matter."""
    limits = sys.modules.get("stnopt.scheduling.search.limits")
    if limits is not None:
        monkeypatch.setattr(limits, "_LEAST_PROOF_LIMIT", math.inf)
