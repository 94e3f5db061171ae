"""What was imported from modules that have moved is still found there, with a word about it."""

from __future__ import annotations

import importlib
import sys

import pytest

import reactor_yield

#: Of 0.1: names that could not be imported from the package itself, and some that could.
NAMES = {
    "dataset": ("MODE_1", "MODE_2", "OperatingMode", "generate_dataset", "split_dataset"),
    "drift": ("DriftReport", "detect_drift", "population_stability_index"),
    "runaway": ("count_alarms", "fit_hot_spot_forecaster", "realistic_series"),
}


@pytest.mark.parametrize("path", NAMES)
def test_a_path_of_before_warns_and_leads_to_the_same(path):
    sys.modules.pop(f"reactor_yield.{path}", None)
    with pytest.warns(
        DeprecationWarning, match=rf"reactor_yield\.{path} goes with 0\.3\.0"
    ) as said:
        found = importlib.import_module(f"reactor_yield.{path}")
    assert len(said) == 1
    for name in NAMES[path]:
        thing = getattr(found, name)
        if name in dir(reactor_yield):
            assert getattr(reactor_yield, name) is thing
    del sys.modules[f"reactor_yield.{path}"], reactor_yield.__dict__[path]


def test_the_warning_points_at_who_imports():
    sys.modules.pop("reactor_yield.drift", None)
    with pytest.warns(DeprecationWarning, match="goes with") as said:
        exec(compile("import reactor_yield.drift", "own_script.py", "exec"), {})
    assert said[0].filename == "own_script.py"
