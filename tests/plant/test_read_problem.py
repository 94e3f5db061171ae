"""What is asked of a plant: good files, and bad ones that name every problem."""

from __future__ import annotations

import json
import math
import pickle

import pytest
import yaml
from bad_files import one_problem_of, problems_of

from stnopt.errors import InvalidInputError
from stnopt.plant import Delivery, Problem, load_example, read_problem

GOOD = """\
plant:
  name: not read here
  states: {Feed: {initial: unlimited}, Mid:, Good: {price: 10}}
problem:
  objective: makespan
  horizon: 50
  demand: {Good: 20}
  sense: exactly
  deliveries:
  - {state: Good, time: 4, amount: 15}
  - {state: Mid, time: 0, amount: 1}
reference: {published_value: 27.88}
"""


def test_what_a_good_file_says(tmp_path):
    path = tmp_path / "case.yaml"
    path.write_text(GOOD, encoding="utf-8")
    problem = read_problem(path)
    assert problem == Problem(
        objective="makespan",
        horizon=50,
        targets={"Good": 20},
        sense="exactly",
        deliveries=(Delivery("Good", 4, 15), Delivery("Mid", 0, 1)),
    )
    assert problem.deliveries[0] == Delivery(state="Good", time=4.0, amount=15.0)
    assert pickle.loads(pickle.dumps(problem)) == problem
    assert hash(problem) == hash(read_problem(path))


def test_same_problem_by_every_way_in(tmp_path):
    document = yaml.safe_load(GOOD)
    expected = read_problem(document)
    (tmp_path / "case.json").write_text(json.dumps(document))
    assert read_problem(str(tmp_path / "case.json")) == expected
    assert read_problem({"problem": document["problem"]}) == expected
    assert read_problem(document["problem"]) == expected


def test_what_is_left_out_has_its_default():
    assert read_problem({}) == read_problem({"problem": {}}) == Problem()
    assert read_problem({"horizon": 8}) == Problem(objective="profit", horizon=8)
    assert Problem().horizon is None


# In GOOD, the second text takes the place of the first; exactly one problem must come of it.
BAD_FILES = [
    (
        "objective: makespan",
        "objective: makspan",
        "problem: objective must be one of profit, production, cost, makespan, batches, tardiness, "
        "got 'makspan' (did you mean 'makespan'?)",
    ),
    ("objective: makespan", "objective: no", "problem: objective must be text, got false"),
    ("sense: exactly", "sense: more", "problem: sense must be one of at_least, exactly, got 'mor"),
    ("objective", "objectif", "problem: unknown key 'objectif' (did you mean 'objective'?)"),
    ("reference", "referenc", "beside problem: unknown key 'referenc' (did you mean 'reference'"),
    ("horizon: 50", "horizon: -1", "problem: horizon must be more than 0, got -1"),
    ("horizon: 50", "horizon: .inf", "problem: horizon must be finite, got inf"),
    (
        "horizon: 50",
        "horizon: 5e1",
        "problem: horizon must be a number, got the text '5e1'; write 5.0e+1 without",
    ),
    (
        "horizon: 50",
        "horizon: 3",
        "problem: delivery of 'Good' at 4 is after the horizon (3)",
    ),
    ("{Good: 20}", "{Goood: 20}", "problem: demand: the plant has no state 'Goood' (did you mean"),
    ("{Good: 20}", "{Good: -20}", "problem: target of 'Good' must be at least 0, got -20"),
    ("{Good: 20}", "{Good: x}", "problem: demand amount of 'Good' must be a number, got the text"),
    ("{Good: 20}", "20", "problem: demand: expected a mapping from names, got 20"),
    ("state: Mid", "state: Mit", "problem: delivery 2: the plant has no state 'Mit' (did you mean"),
    ("state: Mid, ", "", "problem: delivery 2: the key 'state' is missing"),
    ("state: Mid", "state: 5", "problem: delivery 2: state must be text, got 5"),
    ("time: 0", "due: 0, time: 0", "problem: delivery 2: unknown key 'due'"),
    ("time: 0", "time: -1", "problem: delivery 2: delivery of 'Mid': time must be at least 0, got"),
    ("amount: 15", "amount: 0", "delivery of 'Good': amount must be more than 0, got 0"),
    ("amount: 15", "amount: all", "problem: delivery 1: amount must be a number, got the text"),
    ("- {state: Mid, time: 0, amount: 1}", "- Mid", "problem: delivery 2: expected a mapping with"),
    ("objective: makespan", "objective: makespan\n  sense: exactly", "is given again (first on"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_FILES)
def test_bad_file_names_its_one_problem(old, new, message, tmp_path):
    assert message in one_problem_of(read_problem, GOOD, old, new, tmp_path)


OLD_NAME = "horizon_upper_bound is called horizon now"


def test_the_old_name_of_the_horizon_is_read_with_a_warning(tmp_path):
    path = tmp_path / "case.yaml"
    path.write_text(GOOD.replace("horizon: 50", "horizon_upper_bound: 50"), encoding="utf-8")
    with pytest.warns(DeprecationWarning, match=OLD_NAME) as told:
        problem = read_problem(path)
    assert told[0].filename == __file__  # whoever reads the file is told
    assert problem == read_problem(yaml.safe_load(GOOD))


@pytest.mark.filterwarnings(f"ignore:problem. {OLD_NAME}:DeprecationWarning")
@pytest.mark.parametrize(
    ("new", "message"),
    [
        (
            "horizon_upper_bound: 5e1",
            "problem: horizon_upper_bound must be a number, got the text '5e1'; write 5.0e+1 with",
        ),
        (
            "horizon_upper_bound: 50\n  horizon: 50",
            "problem: horizon and horizon_upper_bound are the same; give one of them",
        ),
    ],
)
def test_bad_file_with_the_old_name(new, message, tmp_path):
    assert message in one_problem_of(read_problem, GOOD, "horizon: 50", new, tmp_path)


def test_every_problem_of_a_file_at_once(tmp_path):
    text = GOOD.replace("makespan", "speed").replace("50", "x").replace("Good: 20", "Goood: -20")
    problems = problems_of(read_problem, text.replace("amount: 15", "amount: -15"), tmp_path)
    assert [problem.partition(":")[2].split()[0] for problem in problems] == [
        "horizon",
        "demand:",
        "delivery",
        "objective",
        "target",
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1], "expected the path of a plant file or a mapping"),
        ({"problem": [1]}, "problem: expected a mapping with the keys objective"),
        ({"plant": {}}, "beside problem: the key 'problem' is missing"),
        ({"name": "x", "states": {}, "tasks": {}}, "this is a plant without a problem"),
        ({"deliveries": {"Good": 1}}, "problem: deliveries must be a list of {state"),
        ("no/such/file.yaml", "there is no such file"),
    ],
)
def test_bad_document(document, message):
    with pytest.raises(InvalidInputError) as caught:
        read_problem(document)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "speed"}, "objective must be one of profit"),
        ({"horizon": math.nan}, "horizon must be finite, got nan"),
        ({"targets": [1]}, "targets must map states to amounts, got [1]"),
        ({"targets": {"": 1}}, "a target's state needs a name"),
        ({"deliveries": Delivery("A", 1, 1)}, "deliveries must be a list, got Delivery("),
        ({"deliveries": [("A", 1, 1)]}, "deliveries: expected a Delivery, got ('A', 1, 1)"),
        ({"horizon": 8, "deliveries": [Delivery("A", 8.5, 1)]}, "at 8.5 is after the horizon (8)"),
    ],
)
def test_a_bad_problem_is_refused(change, message):
    with pytest.raises(InvalidInputError) as caught:
        Problem(**change)
    (problem,) = caught.value.problems
    assert message in problem


def test_a_bad_delivery_is_refused_with_all_its_problems():
    with pytest.raises(InvalidInputError) as caught:
        Delivery("", -1, 0)
    assert [problem.split(": ")[-1].split(",")[0] for problem in caught.value.problems] == [
        "a delivery's state needs a name that is text",
        "time must be at least 0",
        "amount must be more than 0",
    ]


def test_a_plant_without_a_problem_gives_the_default_where_there_is_one():
    plant = load_example("motivating").to_dict()
    default = Problem(horizon=3)
    assert read_problem(plant, default=default) is default
    assert read_problem({"plant": plant}, default=default) is default
    assert read_problem({"plant": plant, "problem": {"horizon": 5}}, default=default).horizon == 5
    assert read_problem({"horizon": 6}, default=default).horizon == 6
    with pytest.raises(InvalidInputError, match="without a problem"):
        read_problem(plant)
