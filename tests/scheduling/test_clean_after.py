"""Cleaning after so many batches: worked out by hand, and on a grid of whole hours."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plants_with_rules import make_plant
from time_grid import add_rules, best_on_grid, draw_plant

from stnopt.errors import InvalidNetworkError, UnsupportedModelError
from stnopt.plant import CleanAfter, Unit, read_network
from stnopt.scheduling.model import build_scheduling_model, extract_schedule, set_objective
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock
from stnopt.solvers.solve import solve


def one_unit(**rules):
    return make_plant(
        "one unit",
        {"P": {"price": 1}},
        {"Make": ({"A": 1}, {"P": 1}, {"U": {"fixed_time": 1}})},
        units={"U": rules},
    )


def held_back():
    """20 within 6 h: Make (1 h) fills a tank of 0 that Use (3 h) empties; U is cleaned 2 h.

    After one batch U is cleaned. Use runs twice at most, from 3 h before the end: its first start
    is at 1 and takes 10 from U. The second needs 10 more by 3 (start 3 to 6 would be too late
    from 4 on) - but U, cleaned from 1 to 3, ends its second batch at 4 only: so one Use starts at 1
    and the other cannot end by 6. Within 7 h: Make 0-1, cleaned 1-3, Make 3-4, Use 1-4 and 4-7.
    """
    return make_plant(
        "held back",
        {"I": {"capacity": 0}, "P": {"price": 1}},
        {
            "Make": ({"A": 1}, {"I": 1}, {"U": {"fixed_time": 1}}),
            "Use": ({"I": 1}, {"P": 1}, {"V": {"fixed_time": 3}}),
        },
        units={"U": {"clean_after": CleanAfter(batches=1, duration=2)}},
    )


#: (plant, horizon, best): a batch makes 10 in 1 h; two batches, then 2 h of cleaning: b b . . b b;
#: away from 2 to 4 the cleaning cannot use that time (b b away . . b); with a changeover of 1 h
#: that falls together with the cleaning nothing is added.
BY_HAND = {
    "two batches, then cleaned": (one_unit(clean_after=CleanAfter(batches=2, duration=2)), 6, 40),
    "no cleaning owed at the end": (
        one_unit(clean_after=CleanAfter(batches=2, duration=2)),
        4,
        20,
    ),
    "not cleaned while away": (
        one_unit(clean_after=CleanAfter(batches=2, duration=2), unavailable=[(2, 4)]),
        7,
        30,
    ),
    "together with a changeover": (
        one_unit(clean_after=CleanAfter(batches=1, duration=2), changeovers={("Make", "Make"): 1}),
        7,
        30,
    ),
    "waits only until it is cleaned": (held_back(), 6, 10),
    "waits until it is cleaned": (held_back(), 7, 20),
}


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("formulation", ["unit_events", "time_grid"])
def test_best_by_hand(name, formulation):
    network, hours, best = BY_HAND[name]
    n_events = hours if formulation == "time_grid" else 5
    model = build_scheduling_model(
        network, horizon=hours, n_events=n_events, formulation=formulation
    )
    set_objective(model, "profit")
    result = solve(model, relative_gap=1e-6)
    assert result.objective == pytest.approx(best, abs=1e-5)
    assert not find_violations(extract_schedule(model, network), network)


def schedule_of(network, horizon, *rows):
    batches = [Batch(*row) for row in rows]
    stock = compute_final_stock(batches, network)
    return Schedule(batches=batches, final_stock=stock, horizon=horizon)


def test_the_replay_wants_the_cleaning():
    network = one_unit(clean_after=CleanAfter(batches=2, duration=2))
    rows = [("Make", "U", t, t + 1, 10) for t in (0, 1, 3.5, 4.5)]
    (violation,) = find_violations(schedule_of(network, 6, *rows), network)
    assert (violation.kind, violation.element, violation.time) == ("clean_after", "U", 3.5)
    rows = [("Make", "U", t, t + 1, 10) for t in (0, 1, 4, 5)]
    assert not find_violations(schedule_of(network, 6, *rows), network)


def test_the_replay_tries_where_a_cleaning_leaves_the_unit_free_to_hold():
    """One of two gaps must be a cleaning; in the later one the batch has to wait in the unit.

    Make at 0-1 (taken at 1), 3-4 (waits for Use at 6), 6-7: at most two between cleanings.
    The cleaning of 2 h from 4 to 6 would need I's tank; that from 1 to 3 does not.
    """
    network = make_plant(
        "choice",
        {"I": {"capacity": 0}, "P": {"price": 1}},
        {
            "Make": ({"A": 1}, {"I": 1}, {"U": {"fixed_time": 1}}),
            "Use": ({"I": 1}, {"P": 1}, {"V": {"fixed_time": 1}}),
        },
        units={"U": {"clean_after": CleanAfter(batches=2, duration=2)}},
    )
    rows = [("Make", "U", t, t + 1, 10) for t in (0, 3, 6)]
    rows += [("Use", "V", t, t + 1, 10) for t in (1, 6, 7)]
    assert not find_violations(schedule_of(network, 8, *rows), network)
    unruled = replace(network, unit_rules={"U": Unit(name="U", changeovers={("Make", "Make"): 2})})
    kinds = [v.kind for v in find_violations(schedule_of(network, 8, *rows), unruled)]
    assert kinds == ["over_capacity"]


@pytest.mark.parametrize("formulation", ["state_sequence"])
def test_other_formulations_refuse_it_by_name(formulation):
    network = one_unit(clean_after=CleanAfter(batches=2, duration=2))
    with pytest.raises(UnsupportedModelError, match="unit 'U' has clean_after"):
        build_scheduling_model(network, horizon=6, n_events=3, formulation=formulation)


def test_it_is_read_written_and_part_of_the_fingerprint():
    network = one_unit(clean_after=CleanAfter(batches=2, duration=2))
    again = read_network(network.to_dict())
    assert again == network
    assert again.fingerprint != one_unit().fingerprint


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"batches": 2}, "unit 'U': clean_after: the key 'duration' is missing"),
        ({"batches": 0, "duration": 1}, "unit 'U': clean_after: batches must be at least 1, got 0"),
        ({"batches": 1.5, "duration": 1}, "batches must be a whole number, got 1.5"),
        ({"batches": 1, "duration": 0}, "clean_after: duration must be more than 0, got 0"),
        (
            {"batches": 1, "duration": 1, "running_time": 5},
            "clean_after: running_time: not supported yet",
        ),
    ],
)
def test_bad_input_is_named(entry, message):
    plant = one_unit().to_dict() | {"units": {"U": {"clean_after": entry}}}
    with pytest.raises(InvalidNetworkError, match=message):
        read_network(plant)


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", range(12))
def test_drawn_plants_agree_with_a_grid(seed):
    plant = draw_plant(seed + 700)
    network = add_rules(
        plant, seed, periods=seed % 3 == 0, changeovers=seed % 2 == 0, cleanings=True
    )
    hours = 6
    best = best_on_grid(network, hours)
    grid = build_scheduling_model(network, horizon=hours, n_events=hours, formulation="time_grid")
    set_objective(grid, "profit")
    assert solve(grid, relative_gap=1e-6).objective == pytest.approx(best, abs=1e-4)
    extract_schedule(grid, network)
    model = build_scheduling_model(network, horizon=hours, n_events=4, max_span=1)
    set_objective(model, "profit")
    result = solve(model, relative_gap=1e-4)
    assert result.objective <= best + 1e-3
    extract_schedule(model, network)
