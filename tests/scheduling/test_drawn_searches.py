"""A few drawn searches with all rules mixed; `benchmarks/drawn_searches.py` does it with 600."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest
from drawn_pairs import draw_pair
from drawn_problems import draw_solved, judge_search

from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.solvers import solve


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("kind", ["mixed", "makespan"])
@pytest.mark.parametrize("seed", range(4))
def test_searches_by_event_points_say_nothing_wrong(seed, kind):
    drawn, best = draw_solved(seed, kind)
    found = find_schedule(drawn.network, drawn.problem, start=drawn.start, proof_limit=0)
    verdict, why = judge_search(drawn, best, found)
    assert verdict in ("equal", "below", "nothing found"), why


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", range(6))
def test_models_in_larger_ones_are_never_better_than_the_grid(seed):
    pair, best = draw_pair(seed)
    outer = pair.build(n_events=2, max_span=1)
    if not solve(outer).has_solution:
        return
    assert best is not None
    assert pyo.value(outer.worth) <= best + 2e-4 * max(1.0, abs(best))
    assert pair.violations(outer) == []


def test_what_is_wrong_is_called_so():
    drawn, best = draw_solved(0)
    found = find_schedule(drawn.network, drawn.problem, start=drawn.start, proof_limit=0)
    better = best._replace(value=best.value - 1 if _grows(drawn) else best.value + 1)
    assert judge_search(drawn, better, found)[0] == "wrong"
    assert judge_search(drawn, None, found)[0] == "wrong"


def _grows(drawn):
    return drawn.problem.objective in ("profit", "production")
