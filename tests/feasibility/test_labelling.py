"""`label_targets` against one solve per target, and what may go wrong around it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from stnopt.errors import InvalidInputError
from stnopt.feasibility.labelling import label_targets
from stnopt.feasibility.samples import sample_targets
from stnopt.plant import load_example, read_network
from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    require_targets,
    require_value,
    set_objective,
)
from stnopt.solvers.solve import Status, solve

FEASIBLE, UNDECIDED, INFEASIBLE = -1, 0, 1


def two_products():
    """Two products that share a mixer with little room behind it; sizes change the durations."""
    hours = {"fixed_time": 1, "time_per_amount": 0.05}
    return read_network(
        {
            "name": "two_products",
            "states": {
                "A": {"initial": "unlimited", "cost": 1},
                "I": {"capacity": 5},
                "P": {"price": 4},
                "Q": {"price": 3},
            },
            "tasks": {
                "Mix": {
                    "consumes": {"A": 1},
                    "produces": {"I": 1},
                    "units": {"Mixer": {"max_batch": 20, **hours}},
                },
                "MakeP": {
                    "consumes": {"I": 1},
                    "produces": {"P": 1},
                    "units": {"R": {"max_batch": 15, **hours}},
                },
                "MakeQ": {
                    "consumes": {"I": 0.5, "A": 0.5},
                    "produces": {"Q": 1},
                    "units": {"R": {"min_batch": 4, "max_batch": 12, **hours}},
                },
            },
        }
    )


def labels_one_by_one(network, targets, *, horizon, n_events, sense, profit=None):
    """Label each target by a model of its own; 0 within 1e-3 of the boundary: either may do."""
    labels = []
    for _, row in targets.iterrows():
        seen = set()
        for shift in (-1e-3, 0.0, 1e-3):
            wanted = row.to_dict()
            if sense == "at_least":
                wanted = {s: max(0.0, amount + shift) for s, amount in wanted.items()}
            model = build_scheduling_model(network, horizon=horizon, n_events=n_events)
            require_targets(model, wanted, sense=sense)
            if profit is not None:
                require_value(model, "profit", at_least=profit + shift)
            set_objective(model, "cost")
            result = solve(model, relative_gap=0.5)
            if result.has_solution:
                extract_schedule(model, network)
            else:
                assert result.status is Status.INFEASIBLE
            seen.add(FEASIBLE if result.has_solution else INFEASIBLE)
        labels.append(seen.pop() if len(seen) == 1 else UNDECIDED)
    return np.array(labels)


CASES = {
    "one product": ("motivating", {"S4": (0, 90)}, 12, 4),
    "no storage": ("storage_trap", {"P": (0, 22), "Q": (0, 12)}, 7, 4),
    "example 2": ("ex2", {"S8": (0, 110), "S9": (0, 110)}, 8, 4),
    "little storage": (None, {"P": (0, 40), "Q": (0, 30)}, 6, 4),
}


@pytest.mark.parametrize(
    ("sense", "require"), [("at_least", None), ("exactly", None), ("exactly", "profit >= 40")]
)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.long
def test_labels_are_those_of_one_solve_per_target(case, sense, require):
    name, bounds, horizon, n_events = CASES[case]
    network = load_example(name) if name else two_products()
    targets = sample_targets(bounds, 8, seed=3)
    labelled = label_targets(
        network,
        targets,
        horizon=horizon,
        sense=sense,
        require=require,
        n_events=n_events,
        max_span=0,
    )
    profit = None if require is None else 40
    alone = labels_one_by_one(
        network, targets, horizon=horizon, n_events=n_events, sense=sense, profit=profit
    )
    clear = alone != UNDECIDED
    assert clear.sum() >= 7
    np.testing.assert_array_equal(labelled.labels[clear], alone[clear])
    assert UNDECIDED not in labelled.labels
    assert labelled.scope["sense"] == sense
    assert labelled.scope["require"] == require


def test_a_rule_makes_at_least_mean_exactly():
    # A unit of P earns 4 - 1. More than 5 of P can be made, so at least 5 could still earn 40.
    targets = pd.DataFrame({"P": [5.0, 18.0], "Q": [0.0, 0.0]})
    network = two_products()
    options = {"horizon": 6, "n_events": 4, "max_span": 0}
    assert label_targets(network, targets, **options).labels.tolist() == [-1, -1]
    ruled = label_targets(network, targets, require="profit >= 40", **options)
    assert ruled.labels.tolist() == [1, -1]
    assert ruled.scope["sense"] == "exactly"


def test_a_rule_that_nothing_obeys_makes_all_infeasible():
    labelled = label_targets(
        two_products(),
        pd.DataFrame({"P": [5.0, 0.0]}),
        horizon=6,
        require="profit >= 1000",
        n_events=3,
        max_span=0,
    )
    assert labelled.labels.tolist() == [1, 1]


def test_limit_of_the_makespan_as_rule():
    # 50 take 9.83 (by hand, see the tests of the search), 49 about a tenth of an hour less.
    options = {"horizon": 12, "n_events": 3, "max_span": 0}
    targets = pd.DataFrame({"S4": [50.0]})
    for limit, label in ((9.84, -1), (9.82, 1)):
        rule = f"makespan <= {limit}"
        labelled = label_targets(load_example("motivating"), targets, require=rule, **options)
        assert labelled.labels.tolist() == [label]


def test_two_workers_give_the_same_labels_as_one():
    targets = sample_targets({"P": (0, 40), "Q": (0, 30)}, 10, seed=5)
    options = {"horizon": 6, "n_events": 4, "max_span": 0, "solve_limit": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, two = (
            label_targets(two_products(), targets, n_jobs=n, **options).labels for n in (1, 2)
        )
    np.testing.assert_array_equal(one, two)


def test_node_limit_leaves_targets_undecided_but_none_wrong():
    network = load_example("ex2")
    targets = sample_targets({"S8": (60, 90), "S9": (60, 90)}, 16, seed=1)
    options = {"horizon": 8, "n_events": 4, "max_span": 0}
    full = label_targets(network, targets, **options).labels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limited = label_targets(network, targets, solve_limit=0, **options).labels
    assert UNDECIDED not in full
    decided = limited != UNDECIDED
    np.testing.assert_array_equal(limited[decided], full[decided])


@pytest.fixture
def run(tmp_path):
    """Label the same targets into the same file, whatever is changed."""
    targets = sample_targets({"P": (0, 40), "Q": (0, 30)}, 10, seed=2)

    def label(network=None, **options):
        options = {"horizon": 6, "n_events": 3, "max_span": 0} | options
        return label_targets(
            network or two_products(), targets, store=tmp_path / "labels.jsonl", **options
        )

    label.path = tmp_path / "labels.jsonl"
    return label


def test_finished_store_is_read_without_a_solve(run):
    first = run()
    content = run.path.read_bytes()
    second = run()
    assert first.scope["n_solves"] > 0
    assert second.scope["n_solves"] == 0
    np.testing.assert_array_equal(first.labels, second.labels)
    assert run.path.read_bytes() == content


@pytest.mark.few_cases(3)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.999])
def test_store_that_was_cut_off_goes_on_from_what_is_left(run, share):
    first = run()
    content = run.path.read_bytes()
    run.path.write_bytes(content[: int(share * len(content))])
    second = run()
    np.testing.assert_array_equal(first.labels, second.labels)
    assert second.scope["n_solves"] <= first.scope["n_solves"]
    if share > 0.95:
        assert second.scope["n_solves"] <= 2
    assert run().scope["n_solves"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"horizon": 7},
        {"n_events": 4},
        {"max_span": 1},
        {"sense": "exactly"},
        {"require": "profit >= 1"},
        {"network": "with more room"},
    ],
)
def test_store_of_something_else_is_refused_and_kept(run, change):
    run()
    content = run.path.read_bytes()
    if "network" in change:
        entries = two_products().to_dict()
        entries["states"]["I"]["capacity"] = 6  # one number of the plant
        change = {"network": read_network(entries)}
    with pytest.raises(InvalidInputError, match="labels"):
        run(**change)
    assert run.path.read_bytes() == content


def test_file_that_is_no_store_is_refused_and_kept(run):
    run.path.write_text("x,y\n1,2\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="labels"):
        run()
    assert run.path.read_text(encoding="utf-8") == "x,y\n1,2\n"


GOOD = pd.DataFrame({"P": [1.0], "Q": [2.0]})


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        (pd.DataFrame(index=[0]), {}, "one column per product"),
        (pd.DataFrame({"Z": [1.0]}), {}, "'Z'"),
        (pd.DataFrame({"A": [1.0]}), {}, "no task produces"),
        (pd.DataFrame({"P": [-1.0]}), {}, "at least 0"),
        (pd.DataFrame({"P": [np.nan]}), {}, "at least 0"),
        (pd.DataFrame({"P": [np.inf]}), {}, "at least 0"),
        (GOOD, {"sense": "about"}, "sense"),
        (GOOD, {"require": "happiness > 3"}, "profit >= 200"),
        (GOOD, {"require": "profit >= e"}, "profit >= 200"),
        (GOOD, {"horizon": 0}, "horizon"),
        (GOOD, {"n_events": 0}, "n_events"),
        (GOOD, {"max_span": -1}, "max_span"),
        (GOOD, {"solve_limit": -1}, r"mip_max_nodes|solve_limit"),
    ],
)
def test_bad_input_is_refused(targets, options, message):
    options = {"horizon": 6, "n_events": 3, "max_span": 0} | options
    with pytest.raises(InvalidInputError, match=message):
        label_targets(two_products(), targets, **options)


def test_no_targets_no_labels():
    labelled = label_targets(two_products(), GOOD.iloc[:0], horizon=6, n_events=3, max_span=0)
    assert len(labelled.labels) == 0


def test_repeated_targets_get_one_answer():
    targets = pd.DataFrame({"P": [10.0, 10.0, 39.0, 39.0], "Q": [0.0, 0.0, 0.0, 0.0]})
    labelled = label_targets(two_products(), targets, horizon=6, n_events=3, max_span=0)
    assert labelled.labels[0] == labelled.labels[1] == -1
    assert labelled.labels[2] == labelled.labels[3] == 1
    assert labelled.scope["n_solves"] <= 2


def test_a_plant_that_makes_nothing_in_time_has_infeasible_targets_only():
    # Event points are chosen by the best production, which is zero.
    targets = pd.DataFrame({"P": [1.0, 0.0]})
    assert label_targets(two_products(), targets, horizon=0.5).labels.tolist() == [1, -1]
