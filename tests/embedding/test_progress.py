"""The progress line, and the limits of dividing a region, by a clock of the test's own."""

from __future__ import annotations

import errno
import sys
import threading
import time
from dataclasses import replace
from itertools import count

import numpy as np
import pyomo.environ as pyo
import pytest
from random_problems import random_region
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import stnopt as so
from stnopt import progress
from stnopt.embedding import polyhedral_cover
from stnopt.embedding.outer_approximation import approximate_box
from stnopt.embedding.polyhedral_cover import divide_region
from stnopt.progress import SILENT_SECONDS, ProgressLine


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("progress", "limited", "wait", "shown"),
    [
        (True, True, 0.0, True),
        (True, False, 0.0, True),
        (False, False, 0.5 * SILENT_SECONDS, False),
        (False, False, SILENT_SECONDS, True),
        (False, True, 100 * SILENT_SECONDS, False),
    ],
)
def test_a_call_without_a_limit_does_not_go_silent(progress, limited, wait, shown, capsys):
    clock = Clock()
    with ProgressLine("working", " boxes", progress=progress, limited=limited, clock=clock) as line:
        clock.now += wait
        line.move(3, lambda: "gap 0.5")
    printed = capsys.readouterr().err
    assert ("working" in printed) == shown
    assert ("gap 0.5" in printed) == shown


def test_one_long_step_does_not_go_silent_either(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0.01)
    with ProgressLine("working", " boxes", progress=False, limited=False):
        printed = ""
        while "working" not in printed:  # by the thread beside: nothing is said here
            printed += capsys.readouterr().err
            time.sleep(0.01)  # else this loop keeps the thread beside from its turn


def test_a_search_without_a_limit_says_what_it_does(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0.0)
    so.find_schedule(so.load_example("motivating"), horizon=12, n_events=3, max_span=0)
    assert "find_schedule" in (printed := capsys.readouterr().err)
    assert "3 event points, span 0" in printed


def test_dividing_ends_at_its_limit(monkeypatch):
    ticks = count()
    monkeypatch.setattr(polyhedral_cover.time, "perf_counter", lambda: float(next(ticks)))
    region = random_region(3, n=3)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(list("ABC"), bounds=(0, 100))
    inputs = {name: m.x[name] for name in "ABC"}
    with pytest.raises(so.UnsupportedModelError, match=r"within time_limit=5 s.*larger tolerance"):
        so.add_region_constraint(m, region, inputs, form="outer", tolerance=0.01, time_limit=5)
    assert not list(m.component_objects(pyo.Block, descend_into=False))


def test_dividing_shows_a_line(capsys):
    region = random_region(5, n=2)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(list("AB"), bounds=(0, 100))
    inputs = {name: m.x[name] for name in "AB"}
    so.add_region_constraint(m, region, inputs, form="outer", tolerance=0.0321, progress=True)
    assert "dividing the region" in capsys.readouterr().err


def grid_region() -> so.KernelRegion:
    """A classifier of points on a grid, some of them on the box's sides, in three inputs."""
    rng = np.random.default_rng(0)
    unit = rng.integers(0, 9, (80, 3)) / 8
    center = 0.25 + 0.5 * rng.random(3)
    apart = ((unit - center) ** 2).sum(axis=1)
    score = apart + 0.25 * np.sin(9 * unit[:, 0]) * unit[:, -1]
    labels = np.where(score < np.quantile(apart, 0.5), -1, 1)
    points = 8 * unit
    machine = make_pipeline(StandardScaler(), SVC(C=10)).fit(points, labels)
    region = so.region_from_sklearn(machine, ["a", "b", "c"])
    return replace(region, lower=points.min(axis=0), upper=points.max(axis=0))


def test_a_thin_side_is_not_divided_again():
    """Volumes in a box's own widths do not see that a side is thin: it was divided for ever."""
    region, rng = grid_region(), np.random.default_rng(2)
    width = region.upper - region.lower
    tried = 0
    for _ in range(60):
        shares = rng.permutation([0.5, 0.4, 1e-3])
        lower = region.lower + rng.random(3) * (1 - shares) * width
        cover = approximate_box(region, lower, lower + shares * width, max_cells=300)
        if cover is None or cover.is_exact:
            continue
        tried += 1
        length = (cover.upper - cover.lower) / width
        axis, at = polyhedral_cover._best_split(cover, 0.5 * (cover.lower + cover.upper), width)
        assert length[axis] >= 0.05 * length.max()
        assert cover.lower[axis] < at < cover.upper[axis]
    assert tried > 20


@pytest.mark.parametrize("form", ["inner", "outer"])
def test_forms_of_three_inputs_take_few_boxes(form, monkeypatch):
    region, looked = grid_region(), []
    original = polyhedral_cover.approximate_box
    monkeypatch.setattr(
        polyhedral_cover,
        "approximate_box",
        lambda *a, **k: looked.append(1) or original(*a, **k),
    )
    keep, admit = (-0.2, 0.0) if form == "inner" else (0.0, 0.2)
    pieces = divide_region(region, region.lower, region.upper, keep=keep, admit=admit)
    assert len(looked) < 100  # work, not seconds
    points = np.random.default_rng(1).uniform(region.lower, region.upper, (4000, 3))
    inside, decision = pieces.contains(points), region.decision(points)
    assert inside[decision <= keep].all()
    assert (decision[inside] <= admit).all()


class Full:
    """Standard error on a disk that is full."""

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_behind_standard_error_stops_nothing(monkeypatch):
    """Tqdm's own lock stays locked in a thread that could not write: nobody else may need it."""
    monkeypatch.setattr(sys, "stderr", Full())
    ended = []

    def work():
        with ProgressLine("working", " boxes", progress=True, limited=False) as line:
            line.step("one")
            line.move(2, lambda: "two")
        ended.append(True)

    for _ in range(2):
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(timeout=60)
    assert ended == [True, True]
