"""What schedules were seen to cost: planes that steer plans, beside costs counted by hand."""

from __future__ import annotations

import math

import numpy as np
import one_reactor
import pytest

import stnopt
from stnopt.planning.book import KnowledgeBook
from stnopt.planning.cost_cut import CostCut
from stnopt.planning.fewer_batches import leave_out_batches
from stnopt.planning.question import period_questions
from stnopt.planning.schedule_period import schedule_period
from stnopt.planning.store import PlanStore
from stnopt.planning.true_cost import CostRefiner


def cost_by_hand(amounts: np.ndarray) -> float:
    batches = sum(math.ceil(a / one_reactor.SIZE - 1e-9) for a in amounts)
    raw = amounts @ np.array([one_reactor.RAW_COST[p] for p in "AB"])
    return float(raw + one_reactor.BATCH_COST * batches)


@pytest.mark.parametrize("wanted", [(33.0, 0.0), (12.0, 14.0)])
def test_a_plane_meets_the_cost_and_is_below_it_near_by(wanted: tuple[float, float]):
    (question,) = period_questions(one_reactor.problem((10, 20))).values()
    book = KnowledgeBook(PlanStore(None))
    costs = CostRefiner(book=book, period_limit=5.0, remaining=lambda: math.inf)
    amounts = np.array(wanted)
    answer, _ = schedule_period(book.of(question), question, amounts, time_limit=5.0)
    assert answer.schedule is not None
    made, seen = [(question, amounts, answer.schedule)], dict[str, list[CostCut]]()
    exact = cost_by_hand(amounts)
    assert costs.least_cost(question, amounts) < exact * (1 - 5e-3)  # sums know no whole batches
    assert costs.see(made, seen)
    ((plane,),) = seen.values()
    assert plane.at(amounts) == pytest.approx(exact, rel=1e-4)
    for share in (0.93, 0.97, 1.0, 1.03, 1.06):
        assert plane.at(share * amounts) <= cost_by_hand(share * amounts) * (1 + 1e-4)
    assert book.of(question).cuts_of(question) == []  # nothing is proven by it
    assert not costs.see(made, seen)  # it is known by now


def test_a_batch_that_only_its_least_size_keeps_is_left_out():
    """Beside 36 batches that are wanted, one of which nothing is, and which cannot be smaller."""
    plant = {
        "name": "two units",
        "states": {"Raw": {"initial": "unlimited", "cost": 1}, "A": {}, "B": {}},
        "tasks": {
            "MakeA": {
                "consumes": {"Raw": 1},
                "produces": {"A": 1},
                "units": {"Reactor": {"max_batch": 10, "fixed_time": 1}},
            },
            "MakeB": {
                "consumes": {"Raw": 1},
                "produces": {"B": 1},
                "units": {"Mixer": {"min_batch": 5, "max_batch": 10, "fixed_time": 1}},
            },
        },
    }
    content = {
        "periods": 1,
        "facilities": {"main": {"plant": plant, "horizon": 40}},
        "demand": [{"period": 1, "product": p, "amount": 1} for p in "AB"],
    }
    (question,) = period_questions(stnopt.read_planning_problem(content)).values()
    needed = [stnopt.Batch("MakeA", "Reactor", t, t + 1, 10) for t in range(36)]
    idle = stnopt.Batch("MakeB", "Mixer", 0, 1, 5)
    schedule = stnopt.Schedule(
        batches=(*needed, idle), final_stock={"Raw": 365, "A": 360, "B": 5}, horizon=40
    )
    assert stnopt.find_violations(schedule, question.network) == []
    fewer = leave_out_batches(schedule, question, question.problem([360, 0]))
    assert [batch.task for batch in fewer.batches] == ["MakeA"] * 36
    assert fewer.final_stock["A"] == pytest.approx(360)
