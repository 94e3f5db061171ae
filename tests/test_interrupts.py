"""Ctrl-C and SIGTERM end a command soon, with what it has found and without a traceback."""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyomo.environ as pyo
import pytest

import stnopt as so
from stnopt import cli
from stnopt.embedding import master_problem
from stnopt.feasibility.choose_events import choose_events
from stnopt.feasibility.oracle import TargetOracle
from stnopt.feasibility.scope import ask_about
from stnopt.feasibility.store import LabelStore
from stnopt.plant.read import load_example
from stnopt.scheduling.search.event_points import EventPointSearch
from stnopt.scheduling.search.find_schedule import find_schedule

COMMANDS = {
    # Both would go on for minutes.
    "schedule": ["schedule", "kumawat_2021", "--horizon", "10", "--time-limit", "600"],
    "region": ["region", "kumawat_2021", "--horizon", "10", "--tolerance", "1e-9"],
    "labels": [
        *["region", "kumawat_2021", "--horizon", "12", "--events", "7", "--span", "1"],
        *["--samples", "400", "--bounds", "S9=0:200", "S8=0:200"],
    ],
}
POINTS = ["--events", "4", "--span", "0"]
#: Nothing here is judged by its speed: only a command that hangs is given up.
PATIENCE = 600.0


@pytest.fixture(autouse=True)
def what_is_started_hears_ctrl_c():
    """Whoever runs the tests in the background has them ignore Ctrl-C, and all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def each_signal(calls, quick):
    """Each call with each signal; some of them at once, those that are left with the long tests."""
    return [
        pytest.param(call, number, marks=[] if (call, number) in quick else pytest.mark.long)
        for call, number in itertools.product(calls, (signal.SIGINT, signal.SIGTERM))
    ]


def interrupted(command, number, tmp_path):
    """Start a command, stop it once it has begun to search; its end and what it printed."""
    arguments = COMMANDS[command]
    if "region" in arguments:
        arguments = [*arguments, "--out", str(tmp_path / "out")]
    run = subprocess.Popen(
        [sys.executable, "-m", "stnopt", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    begun = run.stderr.readline()
    assert begun.startswith(("searching", "tracing", "labelling"))
    time.sleep(4)
    assert run.poll() is None, run.communicate()
    run.send_signal(number)
    out, err = run.communicate(timeout=PATIENCE)
    return run.returncode, out, err


@pytest.mark.parametrize(
    ("command", "number"), each_signal(COMMANDS, [("schedule", signal.SIGINT)])
)
def test_a_command_that_is_stopped_says_what_it_has(command, number, tmp_path):
    code, out, err = interrupted(command, number, tmp_path)
    assert code == 130
    assert "Traceback" not in err
    assert "Proven" not in out
    if out:
        assert "interrupted" in out
    else:
        assert "interrupted before there was an answer" in err
    if command == "labels" and "written to" in out:
        kept = so.TargetSamples.from_csv(tmp_path / "out" / "samples.csv")
        assert f"{kept.counts()['undecided']} undecided" in out
        assert kept.scope["stopped"] == "interrupted"
    else:
        assert not (tmp_path / "out").exists()


def test_a_model_that_is_being_built_when_a_command_is_stopped_says_nothing(monkeypatch, capsys):
    def stop(block):
        raise KeyboardInterrupt

    def build(options):
        pyo.ConcreteModel().add_component("rows", pyo.Constraint(rule=stop))

    heard = []
    listener = logging.Handler()
    listener.emit = heard.append
    monkeypatch.setattr(logging.getLogger("pyomo.core"), "handlers", [listener])
    monkeypatch.setattr(cli, "run_with_input", build)
    assert cli.main(["schedule", "ex2", "--horizon", "8"]) == 130
    assert heard == []
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "stnopt: interrupted before there was an answer\n"


def test_a_search_that_is_stopped_returns_its_best(monkeypatch):
    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(EventPointSearch, "ask_for_any_schedule", stop)
    found = find_schedule(load_example("ex2"), horizon=8, n_events=3, max_span=0)
    assert found.schedule is not None
    assert found.stopped == "interrupted"
    assert found.proof.scope == "these event points"


def test_a_search_that_is_stopped_at_once_has_nothing_to_say(monkeypatch):
    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(EventPointSearch, "bound_by_sums", stop)
    with pytest.raises(KeyboardInterrupt):
        find_schedule(load_example("ex2"), horizon=8)


def test_event_points_are_not_suggested_by_a_search_that_was_stopped(monkeypatch):
    def stop(self, n_events, max_span):
        raise KeyboardInterrupt

    monkeypatch.setattr(EventPointSearch, "widen", stop)
    question = ask_about(load_example("ex2"), horizon=8, problem=None, start=None)
    with pytest.raises(KeyboardInterrupt):
        choose_events(question, n_events=3)


def test_a_reader_that_goes_away_is_no_traceback():
    run = subprocess.Popen(
        [sys.executable, "-m", "stnopt", "schedule", "motivating", "--horizon", "12", *POINTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run.stdout.close()
    err = run.stderr.read()
    run.stderr.close()
    assert run.wait() in (0, 141)
    assert "Traceback" not in err
    assert "Exception ignored" not in err


# --- in Python, at any question -----------------------------------------------------------------

EX2 = load_example("ex2")
LABELS = {"horizon": 8, "n_events": 4, "max_span": 0}
TARGETS = so.sample_targets({"S9": (0, 110), "S8": (0, 110)}, 24, seed=3)


def interrupting(monkeypatch, owner, name, call):
    """Have Ctrl-C come with one call of a function, and count them."""
    calls = itertools.count(1)
    original = getattr(owner, name)

    def run(*arguments, **options):
        if next(calls) == call:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, run)


@pytest.fixture(scope="module")
def undisturbed():
    return so.label_targets(EX2, TARGETS, **LABELS)


@pytest.mark.parametrize(
    "question", [4, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2, 6))]
)
def test_labels_that_were_decided_are_kept(question, undisturbed, monkeypatch, tmp_path):
    whole, n_solves = undisturbed.labels, undisturbed.scope["n_solves"]
    store = tmp_path / "labels.jsonl"
    with monkeypatch.context() as patched:
        interrupting(patched, TargetOracle, "ask", question)
        with pytest.warns(UserWarning, match="undecided: labelling was interrupted"):
            part = so.label_targets(EX2, TARGETS, **LABELS)
    with monkeypatch.context() as patched:
        interrupting(patched, TargetOracle, "ask", question)
        with pytest.raises(KeyboardInterrupt):
            so.label_targets(EX2, TARGETS, **LABELS, store=store)
    assert part.scope["stopped"] == "interrupted"
    assert part.scope["n_solves"] == question - 1
    decided = part.labels != 0
    assert 0 < np.sum(decided) < len(whole)
    np.testing.assert_array_equal(part.labels[decided], whole[decided])
    rest = so.label_targets(EX2, TARGETS, **LABELS, store=store)
    assert rest.scope["n_solves"] == n_solves - (question - 1)
    np.testing.assert_array_equal(rest.labels, whole)
    assert "stopped" not in rest.scope


@pytest.mark.long
@pytest.mark.parametrize("products", [("S9", "S8"), ("S9", "S8", "S5")])
def test_what_is_certified_of_a_region_is_kept(products, monkeypatch):
    options = {"horizon": 6, "n_events": 4, "max_span": 0, "tolerance": 0.05}
    with monkeypatch.context() as patched:
        interrupting(patched, TargetOracle, "maximise", 8)
        part = so.trace_frontier(EX2, products=products, **options)
    assert part.scope["stopped"] == "interrupted"
    assert part.n_solves < 12
    whole = so.trace_frontier(EX2, products=products, **options)
    assert "stopped" not in whole.scope
    assert whole.gap <= part.gap
    cloud = np.random.default_rng(0).random((2000, len(products))) * part.upper
    assert not np.any(part.label(cloud) * whole.label(cloud) < 0)


def kernel_problem():
    """Minimise a cost outside a hill of the decision: several boxes, several incumbents."""
    random = np.random.default_rng(0)
    region = so.KernelRegion(
        inputs=("x", "y"),
        kernel="rbf",
        gamma=4.0,
        support_vectors=random.uniform(-2, 2, size=(40, 2)),
        dual_coefs=random.normal(size=40),
        offset=0.4,
        lower=[-2, -2],
        upper=[2, 2],
    )
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(-2, 2), initialize=1.5)
    model.y = pyo.Var(bounds=(-2, 2), initialize=1.5)
    model.whole = pyo.Var(domain=pyo.Integers, bounds=(-3, 3), initialize=0)
    model.near = pyo.Constraint(expr=model.whole >= 1.5 * model.y - 0.4)
    model.close = pyo.Constraint(expr=model.whole + model.x >= -0.2)
    model.objective = pyo.Objective(expr=model.x + 0.7 * model.whole + 0.3 * model.y)
    return model, region, {"x": model.x, "y": model.y}


def looks(model):
    """All of a model that a search could leave behind."""
    parts = model.component_data_objects(descend_into=True)
    return [
        (part.name, part.active if hasattr(part, "active") else (part.fixed, part.bounds))
        for part in parts
        if part.ctype in (pyo.Var, pyo.Constraint, pyo.Objective)
    ]


def test_the_best_over_a_region_is_kept(monkeypatch):
    model, region, inputs = kernel_problem()
    best = so.solve_over_region(model, region, inputs, relative_gap=1e-6)
    assert best.status.name == "OPTIMAL"
    kept = 0
    for call in range(1, best.n_solves + 1, 7):
        model, region, inputs = kernel_problem()
        before = looks(model), [v.value for v in model.component_data_objects(pyo.Var)]
        with monkeypatch.context() as patched:
            interrupting(patched, master_problem, "solve", call)
            try:
                found = so.solve_over_region(model, region, inputs, relative_gap=1e-6)
            except KeyboardInterrupt:
                assert [v.value for v in model.component_data_objects(pyo.Var)] == before[1]
            else:
                kept += 1
                if found.status.name != "OPTIMAL":
                    assert found.message == "interrupted"
                assert found.objective >= best.objective - 1e-6
                assert found.bound is None or found.bound <= best.objective + 1e-6
        assert looks(model) == before[0]
    assert kept


LIBRARY = """
import signal, sys
import numpy as np, pyomo.environ as pyo, stnopt as so

def stop(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, stop)
if sys.argv[1] == "labels":
    targets = so.sample_targets({"S9": (0, 200), "S8": (0, 200)}, 400, seed=0)
    print("begun", flush=True)
    try:
        found = so.label_targets(so.load_example("ex2"), targets, horizon=12, n_events=7,
                                 max_span=1, store=sys.argv[2])
    except KeyboardInterrupt:
        print("stopped: interrupted")
else:
    random = np.random.default_rng(1)
    region = so.KernelRegion(
        inputs=tuple("abcdef"), kernel="rbf", gamma=0.5, offset=0.05,
        support_vectors=random.uniform(-2, 2, size=(120, 6)), dual_coefs=random.normal(size=120),
        lower=[-2] * 6, upper=[2] * 6)
    model = pyo.ConcreteModel()
    model.x = pyo.Var(region.inputs, bounds=(-2, 2), initialize=0)
    model.objective = pyo.Objective(expr=sum(model.x.values()))
    print("begun", flush=True)
    try:
        found = so.solve_over_region(model, region, dict(model.x), relative_gap=1e-9)
        print("stopped:", found.message)
    except KeyboardInterrupt:
        print("stopped: before")
"""


@pytest.mark.parametrize(
    ("call", "number"), each_signal(["labels", "regions"], [("labels", signal.SIGTERM)])
)
def test_a_call_that_is_stopped_returns(call, number, tmp_path):
    store = tmp_path / "labels.jsonl"
    run = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LIBRARY, call, str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.stdout.readline() == "begun\n"
    while call == "labels" and not store.exists() and run.poll() is None:
        time.sleep(0.05)  # it has not begun to ask
    time.sleep(2)
    assert run.poll() is None, run.communicate()
    run.send_signal(number)
    out, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, err
    assert out in ("stopped: interrupted\n", "stopped: before\n"), (out, err)
    assert "Traceback" not in err, err
    if call == "labels" and "interrupted" in out:
        header = json.loads(store.read_bytes().split(b"\n")[0])
        LabelStore(store, header["scope"])  # it is whole
