"""Three larger plants, against their sources' tables as typed in once more in another form."""

from __future__ import annotations

import pytest

from stnopt.plant import load_example
from stnopt.plant.problem import Delivery, Problem
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule
from stnopt.scheduling.search.capacity_bound import bound_by_capacity
from stnopt.scheduling.search.find_schedule import find_schedule

# (task, consumes, produces, then unit: time, smallest, largest batch). States are numbered from 0,
# as in the source.
WESTENBERGER_KALLRATH = """
1   0              1             1:2,3,10
2   1              2*40 3*60     2:4,5,20
3   3              1*31 4*69     3:2,4,10
4   2              5             4:4,4,10
5   2              6             4:4,4,10
6   4              7             4:4,4,10
7   4              8             4:4,4,10
8   2              9             5:6,4,10
9   4              10            5:6,4,10
10  6              11            6:4,3,7  7:5,3,7
11  7              12            6:5,3,7  7:6,3,7
12  8              13            6:6,3,7  7:6,3,7
13  9              14            8:4,4,12 9:6,4,12
14  10             15            8:4,4,12 9:6,4,12
15  5*50 11*50     16            8:4,4,12
16  12             17            8:6,4,12 9:6,4,12
17  13             18            8:6,4,12 9:6,4,12
"""
# A batch that makes D of C is called CD.
FOUR_DAYS = "AC AG CD DE EF EI GH HN HQ GL LI LM LQ BK KI KM KP PN PQ BO OP RO"


def counts(name):
    network = load_example(name)
    return len(network.units), len(network.tasks), len(network.states), len(network.suitabilities)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("westenberger_kallrath", (9, 17, 19, 24)),
        # 17 materials and Filler; the 22 vessels of the source, one for each of the 22 tasks.
        ("ovalle2024_four_days", (22, 22, 18, 22)),
        # 25 states, 17 tasks, 30 pairs in the source, less cleaning: two states, a task, six pairs.
        ("brewhouse2024", (6, 16, 23, 24)),
    ],
)
def test_counts_are_those_of_the_source(name, expected):
    assert counts(name) == expected


def shares(words):
    """Read "2*40 3*60" as {"S3": 0.4, "S4": 0.6}."""
    pairs = [[*word.split("*"), "100"][:2] for word in words]
    return {f"S{int(state) + 1}": int(percent) / 100 for state, percent in pairs}


def test_westenberger_kallrath_has_the_numbers_of_its_source():
    network = load_example("westenberger_kallrath")
    rows = [line.split("  ") for line in WESTENBERGER_KALLRATH.split("\n") if line]
    for task, consumed, produced, *units in ([c.strip() for c in row if c.strip()] for row in rows):
        read = network.tasks[f"T{task}"]
        assert read.consumes == shares(consumed.split())
        assert read.produces == shares(produced.split())
        terms = [word.split(":") for word in " ".join(units).split()]
        assert {
            unit: (suits.fixed_time, suits.min_batch, suits.max_batch)
            for unit, suits in read.units.items()
        } == {f"U{unit}": tuple(map(float, numbers.split(","))) for unit, numbers in terms}
    states = network.states
    assert {name for name, state in states.items() if state.zero_wait} == {
        f"S{k + 1}" for k in (5, 9, 10, 12)
    }
    room = {1: 30, 2: 30, 3: 15, 4: 30, 6: 10, 7: 10, 8: 10, 11: 10, 13: 10}
    for k, capacity in room.items():
        assert states[f"S{k + 1}"].capacity == capacity
        assert states[f"S{k + 1}"].initial == (10 if k in (1, 2, 4) else 0)


def test_four_days_have_the_numbers_of_their_source():
    network = load_example("ovalle2024_four_days")
    assert list(network.tasks) == FOUR_DAYS.split()
    for name, task in network.tasks.items():
        assert task.consumes == {name[0]: 0.5, "Filler": 0.5}
        assert task.produces == {name[1]: 1}
        (suits,) = task.units.values()
        assert (suits.fixed_time, suits.min_batch, suits.max_batch) == (1, 1, 10)
    for name, state in network.states.items():
        if name != "Filler":
            assert (state.initial, state.capacity) == (100 if name in "ABR" else 0, 100)


def test_brewhouse_has_the_numbers_of_its_source():
    network = load_example("brewhouse2024")
    yields = {"Mash": 0.95 * 0.95, "Lauter": 0.7315, "Boil": 0.95**3, "Cool": 0.95 * 0.95}
    terms = {"Mash": (135, 273), "Lauter": (90, 328), "Boil": (105, 450), "Cool": (60, 411)}
    for beer in ("Pilsner", "Wheat", "Schwarz", "Organic"):
        for step, share in yields.items():
            task = network.tasks[f"{step}{beer}"]
            (made,) = (state for state in task.produces if state.startswith(beer))
            assert task.produces[made] == pytest.approx(share)
            for suits in task.units.values():
                assert (suits.fixed_time, suits.max_batch) == terms[step]
                assert (suits.min_batch, suits.fixed_cost) == (1, 0.01)
    malts = {"PilsnerMalt": 1392.8208, "WheatMalt": 408.992}
    malts |= {"BlackMalt": 15.3372, "OrganicMalt": 383.43}
    assert {name: network.states[name].initial for name in malts} == malts


def deliver(amount, times):
    """The products of the four days, each that amount at each time."""
    return tuple(Delivery(state, time, amount) for time in times for state in "FINQM")


def test_ten_of_each_product_take_ten_batches_by_hand():
    # F and I from A: AC, CD, DE, EF, EI. M, N and Q from B: KM and KP take 5 of K each, and KP
    # makes 10 of P, 5 each for PN and PQ: BK, KM, KP, PN, PQ.
    network = load_example("ovalle2024_four_days")
    problem = Problem(objective="batches", horizon=12, deliveries=deliver(10, [12]))
    found = find_schedule(network, problem, time_limit=30)
    assert found.result.objective == pytest.approx(10)
    assert find_violations(found.schedule, network) == []
    by_hand = []
    for time, names in enumerate(("AC BK", "CD KP", "DE KM", "EF EI PN PQ")):
        by_hand += [Batch(name, f"Vessel_{name}", time, time + 1, 10) for name in names.split()]
    stock = {"A": 95, "B": 95, "R": 100, "C": 5, "D": 5, "Filler": 50}
    schedule = Schedule(
        batches=tuple(by_hand), final_stock=stock, horizon=12, deliveries=problem.deliveries
    )
    assert find_violations(schedule, network) == []


def test_no_bound_is_beyond_the_published_420_batches_of_four_days():
    network = load_example("ovalle2024_four_days")
    problem = Problem(objective="batches", horizon=95, deliveries=deliver(10, range(48, 96)))
    bound = bound_by_capacity(network, problem)
    assert 400 < bound <= 420 + 1e-6


@pytest.mark.parametrize(
    ("name", "horizon"), [("westenberger_kallrath", 16), ("brewhouse2024", 480)]
)
def test_a_short_search_finds_a_schedule_that_replays(name, horizon):
    network = load_example(name)
    found = find_schedule(network, Problem(objective="profit", horizon=horizon), time_limit=10)
    assert found.result.objective > 0
    assert found.schedule.batches
    assert find_violations(found.schedule, network) == []
