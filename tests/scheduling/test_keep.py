"""Batches that stay as they are: `find_schedule(..., keep=)` by hand, and against an exact grid."""

from __future__ import annotations

from random import Random

import pytest
from plants_at_work import CHAIN, P, late, plant, profit
from test_drawn_at_work import HOURS, drawn
from time_grid import best_of_all

from stnopt import find_schedule
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.plant import Order, PlantState, RunningBatch
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch
from stnopt.solvers.solve import Status

NETWORK = plant({"I": {"capacity": 0}} | P, CHAIN)
#: R is free from 4 on and has time for one more batch by 8.
MIDDLE = Batch("Make", "R", 1, 4, 10)


def test_one_batch_stays_and_the_rest_is_the_best_beside_it():
    """R from 1 to 4 and 4 to 7, V twice: 20 by 8. Without it R would run 0 to 3 and 3 to 6."""
    found = find_schedule(NETWORK, horizon=8, keep=[MIDDLE])
    assert MIDDLE in found.schedule.batches
    assert found.result.objective == pytest.approx(20)
    assert found.stopped == "proven"
    by_seven = find_schedule(NETWORK, horizon=7, keep=[MIDDLE], proof_limit=0)
    assert by_seven.result.objective == pytest.approx(10)  # without it: 20
    assert MIDDLE in by_seven.schedule.batches


def test_the_shortest_makespan_beside_it():
    found = find_schedule(NETWORK, objective="makespan", targets={"P": 20}, keep=[MIDDLE])
    assert found.result.objective == pytest.approx(8)
    assert MIDDLE in found.schedule.batches


def test_a_whole_schedule_is_what_the_search_begins_with():
    old = find_schedule(NETWORK, horizon=8, keep=[MIDDLE]).schedule
    again = find_schedule(NETWORK, horizon=8, keep=old)
    assert again.schedule == old
    assert set(old.batches) <= set(find_schedule(NETWORK, horizon=12, keep=old).schedule.batches)


def test_a_schedule_that_does_not_meet_the_demand_still_stays():
    """It leaves 20 of P, and 30 are asked for: its batches are kept, and one of each is added."""
    old = find_schedule(NETWORK, horizon=8, keep=[MIDDLE]).schedule
    more = find_schedule(NETWORK, horizon=12, targets={"P": 30}, objective="cost", keep=old)
    assert set(old.batches) <= set(more.schedule.batches)
    assert more.schedule.final_stock["P"] >= 30 - 1e-4


def test_with_a_state_and_an_order():
    """R runs until 2; its 10 wait in V's turn. A batch of V at 4 stays: the order is 4 h late."""
    start = PlantState(running=[running()])
    use = Batch("Use", "V", 4, 5, 10)
    problem = late(6, Order("a", "P", 10, 1))
    alone = find_schedule(NETWORK, problem, start=start)
    assert alone.result.objective == pytest.approx(2)
    beside = find_schedule(NETWORK, problem, start=start, keep=[use])
    assert use in beside.schedule.batches
    # At 2 V could make the order of what R has, and then lacks material at 4: R needs 3 h.
    assert beside.result.objective == pytest.approx(4)
    assert beside.missing == pytest.approx(0)


def running():
    return RunningBatch(task="Make", unit="R", started=-1, size=10, remaining=2)


@pytest.mark.parametrize(
    ("keep", "named"),
    [
        ([Batch("Use", "V", 1, 2, 10)], "I at t = 1"),  # nothing makes I by then
        ([Batch("Make", "R", 1, 4, 11)], "size 11"),
        ([Batch("Make", "R", 1, 5, 10)], "lasts 4"),
        ([Batch("Make", "R", 6, 9, 10)], "after the horizon"),
        ([Batch("Make", "V", 1, 4, 10)], "runs only on R"),
        ([Batch("Bake", "R", 1, 4, 10)], "no task 'Bake'"),
        ([MIDDLE, Batch("Make", "R", 3, 6, 10)], "while it runs"),
        (["Make"], "expected a Schedule or a list of Batch"),
    ],
)
def test_a_batch_that_cannot_stay_is_named(keep, named):
    with pytest.raises(InvalidInputError, match=named):
        find_schedule(NETWORK, horizon=8, keep=keep)


def test_all_that_cannot_stay_at_once():
    with pytest.raises(InvalidInputError) as error:
        find_schedule(
            NETWORK,
            horizon=8,
            keep=[Batch("Bake", "R", 1, 4, 10), Batch("Make", "R", 6, 9, 10)],
        )
    assert len(error.value.problems) == 2


def test_a_batch_in_a_period_away_is_named():
    network = plant({"I": {}} | P, CHAIN, units={"R": {"unavailable": [(3, 5)]}})
    with pytest.raises(InvalidInputError, match="unavailable from t = 3"):
        find_schedule(network, horizon=8, keep=[MIDDLE])


def test_only_what_comes_too_soon_is_refused():
    """What the stock, or a batch that runs, makes possible may stay."""
    use = Batch("Use", "V", 2, 3, 10)
    start = PlantState(running=[running()])
    found = find_schedule(NETWORK, horizon=3, start=start, keep=[use])
    assert found.schedule.batches == (use,)
    with pytest.raises(InvalidInputError, match="I at t = 2"):
        find_schedule(NETWORK, horizon=3, keep=[use])


def test_another_formulation_is_refused_by_name():
    with pytest.raises(UnsupportedModelError, match="state_sequence"):
        find_schedule(
            plant(), horizon=3, keep=[Batch("Make", "U", 0, 1, 5)], formulation="state_sequence"
        )


def test_what_is_kept_between_the_points_of_the_grid():
    """At 0.5 and a third no short grid has a point: event points find 10 + 10 + 4."""
    kept = Batch("Make", "U", 0.5 + 1 / 3, 1.5 + 1 / 3, 4)
    found = find_schedule(plant(), profit(4), keep=[kept], proof_limit=0)
    assert kept in found.schedule.batches
    assert found.result.objective == pytest.approx(24)


@pytest.mark.few_seeds(3)
@pytest.mark.parametrize("seed", range(24))
def test_drawn_plants_beside_what_is_kept(seed):
    """Batches of one schedule are kept under another demand; the grid says what is best then."""
    network, start, problem = drawn(seed)
    random = Random(seed)
    first = best_of_all(network, HOURS, start=start, orders=problem.orders)
    try:
        found = find_schedule(network, horizon=HOURS, start=start, proof_limit=0)
    except UnsupportedModelError:
        return
    if first is None or found.schedule is None or not found.schedule.batches:
        return
    batches = [b for b in found.schedule.batches if abs(b.start - round(b.start)) < 1e-6]
    kept = random.sample(batches, min(len(batches), random.randint(1, 2)))
    kept = [Batch(b.task, b.unit, round(b.start), round(b.finish), b.size) for b in kept]
    best = best_of_all(
        network,
        HOURS,
        start=start,
        orders=problem.orders,
        objective=problem.objective,
        keep=kept,
    )
    # Seed 15 has no end within minutes; what a search that is cut off has is checked all the same.
    beside = find_schedule(network, problem, start=start, keep=kept, time_limit=30)
    if best is None:
        assert beside.schedule is None
        return
    if beside.schedule is not None:
        assert not find_violations(beside.schedule, network)
    if beside.stopped != "proven":
        pytest.skip("a limit came first")
    assert beside.result.status is Status.OPTIMAL
    for batch in kept:
        assert batch in beside.schedule.batches
    assert beside.result.objective == pytest.approx(best.value, abs=2e-3)
    assert (beside.missing or 0.0) == pytest.approx(best.missing, abs=1e-4)
