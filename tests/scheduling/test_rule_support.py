"""No formulation ignores a rule: one small plant for each, in which breaking it would pay."""

from __future__ import annotations

import importlib

import pytest
from plants_at_work import CASES as AT_WORK
from plants_with_rules import make_plant

from stnopt.errors import UnsupportedModelError
from stnopt.plant import CleanAfter, Delivery, Problem
from stnopt.plant.demands import RULES, demanded_rules
from stnopt.scheduling.formulations.features import (
    find_rule_files,
    refuse_unsupported,
    rules_of,
)
from stnopt.scheduling.model import (
    build_relaxation,
    build_scheduling_model,
    extract_schedule,
    require_deliveries,
    require_orders,
    set_objective,
)
from stnopt.solvers.solve import solve

P = {"P": {"price": 1}}
HOUR = {"fixed_time": 1}


def make(task="Make", state="P", unit="U", source="A", **row):
    return {task: ({source: 1}, {state: 1}, {unit: HOUR | row})}


#: Per rule: plant, horizon, best profit (all in one line's arithmetic: 10 per batch and hour).
CASES = {
    # 5 in the tank and 10 waiting in U; ignored: 30.
    "storage": (make_plant("storage", {"P": {"price": 1, "capacity": 5}}, make()), 3, 15),
    # What is made at 1 finds nobody before 3. Ignored: 10.
    "zero_wait": (
        make_plant(
            "zero_wait",
            {"I": {"zero_wait": True}} | P,
            make(state="I") | make("Use", unit="V", source="I"),
            units={"U": {"unavailable": [(1, 5)]}, "V": {"unavailable": [(0, 3)]}},
        ),
        5,
        0,
    ),
    "release_time": (
        make_plant(
            "release_time",
            {"I": {}} | P,
            {
                "Make": ({"A": 1}, {"I": 1}, {"U": {"fixed_time": 3, "release_time": {"I": 1}}}),
                "Use": ({"I": 1}, {"P": 1}, {"V": {"fixed_time": 2}}),
            },
        ),
        3,
        10,
    ),
    "size_dependent_time": (make_plant("size", P, make(time_per_amount=0.1)), 1.5, 5),
    "unavailable": (make_plant("away", P, make(), units={"U": {"unavailable": [(0, 2)]}}), 3, 10),
    # One raw material each for 10, whichever comes first; ignored: 20.
    "changeovers": (
        make_plant(
            "changeovers",
            {"X": {"initial": 5}, "Y": {"initial": 5}} | P,
            {
                "Red": ({"A": 0.5, "X": 0.5}, {"P": 1}, {"U": HOUR}),
                "Blue": ({"A": 0.5, "Y": 0.5}, {"P": 1}, {"U": HOUR}),
            },
            units={"U": {"changeovers": {("Red", "Blue"): 2, ("Blue", "Red"): 2}}},
        ),
        3,
        10,
    ),
    "clean_after": (
        make_plant(
            "cleaned", P, make(), units={"U": {"clean_after": CleanAfter(batches=1, duration=2)}}
        ),
        3,
        10,
    ),
    "utilities": (
        make_plant(
            "utilities",
            P,
            {"Make": ({"A": 1}, {"P": 1}, dict.fromkeys("UV", HOUR | {"draws": {"power": 3}}))},
            utilities={"power": 4},
        ),
        1,
        10,
    ),
    # 0.5 a piece for the 10 of B that are due at 1, and 3 for 10 of R after that; ignored: 60.
    "deliveries": (
        make_plant(
            "deliveries",
            {"R": {"price": 3}, "B": {"price": 0.5}},
            make("Red", "R") | make("Blue", "B"),
        ),
        2,
        35,
    ),
}
#: What the plant's state, calendars and orders demand: cases that are explained where they stand.
CASES |= {
    rule: (AT_WORK[name].network, AT_WORK[name].problem.horizon, AT_WORK[name].best)
    for rule, name in {
        "orders": "must come",
        "arrivals": "arrivals",
        "utility_steps": "capacity rises",
        "unattended": "unattended",
        "paused": "paused",
        "running": "running",
        "held": "held",
        "last": "last task",
    }.items()
}
STARTS = {"running": AT_WORK["running"].start, "held": AT_WORK["held"].start}
STARTS["last"] = AT_WORK["last task"].start
PROBLEMS = {
    "orders": AT_WORK["must come"].problem,
    "deliveries": Problem(horizon=2, deliveries=(Delivery("B", 1, 10),)),
}


def ask(model, rule):
    if rule in PROBLEMS:
        require_deliveries(model, PROBLEMS[rule].deliveries)
        require_orders(model, PROBLEMS[rule].orders)


def test_there_is_a_case_for_every_rule():
    assert set(CASES) == set(RULES)
    for rule, (network, horizon, _) in CASES.items():
        problem = PROBLEMS.get(rule, Problem(horizon=horizon))
        assert rule in {d.rule for d in demanded_rules(network, problem, STARTS.get(rule))}


@pytest.mark.parametrize("rule", CASES)
@pytest.mark.parametrize("formulation", ["unit_events", "state_sequence", "time_grid"])
def test_no_formulation_ignores_a_rule(rule, formulation):
    network, horizon, best = CASES[rule]
    n_events = 4 if formulation != "time_grid" else int(2 * horizon)
    try:
        model = build_scheduling_model(
            network,
            horizon=horizon,
            n_events=n_events,
            formulation=formulation,
            start=STARTS.get(rule),
        )
        ask(model, rule)
        set_objective(model, "profit")
        result = solve(model, relative_gap=1e-6)
    except UnsupportedModelError as refusal:
        assert formulation in str(refusal)  # noqa: PT017
        assert formulation != "unit_events"
        return
    assert result.objective == pytest.approx(best, abs=1e-4)
    extract_schedule(model, network)


@pytest.mark.parametrize("rule", CASES)
def test_the_relaxation_is_never_worse(rule):
    network, horizon, best = CASES[rule]
    model = build_relaxation(network, horizon=horizon, start=STARTS.get(rule))
    ask(model, rule)
    set_objective(model, "profit")
    assert solve(model, relative_gap=1e-6).bound >= best - 1e-4


@pytest.mark.parametrize("rule", CASES)
def test_what_supports_nothing_refuses_every_rule(rule):
    network, horizon, _ = CASES[rule]
    problem = PROBLEMS.get(rule, Problem(horizon=horizon))
    demanded = demanded_rules(network, problem, STARTS.get(rule))
    where = next(d.where for d in demanded if d.rule == rule)
    with pytest.raises(UnsupportedModelError) as refusal:
        refuse_unsupported("new", frozenset(RULES) - {rule}, network, problem, STARTS.get(rule))
    assert where in str(refusal.value)


def test_a_rule_that_does_not_exist_cannot_be_supported():
    network, _, _ = CASES["unavailable"]
    with pytest.raises(ValueError, match="unknown rules: \\['teleport'\\]"):
        refuse_unsupported("new", {"teleport"}, network)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A formulation's package without files yet, and how to write one."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / f"formulation_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "tables.py").write_text("WIDTH = 1")
    return folder


def files_of(folder, **sources):
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    importlib.invalidate_caches()
    return find_rule_files(importlib.import_module(folder.name))


def test_a_rule_file_is_found_by_what_it_declares(package):
    found = files_of(package, away="RULES = ('paused', 'unavailable')", busy="RULES = ['storage']")
    # In the order of the table of rules, whatever the files are called.
    assert [file.__name__.split(".")[1] for file in found] == ["busy", "away"]
    assert rules_of(found) == {"paused", "unavailable", "storage"}


@pytest.mark.parametrize("rule", ["teleport", "storage"])
def test_a_rule_file_cannot_declare_what_is_unknown_or_anothers(package, rule):
    with pytest.raises(ValueError, match=f"expresses '{rule}'"):
        files_of(package, one="RULES = ('storage',)", other=f"RULES = ('{rule}',)")


def test_the_relaxation_leaves_out_only_what_restricts():
    assert {name for name, rule in RULES.items() if not rule.only_restricts} == {
        "release_time",
        "size_dependent_time",
        "deliveries",
        "orders",
        "arrivals",
        "running",
        "held",
    }
