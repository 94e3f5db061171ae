"""What a long search tells of itself, what it begins with, and several workers."""

from __future__ import annotations

from itertools import count

import pytest
from small_plants import plant, run, task

from stnopt import find_schedule
from stnopt.errors import InvalidInputError
from stnopt.plant.problem import Problem
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Schedule, schedule_value
from stnopt.scheduling.search.long_horizon import portfolio
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.long_horizon.portfolio import search_portfolio

CHAIN = plant(
    {"A": {"initial": "unlimited", "cost": 1}, "I": {"capacity": 10}, "P": {"price": 3}},
    {
        "First": task("A", "I", U1=run(2, 10)),
        "Second": task("I", "P", U2=run(3, 10)),
    },
)
#: Seconds, whatever the clock: each search here ends by its proof, on a busy machine too.
AMPLE = 36_000.0
EMPTY = Schedule(batches=(), final_stock={}, horizon=11)


def test_a_callable_is_told_the_best_the_bound_and_the_gap():
    told = []
    found = find_schedule(CHAIN, horizon=11, time_limit=AMPLE, progress=told.append)
    assert found.schedule is not None
    assert all(each.what for each in told)
    assert [each.seconds for each in told] == sorted(each.seconds for each in told)
    known = [each for each in told if each.schedule is not None]
    assert known
    for each in known:
        assert find_violations(each.schedule, CHAIN) == []
        assert each.value == pytest.approx(schedule_value(each.schedule, CHAIN, "profit"))
        if each.bound is not None:
            assert each.gap == pytest.approx(abs(each.bound - each.value) / abs(each.value))


def test_an_interrupt_in_the_callable_leaves_the_best():
    def stop(each):
        if each.schedule is not None:
            raise KeyboardInterrupt

    found = find_schedule(CHAIN, horizon=11, time_limit=AMPLE, progress=stop)
    assert found.stopped == "interrupted"
    assert found.schedule is not None


def test_numbers_of_workers_are_checked():
    with pytest.raises(InvalidInputError, match="n_jobs"):
        find_schedule(CHAIN, horizon=11, n_jobs=0)


def test_a_value_that_raw_material_limits_is_found_on_a_shorter_horizon():
    """With 40 of A there are four batches: as much in 1,000 h as in 14."""
    scarce = plant(
        {"A": {"initial": 40}, "I": {"capacity": 10}, "P": {"price": 3}},
        {"First": task("A", "I", U1=run(2, 10)), "Second": task("I", "P", U2=run(3, 10))},
    )
    ticks = count()
    schedule, bound = search_long_horizon(
        scarce, Problem(horizon=1000), time_limit=200, clock=lambda: float(next(ticks))
    )
    assert schedule.horizon == 1000
    assert schedule_value(schedule, scarce, "profit") == pytest.approx(120)
    assert bound == pytest.approx(120)
    assert next(ticks) < 100  # proven, and not the end of the time


class Gone(Exception):
    """As joblib's backends name it."""


Gone.__name__ = "TerminatedWorkerError"


def in_turn(fates):
    """Stand in for joblib: run each job here, or have its worker die."""

    class Parallel:
        def __init__(self, **settings):
            assert settings["n_jobs"] == len(fates)

        def __call__(self, jobs):
            for fate, (work, args, kwargs) in zip(fates, jobs, strict=True):
                if fate == "dies":
                    raise Gone
                yield work(*args, **kwargs)

    return Parallel


@pytest.mark.parametrize("fates", [("lives", "lives"), ("lives", "dies"), ("dies", "dies")])
def test_a_worker_that_dies_costs_its_share(fates, monkeypatch):
    monkeypatch.setattr(portfolio, "Parallel", in_turn(fates))
    problem = Problem(horizon=11)
    schedule, bound = search_portfolio(CHAIN, problem, n_jobs=2, time_limit=AMPLE, warm=EMPTY)
    alone, _ = search_long_horizon(CHAIN, problem, time_limit=AMPLE)
    values = [schedule_value(each, CHAIN, "profit") for each in (schedule, alone)]
    assert values[0] == pytest.approx(values[1])
    assert bound >= values[0] - 1e-6


def test_what_is_wrong_in_a_worker_is_not_hidden(monkeypatch):
    class Parallel:
        def __init__(self, **settings):
            pass

        def __call__(self, jobs):
            raise ValueError("a mistake")
            yield

    monkeypatch.setattr(portfolio, "Parallel", Parallel)
    with pytest.raises(ValueError, match="a mistake"):
        search_portfolio(CHAIN, Problem(horizon=11), n_jobs=2, time_limit=AMPLE)


@pytest.mark.long
def test_real_workers_find_what_one_finds():
    schedule, bound = search_portfolio(CHAIN, Problem(horizon=11), n_jobs=2, time_limit=AMPLE)
    assert find_violations(schedule, CHAIN) == []
    assert schedule_value(schedule, CHAIN, "profit") == pytest.approx(60)
    assert bound == pytest.approx(60)
