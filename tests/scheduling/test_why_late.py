"""Which orders are late or missing, and what makes them so: small plants, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import stnopt
from stnopt.plant import Order, PlantState, Problem, RunningBatch, read_network
from stnopt.plant.read import read_problem
from stnopt.scheduling.diagnosis.late_orders import describe_order, find_late_orders
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock

#: Seconds, whatever the clock: each search here ends by its proof, on a busy machine too.
AMPLE = 36_000.0


def two_steps(units=None, **changes):
    """A -> B in R (10 in 2 h), B -> P in S (20 in 1 h), 40 of A in stock."""
    plant = {
        "name": "two steps",
        "amount_unit": "kg",
        "time_unit": "h",
        "states": {"A": {"initial": 40} | changes.pop("A", {}), "B": {}, "P": {"price": 1}},
        "tasks": {
            "React": {
                "consumes": {"A": 1},
                "produces": {"B": 1},
                "units": {"R": {"max_batch": 10, "fixed_time": 2} | changes.pop("R", {})},
            },
            "Split": {
                "consumes": {"B": 1},
                "produces": {"P": 1},
                "units": {"S": {"max_batch": 20, "fixed_time": 1} | changes.pop("S", {})},
            },
        },
    }
    return read_network(plant | ({"units": units} if units else {}) | changes)


def explained(network, *orders, horizon=12, **options):
    found = stnopt.explain_infeasible(
        network, Problem(horizon=horizon, orders=orders), time_limit=AMPLE, **options
    )
    assert find_violations(found.schedule, network) == []
    return found


def only(found):
    (late,) = found.orders.late
    return late


def test_a_unit_that_runs_without_a_gap():
    # 20 of P are two batches of R, which end at 4 h, and 1 h of S: 5 h, one hour late.
    found = explained(two_steps(), Order("4711", "P", 20, 4))
    late = only(found)
    assert late.lateness == pytest.approx(1)
    assert (late.bottleneck, late.busy) == ("R", pytest.approx(4))
    assert [(w.kind, w.element, w.task) for w in late.waits] == [
        ("batch", "R", "React"),
        ("batch", "R", "React"),
        ("batch", "S", "Split"),
    ]
    assert [(w.since, w.until) for w in late.waits] == [
        (pytest.approx(a), pytest.approx(b)) for a, b in ((0, 2), (2, 4), (4, 5))
    ]
    assert late.reasons == ()  # sums see 4 h of R by 4 h, not that S comes after it
    assert found.sentences == (
        "Of 1 order, 1 late within 12 h:",
        "  4711 20 kg P, due 4 h: 20 at 5 h, 1 h late",
        "    It waits for R: React from 0 h to 2 h and React from 2 h to 4 h.",
        "Whatever its event points, no schedule misses less of the orders or, missing as little, "
        "is less late (1 h in all, weighted by priority).",
    )
    assert found.orders.tardiness == pytest.approx(1)
    assert found.orders.tardiness_bound == pytest.approx(1, rel=1e-3)
    assert not found.is_met
    # The same with weaker proofs.
    here = replace(found, orders=replace(found.orders, holds_for_any=False), n_events=3)
    assert here.sentences[-1].startswith("On 3 event points no schedule misses less of the orders")
    open_ = replace(here.orders, is_proven=False, tardiness_bound=0.5)
    assert replace(found, orders=open_).sentences[-1] == (
        "Undecided whether a schedule misses less of the orders or is less late (1 h in all, "
        "weighted by priority): a limit came first; missing as little, none is less late than "
        "0.5 h."
    )


def test_a_route_that_is_too_long_and_a_date_that_has_passed():
    found = explained(two_steps(), Order("a", "P", 5, 2), Order("b", "P", 5, -1))
    first, second = found.orders.late
    assert first.sentences() == (
        "It was due before the schedule begins.",
        "It waits for R: React from 0 h to 2 h.",
    )
    assert first.lateness == pytest.approx(4)
    assert second.sentences() == (
        "No schedule delivers it by 2 h: the quickest way to any P takes 3 h.",
        "It waits for R: React from 0 h to 2 h.",
    )


def test_orders_that_are_met():
    found = explained(two_steps(), Order("a", "P", 10, 3))
    assert found.is_met
    assert found.orders.late == ()
    assert found.sentences[0].startswith("The demand can be met within 12 h after all")


def test_material_that_arrives_late():
    # 10 of A come at 6 h: 2 h of R and 1 h of S later there is P.
    network = two_steps(A={"initial": 0, "arrivals": [[6, 10]]})
    late = only(explained(network, Order("a", "P", 8, 5)))
    assert (late.bottleneck, late.busy) == ("A", pytest.approx(6))
    assert late.sentences() == (
        "No schedule delivers it by 5 h: the quickest way to any P takes 9 h.",
        "It waits for A: it arrives at 6 h.",
    )
    assert late.lateness == pytest.approx(4)
    # With 5 of A in stock the quickest way is short, and still 3 are not there by 5 h.
    network = two_steps(A={"initial": 5, "arrivals": [[6, 10]]})
    late = only(explained(network, Order("a", "P", 8, 5)))
    assert late.sentences() == (
        "No schedule delivers it by 5 h: the demand takes at least 8 kg of A, of which only 5 kg "
        "is there by 5 h.",
        "It waits for A: it arrives at 6 h.",
    )


def test_a_batch_that_runs_at_the_beginning():
    # R is busy until 3 h with a batch whose 10 are enough: S from 3 to 4 h.
    start = PlantState(
        running=[RunningBatch(task="React", unit="R", started=-1, size=10, remaining=3)]
    )
    late = only(explained(two_steps(), Order("a", "P", 8, 3), start=start))
    assert late.sentences() == (
        "No schedule delivers it by 3 h: the quickest way to any P takes 4 h.",
        "It waits for R: React from 0 h to 3 h.",
    )


@pytest.mark.long
def test_a_unit_that_is_away():
    # S is there again at 6 h and needs an hour.
    network = two_steps(units={"S": {"unavailable": [[1, 6]]}})
    late = only(explained(network, Order("a", "P", 8, 4)))
    assert late.lateness == pytest.approx(3)
    assert (late.bottleneck, late.busy) == ("S", pytest.approx(6))
    assert late.sentences()[-1] == "It waits for S: away from 1 h to 6 h and Split from 6 h to 7 h."


def test_a_changeover_and_a_cleaning():
    # 16 of P take two batches of R, and R is cleaned for 3 h between any two: 2 + 3 + 2 + 1.
    network = two_steps(units={"R": {"clean_after": {"batches": 1, "duration": 3}}})
    late = only(explained(network, Order("a", "P", 16, 6)))
    assert late.lateness == pytest.approx(2)
    assert (late.bottleneck, late.busy) == ("R", pytest.approx(7))
    assert late.sentences()[-1] == (
        "It waits for R: React from 0 h to 2 h, changed over or cleaned from 2 h to 5 h and React "
        "from 5 h to 7 h."
    )
    network = two_steps(units={"R": {"changeovers": {"React": {"React": 3}}}})
    assert only(explained(network, Order("a", "P", 16, 6))).waits == late.waits


def test_a_utility_that_another_unit_uses():
    # Steam is enough for one of the two: the batches of R that both orders need come first, as a
    # schedule made by hand has it; then S.
    draws = {"draws": {"steam": 4}}
    network = two_steps(R=draws, S=draws, utilities={"steam": {"capacity": 5}})
    batches = (
        Batch("React", "R", 0, 2, 10),
        Batch("React", "R", 2, 4, 10),
        Batch("Split", "S", 4, 5, 10),
    )
    order = Order("a", "P", 10, 3)
    served = stnopt.plant.ServedOrder(order, ((5, 10),))
    stock = compute_final_stock(batches, network, orders=[served])
    schedule = Schedule(batches=batches, final_stock=stock, horizon=8, orders=(served,))
    assert find_violations(schedule, network) == []
    (late,) = find_late_orders(schedule, network)
    # S could start at 4 h: its material came with the steam that R gave back.
    assert [(w.kind, w.element, w.until) for w in late.waits] == [
        ("batch", "R", 2),
        ("batch", "R", 4),
        ("batch", "S", 5),
    ]
    small = (Batch("React", "R", 0, 2, 10), Batch("React", "R", 2, 4, 5), *batches[2:])
    stocked = two_steps(R=draws, S=draws, utilities={"steam": {"capacity": 5}}, A={"initial": 40})
    states = stocked.to_dict()["states"] | {"B": {"initial": 10}}
    stocked = read_network(stocked.to_dict() | {"states": states})
    stock = compute_final_stock(small, stocked, orders=[served])
    schedule = Schedule(batches=small, final_stock=stock, horizon=8, orders=(served,))
    (late,) = find_late_orders(schedule, stocked)
    assert late.waits[-1].element == "S"
    assert late.bottleneck == "R"


@pytest.mark.long
def test_an_order_for_which_there_is_too_little():
    found = explained(two_steps(), Order("a", "P", 50, 9))
    late = only(found)
    assert (late.missing, late.bottleneck, late.waits) == (50, "A", ())
    assert late.sentences() == (
        "No schedule delivers it within 12 h: the demand takes at least 50 kg of A, and only 40 kg "
        "are in stock.",
    )
    assert found.orders.missing_bound == pytest.approx(1)
    assert found.sentences[-1] == "Infeasible for every horizon."
    # In parts 40 of them are delivered.
    late = only(explained(two_steps(), Order("a", "P", 50, 9, partial=True)))
    assert late.missing == pytest.approx(10)
    assert late.bottleneck == "A"


def test_orders_that_have_no_time_together():
    # Each takes two batches of R, 4 h; both take 8 of its 7 h.
    found = explained(
        two_steps(), Order("a", "P", 20, 7), Order("b", "P", 16, 7, priority=2), horizon=7
    )
    late = only(found)
    assert late.served.order.id == "a"
    assert late.sentences() == (
        "No schedule delivers all orders within 7 h: the demand takes at least 8 h of R, which is "
        "there for 7.",
    )
    assert (late.reasons, late.bottleneck) == ((), "R")
    assert found.sentences[0] == "Of 2 orders, 1 missing, wholly or in part within 7 h:"
    assert found.sentences[3].startswith("  b 16 kg P, due 7 h: 16 at ")
    assert found.sentences[3].endswith(", on time")
    assert found.sentences[-1] == (
        "Feasible from horizon 9 h, and from none shorter, whatever the event points."
    )


def test_no_room_for_a_whole_order():
    network = two_steps()
    plant = network.to_dict()
    network = read_network(plant | {"states": plant["states"] | {"P": {"capacity": 4}}})
    late = only(explained(network, Order("a", "P", 30, 12)))
    assert late.sentences() == (
        "No schedule delivers it within 12 h: 30 kg of P do not fit: storage holds 4, and 20 at "
        "most can wait in the units that make it.",
    )
    assert explained(network, Order("a", "P", 30, 12, partial=True)).is_met


def test_targets_beside_orders():
    # 20 of P for the order and 20 to keep are all 40 of A: 9 h. Of a target of 30 ten are short,
    # even if the order goes without.
    order = Order("a", "P", 20, 5)
    network = two_steps()
    both = stnopt.explain_infeasible(
        network, Problem(horizon=9, orders=[order], targets={"P": 20}), time_limit=AMPLE
    )
    assert both.is_met
    short = stnopt.explain_infeasible(
        network, Problem(horizon=9, orders=[order], targets={"P": 50}), time_limit=AMPLE
    )
    assert short.orders is None
    assert short.short == pytest.approx({"P": 10})


def test_a_row_of_an_order():
    network = two_steps()
    order = Order("7", "P", 5, 2, partial=True)
    served = stnopt.plant.ServedOrder(order, ((3, 2), (4, 1)), may_miss=True)
    assert describe_order(served, 8, network) == (
        "7 5 kg P, due 2 h: 2 at 3 h, 1 at 4 h, 2 kg missing, 6 h late"
    )
    whole = stnopt.plant.ServedOrder(order, ((1, 5),))
    clock = {1: "07:00", 2: "08:00"}.get
    assert describe_order(whole, 8, network, clock) == "7 5 kg P, due 08:00: 5 at 07:00, on time"


PAINT = Path(__file__).parents[2] / "../shared/cases/scheduling/paint_late_order.yaml"
LATE = Path(__file__).parents[2] / "../shared/cases/scheduling/late_orders.yaml"


def orders_of(path):
    deliveries = read_problem(path).deliveries
    return [Order(f"{d.state} at {d.time:g}", d.state, d.amount, d.time) for d in deliveries]


@pytest.mark.skipif(not PAINT.exists(), reason="a case that is kept beside the repository")
def test_a_paint_order_waits_for_the_reactor():
    network = read_network(PAINT)
    problem = Problem(horizon=10, objective="tardiness", orders=orders_of(PAINT))
    found = stnopt.find_schedule(network, problem, n_events=5, max_span=0)
    (late,) = find_late_orders(found.schedule, network)
    assert late.lateness == pytest.approx(0.8167, abs=1e-3)
    assert late.bottleneck == "Reactor"
    assert late.sentences() == (
        # 1 h of the Reactor from 1.6667 h on, and 0.25 h of filling at least.
        "No schedule delivers it by 2.5 h: the quickest way to any White takes 2.917 h.",
        "It waits for Reactor: away from 0 h to 1.667 h and LetdownW from 1.667 h to 2.667 h.",
    )


@pytest.mark.skipif(not LATE.exists(), reason="a case that is kept beside the repository")
def test_the_first_of_two_orders_waits_for_the_unit_that_both_need():
    found = stnopt.explain_infeasible(
        read_network(LATE), Problem(horizon=24, orders=orders_of(LATE)), time_limit=AMPLE
    )
    (late,) = found.orders.late
    assert late.served.order.id == "M4 at 4"
    assert (late.lateness, late.bottleneck) == (pytest.approx(3), "U2")
    assert late.busy == pytest.approx(5)  # T2 for the other order, then T3
    assert late.reasons[0].message == "The quickest way to any M4 takes 5 h."
