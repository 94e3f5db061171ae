"""Windows of event points: they lead from next to nothing to what a grid proves to be the best."""

from __future__ import annotations

import itertools

import pytest
from time_grid import best_on_grid, draw_plant

from stnopt.plant.problem import Problem
from stnopt.scheduling.schedule import Schedule
from stnopt.scheduling.search.event_points import EventPointSearch
from stnopt.scheduling.search.event_windows import improve_in_windows, improve_on_events
from stnopt.scheduling.search.global_bound import GlobalBound
from stnopt.scheduling.search.incumbent import Incumbent
from stnopt.scheduling.search.limits import SearchLimits
from stnopt.scheduling.search.question import Question
from stnopt.solvers.result import SolveResult, Status

HOURS = 6


def begin(network, seconds=400.0):
    """A search that knows the schedule without batches; its clock counts how often it is read."""
    question = Question(network=network, problem=Problem(horizon=HOURS))
    looks = itertools.count()
    points = EventPointSearch(
        question=question,
        formulation="unit_events",
        limits=SearchLimits(time_limit=seconds, clock=lambda: float(next(looks))),
        incumbent=Incumbent(question=question, relative_gap=1e-4),
        bound=GlobalBound(maximises=True, relative_gap=1e-4),
        may_choose=True,
        may_ask=False,
        keeps_on=True,
        pause_after=1e9,
        report=lambda _: None,
    )
    stock = {s.name: s.initial for s in network.states.values() if not s.unlimited}
    nothing = Schedule(batches=(), final_stock=stock, horizon=HOURS)
    valued = points.incumbent.valued(nothing)
    assert valued is not None
    points.adopt(*valued, SolveResult(status=Status.FEASIBLE))
    return points


@pytest.mark.long
def test_windows_reach_what_a_grid_proves():
    reached = 0
    for seed in range(3):
        network = draw_plant(seed)
        best = best_on_grid(network, HOURS)
        points = begin(network)
        improve_in_windows(points, seconds=40.0)
        value = points.incumbent.value
        assert value <= best + 1e-5 * max(1.0, abs(best)), network.to_dict()
        reached += value >= best - 1e-4 * max(1.0, abs(best))
    assert reached >= 2


def test_what_lies_outside_a_window_stays():
    network = next(draw_plant(seed) for seed in range(20) if best_on_grid(draw_plant(seed), HOURS))
    points = begin(network)
    improve_in_windows(points, seconds=40.0)
    before = points.incumbent.schedule
    assert before.batches
    better, ended = points.solve_window(3, 0, kept=set(), window=(3, 3), time_limit=10.0)
    # Nothing is kept and nothing is free: only doing nothing is left, which is no better.
    assert ended
    assert not better
    assert points.incumbent.schedule is before


@pytest.mark.parametrize("seconds", [0.0, 400.0])
def test_without_time_or_with_all_proven_nothing_is_tried(seconds):
    points = begin(draw_plant(0))
    points.settled = bool(seconds)
    tried = len(points.tried)
    improve_in_windows(points, seconds=seconds)
    assert len(points.tried) == tried


def test_event_points_that_were_not_tried_are_all_free_at_first():
    network = next(draw_plant(seed) for seed in range(20) if best_on_grid(draw_plant(seed), HOURS))
    attempts = {}
    for anew in (True, False):
        points = begin(network)
        added = points.tried.copy()
        improve_on_events(points, seconds=200.0, anew=anew)
        attempts[anew] = [each.n_events for each in points.tried[len(added) :]]
        assert points.pause_after > 1e6
    assert attempts[True][0] == 1  # all of them, two fewer than there are but at least one
    assert attempts[True][:3] != attempts[False][:3]


def test_half_of_the_time_is_for_all_event_points_and_the_rest_for_windows(monkeypatch):
    network = next(draw_plant(seed) for seed in range(20) if best_on_grid(draw_plant(seed), HOURS))
    points, paused = begin(network), []
    monkeypatch.setattr(
        EventPointSearch, "add_events", lambda self, *_: paused.append(self.pause_after)
    )
    begun = points.limits.elapsed
    improve_on_events(points, seconds=100.0, anew=True)
    assert paused[0] - begun == pytest.approx(50.0, abs=5.0)
    assert points.limits.elapsed - begun <= 110.0
