"""Plans against those counted by hand; bounds below them; stores that are gone on from."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import one_reactor
import pytest

import stnopt
from stnopt.planning import schedule_period as schedule_period_module
from stnopt.planning.store import PlanStore

if TYPE_CHECKING:
    from pathlib import Path

AMOUNTS = ((12.0, 30.0), (18.0, 15.0), (5.0, 20.0))


def check(search: stnopt.PlanSearch, problem: stnopt.PlanningProblem, exact: float) -> None:
    assert search.verified
    rounding = 1e-6 * exact  # an amount is met to the replay's tolerance
    assert search.bound <= exact + rounding
    assert exact - rounding <= search.cost <= exact * (1 + 5e-3)
    for found in search.verification.checks:
        network = problem.facilities[found.facility].network
        assert stnopt.find_violations(found.schedule, network) == []
        for product, amount in found.planned.items():
            assert found.schedule.final_stock[product] >= amount - 1e-4


@pytest.mark.parametrize(
    "amounts",
    [pytest.param(AMOUNTS, marks=pytest.mark.long), AMOUNTS[:2], ((0.0, 45.0), (39.0, 0.0))],
)
def test_a_plan_with_a_certified_region(
    amounts: tuple[tuple[float, float], ...], staircase: stnopt.CertifiedRegion
):
    problem = one_reactor.problem(*amounts)
    search = stnopt.find_plan(problem, regions={"main": staircase})
    check(search, problem, one_reactor.cheapest(*amounts))
    assert search.first_failed is False


@pytest.mark.long
def test_a_plan_without_regions():
    problem = one_reactor.problem(*AMOUNTS)
    search = stnopt.find_plan(problem)
    check(search, problem, one_reactor.cheapest(*AMOUNTS))


def test_a_learned_region_whose_plans_fail_is_corrected():
    # it claims 40 of both at once
    wrong = stnopt.LinearRegion(
        inputs=("A", "B"),
        weights=np.ones(2),
        offset=-80.0,
        lower=np.zeros(2),
        upper=np.full(2, 40.0),
    )
    # 40 in all fit into a period's hours, but not as 15 and 25: that takes five batches
    amounts = ((15.0, 25.0), (15.0, 25.0))
    problem = one_reactor.problem(*amounts)
    search = stnopt.find_plan(problem, regions={"main": wrong})
    assert search.first_failed
    check(search, problem, one_reactor.cheapest(*amounts))


def test_nothing_is_asked_twice_from_one_run_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    problem, store = one_reactor.problem(*AMOUNTS[:2]), tmp_path / "plans.jsonl"
    asked: list[tuple[float, ...]] = []
    plain = schedule_period_module.find_schedule

    def counted(network, problem, **options):
        asked.append(tuple(sorted(problem.targets.items())))
        return plain(network, problem, **options)

    monkeypatch.setattr(schedule_period_module, "find_schedule", counted)
    stnopt.find_plan(problem, store=store, max_rounds=1)  # as if it had been killed then
    first = list(asked)
    content = store.read_bytes()
    store.write_bytes(content[:-7])  # in the middle of a record
    done = stnopt.find_plan(problem, store=store)
    n_done = len(asked)
    assert len(set(asked)) == n_done
    again = stnopt.find_plan(problem, store=store)
    assert len(asked) == n_done
    assert again.cost == pytest.approx(done.cost, rel=1e-6)
    assert again.bound == pytest.approx(done.bound, rel=1e-6)
    assert first == asked[: len(first)]


def test_a_store_that_is_none_or_in_use_is_refused(tmp_path: Path):
    other = tmp_path / "other.jsonl"
    other.write_text("x,y\n1,2\n")
    problem = one_reactor.problem((1, 1))
    with pytest.raises(stnopt.InvalidInputError, match="not a file that plans were kept in"):
        stnopt.find_plan(problem, store=other)
    assert other.read_text() == "x,y\n1,2\n"
    with (
        PlanStore(tmp_path / "used.jsonl"),
        pytest.raises(stnopt.InvalidInputError, match="in use by another process"),
    ):
        stnopt.find_plan(problem, store=tmp_path / "used.jsonl")


def test_a_stored_schedule_is_replayed_before_it_is_believed(tmp_path: Path):
    problem, store = one_reactor.problem((10, 10)), tmp_path / "plans.jsonl"
    stnopt.find_plan(problem, store=store)
    lines = [json.loads(line) for line in store.read_text().splitlines()]
    for record in lines[1:]:
        schedule = record.get("schedule")
        for batch in schedule["batches"] if schedule else ():
            batch["size"] = 100.0
    store.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(stnopt.InvalidInputError, match=r"line \d+: .*damaged after"):
        stnopt.find_plan(problem, store=store)
    # A store of before records had checksums is read.
    lines = [{k: v for k, v in line.items() if k != "check"} for line in lines]
    lines[0]["format"] = "stnopt plan store 1"
    store.write_text("".join(json.dumps(line) + "\n" for line in lines))
    search = stnopt.find_plan(problem, store=store)
    for found in search.verification.checks:
        assert all(batch.size <= 10 + 1e-6 for batch in found.schedule.batches)


def test_a_demand_that_no_plan_meets_is_infeasible():
    content = one_reactor.document((60, 60))
    del content["lost_cost"]
    problem = stnopt.read_planning_problem(content)
    search = stnopt.find_plan(problem)
    assert (search.plan, search.stopped) == (None, "infeasible")
    found = stnopt.explain_plan(problem)
    assert not any("longer" in relief.what for relief in found.reliefs)  # three times as long
    # four batches of 10 are 40 of 120
    assert found.total == pytest.approx(80, rel=1e-3)
    assert found.short["amount"].sum() == pytest.approx(80, rel=1e-3)
    said = [relief.what for relief in found.reliefs]
    assert "A second Reactor at main" in said
    best = next(r for r in found.reliefs if r.what == "A second Reactor at main")
    assert best.still_short == pytest.approx(40, rel=1e-3)


def test_the_least_relief_in_hours():
    content = one_reactor.document((25, 25))
    del content["lost_cost"]
    found = stnopt.explain_plan(stnopt.read_planning_problem(content))
    # by hours alone 50 are five batches, 10 h: a quarter more than 8 h
    (longer,) = [relief.what for relief in found.reliefs if "longer" in relief.what]
    share = int(longer.removeprefix("Periods ").partition("%")[0])
    assert 25 <= share <= 27


def test_reliefs_by_what_a_plan_costs_with_them():
    """45 of A take 9 h: five too many, in the first period alone. All at fractions of batches."""
    content = one_reactor.document((45, 0), (20, 0))
    del content["lost_cost"], content["backlog_cost"]
    found = stnopt.explain_plan(stnopt.read_planning_problem(content))
    assert found.total == pytest.approx(5, rel=1e-3)
    costs = {r.what: r.cost for r in found.reliefs if r.still_short <= 0}
    first, *_ = costs
    assert first == "5 more of A in stock at main at the start"
    assert costs[first] == pytest.approx(60 + 6 * 3, rel=1e-3)
    others = [what for what in costs if what.startswith(("Period 1 1", "A second Reactor"))]
    assert len(others) == 2
    assert [costs[what] for what in others] == pytest.approx([65 + 6.5 * 3] * 2, rel=1e-3)
    assert "a plan costs at least" in str(found)
    assert not any(what.startswith("Period 2") for what in costs)


def test_a_met_demand_has_nothing_to_explain():
    assert stnopt.explain_plan(one_reactor.problem((10, 10))).is_met


def test_a_limit_stops_with_what_is_there(staircase: stnopt.CertifiedRegion):
    ticks = iter(range(1000))
    problem = one_reactor.problem(*AMOUNTS)
    search = stnopt.find_plan(
        problem, regions={"main": staircase}, time_limit=4, clock=lambda: float(next(ticks))
    )
    assert search.stopped in ("time limit", "gap closed")
    assert search.bound <= one_reactor.cheapest(*AMOUNTS) + 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_limit": 0}, "time_limit: expected positive seconds"),
        ({"period_limit": -1}, "period_limit: expected a positive finite number"),
        ({"relative_gap": 1}, "relative_gap: expected a number in"),
        ({"form": "algebraic"}, "find_plan takes 'inner' or 'outer'"),
    ],
)
def test_arguments_that_are_none(options: dict[str, object], message: str):
    with pytest.raises(stnopt.InvalidInputError, match=message):
        stnopt.find_plan(one_reactor.problem((1, 1)), **options)


def test_prices_make_a_plan_that_earns(staircase: stnopt.CertifiedRegion):
    # 5 for an A that costs 1 and a batch of 3: what is wanted is made, as far as there is time
    content = one_reactor.document((35, 35), price={"A": 5, "B": 5})
    content["lost_cost"] = 0
    del content["backlog_cost"]
    problem = stnopt.read_planning_problem(content)
    search = stnopt.find_plan(problem, regions={"main": staircase})
    # three batches of A and one of B: 30 * 4 + 10 * 3 - 4 * 3
    assert search.cost == pytest.approx(-138, rel=1e-4)
    assert search.bound <= -138 + 1e-6


def test_a_single_product_needs_no_region():
    content = one_reactor.document((0, 0))
    content["demand"] = [{"period": 1, "product": "A", "amount": 33}]
    problem = stnopt.read_planning_problem(content)
    search = stnopt.find_plan(problem)
    assert search.verified
    assert search.cost == pytest.approx(33 + 4 * 3, rel=1e-4)
    assert search.bound == pytest.approx(33 + 4 * 3, rel=6e-3)


def test_a_product_without_raw_material_leaves_the_others():
    # all 10 of A are lost; two batches of 10 of B
    problem = one_reactor.problem((10, 10), (10, 10), facility={"supply": {"RawA": 0}})
    search = stnopt.find_plan(problem)
    assert search.cost == pytest.approx(2 * (10 * 30 + 10 * 2 + 3), rel=1e-4)
    assert search.bound <= 646 + 1e-3


def test_a_period_whose_plant_goes_without_a_raw_material():
    plant = copy.deepcopy(one_reactor.PLANT)
    del plant["states"]["B"], plant["states"]["RawB"], plant["tasks"]["MakeB"]
    facility = {"plants": {"2": plant}, "raw_cost": {"RawB": 3}, "supply": {"RawB": 30}}
    search = stnopt.find_plan(one_reactor.problem((10, 10), (10, 10), facility=facility))
    # A in each period, both periods' B in the first, half of it kept for one
    assert search.cost == pytest.approx(2 * 13 + 20 * 3 + 2 * 3 + 10 * 0.1, rel=1e-4)


def test_costs_of_a_period_are_those_of_its_schedules(staircase: stnopt.CertifiedRegion):
    problem = one_reactor.problem((10, 10), (10, 10), facility={"raw_cost": {"RawA": [1, 9]}})
    search = stnopt.find_plan(problem, regions={"main": staircase})
    # in the first period both periods' A is made; B in each
    by_period = {c.period: c.planned.get("A", 0.0) for c in search.verification.checks}
    assert by_period["1"] == pytest.approx(20, abs=1e-3)
    assert by_period["2"] == pytest.approx(0, abs=1e-3)
    assert replace(problem).facilities["main"].raw_cost["RawA"] == (1.0, 9.0)


def test_a_refused_store_is_not_left_locked(tmp_path: Path):
    path = tmp_path / "other.jsonl"
    path.write_text("x,y\n1,2\n")
    for _ in range(2):  # the second time it is still no store, and not one in use
        with pytest.raises(stnopt.InvalidInputError, match="not a file that plans were kept in"):
            PlanStore(path)
