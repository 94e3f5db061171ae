"""An order's best times and sizes: never worse, replayed, and right by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plants_with_rules import all_cases
from random_plants import draw_cases
from small_plants import plant, run, task

from stnopt.errors import InvalidScheduleError
from stnopt.plant import Delivery
from stnopt.plant.problem import Problem
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock, schedule_value
from stnopt.scheduling.search.improve import improve_schedule, retime
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.solvers.linear_program import solve_program


def schedule_of(network, horizon, *rows, deliveries=()):
    batches = tuple(Batch(*row) for row in rows)
    return Schedule(
        batches=batches,
        final_stock=compute_final_stock(batches, network, deliveries),
        horizon=horizon,
        deliveries=deliveries,
    )


SIZED = plant(
    {"A": {"initial": "unlimited"}, "I": {"capacity": 4}, "P": {"price": 1}},
    {
        "First": task("A", "I", U1=run(1, 10, time_per_amount=0.1)),
        "Second": task("I", "P", U2=run(1, 10, time_per_amount=0.1)),
    },
)


def test_sizes_grow_to_what_the_horizon_holds():
    """Two steps in a row of one size B: 2 (1 + 0.1 B) = 3.6, so that B = 8."""
    timid = schedule_of(SIZED, 3.6, ("First", "U1", 0, 1.2, 2), ("Second", "U2", 1.5, 2.7, 2))
    better = improve_schedule(timid, SIZED, Problem())
    assert schedule_value(better, SIZED, "profit") == pytest.approx(8, abs=1e-5)
    assert find_violations(better, SIZED) == []


def test_a_makespan_is_closed_up():
    slow = schedule_of(SIZED, 10, ("First", "U1", 1, 2.5, 5), ("Second", "U2", 6, 7.5, 5))
    better = improve_schedule(slow, SIZED, Problem(objective="makespan", targets={"P": 5}))
    assert schedule_value(better, SIZED, "makespan") == pytest.approx(3, abs=1e-5)


def test_what_the_rules_forbid_is_repaired_in_the_same_order():
    """Two batches overlap on U1, and the tank for 4 has to take 6. In 6 h: 10 in one batch."""
    rows = (("First", "U1", 0, 1.6, 6), ("First", "U1", 1.5, 2.1, 1), ("Second", "U2", 3, 4.7, 7))
    broken = schedule_of(SIZED, 6, *rows)
    kinds = {violation.kind for violation in find_violations(broken, SIZED)}
    assert kinds == {"overlap", "over_capacity", "duration"}
    mended = improve_schedule(broken, SIZED, Problem())
    assert find_violations(mended, SIZED) == []
    assert [batch.task for batch in mended.batches][-1] == "Second"
    assert schedule_value(mended, SIZED, "profit") == pytest.approx(10, abs=1e-5)


def test_what_cannot_be_repaired_is_refused():
    backwards = schedule_of(SIZED, 5, ("First", "U1", 2, 4, 10), ("Second", "U2", 0, 2, 10))
    with pytest.raises(InvalidScheduleError, match="I at t = 0"):
        improve_schedule(backwards, SIZED, Problem(targets={"P": 1}))
    with pytest.raises(InvalidScheduleError, match="'Third' on 'U1'"):
        improve_schedule(
            Schedule(batches=(Batch("Third", "U1", 0, 1, 1),), final_stock={}, horizon=5),
            SIZED,
            Problem(),
        )
    empty = Schedule(batches=(), final_stock={}, horizon=5)
    with pytest.raises(InvalidScheduleError, match="P: 0 at the end, but 3 are asked for"):
        improve_schedule(empty, SIZED, Problem(targets={"P": 3}))


@pytest.mark.parametrize("name", all_cases())
def test_the_best_schedules_by_hand_stay_the_best(name):
    case = all_cases()[name]
    improved = improve_schedule(case.schedule, case.network, case.problem)
    assert find_violations(improved, case.network) == []
    assert schedule_value(improved, case.network, case.problem.objective) == pytest.approx(
        case.best, abs=1e-4
    )


def test_a_delivery_stays_at_its_time():
    due = (Delivery("P", 4, 3),)
    timid = schedule_of(
        SIZED, 8, ("First", "U1", 0, 1.3, 3), ("Second", "U2", 2, 3.3, 3), deliveries=due
    )
    better = improve_schedule(timid, SIZED, Problem(deliveries=due, targets={"P": 1}))
    assert find_violations(better, SIZED) == []
    assert better.deliveries == due
    assert schedule_value(better, SIZED, "profit") == pytest.approx(10, abs=1e-5)


@pytest.mark.parametrize("shrunk", [1.0, 0.5])
@pytest.mark.long
def test_drawn_plants_lose_nothing_between_grid_and_time(shrunk):
    """On whole hours the grid's optimum is the plant's: retimed it is replayed, and reached."""
    for network, hours, best in draw_cases(25):
        problem = Problem(horizon=hours)
        grid = build_grid(network, problem, width=1.0, modes=choose_modes(network, 1.0, most=1))
        answer = solve_program(grid.program, relative_gap=1e-7, start=do_nothing(grid))
        assert answer.objective == pytest.approx(best, abs=1e-4), network.to_dict()
        schedule = retime(grid.place(answer.x), network, problem)
        assert schedule is not None, network.to_dict()
        assert schedule_value(schedule, network, "profit") == pytest.approx(best, abs=1e-3)
        smaller = replace(
            schedule,
            batches=tuple(
                replace(
                    b,
                    size=max(shrunk * b.size, network.tasks[b.task].units[b.unit].min_batch),
                )
                for b in schedule.batches
            ),
        )
        again = improve_schedule(smaller, network, problem)
        assert schedule_value(again, network, "profit") == pytest.approx(best, abs=1e-3)
