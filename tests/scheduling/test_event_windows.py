"""Windows of event points: they lead from next to nothing to what a grid proves to be the best."""

from __future__ import annotations

import itertools

import pytest
from time_grid import best_on_grid, draw_plant

from stnopt.plant.problem import Problem
from stnopt.scheduling.schedule import Schedule
from stnopt.scheduling.search.event_points import EventPointSearch
from stnopt.scheduling.search.event_windows import improve_in_windows
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
