"""The paper's own equations: published optima, the default formulation, a grid, and each row."""

from __future__ import annotations

import math

import pyomo.environ as pyo
import pytest
from small_plants import plant
from time_grid import best_on_grid, draw_plant

from stnopt.errors import InvalidInputError, InvalidScheduleError, UnsupportedModelError
from stnopt.plant import load_example, read_network
from stnopt.scheduling.formulations.state_sequence import effective_state
from stnopt.scheduling.handle import scheduling_handle
from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    read_runs,
    require_targets,
    require_value,
    set_objective,
    set_structure,
)
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.solvers.solve import Status, solve


def sequence_model(network, *, horizon, n_events, max_span=0, objective="profit"):
    model = build_scheduling_model(
        network,
        horizon=horizon,
        n_events=n_events,
        max_span=max_span,
        formulation="state_sequence",
    )
    set_objective(model, objective)
    return model


def best(network, *, formulation="state_sequence", objective="profit", targets=None, **points):
    """Return the optimum, once the replay has agreed with it."""
    model = build_scheduling_model(network, formulation=formulation, **points)
    set_objective(model, objective)
    if targets:
        require_targets(model, targets)
    result = solve(model, relative_gap=1e-6)
    assert result.status is Status.OPTIMAL
    value = schedule_value(extract_schedule(model, network), network, objective)
    assert value == pytest.approx(result.objective, rel=1e-6, abs=1e-5)
    return value


def without_limits(network):
    """Return the same plant with storage for everything, which this formulation is for."""
    entries = network.to_dict()
    for state in entries["states"].values():
        state.pop("capacity", None)
        state.pop("zero_wait", None)
    return read_network(entries)


@pytest.mark.few_cases(4)
@pytest.mark.parametrize(
    ("name", "horizon", "n_events", "optimum"),
    [
        ("motivating", 12, 4, 71.518),
        ("motivating_exact_beta", 12, 4, 71.473),
        ("ex1", 8, 4, 1840.17),
        ("ex1", 12, 6, 3463.62),
        ("ex2", 8, 4, 1498.57),
        ("ex2", 8, 5, 1498.57),
        ("ex2_exact_thirds", 8, 4, 1498.185),
        ("mg2003_appendix_a", 6, 5, 100),
        ("storage_trap", 7, 4, 25),  # what its batches could make if there were storage
    ],
)
def test_optimum_of_the_literature_where_storage_is_unlimited(name, horizon, n_events, optimum):
    network = without_limits(load_example(name))
    found = best(network, horizon=horizon, n_events=n_events)
    assert found == pytest.approx(optimum, abs=0.006)


def test_the_papers_plant_as_it_is():
    network = load_example("kumawat_2021")
    model = sequence_model(network, horizon=8, n_events=5)
    assert solve(model, relative_gap=1e-6).objective == pytest.approx(650.0, abs=0.01)
    stock = extract_schedule(model, network).final_stock
    assert (stock["S9"], stock["S8"]) == pytest.approx((87.75, 52.0), abs=0.01)


#: Event points and spans to grow through; these plants need no more.
LADDER = [(2, 0), (4, 0), (5, 1), (6, 2), (8, 3)]


@pytest.mark.few_seeds(3)
@pytest.mark.parametrize("seed", [0, 1, 4, 6, 7, 9, 10, 12, 13, 14, 15, 19, 20, 22, 24, 29, 71])
def test_equal_to_the_default_and_to_the_grid_where_storage_is_unlimited(seed):
    network, hours = without_limits(draw_plant(seed)), 4 + seed % 4
    reference = best_on_grid(network, hours)
    for n_events, max_span in LADDER:
        points = {"horizon": hours, "n_events": n_events, "max_span": max_span}
        found = best(network, **points)
        default = best(network, formulation="unit_events", **points)
        assert found == pytest.approx(default, rel=1e-5, abs=1e-5)
        assert found <= reference + 1e-5 * max(1, reference)
        if found == pytest.approx(reference, rel=1e-5, abs=1e-5):
            return
    pytest.fail(f"stays at {found} below {reference}: {network.to_dict()}")


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", [1, 6, 10, 14, 17, 22])
@pytest.mark.parametrize("objective", ["production", "cost", "makespan"])
def test_equal_to_the_default_for_every_objective(seed, objective):
    entries = without_limits(draw_plant(seed)).to_dict()
    entries["states"]["A"]["cost"] = 0.5
    for task in entries["tasks"].values():
        for entry in task["units"].values():
            entry |= {"time_per_amount": 0.1, "cost_per_amount": 0.2}
            if entry.get("min_batch", 0) == 0:
                entry["min_batch"] = 0.5
    network = read_network(entries)
    points = {"horizon": 7, "n_events": 4, "max_span": 1}
    if objective == "production":
        most = [best(network, formulation=f, objective=objective, **points) for f in BOTH]
        assert most[0] == pytest.approx(most[1], rel=1e-5, abs=1e-5)
        return
    model = sequence_model(network, objective="production", **points)
    solve(model)
    stock = extract_schedule(model, network).final_stock
    product = max((s for s in network.products if network.producers(s)), key=lambda s: stock[s])
    targets = {product: 0.6 * stock[product]}
    least = [
        best(network, formulation=f, objective=objective, targets=targets, **points) for f in BOTH
    ]
    assert least[0] == pytest.approx(least[1], rel=1e-5, abs=1e-5)


BOTH = ("state_sequence", "unit_events")

# Slow takes all of J at the start and runs to the end; Mix needs Quick's J, and I from stock. Mix
# comes after Quick, Quick not before Slow (or Slow would wait for it), Slow not before Mix.
OVERLAP = plant(
    {"A": {"initial": "unlimited"}, "J": {"initial": 10}, "I": {"initial": 5, "price": 1}}
    | {"P": {"price": 3}},
    {
        "Slow": {
            "consumes": {"J": 1},
            "produces": {"I": 1},
            "units": {"U1": {"min_batch": 10, "max_batch": 10, "fixed_time": 5}},
        },
        "Quick": {
            "consumes": {"A": 1},
            "produces": {"J": 1},
            "units": {"U2": {"max_batch": 5, "fixed_time": 2}},
        },
        "Mix": {
            "consumes": {"I": 0.5, "J": 0.5},
            "produces": {"P": 1},
            "units": {"U3": {"max_batch": 10, "fixed_time": 1}},
        },
    },
)


@pytest.mark.parametrize(
    ("n_events", "max_span", "optimum"), [(2, 0, 30), (5, 0, 30), (7, 0, 30), (2, 1, 40)]
)
def test_without_stays_the_papers_equations_lose_an_optimum(n_events, max_span, optimum):
    found = best(OVERLAP, horizon=5, n_events=n_events, max_span=max_span)
    assert found == pytest.approx(optimum)


def test_the_search_finds_the_events_and_the_stays():
    found = find_schedule(OVERLAP, horizon=5, formulation="state_sequence")
    assert found.result.objective == pytest.approx(40)
    assert found.max_span > 0
    assert best_on_grid(OVERLAP, 5) == pytest.approx(40)


def test_a_makespan_needs_no_horizon():
    # The second batch of Mix waits for Slow.
    found = find_schedule(
        OVERLAP, objective="makespan", targets={"P": 20}, formulation="state_sequence"
    )
    assert found.result.objective == pytest.approx(6, abs=1e-4)
    default = find_schedule(OVERLAP, objective="makespan", targets={"P": 20})
    assert found.result.objective == pytest.approx(default.result.objective, abs=1e-4)


def test_a_grid_has_no_events_to_search_for():
    with pytest.raises(InvalidInputError, match="no event points to search for"):
        find_schedule(OVERLAP, horizon=5, formulation="time_grid")


TWO = plant(
    {"A": {"initial": 30}, "B": {"initial": 30}, "I": {"initial": 1}, "P": {"price": 1}},
    {
        "Make": {
            "consumes": {"A": 0.25, "B": 0.75},
            "produces": {"I": 1},
            "units": {
                "U1": {"min_batch": 2, "max_batch": 10, "fixed_time": 1, "time_per_amount": 0.1}
            },
        },
        "Use": {
            "consumes": {"I": 1},
            "produces": {"P": 1},
            "units": {
                "U1": {"max_batch": 4, "fixed_time": 2},
                "U2": {"max_batch": 8, "fixed_time": 2},
            },
        },
    },
)
MAKE, USE, OTHER = ("Make", "U1"), ("Use", "U2"), ("Use", "U1")


def test_the_effective_state_of_a_task_is_the_most_of_its_batch():
    assert effective_state(TWO, "Make") == "B"


def forbids(constraint, values, *, network=TWO, horizon=10.0, n_events=3, max_span=0):
    """Whether a constraint refuses values that the model holds; they are taken as they are."""
    model = sequence_model(network, horizon=horizon, n_events=n_events, max_span=max_span)
    for var in model.component_data_objects(pyo.Var):
        if not var.fixed:
            var.set_value(0.0, skip_validation=True)
    for (name, index), value in values.items():
        model.component(name)[index].set_value(value, skip_validation=True)
    return any(row.slack() < -1e-9 for row in model.component(constraint).values())


def at(name, entry, *values, first=0):
    return {(name, (*entry, first + n)): value for n, value in enumerate(values)}


def stored(**levels):
    return {("stored", (s, n)): v for s, row in levels.items() for n, v in enumerate(row)}


STAY = {"max_span": 1, "n_events": 4}
#: constraint -> (values it forbids, values next to them that it allows, options)
SHOWN = {
    "one_state_at_a_time": (
        at("use", MAKE, 1) | at("use", OTHER, 1),
        at("use", MAKE, 1) | at("use", OTHER, 0, 1),
        {},
    ),
    # The effective state is three quarters of a batch.
    "enough_for_smallest": (
        at("use", MAKE, 1) | at("taken", MAKE, 1.4),
        at("use", MAKE, 1) | at("taken", MAKE, 1.5),
        {},
    ),
    "fits_largest": (
        at("use", MAKE, 1) | at("taken", MAKE, 7.6),
        at("use", MAKE, 1) | at("taken", MAKE, 7.5),
        {},
    ),
    "unit_balance": (
        at("taken", MAKE, 7.5) | at("given", MAKE, 9.9, first=1),
        at("taken", MAKE, 7.5) | at("given", MAKE, 10, first=1),
        {},
    ),
    "state_balance": (
        at("taken", MAKE, 7.5)
        | at("given", MAKE, 10, first=1)
        | stored(A=(28, 28, 28, 28), B=(22.5,) * 4, I=(1, 11, 11, 11)),
        at("taken", MAKE, 7.5)
        | at("given", MAKE, 10, first=1)
        | stored(A=(27.5,) * 4, B=(22.5,) * 4, I=(1, 11, 11, 11)),
        {},
    ),
    "only_what_runs_stays": (
        at("use", MAKE, 0, 1) | at("stay", MAKE, 1),
        at("use", MAKE, 0, 1) | at("stay", MAKE, 0, 1),
        STAY,
    ),
    "longest_stay": (at("stay", MAKE, 1, 1), at("stay", MAKE, 1, 0, 1), STAY),
    "inside_only_if_it_stays": (at("inside", MAKE, 0.1), at("inside", MAKE, 0), STAY),
    "leaves_only_at_its_end": (
        at("use", MAKE, 1) | at("stay", MAKE, 1) | at("given", MAKE, 5, first=1),
        at("use", MAKE, 1) | at("stay", MAKE, 1) | at("given", MAKE, 0, 5, first=1),
        STAY,
    ),
    "exit_after_processing": (
        at("use", MAKE, 1) | at("taken", MAKE, 3.75) | at("exit_time", MAKE, 1.4, first=1),
        at("use", MAKE, 1) | at("taken", MAKE, 3.75) | at("exit_time", MAKE, 1.5, first=1),
        {},
    ),
    "exit_in_time": (
        at("exit_time", MAKE, 0, 0, 10.1, first=1),
        at("exit_time", MAKE, 0, 0, 10, first=1),
        {},
    ),
    "unit_in_order": (
        at("exit_time", OTHER, 2, first=1) | at("entry_time", MAKE, 0, 1.9),
        at("exit_time", OTHER, 2, first=1)
        | at("entry_time", MAKE, 0, 2)
        | at("entry_time", OTHER, 0, 2),
        {},
    ),
    "used_after_made": (
        at("use", MAKE, 1)
        | at("exit_time", MAKE, 2, first=1)
        | at("use", USE, 0, 0, 1)
        | at("entry_time", USE, 0, 0, 1.9),
        at("use", MAKE, 1)
        | at("exit_time", MAKE, 2, first=1)
        | at("use", USE, 0, 0, 1)
        | at("entry_time", USE, 0, 0, 2),
        {},
    ),
}


@pytest.mark.parametrize("constraint", SHOWN)
def test_constraint_forbids_what_it_says(constraint):
    bad, good, options = SHOWN[constraint]
    assert forbids(constraint, bad, **options)
    assert not forbids(constraint, good, **options)


def test_a_batch_that_stays_exits_after_the_events_of_its_stay():
    stays = at("use", MAKE, 1) | at("stay", MAKE, 1)
    early = stays | at("exit_time", MAKE, 0, 0.9, 1, first=1)
    assert forbids("exit_after_processing", early, **STAY)
    late = stays | at("exit_time", MAKE, 0, 1, 1, first=1)
    assert not forbids("exit_after_processing", late, **STAY)


def test_a_state_with_a_release_time_is_there_from_the_next_event():
    entries = TWO.to_dict()
    entries["tasks"]["Make"]["units"]["U1"]["release_time"] = {"I": 0.5}
    network = read_network(entries)
    used = at("use", MAKE, 1) | at("stay", MAKE, 1) | at("use", USE, 0, 1)
    early = used | at("entry_time", USE, 0, 0.4)
    assert forbids("used_after_made", early, network=network, **STAY)
    late = used | at("entry_time", USE, 0, 0.5)
    assert not forbids("used_after_made", late, network=network, **STAY)


def test_every_constraint_is_shown_by_a_test():
    """A new constraint needs a row above before this passes."""
    model = sequence_model(TWO, horizon=10, n_events=4, max_span=1)
    built = {c.local_name for c in model.component_objects(pyo.Constraint) if len(c)}
    assert built == set(SHOWN)


@pytest.mark.parametrize(
    "constraint",
    [
        "fits_largest",
        "unit_balance",
        "state_balance",
        "exit_after_processing",
        "unit_in_order",
        "used_after_made",  # eq. 6 as printed, with a single unit, lacks these rows
    ],
)
def test_the_replay_catches_a_model_without_one_of_its_constraints(constraint):
    model = sequence_model(TWO, horizon=4, n_events=4)
    complete = solve(model).objective
    extract_schedule(model, TWO)
    model.component(constraint).deactivate()
    if constraint == "fits_largest":
        model.taken.setub(30)
        model.given.setub(30)
    assert solve(model).objective > complete + 1
    with pytest.raises(InvalidScheduleError):
        extract_schedule(model, TWO)


def test_the_replay_catches_two_states_in_one_unit():
    # Both tasks of U1 at each of two events: eq. 1 alone keeps them apart.
    entries = TWO.to_dict()
    del entries["tasks"]["Use"]["units"]["U2"]
    entries["states"] |= {"I": {"initial": 8, "price": 1}, "P": {"price": 2}}
    network = read_network(entries)
    model = sequence_model(network, horizon=4, n_events=2)
    complete = solve(model).objective
    extract_schedule(model, network)
    model.one_state_at_a_time.deactivate()
    assert solve(model).objective > complete + 1
    with pytest.raises(InvalidScheduleError):
        extract_schedule(model, network)


def test_the_replay_catches_a_batch_that_is_too_small():
    model = sequence_model(TWO, horizon=4, n_events=3)
    require_targets(model, {"I": 2}, sense="exactly")
    assert solve(model).status is Status.OPTIMAL
    require_value(model, "production", at_most=0)
    assert solve(model).status is Status.INFEASIBLE
    model.enough_for_smallest.deactivate()
    assert solve(model).status is Status.OPTIMAL
    with pytest.raises(InvalidScheduleError):
        extract_schedule(model, TWO)


def test_every_variable_is_bounded():
    """HiGHS 1.15 loses optima where big-M rows meet unbounded columns."""
    model = sequence_model(load_example("ex1"), horizon=8, n_events=3, max_span=1)
    for var in model.component_data_objects(pyo.Var):
        assert math.isfinite(var.lb), var.name
        assert math.isfinite(var.ub), var.name


def test_runs_give_the_structure_back_with_its_stays():
    model = sequence_model(OVERLAP, horizon=5, n_events=3, max_span=2)
    optimum = solve(model).objective
    runs = read_runs(model)
    assert max(span for _, _, _, span in runs) > 0
    other = sequence_model(OVERLAP, horizon=5, n_events=3, max_span=2)
    set_structure(other, runs)
    for binary in (*other.use.values(), *other.stay.values()):
        binary.fix()
    assert solve(other).objective == pytest.approx(optimum)
    assert set(read_runs(other)) == set(runs)


def test_values_can_be_required():
    model = sequence_model(TWO, horizon=10, n_events=3, objective="production")
    require_value(model, "makespan", at_most=5.5)
    solve(model, relative_gap=1e-6)
    schedule = extract_schedule(model, TWO)
    assert max(batch.finish for batch in schedule.batches) <= 5.5 + 1e-6
    assert schedule_value(schedule, TWO, "production") == pytest.approx(
        best(TWO, horizon=5.5, n_events=3, objective="production")
    )


def test_a_target_is_infeasible_just_beyond_what_time_allows():
    # A batch of 5 takes 1.5 to make and 2 to use; 1 is there at the start.
    for target, status in ((6, Status.OPTIMAL), (6.1, Status.INFEASIBLE)):
        model = sequence_model(TWO, horizon=3.5, n_events=4)
        require_targets(model, {"P": target})
        assert solve(model).status is status


def with_zero_wait(entries):
    entries["states"]["I"] = {"zero_wait": True}
    return "state 'I' is zero_wait"


def with_maintenance(entries):
    entries["units"] = {"U1": {"unavailable": [[1, 2]]}}
    return "unit 'U1' has unavailable periods"


def with_changeovers(entries):
    entries["units"] = {"U1": {"changeovers": {"Make": {"Use": 0.5}}}}
    return "unit 'U1' has changeovers"


def with_a_utility(entries):
    entries["utilities"] = {"steam": {"capacity": 3}}
    entries["tasks"]["Use"]["units"]["U2"]["draws"] = {"steam": 2}
    return "task 'Use' on unit 'U2' draws on 'steam'"


@pytest.mark.parametrize(
    "change", [with_zero_wait, with_maintenance, with_changeovers, with_a_utility]
)
def test_a_rule_without_equation_is_refused_by_name(change):
    entries = TWO.to_dict()
    named = change(entries)
    with pytest.raises(UnsupportedModelError, match=rf"{named}\n.*'unit_events'"):
        sequence_model(read_network(entries), horizon=10, n_events=3)


def test_a_storage_that_is_overfull_between_events_is_refused_by_name():
    network = load_example("storage_trap")
    with pytest.raises(UnsupportedModelError, match=r"I holds 10 .*capacity(.|\n)*'unit_events'"):
        solve(sequence_model(network, horizon=7, n_events=3))


def test_storage_is_limited_at_the_events():
    # Of 15 that could be made in time, a capacity of 4 keeps 4 and the unit the last batch of 5.
    network = plant(
        {"A": {"initial": 30}, "I": {"capacity": 4, "price": 1}},
        {
            "Make": {
                "consumes": {"A": 1},
                "produces": {"I": 1},
                "units": {"U1": {"max_batch": 5, "fixed_time": 1}},
            }
        },
    )
    model = sequence_model(network, horizon=3, n_events=3)
    # Which of many schedules of that value comes back is left open.
    scheduling_handle(model).complete = None
    assert solve(model, relative_gap=1e-6).objective == pytest.approx(9)


def test_an_unknown_formulation_is_told_which_there_are():
    with pytest.raises(InvalidInputError, match=r"'unit_events', 'state_sequence'.*'crystal_ball'"):
        build_scheduling_model(TWO, horizon=3, n_events=3, formulation="crystal_ball")
