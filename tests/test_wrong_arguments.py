"""Every argument of every public callable of `stnopt`, against values that do not fit it."""

from __future__ import annotations

import dataclasses
import datetime
import inspect
import json
import math
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from sklearn.svm import SVC
from wrong_values import Call, faults_of, parameters_of, public_callables

import stnopt as so

RESULT = "made by the library, not by its callers"
#: Public classes that are not constructed by a caller: their methods are tried all the same.
RESULTS = {
    "Attempt", "CertifiedRegion", "FitReport", "FittedRegion", "Proof", "ReductionReport",
    "RegionBlock", "RegionScore", "Rescheduling", "ScheduleSearch", "Shortfall", "SolveResult",
    "SearchProgress", "Status", "Violation", "PlanSearch", "PlanShortfall", "ScenarioSearch",
    "Verification",
}  # fmt: skip

PLANT = so.Network(
    name="small",
    states={
        "Raw": so.State(name="Raw", initial=math.inf),
        "A": so.State(name="A", price=2.0),
        "B": so.State(name="B", price=1.0),
    },
    tasks={
        name: so.Task(
            name=name,
            consumes={"Raw": 1},
            produces={state: 1},
            units={"U": so.Suitability(task=name, unit="U", max_batch=10, fixed_time=2)},
        )
        for name, state in (("MakeA", "A"), ("MakeB", "B"))
    },
    utilities={},
)
STEAMED = dataclasses.replace(PLANT, utilities={"steam": so.Utility(name="steam", capacity=5)})
HORIZON = 4.0
PROBLEM = so.Problem(horizon=HORIZON)
ORDER = so.Order("o1", "A", 5.0, 3.0)
DELIVERY = so.Delivery("A", 3.0, 5.0)
BATCH = so.Batch("MakeA", "U", 0.0, 2.0, 10.0)
RUNNING = so.RunningBatch(task="MakeA", unit="U", started=-1.0, size=5.0, remaining=1.0)
SCHEDULE = so.Schedule(batches=(BATCH,), final_stock={"A": 10.0}, horizon=HORIZON)
WHOLE = so.find_schedule(PLANT, horizon=HORIZON, n_events=2, max_span=0).schedule
START = so.PlantState(stocks={"A": 1.0})
MODEL = so.build_scheduling_model(PLANT, horizon=HORIZON, n_events=2)
so.set_objective(MODEL, "profit")
SOLVED = so.build_scheduling_model(PLANT, horizon=HORIZON, n_events=2)
so.set_objective(SOLVED, "profit")
so.solve(SOLVED)

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 10, (60, 2))
Y = np.where(X.sum(axis=1) < 10, -1, 1)
TARGETS = pd.DataFrame(X, columns=["A", "B"])
SAMPLES = so.TargetSamples(targets=TARGETS, labels=Y)
TWO = SVC().fit(X, Y)
THREE = SVC().fit(X, np.arange(60) % 3)
REGION = so.fit_region(SAMPLES, kernel="rbf").region
LINE = so.fit_region(SAMPLES).region
UNION = so.UnionRegion(alternatives=((LINE,), (REGION,)))
CERTIFIED = so.trace_frontier(PLANT, horizon=HORIZON, products=["A", "B"], tolerance=0.1)
RECORDS = pd.DataFrame({"A": [1.0, 2.0], "B": [1.0, 2.0], "met": ["yes", "no"]})
#: What is read stands in the folder that the tests run in.
SAVED, SAVED_BOOK = Path("saved.csv"), Path("saved.xlsx")
BOX = {"inputs": ("A", "B"), "lower": [0, 0], "upper": [1, 1], "offset": 0.5, "origin": {}}


def over_region() -> pyo.ConcreteModel:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["A", "B"], bounds=(0, 10))
    m.o = pyo.Objective(expr=m.x["A"] + m.x["B"], sense=pyo.maximize)
    return m


SITE = so.Facility(name="main", network=PLANT, horizon=HORIZON)
WANTED = so.Demand("1", "A", 5.0)
PLANNING = so.PlanningProblem(periods=("1",), facilities={"main": SITE}, demand=(WANTED,))
TWO_PERIODS = so.PlanningProblem(periods=("1", "2"), facilities={"main": SITE}, demand=(WANTED,))
PLAN = so.Plan(production={("main", "1", "A"): 5.0}, shipments={("main", "market", "1", "A"): 5.0})
AGAIN = so.reschedule(WHOLE, PLANT, PROBLEM, at=2.0)
PLANNING_FILE = {
    "periods": 1,
    "facilities": {"main": {"plant": PLANT.to_dict(), "horizon": 4}},
    "demand": [{"period": 1, "product": "A", "amount": 5}],
}
PRODUCTION = pd.DataFrame(
    {"facility": ["main"], "period": ["1"], "product": ["A"], "amount": [5.0]}
)
LANE = so.Lane(source="main", to="market", cost=1.0, capacity=10.0)
PLANNED = so.build_planning_model(PLANNING, regions={"main": CERTIFIED})
so.solve(PLANNED)
OVER = over_region()
INPUTS = {name: OVER.x[name] for name in "AB"}


def solve_over(
    model: pyo.ConcreteModel,
    region: so.KernelRegion,
    variables: dict[str, object],
    relative_gap: float,
    time_limit: float | None,
    margin: float,
    threads: int,
    warm_start: bool,
    progress: bool,
):
    """`solve_over_region` as it is mostly called; its `*regions` has no name of its own."""
    settings = {k: v for k, v in locals().items() if k not in ("model", "region", "variables")}
    return so.solve_over_region(model, region, variables, **settings)


#: What fits an argument of this name, wherever a signature has it.
FITS = {
    "network": PLANT, "problem": PROBLEM, "schedule": SCHEDULE, "model": MODEL, "horizon": HORIZON,
    "n_events": 2, "max_span": 0, "objective": "profit", "kind": "profit", "targets": {"A": 1.0},
    "sense": "at_least", "deliveries": (DELIVERY,), "orders": (ORDER,), "start": START,
    "date": datetime.datetime(2026, 11, 2), "formulation": "unit_events", "time": 2.0, "at": 2.0,
    "time_limit": 60.0, "node_limit": 1000, "solve_limit": 1000, "proof_limit": 0.0,
    "relative_gap": 1e-3, "progress": False, "samples": SAMPLES, "region": REGION, "margin": 0.0,
    "variables": INPUTS, "points": [[1.0, 2.0]], "inputs": ["A", "B"], "feasible_class": 1,
    "estimator": TWO, "products": ["A", "B"], "bounds": {"A": (0.0, 10.0), "B": (0.0, 10.0)},
    "n_samples": 4, "n_solves": 2, "seed": 0, "tolerance": 0.2, "name": "small", "state": "A",
    "order": ORDER, "batch": BATCH, "amount": 5.0, "size": 5.0, "task": "MakeA", "unit": "U",
    "default": None, "ax": None, "n_jobs": 1, "store": None, "require": None, "threads": 1,
}  # fmt: skip
TIMES = {"time": 2.0, "horizon": HORIZON}


def given(callable_name: str, function, special) -> dict:
    """Arguments that fit a signature: those named here, those that fit anywhere, its defaults."""
    found = {}
    for argument, parameter in parameters_of(function).items():
        if argument == "cls":
            found[argument] = special["self"]
        elif argument in special:
            found[argument] = special[argument]
        elif argument in FITS:
            found[argument] = FITS[argument]
        elif parameter.default is not inspect.Parameter.empty:
            found[argument] = parameter.default
        else:
            raise LookupError(
                f"{callable_name}: say in SPECIAL what fits its argument {argument!r}"
            )
    return found


#: Per callable, what differs from the arguments that fit anywhere; `self` is the noun of a method.
SPECIAL = {
    "Batch": {"start": 0.0, "finish": 2.0},
    "CertifiedRegion.label": {"self": CERTIFIED},
    "CertifiedRegion.load": {"self": so.CertifiedRegion, "source": CERTIFIED.to_json()},
    "CertifiedRegion.to_json": {"self": CERTIFIED},
    "CleanAfter": {"batches": 2, "duration": 1.0},
    "Down": {"start": 1.0, "end": 2.0},
    "KernelRegion": {
        **BOX, "kernel": "rbf", "support_vectors": [[0, 0.0]], "dual_coefs": [-1.0], "gamma": 1.0,
        "coef0": 0.0, "degree": 2, "center": [0, 0], "scale": [1, 1],
    },
    "KernelRegion.kernel_matrix": {"self": REGION},
    "KernelRegion.decision": {"self": REGION},
    "KernelRegion.contains": {"self": REGION},
    "KernelRegion.gradient": {"self": REGION},
    "KernelRegion.equation": {"self": REGION},
    "KernelRegion.to_json": {"self": REGION},
    "LastTask": {"finished": -1.0},
    "Late": {"by": 1.0},
    "LinearRegion": {**BOX, "weights": [1, 1]},
    "LinearRegion.decision": {"self": LINE},
    "LinearRegion.contains": {"self": LINE},
    "LinearRegion.gradient": {"self": LINE},
    "LinearRegion.equation": {"self": LINE},
    "LinearRegion.to_json": {"self": LINE},
    "Network": {"states": PLANT.states, "tasks": PLANT.tasks, "unit_rules": {}, "utilities": {}},
    "Network.consumers": {"self": PLANT},
    "Network.most_made": {"self": PLANT},
    "Network.producers": {"self": PLANT},
    "Network.to_yaml": {"self": PLANT},
    "Order": {"id": "o1", "due": 3.0, "missing_cost": 1.0},
    "PlantState": {
        "stocks": {"A": 1.0}, "running": (RUNNING,), "held": {}, "last": {}, "since_cleaning": {},
        "open_orders": (ORDER,),
    },
    "PlantState.stock": {"self": START},
    "Problem": {"start": datetime.datetime(2026, 11, 2)},
    "RegionScore.from_answers": {
        "self": so.RegionScore, "labels": np.array([-1, 1]), "inside": np.array([True, False]),
    },
    "RunningBatch": {"started": -1.0, "remaining": 1.0},
    "RunningBatch.releases": {"self": RUNNING},
    "Schedule": {"batches": (BATCH,), "final_stock": {"A": 10.0}, "orders": ()},
    "Schedule.state_at": {"self": SCHEDULE},
    "ServedOrder": {"parts": ((2.0, 5.0),)},
    "ServedOrder.cost": {"self": so.ServedOrder(ORDER, ((2.0, 5.0),))},
    "ServedOrder.lateness": {"self": so.ServedOrder(ORDER, ((2.0, 5.0),))},
    "State": {},
    "Suitability": {"max_batch": 10.0, "fixed_time": 1.0, "release_time": {}, "draws": {},
                    "draws_per_amount": {}},
    "Suitability.draw": {"self": PLANT.tasks["MakeA"].units["U"], "utility": "steam"},
    "Suitability.duration": {"self": PLANT.tasks["MakeA"].units["U"]},
    "TargetSamples": {"targets": TARGETS, "labels": Y, "scope": {}},
    "TargetSamples.from_csv": {"self": so.TargetSamples, "path": SAVED},
    "TargetSamples.from_records": {
        "self": so.TargetSamples, "source": RECORDS, "inputs": ["A", "B"], "label": "met",
    },
    "TargetSamples.from_excel": {"self": so.TargetSamples, "path": SAVED_BOOK},
    "TargetSamples.from_json": {"self": so.TargetSamples, "source": SAMPLES.to_json()},
    "TargetSamples.to_csv": {"self": SAMPLES, "path": Path("samples.csv")},
    "TargetSamples.to_excel": {"self": SAMPLES, "path": Path("samples.xlsx")},
    "TargetSamples.to_json": {"self": SAMPLES},
    "Task": {"consumes": {"Raw": 1}, "produces": {"A": 1}, "units": PLANT.tasks["MakeA"].units,
             "name": "MakeA"},
    "UnionRegion": {"alternatives": ((LINE,), (REGION,)), "origin": {}},
    "UnionRegion.decision": {"self": UNION},
    "UnionRegion.contains": {"self": UNION},
    "Unit": {"changeovers": {}, "weekly": {}, "name": "U"},
    "Utility": {"capacity": 5.0, "name": "steam"},
    "Utility.capacity_at": {"self": so.Utility(name="steam", capacity=5.0)},
    "add_region_constraint": {"form": "inner", "tolerance": 0.5, "block": over_region()},
    "class_region_from_sklearn": {"estimator": THREE},
    "duels_from_sklearn": {"estimator": THREE},
    "explain_infeasible": {"problem": None, "targets": {"A": 100.0}},
    "extract_schedule": {"model": SOLVED},
    "find_schedule": {"problem": None},
    "fit_region": {"kernel": "laplacian", "margin": "none", "gamma": 1.0},
    "improve_schedule": {"start": None},
    "label_targets": {"targets": TARGETS[:2]},
    "load_example": {"name": "ex2"},
    "load_region": {"source": REGION.to_json()},
    "one_vs_one_from_sklearn": {"estimator": THREE},
    "plot_frontier": {"frontier": CERTIFIED, "at": None},
    "plot_region": {"samples": None, "bounds": None},
    "read_network": {"source": {"plant": PLANT.to_dict()}},
    "read_problem": {"source": {"problem": {"horizon": 4}}},
    "read_state": {"source": {"now": {"stocks": {"A": 1}}}},
    "reduce_region": {"max_vectors": 5, "tolerance": None, "bounds": None},
    "region_from_sklearn": {"feasible_class": -1},
    "require_value": {"at_least": 1.0},
    "reschedule": {"changes": (), "schedule": WHOLE},
    "sample_boundary": {"n_solves": 12},
    "solve_over_region": {"warm_start": False, "model": OVER, "margin": 0.0},
    "solve": {"solver": "highs"},
    "Demand": {"period": "1", "product": "A", "customer": "market"},
    "Facility": {
        "name": "main", "closed": frozenset(), "stock": {}, "storage": {}, "safety": {},
        "safety_cost": {}, "holding_cost": {}, "raw_cost": {}, "supply": {}, "receipts": {},
        "plants": {},
    },
    "Facility.length": {"self": SITE, "index": 0},
    "Facility.plant_in": {"self": SITE, "index": 0, "period": "1"},
    "Facility.priced_plant_in": {"self": SITE, "index": 0, "period": "1"},
    "Lane": {"source": "main", "to": "market"},
    "Plan": {"production": PLAN.production, "shipments": {}, "lost": {}},
    "Plan.from_json": {"self": so.Plan, "text": PLAN.to_json()},
    "Plan.to_csv": {"self": PLAN, "path": Path("plan.csv")},
    "Plan.to_excel": {"self": PLAN, "path": Path("plan.xlsx")},
    "Plan.to_frame": {"self": PLAN},
    "Plan.to_json": {"self": PLAN},
    "PlanningProblem": {
        "periods": ("1",), "facilities": {"main": SITE}, "demand": (WANTED,), "price": {},
        "backlog_cost": {}, "lost_cost": {}, "lanes": (LANE,),
    },
    "PlanningProblem.lane": {
        "self": PLANNING, "source": "main", "to": "market", "product": "A",
    },
    "PlanningProblem.made_at": {"self": PLANNING, "facility": "main"},
    "PlanningProblem.runs": {"self": PLANNING, "facility": "main", "period": "1"},
    "Rescheduling.summarise": {"self": AGAIN, "tell_time": "{:g}".format},
    "Scenario": {"demand": (WANTED,), "probability": 0.5},
    "Schedule.to_csv": {"self": SCHEDULE, "path": Path("schedule.csv")},
    "Schedule.to_excel": {"self": SCHEDULE, "path": Path("schedule.xlsx")},
    "Schedule.to_html": {"self": SCHEDULE},
    "Schedule.to_json": {"self": SCHEDULE},
    "build_planning_model": {"problem": PLANNING, "regions": {"main": CERTIFIED}},
    "complete_plan": {"plan": PLAN, "problem": PLANNING},
    "explain_plan": {"problem": PLANNING},
    "extract_plan": {"problem": PLANNING, "model": PLANNED},
    "find_plan": {"problem": PLANNING, "regions": {"main": CERTIFIED}, "max_rounds": 1},
    "plan_scenarios": {
        "problem": PLANNING, "regions": {"main": CERTIFIED},
        "scenarios": [so.Scenario(name="one", demand=(WANTED,))],
    },
    "plot_gantt": {"start": None},
    "plot_plan": {"plan": PLAN, "problem": PLANNING, "facility": "main", "product": "A"},
    "plot_stock": {"start": None},
    "plot_utility": {"network": STEAMED, "start": None},
    "problem_after": {"problem": TWO_PERIODS, "plan": PLAN, "period": "1"},
    "read_planning_problem": {"source": PLANNING_FILE, "demand": None},
    "read_plan": {"source": PRODUCTION},
    "read_production": {"source": PRODUCTION},
    "read_schedule": {"source": json.loads(SCHEDULE.to_json())},
    "trace_regions": {"problem": PLANNING},
    "verify_plan": {"problem": PLANNING, "plan": PLAN},
    "write_tables": {"path": "tables", "problem": None, "state": None},
}  # fmt: skip

#: What is taken though an annotation does not say so: per callable and argument, labels and why.
NO_LIMIT = {"time_limit": {"inf": "no limit"}}
FILE_NAME = {"two lines": "a file may be called so"}
SCALARS = {
    f"{{'A': {value}}}": "text, None and truth values are kept" for value in ("None", "True", "'x'")
}
REMARK = {
    label: "a remark that is only printed" for label in ("empty text", "two lines", "zero byte")
}
LEGAL: dict[str, dict[str, dict[str, str]]] = {
    "CertifiedRegion.to_json": {"path": FILE_NAME},
    "KernelRegion": {
        "origin": SCALARS, "center": {"None": "0 for every input"}, "scale": {"None": "1 for all"},
    },
    "KernelRegion.to_json": {"path": FILE_NAME},
    "LinearRegion": {"origin": SCALARS},
    "LinearRegion.to_json": {"path": FILE_NAME},
    "Network": {
        name: REMARK for name in ("amount_unit", "time_unit", "citation", "description")
    },
    "Facility": {
        "horizon": {
            "1.5": "the same in each period",
            "[]": "a problem has periods, and refuses it",
            "()": "likewise",
        },
        "closed": dict.fromkeys(
            ("[]", "()", "[None]", "[True]", "[NaN]"), "names are kept as text"
        ),
    },
    "Lane": {"capacity": {"inf": "no limit"}, "lead": {"10**400": "it never arrives"}},
    "Network.to_yaml": {"path": FILE_NAME},
    "Plan": {"production": {"{}": "nothing is made"}},
    "Plan.to_csv": {"path": FILE_NAME},
    "Plan.to_excel": {"path": FILE_NAME},
    "Plan.to_json": {"path": FILE_NAME},
    "Scenario": {"demand": {"[]": "nobody wants anything", "()": "nobody wants anything"}},
    "Schedule": {
        "batches": {"[]": "nothing runs", "()": "nothing runs"},
        "final_stock": {"{}": "a state that is left out counts as zero"},
    },
    "Schedule.to_csv": {"path": FILE_NAME},
    "Schedule.to_excel": {"path": FILE_NAME},
    "Schedule.to_html": {"path": FILE_NAME},
    "Schedule.to_json": {"path": FILE_NAME},
    "State": {"initial": {"inf": "unlimited"}, "capacity": {"inf": "unlimited"}},
    "TargetSamples": {"scope": SCALARS},
    "TargetSamples.from_records": {
        "met": {label: "whatever the column says" for label in ("two lines", "zero byte")},
    },
    "TargetSamples.to_csv": {"path": FILE_NAME},
    "TargetSamples.to_excel": {"path": FILE_NAME},
    "TargetSamples.to_json": {"path": FILE_NAME},
    "UnionRegion": {"origin": SCALARS},
    "add_region_constraint": NO_LIMIT,
    "explain_infeasible": NO_LIMIT,
    "find_schedule": NO_LIMIT | {"proof_limit": {"inf": "no limit"}},
    "explain_plan": {"store": FILE_NAME},
    "find_plan": NO_LIMIT | {"store": FILE_NAME},
    "fit_region": {"class_weight": {"{1: 2}": "a weight of the class 1"}},
    "label_targets": NO_LIMIT | {"store": FILE_NAME},
    "plan_scenarios": NO_LIMIT | {"store": FILE_NAME},
    "read_problem": {"source": {"{}": "a problem whose every key is left out"}},
    "read_state": {"source": {"{}": "a state whose every key is left out"}},
    "reduce_region": {"max_vectors": {"10**400": "more than there are"}},
    "require_deliveries": {"deliveries": {"[]": "none any more", "()": "none any more"}},
    "require_orders": {"orders": {"[]": "none any more", "()": "none any more"}},
    "require_targets": {"targets": {"{}": "none any more"}},
    "reschedule": NO_LIMIT,
    "solve": NO_LIMIT,
    "solve_over_region": NO_LIMIT,
    "verify_plan": {"store": FILE_NAME},
    "write_tables": {"path": {"two lines": "a folder may be called so"}},
}  # fmt: skip
#: Where errors call an argument by another word.
NAMED: dict[str, dict[str, str]] = {
    "Plan.from_json": {"text": "plan in JSON"},
    "PlanningProblem": {"periods": "there is no period"},
    "Problem": {"targets": "target"},
    "Suitability": {"draws": "draw of", "draws_per_amount": "draw per amount"},
    "TargetSamples.from_csv": {"path": "samples file|cannot be read"},
    "TargetSamples.from_excel": {"path": "samples file|cannot be read"},
    "TargetSamples.from_json": {"source": "samples"},
    "TargetSamples.from_records": {"source": "records|cannot be read"},
    "explain_infeasible": {"targets": "target"},
    "find_schedule": {"targets": "target"},
    "load_region": {"source": "region file|cannot be read"},
    "plot_gantt": {"start": "clock time"},
    "plot_stock": {"start": "clock time"},
    "plot_utility": {"start": "clock time"},
    "read_plan": {"source": "plan|problems in a|cannot be read"},
    "read_production": {"source": "production|problems in a|cannot be read"},
    # What is wrong in a mapping is named by its own keys.
    "read_network": {"source": "key"},
    "read_planning_problem": {"source": "key", "demand": "cannot be read|problems? in|columns?"},
    "read_problem": {"source": "key"},
    "read_schedule": {"source": "key"},
    "read_state": {"source": "key"},
    "require_targets": {"targets": "target"},
    "solve": {"options": "option 'A'"},
}

CALLABLES = dict(public_callables(so, so._MODULES)) | {"solve_over_region": solve_over}
TRIED = sorted(set(CALLABLES) - RESULTS)


def call_of(name: str) -> Call:
    function = CALLABLES[name]
    fitting = given(name, function, SPECIAL.get(name, {}))
    return Call(function, fitting, LEGAL.get(name, {}), NAMED.get(name, {}))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SAMPLES.to_csv(SAVED)
    SAMPLES.to_excel(SAVED_BOOK)
    yield
    plt.close("all")


def test_the_tables_name_nothing_else():
    for table in (SPECIAL, LEGAL, NAMED):
        assert set(table) <= set(TRIED)
        for name, arguments in table.items():
            assert set(arguments) <= {"self", *parameters_of(CALLABLES[name])}, name
    assert set(CALLABLES) >= RESULTS


@pytest.mark.parametrize("name", TRIED)
def test_what_does_not_fit_is_refused_by_name(name):
    call = call_of(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a name that is kept for a while
        call.function(**call.fitting)
    faults, n_calls = faults_of(call, so.StnoptError)
    assert not faults, f"{len(faults)} of {n_calls} calls:\n" + "\n".join(faults)
